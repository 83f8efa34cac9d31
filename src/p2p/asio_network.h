#pragma once

#include <memory>

#include "p2p/asio_executor.h"
#include "p2p/network.h"

namespace sluice::p2p {

// Network over TCP sockets, with Boost.Asio on a strand: every call must be made on `strand`, every event comes on it.
//
// Bulk lanes have a thread of their own (AsioLanes).
//
// Speed: one read buffer for all connections, gathered writes, no Nagle delay. Order: the kernel holds at most
// kKernelUnsentBytes that are not on the wire (TCP_NOTSENT_LOWAT), so that a block queued behind bulk data waits for
// little. For the same reason the system holds no more unread bytes than the line needs to stay full (ReceiveWindow).
class AsioNetwork final : public Network {
  public:
    static constexpr size_t kReadBufferBytes = 128 << 10;
    static constexpr int kKernelUnsentBytes = 128 << 10;

    explicit AsioNetwork(AsioStrandExecutor& strand);
    ~AsioNetwork() override;
    void SetEvents(NetworkEvents& events) override;
    ConnectionId Connect(const Endpoint& endpoint) override;
    Result<Endpoint> Listen(const Endpoint& endpoint) override;
    void Write(ConnectionId connection, Bytes bytes) override;
    Bytes SpareBuffer() override;
    size_t PendingBytes(ConnectionId connection) const override;
    void SetReading(ConnectionId connection, bool reading) override;
    void SetUrgent(ConnectionId connection) override;
    bool HasLanes() const override { return true; }
    void TakeLane(ConnectionId connection, LaneCodec codec) override;
    void WriteMessages(ConnectionId lane, std::vector<OutgoingMessage> messages) override;
    void Close(ConnectionId connection) override;
    // Closes every connection and listener, and ends the thread of the lanes; no event follows.
    void Stop();

  private:
    struct Impl;
    std::shared_ptr<Impl> m_impl;
};

}  // namespace sluice::p2p
