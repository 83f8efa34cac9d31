#include <fmt/format.h>

#include <algorithm>

#include "sim/scenarios/honest.h"

// Networks that fall apart, nodes that go down, nodes that come late.

namespace sluice::sim {
namespace {

constexpr microseconds kTimerGrain = milliseconds(250);

std::set<size_t> FirstNodes(size_t count) {
    std::set<size_t> first;
    for (size_t i = 0; i < count; ++i) first.insert(i);
    return first;
}

}  // namespace

// Nodes run together for `slots`, apart, and together again.
Report RunPartition(const Arguments& arguments) {
    NetworkOptions network;
    network.stakes.assign(arguments.nodes, 1);
    network.k = static_cast<uint32_t>(Chosen(arguments, "k"));
    network.epoch_slots = uint64_t{network.k} * 100;  // 10 k / f, as on main
    network.seed = arguments.seed;
    World world(arguments.seed, MakeStakeNetwork(network));
    world.queue().SetTimerGrain(kTimerGrain);
    world.AddMesh(arguments.nodes);
    world.RunSlots(arguments.slots);
    const size_t inside = std::clamp<size_t>(
        static_cast<size_t>(arguments.nodes * Chosen(arguments, "share") / 100 + 0.5), 1, arguments.nodes - 1);
    const Height fork = world[0].tip().height();
    world.Partition(FirstNodes(inside));
    world.RunSlots(static_cast<uint64_t>(Chosen(arguments, "depth") * network.k * network.active_slots_denominator),
                   arguments.progress);
    const auto first = static_cast<double>(world[0].tip().height() - fork);
    const auto second = static_cast<double>(world[arguments.nodes - 1].tip().height() - fork);
    const Slot healed = world.slot();
    world.Heal();
    // The side that has to give way may have to see 3k/f slots after the fork first.
    const bool agree =
        world.RunUntil([&] { return world.AllAgree(); },
                       world.params().slot_duration * int64_t{4} * network.k * network.active_slots_denominator);

    Report report;
    const std::string where = fmt::format("k {}, {} of {} nodes on one side", network.k, inside, arguments.nodes);
    Require(report, agree, "the halves do not come to one tip");
    AddFigure(report, "blocks made on the first side", where, first);
    AddFigure(report, "blocks made on the other side", where, second);
    AddFigure(report, "slots until all agree", where, static_cast<double>(world.slot().value - healed.value));
    world.RunSlots(60);
    Finish(report, world);
    AddFigure(report, "deepest reorganisation, blocks", where, static_cast<double>(report.max_reorg_depth),
              std::min(first, second));
    return report;
}

// A fresh node joins an old network; then a network of two forks, of which it has peers on both.
Report RunSync(const Arguments& arguments) {
    NetworkOptions network;
    const double minority = Chosen(arguments, "minority");
    // The last staker has the minority's stake.
    network.stakes.assign(arguments.nodes - 1, static_cast<uint64_t>((100 - minority) * 100 / (arguments.nodes - 1)));
    network.stakes.push_back(static_cast<uint64_t>(minority * 100));
    network.k = 50;
    network.epoch_slots = 2'000;
    network.seed = arguments.seed;
    World world(arguments.seed, MakeStakeNetwork(network));
    world.queue().SetTimerGrain(kTimerGrain);
    world.AddMesh(arguments.nodes);
    world.RunSlots(arguments.slots, arguments.progress);

    Report report;
    const auto join = [&](std::vector<size_t> peers, const std::string& where) {
        VirtualNodeOptions options;
        options.add_nodes = std::move(peers);
        const Instant begin = world.now();
        VirtualNode& fresh = world.Add(std::move(options));
        const bool level = world.RunUntil([&] { return fresh.tip().hash() == world[0].tip().hash(); }, seconds(900));
        Require(report, level, where + ": the fresh node does not come to the right chain");
        AddFigure(report, "blocks fetched", where, static_cast<double>(fresh.tip().height().value));
        AddFigure(report, "virtual seconds", where, std::chrono::duration<double>(world.now() - begin).count());
        return fresh.number();
    };
    std::vector<size_t> all;
    for (size_t i = 0; i < arguments.nodes; ++i) all.push_back(i);
    join(all, "one chain");

    // The minority alone for 3 k of the whole network's blocks.
    world.Partition({arguments.nodes - 1u});
    const Height fork = world[0].tip().height();
    world.RunSlots(3 * network.k * network.active_slots_denominator, arguments.progress);
    AddFigure(report, "blocks after the fork", "majority", static_cast<double>(world[0].tip().height() - fork));
    AddFigure(report, "blocks after the fork", "minority",
              static_cast<double>(world[arguments.nodes - 1].tip().height() - fork));
    // The fresh one hears of the minority's chain first, then of both.
    world.Heal();
    const size_t late = join({arguments.nodes - 1u, 0}, "two forks");
    world.RunSlots(60);
    Require(report, world.RunUntil([&] { return world[late].tip().hash() == world[0].tip().hash(); }, seconds(60)),
            "the fresh node leaves the right chain");
    Require(report,
            world.RunUntil([&] { return world.AllAgree(); },
                           world.params().slot_duration * int64_t{4} * network.k * network.active_slots_denominator),
            "the minority does not come back");
    Finish(report, world);
    return report;
}

// Node 0 stakes on a disk that loses power after each number of writes from 0 on, and again while it starts. `slots` is
// the time that it has to come to the failing write.
Report RunCrash(const Arguments& arguments) {
    NetworkOptions network;
    network.stakes.assign(arguments.nodes, 1);
    network.active_slots_denominator = 2;
    network.k = 50;
    network.epoch_slots = 200;
    network.seed = arguments.seed;
    World world(arguments.seed, MakeStakeNetwork(network));
    world.AddMesh(arguments.nodes);
    world.RunSlots(20);
    Report report;
    VirtualNode& victim = world[0];
    VirtualNode& reference = world[1];
    const auto points = static_cast<uint64_t>(Chosen(arguments, "points"));
    constexpr uint64_t kWritesOfAStart = 40;
    constexpr uint64_t kNever = uint64_t{1} << 60;
    uint64_t while_running = 0, while_starting = 0, lost_blocks = 0;
    const auto lose_power = [&] { victim.IsUp() ? victim.Crash() : victim.disk().Crash(); };
    for (uint64_t point = 0; point < points; ++point) {
        victim.disk().FailAfterWrites(point);
        const auto limit = world.params().slot_duration * static_cast<int64_t>(arguments.slots);
        while_running += world.RunUntil([&] { return victim.stopped().has_value(); }, limit) ? 1 : 0;
        const Height before = victim.tip().height();
        lose_power();
        victim.disk().FailAfterWrites(point % kWritesOfAStart);
        if (!victim.Open() || victim.stopped()) {
            ++while_starting;
            lose_power();
            const Status opened = victim.Open();
            Require(report, opened.has_value(), fmt::format("point {}: the node cannot be opened again", point));
            if (!opened) break;
        }
        victim.disk().FailAfterWrites(kNever);
        lost_blocks += before > victim.tip().height() ? static_cast<uint64_t>(before - victim.tip().height()) : 0;
        Require(report, world.RunUntil([&] { return victim.tip().hash() == reference.tip().hash(); }, seconds(120)),
                fmt::format("point {}: another tip than the reference", point));
        if (arguments.progress) arguments.progress(static_cast<double>(point + 1) / static_cast<double>(points));
    }
    Require(report, world.RunUntil([&] { return world.AllAgree(); }, seconds(120)),
            "the nodes do not agree at the end");
    const std::string where = fmt::format("write 0 to {}", points - 1);
    AddFigure(report, "power lost at a write", where, static_cast<double>(while_running));
    AddFigure(report, "power lost while starting", where, static_cast<double>(while_starting));
    AddFigure(report, "blocks lost and fetched again", where, static_cast<double>(lost_blocks));
    AddFigure(report, "blocks that the node made", where,
              static_cast<double>(std::count_if(
                  world.chronicle().blocks().begin(), world.chronicle().blocks().end(),
                  [&](const auto& entry) { return entry.second.staker == world.network().keys(0).staker; })));
    Finish(report, world);
    return report;
}

}  // namespace sluice::sim
