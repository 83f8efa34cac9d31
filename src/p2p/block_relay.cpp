#include "p2p/block_relay.h"

#include <algorithm>

namespace sluice::p2p {
namespace {

constexpr size_t kMaxLacks = 1024;
constexpr size_t kMaxTimeouts = 3;
constexpr seconds kPrematureDelay{2};
constexpr seconds kHorizonDelay{10};

}  // namespace

BlockRelay::Peer* BlockRelay::Find(PeerId peer) {
    const auto found = m_peers.find(peer);
    return found == m_peers.end() ? nullptr : &found->second;
}

void BlockRelay::OnPeerReady(PeerId peer, Height best_height, Instant now) {
    m_peers.emplace(peer, Peer(best_height));
    AskNext(now);
    AssignBlocks(now);
}

void BlockRelay::OnPeerGone(PeerId peer, Instant now) {
    m_peers.erase(peer);
    std::erase_if(m_requests, [&](const auto& request) { return request.second.peer == peer; });
    if (m_leader == peer) m_leader.reset();
    AskNext(now);
    AssignBlocks(now);
}

// While behind, one leader: the unsynced peer that claims most. Afterwards everyone who has not been asked.
void BlockRelay::AskNext(Instant now) {
    if (m_caught_up) {
        for (auto& [id, peer] : m_peers) {
            if (!peer.synced && !peer.headers_deadline && !peer.batch && !peer.waits_for_bodies)
                AskHeaders(id, peer, now);
        }
        return;
    }
    if (m_leader) return;
    auto best = m_peers.end();
    for (auto it = m_peers.begin(); it != m_peers.end(); ++it) {
        if (it->second.synced) continue;
        if (best == m_peers.end() || it->second.best_height > best->second.best_height) best = it;
    }
    if (best == m_peers.end()) return;
    m_leader = best->first;
    m_leader_until = now + Sync::kLeaderPatience;
    if (!best->second.headers_deadline && !best->second.batch && !best->second.waits_for_bodies) {
        AskHeaders(best->first, best->second, now);
    }
}

void BlockRelay::AskHeaders(PeerId id, Peer& peer, Instant now, std::optional<BlockHash> after) {
    GetHeaders request;
    request.locator = m_view.Locator();
    if (after) request.locator.insert(request.locator.begin(), *after);
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

void BlockRelay::Synced(PeerId id, Peer& peer, Instant now) {
    peer.synced = true;
    if (m_leader != id && m_leader) return;
    m_leader.reset();
    m_caught_up = true;
    AskNext(now);
}

void BlockRelay::OnGetHeaders(PeerId id, ByteSpan payload) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    const auto request = Decode<GetHeaders>(payload);
    if (!request) return Misbehaving(id, "getheaders: " + request.error().message);
    Headers answer{m_view.HeadersAfter(request->locator, request->stop, kMaxHeadersPerMessage)};
    const size_t remembered = std::min(answer.headers.size(), Sync::kMaxAnnouncedHeaders);
    for (size_t i = answer.headers.size() - remembered; i < answer.headers.size(); ++i)
        peer->known.Add(answer.headers[i].Hash());
    Send(id, MessageType::kHeaders, Encode(answer));
}

void BlockRelay::OnHeaders(PeerId id, ByteSpan payload, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    auto message = Decode<Headers>(payload);
    if (!message) return Misbehaving(id, "headers: " + message.error().message);
    std::vector<BlockHeader>& headers = message->headers;
    if (headers.empty()) {
        if (std::exchange(peer->headers_deadline, std::nullopt)) Synced(id, *peer, now);
        return;
    }
    Batch batch;
    for (const BlockHeader& header : headers) {
        if (!batch.hashes.empty() && header.prev != batch.hashes.back())
            return Misbehaving(id, "headers are not consecutive");
        batch.hashes.push_back(header.Hash());
    }
    batch.last_height = headers.back().height;
    batch.full = headers.size() == kMaxHeadersPerMessage;
    if (!m_view.HaveHeader(headers.front().prev)) return OnUnconnected(id, *peer, headers, now);
    peer->headers_deadline.reset();
    if (peer->batch) {
        peer->ask_again = true;
        return;
    }
    if (m_view.HaveHeader(batch.hashes.back())) return Continue(id, *peer, batch, now);
    peer->batch = std::move(batch);
    m_actions.push_back(ProcessHeadersAction{id, std::move(headers)});
}

// An announcement whose parent we do not have: ask for what lies between. Long ones are no announcement.
void BlockRelay::OnUnconnected(PeerId id, Peer& peer, const std::vector<BlockHeader>& headers, Instant now) {
    if (headers.size() > Sync::kMaxAnnouncedHeaders)
        return Misbehaving(id, "headers do not connect to any of our locator");
    peer.best_height = std::max(peer.best_height, headers.back().height);
    peer.synced = false;
    if (peer.batch) {
        peer.ask_again = true;
    } else if (!peer.headers_deadline && !peer.waits_for_bodies && (m_caught_up || m_leader == id || !m_leader)) {
        AskHeaders(id, peer, now);
    }
}

// All headers of `batch` are ours now: the peer has their blocks, and perhaps more headers.
void BlockRelay::Continue(PeerId id, Peer& peer, const Batch& batch, Instant now) {
    peer.best_height = std::max(peer.best_height, batch.last_height);
    for (const BlockHash& hash : batch.hashes) peer.known.Add(hash);
    if (batch.full || peer.ask_again) {
        AskHeaders(id, peer, now, batch.hashes.back());
    } else {
        Synced(id, peer, now);
    }
    AssignBlocks(now);
}

void BlockRelay::OnHeadersResult(PeerId id, const HeadersResult& result, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr || !peer->batch) return;
    Batch batch = *std::exchange(peer->batch, std::nullopt);
    if (result.outcome == HeadersOutcome::kAccepted || result.accepted != 0)
        m_leader_until = std::max(m_leader_until, now + Sync::kLeaderPatience);
    if (result.outcome == HeadersOutcome::kAccepted) return Continue(id, *peer, batch, now);
    const size_t accepted = std::min(result.accepted, batch.hashes.size());
    for (size_t i = 0; i < accepted; ++i) peer->known.Add(batch.hashes[i]);
    switch (result.outcome) {
        case HeadersOutcome::kAccepted:
            break;
        case HeadersOutcome::kInvalid:
            Misbehaving(id, "invalid header: " + result.reason);
            break;
        case HeadersOutcome::kBeyondHorizon:
            peer->best_height = std::max(peer->best_height, batch.last_height);
            peer->waits_for_bodies = true;
            peer->ask_at = now + kHorizonDelay;
            break;
        case HeadersOutcome::kPremature:
            peer->ask_at = now + kPrematureDelay;
            break;
        case HeadersOutcome::kNotWanted:
            Synced(id, *peer, now);
            break;
    }
    AssignBlocks(now);
}

void BlockRelay::OnGetBlocks(PeerId id, ByteSpan payload) {
    if (Find(id) == nullptr) return;
    const auto request = Decode<BlockHashes>(payload);
    if (!request) return Misbehaving(id, "getblocks: " + request.error().message);
    for (const BlockHash& hash : request->hashes) m_actions.push_back(ServeBlockAction{id, hash});
}

void BlockRelay::DropRequest(const BlockHash& hash) {
    const auto found = m_requests.find(hash);
    if (found == m_requests.end()) return;
    if (Peer* const peer = Find(found->second.peer)) --peer->in_flight;
    m_requests.erase(found);
}

void BlockRelay::OnBlock(PeerId id, ByteSpan payload) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    // The header tells whether it was asked for, before the rest costs anything.
    BlockHeader header;
    Reader reader(payload);
    reader(header);
    if (!reader.Ok()) return Misbehaving(id, "block: " + reader.error());
    const BlockHash hash = header.Hash();
    if (!m_requests.contains(hash)) return;
    auto block = Block::FromBytes(payload);
    if (!block) return Misbehaving(id, "block: " + block.error().message);
    DropRequest(hash);
    peer->timeouts = 0;
    m_processing.insert(hash);
    m_actions.push_back(ProcessBlockAction{id, hash, std::make_shared<const Block>(std::move(*block))});
}

void BlockRelay::Lacks(Peer& peer, const BlockHash& hash, Instant now) {
    if (peer.lacks.size() >= kMaxLacks) peer.lacks.erase(peer.lacks.begin());
    peer.lacks[hash] = now + Sync::kBlockTimeout;
}

void BlockRelay::OnBlockNotFound(PeerId id, ByteSpan payload, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    const auto answer = Decode<BlockHashes>(payload);
    if (!answer) return Misbehaving(id, "blocknotfound: " + answer.error().message);
    for (const BlockHash& hash : answer->hashes) {
        const auto found = m_requests.find(hash);
        if (found == m_requests.end() || found->second.peer != id) continue;
        DropRequest(hash);
        Lacks(*peer, hash, now);
    }
    AssignBlocks(now);
}

void BlockRelay::OnBlockResult(PeerId id, const BlockHash& hash, BlockOutcome outcome, const std::string& reason,
                               Instant now) {
    m_processing.erase(hash);
    Peer* const peer = Find(id);
    if (peer != nullptr && outcome != BlockOutcome::kAccepted) Lacks(*peer, hash, now);
    if (peer != nullptr && outcome == BlockOutcome::kMutatedBody)
        Misbehaving(id, "a block whose body is not its header's: " + reason);
    if (peer != nullptr && outcome == BlockOutcome::kInvalid) Misbehaving(id, "invalid block: " + reason);
    AssignBlocks(now);
}

std::optional<PeerId> BlockRelay::ChoosePeer(const WantedBlock& block, Instant now) {
    std::optional<PeerId> best;
    size_t least = Sync::kMaxBlocksInFlightPerPeer;
    for (auto& [id, peer] : m_peers) {
        if (peer.in_flight >= least) continue;
        if (peer.best_height < block.height && !peer.known.Has(block.hash)) continue;
        const auto lacks = peer.lacks.find(block.hash);
        if (lacks != peer.lacks.end() && now < lacks->second) continue;
        best = id;
        least = peer.in_flight;
    }
    return best;
}

void BlockRelay::AssignBlocks(Instant now) {
    m_retry_at.reset();
    std::map<PeerId, BlockHashes> asked;
    for (const WantedBlock& block : m_view.BlocksWanted(Sync::kMaxBlocksInFlight)) {
        if (m_requests.size() + m_processing.size() >= Sync::kMaxBlocksInFlight) break;
        if (m_requests.contains(block.hash) || m_processing.contains(block.hash)) continue;
        const auto peer = ChoosePeer(block, now);
        if (!peer) {
            // Those that are busy answer or time out, which comes here again; those that lacked it may have got it.
            m_retry_at = now + Sync::kBlockTimeout;
            continue;
        }
        ++m_peers.at(*peer).in_flight;
        m_requests.emplace(block.hash, Request{*peer, now + Sync::kBlockTimeout});
        asked[*peer].hashes.push_back(block.hash);
    }
    for (const auto& [peer, hashes] : asked) Send(peer, MessageType::kGetBlocks, Encode(hashes));
}

void BlockRelay::OnTipChanged(const std::vector<BlockHeader>& announce, Instant now) {
    const size_t skip = announce.size() - std::min(announce.size(), Sync::kMaxAnnouncedHeaders);
    for (auto& [id, peer] : m_peers) {
        Headers news;
        for (size_t i = skip; i < announce.size(); ++i) {
            if (peer.known.Add(announce[i].Hash()) || !news.headers.empty()) news.headers.push_back(announce[i]);
        }
        if (!news.headers.empty()) Send(id, MessageType::kHeaders, Encode(news));
    }
    m_leader_until = std::max(m_leader_until, now + Sync::kLeaderPatience);
    const bool bodies_are_in = m_requests.empty() && m_processing.empty() && m_view.BlocksWanted(1).empty();
    for (auto& [id, peer] : m_peers) {
        if (!bodies_are_in || !std::exchange(peer.waits_for_bodies, false)) continue;
        if (!peer.headers_deadline && !peer.batch) AskHeaders(id, peer, now);
    }
    AssignBlocks(now);
}

void BlockRelay::Tick(Instant now) {
    std::vector<BlockHash> late;
    for (const auto& [hash, request] : m_requests) {
        if (now >= request.deadline) late.push_back(hash);
    }
    std::set<PeerId> late_peers;
    for (const BlockHash& hash : late) {
        const PeerId id = m_requests.at(hash).peer;
        Peer& peer = m_peers.at(id);
        DropRequest(hash);
        Lacks(peer, hash, now);
        if (late_peers.insert(id).second && ++peer.timeouts >= kMaxTimeouts) {
            m_actions.push_back(DisconnectAction{id, "it does not deliver the blocks it was asked for"});
        }
    }
    for (auto& [id, peer] : m_peers) {
        if (peer.headers_deadline && now >= *peer.headers_deadline) {
            peer.headers_deadline.reset();
            m_actions.push_back(DisconnectAction{id, "no headers within 20 s"});
        }
        if (peer.ask_at && now >= *peer.ask_at) {
            peer.ask_at.reset();
            peer.waits_for_bodies = false;
            if (!peer.headers_deadline && !peer.batch) AskHeaders(id, peer, now);
        }
    }
    if (m_leader && now >= m_leader_until) {
        m_leader.reset();
        m_caught_up = true;
        AskNext(now);
    }
    if (!late.empty() || (m_retry_at && now >= *m_retry_at)) AssignBlocks(now);
}

Instant BlockRelay::NextWakeup() const {
    Instant next = m_retry_at.value_or(Instant::max());
    if (m_leader) next = std::min(next, m_leader_until);
    for (const auto& [hash, request] : m_requests) next = std::min(next, request.deadline);
    for (const auto& [id, peer] : m_peers) {
        if (peer.headers_deadline) next = std::min(next, *peer.headers_deadline);
        if (peer.ask_at) next = std::min(next, *peer.ask_at);
    }
    return next;
}

bool BlockRelay::Busy() const {
    return !m_requests.empty() || !m_processing.empty() ||
           std::any_of(m_peers.begin(), m_peers.end(), [](const auto& entry) {
               return entry.second.headers_deadline || entry.second.batch || entry.second.waits_for_bodies;
           });
}

}  // namespace sluice::p2p
