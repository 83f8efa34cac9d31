#include "p2p/peer_manager.h"

#include <algorithm>

#include "p2p/peer_manager_impl.h"
#include "util/log.h"

namespace sluice::p2p {
namespace {

// What is given to the network ahead of the kernel, and at a time: on a bulk lane as many frames as a chunk has over a
// line that takes them quickly, half of that over any other. Less would wake sender and receiver more often, more would
// not stay in the caches.
constexpr size_t kWindowBytes = 128 << 10;
constexpr size_t kWriteBytes = 64 << 10, kLaneWriteBytes = 132 << 10, kFastLaneWriteBytes = 264 << 10;
constexpr milliseconds kFastDrain{4};  // of a full window
// A line is fast after three fast drains, since an empty buffer takes the first ones of any; one slow drain takes back
// three, of six at most, so that it takes two in a row to end it: the receiver may just have had no core.
constexpr uint32_t kFastDrains = 3;
constexpr uint32_t kMostFastDrains = 6;
constexpr seconds kDialTimeout{10};
constexpr seconds kHelloTimeout{20};  // from the start of the connection

// Each unit is about 100 µs of our work; see Impl::Charge.
constexpr int64_t kWorkPerSecond = 1'000'000;
constexpr int64_t kWorkBurst = 4'000'000;

}  // namespace

PeerManager::Impl::Impl(Network& the_network, const Clock& the_clock, RandomSource& the_random,
                        PeerManagerConfig the_config, PeerEvents& the_events)
    : network(the_network),
      clock(the_clock),
      random(the_random),
      config(std::move(the_config)),
      events(the_events),
      own_id(crypto::X25519Public(config.node_key)) {
    upload_limit.Set(config.max_upload, config.max_upload_per_peer);
    UpdateUploadLimits();
}

PeerManager::Impl::Peer* PeerManager::Impl::Find(PeerId id) const {
    const auto found = peers.find(id);
    return found == peers.end() || found->second->closed ? nullptr : found->second.get();
}

PeerManager::Impl::Peer* PeerManager::Impl::Find(ConnectionId id) const {
    const auto found = by_connection.find(id);
    return found == by_connection.end() ? nullptr : Find(found->second);
}

PeerManager::Impl::Peer* PeerManager::Impl::FindReady(PeerId id) const {
    Peer* const peer = Find(id);
    return peer != nullptr && peer->ready ? peer : nullptr;
}

PeerManager::Impl::Peer* PeerManager::Impl::FindReady(const NodeId& node, const Peer* except) const {
    for (const auto& [id, peer] : peers) {
        if (peer.get() != except && peer->ready && !peer->closed && peer->info.node_id == node) return peer.get();
    }
    return nullptr;
}

PeerManager::Impl::Peer& PeerManager::Impl::AddPeer(ConnectionId connection, const Endpoint& endpoint,
                                                    Direction direction) {
    const PeerId id(++last_peer_id);
    auto peer = std::make_unique<Peer>();
    peer->info.id = id;
    peer->info.endpoint = endpoint;
    peer->info.direction = direction;
    peer->info.connected_at = clock.Now();
    peer->connection_id = connection;
    peer->started = clock.Monotonic();
    by_connection.emplace(connection, id);
    return *peers.emplace(id, std::move(peer)).first->second;
}

void PeerManager::Impl::StartConnection(Peer& peer) {
    const Instant now = clock.Monotonic();
    peer.started = now;
    crypto::X25519SecretKey ephemeral;
    random.Fill(ephemeral.span());
    peer.connection.emplace(!peer.info.Inbound(), config.network, config.node_key, ephemeral, now);
    peer.work.emplace(kWorkPerSecond, kWorkBurst, now);
    if (config.max_chunk_bytes_per_s != 0) {
        const auto rate = static_cast<int64_t>(std::min<uint64_t>(config.max_chunk_bytes_per_s, 1u << 31));
        peer.chunk_bytes.emplace(rate, rate, now);
    }
    Pump(peer);
}

void PeerManager::Impl::Close(Peer& peer, const std::string& reason, bool close_socket) {
    if (peer.closed) return;
    peer.closed = true;
    peer.close_reason = reason;
    if (peer.connection) {
        peer.connection->Stop();
        queued_bytes -= std::exchange(peer.counted_bytes, 0);
    }
    upload_limit.Leave(peer.info.id, true);
    if (close_socket) network.Close(peer.connection_id);
    by_connection.erase(peer.connection_id);
    closed.insert(peer.info.id);
    CloseOtherHalf(peer, reason);
    LogDebug("net", "peer {} ({}) gone: {}", peer.info.id.value, peer.info.endpoint.ToString(), reason);
}

void PeerManager::Impl::ReportGone(Peer& peer) {
    if (!std::exchange(peer.ready, false)) return;
    events.OnPeerGone(peer.info.id, peer.close_reason);
}

void PeerManager::Impl::Punish(Peer& peer, const std::string& reason) {
    const Instant until = clock.Monotonic() + config.discourage_for;
    if (peer.connection && peer.connection->secure()) discouraged.Add(peer.info.node_id, until);
    discouraged.Add(peer.info.endpoint, until);
    LogInfo("net", "peer {} ({}) broke the rules: {}", peer.info.id.value, peer.info.endpoint.ToString(), reason);
    Close(peer, reason);
}

void PeerManager::Impl::Pump(Peer& peer) {
    if (!upload_limit.IsLimiting()) return PumpUpTo(peer, Connection::kNoChunkLimit);
    PumpUpTo(peer, 0);
    if (!peer.closed && peer.connection->QueuedBytes(MessageClass::kChunks) > 0 && HasRoom(peer))
        upload_limit.Wait(peer.info.id);
}

bool PeerManager::Impl::HasRoom(const Peer& peer) const {
    return network.PendingBytes(peer.connection_id) < kWindowBytes;
}

void PeerManager::Impl::PumpUpTo(Peer& peer, size_t max_chunk_bytes) {
    peer.dirty = false;
    Connection& connection = *peer.connection;
    const uint64_t chunk_bytes_before = connection.chunk_bytes_taken();
    const auto chunk_bytes = [&] { return static_cast<size_t>(connection.chunk_bytes_taken() - chunk_bytes_before); };
    while (!peer.closed && HasRoom(peer)) {
        const size_t chunks_left = max_chunk_bytes - std::min(max_chunk_bytes, chunk_bytes());
        if (!(chunks_left > 0 ? connection.HasWritable() : connection.HasWritableBesidesChunks())) break;
        peer.info.bytes_sent += WriteNext(peer, chunks_left);
        peer.info.last_sent = clock.Monotonic();
    }
    if (!peer.closed && !peer.filled_at && !HasRoom(peer)) peer.filled_at = clock.Monotonic();
    if (upload_limit.IsLimiting() && chunk_bytes() > 0)
        upload_limit.Sent(peer.info.id, chunk_bytes(), clock.Monotonic());
    CountQueued(peer);
}

size_t PeerManager::Impl::WriteNext(Peer& peer, size_t max_chunk_bytes) {
    const bool is_fast = peer.fast_drains >= kFastDrains;
    const size_t max_bytes = !peer.lane_of ? kWriteBytes : is_fast ? kFastLaneWriteBytes : kLaneWriteBytes;
    size_t written = 0;
    if (peer.lane_taken) {
        auto messages = peer.connection->TakeMessages(max_bytes, max_chunk_bytes);
        for (const OutgoingMessage& message : messages) written += LaneCodec::WireBytes(message);
        network.WriteMessages(peer.connection_id, std::move(messages));
    } else {
        Bytes bytes = peer.connection->TakeWritable(max_bytes, network.SpareBuffer(), max_chunk_bytes);
        written = bytes.size();
        network.Write(peer.connection_id, std::move(bytes));
    }
    return written;
}

void PeerManager::Impl::FeedWaiting() {
    const Instant now = clock.Monotonic();
    while (const auto turn = upload_limit.Next(now)) {
        Peer* const peer = Find(turn->peer);
        const auto may_send = [&] {
            return peer != nullptr && peer->connection && peer->connection->QueuedBytes(MessageClass::kChunks) > 0 &&
                   HasRoom(*peer);
        };
        if (may_send()) {
            PumpUpTo(*peer, turn->bytes);
            dirty.insert(turn->peer);  // its queue may have drained
        }
        if (!may_send()) upload_limit.Leave(turn->peer);
    }
}

void PeerManager::Impl::UpdateUploadLimits() {
    upload_limit.Update(config.minute_of_day(clock.Now()), clock.Monotonic());
    if (upload_limit.IsLimiting()) return;
    const std::set<PeerId> free = upload_limit.TakeWaiting();
    dirty.insert(free.begin(), free.end());
}

void PeerManager::Impl::CountQueued(Peer& peer) {
    if (peer.closed) return;
    const size_t now = peer.connection->QueuedBytes();
    queued_bytes += now - std::exchange(peer.counted_bytes, now);
}

bool PeerManager::Impl::Send(Peer& peer, MessageType type, Payload payload) {
    CHECK(payload.size() <= MaxPayloadBytes(type));
    if (queued_bytes + payload.size() > config.max_queued_bytes) return false;
    if (!peer.connection->Send(type, std::move(payload))) return false;
    CountQueued(peer);
    if (depth == 0) {
        Pump(peer);
        if (upload_limit.IsLimiting()) FeedWaiting();
    } else if (!std::exchange(peer.dirty, true)) {
        dirty.insert(peer.info.id);
    }
    return true;
}

void PeerManager::Impl::Settle() {
    while (!dirty.empty() || !closed.empty()) {
        for (const PeerId id : std::exchange(dirty, {})) {
            Peer* const peer = Find(id);
            if (peer == nullptr || !peer->connection) continue;
            Pump(*peer);
            const Peer* const owner = peer->closed ? nullptr : OwnerOf(*peer);
            if (peer->connection->TakeChunksDrained() && owner != nullptr && owner->ready)
                events.OnChunksDrained(owner->info.id);
        }
        if (upload_limit.IsLimiting()) FeedWaiting();
        for (const PeerId id : std::exchange(closed, {})) {
            Peer& peer = *peers.at(id);
            ReportGone(peer);
            DialEnded(peer);
            peers.erase(id);
        }
    }
}

std::optional<Endpoint> PeerInfo::Listening() const {
    if (hello.listen_port == 0) return std::nullopt;
    Endpoint listening = endpoint;
    listening.port = hello.listen_port;
    return listening;
}

PeerManager::PeerManager(Network& network, const Clock& clock, RandomSource& random, PeerManagerConfig config,
                         PeerEvents& events)
    : m_impl(std::make_unique<Impl>(network, clock, random, std::move(config), events)) {
    network.SetEvents(*this);
}

PeerManager::~PeerManager() = default;

const char* NameOf(Direction direction) {
    switch (direction) {
        case Direction::kInbound:
            return "inbound";
        case Direction::kOutbound:
            return "outbound";
        case Direction::kManual:
            return "manual";
        case Direction::kSeed:
            return "seed";
        case Direction::kProvider:
            return "provider";
    }
    return "unknown";
}

const NodeId& PeerManager::node_id() const { return m_impl->own_id; }

Result<Endpoint> PeerManager::Listen(const Endpoint& endpoint) {
    ASSIGN_OR_RETURN(const Endpoint bound, m_impl->network.Listen(endpoint));
    if (m_impl->config.listen_port == 0) m_impl->config.listen_port = bound.port;
    return bound;
}

void PeerManager::SetBestHeight(Height height) { m_impl->best_height = height; }

bool PeerManager::Send(PeerId peer, MessageType type, Payload payload) {
    Impl::Peer* const found = m_impl->FindReady(peer);
    if (found == nullptr) return false;
    if (type != MessageType::kContentChunk) return m_impl->Send(*found, type, std::move(payload));
    m_impl->DialLane(*found);
    Impl::Peer* const lane = m_impl->LaneOf(*found);
    return m_impl->Send(lane != nullptr ? *lane : *found, type, std::move(payload));
}

size_t PeerManager::QueuedBytes(PeerId peer, MessageClass message_class) const {
    const Impl::Peer* const found = m_impl->FindReady(peer);
    if (found == nullptr) return 0;
    const Impl::Peer* const lane = m_impl->LaneOf(*found);
    return found->connection->QueuedBytes(message_class) +
           (lane != nullptr ? lane->connection->QueuedBytes(message_class) : 0);
}

size_t PeerManager::QueueLimitBytes(MessageClass message_class) { return Connection::QueueLimitBytes(message_class); }

void PeerManager::Disconnect(PeerId peer, const std::string& reason) {
    m_impl->Enter([&] {
        if (Impl::Peer* const found = m_impl->Find(peer)) m_impl->Close(*found, reason);
    });
}

void PeerManager::Misbehaving(PeerId peer, const std::string& reason) {
    m_impl->Enter([&] {
        if (Impl::Peer* const found = m_impl->Find(peer)) m_impl->Punish(*found, reason);
    });
}

void PeerManager::Charge(PeerId peer, int64_t units) {
    if (Impl::Peer* const found = m_impl->FindReady(peer)) found->work->Charge(units, m_impl->clock.Monotonic());
}

bool PeerManager::IsDiscouraged(const NodeId& node) const {
    return m_impl->discouraged.Has(node, m_impl->clock.Monotonic());
}

void PeerManager::SetUploadLimits(BandwidthSchedule all, BandwidthSchedule per_peer) {
    m_impl->Enter([&] {
        m_impl->upload_limit.Set(std::move(all), std::move(per_peer));
        m_impl->UpdateUploadLimits();
    });
}

const BandwidthSchedule& PeerManager::max_upload() const { return m_impl->upload_limit.all(); }
const BandwidthSchedule& PeerManager::max_upload_per_peer() const { return m_impl->upload_limit.per_peer(); }

std::optional<PeerInfo> PeerManager::Peer(PeerId peer) const {
    const Impl::Peer* const found = m_impl->FindReady(peer);
    if (found == nullptr) return std::nullopt;
    return m_impl->InfoOf(*found);
}

std::vector<PeerInfo> PeerManager::Peers() const {
    std::vector<PeerInfo> result;
    for (const auto& [id, peer] : m_impl->peers) {
        if (peer->ready && !peer->closed) result.push_back(m_impl->InfoOf(*peer));
    }
    return result;
}

size_t PeerManager::ConnectionCount() const { return m_impl->by_connection.size(); }

void PeerManager::Tick() {
    m_impl->Enter([&] {
        const Instant now = m_impl->clock.Monotonic();
        m_impl->UpdateUploadLimits();
        if (m_impl->upload_limit.IsLimiting()) m_impl->FeedWaiting();
        for (const auto& [id, peer] : m_impl->peers) {
            if (peer->closed) continue;
            if (!peer->connection) {
                if (now >= peer->started + kDialTimeout) m_impl->Close(*peer, "no answer within 10 s");
                continue;
            }
            if (auto status = peer->connection->Tick(now); !status) {
                m_impl->Close(*peer, status.error().message);
                continue;
            }
            if (!peer->ready && !peer->lane_open && now >= peer->started + kHelloTimeout) {
                m_impl->Close(*peer, "no hello within 20 s");
                continue;
            }
            if (peer->connection->HasWritable()) m_impl->dirty.insert(id);
            if (peer->resume_at && now >= *peer->resume_at) {
                peer->resume_at.reset();
                m_impl->network.SetReading(peer->connection_id, true);
            }
        }
        m_impl->DialManual();
        m_impl->DialAutomatic();
    });
}

Instant PeerManager::NextWakeup() const {
    Instant next = Instant::max();
    for (const auto& [id, peer] : m_impl->peers) {
        next = std::min(next, peer->connection ? peer->connection->NextWakeup() : peer->started + kDialTimeout);
        if (peer->connection && !peer->ready && !peer->lane_open) next = std::min(next, peer->started + kHelloTimeout);
        if (peer->resume_at) next = std::min(next, *peer->resume_at);
    }
    if (const auto feed = m_impl->upload_limit.NextAt(m_impl->clock.Monotonic())) next = std::min(next, *feed);
    for (const auto& [endpoint, manual] : m_impl->manual) {
        const bool connected = manual.node && m_impl->FindReady(*manual.node, nullptr) != nullptr;
        if (!manual.peer && !connected && !m_impl->own_endpoints.contains(endpoint))
            next = std::min(next, manual.next_try);
    }
    if (m_impl->WantsAutomatic()) next = std::min(next, m_impl->next_automatic);
    return next;
}

void PeerManager::OnAccepted(ConnectionId connection, const Endpoint& remote) {
    m_impl->Enter([&] {
        if (m_impl->discouraged.Has(remote, m_impl->clock.Monotonic()) || !m_impl->MakePlaceForInbound(remote)) {
            m_impl->network.Close(connection);
            return;
        }
        m_impl->StartConnection(m_impl->AddPeer(connection, remote, Direction::kInbound));
    });
}

void PeerManager::OnConnected(ConnectionId connection) {
    m_impl->Enter([&] {
        if (Impl::Peer* const peer = m_impl->Find(connection)) m_impl->StartConnection(*peer);
    });
}

void PeerManager::OnConnectFailed(ConnectionId connection, const std::string& reason) {
    m_impl->Enter([&] {
        if (Impl::Peer* const peer = m_impl->Find(connection)) m_impl->Close(*peer, reason, false);
    });
}

void PeerManager::OnBytes(ConnectionId connection, ByteSpan bytes) {
    m_impl->Enter([&] {
        Impl::Peer* const peer = m_impl->Find(connection);
        if (peer != nullptr && peer->connection) m_impl->Receive(*peer, bytes);
    });
}

void PeerManager::OnMessages(ConnectionId lane, std::span<const Message> messages) {
    m_impl->Enter([&] {
        if (Impl::Peer* const peer = m_impl->Find(lane)) m_impl->Receive(*peer, messages);
    });
}

void PeerManager::OnBroken(ConnectionId lane, const std::string& reason) {
    m_impl->Enter([&] {
        if (Impl::Peer* const peer = m_impl->Find(lane)) m_impl->Punish(*peer, reason);
    });
}

void PeerManager::OnWritable(ConnectionId connection) {
    m_impl->Enter([&] {
        Impl::Peer* const peer = m_impl->Find(connection);
        if (peer == nullptr) return;
        m_impl->dirty.insert(peer->info.id);
        if (!peer->filled_at) return;
        const bool is_fast = m_impl->clock.Monotonic() - *peer->filled_at <= kFastDrain;
        uint32_t& count = peer->fast_drains;
        count = is_fast ? std::min(count + 1, kMostFastDrains) : count - std::min(count, kFastDrains);
        peer->filled_at.reset();
    });
}

void PeerManager::OnClosed(ConnectionId connection, const std::string& reason) {
    m_impl->Enter([&] {
        if (Impl::Peer* const peer = m_impl->Find(connection)) m_impl->Close(*peer, reason, false);
    });
}

}  // namespace sluice::p2p
