#include "wallet/coin_selection.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::wallet {
namespace {

using Wide = unsigned __int128;
constexpr size_t kMaxSearchSteps = 50'000;

struct Effective {
    OutPoint outpoint;
    uint64_t value;  // less the fee of the input
};

// Depth-first search for a set that sums to [target, target + slack], of coins sorted from the largest down.
class ExactSearch {
  public:
    ExactSearch(const std::vector<Effective>& coins, uint64_t target, uint64_t slack, size_t max_inputs)
        : m_coins(coins),
          m_target(target),
          m_most(target + slack),
          m_max_inputs(max_inputs),
          m_left(coins.size() + 1, 0) {
        for (size_t i = coins.size(); i-- > 0;) m_left[i] = m_left[i + 1] + coins[i].value;
    }
    // Indexes of the set with the least excess that was found within the bounds; empty if none was.
    std::vector<size_t> Run() {
        Visit(0, 0);
        return m_best;
    }

  private:
    void Visit(size_t index, uint64_t sum) {
        if (sum > m_most || sum + m_left[index] < m_target || m_steps++ > kMaxSearchSteps) return;
        if (sum >= m_target) {
            if (m_best.empty() || sum < m_best_sum) {
                m_best = m_chosen;
                m_best_sum = sum;
                m_most = sum;
            }
            return;
        }
        if (index == m_coins.size() || index >= kMaxDepth) return;
        if (m_chosen.size() < m_max_inputs) {
            m_chosen.push_back(index);
            Visit(index + 1, sum + m_coins[index].value);
            m_chosen.pop_back();
        }
        // A coin equal to one that was just left out gives the same sums.
        size_t next = index + 1;
        while (next < m_coins.size() && m_coins[next].value == m_coins[index].value) ++next;
        Visit(next, sum);
    }

    static constexpr size_t kMaxDepth = 2'000;  // of the recursion
    const std::vector<Effective>& m_coins;
    const uint64_t m_target;
    uint64_t m_most;
    const size_t m_max_inputs;
    std::vector<uint64_t> m_left;  // sum from an index on
    std::vector<size_t> m_chosen;
    std::vector<size_t> m_best;
    uint64_t m_best_sum{0};
    size_t m_steps{0};
};

}  // namespace

Amount FeeFor(size_t weight, uint64_t feerate_per_kvb) {
    // Bytes are rounded up before the fee is, as relay counts them.
    const uint64_t vsize = (weight + kWitnessScaleFactor - 1) / kWitnessScaleFactor;
    return Amount(static_cast<uint64_t>((Wide(vsize) * feerate_per_kvb + 999) / 1000));
}

Result<std::vector<OutPoint>> SelectCoins(std::vector<Candidate> candidates, const SelectionRequest& request) {
    const uint64_t rate = request.feerate_per_kvb, target = request.target.drops;
    // Of one input, rounded up: what a set pays for itself is never under its exact fee.
    const uint64_t input_fee = static_cast<uint64_t>((Wide(kKeyInputWeight) * rate + 3'999) / 4'000);
    const uint64_t change_fee = FeeFor(kTaprootOutputWeight, rate).drops;
    std::vector<Effective> coins;
    for (const Candidate& candidate : candidates)
        if (candidate.value.drops > input_fee) coins.push_back({candidate.outpoint, candidate.value.drops - input_fee});
    std::sort(coins.begin(), coins.end(), [](const Effective& a, const Effective& b) {
        return a.value != b.value ? a.value > b.value : a.outpoint < b.outpoint;
    });
    uint64_t available = 0;
    for (const Effective& coin : coins) available += coin.value;
    const auto insufficient = [&](uint64_t has) {
        return Fail(ErrorKind::kFunds,
                    fmt::format("not enough funds: {} SLU needed with fees, {} available, {} missing",
                                FormatSlu(request.target), FormatSlu(Amount(has)), FormatSlu(Amount(target - has))));
    };
    if (available < target) return insufficient(available);

    const uint64_t change_cost = change_fee + input_fee + kDust.drops;  // making change and spending it later
    std::vector<OutPoint> chosen;
    for (const size_t index : ExactSearch(coins, target, change_cost, request.max_inputs).Run())
        chosen.push_back(coins[index].outpoint);
    if (!chosen.empty()) return chosen;

    const uint64_t with_change = target + change_fee + kDust.drops;
    for (size_t i = coins.size(); i-- > 0;)
        if (coins[i].value >= with_change) return std::vector{coins[i].outpoint};

    uint64_t sum = 0;
    for (const Effective& coin : coins) {
        if (sum >= with_change || chosen.size() == request.max_inputs) break;
        chosen.push_back(coin.outpoint);
        sum += coin.value;
    }
    if (sum >= target) return chosen;
    return Fail(ErrorKind::kFunds, fmt::format("the coins are too small: the {} largest hold {} SLU, {} needed with "
                                               "fees; pay yourself in smaller steps first",
                                               request.max_inputs, FormatSlu(Amount(sum)), FormatSlu(request.target)));
}

}  // namespace sluice::wallet
