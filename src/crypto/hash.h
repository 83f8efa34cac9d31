#pragma once

#include <string_view>

#include "util/bytes.h"

namespace sluice::crypto {

// A SHA-256 output of no particular kind.
using Hash256 = FixedBytes<32, struct Hash256Tag>;
using Sha512Hash = FixedBytes<64, struct Sha512Tag>;

// Streaming SHA-256 (FIPS 180-4) on the CPU's SHA instructions where there are any. Copyable: a copy continues from
// the same state, so a common prefix is hashed once.
class Sha256 {
  public:
    Sha256();
    Sha256& Write(ByteSpan bytes);
    // The hash of all that was written; the object may not be written to afterwards.
    Hash256 Finish();

  private:
    alignas(8) std::array<uint8_t, 112> m_state;  // the library's SHA256_CTX, kept out of this header
};

Hash256 Sha256Of(ByteSpan bytes);
// out[i] = SHA-256 of messages[i]; `out` is as long as `messages`. Messages of equal length that follow each other are
// hashed side by side, which on CPUs with SHA or AVX-512 instructions is 1.6 to 3 times as fast as one by one.
void Sha256Many(std::span<const ByteSpan> messages, std::span<Hash256> out);
// SHA-256 of two concatenated hashes: an inner node of a Merkle tree.
Hash256 Sha256Pair(const Hash256& left, const Hash256& right);
// SHA-256 twice, Bitcoin's transaction hash.
Hash256 Sha256d(ByteSpan bytes);
FixedBytes<20, struct Ripemd160Tag> Ripemd160(ByteSpan bytes);
FixedBytes<20, struct Sha1Tag> Sha1(ByteSpan bytes);
Sha512Hash Sha512Of(ByteSpan bytes);
Sha512Hash Sha512Of(ByteSpan first, ByteSpan second, ByteSpan third = {});

// BIP340 tagged hash: SHA256(SHA256(tag) || SHA256(tag) || ...). The object returned has the tag written already;
// keep one per tag and copy it where it is used often.
Sha256 TaggedHasher(std::string_view tag);
Hash256 TaggedHash(std::string_view tag, ByteSpan bytes);

Hash256 HmacSha256(ByteSpan key, ByteSpan message);
Sha512Hash HmacSha512(ByteSpan key, ByteSpan message);
// PBKDF2-HMAC-SHA512, 64 bytes out (BIP39).
void Pbkdf2HmacSha512(ByteSpan password, ByteSpan salt, uint32_t iterations, std::span<uint8_t, 64> out);
// HKDF-SHA256 (RFC 5869): extract with `salt`, expand with `info` to `out` (at most 255 * 32 bytes).
void HkdfSha256(ByteSpan key, ByteSpan salt, ByteSpan info, MutableByteSpan out);

// SipHash-2-4 of `bytes` under the 128-bit key (k0, k1).
uint64_t SipHash24(uint64_t k0, uint64_t k1, ByteSpan bytes);

// True if both hold the same bytes; takes the same time wherever they differ.
bool ConstantTimeEqual(ByteSpan a, ByteSpan b);

}  // namespace sluice::crypto
