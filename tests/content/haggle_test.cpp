#include "content/haggle.h"

#include <gtest/gtest.h>

#include "util/random.h"

namespace sluice::content {
namespace {

std::optional<uint64_t> Price(uint64_t ask, uint64_t floor, uint64_t cap) {
    const auto price = HaggledPrice(Amount(ask), Amount(floor), Amount(cap));
    return price ? std::optional(price->drops) : std::nullopt;
}

TEST(Haggle, TheOutcomeIsAFunctionOfAskFloorAndCap) {
    struct Row {
        uint64_t ask, floor, cap;
        std::optional<uint64_t> price;
    };
    for (const Row& row :
         {Row{100, 100, 100, 100},  // a firm ask
          Row{100, 100, 99, {}},    // under it there is nothing to have
          Row{100, 50, 1'000, 69},  // bids 50, 63: 75, 69
          Row{100, 90, 1'000, 90},  // the floor is met half way
          Row{100, 50, 60, 60},     // the third bid is the cap
          Row{100, 60, 60, 60},     // at the floor
          Row{100, 61, 60, {}},     // one over it
          Row{100, 0, 1, 1},        // never for nothing
          Row{100, 0, 0, {}},       // a cap of 0: free peers only
          Row{1, 0, 1, 1}, Row{0, 0, 0, 0}, Row{kMaxSupply.drops, 1, kMaxSupply.drops, kMaxSupply.drops / 16 * 11}})
        EXPECT_EQ(Price(row.ask, row.floor, row.cap), row.price) << row.ask << " " << row.floor << " " << row.cap;
}

TEST(Haggle, ThePriceIsNeverOverAskOrCapNorUnderTheFloorAndIsFoundWheneverOneExists) {
    SeededRandom random(4);
    for (int i = 0; i < 20'000; ++i) {
        const uint64_t ask = random.Below(1'000) + 1, floor = random.Below(ask + 1), cap = random.Below(1'200);
        const auto price = Price(ask, floor, cap);
        EXPECT_EQ(price.has_value(), cap >= std::max<uint64_t>(floor, 1)) << ask << " " << floor << " " << cap;
        if (!price) continue;
        EXPECT_LE(*price, std::min(ask, cap));
        EXPECT_GE(*price, floor);
        EXPECT_GE(*price, 1u);
    }
}

// [A downloader bids without end, or out of turn, to wear the seeder down.]
TEST(Haggle, ThreeBidsAreAnsweredAndFurtherOrRepeatedOnesChangeNothing) {
    SellerQuote quote{Amount(1'000), 0, {}};
    EXPECT_EQ(AnswerBid(quote, Amount(10), 2, Amount(1)).price, Amount(1'000)) << "out of turn";
    EXPECT_EQ(AnswerBid(quote, Amount(10), 1, Amount(1)).price, Amount(501));
    EXPECT_EQ(AnswerBid(quote, Amount(10), 1, Amount(1)).price, Amount(501)) << "the same again";
    EXPECT_EQ(AnswerBid(quote, Amount(10), 2, Amount(1)).price, Amount(251));
    const BidAnswer last = AnswerBid(quote, Amount(10), 3, Amount(9));
    EXPECT_EQ(last.price, Amount(130)) << "a last bid under the floor is not taken";
    EXPECT_TRUE(last.firm);
    for (uint8_t round = 0; round < 255; ++round)
        EXPECT_EQ(AnswerBid(quote, Amount(10), round, Amount(11)).price, Amount(130));
}

TEST(Haggle, ABidOfNothingIsNoBid) {
    SellerQuote quote{Amount(1'000), 0, {}};
    EXPECT_EQ(AnswerBid(quote, Amount(0), 1, Amount(0)).price, Amount(1'000));
    EXPECT_EQ(quote.bids, 0);
}

}  // namespace
}  // namespace sluice::content
