#include "dht/mainline_dht.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <set>

#include "p2p/asio_executor.h"

namespace sluice::dht {
namespace {

using p2p::DhtKey;
using p2p::Endpoint;

DhtKey Key(uint8_t first) {
    DhtKey key;
    key.bytes.fill(first);
    return key;
}

// Nodes of a table of their own on 127.0.0.1, with what each of them found. Their strand is one thread.
class MainlineDhtTest : public testing::Test, protected p2p::DhtEvents {
  protected:
    ~MainlineDhtTest() override {
        m_nodes.clear();
        m_strand.Stop();
    }

    std::unique_ptr<MainlineDht> StartNode(const std::vector<uint16_t>& bootstrap, const Bytes& state = {}) {
        MainlineOptions options;
        options.bind = {"127.0.0.1"};
        options.state = state;
        for (const uint16_t port : bootstrap) options.bootstrap.push_back("127.0.0.1:" + std::to_string(port));
        auto node = MainlineDht::Start(m_strand, options);
        EXPECT_TRUE(node) << node.error().message;
        (*node)->SetEvents(*this);
        return std::move(*node);
    }
    void AddNode(const std::vector<uint16_t>& bootstrap) { m_nodes.push_back(StartNode(bootstrap)); }

    void OnFound(const DhtKey& key, const std::vector<Endpoint>& endpoints) override {
        const std::lock_guard lock(m_mutex);
        m_found[key].insert(endpoints.begin(), endpoints.end());
        m_changed.notify_all();
    }
    // Repeats `ask` until `endpoint` is found under `key`; false after a minute.
    bool FindUntil(const DhtKey& key, const Endpoint& endpoint, const std::function<void()>& ask) {
        for (int i = 0; i < 60; ++i) {
            ask();
            std::unique_lock lock(m_mutex);
            if (m_changed.wait_for(lock, std::chrono::seconds(1), [&] { return m_found[key].contains(endpoint); }))
                return true;
        }
        return false;
    }
    // Once what was posted to the strand is done.
    void Drain() {
        std::promise<void> done;
        m_strand.Post([&] { done.set_value(); });
        done.get_future().wait();
    }

    p2p::ThreadPool m_strand{1, "dht-test"};
    std::vector<std::unique_ptr<MainlineDht>> m_nodes;
    std::mutex m_mutex;
    std::condition_variable m_changed;
    std::map<DhtKey, std::set<Endpoint>> m_found;
};

TEST_F(MainlineDhtTest, InATableOf20NodesOneAnnouncesAndAnotherFindsIt) {
    AddNode({});
    const uint16_t first = m_nodes[0]->State().port;
    ASSERT_NE(first, 0);
    for (int i = 1; i < 20; ++i) AddNode({first});
    const Endpoint expected = Endpoint::Ipv4(127, 0, 0, 1, 12345);
    ASSERT_TRUE(FindUntil(Key(7), expected, [&] {
        m_nodes[5]->Announce(Key(7), 12345);
        m_nodes[17]->Find(Key(7));
    }));
    EXPECT_GT(m_nodes[17]->State().nodes, 0u);
    // What nobody announced is not found.
    m_nodes[17]->Find(Key(8));
    Drain();
    const std::lock_guard lock(m_mutex);
    EXPECT_TRUE(m_found[Key(8)].empty());
    EXPECT_EQ(m_found[Key(7)], std::set<Endpoint>{expected});
}

TEST_F(MainlineDhtTest, ANodeThatStartsWithItsStateNeedsNoBootstrap) {
    AddNode({});
    const uint16_t first = m_nodes[0]->State().port;
    AddNode({first});
    AddNode({first});
    const Endpoint expected = Endpoint::Ipv4(127, 0, 0, 1, 2345);
    ASSERT_TRUE(FindUntil(Key(1), expected, [&] {
        m_nodes[1]->Announce(Key(1), 2345);
        m_nodes[2]->Find(Key(1));
    }));
    const Bytes state = m_nodes[2]->SaveState();
    ASSERT_FALSE(state.empty());
    m_nodes[2] = StartNode({}, state);
    {
        const std::lock_guard lock(m_mutex);
        m_found.clear();
    }
    EXPECT_TRUE(FindUntil(Key(1), expected, [&] { m_nodes[2]->Find(Key(1)); }));
}

TEST_F(MainlineDhtTest, DamagedStateIsANewStart) {
    const auto node = StartNode({}, Bytes(100, 'x'));
    EXPECT_NE(node->State().port, 0);
    EXPECT_EQ(node->State().nodes, 0u);
}

TEST_F(MainlineDhtTest, WithoutJoiningNothingIsAskedOrMapped) {
    MainlineOptions options;
    options.bind = {"127.0.0.1"};
    options.join = false;
    auto node = MainlineDht::Start(m_strand, options);
    ASSERT_TRUE(node);
    (*node)->Announce(Key(1), 5);
    (*node)->Find(Key(1));
    (*node)->MapPort(5000);
    EXPECT_FALSE((*node)->State().enabled);
    EXPECT_EQ((*node)->State().port_map, "off");
}

TEST_F(MainlineDhtTest, ABootstrapNodeIsAHostAndAPort) {
    for (const std::string bad : {"", "host", "host:", ":1", "host:0", "host:65536", "host:1x", "a b:1", "a:1,b:2"}) {
        MainlineOptions options;
        options.bind = {"127.0.0.1"};
        options.bootstrap = {bad};
        EXPECT_FALSE(MainlineDht::Start(m_strand, options)) << bad;
    }
}

}  // namespace
}  // namespace sluice::dht
