#pragma once

#include <map>

#include "consensus/snapshot.h"
#include "consensus/verdict.h"

// Which headers are valid: pure functions of the parent's HeaderState, the header and the snapshot that elects it.

namespace sluice::consensus {

// The last block of a branch up to an epoch's end.
struct EpochBoundary {
    BlockHash block;
    Epoch epoch;  // of that block
    friend bool operator==(const EpochBoundary&, const EpochBoundary&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.block, self.epoch); }
};

// What children need to know of a header: everything on its branch that elections depend on.
struct HeaderState {
    BlockHash hash;
    BlockHash prev;
    Height height;
    Slot slot;
    Epoch epoch;
    Hash256 nonce;              // η of `epoch` on this branch
    Hash256 nonce_accumulator;  // of the N-values of `epoch` so far, outside the cut-off
    Hash256 tie_break;          // H("T" || β)
    EpochBoundary previous;     // last block of an epoch <= epoch - 1
    EpochBoundary elects;       // last block of an epoch <= epoch - 2: its snapshot elects this epoch's leaders

    friend bool operator==(const HeaderState&, const HeaderState&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.hash, self.prev, self.height, self.slot, self.epoch, self.nonce, self.nonce_accumulator,
                self.tie_break, self.previous, self.elects);
    }
};

// What an epoch's election depends on for a child of `parent` in `slot` (which may skip whole epochs).
struct EpochContext {
    Epoch epoch;
    Hash256 nonce;
    Hash256 nonce_accumulator;  // before the child
    EpochBoundary previous;
    EpochBoundary elects;
};
// η of epoch e = taggedhash("Sluice/nonce", η_p || e || accumulator of p at its last block), where p is the newest
// epoch before e with a block on this branch. Rationale: empty epochs add no entropy, so hashing each of them would
// only let a header with an old parent cost its receiver work; this takes one hash however many epochs are skipped.
// Precondition: slot > parent.slot.
EpochContext NextContext(const Params& params, const HeaderState& parent, Slot slot);
// `elects` of the above alone, without hashing: names the snapshot that CheckHeader and ProveLeadership need.
EpochBoundary ElectingBoundary(const Params& params, const HeaderState& parent, Slot slot);

// VRF input: taggedhash-free bytes "Sluice/vrf" || nonce || slot.
Bytes VrfAlpha(const Hash256& nonce, Slot slot);
// H is taggedhash("Sluice/vrf-value", ...).
Hash256 LeaderValue(const crypto::VrfOutput& beta);    // H("L" || β)
Hash256 NonceValue(const crypto::VrfOutput& beta);     // H("N" || β)
Hash256 TieBreakValue(const crypto::VrfOutput& beta);  // H("T" || β)

// T(σ) = ⌊2^256 (1 - (1-f)^σ)⌋ for σ = weight / total, by one fixed-point algorithm (doc/protocol.md gives it and its
// error bound). A leader value, read as a big-endian number, leads if it is less. All bytes 0xff for f = 1; zero for
// weight 0. 7 µs for f = 1/10, 58 µs for f = 9/10. Precondition: weight <= total; f is 1, or at most 9/10 with a
// denominator of at most 1,000.
Hash256 LeaderThreshold(const Params& params, Amount weight, Amount total);

// Cheap checks that need no stake: version, parent hash, height, slot after the parent's and below 2^40.
Verdict<void> CheckHeaderForm(const Params& params, const HeaderState& parent, const BlockHeader& header);

// Who may lead the slots of one epoch on branches that a snapshot elects: total weight and thresholds, each computed
// once. Thresholds are computed when a staker is first asked for, since most batches of headers meet few stakers.
// Not thread-safe; what Find gives stays where it is.
class Electorate {
  public:
    // Both must outlive it. Precondition: `snapshot` elects `epoch` (StakeSnapshot::Weight).
    Electorate(const Params& params, const StakeSnapshot& snapshot, Epoch epoch)
        : m_params(params), m_snapshot(snapshot), m_epoch(epoch), m_total(snapshot.TotalWeight(epoch)) {}

    struct Seat {
        const SnapshotEntry* entry;
        Amount weight;
        Hash256 threshold;  // LeaderThreshold of weight and total
    };
    // Null if the staker is not in the snapshot.
    const Seat* Find(const StakerId& staker);
    const StakeSnapshot& snapshot() const { return m_snapshot; }
    Epoch epoch() const { return m_epoch; }
    Amount total() const { return m_total; }

  private:
    const Params& m_params;
    const StakeSnapshot& m_snapshot;
    Epoch m_epoch;
    Amount m_total;
    std::map<StakerId, Seat> m_seats;
};

// What is dear to check about a header, with all that this needs: can be checked on any thread. The steps are in order
// of cost; each means something only after the one before it.
struct HeaderProofs {
    StakerId staker;
    Slot slot;
    XOnlyPubKey signing_key;
    Hash256 signing_hash;
    crypto::SchnorrSignature signature;
    crypto::VrfPublicKey vrf_key;
    crypto::VrfProof vrf_proof;
    Hash256 threshold;

    Verdict<void> CheckSignature() const;  // 45 µs
    // β as Γ has it, if that leads. Nothing is proven yet.
    Verdict<crypto::VrfOutput> CheckThreshold() const;  // 15 µs
    // `nonce` is that of the header's epoch on its branch.
    Verdict<void> CheckVrf(const Hash256& nonce) const;  // 110 µs
};

// The pipeline, from cheap to dear [floods of fake headers]: CheckHeaderForm; the snapshot of ElectingBoundary(parent,
// header.slot) is looked up, for which form is enough; MeetStaker; signature; threshold from Γ; full VRF.
//
// A batch of headers that build on each other does each step for all of them before the next step begins, so that no
// VRF work is done for headers without a valid signature. What a child's step needs of its parent is there in time:
// ChildPlace needs no β, and CompleteState takes it from Γ. States made so mean something once the VRF proofs of the
// header and of all before it in the batch were checked, and are thrown away from the first failure on.

// The staker is in the snapshot, and its stake counts. Precondition: form was checked; `electorate` is that of the
// header's slot on `parent`.
Verdict<HeaderProofs> MeetStaker(const BlockHash& genesis, const HeaderState& parent, const BlockHeader& header,
                                 Electorate& electorate);
// The header's state but for nonce, accumulator and tie-break, which are zero; those of `parent` may be, too. `hash` is
// the header's. Precondition: form was checked.
HeaderState ChildPlace(const Params& params, const HeaderState& parent, const BlockHeader& header,
                       const BlockHash& hash);
// Fills in the rest of what ChildPlace gave. `parent` is complete.
//
// Accumulator of an epoch's N-values: acc' = taggedhash("Sluice/nonce-accumulator", acc || N) for each block outside
// the epoch's last nonce_cutoff_slots slots, from all zeros.
void CompleteState(const Params& params, const HeaderState& parent, const crypto::VrfOutput& beta, HeaderState& state);

// All of the pipeline for one header. The commitment is ConnectBlock's to check.
Verdict<HeaderState> CheckHeader(const Params& params, const BlockHash& genesis, const HeaderState& parent,
                                 const BlockHeader& header, Electorate& electorate);

// Commitment = taggedhash("Sluice/commitment", certificate hash (zeros while there is none) || snapshot hash).
Hash256 HeaderCommitment(const Hash256& certificate, const Hash256& snapshot);

// Whether a chain whose tip is `candidate` is better than one whose tip is `current` if they fork at most k blocks
// below the higher of them (fork_choice.h has the whole rule): longer, or as long and, when the
// slots differ by at most 3, with the lower tie-break value. Otherwise the first seen stays.
bool BetterTip(const HeaderState& candidate, const HeaderState& current);

// The operator's hot keys, which produce headers and can never spend.
struct OperatorKeys {
    StakerId staker;
    crypto::VrfSecretKey vrf;
    crypto::SecretKey signing;
};
// Whether `keys` lead `slot` on top of `parent`: the proof if so. nullopt too if the snapshot has other keys
// for the staker, as after a rotation. `electorate` as in CheckHeader.
std::optional<crypto::VrfProof> ProveLeadership(const Params& params, const HeaderState& parent, Slot slot,
                                                Electorate& electorate, const OperatorKeys& keys);

}  // namespace sluice::consensus
