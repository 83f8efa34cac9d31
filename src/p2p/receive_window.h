#pragma once

#include <cstddef>
#include <optional>

#include "util/clock.h"

namespace sluice::p2p {

// How many bytes the system may hold of a connection that was not read yet.
//
// Rationale: it would let them grow to tens of megabytes where we are slower than the sender, and whatever is sent
// next, a block, waits behind them. The line needs its rate times its round trip; twice that and kQueueTime more keeps
// it full and lets the rate double from one look to the next.
class ReceiveWindow {
  public:
    static constexpr milliseconds kQueueTime{2};
    static constexpr milliseconds kPeriod{50};  // between two looks
    static constexpr size_t kLeast = 256 << 10;
    static constexpr size_t kMost = 64 << 20;

    // Counts bytes that were read. The window to set if it is time for another one. `min_round_trip` is asked then; it
    // may not be known yet.
    template <class MinRoundTrip>
    std::optional<size_t> OnRead(size_t bytes, Instant now, MinRoundTrip min_round_trip) {
        m_bytes += bytes;
        if (m_since == Instant{}) m_since = now;
        if (now < m_since + kPeriod) return std::nullopt;
        return Next(now, min_round_trip());
    }

  private:
    std::optional<size_t> Next(Instant now, std::optional<microseconds> min_round_trip);

    Instant m_since{};
    size_t m_bytes{0};   // since then
    size_t m_window{0};  // that was set last
};

// Of a TCP socket, as the system knows it; nullopt before its first sample.
std::optional<microseconds> MinRoundTripOf(int socket);
void SetReceiveWindow(int socket, size_t bytes);
// Counts bytes that were read from it, and sets its window when it is time.
void AdjustWindow(ReceiveWindow& window, int socket, size_t bytes);

// The window bounds what is on the line; while it is not read, the system acknowledges it and lets more come, until its
// buffer of megabytes is full. Over a line this short a small buffer is enough for its whole rate.
inline constexpr milliseconds kNearRoundTrip{1};
inline constexpr size_t kNearUnreadBytes = 256 << 10;
// Of a socket that little was read from yet: later, what no longer fits would be lost and sent again. The system may
// hold twice as many bytes.
void BoundUnread(int socket, size_t bytes);

}  // namespace sluice::p2p
