#pragma once

#include <string>
#include <string_view>

#include "util/random.h"
#include "util/result.h"
#include "util/wipe.h"

// BIP39 with the English word list.

namespace sluice::wallet {

using Seed = SecretBytes<64>;

// Text that is wiped when it goes out of scope.
class SecretText {
  public:
    SecretText() = default;
    explicit SecretText(std::string text) : m_text(std::move(text)) {}
    ~SecretText() { WipeMemory(m_text.data(), m_text.size()); }
    SecretText(SecretText&& other) noexcept;
    SecretText& operator=(SecretText&& other) noexcept;
    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;

    const std::string& text() const { return m_text; }

  private:
    std::string m_text;
};

// The phrase of `entropy`, which has 16, 20, 24, 28 or 32 bytes (12 to 24 words).
Result<SecretText> MnemonicFromEntropy(ByteSpan entropy);
// A fresh phrase of 12 or 24 words.
Result<SecretText> GenerateMnemonic(RandomSource& random, size_t words);
// The phrase in its one spelling: lower case, single spaces. Errors name the word that is not in the list, the number
// of words, or say that the checksum does not fit. They never repeat a word that is in the list.
Result<SecretText> NormalizeMnemonic(std::string_view phrase);
// BIP39's seed of any phrase (not checked against a list) and passphrase; both are brought to NFKD. The error is
// malformed UTF-8.
Result<Seed> MnemonicToSeed(std::string_view phrase, std::string_view passphrase = {});

inline constexpr size_t kMnemonicListWords = 2048;
extern const std::string_view kMnemonicWords[kMnemonicListWords];  // sorted

}  // namespace sluice::wallet
