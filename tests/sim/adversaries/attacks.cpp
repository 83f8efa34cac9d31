#include "sim/adversaries/attacks.h"

namespace sluice::sim {

const std::vector<models::Model>& Attacks() {
    static const std::vector<models::Model> kAttacks{
        {"equivocation-storm", "a staker signs many headers and two blocks for each slot, other ones for each node",
         RunEquivocationStorm},
        {"fake-stake", "floods of headers without stake behind them: unregistered, spent, unsigned, of the future",
         RunFakeStake},
        {"flash-stake", "stake that is there at the end of an epoch only leads nothing", RunFlashStake},
        {"long-range", "a longer fork by keys whose stake was sold, against a syncing and a caught-up node",
         RunLongRange},
        {"private-fork", "30 % keep their branch to themselves while it leads", RunPrivateFork},
        {"third-alone", "a third builds more than k blocks alone and comes back", RunThirdAlone},
    };
    return kAttacks;
}

OutPoint GenesisCoin(const consensus::Genesis& genesis, uint32_t index) {
    return genesis.MakeBlock().transactions[0]->Output(index);
}

double WeightPermille(const chain::ChainManager& chain, const StakerId& staker, Slot slot) {
    const auto& params = chain.params();
    const auto snapshot = chain.SnapshotOf(consensus::ElectingBoundary(params, chain.tip()->state, slot));
    if (!snapshot || !*snapshot) return -1;
    const consensus::StakeSnapshot& stake = (*snapshot)->stake;
    const auto* entry = stake.Find(staker);
    if (!entry) return 0;
    const Epoch epoch = params.EpochOf(slot);
    return 1000.0 * static_cast<double>(stake.Weight(*entry, epoch).drops) /
           static_cast<double>(stake.TotalWeight(epoch).drops);
}

bool Descends(const chain::ChainManager& chain, const BlockHash& block) {
    const chain::HeaderNode* node = chain.FindHeader(block);
    return node != nullptr && chain.IsActive(node);
}

}  // namespace sluice::sim
