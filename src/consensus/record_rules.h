#pragma once

#include "consensus/block_rules.h"

// The rules of records, for transaction_rules.cpp alone: what a record may say (form), and what it does to the state.

namespace sluice::consensus {

// A record with where it stands in its transaction.
struct PlacedRecord {
    uint32_t output{0};  // index of the OP_RETURN output
    Bytes bytes;         // as encoded
    Record record;
};

// Strict UTF-8 (no overlong forms, no surrogates, at most U+10FFFF) without control characters (C0, DEL, C1). A line
// feed is allowed only if `lines`.
bool IsCleanText(std::string_view text, bool lines = false);

// Chunks of a sealed file of `size_bytes`, and whether a sealed file can have this size: 17 bytes (one of plaintext) to
// 2^50, a last chunk of 17 bytes or more.
uint64_t ChunkCount(uint64_t size_bytes);
bool IsSealedSize(uint64_t size_bytes);

// The records of a transaction whose outputs all parse: their number, encoding, bindings to the next output, and form.
// At most one purchase, one grant and one settle.
Verdict<std::vector<PlacedRecord>> ParseRecords(const Params& params, const Transaction& tx);

// What each output becomes: an anchor, a lock, or a plain coin.
std::vector<CoinKind> OutputKinds(const Transaction& tx, const std::vector<PlacedRecord>& records);

// What the records and the spent anchors and locks of a transaction did.
struct RecordEffect {
    std::vector<OutPoint> superseded;       // anchors of publishes replaced or retired
    std::vector<uint32_t> pay_leaf_inputs;  // spend a purchase or channel through leaf 1
    std::vector<uint32_t> updated_inputs;   // spend the anchor of an updated claim, the bond of an updated staker
    std::optional<XOnlyPubKey> convicted;   // evidence: the key that both its headers must be signed with
};

// Applies records, and the spending of anchors, purchases, channels and bonds, to `state`, which the caller throws away
// on failure. `spent` has one coin for each input; coins are the caller's matter.
Verdict<RecordEffect> ApplyRecords(const Params& params, const TxContext& context, StateCache& state,
                                   const Transaction& tx, const std::vector<PlacedRecord>& records,
                                   const std::vector<Coin>& spent);

}  // namespace sluice::consensus
