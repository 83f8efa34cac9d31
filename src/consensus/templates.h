#pragma once

#include "consensus/interpreter.h"
#include "crypto/aead.h"

// The two lock outputs that consensus rebuilds itself: purchases and channels. Both have BIP341's NUMS point as
// internal key and exactly two leaves:
//     leaf 1:  <owner> OP_CHECKSIGVERIFY <payee> OP_CHECKSIG
//     leaf 2:  <height> OP_CHECKLOCKTIMEVERIFY OP_DROP <owner> OP_CHECKSIG
// For a purchase the owner is the buyer's key B and the payee the seller's key S; for a channel payer and payee.

namespace sluice::consensus {

inline constexpr uint32_t kMaxLockHeight = 499'999'999;  // above, a lock time is a time

struct LockTemplate {
    Script output_script;  // OP_1 <output key>
    Script pay_leaf;       // leaf 1
    Script refund_leaf;    // leaf 2
    Bytes pay_control;     // control blocks
    Bytes refund_control;
    Hash256 pay_leaf_hash;
    Hash256 refund_leaf_hash;
};

// The leaves alone.
Script MakePayLeaf(const XOnlyPubKey& owner, const XOnlyPubKey& payee);
Script MakeRefundLeaf(const XOnlyPubKey& owner, Height refund_height);

// nullopt if a key is not on the curve or the height is 0 or over kMaxLockHeight.
std::optional<LockTemplate> MakeLockTemplate(const XOnlyPubKey& owner, const XOnlyPubKey& payee, Height refund_height);

// The form of the input that an owner signs with SINGLE|ANYONECANPAY for a grant or a voucher (protocol.md: nVersion 3,
// nLockTime 0, sequence 0xfffffffd, no annex): the hash to sign for spending `lock` through leaf 1 into `output` at the
// same index.
Hash256 SingleOutputSighash(const OutPoint& lock, const TxOutput& locked, const LockTemplate& lock_template,
                            const TxOutput& output);
inline constexpr int32_t kLockSpendVersion = 3;
inline constexpr uint32_t kLockSpendSequence = 0xfffffffd;

// The witness that spends through leaf 1: payee signature, owner signature, leaf, control block. The owner's is
// SINGLE|ANYONECANPAY (65 bytes), the payee's DEFAULT (64 bytes).
WitnessStack PayWitness(const LockTemplate& lock_template, const SchnorrSignature& owner_single,
                        const SchnorrSignature& payee_default);
// The witness that refunds through leaf 2 with a DEFAULT signature.
WitnessStack RefundWitness(const LockTemplate& lock_template, const SchnorrSignature& owner_default);

// H_tag of the first publish outpoint.
ClaimId MakeClaimId(const OutPoint& first_publish);

// The annex that carries a purchase's sealed pre-signature: 0x50 || box.
inline constexpr size_t kPurchaseAnnexBytes = 1 + 64 + crypto::kSealedBoxOverheadBytes;

}  // namespace sluice::consensus
