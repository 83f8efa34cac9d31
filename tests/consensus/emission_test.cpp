#include <gtest/gtest.h>

#include <array>

#include "consensus/genesis.h"

// The emission curve of doc/consensus.md, computed with the rule of the chain itself: these are the numbers printed
// there.

namespace sluice::consensus {
namespace {

// 365 days of two epochs of twelve hours each.
constexpr uint64_t kEpochsPerYear = 730;

// Every epoch full of the blocks expected, nothing burned, everything that is due minted.
class FullEmission {
  public:
    FullEmission() {
        m_totals.genesis = kGenesisSupply;
        m_totals.reserve_at_epoch_start = Amount(kMaxSupply.drops - kGenesisSupply.drops);
    }
    Amount reserve() const { return Amount(kMaxSupply.drops - m_totals.genesis.drops - m_totals.minted.drops); }
    Amount minted() const { return m_totals.minted; }
    Amount subsidy() const { return BlockSubsidy(m_params, m_totals, m_totals.epoch); }

    void RunEpoch() {
        const Amount each = subsidy();
        m_totals.minted.drops += each.drops * (m_params.ExpectedEpochBlocks() - 1);
        ASSERT_EQ(subsidy(), each);  // the last block's is the first's
        m_totals.minted.drops += each.drops;
        m_totals.epoch = Epoch(m_totals.epoch.value + 1);
        m_totals.reserve_at_epoch_start = reserve();
    }
    void RunYears(uint64_t years) {
        for (uint64_t i = 0; i < years * kEpochsPerYear; ++i) RunEpoch();
    }

  private:
    Params m_params = BuiltInParams("main");
    LedgerTotals m_totals;
};

struct Year {
    uint64_t year;
    std::string minted;  // SLU since genesis
    std::string subsidy;
};

TEST(Emission, TheTableByYearIsTheOneInTheDocument) {
    const std::array table{Year{0, "0", "0.35011574"},
                           Year{1, "1050588.8068176", "0.31667686"},
                           Year{2, "2000837.8988928", "0.28643166"},
                           Year{3, "2860330.5296064", "0.25907512"},
                           Year{5, "4340890.445184", "0.21195082"},
                           Year{7, "5552144.8669872", "0.17339816"},
                           Year{10, "6968750.8788432", "0.12830943"},
                           Year{15, "8559588.1845456", "0.07767514"},
                           Year{20, "9522639.0757584", "0.04702248"},
                           Year{30, "10458580.830768", "0.01723267"},
                           Year{50, "10927284.2779104", "0.00231444"},
                           Year{100, "10999519.1561088", "0.0000153"}};
    FullEmission emission;
    uint64_t year = 0;
    for (const Year& line : table) {
        emission.RunYears(line.year - year);
        year = line.year;
        EXPECT_EQ(FormatSlu(emission.minted()), line.minted) << year;
        EXPECT_EQ(FormatSlu(emission.subsidy()), line.subsidy) << year;
    }
}

TEST(Emission, HalfTheReserveIsMintedWithinTheHalfLifeAndNotBefore) {
    FullEmission emission;
    const uint64_t reserve = emission.reserve().drops;
    constexpr uint64_t kHalfLifeEpochs = 5'041;  // ln 2 / -ln(1 - 1375/10^7) = 5040.7: 6.9 years
    for (uint64_t i = 0; i + 1 < kHalfLifeEpochs; ++i) emission.RunEpoch();
    EXPECT_LT(emission.minted().drops, reserve / 2);
    emission.RunEpoch();
    EXPECT_GE(emission.minted().drops, reserve / 2);
}

// r·(1 − q)^n with exact integers: each epoch mints ⌊⌊r·1375/10⁷⌋/4320⌋·4320, which is at most the exact share and less
// than 4,321 drops below it.
TEST(Emission, EachEpochMintsTheExactShareLessThanOneDropABlockBelowIt) {
    using Wide = unsigned __int128;
    FullEmission emission;
    for (int epoch = 0; epoch < 20'000; ++epoch) {
        const Wide reserve = emission.reserve().drops;
        const Amount before = emission.minted();
        emission.RunEpoch();
        const Wide minted = emission.minted().drops - before.drops;
        EXPECT_LE(minted * 10'000'000, reserve * 1375);
        EXPECT_GT((minted + 4'321) * 10'000'000, reserve * 1375);
    }
}

TEST(Emission, EndsOnceAShareIsUnderADropABlockAndNeverPassesTheCap) {
    // The share of an epoch is under 4,320 drops exactly when the reserve is under ⌈4320·10⁷/1375⌉ drops.
    constexpr uint64_t kLeastReserve = (uint64_t{4'320} * 10'000'000 + 1'374) / 1'375;  // 0.31418182 SLU
    static_assert(kLeastReserve == 31'418'182);
    const Params params = BuiltInParams("main");
    LedgerTotals totals;
    totals.genesis = kGenesisSupply;
    totals.minted = Amount(kMaxSupply.drops - kGenesisSupply.drops - kLeastReserve);
    totals.reserve_at_epoch_start = Amount(kLeastReserve);
    EXPECT_EQ(BlockSubsidy(params, totals, Epoch(0)), Amount(1));
    ++totals.minted.drops;
    --totals.reserve_at_epoch_start.drops;
    EXPECT_EQ(BlockSubsidy(params, totals, Epoch(0)), Amount(0));

    FullEmission emission;
    while (emission.subsidy() > Amount(0)) {
        emission.RunEpoch();
        ASSERT_LE(kGenesisSupply.drops + emission.minted().drops, kMaxSupply.drops);
    }
    EXPECT_LT(emission.reserve().drops, kLeastReserve);
    EXPECT_GT(emission.reserve().drops, kLeastReserve - 4'321);
}

// A slot is won by luck: an epoch may have up to as many blocks as slots, ten times what is expected.
TEST(Emission, EpochsWithABlockInEverySlotStayUnderTheCapToo) {
    Params params = BuiltInParams("main");
    params.subsidy_numerator =
        params.subsidy_denominator;  // the whole reserve in each epoch: the worst that is allowed
    LedgerTotals totals;
    totals.genesis = kGenesisSupply;
    totals.reserve_at_epoch_start = Amount(kMaxSupply.drops - kGenesisSupply.drops);
    for (uint64_t slot = 0; slot < params.epoch_slots; ++slot) {
        totals.minted.drops += BlockSubsidy(params, totals, Epoch(0)).drops;
        ASSERT_LE(totals.genesis.drops + totals.minted.drops, kMaxSupply.drops) << slot;
    }
    EXPECT_EQ(totals.genesis.drops + totals.minted.drops, kMaxSupply.drops);
}

}  // namespace
}  // namespace sluice::consensus
