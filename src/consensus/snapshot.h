#pragma once

#include "consensus/state.h"

namespace sluice::consensus {

// The stake by which blocks are elected: the state after a block, with all that headers and rewards need (protocol.md
// §2).
struct SnapshotEntry {
    StakerId staker;
    Amount stake;         // of all unspent stake outputs
    Amount recent_stake;  // of those made in the block's own epoch
    crypto::VrfPublicKey vrf_key;
    XOnlyPubKey signing_key;
    uint16_t commission_permille{0};
    Script payout_script;

    friend bool operator==(const SnapshotEntry&, const SnapshotEntry&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.staker, self.stake, self.recent_stake, self.vrf_key, self.signing_key, self.commission_permille);
        archive.VarBytes(self.payout_script, kMaxPayoutScriptBytes);
    }
};

struct StakeSnapshot {
    BlockHash block;
    Epoch epoch;                         // of that block
    std::vector<SnapshotEntry> entries;  // active stakers, by id

    friend bool operator==(const StakeSnapshot&, const StakeSnapshot&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.block, self.epoch);
        archive.Vector(self.entries, StakerList::kMaxStakers, 8 + 8 + 8 + 32 + 32 + 2 + 1);
    }

    // taggedhash("Sluice/snapshot", all of it).
    Hash256 Hash() const;
    const SnapshotEntry* Find(const StakerId& staker) const;
    // The weight that an entry has for leading in `epoch`: stake made in epoch-2 or later does not count, genesis'
    // does. Precondition: this snapshot elects `for_epoch` (its block is the last one of an epoch <= for_epoch - 2, or
    // genesis). When no stake counts at all, the bonds decide: every entry weighs kWeightWithoutStake.
    //
    // Rationale: the chain must go on when everybody unstakes or moves stake in one epoch. Equal bonds are equal money
    // at risk, need no older snapshot to be remembered, and nobody can bring this about while anybody else has stake. A
    // snapshot without entries elects nobody: its epoch stays empty.
    Amount Weight(const SnapshotEntry& entry, Epoch for_epoch) const;
    // Whether any stake counts: otherwise Weight is kWeightWithoutStake for all, and nothing is owed to delegators.
    bool HasStake(Epoch for_epoch) const;
    Amount TotalWeight(Epoch for_epoch) const;
};
inline constexpr Amount kWeightWithoutStake{1};

// The snapshot of `state`, which is the state after `block` of epoch `epoch`.
StakeSnapshot TakeSnapshot(const StateReader& state, const BlockHash& block, Epoch epoch);

// Stake sent to an id that is not registered (yet). Inert as long as it is here; moves into StakerState when the id is
// registered, so that each coin counts exactly once, wherever in the chain or in a block the registration stands.
// Erased at 0.
struct WaitingStake {
    using Key = StakerId;
    static constexpr char kTable = 'w';

    StakeCount stake;

    friend bool operator==(const WaitingStake&, const WaitingStake&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.stake); }
};

// The epoch that a coin's stake was made in: that of its slot, or kGenesisStakeEpoch.
Epoch StakeEpoch(const Params& params, const Coin& coin);

// Keeps the stake of an id, registered or not, up to date when a coin with a stake output is made or spent.
// An amount of 0 changes nothing. Precondition of RemoveStake: AddStake was called for the coin, with the same epoch.
void AddStake(StateCache& state, const StakerId& staker, Amount amount, Epoch epoch);
void RemoveStake(StateCache& state, const StakerId& staker, Amount amount, Epoch created);
// Moves waiting stake into the StakerState of an id that was just registered. The calls above and TakeSnapshot do it as
// well.
void AdoptWaitingStake(StateCache& state, const StakerId& staker);

}  // namespace sluice::consensus
