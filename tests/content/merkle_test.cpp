#include "content/merkle.h"

#include <gtest/gtest.h>

#include "util/random.h"

namespace sluice::content {
namespace {

Bytes RandomBytes(size_t size, uint64_t seed = 1) {
    Bytes bytes(size);
    SeededRandom(seed).Fill(bytes);
    return bytes;
}

// BEP 52 as its text says it: hash the 16 KiB blocks, pad the leaves with zero hashes to a power of two, hash pairs up
// to one.
std::vector<std::vector<Hash256>> ModelTree(ByteSpan file) {
    std::vector<std::vector<Hash256>> levels(1);
    for (size_t at = 0; at < file.size(); at += 16384) {
        levels[0].push_back(crypto::Sha256Of(file.subspan(at, std::min<size_t>(16384, file.size() - at))));
    }
    size_t width = 1;
    while (width < levels[0].size()) width *= 2;
    levels[0].resize(width);
    while (levels.back().size() > 1) {
        std::vector<Hash256> above;
        for (size_t i = 0; i < levels.back().size(); i += 2) {
            Bytes both = ToBytes(levels.back()[i].bytes);
            both.insert(both.end(), levels.back()[i + 1].begin(), levels.back()[i + 1].end());
            above.push_back(crypto::Sha256Of(both));
        }
        levels.push_back(above);
    }
    return levels;
}

const size_t kSizes[] = {1,      16383,  16384,  16385,   32768,          49153,          262127,
                         262128, 262129, 262143, 262144,  262145,         278529,         524288,
                         524289, 786432, 786433, 1048576, 5 * 262144 + 7, 8 * 262144 - 1, 9 * 262144};

ContentId HashWhole(ByteSpan bytes, size_t step, std::vector<Hash256>* chunks = nullptr) {
    ContentHasher hasher([&](ChunkIndex chunk, const Hash256& hash) {
        if (!chunks) return;
        EXPECT_EQ(chunk.value, chunks->size());
        chunks->push_back(hash);
    });
    for (size_t at = 0; at < bytes.size(); at += step)
        hasher.Write(bytes.subspan(at, std::min(step, bytes.size() - at)));
    const auto id = hasher.Finish();
    EXPECT_TRUE(id.has_value());
    return id.value_or(ContentId{});
}

TEST(Merkle, RootIsTheOneOfTheModelAtEveryBoundary) {
    for (const size_t size : kSizes) {
        const Bytes file = RandomBytes(size);
        const auto model = ModelTree(file);
        for (const size_t step : {size_t{1000}, size_t{16384}, size_t{70000}, size_t{1} << 20}) {
            std::vector<Hash256> chunks;
            const ContentId id = HashWhole(file, step, &chunks);
            EXPECT_EQ(id.root.Hex(), model.back()[0].Hex()) << size << " by " << step;
            EXPECT_EQ(id.size_bytes, size);
            ASSERT_EQ(chunks.size(), ChunkCount(size)) << size;
            for (size_t i = 0; i < chunks.size(); ++i) {
                EXPECT_EQ(chunks[i], chunks.size() == 1 ? model.back()[0] : model[4][i]) << size << " chunk " << i;
            }
        }
    }
}

TEST(Merkle, EmptyContentHasNoRoot) {
    EXPECT_FALSE(ContentHasher().Finish());
    EXPECT_FALSE(RootBuilder().Finish());
    EXPECT_FALSE(CheckContentSize(0));
    EXPECT_TRUE(CheckContentSize(kMaxContentBytes));
    EXPECT_FALSE(CheckContentSize(kMaxContentBytes + 1));
}

TEST(Merkle, RootOfOneLeafIsItsHash) {
    const Bytes file = RandomBytes(100);
    EXPECT_EQ(HashWhole(file, 7).root.bytes, crypto::Sha256Of(file).bytes);
}

TEST(Merkle, ShapeFollowsFromTheSize) {
    const uint64_t size = 2 * kChunkBytes + kLeafBytes + 5;
    EXPECT_EQ(ChunkCount(size), 3u);
    EXPECT_EQ(LeafCount(size), 34u);
    EXPECT_EQ(ChunkBytes(size, ChunkIndex(1)), kChunkBytes);
    EXPECT_EQ(ChunkBytes(size, ChunkIndex(2)), kLeafBytes + 5);
    EXPECT_EQ(ChunkBytes(size, ChunkIndex(3)), 0u);
    EXPECT_EQ(LeavesOfChunk(size, ChunkIndex(2)), 2u);
    EXPECT_EQ(LeafBytes(size, ChunkIndex(2), 0), kLeafBytes);
    EXPECT_EQ(LeafBytes(size, ChunkIndex(2), 1), 5u);
    EXPECT_EQ(LeafBytes(size, ChunkIndex(2), 2), 0u);
    EXPECT_EQ(ChunkCount(kMaxContentBytes), 0xffffffffu);
    EXPECT_EQ(TreeDepth(kMaxContentBytes), 32u);
}

struct Tree {
    explicit Tree(size_t size) : file(RandomBytes(size)), levels(ModelTree(file)) {
        id = ContentId{ContentRoot(levels.back()[0].bytes), size};
    }
    // Nodes above the chunks, from the model.
    std::optional<Hash256> Node(const TreeNode& node) const {
        if (ChunkCount(file.size()) == 1) return levels.back()[0];
        return levels[4 + node.level][node.index];
    }
    HashProof Proof(const HashSpan& span) const {
        return *MakeHashProof(file.size(), span, [this](const TreeNode& node) { return Node(node); });
    }
    Bytes file;
    std::vector<std::vector<Hash256>> levels;
    ContentId id;
};

TEST(Merkle, EverySpanOfEverySizeProves) {
    for (const size_t size : kSizes) {
        const Tree tree(size);
        const uint32_t chunks = ChunkCount(size);
        for (uint32_t count = 1; count <= 1u << TreeDepth(size); count *= 2) {
            for (uint32_t first = 0; first < chunks; first += count) {
                const HashSpan span{ChunkIndex(first), count};
                ASSERT_TRUE(CheckHashSpan(size, span));
                const HashProof proof = tree.Proof(span);
                EXPECT_EQ(proof.hashes.size(), ProofHashes(size, span));
                EXPECT_EQ(proof.uncles.size(), ProofUncles(size, span));
                EXPECT_TRUE(VerifyHashProof(tree.id, span, proof)) << size << ": " << first << "+" << count;
                const auto nodes = *ProvenNodes(tree.id, span, proof);
                for (const auto& [node, hash] : nodes) EXPECT_EQ(hash, tree.Node(node));
            }
        }
    }
}

TEST(Merkle, FalseProofsAreRefused) {
    const Tree tree(5 * kChunkBytes + 7);
    const HashSpan span{ChunkIndex(2), 2};
    const HashProof good = tree.Proof(span);
    ASSERT_TRUE(VerifyHashProof(tree.id, span, good));
    for (size_t i = 0; i < good.hashes.size() + good.uncles.size(); ++i) {
        HashProof bad = good;
        Hash256& hash = i < bad.hashes.size() ? bad.hashes[i] : bad.uncles[i - bad.hashes.size()];
        hash.bytes[i % 32] ^= 1;
        EXPECT_FALSE(VerifyHashProof(tree.id, span, bad)) << i;
    }
    HashProof longer = good;
    longer.uncles.push_back(PaddingHash(2));
    EXPECT_FALSE(VerifyHashProof(tree.id, span, longer));
    HashProof shorter = good;
    shorter.hashes.pop_back();
    EXPECT_FALSE(VerifyHashProof(tree.id, span, shorter));
    EXPECT_FALSE(VerifyHashProof(tree.id, {ChunkIndex(0), 2}, good));
    EXPECT_FALSE(VerifyHashProof(tree.id, {ChunkIndex(1), 2}, good));
    EXPECT_FALSE(VerifyHashProof(tree.id, {ChunkIndex(0), 3}, good));
    EXPECT_FALSE(VerifyHashProof(tree.id, {ChunkIndex(8), 2}, good));
}

TEST(Merkle, TwoInnerHashesDoNotPoseAsAFile) {
    const Tree tree(2 * kChunkBytes);
    Bytes forged;
    for (const Hash256& hash : tree.levels[4]) forged.insert(forged.end(), hash.begin(), hash.end());
    ASSERT_EQ(crypto::Sha256Of(forged).bytes, tree.id.root.bytes);
    // Under the true size the 64 bytes are no leaf, and the same root with size 64 is another content.
    EXPECT_FALSE(CheckLeaf(tree.id.size_bytes, ChunkIndex(0), 0, forged, CastHash<Hash256>(tree.id.root)));
    EXPECT_FALSE(CheckChunk(tree.id.size_bytes, ChunkIndex(0), forged, CastHash<Hash256>(tree.id.root)));
    EXPECT_NE((ContentId{tree.id.root, 64}), tree.id);
}

TEST(Merkle, LeavesAreCheckedAgainstTheirChunk) {
    const Tree tree(kChunkBytes + kLeafBytes + 9);
    const ChunkIndex last(1);
    const ByteSpan chunk = ByteSpan(tree.file).subspan(kChunkBytes);
    std::vector<Hash256> leaves = LeafHashes(chunk);
    ASSERT_EQ(leaves.size(), 2u);
    EXPECT_TRUE(CheckLeafHashes(tree.id.size_bytes, last, leaves, tree.levels[4][1]));
    EXPECT_TRUE(CheckChunk(tree.id.size_bytes, last, chunk, tree.levels[4][1]));
    EXPECT_TRUE(CheckLeaf(tree.id.size_bytes, last, 1, chunk.subspan(kLeafBytes), leaves[1]));
    EXPECT_FALSE(CheckLeaf(tree.id.size_bytes, last, 0, chunk.subspan(kLeafBytes), leaves[1]));
    EXPECT_FALSE(CheckLeaf(tree.id.size_bytes, last, 2, chunk.subspan(kLeafBytes), leaves[1]));
    std::vector<Hash256> padded = leaves;
    padded.emplace_back();  // gives the same chunk hash, but the size says two leaves
    EXPECT_FALSE(CheckLeafHashes(tree.id.size_bytes, last, padded, tree.levels[4][1]));
    leaves[0].bytes[0] ^= 1;
    EXPECT_FALSE(CheckLeafHashes(tree.id.size_bytes, last, leaves, tree.levels[4][1]));
}

TEST(Merkle, SpanAroundAChunkIsValid) {
    for (const size_t size : kSizes) {
        for (uint32_t chunk = 0; chunk < ChunkCount(size); ++chunk) {
            const HashSpan span = HashSpanAround(size, ChunkIndex(chunk), 4);
            EXPECT_TRUE(CheckHashSpan(size, span));
            EXPECT_TRUE(span.first.value <= chunk && chunk < span.first.value + span.count);
        }
    }
}

}  // namespace
}  // namespace sluice::content
