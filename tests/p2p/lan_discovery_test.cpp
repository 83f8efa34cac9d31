#include "p2p/lan_discovery.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "p2p/lan_socket.h"

namespace sluice::p2p {
namespace {

NetworkId Network(uint8_t first) {
    NetworkId network;
    network.magic = {first, 2, 3, 4};
    network.genesis.bytes.fill(first);
    return network;
}
NodeId Node(uint8_t first) {
    NodeId node;
    node.bytes.fill(first);
    return node;
}
DhtKey Key(uint8_t first) {
    DhtKey key;
    key.bytes.fill(first);
    return key;
}
template <class T>
std::vector<T> Of(const std::vector<LanAction>& actions) {
    std::vector<T> result;
    for (const LanAction& action : actions)
        if (const auto* found = std::get_if<T>(&action)) result.push_back(*found);
    return result;
}

struct LanNode {
    LanNode(uint8_t id, uint16_t port, Instant now, uint8_t network = 1)
        : lan(
              Network(network), Node(id), [this](const DhtKey& key) { return serves.contains(key); }, now) {
        lan.SetPort(port);
    }
    std::set<DhtKey> serves;
    LanDiscovery lan;
};

class LanDiscoveryTest : public testing::Test {
  protected:
    Bytes Announcement(LanNode& node) {
        node.lan.Tick(now);
        return Of<LanSendToGroup>(node.lan.TakeActions()).at(0).bytes;
    }
    Bytes Question(LanNode& node, const DhtKey& key) {
        node.lan.Ask(key, now);
        return Of<LanSendToGroup>(node.lan.TakeActions()).at(0).bytes;
    }
    Instant now{seconds(100)};
    const Endpoint from = Endpoint::Ipv4(192, 168, 1, 7, 40'000);
};

TEST_F(LanDiscoveryTest, AFloodOfNodesIsNotLookedAt) {
    LanNode here(1, 9000, now);
    LanNode other(2, 9001, now);
    const Bytes announcement = Announcement(other);
    size_t found = 0;
    for (int i = 0; i < 1'000; ++i) {
        here.lan.OnDatagram(Endpoint::Ipv4(192, 168, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i), 5000),
                            announcement, now);
        found += Of<LanFoundNode>(here.lan.TakeActions()).size();
    }
    EXPECT_GE(found, 200u);
    EXPECT_LE(found, 201u);
    here.lan.OnDatagram(Endpoint::Ipv4(192, 168, 9, 9, 5000), announcement, now + seconds(1));
    EXPECT_EQ(Of<LanFoundNode>(here.lan.TakeActions()).size(), 1u) << "a second later it listens again";
}

TEST_F(LanDiscoveryTest, TwoNodesOfALanFindEachOther) {
    LanNode a(1, 9001, now);
    LanNode b(2, 9002, now);
    b.lan.OnDatagram(from, Announcement(a), now);
    const auto actions = b.lan.TakeActions();
    ASSERT_EQ(Of<LanFoundNode>(actions).size(), 1u);
    EXPECT_EQ(Of<LanFoundNode>(actions)[0].endpoint, Endpoint::Ipv4(192, 168, 1, 7, 9001));
    ASSERT_EQ(Of<LanSend>(actions).size(), 1u);
    EXPECT_EQ(Of<LanSend>(actions)[0].to, from);
    a.lan.OnDatagram(Endpoint::Ipv4(192, 168, 1, 8, 50'000), Of<LanSend>(actions)[0].bytes, now);
    const auto found = Of<LanFoundNode>(a.lan.TakeActions());
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].endpoint, Endpoint::Ipv4(192, 168, 1, 8, 9002));
}

TEST_F(LanDiscoveryTest, ADatagramHasItsBytes) {
    LanNode a(0x22, 9001, now);
    EXPECT_EQ(HexEncode(Question(a, Key(0x33))),
              "534c554c414e3031"
              "01020304"
              "0101010101010101"
              "03" +
                  std::string(64, '2') + "2923" + std::string(40, '3'));
}

TEST_F(LanDiscoveryTest, OnlyWhoServesAContentAnswersAndNobodyListsOthers) {
    LanNode asker(1, 9001, now);
    LanNode seeder(2, 9002, now);
    LanNode other(3, 9003, now);
    seeder.serves = {Key(7), Key(8)};
    const Bytes question = Question(asker, Key(7));
    other.lan.OnDatagram(from, question, now);
    EXPECT_TRUE(other.lan.TakeActions().empty());
    seeder.lan.OnDatagram(from, question, now);
    const auto answers = Of<LanSend>(seeder.lan.TakeActions());
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(Decode<LanDatagram>(answers[0].bytes)->key, Key(7));
    asker.lan.OnDatagram(Endpoint::Ipv4(10, 0, 0, 2, 50'000), answers[0].bytes, now);
    const auto found = Of<LanFoundProvider>(asker.lan.TakeActions());
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].endpoint, Endpoint::Ipv4(10, 0, 0, 2, 9002));
    // An announcement names no content.
    EXPECT_EQ(Decode<LanDatagram>(Announcement(seeder))->key, DhtKey{});
}

TEST_F(LanDiscoveryTest, AnAnswerThatNobodyAskedForIsIgnored) {
    LanNode asker(1, 9001, now);
    LanNode seeder(2, 9002, now);
    seeder.serves = {Key(7)};
    seeder.lan.OnDatagram(from, Question(asker, Key(7)), now);
    const Bytes answer = Of<LanSend>(seeder.lan.TakeActions()).at(0).bytes;
    LanNode third(3, 9003, now);
    third.lan.OnDatagram(from, answer, now);
    EXPECT_TRUE(third.lan.TakeActions().empty());
}

TEST_F(LanDiscoveryTest, AnAnswerIsNeverLongerThanTheQuestion) {
    LanNode asker(1, 9001, now);
    LanNode seeder(2, 9002, now);
    seeder.serves = {Key(7)};
    const Bytes question = Question(asker, Key(7));
    EXPECT_EQ(question.size(), LanDatagram::kBytes);
    seeder.lan.OnDatagram(from, question, now);
    EXPECT_EQ(Of<LanSend>(seeder.lan.TakeActions()).at(0).bytes.size(), LanDatagram::kBytes);
}

TEST_F(LanDiscoveryTest, AForgedSenderOutsideOfTheLanGetsNothing) {
    LanNode a(1, 9001, now);
    LanNode b(2, 9002, now);
    b.lan.OnDatagram(Endpoint::Ipv4(8, 8, 8, 8, 40'000), Announcement(a), now);
    EXPECT_TRUE(b.lan.TakeActions().empty());
}

TEST_F(LanDiscoveryTest, AFloodOfForgedQuestionsGetsFewAnswers) {
    LanNode a(1, 9001, now);
    LanNode b(2, 9002, now);
    const Bytes announcement = Announcement(a);
    size_t answers = 0;
    for (int i = 0; i < 1000; ++i) {
        b.lan.OnDatagram(Endpoint::Ipv4(10, 0, static_cast<uint8_t>(i / 250), static_cast<uint8_t>(i % 250), 40'000),
                         announcement, now);
        answers += Of<LanSend>(b.lan.TakeActions()).size();
    }
    EXPECT_EQ(answers, static_cast<size_t>(LanDiscovery::kAnswerBurst) + 1);
    // One address: one answer a second.
    now += seconds(60);
    size_t to_one = 0;
    for (int i = 0; i < 100; ++i) {
        b.lan.OnDatagram(from, announcement, now);
        to_one += Of<LanSend>(b.lan.TakeActions()).size();
    }
    EXPECT_EQ(to_one, 1u);
}

TEST_F(LanDiscoveryTest, DatagramsOfAnotherNetworkOrShapeAreIgnored) {
    LanNode a(1, 9001, now);
    const Bytes good = Announcement(a);
    LanNode elsewhere(2, 9002, now, 9);
    elsewhere.lan.OnDatagram(from, good, now);
    EXPECT_TRUE(elsewhere.lan.TakeActions().empty());
    LanNode b(2, 9002, now);
    b.lan.OnDatagram(from, ByteSpan(good).first(good.size() - 1), now);
    Bytes longer = good;
    longer.push_back(0);
    b.lan.OnDatagram(from, longer, now);
    Bytes tag = good;
    tag[0] ^= 1;
    b.lan.OnDatagram(from, tag, now);
    Bytes kind = good;
    kind[20] = 9;
    b.lan.OnDatagram(from, kind, now);
    EXPECT_TRUE(b.lan.TakeActions().empty());
    LanNode itself(1, 9001, now);
    itself.lan.OnDatagram(from, good, now);
    EXPECT_TRUE(itself.lan.TakeActions().empty());
    b.lan.OnDatagram(from, good, now);
    EXPECT_EQ(b.lan.TakeActions().size(), 2u);
}

TEST_F(LanDiscoveryTest, ANodeThatAcceptsNoConnectionsFindsOthersAndIsNotFound) {
    LanNode a(1, 0, now);
    LanNode b(2, 9002, now);
    b.lan.OnDatagram(from, Announcement(a), now);
    auto actions = b.lan.TakeActions();
    EXPECT_TRUE(Of<LanFoundNode>(actions).empty());
    ASSERT_EQ(Of<LanSend>(actions).size(), 1u);
    a.serves = {Key(7)};
    a.lan.OnDatagram(from, Question(b, Key(7)), now);
    EXPECT_TRUE(a.lan.TakeActions().empty());
    // Nor one with a privileged port.
    LanNode c(3, 1023, now);
    b.lan.OnDatagram(Endpoint::Ipv4(10, 0, 0, 9, 40'000), Announcement(c), now);
    EXPECT_TRUE(Of<LanFoundNode>(b.lan.TakeActions()).empty());
}

TEST_F(LanDiscoveryTest, TheSameQuestionIsAskedOnceInAWhile) {
    LanNode a(1, 9001, now);
    (void)Question(a, Key(1));
    a.lan.Ask(Key(1), now + LanDiscovery::kAskInterval - seconds(1));
    EXPECT_TRUE(a.lan.TakeActions().empty());
    a.lan.Ask(Key(1), now + LanDiscovery::kAskInterval);
    EXPECT_EQ(a.lan.TakeActions().size(), 1u);
}

// Two real sockets in one group on the loopback interface.
TEST(AsioLanSocketTest, DatagramsReachTheGroupAndOneOfIt) {
    boost::asio::io_context io;
    auto guard = boost::asio::make_work_guard(io);
    AsioStrandExecutor strand(io);
    struct Events : DatagramEvents {
        void OnDatagram(const Endpoint& sender, ByteSpan bytes) override {
            const std::lock_guard lock(mutex);
            got.emplace_back(sender, ToBytes(bytes));
            changed.notify_all();
        }
        std::pair<Endpoint, Bytes> Wait(size_t index) {
            std::unique_lock lock(mutex);
            if (!changed.wait_for(lock, seconds(30), [&] { return got.size() > index; })) return {};
            return got[index];
        }
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<std::pair<Endpoint, Bytes>> got;
    } a_events, b_events;
    LanOptions options;
    options.interface_ip = "127.0.0.1";
    options.port = 29'417;
    auto a = AsioLanSocket::Open(strand, options);
    auto b = AsioLanSocket::Open(strand, options);
    ASSERT_TRUE(a) << a.error().message;
    ASSERT_TRUE(b) << b.error().message;
    (*a)->SetEvents(a_events);
    (*b)->SetEvents(b_events);
    std::thread thread([&] { io.run(); });
    strand.Post([&] { (*a)->SendToGroup(Bytes{1, 2, 3}); });
    const auto [sender, bytes] = b_events.Wait(0);
    EXPECT_EQ(bytes, (Bytes{1, 2, 3}));
    EXPECT_TRUE(sender.IsLoopback());
    EXPECT_EQ(a_events.Wait(0).second, bytes);  // its own too
    strand.Post([&, to = sender] { (*b)->Send(to, Bytes{4}); });
    EXPECT_EQ(a_events.Wait(1).second, Bytes{4});
    (*a)->Stop();
    (*b)->Stop();
    io.stop();
    thread.join();
    EXPECT_EQ(b_events.got.size(), 1u);
}

TEST(AsioLanSocketTest, AnInterfaceThatIsNotHereIsOneClearError) {
    boost::asio::io_context io;
    AsioStrandExecutor strand(io);
    LanOptions options;
    options.interface_ip = "192.0.2.1";
    const auto socket = AsioLanSocket::Open(strand, options);
    ASSERT_FALSE(socket);
    EXPECT_NE(socket.error().message.find("-lan=0"), std::string::npos);
}

}  // namespace
}  // namespace sluice::p2p
