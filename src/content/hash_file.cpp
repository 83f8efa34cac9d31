#include "content/hash_file.h"

#include <algorithm>

namespace sluice::content {
namespace {

constexpr size_t kNodesAtOnce = 2048;

Result<std::vector<Hash256>> ReadRow(const storage::File& file, uint64_t offset, size_t nodes) {
    Bytes bytes(nodes * Hash256::kSize);
    RETURN_IF_ERROR(file.ReadAt(offset, bytes));
    std::vector<Hash256> row(nodes);
    for (size_t i = 0; i < nodes; ++i)
        std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(i * Hash256::kSize), Hash256::kSize, row[i].begin());
    return row;
}

}  // namespace

uint64_t HashOffset(uint64_t size_bytes, const TreeNode& node) {
    uint64_t before = node.index;
    for (uint32_t level = 0; level < node.level; ++level) before += NodesAtLevel(size_bytes, level);
    return before * Hash256::kSize;
}

uint64_t HashFileBytes(uint64_t size_bytes) { return HashOffset(size_bytes, {TreeDepth(size_bytes), 0}); }

Result<std::optional<Hash256>> WriteHashLevels(storage::File& file, uint64_t size_bytes) {
    const uint32_t depth = TreeDepth(size_bytes);
    std::optional<Hash256> root;
    uint64_t from = 0;  // offset of the level below
    for (uint32_t level = 0; level < depth; ++level) {
        const uint64_t nodes = NodesAtLevel(size_bytes, level);
        const uint64_t to = from + nodes * Hash256::kSize;
        for (uint64_t first = 0; first < nodes; first += kNodesAtOnce) {
            ASSIGN_OR_RETURN(std::vector<Hash256> row,
                             ReadRow(file, from + first * Hash256::kSize, std::min(kNodesAtOnce, nodes - first)));
            if (row.size() % 2 != 0) row.push_back(PaddingHash(level));
            Bytes above;
            for (size_t i = 0; i < row.size(); i += 2) {
                const Hash256 node = crypto::Sha256Pair(row[i], row[i + 1]);
                above.insert(above.end(), node.begin(), node.end());
                root = node;
            }
            if (level + 1 < depth) RETURN_IF_ERROR(file.WriteAt(to + first / 2 * Hash256::kSize, above));
        }
        from = to;
    }
    return root;
}

}  // namespace sluice::content
