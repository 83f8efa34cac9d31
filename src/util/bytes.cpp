#include "util/bytes.h"

namespace sluice {
namespace {

int HexDigit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

std::string HexEncode(ByteSpan bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string result(bytes.size() * 2, '0');
    for (size_t i = 0; i < bytes.size(); ++i) {
        result[2 * i] = kDigits[bytes[i] >> 4];
        result[2 * i + 1] = kDigits[bytes[i] & 15];
    }
    return result;
}

std::optional<Bytes> HexDecode(std::string_view hex) {
    if (hex.size() % 2 != 0) return std::nullopt;
    Bytes result(hex.size() / 2);
    for (size_t i = 0; i < result.size(); ++i) {
        const int high = HexDigit(hex[2 * i]);
        const int low = HexDigit(hex[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        result[i] = static_cast<uint8_t>(high << 4 | low);
    }
    return result;
}

}  // namespace sluice
