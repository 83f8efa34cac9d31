#pragma once

#include <memory>

#include "p2p/peer_manager.h"
#include "util/executor.h"

namespace sluice::sim {

// A peer that speaks the real protocol (handshake, frames, greetings and all their limits) and has nothing but the
// headers that it is told to send: one identity of many (Byzantine has more to say, and one identity).
class EvilPeer final : private p2p::PeerEvents {
  public:
    // All outlive the peer. `executor` is a strand that belongs to the peer.
    EvilPeer(p2p::Network& network, const Clock& clock, RandomSource& random, Executor& executor,
             const p2p::NetworkId& chain);
    ~EvilPeer() override;

    void ConnectOnce(const p2p::Endpoint& victim);
    // Those that are ready and have not sent it away.
    std::vector<PeerId> Victims() const;
    // False if the peer is not there or does not read fast enough.
    bool SendHeaders(PeerId victim, const std::vector<BlockHeader>& headers);

  private:
    void OnPeerReady(PeerId, const p2p::PeerInfo&) override {}
    void OnPeerGone(PeerId, const std::string&) override {}
    void OnMessage(PeerId peer, p2p::MessageType type, ByteSpan payload) override;
    void OnChunksDrained(PeerId) override {}
    void Wake();

    const Clock& m_clock;
    Executor& m_executor;
    std::unique_ptr<p2p::PeerManager> m_manager;
    std::shared_ptr<bool> m_alive = std::make_shared<bool>(true);
};

}  // namespace sluice::sim
