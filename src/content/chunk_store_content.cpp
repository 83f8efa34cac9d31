#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

#include "content/chunk_store.h"
#include "content/hash_file.h"
#include "util/check.h"
#include "util/log.h"
#include "util/serialize.h"

// One content of the store: its three files.

namespace sluice::content {
namespace {

using storage::OpenMode;

// The journal's records.
constexpr uint8_t kHeadRecord = 0;   // content id, runs: the content is here, with these chunks
constexpr uint8_t kAddedRecord = 1;  // runs: these chunks are synced
constexpr uint8_t kGoneRecord = 2;   // runs: these chunks are not to be trusted any more
constexpr uint8_t kPinRecord = 3;    // pinned (1)
constexpr uint8_t kUseRecord = 4;    // when it was used, ms since 1970 (8)
constexpr size_t kMaxRunsPerRecord = 64 << 10;
constexpr milliseconds kUseKnownWithin = std::chrono::hours(1);

struct Run {
    uint32_t first{0};
    uint32_t count{0};
    static void Serialize(auto& self, auto& archive) { archive(self.first, self.count); }
};

std::vector<Run> RunsOf(std::vector<ChunkIndex> chunks) {
    std::sort(chunks.begin(), chunks.end());
    std::vector<Run> runs;
    for (const ChunkIndex chunk : chunks) {
        if (!runs.empty() && runs.back().first + runs.back().count == chunk.value) {
            ++runs.back().count;
        } else {
            runs.push_back({chunk.value, 1});
        }
    }
    return runs;
}

Status AppendRuns(storage::AppendLog& journal, uint8_t kind, const std::vector<ChunkIndex>& chunks) {
    const std::vector<Run> runs = RunsOf(chunks);
    for (size_t at = 0; at < runs.size(); at += kMaxRunsPerRecord) {
        const size_t end = std::min(runs.size(), at + kMaxRunsPerRecord);
        Writer writer;
        writer(kind);
        writer.Vector(
            std::vector<Run>(runs.begin() + static_cast<ptrdiff_t>(at), runs.begin() + static_cast<ptrdiff_t>(end)),
            kMaxRunsPerRecord);
        RETURN_IF_ERROR(journal.Append(writer.bytes(), end == runs.size()));
    }
    return {};
}

}  // namespace

bool ChunkSet::Insert(ChunkIndex chunk) {
    if (chunk.value >= m_size || Has(chunk)) return false;
    m_words[chunk.value / 64] |= uint64_t{1} << (chunk.value % 64);
    ++m_count;
    return true;
}

bool ChunkSet::Erase(ChunkIndex chunk) {
    if (!Has(chunk)) return false;
    m_words[chunk.value / 64] &= ~(uint64_t{1} << (chunk.value % 64));
    --m_count;
    return true;
}

Bytes ChunkSet::ToBytes() const {
    Bytes bytes((m_size + 7) / 8);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(m_words[i / 8] >> (i % 8 * 8));
    return bytes;
}

std::optional<ChunkSet> ChunkSet::FromBytes(uint32_t size, ByteSpan bytes) {
    if (bytes.size() != (uint64_t{size} + 7) / 8) return std::nullopt;
    if (size % 8 != 0 && bytes.back() >> (size % 8) != 0) return std::nullopt;
    ChunkSet set(size);
    for (size_t i = 0; i < bytes.size(); ++i) {
        set.m_words[i / 8] |= uint64_t{bytes[i]} << (i % 8 * 8);
        set.m_count += static_cast<uint32_t>(std::popcount(bytes[i]));
    }
    return set;
}

StoredContent::StoredContent(ChunkStore& store, ContentId id, std::string path)
    : m_store(store), m_id(id), m_path(std::move(path)), m_have(ChunkCount(id.size_bytes)) {}

StoredContent::~StoredContent() = default;

Status StoredContent::OpenJournal() {
    m_named = false;
    m_have = ChunkSet(ChunkCount(m_id.size_bytes));
    ASSIGN_OR_RETURN(m_journal, storage::AppendLog::Open(m_store.m_files, Path(".journal"),
                                                         [this](ByteSpan record) { return Replay(record); }));
    return {};
}

Status StoredContent::OpenFiles() {
    ASSIGN_OR_RETURN(m_data, m_store.m_files.Open(Path(".data"), OpenMode::kCreateOrOpen));
    ASSIGN_OR_RETURN(m_hashes, m_store.m_files.Open(Path(".hashes"), OpenMode::kCreateOrOpen));
    ASSIGN_OR_RETURN(const uint64_t size, m_hashes->Size());
    if (size != HashFileBytes(m_id.size_bytes)) RETURN_IF_ERROR(m_hashes->Truncate(HashFileBytes(m_id.size_bytes)));
    return {};
}

Status StoredContent::Replay(ByteSpan record) {
    Reader reader(record);
    const auto kind = reader.Integer<uint8_t>();
    if (kind == kHeadRecord) {
        ContentId id;
        reader(id);
        if (id != m_id) return Fail("its journal is another content's");
        m_named = true;
    } else if (!m_named || kind > kUseRecord) {
        return Fail("its journal is not one of this version");
    } else if (kind == kPinRecord || kind == kUseRecord) {
        kind == kPinRecord ? m_pinned = reader.Integer<uint8_t>() != 0
                           : m_saved_use_ms = static_cast<int64_t>(reader.Integer<uint64_t>());
        m_last_used_ms = m_saved_use_ms;
        return reader.Ok() && reader.Left() == 0 ? Status() : Fail("its journal is damaged");
    }
    std::vector<Run> runs;
    reader.Vector(runs, kMaxRunsPerRecord, 8);
    if (!reader.Ok() || reader.Left() != 0) return Fail("its journal is damaged");
    for (const Run& run : runs) {
        if (run.first > m_have.size() || run.count > m_have.size() - run.first)
            return Fail("its journal names chunks that do not exist");
        for (uint32_t i = 0; i < run.count; ++i) {
            const ChunkIndex chunk(run.first + i);
            kind == kGoneRecord ? m_have.Erase(chunk) : m_have.Insert(chunk);
        }
    }
    return {};
}

Status StoredContent::WriteHead(bool all_chunks) {
    if (m_named && !all_chunks) return {};
    std::vector<Run> runs;
    if (all_chunks) runs.push_back({0, m_have.size()});
    Writer writer;
    writer(kHeadRecord, m_id);
    writer.Vector(runs, kMaxRunsPerRecord);
    RETURN_IF_ERROR(m_journal->Append(writer.bytes(), true));
    m_named = true;
    if (all_chunks) {
        for (ChunkIndex chunk(0); chunk.value < m_have.size(); ++chunk) m_have.Insert(chunk);
    }
    return {};
}

Status StoredContent::DropWhatIsNotThere() {
    ASSIGN_OR_RETURN(const uint64_t size, m_data->Size());
    std::vector<ChunkIndex> gone;
    for (ChunkIndex chunk(0); chunk.value < m_have.size(); ++chunk) {
        if (m_have.Has(chunk) && ChunkOffset(chunk) + ChunkBytes(m_id.size_bytes, chunk) > size) gone.push_back(chunk);
    }
    if (gone.empty()) return {};
    LogWarning("store", "{}.data was cut short by someone: {} chunks are missing and will be fetched again", m_path,
               gone.size());
    for (const ChunkIndex chunk : gone) m_have.Erase(chunk);
    return AppendRuns(*m_journal, kGoneRecord, gone);
}

uint64_t StoredContent::MeasureFootprint() {
    m_journal_bytes = BlocksBytes(m_journal->size_bytes());
    uint64_t bytes = BlocksBytes(HashFileBytes(m_id.size_bytes)) + m_journal_bytes;
    for (ChunkIndex chunk(0); chunk.value < m_have.size(); ++chunk)
        if (m_have.Has(chunk)) bytes += BlocksBytes(ChunkBytes(m_id.size_bytes, chunk));
    m_footprint_bytes = bytes;
    return bytes;
}

void StoredContent::DiscardHoles() {
    const auto size = m_data->Size();
    for (uint32_t first = 0; size && first < m_have.size();) {
        uint32_t end = first;
        while (end < m_have.size() && !m_have.Has(ChunkIndex(end))) ++end;
        const uint64_t from = ChunkOffset(ChunkIndex(first));
        if (end > first && from < *size)
            (void)m_data->Discard(from, std::min(*size, ChunkOffset(ChunkIndex(end))) - from);
        first = end + 1;
    }
}

void StoredContent::ChargeJournal() {
    const uint64_t now = BlocksBytes(m_journal->size_bytes());
    if (now <= m_journal_bytes) return;
    m_store.Charge(now - m_journal_bytes);
    m_footprint_bytes += now - m_journal_bytes;
    m_journal_bytes = now;
}

void StoredContent::Touch() const {
    if (m_store.m_clock != nullptr) m_last_used_ms = m_store.m_clock->Now().time_since_epoch().count();
}

Status StoredContent::SetPinned(bool pinned) {
    const std::lock_guard write_lock(m_write_mutex);
    if (m_removed) return Fail(ErrorKind::kNotFound, "the content was removed from the store");
    if (m_pinned == pinned) return {};
    Writer writer;
    writer(kPinRecord, uint8_t{pinned});
    RETURN_IF_ERROR(m_journal->Append(writer.bytes(), true));
    m_pinned = pinned;
    ChargeJournal();
    return {};
}

Status StoredContent::SaveUse() {
    const std::lock_guard write_lock(m_write_mutex);
    if (m_removed) return Fail(ErrorKind::kNotFound, "the content was removed from the store");
    const int64_t used_ms = m_last_used_ms;
    if (used_ms - m_saved_use_ms < kUseKnownWithin.count()) return {};
    Writer writer;
    writer(kUseRecord, static_cast<uint64_t>(used_ms));
    RETURN_IF_ERROR(m_journal->Append(writer.bytes(), false));
    m_saved_use_ms = used_ms;
    ChargeJournal();
    return {};
}

ChunkSet StoredContent::Have() const {
    const std::lock_guard lock(m_mutex);
    return m_have;
}

bool StoredContent::HasChunk(ChunkIndex chunk) const {
    const std::lock_guard lock(m_mutex);
    return m_have.Has(chunk);
}

bool StoredContent::IsComplete() const {
    const std::lock_guard lock(m_mutex);
    return m_have.IsFull();
}

std::optional<Hash256> StoredContent::ReadNode(const TreeNode& node) const {
    if (node.level == TreeDepth(m_id.size_bytes)) return CastHash<Hash256>(m_id.root);
    Hash256 hash;
    if (!m_hashes->ReadAt(HashOffset(m_id.size_bytes, node), hash.bytes) || hash.IsZero()) return std::nullopt;
    return hash;
}

std::optional<Hash256> StoredContent::HashOf(ChunkIndex chunk) const {
    if (chunk.value >= m_have.size()) return std::nullopt;
    const auto proof = ProofOf({chunk, 1});
    if (!proof) return std::nullopt;
    return proof->hashes[0];
}

std::optional<HashProof> StoredContent::ProofOf(const HashSpan& span) const {
    if (!CheckHashSpan(m_id.size_bytes, span)) return std::nullopt;
    auto proof = MakeHashProof(m_id.size_bytes, span, [this](const TreeNode& node) { return ReadNode(node); });
    if (!proof || !VerifyHashProof(m_id, span, *proof)) return std::nullopt;
    return proof;
}

Status StoredContent::AddHashes(const HashSpan& span, const HashProof& proof) {
    const auto nodes = ProvenNodes(m_id, span, proof);
    if (!nodes)
        return Fail(fmt::format("the proof of {} chunk hashes from {} on is false", span.count, span.first.value));
    const std::lock_guard write_lock(m_write_mutex);
    if (m_removed) return Fail(ErrorKind::kNotFound, "the content was removed from the store");
    for (size_t at = 0; at < nodes->size();) {
        const TreeNode first = (*nodes)[at].first;
        Bytes row;
        for (size_t next = at;
             next < nodes->size() && (*nodes)[next].first == TreeNode{first.level, first.index + (next - at)}; ++next) {
            row.insert(row.end(), (*nodes)[next].second.begin(), (*nodes)[next].second.end());
        }
        at += row.size() / Hash256::kSize;
        if (first.level < TreeDepth(m_id.size_bytes))
            RETURN_IF_ERROR(m_hashes->WriteAt(HashOffset(m_id.size_bytes, first), row));
    }
    return {};
}

Status StoredContent::AddChunk(ChunkIndex chunk, ByteSpan bytes) {
    if (HasChunk(chunk)) return {};
    const auto hash = HashOf(chunk);
    if (!hash) return Fail(ErrorKind::kUnavailable, fmt::format("the hash of chunk {} is not known yet", chunk.value));
    if (!CheckChunk(m_id.size_bytes, chunk, bytes, *hash)) {
        return Fail(fmt::format("chunk {} is not the one of content {}", chunk.value, m_id.root.Hex()));
    }
    return Put(chunk, bytes);
}

Status StoredContent::AddVerified(const VerifiedChunk& chunk) {
    if (chunk.content() != m_id) return Fail("a chunk of other content");
    if (HasChunk(chunk.chunk())) return {};
    return Put(chunk.chunk(), chunk.bytes());
}

Status StoredContent::Put(ChunkIndex chunk, ByteSpan bytes) {
    bool added = false;
    // Before the mutexes: it may evict other contents.
    const uint64_t blocks_bytes = BlocksBytes(bytes.size());
    RETURN_IF_ERROR(m_store.Reserve(blocks_bytes));
    const std::lock_guard write_lock(m_write_mutex);
    const Status written = [&]() -> Status {
        if (m_removed) return Fail(ErrorKind::kNotFound, "the content was removed from the store");
        if (HasChunk(chunk)) return {};
        RETURN_IF_ERROR(m_data->WriteAt(ChunkOffset(chunk), bytes));
        const std::lock_guard lock(m_mutex);
        m_have.Insert(chunk);
        m_unsynced.push_back(chunk);
        m_footprint_bytes += blocks_bytes;
        added = true;
        return {};
    }();
    if (!added) m_store.Release(blocks_bytes);
    Touch();
    return written;
}

Status StoredContent::CheckHere(ChunkIndex chunk) const {
    const std::lock_guard lock(m_mutex);
    if (m_removed) return Fail(ErrorKind::kNotFound, "the content was removed from the store");
    if (!m_have.Has(chunk)) return Fail(ErrorKind::kUnavailable, fmt::format("chunk {} is not here yet", chunk.value));
    return {};
}

Status StoredContent::Read(ChunkIndex chunk, MutableByteSpan into) const {
    Touch();
    return ReadBytes(chunk, into);
}

bool StoredContent::ReadCached(ChunkIndex chunk, MutableByteSpan into) const {
    Touch();
    if (!CheckHere(chunk)) return false;
    CHECK(into.size() == ChunkBytes(m_id.size_bytes, chunk));
    return m_data->ReadCached(ChunkOffset(chunk), into);
}

Status StoredContent::ReadBytes(ChunkIndex chunk, MutableByteSpan into) const {
    RETURN_IF_ERROR(CheckHere(chunk));
    CHECK(into.size() == ChunkBytes(m_id.size_bytes, chunk));
    return m_data->ReadAt(ChunkOffset(chunk), into);
}

Result<Bytes> StoredContent::ReadLeaf(ChunkIndex chunk, uint32_t leaf) const {
    Touch();
    RETURN_IF_ERROR(CheckHere(chunk));
    const uint32_t leaf_bytes = LeafBytes(m_id.size_bytes, chunk, leaf);
    if (leaf_bytes == 0) return Fail(fmt::format("chunk {} has no leaf {}", chunk.value, leaf));
    Bytes bytes(leaf_bytes);
    RETURN_IF_ERROR(m_data->ReadAt(ChunkOffset(chunk) + uint64_t{leaf} * kLeafBytes, bytes));
    return bytes;
}

Result<std::vector<Hash256>> StoredContent::ReadLeafHashes(ChunkIndex chunk) {
    Bytes bytes(ChunkBytes(m_id.size_bytes, chunk));
    RETURN_IF_ERROR(ReadBytes(chunk, bytes));
    const auto hash = HashOf(chunk);
    if (!hash)
        return Fail(ErrorKind::kUnavailable, fmt::format("the hash of chunk {} has to be fetched again", chunk.value));
    std::vector<Hash256> leaf_hashes = LeafHashes(bytes);
    if (CheckLeafHashes(m_id.size_bytes, chunk, leaf_hashes, *hash)) return leaf_hashes;
    LogWarning("store", "chunk {} of {} was damaged on the disk and is dropped", chunk.value, m_path);
    RETURN_IF_ERROR(Drop(chunk));
    return Fail(ErrorKind::kUnavailable,
                fmt::format("chunk {} was damaged on the disk: it has to be fetched again", chunk.value));
}

Status StoredContent::Drop(ChunkIndex chunk) {
    const std::lock_guard write_lock(m_write_mutex);
    if (m_removed) return {};
    // Rationale: journalled first, since the bytes are overwritten while the chunk is missing.
    RETURN_IF_ERROR(AppendRuns(*m_journal, kGoneRecord, {chunk}));
    {
        const std::lock_guard lock(m_mutex);
        if (!m_have.Erase(chunk)) return {};
        std::erase(m_unsynced, chunk);
    }
    ChargeJournal();
    const uint32_t bytes = ChunkBytes(m_id.size_bytes, chunk);
    (void)m_data->Discard(ChunkOffset(chunk),
                          bytes);  // where the file system cannot, the chunk to come takes the place
    m_footprint_bytes -= BlocksBytes(bytes);
    m_store.Release(BlocksBytes(bytes));
    return {};
}

uint32_t StoredContent::SyncedCount() const {
    const std::lock_guard flush_lock(m_flush_mutex);  // no flush is under way
    const std::lock_guard lock(m_mutex);
    return m_have.count() - static_cast<uint32_t>(m_unsynced.size());
}

Status StoredContent::Flush() {
    const std::lock_guard flush_lock(m_flush_mutex);
    std::vector<ChunkIndex> chunks;
    {
        const std::lock_guard lock(m_mutex);
        if (m_removed) return Fail(ErrorKind::kNotFound, "the content was removed from the store");
        chunks.swap(m_unsynced);
    }
    if (chunks.empty()) return {};
    // Rationale: other chunks are written while the disk works.
    Status flushed = m_data->Sync();
    if (flushed) flushed = m_hashes->Sync();
    const std::lock_guard write_lock(m_write_mutex);
    if (flushed) flushed = NameSynced(chunks);
    if (!flushed) {
        const std::lock_guard lock(m_mutex);
        m_unsynced.insert(m_unsynced.end(), chunks.begin(), chunks.end());
    }
    return flushed;
}

Status StoredContent::NameSynced(std::vector<ChunkIndex>& chunks) {
    {
        const std::lock_guard lock(m_mutex);
        if (m_removed) return Fail(ErrorKind::kNotFound, "the content was removed from the store");
        // Dropped meanwhile, and perhaps written again since the sync began.
        const std::set<ChunkIndex> again(m_unsynced.begin(), m_unsynced.end());
        std::erase_if(chunks, [&](ChunkIndex chunk) { return !m_have.Has(chunk) || again.contains(chunk); });
    }
    if (chunks.empty()) return {};
    const Status named = AppendRuns(*m_journal, kAddedRecord, chunks);
    ChargeJournal();
    return named;
}

Result<VerifyOutcome> StoredContent::Verify(const Progress& progress) {
    const ChunkSet have = Have();
    VerifyOutcome outcome;
    std::vector<ChunkIndex> without_hash;
    Bytes bytes(kChunkBytes);
    for (ChunkIndex chunk(0); chunk.value < have.size(); ++chunk) {
        if (!have.Has(chunk)) continue;
        const auto hash = HashOf(chunk);
        if (!hash) {
            without_hash.push_back(chunk);
        } else {
            const auto into = MutableByteSpan(bytes).first(ChunkBytes(m_id.size_bytes, chunk));
            const Status read = ReadBytes(chunk, into);
            if (!read && read.error().kind == ErrorKind::kNotFound) return Fail(read.error());
            // A sector that cannot be read is damaged, too.
            if (!read || !CheckChunk(m_id.size_bytes, chunk, into, *hash)) {
                LogWarning("store", "chunk {} of {} was damaged on the disk and is dropped", chunk.value, m_path);
                RETURN_IF_ERROR(Drop(chunk));
                outcome.damaged.push_back(chunk);
            }
        }
        ++outcome.checked;
        if (progress && !progress(ChunkOffset(chunk) + kChunkBytes, uint64_t{have.size()} * kChunkBytes))
            return Fail(ErrorKind::kUnavailable, "stopped before the end");
    }
    if (!without_hash.empty() && IsComplete() && RebuildHashes()) return outcome;
    for (const ChunkIndex chunk : without_hash) {
        RETURN_IF_ERROR(Drop(chunk));
        outcome.damaged.push_back(chunk);
    }
    std::sort(outcome.damaged.begin(), outcome.damaged.end());
    return outcome;
}

Status StoredContent::RebuildHashes() {
    const std::lock_guard write_lock(m_write_mutex);
    Bytes bytes(kChunkBytes);
    const bool only_chunk = m_have.size() == 1;
    for (ChunkIndex chunk(0); chunk.value < m_have.size() && !only_chunk; ++chunk) {
        const auto into = MutableByteSpan(bytes).first(ChunkBytes(m_id.size_bytes, chunk));
        RETURN_IF_ERROR(ReadBytes(chunk, into));
        RETURN_IF_ERROR(
            m_hashes->WriteAt(HashOffset(m_id.size_bytes, {0, chunk.value}), ChunkHash(LeafHashes(into), false).bytes));
    }
    ASSIGN_OR_RETURN(const auto root, WriteHashLevels(*m_hashes, m_id.size_bytes));
    if (root != CastHash<Hash256>(m_id.root)) return Fail("the data is not the content's");
    return m_hashes->Sync();
}

Status StoredContent::RemoveFiles() {
    // Rationale: a removed name may come back after power loss, so the journal is emptied first, and for good.
    ASSIGN_OR_RETURN(const std::unique_ptr<storage::File> journal,
                     m_store.m_files.Open(Path(".journal"), OpenMode::kCreateOrOpen));
    RETURN_IF_ERROR(journal->Truncate(0));
    RETURN_IF_ERROR(journal->Sync());
    for (const char* suffix : {".data", ".hashes", ".journal"}) {
        if (const Status removed = m_store.m_files.Remove(Path(suffix)); !removed) {
            LogWarning("store", "a leftover stays: {}", removed.error().message);
        }
    }
    return {};
}

}  // namespace sluice::content
