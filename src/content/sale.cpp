#include "content/sale.h"

#include "primitives/script.h"

namespace sluice::content {
namespace {

constexpr uint8_t kAnnexPrefix = 0x50;
constexpr size_t kPreSignatureBytes = 64;
constexpr Amount kLeastChange{330};
constexpr size_t kPayWitnessBytes = 1 + (1 + 64) + (1 + 65) + (1 + 68) + (1 + 65);
constexpr size_t kKeyWitnessBytes = 1 + (1 + 64);  // of a wallet's taproot input

struct Promise {
    consensus::LockTemplate lock;
    Hash256 hash;  // what the buyer signs
};

Result<Promise> PromiseOf(const LockedPurchase& purchase) {
    const consensus::PurchaseState& terms = purchase.terms;
    auto lock = consensus::MakeLockTemplate(terms.buyer_key, terms.seller_key, terms.refund_height);
    if (!lock) return Fail("the purchase's keys or refund height cannot be");
    if (purchase.output.script != lock->output_script)
        return Fail("the purchase's output is not the lock that its terms stand for");
    const Hash256 hash =
        consensus::SingleOutputSighash(purchase.lock, purchase.output, *lock, {terms.price, terms.payout_script});
    return Promise{std::move(*lock), hash};
}

}  // namespace

Result<crypto::AdaptorSignature> MakePreSignature(const crypto::SecretKey& buyer_key, const LockedPurchase& purchase) {
    if (buyer_key.XOnly() != purchase.terms.buyer_key) return Fail("the buyer key is not the purchase's");
    ASSIGN_OR_RETURN(const Promise promise, PromiseOf(purchase));
    const auto signature = crypto::AdaptorSign(buyer_key, promise.hash, purchase.terms.key);
    if (!signature) return Fail("the key commitment of the publish is not on the curve");
    return *signature;
}

Bytes SealPreSignature(const crypto::AdaptorSignature& pre_signature, const crypto::X25519PublicKey& unseal_key,
                       const crypto::X25519SecretKey& ephemeral) {
    Bytes annex{kAnnexPrefix};
    const Bytes box = crypto::SealBox(unseal_key, Encode(pre_signature), ephemeral);
    annex.insert(annex.end(), box.begin(), box.end());
    CHECK(annex.size() == consensus::kPurchaseAnnexBytes);
    return annex;
}

Result<crypto::AdaptorSignature> OpenPreSignature(ByteSpan annex, const crypto::X25519SecretKey& unseal_key) {
    if (annex.size() != consensus::kPurchaseAnnexBytes || annex[0] != kAnnexPrefix)
        return Fail("the annex is not 0x50 and a box of " + std::to_string(consensus::kPurchaseAnnexBytes - 1) +
                    " bytes");
    const auto opened = crypto::OpenBox(unseal_key, annex.subspan(1));
    if (!opened || opened->size() != kPreSignatureBytes) return Fail("the annex is not sealed to this unseal key");
    return Decode<crypto::AdaptorSignature>(*opened);
}

Status VerifyPreSignature(const LockedPurchase& purchase, const crypto::AdaptorSignature& pre_signature) {
    if (purchase.output.value < purchase.terms.price) return Fail("the lock holds less than the price");
    ASSIGN_OR_RETURN(const Promise promise, PromiseOf(purchase));
    if (!crypto::AdaptorVerify(purchase.terms.buyer_key, promise.hash, purchase.terms.key, pre_signature))
        return Fail("the pre-signature does not promise this grant");
    return {};
}

Result<crypto::SecretKey> ExtractKey(const LockedPurchase& purchase, const crypto::AdaptorSignature& pre_signature,
                                     const WitnessStack& witness) {
    ASSIGN_OR_RETURN(const Promise promise, PromiseOf(purchase));
    if (witness.size() != 4 || witness[2] != promise.lock.pay_leaf)
        return Fail("the purchase was not spent through its pay leaf");
    const Bytes& owner = witness[1];
    if (owner.size() != 65) return Fail("the buyer's signature in the grant has not 65 bytes");
    const auto signature = SchnorrSignature::FromBytes(ByteSpan(owner).first(64));
    auto key = crypto::AdaptorExtract(pre_signature, *signature, purchase.terms.key);
    if (!key) return Fail("the grant does not reveal the key: its signature was not completed from this pre-signature");
    return std::move(*key);
}

uint32_t GrantMarginBlocks(const consensus::Params& params) { return 2 * params.k; }

bool MayGrant(const consensus::Params& params, const LockedPurchase& purchase, Height tip) {
    return uint64_t{tip.value} + GrantMarginBlocks(params) < purchase.terms.refund_height.value;
}

namespace {

Status AddItem(const consensus::Params& params, Height tip, const GrantItem& item, Grant& grant, GrantRecord& record,
               uint64_t& allowance) {
    const std::string name = "purchase " + item.purchase.lock.ToString();
    if (item.revealed ? tip >= item.purchase.terms.refund_height : !MayGrant(params, item.purchase, tip))
        return Fail(ErrorKind::kUnavailable, name + " can be refunded at height " +
                                                 ToString(item.purchase.terms.refund_height) + ", less than " +
                                                 std::to_string(GrantMarginBlocks(params)) +
                                                 " blocks from now: it is not granted any more");
    if (item.seller_key.XOnly() != item.purchase.terms.seller_key) return Fail(name + ": the seller key is another");
    if (item.secret.Public() != item.purchase.terms.key) return Fail(name + ": the secret is not that of the key sold");
    if (const Status verified = VerifyPreSignature(item.purchase, item.pre_signature); !verified)
        return Fail(name + ": " + verified.error().message);
    grant.tx.inputs.push_back({item.purchase.lock, {}, consensus::kLockSpendSequence, {}});
    grant.tx.outputs.push_back({item.purchase.terms.price, item.purchase.terms.payout_script});
    grant.spent.push_back(item.purchase.output);
    record.purchases.push_back(item.purchase.lock);
    allowance += item.purchase.output.value.drops - item.purchase.terms.price.drops;
    return {};
}

Status SignItems(const std::vector<GrantItem>& items, Grant& grant) {
    std::vector<WitnessStack> witnesses;
    {
        const consensus::SpendingTransaction spending(grant.tx, grant.spent);
        for (size_t i = 0; i < items.size(); ++i) {
            ASSIGN_OR_RETURN(const Promise promise, PromiseOf(items[i].purchase));
            const auto owner = crypto::AdaptorComplete(items[i].pre_signature, items[i].secret);
            if (!owner) return Fail("a pre-signature cannot be completed");
            const auto hash = spending.SignatureHash(i, consensus::kSighashDefault,
                                                     consensus::ScriptPathData{promise.lock.pay_leaf_hash});
            CHECK(hash.has_value());
            witnesses.push_back(consensus::PayWitness(promise.lock, *owner, items[i].seller_key.Sign(*hash)));
        }
    }
    for (size_t i = 0; i < items.size(); ++i) grant.tx.inputs[i].witness = std::move(witnesses[i]);
    const consensus::SpendingTransaction spending(grant.tx, grant.spent);
    for (size_t i = 0; i < items.size(); ++i) {
        if (const auto verified = consensus::VerifyInput(spending, i); !verified)
            return Fail("purchase " + items[i].purchase.lock.ToString() + " cannot be granted: " + verified.error());
    }
    return {};
}

}  // namespace

Result<Grant> BuildGrant(const consensus::Params& params, Height tip, const std::vector<GrantItem>& items,
                         const Script& change_script, Amount fee_per_kvb, const GrantFunding& funding) {
    if (items.empty() || items.size() > kMaxGrantedPurchases)
        return Fail("a grant is of 1 to " + std::to_string(kMaxGrantedPurchases) + " purchases");
    Grant grant;
    GrantRecord record;
    grant.tx.version = consensus::kLockSpendVersion;
    uint64_t allowance = 0;
    for (const GrantItem& item : items) RETURN_IF_ERROR(AddItem(params, tip, item, grant, record, allowance));
    const Bytes record_bytes = EncodeRecord(record);
    grant.tx.outputs.push_back({Amount(0), RecordScript(record_bytes)});
    for (const auto& [outpoint, output] : funding.inputs) {
        grant.tx.inputs.push_back({outpoint, {}, consensus::kLockSpendSequence, {}});
        grant.spent.push_back(output);
        allowance += output.value.drops;
    }
    uint64_t spent_elsewhere = 0;
    for (const TxOutput& output : funding.outputs) {
        grant.tx.outputs.push_back(output);
        spent_elsewhere += output.value.drops;
    }
    grant.burned = consensus::RecordFee(params, record_bytes.size());

    const auto fee_now = [&] {
        const size_t weight = grant.tx.ToBytes(false).size() * kWitnessScaleFactor + 2 +
                              items.size() * kPayWitnessBytes + funding.inputs.size() * kKeyWitnessBytes;
        const uint64_t vsize = (weight + kWitnessScaleFactor - 1) / kWitnessScaleFactor;
        return (vsize * fee_per_kvb.drops + 999) / 1'000;
    };
    const uint64_t committed = spent_elsewhere + grant.burned.drops;
    const uint64_t needed = committed + fee_now();
    if (allowance < needed)
        return Fail(ErrorKind::kFunds, "the fee allowance lacks " + std::to_string(needed - allowance) +
                                           " drops: add a wallet coin or wait for lower fees");
    if (!change_script.empty()) {
        grant.tx.outputs.push_back({Amount(0), change_script});
        const uint64_t with_change = committed + fee_now();
        if (allowance >= with_change + kLeastChange.drops) {
            grant.tx.outputs.back().value = Amount(allowance - with_change);
            spent_elsewhere += grant.tx.outputs.back().value.drops;
        } else {
            grant.tx.outputs.pop_back();
        }
    }
    grant.fee = Amount(allowance - spent_elsewhere - grant.burned.drops);
    RETURN_IF_ERROR(SignItems(items, grant));
    return grant;
}

Amount GrantMeasure::CostAt(Amount fee_per_kvb) const {
    return Amount((vsize * fee_per_kvb.drops + 999) / 1'000 + burned.drops);
}

Amount GrantMeasure::LackAt(Amount fee_per_kvb) const {
    const Amount cost = CostAt(fee_per_kvb);
    return cost > allowance ? Amount(cost.drops - allowance.drops) : Amount(0);
}

Amount GrantMeasure::HighestRate(Amount more) const {
    const uint64_t money = allowance.drops + more.drops;
    if (money <= burned.drops) return {};
    return Amount((money - burned.drops) * 1'000 / vsize);
}

GrantMeasure MeasureGrant(const consensus::Params& params, std::span<const LockedPurchase* const> purchases,
                          size_t coins, const Script& change_script) {
    MutableTransaction tx;
    tx.version = consensus::kLockSpendVersion;
    GrantRecord record;
    GrantMeasure measure;
    for (const LockedPurchase* purchase : purchases) {
        tx.inputs.push_back({purchase->lock, {}, consensus::kLockSpendSequence, {}});
        tx.outputs.push_back({purchase->terms.price, purchase->terms.payout_script});
        record.purchases.push_back(purchase->lock);
        measure.allowance.drops += purchase->output.value.drops - purchase->terms.price.drops;
    }
    const Bytes encoded = EncodeRecord(record);
    tx.outputs.push_back({Amount(0), RecordScript(encoded)});
    for (size_t i = 0; i < coins; ++i) tx.inputs.push_back({{}, {}, consensus::kLockSpendSequence, {}});
    if (!change_script.empty()) tx.outputs.push_back({Amount(0), change_script});
    const size_t weight = tx.ToBytes(false).size() * kWitnessScaleFactor + 2 + purchases.size() * kPayWitnessBytes +
                          coins * kKeyWitnessBytes;
    measure.vsize = (weight + kWitnessScaleFactor - 1) / kWitnessScaleFactor;
    measure.burned = consensus::RecordFee(params, encoded.size());
    return measure;
}

std::optional<Amount> NextGrantRate(const GrantPatience& patience) {
    constexpr uint64_t kIncrement = 1'000;  // of relay, per replacement
    const bool hurry = patience.blocks_to_margin < kGrantHurryBlocks;
    if (patience.waited_blocks < (hurry ? 1 : kGrantPatienceBlocks)) return std::nullopt;
    const uint64_t paid = patience.paid_per_kvb.drops;
    const uint64_t raised = hurry ? 2 * paid : paid + paid / 4;
    return Amount(std::max({raised, paid + kIncrement + kIncrement / 8, patience.market_per_kvb.drops}));
}

}  // namespace sluice::content
