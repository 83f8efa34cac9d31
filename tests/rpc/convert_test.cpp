#include "rpc/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::rpc {
namespace {

std::optional<uint64_t> DropsOf(const std::string& json) {
    const auto amount = AmountArg(Call("test", Json{{"price", Json::parse(json)}}), "price");
    return amount ? std::optional(amount->drops) : std::nullopt;
}

TEST(ConvertTest, AmountsAreReadExactlyFromStringsAndNumbers) {
    const std::pair<const char*, uint64_t> table[] = {{R"("1.25")", 125'000'000},
                                                      {"1.25", 125'000'000},
                                                      {"1", 100'000'000},
                                                      {"0", 0},
                                                      {"0.0", 0},
                                                      {"0.00000001", 1},
                                                      {"1e-8", 1},
                                                      {R"("0.00000001")", 1},
                                                      {"0.1", 10'000'000},
                                                      {"0.29", 29'000'000},
                                                      {"20999999.99999999", 2'099'999'999'999'999},
                                                      {"21000000", 2'100'000'000'000'000},
                                                      {R"("21000000")", 2'100'000'000'000'000},
                                                      {"21000000.0", 2'100'000'000'000'000},
                                                      {"16777216.00000001", 1'677'721'600'000'001}};
    for (const auto& [json, drops] : table) EXPECT_EQ(DropsOf(json), drops) << json;
}

TEST(ConvertTest, EveryEightPlaceNumberNearTheCapIsItsOwnAmount) {
    for (uint64_t drops = kMaxSupply.drops - 1000; drops <= kMaxSupply.drops; ++drops)
        EXPECT_EQ(DropsOf(FormatSlu(Amount(drops))), drops);
}

TEST(ConvertTest, AmountsOutsideTheRangeAreRefusedByName) {
    for (const char* json :
         {"-1", "-0.5", "0.000000001", "1e-9", "21000000.00000001", "21000001", "1e300", R"("21000000.00000001")",
          R"("")", R"("1,5")", R"("1e3")", R"("-1")", R"(" 1")", "18446744073709551615"}) {
        const auto amount = AmountArg(Call("test", Json{{"price", Json::parse(json)}}), "price");
        ASSERT_FALSE(amount) << json;
        EXPECT_EQ(amount.error().code, RpcCode::kInvalidParameter);
        EXPECT_THAT(amount.error().message, testing::HasSubstr("price")) << json;
    }
}

TEST(ConvertTest, HashesAreExactlyTheirDigits) {
    const auto parse = [](const std::string& text) {
        return HashArg<Txid>(Call("test", Json{{"txid", text}}), "txid");
    };
    EXPECT_TRUE(parse(std::string(64, 'a')));
    for (const std::string& bad : {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g'), std::string()}) {
        const auto hash = parse(bad);
        ASSERT_FALSE(hash);
        EXPECT_THAT(hash.error().message, testing::HasSubstr("txid must be 64 hexadecimal digits"));
    }
}

}  // namespace
}  // namespace sluice::rpc
