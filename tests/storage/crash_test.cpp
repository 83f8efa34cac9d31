// Loses power at every write of a scenario that uses the log, atomic files and a store together, and checks after each
// crash what their headers promise.

#include <gtest/gtest.h>

#include <optional>

#include "storage/append_log.h"
#include "storage/memory_disk.h"
#include "util/random.h"

namespace sluice::storage {
namespace {

constexpr int kRounds = 6;
constexpr uint64_t kSeeds = 40;

Bytes B(const std::string& text) { return ToBytes(AsBytes(text)); }

// Record and version i: longer than a sector for some i.
Bytes Content(int i) {
    SeededRandom random(static_cast<uint64_t>(i));
    Bytes bytes(static_cast<size_t>(i) * 397 % 1600 + 1);
    random.Fill(bytes);
    return bytes;
}

// What was begun and what is promised to be there, as counts.
struct Promise {
    int begun{0};
    int durable{0};
    void Done(bool synced) {
        if (synced) durable = begun;
    }
};

struct Promises {
    Promise log, file, store;
};

Result<std::unique_ptr<AppendLog>> OpenLog(FileSystem& files, std::vector<Bytes>& records) {
    return AppendLog::Open(files, "/node/log", [&](ByteSpan record) -> Status {
        records.push_back(ToBytes(record));
        return {};
    });
}

Status AppendOne(AppendLog& log, Promise& promise) {
    const bool sync = ++promise.begun % 3 == 0;
    RETURN_IF_ERROR(log.Append(Content(promise.begun), sync));
    promise.Done(sync);
    return {};
}

Status WriteOneBatch(KeyValueStore& store, Promise& promise) {
    const int i = ++promise.begun;
    const bool sync = i % 4 == 0;
    WriteBatch batch;
    batch.Put(B("count"), B(std::to_string(i)));
    batch.Put(B("item" + std::to_string(i)), Content(i));
    batch.Delete(B("open" + std::to_string(i - 1)));
    batch.Put(B("open" + std::to_string(i)), {});
    RETURN_IF_ERROR(store.Write(batch, sync));
    promise.Done(sync);
    return {};
}

// Stops at the first failure, as the node does.
Status RunScenario(MemoryDisk& disk, Promises& promises) {
    FileSystem& files = disk.files();
    RETURN_IF_ERROR(files.CreateDirectories("/node"));
    std::vector<Bytes> records;
    ASSIGN_OR_RETURN(const auto log, OpenLog(files, records));
    ASSIGN_OR_RETURN(const auto store, files.OpenKeyValue("/node/store", 0));
    for (int round = 0; round < kRounds; ++round) {
        RETURN_IF_ERROR(AppendOne(*log, promises.log));
        RETURN_IF_ERROR(AppendOne(*log, promises.log));
        RETURN_IF_ERROR(WriteOneBatch(*store, promises.store));
        ++promises.file.begun;
        RETURN_IF_ERROR(WriteFileAtomically(files, "/node/state", Content(promises.file.begun)));
        promises.file.Done(true);
        RETURN_IF_ERROR(WriteOneBatch(*store, promises.store));
    }
    return {};
}

void CheckLog(FileSystem& files, const Promise& promise) {
    std::vector<Bytes> records;
    {
        const auto log = OpenLog(files, records);
        ASSERT_TRUE(log) << log.error().message;
        const int count = static_cast<int>(records.size());
        ASSERT_GE(count, promise.durable);
        ASSERT_LE(count, promise.begun);
        for (int i = 0; i < count; ++i) ASSERT_EQ(records[static_cast<size_t>(i)], Content(i + 1));
        ASSERT_TRUE((*log)->Append(B("after"), true));
    }
    const size_t before = records.size();
    records.clear();
    ASSERT_TRUE(OpenLog(files, records));
    ASSERT_EQ(records.size(), before + 1);
    ASSERT_EQ(records.back(), B("after"));
}

void CheckFile(FileSystem& files, const Promise& promise) {
    const auto found = ReadWholeFile(files, "/node/state", 1 << 20);
    if (!found) {
        ASSERT_EQ(found.error().kind, ErrorKind::kNotFound);
        ASSERT_EQ(promise.durable, 0);
        return;
    }
    const bool is_old = promise.durable > 0 && *found == Content(promise.durable);
    ASSERT_TRUE(is_old || (promise.begun > promise.durable && *found == Content(promise.begun)));
}

void CheckStore(FileSystem& files, const Promise& promise) {
    const auto store = files.OpenKeyValue("/node/store", 0);
    ASSERT_TRUE(store) << store.error().message;
    const auto value = (*store)->Get(B("count"));
    ASSERT_TRUE(value);
    const int count = *value ? std::stoi(ToString(ByteSpan(**value))) : 0;
    ASSERT_GE(count, promise.durable);
    ASSERT_LE(count, promise.begun);
    for (int i = 1; i <= promise.begun; ++i) {
        const auto item = (*store)->Get(B("item" + std::to_string(i)));
        ASSERT_TRUE(item);
        ASSERT_EQ(*item, i <= count ? std::optional<Bytes>(Content(i)) : std::nullopt);
        const auto open = (*store)->Get(B("open" + std::to_string(i)));
        ASSERT_TRUE(open);
        ASSERT_EQ(open->has_value(), i == count);
    }
    WriteBatch batch;
    batch.Put(B("count"), B(std::to_string(count)));
    ASSERT_TRUE((*store)->Write(batch, true));
}

TEST(Crash, AtAnyWriteLosesNothingThatWasPromised) {
    MemoryDisk measure(0);
    Promises all;
    ASSERT_TRUE(RunScenario(measure, all));
    const uint64_t writes = measure.writes();
    ASSERT_GT(writes, 50u);
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
        for (uint64_t cut = 0; cut <= writes; ++cut) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", power lost after " + std::to_string(cut) + " writes");
            MemoryDisk disk(seed * 1000 + cut);
            Promises promises;
            disk.FailAfterWrites(cut);
            ASSERT_EQ(bool(RunScenario(disk, promises)), cut == writes);
            disk.Crash();
            ASSERT_TRUE(disk.files().CreateDirectories("/node"));
            ASSERT_NO_FATAL_FAILURE(CheckLog(disk.files(), promises.log));
            ASSERT_NO_FATAL_FAILURE(CheckFile(disk.files(), promises.file));
            ASSERT_NO_FATAL_FAILURE(CheckStore(disk.files(), promises.store));
        }
    }
}

TEST(Crash, RightAfterRecoveryLosesNothingRecovered) {
    for (uint64_t seed = 0; seed < 300; ++seed) {
        MemoryDisk disk(seed);
        Promises promises;
        disk.FailAfterWrites(10 + seed % 40);
        ASSERT_FALSE(RunScenario(disk, promises));
        disk.Crash();
        std::vector<Bytes> first, second;
        ASSERT_TRUE(OpenLog(disk.files(), first));
        disk.Crash();
        ASSERT_TRUE(OpenLog(disk.files(), second));
        ASSERT_EQ(first, second) << seed;
    }
}

TEST(Crash, AFileThatIsRenamedUnsyncedCanBeTorn) {
    // The mistake that WriteFileAtomically avoids: if the disk did not show it, the tests above would prove nothing.
    int torn = 0;
    for (uint64_t seed = 0; seed < 100; ++seed) {
        MemoryDisk disk(seed);
        FileSystem& files = disk.files();
        ASSERT_TRUE(WriteFileAtomically(files, "/state", AsBytes("old")));
        {
            const auto file = std::move(*files.Open("/state.tmp", OpenMode::kCreateNew));
            ASSERT_TRUE(file->WriteAt(0, AsBytes("new")));
        }
        ASSERT_TRUE(files.Rename("/state.tmp", "/state"));
        disk.Crash();
        const std::string found = ToString(ByteSpan(*ReadWholeFile(files, "/state", 100)));
        torn += found != "old" && found != "new";
    }
    EXPECT_GT(torn, 10);
}

}  // namespace
}  // namespace sluice::storage
