#pragma once

#include <cstdint>
#include <vector>

#include "consensus/params.h"
#include "sim/models/fast_random.h"

namespace sluice::sim::models {

// A run of slots seen by both sides of a private attack, with the network at its worst for the honest: each of their
// blocks takes `delay_slots`, so that within so many slots of a block nobody else builds on it.
struct Race {
    // For each height h of the honest chain (0 is genesis):
    std::vector<uint32_t> slot;
    std::vector<uint64_t> tie_break;
    std::vector<uint32_t> won_at;      // slots that the adversary won up to and including slot[h]
    std::vector<uint32_t> won_before;  // ... up to the slot before slot[h + 1]
    std::vector<bool> tie_wins;        // whether its chain of the same height, as at that time, is better
    uint64_t honest_blocks{0};         // made, those beside the chain too
};
Race DrawRace(const consensus::Params& params, uint32_t adversary_permille, uint32_t delay_slots, uint64_t slots,
              FastRandom& random);

enum class Start {
    kWithTheBlock,  // the private chain forks off the parent of the block to be undone
    kBefore,        // ... or off any block before, whichever is best: it was at work all the time
};
// For each height from 1 on: how deep the block there is, itself counted, when it is undone for the last time (0:
// never). Linear in the race's length.
std::vector<uint32_t> UndoneDepths(const Race& race, Start start);

// The chance that a block is undone at depth d or more, for d = 1 ... max_depth at [d - 1], by the random walk of the
// race. `ties`: whether the adversary wins all ties or none, which bounds the truth from both sides. Below 10^-7 it
// says 0.
std::vector<double> UndoneByTheory(const consensus::Params& params, uint32_t adversary_permille, uint32_t delay_slots,
                                   Start start, bool ties, uint32_t max_depth);

}  // namespace sluice::sim::models
