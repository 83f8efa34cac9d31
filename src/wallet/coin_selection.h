#pragma once

#include <vector>

#include "primitives/transaction.h"
#include "util/result.h"

namespace sluice::wallet {

inline constexpr Amount kDust{330};                     // an output below is not relayed
inline constexpr size_t kKeyInputWeight = 41 * 4 + 66;  // a taproot key-path input with a DEFAULT signature: 57.5 vB
inline constexpr size_t kTaprootOutputWeight = 43 * 4;
inline constexpr size_t kMaxStandardWeight = 100'000;  // of a transaction that is relayed

// What `weight` costs at `feerate` drops per 1,000 vB, rounded up.
Amount FeeFor(size_t weight, uint64_t feerate_per_kvb);

struct Candidate {
    OutPoint outpoint;
    Amount value;
};

struct SelectionRequest {
    Amount target;  // what the inputs have to bring over the fee of themselves
    uint64_t feerate_per_kvb{1'000};
    size_t max_inputs{400};
};

// Chooses coins by effective value (value less the fee of their input) so that they sum to at least `target`:
// first a set that leaves at most the cost of a change output (branch and bound, bounded work), then the smallest
// single coin that leaves change above dust, then the largest first. Coins that cost more than they bring are never
// chosen. Deterministic.
//
// Succeeds whenever the `max_inputs` best coins suffice. kFunds otherwise: needed, available and missing, fees
// included.
Result<std::vector<OutPoint>> SelectCoins(std::vector<Candidate> candidates, const SelectionRequest& request);

}  // namespace sluice::wallet
