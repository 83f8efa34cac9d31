#include "consensus/snapshot.h"

#include <algorithm>

namespace sluice::consensus {
namespace {

Amount EligibleStake(const StakeSnapshot& snapshot, const SnapshotEntry& entry, Epoch for_epoch) {
    if (snapshot.epoch + 2 < for_epoch) return entry.stake;
    return Amount(entry.stake.drops - entry.recent_stake.drops);
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
    return HasStake(for_epoch) ? EligibleStake(*this, entry, for_epoch) : kWeightWithoutStake;
}

bool StakeSnapshot::HasStake(Epoch for_epoch) const {
    return std::any_of(entries.begin(), entries.end(),
                       [&](const SnapshotEntry& entry) { return EligibleStake(*this, entry, for_epoch).drops != 0; });
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
        if (const auto waiting = state.Get<WaitingStake>(id)) staker->stake.Merge(waiting->stake);
        snapshot.entries.push_back({id, staker->stake.total, staker->stake.MadeIn(epoch), staker->vrf_key,
                                    staker->signing_key, staker->commission_permille,
                                    std::move(staker->payout_script)});
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
    known->stake.Merge(waiting->stake);
    state.Put(staker, *known);
    state.Erase<WaitingStake>(staker);
}

void AddStake(StateCache& state, const StakerId& staker, Amount amount, Epoch epoch) {
    if (amount.drops == 0) return;
    AdoptWaitingStake(state, staker);
    if (auto known = state.Get<StakerState>(staker)) {
        known->stake.Add(amount, epoch);
        state.Put(staker, *known);
        return;
    }
    auto waiting = state.Get<WaitingStake>(staker).value_or(WaitingStake{});
    waiting.stake.Add(amount, epoch);
    state.Put(staker, waiting);
}

void RemoveStake(StateCache& state, const StakerId& staker, Amount amount, Epoch created) {
    if (amount.drops == 0) return;
    AdoptWaitingStake(state, staker);
    if (auto known = state.Get<StakerState>(staker)) {
        known->stake.Remove(amount, created);
        state.Put(staker, *known);
        return;
    }
    auto waiting = state.Get<WaitingStake>(staker).value_or(WaitingStake{});
    waiting.stake.Remove(amount, created);
    if (waiting.stake.total.drops == 0) {
        state.Erase<WaitingStake>(staker);
    } else {
        state.Put(staker, waiting);
    }
}

}  // namespace sluice::consensus
