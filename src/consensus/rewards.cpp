#include "consensus/rewards.h"

#include <boost/multiprecision/cpp_int.hpp>

#include "primitives/script.h"

namespace sluice::consensus {
namespace {

namespace mp = boost::multiprecision;
// No product here is over 2^51 (an amount) times 2^155 (2^40 blocks of at most 2^115 each).
using Uint256 = mp::number<mp::cpp_int_backend<256, 256, mp::unsigned_magnitude, mp::unchecked, void>>;
constexpr unsigned kFractionBits = 64;

using Accumulator = std::array<uint8_t, 32>;

Uint256 Load(const Accumulator& bytes) {
    Uint256 value;
    mp::import_bits(value, bytes.begin(), bytes.end(), 8, false);
    return value;
}

Accumulator Store(const Uint256& value) {
    Accumulator bytes{};
    mp::export_bits(value, bytes.begin(), 8, false);
    return bytes;
}

// A(epoch): the accumulator at the end of an epoch.
Uint256 AccumulatedBy(const StateReader& state, const StakerId& id, const StakerState& staker, Epoch epoch) {
    if (staker.reward_epoch <= epoch) return Load(staker.reward_per_drop);
    // The entries before `first` are of epochs up to `epoch`, those from `last` on are later.
    uint32_t first = 0, last = staker.reward_entries;
    Uint256 value = 0;
    while (first < last) {
        const uint32_t middle = first + (last - first) / 2;
        const auto entry = state.Get<RewardHistory>({id, middle});
        if (!entry) return 0;  // could not be read, which the reader's owner finds out
        if (entry->epoch <= epoch) {
            value = Load(entry->reward_per_drop);
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return value;
}

}  // namespace

Amount CommissionOf(Amount subsidy, uint16_t commission_permille) {
    return Amount(static_cast<uint64_t>(static_cast<unsigned __int128>(subsidy.drops) * commission_permille / 1000));
}

Amount CoinbaseValue(Amount subsidy, const SnapshotEntry& producer, Amount fees) {
    const auto value = Add(CommissionOf(subsidy, producer.commission_permille), fees);
    CHECK(value.has_value());
    return *value;
}

Amount ShareReward(StateCache& state, const StakeSnapshot& elects, const SnapshotEntry& producer, Epoch epoch,
                   Amount subsidy) {
    const uint64_t shared = subsidy.drops - CommissionOf(subsidy, producer.commission_permille).drops;
    if (shared == 0 || !elects.HasStake(epoch)) return {};
    AdoptWaitingStake(state, producer.staker);
    auto staker = state.Get<StakerState>(producer.staker);
    if (!staker) return {};  // could not be read
    const Amount earning = epoch < Epoch(2) ? staker->stake.MadeBefore(Epoch(0)) : staker->stake.MadeBefore(epoch - 2);
    if (earning.drops == 0) return {};
    const Amount weight = elects.Weight(producer, epoch);
    CHECK(weight.drops != 0);  // it led
    const Uint256 delta = (Uint256(shared) << kFractionBits) / weight.drops;
    const Uint256 one = Uint256(1) << kFractionBits;
    const Amount minted(static_cast<uint64_t>((earning.drops * delta + (one - 1)) >> kFractionBits));

    const Uint256 before = Load(staker->reward_per_drop);
    if (staker->reward_epoch < epoch && before != 0)
        state.Put({producer.staker, staker->reward_entries++},
                  RewardHistory{staker->reward_epoch, staker->reward_per_drop});
    staker->reward_per_drop = Store(before + delta);
    staker->reward_epoch = epoch;
    staker->pot.drops += minted.drops;
    state.Put(producer.staker, *staker);
    return minted;
}

Amount AccruedReward(const Params& params, const StateReader& state, const Coin& coin, Epoch epoch) {
    const auto output = ParseOutputScript(coin.output.script);
    if (!output || output->kind != OutputKind::kStake || epoch == Epoch(0)) return {};
    const auto staker = state.Get<StakerState>(output->staker);
    if (!staker) return {};
    const Epoch created = StakeEpoch(params, coin);
    const bool genesis = created == kGenesisStakeEpoch;
    if (!genesis && epoch <= created + 3) return {};
    const Uint256 until = AccumulatedBy(state, output->staker, *staker, epoch - 1);
    const Uint256 from = genesis ? Uint256(0) : AccumulatedBy(state, output->staker, *staker, created + 2);
    if (until <= from) return {};
    const Uint256 share = (coin.output.value.drops * Uint256(until - from)) >> kFractionBits;
    return Amount(static_cast<uint64_t>(share));
}

}  // namespace sluice::consensus
