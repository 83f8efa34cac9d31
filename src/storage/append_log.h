#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "storage/file_system.h"

namespace sluice::storage {

// A file of records that only grows: each record is length (4), CRC32C of length and payload (4), payload. A record
// that a crash cut short is dropped when the log is opened, together with what follows it; a record whose Append
// returned after sync is never lost.
inline constexpr size_t kMaxLogRecordBytes = 1 << 20;

class AppendLog {
  public:
    // Opens or makes the log, hands every whole record to `replay` in order, and cuts off a torn tail. What was
    // replayed survives power loss. An error of `replay` is returned as it is and leaves the file alone.
    static Result<std::unique_ptr<AppendLog>> Open(FileSystem& files, const std::string& path,
                                                   const std::function<Status(ByteSpan record)>& replay);
    // kInvalid if the record is over the limit. With sync, returns once it and every record before survive power loss.
    // A failed write leaves the log as it was; after a failed sync (or a failed write that could not be undone) every
    // later Append fails too.
    Status Append(ByteSpan record, bool sync);
    uint64_t size_bytes() const { return m_size_bytes; }

  private:
    AppendLog(std::unique_ptr<File> file, uint64_t size) : m_file(std::move(file)), m_size_bytes(size) {}
    std::unique_ptr<File> m_file;
    uint64_t m_size_bytes;
    std::optional<Error> m_failure;
};

}  // namespace sluice::storage
