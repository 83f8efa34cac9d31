#include "content/choker.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace sluice::content {

size_t Choker::SlotsTaken() const {
    return static_cast<size_t>(
        std::count_if(m_peers.begin(), m_peers.end(), [](const auto& entry) { return entry.second.has_slot; }));
}

bool Choker::HasSlot(PeerId peer) const {
    const auto found = m_peers.find(peer);
    return found != m_peers.end() && found->second.has_slot;
}

bool Choker::OnRequest(PeerId id, Instant now) {
    Peer& peer = m_peers[id];
    peer.asked = now;
    if (!m_last_round) m_last_round = now;
    if (!peer.has_slot && SlotsTaken() < m_slots) {
        peer.has_slot = true;
        peer.waits = false;
    }
    if (!peer.has_slot && !peer.waits) {
        peer.waits = true;
        peer.waits_since = now;
    }
    return peer.has_slot;
}

void Choker::OnTook(PeerId peer, uint64_t bytes) {
    const auto found = m_peers.find(peer);
    if (found != m_peers.end()) found->second.took += bytes;
}

void Choker::OnGone(PeerId peer) {
    m_peers.erase(peer);
    if (m_optimistic == peer) m_optimistic.reset();
}

std::vector<Choker::Change> Choker::Tick(Instant now) {
    if (!m_last_round || now - *m_last_round < kRound) return {};
    m_last_round = now;
    std::vector<std::pair<PeerId, Peer*>> candidates;
    for (auto& [id, peer] : m_peers) {
        if (peer.has_slot && now - peer.asked >= kIdle) {
            peer.has_slot = false;
            if (m_optimistic == id) m_optimistic.reset();
        }
        if (peer.has_slot || peer.waits) candidates.emplace_back(id, &peer);
    }
    std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
        return std::tie(a.second->gave, a.second->took) > std::tie(b.second->gave, b.second->took);
    });
    std::set<PeerId> chosen;
    for (const auto& [id, peer] : candidates) {
        if (chosen.size() + 1 < m_slots) chosen.insert(id);
    }
    const bool keeps = m_optimistic && !chosen.contains(*m_optimistic) && now - m_optimistic_since < kOptimisticTurn;
    if (!keeps) {
        // The one that waits longest; if nobody does, whoever has the slot that is left.
        const std::pair<PeerId, Peer*>* next = nullptr;
        for (const auto& candidate : candidates) {
            if (chosen.contains(candidate.first)) continue;
            const Peer& peer = *candidate.second;
            if (next == nullptr ||
                (peer.waits && (!next->second->waits || peer.waits_since < next->second->waits_since)))
                next = &candidate;
        }
        m_optimistic = next == nullptr ? std::nullopt : std::optional(next->first);
        m_optimistic_since = now;
    }
    if (m_optimistic) chosen.insert(*m_optimistic);

    std::vector<Change> changes;
    for (const auto& [id, peer] : candidates) {
        const bool choked = !chosen.contains(id);
        if (choked == !peer->has_slot) continue;
        peer->has_slot = !choked;
        peer->waits = choked;
        (choked ? peer->waits_since : peer->asked) = now;
        changes.push_back({id, choked});
    }
    std::erase_if(m_peers, [&](const auto& entry) {
        const Peer& peer = entry.second;
        return !peer.has_slot && !peer.waits && peer.gave == 0;
    });
    for (auto& [id, peer] : m_peers) {
        peer.gave /= 2;
        peer.took /= 2;
    }
    return changes;
}

}  // namespace sluice::content
