#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "consensus/genesis.h"
#include "sim/scenario.h"
#include "util/quiet_log.h"

// Short runs of the scenarios of honest networks, and the simulator itself.

namespace sluice::sim {
namespace {

const ::testing::Environment* const kQuietLog = ::testing::AddGlobalTestEnvironment(new QuietLog);

Report RunNamed(std::string_view name, Arguments arguments) {
    const Scenario* const scenario = FindScenario(name);
    EXPECT_NE(scenario, nullptr);
    auto report = RunScenario(*scenario, std::move(arguments));
    EXPECT_TRUE(report) << report.error().message;
    for (const std::string& failure : report->failures) ADD_FAILURE() << failure;
    EXPECT_EQ(report->invariant_failures, 0u);
    return std::move(*report);
}

const models::Figure& FigureOf(const Report& report, std::string_view name) {
    for (const models::Figure& figure : report.figures)
        if (figure.name.starts_with(name)) return figure;
    ADD_FAILURE() << "no figure " << name;
    return report.figures.front();
}

// ---- the simulator

TEST(EventQueue, RunsByTimeAndThenInTheOrderOfPosting) {
    EventQueue queue{UnixMillis(milliseconds(0))};
    std::string order;
    queue.Post(1, milliseconds(2), [&] { order += 'c'; });
    queue.Post(1, milliseconds(1), [&] { order += 'a'; });
    queue.Post(2, milliseconds(1), [&] { order += 'b'; });
    queue.Post(1, milliseconds(4), [&] { order += 'x'; });
    queue.RunTo(queue.now() + milliseconds(3));
    EXPECT_EQ(order, "abc");
    EXPECT_EQ(queue.clock().Now(), UnixMillis(milliseconds(3)));
}

TEST(EventQueue, ForgetsTheEventsOfALifeThatEnded) {
    EventQueue queue{UnixMillis(milliseconds(0))};
    std::string order;
    for (int i = 0; i < 20; ++i) {
        queue.Post(1, milliseconds(i % 7), [&] { order += '1'; });
        queue.Post(2, milliseconds(i % 5), [&] { order += '2'; });
    }
    queue.Drop(1);
    queue.RunTo(queue.now() + milliseconds(10));
    EXPECT_EQ(order, std::string(20, '2'));
}

TEST(EventQueue, TimersComeOnTheGrainAndNeverAtOnce) {
    EventQueue queue{UnixMillis(milliseconds(0))};
    queue.SetTimerGrain(milliseconds(250));
    std::vector<int64_t> at;
    for (const int delay : {0, 1, 124, 126, 374, 376, 1000})
        queue.PostTimer(1, milliseconds(delay), [&] { at.push_back(queue.clock().Now().time_since_epoch().count()); });
    queue.RunTo(queue.now() + seconds(2));
    EXPECT_EQ(at, (std::vector<int64_t>{250, 250, 250, 250, 250, 500, 1000}));
}

TEST(SkewedClock, IsOffByItsOffsetAndDrifts) {
    ManualClock right;
    right.SetNow(UnixMillis(seconds(1'000)));
    SkewedClock skewed(right);
    skewed.Set(seconds(-5), 100);
    EXPECT_EQ(skewed.Now(), UnixMillis(seconds(995)));
    right.Advance(seconds(10'000));
    EXPECT_EQ(skewed.Now(), UnixMillis(seconds(10'996)));
    EXPECT_EQ(skewed.Monotonic(), right.Monotonic());
}

TEST(Scenarios, HaveNamesOfTheirOwnAndSayWhatTheyAre) {
    std::set<std::string> names;
    for (const Scenario& scenario : Scenarios()) {
        EXPECT_TRUE(names.insert(scenario.name).second) << scenario.name;
        EXPECT_FALSE(scenario.summary.empty()) << scenario.name;
        EXPECT_EQ(scenario.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-"), std::string::npos) << scenario.name;
    }
    for (const char* const name : {"growth", "partition", "clock-skew", "crash", "loss", "sync", "stake-churn"})
        EXPECT_TRUE(names.contains(name)) << name;
    EXPECT_EQ(FindScenario("none"), nullptr);
}

TEST(Scenarios, RefuseArgumentsThatTheyDoNotTakeWithOneReason) {
    const Scenario& growth = *FindScenario("growth");
    const auto unknown = RunScenario(growth, {.settings = {{"dealy", 1}}});
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().message, "--set dealy: growth has no such setting, but delay");
    const auto too_large = RunScenario(growth, {.settings = {{"delay", 21}}});
    ASSERT_FALSE(too_large);
    EXPECT_EQ(too_large.error().message, "--set delay=21: it must be from 0.1 to 20");
    const auto too_few = RunScenario(*FindScenario("clock-skew"), {.nodes = 9});
    ASSERT_FALSE(too_few);
    EXPECT_EQ(too_few.error().message, "--nodes 9: clock-skew needs at least 10");
}

TEST(Scenarios, TellInJsonWhatEveryReaderMayRelyOn) {
    const Report report = RunNamed("growth", {.nodes = 2, .slots = 60, .seed = 9});
    const auto json = nlohmann::json::parse(models::ToJson(report));
    for (const char* const field : {"scenario", "seed", "nodes", "slots", "trace_hash", "blocks", "orphaned",
                                    "max_reorg_depth", "invariant_failures", "seconds", "figures"})
        EXPECT_TRUE(json.contains(field)) << field;
    EXPECT_EQ(json["scenario"], "growth");
    EXPECT_EQ(json["seed"], 9);
    EXPECT_EQ(json["nodes"], 2);
    EXPECT_EQ(json["trace_hash"], report.trace_hash.Hex());
    const auto& growth = json["figures"][0];
    EXPECT_TRUE(growth.contains("low") && growth.contains("high") && growth.contains("theory"));
}

TEST(Growth, TheSameSeedGivesTheSameTraceAndAnotherOneDoesNot) {
    const Report first = RunNamed("growth", {.nodes = 3, .slots = 120, .seed = 5});
    EXPECT_EQ(RunNamed("growth", {.nodes = 3, .slots = 120, .seed = 5}).trace_hash, first.trace_hash);
    EXPECT_NE(RunNamed("growth", {.nodes = 3, .slots = 120, .seed = 6}).trace_hash, first.trace_hash);
    EXPECT_GT(first.blocks, 3u);
}

// ---- invariants that can fail

TEST(Chronicle, ASecondHeaderOfAnHonestStakerForASlotIsAFailure) {
    World world(3, MakeStakeNetwork({.stakes = {1, 1}, .active_slots_denominator = 2}));
    // Two nodes with the same keys, that do not hear of each other: the same staker, and other blocks.
    world.Add({.staker = 0});
    world.Add({.staker = 0}, [](node::NodeConfig& config) { config.listen = false; });
    VirtualNode& other = world[1];
    world.RunUntil([&] { return world[0].tip().height() >= Height(2); });
    EXPECT_EQ(world.chronicle().failures(), 0u) << "both make the same blocks";
    // Money that only one of them sees makes its next block another one.
    ASSERT_TRUE(other->wallet().Restore(consensus::kRegtestPhrase));
    const auto payment = other.wallet().BuildPayment({{{other.NewScript(), Amount(kDropsPerSlu)}}});
    ASSERT_TRUE(payment) << payment.error().message;
    other.Broadcast(*payment);
    world.RunUntil([&] { return other.chain().mempool().All().empty(); });
    world.RunFor(seconds(2));
    EXPECT_GT(world.chronicle().failures(), 0u);
}

TEST(Byzantine, PublishesLateAndItsBlocksLoseAgainstThoseThatCameInTime) {
    World world(4, MakeStakeNetwork({.stakes = {1, 1, 1}, .active_slots_denominator = 2}));
    world.AddMesh(2);
    auto owned = std::make_unique<LatePublisher>(seconds(6));
    LatePublisher& late = *owned;
    world.Add({.stakers = {2}, .view_peers = {0, 1}}, std::move(owned));
    world.RunSlots(200);
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }, seconds(30)));
    EXPECT_GT(late.made(), 10u);
    size_t kept = 0;
    for (const BlockHash& hash : world.chronicle().chain_of(0))
        if (const auto block = world.chronicle().blocks().find(hash); block != world.chronicle().blocks().end())
            kept += world.chronicle().IsAdversary(block->second.staker) ? 1 : 0;
    EXPECT_LT(kept * 4, late.made() * 3);  // all of them, in time
    EXPECT_LT(late.taken(), late.made());
    EXPECT_EQ(world.chronicle().failures(), 0u);
}

// ---- quick runs

TEST(Growth, GrowsAndLosesBlocksAsTheTheorySays) {
    const Report report = RunNamed("growth", {.nodes = 5, .slots = 2'500, .seed = 1, .settings = {{"delay", 2}}});
    const models::Figure& growth = FigureOf(report, "chain growth");
    EXPECT_LT(growth.low, *growth.theory);
    EXPECT_GT(growth.high, *growth.theory);
    const models::Figure& orphaned = FigureOf(report, "orphaned");
    EXPECT_LT(orphaned.low, *orphaned.theory);
    EXPECT_GT(orphaned.high, *orphaned.theory);
    EXPECT_GT(report.orphaned, 0u);
}

TEST(Loss, SlowsBlocksDownAndBansNobody) {
    const auto delay = [](double percent) {
        const Report report = RunNamed("loss", {.nodes = 5, .slots = 300, .seed = 1, .settings = {{"loss", percent}}});
        return FigureOf(report, "block to another node").value;
    };
    EXPECT_GT(delay(50), 2 * delay(0));
}

TEST(ClockSkew, BansNobodyAndKeepsTheRightClocksTogether) { RunNamed("clock-skew", {.slots = 600, .seed = 1}); }

TEST(Partition, HalvesThatMadeLessThanKHealAtOnce) {
    const Report report =
        RunNamed("partition", {.nodes = 4, .slots = 100, .seed = 1, .settings = {{"k", 20}, {"depth", 0.8}}});
    EXPECT_GT(FigureOf(report, "blocks made on the first side").value, 0);
    EXPECT_GT(FigureOf(report, "blocks made on the other side").value, 0);
    EXPECT_LT(FigureOf(report, "slots until all agree").value, 120);
    EXPECT_GT(report.orphaned, 3u);
}

TEST(Partition, HalvesThatMadeSeveralKHeal) {
    const Report report =
        RunNamed("partition", {.nodes = 4, .slots = 100, .seed = 1, .settings = {{"k", 10}, {"depth", 5}}});
    EXPECT_GT(FigureOf(report, "blocks made on the first side").value, 10);
    EXPECT_GT(FigureOf(report, "blocks made on the other side").value, 10);
    EXPECT_GT(report.max_reorg_depth, 10u);
}

TEST(Sync, AFreshNodeComesToTheRightChainAlsoFromTwoForks) { RunNamed("sync", {.nodes = 4, .slots = 800, .seed = 1}); }

TEST(Crash, AtEachWriteTheNodeComesBackToTheSameTipAndSignsNoSlotTwice) {
    const Report report = RunNamed("crash", {.nodes = 2, .slots = 30, .seed = 1, .settings = {{"points", 80}}});
    EXPECT_GT(FigureOf(report, "power lost at a write").value, 70);
    EXPECT_GE(FigureOf(report, "power lost while starting").value, 5);
}

TEST(StakeChurn, MoneyAndStakeAreRightWhileHoldersMoveThem) {
    const Report report = RunNamed("stake-churn", {.nodes = 3, .slots = 900, .seed = 1});
    for (const char* const deed : {"payments", "delegations", "undelegations", "redelegations"})
        EXPECT_GT(FigureOf(report, deed).value, 20) << deed;
    EXPECT_EQ(FigureOf(report, "refused").value, 0);
}

}  // namespace
}  // namespace sluice::sim
