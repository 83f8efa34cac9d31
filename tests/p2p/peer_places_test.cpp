#include <gtest/gtest.h>

#include "p2p/memory_network.h"
#include "p2p/peer_manager.h"

// Inbound places when they are all taken: a new peer gets one, and those that are hard to fake keep theirs.

namespace sluice::p2p {
namespace {

struct Events : PeerEvents {
    std::map<PeerId, Endpoint> ready;
    std::vector<Endpoint> gone;
    void OnPeerReady(PeerId peer, const PeerInfo& info) override { ready[peer] = info.endpoint; }
    void OnPeerGone(PeerId peer, const std::string&) override {
        gone.push_back(ready.at(peer));
        ready.erase(peer);
    }
    void OnMessage(PeerId, MessageType, ByteSpan) override {}
    void OnChunksDrained(PeerId) override {}
    bool Has(const Endpoint& endpoint) const {
        return std::any_of(ready.begin(), ready.end(), [&](const auto& one) { return one.second.ip == endpoint.ip; });
    }
};

struct Node {
    Node(MemoryInternet& internet, const Clock& clock, uint64_t seed, Endpoint the_address, size_t max_peers = 125)
        : address(the_address), network(internet, address), random(seed) {
        PeerManagerConfig config;
        config.network.genesis.bytes.fill(1);
        SeededRandom(seed).Fill(config.node_key.span());
        config.user_agent = "/Sluice:test/";
        config.max_peers = max_peers;
        manager = std::make_unique<PeerManager>(network, clock, random, std::move(config), events);
        EXPECT_TRUE(manager->Listen(address));
    }
    Endpoint address;
    MemoryInternet::Node network;
    SeededRandom random;
    Events events;
    std::unique_ptr<PeerManager> manager;
};

class PeerPlaces : public testing::Test {
  protected:
    // The address of the n-th node of a group (a /16).
    static Endpoint Address(uint8_t group, uint8_t n) { return Endpoint::Ipv4(20, group, n, 1, 9000); }
    void Make(size_t max_peers) {
        server = std::make_unique<Node>(internet, clock, 1, Endpoint::Ipv4(8, 8, 8, 8, 9000), max_peers);
    }
    // Connects to the server, a second after whoever came last.
    void Come(Endpoint address) {
        clock.Advance(seconds(1));
        address.port = static_cast<uint16_t>(address.port + clients.size());
        clients.push_back(std::make_unique<Node>(internet, clock, 100 + clients.size(), address));
        EXPECT_TRUE(clients.back()->manager->ConnectOnce(server->address));
        EXPECT_TRUE(internet.Deliver());
    }

    ManualClock clock;
    MemoryInternet internet;
    std::unique_ptr<Node> server;
    std::vector<std::unique_ptr<Node>> clients;
};

TEST_F(PeerPlaces, ANewPeerGetsThePlaceOfTheNewestOfTheLargestGroup) {
    Make(40);  // 32 of them inbound
    for (uint8_t i = 0; i < 16; ++i) Come(Address(i, 1));
    for (uint8_t i = 0; i < 16; ++i) Come(Address(99, i));
    ASSERT_EQ(server->events.ready.size(), 32u);
    EXPECT_TRUE(server->events.gone.empty());
    Come(Address(50, 1));
    EXPECT_EQ(server->events.ready.size(), 32u);
    EXPECT_TRUE(server->events.Has(Address(50, 1)));
    ASSERT_EQ(server->events.gone.size(), 1u);
    EXPECT_EQ(server->events.gone[0].ip, Address(99, 15).ip);
}

TEST_F(PeerPlaces, WhoIsHereForLongKeepsItsPlaceWhateverComes) {
    Make(40);
    for (uint8_t i = 0; i < 12; ++i) Come(Address(i, 1));
    for (uint8_t i = 0; i < 200; ++i) Come(Address(static_cast<uint8_t>(50 + i % 100), i));
    EXPECT_EQ(server->events.ready.size(), 32u);
    for (uint8_t i = 0; i < 12; ++i) EXPECT_TRUE(server->events.Has(Address(i, 1))) << int{i};
}

TEST_F(PeerPlaces, AFewPlacesAreKeptByWhoHasThem) {
    Make(8);
    for (uint8_t i = 0; i < 4; ++i) Come(Address(i, 1));
    Come(Address(50, 1));
    EXPECT_FALSE(server->events.Has(Address(50, 1)));
    EXPECT_TRUE(server->events.gone.empty());
}

TEST_F(PeerPlaces, OneAddressGetsNobodyElsesPlaceBeyondItsOwn) {
    Make(40);
    for (uint8_t i = 0; i < 4; ++i) Come(Address(7, 7));
    for (uint8_t i = 0; i < 28; ++i) Come(Address(50, i));
    ASSERT_EQ(server->events.ready.size(), 32u);
    Come(Address(7, 7));
    EXPECT_TRUE(server->events.gone.empty()) << "it has four already";
}

}  // namespace
}  // namespace sluice::p2p
