#include <algorithm>

#include "p2p/peer_manager_impl.h"

namespace sluice::p2p {
namespace {

constexpr seconds kFirstDelay{1};
constexpr seconds kLongestDelay{60};
constexpr seconds kSteady{10};  // a connection that lasted this long starts the delays anew
constexpr milliseconds kAutomaticPause{500};

}  // namespace

bool PeerManager::Impl::HasRoomForInbound(const Endpoint& remote) const {
    size_t inbound = 0;
    size_t same_ip = 0;
    for (const auto& [id, peer] : peers) {
        if (!peer->info.Inbound() || peer->closed) continue;
        ++inbound;
        same_ip += peer->info.endpoint.ip == remote.ip ? 1 : 0;
    }
    const size_t reserved = std::min(config.max_outbound, config.max_peers / 2);
    if (inbound >= config.max_peers - reserved || by_connection.size() >= config.max_peers) return false;
    return remote.IsLoopback() || same_ip < config.max_inbound_per_ip;
}

PeerManager::Impl::Peer* PeerManager::Impl::Dial(const Endpoint& endpoint, Direction direction) {
    if (by_connection.size() >= config.max_peers) return nullptr;
    return &AddPeer(network.Connect(endpoint), endpoint, direction);
}

bool PeerManager::Impl::ConnectedTo(const Endpoint& endpoint) const {
    return std::any_of(peers.begin(), peers.end(), [&](const auto& entry) {
        const PeerInfo& info = entry.second->info;
        if (entry.second->closed) return false;
        return info.Inbound() ? entry.second->ready && info.Listening() == endpoint : info.endpoint == endpoint;
    });
}

void PeerManager::Impl::DialManual() {
    const Instant now = clock.Monotonic();
    for (auto& [endpoint, node] : manual) {
        if (node.peer || now < node.next_try || own_endpoints.contains(endpoint)) continue;
        if (node.node && FindReady(*node.node, nullptr) != nullptr) continue;
        Peer* const peer = Dial(endpoint, Direction::kManual);
        if (peer != nullptr) {
            node.peer = peer->info.id;
        } else {
            node.next_try = now + kFirstDelay;
            node.last_failure = "all " + std::to_string(config.max_peers) + " connections are in use";
        }
    }
}

bool PeerManager::Impl::WantsAutomatic() const {
    if (!automatic || addresses.size() == 0 || by_connection.size() >= config.max_peers) return false;
    const auto outbound = std::count_if(peers.begin(), peers.end(), [](const auto& entry) {
        return entry.second->info.direction == Direction::kOutbound && !entry.second->closed;
    });
    return static_cast<size_t>(outbound) < config.max_outbound;
}

void PeerManager::Impl::DialAutomatic() {
    const Instant now = clock.Monotonic();
    if (!WantsAutomatic() || now < next_automatic) return;
    next_automatic = now + kAutomaticPause;
    // One connection for each network group, so that no range of addresses holds all of ours.
    std::set<uint32_t> groups;
    for (const auto& [id, peer] : peers) {
        if (!peer->info.Inbound() && peer->info.endpoint.IsRoutable())
            groups.insert(AddressBook::GroupOf(peer->info.endpoint));
    }
    const auto chosen = addresses.Select(random, now, [&](const Endpoint& endpoint) {
        if (own_endpoints.contains(endpoint) || discouraged.Has(endpoint, now) || ConnectedTo(endpoint)) return false;
        return !endpoint.IsRoutable() || !groups.contains(AddressBook::GroupOf(endpoint));
    });
    if (!chosen) {
        next_automatic = now + seconds(10);
        return;
    }
    addresses.Tried(*chosen, now);
    Dial(*chosen, Direction::kOutbound);
}

void PeerManager::Impl::DialEnded(const Peer& peer) {
    if (peer.info.Inbound()) return;
    if (!peer.greeted) addresses.Failed(peer.info.endpoint);
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
void PeerManager::AddAddress(const AddressEntry& entry) { m_impl->addresses.Add(entry); }
std::vector<AddressEntry> PeerManager::KnownAddresses() const { return m_impl->addresses.Entries(); }

}  // namespace sluice::p2p
