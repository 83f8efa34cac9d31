#include "p2p/frame.h"

#include <algorithm>
#include <utility>

namespace sluice::p2p {
namespace {

constexpr size_t kMinSealedBytes = 1 + crypto::kAeadTagBytes;
constexpr size_t kMaxSealedBytes = kMaxFrameBytes - kFrameLengthBytes;

}  // namespace

void WriteFrame(crypto::NoiseCipher& cipher, MessageType type, bool more, ByteSpan first, ByteSpan second,
                MutableByteSpan out) {
    CHECK(first.size() <= kMaxFramePayload && second.size() <= kMaxFramePayload - first.size());
    CHECK(out.size() == first.size() + second.size() + kFrameOverheadBytes);
    const size_t sealed_bytes = out.size() - kFrameLengthBytes;
    out[0] = static_cast<uint8_t>(sealed_bytes & 0xff);
    out[1] = static_cast<uint8_t>(sealed_bytes >> 8);
    const auto kind = static_cast<uint8_t>(static_cast<uint8_t>(type) | (more ? kMoreFragments : 0));
    const std::array<ByteSpan, 3> plaintext{ByteSpan(&kind, 1), first, second};
    cipher.EncryptParts(out.first(kFrameLengthBytes), plaintext, out.subspan(kFrameLengthBytes));
}

void AppendFrame(crypto::NoiseCipher& cipher, MessageType type, bool more, ByteSpan payload, Bytes& out) {
    const size_t start = out.size();
    out.resize(start + payload.size() + kFrameOverheadBytes);
    WriteFrame(cipher, type, more, payload, {}, MutableByteSpan(out).subspan(start));
}

Result<std::optional<size_t>> FrameBytes(ByteSpan input) {
    if (input.size() < kFrameLengthBytes) return std::optional<size_t>();
    const size_t sealed_bytes = static_cast<size_t>(input[0]) | static_cast<size_t>(input[1]) << 8;
    if (sealed_bytes < kMinSealedBytes || sealed_bytes > kMaxSealedBytes) {
        return Fail("frame length " + std::to_string(sealed_bytes) + " is outside " + std::to_string(kMinSealedBytes) +
                    " to " + std::to_string(kMaxSealedBytes));
    }
    return std::optional(kFrameLengthBytes + sealed_bytes);
}

Result<Frame> OpenFrame(crypto::NoiseCipher& cipher, ByteSpan frame, MutableByteSpan plaintext) {
    if (!cipher.Decrypt(frame.first(kFrameLengthBytes), frame.subspan(kFrameLengthBytes), plaintext))
        return Fail("a frame's authentication tag is false");
    const uint8_t type = plaintext[0] & static_cast<uint8_t>(~kMoreFragments);
    if (!IsKnownMessageType(type)) return Fail("message type " + std::to_string(type) + " is unknown");
    return Frame{static_cast<MessageType>(type), (plaintext[0] & kMoreFragments) != 0, plaintext.subspan(1)};
}

FrameReader::FrameReader(crypto::NoiseCipher cipher) : m_cipher(std::move(cipher)), m_plaintext(1 + kMaxFramePayload) {
    m_partial.reserve(kMaxFrameBytes);
}

Result<std::optional<Frame>> FrameReader::Next(ByteSpan& input) {
    // Moves bytes of the input to the partial frame until it has `size`; false if there are too few.
    const auto fill = [&](size_t size) {
        const size_t taken = std::min(size - std::min(size, m_partial.size()), input.size());
        m_partial.insert(m_partial.end(), input.begin(), input.begin() + static_cast<ptrdiff_t>(taken));
        input = input.subspan(taken);
        return m_partial.size() >= size;
    };
    const auto open = [&](ByteSpan frame) -> Result<std::optional<Frame>> {
        const size_t plain_bytes = frame.size() - kFrameLengthBytes - crypto::kAeadTagBytes;
        ASSIGN_OR_RETURN(Frame opened, OpenFrame(m_cipher, frame, MutableByteSpan(m_plaintext).first(plain_bytes)));
        return std::optional(opened);
    };
    // The frame is read where it lies, unless its start came with an earlier call.
    if (m_partial.empty()) {
        ASSIGN_OR_RETURN(const std::optional<size_t> bytes, FrameBytes(input));
        if (bytes && input.size() >= *bytes) {
            const ByteSpan frame = input.first(*bytes);
            input = input.subspan(*bytes);
            return open(frame);
        }
    }
    if (!fill(kFrameLengthBytes)) return std::optional<Frame>();
    ASSIGN_OR_RETURN(const std::optional<size_t> bytes, FrameBytes(m_partial));
    if (!fill(*bytes)) return std::optional<Frame>();
    auto frame = open(m_partial);
    m_partial.clear();
    return frame;
}

Result<std::optional<Message>> Assembler::Add(const Frame& frame) {
    Partial& partial = m_partials[static_cast<size_t>(ClassOf(frame.type))];
    if (partial.type && *partial.type != frame.type) {
        return Fail(std::string("a ") + NameOf(frame.type) + " message starts inside a " + NameOf(*partial.type) +
                    " message");
    }
    if (partial.bytes.size() + frame.payload.size() > MaxPayloadBytes(frame.type)) {
        return Fail(std::string("a ") + NameOf(frame.type) + " message is over its limit of " +
                    std::to_string(MaxPayloadBytes(frame.type)) + " bytes");
    }
    if (frame.more && frame.payload.size() != kMaxFramePayload) {
        return Fail(std::string("a fragment of a ") + NameOf(frame.type) + " message is not full");
    }
    if (!frame.more && !partial.type) return std::optional(Message{frame.type, frame.payload});
    if (partial.type && frame.payload.empty()) {
        return Fail(std::string("the last fragment of a ") + NameOf(frame.type) + " message is empty");
    }
    partial.type = frame.type;
    partial.bytes.insert(partial.bytes.end(), frame.payload.begin(), frame.payload.end());
    if (frame.more) return std::optional<Message>();
    m_complete = std::exchange(partial.bytes, {});
    partial.type.reset();
    return std::optional(Message{frame.type, m_complete});
}

size_t Assembler::buffered_bytes() const {
    size_t total = m_complete.capacity();
    for (const Partial& partial : m_partials) total += partial.bytes.capacity();
    return total;
}

}  // namespace sluice::p2p
