#include "sim/adversaries/attacks.h"

// A part of the stake keeps its branch to itself while it leads, and shows it when the public chain has all but caught
// up.

namespace sluice::sim {
namespace {

class Withholder final : public Strategy {
  public:
    void OnStart(Byzantine& byzantine) override { m_chain = byzantine.MakePrivateChain(); }

    void OnSlot(Byzantine& byzantine, Slot slot) override {
        const chain::ChainManager& seen = byzantine.view().chain();
        if (!m_chain->Follow(seen)) return;
        for (const consensus::OperatorKeys& keys : byzantine.keys()) {
            const auto block = m_chain->Produce(keys, slot);
            if (block && *block) ++made;
        }
        const Height shown = seen.tip()->height();
        const int64_t lead = m_chain->tip().height() - shown;
        if (lead >= 0 && lead <= 1 && shown > m_shown && !seen.FindHeader(m_chain->tip().hash())) Show(byzantine);
        m_shown = std::max(shown, byzantine.view().tip().height());
    }

    uint64_t made{0};
    uint64_t times_shown{0};
    uint64_t deepest{0};  // fork shown, in blocks of the public chain

  private:
    void Show(Byzantine& byzantine) {
        const chain::ChainManager& seen = byzantine.view().chain();
        const chain::ChainManager& own = m_chain->chain();
        Height fork = std::min(own.tip()->height(), seen.tip()->height());
        while (fork > Height(0) && own.At(fork)->hash() != seen.At(fork)->hash()) fork = fork - 1;
        deepest = std::max<uint64_t>(deepest, static_cast<uint64_t>(seen.tip()->height() - fork));
        const auto blocks = m_chain->BlocksAfter(fork);
        if (blocks && byzantine.Publish(*blocks)) ++times_shown;
    }

    std::unique_ptr<PrivateChain> m_chain;
    Height m_shown;
};

}  // namespace

Report RunPrivateFork(const ModelOptions& options) {
    Report report{.scenario = "private-fork", .seed = options.seed};
    const size_t honest = options.nodes ? options.nodes : 4;
    const uint64_t slots = options.slots ? options.slots : 20'000;
    constexpr uint64_t kStake = 300;  // permille
    NetworkOptions network;
    network.stakes.assign(honest, (1000 - kStake) / honest);
    network.stakes.push_back(1000 - (1000 - kStake) / honest * honest);
    network.epoch_slots = 4'320;
    network.k = 432;
    network.seed = options.seed;
    World world(options.seed, MakeStakeNetwork(network));
    world.AddMesh(honest);
    ByzantineOptions byzantine;
    byzantine.stakers = {static_cast<uint32_t>(honest)};
    for (size_t i = 0; i < honest; ++i) byzantine.view_peers.push_back(i);
    auto owned = std::make_unique<Withholder>();
    Withholder& withholder = *owned;
    const StakerId who = world.network().keys(static_cast<uint32_t>(honest)).staker;
    world.Add(byzantine, std::move(owned));
    world.RunSlots(slots);
    const bool agreed = world.RunUntil([&] { return world.AllAgree(); }, seconds(1'200));

    const Chronicle& chronicle = world.chronicle();
    uint64_t own = 0, all = 0;
    for (const BlockHash& hash : chronicle.chain_of(0)) {
        const auto block = chronicle.blocks().find(hash);
        if (block == chronicle.blocks().end()) continue;
        ++all;
        own += block->second.staker == who;
    }
    const double share = all ? 100.0 * static_cast<double>(own) / static_cast<double>(all) : 0;
    Require(report, agreed, "the nodes do not agree");
    Require(report, withholder.times_shown > 0, "nothing was ever shown");
    Require(report, chronicle.max_reorg_depth() <= 49,
            "a reorg is deeper than 49 blocks, which 30 % reach once in 1,000");
    // The bound of chain-quality: each of its blocks takes the place of one honest block at most.
    Require(report, share <= 55, "the adversary has more of the chain than its blocks can displace");
    AddFigure(report, "adversarial blocks percent", "30 % of the stake", share, 30);
    AddFigure(report, "blocks made in secret", "", static_cast<double>(withholder.made));
    AddFigure(report, "branches shown", "", static_cast<double>(withholder.times_shown));
    for (const uint64_t depth : {1u, 2u, 3u, 6u, 12u}) {
        double deep = 0;
        for (const auto& [d, times] : chronicle.reorgs())
            if (d >= depth) deep += static_cast<double>(times);
        const double nodes = static_cast<double>(world.size());
        AddFigure(report, "reorgs of " + std::to_string(depth) + " blocks and more in 10^5 slots", "a node's average",
                  deep / nodes * 1e5 / static_cast<double>(slots));
    }
    Finish(report, world);
    return report;
}

}  // namespace sluice::sim
