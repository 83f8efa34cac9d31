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
    Slot slot;
};

// What Sync asks of the chain and the mempool. Read on the executor that Sync belongs to.
class SyncView {
  public:
    virtual ~SyncView() = default;
    virtual Height BestHeaderHeight() const = 0;
    virtual BlockHash BestHeader() const = 0;
    // How long until `slot` begins by our clock; zero or less once it has. What is over an hour may be told as an hour.
    virtual milliseconds UntilSlot(Slot slot) const = 0;
    // From the best header down, newest first, at most kMaxLocatorHashes.
    virtual std::vector<BlockHash> Locator() const = 0;
    // True for every ancestor of a header for which it is true.
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
    // How many transactions of the mempool are applied again to check this one before its signatures are looked at:
    // all, if it would replace one of them; 0 if it would not.
    virtual size_t ReplayedBy(const Transaction& transaction) const = 0;
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
// Send the block to the peer as kBlock, or kBlockNotFound; then OnBlockServed.
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
    kNotWanted,      // the first `accepted` are stored; the rest is not followed (forks too deep, stands on a block
                     // that proved invalid, one of too many of its slot), by nobody's fault
    kInvalid,        // header `accepted` breaks a rule
};
struct HeadersResult {
    HeadersOutcome outcome{HeadersOutcome::kAccepted};
    size_t accepted{0};
    std::string reason;  // kInvalid
    // What it cost: made for the accepted headers and for the one that stopped the batch.
    size_t signature_checks{0};
    size_t vrf_checks{0};
};

enum class BlockOutcome {
    kAccepted,     // stored, and connected if its time has come
    kMutatedBody,  // this copy does not belong to its header: another peer has the right one
    kInvalid,      // breaks a rule. The fault is of the staker that signed its header, not of the peer, which may pass
                   // blocks on before it has validated them
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
// Headers first: one peer at a time is asked while we are behind, each for at most kLeaderTurn [a long bad branch that
// is fed first]; all others when it has no more, or when it has led for kLeaderPatience without giving anything new [a
// peer that keeps a fresh node from all others]. What height a peer claims decides only who is asked first: every peer
// is asked, for a shorter branch may be the better one. A batch that ends at the sync horizon is asked for again when
// the bodies inside are stored; beyond the horizon each peer's tip is remembered, one hash. Headers of slots to come:
// up to kEarlyTolerance and kMaxEarlyPerPeer a peer are verified and then held, neither passed on nor their bodies
// asked for, until the clock is there; others are dropped without blame. Checks of headers cost tokens
// (kHeaderWork...), except those that lengthened our best branch, which pay for themselves. A peer without tokens is
// asked again when it has some, and what it says before then is dropped.
//
// Blocks: up to 16 requests a peer, the rarest resource being order, so lowest first and each to the least busy peer
// that has it; another is asked after kBlockTimeout. A fresh header is told to the peers as soon as it is checked, and
// a fresh body is handed to those who have asked for it as soon as its merkle roots are [validation at every hop]; a
// fresh body is asked of its first announcer and after kFreshBlockTimeout of another one. A block of at most
// kMaxFreshBlockBytes goes with its header to those of whom we know that they have its parent: its header is checked
// as ever, and its body taken if it is one that would be asked for now. Serving blocks costs the
// tokens of kServeBytes.... Transactions are announced by wtxid; another announcer is asked after kTransactionTimeout.
// Replacements cost the tokens of kReplay....
class Sync {
  public:
    static constexpr size_t kMaxBlocksInFlightPerPeer = 16;
    static constexpr size_t kMaxBlocksInFlight = 128;  // asked for or being processed
    static constexpr seconds kHeadersTimeout{20};
    static constexpr seconds kLeaderPatience{60};
    static constexpr seconds kLeaderTurn{60};
    static constexpr seconds kBlockTimeout{10};
    static constexpr seconds kFreshBlockTimeout{2};
    static constexpr seconds kFreshFor{120};    // a block is fresh until so long after its slot began
    static constexpr size_t kMaxLateFresh = 5;  // in a row; a peer that announces and never gives is left
    static constexpr seconds kTransactionTimeout{2};
    static constexpr milliseconds kAnnounceInterval{100};  // transactions that come within it are announced together
    static constexpr size_t kMaxAnnouncedHeaders = 8;
    static constexpr seconds kEarlyTolerance{2};
    static constexpr size_t kMaxEarlyPerPeer = 8;
    // Units of the work on headers, each about 45 µs of a core: a BIP340 check is 1, the threshold and VRF check 3.
    static constexpr int64_t kSignatureWork = 1;
    static constexpr int64_t kVrfWork = 3;
    static constexpr int64_t kHeaderWork = kSignatureWork + kVrfWork;
    static constexpr int64_t kHeaderWorkPerSecond = 4'000;  // refill of each peer: less than a fifth of a core
    static constexpr int64_t kHeaderWorkBurst = 4'000 * kHeaderWork;  // a fork of 3k headers and more at once
    // Blocks and headers given to a peer, in bytes read and sent; each request costs kLookupBytes more, found or not.
    // Those over the budget wait: blocks in a bounded queue, of the requests for headers the newest.
    static constexpr int64_t kServeBytesPerSecond = 8 << 20;
    static constexpr int64_t kServeBytesBurst = 16 << 20;
    static constexpr int64_t kLookupBytes = 4096;
    static constexpr size_t kMaxBlocksToServe = 32;  // a peer; those over it are told not to be found
    static constexpr seconds kAwaitedFor{8};         // a block that we are fetching ourselves: then it is not found
    // Mempool transactions applied again for replacements, which takes about 5 µs each.
    static constexpr int64_t kReplayPerSecond = 2'000;  // of each peer
    static constexpr int64_t kReplayBurst = 40'000;
    static constexpr int64_t kReplayPerSecondOfAll = 20'000;
    static constexpr int64_t kReplayBurstOfAll = 200'000;
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
    // `bytes` of the block were sent; 0 if it was not found.
    void OnBlockServed(PeerId peer, size_t bytes, Instant now);

    // The connected tip moved. `announce`: the newest headers of the new branch, oldest first (at most the last
    // kMaxAnnouncedHeaders are told); empty while catching up. Call it for blocks of our own too. `newest`: the last
    // one's block, if it is at hand.
    void OnTipChanged(const std::vector<BlockHeader>& announce, Instant now, const Block* newest = nullptr);
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
    // Headers kept here for all peers: in the node's hands, or held because they are early. At most
    // kMaxHeadersPerMessage + kMaxEarlyPerPeer for each peer.
    size_t HeadersHeld() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace sluice::p2p
