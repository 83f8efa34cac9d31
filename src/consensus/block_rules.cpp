#include "consensus/block_rules.h"

#include "consensus/rewards.h"
#include "consensus/transaction_rules.h"
#include "primitives/script.h"

namespace sluice::consensus {
namespace {

constexpr int32_t kCoinbaseVersion = 3;
constexpr uint32_t kCoinbaseSequence = 0xffffffff;

Script CoinbaseScriptSig(Height height) { return ScriptBuilder().Number(height.value).Take(); }

// What is wrong with a transaction is wrong with the block that holds it, for ever.
tl::unexpected<Invalid> InBlock(const Transaction& tx, const Invalid& invalid) {
    return Reject(invalid.code,
                  "transaction " + tx.txid().Hex() + (invalid.detail.empty() ? "" : ": " + invalid.detail));
}

Verdict<void> CheckRoots(const Block& block) {
    if (TxMerkleRoot(block.transactions) != block.header.tx_root)
        return Reject(Invalid::What::kMutatedBody, "bad-txnmrklroot", "the transactions are not those of the header");
    if (WitnessMerkleRoot(block.transactions) != block.header.witness_root)
        return Reject(Invalid::What::kMutatedBody, "bad-witness-merkle-match",
                      "the witnesses are not those of the header");
    return {};
}

Verdict<void> CheckCoinbase(const Transaction& coinbase, Height height) {
    if (!coinbase.IsCoinbase()) return Reject("bad-cb-missing", "the first transaction is not a coinbase");
    const TxInput& input = coinbase.inputs()[0];
    if (input.script_sig != CoinbaseScriptSig(height))
        return Reject("bad-cb-height", "the coinbase does not commit to the height " + ToString(height) + " alone");
    if (input.sequence != kCoinbaseSequence || !input.witness.empty() || coinbase.tx().version != kCoinbaseVersion ||
        coinbase.tx().lock_time != 0)
        return Reject("bad-cb-form", "the coinbase is not of version 3, without witness and lock time");
    if (coinbase.outputs().size() != 1)
        return Reject("bad-cb-outputs", "the coinbase does not have exactly one output");
    return {};
}

// CheckBlock, keeping the forms of the transactions after the coinbase.
Verdict<std::vector<TxForm>> CheckBlockForm(const Params& params, const Block& block) {
    RETURN_IF_ERROR(CheckRoots(block));
    if (block.transactions.empty()) return Reject("bad-cb-missing", "the block has no transaction");
    if (block.weight() > kMaxBlockWeight)
        return Reject("bad-blk-weight",
                      "the weight " + std::to_string(block.weight()) + " is over " + std::to_string(kMaxBlockWeight));
    RETURN_IF_ERROR(CheckCoinbase(*block.transactions[0], block.header.height));
    std::vector<TxForm> forms;
    size_t records = 0, record_bytes = 0;
    for (size_t i = 1; i < block.transactions.size(); ++i) {
        const Transaction& tx = *block.transactions[i];
        if (tx.IsCoinbase()) return Reject("bad-cb-multiple", "a coinbase is not the first transaction");
        auto form = CheckTransactionForm(params, tx);
        if (!form) return InBlock(tx, form.error());
        records += form->records.size();
        record_bytes += form->record_bytes;
        forms.push_back(std::move(*form));
    }
    if (records > kMaxRecordsPerBlock)
        return Reject("bad-blk-records", "the block has " + std::to_string(records) + " records, the limit is " +
                                             std::to_string(kMaxRecordsPerBlock));
    if (record_bytes > kMaxRecordBytesPerBlock)
        return Reject("bad-blk-record-bytes", "the block has " + std::to_string(record_bytes) +
                                                  " bytes of records, the limit is " +
                                                  std::to_string(kMaxRecordBytesPerBlock));
    return forms;
}

Amount Reserve(const LedgerTotals& totals) {
    const uint64_t issued = totals.genesis.drops + totals.minted.drops;
    return Amount(issued < kMaxSupply.drops ? kMaxSupply.drops - issued : 0);
}

// Connects one block to a cache over the state before it.
class Connector {
  public:
    Connector(const Params& params, const BlockContext& context, const StateReader& state, const Block& block)
        : m_params(params), m_context(context), m_block(block), m_cache(state) {}

    Verdict<StateDelta> Run(const std::vector<TxForm>& forms, const SpendRunner& run) {
        const auto totals = m_cache.Get<LedgerTotals>({});
        if (!totals) return Reject("state-unreadable", "the totals of the ledger could not be read");
        m_totals = *totals;
        const Amount subsidy = BlockSubsidy(m_params, m_totals, m_context.self.epoch);
        if (m_totals.epoch != m_context.self.epoch) {
            m_totals.reserve_at_epoch_start = Reserve(m_totals);
            m_totals.epoch = m_context.self.epoch;
        }
        EraseExpired();
        RETURN_IF_ERROR(ApplyTransactions(forms));
        RETURN_IF_ERROR(ApplyCoinbase(subsidy));
        RETURN_IF_ERROR(run(m_checks));
        ScheduleExpiry();
        CHECK(m_totals.Conserved());
        m_cache.Put<LedgerTotals>({}, m_totals);
        return m_cache.Delta();
    }

  private:
    Height height() const { return m_block.header.height; }

    void EraseExpired() {
        const auto expiry = m_cache.Get<PublishExpiry>(height());
        if (!expiry) return;
        for (const OutPoint& publish : expiry->publishes) m_cache.Erase<PublishState>(publish);
        m_cache.Erase<PublishExpiry>(height());
    }

    Verdict<void> ApplyTransactions(const std::vector<TxForm>& forms) {
        const TxContext context{height(), m_block.header.slot, m_context.parent.slot};
        for (size_t i = 0; i < forms.size(); ++i) {
            const TransactionRef& tx = m_block.transactions[i + 1];
            auto effect = ApplyFormed(m_params, context, m_cache, tx, forms[i]);
            if (!effect) return InBlock(*tx, effect.error());
            for (const Coin& coin : effect->spends.spent) CountSpent(coin.output.value);
            CountMade(*tx);
            m_totals.burned.drops += effect->burned.drops;
            m_totals.pots.drops -= effect->accrued.drops;
            m_fees.drops += effect->fee.drops;
            m_superseded.insert(m_superseded.end(), effect->superseded.begin(), effect->superseded.end());
            m_checks.push_back(std::move(effect->spends));
        }
        return {};
    }

    Verdict<void> ApplyCoinbase(Amount subsidy) {
        const Transaction& coinbase = *m_block.transactions[0];
        const SnapshotEntry* staker = m_context.elects.Find(m_block.header.staker);
        if (!staker) return Reject("bad-staker", "the producer is not in the snapshot that elects it");
        const TxOutput& output = coinbase.outputs()[0];
        if (output.script != staker->payout_script)
            return Reject("bad-cb-script", "the coinbase does not pay the producer's payout script");
        const Amount due = CoinbaseValue(subsidy, *staker, m_fees);
        if (output.value != due)
            return Reject("bad-cb-amount", "the coinbase pays " + FormatSlu(output.value) +
                                               ", commission and fees are " + FormatSlu(due));
        if (!ParseOutputScript(output.script)) return Reject("bad-cb-script", "the payout script is no output script");
        AddCoins(m_params, height(), m_block.header.slot, m_cache, coinbase, {CoinKind::kPlain});
        CountMade(coinbase);
        const Amount shared = ShareReward(m_cache, m_context.elects, *staker, m_context.self.epoch, subsidy);
        m_totals.minted.drops += CommissionOf(subsidy, staker->commission_permille).drops + shared.drops;
        m_totals.pots.drops += shared.drops;
        return {};
    }

    void ScheduleExpiry() {
        if (m_superseded.empty()) return;
        m_cache.Put(height() + m_params.superseded_grace_blocks + 1, PublishExpiry{std::move(m_superseded)});
    }

    void CountSpent(Amount value) {
        m_totals.unspent.drops -= value.drops;
        --m_totals.coins;
    }
    // Records have no value and make no coin.
    void CountMade(const Transaction& tx) {
        for (const TxOutput& output : tx.outputs()) {
            if (output.script[0] == kOpReturn) continue;
            m_totals.unspent.drops += output.value.drops;
            ++m_totals.coins;
        }
    }

    const Params& m_params;
    const BlockContext& m_context;
    const Block& m_block;
    StateCache m_cache;
    LedgerTotals m_totals;
    Amount m_fees;
    std::vector<OutPoint> m_superseded;
    std::vector<SpendCheck> m_checks;
};

}  // namespace

Verdict<void> CheckBlock(const Params& params, const Block& block) {
    RETURN_IF_ERROR(CheckBlockForm(params, block));
    return {};
}

Verdict<void> RunSpendsInOrder(std::span<const SpendCheck> checks) {
    for (const SpendCheck& check : checks) {
        const auto verdict = check.Run();
        if (!verdict) return InBlock(*check.tx, verdict.error());
    }
    return {};
}

Verdict<StateDelta> ConnectBlock(const Params& params, const BlockContext& context, const StateReader& state,
                                 const Block& block, const SpendRunner& run) {
    ASSIGN_OR_RETURN(const std::vector<TxForm> forms, CheckBlockForm(params, block));
    if (block.header.commitment != HeaderCommitment({}, context.previous_snapshot_hash))
        return Reject("bad-commitment", "the header does not commit to the stake snapshot of its epoch's start");
    return Connector(params, context, state, block).Run(forms, run);
}

Amount BlockSubsidy(const Params& params, const LedgerTotals& before, Epoch epoch) {
    const Amount reserve = Reserve(before);
    const Amount at_start = before.epoch == epoch ? before.reserve_at_epoch_start : reserve;
    using Wide = unsigned __int128;
    const Wide share = Wide{at_start.drops} * params.subsidy_numerator / params.subsidy_denominator;
    const Wide each = share / std::max<uint64_t>(params.ExpectedEpochBlocks(), 1);
    return std::min(Amount(static_cast<uint64_t>(std::min<Wide>(each, kMaxSupply.drops))), reserve);
}

MutableTransaction MakeCoinbase(Height height, Amount reward, const Script& payout_script) {
    MutableTransaction tx;
    tx.version = kCoinbaseVersion;
    tx.inputs.push_back({kNullOutPoint, CoinbaseScriptSig(height), kCoinbaseSequence, {}});
    tx.outputs.push_back({reward, payout_script});
    return tx;
}

Amount RecordFee(const Params& params, size_t record_bytes) {
    return Amount(params.record_fee_per_byte.drops * record_bytes);
}

Amount MinAnchor(const Params& params, size_t record_bytes) {
    return Amount(params.anchor_per_byte.drops * record_bytes);
}

}  // namespace sluice::consensus
