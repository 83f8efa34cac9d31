#include "consensus/params.h"

#include <algorithm>

namespace sluice::consensus {
namespace {

// Amounts below `below_slu` need `blocks` confirmations.
struct Step {
    uint64_t below_slu;
    uint32_t blocks;
};

// Ten-second blocks: half a minute for a song, an hour and more for what is worth a bond of 1,000 SLU. A branch of n
// blocks that no honest producer builds on costs its makers the rewards of n blocks, so what may be lost and the depth
// grow together.
constexpr std::array kSchedule{Step{1, 3}, Step{10, 6}, Step{100, 20}, Step{1'000, 60}, Step{10'000, 180}};

// One person plays all parts: shallow, but with more than one depth to be tested.
constexpr std::array kRegtestSchedule{Step{100, 1}, Step{1'000, 2}, Step{10'000, 6}, Step{100'000, 12}};

uint32_t Lookup(std::span<const Step> schedule, Amount amount, uint32_t k) {
    for (const Step& step : schedule)
        if (amount.drops < step.below_slu * kDropsPerSlu) return std::min(step.blocks, k);
    return k;
}

}  // namespace

uint32_t ConfirmationsFor(const Params& params, Amount amount) {
    if (params.network == "regtest") return Lookup(kRegtestSchedule, amount, params.k);
    return Lookup(kSchedule, amount, params.k);
}

}  // namespace sluice::consensus
