#pragma once

#include <list>

#include "chain/block_store.h"
#include "chain/header_tree.h"
#include "chain/indexes.h"
#include "chain/tip_change.h"
#include "consensus/genesis.h"

namespace sluice::chain {

// Which forks a node still follows: those whose last shared block is at least this young and this high.
struct ForkLimits {
    Slot oldest;
    Height lowest;
};

// The state after the active chain's tip, on disk (table 's'), with the tip's hash and the stake snapshots (table 'n').
//
// Invariants: 1. State, tip, undo position and indexes change together, in one batch for each block. 2. What a batch
// points to in the block files is synced before it reaches the disk (WriteBuffer's hook). So after a crash the store
// holds the state after some block of a branch that was active, with the undo data back to genesis.
//
// Chain worker. As a StateReader it remembers a failed read and says "absent": TakeReadFailure() tells, and everything
// in here asks it before it believes a verdict.
class ChainState final : public consensus::StateReader {
  public:
    // `store` syncs `blocks` before anything in it becomes durable.
    static Result<std::unique_ptr<ChainState>> Open(const consensus::Genesis& genesis, storage::KeyValueStore& store,
                                                    HeaderTree& tree, BlockStore& blocks, Indexes& indexes,
                                                    consensus::SpendRunner runner, size_t cache_bytes);
    ~ChainState() override;

    std::optional<Bytes> Read(ByteSpan key) const override;
    // The first failed read since the last call, if any.
    std::optional<Error> TakeReadFailure() const;

    const HeaderNode* tip() const { return m_tip; }
    // The active chain's block at a height; null above the tip.
    const HeaderNode* At(Height height) const { return AncestorAt(m_tip, height); }
    bool IsActive(const HeaderNode* node) const { return At(node->height()) == node; }

    // The snapshot of a block: stored (at each end of an epoch), or taken from the tip's state, or from the state
    // rewound to a block of the active chain at most kMaxRewind blocks back. Null otherwise.
    Result<SnapshotRef> SnapshotOf(const consensus::EpochBoundary& boundary) const;
    static constexpr uint32_t kMaxRewind = 2'000;

    // Moves to the end of the best branch (fork_choice.h) whose bodies are all stored and whose fork `limits` allow.
    // Blocks found invalid are marked, and the next best branch is tried. `sync`: each block survives power loss when
    // it returns.
    Result<TipChange> ActivateBest(const ForkLimits& limits, bool sync);
    // Tells that branches became complete.
    void AddCandidates(const std::vector<const HeaderNode*>& nodes);
    // Why the body of a block was found invalid since the chain was opened.
    std::optional<consensus::Invalid> WhyInvalid(const BlockHash& hash) const;
    // Disconnects until the tip's branch has no invalid block, then activates the best that is left.
    Result<TipChange> LeaveInvalid(const ForkLimits& limits, bool sync);
    // Signatures of transactions in ancestors of this block, and in itself, are taken to be valid while it is on the
    // branch of the best header. Everything else is checked.
    void AssumeValid(const BlockHash& block) { m_assume_valid = block; }
    // Takes headers out of memory that a reorganisation does not need. Pointers to nodes end here (HeaderTree::Prune).
    Status PruneHeaders() { return m_tree.Prune(m_tip, m_candidates); }
    // The nodes that it points to: the tip, and ends of branches that it may move to.
    std::vector<const HeaderNode*> NodesInUse() const;
    // The ends of all branches whose bodies are stored, anew from the tree.
    void FindCandidates();

  private:
    struct ReadPath;
    ChainState(const consensus::Genesis& genesis, storage::KeyValueStore& store, HeaderTree& tree, BlockStore& blocks,
               Indexes& indexes, consensus::SpendRunner runner, size_t cache_bytes);

    Status WriteGenesis();
    Status LoadTip();
    // Drops those that are no end of a complete branch, or can never win against the branch of the tip.
    void SiftCandidates();
    const HeaderNode* BestCandidate(const ForkLimits& limits) const;
    bool SignaturesAreAssumed(const HeaderNode* node) const;
    Status MoveTo(const HeaderNode* target, bool sync, TipChange& change);
    // True if connected, false if the block is invalid (and marked) or its body is gone.
    Result<bool> ConnectTip(const HeaderNode* node, bool sync, TipChange& change);
    Status DisconnectTip(bool sync, TipChange& change);
    Result<SnapshotRef> TakeSnapshotAt(const HeaderNode* node) const;
    // Adds the state's changes and the new tip to the batch and writes it.
    Status Commit(storage::WriteBatch batch, const HeaderNode* tip, const consensus::StateDelta& delta, bool forward,
                  bool sync);
    std::optional<Error> ReadFailure() const;

    const consensus::Genesis& m_genesis;
    const consensus::Params& m_params;
    BlockHash m_genesis_hash;
    storage::KeyValueStore& m_store;
    HeaderTree& m_tree;
    BlockStore& m_blocks;
    Indexes& m_indexes;
    consensus::SpendRunner m_runner;
    std::optional<BlockHash> m_assume_valid;
    const HeaderNode* m_tip{nullptr};
    std::vector<const HeaderNode*> m_candidates;
    std::map<BlockHash, consensus::Invalid> m_reasons;
    std::unique_ptr<ReadPath> m_reads;  // cache of entries and snapshots, and the failed read
};

}  // namespace sluice::chain
