#include "sim/adversaries/attacks.h"

#include <gtest/gtest.h>

#include "util/quiet_log.h"

namespace sluice::sim {
namespace {

const ::testing::Environment* const kQuietLog = ::testing::AddGlobalTestEnvironment(new QuietLog);

std::string Failures(const Report& report) { return ToTable(report); }

TEST(AttackTest, AnEquivocationStormSplitsNobodyFillsNothingAndCostsTheBond) {
    const Report report = RunEquivocationStorm({.nodes = 3, .slots = 400, .seed = 1});
    EXPECT_EQ(report.invariant_failures, 0u) << Failures(report);
}

TEST(AttackTest, AThirdThatBuiltMoreThanKBlocksAloneComesBackToTheMajority) {
    const Report report = RunThirdAlone({.nodes = 3, .seed = 1});
    EXPECT_EQ(report.invariant_failures, 0u) << Failures(report);
}

TEST(AttackTest, AWithheldBranchUndoesNoMoreThanItsStakeExplains) {
    const Report report = RunPrivateFork({.nodes = 3, .slots = 2'000, .seed = 1});
    EXPECT_EQ(report.invariant_failures, 0u) << Failures(report);
}

TEST(AttackTest, FloodsOfHeadersWithoutStakeCostNoVrfWorkNoMemoryAndNoDisk) {
    const Report report = RunFakeStake({.slots = 20'000, .seed = 1});
    EXPECT_EQ(report.invariant_failures, 0u) << Failures(report);
}

TEST(AttackTest, StakeThatIsThereForAMomentLeadsNothing) {
    const Report report = RunFlashStake({.nodes = 2, .slots = 2'100, .seed = 1});
    EXPECT_EQ(report.invariant_failures, 0u) << Failures(report);
}

TEST(AttackTest, AForkFromOldKeysTakesNeitherASyncingNorACaughtUpNode) {
    const Report report = RunLongRange({.slots = 3'500, .seed = 1});
    EXPECT_EQ(report.invariant_failures, 0u) << Failures(report);
}

TEST(AttackTest, OneSeedGivesOneTraceUnderAttackToo) {
    const ModelOptions options{.nodes = 2, .slots = 150, .seed = 3};
    EXPECT_EQ(RunEquivocationStorm(options).trace_hash, RunEquivocationStorm(options).trace_hash);
}

}  // namespace
}  // namespace sluice::sim
