#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

// Variable-time arithmetic on edwards25519 (RFC 7748, 4.1) for public values: what VRF verification needs, several
// times faster than calls that must not leak their scalars. Never for secrets: proving uses libsodium.

namespace sluice::crypto {

// An element of the field of p = 2^255 - 19 as five limbs of 51 bits and a little more.
struct FieldElement {
    std::array<uint64_t, 5> limbs{};
};

// A point in extended coordinates (Hisil, Wong, Carter, Dawson 2008): x = X/Z, y = Y/Z, XY = ZT. Any point of the
// curve, also of small or mixed order; the formulas are complete.
class EdwardsPoint {
  public:
    using Encoding = std::array<uint8_t, 32>;
    using Scalar = std::array<uint8_t, 32>;  // little-endian, below 2^253

    // RFC 8032 5.1.3: nullopt unless `encoding` is canonical and on the curve.
    static std::optional<EdwardsPoint> Decode(const Encoding& encoding);
    // The encodings of all `points`, for the cost of one inversion.
    template <size_t N>
    static std::array<Encoding, N> EncodeAll(const std::array<EdwardsPoint, N>& points) {
        std::array<Encoding, N> result;
        EncodeAll(points, result);
        return result;
    }
    Encoding Encode() const { return EncodeAll(std::array{*this})[0]; }

    EdwardsPoint MultiplyByCofactor() const;  // 8 * this
    bool IsIdentity() const;
    // True for the points of prime order q: not the identity, no part of small order.
    bool HasPrimeOrder() const;

    // a * p - b * q
    static EdwardsPoint MultiplySubtract(const Scalar& a, const EdwardsPoint& p, const Scalar& b,
                                         const EdwardsPoint& q);
    // a * B - b * q, with the base point B of RFC 8032
    static EdwardsPoint MultiplyBaseSubtract(const Scalar& a, const Scalar& b, const EdwardsPoint& q);

    FieldElement x, y, z, t;

  private:
    static void EncodeAll(std::span<const EdwardsPoint> points, std::span<Encoding> out);
};

// The order q = 2^252 + 27742317777372353535851937790883648493 of the base point's group.
inline constexpr EdwardsPoint::Scalar kEdwardsGroupOrder{
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

}  // namespace sluice::crypto
