#pragma once

#include <bit>
#include <cstdint>

namespace sluice::sim::models {

// The models' source of chance: xoshiro256** seeded by splitmix64. A model draws 10^8 numbers and more, each in place
// of a VRF proof; the same seed gives the same draws on every machine.
class FastRandom {
  public:
    explicit FastRandom(uint64_t seed) {
        for (uint64_t& word : m_state) {
            seed += 0x9e3779b97f4a7c15;
            uint64_t z = seed;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
            z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
            word = z ^ (z >> 31);
        }
    }
    uint64_t Next() {
        const uint64_t result = std::rotl(m_state[1] * 5, 7) * 9;
        const uint64_t t = m_state[1] << 17;
        m_state[2] ^= m_state[0];
        m_state[3] ^= m_state[1];
        m_state[1] ^= m_state[2];
        m_state[0] ^= m_state[3];
        m_state[2] ^= t;
        m_state[3] = std::rotl(m_state[3], 45);
        return result;
    }
    // In [0, bound), for bounds so small beside 2^32 that the bias (bound / 2^32) does not matter; bound > 0.
    uint32_t Below(uint32_t bound) { return static_cast<uint32_t>(((Next() >> 32) * bound) >> 32); }

  private:
    uint64_t m_state[4];
};

}  // namespace sluice::sim::models
