#pragma once

#include <deque>
#include <map>
#include <memory>

#include "storage/key_value.h"
#include "storage/memory_faults.h"

namespace sluice::storage {

// The content of a key-value store on a disk in memory, with what is needed to take back the batches that were not
// synced.
class MemoryKeyValueContent {
  public:
    struct Less {
        using is_transparent = void;
        bool operator()(ByteSpan a, ByteSpan b) const {
            return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
        }
    };
    using Map = std::map<Bytes, Bytes, Less>;

    explicit MemoryKeyValueContent(MemoryFaults& faults) : m_faults(faults), m_map(std::make_shared<Map>()) {}
    MemoryKeyValueContent(const MemoryKeyValueContent&) = delete;
    MemoryKeyValueContent& operator=(const MemoryKeyValueContent&) = delete;
    ~MemoryKeyValueContent() { m_faults.Release(m_stored_bytes); }

    // The map as it is now; later changes do not touch it.
    std::shared_ptr<const Map> Snapshot() const { return m_map; }
    // False, and nothing changed, if the disk is full.
    bool Apply(const WriteBatch& batch);
    void Sync() { m_undo.clear(); }
    // Keeps the first of the unsynced batches, as many as `random` says.
    void Crash(SeededRandom& random);

    // Held by the one who has the store open.
    std::weak_ptr<void> opened;

  private:
    Map& Writable();
    // Sets or deletes one key; the value it had.
    std::optional<Bytes> Set(const Bytes& key, const std::optional<Bytes>& value);
    void Undo(const WriteBatch& undo);

    MemoryFaults& m_faults;
    std::shared_ptr<Map> m_map;
    std::deque<WriteBatch> m_undo;  // per unsynced batch, changes to apply last to first
    uint64_t m_stored_bytes{0};
};

std::unique_ptr<KeyValueStore> MakeMemoryKeyValue(std::string path, std::shared_ptr<MemoryFaults> faults,
                                                  std::shared_ptr<MemoryKeyValueContent> content);

}  // namespace sluice::storage
