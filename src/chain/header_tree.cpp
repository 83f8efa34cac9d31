#include "chain/header_tree.h"

#include <algorithm>

#include "chain/store_keys.h"

namespace sluice::chain {
namespace {

using consensus::HeaderState;
using consensus::Invalid;

// What the table holds for each header.
struct StoredHeader {
    BlockHeader header;
    HeaderState state;
    uint64_t sequence{0};
    bool invalid{false};

    static void Serialize(auto& self, auto& archive) { archive(self.header, self.state, self.sequence, self.invalid); }
};

// Height that the skip pointer of a node of this height leads to: clears the lowest set bits, so that chains of skips
// are short.
uint32_t SkipHeight(uint32_t height) {
    const auto clear_lowest = [](uint32_t n) { return n & (n - 1); };
    if (height < 2) return 0;
    return (height & 1) != 0 ? clear_lowest(clear_lowest(height - 1)) + 1 : clear_lowest(height);
}

HeaderOutcome Refuse(HeaderOutcome::What what, Invalid reason) { return {what, nullptr, std::move(reason)}; }

}  // namespace

const HeaderNode* AncestorAt(const HeaderNode* node, Height height) {
    if (node == nullptr || height > node->height()) return nullptr;
    while (node->height() > height) {
        const uint32_t here = node->height().value;
        const uint32_t by_skip = SkipHeight(here);
        const uint32_t by_parents_skip = SkipHeight(here - 1);
        // The parent's skip may lead further without going too far.
        const bool skip =
            node->skip != nullptr &&
            (by_skip == height.value ||
             (by_skip > height.value && !(by_parents_skip + 2 < by_skip && by_parents_skip >= height.value)));
        node = skip ? node->skip : node->parent;
    }
    return node;
}

const HeaderNode* ForkPoint(const HeaderNode* a, const HeaderNode* b) {
    const Height shared = std::min(a->height(), b->height());
    a = AncestorAt(a, shared);
    b = AncestorAt(b, shared);
    while (a != b) {
        // Skips of equal heights lead to equal heights.
        const bool skip = a->skip != b->skip && a->skip != nullptr && b->skip != nullptr;
        a = skip ? a->skip : a->parent;
        b = skip ? b->skip : b->parent;
    }
    return a;
}

bool IsAncestor(const HeaderNode* ancestor, const HeaderNode* node) {
    return AncestorAt(node, ancestor->height()) == ancestor;
}

Result<std::unique_ptr<HeaderTree>> HeaderTree::Open(const consensus::Params& params, const BlockHeader& genesis_header,
                                                     const HeaderState& genesis, storage::KeyValueStore& store) {
    std::unique_ptr<HeaderTree> tree(new HeaderTree(params, store));
    ASSIGN_OR_RETURN(const auto stored, store.Get(TableKey(kHeaderTable, genesis.hash.bytes)));
    if (!stored) {
        storage::WriteBatch batch;
        batch.Put(TableKey(kHeaderTable, genesis.hash.bytes), Encode(StoredHeader{genesis_header, genesis, 0, false}));
        RETURN_IF_ERROR(store.Write(batch, true));
    }
    RETURN_IF_ERROR(tree->Load(genesis.hash));
    return tree;
}

Status HeaderTree::Load(const BlockHash& genesis) {
    std::vector<StoredHeader> all;
    bool damaged = false;
    RETURN_IF_ERROR(m_store.Scan(TableKey(kHeaderTable), {}, [&](ByteSpan, ByteSpan value) {
        auto decoded = Decode<StoredHeader>(value);
        if (!decoded) {
            damaged = true;
            return false;
        }
        all.push_back(std::move(*decoded));
        return true;
    }));
    if (damaged) return Fail(Corrupt("a header does not decode"));
    // Parents come before children, and siblings in the order they came.
    std::sort(all.begin(), all.end(), [](const StoredHeader& a, const StoredHeader& b) {
        return std::pair(a.state.height, a.sequence) < std::pair(b.state.height, b.sequence);
    });
    for (const StoredHeader& stored : all) {
        HeaderNode* parent = FindMutable(stored.state.prev);
        if (parent == nullptr && stored.state.hash != genesis)
            return Fail(Corrupt("the parent of header " + stored.state.hash.Hex() + " is missing"));
        HeaderNode* node = Insert(stored.state, parent, stored.sequence, stored.invalid);
        if (parent == nullptr) m_genesis = node;
        ++m_counts[{stored.header.slot, stored.header.staker}];
        m_next_sequence = std::max(m_next_sequence, stored.sequence + 1);
    }
    if (m_genesis == nullptr)
        return Fail(Corrupt("the genesis header is missing: this folder belongs to another network"));
    ChooseBest();
    return {};
}

HeaderNode* HeaderTree::Insert(const HeaderState& state, HeaderNode* parent, uint64_t sequence, bool invalid) {
    auto owned = std::make_unique<HeaderNode>();
    HeaderNode* node = owned.get();
    node->state = state;
    node->parent = parent;
    node->sequence = sequence;
    node->invalid = invalid;
    node->failed = invalid || (parent != nullptr && parent->failed);
    if (parent != nullptr) {
        node->skip = AncestorAt(parent, Height(SkipHeight(state.height.value)));
        parent->children.push_back(node);
        m_leaves.erase(parent->sequence);
    }
    m_leaves.emplace(sequence, node);
    m_nodes.emplace(state.hash, std::move(owned));
    return node;
}

Result<HeaderOutcome> HeaderTree::Add(const BlockHeader& header, const SnapshotLookup& snapshots) {
    using What = HeaderOutcome::What;
    const BlockHash hash = header.Hash();
    if (const HeaderNode* known = Find(hash)) {
        if (known->failed)
            return Refuse(What::kInvalid, {Invalid::What::kConsensus, "duplicate-invalid",
                                           "the block or one before it is known to be invalid"});
        return HeaderOutcome{What::kKnown, known, {}};
    }
    HeaderNode* parent = FindMutable(header.prev);
    if (parent == nullptr)
        return Refuse(What::kUnknownParent,
                      {Invalid::What::kMissingInputs, "prev-blk-not-found", "the header before this one is not known"});
    if (parent->failed)
        return Refuse(What::kInvalid, {Invalid::What::kConsensus, "bad-prevblk", "a block before this one is invalid"});
    if (const auto form = consensus::CheckHeaderForm(m_params, parent->state, header); !form)
        return Refuse(What::kInvalid, form.error());

    ASSIGN_OR_RETURN(const SnapshotRef snapshot,
                     snapshots(consensus::ElectingBoundary(m_params, parent->state, header.slot)));
    if (snapshot == nullptr)
        return Refuse(What::kBeyondHorizon, {Invalid::What::kPremature, "beyond-horizon",
                                             "the stake that elects slot " + ToString(header.slot) +
                                                 " is not known until more blocks are connected"});
    const auto state = consensus::CheckHeader(m_params, m_genesis->hash(), parent->state, header, snapshot->stake);
    if (!state) return Refuse(What::kInvalid, state.error());

    storage::WriteBatch batch;
    batch.Put(TableKey(kHeaderTable, hash.bytes), Encode(StoredHeader{header, *state, m_next_sequence, false}));
    RETURN_IF_ERROR(m_store.Write(batch, false));
    const HeaderNode* node = Insert(*state, parent, m_next_sequence++, false);
    ++m_counts[{header.slot, header.staker}];
    if (consensus::BetterTip(node->state, m_best->state)) m_best = node;
    return HeaderOutcome{What::kAdded, node, {}};
}

const HeaderNode* HeaderTree::Find(const BlockHash& hash) const { return FindMutable(hash); }

HeaderNode* HeaderTree::FindMutable(const BlockHash& hash) const {
    const auto found = m_nodes.find(hash);
    return found == m_nodes.end() ? nullptr : found->second.get();
}

Result<BlockHeader> HeaderTree::ReadHeader(const BlockHash& hash) const {
    if (Find(hash) == nullptr) return Fail(ErrorKind::kNotFound, "no header " + hash.Hex() + " is known");
    ASSIGN_OR_RETURN(const auto bytes, m_store.Get(TableKey(kHeaderTable, hash.bytes)));
    if (!bytes) return Fail(Corrupt("header " + hash.Hex() + " is gone"));
    auto stored = Decode<StoredHeader>(*bytes);
    if (!stored) return Fail(Corrupt("header " + hash.Hex() + " does not decode"));
    return std::move(stored->header);
}

std::vector<const HeaderNode*> HeaderTree::SetBody(const BlockHash& hash) {
    HeaderNode* node = FindMutable(hash);
    CHECK(node != nullptr);
    node->has_body = true;
    std::vector<const HeaderNode*> complete;
    if (node->has_all_bodies || (node->parent != nullptr && !node->parent->has_all_bodies)) return complete;
    std::vector<HeaderNode*> level{node};
    while (!level.empty()) {
        std::vector<HeaderNode*> next;
        for (HeaderNode* each : level) {
            each->has_all_bodies = true;
            complete.push_back(each);
            for (HeaderNode* child : each->children)
                if (child->has_body) next.push_back(child);
        }
        level = std::move(next);
    }
    return complete;
}

void HeaderTree::ClearBody(const BlockHash& hash) {
    HeaderNode* node = FindMutable(hash);
    CHECK(node != nullptr);
    node->has_body = false;
    std::vector<HeaderNode*> open{node};
    while (!open.empty()) {
        HeaderNode* each = open.back();
        open.pop_back();
        if (!each->has_all_bodies) continue;
        each->has_all_bodies = false;
        open.insert(open.end(), each->children.begin(), each->children.end());
    }
}

Status HeaderTree::StoreMark(const HeaderNode& node) {
    const Bytes key = TableKey(kHeaderTable, node.hash().bytes);
    ASSIGN_OR_RETURN(const auto bytes, m_store.Get(key));
    if (!bytes) return Fail(Corrupt("header " + node.hash().Hex() + " is gone"));
    auto stored = Decode<StoredHeader>(*bytes);
    if (!stored) return Fail(Corrupt("header " + node.hash().Hex() + " does not decode"));
    stored->invalid = node.invalid;
    storage::WriteBatch batch;
    batch.Put(key, Encode(*stored));
    return m_store.Write(batch, false);
}

void HeaderTree::PropagateFailure(HeaderNode* node) {
    std::vector<HeaderNode*> open{node};
    while (!open.empty()) {
        HeaderNode* each = open.back();
        open.pop_back();
        each->failed = each->invalid || (each->parent != nullptr && each->parent->failed);
        open.insert(open.end(), each->children.begin(), each->children.end());
    }
}

Status HeaderTree::MarkInvalid(const BlockHash& hash) {
    HeaderNode* node = FindMutable(hash);
    CHECK(node != nullptr && node != m_genesis);
    node->invalid = true;
    PropagateFailure(node);
    ChooseBest();
    return StoreMark(*node);
}

Status HeaderTree::ClearInvalid(const BlockHash& hash) {
    HeaderNode* node = FindMutable(hash);
    CHECK(node != nullptr);
    std::vector<HeaderNode*> cleared;
    HeaderNode* highest = node;
    for (HeaderNode* each = node; each != nullptr; each = FindMutable(each->state.prev)) {
        if (!each->failed) break;
        if (each->invalid) cleared.push_back(each);
        highest = each;
    }
    std::vector<HeaderNode*> open = node->children;
    while (!open.empty()) {
        HeaderNode* each = open.back();
        open.pop_back();
        if (each->invalid) cleared.push_back(each);
        open.insert(open.end(), each->children.begin(), each->children.end());
    }
    for (HeaderNode* each : cleared) {
        each->invalid = false;
        RETURN_IF_ERROR(StoreMark(*each));
    }
    PropagateFailure(highest);
    ChooseBest();
    return {};
}

void HeaderTree::ChooseBest() {
    // In order of arrival, so that the first seen of equals wins again.
    std::vector<const HeaderNode*> all;
    for (const auto& [hash, node] : m_nodes)
        if (!node->failed) all.push_back(node.get());
    std::sort(all.begin(), all.end(),
              [](const HeaderNode* a, const HeaderNode* b) { return a->sequence < b->sequence; });
    m_best = m_genesis;
    for (const HeaderNode* node : all)
        if (consensus::BetterTip(node->state, m_best->state)) m_best = node;
}

std::vector<BlockHash> HeaderTree::Locator(const HeaderNode* from) const {
    std::vector<BlockHash> locator;
    uint32_t step = 1;
    for (const HeaderNode* node = from; node != nullptr;) {
        locator.push_back(node->hash());
        if (node->parent == nullptr) break;
        if (locator.size() >= 10 && step < (1u << 30)) step *= 2;
        const uint32_t height = node->height().value;
        node = AncestorAt(node, Height(height > step ? height - step : 0));
    }
    return locator;
}

Result<std::vector<BlockHeader>> HeaderTree::HeadersAfter(const HeaderNode* tip, const std::vector<BlockHash>& locator,
                                                          const BlockHash& stop, size_t limit) const {
    const HeaderNode* start = m_genesis;
    for (const BlockHash& hash : locator) {
        const HeaderNode* node = Find(hash);
        if (node != nullptr && IsAncestor(node, tip)) {
            start = node;
            break;
        }
    }
    std::vector<BlockHeader> headers;
    for (Height height = start->height() + 1; height <= tip->height() && headers.size() < limit; ++height) {
        const HeaderNode* node = AncestorAt(tip, height);
        ASSIGN_OR_RETURN(BlockHeader header, ReadHeader(node->hash()));
        headers.push_back(std::move(header));
        if (node->hash() == stop) break;
    }
    return headers;
}

std::vector<const HeaderNode*> HeaderTree::LeavesBetterThan(const HeaderNode* tip) const {
    std::vector<const HeaderNode*> better;
    for (const auto& [sequence, leaf] : m_leaves)
        if (!leaf->failed && consensus::BetterTip(leaf->state, tip->state)) better.push_back(leaf);
    return better;
}

size_t HeaderTree::CountOf(const StakerId& staker, Slot slot) const {
    const auto found = m_counts.find({slot, staker});
    return found == m_counts.end() ? 0 : found->second;
}

void HeaderTree::ForEach(const std::function<void(const HeaderNode&)>& visit) const {
    for (const auto& [hash, node] : m_nodes) visit(*node);
}

}  // namespace sluice::chain
