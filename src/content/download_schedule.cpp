#include <algorithm>

#include "content/swarm_state.h"

// Which peer is asked for what, when, and at what price.

namespace sluice::content {

// Chunks that may be asked of a provider now.
size_t Swarm::Impl::RoomAt(Download& download, PeerId peer, const Provider& provider, Instant now) {
    if (provider.paused_until && now < *provider.paused_until) return 0;
    const double ahead = provider.bytes_per_s * 2 / kChunkBytes;
    size_t limit = std::clamp<size_t>(2 + static_cast<size_t>(ahead), 2, kMaxInFlightAtPeer);
    if (provider.snubbed) limit = 1;
    if (provider.ask.drops > 0) limit = PaidRoom(download, peer, provider, limit);
    return limit > provider.active ? limit - provider.active : 0;
}

void Swarm::Impl::RequestFrom(Download& download, PeerId peer, Provider& provider,
                              const std::vector<ChunkIndex>& chunks, Instant now) {
    RequestChunks message{download.content, {}};
    const PeerState* state = Find(peer);
    const OutPoint link = state != nullptr && state->paid_by_us ? *state->paid_by_us : OutPoint{};
    for (const ChunkIndex chunk : chunks) {
        const uint32_t leaves = LeavesOfChunk(download.content.size_bytes, chunk);
        uint16_t wanted = static_cast<uint16_t>((1u << leaves) - 1);
        const auto partial = download.partials.find(chunk);
        if (partial != download.partials.end()) wanted &= static_cast<uint16_t>(~partial->second.received);
        if (wanted == 0) continue;  // being verified
        AskForHashes(download, peer, chunk, now);
        if (provider.requests.contains(chunk)) provider.requests.erase(chunk);  // a late one, asked anew
        if (provider.active == 0) provider.last_progress = now;
        provider.requests.emplace(chunk, ChunkRequest{wanted, 0, now, {}, provider.ask, false, link});
        ++provider.active;
        message.chunks.push_back({chunk, wanted});
    }
    if (!message.chunks.empty()) Send(peer, message);
}

// Paid peers are used when those that cost nothing do not have everything, or are slower than wanted.
bool Swarm::Impl::UsePaid(const Download& download, Instant now) const {
    std::vector<PeerId> free_peers;
    double rate = 0;
    for (const auto& [id, provider] : download.providers) {
        if (provider.ask.drops != 0 || (provider.paused_until && now < *provider.paused_until)) continue;
        free_peers.push_back(id);
        rate += provider.bytes_per_s;
    }
    if (free_peers.empty() || download.picker.LacksAnywhere(free_peers)) return true;
    return now - download.started >= kProviderPatience &&
           rate < static_cast<double>(download.limits.target_bytes_per_s);
}

void Swarm::Impl::Schedule(Download& download, Instant now) {
    std::vector<std::pair<PeerId, Provider*>> order;
    size_t in_flight = 0;
    for (auto& [id, provider] : download.providers) {
        order.emplace_back(id, &provider);
        in_flight += provider.active;
    }
    // Cheap before dear, then fast before slow.
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
        if (a.second->ask != b.second->ask) return a.second->ask < b.second->ask;
        return a.second->bytes_per_s > b.second->bytes_per_s;
    });
    const bool use_paid = UsePaid(download, now);
    for (const auto& [id, provider] : order) {
        if (provider->ask.drops > 0 && !use_paid) continue;
        const PeerState* peer = Find(id);
        if (peer == nullptr) continue;
        const size_t room = std::min(RoomAt(download, id, *provider, now),
                                     kMaxInFlightChunks - std::min(in_flight, kMaxInFlightChunks));
        if (room == 0) continue;
        const auto chunks = download.picker.Pick(id, room);
        in_flight += chunks.size();
        RequestFrom(download, id, *provider, chunks, now);
    }
    if (use_paid) WantChannelsFor(download, now);
}

void Swarm::Impl::ScheduleAll(Instant now) {
    for (auto& [content, download] : downloads) Schedule(download, now);
}

void Swarm::Impl::ForgetProvider(Download& download, PeerId peer) {
    if (download.providers.erase(peer) == 0) return;
    // What it gave and was not verified is not trusted to be paid: it is asked of others.
    std::vector<ChunkIndex> touched;
    for (const auto& [chunk, partial] : download.partials) {
        if (partial.hashes.contains(peer)) touched.push_back(chunk);
    }
    for (const ChunkIndex chunk : touched) DropLeaves(download, chunk, peer);
    download.picker.RemovePeer(peer);
    for (const ChunkIndex chunk : touched) ReleaseIdle(download, chunk);
    std::erase_if(download.spans_asked, [&](const auto& entry) { return entry.second.first == peer; });
}

void Swarm::Impl::OnRefuse(PeerId peer, const Refuse& refuse, Instant now) {
    const auto found = downloads.find(refuse.content);
    if (found == downloads.end()) return;
    Download& download = found->second;
    const auto entry = download.providers.find(peer);
    if (entry == download.providers.end()) return;
    Provider& provider = entry->second;
    const auto request = provider.requests.find(refuse.chunk);
    if (request == provider.requests.end()) return;
    if (!request->second.late) --provider.active;
    provider.requests.erase(request);
    switch (refuse.reason) {
        case RefuseReason::kNeedsFinality:
            provider.needs_finality = true;
            download.waiting_for = "a payment channel to be final";
            break;
        case RefuseReason::kChannelFull:
        case RefuseReason::kNeedsChannel:
            if (PayerLink* link = PayerLinkOf(peer)) link->useless = true;
            break;
        case RefuseReason::kNotHere:
        case RefuseReason::kBusy:
        case RefuseReason::kNoCredit:
            provider.paused_until = now + kRefusedPause;
            break;
    }
    download.picker.OnReleased(refuse.chunk, peer);
    Schedule(download, now);
}

std::optional<Error> Swarm::Impl::TooExpensive(const Download& download) const {
    std::optional<Amount> cheapest;
    for (const auto& [id, provider] : download.providers) {
        if (!download.picker.IsUseful(id)) continue;
        if (!cheapest || provider.ask < *cheapest) cheapest = provider.ask;
    }
    if (cheapest && *cheapest <= download.limits.max_price_per_mib && download.over_budget)
        return Error{ErrorKind::kFunds, "the rest would cost more than the budget of " +
                                            FormatSlu(download.limits.budget) + " SLU leaves: raise max_cost"};
    if (!cheapest || *cheapest <= download.limits.max_price_per_mib) return std::nullopt;
    return Error{ErrorKind::kFunds, "every seeder asks more than max_price_per_mib: the cheapest asks " +
                                        FormatSlu(*cheapest) + " SLU per MiB, the limit is " +
                                        FormatSlu(download.limits.max_price_per_mib)};
}

void Swarm::Impl::TickDownload(Download& download, Instant now) {
    for (auto& [id, provider] : download.providers) {
        const double passed = std::chrono::duration<double>(now - provider.rate_since).count();
        if (passed >= 0.5) {
            const double rate = static_cast<double>(provider.rate_bytes) / passed;
            provider.bytes_per_s = provider.bytes_per_s == 0 ? rate : 0.5 * (provider.bytes_per_s + rate);
            provider.rate_bytes = 0;
            provider.rate_since = now;
        }
        const auto patience = std::max<microseconds>(
            kRequestTimeout, microseconds(static_cast<int64_t>(4e6 * provider.seconds_per_chunk)));
        if (provider.active == 0 || now - provider.last_progress < patience) continue;
        provider.snubbed = true;
        provider.paused_until = now + kRefusedPause;
        provider.last_progress = now;
        CancelChunks cancel{download.content, {}};
        for (auto& [chunk, request] : provider.requests) {
            if (request.late) continue;
            request.late = true;
            --provider.active;
            cancel.chunks.push_back(chunk);
            download.picker.OnReleased(chunk, id);
        }
        if (!cancel.chunks.empty()) Send(id, cancel);
    }
    std::erase_if(download.spans_asked,
                  [&](const auto& entry) { return now - entry.second.second >= kRequestTimeout; });
    for (const auto& [chunk, partial] : download.partials) {  // complete, and the hash was never given
        if (!partial.verifying && !download.providers.empty() && download.hashes[chunk.value].IsZero())
            AskForHashes(download, download.providers.begin()->first, chunk, now);
    }
    if (now - download.last_report >= seconds(1)) {
        const double passed = std::chrono::duration<double>(now - download.last_report).count();
        download.bytes_per_s =
            static_cast<uint64_t>(static_cast<double>(download.stored_bytes - download.reported_bytes) / passed);
        download.reported_bytes = download.stored_bytes;
        download.last_report = now;
        actions.push_back(Progress(download));
    }
    Schedule(download, now);
}

void Swarm::SetLimits(const ContentId& content, const DownloadLimits& limits, Instant now) {
    const auto found = m_impl->downloads.find(content);
    if (found == m_impl->downloads.end()) return;
    found->second.limits = limits;
    m_impl->Schedule(found->second, now);
}

}  // namespace sluice::content
