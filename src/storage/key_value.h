#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "util/bytes.h"
#include "util/result.h"

namespace sluice::storage {

// Changes that are applied together or not at all. Later changes to a key win.
class WriteBatch {
  public:
    struct Change {
        Bytes key;
        std::optional<Bytes> value;  // nullopt deletes
    };
    void Put(Bytes key, Bytes value) { m_changes.push_back({std::move(key), std::move(value)}); }
    void Delete(Bytes key) { m_changes.push_back({std::move(key), std::nullopt}); }
    const std::vector<Change>& changes() const { return m_changes; }
    bool empty() const { return m_changes.empty(); }

  private:
    std::vector<Change> m_changes;
};

// An ordered map of bytes on disk. Reads are thread-safe; writes come from one executor.
//
// Invariants: 1. Write() is atomic: after a crash at any instant a batch is there whole or not at all. 2. A batch
// written with sync survives power loss, and with it every batch written before. 3. Batches are recovered in order:
// what a crash loses is a suffix. 4. After a Write failed every later one fails too; whether the failed batch is there
// shows when the store is opened anew. A scan sees the store as it was when the scan began; it may be written to
// meanwhile.
class KeyValueStore {
  public:
    virtual ~KeyValueStore() = default;
    virtual Result<std::optional<Bytes>> Get(ByteSpan key) const = 0;
    virtual Status Write(const WriteBatch& batch, bool sync) = 0;
    // Calls `visit` for each pair whose key starts with `prefix` and is >= `from` (if not empty), in key order, until
    // it returns false. The pair is valid during the call only.
    virtual Status Scan(ByteSpan prefix, ByteSpan from,
                        const std::function<bool(ByteSpan key, ByteSpan value)>& visit) const = 0;
    // The same from the last key downwards.
    virtual Status ScanBackwards(ByteSpan prefix,
                                 const std::function<bool(ByteSpan key, ByteSpan value)>& visit) const = 0;
};

// Opens (or makes) a LevelDB database in the folder `path`. `cache_bytes` bounds its block cache and write buffer
// together. One process at a time: a second open is kUnavailable.
Result<std::unique_ptr<KeyValueStore>> OpenLevelDb(const std::string& path, size_t cache_bytes);

}  // namespace sluice::storage
