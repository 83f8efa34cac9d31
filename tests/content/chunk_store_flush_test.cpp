#include <gtest/gtest.h>

#include "content/content_fixture.h"
#include "storage/memory_disk.h"

namespace sluice::content {
namespace {

using storage::File;
using storage::OpenMode;

// A file that does something else while it syncs, as other threads do while a disk works.
class BusyFile final : public File {
  public:
    BusyFile(std::unique_ptr<File> file, std::function<void()>& during_sync)
        : m_file(std::move(file)), m_during_sync(during_sync) {}
    Status ReadAt(uint64_t offset, MutableByteSpan into) const override { return m_file->ReadAt(offset, into); }
    Status WriteAt(uint64_t offset, ByteSpan bytes) override { return m_file->WriteAt(offset, bytes); }
    Result<uint64_t> Size() const override { return m_file->Size(); }
    Status Truncate(uint64_t size) override { return m_file->Truncate(size); }
    Status Discard(uint64_t offset, uint64_t size) override { return m_file->Discard(offset, size); }
    Status Sync() override {
        RETURN_IF_ERROR(m_file->Sync());
        if (auto work = std::exchange(m_during_sync, {})) work();
        return {};
    }

  private:
    std::unique_ptr<File> m_file;
    std::function<void()>& m_during_sync;
};

class BusyFiles final : public storage::FileSystem {
  public:
    explicit BusyFiles(FileSystem& files) : m_files(files) {}
    Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
        ASSIGN_OR_RETURN(auto file, m_files.Open(path, mode));
        if (!path.ends_with(".data")) return file;
        return std::unique_ptr<File>(std::make_unique<BusyFile>(std::move(file), during_sync));
    }
    Status CreateDirectories(const std::string& path) override { return m_files.CreateDirectories(path); }
    Result<std::vector<storage::DirectoryEntry>> List(const std::string& path) const override {
        return m_files.List(path);
    }
    Result<storage::DirectoryEntry> Stat(const std::string& path) const override { return m_files.Stat(path); }
    bool Exists(const std::string& path) const override { return m_files.Exists(path); }
    Status Rename(const std::string& from, const std::string& to) override { return m_files.Rename(from, to); }
    Status Remove(const std::string& path) override { return m_files.Remove(path); }
    Result<uint64_t> FreeBytes(const std::string& path) const override { return m_files.FreeBytes(path); }
    Result<std::unique_ptr<storage::KeyValueStore>> OpenKeyValue(const std::string& path, size_t cache) override {
        return m_files.OpenKeyValue(path, cache);
    }

    std::function<void()> during_sync;

  private:
    FileSystem& m_files;
};

class ChunkStoreFlushTest : public testing::Test {
  protected:
    ChunkStoreFlushTest() {
        EXPECT_TRUE(content.AddHashes(*stored));
        for (const uint32_t chunk : {0, 1}) EXPECT_TRUE(stored->AddChunk(ChunkIndex(chunk), content.Chunk(chunk)));
    }
    // What is there after the power was lost.
    ChunkSet AfterPowerLoss() {
        stored.reset();
        store.reset();
        disk.Crash();
        store = *ChunkStore::Open(disk.files(), "/store", uint64_t{1} << 30);
        const auto again = store->Find(content.id);
        EXPECT_NE(again, nullptr);
        ExpectOnlyTrueChunks(*again, content);
        return again->Have();
    }
    storage::MemoryDisk disk{1};
    BusyFiles files{disk.files()};
    const Content content{4 * kChunkBytes};
    std::unique_ptr<ChunkStore> store = *ChunkStore::Open(files, "/store", uint64_t{1} << 30);
    std::shared_ptr<StoredContent> stored = *store->Create(content.id);
};

TEST_F(ChunkStoreFlushTest, ChunksAreTakenWhileTheDiskSyncs) {
    files.during_sync = [&] { EXPECT_TRUE(stored->AddChunk(ChunkIndex(2), content.Chunk(2))); };
    ASSERT_TRUE(stored->Flush());
    EXPECT_TRUE(stored->HasChunk(ChunkIndex(2)));
    EXPECT_EQ(stored->SyncedCount(), 2u);
    ASSERT_TRUE(stored->Flush());
    EXPECT_EQ(stored->SyncedCount(), 3u);
    EXPECT_EQ(AfterPowerLoss().count(), 3u);
}

TEST_F(ChunkStoreFlushTest, AChunkThatComesDuringASyncIsNotClaimedToSurvive) {
    files.during_sync = [&] { EXPECT_TRUE(stored->AddChunk(ChunkIndex(2), content.Chunk(2))); };
    ASSERT_TRUE(stored->Flush());
    const ChunkSet have = AfterPowerLoss();
    EXPECT_TRUE(have.Has(ChunkIndex(0)) && have.Has(ChunkIndex(1)));
    EXPECT_FALSE(have.Has(ChunkIndex(2)));
}

TEST_F(ChunkStoreFlushTest, AContentRemovedDuringASyncStaysAway) {
    files.during_sync = [&] { EXPECT_TRUE(store->Remove(content.id)); };
    EXPECT_EQ(stored->Flush().error().kind, ErrorKind::kNotFound);
    EXPECT_EQ(store->Find(content.id), nullptr);
}

}  // namespace
}  // namespace sluice::content
