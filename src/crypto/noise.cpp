#include "crypto/noise.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "util/check.h"

namespace sluice::crypto {
namespace {

constexpr std::string_view kProtocolName = "Noise_XX_25519_ChaChaPoly_SHA256";
static_assert(kProtocolName.size() == 32);  // so it is the first h as it stands (5.2)

constexpr size_t kKeyBytes = 32;
constexpr size_t kSealedKeyBytes = kKeyBytes + kAeadTagBytes;
constexpr int kMessages = 3;

// The bytes of each message that are not payload.
constexpr std::array<size_t, kMessages> kOverheadBytes{
    kKeyBytes,
    kKeyBytes + kSealedKeyBytes + kAeadTagBytes,
    kSealedKeyBytes + kAeadTagBytes,
};

}  // namespace

void NoiseCipher::Encrypt(ByteSpan additional, ByteSpan plaintext, MutableByteSpan out) {
    CHECK(m_nonce != std::numeric_limits<uint64_t>::max());
    m_aead.Seal(CounterNonce(m_nonce++), additional, plaintext, out);
}

void NoiseCipher::EncryptParts(ByteSpan additional, std::span<const ByteSpan> plaintext, MutableByteSpan out) {
    CHECK(m_nonce != std::numeric_limits<uint64_t>::max());
    m_aead.SealParts(CounterNonce(m_nonce++), additional, plaintext, out);
}

bool NoiseCipher::Decrypt(ByteSpan additional, ByteSpan sealed, MutableByteSpan out) {
    CHECK(m_nonce != std::numeric_limits<uint64_t>::max());
    if (!m_aead.Open(CounterNonce(m_nonce), additional, sealed, out)) return false;
    ++m_nonce;
    return true;
}

// The specification's HandshakeState and SymmetricState; method names are the specification's.
struct NoiseHandshake::State {
    State(bool is_initiator, ByteSpan prologue, const X25519SecretKey& static_key, const X25519SecretKey& ephemeral_key)
        : initiator(is_initiator), s(static_key.Clone()), e(ephemeral_key.Clone()) {
        const ByteSpan name = AsBytes(kProtocolName);
        std::copy(name.begin(), name.end(), h.begin());
        std::copy(name.begin(), name.end(), chaining_key.data());
        MixHash(prologue);
    }

    void MixHash(ByteSpan bytes) { h = Sha256().Write(h).Write(bytes).Finish(); }

    void MixKey(const SecretBytes<32>& shared) {
        SecretBytes<64> keys;
        HkdfSha256(shared.span(), chaining_key.span(), {}, keys.span());
        chaining_key = SecretBytes<32>(keys.span().first<32>());
        cipher.emplace(AeadKey(keys.span().last<32>()));
    }

    // Appends EncryptAndHash(plaintext) to `message`.
    void EncryptAndHash(ByteSpan plaintext, Bytes& message) {
        const size_t start = message.size();
        if (cipher) {
            message.resize(start + plaintext.size() + kAeadTagBytes);
            cipher->Encrypt(h, plaintext, MutableByteSpan(message).subspan(start));
        } else {
            message.insert(message.end(), plaintext.begin(), plaintext.end());
        }
        MixHash(ByteSpan(message).subspan(start));
    }

    // `out` has the size of the plaintext of `sealed`.
    [[nodiscard]] bool DecryptAndHash(ByteSpan sealed, MutableByteSpan out) {
        if (!cipher) {
            std::copy(sealed.begin(), sealed.end(), out.begin());
        } else if (!cipher->Decrypt(h, sealed, out)) {
            return false;
        }
        MixHash(sealed);
        return true;
    }

    void WriteEphemeral(Bytes& message) {
        const X25519PublicKey key = X25519Public(e);
        message.insert(message.end(), key.begin(), key.end());
        MixHash(key);
    }

    // Makes `ee` at once, so a key of small order ends the handshake here and our own tokens cannot fail later.
    [[nodiscard]] bool ReadEphemeral(ByteSpan& message) {
        re = X25519PublicKey::FromSpan(message.first<kKeyBytes>());
        message = message.subspan(kKeyBytes);
        MixHash(re);
        ee = X25519(e, re);
        return ee.has_value();
    }

    void WriteStatic(Bytes& message) { EncryptAndHash(X25519Public(s), message); }

    [[nodiscard]] bool ReadStatic(ByteSpan& message) {
        X25519PublicKey key;
        if (!DecryptAndHash(message.first(kSealedKeyBytes), key.bytes)) return false;
        message = message.subspan(kSealedKeyBytes);
        rs = key;
        return true;
    }

    [[nodiscard]] bool MixShared(const X25519SecretKey& secret, const X25519PublicKey& peer) {
        const auto shared = X25519(secret, peer);
        if (shared) MixKey(*shared);
        return shared.has_value();
    }
    // The initiator's ephemeral key with the responder's static one.
    [[nodiscard]] bool Es() { return initiator ? MixShared(e, *rs) : MixShared(s, re); }
    // The initiator's static key with the responder's ephemeral one.
    [[nodiscard]] bool Se() { return initiator ? MixShared(s, re) : MixShared(e, *rs); }

    bool OurTurn() const { return !failed && next < kMessages && (next % 2 == 0) == initiator; }
    bool Done() const { return !failed && next == kMessages; }

    // The tokens of the next message before its payload.
    void WriteTokens(Bytes& message) {
        switch (next) {
            case 0:
                WriteEphemeral(message);
                return;
            case 1:
                WriteEphemeral(message);
                MixKey(*ee);
                WriteStatic(message);
                CHECK(Es());
                return;
            default:
                WriteStatic(message);
                CHECK(Se());
        }
    }
    // The same of the peer's message, cut off its front; false ends the handshake.
    [[nodiscard]] bool ReadTokens(ByteSpan& message) {
        switch (next) {
            case 0:
                return ReadEphemeral(message);
            case 1:
                if (!ReadEphemeral(message)) return false;
                MixKey(*ee);
                return ReadStatic(message) && Es();
            default:
                return ReadStatic(message) && Se();
        }
    }

    bool initiator;
    bool failed{false};
    bool was_split{false};
    int next{0};  // the message that comes next: even ones are the initiator's
    X25519SecretKey s;
    X25519SecretKey e;
    X25519PublicKey re;
    std::optional<SecretBytes<32>> ee;  // set with `re`
    std::optional<X25519PublicKey> rs;
    SecretBytes<32> chaining_key;
    Hash256 h;
    std::optional<NoiseCipher> cipher;
};

NoiseHandshake::NoiseHandshake(bool initiator, ByteSpan prologue, const X25519SecretKey& static_key,
                               const X25519SecretKey& ephemeral)
    : m_state(std::make_unique<State>(initiator, prologue, static_key, ephemeral)) {}
NoiseHandshake::~NoiseHandshake() = default;
NoiseHandshake::NoiseHandshake(NoiseHandshake&&) noexcept = default;
NoiseHandshake& NoiseHandshake::operator=(NoiseHandshake&&) noexcept = default;

Bytes NoiseHandshake::Write(ByteSpan payload) {
    CHECK(OurTurn());
    const size_t size = kOverheadBytes[m_state->next] + payload.size();
    CHECK(size <= kNoiseMaxMessageBytes);
    Bytes message;
    message.reserve(size);
    m_state->WriteTokens(message);
    m_state->EncryptAndHash(payload, message);
    ++m_state->next;
    return message;
}

std::optional<Bytes> NoiseHandshake::Read(ByteSpan message) {
    State& state = *m_state;
    if (state.failed || Done() || OurTurn() || message.size() > kNoiseMaxMessageBytes ||
        message.size() < kOverheadBytes[state.next]) {
        state.failed = true;
        return std::nullopt;
    }
    Bytes payload(message.size() - kOverheadBytes[state.next]);
    if (!state.ReadTokens(message) || !state.DecryptAndHash(message, payload)) {
        state.failed = true;
        return std::nullopt;
    }
    ++state.next;
    return payload;
}

bool NoiseHandshake::Done() const { return m_state->Done(); }

bool NoiseHandshake::OurTurn() const { return m_state->OurTurn(); }

size_t NoiseHandshake::NextReadBytes(size_t payload_bytes) const {
    CHECK(m_state->next < kMessages);
    return kOverheadBytes[m_state->next] + payload_bytes;
}

const X25519PublicKey& NoiseHandshake::remote_static() const {
    CHECK(m_state->rs.has_value());
    return *m_state->rs;
}

Hash256 NoiseHandshake::handshake_hash() const {
    CHECK(Done());
    return m_state->h;
}

NoiseHandshake::Ciphers NoiseHandshake::Split() {
    CHECK(Done() && !std::exchange(m_state->was_split, true));
    SecretBytes<64> keys;
    HkdfSha256({}, m_state->chaining_key.span(), {}, keys.span());
    NoiseCipher to_responder(AeadKey(keys.span().first<32>()));
    NoiseCipher to_initiator(AeadKey(keys.span().last<32>()));
    if (m_state->initiator) return {std::move(to_responder), std::move(to_initiator)};
    return {std::move(to_initiator), std::move(to_responder)};
}

}  // namespace sluice::crypto
