#include "node/swarm_service.h"

#include <algorithm>

#include "content/picker.h"
#include "util/log.h"

namespace sluice::node {

using namespace content;

namespace {

// Equal for addresses of one IPv4 /24 or one IPv6 /48.
AddressGroup GroupOf(const p2p::Endpoint& endpoint) {
    AddressGroup group = endpoint.IsIpv4() ? 1 : 2;
    const size_t first = endpoint.IsIpv4() ? 12 : 0;
    const size_t count = endpoint.IsIpv4() ? 3 : 6;
    for (size_t i = first; i < first + count; ++i) group = group << 8 | endpoint.ip[i];
    return group;
}

}  // namespace

SwarmService::SwarmService(const Environment& environment, NetworkService& network, ChunkStore& chunks,
                           SwarmStore& store, SwarmConfig config, EventHub& events)
    : m_environment(environment),
      m_network(network),
      m_chunks(chunks),
      m_store(store),
      m_events(events),
      m_swarm(std::move(config), environment.random) {}

SwarmService::~SwarmService() = default;

Status SwarmService::Start(Alive alive, Height tip) {
    m_alive = std::move(alive);
    m_swarm.OnTip(tip);
    m_swarm.Tick(Now());  // what is taken up counts as used now
    for (const auto& [outpoint, channel] : m_store.vouchers().channels()) m_swarm.AddPayeeChannel(channel);
    ASSIGN_OR_RETURN(const auto history, m_store.PayerHistories());
    m_swarm.RestorePayerHistory(history);
    ASSIGN_OR_RETURN(const auto seeds, m_store.Seeds());
    for (const SeededContent& seed : seeds)
        if (const auto stored = m_chunks.Find(seed.content))
            m_swarm.AddContent(seed.content, stored->Have(), seed.ask_per_mib, seed.floor_per_mib);
    Run();
    return {};
}

Status SwarmService::Serve(const ContentId& content, Amount ask_per_mib, std::optional<Amount> floor_per_mib) {
    const auto stored = m_chunks.Find(content);
    if (!stored) return Fail(ErrorKind::kNotFound, "the content " + content.root.Hex() + " is not in the store");
    m_swarm.AddContent(content, stored->Have(), ask_per_mib, floor_per_mib);
    m_environment.disk_strand.Post([this, alive = m_alive, seed = SeededContent{content, ask_per_mib, floor_per_mib}] {
        const Status saved = m_store.SaveSeed(seed);
        if (!saved) LogError("swarm", "what is seeded could not be saved: {}", saved.error().message);
    });
    if (m_watcher) m_watcher->OnSeeding(content);
    Run();
    return {};
}

Status SwarmService::StopServing(const ContentId& content) {
    m_swarm.RemoveContent(content);
    m_environment.disk_strand.Post([this, content] {
        const Status saved = m_store.ForgetSeed(content);
        if (!saved) LogError("swarm", "what is seeded could not be saved: {}", saved.error().message);
    });
    if (m_watcher) m_watcher->OnSeedingEnded(content);
    Run();
    return {};
}

Status SwarmService::StartDownload(const ContentId& content, const DownloadLimits& limits, Amount ask_per_mib,
                                   DownloadMode mode, bool keeps_price) {
    // The size is the publisher's claim, and memory in proportion to it is taken.
    if (content.size_bytes > m_chunks.quota_bytes() && !m_chunks.Find(content))
        return Fail(ErrorKind::kUnavailable, "the content has " + std::to_string(content.size_bytes) +
                                                 " bytes, more than the content store's quota of " +
                                                 std::to_string(m_chunks.quota_bytes()) + ": raise -contentquota");
    ASSIGN_OR_RETURN(const auto stored, m_chunks.Create(content));
    const auto price = m_swarm.PriceOf(content);
    if (price && !keeps_price) m_swarm.AddContent(content, stored->Have(), ask_per_mib);
    if (!price || !keeps_price) {
        m_environment.disk_strand.Post([this, seed = SeededContent{content, ask_per_mib}] {
            const Status saved = m_store.SaveSeed(seed);
            if (!saved) LogError("swarm", "what is seeded could not be saved: {}", saved.error().message);
        });
    }
    RETURN_IF_ERROR(m_swarm.StartDownload(content, stored->Have(), limits, ask_per_mib, Now(), mode));
    m_fetched[content] = stored;
    MergeDeadlines(content);
    if (m_watcher) m_watcher->OnFetching(content);
    Run();
    return {};
}

void SwarmService::StopDownload(const ContentId& content) {
    m_swarm.StopDownload(content, Now());
    m_fetched.erase(content);
    if (m_watcher) m_watcher->OnFetchEnded(content);
    Run();
}

void SwarmService::SetMode(const ContentId& content, DownloadMode mode) {
    m_swarm.SetMode(content, mode, Now());
    Run();
}

void SwarmService::SetLimits(const ContentId& content, const DownloadLimits& limits) {
    m_swarm.SetLimits(content, limits, Now());
    Run();
}

void SwarmService::Want(const ContentId& content, ChunkIndex first, ChunkIndex last) {
    m_swarm.Want(content, first, last, Now());
    Run();
}

void SwarmService::SetDeadlines(const ContentId& content, ReaderId reader, std::vector<ChunkIndex> soonest_first) {
    auto& readers = m_deadlines[content];
    if (soonest_first.empty()) {
        readers.erase(reader);
    } else {
        readers.insert_or_assign(reader, std::move(soonest_first));
    }
    MergeDeadlines(content);
    if (readers.empty()) m_deadlines.erase(content);
    Run();
}

// The soonest of each reader, then the second of each, and so on.
void SwarmService::MergeDeadlines(const ContentId& content) {
    const auto readers = m_deadlines.find(content);
    if (readers == m_deadlines.end()) return;
    std::vector<ChunkIndex> merged;
    for (size_t turn = 0, before = 1; merged.size() != before && merged.size() < ChunkPicker::kMaxUrgent; ++turn) {
        before = merged.size();
        for (const auto& [reader, chunks] : readers->second) {
            if (turn < chunks.size()) merged.push_back(chunks[turn]);
        }
    }
    m_swarm.SetDeadlines(content, merged, Now());
}

void SwarmService::RemoveChunkObserver(ChunkObserver& observer) {
    std::replace(m_chunk_observers.begin(), m_chunk_observers.end(), &observer, static_cast<ChunkObserver*>(nullptr));
    if (!m_telling_chunks) std::erase(m_chunk_observers, nullptr);
}

void SwarmService::NoteStored(const ContentId& content, ChunkIndex chunk) {
    const bool outer = !std::exchange(m_telling_chunks, true);
    for (size_t i = 0; i < m_chunk_observers.size(); ++i) {
        if (ChunkObserver* observer = m_chunk_observers[i]) observer->OnChunkStored(content, chunk);
    }
    if (!outer) return;
    m_telling_chunks = false;
    std::erase(m_chunk_observers, nullptr);
}

void SwarmService::OnTip(Height height) {
    m_swarm.OnTip(height);
    Run();
}
void SwarmService::OnChannelReady(PayerChannel channel, crypto::SecretKey payer_key) {
    m_swarm.OnChannelReady(std::move(channel), std::move(payer_key), Now());
    Run();
}
void SwarmService::OnChannelsFailed(const ContentId& content, const Error& error) {
    m_swarm.OnChannelsFailed(content, error, Now());
    Run();
}
void SwarmService::OnChannelKnown(PeerId peer, const OutPoint& channel, const std::optional<ChannelFacts>& facts) {
    m_swarm.OnChannelKnown(peer, channel, facts, Now());
    Run();
}
void SwarmService::OnChannelConfirmed(const OutPoint& channel, uint32_t depth) {
    m_swarm.OnChannelConfirmed(channel, depth, Now());
    Run();
}
void SwarmService::OnChannelSpent(const OutPoint& channel) {
    m_swarm.OnChannelSpent(channel, Now());
    Run();
}
void SwarmService::OnOpeningLost(const OutPoint& channel) {
    m_swarm.OnOpeningLost(channel, Now());
    Run();
}
void SwarmService::AddPayeeChannels(const std::vector<PayeeChannel>& channels) {
    m_swarm.Tick(Now());
    std::set<OutPoint> added;
    for (const PayeeChannel& channel : channels) {
        m_swarm.AddPayeeChannel(channel);
        added.insert(channel.lock.outpoint);
    }
    for (const PayeeChannel& channel : m_swarm.PayeeChannels()) {
        if (added.contains(channel.lock.outpoint)) m_unsaved.insert_or_assign(channel.lock.outpoint, channel);
    }
    if (!m_saving) PersistWaiting();
    Run();
}
void SwarmService::Probe(const ContentId& content) {
    m_swarm.Probe(content);
    Run();
}
void SwarmService::ForgetChannel(const OutPoint& channel) {
    m_swarm.ForgetChannel(channel);
    m_environment.disk_strand.Post([this, channel] {
        Status forgotten = m_store.vouchers().Forget(channel);
        if (forgotten) forgotten = m_store.ForgetPayerChannel(channel);
        if (!forgotten) LogError("swarm", "a closed channel could not be forgotten: {}", forgotten.error().message);
    });
}
void SwarmService::CloseForSettling(const OutPoint& channel) {
    m_swarm.CloseForSettling(channel, Now());
    Run();
}

void SwarmService::OnPeerReady(PeerId peer, const p2p::PeerInfo& info) {
    m_swarm.OnPeerConnected(peer, info.node_id, GroupOf(info.endpoint), Now());
    Run();
}
void SwarmService::OnPeerGone(PeerId peer) {
    m_swarm.OnPeerGone(peer, Now());
    Run();
}
void SwarmService::OnContentMessage(PeerId peer, ByteSpan payload) {
    m_swarm.OnMessage(peer, payload, Now());
    Run();
}
void SwarmService::OnChunksDrained(PeerId peer) {
    m_swarm.OnPeerDrained(peer, m_network.peers().QueuedBytes(peer, p2p::MessageClass::kChunks), Now());
    Run();
}

void SwarmService::Run() {
    if (m_running) return;  // called from inside an action (a peer that was disconnected): the outer loop goes on
    m_running = true;
    for (auto actions = m_swarm.TakeActions(); !actions.empty(); actions = m_swarm.TakeActions()) {
        for (SwarmAction& action : actions) std::visit([&](auto& typed) { Do(typed); }, action);
    }
    m_running = false;
    ScheduleWakeup();
    FitBuffers();
}

// Fresh memory is mapped and cleared page by page when it is first written to: that is done elsewhere than on the
// strand that blocks pass, and not behind the chunks that wait for a worker. It is given back there too.
void SwarmService::FitBuffers() {
    if (m_fits_buffers) return;
    const content::ChunkBuffers& buffers = m_swarm.buffers();
    const size_t wanted = m_swarm.BuffersWanted();
    if (wanted == 0 ? buffers.spare() == 0 : buffers.made() >= wanted) return;
    m_fits_buffers = true;
    m_environment.long_tasks.Post([this, buffers, wanted, alive = m_alive] {
        if (wanted == 0) buffers.Trim();
        for (size_t i = 0; i < kBuffersAtOnce && buffers.made() < wanted; ++i) buffers.MakeSpare();
        PostBack([this] {
            m_fits_buffers = false;
            FitBuffers();
        });
    });
}

void SwarmService::SetDownloadSchedule(BandwidthSchedule schedule) {
    m_download_schedule = std::move(schedule);
    FollowDownloadSchedule();
}

void SwarmService::FollowDownloadSchedule() {
    const auto rate = m_download_schedule.RateAt(LocalMinuteOfDay(m_environment.clock.Now()));
    m_swarm.SetDownloadRate(rate.value_or(0), 0);
}

void SwarmService::ScheduleWakeup() {
    const auto next = m_swarm.NextWakeup();
    // Rationale: a timer that is due and still waits for its turn is left alone. Armed anew with each event, it would
    // never come on a busy strand.
    if (!next || (m_wakeup && *m_wakeup <= *next)) return;
    m_wakeup = next;
    const auto wait = std::chrono::ceil<milliseconds>(std::max(microseconds(0), *next - Now()));
    m_environment.network_strand.PostAfter(std::max(wait, milliseconds(1)),
                                           [this, alive = m_alive, number = ++m_wakeup_number] {
                                               if (!*alive || number != m_wakeup_number) return;
                                               m_wakeup.reset();
                                               FollowDownloadSchedule();
                                               m_swarm.Tick(Now());
                                               Run();
                                           });
}

void SwarmService::Do(SendControl& action) {
    if (!m_network.peers().Send(action.peer, p2p::MessageType::kContentControl, std::move(action.payload)))
        m_network.peers().Disconnect(action.peer, "does not read what it is sent");
}

void SwarmService::Do(SendLeaf& action) {
    p2p::Payload payload(std::move(action.head), std::move(action.chunk), action.offset, action.bytes);
    if (!m_network.peers().Send(action.peer, p2p::MessageType::kContentChunk, std::move(payload)))
        m_network.peers().Disconnect(action.peer, "does not read what it is sent");
}

void SwarmService::Do(ReadChunk& action) {
    m_to_read.push_back(action);
    if (m_to_read.size() == 1) PostBack([this] { ReadNext(); });
}

// What the system has in memory is read here: a worker would be woken for less work than waking it is, and the chunk
// would have to come over from the worker's core to be encrypted. One chunk in a turn: a block waits for no second one.
void SwarmService::ReadNext() {
    const ReadChunk action = m_to_read.front();
    m_to_read.pop_front();
    if (!m_to_read.empty()) PostBack([this] { ReadNext(); });
    auto chunk = m_buffers.Take(ChunkBytes(action.content.size_bytes, action.chunk));
    const auto stored = m_chunks.Find(action.content);
    if (!stored || !stored->ReadCached(action.chunk, *chunk)) return ReadOnWorker(action, std::move(chunk));
    m_swarm.OnChunkRead(action.request, std::shared_ptr<const Bytes>(std::move(chunk)), Now());
    Run();
}

void SwarmService::ReadOnWorker(const ReadChunk& action, std::shared_ptr<Bytes> into) {
    m_environment.workers.Post([this, action, into = std::move(into)]() mutable {
        auto chunk = [&]() -> Result<std::shared_ptr<const Bytes>> {
            const auto stored = m_chunks.Find(action.content);
            if (!stored) return Fail(ErrorKind::kUnavailable, "the content is not here any more");
            RETURN_IF_ERROR(stored->Read(action.chunk, *into));
            return std::shared_ptr<const Bytes>(std::move(into));
        }();
        PostBack([this, request = action.request, chunk = std::move(chunk)]() mutable {
            m_swarm.OnChunkRead(request, std::move(chunk), Now());
            Run();
        });
    });
}

void SwarmService::Do(ReadHashes& action) {
    m_environment.workers.Post([this, action, alive = m_alive] {
        const auto stored = m_chunks.Find(action.content);
        auto proof = stored ? stored->ProofOf(action.span) : std::nullopt;
        PostBack([this, request = action.request, proof = std::move(proof)]() mutable {
            m_swarm.OnHashesRead(request, std::move(proof), Now());
            Run();
        });
    });
}

void SwarmService::Do(ReadLeafHashes& action) {
    m_environment.workers.Post([this, action, alive = m_alive] {
        auto hashes = [&]() -> Result<std::vector<Hash256>> {
            const auto stored = m_chunks.Find(action.content);
            if (!stored) return Fail(ErrorKind::kUnavailable, "the content is not here any more");
            return stored->ReadLeafHashes(action.chunk);
        }();
        PostBack([this, request = action.request, hashes = std::move(hashes)]() mutable {
            m_swarm.OnLeafHashesRead(request, std::move(hashes), Now());
            Run();
        });
    });
}

void SwarmService::Do(VerifyAndStore& action) {
    m_environment.workers.Post([this, action = std::move(action), alive = m_alive] {
        auto outcome = [&]() -> Result<ChunkOutcome> {
            const auto stored = m_chunks.Find(action.proven.content());
            if (!stored) return Fail(ErrorKind::kUnavailable, "the content is not here any more");
            ChunkVerdict verdict = VerifyChunk(action.proven, action.bytes);
            if (verdict.chunk) RETURN_IF_ERROR(stored->AddVerified(*verdict.chunk));
            return ChunkOutcome{verdict.chunk.has_value(), std::move(verdict.leaf_hashes)};
        }();
        PostBack([this, content = action.proven.content(), chunk = action.proven.chunk(),
                  outcome = std::move(outcome)]() mutable {
            const bool stored = outcome && outcome->stored;
            if (stored) FlushSoon(content);
            m_swarm.OnChunkVerified(content, chunk, std::move(outcome), Now());
            Run();
            if (stored) NoteStored(content, chunk);
        });
    });
}

void SwarmService::Do(StoreHashes& action) {
    m_environment.workers.Post([this, action = std::make_shared<StoreHashes>(std::move(action))] {
        const auto stored = m_chunks.Find(action->content);
        const Status status = stored ? stored->AddHashes(action->span, action->proof)
                                     : Status(Fail(ErrorKind::kUnavailable, "the content is not here any more"));
        PostBack([this, content = action->content, span = action->span, status] {
            m_swarm.OnHashesStored(content, span, status, Now());
            Run();
        });
    });
}

void SwarmService::Do(WantChannels& action) { m_channels->OpenChannels(action); }
void SwarmService::Do(CheckChannel& action) { m_channels->CheckChannel(action); }

void SwarmService::Do(PersistVoucher& action) {
    m_unsaved.insert_or_assign(action.channel.lock.outpoint, std::move(action.channel));
    if (!m_saving) PersistWaiting();
}

// Saves the newest state of every channel that waits, in one task: vouchers that came meanwhile ride with the next.
void SwarmService::PersistWaiting() {
    if (m_unsaved.empty()) return;
    m_saving = true;
    m_environment.disk_strand.Post([this, batch = std::exchange(m_unsaved, {})]() mutable {
        std::vector<std::pair<PayeeChannel, Status>> results;
        for (auto& [outpoint, channel] : batch) {
            Status saved = m_store.vouchers().Save(channel);
            results.emplace_back(std::move(channel), std::move(saved));
        }
        PostBack([this, results = std::move(results)] {
            m_saving = false;
            for (const auto& [channel, status] : results) {
                if (!status) LogError("swarm", "a voucher could not be saved: {}", status.error().message);
                m_swarm.OnVoucherPersisted(channel.lock.outpoint, channel.returned, status, Now());
            }
            Run();
            if (!m_saving) PersistWaiting();
        });
    });
}

void SwarmService::Do(SavePayerChannel& action) {
    m_unsaved_payers.insert_or_assign(action.channel.lock.outpoint, std::move(action.channel));
    if (!m_saving_payers) SavePayersWaiting();
}

// Like PersistWaiting: one task at a time, so that a slow disk gets the newest states and no queue of old ones.
void SwarmService::SavePayersWaiting() {
    if (m_unsaved_payers.empty()) return;
    m_saving_payers = true;
    m_environment.disk_strand.Post([this, batch = std::exchange(m_unsaved_payers, {})] {
        for (const auto& [outpoint, channel] : batch) {
            const Status saved = m_store.SavePayerChannel(channel);
            if (!saved) LogError("swarm", "a channel could not be saved: {}", saved.error().message);
        }
        PostBack([this] {
            m_saving_payers = false;
            SavePayersWaiting();
        });
    });
}

void SwarmService::Do(RecordEarnings& action) {
    const auto day = static_cast<uint32_t>(m_environment.clock.Now().time_since_epoch() / seconds(86'400));
    m_environment.disk_strand.Post([this, day, shares = std::move(action.shares)] {
        const Status saved = m_store.AddEarnings(day, shares);
        if (!saved) LogError("swarm", "the accounts could not be saved: {}", saved.error().message);
    });
}

void SwarmService::Do(SavePayerHistory& action) {
    m_environment.disk_strand.Post([this, changed = std::move(action.changed)] {
        const Status saved = m_store.SavePayerHistory(changed);
        if (!saved) LogError("swarm", "the history of payers could not be saved: {}", saved.error().message);
    });
}

void SwarmService::Do(PeerFault& action) { m_network.peers().Misbehaving(action.peer, action.reason); }

void SwarmService::FlushSoon(const ContentId& content) {
    if (!m_flushing.insert(content).second) return;
    m_environment.network_strand.PostAfter(kFlushDelay, [this, alive = m_alive, content] {
        if (!*alive) return;
        m_flushing.erase(content);
        m_environment.workers.Post([this, content] { Flush(content); });
    });
}

void SwarmService::Flush(const ContentId& content) const {
    const auto stored = m_chunks.Find(content);
    if (!stored) return;
    const Status flushed = stored->Flush();
    if (!flushed && flushed.error().kind != ErrorKind::kNotFound) LogError("swarm", "{}", flushed.error().message);
}

void SwarmService::Do(DownloadFinished& action) {
    if (m_watcher) m_watcher->OnFetchEnded(action.content);
    m_fetched.erase(action.content);
    m_environment.workers.Post([this, action] {
        Flush(action.content);
        PostBack([this, action] {
            if (m_observer) m_observer->OnDownloadFinished(action);
        });
    });
}

void SwarmService::Do(DownloadFailed& action) {
    if (m_watcher) m_watcher->OnFetchEnded(action.content);
    m_fetched.erase(action.content);
    if (m_observer) m_observer->OnDownloadFailed(action);
}

void SwarmService::Do(DownloadProgress& action) {
    if (m_observer) m_observer->OnDownloadProgress(action);
}

}  // namespace sluice::node
