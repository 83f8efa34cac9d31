#include "primitives/amount.h"

#include <fmt/format.h>

namespace sluice {

std::string FormatSlu(Amount amount) {
    std::string text = fmt::format("{}.{:08}", amount.drops / kDropsPerSlu, amount.drops % kDropsPerSlu);
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
    return text;
}

Result<Amount> ParseSlu(std::string_view text, std::string_view field) {
    const auto bad = [&](std::string_view why) {
        return Fail(fmt::format("{} '{}' {}: give SLU as a decimal number with at most 8 places, for example 1.25",
                                field, text.substr(0, 40), why));
    };
    if (!text.empty() && text.front() == '-') return bad("is negative");
    const size_t point = text.find('.');
    const std::string_view whole = text.substr(0, point);
    const std::string_view fraction = point == std::string_view::npos ? std::string_view{} : text.substr(point + 1);
    if (whole.empty() || (point != std::string_view::npos && fraction.empty())) return bad("is not a number");
    if (fraction.size() > 8) return bad("has more than 8 decimal places");
    const auto digits = [](std::string_view s) {
        for (const char c : s)
            if (c < '0' || c > '9') return false;
        return true;
    };
    if (!digits(whole) || !digits(fraction)) return bad("is not a number");
    uint64_t slu = 0;
    for (const char c : whole) {
        slu = slu * 10 + static_cast<uint64_t>(c - '0');
        if (slu > kMaxSupply.drops / kDropsPerSlu) return bad("is over the supply of 21000000 SLU");
    }
    uint64_t drops = 0;
    for (size_t i = 0; i < 8; ++i)
        drops = drops * 10 + (i < fraction.size() ? static_cast<uint64_t>(fraction[i] - '0') : 0);
    const Amount amount(slu * kDropsPerSlu + drops);
    if (!InMoneyRange(amount)) return bad("is over the supply of 21000000 SLU");
    return amount;
}

}  // namespace sluice
