#include "primitives/ids.h"

#include <charconv>

namespace sluice {

std::optional<OutPoint> OutPoint::FromString(std::string_view text) {
    if (text.size() < 66 || text[64] != ':') return std::nullopt;
    const auto txid = Txid::FromHex(text.substr(0, 64));
    const std::string_view digits = text.substr(65);
    OutPoint result;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), result.index);
    if (!txid || error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    result.txid = *txid;
    return result;
}

}  // namespace sluice
