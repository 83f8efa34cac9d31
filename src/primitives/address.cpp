#include "primitives/address.h"

#include "primitives/script.h"

namespace sluice {
namespace {

constexpr std::string_view kCharset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
constexpr size_t kMaxBech32Chars = 90;
constexpr size_t kMaxHrpChars = 83;
constexpr size_t kChecksumGroups = 6;
constexpr uint32_t kBech32mConstant = 0x2bc830a3;
constexpr uint8_t kMaxWitnessVersion = 16;

// The checksum's state after each of `groups` (BIP173's BCH code over GF(32)).
uint32_t Polymod(uint32_t state, const std::vector<uint8_t>& groups) {
    constexpr std::array<uint32_t, 5> kGenerator{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
    for (const uint8_t group : groups) {
        const uint32_t top = state >> 25;
        state = (state & 0x1ffffff) << 5 ^ group;
        for (size_t i = 0; i < kGenerator.size(); ++i) {
            if ((top >> i & 1) != 0) state ^= kGenerator[i];
        }
    }
    return state;
}

std::vector<uint8_t> ExpandHrp(std::string_view hrp) {
    std::vector<uint8_t> groups;
    for (const char c : hrp) groups.push_back(static_cast<uint8_t>(c) >> 5);
    groups.push_back(0);
    for (const char c : hrp) groups.push_back(static_cast<uint8_t>(c) & 31);
    return groups;
}

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }

std::vector<uint8_t> ToGroups(ByteSpan bytes) {
    std::vector<uint8_t> groups;
    uint32_t buffer = 0;
    int bits = 0;
    for (const uint8_t byte : bytes) {
        buffer = (buffer << 8 | byte) & 0xfff;
        for (bits += 8; bits >= 5; bits -= 5) groups.push_back(static_cast<uint8_t>(buffer >> (bits - 5) & 31));
    }
    if (bits > 0) groups.push_back(static_cast<uint8_t>(buffer << (5 - bits) & 31));
    return groups;
}

// nullopt if a whole group or a set bit is left over.
std::optional<Bytes> FromGroups(std::span<const uint8_t> groups) {
    Bytes bytes;
    uint32_t buffer = 0;
    int bits = 0;
    for (const uint8_t group : groups) {
        buffer = (buffer << 5 | group) & 0xfff;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            bytes.push_back(static_cast<uint8_t>(buffer >> bits & 0xff));
        }
    }
    if (bits >= 5 || (buffer & ((1U << bits) - 1)) != 0) return std::nullopt;
    return bytes;
}

std::string Expected(std::string_view hrp) {
    return "; addresses of this network begin with \"" + std::string(hrp) + "1\"";
}

}  // namespace

std::string Bech32mEncode(std::string_view hrp, const std::vector<uint8_t>& groups) {
    std::vector<uint8_t> all = groups;
    all.resize(groups.size() + kChecksumGroups);
    const uint32_t checksum = Polymod(Polymod(1, ExpandHrp(hrp)), all) ^ kBech32mConstant;
    for (size_t i = 0; i < kChecksumGroups; ++i)
        all[groups.size() + i] = static_cast<uint8_t>(checksum >> (5 * (kChecksumGroups - 1 - i)) & 31);
    std::string text(hrp);
    text += '1';
    for (const uint8_t group : all) text += kCharset[group & 31];
    return text;
}

std::optional<Bech32mDecoded> Bech32mDecode(std::string_view text) {
    if (text.size() > kMaxBech32Chars) return std::nullopt;
    if (std::any_of(text.begin(), text.end(), IsUpper) && std::any_of(text.begin(), text.end(), IsLower))
        return std::nullopt;
    const size_t separator = text.rfind('1');
    if (separator == std::string_view::npos || separator == 0 || separator > kMaxHrpChars ||
        text.size() - separator - 1 < kChecksumGroups)
        return std::nullopt;

    Bech32mDecoded decoded;
    for (const char c : text.substr(0, separator)) {
        if (c < 33 || c > 126) return std::nullopt;
        decoded.hrp += ToLower(c);
    }
    for (const char c : text.substr(separator + 1)) {
        const size_t group = kCharset.find(ToLower(c));
        if (group == std::string_view::npos) return std::nullopt;
        decoded.groups.push_back(static_cast<uint8_t>(group));
    }
    if (Polymod(Polymod(1, ExpandHrp(decoded.hrp)), decoded.groups) != kBech32mConstant) return std::nullopt;
    decoded.groups.resize(decoded.groups.size() - kChecksumGroups);
    return decoded;
}

std::string EncodeGiftAddress(const crypto::X25519PublicKey& key, std::string_view hrp) {
    return Bech32mEncode(std::string(hrp) + "gift", ToGroups(key.bytes));
}

Result<crypto::X25519PublicKey> DecodeGiftAddress(std::string_view address, std::string_view hrp) {
    const std::string prefix = std::string(hrp) + "gift";
    const std::string expected = ": a gift address of this network begins with \"" + prefix +
                                 "1\", and 'getgiftaddress' of the recipient's wallet shows it";
    const auto decoded = Bech32mDecode(address);
    if (!decoded) return Fail("the gift address is mistyped (its checksum does not fit)" + expected);
    if (decoded->hrp != prefix)
        return Fail("this is no gift address of this network (\"" + decoded->hrp + "1\")" + expected);
    const auto bytes = FromGroups(decoded->groups);
    if (!bytes || bytes->size() != crypto::X25519PublicKey::kSize)
        return Fail("the gift address does not hold a key of 32 bytes" + expected);
    return *crypto::X25519PublicKey::FromBytes(*bytes);
}

std::string EncodeAddress(const Script& script, std::string_view hrp) {
    const auto output = ParseOutputScript(script);
    if (!output || output->kind == OutputKind::kRecord) return {};
    const auto program = ParseWitnessProgram(script);
    std::vector<uint8_t> groups = ToGroups(program->program);
    groups.insert(groups.begin(), static_cast<uint8_t>(program->version));
    return Bech32mEncode(hrp, groups);
}

Result<Script> DecodeAddress(std::string_view address, std::string_view hrp) {
    const auto decoded = Bech32mDecode(address);
    if (!decoded)
        return Fail("the address is mistyped or of another kind (its bech32m checksum does not fit)" + Expected(hrp));
    if (decoded->hrp != hrp)
        return Fail("the address is of another network (\"" + decoded->hrp + "1\")" + Expected(hrp));
    if (decoded->groups.empty() || decoded->groups[0] > kMaxWitnessVersion)
        return Fail("the address has no witness version from 0 to 16: ask its owner for a taproot address");
    const auto program = FromGroups(std::span(decoded->groups).subspan(1));
    if (!program) return Fail("the address has surplus bits at its end: ask its owner for the address again");

    const uint8_t version = decoded->groups[0];
    if (version == 1 && program->size() == XOnlyPubKey::kSize) return TaprootScript(*XOnlyPubKey::FromBytes(*program));
    if (version == 14 && program->size() == XOnlyPubKey::kSize + StakerId::kSize) {
        const ByteSpan bytes = *program;
        return StakeScript(*XOnlyPubKey::FromBytes(bytes.first(XOnlyPubKey::kSize)),
                           *StakerId::FromBytes(bytes.last(StakerId::kSize)));
    }
    return Fail("the address is for witness version " + std::to_string(version) + " with " +
                std::to_string(program->size()) +
                " bytes: this chain has version 1 with 32 (taproot) and version 14 with 40 (stake)");
}

}  // namespace sluice
