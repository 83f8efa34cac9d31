#include "crypto/adaptor.h"

#include <secp256k1.h>

#include "crypto/secp256k1_context.h"
#include "util/check.h"

namespace sluice::crypto {
namespace {

using Scalar = std::array<uint8_t, 32>;  // big-endian

constexpr uint8_t kEvenPrefix = SECP256K1_TAG_PUBKEY_EVEN;
constexpr Scalar kGroupOrder{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                             0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                             0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};

// A public hash modulo the group order; one subtraction is enough as 2^256 < 2n.
Scalar ReduceModOrder(const Hash256& hash) {
    if (hash.bytes < kGroupOrder) return hash.bytes;
    Scalar result;
    int borrow = 0;
    for (size_t i = result.size(); i-- > 0;) {
        const int difference = hash[i] - kGroupOrder[i] - borrow;
        borrow = difference < 0 ? 1 : 0;
        result[i] = static_cast<uint8_t>(difference + 256 * borrow);
    }
    return result;
}

std::optional<secp256k1_pubkey> Parse(const PubKey& key) {
    secp256k1_pubkey point;
    if (!secp256k1_ec_pubkey_parse(Secp256k1Context(), &point, key.data(), key.size())) return std::nullopt;
    return point;
}

PubKey Serialize(const secp256k1_pubkey& point) {
    PubKey result;
    size_t size = result.size();
    CHECK(secp256k1_ec_pubkey_serialize(Secp256k1Context(), result.data(), &size, &point, SECP256K1_EC_COMPRESSED) ==
          1);
    return result;
}

// The compressed encoding of lift_x(key).
PubKey Lift(const XOnlyPubKey& key) {
    PubKey result;
    result.bytes[0] = kEvenPrefix;
    std::copy(key.begin(), key.end(), result.begin() + 1);
    return result;
}

// a + b, or nullopt if that is the point at infinity.
std::optional<secp256k1_pubkey> Add(const secp256k1_pubkey& a, const secp256k1_pubkey& b) {
    const secp256k1_pubkey* const terms[] = {&a, &b};
    secp256k1_pubkey sum;
    if (!secp256k1_ec_pubkey_combine(Secp256k1Context(), &sum, terms, 2)) return std::nullopt;
    return sum;
}

// e of BIP340 for the nonce R' and the signer P.
Scalar Challenge(const Scalar& nonce_x, const XOnlyPubKey& signer, const Hash256& message) {
    static const Sha256 tagged = TaggedHasher("BIP0340/challenge");
    Sha256 hasher = tagged;
    return ReduceModOrder(hasher.Write(nonce_x).Write(signer).Write(message).Finish());
}

// r of attempt `counter`; zero or not below n once in 2^128, which counts as a failed attempt.
SecretScalar Nonce(const SecretScalar& key, const Hash256& message, const PubKey& point, uint32_t counter) {
    static const Sha256 tagged = TaggedHasher("Sluice/adaptor-nonce");
    Sha256 hasher = tagged;
    std::array<uint8_t, 4> counter_bytes;
    for (size_t i = 0; i < counter_bytes.size(); ++i) counter_bytes[i] = static_cast<uint8_t>(counter >> (8 * i));
    Hash256 hash = hasher.Write(key.span()).Write(message).Write(point).Write(counter_bytes).Finish();
    WipeMemory(&hasher, sizeof(hasher));
    SecretScalar nonce{hash.bytes};
    WipeMemory(hash.data(), hash.size());
    return nonce;
}

// d: the secret of lift_x(XOnly()), which is the key or its negation.
SecretScalar EvenSecret(const SecretKey& key, const PubKey& public_key) {
    SecretScalar secret(key.bytes().first<32>());
    if (public_key[0] != kEvenPrefix) CHECK(secp256k1_ec_seckey_negate(Secp256k1Context(), secret.data()) == 1);
    return secret;
}

}  // namespace

std::optional<AdaptorSignature> AdaptorSign(const SecretKey& key, const Hash256& message, const PubKey& point) {
    const auto adaptor_point = Parse(point);
    if (!adaptor_point) return std::nullopt;
    const secp256k1_context* const context = Secp256k1Context();
    const PubKey public_key = key.Public();
    const XOnlyPubKey signer = ToXOnly(public_key);
    const SecretScalar secret = EvenSecret(key, public_key);
    for (uint32_t counter = 0;; ++counter) {  // half of all attempts succeed
        const SecretScalar nonce = Nonce(secret, message, point, counter);
        secp256k1_pubkey nonce_point;
        if (!secp256k1_ec_pubkey_create(context, &nonce_point, nonce.data())) continue;
        const auto sum = Add(nonce_point, *adaptor_point);
        if (!sum) continue;
        const PubKey encoded = Serialize(*sum);
        if (encoded[0] != kEvenPrefix) continue;
        AdaptorSignature result{.nonce_x = ToXOnly(encoded).bytes};
        const Scalar challenge = Challenge(result.nonce_x, signer, message);
        SecretScalar s = secret.Clone();
        if (!secp256k1_ec_seckey_tweak_mul(context, s.data(), challenge.data())) continue;
        if (!secp256k1_ec_seckey_tweak_add(context, s.data(), nonce.data())) continue;
        std::copy(s.span().begin(), s.span().end(), result.s.begin());
        return result;
    }
}

bool AdaptorVerify(const XOnlyPubKey& signer, const Hash256& message, const PubKey& point,
                   const AdaptorSignature& pre_signature) {
    const secp256k1_context* const context = Secp256k1Context();
    const auto adaptor_point = Parse(point);
    auto term = Parse(Lift(signer));
    if (!adaptor_point || !term) return false;
    // s'G - eP, then K: everything here is public, so the fast calls on points do.
    const Scalar challenge = Challenge(pre_signature.nonce_x, signer, message);
    if (!secp256k1_ec_pubkey_tweak_mul(context, &*term, challenge.data())) return false;
    CHECK(secp256k1_ec_pubkey_negate(context, &*term) == 1);
    if (!secp256k1_ec_pubkey_tweak_add(context, &*term, pre_signature.s.data())) return false;
    const auto sum = Add(*term, *adaptor_point);
    return sum && Serialize(*sum) == Lift(XOnlyPubKey(pre_signature.nonce_x));
}

std::optional<SchnorrSignature> AdaptorComplete(const AdaptorSignature& pre_signature, const SecretKey& secret) {
    const auto sum = secret.TweakAdd(Hash256(pre_signature.s));
    if (!sum) return std::nullopt;
    SchnorrSignature signature;
    std::copy(pre_signature.nonce_x.begin(), pre_signature.nonce_x.end(), signature.begin());
    std::copy(sum->bytes().begin(), sum->bytes().end(), signature.begin() + 32);
    return signature;
}

std::optional<SecretKey> AdaptorExtract(const AdaptorSignature& pre_signature, const SchnorrSignature& signature,
                                        const PubKey& point) {
    if (!std::equal(pre_signature.nonce_x.begin(), pre_signature.nonce_x.end(), signature.begin())) return std::nullopt;
    auto negated = SecretScalar(pre_signature.s);
    if (!secp256k1_ec_seckey_negate(Secp256k1Context(), negated.data())) return std::nullopt;
    const auto base = SecretKey::FromBytes(negated.span());
    if (!base) return std::nullopt;
    auto secret = base->TweakAdd(Hash256::FromSpan(std::span(signature.bytes).last<32>()));
    if (!secret || secret->Public() != point) return std::nullopt;
    return secret;
}

}  // namespace sluice::crypto
