#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>

#include "storage/file_system.h"
#include "storage/system_error.h"

namespace sluice::storage {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kFolderMode = 0700;
constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();

Status CheckRange(const char* what, const std::string& path, uint64_t offset, size_t size) {
    if (offset > kMaxOffset || size > kMaxOffset - offset) return Fail(SystemError(what, path, EFBIG));
    return {};
}

class PosixFile final : public File {
  public:
    PosixFile(int fd, std::string path, bool writable)
        : m_fd(fd), m_path(std::move(path)), m_in_memory(IsInMemory(fd)), m_name_synced(!writable) {}
    PosixFile(const PosixFile&) = delete;
    PosixFile& operator=(const PosixFile&) = delete;
    ~PosixFile() override { close(m_fd); }

    Status ReadAt(uint64_t offset, MutableByteSpan into) const override {
        RETURN_IF_ERROR(CheckRange("read", m_path, offset, into.size()));
        size_t done = 0;
        while (done < into.size()) {
            const ssize_t got = pread(m_fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return Fail(SystemError("read", m_path, errno));
            if (got == 0) {
                return Fail(ErrorKind::kEnvironment,
                            fmt::format("cannot read {} bytes at {} of {}: the file ends at {}", into.size(), offset,
                                        m_path, offset + done));
            }
            done += static_cast<size_t>(got);
        }
        return {};
    }

    bool ReadCached(uint64_t offset, MutableByteSpan into) const override {
        if (!CheckRange("read", m_path, offset, into.size())) return false;
        const iovec part{into.data(), into.size()};
        const ssize_t got = preadv2(m_fd, &part, 1, static_cast<off_t>(offset), m_in_memory ? 0 : RWF_NOWAIT);
        return got >= 0 && static_cast<size_t>(got) == into.size();
    }

    Status WriteAt(uint64_t offset, ByteSpan bytes) override {
        RETURN_IF_ERROR(CheckRange("write", m_path, offset, bytes.size()));
        size_t done = 0;
        while (done < bytes.size()) {
            const ssize_t put =
                pwrite(m_fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) return Fail(SystemError("write", m_path, errno));
            if (put == 0) return Fail(SystemError("write", m_path, EIO));
            done += static_cast<size_t>(put);
        }
        return {};
    }

    Result<uint64_t> Size() const override {
        struct stat info;
        if (fstat(m_fd, &info) != 0) return Fail(SystemError("stat", m_path, errno));
        return static_cast<uint64_t>(info.st_size);
    }

    Status Truncate(uint64_t size) override {
        RETURN_IF_ERROR(CheckRange("truncate", m_path, size, 0));
        while (ftruncate(m_fd, static_cast<off_t>(size)) != 0) {
            if (errno != EINTR) return Fail(SystemError("truncate", m_path, errno));
        }
        return {};
    }

    Status Discard(uint64_t offset, uint64_t size) override {
        RETURN_IF_ERROR(CheckRange("discard", m_path, offset, size));
        if (size == 0) return {};
        while (fallocate(m_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                         static_cast<off_t>(size)) != 0) {
            if (errno == EOPNOTSUPP || errno == ENOSYS) return {};
            if (errno != EINTR) return Fail(SystemError("discard a part of", m_path, errno));
        }
        return {};
    }

    Status Sync() override {
        // Rationale: after a failed sync the kernel may call the lost pages clean, so a later success would be a lie.
        if (m_sync_failed) return Fail(SystemError("sync", m_path, EIO));
        while (fdatasync(m_fd) != 0) {
            if (errno == EINTR) continue;
            m_sync_failed = true;
            return Fail(SystemError("sync", m_path, errno));
        }
        if (!m_name_synced) {
            RETURN_IF_ERROR(SyncDirectory(ParentOf(m_path)));
            m_name_synced = true;
        }
        return {};
    }

  private:
    // Of a file system without a disk, which does not know RWF_NOWAIT.
    static bool IsInMemory(int fd) {
        struct statfs info;
        return fstatfs(fd, &info) == 0 && info.f_type == TMPFS_MAGIC;
    }

    const int m_fd;
    const std::string m_path;
    const bool m_in_memory;
    bool m_name_synced;  // the name in the folder survives power loss too
    bool m_sync_failed{false};
};

int OpenRetrying(const std::string& path, int flags) {
    for (;;) {
        const int fd = open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, kFileMode);
        if (fd >= 0 || errno != EINTR) return fd;
    }
}

int OpenFor(const std::string& path, OpenMode mode) {
    switch (mode) {
        case OpenMode::kRead:
            return OpenRetrying(path, O_RDONLY);
        case OpenMode::kReadWrite:
            return OpenRetrying(path, O_RDWR);
        case OpenMode::kCreateNew:
            return OpenRetrying(path, O_RDWR | O_CREAT | O_EXCL);
        case OpenMode::kCreateOrOpen:
            return OpenRetrying(path, O_RDWR | O_CREAT);
    }
    errno = EINVAL;
    return -1;
}

DirectoryEntry EntryOf(std::string name, const struct stat& info) {
    using Kind = DirectoryEntry::Kind;
    const Kind kind = S_ISREG(info.st_mode) ? Kind::kFile : S_ISDIR(info.st_mode) ? Kind::kDirectory : Kind::kOther;
    return {std::move(name), kind, kind == Kind::kFile ? static_cast<uint64_t>(info.st_size) : 0};
}

std::string NameOf(const std::string& path) {
    size_t end = path.size();
    while (end > 1 && path[end - 1] == '/') --end;
    const size_t slash = end < 2 ? std::string::npos : path.rfind('/', end - 1);
    return slash == std::string::npos ? path.substr(0, end) : path.substr(slash + 1, end - slash - 1);
}

class PosixFileSystem final : public FileSystem {
  public:
    Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
        const bool must_exist = mode == OpenMode::kRead || mode == OpenMode::kReadWrite;
        const int fd = OpenFor(path, mode);
        if (fd < 0) {
            if (errno == EISDIR) return Fail(ErrorKind::kEnvironment, NotAFile(path, true));
            return Fail(must_exist ? MissingOrSystemError("open", path, errno) : SystemError("create", path, errno));
        }
        auto file = std::make_unique<PosixFile>(fd, path, mode != OpenMode::kRead);
        struct stat info;
        if (fstat(fd, &info) != 0) return Fail(SystemError("stat", path, errno));
        if (!S_ISREG(info.st_mode)) return Fail(ErrorKind::kEnvironment, NotAFile(path, S_ISDIR(info.st_mode)));
        return std::unique_ptr<File>(std::move(file));
    }

    Status CreateDirectories(const std::string& path) override {
        if (path.empty()) return Fail(SystemError("create the folder", path, ENOENT));
        struct stat info;
        if (stat(path.c_str(), &info) == 0) {
            if (S_ISDIR(info.st_mode)) return {};
            return Fail(ErrorKind::kEnvironment,
                        fmt::format("cannot create the folder {}: a file of that name is in the way", path));
        }
        if (errno != ENOENT) return Fail(SystemError("create the folder", path, errno));
        const std::string parent = ParentOf(path);
        if (parent != path) RETURN_IF_ERROR(CreateDirectories(parent));
        if (mkdir(path.c_str(), kFolderMode) != 0 && errno != EEXIST)
            return Fail(SystemError("create the folder", path, errno));
        return SyncDirectory(parent);
    }

    Result<std::vector<DirectoryEntry>> List(const std::string& path) const override {
        const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
        if (!folder) return Fail(MissingOrSystemError("list the folder", path, errno));
        std::vector<DirectoryEntry> entries;
        for (;;) {
            errno = 0;
            const dirent* next = readdir(folder.get());
            if (!next) break;
            std::string name = next->d_name;
            if (name == "." || name == "..") continue;
            struct stat info;
            if (fstatat(dirfd(folder.get()), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
                if (errno == ENOENT) continue;  // removed meanwhile
                return Fail(SystemError("stat", path + "/" + name, errno));
            }
            entries.push_back(EntryOf(std::move(name), info));
        }
        if (errno != 0) return Fail(SystemError("list the folder", path, errno));
        std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
        return entries;
    }

    Result<DirectoryEntry> Stat(const std::string& path) const override {
        struct stat info;
        if (stat(path.c_str(), &info) != 0) return Fail(MissingOrSystemError("stat", path, errno));
        return EntryOf(NameOf(path), info);
    }

    bool Exists(const std::string& path) const override { return access(path.c_str(), F_OK) == 0; }

    Status Rename(const std::string& from, const std::string& to) override {
        if (rename(from.c_str(), to.c_str()) != 0) {
            const int code = errno;
            const Error error = SystemError("rename " + from + " to", to, code);
            return Fail(code == ENOENT && !Exists(from) ? Error{ErrorKind::kNotFound, error.message} : error);
        }
        RETURN_IF_ERROR(SyncDirectory(ParentOf(to)));
        if (ParentOf(from) != ParentOf(to)) RETURN_IF_ERROR(SyncDirectory(ParentOf(from)));
        return {};
    }

    Status Remove(const std::string& path) override {
        if (remove(path.c_str()) != 0) return Fail(MissingOrSystemError("remove", path, errno));
        return {};
    }

    Result<uint64_t> FreeBytes(const std::string& path) const override {
        struct statvfs info;
        while (statvfs(path.c_str(), &info) != 0) {
            if (errno != EINTR) return Fail(MissingOrSystemError("ask for the free space of", path, errno));
        }
        return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
    }

    Result<std::unique_ptr<KeyValueStore>> OpenKeyValue(const std::string& path, size_t cache_bytes) override {
        return OpenLevelDb(path, cache_bytes);
    }

  private:
    static std::string NotAFile(const std::string& path, bool is_directory) {
        return fmt::format("cannot open {}: it is {}: choose a regular file", path,
                           is_directory ? "a directory" : "a device, pipe or socket");
    }
};

}  // namespace

std::unique_ptr<FileSystem> MakePosixFileSystem() { return std::make_unique<PosixFileSystem>(); }

}  // namespace sluice::storage
