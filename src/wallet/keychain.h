#pragma once

#include <map>

#include "consensus/params.h"
#include "crypto/aead.h"
#include "wallet/bip32.h"
#include "wallet/mnemonic.h"

// All keys of a wallet, from its seed.
//
//   m/86'/coin'/0'/0/i   receiving (BIP86)        m/377294'/coin'/0'   content master key
//   m/86'/coin'/0'/1/i   change (BIP86)           m/377294'/coin'/1'   root of buyer keys      HKDF(root; outpoint)
//                                                 m/377294'/coin'/2'   root of payer keys      HKDF(root; outpoint,
//                                                 output) m/377294'/coin'/3'   root of payee keys      HKDF(root;
//                                                 label) m/377294'/coin'/4'   gift key (X25519), as it is
//
// Buyer and payer keys hang on the first input of the transaction that uses them: whoever has the seed and reads the
// chain finds them again, with no gap limit.

namespace sluice::wallet {

inline constexpr uint32_t kMainCoinType = 0x534c55;  // "SLU"
inline constexpr uint32_t kTestCoinType = 1;         // every network but main
inline constexpr uint32_t kContentPurpose = 377'294;
inline constexpr uint32_t kMinGapLimit = 20;
inline constexpr uint32_t kMaxGapLimit = 1'000;
inline constexpr uint32_t kDefaultGapLimit = 200;

enum class KeyChain : uint8_t { kReceive = 0, kChange = 1 };

struct KeyPath {
    KeyChain chain{KeyChain::kReceive};
    uint32_t index{0};

    friend auto operator<=>(const KeyPath&, const KeyPath&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.chain, self.index); }
};

class Keychain {
  public:
    static Result<Keychain> FromSeed(const Seed& seed, uint32_t coin_type);
    static uint32_t CoinType(const consensus::Params& params) {
        return params.network == "main" ? kMainCoinType : kTestCoinType;
    }

    // The taproot output key of an address of ours (BIP86).
    XOnlyPubKey OutputKey(KeyPath path) const;
    // Its secret, tweaked: signs for the output key.
    crypto::SecretKey OutputSecret(KeyPath path) const;

    // Which of our first `Watched` keys of a chain an output key is.
    std::optional<KeyPath> Find(const XOnlyPubKey& output_key) const;
    // Derives the keys below `count` of a chain, so that Find knows them.
    void Watch(KeyChain chain, uint32_t count);
    uint32_t Watched(KeyChain chain) const { return m_watched[static_cast<size_t>(chain)]; }

    SecretBytes<32> ContentMasterKey() const { return m_content.Clone(); }
    // B of the purchase whose transaction spends `first_input` first.
    crypto::SecretKey BuyerKey(const OutPoint& first_input) const;
    // Payer key of the channel whose lock is output `lock_index` of the transaction that spends `first_input` first.
    crypto::SecretKey ChannelPayerKey(const OutPoint& first_input, uint32_t lock_index) const;
    crypto::SecretKey ChannelPayeeKey(const std::array<uint8_t, 32>& label) const;

    // Opens the keys that others bought for us. One for each wallet: it never shows on the chain.
    crypto::X25519SecretKey GiftKey() const { return m_gift.Clone(); }

    ExtendedPublicKey AccountPublicKey() const { return m_account.Neuter(); }

  private:
    Keychain(ExtendedPrivateKey account, std::array<ExtendedPublicKey, 2> chains, SecretBytes<32> content,
             SecretBytes<32> buyer, SecretBytes<32> payer, SecretBytes<32> payee, SecretBytes<32> gift);

    ExtendedPrivateKey m_account;
    std::array<ExtendedPublicKey, 2> m_chains;
    SecretBytes<32> m_content, m_buyer, m_payer, m_payee, m_gift;
    std::map<XOnlyPubKey, KeyPath> m_found;
    std::array<uint32_t, 2> m_watched{};
};

}  // namespace sluice::wallet
