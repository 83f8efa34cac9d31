#include "storage/memory_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace sluice::storage {
namespace {

// What a disk writes at once: a write of several sectors can be kept in part, in any order.
constexpr size_t kSectorBytes = 512;
// An operating system writes out on its own in the end: older changes than these count as synced. Bounds memory.
constexpr size_t kMaxPendingChanges = 4096;

void Overwrite(Bytes& content, uint64_t offset, ByteSpan bytes) {
    if (bytes.empty()) return;
    if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<ptrdiff_t>(offset));
}

class MemoryFile final : public File {
  public:
    MemoryFile(std::string path, std::shared_ptr<MemoryFaults> faults, std::shared_ptr<MemoryFileContent> content,
               bool writable, std::function<void()> sync_name)
        : m_path(std::move(path)),
          m_faults(std::move(faults)),
          m_content(std::move(content)),
          m_generation(m_faults->generation()),
          m_writable(writable),
          m_sync_name(std::move(sync_name)) {}

    Status ReadAt(uint64_t offset, MutableByteSpan into) const override {
        RETURN_IF_ERROR(m_faults->CheckAlive(m_path, m_generation));
        const Bytes& content = m_content->current();
        if (offset > content.size() || into.size() > content.size() - offset) {
            return Fail(ErrorKind::kEnvironment, fmt::format("cannot read {} bytes at {} of {}: the file ends at {}",
                                                             into.size(), offset, m_path, content.size()));
        }
        std::copy_n(content.begin() + static_cast<ptrdiff_t>(offset), into.size(), into.begin());
        return {};
    }

    Status WriteAt(uint64_t offset, ByteSpan bytes) override {
        constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
        RETURN_IF_ERROR(CheckWritable());
        if (offset > kMax || bytes.size() > kMax - offset) {
            return Fail(ErrorKind::kEnvironment, fmt::format("cannot write {}: File too large", m_path));
        }
        RETURN_IF_ERROR(m_faults->BeginWrite(
            m_path, [content = m_content, offset, copy = ToBytes(bytes)] { content->AddInFlightWrite(offset, copy); }));
        if (m_content->Write(offset, bytes) < bytes.size()) return Fail(MemoryFaults::DiskFull(m_path));
        return {};
    }

    Result<uint64_t> Size() const override {
        RETURN_IF_ERROR(m_faults->CheckAlive(m_path, m_generation));
        return uint64_t{m_content->current().size()};
    }

    Status Truncate(uint64_t size) override {
        RETURN_IF_ERROR(CheckWritable());
        RETURN_IF_ERROR(
            m_faults->BeginWrite(m_path, [content = m_content, size] { content->AddInFlightTruncate(size); }));
        if (!m_content->Truncate(size)) return Fail(MemoryFaults::DiskFull(m_path));
        return {};
    }

    Status Sync() override {
        RETURN_IF_ERROR(m_faults->CheckAlive(m_path, m_generation));
        RETURN_IF_ERROR(m_faults->BeginWrite(m_path, [] {}));
        m_content->Sync();
        if (m_writable) m_sync_name();
        return {};
    }

  private:
    Status CheckWritable() const {
        RETURN_IF_ERROR(m_faults->CheckAlive(m_path, m_generation));
        if (!m_writable)
            return Fail(ErrorKind::kEnvironment, fmt::format("cannot write {}: it was opened to read", m_path));
        return {};
    }

    const std::string m_path;
    const std::shared_ptr<MemoryFaults> m_faults;
    const std::shared_ptr<MemoryFileContent> m_content;
    const uint64_t m_generation;
    const bool m_writable;
    const std::function<void()> m_sync_name;
};

}  // namespace

size_t MemoryFileContent::Write(uint64_t offset, ByteSpan bytes) {
    if (bytes.empty()) return 0;
    const uint64_t end = offset + bytes.size();
    if (end > m_current.size()) {
        const uint64_t more = end - m_current.size();
        const uint64_t got = m_faults.Reserve(more);
        const uint64_t missing = more - got;
        if (missing >= bytes.size()) {
            m_faults.Release(got);  // not even the hole before the first byte fits
            return 0;
        }
        bytes = bytes.first(bytes.size() - missing);
    }
    WriteChange change{offset, ToBytes(bytes)};
    Overwrite(m_current, change.offset, change.bytes);
    AddPending(std::move(change));
    return bytes.size();
}

bool MemoryFileContent::Truncate(uint64_t size) {
    if (size > m_current.size()) {
        const uint64_t more = size - m_current.size();
        const uint64_t got = m_faults.Reserve(more);
        if (got < more) {
            m_faults.Release(got);
            return false;
        }
    } else {
        m_faults.Release(m_current.size() - size);
    }
    m_current.resize(size);
    AddPending(TruncateChange{size});
    return true;
}

void MemoryFileContent::AddPending(Change change) {
    m_pending.push_back(std::move(change));
    if (m_pending.size() <= kMaxPendingChanges) return;
    Apply(m_durable, m_pending.front());
    m_pending.pop_front();
}

void MemoryFileContent::Sync() {
    for (const Change& change : m_pending) Apply(m_durable, change);
    m_pending.clear();
}

void MemoryFileContent::Apply(Bytes& content, const Change& change) {
    if (const auto* write = std::get_if<WriteChange>(&change)) {
        Overwrite(content, write->offset, write->bytes);
    } else {
        content.resize(std::get<TruncateChange>(change).size);
    }
}

void MemoryFileContent::Crash(SeededRandom& random) {
    if (!m_pending.empty()) {
        switch (random.Below(4)) {
            case 0:
                break;  // all is lost
            case 1:
                Sync();
                break;
            case 2:
                KeepPrefix(random);
                break;
            default:
                KeepSectors(random);
                break;
        }
        m_pending.clear();
    }
    m_faults.Release(m_current.size());
    m_current = m_durable;
    m_faults.Use(m_current.size());
}

// The first changes are kept, the last of them torn at any byte.
void MemoryFileContent::KeepPrefix(SeededRandom& random) {
    const size_t kept = random.Below(m_pending.size());
    for (size_t i = 0; i < kept; ++i) Apply(m_durable, m_pending[i]);
    if (auto* torn = std::get_if<WriteChange>(&m_pending[kept])) {
        torn->bytes.resize(random.Below(torn->bytes.size() + 1));
        Apply(m_durable, *torn);
    }
}

// Each sector of each change is kept or lost on its own.
void MemoryFileContent::KeepSectors(SeededRandom& random) {
    for (const Change& change : m_pending) {
        const auto* write = std::get_if<WriteChange>(&change);
        if (!write) {
            if (random.Below(2) == 1) Apply(m_durable, change);
            continue;
        }
        for (size_t done = 0; done < write->bytes.size();) {
            const uint64_t at = write->offset + done;
            const size_t part = std::min<size_t>(kSectorBytes - at % kSectorBytes, write->bytes.size() - done);
            if (random.Below(2) == 1) Overwrite(m_durable, at, ByteSpan(write->bytes).subspan(done, part));
            done += part;
        }
    }
}

std::unique_ptr<File> MakeMemoryFile(std::string path, std::shared_ptr<MemoryFaults> faults,
                                     std::shared_ptr<MemoryFileContent> content, bool writable,
                                     std::function<void()> sync_name) {
    return std::make_unique<MemoryFile>(std::move(path), std::move(faults), std::move(content), writable,
                                        std::move(sync_name));
}

}  // namespace sluice::storage
