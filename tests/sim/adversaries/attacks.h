#pragma once

#include "sim/scenario.h"

// Attacks on real nodes: each is a scenario by name, with figures and with invariants that must hold.

namespace sluice::sim {

using models::ModelOptions;

Report RunEquivocationStorm(const ModelOptions& options);
Report RunFakeStake(const ModelOptions& options);
Report RunFlashStake(const ModelOptions& options);
Report RunLongRange(const ModelOptions& options);
Report RunPrivateFork(const ModelOptions& options);
Report RunThirdAlone(const ModelOptions& options);
// All six, by name.
const std::vector<models::Model>& Attacks();

// For their implementations:

// The coin of genesis allocation `index`.
OutPoint GenesisCoin(const consensus::Genesis& genesis, uint32_t index);
// The weight by which a staker can lead slots that a child of `parent` in `slot` lies in, in permille of all.
double WeightPermille(const chain::ChainManager& chain, const StakerId& staker, Slot slot);
bool Descends(const chain::ChainManager& chain, const BlockHash& block);

}  // namespace sluice::sim
