#include "sim/chronicle.h"

#include <fmt/format.h>

#include <cmath>

namespace sluice::sim {
namespace {

constexpr size_t kMaxFailureTexts = 20;

uint64_t CoinDrops(const std::optional<Bytes>& bytes) {
    if (!bytes) return 0;
    const auto coin = Decode<consensus::Coin>(*bytes);
    CHECK(coin.has_value());
    return coin->output.value.drops;
}

}  // namespace

void Chronicle::Fail(std::string what) {
    ++m_failures;
    if (m_failure_texts.size() < kMaxFailureTexts) m_failure_texts.push_back(std::move(what));
}

void Chronicle::OnLife(size_t node, const chain::ChainManager& chain) {
    Life life;
    life.active.resize(chain.tip()->height().value + 1);
    for (uint32_t height = 0; height < life.active.size(); ++height)
        if (const chain::HeaderNode* at = chain.At(Height(height))) life.active[height] = at->hash();
    if (life.active.front() != chain.genesis_hash())
        Fail(fmt::format("node {}: its chain does not start at genesis", node));
    const auto totals = chain.state().Get<consensus::LedgerTotals>({});
    if (!totals || !totals->Conserved()) Fail(fmt::format("node {}: money is not conserved when it starts", node));
    life.totals = totals.value_or(consensus::LedgerTotals{});
    life.coins_drops = life.totals.unspent.drops;
    m_lives[node] = std::move(life);
}

void Chronicle::CheckMoney(size_t node, Life& life, const consensus::StateDelta& delta, bool forward) {
    static const Bytes totals_key = consensus::StateKey<consensus::LedgerTotals>({});
    for (const consensus::StateChange& change : delta.changes) {
        const std::optional<Bytes>& after = forward ? change.after : change.before;
        const std::optional<Bytes>& before = forward ? change.before : change.after;
        if (change.key == totals_key && after) {
            if (const auto totals = Decode<consensus::LedgerTotals>(*after)) life.totals = *totals;
        } else if (!change.key.empty() && change.key[0] == static_cast<uint8_t>(consensus::Coin::kTable)) {
            life.coins_drops += CoinDrops(after) - CoinDrops(before);  // wraps and comes back
        }
    }
    const auto height = life.active.size() - 1;
    if (!life.totals.Conserved()) Fail(fmt::format("node {} at height {}: money is not conserved", node, height));
    if (life.totals.unspent.drops != life.coins_drops)
        Fail(fmt::format("node {} at height {}: coins are worth {} drops, the totals say {}", node, height,
                         life.coins_drops, life.totals.unspent.drops));
}

void Chronicle::Connect(size_t node, Life& life, const chain::ConnectedBlock& block, const consensus::Params& params,
                        Instant now, UnixMillis right_time) {
    const BlockHeader& header = block.block->header;
    const BlockHash hash = header.Hash();
    if (header.prev != life.active.back() || header.height.value != life.active.size())
        Fail(fmt::format("node {}: block {} does not go on its chain", node, hash.Hex()));
    life.active.push_back(hash);
    CheckMoney(node, life, *block.delta, true);
    const auto [found, fresh] =
        m_blocks.try_emplace(hash, BlockNote{header.prev, header.height, header.slot, header.staker, now, 0});
    ++found->second.seen_by;
    if (fresh) {
        const auto [other, only] = m_headers.try_emplace({header.staker, header.slot}, hash);
        if (!only && other->second != hash && !IsAdversary(header.staker))
            Fail(fmt::format("staker {} has two headers for slot {}", header.staker.Hex(), header.slot.value));
    } else {
        const double late = std::chrono::duration<double>(right_time - params.SlotTime(header.slot)).count();
        ++m_propagation.arrivals;
        m_propagation.seconds_sum += late;
        const double slot_seconds = std::chrono::duration<double>(params.slot_duration).count();
        m_propagation.unseen_slots_sum += std::max(0.0, std::floor(late / slot_seconds));
    }
}

void Chronicle::OnTipChanged(size_t node, const chain::TipChange& change, const chain::ChainManager& chain, Instant now,
                             UnixMillis right_time) {
    Life& life = m_lives[node];
    for (const chain::ConnectedBlock& block : change.disconnected) {
        if (block.block->header.Hash() != life.active.back())
            Fail(fmt::format("node {}: a block leaves that is not its tip", node));
        if (life.active.size() > 1) life.active.pop_back();
        CheckMoney(node, life, *block.delta, false);
    }
    if (const uint64_t depth = change.disconnected.size()) {
        ++m_reorgs[depth];
        m_max_reorg_depth = std::max(m_max_reorg_depth, depth);
    }
    for (const chain::ConnectedBlock& block : change.connected)
        Connect(node, life, block, chain.params(), now, right_time);
    if (chain.tip()->hash() != life.active.back()) Fail(fmt::format("node {}: its tip is not its last block", node));
    Writer writer;
    writer(m_trace, uint64_t{node}, static_cast<int64_t>(now.time_since_epoch().count()), life.active.back());
    m_trace = crypto::Sha256Of(writer.Take());
}

Result<Recount> RecountCoins(const chain::ChainManager& chain) {
    std::map<OutPoint, TxOutput> coins;
    for (Height height(0); height <= chain.tip()->height(); ++height) {
        ASSIGN_OR_RETURN(const BlockRef block, chain.GetBlockAt(height));
        if (!block) return sluice::Fail(ErrorKind::kNotFound, "block " + ToString(height) + " is not stored");
        for (const TransactionRef& tx : block->transactions) {
            for (const TxInput& input : tx->inputs()) coins.erase(input.prevout);
            for (uint32_t i = 0; i < tx->outputs().size(); ++i) coins[tx->Output(i)] = tx->outputs()[i];
        }
    }
    Recount recount;
    for (const auto& [outpoint, output] : coins) {
        recount.drops += output.value.drops;
        const auto script = ParseOutputScript(output.script);
        if (script && script->kind == OutputKind::kStake) recount.staked[script->staker] += output.value.drops;
    }
    return recount;
}

}  // namespace sluice::sim
