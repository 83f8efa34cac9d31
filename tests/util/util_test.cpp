#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <set>
#include <sstream>
#include <unordered_set>

#include "util/bytes.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/random.h"
#include "util/result.h"
#include "util/strong_int.h"
#include "util/wipe.h"

namespace sluice {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Id = FixedBytes<4, struct IdTag>;
using OtherId = FixedBytes<4, struct OtherIdTag>;
using Height = StrongInt<struct HeightTag, uint32_t>;
using Slot = StrongInt<struct SlotTag, uint32_t>;

TEST(Hex, EncodesLowercaseAndDecodesEitherCase) {
    EXPECT_EQ(HexEncode({}), "");
    EXPECT_EQ(HexEncode(Bytes{0x00, 0x09, 0xaf, 0xff}), "0009afff");
    EXPECT_EQ(HexDecode(""), Bytes());
    EXPECT_EQ(HexDecode("0009afff"), (Bytes{0x00, 0x09, 0xaf, 0xff}));
    EXPECT_EQ(HexDecode("0009AfFF"), (Bytes{0x00, 0x09, 0xaf, 0xff}));
}

TEST(Hex, RefusesEverythingElse) {
    for (const char* text : {"0", "000", "0x00", " 00", "00 ", "0g", "g0", "/0", ":0", "@0", "G0", "`0", "-1"}) {
        EXPECT_EQ(HexDecode(text), std::nullopt) << text;
    }
    EXPECT_EQ(HexDecode(std::string_view("0\0", 2)), std::nullopt);
}

TEST(Hex, RoundTripsEveryByte) {
    Bytes all(256);
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i);
    EXPECT_EQ(HexDecode(HexEncode(all)), all);
}

TEST(FixedBytes, TakesExactlyItsSize) {
    EXPECT_EQ(Id::FromHex("01020304")->Hex(), "01020304");
    EXPECT_EQ(Id::FromHex("010203"), std::nullopt);
    EXPECT_EQ(Id::FromHex("0102030405"), std::nullopt);
    EXPECT_EQ(Id::FromHex("0102030g"), std::nullopt);
    EXPECT_EQ(Id::FromBytes(Bytes(3)), std::nullopt);
    EXPECT_EQ(Id::FromBytes(Bytes(5)), std::nullopt);
    EXPECT_TRUE(Id::FromBytes(Bytes(4))->IsZero());
    EXPECT_FALSE(Id::FromHex("00000001")->IsZero());
}

TEST(FixedBytes, ComparesByContentFirstByteFirst) {
    EXPECT_LT(*Id::FromHex("00ffffff"), *Id::FromHex("01000000"));
    EXPECT_EQ(*Id::FromHex("01020304"), *Id::FromHex("01020304"));
    using Hash = FixedBytes<8, struct HashTag>;
    std::unordered_set<Hash, FixedBytesHasher> hashes{*Hash::FromHex("0102030405060708"),
                                                      *Hash::FromHex("0102030405060709")};
    EXPECT_TRUE(hashes.contains(*Hash::FromHex("0102030405060708")));
    EXPECT_EQ(hashes.size(), 2u);
}

TEST(FixedBytes, OfOneSizeButAnotherTagIsAnotherType) {
    static_assert(!std::is_same_v<Id, OtherId>);
    static_assert(!std::is_convertible_v<Id, OtherId>);
    static_assert(!std::is_constructible_v<Id, OtherId>);
    static_assert(!std::equality_comparable_with<Id, OtherId>);
}

TEST(StrongInt, MovesByPlainNumbersAndDiffersBySignedOnes) {
    static_assert(!std::is_convertible_v<uint32_t, Height>);
    static_assert(!std::is_constructible_v<Height, Slot>);
    static_assert(!std::equality_comparable_with<Height, Slot>);
    EXPECT_EQ(Height(5) + 2, Height(7));
    EXPECT_EQ(Height(5) - 2u, Height(3));
    EXPECT_EQ(Height(5) - Height(7), -2);
    EXPECT_EQ(Height(std::numeric_limits<uint32_t>::max()) - Height(0), 4294967295);
    EXPECT_EQ(Height(0) - Height(std::numeric_limits<uint32_t>::max()), -4294967295);
    EXPECT_LT(Height(1), Height(2));
    Height height(1);
    EXPECT_EQ(++height, Height(2));
    EXPECT_EQ(ToString(height), "2");
    EXPECT_EQ((std::unordered_set<Height>{Height(1), Height(1), Height(2)}.size()), 2u);
}

TEST(Random, BelowStaysBelowItsBoundAndReachesEveryValue) {
    SeededRandom random(1);
    for (const uint64_t bound : {uint64_t{1}, uint64_t{2}, uint64_t{3}, uint64_t{10}}) {
        std::set<uint64_t> seen;
        for (int i = 0; i < 500; ++i) seen.insert(random.Below(bound));
        EXPECT_EQ(seen.size(), bound);
        EXPECT_EQ(*seen.rbegin(), bound - 1);
    }
    for (const uint64_t bound : {uint64_t{1} << 63, (uint64_t{1} << 63) + 1, UINT64_MAX}) {
        for (int i = 0; i < 500; ++i) EXPECT_LT(random.Below(bound), bound);
    }
}

// Gives bytes that are told beforehand.
class ScriptedRandom final : public RandomSource {
  public:
    explicit ScriptedRandom(std::vector<uint64_t> values) : m_values(std::move(values)) {}
    void Fill(MutableByteSpan into) override {
        CHECK(into.size() == 8 && m_next < m_values.size());
        for (size_t i = 0; i < 8; ++i) into[i] = static_cast<uint8_t>(m_values[m_next] >> (8 * (7 - i)));
        ++m_next;
    }
    size_t used() const { return m_next; }

  private:
    std::vector<uint64_t> m_values;
    size_t m_next{0};
};

TEST(Random, BelowDrawsAgainWhereTheRemainderWouldBeBiased) {
    const uint64_t bound = (uint64_t{1} << 63) + 1;  // only values below it are fair
    ScriptedRandom random({bound, UINT64_MAX, bound - 1});
    EXPECT_EQ(random.Below(bound), bound - 1);
    EXPECT_EQ(random.used(), 3u);
}

TEST(RandomDeathTest, BelowZeroIsABugOfOurOwn) { EXPECT_DEATH(SeededRandom(1).Below(0), "internal error: CHECK"); }

TEST(Random, ASeedGivesOneSequence) {
    SeededRandom a(7), b(7), c(8);
    const auto first = a.Array<20>();
    EXPECT_EQ(first, b.Array<20>());
    EXPECT_NE(first, c.Array<20>());
    EXPECT_NE(first, a.Array<20>());
    // splitmix64 of seed 0, first output, low byte first.
    EXPECT_EQ(HexEncode(SeededRandom(0).Array<8>()), "afcd1d7b39a820e2");
}

TEST(Random, TheSystemsGeneratorDoesNotRepeat) {
    SystemRandom random;
    EXPECT_NE(random.Array<16>(), random.Array<16>());
    random.Fill({});
    Bytes large(100'000);
    random.Fill(large);
    EXPECT_NE(std::count(large.end() - 1000, large.end(), 0), 1000);
}

Result<int> Half(int value) {
    if (value % 2 != 0) return Fail("value is odd");
    return value / 2;
}
Result<std::unique_ptr<int>> QuarterOnHeap(int value) {
    ASSIGN_OR_RETURN(const int half, Half(value));
    ASSIGN_OR_RETURN(const int quarter, Half(half));
    ASSIGN_OR_RETURN(auto result, Result<std::unique_ptr<int>>(std::make_unique<int>(quarter)));
    return result;
}
Status CheckHalf(int value, int& calls) {
    RETURN_IF_ERROR([&]() -> Status {
        ++calls;
        RETURN_IF_ERROR(Half(value));
        return {};
    }());
    ++calls;
    return {};
}

TEST(Result, MacrosPassErrorsOnAndBindValues) {
    EXPECT_EQ(**QuarterOnHeap(12), 3);
    EXPECT_EQ(QuarterOnHeap(6).error(), (Error{ErrorKind::kInvalid, "value is odd"}));
    EXPECT_EQ(QuarterOnHeap(3).error().message, "value is odd");
    int calls = 0;
    EXPECT_FALSE(CheckHalf(1, calls));
    EXPECT_EQ(calls, 1);
    EXPECT_TRUE(CheckHalf(2, calls));
    EXPECT_EQ(calls, 3);
}

TEST(Result, FailKeepsItsKind) {
    const Status status = Fail(ErrorKind::kFunds, "too little");
    EXPECT_EQ(status.error().kind, ErrorKind::kFunds);
    const Status again = Fail(status.error());
    EXPECT_EQ(again.error(), status.error());
    EXPECT_EQ(Status(Fail("x")).error().kind, ErrorKind::kInvalid);
}

TEST(CheckDeathTest, AbortsAndNamesTheConditionAndPlace) {
    CHECK(1 + 1 == 2);
    EXPECT_DEATH(CHECK(1 + 1 == 3), "CHECK\\(1 \\+ 1 == 3\\) failed at .*util_test.cpp");
}

TEST(ManualClock, StandsStillUntilMoved) {
    ManualClock clock;
    const Instant start = clock.Monotonic();
    EXPECT_EQ(clock.Now(), UnixMillis());
    EXPECT_EQ(clock.Monotonic(), start);
    clock.Advance(seconds(2));
    EXPECT_EQ(clock.Monotonic() - start, seconds(2));
    EXPECT_EQ(clock.Now(), UnixMillis(seconds(2)));
}

TEST(ManualClock, PartsOfAMillisecondAddUp) {
    ManualClock clock;
    clock.Advance(microseconds(999));
    EXPECT_EQ(clock.Now(), UnixMillis());
    clock.Advance(microseconds(1));
    EXPECT_EQ(clock.Now(), UnixMillis(milliseconds(1)));
    for (int i = 0; i < 1000; ++i) clock.Advance(microseconds(1500));
    EXPECT_EQ(clock.Now(), UnixMillis(milliseconds(1501)));
}

TEST(ManualClock, SettingTheTimeLeavesTheMonotonicClockAlone) {
    ManualClock clock;
    clock.Advance(seconds(5));
    const Instant before = clock.Monotonic();
    clock.SetNow(UnixMillis(milliseconds(1)));
    EXPECT_EQ(clock.Now(), UnixMillis(milliseconds(1)));
    EXPECT_EQ(clock.Monotonic(), before);
}

TEST(SystemClock, TellsTheTimeAndNeverGoesBack) {
    const SystemClock clock;
    EXPECT_GT(clock.Now(), UnixMillis(seconds(1'600'000'000)));
    const Instant first = clock.Monotonic();
    EXPECT_LE(first, clock.Monotonic());
}

TEST(SecretBytes, AreMovedAndNotCopied) {
    static_assert(!std::is_copy_constructible_v<SecretBytes<4>>);
    static_assert(!std::is_copy_assignable_v<SecretBytes<4>>);
    const std::array<uint8_t, 4> raw{1, 2, 3, 4};
    SecretBytes<4> secret{std::span<const uint8_t, 4>(raw)};
    const SecretBytes<4> clone = secret.Clone();
    SecretBytes<4> moved = std::move(secret);
    EXPECT_EQ(HexEncode(moved.span()), "01020304");
    EXPECT_EQ(HexEncode(clone.span()), "01020304");
    EXPECT_EQ(HexEncode(secret.span()), "00000000");  // what it was moved from is wiped
    SecretBytes<4> assigned;
    assigned = std::move(moved);
    EXPECT_EQ(HexEncode(assigned.span()), "01020304");
    EXPECT_EQ(HexEncode(moved.span()), "00000000");
    SecretBytes<4>& same = assigned;
    assigned = std::move(same);
    EXPECT_EQ(HexEncode(assigned.span()), "01020304");
}

TEST(SecretBytes, AreWipedWhenTheyGo) {
    alignas(SecretBytes<32>) unsigned char storage[sizeof(SecretBytes<32>)];
    auto* secret = new (storage) SecretBytes<32>();
    std::fill_n(secret->data(), 32, 0xaa);
    secret->~SecretBytes<32>();
    std::atomic_signal_fence(std::memory_order_seq_cst);
    EXPECT_EQ(std::count(storage, storage + 32, 0), 32);
}

TEST(Log, WritesLinesOfTheLevelAndAboveWithCategoryAndTime) {
    const std::string path =
        (std::filesystem::temp_directory_path() / ("sluice-log-" + HexEncode(SystemRandom().Array<8>()))).string();
    ASSERT_TRUE(StartLog(path, LogLevel::kInfo, false));
    EXPECT_FALSE(LogEnabled(LogLevel::kDebug));
    EXPECT_TRUE(LogEnabled(LogLevel::kInfo));
    LogDebug("net", "hidden {}", 1);
    LogInfo("chain", "new tip at height {}", 7);
    LogError("rpc", "{{}} stays as it is");
    FlushLog();
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    EXPECT_THAT(text.str(), HasSubstr("[info] chain: new tip at height 7\n"));
    EXPECT_THAT(text.str(), HasSubstr("[error] rpc: {} stays as it is\n"));
    EXPECT_THAT(text.str(), Not(HasSubstr("hidden")));
    std::filesystem::remove(path);
}

TEST(Log, AFileThatCannotBeMadeIsAnEnvironmentError) {
    const Status status = StartLog("/dev/null/sluice.log", LogLevel::kInfo, false);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kEnvironment);
}

}  // namespace
}  // namespace sluice
