#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "p2p/asio_executor.h"
#include "p2p/asio_send_queue.h"
#include "p2p/lane_codec.h"
#include "p2p/network.h"

namespace sluice::p2p {

// What happens on lanes. Called on the network strand.
class AsioLaneEvents {
  public:
    virtual ~AsioLaneEvents() = default;
    // The batch is given back with AsioLanes::Return.
    virtual void OnLaneMessages(ConnectionId lane, const std::shared_ptr<MessageBatch>& batch) = 0;
    virtual void OnLaneWritable(ConnectionId lane) = 0;
    virtual void OnLaneBroken(ConnectionId lane, const std::string& reason) = 0;
    virtual void OnLaneClosed(ConnectionId lane, const boost::system::error_code& error) = 0;
};

// Sockets and ciphers of bulk lanes, on a thread of their own that gives way to all others. Rationale: gigabytes are
// encrypted, sent, received and decrypted on it, so that the network strand has little to do, sleeps, and is given a
// core at once when a block comes.
//
// Memory: kMaxBatches of MessageBatch::kRoomBytes, taken in turn by the lanes that have something to read; what was
// written and not sent is bounded by the writer, who asks LaneState.
class AsioLanes {
  public:
    static constexpr size_t kMaxBatches = 8;

    // What both threads know of a lane.
    struct LaneState {
        explicit LaneState(ConnectionId the_id) : id(the_id) {}
        const ConnectionId id;
        std::atomic<size_t> pending_bytes{0};  // that the system has not taken
        std::atomic<bool> reading{true};
        std::atomic<bool> tells_writable{false};  // an OnLaneWritable is on its way
    };
    using LaneRef = std::shared_ptr<LaneState>;

    // `network_strand` outlives it.
    AsioLanes(AsioStrandExecutor& network_strand, std::weak_ptr<AsioLaneEvents> events);
    // Closes all lanes and joins the thread.
    ~AsioLanes();

    // All of these on the network strand. Takes over a connected socket, and what was written to it.
    LaneRef Take(ConnectionId id, int socket, bool is_near, SendQueue unsent, LaneCodec codec);
    void Write(const LaneRef& lane, std::vector<OutgoingMessage> messages);
    void SetReading(const LaneRef& lane, bool reading);
    void Close(const LaneRef& lane);
    void Return(std::shared_ptr<MessageBatch> batch);

  private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace sluice::p2p
