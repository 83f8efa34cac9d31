#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "node/virtual_world.h"

// A staker makes at most one header for a slot, whatever happens.

namespace sluice::node::testing {
namespace {

// A staker that makes blocks when it is told to.
class Staker : public ::testing::Test {
  protected:
    void SetUp() override { world.Add({.staker = 0, .start = false}); }
    VirtualNode& node() { return world[0]; }
    Staking& staking() { return node()->staking(); }
    // The next slot that it leads, with the clock moved there.
    Slot NextSlot() {
        const Slot slot = staking().NextWonSlot(node().tip().state.slot + 1).value();
        SetTime(slot);
        return slot;
    }
    void SetTime(Slot slot) { node()->clock().SetMock(node()->params().SlotTime(slot)); }

    VirtualWorld world{21};
};

TEST_F(Staker, MakesABlockInASlotThatItLeads) {
    const Slot slot = NextSlot();
    const auto hash = staking().TryProduce(slot);
    ASSERT_TRUE(hash) << hash.error().message;
    ASSERT_TRUE(*hash);
    EXPECT_EQ(node().tip().hash(), **hash);
    EXPECT_EQ(node().tip().state.slot, slot);
    EXPECT_EQ(staking().Info().blocks_produced, 1u);
    EXPECT_EQ(staking().Info().last_signed_slot, slot);
}

TEST_F(Staker, MakesNoneInASlotThatItDoesNotLead) {
    const Slot won = NextSlot();
    Slot lost = won;
    while (lost == staking().NextWonSlot(lost).value()) lost = lost + 1;
    SetTime(lost);
    const auto hash = staking().TryProduce(lost);
    ASSERT_TRUE(hash) << hash.error().message;
    EXPECT_FALSE(*hash);
    EXPECT_FALSE(staking().Info().last_signed_slot);
}

// Peers that claim a long chain and never tell it, one after the other: there is always an answer to wait for.
void RunAmongSilentPeers(VirtualWorld& world, seconds time) {
    static uint64_t last_peer = 1'000'000;
    for (const Instant end = world.now() + time; world.now() < end; world.RunFor(seconds(10)))
        world[0]->chain().OnPeerReady(PeerId(++last_peer), Height(1'000'000));
}

TEST(StakerAmongSilentPeers, GoesOnWhileItsTipIsFresh) {
    VirtualWorld world(22);
    world.Add({.staker = 0});
    ASSERT_TRUE(world.RunUntil([&] { return world[0].tip().height() >= Height(3); }));
    const uint64_t before = world[0]->staking().Info().blocks_produced;
    RunAmongSilentPeers(world, seconds(30));
    EXPECT_GT(world[0]->staking().Info().blocks_produced, before);
}

TEST(StakerAmongSilentPeers, WithAnOldTipWaitsForTheOthersAWhileAndNotForEver) {
    VirtualWorld world(23);
    world.Add({.staker = 0});
    ASSERT_TRUE(world.RunUntil([&] { return world[0].tip().height() >= Height(3); }));
    world[0]->chain().OnPeerReady(PeerId(999'999), Height(1'000'000));
    AdjustableClock& clock = world[0]->clock();
    clock.SetMock(clock.Now() + seconds(1000));
    const uint64_t before = world[0]->staking().Info().blocks_produced;
    EXPECT_TRUE(world[0]->chain().Syncing());
    RunAmongSilentPeers(world, seconds(30));
    EXPECT_EQ(world[0]->staking().Info().blocks_produced, before);
    RunAmongSilentPeers(world, seconds(40));
    EXPECT_FALSE(world[0]->chain().Syncing());
}

TEST_F(Staker, NeverSignsASlotTwiceOrGoesBack) {
    const Slot first = NextSlot();
    ASSERT_TRUE(staking().TryProduce(first));
    const Slot second = NextSlot();
    ASSERT_TRUE(staking().TryProduce(second));
    EXPECT_FALSE(staking().TryProduce(second));
    EXPECT_FALSE(staking().TryProduce(first));
    // Not even if its own block is refused by the operator, so that the slot looks free.
    ASSERT_TRUE(node()->chain().Invalidate(node().tip().hash()));
    ASSERT_EQ(node().tip().state.slot, first);
    const auto again = staking().TryProduce(second);
    ASSERT_FALSE(again);
    EXPECT_NE(again.error().message.find("signed already"), std::string::npos);
    EXPECT_GT(staking().NextWonSlot(first).value(), second);
}

TEST_F(Staker, NeverSignsASlotTwiceAfterACrashAtAnyWrite) {
    size_t refused = 0, free = 0;
    for (uint64_t writes = 0; writes < 40; ++writes) {
        const Slot slot = NextSlot();
        node().disk().FailAfterWrites(writes);
        const auto first = staking().TryProduce(slot);
        const bool signed_before = staking().Info().last_signed_slot == slot;
        EXPECT_TRUE(signed_before || !first) << "a header left before its slot was written down";
        node().Crash();
        const Status opened = node().Open();
        ASSERT_TRUE(opened) << opened.error().message;
        SetTime(slot);
        if (signed_before) {
            EXPECT_EQ(staking().Info().last_signed_slot, slot) << "after " << writes << " writes";
            EXPECT_FALSE(staking().TryProduce(slot)) << "after " << writes << " writes";
            ++refused;
        } else if (staking().Info().last_signed_slot !=
                   slot) {  // the write that failed may be found done: the slot is lost, which is safe
            const auto second = staking().TryProduce(slot);
            EXPECT_TRUE(second && *second) << "after " << writes << " writes";
            ++free;
        }
    }
    EXPECT_GT(refused, 5u);
    EXPECT_GT(free, 0u);
    world.ExpectOneHeaderForEachSlot();
}

TEST_F(Staker, ADamagedSlotFileKeepsTheNodeFromStaking) {
    ASSERT_TRUE(staking().TryProduce(NextSlot()));
    const std::string file = node().config().ChainDir() + "/staker_slot";
    ASSERT_TRUE(storage::WriteFileAtomically(node().disk().files(), file, AsBytes("123")));
    node().Crash();
    EXPECT_FALSE(node().Open());
}

TEST(Staking, WithoutKeysItSaysHowToStake) {
    VirtualWorld world(22);
    Staking& staking = world.Add({.start = false})->staking();
    EXPECT_FALSE(staking.Info().enabled);
    const auto produced = staking.TryProduce(Slot(1));
    ASSERT_FALSE(produced);
    EXPECT_NE(produced.error().message.find("-staker"), std::string::npos);
    EXPECT_FALSE(staking.NextWonSlot(Slot(1)));
}

TEST(Staking, ABondAloneLeadsNoSlot) {
    VirtualWorld world(23);
    const auto slot = world.Add({.staker = 2, .start = false})->staking().NextWonSlot(Slot(1));
    ASSERT_FALSE(slot);
}

}  // namespace
}  // namespace sluice::node::testing
