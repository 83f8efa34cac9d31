#include <gtest/gtest.h>

#include "p2p/dial_budget.h"
#include "p2p/memory_network.h"
#include "p2p/peer_manager.h"

namespace sluice::p2p {
namespace {

struct Events : PeerEvents {
    std::vector<PeerInfo> ready;
    std::vector<std::string> gone;
    std::vector<std::pair<Endpoint, bool>> ended;  // and whether somebody answered
    void OnPeerReady(PeerId, const PeerInfo& info) override { ready.push_back(info); }
    void OnPeerGone(PeerId, const std::string& reason) override { gone.push_back(reason); }
    void OnProviderDialEnded(const Endpoint& endpoint, const std::optional<NodeId>& node) override {
        ended.emplace_back(endpoint, node.has_value());
    }
    void OnMessage(PeerId, MessageType, ByteSpan) override {}
    void OnChunksDrained(PeerId) override {}
};

struct TestNode {
    TestNode(MemoryInternet& internet, const Clock& clock, uint64_t seed, Endpoint the_address,
             const std::function<void(PeerManagerConfig&)>& change = {})
        : address(the_address), network(internet, address), random(seed) {
        PeerManagerConfig config;
        config.network.genesis.bytes.fill(1);
        SeededRandom(seed).Fill(config.node_key.span());
        if (change) change(config);
        manager = std::make_unique<PeerManager>(network, clock, random, std::move(config), events);
        EXPECT_TRUE(manager->Listen(address));
    }
    size_t Count(Direction direction) const {
        size_t count = 0;
        for (const PeerInfo& peer : manager->Peers()) count += peer.direction == direction;
        return count;
    }
    Endpoint address;
    MemoryInternet::Node network;
    SeededRandom random;
    Events events;
    std::unique_ptr<PeerManager> manager;
};

class ProviderDialsTest : public testing::Test {
  protected:
    static Endpoint Address(uint8_t group) { return Endpoint::Ipv4(8, group, 8, 1, 9000); }
    std::unique_ptr<TestNode> Make(uint8_t group, const std::function<void(PeerManagerConfig&)>& change = {}) {
        return std::make_unique<TestNode>(internet, clock, group, Address(group), change);
    }
    void Run(TestNode& node, int half_seconds) {
        for (int i = 0; i < half_seconds; ++i) {
            node.manager->Tick();
            ASSERT_TRUE(internet.Deliver());
            clock.Advance(milliseconds(500));
        }
    }
    ManualClock clock;
    MemoryInternet internet;
};

TEST_F(ProviderDialsTest, AProviderHasASlotOfItsOwnWhenAllOthersAreTaken) {
    const auto a = Make(1, [](PeerManagerConfig& config) { config.max_peers = 1; });
    const auto chain = Make(2);
    const auto provider = Make(3);
    ASSERT_TRUE(a->manager->ConnectOnce(chain->address));
    ASSERT_TRUE(internet.Deliver());
    ASSERT_TRUE(a->manager->DialProvider(provider->address));
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(a->Count(Direction::kManual), 1u);
    EXPECT_EQ(a->Count(Direction::kProvider), 1u);
    EXPECT_FALSE(a->manager->ConnectOnce(Address(4)));
}

TEST_F(ProviderDialsTest, ProvidersCannotPushOutChainPeers) {
    const auto a = Make(1, [](PeerManagerConfig& config) {
        config.max_peers = 4;
        config.max_outbound = 2;
        config.max_providers = 3;
    });
    std::vector<std::unique_ptr<TestNode>> nodes;
    for (uint8_t i = 2; i < 10; ++i) nodes.push_back(Make(i));
    size_t dialled = 0;
    for (size_t i = 0; i < 6; ++i) dialled += a->manager->DialProvider(nodes[i]->address).has_value();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(dialled, 3u);
    // All outbound places are still there for addresses of the book.
    a->manager->AddAddress({nodes[6]->address, 1, 1});
    a->manager->AddAddress({nodes[7]->address, 1, 1});
    Run(*a, 10);
    EXPECT_EQ(a->Count(Direction::kOutbound), 2u);
    EXPECT_EQ(a->Count(Direction::kProvider), 3u);
}

TEST_F(ProviderDialsTest, AThousandRumoursOfOneVictimMakeFewDialsToIt) {
    const auto a = Make(1, [](PeerManagerConfig& config) { config.max_providers = 1000; });
    size_t dialled = 0;
    for (uint16_t port = 2000; port < 3000; ++port)
        dialled += a->manager->DialProvider(Endpoint::Ipv4(9, 9, 9, 9, port)).has_value();
    EXPECT_EQ(dialled, DialBudget::kPerIp);
    for (uint8_t last = 1; last < 250; ++last)
        dialled += a->manager->DialProvider(Endpoint::Ipv4(9, 9, 9, last, 9000)).has_value();
    EXPECT_EQ(dialled, DialBudget::kPerGroup);
}

TEST_F(ProviderDialsTest, GossipOfOneVictimMakesFewDialsToItToo) {
    const auto a = Make(1);
    for (uint16_t port = 2000; port < 3000; ++port)
        a->manager->AddAddress({Endpoint::Ipv4(9, 9, 9, 9, port), 1, port}, AddressSource::kGossip);
    Run(*a, 3000);
    // The network refused each of them at once.
    EXPECT_EQ(a->network.dials_to(Endpoint::Ipv4(9, 9, 9, 9, 0)), DialBudget::kPerIp);
}

TEST_F(ProviderDialsTest, WhereANodeWasMetIsDialledWithoutABudget) {
    const auto a = Make(1);
    const auto provider = Make(2);
    for (uint32_t i = 0; i < DialBudget::kPerIp + 3; ++i) {
        ASSERT_TRUE(a->manager->DialProvider(provider->address)) << i;
        ASSERT_TRUE(internet.Deliver());
        ASSERT_EQ(a->manager->Peers().size(), 1u);
        a->manager->Disconnect(a->manager->Peers()[0].id, "enough");
        ASSERT_TRUE(internet.Deliver());
    }
    EXPECT_TRUE(a->manager->IsVerified(provider->address));
}

TEST_F(ProviderDialsTest, HearsayOfPrivateAddressesIsDialledOnALocalNetworkOnly) {
    const auto a = Make(1);
    const auto local = Make(2, [](PeerManagerConfig& config) { config.allow_local = true; });
    const Endpoint loopback = Endpoint::Ipv4(127, 0, 0, 1, 9000);
    const Endpoint home = Endpoint::Ipv4(192, 168, 1, 5, 9000);
    EXPECT_FALSE(a->manager->DialProvider(loopback));
    EXPECT_FALSE(a->manager->DialProvider(home));
    EXPECT_TRUE(a->manager->DialProvider(home, true));  // it told us itself, over the LAN
    EXPECT_TRUE(local->manager->DialProvider(loopback));
    EXPECT_FALSE(local->manager->DialProvider(Endpoint::Ipv4(8, 8, 8, 8, 80)));
    // The same for addresses of nodes.
    a->manager->AddAddress({home, 1, 1}, AddressSource::kDht);
    a->manager->AddAddress({Endpoint::Ipv4(8, 8, 8, 8, 25), 1, 1}, AddressSource::kDht);
    EXPECT_TRUE(a->manager->KnownAddresses().empty());
    a->manager->AddAddress({home, 1, 1}, AddressSource::kLan);
    EXPECT_EQ(a->manager->KnownAddresses().size(), 1u);
}

TEST_F(ProviderDialsTest, TheEndOfAProvidersDialIsTold) {
    const auto a = Make(1);
    ASSERT_TRUE(a->manager->DialProvider(Address(9)));  // nobody there
    ASSERT_TRUE(internet.Deliver());
    ASSERT_EQ(a->events.ended.size(), 1u);
    EXPECT_EQ(a->events.ended[0], std::pair(Address(9), false));
    const auto b = Make(2);
    ASSERT_TRUE(a->manager->DialProvider(b->address));
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(a->events.ended.size(), 1u);
    EXPECT_FALSE(a->manager->DialProvider(b->address)) << "connected already";
}

TEST_F(ProviderDialsTest, AProviderThatTheOperatorAddsIsNoProviderAnyMore) {
    const auto a = Make(1);
    const auto b = Make(2);
    ASSERT_TRUE(a->manager->DialProvider(b->address));
    ASSERT_TRUE(internet.Deliver());
    a->manager->AddNode(b->address);
    Run(*a, 4);
    ASSERT_EQ(a->manager->Peers().size(), 1u);
    EXPECT_EQ(a->Count(Direction::kManual), 1u);
    EXPECT_EQ(a->manager->ProviderConnections(), 0u);
}

TEST_F(ProviderDialsTest, ProvidersAreNotAskedForAddressesAndTellNone) {
    const auto a = Make(1);
    const auto b = Make(2);
    const auto c = Make(3);
    ASSERT_TRUE(c->manager->ConnectOnce(b->address));  // b knows c
    ASSERT_TRUE(internet.Deliver());
    ASSERT_TRUE(a->manager->DialProvider(b->address));
    ASSERT_TRUE(internet.Deliver());
    EXPECT_TRUE(a->manager->KnownAddresses().empty());
}

TEST_F(ProviderDialsTest, ASeedTellsAddressesAndIsLeft) {
    const auto seed = Make(1);
    const auto b = Make(2);
    ASSERT_TRUE(b->manager->ConnectOnce(seed->address));
    ASSERT_TRUE(internet.Deliver());
    const auto a = Make(3);
    a->manager->AddSeed(seed->address);
    Run(*a, 60);
    EXPECT_EQ(a->Count(Direction::kOutbound), 1u);
    ASSERT_EQ(a->manager->Peers().size(), 1u);
    EXPECT_EQ(a->manager->Peers()[0].node_id, b->manager->node_id());
    ASSERT_FALSE(a->events.gone.empty());
    EXPECT_EQ(a->events.gone[0], "the seed told us addresses");
}

TEST_F(ProviderDialsTest, AnchorsAreDialledFirstAfterARestart) {
    const auto old_peer = Make(2);
    Bytes saved;
    {
        const auto a = Make(1);
        a->manager->AddAddress({old_peer->address, 1, 1});
        Run(*a, 4);
        ASSERT_EQ(a->Count(Direction::kOutbound), 1u);
        saved = a->manager->SaveAddresses();
        EXPECT_GT(a->manager->AddressChanges(), 0u);
    }
    ASSERT_TRUE(internet.Deliver());
    TestNode again(internet, clock, 50, Address(50));
    ASSERT_TRUE(again.manager->LoadAddresses(saved));
    // A flood of hearsay comes before the first dial.
    for (uint8_t i = 100; i < 200; ++i) again.manager->AddAddress({Address(i), 1, 1}, AddressSource::kGossip);
    again.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    ASSERT_EQ(again.manager->Peers().size(), 1u);
    EXPECT_EQ(again.manager->Peers()[0].node_id, old_peer->manager->node_id());
    // Saved again before anybody else is connected, they are kept.
    AddressBook book;
    EXPECT_EQ(*book.Load(again.manager->SaveAddresses()), std::vector<Endpoint>{old_peer->address});
}

TEST_F(ProviderDialsTest, TheLocalNetworkTakesFewOfTheOutboundPlaces) {
    std::vector<std::unique_ptr<TestNode>> neighbours;
    const auto a = Make(1);
    for (uint8_t i = 1; i <= 5; ++i) {
        neighbours.push_back(std::make_unique<TestNode>(internet, clock, 60 + i, Endpoint::Ipv4(192, 168, 1, i, 9000)));
        a->manager->AddAddress({neighbours.back()->address, 1, 1}, AddressSource::kLan);
    }
    Run(*a, 60);
    EXPECT_EQ(a->Count(Direction::kOutbound), PeerManagerConfig().max_local_outbound);
}

}  // namespace
}  // namespace sluice::p2p
