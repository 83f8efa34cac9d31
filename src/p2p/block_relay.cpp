#include "p2p/block_relay.h"

#include <algorithm>
#include <tuple>

namespace sluice::p2p {
namespace {

constexpr size_t kMaxLacks = 1024;
constexpr size_t kMaxTimeouts = 3;
constexpr size_t kMaxAwaited = kMaxBlocksPerRequest;

}  // namespace

BlockRelay::Peer* BlockRelay::Find(PeerId peer) {
    const auto found = m_peers.find(peer);
    return found == m_peers.end() ? nullptr : &found->second;
}

void BlockRelay::OnPeerGone(PeerId peer, Instant now) {
    m_peers.erase(peer);
    std::erase_if(m_requests, [&](const auto& request) { return request.second.peer == peer; });
    if (m_leader == peer) m_leader.reset();
    AskNext(now);
    AssignBlocks(now);
}

// ---- fetching

void BlockRelay::DropRequest(const BlockHash& hash) {
    const auto found = m_requests.find(hash);
    if (found == m_requests.end()) return;
    if (Peer* const peer = Find(found->second.peer)) --peer->in_flight;
    m_requests.erase(found);
}

void BlockRelay::OnBlock(PeerId id, ByteSpan payload, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    // The header tells whether it was asked for, before the rest costs anything.
    BlockHeader header;
    Reader reader(payload);
    reader(header);
    if (!reader.Ok()) return Misbehaving(id, "block: " + reader.error());
    const BlockHash hash = header.Hash();
    const auto request = m_requests.find(hash);
    const bool asked = request != m_requests.end();
    // Of the peer itself, and given up: welcome if nobody gave it meanwhile.
    const bool too_late = !asked && peer->lacks.contains(hash) && !m_processing.contains(hash) &&
                          m_view.HaveHeader(hash) && !m_view.HaveBlock(hash);
    if (!asked && !too_late) return;
    auto block = Block::FromBytes(payload);
    if (!block) return Misbehaving(id, "block: " + block.error().message);
    if (asked && request->second.peer == id) peer->late = 0;
    DropRequest(hash);
    peer->timeouts = 0;
    HandOn(*block, hash, payload, now);
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
    AssignBlocks(now);
    if (!m_requests.contains(hash)) EndAwaiting(hash, now);
}

// Of those that may have it and are not busy: whoever gives fresh blocks in time, then the least busy. A fresh block is
// asked of those that are known to have its header.
std::optional<PeerId> BlockRelay::ChoosePeer(const WantedBlock& block, Instant now) {
    const bool fresh = IsFresh(block.slot);
    std::optional<PeerId> best;
    std::tuple<bool, size_t, size_t> least;
    for (auto& [id, peer] : m_peers) {
        if (peer.in_flight >= Sync::kMaxBlocksInFlightPerPeer) continue;
        const bool has_header = peer.has.Has(block.hash);
        if (peer.best_height < block.height && !has_header) continue;
        const auto lacks = peer.lacks.find(block.hash);
        if (lacks != peer.lacks.end() && now < lacks->second) continue;
        const std::tuple rank(fresh && !has_header, fresh ? peer.late : 0, peer.in_flight);
        if (best && rank >= least) continue;
        best = id;
        least = rank;
    }
    return best;
}

void BlockRelay::Ask(PeerId id, const WantedBlock& block, Instant now, std::map<PeerId, BlockHashes>& asked) {
    const bool fresh = IsFresh(block.slot);
    const Instant deadline = now + (fresh ? Sync::kFreshBlockTimeout : Sync::kBlockTimeout);
    ++m_peers.at(id).in_flight;
    m_requests.emplace(block.hash, Request{id, now, deadline, block, fresh});
    asked[id].hashes.push_back(block.hash);
}

void BlockRelay::AssignBlocks(Instant now) {
    m_retry_at.reset();
    const auto retry_at = [&](Instant at) { m_retry_at = std::min(m_retry_at.value_or(at), at); };
    std::map<PeerId, BlockHashes> asked;
    for (const WantedBlock& block : m_view.BlocksWanted(Sync::kMaxBlocksInFlight)) {
        if (m_requests.size() + m_processing.size() >= Sync::kMaxBlocksInFlight) break;
        if (m_requests.contains(block.hash) || m_processing.contains(block.hash)) continue;
        if (const milliseconds until = m_view.UntilSlot(block.slot); until > milliseconds(0)) {
            retry_at(now + until);
            continue;
        }
        const auto peer = ChoosePeer(block, now);
        if (peer) {
            Ask(*peer, block, now, asked);
        } else {
            // Those that are busy answer or time out, which comes here again; those that lacked it may have got it.
            retry_at(now + Sync::kBlockTimeout);
        }
    }
    for (const auto& [peer, hashes] : asked) Send(peer, MessageType::kGetBlocks, Encode(hashes));
}

void BlockRelay::TickRequests(Instant now) {
    std::vector<Request> late;
    for (const auto& [hash, request] : m_requests) {
        if (now >= request.deadline) late.push_back(request);
    }
    std::set<PeerId> slow;
    for (const Request& request : late) {
        const BlockHash& hash = request.block.hash;
        Peer& peer = m_peers.at(request.peer);
        const bool early_fallback = request.fresh && now < request.asked_at + Sync::kBlockTimeout;
        DropRequest(hash);
        Lacks(peer, hash, now);
        const auto other = early_fallback ? ChoosePeer(request.block, now) : std::nullopt;
        if (early_fallback && (!other || !m_peers.at(*other).has.Has(hash))) {
            // Nobody else is known to have it: it keeps the whole time.
            peer.lacks.erase(hash);
            ++peer.in_flight;
            Request rest = request;
            rest.deadline = request.asked_at + Sync::kBlockTimeout;
            rest.fresh = false;
            m_requests.emplace(hash, rest);
        } else if (early_fallback) {
            if (++peer.late == Sync::kMaxLateFresh)
                Disconnect(request.peer, "it announces blocks and does not give them");
        } else if (slow.insert(request.peer).second && ++peer.timeouts >= kMaxTimeouts) {
            Disconnect(request.peer, "it does not deliver the blocks it was asked for");
        }
    }
    if (!late.empty() || (m_retry_at && now >= *m_retry_at)) AssignBlocks(now);
    for (const Request& request : late) {
        if (!m_requests.contains(request.block.hash)) EndAwaiting(request.block.hash, now);
    }
}

// ---- serving

void BlockRelay::OnGetBlocks(PeerId id, ByteSpan payload, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    const auto request = Decode<BlockHashes>(payload);
    if (!request) return Misbehaving(id, "getblocks: " + request.error().message);
    BlockHashes refused;
    for (const BlockHash& hash : request->hashes) {
        if (std::find(peer->to_serve.begin(), peer->to_serve.end(), hash) != peer->to_serve.end()) continue;
        if ((m_requests.contains(hash) || m_processing.contains(hash)) && peer->awaited.size() < kMaxAwaited) {
            peer->awaited.try_emplace(hash, now + Sync::kAwaitedFor);
        } else if (peer->to_serve.size() < Sync::kMaxBlocksToServe) {
            peer->to_serve.push_back(hash);
        } else {
            refused.hashes.push_back(hash);
        }
    }
    if (!refused.hashes.empty()) Send(id, MessageType::kBlockNotFound, Encode(refused));
    ServeNext(id, *peer, now);
}

// One at a time: what it cost is known afterwards.
void BlockRelay::ServeNext(PeerId id, Peer& peer, Instant now) {
    if (peer.serving || peer.to_serve.empty() || peer.served.InDebt(now)) return;
    peer.serving = true;
    m_actions.push_back(ServeBlockAction{id, peer.to_serve.front()});
    peer.to_serve.pop_front();
}

void BlockRelay::OnBlockServed(PeerId id, size_t bytes, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    peer->serving = false;
    peer->served.Charge(Sync::kLookupBytes + static_cast<int64_t>(bytes), now);
    ServeNext(id, *peer, now);
}

bool BlockRelay::BodyBelongs(const Block& block) {
    return TxMerkleRoot(block.transactions) == block.header.tx_root &&
           WitnessMerkleRoot(block.transactions) == block.header.witness_root;
}

// The body belongs to a header that passed all checks; whether it is valid each node finds out by itself, so that
// nobody waits for another's validation.
void BlockRelay::HandOn(const Block& block, const BlockHash& hash, ByteSpan payload, Instant now) {
    const bool awaited = std::any_of(m_peers.begin(), m_peers.end(),
                                     [&](const auto& entry) { return entry.second.awaited.contains(hash); });
    if (!awaited || !BodyBelongs(block)) return;
    for (auto& [id, peer] : m_peers) {
        if (peer.awaited.erase(hash) == 0) continue;
        peer.served.Charge(static_cast<int64_t>(payload.size()), now);
        Send(id, MessageType::kBlock, ToBytes(payload));
    }
}

// It is stored, or will not come from those who were asked.
void BlockRelay::EndAwaiting(const BlockHash& hash, Instant now) {
    for (auto& [id, peer] : m_peers) {
        if (peer.awaited.erase(hash) == 0) continue;
        peer.to_serve.push_back(hash);
        ServeNext(id, peer, now);
    }
}

void BlockRelay::TickServing(Instant now) {
    for (auto& [id, peer] : m_peers) {
        BlockHashes late;
        std::erase_if(peer.awaited, [&](const auto& entry) {
            if (now < entry.second) return false;
            late.hashes.push_back(entry.first);
            return true;
        });
        if (!late.hashes.empty()) Send(id, MessageType::kBlockNotFound, Encode(late));
        if (peer.question && !peer.served.InDebt(now))
            AnswerHeaders(id, peer, *std::exchange(peer.question, std::nullopt), now);
        ServeNext(id, peer, now);
    }
}

// ---- time

void BlockRelay::Tick(Instant now) {
    TickHeaders(now);
    TickRequests(now);
    TickServing(now);
}

Instant BlockRelay::NextWakeup() const {
    Instant next = std::min(m_retry_at.value_or(Instant::max()), NextHeaderWakeup());
    for (const auto& [hash, request] : m_requests) next = std::min(next, request.deadline);
    for (const auto& [id, peer] : m_peers) {
        for (const auto& [hash, until] : peer.awaited) next = std::min(next, until);
        if ((!peer.to_serve.empty() || peer.question) && peer.served.InDebt())
            next = std::min(next, peer.served.FreeAt(Instant::min()));
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
