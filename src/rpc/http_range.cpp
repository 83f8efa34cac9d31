#include "rpc/http_range.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace sluice::rpc {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

std::string_view Trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
    return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
               return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b;
           });
}

// 1*DIGIT; what is too large for 64 bits is as good as the largest.
std::optional<uint64_t> ParseNumber(std::string_view text) {
    if (text.empty()) return std::nullopt;
    uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        const auto digit = static_cast<uint64_t>(c - '0');
        value = value > (kMax - digit) / 10 ? kMax : value * 10 + digit;
    }
    return value;
}

struct Spec {
    bool valid{false};
    std::optional<ByteRange> range;  // none: it is not satisfiable
};

// int-range or suffix-range.
Spec ParseSpec(std::string_view text, uint64_t size) {
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos) return {};
    const std::string_view before = text.substr(0, dash), after = text.substr(dash + 1);
    if (before.empty()) {
        const auto suffix = ParseNumber(after);
        if (!suffix) return {};
        const uint64_t length = std::min(*suffix, size);
        if (length == 0) return {true, {}};
        return {true, ByteRange{size - length, length}};
    }
    const auto first = ParseNumber(before);
    const auto last = after.empty() ? std::optional(kMax) : ParseNumber(after);
    if (!first || !last || *last < *first) return {};
    if (*first >= size) return {true, {}};
    return {true, ByteRange{*first, std::min(*last, size - 1) - *first + 1}};
}

bool Overlap(const ByteRange& a, const ByteRange& b) { return a.first < b.end() && b.first < a.end(); }
bool Touch(const ByteRange& a, const ByteRange& b) { return a.first <= b.end() && b.first <= a.end(); }

// How many of the ranges share a byte with another one.
size_t CountOverlapping(const std::vector<ByteRange>& ranges) {
    size_t count = 0;
    for (size_t i = 0; i < ranges.size(); ++i) {
        for (size_t j = 0; j < ranges.size(); ++j) {
            if (i == j || !Overlap(ranges[i], ranges[j])) continue;
            ++count;
            break;
        }
    }
    return count;
}

std::vector<ByteRange> Coalesce(const std::vector<ByteRange>& ranges) {
    std::vector<ByteRange> result;
    for (ByteRange range : ranges) {
        auto into = result.end();
        for (auto at = result.begin(); at != result.end();) {
            if (!Touch(*at, range)) {
                ++at;
                continue;
            }
            const uint64_t first = std::min(at->first, range.first), end = std::max(at->end(), range.end());
            range = {first, end - first};
            if (into == result.end()) {
                *at = range;
                into = at++;
            } else {
                *into = range;
                at = result.erase(at);
            }
        }
        if (into == result.end()) result.push_back(range);
    }
    return result;
}

// Calls `each` with every element of a comma-separated list whose elements are entity tags or "*"; false if it is not
// well-formed.
template <class Each>
void ForEachTag(std::string_view field, Each each) {
    while (!field.empty()) {
        field = Trim(field);
        if (field.empty()) return;
        if (field.front() == ',') {
            field.remove_prefix(1);
            continue;
        }
        const size_t open = field.find('"');
        if (open == std::string_view::npos) return each(Trim(field));
        const size_t close = field.find('"', open + 1);
        if (close == std::string_view::npos) return;
        each(Trim(field.substr(0, close + 1)));
        field.remove_prefix(close + 1);
    }
}

bool IsStar(std::string_view field) { return Trim(field) == "*"; }

}  // namespace

RangeAnswer ParseRange(std::string_view field, uint64_t size_bytes) {
    using Kind = RangeAnswer::Kind;
    field = Trim(field);
    if (field.empty()) return {};
    const size_t equals = field.find('=');
    if (equals == std::string_view::npos) return {Kind::kUnsatisfiable, {}};
    if (!EqualsIgnoringCase(field.substr(0, equals), "bytes")) return {};
    std::string_view list = field.substr(equals + 1);
    std::vector<ByteRange> ranges;
    for (size_t specs = 0;;) {
        const size_t comma = list.find(',');
        const std::string_view element = Trim(list.substr(0, comma));
        if (!element.empty()) {
            const Spec spec = ParseSpec(element, size_bytes);
            if (!spec.valid || ++specs > kMaxRanges) return {Kind::kUnsatisfiable, {}};
            if (spec.range) ranges.push_back(*spec.range);
        }
        if (comma == std::string_view::npos) break;
        list.remove_prefix(comma + 1);
    }
    if (ranges.empty() || CountOverlapping(ranges) > 2) return {Kind::kUnsatisfiable, {}};
    // Joined ranges may touch one that neither of them touched: again, until nothing changes.
    for (size_t before = ranges.size() + 1; ranges.size() < before;) {
        before = ranges.size();
        ranges = Coalesce(ranges);
    }
    return {Kind::kPartial, std::move(ranges)};
}

bool MatchesIfRange(std::string_view field, std::string_view etag) { return Trim(field) == etag; }

bool MatchesIfNoneMatch(std::string_view field, std::string_view etag) {
    if (IsStar(field)) return true;
    bool found = false;
    ForEachTag(field, [&](std::string_view tag) {
        if (tag.starts_with("W/")) tag.remove_prefix(2);
        found = found || tag == etag;
    });
    return found;
}

bool MatchesIfMatch(std::string_view field, std::string_view etag) {
    if (IsStar(field)) return true;
    bool found = false;
    ForEachTag(field, [&](std::string_view tag) { found = found || tag == etag; });
    return found;
}

}  // namespace sluice::rpc
