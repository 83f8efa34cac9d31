#include <algorithm>

#include "fuzz.h"

namespace sluice::fuzz {
namespace {

constexpr uint64_t kInteresting[] = {0,
                                     1,
                                     2,
                                     15,
                                     16,
                                     17,
                                     31,
                                     32,
                                     33,
                                     63,
                                     64,
                                     65,
                                     75,
                                     76,
                                     127,
                                     128,
                                     252,
                                     253,
                                     254,
                                     255,
                                     256,
                                     519,
                                     520,
                                     521,
                                     999,
                                     1000,
                                     1001,
                                     4095,
                                     4096,
                                     4097,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x10000,
                                     16384,
                                     262144,
                                     400000,
                                     499999999,
                                     500000000,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x100000000,
                                     2100000000000000,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0xffffffffffffffff};
// Opcodes, CompactSize prefixes, annex, leaf version, witness versions.
constexpr uint8_t kInterestingBytes[] = {0x00, 0x01, 0x02, 0x20, 0x4c, 0x4d, 0x4e, 0x50, 0x51, 0x5e,
                                         0x60, 0x63, 0x67, 0x68, 0x69, 0x6a, 0x75, 0x76, 0x7e, 0xac,
                                         0xad, 0xb1, 0xb2, 0xba, 0xc0, 0xc1, 0xfc, 0xfd, 0xfe, 0xff};

void PutInteger(Bytes& input, RandomBits& random) {
    const size_t width = size_t{1} << random.Below(4);
    if (input.size() < width) return;
    const size_t at = random.Below(input.size() - width + 1);
    uint64_t value = kInteresting[random.Below(std::size(kInteresting))];
    if (random.Below(3) == 0) {  // the number that is there, a little more or less
        value = 0;
        for (size_t i = 0; i < width; ++i) value |= uint64_t{input[at + i]} << (8 * i);
        value += random.Below(33) - 16;
    }
    for (size_t i = 0; i < width; ++i) input[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

void Insert(Bytes& input, size_t max_bytes, RandomBits& random) {
    if (input.size() >= max_bytes) return;
    const size_t most = std::min<size_t>(max_bytes - input.size(), random.Below(8) == 0 ? 512 : 16);
    const size_t count = 1 + random.Below(most);
    const size_t at = random.Below(input.size() + 1);
    Bytes bytes(count);
    const bool same = random.Below(2) == 0;
    const auto fill = static_cast<uint8_t>(random.Next());
    for (uint8_t& byte : bytes) byte = same ? fill : static_cast<uint8_t>(random.Next());
    if (!input.empty() && random.Below(3) == 0) {  // a piece of itself
        const size_t size = std::min(count, input.size());
        const size_t from = random.Below(input.size() - size + 1);
        bytes.assign(input.begin() + from, input.begin() + from + size);
    }
    input.insert(input.begin() + at, bytes.begin(), bytes.end());
}

void Erase(Bytes& input, RandomBits& random) {
    if (input.empty()) return;
    const size_t at = random.Below(input.size());
    const size_t most = std::min<size_t>(input.size() - at, random.Below(8) == 0 ? input.size() : 16);
    input.erase(input.begin() + at, input.begin() + at + 1 + random.Below(most));
}

void Splice(Bytes& input, ByteSpan other, size_t max_bytes, RandomBits& random) {
    if (other.empty()) return;
    const size_t from = random.Below(other.size());
    const size_t size = 1 + random.Below(other.size() - from);
    const size_t at = random.Below(input.size() + 1);
    if (random.Below(2) == 0) input.resize(at);  // our head, its tail
    input.insert(input.begin() + std::min(at, input.size()), other.begin() + from, other.begin() + from + size);
    if (input.size() > max_bytes) input.resize(max_bytes);
}

void CopyWithin(Bytes& input, RandomBits& random) {
    if (input.size() < 2) return;
    const size_t size = 1 + random.Below(std::min<size_t>(input.size() / 2, 64));
    const size_t from = random.Below(input.size() - size + 1), to = random.Below(input.size() - size + 1);
    const Bytes piece(input.begin() + from, input.begin() + from + size);
    std::copy(piece.begin(), piece.end(), input.begin() + to);
}

}  // namespace

void Mutate(Bytes& input, ByteSpan other, size_t max_bytes, RandomBits& random) {
    const size_t steps = size_t{1} << random.Below(5);
    for (size_t i = 0; i < steps; ++i) {
        switch (random.Below(10)) {
            case 0:
            case 1:
                if (!input.empty()) input[random.Below(input.size())] ^= static_cast<uint8_t>(1 << random.Below(8));
                break;
            case 2:
                if (!input.empty()) input[random.Below(input.size())] = static_cast<uint8_t>(random.Next());
                break;
            case 3:
                if (!input.empty())
                    input[random.Below(input.size())] = kInterestingBytes[random.Below(std::size(kInterestingBytes))];
                break;
            case 4:
                PutInteger(input, random);
                break;
            case 5:
                Insert(input, max_bytes, random);
                break;
            case 6:
                Erase(input, random);
                break;
            case 7:
                CopyWithin(input, random);
                break;
            case 8:
                if (i == 0) Splice(input, other, max_bytes, random);
                break;
            default:
                if (random.Below(8) == 0) input.resize(random.Below(input.size() + 1));
                break;
        }
    }
}

}  // namespace sluice::fuzz
