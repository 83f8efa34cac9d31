#include "storage/append_log.h"

#include <fmt/format.h>

#include "storage/crc32c.h"
#include "util/serialize.h"

namespace sluice::storage {
namespace {

constexpr size_t kRecordHeaderBytes = 8;
constexpr size_t kReadAheadBytes = 256 << 10;

Bytes LengthBytes(size_t size) {
    Writer writer;
    writer.Integer(static_cast<uint32_t>(size));
    return writer.Take();
}

uint32_t RecordCrc(ByteSpan record) { return Crc32c(record, Crc32c(LengthBytes(record.size()))); }

// Reads a file forwards through a buffer.
class ForwardReader {
  public:
    ForwardReader(const File& file, uint64_t size) : m_file(file), m_left(size) {}

    // The next `size` bytes without taking them; shorter only at the end of the file. Valid until the next call.
    Result<ByteSpan> Peek(size_t size) {
        if (m_buffer.size() - m_start < size && m_left > 0) {
            m_buffer.erase(m_buffer.begin(), m_buffer.begin() + static_cast<ptrdiff_t>(m_start));
            m_start = 0;
            const size_t old_size = m_buffer.size();
            const size_t more = std::min<uint64_t>(m_left, std::max(size - old_size, kReadAheadBytes));
            m_buffer.resize(old_size + more);
            RETURN_IF_ERROR(m_file.ReadAt(m_read, MutableByteSpan(m_buffer).subspan(old_size)));
            m_read += more;
            m_left -= more;
        }
        return ByteSpan(m_buffer).subspan(m_start, std::min(size, m_buffer.size() - m_start));
    }
    void Skip(size_t size) { m_start += size; }

  private:
    const File& m_file;
    Bytes m_buffer;
    size_t m_start{0};   // of what was not taken, in m_buffer
    uint64_t m_read{0};  // the offset in the file after m_buffer
    uint64_t m_left;     // bytes of the file after m_read
};

// Hands the whole records to `replay`; the size of all of them together.
Result<uint64_t> ReplayRecords(const File& file, uint64_t file_size,
                               const std::function<Status(ByteSpan record)>& replay) {
    ForwardReader reader(file, file_size);
    uint64_t good_bytes = 0;
    for (;;) {
        ASSIGN_OR_RETURN(const ByteSpan header, reader.Peek(kRecordHeaderBytes));
        if (header.size() < kRecordHeaderBytes) return good_bytes;
        Reader fields(header);
        const uint32_t size = fields.Integer<uint32_t>();
        const uint32_t crc = fields.Integer<uint32_t>();
        if (size > kMaxLogRecordBytes) return good_bytes;
        ASSIGN_OR_RETURN(const ByteSpan whole, reader.Peek(kRecordHeaderBytes + size));
        if (whole.size() < kRecordHeaderBytes + size) return good_bytes;
        const ByteSpan record = whole.subspan(kRecordHeaderBytes);
        if (RecordCrc(record) != crc) return good_bytes;
        RETURN_IF_ERROR(replay(record));
        reader.Skip(whole.size());
        good_bytes += whole.size();
    }
}

}  // namespace

Result<std::unique_ptr<AppendLog>> AppendLog::Open(FileSystem& files, const std::string& path,
                                                   const std::function<Status(ByteSpan record)>& replay) {
    ASSIGN_OR_RETURN(std::unique_ptr<File> file, files.Open(path, OpenMode::kCreateOrOpen));
    ASSIGN_OR_RETURN(const uint64_t file_size, file->Size());
    // Rationale: the caller acts on what is replayed, so it has to be as durable as what was appended with sync.
    if (file_size > 0) RETURN_IF_ERROR(file->Sync());
    ASSIGN_OR_RETURN(const uint64_t good_bytes, ReplayRecords(*file, file_size, replay));
    if (good_bytes < file_size) {
        RETURN_IF_ERROR(file->Truncate(good_bytes));
        RETURN_IF_ERROR(file->Sync());
    }
    return std::unique_ptr<AppendLog>(new AppendLog(std::move(file), good_bytes));
}

Status AppendLog::Append(ByteSpan record, bool sync) {
    if (m_failure) return Fail(*m_failure);
    if (record.size() > kMaxLogRecordBytes) {
        return Fail(fmt::format("a log record of {} bytes is over the limit of {}", record.size(), kMaxLogRecordBytes));
    }
    Bytes bytes = LengthBytes(record.size());
    Writer crc;
    crc.Integer(RecordCrc(record));
    bytes.insert(bytes.end(), crc.bytes().begin(), crc.bytes().end());
    bytes.insert(bytes.end(), record.begin(), record.end());

    if (Status written = m_file->WriteAt(m_size_bytes, bytes); !written) {
        // What a failed write left behind must not follow a shorter record: its payload could pass for records.
        if (!m_file->Truncate(m_size_bytes)) m_failure = written.error();
        return written;
    }
    m_size_bytes += bytes.size();
    if (sync) {
        if (Status synced = m_file->Sync(); !synced) {
            m_failure = synced.error();
            return synced;
        }
    }
    return {};
}

}  // namespace sluice::storage
