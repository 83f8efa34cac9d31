#include "node/dht_schedule.h"

#include <algorithm>

#include "crypto/hash.h"

namespace sluice::node {

using p2p::DhtKey;

namespace {

DhtKey KeyOf(std::string_view tag, const p2p::NetworkId& network, ByteSpan what) {
    const crypto::Hash256 hash = crypto::Sha256().Write(AsBytes(tag)).Write(network.magic).Write(what).Finish();
    return DhtKey::FromSpan(ByteSpan(hash.bytes).first<DhtKey::kSize>());
}

}  // namespace

DhtKey ContentKey(const p2p::NetworkId& network, const ContentRoot& root) {
    return KeyOf("sluice/content", network, root.bytes);
}

DhtKey NodesKey(const p2p::NetworkId& network) { return KeyOf("sluice/nodes", network, network.genesis.bytes); }

bool DhtSchedule::Announce(const DhtKey& key, Instant now) {
    if (m_announced.contains(key)) return true;
    if (m_announced.size() >= kMaxAnnounced) return false;
    m_announced[key].due = now;
    return true;
}

void DhtSchedule::Find(const DhtKey& key, Instant now) {
    std::erase_if(m_finds, [&](const auto& entry) {
        return now >= entry.second.due && (entry.second.found || entry.second.tries > kMaxRetries);
    });
    if (m_finds.size() < kMaxFinds) m_finds.try_emplace(key, Search{now});
}

void DhtSchedule::OnFound(const DhtKey& key) {
    const auto found = m_finds.find(key);
    if (found == m_finds.end() || found->second.found || found->second.tries == 0) return;
    found->second.found = true;
    found->second.due = m_free_at + kFindInterval;
}

std::optional<DhtAction> DhtSchedule::Next(Instant now) {
    if (now < m_free_at) return std::nullopt;
    // Whoever waits for a download goes first.
    for (auto& [key, search] : m_finds) {
        if (search.found || search.tries > kMaxRetries || now < search.due) continue;
        search.due = now + kFirstRetry * (int64_t{1} << search.tries);
        ++search.tries;
        m_free_at = now + kPause;
        return DhtFind{key};
    }
    const auto next = std::min_element(m_announced.begin(), m_announced.end(),
                                       [](const auto& a, const auto& b) { return a.second.due < b.second.due; });
    if (next == m_announced.end() || now < next->second.due) return std::nullopt;
    next->second.due = now + next->second.interval;
    next->second.interval = std::min(next->second.interval * 3, kAnnounceInterval);
    m_free_at = now + kPause;
    return DhtAnnounce{next->first};
}

}  // namespace sluice::node
