#include <utility>

#include "p2p/asio_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <future>
#include <thread>

#include "p2p/asio_lanes.h"
#include "p2p/peer_manager.h"

namespace sluice::p2p {
namespace {

// One side of a real connection, driven by the thread that runs the io_context.
struct Side : NetworkEvents {
    explicit Side(boost::asio::io_context& io_context) : io(io_context), strand(io_context), network(strand) {
        network.SetEvents(*this);
    }
    void OnAccepted(ConnectionId id, const Endpoint&) override { connection = id; }
    void OnConnected(ConnectionId id) override { connection = id; }
    void OnConnectFailed(ConnectionId, const std::string& reason) override { failure = reason; }
    void OnBytes(ConnectionId, ByteSpan bytes) override { received.insert(received.end(), bytes.begin(), bytes.end()); }
    void OnMessages(ConnectionId, std::span<const Message> messages) override {
        for (const Message& message : messages) {
            EXPECT_EQ(message.type, MessageType::kContentChunk);
            ++message_count;
            received.insert(received.end(), message.payload.begin(), message.payload.end());
        }
    }
    void OnBroken(ConnectionId id, const std::string& reason) override {
        broken.push_back(reason);
        network.Close(id);
    }
    void OnWritable(ConnectionId) override { ++writable; }
    void OnClosed(ConnectionId, const std::string& reason) override { closed = reason; }

    boost::asio::io_context& io;
    AsioStrandExecutor strand;
    AsioNetwork network;
    std::optional<ConnectionId> connection;
    Bytes received;
    size_t message_count{0};
    std::vector<std::string> broken;
    size_t writable{0};
    std::string failure;
    std::string closed;
};

// Runs the context until `done`, within 30 s.
template <class Done>
bool RunUntil(boost::asio::io_context& io, const Done& done) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(30);
    while (!done() && std::chrono::steady_clock::now() < deadline) {
        if (io.stopped()) io.restart();
        io.run_one_for(milliseconds(100));
    }
    return done();
}

const Endpoint kAnyPort = Endpoint::Ipv4(127, 0, 0, 1, 0);

TEST(AsioNetwork, SixtyFourMebibytesArriveIntact) {
    boost::asio::io_context io;
    Side a(io);
    Side b(io);
    const auto bound = b.network.Listen(kAnyPort);
    ASSERT_TRUE(bound);
    ASSERT_NE(bound->port, 0);
    a.network.Connect(*bound);
    ASSERT_TRUE(RunUntil(io, [&] { return a.connection && b.connection; }));
    Bytes sent(64 << 20);
    SeededRandom(1).Fill(sent);
    b.received.reserve(sent.size());
    size_t at = 0;
    const auto write_more = [&] {
        while (at < sent.size() && a.network.PendingBytes(*a.connection) < (256 << 10)) {
            const size_t size = std::min<size_t>(50'000, sent.size() - at);
            a.network.Write(*a.connection, Bytes(sent.begin() + at, sent.begin() + at + size));
            at += size;
        }
        return b.received.size() >= sent.size();
    };
    ASSERT_TRUE(RunUntil(io, write_more));
    EXPECT_TRUE(b.received == sent);
    EXPECT_EQ(a.network.PendingBytes(*a.connection), 0u);
    EXPECT_GT(a.writable, 0u);
    a.network.Close(*a.connection);
    ASSERT_TRUE(RunUntil(io, [&] { return !b.closed.empty(); }));
    EXPECT_EQ(b.closed, "closed by the peer");
    EXPECT_TRUE(a.closed.empty());
    a.network.Write(*a.connection, Bytes(1));  // to nowhere, quietly
}

TEST(AsioNetwork, BytesForAReaderThatPausesWaitWithTheSender) {
    boost::asio::io_context io;
    Side a(io);
    Side b(io);
    const auto bound = b.network.Listen(kAnyPort);
    ASSERT_TRUE(bound);
    a.network.Connect(*bound);
    ASSERT_TRUE(RunUntil(io, [&] { return a.connection && b.connection; }));
    b.network.SetReading(*b.connection, false);
    const Bytes sent(64 << 20, 7);
    a.network.Write(*a.connection, sent);
    // The kernels' buffers fill, then nothing moves.
    size_t last = 0;
    ASSERT_TRUE(RunUntil(io, [&] {
        const size_t pending = a.network.PendingBytes(*a.connection);
        return std::exchange(last, pending) == pending && pending < sent.size();
    }));
    EXPECT_GT(a.network.PendingBytes(*a.connection), 0u);
    EXPECT_LE(b.received.size(), AsioNetwork::kReadBufferBytes);
    b.network.SetReading(*b.connection, true);
    ASSERT_TRUE(RunUntil(io, [&] { return b.received.size() == sent.size(); }));
}

TEST(AsioNetwork, AFastReaderThatStopsLeavesLittleUnreadWhereUrgentThingsCome) {
    boost::asio::io_context io;
    Side a(io);
    Side b(io);
    const auto bound = b.network.Listen(kAnyPort);
    ASSERT_TRUE(bound);
    a.network.Connect(*bound);
    ASSERT_TRUE(RunUntil(io, [&] { return a.connection && b.connection; }));
    b.network.SetUrgent(*b.connection);
    constexpr size_t kSent = 96 << 20, kRead = 64 << 20;
    b.received.reserve(kSent);
    a.network.Write(*a.connection, Bytes(kSent, 7));
    ASSERT_TRUE(RunUntil(io, [&] { return b.received.size() >= kRead; }));
    b.network.SetReading(*b.connection, false);
    size_t last = 0;
    ASSERT_TRUE(RunUntil(io, [&] {
        const size_t pending = a.network.PendingBytes(*a.connection);
        return std::exchange(last, pending) == pending;
    }));
    const size_t on_the_way = kSent - a.network.PendingBytes(*a.connection) - b.received.size();
    EXPECT_GT(on_the_way, 0u);
    EXPECT_LE(on_the_way, size_t{2} << 20);
}

TEST(AsioNetwork, WhatIsUrgentLeavesWhileItIsWritten) {
    boost::asio::io_context io;
    Side a(io);
    Side b(io);
    const auto bound = b.network.Listen(kAnyPort);
    ASSERT_TRUE(bound);
    a.network.Connect(*bound);
    ASSERT_TRUE(RunUntil(io, [&] { return a.connection && b.connection; }));
    a.network.Write(*a.connection, Bytes(1'000, 1));
    EXPECT_EQ(a.network.PendingBytes(*a.connection), 1'000u) << "it waits for what else the task writes";
    ASSERT_TRUE(RunUntil(io, [&] { return b.received.size() == 1'000; }));

    a.network.SetUrgent(*a.connection);
    a.network.Write(*a.connection, Bytes(1'000, 2));
    EXPECT_EQ(a.network.PendingBytes(*a.connection), 0u);
    ASSERT_TRUE(RunUntil(io, [&] { return b.received.size() == 2'000; }));
    // More than the system takes at once follows in order.
    constexpr size_t kMuch = 16 << 20;
    a.network.Write(*a.connection, Bytes(kMuch, 3));
    EXPECT_GT(a.network.PendingBytes(*a.connection), 0u);
    a.network.Write(*a.connection, Bytes(1'000, 4));
    ASSERT_TRUE(RunUntil(io, [&] { return b.received.size() == kMuch + 3'000; }));
    EXPECT_EQ(b.received[1'999], 2);
    EXPECT_TRUE(std::all_of(b.received.begin() + 2'000, b.received.end() - 1'000, [](uint8_t x) { return x == 3; }));
    EXPECT_EQ(b.received.back(), 4);
}

crypto::NoiseCipher LaneCipher(uint8_t seed) {
    crypto::AeadKey key;
    SeededRandom(seed).Fill(key.span());
    return crypto::NoiseCipher(key);
}

// Two sides that are connected; what `a` writes arrives in `b`.
class AsioLanesTest : public testing::Test {
  protected:
    void SetUp() override {
        const auto bound = b.network.Listen(kAnyPort);
        ASSERT_TRUE(bound);
        a.network.Connect(*bound);
        ASSERT_TRUE(RunUntil(io, [&] { return a.connection && b.connection; }));
    }
    void TakeLanes() {
        a.network.TakeLane(*a.connection, {LaneCipher(1), LaneCipher(2), {}});
        b.network.TakeLane(*b.connection, {LaneCipher(2), LaneCipher(1), {}});
    }
    // Writes `sent` from `at` on, as far as there is room.
    void WriteMore(size_t& at) {
        while (at < sent.size() && a.network.PendingBytes(*a.connection) < (256 << 10)) {
            std::vector<OutgoingMessage> messages;
            for (int i = 0; i < 8 && at < sent.size(); ++i) {
                const size_t size = std::min<size_t>(16'384, sent.size() - at);
                messages.push_back({MessageType::kContentChunk, Bytes(sent.begin() + at, sent.begin() + at + size)});
                at += size;
            }
            a.network.WriteMessages(*a.connection, std::move(messages));
        }
    }
    void MakeSent(size_t bytes) {
        sent.resize(bytes);
        SeededRandom(1).Fill(sent);
        b.received.reserve(bytes);
    }

    boost::asio::io_context io;
    Side a{io}, b{io};
    Bytes sent;
};

TEST_F(AsioLanesTest, SixtyFourMebibytesArriveIntactAndTheEndAfterThem) {
    TakeLanes();
    MakeSent(64 << 20);
    size_t at = 0;
    ASSERT_TRUE(RunUntil(io, [&] {
        WriteMore(at);
        return at == sent.size() && a.network.PendingBytes(*a.connection) == 0;
    }));
    EXPECT_GT(a.writable, 0u);
    a.network.Close(*a.connection);
    ASSERT_TRUE(RunUntil(io, [&] { return !b.closed.empty(); }));
    EXPECT_EQ(b.closed, "closed by the peer");
    EXPECT_EQ(b.message_count, sent.size() / 16'384);
    EXPECT_TRUE(b.received == sent);
    EXPECT_TRUE(a.closed.empty() && a.broken.empty() && b.broken.empty());
    a.network.WriteMessages(*a.connection, {{MessageType::kContentChunk, Bytes(1)}});  // to nowhere, quietly
}

TEST_F(AsioLanesTest, WhatWasWrittenBeforeAndWhatWasReadOfItAreNotLost) {
    // A large frame that no kernel takes whole, the lane's first one after it.
    crypto::NoiseCipher before = LaneCipher(1);
    Bytes frames;
    constexpr size_t kFrames = 2000;
    for (size_t i = 0; i < kFrames; ++i)
        AppendFrame(before, MessageType::kContentChunk, false, Bytes(16'384, 3), frames);
    a.network.Write(*a.connection, frames);
    ASSERT_TRUE(RunUntil(io, [&] { return !b.received.empty(); }));
    ASSERT_GT(a.network.PendingBytes(*a.connection), 0u);
    // What the other side had read when it took its lane: whole frames, and the start of one.
    FrameReader reader(LaneCipher(1));
    size_t whole = 0;
    for (ByteSpan left = b.received; !left.empty();) {
        const auto frame = reader.Next(left);
        ASSERT_TRUE(frame);
        whole += frame->has_value() ? 1 : 0;
    }
    auto [receive, partial] = std::move(reader).Release();
    b.network.TakeLane(*b.connection, {LaneCipher(2), std::move(receive), std::move(partial)});
    a.network.TakeLane(*a.connection, {std::move(before), LaneCipher(2), {}});
    a.network.WriteMessages(*a.connection, {{MessageType::kContentChunk, Bytes(10, 4)}});
    ASSERT_TRUE(RunUntil(io, [&] { return b.message_count == kFrames - whole + 1; }));
    EXPECT_EQ(b.received.back(), 4);
    EXPECT_TRUE(b.broken.empty());
}

TEST_F(AsioLanesTest, AReaderThatPausesHoldsBatchesOfFixedSizeAndTheRestWaitsWithTheSender) {
    TakeLanes();
    MakeSent(32 << 20);
    b.network.SetReading(*b.connection, false);
    std::vector<OutgoingMessage> messages;
    for (size_t at = 0; at < sent.size(); at += 16'384)
        messages.push_back({MessageType::kContentChunk, Bytes(sent.begin() + at, sent.begin() + at + 16'384)});
    a.network.WriteMessages(*a.connection, std::move(messages));
    size_t last = 0;
    ASSERT_TRUE(RunUntil(io, [&] {  // the kernels' buffers fill, then nothing moves
        const size_t pending = a.network.PendingBytes(*a.connection);
        return std::exchange(last, pending) == pending && pending < sent.size();
    }));
    EXPECT_GT(a.network.PendingBytes(*a.connection), 0u);
    EXPECT_LE(b.received.size(), AsioLanes::kMaxBatches * MessageBatch::kRoomBytes);
    b.network.SetReading(*b.connection, true);
    ASSERT_TRUE(RunUntil(io, [&] { return b.received.size() == sent.size(); }));
    EXPECT_TRUE(b.received == sent);
}

TEST_F(AsioLanesTest, AStrandThatIsBusyElsewhereGetsEverythingAfterwards) {
    TakeLanes();
    MakeSent(16 << 20);
    std::vector<OutgoingMessage> messages;
    for (size_t at = 0; at < sent.size(); at += 16'384)
        messages.push_back({MessageType::kContentChunk, Bytes(sent.begin() + at, sent.begin() + at + 16'384)});
    a.network.WriteMessages(*a.connection, std::move(messages));
    // The strand does nothing while the threads of the lanes move what they may.
    const auto deadline = std::chrono::steady_clock::now() + seconds(30);
    size_t last = sent.size() + 1, seen = 0;
    while (seen < 50 && std::chrono::steady_clock::now() < deadline) {
        const size_t pending = a.network.PendingBytes(*a.connection);
        seen = pending < sent.size() && pending == last ? seen + 1 : 0;
        last = pending;
        std::this_thread::sleep_for(milliseconds(1));
    }
    EXPECT_GT(last, 0u) << "batches are few, and so it stands still";
    EXPECT_EQ(b.received.size(), 0u);
    ASSERT_TRUE(RunUntil(io, [&] { return b.received.size() == sent.size(); }));
    EXPECT_TRUE(b.received == sent);
}

TEST_F(AsioLanesTest, WhatIsNoFrameIsReportedOnceAndNothingAfterIt) {
    b.network.TakeLane(*b.connection, {LaneCipher(2), LaneCipher(1), {}});
    crypto::NoiseCipher sender = LaneCipher(1);
    Bytes frames;
    AppendFrame(sender, MessageType::kContentChunk, false, Bytes(100), frames);
    frames.insert(frames.end(), 100'000, 0xff);
    a.network.Write(*a.connection, frames);
    ASSERT_TRUE(RunUntil(io, [&] { return !a.closed.empty() && !b.broken.empty(); }));
    EXPECT_EQ(b.message_count, 1u);
    ASSERT_EQ(b.broken.size(), 1u);
    EXPECT_EQ(b.broken[0], "frame length 65535 is outside 17 to 16465");
    EXPECT_TRUE(b.closed.empty());
}

TEST_F(AsioLanesTest, ANetworkThatStopsOrALaneThatIsClosedWithMuchUnderWayEndsQuietly) {
    TakeLanes();
    MakeSent(8 << 20);
    size_t at = 0;
    ASSERT_TRUE(RunUntil(io, [&] {
        WriteMore(at);
        return b.message_count > 10;
    }));
    WriteMore(at);
    b.network.Close(*b.connection);
    const size_t had = b.message_count;
    ASSERT_TRUE(RunUntil(io, [&] { return !a.closed.empty(); }));
    EXPECT_EQ(b.message_count, had) << "nothing is heard after Close";
    EXPECT_TRUE(b.closed.empty());
    a.network.Stop();
    b.network.Stop();
}

TEST(RunBusily, RunsWhatComesAtOnceAndAfterAWhileUntilItIsStopped) {
    boost::asio::io_context io;
    const auto guard = boost::asio::make_work_guard(io);
    AsioStrandExecutor strand(io);
    std::atomic<size_t> idle{0};
    std::thread runner([&] { RunBusily(io, [&] { ++idle; }); });
    // Waits of every length about those after which it looks again, and sleeps.
    std::vector<int> order;
    for (int i = 0; i < 400; ++i) {
        std::promise<void> ran;
        strand.Post([&, i] {
            order.push_back(i);
            ran.set_value();
        });
        ASSERT_EQ(ran.get_future().wait_for(seconds(30)), std::future_status::ready) << i;
        std::promise<void> late;
        if (i % 8 == 0) {
            strand.PostAfter(milliseconds(i % 3), [&] { late.set_value(); });
            ASSERT_EQ(late.get_future().wait_for(seconds(30)), std::future_status::ready) << i;
        }
    }
    // It is told that there is nothing to do before it sleeps.
    std::promise<size_t> last;
    strand.Post([&] { last.set_value(idle); });
    const size_t before = last.get_future().get();
    const auto deadline = std::chrono::steady_clock::now() + seconds(30);
    while (idle == before && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_GT(idle, before);
    io.stop();
    runner.join();
    EXPECT_EQ(order.size(), 400u);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(AsioNetwork, APortInUseSaysWhatToDo) {
    boost::asio::io_context io;
    Side a(io);
    Side b(io);
    const auto bound = a.network.Listen(kAnyPort);
    ASSERT_TRUE(bound);
    const auto again = b.network.Listen(*bound);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::kEnvironment);
    EXPECT_EQ(again.error().message, "cannot listen on " + bound->ToString() +
                                         ": address in use: stop the other program or choose another port with -port");
}

TEST(AsioNetwork, ARefusedConnectionIsReported) {
    boost::asio::io_context io;
    Endpoint closed_port;
    {
        Side gone(io);
        closed_port = *gone.network.Listen(kAnyPort);
    }
    Side a(io);
    a.network.Connect(closed_port);
    ASSERT_TRUE(RunUntil(io, [&] { return !a.failure.empty(); }));
    EXPECT_EQ(a.failure, "connection refused");
}

TEST(AsioNetwork, PeerManagersMeetOverRealSockets) {
    struct Events : PeerEvents {
        void OnPeerReady(PeerId peer, const PeerInfo&) override { ready = peer; }
        void OnPeerGone(PeerId, const std::string&) override { gone = true; }
        void OnMessage(PeerId, MessageType, ByteSpan payload) override { received += payload.size(); }
        void OnChunksDrained(PeerId) override { drained = true; }
        std::optional<PeerId> ready;
        bool gone{false};
        bool drained{false};
        size_t received{0};
    };
    struct Peer {
        Peer(boost::asio::io_context& io, uint64_t seed) : strand(io), network(strand), random(seed) {
            PeerManagerConfig config;
            random.Fill(config.node_key.span());
            manager = std::make_unique<PeerManager>(network, clock, random, std::move(config), events);
        }
        SystemClock clock;
        AsioStrandExecutor strand;
        AsioNetwork network;
        SeededRandom random;
        Events events;
        std::unique_ptr<PeerManager> manager;
    };
    boost::asio::io_context io;
    Peer a(io, 1);
    Peer b(io, 2);
    const auto bound = b.manager->Listen(kAnyPort);
    ASSERT_TRUE(bound);
    ASSERT_TRUE(a.manager->ConnectOnce(*bound));
    ASSERT_TRUE(RunUntil(io, [&] { return a.events.ready && b.events.ready; }));
    constexpr size_t kChunks = 8192;
    const auto started = std::chrono::steady_clock::now();
    size_t sent = 0;
    ASSERT_TRUE(RunUntil(io, [&] {
        while (sent < kChunks && a.manager->Send(*a.events.ready, MessageType::kContentChunk, Bytes(16'384))) ++sent;
        return b.events.received == kChunks * 16'384;
    }));
    const double elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    RecordProperty("megabytes_per_s", std::to_string(static_cast<double>(b.events.received) / 1e6 / elapsed_s));
    EXPECT_TRUE(a.events.drained);
    a.manager->Disconnect(*a.events.ready, "done");
    ASSERT_TRUE(RunUntil(io, [&] { return b.events.gone; }));
}

TEST(AsioStrandExecutor, RunsTasksInOrderAndDelayedOnesLater) {
    boost::asio::io_context io;
    AsioStrandExecutor strand(io);
    std::vector<int> order;
    strand.PostAfter(milliseconds(1), [&] {
        order.push_back(3);
        io.stop();
    });
    strand.Post([&] {
        order.push_back(1);
        strand.Post([&] { order.push_back(2); });
        EXPECT_EQ(order.size(), 1u);
    });
    std::thread helper([&] { io.run(); });
    io.run();
    helper.join();
    EXPECT_EQ(order.size(), 3u);
    EXPECT_EQ(order.front(), 1);
}

TEST(AsioStrandExecutor, RunsWhatManyThreadsPostOnceAndInTheOrderOfEach) {
    boost::asio::io_context io;
    AsioStrandExecutor strand(io);
    constexpr size_t kPosters = 4, kTasks = 20'000;
    std::array<std::vector<size_t>, kPosters> ran;
    size_t left = kPosters * kTasks;
    std::vector<std::thread> posters;
    for (size_t poster = 0; poster < kPosters; ++poster) {
        posters.emplace_back([&, poster] {
            for (size_t i = 0; i < kTasks; ++i) {
                strand.Post([&, poster, i] {
                    ran[poster].push_back(i);
                    if (--left == 0) io.stop();
                });
            }
        });
    }
    io.run_for(seconds(60));
    for (std::thread& poster : posters) poster.join();
    EXPECT_EQ(left, 0u);
    for (const auto& order : ran) {
        ASSERT_EQ(order.size(), kTasks);
        EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
    }
}

TEST(ThreadPool, RunsWhatIsPostedAndDropsTheRestWhenStopped) {
    ThreadPool pool(2, "test");
    std::promise<void> first;
    std::promise<void> delayed;
    pool.PostAfter(milliseconds(2), [&] { delayed.set_value(); });
    pool.Post([&] { first.set_value(); });
    EXPECT_EQ(first.get_future().wait_for(seconds(30)), std::future_status::ready);
    EXPECT_EQ(delayed.get_future().wait_for(seconds(30)), std::future_status::ready);
    pool.PostAfter(seconds(3600), [] { FAIL() << "a task ran after the pool was stopped"; });
    pool.Stop();
    pool.Post([] { FAIL() << "a task ran after the pool was stopped"; });
}

TEST(ThreadPool, WithOneThreadTasksKeepTheirOrder) {
    ThreadPool pool(1, "test");
    std::vector<int> order;
    std::promise<void> done;
    for (int i = 0; i < 100; ++i) pool.Post([&order, i] { order.push_back(i); });
    pool.Post([&] { done.set_value(); });
    ASSERT_EQ(done.get_future().wait_for(seconds(30)), std::future_status::ready);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

}  // namespace
}  // namespace sluice::p2p
