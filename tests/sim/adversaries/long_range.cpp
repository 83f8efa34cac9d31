#include "sim/adversaries/attacks.h"
#include "sim/adversaries/coins.h"

// Old keys: somebody had 60 % of the stake, sold it, and kept the keys. Much later it builds a fork from before the
// sale, on which it has that stake for ever. Most of the honest are away by then, so that its fork is longer than the
// chain. It is shown to a node that was there all the time and, before anything else, to one that starts afresh.

namespace sluice::sim {
namespace {

constexpr uint64_t kEpochSlots = 400;

// Gives its branch to whoever asks for headers.
class OldKeys final : public Strategy {
  public:
    bool OnMessage(Byzantine& byzantine, PeerId peer, p2p::MessageType type, ByteSpan payload) override {
        if (type != p2p::MessageType::kGetHeaders || !chain) return false;
        const auto asked = Decode<p2p::GetHeaders>(payload);
        if (!asked) return false;
        const auto headers = chain->chain().HeadersAfter(asked->locator, asked->stop);
        if (!headers) return false;
        std::vector<BlockHeader> some(
            headers->begin(),
            headers->begin() + static_cast<ptrdiff_t>(std::min(headers->size(), p2p::kMaxHeadersPerMessage)));
        headers_given += some.size();
        byzantine.SendHeaders(peer, std::move(some));
        return true;
    }
    void OnPeerReady(Byzantine& byzantine, PeerId peer) override { Announce(byzantine, peer); }
    void Announce(Byzantine& byzantine, PeerId peer) {
        if (!chain) return;
        if (const auto tip = chain->chain().headers().ReadHeader(chain->tip().hash()))
            byzantine.SendHeaders(peer, {*tip});
    }

    std::unique_ptr<PrivateChain> chain;
    uint64_t headers_given{0};
};

}  // namespace

Report RunLongRange(const ModelOptions& options) {
    Report report{.scenario = "long-range", .seed = options.seed};
    constexpr size_t kHonest = 4;
    const uint64_t slots = options.slots ? options.slots : 4'000;
    NetworkOptions network_options;
    network_options.stakes.assign(kHonest, 10);
    network_options.stakes.push_back(60);
    network_options.epoch_slots = kEpochSlots;
    network_options.k = 25;  // 3k/f = 750 slots
    network_options.seed = options.seed;
    StakeNetwork network = MakeStakeNetwork(network_options);
    const Purse seller(20), buyer(21);
    const StakerId old_id = network.keys(kHonest).staker;
    uint32_t sold = 0;
    for (uint32_t i = 0; i < network.genesis.allocations.size(); ++i) {
        if (network.genesis.allocations[i].script.size() != seller.StakedScript(old_id).size()) continue;
        sold = i;  // the last staked one is that of staker kHonest
    }
    network.genesis.allocations[sold].script = seller.StakedScript(old_id);
    const OwnCoin stake{GenesisCoin(network.genesis, sold),
                        {network.genesis.allocations[sold].amount, network.genesis.allocations[sold].script}};

    World world(options.seed, network);
    world.AddMesh(kHonest);
    VirtualNodeOptions old_node;  // the keys' own node, which follows the rules as long as it has the stake
    old_node.staker = kHonest;
    old_node.add_nodes = {0, 1, 2, 3};
    world.Add(old_node);

    world.RunSlots(50);
    // The sale: to somebody who delegates to honest nodes 1 and 2.
    const uint64_t half = stake.output.value.drops / 2;
    const TransactionRef sale =
        seller.Spend({stake}, {{Amount(half), buyer.StakedScript(network.keys(1).staker)},
                               {Amount(half - 100'000), buyer.StakedScript(network.keys(2).staker)}});
    const Height before_sale = world[0].tip().height();
    Require(report, world[0]->chain().Submit(sale).has_value(), "the sale is refused");
    // All are there until the old keys elect no more and well into the time that a fork would be judged by.
    world.RunSlots(4 * kEpochSlots);
    const double old_weight = WeightPermille(world[0].chain(), old_id, world.slot() + 1);
    world[4].Crash();
    // Then three of four honest nodes go away, the two that were sold to among them.
    for (const size_t away : {1, 2, 3}) world[away].Crash();
    world[0].Crash();
    const Status opened = world[0].Open();
    CHECK(opened.has_value());
    // Node 0 alone leads 10 % of the slots from now on.
    world.RunSlots(slots);

    auto owned = std::make_unique<OldKeys>();
    OldKeys& old_keys = *owned;
    const Height caught_up = world[0].tip().height();
    const BlockHash honest_tip = world[0].tip().hash();
    const size_t fresh = 6;  // after the view
    Byzantine& byzantine = world.Add(
        ByzantineOptions{.stakers = {kHonest}, .view_peers = {}, .voice_peers = {0, fresh}}, std::move(owned));
    auto chain = byzantine.MakePrivateChain();
    Require(report, chain->Follow(world[0].chain(), before_sale).has_value(), "the fork has no base");
    const Height forked = chain->tip().height();
    for (Slot slot = chain->tip().state.slot + 1; slot <= world.slot(); ++slot)
        Require(report, chain->Produce(byzantine.keys()[0], slot).has_value(), "the fork cannot be built");
    const auto blocks = chain->BlocksAfter(Height(0));
    CHECK(blocks.has_value());
    for (const BlockRef& block : *blocks) byzantine.Offer(block);
    const Height fork_tip = chain->tip().height();
    const BlockHash evil_tip = chain->tip().hash();
    old_keys.chain = std::move(chain);
    Require(report, old_weight == 0, "the old keys still elect on the chain");
    Require(report, fork_tip > caught_up + 10, "the fork is not longer than the chain: no attack");
    AddFigure(report, "blocks of the chain", "forked off at " + ToString(forked), static_cast<double>(caught_up.value));
    AddFigure(report, "blocks of the fork", "", static_cast<double>(fork_tip.value));

    // The fresh node is fed the fork first and hears of node 0 only a while later.
    const uint64_t memory_headers = world[0].chain().headers().open_count();
    world.Add();
    world.RunSlots(120);
    const chain::ChainManager& young = world[fresh].chain();
    AddFigure(report, "fork blocks that the fresh node connected before it met an honest one", "",
              static_cast<double>(young.tip()->height().value));
    world[fresh]->network().peers().AddNode(world.AddressOf(0));
    const bool followed = world.RunUntil([&] { return Descends(young, honest_tip); }, seconds(900));
    Require(report, followed, "the fresh node stays on the fork of the old keys");
    Require(report, Descends(world[0].chain(), honest_tip), "the node that was there all the time left its chain");
    Require(report, !Descends(young, evil_tip), "the fresh node has the fork's tip");
    Require(report, old_keys.headers_given > 0, "nobody asked for the fork: no attack");
    AddFigure(report, "headers of the fork given away", "", static_cast<double>(old_keys.headers_given));
    AddFigure(report, "more headers in the memory of the node that was there", "",
              static_cast<double>(world[0].chain().headers().open_count()) - static_cast<double>(memory_headers));
    Finish(report, world);
    return report;
}

}  // namespace sluice::sim
