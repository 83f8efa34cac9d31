#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "p2p/address_book.h"
#include "p2p/identity.h"
#include "p2p/message.h"
#include "p2p/network.h"
#include "p2p/payload.h"
#include "util/bandwidth.h"
#include "util/clock.h"
#include "util/random.h"

namespace sluice::p2p {

// How a connection came to be.
enum class Direction {
    kInbound,   // the peer dialled us
    kOutbound,  // we chose it from the addresses we know
    kManual,    // the operator asked for it (-addnode, -connect, addnode)
    kSeed,      // -seednode: asked for addresses, then left
    kProvider,  // dialled because it may serve what is downloaded
};
const char* NameOf(Direction direction);

struct PeerInfo {
    PeerId id;
    NodeId node_id;
    Endpoint endpoint;  // remote end of the socket
    Direction direction{Direction::kInbound};
    Hello hello;  // version, services, user agent, height and listening port at the start
    UnixMillis connected_at{};
    uint64_t bytes_received{0};  // on the wire
    uint64_t bytes_sent{0};      // handed to the network
    Instant last_received{};
    Instant last_sent{};
    std::optional<microseconds> ping;  // of the last answer
    std::optional<microseconds> min_ping;

    bool Inbound() const { return direction == Direction::kInbound; }
    // Where the peer accepts connections, if it says that it does.
    std::optional<Endpoint> Listening() const;
};

struct ManualNodeInfo {
    Endpoint endpoint;
    std::optional<PeerId> connected;
    std::string last_failure;  // why the last attempt or connection ended; empty: none did
};

// What peers do. Called on the network strand, from inside the manager's own entry points (its NetworkEvents, Tick, and
// Disconnect or Misbehaving); any method of the manager may be called from inside.
class PeerEvents {
  public:
    virtual ~PeerEvents() = default;
    // Handshake and greetings are done: messages may be sent.
    virtual void OnPeerReady(PeerId peer, const PeerInfo& info) = 0;
    // After this nothing more is heard of `peer`. Only for peers that were ready.
    virtual void OnPeerGone(PeerId peer, const std::string& reason) = 0;
    // A dial for DialProvider ended without a connection, or because there is one to the same node already: `node` is
    // who answered, if anybody did.
    virtual void OnProviderDialEnded(const Endpoint& /*endpoint*/, const std::optional<NodeId>& /*node*/) {}
    // A whole message of any type but hello, ping and pong; `payload` is within the type's limit and valid during the
    // call.
    virtual void OnMessage(PeerId peer, MessageType type, ByteSpan payload) = 0;
    // Chunks left for the network, and at most Connection::kFewChunkBytes of them are still queued: send more.
    virtual void OnChunksDrained(PeerId peer) = 0;
};

struct PeerManagerConfig {
    NetworkId network;
    crypto::X25519SecretKey node_key;
    std::string user_agent;
    uint64_t services{services::kFullBlocks};
    uint16_t listen_port{0};  // what we tell peers; 0: none
    size_t max_peers{125};
    size_t max_outbound{8};        // of the addresses we know; manual ones come on top
    size_t max_local_outbound{2};  // of those, to loopback and private addresses; with allow_local no limit
    size_t max_providers{16};      // on top of max_peers, so that they take no other's place
    size_t max_inbound_per_ip{4};  // but for loopback
    bool allow_local{false};       // dial loopback and private addresses that others tell: networks on one machine
    size_t max_queued_bytes{256 << 20};  // over all peers
    seconds discourage_for{3600};
    BandwidthSchedule max_upload;           // of chunks to all peers
    BandwidthSchedule max_upload_per_peer;  // of chunks to each
    // The local time by which those two go.
    std::function<MinuteOfDay(UnixMillis)> minute_of_day{LocalMinuteOfDay};
    // Limit on bulk data of one peer, 0 for none; further bytes wait in the peer.
    uint64_t max_chunk_bytes_per_s{0};
};

// All connections of the node: who is connected, in which direction, with which limits. Reads no socket and no clock
// but those given to it; lives on the network strand.
//
// Invariants: 1. one ready peer for each node id; 2. never more than max_peers connections, and max_providers
// besides, and of each peer a bulk lane for chunks; 3. a peer that is ready has a version, node id and network that
// were checked; 4. what is queued and buffered for a peer is bounded.
//
// Two nodes that dial each other keep the connection that the node with the lower id dialled; of two in the same
// direction the older one stays.
class PeerManager final : private NetworkEvents {
  public:
    // `network`, `clock`, `random` and `events` outlive the manager. Sets the network's events.
    PeerManager(Network& network, const Clock& clock, RandomSource& random, PeerManagerConfig config,
                PeerEvents& events);
    ~PeerManager() override;

    const NodeId& node_id() const;
    // Listens there and, unless it is set, takes the bound port as the one we tell peers.
    Result<Endpoint> Listen(const Endpoint& endpoint);
    // What our greeting says from now on.
    void SetBestHeight(Height height);

    // Keeps a connection to `endpoint`, dialling again with growing delays (1 s to 1 min) whenever there is none.
    void AddNode(const Endpoint& endpoint);
    // Forgets it and leaves the connection as it is; false if it was not added.
    bool RemoveNode(const Endpoint& endpoint);
    // Dials once. An error if there is no room, or we are connected there already.
    Status ConnectOnce(const Endpoint& endpoint);
    std::vector<ManualNodeInfo> ManualNodes() const;
    // Whether connections are made to addresses heard of (false with -connect). True at the start.
    void SetAutomaticOutbound(bool enabled);
    // An address to choose outbound connections from: the LAN, the DHT. Those that peers gossip are taken by
    // themselves. What came from afar (kGossip, kDht) is taken only if IsDialable.
    void AddAddress(const AddressEntry& entry, AddressSource source = AddressSource::kOperator);
    // Where to ask for addresses when none is left to dial.
    void AddSeed(const Endpoint& endpoint);
    std::vector<KnownAddress> KnownAddresses() const;
    // The address book with the outbound peers of now as anchors, for LoadAddresses at the next start.
    Bytes SaveAddresses();
    Status LoadAddresses(ByteSpan saved);
    // Grows with each change that is worth saving.
    uint64_t AddressChanges() const;

    // Dials a node that may serve content, in one of the slots kept for that. Hearsay: an error if it is not
    // IsDialable, its place was dialled too often (DialBudget), all slots are taken, or there is a connection already.
    // OnPeerReady or OnProviderDialEnded follows. `on_lan`: the node itself told us over the local network, so the
    // address may be a local one.
    Status DialProvider(const Endpoint& endpoint, bool on_lan = false);
    size_t ProviderConnections() const;  // dialling ones too
    // Whether a node was met at this endpoint: a dial to it is not counted by DialBudget.
    bool IsVerified(const Endpoint& endpoint) const;

    // Queues a message. False if the peer is not ready, or the class's queue or the queues of all peers are full. A
    // payload over the type's limit is our bug.
    [[nodiscard]] bool Send(PeerId peer, MessageType type, Payload payload);
    // Payloads waiting in the class's queue, each counted with 64 bytes for itself.
    size_t QueuedBytes(PeerId peer, MessageClass message_class) const;
    static size_t QueueLimitBytes(MessageClass message_class);
    // Ends a connection; `reason` is one line for the log and OnPeerGone.
    void Disconnect(PeerId peer, const std::string& reason);
    // The same for breaking the rules: the node id, and the ip unless it is a loopback address, is refused for
    // discourage_for.
    void Misbehaving(PeerId peer, const std::string& reason);
    bool IsDiscouraged(const NodeId& node) const;
    // What handling a message of the peer cost besides what its type and size say, in units of 0.1 µs: a peer that
    // costs too much is not read from for a while. Called from inside OnMessage.
    void Charge(PeerId peer, int64_t units);

    // Limits on chunks to all peers and to each; everything else leaves as ever.
    void SetUploadLimits(BandwidthSchedule all, BandwidthSchedule per_peer);
    const BandwidthSchedule& max_upload() const;
    const BandwidthSchedule& max_upload_per_peer() const;

    std::optional<PeerInfo> Peer(PeerId peer) const;
    std::vector<PeerInfo> Peers() const;  // the ready ones, by id
    size_t ConnectionCount() const;       // those still shaking hands and bulk lanes too

    // Does what is due by the clock: timeouts, pings, dialling. Call at NextWakeup or later, and after adding nodes or
    // addresses.
    void Tick();
    Instant NextWakeup() const;

  private:
    void OnAccepted(ConnectionId connection, const Endpoint& remote) override;
    void OnConnected(ConnectionId connection) override;
    void OnConnectFailed(ConnectionId connection, const std::string& reason) override;
    void OnBytes(ConnectionId connection, ByteSpan bytes) override;
    void OnMessages(ConnectionId lane, std::span<const Message> messages) override;
    void OnBroken(ConnectionId lane, const std::string& reason) override;
    void OnWritable(ConnectionId connection) override;
    void OnClosed(ConnectionId connection, const std::string& reason) override;

    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace sluice::p2p
