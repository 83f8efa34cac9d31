#include "consensus/script_number.h"

namespace sluice::consensus {

std::optional<int64_t> DecodeScriptNumber(ByteSpan bytes, size_t limit_bytes) {
    if (bytes.size() > limit_bytes) return std::nullopt;
    if (bytes.empty()) return 0;
    uint64_t magnitude = 0;
    for (size_t i = 0; i < bytes.size(); ++i) magnitude |= static_cast<uint64_t>(bytes[i]) << (8 * i);
    const uint64_t sign = uint64_t{0x80} << (8 * (bytes.size() - 1));
    const auto value = static_cast<int64_t>(magnitude & ~sign);
    return (magnitude & sign) != 0 ? -value : value;
}

Bytes EncodeScriptNumber(int64_t n) {
    Bytes bytes;
    for (uint64_t magnitude = n < 0 ? ~static_cast<uint64_t>(n) + 1 : static_cast<uint64_t>(n); magnitude != 0;
         magnitude >>= 8)
        bytes.push_back(static_cast<uint8_t>(magnitude & 0xff));
    if (!bytes.empty() && (bytes.back() & 0x80) != 0) bytes.push_back(0);
    if (n < 0) bytes.back() |= 0x80;
    return bytes;
}

bool ScriptTruth(ByteSpan bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) {
        if (bytes[i] != 0) return i + 1 != bytes.size() || bytes[i] != 0x80;
    }
    return false;
}

}  // namespace sluice::consensus
