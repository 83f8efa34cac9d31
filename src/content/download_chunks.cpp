#include <algorithm>

#include "content/swarm_state.h"

// Leaves as they arrive, put together to chunks; whether a chunk is true, and if not, who is to blame.

namespace sluice::content {
namespace {

uint16_t LeafMask(const ContentId& content, ChunkIndex chunk) {
    return static_cast<uint16_t>((1u << LeavesOfChunk(content.size_bytes, chunk)) - 1);
}

}  // namespace

void Swarm::Impl::OnLeaf(PeerId peer, const Leaf& leaf, Instant now) {
    const auto found = downloads.find(leaf.content);
    if (found == downloads.end()) return;
    Download& download = found->second;
    const auto entry = download.providers.find(peer);
    if (entry == download.providers.end()) return;
    Provider& provider = entry->second;
    const auto at = provider.requests.find(leaf.chunk);
    const uint16_t bit = static_cast<uint16_t>(1u << leaf.leaf);
    if (at == provider.requests.end() || (at->second.wanted & bit) == 0 || (at->second.received & bit) != 0) return;
    ChunkRequest& request = at->second;
    request.received |= bit;
    provider.last_progress = now;
    provider.snubbed = false;
    provider.rate_bytes += leaf.bytes.size();
    choker.OnGave(peer, leaf.bytes.size());

    bool filled = false;
    if (download.picker.IsStored(leaf.chunk)) {
        // Somebody else was faster: a true copy is paid all the same.
        download.duplicate_bytes += leaf.bytes.size();
        const auto hashes = download.late_hashes.find(leaf.chunk);
        if (request.ask.drops > 0 && hashes != download.late_hashes.end() &&
            crypto::Sha256Of(leaf.bytes) == hashes->second[leaf.leaf])
            PayLeaves(download, peer, leaf.bytes.size(), request.ask, request.link, true, now);
    } else {
        PartialChunk& partial = download.partials[leaf.chunk];
        if ((partial.received & bit) != 0) {
            download.duplicate_bytes += leaf.bytes.size();
            if (request.ask.drops > 0)
                partial.spares.push_back({peer, leaf.leaf, static_cast<uint32_t>(leaf.bytes.size()),
                                          crypto::Sha256Of(leaf.bytes), request.ask, request.link});
        } else {
            if (!partial.bytes) partial.bytes = buffers.Take(ChunkBytes(leaf.content.size_bytes, leaf.chunk));
            std::copy(leaf.bytes.begin(), leaf.bytes.end(), partial.bytes->begin() + ptrdiff_t{leaf.leaf} * kLeafBytes);
            partial.received |= bit;
            partial.from[leaf.leaf] = peer;
            const auto ask = partial.asks.try_emplace(peer, request.ask).first;
            ask->second = std::min(ask->second, request.ask);
            partial.links[peer] = request.link;
            filled = partial.received == LeafMask(leaf.content, leaf.chunk);
        }
    }
    const bool complete = request.received == request.wanted;
    if (complete) {
        if (!request.late) {
            --provider.active;
            ++provider.completed;
            const double took = std::chrono::duration<double>(now - request.since).count();
            provider.seconds_per_chunk =
                provider.seconds_per_chunk == 0 ? took : 0.8 * provider.seconds_per_chunk + 0.2 * took;
        }
        provider.requests.erase(at);
    }
    if (filled) TryVerify(download, leaf.chunk, now);
    if (complete) Schedule(download, now);
}

void Swarm::Impl::DropLeaves(Download& download, ChunkIndex chunk, PeerId peer) {
    const auto found = download.partials.find(chunk);
    if (found == download.partials.end()) return;
    PartialChunk& partial = found->second;
    if (partial.phase != PartialChunk::Phase::kCollecting && partial.phase != PartialChunk::Phase::kUnproven) return;
    for (uint32_t leaf = 0; leaf < kLeavesPerChunk; ++leaf) {
        if (((partial.received & ~partial.verified) >> leaf & 1) != 0 && partial.from[leaf] == peer)
            partial.received &= static_cast<uint16_t>(~(1u << leaf));
    }
    if (partial.phase == PartialChunk::Phase::kUnproven && partial.received != LeafMask(download.content, chunk)) {
        partial.phase = PartialChunk::Phase::kCollecting;
        --download.complete;
    }
}

// Whoever has no request for the chunk under way holds it no more.
void Swarm::Impl::ReleaseIdle(Download& download, ChunkIndex chunk) {
    const std::vector<PeerId> requesters = download.picker.RequestersOf(chunk);
    for (const PeerId id : requesters) {
        const auto provider = download.providers.find(id);
        if (provider != download.providers.end()) {
            const auto request = provider->second.requests.find(chunk);
            if (request != provider->second.requests.end() && !request->second.late) continue;
        }
        download.picker.OnReleased(chunk, id);
    }
}

void Swarm::Impl::TryVerify(Download& download, ChunkIndex chunk, Instant now) {
    const auto found = download.partials.find(chunk);
    if (found == download.partials.end()) return;
    PartialChunk& partial = found->second;
    if (partial.phase == PartialChunk::Phase::kCollecting && partial.received == LeafMask(download.content, chunk)) {
        partial.phase = PartialChunk::Phase::kUnproven;
        ++download.complete;
    }
    if (partial.phase != PartialChunk::Phase::kUnproven) return;
    const auto proven = download.HashOf(chunk);
    if (!proven) return NeedHashes(download, std::nullopt, chunk, now);
    partial.phase = PartialChunk::Phase::kVerifying;
    actions.push_back(VerifyAndStore{*proven, partial.bytes});
}

void Swarm::Impl::Verified(Download& download, ChunkIndex chunk, Result<ChunkOutcome> outcome, Instant now) {
    const auto found = download.partials.find(chunk);
    if (found == download.partials.end() || found->second.phase != PartialChunk::Phase::kVerifying) return;
    --download.complete;
    if (!outcome) return FailDownload(download.content, outcome.error());
    if (!outcome->stored) {
        found->second.leaf_hashes = std::move(outcome->leaf_hashes);
        return Dispute(download, chunk, found->second, now);
    }
    const PartialChunk whole = std::move(found->second);
    download.partials.erase(found);
    download.picker.OnStored(chunk, PeerId(0));
    for (auto& [id, provider] : download.providers) {
        const auto request = provider.requests.find(chunk);
        if (request == provider.requests.end()) continue;
        if (!request->second.late) {
            MakeLate(download, id, provider, chunk);
            SendCancels(id, download.content, {chunk});
        }
        download.late_hashes[chunk] = outcome->leaf_hashes;
    }
    std::map<PeerId, uint64_t> gave;
    for (uint32_t leaf = 0; leaf < LeavesOfChunk(download.content.size_bytes, chunk); ++leaf)
        gave[whole.from[leaf]] += LeafBytes(download.content.size_bytes, chunk, leaf);
    for (const auto& [peer, bytes] : gave)
        PayLeaves(download, peer, bytes, whole.asks.at(peer), whole.links.at(peer), false, now);
    for (const SpareLeaf& spare : whole.spares) {
        if (spare.leaf < outcome->leaf_hashes.size() && outcome->leaf_hashes[spare.leaf] == spare.hash)
            PayLeaves(download, spare.peer, spare.bytes, spare.ask, spare.link, true, now);
    }
    download.stored_bytes += ChunkBytes(download.content.size_bytes, chunk);
    download.last_stored = now;
    const auto content = served.find(download.content);
    if (content != served.end() && content->second.have.Insert(chunk)) Announce(download.content, chunk);
    if (download.picker.IsDone()) return Finish(download, now);
    if (download.picker.IsIdle()) actions.push_back(Progress(download));
    Schedule(download, now);
}

// The chunk is not what its hash says. If one peer gave all that is not known to be true, it is named at once; the leaf
// hashes, from anybody, then say which leaves are bad, whose they were, and which may stay.
void Swarm::Impl::Dispute(Download& download, ChunkIndex chunk, PartialChunk& partial, Instant now) {
    partial.phase = PartialChunk::Phase::kDisputed;
    partial.disputed_since = now;
    std::set<PeerId> suspects;
    for (uint32_t leaf = 0; leaf < LeavesOfChunk(download.content.size_bytes, chunk); ++leaf) {
        if ((partial.verified >> leaf & 1) == 0) suspects.insert(partial.from[leaf]);
    }
    const ContentId content = download.content;
    if (suspects.size() == 1) Fault(*suspects.begin(), "a forged leaf of chunk " + ToString(chunk), now);
    const auto again = downloads.find(content);
    if (again == downloads.end()) return;
    const auto still = again->second.partials.find(chunk);
    if (still == again->second.partials.end() || still->second.phase != PartialChunk::Phase::kDisputed) return;
    AskForLeafHashes(again->second, chunk, still->second, now);
    Schedule(again->second, now);
}

void Swarm::Impl::AskForLeafHashes(Download& download, ChunkIndex chunk, PartialChunk& partial, Instant now) {
    if (partial.hashes_asked) return;
    std::optional<PeerId> best;
    bool best_gave = false;
    for (const auto& [id, provider] : download.providers) {
        if (!download.picker.PeerHas(id, chunk) || partial.hashes_refused.contains(id)) continue;
        const bool gave = partial.asks.contains(id);  // rather somebody who is not accused
        if (best && (gave || !best_gave)) continue;
        best = id;
        best_gave = gave;
    }
    if (!best) return;
    partial.hashes_asked = best;
    partial.hashes_asked_at = now;
    Send(*best, GetLeafHashes{download.content, chunk});
}

void Swarm::Impl::OnChunkLeafHashes(PeerId peer, const ChunkLeafHashes& hashes, Instant now) {
    const auto found = downloads.find(hashes.content);
    if (found == downloads.end()) return;
    Download& download = found->second;
    const ChunkIndex chunk = hashes.chunk;
    const auto entry = download.partials.find(chunk);
    if (entry == download.partials.end() || entry->second.phase != PartialChunk::Phase::kDisputed ||
        entry->second.hashes_asked != peer)
        return;
    const auto proven = download.HashOf(chunk);
    if (!proven) return NeedHashes(download, peer, chunk, now);  // forgotten meanwhile: asked again once it is here
    PartialChunk& partial = entry->second;
    if (!CheckLeafHashes(hashes.content.size_bytes, chunk, hashes.hashes, proven->hash())) {
        partial.hashes_asked.reset();
        partial.hashes_refused.insert(peer);
        return Fault(peer, "false leaf hashes of chunk " + ToString(chunk), now);
    }
    std::set<PeerId> forgers;
    for (uint32_t leaf = 0; leaf < hashes.hashes.size(); ++leaf) {
        if (leaf < partial.leaf_hashes.size() && partial.leaf_hashes[leaf] == hashes.hashes[leaf]) continue;
        partial.received &= static_cast<uint16_t>(~(1u << leaf));
        forgers.insert(partial.from[leaf]);
    }
    partial.verified = partial.received;
    partial.phase = PartialChunk::Phase::kCollecting;
    partial.hashes_asked.reset();
    partial.hashes_refused.clear();
    ReleaseIdle(download, chunk);
    for (const PeerId forger : forgers) Fault(forger, "a forged leaf of chunk " + ToString(chunk), now);
    ScheduleAll(now);
}

// Nobody tells which leaves are true: all are fetched again.
void Swarm::Impl::GiveUpDispute(Download& download, ChunkIndex chunk, PartialChunk& partial) {
    partial.received = partial.verified;
    partial.phase = PartialChunk::Phase::kCollecting;
    partial.hashes_asked.reset();
    partial.hashes_refused.clear();
    ReleaseIdle(download, chunk);
}

}  // namespace sluice::content
