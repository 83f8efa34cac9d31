#pragma once

#include <functional>
#include <span>

#include "consensus/header_rules.h"
#include "consensus/interpreter.h"

// Which transactions and blocks are valid, and what they do to the state. Pure functions of (params, state, block).

namespace sluice::consensus {

inline constexpr size_t kMaxRecordsPerBlock = 500;
// A quarter of the stripped bytes that a full block has. Rationale: a share of the block's own size would keep a large
// record out of every block that is not nearly full, so a quiet network could not publish.
inline constexpr size_t kMaxRecordBytesPerBlock = kMaxBlockWeight / kWitnessScaleFactor / 4;

// The block that a transaction is (or would be) part of.
struct TxContext {
    Height height;
    Slot slot;
    Slot parent_slot;  // lock times compare with the parent's time
};

// A BIP340 signature to verify.
struct SignatureCheck {
    XOnlyPubKey key;
    Hash256 message;
    crypto::SchnorrSignature signature;
};

// Signature work of one transaction, to be run on any thread: verifies every input and the rules on how a transaction
// with records is signed. Owns all it needs.
struct SpendCheck {
    TransactionRef tx;
    std::vector<Coin> spent;  // one for each input
    bool bears_record{false};
    std::vector<uint32_t>
        pay_leaf_inputs;  // spend a purchase or channel through leaf 1: its owner may sign SINGLE|ANYONECANPAY
    std::vector<uint32_t>
        updated_inputs;  // spend the anchor or bond that a record updates: signed DEFAULT or ALL themselves
    std::vector<SignatureCheck> evidence;  // if any, these take the place of the input's: the two headers' signatures
    Verdict<void> Run() const;

  private:
    Verdict<void> RunEvidence() const;
};

// What a transaction did, beside its changes to the state.
struct TxEffect {
    Amount fee;  // inputs + accrued - outputs - burned: goes to the block's producer
    Amount burned;
    Amount accrued;  // came out of the pots of the stakers whose stake coins it spends
    size_t record_count{0};
    size_t record_bytes{0};
    SpendCheck spends;
    std::vector<OutPoint>
        superseded;  // anchors of the publishes that it replaced or retired: ConnectBlock schedules their erasure
};

// Rules that need no state: sizes, values, output forms, duplicate inputs, records' form, at most one purchase, annex
// only where a purchase carries its pre-signature.
Verdict<void> CheckTransaction(const Params& params, const Transaction& tx);

// Applies a transaction that is not a coinbase to `state` (untouched if it is invalid), without its signature work,
// which the caller runs. Checks form too. LedgerTotals and PublishExpiry are kept by ConnectBlock, once a block.
Verdict<TxEffect> ApplyTransaction(const Params& params, const TxContext& context, StateCache& state,
                                   const TransactionRef& tx);

// Rules of a block that need no state: size, merkle roots (kMutatedBody if they fail), coinbase first and only there,
// coinbase commits to the height, every transaction's form, record limits.
Verdict<void> CheckBlock(const Params& params, const Block& block);

// Runs signature work; may do it in parallel. Returns the first failure in order.
using SpendRunner = std::function<Verdict<void>(std::span<const SpendCheck>)>;
Verdict<void> RunSpendsInOrder(std::span<const SpendCheck> checks);

// What a block needs to know beside the state before it.
struct BlockContext {
    HeaderState parent;
    HeaderState self;                // from CheckHeader
    const StakeSnapshot& elects;     // of self.elects
    Hash256 previous_snapshot_hash;  // hash of the snapshot of self.previous, which the commitment binds
};

// The effect of `block` on `state`, which is the state after its parent. Checks everything that CheckHeader did not.
Verdict<StateDelta> ConnectBlock(const Params& params, const BlockContext& context, const StateReader& state,
                                 const Block& block, const SpendRunner& run = RunSpendsInOrder);

// The most that a block in `epoch` mints (protocol.md §1): the epoch's share of the reserve, evenly over the expected
// blocks. rewards.h says who gets it.
Amount BlockSubsidy(const Params& params, const LedgerTotals& before, Epoch epoch);

// The coinbase of a block: pays `reward` to `payout_script`, commits to the height.
MutableTransaction MakeCoinbase(Height height, Amount reward, const Script& payout_script);

// Burned for a record of this many bytes.
Amount RecordFee(const Params& params, size_t record_bytes);
// Least value of the anchor of a publish record of this many bytes.
Amount MinAnchor(const Params& params, size_t record_bytes);

}  // namespace sluice::consensus
