#include "node/streams.h"

#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "node/virtual_world.h"

// Titles read at any offset while they come, between whole nodes on virtual time.

namespace sluice::node::testing {
namespace {

constexpr uint64_t kFilmBytes = 12 << 20;
constexpr size_t kBank = 0, kSeller = 1, kViewer = 2;

Amount Slu(uint64_t n) { return Amount(n * kDropsPerSlu); }

class StreamsTest : public ::testing::Test {
  protected:
    StreamsTest() : film(kFilmBytes) {
        SeededRandom(5).Fill(film);
        world.Add({.staker = 0, .phrase = std::string(consensus::kRegtestPhrase)});
        world.Add({.add_nodes = {0}});
        world.Add({.add_nodes = {0, 1}});
    }
    void SetUp() override {
        wallet::PaymentRequest request;
        for (const size_t number : {kSeller, kViewer}) {
            world[number].MakeWallet();
            request.payments.push_back({world[number].NewScript(), Slu(500)});
        }
        ASSERT_TRUE(world.RunUntil([&] { return world[0].tip().height() > Height(2); }));
        const auto paid = world[kBank].wallet().BuildPayment(request);
        ASSERT_TRUE(paid) << paid.error().message;
        world[kBank].Broadcast(*paid);
        ASSERT_TRUE(world.RunUntil([&] { return world[kViewer].wallet().GetBalances().spendable == Slu(500); }));
    }
    ClaimId Publish(const std::string& path, const PublishOptions& options) {
        const auto source = world[kSeller]->publish_jobs().Inspect(path);
        EXPECT_TRUE(source) << source.error().message;
        const auto job = world[kSeller]->publish_jobs().StartPublish(*source, options);
        EXPECT_TRUE(job) << job.error().message;
        EXPECT_TRUE(world.RunUntil([&] { return world[kSeller].Job(*job).state == JobState::kDone; }, seconds(300)));
        const ClaimId claim = *ClaimId::FromHex(world[kSeller].Job(*job).result.at("claim"));
        EXPECT_TRUE(world.RunUntil([&] { return world[kViewer]->claims().Find(claim).has_value(); }));
        return claim;
    }
    PublishOptions Free(Amount ask) {
        PublishOptions options;
        options.free = true;
        options.make_previews = false;
        options.seed_price_per_mib = options.ask_per_mib = ask;
        return options;
    }
    void PublishFilm(Amount ask, const std::string& name = "/film.mp4") {
        ASSERT_TRUE(storage::WriteFileAtomically(world[kSeller].disk().files(), name, film));
        claim = Publish(name, Free(ask));
    }
    Streams& streams() { return world[kViewer]->streams(); }
    Result<StreamInfo> Open(StreamRequest request) {
        std::optional<Result<StreamInfo>> answer;
        streams().Open(request, [&](Result<StreamInfo> info) { answer = std::move(info); });
        EXPECT_TRUE(world.RunUntil([&] { return answer.has_value(); }, seconds(120)));
        return answer ? std::move(*answer) : Result<StreamInfo>(Fail("no answer"));
    }
    Result<StreamInfo> Open(const std::string& path = {}) { return Open({claim.Hex(), path, {}, seconds(60)}); }
    Result<Bytes> Read(StreamId id, uint64_t offset, size_t length, uint64_t until) {
        std::optional<Result<Bytes>> answer;
        streams().Read(id, offset, length, until, [&](Result<Bytes> bytes) { answer = std::move(bytes); });
        EXPECT_TRUE(world.RunUntil([&] { return answer.has_value(); }, seconds(300)));
        return answer ? std::move(*answer) : Result<Bytes>(Fail("no answer"));
    }
    // In reads of whatever is given.
    Bytes ReadAll(StreamId id, uint64_t offset, uint64_t until) {
        Bytes all;
        while (offset < until) {
            auto part = Read(id, offset, content::kChunkBytes, until);
            EXPECT_TRUE(part) << part.error().message;
            if (!part) break;
            EXPECT_FALSE(part->empty());
            all.insert(all.end(), part->begin(), part->end());
            offset += part->size();
        }
        return all;
    }
    Bytes Part(uint64_t offset, uint64_t length) const {
        return Bytes(film.begin() + static_cast<ptrdiff_t>(offset),
                     film.begin() + static_cast<ptrdiff_t>(offset + length));
    }
    uint32_t StoredChunks() {
        const auto stored = world[kViewer]->chunks().Find(world[kViewer]->claims().Find(claim)->record.content);
        return stored ? stored->Have().count() : 0;
    }

    VirtualWorld world{21};
    Bytes film;
    ClaimId claim;
};

TEST_F(StreamsTest, AByteInTheMiddleBringsItsChunkAndNothingElse) {
    PublishFilm(Amount(0));
    const auto info = Open();
    ASSERT_TRUE(info) << info.error().message;
    EXPECT_EQ(info->size_bytes, kFilmBytes);
    EXPECT_EQ(info->name, "film.mp4");
    EXPECT_EQ(StoredChunks(), 0u) << "opening fetches nothing";
    const auto byte = Read(info->id, kFilmBytes / 2, 1, kFilmBytes / 2 + 1);
    ASSERT_TRUE(byte) << byte.error().message;
    EXPECT_EQ(*byte, Part(kFilmBytes / 2, 1));
    world.RunFor(seconds(5));
    EXPECT_EQ(StoredChunks(), 1u);
}

TEST_F(StreamsTest, ReadingInOrderGivesTheFileAndPaysForItOnce) {
    PublishFilm(Amount(1'000));
    const auto info = Open();
    ASSERT_TRUE(info) << info.error().message;
    EXPECT_EQ(ReadAll(info->id, 0, kFilmBytes), film);
    streams().Close(info->id);
    world.RunFor(seconds(1));
    uint64_t owed = 0;
    for (const content::PayerChannel& channel : world[kViewer]->swarm().PayerChannels())
        owed += channel.meter.Owed().drops;
    EXPECT_GT(owed, 0u);
    EXPECT_LE(owed, 1'000 * (content::SealedSize(kFilmBytes) / (1 << 20) + 1));
}

TEST_F(StreamsTest, AFilmThatPlaysHasItsTailEarlyAndAWindowThatIsBounded) {
    PublishFilm(Amount(0));
    const auto info = Open();
    ASSERT_TRUE(Read(info->id, 0, 1, kFilmBytes));
    world.RunFor(seconds(20));  // nobody reads on
    const auto stored = world[kViewer]->chunks().Find(info->content)->Have();
    EXPECT_TRUE(stored.Has(content::ChunkIndex(stored.size() - 1))) << "an mp4 may have its index there";
    EXPECT_LE(stored.count(), 1 + ReadAhead::kTailChunks + ReadAhead::kMinChunks);
    EXPECT_FALSE(stored.IsFull());
}

TEST_F(StreamsTest, ASeekGivesTheRightBytesWherever) {
    PublishFilm(Amount(0));
    const auto info = Open();
    for (const uint64_t offset : {kFilmBytes - 1, uint64_t{0}, uint64_t{content::kSliceBytes - 1},
                                  uint64_t{content::kSliceBytes}, kFilmBytes / 3}) {
        const uint64_t until = std::min<uint64_t>(kFilmBytes, offset + 300'000);
        EXPECT_EQ(ReadAll(info->id, offset, until), Part(offset, until - offset)) << offset;
    }
    EXPECT_FALSE(Read(info->id, kFilmBytes, 1, kFilmBytes + 1)) << "there is nothing behind the end";
    EXPECT_FALSE(Read(info->id, 5, 1, 5));
}

TEST_F(StreamsTest, WithoutTheKeyItSaysToBuyItFirst) {
    ASSERT_TRUE(storage::WriteFileAtomically(world[kSeller].disk().files(), "/film.mp4", film));
    PublishOptions options;
    options.price = Slu(5);
    options.make_previews = false;
    claim = Publish("/film.mp4", options);
    const auto info = Open();
    ASSERT_FALSE(info);
    EXPECT_NE(info.error().message.find("buy it first"), std::string::npos) << info.error().message;
    EXPECT_EQ(info.error().kind, ErrorKind::kNoKey);
    EXPECT_EQ(StoredChunks(), 0u);
    claim.bytes[0] ^= 1;
    EXPECT_EQ(Open().error().kind, ErrorKind::kNotFound);
}

TEST_F(StreamsTest, SeedersThatAskMoreThanTheLimitGetNothingAndTheReaderIsToldWhy) {
    PublishFilm(Amount(1'000));
    StreamRequest request{claim.Hex(), "", {}, seconds(20)};
    request.limits.max_price_per_mib = Amount(999);
    const auto info = Open(request);
    ASSERT_TRUE(info) << info.error().message;
    const auto read = Read(info->id, 0, 1, kFilmBytes);
    ASSERT_FALSE(read);
    EXPECT_EQ(StoredChunks(), 0u);
    EXPECT_TRUE(world[kViewer]->swarm().PayerChannels().empty()) << read.error().message;
}

TEST_F(StreamsTest, WhatAStreamWantedOfADownloadThatFailedIsNotFetchedWithTheNext) {
    PublishFilm(Amount(1'000));
    StreamRequest request{claim.Hex(), "", {}, seconds(20)};
    request.limits.max_price_per_mib = Amount(999);
    const auto first = Open(request);
    ASSERT_FALSE(Read(first->id, kFilmBytes / 2, 1, kFilmBytes));
    streams().Close(first->id);
    const auto second = Open();
    ASSERT_TRUE(Read(second->id, 0, 1, 1));
    world.RunFor(seconds(5));
    EXPECT_EQ(StoredChunks(), 1u);
}

TEST_F(StreamsTest, APartThatNobodyHasEndsAtTheTimeoutThatWasGiven) {
    PublishFilm(Amount(0));
    world[kSeller].Crash();
    world.RunFor(seconds(5));
    const auto info = Open({claim.Hex(), "", {}, seconds(7)});
    ASSERT_TRUE(info) << info.error().message;
    const Instant before = world.now();
    const auto read = Read(info->id, 0, 1, kFilmBytes);
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().message.find("nothing came for 7 s"), std::string::npos) << read.error().message;
    EXPECT_EQ(read.error().kind, ErrorKind::kTimeout);
    EXPECT_GE(world.now() - before, seconds(7));
    EXPECT_LT(world.now() - before, seconds(8));
}

TEST_F(StreamsTest, ClosingEndsAReadThatWaitsAndItsDownload) {
    PublishFilm(Amount(0));
    world[kSeller].Crash();
    world.RunFor(seconds(5));
    const auto info = Open();
    std::optional<Result<Bytes>> answer;
    streams().Read(info->id, 0, 1, kFilmBytes, [&](Result<Bytes> bytes) { answer = std::move(bytes); });
    world.RunFor(seconds(1));
    EXPECT_FALSE(answer);
    streams().Close(info->id);
    ASSERT_TRUE(world.RunUntil([&] { return answer.has_value(); }, seconds(1)));
    EXPECT_FALSE(*answer);
    EXPECT_EQ(streams().open_count(), 0u);
    EXPECT_TRUE(world[kViewer]->swarm().ProgressOf(info->content)) << "it idles, for the next seek";
    world.RunFor(Streams::kLinger + seconds(1));
    EXPECT_FALSE(world[kViewer]->swarm().ProgressOf(info->content));
    EXPECT_FALSE(Read(info->id, 0, 1, 1)) << "a closed stream is not read";
}

TEST_F(StreamsTest, StreamsAreBoundedInNumber) {
    PublishFilm(Amount(0));
    for (size_t i = 0; i < Streams::kMaxStreams; ++i) ASSERT_TRUE(Open());
    const auto one_more = Open();
    ASSERT_FALSE(one_more);
    EXPECT_EQ(one_more.error().kind, ErrorKind::kUnavailable);
    streams().Close(1);
    EXPECT_TRUE(Open());
}

TEST_F(StreamsTest, AGetJoinsWhatAStreamHasBegunAndBothGetTheirs) {
    PublishFilm(Amount(0));
    const auto info = Open();
    ASSERT_TRUE(Read(info->id, 0, 1, kFilmBytes));
    const auto job = world[kViewer]->fetch_jobs().StartGet(claim, "/out.mp4", {});
    ASSERT_TRUE(job) << job.error().message;
    EXPECT_EQ(Read(info->id, kFilmBytes / 2, 5, kFilmBytes).value(), Part(kFilmBytes / 2, 5));
    ASSERT_TRUE(world.RunUntil([&] { return world[kViewer].Job(*job).state != JobState::kRunning; }, seconds(120)));
    EXPECT_EQ(world[kViewer].Job(*job).state, JobState::kDone);
    EXPECT_EQ(storage::ReadWholeFile(world[kViewer].disk().files(), "/out.mp4", kFilmBytes + 1).value(), film);
    EXPECT_EQ(ReadAll(info->id, 0, kFilmBytes), film) << "the stream reads on from the disk";
}

TEST_F(StreamsTest, AGetThatIsStoppedLeavesTheStreamItsDownload) {
    PublishFilm(Amount(0));
    world[kSeller].Crash();
    world.RunFor(seconds(5));
    const auto info = Open();
    const auto job = world[kViewer]->fetch_jobs().StartGet(claim, "/out.mp4", {});
    ASSERT_TRUE(job);
    world.RunFor(seconds(1));
    ASSERT_TRUE(world[kViewer]->fetch_jobs().StopJob(*job));
    world.RunFor(seconds(1));
    EXPECT_EQ(world[kViewer].Job(*job).state, JobState::kFailed);
    EXPECT_TRUE(world[kViewer]->swarm().ProgressOf(info->content));
}

TEST_F(StreamsTest, ASecondGetBringsItsOwnLimits) {
    PublishFilm(Amount(1'000));
    FetchLimits low;
    low.max_price_per_mib = Amount(0);
    world[kSeller].Crash();
    world.RunFor(seconds(5));
    const auto first = world[kViewer]->fetch_jobs().StartGet(claim, "/first", low);
    const auto second = world[kViewer]->fetch_jobs().StartGet(claim, "/second", {});
    ASSERT_TRUE(first && second);
    world.RunFor(seconds(1));
    ASSERT_TRUE(world[kSeller].Open());
    ASSERT_TRUE(world.RunUntil([&] { return world[kViewer].Job(*second).state != JobState::kRunning; }, seconds(300)));
    EXPECT_EQ(world[kViewer].Job(*second).state, JobState::kDone)
        << world[kViewer].Job(*second).error.value_or(Error{}).message;
}

TEST_F(StreamsTest, AFileOfAFolderIsReadByItsPathAndTheRestStaysAway) {
    storage::FileSystem& files = world[kSeller].disk().files();
    ASSERT_TRUE(files.CreateDirectories("/album/b"));
    ASSERT_TRUE(storage::WriteFileAtomically(files, "/album/a.bin", film));
    ASSERT_TRUE(storage::WriteFileAtomically(files, "/album/b/small.txt", AsBytes("hello")));
    ASSERT_TRUE(storage::WriteFileAtomically(files, "/album/empty", {}));
    claim = Publish("/album", Free(Amount(0)));
    const auto listing = Open();
    ASSERT_TRUE(listing) << listing.error().message;
    ASSERT_TRUE(listing->folder);
    EXPECT_EQ(listing->folder->entries.size(), 3u);
    const auto small = Open("b/small.txt");
    ASSERT_TRUE(small) << small.error().message;
    EXPECT_EQ(small->size_bytes, 5u);
    EXPECT_EQ(ReadAll(small->id, 0, 5), ToBytes(AsBytes("hello")));
    EXPECT_LE(StoredChunks(), 2u) << "the manifest and its own";
    EXPECT_EQ(Open("empty")->size_bytes, 0u);
    EXPECT_EQ(Open("b").error().kind, ErrorKind::kNotFound);
    EXPECT_EQ(Open("../a.bin").error().kind, ErrorKind::kNotFound);
    const auto job = world[kViewer]->fetch_jobs().StartGet(claim, "/small.out", {}, "b/small.txt");
    ASSERT_TRUE(job);
    ASSERT_TRUE(world.RunUntil([&] { return world[kViewer].Job(*job).state != JobState::kRunning; }, seconds(60)));
    EXPECT_EQ(storage::ReadWholeFile(world[kViewer].disk().files(), "/small.out", 10).value(),
              ToBytes(AsBytes("hello")));
    EXPECT_LE(StoredChunks(), 2u);
    EXPECT_EQ(ReadAll(Open("a.bin")->id, 0, kFilmBytes), film);
}

}  // namespace
}  // namespace sluice::node::testing
