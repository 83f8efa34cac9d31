#include "content/torrent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "content/content_fixture.h"
#include "storage/memory_disk.h"

namespace sluice::content {
namespace {

using testing::HasSubstr;

constexpr uint64_t kQuota = 100 << 20;

TEST(Torrent, OfTwoChunksHasGoldenBytes) {
    const Bytes zeros(kChunkBytes + 1);
    std::vector<Hash256> hashes;
    ContentHasher with_hashes([&](ChunkIndex, const Hash256& hash) { hashes.push_back(hash); });
    with_hashes.Write(zeros);
    const ContentId id = *with_hashes.Finish();
    const auto torrent = MakeTorrent(id, "a b", hashes);
    ASSERT_TRUE(torrent);
    const std::string root(id.root.begin(), id.root.end());
    const std::string info = "d9:file treed3:a bd0:d6:lengthi262145e11:pieces root32:" + root +
                             "eee12:meta versioni2e4:name3:a b12:piece lengthi262144ee";
    const std::string layers(hashes[0].begin(), hashes[0].end());
    const std::string last(hashes[1].begin(), hashes[1].end());
    EXPECT_EQ(ToString(torrent->bytes), "d4:info" + info + "12:piece layersd32:" + root + "64:" + layers + last + "ee");
    EXPECT_EQ(torrent->infohash, crypto::Sha256Of(AsBytes(info)));
    EXPECT_EQ(torrent->magnet, "magnet:?xt=urn:btmh:1220" + torrent->infohash.Hex() + "&dn=a%20b&xl=262145");
}

TEST(Torrent, ReadsWhatItWrites) {
    for (const size_t size :
         {size_t{1}, size_t{kChunkBytes}, size_t{kChunkBytes + 1}, size_t{700 * kChunkBytes} / 100}) {
        const Content content(size);
        const auto torrent = MakeTorrent(content.id, "name.sealed", content.levels[0]);
        ASSERT_TRUE(torrent) << torrent.error().message;
        const auto read = ReadTorrent(torrent->bytes);
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(read->content, content.id);
        EXPECT_EQ(read->name, "name.sealed");
        for (size_t cut = 0; cut < torrent->bytes.size(); cut += 7)
            EXPECT_FALSE(ReadTorrent(ByteSpan(torrent->bytes).first(cut))) << cut;
    }
}

TEST(Torrent, AHostileTorrentIsRefused) {
    for (const std::string text :
         {"", "d", "de", "i5e", "d4:infodee", "d4:info99999999999999999999:", "d4:infoi-5ee", "d04:infodee",
          "d4:infod9:file treed1:ad1:bd0:d6:lengthi5eeeee12:meta versioni2e12:piece lengthi262144eee",
          "d4:infod9:file treed4:../ad0:d6:lengthi5eeee12:meta versioni2e12:piece lengthi262144eee",
          "d4:infod9:file treed1:ad0:d6:lengthi0eeee12:meta versioni2e12:piece lengthi262144eee",
          "d4:infod9:file treed1:ad0:d6:lengthi5eeee12:meta versioni1e12:piece lengthi262144eee",
          "d4:infod9:file treed1:ad0:d6:lengthi5eeee12:meta versioni2e12:piece lengthi16384eee"})
        EXPECT_FALSE(ReadTorrent(AsBytes(text))) << text;
    EXPECT_FALSE(ReadTorrent(AsBytes(std::string(100'000, 'l'))));  // deep nesting
    EXPECT_FALSE(ReadTorrent(AsBytes("d1:x" + std::string(100'000, 'l'))));
}

TEST(Torrent, FalseHashesOrNamesGiveNone) {
    const Content content(3 * kChunkBytes);
    auto hashes = content.levels[0];
    hashes[2].bytes[0] ^= 1;
    EXPECT_FALSE(MakeTorrent(content.id, "a", hashes));
    hashes = content.levels[0];
    hashes.pop_back();
    EXPECT_FALSE(MakeTorrent(content.id, "a", hashes));
    for (const std::string name : {"", "..", "a/b", "/a", "a\nb"})
        EXPECT_FALSE(MakeTorrent(content.id, name, content.levels[0])) << name;
}

class ImportTest : public testing::Test {
  protected:
    std::unique_ptr<storage::File> File(ByteSpan bytes) {
        EXPECT_TRUE(storage::WriteFileAtomically(disk.files(), "/sealed", bytes));
        return std::move(*disk.files().Open("/sealed", storage::OpenMode::kRead));
    }
    storage::MemoryDisk disk{1};
    std::unique_ptr<ChunkStore> store = std::move(*ChunkStore::Open(disk.files(), "/store", kQuota));
    const Content content{700 * kChunkBytes / 100 + 77};
};

TEST_F(ImportTest, AWholeFileProvesItsOwnHashes) {
    const auto stored = *store->Create(content.id);
    const auto outcome = ImportChunks(*stored, *File(content.bytes));
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->added, 8u);
    EXPECT_TRUE(stored->IsComplete());
    ExpectOnlyTrueChunks(*stored, content);
    EXPECT_EQ(stored->SyncedCount(), 8u);
    const HashSpan all{ChunkIndex(0), 8};
    EXPECT_EQ(stored->ProofOf(all), content.Proof(all));
    EXPECT_EQ(ImportChunks(*stored, *File(content.bytes))->already, 8u);
}

TEST_F(ImportTest, OfAPartialFileWhatIsProvenIsTaken) {
    const auto stored = *store->Create(content.id);
    Bytes holes = content.bytes;
    std::fill_n(holes.begin() + 2 * kChunkBytes, kChunkBytes, uint8_t{0});
    auto outcome = ImportChunks(*stored, *File(holes));
    EXPECT_EQ(outcome->unproven, 8u);
    EXPECT_EQ(stored->Have().count(), 0u);
    ASSERT_TRUE(stored->AddHashes({ChunkIndex(0), 4}, content.Proof({ChunkIndex(0), 4})));
    outcome = ImportChunks(*stored, *File(holes));
    EXPECT_EQ(outcome->added, 3u);
    EXPECT_EQ(outcome->refused, 1u);
    EXPECT_EQ(outcome->unproven, 4u);
    ExpectOnlyTrueChunks(*stored, content);
    // A file that was cut short.
    ASSERT_TRUE(content.AddHashes(*stored));
    outcome = ImportChunks(*stored, *File(ByteSpan(content.bytes).first(6 * kChunkBytes + 1)));
    EXPECT_EQ(outcome->added, 3u);
    EXPECT_EQ(outcome->already, 3u);
    EXPECT_EQ(outcome->refused, 2u);
    ExpectOnlyTrueChunks(*stored, content);
}

TEST_F(ImportTest, AForeignFileBringsNothing) {
    const auto stored = *store->Create(content.id);
    Bytes longer = content.bytes;
    longer.push_back(0);
    EXPECT_THAT(ImportChunks(*stored, *File(longer)).error().message, HasSubstr("more than the content's"));
    ASSERT_TRUE(content.AddHashes(*stored));
    EXPECT_EQ(ImportChunks(*stored, *File(Content(content.bytes.size(), 5).bytes))->refused, 8u);
    EXPECT_EQ(stored->Have().count(), 0u);
}

TEST_F(ImportTest, AFileOfOneChunkIsTaken) {
    const Content small(1000);
    const auto stored = *store->Create(small.id);
    EXPECT_EQ(ImportChunks(*stored, *File(small.bytes))->added, 1u);
    EXPECT_TRUE(stored->IsComplete());
    EXPECT_TRUE(MakeTorrent(*stored, "small"));
}

}  // namespace
}  // namespace sluice::content
