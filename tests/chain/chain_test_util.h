#pragma once

#include <gtest/gtest.h>

#include <map>

#include "chain/chain_manager.h"
#include "chain/store_keys.h"
#include "consensus/templates.h"
#include "storage/memory_disk.h"

namespace sluice::chain {

// The owner of all coins of the test network.
inline crypto::SecretKey OwnerKey() {
    const auto key = crypto::SecretKey::FromBytes(crypto::TaggedHash("Sluice/test", AsBytes("owner")).bytes);
    return key->Clone();
}
inline crypto::SecretKey OwnerOutputKey() { return *OwnerKey().TapTweak(std::nullopt); }
inline Script OwnerScript() { return TaprootScript(OwnerOutputKey().XOnly()); }

// regtest with short epochs, small k and coins of our own.
inline consensus::Genesis TestGenesis() {
    consensus::Genesis genesis = *consensus::BuiltInGenesis("regtest");
    genesis.params.epoch_slots = 40;
    genesis.params.nonce_cutoff_slots = 16;
    genesis.params.k = 10;
    for (auto& allocation : genesis.allocations) {
        const auto script = ParseOutputScript(allocation.script);
        allocation.script =
            script->kind == OutputKind::kStake ? StakeScript(OwnerOutputKey().XOnly(), script->staker) : OwnerScript();
    }
    for (auto& staker : genesis.stakers) staker.keys.payout_script = OwnerScript();
    return genesis;
}

// Signs every input by the owner's key path.
inline TransactionRef SignAll(MutableTransaction tx, const std::vector<TxOutput>& spent) {
    std::vector<Bytes> signatures;
    const consensus::SpendingTransaction spending(tx, spent);
    for (size_t i = 0; i < tx.inputs.size(); ++i) {
        const auto annex = consensus::FindAnnex(tx.inputs[i].witness);
        const auto hash = spending.SignatureHash(i, consensus::kSighashDefault, {}, annex);
        signatures.push_back(ToBytes(OwnerOutputKey().Sign(*hash).bytes));
    }
    for (size_t i = 0; i < tx.inputs.size(); ++i) {
        const auto annex = tx.inputs[i].witness;  // {signature place, annex} or empty
        tx.inputs[i].witness = {signatures[i]};
        if (annex.size() == 2) tx.inputs[i].witness.push_back(annex[1]);
    }
    return MakeTransaction(std::move(tx));
}

// A payment of one output of the owner to the owner: `parts` equal outputs less `fee`.
inline TransactionRef Pay(const OutPoint& from, const TxOutput& spent, Amount fee, size_t parts = 1,
                          uint32_t sequence = 0xfffffffd) {
    MutableTransaction tx;
    tx.inputs.push_back({from, {}, sequence, {}});
    const uint64_t rest = spent.value.drops - fee.drops;
    for (size_t i = 0; i < parts; ++i)
        tx.outputs.push_back({Amount(rest / parts + (i == 0 ? rest % parts : 0)), OwnerScript()});
    return SignAll(std::move(tx), {spent});
}

using Dump = std::map<Bytes, Bytes>;

// A node's chain on a disk in memory.
class TestNode {
  public:
    explicit TestNode(uint64_t seed = 1, ChainOptions options = {}, consensus::Genesis genesis = TestGenesis(),
                      uint32_t staker = 0)
        : m_disk(seed),
          m_options(std::move(options)),
          m_genesis(std::move(genesis)),
          m_keys(consensus::RegtestOperator(staker)) {
        Open();
    }

    void Open() {
        auto opened = TryOpen();
        ASSERT_TRUE(opened) << opened.error().message;
    }
    Status TryOpen() {
        m_chain.reset();
        auto opened = ChainManager::Open(m_disk.files(), "/node", m_genesis, m_options);
        if (!opened) return Fail(opened.error());
        m_chain = std::move(*opened);
        now = std::max(now, params().SlotTime(m_chain->tip()->state.slot));
        return {};
    }
    void Close() { m_chain.reset(); }

    ChainManager& chain() { return *m_chain; }
    const consensus::Params& params() const { return m_genesis.params; }
    ChainOptions& options() { return m_options; }  // for the next Open
    storage::MemoryDisk& disk() { return m_disk; }
    const consensus::OperatorKeys& keys() const { return m_keys; }

    // The block that we make in the first slot won after `skip` more slots.
    BlockRef Produce(uint64_t skip = 0) {
        const auto slot = m_chain->NextWonSlot(m_keys, m_chain->tip()->state.slot + 1 + skip, 1000);
        EXPECT_TRUE(slot && *slot);
        now = std::max(now, params().SlotTime(**slot));
        auto block = m_chain->ProduceBlock(m_keys, **slot);
        EXPECT_TRUE(block && *block) << (block ? "not a leader" : block.error().message);
        return *block;
    }
    // The block that we make in `slot`, which we lead.
    BlockRef ProduceAt(Slot slot) {
        now = std::max(now, params().SlotTime(slot));
        auto block = m_chain->ProduceBlock(m_keys, slot);
        EXPECT_TRUE(block && *block) << (block ? "not a leader" : block.error().message);
        return *block;
    }
    BlockRef Mine(uint64_t skip = 0) {
        const BlockRef block = Produce(skip);
        const auto result = m_chain->ProcessBlock(block, now);
        EXPECT_TRUE(result) << result.error().message;
        EXPECT_EQ(result->what, BlockResult::What::kConnected) << (result->invalid ? result->invalid->ToString() : "");
        return block;
    }
    std::vector<BlockRef> MineMany(size_t count, uint64_t skip = 0) {
        std::vector<BlockRef> blocks;
        for (size_t i = 0; i < count; ++i) blocks.push_back(Mine(skip));
        return blocks;
    }
    Result<BlockResult> Give(const BlockRef& block) {
        now = std::max(now, params().SlotTime(block->header.slot));
        return m_chain->ProcessBlock(block, now);
    }
    void GiveAll(const std::vector<BlockRef>& blocks) {
        for (const BlockRef& block : blocks) {
            const auto result = Give(block);
            ASSERT_TRUE(result) << result.error().message;
            ASSERT_NE(result->what, BlockResult::What::kNotTaken)
                << (result->invalid ? result->invalid->ToString() : "")
                << (result->header ? result->header->reason.ToString() : "");
        }
    }

    // The owner's plain genesis coin `i` of ten.
    OutPoint GenesisCoin(uint32_t i) const { return m_genesis.MakeBlock().transactions[0]->Output(1 + i); }
    TxOutput GenesisOutput(uint32_t i) const { return m_genesis.MakeBlock().transactions[0]->outputs()[1 + i]; }
    TransactionRef PayGenesisCoin(uint32_t i, Amount fee = Amount(1000), size_t parts = 1) const {
        return Pay(GenesisCoin(i), GenesisOutput(i), fee, parts);
    }
    consensus::Verdict<AcceptResult> Accept(const TransactionRef& tx) {
        auto verdict = m_chain->AcceptTransaction(tx, now);
        EXPECT_TRUE(verdict) << verdict.error().message;
        return *verdict;
    }
    // "" if accepted, else the code.
    std::string Code(const TransactionRef& tx) {
        const auto verdict = Accept(tx);
        return verdict ? "" : verdict.error().code;
    }

    // State and indexes, as they are on disk. Closes the node and opens it again.
    Dump TakeDump() {
        Close();
        Dump dump;
        {
            auto store = m_disk.files().OpenKeyValue("/node/chainstate", 1 << 20);
            EXPECT_TRUE(store);
            for (const char table : {kStateTable, kIndexTable}) {
                const Status scanned = (*store)->Scan(TableKey(table), {}, [&](ByteSpan key, ByteSpan value) {
                    dump[ToBytes(key)] = ToBytes(value);
                    return true;
                });
                EXPECT_TRUE(scanned);
            }
        }
        Open();
        return dump;
    }

    // Counts all coins and stake again from the blocks of the active chain, and holds the state against it.
    void ExpectRecountEquals() {
        std::map<OutPoint, TxOutput> coins;
        for (Height height(0); height <= m_chain->tip()->height(); ++height) {
            const auto block = m_chain->GetBlockAt(height);
            ASSERT_TRUE(block && *block) << "height " << height.value;
            for (const TransactionRef& tx : (*block)->transactions) {
                if (!tx->IsCoinbase()) {
                    for (const TxInput& input : tx->inputs()) ASSERT_EQ(coins.erase(input.prevout), 1u);
                }
                for (uint32_t i = 0; i < tx->outputs().size(); ++i)
                    if (ParseOutputScript(tx->outputs()[i].script)->kind != OutputKind::kRecord)
                        coins[tx->Output(i)] = tx->outputs()[i];
            }
        }
        uint64_t total = 0;
        std::map<StakerId, uint64_t> stake;
        for (const auto& [outpoint, output] : coins) {
            total += output.value.drops;
            const auto script = ParseOutputScript(output.script);
            if (script->kind == OutputKind::kStake) stake[script->staker] += output.value.drops;
            const auto coin = m_chain->state().Get<consensus::Coin>(outpoint);
            ASSERT_TRUE(coin);
            EXPECT_EQ(coin->output, output);
        }
        const auto totals = m_chain->state().Get<consensus::LedgerTotals>({});
        ASSERT_TRUE(totals);
        EXPECT_TRUE(totals->Conserved());
        EXPECT_EQ(totals->unspent.drops, total);
        EXPECT_EQ(totals->coins, coins.size());
        const auto snapshot =
            consensus::TakeSnapshot(m_chain->state(), m_chain->tip()->hash(), m_chain->tip()->state.epoch);
        for (const auto& entry : snapshot.entries) EXPECT_EQ(entry.stake.drops, stake[entry.staker]);
        EXPECT_TRUE(m_chain->mempool().SanityCheck());
    }

    UnixMillis now{};

  private:
    storage::MemoryDisk m_disk;
    ChainOptions m_options;
    consensus::Genesis m_genesis;
    consensus::OperatorKeys m_keys;
    std::unique_ptr<ChainManager> m_chain;
};

}  // namespace sluice::chain
