#include "storage/key_value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "storage/memory_disk.h"
#include "storage/temp_folder.h"
#include "util/random.h"

namespace sluice::storage {
namespace {

using ::testing::HasSubstr;
using Pairs = std::vector<std::pair<Bytes, Bytes>>;
using Model = std::map<Bytes, Bytes>;

constexpr size_t kCacheBytes = 1 << 20;

Bytes B(std::string_view text) { return ToBytes(AsBytes(text)); }

Pairs Scanned(const KeyValueStore& store, ByteSpan prefix = {}, ByteSpan from = {}, size_t most = SIZE_MAX) {
    Pairs pairs;
    EXPECT_TRUE(store.Scan(prefix, from, [&](ByteSpan key, ByteSpan value) {
        pairs.emplace_back(ToBytes(key), ToBytes(value));
        return pairs.size() < most;
    }));
    return pairs;
}

Pairs ScannedBackwards(const KeyValueStore& store, ByteSpan prefix = {}, size_t most = SIZE_MAX) {
    Pairs pairs;
    EXPECT_TRUE(store.ScanBackwards(prefix, [&](ByteSpan key, ByteSpan value) {
        pairs.emplace_back(ToBytes(key), ToBytes(value));
        return pairs.size() < most;
    }));
    return pairs;
}

std::string KeysOf(const Pairs& pairs) {
    std::string keys;
    for (const auto& [key, value] : pairs) keys += (keys.empty() ? "" : " ") + ToString(ByteSpan(key));
    return keys;
}

Status PutAll(KeyValueStore& store, const std::vector<std::string>& keys, bool sync = false) {
    WriteBatch batch;
    for (const std::string& key : keys) batch.Put(B(key), B("value of " + key));
    return store.Write(batch, sync);
}

// The naive answer to Scan.
Pairs ModelScan(const Model& model, const Bytes& prefix, const Bytes& from) {
    Pairs pairs;
    for (const auto& [key, value] : model) {
        const bool starts = key.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), key.begin());
        if (starts && (from.empty() || key >= from)) pairs.emplace_back(key, value);
    }
    return pairs;
}

class EachStore : public ::testing::TestWithParam<bool> {
  protected:
    EachStore() : m_disk(1) {}
    FileSystem& files() { return GetParam() ? *m_posix : m_disk.files(); }
    std::string Path() const { return GetParam() ? m_folder / "store" : "/store"; }
    std::unique_ptr<KeyValueStore> Open() {
        auto store = files().OpenKeyValue(Path(), kCacheBytes);
        EXPECT_TRUE(store) << store.error().message;
        return store ? std::move(*store) : nullptr;
    }

    TempFolder m_folder;
    std::unique_ptr<FileSystem> m_posix = MakePosixFileSystem();
    MemoryDisk m_disk;
};

INSTANTIATE_TEST_SUITE_P(, EachStore, ::testing::Values(true, false),
                         [](const auto& info) { return std::string(info.param ? "LevelDb" : "Memory"); });

TEST_P(EachStore, GetsWhatWasPut) {
    const auto store = Open();
    EXPECT_EQ(*store->Get(B("key")), std::nullopt);
    WriteBatch batch;
    EXPECT_TRUE(batch.empty());
    batch.Put(B("key"), B("value"));
    batch.Put(B("empty value"), {});
    batch.Put({}, B("of the empty key"));
    batch.Put(Bytes{0, 255, 0}, Bytes{255, 0});
    ASSERT_TRUE(store->Write(batch, true));
    EXPECT_EQ(*store->Get(B("key")), B("value"));
    EXPECT_EQ(*store->Get(B("empty value")), Bytes());
    EXPECT_EQ(*store->Get({}), B("of the empty key"));
    EXPECT_EQ(*store->Get(Bytes{0, 255, 0}), (Bytes{255, 0}));
    EXPECT_EQ(*store->Get(B("ke")), std::nullopt);
    EXPECT_EQ(*store->Get(B("key ")), std::nullopt);
}

TEST_P(EachStore, LaterChangesOfABatchWin) {
    const auto store = Open();
    WriteBatch batch;
    batch.Put(B("a"), B("1"));
    batch.Put(B("a"), B("2"));
    batch.Put(B("b"), B("1"));
    batch.Delete(B("b"));
    batch.Delete(B("c"));
    batch.Put(B("c"), B("1"));
    batch.Delete(B("never there"));
    ASSERT_TRUE(store->Write(batch, false));
    EXPECT_EQ(*store->Get(B("a")), B("2"));
    EXPECT_EQ(*store->Get(B("b")), std::nullopt);
    EXPECT_EQ(*store->Get(B("c")), B("1"));
    EXPECT_TRUE(store->Write(WriteBatch(), true));
}

TEST_P(EachStore, ScansAPrefixInOrderFromAKeyOn) {
    const auto store = Open();
    ASSERT_TRUE(PutAll(*store, {"b2", "a", "b", "b1", "c", "b11"}));
    EXPECT_EQ(KeysOf(Scanned(*store)), "a b b1 b11 b2 c");
    EXPECT_EQ(KeysOf(Scanned(*store, B("b"))), "b b1 b11 b2");
    EXPECT_EQ(KeysOf(Scanned(*store, B("b"), B("b1"))), "b1 b11 b2");
    EXPECT_EQ(KeysOf(Scanned(*store, B("b"), B("b10"))), "b11 b2");
    EXPECT_EQ(KeysOf(Scanned(*store, B("b"), B("a"))), "b b1 b11 b2");
    EXPECT_EQ(KeysOf(Scanned(*store, B("b"), B("c"))), "");
    EXPECT_EQ(KeysOf(Scanned(*store, {}, B("b2"))), "b2 c");
    EXPECT_EQ(KeysOf(Scanned(*store, B("b"), {}, 2)), "b b1");
    EXPECT_EQ(KeysOf(Scanned(*store, B("d"))), "");
    EXPECT_EQ(KeysOf(ScannedBackwards(*store)), "c b2 b11 b1 b a");
    EXPECT_EQ(KeysOf(ScannedBackwards(*store, B("b"))), "b2 b11 b1 b");
    EXPECT_EQ(KeysOf(ScannedBackwards(*store, B("c"))), "c");
    EXPECT_EQ(KeysOf(ScannedBackwards(*store, B("b"), 1)), "b2");
    EXPECT_EQ(KeysOf(ScannedBackwards(*store, B("aa"))), "");
    EXPECT_EQ(KeysOf(ScannedBackwards(*store, B("d"))), "");
    EXPECT_EQ(ToString(ByteSpan(Scanned(*store, B("a"))[0].second)), "value of a");
}

TEST_P(EachStore, ScansPrefixesOfTheHighestBytes) {
    const auto store = Open();
    WriteBatch batch;
    for (const Bytes& key :
         {Bytes{1, 0xff}, Bytes{1, 0xff, 0xff}, Bytes{2}, Bytes{0xff}, Bytes{0xff, 0xff}, Bytes{0xff, 0xff, 1}}) {
        batch.Put(key, key);
    }
    ASSERT_TRUE(store->Write(batch, false));
    EXPECT_EQ(Scanned(*store, Bytes{1, 0xff}).size(), 2u);
    EXPECT_EQ(ScannedBackwards(*store, Bytes{1, 0xff}).size(), 2u);
    EXPECT_EQ(ScannedBackwards(*store, Bytes{0xff}).size(), 3u);
    EXPECT_EQ(ScannedBackwards(*store, Bytes{0xff, 0xff}).front().first, (Bytes{0xff, 0xff, 1}));
    EXPECT_EQ(Scanned(*store, Bytes{0xff, 0xff}).size(), 2u);
}

TEST_P(EachStore, AScanSeesTheStoreAsItWasWhenItBegan) {
    const auto store = Open();
    ASSERT_TRUE(PutAll(*store, {"a", "b", "c"}));
    std::string seen;
    ASSERT_TRUE(store->Scan({}, {}, [&](ByteSpan key, ByteSpan) {
        seen += ToString(key);
        WriteBatch batch;
        batch.Delete(B("b"));
        batch.Put(B("d"), {});
        return bool(store->Write(batch, false));
    }));
    EXPECT_EQ(seen, "abc");
    EXPECT_EQ(KeysOf(Scanned(*store)), "a c d");
}

TEST_P(EachStore, ASecondOpenIsUnavailableUntilTheFirstIsClosed) {
    auto store = Open();
    ASSERT_TRUE(PutAll(*store, {"a"}));
    const auto second = files().OpenKeyValue(Path(), kCacheBytes);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
    EXPECT_THAT(second.error().message, HasSubstr(Path()));
    EXPECT_THAT(second.error().message, HasSubstr("open elsewhere"));
    EXPECT_EQ(*store->Get(B("a")), B("value of a"));
    store.reset();
    EXPECT_EQ(*Open()->Get(B("a")), B("value of a"));
}

TEST_P(EachStore, AnswersAsANaiveMapDoesUnderRandomOperations) {
    SeededRandom random(42);
    Model model;
    auto store = Open();
    const auto random_key = [&] {
        Bytes key(random.Below(4));
        for (uint8_t& byte : key)
            byte = static_cast<uint8_t>(random.Below(2) == 0 ? random.Below(3) : 0xff - random.Below(3));
        return key;
    };
    for (int step = 0; step < 1500; ++step) {
        WriteBatch batch;
        for (uint64_t changes = random.Below(6); changes > 0; --changes) {
            const Bytes key = random_key();
            if (random.Below(3) == 0) {
                batch.Delete(key);
                model.erase(key);
            } else {
                Bytes value(random.Below(300));
                random.Fill(value);
                batch.Put(key, value);
                model[key] = value;
            }
        }
        ASSERT_TRUE(store->Write(batch, random.Below(50) == 0));
        const Bytes key = random_key();
        const auto found = model.find(key);
        ASSERT_EQ(*store->Get(key), found == model.end() ? std::nullopt : std::optional<Bytes>(found->second));
        const Bytes prefix = random_key(), from = random_key();
        ASSERT_EQ(Scanned(*store, prefix, from), ModelScan(model, prefix, from)) << step;
        Pairs backwards = ModelScan(model, prefix, {});
        std::reverse(backwards.begin(), backwards.end());
        ASSERT_EQ(ScannedBackwards(*store, prefix), backwards) << step;
        if (random.Below(150) == 0) {
            store.reset();
            store = Open();
        }
    }
}

class LevelDb : public ::testing::Test {
  protected:
    std::unique_ptr<KeyValueStore> Open(const std::string& name = "store", size_t cache_bytes = kCacheBytes) {
        auto store = OpenLevelDb(m_folder / name, cache_bytes);
        EXPECT_TRUE(store) << store.error().message;
        return store ? std::move(*store) : nullptr;
    }
    // What a process that dies now leaves behind, but for its lock.
    std::string CopyOfOpenStore(const std::string& name) {
        std::filesystem::remove_all(m_folder / name);
        std::filesystem::copy(m_folder / "store", m_folder / name);
        return m_folder / name;
    }
    static std::string LogFile(const std::string& folder) {
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            if (entry.path().extension() == ".log") return entry.path();
        }
        return {};
    }

    TempFolder m_folder;
};

// Batch i sets "count" to i and adds "i<i>"; returns how many batches are there, or -1 if they are not a whole prefix.
Status WriteNumbered(KeyValueStore& store, int i, size_t padding, bool sync) {
    WriteBatch batch;
    batch.Put(B("count"), B(std::to_string(i)));
    Bytes value(padding, static_cast<uint8_t>(i));
    batch.Put(B("i" + std::to_string(i)), value);
    return store.Write(batch, sync);
}
int NumberedBatches(const KeyValueStore& store) {
    const auto count = store.Get(B("count"));
    const int batches = count && *count ? std::stoi(ToString(ByteSpan(**count))) : 0;
    if (Scanned(store, B("i")).size() != static_cast<size_t>(batches)) return -1;
    for (int i = 1; i <= batches; ++i) {
        if (!*store.Get(B("i" + std::to_string(i)))) return -1;
    }
    return batches;
}

TEST_F(LevelDb, AnotherProcessCannotOpenIt) {
    const auto store = Open();
    const pid_t child = fork();
    if (child == 0) {
        const auto second = OpenLevelDb(m_folder / "store", kCacheBytes);
        _exit(!second && second.error().kind == ErrorKind::kUnavailable ? 7 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(LevelDb, UnsyncedBatchesSurviveTheDeathOfTheProcess) {
    const auto store = Open();
    for (int i = 1; i <= 20; ++i) ASSERT_TRUE(WriteNumbered(*store, i, 10, false));
    CopyOfOpenStore("copy");
    EXPECT_EQ(NumberedBatches(*Open("copy")), 20);
}

TEST_F(LevelDb, ALogCutAtAnyByteGivesAPrefixOfWholeBatches) {
    const auto store = Open();
    for (int i = 1; i <= 8; ++i) ASSERT_TRUE(WriteNumbered(*store, i, 20, false));
    const uint64_t size = std::filesystem::file_size(LogFile(m_folder / "store"));
    ASSERT_GT(size, 8 * 20u);
    int before = 0;
    for (uint64_t cut = 0; cut <= size; cut += cut + 9 < size ? 9 : 1) {
        const std::string copy = CopyOfOpenStore("copy");
        std::filesystem::resize_file(LogFile(copy), cut);
        const int batches = NumberedBatches(*Open("copy"));
        ASSERT_GE(batches, before) << cut;
        before = batches;
    }
    EXPECT_EQ(before, 8);
}

TEST_F(LevelDb, ADamagedLogIsAnErrorThatNamesTheDatabase) {
    const auto store = Open();
    for (int i = 1; i <= 8; ++i) ASSERT_TRUE(WriteNumbered(*store, i, 20, true));
    const std::string copy = CopyOfOpenStore("copy");
    {
        std::fstream log(LogFile(copy), std::ios::in | std::ios::out | std::ios::binary);
        log.seekp(100);
        log.put('\x5a');
    }
    const auto opened = OpenLevelDb(copy, kCacheBytes);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::kEnvironment);
    EXPECT_THAT(opened.error().message, HasSubstr(copy));
    EXPECT_THAT(opened.error().message, HasSubstr("check the disk"));
}

TEST_F(LevelDb, KeepsEverythingOverManyLogsWithASmallCache) {
    {
        const auto store = Open("store", 0);
        for (int i = 1; i <= 300; ++i) ASSERT_TRUE(WriteNumbered(*store, i, 2000, false));
        EXPECT_EQ(NumberedBatches(*store), 300);
    }
    EXPECT_EQ(NumberedBatches(*Open()), 300);
}

TEST_F(LevelDb, AfterAFailedWriteAllFailUntilItIsOpenedAnewAndNothingSyncedIsLost) {
    auto store = Open();
    for (int i = 1; i <= 5; ++i) ASSERT_TRUE(WriteNumbered(*store, i, 20, true));
    rlimit old;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    const auto old_handler = signal(SIGXFSZ, SIG_IGN);
    const rlimit small{4096, old.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const Status failed = WriteNumbered(*store, 6, 100'000, true);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, old_handler);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().kind, ErrorKind::kEnvironment);
    EXPECT_THAT(failed.error().message, HasSubstr("File too large"));
    EXPECT_FALSE(WriteNumbered(*store, 6, 1, true));
    EXPECT_EQ(NumberedBatches(*store), 5);
    store.reset();
    store = Open();
    EXPECT_EQ(NumberedBatches(*store), 5);
    EXPECT_TRUE(WriteNumbered(*store, 6, 1, true));
    EXPECT_EQ(NumberedBatches(*store), 6);
}

}  // namespace
}  // namespace sluice::storage
