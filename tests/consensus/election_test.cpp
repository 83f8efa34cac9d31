#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>

#include "consensus/header_rules.h"

namespace sluice::consensus {
namespace {

using Big = boost::multiprecision::cpp_int;

Params WithF(uint32_t numerator, uint32_t denominator) {
    Params params;
    params.active_slots_numerator = numerator;
    params.active_slots_denominator = denominator;
    return params;
}

Hash256 Threshold(const Params& params, uint64_t weight, uint64_t total) {
    return LeaderThreshold(params, Amount(weight), Amount(total));
}

Big ToBig(const Hash256& hash) {
    Big n = 0;
    for (const uint8_t byte : hash) n = n << 8 | byte;
    return n;
}

struct Golden {
    uint32_t numerator, denominator;
    uint64_t weight, total;
    const char* threshold;
};

// ⌊2^256 (1 - (1-f)^σ)⌋ from decimal arithmetic of 260 digits.
constexpr Golden kGolden[] = {
    {1, 10, 1, 2'100'000'000'000'000, "000000000000039d810842a3e20db4653274f207bcc253a6188dd65dbfd86788"},
    {1, 10, 1, 3, "08d5b00c7bd0c534afe51b160f387afeac776ad3308b9091f66f3c51372cf8a1"},
    {1, 10, 1, 2, "0d2317649c934db96d18ee491e3c00cffcefcc7e8afff77f659ce3e9790de019"},
    {1, 10, 2, 3, "115d52b9c20d49d30481faae79811d6febdbaccfb7962d649ff96848a73585ba"},
    {1, 10, 500'000'000'000'000, 999'999'999'999'999,
     "0d2317649c935153563e70b92df8dccb2b1777056a928733624e6aeb1950c618"},
    {1, 10, 2'099'999'999'999'999, 2'100'000'000'000'000,
     "1999999999999658a57890d2e7b4b3e89488226861fceee02b042ce6b4071da5"},
    {1, 10, 7, 7, "1999999999999999999999999999999999999999999999999999999999999999"},
    {1, 2, 1, 2'100'000'000'000'000, "00000000000017c8b7e9398a07d64618a6def5cf84f8061f25fdd43f927fe974"},
    {1, 2, 1, 3, "34d00ad6148e1bea7d3332a5e11d908733fc4ef53afabf506eb729f98367df0d"},
    {1, 2, 1, 2, "4afb0ccc06219b7ba682764c8ab54160e2909f4576c457b312e8537a7ccc66ea"},
    {1, 2, 2, 3, "5ebae833946ba8eee112a47520ed7979ebb877eb74e7021fcf3ff99e482e9162"},
    {1, 2, 500'000'000'000'000, 999'999'999'999'999,
     "4afb0ccc0621ad244b0f5800d573198949665c1f9ad203fdb89e73eb8e3cc0dc"},
    {1, 2, 2'099'999'999'999'999, 2'100'000'000'000'000,
     "7ffffffffffff41ba40b633afafa05bdc8208815060528742bc8904bd7f558ba"},
    {1, 2, 7, 7, "8000000000000000000000000000000000000000000000000000000000000000"},
    {9, 10, 123'456'789, 987'654'321, "4006eed7028a561956793045811c14d004b93de16371966e8f41682d36c03b66"},
};

TEST(LeaderThreshold, EqualsTheExactFloorOfIndependentArithmetic) {
    for (const Golden& golden : kGolden)
        EXPECT_EQ(Threshold(WithF(golden.numerator, golden.denominator), golden.weight, golden.total).Hex(),
                  golden.threshold)
            << golden.numerator << "/" << golden.denominator << " " << golden.weight << "/" << golden.total;
}

TEST(LeaderThreshold, IsZeroWithoutWeightAndAllOnesWhenEverySlotIsActive) {
    EXPECT_TRUE(Threshold(WithF(1, 10), 0, 100).IsZero());
    EXPECT_TRUE(Threshold(WithF(1, 10), 0, 0).IsZero());
    EXPECT_TRUE(Threshold(WithF(1, 1), 0, 100).IsZero());
    EXPECT_EQ(Threshold(WithF(1, 1), 1, 100).Hex(), std::string(64, 'f'));
    EXPECT_EQ(Threshold(WithF(1, 1), 100, 100).Hex(), std::string(64, 'f'));
}

TEST(LeaderThreshold, GrowsWithEveryDropOfWeight) {
    constexpr uint64_t kTotal = kMaxSupply.drops;
    for (const Params& params : {WithF(1, 10), WithF(1, 2), WithF(9, 10)})
        for (const uint64_t from : {uint64_t{0}, kTotal / 1000, kTotal / 2, kTotal - 8}) {
            Hash256 last = Threshold(params, from, kTotal);
            for (uint64_t i = 1; i <= 8; ++i) {
                const Hash256 next = Threshold(params, from + i, kTotal);
                EXPECT_LT(last, next) << from + i;
                last = next;
            }
        }
}

TEST(LeaderThreshold, DependsOnTheShareAlone) {
    for (uint64_t weight = 1; weight <= 12; ++weight)
        EXPECT_EQ(Threshold(WithF(1, 10), weight, 13),
                  Threshold(WithF(1, 10), weight * 1'000'003, 13 * uint64_t{1'000'003}));
}

// Splitting stake over many ids neither helps nor hurts: 1 - φ(a+b) = (1 - φ(a)) (1 - φ(b)).
TEST(LeaderThreshold, IsIndependentOfHowStakeIsSplit) {
    const Big one = Big(1) << 256;
    for (const Params& params : {WithF(1, 10), WithF(1, 2)})
        for (uint64_t a = 1; a < 40; a += 7)
            for (uint64_t b = 1; a + b <= 41; b += 5) {
                const Big whole = one - ToBig(Threshold(params, a + b, 41));
                const Big split =
                    (one - ToBig(Threshold(params, a, 41))) * (one - ToBig(Threshold(params, b, 41))) >> 256;
                const Big apart = whole < split ? split - whole : whole - split;
                EXPECT_LE(apart, 3) << a << "+" << b;
            }
}

}  // namespace
}  // namespace sluice::consensus
