#pragma once

#include <deque>
#include <map>
#include <set>

#include "p2p/bounded_set.h"
#include "p2p/orphan_pool.h"
#include "p2p/sync.h"
#include "p2p/token_bucket.h"

namespace sluice::p2p {

// The transactions of Sync, which describes it. Everything is keyed by wtxid, so that a copy with other witnesses
// censors nothing.
class TransactionRelay {
  public:
    static constexpr size_t kMaxAskedPerPeer = 200;
    static constexpr size_t kMaxServedBytes = 1 << 20;  // in answer to one request

    TransactionRelay(const SyncView& view, std::vector<SyncAction>& actions) : m_view(view), m_actions(actions) {}

    void OnPeerReady(PeerId peer, Instant now);
    void OnPeerGone(PeerId peer, Instant now);
    void OnInventory(PeerId peer, ByteSpan payload, Instant now);
    void OnGetTransactions(PeerId peer, ByteSpan payload);
    void OnGetParents(PeerId peer, ByteSpan payload);
    void OnTransaction(PeerId peer, ByteSpan payload, Instant now);
    void OnNotFound(PeerId peer, ByteSpan payload, Instant now);
    void OnResult(PeerId peer, const TransactionRef& transaction, const TransactionResult& result, Instant now);
    void OnTipChanged(Instant now);
    void Announce(const Wtxid& wtxid, Instant now);
    void AnnounceTo(PeerId peer, const Wtxid& wtxid, Instant now);
    void Tick(Instant now);
    Instant NextWakeup() const;
    size_t OrphanCount() const { return m_orphans.size(); }

  private:
    struct Peer {
        explicit Peer(Instant now) : replay(Sync::kReplayPerSecond, Sync::kReplayBurst, now) {}
        BoundedSet<Wtxid> known{Sync::kMaxKnownPerPeer};
        std::deque<Wtxid> to_announce;
        size_t announced{0};  // requests that name it as an announcer
        size_t asked{0};      // requests it is asked for
        TokenBucket replay;   // mempool transactions applied again for replacements that it sent
    };
    struct Request {
        std::deque<PeerId> announcers;  // who can be asked, the one that is asked first
        bool asked{false};
        Instant deadline;  // of the one that is asked, or when to try again to ask
    };
    using Requests = std::map<Wtxid, Request>;

    void Send(PeerId peer, MessageType type, Bytes payload) {
        m_actions.push_back(SendAction{peer, type, std::move(payload)});
    }
    void Misbehaving(PeerId peer, std::string reason) {
        m_actions.push_back(MisbehavingAction{peer, std::move(reason)});
    }
    Peer* Find(PeerId peer);
    bool Known(const Wtxid& wtxid) const;
    void Ask(const Wtxid& wtxid, Request& request, Instant now, std::map<PeerId, Wtxids>& asked);
    // Takes the announcer that is first away; the request's end if it was the last.
    Requests::iterator NextAnnouncer(Requests::iterator request, Instant now, std::map<PeerId, Wtxids>& asked);
    void Forget(Requests::iterator request);
    void SendAsked(const std::map<PeerId, Wtxids>& asked);
    void Process(PeerId peer, const TransactionRef& transaction, Instant now);
    // Charges the peer for a replacement; false if it or all peers together have no tokens.
    bool PayReplay(PeerId peer, const Transaction& transaction, Instant now);
    void AddOrphan(PeerId peer, const TransactionRef& transaction, const std::vector<Txid>& missing, Instant now);
    void CheckRequests(Instant now);
    void SendInventories(Instant now);
    bool ServeOne(PeerId peer, const TransactionRef& transaction, size_t& served_bytes);

    const SyncView& m_view;
    std::vector<SyncAction>& m_actions;
    std::map<PeerId, Peer> m_peers;
    Requests m_requests;
    Instant m_check_at{Instant::max()};  // no request's deadline is earlier
    std::map<Txid, Instant> m_parents;   // asked for by txid, until then
    std::set<Wtxid> m_processing;        // in the node's hands
    BoundedSet<Wtxid> m_rejects{Sync::kMaxRejects};
    OrphanPool m_orphans{Sync::kMaxOrphans};
    std::optional<TokenBucket> m_replay;  // of all peers; from the first peer on
    std::optional<Instant> m_announce_at;
    Instant m_may_announce{};  // what comes earlier waits for others
};

}  // namespace sluice::p2p
