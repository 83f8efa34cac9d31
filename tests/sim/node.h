#pragma once

#include "sim/chronicle.h"
#include "sim/internet.h"
#include "storage/memory_disk.h"

// One simulated node: the real Node on virtual time, wires and disk.

namespace sluice::sim {

// The network that the nodes of a world are of.
struct StakeNetwork {
    consensus::Genesis genesis;
    std::function<consensus::OperatorKeys(uint32_t)> keys;  // of the genesis' stakers, by index
};

struct VirtualNodeOptions {
    std::optional<uint32_t> staker;
    std::vector<size_t> add_nodes;  // numbers of nodes that it keeps connections to
    bool start{true};               // false: opened only, nothing runs by itself
    std::string phrase;             // of its wallet; empty: none yet
    bool adversarial{false};        // an adversary's view: others may refuse it
    milliseconds clock_offset{0};
    double clock_drift_ppm{0};
};

// A node's disk, which lasts, and its life, which ends with a crash and begins anew.
class VirtualNode {
  public:
    VirtualNode(EventQueue& queue, VirtualInternet& internet, Chronicle& chronicle, const StakeNetwork& network,
                size_t number, p2p::Endpoint address, uint64_t seed, VirtualNodeOptions options,
                node::NodeConfig config);
    ~VirtualNode();

    Status Open();
    // Power loss, now.
    void Crash();
    bool IsUp() const { return m_life != nullptr; }
    // Why the node wants to stop, if it does.
    const std::optional<Error>& stopped() const { return m_stopped; }
    node::Node& operator*();
    node::Node* operator->() { return &**this; }
    storage::MemoryDisk& disk() { return m_disk; }
    const p2p::Endpoint& address() const { return m_address; }
    node::NodeConfig& config() { return m_config; }
    const VirtualNodeOptions& options() const { return m_options; }
    size_t number() const { return m_number; }
    // How far its clock is off, from now on.
    void SetClock(milliseconds offset, double drift_ppm = 0);

    chain::ChainManager& chain() { return (*this)->chain().chain(); }
    const chain::HeaderNode& tip() { return *chain().tip(); }
    p2p::PeerManager& peers() { return (*this)->network().peers(); }
    wallet::Wallet& wallet();
    // Makes a wallet; its phrase.
    std::string MakeWallet();
    Script NewScript() { return wallet().NewReceiveScript().value(); }
    Txid Broadcast(const wallet::BuiltTransaction& built) { return (*this)->wallet().Broadcast(built).value(); }
    node::JobInfo Job(node::JobId job) { return (*this)->jobs().Find(job).value_or(node::JobInfo{}); }
    std::vector<node::NodeEvent> Events() { return (*this)->events().Wait(0, milliseconds(0)); }

  private:
    struct Life;
    EventQueue& m_queue;
    VirtualInternet& m_internet;
    Chronicle& m_chronicle;
    const StakeNetwork& m_network;
    size_t m_number;
    p2p::Endpoint m_address;
    SeededRandom m_seeds;
    VirtualNodeOptions m_options;
    node::NodeConfig m_config;
    storage::MemoryDisk m_disk;
    std::optional<Error> m_stopped;
    std::unique_ptr<Life> m_life;
};

}  // namespace sluice::sim
