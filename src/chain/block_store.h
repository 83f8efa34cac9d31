#pragma once

#include <map>
#include <memory>

#include "consensus/state.h"
#include "primitives/block.h"
#include "storage/file_system.h"

namespace sluice::chain {

// Where a record lies in the block or undo files.
struct FilePosition {
    uint32_t file{0};
    uint64_t offset{0};      // of the record's start
    uint32_t size_bytes{0};  // of the payload

    friend bool operator==(const FilePosition&, const FilePosition&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.file, self.offset, self.size_bytes); }
};

// Blocks and undo data in files blkNNNNN.dat and revNNNNN.dat of at most 128 MiB. Record = magic (4), payload length
// (4), CRC-32C of the payload (4), payload. Files only grow; where a record is, the key-value store knows (tables 'b'
// and 'u'), so a torn tail is dead space and nothing more. A record that does not read back as what was asked for is
// reported as missing. Chain worker.
class BlockStore {
  public:
    static constexpr uint64_t kMaxFileBytes = 128 << 20;

    static Result<std::unique_ptr<BlockStore>> Open(storage::FileSystem& files, const std::string& folder,
                                                    storage::KeyValueStore& store);

    // Appends and remembers where (not synced).
    Status WriteBlock(const Block& block);
    // nullptr if it is not stored or does not read back whole.
    Result<BlockRef> ReadBlock(const BlockHash& hash) const;
    Result<bool> HasBlock(const BlockHash& hash) const;
    // The undo data of a block: where it lies is to be put into the batch that connects the block.
    Result<FilePosition> WriteUndo(const BlockHash& hash, const consensus::StateDelta& delta);
    void PutUndoPosition(storage::WriteBatch& batch, const BlockHash& hash, const FilePosition& position) const;
    Result<consensus::StateDelta> ReadUndo(const BlockHash& hash) const;
    // Once it returns, everything written survives power loss.
    Status Sync();

  private:
    struct Series {
        std::string prefix;
        uint32_t current{0};
        uint64_t end{0};
        bool dirty{false};
        std::map<uint32_t, std::unique_ptr<storage::File>> open;
    };
    BlockStore(storage::FileSystem& files, std::string folder, storage::KeyValueStore& store);
    std::string Path(const Series& series, uint32_t file) const;
    Status FindEnd(Series& series);
    Result<storage::File*> OpenFile(Series& series, uint32_t file) const;
    Result<FilePosition> Append(Series& series, ByteSpan payload);
    // The payload; nullopt if it is damaged.
    Result<std::optional<Bytes>> ReadRecord(Series& series, const FilePosition& position) const;
    Result<std::optional<FilePosition>> Position(char table, const BlockHash& hash) const;

    storage::FileSystem& m_files;
    std::string m_folder;
    storage::KeyValueStore& m_store;
    std::unique_ptr<Series> m_blocks;
    std::unique_ptr<Series> m_undo;
};

}  // namespace sluice::chain
