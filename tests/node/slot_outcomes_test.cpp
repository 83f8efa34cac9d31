#include <gtest/gtest.h>

#include <set>

#include "consensus/genesis.h"
#include "node/virtual_world.h"

// Every slot that a staker won has exactly one cause of its outcome, whatever happens to it.

namespace sluice::node::testing {
namespace {

class SlotOutcomes : public ::testing::Test {
  protected:
    VirtualNode& node(size_t number = 0) { return world[number]; }
    const SlotLog& log(size_t number = 0) { return node(number)->staking().log(); }
    // The slots up to the accounted one that the keys of staker 0 won on node 0's chain, by another way than the
    // node's.
    std::set<Slot> Won(Slot from) {
        std::set<Slot> won;
        for (Slot slot = from; slot <= *log().accounted(); ++slot)
            if (node().chain().Led(consensus::RegtestOperator(0), slot).value()) won.insert(slot);
        return won;
    }
    std::set<Slot> Logged() {
        std::set<Slot> logged;
        for (const WonSlot& each : log().Newest(SlotLog::kMaxSlots)) logged.insert(each.slot);
        return logged;
    }
    size_t Count(SlotOutcome outcome, size_t number = 0) {
        const auto all = log(number).Newest(SlotLog::kMaxSlots);
        return static_cast<size_t>(
            std::count_if(all.begin(), all.end(), [&](const WonSlot& won) { return won.outcome == outcome; }));
    }

    VirtualWorld world{31};
};

TEST_F(SlotOutcomes, OfAnUndisturbedStakerAreAllProduced) {
    world.Add({.staker = 0});
    world.RunFor(seconds(300));
    ASSERT_TRUE(log().accounted());
    const auto logged = Logged();
    EXPECT_GT(logged.size(), 100u);
    EXPECT_EQ(Count(SlotOutcome::kProduced), logged.size());
    for (const Slot slot : Won(*log().first() + 1)) EXPECT_TRUE(logged.contains(slot)) << slot.value;
    EXPECT_EQ(node().tip().height().value, logged.size());
}

TEST_F(SlotOutcomes, WonWhileTheNodeWasDownAreSaidSo) {
    world.Add({.staker = 0});
    world.RunFor(seconds(60));
    const size_t before = Logged().size();
    node().Crash();
    world.RunFor(seconds(60));
    ASSERT_TRUE(node().Open());
    world.RunFor(seconds(60));
    EXPECT_GT(Count(SlotOutcome::kDown), 15u);
    EXPECT_LT(Count(SlotOutcome::kDown), 45u);
    EXPECT_GT(Logged().size(), before + Count(SlotOutcome::kDown));
    const auto logged = Logged();
    for (const Slot slot : Won(*log().first() + 1)) EXPECT_TRUE(logged.contains(slot)) << slot.value;
    EXPECT_EQ(Count(SlotOutcome::kLate), 0u);
}

TEST_F(SlotOutcomes, ThatTheClockJumpedOverAreTheClocks) {
    world.Add({.staker = 0});
    world.RunFor(seconds(60));
    node().SetClock(seconds(40));
    world.RunFor(seconds(60));
    EXPECT_GT(Count(SlotOutcome::kClock), 8u);
    EXPECT_LT(Count(SlotOutcome::kClock), 32u);
    // Back again: what was signed ahead is not signed again.
    node().SetClock(seconds(0));
    world.RunFor(seconds(60));
    world.ExpectOneHeaderForEachSlot();
    const auto logged = Logged();
    for (const Slot slot : Won(*log().first() + 1)) EXPECT_TRUE(logged.contains(slot)) << slot.value;
}

TEST(SlotOutcomesOfTwo, OfThePartitionThatLostAreLostBattles) {
    sim::World world(32, sim::MakeStakeNetwork({.stakes = {3, 1}, .k = 200, .active_slots_denominator = 2}));
    world.AddMesh(2);
    world.RunFor(seconds(20));
    world.Partition({1});
    world.RunFor(seconds(100));
    world.Heal();
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    world.RunFor(seconds(20));
    size_t lost = 0;
    for (const WonSlot& won : world[1]->staking().log().Newest(SlotLog::kMaxSlots)) {
        const chain::HeaderNode* made = won.block ? world[1].chain().FindHeader(*won.block) : nullptr;
        ASSERT_NE(made, nullptr);
        EXPECT_EQ(won.outcome == SlotOutcome::kProduced,
                  world[0].chain().FindHeader(*won.block) != nullptr &&
                      world[0].chain().IsActive(world[0].chain().FindHeader(*won.block)))
            << won.slot.value;
        lost += won.outcome == SlotOutcome::kLostBattle ? 1u : 0u;
    }
    EXPECT_GT(lost, 5u);
}

TEST_F(SlotOutcomes, ThatCouldNotBeWrittenDownAreTheDisks) {
    world.Add({.staker = 0, .start = false});
    const Slot slot = node()->staking().NextWonSlot(Slot(1)).value();
    node()->clock().SetMock(node()->params().SlotTime(slot));
    // The slot's file needs a write, and so does the log that tells of it: the fault passes in between.
    node().disk().FailAfterWrites(0);
    EXPECT_FALSE(node()->staking().TryProduce(slot));
    node().disk().FailAfterWrites(UINT64_MAX);
    EXPECT_FALSE(node()->staking().Info().last_signed_slot);
    EXPECT_NE(node()->staking().Info().last_error.find("disk"), std::string::npos);
}

}  // namespace
}  // namespace sluice::node::testing
