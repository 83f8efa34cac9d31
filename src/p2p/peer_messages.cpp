#include <algorithm>

#include "p2p/peer_manager_impl.h"
#include "util/log.h"

namespace sluice::p2p {
namespace {

constexpr size_t kToldAddresses = 64;
constexpr seconds kOldestAddress{30 * 86'400};
constexpr int64_t kAddressesPerSecond = 1;  // that a peer may tell us
constexpr int64_t kAddressBurst = 512;

// What a message costs us, in thousandths of a unit of about 100 µs: verification of headers, blocks and transactions,
// look-ups for requests, and a little for each message, so that a flood of tiny ones waits too. Full chunk frames cost
// bytes only. What content messages cost besides is charged by who reads them. What only the chain knows the cost of is
// charged by Sync: checks of headers, blocks given, replacements.
int64_t WorkOf(MessageType type, size_t bytes) {
    const auto size = static_cast<int64_t>(bytes);
    switch (type) {
        case MessageType::kHeaders:
        case MessageType::kFreshBlock:
            return 1000 + size / 3;
        case MessageType::kBlock:
            return 1000 + size / 20;
        case MessageType::kGetHeaders:
            return 5000;
        case MessageType::kTxInventory:
        case MessageType::kTxNotFound:
        case MessageType::kBlockNotFound:
        case MessageType::kGetBlocks:
            return 1000 + size / 3;
        case MessageType::kGetTransactions:
        case MessageType::kGetParents:
            return 1000 + size;
        case MessageType::kGetAddresses:
        case MessageType::kAddresses:
            return 20'000;
        case MessageType::kContentControl:
            return 20 + size / 64;  // a request for each leaf of a fast transfer must pass
        case MessageType::kContentChunk:
            return size >= 1024 ? 0 : 100;
        case MessageType::kHello:
        case MessageType::kPing:
        case MessageType::kPong:
        case MessageType::kTransaction:
        case MessageType::kVote:
        case MessageType::kBulkLane:
            return 1000;
    }
    return 1000;
}

bool IsPlainText(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

struct PeerManager::Impl::Sink final : ConnectionEvents {
    Sink(Impl& the_impl, Peer& the_peer) : impl(the_impl), peer(the_peer) {}
    void OnSecured(const NodeId& node) override { impl.OnSecured(peer, node); }
    void OnReceived(MessageType type, ByteSpan payload) override { impl.OnReceived(peer, type, payload); }
    Impl& impl;
    Peer& peer;
};

void PeerManager::Impl::Receive(Peer& peer, ByteSpan bytes) {
    peer.info.bytes_received += bytes.size();
    Sink sink(*this, peer);
    OnRead(peer, peer.connection->OnBytes(bytes, clock.Monotonic(), sink));
    if (!peer.closed && peer.lane_open) HandOver(peer);
}

void PeerManager::Impl::Receive(Peer& lane, std::span<const Message> messages) {
    for (const Message& message : messages) lane.info.bytes_received += message.payload.size() + kFrameOverheadBytes;
    Sink sink(*this, lane);
    OnRead(lane, lane.connection->OnMessages(messages, clock.Monotonic(), sink));
}

void PeerManager::Impl::OnRead(Peer& peer, const Status& status) {
    if (peer.closed) return;
    if (!status) {
        // Before the channel is secure anything may be an honest mistake: another network, another program.
        if (peer.connection->secure()) {
            Punish(peer, status.error().message);
        } else {
            Close(peer, status.error().message);
        }
        return;
    }
    PauseIfInDebt(peer);
    if (peer.connection->HasWritable()) dirty.insert(peer.info.id);
}

void PeerManager::Impl::OnSecured(Peer& peer, const NodeId& node) {
    peer.info.node_id = node;
    if (node == own_id) {
        if (!peer.info.Inbound()) own_endpoints.insert(peer.info.endpoint);
        Close(peer, "connected to ourselves");
        return;
    }
    if (discouraged.Has(node, clock.Monotonic())) {
        Close(peer, "the node broke the rules lately");
        return;
    }
    if (peer.lane_of) {
        GreetLane(peer);
        return;
    }
    Hello hello;
    hello.services = config.services;
    hello.user_agent = config.user_agent;
    hello.best_height = best_height;
    hello.listen_port = config.listen_port;
    if (!Send(peer, MessageType::kHello, Encode(hello))) Close(peer, "all send queues are full");
}

void PeerManager::Impl::OnReceived(Peer& peer, MessageType type, ByteSpan payload) {
    Charge(peer, type, payload.size());
    if (peer.lane_of) {
        OnLaneMessage(peer, type, payload);
        return;
    }
    if (!peer.ready) {
        if (type == MessageType::kHello) {
            OnHello(peer, payload);
        } else if (type == MessageType::kBulkLane) {
            BecomeLane(peer);
        } else if (type != MessageType::kPing && type != MessageType::kPong) {
            Punish(peer, std::string("the first message is ") + NameOf(type) + ", not hello");
        }
        return;
    }
    switch (type) {
        case MessageType::kHello:
        case MessageType::kBulkLane:
            Punish(peer, type == MessageType::kHello ? "a second hello" : "bulklane after hello");
            return;
        case MessageType::kPing:
        case MessageType::kPong:
            return;
        case MessageType::kGetAddresses:
            OnGetAddresses(peer);
            return;
        case MessageType::kAddresses:
            OnAddresses(peer, payload);
            return;
        default:
            if (type == MessageType::kContentChunk) DialLane(peer);
            events.OnMessage(peer.info.id, type, payload);
    }
}

void PeerManager::Impl::OnHello(Peer& peer, ByteSpan payload) {
    auto hello = Decode<Hello>(payload);
    if (!hello || !IsPlainText(hello->user_agent)) {
        Punish(peer,
               "hello: " + (hello ? std::string("the user agent is not printable ASCII") : hello.error().message));
        return;
    }
    if (hello->version < kProtocolVersion) {
        Close(peer, "protocol version " + std::to_string(hello->version) + " is too old: at least " +
                        std::to_string(kProtocolVersion) + " is needed");
        return;
    }
    peer.info.hello = *hello;
    peer.greeted = true;
    if (!ResolveDuplicate(peer)) return;
    peer.ready = peer.was_ready = true;
    network.SetUrgent(peer.connection_id);
    LogDebug("net", "peer {} ({}) ready, node {}", peer.info.id.value, peer.info.endpoint.ToString(),
             peer.info.node_id.Hex());
    const auto unix_s =
        static_cast<uint64_t>(std::chrono::duration_cast<seconds>(clock.Now().time_since_epoch()).count());
    if (peer.info.Inbound()) {
        const auto listening = peer.info.Listening();
        if (listening && IsDialable(*listening, false))
            addresses.Add({*listening, hello->services, unix_s}, AddressSource::kInbound,
                          AddressBook::GroupOf(*listening));
    } else {
        verified.Add(peer.info.endpoint);
        if (peer.info.direction == Direction::kOutbound) ++outbound_changes;
        addresses.Succeeded(peer.info.endpoint, hello->services, unix_s, clock.Monotonic());
        const auto found = manual.find(peer.info.endpoint);
        if (found != manual.end()) found->second.node = peer.info.node_id;
        if (peer.info.direction != Direction::kProvider) (void)Send(peer, MessageType::kGetAddresses, {});
    }
    events.OnPeerReady(peer.info.id, peer.info);
}

bool PeerManager::Impl::ResolveDuplicate(Peer& peer) {
    Peer* const older = FindReady(peer.info.node_id, &peer);
    if (older == nullptr) return true;
    const auto found = manual.find(peer.info.endpoint);
    if (!peer.info.Inbound() && found != manual.end()) found->second.node = peer.info.node_id;
    const bool opposite = older->info.Inbound() != peer.info.Inbound();
    const NodeId& dialled_newer = peer.info.Inbound() ? peer.info.node_id : own_id;
    const bool keep_newer = opposite && dialled_newer == std::min(own_id, peer.info.node_id);
    // The operator's wish, or the network's need, outlives the download.
    if (!peer.info.Inbound() && !keep_newer && older->info.direction == Direction::kProvider)
        older->info.direction = peer.info.direction;
    Close(keep_newer ? *older : peer, "there is another connection to the same node");
    if (keep_newer) ReportGone(*older);
    return keep_newer;
}

// Only those who dialled us are told, once, so that nobody maps the network cheaply.
void PeerManager::Impl::OnGetAddresses(Peer& peer) {
    if (!peer.info.Inbound() || std::exchange(peer.told_addresses, true)) return;
    Addresses answer{addresses.Sample(random, kToldAddresses)};
    (void)Send(peer, MessageType::kAddresses, Encode(answer));
}

void PeerManager::Impl::OnAddresses(Peer& peer, ByteSpan payload) {
    const auto told = Decode<Addresses>(payload);
    if (!told) {
        Punish(peer, "addr: " + told.error().message);
        return;
    }
    if (peer.info.Inbound() || peer.info.direction == Direction::kProvider) return;  // not asked for
    const auto now_s =
        static_cast<uint64_t>(std::chrono::duration_cast<seconds>(clock.Now().time_since_epoch()).count());
    const auto oldest_s = static_cast<uint64_t>(kOldestAddress.count());
    const Instant now = clock.Monotonic();
    if (!peer.addresses) peer.addresses.emplace(kAddressesPerSecond, kAddressBurst, now);
    for (AddressEntry entry : told->entries) {
        // Rationale: each is looked at beside all others of the book.
        if (peer.addresses->Level(now) <= 0) break;
        peer.addresses->Charge(1, now);
        entry.last_seen_s = std::min(entry.last_seen_s, now_s);
        if (IsDialable(entry.endpoint, false) && entry.last_seen_s + oldest_s >= now_s)
            addresses.Add(entry, AddressSource::kGossip, AddressBook::GroupOf(peer.info.endpoint));
    }
    if (peer.info.direction != Direction::kSeed) return;
    if (told->entries.empty()) {
        peer.info.direction = Direction::kOutbound;  // the only node there is
    } else {
        Close(peer, "the seed told us addresses");
    }
}

void PeerManager::Impl::Charge(Peer& peer, MessageType type, size_t bytes) {
    const Instant now = clock.Monotonic();
    peer.work->Charge(WorkOf(type, bytes), now);
    if (peer.chunk_bytes && type == MessageType::kContentChunk)
        peer.chunk_bytes->Charge(static_cast<int64_t>(bytes), now);
}

void PeerManager::Impl::PauseIfInDebt(Peer& peer) {
    const bool in_debt = peer.work->InDebt() || (peer.chunk_bytes && peer.chunk_bytes->InDebt());
    if (!in_debt || peer.resume_at) return;
    const Instant now = clock.Monotonic();
    peer.resume_at = peer.work->FreeAt(now);
    if (peer.chunk_bytes) peer.resume_at = std::max(*peer.resume_at, peer.chunk_bytes->FreeAt(now));
    network.SetReading(peer.connection_id, false);
}

}  // namespace sluice::p2p
