#pragma once

#include <cstdint>
#include <vector>

#include "consensus/params.h"
#include "crypto/hash.h"

namespace sluice::sim::models {

inline constexpr size_t kBatches = 50;

struct Estimate {
    double value{0};
    double low{0};
    double high{0};
};
// Ratio of two sums over batches, with its 95 % interval from the spread between batches (Student's t; blocks near each
// other depend on each other, batches of thousands do not).
Estimate RatioOfSums(const std::vector<double>& numerators, const std::vector<double>& denominators);
Estimate MeanOf(const std::vector<double>& batches);

// Hash of everything a model counted: equal for equal seeds.
class Trace {
  public:
    void Add(uint64_t value);
    crypto::Hash256 Finish() { return m_hasher.Finish(); }

  private:
    crypto::Sha256 m_hasher;
};

// A 64-bit draw leads a slot if it is less: the upper 64 bits of LeaderThreshold (an error below 2^-64).
uint64_t LeadLimit(const consensus::Params& params, uint64_t weight, uint64_t total);
// The chance that belongs to a limit.
double Chance(uint64_t lead_limit);

}  // namespace sluice::sim::models
