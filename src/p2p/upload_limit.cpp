#include "p2p/upload_limit.h"

namespace sluice::p2p {
namespace {

// An eighth of a second at once: small enough to be smooth, larger than the time between two looks.
TokenBucket BucketFor(int64_t rate_per_s, Instant now) {
    return {rate_per_s, std::max<int64_t>(1, rate_per_s / 8), now};
}

}  // namespace

void UploadLimit::Set(BandwidthSchedule all, BandwidthSchedule per_peer) {
    m_all_schedule = std::move(all);
    m_per_peer_schedule = std::move(per_peer);
}

void UploadLimit::Update(MinuteOfDay minute, Instant now) {
    const auto signed_rate = [&](const BandwidthSchedule& schedule) -> std::optional<int64_t> {
        const auto rate = schedule.RateAt(minute);
        return rate ? std::optional(static_cast<int64_t>(*rate)) : std::nullopt;
    };
    const auto all = signed_rate(m_all_schedule);
    if (!all) {
        m_all.reset();
    } else if (!m_all || m_all->rate_per_s() != *all) {
        m_all.emplace(BucketFor(*all, now));
    }
    const auto per_peer = signed_rate(m_per_peer_schedule);
    if (per_peer != m_per_peer_rate) m_peers.clear();
    m_per_peer_rate = per_peer;
}

void UploadLimit::Leave(PeerId peer, bool forget) {
    m_waiting.erase(peer);
    if (forget) m_peers.erase(peer);
}

TokenBucket* UploadLimit::BucketOf(PeerId peer, Instant now) {
    if (!m_per_peer_rate) return nullptr;
    return &m_peers.try_emplace(peer, BucketFor(*m_per_peer_rate, now)).first->second;
}

std::optional<UploadLimit::Turn> UploadLimit::Next(Instant now) {
    if (m_waiting.empty()) return std::nullopt;
    int64_t share = kMaxShareBytes;
    if (m_all) {
        const int64_t level = m_all->Level(now);
        if (level < 0) return std::nullopt;
        share = std::min(share, level / static_cast<int64_t>(m_waiting.size()));
    }
    // Round once, beginning after the last one.
    auto at = m_waiting.upper_bound(m_last);
    for (size_t i = 0; i < m_waiting.size(); ++i, ++at) {
        if (at == m_waiting.end()) at = m_waiting.begin();
        TokenBucket* const own = BucketOf(*at, now);
        if (own != nullptr) {
            const int64_t level = own->Level(now);
            if (level < 0) continue;
            share = std::min(share, level);
        }
        return Turn{*at, static_cast<size_t>(std::max<int64_t>(share, 1))};
    }
    return std::nullopt;
}

void UploadLimit::Sent(PeerId peer, size_t bytes, Instant now) {
    m_last = peer;
    if (m_all) m_all->Charge(static_cast<int64_t>(bytes), now);
    if (TokenBucket* const own = BucketOf(peer, now)) own->Charge(static_cast<int64_t>(bytes), now);
}

std::optional<Instant> UploadLimit::NextAt(Instant now) const {
    std::optional<Instant> next;
    for (const PeerId peer : m_waiting) {
        const auto own = m_peers.find(peer);
        const Instant free = own == m_peers.end() ? now : own->second.FreeAt(now);
        next = std::min(next.value_or(free), free);
    }
    if (next && m_all) next = std::max(*next, m_all->FreeAt(now));
    return next;
}

}  // namespace sluice::p2p
