#pragma once

#include <map>
#include <set>

#include "p2p/bounded_set.h"
#include "p2p/sync.h"

namespace sluice::p2p {

// The headers and blocks of Sync, which describes it.
class BlockRelay {
  public:
    BlockRelay(const SyncView& view, std::vector<SyncAction>& actions) : m_view(view), m_actions(actions) {}

    void OnPeerReady(PeerId peer, Height best_height, Instant now);
    void OnPeerGone(PeerId peer, Instant now);
    void OnGetHeaders(PeerId peer, ByteSpan payload);
    void OnHeaders(PeerId peer, ByteSpan payload, Instant now);
    void OnGetBlocks(PeerId peer, ByteSpan payload);
    void OnBlock(PeerId peer, ByteSpan payload);
    void OnBlockNotFound(PeerId peer, ByteSpan payload, Instant now);
    void OnHeadersResult(PeerId peer, const HeadersResult& result, Instant now);
    void OnBlockResult(PeerId peer, const BlockHash& hash, BlockOutcome outcome, const std::string& reason,
                       Instant now);
    void OnTipChanged(const std::vector<BlockHeader>& announce, Instant now);
    void Tick(Instant now);
    Instant NextWakeup() const;
    bool Busy() const;
    size_t InFlight() const { return m_requests.size(); }

  private:
    // A batch of headers in the node's hands.
    struct Batch {
        std::vector<BlockHash> hashes;
        Height last_height;
        bool full{false};
    };
    struct Peer {
        explicit Peer(Height height) : best_height(height) {}
        Height best_height;                       // claimed at first, later of headers it sent
        std::optional<Instant> headers_deadline;  // a GetHeaders is under way
        std::optional<Batch> batch;
        bool synced{false};                  // has no headers for us that we do not have
        bool waits_for_bodies{false};        // its headers go on beyond the horizon
        bool ask_again{false};               // said something while a batch was in the node's hands
        std::optional<Instant> ask_at;       // premature headers
        BoundedSet<BlockHash> known{1024};   // headers it has
        std::map<BlockHash, Instant> lacks;  // blocks not to ask it for before then
        size_t in_flight{0};
        size_t timeouts{0};  // since its last block
    };
    struct Request {
        PeerId peer;
        Instant deadline;
    };

    void Send(PeerId peer, MessageType type, Bytes payload) {
        m_actions.push_back(SendAction{peer, type, std::move(payload)});
    }
    void Misbehaving(PeerId peer, std::string reason) {
        m_actions.push_back(MisbehavingAction{peer, std::move(reason)});
    }
    Peer* Find(PeerId peer);
    void AskHeaders(PeerId id, Peer& peer, Instant now, std::optional<BlockHash> after = std::nullopt);
    void AskNext(Instant now);
    void Synced(PeerId id, Peer& peer, Instant now);
    void OnUnconnected(PeerId id, Peer& peer, const std::vector<BlockHeader>& headers, Instant now);
    void Continue(PeerId id, Peer& peer, const Batch& batch, Instant now);
    void DropRequest(const BlockHash& hash);
    void Lacks(Peer& peer, const BlockHash& hash, Instant now);
    void AssignBlocks(Instant now);
    std::optional<PeerId> ChoosePeer(const WantedBlock& block, Instant now);

    const SyncView& m_view;
    std::vector<SyncAction>& m_actions;
    std::map<PeerId, Peer> m_peers;
    std::optional<PeerId> m_leader;  // the peer that headers are fetched from while we are behind
    Instant m_leader_until{};        // it has to give something new before then
    bool m_caught_up{false};         // a leader had no more, or gave nothing new: now every peer is asked
    std::map<BlockHash, Request> m_requests;
    std::set<BlockHash> m_processing;   // blocks in the node's hands
    std::optional<Instant> m_retry_at;  // blocks are wanted that nobody may be asked for
};

}  // namespace sluice::p2p
