#pragma once

#include "chain/block_template.h"
#include "chain/chain_state.h"
#include "chain/electorates.h"
#include "chain/write_buffer.h"

namespace sluice::chain {

struct ChainOptions {
    size_t cache_bytes{64 << 20};         // of state entries and the database together
    size_t write_buffer_bytes{32 << 20};  // of changes that wait for the disk while the chain catches up
    MempoolPolicy mempool;
    consensus::SpendRunner runner = consensus::RunSpendsInOrder;
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
    Result<HeadersResult> ProcessHeaders(const std::vector<BlockHeader>& headers, UnixMillis now);
    // Takes a block whose header is known or comes with it.
    Result<BlockResult> ProcessBlock(const BlockRef& block, UnixMillis now);
    // Bodies missing on the way to the best header, lowest first, then to other ends that are better than the tip
    // [headers whose bodies nobody gives away]. Not those more than `window` above the active chain.
    std::vector<const HeaderNode*> BlocksWanted(size_t max, uint32_t window = 1024) const;

    const consensus::Genesis& genesis() const { return m_genesis; }
    const consensus::Params& params() const { return m_genesis.params; }
    const BlockHash& genesis_hash() const { return m_genesis_hash; }
    const HeaderNode* tip() const { return m_state->tip(); }
    const HeaderNode* best_header() const { return m_tree->best(); }
    const HeaderTree& headers() const { return *m_tree; }
    // Null if unknown / above the tip.
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
    // `leads_to`: the claimed height of the last header after this one that came with it.
    Result<HeaderOutcome> AddHeader(const BlockHeader& header, std::optional<Height> leads_to, UnixMillis now);
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
    std::unique_ptr<Electorates> m_electorates;
    std::unique_ptr<WriteBuffer> m_store;
    std::unique_ptr<HeaderTree> m_tree;
    std::unique_ptr<BlockStore> m_blocks;
    std::unique_ptr<Indexes> m_indexes;
    std::unique_ptr<ChainState> m_state;
    std::unique_ptr<Mempool> m_mempool;
};

}  // namespace sluice::chain
