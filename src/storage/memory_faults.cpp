#include "storage/memory_faults.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::storage {

Status MemoryFaults::BeginWrite(const std::string& path, std::function<void()> in_flight) {
    if (m_writes_left == uint64_t{0}) {
        if (!m_in_flight) m_in_flight = std::move(in_flight);
        return Fail(ErrorKind::kEnvironment, fmt::format("cannot write {}: the disk has no power", path));
    }
    if (m_writes_left) --*m_writes_left;
    ++m_writes;
    return {};
}

Status MemoryFaults::CheckAlive(const std::string& path, uint64_t generation) const {
    if (generation == m_generation) return {};
    return Fail(ErrorKind::kEnvironment,
                fmt::format("cannot use {}: the disk lost power since it was opened: open it again", path));
}

uint64_t MemoryFaults::Reserve(uint64_t more) {
    const uint64_t fitting = std::min(more, FreeBytes());
    m_used_bytes += fitting;
    return fitting;
}

uint64_t MemoryFaults::FreeBytes() const {
    return m_capacity_bytes > m_used_bytes ? m_capacity_bytes - m_used_bytes : 0;
}

Error MemoryFaults::DiskFull(const std::string& path) {
    return {ErrorKind::kEnvironment,
            fmt::format("cannot write {}: No space left on device: free some disk space and start again", path)};
}

void MemoryFaults::FailAfterWrites(uint64_t writes) {
    m_writes_left = writes;
    m_in_flight = nullptr;
}

void MemoryFaults::PowerLoss() {
    ++m_generation;
    if (m_in_flight && m_random.Below(2) == 1) m_in_flight();
    m_in_flight = nullptr;
}

void MemoryFaults::Restore() { m_writes_left.reset(); }

}  // namespace sluice::storage
