#include "node/slot_log.h"

#include <gtest/gtest.h>

#include "storage/memory_disk.h"

namespace sluice::node {
namespace {

constexpr const char* kPath = "/slots";

WonSlot Won(uint64_t slot, SlotOutcome outcome, const std::string& detail = {}) {
    return {Slot(slot), outcome, std::nullopt, detail};
}

class SlotLogTest : public ::testing::Test {
  protected:
    std::unique_ptr<SlotLog> Open() {
        auto log = SlotLog::Open(disk.files(), kPath);
        EXPECT_TRUE(log) << log.error().message;
        return std::move(*log);
    }
    storage::MemoryDisk disk{3};
};

TEST_F(SlotLogTest, WhatCameOfASlotSurvivesPowerLossAndTheLastWordCounts) {
    auto log = Open();
    ASSERT_TRUE(log->SetAccounted(Slot(9)));
    ASSERT_TRUE(log->Put({Slot(10), SlotOutcome::kProduced, BlockHash{{1}}, {}}));
    ASSERT_TRUE(log->Put(Won(12, SlotOutcome::kLate, "busy")));
    ASSERT_TRUE(log->Put({Slot(10), SlotOutcome::kLostBattle, BlockHash{{1}}, "another branch"}));
    log.reset();
    disk.Crash();
    log = Open();
    ASSERT_EQ(log->Newest(10).size(), 2u);
    EXPECT_EQ(log->Find(Slot(10))->outcome, SlotOutcome::kLostBattle);
    EXPECT_EQ(log->Find(Slot(10))->block, BlockHash{{1}});
    EXPECT_EQ(log->Find(Slot(12))->detail, "busy");
    EXPECT_EQ(log->Find(Slot(11)), nullptr);
    EXPECT_EQ(log->first(), Slot(9));
    EXPECT_EQ(log->Newest(1).front().slot, Slot(12));
}

TEST_F(SlotLogTest, AHaltSurvivesPowerLossUntilItIsTakenBack) {
    auto log = Open();
    ASSERT_TRUE(log->SetHalted("the same keys elsewhere"));
    log.reset();
    disk.Crash();
    log = Open();
    EXPECT_EQ(log->halted(), "the same keys elsewhere");
    ASSERT_TRUE(log->SetHalted({}));
    log.reset();
    disk.Crash();
    EXPECT_EQ(Open()->halted(), "");
}

TEST_F(SlotLogTest, HoldsTheNewestSlotsAlone) {
    auto log = Open();
    const uint64_t limit = SlotLog::kMaxSlots;
    for (uint64_t slot = 1; slot <= limit; ++slot) ASSERT_TRUE(log->Put(Won(slot, SlotOutcome::kProduced)));
    EXPECT_NE(log->Find(Slot(1)), nullptr);
    ASSERT_TRUE(log->Put(Won(limit + 1, SlotOutcome::kProduced)));
    EXPECT_EQ(log->Find(Slot(1)), nullptr);
    EXPECT_NE(log->Find(Slot(2)), nullptr);
}

TEST_F(SlotLogTest, TheFileIsRewrittenBeforeItGrowsWithoutEnd) {
    auto log = Open();
    ASSERT_TRUE(log->SetHalted("why"));
    uint64_t largest = 0;
    for (size_t i = 0; i < 5 * SlotLog::kMaxSlots; ++i) {
        ASSERT_TRUE(log->Put(Won(i % 7, SlotOutcome::kProduced)));
        if (i % 1000 == 0) largest = std::max(largest, disk.files().Stat(kPath)->size_bytes);
    }
    EXPECT_LT(largest, 2 * SlotLog::kMaxSlots * 32);
    log.reset();
    log = Open();
    EXPECT_EQ(log->Newest(100).size(), 7u);
    EXPECT_EQ(log->halted(), "why");
}

TEST_F(SlotLogTest, AFailedWriteIsAnErrorAndChangesNothing) {
    auto log = Open();
    disk.FailAfterWrites(0);
    EXPECT_FALSE(log->Put(Won(5, SlotOutcome::kProduced)));
    EXPECT_EQ(log->Find(Slot(5)), nullptr);
}

TEST_F(SlotLogTest, AHaltHoldsEvenIfItCannotBeWritten) {
    auto log = Open();
    disk.FailAfterWrites(0);
    EXPECT_FALSE(log->SetHalted("the same keys elsewhere"));
    EXPECT_EQ(log->halted(), "the same keys elsewhere");
    EXPECT_FALSE(log->SetHalted({}));
    EXPECT_FALSE(log->halted().empty()) << "an operator's word that is not on disk was not taken";
}

}  // namespace
}  // namespace sluice::node
