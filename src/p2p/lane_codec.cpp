#include "p2p/lane_codec.h"

#include <algorithm>
#include <utility>

namespace sluice::p2p {
namespace {

Status CheckWhole(const Frame& frame) {
    if (frame.more) return Fail(std::string("a fragment of a ") + NameOf(frame.type) + " message on a bulk lane");
    if (frame.payload.size() > MaxPayloadBytes(frame.type)) {
        return Fail(std::string("a ") + NameOf(frame.type) + " message is over its limit of " +
                    std::to_string(MaxPayloadBytes(frame.type)) + " bytes");
    }
    return {};
}

}  // namespace

LaneCodec::LaneCodec(crypto::NoiseCipher send, crypto::NoiseCipher receive, Bytes partial)
    : m_send(std::move(send)), m_receive(std::move(receive)), m_partial(std::move(partial)) {
    CHECK(m_partial.size() < kMaxFrameBytes);
}

size_t LaneCodec::WireBytes(const OutgoingMessage& message) {
    CHECK(message.payload.size() <= kMaxFramePayload);
    return message.payload.size() + kFrameOverheadBytes;
}

Bytes LaneCodec::Write(std::span<const OutgoingMessage> messages, Bytes buffer) {
    size_t total = 0;
    for (const OutgoingMessage& message : messages) total += WireBytes(message);
    buffer.resize(total);
    MutableByteSpan out(buffer);
    for (const OutgoingMessage& message : messages) {
        const size_t bytes = WireBytes(message);
        const auto [own, shared] = message.payload.Parts(0, message.payload.size());
        WriteFrame(m_send, message.type, false, own, shared, out.first(bytes));
        out = out.subspan(bytes);
    }
    return buffer;
}

MutableByteSpan LaneCodec::RoomIn(MessageBatch& batch) {
    std::copy(m_partial.begin(), m_partial.end(), batch.m_room.begin());
    return MutableByteSpan(batch.m_room).subspan(m_partial.size());
}

Status LaneCodec::Read(MessageBatch& batch, size_t bytes) {
    batch.m_messages.clear();
    MutableByteSpan left = MutableByteSpan(batch.m_room).first(m_partial.size() + bytes);
    m_partial.clear();
    for (;;) {
        ASSIGN_OR_RETURN(const std::optional<size_t> frame_bytes, FrameBytes(left));
        if (!frame_bytes || *frame_bytes > left.size()) break;
        const MutableByteSpan sealed = left.first(*frame_bytes);
        left = left.subspan(*frame_bytes);
        const size_t plain_bytes = *frame_bytes - kFrameLengthBytes - crypto::kAeadTagBytes;
        ASSIGN_OR_RETURN(const Frame frame,
                         OpenFrame(m_receive, sealed, sealed.subspan(kFrameLengthBytes, plain_bytes)));
        RETURN_IF_ERROR(CheckWhole(frame));
        batch.m_messages.push_back({frame.type, frame.payload});
    }
    m_partial.assign(left.begin(), left.end());
    return {};
}

}  // namespace sluice::p2p
