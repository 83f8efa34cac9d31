#pragma once

#include <array>
#include <map>
#include <set>

#include "p2p/address_book.h"
#include "p2p/bounded_set.h"
#include "p2p/connection.h"
#include "p2p/dial_budget.h"
#include "p2p/discouraged.h"
#include "p2p/peer_manager.h"
#include "p2p/token_bucket.h"
#include "p2p/upload_limit.h"

// The inside of PeerManager: peer_manager.cpp holds its public calls and the network's events, peer_dialling.cpp whom
// to dial when, peer_messages.cpp what happens to what peers say, peer_lanes.cpp the second connections for chunks.

namespace sluice::p2p {

struct PeerManager::Impl {
    // A connection, from the first packet to its end.
    struct Peer {
        PeerInfo info;  // id, endpoint and direction from the start, the rest with the greeting
        ConnectionId connection_id;
        std::optional<Connection> connection;  // none while dialling
        Instant started{};
        bool greeted{false};  // its hello was right
        bool ready{false};
        bool was_ready{false};    // its end is an OnPeerGone
        size_t counted_bytes{0};  // its share of queued_bytes
        bool closed{false};       // waits to be removed
        bool dirty{false};        // has something to write
        bool told_addresses{false};
        std::optional<TokenBucket> addresses;  // that it may tell us
        std::string close_reason;
        std::optional<TokenBucket> work;  // what its messages cost us, in thousandths
        std::optional<TokenBucket> chunk_bytes;
        std::optional<Instant> resume_at;  // not read from before
        std::optional<PeerId> lane;        // its bulk lane, dialled or open
        bool lane_tried{false};
        std::optional<PeerId> lane_of;     // it is the bulk lane of that peer, and never ready itself
        bool lane_open{false};             // of a lane: chunks may travel on it
        bool lane_taken{false};            // of an open one: the network makes and reads its frames
        std::optional<Instant> filled_at;  // the network's window for it, and not drained since
        uint32_t fast_drains{0};           // less three for each slow one
    };
    using PeerPtr = std::unique_ptr<Peer>;

    static constexpr size_t kMaxVerified = 4096;

    // An endpoint that the operator wants to be connected to.
    struct Manual {
        std::optional<PeerId> peer;  // dialling or connected
        std::optional<NodeId> node;  // who answered there last
        Instant next_try{};
        seconds delay{0};
        std::string last_failure;
    };

    Impl(Network& network, const Clock& clock, RandomSource& random, PeerManagerConfig config, PeerEvents& events);

    // Runs `work` as an entry point: what it left to be written or removed is done when the outermost one ends.
    template <class Work>
    void Enter(const Work& work) {
        ++depth;
        work();
        if (depth == 1) Settle();
        --depth;
    }
    void Settle();

    Peer* Find(PeerId id) const;
    Peer* Find(ConnectionId id) const;
    Peer* FindReady(PeerId id) const;
    Peer* FindReady(const NodeId& node, const Peer* except) const;
    Peer& AddPeer(ConnectionId connection, const Endpoint& endpoint, Direction direction);
    void StartConnection(Peer& peer);
    // Closes the socket now; the peer itself goes at the end of the entry point.
    void Close(Peer& peer, const std::string& reason, bool close_socket = true);
    void ReportGone(Peer& peer);
    void Punish(Peer& peer, const std::string& reason);
    // Hands what is queued to the network as far as it takes it; of chunks no more than `max_chunk_bytes`, and under an
    // upload limit none at all unless it is the peer's turn.
    void Pump(Peer& peer);
    void PumpUpTo(Peer& peer, size_t max_chunk_bytes);
    bool HasRoom(const Peer& peer) const;                  // in the network, for more of its bytes
    size_t WriteNext(Peer& peer, size_t max_chunk_bytes);  // how many bytes
    // Lets the peers that wait under an upload limit send in turn, as far as it allows.
    void FeedWaiting();
    void UpdateUploadLimits();
    void CountQueued(Peer& peer);
    bool Send(Peer& peer, MessageType type, Payload payload);

    // peer_messages.cpp
    struct Sink;
    void Receive(Peer& peer, ByteSpan bytes);
    void Receive(Peer& lane, std::span<const Message> messages);
    void OnRead(Peer& peer, const Status& status);
    void OnSecured(Peer& peer, const NodeId& node);
    void OnReceived(Peer& peer, MessageType type, ByteSpan payload);
    void OnHello(Peer& peer, ByteSpan payload);
    bool ResolveDuplicate(Peer& peer);
    void OnGetAddresses(Peer& peer);
    void OnAddresses(Peer& peer, ByteSpan payload);
    void Charge(Peer& peer, MessageType type, size_t bytes);
    void PauseIfInDebt(Peer& peer);

    // peer_lanes.cpp
    // The dialling side asks for a lane once, when the first chunk goes either way.
    void DialLane(Peer& peer);
    void GreetLane(Peer& lane);
    // Has the network make and read the frames of an open lane, if it can.
    void HandOver(Peer& lane);
    // What was accepted says that it is the lane of a peer.
    void BecomeLane(Peer& newcomer);
    void OnLaneMessage(Peer& lane, MessageType type, ByteSpan payload);
    // A lane that was open ends with its peer, and its peer with it.
    void CloseOtherHalf(Peer& peer, const std::string& reason);
    // The peer's open lane; nullptr if there is none.
    Peer* LaneOf(const Peer& peer) const;
    // Who speaks: the peer itself, or that whose lane it is; nullptr if that is gone.
    Peer* OwnerOf(Peer& peer) const;
    size_t Lanes() const;
    PeerInfo InfoOf(const Peer& peer) const;

    // peer_places.cpp
    // Whether a new inbound connection may stay; ends another one for it if all places are taken.
    bool MakePlaceForInbound(const Endpoint& remote);
    bool HasPlaceForInbound() const;
    Peer* LeastOfInbound();

    // peer_dialling.cpp
    Peer* Dial(const Endpoint& endpoint, Direction direction);
    void DialManual();
    bool AdoptProvider(const Endpoint& endpoint, Manual& node);
    void DialAutomatic();
    bool DialAnchor();
    void DialSeed();
    bool WantsAutomatic() const;
    bool IsVerified(const Endpoint& endpoint) const { return verified.Has(endpoint) || addresses.IsTried(endpoint); }
    bool MayDial(const Endpoint& endpoint);
    size_t ProviderConnections() const;
    size_t ChainConnections() const { return by_connection.size() - ProviderConnections() - Lanes(); }
    void DialEnded(const Peer& peer);
    bool ConnectedTo(const Endpoint& endpoint) const;

    Network& network;
    const Clock& clock;
    RandomSource& random;
    PeerManagerConfig config;
    PeerEvents& events;
    NodeId own_id;
    Height best_height;

    std::optional<std::array<uint8_t, 32>> place_secret;  // which groups keep their places is nobody else's to know
    std::map<PeerId, PeerPtr> peers;
    std::map<ConnectionId, PeerId> by_connection;
    uint64_t last_peer_id{0};
    size_t queued_bytes{0};  // in all peers' queues
    UploadLimit upload_limit;
    size_t depth{0};  // of entry points
    std::set<PeerId> dirty;
    std::set<PeerId> closed;

    std::map<Endpoint, Manual> manual;
    bool automatic{true};
    Instant next_automatic{};
    AddressBook addresses;
    std::vector<Endpoint> last_anchors;  // the outbound peers when there were any
    std::vector<Endpoint> anchors;       // of the last run, not yet dialled
    std::map<Endpoint, Instant> seeds;   // and when each may be dialled again
    DialBudget dial_budget;
    BoundedSet<Endpoint> verified{kMaxVerified};  // where we met a node
    uint64_t outbound_changes{0};
    std::set<Endpoint> own_endpoints;  // where we reached ourselves
    Discouraged discouraged;
};

}  // namespace sluice::p2p
