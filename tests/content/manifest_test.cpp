#include "content/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "storage/memory_disk.h"
#include "util/random.h"

namespace sluice::content {
namespace {

using testing::HasSubstr;

const Salt kSalt(std::array<uint8_t, 32>{9});
crypto::SecretKey TitleKey() { return *crypto::SecretKey::FromBytes(Bytes(32, 5)); }

Bytes RandomBytes(size_t size, uint64_t seed) {
    Bytes bytes(size);
    SeededRandom(seed).Fill(bytes);
    return bytes;
}

TEST(Manifest, PathsThatLeaveTheFolderOrHideSomethingAreRefused) {
    for (const std::string path : {"",     "/a",       "a/",           "a//b",          ".",
                                   "..",   "a/../b",   "../a",         "a/..",          "./a",
                                   "a\\b", "a\nb",     "a\x7f",        "\x1b[2J",       "a\xc2\x85",
                                   "\xff", "\xc0\xaf", "\xed\xa0\x80", "a\xe2\x80\xae", "\xf4\x90\x80\x80"}) {
        EXPECT_FALSE(CheckPath(path)) << HexEncode(AsBytes(path));
    }
    EXPECT_FALSE(CheckPath(std::string("a\0b", 3)));
    EXPECT_TRUE(CheckPath(std::string(255, 'a')));
    EXPECT_FALSE(CheckPath(std::string(256, 'a')));
    std::string deep = "a";
    for (size_t parts = 1; parts < kMaxPathParts; ++parts) deep += "/a";
    EXPECT_TRUE(CheckPath(deep));
    EXPECT_FALSE(CheckPath(deep + "/a"));
    for (const std::string path :
         {"a", "...", "..a", "a/b/c.txt", ".hidden", "\xc3\xa9t\xc3\xa9", "a b", "\xf0\x9f\x8e\xac.mkv"}) {
        EXPECT_TRUE(CheckPath(path)) << path;
    }
}

Manifest Make(std::vector<ManifestEntry> entries) { return Manifest{std::move(entries)}; }

TEST(Manifest, NamesThatClashOnSomeFileSystemAreRefused) {
    EXPECT_TRUE(Make({{"A", 1}, {"b", 1}}).Check());
    EXPECT_FALSE(Make({{"A", 1}, {"a", 1}}).Check());
    EXPECT_FALSE(Make({{"a", 1}, {"a", 1}}).Check());
    EXPECT_TRUE(Make({{"b", 1}, {"a", 1}}).Check());
    EXPECT_FALSE(Make({{"b", 1}, {"a", 1}, {"b", 2}}).Check());
    EXPECT_FALSE(Make({{"X/\xc3\x89", 1}, {"x/\xc3\xa9", 1}}).Check());
    EXPECT_FALSE(Make({{"\xd0\x96", 1}, {"\xd0\xb6", 1}}).Check());
    EXPECT_FALSE(Make({{"caf\xc3\xa9", 1}, {"cafe\xcc\x81", 1}}).Check());  // composed and not
    EXPECT_FALSE(Make({{"stra\xc3\x9f"
                        "e",
                        1},
                       {"STRASSE", 1}})
                     .Check());
    EXPECT_FALSE(Make({{"a", 1}, {"a\xe2\x80\x8b", 1}}).Check());  // a space that nobody sees
    EXPECT_TRUE(Make({{"cafe", 1}, {"caf\xc3\xa9", 1}}).Check());
    EXPECT_FALSE(Make({{"A", 1}, {"a/b", 1}}).Check());
    EXPECT_FALSE(Make({{"a", 1}, {"a/b", 1}}).Check());
    EXPECT_TRUE(Make({{"a", 1}, {"a.b", 1}, {"ab/c", 1}}).Check());
    EXPECT_FALSE(Make({{"A", 1}, {"a b/c", 1}, {"a-b", 1}, {"a.b/c", 1}, {"a/b/c", 1}}).Check());
    EXPECT_FALSE(Make({{"x/a/b/c", 1}, {"x/a b", 1}, {"x/a", 1}}).Check());
}

TEST(Manifest, AFolderWithoutAByteIsRefused) {
    EXPECT_FALSE(Make({}).Check());
    EXPECT_FALSE(Make({{"a", 0}, {"b", 0}}).Check());
    EXPECT_TRUE(Make({{"a", 0}, {"b", 1}}).Check());
    EXPECT_TRUE(Make({{"a", kMaxContentBytes}}).Check());
    EXPECT_FALSE(Make({{"a", kMaxContentBytes}, {"b", 1}}).Check());
    EXPECT_FALSE(Make({{"a", ~uint64_t{0}}, {"b", 2}}).Check());
}

TEST(Manifest, DecodesOnlyWhatItEncodes) {
    const Manifest manifest{{{"a/b", 5, true, true}, {"c", 0, false}}};
    for (const uint32_t slot_bytes : {0u, 96u}) {
        Bytes bytes = *EncodeManifest(manifest, slot_bytes);
        EXPECT_EQ(bytes.size() + slot_bytes, kSliceBytes);
        EXPECT_EQ(*DecodeManifest(bytes), manifest);
        bytes.back() = 1;
        EXPECT_FALSE(DecodeManifest(bytes));
        bytes.back() = 0;
        bytes[0] = 2;
        EXPECT_THAT(DecodeManifest(bytes).error().message, HasSubstr("version 2"));
        bytes[0] = 1;
        bytes.resize(bytes.size() + kSliceBytes);
        EXPECT_FALSE(DecodeManifest(bytes));
    }
    EXPECT_FALSE(DecodeManifest({}));
    const Bytes encoded = Encode(manifest);
    for (size_t size = 0; size < encoded.size(); ++size)
        EXPECT_FALSE(DecodeManifest(ByteSpan(encoded).first(size))) << size;
}

TEST(Manifest, AHugeCountIsRefusedBeforeAllocation) {
    EXPECT_FALSE(DecodeManifest(*HexDecode("01feffffffff")));
    EXPECT_FALSE(DecodeManifest(*HexDecode("01fea0860100")));
}

// A folder on a disk in memory, and what it is after sealing and opening.
class FolderTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(files.CreateDirectories("/in/deep/er")); }
    void Put(const std::string& path, const Bytes& bytes) {
        ASSERT_TRUE(storage::WriteFileAtomically(files, "/in/" + path, bytes));
        contents[path] = bytes;
    }
    void PutThree() {
        Put("a", RandomBytes(1000, 1));
        Put("deep/er/b", RandomBytes(kSliceBytes + 5, 2));
        Put("empty", {});
        Put("z", RandomBytes(77, 3));
    }
    Result<Sealed> SealFolder(bool aligned, std::vector<uint32_t> starts_after_manifest) {
        ASSIGN_OR_RETURN(Manifest manifest, ScanFolder(files, "/in", modes));
        for (ManifestEntry& entry : manifest.entries) entry.aligned = aligned && entry.size_bytes > 0;
        ASSIGN_OR_RETURN(const FolderSource folder,
                         OpenPlainFolder(files, "/in", manifest, starts_after_manifest.size()));
        ASSIGN_OR_RETURN(PartFile part, PartFile::Create(files, "/sealed"));
        FileChunkSink sink(part);
        SealJob job{folder.source.get(), folder.manifest_chunks, {}};
        for (const uint32_t start : starts_after_manifest)
            job.segment_starts.emplace_back(start + folder.manifest_chunks);
        ASSIGN_OR_RETURN(Sealed sealed, Seal(job, ContentKeys::FromTitleKey(TitleKey()), kSalt, sink));
        RETURN_IF_ERROR(part.Commit());
        return sealed;
    }
    Result<size_t> OpenFolder(const Sealed& sealed, ContentKeys keys) {
        ASSIGN_OR_RETURN(const auto source, OpenSealedFile(files, "/sealed"));
        return OpenToFolder(*source, ChunkCipher(std::move(keys), kSalt, sealed.layout), files, "/out", modes);
    }
    void ExpectOut(const std::string& path) {
        EXPECT_EQ(*storage::ReadWholeFile(files, "/out/" + path, 1 << 20), contents[path]) << path;
    }

    storage::MemoryDisk disk{1};
    storage::FileSystem& files = disk.files();
    std::map<std::string, Bytes> contents;
    std::set<std::string> executables{"/in/z"};
    FileModes modes{[this](const std::string& path) { return executables.contains(path); },
                    [this](const std::string& path) -> Status { return executables.insert(path), Status(); }};
};

// What a hostile publisher may seal: a manifest that no honest program makes.
TEST_F(FolderTest, AHostileManifestMadeByHandWritesNothing) {
    ASSERT_TRUE(files.CreateDirectories("/home"));
    const Bytes data = RandomBytes(100, 7);
    for (const std::string path : {"/home/evil", "../evil", "a/../../evil", "..", "a//b", "a\\b", "con\ntrol", ""}) {
        Bytes plain = Encode(Manifest{{{path, data.size(), false}}});
        plain.resize(kSliceBytes);  // one slice of manifest
        plain.insert(plain.end(), data.begin(), data.end());
        ASSERT_TRUE(storage::WriteFileAtomically(files, "/plain", plain));
        const auto source = OpenPlainFile(files, "/plain");
        if (files.Exists("/sealed")) {
            ASSERT_TRUE(files.Remove("/sealed"));
        }
        auto part = PartFile::Create(files, "/sealed");
        FileChunkSink sink(*part);
        const auto sealed = Seal({source->get(), 1, {}}, ContentKeys::FromTitleKey(TitleKey()), kSalt, sink);
        ASSERT_TRUE(sealed);
        ASSERT_TRUE(part->Commit());
        const auto opened = OpenFolder(*sealed, ContentKeys::FromTitleKey(TitleKey()));
        ASSERT_FALSE(opened) << path;
        EXPECT_THAT(opened.error().message, HasSubstr("path")) << path;
        EXPECT_FALSE(files.Exists("/out"));
        EXPECT_FALSE(files.Exists("/out.sluice-part"));
        EXPECT_FALSE(files.Exists("/evil"));
        EXPECT_TRUE(files.List("/home")->empty());
    }
}

TEST_F(FolderTest, AFolderIsSealedAndOpened) {
    PutThree();
    for (const bool aligned : {false, true}) {
        const auto sealed = SealFolder(aligned, {});
        ASSERT_TRUE(sealed);
        EXPECT_EQ(sealed->layout.manifest_chunks, 1u);
        const auto written = OpenFolder(*sealed, ContentKeys::FromTitleKey(TitleKey()));
        ASSERT_TRUE(written) << written.error().message;
        EXPECT_EQ(*written, 4u);
        for (const auto& [path, bytes] : contents) ExpectOut(path);
        EXPECT_TRUE(executables.contains("/out.sluice-part/z"));
        EXPECT_FALSE(executables.contains("/out.sluice-part/a"));
        EXPECT_FALSE(OpenFolder(*sealed, ContentKeys::FromTitleKey(TitleKey())));  // it exists
        for (const auto& [path, bytes] : contents) ASSERT_TRUE(files.Remove("/out/" + path));
        for (const std::string folder : {"/out/deep/er", "/out/deep", "/out", "/sealed"})
            ASSERT_TRUE(files.Remove(folder));
    }
}

TEST_F(FolderTest, ASegmentKeyOpensTheManifestAndItsOwnFiles) {
    PutThree();
    const auto sealed = SealFolder(true, {0, 1, 3});  // a | deep/er/b | z
    ASSERT_TRUE(sealed);
    const auto written = OpenFolder(*sealed, ContentKeys::FromSegmentKey(1, DeriveSegmentKey(TitleKey(), 1)));
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(*written, 2u);
    ExpectOut("deep/er/b");
    EXPECT_FALSE(files.Exists("/out/a"));
    EXPECT_FALSE(files.Exists("/out/z"));
}

TEST_F(FolderTest, AWrongSegmentKeyOpensNothing) {
    PutThree();
    const auto sealed = SealFolder(true, {0, 1, 3});
    ASSERT_TRUE(sealed);
    const auto written = OpenFolder(*sealed, ContentKeys::FromSegmentKey(1, DeriveSegmentKey(TitleKey(), 2)));
    ASSERT_FALSE(written);
    EXPECT_THAT(written.error().message, HasSubstr("segment 1"));
    EXPECT_FALSE(files.Exists("/out"));
    EXPECT_FALSE(files.Exists("/out.sluice-part"));
}

TEST_F(FolderTest, AFolderOfEmptyFilesIsRefused) {
    EXPECT_FALSE(ScanFolder(files, "/in"));
    Put("a", {});
    EXPECT_FALSE(ScanFolder(files, "/in"));
    EXPECT_EQ(ScanFolder(files, "/none").error().kind, ErrorKind::kNotFound);
}

TEST_F(FolderTest, AFileThatChangesMeanwhileIsAnError) {
    PutThree();
    const auto manifest = ScanFolder(files, "/in");
    ASSERT_TRUE(manifest);
    for (const std::string path : {"a", "empty", "z"}) {
        const auto folder = OpenPlainFolder(files, "/in", *manifest);
        const Bytes before = contents[path];
        Put(path, RandomBytes(50, 9));
        auto part = PartFile::Create(files, "/changed");
        FileChunkSink sink(*part);
        const auto sealed = Seal({folder->source.get(), folder->manifest_chunks, {}},
                                 ContentKeys::FromTitleKey(TitleKey()), kSalt, sink);
        ASSERT_FALSE(sealed) << path;
        EXPECT_THAT(sealed.error().message, HasSubstr("/in/" + path + " changed its size"));
        Put(path, before);
    }
    EXPECT_FALSE(files.Exists("/changed"));
}

TEST_F(FolderTest, NothingIsLeftWhenTheDiskFillsUp) {
    PutThree();
    const auto sealed = SealFolder(false, {});
    ASSERT_TRUE(sealed);
    disk.SetCapacity(900'000);
    const auto full = OpenFolder(*sealed, ContentKeys::FromTitleKey(TitleKey()));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().kind, ErrorKind::kEnvironment);
    EXPECT_FALSE(files.Exists("/out"));
    EXPECT_FALSE(files.Exists("/out.sluice-part"));
}

}  // namespace
}  // namespace sluice::content
