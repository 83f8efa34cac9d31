#include "consensus/templates.h"

#include "primitives/script.h"

namespace sluice::consensus {
namespace {

constexpr uint8_t kTapscriptVersion = 0xc0;
constexpr uint8_t kSingleAnyoneCanPay = kSighashSingle | kSighashAnyoneCanPay;

// BIP341: leaf version and parity of the output key, internal key, path.
Bytes ControlBlock(bool odd_y, const Hash256& sibling) {
    Writer control;
    control(static_cast<uint8_t>(kTapscriptVersion | (odd_y ? 1 : 0)), crypto::kNumsKey, sibling);
    return control.Take();
}

}  // namespace

Script MakePayLeaf(const XOnlyPubKey& owner, const XOnlyPubKey& payee) {
    return ScriptBuilder().Push(owner.bytes).Op(kOpCheckSigVerify).Push(payee.bytes).Op(kOpCheckSig).Take();
}

Script MakeRefundLeaf(const XOnlyPubKey& owner, Height refund_height) {
    return ScriptBuilder()
        .Number(refund_height.value)
        .Op(kOpCheckLockTimeVerify)
        .Op(kOpDrop)
        .Push(owner.bytes)
        .Op(kOpCheckSig)
        .Take();
}

std::optional<LockTemplate> MakeLockTemplate(const XOnlyPubKey& owner, const XOnlyPubKey& payee, Height refund_height) {
    if (refund_height.value == 0 || refund_height.value > kMaxLockHeight) return std::nullopt;
    if (!crypto::IsOnCurve(owner) || !crypto::IsOnCurve(payee)) return std::nullopt;
    LockTemplate lock;
    lock.pay_leaf = MakePayLeaf(owner, payee);
    lock.refund_leaf = MakeRefundLeaf(owner, refund_height);
    lock.pay_leaf_hash = TapLeafHash(lock.pay_leaf);
    lock.refund_leaf_hash = TapLeafHash(lock.refund_leaf);
    const auto output = crypto::TapTweak(crypto::kNumsKey, TapBranchHash(lock.pay_leaf_hash, lock.refund_leaf_hash));
    if (!output) return std::nullopt;
    lock.output_script = TaprootScript(output->key);
    lock.pay_control = ControlBlock(output->odd_y, lock.refund_leaf_hash);
    lock.refund_control = ControlBlock(output->odd_y, lock.pay_leaf_hash);
    return lock;
}

Hash256 SingleOutputSighash(const OutPoint& lock, const TxOutput& locked, const LockTemplate& lock_template,
                            const TxOutput& output) {
    // SINGLE|ANYONECANPAY commits to nothing of the transaction but what this smallest one has.
    MutableTransaction tx;
    tx.version = kLockSpendVersion;
    tx.inputs.push_back({lock, {}, kLockSpendSequence, {}});
    tx.outputs.push_back(output);
    const auto hash = SpendingTransaction(tx, {locked})
                          .SignatureHash(0, kSingleAnyoneCanPay, ScriptPathData{lock_template.pay_leaf_hash});
    CHECK(hash.has_value());
    return *hash;
}

WitnessStack PayWitness(const LockTemplate& lock_template, const SchnorrSignature& owner_single,
                        const SchnorrSignature& payee_default) {
    Bytes owner = ToBytes(owner_single.bytes);
    owner.push_back(kSingleAnyoneCanPay);
    return {ToBytes(payee_default.bytes), std::move(owner), lock_template.pay_leaf, lock_template.pay_control};
}

WitnessStack RefundWitness(const LockTemplate& lock_template, const SchnorrSignature& owner_default) {
    return {ToBytes(owner_default.bytes), lock_template.refund_leaf, lock_template.refund_control};
}

ClaimId MakeClaimId(const OutPoint& first_publish) {
    static const crypto::Sha256 kTag = crypto::TaggedHasher("Sluice/claim");
    return CastHash<ClaimId>(crypto::Sha256(kTag).Write(Encode(first_publish)).Finish());
}

}  // namespace sluice::consensus
