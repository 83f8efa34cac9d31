#include "p2p/asio_send_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <utility>

namespace sluice::p2p {
namespace {

constexpr size_t kMaxGathered = 32;  // buffers of one system call
// Of one system call. A thread of higher priority waits for the end of it where the kernel is not preemptible; a
// segment of the loopback interface has as much.
constexpr size_t kMaxBytesAtOnce = 64 << 10;
constexpr size_t kMaxSpare = 8;              // buffers
constexpr size_t kMinSpareBytes = 16 << 10;  // of one of them
constexpr size_t kMaxSpareBytes = 1 << 20;

}  // namespace

Bytes SpareBuffers::Take() {
    if (m_buffers.empty()) return {};
    Bytes buffer = std::move(m_buffers.back());
    m_buffers.pop_back();
    return buffer;
}

void SpareBuffers::Give(Bytes buffer) {
    if (m_buffers.size() < kMaxSpare && buffer.size() >= kMinSpareBytes && buffer.size() <= kMaxSpareBytes)
        m_buffers.push_back(std::move(buffer));
}

void SendQueue::Push(Bytes bytes) {
    m_bytes += bytes.size();
    m_unsent.push_back(std::move(bytes));
}

size_t SendQueue::Send(int socket, SpareBuffers& spare, boost::system::error_code& error) {
    std::array<iovec, kMaxGathered> parts;
    size_t count = 0, skip = m_sent_of_first, total = 0;
    for (Bytes& bytes : m_unsent) {
        if (count == parts.size()) break;
        const size_t part = std::min(bytes.size() - skip, kMaxBytesAtOnce - total);
        parts[count++] = {bytes.data() + skip, part};
        total += part;
        if (total == kMaxBytesAtOnce) break;
        skip = 0;
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    ssize_t sent = -1;
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        error = boost::system::error_code(errno == EAGAIN ? EWOULDBLOCK : errno, boost::system::system_category());
        return 0;
    }
    m_bytes -= static_cast<size_t>(sent);
    size_t left = static_cast<size_t>(sent) + m_sent_of_first;
    while (!m_unsent.empty() && left >= m_unsent.front().size()) {
        left -= m_unsent.front().size();
        spare.Give(std::move(m_unsent.front()));
        m_unsent.pop_front();
    }
    m_sent_of_first = left;
    return static_cast<size_t>(sent);
}

}  // namespace sluice::p2p
