#include <algorithm>
#include <cmath>

#include "sim/models/fast_random.h"
#include "sim/models/model.h"
#include "sim/models/statistics.h"

// What a last revealer gains: who leads the last slots of the nonce window without an honest block between may leave
// out any of its blocks there, and so choose the best of 2^m nonces. Its VRF outputs are fixed by its keys and the
// slots: two blocks for one slot do not give two nonces.

namespace sluice::sim::models {

namespace {

constexpr uint64_t kTrials = 4'000;
constexpr uint32_t kPercents[] = {10, 20, 30, 40, 45};
constexpr size_t kMaxRun = 10;  // options are at most 2^10; a longer run leaves its first blocks as they are

Hash256 RandomHash(FastRandom& random) {
    Hash256 hash;
    for (size_t i = 0; i < 32; i += 8) {
        const uint64_t word = random.Next();
        for (size_t j = 0; j < 8; ++j) hash.bytes[i + j] = static_cast<uint8_t>(word >> (8 * j));
    }
    return hash;
}

// Slots of an epoch that a leader of chance `limit` wins under this nonce.
uint64_t SlotsWon(const Hash256& nonce, uint64_t slots, uint64_t limit) {
    uint64_t seed = 0;
    for (size_t i = 0; i < 8; ++i) seed = seed << 8 | nonce.bytes[i];
    FastRandom random(seed);
    uint64_t won = 0;
    for (uint64_t i = 0; i < slots; ++i) won += random.Next() < limit;
    return won;
}

crypto::VrfOutput RandomOutput(FastRandom& random) {
    crypto::VrfOutput beta;
    for (size_t i = 0; i < 64; i += 32) std::ranges::copy(RandomHash(random).bytes, beta.bytes.begin() + i);
    return beta;
}

// The state after a block in `slot` on `parent` whose VRF output is `beta`, as for a header that was checked.
consensus::HeaderState ChildState(const consensus::Params& params, const consensus::HeaderState& parent, Slot slot,
                                  const crypto::VrfOutput& beta) {
    BlockHeader header;
    header.prev = parent.hash;
    header.slot = slot;
    header.height = parent.height + 1;
    consensus::HeaderState state =
        consensus::ChildPlace(params, parent, header, BlockHash(consensus::LeaderValue(beta).bytes));
    consensus::CompleteState(params, parent, beta, state);
    return state;
}

// The end of a window: the last honest block, then the slots of the adversary's run.
struct WindowEnd {
    consensus::HeaderState base;
    std::vector<std::pair<Slot, crypto::VrfOutput>> run;
};

WindowEnd Draw(const consensus::Params& params, FastRandom& random, uint64_t mine, uint64_t theirs) {
    WindowEnd end;
    const uint64_t first = params.epoch_slots - params.nonce_cutoff_slots;  // of the cut-off
    uint64_t slot = first;
    while (--slot > 0) {
        const bool own = random.Next() < mine;
        if (random.Next() < theirs) break;  // of a slot with both, the honest block is there and ends the run
        if (own) end.run.emplace_back(Slot(slot), RandomOutput(random));
    }
    std::reverse(end.run.begin(), end.run.end());
    end.base.hash = CastHash<BlockHash>(RandomHash(random));
    end.base.slot = Slot(slot);
    end.base.height = Height(1000);
    end.base.nonce = RandomHash(random);
    end.base.nonce_accumulator = RandomHash(random);
    return end;
}

// The next epoch's nonce if the run's blocks in `shown` (a bit each, of the last ones) are in the chain.
Hash256 NextNonce(const consensus::Params& params, const WindowEnd& end, size_t shown, size_t options,
                  const crypto::VrfOutput& later) {
    consensus::HeaderState tip = end.base;
    const size_t fixed = end.run.size() - options;
    for (size_t i = 0; i < end.run.size(); ++i)
        if (i < fixed || (shown >> (i - fixed) & 1) != 0)
            tip = ChildState(params, tip, end.run[i].first, end.run[i].second);
    // A block inside the cut-off, which all options share: it must change nothing.
    tip = ChildState(params, tip, Slot(params.epoch_slots - 1), later);
    return consensus::NextContext(params, tip, Slot(params.epoch_slots)).nonce;
}

// Density and distribution of the standard normal.
double NormalBelow(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// Expected greatest of n standard normal numbers, by integration.
double ExpectedGreatest(double n) {
    double sum = 0;
    constexpr double kStep = 0.001;
    for (double x = -8; x < 8; x += kStep) {
        const double above = 1 - std::pow(NormalBelow(x), n);
        sum += (x >= 0 ? above : above - 1) * kStep;
    }
    return sum;
}

}  // namespace

ModelReport RunNonceGrinding(const ModelOptions& options) {
    ModelReport report{.scenario = "nonce-grinding", .seed = options.seed};
    const consensus::Params params;
    const uint64_t trials = options.slots ? std::max<uint64_t>(kBatches, options.slots / params.epoch_slots) : kTrials;
    Trace trace;
    for (const uint32_t percent : kPercents) {
        const uint64_t mine = LeadLimit(params, percent, 100);
        const uint64_t theirs = LeadLimit(params, 100 - percent, 100);
        FastRandom random(options.seed * 1000 + percent);
        std::vector<double> gain(kBatches), run_length(kBatches), lost(kBatches), weight(kBatches);
        for (uint64_t trial = 0; trial < trials; ++trial) {
            const size_t batch = trial % kBatches;
            weight[batch] += 1;
            const WindowEnd end = Draw(params, random, mine, theirs);
            const crypto::VrfOutput later = RandomOutput(random);
            const size_t m = std::min(end.run.size(), kMaxRun);
            run_length[batch] += static_cast<double>(end.run.size());
            report.slots += params.epoch_slots;
            report.blocks += end.run.size();
            if (m == 0) continue;
            const size_t all = (size_t{1} << m) - 1;
            if (NextNonce(params, end, all, m, later) != NextNonce(params, end, all, m, RandomOutput(random)))
                ++report.invariant_failures;  // the cut-off leaks
            uint64_t honest = 0, best = 0;
            size_t best_shown = all;
            for (size_t i = 0; i <= all; ++i) {
                const size_t shown = all - i;  // showing all comes first: of equals it is the cheapest
                const uint64_t won = SlotsWon(NextNonce(params, end, shown, m, later), params.epoch_slots, mine);
                if (i == 0) honest = won;
                if (i == 0 || won > best) best = won, best_shown = shown;
            }
            gain[batch] += static_cast<double>(best - honest);
            const auto left_out = static_cast<uint64_t>(m) - static_cast<uint64_t>(std::popcount(best_shown));
            lost[batch] += static_cast<double>(left_out);
            report.orphaned += left_out;
            trace.Add(best);
            trace.Add(best_shown);
        }
        const double p = Chance(mine);
        const double mean = p * static_cast<double>(params.epoch_slots);
        const double deviation = std::sqrt(mean * (1 - p));
        // A slot of the run's end: own without an honest one, before the first honest one.
        const double own = p * (1 - Chance(theirs));
        const double q = own / (own + Chance(theirs));
        double theory = 0, run = 0;
        for (size_t m = 0; m <= 60; ++m) {
            const double chance = std::pow(q, static_cast<double>(m)) * (1 - q);
            run += chance * static_cast<double>(m);
            theory += chance * deviation * ExpectedGreatest(std::ldexp(1, static_cast<int>(std::min(m, kMaxRun))));
        }
        const std::string where = "adversary " + std::to_string(percent) + " %";
        const Estimate slots = RatioOfSums(gain, weight);
        const Estimate blocks = RatioOfSums(lost, weight);
        report.figures.push_back({"more slots won an epoch", where, slots.value, slots.low, slots.high, theory});
        report.figures.push_back({"gain percent of its slots", where, 100 * slots.value / mean, 100 * slots.low / mean,
                                  100 * slots.high / mean, 100 * theory / mean});
        report.figures.push_back(
            {"blocks given up for it an epoch", where, blocks.value, blocks.low, blocks.high, std::nullopt});
        const Estimate length = RatioOfSums(run_length, weight);
        report.figures.push_back({"blocks in the last run", where, length.value, length.low, length.high, run});
        trace.Add(random.Next());
    }
    report.trace_hash = trace.Finish();
    return report;
}

}  // namespace sluice::sim::models
