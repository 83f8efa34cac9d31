#pragma once

#include "consensus/state.h"

namespace sluice::consensus {

// The stake by which blocks are elected: the state after a block, with all that headers and rewards need (protocol.md §2).
struct SnapshotEntry {
    StakerId staker;
    Amount stake;             // of all unspent stake outputs
    Amount recent_stake;      // of those made in the block's own epoch
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
    Epoch epoch;                        // of that block
    std::vector<SnapshotEntry> entries; // active stakers, by id

    friend bool operator==(const StakeSnapshot&, const StakeSnapshot&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.block, self.epoch);
        archive.Vector(self.entries, StakerList::kMaxStakers, 8 + 8 + 8 + 32 + 32 + 2 + 1);
    }

    // taggedhash("Sluice/snapshot", all of it).
    Hash256 Hash() const;
    const SnapshotEntry* Find(const StakerId& staker) const;
    // The weight that an entry has for leading in `epoch`: stake made in epoch-2 or later does not count, genesis' does.
    Amount Weight(const SnapshotEntry& entry, Epoch for_epoch) const;
    Amount TotalWeight(Epoch for_epoch) const;
};

// The snapshot of `state`, which is the state after `block` of epoch `epoch`.
StakeSnapshot TakeSnapshot(const StateReader& state, const BlockHash& block, Epoch epoch);

// Keeps a staker's stake up to date when a coin with a stake output is made or spent in a block of `epoch`.
// Outputs to ids that are unknown are inert.
void AddStake(StateCache& state, const StakerId& staker, Amount amount, Epoch epoch);
void RemoveStake(StateCache& state, const StakerId& staker, Amount amount, Epoch created);

}  // namespace sluice::consensus
