#include "consensus/staker_rules.h"

#include <algorithm>

#include "primitives/script.h"

namespace sluice::consensus {
namespace {

constexpr int32_t kEvidenceVersion = 3;
constexpr uint32_t kSequenceFinal = 0xffffffff;

// What a bond's BondState promises is there unless the state could not be read.
tl::unexpected<Invalid> Unreadable(const StakerId& id) {
    return Reject(Invalid::What::kMissingInputs, "bad-staker-unreadable",
                  "the state of staker " + id.Hex() + " could not be read");
}

void ListStaker(StateCache& state, const StakerId& id) {
    StakerList list = state.Get<StakerList>({}).value_or(StakerList{});
    list.ids.insert(std::lower_bound(list.ids.begin(), list.ids.end(), id), id);
    state.Put({}, list);
}

void UnlistStaker(StateCache& state, const StakerId& id) {
    StakerList list = state.Get<StakerList>({}).value_or(StakerList{});
    std::erase(list.ids, id);
    state.Put({}, list);
}

// A VRF key is bound to the id that used it first, for ever.
Verdict<void> TakeVrfKey(StateCache& state, const crypto::VrfPublicKey& key, const StakerId& id) {
    const auto owner = state.Get<VrfKeyOwner>(key);
    if (owner && owner->staker != id)
        return Reject(Invalid::What::kPremature, "bad-register-vrf-key",
                      "vrf_key belongs to staker " + owner->staker.Hex());
    if (!owner) state.Put(key, VrfKeyOwner{id});
    return {};
}

void MoveBond(StateCache& state, StakerState& staker, const StakerId& id, const OutPoint& bond) {
    state.Erase<BondState>(staker.bond);
    staker.bond = bond;
    state.Put(bond, BondState{id});
}

// Notes that `key`, which was the staker's, is not any more. Only the key at the start of an epoch can be in a
// snapshot.
Verdict<void> ReplaceKey(const StakerContext& context, StakerState& staker, const XOnlyPubKey& key) {
    if (key == staker.signing_key) return {};
    const uint64_t oldest_slot =
        context.slot.value > context.params.unbonding_slots ? context.slot.value - context.params.unbonding_slots : 0;
    const Epoch oldest = context.params.EpochOf(Slot(oldest_slot));
    std::erase_if(staker.replaced_keys, [&](const ReplacedKey& old) { return old.replaced + 2 <= oldest; });
    const bool noted = !staker.replaced_keys.empty() && staker.replaced_keys.back().replaced == context.epoch();
    if (!noted) {
        if (staker.replaced_keys.size() == kMaxReplacedKeys)
            return Reject("bad-register-rotation",
                          "signing_key was replaced in " + std::to_string(kMaxReplacedKeys) +
                              " epochs within the time that evidence is valid: rotate less often");
        staker.replaced_keys.push_back({staker.signing_key, context.epoch()});
    }
    staker.signing_key = key;
    return {};
}

}  // namespace

std::string_view StakerStatusName(StakerStatus status) {
    switch (status) {
        case StakerStatus::kActive:
            return "active";
        case StakerStatus::kExiting:
            return "exiting";
        case StakerStatus::kRetired:
            return "retired";
        case StakerStatus::kSlashed:
            return "slashed";
    }
    return "unknown";
}

Verdict<void> CheckRegister(const RegisterRecord& record) {
    if (!crypto::VrfKeyIsValid(record.vrf_key))
        return Reject("bad-register-vrf-key", "vrf_key is not a canonical point of full order");
    if (!crypto::IsOnCurve(record.signing_key))
        return Reject("bad-register-signing-key", "signing_key is not on the curve");
    if (record.commission_permille > kMaxCommissionPermille)
        return Reject("bad-register-commission", "commission is " + std::to_string(record.commission_permille) +
                                                     " permille, the limit is " +
                                                     std::to_string(kMaxCommissionPermille));
    const auto payout = ParseOutputScript(record.payout_script);
    if (!payout || payout->kind == OutputKind::kRecord)
        return Reject("bad-register-payout", "payout_script is neither a taproot nor a stake output");
    return {};
}

Verdict<void> CheckEvidence(const EvidenceRecord& record) {
    if (record.first.staker != record.second.staker)
        return Reject("bad-evidence-staker", "the two headers are of different stakers");
    if (record.first.slot != record.second.slot)
        return Reject("bad-evidence-slot", "the two headers are of different slots");
    if (record.first.Hash() >= record.second.Hash())
        return Reject("bad-evidence-order", "the first header's hash is not the lower one of two");
    return {};
}

Verdict<void> CheckBond(const Params& params, const TxOutput& bond, std::string_view record_name) {
    const auto parsed = ParseOutputScript(bond.script);
    if (!parsed || parsed->kind != OutputKind::kTaproot)
        return Reject("bad-bond-script",
                      "the output after the " + std::string(record_name) + " record is not a taproot output");
    if (bond.value < params.bond)
        return Reject("bad-bond-value",
                      "the bond is " + FormatSlu(bond.value) + " SLU, it must be at least " + FormatSlu(params.bond));
    return {};
}

Verdict<void> CheckEvidenceTransaction(const Transaction& tx) {
    if (tx.tx().version == kEvidenceVersion && tx.tx().lock_time == 0 && tx.inputs().size() == 1 &&
        tx.inputs()[0].sequence == kSequenceFinal && tx.inputs()[0].witness.empty() && tx.outputs().size() == 1)
        return {};
    return Reject(
        "bad-evidence-form",
        "a transaction with an evidence record has version 3, no lock time, one input without a witness and no "
        "other output");
}

MutableTransaction MakeEvidenceTransaction(const EvidenceRecord& record, const OutPoint& bond) {
    MutableTransaction tx;
    tx.version = kEvidenceVersion;
    tx.inputs.push_back({bond, {}, kSequenceFinal, {}});
    tx.outputs.push_back({Amount(0), RecordScript(EncodeRecord(record))});
    return tx;
}

StakerId MakeStakerId(const OutPoint& first_input, uint32_t record_output) {
    Writer writer;
    writer(first_input, record_output);
    const Hash256 hash = crypto::TaggedHash("Sluice/staker", writer.bytes());
    return StakerId::FromSpan(std::span(hash.bytes).first<8>());
}

Verdict<void> RegisterStaker(const StakerContext& context, StateCache& state, const RegisterRecord& record,
                             const StakerId& id, const OutPoint& bond) {
    if (state.Get<StakerState>(id))
        return Reject("bad-register-id", "the id " + id.Hex() + " was used before: spend another first input");
    if (state.Get<StakerList>({}).value_or(StakerList{}).ids.size() >= StakerList::kMaxStakers)
        return Reject(Invalid::What::kPremature, "bad-register-full",
                      "there are " + std::to_string(StakerList::kMaxStakers) + " stakers already, which is the limit");
    RETURN_IF_ERROR(TakeVrfKey(state, record.vrf_key, id));
    StakerState staker;
    staker.bond = bond;
    staker.vrf_key = record.vrf_key;
    staker.signing_key = record.signing_key;
    staker.commission_permille = record.commission_permille;
    staker.payout_script = record.payout_script;
    staker.registered = context.epoch();
    state.Put(id, staker);
    state.Put(bond, BondState{id});
    ListStaker(state, id);
    AdoptWaitingStake(state, id);
    return {};
}

Verdict<void> UpdateStaker(const StakerContext& context, StateCache& state, const RegisterRecord& record,
                           const OutPoint& bond) {
    const StakerId& id = *record.updates;
    auto staker = state.Get<StakerState>(id);
    if (!staker) return Unreadable(id);
    if (staker->status != StakerStatus::kActive)
        return Reject(
            Invalid::What::kPremature, "bad-register-status",
            "staker " + id.Hex() + " is " + std::string(StakerStatusName(staker->status)) + " and cannot be updated");
    RETURN_IF_ERROR(TakeVrfKey(state, record.vrf_key, id));
    RETURN_IF_ERROR(ReplaceKey(context, *staker, record.signing_key));
    staker->vrf_key = record.vrf_key;
    staker->commission_permille = record.commission_permille;
    staker->payout_script = record.payout_script;
    MoveBond(state, *staker, id, bond);
    state.Put(id, *staker);
    return {};
}

Verdict<void> ExitStaker(const StakerContext& context, StateCache& state, const StakerId& id, const OutPoint& bond) {
    auto staker = state.Get<StakerState>(id);
    if (!staker) return Unreadable(id);
    if (staker->status != StakerStatus::kActive)
        return Reject(Invalid::What::kPremature, "bad-exit-status",
                      "staker " + id.Hex() + " is " + std::string(StakerStatusName(staker->status)) + " already");
    staker->status = StakerStatus::kExiting;
    staker->exit_slot = context.slot;
    MoveBond(state, *staker, id, bond);
    state.Put(id, *staker);
    return {};
}

Verdict<void> ReleaseBond(const StakerContext& context, StateCache& state, const StakerId& id) {
    auto staker = state.Get<StakerState>(id);
    if (!staker) return Unreadable(id);
    if (staker->status != StakerStatus::kExiting)
        return Reject("bad-bond-spend", "the bond of staker " + id.Hex() +
                                            " is spent without a register record that updates it or an exit record");
    const Slot free_at = staker->exit_slot + context.params.unbonding_slots;
    if (context.slot < free_at)
        return Reject(Invalid::What::kPremature, "bad-bond-locked",
                      "the bond of staker " + id.Hex() + " is locked until slot " + ToString(free_at));
    staker->status = StakerStatus::kRetired;
    state.Erase<BondState>(staker->bond);
    state.Put(id, *staker);
    UnlistStaker(state, id);
    return {};
}

XOnlyPubKey SigningKeyOf(const StakerState& staker, Epoch epoch) {
    for (const ReplacedKey& old : staker.replaced_keys)
        if (old.replaced + 2 > epoch) return old.key;
    return staker.signing_key;
}

Verdict<XOnlyPubKey> Slash(const StakerContext& context, StateCache& state, const EvidenceRecord& record) {
    const StakerId& id = record.first.staker;
    const Slot slot = record.first.slot;
    if (slot > context.slot)
        return Reject(Invalid::What::kPremature, "bad-evidence-slot",
                      "the headers are of slot " + ToString(slot) + ", which lies in the future");
    // Not the sender's fault: it was in time when it was passed on.
    if (context.slot - slot >= static_cast<int64_t>(context.params.unbonding_slots))
        return Reject(Invalid::What::kPremature, "bad-evidence-age",
                      "the headers are of slot " + ToString(slot) + ", at slot " + ToString(context.slot) +
                          " evidence must be younger than " + std::to_string(context.params.unbonding_slots) +
                          " slots");
    auto staker = state.Get<StakerState>(id);
    if (!staker) return Unreadable(id);
    staker->status = StakerStatus::kSlashed;
    state.Erase<BondState>(staker->bond);
    state.Put(id, *staker);
    UnlistStaker(state, id);
    return SigningKeyOf(*staker, context.params.EpochOf(slot));
}

}  // namespace sluice::consensus
