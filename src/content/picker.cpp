#include "content/picker.h"

#include <algorithm>

namespace sluice::content {
namespace {

uint64_t Mix(uint64_t x) {  // splitmix64's finaliser
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

}  // namespace

ChunkPicker::ChunkPicker(const ChunkSet& have, uint64_t tie_salt)
    : m_have(have), m_tie_salt(tie_salt), m_availability(have.size(), 0) {
    for (ChunkIndex chunk; chunk.value < have.size(); ++chunk) {
        if (!have.Has(chunk)) m_missing.insert(m_missing.end(), PlaceOf(chunk));
    }
}

ChunkPicker::Place ChunkPicker::PlaceOf(ChunkIndex chunk) const {
    const auto priority = m_priorities.find(chunk);
    return {priority == m_priorities.end() ? kNormalPriority : priority->second, m_availability[chunk.value],
            m_tie_salt == 0 ? 0 : Mix(m_tie_salt + chunk.value), chunk};
}

void ChunkPicker::ChangeAvailability(ChunkIndex chunk, int by) {
    const bool waits = m_missing.erase(PlaceOf(chunk)) > 0;
    m_availability[chunk.value] = static_cast<uint32_t>(static_cast<int64_t>(m_availability[chunk.value]) + by);
    if (waits) m_missing.insert(PlaceOf(chunk));
}

void ChunkPicker::AddPeer(PeerId peer, const ChunkSet& has) {
    CHECK(has.size() == m_have.size());
    if (m_seeds.contains(peer)) return;
    if (has.IsFull()) return AddSeed(peer);
    ChunkSet& known = m_partial.try_emplace(peer, m_have.size()).first->second;
    for (ChunkIndex chunk; chunk.value < has.size(); ++chunk) {
        if (has.Has(chunk) && known.Insert(chunk)) ChangeAvailability(chunk, 1);
    }
}

void ChunkPicker::AddSeed(PeerId peer) {
    const auto partial = m_partial.find(peer);
    if (partial != m_partial.end()) {
        for (ChunkIndex chunk; chunk.value < m_have.size(); ++chunk) {
            if (partial->second.Has(chunk)) ChangeAvailability(chunk, -1);
        }
        m_partial.erase(partial);
    }
    m_seeds.insert(peer);
}

void ChunkPicker::RemovePeer(PeerId peer) {
    const auto partial = m_partial.find(peer);
    if (partial != m_partial.end()) {
        for (ChunkIndex chunk; chunk.value < m_have.size(); ++chunk) {
            if (partial->second.Has(chunk)) ChangeAvailability(chunk, -1);
        }
        m_partial.erase(partial);
    }
    m_seeds.erase(peer);
    std::vector<ChunkIndex> released;
    for (const auto& [chunk, requesters] : m_requested) {
        if (std::find(requesters.begin(), requesters.end(), peer) != requesters.end()) released.push_back(chunk);
    }
    for (const ChunkIndex chunk : released) OnReleased(chunk, peer);
}

void ChunkPicker::OnPeerHas(PeerId peer, ChunkIndex chunk) {
    if (chunk.value >= m_have.size() || m_seeds.contains(peer)) return;
    ChunkSet& known = m_partial.try_emplace(peer, m_have.size()).first->second;
    if (known.Insert(chunk)) ChangeAvailability(chunk, 1);
    if (known.IsFull()) AddSeed(peer);
}

void ChunkPicker::SetPriority(ChunkIndex chunk, uint32_t priority) {
    if (chunk.value >= m_have.size()) return;
    const bool waits = m_missing.erase(PlaceOf(chunk)) > 0;
    if (priority == kNormalPriority) {
        m_priorities.erase(chunk);
    } else {
        m_priorities[chunk] = priority;
    }
    if (waits) m_missing.insert(PlaceOf(chunk));
}

bool ChunkPicker::PeerHas(PeerId peer, ChunkIndex chunk) const {
    if (m_seeds.contains(peer)) return true;
    const auto partial = m_partial.find(peer);
    return partial != m_partial.end() && partial->second.Has(chunk);
}

bool ChunkPicker::InEndgame() const {
    const uint32_t hundredth = m_have.size() / 100;
    return m_missing.empty() && m_requested.size() <= std::max<size_t>(hundredth, 1) && m_duplicates < hundredth;
}

std::vector<ChunkIndex> ChunkPicker::Pick(PeerId peer, size_t count) {
    std::vector<ChunkIndex> picked;
    if (!m_seeds.contains(peer) && !m_partial.contains(peer)) return picked;
    for (auto place = m_missing.begin(); place != m_missing.end() && picked.size() < count;) {
        if (!PeerHas(peer, place->chunk)) {
            ++place;
            continue;
        }
        picked.push_back(place->chunk);
        m_requested[place->chunk].push_back(peer);
        place = m_missing.erase(place);
    }
    if (!InEndgame()) return picked;
    const uint32_t most = m_have.size() / 100;
    for (auto& [chunk, requesters] : m_requested) {
        if (picked.size() >= count || m_duplicates >= most) break;
        const bool asked = std::find(requesters.begin(), requesters.end(), peer) != requesters.end();
        if (asked || requesters.size() >= kMaxRequesters || !PeerHas(peer, chunk)) continue;
        requesters.push_back(peer);
        picked.push_back(chunk);
        ++m_duplicates;
    }
    return picked;
}

bool ChunkPicker::IsUseful(PeerId peer) const {
    if (m_seeds.contains(peer)) return !IsDone();
    const auto partial = m_partial.find(peer);
    if (partial == m_partial.end()) return false;
    for (const Place& place : m_missing) {
        if (partial->second.Has(place.chunk)) return true;
    }
    return std::any_of(m_requested.begin(), m_requested.end(),
                       [&](const auto& entry) { return partial->second.Has(entry.first); });
}

void ChunkPicker::OnReleased(ChunkIndex chunk, PeerId peer) {
    const auto requested = m_requested.find(chunk);
    if (requested == m_requested.end()) return;
    std::erase(requested->second, peer);
    if (!requested->second.empty()) return;
    m_requested.erase(requested);
    m_missing.insert(PlaceOf(chunk));
}

std::vector<PeerId> ChunkPicker::OnStored(ChunkIndex chunk, PeerId from) {
    std::vector<PeerId> others;
    if (!m_have.Insert(chunk)) return others;
    m_missing.erase(PlaceOf(chunk));
    const auto requested = m_requested.find(chunk);
    if (requested != m_requested.end()) {
        for (const PeerId peer : requested->second) {
            if (peer != from) others.push_back(peer);
        }
        m_requested.erase(requested);
    }
    return others;
}

bool ChunkPicker::LacksAnywhere(const std::vector<PeerId>& peers) const {
    for (const PeerId peer : peers) {
        if (m_seeds.contains(peer)) return false;
    }
    return std::any_of(m_missing.begin(), m_missing.end(), [&](const Place& place) {
        return std::none_of(peers.begin(), peers.end(), [&](PeerId peer) { return PeerHas(peer, place.chunk); });
    });
}

}  // namespace sluice::content
