#include "sim/scenarios/honest.h"

#include <fmt/format.h>

#include <cmath>
#include <unordered_set>

#include "sim/models/statistics.h"

namespace sluice::sim {
namespace {

constexpr microseconds kTimerGrain = milliseconds(250);
constexpr size_t kTripsOfABlock = 3;  // its header, the request, the body

models::Figure FigureOf(std::string name, std::string where, const models::Estimate& estimate, double scale) {
    return {std::move(name), std::move(where), estimate.value * scale, estimate.low * scale, estimate.high * scale};
}

NetworkOptions EqualStakers(const Arguments& arguments) {
    NetworkOptions network;
    network.stakes.assign(arguments.nodes, 1);
    network.seed = arguments.seed;
    return network;
}

void AddPropagation(Report& report, World& world, const std::string& where) {
    const Chronicle::Propagation& seen = world.chronicle().propagation();
    if (seen.arrivals == 0) return;
    const auto arrivals = static_cast<double>(seen.arrivals);
    AddFigure(report, "block to another node, s", where, seen.seconds_sum / arrivals);
    AddFigure(report, "slots that began before it came", where, seen.unseen_slots_sum / arrivals);
}

constexpr std::string_view kDelaySummary = "the longest that a block takes to another node, s";

}  // namespace

double Chosen(const Arguments& arguments, std::string_view setting) { return arguments.settings.find(setting)->second; }

ChainFigures MeasureChain(World& world, Slot from, Slot to, const std::string& where) {
    const Chronicle& chronicle = world.chronicle();
    std::unordered_set<BlockHash, FixedBytesHasher> kept(chronicle.chain_of(0).begin(), chronicle.chain_of(0).end());
    const uint64_t slots = to.value - from.value;
    const size_t count = std::min<size_t>(models::kBatches, std::max<uint64_t>(slots / 100, 1));
    std::vector<double> length(count, 0), made(count, 0), chain(count, 0), lost(count, 0);
    for (size_t i = 0; i < count; ++i) length[i] = static_cast<double>(slots * (i + 1) / count - slots * i / count);
    for (const auto& [hash, block] : chronicle.blocks()) {
        if (block.slot < from || block.slot >= to) continue;
        const size_t batch = std::min<size_t>((block.slot.value - from.value) * count / slots, count - 1);
        ++made[batch];
        ++(kept.contains(hash) ? chain : lost)[batch];
    }
    return {FigureOf("chain growth, blocks per slot", where, models::RatioOfSums(chain, length), 1),
            FigureOf("blocks made per slot", where, models::RatioOfSums(made, length), 1),
            FigureOf("orphaned, percent of those made", where, models::RatioOfSums(lost, made), 100)};
}

ChainTheory TheoryOf(const consensus::Params& params, size_t count, double unseen) {
    const double f = static_cast<double>(params.active_slots_numerator) / params.active_slots_denominator;
    const auto n = static_cast<double>(count);
    ChainTheory theory;
    theory.made = n * (1 - std::pow(1 - f, 1 / n));
    // A height takes 1/f slots, and those in which only the producer of the last block (one of n) can go on.
    theory.growth = 1 / (1 / f + unseen * (1 - 1 / n));
    theory.orphaned_percent = 100 * (1 - theory.growth / theory.made);
    return theory;
}

// All blocks come with a delay that is even in (0, delay], the same for all nodes, as for the worst network that keeps
// to the bound: no block is faster by a detour.
Report RunGrowth(const Arguments& arguments) {
    const double delay = Chosen(arguments, "delay");
    World world(arguments.seed, MakeStakeNetwork(EqualStakers(arguments)));
    world.queue().SetTimerGrain(kTimerGrain);
    world.AddMesh(arguments.nodes);
    world.RunFor(seconds(60));  // everybody finds everybody
    LinkOptions links;
    links.kind = LinkOptions::Kind::kCommon;
    links.least = microseconds(100);
    links.most = microseconds(static_cast<int64_t>(delay * 1e6 / kTripsOfABlock)) - milliseconds(2);
    world.SetLinks(links);
    const Slot from = world.slot() + 1;
    world.RunSlots(arguments.slots, arguments.progress);
    const Slot to = world.slot();

    Report report;
    const std::string where = fmt::format("delay up to {:g} s", delay);
    double unseen = 0;  // mean of the whole seconds of an even delay
    for (double second = 1; second < delay; ++second) unseen += (delay - second) / delay;
    const ChainTheory theory = TheoryOf(world.params(), arguments.nodes, unseen);
    ChainFigures figures = MeasureChain(world, from, to, where);
    figures.growth.theory = theory.growth;
    figures.made.theory = theory.made;
    figures.orphaned.theory = theory.orphaned_percent;
    // For very many stakers.
    if (arguments.nodes >= 10 && (delay == 1 || delay == 2 || delay == 3))
        figures.orphaned.expected = delay == 1 ? 4.9 : delay == 2 ? 9.7 : 13.1;
    report.figures = {figures.growth, figures.made, figures.orphaned};
    AddPropagation(report, world, where);
    report.figures.back().theory = unseen;
    Finish(report, world);
    return report;
}

// Every write is lost with a chance and sent again, as TCP does.
Report RunLoss(const Arguments& arguments) {
    World world(arguments.seed, MakeStakeNetwork(EqualStakers(arguments)));
    world.queue().SetTimerGrain(kTimerGrain);
    world.AddMesh(arguments.nodes);
    world.RunFor(seconds(60));
    LinkOptions links;
    links.least = milliseconds(20);
    links.most = milliseconds(150);
    links.loss = Chosen(arguments, "loss") / 100;
    world.SetLinks(links);
    const Slot from = world.slot() + 1;
    world.RunSlots(arguments.slots, arguments.progress);
    const Slot to = world.slot();
    const bool agree = world.RunUntil([&] { return world.AllAgree(); }, seconds(300));

    Report report;
    Require(report, agree, "the nodes do not come to one tip");
    const std::string where = fmt::format("{:g} % of writes lost", Chosen(arguments, "loss"));
    const ChainFigures figures = MeasureChain(world, from, to, where);
    report.figures = {figures.growth, figures.made, figures.orphaned};
    AddPropagation(report, world, where);
    Finish(report, world);
    return report;
}

// Two nodes with right clocks, for each skew one that is ahead and one that is behind, and any more with right ones.
Report RunClockSkew(const Arguments& arguments) {
    std::vector<int64_t> skews{0, 0, 1, -1, 2, -2, 5, -5, 30, -30};
    skews.resize(arguments.nodes, 0);
    NetworkOptions network;
    network.stakes.assign(skews.size(), 1);
    network.seed = arguments.seed;
    World world(arguments.seed, MakeStakeNetwork(network));
    world.queue().SetTimerGrain(kTimerGrain);
    for (uint32_t i = 0; i < skews.size(); ++i) {
        VirtualNodeOptions options;
        options.staker = i;
        for (size_t other = 0; other < i; ++other) options.add_nodes.push_back(other);
        world.Add(std::move(options));
    }
    world.RunFor(seconds(60));
    for (size_t i = 0; i < skews.size(); ++i) world[i].SetClock(seconds(skews[i]), Chosen(arguments, "drift"));
    const Slot from = world.slot() + 1;
    world.RunSlots(arguments.slots, arguments.progress);

    Report report;
    const ChainFigures figures = MeasureChain(world, from, world.slot(), "all");
    report.figures = {figures.growth, figures.made, figures.orphaned};
    const Chronicle& chronicle = world.chronicle();
    const std::set<BlockHash> kept(chronicle.chain_of(0).begin(), chronicle.chain_of(0).end());
    for (uint32_t i = 0; i < skews.size(); ++i) {
        const StakerId staker = world.network().keys(i).staker;
        double made = 0, in_chain = 0;
        for (const auto& [hash, block] : chronicle.blocks()) {
            if (block.staker != staker) continue;
            ++made;
            in_chain += kept.contains(hash) ? 1 : 0;
        }
        const std::string where = fmt::format("node {}, clock {:+} s", i, skews[i]);
        AddFigure(report, "blocks made", where, made);
        AddFigure(report, "of them in the chain, percent", where, made > 0 ? 100 * in_chain / made : 0);
        AddFigure(report, "connected peers", where, static_cast<double>(world[i].peers().Peers().size()));
        Require(report, world[i].peers().Peers().size() + 1 == world.size(),
                fmt::format("{}: it has lost peers", where));
        // Whoever is behind has what the others had when its clock's time was theirs, and a little less.
        const auto behind =
            world.slot().value - std::min(world.slot().value, chronicle.blocks().contains(world[i].tip().hash())
                                                                  ? world[i].tip().state.slot.value
                                                                  : world.slot().value);
        AddFigure(report, "its tip is old by, slots", where, static_cast<double>(behind));
    }
    // Blocks that only some take in time do not keep the others from one chain.
    const bool agree = world.RunUntil([&] { return world[0].tip().hash() == world[1].tip().hash(); }, seconds(300));
    Require(report, agree, "the nodes with right clocks do not come to one tip");
    for (size_t i = 0; i < world.size(); ++i) world[i].SetClock(seconds(0));
    Require(report, world.RunUntil([&] { return world.AllAgree(); }, seconds(600)),
            "with right clocks the nodes do not come to one tip");
    Finish(report, world);
    return report;
}

std::vector<Scenario> HonestScenarios() {
    std::vector<Scenario> all;
    all.push_back({"growth",
                   "honest nodes: growth and orphans beside theory, by the network's delay",
                   RunGrowth,
                   10,
                   100'000,
                   1,
                   {{"delay", kDelaySummary, 2, 0.1, 20}}});
    all.push_back({"loss",
                   "honest nodes whose writes are lost and sent again",
                   RunLoss,
                   8,
                   10'000,
                   2,
                   {{"loss", "percent of writes that are lost once", 5, 0, 50}}});
    all.push_back({"clock-skew",
                   "clocks that are 1, 2, 5 and 30 s off: what becomes of blocks, and nobody is banned",
                   RunClockSkew,
                   10,
                   10'000,
                   10,
                   {{"drift", "parts per million that all clocks are too fast besides", 0, -1'000, 1'000}}});
    all.push_back({"partition",
                   "two halves apart for a part of k, or for several k, come together",
                   RunPartition,
                   8,
                   300,
                   2,
                   {{"depth", "blocks that all would make meanwhile, in k", 0.8, 0.1, 10},
                    {"k", "of the network", 50, 5, 432},
                    {"share", "percent of the nodes on one side", 50, 1, 99}}});
    all.push_back({"sync",
                   "a fresh node with peers on one chain, and one with peers on two forks",
                   RunSync,
                   5,
                   3'000,
                   3,
                   {{"minority", "percent of the stake on the worse fork", 30, 5, 45}}});
    all.push_back({"crash",
                   "a staker loses power at every write: same tip as the others, one header for each slot",
                   RunCrash,
                   3,
                   100,
                   2,
                   {{"points", "writes after which it happens: 0 to one less than this", 150, 1, 10'000}}});
    all.push_back({"stake-churn",
                   "holders pay, delegate, undelegate and redelegate while blocks are made",
                   RunStakeChurn,
                   4,
                   3'000,
                   2,
                   {{"pause", "slots between two transactions", 3, 1, 1'000}}});
    return all;
}

}  // namespace sluice::sim
