#include "node/staker_keys.h"

#include <gtest/gtest.h>

#include "storage/memory_disk.h"

namespace sluice::node {
namespace {

constexpr const char* kPath = "/staker_keys.json";
const StakerId kStaker{{1, 2, 3, 4, 5, 6, 7, 8}};

Result<bool> Always(const std::string&) { return true; }

class StakerKeysTest : public ::testing::Test {
  protected:
    StakerKeys Open() {
        auto keys = StakerKeys::Open(disk.files(), kPath, Always);
        CHECK(keys.has_value());
        return std::move(*keys);
    }
    storage::MemoryDisk disk{5};
    SeededRandom random{6};
};

TEST_F(StakerKeysTest, KeysAreMadeOnceAndProduceOnceTheyAreRegistered) {
    StakerKeys keys = Open();
    EXPECT_FALSE(keys.HaveKeys());
    ASSERT_TRUE(keys.Make(random));
    const auto made = keys.Current();
    EXPECT_FALSE(keys.Make(random));
    EXPECT_EQ(keys.Current(), made);
    EXPECT_TRUE(keys.Producing().empty());
    ASSERT_TRUE(keys.SetStaker(kStaker));
    ASSERT_EQ(keys.Producing().size(), 1u);
    EXPECT_EQ(keys.Producing()[0].staker, kStaker);
    disk.Crash();
    const StakerKeys again = Open();
    EXPECT_EQ(again.Current(), made);
    EXPECT_EQ(again.staker(), kStaker);
}

TEST_F(StakerKeysTest, KeysOfOneStakerAreNotGivenToAnother) {
    StakerKeys keys = Open();
    ASSERT_TRUE(keys.Make(random));
    ASSERT_TRUE(keys.SetStaker(kStaker));
    EXPECT_TRUE(keys.SetStaker(kStaker));
    EXPECT_FALSE(keys.SetStaker(StakerId{{9}}));
    EXPECT_EQ(keys.staker(), kStaker);
}

TEST_F(StakerKeysTest, BothSetsTrySlotsUntilTheNewOneElects) {
    StakerKeys keys = Open();
    ASSERT_TRUE(keys.Make(random));
    ASSERT_TRUE(keys.SetStaker(kStaker));
    ASSERT_TRUE(keys.MakeNext(random));
    const auto next = keys.Next();
    ASSERT_TRUE(next);
    EXPECT_NE(keys.Current(), next);
    ASSERT_TRUE(keys.MakeNext(random));  // asked again: the same
    EXPECT_EQ(keys.Next(), next);
    EXPECT_EQ(keys.Producing().size(), 2u);
    ASSERT_TRUE(keys.Promote());
    EXPECT_EQ(keys.Current(), next);
    EXPECT_FALSE(keys.Next());
    EXPECT_EQ(keys.Producing().size(), 1u);
    disk.Crash();
    EXPECT_EQ(Open().Current(), next);
    EXPECT_EQ(Open().staker(), kStaker);
}

// Wherever the power goes in a rotation, the keys that elect and those that were published are there.
TEST_F(StakerKeysTest, ARotationLosesNoKeyAtAnyWrite) {
    for (uint64_t fail_at = 0; fail_at < 40; ++fail_at) {
        storage::MemoryDisk fresh(100 + fail_at);
        const auto open = [&] { return std::move(*StakerKeys::Open(fresh.files(), kPath, Always)); };
        StakerKeys keys = open();
        ASSERT_TRUE(keys.Make(random));
        ASSERT_TRUE(keys.SetStaker(kStaker));
        const auto old = keys.Current();
        fresh.FailAfterWrites(fail_at);
        const bool made = keys.MakeNext(random).has_value();
        const auto next = keys.Next();
        const bool promoted = made && keys.Promote().has_value();
        fresh.Crash();
        const StakerKeys after = open();
        ASSERT_TRUE(after.HaveKeys());
        EXPECT_EQ(after.staker(), kStaker);
        if (promoted) {
            EXPECT_EQ(after.Current(), next);
        } else if (made) {  // published, perhaps: one of both is current, and the new one is there
            EXPECT_TRUE(after.Current() == next || (after.Current() == old && after.Next() == next));
        } else {
            EXPECT_EQ(after.Current(), old);
        }
    }
}

TEST_F(StakerKeysTest, PublicKeysAreNeitherMadeNorReplaced) {
    StakerKeys keys = StakerKeys::FromPublic(consensus::OperatorKeys{kStaker, MakeOperatorKeys(random).vrf.Clone(),
                                                                     MakeOperatorKeys(random).signing.Clone()});
    EXPECT_FALSE(keys.InFile());
    EXPECT_FALSE(keys.Make(random));
    EXPECT_FALSE(keys.MakeNext(random));
    EXPECT_EQ(keys.Producing().size(), 1u);
}

}  // namespace
}  // namespace sluice::node
