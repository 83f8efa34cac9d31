#include "p2p/receive_window.h"

// Not <netinet/tcp.h>, whose tcp_info ends before the shortest round trip.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>

namespace sluice::p2p {

std::optional<size_t> ReceiveWindow::Next(Instant now, std::optional<microseconds> min_round_trip) {
    const auto elapsed_us = static_cast<uint64_t>((now - m_since).count());
    const uint64_t bytes = std::min<uint64_t>(m_bytes, uint64_t{1} << 32);
    m_since = now;
    m_bytes = 0;
    if (!min_round_trip) return std::nullopt;
    const auto time_us = static_cast<uint64_t>(
        (2 * std::clamp<microseconds>(*min_round_trip, microseconds(0), seconds(10)) + kQueueTime).count());
    const uint64_t wanted = bytes * time_us / std::max<uint64_t>(elapsed_us, 1);
    // A pause of the sender does not take the window away at once.
    const size_t window = std::clamp<size_t>(std::max<uint64_t>(wanted, m_window / 10 * 9), kLeast, kMost);
    m_window = window;
    return window;
}

std::optional<microseconds> MinRoundTripOf(int socket) {
    tcp_info info{};
    socklen_t size = sizeof(info);
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(tcp_info, tcpi_min_rtt) + sizeof(info.tcpi_min_rtt) ||
        info.tcpi_min_rtt == std::numeric_limits<uint32_t>::max())
        return std::nullopt;
    return microseconds(info.tcpi_min_rtt);
}

void SetReceiveWindow(int socket, size_t bytes) {
    const int clamp = static_cast<int>(bytes);
    (void)setsockopt(socket, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, sizeof(clamp));
}

void AdjustWindow(ReceiveWindow& window, int socket, size_t bytes) {
    const auto now = std::chrono::time_point_cast<microseconds>(std::chrono::steady_clock::now());
    if (const auto next = window.OnRead(bytes, now, [socket] { return MinRoundTripOf(socket); }))
        SetReceiveWindow(socket, *next);
}

void BoundUnread(int socket, size_t bytes) {
    const int size = static_cast<int>(bytes);
    (void)setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    SetReceiveWindow(socket, 2 * bytes);
}

}  // namespace sluice::p2p
