#pragma once

#include <memory>
#include <string>

#include "p2p/asio_executor.h"
#include "p2p/endpoint.h"
#include "util/result.h"

// The seam to the local network: datagrams to a multicast group, and to one machine. AsioLanSocket implements it with
// UDP, tests with queues. All calls and all events happen on one executor, the network strand.

namespace sluice::p2p {

inline constexpr size_t kMaxDatagramBytes = 512;  // longer ones are dropped

class DatagramEvents {
  public:
    virtual ~DatagramEvents() = default;
    // Never called from inside a call. `bytes` is valid during the call.
    virtual void OnDatagram(const Endpoint& from, ByteSpan bytes) = 0;
};

class LanSocket {
  public:
    virtual ~LanSocket() = default;
    // Where datagrams go, from now on. Set once; `events` outlives the use.
    virtual void SetEvents(DatagramEvents& events) = 0;
    // May be lost, as any datagram. To all that listen to the group, ourselves among them.
    virtual void SendToGroup(ByteSpan bytes) = 0;
    virtual void Send(const Endpoint& to, ByteSpan bytes) = 0;
};

struct LanOptions {
    std::string interface_ip;  // IPv4 address of the interface to use; empty: as the system routes
    uint16_t port{29'336};     // of the group
};

// UDP over IPv4 multicast group 239.192.83.76 (organisation-local scope) with a reach of one hop. Several nodes of one
// machine may use it at once: what is sent to one of them alone goes to a port of its own.
class AsioLanSocket final : public LanSocket {
  public:
    // An error of kEnvironment if the sockets cannot be made.
    static Result<std::unique_ptr<AsioLanSocket>> Open(AsioStrandExecutor& strand, const LanOptions& options);
    ~AsioLanSocket() override;
    void SetEvents(DatagramEvents& events) override;
    void SendToGroup(ByteSpan bytes) override;
    void Send(const Endpoint& to, ByteSpan bytes) override;
    // No event follows. Before the strand's threads stop.
    void Stop();

  private:
    struct Impl;
    explicit AsioLanSocket(std::shared_ptr<Impl> impl) : m_impl(std::move(impl)) {}
    std::shared_ptr<Impl> m_impl;
};

}  // namespace sluice::p2p
