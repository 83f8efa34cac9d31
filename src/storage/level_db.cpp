#include <fmt/format.h>
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <system_error>

#include "storage/file_system.h"
#include "storage/key_value.h"
#include "storage/system_error.h"
#include "util/log.h"

namespace sluice::storage {
namespace {

constexpr int kBloomBitsPerKey = 10;

leveldb::Slice ToSlice(ByteSpan bytes) {
    if (bytes.empty()) return {};  // never with a null pointer
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
ByteSpan ToSpan(const leveldb::Slice& slice) { return {reinterpret_cast<const uint8_t*>(slice.data()), slice.size()}; }

leveldb::Status ToLevelDb(const Status& status) {
    return status ? leveldb::Status::OK() : leveldb::Status::IOError(status.error().message);
}

Error FromLevelDb(const std::string& path, const leveldb::Status& status) {
    std::string message = fmt::format("database {}: {}", path, status.ToString());
    if (message.ends_with(std::generic_category().message(ENOSPC))) message += ": free some disk space and start again";
    if (status.IsCorruption()) message += ": check the disk, then rebuild the database or restore it from a backup";
    return {ErrorKind::kEnvironment, std::move(message)};
}

// The first failure to make a write-ahead log durable; it stops all later writes. Thread-safe.
class StickyFailure {
  public:
    leveldb::Status Get() const {
        const std::lock_guard lock(m_mutex);
        return m_status;
    }
    void Set(const leveldb::Status& status) {
        const std::lock_guard lock(m_mutex);
        if (m_status.ok()) m_status = status;
    }

  private:
    mutable std::mutex m_mutex;
    leveldb::Status m_status;
};

// A write-ahead log that is synced before it is closed.
class DurableLogFile final : public leveldb::WritableFile {
  public:
    DurableLogFile(std::unique_ptr<leveldb::WritableFile> file, StickyFailure& failure)
        : m_file(std::move(file)), m_failure(failure) {}
    ~DurableLogFile() override { m_failure.Set(SyncIfDirty()); }

    leveldb::Status Append(const leveldb::Slice& data) override {
        if (const leveldb::Status failed = m_failure.Get(); !failed.ok()) return failed;
        m_dirty = true;
        return m_file->Append(data);
    }
    leveldb::Status Flush() override { return m_file->Flush(); }
    leveldb::Status Sync() override {
        if (const leveldb::Status failed = m_failure.Get(); !failed.ok()) return failed;
        const leveldb::Status synced = m_file->Sync();
        if (synced.ok()) {
            m_dirty = false;
        } else {
            m_failure.Set(synced);
        }
        return synced;
    }
    leveldb::Status Close() override {
        const leveldb::Status synced = SyncIfDirty();
        const leveldb::Status closed = m_file->Close();
        return synced.ok() ? closed : synced;
    }

  private:
    leveldb::Status SyncIfDirty() { return m_dirty ? Sync() : leveldb::Status::OK(); }

    const std::unique_ptr<leveldb::WritableFile> m_file;
    StickyFailure& m_failure;
    bool m_dirty{false};
};

// LevelDB's files with the syncs that invariants 2 and 3 of KeyValueStore need.
// Rationale: when LevelDB starts a new write-ahead log it closes the old one unsynced, so power loss could drop the end
// of the old log while synced batches of the new one live on; it also leaves new names in the folder unsynced.
class DurableEnv final : public leveldb::EnvWrapper {
  public:
    DurableEnv() : EnvWrapper(leveldb::Env::Default()) {}

    leveldb::Status NewWritableFile(const std::string& path, leveldb::WritableFile** result) override {
        leveldb::WritableFile* raw = nullptr;
        leveldb::Status status = target()->NewWritableFile(path, &raw);
        if (!status.ok() || !path.ends_with(".log")) {
            *result = raw;
            return status;
        }
        auto file = std::make_unique<DurableLogFile>(std::unique_ptr<leveldb::WritableFile>(raw), m_failure);
        status = ToLevelDb(SyncDirectory(ParentOf(path)));
        *result = status.ok() ? file.release() : nullptr;
        return status;
    }
    leveldb::Status RenameFile(const std::string& from, const std::string& to) override {
        const leveldb::Status status = target()->RenameFile(from, to);
        return status.ok() ? ToLevelDb(SyncDirectory(ParentOf(to))) : status;
    }
    leveldb::Status LockFile(const std::string& path, leveldb::FileLock** lock) override {
        const leveldb::Status status = target()->LockFile(path, lock);
        m_is_locked = !status.ok() && access(path.c_str(), R_OK | W_OK) == 0;
        return status;
    }
    // The last open failed because the database is open elsewhere.
    bool IsLocked() const { return m_is_locked; }

  private:
    StickyFailure m_failure;
    bool m_is_locked{false};
};

class DebugLogger final : public leveldb::Logger {
  public:
    void Logv(const char* format, std::va_list arguments) override {
        if (!LogEnabled(LogLevel::kDebug)) return;
        char line[512];
        std::vsnprintf(line, sizeof(line), format, arguments);
        LogLine(LogLevel::kDebug, "leveldb", line);
    }
};

// The first key after all that start with `prefix`; nullopt if there is none.
std::optional<Bytes> AfterPrefix(ByteSpan prefix) {
    Bytes after = ToBytes(prefix);
    while (!after.empty() && after.back() == 0xff) after.pop_back();
    if (after.empty()) return std::nullopt;
    ++after.back();
    return after;
}

class LevelDbStore final : public KeyValueStore {
  public:
    static Result<std::unique_ptr<KeyValueStore>> Open(const std::string& path, size_t cache_bytes) {
        std::unique_ptr<LevelDbStore> store(new LevelDbStore(path, cache_bytes));
        leveldb::Options options;
        options.create_if_missing = true;
        options.paranoid_checks = true;
        options.env = &store->m_env;
        options.info_log = &store->m_logger;
        options.block_cache = store->m_cache.get();
        options.filter_policy = store->m_filter.get();
        options.write_buffer_size = cache_bytes / 4;    // two at a time while one is written out
        options.compression = leveldb::kNoCompression;  // hashes and keys do not shrink
        leveldb::DB* db = nullptr;
        const leveldb::Status status = leveldb::DB::Open(options, path, &db);
        store->m_db.reset(db);
        if (store->m_env.IsLocked()) {
            return Fail(
                ErrorKind::kUnavailable,
                fmt::format("database {} is open elsewhere: stop the other process or choose another folder", path));
        }
        if (!status.ok()) return Fail(FromLevelDb(path, status));
        return std::unique_ptr<KeyValueStore>(std::move(store));
    }

    Result<std::optional<Bytes>> Get(ByteSpan key) const override {
        std::string value;
        const leveldb::Status status = m_db->Get(PointRead(), ToSlice(key), &value);
        if (status.IsNotFound()) return std::optional<Bytes>();
        if (!status.ok()) return Fail(FromLevelDb(m_path, status));
        return std::optional<Bytes>(Bytes(value.begin(), value.end()));
    }

    Status Write(const WriteBatch& batch, bool sync) override {
        if (m_failure) return Fail(*m_failure);
        leveldb::WriteBatch changes;
        for (const WriteBatch::Change& change : batch.changes()) {
            if (change.value) {
                changes.Put(ToSlice(change.key), ToSlice(*change.value));
            } else {
                changes.Delete(ToSlice(change.key));
            }
        }
        leveldb::WriteOptions options;
        options.sync = sync;
        if (const leveldb::Status status = m_db->Write(options, &changes); !status.ok()) {
            // Rationale: LevelDB would go on after half a record in its log and so lose later batches when it recovers.
            m_failure = FromLevelDb(m_path, status);
            return Fail(*m_failure);
        }
        return {};
    }

    Status Scan(ByteSpan prefix, ByteSpan from, const std::function<bool(ByteSpan, ByteSpan)>& visit) const override {
        const std::unique_ptr<leveldb::Iterator> at(m_db->NewIterator(RangeRead()));
        const leveldb::Slice start = ToSlice(from).compare(ToSlice(prefix)) > 0 ? ToSlice(from) : ToSlice(prefix);
        for (at->Seek(start); at->Valid() && at->key().starts_with(ToSlice(prefix)); at->Next()) {
            if (!visit(ToSpan(at->key()), ToSpan(at->value()))) break;
        }
        return StatusOf(*at);
    }

    Status ScanBackwards(ByteSpan prefix, const std::function<bool(ByteSpan, ByteSpan)>& visit) const override {
        const std::unique_ptr<leveldb::Iterator> at(m_db->NewIterator(RangeRead()));
        const std::optional<Bytes> after = AfterPrefix(prefix);
        if (after) at->Seek(ToSlice(*after));
        RETURN_IF_ERROR(StatusOf(*at));
        if (after && at->Valid()) {
            at->Prev();
        } else {
            at->SeekToLast();
        }
        for (; at->Valid() && at->key().starts_with(ToSlice(prefix)); at->Prev()) {
            if (!visit(ToSpan(at->key()), ToSpan(at->value()))) break;
        }
        return StatusOf(*at);
    }

  private:
    LevelDbStore(std::string path, size_t cache_bytes)
        : m_path(std::move(path)),
          m_cache(leveldb::NewLRUCache(cache_bytes / 2)),
          m_filter(leveldb::NewBloomFilterPolicy(kBloomBitsPerKey)) {}

    static leveldb::ReadOptions PointRead() {
        leveldb::ReadOptions options;
        options.verify_checksums = true;
        return options;
    }
    static leveldb::ReadOptions RangeRead() {
        leveldb::ReadOptions options = PointRead();
        options.fill_cache = false;  // a long scan must not push out what lookups need
        return options;
    }
    Status StatusOf(const leveldb::Iterator& at) const {
        if (!at.status().ok()) return Fail(FromLevelDb(m_path, at.status()));
        return {};
    }

    const std::string m_path;
    DurableEnv m_env;
    DebugLogger m_logger;
    const std::unique_ptr<leveldb::Cache> m_cache;
    const std::unique_ptr<const leveldb::FilterPolicy> m_filter;
    std::unique_ptr<leveldb::DB> m_db;  // uses all of the above, so it goes first
    std::optional<Error> m_failure;
};

}  // namespace

Result<std::unique_ptr<KeyValueStore>> OpenLevelDb(const std::string& path, size_t cache_bytes) {
    RETURN_IF_ERROR(MakePosixFileSystem()->CreateDirectories(path));  // LevelDB's own would be readable by everyone
    return LevelDbStore::Open(path, cache_bytes);
}

}  // namespace sluice::storage
