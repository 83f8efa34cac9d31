#include "node/read_ahead.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::node {
namespace {

using content::ChunkIndex;

std::vector<uint32_t> Plan(const ReadAhead& ahead, const std::set<uint32_t>& here = {}) {
    std::vector<uint32_t> plan;
    for (const ChunkIndex chunk : ahead.Plan([&](ChunkIndex c) { return here.contains(c.value); }))
        plan.push_back(chunk.value);
    return plan;
}

TEST(ReadAhead, NothingIsPlannedBeforeTheFirstRead) {
    EXPECT_TRUE(Plan(ReadAhead(ChunkIndex(0), ChunkIndex(9), true)).empty());
}

TEST(ReadAhead, PlayingFromTheStartWantsTheHeadThenTheTailThenAWindow) {
    ReadAhead ahead(ChunkIndex(3), ChunkIndex(99), true);
    ahead.OnRead(ChunkIndex(3), ChunkIndex(99));
    EXPECT_EQ(Plan(ahead), (std::vector<uint32_t>{3, 98, 99, 4, 5, 6, 7}));
    EXPECT_EQ(Plan(ahead, {3, 99, 5}), (std::vector<uint32_t>{98, 4, 6, 7}));
}

TEST(ReadAhead, WhoReadsAPartGetsNoTail) {
    ReadAhead to_the_middle(ChunkIndex(0), ChunkIndex(99), true);
    to_the_middle.OnRead(ChunkIndex(0), ChunkIndex(50));
    EXPECT_EQ(Plan(to_the_middle), (std::vector<uint32_t>{0, 1, 2, 3, 4}));
    ReadAhead from_the_middle(ChunkIndex(0), ChunkIndex(99), true);
    from_the_middle.OnRead(ChunkIndex(50), ChunkIndex(99));
    EXPECT_EQ(Plan(from_the_middle), (std::vector<uint32_t>{50, 51, 52, 53, 54}));
    ReadAhead no_media(ChunkIndex(0), ChunkIndex(99), false);
    no_media.OnRead(ChunkIndex(0), ChunkIndex(99));
    EXPECT_EQ(Plan(no_media), (std::vector<uint32_t>{0, 1, 2, 3, 4}));
}

TEST(ReadAhead, NothingBeyondWhatTheReaderWantsIsFetched) {
    ReadAhead ahead(ChunkIndex(0), ChunkIndex(99), true);
    ahead.OnRead(ChunkIndex(10), ChunkIndex(10));
    EXPECT_EQ(Plan(ahead), (std::vector<uint32_t>{10}));
    ahead.OnRead(ChunkIndex(20), ChunkIndex(22));
    EXPECT_EQ(Plan(ahead), (std::vector<uint32_t>{20, 21, 22}));
}

TEST(ReadAhead, TheWindowGrowsWithWhatIsConsumedUpToItsLimit) {
    ReadAhead ahead(ChunkIndex(0), ChunkIndex(9'999), false);
    for (uint32_t chunk = 0; chunk < 100; ++chunk) {
        const uint32_t before = ahead.window();
        ahead.OnRead(ChunkIndex(chunk), ChunkIndex(9'999));
        EXPECT_GE(ahead.window(), before);
        EXPECT_LE(ahead.window(), ReadAhead::kMaxChunks);
        ahead.OnRead(ChunkIndex(chunk), ChunkIndex(9'999));  // a second read of the same chunk changes nothing
    }
    EXPECT_EQ(ahead.window(), ReadAhead::kMaxChunks);
    EXPECT_EQ(Plan(ahead).size(), size_t{ReadAhead::kMaxChunks} + 1);
}

TEST(ReadAhead, ASeekStartsWithASmallWindowAtItsTarget) {
    ReadAhead ahead(ChunkIndex(0), ChunkIndex(9'999), true);
    for (uint32_t chunk = 0; chunk < 50; ++chunk) ahead.OnRead(ChunkIndex(chunk), ChunkIndex(9'999));
    ahead.OnRead(ChunkIndex(5'000), ChunkIndex(9'999));
    EXPECT_EQ(Plan(ahead), (std::vector<uint32_t>{5'000, 5'001, 5'002, 5'003, 5'004}));
    ahead.OnRead(ChunkIndex(4'999), ChunkIndex(9'999));
    EXPECT_EQ(Plan(ahead).size(), size_t{ReadAhead::kMinChunks} + 1) << "one step back is a seek too";
}

TEST(ReadAhead, AReaderThatStandsStillAsksForNoMore) {
    ReadAhead ahead(ChunkIndex(0), ChunkIndex(9'999), false);
    for (int i = 0; i < 100; ++i) ahead.OnRead(ChunkIndex(7), ChunkIndex(9'999));
    EXPECT_EQ(Plan(ahead), (std::vector<uint32_t>{7, 8, 9, 10, 11}));
}

TEST(ReadAhead, AFileOfOneChunkIsThatChunk) {
    ReadAhead ahead(ChunkIndex(4), ChunkIndex(4), true);
    ahead.OnRead(ChunkIndex(4), ChunkIndex(4));
    EXPECT_EQ(Plan(ahead), (std::vector<uint32_t>{4}));
    EXPECT_TRUE(Plan(ahead, {4}).empty());
}

}  // namespace
}  // namespace sluice::node
