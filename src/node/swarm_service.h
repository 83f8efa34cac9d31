#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>

#include "content/chunk_buffers.h"
#include "content/chunk_store.h"
#include "content/swarm.h"
#include "node/content_watcher.h"
#include "node/environment.h"
#include "node/event_hub.h"
#include "node/network_service.h"
#include "node/swarm_store.h"
#include "util/bandwidth.h"

namespace sluice::node {

// What the swarm asks of the chain strand. Called on the network strand; returns at once, answers come back as
// SwarmService's On... calls.
class ChannelOutlet {
  public:
    virtual ~ChannelOutlet() = default;
    virtual void OpenChannels(const content::WantChannels& wanted) = 0;
    virtual void CheckChannel(const content::CheckChannel& check) = 0;
};

// How a download ended, or how far it is.
class DownloadObserver {
  public:
    virtual ~DownloadObserver() = default;
    virtual void OnDownloadProgress(const content::DownloadProgress& progress) = 0;
    virtual void OnDownloadFinished(const content::DownloadFinished& finished) = 0;
    virtual void OnDownloadFailed(const content::DownloadFailed& failed) = 0;
};

// What came into the chunk store. Called on the network strand.
class ChunkObserver {
  public:
    virtual ~ChunkObserver() = default;
    virtual void OnChunkStored(const ContentId& content, content::ChunkIndex chunk) = 0;
};

// Who reads a content while it comes.
using ReaderId = uint64_t;

// Runs the swarm: feeds it messages, time and results, and carries out its actions on the workers, the disk strand and
// the network. Belongs to the network strand.
class SwarmService final : public ContentEndpoint {
  public:
    // A crash loses what was stored in this time.
    static constexpr milliseconds kFlushDelay{500};
    static constexpr size_t kBuffersAtOnce = 8;    // made ahead for chunks that are fetched: 2 MiB
    static constexpr size_t kMostSpareReads = 64;  // buffers of chunks that are kept for the next ones: 16 MiB

    SwarmService(const Environment& environment, NetworkService& network, content::ChunkStore& chunks,
                 SwarmStore& store, content::SwarmConfig config, EventHub& events);
    ~SwarmService() override;

    void SetChannels(ChannelOutlet& channels) { m_channels = &channels; }
    // What is asked of all peers together, by the time of day; from the next tick on.
    void SetDownloadSchedule(BandwidthSchedule schedule);
    const BandwidthSchedule& download_schedule() const { return m_download_schedule; }
    void SetObserver(DownloadObserver& observer) { m_observer = &observer; }
    void SetWatcher(ContentWatcher& watcher) { m_watcher = &watcher; }
    // Takes up what was served and owed before the restart, then follows the clock; ends when `*alive` is false.
    Status Start(Alive alive, Height tip);

    // Serves what is in the chunk store at a price from now on (remembered).
    // `floor_per_mib`: what haggling does not go below (none: -minpricepermib, or the price).
    Status Serve(const ContentId& content, Amount ask_per_mib, std::optional<Amount> floor_per_mib = {});
    Status StopServing(const ContentId& content);
    // Fetches what is missing, and serves it as it comes, at `ask_per_mib`; with `keeps_price`, what is served already
    // keeps its price. The observer hears of the rest.
    Status StartDownload(const ContentId& content, const content::DownloadLimits& limits, Amount ask_per_mib,
                         content::DownloadMode mode = content::DownloadMode::kWhole, bool keeps_price = true);
    void StopDownload(const ContentId& content);
    // As content::Swarm's. Each reader of a content (a number that NewReader gives) has deadlines of its own, which
    // take turns; an empty list, or DropReader, ends them.
    void SetMode(const ContentId& content, content::DownloadMode mode);
    void SetLimits(const ContentId& content, const content::DownloadLimits& limits);
    void Want(const ContentId& content, content::ChunkIndex first, content::ChunkIndex last);
    ReaderId NewReader() { return ++m_last_reader; }
    void SetDeadlines(const ContentId& content, ReaderId reader, std::vector<content::ChunkIndex> soonest_first);
    void DropReader(const ContentId& content, ReaderId reader) { SetDeadlines(content, reader, {}); }
    // Told of every chunk that is stored (verified, readable in the chunk store) until it is removed. An observer may
    // add and remove observers, itself too, and call the service while it is told.
    void AddChunkObserver(ChunkObserver& observer) { m_chunk_observers.push_back(&observer); }
    void RemoveChunkObserver(ChunkObserver& observer);
    std::optional<content::DownloadProgress> ProgressOf(const ContentId& content) const {
        return m_swarm.ProgressOf(content);
    }
    std::vector<content::PayeeChannel> PayeeChannels() const { return m_swarm.PayeeChannels(); }
    std::vector<content::PayerChannel> PayerChannels() const { return m_swarm.PayerChannels(); }

    // Answers and news from the chain strand.
    void OnTip(Height height);
    void OnChannelReady(content::PayerChannel channel, crypto::SecretKey payer_key);
    void OnChannelsFailed(const ContentId& content, const Error& error);
    void OnChannelKnown(PeerId peer, const OutPoint& channel, const std::optional<content::ChannelFacts>& facts);
    void OnChannelConfirmed(const OutPoint& channel, uint32_t depth);
    void OnChannelSpent(const OutPoint& channel);
    void CloseForSettling(const OutPoint& channel);
    void OnOpeningLost(const OutPoint& channel);
    // Vouchers of another node of ours (a backup): saved, and settled like our own.
    void AddPayeeChannels(const std::vector<content::PayeeChannel>& channels);
    // Gives back the memory and disk of a channel that was closed k blocks ago.
    void ForgetChannel(const OutPoint& channel);
    void Probe(const ContentId& content);
    content::Swarm& swarm() { return m_swarm; }

  private:
    void OnPeerReady(PeerId peer, const p2p::PeerInfo& info) override;
    void OnPeerGone(PeerId peer) override;
    void OnContentMessage(PeerId peer, ByteSpan payload) override;
    void OnChunksDrained(PeerId peer) override;

    void Run();
    void Do(content::SendControl& action);
    void Do(content::SendLeaf& action);
    void Do(content::ReadChunk& action);
    void Do(content::ReadHashes& action);
    void Do(content::ReadLeafHashes& action);
    void Do(content::VerifyAndStore& action);
    void Do(content::StoreHashes& action);
    void Do(content::WantChannels& action);
    void Do(content::CheckChannel& action);
    void Do(content::PersistVoucher& action);
    void Do(content::SavePayerChannel& action);
    void Do(content::RecordEarnings& action);
    void Do(content::SavePayerHistory& action);
    void Do(content::PeerFault& action);
    void Do(content::DownloadFinished& action);
    void Do(content::DownloadFailed& action);
    void Do(content::DownloadProgress& action);
    void ReadNext();
    void ReadOnWorker(const content::ReadChunk& action, std::shared_ptr<Bytes> into);
    void NoteStored(const ContentId& content, content::ChunkIndex chunk);
    void MergeDeadlines(const ContentId& content);
    void PersistWaiting();
    void SavePayersWaiting();
    // Makes what was stored survive a crash, at the latest kFlushDelay from now.
    void FlushSoon(const ContentId& content);
    void Flush(const ContentId& content) const;  // on a worker
    void ScheduleWakeup();
    void FitBuffers();
    void FollowDownloadSchedule();
    Instant Now() const { return m_environment.clock.Monotonic(); }
    // Posts back to the network strand unless the service is gone by then.
    template <class Task>
    void PostBack(Task task) const {
        m_environment.network_strand.Post([alive = m_alive, task = std::move(task)]() mutable {
            if (*alive) task();
        });
    }

    const Environment& m_environment;
    NetworkService& m_network;
    content::ChunkStore& m_chunks;
    SwarmStore& m_store;
    EventHub& m_events;
    content::Swarm m_swarm;
    ChannelOutlet* m_channels{nullptr};
    DownloadObserver* m_observer{nullptr};
    ContentWatcher* m_watcher{nullptr};
    std::vector<ChunkObserver*> m_chunk_observers;  // nullptr: removed while they are told
    bool m_telling_chunks{false};
    ReaderId m_last_reader{0};
    std::map<ContentId, std::map<ReaderId, std::vector<content::ChunkIndex>>> m_deadlines;
    BandwidthSchedule m_download_schedule;
    Alive m_alive;
    std::map<OutPoint, content::PayeeChannel> m_unsaved;  // newest state of each channel that waits for the disk
    std::deque<content::ReadChunk> m_to_read;
    bool m_fits_buffers{false};
    content::ChunkBuffers m_buffers{kMostSpareReads};  // that chunks are read into
    bool m_saving{false};
    std::map<OutPoint, content::PayerChannel> m_unsaved_payers;  // likewise, of those that we pay
    bool m_saving_payers{false};
    std::map<ContentId, std::shared_ptr<content::StoredContent>> m_fetched;  // held, so that it is not evicted
    std::set<ContentId> m_flushing;                                          // that FlushSoon waits with
    bool m_running{false};
    std::optional<Instant> m_wakeup;
    uint64_t m_wakeup_number{0};
};

}  // namespace sluice::node
