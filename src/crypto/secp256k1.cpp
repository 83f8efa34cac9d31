#include "crypto/secp256k1.h"

#include <secp256k1.h>
#include <secp256k1_extrakeys.h>
#include <secp256k1_schnorrsig.h>

#include "crypto/secp256k1_context.h"
#include "util/check.h"
#include "util/random.h"

namespace sluice::crypto {
namespace {

// libsecp256k1's key pair, wiped when it goes out of scope.
class KeyPair {
  public:
    // Precondition: `secret` is a scalar in [1, n).
    explicit KeyPair(ByteSpan secret) {
        CHECK(secp256k1_keypair_create(Secp256k1Context(), &m_pair, secret.data()) == 1);
    }
    ~KeyPair() { WipeMemory(&m_pair, sizeof(m_pair)); }
    KeyPair(const KeyPair&) = delete;
    KeyPair& operator=(const KeyPair&) = delete;

    secp256k1_keypair* get() { return &m_pair; }

  private:
    secp256k1_keypair m_pair;
};

std::optional<secp256k1_pubkey> Parse(const PubKey& key) {
    secp256k1_pubkey point;
    if (!secp256k1_ec_pubkey_parse(Secp256k1Context(), &point, key.data(), key.size())) return std::nullopt;
    return point;
}

std::optional<secp256k1_xonly_pubkey> Parse(const XOnlyPubKey& key) {
    secp256k1_xonly_pubkey point;
    if (!secp256k1_xonly_pubkey_parse(Secp256k1Context(), &point, key.data())) return std::nullopt;
    return point;
}

PubKey Serialize(const secp256k1_pubkey& point) {
    PubKey result;
    size_t size = result.size();
    CHECK(secp256k1_ec_pubkey_serialize(Secp256k1Context(), result.data(), &size, &point, SECP256K1_EC_COMPRESSED) ==
          1);
    return result;
}

Hash256 TapTweakHash(const XOnlyPubKey& internal, const std::optional<Hash256>& merkle_root) {
    static const Sha256 tagged = TaggedHasher("TapTweak");
    Sha256 hasher = tagged;
    hasher.Write(internal);
    if (merkle_root) hasher.Write(*merkle_root);
    return hasher.Finish();
}

}  // namespace

constinit const XOnlyPubKey kNumsKey{std::array<uint8_t, 32>{
    0x50, 0x92, 0x9b, 0x74, 0xc1, 0xa0, 0x49, 0x54, 0xb7, 0x8b, 0x4b, 0x60, 0x35, 0xe9, 0x7a, 0x5e,
    0x07, 0x8a, 0x5a, 0x0f, 0x28, 0xec, 0x96, 0xd5, 0x47, 0xbf, 0xee, 0x9a, 0xce, 0x80, 0x3a, 0xc0}};

const secp256k1_context* Secp256k1Context() {
    static const secp256k1_context* const context = [] {
        secp256k1_context* created = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
        SecretBytes<32> seed;
        SystemRandom().Fill(seed.span());
        CHECK(secp256k1_context_randomize(created, seed.data()) == 1);
        return created;
    }();
    return context;
}

std::optional<SecretKey> SecretKey::FromBytes(ByteSpan bytes) {
    if (bytes.size() != SecretScalar::kSize) return std::nullopt;
    if (!secp256k1_ec_seckey_verify(Secp256k1Context(), bytes.data())) return std::nullopt;
    return SecretKey(SecretScalar(bytes.first<SecretScalar::kSize>()));
}

PubKey SecretKey::Public() const {
    secp256k1_pubkey point;
    CHECK(secp256k1_ec_pubkey_create(Secp256k1Context(), &point, m_bytes.data()) == 1);
    return Serialize(point);
}

XOnlyPubKey SecretKey::XOnly() const { return ToXOnly(Public()); }

std::optional<SecretKey> SecretKey::TweakAdd(const Hash256& tweak) const {
    SecretScalar sum = m_bytes.Clone();
    if (!secp256k1_ec_seckey_tweak_add(Secp256k1Context(), sum.data(), tweak.data())) return std::nullopt;
    return SecretKey(std::move(sum));
}

std::optional<SecretKey> SecretKey::TapTweak(const std::optional<Hash256>& merkle_root) const {
    KeyPair pair(bytes());
    const Hash256 tweak = TapTweakHash(XOnly(), merkle_root);
    if (!secp256k1_keypair_xonly_tweak_add(Secp256k1Context(), pair.get(), tweak.data())) return std::nullopt;
    SecretScalar output;
    CHECK(secp256k1_keypair_sec(Secp256k1Context(), output.data(), pair.get()) == 1);
    return SecretKey(std::move(output));
}

SchnorrSignature SecretKey::Sign(const Hash256& message, const std::array<uint8_t, 32>& aux) const {
    return SignMessage(message, aux);
}

SchnorrSignature SecretKey::SignMessage(ByteSpan message, const std::array<uint8_t, 32>& aux) const {
    KeyPair pair(bytes());
    SchnorrSignature signature;
    secp256k1_schnorrsig_extraparams parameters = SECP256K1_SCHNORRSIG_EXTRAPARAMS_INIT;
    parameters.ndata = const_cast<uint8_t*>(aux.data());
    CHECK(secp256k1_schnorrsig_sign_custom(Secp256k1Context(), signature.data(), message.data(), message.size(),
                                           pair.get(), &parameters) == 1);
    return signature;
}

bool IsOnCurve(const XOnlyPubKey& key) { return Parse(key).has_value(); }

bool IsValidPubKey(const PubKey& key) { return Parse(key).has_value(); }

XOnlyPubKey ToXOnly(const PubKey& key) {
    return XOnlyPubKey::FromSpan(std::span(key.bytes).last<XOnlyPubKey::kSize>());
}

std::optional<PubKey> TweakAdd(const PubKey& key, const Hash256& tweak) {
    auto point = Parse(key);
    if (!point) return std::nullopt;
    if (!secp256k1_ec_pubkey_tweak_add(Secp256k1Context(), &*point, tweak.data())) return std::nullopt;
    return Serialize(*point);
}

bool VerifySchnorr(const XOnlyPubKey& key, const Hash256& message, const SchnorrSignature& signature) {
    return VerifySchnorrMessage(key, message, signature);
}

bool VerifySchnorrMessage(const XOnlyPubKey& key, ByteSpan message, const SchnorrSignature& signature) {
    const auto point = Parse(key);
    return point && secp256k1_schnorrsig_verify(Secp256k1Context(), signature.data(), message.data(), message.size(),
                                                &*point) == 1;
}

std::optional<TaprootOutput> TapTweak(const XOnlyPubKey& internal, const std::optional<Hash256>& merkle_root) {
    const auto point = Parse(internal);
    if (!point) return std::nullopt;
    const Hash256 tweak = TapTweakHash(internal, merkle_root);
    secp256k1_pubkey output;
    if (!secp256k1_xonly_pubkey_tweak_add(Secp256k1Context(), &output, &*point, tweak.data())) return std::nullopt;
    const PubKey serialized = Serialize(output);
    return TaprootOutput{ToXOnly(serialized), serialized[0] == SECP256K1_TAG_PUBKEY_ODD};
}

bool CheckTapTweak(const XOnlyPubKey& output, bool odd_y, const XOnlyPubKey& internal, const Hash256& merkle_root) {
    const auto point = Parse(internal);
    const Hash256 tweak = TapTweakHash(internal, merkle_root);
    return point && secp256k1_xonly_pubkey_tweak_add_check(Secp256k1Context(), output.data(), odd_y ? 1 : 0, &*point,
                                                           tweak.data()) == 1;
}

}  // namespace sluice::crypto
