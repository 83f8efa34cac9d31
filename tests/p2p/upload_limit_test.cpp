#include "p2p/upload_limit.h"

#include <gtest/gtest.h>

#include "p2p/memory_network.h"
#include "p2p/peer_manager.h"

namespace sluice::p2p {
namespace {

BandwidthSchedule Kib(const std::string& text) { return *BandwidthSchedule::Parse({text}); }
constexpr PeerId kA(1), kB(2), kC(3);

class UploadLimitTest : public testing::Test {
  protected:
    // Lets those that wait send for `time`, each with frames of `frame_bytes` without end; the bytes of each.
    std::map<PeerId, size_t> Run(milliseconds time, size_t frame_bytes = 16'000) {
        std::map<PeerId, size_t> sent;
        const Instant end = now + time;
        while (now < end) {
            while (const auto turn = limit.Next(now)) {
                size_t bytes = 0;
                while (bytes < turn->bytes) bytes += frame_bytes;
                limit.Sent(turn->peer, bytes, now);
                sent[turn->peer] += bytes;
            }
            const auto next = limit.NextAt(now);
            now = std::min(end, next ? std::max(*next, now + microseconds(1)) : end);
        }
        return sent;
    }
    Instant now{seconds(100)};
    UploadLimit limit;
};

TEST_F(UploadLimitTest, WithoutALimitNobodyHasToWait) {
    limit.Update(0, now);
    EXPECT_FALSE(limit.IsLimiting());
    limit.Set(Kib("0"), Kib("0@08:00-09:00"));
    limit.Update(480, now);
    EXPECT_FALSE(limit.IsLimiting());
}

TEST_F(UploadLimitTest, TheRateHoldsOverTimeWithAnEighthOfASecondAtOnce) {
    limit.Set(Kib("1000"), {});
    limit.Update(0, now);
    limit.Wait(kA);
    const size_t sent = Run(seconds(10))[kA];
    EXPECT_GE(sent, 10u * 1000 * 1024);
    EXPECT_LE(sent, 10u * 1000 * 1024 + 128'000 + 64'000 + 16'000);
}

TEST_F(UploadLimitTest, ARateBelowAFrameASecondHoldsOnAverage) {
    limit.Set(Kib("1"), {});
    limit.Update(0, now);
    limit.Wait(kA);
    const size_t sent = Run(seconds(1600))[kA];
    EXPECT_GE(sent, 1600u * 1024);
    EXPECT_LE(sent, 1600u * 1024 + 16'000 + 128);
}

TEST_F(UploadLimitTest, ADebtIsPaidToTheMicrosecondBeforeTheNextTurn) {
    limit.Set(Kib("1"), {});  // 1,024 bytes a second
    limit.Update(0, now);
    limit.Wait(kA);
    ASSERT_TRUE(limit.Next(now));
    limit.Sent(kA, 128 + 1024, now);  // all of the burst, and a second's worth
    EXPECT_EQ(limit.NextAt(now), now + seconds(1));
    EXPECT_FALSE(limit.Next(now + seconds(1) - microseconds(1)));
    EXPECT_TRUE(limit.Next(now + seconds(1)));
}

TEST_F(UploadLimitTest, PeersTakeTurnsWithEqualShares) {
    limit.Set(Kib("500"), {});
    limit.Update(0, now);
    for (const PeerId peer : {kA, kB, kC}) limit.Wait(peer);
    const auto sent = Run(seconds(30));
    for (const PeerId peer : {kA, kB, kC}) {
        EXPECT_GE(sent.at(peer), 30u * 500 * 1024 / 3 - 64'000);
        EXPECT_LE(sent.at(peer), 30u * 500 * 1024 / 3 + 128'000);
    }
}

TEST_F(UploadLimitTest, EachPeerHasItsOwnLimitUnderTheCommonOne) {
    limit.Set(Kib("300"), Kib("200"));
    limit.Update(0, now);
    limit.Wait(kA);
    const size_t alone = Run(seconds(20))[kA];
    EXPECT_LE(alone, 20u * 200 * 1024 + 64'000);
    EXPECT_GE(alone, 20u * 200 * 1024 - 1);
    limit.Wait(kB);
    const auto both = Run(seconds(20));
    EXPECT_LE(both.at(kA) + both.at(kB), 20u * 300 * 1024 + 128'000);
    EXPECT_GE(both.at(kA) + both.at(kB), 20u * 300 * 1024 - 64'000);
}

TEST_F(UploadLimitTest, APeerInDebtDoesNotKeepTheOthersFromTheirTurn) {
    limit.Set({}, Kib("100"));
    limit.Update(0, now);
    limit.Wait(kA);
    limit.Wait(kB);
    limit.Sent(kA, 10'000'000, now);
    EXPECT_EQ(limit.Next(now)->peer, kB);
    limit.Leave(kB);
    EXPECT_FALSE(limit.Next(now));
    limit.Leave(kA, true);
    limit.Wait(kA);
    EXPECT_TRUE(limit.Next(now)) << "another peer of the same number starts without debt";
}

TEST_F(UploadLimitTest, TheHoursOfAScheduleBeginAndEndToTheMinute) {
    limit.Set(Kib("100@08:00-18:00"), {});
    for (const auto& [minute, limiting] :
         std::map<MinuteOfDay, bool>{{479, false}, {480, true}, {1079, true}, {1080, false}}) {
        limit.Update(minute, now);
        EXPECT_EQ(limit.IsLimiting(), limiting) << minute;
    }
}

TEST_F(UploadLimitTest, TheSameRateAgainKeepsTheDebt) {
    limit.Set(Kib("1"), {});
    limit.Update(0, now);
    limit.Wait(kA);
    limit.Sent(kA, 100'000, now);
    limit.Update(1, now);
    EXPECT_FALSE(limit.Next(now));
    limit.Set(Kib("2"), {});
    limit.Update(1, now);
    EXPECT_TRUE(limit.Next(now));
}

// ---- in the manager

struct Counter : PeerEvents {
    void OnPeerReady(PeerId peer, const PeerInfo&) override { ready.push_back(peer); }
    void OnPeerGone(PeerId, const std::string&) override {}
    void OnMessage(PeerId, MessageType type, ByteSpan payload) override {
        bytes[type] += payload.size();
        order.push_back(type);
    }
    void OnChunksDrained(PeerId) override { ++drained; }
    std::vector<PeerId> ready;
    std::map<MessageType, size_t> bytes;
    std::vector<MessageType> order;
    size_t drained{0};
};

class LimitedManagerTest : public testing::Test {
  protected:
    struct Node {
        Node(LimitedManagerTest& test, uint8_t number)
            : network(test.internet, Endpoint::Ipv4(8, number, 8, number, 9000)), random(number) {
            PeerManagerConfig config;
            config.node_key = crypto::X25519SecretKey();
            random.Fill(config.node_key.span());
            config.minute_of_day = [&test](UnixMillis) { return test.minute; };
            manager = std::make_unique<PeerManager>(network, test.clock, random, std::move(config), events);
            EXPECT_TRUE(manager->Listen(Endpoint::Ipv4(8, number, 8, number, 9000)));
        }
        MemoryInternet::Node network;
        SeededRandom random;
        Counter events;
        std::unique_ptr<PeerManager> manager;
    };
    void SetUp() override {
        for (Node* buyer : {&one, &two}) {
            ASSERT_TRUE(buyer->manager->ConnectOnce(Endpoint::Ipv4(8, 1, 8, 1, 9000)));
            ASSERT_TRUE(internet.Deliver());
        }
        ASSERT_EQ(seeder.events.ready.size(), 2u);
    }
    void SendLeaves(PeerId peer, size_t count) {
        for (size_t i = 0; i < count; ++i)
            ASSERT_TRUE(seeder.manager->Send(peer, MessageType::kContentChunk, Bytes(kMaxContentChunkBytes)));
    }
    void Run(milliseconds time) {
        for (milliseconds step{0}; step < time; step += milliseconds(10)) {
            clock.Advance(milliseconds(10));
            seeder.manager->Tick();
            ASSERT_TRUE(internet.Deliver());
        }
    }
    size_t Got(const Node& buyer) { return const_cast<Node&>(buyer).events.bytes[MessageType::kContentChunk]; }

    ManualClock clock;
    MinuteOfDay minute{0};
    MemoryInternet internet;
    Node seeder{*this, 1}, one{*this, 2}, two{*this, 3};
};

TEST_F(LimitedManagerTest, ChunksLeaveAtTheLimitAndNotFaster) {
    seeder.manager->SetUploadLimits(Kib("100"), {});
    SendLeaves(seeder.events.ready[0], 60);
    Run(seconds(5));
    EXPECT_GE(Got(one), 5u * 100 * 1024 - kMaxContentChunkBytes);
    EXPECT_LE(Got(one), 5u * 100 * 1024 + 12'800 + 2 * kMaxContentChunkBytes);
    Run(seconds(10));
    EXPECT_EQ(Got(one), 60 * kMaxContentChunkBytes);
    EXPECT_GT(seeder.events.drained, 0u) << "the queue told that it has room again";
}

TEST_F(LimitedManagerTest, OtherClassesAreNeverDelayedByTheLimit) {
    seeder.manager->SetUploadLimits(Kib("1"), Kib("1"));
    const PeerId peer = seeder.events.ready[0];
    SendLeaves(peer, 10);
    ASSERT_TRUE(internet.Deliver());
    one.events.order.clear();
    for (const MessageType type : {MessageType::kContentControl, MessageType::kTransaction, MessageType::kBlock,
                                   MessageType::kHeaders, MessageType::kVote})
        ASSERT_TRUE(seeder.manager->Send(peer, type, Bytes(1000)));
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(one.events.order.size(), 5u) << "all of them, without any time passing";
    EXPECT_LE(Got(one), 2 * kMaxContentChunkBytes);
}

TEST_F(LimitedManagerTest, TwoPeersShareTheLimit) {
    seeder.manager->SetUploadLimits(Kib("200"), {});
    for (const PeerId peer : seeder.events.ready) SendLeaves(peer, 60);
    Run(seconds(6));
    EXPECT_NEAR(static_cast<double>(Got(one)), 6.0 * 100 * 1024, 3.0 * kMaxContentChunkBytes);
    EXPECT_NEAR(static_cast<double>(Got(two)), 6.0 * 100 * 1024, 3.0 * kMaxContentChunkBytes);
}

TEST_F(LimitedManagerTest, TheLimitOfEachPeerHoldsBesideTheCommonOne) {
    seeder.manager->SetUploadLimits({}, Kib("50"));
    for (const PeerId peer : seeder.events.ready) SendLeaves(peer, 60);
    Run(seconds(6));
    for (const Node* buyer : {&one, &two})
        EXPECT_NEAR(static_cast<double>(Got(*buyer)), 6.0 * 50 * 1024, 2.0 * kMaxContentChunkBytes);
}

TEST_F(LimitedManagerTest, WhenTheHoursEndWhatWaitedLeavesAtOnce) {
    seeder.manager->SetUploadLimits(Kib("1@08:00-18:00"), {});
    minute = 1079;
    Run(milliseconds(10));
    SendLeaves(seeder.events.ready[0], 60);
    Run(seconds(1));
    EXPECT_LE(Got(one), 2 * kMaxContentChunkBytes);
    minute = 1080;
    Run(milliseconds(10));
    EXPECT_EQ(Got(one), 60 * kMaxContentChunkBytes);
}

TEST_F(LimitedManagerTest, WithoutALimitAllLeavesAtOnce) {
    SendLeaves(seeder.events.ready[0], 60);
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(Got(one), 60 * kMaxContentChunkBytes);
}

TEST_F(LimitedManagerTest, TheManagerWakesWhenTheNextChunkMayLeave) {
    seeder.manager->SetAutomaticOutbound(false);
    SendLeaves(seeder.events.ready[0], 1);
    Run(milliseconds(20));  // the bulk lane, and the first pings
    seeder.manager->SetUploadLimits(Kib("10"), {});
    SendLeaves(seeder.events.ready[0], 4);
    ASSERT_TRUE(internet.Deliver());
    const Instant next = seeder.manager->NextWakeup();
    EXPECT_GT(next, clock.Monotonic());
    EXPECT_LE(next, clock.Monotonic() + seconds(4));
    const size_t before = Got(one);
    clock.Advance(next - clock.Monotonic());
    seeder.manager->Tick();
    ASSERT_TRUE(internet.Deliver());
    EXPECT_EQ(Got(one), before + kMaxContentChunkBytes);
}

TEST_F(LimitedManagerTest, APeerThatGoesWhileItWaitsIsForgotten) {
    seeder.manager->SetUploadLimits(Kib("10"), Kib("10"));
    SendLeaves(seeder.events.ready[0], 20);
    SendLeaves(seeder.events.ready[1], 20);
    seeder.manager->Disconnect(seeder.events.ready[0], "enough");
    Run(seconds(40));
    EXPECT_EQ(Got(two), 20 * kMaxContentChunkBytes);
}

}  // namespace
}  // namespace sluice::p2p
