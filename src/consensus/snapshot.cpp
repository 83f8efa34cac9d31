#include "consensus/snapshot.h"

#include <algorithm>

namespace sluice::consensus {
namespace {

// Adds what was sent to an id before it registered to what was sent since.
void Merge(StakerState& staker, const WaitingStake& waiting) {
    staker.stake.drops += waiting.stake.drops;
    if (waiting.recent_epoch == staker.recent_epoch) {
        staker.recent_stake.drops += waiting.recent_stake.drops;
    } else if (waiting.recent_epoch > staker.recent_epoch) {
        staker.recent_epoch = waiting.recent_epoch;
        staker.recent_stake = waiting.recent_stake;
    }
}

// StakerState and WaitingStake count alike.
void AddTo(auto& counted, Amount amount, Epoch epoch) {
    counted.stake.drops += amount.drops;
    if (epoch == kGenesisStakeEpoch) return;
    if (counted.recent_epoch != epoch) {
        counted.recent_epoch = epoch;
        counted.recent_stake = Amount();
    }
    counted.recent_stake.drops += amount.drops;
}

// Stops at 0: a reader that failed says "absent", and its owner throws away what comes of it.
void RemoveFrom(auto& counted, Amount amount, Epoch created) {
    counted.stake.drops -= std::min(counted.stake, amount).drops;
    if (counted.recent_epoch != created || created == kGenesisStakeEpoch) return;
    counted.recent_stake.drops -= std::min(counted.recent_stake, amount).drops;
}

Amount EligibleStake(const StakeSnapshot& snapshot, const SnapshotEntry& entry, Epoch for_epoch) {
    if (snapshot.epoch + 2 < for_epoch) return entry.stake;
    return Amount(entry.stake.drops - entry.recent_stake.drops);
}

bool HasEligibleStake(const StakeSnapshot& snapshot, Epoch for_epoch) {
    return std::any_of(snapshot.entries.begin(), snapshot.entries.end(), [&](const SnapshotEntry& entry) {
        return EligibleStake(snapshot, entry, for_epoch).drops != 0;
    });
}

}  // namespace

Hash256 StakeSnapshot::Hash() const { return crypto::TaggedHash("Sluice/snapshot", Encode(*this)); }

const SnapshotEntry* StakeSnapshot::Find(const StakerId& staker) const {
    const auto found =
        std::lower_bound(entries.begin(), entries.end(), staker,
                         [](const SnapshotEntry& entry, const StakerId& id) { return entry.staker < id; });
    return found != entries.end() && found->staker == staker ? &*found : nullptr;
}

Amount StakeSnapshot::Weight(const SnapshotEntry& entry, Epoch for_epoch) const {
    return HasEligibleStake(*this, for_epoch) ? EligibleStake(*this, entry, for_epoch) : kWeightWithoutStake;
}

Amount StakeSnapshot::TotalWeight(Epoch for_epoch) const {
    Amount total;
    for (const SnapshotEntry& entry : entries) total.drops += EligibleStake(*this, entry, for_epoch).drops;
    return total.drops != 0 ? total : Amount(kWeightWithoutStake.drops * entries.size());
}

StakeSnapshot TakeSnapshot(const StateReader& state, const BlockHash& block, Epoch epoch) {
    StakeSnapshot snapshot{block, epoch, {}};
    const auto list = state.Get<StakerList>({});
    if (!list) return snapshot;
    for (const StakerId& id : list->ids) {
        auto staker = state.Get<StakerState>(id);
        if (!staker || staker->status != StakerStatus::kActive) continue;
        if (const auto waiting = state.Get<WaitingStake>(id)) Merge(*staker, *waiting);
        const Amount recent = staker->recent_epoch == epoch ? staker->recent_stake : Amount();
        snapshot.entries.push_back({id, staker->stake, recent, staker->vrf_key, staker->signing_key,
                                    staker->commission_permille, std::move(staker->payout_script)});
    }
    return snapshot;
}

Epoch StakeEpoch(const Params& params, const Coin& coin) {
    return coin.height == Height(0) ? kGenesisStakeEpoch : params.EpochOf(coin.slot);
}

void AdoptWaitingStake(StateCache& state, const StakerId& staker) {
    const auto waiting = state.Get<WaitingStake>(staker);
    auto known = state.Get<StakerState>(staker);
    if (!waiting || !known) return;
    Merge(*known, *waiting);
    state.Put(staker, *known);
    state.Erase<WaitingStake>(staker);
}

void AddStake(StateCache& state, const StakerId& staker, Amount amount, Epoch epoch) {
    AdoptWaitingStake(state, staker);
    if (auto known = state.Get<StakerState>(staker)) {
        AddTo(*known, amount, epoch);
        state.Put(staker, *known);
        return;
    }
    auto waiting = state.Get<WaitingStake>(staker).value_or(WaitingStake{});
    AddTo(waiting, amount, epoch);
    state.Put(staker, waiting);
}

void RemoveStake(StateCache& state, const StakerId& staker, Amount amount, Epoch created) {
    AdoptWaitingStake(state, staker);
    if (auto known = state.Get<StakerState>(staker)) {
        RemoveFrom(*known, amount, created);
        state.Put(staker, *known);
        return;
    }
    auto waiting = state.Get<WaitingStake>(staker).value_or(WaitingStake{});
    RemoveFrom(waiting, amount, created);
    if (waiting.stake.drops == 0) {
        state.Erase<WaitingStake>(staker);
    } else {
        state.Put(staker, waiting);
    }
}

}  // namespace sluice::consensus
