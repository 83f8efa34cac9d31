#include "content/picker.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "util/random.h"

namespace sluice::content {
namespace {

// '#' has, '.' has not.
ChunkSet Set(std::string_view drawn) {
    ChunkSet set(static_cast<uint32_t>(drawn.size()));
    for (size_t i = 0; i < drawn.size(); ++i) {
        if (drawn[i] == '#') set.Insert(ChunkIndex(static_cast<uint32_t>(i)));
    }
    return set;
}
// In order of their number: the order among chunks of equal rarity is nobody's business.
std::string Draw(std::vector<ChunkIndex> chunks, bool sorted = true) {
    if (sorted) std::sort(chunks.begin(), chunks.end());
    std::string text;
    for (const ChunkIndex chunk : chunks) text += (text.empty() ? "" : " ") + ToString(chunk);
    return text;
}
constexpr PeerId kA{1}, kB{2}, kC{3}, kD{4};

TEST(Picker, TakesTheRarestFirst) {
    ChunkPicker picker(Set("........"), 0);
    picker.AddPeer(kA, Set("########"));
    picker.AddPeer(kB, Set("####..#."));
    picker.AddPeer(kC, Set("##..#.#."));
    picker.AddPeer(kD, Set("#.....#."));
    //                      copies: 4 3 2 2 2 1 4 1
    std::vector<uint32_t> copies;
    for (const ChunkIndex chunk : picker.Pick(kA, 8)) copies.push_back(picker.Availability(chunk));
    EXPECT_EQ(copies, (std::vector<uint32_t>{1, 1, 2, 2, 2, 3, 4, 4}));
}

TEST(Picker, GivesAPeerOnlyWhatItHasAndNobodyElseIsAsked) {
    ChunkPicker picker(Set("#......."), 0);
    picker.AddPeer(kA, Set("####...."));
    picker.AddPeer(kB, Set("..####.."));
    const auto first = picker.Pick(kA, 1);
    EXPECT_EQ(Draw(first), "1");  // the others have two copies
    EXPECT_EQ(Draw(picker.Pick(kB, 8)), "2 3 4 5");
    EXPECT_EQ(Draw(picker.Pick(kA, 8)), "");
    EXPECT_EQ(Draw(picker.Pick(kC, 8)), "");
    picker.OnReleased(ChunkIndex(2), kB);
    EXPECT_EQ(Draw(picker.Pick(kA, 8)), "2");
}

TEST(Picker, DeadlinesComeBeforeRarity) {
    ChunkPicker picker(Set("......"), 0);
    picker.AddPeer(kA, Set("######"));
    picker.AddPeer(kB, Set("...###"));
    picker.SetUrgent({ChunkIndex(5), ChunkIndex(4)});
    EXPECT_EQ(Draw(picker.Pick(kA, 2), false), "5 4");
    EXPECT_EQ(picker.Availability(picker.Pick(kA, 1).at(0)), 1u);
    picker.SetUrgent({ChunkIndex(3)});
    EXPECT_EQ(Draw(picker.Pick(kA, 1)), "3");
}

TEST(Picker, APeerThatGoesGivesBackWhatItWasAskedForAndItsCopiesNoLongerCount) {
    ChunkPicker picker(Set("...."), 0);
    picker.AddSeed(kA);
    picker.AddPeer(kB, Set(".###"));
    EXPECT_EQ(picker.Availability(ChunkIndex(1)), 2u);
    EXPECT_EQ(Draw(picker.Pick(kB, 4)), "1 2 3");
    EXPECT_EQ(Draw(picker.Pick(kA, 4)), "0");
    picker.RemovePeer(kB);
    EXPECT_EQ(picker.Availability(ChunkIndex(1)), 1u);
    EXPECT_EQ(Draw(picker.Pick(kA, 4)), "1 2 3");
}

TEST(Picker, APeerThatGetsEverythingBecomesASeed) {
    ChunkPicker picker(Set("..."), 0);
    picker.AddPeer(kA, Set("##."));
    picker.OnPeerHas(kA, ChunkIndex(2));
    EXPECT_EQ(picker.Availability(ChunkIndex(0)), 1u);
    EXPECT_EQ(Draw(picker.Pick(kA, 3)), "0 1 2");
}

TEST(Picker, EndgameDuplicatesAreUnderTwoPercentAndOnlyAtTheEnd) {
    const uint32_t chunks = 1'000;
    ChunkPicker picker(ChunkSet(chunks), 7);
    picker.AddSeed(kA);
    picker.AddSeed(kB);
    picker.AddSeed(kC);
    auto slow = picker.Pick(kA, 10);
    for (uint32_t i = 0; i < chunks - 10; ++i) {
        const auto picked = picker.Pick(kB, 1);
        ASSERT_EQ(picked.size(), 1u);
        ASSERT_EQ(picker.duplicates(), 0u) << i;
        picker.OnStored(picked[0], kB);
    }
    const auto again = picker.Pick(kB, 100);
    EXPECT_EQ(again.size(), 10u);
    EXPECT_TRUE(picker.Pick(kC, 100).empty()) << "no chunk has three requesters";
    EXPECT_EQ(picker.duplicates(), 10u);
    EXPECT_EQ(picker.OnStored(again[0], kB), std::vector<PeerId>{kA});
    for (size_t i = 1; i < again.size(); ++i) picker.OnStored(again[i], kB);
    EXPECT_TRUE(picker.IsDone());
}

TEST(Picker, OnDemandNothingIsPickedThatWasNotNamed) {
    ChunkPicker picker(Set("#......."), 0, false);
    picker.AddSeed(kA);
    EXPECT_TRUE(picker.IsIdle());
    EXPECT_FALSE(picker.IsUseful(kA));
    EXPECT_EQ(Draw(picker.Pick(kA, 8)), "");
    picker.SetUrgent({ChunkIndex(6), ChunkIndex(0)});
    picker.Want(ChunkIndex(0), ChunkIndex(2));
    EXPECT_EQ(picker.WantedCount(), 4u);
    EXPECT_EQ(picker.WantedStored(), 1u);
    EXPECT_EQ(Draw(picker.Pick(kA, 1)), "6");
    EXPECT_EQ(Draw(picker.Pick(kA, 8)), "1 2");
    picker.SanityCheck();
    for (const uint32_t chunk : {6, 1, 2}) picker.OnStored(ChunkIndex(chunk), kA);
    EXPECT_TRUE(picker.IsIdle());
    EXPECT_FALSE(picker.IsDone());
    picker.SetUrgent({ChunkIndex(4)});
    EXPECT_EQ(Draw(picker.Pick(kA, 8)), "4");
    picker.SetUrgent({});
    picker.OnReleased(ChunkIndex(4), kA);
    EXPECT_EQ(Draw(picker.Pick(kA, 8)), "") << "what is urgent no more is not wanted";
    picker.SetWantsAll(true);
    EXPECT_EQ(Draw(picker.Pick(kA, 8)), "3 4 5 7");
    picker.SanityCheck();
    picker.OnReleased(ChunkIndex(3), kA);
    picker.SetWantsAll(false);
    EXPECT_EQ(Draw(picker.Pick(kA, 8)), "");
    picker.SanityCheck();
}

TEST(Picker, AWantReachesOverNeitherEnd) {
    ChunkPicker picker(Set("...."), 0, false);
    picker.AddSeed(kA);
    picker.Want(ChunkIndex(3), ChunkIndex(0xffffffff));
    picker.Want(ChunkIndex(9), ChunkIndex(9));
    picker.Want(ChunkIndex(2), ChunkIndex(1));
    EXPECT_EQ(Draw(picker.Pick(kA, 8)), "3");
}

TEST(Picker, UrgentChunksMayBeAskedTwiceForOnePercentOfAll) {
    ChunkPicker picker(ChunkSet(200), 0);
    picker.AddSeed(kA);
    picker.AddSeed(kB);
    const auto asked = picker.Pick(kA, 10);
    EXPECT_FALSE(picker.PickSecond(kA, asked[0])) << "of the same peer";
    EXPECT_FALSE(picker.PickSecond(kB, ChunkIndex(199))) << "that nobody was asked for";
    EXPECT_TRUE(picker.PickSecond(kB, asked[0]));
    EXPECT_FALSE(picker.PickSecond(kC, asked[0]));
    EXPECT_TRUE(picker.PickSecond(kB, asked[1]));
    EXPECT_FALSE(picker.PickSecond(kB, asked[2])) << "over one percent";
    EXPECT_EQ(picker.duplicates(), 2u);
}

TEST(Picker, APeerThatHasLittleOfLargeContentIsFoundAtOnce) {
    const uint32_t chunks = 100'000;
    ChunkPicker picker(ChunkSet(chunks), 9);
    for (uint32_t i = 0; i < chunks; i += 2) picker.OnPeerHas(kA, ChunkIndex(i));
    picker.OnPeerHas(kB, ChunkIndex(77'776));
    EXPECT_TRUE(picker.IsUseful(kB));
    EXPECT_EQ(Draw(picker.Pick(kB, 4)), "77776");
    picker.SanityCheck();
}

TEST(Picker, SmallContentHasNoDuplicates) {
    ChunkPicker picker(ChunkSet(99), 0);
    picker.AddSeed(kA);
    picker.AddSeed(kB);
    EXPECT_EQ(picker.Pick(kA, 99).size(), 99u);
    EXPECT_TRUE(picker.Pick(kB, 99).empty());
}

TEST(Picker, AgreesWithANaiveModelOnWhatIsLeft) {
    SeededRandom random(5);
    const uint32_t chunks = 64;
    ChunkPicker picker(ChunkSet(chunks), 3);
    std::set<uint32_t> stored;
    std::map<uint32_t, PeerId> asked;
    picker.AddSeed(kA);
    for (int step = 0; step < 5'000 && !picker.IsDone(); ++step) {
        switch (random.Below(4)) {
            case 0:
                picker.OnPeerHas(kB, ChunkIndex(static_cast<uint32_t>(random.Below(chunks))));
                break;
            case 1: {
                const PeerId peer = random.Below(2) == 0 ? kA : kB;
                for (const ChunkIndex chunk : picker.Pick(peer, 1 + random.Below(3))) {
                    EXPECT_TRUE(!stored.contains(chunk.value) && !asked.contains(chunk.value));
                    asked[chunk.value] = peer;
                }
                break;
            }
            default:
                if (asked.empty()) break;
                const auto [chunk, peer] = *asked.begin();
                asked.erase(asked.begin());
                if (random.Below(3) == 0) {
                    picker.OnReleased(ChunkIndex(chunk), peer);
                } else {
                    picker.OnStored(ChunkIndex(chunk), peer);
                    stored.insert(chunk);
                }
        }
        EXPECT_EQ(picker.have().count(), stored.size());
        picker.SanityCheck();
    }
    EXPECT_TRUE(picker.IsDone());
}

}  // namespace
}  // namespace sluice::content
