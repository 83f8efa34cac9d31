#include "content/settlement.h"

#include <algorithm>
#include <set>

#include "primitives/script.h"

namespace sluice::content {
namespace {

constexpr size_t kPayWitnessBytes = 1 + (1 + 64) + (1 + 65) + (1 + 68) + (1 + 65);
constexpr size_t kInputBytes = 36 + 1 + 4;
constexpr size_t kTaprootOutputBytes = 8 + 1 + 34;
constexpr size_t kSettledEntryBytes = 8;
constexpr size_t kBaseWeight = (12 + kTaprootOutputBytes + 8 + 1 + 8) * kWitnessScaleFactor;  // without channels
constexpr size_t kMarginalWeight =
    (kInputBytes + kTaprootOutputBytes + kSettledEntryBytes) * kWitnessScaleFactor + kPayWitnessBytes;

Amount FeeOfWeight(size_t weight, Amount fee_per_kvb) {
    const uint64_t vsize = (weight + kWitnessScaleFactor - 1) / kWitnessScaleFactor;
    return Amount((vsize * fee_per_kvb.drops + 999) / 1'000);
}

}  // namespace

Amount MarginalSettleCost(const consensus::Params& params, Amount fee_per_kvb) {
    return Amount(FeeOfWeight(kMarginalWeight, fee_per_kvb).drops +
                  kSettledEntryBytes * params.record_fee_per_byte.drops);
}

Amount FirstVoucher(const consensus::Params& params, Amount fee_per_kvb) {
    return Amount(2 * MarginalSettleCost(params, fee_per_kvb).drops);
}

bool WorthSettling(const consensus::Params& params, const PayeeChannel& channel, Amount fee_per_kvb) {
    return channel.signature && channel.phase != ChannelPhase::kClosed &&
           channel.Paid() > MarginalSettleCost(params, fee_per_kvb);
}

Amount OpeningCost(const consensus::Params& params, size_t channels, Amount fee_per_kvb) {
    constexpr size_t kRecordBytes = 1 + (2 + 32) + (2 + 32) + (2 + 4);
    constexpr size_t kChannelBytes = 8 + 1 + 3 + kRecordBytes + kTaprootOutputBytes;
    constexpr size_t kBaseBytes = 12 + 10 * 58 + kTaprootOutputBytes;  // ten inputs, and change
    const Amount rate = std::max(Amount(2 * fee_per_kvb.drops), kOpeningFeePerKvb);
    const Amount fee = FeeOfWeight((kBaseBytes + channels * kChannelBytes) * kWitnessScaleFactor, rate);
    return Amount(fee.drops + channels * consensus::RecordFee(params, kRecordBytes).drops);
}

bool IsRipe(const consensus::Params& params, const PayeeChannel& channel, Amount fee_per_kvb) {
    return WorthSettling(params, channel, fee_per_kvb) &&
           channel.Paid().drops / kRedeemFactor >= MarginalSettleCost(params, fee_per_kvb).drops;
}

bool DueForSettling(const consensus::Params& params, const PayeeChannel& channel, Height tip, bool in_use,
                    Amount fee_per_kvb) {
    if (!WorthSettling(params, channel, fee_per_kvb)) return false;
    if (channel.phase == ChannelPhase::kSettling || !TakesDebt(params, channel.lock, tip)) return true;
    return channel.phase == ChannelPhase::kFinal && !in_use && IsRipe(params, channel, fee_per_kvb);
}

Amount RaisedSettleRate(Amount fee_per_kvb, Amount estimate) {
    return Amount(std::min(std::max(2 * fee_per_kvb.drops, estimate.drops), kMaxSettleFeePerKvb.drops));
}

Amount PatientSettleRate(const consensus::Params& params, const std::vector<PayeeChannel>& channels) {
    uint64_t brings = 0, burned = 0, weight = 0;
    for (const PayeeChannel& channel : channels) {
        brings += channel.Paid().drops;
        burned += kSettledEntryBytes * params.record_fee_per_byte.drops;
        weight += kMarginalWeight;
    }
    const uint64_t may_cost = brings / kPatientPart;
    if (may_cost <= burned) return {};
    const uint64_t vsize = (weight + kBaseWeight + kWitnessScaleFactor - 1) / kWitnessScaleFactor;
    return std::min(Amount((may_cost - burned) * 1'000 / vsize), kMaxSettleFeePerKvb);
}

Amount PatientRefundRate(Amount refunded, size_t vsize) {
    CHECK(vsize > 0);
    return std::min(Amount(refunded.drops / kPatientPart * 1'000 / vsize), kMaxSettleFeePerKvb);
}

std::optional<Amount> NextRefundRate(const WaitingRefund& refund, Amount estimate) {
    if (refund.waited_blocks < kSettlePatience) return std::nullopt;
    const Amount rate =
        std::min(RaisedSettleRate(refund.paid_per_kvb, estimate), PatientRefundRate(refund.refunded, refund.vsize));
    if (rate.drops <= refund.paid_per_kvb.drops + kReplacementStep.drops) return std::nullopt;
    return rate;
}

namespace {

// A voucher that may be on a ledger at all. Whether its signature is right shows when it is used.
bool IsWhole(const PayeeChannel& channel) {
    return channel.signature && channel.phase != ChannelPhase::kClosed && InMoneyRange(channel.lock.capacity) &&
           channel.returned >= kMinReturned && channel.returned < channel.lock.capacity;
}

}  // namespace

Result<Settlement> BuildSettlement(const consensus::Params& params, const BlockHash& genesis,
                                   const std::vector<PayeeChannel>& channels, const PayeeSeeds& seeds,
                                   const Script& take_script, Amount fee_per_kvb, bool all) {
    std::vector<const PayeeChannel*> worth;
    for (const PayeeChannel& channel : channels) {
        if (IsWhole(channel) && (all || WorthSettling(params, channel, fee_per_kvb))) worth.push_back(&channel);
    }
    std::stable_sort(worth.begin(), worth.end(), [](const auto* a, const auto* b) { return a->Paid() > b->Paid(); });
    std::vector<PayeeChannel> chosen;
    std::vector<crypto::SecretKey> keys;
    for (const PayeeChannel* channel : worth) {
        if (chosen.size() == kMaxSettledAtOnce) break;
        auto key = seeds.Find(genesis, channel->payer_node, channel->salt, channel->lock.payee_key);
        if (!key || !channel->lock.Template()) continue;
        chosen.push_back(*channel);
        keys.push_back(std::move(*key));
    }

    Settlement settlement;
    SettleRecord record;
    Amount capacity;
    std::vector<consensus::LockTemplate> locks;
    settlement.tx.version = consensus::kLockSpendVersion;
    for (const PayeeChannel& channel : chosen) {
        auto lock = channel.lock.Template();
        CHECK(lock.has_value());  // chosen for it
        settlement.tx.inputs.push_back({channel.lock.outpoint, {}, consensus::kLockSpendSequence, {}});
        settlement.tx.outputs.push_back({channel.returned, channel.lock.return_script});
        settlement.spent.push_back({channel.lock.capacity, lock->output_script});
        settlement.channels.push_back(channel.lock.outpoint);
        settlement.returned.drops += channel.returned.drops;
        capacity.drops += channel.lock.capacity.drops;
        record.served_bytes.push_back(channel.served_bytes);
        locks.push_back(std::move(*lock));
    }
    const Amount gross(capacity.drops - settlement.returned.drops);
    const Bytes record_bytes = record.served_bytes.empty() ? Bytes{} : EncodeRecord(record);
    settlement.tx.outputs.push_back({Amount(0), take_script});
    settlement.tx.outputs.push_back({Amount(0), record_bytes.empty() ? Script{} : RecordScript(record_bytes)});
    const size_t weight =
        settlement.tx.ToBytes(false).size() * kWitnessScaleFactor + 2 + chosen.size() * kPayWitnessBytes;
    settlement.fee = FeeOfWeight(weight, fee_per_kvb);
    settlement.burned = consensus::RecordFee(params, record_bytes.size());
    const uint64_t cost = settlement.fee.drops + settlement.burned.drops;
    if (chosen.empty() || gross.drops < cost + kMinReturned.drops)
        return Fail(ErrorKind::kFunds, "settling brings " + std::to_string(gross.drops) + " drops and costs " +
                                           std::to_string(cost) + ": wait until more is owed or fees are lower");
    settlement.take = Amount(gross.drops - cost);
    settlement.tx.outputs[chosen.size()].value = settlement.take;

    std::vector<WitnessStack> witnesses;
    {
        const consensus::SpendingTransaction spending(settlement.tx, settlement.spent);
        for (size_t i = 0; i < chosen.size(); ++i) {
            const auto hash = spending.SignatureHash(i, consensus::kSighashDefault,
                                                     consensus::ScriptPathData{locks[i].pay_leaf_hash});
            CHECK(hash.has_value());
            witnesses.push_back(consensus::PayWitness(locks[i], *chosen[i].signature, keys[i].Sign(*hash)));
        }
    }
    for (size_t i = 0; i < chosen.size(); ++i) settlement.tx.inputs[i].witness = std::move(witnesses[i]);
    const consensus::SpendingTransaction spending(settlement.tx, settlement.spent);
    std::set<size_t> false_ones;
    for (size_t i = 0; i < chosen.size(); ++i) {
        if (const auto verified = consensus::VerifyInput(spending, i); !verified) false_ones.insert(i);
    }
    if (false_ones.empty()) return settlement;
    std::vector<PayeeChannel> others;
    for (size_t i = 0; i < chosen.size(); ++i)
        if (!false_ones.contains(i)) others.push_back(std::move(chosen[i]));
    if (others.empty()) return Fail("no voucher of these channels is signed by its payer");
    return BuildSettlement(params, genesis, others, seeds, take_script, fee_per_kvb, all);
}

Result<MutableTransaction> BuildChannelRefund(const ChannelLock& lock, const crypto::SecretKey& payer_key,
                                              const Script& to_script, Amount fee_per_kvb) {
    const auto lock_template = lock.Template();
    if (!lock_template) return Fail("the channel's keys or expiry cannot be");
    MutableTransaction tx;
    tx.version = consensus::kLockSpendVersion;
    tx.lock_time = lock.expiry.value;
    tx.inputs.push_back({lock.outpoint, {}, consensus::kLockSpendSequence, {}});
    tx.outputs.push_back({Amount(0), to_script});
    const size_t weight = tx.ToBytes(false).size() * kWitnessScaleFactor + 2 + kPayWitnessBytes;
    const Amount fee = FeeOfWeight(weight, fee_per_kvb);
    if (lock.capacity.drops < fee.drops + kMinReturned.drops)
        return Fail(ErrorKind::kFunds,
                    "the channel's " + std::to_string(lock.capacity.drops) + " drops do not pay the fee of its refund");
    tx.outputs[0].value = Amount(lock.capacity.drops - fee.drops);
    const std::vector<TxOutput> spent{{lock.capacity, lock_template->output_script}};
    const auto hash = consensus::SpendingTransaction(tx, spent).SignatureHash(
        0, consensus::kSighashDefault, consensus::ScriptPathData{lock_template->refund_leaf_hash});
    CHECK(hash.has_value());
    tx.inputs[0].witness = consensus::RefundWitness(*lock_template, payer_key.Sign(*hash));
    if (const auto verified = consensus::VerifyInput(consensus::SpendingTransaction(tx, spent), 0); !verified)
        return Fail("the refund does not verify: " + verified.error());
    return tx;
}

}  // namespace sluice::content
