#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "node/node.h"
#include "storage/memory_disk.h"

// Whole nodes in one thread: every executor is a view of one queue of events on a virtual clock, every link has a
// latency and a rate, every disk is in memory. Node, consensus, wallet and swarm are the real ones. The same seed gives
// the same run, to the byte.

namespace sluice::node::testing {

// What is going to happen, by time and then in the order it was posted.
class EventQueue {
  public:
    using Owner = uint64_t;  // whose events these are: one life of a node

    EventQueue();
    ManualClock& clock() { return m_clock; }
    Instant now() const { return m_clock.Monotonic(); }
    void Post(Owner owner, microseconds delay, std::function<void()> task);
    // Forgets the owner's events, as the end of a process does.
    void Drop(Owner owner);
    // Runs everything that is due up to `end` and leaves the clock there.
    void RunTo(Instant end);
    uint64_t events_run() const { return m_run; }

  private:
    struct Event {
        Owner owner{0};
        std::function<void()> task;
    };
    ManualClock m_clock;
    std::map<std::pair<Instant, uint64_t>, Event> m_events;
    uint64_t m_last{0};
    uint64_t m_run{0};
};

class VirtualExecutor final : public Executor {
  public:
    VirtualExecutor(EventQueue& queue, EventQueue::Owner owner) : m_queue(queue), m_owner(owner) {}
    void Post(std::function<void()> task) override { m_queue.Post(m_owner, microseconds(0), std::move(task)); }
    void PostAfter(milliseconds delay, std::function<void()> task) override {
        m_queue.Post(m_owner, delay, std::move(task));
    }

  private:
    EventQueue& m_queue;
    EventQueue::Owner m_owner;
};

// Workers and long tasks. A long task waits for the parts that it hands to the workers: in one thread they have to run
// inside that.
class VirtualWorkers final : public Executor {
  public:
    VirtualWorkers(EventQueue& queue, EventQueue::Owner owner) : m_queue(queue, owner) {}
    void Post(std::function<void()> task) override {
        if (m_inside_long_task)
            task();
        else
            m_queue.Post(std::move(task));
    }
    void PostAfter(milliseconds delay, std::function<void()> task) override {
        m_queue.PostAfter(delay, std::move(task));
    }

    class LongTasks final : public Executor {
      public:
        explicit LongTasks(VirtualWorkers& workers) : m_workers(workers) {}
        void Post(std::function<void()> task) override { PostAfter(milliseconds(0), std::move(task)); }
        void PostAfter(milliseconds delay, std::function<void()> task) override {
            m_workers.PostAfter(delay, [this, task = std::move(task)] {
                m_workers.m_inside_long_task = true;
                task();
                m_workers.m_inside_long_task = false;
            });
        }

      private:
        VirtualWorkers& m_workers;
    };

  private:
    VirtualExecutor m_queue;
    bool m_inside_long_task{false};
};

class VirtualNetwork;

// Links between VirtualNetworks: bytes leave at a rate and arrive a latency later (each connection has its own), in
// order.
class VirtualInternet {
  public:
    static constexpr milliseconds kLeastLatency{5};
    static constexpr milliseconds kMostLatency{60};
    static constexpr uint64_t kBytesPerSecond = 4 << 20;  // of each connection and direction

    VirtualInternet(EventQueue& queue, uint64_t seed) : m_queue(queue), m_random(seed) {}
    // Those inside reach each other, those outside reach each other, and nothing crosses: what crosses now is lost.
    void Partition(std::set<p2p::Endpoint> inside);
    void Heal() { m_inside.clear(); }
    // Of every byte that arrived, in order.
    const Hash256& digest() const { return m_digest; }

  private:
    friend class VirtualNetwork;
    microseconds DrawLatency();
    void NoteArrived(const Bytes& bytes);
    bool Reachable(const p2p::Endpoint& a, const p2p::Endpoint& b) const {
        return m_inside.contains(a) == m_inside.contains(b);
    }

    EventQueue& m_queue;
    SeededRandom m_random;
    Hash256 m_digest;
    std::map<p2p::Endpoint, VirtualNetwork*> m_networks;  // by address; those that are not in it are down
    std::set<p2p::Endpoint> m_inside;
};

// One life of a node on the internet, at one address.
class VirtualNetwork final : public p2p::Network {
  public:
    VirtualNetwork(VirtualInternet& internet, p2p::Endpoint address, EventQueue::Owner owner);
    ~VirtualNetwork() override;  // the other sides see their connections end

    void SetEvents(p2p::NetworkEvents& events) override { m_events = &events; }
    p2p::ConnectionId Connect(const p2p::Endpoint& endpoint) override;
    Result<p2p::Endpoint> Listen(const p2p::Endpoint& endpoint) override;
    void Write(p2p::ConnectionId connection, Bytes bytes) override;
    size_t PendingBytes(p2p::ConnectionId connection) const override;
    void SetReading(p2p::ConnectionId connection, bool reading) override;
    void Close(p2p::ConnectionId connection) override;
    const p2p::Endpoint& address() const { return m_address; }

  private:
    friend class VirtualInternet;
    // Both ends of a connection; an end without a network is gone.
    struct Wire {
        struct End {
            VirtualNetwork* network{nullptr};
            p2p::ConnectionId id;
            bool reading{true};
            Bytes unread;
            size_t pending{0};  // written here and not read at the other end
            Instant free_at{};  // when what was written has left
        };
        End ends[2];
        microseconds latency{0};
    };
    struct Link {
        std::shared_ptr<Wire> wire;  // null while dialling
        size_t side{0};
    };
    void Dial(p2p::ConnectionId id, const p2p::Endpoint& endpoint);
    void FailDial(p2p::ConnectionId id);
    static void Read(const std::shared_ptr<Wire>& wire, size_t side);
    // Ends this side; the other one hears of it.
    void Hang(const Link& link);
    // Both sides hear of it.
    void Cut(const p2p::Endpoint& other);
    static void TellClosed(const std::shared_ptr<Wire>& wire, size_t side, const std::string& reason);

    VirtualInternet& m_internet;
    const p2p::Endpoint m_address;
    const EventQueue::Owner m_owner;
    p2p::NetworkEvents* m_events{nullptr};
    bool m_listening{false};
    std::map<p2p::ConnectionId, Link> m_links;
    uint64_t m_last_id{0};
};

struct VirtualNodeOptions {
    std::optional<uint32_t> staker;
    std::vector<size_t> add_nodes;  // numbers of nodes that it keeps connections to
    bool start{true};               // false: opened only, nothing runs by itself
    std::string phrase;             // of its wallet; empty: none yet
};

// A node's disk, which lasts, and its life, which ends with a crash and begins anew.
class VirtualNode {
  public:
    VirtualNode(EventQueue& queue, VirtualInternet& internet, p2p::Endpoint address, uint64_t seed,
                VirtualNodeOptions options, NodeConfig config);
    ~VirtualNode();

    Status Open();
    // Power loss, now.
    void Crash();
    bool IsUp() const { return m_life != nullptr; }
    // Why the node wants to stop, if it does.
    const std::optional<Error>& stopped() const { return m_stopped; }
    Node& operator*();
    Node* operator->() { return &**this; }
    storage::MemoryDisk& disk() { return m_disk; }
    const p2p::Endpoint& address() const { return m_address; }
    NodeConfig& config() { return m_config; }

    const chain::HeaderNode& tip() { return *(*this)->chain().chain().tip(); }
    wallet::Wallet& wallet();
    // Makes a wallet; its phrase.
    std::string MakeWallet();
    Script NewScript() { return wallet().NewReceiveScript().value(); }
    Txid Broadcast(const wallet::BuiltTransaction& built) { return (*this)->wallet().Broadcast(built).value(); }
    JobInfo Job(JobId job) { return (*this)->jobs().Find(job).value_or(JobInfo{}); }
    std::vector<NodeEvent> Events() { return (*this)->events().Wait(0, milliseconds(0)); }

  private:
    struct Life;
    EventQueue& m_queue;
    VirtualInternet& m_internet;
    p2p::Endpoint m_address;
    SeededRandom m_seeds;
    VirtualNodeOptions m_options;
    NodeConfig m_config;
    storage::MemoryDisk m_disk;
    std::optional<Error> m_stopped;
    std::unique_ptr<Life> m_life;
};

class VirtualWorld {
  public:
    static constexpr milliseconds kStep{250};

    explicit VirtualWorld(uint64_t seed) : m_random(seed), m_internet(m_queue, m_random.Uint64()) {}

    VirtualNode& Add(VirtualNodeOptions options = {}, const std::function<void(NodeConfig&)>& configure = {});
    VirtualNode& operator[](size_t number) { return *m_nodes[number]; }
    size_t size() const { return m_nodes.size(); }
    void RunFor(milliseconds time);
    // Runs until `done`, which is asked every kStep; false if it is not within `limit`.
    bool RunUntil(const std::function<bool()>& done, milliseconds limit = seconds(600));
    // Nodes with these numbers are alone together.
    void Partition(const std::set<size_t>& inside);
    void Heal() { m_internet.Heal(); }

    // All that are up have the same tip, and nothing waits in their mempools.
    bool AllAgree();
    bool AllSettled();
    // The wallets of all nodes own every drop of the chain's unspent outputs. Meaningful once AllSettled.
    void ExpectWalletsOwnEverything();
    // No slot has two headers, in what any node knows.
    void ExpectOneHeaderForEachSlot();
    // What happened so far: every tip of every step, how many events ran, every byte that was sent.
    const Hash256& trace() const { return m_trace; }
    SeededRandom& random() { return m_random; }
    Instant now() const { return m_queue.now(); }

  private:
    void Note();

    SeededRandom m_random;
    EventQueue m_queue;
    VirtualInternet m_internet;
    std::vector<std::unique_ptr<VirtualNode>> m_nodes;
    Hash256 m_trace;
};

}  // namespace sluice::node::testing
