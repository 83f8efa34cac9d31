#pragma once

#include <span>
#include <vector>

#include "p2p/endpoint.h"
#include "p2p/lane_codec.h"
#include "util/bytes.h"
#include "util/result.h"
#include "util/strong_int.h"

// The seam between the protocol and the sockets: reliable byte streams. AsioNetwork implements it with TCP, the
// simulator with queues on a virtual clock. All calls and all events happen on one executor, the network strand.

namespace sluice::p2p {

using ConnectionId = StrongInt<struct ConnectionIdTag, uint64_t>;  // never reused while the network lives

// What happens to connections. Never called from inside a call of Network.
class NetworkEvents {
  public:
    virtual ~NetworkEvents() = default;
    virtual void OnAccepted(ConnectionId connection, const Endpoint& remote) = 0;
    virtual void OnConnected(ConnectionId connection) = 0;
    // The connection is gone; its id means nothing any more. `reason` is one line for people.
    virtual void OnConnectFailed(ConnectionId connection, const std::string& reason) = 0;
    // Bytes in order; valid during the call.
    virtual void OnBytes(ConnectionId connection, ByteSpan bytes) = 0;
    // Whole messages on a lane, in order; valid during the call.
    virtual void OnMessages(ConnectionId /*lane*/, std::span<const Message> /*messages*/) {}
    // What came on a lane is no message, as its codec says. Nothing more is heard of it: close it.
    virtual void OnBroken(ConnectionId /*lane*/, const std::string& /*reason*/) {}
    // PendingBytes has fallen to at most kLowWaterBytes after a Write.
    virtual void OnWritable(ConnectionId connection) = 0;
    // The other side or the system ended the connection; its id means nothing any more.
    virtual void OnClosed(ConnectionId connection, const std::string& reason) = 0;
};

class Network {
  public:
    // Below this many unsent bytes the network asks for more.
    static constexpr size_t kLowWaterBytes = 64 << 10;

    virtual ~Network() = default;
    // Where events go, from now on. Set once, before anything else; `events` outlives the network's use.
    virtual void SetEvents(NetworkEvents& events) = 0;
    // Starts to dial; OnConnected or OnConnectFailed follows, unless Close comes first. There is no time limit here.
    virtual ConnectionId Connect(const Endpoint& endpoint) = 0;
    // Accepts connections at `endpoint` (port 0: any free one); several may listen. The endpoint that is bound, or an
    // error of kEnvironment that says what to do.
    virtual Result<Endpoint> Listen(const Endpoint& endpoint) = 0;
    // Queues bytes, which leave soon. Unknown and closed connections are ignored (their OnClosed may be on its way).
    virtual void Write(ConnectionId connection, Bytes bytes) = 0;
    // A buffer of an earlier Write to use again, of any size and content; an empty one if there is none.
    virtual Bytes SpareBuffer() { return {}; }
    // Bytes written that the system has not taken yet.
    virtual size_t PendingBytes(ConnectionId connection) const = 0;
    // While false, no OnBytes for the connection and the sender is slowed down by its full window. True at the start.
    virtual void SetReading(ConnectionId connection, bool reading) = 0;
    // What is urgent travels on it: what is written leaves at once, it is read before others, and the system holds few
    // bytes of it that were not read. Call it before much has come.
    virtual void SetUrgent(ConnectionId /*connection*/) {}
    // Whether frames of bulk lanes can be made and read away from the strand. If so, TakeLane has it done for a
    // connection from now on, and WriteMessages and OnMessages (with OnBroken) take the places of Write and OnBytes.
    virtual bool HasLanes() const { return false; }
    virtual void TakeLane(ConnectionId /*connection*/, LaneCodec /*codec*/) {}
    virtual void WriteMessages(ConnectionId /*lane*/, std::vector<OutgoingMessage> /*messages*/) {}
    // Ends the connection now, dropping unsent bytes. No event follows.
    virtual void Close(ConnectionId connection) = 0;
};

}  // namespace sluice::p2p
