#include "wallet/bip32.h"

#include "util/serialize.h"

namespace sluice::wallet {
namespace {

using crypto::Hash256;
using crypto::PubKey;
using crypto::SecretKey;

constexpr std::string_view kAlphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
constexpr size_t kChecksumBytes = 4;
constexpr size_t kMaxBase58Chars = 200;
constexpr size_t kExtendedKeyBytes = 4 + 1 + 4 + 4 + 32 + 33;

void WriteBigEndian(Bytes& out, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(value >> shift));
}
uint32_t ReadBigEndian(ByteSpan bytes) {
    return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

std::array<uint8_t, 4> FingerprintOf(const PubKey& key) {
    const auto hash = crypto::Ripemd160(crypto::Sha256Of(key.bytes).bytes);
    return {hash[0], hash[1], hash[2], hash[3]};
}

// The two halves of BIP32's HMAC, the left one as a scalar to add.
struct ChildData {
    SecretBytes<32> tweak;
    SecretBytes<32> chain_code;
    Hash256 Tweak() const { return Hash256::FromSpan(tweak.span()); }
};

ChildData Hmac(ByteSpan key, ByteSpan data) {
    crypto::Sha512Hash hash = crypto::HmacSha512(key, data);
    const std::span<const uint8_t, 64> halves(hash.bytes);
    ChildData child{SecretBytes<32>(halves.first<32>()), SecretBytes<32>(halves.last<32>())};
    WipeMemory(hash.data(), hash.size());
    return child;
}

std::string EncodeExtended(uint32_t version, const KeyOrigin& origin, ByteSpan chain_code, ByteSpan key) {
    Bytes payload;
    payload.reserve(kExtendedKeyBytes);
    WriteBigEndian(payload, version);
    payload.push_back(origin.depth);
    payload.insert(payload.end(), origin.parent_fingerprint.begin(), origin.parent_fingerprint.end());
    WriteBigEndian(payload, origin.child);
    payload.insert(payload.end(), chain_code.begin(), chain_code.end());
    payload.insert(payload.end(), PubKey::kSize - key.size(), 0);
    payload.insert(payload.end(), key.begin(), key.end());
    std::string text = Base58CheckEncode(payload);
    WipeMemory(payload.data(), payload.size());
    return text;
}

struct DecodedExtended {
    KeyOrigin origin;
    SecretBytes<32> chain_code;
    SecretBytes<33> key;
};

Result<DecodedExtended> DecodeExtended(std::string_view text, uint32_t version) {
    auto payload = Base58CheckDecode(text);
    if (!payload) return Fail("the extended key is not base58 with a checksum that fits");
    if (payload->size() != kExtendedKeyBytes) return Fail("the extended key does not have 78 bytes");
    const ByteSpan bytes(*payload);
    if (ReadBigEndian(bytes) != version) return Fail("the extended key is of another kind or network");
    DecodedExtended decoded;
    decoded.origin.depth = bytes[4];
    std::copy_n(bytes.begin() + 5, 4, decoded.origin.parent_fingerprint.begin());
    decoded.origin.child = ReadBigEndian(bytes.subspan(9));
    std::copy_n(bytes.begin() + 13, 32, decoded.chain_code.data());
    std::copy_n(bytes.begin() + 45, 33, decoded.key.data());
    WipeMemory(payload->data(), payload->size());
    if (decoded.origin.depth == 0 && decoded.origin != KeyOrigin{})
        return Fail("the extended key has depth 0 and a parent or a child number");
    return decoded;
}

}  // namespace

std::string Base58CheckEncode(ByteSpan payload) {
    Bytes data = ToBytes(payload);
    const auto checksum = crypto::Sha256d(payload);
    data.insert(data.end(), checksum.begin(), checksum.begin() + kChecksumBytes);
    std::vector<uint8_t> digits;  // base 58, least first
    size_t zeros = 0;
    while (zeros < data.size() && data[zeros] == 0) ++zeros;
    for (const uint8_t byte : data) {
        uint32_t carry = byte;
        for (uint8_t& digit : digits) {
            carry += uint32_t{digit} << 8;
            digit = static_cast<uint8_t>(carry % 58);
            carry /= 58;
        }
        for (; carry > 0; carry /= 58) digits.push_back(static_cast<uint8_t>(carry % 58));
    }
    std::string text(zeros, kAlphabet[0]);
    for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) text.push_back(kAlphabet[*digit]);
    WipeMemory(data.data(), data.size());
    WipeMemory(digits.data(), digits.size());
    return text;
}

std::optional<Bytes> Base58CheckDecode(std::string_view text) {
    if (text.size() > kMaxBase58Chars) return std::nullopt;
    Bytes bytes;  // least first
    size_t zeros = 0;
    while (zeros < text.size() && text[zeros] == kAlphabet[0]) ++zeros;
    for (const char c : text) {
        const size_t digit = kAlphabet.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        uint32_t carry = static_cast<uint32_t>(digit);
        for (uint8_t& byte : bytes) {
            carry += uint32_t{byte} * 58;
            byte = static_cast<uint8_t>(carry);
            carry >>= 8;
        }
        for (; carry > 0; carry >>= 8) bytes.push_back(static_cast<uint8_t>(carry));
    }
    bytes.insert(bytes.end(), zeros, 0);
    std::reverse(bytes.begin(), bytes.end());
    if (bytes.size() < kChecksumBytes) return std::nullopt;
    const ByteSpan payload = ByteSpan(bytes).first(bytes.size() - kChecksumBytes);
    const auto checksum = crypto::Sha256d(payload);
    if (!std::equal(bytes.end() - kChecksumBytes, bytes.end(), checksum.begin())) return std::nullopt;
    bytes.resize(payload.size());
    return bytes;
}

std::optional<ExtendedPublicKey> ExtendedPublicKey::Derive(uint32_t child) const {
    if (child >= kHardened || origin.depth == 255) return std::nullopt;
    Bytes data = ToBytes(key.bytes);
    WriteBigEndian(data, child);
    const ChildData derived = Hmac(chain_code.bytes, data);
    const auto child_key = crypto::TweakAdd(key, derived.Tweak());
    if (!child_key) return std::nullopt;
    return ExtendedPublicKey{{static_cast<uint8_t>(origin.depth + 1), Fingerprint(), child},
                             Hash256::FromSpan(derived.chain_code.span()),
                             *child_key};
}

std::array<uint8_t, 4> ExtendedPublicKey::Fingerprint() const { return FingerprintOf(key); }

std::string ExtendedPublicKey::Encode(const ExtendedVersion& version) const {
    return EncodeExtended(version.public_key, origin, chain_code.bytes, key.bytes);
}

Result<ExtendedPublicKey> ExtendedPublicKey::Decode(std::string_view text, const ExtendedVersion& version) {
    ASSIGN_OR_RETURN(const DecodedExtended decoded, DecodeExtended(text, version.public_key));
    const auto key = PubKey::FromSpan(decoded.key.span());
    if (!crypto::IsValidPubKey(key)) return Fail("the extended public key is not a point of the curve");
    return ExtendedPublicKey{decoded.origin, Hash256::FromSpan(decoded.chain_code.span()), key};
}

Result<ExtendedPrivateKey> ExtendedPrivateKey::FromSeed(ByteSpan seed) {
    if (seed.size() < 16 || seed.size() > 64) return Fail("a seed has 16 to 64 bytes");
    ChildData master = Hmac(AsBytes("Bitcoin seed"), seed);
    auto key = SecretKey::FromBytes(master.tweak.span());
    if (!key) return Fail("the seed gives no key: take another one");
    return ExtendedPrivateKey{{}, std::move(master.chain_code), std::move(*key)};
}

std::optional<ExtendedPrivateKey> ExtendedPrivateKey::Derive(uint32_t child) const {
    if (origin.depth == 255) return std::nullopt;
    const PubKey public_key = key.Public();
    Bytes data;
    data.reserve(PubKey::kSize + 4);
    if (child >= kHardened) {
        data.push_back(0);
        data.insert(data.end(), key.bytes().begin(), key.bytes().end());
    } else {
        data = ToBytes(public_key.bytes);
    }
    WriteBigEndian(data, child);
    ChildData derived = Hmac(chain_code.span(), data);
    WipeMemory(data.data(), data.size());
    auto child_key = key.TweakAdd(derived.Tweak());
    if (!child_key) return std::nullopt;
    return ExtendedPrivateKey{{static_cast<uint8_t>(origin.depth + 1), FingerprintOf(public_key), child},
                              std::move(derived.chain_code),
                              std::move(*child_key)};
}

std::optional<ExtendedPrivateKey> ExtendedPrivateKey::DerivePath(std::span<const uint32_t> path) const {
    ExtendedPrivateKey current{origin, chain_code.Clone(), key.Clone()};
    for (const uint32_t child : path) {
        auto next = current.Derive(child);
        if (!next) return std::nullopt;
        current = std::move(*next);
    }
    return current;
}

ExtendedPublicKey ExtendedPrivateKey::Neuter() const {
    return {origin, Hash256::FromSpan(chain_code.span()), key.Public()};
}

std::string ExtendedPrivateKey::Encode(const ExtendedVersion& version) const {
    return EncodeExtended(version.private_key, origin, chain_code.span(), key.bytes());
}

Result<ExtendedPrivateKey> ExtendedPrivateKey::Decode(std::string_view text, const ExtendedVersion& version) {
    ASSIGN_OR_RETURN(DecodedExtended decoded, DecodeExtended(text, version.private_key));
    if (decoded.key.data()[0] != 0) return Fail("the extended private key does not start with a zero byte");
    auto key = SecretKey::FromBytes(decoded.key.span().subspan(1));
    if (!key) return Fail("the extended private key is zero or not below the group order");
    return ExtendedPrivateKey{decoded.origin, std::move(decoded.chain_code), std::move(*key)};
}

}  // namespace sluice::wallet
