#include "p2p/connection.h"

#include <gtest/gtest.h>

#include "util/random.h"

namespace sluice::p2p {
namespace {

NetworkId TestNetwork(uint8_t magic = 1, uint8_t genesis = 2) {
    NetworkId id;
    id.magic.fill(magic);
    id.genesis.bytes.fill(genesis);
    return id;
}

crypto::X25519SecretKey Key(uint8_t seed) {
    crypto::X25519SecretKey key;
    SeededRandom(seed).Fill(key.span());
    return key;
}

Bytes Pattern(size_t size, uint64_t seed) {
    Bytes bytes(size);
    SeededRandom(seed).Fill(bytes);
    return bytes;
}

struct Recorder : ConnectionEvents {
    std::optional<NodeId> node;
    std::vector<std::pair<MessageType, Bytes>> messages;
    Connection* stop{nullptr};
    void OnSecured(const NodeId& id) override { node = id; }
    void OnReceived(MessageType type, ByteSpan payload) override {
        messages.emplace_back(type, ToBytes(payload));
        if (stop != nullptr) stop->Stop();
    }
};

// Two ends; the second accepts.
struct Pair {
    explicit Pair(NetworkId a_network = TestNetwork(), NetworkId b_network = TestNetwork())
        : a(true, a_network, Key(1), Key(2), now), b(false, b_network, Key(3), Key(4), now) {}

    // Moves bytes both ways, `step` at a time, until nothing moves. An error is the first fault of either side.
    Status Exchange(size_t step = 1 << 20) {
        while (a.HasWritable() || b.HasWritable()) {
            RETURN_IF_ERROR(Feed(b, a.TakeWritable(1 << 20), step, b_saw));
            RETURN_IF_ERROR(Feed(a, b.TakeWritable(1 << 20), step, a_saw));
        }
        return {};
    }
    Status Feed(Connection& to, ByteSpan bytes, size_t step, Recorder& saw) {
        while (!bytes.empty()) {
            const size_t size = std::min(step, bytes.size());
            RETURN_IF_ERROR(to.OnBytes(bytes.first(size), now, saw));
            bytes = bytes.subspan(size);
        }
        return {};
    }

    Instant now{};
    Connection a;
    Connection b;
    Recorder a_saw;
    Recorder b_saw;
};

TEST(Connection, BothSidesLearnTheOthersNodeId) {
    for (const size_t step : {size_t{1}, size_t{7}, size_t{1} << 20}) {
        Pair pair;
        ASSERT_TRUE(pair.Exchange(step));
        EXPECT_EQ(pair.a_saw.node, crypto::X25519Public(Key(3)));
        EXPECT_EQ(pair.b_saw.node, crypto::X25519Public(Key(1)));
    }
}

TEST(Connection, NothingIsSentBeforeTheChannelIsSecure) {
    Pair pair;
    EXPECT_FALSE(pair.a.Send(MessageType::kVote, Bytes(1)));
    ASSERT_TRUE(pair.Exchange());
    EXPECT_TRUE(pair.a.Send(MessageType::kVote, Bytes(1)));
}

TEST(Connection, MessagesOfEverySizeArriveWhole) {
    Pair pair;
    ASSERT_TRUE(pair.Exchange());
    const size_t limit = MaxPayloadBytes(MessageType::kBlock);
    std::vector<Bytes> sent;
    for (const size_t size : {size_t{0}, size_t{1}, kMaxFramePayload - 1, kMaxFramePayload, kMaxFramePayload + 1,
                              2 * kMaxFramePayload, limit}) {
        sent.push_back(Pattern(size, size));
        ASSERT_TRUE(pair.a.Send(MessageType::kBlock, sent.back()));
    }
    ASSERT_TRUE(pair.Exchange(1013));
    ASSERT_EQ(pair.b_saw.messages.size(), sent.size());
    for (size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(pair.b_saw.messages[i].second, sent[i]);
    EXPECT_EQ(pair.a.QueuedBytes(), 0u);
}

TEST(Connection, OwnAndSharedPartsOfAPayloadArriveAsOne) {
    Pair pair;
    ASSERT_TRUE(pair.Exchange());
    const auto shared = std::make_shared<const Bytes>(Pattern(3 * kMaxFramePayload, 9));
    std::vector<Bytes> sent;
    for (const size_t own : {size_t{0}, size_t{1}, kMaxFramePayload - 1, kMaxFramePayload, kMaxFramePayload + 1}) {
        for (const size_t size : {size_t{0}, size_t{1}, kMaxFramePayload - own % 7, 2 * kMaxFramePayload}) {
            const size_t offset = 13 + own % 5;
            Bytes whole = Pattern(own, own + size);
            ASSERT_TRUE(pair.a.Send(MessageType::kBlock, Payload(whole, shared, offset, size)));
            const auto part = shared->begin() + static_cast<ptrdiff_t>(offset);
            whole.insert(whole.end(), part, part + static_cast<ptrdiff_t>(size));
            sent.push_back(std::move(whole));
        }
    }
    ASSERT_TRUE(pair.Exchange(4099));
    ASSERT_EQ(pair.b_saw.messages.size(), sent.size());
    for (size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(pair.b_saw.messages[i].second, sent[i]);
    EXPECT_EQ(pair.a.QueuedBytes(), 0u);
    EXPECT_EQ(shared.use_count(), 1) << "a sent payload is still held";
}

TEST(Connection, AUsedBufferIsWrittenOverAndGivesTheSameBytes) {
    Pair fresh, used;
    ASSERT_TRUE(fresh.Exchange() && used.Exchange());
    for (const size_t size : {size_t{10}, size_t{40'000}, size_t{100}}) {
        const Bytes payload = Pattern(size, 3);
        ASSERT_TRUE(fresh.a.Send(MessageType::kBlock, payload) && used.a.Send(MessageType::kBlock, payload));
        EXPECT_EQ(fresh.a.TakeWritable(1 << 20), used.a.TakeWritable(1 << 20, Bytes(size % 3 * 20'000, 0xee)));
    }
}

TEST(Connection, AnotherMagicHasAClearReason) {
    Pair pair(TestNetwork(1), TestNetwork(9));
    const Status status = pair.Exchange();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().message, "the peer is on another network: its magic is 01010101, ours is 09090909");
    EXPECT_FALSE(pair.b_saw.node);
}

TEST(Connection, AnotherGenesisHasAClearReason) {
    Pair pair(TestNetwork(1, 2), TestNetwork(1, 3));
    const Status status = pair.Exchange();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().message.substr(0, 69),
              "the peer has another genesis block: its hash starts with 020202020202");
}

TEST(Connection, AGenesisThatDiffersLateFailsTheHandshake) {
    NetworkId other = TestNetwork();
    other.genesis.bytes[31] ^= 1;
    Pair pair(TestNetwork(), other);
    const Status status = pair.Exchange();
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().message.find("the handshake failed"), std::string::npos);
    EXPECT_FALSE(pair.a_saw.node);
}

TEST(Connection, HigherClassesOvertakeTheFragmentsOfABlock) {
    Pair pair;
    ASSERT_TRUE(pair.Exchange());
    ASSERT_TRUE(pair.a.Send(MessageType::kContentChunk, Bytes(100)));
    ASSERT_TRUE(pair.a.Send(MessageType::kContentControl, Bytes(100)));
    ASSERT_TRUE(pair.a.Send(MessageType::kTransaction, Bytes(100)));
    ASSERT_TRUE(pair.a.Send(MessageType::kBlock, Bytes(3 * kMaxFramePayload)));
    // One fragment of the block is on its way when a vote and a header come.
    const Bytes first = pair.a.TakeWritable(1);
    EXPECT_EQ(first.size(), kMaxFrameBytes);
    ASSERT_TRUE(pair.a.Send(MessageType::kBlock, Bytes(1)));
    ASSERT_TRUE(pair.a.Send(MessageType::kHeaders, Bytes(100)));
    ASSERT_TRUE(pair.a.Send(MessageType::kVote, Bytes(100)));
    ASSERT_TRUE(pair.Feed(pair.b, first, first.size(), pair.b_saw));
    ASSERT_TRUE(pair.Exchange());
    std::vector<MessageType> order;
    for (const auto& [type, payload] : pair.b_saw.messages) order.push_back(type);
    using enum MessageType;
    EXPECT_EQ(order, (std::vector{kVote, kHeaders, kBlock, kBlock, kTransaction, kContentControl, kContentChunk}));
}

TEST(Connection, AQueueRefusesWhatIsOverItsLimitAndSaysWhenThereIsRoom) {
    Pair pair;
    ASSERT_TRUE(pair.Exchange());
    const size_t limit = Connection::QueueLimitBytes(MessageClass::kChunks);
    size_t accepted = 0;
    while (pair.a.Send(MessageType::kContentChunk, Bytes(1000))) ++accepted;
    EXPECT_EQ(accepted, limit / (1000 + Connection::kMessageOverheadBytes));
    EXPECT_LE(pair.a.QueuedBytes(MessageClass::kChunks), limit);
    EXPECT_FALSE(pair.a.TakeChunksDrained());
    EXPECT_TRUE(pair.a.Send(MessageType::kVote, Bytes(1)));  // other classes have their own room
    while (pair.a.QueuedBytes(MessageClass::kChunks) > Connection::kFewChunkBytes) {
        EXPECT_FALSE(pair.a.TakeChunksDrained());
        pair.a.TakeWritable(kMaxFrameBytes);
    }
    EXPECT_TRUE(pair.a.TakeChunksDrained());
    EXPECT_FALSE(pair.a.TakeChunksDrained());
}

// Without it whoever feeds a queue that is never long would have to ask again and again.
TEST(Connection, AShortQueueSaysThatChunksLeftToo) {
    Pair pair;
    ASSERT_TRUE(pair.Exchange());
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(pair.a.Send(MessageType::kContentChunk, Bytes(1000)));
        EXPECT_FALSE(pair.a.TakeChunksDrained());
        pair.a.TakeWritable(kMaxFrameBytes);
        EXPECT_TRUE(pair.a.TakeChunksDrained());
    }
    ASSERT_TRUE(pair.a.Send(MessageType::kVote, Bytes(1)));
    pair.a.TakeWritable(kMaxFrameBytes);
    EXPECT_FALSE(pair.a.TakeChunksDrained());
}

TEST(Connection, EveryFlippedBitIsFound) {
    for (size_t i = 0; i < 60; ++i) {
        Pair pair;
        ASSERT_TRUE(pair.Exchange());
        ASSERT_TRUE(pair.a.Send(MessageType::kVote, Bytes(41)));
        Bytes bytes = pair.a.TakeWritable(1000);
        ASSERT_EQ(bytes.size(), 41 + kFrameOverheadBytes);
        bytes[i] ^= static_cast<uint8_t>(1 << (i % 8));
        // A longer length waits for more bytes: give it plenty.
        bytes.resize(bytes.size() + 70'000);
        EXPECT_FALSE(pair.Feed(pair.b, bytes, bytes.size(), pair.b_saw)) << i;
        EXPECT_TRUE(pair.b_saw.messages.empty());
    }
}

TEST(Connection, RandomBytesNeverPassTheHandshake) {
    for (uint64_t seed = 0; seed < 200; ++seed) {
        Pair pair;
        Bytes bytes = Pattern(400, seed);
        if (seed % 2 == 1) {  // with a right greeting
            const NetworkId network = TestNetwork();
            std::copy(network.magic.begin(), network.magic.end(), bytes.begin());
            std::copy_n(network.genesis.begin(), 8, bytes.begin() + 4);
        }
        EXPECT_FALSE(pair.Feed(pair.b, bytes, 1 + seed % 50, pair.b_saw));
        EXPECT_FALSE(pair.b_saw.node);
    }
}

TEST(Connection, TimesOutWithoutAHandshake) {
    Pair pair;
    EXPECT_EQ(pair.a.NextWakeup(), pair.now + Connection::kHandshakeTimeout);
    EXPECT_TRUE(pair.a.Tick(pair.now + Connection::kHandshakeTimeout - microseconds(1)));
    EXPECT_FALSE(pair.a.Tick(pair.now + Connection::kHandshakeTimeout));
}

TEST(Connection, PingsAreAnsweredAndMeasured) {
    Pair pair;
    ASSERT_TRUE(pair.Exchange());
    ASSERT_TRUE(pair.a.Tick(pair.now));
    pair.now += milliseconds(25);
    ASSERT_TRUE(pair.Exchange());
    EXPECT_EQ(pair.a.ping(), milliseconds(25));
    EXPECT_EQ(pair.a.NextWakeup(), Instant{} + Connection::kPingInterval);
    EXPECT_FALSE(pair.b.ping());
}

TEST(Connection, SilenceAfterAPingEndsIt) {
    Pair pair;
    ASSERT_TRUE(pair.Exchange());
    ASSERT_TRUE(pair.a.Tick(pair.now));
    EXPECT_TRUE(pair.a.Tick(pair.now + Connection::kPingTimeout - microseconds(1)));
    const Status status = pair.a.Tick(pair.now + Connection::kPingTimeout);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().message, "nothing heard for 60 s after a ping");
}

TEST(Connection, NothingIsHeardAfterStop) {
    Pair pair;
    ASSERT_TRUE(pair.Exchange());
    pair.b_saw.stop = &pair.b;
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(pair.a.Send(MessageType::kVote, Bytes(1)));
    ASSERT_TRUE(pair.Exchange());
    EXPECT_EQ(pair.b_saw.messages.size(), 1u);
}

// What a peer that knows the keys could send and we never would.
class HostileFrames : public testing::Test {
  protected:
    HostileFrames() : initiator(true, AsBytes("x"), Key(1), Key(2)), responder(false, AsBytes("x"), Key(3), Key(4)) {
        EXPECT_TRUE(responder.Read(initiator.Write({})));
        EXPECT_TRUE(initiator.Read(responder.Write({})));
        EXPECT_TRUE(responder.Read(initiator.Write({})));
        send.emplace(initiator.Split().send);
        reader.emplace(responder.Split().receive);
    }
    // All of it; the first error or the count of whole messages.
    Result<size_t> Take(ByteSpan bytes) {
        size_t messages = 0;
        while (true) {
            auto frame = reader->Next(bytes);
            if (!frame) return Fail(frame.error());
            if (!*frame) return messages;
            auto message = assembler.Add(**frame);
            if (!message) return Fail(message.error());
            if (*message) ++messages;
        }
    }
    Bytes FrameOf(MessageType type, bool more, size_t size) {
        Bytes out;
        AppendFrame(*send, type, more, Bytes(size), out);
        return out;
    }

    crypto::NoiseHandshake initiator;
    crypto::NoiseHandshake responder;
    std::optional<crypto::NoiseCipher> send;
    std::optional<FrameReader> reader;
    Assembler assembler;
};

TEST_F(HostileFrames, AnUnknownTypeIsRefused) {
    EXPECT_FALSE(Take(FrameOf(static_cast<MessageType>(21), false, 1)));
    EXPECT_FALSE(IsKnownMessageType(0));
    EXPECT_TRUE(IsKnownMessageType(18));
}

TEST_F(HostileFrames, LengthsOutsideTheBoundsAreRefused) {
    for (const size_t length : {size_t{0}, size_t{16}, kMaxFrameBytes - kFrameLengthBytes + 1, size_t{65535}}) {
        FrameReader fresh(crypto::NoiseCipher(Key(9)));
        const Bytes bytes{static_cast<uint8_t>(length), static_cast<uint8_t>(length >> 8)};
        ByteSpan input = bytes;
        const auto frame = fresh.Next(input);
        ASSERT_FALSE(frame);
        EXPECT_NE(frame.error().message.find("frame length"), std::string::npos);
    }
}

TEST_F(HostileFrames, AMessageOverItsTypesLimitIsRefusedBeforeItIsStored) {
    EXPECT_TRUE(Take(FrameOf(MessageType::kVote, false, kMaxVoteBytes)));
    EXPECT_FALSE(Take(FrameOf(MessageType::kVote, false, kMaxVoteBytes + 1)));
}

TEST_F(HostileFrames, EndlessFragmentsStopAtTheLimit) {
    const size_t fit = MaxPayloadBytes(MessageType::kBlock) / kMaxFramePayload;
    for (size_t i = 0; i < fit; ++i) ASSERT_EQ(Take(FrameOf(MessageType::kBlock, true, kMaxFramePayload)), size_t{0});
    EXPECT_FALSE(Take(FrameOf(MessageType::kBlock, true, kMaxFramePayload)));
    EXPECT_LE(assembler.buffered_bytes(), 2 * MaxPayloadBytes(MessageType::kBlock));
}

TEST_F(HostileFrames, FragmentsThatAreNotFullAreRefused) {
    EXPECT_FALSE(Take(FrameOf(MessageType::kBlock, true, kMaxFramePayload - 1)));
}

TEST_F(HostileFrames, AnEmptyLastFragmentIsRefused) {
    ASSERT_TRUE(Take(FrameOf(MessageType::kBlock, true, kMaxFramePayload)));
    EXPECT_FALSE(Take(FrameOf(MessageType::kBlock, false, 0)));
}

TEST_F(HostileFrames, AnotherMessageOfTheClassInsideOneIsRefused) {
    ASSERT_TRUE(Take(FrameOf(MessageType::kHeaders, true, kMaxFramePayload)));
    ASSERT_EQ(Take(FrameOf(MessageType::kVote, false, 1)), size_t{1});
    EXPECT_FALSE(Take(FrameOf(MessageType::kGetHeaders, false, 1)));
}

TEST_F(HostileFrames, AReplayedFrameIsRefused) {
    const Bytes frame = FrameOf(MessageType::kVote, false, 10);
    ASSERT_EQ(Take(frame), size_t{1});
    EXPECT_FALSE(Take(frame));
}

TEST(Message, EveryTypeFitsItsLimitExactly) {
    GetHeaders locator;
    locator.locator.resize(kMaxLocatorHashes);
    EXPECT_LE(Encode(locator).size(), MaxPayloadBytes(MessageType::kGetHeaders));
    Headers headers;
    headers.headers.resize(kMaxHeadersPerMessage);
    EXPECT_EQ(Encode(headers).size(), MaxPayloadBytes(MessageType::kHeaders));
    Wtxids wtxids;
    wtxids.hashes.resize(kMaxTransactionsPerMessage);
    EXPECT_EQ(Encode(wtxids).size(), MaxPayloadBytes(MessageType::kTxInventory));
    Addresses addresses;
    addresses.entries.resize(kMaxAddressesPerMessage);
    EXPECT_EQ(Encode(addresses).size(), MaxPayloadBytes(MessageType::kAddresses));
    headers.headers.emplace_back();
    Writer writer;
    writer.CompactSize(headers.headers.size());
    for (const BlockHeader& header : headers.headers) writer(header);
    EXPECT_FALSE(Decode<Headers>(writer.bytes()));
}

}  // namespace
}  // namespace sluice::p2p
