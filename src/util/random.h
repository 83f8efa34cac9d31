#pragma once

#include <array>
#include <cstdint>

#include "util/bytes.h"

namespace sluice {

// The only source of randomness in the node; a seeded one makes simulations repeatable.
class RandomSource {
  public:
    virtual ~RandomSource() = default;
    // Fills `into` with random bytes.
    virtual void Fill(MutableByteSpan into) = 0;

    template <size_t N>
    std::array<uint8_t, N> Array() {
        std::array<uint8_t, N> result;
        Fill(result);
        return result;
    }
    uint64_t Uint64();
    // Uniform in [0, bound); bound > 0.
    uint64_t Below(uint64_t bound);
};

// The kernel's generator (getrandom(2)); fit for keys. Thread-safe.
class SystemRandom final : public RandomSource {
  public:
    void Fill(MutableByteSpan into) override;
};

// A repeatable sequence from a seed (splitmix64). For simulations and tests, never for keys.
class SeededRandom final : public RandomSource {
  public:
    explicit SeededRandom(uint64_t seed) : m_state(seed) {}
    void Fill(MutableByteSpan into) override;

  private:
    uint64_t m_state;
};

}  // namespace sluice
