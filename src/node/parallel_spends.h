#pragma once

#include "consensus/block_rules.h"
#include "util/executor.h"

namespace sluice::node {

// Signature work of a block on a pool: the calling thread takes part, so it is never slower than alone even if the pool
// is busy. `pool` outlives the runner. The verdict is that of RunSpendsInOrder.
consensus::SpendRunner MakeParallelSpendRunner(Executor& pool, size_t threads);

}  // namespace sluice::node
