#include <algorithm>
#include <bit>

#include "content/swarm_state.h"

// The fetching side: what arrives from peers, checked and put together.

namespace sluice::content {
namespace {

uint16_t LeafMask(const ContentId& content, ChunkIndex chunk) {
    return static_cast<uint16_t>((1u << LeavesOfChunk(content.size_bytes, chunk)) - 1);
}

}  // namespace

std::vector<uint8_t> VerifyChunk(const ContentId& content, ChunkIndex chunk, ByteSpan bytes,
                                 std::span<const Hash256> leaf_hashes) {
    std::vector<uint8_t> bad;
    for (uint32_t leaf = 0; leaf < LeavesOfChunk(content.size_bytes, chunk); ++leaf) {
        const size_t at = size_t{leaf} * kLeafBytes, size = LeafBytes(content.size_bytes, chunk, leaf);
        if (leaf >= leaf_hashes.size() || at + size > bytes.size() ||
            !CheckLeaf(content.size_bytes, chunk, leaf, bytes.subspan(at, size), leaf_hashes[leaf]))
            bad.push_back(static_cast<uint8_t>(leaf));
    }
    return bad;
}

void Swarm::Impl::Start(const ContentId& content, const ChunkSet& have, const DownloadLimits& limits,
                        DownloadMode mode, Instant now) {
    Download& download =
        downloads.try_emplace(content, content, have, limits, random.Uint64() | 1, mode).first->second;
    for (ChunkIndex chunk; chunk.value < have.size(); ++chunk) {
        if (have.Has(chunk)) download.stored_bytes += ChunkBytes(content.size_bytes, chunk);
    }
    download.started = download.last_stored = download.last_report = now;
    download.reported_bytes = download.stored_bytes;
    if (have.size() == 1) download.hashes[0] = CastHash<Hash256>(content.root);
    for (const auto& [id, peer] : peers) {
        if (!peer.faulty) Send(id, HaveQuery{content});
    }
    if (download.picker.IsDone()) Finish(download, now);
}

void Swarm::Impl::OnHave(PeerId peer, const Have& have, Instant now) {
    NoteOffer(peer, have);
    const auto found = downloads.find(have.content);
    if (found == downloads.end()) return;
    Download& download = found->second;
    const auto [entry, fresh] = download.providers.try_emplace(peer);
    Provider& provider = entry->second;
    if (fresh) provider.last_progress = provider.rate_since = now;
    TakeAsk(download, peer, provider, have.ask_per_mib, now);
    if (have.all) {
        download.picker.AddSeed(peer);
    } else {
        for (size_t i = 0; i < have.bits.size() * 8; ++i) {
            if ((have.bits[i / 8] >> (i % 8) & 1) != 0)
                download.picker.OnPeerHas(peer, have.first + static_cast<uint32_t>(i));
        }
    }
    Schedule(download, now);
}

void Swarm::Impl::OnHaveUpdate(PeerId peer, const HaveUpdate& update, Instant now) {
    const auto found = downloads.find(update.content);
    if (found == downloads.end() || !found->second.providers.contains(peer)) return;
    found->second.picker.OnPeerHas(peer, update.chunk);
    Schedule(found->second, now);
}

void Swarm::Impl::AskForHashes(Download& download, PeerId peer, ChunkIndex chunk, Instant now) {
    if (!download.hashes[chunk.value].IsZero()) return;
    const HashSpan span = HashSpanAround(download.content.size_bytes, chunk, kMaxRequestedHashSpan);
    if (!download.spans_asked.try_emplace(span.first, peer, now).second) return;
    Send(peer, GetHashes{download.content, span});
}

void Swarm::Impl::OnHashes(PeerId peer, const Hashes& hashes, Instant now) {
    const auto found = downloads.find(hashes.content);
    if (found == downloads.end()) return;
    Download& download = found->second;
    const auto asked = download.spans_asked.find(hashes.span.first);
    if (asked == download.spans_asked.end() || asked->second.first != peer ||
        hashes.span != HashSpanAround(hashes.content.size_bytes, hashes.span.first, kMaxRequestedHashSpan))
        return;
    if (!VerifyHashProof(hashes.content, hashes.span, hashes.proof))
        return Fault(peer, "a false proof of chunk hashes", now);
    asked->second.second = now;
    // Kept aside in place: OnHashesStored makes them count.
    for (size_t i = 0; i < hashes.proof.hashes.size(); ++i) {
        const ChunkIndex chunk = hashes.span.first + static_cast<uint32_t>(i);
        if (download.hashes[chunk.value].IsZero()) download.proven.insert_or_assign(chunk, hashes.proof.hashes[i]);
    }
    actions.push_back(StoreHashes{hashes.content, hashes.span, hashes.proof});
}

void Swarm::Impl::OnChunkLeafHashes(PeerId peer, const ChunkLeafHashes& hashes, Instant now) {
    const auto found = downloads.find(hashes.content);
    if (found == downloads.end()) return;
    Download& download = found->second;
    const auto provider = download.providers.find(peer);
    if (provider == download.providers.end()) return;
    const auto request = provider->second.requests.find(hashes.chunk);
    if (request == provider->second.requests.end() || !request->second.leaf_hashes.empty()) return;
    const Hash256& chunk_hash = download.hashes[hashes.chunk.value];
    if (!chunk_hash.IsZero() && !CheckLeafHashes(hashes.content.size_bytes, hashes.chunk, hashes.hashes, chunk_hash))
        return Fault(peer, "false leaf hashes of chunk " + ToString(hashes.chunk), now);
    request->second.leaf_hashes = hashes.hashes;
}

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
    if (request.leaf_hashes.empty())
        return Fault(peer, "a leaf of chunk " + ToString(leaf.chunk) + " before its hashes", now);
    request.received |= bit;
    provider.last_progress = now;
    provider.snubbed = false;
    provider.rate_bytes += leaf.bytes.size();

    bool filled = false;
    PartialChunk* partial = nullptr;
    if (!download.picker.IsStored(leaf.chunk)) partial = &download.partials[leaf.chunk];
    if (partial != nullptr && (partial->received & bit) == 0) {
        if (!partial->bytes) partial->bytes = std::make_shared<Bytes>(ChunkBytes(leaf.content.size_bytes, leaf.chunk));
        std::copy(leaf.bytes.begin(), leaf.bytes.end(), partial->bytes->begin() + ptrdiff_t{leaf.leaf} * kLeafBytes);
        partial->received |= bit;
        partial->from[leaf.leaf] = peer;
        partial->hashes.try_emplace(peer, request.leaf_hashes);
        const auto ask = partial->asks.try_emplace(peer, request.ask).first;
        ask->second = std::min(ask->second, request.ask);
        partial->links[peer] = request.link;
        filled = partial->received == LeafMask(leaf.content, leaf.chunk);
    } else if (provider.ask.drops > 0) {
        // Somebody else was faster: a true copy is paid all the same.
        const Hash256& chunk_hash = download.hashes[leaf.chunk.value];
        if (!chunk_hash.IsZero() &&
            CheckLeafHashes(leaf.content.size_bytes, leaf.chunk, request.leaf_hashes, chunk_hash) &&
            CheckLeaf(leaf.content.size_bytes, leaf.chunk, leaf.leaf, leaf.bytes, request.leaf_hashes[leaf.leaf]))
            PayLeaves(download, peer, leaf.bytes.size(), request.ask, request.link, true, now);
    }
    if (request.received == request.wanted) {
        if (!request.late) {
            --provider.active;
            const double took = std::chrono::duration<double>(now - request.since).count();
            provider.seconds_per_chunk =
                provider.seconds_per_chunk == 0 ? took : 0.8 * provider.seconds_per_chunk + 0.2 * took;
        }
        provider.requests.erase(at);
    }
    if (filled) TryVerify(download, leaf.chunk, now);
    Schedule(download, now);
}

void Swarm::Impl::DropLeaves(Download& download, ChunkIndex chunk, PeerId peer) {
    const auto found = download.partials.find(chunk);
    if (found == download.partials.end() || found->second.verifying) return;
    PartialChunk& partial = found->second;
    for (uint32_t leaf = 0; leaf < kLeavesPerChunk; ++leaf) {
        if (((partial.received & ~partial.verified) >> leaf & 1) != 0 && partial.from[leaf] == peer)
            partial.received &= static_cast<uint16_t>(~(1u << leaf));
    }
    partial.hashes.erase(peer);
}

// Whoever has no request for the chunk under way holds it no more.
void Swarm::Impl::ReleaseIdle(Download& download, ChunkIndex chunk) {
    for (const auto& [id, provider] : download.providers) {
        const auto request = provider.requests.find(chunk);
        if (request == provider.requests.end() || request->second.late) download.picker.OnReleased(chunk, id);
    }
}

void Swarm::Impl::TryVerify(Download& download, ChunkIndex chunk, Instant now) {
    const auto found = download.partials.find(chunk);
    const Hash256& chunk_hash = download.hashes[chunk.value];
    if (found == download.partials.end() || found->second.verifying || chunk_hash.IsZero()) return;
    PartialChunk& partial = found->second;
    if (partial.received != LeafMask(download.content, chunk)) return;
    std::vector<PeerId> liars;
    for (const auto& [peer, hashes] : partial.hashes) {
        if (!CheckLeafHashes(download.content.size_bytes, chunk, hashes, chunk_hash)) liars.push_back(peer);
    }
    if (liars.empty()) {
        partial.verifying = true;
        actions.push_back(VerifyAndStore{download.content, chunk, partial.bytes, partial.hashes.begin()->second,
                                         partial.from[std::bit_width(partial.received) - 1u]});
        return;
    }
    for (const PeerId peer : liars) {
        DropLeaves(download, chunk, peer);
        Fault(peer, "false leaf hashes of chunk " + ToString(chunk), now);
    }
    ReleaseIdle(download, chunk);
}

void Swarm::Impl::Verified(Download& download, ChunkIndex chunk, const Result<std::vector<uint8_t>>& result,
                           Instant now) {
    const auto found = download.partials.find(chunk);
    if (found == download.partials.end() || !found->second.verifying) return;
    PartialChunk& partial = found->second;
    partial.verifying = false;
    if (!result) return FailDownload(download.content, result.error());
    if (!result->empty()) {
        std::set<PeerId> forgers;
        for (const uint8_t leaf : *result) {
            if (leaf >= kLeavesPerChunk) continue;
            partial.received &= static_cast<uint16_t>(~(1u << leaf));
            forgers.insert(partial.from[leaf]);
        }
        partial.verified = partial.received;
        for (const PeerId peer : forgers) Fault(peer, "a forged leaf of chunk " + ToString(chunk), now);
        ReleaseIdle(download, chunk);
        return Schedule(download, now);
    }
    const PartialChunk whole = std::move(partial);
    download.partials.erase(found);
    for (const PeerId other : download.picker.OnStored(chunk, PeerId(0))) {
        const auto provider = download.providers.find(other);
        if (provider == download.providers.end()) continue;
        const auto request = provider->second.requests.find(chunk);
        if (request == provider->second.requests.end()) continue;
        if (!request->second.late) --provider->second.active;
        request->second.late = true;
        Send(other, CancelChunks{download.content, {chunk}});
    }
    std::map<PeerId, uint64_t> gave;
    for (uint32_t leaf = 0; leaf < LeavesOfChunk(download.content.size_bytes, chunk); ++leaf)
        gave[whole.from[leaf]] += LeafBytes(download.content.size_bytes, chunk, leaf);
    for (const auto& [peer, bytes] : gave) PayLeaves(download, peer, bytes, whole.asks.at(peer), whole.links.at(peer), false, now);
    download.stored_bytes += ChunkBytes(download.content.size_bytes, chunk);
    download.last_stored = now;
    const auto content = served.find(download.content);
    if (content != served.end() && content->second.have.Insert(chunk)) Announce(download.content, chunk);
    if (download.picker.IsDone()) return Finish(download, now);
    if (download.picker.IsIdle()) actions.push_back(Progress(download));
    Schedule(download, now);
}

void Swarm::Impl::Finish(Download& download, Instant) {
    for (auto& [id, provider] : download.providers) {
        PayAll(id);
    }
    actions.push_back(Progress(download));
    actions.push_back(DownloadFinished{download.content, download.meter.Owed(), download.fees});
    downloads.erase(download.content);
}

void Swarm::Impl::FailDownload(const ContentId content, Error error) {
    const auto found = downloads.find(content);
    if (found == downloads.end()) return;
    for (auto& [id, provider] : found->second.providers) {
        PayAll(id);
        CancelChunks cancel{content, {}};
        for (const auto& [chunk, request] : provider.requests) cancel.chunks.push_back(chunk);
        for (size_t at = 0; at < cancel.chunks.size(); at += kMaxRequestedChunks) {
            const auto end = std::min(cancel.chunks.size(), at + kMaxRequestedChunks);
            Send(id, CancelChunks{content,
                                  {cancel.chunks.begin() + static_cast<ptrdiff_t>(at),
                                   cancel.chunks.begin() + static_cast<ptrdiff_t>(end)}});
        }
    }
    downloads.erase(found);
    actions.push_back(DownloadFailed{content, std::move(error)});
}

DownloadProgress Swarm::Impl::Progress(const Download& download) const {
    DownloadProgress progress;
    progress.content = download.content;
    progress.stored_bytes = download.stored_bytes;
    progress.total_bytes = download.content.size_bytes;
    progress.wanted_bytes = download.WantedBytes();
    progress.wanted_stored_bytes = progress.wanted_bytes - download.WantedLeftBytes();
    progress.paid = download.meter.Owed();
    progress.fees = download.fees;
    progress.cost_at_most = CostAtMost(download);
    progress.bytes_per_s = download.bytes_per_s;
    for (const auto& [id, provider] : download.providers) {
        progress.peers += provider.active > 0;
        progress.providers += download.picker.IsUseful(id);
    }
    progress.waiting_for = progress.peers > 0 || download.picker.IsIdle() ? ""
                           : progress.providers == 0 ? "a peer that has it"
                                                     : download.waiting_for;
    return progress;
}

Status Swarm::StartDownload(const ContentId& content, const ChunkSet& have, const DownloadLimits& limits,
                            Amount ask_per_mib, Instant now, DownloadMode mode) {
    RETURN_IF_ERROR(CheckContentSize(content.size_bytes));
    if (have.size() != ChunkCount(content.size_bytes)) return Fail("the set of chunks has not the size of the content");
    if (m_impl->downloads.contains(content)) return Fail("this content is being fetched already");
    AddContent(content, have, ask_per_mib);
    m_impl->Start(content, have, limits, mode, now);
    return {};
}

void Swarm::StopDownload(const ContentId& content, Instant) {
    m_impl->FailDownload(content, Error{ErrorKind::kUnavailable, "stopped"});
}

void Swarm::SetMode(const ContentId& content, DownloadMode mode, Instant now) {
    const auto found = m_impl->downloads.find(content);
    if (found == m_impl->downloads.end()) return;
    found->second.picker.SetWantsAll(mode == DownloadMode::kWhole);
    m_impl->Schedule(found->second, now);
}

void Swarm::Want(const ContentId& content, ChunkIndex first, ChunkIndex last, Instant now) {
    const auto found = m_impl->downloads.find(content);
    if (found == m_impl->downloads.end()) return;
    found->second.picker.Want(first, last);
    m_impl->Schedule(found->second, now);
}

void Swarm::SetDeadlines(const ContentId& content, const std::vector<ChunkIndex>& soonest_first, Instant now) {
    const auto found = m_impl->downloads.find(content);
    if (found == m_impl->downloads.end()) return;
    found->second.picker.SetUrgent(soonest_first);
    m_impl->Schedule(found->second, now);
}

void Swarm::OnHashesStored(const ContentId& content, const HashSpan& span, const Status& status, Instant now) {
    const auto found = m_impl->downloads.find(content);
    if (found == m_impl->downloads.end()) return;
    if (!status) return m_impl->FailDownload(content, status.error());
    Download& download = found->second;
    std::vector<ChunkIndex> waiting;
    for (auto proven = download.proven.lower_bound(span.first);
         proven != download.proven.end() && proven->first - span.first < span.count;) {
        download.hashes[proven->first.value] = proven->second;
        if (download.partials.contains(proven->first)) waiting.push_back(proven->first);
        proven = download.proven.erase(proven);
    }
    download.spans_asked.erase(span.first);
    for (const ChunkIndex chunk : waiting) m_impl->TryVerify(download, chunk, now);
    m_impl->Schedule(download, now);
}

void Swarm::OnChunkVerified(const ContentId& content, ChunkIndex chunk, Result<std::vector<uint8_t>> result,
                            Instant now) {
    const auto found = m_impl->downloads.find(content);
    if (found != m_impl->downloads.end()) m_impl->Verified(found->second, chunk, result, now);
}

std::optional<DownloadProgress> Swarm::ProgressOf(const ContentId& content) const {
    const auto found = m_impl->downloads.find(content);
    if (found == m_impl->downloads.end()) return std::nullopt;
    return m_impl->Progress(found->second);
}

}  // namespace sluice::content
