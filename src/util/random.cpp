#include "util/random.h"

#include <sys/random.h>

#include <cerrno>

#include "util/check.h"

namespace sluice {

uint64_t RandomSource::Uint64() {
    uint64_t value = 0;
    for (const uint8_t byte : Array<8>()) value = value << 8 | byte;
    return value;
}

uint64_t RandomSource::Below(uint64_t bound) {
    CHECK(bound > 0);
    const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    for (;;) {
        const uint64_t value = Uint64();
        if (value < limit) return value % bound;
    }
}

void SystemRandom::Fill(MutableByteSpan into) {
    while (!into.empty()) {
        const ssize_t got = getrandom(into.data(), into.size(), 0);
        CHECK(got > 0 || errno == EINTR);
        if (got > 0) into = into.subspan(static_cast<size_t>(got));
    }
}

void SeededRandom::Fill(MutableByteSpan into) {
    for (size_t i = 0; i < into.size(); ++i) {
        if (i % 8 == 0) m_state += 0x9e3779b97f4a7c15;
        uint64_t z = m_state;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        z ^= z >> 31;
        into[i] = static_cast<uint8_t>(z >> (8 * (i % 8)));
    }
}

}  // namespace sluice
