#include "content/segments.h"

#include <fmt/format.h>

#include "primitives/record.h"

namespace sluice::content {
namespace {

bool Names(const SegmentRule& rule, std::string_view path) {
    std::string_view pattern = rule.pattern;
    while (pattern.ends_with('/')) pattern.remove_suffix(1);
    if (path == pattern) return true;
    if (path.size() > pattern.size() && path.starts_with(pattern) && path[pattern.size()] == '/') return true;
    return MatchesGlob(pattern, path);
}

// `groups` are the files of each segment; `names` what to call it when it is empty.
Result<DividedFolder> Arrange(std::vector<std::vector<ManifestEntry>> groups, const std::vector<std::string>& names,
                              std::vector<Amount> prices) {
    if (groups.size() > kMaxSegments)
        return Fail(fmt::format("{} segments are over the limit of {}: put several files into one", groups.size(),
                                kMaxSegments));
    DividedFolder divided;
    divided.prices = std::move(prices);
    std::vector<size_t> firsts;
    for (size_t i = 0; i < groups.size(); ++i) {
        bool any_bytes = false;
        for (ManifestEntry& entry : groups[i]) {
            entry.aligned = !any_bytes && entry.size_bytes > 0;
            if (entry.aligned) firsts.push_back(divided.manifest.entries.size());
            any_bytes = any_bytes || entry.aligned;
            divided.manifest.entries.push_back(std::move(entry));
        }
        if (!any_bytes) return Fail(fmt::format("the segment {} has no file with a byte in it", names[i]));
    }
    RETURN_IF_ERROR(divided.manifest.Check());
    const std::vector<uint64_t> offsets = divided.manifest.Offsets();
    for (const size_t first : firsts) divided.first_slices.push_back(offsets[first] / kSliceBytes);
    return divided;
}

}  // namespace

bool MatchesGlob(std::string_view pattern, std::string_view path) {
    // Where to go on after the last `*` and the last `**`: in the pattern, and in the path with one more character
    // taken.
    size_t star = std::string_view::npos, star_at = 0, deep = std::string_view::npos, deep_at = 0;
    size_t p = 0, s = 0;
    while (s < path.size() || p < pattern.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            if (p + 1 < pattern.size() && pattern[p + 1] == '*') {
                p += 2;
                deep = p;
                deep_at = s;
                star = std::string_view::npos;
            } else {
                star = ++p;
                star_at = s;
            }
            continue;
        }
        if (p < pattern.size() && s < path.size() && (pattern[p] == path[s] || (pattern[p] == '?' && path[s] != '/'))) {
            ++p;
            ++s;
            continue;
        }
        if (star != std::string_view::npos && star_at < path.size() && path[star_at] != '/') {
            p = star;
            s = ++star_at;
        } else if (deep != std::string_view::npos && deep_at < path.size()) {
            p = deep;
            s = ++deep_at;
            star = std::string_view::npos;
        } else {
            return false;
        }
    }
    return true;
}

Result<DividedFolder> DivideFolder(const Manifest& manifest, const std::vector<SegmentRule>& rules) {
    std::vector<std::vector<ManifestEntry>> groups(rules.size() + 1);
    std::vector<std::string> names;
    std::vector<Amount> prices;
    for (const SegmentRule& rule : rules) {
        names.push_back("'" + rule.pattern.substr(0, 200) + "'");
        prices.push_back(rule.price);
    }
    names.emplace_back("of the other files");
    prices.emplace_back(0);
    for (const ManifestEntry& entry : manifest.entries) {
        size_t group = 0;
        while (group < rules.size() && !Names(rules[group], entry.path)) ++group;
        groups[group].push_back(entry);
    }
    for (size_t i = 0; i < rules.size(); ++i)
        if (groups[i].empty())
            return Fail(fmt::format("the segment {} names no file that an earlier one does not have", names[i]));
    // Files without bytes need no key: they do not make a segment.
    uint64_t rest_bytes = 0;
    for (const ManifestEntry& entry : groups.back()) rest_bytes += entry.size_bytes;
    if (rest_bytes == 0) {
        if (groups.size() > 1) {
            auto& last = groups[groups.size() - 2];
            last.insert(last.end(), groups.back().begin(), groups.back().end());
        }
        groups.pop_back();
        prices.pop_back();
    }
    return Arrange(std::move(groups), names, std::move(prices));
}

Result<DividedFolder> DividePerFile(const Manifest& manifest, Amount price) {
    std::vector<std::vector<ManifestEntry>> groups(1);
    std::vector<std::string> names;
    for (const ManifestEntry& entry : manifest.entries) {
        if (entry.size_bytes > 0) {
            if (!names.empty()) groups.emplace_back();
            names.push_back("'" + entry.path + "'");
        }
        groups.back().push_back(entry);
    }
    return Arrange(std::move(groups), names, std::vector<Amount>(names.size(), price));
}

}  // namespace sluice::content
