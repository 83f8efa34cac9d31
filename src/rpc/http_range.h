#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

// Range requests and preconditions of HTTP (RFC 9110 sections 8.8.3, 13 and 14), as pure functions of header values.

namespace sluice::rpc {

inline constexpr size_t kMaxRanges = 16;

// Bytes first .. first + length - 1; length > 0.
struct ByteRange {
    uint64_t first{0};
    uint64_t length{0};

    uint64_t end() const { return first + length; }
    friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

struct RangeAnswer {
    enum class Kind {
        kWhole,          // 200: there is no range, or one in a unit that is not bytes
        kPartial,        // 206 with `ranges`
        kUnsatisfiable,  // 416
    };
    Kind kind{Kind::kWhole};
    std::vector<ByteRange> ranges;  // kPartial: at least one, at most kMaxRanges, none of them overlapping or adjacent

    friend bool operator==(const RangeAnswer&, const RangeAnswer&) = default;
};

// What a Range field means for a representation of `size_bytes`. Ranges that begin behind the end are left out, the
// rest is cut at the end; ranges that overlap or touch become one, in the place of the first of them.
//
// Refused as a whole (kUnsatisfiable, as RFC 9110 14.2 allows): what is no ranges-specifier, more than kMaxRanges
// ranges, and more than two of them that overlap another one, which only somebody sends who wants more bytes out than
// there are.
RangeAnswer ParseRange(std::string_view field, uint64_t size_bytes);

// `etag` is ours: strong, with its quotes.
// If-Range: true if the Range is to be obeyed. A date never matches, since we give no Last-Modified.
bool MatchesIfRange(std::string_view field, std::string_view etag);
// If-None-Match by weak comparison: true if the client has it already (304).
bool MatchesIfNoneMatch(std::string_view field, std::string_view etag);
// If-Match by strong comparison: false if the request is to fail (412).
bool MatchesIfMatch(std::string_view field, std::string_view etag);

}  // namespace sluice::rpc
