#pragma once

#include <string>
#include <vector>

#include "content/manifest.h"
#include "primitives/amount.h"

// How a folder is divided into segments that are sold one by one: chapters, tracks, episodes.

namespace sluice::content {

// The files of one segment: a path of a file, a folder (all that is in it), or a glob over whole paths, in which `?` is
// one character and `*` any number of them, both without '/', and `**` any number with it.
struct SegmentRule {
    std::string pattern;
    Amount price;  // 0: opened by the title key alone
};

struct DividedFolder {
    Manifest manifest;           // the files of each segment one after the other, each segment's first one aligned
    std::vector<Amount> prices;  // of the segments
    std::vector<uint64_t> first_slices;  // where each begins, counted from the end of the manifest
};

// A file belongs to the first rule that names it; those that none names become one more segment at the end, which is
// not sold alone. Inside a segment the order of `manifest` stays. kInvalid, naming the rule, if a segment has no bytes
// or there are more than kMaxSegments.
Result<DividedFolder> DivideFolder(const Manifest& manifest, const std::vector<SegmentRule>& rules);
// A segment for each file that has bytes, all at one price; files without bytes are the first one's.
Result<DividedFolder> DividePerFile(const Manifest& manifest, Amount price);

// Whether `pattern` is a glob that `path` fits. Linear in both lengths, but for backtracking over one `*` and one `**`.
bool MatchesGlob(std::string_view pattern, std::string_view path);

}  // namespace sluice::content
