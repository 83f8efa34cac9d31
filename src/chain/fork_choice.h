#pragma once

#include "chain/header_tree.h"
#include "consensus/fork_choice.h"

// consensus::BestBranch over the nodes of a tree.

namespace sluice::chain {

// The end of the best branch among `held` and `others`. Of equals `held`, the one that the node is on, then the one
// that came first. Where an end builds on another one, the longer branch is meant. Best ends of subtrees meet at their
// fork, from the highest fork down to the lowest, so that the result does not depend on which branch one comes from.
// For n ends O(n log height) lookups.
const HeaderNode* BestEnd(const consensus::Params& params, const HeaderNode* held,
                          const std::vector<const HeaderNode*>& others);

// Whether a node on `current` goes over to `candidate` if it knows no other branch.
bool BetterEnd(const consensus::Params& params, const HeaderNode* candidate, const HeaderNode* current);

}  // namespace sluice::chain
