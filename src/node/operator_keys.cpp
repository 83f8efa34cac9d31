#include "node/operator_keys.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace sluice::node {
namespace {

// Bytes that held a secret, wiped at the end. Never grows: a vector that moves leaves its old storage behind.
class SecretText {
  public:
    explicit SecretText(Bytes bytes) : m_bytes(std::move(bytes)) {}
    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;
    ~SecretText() { WipeMemory(m_bytes.data(), m_bytes.capacity()); }

    std::string_view view() const { return {reinterpret_cast<const char*>(m_bytes.data()), m_bytes.size()}; }
    void Append(std::string_view text) {
        CHECK(m_bytes.size() + text.size() <= m_bytes.capacity());
        m_bytes.insert(m_bytes.end(), text.begin(), text.end());
    }
    void AppendHex(ByteSpan bytes) {
        constexpr std::string_view kDigits = "0123456789abcdef";
        for (const uint8_t byte : bytes) {
            Append(kDigits.substr(byte >> 4, 1));
            Append(kDigits.substr(byte & 15, 1));
        }
    }

  private:
    Bytes m_bytes;
};

std::optional<uint8_t> HexDigit(char c) {
    if (c >= '0' && c <= '9') return static_cast<uint8_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<uint8_t>(c - 'a' + 10);
    return std::nullopt;
}

// Lowercase hex into a place that its owner wipes.
bool ReadHex(std::string_view hex, MutableByteSpan into) {
    if (hex.size() != 2 * into.size()) return false;
    for (size_t i = 0; i < into.size(); ++i) {
        const auto high = HexDigit(hex[2 * i]);
        const auto low = HexDigit(hex[2 * i + 1]);
        if (!high || !low) return false;
        into[i] = static_cast<uint8_t>(*high << 4 | *low);
    }
    return true;
}

// The tokens that a key file is made of, as views of the text: nothing is copied.
class Scanner {
  public:
    explicit Scanner(std::string_view text) : m_text(text) {}

    bool Take(std::string_view token) {
        SkipBlanks();
        if (!m_text.starts_with(token)) return false;
        m_text.remove_prefix(token.size());
        return true;
    }
    // A string without escapes.
    std::optional<std::string_view> String() {
        if (!Take("\"")) return std::nullopt;
        const size_t end = m_text.find_first_of("\"\\\n");
        if (end == std::string_view::npos || m_text[end] != '"') return std::nullopt;
        const std::string_view value = m_text.substr(0, end);
        m_text.remove_prefix(end + 1);
        return value;
    }
    bool AtEnd() {
        SkipBlanks();
        return m_text.empty();
    }

  private:
    void SkipBlanks() {
        const size_t first = m_text.find_first_not_of(" \t\r\n");
        m_text.remove_prefix(first == std::string_view::npos ? m_text.size() : first);
    }
    std::string_view m_text;
};

constexpr std::array<std::string_view, 4> kFields{"version", "staker", "vrf_secret", "signing_secret"};

// The fields in the order of kFields; staker and secrets without their quotes, a null staker empty.
Result<std::array<std::string_view, 4>> ReadFields(std::string_view text, const std::string& path) {
    std::array<std::string_view, 4> values;
    std::array<bool, 4> seen{};
    Scanner scanner(text);
    const auto damaged = [&] {
        return Fail(path + " is not a file of operator keys: make one with sluice-util staker-keys");
    };
    if (!scanner.Take("{")) return damaged();
    do {
        const auto name = scanner.String();
        if (!name || !scanner.Take(":")) return damaged();
        const auto field = std::find(kFields.begin(), kFields.end(), *name);
        if (field == kFields.end()) return Fail(path + " has a field that operator keys do not have: restore it");
        const size_t index = static_cast<size_t>(field - kFields.begin());
        if (std::exchange(seen[index], true)) return Fail(fmt::format("{} has the field {} twice", path, *field));
        if (*field == "version") {
            if (!scanner.Take("1")) return Fail(path + " has a version that this program does not know: it reads 1");
        } else if (*field != "staker" || !scanner.Take("null")) {
            const auto value = scanner.String();
            if (!value || value->empty()) return damaged();
            values[index] = *value;
        }
    } while (scanner.Take(","));
    if (!scanner.Take("}") || !scanner.AtEnd()) return damaged();
    for (size_t i = 0; i < kFields.size(); ++i)
        if (!seen[i]) return Fail(fmt::format("{} has no field {}: restore it from a backup", path, kFields[i]));
    return values;
}

Result<OperatorKeyFile> ParseOperatorKeys(std::string_view text, const std::string& path) {
    ASSIGN_OR_RETURN(const auto fields, ReadFields(text, path));
    std::optional<StakerId> staker;
    if (!fields[1].empty()) {
        staker.emplace();
        if (!ReadHex(fields[1], staker->bytes))
            return Fail(path + ": staker must be null or 16 lowercase hexadecimal digits");
    }
    crypto::VrfSecretKey vrf;
    if (!ReadHex(fields[2], vrf.span())) return Fail(path + ": vrf_secret must be 64 lowercase hexadecimal digits");
    SecretBytes<32> scalar;
    if (!ReadHex(fields[3], scalar.span()))
        return Fail(path + ": signing_secret must be 64 lowercase hexadecimal digits");
    auto signing = crypto::SecretKey::FromBytes(scalar.span());
    if (!signing) return Fail(path + ": signing_secret is zero or not below the order of secp256k1");
    return OperatorKeyFile{staker, std::move(vrf), std::move(*signing)};
}

}  // namespace

OperatorKeyFile MakeOperatorKeys(RandomSource& random) {
    crypto::VrfSecretKey vrf;
    random.Fill(vrf.span());
    for (;;) {
        SecretBytes<32> scalar;
        random.Fill(scalar.span());
        if (auto signing = crypto::SecretKey::FromBytes(scalar.span()))
            return {std::nullopt, std::move(vrf), std::move(*signing)};
    }
}

Result<bool> PosixFileIsPrivate(const std::string& path) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0)
        return Fail(errno == ENOENT ? ErrorKind::kNotFound : ErrorKind::kEnvironment,
                    "cannot read " + path + ": " + std::strerror(errno));
    return (info.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

Result<OperatorKeyFile> ReadOperatorKeys(storage::FileSystem& files, const std::string& path,
                                         const IsPrivateFile& is_private) {
    ASSIGN_OR_RETURN(const bool hidden, is_private(path));
    if (!hidden)
        return Fail(ErrorKind::kEnvironment, path + " holds secret keys, but other users can open it: chmod 600 " +
                                                 path + ", and rotate the keys if anybody may have");
    ASSIGN_OR_RETURN(Bytes bytes, storage::ReadWholeFile(files, path, kMaxOperatorKeyFileBytes));
    const SecretText text(std::move(bytes));
    return ParseOperatorKeys(text.view(), path);
}

Status WriteOperatorKeys(storage::FileSystem& files, const std::string& path, const OperatorKeyFile& keys,
                         ExistingFile existing) {
    if (existing == ExistingFile::kRefuse && files.Exists(path))
        return Fail(ErrorKind::kEnvironment, path + " exists: keys are never overwritten, so choose another name");
    Bytes storage;
    storage.reserve(512);
    SecretText text(std::move(storage));
    text.Append("{\n  \"version\": 1,\n  \"staker\": ");
    text.Append(keys.staker ? "\"" + keys.staker->Hex() + "\"" : "null");
    text.Append(",\n  \"vrf_secret\": \"");
    text.AppendHex(keys.vrf.span());
    text.Append("\",\n  \"signing_secret\": \"");
    text.AppendHex(keys.signing.bytes());
    text.Append("\"\n}\n");
    // A leftover of an attempt that was cut short may be open to others.
    const std::string temporary = path + ".tmp";
    if (files.Exists(temporary)) RETURN_IF_ERROR(files.Remove(temporary));
    return storage::WriteFileAtomically(files, path, AsBytes(text.view()));
}

}  // namespace sluice::node
