#include "storage/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace sluice::storage {
namespace {

constexpr uint32_t kReversedPolynomial = 0x82f63b78;

constexpr std::array<uint32_t, 256> MakeTable() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = value & 1 ? value >> 1 ^ kReversedPolynomial : value >> 1;
        table[i] = value;
    }
    return table;
}

constexpr std::array<uint32_t, 256> kTable = MakeTable();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t Crc32cInstruction(ByteSpan bytes, uint32_t so_far) {
    uint64_t crc = ~so_far;
    while (bytes.size() >= sizeof(uint64_t)) {
        uint64_t word;
        std::memcpy(&word, bytes.data(), sizeof(word));
        crc = _mm_crc32_u64(crc, word);
        bytes = bytes.subspan(sizeof(word));
    }
    auto rest = static_cast<uint32_t>(crc);
    for (const uint8_t byte : bytes) rest = _mm_crc32_u8(rest, byte);
    return ~rest;
}
#endif

}  // namespace

uint32_t Crc32cPortable(ByteSpan bytes, uint32_t so_far) {
    uint32_t crc = ~so_far;
    for (const uint8_t byte : bytes) crc = crc >> 8 ^ kTable[(crc ^ byte) & 0xff];
    return ~crc;
}

uint32_t Crc32c(ByteSpan bytes, uint32_t so_far) {
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
    if (has_instruction) return Crc32cInstruction(bytes, so_far);
#endif
    return Crc32cPortable(bytes, so_far);
}

}  // namespace sluice::storage
