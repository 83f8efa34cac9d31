#include "consensus/fork_choice.h"

#include <algorithm>

namespace sluice::consensus {

uint64_t DensityWindowSlots(const Params& params) {
    return 3 * uint64_t{params.k} * params.active_slots_denominator / params.active_slots_numerator;
}

Slot DensityWindowEnd(const Params& params, Slot fork_slot) { return fork_slot + DensityWindowSlots(params); }

bool DensityDecides(const Params& params, Height fork, Height highest) {
    return highest > fork && highest - fork > static_cast<int64_t>(params.k);
}

size_t BestBranch(const Params& params, const HeaderState& fork, std::span<const Branch> branches) {
    CHECK(!branches.empty());
    Height highest = fork.height;
    for (const Branch& branch : branches) {
        CHECK(branch.tip.height > fork.height);
        highest = std::max(highest, branch.tip.height);
    }
    const bool by_density = DensityDecides(params, fork.height, highest);
    const auto beats = [&](const Branch& candidate, const Branch& current) {
        return by_density && candidate.in_window != current.in_window ? candidate.in_window > current.in_window
                                                                      : BetterTip(candidate.tip, current.tip);
    };
    // Anew from the first whenever one is better: ties are broken between neighbouring slots only. Ends, since each
    // step raises (blocks in window, height, - tie-break value).
    size_t best = 0;
    for (size_t i = 0; i < branches.size();) {
        const bool better = i != best && beats(branches[i], branches[best]);
        if (better) best = i;
        i = better ? 0 : i + 1;
    }
    return best;
}

}  // namespace sluice::consensus
