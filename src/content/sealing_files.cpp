#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "content/part_name.h"
#include "content/sealing.h"
#include "util/check.h"

// What moves bytes: sealing a whole source, opening a whole file, and the files on disk on both sides.

namespace sluice::content {
namespace {

using storage::OpenMode;

constexpr size_t kPooledBatchChunks = 16;

Status CheckProgress(const Progress& progress, uint64_t done, uint64_t total) {
    if (progress && !progress(done, total))
        return Fail(ErrorKind::kUnavailable, "stopped before the end: nothing was kept");
    return {};
}

// Chunks that are sealed together; reused for the whole file, so memory does not depend on its size.
class Batch {
  public:
    Batch(const ChunkCipher& cipher, size_t capacity) {
        m_items.reserve(capacity);
        for (size_t i = 0; i < capacity; ++i) m_items.emplace_back(cipher.Clone());
    }

    // The room for the next slice.
    MutableByteSpan AddSlice(ChunkIndex chunk, size_t bytes) {
        Item& item = m_items[m_size++];
        item.chunk = chunk;
        item.slice_bytes = bytes;
        // Where its ciphertext will be: it is sealed in place.
        const size_t slot_bytes = chunk.value == 0 ? item.cipher.layout().SlotBytes() : 0;
        return MutableByteSpan(item.sealed).subspan(slot_bytes, bytes);
    }
    bool IsFull() const { return m_size == m_items.size(); }
    bool IsEmpty() const { return m_size == 0; }

    void Start(Executor* pool) {
        m_left = m_size;
        for (size_t i = 0; i < m_size; ++i) {
            if (pool == nullptr) {
                Run(m_items[i]);
            } else {
                pool->Post([this, i] { Run(m_items[i]); });
            }
        }
    }
    void Wait() {
        std::unique_lock lock(m_mutex);
        m_done.wait(lock, [this] { return m_left == 0; });
    }
    // Hands over what was sealed, in order. Returns the plaintext bytes of it.
    Result<uint64_t> Drain(ChunkSink& sink, RootBuilder& root) {
        uint64_t bytes = 0;
        for (size_t i = 0; i < m_size; ++i) {
            const Item& item = m_items[i];
            root.Add(item.leaf_hashes);
            RETURN_IF_ERROR(sink.Put(item.chunk, ByteSpan(item.sealed).first(item.sealed_bytes), item.leaf_hashes));
            bytes += item.slice_bytes;
        }
        m_size = 0;
        return bytes;
    }

  private:
    struct Item {
        explicit Item(ChunkCipher c) : cipher(std::move(c)), sealed(kChunkBytes) {}
        ChunkCipher cipher;
        ChunkIndex chunk;
        size_t slice_bytes{0};
        Bytes sealed;  // the plaintext first
        size_t sealed_bytes{0};
        std::vector<Hash256> leaf_hashes;
    };

    void Run(Item& item) {
        const size_t slot_bytes = item.chunk.value == 0 ? item.cipher.layout().SlotBytes() : 0;
        item.sealed_bytes =
            item.cipher.Seal(item.chunk, ByteSpan(item.sealed).subspan(slot_bytes, item.slice_bytes), item.sealed);
        item.leaf_hashes = LeafHashes(ByteSpan(item.sealed).first(item.sealed_bytes));
        const std::lock_guard lock(m_mutex);
        if (--m_left == 0) m_done.notify_all();
    }

    std::vector<Item> m_items;
    size_t m_size{0};
    std::mutex m_mutex;  // guards the count of what the pool has not done yet
    std::condition_variable m_done;
    size_t m_left{0};
};

// One sealing from start to end: reads the next batch while the pool seals the one before.
class SealRun {
  public:
    SealRun(const SealJob& job, const ContentKeys& keys, const Salt& salt, SealedLayout layout, ChunkSink& sink,
            const Progress& progress, Executor* pool)
        : m_source(*job.source),
          m_layout(std::move(layout)),
          m_sink(sink),
          m_progress(progress),
          m_pool(pool),
          m_batches{{ChunkCipher(keys.Clone(), salt, m_layout), pool ? kPooledBatchChunks : 1},
                    {ChunkCipher(keys.Clone(), salt, m_layout), pool ? kPooledBatchChunks : 1}} {}

    Result<Sealed> Run() {
        const Status status = Pump();
        // Rationale: the pool may still work on a batch when reading or writing failed.
        for (Batch& batch : m_batches) batch.Wait();
        RETURN_IF_ERROR(status);
        RETURN_IF_ERROR(m_source.CheckEnd());
        ASSIGN_OR_RETURN(const ContentRoot root, m_root.Finish());
        return Sealed{{root, m_layout.sealed_bytes}, m_layout};
    }

  private:
    Status Pump() {
        for (size_t turn = 0;; turn ^= 1) {
            Batch& next = m_batches[turn];
            Batch& running = m_batches[turn ^ 1];
            RETURN_IF_ERROR(Fill(next));
            running.Wait();
            const bool more = !next.IsEmpty();
            if (more) next.Start(m_pool);
            ASSIGN_OR_RETURN(const uint64_t bytes, running.Drain(m_sink, m_root));
            m_done_bytes += bytes;
            RETURN_IF_ERROR(CheckProgress(m_progress, m_done_bytes, m_source.size_bytes()));
            if (!more) return {};
        }
    }
    Status Fill(Batch& batch) {
        for (; !batch.IsFull() && m_next.value < m_layout.chunks(); ++m_next) {
            RETURN_IF_ERROR(m_source.Read(batch.AddSlice(m_next, m_layout.SliceBytes(m_next))));
        }
        return {};
    }

    PlainSource& m_source;
    const SealedLayout m_layout;
    ChunkSink& m_sink;
    const Progress& m_progress;
    Executor* const m_pool;
    RootBuilder m_root;
    Batch m_batches[2];
    ChunkIndex m_next;
    uint64_t m_done_bytes{0};
};

// Chunks that are read and opened together, each on its own.
class OpenBatch {
  public:
    OpenBatch(const ChunkSource& source, const ChunkCipher& cipher, size_t capacity) : m_source(source) {
        for (size_t i = 0; i < capacity; ++i) m_items.push_back(std::make_unique<Item>(cipher.Clone()));
    }
    // Begins with the chunks from `first` on, before `end`; returns the one after them.
    ChunkIndex Start(ChunkIndex first, uint32_t end, Executor& pool) {
        m_size = std::min<size_t>(m_items.size(), end - first.value);
        m_left = m_size;
        for (size_t i = 0; i < m_size; ++i) {
            m_items[i]->chunk = ChunkIndex(static_cast<uint32_t>(first.value + i));
            pool.Post([this, i] { Run(*m_items[i]); });
        }
        return ChunkIndex(static_cast<uint32_t>(first.value + m_size));
    }
    void Wait() {
        std::unique_lock lock(m_mutex);
        m_done.wait(lock, [this] { return m_left == 0; });
    }
    // Hands over the plaintext, in order. Returns its bytes; 0: there was nothing.
    Result<uint64_t> Drain(PartFile& file) {
        uint64_t bytes = 0;
        for (size_t i = 0; i < m_size; ++i) {
            const Item& item = *m_items[i];
            RETURN_IF_ERROR(item.status);
            RETURN_IF_ERROR(file.Append(ByteSpan(item.slice).first(item.slice_bytes)));
            bytes += item.slice_bytes;
        }
        m_size = 0;
        return bytes;
    }

  private:
    struct Item {
        explicit Item(ChunkCipher c) : cipher(std::move(c)), sealed(kChunkBytes), slice(kSliceBytes) {}
        ChunkCipher cipher;
        ChunkIndex chunk;
        Bytes sealed;
        Bytes slice;
        size_t slice_bytes{0};
        Status status;
    };
    void Run(Item& item) {
        item.status = Open(item);
        const std::lock_guard lock(m_mutex);
        if (--m_left == 0) m_done.notify_all();
    }
    Status Open(Item& item) const {
        const auto sealed = MutableByteSpan(item.sealed).first(ChunkBytes(m_source.size_bytes(), item.chunk));
        RETURN_IF_ERROR(m_source.Read(item.chunk, sealed));
        ASSIGN_OR_RETURN(item.slice_bytes, item.cipher.Open(item.chunk, sealed, item.slice));
        return {};
    }

    const ChunkSource& m_source;
    std::vector<std::unique_ptr<Item>> m_items;
    size_t m_size{0};
    std::mutex m_mutex;  // guards the count of what the pool has not done yet
    std::condition_variable m_done;
    size_t m_left{0};
};

// Writes one batch while the pool opens the next.
Status OpenOnPool(const ChunkSource& source, const ChunkCipher& cipher, PartFile& file, const Progress& progress,
                  Executor& pool) {
    const SealedLayout& layout = cipher.layout();
    if (source.size_bytes() != layout.sealed_bytes) {
        return Fail(fmt::format("the sealed data has {} bytes, but its record says {}", source.size_bytes(),
                                layout.sealed_bytes));
    }
    OpenBatch batches[2] = {{source, cipher, kPooledBatchChunks}, {source, cipher, kPooledBatchChunks}};
    const Status status = [&]() -> Status {
        uint64_t done = 0;
        ChunkIndex next = batches[0].Start(ChunkIndex(0), layout.chunks(), pool);
        for (size_t turn = 0;; turn ^= 1) {
            batches[turn].Wait();
            next = batches[turn ^ 1].Start(next, layout.chunks(), pool);
            ASSIGN_OR_RETURN(const uint64_t bytes, batches[turn].Drain(file));
            if (bytes == 0) return {};
            done += bytes;
            RETURN_IF_ERROR(CheckProgress(progress, done, layout.PlainBytes()));
        }
    }();
    // Rationale: the pool may still work on a batch when reading or writing failed.
    for (OpenBatch& batch : batches) batch.Wait();
    return status;
}

class PlainFile final : public PlainSource {
  public:
    PlainFile(std::unique_ptr<storage::File> file, std::string path, uint64_t size)
        : m_file(std::move(file)), m_path(std::move(path)), m_size_bytes(size) {}
    uint64_t size_bytes() const override { return m_size_bytes; }
    Status Read(MutableByteSpan into) override {
        if (const Status read = m_file->ReadAt(m_offset, into); !read) {
            RETURN_IF_ERROR(CheckEnd());
            return read;
        }
        m_offset += into.size();
        return {};
    }
    Status CheckEnd() override {
        ASSIGN_OR_RETURN(const uint64_t size, m_file->Size());
        if (size == m_size_bytes) return {};
        return Fail(fmt::format(
            "{} changed its size from {} to {} bytes while it was being sealed: try again when nothing writes to it",
            m_path, m_size_bytes, size));
    }

  private:
    const std::unique_ptr<storage::File> m_file;
    const std::string m_path;
    const uint64_t m_size_bytes;
    uint64_t m_offset{0};
};

class SealedFile final : public ChunkSource {
  public:
    SealedFile(std::unique_ptr<storage::File> file, uint64_t size) : m_file(std::move(file)), m_size_bytes(size) {}
    uint64_t size_bytes() const override { return m_size_bytes; }
    Status Read(ChunkIndex chunk, MutableByteSpan into) const override {
        return m_file->ReadAt(ChunkOffset(chunk), into);
    }

  private:
    const std::unique_ptr<storage::File> m_file;
    const uint64_t m_size_bytes;
};

}  // namespace

Result<Sealed> Seal(const SealJob& job, const ContentKeys& title_key, const Salt& sealing_salt, ChunkSink& sink,
                    const Progress& progress, Executor* pool) {
    CHECK(job.source != nullptr && title_key.title_key().has_value());
    const uint64_t plain_bytes = job.source->size_bytes();
    if (plain_bytes == 0) return Fail("there is nothing to seal: the content is empty");
    RETURN_IF_ERROR(CheckContentSize(plain_bytes));
    SealedLayout layout{0, job.manifest_chunks, job.segment_starts};
    layout.sealed_bytes = SealedSize(plain_bytes + layout.SlotBytes());
    RETURN_IF_ERROR(layout.Check());
    return SealRun(job, title_key, sealing_salt, std::move(layout), sink, progress, pool).Run();
}

Result<std::unique_ptr<PlainSource>> OpenPlainFile(storage::FileSystem& files, const std::string& path) {
    ASSIGN_OR_RETURN(std::unique_ptr<storage::File> file, files.Open(path, OpenMode::kRead));
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    if (size == 0) return Fail(fmt::format("{} is empty: there is nothing to seal", path));
    return std::unique_ptr<PlainSource>(std::make_unique<PlainFile>(std::move(file), path, size));
}

Result<std::unique_ptr<ChunkSource>> OpenSealedFile(storage::FileSystem& files, const std::string& path) {
    ASSIGN_OR_RETURN(std::unique_ptr<storage::File> file, files.Open(path, OpenMode::kRead));
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    if (size == 0) return Fail(fmt::format("{} is empty: it is not a sealed file", path));
    return std::unique_ptr<ChunkSource>(std::make_unique<SealedFile>(std::move(file), size));
}

Result<PartFile> PartFile::Create(storage::FileSystem& files, const std::string& path) {
    if (files.Exists(path)) return Fail(fmt::format("{} exists already: choose another name or remove it", path));
    const std::string part = path + kPartSuffix;
    // What an earlier, interrupted run left.
    if (files.Exists(part)) RETURN_IF_ERROR(files.Remove(part));
    ASSIGN_OR_RETURN(std::unique_ptr<storage::File> file, files.Open(part, OpenMode::kCreateNew));
    return PartFile(files, path, std::move(file));
}

PartFile::PartFile(PartFile&& other) noexcept
    : m_files(other.m_files),
      m_path(std::move(other.m_path)),
      m_file(std::move(other.m_file)),
      m_written_bytes(other.m_written_bytes) {}

PartFile::~PartFile() {
    if (!m_file) return;
    m_file.reset();
    (void)m_files->Remove(m_path + kPartSuffix);  // what remains after a failed removal is replaced by the next run
}

Status PartFile::Append(ByteSpan bytes) {
    RETURN_IF_ERROR(m_file->WriteAt(m_written_bytes, bytes));
    m_written_bytes += bytes.size();
    return {};
}

Status PartFile::Commit() {
    RETURN_IF_ERROR(m_file->Sync());
    if (m_files->Exists(m_path))
        return Fail(fmt::format("{} appeared meanwhile: choose another name or remove it", m_path));
    RETURN_IF_ERROR(m_files->Rename(m_path + kPartSuffix, m_path));
    m_file.reset();
    return {};
}

Status OpenToFile(const ChunkSource& source, ChunkCipher cipher, storage::FileSystem& files, const std::string& path,
                  const Progress& progress, Executor* pool) {
    if (cipher.layout().manifest_chunks != 0)
        return Fail(fmt::format("this is a sealed folder: open it as one, not to the file {}", path));
    ASSIGN_OR_RETURN(PartFile file, PartFile::Create(files, path));
    if (pool != nullptr) {
        RETURN_IF_ERROR(OpenOnPool(source, cipher, file, progress, *pool));
        return file.Commit();
    }
    PlainReader reader(source, std::move(cipher));
    Bytes slice(kSliceBytes);
    for (uint64_t offset = 0; offset < reader.size_bytes();) {
        const auto piece = MutableByteSpan(slice).first(std::min<uint64_t>(slice.size(), reader.size_bytes() - offset));
        RETURN_IF_ERROR(reader.Read(offset, piece));
        RETURN_IF_ERROR(file.Append(piece));
        offset += piece.size();
        RETURN_IF_ERROR(CheckProgress(progress, offset, reader.size_bytes()));
    }
    return file.Commit();
}

}  // namespace sluice::content
