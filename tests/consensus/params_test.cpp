#include "consensus/params.h"

#include <gtest/gtest.h>

namespace sluice::consensus {
namespace {

Amount Slu(uint64_t slu) { return Amount(slu * kDropsPerSlu); }

Params Network(std::string name, uint32_t k) {
    Params params;
    params.network = std::move(name);
    params.k = k;
    return params;
}

TEST(Confirmations, RegtestNeedsOneBelow100SluAndTwoBelow1000) {
    const Params params = Network("regtest", 50);
    EXPECT_EQ(ConfirmationsFor(params, Amount(0)), 1u);
    EXPECT_EQ(ConfirmationsFor(params, Amount(Slu(100).drops - 1)), 1u);
    EXPECT_EQ(ConfirmationsFor(params, Slu(100)), 2u);
    EXPECT_EQ(ConfirmationsFor(params, Amount(Slu(1'000).drops - 1)), 2u);
    EXPECT_EQ(ConfirmationsFor(params, Slu(1'000)), 6u);
    EXPECT_EQ(ConfirmationsFor(params, kMaxSupply), 50u);
}

TEST(Confirmations, MainGoesFromThreeBlocksToK) {
    const Params params = Network("main", 432);
    EXPECT_EQ(ConfirmationsFor(params, Amount(kDropsPerSlu - 1)), 3u);
    EXPECT_EQ(ConfirmationsFor(params, Slu(1)), 6u);
    EXPECT_EQ(ConfirmationsFor(params, Amount(Slu(10'000).drops - 1)), 180u);
    EXPECT_EQ(ConfirmationsFor(params, Slu(10'000)), 432u);
}

TEST(Confirmations, NeverFallWithTheAmountAndNeverExceedK) {
    for (const uint32_t k : {1u, 5u, 50u, 432u})
        for (const char* name : {"main", "regtest"}) {
            uint32_t last = 1;
            for (uint64_t drops = 1; drops <= kMaxSupply.drops; drops *= 3) {
                const uint32_t blocks = ConfirmationsFor(Network(name, k), Amount(drops));
                EXPECT_GE(blocks, last);
                EXPECT_LE(blocks, k);
                last = blocks;
            }
            EXPECT_EQ(last, k);
        }
}

TEST(Params, ASlotBeginsWithItsFirstMillisecond) {
    Params params;
    params.genesis_time = UnixMillis(milliseconds(10'000));
    EXPECT_EQ(params.SlotAt(UnixMillis(milliseconds(9'999))), std::nullopt);
    EXPECT_EQ(params.SlotAt(UnixMillis(milliseconds(10'000))), Slot(0));
    EXPECT_EQ(params.SlotAt(UnixMillis(milliseconds(10'999))), Slot(0));
    EXPECT_EQ(params.SlotAt(UnixMillis(milliseconds(11'000))), Slot(1));
    EXPECT_EQ(params.SlotSeconds(Slot(5)), 15u);
    EXPECT_EQ(params.EpochOf(Slot(43'199)), Epoch(0));
    EXPECT_EQ(params.EpochOf(Slot(43'200)), Epoch(1));
    EXPECT_EQ(params.FirstSlot(Epoch(2)), Slot(86'400));
    EXPECT_EQ(params.ExpectedEpochBlocks(), 4'320u);
}

}  // namespace
}  // namespace sluice::consensus
