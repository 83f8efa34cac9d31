#include <cmath>

#include "sim/models/model.h"
#include "sim/models/strategies.h"

// Blocks that are kept back: for ever, for some slots, from half of the nodes, or until the public chain catches up.

namespace sluice::sim::models {
namespace {

constexpr uint32_t kNodes = 20;
constexpr uint64_t kSlots = 1'000'000;
constexpr uint32_t kMaxDelayMs = 2000;
constexpr uint32_t kPercents[] = {10, 30, 45};
constexpr uint32_t kDelays[] = {2, 4, 8, 16, 32, 64};

struct Outcome {
    Estimate growth;           // heights a slot
    Estimate honest_orphaned;  // percent of the honest blocks
    Estimate own_kept;         // percent of the adversary's
    std::map<uint32_t, uint64_t> reorgs;
};

Outcome Run(ModelReport& report, Trace& trace, const WorldOptions& options, uint64_t slots, Strategy& strategy) {
    SlotWorld world(options);
    world.Run(slots, strategy);
    world.AddTo(trace);
    std::vector<double> height, length, honest, honest_lost, own, own_kept;
    for (const SlotWorld::Batch& batch : world.Batches(kBatches)) {
        height.push_back(batch.height);
        length.push_back(batch.slots);
        honest.push_back(batch.honest_made);
        honest_lost.push_back(100 * (batch.honest_made - batch.honest_kept));
        own.push_back(batch.adversarial_made);
        own_kept.push_back(100 * batch.adversarial_kept);
        report.blocks += static_cast<uint64_t>(batch.honest_made + batch.adversarial_made);
        report.orphaned += static_cast<uint64_t>(batch.honest_made + batch.adversarial_made - batch.height);
    }
    report.slots += slots;
    if (!world.reorgs().empty())
        report.max_reorg_depth = std::max<uint64_t>(report.max_reorg_depth, world.reorgs().rbegin()->first);
    return {RatioOfSums(height, length), RatioOfSums(honest_lost, honest), RatioOfSums(own_kept, own), world.reorgs()};
}

void Push(ModelReport& report, std::string name, const std::string& where, const Estimate& estimate,
          std::optional<double> theory = std::nullopt) {
    report.figures.push_back({std::move(name), where, estimate.value, estimate.low, estimate.high, theory});
}

}  // namespace

ModelReport RunWithholding(const ModelOptions& options) {
    ModelReport report{.scenario = "withholding", .seed = options.seed};
    Trace trace;
    const uint64_t slots = options.slots ? options.slots : kSlots;
    for (const uint32_t percent : kPercents) {
        WorldOptions world;
        world.adversary_permille = percent * 10;
        world.honest_nodes = options.nodes ? options.nodes : kNodes;
        world.max_delay_ms = kMaxDelayMs;
        world.seed = options.seed * 1000 + percent;
        const std::string who = "adversary " + std::to_string(percent) + " %";
        const double theirs = Chance(LeadLimit(world.params, 100 - percent, 100));
        const double growth = 1 / (1 / theirs + 0.5);  // as in chain-quality

        SilentStrategy silent;
        const Outcome alone = Run(report, trace, world, slots, silent);
        Push(report, "blocks a slot", who + ", never shown", alone.growth, growth);
        Push(report, "honest orphaned percent", who + ", never shown", alone.honest_orphaned);
        // A silent adversary takes nothing but its own blocks.
        if (std::abs(alone.growth.value - growth) > 0.1 * growth) ++report.invariant_failures;

        for (const uint32_t early : {0u, 50u}) {
            for (const uint32_t delay : kDelays) {
                LateStrategy late(delay, early);
                const Outcome outcome = Run(report, trace, world, slots, late);
                const std::string where = who + ", shown " + std::to_string(delay) + " slots late" +
                                          (early == 0 ? "" : ", half of the nodes at once");
                Push(report, "honest orphaned percent", where, outcome.honest_orphaned);
                Push(report, "own blocks kept percent", where, outcome.own_kept);
                Push(report, "blocks a slot", where, outcome.growth);
                if (outcome.growth.high < 0.9 * growth) ++report.invariant_failures;  // worse than staying away
            }
        }
        SelfishStrategy selfish;
        const Outcome caught = Run(report, trace, world, slots, selfish);
        const std::string where = who + ", shown when caught up";
        Push(report, "honest orphaned percent", where, caught.honest_orphaned);
        Push(report, "own blocks kept percent", where, caught.own_kept);
        Push(report, "blocks a slot", where, caught.growth, growth);
        for (const uint32_t depth : {2u, 3u, 6u, 12u}) {
            double deep = 0;
            for (const auto& [d, times] : caught.reorgs)
                if (d >= depth) deep += static_cast<double>(times);
            // Of all nodes; the spread as if every event were seen by all nodes at once (Poisson).
            const double events = deep / world.honest_nodes;
            const double unit = 1e5 / static_cast<double>(slots);
            const double spread = 1.96 * std::sqrt(events);
            report.figures.push_back({"reorgs of " + std::to_string(depth) + " blocks and more in 10^5 slots", where,
                                      events * unit, std::max(0.0, events - spread) * unit, (events + spread) * unit});
        }
    }
    report.trace_hash = trace.Finish();
    return report;
}

}  // namespace sluice::sim::models
