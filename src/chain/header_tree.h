#pragma once

#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "consensus/header_rules.h"
#include "storage/key_value.h"

namespace sluice::chain {

// A header that passed every check, and what we know of its body. Lives as long as its tree; its address never changes.
struct HeaderNode {
    consensus::HeaderState state;
    const HeaderNode* parent{nullptr};  // null for genesis
    const HeaderNode* skip{nullptr};    // an ancestor further back, for AncestorAt
    std::vector<HeaderNode*> children;  // in the order they came
    uint64_t sequence{0};               // order of arrival
    bool has_body{false};               // its block is stored
    bool has_all_bodies{false};         // and so are those of all its ancestors
    bool invalid{false};                // its own body broke a rule, or the operator refused it
    bool failed{false};                 // it or an ancestor is invalid

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

// All checked headers, as a tree that starts at genesis. Nothing is stored before its last check has passed.
// Chain worker. Kept in the key-value table 'H' (hash -> header, HeaderState, marks), loaded whole when opened: the
// states are in memory (about 400 bytes each), the headers themselves are read from disk when asked for.
class HeaderTree {
  public:
    // `store` must outlive the tree.
    static Result<std::unique_ptr<HeaderTree>> Open(const consensus::Params& params, const BlockHeader& genesis_header,
                                                    const consensus::HeaderState& genesis,
                                                    storage::KeyValueStore& store);
    HeaderTree(const HeaderTree&) = delete;

    // Known? parent known? form; snapshot known; staker, signature, threshold, VRF; then stored. An error is
    // kEnvironment.
    Result<HeaderOutcome> Add(const BlockHeader& header, const SnapshotLookup& snapshots);

    const HeaderNode* Find(const BlockHash& hash) const;
    const HeaderNode* genesis() const { return m_genesis; }
    // The best header whose branch is not known to be invalid (consensus::BetterTip; the first seen of equals).
    const HeaderNode* best() const { return m_best; }
    Result<BlockHeader> ReadHeader(const BlockHash& hash) const;
    size_t size() const { return m_nodes.size(); }

    // Notes that a body is stored or lost. SetBody returns the nodes whose whole branch became complete by it, parents
    // first.
    std::vector<const HeaderNode*> SetBody(const BlockHash& hash);
    void ClearBody(const BlockHash& hash);

    // Marks the block and so all its descendants; stored. Precondition: known, not genesis.
    Status MarkInvalid(const BlockHash& hash);
    // Takes back the marks of the block, its ancestors and its descendants.
    Status ClearInvalid(const BlockHash& hash);

    // Hashes from `from` back to genesis: ten in a row, then at doubling distances.
    std::vector<BlockHash> Locator(const HeaderNode* from) const;
    // Headers of the branch of `tip` after the first hash of `locator` that lies on it (after genesis if none), at most
    // `limit`, until `stop` (if it comes) inclusive.
    Result<std::vector<BlockHeader>> HeadersAfter(const HeaderNode* tip, const std::vector<BlockHash>& locator,
                                                  const BlockHash& stop, size_t limit = kMaxHeadersPerAnswer) const;
    // Ends of branches that are better than `tip` and not known to be invalid, in order of arrival.
    std::vector<const HeaderNode*> LeavesBetterThan(const HeaderNode* tip) const;
    // How many headers of `staker` for `slot` there are.
    size_t CountOf(const StakerId& staker, Slot slot) const;
    // Every node, for loops at start.
    void ForEach(const std::function<void(const HeaderNode&)>& visit) const;

  private:
    HeaderTree(const consensus::Params& params, storage::KeyValueStore& store) : m_params(params), m_store(store) {}
    HeaderNode* FindMutable(const BlockHash& hash) const;
    HeaderNode* Insert(const consensus::HeaderState& state, HeaderNode* parent, uint64_t sequence, bool invalid);
    Status Load(const BlockHash& genesis);
    Status StoreMark(const HeaderNode& node);
    void PropagateFailure(HeaderNode* node);
    void ChooseBest();

    const consensus::Params& m_params;
    storage::KeyValueStore& m_store;
    std::unordered_map<BlockHash, std::unique_ptr<HeaderNode>, FixedBytesHasher> m_nodes;
    std::map<std::pair<Slot, StakerId>, size_t> m_counts;
    std::map<uint64_t, const HeaderNode*> m_leaves;  // by sequence
    HeaderNode* m_genesis{nullptr};
    const HeaderNode* m_best{nullptr};
    uint64_t m_next_sequence{0};
};

// The ancestor of `node` at `height` (itself at its own); null above it. O(log height).
const HeaderNode* AncestorAt(const HeaderNode* node, Height height);
// The last block that both branches share.
const HeaderNode* ForkPoint(const HeaderNode* a, const HeaderNode* b);
// True if `ancestor` lies on the branch of `node` (also if equal).
bool IsAncestor(const HeaderNode* ancestor, const HeaderNode* node);

}  // namespace sluice::chain
