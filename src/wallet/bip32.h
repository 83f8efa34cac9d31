#pragma once

#include <span>
#include <string>
#include <string_view>

#include "crypto/secp256k1.h"
#include "util/result.h"

// BIP32: keys with chain codes, and their base58check text with Bitcoin's version bytes (xprv, xpub, tprv, tpub).

namespace sluice::wallet {

inline constexpr uint32_t kHardened = 0x80000000;

struct ExtendedVersion {
    uint32_t private_key;
    uint32_t public_key;
};
inline constexpr ExtendedVersion kBitcoinMainVersion{0x0488ade4, 0x0488b21e};
inline constexpr ExtendedVersion kBitcoinTestVersion{0x04358394, 0x043587cf};

// Where a key is in its tree.
struct KeyOrigin {
    uint8_t depth{0};
    std::array<uint8_t, 4> parent_fingerprint{};
    uint32_t child{0};

    friend bool operator==(const KeyOrigin&, const KeyOrigin&) = default;
};

struct ExtendedPublicKey {
    KeyOrigin origin;
    crypto::Hash256 chain_code;
    crypto::PubKey key;

    // nullopt for hardened children, and for one child in 2^127 that has no key.
    std::optional<ExtendedPublicKey> Derive(uint32_t child) const;
    std::array<uint8_t, 4> Fingerprint() const;
    std::string Encode(const ExtendedVersion& version = kBitcoinMainVersion) const;
    static Result<ExtendedPublicKey> Decode(std::string_view text,
                                            const ExtendedVersion& version = kBitcoinMainVersion);
    friend bool operator==(const ExtendedPublicKey&, const ExtendedPublicKey&) = default;
};

// Wiped when it goes out of scope.
struct ExtendedPrivateKey {
    KeyOrigin origin;
    SecretBytes<32> chain_code;
    crypto::SecretKey key;

    // `seed` has 16 to 64 bytes.
    static Result<ExtendedPrivateKey> FromSeed(ByteSpan seed);
    std::optional<ExtendedPrivateKey> Derive(uint32_t child) const;
    std::optional<ExtendedPrivateKey> DerivePath(std::span<const uint32_t> path) const;
    ExtendedPublicKey Neuter() const;
    std::string Encode(const ExtendedVersion& version = kBitcoinMainVersion) const;
    static Result<ExtendedPrivateKey> Decode(std::string_view text,
                                             const ExtendedVersion& version = kBitcoinMainVersion);
};

std::string Base58CheckEncode(ByteSpan payload);
// nullopt for letters outside the alphabet, a wrong checksum, or text over 200 characters.
std::optional<Bytes> Base58CheckDecode(std::string_view text);

}  // namespace sluice::wallet
