#include "p2p/transaction_relay.h"

#include <algorithm>

namespace sluice::p2p {
namespace {

constexpr size_t kMaxParents = 1000;  // asked for by txid at once
constexpr seconds kParentTimeout{10};

}  // namespace

void TransactionRelay::OnPeerReady(PeerId peer, Instant now) {
    if (!m_replay) m_replay.emplace(Sync::kReplayPerSecondOfAll, Sync::kReplayBurstOfAll, now);
    m_peers.emplace(peer, Peer(now));
}

TransactionRelay::Peer* TransactionRelay::Find(PeerId peer) {
    const auto found = m_peers.find(peer);
    return found == m_peers.end() ? nullptr : &found->second;
}

bool TransactionRelay::Known(const Wtxid& wtxid) const {
    return m_processing.contains(wtxid) || m_rejects.Has(wtxid) || m_orphans.Has(wtxid) ||
           m_view.HaveTransaction(wtxid);
}

void TransactionRelay::Ask(const Wtxid& wtxid, Request& request, Instant now, std::map<PeerId, Wtxids>& asked) {
    Peer& peer = m_peers.at(request.announcers.front());
    request.deadline = now + Sync::kTransactionTimeout;
    m_check_at = std::min(m_check_at, request.deadline);
    if (peer.asked >= kMaxAskedPerPeer) return;
    request.asked = true;
    ++peer.asked;
    asked[request.announcers.front()].hashes.push_back(wtxid);
}

void TransactionRelay::SendAsked(const std::map<PeerId, Wtxids>& asked) {
    for (const auto& [peer, wtxids] : asked) Send(peer, MessageType::kGetTransactions, Encode(wtxids));
}

TransactionRelay::Requests::iterator TransactionRelay::NextAnnouncer(Requests::iterator it, Instant now,
                                                                     std::map<PeerId, Wtxids>& asked) {
    Request& request = it->second;
    Peer& peer = m_peers.at(request.announcers.front());
    if (std::exchange(request.asked, false)) --peer.asked;
    --peer.announced;
    request.announcers.pop_front();
    if (request.announcers.empty()) return m_requests.erase(it);
    Ask(it->first, request, now, asked);
    return std::next(it);
}

void TransactionRelay::Forget(Requests::iterator it) {
    const Request& request = it->second;
    if (request.asked) --m_peers.at(request.announcers.front()).asked;
    for (const PeerId announcer : request.announcers) --m_peers.at(announcer).announced;
    m_requests.erase(it);
}

void TransactionRelay::OnPeerGone(PeerId peer, Instant now) {
    std::map<PeerId, Wtxids> asked;
    for (auto it = m_requests.begin(); it != m_requests.end();) {
        std::deque<PeerId>& announcers = it->second.announcers;
        if (announcers.front() == peer) {
            it = NextAnnouncer(it, now, asked);
        } else {
            std::erase(announcers, peer);
            ++it;
        }
    }
    m_orphans.RemovePeer(peer);
    m_peers.erase(peer);
    SendAsked(asked);
}

void TransactionRelay::OnInventory(PeerId id, ByteSpan payload, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    const auto inventory = Decode<Wtxids>(payload);
    if (!inventory) return Misbehaving(id, "txinv: " + inventory.error().message);
    std::map<PeerId, Wtxids> asked;
    for (const Wtxid& wtxid : inventory->hashes) {
        peer->known.Add(wtxid);
        if (peer->announced >= Sync::kMaxRequestsPerPeer || Known(wtxid)) continue;
        Request& request = m_requests[wtxid];
        std::deque<PeerId>& announcers = request.announcers;
        const bool listed = std::find(announcers.begin(), announcers.end(), id) != announcers.end();
        if (listed || announcers.size() >= Sync::kMaxAnnouncersPerTransaction) continue;
        announcers.push_back(id);
        ++peer->announced;
        if (announcers.size() == 1) Ask(wtxid, request, now, asked);
    }
    SendAsked(asked);
}

bool TransactionRelay::ServeOne(PeerId peer, const TransactionRef& transaction, size_t& served_bytes) {
    if (!transaction || served_bytes >= kMaxServedBytes) return false;
    served_bytes += transaction->total_bytes();
    Find(peer)->known.Add(transaction->wtxid());
    Send(peer, MessageType::kTransaction, transaction->tx().ToBytes());
    return true;
}

void TransactionRelay::OnGetTransactions(PeerId id, ByteSpan payload) {
    if (Find(id) == nullptr) return;
    const auto request = Decode<Wtxids>(payload);
    if (!request) return Misbehaving(id, "gettxs: " + request.error().message);
    size_t served_bytes = 0;
    Wtxids missing;
    for (const Wtxid& wtxid : request->hashes) {
        if (!ServeOne(id, m_view.FindTransaction(wtxid), served_bytes)) missing.hashes.push_back(wtxid);
    }
    if (!missing.hashes.empty()) Send(id, MessageType::kTxNotFound, Encode(missing));
}

// What is not found has no answer: the child waits as an orphan until its time is over.
void TransactionRelay::OnGetParents(PeerId id, ByteSpan payload) {
    if (Find(id) == nullptr) return;
    const auto request = Decode<Txids>(payload);
    if (!request) return Misbehaving(id, "getparents: " + request.error().message);
    size_t served_bytes = 0;
    for (const Txid& txid : request->hashes) ServeOne(id, m_view.FindTransaction(txid), served_bytes);
}

void TransactionRelay::OnTransaction(PeerId id, ByteSpan payload, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr) return;
    auto decoded = MutableTransaction::FromBytes(payload);
    if (!decoded) return Misbehaving(id, "tx: " + decoded.error().message);
    const TransactionRef transaction = MakeTransaction(std::move(*decoded));
    peer->known.Add(transaction->wtxid());
    const auto request = m_requests.find(transaction->wtxid());
    const bool asked = request != m_requests.end();
    if (asked) Forget(request);
    const bool is_parent = m_parents.erase(transaction->txid()) != 0;
    if ((asked || is_parent) && !Known(transaction->wtxid())) Process(id, transaction, now);
}

// A replacement over the budget is dropped without blame; another announcement brings it again.
bool TransactionRelay::PayReplay(PeerId id, const Transaction& transaction, Instant now) {
    const auto replayed = static_cast<int64_t>(m_view.ReplayedBy(transaction));
    Peer* const peer = Find(id);
    if (replayed == 0 || peer == nullptr) return true;
    if (peer->replay.InDebt(now) || m_replay->InDebt(now)) return false;
    peer->replay.Charge(replayed, now);
    m_replay->Charge(replayed, now);
    return true;
}

void TransactionRelay::Process(PeerId peer, const TransactionRef& transaction, Instant now) {
    if (m_processing.contains(transaction->wtxid()) || !PayReplay(peer, *transaction, now)) return;
    if (m_processing.insert(transaction->wtxid()).second)
        m_actions.push_back(ProcessTransactionAction{peer, transaction});
}

void TransactionRelay::OnNotFound(PeerId id, ByteSpan payload, Instant now) {
    if (Find(id) == nullptr) return;
    const auto answer = Decode<Wtxids>(payload);
    if (!answer) return Misbehaving(id, "txnotfound: " + answer.error().message);
    std::map<PeerId, Wtxids> asked;
    for (const Wtxid& wtxid : answer->hashes) {
        const auto request = m_requests.find(wtxid);
        if (request == m_requests.end() || !request->second.asked || request->second.announcers.front() != id) continue;
        NextAnnouncer(request, now, asked);
    }
    SendAsked(asked);
}

void TransactionRelay::OnResult(PeerId peer, const TransactionRef& transaction, const TransactionResult& result,
                                Instant now) {
    const Wtxid& wtxid = transaction->wtxid();
    m_processing.erase(wtxid);
    if (result.outcome == TransactionOutcome::kMissingParents)
        return AddOrphan(peer, transaction, result.missing_parents, now);
    m_orphans.Remove(wtxid);
    if (result.outcome == TransactionOutcome::kAccepted) {
        Announce(wtxid, now);
        for (const OrphanPool::Orphan* child : m_orphans.ChildrenOf(transaction->txid()))
            Process(child->peer, child->transaction, now);
        return;
    }
    m_rejects.Add(wtxid);
    if (result.outcome == TransactionOutcome::kInvalid && Find(peer) != nullptr) {
        Misbehaving(peer, "invalid transaction " + wtxid.Hex() + ": " + result.reason);
    }
}

void TransactionRelay::AddOrphan(PeerId id, const TransactionRef& transaction, const std::vector<Txid>& missing,
                                 Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr || transaction->total_bytes() > Sync::kMaxOrphanBytes)
        return m_orphans.Remove(transaction->wtxid());
    m_orphans.Put(transaction, id, missing, now + Sync::kOrphanLifetime);
    Txids wanted;
    for (const Txid& txid : missing) {
        if (m_view.FindTransaction(txid)) continue;  // it is here and has no such output
        if (m_parents.size() >= kMaxParents || wanted.hashes.size() >= kMaxTransactionsPerMessage) break;
        if (m_parents.try_emplace(txid, now + kParentTimeout).second) wanted.hashes.push_back(txid);
    }
    if (!wanted.hashes.empty()) Send(id, MessageType::kGetParents, Encode(wanted));
}

// A block may hold missing parents, and what was refused may be right now.
void TransactionRelay::OnTipChanged(Instant now) {
    m_rejects.Clear();
    for (const OrphanPool::Orphan* orphan : m_orphans.All()) Process(orphan->peer, orphan->transaction, now);
}

void TransactionRelay::Announce(const Wtxid& wtxid, Instant now) {
    for (const auto& [id, peer] : m_peers) AnnounceTo(id, wtxid, now);
}

void TransactionRelay::AnnounceTo(PeerId id, const Wtxid& wtxid, Instant now) {
    Peer* const peer = Find(id);
    if (peer == nullptr || peer->known.Has(wtxid)) return;
    peer->to_announce.push_back(wtxid);
    if (peer->to_announce.size() > Sync::kMaxKnownPerPeer) peer->to_announce.pop_front();
    if (!m_announce_at) m_announce_at = std::max(now, m_may_announce);
}

void TransactionRelay::Tick(Instant now) {
    m_orphans.Expire(now);
    std::erase_if(m_parents, [&](const auto& entry) { return now >= entry.second; });
    if (now >= m_check_at) CheckRequests(now);
    if (m_announce_at && now >= *m_announce_at) SendInventories(now);
}

void TransactionRelay::CheckRequests(Instant now) {
    std::map<PeerId, Wtxids> asked;
    for (auto it = m_requests.begin(); it != m_requests.end();) {
        if (now < it->second.deadline) {
            ++it;
        } else if (it->second.asked) {
            it = NextAnnouncer(it, now, asked);
        } else {
            Ask(it->first, it->second, now, asked);
            ++it;
        }
    }
    SendAsked(asked);
    m_check_at = Instant::max();
    for (const auto& [wtxid, request] : m_requests) m_check_at = std::min(m_check_at, request.deadline);
}

void TransactionRelay::SendInventories(Instant now) {
    m_announce_at.reset();
    m_may_announce = now + Sync::kAnnounceInterval;
    for (auto& [id, peer] : m_peers) {
        while (!peer.to_announce.empty()) {
            Wtxids inventory;
            while (!peer.to_announce.empty() && inventory.hashes.size() < kMaxTransactionsPerMessage) {
                const Wtxid wtxid = peer.to_announce.front();
                peer.to_announce.pop_front();
                // It may have told us meanwhile.
                if (peer.known.Add(wtxid)) inventory.hashes.push_back(wtxid);
            }
            if (!inventory.hashes.empty()) Send(id, MessageType::kTxInventory, Encode(inventory));
        }
    }
}

Instant TransactionRelay::NextWakeup() const {
    Instant next = std::min(m_announce_at.value_or(Instant::max()), m_orphans.NextExpiry());
    next = std::min(next, m_check_at);
    for (const auto& [txid, until] : m_parents) next = std::min(next, until);
    return next;
}

}  // namespace sluice::p2p
