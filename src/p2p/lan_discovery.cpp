#include "p2p/lan_discovery.h"

#include <algorithm>

#include "p2p/dial_budget.h"

namespace sluice::p2p {

LanDiscovery::LanDiscovery(const NetworkId& network, const NodeId& node, std::function<bool(const DhtKey&)> serves,
                           Instant now)
    : m_network(network),
      m_node(node),
      m_serves(std::move(serves)),
      m_next_announce(now),
      m_answers(kAnswersPerSecond, kAnswerBurst, now),
      m_heard(kHeardPerSecond, kHeardBurst, now) {}

Bytes LanDiscovery::Make(LanDatagram::Kind kind, const DhtKey& key) const {
    LanDatagram datagram;
    datagram.magic = m_network.magic;
    std::copy_n(m_network.genesis.begin(), datagram.genesis.size(), datagram.genesis.begin());
    datagram.kind = kind;
    datagram.node = m_node;
    datagram.port = m_port;
    datagram.key = key;
    return Encode(datagram);
}

void LanDiscovery::Ask(const DhtKey& key, Instant now) {
    const auto asked = m_asked.find(key);
    if (asked != m_asked.end() && now < asked->second + kAskInterval) return;
    std::erase_if(m_asked, [&](const auto& entry) { return now >= entry.second + kAskInterval; });
    if (m_asked.size() >= kMaxRemembered) return;
    m_asked[key] = now;
    m_actions.push_back(LanSendToGroup{Make(LanDatagram::Kind::kWhoServes, key)});
}

void LanDiscovery::Answer(const Endpoint& to, LanDatagram::Kind kind, const DhtKey& key, Instant now) {
    if (m_port == 0 || m_answers.InDebt(now)) return;
    std::erase_if(m_answered, [&](const auto& entry) { return now >= entry.second + kAnswerPause; });
    if (m_answered.size() >= kMaxRemembered || !m_answered.try_emplace({to, key}, now).second) return;
    m_answers.Charge(1, now);
    m_actions.push_back(LanSend{to, Make(kind, key)});
}

void LanDiscovery::OnDatagram(const Endpoint& from, ByteSpan bytes, Instant now) {
    if (bytes.size() != LanDatagram::kBytes || !IsLocal(from) || m_heard.InDebt(now)) return;
    m_heard.Charge(1, now);
    const auto told = Decode<LanDatagram>(bytes);
    if (!told || told->tag != LanDatagram::kTag || told->magic != m_network.magic || told->node == m_node) return;
    if (!std::equal(told->genesis.begin(), told->genesis.end(), m_network.genesis.begin())) return;
    const bool dialable = told->port >= kFirstUnprivilegedPort;
    Endpoint listening = from;
    listening.port = told->port;
    switch (told->kind) {
        case LanDatagram::Kind::kHere:
            Answer(from, LanDatagram::Kind::kHereToo, {}, now);
            [[fallthrough]];
        case LanDatagram::Kind::kHereToo:
            if (dialable) m_actions.push_back(LanFoundNode{listening});
            return;
        case LanDatagram::Kind::kWhoServes:
            if (m_serves(told->key)) Answer(from, LanDatagram::Kind::kServes, told->key, now);
            return;
        case LanDatagram::Kind::kServes:
            if (dialable && m_asked.contains(told->key)) m_actions.push_back(LanFoundProvider{told->key, listening});
            return;
    }
}

void LanDiscovery::Tick(Instant now) {
    if (now < m_next_announce) return;
    m_next_announce = now + kAnnounceInterval;
    m_actions.push_back(LanSendToGroup{Make(LanDatagram::Kind::kHere, {})});
}

}  // namespace sluice::p2p
