#include "consensus/rewards.h"

#include "staker_fixture.h"

// Who gets a block's subsidy, from when and up to when: both sides of each boundary. The arithmetic over histories is
// ledger_model_test.cpp's.

namespace sluice::consensus {
namespace {

using testing::Id;
using testing::KeyScript;
using testing::OutputKey;
using testing::Registration;
using testing::Slu;
using testing::StakerChain;

using Wide = unsigned __int128;

class Rewards : public ::testing::Test {
  protected:
    Rewards() {
        chain.AddStaker(1);
        chain.AddStaker(2, 100);
        genesis_stake = chain.AddStake(Id(1), Slu(3'000'000));
        other_stake = chain.AddStake(Id(2), Slu(1'000'000));
        chain.Start();
    }
    // What `amount` gets of an increase of the accumulator.
    static Amount Share(Amount amount, Wide increase) {
        return Amount(static_cast<uint64_t>((Wide{amount.drops} * increase) >> 64));
    }
    // The increase of staker 1's accumulator by one block in `epoch`.
    Wide Produce(uint64_t epoch, const std::vector<TransactionRef>& txs = {}, const StakerId& by = Id(1)) {
        const Wide before = chain.Accumulator(by);
        chain.ConnectIn(epoch, txs, by);
        return chain.Accumulator(by) - before;
    }
    // The fee of spending `coin` into all of its amount: what it earned.
    Amount Paid(const OutPoint& coin, Amount amount) {
        const auto tx = chain.Sign(chain.Build({coin}, {{amount, KeyScript(1)}}, Amount(0)));
        const auto effect = chain.Try(tx);
        EXPECT_TRUE(effect.has_value());
        return effect ? effect->fee : Amount(0);
    }

    StakerChain chain;
    OutPoint genesis_stake, other_stake;
};

TEST(CommissionOf, IsRoundedDown) {
    EXPECT_EQ(CommissionOf(Amount(999), 1), Amount(0));
    EXPECT_EQ(CommissionOf(Amount(1'000), 1), Amount(1));
    EXPECT_EQ(CommissionOf(Amount(1'999), 100), Amount(199));
    EXPECT_EQ(CommissionOf(Amount(5'000), 0), Amount(0));
    EXPECT_EQ(CommissionOf(kMaxSupply, 100), Amount(kMaxSupply.drops / 10));
}

// ---- from when

TEST_F(Rewards, GenesisStakeEarnsFromTheStart) {
    const Wide increase = Produce(0);
    EXPECT_GT(increase, Wide{0});
    EXPECT_EQ(chain.Accrued(genesis_stake, Epoch(0)), Amount(0));  // the epoch is not over
    EXPECT_EQ(chain.Accrued(genesis_stake, Epoch(1)), Share(Slu(3'000'000), increase));
}

TEST_F(Rewards, AnOutputEarnsFromTheThirdEpochAfterItsOwnAndNotFromTheSecond) {
    const auto tx = chain.Delegate(Id(1), Slu(1'000'000));
    const OutPoint coin = tx->Output(0);
    Produce(5, {tx});
    Produce(5);
    Produce(6);
    Produce(7);
    EXPECT_EQ(chain.Accrued(coin, Epoch(8)), Amount(0));
    EXPECT_EQ(chain.Elects(Epoch(7)).Find(Id(1))->stake, Slu(4'000'000));
    EXPECT_EQ(chain.Elects(Epoch(7)).TotalWeight(Epoch(7)), Slu(4'000'000));  // both stakers, without it
    EXPECT_EQ(chain.Elects(Epoch(8)).TotalWeight(Epoch(8)), Slu(5'000'000));
    const Wide increase = Produce(8);
    EXPECT_EQ(chain.Accrued(coin, Epoch(8)), Amount(0));
    const Amount earned = chain.Accrued(coin, Epoch(9));
    EXPECT_EQ(earned, Share(Slu(1'000'000), increase));
    EXPECT_GT(earned, Amount(0));
    EXPECT_EQ(chain.Accrued(coin, Epoch(100)), earned);
}

TEST_F(Rewards, StakeBorrowedForOneBlockElectsAndEarnsNothing) {
    Produce(5);
    const Amount before = chain.Staker(Id(1)).stake.total;
    const auto borrow = chain.Delegate(Id(1), Slu(2'000'000));
    const auto back = chain.Sign(chain.Build({borrow->Output(0)}, {{Slu(2'000'000), KeyScript(1)}}, Amount(0)));
    // In one block, at the end of an epoch, and over the end of an epoch.
    chain.ConnectAt(Slot(119), Id(1), {borrow, back});
    EXPECT_EQ(chain.Staker(Id(1)).stake.total, before);
    EXPECT_EQ(chain.Elects(Epoch(7)).TotalWeight(Epoch(7)), Slu(4'000'000));
    const auto again = chain.Delegate(Id(1), Slu(2'000'000));
    chain.ConnectAt(Slot(139), Id(1), {again});
    EXPECT_EQ(chain.newest_snapshot().Find(Id(1))->stake, Slu(5'000'000));
    EXPECT_EQ(chain.Elects(Epoch(8)).TotalWeight(Epoch(8)), Slu(4'000'000));
    chain.ConnectAt(Slot(140), Id(1));
    EXPECT_EQ(Paid(again->Output(0), Slu(2'000'000)), Amount(0));
    chain.ConnectAt(Slot(141), Id(1),
                    {chain.Sign(chain.Build({again->Output(0)}, {{Slu(2'000'000), KeyScript(1)}}, Amount(0)))});
    EXPECT_EQ(chain.Elects(Epoch(9)).TotalWeight(Epoch(9)), Slu(4'000'000));
}

TEST_F(Rewards, StakeThatDoesNotElectYetNeitherDilutesNorEarns) {
    const Wide alone = Produce(0);
    const auto tx = chain.Delegate(Id(1), Slu(1'000'000));
    EXPECT_EQ(Produce(0, {tx}), alone);
    chain.Disconnect();
    EXPECT_EQ(Produce(0), alone);
}

TEST_F(Rewards, AnEmptyEpochDelaysNothing) {
    const auto tx = chain.Delegate(Id(1), Slu(1'000'000));
    Produce(5, {tx});
    const Wide increase = Produce(8);  // 6 and 7 have no block: the snapshot is epoch 5's, all of it old enough
    EXPECT_EQ(chain.Elects(Epoch(8)).Weight(*chain.Elects(Epoch(8)).Find(Id(1)), Epoch(8)), Slu(4'000'000));
    EXPECT_EQ(chain.Accrued(tx->Output(0), Epoch(9)), Share(Slu(1'000'000), increase));
}

TEST_F(Rewards, AnOutageOfSeveralEpochsKeepsElectionAndRewards) {
    const auto tx = chain.Delegate(Id(1), Slu(1'000'000));
    Produce(1, {tx});
    Produce(2);
    const Wide after = Produce(40);  // by epoch 2's snapshot, which has it
    EXPECT_EQ(chain.Accrued(tx->Output(0), Epoch(41)), Share(Slu(1'000'000), after));
    const Wide next = Produce(41);
    EXPECT_EQ(chain.Accrued(tx->Output(0), Epoch(42)), Share(Slu(1'000'000), after + next));
    EXPECT_EQ(chain.Accrued(tx->Output(0), Epoch(41)), Share(Slu(1'000'000), after));
}

// ---- up to when

TEST_F(Rewards, AnOutputSpentInAnEpochGetsUpToTheEndOfTheOneBefore) {
    const Wide first = Produce(0) + Produce(0);
    EXPECT_EQ(Paid(genesis_stake, Slu(3'000'000)), Amount(0));  // still in epoch 0
    const Wide second = Produce(1);
    chain.slot = Slot(38);
    chain.step = 1;
    EXPECT_EQ(Paid(genesis_stake, Slu(3'000'000)), Share(Slu(3'000'000), first));  // slot 39, the last of epoch 1
    chain.slot = Slot(39);
    EXPECT_EQ(Paid(genesis_stake, Slu(3'000'000)), Share(Slu(3'000'000), first + second));
}

TEST_F(Rewards, WhatSpentStakeWouldHaveEarnedStaysInTheReserve) {
    Produce(0);
    const auto half = chain.Sign(
        chain.Build({genesis_stake},
                    {{Slu(2'000'000), KeyScript(1)}, {Slu(1'000'000), StakeScript(OutputKey(1), Id(1))}}, Amount(0)));
    const LedgerTotals before = chain.Totals();
    chain.ConnectIn(1, {half});
    EXPECT_EQ(chain.Totals().minted, before.minted);  // nothing older than epoch -1 is left of it, so nothing is minted
    chain.ConnectIn(1, {}, Id(2));
    EXPECT_GT(chain.Totals().minted, before.minted);
}

TEST_F(Rewards, OnlyTheUnspentPartOfTheSnapshotIsMinted) {
    const auto tx = chain.Delegate(Id(1), Slu(1'000'000));
    Produce(0, {tx});
    Produce(1);
    Produce(2);
    Produce(3);
    const uint64_t pot = chain.Staker(Id(1)).pot.drops;
    const Wide whole = Produce(3);
    const uint64_t minted_whole = chain.Staker(Id(1)).pot.drops - pot;
    EXPECT_EQ(Share(Slu(4'000'000), whole).drops + 1, minted_whole);  // rounded up
    // A quarter leaves: the accumulator grows as before, the pot by three quarters.
    const auto spend = chain.Sign(chain.Build({tx->Output(0)}, {{Slu(1'000'000), KeyScript(1)}}, Amount(0)));
    const uint64_t before = chain.Staker(Id(1)).pot.drops;
    EXPECT_EQ(Produce(3, {spend}), whole);
    EXPECT_EQ(chain.Staker(Id(1)).pot.drops - before, Share(Slu(3'000'000), whole).drops + 1);
}

TEST_F(Rewards, RedelegatedStakeStopsAtOneStakerAndStartsAtTheOtherThreeEpochsLater) {
    const Wide earned = Produce(0);
    const auto move =
        chain.Sign(chain.Build({genesis_stake}, {{Slu(3'000'000), StakeScript(OutputKey(0), Id(2))}}, Amount(0)));
    EXPECT_EQ(chain.Try(move)->accrued, Amount(0));
    chain.ConnectIn(1, {move});
    EXPECT_EQ(chain.Staker(Id(1)).stake.total, Amount(0));
    EXPECT_EQ(chain.Staker(Id(2)).stake.total, Slu(4'000'000));
    EXPECT_LE(chain.Staker(Id(1)).pot, Amount(1));  // paid out, but for a rounding
    EXPECT_GE(chain.Totals().minted, Share(Slu(3'000'000), earned));
    Produce(2, {}, Id(2));
    Produce(3, {}, Id(2));
    EXPECT_EQ(chain.Accrued(move->Output(0), Epoch(4)), Amount(0));
    const Wide increase = Produce(4, {}, Id(2));
    EXPECT_EQ(chain.Accrued(move->Output(0), Epoch(5)), Share(Slu(3'000'000), increase));
}

// ---- how much

TEST_F(Rewards, AreSharedByAmount) {
    const auto tx =
        chain.Sign(chain.Build({chain.Fund(Slu(5'000'000))}, {{Slu(1'000'000), StakeScript(OutputKey(1), Id(1))},
                                                              {Slu(2'000'000), StakeScript(OutputKey(2), Id(1))},
                                                              {Amount(1), StakeScript(OutputKey(3), Id(1))},
                                                              {Amount(0), StakeScript(OutputKey(4), Id(1))}}));
    Produce(0, {tx});
    Produce(3);
    const uint64_t one = chain.Accrued(tx->Output(0), Epoch(4)).drops;
    EXPECT_GT(one, 0u);
    EXPECT_NEAR(static_cast<double>(chain.Accrued(tx->Output(1), Epoch(4)).drops), 2.0 * static_cast<double>(one), 1.0);
    EXPECT_EQ(chain.Accrued(tx->Output(2), Epoch(4)), Amount(0));
    EXPECT_EQ(chain.Accrued(tx->Output(3), Epoch(4)), Amount(0));
}

TEST_F(Rewards, TheProducerTakesItsCommissionAndTheDelegatorsTheRest) {
    chain.Prepare(Slot(1), Id(2));
    const uint64_t subsidy = chain.Subsidy().drops;
    chain.ConnectAt(Slot(1), Id(2));
    const uint64_t commission = subsidy / 10;
    EXPECT_EQ(chain.Totals().minted.drops, commission + chain.Staker(Id(2)).pot.drops);
    EXPECT_LE(chain.Staker(Id(2)).pot.drops, subsidy - commission);
    EXPECT_GE(chain.Staker(Id(2)).pot.drops + 1, subsidy - commission);  // weight and unspent stake are the same
    EXPECT_EQ(chain.Staker(Id(1)).pot, Amount(0));
}

TEST_F(Rewards, FeesAreTheProducersAlone) {
    const auto tx = chain.Sign(chain.Build({chain.Fund(Slu(100))}, {}, Slu(50)));
    const Wide without = Produce(0);
    EXPECT_EQ(Produce(0, {tx}), without);
}

TEST_F(Rewards, ACommissionActsTwoEpochsAfterItsBlock) {
    chain.ConnectIn(1, {chain.Update(Id(1), 1, Registration(1, 100))});
    const auto commission_in = [&](uint64_t epoch) {
        chain.Prepare(std::max(chain.slot + 1, chain.params.FirstSlot(Epoch(epoch))), Id(1));
        const uint64_t value = chain.MakeBlock({}).transactions[0]->outputs()[0].value.drops;
        EXPECT_EQ(value == chain.Subsidy().drops / 10 || value == 0, true);
        return value != 0;
    };
    EXPECT_FALSE(commission_in(1));
    EXPECT_FALSE(commission_in(2));
    EXPECT_TRUE(commission_in(3));
}

TEST_F(Rewards, WithoutAnyStakeOnlyCommissionsAreMinted) {
    StakerChain bare;
    bare.AddStaker(1, 100);
    bare.AddStaker(2);
    bare.Start();
    bare.ConnectIn(0, {}, Id(2));
    EXPECT_EQ(bare.Totals().minted, Amount(0));
    bare.ConnectIn(0, {}, Id(1));
    EXPECT_GT(bare.Totals().minted, Amount(0));
    EXPECT_EQ(bare.Totals().pots, Amount(0));
}

TEST_F(Rewards, ASingleDropOfStakeTakesTheWholeShareWithoutOverflow) {
    StakerChain tiny;
    tiny.params.subsidy_numerator = tiny.params.subsidy_denominator;  // the greatest subsidy there can be
    tiny.params.epoch_slots = 2;                                      // one block an epoch
    tiny.params.nonce_cutoff_slots = 0;
    tiny.AddStaker(1);
    const OutPoint coin = tiny.AddStake(Id(1), Amount(1));
    tiny.Start();
    tiny.Prepare(Slot(1), Id(1));
    const Amount subsidy = tiny.Subsidy();
    EXPECT_EQ(subsidy.drops, kMaxSupply.drops - tiny.Totals().genesis.drops);
    tiny.ConnectAt(Slot(1), Id(1));
    tiny.ConnectAt(Slot(2), Id(1));
    EXPECT_EQ(tiny.Accrued(coin, Epoch(1)), subsidy);
    tiny.ConnectAt(Slot(3), Id(1), {tiny.Sign(tiny.Build({coin}, {}, Amount(0)))});
    EXPECT_EQ(tiny.Totals().pots, Amount(0));
}

// ---- spending

TEST_F(Rewards, ASignatureStaysValidWhileItsCoinEarns) {
    const auto spend = chain.Sign(chain.Build({genesis_stake}, {{Slu(3'000'000), KeyScript(1)}}, Amount(0)));
    EXPECT_EQ(chain.Try(spend)->fee, Amount(0));
    Produce(0);
    Produce(1);
    const auto effect = chain.Try(spend);  // verifies the signature: it commits to the base amount alone
    ASSERT_TRUE(effect.has_value());
    EXPECT_GT(effect->fee, Amount(0));
    EXPECT_EQ(effect->fee, effect->accrued);
}

TEST_F(Rewards, WhatIsEarnedCanBeSpentToTheDropAndNotOneMore) {
    Produce(0);
    Produce(1);
    const Amount earned = chain.Accrued(genesis_stake, Epoch(1));
    ASSERT_GT(earned, Amount(0));
    for (const uint64_t more : {0, 1}) {
        MutableTransaction tx;
        tx.inputs.push_back({genesis_stake, {}, 0xffffffff, {}});
        tx.outputs.push_back({Amount(Slu(3'000'000).drops + earned.drops + more), KeyScript(1)});
        EXPECT_EQ(chain.Code(chain.Sign(tx)), more == 0 ? "" : "bad-txns-in-belowout");
    }
}

TEST_F(Rewards, DelegatorsOfARetiredStakerKeepWhatTheyEarned) {
    Produce(0, {chain.Exit(Id(2), 2)}, Id(2));
    chain.ConnectIn(6, {chain.Release(Id(2))});
    EXPECT_EQ(chain.Staker(Id(2)).status, StakerStatus::kRetired);
    const Amount earned = chain.Accrued(other_stake, Epoch(6));
    EXPECT_GT(earned, Amount(0));
    EXPECT_EQ(Paid(other_stake, Slu(1'000'000)), earned);
}

TEST_F(Rewards, APotThatCouldNotBeReadRefusesTheSpend) {
    Produce(0);
    chain.ConnectIn(1);
    StakerState broken = chain.Staker(Id(1));
    const auto spend = chain.Sign(chain.Build({genesis_stake}, {}, Amount(0)));
    broken.pot = Amount(chain.Accrued(genesis_stake, Epoch(1)).drops - 1);
    chain.state.Put(Id(1), broken);
    EXPECT_EQ(chain.Code(spend), "bad-stake-reward");
    ++broken.pot.drops;
    chain.state.Put(Id(1), broken);
    EXPECT_EQ(chain.Code(spend), "");
}

// Nobody can make his rewards for nothing by a stake output with a record's price: the record's fee is burned.
TEST_F(Rewards, SpamThatAProducerPaysToItselfIsBurned) {
    const auto publish = chain.Publish(testing::ExamplePublish(), chain.Fund(Slu(10)));
    const uint64_t bytes = EncodeRecord(testing::ExamplePublish()).size();
    const Wide without = Produce(0);
    EXPECT_EQ(Produce(0, {publish}), without);
    EXPECT_EQ(chain.Totals().burned.drops, bytes * chain.params.record_fee_per_byte.drops);
}

// ---- the worked example of doc/protocol.md

TEST(ShareReward, WorkedExample) {
    testing::MapState none;
    StateCache state(none);
    StakerState staker;
    staker.stake.Add(Slu(600'000), kGenesisStakeEpoch);
    state.Put(Id(1), staker);
    SnapshotEntry entry;
    entry.staker = Id(1);
    entry.stake = Slu(1'000'000);
    entry.commission_permille = 37;
    const StakeSnapshot elects{{}, Epoch(0), {entry}};
    const Amount subsidy(35'011'574);  // main's first
    EXPECT_EQ(CommissionOf(subsidy, 37), Amount(1'295'428));
    EXPECT_EQ(CoinbaseValue(subsidy, entry, Amount(1'000)), Amount(1'296'428));
    EXPECT_EQ(ShareReward(state, elects, entry, Epoch(1), subsidy), Amount(20'229'688));
    const StakerState after = *state.Get<StakerState>(Id(1));
    EXPECT_EQ(after.pot, Amount(20'229'688));
    EXPECT_EQ(HexEncode(after.reward_per_drop), "ea19f218a8050000000000000000000000000000000000000000000000000000");
    const Coin coin{{Slu(250'000), StakeScript(OutputKey(1), Id(1))}, Height(0), Slot(0), false, CoinKind::kPlain};
    EXPECT_EQ(AccruedReward(Params(), state, coin, Epoch(1)), Amount(0));
    EXPECT_EQ(AccruedReward(Params(), state, coin, Epoch(2)), Amount(8'429'036));
}

// ---- cost

class CountingReader final : public StateReader {
  public:
    explicit CountingReader(const StateReader& base) : m_base(base) {}
    std::optional<Bytes> Read(ByteSpan key) const override {
        ++reads;
        return m_base.Read(key);
    }
    mutable uint32_t reads{0};

  private:
    const StateReader& m_base;
};

TEST(AccruedReward, ReadsLogarithmicallyManyEntriesOfTenThousand) {
    testing::MapState state;
    Params params = testing::TestParams();
    constexpr uint32_t kEntries = 10'000;
    const auto accumulator = [](uint64_t n) {
        std::array<uint8_t, 32> bytes{};
        for (size_t i = 0; i < 8; ++i) bytes[8 + i] = static_cast<uint8_t>(n >> (8 * i));  // n drops a drop
        return bytes;
    };
    // It changed in every third epoch: by the end of epoch 3 n + 3 it is n + 1.
    for (uint32_t n = 0; n < kEntries; ++n) state.Put({Id(1), n}, RewardHistory{Epoch(3 * n + 3), accumulator(n + 1)});
    StakerState staker;
    staker.reward_entries = kEntries;
    staker.reward_epoch = Epoch(3 * kEntries + 3);
    staker.reward_per_drop = accumulator(kEntries + 1);
    state.Put(Id(1), staker);
    for (const uint64_t made : {0u, 1u, 5u, 6u, 7u, 14'999u, 29'990u, 29'999u, 30'000u}) {
        for (const uint64_t spent : {1u, 4u, 30u, 15'000u, 30'002u, 30'003u, 30'004u, 40'000u}) {
            const Coin coin{{Amount(7), StakeScript(OutputKey(1), Id(1))},
                            Height(1),
                            params.FirstSlot(Epoch(made)),
                            false,
                            CoinKind::kPlain};
            const CountingReader counting(state);
            const uint64_t reward = AccruedReward(params, counting, coin, Epoch(spent)).drops;
            // By the end of an epoch x it is x / 3, up to the last change.
            const uint64_t until = std::min<uint64_t>((spent - 1) / 3, kEntries + 1), from = (made + 2) / 3;
            EXPECT_EQ(reward, until > from ? 7 * (until - from) : 0) << made << ' ' << spent;
            EXPECT_LE(counting.reads, 1 + 2 * 14u);  // 2^14 > 10,000
        }
    }
}

}  // namespace
}  // namespace sluice::consensus
