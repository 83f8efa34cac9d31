#include "consensus/header_rules.h"

#include <fmt/format.h>

namespace sluice::consensus {
namespace {

constexpr int32_t kHeaderVersion = 1;
// Slots whose start both clocks and lock times can express: 34,000 years of seconds.
constexpr uint64_t kMaxSlot = uint64_t{1} << 40;
constexpr int64_t kTieBreakSlots = 3;

Hash256 Finish(crypto::Sha256 hasher, std::initializer_list<ByteSpan> parts) {
    for (const ByteSpan part : parts) hasher.Write(part);
    return hasher.Finish();
}

Hash256 OutputValue(char letter, const crypto::VrfOutput& beta) {
    static const crypto::Sha256 kTag = crypto::TaggedHasher("Sluice/vrf-value");
    return Finish(kTag, {AsBytes({&letter, 1}), beta.bytes});
}

// η of `epoch` from that of the newest epoch with a block before it. Epochs between that are empty add no entropy, so
// they are skipped in one step: a child of an old block costs the same as any other.
Hash256 NextNonce(const Hash256& nonce, Epoch epoch, const Hash256& accumulator) {
    static const crypto::Sha256 kTag = crypto::TaggedHasher("Sluice/nonce");
    return Finish(kTag, {nonce.bytes, Encode(epoch), accumulator.bytes});
}

Hash256 Accumulate(const Params& params, Slot slot, const Hash256& accumulator, const crypto::VrfOutput& beta) {
    if (slot.value % params.epoch_slots >= params.epoch_slots - params.nonce_cutoff_slots) return accumulator;
    static const crypto::Sha256 kTag = crypto::TaggedHasher("Sluice/nonce-accumulator");
    return Finish(kTag, {accumulator.bytes, NonceValue(beta).bytes});
}

}  // namespace

EpochBoundary ElectingBoundary(const Params& params, const HeaderState& parent, Slot slot) {
    CHECK(slot > parent.slot);
    const int64_t epochs = params.EpochOf(slot) - parent.epoch;
    if (epochs == 0) return parent.elects;
    if (epochs == 1) return parent.previous;
    return {parent.hash, parent.epoch};
}

EpochContext NextContext(const Params& params, const HeaderState& parent, Slot slot) {
    const EpochBoundary elects = ElectingBoundary(params, parent, slot);
    const Epoch epoch = params.EpochOf(slot);
    if (epoch == parent.epoch) return {epoch, parent.nonce, parent.nonce_accumulator, parent.previous, elects};
    return {epoch,
            NextNonce(parent.nonce, epoch, parent.nonce_accumulator),
            Hash256(),
            {parent.hash, parent.epoch},
            elects};
}

Bytes VrfAlpha(const Hash256& nonce, Slot slot) {
    Writer writer;
    writer.Raw(AsBytes("Sluice/vrf"));
    writer(nonce, slot);
    return writer.Take();
}

Hash256 LeaderValue(const crypto::VrfOutput& beta) { return OutputValue('L', beta); }
Hash256 NonceValue(const crypto::VrfOutput& beta) { return OutputValue('N', beta); }
Hash256 TieBreakValue(const crypto::VrfOutput& beta) { return OutputValue('T', beta); }

Verdict<void> CheckHeaderForm(const Params&, const HeaderState& parent, const BlockHeader& header) {
    if (header.version != kHeaderVersion)
        return Reject("bad-version",
                      fmt::format("the header has version {}, it must be {}", header.version, kHeaderVersion));
    if (header.prev != parent.hash)
        return Reject("bad-prevblk",
                      fmt::format("the header builds on {}, not on {}", header.prev.Hex(), parent.hash.Hex()));
    if (parent.height.value == UINT32_MAX || header.height != parent.height + 1)
        return Reject("bad-height",
                      fmt::format("the header has height {}, its parent {}", header.height.value, parent.height.value));
    if (header.slot <= parent.slot)
        return Reject("time-too-old", fmt::format("the header's slot {} is not after its parent's, {}",
                                                  header.slot.value, parent.slot.value));
    if (header.slot.value > kMaxSlot)
        return Reject("time-too-new",
                      fmt::format("the header's slot {} is over the limit of {}", header.slot.value, kMaxSlot));
    return {};
}

const Electorate::Seat* Electorate::Find(const StakerId& staker) {
    const auto found = m_seats.find(staker);
    if (found != m_seats.end()) return &found->second;
    const SnapshotEntry* entry = m_snapshot.Find(staker);
    if (entry == nullptr) return nullptr;
    const Amount weight = m_snapshot.Weight(*entry, m_epoch);
    return &m_seats.emplace(staker, Seat{entry, weight, LeaderThreshold(m_params, weight, m_total)}).first->second;
}

Verdict<void> HeaderProofs::CheckSignature() const {
    if (!crypto::VerifySchnorr(signing_key, signing_hash, signature))
        return Reject("bad-header-signature",
                      fmt::format("the header's signature is not by the key of staker {}", staker.Hex()));
    return {};
}

Verdict<crypto::VrfOutput> HeaderProofs::CheckThreshold() const {
    const auto claimed = crypto::VrfProofToHash(vrf_proof);
    if (!claimed) return Reject("bad-vrf-proof", "the header's VRF proof is not an encoded proof");
    if (!(LeaderValue(*claimed) < threshold))
        return Reject("not-leader", fmt::format("staker {} does not lead slot {}", staker.Hex(), slot.value));
    return *claimed;
}

Verdict<void> HeaderProofs::CheckVrf(const Hash256& nonce) const {
    if (!crypto::VrfVerify(vrf_key, VrfAlpha(nonce, slot), vrf_proof))
        return Reject("bad-vrf-proof",
                      fmt::format("the header's VRF proof is not by staker {} for slot {}", staker.Hex(), slot.value));
    return {};
}

Verdict<HeaderProofs> MeetStaker(const BlockHash& genesis, const HeaderState& parent, const BlockHeader& header,
                                 Electorate& electorate) {
    CHECK(header.slot > parent.slot);
    const Electorate::Seat* seat = electorate.Find(header.staker);
    if (seat == nullptr)
        return Reject("bad-staker", fmt::format("staker {} is not in the snapshot of block {}", header.staker.Hex(),
                                                electorate.snapshot().block.Hex()));
    if (seat->threshold == Hash256())
        return Reject("not-leader", fmt::format("staker {} has no stake that counts in slot {}", header.staker.Hex(),
                                                header.slot.value));
    return HeaderProofs{.staker = header.staker,
                        .slot = header.slot,
                        .signing_key = seat->entry->signing_key,
                        .signing_hash = header.SigningHash(genesis),
                        .signature = header.signature,
                        .vrf_key = seat->entry->vrf_key,
                        .vrf_proof = header.vrf_proof,
                        .threshold = seat->threshold};
}

HeaderState ChildPlace(const Params& params, const HeaderState& parent, const BlockHeader& header,
                       const BlockHash& hash) {
    HeaderState state{};
    state.hash = hash;
    state.prev = header.prev;
    state.height = header.height;
    state.slot = header.slot;
    state.epoch = params.EpochOf(header.slot);
    state.previous = state.epoch == parent.epoch ? parent.previous : EpochBoundary{parent.hash, parent.epoch};
    state.elects = ElectingBoundary(params, parent, header.slot);
    return state;
}

void CompleteState(const Params& params, const HeaderState& parent, const crypto::VrfOutput& beta, HeaderState& state) {
    const EpochContext context = NextContext(params, parent, state.slot);
    state.nonce = context.nonce;
    state.nonce_accumulator = Accumulate(params, state.slot, context.nonce_accumulator, beta);
    state.tie_break = TieBreakValue(beta);
}

Verdict<HeaderState> CheckHeader(const Params& params, const BlockHash& genesis, const HeaderState& parent,
                                 const BlockHeader& header, Electorate& electorate) {
    RETURN_IF_ERROR(CheckHeaderForm(params, parent, header));
    HeaderState state = ChildPlace(params, parent, header, header.Hash());
    CHECK(electorate.snapshot().block == state.elects.block && electorate.epoch() == state.epoch);
    ASSIGN_OR_RETURN(const HeaderProofs proofs, MeetStaker(genesis, parent, header, electorate));
    RETURN_IF_ERROR(proofs.CheckSignature());
    ASSIGN_OR_RETURN(const crypto::VrfOutput beta, proofs.CheckThreshold());
    CompleteState(params, parent, beta, state);
    RETURN_IF_ERROR(proofs.CheckVrf(state.nonce));
    return state;
}

Hash256 HeaderCommitment(const Hash256& certificate, const Hash256& snapshot) {
    static const crypto::Sha256 kTag = crypto::TaggedHasher("Sluice/commitment");
    return Finish(kTag, {certificate.bytes, snapshot.bytes});
}

bool BetterTip(const HeaderState& candidate, const HeaderState& current) {
    if (candidate.height != current.height) return candidate.height > current.height;
    const int64_t apart = candidate.slot - current.slot;
    return -kTieBreakSlots <= apart && apart <= kTieBreakSlots && candidate.tie_break < current.tie_break;
}

std::optional<crypto::VrfProof> ProveLeadership(const Params& params, const HeaderState& parent, Slot slot,
                                                Electorate& electorate, const OperatorKeys& keys) {
    if (slot <= parent.slot || slot.value > kMaxSlot) return std::nullopt;
    const EpochContext context = NextContext(params, parent, slot);
    CHECK(electorate.snapshot().block == context.elects.block && electorate.epoch() == context.epoch);
    const Electorate::Seat* seat = electorate.Find(keys.staker);
    if (seat == nullptr || seat->weight.drops == 0) return std::nullopt;
    if (crypto::VrfPublic(keys.vrf) != seat->entry->vrf_key || keys.signing.XOnly() != seat->entry->signing_key)
        return std::nullopt;
    const crypto::VrfProof proof = crypto::VrfProve(keys.vrf, VrfAlpha(context.nonce, slot));
    const auto beta = crypto::VrfProofToHash(proof);
    CHECK(beta.has_value());
    if (!(LeaderValue(*beta) < seat->threshold)) return std::nullopt;
    return proof;
}

}  // namespace sluice::consensus
