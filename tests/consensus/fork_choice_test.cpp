#include "consensus/fork_choice.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice::consensus {
namespace {

constexpr uint32_t kK = 10;
constexpr Height kFork(100);
constexpr Slot kForkSlot(1'000);

Params TestParams() {
    Params params;
    params.k = kK;
    params.active_slots_numerator = 1;
    params.active_slots_denominator = 10;
    return params;
}

HeaderState Fork() {
    HeaderState fork{};
    fork.height = kFork;
    fork.slot = kForkSlot;
    return fork;
}

// A branch of `blocks` blocks after the fork, `in_window` of them in the window.
struct Side {
    uint32_t blocks;
    uint32_t in_window;
    uint64_t slots{500};
    uint8_t tie_break{0};
};

size_t Best(const std::vector<Side>& sides) {
    std::vector<HeaderState> tips(sides.size());
    std::vector<Branch> branches;
    for (size_t i = 0; i < sides.size(); ++i) {
        tips[i].height = kFork + sides[i].blocks;
        tips[i].slot = kForkSlot + sides[i].slots;
        tips[i].tie_break.bytes[0] = sides[i].tie_break;
        branches.push_back({tips[i], sides[i].in_window});
    }
    return BestBranch(TestParams(), Fork(), branches);
}
// Whether `a` wins against `b` whichever was seen first; both false if it depends on that.
bool Beats(const Side& a, const Side& b) { return Best({b, a}) == 1 && Best({a, b}) == 0; }

TEST(ForkChoice, TheWindowIsOfThreeTimesTheSlotsInWhichKBlocksAreExpected) {
    Params params;
    EXPECT_EQ(DensityWindowSlots(params), 12'960u);  // 3 * 432 * 10
    params.k = 7;
    params.active_slots_numerator = 2;
    params.active_slots_denominator = 3;
    EXPECT_EQ(DensityWindowSlots(params), 31u);  // 21 * 3 / 2, rounded down
    EXPECT_EQ(DensityWindowEnd(params, Slot(100)), Slot(131));
    // It lies in what the shared past elects: at most two epochs, and those are 10k/f slots each.
    params = Params();
    EXPECT_LE(DensityWindowSlots(params), params.epoch_slots);
}

TEST(ForkChoice, DensityDecidesFromKPlusOneBlocksOn) {
    EXPECT_FALSE(DensityDecides(TestParams(), kFork, kFork));
    EXPECT_FALSE(DensityDecides(TestParams(), kFork, kFork + kK));
    EXPECT_TRUE(DensityDecides(TestParams(), kFork, kFork + kK + 1));
}

TEST(ForkChoice, UpToKBlocksTheLongestWinsWhateverItsDensity) {
    EXPECT_TRUE(Beats({kK, 1}, {kK - 1, kK - 1}));
    EXPECT_TRUE(Beats({2, 0}, {1, 1}));
}

TEST(ForkChoice, BeyondKTheDenserWinsWhateverItsLength) {
    EXPECT_TRUE(Beats({kK - 1, kK - 1}, {kK + 1, 1}));
    EXPECT_TRUE(Beats({5, 5}, {1'000'000, 4}));
    EXPECT_TRUE(Beats({40, 30}, {50, 29}));
}

TEST(ForkChoice, EquallyDenseBranchesAreJudgedAsWithinK) {
    EXPECT_TRUE(Beats({41, 20}, {40, 20}));
    EXPECT_TRUE(Beats({40, 20, 500, 1}, {40, 20, 503, 2}));
    EXPECT_EQ(Best({{40, 20, 500, 2}, {40, 20, 504, 1}}), 0u);  // four slots apart: the first seen stays
    EXPECT_EQ(Best({{40, 20, 504, 1}, {40, 20, 500, 2}}), 0u);
}

TEST(ForkChoice, ThreeBranchesAreJudgedByOneRuleSoThatNoCircleArises) {
    // Pairwise a beats b by length, b beats c and c beats a by density.
    const Side a{kK, 2}, b{kK - 1, 6}, c{kK + 5, 4};
    ASSERT_TRUE(Beats(a, b));
    ASSERT_TRUE(Beats(b, c));
    ASSERT_TRUE(Beats(c, a));
    for (const auto& order : {std::vector<Side>{a, b, c}, {a, c, b}, {b, a, c}, {b, c, a}, {c, a, b}, {c, b, a}})
        EXPECT_EQ(order[Best(order)].in_window, b.in_window);
}

TEST(ForkChoice, IsSymmetricForRandomBranches) {
    std::mt19937 random(7);
    size_t decided = 0;
    for (int i = 0; i < 20'000; ++i) {
        const auto side = [&] {
            const uint32_t blocks = 1 + random() % (2 * kK);
            return Side{blocks, static_cast<uint32_t>(random() % (blocks + 1)), 300 + random() % 8,
                        static_cast<uint8_t>(random() % 4)};
        };
        const Side a = side(), b = side();
        // Either the same one wins in both orders, or the first does.
        const size_t ab = Best({a, b}), ba = Best({b, a});
        EXPECT_FALSE(ab == 1 && ba == 1);
        decided += ab != ba;
    }
    EXPECT_GT(decided, 15'000u);
}

}  // namespace
}  // namespace sluice::consensus
