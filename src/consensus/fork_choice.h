#pragma once

#include <span>

#include "consensus/header_rules.h"

// Fork choice: which of several branches of valid headers is the chain (protocol.md §2). Pure, and symmetric: the same
// for a node that is caught up and one that syncs, and whichever branch was seen first (but for equals).
//
// Let F be the last block that the branches share.
//
// 1. If no branch has more than k blocks after F: the longest. Of equally long ones the one with the lower tie-break
//    value if their tips' slots differ by at most 3, else the one seen first (BetterTip).
// 2. Otherwise the density rule: the one with the most blocks in the 3k/f slots after F. Of equally dense ones as in 1.
//
// Rationale of 1: within k blocks honest nodes disagree for a while as a matter of course, and whoever has the majority
// of stake makes the longest branch. A tie in neighbouring slots is a race of two honest blocks: lots that nobody can
// choose decide it, so that an adversary who delays messages cannot keep two halves apart [network-level tie-breaking].
// Apart from neighbouring slots the first seen stays, or else a block made on purpose long after would push others out.
//
// Rationale of 2 (Ouroboros Genesis): right after a fork the stake and the nonce of both branches are those of the
// shared past, so that blocks in the slots after it measure stake that cannot be made up: the majority is denser there
// whatever comes later. Length alone can be made up after that: with snapshots two epochs back, a branch of one's own
// can elect stake that is all one's own, and then be as long as slots allow [long-range; a fresh node fed a bad branch
// first; a third that built k blocks alone; a half/half partition that heals]. The window of 3k/f slots is in the same
// epoch or the next, which the shared past elects. While both tips lie in the window the rule is that of length.
//
// A branch competes by what is known of it: the headers that could be checked so far (the sync horizon), the blocks
// whose bodies are here. So a node goes over to a denser branch once the part that it has is denser, even if that is
// shorter than its own chain as yet, and goes back for nothing but more blocks in the window.
//
// Of three or more branches, those that share the most are compared first: the best of each side of a fork meets at
// that fork. Rationale: pairwise choice alone could go round in circles, since the rule depends on where two branches
// part.

namespace sluice::consensus {

// Slots after a fork in which the density rule counts: ⌊3k/f⌋.
uint64_t DensityWindowSlots(const Params& params);
// The last slot that counts. Precondition: fork_slot is below 2^41.
Slot DensityWindowEnd(const Params& params, Slot fork_slot);
// Whether branches, the highest of which ends at `highest`, are judged by density.
bool DensityDecides(const Params& params, Height fork, Height highest);

struct Branch {
    const HeaderState& tip;
    uint32_t in_window{0};  // blocks after the fork up to DensityWindowEnd; not read unless DensityDecides
};
// The index of the best of `branches`, which part at `fork` and are in order of preference: the first of equals.
// Precondition: at least one; every tip is higher than `fork`.
size_t BestBranch(const Params& params, const HeaderState& fork, std::span<const Branch> branches);

}  // namespace sluice::consensus
