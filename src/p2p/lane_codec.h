#pragma once

#include <span>
#include <vector>

#include "p2p/frame.h"
#include "p2p/payload.h"

namespace sluice::p2p {

struct OutgoingMessage {
    MessageType type{};
    Payload payload;
};

// Messages that came together, and the bytes that they lie in.
class MessageBatch {
  public:
    // As many bytes as are read at once: eight of the largest frames.
    static constexpr size_t kRoomBytes = 8 * kMaxFrameBytes;

    MessageBatch() : m_room(kRoomBytes) {}
    // Valid as long as the batch, until it is read into again.
    std::span<const Message> messages() const { return m_messages; }

  private:
    friend class LaneCodec;
    Bytes m_room;
    std::vector<Message> m_messages;
};

// Makes and reads the frames of a bulk lane once its Connection has handed them over, in the buffers of whoever moves
// the bytes: a Connection without handshake, queues and clock. On a lane each message is one frame.
class LaneCodec {
  public:
    // `partial`: the start of a frame, if one has come already.
    LaneCodec(crypto::NoiseCipher send, crypto::NoiseCipher receive, Bytes partial);

    // What a message takes on the wire. Precondition: the payload is at most kMaxFramePayload bytes.
    static size_t WireBytes(const OutgoingMessage& message);
    // The frames of all messages, written over `buffer`.
    Bytes Write(std::span<const OutgoingMessage> messages, Bytes buffer);

    // Where the bytes that come next are to be put, after what is left of the ones before. Never empty.
    MutableByteSpan RoomIn(MessageBatch& batch);
    // Opens, where they lie, the frames that are complete with `bytes` more in that room. Errors: a length out of
    // bounds, a false tag, an unknown type, a fragment, a message over its type's limit. The messages before it are in
    // the batch; the codec is of no more use.
    Status Read(MessageBatch& batch, size_t bytes);

  private:
    crypto::NoiseCipher m_send;
    crypto::NoiseCipher m_receive;
    Bytes m_partial;  // the start of a frame that is not complete
};

}  // namespace sluice::p2p
