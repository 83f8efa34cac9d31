#include "chain/header_tree.h"

#include <algorithm>

#include "chain/fork_choice.h"
#include "chain/header_nodes.h"
#include "chain/store_keys.h"

namespace sluice::chain {
namespace {

using consensus::HeaderState;

}  // namespace

// Clears the lowest set bits, so that chains of skips are short.
Height SkipHeight(Height height) {
    const auto clear_lowest = [](uint32_t n) { return n & (n - 1); };
    const uint32_t n = height.value;
    if (n < 2) return Height(0);
    return Height((n & 1) != 0 ? clear_lowest(clear_lowest(n - 1)) + 1 : clear_lowest(n));
}

const HeaderNode* BaseOf(const HeaderNode* node) {
    if (node->buried) return node;
    return node->anchor != nullptr ? node->anchor : node->tree->root();
}

const HeaderNode* AncestorAt(const HeaderNode* node, Height height) {
    if (node == nullptr || height > node->height()) return nullptr;
    if (height < BaseOf(node)->height()) return node->tree->BuriedAt(height);
    while (node->height() > height) {
        const Height by_skip = SkipHeight(node->height());
        const Height by_parents_skip = SkipHeight(node->parent->height());
        // The parent's skip may lead further without going too far.
        const bool skip =
            node->skip != nullptr &&
            (by_skip == height || (by_skip > height && !(by_parents_skip + 2 < by_skip && by_parents_skip >= height)));
        node = skip ? node->skip : node->parent;
    }
    return node;
}

const HeaderNode* ForkPoint(const HeaderNode* a, const HeaderNode* b) {
    const HeaderNode* base_a = BaseOf(a);
    const HeaderNode* base_b = BaseOf(b);
    // Bases are on the active chain, and what comes after an anchor on a branch is not.
    if (base_a != base_b) return base_a->height() < base_b->height() ? base_a : base_b;
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

uint32_t BlocksUpTo(const HeaderNode* tip, const HeaderNode* fork, Slot last) {
    // Slots rise with heights: searches the last height whose slot is not after `last`.
    uint32_t low = fork->height().value;
    uint32_t high = tip->height().value;
    while (low < high) {
        const uint32_t middle = low + (high - low + 1) / 2;
        const HeaderNode* node = AncestorAt(tip, Height(middle));
        if (node != nullptr && node->state.slot <= last) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low - fork->height().value;
}

HeaderTree::HeaderTree(const consensus::Params& params, storage::KeyValueStore& store)
    : m_params(params), m_store(store), m_nodes(std::make_unique<Nodes>()) {}

HeaderTree::~HeaderTree() = default;

Result<std::unique_ptr<HeaderTree>> HeaderTree::Open(const consensus::Params& params, const BlockHeader& genesis_header,
                                                     const HeaderState& genesis, storage::KeyValueStore& store) {
    std::unique_ptr<HeaderTree> tree(new HeaderTree(params, store));
    RETURN_IF_ERROR(tree->Start(genesis_header, genesis));
    return tree;
}

Status HeaderTree::Start(const BlockHeader& genesis_header, const HeaderState& genesis) {
    ASSIGN_OR_RETURN(auto cut, m_store.ReadCut());
    if (!cut) {
        cut = HeaderCut{genesis.hash, Height(0), 0};
        storage::WriteBatch batch;
        HeaderStore::PutOpen(batch, {genesis_header, genesis, 0, false});
        HeaderStore::PutCut(batch, *cut);
        RETURN_IF_ERROR(m_store.Write(batch, true));
    }
    return Load(*cut, genesis.hash);
}

Status HeaderTree::Load(const HeaderCut& cut, const BlockHash& genesis) {
    m_next_sequence = cut.next_sequence;
    m_lowest = cut.lowest;
    ASSIGN_OR_RETURN(const std::vector<StoredHeader> open, m_store.ReadOpen(cut.lowest));
    for (const StoredHeader& stored : open) {
        const bool is_root = stored.state.hash == cut.root;
        HeaderNode* parent = is_root ? nullptr : FindMutable(stored.state.prev);
        if (parent == nullptr && !is_root) {
            if (const auto failure = TakeReadFailure()) return Fail(*failure);
            return Fail(Corrupt("the parent of header " + stored.state.hash.Hex() + " is missing"));
        }
        HeaderNode* node = Insert(stored, parent);
        m_next_sequence = std::max(m_next_sequence, stored.sequence + 1);
        if (!is_root) continue;
        m_root = node;
        m_tip_height = node->height() + m_params.k;  // about
        // Blocks were connected on it.
        node->has_body = node->has_all_bodies = node->height() > Height(0);
    }
    if (m_root == nullptr) return Fail(Corrupt("header " + cut.root.Hex() + ", where the open ones begin, is missing"));
    m_genesis = FindMutable(genesis);
    if (const auto failure = TakeReadFailure()) return Fail(*failure);
    if (m_genesis == nullptr)
        return Fail(Corrupt("the genesis header is missing: this folder belongs to another network"));
    for (HeaderNode* node : OpenInOrder()) node->added_at = m_tip_height;
    RenewLinks();
    ChooseBest();
    return {};
}

HeaderNode* HeaderTree::MakeNode(const StoredHeader& stored) const {
    auto node = std::make_unique<HeaderNode>();
    node->state = stored.state;
    node->tree = this;
    node->sequence = stored.sequence;
    node->staker = stored.header.staker;
    node->invalid = node->failed = stored.invalid;
    return m_nodes->Own(std::move(node));
}

HeaderNode* HeaderTree::Insert(const StoredHeader& stored, HeaderNode* parent) {
    HeaderNode* node = MakeNode(stored);
    node->added_at = m_tip_height;
    if (parent != nullptr) {
        node->parent = parent;
        node->anchor = parent->buried ? parent : parent->anchor;
        node->failed = node->invalid || parent->failed;
        const Height skip = SkipHeight(node->height());
        // While the tree is loaded the root may come after branches from below it; links are renewed then.
        const bool has_base = node->anchor != nullptr || m_root != nullptr;
        if (has_base && skip >= BaseOf(node)->height()) node->skip = AncestorAt(parent, skip);
        parent->children.push_back(node);
        m_leaves.erase(parent->sequence);
    }
    m_leaves.emplace(node->sequence, node);
    m_nodes->by_slot.emplace(std::pair(node->state.slot, node->staker), node);
    return node;
}

Result<const HeaderNode*> HeaderTree::AddChecked(const BlockHeader& header, const HeaderState& state) {
    HeaderNode* parent = FindMutable(state.prev);
    if (const auto failure = TakeReadFailure()) return Fail(*failure);
    CHECK(parent != nullptr && !parent->failed);
    const StoredHeader stored{header, state, m_next_sequence, false};
    storage::WriteBatch batch;
    HeaderStore::PutOpen(batch, stored);
    const Height lowest = std::min(m_lowest, state.height);
    if (lowest != m_lowest) HeaderStore::PutCut(batch, {m_root->hash(), lowest, m_next_sequence + 1});
    RETURN_IF_ERROR(m_store.Write(batch, false));
    m_lowest = lowest;
    ++m_next_sequence;
    const HeaderNode* node = Insert(stored, parent);
    const bool extends = node->parent == m_best;
    // The best of a side branch may be another one because of it, so that is left to the whole rule.
    const bool judge = !extends || JudgesAnew(node);
    if (extends) m_best = node;
    if (judge) ChooseBest();
    return node;
}

const HeaderNode* HeaderTree::Find(const BlockHash& hash) const { return FindMutable(hash); }

HeaderNode* HeaderTree::FindMutable(const BlockHash& hash) const {
    HeaderNode* node = m_nodes->Find(hash);
    if (node == nullptr) return LoadBuried(hash);
    if (node->buried) m_nodes->Touch(node);
    return node;
}

const HeaderNode* HeaderTree::BuriedAt(Height height) const {
    if (const auto found = m_nodes->buried.find(height); found != m_nodes->buried.end()) {
        m_nodes->Touch(found->second.node);
        return found->second.node;
    }
    const auto hash = m_store.BuriedHash(height);
    if (!hash || !*hash) {
        if (!m_nodes->failure)
            m_nodes->failure = hash ? Corrupt("the hash at height " + ToString(height) + " is missing") : hash.error();
        return nullptr;
    }
    return LoadBuried(**hash);
}

HeaderNode* HeaderTree::LoadBuried(const BlockHash& hash) const {
    const auto read = [&]() -> Result<std::optional<StoredHeader>> {
        ASSIGN_OR_RETURN(auto stored, m_store.Read(hash));
        if (!stored) return stored;
        ASSIGN_OR_RETURN(const auto active, m_store.BuriedHash(stored->state.height));
        if (active != hash) return std::optional<StoredHeader>();
        return stored;
    };
    const auto stored = read();
    if (!stored) {
        if (!m_nodes->failure) m_nodes->failure = stored.error();
        return nullptr;
    }
    if (!*stored) return nullptr;
    m_nodes->ForgetUnused();
    HeaderNode* node = MakeNode(**stored);
    node->buried = true;
    node->has_body = node->has_all_bodies = true;
    m_nodes->buried[node->height()] = {node, ++m_nodes->uses};
    return node;
}

void HeaderTree::Nodes::ForgetUnused() {
    if (buried.size() < forget_at) return;
    std::vector<Loaded> unused;
    for (const auto& [height, loaded] : buried)
        if (loaded.node->children.empty() && height != Height(0)) unused.push_back(loaded);
    std::sort(unused.begin(), unused.end(), [](const Loaded& a, const Loaded& b) { return a.used < b.used; });
    const size_t keep = kMaxLoadedHeaders / 2;
    const size_t drop = unused.size() > keep ? unused.size() - keep : 0;
    for (size_t i = 0; i < drop; ++i) {
        buried.erase(unused[i].node->height());
        by_hash.erase(BlockHash(unused[i].node->hash()));
    }
    forget_at = buried.size() + kMaxLoadedHeaders - (unused.size() - drop);
}

std::optional<Error> HeaderTree::TakeReadFailure() const { return std::exchange(m_nodes->failure, std::nullopt); }

Result<BlockHeader> HeaderTree::ReadHeader(const BlockHash& hash) const {
    ASSIGN_OR_RETURN(auto stored, m_store.Read(hash));
    if (!stored) return Fail(ErrorKind::kNotFound, "no header " + hash.Hex() + " is known");
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

void HeaderTree::PropagateFailure(HeaderNode* node) {
    for (HeaderNode* each : Subtree(node))
        each->failed = each->invalid || (each->parent != nullptr && each->parent->failed);
}

Status HeaderTree::MarkInvalid(const BlockHash& hash) {
    HeaderNode* node = FindMutable(hash);
    CHECK(node != nullptr && node != m_genesis);
    // The root never fails.
    if (node->buried || node == m_root) {
        RETURN_IF_ERROR(LowerRootTo(Height(node->height().value - 1)));
        node = FindMutable(hash);
    }
    RETURN_IF_ERROR(m_store.WriteMark(hash, true));
    node->invalid = true;
    PropagateFailure(node);
    ChooseBest();
    return {};
}

Status HeaderTree::ClearInvalid(const BlockHash& hash) {
    HeaderNode* node = FindMutable(hash);
    CHECK(node != nullptr);
    std::vector<HeaderNode*> cleared;
    HeaderNode* highest = node;
    for (HeaderNode* each = node; each != nullptr && each->failed; each = ParentOf(each)) {
        if (each->invalid) cleared.push_back(each);
        highest = each;
    }
    for (HeaderNode* each : Subtree(node))
        if (each != node && each->invalid) cleared.push_back(each);
    for (HeaderNode* each : cleared) {
        RETURN_IF_ERROR(m_store.WriteMark(each->hash(), false));
        each->invalid = false;
    }
    PropagateFailure(highest);
    ChooseBest();
    return {};
}

void HeaderTree::ChooseBest() {
    std::vector<const HeaderNode*> ends;
    for (const auto& [sequence, leaf] : m_leaves) {
        const HeaderNode* end = leaf;
        while (end->failed) end = end->parent;  // the root and buried ones never fail
        if (!end->buried) ends.push_back(end);
    }
    const auto held = std::find(ends.begin(), ends.end(), m_best);
    m_best = BestEnd(m_params, held != ends.end() ? *held : m_root, ends);
}

bool HeaderTree::JudgesAnew(const HeaderNode* end) const {
    if (m_leaves.size() == 1 || end->height().value <= m_params.k) return false;
    const HeaderNode* fork = AncestorAt(end, Height(end->height().value - m_params.k - 1));
    return fork == nullptr || fork->children.size() > (fork->buried ? 0u : 1u);
}

Result<std::optional<BlockHash>> HeaderTree::AncestorHash(const HeaderNode* node, Height height) const {
    if (height < BaseOf(node)->height()) return m_store.BuriedHash(height);
    return std::optional<BlockHash>(AncestorAt(node, height)->hash());
}

std::vector<BlockHash> HeaderTree::Locator(const HeaderNode* from) const {
    std::vector<BlockHash> locator;
    uint32_t step = 1;
    for (uint32_t height = from->height().value;;) {
        const auto hash = AncestorHash(from, Height(height));
        if (!hash || !*hash) break;  // what is there still finds a fork
        locator.push_back(**hash);
        if (height == 0) break;
        if (locator.size() >= 10 && step < (1u << 30)) step *= 2;
        height = height > step ? height - step : 0;
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
    if (const auto failure = TakeReadFailure()) return Fail(*failure);
    std::vector<BlockHeader> headers;
    for (Height height = start->height() + 1; height <= tip->height() && headers.size() < limit; ++height) {
        ASSIGN_OR_RETURN(const auto hash, AncestorHash(tip, height));
        if (!hash) return Fail(Corrupt("the hash at height " + ToString(height) + " is missing"));
        ASSIGN_OR_RETURN(BlockHeader header, ReadHeader(*hash));
        headers.push_back(std::move(header));
        if (*hash == stop) break;
    }
    return headers;
}

std::vector<const HeaderNode*> HeaderTree::LeavesBetterThan(const HeaderNode* tip) const {
    std::vector<const HeaderNode*> better;
    for (const auto& [sequence, leaf] : m_leaves)
        if (!leaf->failed && BetterEnd(m_params, leaf, tip)) better.push_back(leaf);
    return better;
}

std::vector<const HeaderNode*> HeaderTree::HeadersOf(const StakerId& staker, Slot slot) const {
    std::vector<const HeaderNode*> found;
    const auto [begin, end] = m_nodes->by_slot.equal_range({slot, staker});
    for (auto it = begin; it != end; ++it) found.push_back(it->second);
    return found;
}

size_t HeaderTree::CountOf(const StakerId& staker, Slot slot) const { return m_nodes->by_slot.count({slot, staker}); }

std::vector<HeaderNode*> HeaderTree::OpenInOrder() const {
    std::vector<HeaderNode*> all;
    all.reserve(m_nodes->by_hash.size());
    for (const auto& [hash, node] : m_nodes->by_hash)
        if (!node->buried) all.push_back(node.get());
    std::sort(all.begin(), all.end(), [](const HeaderNode* a, const HeaderNode* b) {
        return std::pair(a->height(), a->sequence) < std::pair(b->height(), b->sequence);
    });
    return all;
}

void HeaderTree::ForEach(const std::function<void(const HeaderNode&)>& visit) const {
    for (const HeaderNode* node : OpenInOrder()) visit(*node);
}

size_t HeaderTree::open_count() const { return m_nodes->by_hash.size() - m_nodes->buried.size(); }
size_t HeaderTree::node_count() const { return m_nodes->by_hash.size(); }

}  // namespace sluice::chain
