#pragma once

#include <functional>
#include <map>
#include <memory>

#include "p2p/peer_manager.h"
#include "util/executor.h"

namespace sluice::sim {

// A peer that speaks the real protocol (handshake, frames, greetings and all their limits) and says what it likes. It
// gives each block that it was told to offer to whoever asks, and answers getheaders as it was told to.
class EvilPeer final : private p2p::PeerEvents {
  public:
    // All outlive the peer. `executor` is a strand that belongs to the peer.
    EvilPeer(p2p::Network& network, const Clock& clock, RandomSource& random, Executor& executor,
             const p2p::NetworkId& chain);
    ~EvilPeer() override;

    // Keeps connections to these, dialling again after each loss.
    void Attack(const p2p::Endpoint& victim);
    // Once only: what a new identity does.
    void ConnectOnce(const p2p::Endpoint& victim);
    void LeaveAll();

    std::vector<PeerId> Victims() const;
    std::optional<PeerId> VictimAt(const p2p::Endpoint& endpoint) const;
    // False if the peer is not there or does not read fast enough.
    bool Send(PeerId victim, p2p::MessageType type, Bytes payload);
    bool SendHeaders(PeerId victim, const std::vector<BlockHeader>& headers);
    void SendHeadersToAll(const std::vector<BlockHeader>& headers);
    bool SendBlock(PeerId victim, const BlockRef& block);

    void Offer(const BlockRef& block) { m_blocks[block->header.Hash()] = block; }
    void StopOffering() { m_blocks.clear(); }
    // What getheaders is answered with; nothing at first.
    std::function<std::vector<BlockHeader>(PeerId, const p2p::GetHeaders&)> answer;
    std::function<void(PeerId)> on_ready;
    // Says that it has this many blocks.
    void ClaimHeight(Height height) { m_manager->SetBestHeight(height); }

    uint64_t headers_sent() const { return m_headers_sent; }
    uint64_t blocks_given() const { return m_blocks_given; }
    uint64_t blocks_refused() const { return m_blocks_refused; }
    uint64_t times_left() const { return m_left; }  // by a victim that had been ready

  private:
    void OnPeerReady(PeerId peer, const p2p::PeerInfo& info) override;
    void OnPeerGone(PeerId peer, const std::string& reason) override;
    void OnMessage(PeerId peer, p2p::MessageType type, ByteSpan payload) override;
    void OnDrained(PeerId, p2p::MessageClass) override {}
    void Wake();

    const Clock& m_clock;
    Executor& m_executor;
    std::unique_ptr<p2p::PeerManager> m_manager;
    std::map<BlockHash, BlockRef> m_blocks;
    uint64_t m_headers_sent{0};
    uint64_t m_blocks_given{0};
    uint64_t m_blocks_refused{0};
    uint64_t m_left{0};
    std::shared_ptr<bool> m_alive = std::make_shared<bool>(true);
};

}  // namespace sluice::sim
