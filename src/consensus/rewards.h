#pragma once

#include "consensus/snapshot.h"

// How a block's subsidy is shared between its producer and those who delegate to it (protocol.md §2, "F1 distribution":
// no accounts, no claims, no scan of coins).
//
// With r the delegators' part of the subsidy, w the weight by which the producer was elected and E the part of that
// stake which is still unspent: delta = ⌊r 2^64 / w⌋, accumulator += delta, pot += ⌈E delta / 2^64⌉. Only the pot's
// increase is minted; what belonged to stake that was spent since the snapshot stays in the reserve. A stake coin made
// in epoch c takes ⌊amount (A(e-1) - A(c+2)) / 2^64⌋ out of the pot when it is spent in epoch e, with A(x) the
// accumulator at the end of epoch x: it earns from c+3 on, the first epoch that it helps to elect, up to the last
// completed one.
//
// A pot never runs dry: each delta puts at least E delta / 2^64 into it, E is the sum of all coins that will ever take
// that delta, and each of them takes its share rounded down. Rewards of the epoch in which a coin is spent, and
// roundings, stay in the pot for ever.

namespace sluice::consensus {

// The producer's part of a subsidy: ⌊subsidy commission / 1000⌋.
Amount CommissionOf(Amount subsidy, uint16_t commission_permille);

// What the coinbase of a block by `producer` pays: its commission and the fees.
// Precondition: the sum is within the supply, as fees of valid transactions are.
Amount CoinbaseValue(Amount subsidy, const SnapshotEntry& producer, Amount fees);

// Shares out the delegators' part of `subsidy` for a block of `epoch` by `producer`, an entry of `elects`. Returns what
// was minted for it, at most that part.
Amount ShareReward(StateCache& state, const StakeSnapshot& elects, const SnapshotEntry& producer, Epoch epoch,
                   Amount subsidy);

// What a coin takes out of its staker's pot when it is spent in a block of `epoch`: 0 unless it is a stake output.
// O(log epochs) reads.
Amount AccruedReward(const Params& params, const StateReader& state, const Coin& coin, Epoch epoch);

}  // namespace sluice::consensus
