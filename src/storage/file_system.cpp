#include "storage/file_system.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "storage/system_error.h"

namespace sluice::storage {
namespace {

// Writes and syncs the temporary file; closes it before returning.
Status WriteSynced(FileSystem& files, const std::string& path, ByteSpan bytes) {
    // kCreateOrOpen and not kCreateNew: a crash may have left a temporary behind.
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kCreateOrOpen));
    RETURN_IF_ERROR(file->Truncate(0));
    RETURN_IF_ERROR(file->WriteAt(0, bytes));
    return file->Sync();
}

}  // namespace

Status WriteFileAtomically(FileSystem& files, const std::string& path, ByteSpan bytes) {
    const std::string temporary = path + ".tmp";
    Status status = WriteSynced(files, temporary, bytes);
    if (status) status = files.Rename(temporary, path);
    if (!status && files.Exists(temporary)) (void)files.Remove(temporary);  // the first error is the one to report
    return status;
}

Result<Bytes> ReadWholeFile(FileSystem& files, const std::string& path, size_t limit_bytes) {
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    if (size > limit_bytes) {
        return Fail(ErrorKind::kEnvironment,
                    fmt::format("cannot read {}: its {} bytes are over the limit of {}", path, size, limit_bytes));
    }
    Bytes bytes(size);
    RETURN_IF_ERROR(file->ReadAt(0, bytes));
    return bytes;
}

Result<FileLock> FileLock::Acquire(const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return Fail(SystemError("open the lock file", path, errno));
    FileLock lock(fd);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno == EWOULDBLOCK) {
            return Fail(
                ErrorKind::kUnavailable,
                fmt::format("{} is locked: another process is using this folder; stop it or choose another folder",
                            path));
        }
        return Fail(SystemError("lock", path, errno));
    }
    return lock;
}

FileLock::~FileLock() {
    if (m_fd >= 0) close(m_fd);
}

}  // namespace sluice::storage
