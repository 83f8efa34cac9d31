#include <utility>

#include <boost/asio/ip/multicast.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>

#include "p2p/asio_internal.h"
#include "p2p/lan_socket.h"

namespace sluice::p2p {
namespace {

using boost::asio::ip::udp;
using ErrorCode = boost::system::error_code;

const boost::asio::ip::address_v4 kGroup({239, 192, 83, 76});

}  // namespace

struct AsioLanSocket::Impl : std::enable_shared_from_this<AsioLanSocket::Impl> {
    struct Receiver {
        explicit Receiver(AsioStrand& strand) : socket(strand) {}
        udp::socket socket;
        udp::endpoint from;
        std::array<uint8_t, kMaxDatagramBytes + 1> buffer;
    };

    explicit Impl(AsioStrandExecutor& executor) : strand(executor.impl().strand), group(strand), own(strand) {}

    ErrorCode Open(const boost::asio::ip::address_v4& on, uint16_t port) {
        ErrorCode error;
        const auto failed = [&] { return error.failed(); };
        to_group = udp::endpoint(kGroup, port);
        if (group.socket.open(udp::v4(), error); failed()) return error;
        if (group.socket.set_option(udp::socket::reuse_address(true), error); failed()) return error;
        if (group.socket.bind(to_group, error); failed()) return error;
        const auto join = on.is_unspecified() ? boost::asio::ip::multicast::join_group(kGroup)
                                              : boost::asio::ip::multicast::join_group(kGroup, on);
        if (group.socket.set_option(join, error); failed()) return error;
        if (own.socket.open(udp::v4(), error); failed()) return error;
        if (own.socket.bind(udp::endpoint(on, 0), error); failed()) return error;
        if (own.socket.set_option(boost::asio::ip::multicast::hops(1), error); failed()) return error;
        if (own.socket.set_option(boost::asio::ip::multicast::enable_loopback(true), error); failed()) return error;
        if (!on.is_unspecified()) own.socket.set_option(boost::asio::ip::multicast::outbound_interface(on), error);
        own.socket.non_blocking(true, error);
        return error;
    }

    void Receive(Receiver& receiver) {
        receiver.socket.async_receive_from(
            boost::asio::buffer(receiver.buffer), receiver.from,
            [self = shared_from_this(), &receiver](const ErrorCode& error, size_t size) {
                if (error == boost::asio::error::operation_aborted || self->stopped) return;
                // Errors of single datagrams (a port that nobody listens to) end nothing.
                if (!error && size <= kMaxDatagramBytes && self->events != nullptr && receiver.from.address().is_v4()) {
                    const auto ip = receiver.from.address().to_v4().to_bytes();
                    self->events->OnDatagram(Endpoint::Ipv4(ip[0], ip[1], ip[2], ip[3], receiver.from.port()),
                                             ByteSpan(receiver.buffer).first(size));
                }
                self->Receive(receiver);
            });
    }

    void Send(const udp::endpoint& to, ByteSpan bytes) {
        ErrorCode lost;
        if (!stopped) own.socket.send_to(boost::asio::buffer(bytes.data(), bytes.size()), to, 0, lost);
    }

    AsioStrand strand;
    Receiver group;
    Receiver own;  // what is sent to us alone; we send from it
    udp::endpoint to_group;
    DatagramEvents* events{nullptr};
    bool stopped{false};
};

Result<std::unique_ptr<AsioLanSocket>> AsioLanSocket::Open(AsioStrandExecutor& strand, const LanOptions& options) {
    boost::asio::ip::address_v4 on;
    if (!options.interface_ip.empty()) {
        const auto parsed = ParseEndpoint(options.interface_ip, 0, "-lan interface");
        if (!parsed) return Fail(parsed.error());
        if (!parsed->IsIpv4()) return Fail("the LAN interface " + options.interface_ip + " is not an IPv4 address");
        std::array<uint8_t, 4> ip{};
        std::copy(parsed->ip.begin() + 12, parsed->ip.end(), ip.begin());
        on = boost::asio::ip::address_v4(ip);
    }
    auto impl = std::make_shared<Impl>(strand);
    const ErrorCode error = impl->Open(on, options.port);
    if (error)
        return Fail(ErrorKind::kEnvironment, "multicast on the local network is not possible (" + error.message() +
                                                 "): start with -lan=0 to do without it");
    boost::asio::post(impl->strand, [impl] {
        impl->Receive(impl->group);
        impl->Receive(impl->own);
    });
    return std::unique_ptr<AsioLanSocket>(new AsioLanSocket(std::move(impl)));
}

AsioLanSocket::~AsioLanSocket() = default;

void AsioLanSocket::SetEvents(DatagramEvents& events) { m_impl->events = &events; }
void AsioLanSocket::SendToGroup(ByteSpan bytes) { m_impl->Send(m_impl->to_group, bytes); }

void AsioLanSocket::Send(const Endpoint& to, ByteSpan bytes) {
    if (!to.IsIpv4()) return;
    std::array<uint8_t, 4> ip{};
    std::copy(to.ip.begin() + 12, to.ip.end(), ip.begin());
    m_impl->Send(udp::endpoint(boost::asio::ip::address_v4(ip), to.port), bytes);
}

void AsioLanSocket::Stop() {
    boost::asio::post(m_impl->strand, [impl = m_impl] {
        impl->stopped = true;
        impl->events = nullptr;
        ErrorCode ignored;
        impl->group.socket.close(ignored);
        impl->own.socket.close(ignored);
    });
}

}  // namespace sluice::p2p
