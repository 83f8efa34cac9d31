#include "node/virtual_world.h"

#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "storage/temp_folder.h"
#include "util/log.h"

namespace sluice::node::testing {

using p2p::ConnectionId;
using p2p::Endpoint;

namespace {

// Disks that fail and nodes that stop are what these tests are about: what the nodes say of it goes to a file.
class QuietLog final : public ::testing::Environment {
  public:
    void SetUp() override {
        m_folder = std::make_unique<TempFolder>();
        const Status started = StartLog(*m_folder / "log", LogLevel::kInfo, false);
        EXPECT_TRUE(started);
    }
    void TearDown() override { m_folder.reset(); }

  private:
    std::unique_ptr<TempFolder> m_folder;
};
const ::testing::Environment* const kQuietLog = ::testing::AddGlobalTestEnvironment(new QuietLog);

}  // namespace

// ---- time

EventQueue::EventQueue() {
    m_clock.Advance(seconds(1'000));  // no instant of a run is the clock's zero
    m_clock.SetNow(consensus::BuiltInGenesis("regtest").value().params.genesis_time);
}

void EventQueue::Post(Owner owner, microseconds delay, std::function<void()> task) {
    m_events.emplace(std::pair(now() + std::max(delay, microseconds(0)), ++m_last), Event{owner, std::move(task)});
}

void EventQueue::Drop(Owner owner) {
    std::erase_if(m_events, [&](const auto& entry) { return entry.second.owner == owner; });
}

void EventQueue::RunTo(Instant end) {
    while (!m_events.empty() && m_events.begin()->first.first <= end) {
        const auto event = m_events.extract(m_events.begin());
        m_clock.Advance(event.key().first - now());
        ++m_run;
        event.mapped().task();
    }
    m_clock.Advance(end - now());
}

// ---- network

microseconds VirtualInternet::DrawLatency() {
    const microseconds range = kMostLatency - kLeastLatency;
    return kLeastLatency + microseconds(m_random.Below(static_cast<uint64_t>(range.count())));
}

void VirtualInternet::NoteArrived(const Bytes& bytes) {
    Writer writer;
    writer(m_digest, crypto::Sha256Of(bytes));
    m_digest = crypto::Sha256Of(writer.Take());
}

void VirtualInternet::Partition(std::set<Endpoint> inside) {
    m_inside = std::move(inside);
    for (const auto& [a, network] : m_networks)
        for (const auto& [b, other] : m_networks)
            if (!Reachable(a, b)) network->Cut(b);
}

VirtualNetwork::VirtualNetwork(VirtualInternet& internet, Endpoint address, EventQueue::Owner owner)
    : m_internet(internet), m_address(address), m_owner(owner) {
    CHECK(m_internet.m_networks.emplace(address, this).second);
}

VirtualNetwork::~VirtualNetwork() {
    for (const auto& [id, link] : m_links) Hang(link);
    m_internet.m_networks.erase(m_address);
}

ConnectionId VirtualNetwork::Connect(const Endpoint& endpoint) {
    const ConnectionId id(++m_last_id);
    m_links[id] = {};
    m_internet.m_queue.Post(m_owner, m_internet.DrawLatency(), [this, id, endpoint] { Dial(id, endpoint); });
    return id;
}

void VirtualNetwork::Dial(ConnectionId id, const Endpoint& endpoint) {
    if (!m_links.contains(id)) return;
    EventQueue& queue = m_internet.m_queue;
    const auto found = m_internet.m_networks.find(endpoint);
    if (found == m_internet.m_networks.end() || !found->second->m_listening ||
        !m_internet.Reachable(m_address, endpoint)) {
        queue.Post(m_owner, m_internet.DrawLatency(), [this, id] { FailDial(id); });
        return;
    }
    VirtualNetwork& to = *found->second;
    const ConnectionId to_id(++to.m_last_id);
    const auto wire = std::make_shared<Wire>();
    wire->latency = m_internet.DrawLatency();
    wire->ends[0].network = this;
    wire->ends[0].id = id;
    wire->ends[1].network = &to;
    wire->ends[1].id = to_id;
    m_links[id] = {wire, 0};
    to.m_links[to_id] = {wire, 1};
    Endpoint remote = m_address;
    remote.port = static_cast<uint16_t>(40'000 + id.value % 20'000);
    queue.Post(to.m_owner, microseconds(0), [&to, to_id, remote] {
        if (to.m_links.contains(to_id)) to.m_events->OnAccepted(to_id, remote);
    });
    queue.Post(m_owner, wire->latency, [this, id] {
        if (m_links.contains(id)) m_events->OnConnected(id);
    });
}

void VirtualNetwork::FailDial(ConnectionId id) {
    if (m_links.erase(id) != 0) m_events->OnConnectFailed(id, "nobody answers");
}

Result<Endpoint> VirtualNetwork::Listen(const Endpoint& endpoint) {
    if (endpoint != m_address || m_listening)
        return Fail(ErrorKind::kEnvironment, endpoint.ToString() + " cannot be listened on");
    m_listening = true;
    return endpoint;
}

void VirtualNetwork::Write(ConnectionId id, Bytes bytes) {
    const auto found = m_links.find(id);
    if (found == m_links.end() || !found->second.wire || bytes.empty()) return;
    const auto& wire = found->second.wire;
    const size_t to_side = 1 - found->second.side;
    Wire::End& from = wire->ends[found->second.side];
    const Wire::End& to = wire->ends[to_side];
    if (!to.network) return;
    const Instant now = m_internet.m_queue.now();
    from.pending += bytes.size();
    from.free_at =
        std::max(from.free_at, now) + microseconds(bytes.size() * 1'000'000 / VirtualInternet::kBytesPerSecond + 1);
    m_internet.m_queue.Post(to.network->m_owner, from.free_at - now + wire->latency,
                            [wire, to_side, bytes = std::move(bytes)] {
                                Wire::End& end = wire->ends[to_side];
                                if (!end.network) return;
                                end.network->m_internet.NoteArrived(bytes);
                                end.unread.insert(end.unread.end(), bytes.begin(), bytes.end());
                                Read(wire, to_side);
                            });
}

void VirtualNetwork::Read(const std::shared_ptr<Wire>& wire, size_t side) {
    Wire::End& end = wire->ends[side];
    if (!end.network || !end.reading || end.unread.empty()) return;
    const Bytes bytes = std::exchange(end.unread, {});
    Wire::End& from = wire->ends[1 - side];
    from.pending -= bytes.size();
    if (from.network && from.pending <= kLowWaterBytes) {
        from.network->m_internet.m_queue.Post(from.network->m_owner, microseconds(0), [wire, from_side = 1 - side] {
            const Wire::End& writer = wire->ends[from_side];
            if (writer.network && writer.pending <= kLowWaterBytes) writer.network->m_events->OnWritable(writer.id);
        });
    }
    end.network->m_events->OnBytes(end.id, bytes);
}

size_t VirtualNetwork::PendingBytes(ConnectionId id) const {
    const auto found = m_links.find(id);
    return found == m_links.end() || !found->second.wire ? 0 : found->second.wire->ends[found->second.side].pending;
}

void VirtualNetwork::SetReading(ConnectionId id, bool reading) {
    const auto found = m_links.find(id);
    if (found == m_links.end() || !found->second.wire) return;
    const Link link = found->second;
    link.wire->ends[link.side].reading = reading;
    m_internet.m_queue.Post(m_owner, microseconds(0), [link] { Read(link.wire, link.side); });
}

void VirtualNetwork::Close(ConnectionId id) {
    const auto found = m_links.extract(id);
    if (!found.empty()) Hang(found.mapped());
}

void VirtualNetwork::Hang(const Link& link) {
    if (!link.wire) return;
    link.wire->ends[link.side].network = nullptr;
    TellClosed(link.wire, 1 - link.side, "closed by the peer");
}

void VirtualNetwork::TellClosed(const std::shared_ptr<Wire>& wire, size_t side, const std::string& reason) {
    VirtualNetwork* const network = wire->ends[side].network;
    if (!network) return;
    network->m_internet.m_queue.Post(network->m_owner, wire->latency, [wire, side, network, reason] {
        Wire::End& end = wire->ends[side];
        if (!end.network) return;
        end.network = nullptr;
        network->m_links.erase(end.id);
        network->m_events->OnClosed(end.id, reason);
    });
}

void VirtualNetwork::Cut(const Endpoint& other) {
    for (const auto& [id, link] : m_links) {
        if (!link.wire) continue;
        const Wire::End& end = link.wire->ends[1 - link.side];
        if (end.network && end.network->m_address == other) TellClosed(link.wire, link.side, "the line is dead");
    }
}

// ---- nodes

// Everything of a process. Members go last to first: the node before what it runs on.
struct VirtualNode::Life {
    Life(EventQueue& queue, VirtualInternet& internet, const Endpoint& address, EventQueue::Owner owner,
         storage::MemoryDisk& disk)
        : random(owner),
          clock(queue.clock()),
          network(internet, address, owner),
          strand(queue, owner),
          workers(queue, owner),
          long_tasks(workers),
          environment{clock, random, disk.files(), network, strand, strand, workers, long_tasks, strand} {}

    SeededRandom random;
    AdjustableClock clock;
    VirtualNetwork network;
    VirtualExecutor strand;  // network, chain and disk: events of one queue never overlap
    VirtualWorkers workers;
    VirtualWorkers::LongTasks long_tasks;
    Environment environment;
    EventQueue::Owner owner{0};
    std::unique_ptr<Node> node;
};

VirtualNode::VirtualNode(EventQueue& queue, VirtualInternet& internet, Endpoint address, uint64_t seed,
                         VirtualNodeOptions options, NodeConfig config)
    : m_queue(queue),
      m_internet(internet),
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
    const EventQueue::Owner owner = m_seeds.Uint64();
    auto life = std::make_unique<Life>(m_queue, m_internet, m_address, owner, m_disk);
    life->owner = owner;
    ASSIGN_OR_RETURN(life->node, Node::Open(life->environment, life->clock, m_config));
    m_life = std::move(life);
    Node& node = *m_life->node;
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

Node& VirtualNode::operator*() { return *m_life->node; }

wallet::Wallet& VirtualNode::wallet() { return *m_life->node->wallet().Get().value(); }

std::string VirtualNode::MakeWallet() {
    const std::string phrase = m_life->node->wallet().Create().value();
    m_life->node->OnWalletReady();
    return phrase;
}

// ---- the world

VirtualNode& VirtualWorld::Add(VirtualNodeOptions options, const std::function<void(NodeConfig&)>& configure) {
    const auto address_of = [](size_t number) { return Endpoint::Ipv4(10, 0, static_cast<uint8_t>(number), 1, 19444); };
    const Endpoint address = address_of(m_nodes.size());
    NodeConfig config;
    config.data_dir = "/data";
    config.bind = {address.ToString()};
    config.port = address.port;
    config.db_cache_bytes = 8 << 20;
    config.regtest_staker = options.staker;
    for (const size_t number : options.add_nodes) config.add_nodes.push_back(address_of(number).ToString());
    if (configure) configure(config);
    m_nodes.push_back(std::make_unique<VirtualNode>(m_queue, m_internet, address, m_random.Uint64(), std::move(options),
                                                    std::move(config)));
    const Status opened = m_nodes.back()->Open();
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message);
    CHECK(opened.has_value());
    return *m_nodes.back();
}

void VirtualWorld::RunFor(milliseconds time) {
    for (const Instant end = now() + time; now() < end;) {
        m_queue.RunTo(std::min(end, now() + kStep));
        Note();
    }
}

bool VirtualWorld::RunUntil(const std::function<bool()>& done, milliseconds limit) {
    for (const Instant end = now() + limit; !done();) {
        if (now() >= end) return false;
        RunFor(kStep);
    }
    return true;
}

void VirtualWorld::Note() {
    Writer writer;
    writer(m_trace, m_internet.digest(), m_queue.events_run());
    for (const auto& node : m_nodes)
        if (node->IsUp()) writer(node->tip().hash());
    m_trace = crypto::Sha256Of(writer.Take());
}

void VirtualWorld::Partition(const std::set<size_t>& inside) {
    std::set<Endpoint> addresses;
    for (const size_t number : inside) addresses.insert(m_nodes[number]->address());
    m_internet.Partition(std::move(addresses));
}

bool VirtualWorld::AllAgree() {
    const BlockHash* tip = nullptr;
    for (const auto& node : m_nodes) {
        if (!node->IsUp()) continue;
        if (tip && *tip != node->tip().hash()) return false;
        tip = &node->tip().hash();
    }
    return tip != nullptr;
}

bool VirtualWorld::AllSettled() {
    return AllAgree() && std::all_of(m_nodes.begin(), m_nodes.end(), [](const auto& node) {
               return !node->IsUp() || (*node)->chain().chain().mempool().All().empty();
           });
}

void VirtualWorld::ExpectWalletsOwnEverything() {
    uint64_t owned = 0;
    std::optional<consensus::LedgerTotals> totals;
    for (const auto& node : m_nodes) {
        ASSERT_TRUE(node->IsUp());
        if ((*node)->wallet().Exists()) owned += node->wallet().GetBalances().total.drops;
        totals = (*node)->chain().chain().state().Get<consensus::LedgerTotals>({});
    }
    ASSERT_TRUE(totals);
    EXPECT_TRUE(totals->Conserved());
    EXPECT_EQ(owned, totals->unspent.drops);
}

void VirtualWorld::ExpectOneHeaderForEachSlot() {
    std::map<std::pair<StakerId, Slot>, std::set<BlockHash>> headers;
    for (const auto& node : m_nodes) {
        if (!node->IsUp()) continue;
        const chain::HeaderTree& tree = (*node)->chain().chain().headers();
        tree.ForEach([&](const chain::HeaderNode& header) {
            if (header.height() == Height(0)) return;
            const auto full = tree.ReadHeader(header.hash());
            ASSERT_TRUE(full);
            headers[{full->staker, full->slot}].insert(header.hash());
        });
    }
    for (const auto& [slot, hashes] : headers) EXPECT_EQ(hashes.size(), 1u) << "slot " << slot.second.value;
    EXPECT_FALSE(headers.empty());
}

}  // namespace sluice::node::testing
