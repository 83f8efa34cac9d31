#pragma once

#include <optional>

#include "util/bytes.h"
#include "util/result.h"
#include "util/wipe.h"

// ChaCha20-Poly1305 (RFC 8439) and X25519.

namespace sluice::crypto {

inline constexpr size_t kAeadTagBytes = 16;
using AeadKey = SecretBytes<32>;
using AeadNonce = std::array<uint8_t, 12>;

// A nonce whose first 4 bytes are zero and whose last 8 are `counter`, little-endian (Noise, and chunk numbers).
AeadNonce CounterNonce(uint64_t counter);

// An AEAD context with its key set up once, for many messages. Not thread-safe.
class Aead {
  public:
    explicit Aead(const AeadKey& key);
    ~Aead();
    Aead(Aead&&) noexcept;
    Aead& operator=(Aead&&) noexcept;

    // Writes plaintext.size() + kAeadTagBytes bytes to `out` (exactly that size; may start at plaintext's address).
    void Seal(const AeadNonce& nonce, ByteSpan additional, ByteSpan plaintext, MutableByteSpan out);
    // The same of a plaintext in parts, one after the other; none of them may overlap `out`.
    void SealParts(const AeadNonce& nonce, ByteSpan additional, std::span<const ByteSpan> plaintext,
                   MutableByteSpan out);
    // Writes sealed.size() - kAeadTagBytes bytes to `out`; false, with `out` zeroed, if the tag does not fit.
    [[nodiscard]] bool Open(const AeadNonce& nonce, ByteSpan additional, ByteSpan sealed, MutableByteSpan out);

  private:
    void* m_context;  // libcrypto's, holding the only copy of the key
};

using X25519PublicKey = FixedBytes<32, struct X25519PublicKeyTag>;
using X25519SecretKey = SecretBytes<32>;

X25519PublicKey X25519Public(const X25519SecretKey& secret);
// The shared secret; nullopt if the peer's key is of small order.
std::optional<SecretBytes<32>> X25519(const X25519SecretKey& secret, const X25519PublicKey& peer);

// Anonymous public-key encryption (an ephemeral X25519 key, HKDF over both public keys, AEAD): only the holder of
// `to`'s secret opens it. `ephemeral` must be fresh random for every call. Adds kSealedBoxOverheadBytes.
// A box to a key of small order, which has no holder, opens for nobody.
inline constexpr size_t kSealedBoxOverheadBytes = 32 + kAeadTagBytes;
Bytes SealBox(const X25519PublicKey& to, ByteSpan plaintext, const X25519SecretKey& ephemeral);
std::optional<Bytes> OpenBox(const X25519SecretKey& secret, ByteSpan box);

}  // namespace sluice::crypto
