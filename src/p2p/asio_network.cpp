#include <utility>

#include "p2p/asio_network.h"

#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <unordered_map>

#include "p2p/asio_internal.h"
#include "p2p/asio_lanes.h"
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
    SendQueue queue;
    ReceiveWindow window;
    AsioLanes::LaneRef lane;  // once it is one: the socket is not here any more
};
using TcpConnectionRef = std::shared_ptr<TcpConnection>;

}  // namespace

struct AsioNetwork::Impl final : AsioLaneEvents, std::enable_shared_from_this<Impl> {
    explicit Impl(AsioStrandExecutor& executor) : strand(executor.impl().strand), read_buffer(kReadBufferBytes) {}

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
        if (connection->lane && lanes) lanes->Close(connection->lane);
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
        if (connection->read_armed || !connection->reading || !connection->open || connection->lane) return;
        connection->read_armed = true;
        connection->socket.async_wait(Socket::wait_read,
                                      [self = shared_from_this(), connection](const error_code& error) {
                                          if (error != asio::error::operation_aborted) self->Read(connection);
                                      });
    }

    // One buffer in a turn: what other connections and the chain want of the strand comes between two.
    void Read(const TcpConnectionRef& connection) {
        connection->read_armed = false;
        if (!connection->open || !connection->reading || connection->lane || events == nullptr) return;
        error_code error;
        const size_t size = connection->socket.read_some(asio::buffer(read_buffer), error);
        if (error && error != asio::error::would_block) {
            Failed(connection, error);
            return;
        }
        if (!error) {
            if (!connection->is_near) AdjustWindow(connection->window, connection->socket.native_handle(), size);
            events->OnBytes(connection->id, ByteSpan(read_buffer).first(size));
        }
        ArmRead(connection);
    }

    void FlushSoon(const TcpConnectionRef& connection) {
        if (connection->flush_due) return;
        connection->flush_due = true;
        asio::post(strand, [self = shared_from_this(), connection] { self->Flush(connection); });
    }

    void Flush(const TcpConnectionRef& connection) {
        connection->flush_due = false;
        if (connection->lane) return;
        while (connection->open && !connection->queue.empty()) {
            error_code error;
            (void)connection->queue.Send(connection->socket.native_handle(), spare, error);
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
        }
        if (connection->open && connection->queue.bytes() <= kLowWaterBytes && events != nullptr)
            events->OnWritable(connection->id);
    }

    // What the system takes at once. The flush that follows sees what is left, and errors. The core is offered: a
    // reader on this machine is likely to have been woken on it.
    void SendNow(TcpConnection& connection) {
        error_code seen_by_flush;
        (void)connection.queue.Send(connection.socket.native_handle(), spare, seen_by_flush);
        sched_yield();
    }

    void OnLaneMessages(ConnectionId id, const std::shared_ptr<MessageBatch>& batch) override {
        if (events != nullptr && Find(id)) events->OnMessages(id, batch->messages());
        if (lanes) lanes->Return(batch);
    }
    void OnLaneWritable(ConnectionId id) override {
        const TcpConnectionRef connection = Find(id);
        if (events == nullptr || !connection) return;
        connection->lane->tells_writable = false;
        if (connection->lane->pending_bytes <= kLowWaterBytes) events->OnWritable(id);
    }
    void OnLaneBroken(ConnectionId id, const std::string& reason) override {
        if (events != nullptr && Find(id)) events->OnBroken(id, reason);
    }
    void OnLaneClosed(ConnectionId id, const error_code& error) override {
        if (const TcpConnectionRef connection = Find(id)) Failed(connection, error);
    }

    AsioStrand strand;
    NetworkEvents* events{nullptr};
    std::unordered_map<uint64_t, TcpConnectionRef> connections;
    std::vector<std::shared_ptr<Acceptor>> acceptors;
    std::unique_ptr<AsioLanes> lanes;  // until Stop
    Bytes read_buffer;
    SpareBuffers spare;
    uint64_t last_id{0};
};

AsioNetwork::AsioNetwork(AsioStrandExecutor& strand) : m_impl(std::make_shared<Impl>(strand)) {
    m_impl->lanes = std::make_unique<AsioLanes>(strand, m_impl);
}
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
    CHECK(!found->lane);
    const bool is_first = found->queue.empty();
    found->queue.Push(std::move(bytes));
    if (found->is_urgent && is_first) m_impl->SendNow(*found);
    m_impl->FlushSoon(found);
}

Bytes AsioNetwork::SpareBuffer() { return m_impl->spare.Take(); }

size_t AsioNetwork::PendingBytes(ConnectionId connection) const {
    const TcpConnectionRef found = m_impl->Find(connection);
    if (!found) return 0;
    return found->lane ? found->lane->pending_bytes.load() : found->queue.bytes();
}

void AsioNetwork::SetReading(ConnectionId connection, bool reading) {
    const TcpConnectionRef found = m_impl->Find(connection);
    if (!found) return;
    found->reading = reading;
    if (found->lane) return m_impl->lanes->SetReading(found->lane, reading);
    m_impl->ArmRead(found);
}

void AsioNetwork::TakeLane(ConnectionId connection, LaneCodec codec) {
    const TcpConnectionRef found = m_impl->Find(connection);
    if (!found || !found->open || !m_impl->lanes) return;
    CHECK(!found->lane);
    error_code ignored;
    const int socket = found->socket.release(ignored);
    found->lane = m_impl->lanes->Take(connection, socket, found->is_near, std::move(found->queue), std::move(codec));
    if (!found->reading) m_impl->lanes->SetReading(found->lane, false);
}

void AsioNetwork::WriteMessages(ConnectionId lane, std::vector<OutgoingMessage> messages) {
    const TcpConnectionRef found = m_impl->Find(lane);
    if (!found || !found->open || messages.empty()) return;
    m_impl->lanes->Write(found->lane, std::move(messages));
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
    m_impl->lanes.reset();
    while (!m_impl->connections.empty()) m_impl->Remove(m_impl->connections.begin()->second);
}

}  // namespace sluice::p2p
