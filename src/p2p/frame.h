#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "crypto/noise.h"
#include "p2p/message.h"

// The bytes on a connection.
//
//   start of each side  = magic (4) || first 8 bytes of the genesis hash, in the clear, so that a wrong network has a
//   clear reason handshake           = three Noise XX messages with empty payloads (32, 96 and 64 bytes);
//                         prologue = "sluice" || magic || genesis hash
//   frame               = length of the ciphertext (2, little-endian) || one Noise message with the length as
//   additional data plaintext           = type (1; the top bit set: more fragments of this message follow) || payload
//
// The length is in the clear because TCP segments show it anyway, and one AEAD operation a frame is the fastest; it is
// authenticated. A message of at most kMaxFramePayload bytes is one frame. A larger one is fragments: all but the last
// are full, and no other message of its class comes between them. Frames of other classes may.

namespace sluice::p2p {

inline constexpr size_t kMaxFramePayload = (16 << 10) + 64;
inline constexpr size_t kFrameLengthBytes = 2;
inline constexpr size_t kFrameOverheadBytes = kFrameLengthBytes + 1 + crypto::kAeadTagBytes;
inline constexpr size_t kMaxFrameBytes = kMaxFramePayload + kFrameOverheadBytes;
inline constexpr uint8_t kMoreFragments = 0x80;
static_assert(kMaxFrameBytes - kFrameLengthBytes <= crypto::kNoiseMaxMessageBytes);

// Writes a frame whose payload is `first` and `second` together, at most kMaxFramePayload bytes, to all of `out`, which
// overlaps neither and has kFrameOverheadBytes more.
void WriteFrame(crypto::NoiseCipher& cipher, MessageType type, bool more, ByteSpan first, ByteSpan second,
                MutableByteSpan out);
// Appends a frame to `out`: `payload` is at most kMaxFramePayload bytes.
void AppendFrame(crypto::NoiseCipher& cipher, MessageType type, bool more, ByteSpan payload, Bytes& out);

// A frame as it arrived; `payload` is a view into the reader.
struct Frame {
    MessageType type{};
    bool more{false};
    ByteSpan payload;
};

// The bytes of the frame that `input` starts with, as its first two say; nullopt if there are fewer. An error is a
// length out of bounds.
Result<std::optional<size_t>> FrameBytes(ByteSpan input);
// Decrypts a whole frame to `plaintext`, which has kFrameLengthBytes + crypto::kAeadTagBytes less and may lie where the
// ciphertext does, behind the length. Errors: a false tag, an unknown type.
Result<Frame> OpenFrame(crypto::NoiseCipher& cipher, ByteSpan frame, MutableByteSpan plaintext);

// Takes frames out of a stream of bytes. Holds at most one frame's bytes between calls. After an error it is of no more
// use.
class FrameReader {
  public:
    explicit FrameReader(crypto::NoiseCipher cipher);

    // The next frame of what was left over and `input`, whose used bytes are cut off its front; nullopt once all of it
    // is used. The frame is valid until the next call. Errors: a length out of bounds, a false tag, an unknown type.
    Result<std::optional<Frame>> Next(ByteSpan& input);
    // What it reads with, and the start of a frame that was left over: for who goes on in its place.
    std::pair<crypto::NoiseCipher, Bytes> Release() && { return {std::move(m_cipher), std::move(m_partial)}; }

  private:
    crypto::NoiseCipher m_cipher;
    Bytes m_partial;    // the start of a frame that is not complete
    Bytes m_plaintext;  // room for the largest frame's
};

// A whole message; `payload` is a view into the frame or the assembler.
struct Message {
    MessageType type{};
    ByteSpan payload;
};

// Puts fragments together, one message for each class at a time. Memory: at most the largest message of each class.
class Assembler {
  public:
    // The message that `frame` completes, valid until the next call. Errors: over the type's limit (before anything is
    // stored), another message of the class inside a message, a fragment that is not full.
    Result<std::optional<Message>> Add(const Frame& frame);
    size_t buffered_bytes() const;

  private:
    struct Partial {
        std::optional<MessageType> type;
        Bytes bytes;
    };
    std::array<Partial, kMessageClasses> m_partials;
    Bytes m_complete;
};

}  // namespace sluice::p2p
