#include "node/dht_schedule.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::node {
namespace {

using p2p::DhtKey;

DhtKey Key(uint32_t number) {
    DhtKey key;
    for (size_t i = 0; i < 4; ++i) key.bytes[i] = static_cast<uint8_t>(number >> (8 * i));
    key.bytes[19] = 1;
    return key;
}

class DhtScheduleTest : public testing::Test {
  protected:
    // Everything that becomes due until `end`, asked for each 100 ms.
    std::vector<std::pair<Instant, DhtAction>> Until(Instant end) {
        std::vector<std::pair<Instant, DhtAction>> done;
        for (; now < end; now += milliseconds(100))
            if (const auto action = schedule.Next(now)) done.emplace_back(now, *action);
        return done;
    }
    DhtSchedule schedule;
    Instant now{seconds(1000)};
};

TEST_F(DhtScheduleTest, KeysAreOfOneNetworkAndOneContent) {
    p2p::NetworkId a;
    a.magic = {1, 2, 3, 4};
    p2p::NetworkId b = a;
    b.magic[0] ^= 1;
    ContentRoot root;
    ContentRoot other;
    other.bytes[31] = 1;
    EXPECT_NE(ContentKey(a, root), ContentKey(b, root));
    EXPECT_NE(ContentKey(a, root), ContentKey(a, other));
    EXPECT_NE(ContentKey(a, root), NodesKey(a));
    // sha256("sluice/content" || 01020304 || 32 zero bytes), as any tool computes it.
    EXPECT_EQ(ContentKey(a, root).Hex(), "f566dd3ba4970e2cfcb2bf6f7c66842ab386a63d");
}

TEST_F(DhtScheduleTest, RegtestsKeysAreThoseOfTheDocument) {
    p2p::NetworkId regtest;
    regtest.magic = {0xf3, 0x51, 0x1c, 0xe9};
    regtest.genesis = *BlockHash::FromHex("6da768fcfe27684fff504827d48cef80b10e67f3290be2565ce5132a8a1513d2");
    ContentRoot root;
    root.bytes.fill(0x41);
    EXPECT_EQ(ContentKey(regtest, root).Hex(), "021f0766a910f48eb3184e25d6cd1b107c48931a");
    EXPECT_EQ(NodesKey(regtest).Hex(), "93173c941fb6fd5ed1478634e3408b55f67d21a3");
}

TEST_F(DhtScheduleTest, AKeyIsAnnouncedSoonAgainAndThenAtItsInterval) {
    EXPECT_TRUE(schedule.Announce(Key(1), now));
    const Instant start = now;
    std::vector<seconds> at;
    for (const auto& [when, action] : Until(now + seconds(3000)))
        at.push_back(std::chrono::duration_cast<seconds>(when - start));
    ASSERT_GE(at.size(), 6u);
    EXPECT_EQ(at[0], seconds(0));
    EXPECT_EQ(at[1], seconds(10));
    EXPECT_EQ(at[2], seconds(40));
    for (size_t i = 1; i < at.size(); ++i) EXPECT_LE(at[i] - at[i - 1], DhtSchedule::kAnnounceInterval);
    EXPECT_EQ(at.back() - at[at.size() - 2], DhtSchedule::kAnnounceInterval);
    schedule.Withdraw(Key(1));
    EXPECT_TRUE(Until(now + seconds(2000)).empty());
}

TEST_F(DhtScheduleTest, AFullScheduleAnnouncesEveryKeyBeforeItIsForgotten) {
    for (uint32_t i = 0; i < DhtSchedule::kMaxAnnounced; ++i) EXPECT_TRUE(schedule.Announce(Key(i), now));
    EXPECT_FALSE(schedule.Announce(Key(99'999), now));
    EXPECT_TRUE(schedule.Announce(Key(5), now));
    (void)Until(now + seconds(3600));
    std::map<DhtKey, Instant> last;
    for (const auto& [when, action] : Until(now + seconds(1800))) last[std::get<DhtAnnounce>(action).key] = when;
    EXPECT_EQ(last.size(), DhtSchedule::kMaxAnnounced);
}

TEST_F(DhtScheduleTest, ALookUpThatFindsNothingIsMadeAFewTimes) {
    schedule.Find(Key(1), now);
    schedule.Find(Key(1), now);
    const auto tries = Until(now + seconds(1000));
    EXPECT_EQ(tries.size(), DhtSchedule::kMaxRetries + 1);
    schedule.Find(Key(1), now);
    EXPECT_FALSE(Until(now + seconds(1)).empty()) << "given up, so it may be asked for again";
}

TEST_F(DhtScheduleTest, ALookUpThatFoundSomethingRestsForAWhile) {
    schedule.Find(Key(1), now);
    EXPECT_EQ(Until(now + seconds(1)).size(), 1u);
    schedule.OnFound(Key(1));
    schedule.Find(Key(1), now);
    EXPECT_TRUE(Until(now + DhtSchedule::kFindInterval - seconds(5)).empty());
    now += seconds(10);
    schedule.Find(Key(1), now);
    EXPECT_EQ(Until(now + seconds(1)).size(), 1u);
}

TEST_F(DhtScheduleTest, RequestsLeaveAtARateAndLookUpsGoFirst) {
    for (uint32_t i = 0; i < 10; ++i) schedule.Announce(Key(i), now);
    schedule.Find(Key(100), now);
    const auto done = Until(now + seconds(4));
    ASSERT_EQ(done.size(), 8u);
    EXPECT_TRUE(std::holds_alternative<DhtFind>(done[0].second));
    for (size_t i = 1; i < done.size(); ++i) EXPECT_GE(done[i].first - done[i - 1].first, DhtSchedule::kPause);
}

TEST_F(DhtScheduleTest, LookUpsThatWaitAreBounded) {
    for (uint32_t i = 0; i < 1000; ++i) schedule.Find(Key(i), now);
    std::set<DhtKey> asked;
    for (const auto& [when, action] : Until(now + seconds(2000))) asked.insert(std::get<DhtFind>(action).key);
    EXPECT_EQ(asked.size(), DhtSchedule::kMaxFinds);
}

}  // namespace
}  // namespace sluice::node
