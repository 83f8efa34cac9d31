#include "sim/node.h"

namespace sluice::sim {

using node::Environment;
using node::Node;

// Everything of a process. Members go last to first: the node before what it runs on.
struct VirtualNode::Life final : node::ChainListener {
    Life(EventQueue& queue, VirtualInternet& internet, VirtualNode& node_of, EventQueue::Owner life_owner)
        : of(node_of),
          owner(life_owner),
          random(owner),
          skewed(queue.clock()),
          clock(skewed),
          network(internet, node_of.m_address, owner),
          strand(queue, owner),
          workers(queue, owner),
          long_tasks(workers),
          environment{clock, random, node_of.m_disk.files(), network, strand, strand, workers, long_tasks, strand} {
        skewed.Set(node_of.m_options.clock_offset, node_of.m_options.clock_drift_ppm);
    }
    void OnTipChanged(const chain::TipChange& change) override {
        of.m_chronicle.OnTipChanged(of.m_number, change, node->chain().chain(), of.m_queue.now(),
                                    of.m_queue.clock().Now());
    }
    void OnTransactionAccepted(const TransactionRef&) override {}
    void OnTransactionRemoved(const chain::RemovedTransaction&) override {}

    VirtualNode& of;
    const EventQueue::Owner owner;
    SeededRandom random;
    SkewedClock skewed;
    node::AdjustableClock clock;
    VirtualNetwork network;
    VirtualExecutor strand;  // network, chain and disk: events of one queue never overlap
    VirtualWorkers workers;
    VirtualWorkers::LongTasks long_tasks;
    Environment environment;
    std::unique_ptr<Node> node;
};

VirtualNode::VirtualNode(EventQueue& queue, VirtualInternet& internet, Chronicle& chronicle,
                         const StakeNetwork& network, size_t number, p2p::Endpoint address, uint64_t seed,
                         VirtualNodeOptions options, node::NodeConfig config)
    : m_queue(queue),
      m_internet(internet),
      m_chronicle(chronicle),
      m_network(network),
      m_number(number),
      m_address(address),
      m_seeds(seed),
      m_options(std::move(options)),
      m_config(std::move(config)),
      m_disk(m_seeds.Uint64()) {}

VirtualNode::~VirtualNode() {
    if (m_life) Crash();
}

Status VirtualNode::Open() {
    CHECK(!m_life);
    m_stopped.reset();
    auto life = std::make_unique<Life>(m_queue, m_internet, *this, m_seeds.Uint64());
    std::optional<consensus::OperatorKeys> keys;
    if (m_options.staker) keys = m_network.keys(*m_options.staker);
    ASSIGN_OR_RETURN(life->node,
                     Node::Open(life->environment, life->clock, m_config, m_network.genesis, std::move(keys)));
    m_life = std::move(life);
    Node& node = *m_life->node;
    m_chronicle.OnLife(m_number, node.chain().chain());
    node.chain().AddListener(*m_life);
    node.OnStop([this](std::optional<Error> why) {
        m_stopped = why.value_or(Error{ErrorKind::kUnavailable, "asked to stop"});
    });
    if (!m_options.phrase.empty() && !node.wallet().Exists()) RETURN_IF_ERROR(node.wallet().Restore(m_options.phrase));
    if (!m_options.start) return {};
    RETURN_IF_ERROR(node.StartNetwork());
    return node.StartChain();
}

void VirtualNode::Crash() {
    CHECK(m_life);
    m_queue.Drop(m_life->owner);
    m_disk.Crash();  // first: nothing that the node does while it is taken down may reach the disk
    const EventQueue::Owner owner = m_life->owner;
    m_life.reset();
    m_queue.Drop(owner);
}

void VirtualNode::SetClock(milliseconds offset, double drift_ppm) {
    m_options.clock_offset = offset;
    m_options.clock_drift_ppm = drift_ppm;
    if (m_life) m_life->skewed.Set(offset, drift_ppm);
}

Node& VirtualNode::operator*() { return *m_life->node; }

wallet::Wallet& VirtualNode::wallet() { return *m_life->node->wallet().Get().value(); }

std::string VirtualNode::MakeWallet() {
    const std::string phrase = m_life->node->wallet().Create().value();
    m_life->node->OnWalletReady();
    return phrase;
}

}  // namespace sluice::sim
