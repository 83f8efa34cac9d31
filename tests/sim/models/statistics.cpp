#include "sim/models/statistics.h"

#include <cmath>
#include <numeric>

#include "consensus/header_rules.h"

namespace sluice::sim::models {
namespace {

// 97.5 % quantile of Student's t; the normal's from 60 degrees on is within 2 %.
double StudentQuantile(size_t degrees) {
    if (degrees == 0) return 0;
    const auto n = static_cast<double>(degrees);
    // Cornish-Fisher expansion about the normal quantile: within 0.1 % from 10 degrees on.
    const double z = 1.959964;
    return z + (z * z * z + z) / (4 * n) + (5 * std::pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * n * n);
}

}  // namespace

Estimate RatioOfSums(const std::vector<double>& numerators, const std::vector<double>& denominators) {
    CHECK(numerators.size() == denominators.size());
    const double above = std::accumulate(numerators.begin(), numerators.end(), 0.0);
    const double below = std::accumulate(denominators.begin(), denominators.end(), 0.0);
    if (below == 0) return {};
    const size_t n = numerators.size();
    const double ratio = above / below;
    double squares = 0;
    for (size_t i = 0; i < n; ++i) squares += std::pow(numerators[i] - ratio * denominators[i], 2);
    if (n < 2) return {ratio, ratio, ratio};
    const double count = static_cast<double>(n);
    const double error = std::sqrt(squares / (count * (count - 1))) / (below / count) * StudentQuantile(n - 1);
    return {ratio, ratio - error, ratio + error};
}

Estimate MeanOf(const std::vector<double>& batches) {
    return RatioOfSums(batches, std::vector<double>(batches.size(), 1.0));
}

void Trace::Add(uint64_t value) { m_hasher.Write(Encode(value)); }

uint64_t LeadLimit(const consensus::Params& params, uint64_t weight, uint64_t total) {
    const Hash256 threshold = consensus::LeaderThreshold(params, Amount(weight), Amount(total));
    uint64_t upper = 0;
    for (size_t i = 0; i < 8; ++i) upper = upper << 8 | threshold.bytes[i];
    return upper;
}

double Chance(uint64_t lead_limit) { return std::ldexp(static_cast<double>(lead_limit), -64); }

}  // namespace sluice::sim::models
