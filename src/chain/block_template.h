#pragma once

#include "chain/header_tree.h"
#include "chain/mempool.h"
#include "consensus/genesis.h"

namespace sluice::chain {

struct BlockTemplate {
    std::vector<TransactionRef> transactions;  // the coinbase first
    Amount fees;
    Amount reward;  // what the coinbase pays
    size_t weight{0};
    size_t records{0};
};

// The best-paying block on top of `parent` that `mempool` (whose tip is `parent`) has, by fee rate with ancestors,
// within the limits on weight and records. Each transaction is applied to a copy of the state, so the block is valid.
// `producer`: the entry of the staker in the snapshot that elects the slot: its commission and payout script.
BlockTemplate BuildTemplate(const consensus::Params& params, const consensus::StateReader& state,
                            const Mempool& mempool, const consensus::HeaderState& parent, Slot slot,
                            const consensus::SnapshotEntry& producer);

// The signed block of a template. `previous_snapshot` is the hash of the snapshot of NextContext(parent,
// slot).previous.
Block MakeSignedBlock(const BlockHash& genesis, const consensus::HeaderState& parent, Slot slot,
                      const crypto::VrfProof& proof, const consensus::OperatorKeys& keys,
                      const Hash256& previous_snapshot, std::vector<TransactionRef> transactions);

}  // namespace sluice::chain
