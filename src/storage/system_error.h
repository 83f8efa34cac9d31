#pragma once

#include <string>

#include "util/result.h"

// What the implementations on the operating system's files share. Not for other folders.

namespace sluice::storage {

// "cannot <what> <path>: <the system's reason>[: what to do]", as kEnvironment.
Error SystemError(const std::string& what, const std::string& path, int code);
// The same, but kNotFound if the code says that the file is missing.
Error MissingOrSystemError(const std::string& what, const std::string& path, int code);

// The folder that holds `path`: "/a/b" and "/a/b/" give "/a", "/a" gives "/", "a" gives ".".
std::string ParentOf(const std::string& path);

// Makes the names in a folder survive power loss.
Status SyncDirectory(const std::string& path);

}  // namespace sluice::storage
