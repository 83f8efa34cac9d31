#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "chain/chain_manager.h"
#include "node/environment.h"
#include "node/event_hub.h"
#include "p2p/sync.h"

namespace sluice::node {

// What the chain strand asks of the network strand. Called on the chain strand; returns at once.
class PeerOutlet {
  public:
    virtual ~PeerOutlet() = default;
    virtual void Send(PeerId peer, p2p::MessageType type, Bytes payload) = 0;
    virtual void Misbehaving(PeerId peer, const std::string& reason) = 0;
    virtual void Disconnect(PeerId peer, const std::string& reason) = 0;
    virtual void SetBestHeight(Height height) = 0;
};

// What the chain's verdict on headers means for the peer that sent them: blame for a broken rule alone. Not for a
// header on top of a block that proved invalid, which the peer may not know yet [a body that is given to half of the
// nodes parts them], nor for one that our own checkpoint or operator refuses.
p2p::HeadersResult PeerVerdict(const chain::HeadersResult& result, size_t signature_checks, size_t vrf_checks);

// Who follows the chain. Called on the chain strand, in the order of registration, after the change is on disk.
class ChainListener {
  public:
    virtual ~ChainListener() = default;
    virtual void OnTipChanged(const chain::TipChange& change) = 0;
    virtual void OnTransactionAccepted(const TransactionRef& tx) = 0;
    virtual void OnTransactionRemoved(const chain::RemovedTransaction& removed) = 0;
};

// Joins the chain with its peers: turns messages into headers, blocks and transactions, and tells listeners what
// changed. Everything here belongs to the chain strand.
class ChainService final : private p2p::SyncView {
  public:
    using OnFatal = std::function<void(const Error&)>;

    ChainService(const Environment& environment, std::unique_ptr<chain::ChainManager> chain, PeerOutlet& peers,
                 EventHub& events, OnFatal on_fatal);
    ~ChainService() override;

    void AddListener(ChainListener& listener) { m_listeners.push_back(&listener); }
    chain::ChainManager& chain() { return *m_chain; }
    const chain::ChainManager& chain() const { return *m_chain; }
    const consensus::Params& params() const { return m_chain->params(); }

    // From peers.
    void OnPeerReady(PeerId peer, Height best_height);
    void OnPeerGone(PeerId peer);
    void OnMessage(PeerId peer, p2p::MessageType type, ByteSpan payload);
    void Tick();

    // A transaction of our own or from a front end: into the mempool and to the peers.
    consensus::Verdict<chain::AcceptResult> Submit(const TransactionRef& tx);
    // Into the mempool and no further, or (test_only) only whether it would go.
    consensus::Verdict<chain::AcceptResult> Accept(const TransactionRef& tx, bool test_only = false);
    // A block of our own or from a front end.
    Result<chain::BlockResult> SubmitBlock(const BlockRef& block);
    Result<chain::BlockResult> Invalidate(const BlockHash& hash);
    Result<chain::BlockResult> Reconsider(const BlockHash& hash);
    // Whether the chain is behind and moves on: headers or blocks are being fetched, the tip is old, and it moved, or
    // this began, within kSyncPatience. Rationale: any peer can keep us fetching for ever, but none can thereby stop a
    // staker or a seller.
    bool Syncing() const;
    static constexpr seconds kSyncPatience{60};
    static constexpr uint64_t kRecentBlocks =
        10;  // a tip is not old within the time in which so many blocks are expected

  private:
    Height BestHeaderHeight() const override;
    BlockHash BestHeader() const override { return m_chain->best_header()->hash(); }
    milliseconds UntilSlot(Slot slot) const override;
    std::vector<BlockHash> Locator() const override { return m_chain->Locator(); }
    bool HaveHeader(const BlockHash& hash) const override { return m_chain->FindHeader(hash) != nullptr; }
    bool HaveBlock(const BlockHash& hash) const override;
    std::vector<p2p::WantedBlock> BlocksWanted(size_t limit) const override;
    std::vector<BlockHeader> HeadersAfter(const std::vector<BlockHash>& locator, const BlockHash& stop,
                                          size_t limit) const override;
    bool HaveTransaction(const Wtxid& wtxid) const override;
    TransactionRef FindTransaction(const Wtxid& wtxid) const override;
    TransactionRef FindTransaction(const Txid& txid) const override;
    size_t ReplayedBy(const Transaction& transaction) const override;

    void RunActions();
    std::vector<p2p::SyncAction> TakeActions();
    void Do(const p2p::SendAction& action);
    void Do(const p2p::ProcessHeadersAction& action);
    void Do(const p2p::ProcessBlockAction& action);
    void Do(const p2p::ProcessTransactionAction& action);
    void Do(const p2p::ServeBlockAction& action);
    void Do(const p2p::MisbehavingAction& action);
    void Do(const p2p::DisconnectAction& action);
    p2p::BlockOutcome OutcomeOf(const Result<chain::BlockResult>& result, std::string& reason);
    void Publish(const chain::BlockResult& result);
    void Announce(const chain::TipChange& change);
    void AnnounceReturned(const chain::TipChange& change);
    void Fatal(const Error& error);
    // Ticks when Sync has to be woken, if that is sooner than whoever calls Tick would: a header that is a few
    // milliseconds early must not wait for long at every hop.
    void WakeInTime();

    const Environment& m_environment;
    std::unique_ptr<chain::ChainManager> m_chain;
    PeerOutlet& m_peers;
    EventHub& m_events;
    OnFatal m_on_fatal;
    p2p::Sync m_sync;
    std::vector<p2p::SyncAction> m_not_sends;  // that Announce leaves to RunActions
    std::vector<ChainListener*> m_listeners;
    bool m_running_actions{false};
    std::optional<Instant> m_wakes_at;  // a Tick of our own is posted for then
    std::shared_ptr<std::atomic<bool>> m_alive = std::make_shared<std::atomic<bool>>(true);
    Instant m_moved_at;  // when the tip moved last, at first when this began
};

}  // namespace sluice::node
