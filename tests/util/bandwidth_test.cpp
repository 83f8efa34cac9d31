#include "util/bandwidth.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace sluice {
namespace {

BandwidthSchedule Of(const std::vector<std::string>& texts) {
    auto parsed = BandwidthSchedule::Parse(texts);
    EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
    return parsed ? *parsed : BandwidthSchedule();
}
constexpr MinuteOfDay At(uint32_t hour, uint32_t minute) { return hour * 60 + minute; }
constexpr uint64_t kKib = 1024;

TEST(BandwidthSchedule, NothingGivenOrZeroIsNoLimit) {
    EXPECT_EQ(BandwidthSchedule().RateAt(0), std::nullopt);
    EXPECT_EQ(Of({"0"}).RateAt(At(23, 59)), std::nullopt);
    EXPECT_TRUE(Of({"0", "0@08:00-09:00"}).IsUnlimited());
    EXPECT_FALSE(Of({"1@08:00-09:00"}).IsUnlimited());
}

TEST(BandwidthSchedule, APlainRateHoldsAllDay) {
    for (MinuteOfDay minute = 0; minute < kMinutesPerDay; ++minute) EXPECT_EQ(Of({"2000"}).RateAt(minute), 2000 * kKib);
    EXPECT_EQ(Of({"2000", "3000"}).RateAt(0), 3000 * kKib) << "the last one counts";
}

TEST(BandwidthSchedule, AWindowHoldsFromItsFirstMinuteToTheOneBeforeItsLast) {
    const auto schedule = Of({"100@08:00-18:00"});
    EXPECT_EQ(schedule.RateAt(At(7, 59)), std::nullopt);
    EXPECT_EQ(schedule.RateAt(At(8, 0)), 100 * kKib);
    EXPECT_EQ(schedule.RateAt(At(17, 59)), 100 * kKib);
    EXPECT_EQ(schedule.RateAt(At(18, 0)), std::nullopt);
}

TEST(BandwidthSchedule, AWindowMayGoPastMidnight) {
    const auto schedule = Of({"500", "0@22:30-06:15"});
    EXPECT_EQ(schedule.RateAt(At(22, 29)), 500 * kKib);
    EXPECT_EQ(schedule.RateAt(At(22, 30)), std::nullopt);
    EXPECT_EQ(schedule.RateAt(At(23, 59)), std::nullopt);
    EXPECT_EQ(schedule.RateAt(0), std::nullopt);
    EXPECT_EQ(schedule.RateAt(At(6, 14)), std::nullopt);
    EXPECT_EQ(schedule.RateAt(At(6, 15)), 500 * kKib);
}

TEST(BandwidthSchedule, AWindowMayEndAtMidnight) {
    const auto schedule = Of({"7@23:59-24:00"});
    EXPECT_EQ(schedule.RateAt(At(23, 58)), std::nullopt);
    EXPECT_EQ(schedule.RateAt(At(23, 59)), 7 * kKib);
    EXPECT_EQ(schedule.RateAt(0), std::nullopt);
}

TEST(BandwidthSchedule, OfWindowsThatOverlapTheLowestCounts) {
    const auto schedule = Of({"9", "300@08:00-12:00", "200@10:00-14:00", "0@11:00-15:00"});
    EXPECT_EQ(schedule.RateAt(At(9, 59)), 300 * kKib);
    EXPECT_EQ(schedule.RateAt(At(10, 0)), 200 * kKib);
    EXPECT_EQ(schedule.RateAt(At(13, 59)), 200 * kKib);
    EXPECT_EQ(schedule.RateAt(At(14, 0)), std::nullopt);
    EXPECT_EQ(schedule.RateAt(At(15, 0)), 9 * kKib);
}

TEST(BandwidthSchedule, WhatItWritesItReads) {
    const auto schedule = Of({"5,300@08:00-12:00", "0@22:00-06:05"});
    EXPECT_EQ(schedule.ToStrings(), (std::vector<std::string>{"5", "300@08:00-12:00", "0@22:00-06:05"}));
    EXPECT_EQ(Of(schedule.ToStrings()), schedule);
}

TEST(BandwidthSchedule, WhatIsNotARateOrHoursIsRefusedWithAReason) {
    for (const char* text :
         {"", "-1", "1.5", "fast", "2097153", "5@", "5@8:00-9:00", "5@08:00", "5@08:00-08:00", "5@08:60-09:00",
          "5@24:00-01:00", "5@08:00-24:01", "5@01:00-00:00", "5@08:00-09:00x", "5,,6", "18446744073709551616"}) {
        const auto parsed = BandwidthSchedule::Parse({text});
        ASSERT_FALSE(parsed) << text;
        EXPECT_NE(parsed.error().message.find("KiB/s"), std::string::npos) << parsed.error().message;
    }
    EXPECT_TRUE(BandwidthSchedule::Parse({"2097152"}));
}

TEST(BandwidthSchedule, TheNumberOfWindowsIsBounded) {
    std::vector<std::string> texts(BandwidthSchedule::kMaxWindows, "5@08:00-09:00");
    EXPECT_TRUE(BandwidthSchedule::Parse(texts));
    texts.push_back("5@08:00-09:00");
    EXPECT_FALSE(BandwidthSchedule::Parse(texts));
}

TEST(LocalMinuteOfDay, FollowsTheTimeZoneAndSummerTime) {
    const char* const before = std::getenv("TZ");
    const std::string old = before ? before : "";
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    // 2026-01-15 12:34:59.999 UTC and 2026-07-15 12:34:00 UTC.
    EXPECT_EQ(LocalMinuteOfDay(UnixMillis(milliseconds(1'768'480'499'999))), At(13, 34));
    EXPECT_EQ(LocalMinuteOfDay(UnixMillis(milliseconds(1'784'118'840'000))), At(14, 34));
    before ? setenv("TZ", old.c_str(), 1) : unsetenv("TZ");
    tzset();
}

}  // namespace
}  // namespace sluice
