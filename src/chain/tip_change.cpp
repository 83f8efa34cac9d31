#include "chain/tip_change.h"

#include <algorithm>

namespace sluice::chain {

std::optional<consensus::Coin> ConnectedBlock::SpentCoin(const OutPoint& outpoint) const {
    const Bytes key = consensus::StateKey<consensus::Coin>(outpoint);
    const auto& changes = delta->changes;
    const auto found = std::lower_bound(changes.begin(), changes.end(), key,
                                        [](const auto& change, const Bytes& wanted) { return change.key < wanted; });
    if (found == changes.end() || found->key != key || !found->before) return std::nullopt;
    auto coin = Decode<consensus::Coin>(*found->before);
    CHECK(coin.has_value());  // we wrote it
    return std::move(*coin);
}

}  // namespace sluice::chain
