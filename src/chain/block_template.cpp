#include "chain/block_template.h"

#include <queue>

#include "consensus/rewards.h"

namespace sluice::chain {
namespace {

using consensus::StateCache;
using Wide = unsigned __int128;

// Room kept for the coinbase: its largest form is far below.
constexpr size_t kCoinbaseReservedWeight = 1'000;
// After so many packages that were too heavy or not valid the block is as good as full. What is over the limits on
// records does not count: those are full long before the block is, and payments must not wait for records that pay
// more.
constexpr size_t kMaxMisses = 200;

// An entry with those of its ancestors that are not in the block yet.
struct Package {
    uint64_t fee{0};
    size_t vsize{0};
    uint64_t sequence{0};
    Txid txid;

    // Worse: a lower fee rate, or as high and later.
    friend bool operator<(const Package& a, const Package& b) {
        const Wide left = Wide(a.fee) * b.vsize;
        const Wide right = Wide(b.fee) * a.vsize;
        return left != right ? left < right : a.sequence > b.sequence;
    }
};

class Assembler {
  public:
    Assembler(const consensus::Params& params, const consensus::StateReader& state, const Mempool& mempool,
              const consensus::TxContext& context)
        : m_params(params), m_mempool(mempool), m_context(context), m_state(state) {
        // As the block will, before its transactions.
        if (const auto expiry = m_state.Get<consensus::PublishExpiry>(context.height))
            for (const OutPoint& publish : expiry->publishes) m_state.Erase<consensus::PublishState>(publish);
    }

    BlockTemplate Run() {
        for (const MempoolEntry* entry : m_mempool.All()) Push(entry->tx->txid());
        for (size_t misses = 0; !m_queue.empty() && misses < kMaxMisses;) {
            const Package best = m_queue.top();
            m_queue.pop();
            if (m_taken.contains(best.txid) || m_failed.contains(best.txid)) continue;
            const Package now = Measure(best.txid);
            if (now.fee != best.fee || now.vsize != best.vsize) continue;  // a newer measure is in the queue
            const Outcome outcome = Take(best.txid);
            if (outcome == Outcome::kTaken) continue;
            m_failed.insert(best.txid);
            if (outcome == Outcome::kMiss) ++misses;
        }
        return std::move(m_template);
    }

  private:
    enum class Outcome { kTaken, kMiss, kNoRoomForRecords };

    std::vector<const MempoolEntry*> Missing(const Txid& txid) const {
        auto ancestors = m_mempool.Ancestors(txid);
        std::erase_if(ancestors, [&](const MempoolEntry* entry) { return m_taken.contains(entry->tx->txid()); });
        return ancestors;
    }
    Package Measure(const Txid& txid) const {
        const PackageTotals totals = m_mempool.Totals(Missing(txid));
        return {totals.fee.drops, totals.vsize, m_mempool.Find(txid)->sequence, txid};
    }
    void Push(const Txid& txid) { m_queue.push(Measure(txid)); }

    // Puts the entry with its missing ancestors into the block, if they fit and are valid here.
    Outcome Take(const Txid& txid) {
        const auto package = Missing(txid);
        size_t weight = 0, records = 0, record_bytes = 0;
        for (const MempoolEntry* entry : package) {
            weight += entry->tx->weight();
            records += entry->record_count;
            record_bytes += entry->record_bytes;
        }
        if (m_template.records + records > consensus::kMaxRecordsPerBlock ||
            m_record_bytes + record_bytes > consensus::kMaxRecordBytesPerBlock)
            return Outcome::kNoRoomForRecords;
        if (m_template.weight + weight + kCoinbaseReservedWeight + kBlockHeaderBytes * kWitnessScaleFactor >
            kMaxBlockWeight)
            return Outcome::kMiss;
        StateCache layer(static_cast<const consensus::StateReader&>(m_state));
        Amount fees;
        for (const MempoolEntry* entry : package) {
            const auto effect = consensus::ApplyTransaction(m_params, m_context, layer, entry->tx);
            if (!effect || m_mempool.GivesAccruedAway(effect->fee, effect->accrued, entry->vsize()))
                return Outcome::kMiss;
            fees.drops += effect->fee.drops;
        }
        m_state.Absorb(layer);
        m_template.fees.drops += fees.drops;
        m_template.weight += weight;
        m_template.records += records;
        m_record_bytes += record_bytes;
        for (const MempoolEntry* entry : package) {
            m_template.transactions.push_back(entry->tx);
            m_taken.insert(entry->tx->txid());
        }
        // What builds on the package is cheaper now.
        for (const MempoolEntry* entry : package)
            for (const MempoolEntry* descendant : m_mempool.Descendants(entry->tx->txid()))
                if (!m_taken.contains(descendant->tx->txid())) Push(descendant->tx->txid());
        return Outcome::kTaken;
    }

    const consensus::Params& m_params;
    const Mempool& m_mempool;
    consensus::TxContext m_context;
    StateCache m_state;
    std::priority_queue<Package> m_queue;
    std::set<Txid> m_taken;
    std::set<Txid> m_failed;
    size_t m_record_bytes{0};
    BlockTemplate m_template;
};

}  // namespace

BlockTemplate BuildTemplate(const consensus::Params& params, const consensus::StateReader& state,
                            const Mempool& mempool, const consensus::HeaderState& parent, Slot slot,
                            const consensus::SnapshotEntry& producer) {
    const Height height = parent.height + 1;
    BlockTemplate result = Assembler(params, state, mempool, {height, slot, parent.slot}).Run();
    const auto totals =
        state.Get<consensus::LedgerTotals>({}).value_or(consensus::LedgerTotals());  // absent only if the read failed
    const Amount subsidy = consensus::BlockSubsidy(params, totals, params.EpochOf(slot));
    result.reward = consensus::CoinbaseValue(subsidy, producer, result.fees);
    TransactionRef coinbase = MakeTransaction(consensus::MakeCoinbase(height, result.reward, producer.payout_script));
    result.weight += coinbase->weight() + kBlockHeaderBytes * kWitnessScaleFactor;
    result.transactions.insert(result.transactions.begin(), std::move(coinbase));
    return result;
}

Block MakeSignedBlock(const BlockHash& genesis, const consensus::HeaderState& parent, Slot slot,
                      const crypto::VrfProof& proof, const consensus::OperatorKeys& keys,
                      const Hash256& previous_snapshot, std::vector<TransactionRef> transactions) {
    Block block;
    block.transactions = std::move(transactions);
    block.header.prev = parent.hash;
    block.header.tx_root = TxMerkleRoot(block.transactions);
    block.header.witness_root = WitnessMerkleRoot(block.transactions);
    block.header.slot = slot;
    block.header.height = parent.height + 1;
    block.header.staker = keys.staker;
    block.header.vrf_proof = proof;
    block.header.commitment = consensus::HeaderCommitment({}, previous_snapshot);
    block.header.signature = keys.signing.Sign(block.header.SigningHash(genesis));
    return block;
}

}  // namespace sluice::chain
