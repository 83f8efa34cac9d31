#include "wallet/mnemonic.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

#include "crypto/hash.h"

namespace sluice::wallet {
namespace {

constexpr size_t kBitsPerWord = 11;
constexpr uint32_t kSeedIterations = 2048;
constexpr size_t kMaxPhraseBytes = 10'000;
constexpr size_t kShownWordLength = 24;

bool IsEntropySize(size_t bytes) { return bytes >= 16 && bytes <= 32 && bytes % 4 == 0; }
bool IsWordCount(size_t words) { return words >= 12 && words <= 24 && words % 3 == 0; }

// Entropy, then its checksum: the first byte of its hash has enough bits for every size.
Bytes WithChecksum(ByteSpan entropy) {
    Bytes bits = ToBytes(entropy);
    bits.push_back(crypto::Sha256Of(entropy).bytes[0]);
    return bits;
}

uint32_t ReadBits(ByteSpan bits, size_t position) {
    uint32_t value = 0;
    for (size_t i = position; i < position + kBitsPerWord; ++i) value = value << 1 | (bits[i / 8] >> (7 - i % 8) & 1u);
    return value;
}

std::optional<uint32_t> WordIndex(std::string_view word) {
    const auto* end = kMnemonicWords + kMnemonicListWords;
    const auto* found = std::lower_bound(kMnemonicWords, end, word);
    if (found == end || *found != word) return std::nullopt;
    return static_cast<uint32_t>(found - kMnemonicWords);
}

struct SecretWords {
    std::vector<std::string> words;
    ~SecretWords() {
        for (std::string& word : words) WipeMemory(word.data(), word.size());
    }
};

SecretWords SplitLowerCase(std::string_view phrase) {
    SecretWords split;
    std::string word;
    const auto finish = [&] {
        if (!word.empty()) split.words.push_back(word);
        WipeMemory(word.data(), word.size());
        word.clear();
    };
    for (const char c : phrase) {
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            finish();
        } else {
            word.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
        }
    }
    finish();
    return split;
}

Result<SecretText> Nfkd(std::string_view text, std::string_view field) {
    if (text.empty()) return SecretText();
    if (text.size() > kMaxPhraseBytes) return Fail(fmt::format("{} is longer than {} bytes", field, kMaxPhraseBytes));
    uint8_t* mapped = nullptr;
    const auto size =
        utf8proc_map(reinterpret_cast<const uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                     static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT));
    if (size < 0) return Fail(fmt::format("{} is not valid UTF-8", field));
    SecretText result(std::string(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size)));
    WipeMemory(mapped, static_cast<size_t>(size));
    std::free(mapped);
    return result;
}

}  // namespace

SecretText::SecretText(SecretText&& other) noexcept : m_text(other.m_text) {
    WipeMemory(other.m_text.data(), other.m_text.size());
    other.m_text.clear();
}

SecretText& SecretText::operator=(SecretText&& other) noexcept {
    if (this == &other) return *this;
    WipeMemory(m_text.data(), m_text.size());
    m_text = other.m_text;
    WipeMemory(other.m_text.data(), other.m_text.size());
    other.m_text.clear();
    return *this;
}

Result<SecretText> MnemonicFromEntropy(ByteSpan entropy) {
    if (!IsEntropySize(entropy.size()))
        return Fail(fmt::format("the entropy of a phrase has 16, 20, 24, 28 or 32 bytes, not {}", entropy.size()));
    Bytes bits = WithChecksum(entropy);
    const size_t words = entropy.size() * 3 / 4;
    std::string phrase;
    phrase.reserve(words * 9);  // no copy of a part is left behind
    for (size_t i = 0; i < words; ++i) {
        if (i > 0) phrase.push_back(' ');
        phrase += kMnemonicWords[ReadBits(bits, i * kBitsPerWord)];
    }
    WipeMemory(bits.data(), bits.size());
    SecretText result(phrase);
    WipeMemory(phrase.data(), phrase.size());
    return result;
}

Result<SecretText> GenerateMnemonic(RandomSource& random, size_t words) {
    if (!IsWordCount(words)) return Fail(fmt::format("a phrase has 12, 15, 18, 21 or 24 words, not {}", words));
    SecretBytes<32> entropy;
    const auto used = entropy.span().first(words * 4 / 3);
    random.Fill(used);
    return MnemonicFromEntropy(used);
}

Result<SecretText> NormalizeMnemonic(std::string_view phrase) {
    if (phrase.size() > kMaxPhraseBytes)
        return Fail(fmt::format("the phrase is longer than {} bytes", kMaxPhraseBytes));
    const SecretWords split = SplitLowerCase(phrase);
    const size_t count = split.words.size();
    if (!IsWordCount(count)) return Fail(fmt::format("the phrase has {} words: it takes 12, 15, 18, 21 or 24", count));
    SecretBytes<33> bits;
    for (size_t i = 0; i < count; ++i) {
        const auto index = WordIndex(split.words[i]);
        if (!index)
            return Fail(fmt::format("word {} of the phrase, '{}', is not in BIP39's English list: check its spelling",
                                    i + 1, split.words[i].substr(0, kShownWordLength)));
        for (size_t bit = 0; bit < kBitsPerWord; ++bit) {
            const size_t position = i * kBitsPerWord + bit;
            if (*index >> (kBitsPerWord - 1 - bit) & 1)
                bits.data()[position / 8] |= static_cast<uint8_t>(0x80 >> position % 8);
        }
    }
    ASSIGN_OR_RETURN(SecretText normal, MnemonicFromEntropy(bits.span().first(count * 4 / 3)));
    if (normal.text().substr(normal.text().rfind(' ') + 1) != split.words.back())
        return Fail("the checksum of the phrase does not fit: a word is wrong or two are swapped");
    return normal;
}

Result<Seed> MnemonicToSeed(std::string_view phrase, std::string_view passphrase) {
    ASSIGN_OR_RETURN(const SecretText password, Nfkd(phrase, "the phrase"));
    ASSIGN_OR_RETURN(const SecretText extra, Nfkd(passphrase, "the passphrase"));
    const SecretText salt("mnemonic" + extra.text());
    Seed seed;
    crypto::Pbkdf2HmacSha512(AsBytes(password.text()), AsBytes(salt.text()), kSeedIterations, seed.span());
    return seed;
}

}  // namespace sluice::wallet
