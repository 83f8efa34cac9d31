#include "p2p/lane_codec.h"

#include <gtest/gtest.h>

#include "p2p/connection.h"
#include "util/random.h"

namespace sluice::p2p {
namespace {

crypto::AeadKey CipherKey() {
    crypto::AeadKey key;
    SeededRandom(5).Fill(key.span());
    return key;
}

crypto::NoiseCipher Cipher() { return crypto::NoiseCipher(CipherKey()); }
LaneCodec Codec() { return {Cipher(), Cipher(), {}}; }

struct Recorder : ConnectionEvents {
    std::vector<std::pair<MessageType, Bytes>> messages;
    void OnSecured(const NodeId&) override {}
    void OnReceived(MessageType type, ByteSpan payload) override { messages.emplace_back(type, ToBytes(payload)); }
};

// Gives `codec` the bytes in pieces of `step`; what it reads is appended to `got`.
Status Feed(LaneCodec& codec, ByteSpan bytes, size_t step, std::vector<std::pair<MessageType, Bytes>>& got) {
    MessageBatch batch;
    while (!bytes.empty()) {
        const MutableByteSpan room = codec.RoomIn(batch);
        const size_t size = std::min({step, bytes.size(), room.size()});
        std::copy_n(bytes.begin(), size, room.begin());
        bytes = bytes.subspan(size);
        const Status status = codec.Read(batch, size);
        for (const Message& message : batch.messages()) got.emplace_back(message.type, ToBytes(message.payload));
        RETURN_IF_ERROR(status);
    }
    return {};
}

Bytes FrameOf(crypto::NoiseCipher& cipher, MessageType type, bool more, size_t size) {
    Bytes out;
    AppendFrame(cipher, type, more, Bytes(size), out);
    return out;
}

TEST(LaneCodec, MessagesOfEverySizeArriveHoweverTheirBytesAreCut) {
    std::vector<std::pair<MessageType, Bytes>> sent;
    std::vector<OutgoingMessage> messages;
    SeededRandom random(1);
    const auto shared = std::make_shared<const Bytes>(16'384, 7);
    for (size_t i = 0; i < 40; ++i) {
        Bytes own(i % 5 == 0 ? kMaxContentChunkBytes : random.Uint64() % 60);
        random.Fill(own);
        Bytes whole = own;
        Payload payload(own);
        if (i % 5 == 1) {
            const size_t size = random.Uint64() % 16'384;
            whole.insert(whole.end(), size, 7);
            payload = Payload(own, shared, 0, size);
        }
        messages.push_back({MessageType::kContentChunk, std::move(payload)});
        sent.emplace_back(MessageType::kContentChunk, std::move(whole));
    }
    size_t wire_bytes = 0;
    for (const OutgoingMessage& message : messages) wire_bytes += LaneCodec::WireBytes(message);
    for (const size_t step : {size_t{1}, size_t{17}, size_t{16'400}, size_t{100'000}, MessageBatch::kRoomBytes}) {
        LaneCodec from = Codec(), to = Codec();
        const Bytes wire = from.Write(messages, Bytes(500'000, 9));
        EXPECT_EQ(wire.size(), wire_bytes);
        std::vector<std::pair<MessageType, Bytes>> got;
        ASSERT_TRUE(Feed(to, wire, step, got)) << step;
        EXPECT_TRUE(got == sent) << step;
    }
}

TEST(LaneCodec, GoesOnInTheMiddleOfAFrameThatItsConnectionBegan) {
    crypto::X25519SecretKey key;
    SeededRandom(1).Fill(key.span());
    const Instant now{};
    Connection a(true, {}, key, key, now), b(false, {}, key, key, now);
    Recorder a_saw, b_saw;
    EXPECT_FALSE(a.MayRelease()) << "not secure";
    while (a.HasWritable() || b.HasWritable()) {
        ASSERT_TRUE(b.OnBytes(a.TakeWritable(1 << 20), now, b_saw));
        ASSERT_TRUE(a.OnBytes(b.TakeWritable(1 << 20), now, a_saw));
    }
    ASSERT_TRUE(a.Send(MessageType::kContentChunk, Bytes(1000, 1)));
    const Bytes begun = a.TakeWritable(1 << 20);
    ASSERT_TRUE(b.OnBytes(ByteSpan(begun).first(500), now, b_saw));
    ASSERT_TRUE(a.MayRelease() && b.MayRelease());
    LaneCodec from = a.ReleaseCodec(), to = b.ReleaseCodec();
    EXPECT_FALSE(a.MayRelease()) << "once";
    std::vector<std::pair<MessageType, Bytes>> got;
    ASSERT_TRUE(Feed(to, ByteSpan(begun).subspan(500), 1 << 20, got));
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].second, Bytes(1000, 1));

    // A connection without its codec still queues, orders and answers.
    ASSERT_TRUE(a.Send(MessageType::kContentChunk, Bytes(2000, 2)));
    ASSERT_TRUE(a.Send(MessageType::kPing, Encode(PingMessage{77})));
    const auto outgoing = a.TakeMessages(1 << 20);
    ASSERT_EQ(outgoing.size(), 2u);
    EXPECT_EQ(outgoing[0].type, MessageType::kPing) << "before chunks";
    EXPECT_FALSE(a.HasWritable());
    EXPECT_EQ(a.QueuedBytes(), 0u);
    EXPECT_TRUE(a.TakeChunksDrained());
    const PingMessage ping{77};
    const Bytes ping_bytes = Encode(ping);
    const std::array<Message, 2> came{Message{MessageType::kPing, ping_bytes},
                                      Message{MessageType::kContentChunk, ByteSpan(begun).first(10)}};
    ASSERT_TRUE(b.OnMessages(came, now + seconds(5), b_saw));
    EXPECT_EQ(b.last_received(), now + seconds(5));
    EXPECT_EQ(b_saw.messages.size(), 2u);
    const auto answer = b.TakeMessages(1 << 20);
    ASSERT_EQ(answer.size(), 1u);
    EXPECT_EQ(answer[0].type, MessageType::kPong);
    got.clear();
    ASSERT_TRUE(Feed(to, from.Write(outgoing, {}), 1 << 20, got));
    EXPECT_EQ(got.size(), 2u);
}

TEST(LaneCodec, AConnectionGivesItsMessagesInTheSharesThatAreAskedFor) {
    crypto::X25519SecretKey key;
    SeededRandom(1).Fill(key.span());
    const Instant now{};
    Connection a(true, {}, key, key, now), b(false, {}, key, key, now);
    Recorder saw;
    while (a.HasWritable() || b.HasWritable()) {
        ASSERT_TRUE(b.OnBytes(a.TakeWritable(1 << 20), now, saw));
        ASSERT_TRUE(a.OnBytes(b.TakeWritable(1 << 20), now, saw));
    }
    (void)a.ReleaseCodec();
    constexpr size_t kFrame = 1000 + kFrameOverheadBytes;
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(a.Send(MessageType::kContentChunk, Bytes(1000)));
    EXPECT_EQ(a.TakeMessages(1).size(), 1u) << "one at least";
    EXPECT_EQ(a.TakeMessages(2 * kFrame - 1).size(), 1u);
    EXPECT_EQ(a.TakeMessages(2 * kFrame).size(), 2u);
    EXPECT_EQ(a.TakeMessages(1 << 20, 0).size(), 0u) << "no chunks";
    EXPECT_EQ(a.TakeMessages(1 << 20, 1).size(), 1u) << "one may begin";
    EXPECT_EQ(a.TakeMessages(1 << 20, kFrame + 1).size(), 2u);
    EXPECT_EQ(a.chunk_bytes_taken(), 7 * kFrame);
    EXPECT_EQ(a.TakeMessages(1 << 20).size(), 3u);
}

TEST(LaneCodec, AFragmentIsRefused) {
    for (const bool more : {false, true}) {
        crypto::NoiseCipher sender = Cipher();
        LaneCodec codec = Codec();
        std::vector<std::pair<MessageType, Bytes>> got;
        const Status status = Feed(codec, FrameOf(sender, MessageType::kBlock, more, kMaxFramePayload), 1 << 20, got);
        EXPECT_EQ(status.has_value(), !more);
        EXPECT_EQ(got.size(), more ? 0u : 1u);
        if (more) {
            ASSERT_FALSE(status);
            EXPECT_EQ(status.error().message, "a fragment of a block message on a bulk lane");
        }
    }
}

TEST(LaneCodec, AMessageOverItsTypesLimitIsRefused) {
    for (const size_t over : {0, 1}) {
        crypto::NoiseCipher sender = Cipher();
        LaneCodec codec = Codec();
        std::vector<std::pair<MessageType, Bytes>> got;
        const size_t size = MaxPayloadBytes(MessageType::kPing) + over;
        EXPECT_EQ(Feed(codec, FrameOf(sender, MessageType::kPing, false, size), 1 << 20, got).has_value(), over == 0);
    }
}

TEST(LaneCodec, WhatIsNoFrameIsRefusedAfterWhatCameBeforeIt) {
    for (const int fault : {0, 1, 2, 3}) {
        crypto::NoiseCipher sender = Cipher();
        LaneCodec codec = Codec();
        Bytes wire = FrameOf(sender, MessageType::kContentChunk, false, 100);
        Bytes next =
            FrameOf(sender, fault == 3 ? static_cast<MessageType>(21) : MessageType::kContentChunk, false, 100);
        if (fault == 0) next.back() ^= 1;
        if (fault == 1) next[0] = 16, next[1] = 0;  // a tag and no type
        if (fault == 2) next[0] = next[1] = 0xff;
        wire.insert(wire.end(), next.begin(), next.end());
        std::vector<std::pair<MessageType, Bytes>> got;
        EXPECT_FALSE(Feed(codec, wire, 1 << 20, got)) << fault;
        EXPECT_EQ(got.size(), 1u) << fault;
    }
}

}  // namespace
}  // namespace sluice::p2p
