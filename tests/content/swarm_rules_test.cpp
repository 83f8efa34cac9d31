#include <chrono>

#include "swarm_net.h"

// The rules of the swarm on virtual time: who is to blame for a bad leaf, how much comes twice, slots, rates,
// deadlines.

namespace sluice::content::testing {
namespace {

constexpr Amount kAsk{4'000};
constexpr Amount kBudget{10'000'000};
constexpr uint64_t kTenMegabytes = 10'000'000;
constexpr seconds kSnub{5};  // until a silent peer is given up, with time to make good for it

double SecondsBetween(Instant a, Instant b) { return std::chrono::duration<double>(b - a).count(); }

bool Has(const NetNode& node, const TestContent& content, uint32_t chunk) {
    return node.stored.at(content.id).Has(ChunkIndex(chunk));
}

// One chunk of which `first` gives eight leaves and then stalls, and `second` the others, one of them forged.
struct TwoGivers {
    TwoGivers() {
        first.gives = 8;
        second.forges = true;
        second.forged_leaf = 12;
        net.Seed(first, content);
        net.Seed(second, content);
        net.Seed(third, content);
        net.Connect(first, fetcher);
        net.Fetch(fetcher, content);
        net.Run(seconds(2), [] { return false; });
        EXPECT_EQ(fetcher.received_leaf_bytes / kLeafBytes, 8u);
        net.Connect(second, fetcher);
    }
    TestContent content{kChunkBytes};
    Net net;
    NetNode& first{net.Add()};
    NetNode& second{net.Add()};
    NetNode& third{net.Add()};
    NetNode& fetcher{net.Add()};
};

TEST(SwarmBlame, OneBadLeafOfTwoGiversCostsThatLeafAndNamesThePeer) {
    TwoGivers net;
    EXPECT_TRUE(net.net.Run(seconds(10), [&] { return !net.fetcher.faults.empty(); }));
    EXPECT_EQ(net.fetcher.fault_peers, std::vector<uint32_t>{net.second.index});
    EXPECT_EQ(net.first.leaf_hash_reads + net.second.leaf_hash_reads, 1u);
    net.net.Connect(net.third, net.fetcher);
    EXPECT_TRUE(net.net.Run(seconds(10), [&] { return net.fetcher.finished.has_value(); }));
    EXPECT_EQ(net.third.sent_leaf_bytes / kLeafBytes, 1u) << "the fifteen true leaves were kept";
    EXPECT_EQ(net.fetcher.data.at(net.content.id), net.content.bytes);
}

TEST(SwarmBlame, WhoLiesAboutLeafHashesIsNamedAndAnotherOneIsAsked) {
    TwoGivers net;
    net.first.lies_about_leaves = true;
    EXPECT_TRUE(net.net.Run(seconds(20), [&] { return net.fetcher.faults.size() == 2; }));
    EXPECT_EQ(net.fetcher.fault_peers, (std::vector<uint32_t>{net.first.index, net.second.index}));
    EXPECT_NE(net.fetcher.faults[0].find("false leaf hashes"), std::string::npos);
    EXPECT_NE(net.fetcher.faults[1].find("a forged leaf"), std::string::npos);
    net.net.Connect(net.third, net.fetcher);
    EXPECT_TRUE(net.net.Run(seconds(10), [&] { return net.fetcher.finished.has_value(); }));
    EXPECT_EQ(net.third.sent_leaf_bytes / kLeafBytes, 1u);
}

TEST(SwarmBlame, IfNobodyKnowsTheLeafHashesTheChunkIsFetchedAgainFromOnePeer) {
    TwoGivers net;
    net.first.knows_no_leaves = net.second.knows_no_leaves = net.third.knows_no_leaves = true;
    net.net.Run(seconds(6), [] { return false; });
    EXPECT_TRUE(net.fetcher.faults.empty()) << "it may have been either";
    net.net.Connect(net.third, net.fetcher);
    EXPECT_TRUE(net.net.Run(seconds(60), [&] { return net.fetcher.finished.has_value(); }));
    EXPECT_EQ(net.fetcher.data.at(net.content.id), net.content.bytes);
    for (const uint32_t peer : net.fetcher.fault_peers) EXPECT_EQ(peer, net.second.index);
}

TEST(SwarmScale, LessThanTwoPercentComeTwiceFromSeedersOfAllSpeeds) {
    const TestContent content(240 * kChunkBytes + 77);
    Net net;
    std::vector<NetNode*> seeders, fetchers;
    for (const uint64_t rate : {1'000'000, 3'000'000, 9'000'000, 20'000'000, 20'000'000}) {
        seeders.push_back(&net.Add(rate));
        net.Seed(*seeders.back(), content);
    }
    for (int i = 0; i < 2; ++i) {
        fetchers.push_back(&net.Add(9'000'000));
        for (NetNode* seeder : seeders) net.Connect(*seeder, *fetchers.back());
    }
    net.Connect(*fetchers[0], *fetchers[1]);
    for (NetNode* fetcher : fetchers) net.Fetch(*fetcher, content);
    EXPECT_TRUE(net.Run(seconds(120), [&] {
        return std::all_of(fetchers.begin(), fetchers.end(), [](NetNode* f) { return f->finished.has_value(); });
    }));
    net.Run(seconds(5), [] { return false; });
    for (const NetNode* fetcher : fetchers) {
        EXPECT_LT(fetcher->received_leaf_bytes, content.bytes.size() * 102 / 100);
        EXPECT_EQ(fetcher->data.at(content.id), content.bytes);
    }
}

TEST(SwarmScale, TheEndIsNotLeftToTheSlowestPeer) {
    const TestContent content(120 * kChunkBytes);
    Net net;
    NetNode& slow = net.Add(200'000);
    NetNode& fast = net.Add(kTenMegabytes);
    NetNode& fetcher = net.Add();
    for (NetNode* seeder : {&slow, &fast}) {
        net.Seed(*seeder, content);
        net.Connect(*seeder, fetcher);
    }
    const Instant started = net.now;
    net.Fetch(fetcher, content);
    EXPECT_TRUE(net.Run(seconds(60), [&] { return fetcher.finished.has_value(); }));
    EXPECT_LT(SecondsBetween(started, net.now), 1.5 * static_cast<double>(content.bytes.size()) / kTenMegabytes + 1);
    EXPECT_LT(fetcher.received_leaf_bytes, content.bytes.size() * 102 / 100);
}

TEST(SwarmScale, AnIdlePeerIsSnubbedAndItsChunksComeFromOthers) {
    const TestContent content(40 * kChunkBytes);
    Net net;
    NetNode& dead = net.Add();
    NetNode& alive = net.Add();
    NetNode& fetcher = net.Add();
    dead.silent = true;
    for (NetNode* seeder : {&dead, &alive}) {
        net.Seed(*seeder, content);
        net.Connect(*seeder, fetcher);
    }
    net.Fetch(fetcher, content);
    EXPECT_TRUE(net.Run(seconds(2) + kSnub, [&] { return fetcher.finished.has_value(); }));
    EXPECT_TRUE(fetcher.faults.empty()) << "slow is no crime";
}

TEST(SwarmSlots, FreeFetchersShareTheSlotsAndAllOfThemEnd) {
    const TestContent content(12 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add(4'000'000);
    net.Seed(seeder, content);
    std::vector<NetNode*> fetchers;
    for (int i = 0; i < 14; ++i) {
        fetchers.push_back(&net.Add());
        net.Connect(seeder, *fetchers.back());
        net.Fetch(*fetchers.back(), content);
    }
    net.Run(seconds(3), [] { return false; });
    const auto begun = std::count_if(fetchers.begin(), fetchers.end(),
                                     [](const NetNode* fetcher) { return fetcher->received_leaf_bytes > 0; });
    EXPECT_EQ(begun, 8) << "the default number of slots";
    EXPECT_TRUE(net.Run(seconds(240), [&] {
        return std::all_of(fetchers.begin(), fetchers.end(), [](NetNode* f) { return f->finished.has_value(); });
    }));
}

TEST(SwarmSlots, APayerIsNeverChokedAndAChokedFetcherAsksElsewhere) {
    const TestContent free_content(40 * kChunkBytes, 1), paid_content(8 * kChunkBytes, 2);
    Net net;
    NetNode& seeder = net.Add(2'000'000);
    net.Seed(seeder, free_content);
    net.Seed(seeder, paid_content, kAsk);
    for (int i = 0; i < 8; ++i) {
        NetNode& fetcher = net.Add();
        net.Connect(seeder, fetcher);
        net.Fetch(fetcher, free_content);
    }
    NetNode& payer = net.Add();
    net.Connect(seeder, payer);
    net.Fetch(payer, paid_content, kAsk, kBudget);
    NetNode& choked = net.Add();
    net.Connect(seeder, choked);
    net.Fetch(choked, free_content);
    net.Run(seconds(3), [] { return false; });
    EXPECT_EQ(choked.received_leaf_bytes, 0u);
    EXPECT_EQ(choked.swarm->ProgressOf(free_content.id)->waiting_for, "an upload slot of a free seeder");
    net.Confirm(6);
    EXPECT_TRUE(net.Run(seconds(10), [&] { return payer.finished.has_value(); })) << "payers come first";
    NetNode& other = net.Add(20'000'000);
    net.Seed(other, free_content);
    net.Connect(other, choked);
    EXPECT_TRUE(net.Run(seconds(4), [&] { return choked.finished.has_value(); }));
}

TEST(SwarmRates, ADownloadKeepsToItsLimitAndUsesIt) {
    const TestContent content(80 * kChunkBytes);
    for (const bool by_peer : {false, true}) {
        Net net;
        NetNode& seeder = net.Add();
        NetNode& fetcher = net.Add();
        net.Seed(seeder, content);
        fetcher.swarm->SetDownloadRate(by_peer ? 0 : 1'000'000, by_peer ? 1'000'000 : 0);
        net.Connect(seeder, fetcher);
        net.Fetch(fetcher, content);
        net.Run(seconds(10), [] { return false; });
        EXPECT_LE(fetcher.received_leaf_bytes, 11'000'000u + 2 * kChunkBytes) << "ten seconds and the burst of one";
        EXPECT_GE(fetcher.received_leaf_bytes, 9'000'000u);
        fetcher.swarm->SetDownloadRate(0, 0);
        EXPECT_TRUE(net.Run(seconds(5), [&] { return fetcher.finished.has_value(); }));
    }
}

TEST(SwarmMemory, ChunksThatWaitForAWorkerCountAsInFlight) {
    const TestContent content(400 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add(100 * kTenMegabytes);
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content);
    net.Connect(seeder, fetcher);
    fetcher.workers_stand_still = true;
    net.Fetch(fetcher, content);
    net.Run(seconds(20), [] { return false; });
    EXPECT_EQ(fetcher.to_verify.size(), 256u) << "64 MiB, and no more";
    net.LetWorkersRun(fetcher);
    EXPECT_TRUE(net.Run(seconds(20), [&] { return fetcher.finished.has_value(); }));
    EXPECT_TRUE(seeder.faults.empty() && fetcher.faults.empty());
}

TEST(SwarmMemory, ChunksThatWaitForTheirHashCountAsInFlight) {
    const TestContent content(400 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add(100 * kTenMegabytes);
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content);
    net.Connect(seeder, fetcher);
    fetcher.hashes_stand_still = true;
    net.Fetch(fetcher, content);
    net.Run(seconds(20), [] { return false; });
    EXPECT_EQ(fetcher.received_leaf_bytes / kChunkBytes, 256u) << "64 MiB with the heads of messages, and no more";
    EXPECT_TRUE(fetcher.to_verify.empty());
    net.LetHashesBeRead(fetcher);
    EXPECT_TRUE(net.Run(seconds(20), [&] { return fetcher.finished.has_value(); }));
    EXPECT_TRUE(seeder.faults.empty() && fetcher.faults.empty());
}

TEST(SwarmMemory, APeerThatGoesTakesItsUnprovenChunksAndAnotherOneBringsThem) {
    const TestContent content(300 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add(100 * kTenMegabytes);
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content);
    net.Connect(seeder, fetcher);
    fetcher.hashes_stand_still = true;
    net.Fetch(fetcher, content);
    net.Run(seconds(5), [] { return false; });
    const uint64_t once = fetcher.received_leaf_bytes;
    EXPECT_EQ(once / kChunkBytes, 256u);
    net.Part(seeder, fetcher);
    NetNode& other = net.Add(100 * kTenMegabytes);
    net.Seed(other, content);
    net.Connect(other, fetcher);
    net.Run(seconds(5), [] { return false; });
    EXPECT_EQ(fetcher.received_leaf_bytes, 2 * once) << "all of them again, and no more";
    net.LetHashesBeRead(fetcher);
    EXPECT_TRUE(net.Run(seconds(20), [&] { return fetcher.finished.has_value(); }));
    EXPECT_TRUE(seeder.faults.empty() && other.faults.empty() && fetcher.faults.empty());
}

TEST(SwarmMemory, MoreBuffersThanAreInUseAreWantedWhileSomethingIsFetched) {
    for (const uint32_t chunks : {5u, 100u}) {
        const TestContent content(chunks * kChunkBytes);
        Net net;
        NetNode& seeder = net.Add();
        NetNode& fetcher = net.Add();
        net.Seed(seeder, content);
        EXPECT_EQ(fetcher.swarm->BuffersWanted(), 0u);
        net.Fetch(fetcher, content);
        EXPECT_EQ(fetcher.swarm->BuffersWanted(), std::min(chunks, 32u)) << "nothing is asked of anybody yet";
        fetcher.workers_stand_still = true;
        net.Connect(seeder, fetcher);
        EXPECT_TRUE(net.Run(seconds(60), [&] { return fetcher.swarm->buffers().made() >= std::min(chunks, 20u); }));
        const size_t used = fetcher.swarm->buffers().made();
        EXPECT_EQ(fetcher.swarm->BuffersWanted(), std::min<size_t>(chunks, used + 32)) << "no more than are left";
        net.LetWorkersRun(fetcher);
        EXPECT_TRUE(net.Run(seconds(60), [&] { return fetcher.finished.has_value(); }));
        EXPECT_EQ(fetcher.swarm->BuffersWanted(), 0u);
    }
}

TEST(SwarmMemory, DownloadsShareWhatMayBeInFlight) {
    for (const size_t count : {2, 4, 40}) {
        const size_t share = std::max<size_t>(8, 256 / count);
        std::deque<TestContent> contents;
        Net net;
        NetNode& seeder = net.Add(100 * kTenMegabytes);
        NetNode& fetcher = net.Add();
        for (size_t i = 0; i < count; ++i) net.Seed(seeder, contents.emplace_back((share + 4) * kChunkBytes, i + 1));
        net.Connect(seeder, fetcher);
        fetcher.workers_stand_still = true;
        for (const TestContent& content : contents) net.Fetch(fetcher, content);
        net.Run(seconds(20), [] { return false; });
        std::map<ContentId, size_t> held;
        for (const VerifyAndStore& waiting : fetcher.to_verify) ++held[waiting.proven.content()];
        ASSERT_EQ(held.size(), count);
        for (const auto& [content, chunks] : held) EXPECT_EQ(chunks, share) << count;
        net.LetWorkersRun(fetcher);
        EXPECT_TRUE(net.Run(seconds(200), [&] { return fetcher.stored.at(contents.back().id).IsFull(); })) << count;
    }
}

TEST(SwarmStream, TheFirstChunkOfAKnownTitleIsHereInAHundredAndFiftyMilliseconds) {
    const TestContent content(100 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add(kTenMegabytes);
    NetNode& player = net.Add();
    net.Seed(seeder, content);
    net.Connect(seeder, player);
    const Instant started = net.now;
    net.Fetch(player, content, Amount(0), Amount(0), DownloadMode::kOnDemand);
    net.SetDeadlines(player, content, {ChunkIndex(0), ChunkIndex(99), ChunkIndex(1), ChunkIndex(2)});
    EXPECT_TRUE(net.Run(seconds(5), [&] { return Has(player, content, 0); }));
    EXPECT_LE(SecondsBetween(started, net.now), 0.150);
    EXPECT_TRUE(net.Run(seconds(5), [&] { return Has(player, content, 2); }));
    net.Run(seconds(3), [] { return false; });
    EXPECT_EQ(player.stored.at(content.id).count(), 4u) << "only what was named";
    const auto progress = player.swarm->ProgressOf(content.id);
    EXPECT_EQ(progress->wanted_bytes, uint64_t{4} * kChunkBytes);
    EXPECT_EQ(progress->wanted_stored_bytes, progress->wanted_bytes);
    EXPECT_EQ(progress->waiting_for, "");
}

TEST(SwarmStream, ASeekOvertakesWhatFillsTheLink) {
    const TestContent content(400 * kChunkBytes);
    for (const DownloadMode mode : {DownloadMode::kWhole, DownloadMode::kOnDemand}) {
        Net net;
        NetNode& seeder = net.Add(kTenMegabytes);
        NetNode& player = net.Add();
        net.Seed(seeder, content);
        net.Connect(seeder, player);
        net.Fetch(player, content, Amount(0), Amount(0), mode);
        std::vector<ChunkIndex> window;
        for (uint32_t i = 0; i < 64; ++i) window.push_back(ChunkIndex(i));
        net.SetDeadlines(player, content, window);
        net.Run(seconds(1), [] { return false; });
        EXPECT_GT(player.received_leaf_bytes, kTenMegabytes / 2) << "the link is full";
        for (uint32_t target : {390u, 200u, 300u}) {
            while (Has(player, content, target)) ++target;
            const Instant sought = net.now;
            window.clear();
            for (uint32_t i = 0; i < 64; ++i) window.push_back(ChunkIndex(target + i));
            net.SetDeadlines(player, content, window);
            EXPECT_TRUE(net.Run(seconds(5), [&] { return Has(player, content, target); }));
            EXPECT_LE(SecondsBetween(sought, net.now), 0.150) << target;
            net.Run(seconds(1), [] { return false; });
        }
        EXPECT_LT(player.received_leaf_bytes,
                  (uint64_t{player.stored.at(content.id).count()} + 4) * kChunkBytes * 102 / 100 + 65 * kLeafBytes);
    }
}

// A request that is taken back and made again at once crosses the chunk that is on its way.
TEST(SwarmStream, APaidReaderThatSeeksBackAndForthPaysEachChunkOnceAndIsNeverStuck) {
    const TestContent content(400 * kChunkBytes);
    for (const uint64_t seed : {1, 2, 3, 4, 5, 6}) {
        SeededRandom random(seed);
        Net net;
        NetNode& seeder = net.Add(kTenMegabytes);
        NetNode& player = net.Add();
        net.Seed(seeder, content, Amount(1'000'000));
        net.Connect(seeder, player);
        net.Fetch(player, content, Amount(1'000'000), Amount(10 * kDropsPerSlu), DownloadMode::kOnDemand);
        net.SetDeadlines(player, content, {ChunkIndex(0)});
        ASSERT_TRUE(net.Run(seconds(5), [&] { return Has(player, content, 0); }));
        net.Confirm(10);
        for (int seek = 0; seek < 60; ++seek) {
            const uint32_t target =
                1 + static_cast<uint32_t>(random.Uint64() % 3) * 8 + static_cast<uint32_t>(seek) * 4;
            std::vector<ChunkIndex> window;
            for (uint32_t i = 0; i < 4; ++i) window.push_back(ChunkIndex(target + i));
            const milliseconds shortly(random.Uint64() % 30);
            for (const bool there : {true, false, true}) {
                net.SetDeadlines(player, content, there ? window : std::vector<ChunkIndex>{});
                const Instant until = net.now + shortly;
                net.Run(seconds(1), [&] { return net.now >= until; });
            }
            const Instant sought = net.now;
            ASSERT_TRUE(net.Run(seconds(5), [&] { return Has(player, content, target); })) << seed << ": " << seek;
            EXPECT_LE(SecondsBetween(sought, net.now), 0.3) << seed << ": " << seek;
        }
        net.SetDeadlines(player, content, {});
        net.Run(seconds(1), [] { return false; });
        ASSERT_EQ(seeder.vouchers.size(), 1u);
        const uint64_t came = uint64_t{player.stored.at(content.id).count()} * kChunkBytes;
        EXPECT_EQ(player.swarm->PayerChannels().at(0).meter, seeder.swarm->PayeeChannels().at(0).meter);
        EXPECT_EQ(player.swarm->PayerChannels().at(0).received_bytes, came) << "each chunk came once";
        EXPECT_TRUE(seeder.faults.empty() && player.faults.empty());
    }
}

// What was on its way when a download was stopped was charged and is never seen: the payee says so, and is believed.
TEST(SwarmStream, ADownloadThatIsStoppedAndStartedOverAndOverIsNeverStuck) {
    const TestContent content(60 * kChunkBytes);
    for (const uint64_t pause : {20, 45, 70}) {
        Net net;
        NetNode& seeder = net.Add(kTenMegabytes);
        NetNode& player = net.Add();
        net.Seed(seeder, content, Amount(1'000'000));
        net.Connect(seeder, player);
        net.Fetch(player, content, Amount(1'000'000), Amount(10 * kDropsPerSlu));
        ASSERT_TRUE(net.Run(seconds(5), [&] { return player.stored.at(content.id).count() > 0; }));
        net.Confirm(10);
        uint64_t lost = 0;
        for (int stop = 0; stop < 12; ++stop) {
            const Instant until = net.now + milliseconds(pause);
            net.Run(seconds(1), [&] { return net.now >= until || player.finished; });
            if (player.finished) break;
            player.swarm->StopDownload(content.id, net.now);
            ++lost;
            net.Run(milliseconds(100), [] { return false; });
            net.Fetch(player, content, Amount(1'000'000), Amount(10 * kDropsPerSlu));
        }
        EXPECT_GT(lost, 4u);
        ASSERT_TRUE(net.Run(seconds(60), [&] { return player.finished.has_value(); })) << pause;
        net.Run(seconds(2), [] { return false; });
        EXPECT_EQ(player.swarm->PayerChannels().at(0).meter, seeder.swarm->PayeeChannels().at(0).meter) << pause;
        EXPECT_TRUE(seeder.faults.empty() && player.faults.empty());
    }
}

TEST(SwarmStream, AnUrgentChunkThatASlowPeerHoldsIsMovedToAFasterOne) {
    const TestContent content(60 * kChunkBytes);
    Net net;
    NetNode& slow = net.Add(100'000);
    NetNode& fast = net.Add(kTenMegabytes);
    NetNode& player = net.Add();
    net.Seed(slow, content);
    net.Seed(fast, content);
    net.Connect(slow, player);
    net.Fetch(player, content, Amount(0), Amount(0), DownloadMode::kOnDemand);
    net.SetDeadlines(player, content, {ChunkIndex(7), ChunkIndex(8), ChunkIndex(9)});
    net.Run(seconds(1), [] { return false; });
    EXPECT_FALSE(Has(player, content, 8));
    net.Connect(fast, player);
    const Instant joined = net.now;
    EXPECT_TRUE(net.Run(seconds(5), [&] { return Has(player, content, 8) && Has(player, content, 9); }));
    EXPECT_LE(SecondsBetween(joined, net.now), 0.4);
    EXPECT_TRUE(net.Run(seconds(5), [&] { return Has(player, content, 7); }));
}

TEST(SwarmStream, PartsAreFetchedOnDemandAndTheRestOnceItIsWanted) {
    const TestContent content(30 * kChunkBytes + 5);
    Net net;
    NetNode& seeder = net.Add();
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content);
    net.Connect(seeder, fetcher);
    net.Fetch(fetcher, content, Amount(0), Amount(0), DownloadMode::kOnDemand);
    net.Run(seconds(7), [] { return false; });
    EXPECT_EQ(fetcher.received_leaf_bytes, 0u);
    EXPECT_FALSE(fetcher.failed) << "nobody waits for anything";
    net.Want(fetcher, content, 3, 5);
    net.Want(fetcher, content, 30, 30);
    net.Run(seconds(2), [] { return false; });
    EXPECT_EQ(fetcher.stored.at(content.id).count(), 4u);
    EXPECT_TRUE(Has(fetcher, content, 3) && Has(fetcher, content, 5) && Has(fetcher, content, 30));
    EXPECT_FALSE(fetcher.finished);
    fetcher.swarm->SetMode(content.id, DownloadMode::kWhole, net.now);
    EXPECT_TRUE(net.Run(seconds(20), [&] { return fetcher.finished.has_value(); }));
    EXPECT_EQ(fetcher.data.at(content.id), content.bytes);
}

}  // namespace
}  // namespace sluice::content::testing
