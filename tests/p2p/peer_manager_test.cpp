#include "p2p/peer_manager.h"

#include <gtest/gtest.h>

#include "p2p/connection.h"
#include "p2p/memory_network.h"
#include "p2p/token_bucket.h"

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
    std::vector<std::pair<MessageType, Bytes>> messages;
    size_t drained{0};
    PeerManager* disconnect_on_message{nullptr};

    void OnPeerReady(PeerId, const PeerInfo& info) override { ready.push_back(info); }
    void OnPeerGone(PeerId, const std::string& reason) override { gone.push_back(reason); }
    void OnMessage(PeerId peer, MessageType type, ByteSpan payload) override {
        messages.emplace_back(type, ToBytes(payload));
        if (disconnect_on_message != nullptr) disconnect_on_message->Disconnect(peer, "enough");
    }
    void OnChunksDrained(PeerId) override { ++drained; }
};

struct TestNode {
    TestNode(MemoryInternet& internet, const Clock& clock, uint64_t seed, Endpoint the_address, uint8_t genesis = 1)
        : address(the_address), network(internet, address), random(seed) {
        PeerManagerConfig config;
        config.network.genesis.bytes.fill(genesis);
        config.node_key = Key(seed);
        config.user_agent = "/Sluice:test/";
        config.max_inbound_per_ip = 2;
        manager = std::make_unique<PeerManager>(network, clock, random, std::move(config), events);
        EXPECT_TRUE(manager->Listen(address));
    }
    Endpoint address;
    MemoryInternet::Node network;
    SeededRandom random;
    Events events;
    std::unique_ptr<PeerManager> manager;
};

class PeerManagerTest : public testing::Test {
  protected:
    static Endpoint Address(uint8_t last) { return Endpoint::Ipv4(8, last, 8, last, 9000); }
    void Connect(TestNode& from, const TestNode& to) {
        ASSERT_TRUE(from.manager->ConnectOnce(to.address));
        ASSERT_TRUE(internet.Deliver());
    }
    // A client that speaks the protocol by hand.
    struct RawClient : NetworkEvents, ConnectionEvents {
        RawClient(MemoryInternet& internet, Endpoint address, uint64_t seed)
            : network(internet, address), key(Key(seed)) {
            network.SetEvents(*this);
            NetworkId id;
            id.genesis.bytes.fill(1);
            connection.emplace(true, id, key, Key(seed + 1000), Instant{});
        }
        void Dial(const Endpoint& endpoint) { socket = network.Connect(endpoint); }
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
            if (greet) {
                EXPECT_TRUE(connection->Send(MessageType::kHello, Encode(hello)));
            }
        }
        void OnReceived(MessageType, ByteSpan) override {}

        MemoryInternet::Node network;
        crypto::X25519SecretKey key;
        std::optional<Connection> connection;
        ConnectionId socket;
        Hello hello;
        bool greet{true};
        bool closed{false};
    };

    ManualClock clock;
    MemoryInternet internet;
};

TEST_F(PeerManagerTest, TwoNodesMeetAndTalk) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    a.manager->SetBestHeight(Height(77));
    Connect(a, b);
    ASSERT_EQ(a.events.ready.size(), 1u);
    ASSERT_EQ(b.events.ready.size(), 1u);
    EXPECT_EQ(b.events.ready[0].node_id, a.manager->node_id());
    EXPECT_EQ(b.events.ready[0].hello.best_height, Height(77));
    EXPECT_EQ(b.events.ready[0].direction, Direction::kInbound);
    EXPECT_EQ(a.events.ready[0].direction, Direction::kManual);
    EXPECT_EQ(b.events.ready[0].Listening(), a.address);
    const PeerId peer = a.events.ready[0].id;
    ASSERT_TRUE(a.manager->Send(peer, MessageType::kTransaction, Bytes(50'000, 7)));
    ASSERT_TRUE(internet.Deliver());
    ASSERT_EQ(b.events.messages.size(), 1u);
    EXPECT_EQ(b.events.messages[0].second, Bytes(50'000, 7));
    EXPECT_EQ(a.manager->QueuedBytes(peer, MessageClass::kTransactions), 0u);
    EXPECT_GT(a.manager->Peer(peer)->bytes_sent, 50'000u);
    EXPECT_EQ(a.manager->Peer(peer)->bytes_sent, b.manager->Peers()[0].bytes_received);
}

TEST_F(PeerManagerTest, PingTimesAreMeasured) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    Connect(a, b);
    a.manager->Tick();
    clock.Advance(milliseconds(40));
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(a.manager->Peers()[0].ping, milliseconds(40));
}

TEST_F(PeerManagerTest, NodesOfAnotherGenesisPartAtOnce) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2), 9);
    a.manager->AddNode(b.address);
    a.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_TRUE(a.events.ready.empty());
    EXPECT_TRUE(b.events.ready.empty());
    EXPECT_EQ(a.manager->ConnectionCount(), 0u);
    EXPECT_EQ(b.manager->ConnectionCount(), 0u);
    EXPECT_EQ(a.manager->ManualNodes()[0].last_failure.substr(0, 35), "the peer has another genesis block:");
    EXPECT_FALSE(b.manager->IsDiscouraged(a.manager->node_id()));
}

TEST_F(PeerManagerTest, AConnectionToOneselfEndsAndIsNotTriedAgain) {
    TestNode a(internet, clock, 1, Address(1));
    a.manager->AddNode(a.address);
    for (int i = 0; i < 5; ++i) {
        a.manager->Tick();
        ASSERT_TRUE(internet.Deliver());
        clock.Advance(seconds(100));
    }
    EXPECT_TRUE(a.events.ready.empty());
    EXPECT_EQ(a.manager->ConnectionCount(), 0u);
    EXPECT_EQ(a.manager->NextWakeup(), Instant::max());
    EXPECT_FALSE(a.manager->ManualNodes()[0].last_failure.empty());
}

TEST_F(PeerManagerTest, OfTwoOppositeConnectionsTheOneOfTheLowerIdStays) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    a.manager->AddNode(b.address);
    b.manager->AddNode(a.address);
    for (int i = 0; i < 10; ++i) {
        a.manager->Tick();
        b.manager->Tick();
        ASSERT_TRUE(internet.Deliver());
        clock.Advance(seconds(70));
    }
    ASSERT_EQ(a.manager->Peers().size(), 1u);
    ASSERT_EQ(b.manager->Peers().size(), 1u);
    const bool a_dialled = a.manager->node_id() < b.manager->node_id();
    EXPECT_EQ(a.manager->Peers()[0].Inbound(), !a_dialled);
    EXPECT_EQ(b.manager->Peers()[0].Inbound(), a_dialled);
    EXPECT_EQ(a.manager->ConnectionCount(), 1u);
    EXPECT_EQ(b.manager->ConnectionCount(), 1u);
    // One connection was replaced by the other at most once, and every loss was told.
    EXPECT_LE(a.events.ready.size(), 2u);
    EXPECT_EQ(a.events.gone.size() + 1, a.events.ready.size());
    EXPECT_EQ(a.manager->ManualNodes()[0].connected, a.manager->Peers()[0].id);
}

TEST_F(PeerManagerTest, ASecondConnectionInTheSameDirectionIsRefused) {
    TestNode b(internet, clock, 2, Address(2));
    RawClient first(internet, Address(1), 1);
    RawClient second(internet, Address(3), 1);
    first.Dial(b.address);
    ASSERT_TRUE(internet.Deliver());
    second.Dial(b.address);
    ASSERT_TRUE(internet.Deliver());
    EXPECT_FALSE(first.closed);
    EXPECT_TRUE(second.closed);
    EXPECT_EQ(b.events.ready.size(), 1u);
    EXPECT_TRUE(b.events.gone.empty());
}

TEST_F(PeerManagerTest, AddedNodesAreDialledAgainWithGrowingDelays) {
    TestNode a(internet, clock, 1, Address(1));
    a.manager->AddNode(Address(2));
    std::vector<int64_t> delays;
    for (int i = 0; i < 9; ++i) {
        a.manager->Tick();
        ASSERT_TRUE(internet.Deliver());
        const microseconds delay = a.manager->NextWakeup() - clock.Monotonic();
        delays.push_back(std::chrono::duration_cast<seconds>(delay).count());
        clock.Advance(delay);
    }
    for (size_t i = 0; i < delays.size(); ++i) {
        const int64_t base = std::min<int64_t>(60, 1 << i);
        EXPECT_GE(delays[i], base);
        EXPECT_LE(delays[i], base + base / 4);
    }
    EXPECT_EQ(a.manager->ManualNodes()[0].last_failure, "connection refused");
    TestNode b(internet, clock, 2, Address(2));
    a.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(a.events.ready.size(), 1u);
    b.manager->Disconnect(b.events.ready[0].id, "restart");
    EXPECT_EQ(b.events.gone, std::vector<std::string>{"restart"});
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(a.events.gone.size(), 1u);
    clock.Advance(seconds(75));
    a.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(a.events.ready.size(), 2u);
    EXPECT_TRUE(a.manager->RemoveNode(b.address));
    EXPECT_FALSE(a.manager->RemoveNode(b.address));
}

TEST_F(PeerManagerTest, WhoMisbehavesIsRefusedForAWhile) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    Connect(a, b);
    b.manager->Misbehaving(b.events.ready[0].id, "lies");
    EXPECT_TRUE(b.manager->IsDiscouraged(a.manager->node_id()));
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(a.events.gone.size(), 1u);
    clock.Advance(seconds(3599));
    Connect(a, b);
    EXPECT_EQ(b.events.ready.size(), 1u);
    clock.Advance(seconds(1));
    Connect(a, b);
    EXPECT_EQ(b.events.ready.size(), 2u);
}

TEST_F(PeerManagerTest, OnLoopbackOnlyTheNodeIdIsRefused) {
    TestNode a(internet, clock, 1, Endpoint::Ipv4(127, 0, 0, 1, 1));
    TestNode b(internet, clock, 2, Endpoint::Ipv4(127, 0, 0, 1, 2));
    TestNode c(internet, clock, 3, Endpoint::Ipv4(127, 0, 0, 1, 3));
    Connect(a, b);
    b.manager->Misbehaving(b.events.ready[0].id, "lies");
    ASSERT_TRUE(internet.Deliver());
    Connect(a, b);
    EXPECT_EQ(b.events.ready.size(), 1u);
    Connect(c, b);
    EXPECT_EQ(b.events.ready.size(), 2u);
}

TEST_F(PeerManagerTest, AFirstMessageThatIsNotHelloIsMisbehaviour) {
    TestNode b(internet, clock, 2, Address(2));
    RawClient raw(internet, Address(1), 1);
    raw.greet = false;
    raw.Dial(b.address);
    ASSERT_TRUE(internet.Deliver());
    ASSERT_TRUE(raw.connection->Send(MessageType::kVote, Bytes(1)));
    raw.Flush();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_TRUE(raw.closed);
    EXPECT_TRUE(b.events.ready.empty());
    EXPECT_TRUE(b.events.messages.empty());
    EXPECT_TRUE(b.manager->IsDiscouraged(crypto::X25519Public(raw.key)));
}

TEST_F(PeerManagerTest, ASecondHelloIsMisbehaviour) {
    TestNode b(internet, clock, 2, Address(2));
    RawClient raw(internet, Address(1), 1);
    raw.Dial(b.address);
    ASSERT_TRUE(internet.Deliver());
    ASSERT_EQ(b.events.ready.size(), 1u);
    ASSERT_TRUE(raw.connection->Send(MessageType::kHello, Encode(raw.hello)));
    raw.Flush();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(b.events.gone, std::vector<std::string>{"a second hello"});
}

TEST_F(PeerManagerTest, AUserAgentThatIsNotPrintableIsRefused) {
    TestNode b(internet, clock, 2, Address(2));
    RawClient raw(internet, Address(1), 1);
    raw.hello.user_agent = "a\nb";
    raw.Dial(b.address);
    ASSERT_TRUE(internet.Deliver());
    EXPECT_TRUE(raw.closed);
    EXPECT_TRUE(b.events.ready.empty());
}

TEST_F(PeerManagerTest, InboundIsLimitedForEachIpButLoopback) {
    TestNode b(internet, clock, 2, Address(2));
    std::vector<std::unique_ptr<RawClient>> clients;
    for (uint64_t i = 0; i < 3; ++i) {
        clients.push_back(std::make_unique<RawClient>(internet, Address(1), 10 + i));
        clients.back()->Dial(b.address);
        ASSERT_TRUE(internet.Deliver());
    }
    EXPECT_EQ(b.events.ready.size(), 2u);
    for (uint64_t i = 0; i < 3; ++i) {
        clients.push_back(std::make_unique<RawClient>(internet, Endpoint::Ipv4(127, 0, 0, 1, 5), 20 + i));
        clients.back()->Dial(b.address);
        ASSERT_TRUE(internet.Deliver());
    }
    EXPECT_EQ(b.events.ready.size(), 5u);
}

TEST_F(PeerManagerTest, AFloodIsReadNoFasterThanItsTokens) {
    TestNode b(internet, clock, 2, Address(2));
    RawClient raw(internet, Address(1), 1);
    raw.Dial(b.address);
    ASSERT_TRUE(internet.Deliver());
    const auto flood = [&](size_t count) {
        for (size_t i = 0; i < count; ++i) ASSERT_TRUE(raw.connection->Send(MessageType::kVote, Bytes(1)));
        raw.Flush();
        ASSERT_TRUE(internet.Deliver());
    };
    // The burst is 4,000 messages; what is over it delays the next.
    flood(2500);
    flood(2500);
    const size_t before = b.events.messages.size();
    EXPECT_EQ(before, 5000u);
    flood(1);
    EXPECT_EQ(b.events.messages.size(), before);
    const Instant resume = b.manager->NextWakeup();
    clock.Advance(milliseconds(900));
    b.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(b.events.messages.size(), before);
    clock.Advance(milliseconds(200));
    EXPECT_LE(resume, clock.Monotonic());
    b.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(b.events.messages.size(), before + 1);
    EXPECT_FALSE(raw.closed);
}

TEST_F(PeerManagerTest, WhatAMessageCostsBesidesDelaysThePeersNext) {
    TestNode b(internet, clock, 2, Address(2));
    RawClient raw(internet, Address(1), 1);
    raw.Dial(b.address);
    ASSERT_TRUE(internet.Deliver());
    const auto send = [&] {
        ASSERT_TRUE(raw.connection->Send(MessageType::kVote, Bytes(1)));
        raw.Flush();
        ASSERT_TRUE(internet.Deliver());
    };
    const PeerId peer = b.manager->Peers().at(0).id;
    b.manager->Charge(peer, 3'000'000);
    send();
    send();
    EXPECT_EQ(b.events.messages.size(), 2u) << "it has tokens left";
    b.manager->Charge(peer, 3'000'000);
    send();  // after this one
    send();
    EXPECT_EQ(b.events.messages.size(), 3u);
    clock.Advance(seconds(3));
    b.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(b.events.messages.size(), 4u);
    EXPECT_FALSE(raw.closed);
}

TEST_F(PeerManagerTest, AFloodOfAddressesIsNotLookedAt) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    Connect(a, b);
    const PeerId asker = b.manager->Peers().at(0).id;
    const auto now_s =
        static_cast<uint64_t>(std::chrono::duration_cast<seconds>(clock.Now().time_since_epoch()).count());
    for (uint8_t message = 0; message < 10; ++message) {
        Addresses told;
        for (size_t i = 0; i < 256; ++i)  // each in a group of its own
            told.entries.push_back(
                {Endpoint::Ipv4(static_cast<uint8_t>(30 + message), static_cast<uint8_t>(i), 1, 1, 9000), 1, now_s});
        ASSERT_TRUE(b.manager->Send(asker, MessageType::kAddresses, Encode(told)));
        ASSERT_TRUE(internet.Deliver());
    }
    EXPECT_EQ(a.manager->KnownAddresses().size(), 512u);
    EXPECT_TRUE(a.events.gone.empty());
}

TEST_F(PeerManagerTest, AFullQueueRefusesAndDrainedTellsWhenToGoOn) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    Connect(a, b);
    const PeerId peer = a.events.ready[0].id;
    size_t sent = 0;
    while (a.manager->Send(peer, MessageType::kContentChunk, Bytes(16'384))) ++sent;
    EXPECT_GT(sent, 60u);
    EXPECT_LE(a.manager->QueuedBytes(peer, MessageClass::kChunks), PeerManager::QueueLimitBytes(MessageClass::kChunks));
    EXPECT_EQ(a.events.drained, 0u);
    ASSERT_TRUE(internet.Deliver());
    EXPECT_GT(a.events.drained, 0u);
    EXPECT_EQ(b.events.messages.size(), sent);
}

TEST_F(PeerManagerTest, APeerMayBeDisconnectedFromInsideItsMessage) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    Connect(a, b);
    b.events.disconnect_on_message = b.manager.get();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(a.manager->Send(a.events.ready[0].id, MessageType::kVote, Bytes(1)));
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(b.events.messages.size(), 1u);
    EXPECT_EQ(b.events.gone, std::vector<std::string>{"enough"});
    EXPECT_EQ(b.manager->ConnectionCount(), 0u);
    EXPECT_EQ(a.events.gone.size(), 1u);
    EXPECT_FALSE(a.manager->Send(a.events.ready[0].id, MessageType::kVote, Bytes(1)));
}

TEST_F(PeerManagerTest, HalfOpenConnectionsAreClosedAfterTheirTime) {
    TestNode b(internet, clock, 2, Address(2));
    struct Deaf : RawClient {
        using RawClient::RawClient;
        void OnConnected(ConnectionId) override {}
        void OnBytes(ConnectionId, ByteSpan) override {}
    } deaf(internet, Address(1), 1);
    deaf.Dial(b.address);
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(b.manager->ConnectionCount(), 1u);
    EXPECT_EQ(b.manager->NextWakeup(), clock.Monotonic() + Connection::kHandshakeTimeout);
    clock.Advance(Connection::kHandshakeTimeout);
    b.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(b.manager->ConnectionCount(), 0u);
    EXPECT_TRUE(deaf.closed);
}

TEST_F(PeerManagerTest, APeerThatNeverGreetsIsClosedThoughItAnswersPings) {
    TestNode b(internet, clock, 2, Address(2));
    RawClient raw(internet, Address(1), 1);
    raw.greet = false;
    raw.Dial(b.address);
    ASSERT_TRUE(internet.Deliver());
    clock.Advance(seconds(20) - microseconds(1));
    b.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_FALSE(raw.closed);
    EXPECT_EQ(b.manager->NextWakeup(), clock.Monotonic() + microseconds(1));
    clock.Advance(microseconds(1));
    b.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_TRUE(raw.closed);
}

TEST_F(PeerManagerTest, AddressesOfListeningPeersAreGossipedAndDialled) {
    TestNode a(internet, clock, 1, Address(1));
    TestNode b(internet, clock, 2, Address(2));
    TestNode c(internet, clock, 3, Address(3));
    Connect(a, b);
    Connect(c, b);
    EXPECT_EQ(b.manager->KnownAddresses().size(), 2u);
    // c asked b, which told of a (and of c itself).
    c.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    clock.Advance(seconds(1));
    c.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    const std::vector<PeerInfo> peers = c.manager->Peers();
    EXPECT_TRUE(std::any_of(peers.begin(), peers.end(), [&](const PeerInfo& info) {
        return info.node_id == a.manager->node_id() && info.direction == Direction::kOutbound;
    }));
}

TEST(TokenBucket, PaysItsDebtAtItsRate) {
    Instant now{};
    TokenBucket bucket(10, 100, now);
    bucket.Charge(100, now);
    EXPECT_FALSE(bucket.InDebt());
    bucket.Charge(5, now);
    EXPECT_TRUE(bucket.InDebt());
    EXPECT_EQ(bucket.FreeAt(now), now + milliseconds(500));
    bucket.Charge(0, now + milliseconds(499));
    EXPECT_TRUE(bucket.InDebt());
    bucket.Charge(0, now + milliseconds(500));
    EXPECT_FALSE(bucket.InDebt());
    bucket.Charge(101, now + seconds(1'000'000));
    EXPECT_TRUE(bucket.InDebt());
}

}  // namespace
}  // namespace sluice::p2p
