#include "crypto/aead.h"

#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "crypto/hash.h"
#include "util/check.h"

namespace sluice::crypto {
namespace {

EVP_CIPHER_CTX* Context(void* context) { return static_cast<EVP_CIPHER_CTX*>(context); }

// Sets the direction and nonce and feeds the additional data; the key stays as it was set up.
void Begin(EVP_CIPHER_CTX* context, bool seal, const AeadNonce& nonce, ByteSpan additional) {
    CHECK(EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), seal ? 1 : 0) == 1);
    int written = 0;
    if (additional.empty()) return;
    CHECK(EVP_CipherUpdate(context, nullptr, &written, additional.data(), static_cast<int>(additional.size())) == 1);
}

// libcrypto's fastest Poly1305 works on 8 blocks of 16 bytes at once, and only on pieces that are multiples of them;
// pieces that fit in the first-level cache are read there a second time, by the cipher or by Poly1305.
constexpr size_t kStrideBytes = 128;
constexpr size_t kPieceBytes = 16 << 10;
constexpr size_t kCipherBlockBytes = 64;

// Encrypts or decrypts `in`, which continues a message of which `done` bytes are done, in such pieces.
bool Update(EVP_CIPHER_CTX* context, size_t done, ByteSpan in, uint8_t* out) {
    while (!in.empty()) {
        const size_t to_block = (kCipherBlockBytes - done % kCipherBlockBytes) % kCipherBlockBytes;
        size_t size = in.size();
        if (size >= 2 * kStrideBytes)
            size = to_block != 0 ? to_block : std::min(size / kStrideBytes * kStrideBytes, kPieceBytes);
        int written = 0;
        if (EVP_CipherUpdate(context, out, &written, in.data(), static_cast<int>(size)) != 1) return false;
        in = in.subspan(size);
        out += size;
        done += size;
    }
    return true;
}

// Once per process: without it libsodium runs its portable code.
void ChooseSodiumImplementations() {
    static const int result = sodium_init();
    CHECK(result >= 0);
}

// The key of a sealed box: bound to both public keys, so a box re-addressed or re-keyed does not open.
AeadKey BoxKey(const SecretBytes<32>& shared, const X25519PublicKey& ephemeral, const X25519PublicKey& to) {
    std::array<uint8_t, 64> salt;
    std::copy(ephemeral.begin(), ephemeral.end(), salt.begin());
    std::copy(to.begin(), to.end(), salt.begin() + 32);
    AeadKey key;
    HkdfSha256(shared.span(), salt, AsBytes("Sluice/sealed-box"), key.span());
    return key;
}

}  // namespace

AeadNonce CounterNonce(uint64_t counter) {
    AeadNonce nonce{};
    for (size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<uint8_t>(counter >> (8 * i));
    return nonce;
}

Aead::Aead(const AeadKey& key) : m_context(EVP_CIPHER_CTX_new()) {
    static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
    CHECK(m_context != nullptr && cipher != nullptr);
    CHECK(EVP_CipherInit_ex(Context(m_context), cipher, nullptr, key.data(), nullptr, 1) == 1);
}

Aead::~Aead() { EVP_CIPHER_CTX_free(Context(m_context)); }

Aead::Aead(Aead&& other) noexcept : m_context(std::exchange(other.m_context, nullptr)) {}

Aead& Aead::operator=(Aead&& other) noexcept {
    std::swap(m_context, other.m_context);
    return *this;
}

void Aead::Seal(const AeadNonce& nonce, ByteSpan additional, ByteSpan plaintext, MutableByteSpan out) {
    SealParts(nonce, additional, {&plaintext, 1}, out);
}

void Aead::SealParts(const AeadNonce& nonce, ByteSpan additional, std::span<const ByteSpan> plaintext,
                     MutableByteSpan out) {
    CHECK(out.size() >= kAeadTagBytes && out.size() <= INT_MAX && additional.size() <= INT_MAX);
    EVP_CIPHER_CTX* context = Context(m_context);
    Begin(context, true, nonce, additional);
    int written = 0;
    size_t done = 0;
    for (const ByteSpan part : plaintext) {
        CHECK(part.size() <= out.size() - kAeadTagBytes - done);
        CHECK(Update(context, done, part, out.data() + done));
        done += part.size();
    }
    CHECK(out.size() == done + kAeadTagBytes);
    uint8_t* const tag = out.data() + done;
    CHECK(EVP_CipherFinal_ex(context, tag, &written) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, tag) == 1);
}

bool Aead::Open(const AeadNonce& nonce, ByteSpan additional, ByteSpan sealed, MutableByteSpan out) {
    if (sealed.size() < kAeadTagBytes || sealed.size() > INT_MAX || additional.size() > INT_MAX) {
        std::fill(out.begin(), out.end(), uint8_t{0});
        return false;
    }
    const ByteSpan ciphertext = sealed.first(sealed.size() - kAeadTagBytes);
    CHECK(out.size() == ciphertext.size());
    EVP_CIPHER_CTX* context = Context(m_context);
    Begin(context, false, nonce, additional);
    std::array<uint8_t, kAeadTagBytes> tag;
    std::copy_n(sealed.end() - kAeadTagBytes, kAeadTagBytes, tag.begin());
    CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes, tag.data()) == 1);
    int written = 0;
    bool fits = Update(context, 0, ciphertext, out.data());
    uint8_t end = 0;
    fits = EVP_CipherFinal_ex(context, &end, &written) == 1 && fits;
    if (!fits) std::fill(out.begin(), out.end(), uint8_t{0});
    return fits;
}

X25519PublicKey X25519Public(const X25519SecretKey& secret) {
    ChooseSodiumImplementations();
    X25519PublicKey result;
    CHECK(crypto_scalarmult_curve25519_base(result.data(), secret.data()) == 0);
    return result;
}

std::optional<SecretBytes<32>> X25519(const X25519SecretKey& secret, const X25519PublicKey& peer) {
    ChooseSodiumImplementations();
    SecretBytes<32> shared;
    if (crypto_scalarmult_curve25519(shared.data(), secret.data(), peer.data()) != 0) return std::nullopt;
    return shared;
}

Bytes SealBox(const X25519PublicKey& to, ByteSpan plaintext, const X25519SecretKey& ephemeral) {
    const X25519PublicKey ephemeral_public = X25519Public(ephemeral);
    auto shared = X25519(ephemeral, to);
    // Nobody holds the secret of a key of small order, so nobody shall open its box.
    if (!shared) shared = ephemeral.Clone();
    Bytes box(kSealedBoxOverheadBytes + plaintext.size());
    std::copy(ephemeral_public.begin(), ephemeral_public.end(), box.begin());
    Aead(BoxKey(*shared, ephemeral_public, to)).Seal(CounterNonce(0), {}, plaintext, MutableByteSpan(box).subspan(32));
    return box;
}

std::optional<Bytes> OpenBox(const X25519SecretKey& secret, ByteSpan box) {
    if (box.size() < kSealedBoxOverheadBytes) return std::nullopt;
    const auto ephemeral_public = X25519PublicKey::FromSpan(box.first<32>());
    const auto shared = X25519(secret, ephemeral_public);
    if (!shared) return std::nullopt;
    Bytes plaintext(box.size() - kSealedBoxOverheadBytes);
    Aead aead(BoxKey(*shared, ephemeral_public, X25519Public(secret)));
    if (!aead.Open(CounterNonce(0), {}, box.subspan(32), plaintext)) return std::nullopt;
    return plaintext;
}

}  // namespace sluice::crypto
