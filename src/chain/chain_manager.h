#pragma once

#include <set>

#include "chain/block_template.h"
#include "chain/chain_state.h"
#include "chain/header_pipeline.h"
#include "chain/write_buffer.h"
#include "primitives/record.h"

namespace sluice::chain {

// A block that the chain has to go through (weak subjectivity): what somebody who was there told a node that was not.
struct Checkpoint {
    BlockHash hash;
    Height height;
};

struct ChainOptions {
    size_t cache_bytes{64 << 20};         // of state entries and the database together
    size_t write_buffer_bytes{32 << 20};  // of changes that wait for the disk while the chain catches up
    MempoolPolicy mempool;
    consensus::SpendRunner runner = consensus::RunSpendsInOrder;
    HeaderRunner header_runner = RunTasksInOrder;
    // Headers at their heights with other hashes are invalid ("bad-fork-checkpoint"). Once the header of one is known,
    // so are branches that leave its branch below it, the active one as well. Those marks are stored; ReconsiderBlock
    // takes them back.
    std::vector<Checkpoint> checkpoints;
    // Signatures of transactions up to this block are taken to be valid while it is on the branch of the best header.
    std::optional<BlockHash> assume_valid;
};

struct HeadersResult {
    size_t accepted{0};                    // leading headers that are in the tree now, new or known
    const HeaderNode* last{nullptr};       // the last of them
    std::optional<HeaderOutcome> stopped;  // why the next one was not taken
};

struct BlockResult {
    enum class What {
        kConnected,
        kStored,
        kKnown,
        kNotTaken
    } what{What::kStored};                      // kStored: kept, not part of the best chain (yet)
    std::optional<HeaderOutcome> header;        // kNotTaken because of its header
    std::optional<consensus::Invalid> invalid;  // kNotTaken because of its body
    TipChange change;
    std::vector<RemovedTransaction> removed;  // from the mempool
};

// The owner of the chain: headers, blocks, state, indexes and mempool of one network in one folder.
// Chain worker. Results whose error is kEnvironment mean that the disk failed: stop; the folder stays consistent.
class ChainManager {
  public:
    // Opens or makes `folder`. Moves on to the best chain that its files hold.
    static Result<std::unique_ptr<ChainManager>> Open(storage::FileSystem& files, const std::string& folder,
                                                      consensus::Genesis genesis, ChainOptions options = {});

    ~ChainManager();
    ChainManager(const ChainManager&) = delete;

    // Makes everything done so far survive power loss. Blocks that came while caught up do already; while the chain
    // catches up it is to be called now and then, and before a clean stop.
    Status Flush() { return m_store->Flush(true); }

    // In order, from parents to children; stops at the first that is not taken. Headers over 2 s early are kPremature.
    // A caught-up node refuses forks from blocks over unbonding_slots older than the tip (kTooDeep): the bonds of those
    // who made them are gone, so nothing was at stake [long-range fork from old keys]. kMaxHeadersPerSlot is relay
    // policy and never keeps out headers of a branch that is better than the tip's by what comes after them.
    Result<HeadersResult> ProcessHeaders(const std::vector<BlockHeader>& headers, UnixMillis now);
    // Takes a block whose header is known or comes with it.
    Result<BlockResult> ProcessBlock(const BlockRef& block, UnixMillis now);
    // Bodies missing on the way to the best header, lowest first, then to other ends that are better than the tip
    // [headers whose bodies nobody gives away]. Not those more than `window` above the active chain.
    std::vector<const HeaderNode*> BlocksWanted(size_t max, uint32_t window = 1024) const;

    // Pairs of headers that convict a staker, each (staker, slot) once since the start, while evidence of that slot is
    // taken. Found as headers come and, after a restart, in what is stored.
    std::vector<EvidenceRecord> TakeEvidence() { return std::exchange(m_evidence, {}); }
    // What headers have cost since the start.
    const HeaderWork& header_work() const { return m_pipeline->work(); }

    const consensus::Genesis& genesis() const { return m_genesis; }
    const consensus::Params& params() const { return m_genesis.params; }
    const BlockHash& genesis_hash() const { return m_genesis_hash; }
    const HeaderNode* tip() const { return m_state->tip(); }
    const HeaderNode* best_header() const { return m_tree->best(); }
    const HeaderTree& headers() const { return *m_tree; }
    // Null if unknown / above the tip (or the disk failed: TakeReadFailure tells). How long the node lives:
    // header_tree.h; anything that takes headers or blocks may end its life.
    const HeaderNode* FindHeader(const BlockHash& hash) const { return m_tree->Find(hash); }
    const HeaderNode* At(Height height) const { return m_state->At(height); }
    bool IsActive(const HeaderNode* node) const { return m_state->IsActive(node); }
    // Null if its body is not stored.
    Result<BlockRef> GetBlock(const BlockHash& hash) const { return m_blocks->ReadBlock(hash); }
    Result<BlockRef> GetBlockAt(Height height) const;
    // The block with its effect, for an active block: what a wallet rescans.
    Result<ConnectedBlock> GetConnected(const HeaderNode* node) const;
    Result<std::vector<BlockHeader>> HeadersAfter(const std::vector<BlockHash>& locator, const BlockHash& stop) const;
    std::vector<BlockHash> Locator() const { return m_tree->Locator(m_tree->best()); }
    // True once the tip is not older than the time in which k blocks are expected.
    bool IsCaughtUp(UnixMillis now) const;

    const consensus::StateReader& state() const { return *m_state; }
    // After reads through state(): the read that failed, if any.
    std::optional<Error> TakeReadFailure() const { return m_state->TakeReadFailure(); }
    Result<SnapshotRef> SnapshotOf(const consensus::EpochBoundary& boundary) const {
        return m_state->SnapshotOf(boundary);
    }
    const Indexes& indexes() const { return *m_indexes; }
    // Into the mempool, or (test_only) only whether it would be accepted.
    Result<consensus::Verdict<AcceptResult>> AcceptTransaction(const TransactionRef& tx, UnixMillis now,
                                                               bool test_only = false);
    const Mempool& mempool() const { return *m_mempool; }

    // The block that `keys` make in `slot` on the tip, not yet processed; null if they do not lead that slot. kInvalid
    // if the slot is not after the tip's.
    Result<BlockRef> ProduceBlock(const consensus::OperatorKeys& keys, Slot slot) const;
    // The first slot from `from` on that `keys` lead on top of the tip; nullopt if none within `max_slots`.
    Result<std::optional<Slot>> NextWonSlot(const consensus::OperatorKeys& keys, Slot from, uint64_t max_slots) const;

    // Whether `keys` led `slot` on the active chain: false also if its stake is not known. For slots that are over.
    Result<bool> Led(const consensus::OperatorKeys& keys, Slot slot) const;

    // The operator refuses a block and everything after it, or takes that back. kNotFound, or kInvalid for genesis.
    Result<BlockResult> InvalidateBlock(const BlockHash& hash, UnixMillis now);
    Result<BlockResult> ReconsiderBlock(const BlockHash& hash, UnixMillis now);

  private:
    explicit ChainManager(consensus::Genesis genesis);
    // The parts of ProcessHeaders. A run is headers that build on each other, none of which is known.
    Result<HeadersResult> TakeHeaders(std::span<const BlockHeader> headers, UnixMillis now);
    Status TakeRun(std::span<const BlockHeader> headers, std::span<const BlockHash> hashes, UnixMillis now,
                   HeadersResult& result);
    Status StoreRun(std::span<const BlockHeader> headers, const std::vector<consensus::HeaderState>& states,
                    HeadersResult& result);
    // Why a run from `parent` is not looked at.
    std::optional<HeaderOutcome> RefuseFork(const HeaderNode* parent, UnixMillis now) const;
    // Why a header is not looked at, by what it says of itself.
    std::optional<HeaderOutcome> RefuseHeader(const BlockHeader& header, const BlockHash& hash, UnixMillis now) const;
    // Whether `states` on `parent` are a better branch than that of `end`.
    bool WouldBeat(const HeaderNode* end, const HeaderNode* parent,
                   std::span<const consensus::HeaderState> states) const;
    // How many of the headers policy lets us store.
    size_t CountWithinLimit(const HeaderNode* parent, std::span<const BlockHeader> headers,
                            std::span<const consensus::HeaderState> states) const;

    // Which forks are followed: a caught-up node none that are too old, nobody one below an active checkpoint.
    ForkLimits Limits(bool caught_up) const;
    // Marks everything that leaves the branch of `checkpoint`, if its header is known, below it.
    Status EnforceCheckpoint(const Checkpoint& checkpoint);
    // Offers `node` with another header of its staker and slot, if there is one.
    Status NoteEquivocation(const HeaderNode* node);
    void Convict(BlockHeader first, BlockHeader second);
    // The last active block before a slot. Null if the disk fails. Precondition: slot > 0.
    const HeaderNode* ActiveBefore(Slot slot) const;

    Result<BlockResult> Activate(UnixMillis now);
    Status OpenParts(storage::FileSystem& files, const std::string& folder, ChainOptions options);
    Status CheckNetwork(const std::string& folder);
    // Hands the change on to the mempool.
    Result<BlockResult> Finish(TipChange change);
    Status CheckStoredBodies();
    // A block of ours on the tip, without the signatures of its transactions.
    consensus::Verdict<void> CheckProduced(const Block& block, const SnapshotRef& elects,
                                           const Hash256& previous) const;

    consensus::Genesis m_genesis;
    BlockHash m_genesis_hash;
    std::unique_ptr<WriteBuffer> m_store;
    std::unique_ptr<HeaderTree> m_tree;
    std::unique_ptr<BlockStore> m_blocks;
    std::unique_ptr<Indexes> m_indexes;
    std::unique_ptr<ChainState> m_state;
    std::unique_ptr<HeaderPipeline> m_pipeline;
    std::unique_ptr<Mempool> m_mempool;
    std::vector<Checkpoint> m_checkpoints;
    std::vector<EvidenceRecord> m_evidence;
    std::set<std::pair<Slot, StakerId>> m_convicted;  // offered as evidence
};

}  // namespace sluice::chain
