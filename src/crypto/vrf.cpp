#include "crypto/vrf.h"

#include <sodium.h>

#include <algorithm>

#include "crypto/edwards25519.h"
#include "util/check.h"

namespace sluice::crypto {
namespace {

// Whatever touches a secret is libsodium, in constant time; verification sees public values only and uses EdwardsPoint.
using Encoding = EdwardsPoint::Encoding;
using Scalar = EdwardsPoint::Scalar;

constexpr uint8_t kSuite = 0x03;
constexpr size_t kChallengeBytes = 16;

bool IsBelowGroupOrder(const Scalar& s) {
    return std::lexicographical_compare(s.rbegin(), s.rend(), kEdwardsGroupOrder.rbegin(), kEdwardsGroupOrder.rend());
}

// ECVRF_encode_to_curve_try_and_increment (RFC 9381, 5.4.1.1). nullopt if none of the 256 attempts hits a point, which
// happens for one input in 2^256.
std::optional<EdwardsPoint> EncodeToCurve(const VrfPublicKey& key, ByteSpan alpha) {
    constexpr std::array<uint8_t, 2> kPrefix{kSuite, 0x01};
    for (int counter = 0; counter < 256; ++counter) {
        const std::array<uint8_t, 2> suffix{static_cast<uint8_t>(counter), 0x00};
        crypto_hash_sha512_state state;
        crypto_hash_sha512_init(&state);
        for (const ByteSpan part : {ByteSpan(kPrefix), ByteSpan(key), alpha, ByteSpan(suffix)}) {
            crypto_hash_sha512_update(&state, part.data(), part.size());
        }
        Sha512Hash hash;
        crypto_hash_sha512_final(&state, hash.data());
        Encoding candidate;
        std::copy_n(hash.begin(), candidate.size(), candidate.begin());
        auto point = EdwardsPoint::Decode(candidate);
        if (!point) continue;
        point = point->MultiplyByCofactor();
        if (!point->IsIdentity()) return point;
    }
    return std::nullopt;
}

// The point of a key or Gamma that is canonical and of prime order.
std::optional<EdwardsPoint> DecodeValid(const Encoding& encoding) {
    auto point = EdwardsPoint::Decode(encoding);
    if (!point || !point->HasPrimeOrder()) return std::nullopt;
    return point;
}

// ECVRF_challenge_generation (5.4.3): 16 bytes, as a scalar.
Scalar Challenge(const Encoding& y, const Encoding& h, const Encoding& gamma, const Encoding& u, const Encoding& v) {
    std::array<uint8_t, 2 + 5 * 32 + 1> input{kSuite, 0x02};
    size_t offset = 2;
    for (const Encoding* part : {&y, &h, &gamma, &u, &v}) {
        std::copy(part->begin(), part->end(), input.begin() + offset);
        offset += part->size();
    }
    const Sha512Hash hash = Sha512Of(input);
    Scalar challenge{};
    std::copy_n(hash.begin(), kChallengeBytes, challenge.begin());
    return challenge;
}

// A proof's three parts with s < q; Gamma is still unchecked.
struct Parts {
    Encoding gamma;
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
    Encoding Public() const {
        Encoding y;
        CHECK(crypto_scalarmult_ed25519_base_noclamp(y.data(), scalar()) == 0);
        return y;
    }

    SecretBytes<64> bytes;
};

// ECVRF_proof_to_hash (5.2) of 8 * Gamma.
VrfOutput OutputOf(const Encoding& gamma_by_cofactor) {
    constexpr std::array<uint8_t, 2> kPrefix{kSuite, 0x03};
    constexpr std::array<uint8_t, 1> kSuffix{0x00};
    return VrfOutput(Sha512Of(kPrefix, gamma_by_cofactor, kSuffix).bytes);
}

}  // namespace

std::optional<std::array<uint8_t, 32>> VrfEncodeToCurve(const VrfPublicKey& key, ByteSpan alpha) {
    const auto point = EncodeToCurve(key, alpha);
    if (!point) return std::nullopt;
    return point->Encode();
}

VrfPublicKey VrfPublic(const VrfSecretKey& secret) { return VrfPublicKey(ExpandedSecret(secret).Public()); }

VrfProof VrfProve(const VrfSecretKey& secret, ByteSpan alpha) {
    const ExpandedSecret expanded(secret);
    const Encoding y = expanded.Public();
    const auto h = VrfEncodeToCurve(VrfPublicKey(y), alpha);
    CHECK(h.has_value());
    Encoding gamma;
    CHECK(crypto_scalarmult_ed25519_noclamp(gamma.data(), expanded.scalar(), h->data()) == 0);

    SecretBytes<32> k;  // 5.4.2.2
    Sha512Hash nonce_hash = Sha512Of(expanded.nonce_prefix(), *h);
    crypto_core_ed25519_scalar_reduce(k.data(), nonce_hash.data());
    WipeMemory(nonce_hash.data(), nonce_hash.size());
    Encoding u, v;
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

bool VrfKeyIsValid(const VrfPublicKey& key) { return DecodeValid(key.bytes).has_value(); }

std::optional<VrfOutput> VrfVerify(const VrfPublicKey& key, ByteSpan alpha, const VrfProof& proof) {
    const auto parts = Decode(proof);
    if (!parts) return std::nullopt;
    const auto y = DecodeValid(key.bytes);
    const auto gamma = DecodeValid(parts->gamma);
    if (!y || !gamma) return std::nullopt;
    const auto h = EncodeToCurve(key, alpha);
    if (!h) return std::nullopt;
    const auto u = EdwardsPoint::MultiplyBaseSubtract(parts->s, parts->c, *y);
    const auto v = EdwardsPoint::MultiplySubtract(parts->s, *h, parts->c, *gamma);
    const auto encoded = EdwardsPoint::EncodeAll(std::array{*h, u, v, gamma->MultiplyByCofactor()});
    if (Challenge(key.bytes, encoded[0], parts->gamma, encoded[1], encoded[2]) != parts->c) return std::nullopt;
    return OutputOf(encoded[3]);
}

std::optional<VrfOutput> VrfProofToHash(const VrfProof& proof) {
    const auto parts = Decode(proof);
    if (!parts) return std::nullopt;
    const auto gamma = EdwardsPoint::Decode(parts->gamma);
    if (!gamma) return std::nullopt;
    return OutputOf(gamma->MultiplyByCofactor().Encode());
}

}  // namespace sluice::crypto
