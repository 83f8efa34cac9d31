#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "chain/header_store.h"

namespace sluice::chain {

class HeaderTree;

// A header that passed every check, and what we know of its body. Its address never changes. An open header's node
// lives until HeaderTree::Prune buries it or drops its branch; a buried one's until kMaxLoadedHeaders / 2 others were
// looked up (HeaderTree).
struct HeaderNode {
    consensus::HeaderState state;
    const HeaderTree* tree{nullptr};
    const HeaderNode* parent{nullptr};  // null for genesis, the root and a buried header
    const HeaderNode* skip{nullptr};    // for AncestorAt alone: an ancestor further back
    const HeaderNode* anchor{nullptr};  // the buried header from which its branch comes; null: the root
    std::vector<HeaderNode*> children;  // those that are open, in the order they came
    uint64_t sequence{0};               // order of arrival
    StakerId staker;
    Height added_at;             // the active chain's height when it came
    bool buried{false};          // on the active chain below the root
    bool has_body{false};        // its block is stored
    bool has_all_bodies{false};  // and so are those of all its ancestors
    bool invalid{false};         // its own body broke a rule, or the operator refused it
    bool failed{false};          // it or an ancestor is invalid

    const BlockHash& hash() const { return state.hash; }
    Height height() const { return state.height; }
};

// A stake snapshot with its hash, which children's headers commit to.
struct Snapshot {
    consensus::StakeSnapshot stake;
    Hash256 hash;
};
using SnapshotRef = std::shared_ptr<const Snapshot>;
// The snapshot of the state after a block; null while that block is not connected (or lies too deep to rewind to).
using SnapshotLookup = std::function<Result<SnapshotRef>(const consensus::EpochBoundary&)>;

struct HeaderOutcome {
    enum class What {
        kAdded,
        kKnown,          // was there before; node is set
        kUnknownParent,  // ask for the headers between
        kBeyondHorizon,  // not checkable yet: connect the blocks that are known, then ask again. Nobody's fault
        kPremature,      // its slot lies in the future. The caller may hold it
        kTooDeep,        // forks off deeper than a caught-up node follows
        kEquivocation,   // its staker has kMaxHeadersPerSlot others for the slot, and nothing longer than our chain
                         // builds on it (yet)
        kInvalid,        // `reason` says why; the sender is at fault
    };
    What what{What::kAdded};
    const HeaderNode* node{nullptr};  // kAdded and kKnown
    consensus::Invalid reason;        // all others

    bool Ok() const { return node != nullptr; }
};

inline constexpr size_t kMaxHeadersPerAnswer = 2000;
inline constexpr size_t kMaxHeadersPerSlot = 2;  // of one staker, if no better branch needs more: two prove its fault
// Of one staker for one slot, whatever needs them: better branches may start from this many.
inline constexpr size_t kMaxBranchesPerSlot = 8;
// Buried headers in memory that nothing builds on.
inline constexpr size_t kMaxLoadedHeaders = 1024;
// A branch that comes from a buried header and is not better than the tip is dropped once the active chain has grown by
// this many times k since the branch last grew...
inline constexpr uint32_t kDeepForkPatience = 3;
// ...or if all of them together have more headers than this many epochs of expected blocks (sync needs two).
inline constexpr uint32_t kMaxDeepForkEpochs = 4;

// All checked headers, as a tree that starts at genesis. Nothing is stored before its last check has passed.
//
//      on disk, by height and hash            in memory
//   genesis - . . . . - . . . . - buried | root - o - o - o - tip - o - best    open
//                 \                              \ .
//                  anchor - o - o (deep fork)      o (branch)
//
// Memory holds the open headers: the root (the active chain's block k below the tip at the last Prune, up to k / 4
// more) and everything that descends from it, and branches that come from deeper, whose forks are anchors. Everything
// else on the active chain is buried: found on disk by hash or height when asked for, and forgotten again.
//
// Bounds, in headers: k + k / 4 on the active chain; two epochs of expected blocks ahead of it while syncing
// (the horizon: SnapshotLookup knows no more); kMaxHeadersPerSlot for each slot won by a staker within the last k
// blocks on branches, kMaxBranchesPerSlot if each is better than the tip; kMaxDeepForkEpochs on deep forks;
// kMaxLoadedHeaders buried ones. About 500 bytes each. The disk holds the same and the active chain: what is dropped
// from memory without being active is erased, so that what old keys can make does not add up. If it wins later, it
// comes again.
//
// Pointers: an open node lives until the next Prune, LimitSlot or Drop. A buried node is loaded when looked up (Find,
// AncestorAt) and lives until kMaxLoadedHeaders / 2 others were: copy what is to be kept longer. Genesis, the root and
// anchors stay while something builds on them. There is never more than one node for a header, so that pointers can be
// compared.
//
// Reads that fail: a lookup answers "unknown" (null), and TakeReadFailure tells; ask it before believing that something
// is absent. Chain worker.
class HeaderTree {
  public:
    // Reads the open headers alone. `store` must outlive the tree.
    static Result<std::unique_ptr<HeaderTree>> Open(const consensus::Params& params, const BlockHeader& genesis_header,
                                                    const consensus::HeaderState& genesis,
                                                    storage::KeyValueStore& store);
    ~HeaderTree();
    HeaderTree(const HeaderTree&) = delete;

    // Stores a header that is not known, whose parent is and has not failed, and that passed every check
    // (HeaderPipeline) with the result `state`. An error is kEnvironment.
    Result<const HeaderNode*> AddChecked(const BlockHeader& header, const consensus::HeaderState& state);

    const HeaderNode* Find(const BlockHash& hash) const;
    const HeaderNode* genesis() const { return m_genesis; }
    // The lowest header of the active chain that is open.
    const HeaderNode* root() const { return m_root; }
    // The end of the best branch that is not known to be invalid (fork_choice.h; the first seen of equals).
    const HeaderNode* best() const { return m_best; }
    Result<BlockHeader> ReadHeader(const BlockHash& hash) const;
    // The first lookup that could not be answered since the last call, if any.
    std::optional<Error> TakeReadFailure() const;

    // Buries what lies more than k below `tip`, and drops branches that can not come back: those that end there, and of
    // deep forks those that stopped growing or are too many. The branches of `keep` and of best() stay. Does nothing
    // until k / 4 headers (at least 1) can be buried. Ends the life of nodes.
    // Precondition: `tip` is the active tip.
    Status Prune(const HeaderNode* tip, const std::vector<const HeaderNode*>& keep);
    // Makes the root at most `height`, so that what lies above it can be disconnected: the parent of every node above
    // is set then. In steps of at least kUnburyStep headers.
    Status LowerRootTo(Height height);
    static constexpr uint32_t kUnburyStep = 128;
    // If the staker of `node` has more than kMaxBranchesPerSlot open headers for its slot: drops the one whose branch
    // ends worst, unless it is of `keep` or best(); of equals the newest. True if `node` is still there.
    Result<bool> LimitSlot(const HeaderNode* node, const std::vector<const HeaderNode*>& keep);
    // Drops an open node and all that builds on it. Precondition: none of it is active or pointed to any more.
    Status Drop(const HeaderNode* node);

    // Notes that a body is stored or lost. SetBody returns the nodes whose whole branch became complete by it, parents
    // first.
    std::vector<const HeaderNode*> SetBody(const BlockHash& hash);
    void ClearBody(const BlockHash& hash);

    // Marks the block and so all its descendants; stored. A buried one becomes open with all that follows.
    // Precondition: known, not genesis.
    Status MarkInvalid(const BlockHash& hash);
    // Takes back the marks of the block, its ancestors and its descendants.
    Status ClearInvalid(const BlockHash& hash);

    // Hashes from `from` back to genesis: ten in a row, then at doubling distances.
    std::vector<BlockHash> Locator(const HeaderNode* from) const;
    // Headers of the branch of `tip` after the first hash of `locator` that lies on it (after genesis if none), at most
    // `limit`, until `stop` (if it comes) inclusive.
    Result<std::vector<BlockHeader>> HeadersAfter(const HeaderNode* tip, const std::vector<BlockHash>& locator,
                                                  const BlockHash& stop, size_t limit = kMaxHeadersPerAnswer) const;
    // Ends of branches that are each better than `tip` (BetterEnd) and not known to be invalid, in order of arrival.
    std::vector<const HeaderNode*> LeavesBetterThan(const HeaderNode* tip) const;
    // The open headers of `staker` for `slot`, and how many there are.
    std::vector<const HeaderNode*> HeadersOf(const StakerId& staker, Slot slot) const;
    size_t CountOf(const StakerId& staker, Slot slot) const;
    // Every open node, parents first.
    void ForEach(const std::function<void(const HeaderNode&)>& visit) const;
    // Open headers, and all nodes in memory.
    size_t open_count() const;
    size_t node_count() const;

    // The buried header at a height below the root, loaded.
    const HeaderNode* BuriedAt(Height height) const;

  private:
    struct Nodes;
    HeaderTree(const consensus::Params& params, storage::KeyValueStore& store);
    Status Start(const BlockHeader& genesis_header, const consensus::HeaderState& genesis);
    Status Load(const HeaderCut& cut, const BlockHash& genesis);
    HeaderNode* FindMutable(const BlockHash& hash) const;
    HeaderNode* LoadBuried(const BlockHash& hash) const;
    HeaderNode* MakeNode(const StoredHeader& stored) const;
    HeaderNode* Insert(const StoredHeader& stored, HeaderNode* parent);
    Result<std::optional<BlockHash>> AncestorHash(const HeaderNode* node, Height height) const;
    void PropagateFailure(HeaderNode* node);
    void ChooseBest();
    // Whether `end`, a child of the best, is the first that is more than k blocks above some fork of its branch: from
    // there on density decides.
    bool JudgesAnew(const HeaderNode* end) const;

    std::vector<HeaderNode*> OpenInOrder() const;
    HeaderNode* ParentOf(const HeaderNode* node) const;

    // In header_prune.cpp.
    using NodeSet = std::set<const HeaderNode*>;
    bool IsDead(HeaderNode* branch, Height tip, const NodeSet& keep) const;
    std::vector<HeaderNode*> DeadBranches(const std::vector<HeaderNode*>& branches, Height tip,
                                          const NodeSet& keep) const;
    // Writes the batch with what erases the branches, then takes them out of memory.
    Status Remove(const std::vector<HeaderNode*>& branches, storage::WriteBatch batch);
    void BuryInMemory(HeaderNode* node, HeaderNode* active_child);
    // Sets anchors and skips anew.
    void RenewLinks();

    const consensus::Params& m_params;
    HeaderStore m_store;
    std::unique_ptr<Nodes> m_nodes;
    std::map<uint64_t, const HeaderNode*> m_leaves;  // by sequence
    HeaderNode* m_genesis{nullptr};
    HeaderNode* m_root{nullptr};
    const HeaderNode* m_best{nullptr};
    uint64_t m_next_sequence{0};
    Height m_lowest;      // no open header lies below
    Height m_tip_height;  // of the last Prune
};

// The ancestor of `node` at `height` (itself at its own); null above it. O(log height), or one read from the disk below
// the root.
const HeaderNode* AncestorAt(const HeaderNode* node, Height height);
// The last block that both branches share.
const HeaderNode* ForkPoint(const HeaderNode* a, const HeaderNode* b);
// True if `ancestor` lies on the branch of `node` (also if equal).
bool IsAncestor(const HeaderNode* ancestor, const HeaderNode* node);
// How many blocks of the branch of `tip` come after `fork`, which lies on it, and have a slot of at most `last`: what
// the density rule counts. O(log) lookups.
uint32_t BlocksUpTo(const HeaderNode* tip, const HeaderNode* fork, Slot last);

}  // namespace sluice::chain
