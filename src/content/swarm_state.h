#pragma once

#include <array>
#include <deque>
#include <functional>

#include "content/choker.h"
#include "content/chunk_buffers.h"
#include "content/haggle.h"
#include "content/picker.h"
#include "content/swarm.h"

// The state behind Swarm, for swarm.cpp (peers, dispatch, time), download.cpp, upload.cpp and, for
// money, swarm_payer.cpp, swarm_payee.cpp and swarm_prices.cpp alone.

namespace sluice::content {

inline constexpr size_t kMaxQueuedRequests = 512;           // chunks that one peer may have waiting for us
inline constexpr size_t kMaxReads = 64;                     // chunks being read for all peers: 16 MiB
inline constexpr uint64_t kMaxQueuedBytesInAll = 32 << 20;  // read and handed to p2p, over all peers
inline constexpr uint64_t kMinQueuedBytes = 128 << 10;      // that a slow peer may have there
inline constexpr milliseconds kQueueTime{20};               // of a peer's rate: what it may have there
inline constexpr size_t kMaxInFlightChunks = 256;           // of all downloads, those being verified included: 64 MiB
inline constexpr size_t kMinInFlightChunks = 8;             // of one of them, however many there are
inline constexpr milliseconds kSharesStand{100};            // that downloads keep their shares of it
inline constexpr size_t kBuffersAhead = 32;                 // made before they are needed: 8 MiB
inline constexpr size_t kMaxInFlightAtPeer = 256;
inline constexpr size_t kUrgentExtra = 4;       // chunks over what a peer has room for, if somebody waits for them
inline constexpr seconds kPipeline{3};          // of a peer's rate: what it is asked for ahead
inline constexpr size_t kMaxHashSpans = 1'024;  // of one download in memory: 8 MiB; others are read again when needed
inline constexpr size_t kMaxPaidPeers = 8;      // that one download opens channels to
inline constexpr size_t kMaxChannelsOfPeer = 8;
inline constexpr uint32_t kMaxForgivenBreaks = 8;    // of connections, with something under way, for each channel
inline constexpr size_t kMaxContentsOfPeer = 1'024;  // that a peer is told the news of
inline constexpr seconds kRequestTimeout{3};
inline constexpr seconds kMaxPatience{30};      // with a peer whose chunks take long
inline constexpr seconds kDisputePatience{10};  // for the leaf hashes of a chunk that is not what it should be
inline constexpr seconds kTermsPatience{1};
inline constexpr seconds kRetryOpen{1};
inline constexpr uint32_t kMaxOpenTries = 120;
inline constexpr seconds kProviderPatience{5};  // before a download is called too expensive
inline constexpr seconds kRefusedPause{2};
inline constexpr seconds kRemindAfter{1};         // that a payee waits for a voucher
inline constexpr seconds kDebtPatience{600};      // after which a payer that left with a debt has defaulted
inline constexpr milliseconds kPayDelay{50};      // the longest that a small debt waits for more
inline constexpr milliseconds kPricesStand{200};  // that the choice between free and paid peers is kept
inline constexpr milliseconds kPricesHeard{20};   // even if a peer tells its price again

// Tokens are bytes; what is not used adds up to a second's worth, at least a chunk.
struct RateLimit {
    uint64_t bytes_per_s{0};  // 0: none
    int64_t level{0};
    Instant filled{};

    void Set(uint64_t rate) {
        if (rate != bytes_per_s) level = std::min(level, Burst(rate));
        bytes_per_s = rate;
    }
    static int64_t Burst(uint64_t rate) { return static_cast<int64_t>(std::max<uint64_t>(rate, kChunkBytes)); }
    // How many chunks may be asked for now.
    size_t Chunks(Instant now) {
        if (bytes_per_s == 0) return kMaxInFlightAtPeer;
        const auto passed = std::min<microseconds>(now - filled, seconds(1));
        const int64_t gained = static_cast<int64_t>(bytes_per_s) * passed.count() / 1'000'000;
        if (gained > 0) {
            level = std::min(Burst(bytes_per_s), level + gained);
            filled = now;
        }
        return level <= 0 ? 0 : static_cast<size_t>((level + kChunkBytes - 1) / kChunkBytes);
    }
    void Take(uint64_t bytes) {
        if (bytes_per_s != 0) level -= static_cast<int64_t>(bytes);
    }
    void GiveBack(uint64_t bytes) { Take(-bytes); }
};

// One of our requests at a peer.
struct ChunkRequest {
    uint16_t wanted{0};
    uint16_t received{0};
    Instant since;
    Amount ask;        // when it was made: a price raised since is not paid
    bool late{false};  // taken back: given to another peer, not wanted any more, or stored already
    bool urgent{false};
    bool revived{false};  // was taken back and is wanted again: it may still be answered as taken back
    OutPoint link;        // the channel that pays it
    uint64_t number{0};   // of all requests, in the order of asking
};

// A peer as a source of one content.
struct Provider {
    Amount ask;   // what stands between us
    Amount told;  // in its last Have
    BuyerBids bids;
    std::map<ChunkIndex, ChunkRequest> requests;
    size_t active{0};     // requests that are not late
    size_t completed{0};  // chunks
    Instant last_progress;
    double seconds_per_chunk{0};  // smoothed; 0: unknown
    double bytes_per_s{0};
    Instant rate_since;
    uint64_t rate_bytes{0};
    bool snubbed{false};  // was too slow: one request at a time
    std::optional<Instant> paused_until;
    bool needs_finality{false};
    std::optional<Instant> terms_asked;
    std::optional<ChannelTerms> terms;
    bool opening{false};  // its channel is being made by the wallet
    Amount locking;       // in it, counted in Download::locked, until the wallet has made it
    Amount fee_reserve;   // for its opening, counted in Download::fees until it is known
};

// A leaf that came although it was here already: paid if it is true.
struct SpareLeaf {
    PeerId peer;
    uint8_t leaf{0};
    uint32_t bytes{0};
    Hash256 hash;
    Amount ask;
    OutPoint link;
};

//   collecting --all leaves--> unproven --its hash--> verifying --the chunk--> stored
//       ^                                                '--it is not--> disputed --leaf hashes--> collecting, without
//       |                                                                   |                      the bad leaves
//       '----------------------------------- nobody knows: all leaves are dropped
struct PartialChunk {
    enum class Phase : uint8_t { kCollecting, kUnproven, kVerifying, kDisputed };
    std::shared_ptr<Bytes> bytes;
    uint16_t received{0};
    uint16_t verified{0};  // true whatever becomes of who sent them
    Phase phase{Phase::kCollecting};
    std::array<PeerId, kLeavesPerChunk> from{};
    std::map<PeerId, Amount> asks;  // of the requests that brought leaves
    std::map<PeerId, OutPoint> links;
    std::vector<SpareLeaf> spares;
    // While disputed.
    std::vector<Hash256> leaf_hashes;    // of what is here
    std::optional<PeerId> hashes_asked;  // who is asked for the true ones
    Instant hashes_asked_at{};
    std::set<PeerId> hashes_refused;  // who was asked in vain
    Instant disputed_since{};
};

// The chunk hashes of one span, as far as they are known.
struct SpanState {
    std::optional<ProvenSpan> proven;
    bool reading{false};          // from our own store
    std::optional<PeerId> asked;  // of a peer
    Instant asked_at{};
    uint64_t used{0};
};

struct Download {
    Download(const ContentId& id, const ChunkSet& have, const DownloadLimits& l, uint64_t salt, DownloadMode mode)
        : content(id), limits(l), picker(have, salt, mode == DownloadMode::kWhole) {}

    ContentId content;
    DownloadLimits limits;
    ChunkPicker picker;
    std::map<ChunkIndex, SpanState> spans;  // by their first chunk
    uint64_t spans_used{0};
    std::map<PeerId, Provider> providers;
    std::map<ChunkIndex, PartialChunk> partials;
    std::map<ChunkIndex, std::vector<Hash256>>
        late_hashes;                 // leaf hashes of stored chunks that are asked of peers still
    Meter meter;                     // of everything verified that had a price
    Amount locked;                   // in channels opened for it
    Amount fees;                     // of their openings
    std::map<OutPoint, Meter> used;  // of each channel, by this download
    bool over_budget{false};         // nothing more is asked of paid peers
    size_t complete{0};  // chunks that wait for a hash or a worker: they take memory like those on their way
    uint64_t stored_bytes{0};
    Instant started, last_stored, last_report;
    uint64_t reported_bytes{0};
    uint64_t bytes_per_s{0};
    uint64_t duplicate_bytes{0};
    std::optional<Instant> channels_paused_until;
    bool uses_paid{false};
    std::optional<Instant> prices_seen;  // when that was found
    std::string waiting_for;
    std::optional<Error> failure;  // acted upon once nothing refers to the download

    uint64_t LeftBytes() const { return content.size_bytes - stored_bytes; }
    // Of what is wanted; to the chunk.
    uint64_t WantedBytes() const { return std::min(content.size_bytes, uint64_t{picker.WantedCount()} * kChunkBytes); }
    uint64_t WantedLeftBytes() const {
        if (picker.wants_all()) return LeftBytes();
        return std::min(WantedBytes(), uint64_t{picker.WantedCount() - picker.WantedStored()} * kChunkBytes);
    }
    HashSpan SpanOf(ChunkIndex chunk) const { return HashSpanAround(content.size_bytes, chunk, kMaxRequestedHashSpan); }
    std::optional<ProvenHash> HashOf(ChunkIndex chunk) {
        const auto span = spans.find(SpanOf(chunk).first);
        if (span == spans.end() || !span->second.proven) return std::nullopt;
        span->second.used = ++spans_used;
        return span->second.proven->At(chunk);
    }
};

struct Upload {
    ContentId content;
    LeafRequest wanted;
    Amount ask;                       // that stood when it was requested
    std::optional<OutPoint> channel;  // that was in use then
    bool urgent{false};
};

struct PeerState {
    NodeId node;
    AddressGroup group{0};
    bool faulty{false};
    std::set<ContentId> interested;
    std::deque<Upload> uploads;  // urgent ones first
    uint64_t queued_bytes{0};    // in p2p
    uint64_t reading_bytes{0};
    double drain_bytes_per_s{0};  // how fast p2p gets rid of it; 0: unknown
    Instant drain_since{};
    uint64_t drained_bytes{0};
    std::optional<Instant> waits_since;      // the first of its uploads, for what it owes
    bool choked{false};                      // it was told so
    bool chokes_us{false};                   // it told us so
    RateLimit rate_limit;                    // of what we ask of it
    std::optional<OutPoint> pays_us;         // of its channels the one in use
    std::optional<OutPoint> asked_use;       // the last one that it wanted to use
    std::optional<OutPoint> paid_by_us;      // of ours the one in use
    std::map<OutPoint, ChannelOpen> offers;  // being looked up
    std::map<ContentId, SellerQuote> quotes;
    std::map<ChannelSalt, Amount> promised;  // first vouchers, of terms given
};

struct Served {
    ChunkSet have;
    Amount ask;
    Amount floor;                     // of what haggling leads to; at most the ask
    bool raised_since_quotes{false};  // while peers are told so
};

// A chunk or proof that a worker reads for a peer.
struct PendingRead {
    PeerId peer;
    ContentId content;
    LeafRequest wanted;
    HashSpan span;
    enum class Kind : uint8_t { kChunk, kHashes, kLeafHashes } kind{Kind::kChunk};
    bool own{false};  // hashes that a download of ours needs
    bool cancelled{false};
    uint64_t bytes{0};
    Amount ask;
    std::optional<OutPoint> channel;
    PayerId payer;
};

// A channel's template, made when a voucher of it is first signed or verified.
class LinkTemplate {
  public:
    const std::optional<consensus::LockTemplate>& Of(const ChannelLock& lock) {
        if (!m_template) m_template = lock.Template();
        return m_template;
    }

  private:
    std::optional<consensus::LockTemplate> m_template;
};

struct PayerLink {
    PayerChannel channel;
    crypto::SecretKey key;
    std::optional<PeerId> peer;
    bool accepted{false};
    bool final{false};
    bool useless{false};  // rejected or closed
    std::optional<Instant> retry_at;
    uint32_t tries{0};
    uint64_t unpaid_bytes{0};  // verified since the last voucher
    std::optional<Instant> pay_at;
    Amount adopted;  // of the payee's claims that we could not check
    Amount broken;   // was under way when connections broke: such claims may be true
    uint32_t breaks{0};
    Amount abandoned;  // was under way when the user stopped downloads: such claims may be true
    ContentId opened_for;
    Amount locking;  // counted in that download's `locked`
    LinkTemplate lock_template;
};

struct Delivery {
    uint64_t bytes{0};
    Amount owed_after;
    ContentId content;
    Amount ask;
};
struct PayeeLink {
    PayeeChannel channel;
    std::optional<PeerId> peer;
    std::optional<Instant> left_at;
    std::deque<Delivery> unpaid;
    Instant last_used;
    Amount persisted_paid;
    bool persisting{false};
    uint32_t depth{0};
    LinkTemplate lock_template;
};

struct Swarm::Impl {
    Impl(SwarmConfig c, RandomSource& r)
        : config(std::move(c)),
          random(r),
          seeds(config.payee_seed.Clone()),
          credit(config.credit),
          choker(config.free_upload_slots),
          fee_per_kvb(config.fee_per_kvb) {}

    SwarmConfig config;
    RandomSource& random;
    PayeeSeeds seeds;
    CreditBook credit;
    Choker choker;
    Amount fee_per_kvb;  // of settlements, at present
    std::vector<SwarmAction> actions;
    std::map<PeerId, PeerState> peers;
    std::map<ContentId, Served> served;
    std::map<ContentId, Download> downloads;
    std::map<OutPoint, PayerLink> payer_links;
    std::map<OutPoint, PayeeLink> payee_links;
    std::map<uint64_t, PendingRead> reads;
    // That chunks are put together in. As many as were under way at once are kept until the last one ends.
    ChunkBuffers buffers{kMaxInFlightChunks};
    size_t share_in_flight{kMaxInFlightChunks};
    std::optional<Instant> share_seen;  // when the downloads were counted for it; none: they changed
    uint64_t next_request{1};
    uint64_t next_chunk_request{0};
    uint64_t uploading_bytes{0};  // of all peers: read, or handed to p2p
    size_t chunk_reads{0};
    RateLimit rate_limit;  // of what we ask of all peers
    uint64_t peer_rate_limit{0};
    Height tip;
    Instant last_now;
    std::optional<PeerId> last_served;
    std::map<std::pair<ContentId, NodeId>, EarnedShare> earned;  // not handed out yet
    std::optional<Instant> earned_since;
    std::map<ContentId, std::map<PeerId, Amount>> probes;  // asks that were heard
    std::deque<ContentId> probe_order;

    // swarm.cpp
    template <class T>
    void Send(PeerId peer, const T& message) {
        actions.push_back(SendControl{peer, EncodeContentMessage(message)});
    }
    void Fault(PeerId peer, std::string reason, Instant now);
    void Connect(PeerId peer, const NodeId& node, AddressGroup group, Instant now);
    void Disconnect(PeerId peer, Instant now);
    void Dispatch(PeerId peer, const ContentMessage& message, Instant now);
    PeerState* Find(PeerId peer);
    PeerState* FindNode(const NodeId& node, PeerId* id);

    // download.cpp: starts, hashes, ends
    void Start(const ContentId& content, const ChunkSet& have, const DownloadLimits& limits, DownloadMode mode,
               Instant now);
    void OnHave(PeerId peer, const Have& have, Instant now);
    void OnHaveUpdate(PeerId peer, const HaveUpdate& update, Instant now);
    void OnHashes(PeerId peer, const Hashes& hashes, Instant now);
    void LearnHashes(Download& download, ProvenSpan proven, Instant now);
    // Sees to it that the hash of the chunk comes: from our store, else from `peer`.
    void NeedHashes(Download& download, std::optional<PeerId> peer, ChunkIndex chunk, Instant now);
    void AskForHashes(Download& download, SpanState& state, const HashSpan& span, std::optional<PeerId> peer,
                      Instant now);
    void OnOwnHashesRead(const PendingRead& read, const std::optional<HashProof>& proof, Instant now);
    void ForgetSpans(Download& download);
    void Finish(Download& download, Instant now);
    void Forget(ContentId content);  // a copy, as below
    void EndFailed();
    void FailDownload(ContentId content, Error error);  // a copy: the download that it belongs to ends
    DownloadProgress Progress(const Download& download) const;
    std::optional<Error> TooExpensive(const Download& download) const;

    // download_chunks.cpp: leaves, and whether they are true
    void OnLeaf(PeerId peer, const Leaf& leaf, Instant now);
    void OnChunkLeafHashes(PeerId peer, const ChunkLeafHashes& hashes, Instant now);
    void TryVerify(Download& download, ChunkIndex chunk, Instant now);
    void Verified(Download& download, ChunkIndex chunk, Result<ChunkOutcome> outcome, Instant now);
    void Dispute(Download& download, ChunkIndex chunk, PartialChunk& partial, Instant now);
    void AskForLeafHashes(Download& download, ChunkIndex chunk, PartialChunk& partial, Instant now);
    void GiveUpDispute(Download& download, ChunkIndex chunk, PartialChunk& partial);
    void DropLeaves(Download& download, ChunkIndex chunk, PeerId peer);
    void ReleaseIdle(Download& download, ChunkIndex chunk);

    // download_schedule.cpp: who is asked for what
    void OnRefuse(PeerId peer, const Refuse& refuse, Instant now);
    void OnChoke(PeerId peer, Instant now);
    void OnUnchoke(PeerId peer, Instant now);
    void ForgetProvider(Download& download, PeerId peer);
    void Schedule(Download& download, Instant now);
    // How many chunks each download may have in flight.
    size_t ShareInFlight(Instant now);
    void ScheduleAll(Instant now);
    void ServeDeadlines(Download& download, Instant now);
    void GiveUrgent(Download& download, Instant now);
    void CancelStale(Download& download, Instant now);
    void StealFor(Download& download, PeerId peer, Provider& provider, size_t room, Instant now);
    void TickDisputes(Download& download, Instant now);
    void TickDownload(Download& download, Instant now);
    void RequestFrom(Download& download, PeerId peer, Provider& provider, const std::vector<ChunkIndex>& chunks,
                     RequestOrder order, Instant now);
    // The request stays known, so that what is on its way is taken, but counts no more.
    void SendCancels(PeerId peer, const ContentId& content, const std::vector<ChunkIndex>& chunks);
    void MakeLate(Download& download, PeerId peer, Provider& provider, ChunkIndex chunk);
    // What may be asked of a provider: how many chunks it may have, without what it has, and so many more if urgent.
    struct Room {
        size_t limit{0};
        size_t chunks{0};
        size_t urgent{0};
    };
    Room RoomAt(Download& download, PeerId peer, const Provider& provider, Instant now);
    bool UsePaid(const Download& download, Instant now) const;

    // upload.cpp
    void AnswerHave(PeerId peer, const ContentId& content);
    void OnHaveQuery(PeerId peer, const HaveQuery& query);
    void OnGetHashes(PeerId peer, const GetHashes& get);
    void OnGetLeafHashes(PeerId peer, const GetLeafHashes& get);
    void OnRequestChunks(PeerId peer, const RequestChunks& request, Instant now);
    void OnCancelChunks(PeerId peer, const CancelChunks& cancel);
    void PumpUploads(Instant now);
    bool PumpOne(PeerId id, PeerState& peer, Instant now);
    uint64_t QueueLimit(const PeerState& peer) const;
    void NoteDrained(PeerState& peer, uint64_t queued_bytes, Instant now);
    void UndoRead(const PendingRead& read);
    void SendChunk(const PendingRead& read, const std::shared_ptr<const Bytes>& chunk, Instant now);
    void Announce(const ContentId& content, ChunkIndex chunk);
    void TickChoker(Instant now);
    void ChokePeer(PeerId id, PeerState& peer);
    void TakeBack(PeerId id, PeerState& peer, const std::function<bool(const Upload&)>& which);

    // swarm_prices.cpp
    Amount PriceFor(PeerState& peer, const ContentId& content);  // what the peer pays us from now on
    // The same, and remembered: the peer hears of it in a Have.
    Amount PriceToTell(PeerState& peer, const ContentId& content);
    void OnBid(PeerId peer, const Bid& bid, Instant now);
    void TakeAsk(Download& download, PeerId peer, Provider& provider, Amount ask, Instant now);
    void BidOn(Download& download, PeerId peer, Provider& provider, bool firm, Instant now);
    void OnCounter(PeerId peer, const Counter& counter, Instant now);
    void NoteOffer(PeerId peer, const Have& have);

    // swarm_payer.cpp
    // The channel in use to that peer.
    PayerLink* PayerLinkOf(PeerId peer);
    // The one that pays `bytes` more at this price: the one in use, or else another, which is in use then.
    PayerLink* UsableLink(PeerId peer, uint64_t bytes, Amount ask);
    bool HasUnverified(PeerId peer, const OutPoint& link) const;
    static uint64_t PartialBytes(const Download& download);
    void ForgiveBreak(PeerId peer);
    uint64_t Tolerated(const PayerLink& link) const;
    bool Adopt(PayerLink& link, const Meter& theirs);
    void AbandonUnderWay(const Download& download);
    uint64_t InFlightBytes(PeerId peer, const OutPoint& link) const;
    // How many chunks may be under way at a peer with a price, out of `limit`.
    size_t PaidRoom(Download& download, PeerId peer, const Provider& provider, size_t limit);
    // What the download costs if all that is asked for comes: drops on other channels, fees with them, and exactly
    // what is owed on this one.
    struct Cost {
        uint64_t elsewhere{0};
        Meter here;
    };
    Cost CostSoFar(const Download& download, const OutPoint& here) const;
    Amount CostAtMost(const Download& download) const;
    bool WantsTopUp(const Download& download, PeerId peer, const Provider& provider) const;
    // At the price agreed on with the request. `surplus`: a copy of what somebody else gave already.
    void PayLeaves(Download& download, PeerId peer, uint64_t bytes, Amount agreed, const OutPoint& link, bool surplus,
                   Instant now);
    void PayAll(PeerId peer);
    void WantChannelsFor(Download& download, Instant now);
    void OpenChannels(Download& download, const std::vector<PeerId>& ready, Instant now);
    void Offer(PayerLink& link, PeerId peer, Instant now);
    void Pay(PayerLink& link);
    void Drop(PayerLink& link, seconds pause, Instant now);  // its peer will not take it
    void OnChannelTerms(PeerId peer, const ChannelTerms& terms, Instant now);
    void OnChannelAccept(PeerId peer, const ChannelAccept& accept, Instant now);
    void OnChannelReject(PeerId peer, const ChannelReject& reject, Instant now);
    void OnChannelClosed(PeerId peer, const ChannelClosed& closed, Instant now);
    void TickPayer(Instant now);

    // swarm_payee.cpp
    // The channel that the peer uses; nullptr if there is none that takes on debt.
    PayeeLink* PayeeLinkOf(PeerId id, const std::optional<OutPoint>& channel);
    enum class Charge { kYes, kLater, kRefuse };
    // Counts `read` on the channel of its request and on credit, or says why not.
    Charge ChargeRead(PeerId id, PeerState& peer, const Upload& upload, PendingRead& read, RefuseReason& reason,
                      Instant now);
    void OnTermsRequest(PeerId peer, const TermsRequest& request);
    void OnChannelOpen(PeerId peer, const ChannelOpen& open);
    void OnUseChannel(PeerId peer, const UseChannel& use, Instant now);
    void OnVoucher(PeerId peer, const Voucher& voucher, Instant now);
    void Accept(PayeeLink& link, bool waits = false);
    void RemindOfDebts(Instant now);
    void Persist(PayeeLink& link);
    void CoverDeliveries(PayeeLink& link);
    void BecomeFinalIfDeep(PayeeLink& link);
    void TickPayee(Instant now);
    void TickChannels(Instant now);
};

}  // namespace sluice::content
