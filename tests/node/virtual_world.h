#pragma once

#include "sim/world.h"

// The simulator's world (sim/world.h) on regtest, with what tests expect of it.

namespace sluice::node::testing {

using sim::VirtualNode;
using sim::VirtualNodeOptions;

class VirtualWorld : public sim::World {
  public:
    explicit VirtualWorld(uint64_t seed) : World(seed, sim::RegtestNetwork()) {}
    ~VirtualWorld();  // expects that no invariant failed

    // The wallets of all nodes own every drop of the chain's unspent outputs. Meaningful once AllSettled.
    void ExpectWalletsOwnEverything();
    // No slot has two headers, in what any node knows.
    void ExpectOneHeaderForEachSlot();
    Hash256 trace() const { return Trace(); }
};

}  // namespace sluice::node::testing
