#include "sim/models/private_attack.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/models/model.h"
#include "sim/models/statistics.h"

// Nakamoto's private attack: a chain made in secret overtakes the public one after a block has been trusted at some
// depth.

namespace sluice::sim::models {

Race DrawRace(const consensus::Params& params, uint32_t adversary_permille, uint32_t delay_slots, uint64_t slots,
              FastRandom& random) {
    CHECK(delay_slots >= 1 && slots < UINT32_MAX);
    const uint64_t mine = LeadLimit(params, adversary_permille, 1000);
    const uint64_t theirs = LeadLimit(params, 1000 - adversary_permille, 1000);
    Race race{{0}, {0}, {0}, {}, {}, 0};
    uint32_t won = 0;
    consensus::HeaderState own, honest;  // tips of the same height
    const auto tie = [](consensus::HeaderState& state, uint32_t slot, uint64_t value) {
        state.slot = Slot(slot);
        for (size_t i = 0; i < 8; ++i) state.tie_break.bytes[i] = static_cast<uint8_t>(value >> (56 - 8 * i));
    };
    for (uint32_t slot = 1; slot <= slots; ++slot) {
        const bool own_slot = random.Next() < mine;
        if (random.Next() < theirs) {
            ++race.honest_blocks;
            if (race.slot.size() == 1 || slot - race.slot.back() >= delay_slots) {
                race.won_before.push_back(won);
                race.tie_wins.push_back(won > 0 && consensus::BetterTip(own, honest));
                race.slot.push_back(slot);
                race.tie_break.push_back(random.Next());
                race.won_at.push_back(won + own_slot);
                tie(honest, slot, race.tie_break.back());
            }
        }
        if (own_slot) {
            ++won;
            tie(own, slot, random.Next());
        }
    }
    race.won_before.push_back(won);
    race.tie_wins.push_back(won > 0 && consensus::BetterTip(own, honest));
    return race;
}

std::vector<uint32_t> UndoneDepths(const Race& race, Start start) {
    const auto heights = static_cast<int64_t>(race.slot.size());
    // The adversary's lead at the end of height h, in half blocks so that a won tie is a half; ahead if it is greater
    // than that at its fork.
    const auto lead = [&](int64_t h) {
        return 2 * (int64_t{race.won_before[static_cast<size_t>(h)]} - h) +
               (race.tie_wins[static_cast<size_t>(h)] ? 1 : 0);
    };
    // Heights at which the lead is at least that of all later ones, last first: leads grow as heights fall.
    std::vector<std::pair<int64_t, int64_t>> best;  // (lead, height)
    for (int64_t h = heights - 1; h >= 1; --h)
        if (best.empty() || lead(h) > best.back().first) best.emplace_back(lead(h), h);
    std::vector<uint32_t> depths;
    depths.reserve(race.slot.size() - 1);
    int64_t from = INT64_MAX;  // lead at the fork
    for (int64_t h = 1; h < heights; ++h) {
        const int64_t here = 2 * (int64_t{race.won_at[static_cast<size_t>(h - 1)]} - (h - 1));
        from = start == Start::kBefore ? std::min(from, here) : here;
        // The last height whose lead exceeds `from`.
        const auto found =
            std::partition_point(best.begin(), best.end(), [&](const auto& b) { return b.first <= from; });
        depths.push_back(found == best.end() || found->second < h ? 0 : static_cast<uint32_t>(found->second - h + 1));
    }
    return depths;
}

std::vector<double> UndoneByTheory(const consensus::Params& params, uint32_t adversary_permille, uint32_t delay_slots,
                                   Start start, bool ties, uint32_t max_depth) {
    const double a = Chance(LeadLimit(params, adversary_permille, 1000));
    const double h = Chance(LeadLimit(params, 1000 - adversary_permille, 1000));
    // Slots won from one height to the next: in delay_slots - 1 slots that cannot end it and a geometric number that
    // can.
    constexpr size_t kMost = 100;
    std::vector<double> step(kMost, 0.0);
    double among_failures = h / (1 - (1 - h) * (1 - a));
    for (size_t i = 0; i < kMost; ++i) {
        step[i] += among_failures * (1 - a);
        if (i + 1 < kMost) step[i + 1] += among_failures * a;
        among_failures *= (1 - h) * a / (1 - (1 - h) * (1 - a));
    }
    for (uint32_t i = 1; i < delay_slots; ++i)
        for (size_t j = kMost; j-- > 0;) step[j] = step[j] * (1 - a) + (j > 0 ? step[j - 1] * a : 0);

    // How far the walk with these steps less one ever gets above its start (also the lead that a walk at work for ever
    // has): up and down across each level balance.
    const size_t size = max_depth + kMost + 2;
    std::vector<double> above(kMost + 1, 0.0);  // P(step > i)
    for (size_t i = kMost; i-- > 0;) above[i] = above[i + 1] + (i + 1 < kMost ? step[i + 1] : 0.0);
    double mean = 0;
    for (size_t i = 0; i < kMost; ++i) mean += static_cast<double>(i) * step[i];
    std::vector<double> level(size + 1, 0.0);
    if (mean >= 1) return std::vector<double>(max_depth, 1.0);
    level[0] = (1 - mean) / step[0];
    for (size_t n = 0; n < size; ++n)
        for (size_t i = n + 1 >= kMost ? n + 1 - kMost + 1 : 0; i <= n; ++i)
            level[n + 1] += level[i] * above[n + 1 - i] / step[0];
    std::vector<double> reaches(size + 2, 0.0);  // P(ever gets >= m)
    for (size_t m = size + 1; m-- > 0;) reaches[m] = reaches[m + 1] + level[m];

    constexpr double kNegligible = 1e-7;
    // Slots won, with the lead at the fork, up to the end of height d; more than needed is as good as just enough.
    std::vector<double> won(size, 0.0);
    if (start == Start::kBefore)
        std::copy_n(level.begin(), size, won.begin());
    else
        won[0] = 1;
    const auto advance = [&] {
        std::vector<double> next(size, 0.0);
        for (size_t i = 0; i < size; ++i) {
            if (won[i] < 1e-18) continue;
            for (size_t j = 0; j < kMost && (j < 3 || step[j] > 1e-15); ++j)
                next[std::min(i + j, size - 1)] += won[i] * step[j];
        }
        won = std::move(next);
    };
    advance();
    std::vector<double> chances;
    for (uint32_t d = 1; d <= max_depth; ++d) {
        advance();
        const size_t needed = d + (ties ? 0 : 1);
        double chance = 0;
        for (size_t x = 0; x < size; ++x) chance += won[x] * (x >= needed ? 1 : reaches[needed - x]);
        if (chance < kNegligible) break;
        chances.push_back(chance);
    }
    chances.resize(max_depth, 0.0);
    return chances;
}

namespace {

constexpr uint64_t kSlots = 50'000'000;
// Of an honest block to the other honest. The second is for the cautious reading of "at most 2 s", in which a block
// that misses another by up to 2 s on either side counts for nothing.
constexpr uint32_t kDelaySlots = 2;
constexpr uint32_t kCautiousDelaySlots = 4;
constexpr uint32_t kMaxDepth = 3'000;
constexpr double kSafe = 1e-3;

struct Row {
    uint32_t percent;
    uint32_t delay_slots;
    std::optional<double> expected_depth;
};
const Row kRows[] = {{10, kDelaySlots, 7},          {15, kDelaySlots, {}},        {20, kDelaySlots, 18},
                     {25, kDelaySlots, {}},         {30, kDelaySlots, 49},        {35, kDelaySlots, {}},
                     {40, kDelaySlots, {}},         {45, kDelaySlots, {}},        {10, kCautiousDelaySlots, 7},
                     {20, kCautiousDelaySlots, 18}, {30, kCautiousDelaySlots, 49}};

// For each depth d (at [d - 1]) the chance to be undone there or deeper, from batches of consecutive blocks.
std::vector<Estimate> ChancesByDepth(const std::vector<uint32_t>& depths) {
    std::vector<std::vector<double>> deep(kMaxDepth, std::vector<double>(kBatches, 0.0));
    std::vector<double> all(kBatches, 0.0);
    for (size_t i = 0; i < depths.size(); ++i) {
        const size_t batch = i * kBatches / depths.size();
        all[batch] += 1;
        if (depths[i] > 0) deep[std::min(depths[i], kMaxDepth) - 1][batch] += 1;
    }
    for (size_t d = kMaxDepth - 1; d-- > 0;)
        for (size_t batch = 0; batch < kBatches; ++batch) deep[d][batch] += deep[d + 1][batch];
    std::vector<Estimate> chances;
    for (const auto& counts : deep) chances.push_back(RatioOfSums(counts, all));
    return chances;
}

// The least depth from which on `chance` is at most kSafe.
template <class T>
double SafeDepth(const std::vector<T>& chances, const auto& chance) {
    size_t d = chances.size();
    while (d > 0 && chance(chances[d - 1]) <= kSafe) --d;
    return static_cast<double>(d + 1);
}

void Measure(ModelReport& report, Trace& trace, const consensus::Params& params, const Row& row, const Race& race,
             Start start) {
    std::vector<uint32_t> depths = UndoneDepths(race, start);
    // What begins near the end may not have ended.
    if (depths.size() > 20 * kMaxDepth) depths.resize(depths.size() - kMaxDepth);
    const std::vector<Estimate> chances = ChancesByDepth(depths);
    for (uint32_t d = 0; d < 100; ++d) trace.Add(static_cast<uint64_t>(chances[d].value * 1e15));
    if (!depths.empty())
        report.max_reorg_depth =
            std::max<uint64_t>(report.max_reorg_depth, *std::max_element(depths.begin(), depths.end()));
    const auto low = UndoneByTheory(params, row.percent * 10, row.delay_slots, start, false, kMaxDepth);
    const auto high = UndoneByTheory(params, row.percent * 10, row.delay_slots, start, true, kMaxDepth);

    const std::string where = "adversary " + std::to_string(row.percent) + " %, delay " +
                              std::to_string(row.delay_slots) + " s, " +
                              (start == Start::kBefore ? "at work all the time" : "starts with the block");
    const auto itself = [](double x) { return x; };
    report.figures.push_back({"depth to 10^-3", where, SafeDepth(chances, [](const Estimate& e) { return e.value; }),
                              SafeDepth(chances, [](const Estimate& e) { return e.low; }),
                              SafeDepth(chances, [](const Estimate& e) { return e.high; }), SafeDepth(low, itself),
                              SafeDepth(high, itself), row.expected_depth});
    for (const uint32_t d : {1u, 3u, 6u, 12u, 20u, 60u, 180u}) {
        const Estimate& chance = chances[d - 1];
        if (chance.value == 0 || low[d - 1] == 0) continue;
        report.figures.push_back({"undone at depth " + std::to_string(d) + " or more", where, chance.value,
                                  std::max(0.0, chance.low), chance.high, low[d - 1], high[d - 1]});
        // Outside of what winning no tie and winning every tie give, beyond chance: the walk is not what we think.
        const double slack = chance.high - chance.low;
        if (chance.value + slack < low[d - 1] || chance.value - slack > high[d - 1]) ++report.invariant_failures;
    }
}

}  // namespace

ModelReport RunPrivateAttack(const ModelOptions& options) {
    ModelReport report{.scenario = "private-attack", .seed = options.seed};
    const consensus::Params params;
    Trace trace;
    for (const Row& row : kRows) {
        FastRandom random(options.seed * 1000 + row.delay_slots * 100 + row.percent);
        const uint64_t slots = options.slots ? options.slots : kSlots;
        const Race race = DrawRace(params, row.percent * 10, row.delay_slots, slots, random);
        report.slots += slots;
        report.blocks += race.honest_blocks + race.won_before.back();
        report.orphaned += race.honest_blocks - (race.slot.size() - 1);
        Measure(report, trace, params, row, race, Start::kWithTheBlock);
        Measure(report, trace, params, row, race, Start::kBefore);
        trace.Add(random.Next());
    }
    report.trace_hash = trace.Finish();
    return report;
}

}  // namespace sluice::sim::models
