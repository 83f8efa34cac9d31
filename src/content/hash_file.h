#pragma once

#include "content/merkle.h"
#include "storage/file_system.h"

// The .hashes file of a content (chunk_store.h): every level of the tree above the chunks and below the root, the
// chunks' first, one after the other.

namespace sluice::content {

// What a disk gives to a file of so many bytes.
inline constexpr uint64_t kBlockBytes = 4096;
inline uint64_t BlocksBytes(uint64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes; }

// Where a node is, and how long the whole file is.
uint64_t HashOffset(uint64_t size_bytes, const TreeNode& node);
uint64_t HashFileBytes(uint64_t size_bytes);
// Fills the levels above the chunks' hashes, which are there. The root that they give; of a file of one chunk none.
Result<std::optional<Hash256>> WriteHashLevels(storage::File& file, uint64_t size_bytes);

}  // namespace sluice::content
