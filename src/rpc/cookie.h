#pragma once

#include <string>
#include <string_view>

#include "storage/file_system.h"
#include "util/random.h"

namespace sluice::rpc {

// The credentials of programs on the same machine: `__cookie__:` and 32 random bytes as hexadecimal, new at every
// start, in a file that only the operator may read (0600). Whoever reads the file may do everything.
class Cookie {
  public:
    // Makes new credentials and writes them to `path` atomically. `files` outlives the cookie.
    static Result<Cookie> Write(storage::FileSystem& files, RandomSource& random, std::string path);
    // Removes the file.
    ~Cookie();
    Cookie(Cookie&& other) noexcept;
    Cookie& operator=(Cookie&&) = delete;

    const std::string& credentials() const { return m_credentials; }

  private:
    Cookie(storage::FileSystem& files, std::string path, std::string credentials)
        : m_files(&files), m_path(std::move(path)), m_credentials(std::move(credentials)) {}

    storage::FileSystem* m_files;
    std::string m_path;  // empty: moved from
    std::string m_credentials;
};

// The credentials in the cookie file of a running node; kNotFound if there is none.
Result<std::string> ReadCookie(storage::FileSystem& files, const std::string& path);

// RFC 4648, with padding.
std::string Base64Encode(std::string_view bytes);
// Takes as long whatever the difference is; only a difference in length is told early.
bool EqualInConstantTime(std::string_view a, std::string_view b);
// True if `header`, the value of an Authorization field, is basic authorisation (RFC 7617) with these credentials.
bool IsAuthorised(std::string_view header, std::string_view credentials);

}  // namespace sluice::rpc
