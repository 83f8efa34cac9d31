#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

using Bytes = std::vector<uint8_t>;
using ByteSpan = std::span<const uint8_t>;
using MutableByteSpan = std::span<uint8_t>;

// Lowercase hexadecimal of `bytes`, first byte first.
std::string HexEncode(ByteSpan bytes);

// The bytes that `hex` (either case, even length, no prefix) stands for; nullopt for anything else.
std::optional<Bytes> HexDecode(std::string_view hex);

// The characters of `text` as bytes; valid as long as `text`'s storage.
inline ByteSpan AsBytes(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }
inline Bytes ToBytes(ByteSpan span) { return {span.begin(), span.end()}; }
inline std::string ToString(ByteSpan span) { return {reinterpret_cast<const char*>(span.data()), span.size()}; }

// Exactly N bytes. Tag keeps kinds of the same size apart (a txid is not a block hash). Compares and hashes by
// content. Hex() is in byte order; hashes of our own chain are shown as they are, not reversed.
template <size_t N, class Tag>
struct FixedBytes {
    std::array<uint8_t, N> bytes{};

    static constexpr size_t kSize = N;

    constexpr FixedBytes() = default;
    constexpr explicit FixedBytes(const std::array<uint8_t, N>& value) : bytes(value) {}

    // Precondition: exactly N bytes.
    static constexpr FixedBytes FromSpan(std::span<const uint8_t, N> span) {
        FixedBytes result;
        std::copy(span.begin(), span.end(), result.bytes.begin());
        return result;
    }
    static std::optional<FixedBytes> FromBytes(ByteSpan span) {
        if (span.size() != N) return std::nullopt;
        return FromSpan(span.first<N>());
    }
    static std::optional<FixedBytes> FromHex(std::string_view hex) {
        if (hex.size() != 2 * N) return std::nullopt;
        const auto decoded = HexDecode(hex);
        if (!decoded) return std::nullopt;
        return FromBytes(*decoded);
    }

    std::string Hex() const { return HexEncode(bytes); }
    constexpr bool IsZero() const {
        return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
    }
    constexpr uint8_t* data() { return bytes.data(); }
    constexpr const uint8_t* data() const { return bytes.data(); }
    static constexpr size_t size() { return N; }
    constexpr auto begin() const { return bytes.begin(); }
    constexpr auto end() const { return bytes.end(); }
    constexpr auto begin() { return bytes.begin(); }
    constexpr auto end() { return bytes.end(); }
    constexpr uint8_t operator[](size_t i) const { return bytes[i]; }

    friend constexpr auto operator<=>(const FixedBytes&, const FixedBytes&) = default;

    static void Serialize(auto& self, auto& archive) { archive.Raw(self.bytes); }
};

// Hash for unordered containers of FixedBytes that are already uniformly random (hashes and keys) and of which an
// adversary cannot cheaply choose the first eight bytes of many. Never used for iteration order.
struct FixedBytesHasher {
    template <size_t N, class Tag>
    size_t operator()(const FixedBytes<N, Tag>& value) const {
        static_assert(N >= sizeof(size_t));
        size_t result;
        std::memcpy(&result, value.bytes.data(), sizeof(result));
        return result;
    }
};

}  // namespace sluice
