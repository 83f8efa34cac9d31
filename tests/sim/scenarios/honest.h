#pragma once

#include "sim/scenario.h"

// Scenarios in which everybody follows the rules.

namespace sluice::sim {

Report RunGrowth(const Arguments& arguments);
Report RunLoss(const Arguments& arguments);
Report RunClockSkew(const Arguments& arguments);
Report RunPartition(const Arguments& arguments);
Report RunSync(const Arguments& arguments);
Report RunCrash(const Arguments& arguments);
Report RunStakeChurn(const Arguments& arguments);

// Growth, blocks made and blocks lost of the slots [from, to), with 95 % intervals from the spread between batches.
struct ChainFigures {
    models::Figure growth;    // blocks of the chain per slot
    models::Figure made;      // blocks made per slot
    models::Figure orphaned;  // share of those made, percent
};
ChainFigures MeasureChain(World& world, Slot from, Slot to, const std::string& where);
// The figures that `count` stakers of equal stake give when the blocks of others are not seen in the first `unseen`
// slots after their own, on average.
struct ChainTheory {
    double growth{0};
    double made{0};
    double orphaned_percent{0};
};
ChainTheory TheoryOf(const consensus::Params& params, size_t count, double unseen);
double Chosen(const Arguments& arguments, std::string_view setting);

}  // namespace sluice::sim
