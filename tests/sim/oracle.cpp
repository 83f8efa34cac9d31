#include <deque>
#include <unordered_map>

#include "crypto/hash.h"
#include "crypto/vrf.h"

// What a node computes of its own keys, remembered: a staker asks for each slot whether it leads, when the slot comes
// and again when it accounts for it, and derives its public key each time. The linker sends the calls through here
// (CMakeLists.txt); the values are those of the real functions.

#define SLUICE_VRF_PROVE "_ZN6sluice6crypto8VrfProveERKNS_11SecretBytesILm32EEESt4spanIKhLm18446744073709551615EE"
#define SLUICE_VRF_PUBLIC "_ZN6sluice6crypto9VrfPublicERKNS_11SecretBytesILm32EEE"

namespace sluice::crypto {

VrfProof RealVrfProve(const VrfSecretKey& secret, ByteSpan alpha) asm("__real_" SLUICE_VRF_PROVE);
VrfProof RememberedVrfProve(const VrfSecretKey& secret, ByteSpan alpha) asm("__wrap_" SLUICE_VRF_PROVE);
VrfPublicKey RealVrfPublic(const VrfSecretKey& secret) asm("__real_" SLUICE_VRF_PUBLIC);
VrfPublicKey RememberedVrfPublic(const VrfSecretKey& secret) asm("__wrap_" SLUICE_VRF_PUBLIC);

namespace {

// The newest values by the hash of what they were made of.
template <class Value>
class Memory {
  public:
    template <class Make>
    Value Get(const Hash256& key, Make make) {
        if (const auto found = m_values.find(key); found != m_values.end()) return found->second;
        if (m_order.size() == kMost) {
            m_values.erase(m_order.front());
            m_order.pop_front();
        }
        m_order.push_back(key);
        return m_values.emplace(key, make()).first->second;
    }

  private:
    static constexpr size_t kMost = 1 << 17;
    std::unordered_map<Hash256, Value, FixedBytesHasher> m_values;
    std::deque<Hash256> m_order;
};

}  // namespace

VrfProof RememberedVrfProve(const VrfSecretKey& secret, ByteSpan alpha) {
    static Memory<VrfProof> memory;
    Sha256 hasher;
    hasher.Write(secret.span()).Write(alpha);
    return memory.Get(hasher.Finish(), [&] { return RealVrfProve(secret, alpha); });
}

VrfPublicKey RememberedVrfPublic(const VrfSecretKey& secret) {
    static Memory<VrfPublicKey> memory;
    return memory.Get(Sha256Of(secret.span()), [&] { return RealVrfPublic(secret); });
}

}  // namespace sluice::crypto
