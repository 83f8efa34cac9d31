#include <gtest/gtest.h>

#include "p2p/connection.h"
#include "p2p/memory_network.h"
#include "p2p/peer_manager.h"

// Bulk lanes: the second connection between two nodes, for chunks alone.

namespace sluice::p2p {
namespace {

crypto::X25519SecretKey Key(uint64_t seed) {
    crypto::X25519SecretKey key;
    SeededRandom(seed).Fill(key.span());
    return key;
}

struct Events : PeerEvents {
    std::vector<PeerInfo> ready;
    std::vector<std::string> gone;
    std::vector<std::pair<PeerId, MessageType>> messages;
    std::vector<PeerId> drained;
    void OnPeerReady(PeerId, const PeerInfo& info) override { ready.push_back(info); }
    void OnPeerGone(PeerId, const std::string& reason) override { gone.push_back(reason); }
    void OnMessage(PeerId peer, MessageType type, ByteSpan) override { messages.emplace_back(peer, type); }
    void OnChunksDrained(PeerId peer) override { drained.push_back(peer); }
};

struct TestNode {
    TestNode(MemoryInternet& internet, const Clock& clock, uint64_t seed, Endpoint the_address, size_t max_peers = 125)
        : address(the_address), network(internet, address), random(seed) {
        PeerManagerConfig config;
        config.network.genesis.bytes.fill(1);
        config.node_key = Key(seed);
        config.user_agent = "/Sluice:test/";
        config.max_peers = max_peers;
        manager = std::make_unique<PeerManager>(network, clock, random, std::move(config), events);
        EXPECT_TRUE(manager->Listen(address));
    }
    PeerId only_peer() const { return manager->Peers().at(0).id; }
    Endpoint address;
    MemoryInternet::Node network;
    SeededRandom random;
    Events events;
    std::unique_ptr<PeerManager> manager;
};

// Speaks the protocol by hand: its first message is the test's.
struct RawClient : NetworkEvents, ConnectionEvents {
    RawClient(MemoryInternet& internet, Endpoint address, uint64_t seed, std::optional<MessageType> the_first)
        : network(internet, address), key(Key(seed)), first(the_first) {
        network.SetEvents(*this);
        NetworkId id;
        id.genesis.bytes.fill(1);
        connection.emplace(true, id, key, Key(seed + 1000), Instant{});
    }
    void Dial(const Endpoint& endpoint) { socket = network.Connect(endpoint); }
    void Say(MessageType type, Bytes payload = {}) {
        EXPECT_TRUE(connection->Send(type, std::move(payload)));
        Flush();
    }
    void Flush() {
        while (connection->HasWritable()) network.Write(socket, connection->TakeWritable(1 << 20));
    }
    void OnAccepted(ConnectionId, const Endpoint&) override {}
    void OnConnected(ConnectionId) override { Flush(); }
    void OnConnectFailed(ConnectionId, const std::string&) override {}
    void OnBytes(ConnectionId, ByteSpan bytes) override {
        EXPECT_TRUE(connection->OnBytes(bytes, Instant{}, *this));
        Flush();
    }
    void OnWritable(ConnectionId) override {}
    void OnClosed(ConnectionId, const std::string&) override { closed = true; }
    void OnSecured(const NodeId&) override {
        if (first == MessageType::kHello) {
            EXPECT_TRUE(connection->Send(MessageType::kHello, Encode(Hello{})));
        } else if (first) {
            EXPECT_TRUE(connection->Send(*first, Bytes()));
        }
    }
    void OnReceived(MessageType type, ByteSpan) override { received.push_back(type); }
    bool Heard(MessageType type) const { return std::find(received.begin(), received.end(), type) != received.end(); }

    MemoryInternet::Node network;
    crypto::X25519SecretKey key;
    std::optional<MessageType> first;
    std::optional<Connection> connection;
    ConnectionId socket;
    std::vector<MessageType> received;
    bool closed{false};
};

class PeerLanesTest : public testing::Test {
  protected:
    static Endpoint Address(uint8_t last) { return Endpoint::Ipv4(8, last, 8, last, 9000); }
    void Connect(TestNode& from, const TestNode& to) {
        ASSERT_TRUE(from.manager->ConnectOnce(to.address));
        ASSERT_TRUE(internet.Deliver());
    }
    void SendChunk(TestNode& from, size_t bytes = 16'384) {
        ASSERT_TRUE(from.manager->Send(from.only_peer(), MessageType::kContentChunk, Bytes(bytes)));
        ASSERT_TRUE(internet.Deliver());
    }
    // Raw clients of one key: a peer of `node` with hello, then one more connection.
    std::unique_ptr<RawClient> Meet(const TestNode& node, uint64_t seed, std::optional<MessageType> first) {
        auto client = std::make_unique<RawClient>(internet, Address(static_cast<uint8_t>(seed)), seed, first);
        client->Dial(node.address);
        EXPECT_TRUE(internet.Deliver());
        return client;
    }

    ManualClock clock;
    MemoryInternet internet;
};

TEST_F(PeerLanesTest, TheFirstChunkOpensALaneAndThoseThatFollowTravelOnIt) {
    for (const bool dialler_sends : {true, false}) {
        MemoryInternet net;
        TestNode a(net, clock, 1, Address(1));
        TestNode b(net, clock, 2, Address(2));
        ASSERT_TRUE(a.manager->ConnectOnce(b.address));
        ASSERT_TRUE(net.Deliver());
        EXPECT_EQ(b.manager->ConnectionCount(), 1u) << "no lane without chunks";
        TestNode& sender = dialler_sends ? a : b;
        TestNode& receiver = dialler_sends ? b : a;
        for (size_t i = 0; i < 3; ++i) {
            ASSERT_TRUE(sender.manager->Send(sender.only_peer(), MessageType::kContentChunk, Bytes(16'384)));
            ASSERT_TRUE(net.Deliver());
        }
        EXPECT_EQ(a.manager->ConnectionCount(), 2u);
        EXPECT_EQ(b.manager->ConnectionCount(), 2u);
        EXPECT_EQ(a.network.dials_to(b.address), 2u);
        EXPECT_EQ(b.network.dials_to(a.address), 0u);
        // One peer at each side, to whom all of it belongs.
        EXPECT_EQ(a.events.ready.size() + b.events.ready.size(), 2u);
        EXPECT_EQ(a.manager->Peers().size(), 1u);
        EXPECT_EQ(b.manager->Peers().size(), 1u);
        using Message = std::pair<PeerId, MessageType>;
        EXPECT_EQ(receiver.events.messages,
                  std::vector<Message>(3, Message(receiver.only_peer(), MessageType::kContentChunk)));
        EXPECT_EQ(sender.manager->Peers()[0].bytes_sent, receiver.manager->Peers()[0].bytes_received);
        EXPECT_GT(sender.manager->Peers()[0].bytes_sent, 3 * 16'384u);
    }
}

TEST_F(PeerLanesTest, AFullLaneTellsItsPeerWhenItHasDrained) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    Connect(a, b);
    SendChunk(b);
    size_t sent = 0;
    while (b.manager->Send(b.only_peer(), MessageType::kContentChunk, Bytes(16'384))) ++sent;
    EXPECT_GT(sent, 60u);
    EXPECT_GT(b.manager->QueuedBytes(b.only_peer(), MessageClass::kChunks), 0u);
    ASSERT_TRUE(internet.Deliver());
    ASSERT_FALSE(b.events.drained.empty());
    for (const PeerId told : b.events.drained) EXPECT_EQ(told, b.only_peer());
    EXPECT_EQ(b.manager->QueuedBytes(b.only_peer(), MessageClass::kChunks), 0u);
    EXPECT_EQ(a.events.messages.size(), sent + 1);
}

TEST_F(PeerLanesTest, ALaneIsGivenMoreAtATimeOverALineThatIsThroughWithItInFourMilliseconds) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    Connect(a, b);
    SendChunk(b);
    const auto queued = [&] { return b.manager->QueuedBytes(b.only_peer(), MessageClass::kChunks); };
    // The most that the network is given at once when what filled it has arrived after `time`.
    const auto given = [&](microseconds time) {
        while (queued() < (size_t{200} << 10))
            EXPECT_TRUE(b.manager->Send(b.only_peer(), MessageType::kContentChunk, Bytes(16'384)));
        clock.Advance(time);
        b.network.ForgetWrites();
        EXPECT_TRUE(internet.Deliver());
        EXPECT_EQ(queued(), 0u);
        return b.network.largest_write();
    };
    constexpr size_t kLess = 132 << 10;
    EXPECT_LE(given(seconds(1)), kLess);
    size_t rounds = 1;
    while (given(milliseconds(4)) <= kLess) ASSERT_LE(++rounds, 3u);
    EXPECT_EQ(rounds, 2u) << "a third drain in a row: one of the first round, two of each after it";
    for (int i = 0; i < 3; ++i) EXPECT_GT(given(milliseconds(4)), kLess);
    constexpr auto kSlow = milliseconds(4) + microseconds(1);
    EXPECT_GT(given(kSlow), kLess) << "one alone";
    EXPECT_LE(given(kSlow), kLess) << "two with one fast drain between them";
    EXPECT_LE(given(kSlow), kLess);
}

TEST_F(PeerLanesTest, ALaneEndsWithItsPeerAndThePeerWithItsLane) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    Connect(a, b);
    SendChunk(b);
    a.manager->Disconnect(a.only_peer(), "enough");
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(a.events.gone, std::vector<std::string>{"enough"});
    EXPECT_EQ(b.events.gone.size(), 1u);
    EXPECT_EQ(a.network.connections(), 0u);
    EXPECT_EQ(b.network.connections(), 0u);

    const auto peer = Meet(b, 3, MessageType::kHello);
    const auto lane = Meet(b, 3, MessageType::kBulkLane);
    EXPECT_EQ(b.manager->ConnectionCount(), 2u);
    lane->network.Close(lane->socket);
    ASSERT_TRUE(internet.Deliver());
    EXPECT_TRUE(peer->closed) << "what it lost on the lane would be missed for ever";
    EXPECT_EQ(b.events.gone.size(), 2u);
    EXPECT_EQ(b.manager->ConnectionCount(), 0u);
}

TEST_F(PeerLanesTest, AsLongAsThereIsNoLaneChunksTravelAsEverythingElse) {
    TestNode a(internet, clock, 1, Address(1));
    const auto peer = Meet(a, 3, MessageType::kHello);
    // We did not dial, and the other side does not either.
    SendChunk(a);
    EXPECT_TRUE(peer->Heard(MessageType::kContentChunk));
    EXPECT_EQ(a.manager->ConnectionCount(), 1u);
    peer->Say(MessageType::kContentChunk, Bytes(9));
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(a.events.messages.size(), 1u);
}

TEST_F(PeerLanesTest, ALaneThatIsRefusedIsNotDialledAgainAndThePeerStays) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2), 2);  // of its two places one is kept for outbound
    Connect(a, b);
    for (size_t i = 0; i < 3; ++i) SendChunk(a);
    EXPECT_EQ(a.manager->ConnectionCount(), 1u);
    EXPECT_EQ(a.network.dials_to(b.address), 2u);
    EXPECT_EQ(b.events.messages.size(), 3u);
    EXPECT_TRUE(a.events.gone.empty());
    EXPECT_TRUE(b.events.gone.empty());
}

TEST_F(PeerLanesTest, LanesTakeNoPlacesOfPeers) {
    TestNode b(internet, clock, 9, Address(9), 4);  // two places for inbound
    const auto first = Meet(b, 1, MessageType::kHello);
    const auto lane = Meet(b, 1, MessageType::kBulkLane);
    const auto second = Meet(b, 2, MessageType::kHello);
    EXPECT_EQ(b.manager->Peers().size(), 2u);
    EXPECT_EQ(b.manager->ConnectionCount(), 3u);
    EXPECT_TRUE(b.events.gone.empty());
}

// [more connections than the limits allow, as lanes]
TEST_F(PeerLanesTest, APeerHasOneLaneAtMost) {
    TestNode b(internet, clock, 9, Address(9));
    const auto peer = Meet(b, 1, MessageType::kHello);
    const auto lane = Meet(b, 1, MessageType::kBulkLane);
    const auto another = Meet(b, 1, MessageType::kBulkLane);
    EXPECT_TRUE(lane->Heard(MessageType::kBulkLane));
    EXPECT_FALSE(lane->closed);
    EXPECT_FALSE(another->Heard(MessageType::kBulkLane));
    EXPECT_TRUE(another->closed);
    EXPECT_FALSE(peer->closed);
    EXPECT_EQ(b.manager->ConnectionCount(), 2u);
}

// [a lane that joins another node's connection]
TEST_F(PeerLanesTest, ALaneWithoutAConnectionOfTheSameNodeIsClosedWithoutBlame) {
    TestNode b(internet, clock, 9, Address(9));
    const auto peer = Meet(b, 1, MessageType::kHello);
    const auto stranger = Meet(b, 2, MessageType::kBulkLane);
    EXPECT_TRUE(stranger->closed);
    EXPECT_FALSE(b.manager->IsDiscouraged(crypto::X25519Public(stranger->key)));
    EXPECT_EQ(b.manager->ConnectionCount(), 1u);
}

// [chain messages on a lane, past the limits of the peer]
TEST_F(PeerLanesTest, AnythingButChunksOnALaneIsMisbehaviour) {
    for (const MessageType type : {MessageType::kVote, MessageType::kContentControl, MessageType::kBulkLane}) {
        TestNode b(internet, clock, 9, Address(static_cast<uint8_t>(100 + static_cast<int>(type))));
        const auto peer = Meet(b, 1, MessageType::kHello);
        const auto lane = Meet(b, 1, MessageType::kBulkLane);
        lane->Say(MessageType::kContentChunk, Bytes(9));
        ASSERT_TRUE(internet.Deliver());
        EXPECT_EQ(b.events.messages.size(), 1u);
        lane->Say(type);
        ASSERT_TRUE(internet.Deliver());
        EXPECT_EQ(b.events.messages.size(), 1u);
        EXPECT_TRUE(lane->closed);
        EXPECT_TRUE(peer->closed);
        EXPECT_TRUE(b.manager->IsDiscouraged(crypto::X25519Public(lane->key)));
    }
}

TEST_F(PeerLanesTest, BulklaneAfterHelloIsMisbehaviour) {
    TestNode b(internet, clock, 9, Address(9));
    const auto peer = Meet(b, 1, MessageType::kHello);
    peer->Say(MessageType::kBulkLane);
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(b.events.gone, std::vector<std::string>{"bulklane after hello"});
}

TEST_F(PeerLanesTest, AnOpenLaneOutlivesTheTimeForHelloAndAnswersPings) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    Connect(a, b);
    SendChunk(b);
    for (int i = 0; i < 10; ++i) {
        clock.Advance(seconds(20));
        a.manager->Tick();
        b.manager->Tick();
        ASSERT_TRUE(internet.Deliver());
    }
    EXPECT_EQ(a.manager->ConnectionCount(), 2u);
    EXPECT_EQ(b.manager->ConnectionCount(), 2u);
    EXPECT_TRUE(a.events.gone.empty());
}

TEST_F(PeerLanesTest, LimitsOnUploadHoldForALane) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    Connect(a, b);
    SendChunk(b);
    const auto limit = BandwidthSchedule::Parse({"64"});
    ASSERT_TRUE(limit);
    b.manager->SetUploadLimits(*limit, {});
    a.events.messages.clear();
    while (b.manager->Send(b.only_peer(), MessageType::kContentChunk, Bytes(16'384))) {
    }
    for (int i = 0; i < 40; ++i) {
        clock.Advance(milliseconds(100));
        b.manager->Tick();
        ASSERT_TRUE(internet.Deliver());
    }
    EXPECT_GE(a.events.messages.size(), 12u);
    EXPECT_LE(a.events.messages.size(), 4 * 4 + 8u);
}

}  // namespace
}  // namespace sluice::p2p
