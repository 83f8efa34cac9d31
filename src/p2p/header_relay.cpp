#include <algorithm>

#include "p2p/block_relay.h"

namespace sluice::p2p {
namespace {

constexpr seconds kPrematureDelay{2};
constexpr seconds kMaxPrematureDelay{10};  // our clock may jump
constexpr seconds kHorizonDelay{10};
constexpr seconds kMaxUnknownDelay{64};
constexpr size_t kMaxRepeats = 16;
constexpr size_t kMaxFreshTransactions = kMaxFreshBlockBytes / 60;  // more are surely too many bytes

}  // namespace

bool BlockRelay::IsFresh(Slot slot) const { return m_view.UntilSlot(slot) > -Sync::kFreshFor; }

void BlockRelay::OnPeerReady(PeerId peer, Height best_height, Instant now) {
    m_peers.emplace(peer, Peer(best_height, now));
    AskNext(now);
    AssignBlocks(now);
}

// While behind, one leader. Afterwards everyone who has not been asked, whatever height it claims.
void BlockRelay::AskNext(Instant now) {
    if (!m_caught_up) return ChooseLeader(now);
    for (auto& [id, peer] : m_peers) {
        if (!peer.synced && !peer.waits_for_bodies && !peer.ask_at && MayBeAsked(peer)) AskHeaders(id, peer, now);
    }
}

bool BlockRelay::LeadsBefore(const Peer& a, const Peer& b) {
    return a.led_at != b.led_at ? a.led_at < b.led_at : a.best_height > b.best_height;
}

// The unsynced peer that has not led for longest, of those the one that claims most.
void BlockRelay::ChooseLeader(Instant now) {
    if (m_leader) return;
    auto best = m_peers.end();
    for (auto it = m_peers.begin(); it != m_peers.end(); ++it) {
        if (it->second.synced) continue;
        if (best == m_peers.end() || LeadsBefore(it->second, best->second)) best = it;
    }
    if (best == m_peers.end()) return;
    Peer& leader = best->second;
    m_leader = best->first;
    m_leader_until = now + Sync::kLeaderPatience;
    m_turn_until = now + Sync::kLeaderTurn;
    leader.led_at = now;
    if (!leader.waits_for_bodies && MayBeAsked(leader)) AskHeaders(best->first, leader, now);
}

void BlockRelay::AskHeaders(PeerId id, Peer& peer, Instant now) {
    if (peer.header_work.InDebt(now)) {
        peer.ask_at = peer.header_work.FreeAt(now);
        return;
    }
    GetHeaders request;
    request.locator = m_view.Locator();
    // Its branch may be another one than our best, and longer than one message; or dropped meanwhile.
    if (peer.last_common && !m_view.HaveHeader(*peer.last_common)) peer.last_common.reset();
    if (peer.last_common && (request.locator.empty() || request.locator.front() != *peer.last_common))
        request.locator.insert(request.locator.begin(), *peer.last_common);
    if (request.locator.size() > kMaxLocatorHashes) {
        // The genesis block, at the end, is what both sides surely have.
        request.locator.erase(request.locator.end() - 2);
    }
    CHECK(request.locator.size() <= kMaxLocatorHashes);
    peer.headers_deadline = now + Sync::kHeadersTimeout;
    peer.ask_at.reset();
    peer.ask_again = false;
    Send(id, MessageType::kGetHeaders, Encode(request));
}

// What it announced and did not give is asked for again, less and less often.
void BlockRelay::Synced(PeerId id, Peer& peer, Instant now) {
    peer.synced = true;
    if (peer.tip && m_view.HaveHeader(peer.tip->hash)) peer.tip.reset();
    if (peer.tip && peer.unknown_delay < kMaxUnknownDelay) {
        if (!peer.ask_at) peer.ask_at = now + peer.unknown_delay;
        peer.unknown_delay = std::min(peer.unknown_delay * 2, kMaxUnknownDelay);
    } else if (peer.tip) {
        peer.tip.reset();
        peer.best_height = std::min(peer.best_height, m_view.BestHeaderHeight());
    }
    if (m_leader && m_leader != id) return;
    m_leader.reset();
    m_caught_up = true;
    AskNext(now);
}

void BlockRelay::OnGetHeaders(PeerId id, ByteSpan payload, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    auto question = Decode<GetHeaders>(payload);
    if (!question) return Misbehaving(id, "getheaders: " + question.error().message);
    if (peer->served.InDebt(now)) {
        peer->question = std::move(*question);
    } else {
        AnswerHeaders(id, *peer, *question, now);
    }
}

void BlockRelay::AnswerHeaders(PeerId id, Peer& peer, const GetHeaders& question, Instant now) {
    Headers answer{m_view.HeadersAfter(question.locator, question.stop, kMaxHeadersPerMessage)};
    const size_t remembered = std::min(answer.headers.size(), Sync::kMaxAnnouncedHeaders);
    for (size_t i = answer.headers.size() - remembered; i < answer.headers.size(); ++i)
        peer.told.Add(answer.headers[i].Hash());
    Bytes payload = Encode(answer);
    peer.served.Charge(Sync::kLookupBytes + static_cast<int64_t>(payload.size()), now);
    Send(id, MessageType::kHeaders, std::move(payload));
}

void BlockRelay::OnHeaders(PeerId id, ByteSpan payload, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    auto message = Decode<Headers>(payload);
    if (!message) return Misbehaving(id, "headers: " + message.error().message);
    if (message->headers.empty()) {
        if (std::exchange(peer->headers_deadline, std::nullopt)) Synced(id, *peer, now);
        return;
    }
    TakeHeaders(id, *peer, std::move(message->headers), {}, now);
}

// What a peer says unasked: the header of a new block, and its body. The header comes first in every respect.
void BlockRelay::OnFreshBlock(PeerId id, ByteSpan payload, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    BlockHeader header;
    Reader reader(payload);
    reader(header);
    if (!reader.Ok()) return Misbehaving(id, "freshblock: " + reader.error());
    const BlockHash hash = header.Hash();
    if (m_view.HaveHeader(hash)) {
        peer->has.Add(hash);
        return OnBlock(id, payload, now);
    }
    TakeHeaders(id, *peer, {header}, payload, now);
}

void BlockRelay::TakeHeaders(PeerId id, Peer& peer, std::vector<BlockHeader> headers, ByteSpan fresh_block,
                             Instant now) {
    Batch batch;
    for (const BlockHeader& header : headers) {
        if (!batch.hashes.empty() && header.prev != batch.hashes.back())
            return Misbehaving(id, "headers are not consecutive");
        batch.hashes.push_back(header.Hash());
    }
    if (!m_view.HaveHeader(headers.front().prev)) return OnUnconnected(id, peer, headers, now);
    peer.headers_deadline.reset();
    if (peer.batch) {
        peer.ask_again = true;
        return;
    }
    // Those that we have cost nothing more.
    const auto first_new = std::partition_point(batch.hashes.begin(), batch.hashes.end(),
                                                [&](const BlockHash& hash) { return m_view.HaveHeader(hash); });
    for (auto it = batch.hashes.begin(); it != first_new; ++it) peer.has.Add(*it);
    if (first_new != batch.hashes.begin()) peer.last_common = *(first_new - 1);
    batch.full = headers.size() == kMaxHeadersPerMessage;
    if (first_new == batch.hashes.end()) return OnKnown(id, peer, headers.back().height, batch.full, now);
    if (peer.header_work.InDebt(now)) {
        peer.ask_at = peer.header_work.FreeAt(now);
        return;
    }
    headers.erase(headers.begin(), headers.begin() + (first_new - batch.hashes.begin()));
    batch.hashes.erase(batch.hashes.begin(), first_new);
    if (!SortOutEarly(peer, headers, now)) batch.full = false;
    if (headers.empty()) return Synced(id, peer, now);
    batch.hashes.resize(headers.size());
    batch.last_height = headers.back().height;
    batch.best_before = m_view.BestHeaderHeight();
    if (headers.size() <= Sync::kMaxAnnouncedHeaders) batch.news = headers;
    batch.fresh_block = ToBytes(fresh_block);
    peer.batch = std::move(batch);
    m_actions.push_back(ProcessHeadersAction{id, std::move(headers)});
}

bool BlockRelay::SortOutEarly(Peer& peer, std::vector<BlockHeader>& headers, Instant now) {
    for (size_t i = 0; i < headers.size(); ++i) {
        const milliseconds until = m_view.UntilSlot(headers[i].slot);
        if (until <= milliseconds(0)) continue;
        if (until > Sync::kEarlyTolerance || peer.early.size() >= Sync::kMaxEarlyPerPeer) {
            const milliseconds wait = until - Sync::kEarlyTolerance;
            const Instant at = now + std::clamp<milliseconds>(wait, kPrematureDelay, kMaxPrematureDelay);
            peer.ask_at = std::min(peer.ask_at.value_or(at), at);
            headers.resize(i);
            return false;
        }
        peer.early.push_back({headers[i], now + until});
    }
    return true;
}

// An announcement whose parent we do not have: ask for what lies between. Long ones are no announcement.
void BlockRelay::OnUnconnected(PeerId id, Peer& peer, const std::vector<BlockHeader>& headers, Instant now) {
    if (headers.size() > Sync::kMaxAnnouncedHeaders) {
        if (!std::exchange(peer.headers_deadline, std::nullopt))
            return Misbehaving(id, "headers that were not asked for and do not connect to ours");
        // What our locator named may be dropped since.
        peer.last_common.reset();
        peer.ask_at = now + peer.unknown_delay;
        peer.unknown_delay *= 2;
        if (peer.unknown_delay > kMaxUnknownDelay) Disconnect(id, "its headers do not connect to any of our locator");
        return;
    }
    peer.tip = AnnouncedTip{headers.back().Hash(), headers.back().height};
    peer.best_height = std::max(peer.best_height, headers.back().height);
    peer.synced = false;
    if (peer.batch) {
        peer.ask_again = true;
    } else if (!peer.headers_deadline && !peer.waits_for_bodies && (m_caught_up || m_leader == id || !m_leader)) {
        if (now < peer.next_unknown) {
            peer.ask_at = std::min(peer.ask_at.value_or(peer.next_unknown), peer.next_unknown);
            return;
        }
        peer.next_unknown = now + peer.unknown_delay;
        AskHeaders(id, peer, now);
    }
}

// A whole message of headers that we have. A peer that gives nothing else for ever is left alone.
void BlockRelay::OnKnown(PeerId id, Peer& peer, Height last_height, bool full, Instant now) {
    peer.best_height = std::max(peer.best_height, last_height);
    peer.repeats = full ? peer.repeats + 1 : 0;
    Continue(id, peer, full && peer.repeats < kMaxRepeats, now);
}

// All that the peer sent is ours now, and its blocks may be asked for.
void BlockRelay::Continue(PeerId id, Peer& peer, bool full, Instant now) {
    if (!full && !peer.ask_again) {
        Synced(id, peer, now);
    } else if (m_caught_up || m_leader == id) {
        AskHeaders(id, peer, now);
    }
    AssignBlocks(now);
}

void BlockRelay::Charge(Peer& peer, const Batch& batch, const HeadersResult& result, Instant now) {
    const auto work = static_cast<int64_t>(result.signature_checks) * Sync::kSignatureWork +
                      static_cast<int64_t>(result.vrf_checks) * Sync::kVrfWork;
    const Height best = m_view.BestHeaderHeight();
    const int64_t gained = best > batch.best_before ? best.value - batch.best_before.value : 0;
    peer.header_work.Charge(std::max<int64_t>(0, work - gained * Sync::kHeaderWork), now);
}

void BlockRelay::OnHeadersResult(PeerId id, const HeadersResult& result, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return AssignBlocks(now);
    if (!peer->batch) return;
    const Batch batch = *std::exchange(peer->batch, std::nullopt);
    Charge(*peer, batch, result, now);
    const size_t accepted = result.outcome == HeadersOutcome::kAccepted
                                ? batch.hashes.size()
                                : std::min(result.accepted, batch.hashes.size());
    for (size_t i = 0; i < accepted; ++i) peer->has.Add(batch.hashes[i]);
    if (accepted != 0) {
        m_leader_until = std::max(m_leader_until, now + Sync::kLeaderPatience);
        peer->last_common = batch.hashes[accepted - 1];
        peer->repeats = 0;
        peer->unknown_delay = seconds(1);
        peer->next_unknown = now;
        RelayFresh(batch, accepted, now);
        if (!batch.fresh_block.empty()) TakeFreshBlock(id, batch, now);
    }
    switch (result.outcome) {
        case HeadersOutcome::kAccepted:
            peer->best_height = std::max(peer->best_height, batch.last_height);
            return Continue(id, *peer, batch.full, now);
        case HeadersOutcome::kInvalid:
            Misbehaving(id, "invalid header: " + result.reason);
            break;
        case HeadersOutcome::kBeyondHorizon:
            peer->best_height = std::max(peer->best_height, batch.last_height);
            peer->tip = AnnouncedTip{batch.hashes.back(), batch.last_height};
            peer->waits_for_bodies = true;
            peer->horizon = accepted != 0 ? peer->last_common : std::nullopt;
            peer->ask_at = now + kHorizonDelay;
            break;
        case HeadersOutcome::kPremature:
            peer->ask_at = now + kPrematureDelay;
            Synced(id, *peer, now);
            break;
        case HeadersOutcome::kNotWanted:
            peer->tip.reset();
            Synced(id, *peer, now);
            break;
    }
    AssignBlocks(now);
}

// A block goes only to those who have its parent, by what they told us or we told them, and as part of what we give.
void BlockRelay::Announce(std::span<const BlockHeader> headers, ByteSpan fresh_block, Instant now) {
    for (auto& [id, peer] : m_peers) {
        Headers news;
        for (const BlockHeader& header : headers) {
            const BlockHash hash = header.Hash();
            if ((!peer.has.Has(hash) && peer.told.Add(hash)) || !news.headers.empty()) news.headers.push_back(header);
        }
        if (news.headers.empty()) continue;
        const BlockHash& parent = news.headers.front().prev;
        if (news.headers.size() == 1 && !fresh_block.empty() && (peer.has.Has(parent) || peer.told.Has(parent)) &&
            !peer.served.InDebt(now)) {
            peer.served.Charge(static_cast<int64_t>(fresh_block.size()), now);
            Send(id, MessageType::kFreshBlock, ToBytes(fresh_block));
        } else {
            Send(id, MessageType::kHeaders, Encode(news));
        }
    }
}

// Before the body is here. Only what is our best branch now: a third header of an equivocator never is, unless a
// better branch goes through it.
void BlockRelay::RelayFresh(const Batch& batch, size_t accepted, Instant now) {
    if (batch.news.empty() || batch.hashes[accepted - 1] != m_view.BestHeader()) return;
    const Slot slot = batch.news[accepted - 1].slot;
    if (!IsFresh(slot) || m_view.UntilSlot(slot) > milliseconds(0)) return;
    const auto block = Block::FromBytes(batch.fresh_block);
    const bool is_whole = !batch.fresh_block.empty() && block && BodyBelongs(*block);
    Announce(std::span(batch.news).first(accepted), is_whole ? ByteSpan(batch.fresh_block) : ByteSpan(), now);
}

// It is taken as if it had been asked for, if it would be asked for now.
void BlockRelay::TakeFreshBlock(PeerId id, const Batch& batch, Instant now) {
    const BlockHash& hash = batch.hashes.front();
    if (m_requests.contains(hash) || m_processing.contains(hash)) return OnBlock(id, batch.fresh_block, now);
    if (m_requests.size() + m_processing.size() >= Sync::kMaxBlocksInFlight) return;
    for (const WantedBlock& wanted : m_view.BlocksWanted(Sync::kMaxBlocksInFlight)) {
        if (wanted.hash != hash || m_view.UntilSlot(wanted.slot) > milliseconds(0)) continue;
        m_requests.emplace(hash, Request{id, now, now + Sync::kFreshBlockTimeout, wanted, true});
        ++m_peers.at(id).in_flight;
        return OnBlock(id, batch.fresh_block, now);
    }
}

void BlockRelay::ReleaseEarly(Instant now) {
    std::vector<BlockHeader> released;
    for (auto& [id, peer] : m_peers) {
        std::erase_if(peer.early, [&](const EarlyHeader& early) {
            if (now < early.release_at) return false;
            released.push_back(early.header);
            return true;
        });
    }
    for (const BlockHeader& header : released) {
        if (header.Hash() == m_view.BestHeader()) Announce(std::span(&header, 1), {}, now);
    }
    if (!released.empty()) AssignBlocks(now);
}

// Bodies came: those whose headers went on beyond the horizon may go on.
void BlockRelay::AskWaiting(Instant now) {
    const bool bodies_are_in = m_requests.empty() && m_processing.empty() && m_view.BlocksWanted(1).empty();
    for (auto& [id, peer] : m_peers) {
        if (!peer.waits_for_bodies) continue;
        if (!bodies_are_in && !(peer.horizon && m_view.HaveBlock(*peer.horizon))) continue;
        peer.waits_for_bodies = false;
        peer.horizon.reset();
        if (MayBeAsked(peer)) AskHeaders(id, peer, now);
    }
}

void BlockRelay::OnTipChanged(const std::vector<BlockHeader>& announce, const Block* newest, Instant now) {
    const size_t count = std::min(announce.size(), Sync::kMaxAnnouncedHeaders);
    Bytes block;
    if (newest != nullptr && count != 0 && newest->transactions.size() <= kMaxFreshTransactions)
        block = newest->ToBytes();
    if (block.size() > kMaxFreshBlockBytes) block.clear();
    Announce(std::span(announce).last(count), block, now);
    m_leader_until = std::max(m_leader_until, now + Sync::kLeaderPatience);
    AskWaiting(now);
    AssignBlocks(now);
}

void BlockRelay::TickHeaders(Instant now) {
    ReleaseEarly(now);
    for (auto& [id, peer] : m_peers) {
        if (peer.headers_deadline && now >= *peer.headers_deadline) {
            peer.headers_deadline.reset();
            Disconnect(id, "no headers within 20 s");
        }
        if (peer.ask_at && now >= *peer.ask_at) {
            peer.ask_at.reset();
            peer.waits_for_bodies = false;
            if (MayBeAsked(peer)) {
                AskHeaders(id, peer, now);
            } else {
                peer.ask_again = true;
            }
        }
    }
    if (m_leader && now >= m_leader_until) {
        m_leader.reset();
        m_caught_up = true;
        AskNext(now);
    } else if (m_leader && now >= m_turn_until) {
        m_leader.reset();
        AskNext(now);
    }
}

Instant BlockRelay::NextHeaderWakeup() const {
    Instant next = Instant::max();
    if (m_leader) next = std::min({next, m_leader_until, m_turn_until});
    for (const auto& [id, peer] : m_peers) {
        if (peer.headers_deadline) next = std::min(next, *peer.headers_deadline);
        if (peer.ask_at) next = std::min(next, *peer.ask_at);
        for (const EarlyHeader& early : peer.early) next = std::min(next, early.release_at);
    }
    return next;
}

size_t BlockRelay::HeadersHeld() const {
    size_t held = 0;
    for (const auto& [id, peer] : m_peers) held += peer.early.size() + (peer.batch ? peer.batch->hashes.size() : 0);
    return held;
}

}  // namespace sluice::p2p
