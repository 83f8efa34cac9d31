#include <cmath>

#include "sim/models/model.h"
#include "sim/models/strategies.h"

// Growth of the chain and blocks orphaned by delay alone.

namespace sluice::sim::models {
namespace {

constexpr uint32_t kNodes = 25;
constexpr uint64_t kSlots = 4'000'000;

struct Row {
    uint32_t max_delay_ms;
    double expected_orphaned_percent;
};
constexpr Row kRows[] = {{1000, 4.9}, {2000, 9.7}, {3000, 13.1}};

// Blocks of the best chain for each slot. A block of slot t is the first of its height; in slot t + i a node extends it
// if it has heard of it by then, so the chain grows with the chance to lead of those nodes' stake. What a node may have
// heard of a second block of the same height is left out: it matters less than a percent of the result.
double TheoreticalGrowth(const consensus::Params& params, uint32_t nodes, uint32_t max_delay_ms) {
    const double f = double(params.active_slots_numerator) / params.active_slots_denominator;
    double waited = 0;  // expected slots to the next height
    double not_yet = 1;
    for (uint32_t i = 1; i * 1000 < max_delay_ms; ++i) {
        const double heard = 1.0 / nodes + (1 - 1.0 / nodes) * (i * 1000.0 / max_delay_ms);
        waited += not_yet;
        not_yet *= std::pow(1 - f, heard);
    }
    return 1 / (waited + not_yet / f);
}

}  // namespace

ModelReport RunGrowth(const ModelOptions& options) {
    ModelReport report{.scenario = "growth-model", .seed = options.seed};
    Trace trace;
    for (const Row& row : kRows) {
        WorldOptions world_options;
        world_options.honest_nodes = options.nodes ? options.nodes : kNodes;
        world_options.max_delay_ms = row.max_delay_ms;
        world_options.seed = options.seed * 1000 + row.max_delay_ms;
        SlotWorld world(world_options);
        SilentStrategy nobody;
        const uint64_t slots = options.slots ? options.slots : kSlots;
        world.Run(slots, nobody);
        world.AddTo(trace);

        std::vector<double> made, lost, height, length;
        for (const SlotWorld::Batch& batch : world.Batches(kBatches)) {
            made.push_back(batch.honest_made);
            lost.push_back((batch.honest_made - batch.honest_kept) * 100);
            height.push_back(batch.height);
            length.push_back(batch.slots);
            report.blocks += static_cast<uint64_t>(batch.honest_made);
            report.orphaned += static_cast<uint64_t>(batch.honest_made - batch.honest_kept);
        }
        report.slots += slots;
        if (!world.reorgs().empty())
            report.max_reorg_depth = std::max<uint64_t>(report.max_reorg_depth, world.reorgs().rbegin()->first);

        const double growth = TheoreticalGrowth(world_options.params, world_options.honest_nodes, row.max_delay_ms);
        const double rate =
            Chance(LeadLimit(world_options.params, 1, world_options.honest_nodes)) * world_options.honest_nodes;
        const std::string where = "delay up to " + std::to_string(row.max_delay_ms / 1000) + " s, " +
                                  std::to_string(world_options.honest_nodes) + " nodes";
        const Estimate orphaned = RatioOfSums(lost, made);
        report.figures.push_back({"orphaned percent", where, orphaned.value, orphaned.low, orphaned.high,
                                  100 * (1 - growth / rate), std::nullopt, row.expected_orphaned_percent});
        const Estimate grown = RatioOfSums(height, length);
        report.figures.push_back({"blocks a slot", where, grown.value, grown.low, grown.high, growth});
        // Nothing but delay costs blocks here: more than a tenth away from theory means that the model is wrong.
        if (std::abs(grown.value - growth) > 0.1 * growth) ++report.invariant_failures;
    }
    report.trace_hash = trace.Finish();
    return report;
}

}  // namespace sluice::sim::models
