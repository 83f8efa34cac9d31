#include "p2p/receive_window.h"

#include <gtest/gtest.h>

namespace sluice::p2p {
namespace {

using namespace std::chrono_literals;

class ReceiveWindowTest : public testing::Test {
  protected:
    // Reads at `bytes_per_s` for one period and gives the window that was set.
    std::optional<size_t> Period(uint64_t bytes_per_s, std::optional<microseconds> round_trip) {
        (void)window.OnRead(0, now, [&] { return round_trip; });
        now += ReceiveWindow::kPeriod;
        return window.OnRead(bytes_per_s / 20, now, [&] { return round_trip; });
    }
    Instant now{1s};
    ReceiveWindow window;
};

TEST_F(ReceiveWindowTest, NothingIsSetBeforeAPeriodHasPassed) {
    const auto round_trip = [] { return std::optional<microseconds>(1ms); };
    EXPECT_FALSE(window.OnRead(1000, now, round_trip));
    EXPECT_FALSE(window.OnRead(1000, now + ReceiveWindow::kPeriod - 1us, round_trip));
    EXPECT_TRUE(window.OnRead(1000, now + ReceiveWindow::kPeriod, round_trip));
}

TEST_F(ReceiveWindowTest, NothingIsSetWhileTheRoundTripIsNotKnown) {
    EXPECT_FALSE(Period(100'000'000, std::nullopt));
    EXPECT_TRUE(Period(100'000'000, 100us));
}

TEST_F(ReceiveWindowTest, AFastShortLineHoldsTwoMillisecondsAndTwoRoundTrips) {
    EXPECT_EQ(Period(500'000'000, 50us), 1'050'000u);
}

TEST_F(ReceiveWindowTest, ALongLineHoldsTwiceItsRoundTrip) {
    EXPECT_EQ(Period(100'000'000, 100ms), 100'000'000u / 1000 * 202);
}

TEST_F(ReceiveWindowTest, TheWindowNeverKeepsARateFromDoubling) {
    // Held to the window each round trip, from the least one on.
    size_t held = ReceiveWindow::kLeast;
    for (int i = 0; i < 6; ++i) {
        const auto next = Period(held * 10, 100ms);  // a window each round trip
        ASSERT_TRUE(next);
        EXPECT_GE(*next, 2 * held);
        held = *next;
    }
}

TEST_F(ReceiveWindowTest, ItStaysBetweenItsLeastAndMost) {
    EXPECT_EQ(Period(1000, 1ms), ReceiveWindow::kLeast);
    EXPECT_EQ(Period(60'000'000'000, 10s), ReceiveWindow::kMost);
}

TEST_F(ReceiveWindowTest, APauseTakesATenthOfTheWindowAtATime) {
    const size_t full = *Period(1'000'000'000, 10ms);
    EXPECT_EQ(*Period(0, 10ms), full / 10 * 9);
    size_t last = full;
    for (int i = 0; i < 100; ++i) last = *Period(0, 10ms);
    EXPECT_EQ(last, ReceiveWindow::kLeast);
}

}  // namespace
}  // namespace sluice::p2p
