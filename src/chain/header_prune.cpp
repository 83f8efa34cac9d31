#include <algorithm>

#include "chain/header_nodes.h"
#include "chain/store_keys.h"

// What leaves memory and what comes back (HeaderTree).

namespace sluice::chain {

std::vector<HeaderNode*> Subtree(HeaderNode* node) {
    std::vector<HeaderNode*> nodes{node};
    for (size_t i = 0; i < nodes.size(); ++i) {
        const std::vector<HeaderNode*>& children = nodes[i]->children;
        nodes.insert(nodes.end(), children.begin(), children.end());
    }
    return nodes;
}

// The open or anchored parent; null for the root. Never reads.
HeaderNode* HeaderTree::ParentOf(const HeaderNode* node) const {
    return node->parent == nullptr ? nullptr : m_nodes->Find(node->state.prev);
}

bool HeaderTree::IsDead(HeaderNode* branch, Height tip, const NodeSet& keep) const {
    const uint32_t k = m_params.k;
    const std::vector<HeaderNode*> nodes = Subtree(branch);
    return std::none_of(nodes.begin(), nodes.end(), [&](const HeaderNode* node) {
        if (keep.contains(node) || node->height() + k > tip) return true;
        const bool came_deep = node->height() + k < node->added_at;
        return came_deep && node->added_at + uint64_t{kDeepForkPatience} * k > tip;
    });
}

std::vector<HeaderNode*> HeaderTree::DeadBranches(const std::vector<HeaderNode*>& branches, Height tip,
                                                  const NodeSet& keep) const {
    struct Alive {
        HeaderNode* branch{nullptr};
        size_t headers{0};
        uint64_t newest{0};
    };
    std::vector<HeaderNode*> dead;
    std::vector<Alive> alive;
    size_t total = 0;
    for (HeaderNode* branch : branches) {
        if (IsDead(branch, tip, keep)) {
            dead.push_back(branch);
            continue;
        }
        Alive entry{branch, 0, 0};
        bool kept = false;
        for (const HeaderNode* node : Subtree(branch)) {
            ++entry.headers;
            entry.newest = std::max(entry.newest, node->sequence);
            kept = kept || keep.contains(node);
        }
        if (kept) continue;
        total += entry.headers;
        alive.push_back(entry);
    }
    // Too many: those that stopped growing first go first.
    std::sort(alive.begin(), alive.end(), [](const Alive& a, const Alive& b) { return a.newest < b.newest; });
    const size_t limit = kMaxDeepForkEpochs * m_params.ExpectedEpochBlocks();
    for (const Alive& entry : alive) {
        if (total <= limit) break;
        total -= entry.headers;
        dead.push_back(entry.branch);
    }
    return dead;
}

Status HeaderTree::Prune(const HeaderNode* tip, const std::vector<const HeaderNode*>& keep) {
    const uint32_t k = m_params.k;
    m_tip_height = tip->height();
    if (tip->height() - m_root->height() < int64_t{k} + std::max(1u, k / 4)) return {};
    HeaderNode* new_root = m_nodes->Find(AncestorAt(tip, Height(tip->height().value - k))->hash());
    NodeSet kept(keep.begin(), keep.end());
    kept.insert(m_best);

    std::vector<HeaderNode*> path;  // from the root up to what is below the new one
    for (HeaderNode* node = ParentOf(new_root); node != nullptr; node = ParentOf(node)) path.push_back(node);
    std::reverse(path.begin(), path.end());
    std::vector<HeaderNode*> branches;
    const auto add_branches = [&](const HeaderNode* fork, const HeaderNode* except) {
        for (HeaderNode* child : fork->children)
            if (child != except) branches.push_back(child);
    };
    for (const auto& [height, loaded] : m_nodes->buried) add_branches(loaded.node, nullptr);
    for (size_t i = 0; i < path.size(); ++i) add_branches(path[i], i + 1 < path.size() ? path[i + 1] : new_root);

    const std::vector<HeaderNode*> dead = DeadBranches(branches, tip->height(), kept);
    Height lowest = new_root->height();
    for (HeaderNode* branch : branches)
        if (std::find(dead.begin(), dead.end(), branch) == dead.end()) lowest = std::min(lowest, branch->height());

    const bool best_goes = m_best->height() < new_root->height() && IsAncestor(m_best, new_root);
    storage::WriteBatch batch;
    for (const HeaderNode* node : path) HeaderStore::Bury(batch, node->state);
    HeaderStore::PutCut(batch, {new_root->hash(), lowest, m_next_sequence});
    RETURN_IF_ERROR(Remove(dead, std::move(batch)));
    m_lowest = lowest;
    for (size_t i = 0; i < path.size(); ++i) BuryInMemory(path[i], i + 1 < path.size() ? path[i + 1] : new_root);
    m_root = new_root;
    RenewLinks();
    if (best_goes) ChooseBest();
    return {};
}

Status HeaderTree::Remove(const std::vector<HeaderNode*>& branches, storage::WriteBatch batch) {
    bool best_goes = false;
    for (HeaderNode* branch : branches) {
        for (const HeaderNode* node : Subtree(branch)) {
            HeaderStore::EraseOpen(batch, node->state);
            best_goes = best_goes || node == m_best;
        }
    }
    RETURN_IF_ERROR(m_store.Write(batch, false));
    for (HeaderNode* branch : branches) {
        HeaderNode* parent = ParentOf(branch);
        std::erase(parent->children, branch);
        for (HeaderNode* node : Subtree(branch)) {
            m_leaves.erase(node->sequence);
            m_nodes->ForgetSlot(node);
            m_nodes->by_hash.erase(BlockHash(node->hash()));
        }
        if (!parent->buried && parent->children.empty()) m_leaves.emplace(parent->sequence, parent);
    }
    if (best_goes) ChooseBest();
    return {};
}

void HeaderTree::BuryInMemory(HeaderNode* node, HeaderNode* active_child) {
    std::erase(node->children, active_child);
    m_nodes->ForgetSlot(node);
    if (node->children.empty() && node != m_genesis) {
        m_nodes->by_hash.erase(BlockHash(node->hash()));
        return;
    }
    node->buried = true;
    node->parent = node->skip = node->anchor = nullptr;
    m_nodes->buried[node->height()] = {node, ++m_nodes->uses};
}

void HeaderTree::RenewLinks() {
    for (HeaderNode* node : OpenInOrder()) {
        if (node == m_root) {
            node->parent = node->skip = node->anchor = nullptr;
            continue;
        }
        node->anchor = node->parent->buried ? node->parent : node->parent->anchor;
        const Height skip = SkipHeight(node->height());
        node->skip = skip >= BaseOf(node)->height() ? AncestorAt(node->parent, skip) : nullptr;
    }
}

Status HeaderTree::LowerRootTo(Height height) {
    static_assert(kUnburyStep < kMaxLoadedHeaders / 2, "nodes of a step must not be forgotten before it is done");
    while (m_root->height() > height) {
        std::vector<HeaderNode*> nodes;  // downwards
        storage::WriteBatch batch;
        for (BlockHash next = m_root->state.prev; nodes.size() < kUnburyStep;) {
            HeaderNode* node = FindMutable(next);
            if (const auto failure = TakeReadFailure()) return Fail(*failure);
            if (node == nullptr || !node->buried) return Fail(Corrupt("header " + next.Hex() + " is gone"));
            HeaderStore::Unbury(batch, node->state);
            nodes.push_back(node);
            if (node == m_genesis) break;
            next = node->state.prev;
        }
        const Height lowest = std::min(m_lowest, nodes.back()->height());
        HeaderStore::PutCut(batch, {nodes.back()->hash(), lowest, m_next_sequence});
        RETURN_IF_ERROR(m_store.Write(batch, false));
        m_lowest = lowest;
        for (HeaderNode* node : nodes) {
            m_nodes->buried.erase(node->height());
            node->buried = false;
            node->added_at = node->height();
            m_nodes->by_slot.emplace(std::pair(node->state.slot, node->staker), node);
            const auto later = std::find_if(node->children.begin(), node->children.end(), [&](const HeaderNode* child) {
                return child->sequence > m_root->sequence;
            });
            node->children.insert(later, m_root);
            m_root->parent = node;
            m_root = node;
        }
        RenewLinks();
    }
    return {};
}

Status HeaderTree::Drop(const HeaderNode* node) {
    CHECK(!node->buried && node != m_root);
    return Remove({m_nodes->Find(node->hash())}, {});
}

Result<bool> HeaderTree::LimitSlot(const HeaderNode* node, const std::vector<const HeaderNode*>& keep) {
    const auto [begin, end] = m_nodes->by_slot.equal_range({node->state.slot, node->staker});
    if (static_cast<size_t>(std::distance(begin, end)) <= kMaxBranchesPerSlot) return true;
    std::vector<HeaderNode*> rivals;
    for (auto it = begin; it != end; ++it) rivals.push_back(it->second);
    std::sort(rivals.begin(), rivals.end(),
              [](const HeaderNode* a, const HeaderNode* b) { return a->sequence < b->sequence; });
    NodeSet kept(keep.begin(), keep.end());
    kept.insert(m_best);
    kept.insert(m_root);
    HeaderNode* worst = nullptr;
    const HeaderNode* worst_end = nullptr;
    for (HeaderNode* rival : rivals) {
        const HeaderNode* best_end = rival;
        bool is_kept = false;
        for (const HeaderNode* each : Subtree(rival)) {
            is_kept = is_kept || kept.contains(each);
            if (consensus::BetterTip(each->state, best_end->state)) best_end = each;
        }
        if (is_kept || (worst != nullptr && consensus::BetterTip(best_end->state, worst_end->state))) continue;
        worst = rival;
        worst_end = best_end;
    }
    const bool stays = worst != node;
    if (worst != nullptr) RETURN_IF_ERROR(Drop(worst));
    return stays;
}

}  // namespace sluice::chain
