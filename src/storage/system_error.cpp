#include "storage/system_error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace sluice::storage {
namespace {

const char* Advice(int code) {
    switch (code) {
        case ENOSPC:
        case EDQUOT:
            return ": free some disk space and start again";
        case EACCES:
        case EPERM:
            return ": check its owner and permissions";
        case EROFS:
            return ": mount the disk writable";
        case EMFILE:
        case ENFILE:
            return ": raise the limit of open files (ulimit -n)";
        case EIO:
            return ": check the disk";
        default:
            return "";
    }
}

}  // namespace

Error SystemError(const std::string& what, const std::string& path, int code) {
    return {ErrorKind::kEnvironment,
            fmt::format("cannot {} {}: {}{}", what, path, std::generic_category().message(code), Advice(code))};
}

Error MissingOrSystemError(const std::string& what, const std::string& path, int code) {
    Error error = SystemError(what, path, code);
    if (code == ENOENT) error.kind = ErrorKind::kNotFound;
    return error;
}

std::string ParentOf(const std::string& path) {
    size_t end = path.size();
    while (end > 1 && path[end - 1] == '/') --end;
    const size_t slash = end == 0 ? std::string::npos : path.rfind('/', end - 1);
    if (slash == std::string::npos) return ".";
    end = slash;
    while (end > 0 && path[end - 1] == '/') --end;
    return end == 0 ? "/" : path.substr(0, end);
}

Status SyncDirectory(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return Fail(SystemError("open the folder", path, errno));
    int code = 0;
    while (fsync(fd) != 0) {
        if (errno == EINTR) continue;
        if (errno != EINVAL) code = errno;  // EINVAL: a file system whose folders need no sync
        break;
    }
    close(fd);
    if (code != 0) return Fail(SystemError("sync the folder", path, code));
    return {};
}

}  // namespace sluice::storage
