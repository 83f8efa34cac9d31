#include "content/chunk_buffers.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::content {
namespace {

constexpr size_t kMostSpare = 3;

TEST(ChunkBuffers, ABufferThatWasLetGoIsUsedAgain) {
    const ChunkBuffers buffers(kMostSpare);
    auto first = buffers.Take(kChunkBytes);
    const auto shared = first;
    const Bytes* const address = first.get();
    first.reset();
    EXPECT_NE(buffers.Take(kChunkBytes).get(), address) << "somebody holds it";
    const auto holder = std::shared_ptr<const Bytes>(shared);
    EXPECT_EQ(holder->size(), kChunkBytes);
}

TEST(ChunkBuffers, TheNewestOneIsTakenFirstWhileItIsInACache) {
    const ChunkBuffers buffers(kMostSpare);
    auto first = buffers.Take(kChunkBytes);
    auto second = buffers.Take(kChunkBytes);
    const Bytes* const newest = second.get();
    first.reset();
    second.reset();
    EXPECT_EQ(buffers.Take(kChunkBytes).get(), newest);
}

TEST(ChunkBuffers, OneThatIsMadeAheadIsTakenAfterThoseThatWereUsed) {
    const ChunkBuffers buffers(kMostSpare);
    auto used = buffers.Take(kChunkBytes);
    const Bytes* const address = used.get();
    used.reset();
    buffers.MakeSpare();
    EXPECT_EQ(buffers.spare(), 2u);
    used = buffers.Take(kChunkBytes);
    EXPECT_EQ(used.get(), address);
    EXPECT_EQ(buffers.Take(kChunkBytes)->size(), kChunkBytes);
    for (size_t i = 0; i < 2 * kMostSpare; ++i) buffers.MakeSpare();
    EXPECT_EQ(buffers.spare(), kMostSpare);
}

TEST(ChunkBuffers, ThoseThatAreHeldAndKeptAreCounted) {
    const ChunkBuffers buffers(kMostSpare);
    buffers.MakeSpare();
    auto held = buffers.Take(kChunkBytes), second = buffers.Take(kChunkBytes);
    const auto small = buffers.Take(kChunkBytes - 1);
    EXPECT_EQ(buffers.made(), 2u);
    held.reset();
    EXPECT_EQ(buffers.made(), 2u) << "kept";
    buffers.Trim();
    EXPECT_EQ(buffers.made(), 1u);
    for (size_t i = 0; i < 2 * kMostSpare; ++i) buffers.MakeSpare();
    EXPECT_EQ(buffers.made(), 1 + kMostSpare);
    second.reset();
    EXPECT_EQ(buffers.made(), kMostSpare) << "no room for one more";
    buffers.Take(kChunkBytes)->resize(10);
    EXPECT_EQ(buffers.made(), kMostSpare - 1);
}

TEST(ChunkBuffers, NoMoreAreKeptThanTheyMay) {
    const ChunkBuffers buffers(kMostSpare);
    std::vector<std::shared_ptr<Bytes>> taken;
    for (size_t i = 0; i <= kMostSpare; ++i) taken.push_back(buffers.Take(kChunkBytes));
    taken.clear();
    EXPECT_EQ(buffers.spare(), kMostSpare);
}

TEST(ChunkBuffers, ATrimmedPoolKeepsNoneOfThoseThatNobodyHolds) {
    const ChunkBuffers buffers(kMostSpare);
    const auto held = buffers.Take(kChunkBytes);
    buffers.Take(kChunkBytes);
    EXPECT_EQ(buffers.spare(), 1u);
    buffers.Trim();
    EXPECT_EQ(buffers.spare(), 0u);
    (*held)[kChunkBytes - 1] = 1;
}

TEST(ChunkBuffers, OneOfAnotherSizeIsExactAndNotKept) {
    const ChunkBuffers buffers(kMostSpare);
    EXPECT_EQ(buffers.Take(kChunkBytes - 1)->size(), kChunkBytes - 1);
    buffers.Take(kChunkBytes)->resize(10);
    EXPECT_EQ(buffers.spare(), 0u);
    EXPECT_EQ(buffers.Take(kChunkBytes)->size(), kChunkBytes);
}

TEST(ChunkBuffers, ABufferMayOutliveThePool) {
    auto buffers = std::make_unique<ChunkBuffers>(kMostSpare);
    const auto last = buffers->Take(kChunkBytes);
    buffers.reset();
    (*last)[kChunkBytes - 1] = 1;
    EXPECT_EQ(last->size(), kChunkBytes);
}

}  // namespace
}  // namespace sluice::content
