#pragma once

#include "consensus/record_rules.h"

// Stakers and their bonds, for record_rules_state.cpp: registration, change of keys, exit, evidence (protocol.md §2).
//
// A bond is an output of CoinKind::kBond. It is spent in four ways: into a new bond by a register record that updates
// its staker; into a new bond by an exit record, which starts the lock (both signed by the bond's own input); by
// evidence, without a signature; and freely, unbonding_slots after the exit. Everything acts on elections through the
// snapshots: two epochs later.

namespace sluice::consensus {

// Evidence leaves this much of the bond, in percent, to the fees of the block that includes it; the rest is burned.
inline constexpr uint64_t kEvidenceFeePercent = 5;

// "active", "exiting", "retired", "slashed": what errors and interfaces say.
std::string_view StakerStatusName(StakerStatus status);

// Form of the records, without the state.
Verdict<void> CheckRegister(const RegisterRecord& record);
Verdict<void> CheckEvidence(const EvidenceRecord& record);
// A bond: a taproot output of at least params.bond.
Verdict<void> CheckBond(const Params& params, const TxOutput& bond, std::string_view record_name);
// A transaction with an evidence record has one form only: version 3, lock time 0, one input (the bond) with sequence
// 0xffffffff and no witness, one output (the record). Rationale: it needs no coins of its reporter and pays none to it,
// so that it makes no difference who reports, and each pair of headers makes one txid.
Verdict<void> CheckEvidenceTransaction(const Transaction& tx);
MutableTransaction MakeEvidenceTransaction(const EvidenceRecord& record, const OutPoint& bond);

// The id of a staker that registers: the first 8 bytes of taggedhash("Sluice/staker", first input's outpoint || index
// of the record's output). Known before the transaction confirms, and the same after a reorganisation.
StakerId MakeStakerId(const OutPoint& first_input, uint32_t record_output);

// The block that a record is in.
struct StakerContext {
    const Params& params;
    Slot slot;
    Epoch epoch() const { return params.EpochOf(slot); }
};
// Each changes `state`, which the caller throws away on failure. `bond` is the new bond's outpoint.
Verdict<void> RegisterStaker(const StakerContext& context, StateCache& state, const RegisterRecord& record,
                             const StakerId& id, const OutPoint& bond);
// Preconditions: the staker's current bond is spent in the same transaction.
Verdict<void> UpdateStaker(const StakerContext& context, StateCache& state, const RegisterRecord& record,
                           const OutPoint& bond);
Verdict<void> ExitStaker(const StakerContext& context, StateCache& state, const StakerId& id, const OutPoint& bond);
Verdict<void> ReleaseBond(const StakerContext& context, StateCache& state, const StakerId& id);
// Retires the staker that `record` convicts. Gives the key under which both signatures have to be valid.
Verdict<XOnlyPubKey> Slash(const StakerContext& context, StateCache& state, const EvidenceRecord& record);

// The signing key that headers of `staker` in `epoch` are under: that of the snapshot, two epochs back.
XOnlyPubKey SigningKeyOf(const StakerState& staker, Epoch epoch);

}  // namespace sluice::consensus
