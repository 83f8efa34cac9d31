#pragma once

#include <deque>
#include <optional>
#include <string>

#include "p2p/frame.h"
#include "p2p/identity.h"
#include "p2p/lane_codec.h"
#include "p2p/payload.h"
#include "util/clock.h"

namespace sluice::p2p {

// What a connection says while it reads. The connection must outlive the call; its Send and Stop may be called from
// inside.
class ConnectionEvents {
  public:
    virtual ~ConnectionEvents() = default;
    // The channel is secure: `node` holds the key it claims to hold.
    virtual void OnSecured(const NodeId& node) = 0;
    // A whole message of any type; pings were answered already. `payload` is valid during the call.
    virtual void OnReceived(MessageType type, ByteSpan payload) = 0;
};

// One connection as a pure state machine: bytes in, messages out; messages in, bytes out.
//
//   [greeting: magic, genesis] -> [Noise handshake] -> [secure] ... any failure is final: close the connection with its
//   reason
//
// Leaves in strict priority of classes at frame granularity. Memory: queues of QueueLimitBytes a class, one frame, and
// one message of each class being put together.
class Connection {
  public:
    static constexpr seconds kHandshakeTimeout{10};
    static constexpr seconds kPingInterval{30};
    static constexpr seconds kPingTimeout{60};           // without any byte since a ping
    static constexpr size_t kMessageOverheadBytes = 64;  // counted for each queued message besides its payload

    // `ephemeral` is fresh random.
    Connection(bool initiator, const NetworkId& network, const crypto::X25519SecretKey& static_key,
               const crypto::X25519SecretKey& ephemeral, Instant now);

    // Takes all of `bytes`. An error is why the connection must be closed.
    Status OnBytes(ByteSpan bytes, Instant now, ConnectionEvents& events);
    // No event comes any more, not even from the OnBytes that runs.
    void Stop() { m_stopped = true; }

    bool secure() const { return m_secure; }
    // Queues a message; false if the class's queue has no room. Before the channel is secure nothing can be sent.
    [[nodiscard]] bool Send(MessageType type, Payload payload);
    bool HasWritable() const;
    bool HasWritableBesidesChunks() const;
    // The next bytes for the wire: as many whole frames as fit in `max_bytes` (at least one if there is any). They are
    // written over `buffer`, which is enlarged as needed: one that was used before costs no clearing.
    // Of the chunk class no frame begins after `max_chunk_bytes` of it.
    Bytes TakeWritable(size_t max_bytes, Bytes buffer = {}, size_t max_chunk_bytes = kNoChunkLimit);
    static constexpr size_t kNoChunkLimit = static_cast<size_t>(-1);
    // Bytes of chunk frames that TakeWritable has given out.
    uint64_t chunk_bytes_taken() const { return m_chunk_bytes_taken; }

    static size_t QueueLimitBytes(MessageClass message_class);
    size_t QueuedBytes(MessageClass message_class) const { return m_queues[static_cast<size_t>(message_class)].bytes; }
    size_t QueuedBytes() const;
    // Whether chunk frames were given out since the last call, and left at most kFewChunkBytes queued: there is room.
    bool TakeChunksDrained() { return std::exchange(m_chunks_drained, false); }
    static constexpr size_t kFewChunkBytes = 128 << 10;

    // Gives away the making and reading of its frames: from now on TakeMessages and OnMessages are called instead of
    // TakeWritable and OnBytes. Precondition: MayRelease, once.
    LaneCodec ReleaseCodec();
    // The channel is secure, and nothing is half sent: neither the handshake nor a message in fragments.
    bool MayRelease() const;
    // As TakeWritable, before messages are made frames; each is one.
    std::vector<OutgoingMessage> TakeMessages(size_t max_bytes, size_t max_chunk_bytes = kNoChunkLimit);
    // Whole messages that came.
    Status OnMessages(std::span<const Message> messages, Instant now, ConnectionEvents& events);

    // Pings when it is time. An error is a timeout: close the connection with it.
    Status Tick(Instant now);
    Instant NextWakeup() const;

    Instant last_received() const { return m_last_received; }
    std::optional<microseconds> ping() const { return m_ping; }
    std::optional<microseconds> min_ping() const { return m_min_ping; }

  private:
    struct Queue {
        std::deque<OutgoingMessage> messages;
        size_t sent_of_first{0};  // bytes of the first message's payload that left in fragments
        size_t bytes{0};
    };

    Status ReadHandshake(ByteSpan& input, ConnectionEvents& events);
    Status CheckGreeting();
    void Secure(ConnectionEvents& events);
    Status OnMessage(const Message& message, Instant now, ConnectionEvents& events);
    // Writes the queue's next frame at `used` of `out`, which has room for it, and moves `used` behind it.
    void WriteNextFrame(Queue& queue, size_t frame_bytes, Bytes& out, size_t& used);
    OutgoingMessage PopFirst(Queue& queue);
    void CountChunkFrame(size_t frame_bytes);

    NetworkId m_network;
    crypto::NoiseHandshake m_handshake;
    bool m_greeted{false};  // the peer's greeting was right
    bool m_secure{false};
    bool m_stopped{false};
    Bytes m_handshake_in;
    Bytes m_handshake_out;                             // greeting and handshake messages that have not left
    std::optional<crypto::NoiseCipher> m_send_cipher;  // this and the reader: while it makes and reads the frames
    std::optional<FrameReader> m_reader;
    Assembler m_assembler;
    std::array<Queue, kMessageClasses> m_queues;
    bool m_chunks_drained{false};
    uint64_t m_chunk_bytes_taken{0};

    Instant m_started;
    Instant m_last_received;
    Instant m_next_ping;
    std::optional<Instant> m_ping_sent;
    uint64_t m_ping_nonce{0};
    std::optional<microseconds> m_ping;
    std::optional<microseconds> m_min_ping;
};

}  // namespace sluice::p2p
