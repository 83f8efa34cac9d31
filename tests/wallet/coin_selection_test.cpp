#include "wallet/coin_selection.h"

#include <gtest/gtest.h>

#include <set>

#include "util/random.h"

namespace sluice::wallet {
namespace {

Candidate Coin(uint32_t index, uint64_t drops) { return {{Txid{}, index}, Amount(drops)}; }

uint64_t InputFee(uint64_t rate) { return (kKeyInputWeight * rate + 3'999) / 4'000; }

TEST(CoinSelection, AFeeRoundsUpTwice) {
    EXPECT_EQ(FeeFor(0, 1'000), Amount(0));
    EXPECT_EQ(FeeFor(4, 1'000), Amount(1));
    EXPECT_EQ(FeeFor(5, 1'000), Amount(2));
    EXPECT_EQ(FeeFor(kKeyInputWeight, 1'000), Amount(58));
    EXPECT_EQ(FeeFor(4, 1), Amount(1));
}

// Whenever the coins, each less its own fee, sum to the target, a set is found; never otherwise.
TEST(CoinSelection, SucceedsExactlyWhenAllCoinsTogetherSuffice) {
    SeededRandom random(7);
    for (int round = 0; round < 500; ++round) {
        const uint64_t rate = 1'000 * (1 + random.Below(20));
        std::vector<Candidate> coins;
        uint64_t sum = 0;
        const uint64_t count = random.Below(12);
        for (uint32_t i = 0; i < count; ++i) {
            const uint64_t value = 1 + random.Below(round % 2 == 0 ? 5'000 : 1'000'000);
            coins.push_back(Coin(i, value));
            if (value > InputFee(rate)) sum += value - InputFee(rate);
        }
        const uint64_t target = 1 + random.Below(sum + sum / 4 + 2);
        const auto chosen = SelectCoins(coins, {Amount(target), rate});
        ASSERT_EQ(chosen.has_value(), sum >= target);
        if (!chosen) {
            EXPECT_EQ(chosen.error().kind, ErrorKind::kFunds);
            continue;
        }
        EXPECT_EQ(std::set<OutPoint>(chosen->begin(), chosen->end()).size(), chosen->size());
        uint64_t effective = 0;
        for (const OutPoint& outpoint : *chosen) effective += coins[outpoint.index].value.drops - InputFee(rate);
        EXPECT_GE(effective, target);
    }
}

TEST(CoinSelection, AnExactSetIsPreferredToChange) {
    const uint64_t fee = InputFee(1'000);
    const auto chosen =
        SelectCoins({Coin(0, 900'000), Coin(1, 30'000 + fee), Coin(2, 12'345 + fee), Coin(3, 70'000 + fee)},
                    {Amount(42'345), 1'000});
    ASSERT_TRUE(chosen.has_value());
    EXPECT_EQ(std::set<OutPoint>(chosen->begin(), chosen->end()),
              (std::set<OutPoint>{Coin(1, 0).outpoint, Coin(2, 0).outpoint}));
}

TEST(CoinSelection, TheSmallestCoinThatSufficesIsTakenAlone) {
    const auto chosen =
        SelectCoins({Coin(0, 9'000'000), Coin(1, 2'000'000), Coin(2, 500'000)}, {Amount(1'000'000), 1'000});
    ASSERT_TRUE(chosen.has_value());
    EXPECT_EQ(*chosen, std::vector{Coin(1, 0).outpoint});
}

TEST(CoinSelection, CoinsThatCostMoreThanTheyBringStayBehind) {
    EXPECT_FALSE(SelectCoins({Coin(0, InputFee(10'000))}, {Amount(1), 10'000}).has_value());
    EXPECT_TRUE(SelectCoins({Coin(0, InputFee(10'000) + 1)}, {Amount(1), 10'000}).has_value());
}

TEST(CoinSelection, TheErrorSaysWhatIsNeededThereAndMissing) {
    const auto chosen = SelectCoins({Coin(0, 100'000'000 + InputFee(1'000))}, {Amount(250'000'000), 1'000});
    ASSERT_FALSE(chosen.has_value());
    EXPECT_EQ(chosen.error().message, "not enough funds: 2.5 SLU needed with fees, 1 available, 1.5 missing");
}

TEST(CoinSelection, TheNumberOfInputsIsBounded) {
    std::vector<Candidate> coins;
    for (uint32_t i = 0; i < 10; ++i) coins.push_back(Coin(i, 10'000 + i));
    EXPECT_TRUE(SelectCoins(coins, {Amount(40'000), 1'000, 5}).has_value());
    EXPECT_FALSE(SelectCoins(coins, {Amount(60'000), 1'000, 5}).has_value());
}

}  // namespace
}  // namespace sluice::wallet
