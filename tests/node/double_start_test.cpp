#include <gtest/gtest.h>

#include "node/operator_keys.h"
#include "node/virtual_world.h"

// Two nodes with the same operator keys: the second one signs nothing while the first one lives [a bond lost by a
// second start].

namespace sluice::node::testing {
namespace {

constexpr const char* kKeyFile = "/operator.json";

class DoubleStart : public ::testing::Test {
  protected:
    // Gives a node that has no keys the operator keys of staker 0 in a file, with its next start.
    void StartAnewWithKeys(size_t number) {
        const consensus::OperatorKeys keys = world.network().keys(0);
        VirtualNode& node = world[number];
        node.Crash();
        ASSERT_TRUE(
            WriteOperatorKeys(node.disk().files(), kKeyFile, {keys.staker, keys.vrf.Clone(), keys.signing.Clone()}));
        node.config().staker_keys = kKeyFile;
        const Status opened = node.Open();
        ASSERT_TRUE(opened) << opened.error().message;
    }
    const Staking& staking(size_t number) { return world[number]->staking(); }

    sim::World world{41, sim::MakeStakeNetwork({.stakes = {1, 1}, .active_slots_denominator = 2})};
};

TEST_F(DoubleStart, AFolderWithoutHistoryWaitsForWhatSyncTellsItOfTheSameKeys) {
    world.Add({.staker = 0});
    world.RunFor(seconds(60));
    ASSERT_GT(staking(0).Info().blocks_produced, 10u);
    world.Add({});
    // Has neither blocks nor a log; connects to the other one once it runs.
    world[1].config().add_nodes = {world[0].address().ToString()};
    StartAnewWithKeys(1);
    ASSERT_TRUE(world.RunUntil([&] { return world[1].tip().height() > Height(10); }, seconds(60)));
    EXPECT_TRUE(staking(1).Info().waiting_until || !staking(1).Info().halted.empty());
    world.RunFor(seconds(120));
    EXPECT_FALSE(staking(1).Info().halted.empty()) << "the other one made blocks since";
    EXPECT_FALSE(staking(1).Info().last_signed_slot);
    EXPECT_EQ(staking(1).Info().blocks_produced, 0u);
    EXPECT_EQ(world.chronicle().failures(), 0u);
}

TEST_F(DoubleStart, AFolderThatLostItsLogWaitsForTheGraceAndThenStakes) {
    world.Add({.staker = 0});
    world.RunFor(seconds(60));
    world.Add({}, [&](NodeConfig& config) { config.add_nodes = {world.AddressOf(0).ToString()}; });
    ASSERT_TRUE(world.RunUntil([&] { return world[1].tip().height() == world[0].tip().height(); }, seconds(60)));
    world[0].Crash();
    StartAnewWithKeys(1);
    const uint64_t grace = Staking::kGraceBlocks * 2;
    ASSERT_TRUE(staking(1).Info().waiting_until);
    world.RunFor(seconds(grace - 10));
    EXPECT_FALSE(staking(1).Info().last_signed_slot);
    world.RunFor(seconds(60));
    EXPECT_GT(staking(1).Info().blocks_produced, 0u);
    EXPECT_EQ(staking(1).Info().halted, "");
}

TEST_F(DoubleStart, AFolderWithoutHistoryAndWithoutPeersDoesNotSignWhatMayBeSignedElsewhere) {
    world.RunFor(seconds(Staking::kGraceBlocks * 2 + 60));
    world.Add({});
    StartAnewWithKeys(0);
    ASSERT_TRUE(staking(0).Info().waiting_until);
    world.RunFor(seconds(60));
    EXPECT_FALSE(staking(0).Info().last_signed_slot);
    ASSERT_TRUE(world[0]->staking().Resume());
    world.RunFor(seconds(60));
    EXPECT_GT(staking(0).Info().blocks_produced, 0u);
}

TEST_F(DoubleStart, AfterALongPauseNothingIsSignedBeforeTheChainHasCaughtUp) {
    world.Add({});
    StartAnewWithKeys(0);
    world.RunFor(seconds(60));
    ASSERT_GT(staking(0).Info().blocks_produced, 10u);
    world[0].Crash();
    world.RunFor(seconds(Staking::kGraceBlocks * 2 + 60));
    ASSERT_TRUE(world[0].Open());
    const auto last = staking(0).Info().last_signed_slot;
    world.RunFor(seconds(60));
    EXPECT_EQ(staking(0).Info().last_signed_slot, last) << "its keys may have been moved meanwhile";
    // Another staker's chain shows that they were not.
    world[0].Crash();
    world.Add({.staker = 1, .add_nodes = {0}});
    world.RunFor(seconds(60));
    ASSERT_TRUE(world[0].Open());
    ASSERT_TRUE(staking(0).Info().waiting_until);
    EXPECT_TRUE(world.RunUntil([&] { return staking(0).Info().blocks_produced > 0; }, seconds(60)));
    EXPECT_EQ(world.chronicle().failures(), 0u);
}

}  // namespace
}  // namespace sluice::node::testing
