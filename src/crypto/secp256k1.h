#pragma once

#include <optional>

#include "crypto/hash.h"
#include "util/bytes.h"
#include "util/result.h"
#include "util/wipe.h"

// secp256k1 keys and BIP340 signatures. The only header of the project whose implementation calls libsecp256k1
// (with adaptor.cpp). Everything here is thread-safe.

namespace sluice::crypto {

using XOnlyPubKey = FixedBytes<32, struct XOnlyPubKeyTag>;  // BIP340: the x coordinate; even y is implied
using PubKey = FixedBytes<33, struct PubKeyTag>;            // compressed point
using SchnorrSignature = FixedBytes<64, struct SchnorrSignatureTag>;
using SecretScalar = SecretBytes<32>;  // big-endian, checked where it is used

// A secret key: a scalar in [1, n). Wiped when it goes out of scope.
class SecretKey {
  public:
    // nullopt if the bytes are zero or not below the group order.
    static std::optional<SecretKey> FromBytes(ByteSpan bytes);

    SecretKey(SecretKey&&) noexcept = default;
    SecretKey& operator=(SecretKey&&) noexcept = default;
    SecretKey Clone() const { return SecretKey(m_bytes.Clone()); }

    PubKey Public() const;
    XOnlyPubKey XOnly() const;
    ByteSpan bytes() const { return m_bytes.span(); }

    // (this + tweak) mod n; nullopt if that is zero or `tweak` is not below n (BIP32 CKDpriv).
    std::optional<SecretKey> TweakAdd(const Hash256& tweak) const;
    // BIP341: the secret of TapTweak(XOnly(), merkle_root), where no merkle_root means a key-path-only output.
    std::optional<SecretKey> TapTweak(const std::optional<Hash256>& merkle_root) const;

    // BIP340 signature of a 32-byte hash. `aux` is the auxiliary randomness; all zeros makes it deterministic.
    SchnorrSignature Sign(const Hash256& message, const std::array<uint8_t, 32>& aux = {}) const;
    // The same for a message of any length.
    SchnorrSignature SignMessage(ByteSpan message, const std::array<uint8_t, 32>& aux = {}) const;

  private:
    explicit SecretKey(SecretScalar bytes) : m_bytes(std::move(bytes)) {}
    SecretScalar m_bytes;
};

// True if `key` is the x coordinate of a point on the curve.
bool IsOnCurve(const XOnlyPubKey& key);
// True if `key` is a valid compressed point.
bool IsValidPubKey(const PubKey& key);
XOnlyPubKey ToXOnly(const PubKey& key);
// point + tweak*G, compressed; nullopt if infinite, invalid or the tweak is out of range (BIP32 CKDpub).
std::optional<PubKey> TweakAdd(const PubKey& key, const Hash256& tweak);

// BIP340 verification of a 32-byte hash / of a message of any length. False for keys and signatures not on the curve.
bool VerifySchnorr(const XOnlyPubKey& key, const Hash256& message, const SchnorrSignature& signature);
bool VerifySchnorrMessage(const XOnlyPubKey& key, ByteSpan message, const SchnorrSignature& signature);

struct TaprootOutput {
    XOnlyPubKey key;
    bool odd_y{false};  // the parity bit of the control block
};
// BIP341: Q = P + H_TapTweak(P || merkle_root) G; nullopt if P is not on the curve.
std::optional<TaprootOutput> TapTweak(const XOnlyPubKey& internal, const std::optional<Hash256>& merkle_root);
// True if `output` with parity `odd_y` is `internal` tweaked by `merkle_root` (script-path check, one multiplication).
bool CheckTapTweak(const XOnlyPubKey& output, bool odd_y, const XOnlyPubKey& internal, const Hash256& merkle_root);

// BIP341's point with no known secret: H = lift_x(50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0).
extern const XOnlyPubKey kNumsKey;

}  // namespace sluice::crypto
