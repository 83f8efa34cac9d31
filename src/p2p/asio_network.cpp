#include <utility>

#include "p2p/asio_network.h"

#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <unordered_map>

#include "p2p/asio_internal.h"
#include "p2p/receive_window.h"
#include "util/check.h"

namespace sluice::p2p {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Socket = asio::basic_stream_socket<tcp, AsioStrand>;
using Acceptor = asio::basic_socket_acceptor<tcp, AsioStrand>;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, AsioStrand>;

constexpr size_t kMaxGathered = 32;          // buffers of one system call
constexpr size_t kMaxSpare = 8;              // buffers that were sent and wait to be used again
constexpr size_t kMinSpareBytes = 16 << 10;  // of one of them
constexpr size_t kMaxSpareBytes = 1 << 20;
constexpr milliseconds kAcceptRetry{200};  // after running out of file descriptors

tcp::endpoint ToAsio(const Endpoint& endpoint) {
    if (endpoint.IsIpv4()) {
        asio::ip::address_v4::bytes_type bytes;
        std::copy(endpoint.ip.begin() + 12, endpoint.ip.end(), bytes.begin());
        return {asio::ip::address_v4(bytes), endpoint.port};
    }
    return {asio::ip::address_v6(endpoint.ip), endpoint.port};
}

Endpoint FromAsio(const tcp::endpoint& endpoint) {
    if (endpoint.address().is_v4()) {
        const auto bytes = endpoint.address().to_v4().to_bytes();
        return Endpoint::Ipv4(bytes[0], bytes[1], bytes[2], bytes[3], endpoint.port());
    }
    Endpoint result;
    result.ip = endpoint.address().to_v6().to_bytes();
    result.port = endpoint.port();
    return result;
}

std::string ReasonOf(const error_code& error) {
    if (error == asio::error::eof) return "closed by the peer";
    if (error == asio::error::connection_reset) return "reset by the peer";
    if (error == asio::error::connection_refused) return "connection refused";
    return error.message();
}

Error CannotListen(const Endpoint& endpoint, const error_code& error) {
    std::string why = error.message();
    if (error == asio::error::address_in_use)
        why = "address in use: stop the other program or choose another port with -port";
    if (error == asio::error::access_denied) why = "permission denied: choose a port above 1023 with -port";
    if (error == error_code(EADDRNOTAVAIL, boost::system::system_category()))
        why = "this machine has no such address: choose one of its own with -bind";
    return {ErrorKind::kEnvironment, "cannot listen on " + endpoint.ToString() + ": " + why};
}

struct TcpConnection {
    TcpConnection(ConnectionId the_id, Socket the_socket) : id(the_id), socket(std::move(the_socket)) {}

    ConnectionId id;
    Socket socket;
    bool open{false};     // connected, and not closed since
    bool is_near{false};  // over a line that needs no window of its own
    bool is_urgent{false};
    bool reading{true};
    bool read_armed{false};  // a wait for readability is under way
    bool flush_due{false};   // a flush is posted, or a wait for writability is under way
    std::deque<Bytes> unsent;
    size_t sent_of_first{0};
    size_t pending_bytes{0};
    ReceiveWindow window;
};
using TcpConnectionRef = std::shared_ptr<TcpConnection>;

}  // namespace

struct AsioNetwork::Impl : std::enable_shared_from_this<Impl> {
    explicit Impl(const AsioStrand& the_strand) : strand(the_strand), read_buffer(kReadBufferBytes) {}

    TcpConnectionRef Find(ConnectionId id) const {
        const auto found = connections.find(id.value);
        return found == connections.end() ? nullptr : found->second;
    }
    TcpConnectionRef Add(Socket socket) {
        const ConnectionId id(++last_id);
        return connections.emplace(id.value, std::make_shared<TcpConnection>(id, std::move(socket))).first->second;
    }
    void Remove(TcpConnectionRef connection) {
        connection->open = false;
        error_code ignored;
        connection->socket.close(ignored);
        connections.erase(connection->id.value);
    }
    bool Known(const TcpConnectionRef& connection) const { return connections.contains(connection->id.value); }

    void Failed(const TcpConnectionRef& connection, const error_code& error) {
        if (!Known(connection)) return;
        Remove(connection);
        if (events != nullptr) events->OnClosed(connection->id, ReasonOf(error));
    }

    void Opened(const TcpConnectionRef& connection) {
        error_code ignored;  // what fails here shows at the first read or write
        connection->socket.non_blocking(true, ignored);
        connection->socket.set_option(tcp::no_delay(true), ignored);
        const int unsent = kKernelUnsentBytes;
        (void)setsockopt(connection->socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
        const auto round_trip = MinRoundTripOf(connection->socket.native_handle());
        connection->is_near = round_trip && *round_trip <= kNearRoundTrip;
        connection->open = true;
        ArmRead(connection);
    }

    void Dial(const TcpConnectionRef& connection, const Endpoint& endpoint) {
        connection->socket.async_connect(ToAsio(endpoint),
                                         [self = shared_from_this(), connection](const error_code& error) {
                                             if (!self->Known(connection) || self->events == nullptr) return;
                                             if (error) {
                                                 self->Remove(connection);
                                                 self->events->OnConnectFailed(connection->id, ReasonOf(error));
                                                 return;
                                             }
                                             self->Opened(connection);
                                             self->events->OnConnected(connection->id);
                                         });
    }

    void Accept(const std::shared_ptr<Acceptor>& acceptor) {
        acceptor->async_accept([self = shared_from_this(), acceptor](const error_code& error, Socket socket) {
            if (error == asio::error::operation_aborted || self->events == nullptr) return;
            if (error) {
                auto timer = std::make_shared<Timer>(self->strand, kAcceptRetry);
                timer->async_wait([self, acceptor, timer](const error_code& stopped) {
                    if (!stopped && acceptor->is_open()) self->Accept(acceptor);
                });
                return;
            }
            self->Accept(acceptor);
            error_code gone;
            const tcp::endpoint remote = socket.remote_endpoint(gone);
            if (gone) return;
            const TcpConnectionRef connection = self->Add(std::move(socket));
            self->Opened(connection);
            self->events->OnAccepted(connection->id, FromAsio(remote));
        });
    }

    void ArmRead(const TcpConnectionRef& connection) {
        if (connection->read_armed || !connection->reading || !connection->open) return;
        connection->read_armed = true;
        connection->socket.async_wait(
            Socket::wait_read, [self = shared_from_this(), connection](const error_code& error) {
                if (error == asio::error::operation_aborted) return;
                if (connection->is_urgent) return self->Read(connection);
                // Behind urgent ones that are readable by now: those are not on the strand
                // yet, and come to it before this does.
                asio::post(self->strand.get_inner_executor(), [self, connection] {
                    asio::dispatch(self->strand, [self, connection] { self->Read(connection); });
                });
            });
    }

    // One buffer in a turn: what other connections and the chain want of the strand comes between two.
    void Read(const TcpConnectionRef& connection) {
        connection->read_armed = false;
        if (!connection->open || !connection->reading || events == nullptr) return;
        error_code error;
        const size_t size = connection->socket.read_some(asio::buffer(read_buffer), error);
        if (error && error != asio::error::would_block) {
            Failed(connection, error);
            return;
        }
        if (!error) {
            AdjustWindow(*connection, size);
            events->OnBytes(connection->id, ByteSpan(read_buffer).first(size));
            OfferCore();
        }
        ArmRead(connection);
    }

    static void AdjustWindow(TcpConnection& connection, size_t bytes) {
        if (connection.is_near) return;
        const int socket = connection.socket.native_handle();
        const auto now = std::chrono::time_point_cast<microseconds>(std::chrono::steady_clock::now());
        const auto window = connection.window.OnRead(bytes, now, [socket] { return MinRoundTripOf(socket); });
        if (window) SetReceiveWindow(socket, *window);
    }

    void FlushSoon(const TcpConnectionRef& connection) {
        if (connection->flush_due) return;
        connection->flush_due = true;
        asio::post(strand, [self = shared_from_this(), connection] { self->Flush(connection); });
    }

    void Flush(const TcpConnectionRef& connection) {
        connection->flush_due = false;
        while (connection->open && connection->pending_bytes > 0) {
            error_code error;
            const size_t size = SendGathered(*connection, error);
            if (error == asio::error::would_block) {
                connection->flush_due = true;
                connection->socket.async_wait(Socket::wait_write,
                                              [self = shared_from_this(), connection](const error_code& stopped) {
                                                  if (!stopped) self->Flush(connection);
                                              });
                break;
            }
            if (error) {
                Failed(connection, error);
                return;
            }
            Sent(*connection, size);
            OfferCore();
        }
        if (connection->open && connection->pending_bytes <= kLowWaterBytes && events != nullptr)
            events->OnWritable(connection->id);
    }

    // What the system takes at once. The flush that follows sees what is left, and errors. The core is offered: a
    // reader on this machine is likely to have been woken on it.
    void SendNow(TcpConnection& connection) {
        error_code error;
        const size_t size = SendGathered(connection, error);
        if (!error) Sent(connection, size);
        sched_yield();
    }

    // One system call for many buffers; how many bytes the system took.
    static size_t SendGathered(TcpConnection& connection, error_code& error) {
        std::array<iovec, kMaxGathered> parts;
        size_t count = 0, skip = connection.sent_of_first;
        for (Bytes& bytes : connection.unsent) {
            if (count == parts.size()) break;
            parts[count++] = {bytes.data() + skip, bytes.size() - skip};
            skip = 0;
        }
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = count;
        for (;;) {
            const ssize_t sent = sendmsg(connection.socket.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent >= 0) return static_cast<size_t>(sent);
            if (errno == EINTR) continue;
            error = error_code(errno == EAGAIN ? EWOULDBLOCK : errno, boost::system::system_category());
            return 0;
        }
    }

    void Sent(TcpConnection& connection, size_t size) {
        connection.pending_bytes -= size;
        size += connection.sent_of_first;
        while (!connection.unsent.empty() && size >= connection.unsent.front().size()) {
            size -= connection.unsent.front().size();
            Bytes& sent = connection.unsent.front();
            if (spare.size() < kMaxSpare && sent.size() >= kMinSpareBytes && sent.size() <= kMaxSpareBytes)
                spare.push_back(std::move(sent));
            connection.unsent.pop_front();
        }
        connection.sent_of_first = size;
    }

    AsioStrand strand;
    NetworkEvents* events{nullptr};
    std::unordered_map<uint64_t, TcpConnectionRef> connections;
    std::vector<std::shared_ptr<Acceptor>> acceptors;
    Bytes read_buffer;
    std::vector<Bytes> spare;
    uint64_t last_id{0};
};

AsioNetwork::AsioNetwork(AsioStrandExecutor& strand) : m_impl(std::make_shared<Impl>(strand.impl().strand)) {}
AsioNetwork::~AsioNetwork() { Stop(); }

void AsioNetwork::SetEvents(NetworkEvents& events) { m_impl->events = &events; }

ConnectionId AsioNetwork::Connect(const Endpoint& endpoint) {
    const TcpConnectionRef connection = m_impl->Add(Socket(m_impl->strand));
    m_impl->Dial(connection, endpoint);
    return connection->id;
}

Result<Endpoint> AsioNetwork::Listen(const Endpoint& endpoint) {
    auto acceptor = std::make_shared<Acceptor>(m_impl->strand);
    const tcp::endpoint local = ToAsio(endpoint);
    error_code error;
    acceptor->open(local.protocol(), error);
    if (!error) acceptor->set_option(asio::socket_base::reuse_address(true), error);
    if (!error && !endpoint.IsIpv4()) acceptor->set_option(asio::ip::v6_only(true), error);
    if (!error) acceptor->bind(local, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    tcp::endpoint bound;
    if (!error) bound = acceptor->local_endpoint(error);
    if (error) return Fail(CannotListen(endpoint, error));
    m_impl->acceptors.push_back(acceptor);
    m_impl->Accept(acceptor);
    return FromAsio(bound);
}

void AsioNetwork::Write(ConnectionId connection, Bytes bytes) {
    const TcpConnectionRef found = m_impl->Find(connection);
    if (!found || !found->open || bytes.empty()) return;
    const bool is_first = found->unsent.empty();
    found->pending_bytes += bytes.size();
    found->unsent.push_back(std::move(bytes));
    if (found->is_urgent && is_first) m_impl->SendNow(*found);
    m_impl->FlushSoon(found);
}

Bytes AsioNetwork::SpareBuffer() {
    if (m_impl->spare.empty()) return {};
    Bytes buffer = std::move(m_impl->spare.back());
    m_impl->spare.pop_back();
    return buffer;
}

size_t AsioNetwork::PendingBytes(ConnectionId connection) const {
    const TcpConnectionRef found = m_impl->Find(connection);
    return found ? found->pending_bytes : 0;
}

void AsioNetwork::SetReading(ConnectionId connection, bool reading) {
    const TcpConnectionRef found = m_impl->Find(connection);
    if (!found) return;
    found->reading = reading;
    m_impl->ArmRead(found);
}

void AsioNetwork::SetUrgent(ConnectionId connection) {
    const TcpConnectionRef found = m_impl->Find(connection);
    if (!found) return;
    found->is_urgent = true;
    if (found->is_near) BoundUnread(found->socket.native_handle(), kNearUnreadBytes);
}

void AsioNetwork::Close(ConnectionId connection) {
    if (const TcpConnectionRef found = m_impl->Find(connection)) m_impl->Remove(found);
}

void AsioNetwork::Stop() {
    m_impl->events = nullptr;
    error_code ignored;
    for (const auto& acceptor : m_impl->acceptors) acceptor->close(ignored);
    m_impl->acceptors.clear();
    while (!m_impl->connections.empty()) m_impl->Remove(m_impl->connections.begin()->second);
}

}  // namespace sluice::p2p
