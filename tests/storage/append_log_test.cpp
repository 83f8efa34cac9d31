#include "storage/append_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/memory_disk.h"
#include "storage/temp_folder.h"
#include "util/random.h"

namespace sluice::storage {
namespace {

using ::testing::ElementsAre;

struct Opened {
    std::unique_ptr<AppendLog> log;
    std::vector<std::string> records;
};

Opened OpenLog(FileSystem& files, const std::string& path = "/log") {
    Opened opened;
    auto log = AppendLog::Open(files, path, [&](ByteSpan record) -> Status {
        opened.records.push_back(ToString(record));
        return {};
    });
    EXPECT_TRUE(log) << log.error().message;
    if (log) opened.log = std::move(*log);
    return opened;
}

Bytes Content(FileSystem& files) { return *ReadWholeFile(files, "/log", 1 << 30); }
void SetContent(FileSystem& files, ByteSpan content) { ASSERT_TRUE(WriteFileAtomically(files, "/log", content)); }

TEST(AppendLog, ReplaysTheRecordsInOrder) {
    MemoryDisk disk(1);
    {
        const Opened empty = OpenLog(disk.files());
        EXPECT_TRUE(empty.records.empty());
        EXPECT_EQ(empty.log->size_bytes(), 0u);
        EXPECT_TRUE(empty.log->Append(AsBytes("one"), false));
        EXPECT_TRUE(empty.log->Append({}, false));
        EXPECT_TRUE(empty.log->Append(AsBytes("three"), true));
        EXPECT_EQ(empty.log->size_bytes(), 3 * 8 + 3 + 0 + 5u);
    }
    const Opened again = OpenLog(disk.files());
    EXPECT_THAT(again.records, ElementsAre("one", "", "three"));
    EXPECT_EQ(again.log->size_bytes(), 32u);
    EXPECT_TRUE(again.log->Append(AsBytes("four"), true));
    EXPECT_THAT(OpenLog(disk.files()).records, ElementsAre("one", "", "three", "four"));
}

TEST(AppendLog, WorksOnTheOperatingSystemsFiles) {
    const TempFolder folder;
    const auto files = MakePosixFileSystem();
    ASSERT_TRUE(OpenLog(*files, folder / "log").log->Append(AsBytes("one"), true));
    EXPECT_THAT(OpenLog(*files, folder / "log").records, ElementsAre("one"));
}

TEST(AppendLog, HasTheDocumentedFormat) {
    MemoryDisk disk(1);
    ASSERT_TRUE(OpenLog(disk.files()).log->Append(AsBytes("123456789"), true));
    // length 9 | CRC-32C of length and payload | payload
    EXPECT_EQ(HexEncode(Content(disk.files())),
              "09000000"
              "78d21757"
              "313233343536373839");
}

TEST(AppendLog, TakesRecordsUpToTheLimit) {
    MemoryDisk disk(1);
    Bytes largest(kMaxLogRecordBytes, 7);
    {
        const Opened opened = OpenLog(disk.files());
        EXPECT_TRUE(opened.log->Append(largest, false));
        EXPECT_TRUE(opened.log->Append(AsBytes("after"), false));
        largest.push_back(7);
        const Status over = opened.log->Append(largest, true);
        ASSERT_FALSE(over);
        EXPECT_EQ(over.error().kind, ErrorKind::kInvalid);
        EXPECT_TRUE(opened.log->Append(AsBytes("goes on"), false));
    }
    const Opened again = OpenLog(disk.files());
    ASSERT_EQ(again.records.size(), 3u);
    EXPECT_EQ(again.records[0].size(), kMaxLogRecordBytes);
    EXPECT_EQ(again.records[2], "goes on");
}

TEST(AppendLog, ReadsLogsLargerThanItsBuffer) {
    MemoryDisk disk(1);
    SeededRandom random(5);
    std::vector<std::string> expected;
    {
        const Opened opened = OpenLog(disk.files());
        for (int i = 0; i < 200; ++i) {
            Bytes record(random.Below(20'000));
            random.Fill(record);
            expected.push_back(ToString(ByteSpan(record)));
            ASSERT_TRUE(opened.log->Append(record, false));
        }
    }
    EXPECT_EQ(OpenLog(disk.files()).records, expected);
}

TEST(AppendLog, CutAtAnyByteItKeepsTheWholeRecordsAndGoesOn) {
    MemoryDisk disk(1);
    {
        const Opened opened = OpenLog(disk.files());
        for (const char* record : {"one", "two", "three"}) ASSERT_TRUE(opened.log->Append(AsBytes(record), true));
    }
    const Bytes whole = Content(disk.files());
    const std::vector<std::string> all{"one", "two", "three"};
    for (size_t cut = 0; cut <= whole.size(); ++cut) {
        SetContent(disk.files(), ByteSpan(whole).first(cut));
        const size_t kept = cut >= 35 ? 3 : cut >= 22 ? 2 : cut >= 11 ? 1 : 0;
        std::vector<std::string> expected(all.begin(), all.begin() + static_cast<ptrdiff_t>(kept));
        {
            const Opened opened = OpenLog(disk.files());
            ASSERT_EQ(opened.records, expected) << cut;
            ASSERT_EQ(Content(disk.files()).size(), opened.log->size_bytes());
            ASSERT_TRUE(opened.log->Append(AsBytes("next"), true));
        }
        expected.push_back("next");
        ASSERT_EQ(OpenLog(disk.files()).records, expected) << cut;
    }
}

TEST(AppendLog, DropsARecordWithAnyFlippedBitAndWhatFollows) {
    MemoryDisk disk(1);
    {
        const Opened opened = OpenLog(disk.files());
        for (const char* record : {"one", "two", "three"}) ASSERT_TRUE(opened.log->Append(AsBytes(record), true));
    }
    const Bytes whole = Content(disk.files());
    for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
        Bytes damaged = whole;
        damaged[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
        SetContent(disk.files(), damaged);
        const size_t kept = bit / 8 < 11 ? 0 : bit / 8 < 22 ? 1 : 2;
        ASSERT_EQ(OpenLog(disk.files()).records.size(), kept) << bit;
        ASSERT_EQ(Content(disk.files()).size(), kept * 11) << bit;
    }
}

TEST(AppendLog, AHugeLengthAndATailOfZerosAreTornTails) {
    MemoryDisk disk(1);
    SetContent(disk.files(), Bytes(100, 0xff));
    EXPECT_TRUE(OpenLog(disk.files()).records.empty());
    SetContent(disk.files(), Bytes(100, 0));
    EXPECT_TRUE(OpenLog(disk.files()).records.empty());
    EXPECT_TRUE(Content(disk.files()).empty());
}

TEST(AppendLog, AnErrorOfReplayIsReturnedAndCutsNothing) {
    MemoryDisk disk(1);
    {
        const Opened opened = OpenLog(disk.files());
        ASSERT_TRUE(opened.log->Append(AsBytes("one"), true));
        ASSERT_TRUE(opened.log->Append(AsBytes("two"), true));
    }
    const auto log = AppendLog::Open(disk.files(), "/log", [](ByteSpan) -> Status { return Fail("not mine"); });
    ASSERT_FALSE(log);
    EXPECT_EQ(log.error().message, "not mine");
    EXPECT_THAT(OpenLog(disk.files()).records, ElementsAre("one", "two"));
}

TEST(AppendLog, AFullDiskLeavesTheLogAsItWasAndNothingOfTheFailedRecord) {
    MemoryDisk disk(1);
    // A payload that holds a whole record: it must never be taken for one.
    MemoryDisk other(1);
    ASSERT_TRUE(OpenLog(other.files()).log->Append(AsBytes("forged"), true));
    Bytes payload(4, 'x');  // with its own header, what "four" covers
    const Bytes forged = Content(other.files());
    payload.insert(payload.end(), forged.begin(), forged.end());
    payload.resize(100, 'y');
    {
        const Opened opened = OpenLog(disk.files());
        ASSERT_TRUE(opened.log->Append(AsBytes("one"), true));
        disk.SetCapacity(11 + 60);
        const Status full = opened.log->Append(payload, true);
        ASSERT_FALSE(full);
        EXPECT_EQ(full.error().kind, ErrorKind::kEnvironment);
        EXPECT_EQ(opened.log->size_bytes(), 11u);
        EXPECT_TRUE(opened.log->Append(AsBytes("four"), true));
    }
    EXPECT_THAT(OpenLog(disk.files()).records, ElementsAre("one", "four"));
}

TEST(AppendLog, AfterAFailedSyncNothingMoreIsAppended) {
    MemoryDisk disk(1);
    const Opened opened = OpenLog(disk.files());
    disk.FailAfterWrites(1);
    EXPECT_FALSE(opened.log->Append(AsBytes("one"), true));
    disk.FailAfterWrites(1000);
    EXPECT_FALSE(opened.log->Append(AsBytes("two"), true));
}

TEST(AppendLog, WhatWasReplayedIsDurable) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
        MemoryDisk disk(seed);
        ASSERT_TRUE(OpenLog(disk.files()).log->Append(AsBytes("not synced"), false));
        ASSERT_THAT(OpenLog(disk.files()).records, ElementsAre("not synced"));
        disk.Crash();
        ASSERT_THAT(OpenLog(disk.files()).records, ElementsAre("not synced")) << seed;
    }
}

}  // namespace
}  // namespace sluice::storage
