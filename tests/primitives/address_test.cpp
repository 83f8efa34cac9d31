#include "primitives/address.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "primitives/script.h"

namespace sluice {
namespace {

const XOnlyPubKey kKey = *XOnlyPubKey::FromHex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
const StakerId kStaker = *StakerId::FromHex("0102030405060708");

std::string Lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

// The strings of BIP350's test vectors.
TEST(Bech32m, DecodesAndEncodesTheValidStringsOfTheStandard) {
    for (const std::string text :
         {"A1LQFN3A", "a1lqfn3a",
          "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
          "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
          "11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8",
          "split1checkupstagehandshakeupstreamerranterredcaperredlc445v", "?1v759aa"}) {
        const auto decoded = Bech32mDecode(text);
        ASSERT_TRUE(decoded) << text;
        EXPECT_EQ(Bech32mEncode(decoded->hrp, decoded->groups), Lower(text));
    }
}

TEST(Bech32m, RefusesTheInvalidStringsOfTheStandard) {
    for (const std::string text :
         {"\x20"
          "1xj0phk",
          "\x7f"
          "1g6xzxy",
          "\x80"
          "1vctc34",
          "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4", "qyrz8wqd2c9m",
          "1qyrz8wqd2c9m", "y1b0jsk6g", "lt1igcx5c0", "in1muywd", "mm1crxm3i", "au1s5cgom", "M1VUXWEZ", "16plkw9",
          "1p2gdwpf", ""})
        EXPECT_FALSE(Bech32mDecode(text)) << text;
}

TEST(Bech32m, EachSingleWrongCharacterIsNoticed) {
    const std::string address = EncodeAddress(TaprootScript(kKey), "slu");
    for (size_t i = 0; i < address.size(); ++i) {
        std::string wrong = address;
        wrong[i] = wrong[i] == 'q' ? 'p' : 'q';
        EXPECT_FALSE(Bech32mDecode(wrong)) << wrong;
    }
}

TEST(Address, TaprootAddressesAreThoseOfTheStandard) {
    EXPECT_EQ(EncodeAddress(TaprootScript(kKey), "bc"),
              "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0");
    std::ifstream file(std::string(SLUICE_TEST_VECTORS) + "/bip341_sighash.json");
    const auto trees = nlohmann::json::parse(file)["trees"];
    ASSERT_EQ(trees.size(), 7u);
    for (const auto& tree : trees) {
        const Script script = *HexDecode(tree["script"].get<std::string>());
        EXPECT_EQ(EncodeAddress(script, "bc"), tree["address"]);
        EXPECT_EQ(DecodeAddress(tree["address"].get<std::string>(), "bc").value(), script);
    }
}

TEST(Address, RoundTripsOnEveryNetworkInBothCases) {
    for (const std::string hrp : {"slu", "tslu", "rslu", "customnet"}) {
        for (const Script& script : {TaprootScript(kKey), StakeScript(kKey, kStaker)}) {
            std::string address = EncodeAddress(script, hrp);
            EXPECT_TRUE(address.starts_with(hrp + "1"));
            EXPECT_EQ(DecodeAddress(address, hrp).value(), script);
            for (char& c : address) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            EXPECT_EQ(DecodeAddress(address, hrp).value(), script);
        }
    }
}

TEST(Address, ScriptsWithoutAnAddressHaveNone) {
    EXPECT_EQ(EncodeAddress(RecordScript(Bytes(10, 1)), "slu"), "");
    EXPECT_EQ(EncodeAddress({}, "slu"), "");
    EXPECT_EQ(EncodeAddress({0x51}, "slu"), "");
}

TEST(Address, WrongNetworkIsNamedWithThePrefixExpected) {
    const auto result = DecodeAddress(EncodeAddress(TaprootScript(kKey), "tslu"), "slu");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message,
              "the address is of another network (\"tslu1\"); addresses of this network begin with \"slu1\"");
}

TEST(Address, TypingMistakeIsNamedWithThePrefixExpected) {
    std::string address = EncodeAddress(TaprootScript(kKey), "slu");
    address.back() = address.back() == 'q' ? 'p' : 'q';
    const auto result = DecodeAddress(address, "slu");
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message.find("mistyped"), std::string::npos);
    EXPECT_NE(result.error().message.find("\"slu1\""), std::string::npos);
}

TEST(Address, InvalidAddressesOfTheStandardAreRefused) {
    for (const auto& [address, hrp] : std::vector<std::pair<std::string, std::string>>{
             {"tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut", "bc"},
             {"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "bc"},
             {"tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf", "tb"},
             {"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "bc"},
             {"bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", "bc"},
             {"BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", "bc"},
             {"bc1pw5dgrnzv", "bc"},
             {"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav", "bc"},
             {"tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq", "tb"},
             {"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", "bc"},
             {"tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j", "tb"},
             {"bc1gmk9yu", "bc"}})
        EXPECT_FALSE(DecodeAddress(address, hrp)) << address;
}

TEST(Address, ProgramsThatOurChainHasNotAreRefusedThoughTheStandardKnowsThem) {
    for (const std::string address : {"bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
                                      "BC1SW50QGDZ25J", "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs"}) {
        ASSERT_TRUE(Bech32mDecode(address)) << address;
        const auto result = DecodeAddress(address, "bc");
        ASSERT_FALSE(result);
        EXPECT_NE(result.error().message.find("witness version"), std::string::npos) << result.error().message;
    }
}

}  // namespace
}  // namespace sluice
