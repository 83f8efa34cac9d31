#include "storage/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <limits>

#include "storage/memory_disk.h"
#include "storage/temp_folder.h"

namespace sluice::storage {
namespace {

using ::testing::HasSubstr;
using Kind = DirectoryEntry::Kind;

// The same claims about the operating system's files and their twin in memory.
class EachFileSystem : public ::testing::TestWithParam<bool> {
  protected:
    EachFileSystem() : m_disk(1) {
        if (GetParam()) {
            m_folder.emplace();
            m_posix = MakePosixFileSystem();
            m_root = m_folder->path();
        } else {
            m_root = "/data";
            EXPECT_TRUE(files().CreateDirectories(m_root));
        }
    }
    FileSystem& files() { return m_posix ? *m_posix : m_disk.files(); }
    std::string Path(const std::string& name) const { return m_root + "/" + name; }
    void Put(const std::string& name, std::string_view text) {
        ASSERT_TRUE(WriteFileAtomically(files(), Path(name), AsBytes(text)));
    }
    std::string Text(const std::string& name) {
        const auto bytes = ReadWholeFile(files(), Path(name), 1 << 20);
        return bytes ? ToString(ByteSpan(*bytes)) : "error: " + bytes.error().message;
    }
    std::vector<std::string> Names(const std::string& folder) {
        std::vector<std::string> names;
        const auto entries = files().List(folder);
        if (!entries) return {"error: " + entries.error().message};
        for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
        return names;
    }

    MemoryDisk m_disk;
    std::optional<TempFolder> m_folder;
    std::unique_ptr<FileSystem> m_posix;
    std::string m_root;
};

INSTANTIATE_TEST_SUITE_P(, EachFileSystem, ::testing::Values(true, false),
                         [](const auto& info) { return std::string(info.param ? "Posix" : "Memory"); });

// A file system in memory, of which every kernel can read without waiting.
TEST(PosixFile, WhatIsInMemoryIsReadWithoutWaitingForADisk) {
    const std::string path = "/dev/shm/sluice-test-" + std::to_string(getpid());
    const auto files = MakePosixFileSystem();
    {
        auto file = files->Open(path, OpenMode::kCreateNew);
        ASSERT_TRUE(file) << file.error().message;
        ASSERT_TRUE((*file)->WriteAt(0, Bytes(100, 7)));
        ASSERT_TRUE((*file)->WriteAt(100, Bytes(100, 8)));
        Bytes into(100);
        EXPECT_TRUE((*file)->ReadCached(100, into));
        EXPECT_EQ(into, Bytes(100, 8));
        EXPECT_FALSE((*file)->ReadCached(101, into)) << "the file ends a byte before";
        EXPECT_FALSE((*file)->ReadCached(std::numeric_limits<uint64_t>::max(), into));
    }
    EXPECT_TRUE(files->Remove(path));
}

TEST_P(EachFileSystem, AReadWithoutWaitingGivesTheFilesBytesOrNothing) {
    Put("file", "abcdef");
    auto file = files().Open(Path("file"), OpenMode::kRead);
    ASSERT_TRUE(file);
    Bytes into(4);
    if ((*file)->ReadCached(2, into)) EXPECT_EQ(ToString(ByteSpan(into)), "cdef");
    EXPECT_FALSE((*file)->ReadCached(3, into));
}

TEST_P(EachFileSystem, OpenFollowsItsMode) {
    const std::string path = Path("file");
    EXPECT_EQ(files().Open(path, OpenMode::kRead).error().kind, ErrorKind::kNotFound);
    EXPECT_EQ(files().Open(path, OpenMode::kReadWrite).error().kind, ErrorKind::kNotFound);
    EXPECT_FALSE(files().Exists(path));
    EXPECT_TRUE(files().Open(path, OpenMode::kCreateNew));
    EXPECT_TRUE(files().Exists(path));
    const auto again = files().Open(path, OpenMode::kCreateNew);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::kEnvironment);
    EXPECT_THAT(again.error().message, HasSubstr(path));
    EXPECT_THAT(again.error().message, HasSubstr("File exists"));
    EXPECT_TRUE(files().Open(path, OpenMode::kCreateOrOpen));
    EXPECT_TRUE(files().Open(path, OpenMode::kReadWrite));
    EXPECT_TRUE(files().Open(Path("other"), OpenMode::kCreateOrOpen));
    EXPECT_EQ(files().Open(Path("missing/file"), OpenMode::kCreateOrOpen).error().kind, ErrorKind::kEnvironment);
}

TEST_P(EachFileSystem, ADirectoryIsNotOpenedAsAFile) {
    ASSERT_TRUE(files().CreateDirectories(Path("folder")));
    for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite, OpenMode::kCreateOrOpen}) {
        const auto opened = files().Open(Path("folder"), mode);
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().kind, ErrorKind::kEnvironment);
        EXPECT_THAT(opened.error().message, HasSubstr("is a directory"));
        EXPECT_THAT(opened.error().message, HasSubstr(Path("folder")));
    }
}

TEST_P(EachFileSystem, ReadsBackWhatWasWrittenAndZerosInHoles) {
    const auto file = std::move(*files().Open(Path("file"), OpenMode::kCreateNew));
    ASSERT_TRUE(file->WriteAt(0, AsBytes("abc")));
    ASSERT_TRUE(file->WriteAt(5, AsBytes("xyz")));
    ASSERT_TRUE(file->WriteAt(1, AsBytes("B")));
    ASSERT_TRUE(file->WriteAt(100, {}));
    EXPECT_EQ(*file->Size(), 8u);
    Bytes all(8);
    ASSERT_TRUE(file->ReadAt(0, all));
    EXPECT_EQ(ToString(ByteSpan(all)), std::string("aBc\0\0xyz", 8));
    Bytes end(3);
    ASSERT_TRUE(file->ReadAt(5, end));
    EXPECT_EQ(ToString(ByteSpan(end)), "xyz");
    EXPECT_TRUE(file->Sync());
}

TEST_P(EachFileSystem, ReadingOneByteTooFarIsAnErrorThatNamesTheFile) {
    Put("file", "12345");
    const auto file = std::move(*files().Open(Path("file"), OpenMode::kRead));
    Bytes five(5), six(6), one(1);
    EXPECT_TRUE(file->ReadAt(0, five));
    EXPECT_TRUE(file->ReadAt(5, MutableByteSpan()));
    for (const Status& status : {file->ReadAt(0, six), file->ReadAt(1, five), file->ReadAt(5, one),
                                 file->ReadAt(std::numeric_limits<uint64_t>::max(), one)}) {
        ASSERT_FALSE(status);
        EXPECT_EQ(status.error().kind, ErrorKind::kEnvironment);
        EXPECT_THAT(status.error().message, HasSubstr(Path("file")));
    }
}

TEST_P(EachFileSystem, AFileOpenedToReadIsNotWritten) {
    Put("file", "12345");
    const auto file = std::move(*files().Open(Path("file"), OpenMode::kRead));
    EXPECT_FALSE(file->WriteAt(0, AsBytes("x")));
    EXPECT_FALSE(file->Truncate(0));
    EXPECT_EQ(Text("file"), "12345");
}

TEST_P(EachFileSystem, AnOffsetOutOfRangeIsAnError) {
    const auto file = std::move(*files().Open(Path("file"), OpenMode::kCreateNew));
    EXPECT_FALSE(file->WriteAt(std::numeric_limits<uint64_t>::max(), AsBytes("x")));
    EXPECT_FALSE(file->WriteAt(std::numeric_limits<int64_t>::max(), AsBytes("x")));
    EXPECT_EQ(*file->Size(), 0u);
}

TEST_P(EachFileSystem, TruncateCutsAndExtendsWithZeros) {
    const auto file = std::move(*files().Open(Path("file"), OpenMode::kCreateNew));
    ASSERT_TRUE(file->WriteAt(0, AsBytes("12345")));
    ASSERT_TRUE(file->Truncate(2));
    ASSERT_TRUE(file->Truncate(4));
    EXPECT_EQ(Text("file"), std::string("12\0\0", 4));
}

TEST_P(EachFileSystem, ListIsSortedAndTellsKindsAndSizes) {
    ASSERT_TRUE(files().CreateDirectories(Path("a/b/c")));
    ASSERT_TRUE(files().CreateDirectories(Path("a/b/c")));
    Put("a/z", "123");
    Put("a/b!", "");
    Put("a/b0", "1");
    Put("a/b/deep", "1");
    const auto entries = files().List(Path("a"));
    ASSERT_TRUE(entries);
    ASSERT_EQ(Names(Path("a")), (std::vector<std::string>{"b", "b!", "b0", "z"}));
    EXPECT_EQ((*entries)[0].kind, Kind::kDirectory);
    EXPECT_EQ((*entries)[3].kind, Kind::kFile);
    EXPECT_EQ((*entries)[3].size_bytes, 3u);
    EXPECT_EQ(files().List(Path("missing")).error().kind, ErrorKind::kNotFound);
    EXPECT_EQ(files().List(Path("a/z")).error().kind, ErrorKind::kEnvironment);
}

TEST_P(EachFileSystem, StatTellsNameKindAndSize) {
    ASSERT_TRUE(files().CreateDirectories(Path("folder")));
    Put("folder/file", "1234");
    const auto file = files().Stat(Path("folder/file"));
    ASSERT_TRUE(file);
    EXPECT_EQ(file->name, "file");
    EXPECT_EQ(file->kind, Kind::kFile);
    EXPECT_EQ(file->size_bytes, 4u);
    const auto folder = files().Stat(Path("folder/"));
    ASSERT_TRUE(folder);
    EXPECT_EQ(folder->name, "folder");
    EXPECT_EQ(folder->kind, Kind::kDirectory);
    EXPECT_EQ(files().Stat(Path("missing")).error().kind, ErrorKind::kNotFound);
}

TEST_P(EachFileSystem, CreateDirectoriesFailsWhereAFileIsInTheWay) {
    Put("file", "");
    EXPECT_EQ(files().CreateDirectories(Path("file")).error().kind, ErrorKind::kEnvironment);
    EXPECT_EQ(files().CreateDirectories(Path("file/below")).error().kind, ErrorKind::kEnvironment);
}

TEST_P(EachFileSystem, RenameReplacesFilesAndMovesFolders) {
    Put("old", "new content");
    Put("target", "old content");
    ASSERT_TRUE(files().Rename(Path("old"), Path("target")));
    EXPECT_EQ(Text("target"), "new content");
    EXPECT_FALSE(files().Exists(Path("old")));
    EXPECT_EQ(files().Rename(Path("old"), Path("target")).error().kind, ErrorKind::kNotFound);

    ASSERT_TRUE(files().CreateDirectories(Path("from/deep")));
    Put("from/deep/file", "1");
    EXPECT_FALSE(files().Rename(Path("from"), Path("from/deep/inside")));
    EXPECT_FALSE(files().Rename(Path("from"), Path("target")));
    EXPECT_FALSE(files().Rename(Path("target"), Path("from")));
    EXPECT_FALSE(files().Rename(Path("from"), Path("missing/to")));
    ASSERT_TRUE(files().Rename(Path("from"), Path("to")));
    EXPECT_EQ(Text("to/deep/file"), "1");
    EXPECT_FALSE(files().Exists(Path("from")));
    ASSERT_TRUE(files().CreateDirectories(Path("full")));
    Put("full/file", "1");
    EXPECT_FALSE(files().Rename(Path("to"), Path("full")));
}

TEST_P(EachFileSystem, RemoveTakesFilesAndEmptyFolders) {
    ASSERT_TRUE(files().CreateDirectories(Path("folder")));
    Put("folder/file", "1");
    EXPECT_EQ(files().Remove(Path("folder")).error().kind, ErrorKind::kEnvironment);
    EXPECT_TRUE(files().Remove(Path("folder/file")));
    EXPECT_TRUE(files().Remove(Path("folder")));
    EXPECT_FALSE(files().Exists(Path("folder")));
    EXPECT_EQ(files().Remove(Path("folder")).error().kind, ErrorKind::kNotFound);
}

TEST_P(EachFileSystem, ARemovedFileStaysReadableWhileOpen) {
    Put("file", "12345");
    const auto file = std::move(*files().Open(Path("file"), OpenMode::kRead));
    ASSERT_TRUE(files().Remove(Path("file")));
    Bytes five(5);
    EXPECT_TRUE(file->ReadAt(0, five));
}

TEST_P(EachFileSystem, FreeBytesAsksAboutAFolderThatExists) {
    const auto free = files().FreeBytes(m_root);
    ASSERT_TRUE(free);
    EXPECT_GT(*free, 0u);
    EXPECT_EQ(files().FreeBytes(Path("missing")).error().kind, ErrorKind::kNotFound);
}

TEST_P(EachFileSystem, WriteFileAtomicallyReplacesAndLeavesNoTemporary) {
    Put("file", "first");
    Put("file.tmp", "left by a crash, and longer than the content");
    Put("file", "second");
    EXPECT_EQ(Text("file"), "second");
    Put("file", "");
    EXPECT_EQ(Text("file"), "");
    EXPECT_EQ(Names(m_root), (std::vector<std::string>{"file"}));
}

TEST_P(EachFileSystem, WriteFileAtomicallyCleansUpWhenItFails) {
    ASSERT_TRUE(files().CreateDirectories(Path("folder/full")));
    EXPECT_FALSE(WriteFileAtomically(files(), Path("folder"), AsBytes("x")));
    EXPECT_FALSE(WriteFileAtomically(files(), Path("missing/file"), AsBytes("x")));
    EXPECT_EQ(Names(m_root), (std::vector<std::string>{"folder"}));
}

TEST_P(EachFileSystem, ReadWholeFileKeepsToItsLimit) {
    Put("file", "12345");
    EXPECT_TRUE(ReadWholeFile(files(), Path("file"), 5));
    const auto over = ReadWholeFile(files(), Path("file"), 4);
    ASSERT_FALSE(over);
    EXPECT_EQ(over.error().kind, ErrorKind::kEnvironment);
    EXPECT_THAT(over.error().message, HasSubstr("limit of 4"));
    EXPECT_EQ(ReadWholeFile(files(), Path("missing"), 4).error().kind, ErrorKind::kNotFound);
}

TEST_P(EachFileSystem, AKeyValueStoreIsAFolder) {
    {
        const auto store = files().OpenKeyValue(Path("deep/store"), 1 << 20);
        ASSERT_TRUE(store);
        EXPECT_EQ(files().Stat(Path("deep/store"))->kind, Kind::kDirectory);
        EXPECT_FALSE(files().Remove(Path("deep/store")));
    }
    const auto entries = files().List(Path("deep/store"));
    ASSERT_TRUE(entries);
    for (const DirectoryEntry& entry : *entries) EXPECT_TRUE(files().Remove(Path("deep/store/" + entry.name)));
    EXPECT_TRUE(files().Remove(Path("deep/store")));
    Put("file", "1");
    EXPECT_EQ(files().OpenKeyValue(Path("file"), 1 << 20).error().kind, ErrorKind::kEnvironment);
}

TEST(PosixFileSystem, NewFilesAndFoldersAreForTheirOwnerAlone) {
    const TempFolder folder;
    const auto files = MakePosixFileSystem();
    ASSERT_TRUE(files->CreateDirectories(folder / "a/b"));
    ASSERT_TRUE(files->Open(folder / "a/file", OpenMode::kCreateOrOpen));
    ASSERT_TRUE(files->OpenKeyValue(folder / "store", 1 << 20));
    struct stat info;
    for (const std::string name : {"a", "a/b", "store"}) {
        ASSERT_EQ(stat((folder / name).c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777, 0700u) << name;
    }
    ASSERT_EQ(stat((folder / "a/file").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(PosixFileSystem, SymbolicLinksAreOtherInListsAndFollowedByStat) {
    const TempFolder folder;
    const auto files = MakePosixFileSystem();
    ASSERT_TRUE(files->CreateDirectories(folder / "real"));
    std::filesystem::create_symlink(folder / "real", folder / "link");
    const auto entries = files->List(folder.path());
    ASSERT_TRUE(entries);
    ASSERT_EQ(entries->size(), 2u);
    EXPECT_EQ((*entries)[0].name, "link");
    EXPECT_EQ((*entries)[0].kind, Kind::kOther);
    EXPECT_EQ(files->Stat(folder / "link")->kind, Kind::kDirectory);
    EXPECT_TRUE(files->CreateDirectories(folder / "link/below"));
}

TEST(PosixFileSystem, APipeIsRefusedAtOnce) {
    const TempFolder folder;
    ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
    const auto opened = MakePosixFileSystem()->Open(folder / "pipe", OpenMode::kRead);
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().message, HasSubstr("a device, pipe or socket"));
}

// Lets no file of this process grow over `bytes` while it lives.
class FileSizeLimit {
  public:
    explicit FileSizeLimit(rlim_t bytes) {
        getrlimit(RLIMIT_FSIZE, &m_old);
        m_old_handler = signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{bytes, m_old.rlim_max};
        EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    }
    ~FileSizeLimit() {
        setrlimit(RLIMIT_FSIZE, &m_old);
        signal(SIGXFSZ, m_old_handler);
    }

  private:
    rlimit m_old;
    void (*m_old_handler)(int);
};

TEST(PosixFileSystem, AWriteThatDoesNotFitIsAnEnvironmentErrorWithTheReason) {
    const TempFolder folder;
    const auto files = MakePosixFileSystem();
    const auto file = std::move(*files->Open(folder / "file", OpenMode::kCreateNew));
    ASSERT_TRUE(WriteFileAtomically(*files, folder / "kept", AsBytes("old")));
    const FileSizeLimit limit(4096);
    EXPECT_TRUE(file->WriteAt(0, Bytes(4096)));
    const Status over = file->WriteAt(4000, Bytes(4096));
    ASSERT_FALSE(over);
    EXPECT_EQ(over.error().kind, ErrorKind::kEnvironment);
    EXPECT_EQ(over.error().message, "cannot write " + (folder / "file") + ": File too large");
    EXPECT_FALSE(WriteFileAtomically(*files, folder / "kept", Bytes(4097)));
    EXPECT_EQ(ToString(ByteSpan(*ReadWholeFile(*files, folder / "kept", 100))), "old");
    EXPECT_FALSE(files->Exists(folder / "kept.tmp"));
}

TEST(FileLock, IsExclusiveWhileItLives) {
    const TempFolder folder;
    {
        auto first = FileLock::Acquire(folder / "lock");
        ASSERT_TRUE(first);
        const auto second = FileLock::Acquire(folder / "lock");
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
        EXPECT_THAT(second.error().message, HasSubstr(folder / "lock"));
        const FileLock moved = std::move(*first);
        EXPECT_FALSE(FileLock::Acquire(folder / "lock"));
    }
    EXPECT_TRUE(FileLock::Acquire(folder / "lock"));
    EXPECT_EQ(FileLock::Acquire(folder / "missing/lock").error().kind, ErrorKind::kEnvironment);
}

}  // namespace
}  // namespace sluice::storage
