#pragma once

#include "p2p/peer_manager.h"
#include "sim/node.h"

// Adversaries of simulated worlds. One is made of three parts, each real:
//
//   view   an honest-looking, non-staking VirtualNode: follows the public chain, and publishes what it is given
//          (Publish), by the usual relay
//   PrivateChain   any number of ChainManagers of its own, told to nobody, on which its keys produce
//   voice  a PeerManager at a second address: authenticated connections to any honest nodes, over which any message can
//          be sent; what peers send is the strategy's to answer
//
// A Strategy decides. It is called on virtual time, as events of the adversary's own.

namespace sluice::sim {

class World;
class Byzantine;

// A chain that nobody else knows.
class PrivateChain {
  public:
    PrivateChain(World& world, uint64_t seed);

    chain::ChainManager& chain() { return *m_chain; }
    const chain::HeaderNode& tip() const { return *m_chain->tip(); }
    // Takes the active blocks of `other` up to `last` (all by default), from where both differ. Its own blocks above
    // that stay its tip as long as they are the better chain.
    Status Follow(const chain::ChainManager& other, std::optional<Height> last = {});
    // The block that the keys make on its tip in `slot`, processed here: now its tip. Null if they do not lead the slot
    // there. The slot may lie in the future.
    Result<BlockRef> Produce(const consensus::OperatorKeys& keys, Slot slot);
    // Its active blocks above `height`, lowest first.
    Result<std::vector<BlockRef>> BlocksAfter(Height height) const;

  private:
    World& m_world;
    storage::MemoryDisk m_disk;
    std::unique_ptr<chain::ChainManager> m_chain;
};

struct ByzantineOptions {
    std::vector<uint32_t> stakers;    // whose operator keys it holds
    std::vector<size_t> view_peers;   // nodes that its view keeps connections to
    std::vector<size_t> voice_peers;  // nodes that its voice keeps connections to
};

class Strategy {
  public:
    virtual ~Strategy() = default;
    virtual void OnStart(Byzantine&) {}
    // At the start of each slot of the right clock.
    virtual void OnSlot(Byzantine&, Slot) {}
    // The view's tip moved.
    virtual void OnTip(Byzantine&, const chain::TipChange&) {}
    // Of the voice.
    virtual void OnPeerReady(Byzantine&, PeerId) {}
    virtual void OnPeerGone(Byzantine&, PeerId, const std::string& /*reason*/) {}
    // True: answered. Otherwise the voice gives the blocks of Byzantine::Offer, and says that it has no headers.
    virtual bool OnMessage(Byzantine&, PeerId, p2p::MessageType, ByteSpan) { return false; }
};

class Byzantine final : private node::ChainListener, private p2p::PeerEvents {
  public:
    // By World::Add.
    Byzantine(World& world, VirtualNode& view, p2p::Endpoint voice_address, uint64_t seed, ByzantineOptions options,
              std::unique_ptr<Strategy> strategy);
    ~Byzantine() override;

    World& world() { return m_world; }
    VirtualNode& view() { return m_view; }
    Strategy& strategy() { return *m_strategy; }
    const std::vector<consensus::OperatorKeys>& keys() const { return m_keys; }
    SeededRandom& random() { return m_random; }
    std::unique_ptr<PrivateChain> MakePrivateChain() {
        return std::make_unique<PrivateChain>(m_world, m_random.Uint64());
    }
    // Hands blocks to the view, in order: it connects, announces and serves them as any node does. False if one was not
    // taken.
    bool Publish(const std::vector<BlockRef>& blocks);
    // Calls `task` later.
    void After(milliseconds delay, std::function<void()> task);

    // The voice.
    p2p::PeerManager& voice() { return *m_voice; }
    // Ready connections of the voice, by id.
    std::vector<PeerId> VoicePeers() const;
    // The voice's connection to an honest node, if there is one.
    std::optional<PeerId> VoiceTo(size_t node) const;
    // False if the peer is gone or its queue is full.
    bool Send(PeerId peer, p2p::MessageType type, Bytes payload) {
        return m_voice->Send(peer, type, std::move(payload));
    }
    bool SendHeaders(PeerId peer, std::vector<BlockHeader> headers);
    bool SendBlock(PeerId peer, const Block& block) { return Send(peer, p2p::MessageType::kBlock, block.ToBytes()); }
    // Blocks that the voice gives to whoever asks for them.
    void Offer(const BlockRef& block) { m_offered[block->header.Hash()] = block; }

  private:
    void OnTipChanged(const chain::TipChange& change) override { m_strategy->OnTip(*this, change); }
    void OnTransactionAccepted(const TransactionRef&) override {}
    void OnTransactionRemoved(const chain::RemovedTransaction&) override {}
    void OnPeerReady(PeerId peer, const p2p::PeerInfo&) override { m_strategy->OnPeerReady(*this, peer); }
    void OnPeerGone(PeerId peer, const std::string& reason) override { m_strategy->OnPeerGone(*this, peer, reason); }
    void OnMessage(PeerId peer, p2p::MessageType type, ByteSpan payload) override;
    void OnChunksDrained(PeerId) override {}
    void Serve(PeerId peer, p2p::MessageType type, ByteSpan payload);
    void TickVoice();
    void TickSlot();

    World& m_world;
    VirtualNode& m_view;
    SeededRandom m_random;
    const EventQueue::Owner m_owner;
    std::vector<consensus::OperatorKeys> m_keys;
    std::unique_ptr<Strategy> m_strategy;
    std::map<BlockHash, BlockRef> m_offered;
    VirtualNetwork m_network;
    std::unique_ptr<p2p::PeerManager> m_voice;
};

// The smallest strategy, and an example: keeps every block that it wins to itself for `delay`, then publishes it.
class LatePublisher final : public Strategy {
  public:
    explicit LatePublisher(milliseconds delay) : m_delay(delay) {}
    void OnStart(Byzantine& byzantine) override;
    void OnSlot(Byzantine& byzantine, Slot slot) override;
    uint64_t made() const { return m_made; }
    uint64_t taken() const { return m_taken; }  // by its own view, which may have a better chain by then

  private:
    milliseconds m_delay;
    std::unique_ptr<PrivateChain> m_chain;
    uint64_t m_made{0};
    uint64_t m_taken{0};
};

}  // namespace sluice::sim
