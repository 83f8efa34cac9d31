#pragma once

#include <map>
#include <set>
#include <unordered_map>

#include "chain/tip_change.h"
#include "consensus/block_rules.h"

namespace sluice::chain {

// Relay policy, beside the rules of consensus.
struct MempoolPolicy {
    uint64_t min_fee_per_kvb{1'000};          // 1 drop/vB
    uint64_t incremental_fee_per_kvb{1'000};  // what a replacement pays for its own relay
    Amount dust{330};                         // least value of an output that can be spent
    size_t max_weight{100'000};
    // Of a settlement: one of kMaxSettledChannels has about 318,000. Rationale: batching many channels into one
    // transaction is what spares the chain their weight.
    size_t max_settlement_weight{350'000};
    size_t max_ancestors{25};     // with the transaction itself
    size_t max_descendants{100};  // of each ancestor, with itself
    size_t max_replaced{100};
    size_t max_bytes{50'000'000};
    uint64_t expiry_slots{14 * 86'400};
    // A transaction gives away what its stake has earned if that is `accrued_least` or more and the fee is over
    // accrued_fee_factor times the least fee of its size: not taken, not kept, and put into no block.
    // Rationale: what a stake coin has earned and its spender does not claim goes to the fee, without a word in the
    // transaction. That happens to software that knows no rewards, and to everyone whose transaction was built before
    // the end of an epoch and is mined after it. Fees that are bid seldom rise a hundredfold; what an epoch earns to a
    // coin that is worth spending is far more. Below the bound the loss is not worth a second transaction. The bound
    // counts from the pool's own least fee, so that it rises when blocks are full.
    uint64_t accrued_fee_factor{100};
    Amount accrued_least{1'000};
};

struct MempoolEntry {
    TransactionRef tx;
    Amount fee;  // to the producer
    Amount burned;
    Amount accrued;        // of the stake that it spends
    bool evidence{false};  // against a staker: stays until it is mined or not valid any more
    UnixMillis time;       // of arrival
    uint64_t sequence{0};  // order of arrival; parents come before children
    Slot slot;             // of the next block when it came
    size_t record_count{0};
    size_t record_bytes{0};
    std::set<Txid> parents;  // in the pool
    std::set<Txid> children;

    size_t vsize() const { return tx->vsize(); }
};

// A package of entries: sums of fees and sizes.
struct PackageTotals {
    size_t count{0};
    Amount fee;
    size_t vsize{0};
};

struct RemovedTransaction {
    TransactionRef tx;
    // kReorg: not valid after a change of the tip. kAccrued: valid, but it would give away what its stake has earned
    // since it was made.
    enum class Why { kMined, kConflict, kReplaced, kExpired, kEvicted, kReorg, kAccrued } why{Why::kMined};
};

struct AcceptResult {
    Amount fee;
    size_t vsize{0};
    std::vector<RemovedTransaction> removed;  // replaced or evicted, with their descendants
};

// Transactions that could be in the next block, in an order in which each is valid after those before it.
//
// Evidence against a staker is taken whatever it pays and whatever conflicts with it: an update or exit of the same
// bond leaves with all that builds on it, and nothing replaces evidence until it is mined. Otherwise a staker that
// signed twice could hide behind a chain of well-paid rotations.
//
// Chain worker. Invariant (SanityCheck): replaying the entries in sequence order over the tip's state succeeds.
class Mempool {
  public:
    // `state` must outlive it and may change only right before Reset or BlocksChanged.
    Mempool(const consensus::Params& params, const consensus::StateReader& state, const consensus::HeaderState& tip,
            consensus::SpendRunner runner, MempoolPolicy policy = {});

    // Checks and adds; if it is refused, the pool is as it was. kMissingInputs: perhaps an orphan. kPolicy: valid, but
    // not relayed. "txn-already-in-mempool" if it is there (by wtxid), "txn-same-nonwitness-data-in-mempool" by txid
    // only.
    consensus::Verdict<AcceptResult> Accept(const TransactionRef& tx, UnixMillis now);
    // The same without keeping it (testmempoolaccept).
    consensus::Verdict<AcceptResult> Test(const TransactionRef& tx, UnixMillis now);

    // The tip moved: takes out what was mined or conflicts, puts back what was disconnected, drops what is not valid
    // any more or too old. Returns what left the pool.
    std::vector<RemovedTransaction> BlocksChanged(const TipChange& change, const consensus::HeaderState& tip);

    const MempoolEntry* Find(const Txid& txid) const;
    const MempoolEntry* FindByWtxid(const Wtxid& wtxid) const;
    // For relay: by wtxid.
    TransactionRef GetForRelay(const Wtxid& wtxid) const;
    // In sequence order.
    std::vector<const MempoolEntry*> All() const;
    std::vector<TransactionRef> AfterSequence(uint64_t sequence, size_t limit) const;
    // The entry's own ancestors or descendants in the pool, with itself.
    std::vector<const MempoolEntry*> Ancestors(const Txid& txid) const;
    std::vector<const MempoolEntry*> Descendants(const Txid& txid) const;
    PackageTotals Totals(const std::vector<const MempoolEntry*>& entries) const;
    // The transaction in the pool that spends an output.
    std::optional<Txid> SpenderOf(const OutPoint& outpoint) const;

    size_t size() const { return m_entries.size(); }
    size_t usage_bytes() const { return m_usage_bytes; }
    uint64_t total_vsize() const { return m_total_vsize; }
    uint64_t sequence() const { return m_next_sequence; }
    // What enters now pays at least this: the policy's floor, or more after the pool was full.
    uint64_t min_fee_per_kvb() const;
    const MempoolPolicy& policy() const { return m_policy; }
    // See MempoolPolicy::accrued_fee_factor.
    bool GivesAccruedAway(Amount fee, Amount accrued, size_t vsize) const;
    // The state after the tip and everything in the pool, in order.
    const consensus::StateReader& view() const { return *m_view; }
    consensus::TxContext NextContext() const;
    // False if an invariant is broken. For tests and fuzzing: replays everything.
    bool SanityCheck() const;

  private:
    // What is to be done to take a transaction in.
    struct Plan {
        MempoolEntry entry;
        std::set<Txid> leaving;                        // replaced, with their descendants
        std::unique_ptr<consensus::StateCache> view;   // without those; null if there are none
        std::unique_ptr<consensus::StateCache> layer;  // the transaction's own changes, over `view` or m_view
        std::optional<uint64_t> takes_place_of;        // evidence: sequence of what it throws out; no view and layer
    };
    consensus::Verdict<Plan> Check(const TransactionRef& tx, UnixMillis now) const;
    // Of evidence that conflicts with what the pool has.
    consensus::Verdict<Plan> CheckConflictingEvidence(const TransactionRef& tx, const Txid& conflict,
                                                      UnixMillis now) const;
    consensus::Verdict<void> CheckKnown(const Transaction& tx) const;
    consensus::Verdict<void> CheckStandard(const Transaction& tx) const;
    // Purchases are relayed for confirmed publishes only.
    consensus::Verdict<void> CheckPurchases(const Transaction& tx) const;
    // Nothing is built on an unconfirmed settlement. Rationale: it pays out to many payers, and what one of them hangs
    // on his output would make it dearer for the payee, or impossible, to replace it by one with a higher fee.
    consensus::Verdict<void> CheckParents(const Transaction& tx) const;
    consensus::Verdict<std::set<Txid>> FindReplaced(const Transaction& tx) const;
    consensus::Verdict<void> CheckFee(const Transaction& tx, Amount fee, const std::set<Txid>& leaving) const;
    consensus::Verdict<void> CheckPackageLimits(const Transaction& tx, const std::set<Txid>& leaving) const;
    consensus::Verdict<void> CheckUpgradable(const consensus::SpendCheck& spends) const;
    // The coins that a replacement would spend, before anything is replayed; nullopt if one is unknown.
    std::optional<std::vector<consensus::Coin>> FindSpent(const Transaction& tx) const;
    // Replaying the pool is work: first see that the fee could pay for it, and that the owners of the coins want it.
    consensus::Verdict<void> CheckWorthReplay(const Transaction& tx, const std::set<Txid>& leaving) const;
    void Insert(MempoolEntry entry);
    // Into the pool, which may be over its limit then.
    void Take(Plan plan, std::vector<RemovedTransaction>& removed);
    std::vector<MempoolEntry> Entries() const;  // in sequence order
    void Remove(const Txid& txid);
    void CollectDescendants(const Txid& txid, std::set<Txid>& into) const;
    std::set<Txid> CollectAncestors(const Transaction& tx) const;
    std::set<Txid> PoolParents(const Transaction& tx) const;
    // The state after every entry but those; null if another entry is not valid without them.
    std::unique_ptr<consensus::StateCache> ViewWithout(const std::set<Txid>& leaving) const;
    void RemoveWithDescendants(const Txid& txid, RemovedTransaction::Why why, std::vector<RemovedTransaction>& removed);
    void RemoveMined(const TipChange& change, std::vector<RemovedTransaction>& removed);
    // Applies `entries` in order to an empty pool over the present state; those that fail leave.
    void Rebuild(std::vector<MempoolEntry> entries, std::vector<RemovedTransaction>& removed);
    // Removes the worst packages until the pool fits.
    void EvictToFit(std::vector<RemovedTransaction>& removed);

    const consensus::Params& m_params;
    const consensus::StateReader& m_state;
    consensus::HeaderState m_tip;
    consensus::SpendRunner m_runner;
    MempoolPolicy m_policy;
    std::unordered_map<Txid, MempoolEntry, FixedBytesHasher> m_entries;
    std::unordered_map<Wtxid, Txid, FixedBytesHasher> m_by_wtxid;
    std::map<uint64_t, Txid> m_by_sequence;
    std::map<OutPoint, Txid> m_spenders;
    std::unique_ptr<consensus::StateCache> m_view;
    uint64_t m_next_sequence{1};
    size_t m_usage_bytes{0};
    uint64_t m_total_vsize{0};
    uint64_t m_full_fee_per_kvb{0};
};

}  // namespace sluice::chain
