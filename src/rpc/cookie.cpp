#include "rpc/cookie.h"

#include "util/wipe.h"

namespace sluice::rpc {
namespace {

constexpr std::string_view kUser = "__cookie__:";
constexpr size_t kMaxCookieBytes = 256;

}  // namespace

Result<Cookie> Cookie::Write(storage::FileSystem& files, RandomSource& random, std::string path) {
    std::string credentials = std::string(kUser) + HexEncode(random.Array<32>());
    RETURN_IF_ERROR(storage::WriteFileAtomically(files, path, AsBytes(credentials)));
    return Cookie(files, std::move(path), std::move(credentials));
}

Cookie::Cookie(Cookie&& other) noexcept
    : m_files(other.m_files), m_path(std::move(other.m_path)), m_credentials(std::move(other.m_credentials)) {
    other.m_path.clear();
}

Cookie::~Cookie() {
    if (m_path.empty()) return;
    WipeMemory(m_credentials.data(), m_credentials.size());
    // A file that stays is harmless: its credentials end with this process.
    (void)m_files->Remove(m_path).has_value();
}

Result<std::string> ReadCookie(storage::FileSystem& files, const std::string& path) {
    ASSIGN_OR_RETURN(const Bytes bytes, storage::ReadWholeFile(files, path, kMaxCookieBytes));
    std::string credentials = ToString(bytes);
    while (!credentials.empty() && (credentials.back() == '\n' || credentials.back() == '\r')) credentials.pop_back();
    if (!credentials.starts_with(kUser))
        return Fail(path + " is not a cookie of sluiced: restart sluiced to write a new one");
    return credentials;
}

std::string Base64Encode(std::string_view bytes) {
    static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t at = 0; at < bytes.size(); at += 3) {
        uint32_t group = 0;
        for (size_t i = 0; i < 3; ++i)
            group = group << 8 | (at + i < bytes.size() ? static_cast<uint8_t>(bytes[at + i]) : 0);
        for (size_t i = 0; i < 4; ++i) text += at + i <= bytes.size() ? kDigits[group >> (18 - 6 * i) & 63] : '=';
    }
    return text;
}

bool EqualInConstantTime(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < a.size(); ++i) difference = difference | static_cast<uint8_t>(a[i] ^ b[i]);
    return difference == 0;
}

bool IsAuthorised(std::string_view header, std::string_view credentials) {
    static constexpr std::string_view kScheme = "basic ";
    if (credentials.empty() || header.size() < kScheme.size()) return false;
    for (size_t i = 0; i < kScheme.size(); ++i)
        if ((header[i] | 0x20) != kScheme[i]) return false;
    header.remove_prefix(kScheme.size());
    while (!header.empty() && header.front() == ' ') header.remove_prefix(1);
    while (!header.empty() && header.back() == ' ') header.remove_suffix(1);
    return EqualInConstantTime(header, Base64Encode(credentials));
}

}  // namespace sluice::rpc
