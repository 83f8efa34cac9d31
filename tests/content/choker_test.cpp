#include "content/choker.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::content {
namespace {

PeerId Peer(uint64_t n) { return PeerId(n); }
Instant At(int seconds_passed) { return Instant{} + seconds(seconds_passed); }

size_t Served(const Choker& choker, uint64_t peers) {
    size_t served = 0;
    for (uint64_t i = 1; i <= peers; ++i) served += choker.HasSlot(Peer(i));
    return served;
}

// All of them want more, and take what they are given.
void AskAll(Choker& choker, uint64_t peers, Instant now) {
    for (uint64_t i = 1; i <= peers; ++i) {
        if (choker.HasSlot(Peer(i))) choker.OnRequest(Peer(i), now);
    }
}

TEST(Choker, SlotsAreTakenUntilTheyAreFullAndTheNextOneWaits) {
    Choker choker(4);
    for (uint64_t i = 1; i <= 4; ++i) EXPECT_TRUE(choker.OnRequest(Peer(i), At(0))) << i;
    EXPECT_FALSE(choker.OnRequest(Peer(5), At(0)));
    EXPECT_TRUE(choker.OnRequest(Peer(4), At(0))) << "who has one keeps it";
    choker.OnGone(Peer(2));
    EXPECT_TRUE(choker.OnRequest(Peer(5), At(1)));
}

TEST(Choker, WhoGivesMostHasASlotAndTheOthersCompeteForTheOptimisticOne) {
    Choker choker(3);
    for (uint64_t i = 1; i <= 6; ++i) choker.OnRequest(Peer(i), At(0));
    choker.OnGave(Peer(5), 1'000);
    choker.OnGave(Peer(6), 2'000);
    choker.Tick(At(10));
    EXPECT_TRUE(choker.HasSlot(Peer(5)));
    EXPECT_TRUE(choker.HasSlot(Peer(6)));
    EXPECT_EQ(Served(choker, 6), 3u);
    EXPECT_EQ(choker.optimistic(), Peer(4)) << "the one that waits longest";
}

TEST(Choker, AmongThoseThatGiveNothingTheFastestTakersKeepTheirSlots) {
    Choker choker(3);
    for (uint64_t i = 1; i <= 3; ++i) choker.OnRequest(Peer(i), At(0));
    choker.OnRequest(Peer(4), At(0));
    choker.OnTook(Peer(1), 10);
    choker.OnTook(Peer(2), 30);
    choker.OnTook(Peer(3), 20);
    const auto changes = choker.Tick(At(10));
    EXPECT_TRUE(choker.HasSlot(Peer(2)) && choker.HasSlot(Peer(3)) && choker.HasSlot(Peer(4)));
    ASSERT_EQ(changes.size(), 2u);
    for (const auto& change : changes) EXPECT_EQ(change.choked, change.peer == Peer(1));
}

TEST(Choker, TheOptimisticSlotRotatesEachThirtySecondsAndEveryoneHasItInTime) {
    Choker choker(3);
    const uint64_t peers = 8;
    for (uint64_t i = 1; i <= peers; ++i) choker.OnRequest(Peer(i), At(0));
    std::set<PeerId> had;
    std::optional<PeerId> before;
    int since = 0;
    for (int now = 10; now <= 300; now += 10) {
        choker.OnGave(Peer(1), 1'000);
        choker.OnGave(Peer(2), 1'000);
        choker.Tick(At(now));
        AskAll(choker, peers, At(now));
        EXPECT_EQ(Served(choker, peers), 3u);
        ASSERT_TRUE(choker.optimistic());
        if (before && before != choker.optimistic()) {
            EXPECT_EQ(now - since, 30) << now;
        }
        if (before != choker.optimistic()) since = now;
        before = choker.optimistic();
        had.insert(*before);
    }
    EXPECT_EQ(had.size(), peers - 2);
}

TEST(Choker, ASlotThatIsNotUsedGoesBackAfterThirtySecondsWithoutAWord) {
    Choker choker(2);
    choker.OnRequest(Peer(1), At(0));
    choker.OnRequest(Peer(2), At(0));
    choker.Tick(At(20));
    EXPECT_EQ(Served(choker, 2), 2u);
    choker.OnRequest(Peer(2), At(20));
    EXPECT_TRUE(choker.Tick(At(30)).empty());
    EXPECT_FALSE(choker.HasSlot(Peer(1)));
    EXPECT_TRUE(choker.HasSlot(Peer(2)));
    EXPECT_TRUE(choker.OnRequest(Peer(3), At(31)));
}

TEST(Choker, ThereIsAlwaysARegularSlotAndAnOptimisticOne) { EXPECT_EQ(Choker(0).slots(), Choker::kMinSlots); }

}  // namespace
}  // namespace sluice::content
