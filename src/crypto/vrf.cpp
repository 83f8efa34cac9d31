#include "crypto/vrf.h"

#include <sodium.h>

#include <algorithm>

#include "util/check.h"

namespace sluice::crypto {
namespace {

using Point = std::array<uint8_t, 32>;   // RFC 8032 encoding
using Scalar = std::array<uint8_t, 32>;  // little-endian

constexpr uint8_t kSuite = 0x03;
constexpr Point kIdentity{1};
constexpr size_t kChallengeBytes = 16;

// The group order q = 2^252 + 27742317777372353535851937790883648493, little-endian.
constexpr Scalar kGroupOrder{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                             0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                             0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

bool IsBelowGroupOrder(const Scalar& s) {
    return std::lexicographical_compare(s.rbegin(), s.rend(), kGroupOrder.rbegin(), kGroupOrder.rend());
}

// True if y, without the sign bit, is below p = 2^255 - 19.
bool IsCanonical(const Point& point) {
    const bool high_bits_set = (point[31] & 0x7f) == 0x7f &&
                               std::all_of(point.begin() + 1, point.end() - 1, [](uint8_t b) { return b == 0xff; });
    return !high_bits_set || point[0] < 0xed;
}

// 8 * point, or nullopt if `point` is not the canonical encoding of a point on the curve.
std::optional<Point> MultiplyByCofactor(const Point& point) {
    if (!IsCanonical(point)) return std::nullopt;
    Point result = point;
    for (int i = 0; i < 3; ++i) {
        const Point term = result;
        if (crypto_core_ed25519_add(result.data(), term.data(), term.data()) != 0) return std::nullopt;
    }
    return result;
}

// scalar * point. Precondition: `point` is valid and not the identity, `scalar` is below q.
Point Multiply(const Scalar& scalar, const Point& point) {
    if (scalar == Scalar{}) return kIdentity;
    Point result;
    CHECK(crypto_scalarmult_ed25519_noclamp(result.data(), scalar.data(), point.data()) == 0);
    return result;
}

Point MultiplyBase(const Scalar& scalar) {
    if (scalar == Scalar{}) return kIdentity;
    Point result;
    CHECK(crypto_scalarmult_ed25519_base_noclamp(result.data(), scalar.data()) == 0);
    return result;
}

Point Subtract(const Point& a, const Point& b) {
    Point result;
    CHECK(crypto_core_ed25519_sub(result.data(), a.data(), b.data()) == 0);
    return result;
}

// ECVRF_challenge_generation (5.4.3): 16 bytes, as a scalar.
Scalar Challenge(const Point& y, const Point& h, const Point& gamma, const Point& u, const Point& v) {
    std::array<uint8_t, 2 + 5 * 32 + 1> input{kSuite, 0x02};
    size_t offset = 2;
    for (const Point* point : {&y, &h, &gamma, &u, &v}) {
        std::copy(point->begin(), point->end(), input.begin() + offset);
        offset += point->size();
    }
    const Sha512Hash hash = Sha512Of(input);
    Scalar challenge{};
    std::copy_n(hash.begin(), kChallengeBytes, challenge.begin());
    return challenge;
}

// A proof's three parts with s < q; Gamma is still unchecked.
struct Parts {
    Point gamma;
    Scalar c{};
    Scalar s;
};

std::optional<Parts> Decode(const VrfProof& proof) {
    Parts parts;
    std::copy_n(proof.begin(), 32, parts.gamma.begin());
    std::copy_n(proof.begin() + 32, kChallengeBytes, parts.c.begin());
    std::copy_n(proof.begin() + 32 + kChallengeBytes, 32, parts.s.begin());
    if (!IsBelowGroupOrder(parts.s)) return std::nullopt;
    return parts;
}

// The secret scalar x and the prefix of nonces, RFC 8032 5.1.5.
struct ExpandedSecret {
    explicit ExpandedSecret(const VrfSecretKey& seed) {
        crypto_hash_sha512(bytes.data(), seed.data(), seed.size());
        bytes.data()[0] &= 0xf8;
        bytes.data()[31] = (bytes.data()[31] & 0x7f) | 0x40;
    }
    const uint8_t* scalar() const { return bytes.data(); }
    ByteSpan nonce_prefix() const { return ByteSpan(bytes.span()).subspan(32); }
    Point Public() const {
        Point y;
        CHECK(crypto_scalarmult_ed25519_base_noclamp(y.data(), scalar()) == 0);
        return y;
    }

    SecretBytes<64> bytes;
};

}  // namespace

// nullopt if none of the 256 attempts hits a point, which happens for one input in 2^256.
std::optional<Point> VrfEncodeToCurve(const VrfPublicKey& key, ByteSpan alpha) {
    constexpr std::array<uint8_t, 2> kPrefix{kSuite, 0x01};
    for (int counter = 0; counter < 256; ++counter) {
        const std::array<uint8_t, 2> suffix{static_cast<uint8_t>(counter), 0x00};
        crypto_hash_sha512_state state;
        crypto_hash_sha512_init(&state);
        for (const ByteSpan part : {ByteSpan(kPrefix), ByteSpan(key.bytes), alpha, ByteSpan(suffix)}) {
            crypto_hash_sha512_update(&state, part.data(), part.size());
        }
        Sha512Hash hash;
        crypto_hash_sha512_final(&state, hash.data());
        Point candidate;
        std::copy_n(hash.begin(), candidate.size(), candidate.begin());
        const auto point = MultiplyByCofactor(candidate);
        if (point && *point != kIdentity) return point;
    }
    return std::nullopt;
}

VrfPublicKey VrfPublic(const VrfSecretKey& secret) { return VrfPublicKey(ExpandedSecret(secret).Public()); }

VrfProof VrfProve(const VrfSecretKey& secret, ByteSpan alpha) {
    const ExpandedSecret expanded(secret);
    const Point y = expanded.Public();
    const auto h = VrfEncodeToCurve(VrfPublicKey(y), alpha);
    CHECK(h.has_value());
    Point gamma;
    CHECK(crypto_scalarmult_ed25519_noclamp(gamma.data(), expanded.scalar(), h->data()) == 0);

    SecretBytes<32> k;  // 5.4.2.2
    Sha512Hash nonce_hash = Sha512Of(expanded.nonce_prefix(), *h);
    crypto_core_ed25519_scalar_reduce(k.data(), nonce_hash.data());
    WipeMemory(nonce_hash.data(), nonce_hash.size());
    Point u, v;
    CHECK(crypto_scalarmult_ed25519_base_noclamp(u.data(), k.data()) == 0);
    CHECK(crypto_scalarmult_ed25519_noclamp(v.data(), k.data(), h->data()) == 0);

    const Scalar c = Challenge(y, *h, gamma, u, v);
    SecretBytes<32> cx;
    crypto_core_ed25519_scalar_mul(cx.data(), c.data(), expanded.scalar());
    Scalar s;
    crypto_core_ed25519_scalar_add(s.data(), k.data(), cx.data());

    VrfProof proof;
    std::copy(gamma.begin(), gamma.end(), proof.begin());
    std::copy_n(c.begin(), kChallengeBytes, proof.begin() + 32);
    std::copy(s.begin(), s.end(), proof.begin() + 32 + kChallengeBytes);
    return proof;
}

bool VrfKeyIsValid(const VrfPublicKey& key) { return crypto_core_ed25519_is_valid_point(key.data()) == 1; }

std::optional<VrfOutput> VrfVerify(const VrfPublicKey& key, ByteSpan alpha, const VrfProof& proof) {
    const auto parts = Decode(proof);
    if (!parts || !VrfKeyIsValid(key) || !crypto_core_ed25519_is_valid_point(parts->gamma.data())) return std::nullopt;
    const auto h = VrfEncodeToCurve(key, alpha);
    if (!h) return std::nullopt;
    const Point u = Subtract(MultiplyBase(parts->s), Multiply(parts->c, key.bytes));
    const Point v = Subtract(Multiply(parts->s, *h), Multiply(parts->c, parts->gamma));
    if (Challenge(key.bytes, *h, parts->gamma, u, v) != parts->c) return std::nullopt;
    return VrfProofToHash(proof);
}

std::optional<VrfOutput> VrfProofToHash(const VrfProof& proof) {
    const auto parts = Decode(proof);
    if (!parts) return std::nullopt;
    const auto point = MultiplyByCofactor(parts->gamma);
    if (!point) return std::nullopt;
    constexpr std::array<uint8_t, 2> kPrefix{kSuite, 0x03};
    constexpr std::array<uint8_t, 1> kSuffix{0x00};
    return VrfOutput(Sha512Of(kPrefix, *point, kSuffix).bytes);
}

}  // namespace sluice::crypto
