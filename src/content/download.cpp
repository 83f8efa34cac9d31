#include <algorithm>

#include "content/swarm_state.h"

// The fetching side: what is fetched, the hashes that it is checked by, and how it ends.

namespace sluice::content {
void Swarm::Impl::Start(const ContentId& content, const ChunkSet& have, const DownloadLimits& limits, DownloadMode mode,
                        Instant now) {
    Download& download = downloads.try_emplace(content, content, have, limits, random.Uint64() | 1, mode).first->second;
    for (ChunkIndex chunk; chunk.value < have.size(); ++chunk) {
        if (have.Has(chunk)) download.stored_bytes += ChunkBytes(content.size_bytes, chunk);
    }
    download.started = download.last_stored = download.last_report = now;
    download.reported_bytes = download.stored_bytes;
    if (have.size() == 1) {  // its hash is the root
        const HashSpan span{ChunkIndex(0), 1};
        download.spans[span.first].proven = ProvenSpan::Check(content, span, {{CastHash<Hash256>(content.root)}, {}});
    }
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
    if (fresh) {
        provider.last_progress = provider.rate_since = now;
        share_seen.reset();
    }
    TakeAsk(download, peer, provider, have.ask_per_mib, now);
    // Rationale: the choice looks at every chunk; a peer that says the same again and again does not make us choose as
    // often.
    if (fresh || (download.prices_seen && now - *download.prices_seen >= kPricesHeard)) download.prices_seen.reset();
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

void Swarm::Impl::NeedHashes(Download& download, std::optional<PeerId> peer, ChunkIndex chunk, Instant now) {
    const HashSpan span = download.SpanOf(chunk);
    const auto [entry, fresh] = download.spans.try_emplace(span.first);
    SpanState& state = entry->second;
    state.used = ++download.spans_used;
    if (state.proven || state.reading) return;
    if (!fresh) return AskForHashes(download, state, span, peer, now);
    ForgetSpans(download);
    state.reading = true;
    state.asked = peer;  // if our store does not know them
    PendingRead read;
    read.content = download.content;
    read.span = span;
    read.kind = PendingRead::Kind::kHashes;
    read.own = true;
    const uint64_t request = next_request++;
    reads.emplace(request, read);
    actions.push_back(ReadHashes{request, download.content, span});
}

void Swarm::Impl::AskForHashes(Download& download, SpanState& state, const HashSpan& span, std::optional<PeerId> peer,
                               Instant now) {
    if (state.proven || state.reading || state.asked) return;
    if (!peer || !download.providers.contains(*peer)) {
        if (download.providers.empty()) return;  // NeedHashes again when there is one
        peer = download.providers.begin()->first;
    }
    state.asked = peer;
    state.asked_at = now;
    Send(*peer, GetHashes{download.content, span});
}

void Swarm::Impl::OnOwnHashesRead(const PendingRead& read, const std::optional<HashProof>& proof, Instant now) {
    const auto found = downloads.find(read.content);
    if (found == downloads.end()) return;
    const auto entry = found->second.spans.find(read.span.first);
    if (entry == found->second.spans.end() || !entry->second.reading) return;
    SpanState& state = entry->second;
    state.reading = false;
    const auto peer = std::exchange(state.asked, std::nullopt);
    auto proven = proof ? ProvenSpan::Check(read.content, read.span, *proof) : std::nullopt;
    if (proven) return LearnHashes(found->second, std::move(*proven), now);
    AskForHashes(found->second, state, read.span, peer, now);
}

void Swarm::Impl::OnHashes(PeerId peer, const Hashes& hashes, Instant now) {
    const auto found = downloads.find(hashes.content);
    if (found == downloads.end()) return;
    Download& download = found->second;
    const auto state = download.spans.find(hashes.span.first);
    if (state == download.spans.end() || state->second.proven || state->second.asked != peer || state->second.reading ||
        hashes.span != download.SpanOf(hashes.span.first))
        return;
    auto proven = ProvenSpan::Check(hashes.content, hashes.span, hashes.proof);
    if (!proven) return Fault(peer, "a false proof of chunk hashes", now);
    actions.push_back(StoreHashes{hashes.content, hashes.span, hashes.proof});
    LearnHashes(download, std::move(*proven), now);
}

void Swarm::Impl::LearnHashes(Download& download, ProvenSpan proven, Instant now) {
    const HashSpan span = proven.span();
    SpanState& state = download.spans.at(span.first);
    state.proven = std::move(proven);
    state.asked.reset();
    std::vector<ChunkIndex> waiting;
    for (auto partial = download.partials.lower_bound(span.first);
         partial != download.partials.end() && partial->first - span.first < span.count; ++partial)
        waiting.push_back(partial->first);
    for (const ChunkIndex chunk : waiting) TryVerify(download, chunk, now);
}

// Bounds the hashes in memory: the span that was used longest ago and that nothing under way needs is read again later.
void Swarm::Impl::ForgetSpans(Download& download) {
    while (download.spans.size() > kMaxHashSpans) {
        auto oldest = download.spans.end();
        for (auto span = download.spans.begin(); span != download.spans.end(); ++span) {
            if (!span->second.proven) continue;
            const auto partial = download.partials.lower_bound(span->first);
            const bool needed =
                partial != download.partials.end() && partial->first - span->first < kMaxRequestedHashSpan;
            if (needed || (oldest != download.spans.end() && oldest->second.used <= span->second.used)) continue;
            oldest = span;
        }
        if (oldest == download.spans.end()) return;
        download.spans.erase(oldest);
    }
}

void Swarm::Impl::Forget(const ContentId content) {
    downloads.erase(content);
    share_seen.reset();
}

void Swarm::Impl::Finish(Download& download, Instant) {
    for (auto& [id, provider] : download.providers) {
        PayAll(id);
    }
    actions.push_back(Progress(download));
    actions.push_back(DownloadFinished{download.content, download.meter.Owed(), download.fees});
    Forget(download.content);
}

void Swarm::Impl::FailDownload(const ContentId content, Error error) {
    const auto found = downloads.find(content);
    if (found == downloads.end()) return;
    for (auto& [id, provider] : found->second.providers) {
        PayAll(id);
        std::vector<ChunkIndex> cancelled;
        for (const auto& [chunk, request] : provider.requests)
            if (!request.late) cancelled.push_back(chunk);
        SendCancels(id, content, cancelled);
    }
    AbandonUnderWay(found->second);
    Forget(content);
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
                           : progress.providers == 0                      ? "a peer that has it"
                                                                          : download.waiting_for;
    return progress;
}

Status Swarm::StartDownload(const ContentId& content, const ChunkSet& have, const DownloadLimits& limits,
                            Amount ask_per_mib, Instant now, DownloadMode mode) {
    RETURN_IF_ERROR(CheckContentSize(content.size_bytes));
    if (have.size() != ChunkCount(content.size_bytes)) return Fail("the set of chunks has not the size of the content");
    if (m_impl->downloads.contains(content)) return Fail("this content is being fetched already");
    const auto before = m_impl->served.find(content);
    if (before == m_impl->served.end())
        AddContent(content, have, ask_per_mib);
    else
        AddContent(content, have, before->second.ask, before->second.floor);
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
    found->second.prices_seen.reset();
    m_impl->Schedule(found->second, now);
}

void Swarm::Want(const ContentId& content, ChunkIndex first, ChunkIndex last, Instant now) {
    const auto found = m_impl->downloads.find(content);
    if (found == m_impl->downloads.end()) return;
    found->second.picker.Want(first, last);
    found->second.prices_seen.reset();
    m_impl->Schedule(found->second, now);
}

void Swarm::SetDeadlines(const ContentId& content, const std::vector<ChunkIndex>& soonest_first, Instant now) {
    const auto found = m_impl->downloads.find(content);
    if (found == m_impl->downloads.end()) return;
    found->second.picker.SetUrgent(soonest_first);
    m_impl->ServeDeadlines(found->second, now);
}

void Swarm::OnHashesStored(const ContentId& content, const HashSpan&, const Status& status, Instant) {
    if (!status) m_impl->FailDownload(content, status.error());
}

void Swarm::OnChunkVerified(const ContentId& content, ChunkIndex chunk, Result<ChunkOutcome> outcome, Instant now) {
    const auto found = m_impl->downloads.find(content);
    if (found != m_impl->downloads.end()) m_impl->Verified(found->second, chunk, std::move(outcome), now);
}

std::optional<DownloadProgress> Swarm::ProgressOf(const ContentId& content) const {
    const auto found = m_impl->downloads.find(content);
    if (found == m_impl->downloads.end()) return std::nullopt;
    return m_impl->Progress(found->second);
}

}  // namespace sluice::content
