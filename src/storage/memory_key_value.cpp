#include "storage/memory_key_value.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::storage {
namespace {

// An operating system writes out on its own in the end: older batches than these count as synced. Bounds memory.
constexpr size_t kMaxUnsyncedBatches = 1024;

bool StartsWith(ByteSpan key, ByteSpan prefix) {
    return key.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), key.begin());
}

class MemoryKeyValue final : public KeyValueStore {
  public:
    MemoryKeyValue(std::string path, std::shared_ptr<MemoryFaults> faults,
                   std::shared_ptr<MemoryKeyValueContent> content)
        : m_path(std::move(path)),
          m_faults(std::move(faults)),
          m_content(std::move(content)),
          m_generation(m_faults->generation()),
          m_opened(std::make_shared<char>()) {
        m_content->opened = m_opened;
    }

    Result<std::optional<Bytes>> Get(ByteSpan key) const override {
        RETURN_IF_ERROR(m_faults->CheckAlive(m_path, m_generation));
        const auto map = m_content->Snapshot();
        const auto found = map->find(key);
        if (found == map->end()) return std::optional<Bytes>();
        return std::optional<Bytes>(found->second);
    }

    Status Write(const WriteBatch& batch, bool sync) override {
        RETURN_IF_ERROR(m_faults->CheckAlive(m_path, m_generation));
        if (m_failure) return Fail(*m_failure);
        Status written = m_faults->BeginWrite(m_path, [content = m_content, batch] { (void)content->Apply(batch); });
        if (written && !m_content->Apply(batch)) written = Fail(MemoryFaults::DiskFull(m_path));
        if (!written) {
            m_failure = written.error();
            return written;
        }
        if (sync) m_content->Sync();
        return {};
    }

    Status Scan(ByteSpan prefix, ByteSpan from, const std::function<bool(ByteSpan, ByteSpan)>& visit) const override {
        RETURN_IF_ERROR(m_faults->CheckAlive(m_path, m_generation));
        const auto map = m_content->Snapshot();
        const ByteSpan start = MemoryKeyValueContent::Less()(prefix, from) ? from : prefix;
        for (auto at = map->lower_bound(start); at != map->end() && StartsWith(at->first, prefix); ++at) {
            if (!visit(at->first, at->second)) break;
        }
        return {};
    }

    Status ScanBackwards(ByteSpan prefix, const std::function<bool(ByteSpan, ByteSpan)>& visit) const override {
        RETURN_IF_ERROR(m_faults->CheckAlive(m_path, m_generation));
        const auto map = m_content->Snapshot();
        auto at = EndOf(*map, prefix);
        while (at != map->begin()) {
            --at;
            if (!StartsWith(at->first, prefix) || !visit(at->first, at->second)) break;
        }
        return {};
    }

  private:
    // After the last key that starts with `prefix`.
    static MemoryKeyValueContent::Map::const_iterator EndOf(const MemoryKeyValueContent::Map& map, ByteSpan prefix) {
        Bytes after = ToBytes(prefix);
        while (!after.empty() && after.back() == 0xff) after.pop_back();
        if (after.empty()) return map.end();
        ++after.back();
        return map.lower_bound(after);
    }

    const std::string m_path;
    const std::shared_ptr<MemoryFaults> m_faults;
    const std::shared_ptr<MemoryKeyValueContent> m_content;
    const uint64_t m_generation;
    const std::shared_ptr<void> m_opened;
    std::optional<Error> m_failure;
};

}  // namespace

MemoryKeyValueContent::Map& MemoryKeyValueContent::Writable() {
    if (m_map.use_count() > 1) m_map = std::make_shared<Map>(*m_map);  // a scan is looking at it
    return *m_map;
}

std::optional<Bytes> MemoryKeyValueContent::Set(const Bytes& key, const std::optional<Bytes>& value) {
    Map& map = Writable();
    std::optional<Bytes> before;
    if (const auto found = map.find(key); found != map.end()) {
        m_faults.Release(key.size() + found->second.size());
        m_stored_bytes -= key.size() + found->second.size();
        before = std::move(found->second);
        map.erase(found);
    }
    if (value) {
        m_faults.Use(key.size() + value->size());
        m_stored_bytes += key.size() + value->size();
        map.emplace(key, *value);
    }
    return before;
}

bool MemoryKeyValueContent::Apply(const WriteBatch& batch) {
    uint64_t most_bytes = 0;
    for (const WriteBatch::Change& change : batch.changes())
        most_bytes += change.value ? change.key.size() + change.value->size() : 0;
    if (most_bytes > m_faults.FreeBytes()) return false;
    WriteBatch undo;
    for (const WriteBatch::Change& change : batch.changes()) {
        std::optional<Bytes> before = Set(change.key, change.value);
        if (before) {
            undo.Put(change.key, std::move(*before));
        } else {
            undo.Delete(change.key);
        }
    }
    m_undo.push_back(std::move(undo));
    if (m_undo.size() > kMaxUnsyncedBatches) m_undo.pop_front();
    return true;
}

void MemoryKeyValueContent::Undo(const WriteBatch& undo) {
    for (auto change = undo.changes().rbegin(); change != undo.changes().rend(); ++change)
        (void)Set(change->key, change->value);
}

void MemoryKeyValueContent::Crash(SeededRandom& random) {
    const size_t kept = m_undo.empty() ? 0 : random.Below(m_undo.size() + 1);
    while (m_undo.size() > kept) {
        Undo(m_undo.back());
        m_undo.pop_back();
    }
    m_undo.clear();
    opened.reset();
}

std::unique_ptr<KeyValueStore> MakeMemoryKeyValue(std::string path, std::shared_ptr<MemoryFaults> faults,
                                                  std::shared_ptr<MemoryKeyValueContent> content) {
    return std::make_unique<MemoryKeyValue>(std::move(path), std::move(faults), std::move(content));
}

}  // namespace sluice::storage
