#pragma once

#include <memory>

#include "consensus/header_rules.h"
#include "consensus/state.h"
#include "primitives/block.h"

namespace sluice::chain {

// A block with the effect that it had on the state.
struct ConnectedBlock {
    BlockRef block;
    consensus::HeaderState state;
    std::shared_ptr<const consensus::StateDelta> delta;

    // The coin that an input of the block spent; nullopt if it was made in the same block (look there).
    std::optional<consensus::Coin> SpentCoin(const OutPoint& outpoint) const;
};

// What happened to the active chain, net: `disconnected` from the old tip downwards, then `connected` upwards.
struct TipChange {
    std::vector<ConnectedBlock> disconnected;
    std::vector<ConnectedBlock> connected;

    bool Empty() const { return disconnected.empty() && connected.empty(); }
};

}  // namespace sluice::chain
