#include "node/fee_estimate.h"

#include <algorithm>

#include "wallet/wallet.h"

namespace sluice::node {

Amount EstimateFeePerKvb(const chain::Mempool& mempool) {
    const uint64_t least = std::max(mempool.min_fee_per_kvb(), wallet::kDefaultFeePerKvb);
    constexpr uint64_t kBlockVsize = kMaxBlockWeight / kWitnessScaleFactor * 9 / 10;
    if (mempool.total_vsize() <= kBlockVsize) return Amount(least);
    std::vector<std::pair<uint64_t, size_t>> rates;  // per kvB, vsize
    for (const chain::MempoolEntry* entry : mempool.All())
        rates.emplace_back(entry->fee.drops * 1'000 / entry->vsize(), entry->vsize());
    std::sort(rates.rbegin(), rates.rend());
    uint64_t filled = 0;
    for (const auto& [rate, vsize] : rates) {
        filled += vsize;
        if (filled >= kBlockVsize) return Amount(std::clamp(rate + 1'000, least, wallet::kMaxFeePerKvb));
    }
    return Amount(least);
}

}  // namespace sluice::node
