#include "content/chunk_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "util/check.h"
#include "util/log.h"

namespace sluice::content {
namespace {

using storage::OpenMode;

constexpr const char* kDataSuffix = ".data";
constexpr const char* kHashesSuffix = ".hashes";
constexpr const char* kJournalSuffix = ".journal";
constexpr std::string_view kStagingPrefix = "staging-";

// "<root>-<size>" as a content id.
std::optional<ContentId> ParseName(std::string_view name) {
    if (name.size() < 66 || name[64] != '-') return std::nullopt;
    const auto root = ContentRoot::FromHex(name.substr(0, 64));
    uint64_t size = 0;
    for (const char c : name.substr(65)) {
        if (c < '0' || c > '9' || size > kMaxContentBytes) return std::nullopt;
        size = size * 10 + static_cast<uint64_t>(c - '0');
    }
    if (!root || !CheckContentSize(size)) return std::nullopt;
    const ContentId content{*root, size};
    if (name != fmt::format("{}-{}", content.root.Hex(), size)) return std::nullopt;  // one name per content
    return content;
}

std::string_view StripSuffix(std::string_view name) {
    for (const std::string_view suffix : {kDataSuffix, kHashesSuffix, kJournalSuffix}) {
        if (name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size());
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<ChunkStore>> ChunkStore::Open(storage::FileSystem& files, std::string folder,
                                                     uint64_t quota_bytes) {
    RETURN_IF_ERROR(files.CreateDirectories(folder));
    std::unique_ptr<ChunkStore> store(new ChunkStore(files, std::move(folder), quota_bytes));
    RETURN_IF_ERROR(store->Load());
    return store;
}

ChunkStore::~ChunkStore() = default;

Status ChunkStore::Load() {
    ASSIGN_OR_RETURN(const auto entries, m_files.List(m_folder));
    std::set<std::string> leftovers;
    for (const storage::DirectoryEntry& entry : entries) {
        const std::string stem(StripSuffix(entry.name));
        const auto content = ParseName(stem);
        if (!stem.empty() && (content || stem.starts_with(kStagingPrefix))) leftovers.insert(entry.name);
        if (!content || !entry.name.ends_with(kJournalSuffix)) continue;
        if (const Status loaded = LoadContent(*content); !loaded) {
            // Rationale: one unreadable content must not keep the others from their owner.
            if (loaded.error().kind == ErrorKind::kEnvironment) return loaded;
            LogWarning("store", "{} was left out: {}", entry.name, loaded.error().message);
        }
    }
    for (const auto& [content, stored] : m_contents) {
        for (const char* suffix : {kDataSuffix, kHashesSuffix, kJournalSuffix}) {
            leftovers.erase(stored->Path(suffix).substr(m_folder.size() + 1));
        }
    }
    RemoveLeftovers({leftovers.begin(), leftovers.end()});
    return {};
}

Status ChunkStore::LoadContent(const ContentId& content) {
    auto stored = std::make_shared<StoredContent>(*this, content, PathOf(content));
    RETURN_IF_ERROR(stored->OpenJournal());
    // A journal that does not begin with the content's name is what a removal or an unfinished creation left.
    if (!stored->m_named) return {};
    RETURN_IF_ERROR(stored->OpenFiles());
    RETURN_IF_ERROR(stored->DropWhatIsNotThere());
    m_used_bytes += stored->StoredBytes();
    m_contents.emplace(content, std::move(stored));
    return {};
}

void ChunkStore::RemoveLeftovers(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        if (const Status removed = m_files.Remove(m_folder + "/" + name); !removed) {
            LogWarning("store", "a leftover stays: {}", removed.error().message);
        }
    }
}

std::string ChunkStore::PathOf(const ContentId& content) const {
    return fmt::format("{}/{}-{}", m_folder, content.root.Hex(), content.size_bytes);
}

Result<std::shared_ptr<StoredContent>> ChunkStore::Create(const ContentId& content) {
    RETURN_IF_ERROR(CheckContentSize(content.size_bytes));
    const std::lock_guard names_lock(m_names_mutex);
    if (auto found = Find(content)) return found;
    auto stored = std::make_shared<StoredContent>(*this, content, PathOf(content));
    RETURN_IF_ERROR(stored->OpenJournal());
    RETURN_IF_ERROR(stored->OpenFiles());
    RETURN_IF_ERROR(stored->WriteHead(false));
    // A creation that failed halfway may have left chunks.
    RETURN_IF_ERROR(stored->DropWhatIsNotThere());
    const std::lock_guard lock(m_mutex);
    m_used_bytes += stored->StoredBytes();
    m_contents.emplace(content, stored);
    return stored;
}

std::shared_ptr<StoredContent> ChunkStore::Find(const ContentId& content) const {
    const std::lock_guard lock(m_mutex);
    const auto found = m_contents.find(content);
    return found == m_contents.end() ? nullptr : found->second;
}

std::vector<ContentId> ChunkStore::List() const {
    const std::lock_guard lock(m_mutex);
    std::vector<ContentId> contents;
    for (const auto& [content, stored] : m_contents) contents.push_back(content);
    return contents;
}

Status ChunkStore::Remove(const ContentId& content) {
    const std::lock_guard names_lock(m_names_mutex);
    const auto stored = Find(content);
    if (!stored) return Fail(ErrorKind::kNotFound, fmt::format("content {} is not in the store", content.root.Hex()));
    return RemoveContent(stored);
}

Status ChunkStore::RemoveContent(const std::shared_ptr<StoredContent>& content) {
    uint64_t bytes = 0;
    {
        const std::lock_guard write_lock(content->m_write_mutex);
        RETURN_IF_ERROR(content->RemoveFiles());
        const std::lock_guard content_lock(content->m_mutex);
        content->m_removed = true;
        bytes = content->StoredBytes();
    }
    Release(bytes);
    const std::lock_guard lock(m_mutex);
    m_contents.erase(content->id());
    return {};
}

Status ChunkStore::FlushAll() {
    std::vector<std::shared_ptr<StoredContent>> contents;
    {
        const std::lock_guard lock(m_mutex);
        for (const auto& [id, stored] : m_contents) contents.push_back(stored);
    }
    Status first;
    for (const auto& stored : contents) {
        Status flushed = stored->Flush();
        const bool gone = !flushed && flushed.error().kind == ErrorKind::kNotFound;  // removed meanwhile
        if (first && !gone) first = std::move(flushed);
    }
    return first;
}

uint64_t ChunkStore::used_bytes() const {
    const std::lock_guard lock(m_mutex);
    return m_used_bytes;
}

uint64_t ChunkStore::quota_bytes() const {
    const std::lock_guard lock(m_mutex);
    return m_quota_bytes;
}

void ChunkStore::SetQuota(uint64_t quota_bytes) {
    const std::lock_guard lock(m_mutex);
    m_quota_bytes = quota_bytes;
}

Status ChunkStore::Reserve(uint64_t bytes) {
    const std::lock_guard lock(m_mutex);
    if (m_used_bytes > m_quota_bytes || bytes > m_quota_bytes - m_used_bytes) {
        return Fail(ErrorKind::kUnavailable,
                    fmt::format("the content store is full: {} of its quota of {} bytes are used; remove content or "
                                "raise the quota",
                                m_used_bytes, m_quota_bytes));
    }
    m_used_bytes += bytes;
    return {};
}

void ChunkStore::Release(uint64_t bytes) {
    const std::lock_guard lock(m_mutex);
    CHECK(bytes <= m_used_bytes);
    m_used_bytes -= bytes;
}

Result<std::unique_ptr<StagedContent>> ChunkStore::Stage() {
    std::string path;
    {
        const std::lock_guard lock(m_mutex);
        path = fmt::format("{}/{}{}", m_folder, kStagingPrefix, m_next_stage++);
    }
    std::unique_ptr<StagedContent> staged(new StagedContent(*this, path));
    ASSIGN_OR_RETURN(staged->m_data, m_files.Open(path + kDataSuffix, OpenMode::kCreateNew));
    ASSIGN_OR_RETURN(staged->m_hashes, m_files.Open(path + kHashesSuffix, OpenMode::kCreateNew));
    return staged;
}

StagedContent::~StagedContent() {
    m_data.reset();
    m_hashes.reset();
    for (const char* suffix : {kDataSuffix, kHashesSuffix}) {
        // What cannot be removed now is removed when the store is opened next.
        if (m_store.m_files.Exists(m_path + suffix)) (void)m_store.m_files.Remove(m_path + suffix);
    }
    m_store.Release(m_reserved_bytes);
}

Status StagedContent::Put(ChunkIndex chunk, ByteSpan sealed, std::span<const Hash256> leaf_hashes) {
    CHECK(chunk.value == m_root.chunks());
    RETURN_IF_ERROR(m_store.Reserve(sealed.size()));
    m_reserved_bytes += sealed.size();
    RETURN_IF_ERROR(m_data->WriteAt(m_size_bytes, sealed));
    m_size_bytes += sealed.size();
    const Hash256 hash = m_root.Add(leaf_hashes);
    return m_hashes->WriteAt(uint64_t{chunk.value} * Hash256::kSize, hash.bytes);
}

Status StagedContent::WriteTree(uint64_t size_bytes) {
    constexpr size_t kNodesAtOnce = 2048;
    const uint32_t depth = TreeDepth(size_bytes);
    if (depth == 0) return m_hashes->Truncate(0);
    uint64_t from = 0;  // offset of the level below
    for (uint32_t level = 0; level + 1 < depth; ++level) {
        const uint64_t nodes = NodesAtLevel(size_bytes, level);
        const uint64_t to = from + nodes * Hash256::kSize;
        for (uint64_t first = 0; first < nodes; first += kNodesAtOnce) {
            std::vector<Hash256> row(std::min<uint64_t>(kNodesAtOnce, nodes - first));
            Bytes bytes(row.size() * Hash256::kSize);
            RETURN_IF_ERROR(m_hashes->ReadAt(from + first * Hash256::kSize, bytes));
            for (size_t i = 0; i < row.size(); ++i)
                std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(i * 32), 32, row[i].begin());
            if (row.size() % 2 != 0) row.push_back(PaddingHash(level));
            Bytes above;
            for (size_t i = 0; i < row.size(); i += 2) {
                const Hash256 node = crypto::Sha256Pair(row[i], row[i + 1]);
                above.insert(above.end(), node.begin(), node.end());
            }
            RETURN_IF_ERROR(m_hashes->WriteAt(to + first / 2 * Hash256::kSize, above));
        }
        from = to;
    }
    return {};
}

Result<std::shared_ptr<StoredContent>> StagedContent::Commit(const ContentId& content) {
    CHECK(m_data != nullptr);
    ASSIGN_OR_RETURN(const ContentRoot root, m_root.Finish());
    if (root != content.root || m_size_bytes != content.size_bytes) {
        return Fail(fmt::format("the sealed data has root {} and {} bytes, not {} and {}", root.Hex(), m_size_bytes,
                                content.root.Hex(), content.size_bytes));
    }
    RETURN_IF_ERROR(WriteTree(m_size_bytes));
    RETURN_IF_ERROR(m_data->Sync());
    RETURN_IF_ERROR(m_hashes->Sync());
    m_data.reset();
    m_hashes.reset();

    const std::lock_guard names_lock(m_store.m_names_mutex);
    if (const auto found = m_store.Find(content)) {
        if (found->IsComplete()) return found;
        RETURN_IF_ERROR(m_store.RemoveContent(found));
    }
    auto stored = std::make_shared<StoredContent>(m_store, content, m_store.PathOf(content));
    RETURN_IF_ERROR(m_store.m_files.Rename(m_path + kDataSuffix, stored->Path(kDataSuffix)));
    RETURN_IF_ERROR(m_store.m_files.Rename(m_path + kHashesSuffix, stored->Path(kHashesSuffix)));
    RETURN_IF_ERROR(stored->OpenJournal());
    RETURN_IF_ERROR(stored->OpenFiles());
    RETURN_IF_ERROR(stored->WriteHead(true));
    m_reserved_bytes = 0;  // they are the content's now
    const std::lock_guard lock(m_store.m_mutex);
    m_store.m_contents.emplace(content, stored);
    return stored;
}

}  // namespace sluice::content
