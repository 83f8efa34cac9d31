#include "sim/adversaries/work_count.h"

#include <unistd.h>

#include <atomic>
#include <fstream>

#include "crypto/secp256k1.h"
#include "crypto/vrf.h"

// The linker replaces calls of the two functions by calls of the wrapping ones (adversaries.cmake).
#define SLUICE_VRF_VERIFY                                                                                           \
    "_ZN6sluice6crypto9VrfVerifyERKNS_10FixedBytesILm32ENS0_15VrfPublicKeyTagEEESt4spanIKhLm18446744073709551615EE" \
    "RKNS1_ILm80ENS0_11VrfProofTagEEE"
#define SLUICE_VERIFY_SCHNORR                                                                         \
    "_ZN6sluice6crypto13VerifySchnorrERKNS_10FixedBytesILm32ENS0_14XOnlyPubKeyTagEEERKNS1_ILm32ENS0_" \
    "10Hash256TagEEERKNS1_ILm64ENS0_19SchnorrSignatureTagEEE"

namespace sluice::crypto {

std::optional<VrfOutput> RealVrfVerify(const VrfPublicKey&, ByteSpan, const VrfProof&) asm("__real_" SLUICE_VRF_VERIFY);
std::optional<VrfOutput> CountedVrfVerify(const VrfPublicKey& key, ByteSpan alpha,
                                          const VrfProof& proof) asm("__wrap_" SLUICE_VRF_VERIFY);
bool RealVerifySchnorr(const XOnlyPubKey&, const Hash256&,
                       const SchnorrSignature&) asm("__real_" SLUICE_VERIFY_SCHNORR);
bool CountedVerifySchnorr(const XOnlyPubKey& key, const Hash256& message,
                          const SchnorrSignature& signature) asm("__wrap_" SLUICE_VERIFY_SCHNORR);

namespace {
std::atomic<uint64_t> g_vrf_proofs{0};
std::atomic<uint64_t> g_signatures{0};
}  // namespace

std::optional<VrfOutput> CountedVrfVerify(const VrfPublicKey& key, ByteSpan alpha, const VrfProof& proof) {
    ++g_vrf_proofs;
    return RealVrfVerify(key, alpha, proof);
}

bool CountedVerifySchnorr(const XOnlyPubKey& key, const Hash256& message, const SchnorrSignature& signature) {
    ++g_signatures;
    return RealVerifySchnorr(key, message, signature);
}

}  // namespace sluice::crypto

namespace sluice::sim {

WorkCount WorkDone() { return {crypto::g_vrf_proofs, crypto::g_signatures}; }

uint64_t ResidentBytes() {
    std::ifstream statm("/proc/self/statm");
    uint64_t total = 0, resident = 0;
    statm >> total >> resident;
    return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace sluice::sim
