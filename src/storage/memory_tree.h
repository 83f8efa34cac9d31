#pragma once

#include <map>
#include <memory>
#include <string>

#include "storage/file_system.h"
#include "storage/memory_file.h"
#include "storage/memory_key_value.h"

namespace sluice::storage {

// The names of a disk in memory, as programs see them and as power loss would leave them.
class MemoryTree final : public FileSystem, public std::enable_shared_from_this<MemoryTree> {
  public:
    explicit MemoryTree(std::shared_ptr<MemoryFaults> faults);

    Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
    Status CreateDirectories(const std::string& path) override;
    Result<std::vector<DirectoryEntry>> List(const std::string& path) const override;
    Result<DirectoryEntry> Stat(const std::string& path) const override;
    bool Exists(const std::string& path) const override;
    Status Rename(const std::string& from, const std::string& to) override;
    Status Remove(const std::string& path) override;
    Result<uint64_t> FreeBytes(const std::string& path) const override;
    Result<std::unique_ptr<KeyValueStore>> OpenKeyValue(const std::string& path, size_t cache_bytes) override;

    void Crash();

  private:
    // A file has `file`; a folder has not, and has `store` if a key-value store lives in it.
    struct Inode {
        std::shared_ptr<MemoryFileContent> file;
        std::shared_ptr<MemoryKeyValueContent> store;
        bool IsFolder() const { return !file; }
    };
    using Names = std::map<std::string, std::shared_ptr<Inode>>;  // by normalized path; "" is the root

    static std::string Normalize(const std::string& path);
    static std::string Parent(const std::string& normalized) { return normalized.substr(0, normalized.rfind('/')); }
    static void ForEachChild(
        const Names& names, const std::string& folder,
        const std::function<void(const std::string& path, const std::shared_ptr<Inode>& inode)>& visit);
    static void EraseWithDescendants(Names& names, const std::string& path);
    static DirectoryEntry EntryOf(const std::string& path, const Inode& inode);

    Inode* Find(const std::string& normalized) const;
    // 0 if `normalized` can be made: the folder above it exists.
    int ParentError(const std::string& normalized) const;
    bool HasChildren(const std::string& folder) const;
    // 0 or why `from` cannot replace `to`.
    int RenameError(const std::string& from, const std::string& to) const;
    void RenameNow(const std::string& from, const std::string& to);
    Status CreateDirectory(const std::string& normalized);
    // Makes the names directly in `folder` survive power loss.
    void SyncFolder(const std::string& folder);
    // What of the names power loss leaves.
    Names SettleNames();

    const std::shared_ptr<MemoryFaults> m_faults;
    Names m_live;
    Names m_durable;
};

}  // namespace sluice::storage
