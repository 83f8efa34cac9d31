#include <cmath>

#include "sim/models/model.h"
#include "sim/models/strategies.h"

// The adversary's share of the chain's blocks, following the rules and not.

namespace sluice::sim::models {
namespace {

constexpr uint32_t kNodes = 20;
constexpr uint64_t kSlots = 1'000'000;
constexpr uint32_t kMaxDelayMs = 2000;
constexpr uint32_t kPercents[] = {10, 15, 20, 25, 30, 35, 40, 45};

// Eyal and Sirer's share of a selfish pool of `a` of all production, where `g` of the honest build on its branch in a
// tie.
double SelfishShare(double a, double g) {
    const double b = 1 - a;
    return (a * b * b * (4 * a + g * (1 - 2 * a)) - a * a * a) / (1 - a * (1 + (2 - a) * a));
}

Estimate Run(ModelReport& report, Trace& trace, const WorldOptions& options, uint64_t slots, Strategy& strategy) {
    SlotWorld world(options);
    world.Run(slots, strategy);
    world.AddTo(trace);
    std::vector<double> mine, all;
    for (const SlotWorld::Batch& batch : world.Batches(kBatches)) {
        mine.push_back(batch.adversarial_kept * 100);
        all.push_back(batch.height);
        const double made = batch.honest_made + batch.adversarial_made;
        report.blocks += static_cast<uint64_t>(made);
        report.orphaned += static_cast<uint64_t>(made - batch.height);
    }
    report.slots += slots;
    if (!world.reorgs().empty())
        report.max_reorg_depth = std::max<uint64_t>(report.max_reorg_depth, world.reorgs().rbegin()->first);
    return RatioOfSums(mine, all);
}

}  // namespace

ModelReport RunChainQuality(const ModelOptions& options) {
    ModelReport report{.scenario = "chain-quality", .seed = options.seed};
    Trace trace;
    for (const uint32_t percent : kPercents) {
        WorldOptions world;
        world.adversary_permille = percent * 10;
        world.honest_nodes = options.nodes ? options.nodes : kNodes;
        world.max_delay_ms = kMaxDelayMs;
        world.seed = options.seed * 1000 + percent;
        const uint64_t slots = options.slots ? options.slots : kSlots;
        const std::string where = "adversary " + std::to_string(percent) + " %, delay up to 2 s";

        const double mine = Chance(LeadLimit(world.params, percent, 100));
        const double theirs = Chance(LeadLimit(world.params, 100 - percent, 100));
        // Half of the nodes miss a block of the slot before theirs: the honest chain grows once in 1/theirs + 1/2
        // slots.
        const double growth = 1 / (1 / theirs + 0.5);
        const double bound = 100 * std::min(1.0, mine / growth);

        HonestStrategy honest;
        const Estimate fair = Run(report, trace, world, slots, honest);
        report.figures.push_back({"adversarial blocks percent, rules followed", where, fair.value, fair.low, fair.high,
                                  static_cast<double>(percent)});
        SelfishStrategy selfish;
        const Estimate taken = Run(report, trace, world, slots, selfish);
        const double share = mine / (mine + growth);
        report.figures.push_back({"adversarial blocks percent, selfish", where, taken.value, taken.low, taken.high,
                                  100 * SelfishShare(share, 0), 100 * SelfishShare(share, 1)});
        report.figures.push_back({"honest blocks percent, selfish; theory: least", where, 100 - taken.value,
                                  100 - taken.high, 100 - taken.low, 100 - bound});
        // No strategy makes each of its blocks cost the others more than one: Praos' chain quality.
        if (taken.low > bound) ++report.invariant_failures;
        if (fair.low > percent * 1.1) ++report.invariant_failures;
    }
    report.trace_hash = trace.Finish();
    return report;
}

}  // namespace sluice::sim::models
