#include "crypto/noise.h"

#include <gtest/gtest.h>

#include "crypto/vectors.h"

namespace sluice::crypto {
namespace {

const std::string kInitiatorStatic = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1";
const std::string kInitiatorEphemeral = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
const std::string kResponderStatic = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
const std::string kResponderEphemeral = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";

Bytes Encrypt(NoiseCipher& cipher, ByteSpan plaintext, ByteSpan additional = {}) {
    Bytes sealed(plaintext.size() + kAeadTagBytes);
    cipher.Encrypt(additional, plaintext, sealed);
    return sealed;
}

std::optional<Bytes> Decrypt(NoiseCipher& cipher, ByteSpan sealed, ByteSpan additional = {}) {
    Bytes plaintext(sealed.size() - kAeadTagBytes);
    if (!cipher.Decrypt(additional, sealed, plaintext)) return std::nullopt;
    return plaintext;
}

// Both ends of one connection.
struct Ends {
    explicit Ends(const std::string& initiator_prologue = "p", const std::string& responder_prologue = "p")
        : initiator(true, AsBytes(initiator_prologue), SecretFromHex(kInitiatorStatic),
                    SecretFromHex(kInitiatorEphemeral)),
          responder(false, AsBytes(responder_prologue), SecretFromHex(kResponderStatic),
                    SecretFromHex(kResponderEphemeral)) {}

    NoiseHandshake& WriterOf(int message) { return message % 2 == 0 ? initiator : responder; }
    NoiseHandshake& ReaderOf(int message) { return message % 2 == 0 ? responder : initiator; }
    // Passes the first `count` messages, with their number as payload.
    void Pass(int count) {
        for (int i = 0; i < count; ++i) {
            const Bytes payload(1, static_cast<uint8_t>(i));
            ASSERT_EQ(ReaderOf(i).Read(WriterOf(i).Write(payload)), payload);
        }
    }

    NoiseHandshake initiator, responder;
};

TEST(Noise, EveryMessageAndTheHandshakeHashMatchThePublishedVector) {
    const auto vectors = LoadVectors("noise_xx.json");
    ASSERT_EQ(vectors.size(), 1u);
    const auto& vector = vectors[0];
    NoiseHandshake initiator(true, Hex(vector["prologue"]), SecretFromHex(vector["initiator_static"]),
                             SecretFromHex(vector["initiator_ephemeral"]));
    NoiseHandshake responder(false, Hex(vector["prologue"]), SecretFromHex(vector["responder_static"]),
                             SecretFromHex(vector["responder_ephemeral"]));
    const auto& messages = vector["messages"];
    ASSERT_EQ(messages.size(), 6u);
    for (size_t i = 0; i < 3; ++i) {
        NoiseHandshake& writer = i % 2 == 0 ? initiator : responder;
        NoiseHandshake& reader = i % 2 == 0 ? responder : initiator;
        EXPECT_TRUE(writer.OurTurn());
        EXPECT_FALSE(reader.OurTurn());
        EXPECT_FALSE(writer.Done());
        const Bytes payload = Hex(messages[i][0]);
        EXPECT_EQ(reader.NextReadBytes(payload.size()), Hex(messages[i][1]).size());
        const Bytes message = writer.Write(payload);
        EXPECT_EQ(HexEncode(message), messages[i][1]);
        EXPECT_EQ(reader.Read(message), payload);
    }
    ASSERT_TRUE(initiator.Done() && responder.Done());
    EXPECT_FALSE(initiator.OurTurn() || responder.OurTurn());
    EXPECT_EQ(initiator.handshake_hash().Hex(), vector["handshake_hash"]);
    EXPECT_EQ(responder.handshake_hash().Hex(), vector["handshake_hash"]);
    EXPECT_EQ(initiator.remote_static(), X25519Public(SecretFromHex(vector["responder_static"])));
    EXPECT_EQ(responder.remote_static(), X25519Public(SecretFromHex(vector["initiator_static"])));

    auto initiator_ciphers = initiator.Split(), responder_ciphers = responder.Split();
    for (size_t i = 3; i < messages.size(); ++i) {
        auto& writer = i % 2 == 0 ? initiator_ciphers : responder_ciphers;
        auto& reader = i % 2 == 0 ? responder_ciphers : initiator_ciphers;
        const Bytes payload = Hex(messages[i][0]);
        const Bytes sealed = Encrypt(writer.send, payload);
        EXPECT_EQ(HexEncode(sealed), messages[i][1]);
        EXPECT_EQ(Decrypt(reader.receive, sealed), payload);
    }
    EXPECT_EQ(responder_ciphers.send.messages(), 2u);
    EXPECT_EQ(initiator_ciphers.send.messages(), 1u);
}

TEST(Noise, AnyChangedByteEndsTheHandshakeByItsLastMessage) {
    // Message 0 carries no tag of its own: a change of it shows in message 1.
    for (int changed = 0; changed < 3; ++changed) {
        Ends probe;
        probe.Pass(changed);
        const size_t size = probe.WriterOf(changed).Write({}).size();
        for (size_t i = 0; i < size; ++i) {
            Ends ends;
            ends.Pass(changed);
            Bytes message = ends.WriterOf(changed).Write({});
            message[i] ^= 0x80;
            auto payload = ends.ReaderOf(changed).Read(message);
            if (changed == 0 && payload) payload = ends.ReaderOf(1).Read(ends.WriterOf(1).Write({}));
            EXPECT_FALSE(payload) << "message " << changed << " byte " << i;
        }
    }
}

TEST(Noise, TruncatedMessagesEndTheHandshake) {
    for (int cut = 0; cut < 3; ++cut) {
        Ends probe;
        probe.Pass(cut);
        const size_t size = probe.WriterOf(cut).Write({}).size();
        EXPECT_EQ(probe.ReaderOf(cut).NextReadBytes(0), size);
        for (size_t length = 0; length < size; ++length) {
            Ends ends;
            ends.Pass(cut);
            const Bytes message = ends.WriterOf(cut).Write({});
            NoiseHandshake& reader = ends.ReaderOf(cut);
            EXPECT_FALSE(reader.Read(ByteSpan(message).first(length))) << cut << " " << length;
            // It is over, also for the message as it should have been.
            EXPECT_FALSE(reader.Read(message));
            EXPECT_FALSE(reader.OurTurn() || reader.Done());
        }
    }
}

TEST(Noise, MessagesBeyondTheLimitAreRefusedAndThoseAtItPass) {
    Ends at;
    const Bytes largest = at.initiator.Write(Bytes(kNoiseMaxMessageBytes - 32));
    EXPECT_EQ(largest.size(), kNoiseMaxMessageBytes);
    EXPECT_TRUE(at.responder.Read(largest));
    Ends beyond;
    Bytes too_large = beyond.initiator.Write(Bytes(kNoiseMaxMessageBytes - 32));
    too_large.push_back(0);
    EXPECT_FALSE(beyond.responder.Read(too_large));
}

TEST(Noise, EphemeralKeysOfSmallOrderEndTheHandshakeWhenTheyAreRead) {
    const std::string small_order[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    for (const std::string& key : small_order) {
        const Bytes bytes = Hex(key);
        Ends first;
        EXPECT_FALSE(first.responder.Read(bytes)) << key;
        EXPECT_FALSE(first.responder.OurTurn());
        Ends second;
        second.Pass(1);
        Bytes message = second.responder.Write({});
        std::copy(bytes.begin(), bytes.end(), message.begin());
        EXPECT_FALSE(second.initiator.Read(message)) << key;
        EXPECT_FALSE(second.initiator.OurTurn());
    }
}

TEST(Noise, AnotherPrologueEndsTheHandshake) {
    Ends ends("main network", "test network");
    ASSERT_TRUE(ends.responder.Read(ends.initiator.Write({})));
    EXPECT_FALSE(ends.initiator.Read(ends.responder.Write({})));
}

TEST(Noise, AMessageOutOfTurnEndsTheHandshake) {
    Ends ends;
    const Bytes message = ends.initiator.Write({});
    ASSERT_TRUE(ends.responder.Read(message));
    EXPECT_FALSE(ends.responder.Read(message));
    EXPECT_FALSE(ends.responder.OurTurn());
    Ends done;
    done.Pass(3);
    EXPECT_FALSE(done.responder.Read(message));
}

TEST(Noise, ReplayedReorderedAndChangedTransportMessagesAreRefused) {
    Ends ends;
    ends.Pass(3);
    auto sender = ends.initiator.Split().send;
    auto receiver = ends.responder.Split().receive;
    const Bytes first = Encrypt(sender, AsBytes("one")), second = Encrypt(sender, AsBytes("two"));
    EXPECT_FALSE(Decrypt(receiver, second));
    EXPECT_EQ(receiver.messages(), 0u);
    EXPECT_FALSE(Decrypt(receiver, first, AsBytes("additional")));
    Bytes changed = first;
    changed.back() ^= 1;
    EXPECT_FALSE(Decrypt(receiver, changed));
    EXPECT_TRUE(Decrypt(receiver, first));
    EXPECT_FALSE(Decrypt(receiver, first));
    EXPECT_TRUE(Decrypt(receiver, second));
    EXPECT_EQ(receiver.messages(), 2u);
}

TEST(Noise, TheTwoDirectionsUseDifferentKeys) {
    Ends ends;
    ends.Pass(3);
    auto initiator = ends.initiator.Split();
    EXPECT_NE(Encrypt(initiator.send, AsBytes("same")), Encrypt(initiator.receive, AsBytes("same")));
}

TEST(Noise, AHandshakeMovesWithItsState) {
    Ends ends;
    ends.Pass(1);
    NoiseHandshake moved = std::move(ends.responder);
    EXPECT_TRUE(moved.OurTurn());
    EXPECT_TRUE(ends.initiator.Read(moved.Write({})));
}

}  // namespace
}  // namespace sluice::crypto
