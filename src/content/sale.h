#pragma once

#include <span>

#include "consensus/block_rules.h"
#include "consensus/templates.h"
#include "crypto/adaptor.h"

// The key sale (protocol.md §4), both sides, as pure steps.
//
//   buyer   MakePreSignature -> SealPreSignature (the annex of the purchase's first input) -> ... -> ExtractKey from
//   the grant's witness seller  OpenPreSignature -> VerifyPreSignature -> BuildGrant

namespace sluice::content {

// A purchase as the chain knows it (or as its buyer is about to make it).
struct LockedPurchase {
    OutPoint lock;
    TxOutput output;
    consensus::PurchaseState terms;
};

// The buyer's promise to grant: deterministic in (buyer key, purchase). kInvalid if a key is not on the curve or is not
// the purchase's.
Result<crypto::AdaptorSignature> MakePreSignature(const crypto::SecretKey& buyer_key, const LockedPurchase& purchase);
// The annex: 0x50 || box. `ephemeral` is fresh random.
Bytes SealPreSignature(const crypto::AdaptorSignature& pre_signature, const crypto::X25519PublicKey& unseal_key,
                       const crypto::X25519SecretKey& ephemeral);
Result<crypto::AdaptorSignature> OpenPreSignature(ByteSpan annex, const crypto::X25519SecretKey& unseal_key);
Status VerifyPreSignature(const LockedPurchase& purchase, const crypto::AdaptorSignature& pre_signature);
// The secret sold, from the witness of the grant's input; kInvalid if the witness is no grant or does not reveal it.
Result<crypto::SecretKey> ExtractKey(const LockedPurchase& purchase, const crypto::AdaptorSignature& pre_signature,
                                     const WitnessStack& witness);

// No grant is made so close to the refund height that a reorganisation could let both happen.
uint32_t GrantMarginBlocks(const consensus::Params& params);  // 2k
bool MayGrant(const consensus::Params& params, const LockedPurchase& purchase, Height tip);

struct GrantItem {
    LockedPurchase purchase;
    crypto::AdaptorSignature pre_signature;
    crypto::SecretKey secret;      // k or k_i: sold
    crypto::SecretKey seller_key;  // S
    // The key was given away already, by a grant that waits in mempools: the margin protects nothing any more, and
    // nothing is lost by granting once more, for a higher fee.
    bool revealed{false};
};
// Wallet coins that pay fees that the allowances do not cover; the wallet signs these inputs afterwards (their index
// follows the purchases').
struct GrantFunding {
    std::vector<std::pair<OutPoint, TxOutput>> inputs;
    std::vector<TxOutput> outputs;
};
struct Grant {
    MutableTransaction tx;  // the purchases' inputs are signed
    std::vector<TxOutput> spent;
    Amount fee;
    Amount burned;
};
// Grants up to kMaxGrantedPurchases in one transaction. What the allowances leave over fee and burn goes to
// `change_script` if it is worth an output, else to the fee. kFunds names what is missing to reach the fee rate;
// kUnavailable a purchase too near its refund.
// `revealed` items are granted up to their refund height.
Result<Grant> BuildGrant(const consensus::Params& params, Height tip, const std::vector<GrantItem>& items,
                         const Script& change_script, Amount fee_per_kvb, const GrantFunding& funding = {});

// What a grant costs and what its purchases bring beside the prices.
struct GrantMeasure {
    uint64_t vsize{0};
    Amount burned;     // for the grant record
    Amount allowance;  // of all purchases

    // At a fee rate: fee and burned; and what of it the allowances do not cover.
    Amount CostAt(Amount fee_per_kvb) const;
    Amount LackAt(Amount fee_per_kvb) const;
    // The highest fee rate at which the allowances, with `more` beside them, pay for it; 0 if there is none.
    Amount HighestRate(Amount more = {}) const;
};
// With `coins` wallet coins and an output of change to `change_script` (empty: none).
GrantMeasure MeasureGrant(const consensus::Params& params, std::span<const LockedPurchase* const> purchases,
                          size_t coins = 0, const Script& change_script = {});

// How a grant that no block takes is to be replaced. Pure, so that its whole behaviour is a table.
struct GrantPatience {
    Amount paid_per_kvb;          // by the grant as it is
    Amount market_per_kvb;        // what gets into a block soon
    uint32_t waited_blocks{0};    // since it was made, or replaced last
    int64_t blocks_to_margin{0};  // until no new grant could be made; negative: beyond
};
inline constexpr uint32_t kGrantPatienceBlocks = 3;
inline constexpr int64_t kGrantHurryBlocks = 30;
// The rate that a replacement should pay; nullopt: wait on. Never less than what relay asks of a replacement.
// Three blocks are waited for; near the margin one, and the rate doubles.
std::optional<Amount> NextGrantRate(const GrantPatience& patience);

}  // namespace sluice::content
