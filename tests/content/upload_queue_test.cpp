#include "swarm_net.h"

// The order in which a seeder reads what one peer asked for, looked at from outside: its actions.

namespace sluice::content::testing {
namespace {

constexpr PeerId kPeer{1};

// A seeder of 32 free chunks and one peer, whose queue holds a chunk: the second waits until the first has been sent.
struct Seeder {
    Seeder() {
        SwarmConfig config;
        config.params = NetParams();
        swarm.emplace(std::move(config), random);
        swarm->AddContent(content.id, content.All(), Amount(0));
        swarm->OnPeerConnected(kPeer, NodeId{}, 1, now);
    }
    void Ask(RequestOrder order, const std::vector<uint32_t>& chunks) {
        RequestChunks request{content.id, order, {}};
        for (const uint32_t chunk : chunks) request.chunks.push_back({ChunkIndex(chunk), kAllLeaves});
        swarm->OnMessage(kPeer, EncodeContentMessage(request), now);
        Take();
    }
    // The chunks that are read until nothing waits, each sent at once.
    std::vector<uint32_t> Drain() {
        std::vector<uint32_t> order;
        while (!reads.empty()) {
            const ReadChunk read = reads.front();
            reads.pop_front();
            order.push_back(read.chunk.value);
            const ByteSpan bytes = content.Chunk(read.chunk);
            swarm->OnChunkRead(read.request, std::make_shared<const Bytes>(bytes.begin(), bytes.end()), now);
            Take();
            swarm->OnPeerDrained(kPeer, 0, now);
            Take();
        }
        return order;
    }

    TestContent content{32 * kChunkBytes};
    SeededRandom random{1};
    Instant now{seconds(1)};
    std::optional<Swarm> swarm;
    std::deque<ReadChunk> reads;
    std::vector<ContentMessage> sent;

  private:
    void Take() {
        for (const SwarmAction& action : swarm->TakeActions()) {
            if (const auto* read = std::get_if<ReadChunk>(&action)) reads.push_back(*read);
            if (const auto* control = std::get_if<SendControl>(&action))
                sent.push_back(DecodeContentMessage(control->payload).value());
        }
    }
};

using Order = std::vector<uint32_t>;

TEST(UploadQueue, TheOnlyOneThatWaitsMayBeHurried) {
    Seeder seeder;
    seeder.Ask(RequestOrder::kQueue, {0, 7});
    seeder.Ask(RequestOrder::kHurry, {7});
    EXPECT_EQ(seeder.Drain(), (Order{0, 7}));
    EXPECT_TRUE(seeder.sent.empty()) << "nothing is refused";
}

TEST(UploadQueue, WhatIsHurriedGoesBehindWhatIsUrgentAndBeforeTheRest) {
    for (const auto& [hurried, expected] : std::vector<std::pair<Order, Order>>{
             {{1}, {0, 1, 2, 3, 4}},
             {{2}, {0, 2, 1, 3, 4}},
             {{4}, {0, 4, 1, 2, 3}},
             {{4, 1}, {0, 4, 1, 2, 3}},
             {{1, 2, 3, 4}, {0, 1, 2, 3, 4}},
             {{4, 3, 2, 1}, {0, 4, 3, 2, 1}},
             {{9}, {0, 1, 2, 3, 4}},
             {{3, 3}, {0, 3, 1, 2, 4}},
         }) {
        Seeder seeder;
        seeder.Ask(RequestOrder::kQueue, {0, 1, 2, 3, 4});
        seeder.Ask(RequestOrder::kHurry, hurried);
        EXPECT_EQ(seeder.Drain(), expected) << "hurried first: " << hurried.front();
        EXPECT_TRUE(seeder.sent.empty()) << "nothing is refused";
    }
}

TEST(UploadQueue, UrgentOnesComeInTheirOwnOrder) {
    Seeder seeder;
    seeder.Ask(RequestOrder::kQueue, {0, 1, 2});
    seeder.Ask(RequestOrder::kUrgent, {9, 8});
    seeder.Ask(RequestOrder::kHurry, {2});
    seeder.Ask(RequestOrder::kUrgent, {7});
    EXPECT_EQ(seeder.Drain(), (Order{0, 9, 8, 2, 7, 1}));
}

// [A seeder that answers every request as taken back, which nobody did.]
TEST(Refusals, WhoSaysTakenBackOfWhatWasNotIsLeftAloneForAWhile) {
    const TestContent content(8 * kChunkBytes);
    SeededRandom random(1);
    SwarmConfig config;
    config.params = NetParams();
    Swarm swarm(std::move(config), random);
    Instant now{seconds(1)};
    size_t requests = 0;
    std::vector<ChunkIndex> asked;
    const auto take = [&] {
        for (const SwarmAction& action : swarm.TakeActions()) {
            const auto* control = std::get_if<SendControl>(&action);
            const auto message = control ? DecodeContentMessage(control->payload).value() : ContentMessage(Choke{});
            const auto* request = std::get_if<RequestChunks>(&message);
            if (request == nullptr) continue;
            ++requests;
            for (const LeafRequest& one : request->chunks) asked.push_back(one.chunk);
        }
    };
    const auto refuse_all = [&] {
        for (const ChunkIndex chunk : std::exchange(asked, {})) {
            swarm.OnMessage(kPeer, EncodeContentMessage(Refuse{content.id, chunk, RefuseReason::kTakenBack}), now);
            take();
        }
    };
    swarm.OnPeerConnected(kPeer, NodeId{}, 1, now);
    ASSERT_TRUE(swarm.StartDownload(content.id, content.None(), {}, Amount(0), now));
    Have have;
    have.content = content.id;
    have.all = true;
    swarm.OnMessage(kPeer, EncodeContentMessage(have), now);
    take();
    ASSERT_GT(asked.size(), 0u);
    const size_t before = requests;
    for (int i = 0; i < 100; ++i) refuse_all();
    EXPECT_LE(requests, before + 1);
    EXPECT_TRUE(asked.empty());
    now += seconds(3);
    swarm.Tick(now);
    take();
    EXPECT_FALSE(asked.empty()) << "later it is asked again";
}

}  // namespace
}  // namespace sluice::content::testing
