#include "chain/mempool.h"

#include <fmt/format.h>

#include <algorithm>

#include "consensus/rewards.h"

namespace sluice::chain {
namespace {

using consensus::Invalid;
using consensus::Reject;
using consensus::StateCache;
using consensus::Verdict;
using Why = RemovedTransaction::Why;
using Wide = unsigned __int128;

// fee_a / vsize_a > fee_b / vsize_b, exactly.
bool HigherRate(Amount fee_a, size_t vsize_a, Amount fee_b, size_t vsize_b) {
    return Wide(fee_a.drops) * vsize_b > Wide(fee_b.drops) * vsize_a;
}

Amount FeeAt(uint64_t per_kvb, size_t vsize) { return Amount((per_kvb * vsize + 999) / 1000); }

template <class Visit>
void ForEachRecord(const Transaction& tx, const Visit& visit) {
    for (const TxOutput& output : tx.outputs()) {
        const auto script = ParseOutputScript(output.script);
        if (!script || script->kind != OutputKind::kRecord) continue;
        if (const auto record = DecodeRecord(script->record)) visit(*record);
    }
}

bool BearsEvidence(const Transaction& tx) {
    bool found = false;
    ForEachRecord(tx, [&](const Record& record) { found |= std::holds_alternative<EvidenceRecord>(record); });
    return found;
}

bool IsSettlement(const Transaction& tx) {
    bool found = false;
    ForEachRecord(tx, [&](const Record& record) { found |= std::holds_alternative<SettleRecord>(record); });
    return found;
}

// The memory that an entry takes, about.
size_t UsageBytes(const MempoolEntry& entry) {
    constexpr size_t kOverhead = 1500;
    constexpr size_t kPerItem = 150;
    return kOverhead + 3 * entry.tx->total_bytes() +
           kPerItem * (entry.tx->inputs().size() + entry.tx->outputs().size());
}

}  // namespace

Mempool::Mempool(const consensus::Params& params, const consensus::StateReader& state,
                 const consensus::HeaderState& tip, consensus::SpendRunner runner, MempoolPolicy policy)
    : m_params(params),
      m_state(state),
      m_tip(tip),
      m_runner(std::move(runner)),
      m_policy(policy),
      m_view(std::make_unique<StateCache>(state)) {}

consensus::TxContext Mempool::NextContext() const { return {m_tip.height + 1, m_tip.slot + 1, m_tip.slot}; }

uint64_t Mempool::min_fee_per_kvb() const { return std::max(m_policy.min_fee_per_kvb, m_full_fee_per_kvb); }

bool Mempool::GivesAccruedAway(Amount fee, Amount accrued, size_t vsize) const {
    return accrued >= m_policy.accrued_least &&
           Wide(fee.drops) > Wide(FeeAt(min_fee_per_kvb(), vsize).drops) * m_policy.accrued_fee_factor;
}

Verdict<void> Mempool::CheckKnown(const Transaction& tx) const {
    if (m_by_wtxid.contains(tx.wtxid())) return Reject(Invalid::What::kPolicy, "txn-already-in-mempool");
    if (m_entries.contains(tx.txid()))
        return Reject(Invalid::What::kPolicy, "txn-same-nonwitness-data-in-mempool",
                      "the pool has this transaction with another witness");
    if (tx.IsCoinbase()) return Reject("coinbase", "a coinbase is valid in its block only");
    return {};
}

Verdict<void> Mempool::CheckStandard(const Transaction& tx) const {
    constexpr auto kPolicy = Invalid::What::kPolicy;
    if (tx.tx().version < 1 || tx.tx().version > 3)
        return Reject(kPolicy, "version", fmt::format("version {} is not 1 to 3", tx.tx().version));
    const size_t max_weight = IsSettlement(tx) ? m_policy.max_settlement_weight : m_policy.max_weight;
    if (tx.weight() > max_weight)
        return Reject(kPolicy, "tx-size", fmt::format("weight {} is over the limit of {}", tx.weight(), max_weight));
    // Grants and settlements pay amounts that were agreed on before.
    bool agreed = false;
    ForEachRecord(tx, [&](const Record& record) {
        agreed |= std::holds_alternative<GrantRecord>(record) || std::holds_alternative<SettleRecord>(record);
    });
    for (size_t i = 0; i < tx.outputs().size() && !agreed; ++i) {
        const auto script = ParseOutputScript(tx.outputs()[i].script);
        if (script && script->kind != OutputKind::kRecord && tx.outputs()[i].value < m_policy.dust)
            return Reject(kPolicy, "dust",
                          fmt::format("output {} has {} drops, the least that is relayed is {}", i,
                                      tx.outputs()[i].value.drops, m_policy.dust.drops));
    }
    return {};
}

Verdict<void> Mempool::CheckPurchases(const Transaction& tx) const {
    bool confirmed = true;
    ForEachRecord(tx, [&](const Record& record) {
        if (const auto* purchase = std::get_if<PurchaseRecord>(&record))
            confirmed &= m_state.Get<consensus::PublishState>(purchase->publish).has_value();
    });
    if (!confirmed)
        return Reject(Invalid::What::kPolicy, "purchase-of-unconfirmed",
                      "the publish that is bought is not in a block yet: buy it once it is");
    return {};
}

Verdict<void> Mempool::CheckParents(const Transaction& tx) const {
    for (const TxInput& input : tx.inputs()) {
        const MempoolEntry* parent = Find(input.prevout.txid);
        if (parent != nullptr && IsSettlement(*parent->tx))
            return Reject(Invalid::What::kPolicy, "child-of-settlement",
                          "it spends an output of an unconfirmed settlement: wait until that is in a block");
    }
    return {};
}

Verdict<std::set<Txid>> Mempool::FindReplaced(const Transaction& tx) const {
    std::set<Txid> direct;
    for (const TxInput& input : tx.inputs())
        if (const auto spender = SpenderOf(input.prevout)) direct.insert(*spender);
    std::set<Txid> leaving;
    for (const Txid& txid : direct) {
        if (m_entries.at(txid).evidence)
            return Reject(Invalid::What::kPolicy, "evidence-in-mempool",
                          "evidence spends that bond: " + txid.Hex() + " is not replaced");
        CollectDescendants(txid, leaving);
        if (leaving.size() > m_policy.max_replaced)
            return Reject(Invalid::What::kPolicy, "too-many-replacements",
                          fmt::format("it would replace over {} transactions", m_policy.max_replaced));
    }
    for (const TxInput& input : tx.inputs())
        if (leaving.contains(input.prevout.txid))
            return Reject("bad-txns-spends-conflicting-tx", "it spends an output of a transaction that it replaces");
    return leaving;
}

Verdict<void> Mempool::CheckFee(const Transaction& tx, Amount fee, const std::set<Txid>& leaving) const {
    const size_t vsize = tx.vsize();
    const Amount least = FeeAt(min_fee_per_kvb(), vsize);
    if (fee < least)
        return Reject(Invalid::What::kPolicy, "min relay fee not met",
                      fmt::format("the fee is {} drops, the least for {} vB is {}", fee.drops, vsize, least.drops));
    if (leaving.empty()) return {};
    uint64_t replaced_fees = 0;
    for (const Txid& txid : leaving) replaced_fees += m_entries.at(txid).fee.drops;
    for (const TxInput& input : tx.inputs()) {
        const auto spender = SpenderOf(input.prevout);
        if (!spender) continue;
        const MempoolEntry& conflict = m_entries.at(*spender);
        if (!HigherRate(fee, vsize, conflict.fee, conflict.vsize()))
            return Reject(Invalid::What::kPolicy, "insufficient fee",
                          "its fee rate is not higher than that of " + spender->Hex() + ", which it would replace");
    }
    const uint64_t wanted = replaced_fees + FeeAt(m_policy.incremental_fee_per_kvb, vsize).drops;
    if (fee.drops < wanted)
        return Reject(Invalid::What::kPolicy, "insufficient fee",
                      fmt::format("the fee is {} drops, to replace what is there it takes {}", fee.drops, wanted));
    return {};
}

Verdict<void> Mempool::CheckPackageLimits(const Transaction& tx, const std::set<Txid>& leaving) const {
    const std::set<Txid> ancestors = CollectAncestors(tx);
    if (ancestors.size() + 1 > m_policy.max_ancestors)
        return Reject(Invalid::What::kPolicy, "too-long-mempool-chain",
                      fmt::format("it would have {} unconfirmed ancestors with itself, the limit is {}",
                                  ancestors.size() + 1, m_policy.max_ancestors));
    for (const Txid& ancestor : ancestors) {
        std::set<Txid> descendants;
        CollectDescendants(ancestor, descendants);
        std::erase_if(descendants, [&](const Txid& txid) { return leaving.contains(txid); });
        if (descendants.size() + 1 > m_policy.max_descendants)
            return Reject(Invalid::What::kPolicy, "too-long-mempool-chain",
                          fmt::format("{} would have over {} descendants", ancestor.Hex(), m_policy.max_descendants));
    }
    return {};
}

Verdict<void> Mempool::CheckUpgradable(const consensus::SpendCheck& spends) const {
    std::vector<TxOutput> outputs;
    for (const consensus::Coin& coin : spends.spent) outputs.push_back(coin.output);
    const consensus::SpendingTransaction spending(spends.tx->tx(), std::move(outputs));
    for (size_t i = 0; i < spends.tx->inputs().size(); ++i) {
        const WitnessStack& witness = spends.tx->inputs()[i].witness;
        const size_t items = witness.size() - (consensus::FindAnnex(witness) ? 1 : 0);
        if (items < 2) continue;  // the key path has nothing to upgrade
        const auto facts = consensus::VerifyInput(spending, i, {.discourage_upgradable = true});
        if (!facts)
            return Reject(Invalid::What::kPolicy, "non-mandatory-script-verify-flag",
                          fmt::format("input {}: {}", i, facts.error()));
    }
    return {};
}

std::optional<std::vector<consensus::Coin>> Mempool::FindSpent(const Transaction& tx) const {
    std::vector<consensus::Coin> spent;
    for (const TxInput& input : tx.inputs()) {
        if (const MempoolEntry* parent = Find(input.prevout.txid)) {
            if (input.prevout.index >= parent->tx->outputs().size()) return std::nullopt;
            const auto next = NextContext();
            spent.push_back(
                {.output = parent->tx->outputs()[input.prevout.index], .height = next.height, .slot = next.slot});
        } else {
            auto coin = m_state.Get<consensus::Coin>(input.prevout);
            if (!coin) return std::nullopt;
            spent.push_back(std::move(*coin));
        }
    }
    return spent;
}

Verdict<void> Mempool::CheckWorthReplay(const Transaction& tx, const std::set<Txid>& leaving) const {
    const auto spent = FindSpent(tx);
    if (!spent)
        return Reject(Invalid::What::kMissingInputs, "bad-txns-inputs-missingorspent",
                      "an input does not exist or is spent");
    uint64_t in = 0, out = 0;
    std::vector<TxOutput> outputs;
    for (const consensus::Coin& coin : *spent) {
        in += coin.output.value.drops;
        in += consensus::AccruedReward(m_params, m_state, coin, m_params.EpochOf(NextContext().slot)).drops;
        outputs.push_back(coin.output);
    }
    for (const TxOutput& output : tx.outputs()) out += output.value.drops;
    RETURN_IF_ERROR(CheckFee(tx, Amount(in > out ? in - out : 0), leaving));
    const consensus::SpendingTransaction spending(tx.tx(), std::move(outputs));
    for (size_t i = 0; i < tx.inputs().size(); ++i)
        if (const auto facts = consensus::VerifyInput(spending, i); !facts)
            return Reject("mandatory-script-verify-flag-failed", fmt::format("input {}: {}", i, facts.error()));
    return {};
}

// Whether it convicts is asked of the tip alone: what the pool would do to the bond does not count, and nothing of the
// pool is replayed for evidence that proves nothing.
Verdict<Mempool::Plan> Mempool::CheckConflictingEvidence(const TransactionRef& tx, const Txid& conflict,
                                                         UnixMillis now) const {
    const MempoolEntry& there = m_entries.at(conflict);
    if (there.evidence)
        return Reject(Invalid::What::kPolicy, "evidence-in-mempool", "the pool has evidence against that staker");
    StateCache alone(m_state);
    const auto context = NextContext();
    ASSIGN_OR_RETURN(const consensus::TxEffect effect, consensus::ApplyTransaction(m_params, context, alone, tx));
    RETURN_IF_ERROR(m_runner(std::span(&effect.spends, 1)));
    Plan plan;
    CollectDescendants(conflict, plan.leaving);
    plan.takes_place_of = there.sequence;
    plan.entry = {.tx = tx,
                  .fee = effect.fee,
                  .burned = effect.burned,
                  .evidence = true,
                  .time = now,
                  .sequence = there.sequence,
                  .slot = context.slot,
                  .record_count = effect.record_count,
                  .record_bytes = effect.record_bytes};
    return plan;
}

Verdict<Mempool::Plan> Mempool::Check(const TransactionRef& tx, UnixMillis now) const {
    RETURN_IF_ERROR(CheckKnown(*tx));
    RETURN_IF_ERROR(consensus::CheckTransaction(m_params, *tx));
    RETURN_IF_ERROR(CheckStandard(*tx));
    const bool evidence = BearsEvidence(*tx);
    if (evidence)
        if (const auto conflict = SpenderOf(tx->inputs()[0].prevout))
            return CheckConflictingEvidence(tx, *conflict, now);
    RETURN_IF_ERROR(CheckParents(*tx));
    Plan plan;
    ASSIGN_OR_RETURN(plan.leaving, FindReplaced(*tx));
    if (!plan.leaving.empty()) {
        RETURN_IF_ERROR(CheckWorthReplay(*tx, plan.leaving));
        plan.view = ViewWithout(plan.leaving);
        if (!plan.view)
            return Reject(Invalid::What::kPolicy, "bad-replacement", "other transactions need what it would replace");
    }
    const consensus::StateReader& below = plan.view ? *plan.view : *m_view;
    plan.layer = std::make_unique<StateCache>(below);
    const auto context = NextContext();
    ASSIGN_OR_RETURN(const consensus::TxEffect effect, consensus::ApplyTransaction(m_params, context, *plan.layer, tx));
    if (!evidence) RETURN_IF_ERROR(CheckFee(*tx, effect.fee, plan.leaving));
    if (GivesAccruedAway(effect.fee, effect.accrued, tx->vsize()))
        return Reject(Invalid::What::kPolicy, "accrued-as-fee",
                      fmt::format("its stake has earned {} drops and its fee is {}: add what was earned to an output",
                                  effect.accrued.drops, effect.fee.drops));
    RETURN_IF_ERROR(CheckPurchases(*tx));
    RETURN_IF_ERROR(CheckPackageLimits(*tx, plan.leaving));
    RETURN_IF_ERROR(m_runner(std::span(&effect.spends, 1)));
    if (!evidence) RETURN_IF_ERROR(CheckUpgradable(effect.spends));
    plan.entry = {.tx = tx,
                  .fee = effect.fee,
                  .burned = effect.burned,
                  .accrued = effect.accrued,
                  .evidence = evidence,
                  .time = now,
                  .slot = context.slot,
                  .record_count = effect.record_count,
                  .record_bytes = effect.record_bytes};
    return plan;
}

Verdict<AcceptResult> Mempool::Test(const TransactionRef& tx, UnixMillis now) {
    ASSIGN_OR_RETURN(const Plan plan, Check(tx, now));
    AcceptResult result{plan.entry.fee, tx->vsize(), {}};
    for (const Txid& txid : plan.leaving) result.removed.push_back({m_entries.at(txid).tx, Why::kReplaced});
    return result;
}

Verdict<AcceptResult> Mempool::Accept(const TransactionRef& tx, UnixMillis now) {
    ASSIGN_OR_RETURN(Plan plan, Check(tx, now));
    AcceptResult result{plan.entry.fee, tx->vsize(), {}};
    // What it takes to undo all of it, if the transaction turns out to pay too little for a place.
    std::vector<MempoolEntry> before;
    if (m_usage_bytes + UsageBytes(plan.entry) > m_policy.max_bytes) before = Entries();
    Take(std::move(plan), result.removed);
    EvictToFit(result.removed);
    if (!m_entries.contains(tx->txid())) {
        std::vector<RemovedTransaction> lost;  // none: each was valid in this order over this state
        Rebuild(std::move(before), lost);
        return Reject(Invalid::What::kPolicy, "mempool full", "the pool is full of transactions that pay more");
    }
    return result;
}

void Mempool::Take(Plan plan, std::vector<RemovedTransaction>& removed) {
    for (const Txid& txid : plan.leaving) {
        removed.push_back({m_entries.at(txid).tx, Why::kReplaced});
        Remove(txid);
    }
    if (plan.takes_place_of) {
        std::vector<MempoolEntry> entries = Entries();
        const auto place = std::find_if(entries.begin(), entries.end(), [&](const MempoolEntry& entry) {
            return entry.sequence > *plan.takes_place_of;
        });
        entries.insert(place, std::move(plan.entry));
        Rebuild(std::move(entries), removed);
        return;
    }
    if (plan.view) m_view = std::move(plan.view);
    m_view->Absorb(*plan.layer);
    plan.entry.sequence = m_next_sequence++;
    Insert(std::move(plan.entry));
}

std::vector<MempoolEntry> Mempool::Entries() const {
    std::vector<MempoolEntry> entries;
    for (const auto& [sequence, txid] : m_by_sequence) entries.push_back(m_entries.at(txid));
    return entries;
}

void Mempool::Insert(MempoolEntry entry) {
    const Txid txid = entry.tx->txid();
    entry.parents = PoolParents(*entry.tx);
    entry.children.clear();
    for (const Txid& parent : entry.parents) m_entries.at(parent).children.insert(txid);
    for (const TxInput& input : entry.tx->inputs()) m_spenders[input.prevout] = txid;
    m_by_wtxid[entry.tx->wtxid()] = txid;
    m_by_sequence[entry.sequence] = txid;
    m_usage_bytes += UsageBytes(entry);
    m_total_vsize += entry.vsize();
    m_entries.emplace(txid, std::move(entry));
}

void Mempool::Remove(const Txid& txid) {
    const auto found = m_entries.find(txid);
    CHECK(found != m_entries.end());
    const MempoolEntry& entry = found->second;
    for (const Txid& parent : entry.parents) m_entries.at(parent).children.erase(txid);
    for (const Txid& child : entry.children) m_entries.at(child).parents.erase(txid);
    for (const TxInput& input : entry.tx->inputs()) m_spenders.erase(input.prevout);
    m_by_wtxid.erase(entry.tx->wtxid());
    m_by_sequence.erase(entry.sequence);
    m_usage_bytes -= UsageBytes(entry);
    m_total_vsize -= entry.vsize();
    m_entries.erase(found);
}

void Mempool::CollectDescendants(const Txid& txid, std::set<Txid>& into) const {
    std::vector<Txid> open{txid};
    while (!open.empty()) {
        const Txid each = open.back();
        open.pop_back();
        if (!into.insert(each).second) continue;
        const auto& children = m_entries.at(each).children;
        open.insert(open.end(), children.begin(), children.end());
    }
}

std::set<Txid> Mempool::PoolParents(const Transaction& tx) const {
    std::set<Txid> parents;
    for (const TxInput& input : tx.inputs())
        if (m_entries.contains(input.prevout.txid)) parents.insert(input.prevout.txid);
    return parents;
}

std::set<Txid> Mempool::CollectAncestors(const Transaction& tx) const {
    std::set<Txid> ancestors;
    const auto parents = PoolParents(tx);
    std::vector<Txid> open(parents.begin(), parents.end());
    while (!open.empty()) {
        const Txid each = open.back();
        open.pop_back();
        if (!ancestors.insert(each).second) continue;
        const auto& more = m_entries.at(each).parents;
        open.insert(open.end(), more.begin(), more.end());
    }
    return ancestors;
}

std::unique_ptr<StateCache> Mempool::ViewWithout(const std::set<Txid>& leaving) const {
    auto view = std::make_unique<StateCache>(m_state);
    for (const auto& [sequence, txid] : m_by_sequence) {
        if (leaving.contains(txid)) continue;
        if (!consensus::ApplyTransaction(m_params, NextContext(), *view, m_entries.at(txid).tx)) return nullptr;
    }
    return view;
}

void Mempool::RemoveWithDescendants(const Txid& txid, Why why, std::vector<RemovedTransaction>& removed) {
    std::set<Txid> leaving;
    CollectDescendants(txid, leaving);
    for (const Txid& each : leaving) {
        removed.push_back({m_entries.at(each).tx, why});
        Remove(each);
    }
}

void Mempool::RemoveMined(const TipChange& change, std::vector<RemovedTransaction>& removed) {
    for (const ConnectedBlock& block : change.connected) {
        for (const TransactionRef& tx : block.block->transactions) {
            if (tx->IsCoinbase()) continue;
            if (const MempoolEntry* mined = Find(tx->txid())) {
                removed.push_back({mined->tx, Why::kMined});
                Remove(tx->txid());
            }
            for (const TxInput& input : tx->inputs())
                if (const auto spender = SpenderOf(input.prevout))
                    RemoveWithDescendants(*spender, Why::kConflict, removed);
        }
    }
}

void Mempool::Rebuild(std::vector<MempoolEntry> entries, std::vector<RemovedTransaction>& removed) {
    m_entries.clear();
    m_by_wtxid.clear();
    m_by_sequence.clear();
    m_spenders.clear();
    m_usage_bytes = 0;
    m_total_vsize = 0;
    m_view = std::make_unique<StateCache>(m_state);
    for (MempoolEntry& entry : entries) {
        const bool known = m_entries.contains(entry.tx->txid());
        if (known) continue;  // it was in the pool and came back from a block
        StateCache layer(static_cast<const consensus::StateReader&>(*m_view));
        const auto effect =
            CheckPurchases(*entry.tx)
                ? consensus::ApplyTransaction(m_params, NextContext(), layer, entry.tx)
                : Verdict<consensus::TxEffect>(Reject(Invalid::What::kPolicy, "purchase-of-unconfirmed"));
        if (!effect) {
            removed.push_back({entry.tx, Why::kReorg});
            continue;
        }
        if (GivesAccruedAway(effect->fee, effect->accrued, entry.vsize())) {
            removed.push_back({entry.tx, Why::kAccrued});
            continue;
        }
        m_view->Absorb(layer);
        entry.accrued = effect->accrued;
        entry.evidence = !effect->spends.evidence.empty();
        entry.fee = effect->fee;
        entry.burned = effect->burned;
        entry.record_count = effect->record_count;
        entry.record_bytes = effect->record_bytes;
        Insert(std::move(entry));
    }
}

std::vector<RemovedTransaction> Mempool::BlocksChanged(const TipChange& change, const consensus::HeaderState& tip) {
    std::vector<RemovedTransaction> removed;
    const UnixMillis returned_at = m_params.SlotTime(tip.slot);
    m_tip = tip;
    RemoveMined(change, removed);
    std::vector<Txid> expired;
    for (const auto& [sequence, txid] : m_by_sequence)
        if (m_entries.at(txid).slot + m_policy.expiry_slots < tip.slot) expired.push_back(txid);
    for (const Txid& txid : expired)
        if (m_entries.contains(txid)) RemoveWithDescendants(txid, Why::kExpired, removed);

    std::set<Txid> mined;
    for (const ConnectedBlock& block : change.connected)
        for (const TransactionRef& tx : block.block->transactions) mined.insert(tx->txid());
    // What blocks gave back comes first: the pool may build upon it.
    std::vector<MempoolEntry> entries;
    for (auto block = change.disconnected.rbegin(); block != change.disconnected.rend(); ++block)
        for (const TransactionRef& tx : block->block->transactions)
            if (!tx->IsCoinbase() && !mined.contains(tx->txid()))
                entries.push_back({.tx = tx, .time = returned_at, .slot = tip.slot + 1});
    const bool reordered = !entries.empty();
    for (MempoolEntry& entry : Entries()) entries.push_back(std::move(entry));
    if (reordered)
        for (MempoolEntry& entry : entries) entry.sequence = m_next_sequence++;
    Rebuild(std::move(entries), removed);

    if (!change.connected.empty() && m_usage_bytes < m_policy.max_bytes / 2) m_full_fee_per_kvb /= 2;
    EvictToFit(removed);
    return removed;
}

void Mempool::EvictToFit(std::vector<RemovedTransaction>& removed) {
    if (m_usage_bytes <= m_policy.max_bytes) return;
    // Worst first, by the better of its own rate and that of it with its descendants. Scores are taken once: they only
    // order the eviction.
    struct Score {
        Amount fee;
        size_t vsize;
        uint64_t sequence;
        Txid txid;
    };
    std::vector<Score> scores;
    for (const auto& [sequence, txid] : m_by_sequence) {
        const MempoolEntry& entry = m_entries.at(txid);
        const PackageTotals package = Totals(Descendants(txid));
        const bool alone = HigherRate(entry.fee, entry.vsize(), package.fee, package.vsize);
        scores.push_back({alone ? entry.fee : package.fee, alone ? entry.vsize() : package.vsize, sequence, txid});
    }
    std::sort(scores.begin(), scores.end(), [](const Score& a, const Score& b) {
        if (HigherRate(b.fee, b.vsize, a.fee, a.vsize)) return true;
        if (HigherRate(a.fee, a.vsize, b.fee, b.vsize)) return false;
        return a.sequence > b.sequence;
    });
    // A little below the limit, so that a full pool is not replayed for each transaction that comes.
    const size_t goal = m_policy.max_bytes - m_policy.max_bytes / 50;
    for (const Score& score : scores) {
        if (m_usage_bytes <= goal) break;
        if (!m_entries.contains(score.txid) || m_entries.at(score.txid).evidence) continue;
        m_full_fee_per_kvb =
            std::max(m_full_fee_per_kvb, score.fee.drops * 1000 / score.vsize + m_policy.incremental_fee_per_kvb);
        RemoveWithDescendants(score.txid, Why::kEvicted, removed);
    }
    Rebuild(Entries(), removed);
}

const MempoolEntry* Mempool::Find(const Txid& txid) const {
    const auto found = m_entries.find(txid);
    return found == m_entries.end() ? nullptr : &found->second;
}

const MempoolEntry* Mempool::FindByWtxid(const Wtxid& wtxid) const {
    const auto found = m_by_wtxid.find(wtxid);
    return found == m_by_wtxid.end() ? nullptr : Find(found->second);
}

TransactionRef Mempool::GetForRelay(const Wtxid& wtxid) const {
    const MempoolEntry* entry = FindByWtxid(wtxid);
    return entry == nullptr ? nullptr : entry->tx;
}

std::vector<const MempoolEntry*> Mempool::All() const {
    std::vector<const MempoolEntry*> all;
    for (const auto& [sequence, txid] : m_by_sequence) all.push_back(&m_entries.at(txid));
    return all;
}

std::vector<TransactionRef> Mempool::AfterSequence(uint64_t sequence, size_t limit) const {
    std::vector<TransactionRef> found;
    for (auto it = m_by_sequence.upper_bound(sequence); it != m_by_sequence.end() && found.size() < limit; ++it)
        found.push_back(m_entries.at(it->second).tx);
    return found;
}

std::vector<const MempoolEntry*> Mempool::Ancestors(const Txid& txid) const {
    std::vector<const MempoolEntry*> found;
    const MempoolEntry* entry = Find(txid);
    if (entry == nullptr) return found;
    for (const Txid& ancestor : CollectAncestors(*entry->tx)) found.push_back(&m_entries.at(ancestor));
    found.push_back(entry);
    std::sort(found.begin(), found.end(), [](const auto* a, const auto* b) { return a->sequence < b->sequence; });
    return found;
}

std::vector<const MempoolEntry*> Mempool::Descendants(const Txid& txid) const {
    std::vector<const MempoolEntry*> found;
    if (Find(txid) == nullptr) return found;
    std::set<Txid> descendants;
    CollectDescendants(txid, descendants);
    for (const Txid& each : descendants) found.push_back(&m_entries.at(each));
    std::sort(found.begin(), found.end(), [](const auto* a, const auto* b) { return a->sequence < b->sequence; });
    return found;
}

PackageTotals Mempool::Totals(const std::vector<const MempoolEntry*>& entries) const {
    PackageTotals totals;
    for (const MempoolEntry* entry : entries) {
        ++totals.count;
        totals.fee.drops += entry->fee.drops;
        totals.vsize += entry->vsize();
    }
    return totals;
}

std::optional<Txid> Mempool::SpenderOf(const OutPoint& outpoint) const {
    const auto found = m_spenders.find(outpoint);
    if (found == m_spenders.end()) return std::nullopt;
    return found->second;
}

bool Mempool::SanityCheck() const {
    size_t usage = 0;
    size_t inputs = 0;
    for (const auto& [txid, entry] : m_entries) {
        usage += UsageBytes(entry);
        inputs += entry.tx->inputs().size();
        if (m_by_wtxid.find(entry.tx->wtxid()) == m_by_wtxid.end() ||
            m_by_sequence.find(entry.sequence) == m_by_sequence.end())
            return false;
        for (const Txid& parent : entry.parents)
            if (!m_entries.contains(parent) || !m_entries.at(parent).children.contains(txid) ||
                m_entries.at(parent).sequence > entry.sequence)
                return false;
        for (const TxInput& input : entry.tx->inputs())
            if (SpenderOf(input.prevout) != txid) return false;
    }
    const auto replayed = ViewWithout({});
    return replayed != nullptr && replayed->Delta() == m_view->Delta() && usage == m_usage_bytes &&
           inputs == m_spenders.size() && m_by_wtxid.size() == m_entries.size() &&
           m_by_sequence.size() == m_entries.size();
}

}  // namespace sluice::chain
