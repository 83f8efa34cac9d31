#pragma once

#include <map>
#include <unordered_map>

#include "chain/header_tree.h"

// The nodes in memory. For HeaderTree alone.

namespace sluice::chain {

struct HeaderTree::Nodes {
    struct Loaded {
        HeaderNode* node{nullptr};
        uint64_t used{0};  // by `uses`
    };

    HeaderNode* Find(const BlockHash& hash) {
        const auto found = by_hash.find(hash);
        return found == by_hash.end() ? nullptr : found->second.get();
    }
    HeaderNode* Own(std::unique_ptr<HeaderNode> node) {
        HeaderNode* raw = node.get();
        by_hash.emplace(raw->hash(), std::move(node));
        return raw;
    }
    void Touch(const HeaderNode* node) { buried.at(node->height()).used = ++uses; }
    void ForgetSlot(const HeaderNode* node) {
        auto [it, end] = by_slot.equal_range({node->state.slot, node->staker});
        while (it != end && it->second != node) ++it;
        CHECK(it != end);
        by_slot.erase(it);
    }
    // Makes room for one more buried node.
    void ForgetUnused();

    std::unordered_map<BlockHash, std::unique_ptr<HeaderNode>, FixedBytesHasher> by_hash;
    std::map<Height, Loaded> buried;
    // The open ones.
    std::multimap<std::pair<Slot, StakerId>, HeaderNode*> by_slot;
    uint64_t uses{0};
    size_t forget_at{kMaxLoadedHeaders};  // how many buried ones there may be until it is worth a look
    std::optional<Error> failure;
};

// The node and all that builds on it, parents first.
std::vector<HeaderNode*> Subtree(HeaderNode* node);
// Height that the skip pointer of a node of this height leads to.
Height SkipHeight(Height height);
// The lowest node that can be reached from `node` by parents: all below it are buried.
const HeaderNode* BaseOf(const HeaderNode* node);

}  // namespace sluice::chain
