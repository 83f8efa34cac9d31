#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/models/model.h"
#include "sim/models/private_attack.h"
#include "sim/models/strategies.h"

namespace sluice::sim::models {
namespace {

const Figure& Find(const ModelReport& report, std::string_view name, std::string_view where) {
    for (const Figure& figure : report.figures)
        if (figure.name == name && figure.where.starts_with(where)) return figure;
    ADD_FAILURE() << report.scenario << " has no figure " << name << " for " << where;
    static const Figure kNone;
    return kNone;
}

TEST(StatisticsTest, TheIntervalHoldsTheTruthAboutNineteenTimesInTwenty) {
    FastRandom random(7);
    int held = 0;
    constexpr int kRounds = 2'000;
    for (int round = 0; round < kRounds; ++round) {
        std::vector<double> hits(kBatches), all(kBatches, 200.0);
        for (double& batch : hits)
            for (int i = 0; i < 200; ++i) batch += random.Below(10) < 3;
        const Estimate estimate = RatioOfSums(hits, all);
        held += estimate.low <= 0.3 && 0.3 <= estimate.high;
    }
    EXPECT_NEAR(held / double(kRounds), 0.95, 0.015);
}

TEST(StatisticsTest, ALeadLimitIsTheUpperEndOfTheRealThreshold) {
    const consensus::Params params;
    EXPECT_EQ(LeadLimit(params, 0, 10), 0u);
    EXPECT_NEAR(Chance(LeadLimit(params, 10, 10)), 0.1, 1e-12);
    EXPECT_NEAR(Chance(LeadLimit(params, 3, 10)), 1 - std::pow(0.9, 0.3), 1e-12);
    // No leader among all is as likely however the stake is split.
    EXPECT_NEAR((1 - Chance(LeadLimit(params, 3, 10))) * (1 - Chance(LeadLimit(params, 7, 10))), 0.9, 1e-12);
}

TEST(SlotWorldTest, OneSeedGivesOneTraceAndAnotherSeedAnother) {
    const auto trace = [](uint64_t seed) {
        SlotWorld world({.params = {}, .adversary_permille = 300, .seed = seed});
        SelfishStrategy selfish;
        world.Run(20'000, selfish);
        Trace result;
        world.AddTo(result);
        return result.Finish();
    };
    EXPECT_EQ(trace(1), trace(1));
    EXPECT_NE(trace(1), trace(2));
}

TEST(SlotWorldTest, ATieIsTakenByTheRealForkChoice) {
    SlotWorld world({.params = {}, .honest_nodes = 1, .seed = 3});
    struct Check final : Strategy {
        BlockIndex old{0};
        int near_ties{0}, far_ties{0};
        void OnSlot(SlotWorld& w, bool) override {
            const BlockIndex made = w.Make(0);
            if (old != 0) {
                const bool near = w.block(made).slot - w.block(old).slot <= 3;
                const bool lower = w.block(made).tie_break < w.block(old).tie_break;
                EXPECT_EQ(w.Better(made, old), near && lower);
                ++(near ? near_ties : far_ties);
            }
            if (w.slot() % 7 == 1) old = made;
        }
    } check;
    world.Run(200, check);
    EXPECT_GT(check.near_ties, 50);
    EXPECT_GT(check.far_ties, 50);
}

TEST(SlotWorldTest, BlocksOfOneSlotAreAllThatIsLostWithoutDelay) {
    WorldOptions options;
    options.max_delay_ms = 1;
    options.honest_nodes = 10;
    SlotWorld world(options);
    SilentStrategy nobody;
    world.Run(200'000, nobody);
    double made = 0, kept = 0;
    for (const SlotWorld::Batch& batch : world.Batches(kBatches)) made += batch.honest_made, kept += batch.honest_kept;
    EXPECT_NEAR(kept / 200'000, 0.1, 0.003);
    EXPECT_NEAR(1 - kept / made, 1 - 0.1 / (10 * (1 - std::pow(0.9, 0.1))), 0.004);
    EXPECT_LE(world.reorgs().empty() ? 0u : world.reorgs().rbegin()->first, 2u);
}

TEST(SlotWorldTest, AWithheldBranchThatIsLongerTakesEveryNode) {
    WorldOptions options;
    options.honest_nodes = 5;
    SlotWorld world(options);
    struct Twelve final : Strategy {
        std::optional<BlockIndex> tip;
        void OnSlot(SlotWorld& w, bool) override {
            if (w.slot() > 100) return;
            tip = w.Make(tip.value_or(0));  // wins every slot: twelve times what is its due
            if (w.slot() == 100) w.SendToAll(*tip, 0);
        }
    } twelve;
    world.Run(101, twelve);
    EXPECT_TRUE(world.block(world.public_best()).height == 100 || world.block(world.public_best()).height == 101);
    uint64_t times = 0;
    for (const auto& [depth, count] : world.reorgs()) times += depth > 3 ? count : 0;
    EXPECT_EQ(times, 5u);
}

// The undone depths of a race, block by block: every fork and every height after it.
std::vector<uint32_t> NaiveDepths(const Race& race, Start start) {
    std::vector<uint32_t> depths;
    const size_t heights = race.slot.size();
    for (size_t j = 1; j < heights; ++j) {
        uint32_t deepest = 0;
        for (size_t fork = start == Start::kBefore ? 0 : j - 1; fork < j; ++fork)
            for (size_t h = j; h < heights; ++h) {
                const size_t theirs = h - fork;
                const size_t mine = race.won_before[h] - race.won_at[fork];
                if (mine > theirs || (mine == theirs && race.tie_wins[h]))
                    deepest = std::max(deepest, static_cast<uint32_t>(h - j + 1));
            }
        depths.push_back(deepest);
    }
    return depths;
}

TEST(PrivateAttackTest, DepthsEqualThoseOfANaiveSearchOfAllForks) {
    const consensus::Params params;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        FastRandom random(seed);
        const Race race = DrawRace(params, 200 + 15 * static_cast<uint32_t>(seed), 1 + seed % 4, 1'200, random);
        ASSERT_GT(race.slot.size(), 30u);
        EXPECT_EQ(UndoneDepths(race, Start::kWithTheBlock), NaiveDepths(race, Start::kWithTheBlock)) << seed;
        EXPECT_EQ(UndoneDepths(race, Start::kBefore), NaiveDepths(race, Start::kBefore)) << seed;
    }
}

TEST(PrivateAttackTest, NobodyIsUndoneByNobody) {
    FastRandom random(1);
    const Race race = DrawRace({}, 0, 2, 10'000, random);
    for (const uint32_t depth : UndoneDepths(race, Start::kBefore)) EXPECT_EQ(depth, 0u);
}

TEST(PrivateAttackTest, ChancesLieBetweenWinningNoTieAndEveryTie) {
    const ModelReport report = RunPrivateAttack({.slots = 1'000'000, .seed = 5});
    EXPECT_EQ(report.invariant_failures, 0u) << ToTable(report);
    const Figure& depth = Find(report, "depth to 10^-3", "adversary 20 %, delay 2 s, at work");
    EXPECT_NEAR(depth.value, 13, 3);
    EXPECT_EQ(depth.expected, 18);
    EXPECT_LE(depth.low, *depth.expected) << "the depth that we ask to be safe is not";
}

TEST(GrowthModelTest, GrowthAndOrphansFollowTheory) {
    const ModelReport report = RunGrowth({.slots = 300'000, .seed = 1});
    EXPECT_EQ(report.invariant_failures, 0u) << ToTable(report);
    for (const Figure& figure : report.figures)
        EXPECT_NEAR(figure.value, *figure.theory, 0.05 * *figure.theory) << figure.name << ", " << figure.where;
}

TEST(ChainQualityTest, WhoFollowsTheRulesGetsItsShareAndASelfishOneLessThanTheBound) {
    const ModelReport report = RunChainQuality({.slots = 200'000, .seed = 1});
    EXPECT_EQ(report.invariant_failures, 0u) << ToTable(report);
    for (const uint32_t percent : {10u, 30u, 45u}) {
        const std::string where = "adversary " + std::to_string(percent) + " %";
        EXPECT_NEAR(Find(report, "adversarial blocks percent, rules followed", where).value, percent, 2.0);
        const Figure& honest = Find(report, "honest blocks percent, selfish; theory: least", where);
        EXPECT_GT(honest.high, *honest.theory);
    }
    // Above a third it pays whatever the tie-break does.
    EXPECT_GT(Find(report, "adversarial blocks percent, selfish", "adversary 45 %").low, 50);
}

TEST(WithholdingTest, ABlockKeptBackForLongIsLostAndHurtsNobody) {
    const ModelReport report = RunWithholding({.slots = 200'000, .seed = 1});
    EXPECT_EQ(report.invariant_failures, 0u) << ToTable(report);
    const auto kept = [&](const char* where) { return Find(report, "own blocks kept percent", where).value; };
    EXPECT_GT(kept("adversary 10 %, shown 2 slots late"), 80);
    EXPECT_LT(kept("adversary 10 %, shown 16 slots late"), 45);
    EXPECT_LT(kept("adversary 10 %, shown 64 slots late"), 5);
    const double quiet = Find(report, "honest orphaned percent", "adversary 10 %, never shown").value;
    EXPECT_NEAR(Find(report, "honest orphaned percent", "adversary 10 %, shown 64 slots late").value, quiet, 0.6);
}

TEST(NonceGrindingTest, GainFollowsTheGreatestOfSoManyDraws) {
    const ModelReport report = RunNonceGrinding({.slots = 43'200 * 400, .seed = 2});
    EXPECT_EQ(report.invariant_failures, 0u) << ToTable(report);
    for (const char* where : {"adversary 30 %", "adversary 45 %"}) {
        const Figure& gain = Find(report, "gain percent of its slots", where);
        EXPECT_LT(gain.low, *gain.theory) << where;
        EXPECT_GT(gain.high, *gain.theory) << where;
        EXPECT_GT(gain.low, 0) << where;
        EXPECT_LT(gain.high, 2.5) << where;
    }
}

TEST(ModelsTest, EveryModelRunsByNameAndReportsItsFields) {
    ASSERT_EQ(Models().size(), 5u);
    for (const Model& model : Models()) {
        const ModelOptions options{.slots = 10'000, .seed = 9};
        const ModelReport report = RunModel(model, options);
        EXPECT_EQ(report.scenario, model.name);
        EXPECT_EQ(report.trace_hash, model.run(options).trace_hash) << model.name;
        const auto json = nlohmann::json::parse(ToJson(report));
        for (const char* field : {"scenario", "seed", "trace_hash", "slots", "blocks", "orphaned", "max_reorg_depth",
                                  "invariant_failures", "seconds", "figures"})
            EXPECT_TRUE(json.contains(field)) << model.name << ": " << field;
        EXPECT_FALSE(json["figures"].empty()) << model.name;
        for (const auto& figure : json["figures"]) {
            EXPECT_LE(figure["low"].get<double>(), figure["value"].get<double>() + 1e-9) << figure.dump();
            EXPECT_GE(figure["high"].get<double>(), figure["value"].get<double>() - 1e-9) << figure.dump();
        }
    }
}

}  // namespace
}  // namespace sluice::sim::models
