#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "crypto/hash.h"
#include "primitives/ids.h"
#include "util/bytes.h"
#include "util/result.h"
#include "util/strong_int.h"

// The Merkle tree of a file, exactly BitTorrent v2's (BEP 52), so that any such client can check and seed a sealed
// file.
//
//   leaf         SHA-256 of a block of 16 KiB; the last block may be shorter and is hashed as it is
//   leaf layer   padded with zero hashes (32 zero bytes) to a power of two
//   inner node   SHA-256(left || right)
//   pieces root  the top of that tree; of a file of one block, its leaf. An empty file has none.
//   chunk        256 KiB = 16 leaves (a BEP 52 piece); its hash is the node above its 16 leaves
//
// The last chunk of a file of several is padded with zero hashes to 16 leaves. A file of at most one chunk has a
// smaller tree: its leaves are padded only to their own next power of two, and its chunk hash is the root itself. What
// exists in the tree, how long the last leaf is and how long a proof is follow from the file's size alone, never from
// what a peer sends: two inner hashes cannot pose as the content of a smaller file.
//
// Everything here is pure; free functions are thread-safe.

namespace sluice::content {

inline constexpr uint32_t kLeafBytes = 16'384;
inline constexpr uint32_t kLeavesPerChunk = 16;
inline constexpr uint32_t kChunkBytes = kLeafBytes * kLeavesPerChunk;
// Chunk numbers are 32 bits on the wire and in records: 1 PiB.
inline constexpr uint64_t kMaxContentBytes = uint64_t{0xffffffff} * kChunkBytes;

using ChunkIndex = StrongInt<struct ChunkIndexTag, uint32_t>;

// The shape of a file of `size_bytes` (1 to kMaxContentBytes, else zero chunks: check with CheckContentSize first).
Status CheckContentSize(uint64_t size_bytes);
uint32_t ChunkCount(uint64_t size_bytes);
uint64_t LeafCount(uint64_t size_bytes);
inline uint64_t ChunkOffset(ChunkIndex chunk) { return uint64_t{chunk.value} * kChunkBytes; }
// Bytes and leaves of one chunk, and bytes of one of its leaves; 0 past the end.
uint32_t ChunkBytes(uint64_t size_bytes, ChunkIndex chunk);
uint32_t LeavesOfChunk(uint64_t size_bytes, ChunkIndex chunk);
uint32_t LeafBytes(uint64_t size_bytes, ChunkIndex chunk, uint32_t leaf);

// The leaf hashes of one chunk's bytes (1 to kChunkBytes of them, checked).
std::vector<Hash256> LeafHashes(ByteSpan chunk_bytes);
// The hash of a chunk from its leaf hashes (1 to 16); `only_chunk` if the file has no other.
Hash256 ChunkHash(std::span<const Hash256> leaf_hashes, bool only_chunk);
// True if these are the leaf hashes of that chunk: exactly as many as the size says, and they give `chunk_hash`.
bool CheckLeafHashes(uint64_t size_bytes, ChunkIndex chunk, std::span<const Hash256> leaf_hashes,
                     const Hash256& chunk_hash);
// True if `bytes` is that leaf: of exactly the length that the size says, and of hash `leaf_hash`.
bool CheckLeaf(uint64_t size_bytes, ChunkIndex chunk, uint32_t leaf, ByteSpan bytes, const Hash256& leaf_hash);
// True if `bytes` are that whole chunk: of exactly the length that the size says, and of hash `chunk_hash`.
bool CheckChunk(uint64_t size_bytes, ChunkIndex chunk, ByteSpan bytes, const Hash256& chunk_hash);

// The node `levels` levels above the chunk layer all of whose chunks lie after the end of the file.
const Hash256& PaddingHash(uint32_t levels);

// The root from the chunks' hashes, in order, with O(log n) memory.
class RootBuilder {
  public:
    // The leaf hashes of the next chunk; all chunks but the last have 16. Returns the chunk's hash, except that the
    // hash of a file's only chunk is known at the end: it is the root.
    Hash256 Add(std::span<const Hash256> leaf_hashes);
    uint32_t chunks() const { return m_chunks; }
    // The root of what was added; an error if that is nothing.
    Result<ContentRoot> Finish() const;

  private:
    std::vector<Hash256> m_first_leaves;           // while there is one chunk
    std::vector<std::optional<Hash256>> m_levels;  // the full left subtree waiting at each level
    uint32_t m_chunks{0};
};

// The content id of a stream of bytes, in constant memory.
class ContentHasher {
  public:
    // Called with every chunk's hash, in order, as soon as it is known; may be empty. See RootBuilder::Add for a file
    // of one chunk: it is called once, by Finish, with the root.
    using OnChunk = std::function<void(ChunkIndex, const Hash256&)>;
    explicit ContentHasher(OnChunk on_chunk = {}) : m_on_chunk(std::move(on_chunk)) {}

    void Write(ByteSpan bytes);
    uint64_t size_bytes() const { return m_size_bytes; }
    // An error if nothing, or more than kMaxContentBytes, was written. Nothing may be written afterwards.
    Result<ContentId> Finish();

  private:
    void EndLeaf(const Hash256& hash);
    void EndChunk();

    OnChunk m_on_chunk;
    RootBuilder m_root;
    crypto::Sha256 m_leaf;
    uint32_t m_leaf_bytes{0};
    std::vector<Hash256> m_leaves;         // of the chunk being written
    std::optional<Hash256> m_first_chunk;  // not reported yet: it may be the only one
    uint64_t m_size_bytes{0};
};

// A request for a span of the chunk layer: `count` is a power of two up to kMaxHashSpan and `first` a multiple of it.
// The span may reach beyond the last chunk: then it stands for the chunks that exist (at least one must).
inline constexpr uint32_t kMaxHashSpan = 512;
struct HashSpan {
    ChunkIndex first;
    uint32_t count{1};

    friend bool operator==(const HashSpan&, const HashSpan&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.first, self.count); }
};
Status CheckHashSpan(uint64_t size_bytes, const HashSpan& span);
// The largest valid span of at most `max_count` (a power of two) chunks that `chunk`, which exists, is in.
HashSpan HashSpanAround(uint64_t size_bytes, ChunkIndex chunk, uint32_t max_count);

// The hashes of the chunks of a span that exist, and the siblings on the way up to the root, lowest first. Siblings
// that lie wholly after the end of the file are known to everyone and left out, so the size fixes both lengths.
struct HashProof {
    std::vector<Hash256> hashes;
    std::vector<Hash256> uncles;

    friend bool operator==(const HashProof&, const HashProof&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive.Vector(self.hashes, kMaxHashSpan, 32);
        archive.Vector(self.uncles, 32, 32);
    }
};
// How many hashes and uncles the proof of a checked span has.
uint32_t ProofHashes(uint64_t size_bytes, const HashSpan& span);
uint32_t ProofUncles(uint64_t size_bytes, const HashSpan& span);
// True if `proof` proves the span's chunk hashes under the content's root.
bool VerifyHashProof(const ContentId& content, const HashSpan& span, const HashProof& proof);
// A node of the tree above the chunks: `level` 0 is the chunk layer; `index` counts from the left.
struct TreeNode {
    uint32_t level{0};
    uint64_t index{0};

    friend auto operator<=>(const TreeNode&, const TreeNode&) = default;
};
// Levels above the chunk layer; the root is node (TreeDepth, 0).
uint32_t TreeDepth(uint64_t size_bytes);
// Nodes of a level below which there is at least one chunk of the file.
uint64_t NodesAtLevel(uint64_t size_bytes, uint32_t level);
// VerifyHashProof that also gives every node it proved (the span's chunks, what is above them, and the uncles); nullopt
// if the proof is false.
std::optional<std::vector<std::pair<TreeNode, Hash256>>> ProvenNodes(const ContentId& content, const HashSpan& span,
                                                                     const HashProof& proof);
// A chunk's hash that was proven under its content's root: ProvenSpan alone makes one.
class ProvenHash {
  public:
    const ContentId& content() const { return m_content; }
    ChunkIndex chunk() const { return m_chunk; }
    const Hash256& hash() const { return m_hash; }

  private:
    friend class ProvenSpan;
    ProvenHash(const ContentId& content, ChunkIndex chunk, const Hash256& hash)
        : m_content(content), m_chunk(chunk), m_hash(hash) {}
    ContentId m_content;
    ChunkIndex m_chunk;
    Hash256 m_hash;
};
class ProvenSpan {
  public:
    // nullopt if the proof is false.
    static std::optional<ProvenSpan> Check(const ContentId& content, const HashSpan& span, const HashProof& proof);
    const HashSpan& span() const { return m_span; }
    // Precondition: the chunk exists and is in the span.
    ProvenHash At(ChunkIndex chunk) const;

  private:
    ProvenSpan(const ContentId& content, const HashSpan& span, std::vector<Hash256> hashes)
        : m_content(content), m_span(span), m_hashes(std::move(hashes)) {}
    ContentId m_content;
    HashSpan m_span;
    std::vector<Hash256> m_hashes;
};

// Bytes that are a chunk of a content: VerifyChunk alone makes one, so nothing unverified can be stored as one.
class VerifiedChunk {
  public:
    const ContentId& content() const { return m_content; }
    ChunkIndex chunk() const { return m_chunk; }
    ByteSpan bytes() const { return *m_bytes; }

  private:
    friend struct ChunkVerdict VerifyChunk(const ProvenHash& proven, std::shared_ptr<const Bytes> bytes);
    VerifiedChunk(const ProvenHash& proven, std::shared_ptr<const Bytes> bytes)
        : m_content(proven.content()), m_chunk(proven.chunk()), m_bytes(std::move(bytes)) {}
    ContentId m_content;
    ChunkIndex m_chunk;
    std::shared_ptr<const Bytes> m_bytes;
};
struct ChunkVerdict {
    std::optional<VerifiedChunk> chunk;  // if the bytes are it
    std::vector<Hash256>
        leaf_hashes;  // of the bytes, whatever they are; none if there are not as many as the size says
};
// Hashes the bytes once. For workers.
ChunkVerdict VerifyChunk(const ProvenHash& proven, std::shared_ptr<const Bytes> bytes);

// The proof of a checked span from a lookup of nodes that exist; nullopt as soon as the lookup does not know one.
std::optional<HashProof> MakeHashProof(uint64_t size_bytes, const HashSpan& span,
                                       const std::function<std::optional<Hash256>(const TreeNode&)>& lookup);

}  // namespace sluice::content
