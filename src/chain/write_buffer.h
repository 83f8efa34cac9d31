#pragma once

#include <map>

#include "storage/key_value.h"

namespace sluice::chain {

// A key-value store that keeps writes without sync in memory and passes them on as one batch: when a write asks for
// sync, when there are over `limit_bytes` of them, or on Flush. What the batch points to outside the store is made
// durable right before, by the hook. So while blocks arrive by the thousand neither the store nor the block files are
// synced for each one, and a crash still leaves the state after some block: an earlier one.
//
// Keeps the invariants of KeyValueStore, but belongs to the chain worker: reads are not thread-safe.
class WriteBuffer final : public storage::KeyValueStore {
  public:
    WriteBuffer(std::unique_ptr<storage::KeyValueStore> base, size_t limit_bytes)
        : m_base(std::move(base)), m_limit_bytes(limit_bytes) {}

    // `hook` must stay callable until it is replaced.
    void SetBeforeFlush(std::function<Status()> hook) { m_before_flush = std::move(hook); }
    Status Flush(bool sync);
    size_t buffered_bytes() const { return m_bytes; }

    Result<std::optional<Bytes>> Get(ByteSpan key) const override;
    Status Write(const storage::WriteBatch& batch, bool sync) override;
    Status Scan(ByteSpan prefix, ByteSpan from,
                const std::function<bool(ByteSpan key, ByteSpan value)>& visit) const override;
    Status ScanBackwards(ByteSpan prefix,
                         const std::function<bool(ByteSpan key, ByteSpan value)>& visit) const override;

  private:
    using Changes = std::map<Bytes, std::optional<Bytes>>;
    // The buffered changes to keys that start with `prefix` and are >= `from`.
    Changes InRange(ByteSpan prefix, ByteSpan from) const;

    std::unique_ptr<storage::KeyValueStore> m_base;
    size_t m_limit_bytes;
    std::function<Status()> m_before_flush;
    Changes m_changes;
    size_t m_bytes{0};
    std::optional<Error> m_failure;
};

}  // namespace sluice::chain
