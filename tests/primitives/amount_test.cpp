#include "primitives/amount.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Amount, SumsStayInsideTheSupply) {
    EXPECT_EQ(Add(Amount(1), Amount(2)), Amount(3));
    EXPECT_EQ(Add(kMaxSupply, Amount(0)), kMaxSupply);
    EXPECT_FALSE(Add(kMaxSupply, Amount(1)));
    EXPECT_FALSE(Add(Amount(UINT64_MAX), Amount(1)));
    EXPECT_FALSE(Add(Amount(1), Amount(UINT64_MAX)));
}

TEST(Amount, DifferencesAreNeverNegative) {
    EXPECT_EQ(Subtract(Amount(3), Amount(3)), Amount(0));
    EXPECT_FALSE(Subtract(Amount(3), Amount(4)));
}

TEST(Amount, IsWrittenWithoutTrailingZeros) {
    EXPECT_EQ(FormatSlu(Amount(0)), "0");
    EXPECT_EQ(FormatSlu(Amount(1)), "0.00000001");
    EXPECT_EQ(FormatSlu(Amount(125'000'000)), "1.25");
    EXPECT_EQ(FormatSlu(Amount(1'200'000'000)), "12");
    EXPECT_EQ(FormatSlu(kMaxSupply), "21000000");
}

TEST(Amount, ReadsWhatItWrites) {
    for (const uint64_t drops : {uint64_t{0}, uint64_t{1}, uint64_t{10}, uint64_t{99'999'999}, uint64_t{100'000'000},
                                 kMaxSupply.drops - 1, kMaxSupply.drops})
        EXPECT_EQ(ParseSlu(FormatSlu(Amount(drops)), "amount").value(), Amount(drops));
    EXPECT_EQ(ParseSlu("1.50000000", "amount").value(), Amount(150'000'000));
}

TEST(Amount, RefusesEverythingElseAndNamesTheField) {
    for (const std::string text : {"", ".", "-1", "+1", "1.000000001", "21000000.00000001", "99999999999999999999999",
                                   "1e3", "0x1", " 1", "1 ", "1,5", "1.2.3"}) {
        const auto amount = ParseSlu(text, "price");
        ASSERT_FALSE(amount) << text;
        EXPECT_NE(amount.error().message.find("price"), std::string::npos) << amount.error().message;
    }
}

}  // namespace
}  // namespace sluice
