#pragma once

#include <functional>
#include <optional>
#include <string>

#include "util/random.h"
#include "util/result.h"

// The parts of MemoryDisk. Not for other folders.

namespace sluice::storage {

// What goes wrong on a disk in memory, and when. Shared by the disk and everything opened on it.
class MemoryFaults {
  public:
    explicit MemoryFaults(uint64_t seed) : m_random(seed) {}
    MemoryFaults(const MemoryFaults&) = delete;
    MemoryFaults& operator=(const MemoryFaults&) = delete;
    ~MemoryFaults() { m_in_flight = nullptr; }  // may hold the last reference to content that gives its bytes back

    // Counts one write, or fails it if the power is gone. `in_flight` is what the first write without power may still
    // have done when the crash is over (PowerLoss runs it or not).
    Status BeginWrite(const std::string& path, std::function<void()> in_flight);
    // Fails if the object was opened before the last crash.
    Status CheckAlive(const std::string& path, uint64_t generation) const;

    // How many of `more` bytes still fit; they count as used from now on.
    uint64_t Reserve(uint64_t more);
    // Counts bytes as used whether they fit or not: for what is already on the disk.
    void Use(uint64_t bytes) { m_used_bytes += bytes; }
    void Release(uint64_t bytes) { m_used_bytes -= bytes; }
    uint64_t FreeBytes() const;
    static Error DiskFull(const std::string& path);

    void FailAfterWrites(uint64_t writes);
    void SetCapacity(uint64_t bytes) { m_capacity_bytes = bytes; }
    // The power is gone: everything opened becomes useless, and the write that was in flight may or may not have been
    // done.
    void PowerLoss();
    // The power is back.
    void Restore();

    uint64_t writes() const { return m_writes; }
    uint64_t generation() const { return m_generation; }
    SeededRandom& random() { return m_random; }

  private:
    SeededRandom m_random;
    uint64_t m_writes{0};
    uint64_t m_generation{0};
    std::optional<uint64_t> m_writes_left;
    std::function<void()> m_in_flight;
    uint64_t m_capacity_bytes{uint64_t{1} << 40};
    uint64_t m_used_bytes{0};
};

}  // namespace sluice::storage
