#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content/content_fixture.h"
#include "storage/memory_disk.h"

// Quota, eviction, pins, verification and what is counted.

namespace sluice::content {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr uint64_t kQuota = 100 << 20;
constexpr uint64_t kTwoChunks = 2 * kChunkBytes + 8192;  // with hashes and journal

class SpaceTest : public testing::Test {
  protected:
    void Open(uint64_t quota_bytes) {
        store.reset();
        store = std::move(*ChunkStore::Open(disk.files(), "/store", quota_bytes, &clock));
        store->SetOnEvicted([this](const ContentId& content) { evicted.push_back(content); });
    }
    // Stores a content of two chunks whole, later than what was before; nobody holds it.
    Status Put(const Content& content, bool pinned = false) {
        clock.Advance(std::chrono::hours(2));
        ASSIGN_OR_RETURN(const auto staged, store->Stage());
        if (pinned) staged->PinAtCommit();
        RETURN_IF_ERROR(content.StageInto(*staged));
        ASSIGN_OR_RETURN(const auto stored, staged->Commit(content.id));
        return {};
    }
    void Use(const Content& content) {
        clock.Advance(std::chrono::hours(2));
        ReadChunk(*store->Find(content.id), 0);
    }

    storage::MemoryDisk disk{1};
    ManualClock clock;
    std::unique_ptr<ChunkStore> store;
    std::vector<ContentId> evicted;
    const Content a{2 * kChunkBytes, 1}, b{2 * kChunkBytes, 2}, c{2 * kChunkBytes, 3};
};

TEST_F(SpaceTest, WhatWasUsedLongestAgoMakesRoom) {
    Open(2 * kTwoChunks);
    ASSERT_TRUE(Put(a));
    ASSERT_TRUE(Put(b));
    EXPECT_TRUE(evicted.empty());
    Use(a);
    ASSERT_TRUE(Put(c));
    EXPECT_THAT(evicted, ElementsAre(b.id));
    EXPECT_THAT(store->List(), UnorderedElementsAre(a.id, c.id));
    EXPECT_EQ(store->used_bytes(), 2 * kTwoChunks);
    EXPECT_FALSE(disk.files().Exists("/store/" + b.id.root.Hex() + "-524288.data"));
}

TEST_F(SpaceTest, UseIsKnownAfterARestart) {
    Open(2 * kTwoChunks);
    ASSERT_TRUE(Put(a));
    ASSERT_TRUE(Put(b));
    Use(a);
    store->SaveUses();
    ASSERT_TRUE(store->FlushAll());
    Open(2 * kTwoChunks);
    ASSERT_TRUE(Put(c));
    EXPECT_THAT(evicted, ElementsAre(b.id));
}

TEST_F(SpaceTest, PinnedContentIsNeverEvicted) {
    Open(2 * kTwoChunks);
    ASSERT_TRUE(Put(a, true));
    ASSERT_TRUE(Put(b));
    ASSERT_TRUE(Put(c));
    EXPECT_THAT(evicted, ElementsAre(b.id));
    ASSERT_TRUE(store->Pin(c.id, true));
    EXPECT_EQ(store->PinnedBytes(), 2 * kTwoChunks);
    const Status full = Put(b);
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().kind, ErrorKind::kUnavailable);
    EXPECT_THAT(full.error().message, HasSubstr(std::to_string(2 * kTwoChunks) + " of them by pinned"));
    EXPECT_THAT(store->List(), UnorderedElementsAre(a.id, c.id));
    ASSERT_TRUE(store->Pin(a.id, false));
    ASSERT_TRUE(Put(b));
    EXPECT_THAT(store->List(), UnorderedElementsAre(b.id, c.id));
    EXPECT_EQ(store->Pin(a.id, true).error().kind, ErrorKind::kNotFound);
}

TEST_F(SpaceTest, WhatSomebodyHoldsIsNotEvicted) {
    Open(2 * kTwoChunks);
    ASSERT_TRUE(Put(a));
    ASSERT_TRUE(Put(b));
    {
        const auto reading = store->Find(a.id);
        ASSERT_TRUE(Put(c));
        EXPECT_THAT(evicted, ElementsAre(b.id));
        EXPECT_EQ(ReadChunk(*reading, 1), ToBytes(a.Chunk(1)));
    }
    ASSERT_TRUE(Put(b));
    EXPECT_THAT(evicted, ElementsAre(b.id, a.id));
}

TEST_F(SpaceTest, NothingIsEvictedForWhatCannotFitAnyway) {
    Open(2 * kTwoChunks);
    ASSERT_TRUE(Put(a, true));
    ASSERT_TRUE(Put(b));
    EXPECT_EQ(store->Create({c.id.root, uint64_t{1} << 40}).error().kind, ErrorKind::kUnavailable);  // its hashes
    EXPECT_TRUE(evicted.empty());
    EXPECT_EQ(store->used_bytes(), 2 * kTwoChunks);
}

TEST_F(SpaceTest, ADownloadMakesRoomChunkByChunkAndIsNotItsOwnVictim) {
    Open(2 * kTwoChunks);
    ASSERT_TRUE(Put(a));
    ASSERT_TRUE(Put(b));
    const auto stored = store->Create(c.id);
    ASSERT_TRUE(stored) << stored.error().message;
    EXPECT_THAT(evicted, ElementsAre(a.id));
    ASSERT_TRUE(c.AddHashes(**stored));
    ASSERT_TRUE((*stored)->AddChunk(ChunkIndex(0), c.Chunk(0)));
    ASSERT_TRUE((*stored)->AddChunk(ChunkIndex(1), c.Chunk(1)));
    EXPECT_TRUE((*stored)->IsComplete());
    EXPECT_EQ(store->used_bytes(), 2 * kTwoChunks);
    EXPECT_THAT(evicted, ElementsAre(a.id));
}

TEST_F(SpaceTest, ASmallerQuotaEvictsAtOnceAndLeavesWhatIsPinned) {
    Open(3 * kTwoChunks);
    ASSERT_TRUE(Put(a, true));
    ASSERT_TRUE(Put(b));
    ASSERT_TRUE(Put(c));
    store->SetQuota(2 * kTwoChunks);
    EXPECT_THAT(evicted, ElementsAre(b.id));
    store->SetQuota(1);
    EXPECT_THAT(evicted, ElementsAre(b.id, c.id));
    EXPECT_THAT(store->List(), ElementsAre(a.id));
    EXPECT_EQ(store->used_bytes(), kTwoChunks);
}

TEST_F(SpaceTest, PowerCutsAtAnyWriteKeepPinsAndNeverCountFalsely) {
    for (uint64_t writes = 0;; ++writes) {
        storage::MemoryDisk cut(writes);
        bool pinned = false, done = false;
        {
            auto opened = ChunkStore::Open(cut.files(), "/store", 2 * kTwoChunks, &clock);
            ASSERT_TRUE(opened);
            cut.FailAfterWrites(writes);
            done = [&] {
                for (const Content* content : {&a, &b, &c}) {
                    const auto staged = (*opened)->Stage();
                    if (!staged || !content->StageInto(**staged) || !(*staged)->Commit(content->id)) return false;
                    if (content == &a) pinned = (*opened)->Pin(a.id, true).has_value();
                    if (!pinned) return false;
                }
                return true;
            }();
        }
        cut.Crash();
        const auto store = ChunkStore::Open(cut.files(), "/store", 2 * kTwoChunks, &clock);
        ASSERT_TRUE(store) << writes << ": " << store.error().message;
        uint64_t footprint = 0;
        for (const ContentId& id : (*store)->List()) {
            const auto stored = (*store)->Find(id);
            footprint += stored->FootprintBytes();
            ExpectOnlyTrueChunks(*stored, id == a.id ? a : id == b.id ? b : c);
        }
        EXPECT_EQ((*store)->used_bytes(), footprint) << writes;
        EXPECT_LE(footprint, 2 * kTwoChunks) << writes;
        if (pinned) {
            const auto kept = (*store)->Find(a.id);
            ASSERT_NE(kept, nullptr) << writes;
            EXPECT_TRUE(kept->IsPinned()) << writes;
            EXPECT_TRUE(kept->IsComplete()) << writes;
        }
        if (done) break;
        ASSERT_LT(writes, 500u);
    }
}

TEST_F(SpaceTest, VerifyDropsWhatTheDiskDamagedAndNothingElse) {
    Open(kTwoChunks);
    ASSERT_TRUE(Put(a));
    const auto stored = store->Find(a.id);
    EXPECT_EQ(stored->Verify()->checked, 2u);
    EXPECT_EQ(stored->Verify()->damaged.size(), 0u);
    const std::string path = "/store/" + a.id.root.Hex() + "-524288";
    ASSERT_TRUE(
        (*disk.files().Open(path + ".data", storage::OpenMode::kReadWrite))->WriteAt(kChunkBytes - 1, Bytes(1)));
    const auto outcome = stored->Verify();
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->checked, 2u);
    EXPECT_EQ(outcome->damaged.size(), 1u);
    EXPECT_FALSE(stored->HasChunk(ChunkIndex(0)));
    EXPECT_TRUE(stored->HasChunk(ChunkIndex(1)));
    EXPECT_EQ(store->used_bytes(), kTwoChunks - kChunkBytes);
    EXPECT_TRUE(stored->AddChunk(ChunkIndex(0), a.Chunk(0)));
    EXPECT_EQ(stored->Verify()->damaged.size(), 0u);
}

TEST_F(SpaceTest, VerifyMakesLostHashesOfWholeContentAnew) {
    const Content five(5 * kChunkBytes - 3, 9);
    Open(kQuota);
    ASSERT_TRUE(Put(five));
    const auto stored = store->Find(five.id);
    const std::string hashes = "/store/" + five.id.root.Hex() + "-" + std::to_string(five.id.size_bytes) + ".hashes";
    ASSERT_TRUE((*disk.files().Open(hashes, storage::OpenMode::kReadWrite))->WriteAt(0, Bytes(9 * 32)));
    EXPECT_EQ(stored->HashOf(ChunkIndex(4)), std::nullopt);
    EXPECT_EQ(stored->Verify()->damaged.size(), 0u);
    for (uint32_t i = 0; i < 5; ++i) EXPECT_EQ(stored->HashOf(ChunkIndex(i)), five.levels[0][i]);
    // With data and hashes gone, what cannot be proven is dropped.
    ASSERT_TRUE((*disk.files().Open(hashes, storage::OpenMode::kReadWrite))->WriteAt(0, Bytes(9 * 32)));
    const std::string data = hashes.substr(0, hashes.size() - 6) + "data";
    ASSERT_TRUE((*disk.files().Open(data, storage::OpenMode::kReadWrite))->WriteAt(0, Bytes(1)));
    EXPECT_EQ(stored->Verify()->damaged.size(), 5u);
    EXPECT_EQ(stored->Have().count(), 0u);
}

// What `du` says of a folder's files.
uint64_t AllocatedBytes(storage::FileSystem& files, const std::string& folder) {
    uint64_t bytes = 0;
    const auto entries = files.List(folder);
    for (const auto& entry : *entries) {
        struct stat info {};
        EXPECT_EQ(stat((folder + "/" + entry.name).c_str(), &info), 0);
        bytes += static_cast<uint64_t>(info.st_blocks) * 512;
    }
    return bytes;
}

TEST_F(SpaceTest, WhatIsCountedIsWhatTheDiskGives) {
    const auto files = storage::MakePosixFileSystem();
    const std::string folder = testing::TempDir() + "sluice-space-" + std::to_string(getpid());
    {
        const auto posix = *ChunkStore::Open(*files, folder, kQuota, &clock);
        const Content whole(9 * kChunkBytes + 5, 4), part(40 * kChunkBytes, 5);
        const auto staged = *posix->Stage();
        ASSERT_TRUE(whole.StageInto(*staged));
        ASSERT_TRUE(staged->Commit(whole.id));
        const auto partial = *posix->Create(part.id);
        ASSERT_TRUE(part.AddHashes(*partial));
        for (const uint32_t chunk : {3u, 17u, 39u})
            ASSERT_TRUE(partial->AddChunk(ChunkIndex(chunk), part.Chunk(chunk)));
        ASSERT_TRUE(posix->FlushAll());
        EXPECT_EQ(posix->used_bytes(), AllocatedBytes(*files, folder));
        // A damaged chunk gives its blocks back.
        const std::string data = folder + "/" + part.id.root.Hex() + "-" + std::to_string(part.id.size_bytes) + ".data";
        ASSERT_TRUE((*files->Open(data, storage::OpenMode::kReadWrite))->WriteAt(17 * kChunkBytes, Bytes(5)));
        EXPECT_EQ(partial->Verify()->damaged.size(), 1u);
        ASSERT_TRUE(posix->FlushAll());
        EXPECT_EQ(posix->used_bytes(), AllocatedBytes(*files, folder));
        // Written by nobody whom the journal knows of: what a crash leaves.
        ASSERT_TRUE(
            (*files->Open(data, storage::OpenMode::kReadWrite))->WriteAt(20 * kChunkBytes, Bytes(kChunkBytes, 1)));
    }
    {
        const auto posix = *ChunkStore::Open(*files, folder, kQuota, &clock);
        EXPECT_EQ(posix->used_bytes(), AllocatedBytes(*files, folder));
        for (const ContentId& content : posix->List()) ASSERT_TRUE(posix->Remove(content));
        EXPECT_EQ(posix->used_bytes(), 0u);
        EXPECT_EQ(AllocatedBytes(*files, folder), 0u);
    }
    ASSERT_TRUE(files->Remove(folder));
}

}  // namespace
}  // namespace sluice::content
