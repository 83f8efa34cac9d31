#include "wallet/transaction_builder.h"

#include <fmt/format.h>

#include "primitives/script.h"

namespace sluice::wallet {
namespace {

using consensus::CoinKind;

constexpr uint32_t kReplaceable = consensus::kLockSpendSequence;  // opts in to replacement, lets lock times count
constexpr int kFundingRounds = 8;

bool IsTaproot(const Script& script) {
    const auto parsed = ParseOutputScript(script);
    return parsed && parsed->kind == OutputKind::kTaproot;
}

}  // namespace

TxOutput RecordOutput(const Record& record) { return {Amount(0), RecordScript(EncodeRecord(record))}; }

Status TransactionBuilder::CheckFeerate() const {
    if (m_feerate >= kMinFeePerKvb && m_feerate <= kMaxFeePerKvb) return {};
    return Fail(
        fmt::format("the fee rate of {} drops per 1,000 vB is not {} to {}", m_feerate, kMinFeePerKvb, kMaxFeePerKvb));
}

XOnlyPubKey TransactionBuilder::TakeChangeKey() {
    // A restored wallet looks no further than the gap limit.
    const uint32_t end = m_wallet.m_store.meta().used[1] + m_wallet.m_gap_limit;
    const uint32_t index = m_next_change < end ? m_next_change++ : end - 1;
    return m_wallet.m_keychain.OutputKey({KeyChain::kChange, index});
}

Result<BuiltTransaction> TransactionBuilder::Build(const Draft& draft) {
    RETURN_IF_ERROR(CheckFeerate());
    ASSIGN_OR_RETURN(MutableTransaction tx, draft.subtract_fee_from ? FundSubtracting(draft) : Fund(draft));
    const size_t weight = WeightOf(tx, draft.annex_bytes);
    if (weight > kMaxStandardWeight)
        return Fail(
            fmt::format("the transaction weighs {}, relay takes {}: pay fewer at once", weight, kMaxStandardWeight));
    if (draft.fill) draft.fill(tx);
    std::optional<Bytes> annex;
    if (draft.annex) {
        ASSIGN_OR_RETURN(annex, draft.annex(tx));
        CHECK(annex->size() == draft.annex_bytes);
    }
    for (const TxInput& input : tx.inputs) m_wallet.m_reserved.insert(input.prevout);
    auto status = Sign(tx, annex);
    if (status) status = Verify(tx);
    if (!status) {
        for (const TxInput& input : tx.inputs) m_wallet.m_reserved.erase(input.prevout);
        return Fail(status.error());
    }
    const Money money = MoneyOf(tx);
    BuiltTransaction built{MakeTransaction(std::move(tx)), Amount(money.in - money.out - money.burned),
                           Amount(money.burned), Amount(money.accrued)};
    CHECK(built.tx->weight() == weight);
    CHECK(built.fee.drops >= RequiredFee(draft, weight));
    return built;
}

Result<MutableTransaction> TransactionBuilder::Fund(const Draft& draft) {
    const TxOutput change_form{Amount(0), draft.change_script.value_or(TaprootScript(XOnlyPubKey{}))};
    uint64_t extra = 0;  // what the rounds before were short of
    for (int round = 0; round < kFundingRounds; ++round) {
        MutableTransaction base = Skeleton(draft, {});
        const Money fixed = MoneyOf(base);
        const uint64_t needed =
            fixed.out + fixed.burned + RequiredFee(draft, WeightOf(base, draft.annex_bytes)) + extra;
        std::vector<OutPoint> selected;
        if (needed > fixed.in || base.inputs.empty()) {
            if (!draft.select_coins)
                return Fail(
                    ErrorKind::kFunds,
                    fmt::format("the output of {} SLU is worth less than the fee of spending it: choose a lower "
                                "fee rate",
                                FormatSlu(Amount(fixed.in))));
            ASSIGN_OR_RETURN(selected, Select(draft, Amount(needed - std::min(needed, fixed.in)), m_feerate));
        }
        MutableTransaction tx = Skeleton(draft, selected);
        const Money money = MoneyOf(tx);
        const uint64_t spend = money.out + money.burned;
        const uint64_t rest = money.in > spend ? money.in - spend : 0;
        const uint64_t fee = RequiredFee(draft, WeightOf(tx, draft.annex_bytes));
        if (money.in < spend || rest < fee) {
            extra += money.in < spend ? spend - money.in + fee : fee - rest;
            continue;
        }
        MutableTransaction with_change = tx;
        with_change.outputs.push_back(change_form);
        const uint64_t change_fee = RequiredFee(draft, WeightOf(with_change, draft.annex_bytes));
        if (rest >= change_fee + kDust.drops) {
            with_change.outputs.back().value = Amount(rest - change_fee);
            if (!draft.change_script) with_change.outputs.back().script = TaprootScript(TakeChangeKey());
            return with_change;
        }
        if (!tx.outputs.empty() && !draft.change_needed) return tx;
        if (!draft.select_coins)
            return Fail(ErrorKind::kFunds,
                        fmt::format("of {} SLU less than {} drops would be left after the fee: choose a lower fee rate",
                                    FormatSlu(Amount(money.in)), kDust.drops));
        extra += change_fee + kDust.drops - rest;
    }
    return Fail(ErrorKind::kFunds,
                "no set of coins pays for its own fee here: pay yourself first, to join small coins");
}

// The inputs bring the amounts alone; the fee then comes out of one output.
Result<MutableTransaction> TransactionBuilder::FundSubtracting(const Draft& draft) {
    const Money fixed = MoneyOf(Skeleton(draft, {}));
    ASSIGN_OR_RETURN(const auto selected,
                     Select(draft, Amount(fixed.out + fixed.burned - std::min(fixed.out + fixed.burned, fixed.in)), 0));
    MutableTransaction tx = Skeleton(draft, selected);
    const Money money = MoneyOf(tx);
    uint64_t rest = money.in - money.out - money.burned;
    if (rest >= kDust.drops) {
        tx.outputs.push_back({Amount(rest), TaprootScript(TakeChangeKey())});
        rest = 0;
    }
    const uint64_t fee = RequiredFee(draft, WeightOf(tx, draft.annex_bytes));
    TxOutput& payer = tx.outputs[*draft.subtract_fee_from];
    const uint64_t from_output = fee - std::min(fee, rest);
    if (payer.value.drops < from_output + kDust.drops)
        return Fail(ErrorKind::kFunds,
                    fmt::format("after the fee of {} SLU the amount of {} SLU would be less than {} drops",
                                FormatSlu(Amount(fee)), FormatSlu(payer.value), kDust.drops));
    payer.value.drops -= from_output;
    return tx;
}

Result<std::vector<OutPoint>> TransactionBuilder::Select(const Draft& draft, Amount target, uint64_t feerate) {
    const SelectionRequest request{target, feerate};
    auto selected = SelectCoins(Candidates(draft, false), request);
    if (!selected) selected = SelectCoins(Candidates(draft, true), request);
    return selected;
}

std::vector<Candidate> TransactionBuilder::Candidates(const Draft& draft, bool unconfirmed) const {
    std::vector<Candidate> candidates;
    for (const auto& [outpoint, coin] : m_wallet.m_store.coins()) {
        if (coin.spent_by || coin.kind != CoinKind::kPlain || !coin.key || !IsTaproot(coin.output.script)) continue;
        if (!m_wallet.IsMature(coin) || (!coin.height && !(unconfirmed && coin.trusted))) continue;
        if (m_wallet.m_store.locked().contains(outpoint) || m_wallet.m_reserved.contains(outpoint)) continue;
        if (draft.replaced == outpoint.txid) continue;
        if (std::find(draft.fixed_inputs.begin(), draft.fixed_inputs.end(), outpoint) != draft.fixed_inputs.end())
            continue;
        candidates.push_back({outpoint, coin.output.value});
    }
    return candidates;
}

MutableTransaction TransactionBuilder::Skeleton(const Draft& draft, const std::vector<OutPoint>& selected) const {
    MutableTransaction tx;
    tx.lock_time = draft.lock_time;
    tx.outputs = draft.outputs;
    for (const OutPoint& outpoint : draft.fixed_inputs) tx.inputs.push_back({outpoint, {}, kReplaceable, {}});
    for (const OutPoint& outpoint : selected) tx.inputs.push_back({outpoint, {}, kReplaceable, {}});
    return tx;
}

TransactionBuilder::Money TransactionBuilder::MoneyOf(const MutableTransaction& tx) const {
    Money money;
    for (const TxInput& input : tx.inputs) {
        const OwnedCoin& coin = CoinAt(input.prevout);
        const Amount accrued = m_wallet.AccruedOf(input.prevout, coin);
        money.in += coin.output.value.drops + accrued.drops;
        money.accrued += accrued.drops;
    }
    for (const TxOutput& output : tx.outputs) {
        money.out += output.value.drops;
        const auto script = ParseOutputScript(output.script);
        if (script && script->kind == OutputKind::kRecord)
            money.burned += consensus::RecordFee(m_wallet.m_network.params, script->record.size()).drops;
    }
    return money;
}

size_t TransactionBuilder::WeightOf(const MutableTransaction& tx, size_t annex_bytes) const {
    MutableTransaction sized = tx;
    for (size_t i = 0; i < sized.inputs.size(); ++i) {
        WitnessStack witness{Bytes(SchnorrSignature::kSize)};
        if (const auto lock = LockOf(sized.inputs[i].prevout))
            witness = consensus::RefundWitness(*lock, SchnorrSignature{});
        if (i == 0 && annex_bytes > 0) witness.emplace_back(annex_bytes);
        sized.inputs[i].witness = std::move(witness);
    }
    if (!sized.inputs.empty()) return Transaction(std::move(sized)).weight();
    // No input yet: the marker and flag of a transaction with witnesses are still to come.
    return Transaction(std::move(sized)).weight() + 2;
}

uint64_t TransactionBuilder::RequiredFee(const Draft& draft, size_t weight) const {
    const uint64_t asked = FeeFor(weight, m_feerate).drops;
    if (!draft.replaced) return asked;
    return std::max(asked, draft.replaced_fee.drops + FeeFor(weight, kReplacementFeePerKvb).drops);
}

const OwnedCoin& TransactionBuilder::CoinAt(const OutPoint& outpoint) const {
    const auto coin = m_wallet.m_store.coins().find(outpoint);
    CHECK(coin != m_wallet.m_store.coins().end());  // only coins of ours are made inputs
    return coin->second;
}

std::optional<consensus::LockTemplate> TransactionBuilder::LockOf(const OutPoint& outpoint) const {
    const auto purchase = m_wallet.m_store.purchases().find(outpoint);
    if (purchase != m_wallet.m_store.purchases().end()) {
        if (!purchase->second.terms) return std::nullopt;
        return consensus::MakeLockTemplate(purchase->second.buyer_key, purchase->second.terms->seller_key,
                                           purchase->second.refund_height);
    }
    const auto channel = m_wallet.m_store.channels().find(outpoint);
    if (channel == m_wallet.m_store.channels().end()) return std::nullopt;
    return consensus::MakeLockTemplate(channel->second.payer_key, channel->second.payee_key,
                                       channel->second.expiry_height);
}

crypto::SecretKey TransactionBuilder::LockSecret(const OutPoint& lock) const {
    const OwnedCoin& coin = CoinAt(lock);
    return coin.kind == CoinKind::kPurchase ? m_wallet.m_keychain.BuyerKey(coin.first_input)
                                            : m_wallet.m_keychain.ChannelPayerKey(coin.first_input, lock.index);
}

Status TransactionBuilder::Sign(MutableTransaction& tx, const std::optional<Bytes>& annex) {
    std::vector<TxOutput> spent;
    for (const TxInput& input : tx.inputs) spent.push_back(CoinAt(input.prevout).output);
    const consensus::SpendingTransaction spending(tx, std::move(spent));
    std::vector<WitnessStack> witnesses;
    for (size_t i = 0; i < tx.inputs.size(); ++i) {
        const OutPoint& prevout = tx.inputs[i].prevout;
        const auto its_annex = i == 0 ? annex : std::nullopt;
        const OwnedCoin& coin = CoinAt(prevout);
        WitnessStack witness;
        if (coin.key) {
            const auto hash = spending.SignatureHash(i, consensus::kSighashDefault, {}, its_annex);
            CHECK(hash.has_value());
            witness.push_back(
                ToBytes(m_wallet.m_keychain.OutputSecret(*coin.key).Sign(*hash, m_wallet.m_random.Array<32>()).bytes));
        } else {
            const auto lock = LockOf(prevout);
            if (!lock)
                return Fail(ErrorKind::kUnavailable,
                            "the terms of the purchase are not known to this node: sync it first");
            const auto hash = spending.SignatureHash(i, consensus::kSighashDefault,
                                                     consensus::ScriptPathData{lock->refund_leaf_hash}, its_annex);
            CHECK(hash.has_value());
            witness = consensus::RefundWitness(*lock, LockSecret(prevout).Sign(*hash, m_wallet.m_random.Array<32>()));
        }
        if (its_annex) witness.push_back(*its_annex);
        witnesses.push_back(std::move(witness));
    }
    for (size_t i = 0; i < tx.inputs.size(); ++i) tx.inputs[i].witness = std::move(witnesses[i]);
    return {};
}

Status TransactionBuilder::Verify(const MutableTransaction& tx) const {
    if (const auto verdict = consensus::CheckTransaction(m_wallet.m_network.params, Transaction(tx)); !verdict)
        return Fail(verdict.error().ToString());
    std::vector<TxOutput> spent;
    for (const TxInput& input : tx.inputs) spent.push_back(CoinAt(input.prevout).output);
    const consensus::SpendingTransaction spending(tx, std::move(spent));
    for (size_t i = 0; i < tx.inputs.size(); ++i) {
        const auto facts = consensus::VerifyInput(spending, i);
        if (!facts) return Fail(fmt::format("input {} does not verify: {}", i, facts.error()));
    }
    return {};
}

}  // namespace sluice::wallet
