#pragma once

#include <optional>

#include "content/swarm.h"

namespace sluice::node {

struct FetchLimits {
    std::optional<Amount> max_price_per_mib;  // none: the configuration's
    std::optional<Amount>
        max_cost;  // in all; none: what the whole content costs at the highest price, with room for channels

    friend bool operator==(const FetchLimits&, const FetchLimits&) = default;
};

// What the operator's configuration says where a call does not.
struct DefaultPrices {
    Amount max_per_mib;   // a download pays no more
    Amount seed_per_mib;  // seeding asks this where the publish record gives no hint
};

// What a download of `content` may spend.
content::DownloadLimits LimitsFor(const ContentId& content, const FetchLimits& limits, const DefaultPrices& prices);

}  // namespace sluice::node
