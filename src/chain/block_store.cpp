#include "chain/block_store.h"

#include <fmt/format.h>

#include "chain/store_keys.h"
#include "storage/crc32c.h"

namespace sluice::chain {
namespace {

constexpr std::array<uint8_t, 4> kRecordMagic{0x53, 0x4c, 0x42, 0x4b};
constexpr size_t kRecordHeaderBytes = 12;
constexpr size_t kMaxRecordPayload = 1u << 30;
constexpr size_t kMaxOpenFiles = 16;

// Undo data names its block, so that a record at a stale position is not taken for another's.
struct UndoRecord {
    BlockHash block;
    consensus::StateDelta delta;
    static void Serialize(auto& self, auto& archive) { archive(self.block, self.delta); }
};

}  // namespace

BlockStore::BlockStore(storage::FileSystem& files, std::string folder, storage::KeyValueStore& store)
    : m_files(files),
      m_folder(std::move(folder)),
      m_store(store),
      m_blocks(std::make_unique<Series>()),
      m_undo(std::make_unique<Series>()) {
    m_blocks->prefix = "blk";
    m_undo->prefix = "rev";
}

Result<std::unique_ptr<BlockStore>> BlockStore::Open(storage::FileSystem& files, const std::string& folder,
                                                     storage::KeyValueStore& store) {
    RETURN_IF_ERROR(files.CreateDirectories(folder));
    std::unique_ptr<BlockStore> blocks(new BlockStore(files, folder, store));
    RETURN_IF_ERROR(blocks->FindEnd(*blocks->m_blocks));
    RETURN_IF_ERROR(blocks->FindEnd(*blocks->m_undo));
    return blocks;
}

std::string BlockStore::Path(const Series& series, uint32_t file) const {
    return fmt::format("{}/{}{:05}.dat", m_folder, series.prefix, file);
}

Status BlockStore::FindEnd(Series& series) {
    while (m_files.Exists(Path(series, series.current + 1))) ++series.current;
    const std::string path = Path(series, series.current);
    if (!m_files.Exists(path)) return {};
    ASSIGN_OR_RETURN(const auto entry, m_files.Stat(path));
    series.end = entry.size_bytes;
    return {};
}

Result<storage::File*> BlockStore::OpenFile(Series& series, uint32_t file) const {
    if (const auto found = series.open.find(file); found != series.open.end()) return found->second.get();
    ASSIGN_OR_RETURN(auto opened,
                     m_files.Open(Path(series, file), file == series.current ? storage::OpenMode::kCreateOrOpen
                                                                             : storage::OpenMode::kRead));
    if (series.open.size() >= kMaxOpenFiles) {
        const auto victim =
            series.open.begin()->first == series.current ? std::next(series.open.begin()) : series.open.begin();
        series.open.erase(victim);
    }
    return series.open.emplace(file, std::move(opened)).first->second.get();
}

Result<FilePosition> BlockStore::Append(Series& series, ByteSpan payload) {
    CHECK(payload.size() <= kMaxRecordPayload);
    if (series.end != 0 && series.end + kRecordHeaderBytes + payload.size() > kMaxFileBytes) {
        // What is in the full file must be safe before it is forgotten.
        RETURN_IF_ERROR(Sync());
        series.open.erase(series.current);
        ++series.current;
        series.end = 0;
    }
    ASSIGN_OR_RETURN(storage::File * file, OpenFile(series, series.current));
    Writer writer;
    writer.Reserve(kRecordHeaderBytes + payload.size());
    writer.Raw(kRecordMagic);
    writer(static_cast<uint32_t>(payload.size()), storage::Crc32c(payload));
    writer.Raw(payload);
    const FilePosition position{series.current, series.end, static_cast<uint32_t>(payload.size())};
    series.dirty = true;
    RETURN_IF_ERROR(file->WriteAt(series.end, writer.bytes()));
    series.end += writer.bytes().size();
    return position;
}

Result<std::optional<Bytes>> BlockStore::ReadRecord(Series& series, const FilePosition& position) const {
    if (!m_files.Exists(Path(series, position.file))) return std::optional<Bytes>();
    ASSIGN_OR_RETURN(storage::File * file, OpenFile(series, position.file));
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    if (position.size_bytes > kMaxRecordPayload || position.offset > size ||
        size - position.offset < kRecordHeaderBytes + position.size_bytes)
        return std::optional<Bytes>();
    Bytes record(kRecordHeaderBytes + position.size_bytes);
    RETURN_IF_ERROR(file->ReadAt(position.offset, record));
    Reader reader{ByteSpan(record).first(kRecordHeaderBytes)};
    std::array<uint8_t, 4> magic;
    uint32_t length = 0;
    uint32_t crc = 0;
    reader.Raw(magic);
    reader(length, crc);
    record.erase(record.begin(), record.begin() + kRecordHeaderBytes);
    if (magic != kRecordMagic || length != position.size_bytes || storage::Crc32c(record) != crc)
        return std::optional<Bytes>();
    return std::optional<Bytes>(std::move(record));
}

Result<std::optional<FilePosition>> BlockStore::Position(char table, const BlockHash& hash) const {
    ASSIGN_OR_RETURN(const auto bytes, m_store.Get(TableKey(table, hash.bytes)));
    if (!bytes) return std::optional<FilePosition>();
    const auto position = Decode<FilePosition>(*bytes);
    if (!position) return Fail(Corrupt("the position of block " + hash.Hex() + " does not decode"));
    return std::optional<FilePosition>(*position);
}

Status BlockStore::WriteBlock(const Block& block) {
    ASSIGN_OR_RETURN(const FilePosition position, Append(*m_blocks, block.ToBytes()));
    storage::WriteBatch batch;
    batch.Put(TableKey(kBlockTable, block.header.Hash().bytes), Encode(position));
    return m_store.Write(batch, false);
}

Result<bool> BlockStore::HasBlock(const BlockHash& hash) const {
    ASSIGN_OR_RETURN(const auto position, Position(kBlockTable, hash));
    return position.has_value();
}

Result<BlockRef> BlockStore::ReadBlock(const BlockHash& hash) const {
    ASSIGN_OR_RETURN(const auto position, Position(kBlockTable, hash));
    if (!position) return BlockRef();
    ASSIGN_OR_RETURN(const auto bytes, ReadRecord(*m_blocks, *position));
    if (!bytes) return BlockRef();
    auto block = Block::FromBytes(*bytes);
    if (!block || block->header.Hash() != hash) return BlockRef();
    return BlockRef(std::make_shared<const Block>(std::move(*block)));
}

Result<FilePosition> BlockStore::WriteUndo(const BlockHash& hash, const consensus::StateDelta& delta) {
    Writer writer;
    writer(hash, delta);
    return Append(*m_undo, writer.bytes());
}

void BlockStore::PutUndoPosition(storage::WriteBatch& batch, const BlockHash& hash,
                                 const FilePosition& position) const {
    batch.Put(TableKey(kUndoTable, hash.bytes), Encode(position));
}

Result<consensus::StateDelta> BlockStore::ReadUndo(const BlockHash& hash) const {
    ASSIGN_OR_RETURN(const auto position, Position(kUndoTable, hash));
    if (!position) return Fail(Corrupt("the undo data of block " + hash.Hex() + " is missing"));
    ASSIGN_OR_RETURN(const auto bytes, ReadRecord(*m_undo, *position));
    if (!bytes) return Fail(Corrupt("the undo data of block " + hash.Hex() + " is not whole"));
    auto record = Decode<UndoRecord>(*bytes);
    if (!record || record->block != hash)
        return Fail(Corrupt("the undo data of block " + hash.Hex() + " does not decode"));
    return std::move(record->delta);
}

Status BlockStore::Sync() {
    for (Series* series : {m_blocks.get(), m_undo.get()}) {
        if (!series->dirty) continue;
        ASSIGN_OR_RETURN(storage::File * file, OpenFile(*series, series->current));
        RETURN_IF_ERROR(file->Sync());
        series->dirty = false;
    }
    return {};
}

}  // namespace sluice::chain
