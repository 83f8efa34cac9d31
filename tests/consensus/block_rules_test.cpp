#include "consensus/block_rules.h"

#include "consensus/genesis.h"
#include "ledger_fixture.h"

namespace sluice::consensus {
namespace {

using testing::KeyScript;
using testing::kProducerKey;
using testing::Ledger;
using testing::Slu;

std::string CheckCode(const Ledger& ledger, Block block) {
    Ledger::Reseal(block);
    const auto verdict = CheckBlock(ledger.params, block);
    return verdict ? "" : verdict.error().code;
}

void ReplaceCoinbase(Block& block, MutableTransaction coinbase) {
    block.transactions[0] = MakeTransaction(std::move(coinbase));
}

TEST(CheckBlock, BodyThatDoesNotFitItsRootsLeavesTheHeaderInnocent) {
    Ledger ledger;
    const auto tx = ledger.Sign(ledger.Build({ledger.Fund(Slu(1))}, {}));
    const Block good = ledger.MakeBlock({tx});
    ASSERT_TRUE(CheckBlock(ledger.params, good));

    Block cut = good;
    cut.transactions.pop_back();
    EXPECT_EQ(CheckBlock(ledger.params, cut).error().code, "bad-txnmrklroot");
    EXPECT_EQ(CheckBlock(ledger.params, cut).error().what, Invalid::What::kMutatedBody);
    Block doubled = good;
    doubled.transactions.push_back(tx);
    EXPECT_EQ(CheckBlock(ledger.params, doubled).error().code, "bad-txnmrklroot");
    cut.transactions.clear();
    EXPECT_EQ(CheckBlock(ledger.params, cut).error().what, Invalid::What::kMutatedBody);

    Block corrupted = good;
    MutableTransaction copy = tx->tx();
    copy.inputs[0].witness[0][3] ^= 1;
    corrupted.transactions[1] = MakeTransaction(copy);
    EXPECT_EQ(CheckBlock(ledger.params, corrupted).error().code, "bad-witness-merkle-match");
    EXPECT_EQ(CheckBlock(ledger.params, corrupted).error().what, Invalid::What::kMutatedBody);
    EXPECT_EQ(ledger.Code(corrupted), "bad-witness-merkle-match");
}

TEST(CheckBlock, CoinbaseIsFirstAndOnlyThere) {
    Ledger ledger;
    const auto tx = ledger.Sign(ledger.Build({ledger.Fund(Slu(1))}, {}));
    Block block = ledger.MakeBlock({tx});
    std::swap(block.transactions[0], block.transactions[1]);
    EXPECT_EQ(CheckCode(ledger, block), "bad-cb-missing");
    block = ledger.MakeBlock({});
    block.transactions.push_back(block.transactions[0]);
    EXPECT_EQ(CheckCode(ledger, block), "bad-cb-multiple");
    block.transactions.clear();
    EXPECT_EQ(CheckCode(ledger, block), "bad-cb-missing");
    EXPECT_EQ(CheckBlock(ledger.params, Block{}).error().what, Invalid::What::kConsensus);
}

TEST(CheckBlock, CoinbaseCommitsToTheHeightAndHasOneForm) {
    Ledger ledger;
    const Block good = ledger.MakeBlock({});
    const MutableTransaction coinbase = good.transactions[0]->tx();
    const auto code = [&](auto change) {
        Block block = good;
        MutableTransaction changed = coinbase;
        change(changed);
        ReplaceCoinbase(block, changed);
        return CheckCode(ledger, block);
    };
    EXPECT_EQ(code([](MutableTransaction&) {}), "");
    EXPECT_EQ(code([](MutableTransaction& tx) { tx.inputs[0].script_sig = ScriptBuilder().Number(100).Take(); }),
              "bad-cb-height");
    EXPECT_EQ(code([](MutableTransaction& tx) { tx.inputs[0].script_sig.push_back(kOp0); }), "bad-cb-height");
    EXPECT_EQ(code([](MutableTransaction& tx) { tx.inputs[0].script_sig.clear(); }), "bad-cb-height");
    EXPECT_EQ(code([](MutableTransaction& tx) { tx.inputs[0].sequence -= 1; }), "bad-cb-form");
    EXPECT_EQ(code([](MutableTransaction& tx) { tx.inputs[0].witness = {{1}}; }), "bad-cb-form");
    EXPECT_EQ(code([](MutableTransaction& tx) { tx.version = 2; }), "bad-cb-form");
    EXPECT_EQ(code([](MutableTransaction& tx) { tx.lock_time = 1; }), "bad-cb-form");
    EXPECT_EQ(code([](MutableTransaction& tx) { tx.outputs.push_back(tx.outputs[0]); }), "bad-cb-outputs");
    EXPECT_EQ(code([](MutableTransaction& tx) { tx.outputs.clear(); }), "bad-cb-outputs");
    EXPECT_EQ(code([](MutableTransaction& tx) { tx.inputs.push_back(tx.inputs[0]); }), "bad-cb-missing");
}

TEST(CheckBlock, WeightIsAtMost400000) {
    Ledger ledger;
    MutableTransaction tx = ledger.Build({ledger.Fund(Slu(1))}, {});
    tx.inputs[0].witness = {Bytes(100'000, 1)};
    Block block = ledger.MakeBlock({MakeTransaction(tx)});
    const size_t rest = block.weight() - 100'000;
    tx.inputs[0].witness = {Bytes(kMaxBlockWeight - rest, 1)};
    block.transactions[1] = MakeTransaction(tx);
    ASSERT_EQ(block.weight(), 400'000u);
    EXPECT_EQ(CheckCode(ledger, block), "");
    tx.inputs[0].witness[0].push_back(1);
    block.transactions[1] = MakeTransaction(tx);
    EXPECT_EQ(CheckCode(ledger, block), "bad-blk-weight");
}

TEST(CheckBlock, FiveHundredRecordsAtMost) {
    Ledger ledger;
    Block block = ledger.MakeBlock({});
    for (uint32_t i = 0; i < 500; ++i) {
        MutableTransaction tx;
        tx.inputs.push_back({OutPoint{Txid{{1}}, i}, {}, 0xffffffff, {Bytes(64, 1)}});
        tx.outputs.push_back(Ledger::RecordOutput(GrantRecord{{OutPoint{Txid{{2}}, i}}}));
        block.transactions.push_back(MakeTransaction(tx));
    }
    EXPECT_EQ(CheckCode(ledger, block), "");
    MutableTransaction more = block.transactions[1]->tx();
    more.lock_time = 1;
    block.transactions.push_back(MakeTransaction(more));
    EXPECT_EQ(CheckCode(ledger, block), "bad-blk-records");
}

TxOutput PublishOfBytes(size_t bytes) {
    PublishRecord record = testing::ExamplePublish();
    record.description = std::string(1'000, 'a');
    record.description.resize(1'000 + bytes - EncodeRecord(record).size(), 'a');
    CHECK(EncodeRecord(record).size() == bytes);
    return Ledger::RecordOutput(record);
}

TEST(CheckBlock, AQuarterOfAFullBlockIsRecords) {
    ASSERT_EQ(kMaxRecordBytesPerBlock, 25'000u);
    Ledger ledger;
    const OutPoint coin = ledger.Fund(Slu(100));
    for (const size_t last : {2'087, 2'088}) {
        std::vector<TxOutput> outputs;
        for (size_t i = 0; i < 12; ++i) {
            outputs.push_back(PublishOfBytes(i == 0 ? last : 2'083));
            outputs.push_back({Slu(1), KeyScript(1)});
        }
        const auto tx = ledger.Sign(ledger.Build({coin}, outputs));
        EXPECT_EQ(CheckCode(ledger, ledger.MakeBlock({tx})), last == 2'087 ? "" : "bad-blk-record-bytes");
    }
}

// The commission is a part of the subsidy alone, rounded down; what belongs to delegators is not the producer's even
// when nobody delegates.
class CoinbaseTest : public ::testing::TestWithParam<uint16_t> {
  protected:
    CoinbaseTest() { ledger.snapshot.entries[0].commission_permille = GetParam(); }
    Ledger ledger;
};
INSTANTIATE_TEST_SUITE_P(Permille, CoinbaseTest, ::testing::Values(0, 37, 100));

TEST_P(CoinbaseTest, PaysTheProducerCommissionAndFeesExactly) {
    const auto tx = ledger.Sign(ledger.Build({ledger.Fund(Slu(1))}, {}, Amount(12'345)));
    const Block block = ledger.MakeBlock({tx});
    const uint64_t reward = ledger.Subsidy().drops * GetParam() / 1'000 + 12'345;
    ASSERT_EQ(block.transactions[0]->outputs()[0].value.drops, reward);
    EXPECT_EQ(ledger.Code(block), "");
    for (const uint64_t wrong : {reward - 1, reward + 1, uint64_t{0}, UINT64_MAX}) {
        Block changed = block;
        ReplaceCoinbase(changed, MakeCoinbase(ledger.next_height(), Amount(wrong), KeyScript(kProducerKey)));
        Ledger::Reseal(changed);
        EXPECT_EQ(ledger.Code(changed), "bad-cb-amount") << wrong;
    }
    Block changed = block;
    ReplaceCoinbase(changed, MakeCoinbase(ledger.next_height(), Amount(reward), KeyScript(1)));
    Ledger::Reseal(changed);
    EXPECT_EQ(ledger.Code(changed), "bad-cb-script");
}

TEST_P(CoinbaseTest, MintsTheCommissionAloneWhenNobodyDelegates) {
    const Amount subsidy = ledger.Subsidy();
    ASSERT_GT(subsidy, Amount(0));
    const Amount commission(subsidy.drops * GetParam() / 1'000);
    const Block block = ledger.MakeBlock({});
    ledger.Connect();
    const auto coin = ledger.state.Get<Coin>(block.transactions[0]->Output(0));
    EXPECT_EQ(coin, (Coin{{commission, KeyScript(kProducerKey)}, Height(101), Slot(302), true, CoinKind::kPlain}));
    EXPECT_EQ(ledger.Totals().minted, commission);
    EXPECT_EQ(ledger.Totals().pots, Amount(0));
}

TEST(ConnectBlock, CommitsToTheSnapshot) {
    Ledger ledger;
    Block block = ledger.MakeBlock({});
    block.header.commitment = HeaderCommitment({}, Hash256{});
    EXPECT_EQ(ledger.Code(block), "bad-commitment");
}

TEST(ConnectBlock, ProducerIsInTheSnapshotThatElectsIt) {
    Ledger ledger;
    Block block = ledger.MakeBlock({});
    block.header.staker = StakerId{{9}};
    EXPECT_EQ(ledger.Code(block), "bad-staker");
}

TEST(ConnectBlock, TransactionsBuildOnEachOtherInOrderOnly) {
    Ledger ledger;
    const auto first = ledger.Sign(ledger.Build({ledger.Fund(Slu(1))}, {}));
    const auto second = ledger.Sign(ledger.Build({first->Output(0)}, {}));
    EXPECT_EQ(ledger.Code(ledger.MakeBlock({first, second})), "");
    const auto wrong = ledger.Try(ledger.MakeBlock({second, first}));
    EXPECT_EQ(wrong.error().code, "bad-txns-inputs-missingorspent");
    EXPECT_EQ(wrong.error().what, Invalid::What::kConsensus);  // in a block it is wrong for ever
}

TEST(ConnectBlock, CoinIsSpentOnce) {
    Ledger ledger;
    const OutPoint coin = ledger.Fund(Slu(1));
    const auto one = ledger.Sign(ledger.Build({coin}, {}, Amount(1'000))),
               two = ledger.Sign(ledger.Build({coin}, {}, Amount(2'000)));
    EXPECT_EQ(ledger.Code(ledger.MakeBlock({one, two})), "bad-txns-inputs-missingorspent");
    EXPECT_EQ(ledger.Code(ledger.MakeBlock({one})), "");
}

// Genesis and every coinbase descend from a coinbase that commits to the network, so no outpoint is on two of them.
TEST(ConnectBlock, ReplayAcrossNetworksFindsNoCoin) {
    const Genesis one = BuiltInGenesis("regtest").value();
    Genesis two = one;
    two.params.network = "another";
    const auto first_coins = [](const Genesis& genesis) {
        testing::MapState state;
        state.Apply(genesis.MakeState());
        return state;
    };
    const testing::MapState on_one = first_coins(one), on_two = first_coins(two);
    size_t coins = 0;
    for (const auto& [key, value] : on_one.entries) {
        if (key[0] != Coin::kTable) continue;
        ++coins;
        EXPECT_FALSE(on_two.Read(key));
    }
    EXPECT_EQ(coins, on_two.CountCoins().coins);
    EXPECT_NE(on_one.Get<ChainIdentity>({})->genesis, on_two.Get<ChainIdentity>({})->genesis);
}

TEST(ConnectBlock, RunsTheSignatureWorkOfEveryTransactionOnce) {
    Ledger ledger;
    const auto good = ledger.Sign(ledger.Build({ledger.Fund(Slu(1))}, {}));
    MutableTransaction forged = ledger.Build({ledger.Fund(Slu(1))}, {});
    forged.inputs[0].witness = {Bytes(64, 1)};
    const Block block = ledger.MakeBlock({good, MakeTransaction(forged)});
    EXPECT_EQ(ledger.Code(block), "mandatory-script-verify-flag-failed");

    std::vector<Txid> seen;
    const HeaderState parent{.height = ledger.height, .slot = ledger.slot, .epoch = Epoch(1)};
    const HeaderState self{.height = block.header.height, .slot = block.header.slot, .epoch = Epoch(1)};
    const auto delta = ConnectBlock(ledger.params, {parent, self, ledger.snapshot, ledger.previous_snapshot_hash},
                                    ledger.state, block, [&](std::span<const SpendCheck> checks) -> Verdict<void> {
                                        for (const SpendCheck& check : checks) seen.push_back(check.tx->txid());
                                        return {};
                                    });
    EXPECT_TRUE(delta.has_value());
    EXPECT_EQ(seen, (std::vector<Txid>{block.transactions[1]->txid(), block.transactions[2]->txid()}));
}

TEST(ConnectBlock, StateThatCannotBeReadIsNoValidBlock) {
    Ledger ledger;
    const Block block = ledger.MakeBlock({});
    ledger.state.entries.erase(StateKey<LedgerTotals>({}));
    EXPECT_EQ(ledger.Code(block), "state-unreadable");
}

TEST(ConnectBlock, BurnsRecordFees) {
    Ledger ledger;
    ledger.Published(testing::ExamplePublish());
    EXPECT_EQ(ledger.Totals().burned, RecordFee(ledger.params, EncodeRecord(testing::ExamplePublish()).size()));
}

TEST(BlockSubsidy, IsTheEpochsShareOfTheReserveOverTheExpectedBlocks) {
    Params params;  // main's numbers
    LedgerTotals totals;
    totals.genesis = kGenesisSupply;
    totals.epoch = Epoch(0);
    totals.reserve_at_epoch_start = Amount(kMaxSupply.drops - kGenesisSupply.drops);
    // 11,000,000 SLU * 1375 / 10^7 = 1512.5 SLU over 4320 blocks
    EXPECT_EQ(BlockSubsidy(params, totals, Epoch(0)), Amount(151'250'000'000 / 4'320));
    totals.minted = Slu(1'000'000);
    EXPECT_EQ(BlockSubsidy(params, totals, Epoch(0)),
              Amount(151'250'000'000 / 4'320));  // the reserve at the epoch's start
    EXPECT_EQ(BlockSubsidy(params, totals, Epoch(1)), Amount(137'500'000'000 / 4'320));
}

TEST(BlockSubsidy, NeverMintsMoreThanTheReserve) {
    Params params;
    params.subsidy_numerator = params.subsidy_denominator = 1;
    params.epoch_slots = 10;  // one block expected
    LedgerTotals totals;
    totals.genesis = kGenesisSupply;
    totals.reserve_at_epoch_start = Amount(kMaxSupply.drops - kGenesisSupply.drops);
    EXPECT_EQ(BlockSubsidy(params, totals, Epoch(0)), totals.reserve_at_epoch_start);
    totals.minted = Amount(totals.reserve_at_epoch_start.drops - 3);
    EXPECT_EQ(BlockSubsidy(params, totals, Epoch(0)), Amount(3));
    totals.minted = totals.reserve_at_epoch_start;
    EXPECT_EQ(BlockSubsidy(params, totals, Epoch(0)), Amount(0));
    EXPECT_EQ(BlockSubsidy(params, totals, Epoch(1)), Amount(0));
}

TEST(ConnectBlock, ReserveIsTakenAnewInTheFirstBlockOfAnEpoch) {
    Ledger ledger;
    ledger.Fund(Slu(1'000));
    ledger.Connect();
    const LedgerTotals first = ledger.Totals();
    EXPECT_EQ(first.epoch, Epoch(1));
    EXPECT_EQ(first.reserve_at_epoch_start.drops, kMaxSupply.drops - first.genesis.drops);
    ledger.Connect();
    EXPECT_EQ(ledger.Totals().reserve_at_epoch_start, first.reserve_at_epoch_start);
    ledger.slot = Slot(398);
    const Amount minted = ledger.Totals().minted;
    ledger.Connect();  // slot 400, epoch 2
    EXPECT_EQ(ledger.Totals().epoch, Epoch(2));
    EXPECT_EQ(ledger.Totals().reserve_at_epoch_start.drops, kMaxSupply.drops - first.genesis.drops - minted.drops);
}

TEST(MakeCoinbase, HasGoldenBytes) {
    const MutableTransaction tx = MakeCoinbase(Height(300), Amount(5), TaprootScript(XOnlyPubKey{}));
    EXPECT_EQ(HexEncode(tx.ToBytes()),
              "03000000"
              "01" +
                  std::string(64, '0') +
                  "ffffffff"
                  "03022c01"
                  "ffffffff"
                  "01"
                  "0500000000000000"
                  "225120" +
                  std::string(64, '0') + "00000000");
}

}  // namespace
}  // namespace sluice::consensus
