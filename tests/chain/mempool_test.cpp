#include "chain/mempool.h"

#include "chain_test_util.h"
#include "consensus/rewards.h"

namespace sluice::chain {
namespace {

ChainOptions With(const std::function<void(MempoolPolicy&)>& change) {
    ChainOptions options;
    change(options.mempool);
    return options;
}

TEST(Mempool, TheLeastFeeIsOneDropForEachVirtualByte) {
    TestNode node;
    const size_t vsize = node.PayGenesisCoin(0)->vsize();
    EXPECT_EQ(node.Code(node.PayGenesisCoin(0, Amount(vsize - 1))), "min relay fee not met");
    EXPECT_EQ(node.Code(node.PayGenesisCoin(0, Amount(vsize))), "");
    const auto tx = node.PayGenesisCoin(0, Amount(vsize));
    const MempoolEntry* entry = node.chain().mempool().Find(tx->txid());
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->fee, Amount(vsize));
    EXPECT_EQ(node.chain().mempool().GetForRelay(tx->wtxid()), entry->tx);
    EXPECT_EQ(node.chain().mempool().SpenderOf(node.GenesisCoin(0)), tx->txid());
}

TEST(Mempool, DustIsAnOutputUnder330Drops) {
    TestNode node;
    const auto pay = [&](uint64_t drops) {
        MutableTransaction tx;
        tx.inputs.push_back({node.GenesisCoin(0), {}, 0xfffffffd, {}});
        tx.outputs = {{Amount(drops), OwnerScript()},
                      {Amount(node.GenesisOutput(0).value.drops - drops - 1000), OwnerScript()}};
        return SignAll(tx, {node.GenesisOutput(0)});
    };
    EXPECT_EQ(node.Code(pay(329)), "dust");
    EXPECT_EQ(node.Code(pay(330)), "");
}

TEST(Mempool, WhatIsThereAlreadyAndWhatIsNotSignedIsRefused) {
    TestNode node;
    const auto tx = node.PayGenesisCoin(0);
    MutableTransaction unsigned_tx = tx->tx();
    unsigned_tx.inputs[0].witness[0][5] ^= 1;
    const auto bad = MakeTransaction(unsigned_tx);
    EXPECT_NE(node.Code(bad), "");
    EXPECT_EQ(node.chain().mempool().size(), 0u);
    EXPECT_EQ(node.Code(tx), "");
    EXPECT_EQ(node.Code(tx), "txn-already-in-mempool");
    EXPECT_EQ(node.Code(bad), "txn-same-nonwitness-data-in-mempool");
    EXPECT_EQ(node.Code(MakeTransaction(consensus::MakeCoinbase(Height(1), Amount(1), OwnerScript()))), "coinbase");
}

TEST(Mempool, MissingInputsAreToldApart) {
    TestNode node;
    const auto parent = node.PayGenesisCoin(0);
    const auto child = Pay(parent->Output(0), parent->outputs()[0], Amount(1000));
    const auto verdict = node.Accept(child);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().what, consensus::Invalid::What::kMissingInputs);
    EXPECT_EQ(node.Code(parent), "");
    EXPECT_EQ(node.Code(child), "");
}

TEST(Mempool, TestingDoesNotKeep) {
    TestNode node;
    const auto tested = node.chain().AcceptTransaction(node.PayGenesisCoin(0), node.now, true);
    ASSERT_TRUE(tested && *tested);
    EXPECT_EQ((*tested)->fee, Amount(1000));
    EXPECT_EQ(node.chain().mempool().size(), 0u);
}

TEST(Mempool, AChainOf25IsAcceptedAndThe26thRefused) {
    TestNode node;
    TransactionRef last = node.PayGenesisCoin(0);
    ASSERT_EQ(node.Code(last), "");
    for (int i = 2; i <= 25; ++i) {
        last = Pay(last->Output(0), last->outputs()[0], Amount(1000));
        ASSERT_EQ(node.Code(last), "") << i;
    }
    EXPECT_EQ(node.chain().mempool().Ancestors(last->txid()).size(), 25u);
    EXPECT_EQ(node.Code(Pay(last->Output(0), last->outputs()[0], Amount(1000))), "too-long-mempool-chain");
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
    // One block takes all of them.
    EXPECT_EQ(node.Mine()->transactions.size(), 26u);
    EXPECT_EQ(node.chain().mempool().size(), 0u);
}

TEST(Mempool, AReplacementPaysForWhatItReplacesAndForItself) {
    TestNode node;
    const auto parent = node.PayGenesisCoin(0, Amount(1000));
    const auto child = Pay(parent->Output(0), parent->outputs()[0], Amount(5000));
    ASSERT_EQ(node.Code(parent), "");
    ASSERT_EQ(node.Code(child), "");
    const uint64_t vsize = parent->vsize();
    EXPECT_EQ(node.Code(node.PayGenesisCoin(0, Amount(6000 + vsize - 1))), "insufficient fee");
    const auto replacement = node.PayGenesisCoin(0, Amount(6000 + vsize));
    const auto verdict = node.Accept(replacement);
    ASSERT_TRUE(verdict) << verdict.error().ToString();
    EXPECT_EQ(verdict->removed.size(), 2u);
    EXPECT_EQ(node.chain().mempool().size(), 1u);
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
}

TEST(Mempool, AReplacementThatPaysMoreAtALowerRateIsRefused) {
    TestNode node;
    ASSERT_EQ(node.Code(node.PayGenesisCoin(0, Amount(2000))), "");
    const auto large = node.PayGenesisCoin(0, Amount(6000), 100);
    ASSERT_GT(large->vsize(), 3 * node.PayGenesisCoin(0)->vsize());
    EXPECT_EQ(node.Code(large), "insufficient fee");
}

TEST(Mempool, AReplacementMayNotSpendWhatItReplaces) {
    TestNode node;
    const auto parent = node.PayGenesisCoin(0);
    ASSERT_EQ(node.Code(parent), "");
    MutableTransaction tx;
    tx.inputs = {{node.GenesisCoin(0), {}, 0xfffffffd, {}}, {parent->Output(0), {}, 0xfffffffd, {}}};
    tx.outputs = {{Amount(parent->outputs()[0].value.drops), OwnerScript()}};
    EXPECT_EQ(node.Code(SignAll(tx, {node.GenesisOutput(0), parent->outputs()[0]})), "bad-txns-spends-conflicting-tx");
}

TEST(Mempool, AFullPoolGivesUpWhatPaysLeast) {
    TestNode node(1, With([](MempoolPolicy& policy) { policy.max_bytes = 10'000; }));
    std::vector<TransactionRef> all;
    for (uint32_t i = 0; i < 10; ++i) {
        all.push_back(node.PayGenesisCoin(i, Amount(1000 + 100 * i)));
        EXPECT_EQ(node.Code(all.back()), "");
    }
    const Mempool& pool = node.chain().mempool();
    EXPECT_LE(pool.usage_bytes(), 10'000u);
    EXPECT_LT(pool.size(), 10u);
    EXPECT_FALSE(pool.Find(all[0]->txid()));
    EXPECT_TRUE(pool.Find(all[9]->txid()));
    EXPECT_GT(pool.min_fee_per_kvb(), 1000u);
    EXPECT_TRUE(pool.SanityCheck());
    EXPECT_EQ(node.Code(all[0]), "min relay fee not met");
}

TEST(Mempool, WhatIsTooOldExpires) {
    TestNode node(1, With([](MempoolPolicy& policy) { policy.expiry_slots = 5; }));
    const auto tx = node.PayGenesisCoin(0);
    ASSERT_EQ(node.Code(tx), "");
    const BlockRef empty = [&] {
        TestNode other(2);
        return other.Mine(20);
    }();
    const auto result = node.Give(empty);
    ASSERT_TRUE(result);
    ASSERT_EQ(result->removed.size(), 1u);
    EXPECT_EQ(result->removed[0].why, RemovedTransaction::Why::kExpired);
    EXPECT_EQ(node.chain().mempool().size(), 0u);
}

TEST(Mempool, WhatABlockSpendsOtherwiseLeavesWithItsDescendants) {
    TestNode node, miner(2);
    const auto ours = node.PayGenesisCoin(0, Amount(1000));
    ASSERT_EQ(node.Code(ours), "");
    ASSERT_EQ(node.Code(Pay(ours->Output(0), ours->outputs()[0], Amount(1000))), "");
    ASSERT_EQ(miner.Code(miner.PayGenesisCoin(0, Amount(2000))), "");
    const auto result = node.Give(miner.Mine());
    ASSERT_TRUE(result);
    ASSERT_EQ(result->removed.size(), 2u);
    for (const auto& removed : result->removed) EXPECT_EQ(removed.why, RemovedTransaction::Why::kConflict);
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
}

TEST(Mempool, AfterAReorganisationDisconnectedParentsComeBackBeforeTheirChildren) {
    TestNode node;
    const auto parent = node.PayGenesisCoin(0);
    const auto child = Pay(parent->Output(0), parent->outputs()[0], Amount(1000));
    ASSERT_EQ(node.Code(parent), "");
    const BlockRef block = node.Mine();
    ASSERT_EQ(node.Code(child), "");
    const auto left = node.chain().InvalidateBlock(block->header.Hash(), node.now);
    ASSERT_TRUE(left);
    const auto all = node.chain().mempool().All();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0]->tx->txid(), parent->txid());
    EXPECT_EQ(all[1]->tx->txid(), child->txid());
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
}

TEST(Mempool, WhatAnUpgradeMayGiveMeaningToIsNotRelayed) {
    TestNode node;
    // A tapscript leaf of OP_SUCCESS80: anybody may spend it, today.
    const Script leaf{0x50};
    const Hash256 root = consensus::TapLeafHash(leaf);
    const auto tweaked = *crypto::TapTweak(OwnerKey().XOnly(), root);
    MutableTransaction funding;
    funding.inputs.push_back({node.GenesisCoin(0), {}, 0xfffffffd, {}});
    funding.outputs = {{Amount(100'000), TaprootScript(tweaked.key)},
                       {Amount(node.GenesisOutput(0).value.drops - 101'000), OwnerScript()}};
    const auto funded = SignAll(funding, {node.GenesisOutput(0)});
    ASSERT_EQ(node.Code(funded), "");
    MutableTransaction tx;
    tx.inputs.push_back({funded->Output(0), {}, 0xfffffffd, {}});
    tx.outputs = {{Amount(99'000), OwnerScript()}};
    Bytes control{static_cast<uint8_t>(0xc0 | (tweaked.odd_y ? 1 : 0))};
    const auto internal = OwnerKey().XOnly();
    control.insert(control.end(), internal.begin(), internal.end());
    tx.inputs[0].witness = {leaf, control};
    const auto spend = MakeTransaction(tx);
    const auto verdict = node.Accept(spend);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().what, consensus::Invalid::What::kPolicy) << verdict.error().ToString();
    EXPECT_EQ(verdict.error().code, "non-mandatory-script-verify-flag");
}

TEST(Mempool, ACoinbaseIsSpentOnceItIsKBlocksDeep) {
    TestNode node;
    ASSERT_EQ(node.Code(node.PayGenesisCoin(0, Amount(10'000))), "");
    const BlockRef block = node.Mine();
    const Transaction& coinbase = *block->transactions[0];
    const auto spend = Pay(coinbase.Output(0), coinbase.outputs()[0], Amount(1000));
    while (node.chain().tip()->height() + 1 < Height(1 + node.params().k)) {
        const auto verdict = node.Accept(spend);
        ASSERT_FALSE(verdict);
        EXPECT_EQ(verdict.error().what, consensus::Invalid::What::kPremature);
        node.Mine();
    }
    EXPECT_EQ(node.Code(spend), "");
}

TEST(BlockTemplate, ABetterPayingChildTakesItsParentWithIt) {
    TestNode node;
    const auto poor_parent = node.PayGenesisCoin(0, Amount(200));
    const auto rich_child = Pay(poor_parent->Output(0), poor_parent->outputs()[0], Amount(100'000));
    const auto middle = node.PayGenesisCoin(1, Amount(10'000));
    ASSERT_EQ(node.Code(poor_parent), "");
    ASSERT_EQ(node.Code(middle), "");
    ASSERT_EQ(node.Code(rich_child), "");
    const BlockRef block = node.Mine();
    ASSERT_EQ(block->transactions.size(), 4u);
    EXPECT_EQ(block->transactions[1]->txid(), poor_parent->txid());
    EXPECT_EQ(block->transactions[2]->txid(), rich_child->txid());
    EXPECT_EQ(block->transactions[3]->txid(), middle->txid());
    TestNode fresh(5);
    const auto totals = *fresh.chain().state().Get<consensus::LedgerTotals>({});
    const auto staker = *fresh.chain().state().Get<consensus::StakerState>(node.keys().staker);
    const Amount commission =
        consensus::CommissionOf(consensus::BlockSubsidy(node.params(), totals, Epoch(0)), staker.commission_permille);
    EXPECT_EQ(block->transactions[0]->outputs()[0].value.drops, commission.drops + 110'200);
}

TEST(BlockTemplate, MoreThanABlockHoldsFillsBlocksToTheLimitWithTheBestFirst) {
    TestNode node;
    // Ten coins into 400 each: about 69,000 weight units a transaction, so five to a block.
    std::vector<TransactionRef> all;
    for (uint32_t i = 0; i < 10; ++i) {
        all.push_back(node.PayGenesisCoin(i, Amount(100'000 + 1000 * i), 400));
        ASSERT_EQ(node.Code(all.back()), "");
    }
    const BlockRef block = node.Mine();
    EXPECT_LE(block->weight(), kMaxBlockWeight);
    EXPECT_GT(block->weight() + all[0]->weight(), kMaxBlockWeight);
    EXPECT_EQ(block->transactions[1]->txid(), all[9]->txid());
    EXPECT_TRUE(node.chain().mempool().Find(all[0]->txid()));
    node.Mine();
    EXPECT_EQ(node.chain().mempool().size(), 0u);
    node.ExpectRecountEquals();
}

// [a producer's block kept empty by records that pay more]
TEST(BlockTemplate, RecordsThatPayMoreDoNotKeepPaymentsOut) {
    constexpr uint32_t kRecords = 220;
    TestNode node;
    const auto fan = node.PayGenesisCoin(0, Amount(100'000), kRecords);
    ASSERT_EQ(node.Code(fan), "");
    node.Mine();
    for (uint32_t i = 0; i < kRecords; ++i) {
        PublishRecord record;
        record.content = {ContentRoot(crypto::TaggedHash("root", Encode(i)).bytes), 1'000};
        record.title_key = OwnerKey().Public();
        record.price = Amount(1'000);
        record.seller_key = OwnerKey().XOnly();
        record.payout_script = OwnerScript();
        record.title = "a record";
        record.description = std::string(2'000, 'a');
        const Bytes bytes = EncodeRecord(record);
        MutableTransaction tx;
        tx.inputs.push_back({fan->Output(i), {}, 0xfffffffd, {}});
        const uint64_t fees = consensus::RecordFee(node.params(), bytes.size()).drops + 100'000;
        tx.outputs = {{Amount(), RecordScript(bytes)}, {Amount(fan->outputs()[i].value.drops - fees), OwnerScript()}};
        ASSERT_EQ(node.Code(SignAll(std::move(tx), {fan->outputs()[i]})), "");
    }
    const auto payment = node.PayGenesisCoin(1, Amount(300));
    ASSERT_EQ(node.Code(payment), "");
    const BlockRef block = node.Mine();
    EXPECT_GT(block->transactions.size(), 2u);
    EXPECT_FALSE(node.chain().mempool().Find(payment->txid()));
}

}  // namespace
}  // namespace sluice::chain
