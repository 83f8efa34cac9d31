#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "consensus/genesis.h"
#include "primitives/address.h"
#include "primitives/script.h"
#include "wallet/keychain.h"

namespace sluice::wallet {
namespace {

nlohmann::json LoadVectors(const std::string& name) {
    std::ifstream file(std::string(SLUICE_TEST_VECTORS) + "/" + name);
    return nlohmann::json::parse(file);
}

Seed SeedOf(std::string_view phrase) { return *MnemonicToSeed(phrase); }

TEST(Mnemonic, EntropyPhraseSeedAndMasterKeyFollowThePublicVectors) {
    const auto vectors = LoadVectors("bip39_english.json");
    ASSERT_EQ(vectors.size(), 24u);
    for (const auto& row : vectors) {
        const std::string phrase = row["phrase"];
        EXPECT_EQ(MnemonicFromEntropy(*HexDecode(row["entropy"].get<std::string>()))->text(), phrase);
        EXPECT_EQ(NormalizeMnemonic(phrase)->text(), phrase);
        const Seed seed = *MnemonicToSeed(phrase, "TREZOR");
        EXPECT_EQ(HexEncode(seed.span()), row["seed"]);
        EXPECT_EQ(ExtendedPrivateKey::FromSeed(seed.span())->Encode(), row["xprv"]);
    }
}

TEST(Mnemonic, PhrasesAreBroughtToNfkd) {
    for (const auto& row : LoadVectors("bip39_nfkd.json"))
        EXPECT_EQ(HexEncode(MnemonicToSeed(row["phrase"].get<std::string>(), "TREZOR")->span()), row["seed"]);
    // One letter composed and decomposed; full-width and plain.
    EXPECT_EQ(HexEncode(MnemonicToSeed("a", "\xc3\xa9\xef\xbc\xa1")->span()), HexEncode(MnemonicToSeed("a",
                                                                                                       "e\xcc\x81"
                                                                                                       "A")
                                                                                            ->span()));
    EXPECT_FALSE(MnemonicToSeed("a", "\xff").has_value());
}

TEST(Mnemonic, SpacesAndCaseDoNotMatter) {
    const auto normal = NormalizeMnemonic(
        "  Abandon abandon abandon\tabandon abandon abandon abandon abandon abandon abandon abandon  ABOUT\n");
    ASSERT_TRUE(normal.has_value());
    EXPECT_EQ(normal->text(), consensus::kRegtestPhrase);
}

TEST(Mnemonic, ErrorsNameTheWordTheCountOrTheChecksum) {
    const auto message = [](std::string_view phrase) { return NormalizeMnemonic(phrase).error().message; };
    const std::string eleven =
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon";
    EXPECT_NE(message(eleven).find("11 words"), std::string::npos);
    EXPECT_NE(message(eleven + " abuot").find("word 12 of the phrase, 'abuot'"), std::string::npos);
    EXPECT_NE(message(eleven + " abandon").find("checksum"), std::string::npos);
    EXPECT_NE(message("").find("0 words"), std::string::npos);
}

TEST(Mnemonic, GeneratedPhrasesAreValidAndDiffer) {
    SeededRandom random(1);
    for (const size_t words : {12, 24}) {
        const auto one = GenerateMnemonic(random, words), two = GenerateMnemonic(random, words);
        EXPECT_TRUE(NormalizeMnemonic(one->text()).has_value());
        EXPECT_NE(one->text(), two->text());
        EXPECT_EQ(std::count(one->text().begin(), one->text().end(), ' ') + 1, static_cast<long>(words));
    }
    EXPECT_FALSE(GenerateMnemonic(random, 13).has_value());
}

// BIP32, test vector 1.
TEST(Bip32, PrivateAndPublicDerivationFollowTestVector1) {
    const auto master = *ExtendedPrivateKey::FromSeed(*HexDecode("000102030405060708090a0b0c0d0e0f"));
    EXPECT_EQ(master.Neuter().Encode(),
              "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1"
              "EGMcet8");
    EXPECT_EQ(master.Encode(),
              "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuG"
              "BxrMPHi");
    const auto first = *master.Derive(kHardened);
    EXPECT_EQ(first.Neuter().Encode(),
              "xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZ"
              "XvgGDnw");
    const auto second = *first.Derive(1);
    EXPECT_EQ(second.Encode(),
              "xprv9wTYmMFdV23N2TdNG573QoEsfRrWKQgWeibmLntzniatZvR9BmLnvSxqu53Kw1UmYPxLgboyZQaXwTCg8MSY3H2EU4pWcQDnRnrV"
              "A1xe8fs");
    EXPECT_EQ(second.Neuter(), *first.Neuter().Derive(1));
    EXPECT_EQ(ExtendedPrivateKey::Decode(second.Encode())->Encode(), second.Encode());
    EXPECT_EQ(*ExtendedPublicKey::Decode(second.Neuter().Encode()), second.Neuter());
    EXPECT_FALSE(first.Neuter().Derive(kHardened).has_value());
    EXPECT_FALSE(ExtendedPrivateKey::Decode(second.Neuter().Encode()).has_value());
    EXPECT_FALSE(ExtendedPublicKey::Decode(second.Neuter().Encode(), kBitcoinTestVersion).has_value());
}

TEST(Bip32, ADamagedTextIsRefused) {
    std::string text = ExtendedPrivateKey::FromSeed(*HexDecode("000102030405060708090a0b0c0d0e0f"))->Encode();
    EXPECT_TRUE(Base58CheckDecode(text).has_value());
    for (const size_t position : {size_t{0}, size_t{50}, text.size() - 1}) {
        std::string damaged = text;
        damaged[position] = damaged[position] == 'x' ? 'y' : 'x';
        EXPECT_FALSE(ExtendedPrivateKey::Decode(damaged).has_value());
    }
    EXPECT_FALSE(Base58CheckDecode("0OIl").has_value());
    EXPECT_FALSE(Base58CheckDecode(std::string(201, '1')).has_value());
}

// BIP86, test vectors (coin type 0).
TEST(Keychain, AddressesFollowBip86) {
    const auto keychain = *Keychain::FromSeed(SeedOf(consensus::kRegtestPhrase), 0);
    EXPECT_EQ(keychain.AccountPublicKey().Encode(),
              "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj9"
              "2pReUsQ");
    EXPECT_EQ(EncodeAddress(TaprootScript(keychain.OutputKey({KeyChain::kReceive, 0})), "bc"),
              "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr");
    EXPECT_EQ(EncodeAddress(TaprootScript(keychain.OutputKey({KeyChain::kReceive, 1})), "bc"),
              "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh");
    EXPECT_EQ(EncodeAddress(TaprootScript(keychain.OutputKey({KeyChain::kChange, 0})), "bc"),
              "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7");
}

TEST(Keychain, SecretsSignForTheirOutputKeys) {
    const auto keychain = *Keychain::FromSeed(SeedOf(consensus::kRegtestPhrase), kTestCoinType);
    for (const KeyPath path :
         {KeyPath{KeyChain::kReceive, 0}, KeyPath{KeyChain::kReceive, 7}, KeyPath{KeyChain::kChange, 3}})
        EXPECT_EQ(keychain.OutputSecret(path).XOnly(), keychain.OutputKey(path));
}

TEST(Keychain, RegtestsMoneyBelongsToItsPhrase) {
    const auto keychain = *Keychain::FromSeed(SeedOf(consensus::kRegtestPhrase), kTestCoinType);
    const auto genesis = *consensus::BuiltInGenesis("regtest");
    EXPECT_EQ(genesis.allocations.back().script, TaprootScript(keychain.OutputKey({KeyChain::kReceive, 0})));
    EXPECT_EQ(ParseOutputScript(genesis.allocations.front().script)->key, keychain.OutputKey({KeyChain::kReceive, 1}));
}

TEST(Keychain, KeysOfEveryUseDiffer) {
    const auto keychain = *Keychain::FromSeed(SeedOf(consensus::kRegtestPhrase), kTestCoinType);
    const auto again = *Keychain::FromSeed(SeedOf(consensus::kRegtestPhrase), kTestCoinType);
    const OutPoint a{Txid{}, 0}, b{Txid{}, 1};
    EXPECT_EQ(keychain.BuyerKey(a).XOnly(), again.BuyerKey(a).XOnly());
    const std::set<XOnlyPubKey> keys{
        keychain.BuyerKey(a).XOnly(),           keychain.BuyerKey(b).XOnly(),
        keychain.ChannelPayerKey(a, 1).XOnly(), keychain.ChannelPayerKey(a, 3).XOnly(),
        keychain.ChannelPayerKey(b, 1).XOnly(), keychain.ChannelPayeeKey({1}).XOnly(),
        keychain.ChannelPayeeKey({2}).XOnly(),  keychain.OutputKey({KeyChain::kReceive, 0})};
    EXPECT_EQ(keys.size(), 8u);
    EXPECT_NE(
        HexEncode(keychain.ContentMasterKey().span()),
        HexEncode(Keychain::FromSeed(SeedOf(consensus::kRegtestPhrase), kMainCoinType)->ContentMasterKey().span()));
}

}  // namespace
}  // namespace sluice::wallet
