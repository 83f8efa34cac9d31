#include "p2p/frame.h"

#include <algorithm>
#include <utility>

namespace sluice::p2p {
namespace {

constexpr size_t kMinSealedBytes = 1 + crypto::kAeadTagBytes;
constexpr size_t kMaxSealedBytes = kMaxFrameBytes - kFrameLengthBytes;

// The ciphertext length at the start of a frame.
size_t SealedBytes(ByteSpan frame) { return static_cast<size_t>(frame[0]) | static_cast<size_t>(frame[1]) << 8; }

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
    // The frame is read where it lies, unless its start came with an earlier call.
    const bool whole_in_input = m_partial.empty() && input.size() >= kFrameLengthBytes &&
                                input.size() >= kFrameLengthBytes + SealedBytes(input);
    ByteSpan frame = input;
    if (!whole_in_input) {
        if (!fill(kFrameLengthBytes)) return std::optional<Frame>();
        frame = m_partial;
    }
    const size_t sealed_bytes = SealedBytes(frame);
    if (sealed_bytes < kMinSealedBytes || sealed_bytes > kMaxSealedBytes) {
        return Fail("frame length " + std::to_string(sealed_bytes) + " is outside " + std::to_string(kMinSealedBytes) +
                    " to " + std::to_string(kMaxSealedBytes));
    }
    const size_t frame_bytes = kFrameLengthBytes + sealed_bytes;
    if (whole_in_input) {
        frame = input.first(frame_bytes);
        input = input.subspan(frame_bytes);
    } else {
        if (!fill(frame_bytes)) return std::optional<Frame>();
        frame = m_partial;
    }
    const MutableByteSpan plaintext = MutableByteSpan(m_plaintext).first(sealed_bytes - crypto::kAeadTagBytes);
    const bool opened = m_cipher.Decrypt(frame.first(kFrameLengthBytes), frame.subspan(kFrameLengthBytes), plaintext);
    m_partial.clear();
    if (!opened) return Fail("a frame's authentication tag is false");
    const uint8_t type = plaintext[0] & static_cast<uint8_t>(~kMoreFragments);
    if (!IsKnownMessageType(type)) return Fail("message type " + std::to_string(type) + " is unknown");
    return std::optional(
        Frame{static_cast<MessageType>(type), (plaintext[0] & kMoreFragments) != 0, plaintext.subspan(1)});
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
