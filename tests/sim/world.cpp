#include "sim/world.h"

#include <fmt/format.h>

namespace sluice::sim {

using p2p::Endpoint;

namespace {

Hash256 SeedOf(std::string_view what, uint64_t seed, uint32_t index) {
    Writer writer;
    writer(seed, index);
    Bytes input = ToBytes(AsBytes(what));
    const Bytes number = writer.Take();
    input.insert(input.end(), number.begin(), number.end());
    return crypto::TaggedHash("Sluice/simulation", input);
}

consensus::OperatorKeys SimulatedOperator(uint64_t seed, uint32_t index) {
    auto signing = crypto::SecretKey::FromBytes(SeedOf("signing", seed, index).bytes);
    CHECK(signing.has_value());  // fails for one hash in 2^127
    const Hash256 id = SeedOf("staker", seed, index);
    return {StakerId::FromSpan(std::span(id.bytes).first<8>()), crypto::VrfSecretKey(SeedOf("vrf", seed, index).bytes),
            std::move(*signing)};
}

}  // namespace

StakeNetwork RegtestNetwork() {
    return {consensus::BuiltInGenesis("regtest").value(),
            [](uint32_t index) { return consensus::RegtestOperator(index); }};
}

StakeNetwork MakeStakeNetwork(const NetworkOptions& options) {
    const consensus::Genesis regtest = consensus::BuiltInGenesis("regtest").value();
    consensus::Genesis genesis;
    genesis.params = regtest.params;
    genesis.params.network = "simulation";
    genesis.params.active_slots_numerator = 1;
    genesis.params.active_slots_denominator = options.active_slots_denominator;
    genesis.params.epoch_slots = options.epoch_slots;
    genesis.params.nonce_cutoff_slots = options.epoch_slots * 2 / 5;
    genesis.params.k = options.k;
    genesis.params.unbonding_slots = uint64_t{280} * options.k * options.active_slots_denominator;  // as on main
    genesis.first_nonce = SeedOf("nonce", options.seed, 0);
    const Script plain = regtest.stakers[0].bond_script;
    const XOnlyPubKey stake_key = ParseOutputScript(regtest.allocations[0].script)->key;
    uint64_t weight = 0;
    for (const uint64_t stake : options.stakes) weight += stake;
    uint64_t rest = kGenesisSupply.drops;
    for (uint32_t i = 0; i < options.stakes.size(); ++i) {
        const consensus::OperatorKeys keys = SimulatedOperator(options.seed, i);
        RegisterRecord record;
        record.vrf_key = crypto::VrfPublic(keys.vrf);
        record.signing_key = keys.signing.XOnly();
        record.payout_script = plain;
        genesis.stakers.push_back({keys.staker, record, plain});
        rest -= genesis.params.bond.drops;
        if (options.stakes[i] == 0) continue;
        const Amount stake(options.staked_slu * options.stakes[i] / weight * kDropsPerSlu);
        genesis.allocations.push_back({StakeScript(stake_key, keys.staker), stake});
        rest -= stake.drops;
    }
    constexpr uint64_t kCoins = 10;
    for (uint64_t i = 0; i < kCoins; ++i) genesis.allocations.push_back({plain, Amount(rest / kCoins)});
    const Status checked = consensus::CheckGenesis(genesis);
    CHECK(checked.has_value());
    return {std::move(genesis), [seed = options.seed](uint32_t index) { return SimulatedOperator(seed, index); }};
}

World::World(uint64_t seed, StakeNetwork network)
    : m_random(seed),
      m_network(std::move(network)),
      m_queue(m_network.genesis.params.genesis_time),
      m_internet(m_queue, m_random.Uint64()) {}

Endpoint World::AddressOf(size_t number) const { return Endpoint::Ipv4(10, 0, static_cast<uint8_t>(number), 1, 19444); }

VirtualNode& World::Add(VirtualNodeOptions options, const std::function<void(node::NodeConfig&)>& configure) {
    CHECK(m_nodes.size() < kMaxNodes);
    const Endpoint address = AddressOf(m_nodes.size());
    node::NodeConfig config;
    config.data_dir = "/data";
    config.bind = {address.ToString()};
    config.port = address.port;
    config.db_cache_bytes = 8 << 20;
    for (const size_t number : options.add_nodes) config.add_nodes.push_back(AddressOf(number).ToString());
    if (configure) configure(config);
    m_nodes.push_back(std::make_unique<VirtualNode>(m_queue, m_internet, m_chronicle, m_network, m_nodes.size(),
                                                    address, m_random.Uint64(), std::move(options), std::move(config)));
    const Status opened = m_nodes.back()->Open();
    CHECK(opened.has_value());
    return *m_nodes.back();
}

void World::AddMesh(size_t count, uint32_t first_staker) {
    for (uint32_t i = 0; i < count; ++i) {
        VirtualNodeOptions options;
        options.staker = first_staker + i;
        for (size_t other = 0; other < m_nodes.size(); ++other) options.add_nodes.push_back(other);
        Add(std::move(options));
    }
}

Byzantine& World::Add(ByzantineOptions options, std::unique_ptr<Strategy> strategy) {
    VirtualNodeOptions view;
    view.add_nodes = options.view_peers;
    view.adversarial = true;
    VirtualNode& node = Add(std::move(view));
    const Endpoint voice = Endpoint::Ipv4(10, 1, static_cast<uint8_t>(node.number()), 1, 19444);
    m_byzantine.push_back(
        std::make_unique<Byzantine>(*this, node, voice, m_random.Uint64(), std::move(options), std::move(strategy)));
    return *m_byzantine.back();
}

void World::RunFor(milliseconds time) { m_queue.RunTo(now() + time); }

void World::RunSlots(uint64_t slots, const Progress& progress) {
    constexpr uint64_t kSlotsBetweenChecks = 500;
    for (uint64_t done = 0; done < slots;) {
        const uint64_t step = std::min(slots - done, kSlotsBetweenChecks);
        RunFor(params().slot_duration * static_cast<int64_t>(step));
        done += step;
        CheckNow();
        if (progress) progress(static_cast<double>(done) / static_cast<double>(slots));
    }
}

bool World::RunUntil(const std::function<bool()>& done, milliseconds limit) {
    for (const Instant end = now() + limit; !done();) {
        if (now() >= end) return false;
        RunFor(kStep);
    }
    return true;
}

void World::Partition(const std::set<size_t>& inside) {
    std::set<Endpoint> addresses;
    for (const size_t number : inside) addresses.insert(m_nodes[number]->address());
    m_internet.Partition(std::move(addresses));
}

bool World::AllAgree() {
    const BlockHash* tip = nullptr;
    for (const auto& node : m_nodes) {
        if (!node->IsUp()) continue;
        if (tip && *tip != node->tip().hash()) return false;
        tip = &node->tip().hash();
    }
    return tip != nullptr;
}

bool World::AllSettled() {
    return AllAgree() && std::all_of(m_nodes.begin(), m_nodes.end(), [](const auto& node) {
               return !node->IsUp() || node->chain().mempool().All().empty();
           });
}

void World::CheckNow(bool recount) {
    for (const auto& node : m_nodes) {
        if (!node->IsUp()) continue;
        for (const auto& other : m_nodes)
            if (other->IsUp() && !other->options().adversarial && node->peers().IsDiscouraged(other->peers().node_id()))
                m_chronicle.Fail(fmt::format("node {} refuses honest node {}", node->number(), other->number()));
        const std::vector<BlockHash>& active = m_chronicle.chain_of(node->number());
        for (size_t depth = 0; depth < active.size(); depth = 2 * depth + 1) {
            const size_t height = active.size() - 1 - depth;
            const chain::HeaderNode* header = node->chain().At(Height(static_cast<uint32_t>(height)));
            if (!header || header->hash() != active[height])
                m_chronicle.Fail(fmt::format("node {}: another block at height {}", node->number(), height));
        }
        if (node->stopped())
            m_chronicle.Fail(fmt::format("node {} stopped: {}", node->number(), node->stopped()->message));
    }
    if (recount && !m_nodes.empty() && m_nodes[0]->IsUp()) CheckRecount(m_nodes[0]->chain());
}

void World::CheckRecount(const chain::ChainManager& chain) {
    const auto found = RecountCoins(chain);
    const auto totals = chain.state().Get<consensus::LedgerTotals>({});
    if (!found || !totals) return m_chronicle.Fail("node 0: its blocks or totals cannot be read");
    if (found->drops != totals->unspent.drops)
        m_chronicle.Fail(
            fmt::format("node 0: its blocks leave {} drops, the totals say {}", found->drops, totals->unspent.drops));
    const auto snapshot =
        consensus::TakeSnapshot(chain.state(), chain.tip()->hash(), params().EpochOf(chain.tip()->state.slot));
    for (const consensus::SnapshotEntry& entry : snapshot.entries) {
        const auto staked = found->staked.find(entry.staker);
        const uint64_t drops = staked == found->staked.end() ? 0 : staked->second;
        if (entry.stake.drops != drops)
            m_chronicle.Fail(fmt::format("staker {}: its coins are {} drops, its stake is {}", entry.staker.Hex(),
                                         drops, entry.stake.drops));
    }
}

Hash256 World::Trace() const {
    Writer writer;
    writer(m_chronicle.trace(), m_internet.digest(), m_queue.events_run());
    return crypto::Sha256Of(writer.Take());
}

}  // namespace sluice::sim
