#pragma once

#include "crypto/secp256k1.h"

// BIP340 adaptor signatures: a pre-signature under a point K completes to an ordinary signature by whoever knows k
// (K = kG), and the completed signature reveals k to whoever holds the pre-signature (protocol.md, key sale).
//
// For the signer's key P = dG (even y), message m and K: R = rG with r = H_tag(d, m, K, counter), no other randomness;
// the counter is raised until R' = R + K is finite and has even y. H_tag is taggedhash("Sluice/adaptor-nonce"), the
// counter starts at 0 and is 4 bytes, little-endian. e = H_BIP0340/challenge(x(R') || P || m),
// s' = r + e d. The pre-signature is (x(R'), s'). It verifies if s'G + K - eP = lift_x(x(R')).
// Completing: s = s' + k, signature (x(R'), s). Extracting: k = s - s'.

namespace sluice::crypto {

struct AdaptorSignature {
    std::array<uint8_t, 32> nonce_x{};  // x(R')
    std::array<uint8_t, 32> s{};        // s', big-endian, below the group order

    friend bool operator==(const AdaptorSignature&, const AdaptorSignature&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive.Raw(self.nonce_x);
        archive.Raw(self.s);
    }
};

// Deterministic in (key, message, point). nullopt only if `point` is not a valid compressed point.
std::optional<AdaptorSignature> AdaptorSign(const SecretKey& key, const Hash256& message, const PubKey& point);
bool AdaptorVerify(const XOnlyPubKey& signer, const Hash256& message, const PubKey& point,
                   const AdaptorSignature& pre_signature);
// The BIP340 signature; nullopt if a value is out of range. The caller verifies the result before use.
std::optional<SchnorrSignature> AdaptorComplete(const AdaptorSignature& pre_signature, const SecretKey& secret);
// k with kG = point, or nullopt if the signature was not completed from this pre-signature with it.
std::optional<SecretKey> AdaptorExtract(const AdaptorSignature& pre_signature, const SchnorrSignature& signature,
                                        const PubKey& point);

}  // namespace sluice::crypto
