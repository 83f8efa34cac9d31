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

// Whether a proof's output leads, given the entry's weight. The output is not verified here.
bool Leads(const Params& params, const StakeSnapshot& snapshot, const SnapshotEntry& entry, Epoch epoch,
           const crypto::VrfOutput& beta) {
    return LeaderValue(beta) < LeaderThreshold(params, snapshot.Weight(entry, epoch), snapshot.TotalWeight(epoch));
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

Verdict<HeaderState> CheckHeader(const Params& params, const BlockHash& genesis, const HeaderState& parent,
                                 const BlockHeader& header, const StakeSnapshot& snapshot) {
    RETURN_IF_ERROR(CheckHeaderForm(params, parent, header));
    CHECK(snapshot.block == ElectingBoundary(params, parent, header.slot).block);
    const SnapshotEntry* entry = snapshot.Find(header.staker);
    if (!entry)
        return Reject("bad-staker", fmt::format("staker {} is not in the snapshot of block {}", header.staker.Hex(),
                                                snapshot.block.Hex()));
    if (!crypto::VerifySchnorr(entry->signing_key, header.SigningHash(genesis), header.signature))
        return Reject("bad-header-signature",
                      fmt::format("the header's signature is not by the key of staker {}", header.staker.Hex()));
    const auto claimed = crypto::VrfProofToHash(header.vrf_proof);
    if (!claimed) return Reject("bad-vrf-proof", "the header's VRF proof is not an encoded proof");
    if (!Leads(params, snapshot, *entry, params.EpochOf(header.slot), *claimed))
        return Reject("not-leader",
                      fmt::format("staker {} does not lead slot {}", header.staker.Hex(), header.slot.value));
    const EpochContext context = NextContext(params, parent, header.slot);
    const auto beta = crypto::VrfVerify(entry->vrf_key, VrfAlpha(context.nonce, header.slot), header.vrf_proof);
    if (!beta)
        return Reject("bad-vrf-proof", fmt::format("the header's VRF proof is not by staker {} for slot {}",
                                                   header.staker.Hex(), header.slot.value));
    return HeaderState{.hash = header.Hash(),
                       .prev = header.prev,
                       .height = header.height,
                       .slot = header.slot,
                       .epoch = context.epoch,
                       .nonce = context.nonce,
                       .nonce_accumulator = Accumulate(params, header.slot, context.nonce_accumulator, *beta),
                       .tie_break = TieBreakValue(*beta),
                       .previous = context.previous,
                       .elects = context.elects};
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
                                                const StakeSnapshot& snapshot, const OperatorKeys& keys) {
    if (slot <= parent.slot || slot.value > kMaxSlot) return std::nullopt;
    const EpochContext context = NextContext(params, parent, slot);
    CHECK(snapshot.block == context.elects.block);
    const SnapshotEntry* entry = snapshot.Find(keys.staker);
    if (!entry || snapshot.Weight(*entry, context.epoch).drops == 0) return std::nullopt;
    if (crypto::VrfPublic(keys.vrf) != entry->vrf_key || keys.signing.XOnly() != entry->signing_key)
        return std::nullopt;
    const crypto::VrfProof proof = crypto::VrfProve(keys.vrf, VrfAlpha(context.nonce, slot));
    const auto beta = crypto::VrfProofToHash(proof);
    CHECK(beta.has_value());
    if (!Leads(params, snapshot, *entry, context.epoch, *beta)) return std::nullopt;
    return proof;
}

}  // namespace sluice::consensus
