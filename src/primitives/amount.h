#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "util/result.h"

namespace sluice {

// Money, in drops: 1 SLU = 100,000,000 drops. Never negative. Arithmetic is checked: sums and differences of amounts
// that come from outside use Add and Subtract.
struct Amount {
    uint64_t drops{0};

    constexpr Amount() = default;
    constexpr explicit Amount(uint64_t d) : drops(d) {}

    friend constexpr auto operator<=>(Amount, Amount) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.drops); }
};

inline constexpr uint64_t kDropsPerSlu = 100'000'000;
inline constexpr Amount kMaxSupply{21'000'000 * kDropsPerSlu};
inline constexpr Amount kGenesisSupply{10'000'000 * kDropsPerSlu};

// True for 0 to the supply cap, the range every output value and every sum lies in.
constexpr bool InMoneyRange(Amount amount) { return amount <= kMaxSupply; }
// a + b, or nullopt if that is over the supply cap.
constexpr std::optional<Amount> Add(Amount a, Amount b) {
    if (!InMoneyRange(a) || !InMoneyRange(b) || a.drops + b.drops > kMaxSupply.drops) return std::nullopt;
    return Amount(a.drops + b.drops);
}
// a - b, or nullopt if that is negative.
constexpr std::optional<Amount> Subtract(Amount a, Amount b) {
    if (b > a) return std::nullopt;
    return Amount(a.drops - b.drops);
}

// "1.25" without a unit, trailing zeros dropped ("0.00000001", "12").
std::string FormatSlu(Amount amount);
// Parses decimal SLU with at most 8 places, 0 to the supply cap. `field` names the value in the error.
Result<Amount> ParseSlu(std::string_view text, std::string_view field);

}  // namespace sluice
