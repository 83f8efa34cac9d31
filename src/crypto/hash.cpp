// The low-level digest calls use the CPU's SHA instructions and, unlike EVP, cost no allocation or look-up per hash:
// most of ours are over 64 bytes or less.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hash.h"

#include <openssl/crypto.h>
#include <openssl/ripemd.h>
#include <openssl/sha.h>

#include <bit>
#include <new>

#include "util/check.h"
#include "util/wipe.h"

namespace sluice::crypto {
namespace {

static_assert(sizeof(SHA256_CTX) == 112 && alignof(SHA256_CTX) <= 8);
static_assert(std::is_trivially_copyable_v<SHA256_CTX>);

SHA256_CTX* State(std::array<uint8_t, 112>& bytes) { return std::launder(reinterpret_cast<SHA256_CTX*>(bytes.data())); }

// The two calls that HMAC needs of SHA-512, in the shape of Sha256.
class Sha512 {
  public:
    Sha512() { SHA512_Init(&m_state); }
    Sha512& Write(ByteSpan bytes) {
        SHA512_Update(&m_state, bytes.data(), bytes.size());
        return *this;
    }
    Sha512Hash Finish() {
        Sha512Hash result;
        SHA512_Final(result.data(), &m_state);
        return result;
    }

  private:
    SHA512_CTX m_state;
};

// HMAC (RFC 2104) over a hash with blocks of kBlockBytes.
template <class Hasher, size_t kBlockBytes>
class Hmac {
  public:
    explicit Hmac(ByteSpan key) {
        std::array<uint8_t, kBlockBytes> block{};
        if (key.size() > kBlockBytes) {
            auto hashed = Hasher().Write(key).Finish();
            std::copy(hashed.begin(), hashed.end(), block.begin());
            WipeMemory(hashed.data(), hashed.size());
        } else {
            std::copy(key.begin(), key.end(), block.begin());
        }
        for (uint8_t& byte : block) byte ^= 0x36;
        m_inner.Write(block);
        for (uint8_t& byte : block) byte ^= 0x36 ^ 0x5c;
        m_outer.Write(block);
        WipeMemory(block.data(), block.size());
    }
    ~Hmac() {
        WipeMemory(&m_inner, sizeof(m_inner));
        WipeMemory(&m_outer, sizeof(m_outer));
    }
    Hmac(const Hmac&) = default;

    Hmac& Write(ByteSpan bytes) {
        m_inner.Write(bytes);
        return *this;
    }
    auto Finish() { return m_outer.Write(m_inner.Finish()).Finish(); }

  private:
    Hasher m_inner;
    Hasher m_outer;
};

using Hmac256 = Hmac<Sha256, 64>;
using Hmac512 = Hmac<Sha512, 128>;

}  // namespace

Sha256::Sha256() {
    auto* state = new (m_state.data()) SHA256_CTX;
    SHA256_Init(state);
}

Sha256& Sha256::Write(ByteSpan bytes) {
    SHA256_Update(State(m_state), bytes.data(), bytes.size());
    return *this;
}

Hash256 Sha256::Finish() {
    Hash256 result;
    SHA256_Final(result.data(), State(m_state));
    return result;
}

Hash256 Sha256Of(ByteSpan bytes) { return Sha256().Write(bytes).Finish(); }

Hash256 Sha256Pair(const Hash256& left, const Hash256& right) { return Sha256().Write(left).Write(right).Finish(); }

Hash256 Sha256d(ByteSpan bytes) { return Sha256Of(Sha256Of(bytes)); }

FixedBytes<20, struct Ripemd160Tag> Ripemd160(ByteSpan bytes) {
    FixedBytes<20, struct Ripemd160Tag> result;
    RIPEMD160_CTX state;
    RIPEMD160_Init(&state);
    RIPEMD160_Update(&state, bytes.data(), bytes.size());
    RIPEMD160_Final(result.data(), &state);
    return result;
}

FixedBytes<20, struct Sha1Tag> Sha1(ByteSpan bytes) {
    FixedBytes<20, struct Sha1Tag> result;
    SHA_CTX state;
    SHA1_Init(&state);
    SHA1_Update(&state, bytes.data(), bytes.size());
    SHA1_Final(result.data(), &state);
    return result;
}

Sha512Hash Sha512Of(ByteSpan bytes) { return Sha512().Write(bytes).Finish(); }

Sha512Hash Sha512Of(ByteSpan first, ByteSpan second, ByteSpan third) {
    return Sha512().Write(first).Write(second).Write(third).Finish();
}

Sha256 TaggedHasher(std::string_view tag) {
    const Hash256 tag_hash = Sha256Of(AsBytes(tag));
    Sha256 hasher;
    hasher.Write(tag_hash).Write(tag_hash);
    return hasher;
}

Hash256 TaggedHash(std::string_view tag, ByteSpan bytes) { return TaggedHasher(tag).Write(bytes).Finish(); }

Hash256 HmacSha256(ByteSpan key, ByteSpan message) { return Hmac256(key).Write(message).Finish(); }

Sha512Hash HmacSha512(ByteSpan key, ByteSpan message) { return Hmac512(key).Write(message).Finish(); }

void Pbkdf2HmacSha512(ByteSpan password, ByteSpan salt, uint32_t iterations, std::span<uint8_t, 64> out) {
    // One output block, so U_1 = HMAC(password, salt || 1) and the result is U_1 ^ U_2 ^ ... (RFC 8018, 5.2).
    CHECK(iterations >= 1);
    const Hmac512 keyed(password);
    constexpr std::array<uint8_t, 4> kFirstBlock{0, 0, 0, 1};
    Sha512Hash u = Hmac512(keyed).Write(salt).Write(kFirstBlock).Finish();
    std::copy(u.begin(), u.end(), out.begin());
    for (uint32_t i = 1; i < iterations; ++i) {
        u = Hmac512(keyed).Write(u).Finish();
        for (size_t j = 0; j < out.size(); ++j) out[j] ^= u[j];
    }
    WipeMemory(u.data(), u.size());
}

void HkdfSha256(ByteSpan key, ByteSpan salt, ByteSpan info, MutableByteSpan out) {
    CHECK(out.size() <= 255 * Hash256::kSize);
    Hash256 extracted = HmacSha256(salt, key);
    const Hmac256 keyed(extracted);
    WipeMemory(extracted.data(), extracted.size());
    Hash256 block;
    size_t done = 0;
    for (uint8_t number = 1; done < out.size(); ++number) {
        Hmac256 hmac(keyed);
        if (number > 1) hmac.Write(block);
        block = hmac.Write(info).Write({&number, 1}).Finish();
        const size_t size = std::min(out.size() - done, block.size());
        std::copy_n(block.begin(), size, out.begin() + done);
        done += size;
    }
    WipeMemory(block.data(), block.size());
}

uint64_t SipHash24(uint64_t k0, uint64_t k1, ByteSpan bytes) {
    uint64_t v0 = k0 ^ 0x736f6d6570736575, v1 = k1 ^ 0x646f72616e646f6d;
    uint64_t v2 = k0 ^ 0x6c7967656e657261, v3 = k1 ^ 0x7465646279746573;
    const auto rounds = [&](int count) {
        for (int i = 0; i < count; ++i) {
            v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
            v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
        }
    };
    const auto absorb = [&](uint64_t word) {
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    };
    // Words are little-endian; the last one holds the bytes left over and the length modulo 256 on top.
    const auto word_of = [](ByteSpan part) {
        uint64_t word = 0;
        for (size_t i = 0; i < part.size(); ++i) word |= uint64_t{part[i]} << (8 * i);
        return word;
    };
    const uint64_t length_byte = uint64_t{bytes.size() & 0xff} << 56;
    for (; bytes.size() >= 8; bytes = bytes.subspan(8)) absorb(word_of(bytes.first(8)));
    absorb(word_of(bytes) | length_byte);
    v2 ^= 0xff;
    rounds(4);
    return v0 ^ v1 ^ v2 ^ v3;
}

bool ConstantTimeEqual(ByteSpan a, ByteSpan b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace sluice::crypto
