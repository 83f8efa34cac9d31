#include <boost/multiprecision/cpp_int.hpp>

#include "consensus/header_rules.h"

// The chance to lead a slot, in integers. With P = 384, all numbers are integers n that stand for n / 2^P, all
// divisions round down, and f = a/d:
//
//   L = -ln(1-f) = 2 artanh(z),  z = a / (2d - a):
//       p_0 = 2^P a / (2d-a),  p_i = p_{i-1} a^2 / (2d-a)^2,  L = 2 (p_0/1 + p_1/3 + p_2/5 + ...)  until p_i = 0
//   x = L weight / total
//   1 - e^-x:
//       t_1 = x,  t_i = t_{i-1} x / (2^P i),  S = t_1 - t_2 + t_3 - ...  until t_i = 0
//   T = S / 2^(P-256)
//
// weight = total gives ⌊2^256 f⌋ itself; f = 1 gives 2^256 - 1 for every weight but 0; weight 0 gives 0.
//
// Error, in units of 2^-P, for f <= 9/10 (z <= 9/11): every p_i is short by less than 1/(1-z^2) <= 3.03, there are at
// most 666 of them, so L is short by less than 2^12; x inherits that and 1 more. With x <= 2.31 every t_i is off by
// less than 3 beside what x brings, there are fewer than 110, and the derivative of 1 - e^-x is at most 1. So |S -
// (1-(1-f)^σ)| < 2^13 units = 2^-371: T is the exact floor unless 2^256 (1-(1-f)^σ) is closer than 2^-115 to an
// integer, and is then off by at most 1. Two different σ differ by at least 2^-102 (totals are below 2^51), so T grows
// with σ strictly.

namespace sluice::consensus {
namespace {

namespace mp = boost::multiprecision;
// Unsigned, on the stack. The largest number is a product of two that are below 2^(P+2).
using Fixed = mp::number<mp::cpp_int_backend<1024, 1024, mp::unsigned_magnitude, mp::unchecked, void>>;
constexpr unsigned kFractionBits = 384;

// -ln(1 - a/d) for 0 < a/d < 1.
Fixed MinusLogOfRest(uint64_t a, uint64_t d) {
    const uint64_t m = 2 * d - a;
    Fixed power = (Fixed(a) << kFractionBits) / m;
    Fixed sum = 0;
    for (uint64_t i = 1; power != 0; i += 2) {
        sum += power / i;
        power = power * (a * a) / (m * m);
    }
    return 2 * sum;
}

// 1 - e^-x.
Fixed OneMinusExp(const Fixed& x) {
    Fixed plus = 0;
    Fixed minus = 0;
    Fixed term = x;
    for (uint64_t i = 2; term != 0; ++i) {
        (i % 2 == 0 ? plus : minus) += term;
        term = ((term * x) >> kFractionBits) / i;
    }
    return plus - minus;
}

// The 32 bytes of n, big-endian; all 0xff if n needs more.
Hash256 ToBigEndian(Fixed n) {
    Hash256 result;
    if (n >> 256 != 0) {
        result.bytes.fill(0xff);
        return result;
    }
    for (size_t i = 32; i-- > 0; n >>= 8) result.bytes[i] = static_cast<uint8_t>(n & 0xff);
    return result;
}

}  // namespace

Hash256 LeaderThreshold(const Params& params, Amount weight, Amount total) {
    CHECK(weight <= total);
    const uint64_t a = params.active_slots_numerator;
    const uint64_t d = params.active_slots_denominator;
    if (weight.drops == 0) return {};
    if (weight == total || a == d) return ToBigEndian((Fixed(a) << 256) / d);
    const Fixed x = MinusLogOfRest(a, d) * weight.drops / total.drops;
    return ToBigEndian(OneMinusExp(x) >> (kFractionBits - 256));
}

}  // namespace sluice::consensus
