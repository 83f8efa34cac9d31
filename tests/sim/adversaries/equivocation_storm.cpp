#include "sim/adversaries/attacks.h"
#include "sim/adversaries/coins.h"
#include "sim/adversaries/forge.h"
#include "sim/adversaries/work_count.h"

// An operator that signs many headers for each slot it wins. Every node hears of others; two of them have valid bodies,
// one for each half of the nodes, the rest have none.

namespace sluice::sim {
namespace {

constexpr size_t kHeadersForEach = 20;  // without bodies, to each node, for each slot won

class Storm final : public Strategy {
  public:
    Storm(Slot until, OwnCoin coin) : m_until(until), m_coin(std::move(coin)) {}

    void OnStart(Byzantine& byzantine) override {
        m_chain = byzantine.MakePrivateChain();
        m_genesis = m_chain->chain().genesis_hash();
    }

    void OnSlot(Byzantine& byzantine, Slot slot) override {
        if (slot > m_until || !m_chain->Follow(byzantine.view().chain())) return;
        for (const consensus::OperatorKeys& keys : byzantine.keys()) Strike(byzantine, keys, slot);
    }

    uint64_t slots_won{0};
    uint64_t twins{0};
    uint64_t headers_sent{0};

  private:
    void Strike(Byzantine& byzantine, const consensus::OperatorKeys& keys, Slot slot) {
        const auto one = m_chain->chain().ProduceBlock(keys, slot);
        if (!one || !*one) return;
        ++slots_won;
        // Its twin has one transaction more.
        if (m_move && !m_chain->chain().state().Get<consensus::Coin>(m_coin.outpoint)) {
            m_coin = CoinOf(*m_move, 0);
            m_move.reset();
        }
        if (!m_move) m_move = m_purse.Move(m_coin, m_purse.PlainScript());
        (void)m_chain->chain().AcceptTransaction(m_move, byzantine.world().queue().clock().Now());
        const auto two = m_chain->chain().ProduceBlock(keys, slot);
        const bool twin = two && *two && (*two)->header != (*one)->header;
        twins += twin;

        const std::vector<PeerId> peers = byzantine.VoicePeers();
        for (size_t i = 0; i < peers.size(); ++i) {
            const BlockRef& real = twin && i % 2 == 1 ? *two : *one;
            byzantine.Offer(real);
            headers_sent += byzantine.SendHeaders(peers[i], {real->header});
            for (size_t n = 0; n < kHeadersForEach; ++n)
                headers_sent +=
                    byzantine.SendHeaders(peers[i], {Equivocate(m_genesis, real->header, keys, byzantine.random())});
        }
    }

    Slot m_until;
    Purse m_purse{1};
    OwnCoin m_coin;
    TransactionRef m_move;
    BlockHash m_genesis;
    std::unique_ptr<PrivateChain> m_chain;
};

}  // namespace

Report RunEquivocationStorm(const ModelOptions& options) {
    Report report{.scenario = "equivocation-storm", .seed = options.seed};
    const size_t honest = options.nodes ? options.nodes : 5;
    const uint64_t slots = options.slots ? options.slots : 1'000;
    const uint64_t storm_slots = slots * 7 / 10;
    NetworkOptions network_options;
    network_options.stakes.assign(honest, 700 / honest);
    network_options.stakes.push_back(300);
    network_options.k = 60;
    network_options.epoch_slots = 6'000;
    network_options.seed = options.seed;
    StakeNetwork network = MakeStakeNetwork(network_options);
    const auto coin = static_cast<uint32_t>(network.genesis.allocations.size() - 1);
    network.genesis.allocations[coin].script = Purse(1).PlainScript();
    const OwnCoin own{GenesisCoin(network.genesis, coin),
                      {network.genesis.allocations[coin].amount, Purse(1).PlainScript()}};

    World world(options.seed, network);
    world.AddMesh(honest);
    ByzantineOptions byzantine;
    byzantine.stakers = {static_cast<uint32_t>(honest)};
    for (size_t i = 0; i < honest; ++i) byzantine.view_peers.push_back(i), byzantine.voice_peers.push_back(i);
    auto owned = std::make_unique<Storm>(Slot(storm_slots), own);
    Storm& storm = *owned;
    const StakerId culprit = world.network().keys(static_cast<uint32_t>(honest)).staker;
    world.Add(byzantine, std::move(owned));

    const uint64_t memory = ResidentBytes();
    const WorkCount before = WorkDone();
    std::optional<uint64_t> convicted_at;
    size_t most_headers = 0;
    const auto watch = [&] {
        for (size_t i = 0; i < honest; ++i)
            most_headers = std::max(most_headers, world[i].chain().headers().open_count());
        const auto state = world[0].chain().state().Get<consensus::StakerState>(culprit);
        if (!convicted_at && state && state->status != consensus::StakerStatus::kActive)
            convicted_at = world.slot().value;
    };
    for (uint64_t done = 0; done < slots; done += 10) {
        world.RunSlots(10);
        watch();
    }
    const uint64_t ended = world.slot().value;
    const bool agreed = world.RunUntil([&] { return world.AllAgree(); }, seconds(120));
    const WorkCount work = WorkDone() - before;

    Require(report, agreed, "the nodes do not agree on a tip two minutes after the storm");
    Require(report, storm.slots_won > 0 && storm.headers_sent > 0, "there was no storm");
    const double kept = static_cast<double>(world.chronicle().chain_of(0).size());
    Require(report, static_cast<double>(most_headers) <= kept + 9.0 * static_cast<double>(storm.slots_won),
            "a node keeps more headers than eight for each slot that the equivocator won");
    Require(report, world.chronicle().max_reorg_depth() <= 12, "a reorg is deeper than a third of stake explains");
    Require(report, convicted_at.has_value(), "the equivocator was not convicted");
    AddFigure(report, "slots won by the equivocator", "30 % of the stake", static_cast<double>(storm.slots_won));
    AddFigure(report, "slots with two valid blocks", "", static_cast<double>(storm.twins));
    AddFigure(report, "headers sent", "", static_cast<double>(storm.headers_sent));
    AddFigure(report, "most headers kept by a node",
              "of " + std::to_string(static_cast<uint64_t>(kept)) + " in the chain", static_cast<double>(most_headers));
    AddFigure(report, "VRF proofs verified by all nodes together", "", static_cast<double>(work.vrf_proofs));
    AddFigure(report, "MiB more in RAM, all nodes", "",
              (static_cast<double>(ResidentBytes()) - static_cast<double>(memory)) / (1 << 20));
    AddFigure(report, "slot of the conviction", "-1: never", convicted_at ? static_cast<double>(*convicted_at) : -1);
    AddFigure(report, "slots until all agreed", "after the end", static_cast<double>(world.slot().value - ended));
    Finish(report, world);
    return report;
}

}  // namespace sluice::sim
