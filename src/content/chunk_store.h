#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "content/merkle.h"
#include "content/sealing.h"
#include "storage/append_log.h"
#include "storage/file_system.h"
#include "util/clock.h"

// Sealed content on disk, whole or in part, by content id.
//
//   <folder>/<root>-<size>.data      the sealed file, sparse where chunks are missing
//   <folder>/<root>-<size>.hashes    the tree above the chunks, level by level, 32 bytes a node, zero where unknown
//   <folder>/<root>-<size>.journal   which chunks were verified AND synced, whether it is pinned, when it was last
//   used;
//                                    the content is here if this begins with its id
//   <folder>/staging-<n>.*           a sealing in progress; removed when the store is opened
//
// Space is counted in the blocks of 4 KiB that data, hashes and journal take on a disk, holes not; the hashes of a
// content in full from the start. What is added has its place in the quota before it is written. When it has none,
// contents that are neither pinned nor held by anyone (a Find or Create whose result lives) make room, the one that was
// used longest ago first; if all of them together would not do, none goes.
//
// Invariants, whatever write the power goes at:
// 1. A chunk that the journal names was verified against the root and synced before it was named. A crash loses at most
//    what was added since the last Flush.
// 2. The hashes file is never trusted: each hash that is read is proven up to the root again.
// 3. No file grows past the quota: what does not fit is refused before it is written. (A journal's few bytes are
// counted
//    when they are there.)
// 4. Content that is pinned is never evicted; a pin survives power loss once Pin returned.
//
// Thread-safe: reads run in parallel; writes to one content take turns.

namespace sluice::content {

// Which chunks are here.
class ChunkSet {
  public:
    explicit ChunkSet(uint32_t size = 0) : m_size(size), m_words((size + 63) / 64) {}
    uint32_t size() const { return m_size; }
    uint32_t count() const { return m_count; }
    bool IsFull() const { return m_count == m_size; }
    bool Has(ChunkIndex chunk) const {
        return chunk.value < m_size && (m_words[chunk.value / 64] >> (chunk.value % 64) & 1) != 0;
    }
    // False if nothing changed.
    bool Insert(ChunkIndex chunk);
    bool Erase(ChunkIndex chunk);
    // Least significant bit first, ceil(size / 8) bytes; unused bits are zero.
    Bytes ToBytes() const;
    static std::optional<ChunkSet> FromBytes(uint32_t size, ByteSpan bytes);
    friend bool operator==(const ChunkSet&, const ChunkSet&) = default;

  private:
    uint32_t m_size;
    uint32_t m_count{0};
    std::vector<uint64_t> m_words;
};

// Of a re-hashing of all that is here.
struct VerifyOutcome {
    uint32_t checked{0};
    std::vector<ChunkIndex> damaged;  // dropped: to be fetched again
};

class ChunkStore;

// One content in the store. Shared by whoever reads or writes it, none of whom may outlive the store; after
// ChunkStore::Remove every call fails with kNotFound.
class StoredContent final : public ChunkSource {
  public:
    StoredContent(ChunkStore& store, ContentId id, std::string path);
    ~StoredContent() override;

    const ContentId& id() const { return m_id; }
    uint64_t size_bytes() const override { return m_id.size_bytes; }
    ChunkSet Have() const;
    bool HasChunk(ChunkIndex chunk) const;
    bool IsComplete() const;
    // How many chunks are here and would survive power loss.
    uint32_t SyncedCount() const;

    // Proven hashes. AddHashes: kInvalid if the proof is false.
    Status AddHashes(const HashSpan& span, const HashProof& proof);
    // The chunk's hash, proven; nullopt while unknown. (Of a file of one chunk: the root.)
    std::optional<Hash256> HashOf(ChunkIndex chunk) const;
    // The proof of a checked span for a peer; nullopt while a part is unknown.
    std::optional<HashProof> ProofOf(const HashSpan& span) const;

    // Stores a whole chunk if its hash is known and it has it; kInvalid if it has another, kUnavailable if its hash is
    // not known or the quota is used up, kEnvironment if the disk refuses (nothing is lost). Adding a chunk again does
    // nothing.
    Status AddChunk(ChunkIndex chunk, ByteSpan bytes);
    // The same for one that was verified already: it is not hashed again. kInvalid if it is another content's.
    Status AddVerified(const VerifiedChunk& chunk);
    // A chunk that is here. kUnavailable if it is not. Not verified again.
    Status Read(ChunkIndex chunk, MutableByteSpan into) const override;
    // The same if no disk has to be waited for; false, and anything in `into`, if one has to or it cannot be read.
    bool ReadCached(ChunkIndex chunk, MutableByteSpan into) const;
    // One leaf of a chunk that is here.
    Result<Bytes> ReadLeaf(ChunkIndex chunk, uint32_t leaf) const;
    // The leaf hashes of a chunk that is here, from its bytes, verified. A chunk that the disk has damaged is dropped:
    // kUnavailable.
    Result<std::vector<Hash256>> ReadLeafHashes(ChunkIndex chunk);
    // Returns once everything added so far survives power loss.
    Status Flush();
    // Hashes every chunk that is here again. What the disk has damaged is dropped; lost hashes of content that is whole
    // are made anew. Does not count as use.
    Result<VerifyOutcome> Verify(const Progress& progress = {});

    bool IsPinned() const { return m_pinned; }
    // When a chunk was last read or added (or what of that a restart kept, within an hour); zero without a clock.
    UnixMillis last_used() const { return UnixMillis(milliseconds(m_last_used_ms)); }
    // What it takes of the quota.
    uint64_t FootprintBytes() const { return m_footprint_bytes; }

  private:
    friend class ChunkStore;
    friend class StagedContent;

    // Opens data and hashes (made if missing) and replays the journal.
    Status OpenFiles();
    Status OpenJournal();
    Status Replay(ByteSpan record);
    // Names the content in its journal, with the chunks that are synced already.
    Status WriteHead(bool all_chunks);
    Status DropWhatIsNotThere();
    Status CheckHere(ChunkIndex chunk) const;
    // Stores bytes that were verified.
    Status Put(ChunkIndex chunk, ByteSpan bytes);
    std::optional<Hash256> ReadNode(const TreeNode& node) const;
    Status ReadBytes(ChunkIndex chunk, MutableByteSpan into) const;
    Status Drop(ChunkIndex chunk);
    // The tree from the data, if that is the whole content.
    Status RebuildHashes();
    void Touch() const;
    Status SetPinned(bool pinned);
    // Notes on disk when it was last used, unless that is as good as known there.
    Status SaveUse();
    // Journals those of the synced chunks that are still here. With m_write_mutex held, like the two after it.
    Status NameSynced(std::vector<ChunkIndex>& chunks);
    Status RemoveFiles();
    // Counts what the journal has grown by.
    void ChargeJournal();
    // What it takes, from what is here: once, before others use it.
    uint64_t MeasureFootprint();
    // Gives back the space of data that the journal does not know of.
    void DiscardHoles();
    std::string Path(const char* suffix) const { return m_path + suffix; }
    ChunkStore& m_store;
    const ContentId m_id;
    const std::string m_path;
    mutable std::mutex m_mutex;        // guards m_have, m_unsynced and m_removed; never held over input or output
    mutable std::mutex m_write_mutex;  // writers take turns; taken before m_mutex
    mutable std::mutex m_flush_mutex;  // flushes take turns; taken before m_write_mutex
    std::unique_ptr<storage::File> m_data;
    std::unique_ptr<storage::File> m_hashes;
    std::unique_ptr<storage::AppendLog> m_journal;
    ChunkSet m_have;
    std::vector<ChunkIndex> m_unsynced;
    std::atomic<uint64_t> m_footprint_bytes{0};
    uint64_t m_journal_bytes{0};  // as counted; m_write_mutex
    std::atomic<bool> m_pinned{false};
    bool m_named{false};  // the journal begins with the id
    bool m_removed{false};
    mutable std::atomic<int64_t> m_last_used_ms{0};
    int64_t m_saved_use_ms{0};  // m_write_mutex
};

// Takes what a sealing gives, chunk by chunk, without knowing the root yet; Commit gives it its name. Dropped before:
// nothing is left.
class StagedContent final : public ChunkSink {
  public:
    ~StagedContent() override;
    // The content is pinned from its first moment on.
    void PinAtCommit() { m_pin = true; }
    Status Put(ChunkIndex chunk, ByteSpan sealed, std::span<const Hash256> leaf_hashes) override;
    // Of what was put so far; an error if that is nothing.
    Result<ContentId> Id() const;
    // Syncs, renames and opens it. `content` must be what was put (kInvalid if not). Content that is here whole already
    // stays as it is.
    Result<std::shared_ptr<StoredContent>> Commit(const ContentId& content);

  private:
    friend class ChunkStore;
    StagedContent(ChunkStore& store, std::string path) : m_store(store), m_path(std::move(path)) {}
    // Takes the place in the quota of a content of so many bytes.
    Status ReserveFor(uint64_t size_bytes);

    ChunkStore& m_store;
    const std::string m_path;
    std::unique_ptr<storage::File> m_data;
    std::unique_ptr<storage::File> m_hashes;  // level 0, in order
    RootBuilder m_root;
    uint64_t m_size_bytes{0};
    uint64_t m_reserved_bytes{0};
    bool m_pin{false};
};

class ChunkStore {
  public:
    // Opens (or makes) the store in `folder` and removes what a crash left unfinished. `quota_bytes` bounds what all
    // contents take. Without a clock every content was last used at the same time.
    static Result<std::unique_ptr<ChunkStore>> Open(storage::FileSystem& files, std::string folder,
                                                    uint64_t quota_bytes, const Clock* clock = nullptr);
    ~ChunkStore();
    // Called with each content that was evicted, once it is gone, from whatever thread needed the room. Set before
    // threads use the store.
    void SetOnEvicted(std::function<void(const ContentId&)> on_evicted) { m_on_evicted = std::move(on_evicted); }

    // Content to be filled; what is here already if it is known. Takes the place of its hashes: kUnavailable if there
    // is none.
    Result<std::shared_ptr<StoredContent>> Create(const ContentId& content);
    // nullptr if it is not here. While the result lives the content is not evicted.
    std::shared_ptr<StoredContent> Find(const ContentId& content) const;
    std::vector<ContentId> List() const;
    // Forgets it and frees its space. Once it returns, a crash does not bring it back.
    Status Remove(const ContentId& content);
    Result<std::unique_ptr<StagedContent>> Stage();
    Status FlushAll();
    // Keeps it from being evicted, or lets it go again; on disk when this returns. kNotFound if it is not here.
    Status Pin(const ContentId& content, bool pinned);
    // Notes on disk what was used lately.
    void SaveUses();

    uint64_t used_bytes() const;
    // Of it, of pinned content.
    uint64_t PinnedBytes() const;
    uint64_t quota_bytes() const;
    // A quota below what is used evicts what it may; what is pinned or in use stays, and new data is refused.
    void SetQuota(uint64_t quota_bytes);

  private:
    friend class StoredContent;
    friend class StagedContent;
    ChunkStore(storage::FileSystem& files, std::string folder, uint64_t quota_bytes, const Clock* clock)
        : m_files(files), m_folder(std::move(folder)), m_clock(clock), m_quota_bytes(quota_bytes) {}
    Status Load();
    Status LoadContent(const ContentId& content);
    void RemoveLeftovers(const std::vector<std::string>& names);
    // Removes its files and gives its space back; the table is the caller's. m_names_mutex held.
    Status RemoveContent(const std::shared_ptr<StoredContent>& content);
    // Counts `bytes` as used, if need be evicting for them. No mutex of the store or of a content may be held.
    Status Reserve(uint64_t bytes);
    // Counts them if they fit as it is.
    bool TryReserve(uint64_t bytes);
    // Evicts until `bytes` fit; false, and nothing evicted, if they cannot. m_names_mutex held.
    bool MakeRoom(uint64_t bytes, std::vector<ContentId>& evicted);
    // What may go, the longest unused first; m_mutex held.
    std::vector<std::shared_ptr<StoredContent>> Evictable() const;
    void TellEvicted(const std::vector<ContentId>& evicted) const;
    Error FullError() const;
    // For what is written already.
    void Charge(uint64_t bytes);
    void Release(uint64_t bytes);
    std::string PathOf(const ContentId& content) const;

    storage::FileSystem& m_files;
    const std::string m_folder;
    const Clock* const m_clock;
    std::function<void(const ContentId&)> m_on_evicted;
    std::mutex m_names_mutex;    // contents come and go one at a time; taken before every other mutex
    mutable std::mutex m_mutex;  // guards what follows; taken after every other mutex
    uint64_t m_quota_bytes;
    uint64_t m_used_bytes{0};
    uint64_t m_next_stage{0};
    std::map<ContentId, std::shared_ptr<StoredContent>> m_contents;
};

}  // namespace sluice::content
