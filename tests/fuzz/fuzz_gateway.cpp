#include "fuzz.h"
#include "rpc/content_url.h"
#include "rpc/http_range.h"

namespace sluice::fuzz {
namespace {

using namespace rpc;

// Ranges are within the file, apart from each other, and not more than asked for.
void RunRange(ByteSpan input) {
    Input in(input);
    const uint64_t size = in.Flag() ? in.Integer<uint64_t>() : in.Integer<uint16_t>();
    const std::string field = ToString(in.Rest());
    const RangeAnswer answer = ParseRange(field, size);
    CHECK((answer.kind == RangeAnswer::Kind::kPartial) == !answer.ranges.empty());
    CHECK(answer.ranges.size() <= kMaxRanges);
    for (size_t i = 0; i < answer.ranges.size(); ++i) {
        const ByteRange& one = answer.ranges[i];
        CHECK(one.length > 0 && one.first < size && one.length <= size - one.first);
        for (size_t j = 0; j < i; ++j) CHECK(one.end() < answer.ranges[j].first || answer.ranges[j].end() < one.first);
    }
    if (!answer.ranges.empty()) NoteAccepted();
    (void)MatchesIfNoneMatch(field, "\"abc\"");
    (void)MatchesIfMatch(field, "\"abc\"");
}

std::vector<Seed> RangeSeeds() {
    std::vector<Seed> seeds;
    for (const char* field : {"bytes=0-499", "bytes=-5", "bytes=9500-", "bytes=0-0,-1", "bytes=500-600,601-999",
                              "bytes=0-0,10-10,20-20,30-,5-6", "bytes=18446744073709551615-", "\"a\", W/\"abc\""})
        seeds.push_back({"range-" + std::to_string(seeds.size()),
                         Output().Integer<uint8_t>(0).Integer<uint16_t>(10'000).Raw(AsBytes(field)).Take()});
    return seeds;
}

// A target that is read is written the same way, and its path stays in the folder.
void RunTarget(ByteSpan input) {
    const auto target = ParseContentTarget(ToString(input));
    if (!target) return;
    NoteAccepted();
    CHECK(target->token.empty() || target->token.size() == kTokenDigits);
    CHECK(!target->path.starts_with('/') && ("/" + target->path + "/").find("/../") == std::string::npos);
    CHECK(target->path.find('\0') == std::string::npos);
    const std::string text = FormatContentTarget(*target);
    if (text.size() > kMaxTargetBytes) return;
    const auto again = ParseContentTarget(text);
    CHECK(again && again->path == target->path && again->claim == target->claim && again->token == target->token &&
          again->after == target->after);
    const std::string type = MediaTypeFor(target->after, target->path);
    CHECK(type.find_first_of("\r\n") == std::string::npos);
    CHECK(InlineDisposition(target->path).find_first_of("\r\n") == std::string::npos);
}

std::vector<Seed> TargetSeeds() {
    std::vector<Seed> seeds;
    for (const std::string& target :
         {std::string("/content/aabbccdd"), "/content/" + std::string(64, 'a') + "/s%201/f%C3%A4.mp4",
          "/t/" + std::string(64, 'b') + "/content/" + std::string(64, 'a') + "/x/?after=video/mp4"})
        seeds.push_back({"target-" + std::to_string(seeds.size()), ToBytes(AsBytes(target))});
    return seeds;
}

const Register kRange{{"http_range", RunRange, RangeSeeds}};
const Register kTarget{{"content_url", RunTarget, TargetSeeds}};

}  // namespace
}  // namespace sluice::fuzz
