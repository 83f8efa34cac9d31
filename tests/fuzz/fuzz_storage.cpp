#include "fuzz.h"
#include "storage/append_log.h"
#include "storage/memory_disk.h"

namespace sluice::fuzz {
namespace {

using namespace storage;

// A log file of any bytes opens, replays whole records only, takes a new record, and gives the same ones and that one
// when opened again.
void RunAppendLog(ByteSpan input) {
    MemoryDisk disk(1);
    FileSystem& files = disk.files();
    {
        auto file = files.Open("/log", OpenMode::kCreateNew);
        CHECK(file.has_value());
        CHECK((*file)->WriteAt(0, input).has_value());
        CHECK((*file)->Sync().has_value());
    }
    std::vector<Bytes> first, second;
    const auto collect = [](std::vector<Bytes>& into) {
        return [&into](ByteSpan record) {
            CHECK(record.size() <= kMaxLogRecordBytes);
            into.push_back(ToBytes(record));
            return Status();
        };
    };
    {
        auto log = AppendLog::Open(files, "/log", collect(first));
        CHECK(log.has_value());
        CHECK((*log)->size_bytes() <= input.size());
        CHECK((*log)->Append(Bytes{1, 2, 3}, true).has_value());
    }
    disk.Crash();
    auto log = AppendLog::Open(disk.files(), "/log", collect(second));
    CHECK(log.has_value());
    if (!first.empty()) NoteAccepted();
    first.push_back({1, 2, 3});
    CHECK(first == second);
}

std::vector<Seed> AppendLogSeeds() {
    MemoryDisk disk(1);
    {
        auto log = AppendLog::Open(disk.files(), "/log", [](ByteSpan) { return Status(); });
        for (const size_t size : {0, 1, 40, 300}) CHECK((*log)->Append(Bytes(size, 5), true).has_value());
    }
    const auto bytes = ReadWholeFile(disk.files(), "/log", 1 << 20);
    Bytes torn = *bytes;
    torn.resize(torn.size() - 7);
    return {{"whole", *bytes}, {"torn", torn}};
}
const Register kAppendLog{{"append_log", RunAppendLog, AppendLogSeeds}};

}  // namespace
}  // namespace sluice::fuzz
