#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "content/keys.h"
#include "content/merkle.h"
#include "primitives/record.h"
#include "storage/file_system.h"
#include "util/executor.h"
#include "util/result.h"

// Sealing: from plaintext to the encrypted chunks that anyone may store, and back. Constant memory for any size.
//
// Plaintext is cut into slices of 262,128 bytes; chunk i is ChaCha20-Poly1305(chunk key of its segment, nonce = i,
// slice) with its 16-byte tag at the end: 262,144 bytes, the last one shorter. A folder's manifest comes first, in
// chunks of its own under the manifest key; when the folder is sold in segments, the first chunk begins with one slot
// per segment (48 bytes: the manifest key sealed for the holder of that segment's key) and its slice is shorter by as
// much.
//
// A chunk is a pure function of (keys, sealing salt, index, slice). The salt is fresh and random for each sealing: the
// same key and nonce never meet two plaintexts. An interrupted sealing is started again with a new salt.

namespace sluice::content {

inline constexpr uint32_t kSliceBytes = kChunkBytes - crypto::kAeadTagBytes;
inline constexpr uint32_t kManifestSlotBytes = 32 + crypto::kAeadTagBytes;
inline constexpr size_t kMaxManifestBytes = 64 << 20;
inline constexpr uint32_t kMaxManifestChunks =
    (kMaxManifestBytes + kMaxSegments * kManifestSlotBytes + kSliceBytes - 1) / kSliceBytes;

// The size of the plaintext of a sealed file (0 for a size that no sealing has), and the other way round. Without
// manifest slots.
uint64_t PlainSize(uint64_t sealed_bytes);
uint64_t SealedSize(uint64_t plain_bytes);

// How a sealed file is divided, as its publish record says.
struct SealedLayout {
    uint64_t sealed_bytes{0};
    uint32_t manifest_chunks{0};             // 0: a single file
    std::vector<ChunkIndex> segment_starts;  // empty: one segment. Else the first is manifest_chunks, and they rise.

    static Result<SealedLayout> FromRecord(const PublishRecord& record);
    // A single file, or a folder, that is sold as a whole.
    static Result<SealedLayout> Whole(uint64_t sealed_bytes, uint32_t manifest_chunks = 0);
    Status Check() const;

    uint32_t chunks() const { return ChunkCount(sealed_bytes); }
    bool IsManifest(ChunkIndex chunk) const { return chunk.value < manifest_chunks; }
    // The segment of a chunk that is not the manifest's.
    uint32_t SegmentOf(ChunkIndex chunk) const;
    // Plaintext bytes of one chunk.
    uint32_t SliceBytes(ChunkIndex chunk) const;
    // Plaintext bytes after the manifest.
    uint64_t PlainBytes() const;
    // Bytes at the start of chunk 0 that are manifest slots.
    uint32_t SlotBytes() const {
        return manifest_chunks == 0 ? 0 : static_cast<uint32_t>(segment_starts.size()) * kManifestSlotBytes;
    }
};

// Seals and opens single chunks. Holds derived keys; one per thread.
class ChunkCipher {
  public:
    ChunkCipher(ContentKeys keys, Salt sealing_salt, SealedLayout layout);

    // Writes plain.size() + 16 (+ slots) bytes to the start of `into` (kChunkBytes are enough) and returns how many.
    // `layout.sealed_bytes` is not looked at, so it may be unknown yet. A key that is missing is our caller's bug.
    size_t Seal(ChunkIndex chunk, ByteSpan plain, MutableByteSpan into);
    // Writes layout.SliceBytes(chunk) bytes to the start of `into`. kInvalid names the chunk if the key is wrong or the
    // data damaged, kNotFound the segment if its key is missing.
    Result<size_t> Open(ChunkIndex chunk, ByteSpan sealed, MutableByteSpan into);
    // True if the keys reach this chunk.
    bool HasKeyOf(ChunkIndex chunk) const;
    const SealedLayout& layout() const { return m_layout; }
    ChunkCipher Clone() const { return ChunkCipher(m_keys.Clone(), m_salt, m_layout); }

  private:
    crypto::Aead* SegmentAead(uint32_t segment);
    Result<crypto::Aead*> ManifestAead(ChunkIndex chunk, ByteSpan slots);
    void WriteSlots(MutableByteSpan slots) const;

    ContentKeys m_keys;
    Salt m_salt;
    SealedLayout m_layout;
    std::optional<crypto::Aead> m_manifest;
    std::map<uint32_t, crypto::Aead> m_segments;
};

// Plaintext to be sealed, read once from its start to its end.
class PlainSource {
  public:
    virtual ~PlainSource() = default;
    // The bytes that are to come in all. Known before the first is read.
    virtual uint64_t size_bytes() const = 0;
    // Fills `into` with the next bytes; never asked for more than are left. An error if they changed since the source
    // was made.
    virtual Status Read(MutableByteSpan into) = 0;
    // Called once after the last byte: an error if there is more now than size_bytes() said.
    virtual Status CheckEnd() = 0;
};

// Where sealed chunks go, in order.
class ChunkSink {
  public:
    virtual ~ChunkSink() = default;
    virtual Status Put(ChunkIndex chunk, ByteSpan sealed, std::span<const Hash256> leaf_hashes) = 0;
};

// Sealed chunks, wherever they are. Thread-safe.
class ChunkSource {
  public:
    virtual ~ChunkSource() = default;
    virtual uint64_t size_bytes() const = 0;
    // Fills `into` (exactly the chunk's bytes). kUnavailable if the chunk is not here (yet).
    virtual Status Read(ChunkIndex chunk, MutableByteSpan into) const = 0;
};

// Called with bytes done and bytes in all; returning false stops the work (kUnavailable "stopped", nothing is left
// behind).
using Progress = std::function<bool(uint64_t done_bytes, uint64_t total_bytes)>;

struct Sealed {
    ContentId content;
    SealedLayout layout;
};
// What to seal: plaintext that starts with the manifest, padded to whole slices, if there is one.
struct SealJob {
    PlainSource* source{nullptr};
    uint32_t manifest_chunks{0};
    std::vector<ChunkIndex> segment_starts;
};
// Seals everything into `sink`. With a pool, chunks are sealed and hashed on it, several at once. An empty source is an
// error.
Result<Sealed> Seal(const SealJob& job, const ContentKeys& title_key, const Salt& sealing_salt, ChunkSink& sink,
                    const Progress& progress = {}, Executor* pool = nullptr);

// One file as plaintext. The error of opening names the path; a folder is refused, and so is an empty file.
Result<std::unique_ptr<PlainSource>> OpenPlainFile(storage::FileSystem& files, const std::string& path);
// A sealed file on disk. An error if it is empty, missing, or a folder.
Result<std::unique_ptr<ChunkSource>> OpenSealedFile(storage::FileSystem& files, const std::string& path);

// A file that has its name only once it is whole: written as `<path>.sluice-part`, synced and renamed at the end; removed if
// it is dropped before.
class PartFile final {
  public:
    // kInvalid if `path` exists already.
    static Result<PartFile> Create(storage::FileSystem& files, const std::string& path);
    PartFile(PartFile&& other) noexcept;
    PartFile& operator=(PartFile&&) = delete;
    ~PartFile();
    Status Append(ByteSpan bytes);
    Status Commit();

  private:
    PartFile(storage::FileSystem& files, std::string path, std::unique_ptr<storage::File> file)
        : m_files(&files), m_path(std::move(path)), m_file(std::move(file)) {}
    storage::FileSystem* m_files;
    std::string m_path;
    std::unique_ptr<storage::File> m_file;
    uint64_t m_written_bytes{0};
};

// A sink that writes a sealed file.
class FileChunkSink final : public ChunkSink {
  public:
    explicit FileChunkSink(PartFile& file) : m_file(file) {}
    Status Put(ChunkIndex, ByteSpan sealed, std::span<const Hash256>) override { return m_file.Append(sealed); }

  private:
    PartFile& m_file;
};

// Reads plaintext at any offset; keeps the last chunk it opened. Offsets count from the end of the manifest. Not
// thread-safe.
class PlainReader {
  public:
    PlainReader(const ChunkSource& source, ChunkCipher cipher);
    uint64_t size_bytes() const { return m_plain_bytes; }
    const ChunkCipher& cipher() const { return m_cipher; }
    // Fills `into` from `offset`; kInvalid if the range reaches beyond the end.
    Status Read(uint64_t offset, MutableByteSpan into);
    // The manifest's plaintext, padding included; empty for a single file.
    Result<Bytes> ReadManifest();
    // The chunks that hold a range whose start is before the end (for the picker): [first, last].
    std::pair<ChunkIndex, ChunkIndex> ChunksOf(uint64_t offset, uint64_t length) const;

  private:
    Status Load(ChunkIndex chunk);

    const ChunkSource& m_source;
    ChunkCipher m_cipher;
    uint64_t m_plain_bytes;
    std::optional<ChunkIndex> m_loaded;
    Bytes m_sealed;
    Bytes m_slice;
    size_t m_slice_bytes{0};
};

// Opens a single file (layout without manifest) to `path`, which appears only when it is whole. kInvalid if it exists.
// With a pool, chunks are read and opened on it, several at once.
Status OpenToFile(const ChunkSource& source, ChunkCipher cipher, storage::FileSystem& files, const std::string& path,
                  const Progress& progress = {}, Executor* pool = nullptr);

}  // namespace sluice::content
