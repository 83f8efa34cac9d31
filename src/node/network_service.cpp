#include "node/network_service.h"

#include "content/messages.h"
#include "util/log.h"

namespace sluice::node {

namespace {
// The manager's events may move its next wakeup closer; it is looked at again after this long.
constexpr milliseconds kLongestTick{50};

// What a content message costs besides its bytes, in units of 0.1 µs: signatures, keys, hashes, look-ups.
int64_t WorkOf(content::ContentMessageType type) {
    using Type = content::ContentMessageType;
    switch (type) {
        case Type::kChannelOpen:
            return 2'000;
        case Type::kTermsRequest:
        case Type::kGetLeafHashes:
            return 1'000;
        case Type::kVoucher:
        case Type::kGetHashes:
        case Type::kGetProviders:
            return 500;
        case Type::kHave:
            return 300;
        default:
            return 0;
    }
}

}  // namespace

NetworkService::NetworkService(const Environment& environment, p2p::PeerManagerConfig config, EventHub& events)
    : m_environment(environment),
      m_events(events),
      m_manager(environment.network, environment.clock, environment.random, std::move(config), *this) {}

void NetworkService::Start(Alive alive) {
    m_alive = std::move(alive);
    OnTick();
}

void NetworkService::OnTick() {
    m_manager.Tick();
    if (m_discovery) m_discovery->Tick();
    const auto wait =
        std::chrono::duration_cast<milliseconds>(m_manager.NextWakeup() - m_environment.clock.Monotonic());
    m_environment.network_strand.PostAfter(std::clamp(wait, milliseconds(5), kLongestTick), [this, alive = m_alive] {
        if (*alive) OnTick();
    });
}

void NetworkService::PostToChain(std::function<void(ChainService&)> task) {
    m_environment.chain_strand.Post([chain = m_chain, alive = m_chain_alive, task = std::move(task)] {
        if (*alive) task(*chain);
    });
}

void NetworkService::PostToNetwork(std::function<void()> task) {
    m_environment.network_strand.Post([alive = m_alive, task = std::move(task)] {
        if (*alive) task();
    });
}

void NetworkService::Send(PeerId peer, p2p::MessageType type, Bytes payload) {
    PostToNetwork([this, peer, type, payload = std::move(payload)]() mutable {
        if (!m_manager.Send(peer, type, std::move(payload)))
            LogDebug("net", "peer {}: {} not sent: its queue is full or it is gone", peer.value, p2p::NameOf(type));
    });
}

void NetworkService::Misbehaving(PeerId peer, const std::string& reason) {
    PostToNetwork([this, peer, reason] { m_manager.Misbehaving(peer, reason); });
}

void NetworkService::Disconnect(PeerId peer, const std::string& reason) {
    PostToNetwork([this, peer, reason] { m_manager.Disconnect(peer, reason); });
}

void NetworkService::SetBestHeight(Height height) {
    PostToNetwork([this, height] { m_manager.SetBestHeight(height); });
}

void NetworkService::OnPeerReady(PeerId peer, const p2p::PeerInfo& info) {
    LogInfo("net", "peer {} connected: {} {}", peer.value, info.endpoint.ToString(), p2p::NameOf(info.direction));
    m_nodes[peer] = info.node_id;
    m_waiting_bytes[peer] = std::make_shared<std::atomic<size_t>>(0);
    m_events.Publish("peer", std::to_string(peer.value), "connected");
    PostToChain([peer, height = info.hello.best_height](ChainService& chain) { chain.OnPeerReady(peer, height); });
    if (m_discovery) m_discovery->OnPeerReady(peer, info);
    if (m_content) m_content->OnPeerReady(peer, info);
}

void NetworkService::OnPeerGone(PeerId peer, const std::string& reason) {
    LogInfo("net", "peer {} gone: {}", peer.value, reason);
    m_waiting_bytes.erase(peer);
    m_events.Publish("peer", std::to_string(peer.value), "disconnected: " + reason);
    PostToChain([peer](ChainService& chain) { chain.OnPeerGone(peer); });
    const auto node = m_nodes.extract(peer);
    if (m_discovery) m_discovery->OnPeerGone(peer, !node.empty() && m_manager.IsDiscouraged(node.mapped()));
    if (m_content) m_content->OnPeerGone(peer);
}

void NetworkService::OnProviderDialEnded(const p2p::Endpoint& endpoint, const std::optional<p2p::NodeId>& node) {
    if (m_discovery) m_discovery->OnProviderDialEnded(endpoint, node);
}

void NetworkService::OnContentMessage(PeerId peer, ByteSpan payload) {
    using Type = content::ContentMessageType;
    const auto type = payload.empty() ? Type{} : static_cast<Type>(payload[0]);
    m_manager.Charge(peer, WorkOf(type));
    if (m_discovery && (type == Type::kGetProviders || type == Type::kProviders))
        return m_discovery->OnExchangeMessage(peer, payload);
    if (m_discovery && (type == Type::kHave || type == Type::kLeaf)) m_discovery->OnContentSeen(peer, payload);
    if (m_content) m_content->OnContentMessage(peer, payload);
}

void NetworkService::OnMessage(PeerId peer, p2p::MessageType type, ByteSpan payload) {
    switch (type) {
        case p2p::MessageType::kContentControl:
        case p2p::MessageType::kContentChunk:
            return OnContentMessage(peer, payload);
        default:
            break;
    }
    const auto found = m_waiting_bytes.find(peer);
    if (found == m_waiting_bytes.end()) return;
    const auto& waiting = found->second;
    const size_t bytes = payload.size() + 64;
    if (waiting->fetch_add(bytes) + bytes > kMaxWaitingBytes)
        return m_manager.Disconnect(peer, "sends faster than its messages can be checked");
    PostToChain([peer, type, copy = ToBytes(payload), waiting, bytes](ChainService& chain) {
        chain.OnMessage(peer, type, copy);
        waiting->fetch_sub(bytes);
    });
}

void NetworkService::OnChunksDrained(PeerId peer) {
    if (m_content) m_content->OnChunksDrained(peer);
}

}  // namespace sluice::node
