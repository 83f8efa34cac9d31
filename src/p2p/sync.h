#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "p2p/message.h"
#include "util/clock.h"

// Getting and passing on headers, blocks and transactions: which peer is asked for what, and what is told to whom.

namespace sluice::p2p {

struct WantedBlock {
    BlockHash hash;
    Height height;
};

// What Sync asks of the chain and the mempool. Read on the executor that Sync belongs to.
class SyncView {
  public:
    virtual ~SyncView() = default;
    virtual Height BestHeaderHeight() const = 0;
    // From the best header down, newest first, at most kMaxLocatorHashes.
    virtual std::vector<BlockHash> Locator() const = 0;
    virtual bool HaveHeader(const BlockHash& hash) const = 0;
    virtual bool HaveBlock(const BlockHash& hash) const = 0;
    // The first `limit` blocks after the connected tip, on the branches worth having, whose headers are valid and whose
    // bodies are missing; lowest first.
    virtual std::vector<WantedBlock> BlocksWanted(size_t limit) const = 0;
    // The answer to GetHeaders: from our best chain of connected blocks.
    virtual std::vector<BlockHeader> HeadersAfter(const std::vector<BlockHash>& locator, const BlockHash& stop,
                                                  size_t limit) const = 0;
    virtual bool HaveTransaction(const Wtxid& wtxid) const = 0;
    // From the mempool; null if it is not there.
    virtual TransactionRef FindTransaction(const Wtxid& wtxid) const = 0;
    virtual TransactionRef FindTransaction(const Txid& txid) const = 0;
};

// What Sync wants done, in order.
struct SendAction {
    PeerId peer;
    MessageType type;
    Bytes payload;
};
// Check and store these consecutive headers, whose first one's parent we have; then OnHeadersResult.
struct ProcessHeadersAction {
    PeerId peer;
    std::vector<BlockHeader> headers;
};
// A block that was asked for, with a header we have; then OnBlockResult.
struct ProcessBlockAction {
    PeerId peer;
    BlockHash hash;
    BlockRef block;
};
// Then OnTransactionResult.
struct ProcessTransactionAction {
    PeerId peer;
    TransactionRef transaction;
};
// Send the block to the peer as kBlock, or kBlockNotFound.
struct ServeBlockAction {
    PeerId peer;
    BlockHash hash;
};
struct MisbehavingAction {
    PeerId peer;
    std::string reason;
};
struct DisconnectAction {
    PeerId peer;
    std::string reason;
};
using SyncAction = std::variant<SendAction, ProcessHeadersAction, ProcessBlockAction, ProcessTransactionAction,
                                ServeBlockAction, MisbehavingAction, DisconnectAction>;

enum class HeadersOutcome {
    kAccepted,       // all are stored, or were known
    kBeyondHorizon,  // the first `accepted` are stored; the rest cannot be checked before more blocks are connected
    kPremature,      // the first `accepted` are stored; the rest lie in the future, by nobody's fault
    kNotWanted,      // the first `accepted` are stored; the rest is not followed, by nobody's fault
    kInvalid,        // header `accepted` breaks a rule
};
struct HeadersResult {
    HeadersOutcome outcome{HeadersOutcome::kAccepted};
    size_t accepted{0};
    std::string reason;  // kInvalid
};

enum class BlockOutcome {
    kAccepted,     // stored, and connected if its time has come
    kMutatedBody,  // this copy does not belong to its header: another peer has the right one
    kInvalid,      // breaks a rule
    kFailed,       // by no fault of the peer
};

enum class TransactionOutcome {
    kAccepted,
    kMissingParents,  // spends outputs of transactions that we do not have
    kRejected,        // not relayed by us; remembered until the tip changes
    kInvalid,         // breaks a consensus rule for ever: the peer is at fault
};
struct TransactionResult {
    TransactionOutcome outcome{TransactionOutcome::kAccepted};
    std::vector<Txid> missing_parents;
    std::string reason;
};

// Pure state machine of header, block and transaction relay: peers' messages and the node's results in, actions out
// (TakeActions, after every call). No chain, socket or clock inside. Not thread-safe; belongs to the executor on which
// its view may be read.
//
// Headers first: one peer at a time is asked while we are behind, all others when it has no more, or when it has led
// for kLeaderPatience without giving anything new [a peer that keeps a fresh node from all others]. A batch that ends
// at the sync horizon is asked for again when the bodies inside are connected. Blocks: up to 16 requests a peer, the
// rarest resource being order, so lowest first and each to the least busy peer that has it; another is asked after
// kBlockTimeout. New tips are announced by their headers, transactions by wtxid; another announcer is asked after
// kTransactionTimeout.
class Sync {
  public:
    static constexpr size_t kMaxBlocksInFlightPerPeer = 16;
    static constexpr size_t kMaxBlocksInFlight = 128;  // asked for or being processed
    static constexpr seconds kHeadersTimeout{20};
    static constexpr seconds kLeaderPatience{60};
    static constexpr seconds kBlockTimeout{10};
    static constexpr seconds kTransactionTimeout{2};
    static constexpr milliseconds kAnnounceDelay{100};  // transactions are announced in batches
    static constexpr size_t kMaxAnnouncedHeaders = 8;
    static constexpr size_t kMaxKnownPerPeer = 5'000;     // remembered as known by a peer
    static constexpr size_t kMaxRequestsPerPeer = 2'000;  // announced by a peer and not yet here
    static constexpr size_t kMaxAnnouncersPerTransaction = 8;
    static constexpr size_t kMaxOrphans = 100;
    static constexpr size_t kMaxOrphanBytes = 100'000;  // a larger orphan is dropped
    static constexpr seconds kOrphanLifetime{300};
    static constexpr size_t kMaxRejects = 10'000;

    explicit Sync(const SyncView& view);
    ~Sync();

    void OnPeerReady(PeerId peer, Height best_height, Instant now);
    void OnPeerGone(PeerId peer, Instant now);
    // False if the message is of a type that is not Sync's.
    bool OnMessage(PeerId peer, MessageType type, ByteSpan payload, Instant now);

    void OnHeadersResult(PeerId peer, const HeadersResult& result, Instant now);
    void OnBlockResult(PeerId peer, const BlockHash& hash, BlockOutcome outcome, const std::string& reason,
                       Instant now);
    void OnTransactionResult(PeerId peer, const TransactionRef& transaction, const TransactionResult& result,
                             Instant now);

    // The connected tip moved. `announce`: the newest headers of the new branch, oldest first (at most the last
    // kMaxAnnouncedHeaders are told); empty while catching up. Call it for blocks of our own too.
    void OnTipChanged(const std::vector<BlockHeader>& announce, Instant now);
    // A transaction entered the mempool by another way (our wallet, a reorg): tell the peers.
    void AnnounceTransaction(const TransactionRef& transaction, Instant now);
    // The same for one peer: what waits in the mempool when it connects.
    void AnnounceTo(PeerId peer, const TransactionRef& transaction, Instant now);

    void Tick(Instant now);
    // nullopt: only an event can change anything.
    std::optional<Instant> NextWakeup() const;
    std::vector<SyncAction> TakeActions();

    // Whether headers are still being fetched or blocks are on their way.
    bool Busy() const;
    size_t BlocksInFlight() const;
    size_t OrphanCount() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace sluice::p2p
