#include "content/sealing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "content/manifest.h"
#include "storage/memory_disk.h"
#include "util/random.h"

namespace sluice::content {
namespace {

using testing::HasSubstr;

crypto::SecretKey TitleKey(uint8_t fill = 5) {
    std::array<uint8_t, 32> bytes;
    bytes.fill(fill);
    return *crypto::SecretKey::FromBytes(bytes);
}
const Salt kSalt(std::array<uint8_t, 32>{9});

Bytes RandomBytes(size_t size, uint64_t seed = 1) {
    Bytes bytes(size);
    SeededRandom(seed).Fill(bytes);
    return bytes;
}

class MemorySource final : public PlainSource {
  public:
    explicit MemorySource(Bytes bytes) : m_bytes(std::move(bytes)) {}
    uint64_t size_bytes() const override { return m_bytes.size(); }
    Status Read(MutableByteSpan into) override {
        std::copy_n(m_bytes.begin() + static_cast<ptrdiff_t>(m_at), into.size(), into.begin());
        m_at += into.size();
        return {};
    }
    Status CheckEnd() override { return {}; }

  private:
    Bytes m_bytes;
    size_t m_at{0};
};

struct MemorySealed final : ChunkSink, ChunkSource {
    Status Put(ChunkIndex chunk, ByteSpan sealed, std::span<const Hash256>) override {
        EXPECT_EQ(ChunkOffset(chunk), bytes.size());
        bytes.insert(bytes.end(), sealed.begin(), sealed.end());
        return {};
    }
    uint64_t size_bytes() const override { return bytes.size(); }
    Status Read(ChunkIndex chunk, MutableByteSpan into) const override {
        std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(ChunkOffset(chunk)), into.size(), into.begin());
        return {};
    }
    Bytes bytes;
};

// A pool of two threads that ends with the test.
class ThreadPool final : public Executor {
  public:
    ~ThreadPool() override {
        for (std::thread& thread : m_threads) thread.join();
    }
    void Post(std::function<void()> task) override { m_threads.emplace_back(std::move(task)); }
    void PostAfter(milliseconds, std::function<void()>) override {}

  private:
    std::vector<std::thread> m_threads;
};

Sealed SealBytes(const Bytes& plain, MemorySealed& out, std::vector<ChunkIndex> segments = {},
                 Executor* pool = nullptr) {
    MemorySource source(plain);
    const auto sealed =
        Seal({&source, 0, std::move(segments)}, ContentKeys::FromTitleKey(TitleKey()), kSalt, out, {}, pool);
    EXPECT_TRUE(sealed.has_value());
    return sealed.value_or(Sealed{});
}

ChunkCipher Cipher(const Sealed& sealed, ContentKeys keys = ContentKeys::FromTitleKey(TitleKey())) {
    return ChunkCipher(std::move(keys), kSalt, sealed.layout);
}

TEST(Sealing, WhatIsSealedOpensAgainAtEveryBoundary) {
    for (const size_t size : {1, 16383, 16384, 16385, 262127, 262128, 262129, 262144, 524256, 524257, 1'000'000}) {
        const Bytes plain = RandomBytes(size);
        MemorySealed out;
        const Sealed sealed = SealBytes(plain, out);
        EXPECT_EQ(out.bytes.size(), SealedSize(size));
        EXPECT_EQ(PlainSize(out.bytes.size()), size);
        EXPECT_EQ(sealed.content.size_bytes, out.bytes.size());
        ContentHasher hasher;
        hasher.Write(out.bytes);
        EXPECT_EQ(hasher.Finish()->root, sealed.content.root) << size;
        PlainReader reader(out, Cipher(sealed));
        ASSERT_EQ(reader.size_bytes(), size);
        Bytes opened(size);
        ASSERT_TRUE(reader.Read(0, opened));
        EXPECT_EQ(opened, plain) << size;
    }
}

TEST(Sealing, SizesThatNoSealingHasAreRefused) {
    EXPECT_EQ(PlainSize(16), 0u);
    EXPECT_EQ(PlainSize(17), 1u);
    EXPECT_EQ(PlainSize(kChunkBytes + 16), 0u);
    EXPECT_EQ(PlainSize(kChunkBytes + 17), kSliceBytes + 1u);
    EXPECT_FALSE(SealedLayout::Whole(kChunkBytes + 16));
    EXPECT_TRUE(SealedLayout::Whole(kChunkBytes + 17));
    EXPECT_FALSE(SealedLayout::Whole(kChunkBytes, 1));
    EXPECT_TRUE(SealedLayout::Whole(kChunkBytes + 17, 1));
    EXPECT_FALSE(SealedLayout::Whole(kMaxContentBytes, kMaxManifestChunks + 1));
}

TEST(Sealing, SegmentsHaveToFollowTheManifestAndRise) {
    SealedLayout layout{10 * kChunkBytes, 1, {ChunkIndex(1), ChunkIndex(4)}};
    EXPECT_TRUE(layout.Check());
    EXPECT_EQ(layout.SegmentOf(ChunkIndex(3)), 0u);
    EXPECT_EQ(layout.SegmentOf(ChunkIndex(4)), 1u);
    layout.segment_starts = {ChunkIndex(0), ChunkIndex(4)};
    EXPECT_FALSE(layout.Check());
    layout.segment_starts = {ChunkIndex(1), ChunkIndex(1)};
    EXPECT_FALSE(layout.Check());
    layout.segment_starts = {ChunkIndex(1), ChunkIndex(9)};
    EXPECT_TRUE(layout.Check());
    layout.segment_starts = {ChunkIndex(1), ChunkIndex(10)};
    EXPECT_FALSE(layout.Check());
}

TEST(Sealing, EveryFlippedBitIsFound) {
    const Bytes plain = RandomBytes(kSliceBytes + 500);
    MemorySealed out;
    const Sealed sealed = SealBytes(plain, out);
    Bytes into(kSliceBytes);
    ChunkCipher cipher = Cipher(sealed);
    SeededRandom random(3);
    for (int i = 0; i < 60; ++i) {
        const size_t at = i == 0 ? 0 : i == 1 ? out.bytes.size() - 1 : random.Below(out.bytes.size());
        const ChunkIndex chunk(static_cast<uint32_t>(at / kChunkBytes));
        Bytes bad = ToBytes(ByteSpan(out.bytes).subspan(ChunkOffset(chunk), ChunkBytes(out.bytes.size(), chunk)));
        bad[at % kChunkBytes] ^= static_cast<uint8_t>(1 << random.Below(8));
        const auto opened = cipher.Open(chunk, bad, into);
        ASSERT_FALSE(opened) << at;
        EXPECT_THAT(opened.error().message, HasSubstr("chunk " + std::to_string(chunk.value)));
    }
}

TEST(Sealing, ChunksCannotBeSwapped) {
    MemorySealed out;
    const Sealed sealed = SealBytes(RandomBytes(3 * kSliceBytes), out);
    Bytes into(kSliceBytes);
    EXPECT_FALSE(Cipher(sealed).Open(ChunkIndex(1), ByteSpan(out.bytes).first(kChunkBytes), into));
    EXPECT_TRUE(Cipher(sealed).Open(ChunkIndex(0), ByteSpan(out.bytes).first(kChunkBytes), into));
}

TEST(Sealing, WrongKeyOrSaltNamesTheChunk) {
    MemorySealed out;
    const Sealed sealed = SealBytes(RandomBytes(100), out);
    Bytes into(100);
    PlainReader wrong_key(out, Cipher(sealed, ContentKeys::FromTitleKey(TitleKey(6))));
    EXPECT_THAT(wrong_key.Read(0, into).error().message, HasSubstr("chunk 0 does not open"));
    PlainReader wrong_salt(out, ChunkCipher(ContentKeys::FromTitleKey(TitleKey()), Salt(), sealed.layout));
    EXPECT_FALSE(wrong_salt.Read(0, into));
}

TEST(Sealing, AnotherSaltGivesOtherBytesAndTheSameGivesTheSame) {
    const Bytes plain = RandomBytes(1000);
    MemorySealed first, second, other;
    SealBytes(plain, first);
    SealBytes(plain, second);
    MemorySource source(plain);
    ASSERT_TRUE(Seal({&source, 0, {}}, ContentKeys::FromTitleKey(TitleKey()), Salt(), other));
    EXPECT_EQ(first.bytes, second.bytes);
    EXPECT_NE(first.bytes, other.bytes);
}

TEST(Sealing, APoolGivesTheSameBytes) {
    const Bytes plain = RandomBytes(40 * kSliceBytes + 17);
    MemorySealed alone, pooled;
    const Sealed first = SealBytes(plain, alone);
    ThreadPool pool;
    const Sealed second = SealBytes(plain, pooled, {}, &pool);
    EXPECT_EQ(alone.bytes, pooled.bytes);
    EXPECT_EQ(first.content, second.content);
}

TEST(Sealing, SegmentKeyOpensItsChunksAlone) {
    const Bytes plain = RandomBytes(4 * kSliceBytes);
    MemorySealed out;
    const Sealed sealed = SealBytes(plain, out, {ChunkIndex(0), ChunkIndex(2)});
    PlainReader reader(out, Cipher(sealed, ContentKeys::FromSegmentKey(1, DeriveSegmentKey(TitleKey(), 1))));
    Bytes into(1000);
    ASSERT_TRUE(reader.Read(2 * kSliceBytes + 5, into));
    EXPECT_TRUE(std::equal(into.begin(), into.end(), plain.begin() + 2 * kSliceBytes + 5));
    const Status refused = reader.Read(2 * kSliceBytes - 1, into);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kNotFound);
    EXPECT_THAT(refused.error().message, HasSubstr("segment 0"));
}

TEST(Sealing, RangesAreReadAcrossChunks) {
    const Bytes plain = RandomBytes(3 * kSliceBytes + 11);
    MemorySealed out;
    const Sealed sealed = SealBytes(plain, out);
    PlainReader reader(out, Cipher(sealed));
    for (const uint64_t offset :
         {uint64_t{0}, uint64_t{kSliceBytes - 1}, uint64_t{2 * kSliceBytes}, uint64_t{plain.size() - 1}}) {
        for (const uint64_t length : {uint64_t{1}, uint64_t{kSliceBytes + 2}}) {
            Bytes into(std::min(length, plain.size() - offset));
            ASSERT_TRUE(reader.Read(offset, into));
            EXPECT_TRUE(std::equal(into.begin(), into.end(), plain.begin() + static_cast<ptrdiff_t>(offset)));
        }
    }
    Bytes two(2);
    EXPECT_FALSE(reader.Read(plain.size() - 1, two));
    EXPECT_FALSE(reader.Read(~uint64_t{0}, two));
    EXPECT_EQ(reader.ChunksOf(kSliceBytes - 1, 2), std::make_pair(ChunkIndex(0), ChunkIndex(1)));
    EXPECT_EQ(reader.ChunksOf(kSliceBytes, ~uint64_t{0}), std::make_pair(ChunkIndex(1), ChunkIndex(3)));
}

// ---- files ----

void WriteFile(storage::FileSystem& files, const std::string& path, ByteSpan bytes) {
    ASSERT_TRUE(storage::WriteFileAtomically(files, path, bytes));
}

TEST(SealingFiles, AFileIsSealedAndOpened) {
    storage::MemoryDisk disk(1);
    auto& files = disk.files();
    const Bytes plain = RandomBytes(600'000);
    WriteFile(files, "/plain", plain);
    auto source = OpenPlainFile(files, "/plain");
    ASSERT_TRUE(source);
    auto part = PartFile::Create(files, "/sealed");
    ASSERT_TRUE(part);
    FileChunkSink sink(*part);
    const auto sealed = Seal({source->get(), 0, {}}, ContentKeys::FromTitleKey(TitleKey()), kSalt, sink);
    ASSERT_TRUE(sealed);
    EXPECT_FALSE(files.Exists("/sealed"));
    ASSERT_TRUE(part->Commit());
    const auto chunks = OpenSealedFile(files, "/sealed");
    ASSERT_TRUE(chunks);
    ASSERT_TRUE(OpenToFile(**chunks, Cipher(*sealed), files, "/opened"));
    EXPECT_EQ(*storage::ReadWholeFile(files, "/opened", 1 << 20), plain);
    const Status again = OpenToFile(**chunks, Cipher(*sealed), files, "/opened");
    ASSERT_FALSE(again);
    EXPECT_THAT(again.error().message, HasSubstr("/opened exists already"));
}

TEST(SealingFiles, APoolOpensTheSameBytes) {
    for (const size_t size : {size_t{1}, size_t{kSliceBytes}, size_t{kSliceBytes} * 16, size_t{kSliceBytes} * 37 + 5}) {
        storage::MemoryDisk disk(1);
        const Bytes plain = RandomBytes(size);
        MemorySealed sealed_bytes;
        const Sealed sealed = SealBytes(plain, sealed_bytes);
        WriteFile(disk.files(), "/sealed", sealed_bytes.bytes);
        {
            ThreadPool pool;
            ASSERT_TRUE(OpenToFile(**OpenSealedFile(disk.files(), "/sealed"), Cipher(sealed), disk.files(), "/opened",
                                   {}, &pool));
        }
        EXPECT_EQ(*storage::ReadWholeFile(disk.files(), "/opened", 16 << 20), plain) << size;
        // A damaged chunk is named, and nothing is left.
        sealed_bytes.bytes.back() ^= 1;
        WriteFile(disk.files(), "/sealed", sealed_bytes.bytes);
        ThreadPool pool;
        const Status bad =
            OpenToFile(**OpenSealedFile(disk.files(), "/sealed"), Cipher(sealed), disk.files(), "/bad", {}, &pool);
        ASSERT_FALSE(bad);
        EXPECT_THAT(bad.error().message, HasSubstr("does not open"));
        EXPECT_FALSE(disk.files().Exists("/bad"));
    }
}

TEST(SealingFiles, SomebodysFileThatEndsInPartStaysAndTheRestOfAnInterruptedRunGives) {
    storage::MemoryDisk disk(1);
    auto& files = disk.files();
    WriteFile(files, "/film.part", RandomBytes(10));
    WriteFile(files, "/film.sluice-part", RandomBytes(20));
    auto part = PartFile::Create(files, "/film");
    ASSERT_TRUE(part);
    ASSERT_TRUE(part->Append(RandomBytes(5)));
    ASSERT_TRUE(part->Commit());
    EXPECT_EQ(storage::ReadWholeFile(files, "/film", 100)->size(), 5u);
    EXPECT_EQ(storage::ReadWholeFile(files, "/film.part", 100)->size(), 10u);
    EXPECT_FALSE(files.Exists("/film.sluice-part"));
}

TEST(SealingFiles, AnEmptyMissingOrChangedFileIsAnError) {
    storage::MemoryDisk disk(1);
    auto& files = disk.files();
    WriteFile(files, "/empty", {});
    EXPECT_THAT(OpenPlainFile(files, "/empty").error().message, HasSubstr("/empty is empty"));
    EXPECT_EQ(OpenPlainFile(files, "/none").error().kind, ErrorKind::kNotFound);
    ASSERT_TRUE(files.CreateDirectories("/folder"));
    EXPECT_FALSE(OpenPlainFile(files, "/folder"));

    for (const uint64_t new_size : {100, 5000}) {
        WriteFile(files, "/changing", RandomBytes(1000));
        auto source = OpenPlainFile(files, "/changing");
        ASSERT_TRUE(source);
        ASSERT_TRUE((*files.Open("/changing", storage::OpenMode::kReadWrite))->Truncate(new_size));
        MemorySealed out;
        const auto sealed = Seal({source->get(), 0, {}}, ContentKeys::FromTitleKey(TitleKey()), kSalt, out);
        ASSERT_FALSE(sealed);
        EXPECT_THAT(sealed.error().message, HasSubstr("changed its size"));
    }
}

TEST(SealingFiles, NothingIsLeftOfAFailedOrStoppedRun) {
    storage::MemoryDisk disk(1);
    auto& files = disk.files();
    MemorySealed out;
    const Sealed sealed = SealBytes(RandomBytes(3 * kSliceBytes), out);
    const auto stop = [](uint64_t done, uint64_t) { return done < kSliceBytes; };
    EXPECT_EQ(OpenToFile(out, Cipher(sealed), files, "/opened", stop).error().kind, ErrorKind::kUnavailable);
    out.bytes[2 * kChunkBytes] ^= 1;
    EXPECT_THAT(OpenToFile(out, Cipher(sealed), files, "/opened").error().message, HasSubstr("chunk 2"));
    out.bytes[2 * kChunkBytes] ^= 1;
    disk.SetCapacity(300'000);
    EXPECT_EQ(OpenToFile(out, Cipher(sealed), files, "/opened").error().kind, ErrorKind::kEnvironment);
    EXPECT_TRUE(files.List("/")->empty());
    disk.SetCapacity(10'000'000);
    EXPECT_TRUE(OpenToFile(out, Cipher(sealed), files, "/opened"));
    EXPECT_EQ(files.List("/")->size(), 1u);
}

TEST(SealingFiles, AfterACrashTheFileIsWholeOrNotThere) {
    MemorySealed out;
    const Bytes plain = RandomBytes(2 * kSliceBytes + 3);
    const Sealed sealed = SealBytes(plain, out);
    for (uint64_t writes = 0; writes < 8; ++writes) {
        storage::MemoryDisk disk(writes);
        disk.FailAfterWrites(writes);
        (void)OpenToFile(out, Cipher(sealed), disk.files(), "/opened");
        disk.Crash();
        if (!disk.files().Exists("/opened")) {
            ASSERT_TRUE(OpenToFile(out, Cipher(sealed), disk.files(), "/opened"));
        }
        EXPECT_EQ(*storage::ReadWholeFile(disk.files(), "/opened", 1 << 20), plain);
    }
}

}  // namespace
}  // namespace sluice::content
