#include "node/fetch_limits.h"

#include <algorithm>

#include "content/voucher.h"

namespace sluice::node {

namespace {

// Channels lock more than is paid in the end: what is left over comes back when they are settled.
constexpr uint64_t kBudgetFactor = 4;
constexpr Amount kBudgetFloor{kDropsPerSlu / 100};

}  // namespace

content::DownloadLimits LimitsFor(const ContentId& content, const FetchLimits& limits, const DefaultPrices& prices) {
    content::DownloadLimits result;
    result.max_price_per_mib = limits.max_price_per_mib.value_or(prices.max_per_mib);
    content::Meter meter;
    meter.Add(content.size_bytes, result.max_price_per_mib);
    const uint64_t full = std::min(meter.Owed().drops, kMaxSupply.drops / kBudgetFactor);
    result.budget =
        limits.max_cost.value_or(Amount(std::min(full * kBudgetFactor + kBudgetFloor.drops, kMaxSupply.drops)));
    return result;
}

}  // namespace sluice::node
