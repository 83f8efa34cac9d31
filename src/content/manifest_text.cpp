#include "content/manifest_text.h"

#include <cstdint>
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

uint32_t LowerCase(uint32_t code) {
    if (code >= 'A' && code <= 'Z') return code + 0x20;
    if (code >= 0xc0 && code <= 0xde && code != 0xd7) return code + 0x20;
    if (code == 0x178) return 0xff;
    if ((code >= 0x100 && code <= 0x137) || (code >= 0x14a && code <= 0x177)) return code | 1;
    if ((code >= 0x139 && code <= 0x148) || (code >= 0x179 && code <= 0x17e)) return code + (code & 1);
    if (code >= 0x391 && code <= 0x3a9) return code + 0x20;
    if (code >= 0x400 && code <= 0x40f) return code + 0x50;
    if (code >= 0x410 && code <= 0x42f) return code + 0x20;
    return code;
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
    std::string folded;
    folded.reserve(text.size());
    while (!text.empty()) {
        const std::string_view before = text;
        const auto code = NextCodePoint(text);
        if (!code) return folded += text;
        const uint32_t lower = LowerCase(*code);
        if (lower == *code) {
            folded += before.substr(0, before.size() - text.size());
        } else if (lower < 0x80) {
            folded += static_cast<char>(lower);
        } else {  // every lower-case letter above has two bytes
            folded += static_cast<char>(0xc0 | lower >> 6);
            folded += static_cast<char>(0x80 | (lower & 0x3f));
        }
    }
    return folded;
}

}  // namespace sluice::content
