#pragma once

#include <deque>
#include <memory>
#include <variant>

#include "storage/file_system.h"
#include "storage/memory_faults.h"

namespace sluice::storage {

// The content of a file on a disk in memory: as programs see it, and what of it would survive power loss.
class MemoryFileContent {
  public:
    explicit MemoryFileContent(MemoryFaults& faults) : m_faults(faults) {}
    MemoryFileContent(const MemoryFileContent&) = delete;
    MemoryFileContent& operator=(const MemoryFileContent&) = delete;
    ~MemoryFileContent() { m_faults.Release(m_current.size()); }

    const Bytes& current() const { return m_current; }
    // The number of bytes written: fewer than asked for if the disk is full.
    size_t Write(uint64_t offset, ByteSpan bytes);
    // False if the disk is full.
    bool Truncate(uint64_t size);
    void Sync();

    // A write that was on its way when the power went: nobody sees it, but it may be found after the crash.
    void AddInFlightWrite(uint64_t offset, Bytes bytes) { m_pending.push_back(WriteChange{offset, std::move(bytes)}); }
    void AddInFlightTruncate(uint64_t size) { m_pending.push_back(TruncateChange{size}); }
    // What was not synced is lost, kept or kept in part, as `random` decides.
    void Crash(SeededRandom& random);

  private:
    struct WriteChange {
        uint64_t offset;
        Bytes bytes;
    };
    struct TruncateChange {
        uint64_t size;
    };
    using Change = std::variant<WriteChange, TruncateChange>;

    static void Apply(Bytes& content, const Change& change);
    void KeepPrefix(SeededRandom& random);
    void KeepSectors(SeededRandom& random);
    void AddPending(Change change);

    MemoryFaults& m_faults;
    Bytes m_current;
    Bytes m_durable;
    std::deque<Change> m_pending;  // what turns m_durable into m_current
};

// An open file of a disk in memory. `sync_name` makes its name in the folder durable.
std::unique_ptr<File> MakeMemoryFile(std::string path, std::shared_ptr<MemoryFaults> faults,
                                     std::shared_ptr<MemoryFileContent> content, bool writable,
                                     std::function<void()> sync_name);

}  // namespace sluice::storage
