#include "p2p/asio_lanes.h"

#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "p2p/receive_window.h"

namespace sluice::p2p {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;

constexpr size_t kMostTold = 3;  // things at once

// Belongs to the thread of the lanes.
struct Lane {
    Lane(AsioLanes::LaneRef the_state, Socket the_socket, SendQueue unsent, LaneCodec the_codec)
        : state(std::move(the_state)),
          socket(std::move(the_socket)),
          queue(std::move(unsent)),
          codec(std::move(the_codec)) {}

    const AsioLanes::LaneRef state;
    Socket socket;
    std::deque<std::vector<OutgoingMessage>> unsealed;  // to be sent after the queue
    SendQueue queue;
    LaneCodec codec;
    ReceiveWindow window;
    bool is_near{false};
    bool is_open{true};
    bool waits_to_read{false};   // for bytes or a batch
    bool waits_to_write{false};  // for room in the system
};
using LanePtr = std::shared_ptr<Lane>;

}  // namespace

struct AsioLanes::Impl {
    Impl(AsioStrandExecutor& the_strand, std::weak_ptr<AsioLaneEvents> the_events)
        : network_strand(the_strand), events(std::move(the_events)), thread([this] {
              PrepareThread("lanes", ThreadPriority::kBulk);
              RunBusily(io, [this] { TellNow(); });
          }) {}
    ~Impl() {
        io.stop();
        thread.join();
    }

    // Tells the network strand of it together with what else there is to tell: when that is enough, or nothing else is
    // to be done here. To be woken costs the strand more than most of what it is told.
    template <class Task>
    void Tell(Task task) {
        told.emplace_back(std::move(task));
        if (told.size() >= kMostTold) TellNow();
    }

    void TellNow() {
        if (told.empty()) return;
        network_strand.Post([events = events, tasks = std::exchange(told, {})]() mutable {
            const auto alive = events.lock();
            if (!alive) return;
            for (auto& task : tasks) task(*alive);
        });
    }

    std::shared_ptr<MessageBatch> TakeBatch() {
        const std::lock_guard lock(mutex);
        if (batches.empty()) {
            wanted = made == kMaxBatches;
            if (wanted) return nullptr;
            ++made;
            return std::make_shared<MessageBatch>();
        }
        auto batch = std::move(batches.back());
        batches.pop_back();
        return batch;
    }

    // Whether somebody waits for it.
    bool GiveBatch(std::shared_ptr<MessageBatch> batch) {
        const std::lock_guard lock(mutex);
        batches.push_back(std::move(batch));
        return std::exchange(wanted, false);
    }

    void ArmRead(const LanePtr& lane) {
        if (lane->waits_to_read || !lane->is_open || !lane->state->reading) return;
        lane->waits_to_read = true;
        lane->socket.async_wait(Socket::wait_read, [this, lane](const error_code& error) {
            if (error == asio::error::operation_aborted) return;
            lane->waits_to_read = false;
            Read(lane);
        });
    }

    void Read(const LanePtr& lane) {
        if (!lane->is_open || !lane->state->reading) return;
        auto batch = TakeBatch();
        if (!batch) {
            lane->waits_to_read = true;
            starved.push_back(lane);
            return;
        }
        const MutableByteSpan room = lane->codec.RoomIn(*batch);
        error_code error;
        const size_t bytes = lane->socket.read_some(asio::buffer(room.data(), room.size()), error);
        if (error) {
            if (GiveBatch(std::move(batch))) ReadStarved();
            if (error == asio::error::would_block) return ArmRead(lane);
            return Fail(lane, error);
        }
        if (!lane->is_near) AdjustWindow(lane->window, lane->socket.native_handle(), bytes);
        const Status status = lane->codec.Read(*batch, bytes);
        const ConnectionId id = lane->state->id;
        if (!batch->messages().empty()) {
            Tell([id, batch = std::move(batch)](AsioLaneEvents& to) { to.OnLaneMessages(id, batch); });
        } else if (GiveBatch(std::move(batch))) {
            ReadStarved();
        }
        if (!status) {
            Remove(lane);
            Tell([id, reason = status.error().message](AsioLaneEvents& to) { to.OnLaneBroken(id, reason); });
            return;
        }
        OfferCore();
        ArmRead(lane);
    }

    void ReadStarved() {
        for (const LanePtr& lane : std::exchange(starved, {})) {
            lane->waits_to_read = false;
            Read(lane);
        }
    }

    void Write(const LanePtr& lane, std::vector<OutgoingMessage> messages) {
        lane->unsealed.push_back(std::move(messages));
        if (!lane->waits_to_write) Flush(lane);
    }

    // Encrypts what was written with one call, gives it to the system while it is in the core's cache, and goes on with
    // the next once all of it was taken.
    void Flush(const LanePtr& lane) {
        while (lane->is_open && !(lane->queue.empty() && lane->unsealed.empty())) {
            if (lane->queue.empty()) {
                lane->queue.Push(lane->codec.Write(lane->unsealed.front(), spare.Take()));
                lane->unsealed.pop_front();
            }
            error_code error;
            lane->state->pending_bytes -= lane->queue.Send(lane->socket.native_handle(), spare, error);
            if (error && error != asio::error::would_block) return Fail(lane, error);
            if (!lane->queue.empty()) {  // the system takes no more now
                lane->waits_to_write = true;
                lane->socket.async_wait(Socket::wait_write, [this, lane](const error_code& stopped) {
                    lane->waits_to_write = false;
                    if (!stopped) Flush(lane);
                });
                break;
            }
            OfferCore();
        }
        if (lane->is_open && lane->state->pending_bytes <= Network::kLowWaterBytes &&
            !lane->state->tells_writable.exchange(true))
            Tell([id = lane->state->id](AsioLaneEvents& to) { to.OnLaneWritable(id); });
    }

    void Remove(const LanePtr& lane) {
        lane->is_open = false;
        error_code ignored;
        lane->socket.close(ignored);
        lanes.erase(lane->state->id.value);
    }

    void Fail(const LanePtr& lane, const error_code& error) {
        if (!lane->is_open) return;
        Remove(lane);
        Tell([id = lane->state->id, error](AsioLaneEvents& to) { to.OnLaneClosed(id, error); });
    }

    // On the thread of the lanes, if the lane is still there.
    template <class Task>
    void On(const LaneRef& state, Task task) {
        strand.Post([this, id = state->id, task = std::move(task)]() mutable {
            const auto found = lanes.find(id.value);
            if (found != lanes.end()) task(LanePtr(found->second));
        });
    }

    AsioStrandExecutor& network_strand;
    const std::weak_ptr<AsioLaneEvents> events;

    std::mutex mutex;  // of these three
    std::vector<std::shared_ptr<MessageBatch>> batches;
    size_t made{0};
    bool wanted{false};

    asio::io_context io{1};
    AsioStrandExecutor strand{io};  // of the thread, and so is what follows
    SpareBuffers spare;
    std::unordered_map<uint64_t, LanePtr> lanes;
    std::deque<LanePtr> starved;                             // wait for a batch
    std::vector<std::function<void(AsioLaneEvents&)>> told;  // not yet
    std::thread thread;
};

AsioLanes::AsioLanes(AsioStrandExecutor& network_strand, std::weak_ptr<AsioLaneEvents> events)
    : m_impl(std::make_unique<Impl>(network_strand, std::move(events))) {}
AsioLanes::~AsioLanes() = default;

AsioLanes::LaneRef AsioLanes::Take(ConnectionId id, int socket, bool is_near, SendQueue unsent, LaneCodec codec) {
    auto state = std::make_shared<LaneState>(id);
    state->pending_bytes = unsent.bytes();
    auto lane = std::make_shared<Lane>(state, Socket(m_impl->io), std::move(unsent), std::move(codec));
    lane->is_near = is_near;
    error_code error;
    lane->socket.assign(tcp::v4(), socket, error);  // the family is not asked for again
    if (error) {
        ::close(socket);  // the first read says that it is gone
    } else {
        lane->socket.non_blocking(true, error);
    }
    m_impl->strand.Post([impl = m_impl.get(), lane] {
        impl->lanes.emplace(lane->state->id.value, lane);
        impl->Flush(lane);
        impl->ArmRead(lane);
    });
    return state;
}

void AsioLanes::Write(const LaneRef& lane, std::vector<OutgoingMessage> messages) {
    for (const OutgoingMessage& message : messages) lane->pending_bytes += LaneCodec::WireBytes(message);
    m_impl->On(lane, [impl = m_impl.get(), messages = std::move(messages)](const LanePtr& found) mutable {
        impl->Write(found, std::move(messages));
    });
}

void AsioLanes::SetReading(const LaneRef& lane, bool reading) {
    lane->reading = reading;
    if (reading) m_impl->On(lane, [impl = m_impl.get()](const LanePtr& found) { impl->ArmRead(found); });
}

void AsioLanes::Close(const LaneRef& lane) {
    m_impl->On(lane, [impl = m_impl.get()](const LanePtr& found) { impl->Remove(found); });
}

void AsioLanes::Return(std::shared_ptr<MessageBatch> batch) {
    if (m_impl->GiveBatch(std::move(batch))) m_impl->strand.Post([impl = m_impl.get()] { impl->ReadStarved(); });
}

}  // namespace sluice::p2p
