#include <algorithm>

#include "p2p/peer_manager_impl.h"

namespace sluice::p2p {
namespace {

constexpr seconds kFirstDelay{1};
constexpr seconds kLongestDelay{60};
constexpr seconds kSteady{10};  // a connection that lasted this long starts the delays anew
constexpr milliseconds kAutomaticPause{500};
constexpr seconds kSeedPause{60};

}  // namespace

PeerManager::Impl::Peer* PeerManager::Impl::Dial(const Endpoint& endpoint, Direction direction) {
    if (direction == Direction::kProvider ? ProviderConnections() >= config.max_providers
                                          : ChainConnections() >= config.max_peers)
        return nullptr;
    return &AddPeer(network.Connect(endpoint), endpoint, direction);
}

bool PeerManager::Impl::ConnectedTo(const Endpoint& endpoint) const {
    return std::any_of(peers.begin(), peers.end(), [&](const auto& entry) {
        const PeerInfo& info = entry.second->info;
        if (entry.second->closed) return false;
        return info.Inbound() ? entry.second->ready && info.Listening() == endpoint : info.endpoint == endpoint;
    });
}

// A provider that the operator wants to be connected to is not left when the download ends.
bool PeerManager::Impl::AdoptProvider(const Endpoint& endpoint, Manual& node) {
    for (const auto& [id, peer] : peers) {
        if (peer->info.direction != Direction::kProvider || peer->info.endpoint != endpoint) continue;
        if (!peer->ready || peer->closed) continue;
        peer->info.direction = Direction::kManual;
        node.peer = id;
        node.node = peer->info.node_id;
        return true;
    }
    return false;
}

void PeerManager::Impl::DialManual() {
    const Instant now = clock.Monotonic();
    for (auto& [endpoint, node] : manual) {
        if (node.peer || now < node.next_try || own_endpoints.contains(endpoint)) continue;
        if (node.node && FindReady(*node.node, nullptr) != nullptr) continue;
        if (AdoptProvider(endpoint, node)) continue;
        Peer* const peer = Dial(endpoint, Direction::kManual);
        if (peer != nullptr) {
            node.peer = peer->info.id;
        } else {
            node.next_try = now + kFirstDelay;
            node.last_failure = "all " + std::to_string(config.max_peers) + " connections are in use";
        }
    }
}

size_t PeerManager::Impl::ProviderConnections() const {
    return static_cast<size_t>(std::count_if(peers.begin(), peers.end(), [](const auto& entry) {
        return entry.second->info.direction == Direction::kProvider && !entry.second->closed && !entry.second->lane_of;
    }));
}

bool PeerManager::Impl::WantsAutomatic() const {
    if (!automatic || ChainConnections() >= config.max_peers) return false;
    if (addresses.size() == 0 && anchors.empty() && seeds.empty()) return false;
    const auto outbound = std::count_if(peers.begin(), peers.end(), [](const auto& entry) {
        return entry.second->info.direction == Direction::kOutbound && !entry.second->closed && !entry.second->lane_of;
    });
    return static_cast<size_t>(outbound) < config.max_outbound;
}

bool PeerManager::Impl::MayDial(const Endpoint& endpoint) {
    const Instant now = clock.Monotonic();
    if (own_endpoints.contains(endpoint) || discouraged.Has(endpoint, now) || ConnectedTo(endpoint)) return false;
    return IsVerified(endpoint) || dial_budget.Allows(endpoint, now);
}

void PeerManager::Impl::DialAutomatic() {
    const Instant now = clock.Monotonic();
    if (!WantsAutomatic() || now < next_automatic) return;
    next_automatic = now + kAutomaticPause;
    if (DialAnchor()) return;
    // One connection for each network group, so that no range of addresses holds all of ours; few to the LAN.
    std::set<uint32_t> groups;
    size_t local = 0;
    for (const auto& [id, peer] : peers) {
        if (peer->info.Inbound() || peer->closed || peer->lane_of) continue;
        if (peer->info.endpoint.IsRoutable()) {
            groups.insert(AddressBook::GroupOf(peer->info.endpoint));
        } else if (peer->info.direction == Direction::kOutbound) {
            ++local;
        }
    }
    const bool local_allowed = config.allow_local || local < config.max_local_outbound;
    const auto chosen = addresses.Select(random, now, [&](const Endpoint& endpoint) {
        if (!(endpoint.IsRoutable() ? !groups.contains(AddressBook::GroupOf(endpoint)) : local_allowed)) return false;
        return MayDial(endpoint);
    });
    if (!chosen) {
        next_automatic = now + seconds(10);
        return DialSeed();
    }
    addresses.Tried(*chosen, now);
    if (!IsVerified(*chosen)) dial_budget.Spend(*chosen, now);
    Dial(*chosen, Direction::kOutbound);
}

bool PeerManager::Impl::DialAnchor() {
    while (!anchors.empty()) {
        const Endpoint anchor = anchors.front();
        anchors.erase(anchors.begin());
        if (!MayDial(anchor)) continue;
        addresses.Tried(anchor, clock.Monotonic());
        Dial(anchor, Direction::kOutbound);
        return true;
    }
    return false;
}

void PeerManager::Impl::DialSeed() {
    const Instant now = clock.Monotonic();
    for (auto& [endpoint, next_try] : seeds) {
        if (now < next_try || own_endpoints.contains(endpoint) || ConnectedTo(endpoint)) continue;
        next_try = now + kSeedPause;
        Dial(endpoint, Direction::kSeed);
        return;
    }
}

void PeerManager::Impl::DialEnded(const Peer& peer) {
    if (peer.info.Inbound() || peer.lane_of) return;
    if (peer.info.direction == Direction::kOutbound) ++outbound_changes;
    if (!peer.greeted) addresses.Failed(peer.info.endpoint);
    if (peer.info.direction == Direction::kProvider && !peer.was_ready)
        events.OnProviderDialEnded(peer.info.endpoint, peer.greeted ? std::optional(peer.info.node_id) : std::nullopt);
    const auto found = manual.find(peer.info.endpoint);
    if (found == manual.end() || found->second.peer != peer.info.id) return;
    Manual& node = found->second;
    const Instant now = clock.Monotonic();
    const bool was_steady = peer.greeted && now - peer.started >= kSteady;
    node.delay = was_steady || node.delay == seconds(0) ? kFirstDelay : std::min(node.delay * 2, kLongestDelay);
    // Up to a quarter more, so that nodes that lost each other together do not return together.
    node.next_try = now + node.delay + milliseconds(random.Below(static_cast<uint64_t>(node.delay.count()) * 250));
    node.peer.reset();
    node.last_failure = peer.close_reason;
}

void PeerManager::AddNode(const Endpoint& endpoint) { m_impl->manual.try_emplace(endpoint); }

bool PeerManager::RemoveNode(const Endpoint& endpoint) { return m_impl->manual.erase(endpoint) != 0; }

Status PeerManager::ConnectOnce(const Endpoint& endpoint) {
    if (m_impl->ConnectedTo(endpoint)) return Fail("there is a connection to " + endpoint.ToString() + " already");
    if (m_impl->Dial(endpoint, Direction::kManual) == nullptr) {
        return Fail(ErrorKind::kUnavailable, "all " + std::to_string(m_impl->config.max_peers) +
                                                 " connections are in use: disconnect a peer or raise -maxconnections");
    }
    return {};
}

std::vector<ManualNodeInfo> PeerManager::ManualNodes() const {
    std::vector<ManualNodeInfo> result;
    for (const auto& [endpoint, node] : m_impl->manual) {
        const Impl::Peer* const peer = node.node ? m_impl->FindReady(*node.node, nullptr) : nullptr;
        result.push_back({endpoint, peer == nullptr ? std::nullopt : std::optional(peer->info.id), node.last_failure});
    }
    return result;
}

void PeerManager::SetAutomaticOutbound(bool enabled) { m_impl->automatic = enabled; }
void PeerManager::AddAddress(const AddressEntry& entry, AddressSource source) {
    const bool from_afar = source == AddressSource::kGossip || source == AddressSource::kDht;
    if (!from_afar || IsDialable(entry.endpoint, m_impl->config.allow_local)) m_impl->addresses.Add(entry, source);
}

void PeerManager::AddSeed(const Endpoint& endpoint) { m_impl->seeds.try_emplace(endpoint, Instant{}); }

std::vector<KnownAddress> PeerManager::KnownAddresses() const { return m_impl->addresses.Entries(); }

Bytes PeerManager::SaveAddresses() {
    // Those that are connected for the longest time; those of the last run as long as there is none.
    std::vector<Endpoint> anchors;
    for (const auto& [id, peer] : m_impl->peers) {
        if (peer->info.direction == Direction::kOutbound && peer->ready && !peer->closed)
            anchors.push_back(peer->info.endpoint);
    }
    if (!anchors.empty()) m_impl->last_anchors = std::move(anchors);
    return m_impl->addresses.Save(m_impl->last_anchors);
}

Status PeerManager::LoadAddresses(ByteSpan saved) {
    ASSIGN_OR_RETURN(m_impl->last_anchors, m_impl->addresses.Load(saved));
    m_impl->anchors = m_impl->last_anchors;
    return {};
}

uint64_t PeerManager::AddressChanges() const { return m_impl->addresses.changes() + m_impl->outbound_changes; }

Status PeerManager::DialProvider(const Endpoint& endpoint, bool on_lan) {
    const Instant now = m_impl->clock.Monotonic();
    if (!IsDialable(endpoint, m_impl->config.allow_local || on_lan))
        return Fail(endpoint.ToString() + " is not dialled: it is private, or its port is below 1024");
    if (!m_impl->MayDial(endpoint))
        return Fail(endpoint.ToString() + " is not dialled: it is connected, refused, or was dialled too often");
    if (m_impl->Dial(endpoint, Direction::kProvider) == nullptr)
        return Fail(ErrorKind::kUnavailable,
                    "all " + std::to_string(m_impl->config.max_providers) + " connections for providers are in use");
    if (!m_impl->IsVerified(endpoint)) m_impl->dial_budget.Spend(endpoint, now);
    return {};
}

bool PeerManager::IsVerified(const Endpoint& endpoint) const { return m_impl->IsVerified(endpoint); }

size_t PeerManager::ProviderConnections() const { return m_impl->ProviderConnections(); }

}  // namespace sluice::p2p
