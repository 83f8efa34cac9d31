#include "content/manifest_text.h"

#include <utf8proc.h>

#include <cstdint>
#include <cstdlib>
#include <optional>

namespace sluice::content {
namespace {

// Takes the next code point off `text`, which is not empty; nullopt if it is not well-formed.
std::optional<uint32_t> NextCodePoint(std::string_view& text) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t first = byte(0);
    const size_t length = first < 0x80         ? 1
                          : first >> 5 == 0x06 ? 2
                          : first >> 4 == 0x0e ? 3
                          : first >> 3 == 0x1e ? 4
                                               : 0;
    if (length == 0 || text.size() < length) return std::nullopt;
    uint32_t code = length == 1 ? first : first & (0x7fu >> length);
    for (size_t i = 1; i < length; ++i) {
        if (byte(i) >> 6 != 0x02) return std::nullopt;
        code = code << 6 | (byte(i) & 0x3fu);
    }
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return std::nullopt;
    text.remove_prefix(length);
    return code;
}

bool IsControl(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0x200e || code == 0x200f || code == 0x061c || code == 0xfeff;
}

}  // namespace

bool IsPlainText(std::string_view text) {
    while (!text.empty()) {
        const auto code = NextCodePoint(text);
        if (!code || IsControl(*code)) return false;
    }
    return true;
}

std::string FoldCase(std::string_view text) {
    uint8_t* mapped = nullptr;
    const auto size = utf8proc_map(
        reinterpret_cast<const uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()), &mapped,
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE));
    if (size < 0) return std::string(text);
    std::string folded(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
    std::free(mapped);
    return folded;
}

}  // namespace sluice::content
