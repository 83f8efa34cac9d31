#pragma once

#include <string>
#include <string_view>

#include "crypto/aead.h"
#include "primitives/transaction.h"
#include "util/result.h"

// Addresses: bech32m (BIP350) of the witness version and program, with the network's human-readable part
// ("slu" main, "tslu" test, "rslu" regtest; a custom network takes its own from its genesis).

namespace sluice {

// The address of a taproot or stake output script; empty for a script without one.
std::string EncodeAddress(const Script& script, std::string_view hrp);
// The script that pays `address`. Errors tell a wrong network from a typing mistake, and name the network's prefix.
Result<Script> DecodeAddress(std::string_view address, std::string_view hrp);

// Where keys of content are given to: bech32m of an X25519 key, with the network's human-readable part and "gift"
// ("slugift1…" on main). It is no address of money, and DecodeAddress refuses it.
std::string EncodeGiftAddress(const crypto::X25519PublicKey& key, std::string_view hrp);
Result<crypto::X25519PublicKey> DecodeGiftAddress(std::string_view address, std::string_view hrp);

// Bech32m as such (BIP350), for 5-bit groups.
std::string Bech32mEncode(std::string_view hrp, const std::vector<uint8_t>& groups);
struct Bech32mDecoded {
    std::string hrp;
    std::vector<uint8_t> groups;
};
std::optional<Bech32mDecoded> Bech32mDecode(std::string_view text);

}  // namespace sluice
