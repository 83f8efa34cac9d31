#include "content/messages.h"

#include <gtest/gtest.h>

#include "util/random.h"

namespace sluice::content {
namespace {

const ContentId kContent{ContentRoot{{1, 2, 3}}, 10 * kChunkBytes + 17};

std::vector<Bytes> Examples() {
    return {
        EncodeContentMessage(HaveQuery{kContent}),
        EncodeContentMessage(Have{kContent, Amount(7), true, {}, {}}),
        EncodeContentMessage(Have{kContent, Amount(0), false, ChunkIndex(0), Bytes{0xff, 0x07}}),
        EncodeContentMessage(HaveUpdate{kContent, ChunkIndex(10)}),
        EncodeContentMessage(GetHashes{kContent, {ChunkIndex(0), 16}}),
        EncodeContentMessage(Hashes{kContent, {ChunkIndex(0), 16}, {std::vector<Hash256>(11), {}}}),
        EncodeContentMessage(
            RequestChunks{kContent, RequestOrder::kUrgent, {{ChunkIndex(3), kAllLeaves}, {ChunkIndex(4), 1}}}),
        EncodeContentMessage(ChunkLeafHashes{kContent, ChunkIndex(10), std::vector<Hash256>(1)}),
        EncodeLeaf(kContent, ChunkIndex(10), 0, Bytes(17)),
        EncodeLeaf(kContent, ChunkIndex(9), 15, Bytes(kLeafBytes)),
        EncodeContentMessage(CancelChunks{kContent, {ChunkIndex(3)}}),
        EncodeContentMessage(Refuse{kContent, ChunkIndex(3), RefuseReason::kNoCredit}),
        EncodeContentMessage(TermsRequest{kContent}),
        EncodeContentMessage(ChannelTerms{kContent, {}, {}, Amount(1), Amount(2), 3}),
        EncodeContentMessage(ChannelOpen{{}, {}, {}, {}, Height(9), Amount(1'000), Script(34), {}}),
        EncodeContentMessage(ChannelAccept{{}, true, false, Amount(9), SchnorrSignature{}, 1, 2}),
        EncodeContentMessage(ChannelReject{{}, ChannelRejectReason::kTooMany}),
        EncodeContentMessage(Voucher{{}, Amount(330), {}}),
        EncodeContentMessage(ChannelClosed{}),
        EncodeContentMessage(GetLeafHashes{kContent, ChunkIndex(10)}),
        EncodeContentMessage(Choke{}),
        EncodeContentMessage(Unchoke{}),
        EncodeContentMessage(Bid{{{}, 600'000}, 3, Amount(2'000)}),
        EncodeContentMessage(Counter{{{}, 600'000}, 1, Amount(3'000), true}),
        EncodeContentMessage(UseChannel{}),
    };
}

TEST(ContentMessages, EveryMessageComesBackAsItWas) {
    for (const Bytes& bytes : Examples()) {
        const auto message = DecodeContentMessage(bytes);
        ASSERT_TRUE(message) << int{bytes[0]} << ": " << message.error().message;
        const Bytes again = std::visit(
            [](const auto& m) {
                if constexpr (std::is_same_v<std::decay_t<decltype(m)>, Leaf>) {
                    return EncodeLeaf(m.content, m.chunk, m.leaf, m.bytes);
                } else {
                    return EncodeContentMessage(m);
                }
            },
            *message);
        EXPECT_EQ(again, bytes);
    }
}

TEST(ContentMessages, CutOffOrLongerPayloadsAreRefused) {
    for (const Bytes& bytes : Examples()) {
        for (size_t size = 0; size < std::min<size_t>(bytes.size(), 200); ++size)
            EXPECT_FALSE(DecodeContentMessage(ByteSpan(bytes).first(size)));
        Bytes longer = bytes;
        longer.push_back(0);
        EXPECT_FALSE(DecodeContentMessage(longer));
    }
}

TEST(ContentMessages, LimitsAreKeptOnBothSides) {
    std::vector<LeafRequest> most(kMaxRequestedChunks, {ChunkIndex(1), 1});
    EXPECT_TRUE(DecodeContentMessage(EncodeContentMessage(RequestChunks{kContent, {}, most})));
    Writer more;
    more(ContentMessageType::kRequestChunks, kContent, RequestOrder::kQueue);
    more.CompactSize(kMaxRequestedChunks + 1);
    for (size_t i = 0; i <= kMaxRequestedChunks; ++i) more(LeafRequest{ChunkIndex(1), 1});
    EXPECT_FALSE(DecodeContentMessage(more.bytes()));
    const ContentId large{{}, uint64_t{kChunkBytes} * 100'000};
    EXPECT_LE(EncodeContentMessage(Have{large, {}, false, {}, Bytes(kMaxHaveBitmapBytes)}).size(),
              kMaxControlPayloadBytes);
    EXPECT_LE(
        EncodeContentMessage(Hashes{large, {ChunkIndex(0), 256}, {std::vector<Hash256>(256), std::vector<Hash256>(32)}})
            .size(),
        kMaxControlPayloadBytes);
    EXPECT_LE(EncodeLeaf(large, ChunkIndex(0), 0, Bytes(kLeafBytes)).size(), kMaxLeafPayloadBytes);
}

TEST(ContentMessages, WhatLiesOutsideTheContentIsRefused) {
    const std::vector<Bytes> bad{
        EncodeContentMessage(HaveQuery{{{}, 0}}),
        EncodeContentMessage(HaveQuery{{{}, kMaxContentBytes + 1}}),
        EncodeContentMessage(HaveUpdate{kContent, ChunkIndex(11)}),
        EncodeContentMessage(Have{kContent, {}, false, ChunkIndex(0), Bytes{0xff, 0x0f}}),
        EncodeContentMessage(Have{kContent, {}, false, ChunkIndex(0), Bytes(3)}),
        EncodeContentMessage(Have{kContent, {}, true, ChunkIndex(0), Bytes(1)}),
        EncodeContentMessage(Have{kContent, Amount(kMaxSupply.drops + 1), true, {}, {}}),
        EncodeContentMessage(GetHashes{kContent, {ChunkIndex(1), 2}}),
        EncodeContentMessage(GetHashes{{{}, uint64_t{kChunkBytes} * 2'000}, {ChunkIndex(0), 512}}),
        EncodeContentMessage(RequestChunks{kContent, {}, {{ChunkIndex(11), 1}}}),
        EncodeContentMessage(RequestChunks{kContent, {}, {{ChunkIndex(1), 0}}}),
        EncodeContentMessage(RequestChunks{kContent, static_cast<RequestOrder>(3), {{ChunkIndex(1), 1}}}),
        EncodeContentMessage(GetLeafHashes{kContent, ChunkIndex(11)}),
        EncodeContentMessage(ChunkLeafHashes{kContent, ChunkIndex(10), std::vector<Hash256>(2)}),
        EncodeLeaf(kContent, ChunkIndex(10), 0, Bytes(16)),
        EncodeLeaf(kContent, ChunkIndex(10), 1, Bytes(17)),
        EncodeLeaf(kContent, ChunkIndex(9), 16, Bytes(kLeafBytes)),
        EncodeContentMessage(Refuse{kContent, ChunkIndex(1), static_cast<RefuseReason>(8)}),
        EncodeContentMessage(ChannelReject{{}, static_cast<ChannelRejectReason>(0)}),
        Bytes{21},
        Bytes{0},
        Bytes{},
    };
    for (size_t i = 0; i < bad.size(); ++i) EXPECT_FALSE(DecodeContentMessage(bad[i])) << i;
}

TEST(ContentMessages, RandomPayloadsAreRefusedOrCanonical) {
    SeededRandom random(11);
    for (int i = 0; i < 20'000; ++i) {
        Bytes bytes(random.Below(300));
        random.Fill(bytes);
        if (!bytes.empty()) bytes[0] = static_cast<uint8_t>(random.Below(29));
        const auto message = DecodeContentMessage(bytes);
        if (!message) continue;
        std::visit(
            [&](const auto& m) {
                if constexpr (!std::is_same_v<std::decay_t<decltype(m)>, Leaf>) {
                    EXPECT_EQ(EncodeContentMessage(m), bytes);
                }
            },
            *message);
    }
}

}  // namespace
}  // namespace sluice::content
