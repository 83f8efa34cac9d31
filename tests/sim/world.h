#pragma once

#include "sim/byzantine.h"
#include "sim/node.h"

// Whole nodes in one thread: every executor is a view of one queue of events on a virtual clock, every link has a
// latency and a rate, every disk is in memory. Node, consensus, wallet and swarm are the real ones. The same seed gives
// the same run, to the byte.

namespace sluice::sim {

// A network for a simulation: f = 1/10, slots of 1 s.
struct NetworkOptions {
    std::vector<uint64_t> stakes{1};  // of its stakers, in proportion; 0: a bond only
    uint64_t staked_slu{5'000'000};   // by all of them together
    uint32_t k{432};
    uint64_t epoch_slots{43'200};
    uint32_t active_slots_denominator{10};  // f = 1/this
    uint64_t seed{1};                       // of keys and first nonce
};
// Operator keys from the seed, the rest of the genesis money in ten plain coins, everything owned by the wallet of
// consensus::kRegtestPhrase.
StakeNetwork MakeStakeNetwork(const NetworkOptions& options);
// The built-in test network.
StakeNetwork RegtestNetwork();

class World {
  public:
    static constexpr milliseconds kStep{250};
    static constexpr size_t kMaxNodes = 250;
    // Called now and then with what part of RunSlots is done.
    using Progress = std::function<void(double)>;

    World(uint64_t seed, StakeNetwork network);
    World(const World&) = delete;

    // An honest node; the last one added is the last number.
    VirtualNode& Add(VirtualNodeOptions options = {}, const std::function<void(node::NodeConfig&)>& configure = {});
    // `count` stakers that are all connected with each other: node i has the keys of staker first + i.
    void AddMesh(size_t count, uint32_t first_staker = 0);
    // Somebody who holds keys and follows no rule but the strategy's (byzantine.h).
    Byzantine& Add(ByzantineOptions options, std::unique_ptr<Strategy> strategy);

    VirtualNode& operator[](size_t number) { return *m_nodes[number]; }
    size_t size() const { return m_nodes.size(); }
    const consensus::Params& params() const { return m_network.genesis.params; }
    const StakeNetwork& network() const { return m_network; }
    VirtualInternet& internet() { return m_internet; }
    EventQueue& queue() { return m_queue; }
    Chronicle& chronicle() { return m_chronicle; }
    SeededRandom& random() { return m_random; }
    Instant now() const { return m_queue.now(); }
    // By the right clock.
    Slot slot() const { return params().SlotAt(m_queue.clock().Now()).value_or(Slot(0)); }

    void RunFor(milliseconds time);
    // Runs to the end of `slots` more slots, checking the invariants between blocks (CheckNow) now and then.
    void RunSlots(uint64_t slots, const Progress& progress = {});
    // Runs until `done`, which is asked every kStep; false if it is not within `limit`.
    bool RunUntil(const std::function<bool()>& done, milliseconds limit = seconds(600));

    void SetLinks(const LinkOptions& links) { m_internet.SetLinks(links); }
    // Nodes with these numbers are alone together.
    void Partition(const std::set<size_t>& inside);
    void Heal() { m_internet.Heal(); }
    p2p::Endpoint AddressOf(size_t number) const;

    // All that are up have the same tip, and nothing waits in their mempools.
    bool AllAgree();
    bool AllSettled();
    // What is too dear for each block; failures go to the chronicle. No honest node refuses another, every node's chain
    // is the one that its header tree says, and node 0's coins and stakes are what its blocks leave (if `recount`).
    void CheckNow(bool recount = false);
    // What happened so far: every tip of every node, how many events ran, every byte that arrived.
    Hash256 Trace() const;

  private:
    void CheckRecount(const chain::ChainManager& chain);

    SeededRandom m_random;
    StakeNetwork m_network;
    EventQueue m_queue;
    VirtualInternet m_internet;
    Chronicle m_chronicle;
    std::vector<std::unique_ptr<VirtualNode>> m_nodes;
    std::vector<std::unique_ptr<Byzantine>> m_byzantine;
};

}  // namespace sluice::sim
