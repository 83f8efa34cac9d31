#include "content/merkle.h"

#include <fmt/format.h>

#include <bit>

#include "util/check.h"

namespace sluice::content {
namespace {

constexpr uint32_t kLevelsInChunk = 4;
constexpr uint32_t kMaxDepth = 32;
static_assert(1u << kLevelsInChunk == kLeavesPerChunk);

// The top of a tree of `leaves`, padded with zero hashes to `width` (a power of two, at most 16).
Hash256 SmallTreeRoot(std::span<const Hash256> leaves, size_t width) {
    std::array<Hash256, kLeavesPerChunk> nodes{};
    std::copy(leaves.begin(), leaves.end(), nodes.begin());
    for (; width > 1; width /= 2) {
        for (size_t i = 0; i < width / 2; ++i) nodes[i] = crypto::Sha256Pair(nodes[2 * i], nodes[2 * i + 1]);
    }
    return nodes[0];
}

std::array<Hash256, kMaxDepth + 1> MakePaddingHashes() {
    std::array<Hash256, kMaxDepth + 1> hashes;
    Hash256 hash{};
    for (uint32_t i = 0; i < kLevelsInChunk; ++i) hash = crypto::Sha256Pair(hash, hash);
    for (Hash256& level : hashes) {
        level = hash;
        hash = crypto::Sha256Pair(hash, hash);
    }
    return hashes;
}

uint32_t LevelOf(const HashSpan& span) { return static_cast<uint32_t>(std::countr_zero(span.count)); }

}  // namespace

Status CheckContentSize(uint64_t size_bytes) {
    if (size_bytes == 0) return Fail("the content is empty: choose a file that is not");
    if (size_bytes > kMaxContentBytes) {
        return Fail(
            fmt::format("the content has {} bytes, over the limit of {}: split it", size_bytes, kMaxContentBytes));
    }
    return {};
}

uint32_t ChunkCount(uint64_t size_bytes) {
    if (size_bytes > kMaxContentBytes) return 0;
    return static_cast<uint32_t>((size_bytes + kChunkBytes - 1) / kChunkBytes);
}

uint64_t LeafCount(uint64_t size_bytes) { return size_bytes / kLeafBytes + (size_bytes % kLeafBytes != 0 ? 1 : 0); }

uint32_t ChunkBytes(uint64_t size_bytes, ChunkIndex chunk) {
    const uint64_t offset = ChunkOffset(chunk);
    if (offset >= size_bytes || size_bytes > kMaxContentBytes) return 0;
    return static_cast<uint32_t>(std::min<uint64_t>(kChunkBytes, size_bytes - offset));
}

uint32_t LeavesOfChunk(uint64_t size_bytes, ChunkIndex chunk) {
    return static_cast<uint32_t>(LeafCount(ChunkBytes(size_bytes, chunk)));
}

uint32_t LeafBytes(uint64_t size_bytes, ChunkIndex chunk, uint32_t leaf) {
    const uint32_t chunk_bytes = ChunkBytes(size_bytes, chunk);
    if (leaf >= LeafCount(chunk_bytes)) return 0;
    return std::min(kLeafBytes, chunk_bytes - leaf * kLeafBytes);
}

std::vector<Hash256> LeafHashes(ByteSpan chunk_bytes) {
    CHECK(!chunk_bytes.empty() && chunk_bytes.size() <= kChunkBytes);
    std::array<ByteSpan, kLeavesPerChunk> leaves;
    size_t count = 0;
    for (size_t at = 0; at < chunk_bytes.size(); at += kLeafBytes)
        leaves[count++] = chunk_bytes.subspan(at, std::min<size_t>(kLeafBytes, chunk_bytes.size() - at));
    std::vector<Hash256> hashes(count);
    crypto::Sha256Many(std::span(leaves).first(count), hashes);
    return hashes;
}

Hash256 ChunkHash(std::span<const Hash256> leaf_hashes, bool only_chunk) {
    CHECK(!leaf_hashes.empty() && leaf_hashes.size() <= kLeavesPerChunk);
    return SmallTreeRoot(leaf_hashes, only_chunk ? std::bit_ceil(leaf_hashes.size()) : kLeavesPerChunk);
}

bool CheckLeafHashes(uint64_t size_bytes, ChunkIndex chunk, std::span<const Hash256> leaf_hashes,
                     const Hash256& chunk_hash) {
    const uint32_t leaves = LeavesOfChunk(size_bytes, chunk);
    return leaves != 0 && leaf_hashes.size() == leaves &&
           ChunkHash(leaf_hashes, ChunkCount(size_bytes) == 1) == chunk_hash;
}

bool CheckLeaf(uint64_t size_bytes, ChunkIndex chunk, uint32_t leaf, ByteSpan bytes, const Hash256& leaf_hash) {
    const uint32_t leaf_bytes = LeafBytes(size_bytes, chunk, leaf);
    return leaf_bytes != 0 && bytes.size() == leaf_bytes && crypto::Sha256Of(bytes) == leaf_hash;
}

bool CheckChunk(uint64_t size_bytes, ChunkIndex chunk, ByteSpan bytes, const Hash256& chunk_hash) {
    const uint32_t chunk_bytes = ChunkBytes(size_bytes, chunk);
    return chunk_bytes != 0 && bytes.size() == chunk_bytes &&
           CheckLeafHashes(size_bytes, chunk, LeafHashes(bytes), chunk_hash);
}

const Hash256& PaddingHash(uint32_t levels) {
    static const std::array<Hash256, kMaxDepth + 1> hashes = MakePaddingHashes();
    CHECK(levels <= kMaxDepth);
    return hashes[levels];
}

Hash256 RootBuilder::Add(std::span<const Hash256> leaf_hashes) {
    if (m_chunks == 0) {
        m_first_leaves.assign(leaf_hashes.begin(), leaf_hashes.end());
    } else {
        m_first_leaves.clear();
    }
    const Hash256 chunk_hash = ChunkHash(leaf_hashes, false);
    Hash256 node = chunk_hash;
    size_t level = 0;
    for (; level < m_levels.size() && m_levels[level]; ++level) {
        node = crypto::Sha256Pair(*m_levels[level], node);
        m_levels[level].reset();
    }
    if (level == m_levels.size()) m_levels.emplace_back();
    m_levels[level] = node;
    ++m_chunks;
    return chunk_hash;
}

Result<ContentRoot> RootBuilder::Finish() const {
    RETURN_IF_ERROR(CheckContentSize(m_chunks));
    if (m_chunks == 1) return CastHash<ContentRoot>(ChunkHash(m_first_leaves, true));
    // Fill up with padding from the lowest level on; a tree whose chunks are a power of two is whole already.
    std::optional<Hash256> node;
    for (uint32_t level = 0; level < m_levels.size(); ++level) {
        const bool top = level + 1 == m_levels.size();
        if (node && m_levels[level]) {
            node = crypto::Sha256Pair(*m_levels[level], *node);
        } else if (node) {
            node = crypto::Sha256Pair(*node, PaddingHash(level));
        } else if (m_levels[level]) {
            node = top ? *m_levels[level] : crypto::Sha256Pair(*m_levels[level], PaddingHash(level));
        }
    }
    return CastHash<ContentRoot>(*node);
}

void ContentHasher::Write(ByteSpan bytes) {
    m_size_bytes += bytes.size();
    while (!bytes.empty()) {
        if (m_leaf_bytes == 0 && bytes.size() >= kLeafBytes) {
            EndLeaf(crypto::Sha256Of(bytes.first(kLeafBytes)));
            bytes = bytes.subspan(kLeafBytes);
            continue;
        }
        const size_t take = std::min<size_t>(kLeafBytes - m_leaf_bytes, bytes.size());
        m_leaf.Write(bytes.first(take));
        m_leaf_bytes += static_cast<uint32_t>(take);
        bytes = bytes.subspan(take);
        if (m_leaf_bytes == kLeafBytes) EndLeaf(m_leaf.Finish());
    }
}

void ContentHasher::EndLeaf(const Hash256& hash) {
    if (m_leaf_bytes != 0) {
        m_leaf = crypto::Sha256();
        m_leaf_bytes = 0;
    }
    m_leaves.push_back(hash);
    if (m_leaves.size() == kLeavesPerChunk) EndChunk();
}

void ContentHasher::EndChunk() {
    const Hash256 hash = m_root.Add(m_leaves);
    m_leaves.clear();
    const uint32_t chunks = m_root.chunks();
    if (chunks == 1) {
        m_first_chunk = hash;
        return;
    }
    if (!m_on_chunk) return;
    if (chunks == 2) m_on_chunk(ChunkIndex(0), *m_first_chunk);
    m_on_chunk(ChunkIndex(chunks - 1), hash);
}

Result<ContentId> ContentHasher::Finish() {
    RETURN_IF_ERROR(CheckContentSize(m_size_bytes));
    if (m_leaf_bytes != 0) EndLeaf(m_leaf.Finish());
    if (!m_leaves.empty()) EndChunk();
    ASSIGN_OR_RETURN(const ContentRoot root, m_root.Finish());
    if (m_root.chunks() == 1 && m_on_chunk) m_on_chunk(ChunkIndex(0), CastHash<Hash256>(root));
    return ContentId{root, m_size_bytes};
}

Status CheckHashSpan(uint64_t size_bytes, const HashSpan& span) {
    if (!std::has_single_bit(span.count) || span.count > kMaxHashSpan) {
        return Fail(fmt::format("the hash span's count {} is not a power of two up to {}", span.count, kMaxHashSpan));
    }
    if (span.first.value % span.count != 0) {
        return Fail(fmt::format("the hash span's first chunk {} is not a multiple of its count {}", span.first.value,
                                span.count));
    }
    if (span.first.value >= ChunkCount(size_bytes)) {
        return Fail(fmt::format("the hash span begins at chunk {}, but the content has {}", span.first.value,
                                ChunkCount(size_bytes)));
    }
    if (LevelOf(span) > TreeDepth(size_bytes)) {
        return Fail(fmt::format("the hash span's count {} is larger than the tree of {} chunks", span.count,
                                ChunkCount(size_bytes)));
    }
    return {};
}

HashSpan HashSpanAround(uint64_t size_bytes, ChunkIndex chunk, uint32_t max_count) {
    CHECK(std::has_single_bit(max_count) && max_count <= kMaxHashSpan);
    const auto count = static_cast<uint32_t>(std::min(uint64_t{max_count}, uint64_t{1} << TreeDepth(size_bytes)));
    return {ChunkIndex(chunk.value & ~(count - 1)), count};
}

uint32_t TreeDepth(uint64_t size_bytes) {
    const uint64_t chunks = ChunkCount(size_bytes);
    return chunks <= 1 ? 0 : static_cast<uint32_t>(std::bit_width(chunks - 1));
}

uint64_t NodesAtLevel(uint64_t size_bytes, uint32_t level) {
    const uint64_t chunks = ChunkCount(size_bytes);
    return (chunks + (uint64_t{1} << level) - 1) >> level;
}

uint32_t ProofHashes(uint64_t size_bytes, const HashSpan& span) {
    return std::min(span.count, ChunkCount(size_bytes) - span.first.value);
}

uint32_t ProofUncles(uint64_t size_bytes, const HashSpan& span) {
    uint32_t uncles = 0;
    uint64_t index = span.first.value / span.count;
    for (uint32_t level = LevelOf(span); level < TreeDepth(size_bytes); ++level, index /= 2) {
        if ((index ^ 1) < NodesAtLevel(size_bytes, level)) ++uncles;
    }
    return uncles;
}

std::optional<std::vector<std::pair<TreeNode, Hash256>>> ProvenNodes(const ContentId& content, const HashSpan& span,
                                                                     const HashProof& proof) {
    const uint64_t size = content.size_bytes;
    if (!CheckHashSpan(size, span) || proof.hashes.size() != ProofHashes(size, span) ||
        proof.uncles.size() != ProofUncles(size, span)) {
        return std::nullopt;
    }
    std::vector<std::pair<TreeNode, Hash256>> nodes;
    std::vector<Hash256> row = proof.hashes;
    uint64_t first = span.first.value;
    uint32_t level = 0;
    for (;; ++level, first /= 2) {
        for (size_t i = 0; i < row.size(); ++i) nodes.push_back({{level, first + i}, row[i]});
        if (level == LevelOf(span)) break;
        if (row.size() % 2 != 0) row.push_back(PaddingHash(level));
        for (size_t i = 0; i < row.size() / 2; ++i) row[i] = crypto::Sha256Pair(row[2 * i], row[2 * i + 1]);
        row.resize(row.size() / 2);
    }
    Hash256 node = row[0];
    size_t next_uncle = 0;
    for (uint64_t index = first; level < TreeDepth(size); ++level, index /= 2) {
        const uint64_t sibling = index ^ 1;
        Hash256 uncle = PaddingHash(level);
        if (sibling < NodesAtLevel(size, level)) {
            uncle = proof.uncles[next_uncle++];
            nodes.push_back({{level, sibling}, uncle});
        }
        node = index % 2 == 0 ? crypto::Sha256Pair(node, uncle) : crypto::Sha256Pair(uncle, node);
        nodes.push_back({{level + 1, index / 2}, node});
    }
    if (node != CastHash<Hash256>(content.root)) return std::nullopt;
    return nodes;
}

bool VerifyHashProof(const ContentId& content, const HashSpan& span, const HashProof& proof) {
    return ProvenNodes(content, span, proof).has_value();
}

std::optional<ProvenSpan> ProvenSpan::Check(const ContentId& content, const HashSpan& span, const HashProof& proof) {
    if (!VerifyHashProof(content, span, proof)) return std::nullopt;
    return ProvenSpan(content, span, proof.hashes);
}

ProvenHash ProvenSpan::At(ChunkIndex chunk) const {
    CHECK(chunk >= m_span.first && chunk.value - m_span.first.value < m_hashes.size());
    return {m_content, chunk, m_hashes[chunk.value - m_span.first.value]};
}

ChunkVerdict VerifyChunk(const ProvenHash& proven, std::shared_ptr<const Bytes> bytes) {
    const uint64_t size = proven.content().size_bytes;
    if (bytes->empty() || bytes->size() != ChunkBytes(size, proven.chunk())) return {};
    ChunkVerdict verdict{std::nullopt, LeafHashes(*bytes)};
    if (CheckLeafHashes(size, proven.chunk(), verdict.leaf_hashes, proven.hash()))
        verdict.chunk = VerifiedChunk(proven, std::move(bytes));
    return verdict;
}

std::optional<HashProof> MakeHashProof(uint64_t size_bytes, const HashSpan& span,
                                       const std::function<std::optional<Hash256>(const TreeNode&)>& lookup) {
    CHECK(CheckHashSpan(size_bytes, span).has_value());
    HashProof proof;
    for (uint32_t i = 0; i < ProofHashes(size_bytes, span); ++i) {
        const auto hash = lookup({0, uint64_t{span.first.value} + i});
        if (!hash) return std::nullopt;
        proof.hashes.push_back(*hash);
    }
    uint64_t index = span.first.value / span.count;
    for (uint32_t level = LevelOf(span); level < TreeDepth(size_bytes); ++level, index /= 2) {
        if ((index ^ 1) >= NodesAtLevel(size_bytes, level)) continue;
        const auto uncle = lookup({level, index ^ 1});
        if (!uncle) return std::nullopt;
        proof.uncles.push_back(*uncle);
    }
    return proof;
}

}  // namespace sluice::content
