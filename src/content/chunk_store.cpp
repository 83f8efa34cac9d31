#include "content/chunk_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "content/hash_file.h"
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

// What an empty content takes: its hashes and the first block of its journal.
uint64_t EmptyFootprint(uint64_t size_bytes) { return BlocksBytes(HashFileBytes(size_bytes)) + kBlockBytes; }
uint64_t WholeFootprint(uint64_t size_bytes) { return BlocksBytes(size_bytes) + EmptyFootprint(size_bytes); }

}  // namespace

Result<std::unique_ptr<ChunkStore>> ChunkStore::Open(storage::FileSystem& files, std::string folder,
                                                     uint64_t quota_bytes, const Clock* clock) {
    RETURN_IF_ERROR(files.CreateDirectories(folder));
    std::unique_ptr<ChunkStore> store(new ChunkStore(files, std::move(folder), quota_bytes, clock));
    RETURN_IF_ERROR(store->Load());
    return store;
}

ChunkStore::~ChunkStore() = default;

Status ChunkStore::Load() {
    ASSIGN_OR_RETURN(const auto entries, m_files.List(m_folder));
    std::set<std::string> leftovers, unreadable;
    for (const storage::DirectoryEntry& entry : entries) {
        const std::string stem(StripSuffix(entry.name));
        const auto content = ParseName(stem);
        if (!stem.empty() && (content || stem.starts_with(kStagingPrefix))) leftovers.insert(entry.name);
        if (!content || !entry.name.ends_with(kJournalSuffix)) continue;
        if (const Status loaded = LoadContent(*content); !loaded) {
            // Rationale: one unreadable content must not keep the others from their owner.
            if (loaded.error().kind == ErrorKind::kEnvironment) return loaded;
            LogWarning("store", "{} was left out, and stays as it is: {}", entry.name, loaded.error().message);
            unreadable.insert(stem);
        }
    }
    for (const auto& [content, stored] : m_contents) {
        for (const char* suffix : {kDataSuffix, kHashesSuffix, kJournalSuffix}) {
            leftovers.erase(stored->Path(suffix).substr(m_folder.size() + 1));
        }
    }
    std::erase_if(leftovers,
                  [&](const std::string& name) { return unreadable.contains(std::string(StripSuffix(name))); });
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
    stored->DiscardHoles();
    m_used_bytes += stored->MeasureFootprint();
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
    if (auto found = Find(content)) return found;
    const uint64_t overhead_bytes = EmptyFootprint(content.size_bytes);
    RETURN_IF_ERROR(Reserve(overhead_bytes));
    const auto created = [&]() -> Result<std::shared_ptr<StoredContent>> {
        const std::lock_guard names_lock(m_names_mutex);
        if (auto found = Find(content)) return found;
        auto stored = std::make_shared<StoredContent>(*this, content, PathOf(content));
        if (const Status journal = stored->OpenJournal(); !journal) {
            if (journal.error().kind != ErrorKind::kInvalid) return Fail(journal.error());
            return Fail(ErrorKind::kEnvironment,
                        fmt::format("{}.journal cannot be read ({}): move it and the files beside it away",
                                    PathOf(content), journal.error().message));
        }
        RETURN_IF_ERROR(stored->OpenFiles());
        RETURN_IF_ERROR(stored->WriteHead(false));
        // A creation that failed halfway may have left chunks.
        RETURN_IF_ERROR(stored->DropWhatIsNotThere());
        stored->DiscardHoles();
        stored->Touch();
        Charge(stored->MeasureFootprint());
        const std::lock_guard lock(m_mutex);
        m_contents.emplace(content, stored);
        return stored;
    }();
    // It is measured by now, or was there, or is not.
    Release(overhead_bytes);
    return created;
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
    RETURN_IF_ERROR(RemoveContent(stored));
    const std::lock_guard lock(m_mutex);
    m_contents.erase(content);
    return {};
}

Status ChunkStore::RemoveContent(const std::shared_ptr<StoredContent>& content) {
    const std::lock_guard write_lock(content->m_write_mutex);
    RETURN_IF_ERROR(content->RemoveFiles());
    const std::lock_guard content_lock(content->m_mutex);
    content->m_removed = true;
    Release(content->m_footprint_bytes.exchange(0));
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

Status StagedContent::ReserveFor(uint64_t size_bytes) {
    const uint64_t wanted = WholeFootprint(size_bytes);
    if (wanted <= m_reserved_bytes) return {};
    RETURN_IF_ERROR(m_store.Reserve(wanted - m_reserved_bytes));
    m_reserved_bytes = wanted;
    return {};
}

Status StagedContent::Put(ChunkIndex chunk, ByteSpan sealed, std::span<const Hash256> leaf_hashes) {
    CHECK(chunk.value == m_root.chunks());
    RETURN_IF_ERROR(ReserveFor(m_size_bytes + sealed.size()));
    RETURN_IF_ERROR(m_data->WriteAt(m_size_bytes, sealed));
    m_size_bytes += sealed.size();
    const Hash256 hash = m_root.Add(leaf_hashes);
    return m_hashes->WriteAt(uint64_t{chunk.value} * Hash256::kSize, hash.bytes);
}

Result<ContentId> StagedContent::Id() const {
    ASSIGN_OR_RETURN(const ContentRoot root, m_root.Finish());
    return ContentId{root, m_size_bytes};
}

Result<std::shared_ptr<StoredContent>> StagedContent::Commit(const ContentId& content) {
    CHECK(m_data != nullptr);
    ASSIGN_OR_RETURN(const ContentRoot root, m_root.Finish());
    if (root != content.root || m_size_bytes != content.size_bytes) {
        return Fail(fmt::format("the sealed data has root {} and {} bytes, not {} and {}", root.Hex(), m_size_bytes,
                                content.root.Hex(), content.size_bytes));
    }
    RETURN_IF_ERROR(WriteHashLevels(*m_hashes, m_size_bytes));
    RETURN_IF_ERROR(m_hashes->Truncate(HashFileBytes(m_size_bytes)));
    RETURN_IF_ERROR(m_data->Sync());
    RETURN_IF_ERROR(m_hashes->Sync());
    m_data.reset();
    m_hashes.reset();

    const std::lock_guard names_lock(m_store.m_names_mutex);
    if (const auto found = m_store.Find(content)) {
        if (found->IsComplete()) {
            if (m_pin) RETURN_IF_ERROR(found->SetPinned(true));
            return found;
        }
        m_pin = m_pin || found->IsPinned();
        RETURN_IF_ERROR(m_store.RemoveContent(found));
        const std::lock_guard lock(m_store.m_mutex);
        m_store.m_contents.erase(content);
    }
    auto stored = std::make_shared<StoredContent>(m_store, content, m_store.PathOf(content));
    RETURN_IF_ERROR(m_store.m_files.Rename(m_path + kDataSuffix, stored->Path(kDataSuffix)));
    RETURN_IF_ERROR(m_store.m_files.Rename(m_path + kHashesSuffix, stored->Path(kHashesSuffix)));
    RETURN_IF_ERROR(stored->OpenJournal());
    RETURN_IF_ERROR(stored->OpenFiles());
    RETURN_IF_ERROR(stored->WriteHead(true));
    stored->Touch();
    // What was reserved is the content's now.
    m_store.Charge(stored->MeasureFootprint());
    m_store.Release(std::exchange(m_reserved_bytes, 0));
    if (m_pin) RETURN_IF_ERROR(stored->SetPinned(true));
    const std::lock_guard lock(m_store.m_mutex);
    m_store.m_contents.emplace(content, stored);
    return stored;
}

}  // namespace sluice::content
