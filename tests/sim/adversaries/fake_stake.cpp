#include <fmt/format.h>

#include "sim/adversaries/attacks.h"
#include "sim/adversaries/coins.h"
#include "sim/adversaries/evil_peer.h"
#include "sim/adversaries/forge.h"
#include "sim/adversaries/work_count.h"

// Floods of headers that no stake stands behind, by peers who come back under a new name and address whenever they are
// sent away. The victim is alone with them, so that all work is theirs; then with an honest node, which it has to keep
// up with.

namespace sluice::sim {
namespace {

constexpr size_t kBatch = p2p::kMaxHeadersPerMessage;
constexpr uint64_t kEpochSlots = 200;
constexpr uint64_t kKindsInBatches = 6;  // the headers are shared among these
enum Stakers : uint32_t { kHonest, kBondOnly, kSpent, kRich };

// An identity: its own address and node key.
class Identity {
  public:
    Identity(World& world, uint32_t number)
        : m_world(world),
          m_owner((uint64_t{1} << 60) + number),
          m_random(number + 1),
          m_network(world.internet(), AddressOf(number), m_owner),
          m_executor(world.queue(), m_owner),
          peer(m_network, world.queue().clock(), m_random, m_executor,
               {world.params().magic, world.network().genesis.Hash()}) {}
    ~Identity() { m_world.queue().Drop(m_owner); }

  private:
    static p2p::Endpoint AddressOf(uint32_t number) {
        return p2p::Endpoint::Ipv4(172, static_cast<uint8_t>(16 + number / 62'500),
                                   static_cast<uint8_t>(number / 250 % 250), static_cast<uint8_t>(number % 250), 19444);
    }
    World& m_world;
    EventQueue::Owner m_owner;
    SeededRandom m_random;
    VirtualNetwork m_network;
    VirtualExecutor m_executor;

  public:
    EvilPeer peer;
};

// Makes up a batch of headers, of which each builds on the one before.
using Forger = std::function<std::vector<BlockHeader>()>;

class Flood {
  public:
    // `names`: how many identities there were before, none of which comes back.
    Flood(World& world, VirtualNode& victim, uint32_t& names)
        : m_world(world), m_victim(victim), m_names(names), m_first(names) {}

    // One message, by a new identity if the last one was sent away.
    void Step(const Forger& forge) {
        if (!m_identity || m_identity->peer.Victims().empty()) {
            m_identity.reset();
            m_identity = std::make_unique<Identity>(m_world, m_names++);
            m_identity->peer.ConnectOnce(m_victim.address());
            for (int i = 0; i < 20 && m_identity->peer.Victims().empty(); ++i) m_world.RunFor(milliseconds(50));
        }
        for (const PeerId to : m_identity->peer.Victims()) {
            std::vector<BlockHeader> headers = forge();
            const size_t count = headers.size();
            if (m_identity->peer.SendHeaders(to, headers)) sent += count;
        }
        m_world.RunFor(milliseconds(150));
    }
    void End() { m_identity.reset(); }
    uint64_t identities() const { return m_names - m_first; }
    uint64_t sent{0};

  private:
    World& m_world;
    VirtualNode& m_victim;
    std::unique_ptr<Identity> m_identity;
    uint32_t& m_names;
    const uint32_t m_first;
};

struct Kind {
    std::string name;
    Forger forge;
    std::optional<uint64_t> vrf_limit;        // for each identity; none: only what the tokens allow
    std::optional<uint64_t> signature_limit;  // for each identity; none: one for each header
};

class FakeStake {
  public:
    FakeStake(Report& report, World& world, uint64_t headers)
        : m_report(report),
          m_world(world),
          m_headers(headers),
          m_random(report.seed),
          m_genesis(world.network().genesis.Hash()),
          m_bond_only(world.network().keys(kBondOnly)),
          m_spent(world.network().keys(kSpent)),
          m_rich(world.network().keys(kRich)) {}

    void Run() {
        VirtualNode& victim = m_world[1];
        m_world[0].Crash();
        const bool won = FindWonSlot(victim);
        Require(m_report, won, "the rich adversary wins no slot: half of the attacks are missing");
        const uint64_t memory = ResidentBytes();
        uint64_t floods = 0;
        for (const Kind& kind : Kinds()) {
            Attack(victim, kind);
            ++floods;
        }
        const double grown = (static_cast<double>(ResidentBytes()) - static_cast<double>(memory)) / (1 << 20);
        AddFigure(m_report, "MiB more in RAM", fmt::format("after {} floods", floods), grown);
        Require(m_report, grown < 64, "the process grew by 64 MiB and more");
        KeepUp(victim);
    }

  private:
    const consensus::HeaderState& Tip() { return m_world[1].tip().state; }
    // Consecutive headers on `from` up to slot `last`, signed by `key` or, as if, by nobody.
    std::vector<BlockHeader> Chain(const consensus::HeaderState& from, Slot last, const StakerId& staker,
                                   const crypto::SecretKey* key) {
        std::vector<BlockHeader> headers;
        consensus::HeaderState parent = from;
        do {
            BlockHeader header =
                ForgeHeader(m_genesis, parent, parent.slot + 1, staker, key ? *key : m_nobody, m_random);
            parent.hash = header.Hash();
            parent.slot = header.slot;
            parent.height = header.height;
            headers.push_back(std::move(header));
        } while (headers.size() < kBatch && parent.slot < last);
        return headers;
    }
    StakerId RandomId() { return StakerId(m_random.Array<8>()); }

    // A header that the rich adversary may rightly make on the victim's tip.
    bool FindWonSlot(VirtualNode& victim) {
        for (int tries = 0; tries < 60; ++tries) {
            for (Slot slot = std::max(Tip().slot + 1, m_world.slot() - 9); slot <= m_world.slot(); ++slot) {
                const auto block = victim.chain().ProduceBlock(m_rich, slot);
                if (block && *block) {
                    m_won = (*block)->header;
                    return true;
                }
            }
            m_world.RunSlots(10);
        }
        return false;
    }

    std::vector<Kind> Kinds() {
        const auto now = [this] { return m_world.slot(); };
        std::vector<Kind> kinds;
        kinds.push_back({"unregistered ids", [=, this] { return Chain(Tip(), now(), RandomId(), nullptr); }, 0, 0});
        kinds.push_back({"an honest id, signed by nobody",
                         [=, this] { return Chain(Tip(), now(), m_world.network().keys(kHonest).staker, nullptr); }, 0,
                         1});
        kinds.push_back({"a bond without stake, signed",
                         [=, this] { return Chain(Tip(), now(), m_bond_only.staker, &m_bond_only.signing); }, 0,
                         std::nullopt});
        kinds.push_back({"spent stake, signed",
                         [=, this] { return Chain(Tip(), now(), m_spent.staker, &m_spent.signing); }, 0, std::nullopt});
        kinds.push_back({"unknown parents",
                         [=, this] {
                             consensus::HeaderState parent = Tip();
                             m_random.Fill(parent.hash.bytes);
                             return Chain(parent, now(), m_rich.staker, &m_rich.signing);
                         },
                         0, 0});
        kinds.push_back({"slots of the future",
                         [=, this] {
                             consensus::HeaderState parent = Tip();
                             parent.slot = now() + 100;
                             std::vector<BlockHeader> headers =
                                 Chain(parent, now() + 200'000, m_rich.staker, &m_rich.signing);
                             return headers;
                         },
                         0, 0});
        if (!m_won) return kinds;
        kinds.push_back({"a won slot's proof for other slots",
                         [=, this] {
                             std::vector<BlockHeader> headers;
                             BlockHeader header = *m_won;
                             header.slot = m_won->slot + 1 <= now() ? m_won->slot + 1 : m_won->slot - 1;
                             header = Equivocate(m_genesis, header, m_rich, m_random);
                             headers.push_back(std::move(header));
                             return headers;
                         },
                         1, 2});
        kinds.push_back(
            {"a won slot, each header signed and proven",
             [=, this] { return std::vector<BlockHeader>{Equivocate(m_genesis, *m_won, m_rich, m_random)}; },
             std::nullopt, std::nullopt});
        return kinds;
    }

    void Attack(VirtualNode& victim, const Kind& kind) {
        Flood flood(m_world, victim, m_names);
        const WorkCount before = WorkDone();
        const size_t headers = victim.chain().headers().open_count();
        const uint64_t writes = victim.disk().writes();
        const Instant start = m_world.now();
        const uint64_t single = kind.forge().size() == 1 ? 50 : 1;  // those are sent one by one: fewer of them
        while (flood.sent < m_headers / single / kKindsInBatches && m_world.now() - start < seconds(3'600))
            flood.Step(kind.forge);
        flood.End();
        m_world.RunFor(seconds(1));
        const WorkCount work = WorkDone() - before;
        const size_t stored = victim.chain().headers().open_count() - headers;
        const std::string where =
            fmt::format("{}: {} headers by {} identities", kind.name, flood.sent, flood.identities());
        AddFigure(m_report, "VRF proofs verified", where, static_cast<double>(work.vrf_proofs));
        AddFigure(m_report, "signatures verified", where, static_cast<double>(work.signatures));
        AddFigure(m_report, "headers kept", where, static_cast<double>(stored));
        AddFigure(m_report, "writes to the disk", where, static_cast<double>(victim.disk().writes() - writes));
        Require(m_report, !kind.vrf_limit || victim.disk().writes() == writes, kind.name + ": the disk was written");
        Require(m_report, flood.sent > 0, kind.name + ": nothing was sent");
        if (kind.vrf_limit)
            Require(m_report, work.vrf_proofs <= *kind.vrf_limit * flood.identities(),
                    fmt::format("{}: {} VRF proofs were verified", kind.name, work.vrf_proofs));
        const uint64_t signatures = kind.signature_limit ? *kind.signature_limit * flood.identities() : flood.sent;
        Require(m_report, work.signatures <= signatures,
                fmt::format("{}: {} signatures were verified", kind.name, work.signatures));
        Require(m_report, stored <= (kind.vrf_limit ? 0 : chain::kMaxBranchesPerSlot),
                fmt::format("{}: {} headers were kept", kind.name, stored));
    }

    // The honest node is back and the flood goes on: how many slots the victim is behind it.
    void KeepUp(VirtualNode& victim) {
        const Status opened = m_world[0].Open();
        CHECK(opened.has_value());
        const bool met =
            m_world.RunUntil([&] { return m_world.AllAgree() && !m_world[0].peers().Peers().empty(); }, seconds(180));
        Require(m_report, met, "the victim does not find back to the honest node");
        Flood flood(m_world, victim, m_names);
        const std::vector<Kind> kinds = Kinds();
        uint64_t behind = 0, most_behind = 0, steps = 0;
        for (const uint64_t end = m_world.slot().value + 100; m_world.slot().value < end; ++steps) {
            flood.Step(kinds[steps % 4].forge);
            behind = m_world.AllAgree() ? 0 : behind + 1;
            most_behind = std::max(most_behind, behind);
        }
        AddFigure(m_report, "messages in a row without the honest tip", fmt::format("of {} at 150 ms", steps),
                  static_cast<double>(most_behind));
        Require(m_report, most_behind <= 20, "the victim is behind the honest node for three seconds");
        Require(m_report, m_world[0].tip().height() > Height(10), "the honest node made no blocks");
    }

    Report& m_report;
    World& m_world;
    uint64_t m_headers;
    SeededRandom m_random;
    BlockHash m_genesis;
    consensus::OperatorKeys m_bond_only, m_spent, m_rich;
    crypto::SecretKey m_nobody = RandomKey(m_random);
    std::optional<BlockHeader> m_won;
    uint32_t m_names{0};
};

}  // namespace

Report RunFakeStake(const ModelOptions& options) {
    Report report{.scenario = "fake-stake", .seed = options.seed};
    const uint64_t headers = options.slots ? options.slots : 1'000'000;  // "slots" are headers here
    NetworkOptions network_options;
    network_options.stakes = {50, 0, 20, 30};
    network_options.epoch_slots = kEpochSlots;
    network_options.k = 40;
    network_options.seed = options.seed;
    StakeNetwork network = MakeStakeNetwork(network_options);
    const Purse seller(30);
    const StakerId spent = network.keys(kSpent).staker;
    constexpr uint32_t kSpentAllocation = 1;  // that of the second who has stake
    network.genesis.allocations[kSpentAllocation].script = seller.StakedScript(spent);
    const consensus::GenesisAllocation& allocation = network.genesis.allocations[kSpentAllocation];
    const OwnCoin stake{GenesisCoin(network.genesis, kSpentAllocation), {allocation.amount, allocation.script}};

    World world(options.seed, network);
    VirtualNodeOptions honest;
    honest.staker = kHonest;
    world.Add(honest);
    VirtualNodeOptions victim;
    victim.add_nodes = {0};
    world.Add(victim);
    for (const uint32_t who : {kBondOnly, kSpent, kRich}) world.chronicle().AddAdversary(network.keys(who).staker);
    world.RunSlots(20);
    Require(report, world[0]->chain().Submit(seller.Move(stake, seller.PlainScript())).has_value(),
            "the stake cannot be spent");
    world.RunSlots(4 * kEpochSlots);
    Require(report, world.RunUntil([&] { return world.AllAgree(); }, seconds(60)), "the victim is not caught up");
    AddFigure(report, "weight permille of the spent stake", "",
              WeightPermille(world[1].chain(), spent, world.slot() + 1), 0);
    FakeStake(report, world, headers).Run();
    Finish(report, world);
    return report;
}

}  // namespace sluice::sim
