#pragma once

#include "chain/mempool.h"

namespace sluice::node {

// What a transaction that is sent now pays to be in the next block: over what the transactions pay that would fill it,
// and never under the wallet's default. Drops per 1,000 virtual bytes.
Amount EstimateFeePerKvb(const chain::Mempool& mempool);

}  // namespace sluice::node
