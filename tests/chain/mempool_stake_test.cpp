#include "chain/mempool.h"
#include "chain_test_util.h"
#include "consensus/rewards.h"
#include "consensus/staker_rules.h"

// The mempool and stake: what it has earned does not become fees, and evidence always gets in.

namespace sluice::chain {
namespace {

using Why = RemovedTransaction::Why;

ChainOptions With(const std::function<void(MempoolPolicy&)>& change) {
    ChainOptions options;
    change(options.mempool);
    return options;
}

OutPoint StakeCoin() { return TestGenesis().MakeBlock().transactions[0]->Output(0); }
TxOutput StakeOutput() { return TestGenesis().MakeBlock().transactions[0]->outputs()[0]; }

Amount AccruedIn(TestNode& node, Epoch epoch) {
    const auto coin = node.chain().state().Get<consensus::Coin>(StakeCoin());
    return coin ? consensus::AccruedReward(node.params(), node.chain().state(), *coin, epoch) : Amount(0);
}
Epoch NextEpoch(TestNode& node) { return node.params().EpochOf(node.chain().mempool().NextContext().slot); }
Amount AccruedNow(TestNode& node) { return AccruedIn(node, NextEpoch(node)); }

// Stakes the genesis stake anew and claims `claimed` of what it has earned, less the fee, in a plain output.
TransactionRef Restake(Amount claimed, Amount fee) {
    MutableTransaction tx;
    tx.inputs.push_back({StakeCoin(), {}, 0xfffffffd, {}});
    const TxOutput stake = StakeOutput();
    constexpr uint64_t kPlain = 10'000'000;
    tx.outputs = {{Amount(stake.value.drops - kPlain), stake.script},
                  {Amount(kPlain + claimed.drops - fee.drops), OwnerScript()}};
    return SignAll(std::move(tx), {stake});
}

// Mines until the next block can be of `epoch` and no earlier one.
std::vector<BlockRef> MineInto(TestNode& node, uint64_t epoch) {
    std::vector<BlockRef> blocks;
    while (NextEpoch(node) < Epoch(epoch)) blocks.push_back(node.Mine());
    return blocks;
}

TEST(MempoolStake, AFeeOverAHundredTimesTheLeastIsRefusedWhenStakeHasEarned) {
    TestNode node;
    MineInto(node, 1);
    const Amount accrued = AccruedNow(node);
    ASSERT_GT(accrued.drops, 1'000'000u);
    const uint64_t bound = 100 * Restake(accrued, Amount(1'000))->vsize();
    EXPECT_EQ(node.Code(Restake(Amount(0), Amount(1'000))), "accrued-as-fee");
    EXPECT_EQ(node.Code(Restake(accrued, Amount(bound + 1))), "accrued-as-fee");
    EXPECT_EQ(node.Code(Restake(accrued, Amount(bound))), "");
    EXPECT_EQ(node.chain().mempool().All()[0]->accrued, accrued);
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
    node.Mine();
    EXPECT_EQ(node.chain().mempool().size(), 0u);
    node.ExpectRecountEquals();
}

TEST(MempoolStake, RewardsUnderTheLeastThatIsWorthATransactionMayGoToTheFee) {
    TestNode first;
    const auto blocks = MineInto(first, 1);
    const Amount accrued = AccruedNow(first);
    for (const uint64_t least : {accrued.drops, accrued.drops + 1}) {
        TestNode node(2, With([&](MempoolPolicy& policy) { policy.accrued_least = Amount(least); }));
        node.GiveAll(blocks);
        EXPECT_EQ(node.Code(Restake(Amount(0), Amount(1'000))), least == accrued.drops ? "accrued-as-fee" : "");
    }
}

TEST(MempoolStake, AHighFeeOfATransactionWhoseStakeHasEarnedNothingIsItsOwnMatter) {
    TestNode node;
    EXPECT_EQ(node.Code(Restake(Amount(0), Amount(5'000'000))), "");
}

// [what stake has earned is lost when the transaction waits over the end of an epoch]
TEST(MempoolStake, ATransactionThatClaimsLessThanANewEpochBringsLeavesAndGoesIntoNoBlock) {
    TestNode node, other(2);
    other.GiveAll(MineInto(node, 1));
    const Amount claimed = AccruedNow(node);
    const auto tx = Restake(claimed, Amount(1'000));
    ASSERT_EQ(node.Code(tx), "");
    // Another one makes the rest of the epoch's blocks, without it.
    std::vector<BlockRef> rest;
    while (NextEpoch(other) < Epoch(2)) rest.push_back(other.Mine());
    ASSERT_GT(rest.size(), 1u);
    for (size_t i = 0; i + 1 < rest.size(); ++i) {
        const auto given = node.Give(rest[i]);
        ASSERT_TRUE(given);
        EXPECT_TRUE(given->removed.empty());
    }
    // The block that ends the epoch: had the pool kept it, this would be lost.
    const auto given = node.Give(rest.back());
    ASSERT_TRUE(given);
    ASSERT_EQ(given->removed.size(), 1u);
    EXPECT_EQ(given->removed[0].why, Why::kAccrued);
    EXPECT_EQ(given->removed[0].tx->txid(), tx->txid());
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
    EXPECT_EQ(node.Code(tx), "accrued-as-fee");
    EXPECT_EQ(node.Code(Restake(AccruedNow(node), Amount(1'000))), "");
    EXPECT_EQ(node.Mine()->transactions.size(), 2u);
    node.ExpectRecountEquals();
}

TEST(MempoolStake, AnHonestProducerLeavesATransactionOutThatWasMadeForAnEarlierEpoch) {
    TestNode node;
    MineInto(node, 1);
    const auto tx = Restake(AccruedNow(node), Amount(1'000));
    ASSERT_EQ(node.Code(tx), "");
    ASSERT_EQ(node.Code(node.PayGenesisCoin(0)), "");
    node.Mine(0);
    ASSERT_EQ(node.chain().mempool().size(), 0u);  // mined within its epoch

    TestNode late(3);
    MineInto(late, 1);
    late.Mine();
    ASSERT_EQ(late.Code(Restake(AccruedNow(late), Amount(1'000))), "");
    ASSERT_EQ(late.Code(late.PayGenesisCoin(0)), "");
    const BlockRef block = late.Mine(2 * late.params().epoch_slots);  // the next block is of a later epoch
    ASSERT_GE(late.chain().tip()->state.epoch, Epoch(2));
    ASSERT_EQ(block->transactions.size(), 2u);  // the coinbase and the payment
    EXPECT_EQ(late.chain().mempool().size(), 0u);
    late.ExpectRecountEquals();
}

TEST(MempoolStake, UnderTheBoundATransactionStaysAndItsFeeIsCountedAgainWithEachEpochAndReorganisation) {
    TestNode node(1, With([](MempoolPolicy&policy) { policy.accrued_fee_factor = UINT32_MAX; })), other(2);
    const auto tx = Restake(Amount(0), Amount(1'000));
    ASSERT_EQ(node.Code(tx), "");
    const auto fee = [&] { return node.chain().mempool().Find(tx->txid())->fee; };
    EXPECT_EQ(fee(), Amount(1'000));
    const auto blocks = MineInto(other, 1);
    node.GiveAll(blocks);
    const Amount accrued = AccruedNow(node);
    EXPECT_EQ(fee().drops, 1'000 + accrued.drops);
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
    // One block of the epoch less: the epoch is not over.
    ASSERT_TRUE(node.chain().InvalidateBlock(blocks.back()->header.Hash(), node.now));
    EXPECT_EQ(fee().drops, 1'000 + AccruedNow(node).drops);
    EXPECT_EQ(AccruedNow(node), Amount(0));
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
}

TEST(MempoolStake, AReorganisationThatTakesRewardsBackTakesWhatClaimsThemOutWithWhatBuildsOnIt) {
    TestNode node;
    const auto blocks = MineInto(node, 1);
    const auto tx = Restake(AccruedNow(node), Amount(1'000));
    const auto child = Pay(tx->Output(1), tx->outputs()[1], Amount(1'000));
    const auto other = node.PayGenesisCoin(3);
    ASSERT_EQ(node.Code(tx), "");
    ASSERT_EQ(node.Code(child), "");
    ASSERT_EQ(node.Code(other), "");
    const auto result = node.chain().InvalidateBlock(blocks[blocks.size() / 2]->header.Hash(), node.now);
    ASSERT_TRUE(result);
    ASSERT_EQ(result->removed.size(), 2u);
    for (const RemovedTransaction& removed : result->removed) EXPECT_EQ(removed.why, Why::kReorg);
    EXPECT_EQ(node.chain().mempool().size(), 1u);
    EXPECT_TRUE(node.chain().mempool().Find(other->txid()));
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
    EXPECT_EQ(node.Code(tx), "bad-txns-in-belowout");
    node.Mine();
    node.ExpectRecountEquals();
}

TEST(MempoolStake, AReplacementIsPaidOutOfWhatStakeHasEarned) {
    TestNode node;
    MineInto(node, 1);
    const Amount accrued = AccruedNow(node);
    const auto first = Restake(accrued, Amount(1'000));
    ASSERT_EQ(node.Code(first), "");
    EXPECT_EQ(node.Code(Restake(accrued, Amount(999 + first->vsize()))), "insufficient fee");
    EXPECT_EQ(node.Code(Restake(accrued, Amount(1'000 + first->vsize()))), "");
}

// [a stranger makes the pool be replayed by replacements that nobody signed]
TEST(MempoolStake, AReplacementThatItsOwnersDidNotSignIsRefusedBeforeThePoolIsReplayed) {
    TestNode node;
    const auto first = node.PayGenesisCoin(0, Amount(1'000));
    ASSERT_EQ(node.Code(first), "");
    MutableTransaction forged = node.PayGenesisCoin(0, Amount(50'000))->tx();
    forged.inputs[0].witness[0][3] ^= 1;
    EXPECT_EQ(node.Code(MakeTransaction(forged)), "mandatory-script-verify-flag-failed");
    EXPECT_TRUE(node.chain().mempool().Find(first->txid()));
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
}

// A staker of the owner, registered in a block.
struct Registered {
    StakerId id;
    OutPoint bond;
    TxOutput output;
    crypto::SecretKey signing = consensus::RegtestOperator(7).signing.Clone();

    RegisterRecord Keys(uint16_t commission) const {
        RegisterRecord record;
        record.vrf_key = crypto::VrfPublic(consensus::RegtestOperator(7).vrf);
        record.signing_key = signing.XOnly();
        record.commission_permille = commission;
        record.payout_script = OwnerScript();
        return record;
    }
    static TxOutput RecordOutput(const Record& record) { return {Amount(0), RecordScript(EncodeRecord(record))}; }

    explicit Registered(TestNode& node) {
        output = {node.params().bond, OwnerScript()};
        MutableTransaction tx;
        tx.inputs.push_back({node.GenesisCoin(9), {}, 0xfffffffd, {}});
        tx.outputs = {RecordOutput(Keys(0)),
                      output,
                      {Amount(node.GenesisOutput(9).value.drops - output.value.drops - 1'000'000), OwnerScript()}};
        const auto registration = SignAll(tx, {node.GenesisOutput(9)});
        EXPECT_EQ(node.Code(registration), "");
        node.Mine();
        id = consensus::MakeStakerId(node.GenesisCoin(9), 0);
        bond = registration->Output(1);
        EXPECT_TRUE(node.chain().state().Get<consensus::BondState>(bond));
    }
    // Changes the commission; the fee comes out of a genesis coin.
    TransactionRef Update(TestNode& node, uint16_t commission, Amount fee, uint32_t coin) const {
        RegisterRecord record = Keys(commission);
        record.updates = id;
        return SpendBond(node, record, fee, coin);
    }
    TransactionRef Exit(TestNode& node, Amount fee, uint32_t coin) const {
        return SpendBond(node, ExitRecord{id}, fee, coin);
    }
    TransactionRef SpendBond(TestNode& node, const Record& record, Amount fee, uint32_t coin) const {
        MutableTransaction tx;
        tx.inputs = {{bond, {}, 0xfffffffd, {}}, {node.GenesisCoin(coin), {}, 0xfffffffd, {}}};
        tx.outputs = {RecordOutput(record), output, {Amount(0), OwnerScript()}};
        const Amount burned = consensus::RecordFee(node.params(), EncodeRecord(record).size());
        tx.outputs[2].value = Amount(node.GenesisOutput(coin).value.drops - fee.drops - burned.drops);
        return SignAll(tx, {output, node.GenesisOutput(coin)});
    }
    TransactionRef Evidence(TestNode& node, bool signed_well = true, uint8_t variant = 0) const {
        const BlockHash genesis = node.chain().state().Get<consensus::ChainIdentity>({})->genesis;
        BlockHeader a, b;
        a.slot = b.slot = Slot(1);
        a.staker = b.staker = id;
        a.tx_root.bytes[0] = static_cast<uint8_t>(2 * variant + 1);
        b.tx_root.bytes[0] = static_cast<uint8_t>(2 * variant + 2);
        a.signature = signing.Sign(a.SigningHash(genesis));
        b.signature = signing.Sign(b.SigningHash(signed_well ? genesis : BlockHash()));
        if (b.Hash() < a.Hash()) std::swap(a, b);
        return MakeTransaction(consensus::MakeEvidenceTransaction({a, b}, bond));
    }
};

// [a staker that signed twice saves its bond by paying more for a rotation or an exit]
TEST(MempoolStake, EvidenceThrowsOutAnUpdateOfTheBondWithAllThatBuildsOnItWhateverThatPays) {
    TestNode node;
    const Registered staker(node);
    const auto bystander = node.PayGenesisCoin(1);
    ASSERT_EQ(node.Code(bystander), "");
    const auto update = staker.Update(node, 10, Amount(200 * kDropsPerSlu), 2);  // four times what evidence pays
    ASSERT_EQ(node.Code(update), "");
    TransactionRef last = update;
    for (int i = 0; i < 20; ++i) {
        last = Pay(last->Output(last == update ? 2 : 0), last->outputs()[last == update ? 2 : 0],
                   Amount(10 * kDropsPerSlu));
        ASSERT_EQ(node.Code(last), "");
    }
    const auto after = node.PayGenesisCoin(3);
    ASSERT_EQ(node.Code(after), "");
    const auto evidence = staker.Evidence(node);
    const auto tested = node.chain().AcceptTransaction(evidence, node.now, true);
    ASSERT_TRUE(tested && *tested);
    EXPECT_EQ(node.chain().mempool().size(), 23u);
    const auto accepted = node.Accept(evidence);
    ASSERT_TRUE(accepted) << accepted.error().ToString();
    EXPECT_EQ(accepted->fee, Amount(50 * kDropsPerSlu));
    EXPECT_EQ(accepted->removed.size(), 21u);
    EXPECT_EQ(node.chain().mempool().size(), 3u);
    for (const auto& tx : {bystander, evidence, after}) EXPECT_TRUE(node.chain().mempool().Find(tx->txid()));
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
    EXPECT_EQ(node.Mine()->transactions.size(), 4u);
    EXPECT_EQ(node.chain().state().Get<consensus::StakerState>(staker.id)->status, consensus::StakerStatus::kSlashed);
    node.ExpectRecountEquals();
}

TEST(MempoolStake, EvidenceThrowsOutAnExit) {
    TestNode node;
    const Registered staker(node);
    ASSERT_EQ(node.Code(staker.Exit(node, Amount(100 * kDropsPerSlu), 2)), "");
    EXPECT_EQ(node.Code(staker.Evidence(node)), "");
    EXPECT_EQ(node.chain().mempool().size(), 1u);
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
}

TEST(MempoolStake, NothingReplacesEvidence) {
    TestNode node;
    const Registered staker(node);
    const auto evidence = staker.Evidence(node);
    ASSERT_EQ(node.Code(evidence), "");
    EXPECT_EQ(node.Code(staker.Update(node, 10, Amount(200 * kDropsPerSlu), 2)), "evidence-in-mempool");
    EXPECT_EQ(node.Code(staker.Exit(node, Amount(200 * kDropsPerSlu), 2)), "evidence-in-mempool");
    EXPECT_EQ(node.Code(staker.Evidence(node, true, 1)), "evidence-in-mempool");
    EXPECT_EQ(node.Code(evidence), "txn-already-in-mempool");
    EXPECT_TRUE(node.chain().mempool().Find(evidence->txid()));
}

TEST(MempoolStake, EvidenceThatProvesNothingThrowsNothingOut) {
    TestNode node;
    const Registered staker(node);
    const auto update = staker.Update(node, 10, Amount(1'000'000), 2);
    ASSERT_EQ(node.Code(update), "");
    EXPECT_EQ(node.Code(staker.Evidence(node, false)), "bad-evidence-signature");
    EXPECT_TRUE(node.chain().mempool().Find(update->txid()));
    EXPECT_EQ(node.chain().mempool().size(), 1u);
}

TEST(MempoolStake, EvidenceIsTakenWhenNothingElseIsPaidEnough) {
    TestNode node(1, With([](MempoolPolicy& policy) {
                      policy.min_fee_per_kvb = 1'000;
                      policy.max_bytes = 20'000;
                  }));
    const Registered staker(node);
    // A pool full of what pays far more than evidence for its size.
    for (uint32_t i = 0; i < 9; ++i) (void)node.Accept(node.PayGenesisCoin(i, Amount(1'000 * kDropsPerSlu)));
    for (uint32_t i = 0; i < 9; ++i) (void)node.Accept(node.PayGenesisCoin(i, Amount((2'000 + i) * kDropsPerSlu), 30));
    ASSERT_GT(node.chain().mempool().min_fee_per_kvb(), 50 * kDropsPerSlu);
    EXPECT_EQ(node.Code(node.PayGenesisCoin(8, Amount(50 * kDropsPerSlu))), "min relay fee not met");
    const auto evidence = staker.Evidence(node);
    EXPECT_EQ(node.Code(evidence), "");
    EXPECT_TRUE(node.chain().mempool().Find(evidence->txid()));
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
}

std::vector<Txid> Contents(TestNode& node) {
    std::vector<Txid> txids;
    for (const MempoolEntry* entry : node.chain().mempool().All()) txids.push_back(entry->tx->txid());
    return txids;
}

TEST(MempoolStake, ATransactionThatAFullPoolWouldDropAtOnceChangesNothing) {
    TestNode node(1, With([](MempoolPolicy& policy) { policy.max_bytes = 10'000; }));
    std::vector<Txid> before;
    uint32_t i = 0;
    for (; i < 10; ++i) {
        before = Contents(node);
        const auto verdict = node.Accept(node.PayGenesisCoin(i, Amount(5'000 - 100 * i)));
        if (verdict) continue;
        EXPECT_EQ(verdict.error().code, "mempool full");
        break;
    }
    ASSERT_LT(i, 10u);
    ASSERT_GT(before.size(), 2u);
    EXPECT_EQ(Contents(node), before);
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
    // The next one that pays as little is refused without this work.
    EXPECT_EQ(node.Code(node.PayGenesisCoin(i, Amount(5'000 - 100 * i))), "min relay fee not met");
}

TEST(MempoolStake, AReplacementThatAFullPoolWouldDropAtOnceReplacesNothing) {
    TestNode node(1, With([](MempoolPolicy& policy) { policy.max_bytes = 14'500; }));
    const auto poor = node.PayGenesisCoin(0, Amount(200));
    ASSERT_EQ(node.Code(poor), "");
    for (uint32_t i = 1; i < 6; ++i) ASSERT_EQ(node.Code(node.PayGenesisCoin(i, Amount(50'000))), "") << i;
    const auto before = Contents(node);
    ASSERT_EQ(before.size(), 6u);
    // It pays enough to replace the first, and takes much more room at a lower rate than all others.
    EXPECT_EQ(node.Code(node.PayGenesisCoin(0, Amount(10'000), 40)), "mempool full");
    EXPECT_EQ(Contents(node), before);
    EXPECT_TRUE(node.chain().mempool().Find(poor->txid()));
    EXPECT_TRUE(node.chain().mempool().SanityCheck());
}

TEST(MempoolStake, WhatIsEvictedForAnotherIsToldAsEvicted) {
    TestNode node(1, With([](MempoolPolicy& policy) { policy.max_bytes = 10'000; }));
    bool told = false;
    for (uint32_t i = 0; i < 10; ++i) {
        const auto verdict = node.Accept(node.PayGenesisCoin(i, Amount(1'000 + 100 * i)));
        ASSERT_TRUE(verdict);
        for (const RemovedTransaction& removed : verdict->removed) {
            EXPECT_EQ(removed.why, Why::kEvicted);
            told = true;
        }
    }
    EXPECT_TRUE(told);
}

}  // namespace
}  // namespace sluice::chain
