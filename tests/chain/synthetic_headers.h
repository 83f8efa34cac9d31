#pragma once

#include "chain/header_tree.h"
#include "consensus/genesis.h"
#include "util/random.h"

// Headers whose proofs are made up, for tests and benches of the tree alone.

namespace sluice::chain {

struct SyntheticHeader {
    BlockHeader header;
    consensus::HeaderState state;
};

inline SyntheticHeader MakeSyntheticHeader(const consensus::Params& params, const consensus::HeaderState& parent,
                                           Slot slot, StakerId staker, RandomSource& random) {
    SyntheticHeader made;
    made.header.prev = parent.hash;
    made.header.slot = slot;
    made.header.height = parent.height + 1;
    made.header.staker = staker;
    random.Fill(made.header.tx_root.bytes);
    random.Fill(made.header.signature.bytes);
    made.state = parent;
    made.state.hash = made.header.Hash();
    made.state.prev = parent.hash;
    made.state.height = made.header.height;
    made.state.slot = slot;
    made.state.epoch = params.EpochOf(slot);
    random.Fill(made.state.tie_break.bytes);
    return made;
}

// f = 1 / `slots_per_block`.
inline consensus::Params SyntheticParams(uint32_t k, uint32_t slots_per_block = 10) {
    consensus::Params params;
    params.network = "synthetic";
    params.k = k;
    params.active_slots_denominator = slots_per_block;
    params.epoch_slots = 10 * uint64_t{k} * params.active_slots_denominator / params.active_slots_numerator;
    return params;
}

inline SyntheticHeader SyntheticGenesis() {
    SyntheticHeader genesis;
    genesis.state.hash = genesis.header.Hash();
    return genesis;
}

}  // namespace sluice::chain
