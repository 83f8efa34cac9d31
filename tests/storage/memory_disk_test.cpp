#include "storage/memory_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "storage/append_log.h"
#include "util/random.h"

namespace sluice::storage {
namespace {

using ::testing::HasSubstr;

Bytes B(std::string_view text) { return ToBytes(AsBytes(text)); }

std::string TextOf(FileSystem& files, const std::string& path) {
    const auto bytes = ReadWholeFile(files, path, 1 << 20);
    return bytes ? ToString(ByteSpan(*bytes)) : "missing";
}

TEST(MemoryDisk, EverythingOpenedBeforeACrashIsUselessAfterIt) {
    MemoryDisk disk(1);
    FileSystem& files = disk.files();
    const auto file = std::move(*files.Open("/file", OpenMode::kCreateNew));
    const auto store = std::move(*files.OpenKeyValue("/store", 0));
    ASSERT_TRUE(file->WriteAt(0, AsBytes("12345")));
    ASSERT_TRUE(file->Sync());
    disk.Crash();
    Bytes one(1);
    EXPECT_FALSE(file->ReadAt(0, one));
    EXPECT_FALSE(file->WriteAt(0, one));
    EXPECT_FALSE(file->Size());
    EXPECT_FALSE(file->Truncate(0));
    EXPECT_FALSE(file->Sync());
    EXPECT_FALSE(store->Get(one));
    EXPECT_FALSE(store->Write(WriteBatch(), true));
    EXPECT_FALSE(store->Scan({}, {}, [](ByteSpan, ByteSpan) { return true; }));
    EXPECT_FALSE(store->ScanBackwards({}, [](ByteSpan, ByteSpan) { return true; }));
    EXPECT_EQ(TextOf(files, "/file"), "12345");
    EXPECT_TRUE(files.OpenKeyValue("/store", 0));  // the lock went with the power
}

TEST(MemoryDisk, FilesMayOutliveIt) {
    std::unique_ptr<File> file;
    std::unique_ptr<KeyValueStore> store;
    {
        MemoryDisk disk(1);
        file = std::move(*disk.files().Open("/file", OpenMode::kCreateNew));
        store = std::move(*disk.files().OpenKeyValue("/store", 0));
        disk.FailAfterWrites(1);
        EXPECT_TRUE(file->WriteAt(0, AsBytes("1")));
        EXPECT_FALSE(file->WriteAt(1, AsBytes("2")));
    }
    EXPECT_EQ(*file->Size(), 1u);
    EXPECT_EQ(*store->Get(B("key")), std::nullopt);
}

TEST(MemoryDisk, EveryKindOfWriteFailsOnceThePowerIsGoneAndReadsGoOn) {
    MemoryDisk disk(1);
    FileSystem& files = disk.files();
    const auto file = std::move(*files.Open("/file", OpenMode::kCreateNew));
    const auto store = std::move(*files.OpenKeyValue("/store", 0));
    ASSERT_TRUE(files.CreateDirectories("/folder"));
    const uint64_t writes = disk.writes();
    disk.FailAfterWrites(2);
    EXPECT_TRUE(file->WriteAt(0, AsBytes("12345")));
    EXPECT_TRUE(file->Sync());
    const Status failed = file->WriteAt(0, AsBytes("x"));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().kind, ErrorKind::kEnvironment);
    EXPECT_THAT(failed.error().message, HasSubstr("/file"));
    EXPECT_FALSE(file->Sync());
    EXPECT_FALSE(file->Truncate(0));
    EXPECT_FALSE(files.Open("/new", OpenMode::kCreateOrOpen));
    EXPECT_FALSE(files.CreateDirectories("/new"));
    EXPECT_FALSE(files.OpenKeyValue("/new", 0));
    EXPECT_FALSE(files.Rename("/file", "/new"));
    EXPECT_FALSE(files.Remove("/folder"));
    EXPECT_FALSE(store->Write(WriteBatch(), false));
    EXPECT_EQ(disk.writes(), writes + 2);
    EXPECT_EQ(TextOf(files, "/file"), "12345");
    EXPECT_TRUE(files.Exists("/folder"));
    EXPECT_FALSE(files.Exists("/new"));
    disk.Crash();
    EXPECT_TRUE(files.Open("/another", OpenMode::kCreateOrOpen));
    EXPECT_TRUE(files.OpenKeyValue("/store", 0));
}

TEST(MemoryDisk, APassingFaultIsOverWhenTheCountIsSetAgain) {
    MemoryDisk disk(1);
    const auto file = std::move(*disk.files().Open("/file", OpenMode::kCreateNew));
    disk.FailAfterWrites(0);
    EXPECT_FALSE(file->WriteAt(0, AsBytes("1")));
    disk.FailAfterWrites(1);
    EXPECT_TRUE(file->WriteAt(0, AsBytes("2")));
    EXPECT_FALSE(file->WriteAt(0, AsBytes("3")));
}

TEST(MemoryDisk, AFullDiskKeepsWhatFitsAndTakesWritesAgainWhenThereIsRoom) {
    MemoryDisk disk(1);
    FileSystem& files = disk.files();
    disk.SetCapacity(100);
    const auto file = std::move(*files.Open("/file", OpenMode::kCreateNew));
    ASSERT_TRUE(file->WriteAt(0, Bytes(90)));
    EXPECT_EQ(*files.FreeBytes("/"), 10u);
    EXPECT_TRUE(file->WriteAt(80, Bytes(20)));  // exactly full; rewriting needs no room
    const Status full = file->WriteAt(95, Bytes(6));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().kind, ErrorKind::kEnvironment);
    EXPECT_THAT(full.error().message, HasSubstr("No space left on device"));
    EXPECT_EQ(*file->Size(), 100u);
    EXPECT_FALSE(file->Truncate(101));
    EXPECT_FALSE(file->WriteAt(200, Bytes(1)));
    EXPECT_EQ(*file->Size(), 100u);
    ASSERT_TRUE(file->Truncate(50));
    EXPECT_EQ(*files.FreeBytes("/"), 50u);
    EXPECT_TRUE(file->WriteAt(50, Bytes(50)));
}

TEST(MemoryDisk, RemovingAFileGivesItsBytesBackOnceItIsClosed) {
    MemoryDisk disk(1);
    FileSystem& files = disk.files();
    disk.SetCapacity(100);
    ASSERT_TRUE(WriteFileAtomically(files, "/file", Bytes(90)));
    ASSERT_TRUE(files.Remove("/file"));
    ASSERT_TRUE(WriteFileAtomically(files, "/other", Bytes(5)));  // makes the removal durable too
    EXPECT_EQ(*files.FreeBytes("/"), 95u);
}

TEST(MemoryDisk, AFullStoreTakesAllOfABatchOrNothing) {
    MemoryDisk disk(1);
    disk.SetCapacity(30);
    auto store = std::move(*disk.files().OpenKeyValue("/store", 0));
    WriteBatch fits, over;
    fits.Put(B("k"), Bytes(19));
    over.Put(B("a"), Bytes(1));
    over.Put(B("b"), Bytes(8));
    ASSERT_TRUE(store->Write(fits, true));
    EXPECT_FALSE(store->Write(over, true));
    EXPECT_EQ(*store->Get(B("a")), std::nullopt);
    EXPECT_FALSE(store->Write(WriteBatch(), true));
    store.reset();
    store = std::move(*disk.files().OpenKeyValue("/store", 0));
    EXPECT_TRUE(store->Write(WriteBatch(), true));
    EXPECT_EQ((*store->Get(B("k")))->size(), 19u);
}

TEST(MemoryDisk, OverManySeedsUnsyncedBytesAreLostKeptAndTorn) {
    std::set<std::string> outcomes;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        MemoryDisk disk(seed);
        const auto file = std::move(*disk.files().Open("/file", OpenMode::kCreateNew));
        ASSERT_TRUE(file->WriteAt(0, AsBytes("base")));
        ASSERT_TRUE(file->Sync());
        ASSERT_TRUE(file->WriteAt(4, AsBytes("abc")));
        ASSERT_TRUE(file->WriteAt(600, AsBytes("far")));
        disk.Crash();
        const std::string found = TextOf(disk.files(), "/file");
        ASSERT_TRUE(found.starts_with("base")) << seed;  // what was synced is never touched
        outcomes.insert(found);
    }
    std::string hole = "base";
    hole.resize(600, '\0');
    std::string whole = "baseabc";
    whole.resize(600, '\0');
    for (const std::string& expected :
         {std::string("base"), std::string("baseabc"), std::string("basea"), hole + "far", whole + "far"}) {
        EXPECT_TRUE(outcomes.contains(expected)) << expected.size();
    }
}

TEST(MemoryDisk, OverManySeedsAnUnsyncedNameIsLostAndKeptAndASyncedOneKept) {
    std::set<bool> created, removed;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        MemoryDisk disk(seed);
        FileSystem& files = disk.files();
        ASSERT_TRUE(WriteFileAtomically(files, "/old", AsBytes("old")));
        ASSERT_TRUE(files.Open("/unsynced", OpenMode::kCreateNew));
        ASSERT_TRUE(files.Remove("/old"));
        ASSERT_TRUE(files.CreateDirectories("/folder/deep"));  // syncs the names in / but comes before the next two
        ASSERT_TRUE(files.Open("/new", OpenMode::kCreateNew));
        ASSERT_TRUE(files.Remove("/unsynced"));
        disk.Crash();
        ASSERT_FALSE(files.Exists("/old"));
        ASSERT_TRUE(files.Exists("/folder/deep"));
        created.insert(files.Exists("/new"));
        removed.insert(!files.Exists("/unsynced"));
    }
    EXPECT_EQ(created.size(), 2u);
    EXPECT_EQ(removed.size(), 2u);
}

TEST(MemoryDisk, OverManySeedsAStoreLosesEverySuffixOfItsUnsyncedBatchesAndNothingElse) {
    std::set<int> counts;
    for (uint64_t seed = 0; seed < 100; ++seed) {
        MemoryDisk disk(seed);
        auto store = std::move(*disk.files().OpenKeyValue("/store", 0));
        for (int i = 1; i <= 8; ++i) {
            WriteBatch batch;
            batch.Put(B("count"), B(std::to_string(i)));
            batch.Put(B("i" + std::to_string(i)), B("x"));
            if (i > 1) batch.Delete(B("last" + std::to_string(i - 1)));
            batch.Put(B("last" + std::to_string(i)), {});
            ASSERT_TRUE(store->Write(batch, i == 3));
        }
        disk.Crash();
        store = std::move(*disk.files().OpenKeyValue("/store", 0));
        const int count = std::stoi(ToString(ByteSpan(**store->Get(B("count")))));
        counts.insert(count);
        std::string keys;
        ASSERT_TRUE(store->Scan({}, {}, [&](ByteSpan key, ByteSpan) {
            keys += ToString(key) + " ";
            return true;
        }));
        std::string expected = "count ";
        for (int i = 1; i <= count; ++i) expected += "i" + std::to_string(i) + " ";
        ASSERT_EQ(keys, expected + "last" + std::to_string(count) + " ") << seed;
    }
    EXPECT_EQ(counts, (std::set<int>{3, 4, 5, 6, 7, 8}));
}

TEST(MemoryDisk, ABatchThatChangesAKeyTwiceIsTakenBackWhole) {
    std::set<std::string> outcomes;
    for (uint64_t seed = 0; seed < 30; ++seed) {
        MemoryDisk disk(seed);
        auto store = std::move(*disk.files().OpenKeyValue("/store", 0));
        WriteBatch first, second;
        first.Put(B("key"), B("first"));
        second.Put(B("key"), B("second"));
        second.Delete(B("key"));
        second.Put(B("key"), B("third"));
        ASSERT_TRUE(store->Write(first, true));
        ASSERT_TRUE(store->Write(second, false));
        disk.Crash();
        store = std::move(*disk.files().OpenKeyValue("/store", 0));
        outcomes.insert(ToString(ByteSpan(**store->Get(B("key")))));
    }
    EXPECT_EQ(outcomes, (std::set<std::string>{"first", "third"}));
}

TEST(MemoryDisk, ARenameIntoAnotherFolderIsDurableInBoth) {
    for (uint64_t seed = 0; seed < 30; ++seed) {
        MemoryDisk disk(seed);
        FileSystem& files = disk.files();
        ASSERT_TRUE(files.CreateDirectories("/a/deep"));
        ASSERT_TRUE(files.CreateDirectories("/b"));
        ASSERT_TRUE(WriteFileAtomically(files, "/a/file", AsBytes("1")));
        ASSERT_TRUE(WriteFileAtomically(files, "/a/deep/file", AsBytes("2")));
        ASSERT_TRUE(files.Rename("/a/file", "/b/file"));
        ASSERT_TRUE(files.Rename("/a/deep", "/b/deep"));
        disk.Crash();
        ASSERT_EQ(TextOf(files, "/b/file"), "1") << seed;
        ASSERT_EQ(TextOf(files, "/b/deep/file"), "2") << seed;
        ASSERT_TRUE(files.List("/a")->empty()) << seed;
    }
}

TEST(MemoryDisk, TheSameSeedGivesTheSameCrash) {
    const auto run = [](uint64_t seed) {
        MemoryDisk disk(seed);
        SeededRandom random(99);
        const auto file = std::move(*disk.files().Open("/file", OpenMode::kCreateNew));
        EXPECT_TRUE(file->Sync());
        for (int i = 0; i < 20; ++i) {
            Bytes bytes(random.Below(3000));
            random.Fill(bytes);
            EXPECT_TRUE(file->WriteAt(random.Below(10'000), bytes));
        }
        disk.Crash();
        return TextOf(disk.files(), "/file");
    };
    std::set<std::string> outcomes;
    for (uint64_t seed = 0; seed < 10; ++seed) {
        EXPECT_EQ(run(seed), run(seed));
        outcomes.insert(run(seed));
    }
    EXPECT_GT(outcomes.size(), 3u);
}

TEST(MemoryDisk, ARenameInFlightIsFoundDoneOrNotDone) {
    std::set<std::string> outcomes;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        MemoryDisk disk(seed);
        FileSystem& files = disk.files();
        ASSERT_TRUE(WriteFileAtomically(files, "/a", AsBytes("new")));
        ASSERT_TRUE(WriteFileAtomically(files, "/b", AsBytes("old")));
        disk.FailAfterWrites(0);
        ASSERT_FALSE(files.Rename("/a", "/b"));
        disk.Crash();
        outcomes.insert(TextOf(files, "/a") + " " + TextOf(files, "/b"));
    }
    EXPECT_EQ(outcomes, (std::set<std::string>{"new old", "missing new"}));
}

TEST(MemoryDisk, PathsAreNormalized) {
    MemoryDisk disk(1);
    ASSERT_TRUE(disk.files().CreateDirectories("a//b/"));
    ASSERT_TRUE(WriteFileAtomically(disk.files(), "/a/./b/x/../file", AsBytes("1")));
    EXPECT_EQ(TextOf(disk.files(), "a/b/file"), "1");
}

}  // namespace
}  // namespace sluice::storage
