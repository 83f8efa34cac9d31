#pragma once

#include <memory>
#include <optional>

#include "crypto/aead.h"
#include "crypto/hash.h"

// Noise_XX_25519_ChaChaPoly_SHA256 (Noise specification, revision 34).

namespace sluice::crypto {

inline constexpr size_t kNoiseMaxMessageBytes = 65535;

// One direction of an established channel. Each message uses the next nonce; none may be lost or reordered.
class NoiseCipher {
  public:
    explicit NoiseCipher(const AeadKey& key) : m_aead(key) {}
    // `out` has plaintext.size() + kAeadTagBytes bytes and may start where plaintext does.
    void Encrypt(ByteSpan additional, ByteSpan plaintext, MutableByteSpan out);
    // The same of a plaintext in parts, none of which overlaps `out`.
    void EncryptParts(ByteSpan additional, std::span<const ByteSpan> plaintext, MutableByteSpan out);
    [[nodiscard]] bool Decrypt(ByteSpan additional, ByteSpan sealed, MutableByteSpan out);
    uint64_t messages() const { return m_nonce; }

  private:
    Aead m_aead;
    uint64_t m_nonce{0};
};

// The handshake as a pure state machine: three messages (-> e; <- e, ee, s, es; -> s, se), each with a payload.
//   initiator: Write, Read, Write      responder: Read, Write, Read
class NoiseHandshake {
  public:
    // `ephemeral` must be fresh random for every handshake (fixed only in test vectors).
    NoiseHandshake(bool initiator, ByteSpan prologue, const X25519SecretKey& static_key,
                   const X25519SecretKey& ephemeral);
    ~NoiseHandshake();
    NoiseHandshake(NoiseHandshake&&) noexcept;
    NoiseHandshake& operator=(NoiseHandshake&&) noexcept;

    // The next message of ours. Precondition: it is our turn.
    Bytes Write(ByteSpan payload);
    // The payload of the peer's message; nullopt ends the handshake (wrong length, key of small order, tag). It is the
    // peer's turn.
    std::optional<Bytes> Read(ByteSpan message);
    bool Done() const;
    bool OurTurn() const;
    // The exact length of the next message to read when its payload is `payload_bytes` long.
    size_t NextReadBytes(size_t payload_bytes) const;

    // The peer's static key. Precondition: it has been received.
    const X25519PublicKey& remote_static() const;
    // The handshake hash, for channel binding. Precondition: Done().
    Hash256 handshake_hash() const;
    struct Ciphers {
        NoiseCipher send;
        NoiseCipher receive;
    };
    // Precondition: Done(); once.
    Ciphers Split();

  private:
    struct State;
    std::unique_ptr<State> m_state;
};

}  // namespace sluice::crypto
