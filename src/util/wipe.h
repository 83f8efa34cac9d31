#pragma once

#include <cstddef>

#include "util/bytes.h"

namespace sluice {

// Overwrites memory that held a secret; the compiler may not remove it.
inline void WipeMemory(void* data, size_t size) {
    std::memset(data, 0, size);
    asm volatile("" : : "r"(data) : "memory");
}

// N secret bytes, wiped when they go out of scope. Copies only on purpose (Clone); never printed, never logged.
template <size_t N>
class SecretBytes {
  public:
    static constexpr size_t kSize = N;

    SecretBytes() = default;
    explicit SecretBytes(std::span<const uint8_t, N> bytes) { std::copy(bytes.begin(), bytes.end(), m_bytes.begin()); }
    ~SecretBytes() { WipeMemory(m_bytes.data(), N); }
    SecretBytes(SecretBytes&& other) noexcept : m_bytes(other.m_bytes) { WipeMemory(other.m_bytes.data(), N); }
    SecretBytes& operator=(SecretBytes&& other) noexcept {
        if (this != &other) {
            m_bytes = other.m_bytes;
            WipeMemory(other.m_bytes.data(), N);
        }
        return *this;
    }
    SecretBytes Clone() const { return SecretBytes(std::span<const uint8_t, N>(m_bytes)); }

    uint8_t* data() { return m_bytes.data(); }
    const uint8_t* data() const { return m_bytes.data(); }
    static constexpr size_t size() { return N; }
    std::span<const uint8_t, N> span() const { return m_bytes; }
    std::span<uint8_t, N> span() { return m_bytes; }

  private:
    SecretBytes(const SecretBytes&) = delete;
    SecretBytes& operator=(const SecretBytes&) = delete;

    std::array<uint8_t, N> m_bytes{};
};

}  // namespace sluice
