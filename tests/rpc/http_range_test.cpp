#include "rpc/http_range.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::rpc {
namespace {

using Kind = RangeAnswer::Kind;

RangeAnswer Partial(std::vector<ByteRange> ranges) { return {Kind::kPartial, std::move(ranges)}; }
const RangeAnswer kNone{Kind::kUnsatisfiable, {}};

struct Case {
    std::string field;
    uint64_t size;
    RangeAnswer answer;
};

TEST(HttpRange, ASingleRangeIsCutAtTheEndAndRefusedBehindIt) {
    const Case cases[] = {
        {"bytes=0-0", 10, Partial({{0, 1}})},
        {"bytes=0-9", 10, Partial({{0, 10}})},
        {"bytes=0-10", 10, Partial({{0, 10}})},
        {"bytes=9-9", 10, Partial({{9, 1}})},
        {"bytes=9-", 10, Partial({{9, 1}})},
        {"bytes=10-", 10, kNone},
        {"bytes=10-10", 10, kNone},
        {"bytes=0-", 10, Partial({{0, 10}})},
        {"bytes=-1", 10, Partial({{9, 1}})},
        {"bytes=-10", 10, Partial({{0, 10}})},
        {"bytes=-11", 10, Partial({{0, 10}})},
        {"bytes=-0", 10, kNone},
        {"bytes=0-", 0, kNone},
        {"bytes=-1", 0, kNone},
        {"bytes=5-4", 10, kNone},
        {"bytes=5-5", 10, Partial({{5, 1}})},
        {"BYTES=1-2", 10, Partial({{1, 2}})},
        {"bytes=1-2 ", 10, Partial({{1, 2}})},
    };
    for (const Case& one : cases) EXPECT_EQ(ParseRange(one.field, one.size), one.answer) << one.field;
}

TEST(HttpRange, NumbersBeyondSixtyFourBitsAreAsGoodAsTheLargest) {
    EXPECT_EQ(ParseRange("bytes=0-99999999999999999999999999", 10), Partial({{0, 10}}));
    EXPECT_EQ(ParseRange("bytes=-99999999999999999999999999", 10), Partial({{0, 10}}));
    EXPECT_EQ(ParseRange("bytes=99999999999999999999999999-", 10), kNone);
    EXPECT_EQ(ParseRange("bytes=18446744073709551615-18446744073709551615", UINT64_MAX), kNone);
    EXPECT_EQ(ParseRange("bytes=18446744073709551614-18446744073709551615", UINT64_MAX),
              Partial({{UINT64_MAX - 1, 1}}));
    EXPECT_EQ(ParseRange("bytes=0-18446744073709551615", UINT64_MAX), Partial({{0, UINT64_MAX}}));
}

TEST(HttpRange, AnotherUnitIsIgnoredAndWhatIsNoRangeIsRefused) {
    EXPECT_EQ(ParseRange("", 10), RangeAnswer{});
    EXPECT_EQ(ParseRange("items=0-1", 10), RangeAnswer{});
    for (const char* field :
         {"bytes", "bytes=", "bytes=,", "bytes=a-b", "bytes=1", "bytes=-", "bytes=--1", "bytes=1--2", "bytes=+1-2",
          "bytes=1-2x", "bytes=0x1-2", "bytes=1 -2", "bytes=1-2;3-4", "bytes= =1-2", "bytes=0-1,a", "bytes=0-1,5-4"})
        EXPECT_EQ(ParseRange(field, 10), kNone) << field;
}

TEST(HttpRange, SeveralRangesKeepTheirOrderAndThoseBehindTheEndAreLeftOut) {
    EXPECT_EQ(ParseRange("bytes=0-0,-1", 10), Partial({{0, 1}, {9, 1}}));
    EXPECT_EQ(ParseRange("bytes=8-9 , 0-1\t,, 4-5", 10), Partial({{8, 2}, {0, 2}, {4, 2}}));
    EXPECT_EQ(ParseRange("bytes=0-1,100-200", 10), Partial({{0, 2}}));
    EXPECT_EQ(ParseRange("bytes=100-200,300-", 10), kNone);
}

TEST(HttpRange, RangesThatOverlapOrTouchBecomeOne) {
    EXPECT_EQ(ParseRange("bytes=0-4,3-9", 10), Partial({{0, 10}}));
    EXPECT_EQ(ParseRange("bytes=5-9,0-4", 10), Partial({{0, 10}}));
    EXPECT_EQ(ParseRange("bytes=0-1,3-4", 10), Partial({{0, 2}, {3, 2}}));
    EXPECT_EQ(ParseRange("bytes=0-1,4-5,2-3", 10), Partial({{0, 6}}));
    EXPECT_EQ(ParseRange("bytes=0-1,8-9,2-3,6-7,4-5", 10), Partial({{0, 10}}));
}

TEST(HttpRange, SixteenRangesAreServedAndSeventeenRefused) {
    std::string field = "bytes=0-0";
    for (int i = 1; i < 16; ++i) field += "," + std::to_string(10 * i) + "-" + std::to_string(10 * i);
    EXPECT_EQ(ParseRange(field, 1000).ranges.size(), kMaxRanges);
    EXPECT_EQ(ParseRange(field + ",500-500", 1000), kNone);
    EXPECT_EQ(ParseRange(field + ",2000-2000", 1000), kNone) << "one behind the end counts too";
    EXPECT_EQ(ParseRange(field + ",,,", 1000).ranges.size(), kMaxRanges);
}

TEST(HttpRange, AskingForTheSameBytesAgainAndAgainIsRefused) {
    EXPECT_EQ(ParseRange("bytes=0-,0-", 10), Partial({{0, 10}})) << "two that overlap are somebody's clumsiness";
    EXPECT_EQ(ParseRange("bytes=0-,0-,0-", 10), kNone);
    EXPECT_EQ(ParseRange("bytes=0-,1-,2-,3-,4-,5-", 10), kNone);
}

TEST(HttpRange, AnIfRangeMatchesTheStrongTagAlone) {
    EXPECT_TRUE(MatchesIfRange("\"abc\"", "\"abc\""));
    EXPECT_TRUE(MatchesIfRange(" \"abc\" ", "\"abc\""));
    for (const char* field : {"W/\"abc\"", "\"abd\"", "abc", "*", "Wed, 21 Oct 2015 07:28:00 GMT", "\"abc\",\"abc\""})
        EXPECT_FALSE(MatchesIfRange(field, "\"abc\"")) << field;
}

TEST(HttpRange, AnIfNoneMatchMatchesWeaklyAnywhereInItsList) {
    for (const char* field : {"*", "\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "\"x\",W/\"abc\" , \"y\"", ",,\"abc\""})
        EXPECT_TRUE(MatchesIfNoneMatch(field, "\"abc\"")) << field;
    for (const char* field : {"", "abc", "\"abcd\"", "\"ab\"", "\"x\", \"y\"", "\"abc", "\"a,\"abc\""})
        EXPECT_FALSE(MatchesIfNoneMatch(field, "\"abc\"")) << field;
    EXPECT_TRUE(MatchesIfMatch("\"abc\"", "\"abc\""));
    EXPECT_TRUE(MatchesIfMatch("*", "\"abc\""));
    EXPECT_FALSE(MatchesIfMatch("W/\"abc\"", "\"abc\"")) << "strong comparison";
    EXPECT_FALSE(MatchesIfMatch("\"x\"", "\"abc\""));
}

}  // namespace
}  // namespace sluice::rpc
