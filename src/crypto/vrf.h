#pragma once

#include <optional>

#include "crypto/hash.h"
#include "util/wipe.h"

// ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381, suite 0x03).

namespace sluice::crypto {

using VrfPublicKey = FixedBytes<32, struct VrfPublicKeyTag>;
using VrfProof = FixedBytes<80, struct VrfProofTag>;    // Gamma (32) || c (16) || s (32)
using VrfOutput = FixedBytes<64, struct VrfOutputTag>;  // beta
using VrfSecretKey = SecretBytes<32>;                   // the RFC 8032 seed

VrfPublicKey VrfPublic(const VrfSecretKey& secret);
VrfProof VrfProve(const VrfSecretKey& secret, ByteSpan alpha);
// True for a canonical encoding of a point that is neither of small order nor of mixed order (it lies in the prime
// order subgroup): what registration accepts.
bool VrfKeyIsValid(const VrfPublicKey& key);
// beta if the proof is valid, nullopt otherwise. Rejects non-canonical encodings, small- and mixed-order keys and
// Gamma, and s >= q.
std::optional<VrfOutput> VrfVerify(const VrfPublicKey& key, ByteSpan alpha, const VrfProof& proof);
// beta from a proof without verifying it: proves nothing, but is cheap (the threshold test before the full check).
std::optional<VrfOutput> VrfProofToHash(const VrfProof& proof);
// H, the point that `alpha` is mapped to under `key` (5.4.1.1): a step of the calls above, apart for its test vectors.
std::optional<std::array<uint8_t, 32>> VrfEncodeToCurve(const VrfPublicKey& key, ByteSpan alpha);

}  // namespace sluice::crypto
