#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "node/virtual_world.h"

// The whole node on virtual time: several of them follow, fork, crash and heal.

namespace sluice::node::testing {
namespace {

const std::string kPhrase(consensus::kRegtestPhrase);

Hash256 TraceOfThreeNodes(uint64_t seed) {
    VirtualWorld world(seed);
    world.Add({.staker = 0});
    world.Add({.add_nodes = {0}});
    world.Add({.add_nodes = {1}});
    world.RunFor(seconds(30));
    EXPECT_GT(world[2].tip().height(), Height(3));
    return world.trace();
}

TEST(VirtualWorld, TheSameSeedGivesTheSameRunAndAnotherOneDoesNot) {
    const Hash256 first = TraceOfThreeNodes(7);
    EXPECT_EQ(TraceOfThreeNodes(7), first);
    EXPECT_NE(TraceOfThreeNodes(8), first);
}

TEST(VirtualWorld, WhatTheChainPostsToTheNetworkBeforeTheStartDoesNoHarm) {
    VirtualWorld world(6);
    VirtualNode& node = world.Add({.staker = 0, .start = false});
    const Slot slot = node->staking().NextWonSlot(Slot(1)).value();
    node->clock().SetMock(node->params().SlotTime(slot));
    ASSERT_TRUE(node->staking().TryProduce(slot));
    world.RunFor(seconds(1));
    EXPECT_EQ(node.tip().height(), Height(1));
}

TEST(VirtualWorld, ThreeNodesFollowOneStakersChain) {
    VirtualWorld world(1);
    world.Add({.staker = 0});
    world.Add({.add_nodes = {0}});
    world.Add({.add_nodes = {1}});  // hears of blocks through node 1 alone
    ASSERT_TRUE(world.RunUntil([&] { return world[2].tip().height() >= Height(60); }));
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }, seconds(10)));
    EXPECT_EQ(world[0]->staking().Info().blocks_produced, world[0].tip().height().value);
    EXPECT_FALSE(world[1]->staking().Info().enabled);
    world.ExpectOneHeaderForEachSlot();
}

TEST(VirtualWorld, ANodeThatComesLateFetchesTheWholeChain) {
    VirtualWorld world(2);
    world.Add({.staker = 0});
    ASSERT_TRUE(world.RunUntil([&] { return world[0].tip().height() >= Height(150); }));
    world.Add({.add_nodes = {0}});
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }, seconds(30)));
    EXPECT_GE(world[1].tip().height(), Height(150));
}

TEST(VirtualWorld, ANodeThatLosesPowerAtAnyWriteComesBackToTheSameChain) {
    VirtualWorld world(3);
    world.Add({.staker = 0});
    world.Add({.add_nodes = {0}});
    size_t failed_writes = 0;
    for (int round = 0; round < 12; ++round) {
        world[1].disk().FailAfterWrites(world.random().Below(60));
        world.RunUntil([&] { return world[1].stopped().has_value(); }, seconds(20));
        failed_writes += world[1].stopped() ? 1 : 0;
        world[1].Crash();
        world.RunFor(seconds(3));
        const Status opened = world[1].Open();
        ASSERT_TRUE(opened) << opened.error().message;
        const BlockHash found = world[1].tip().hash();
        EXPECT_TRUE(world[0]->chain().chain().IsActive(world[0]->chain().chain().FindHeader(found)));
        ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }, seconds(30))) << "round " << round;
    }
    EXPECT_GE(failed_writes, 6u);
    EXPECT_GT(world[1].tip().height(), Height(30));
}

TEST(VirtualWorld, AStakerThatLosesPowerNeverSignsASlotTwice) {
    VirtualWorld world(4);
    world.Add({.staker = 0});
    world.Add({.add_nodes = {0}});
    for (int round = 0; round < 12; ++round) {
        world[0].disk().FailAfterWrites(world.random().Below(40));
        world.RunUntil([&] { return world[0].stopped().has_value(); }, seconds(20));
        world[0].Crash();
        const Status opened = world[0].Open();  // at once, in the slot in which it went down
        ASSERT_TRUE(opened) << opened.error().message;
        world.RunFor(seconds(2));
    }
    ASSERT_TRUE(world.RunUntil([&] { return world[0].tip().height() > Height(40) && world.AllAgree(); }, seconds(300)));
    world.ExpectOneHeaderForEachSlot();
}

TEST(VirtualWorld, APartitionOfTwoStakersHealsToOneTip) {
    VirtualWorld world(5);
    world.Add({.staker = 0, .phrase = kPhrase});
    world.Add({.staker = 1, .add_nodes = {0}});
    const auto delegation =
        world[0].wallet().BuildDelegation(consensus::RegtestOperator(1).staker, Amount(4'900'000 * kDropsPerSlu));
    ASSERT_TRUE(delegation) << delegation.error().message;
    world[0].Broadcast(*delegation);
    // The stake counts two epochs later.
    ASSERT_TRUE(world.RunUntil([&] { return world[1]->staking().Info().blocks_produced >= 10; }, seconds(1'500)));
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }, seconds(30)));

    const Height fork = world[0].tip().height();
    world.Partition({0});
    world.RunFor(seconds(60));
    EXPECT_FALSE(world.AllAgree());
    EXPECT_GT(world[0].tip().height(), fork + 5);
    EXPECT_GT(world[1].tip().height(), fork + 5);
    EXPECT_EQ(world[0]->network().peers().ConnectionCount(), 0u);

    world.Heal();
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }, seconds(200)));
    size_t reorganisations = 0;
    for (size_t number = 0; number < 2; ++number) {
        const chain::ChainManager& chain = world[number]->chain().chain();
        chain.headers().ForEach(
            [&](const chain::HeaderNode& header) { reorganisations += chain.IsActive(&header) ? 0 : 1; });
    }
    EXPECT_GT(reorganisations, 5u);
    world.ExpectOneHeaderForEachSlot();
    const auto totals = world[1]->chain().chain().state().Get<consensus::LedgerTotals>({});
    ASSERT_TRUE(totals);
    EXPECT_TRUE(totals->Conserved());
}

}  // namespace
}  // namespace sluice::node::testing
