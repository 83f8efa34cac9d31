#include "sim/adversaries/attacks.h"
#include "sim/adversaries/coins.h"

// Three coins of the same size, delegated to three stakers that have nothing else:
//  - the flash: staked in the last slots of every epoch, so that it is there when the snapshot is taken, and taken back
//  in the first
//    slots of the next;
//  - the blink: staked and taken back within the same epoch;
//  - the honest one, for comparison: staked once and left there. It counts from the third epoch on after that in which
//  it was
//    made, and not an epoch before.

namespace sluice::sim {
namespace {

struct Delegator {
    Purse purse;
    OwnCoin coin;
    StakerId staker;
    bool staked{false};

    // Moves the coin in or out by way of node 0. False if its last move is not in the chain yet.
    bool Move(World& world, bool in) {
        chain::ChainManager& chain = world[0].chain();
        if (in == staked || !chain.state().Get<consensus::Coin>(coin.outpoint)) return false;
        const TransactionRef tx = purse.Move(coin, in ? purse.StakedScript(staker) : purse.PlainScript());
        if (!world[0]->chain().Submit(tx)) return false;
        coin = CoinOf(*tx, 0);
        staked = in;
        return true;
    }
};

}  // namespace

Report RunFlashStake(const ModelOptions& options) {
    Report report{.scenario = "flash-stake", .seed = options.seed};
    const size_t honest = options.nodes ? options.nodes : 3;
    constexpr uint64_t kEpochSlots = 300;
    const uint64_t epochs = options.slots ? std::max<uint64_t>(7, options.slots / kEpochSlots) : 12;
    NetworkOptions network_options;
    network_options.stakes.assign(honest, 1);
    for (int i = 0; i < 3; ++i) network_options.stakes.push_back(0);
    network_options.staked_slu = 2'000'000;
    network_options.epoch_slots = kEpochSlots;
    network_options.k = 30;
    network_options.seed = options.seed;
    StakeNetwork network = MakeStakeNetwork(network_options);
    std::vector<Delegator> delegators;
    for (uint32_t i = 0; i < 3; ++i) {
        const auto index = static_cast<uint32_t>(network.genesis.allocations.size() - 1 - i);
        Purse purse(10 + i);
        network.genesis.allocations[index].script = purse.PlainScript();
        delegators.push_back({std::move(purse), {}, network.keys(static_cast<uint32_t>(honest) + i).staker});
    }
    for (uint32_t i = 0; i < 3; ++i) {  // once the genesis is what it will be
        const auto index = static_cast<uint32_t>(network.genesis.allocations.size() - 1 - i);
        const auto& allocation = network.genesis.allocations[index];
        delegators[i].coin = {GenesisCoin(network.genesis, index), {allocation.amount, allocation.script}};
    }
    Delegator& flash = delegators[0];
    Delegator& blink = delegators[1];
    Delegator& faithful = delegators[2];

    World world(options.seed, network);
    world.AddMesh(honest);
    for (uint32_t i = 0; i < 3; ++i) {  // the attackers' own nodes, which would produce if they could
        VirtualNodeOptions node;
        node.staker = static_cast<uint32_t>(honest) + i;
        node.add_nodes = {0};
        world.Add(node);
    }
    uint64_t flashes = 0, seen_at_the_end = 0, blinks = 0;
    double flash_weight = 0, blink_weight = 0;
    std::optional<uint64_t> faithful_from, faithful_counts_from;
    double faithful_weight = 0;
    for (uint64_t epoch = 0; epoch < epochs; ++epoch) {
        const auto run_to = [&](uint64_t slot_of_epoch) {
            while (world.slot().value < epoch * kEpochSlots + slot_of_epoch) world.RunSlots(1);
        };
        const auto try_until = [&](Delegator& who, bool in, uint64_t slot_of_epoch) {
            bool moved = false;
            while (!moved && world.slot().value < epoch * kEpochSlots + slot_of_epoch)
                if (!(moved = who.Move(world, in))) world.RunSlots(1);
            return moved;
        };
        run_to(1);
        try_until(flash, false, 60);
        run_to(100);
        if (!faithful_from && faithful.Move(world, true)) faithful_from = epoch;
        blinks += try_until(blink, true, 140);
        run_to(141);
        try_until(blink, false, 220);
        run_to(kEpochSlots - 60);
        flashes += try_until(flash, true, kEpochSlots - 10);
        run_to(kEpochSlots - 1);
        const chain::ChainManager& chain = world[0].chain();
        const auto state = chain.state().Get<consensus::StakerState>(flash.staker);
        const OutPoint held = flash.coin.outpoint;
        seen_at_the_end += state && flash.staked && chain.state().Get<consensus::Coin>(held).has_value();

        const Slot next(epoch * kEpochSlots + kEpochSlots);
        flash_weight = std::max(flash_weight, WeightPermille(chain, flash.staker, next));
        blink_weight = std::max(blink_weight, WeightPermille(chain, blink.staker, next));
        const double weight = WeightPermille(chain, faithful.staker, next);
        if (weight > 0 && !faithful_counts_from) faithful_counts_from = epoch + 1;
        faithful_weight = std::max(faithful_weight, weight);
    }
    world.RunUntil([&] { return world.AllAgree(); }, seconds(120));

    std::map<StakerId, uint64_t> led;
    for (const BlockHash& hash : world.chronicle().chain_of(0)) {
        const auto block = world.chronicle().blocks().find(hash);
        if (block != world.chronicle().blocks().end()) ++led[block->second.staker];
    }
    Require(report, flashes >= epochs - 2 && seen_at_the_end >= epochs / 2,
            "the flash was not there at the epochs' ends");
    Require(report, blinks >= epochs - 2, "the blink did not happen");
    Require(report, flash_weight == 0, "stake made at the end of an epoch and taken back leads");
    Require(report, blink_weight == 0, "stake made and taken back within an epoch leads");
    Require(report, led[flash.staker] == 0 && led[blink.staker] == 0, "a staker without weight made blocks");
    Require(report, faithful_from && faithful_counts_from && *faithful_counts_from == *faithful_from + 3,
            "stake that stays does not count from the third epoch after that in which it was made");
    Require(report, led[faithful.staker] > 0, "stake that stays never leads");
    AddFigure(report, "epoch ends at which the flash was staked", "of " + std::to_string(epochs),
              static_cast<double>(seen_at_the_end));
    AddFigure(report, "stakes within one epoch", "", static_cast<double>(blinks));
    AddFigure(report, "greatest weight permille", "flash", flash_weight, 0);
    AddFigure(report, "greatest weight permille", "blink", blink_weight, 0);
    AddFigure(report, "greatest weight permille", "stays", faithful_weight);
    AddFigure(report, "epochs until it counts", "stays",
              faithful_counts_from && faithful_from ? static_cast<double>(*faithful_counts_from - *faithful_from) : -1,
              3);
    AddFigure(report, "blocks led", "flash and blink", static_cast<double>(led[flash.staker] + led[blink.staker]), 0);
    AddFigure(report, "blocks led", "stays", static_cast<double>(led[faithful.staker]));
    Finish(report, world);
    return report;
}

}  // namespace sluice::sim
