#pragma once

#include <gtest/gtest.h>

#include "content/chunk_store.h"
#include "util/random.h"

namespace sluice::content {

// A content with its tree, to feed a store from.
struct Content {
    explicit Content(size_t size, uint64_t seed = 1) : bytes(size) {
        SeededRandom(seed).Fill(bytes);
        std::vector<Hash256> row;
        ContentHasher hasher([&](ChunkIndex, const Hash256& hash) { row.push_back(hash); });
        hasher.Write(bytes);
        id = *hasher.Finish();
        for (uint32_t level = 0;; ++level) {
            levels.push_back(row);
            if (row.size() == 1) break;
            if (row.size() % 2 != 0) row.push_back(PaddingHash(level));
            std::vector<Hash256> above;
            for (size_t i = 0; i < row.size(); i += 2) above.push_back(crypto::Sha256Pair(row[i], row[i + 1]));
            row = above;
        }
    }
    HashProof Proof(const HashSpan& span) const {
        return *MakeHashProof(bytes.size(), span,
                              [this](const TreeNode& node) { return levels[node.level][node.index]; });
    }
    ByteSpan Chunk(uint32_t index) const {
        return ByteSpan(bytes).subspan(uint64_t{index} * kChunkBytes, ChunkBytes(bytes.size(), ChunkIndex(index)));
    }
    Status AddHashes(StoredContent& stored) const {
        const HashSpan all{ChunkIndex(0), 1u << TreeDepth(bytes.size())};
        return stored.AddHashes(all, Proof(all));
    }
    Status StageInto(StagedContent& staged) const {
        for (uint32_t i = 0; i < ChunkCount(bytes.size()); ++i)
            RETURN_IF_ERROR(staged.Put(ChunkIndex(i), Chunk(i), LeafHashes(Chunk(i))));
        return {};
    }
    Bytes bytes;
    std::vector<std::vector<Hash256>> levels;
    ContentId id;
};

inline Bytes ReadChunk(const StoredContent& stored, uint32_t chunk) {
    Bytes bytes(ChunkBytes(stored.size_bytes(), ChunkIndex(chunk)));
    EXPECT_TRUE(stored.Read(ChunkIndex(chunk), bytes));
    return bytes;
}

// Every chunk that the store says it has is the content's.
inline void ExpectOnlyTrueChunks(const StoredContent& stored, const Content& content) {
    for (uint32_t i = 0; i < ChunkCount(content.bytes.size()); ++i) {
        if (!stored.HasChunk(ChunkIndex(i))) continue;
        EXPECT_EQ(ReadChunk(stored, i), ToBytes(content.Chunk(i))) << i;
    }
}

}  // namespace sluice::content
