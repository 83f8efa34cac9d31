#include "content/chunk_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "content/content_fixture.h"
#include "storage/memory_disk.h"

namespace sluice::content {
namespace {

using testing::HasSubstr;

constexpr uint64_t kQuota = 100 << 20;
// Hashes and journal of a small content of several chunks, and of one of one chunk: it has no hashes.
constexpr uint64_t kOverhead = 8192;
constexpr uint64_t kOneChunkOverhead = 4096;

TEST(ChunkSet, SurvivesItsBytes) {
    ChunkSet set(11);
    EXPECT_TRUE(set.Insert(ChunkIndex(0)));
    EXPECT_FALSE(set.Insert(ChunkIndex(0)));
    EXPECT_TRUE(set.Insert(ChunkIndex(10)));
    EXPECT_FALSE(set.Insert(ChunkIndex(11)));
    EXPECT_EQ(HexEncode(set.ToBytes()), "0104");
    EXPECT_EQ(*ChunkSet::FromBytes(11, set.ToBytes()), set);
    EXPECT_FALSE(ChunkSet::FromBytes(10, set.ToBytes()));
    EXPECT_FALSE(ChunkSet::FromBytes(17, set.ToBytes()));
}

TEST(ChunkStore, ChunksAreCheckedAgainstTheRoot) {
    storage::MemoryDisk disk(1);
    const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
    const Content content(5 * kChunkBytes + 9);
    const auto stored = *store->Create(content.id);
    EXPECT_EQ(stored->AddChunk(ChunkIndex(1), content.Chunk(1)).error().kind, ErrorKind::kUnavailable);
    HashProof bad = content.Proof({ChunkIndex(0), 2});
    bad.hashes[0].bytes[0] ^= 1;
    EXPECT_FALSE(stored->AddHashes({ChunkIndex(0), 2}, bad));
    ASSERT_TRUE(stored->AddHashes({ChunkIndex(0), 2}, content.Proof({ChunkIndex(0), 2})));
    EXPECT_EQ(stored->HashOf(ChunkIndex(1)), content.levels[0][1]);
    EXPECT_EQ(stored->HashOf(ChunkIndex(4)), std::nullopt);
    EXPECT_EQ(stored->AddChunk(ChunkIndex(1), content.Chunk(0)).error().kind, ErrorKind::kInvalid);
    EXPECT_FALSE(stored->HasChunk(ChunkIndex(1)));
    ASSERT_TRUE(stored->AddChunk(ChunkIndex(1), content.Chunk(1)));
    EXPECT_EQ(ReadChunk(*stored, 1), ToBytes(content.Chunk(1)));
    EXPECT_EQ(*stored->ReadLeaf(ChunkIndex(1), 15), ToBytes(content.Chunk(1).subspan(15 * kLeafBytes)));
    EXPECT_EQ(*stored->ReadLeafHashes(ChunkIndex(1)), LeafHashes(content.Chunk(1)));
    EXPECT_EQ(stored->ReadLeaf(ChunkIndex(0), 0).error().kind, ErrorKind::kUnavailable);
    EXPECT_EQ(stored->ProofOf({ChunkIndex(0), 2}), content.Proof({ChunkIndex(0), 2}));
    EXPECT_EQ(stored->ProofOf({ChunkIndex(0), 4}), std::nullopt);
    EXPECT_EQ(store->used_bytes(), kChunkBytes + kOverhead);
}

// Of a version to come, for example: it may be worth money.
TEST(ChunkStore, WhatCannotBeReadIsLeftOutAndStays) {
    storage::MemoryDisk disk(1);
    const Content content(20'000), other(30'000, 2);
    const std::string name = fmt::format("/store/{}-{}", content.id.root.Hex(), content.id.size_bytes);
    {
        const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
        ASSERT_TRUE((*store->Create(content.id))->AddChunk(ChunkIndex(0), content.bytes));
        ASSERT_TRUE((*store->Create(other.id))->AddChunk(ChunkIndex(0), other.bytes));
        ASSERT_TRUE(store->FlushAll());
    }
    const auto nothing = [](ByteSpan) -> Status { return {}; };
    ASSERT_TRUE((*storage::AppendLog::Open(disk.files(), name + ".journal", nothing))->Append(Bytes{77}, true));
    const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
    EXPECT_EQ(store->Find(content.id), nullptr);
    EXPECT_TRUE(store->Find(other.id)->IsComplete());
    EXPECT_EQ(storage::ReadWholeFile(disk.files(), name + ".data", 30'000).value(), content.bytes);
    const auto refused = store->Create(content.id);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("move it"));
    EXPECT_EQ(store->used_bytes(), 32'768 + kOneChunkOverhead);
    for (const char* suffix : {".journal", ".data", ".hashes"}) ASSERT_TRUE(disk.files().Remove(name + suffix));
    EXPECT_TRUE(store->Create(content.id));
}

TEST(ChunkStore, AFileOfOneChunkNeedsNoHashes) {
    storage::MemoryDisk disk(1);
    const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
    const Content content(20'000);
    const auto stored = *store->Create(content.id);
    ASSERT_TRUE(stored->AddChunk(ChunkIndex(0), content.bytes));
    EXPECT_TRUE(stored->IsComplete());
    EXPECT_EQ(store->used_bytes(), 20'480u + kOneChunkOverhead);
}

TEST(ChunkStore, WhatWasFlushedIsThereAfterACrash) {
    storage::MemoryDisk disk(1);
    const Content content(6 * kChunkBytes);
    {
        const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
        const auto stored = *store->Create(content.id);
        ASSERT_TRUE(content.AddHashes(*stored));
        for (const uint32_t i : {5, 0, 1}) ASSERT_TRUE(stored->AddChunk(ChunkIndex(i), content.Chunk(i)));
        ASSERT_TRUE(store->FlushAll());
        ASSERT_TRUE(stored->AddChunk(ChunkIndex(3), content.Chunk(3)));
    }
    disk.Crash();
    const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
    EXPECT_THAT(store->List(), testing::ElementsAre(content.id));
    const auto stored = store->Find(content.id);
    for (const uint32_t i : {5, 0, 1}) EXPECT_TRUE(stored->HasChunk(ChunkIndex(i)));
    EXPECT_FALSE(stored->HasChunk(ChunkIndex(3)));
    ExpectOnlyTrueChunks(*stored, content);
    EXPECT_EQ(stored->HashOf(ChunkIndex(3)), content.levels[0][3]);
    EXPECT_EQ(store->used_bytes(), 3u * kChunkBytes + kOverhead);
}

TEST(ChunkStore, ACrashAtAnyWriteNeverMakesAFalseChunk) {
    const Content content(3 * kChunkBytes + 5), sealed(2 * kChunkBytes + 1, 2);
    for (uint64_t writes = 0; writes < 70; ++writes) {
        storage::MemoryDisk disk(writes);
        {
            const auto opened = ChunkStore::Open(disk.files(), "/store", kQuota);
            ASSERT_TRUE(opened);
            disk.FailAfterWrites(writes);
            if (const auto stored = (*opened)->Create(content.id)) {
                (void)content.AddHashes(**stored);
                for (const uint32_t i : {3, 0}) (void)(*stored)->AddChunk(ChunkIndex(i), content.Chunk(i));
                (void)(*stored)->Flush();
                (void)(*stored)->AddChunk(ChunkIndex(1), content.Chunk(1));
                (void)(*stored)->Flush();
            }
            if (auto staged = (*opened)->Stage()) {
                if (sealed.StageInto(**staged)) (void)(*staged)->Commit(sealed.id);
            }
            (void)(*opened)->Remove(content.id);
            (void)(*opened)->Create(content.id);
        }
        disk.Crash();
        const auto store = ChunkStore::Open(disk.files(), "/store", kQuota);
        ASSERT_TRUE(store) << writes << store.error().message;
        uint64_t used = 0;
        for (const Content* each : {&content, &sealed}) {
            const auto stored = (*store)->Find(each->id);
            if (!stored) continue;
            ExpectOnlyTrueChunks(*stored, *each);
            used += kOverhead;
            for (uint32_t i = 0; i < stored->Have().size(); ++i) {
                if (stored->HasChunk(ChunkIndex(i))) used += (each->Chunk(i).size() + 4095) / 4096 * 4096;
            }
        }
        EXPECT_EQ((*store)->used_bytes(), used) << writes;
        const auto entries = *disk.files().List("/store");
        for (const auto& entry : entries) EXPECT_FALSE(entry.name.starts_with("staging")) << entry.name;
        const auto again = (*store)->Create(content.id);
        ASSERT_TRUE(again);
        ASSERT_TRUE(content.AddHashes(**again));
        for (uint32_t i = 0; i < 4; ++i) EXPECT_TRUE((*again)->AddChunk(ChunkIndex(i), content.Chunk(i)));
        EXPECT_TRUE((*again)->Flush());
        EXPECT_TRUE((*again)->IsComplete());
    }
}

TEST(ChunkStore, ASealingIsImportedWhole) {
    for (const size_t size : {size_t{1}, size_t{kChunkBytes}, size_t{kChunkBytes + 1}, size_t{7 * kChunkBytes + 100}}) {
        storage::MemoryDisk disk(1);
        const Content content(size);
        const uint64_t used = (size + 4095) / 4096 * 4096 + (size > kChunkBytes ? kOverhead : kOneChunkOverhead);
        {
            const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
            auto staged = *store->Stage();
            ASSERT_TRUE(content.StageInto(*staged));
            EXPECT_FALSE(store->Find(content.id));
            const auto stored = staged->Commit(content.id);
            ASSERT_TRUE(stored) << stored.error().message;
            EXPECT_TRUE((*stored)->IsComplete());
            EXPECT_EQ(store->used_bytes(), used);
        }
        disk.Crash();
        const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
        const auto stored = store->Find(content.id);
        ASSERT_TRUE(stored);
        EXPECT_TRUE(stored->IsComplete());
        ExpectOnlyTrueChunks(*stored, content);
        for (uint32_t i = 0; i < ChunkCount(size); ++i)
            EXPECT_EQ(*stored->ReadLeafHashes(ChunkIndex(i)), LeafHashes(content.Chunk(i)));
        const HashSpan all{ChunkIndex(0), 1u << TreeDepth(size)};
        EXPECT_EQ(stored->ProofOf(all), content.Proof(all));
        EXPECT_EQ(store->used_bytes(), used);
    }
}

TEST(ChunkStore, ADroppedOrFalseSealingLeavesNothing) {
    storage::MemoryDisk disk(1);
    const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
    const Content content(3 * kChunkBytes);
    {
        auto staged = *store->Stage();
        ASSERT_TRUE(content.StageInto(*staged));
        EXPECT_FALSE(staged->Commit({content.id.root, content.id.size_bytes - 1}));
    }
    EXPECT_TRUE(disk.files().List("/store")->empty());
    EXPECT_EQ(store->used_bytes(), 0u);
}

TEST(ChunkStore, ASealingReplacesAPartialCopyAndKeepsAWholeOne) {
    storage::MemoryDisk disk(1);
    const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
    const Content content(3 * kChunkBytes);
    const auto partial = *store->Create(content.id);
    ASSERT_TRUE(content.AddHashes(*partial));
    ASSERT_TRUE(partial->AddChunk(ChunkIndex(1), content.Chunk(1)));
    for (int i = 0; i < 2; ++i) {
        auto staged = *store->Stage();
        ASSERT_TRUE(content.StageInto(*staged));
        const auto stored = staged->Commit(content.id);
        ASSERT_TRUE(stored);
        EXPECT_TRUE((*stored)->IsComplete());
    }
    EXPECT_EQ(store->used_bytes(), content.bytes.size() + kOverhead);
    EXPECT_EQ(partial->AddChunk(ChunkIndex(0), content.Chunk(0)).error().kind, ErrorKind::kNotFound);
    ExpectOnlyTrueChunks(*store->Find(content.id), content);
}

TEST(ChunkStore, TheQuotaIsEnforcedBeforeWriting) {
    storage::MemoryDisk disk(1);
    const auto store = *ChunkStore::Open(disk.files(), "/store", 2 * kChunkBytes + kOverhead);
    const Content content(3 * kChunkBytes);
    const auto stored = *store->Create(content.id);
    ASSERT_TRUE(content.AddHashes(*stored));
    ASSERT_TRUE(stored->AddChunk(ChunkIndex(0), content.Chunk(0)));
    ASSERT_TRUE(stored->AddChunk(ChunkIndex(1), content.Chunk(1)));
    const Status refused = stored->AddChunk(ChunkIndex(2), content.Chunk(2));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
    EXPECT_THAT(refused.error().message, HasSubstr("quota"));
    auto staged = *store->Stage();
    EXPECT_FALSE(content.StageInto(*staged));
    ASSERT_TRUE(store->Remove(content.id));
    EXPECT_EQ(store->used_bytes(), 0u);
    EXPECT_EQ(store->Find(content.id), nullptr);
    EXPECT_EQ(store->Remove(content.id).error().kind, ErrorKind::kNotFound);
}

TEST(ChunkStore, AFullDiskLosesNothing) {
    storage::MemoryDisk disk(1);
    const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
    const Content content(3 * kChunkBytes);
    const auto stored = *store->Create(content.id);
    ASSERT_TRUE(content.AddHashes(*stored));
    ASSERT_TRUE(stored->AddChunk(ChunkIndex(0), content.Chunk(0)));
    ASSERT_TRUE(stored->Flush());
    disk.SetCapacity(300'000);
    const Status full = stored->AddChunk(ChunkIndex(1), content.Chunk(1));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().kind, ErrorKind::kEnvironment);
    EXPECT_FALSE(stored->HasChunk(ChunkIndex(1)));
    EXPECT_EQ(store->used_bytes(), kChunkBytes + kOverhead);
    EXPECT_EQ(ReadChunk(*stored, 0), ToBytes(content.Chunk(0)));
    disk.SetCapacity(10'000'000);
    EXPECT_TRUE(stored->AddChunk(ChunkIndex(1), content.Chunk(1)));
    EXPECT_TRUE(stored->Flush());
}

TEST(ChunkStore, RemovedContentStaysAwayAfterACrash) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
        storage::MemoryDisk disk(seed);
        const Content content(2 * kChunkBytes);
        {
            const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
            auto staged = *store->Stage();
            ASSERT_TRUE(content.StageInto(*staged));
            ASSERT_TRUE(staged->Commit(content.id));
            ASSERT_TRUE(store->Remove(content.id));
        }
        disk.Crash();
        const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
        EXPECT_EQ(store->Find(content.id), nullptr);
        EXPECT_TRUE(disk.files().List("/store")->empty());
    }
}

TEST(ChunkStore, ADamagedChunkIsDroppedAndCanBeFetchedAgain) {
    storage::MemoryDisk disk(1);
    const Content content(3 * kChunkBytes);
    const std::string path = "/store/" + content.id.root.Hex() + "-" + std::to_string(content.id.size_bytes);
    {
        const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
        auto staged = *store->Stage();
        ASSERT_TRUE(content.StageInto(*staged));
        ASSERT_TRUE(staged->Commit(content.id));
        const auto data = *disk.files().Open(path + ".data", storage::OpenMode::kReadWrite);
        ASSERT_TRUE(data->WriteAt(kChunkBytes + 7, Bytes(3)));
        const auto stored = store->Find(content.id);
        EXPECT_EQ(stored->ReadLeafHashes(ChunkIndex(1)).error().kind, ErrorKind::kUnavailable);
        EXPECT_FALSE(stored->HasChunk(ChunkIndex(1)));
        EXPECT_EQ(store->used_bytes(), 2u * kChunkBytes + kOverhead);
    }
    {
        const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
        EXPECT_FALSE(store->Find(content.id)->HasChunk(ChunkIndex(1)));
        EXPECT_TRUE(store->Find(content.id)->AddChunk(ChunkIndex(1), content.Chunk(1)));
        ASSERT_TRUE(store->FlushAll());
        ASSERT_TRUE((*disk.files().Open(path + ".data", storage::OpenMode::kReadWrite))->Truncate(2 * kChunkBytes));
    }
    const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
    EXPECT_TRUE(store->Find(content.id)->HasChunk(ChunkIndex(1)));
    EXPECT_FALSE(store->Find(content.id)->HasChunk(ChunkIndex(2)));
}

TEST(ChunkStore, ADamagedHashesFileIsNotTrusted) {
    storage::MemoryDisk disk(1);
    const auto store = *ChunkStore::Open(disk.files(), "/store", kQuota);
    const Content content(4 * kChunkBytes);
    const auto stored = *store->Create(content.id);
    ASSERT_TRUE(content.AddHashes(*stored));
    const std::string path =
        "/store/" + content.id.root.Hex() + "-" + std::to_string(content.id.size_bytes) + ".hashes";
    ASSERT_TRUE((*disk.files().Open(path, storage::OpenMode::kReadWrite))->WriteAt(3, Bytes{1, 2, 3}));
    EXPECT_EQ(stored->HashOf(ChunkIndex(0)), std::nullopt);
    EXPECT_EQ(stored->HashOf(ChunkIndex(2)), content.levels[0][2]);
    ASSERT_TRUE(content.AddHashes(*stored));
    EXPECT_EQ(stored->HashOf(ChunkIndex(0)), content.levels[0][0]);
}

}  // namespace
}  // namespace sluice::content
