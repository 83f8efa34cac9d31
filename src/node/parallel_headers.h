#pragma once

#include "chain/header_pipeline.h"
#include "util/executor.h"

namespace sluice::node {

// Signature and VRF checks of headers on a pool: the calling thread takes part, so it is never slower than alone even
// if the pool is busy. `pool` outlives the runner.
chain::HeaderRunner MakeParallelHeaderRunner(Executor& pool, size_t threads);

}  // namespace sluice::node
