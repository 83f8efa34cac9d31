#include <algorithm>

#include "content/swarm_state.h"

// Which peer is asked for what, when, and at what price.

namespace sluice::content {
namespace {

constexpr seconds kLateKept{60};  // that a late request is remembered

// Seconds that a chunk of this peer takes once it is sent; a guess while nothing is known.
double SecondsPerChunk(const Provider& provider) {
    return kChunkBytes / std::max(provider.bytes_per_s > 0 ? provider.bytes_per_s : 4e6, 1e3);
}

size_t UrgentRequests(const Provider& provider) {
    return static_cast<size_t>(std::count_if(provider.requests.begin(), provider.requests.end(), [](const auto& entry) {
        return entry.second.urgent && !entry.second.late;
    }));
}

double SecondsSince(Instant then, Instant now) { return std::chrono::duration<double>(now - then).count(); }

size_t PipelineOf(const Provider& provider) {
    if (provider.snubbed) return 1;
    const double ahead = provider.bytes_per_s * kPipeline.count() / kChunkBytes;
    const size_t known = 2 + static_cast<size_t>(ahead);
    return std::min(std::max(known, std::min<size_t>(2 + provider.completed, 32)), kMaxInFlightAtPeer);
}

// Few large messages in place of many small ones.
bool IsWorthAsking(size_t limit, size_t room) { return room > 0 && room >= std::min<size_t>(limit / 4, 8); }

}  // namespace

Swarm::Impl::Room Swarm::Impl::RoomAt(Download& download, PeerId peer, const Provider& provider, Instant now) {
    if (provider.paused_until && now < *provider.paused_until) return {};
    size_t limit = PipelineOf(provider);
    size_t extra = provider.snubbed ? 0 : kUrgentExtra;
    if (provider.ask.drops == 0) {
        const auto state = peers.find(peer);
        if (state == peers.end() || state->second.chokes_us) return {};
    } else {
        const size_t payable = PaidRoom(download, peer, provider, limit + extra);
        limit = std::min(limit, payable);
        extra = payable - limit;
    }
    return {limit, limit > provider.active ? limit - provider.active : 0,
            limit + extra > provider.active ? std::min(limit + extra - provider.active, limit) : 0};
}

void Swarm::Impl::RequestFrom(Download& download, PeerId peer, Provider& provider,
                              const std::vector<ChunkIndex>& chunks, RequestOrder order, Instant now) {
    RequestChunks message{download.content, order, {}};
    PeerState& state = peers.at(peer);
    const OutPoint link = state.paid_by_us ? *state.paid_by_us : OutPoint{};
    for (const ChunkIndex chunk : chunks) {
        const uint32_t leaves = LeavesOfChunk(download.content.size_bytes, chunk);
        uint16_t wanted = static_cast<uint16_t>((1u << leaves) - 1);
        const auto partial = download.partials.find(chunk);
        if (partial != download.partials.end()) wanted &= static_cast<uint16_t>(~partial->second.received);
        if (wanted == 0) continue;  // being verified
        NeedHashes(download, peer, chunk, now);
        if (provider.active == 0) provider.last_progress = now;
        ++provider.active;
        const uint64_t bytes = ChunkBytes(download.content.size_bytes, chunk);
        rate_limit.Take(bytes);
        state.rate_limit.Take(bytes);
        const bool urgent = order == RequestOrder::kUrgent;
        const auto [entry, fresh] = provider.requests.try_emplace(chunk);
        ChunkRequest& request = entry->second;
        if (!fresh) {
            // It was taken back, and the answer is still to come: the leaves, or a refusal, after which it is asked
            // anew. Asking now could bring it twice.
            request.late = false;
            request.revived = true;
            request.since = now;
            request.urgent = urgent;
            continue;
        }
        request = {wanted, 0, now, provider.ask, false, urgent, false, link, ++next_chunk_request};
        message.chunks.push_back({chunk, wanted});
        if (message.chunks.size() < kMaxRequestedChunks) continue;
        Send(peer, message);
        message.chunks.clear();
    }
    if (!message.chunks.empty()) Send(peer, message);
}

void Swarm::Impl::MakeLate(Download& download, PeerId peer, Provider& provider, ChunkIndex chunk) {
    ChunkRequest& request = provider.requests.at(chunk);
    if (request.late) return;
    request.late = true;
    --provider.active;
    if (request.received == 0) {
        const uint64_t bytes = ChunkBytes(download.content.size_bytes, chunk);
        rate_limit.GiveBack(bytes);
        peers.at(peer).rate_limit.GiveBack(bytes);
    }
    download.picker.OnReleased(chunk, peer);
}

void Swarm::Impl::SendCancels(PeerId peer, const ContentId& content, const std::vector<ChunkIndex>& chunks) {
    for (size_t at = 0; at < chunks.size(); at += kMaxRequestedChunks) {
        const auto begin = chunks.begin() + static_cast<ptrdiff_t>(at);
        const auto count = static_cast<ptrdiff_t>(std::min(kMaxRequestedChunks, chunks.size() - at));
        Send(peer, CancelChunks{content, {begin, begin + count}});
    }
}

// Paid peers are used when those that cost nothing do not have everything, or are slower than wanted.
bool Swarm::Impl::UsePaid(const Download& download, Instant now) const {
    std::vector<PeerId> free_peers;
    double rate = 0;
    for (const auto& [id, provider] : download.providers) {
        if (provider.ask.drops != 0 || (provider.paused_until && now < *provider.paused_until)) continue;
        const auto peer = peers.find(id);
        if (peer == peers.end() || peer->second.chokes_us) continue;
        free_peers.push_back(id);
        rate += provider.bytes_per_s;
    }
    if (free_peers.empty() || download.picker.LacksAnywhere(free_peers)) return true;
    return now - download.started >= kProviderPatience &&
           rate < static_cast<double>(download.limits.target_bytes_per_s);
}

size_t Swarm::Impl::ShareInFlight(Instant now) {
    if (!share_seen || now - *share_seen >= kSharesStand) {
        share_seen = now;
        const auto fetching = std::count_if(downloads.begin(), downloads.end(), [](const auto& entry) {
            return !entry.second.picker.IsIdle() && !entry.second.providers.empty();
        });
        share_in_flight =
            std::max(kMinInFlightChunks, kMaxInFlightChunks / static_cast<size_t>(std::max<ptrdiff_t>(fetching, 1)));
    }
    return share_in_flight;
}

void Swarm::Impl::Schedule(Download& download, Instant now) {
    if (download.picker.IsIdle()) return;
    if (!download.prices_seen || now - *download.prices_seen >= kPricesStand) {
        download.prices_seen = now;
        download.uses_paid = UsePaid(download, now);
    }
    GiveUrgent(download, now);
    std::vector<std::pair<PeerId, Provider*>> order;
    const size_t share = ShareInFlight(now);
    size_t in_flight = download.complete;
    for (auto& [id, provider] : download.providers) {
        in_flight += provider.active;
        if (provider.ask.drops == 0 || download.uses_paid) order.emplace_back(id, &provider);
    }
    // Cheap before dear, then fast before slow.
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
        if (a.second->ask != b.second->ask) return a.second->ask < b.second->ask;
        return a.second->bytes_per_s > b.second->bytes_per_s;
    });
    for (const auto& [id, provider] : order) {
        PeerState* peer = Find(id);
        if (peer == nullptr) continue;
        // Money can only make it less, and counting it takes longer.
        const size_t pipeline = std::min(PipelineOf(*provider), share);
        const size_t free =
            std::min(pipeline - std::min(pipeline, provider->active), share - std::min(in_flight, share));
        if (!IsWorthAsking(pipeline, free)) continue;
        const Room at_peer = RoomAt(download, id, *provider, now);
        if (!IsWorthAsking(at_peer.limit, at_peer.chunks)) continue;
        const size_t room = std::min({at_peer.chunks, free, rate_limit.Chunks(now), peer->rate_limit.Chunks(now)});
        if (room == 0) continue;
        const auto chunks = download.picker.Pick(id, room);
        in_flight += chunks.size();
        RequestFrom(download, id, *provider, chunks, RequestOrder::kQueue, now);
        if (chunks.empty()) StealFor(download, id, *provider, room, now);
    }
    if (download.uses_paid) WantChannelsFor(download, now);
}

// Near the end the queues of slow peers are what is left: what has not begun there is moved to a peer with nothing to
// do that is through with it much sooner.
void Swarm::Impl::StealFor(Download& download, PeerId peer, Provider& provider, size_t room, Instant now) {
    PeerId slowest;
    Provider* victim = nullptr;
    double longest = 0;
    for (auto& [id, other] : download.providers) {
        if (id == peer || other.active < 2 || other.ask < provider.ask) continue;
        const double left = static_cast<double>(other.active) * SecondsPerChunk(other);
        if (left <= longest) continue;
        longest = left;
        slowest = id;
        victim = &other;
    }
    if (victim == nullptr || victim->bytes_per_s == 0) return;
    const auto is_sooner = [&](size_t stolen) {
        const double theirs = static_cast<double>(victim->active - stolen) * SecondsPerChunk(*victim);
        const double ours = static_cast<double>(provider.active + stolen + 1) * SecondsPerChunk(provider);
        return theirs >= 2 * ours + 0.5;
    };
    if (!is_sooner(0)) return;
    std::vector<ChunkIndex> waiting;
    for (const auto& [chunk, request] : victim->requests) {
        if (!request.late && request.received == 0 && download.picker.PeerHas(peer, chunk)) waiting.push_back(chunk);
    }
    std::sort(waiting.begin(), waiting.end(), [&](ChunkIndex a, ChunkIndex b) {
        return victim->requests.at(a).number > victim->requests.at(b).number;
    });
    std::vector<ChunkIndex> stolen;
    for (const ChunkIndex chunk : waiting) {
        if (stolen.size() >= room || !is_sooner(stolen.size())) break;
        stolen.push_back(chunk);
    }
    std::vector<ChunkIndex> taken;
    for (const ChunkIndex chunk : stolen) {
        MakeLate(download, slowest, *victim, chunk);
        if (download.picker.Take(peer, chunk)) taken.push_back(chunk);
    }
    if (stolen.empty()) return;
    SendCancels(slowest, download.content, stolen);
    RequestFrom(download, peer, provider, taken, RequestOrder::kQueue, now);
}

// What was urgent and is not any more, or is not wanted at all any more, is not to be waited for.
void Swarm::Impl::CancelStale(Download& download, Instant) {
    for (auto& [id, provider] : download.providers) {
        std::vector<ChunkIndex> stale;
        for (const auto& [chunk, request] : provider.requests) {
            if (request.late || request.received != 0) continue;
            if (request.urgent ? !download.picker.IsUrgent(chunk) : !download.picker.IsWanted(chunk))
                stale.push_back(chunk);
        }
        for (const ChunkIndex chunk : stale) MakeLate(download, id, provider, chunk);
        SendCancels(id, download.content, stale);
    }
}

void Swarm::Impl::ServeDeadlines(Download& download, Instant now) {
    CancelStale(download, now);
    download.prices_seen.reset();
    Schedule(download, now);
}

// Each urgent chunk goes to the peer that is likely to have it here first. One that a peer was asked for before becomes
// urgent there, or is moved to a peer that is much sooner through with it.
void Swarm::Impl::GiveUrgent(Download& download, Instant now) {
    if (download.picker.urgent().empty()) return;
    struct Lane {
        PeerId id;
        Provider* provider;
        size_t room;
        size_t urgent;
        std::vector<ChunkIndex> chunks, hurried;
        double SecondsTo(size_t n) const { return static_cast<double>(n) * SecondsPerChunk(*provider); }
    };
    std::vector<Lane> lanes;
    const size_t share = ShareInFlight(now);
    size_t in_flight = download.complete;
    for (auto& [id, provider] : download.providers) {
        in_flight += provider.active;
        PeerState* peer = Find(id);
        if (peer == nullptr || (provider.ask.drops > 0 && !download.uses_paid)) continue;
        const size_t room = std::min(
            {RoomAt(download, id, provider, now).urgent, rate_limit.Chunks(now), peer->rate_limit.Chunks(now)});
        lanes.push_back({id, &provider, room, UrgentRequests(provider), {}, {}});
    }
    const auto best_for = [&](ChunkIndex chunk) -> Lane* {
        Lane* best = nullptr;
        for (Lane& lane : lanes) {
            if (lane.room == 0 || !download.picker.PeerHas(lane.id, chunk)) continue;
            if (best == nullptr || lane.SecondsTo(lane.urgent + 1) < best->SecondsTo(best->urgent + 1)) best = &lane;
        }
        return best;
    };
    const auto give = [&](Lane& lane, ChunkIndex chunk) {
        lane.chunks.push_back(chunk);
        --lane.room;
        ++lane.urgent;
        ++in_flight;
    };
    constexpr size_t kMayMove = 8;  // of the soonest
    size_t missing = 0;
    for (const ChunkIndex chunk : download.picker.urgent()) {
        if (download.picker.IsStored(chunk)) continue;
        ++missing;
        const auto partial = download.partials.find(chunk);
        if (partial != download.partials.end() && partial->second.phase != PartialChunk::Phase::kCollecting) continue;
        const std::vector<PeerId> requesters = download.picker.RequestersOf(chunk);
        if (requesters.empty()) {
            Lane* lane = in_flight < share + kUrgentExtra ? best_for(chunk) : nullptr;
            if (lane != nullptr && download.picker.Take(lane->id, chunk)) give(*lane, chunk);
            continue;
        }
        if (requesters.size() != 1) continue;
        const auto holder =
            std::find_if(lanes.begin(), lanes.end(), [&](const Lane& lane) { return lane.id == requesters[0]; });
        if (holder == lanes.end()) continue;
        const auto found = holder->provider->requests.find(chunk);
        if (found == holder->provider->requests.end() || found->second.late) continue;
        ChunkRequest& request = found->second;
        if (!request.urgent) {
            request.urgent = true;
            request.since = now;
            ++holder->urgent;
            holder->hurried.push_back(chunk);
        }
        Lane* other = missing <= kMayMove ? best_for(chunk) : nullptr;
        if (other == nullptr || other->id == holder->id) continue;
        const double due = holder->SecondsTo(std::max<size_t>(holder->urgent, 1));
        const double waited = SecondsSince(request.since, now);
        const bool stalls = waited > 2 * due + 0.1;
        if (!stalls && 2 * other->SecondsTo(other->urgent + 1) + 0.05 >= due - waited) continue;
        if (request.received == 0) {
            MakeLate(download, holder->id, *holder->provider, chunk);
            std::erase(holder->hurried, chunk);
            --holder->urgent;
            SendCancels(holder->id, download.content, {chunk});
            if (download.picker.Take(other->id, chunk)) give(*other, chunk);
        } else if (stalls && download.picker.PickSecond(other->id, chunk)) {
            give(*other, chunk);
        }
    }
    for (Lane& lane : lanes) {
        RequestFrom(download, lane.id, *lane.provider, lane.chunks, RequestOrder::kUrgent, now);
        if (lane.hurried.empty()) continue;
        RequestChunks hurry{download.content, RequestOrder::kHurry, {}};
        for (const ChunkIndex chunk : lane.hurried) {
            if (hurry.chunks.size() < kMaxRequestedChunks) hurry.chunks.push_back({chunk, kAllLeaves});
        }
        Send(lane.id, hurry);
    }
}

void Swarm::Impl::ScheduleAll(Instant now) {
    for (auto& [content, download] : downloads) Schedule(download, now);
}

void Swarm::Impl::ForgetProvider(Download& download, PeerId peer) {
    if (download.providers.erase(peer) == 0) return;
    download.prices_seen.reset();
    // What it gave and was not verified is not trusted to be paid: it is asked of others.
    std::vector<ChunkIndex> touched;
    for (auto& [chunk, partial] : download.partials) {
        if (partial.hashes_asked == peer) partial.hashes_asked.reset();
        if (partial.asks.contains(peer)) touched.push_back(chunk);
    }
    for (const ChunkIndex chunk : touched) DropLeaves(download, chunk, peer);
    download.picker.RemovePeer(peer);
    for (const ChunkIndex chunk : touched) ReleaseIdle(download, chunk);
    for (auto& [first, span] : download.spans) {
        if (span.asked == peer) span.asked.reset();
    }
}

void Swarm::Impl::OnRefuse(PeerId peer, const Refuse& refuse, Instant now) {
    const auto found = downloads.find(refuse.content);
    if (found == downloads.end()) return;
    Download& download = found->second;
    const auto entry = download.providers.find(peer);
    if (entry == download.providers.end()) return;
    Provider& provider = entry->second;
    const auto partial = download.partials.find(refuse.chunk);
    if (refuse.reason != RefuseReason::kTakenBack && partial != download.partials.end() &&
        partial->second.hashes_asked == peer) {
        partial->second.hashes_asked.reset();
        partial->second.hashes_refused.insert(peer);
        return AskForLeafHashes(download, refuse.chunk, partial->second, now);
    }
    const auto request = provider.requests.find(refuse.chunk);
    if (request == provider.requests.end()) return;
    const OutPoint link = request->second.link;
    const bool taken_back =
        refuse.reason == RefuseReason::kTakenBack && (request->second.late || request->second.revived);
    MakeLate(download, peer, provider, refuse.chunk);
    provider.requests.erase(request);
    if (taken_back) return Schedule(download, now);
    download.prices_seen.reset();
    switch (refuse.reason) {
        case RefuseReason::kNeedsFinality:
            provider.needs_finality = true;
            download.waiting_for = "a payment channel to be final";
            break;
        case RefuseReason::kChannelFull:
        case RefuseReason::kNeedsChannel:
            // The channel that was to pay, which may be another one than that in use by now.
            if (const auto full = payer_links.find(link); full != payer_links.end() && full->second.peer == peer)
                full->second.useless = true;
            break;
        case RefuseReason::kNotHere:
        case RefuseReason::kBusy:
        case RefuseReason::kNoCredit:
        case RefuseReason::kTakenBack:  // it was not: asked again at once, it could say so for ever
            provider.paused_until = now + kRefusedPause;
            break;
    }
    Schedule(download, now);
}

void Swarm::Impl::OnChoke(PeerId peer, Instant now) {
    peers.at(peer).chokes_us = true;
    for (auto& [content, download] : downloads) {
        const auto entry = download.providers.find(peer);
        if (entry == download.providers.end() || entry->second.ask.drops > 0) continue;
        for (auto& [chunk, request] : entry->second.requests) MakeLate(download, peer, entry->second, chunk);
        download.prices_seen.reset();
        if (download.waiting_for.empty()) download.waiting_for = "an upload slot of a free seeder";
    }
    ScheduleAll(now);
}

void Swarm::Impl::OnUnchoke(PeerId peer, Instant now) {
    peers.at(peer).chokes_us = false;
    for (auto& [content, download] : downloads) download.prices_seen.reset();
    ScheduleAll(now);
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

void Swarm::Impl::TickDisputes(Download& download, Instant now) {
    for (auto& [chunk, partial] : download.partials) {
        if (partial.phase != PartialChunk::Phase::kDisputed) continue;
        if (partial.hashes_asked && now - partial.hashes_asked_at >= kRequestTimeout) {
            partial.hashes_refused.insert(*partial.hashes_asked);
            partial.hashes_asked.reset();
        }
        AskForLeafHashes(download, chunk, partial, now);
        if (!partial.hashes_asked && !partial.hashes_refused.empty() &&
            now - partial.disputed_since >= kDisputePatience)
            GiveUpDispute(download, chunk, partial);
    }
}

void Swarm::Impl::TickDownload(Download& download, Instant now) {
    for (auto& [id, provider] : download.providers) {
        const double passed = SecondsSince(provider.rate_since, now);
        if (passed >= 0.5) {
            // A peer that was asked for nothing keeps the rate that it had.
            const double rate = static_cast<double>(provider.rate_bytes) / passed;
            if (provider.active > 0 || provider.rate_bytes > 0)
                provider.bytes_per_s = provider.bytes_per_s == 0 ? rate : 0.5 * (provider.bytes_per_s + rate);
            provider.rate_bytes = 0;
            provider.rate_since = now;
        }
        std::erase_if(provider.requests,
                      [&](const auto& entry) { return entry.second.late && now - entry.second.since >= kLateKept; });
        const auto patience = std::clamp<microseconds>(
            microseconds(static_cast<int64_t>(4e6 * std::min(provider.seconds_per_chunk, 60.0))), kRequestTimeout,
            kMaxPatience);
        if (provider.active == 0 || now - provider.last_progress < patience) continue;
        provider.snubbed = true;
        provider.paused_until = now + kRefusedPause;
        provider.last_progress = now;
        download.prices_seen.reset();
        std::vector<ChunkIndex> cancelled;
        for (auto& [chunk, request] : provider.requests) {
            if (!request.late) cancelled.push_back(chunk);
        }
        for (const ChunkIndex chunk : cancelled) MakeLate(download, id, provider, chunk);
        SendCancels(id, download.content, cancelled);
    }
    for (auto& [first, span] : download.spans) {
        if (span.asked && !span.reading && now - span.asked_at >= kRequestTimeout) span.asked.reset();
    }
    std::vector<ChunkIndex> unproven;  // the hash was never given
    for (const auto& [chunk, partial] : download.partials) {
        if (partial.phase == PartialChunk::Phase::kUnproven && !download.HashOf(chunk)) unproven.push_back(chunk);
    }
    for (const ChunkIndex chunk : unproven) NeedHashes(download, std::nullopt, chunk, now);
    std::erase_if(download.late_hashes, [&](const auto& entry) {
        return std::none_of(download.providers.begin(), download.providers.end(),
                            [&](const auto& provider) { return provider.second.requests.contains(entry.first); });
    });
    TickDisputes(download, now);
    if (download.picker.IsIdle()) download.last_stored = now;  // nobody waits
    if (now - download.last_report >= seconds(1)) {
        const double passed = SecondsSince(download.last_report, now);
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
