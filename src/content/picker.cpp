#include "content/picker.h"

#include <algorithm>
#include <numeric>

#include "util/check.h"

namespace sluice::content {
namespace {

constexpr uint32_t kSpanChunks = 256;
constexpr uint32_t kMaxScan = 4'096;  // entries of the order that one Pick looks at before it goes by what a peer has

uint64_t Mix(uint64_t x) {  // splitmix64's finaliser
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

bool Has(const std::vector<PeerId>& peers, PeerId peer) {
    return std::find(peers.begin(), peers.end(), peer) != peers.end();
}

}  // namespace

ChunkPicker::ChunkPicker(const ChunkSet& have, uint64_t tie_salt, bool wants_all)
    : m_have(have), m_wanted(have.size()), m_wants_all(wants_all), m_availability(have.size(), 0) {
    std::vector<uint32_t> spans((have.size() + kSpanChunks - 1) / kSpanChunks);
    std::iota(spans.begin(), spans.end(), 0u);
    if (tie_salt != 0)
        std::sort(spans.begin(), spans.end(),
                  [&](uint32_t a, uint32_t b) { return Mix(tie_salt + a) < Mix(tie_salt + b); });
    m_order.reserve(have.size());
    m_position.resize(have.size());
    for (const bool waits : {false, true}) {
        if (waits) m_start[1] = static_cast<uint32_t>(m_order.size());
        for (const uint32_t span : spans) {
            const uint32_t end = std::min(have.size(), (span + 1) * kSpanChunks);
            for (uint32_t chunk = span * kSpanChunks; chunk < end; ++chunk) {
                if ((wants_all && !have.Has(ChunkIndex(chunk))) != waits) continue;
                m_position[chunk] = static_cast<uint32_t>(m_order.size());
                m_order.push_back(chunk);
            }
        }
    }
    std::fill(m_start.begin() + 2, m_start.end(), have.size());
}

void ChunkPicker::Move(uint32_t from, uint32_t to) {
    if (from == to) return;
    std::swap(m_order[from], m_order[to]);
    m_position[m_order[from]] = from;
    m_position[m_order[to]] = to;
}

void ChunkPicker::Up(ChunkIndex chunk, uint32_t level) { Move(m_position[chunk.value], --m_start[level + 1]); }
void ChunkPicker::Down(ChunkIndex chunk, uint32_t level) { Move(m_position[chunk.value], m_start[level]++); }

void ChunkPicker::Enter(ChunkIndex chunk) {
    if (Waits(chunk)) return;
    for (uint32_t level = 0; level < LevelOf(chunk); ++level) Up(chunk, level);
}

void ChunkPicker::Leave(ChunkIndex chunk) {
    if (!Waits(chunk)) return;
    for (uint32_t level = LevelOf(chunk); level > 0; --level) Down(chunk, level);
}

void ChunkPicker::ChangeAvailability(ChunkIndex chunk, int by) {
    const uint32_t before = LevelOf(chunk);
    m_availability[chunk.value] = static_cast<uint16_t>(m_availability[chunk.value] + by);
    const uint32_t after = LevelOf(chunk);
    if (before == after || !Waits(chunk)) return;
    by > 0 ? Up(chunk, before) : Down(chunk, before);
}

void ChunkPicker::AddPeer(PeerId peer, const ChunkSet& has) {
    CHECK(has.size() == m_have.size());
    if (m_seeds.contains(peer)) return;
    if (has.IsFull()) return AddSeed(peer);
    for (ChunkIndex chunk; chunk.value < has.size(); ++chunk) {
        if (has.Has(chunk)) OnPeerHas(peer, chunk);
    }
}

void ChunkPicker::ForgetPartial(PeerId peer) {
    const auto partial = m_partial.find(peer);
    if (partial == m_partial.end()) return;
    for (ChunkIndex chunk; chunk.value < m_have.size(); ++chunk) {
        if (partial->second.Has(chunk)) ChangeAvailability(chunk, -1);
    }
    m_partial.erase(partial);
}

void ChunkPicker::AddSeed(PeerId peer) {
    ForgetPartial(peer);
    m_seeds.insert(peer);
}

void ChunkPicker::RemovePeer(PeerId peer) {
    ForgetPartial(peer);
    m_seeds.erase(peer);
    std::vector<ChunkIndex> released;
    for (const auto& [chunk, requesters] : m_requested) {
        if (Has(requesters, peer)) released.push_back(chunk);
    }
    for (const ChunkIndex chunk : released) OnReleased(chunk, peer);
}

void ChunkPicker::OnPeerHas(PeerId peer, ChunkIndex chunk) {
    if (chunk.value >= m_have.size() || m_seeds.contains(peer)) return;
    ChunkSet& known = m_partial.try_emplace(peer, m_have.size()).first->second;
    if (known.Insert(chunk)) ChangeAvailability(chunk, 1);
    if (known.IsFull()) AddSeed(peer);
}

void ChunkPicker::SetUrgent(const std::vector<ChunkIndex>& soonest_first) {
    m_urgent.clear();
    m_is_urgent.clear();
    for (const ChunkIndex chunk : soonest_first) {
        if (m_urgent.size() == kMaxUrgent) break;
        if (chunk.value < m_have.size() && m_is_urgent.insert(chunk).second) m_urgent.push_back(chunk);
    }
}

void ChunkPicker::Want(ChunkIndex first, ChunkIndex last) {
    for (uint64_t at = first.value; at <= last.value && at < m_have.size(); ++at) {
        const ChunkIndex chunk(static_cast<uint32_t>(at));
        if (!m_wanted.Insert(chunk)) continue;
        if (m_have.Has(chunk)) {
            ++m_wanted_stored;
        } else if (!m_requested.contains(chunk)) {
            Enter(chunk);
        }
    }
}

void ChunkPicker::SetWantsAll(bool wants_all) {
    if (m_wants_all == wants_all) return;
    m_wants_all = wants_all;
    // Backwards, so that Enter, which puts a chunk at its level's front, leaves them in order.
    for (uint32_t at = m_have.size(); at-- > 0;) {
        const ChunkIndex chunk(at);
        if (m_have.Has(chunk) || m_wanted.Has(chunk)) continue;
        if (!wants_all) {
            Leave(chunk);
        } else if (!m_requested.contains(chunk)) {
            Enter(chunk);
        }
    }
}

bool ChunkPicker::PeerHas(PeerId peer, ChunkIndex chunk) const {
    if (m_seeds.contains(peer)) return true;
    const auto partial = m_partial.find(peer);
    return partial != m_partial.end() && partial->second.Has(chunk);
}

const std::vector<PeerId>& ChunkPicker::RequestersOf(ChunkIndex chunk) const {
    static const std::vector<PeerId> nobody;
    const auto requested = m_requested.find(chunk);
    return requested == m_requested.end() ? nobody : requested->second;
}

bool ChunkPicker::InEndgame() const {
    const uint32_t hundredth = m_have.size() / 100;
    return Waiting() == 0 && m_requested.size() <= std::max<size_t>(hundredth, 1) && m_duplicates < hundredth;
}

bool ChunkPicker::Take(PeerId peer, ChunkIndex chunk) {
    if (chunk.value >= m_have.size() || m_have.Has(chunk) || m_requested.contains(chunk) || !PeerHas(peer, chunk))
        return false;
    m_requested[chunk].push_back(peer);
    Leave(chunk);
    return true;
}

std::vector<ChunkIndex> ChunkPicker::Pick(PeerId peer, size_t count) {
    const auto partial = m_partial.find(peer);
    if (!m_seeds.contains(peer) && partial == m_partial.end()) return {};
    std::vector<ChunkIndex> picked;
    const auto take = [&](ChunkIndex chunk) {
        if (Take(peer, chunk)) picked.push_back(chunk);
    };
    for (const ChunkIndex chunk : m_urgent) {
        if (picked.size() >= count) break;
        take(chunk);
    }
    const uint32_t scan_end =
        static_cast<uint32_t>(std::min<uint64_t>(m_order.size(), uint64_t{m_start[1]} + kMaxScan));
    std::vector<ChunkIndex> found;
    for (uint32_t at = m_start[1]; at < scan_end && picked.size() + found.size() < count; ++at) {
        const ChunkIndex chunk(m_order[at]);
        if (PeerHas(peer, chunk)) found.push_back(chunk);
    }
    for (const ChunkIndex chunk : found) take(chunk);
    if (picked.size() < count && scan_end < m_order.size()) {
        // Of a peer that has little: whatever it has.
        for (ChunkIndex chunk; chunk.value < m_have.size() && picked.size() < count; ++chunk) {
            if (Waits(chunk) && PeerHas(peer, chunk)) take(chunk);
        }
    }
    if (!InEndgame()) return picked;
    const uint32_t most = m_have.size() / 100;
    for (auto& [chunk, requesters] : m_requested) {
        if (picked.size() >= count || m_duplicates >= most) break;
        if (Has(requesters, peer) || requesters.size() >= kMaxRequesters || !PeerHas(peer, chunk)) continue;
        requesters.push_back(peer);
        picked.push_back(chunk);
        ++m_duplicates;
    }
    return picked;
}

bool ChunkPicker::PickSecond(PeerId peer, ChunkIndex chunk) {
    const auto requested = m_requested.find(chunk);
    if (requested == m_requested.end() || requested->second.size() >= kMaxRequesters || Has(requested->second, peer) ||
        !PeerHas(peer, chunk) || m_urgent_duplicates >= std::max<uint32_t>(m_have.size() / 100, 1))
        return false;
    requested->second.push_back(peer);
    ++m_urgent_duplicates;
    return true;
}

bool ChunkPicker::IsIdle() const {
    if (m_wants_all) return IsDone();
    return m_wanted_stored == m_wanted.count() &&
           std::all_of(m_urgent.begin(), m_urgent.end(), [&](ChunkIndex chunk) { return m_have.Has(chunk); });
}

uint32_t ChunkPicker::WantedCount() const {
    if (m_wants_all) return chunks();
    return m_wanted.count() + static_cast<uint32_t>(std::count_if(m_urgent.begin(), m_urgent.end(),
                                                                  [&](ChunkIndex c) { return !m_wanted.Has(c); }));
}

uint32_t ChunkPicker::WantedStored() const {
    if (m_wants_all) return m_have.count();
    return m_wanted_stored + static_cast<uint32_t>(std::count_if(m_urgent.begin(), m_urgent.end(), [&](ChunkIndex c) {
               return !m_wanted.Has(c) && m_have.Has(c);
           }));
}

bool ChunkPicker::IsUseful(PeerId peer) const {
    if (IsIdle()) return false;
    if (m_seeds.contains(peer)) return true;
    const auto partial = m_partial.find(peer);
    if (partial == m_partial.end()) return false;
    for (const ChunkIndex chunk : m_urgent) {
        if (!m_have.Has(chunk) && partial->second.Has(chunk)) return true;
    }
    for (const auto& [chunk, requesters] : m_requested) {
        if (partial->second.Has(chunk)) return true;
    }
    if (partial->second.count() == 0) return false;
    // Rationale: the rarest come first, so that a peer that has much is found useful at once.
    const uint32_t end = static_cast<uint32_t>(std::min<uint64_t>(m_order.size(), uint64_t{m_start[1]} + kMaxScan));
    for (uint32_t at = m_start[1]; at < end; ++at) {
        if (partial->second.Has(ChunkIndex(m_order[at]))) return true;
    }
    if (end == m_order.size()) return false;
    for (ChunkIndex chunk; chunk.value < m_have.size(); ++chunk) {
        if (Waits(chunk) && partial->second.Has(chunk)) return true;
    }
    return false;
}

void ChunkPicker::OnReleased(ChunkIndex chunk, PeerId peer) {
    const auto requested = m_requested.find(chunk);
    if (requested == m_requested.end()) return;
    std::erase(requested->second, peer);
    if (!requested->second.empty()) return;
    m_requested.erase(requested);
    if (!m_have.Has(chunk) && (m_wants_all || m_wanted.Has(chunk))) Enter(chunk);
}

std::vector<PeerId> ChunkPicker::OnStored(ChunkIndex chunk, PeerId from) {
    std::vector<PeerId> others;
    if (!m_have.Insert(chunk)) return others;
    Leave(chunk);
    m_wanted_stored += m_wanted.Has(chunk);
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
    if (std::any_of(peers.begin(), peers.end(), [&](PeerId peer) { return m_seeds.contains(peer); })) return false;
    const auto lacks = [&](ChunkIndex chunk) {
        return std::none_of(peers.begin(), peers.end(), [&](PeerId peer) { return PeerHas(peer, chunk); });
    };
    for (const ChunkIndex chunk : m_urgent) {
        if (!m_have.Has(chunk) && !m_requested.contains(chunk) && lacks(chunk)) return true;
    }
    return std::any_of(m_order.begin() + m_start[1], m_order.end(),
                       [&](uint32_t chunk) { return lacks(ChunkIndex(chunk)); });
}

void ChunkPicker::SanityCheck() const {
    CHECK(m_start[0] == 0 && m_start[kLevels] == m_order.size());
    for (uint32_t level = 0; level < kLevels; ++level) {
        CHECK(m_start[level] <= m_start[level + 1]);
        for (uint32_t at = m_start[level]; at < m_start[level + 1]; ++at) {
            const ChunkIndex chunk(m_order[at]);
            CHECK(m_position[chunk.value] == at);
            if (level > 0) CHECK(LevelOf(chunk) == level);
            const bool waits =
                !m_have.Has(chunk) && !m_requested.contains(chunk) && (m_wants_all || m_wanted.Has(chunk));
            CHECK(waits == (level > 0));
        }
    }
}

}  // namespace sluice::content
