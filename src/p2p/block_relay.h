#pragma once

#include <deque>
#include <map>
#include <set>

#include "p2p/bounded_set.h"
#include "p2p/sync.h"
#include "p2p/token_bucket.h"

namespace sluice::p2p {

// The headers (header_relay.cpp) and blocks (block_relay.cpp) of Sync, which describes them.
class BlockRelay {
  public:
    BlockRelay(const SyncView& view, std::vector<SyncAction>& actions) : m_view(view), m_actions(actions) {}

    void OnPeerReady(PeerId peer, Height best_height, Instant now);
    void OnPeerGone(PeerId peer, Instant now);
    void OnGetHeaders(PeerId peer, ByteSpan payload, Instant now);
    void OnHeaders(PeerId peer, ByteSpan payload, Instant now);
    void OnFreshBlock(PeerId peer, ByteSpan payload, Instant now);
    void OnGetBlocks(PeerId peer, ByteSpan payload, Instant now);
    void OnBlock(PeerId peer, ByteSpan payload, Instant now);
    void OnBlockNotFound(PeerId peer, ByteSpan payload, Instant now);
    void OnHeadersResult(PeerId peer, const HeadersResult& result, Instant now);
    void OnBlockResult(PeerId peer, const BlockHash& hash, BlockOutcome outcome, const std::string& reason,
                       Instant now);
    void OnBlockServed(PeerId peer, size_t bytes, Instant now);
    void OnTipChanged(const std::vector<BlockHeader>& announce, const Block* newest, Instant now);
    void Tick(Instant now);
    Instant NextWakeup() const;
    bool Busy() const;
    size_t InFlight() const { return m_requests.size(); }
    size_t HeadersHeld() const;

  private:
    // Headers in the node's hands: those of a message that we did not have.
    struct Batch {
        std::vector<BlockHash> hashes;
        std::vector<BlockHeader> news;  // the same, if they are few enough to be an announcement
        Height last_height;
        Height best_before;  // of our headers
        bool full{false};    // the peer has more
        Bytes fresh_block;   // the block of the only header, if it came with it
    };
    struct EarlyHeader {
        BlockHeader header;
        Instant release_at;
    };
    struct AnnouncedTip {
        BlockHash hash;
        Height height;
    };
    struct Peer {
        Peer(Height height, Instant now)
            : best_height(height),
              header_work(Sync::kHeaderWorkPerSecond, Sync::kHeaderWorkBurst, now),
              served(Sync::kServeBytesPerSecond, Sync::kServeBytesBurst, now) {}
        Height best_height;                       // claimed at first, later of headers it sent
        std::optional<Instant> headers_deadline;  // a GetHeaders is under way
        std::optional<Batch> batch;
        bool synced{false};                    // has no headers for us that we do not have
        bool waits_for_bodies{false};          // its headers go on beyond the horizon
        std::optional<BlockHash> horizon;      // whose body is waited for then
        bool ask_again{false};                 // said something while a batch was in the node's hands
        std::optional<Instant> ask_at;         // when the clock lets us ask again; not before, unless it says more
        std::optional<BlockHash> last_common;  // the newest header of its branch that we have
        std::optional<AnnouncedTip> tip;       // announced, and not here yet
        Instant next_unknown{};                // not to be asked for another unknown parent before then
        seconds unknown_delay{1};              // grows with each answer that holds nothing new
        size_t repeats{0};                     // full messages in a row that held nothing new
        std::vector<EarlyHeader> early;        // at most Sync::kMaxEarlyPerPeer
        TokenBucket header_work;
        Instant led_at{Instant::min()};      // when it was the leader last
        BoundedSet<BlockHash> has{1024};     // headers that it sent: it has their blocks, or will soon
        BoundedSet<BlockHash> told{64};      // headers that it has of us
        std::map<BlockHash, Instant> lacks;  // blocks not to ask it for before then
        size_t in_flight{0};
        size_t timeouts{0};  // since its last block
        size_t late{0};      // fresh blocks in a row that it did not give in time
        // What it asked us for.
        std::optional<GetHeaders> question;  // the newest, while it has no tokens
        std::deque<BlockHash> to_serve;
        bool serving{false};                   // one is in the node's hands
        std::map<BlockHash, Instant> awaited;  // blocks that we are fetching; not found from then on
        TokenBucket served;
    };
    struct Request {
        PeerId peer;
        Instant asked_at;
        Instant deadline;
        WantedBlock block;
        bool fresh{false};
    };

    void Send(PeerId peer, MessageType type, Bytes payload) {
        m_actions.push_back(SendAction{peer, type, std::move(payload)});
    }
    void Misbehaving(PeerId peer, std::string reason) {
        m_actions.push_back(MisbehavingAction{peer, std::move(reason)});
    }
    void Disconnect(PeerId peer, std::string reason) { m_actions.push_back(DisconnectAction{peer, std::move(reason)}); }
    Peer* Find(PeerId peer);
    bool IsFresh(Slot slot) const;

    // header_relay.cpp
    void AnswerHeaders(PeerId id, Peer& peer, const GetHeaders& question, Instant now);
    static bool MayBeAsked(const Peer& peer) { return !peer.headers_deadline && !peer.batch; }
    void AskHeaders(PeerId id, Peer& peer, Instant now);
    void AskNext(Instant now);
    static bool LeadsBefore(const Peer& a, const Peer& b);
    void ChooseLeader(Instant now);
    void Synced(PeerId id, Peer& peer, Instant now);
    void OnUnconnected(PeerId id, Peer& peer, const std::vector<BlockHeader>& headers, Instant now);
    void OnKnown(PeerId id, Peer& peer, Height last_height, bool full, Instant now);
    // Drops the headers that are too early, and notes those that will be held; false if any was dropped.
    bool SortOutEarly(Peer& peer, std::vector<BlockHeader>& headers, Instant now);
    void Continue(PeerId id, Peer& peer, bool full, Instant now);
    void Charge(Peer& peer, const Batch& batch, const HeadersResult& result, Instant now);
    void TakeHeaders(PeerId id, Peer& peer, std::vector<BlockHeader> headers, ByteSpan fresh_block, Instant now);
    // Tells the headers to everyone who may not have them; with the last one goes its block, if there is one here.
    void Announce(std::span<const BlockHeader> headers, ByteSpan fresh_block, Instant now);
    void RelayFresh(const Batch& batch, size_t accepted, Instant now);
    void TakeFreshBlock(PeerId id, const Batch& batch, Instant now);
    void ReleaseEarly(Instant now);
    void AskWaiting(Instant now);
    void TickHeaders(Instant now);
    Instant NextHeaderWakeup() const;

    // block_relay.cpp
    void DropRequest(const BlockHash& hash);
    void Lacks(Peer& peer, const BlockHash& hash, Instant now);
    void AssignBlocks(Instant now);
    void Ask(PeerId id, const WantedBlock& block, Instant now, std::map<PeerId, BlockHashes>& asked);
    std::optional<PeerId> ChoosePeer(const WantedBlock& block, Instant now);
    void ServeNext(PeerId id, Peer& peer, Instant now);
    void HandOn(const Block& block, const BlockHash& hash, ByteSpan payload, Instant now);
    static bool BodyBelongs(const Block& block);
    void EndAwaiting(const BlockHash& hash, Instant now);
    void TickRequests(Instant now);
    void TickServing(Instant now);

    const SyncView& m_view;
    std::vector<SyncAction>& m_actions;
    std::map<PeerId, Peer> m_peers;
    std::optional<PeerId> m_leader;  // the peer that headers are fetched from while we are behind
    Instant m_leader_until{};        // it has to give something new before then
    Instant m_turn_until{};          // then another one leads
    bool m_caught_up{false};         // a leader had no more, or gave nothing new: now every peer is asked
    std::map<BlockHash, Request> m_requests;
    std::set<BlockHash> m_processing;   // blocks in the node's hands
    std::optional<Instant> m_retry_at;  // blocks are wanted that nobody may be asked for
};

}  // namespace sluice::p2p
