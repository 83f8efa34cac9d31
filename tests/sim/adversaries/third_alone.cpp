#include "sim/adversaries/attacks.h"

// A third of the stake is cut off and builds more than k blocks alone, while the others build twice as many. Then it
// comes back: everybody ends on the branch of the two thirds, the third by undoing more than k blocks.

namespace sluice::sim {

Report RunThirdAlone(const ModelOptions& options) {
    Report report{.scenario = "third-alone", .seed = options.seed};
    const size_t nodes = options.nodes ? (options.nodes + 2) / 3 * 3 : 6;
    NetworkOptions network;
    network.stakes.assign(nodes, 1);
    network.k = 20;
    network.epoch_slots = 2'000;
    network.seed = options.seed;
    World world(options.seed, MakeStakeNetwork(network));
    world.AddMesh(nodes);
    world.RunSlots(200);
    const bool started = world.RunUntil([&] { return world.AllAgree(); }, seconds(120));
    const BlockHash fork = world[0].tip().hash();
    const Height at = world[0].tip().height();

    std::set<size_t> third;
    for (size_t i = 0; i < nodes / 3; ++i) third.insert(i);
    world.Partition(third);
    const auto alone = [&] { return world[0].tip().height() - at; };
    const auto together = [&] { return world[nodes - 1].tip().height() - at; };
    const uint64_t enough = network.k + network.k / 4;
    const uint64_t limit = options.slots ? options.slots : 3'000;
    world.RunUntil([&] { return alone() >= static_cast<int64_t>(enough); }, seconds(limit));
    AddFigure(report, "blocks that the third built alone", "k = 20", static_cast<double>(alone()));
    AddFigure(report, "blocks that two thirds built", "", static_cast<double>(together()));
    AddFigure(report, "slots apart", "", static_cast<double>(world.slot().value) - 200);
    const BlockHash of_third = world[0].tip().hash();
    const BlockHash of_rest = world[nodes - 1].tip().hash();

    world.Heal();
    const uint64_t healed = world.slot().value;
    const bool agreed = world.RunUntil([&] { return world.AllAgree(); }, seconds(600));
    Require(report, started, "the nodes did not agree before they were parted");
    Require(report, alone() >= 0 && agreed, "the nodes do not agree ten minutes after the partition healed");
    Require(report, Descends(world[0].chain(), of_rest), "the third is not on the branch of the two thirds");
    Require(report, Descends(world[nodes - 1].chain(), of_rest) && !Descends(world[nodes - 1].chain(), of_third),
            "the two thirds left their branch");
    Require(report, Descends(world[0].chain(), fork), "what both had agreed on is gone");
    Require(report, world.chronicle().max_reorg_depth() > network.k, "nothing deeper than k was undone: no attack");
    AddFigure(report, "slots until all agreed", "after it healed", static_cast<double>(world.slot().value - healed));
    Finish(report, world);
    return report;
}

}  // namespace sluice::sim
