#pragma once

#include <atomic>
#include <map>
#include <memory>

#include "node/chain_service.h"
#include "node/environment.h"
#include "node/event_hub.h"
#include "p2p/peer_manager.h"

namespace sluice::node {

// Who gets the content messages of peers. Called on the network strand.
class ContentEndpoint {
  public:
    virtual ~ContentEndpoint() = default;
    virtual void OnPeerReady(PeerId peer, const p2p::PeerInfo& info) = 0;
    virtual void OnPeerGone(PeerId peer) = 0;
    virtual void OnContentMessage(PeerId peer, ByteSpan payload) = 0;
    // There is room again for chunks to this peer.
    virtual void OnChunksDrained(PeerId peer) = 0;
};

// Who finds nodes and providers: hears of peers before the content endpoint does. Called on the network strand.
class DiscoveryEndpoint {
  public:
    virtual ~DiscoveryEndpoint() = default;
    virtual void OnPeerReady(PeerId peer, const p2p::PeerInfo& info) = 0;
    // `at_fault`: it broke the rules.
    virtual void OnPeerGone(PeerId peer, bool at_fault) = 0;
    // As p2p::PeerEvents'.
    virtual void OnProviderDialEnded(const p2p::Endpoint& endpoint, const std::optional<p2p::NodeId>& node) = 0;
    // GetProviders and Providers, which the content endpoint never sees. `payload` has a byte at least.
    virtual void OnExchangeMessage(PeerId peer, ByteSpan payload) = 0;
    // Have and Leaf, which the content endpoint gets next.
    virtual void OnContentSeen(PeerId peer, ByteSpan payload) = 0;
    virtual void Tick() = 0;
};

// The peers, on the network strand: hands chain messages to the chain strand and content messages to the swarm.
// A peer's messages that wait for the chain strand are bounded by kMaxWaitingBytes: one that sends faster than they are
// checked is disconnected.
class NetworkService final : public PeerOutlet, private p2p::PeerEvents {
  public:
    static constexpr size_t kMaxWaitingBytes = 32 << 20;

    NetworkService(const Environment& environment, p2p::PeerManagerConfig config, EventHub& events);
    // Both outlive the service's use; set before Start.
    void SetChain(ChainService& chain, Alive chain_alive) {
        m_chain = &chain;
        m_alive = m_chain_alive = std::move(chain_alive);  // what the chain posts before Start is asked it too
    }
    void SetContent(ContentEndpoint& content) { m_content = &content; }
    void SetDiscovery(DiscoveryEndpoint& discovery) { m_discovery = &discovery; }
    p2p::PeerManager& peers() { return m_manager; }
    // Begins timeouts, pings and dialling; ends when `*alive` is false.
    void Start(Alive alive);

    // PeerOutlet, from the chain strand.
    void Send(PeerId peer, p2p::MessageType type, Bytes payload) override;
    void Misbehaving(PeerId peer, const std::string& reason) override;
    void Disconnect(PeerId peer, const std::string& reason) override;
    void SetBestHeight(Height height) override;

  private:
    void OnPeerReady(PeerId peer, const p2p::PeerInfo& info) override;
    void OnPeerGone(PeerId peer, const std::string& reason) override;
    void OnProviderDialEnded(const p2p::Endpoint& endpoint, const std::optional<p2p::NodeId>& node) override;
    void OnMessage(PeerId peer, p2p::MessageType type, ByteSpan payload) override;
    void OnContentMessage(PeerId peer, ByteSpan payload);
    void OnChunksDrained(PeerId peer) override;
    void OnTick();
    // Runs `task` on the chain strand unless the chain is gone by then.
    void PostToChain(std::function<void(ChainService&)> task);
    void PostToNetwork(std::function<void()> task);

    const Environment& m_environment;
    EventHub& m_events;
    p2p::PeerManager m_manager;
    ChainService* m_chain{nullptr};
    Alive m_chain_alive;
    ContentEndpoint* m_content{nullptr};
    DiscoveryEndpoint* m_discovery{nullptr};
    std::map<PeerId, p2p::NodeId> m_nodes;
    Alive m_alive;
    std::map<PeerId, std::shared_ptr<std::atomic<size_t>>> m_waiting_bytes;
};

}  // namespace sluice::node
