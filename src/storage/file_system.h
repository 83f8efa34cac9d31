#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/key_value.h"
#include "util/bytes.h"
#include "util/result.h"

// Files, as an interface, so that simulation runs the real node on a disk in memory that can lose power at any write.
// Every error is kEnvironment (kNotFound where a file is missing) and names the path and the system's reason.

namespace sluice::storage {

// An open file. ReadAt may be called from several threads at once; writes come from one.
class File {
  public:
    virtual ~File() = default;
    // Fills all of `into` from `offset`; an error if the file ends before.
    virtual Status ReadAt(uint64_t offset, MutableByteSpan into) const = 0;
    // The same if no disk has to be waited for. False, and anything in `into`, if one has to or the file cannot be read
    // there: ReadAt tells which.
    virtual bool ReadCached(uint64_t /*offset*/, MutableByteSpan /*into*/) const { return false; }
    virtual Status WriteAt(uint64_t offset, ByteSpan bytes) = 0;
    virtual Result<uint64_t> Size() const = 0;
    virtual Status Truncate(uint64_t size) = 0;
    // Nobody needs these bytes any more: they read as zeros from now on and take no space, where the file system can do
    // that; else they stay.
    virtual Status Discard(uint64_t /*offset*/, uint64_t /*size*/) { return {}; }
    // Returns once what was written survives power loss.
    virtual Status Sync() = 0;
};

enum class OpenMode { kRead, kReadWrite, kCreateNew, kCreateOrOpen };

struct DirectoryEntry {
    std::string name;
    enum class Kind { kFile, kDirectory, kOther } kind{Kind::kFile};
    uint64_t size_bytes{0};
};

class FileSystem {
  public:
    virtual ~FileSystem() = default;
    virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
    virtual Status CreateDirectories(const std::string& path) = 0;
    // Sorted by name. Symbolic links are kOther.
    virtual Result<std::vector<DirectoryEntry>> List(const std::string& path) const = 0;
    // Of what the path leads to, through symbolic links.
    virtual Result<DirectoryEntry> Stat(const std::string& path) const = 0;
    virtual bool Exists(const std::string& path) const = 0;
    // Replaces `to` atomically and makes the new name survive power loss.
    virtual Status Rename(const std::string& from, const std::string& to) = 0;
    // Of a file or an empty folder. It may come back after power loss.
    virtual Status Remove(const std::string& path) = 0;
    virtual Result<uint64_t> FreeBytes(const std::string& path) const = 0;
    virtual Result<std::unique_ptr<KeyValueStore>> OpenKeyValue(const std::string& path, size_t cache_bytes) = 0;
};

// The operating system's files (0600 for new files, 0700 for folders). Thread-safe.
std::unique_ptr<FileSystem> MakePosixFileSystem();

// Writes `bytes` to a temporary beside `path`, syncs it and renames it over `path`: after a crash at any instant `path`
// holds the old bytes or the new ones.
Status WriteFileAtomically(FileSystem& files, const std::string& path, ByteSpan bytes);
// The whole file; an error if it is larger than `limit_bytes`.
Result<Bytes> ReadWholeFile(FileSystem& files, const std::string& path, size_t limit_bytes);

// Holds an exclusive lock on `path` for as long as it lives; kUnavailable if another process holds it.
class FileLock {
  public:
    static Result<FileLock> Acquire(const std::string& path);
    FileLock(FileLock&& other) noexcept : m_fd(other.m_fd) { other.m_fd = -1; }
    FileLock& operator=(FileLock&&) = delete;
    ~FileLock();

  private:
    explicit FileLock(int fd) : m_fd(fd) {}
    int m_fd;
};

}  // namespace sluice::storage
