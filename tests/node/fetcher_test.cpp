#include "node/fetcher.h"

#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "node/virtual_world.h"

// What jobs fetch and what they leave alone, between whole nodes on virtual time.

namespace sluice::node::testing {
namespace {

constexpr uint64_t kFileBytes = 3 << 20;  // 13 chunks
constexpr size_t kBank = 0, kSeller = 1, kBuyer = 2;

Amount Slu(uint64_t n) { return Amount(n * kDropsPerSlu); }

class FetcherTest : public ::testing::Test {
  protected:
    void SetUp() override {
        world.Add({.staker = 0, .phrase = std::string(consensus::kRegtestPhrase)});
        world.Add({.add_nodes = {0}});
        world.Add({.add_nodes = {0, 1}});
        wallet::PaymentRequest request;
        for (const size_t number : {kSeller, kBuyer}) {
            world[number].MakeWallet();
            request.payments.push_back({world[number].NewScript(), Slu(500)});
        }
        ASSERT_TRUE(world.RunUntil([&] { return world[0].tip().height() > Height(2); }));
        const auto paid = world[kBank].wallet().BuildPayment(request);
        ASSERT_TRUE(paid) << paid.error().message;
        world[kBank].Broadcast(*paid);
        ASSERT_TRUE(world.RunUntil([&] { return world[kBuyer].wallet().GetBalances().spendable == Slu(500); }));
    }
    Bytes Write(const std::string& path, uint64_t size, uint64_t seed) {
        Bytes bytes(size);
        SeededRandom(seed).Fill(bytes);
        EXPECT_TRUE(storage::WriteFileAtomically(world[kSeller].disk().files(), path, bytes));
        return bytes;
    }
    ClaimInfo Publish(const std::string& path, const PublishOptions& options, const SegmentWish& segments = {}) {
        const auto source = world[kSeller]->publish_jobs().Inspect(path, segments);
        EXPECT_TRUE(source) << source.error().message;
        const auto job = world[kSeller]->publish_jobs().StartPublish(*source, options);
        EXPECT_TRUE(job) << job.error().message;
        EXPECT_TRUE(Ends(kSeller, *job));
        const ClaimId claim = *ClaimId::FromHex(world[kSeller].Job(*job).result.at("claim"));
        EXPECT_TRUE(world.RunUntil([&] { return world[kBuyer]->claims().Find(claim).has_value(); }));
        return world[kBuyer]->claims().Find(claim).value();
    }
    PublishOptions Free(Amount ask) {
        PublishOptions options;
        options.free = true;
        options.make_previews = false;
        options.seed_price_per_mib = options.ask_per_mib = ask;
        return options;
    }
    bool Ends(size_t number, JobId job) {
        world.RunUntil([&] { return world[number].Job(job).state != JobState::kRunning; }, seconds(300));
        const JobInfo info = world[number].Job(job);
        EXPECT_EQ(info.state, JobState::kDone) << info.error.value_or(Error{}).message << info.progress.waiting_for;
        return info.state == JobState::kDone;
    }
    // A read of one byte there, which brings its chunk alone.
    void ReadAt(const ClaimInfo& info, uint64_t offset) {
        bool done = false;
        Streams& streams = world[kBuyer]->streams();
        streams.Open({info.id.Hex(), "", {}, seconds(60)}, [&](Result<StreamInfo> opened) {
            ASSERT_TRUE(opened);
            streams.Read(opened->id, offset, 1, offset + 1, [&, id = opened->id](Result<Bytes> bytes) {
                EXPECT_TRUE(bytes);
                streams.Close(id);
                done = true;
            });
        });
        ASSERT_TRUE(world.RunUntil([&] { return done; }, seconds(60)));
        world.RunFor(Streams::kLinger + seconds(5));
    }
    content::ChunkSet Have(const ContentId& content) {
        const auto stored = world[kBuyer]->chunks().Find(content);
        return stored ? stored->Have() : content::ChunkSet();
    }
    void Damage(const ContentId& content, uint32_t chunk) {
        const std::string name = content.root.Hex() + "-" + std::to_string(content.size_bytes) + ".data";
        storage::FileSystem& files = world[kBuyer].disk().files();
        std::string path;
        std::vector<std::string> folders{""};
        for (size_t i = 0; i < folders.size(); ++i) {
            const auto entries = files.List(folders[i].empty() ? "/" : folders[i]).value();
            for (const storage::DirectoryEntry& entry : entries) {
                if (entry.kind == storage::DirectoryEntry::Kind::kDirectory)
                    folders.push_back(folders[i] + "/" + entry.name);
                else if (entry.name == name)
                    path = folders[i] + "/" + name;
            }
        }
        ASSERT_FALSE(path.empty());
        const auto file = files.Open(path, storage::OpenMode::kCreateOrOpen).value();
        ASSERT_TRUE(file->WriteAt(content::ChunkOffset(content::ChunkIndex(chunk)) + 77, AsBytes("damage")));
    }

    VirtualWorld world{33};
};

TEST_F(FetcherTest, AGetOfBoughtSegmentsFetchesThemAndTheManifestAlone) {
    ASSERT_TRUE(world[kSeller].disk().files().CreateDirectories("/album"));
    const Bytes one = Write("/album/1.flac", 700'000, 1);
    Write("/album/2.flac", kFileBytes, 2);
    const Bytes three = Write("/album/3.flac", 300'000, 3);
    PublishOptions options = Free(Amount(0));
    options.free = false;
    options.price = Slu(9);
    SegmentWish segments;
    segments.per_file = Slu(2);
    const ClaimInfo info = Publish("/album", options, segments);
    ASSERT_EQ(info.record.segments.size(), 3u);
    wallet::PurchaseRequest request;
    request.publish = info.anchor;
    for (const uint16_t tier : {1, 3}) {
        request.tier = tier;
        const auto built = world[kBuyer].wallet().BuildPurchase(request);
        ASSERT_TRUE(built) << built.error().message;
        world[kBuyer].Broadcast(built->built);
        ASSERT_TRUE(world.RunUntil(
            [&] {
                return world[kBuyer].wallet().Purchases().at(built->lock).status == wallet::PurchaseStatus::kGranted;
            },
            seconds(200)));
    }
    const auto job = world[kBuyer]->fetch_jobs().StartGet(info.id, "/out", {});
    ASSERT_TRUE(job) << job.error().message;
    ASSERT_TRUE(Ends(kBuyer, *job));
    storage::FileSystem& files = world[kBuyer].disk().files();
    EXPECT_EQ(storage::ReadWholeFile(files, "/out/1.flac", kFileBytes).value(), one);
    EXPECT_EQ(storage::ReadWholeFile(files, "/out/3.flac", kFileBytes).value(), three);
    EXPECT_FALSE(files.Exists("/out/2.flac"));
    EXPECT_EQ(Have(info.record.content).count(), info.record.manifest_chunks + 3 + 2);
    EXPECT_FALSE(world[kBuyer]->swarm().ProgressOf(info.record.content)) << "the download has ended";
    // The same again opens what is here.
    const auto again = world[kBuyer]->fetch_jobs().StartGet(info.id, "/again", {});
    ASSERT_TRUE(again);
    EXPECT_TRUE(Ends(kBuyer, *again));
}

TEST_F(FetcherTest, StoppingAPartialGetEndsItsDownload) {
    ASSERT_TRUE(world[kSeller].disk().files().CreateDirectories("/album"));
    Write("/album/1.flac", kFileBytes, 1);
    Write("/album/2.flac", kFileBytes, 2);
    SegmentWish segments;
    segments.per_file = Slu(2);
    PublishOptions options = Free(Amount(0));
    options.free = false;
    options.price = Slu(9);
    const ClaimInfo info = Publish("/album", options, segments);
    const JobId job = world[kBuyer]->jobs().Start("get", "a part").value();
    std::optional<Result<Amount>> ended;
    FetchWish wish{info.record.content, {}, Amount(0), true, {content::ChunkIndex(1), content::ChunkIndex(4)}};
    world[kSeller].Crash();
    world.RunFor(seconds(5));
    world[kBuyer]->fetcher().Fetch(job, wish, [&](Result<Amount> paid) { ended = std::move(paid); });
    world.RunFor(seconds(2));
    EXPECT_FALSE(ended);
    EXPECT_TRUE(world[kBuyer]->swarm().ProgressOf(info.record.content));
    EXPECT_TRUE(world[kBuyer]->fetcher().Stop(job));
    EXPECT_FALSE(world[kBuyer]->fetcher().Stop(job)) << "it has ended";
    world.RunFor(seconds(1));
    ASSERT_TRUE(ended);
    EXPECT_FALSE(*ended);
    EXPECT_FALSE(world[kBuyer]->swarm().ProgressOf(info.record.content));
}

TEST_F(FetcherTest, ARepairFetchesTheDamagedChunksAloneAndKeepsThePrice) {
    Write("/film.bin", kFileBytes, 4);
    const ClaimInfo info = Publish("/film.bin", Free(Amount(1'000)));
    const ContentId& content = info.record.content;
    ReadAt(info, 2 * content::kSliceBytes);
    ReadAt(info, 9 * content::kSliceBytes);
    const content::ChunkSet before = Have(content);
    ASSERT_TRUE(before.Has(content::ChunkIndex(2)) && before.Has(content::ChunkIndex(9)));
    ASSERT_LT(before.count(), 5u);
    ASSERT_TRUE(world[kBuyer]->swarm().Serve(content, Amount(777)));
    Damage(content, 9);
    const auto job = world[kBuyer]->content_jobs().StartVerify({content});
    ASSERT_TRUE(job);
    ASSERT_TRUE(Ends(kBuyer, *job));
    EXPECT_EQ(world[kBuyer].Job(*job).result.at("damaged"), "1");
    EXPECT_EQ(Have(content), before) << "nothing else came";
    EXPECT_EQ(world[kBuyer]->swarm().swarm().PriceOf(content), Amount(777));
}

TEST_F(FetcherTest, DamageInAPreviewIsNotPaidFor) {
    Write("/film.bin", kFileBytes, 4);
    Write("/preview.bin", 400'000, 5);
    PublishOptions options = Free(Amount(1'000));
    options.make_previews = true;
    options.preview_path = "/preview.bin";
    const ClaimInfo info = Publish("/film.bin", options);
    ASSERT_TRUE(info.record.preview);
    const auto shown = world[kBuyer]->content_jobs().StartShow(info.id, ClearPart::kPreview, "/shown");
    ASSERT_TRUE(shown) << shown.error().message;
    ASSERT_TRUE(Ends(kBuyer, *shown));
    ASSERT_TRUE(world[kSeller]->swarm().Serve(*info.record.preview, Amount(500)));  // a seeder that asks for it
    world.RunFor(seconds(90));  // what was told before holds for a minute
    Damage(*info.record.preview, 0);
    const auto job = world[kBuyer]->content_jobs().StartVerify({*info.record.preview});
    ASSERT_TRUE(job);
    world.RunUntil([&] { return world[kBuyer].Job(*job).state != JobState::kRunning; }, seconds(60));
    EXPECT_NE(world[kBuyer].Job(*job).state, JobState::kDone);
    EXPECT_TRUE(world[kBuyer]->swarm().PayerChannels().empty());
}

// [Who seeds is announced to the whole world: a bundle would show what its buyer bought.]
TEST_F(FetcherTest, WhatTheWalletNeedsIsFetchedAndNotAnnounced) {
    Write("/keys.bin", 5'000, 6);
    const ClaimInfo info = Publish("/keys.bin", Free(Amount(0)));
    world[kBuyer]->fetch_jobs().FetchForWallet(info.record);
    ASSERT_TRUE(world.RunUntil([&] { return Have(info.record.content).IsFull(); }, seconds(60)));
    world.RunFor(seconds(2));
    EXPECT_FALSE(world[kBuyer]->discovery().IsSeeding(info.record.content));
    ASSERT_TRUE(Ends(kBuyer, world[kBuyer]->fetch_jobs().StartSeed(info.id, {}, {}).value()));
    EXPECT_TRUE(world[kBuyer]->discovery().IsSeeding(info.record.content)) << "what is seeded is";
}

TEST_F(FetcherTest, WhatTheWalletNeedsIsTriedAgainAfterAFailure) {
    Write("/keys.bin", 5'000, 6);
    const ClaimInfo info = Publish("/keys.bin", Free(Slu(1)));  // more than anybody pays
    const size_t before = world[kBuyer]->jobs().List(1'000).size();
    const auto jobs = [&] { return world[kBuyer]->jobs().List(1'000).size() - before; };
    world[kBuyer]->fetch_jobs().FetchForWallet(info.record);
    world[kBuyer]->fetch_jobs().FetchForWallet(info.record);
    EXPECT_EQ(jobs(), 1u) << "it is under way";
    ASSERT_TRUE(
        world.RunUntil([&] { return world[kBuyer]->jobs().List(1)[0].state == JobState::kFailed; }, seconds(50)));
    world[kBuyer]->fetch_jobs().FetchForWallet(info.record);
    EXPECT_EQ(jobs(), 1u) << "not at once";
    ASSERT_TRUE(world[kSeller]->swarm().Serve(info.record.content, Amount(0)));
    world.RunFor(FetchJobs::kRetry);
    world[kBuyer]->fetch_jobs().FetchForWallet(info.record);
    EXPECT_EQ(jobs(), 2u);
    EXPECT_TRUE(world.RunUntil([&] { return Have(info.record.content).IsFull(); }, seconds(60)));
}

}  // namespace
}  // namespace sluice::node::testing
