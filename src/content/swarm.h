#pragma once

#include <memory>

#include "content/channel.h"
#include "content/chunk_buffers.h"
#include "content/chunk_store.h"
#include "content/credit.h"
#include "content/messages.h"
#include "util/random.h"

// The swarm: fetches content from peers, serves it to peers, and keeps the money of both straight. A pure state machine
// on the network strand: inputs are calls, outputs are actions (TakeActions), time is an argument. It never blocks and
// never hashes bulk bytes.
//
// Contract with its owner, after every input: take the actions and do each. Bytes in actions are moved out.
//   - SendControl and SendLeaf go to p2p as they are (kContentControl, kContentChunk).
//   - ReadChunk, ReadHashes, ReadLeafHashes, VerifyAndStore, StoreHashes run on workers in any order; each is answered
//   by its On... call.
//   - PersistVoucher is answered by OnVoucherPersisted once it is on disk; no chunk that it would pay for leaves
//   before.
// What a peer can do: every message is bounded, every queue per peer too. A peer at fault is named once (PeerFault) and
// ignored from then on.

namespace sluice::content {

using NodeId = crypto::X25519PublicKey;

struct DownloadLimits {
    Amount max_price_per_mib;              // 0: free peers only
    Amount budget;                         // the most that is locked in channels and paid, in all
    uint64_t target_bytes_per_s{4 << 20};  // dearer peers are used when cheaper ones give less
};

// kOnDemand: only what Want and SetDeadlines name is fetched, and the download ends when it is stopped or everything is
// here.
enum class DownloadMode : uint8_t { kWhole, kOnDemand };

// ---- actions
// -------------------------------------------------------------------------------------------------------------------------
struct SendControl {
    PeerId peer;
    Bytes payload;
};
// The payload is `head`, then `bytes` bytes of the chunk from `offset` on, which need not be copied.
struct SendLeaf {
    PeerId peer;
    Bytes head;
    std::shared_ptr<const Bytes> chunk;
    size_t offset{0};
    size_t bytes{0};
};
// Read a whole chunk, as it is: OnChunkRead.
struct ReadChunk {
    uint64_t request{0};
    ContentId content;
    ChunkIndex chunk;
};
// StoredContent::ProofOf: OnHashesRead.
struct ReadHashes {
    uint64_t request{0};
    ContentId content;
    HashSpan span;
};
// StoredContent::ReadLeafHashes: OnLeafHashesRead.
struct ReadLeafHashes {
    uint64_t request{0};
    ContentId content;
    ChunkIndex chunk;
};
// Run VerifyChunk, and if the bytes are the chunk StoredContent::AddVerified: OnChunkVerified.
struct VerifyAndStore {
    ProvenHash proven;
    std::shared_ptr<const Bytes> bytes;  // the swarm keeps the good leaves if some are bad
};
// StoredContent::AddHashes (the proof is verified already): OnHashesStored.
struct StoreHashes {
    ContentId content;
    HashSpan span;
    HashProof proof;
};
// Open channels to these peers, all in one transaction, and call OnChannelReady for each (or OnChannelsFailed).
struct ChannelWanted {
    PeerId peer;
    NodeId payee_node;
    XOnlyPubKey payee_key;
    ChannelSalt salt;
    Amount ask_per_mib;
    Amount first_voucher;
    Amount capacity;
    uint32_t min_window_blocks{0};
};
struct WantChannels {
    ContentId content;
    Amount max_fees;  // of the opening, burn included
    std::vector<ChannelWanted> channels;
};
// Look the opening up (mempool, chain): OnChannelKnown. From then on OnChannelConfirmed as it gets deeper,
// OnChannelSpent when it is spent.
struct CheckChannel {
    PeerId peer;
    ChannelLock lock;
};
struct PersistVoucher {
    PayeeChannel channel;
};
// Keep the payer's side of a channel durably: a payer that forgot what it received owes a debt that it does not know
// of.
struct SavePayerChannel {
    PayerChannel channel;
};
// What was paid for one content by one payer since the last such action: for the accounts.
struct EarnedShare {
    ContentId content;
    NodeId payer;
    uint64_t bytes{0};
    Meter value;
};
struct RecordEarnings {
    std::vector<EarnedShare> shares;
};
// What is known of payers, to be remembered over restarts.
struct SavePayerHistory {
    std::vector<PayerHistory> changed;
};
struct PeerFault {
    PeerId peer;
    std::string reason;
};
struct DownloadFinished {
    ContentId content;
    Amount paid;  // for chunks
    Amount fees;  // of opening channels
};
struct DownloadFailed {
    ContentId content;
    Error error;
};
struct DownloadProgress {
    ContentId content;
    uint64_t stored_bytes{0};
    uint64_t total_bytes{0};
    uint64_t wanted_bytes{0};         // all of it, or on demand what was named; reported at once when it is all stored
    uint64_t wanted_stored_bytes{0};  // of those
    Amount paid;
    Amount fees;          // of opening channels
    Amount cost_at_most;  // in all, if the rest is bought of those asked; 0: no peer is known
    uint64_t bytes_per_s{0};
    uint32_t peers{0};        // that are asked for chunks
    uint32_t providers{0};    // that have some of it
    std::string waiting_for;  // "" or what holds it up, for people
};
using SwarmAction =
    std::variant<SendControl, SendLeaf, ReadChunk, ReadHashes, ReadLeafHashes, VerifyAndStore, StoreHashes,
                 WantChannels, CheckChannel, PersistVoucher, SavePayerChannel, RecordEarnings, SavePayerHistory,
                 PeerFault, DownloadFinished, DownloadFailed, DownloadProgress>;

// What became of a VerifyAndStore.
struct ChunkOutcome {
    bool stored{false};  // else the bytes are not the chunk
    std::vector<Hash256> leaf_hashes;
};

struct SwarmConfig {
    consensus::Params params;
    BlockHash genesis;
    NodeId node_id;                           // ours
    SecretBytes<32> payee_seed;               // channel keys of our own earning side
    Amount fee_per_kvb{1'000};                // what settling is expected to cost, at least
    std::optional<Amount> min_price_per_mib;  // haggling never goes below it
    CreditLimits credit;
    // Handed to p2p and not drained, for each peer: the most, for one that drains fast. Less for a slow one, so that
    // what is urgent waits behind no more than about kQueueTime (swarm_state.h) of bytes.
    uint64_t max_queued_bytes{2 << 20};
    size_t free_upload_slots{8};  // peers that take chunks without paying, at once
    bool sends_vouchers{true};    // false: a thief, to test payees with
};

class Swarm {
  public:
    Swarm(SwarmConfig config, RandomSource& random);
    ~Swarm();

    std::vector<SwarmAction> TakeActions();

    // ---- peers
    void OnPeerConnected(PeerId peer, const NodeId& node, AddressGroup group, Instant now);
    void OnPeerGone(PeerId peer, Instant now);
    void OnMessage(PeerId peer, ByteSpan payload, Instant now);
    // What of our chunk-class bytes p2p still holds for this peer.
    void OnPeerDrained(PeerId peer, uint64_t queued_bytes, Instant now);

    // ---- what we serve
    // Again with another ask or set: it replaces. `floor_per_mib`: haggling does not go below it (none: the
    // configuration's, or the ask if that has none). A raised ask holds for peers that were told the old one after
    // kQuoteLife.
    void AddContent(const ContentId& content, const ChunkSet& have, Amount ask_per_mib,
                    std::optional<Amount> floor_per_mib = {});
    void RemoveContent(const ContentId& content);
    // What is asked for it per MiB; nullopt if it is not served.
    std::optional<Amount> PriceOf(const ContentId& content) const;
    // `chunk` is not null if it was read.
    void OnChunkRead(uint64_t request, Result<std::shared_ptr<const Bytes>> chunk, Instant now);
    void OnHashesRead(uint64_t request, std::optional<HashProof> proof, Instant now);
    void OnLeafHashesRead(uint64_t request, Result<std::vector<Hash256>> hashes, Instant now);

    // ---- what we fetch (served as well from then on, at `ask_per_mib` unless it is served already)
    Status StartDownload(const ContentId& content, const ChunkSet& have, const DownloadLimits& limits,
                         Amount ask_per_mib, Instant now, DownloadMode mode = DownloadMode::kWhole);
    void StopDownload(const ContentId& content, Instant now);  // pause: start again with the set stored so far
    void SetMode(const ContentId& content, DownloadMode mode, Instant now);
    void SetLimits(const ContentId& content, const DownloadLimits& limits, Instant now);
    // These chunks, `first` to `last` and both included, are wanted in whatever mode: a file of a folder, a segment.
    void Want(const ContentId& content, ChunkIndex first, ChunkIndex last, Instant now);
    // Streaming: these chunks before all others, in this order, at most ChunkPicker::kMaxUrgent; in place of those
    // given before. Acted upon at once: they overtake what peers were asked for, and those that a slow peer has are
    // moved to a faster one. Chunks that are here already may be among them.
    void SetDeadlines(const ContentId& content, const std::vector<ChunkIndex>& soonest_first, Instant now);
    void OnHashesStored(const ContentId& content, const HashSpan& span, const Status& status, Instant now);
    // An error is one of storing it, and ends the download.
    void OnChunkVerified(const ContentId& content, ChunkIndex chunk, Result<ChunkOutcome> outcome, Instant now);
    std::optional<DownloadProgress> ProgressOf(const ContentId& content) const;

    // ---- channels
    void OnTip(Height height);
    // We are the payer: the opening is on its way (or the channel is one from before a restart).
    void OnChannelReady(PayerChannel channel, crypto::SecretKey payer_key, Instant now);
    void OnChannelsFailed(const ContentId& content, const Error& error, Instant now);
    // The opening of a channel that we pay was dropped, and cannot confirm any more.
    void OnOpeningLost(const OutPoint& channel, Instant now);
    // We are the payee.
    void AddPayeeChannel(PayeeChannel channel);  // from before a restart
    void OnChannelKnown(PeerId peer, const OutPoint& channel, const std::optional<ChannelFacts>& facts, Instant now);
    void OnVoucherPersisted(const OutPoint& channel, Amount returned, const Status& status, Instant now);
    // Stops new debt and tells the payer: it is being settled.
    void CloseForSettling(const OutPoint& channel, Instant now);
    // Both sides.
    void OnChannelConfirmed(const OutPoint& channel, uint32_t depth, Instant now);
    void OnChannelSpent(const OutPoint& channel, Instant now);
    std::vector<PayeeChannel> PayeeChannels() const;
    struct PayeeView {
        PayeeChannel channel;
        uint32_t depth{0};
        bool connected{false};
        Instant last_used;  // when a chunk or a voucher moved last, at first when it became known
    };
    std::vector<PayeeView> PayeeViews() const;
    // Closed channels that nothing can reopen: their memory is given back.
    void ForgetChannel(const OutPoint& channel);
    // New channels' keys come from this seed.
    void SetPayeeSeed(SecretBytes<32> seed) { AddSeed(std::move(seed), true); }
    void AddOlderPayeeSeed(SecretBytes<32> seed) { AddSeed(std::move(seed), false); }
    // What settling is expected to cost from now on.
    void SetFeeRate(Amount fee_per_kvb);
    void RestorePayerHistory(const std::vector<PayerHistory>& history);

    // ---- prices
    // Asks peers what they ask for a content that is not being fetched: OffersOf knows their answers.
    void Probe(const ContentId& content);
    struct PeerOffer {
        PeerId peer;
        NodeId node;
        Amount ask_per_mib;
        bool has_channel{false};  // one of ours, with room
    };
    std::vector<PeerOffer> OffersOf(const ContentId& content) const;
    std::vector<PayerChannel> PayerChannels() const;

    // ---- limits
    // Bytes of chunks that are asked for a second, from all peers together and from each; 0: no limit.
    void SetDownloadRate(uint64_t bytes_per_s, uint64_t bytes_per_s_of_peer);

    // ---- time
    void Tick(Instant now);
    std::optional<Instant> NextWakeup() const;
    // What chunks are put together in, and how many of them there should be: some more than are in use, 0 when nothing
    // is fetched. One that is missing is made here, which takes up to 0.8 ms; so another thread should make and trim
    // them.
    const ChunkBuffers& buffers() const;
    size_t BuffersWanted() const;

  private:
    void AddSeed(SecretBytes<32> seed, bool newest);

    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace sluice::content
