#pragma once

#include <algorithm>
#include <map>

#include "p2p/endpoint.h"
#include "p2p/identity.h"
#include "util/clock.h"

namespace sluice::p2p {

// Who broke the rules lately: node ids, and ip addresses but loopback ones (where many nodes of one machine live).
// Bounded: of more than kMaxEntries the ones that end first are forgotten.
class Discouraged {
  public:
    static constexpr size_t kMaxEntries = 1000;

    void Add(const NodeId& node, Instant until) { Put(m_nodes, node, until); }
    void Add(const Endpoint& endpoint, Instant until) {
        if (!endpoint.IsLoopback()) Put(m_ips, endpoint.ip, until);
    }
    bool Has(const NodeId& node, Instant now) const { return Find(m_nodes, node, now); }
    bool Has(const Endpoint& endpoint, Instant now) const { return Find(m_ips, endpoint.ip, now); }

  private:
    template <class Key>
    static void Put(std::map<Key, Instant>& entries, const Key& key, Instant until) {
        entries[key] = until;
        if (entries.size() <= kMaxEntries) return;
        entries.erase(std::min_element(entries.begin(), entries.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; }));
    }
    template <class Key>
    static bool Find(const std::map<Key, Instant>& entries, const Key& key, Instant now) {
        const auto found = entries.find(key);
        return found != entries.end() && now < found->second;
    }

    std::map<NodeId, Instant> m_nodes;
    std::map<std::array<uint8_t, 16>, Instant> m_ips;
};

}  // namespace sluice::p2p
