#include "consensus/staker_fixture.h"
#include "storage/memory_disk.h"
#include "wallet/wallet.h"

// Delegations and bonds of a wallet on a chain with stakers and rewards.

namespace sluice::wallet::testing {
namespace {

namespace ct = consensus::testing;
using consensus::StakerStatus;
using ct::Id;
using ct::Slu;

constexpr std::string_view kPhrase = "legal winner thank year wave sausage worth useful legal winner thank yellow";

class WalletStake : public ::testing::Test {
  protected:
    WalletStake() {
        chain.AddStaker(1);
        chain.AddStaker(2, 50);
        chain.AddStake(Id(1), Slu(1'000'000), 9);
        chain.Start();
        Block genesis;
        genesis.transactions.push_back(
            MakeTransaction(consensus::MakeCoinbase(Height(0), Amount(0), ct::KeyScript(0))));
        blocks.push_back(genesis);
        wallet = Open(store);
    }

    WalletLookups Lookups() {
        WalletLookups lookups;
        lookups.staker = [this](const StakerId& id) { return chain.state.Get<consensus::StakerState>(id); };
        lookups.next_slot = [this] { return chain.slot + 1; };
        lookups.accrued = [this](const consensus::Coin& coin, Epoch epoch) {
            return consensus::AccruedReward(chain.params, chain.state, coin, epoch);
        };
        return lookups;
    }
    std::unique_ptr<Wallet> Open(std::unique_ptr<storage::KeyValueStore>& kept) {
        kept = *disk.files().OpenKeyValue("/wallet" + std::to_string(opened++), 1 << 20);
        const WalletNetwork network{chain.params, blocks[0].header.Hash(), {}};
        auto restored = *Wallet::Restore(*kept, network, Lookups(), random, kPhrase, {}, kMinGapLimit);
        for (const Block& block : blocks) EXPECT_TRUE(restored->ConnectBlock(block).has_value());
        return restored;
    }
    void MineAt(Slot at, const std::vector<TransactionRef>& txs = {}, const StakerId& by = Id(1)) {
        for (const TransactionRef& tx : txs) chain.Know(tx);
        chain.Prepare(at, by);
        Block block = chain.MakeBlock(txs);
        block.header.prev = blocks.back().header.Hash();
        chain.ConnectAt(at, by, txs);
        ASSERT_TRUE(wallet->ConnectBlock(block).has_value());
        blocks.push_back(std::move(block));
    }
    void Mine(const std::vector<TransactionRef>& txs = {}) { MineAt(chain.slot + 1, txs); }
    void Unmine() {
        ASSERT_TRUE(wallet->DisconnectBlock(blocks.back()).has_value());
        blocks.pop_back();
        chain.Disconnect();
    }
    void Receive(Amount amount) {
        const Script script = *wallet->NewReceiveScript();
        Mine({chain.Sign(chain.Build({chain.Fund(Amount(amount.drops + 1'000))}, {{amount, script}}))});
    }
    void Delegate(const StakerId& staker, Amount amount) {
        const auto built = wallet->BuildDelegation(staker, amount);
        ASSERT_TRUE(built.has_value()) << built.error().message;
        CommitAndMine(*built);
    }
    void ExpectValid(const BuiltTransaction& built) {
        const auto effect = chain.Try(chain.Know(built.tx));
        ASSERT_TRUE(effect.has_value()) << effect.error().ToString();
        EXPECT_EQ(effect->fee, built.fee);
        EXPECT_EQ(effect->burned, built.burned);
        EXPECT_EQ(effect->accrued, built.accrued);
    }
    // What the wallet owns changes by the fee, what is burned, and what its stake brings.
    void CommitAndMine(const BuiltTransaction& built) { CommitAndMine(built, wallet->GetBalances().total); }
    void CommitAndMine(const BuiltTransaction& built, Amount before) {
        ExpectValid(built);
        ASSERT_TRUE(wallet->Commit(built).has_value());
        Mine({built.tx});
        EXPECT_EQ(wallet->GetBalances().total.drops + built.fee.drops + built.burned.drops,
                  before.drops + built.accrued.drops);
    }
    // A delegation of 1,000 SLU made in epoch 0, and blocks until it has earned something in epoch 3.
    void DelegateAndEarn() {
        Receive(Slu(5'000));
        Delegate(Id(1), Slu(1'000));
        MineAt(Slot(20));
        MineAt(Slot(40));
        MineAt(Slot(60));
        MineAt(Slot(79));
    }
    RegisterRecord Keys(uint8_t n) {
        RegisterRecord record = ct::Registration(n, 30);
        record.payout_script.clear();
        return record;
    }
    StakerId Register(uint8_t n) {
        const auto built = wallet->BuildRegister({Keys(n), {}});
        EXPECT_TRUE(built.has_value()) << built.error().message;
        CommitAndMine(built->built);
        return built->staker;
    }
    std::string RefusedDelegation(const StakerId& staker) {
        const auto built = wallet->BuildDelegation(staker, Slu(1));
        return built ? "" : built.error().message;
    }

    ct::StakerChain chain;
    std::vector<Block> blocks;
    SeededRandom random{5};
    storage::MemoryDisk disk{11};
    std::unique_ptr<storage::KeyValueStore> store;
    std::unique_ptr<Wallet> wallet;
    int opened{0};
};

TEST_F(WalletStake, ADelegationEarnsFromTheThirdEpochAfterItsOwnAndBringsItOnceThatIsOver) {
    Receive(Slu(5'000));
    Delegate(Id(1), Slu(1'000));
    const auto stakes = wallet->Stakes();
    ASSERT_EQ(stakes.size(), 1u);
    EXPECT_EQ(stakes[0].created, Epoch(0));
    EXPECT_EQ(stakes[0].earns_from, Epoch(3));
    for (const uint64_t slot : {19, 20, 40, 59, 60, 78}) {
        MineAt(Slot(slot));
        EXPECT_EQ(wallet->GetBalances().accrued, Amount(0)) << slot;
    }
    MineAt(Slot(79));  // the next block is of epoch 4
    const Amount accrued = wallet->GetBalances().accrued;
    EXPECT_GT(accrued, Amount(0));
    EXPECT_EQ(wallet->Stakes()[0].accrued, accrued);
    EXPECT_EQ(wallet->GetBalances().staked, Slu(1'000));
    // Three blocks of epoch 3, shared by 1,001,000 SLU: as rational numbers, before rounding down.
    const uint64_t subsidy = consensus::BlockSubsidy(chain.params, chain.Totals(), Epoch(3)).drops;
    const double naive = 3.0 * static_cast<double>(subsidy) / 1'001.0;
    EXPECT_NEAR(static_cast<double>(accrued.drops), naive, 3);
    EXPECT_LE(static_cast<double>(accrued.drops), naive);
    MineAt(Slot(80));  // of epoch 4, which is not over
    EXPECT_EQ(wallet->GetBalances().accrued, accrued);
}

TEST_F(WalletStake, UndelegationBringsTheStakeWithAllThatItHasEarnedToTheDrop) {
    DelegateAndEarn();
    const Amount accrued = wallet->GetBalances().accrued;
    ASSERT_GT(accrued, Amount(0));
    const auto built = wallet->BuildUndelegation({.from = Id(1)});
    ASSERT_TRUE(built.has_value()) << built.error().message;
    EXPECT_EQ(built->accrued, accrued);
    EXPECT_EQ(built->fee, FeeFor(built->tx->weight(), kDefaultFeePerKvb));
    ASSERT_EQ(built->tx->outputs().size(), 1u);
    EXPECT_EQ(built->tx->outputs()[0].value.drops, Slu(1'000).drops + accrued.drops - built->fee.drops);
    CommitAndMine(*built);
    EXPECT_EQ(wallet->GetBalances().staked, Amount(0));
    EXPECT_EQ(wallet->GetBalances().accrued, Amount(0));
    const auto entry = wallet->FindTransaction(built->tx->txid());
    EXPECT_EQ(entry->fee, built->fee);
    EXPECT_EQ(entry->accrued, accrued);
    // Later epochs do not change what was claimed.
    MineAt(Slot(100));
    EXPECT_EQ(wallet->FindTransaction(built->tx->txid())->accrued, accrued);
}

TEST_F(WalletStake, APartTakesTheNewestCoinsAndLeavesTheRestStaked) {
    DelegateAndEarn();
    Delegate(Id(1), Slu(500));
    const Amount accrued = wallet->GetBalances().accrued;  // of the old coin alone
    const auto small = wallet->BuildUndelegation({.amount = Slu(200)});
    ASSERT_TRUE(small.has_value()) << small.error().message;
    EXPECT_EQ(small->accrued, Amount(0));
    ASSERT_EQ(small->tx->inputs().size(), 1u);
    EXPECT_EQ(small->tx->outputs()[0].value, Slu(300));
    EXPECT_EQ(ParseOutputScript(small->tx->outputs()[0].script)->staker, Id(1));
    EXPECT_EQ(small->tx->outputs()[1].value.drops, Slu(200).drops - small->fee.drops);
    CommitAndMine(*small);
    EXPECT_EQ(wallet->GetBalances().staked, Slu(1'300));
    EXPECT_EQ(wallet->GetBalances().accrued, accrued);

    const auto large = wallet->BuildUndelegation({.amount = Slu(301)});
    ASSERT_TRUE(large.has_value()) << large.error().message;
    EXPECT_EQ(large->tx->inputs().size(), 2u);
    EXPECT_EQ(large->accrued, accrued);
    EXPECT_EQ(large->tx->outputs()[0].value, Slu(999));
    CommitAndMine(*large);
    EXPECT_EQ(wallet->BuildUndelegation({.amount = Amount(Slu(999).drops + 1)}).error().kind, ErrorKind::kFunds);
    const auto exact = wallet->BuildUndelegation({.amount = Slu(999)});
    ASSERT_TRUE(exact.has_value());
    EXPECT_EQ(exact->tx->outputs().size(), 1u);
}

TEST_F(WalletStake, RedelegationMovesTheStakeAndWhatItHasEarned) {
    DelegateAndEarn();
    const Amount accrued = wallet->GetBalances().accrued;
    const auto built = wallet->BuildUndelegation({.to = Id(2)});
    ASSERT_TRUE(built.has_value()) << built.error().message;
    CommitAndMine(*built);
    const auto stakes = wallet->Stakes();
    ASSERT_EQ(stakes.size(), 1u);
    EXPECT_EQ(stakes[0].staker, Id(2));
    EXPECT_EQ(stakes[0].amount.drops, Slu(1'000).drops + accrued.drops - built->fee.drops);
    EXPECT_EQ(stakes[0].earns_from, Epoch(7));
    // What is there already is not moved again.
    EXPECT_EQ(wallet->BuildUndelegation({.to = Id(2)}).error().kind, ErrorKind::kNotFound);
}

TEST_F(WalletStake, AnAmountOfStakeWithSeveralStakersNeedsTheStakerNamed) {
    Receive(Slu(5'000));
    Delegate(Id(1), Slu(100));
    Delegate(Id(2), Slu(100));
    const auto mixed = wallet->BuildUndelegation({.amount = Slu(150)});
    ASSERT_FALSE(mixed.has_value());
    EXPECT_NE(mixed.error().message.find("several stakers"), std::string::npos);
    EXPECT_EQ(wallet->BuildUndelegation({.from = Id(1), .amount = Slu(150)}).error().kind, ErrorKind::kFunds);
    EXPECT_TRUE(wallet->BuildUndelegation({.from = Id(1), .amount = Slu(100)}).has_value());
    const auto all = wallet->BuildUndelegation({});
    ASSERT_TRUE(all.has_value());
    EXPECT_EQ(all->tx->inputs().size(), 1u);  // the other one is reserved
}

TEST_F(WalletStake, DelegationToAnUnknownExitingRetiredOrSlashedIdIsRefusedAndSaysWhich) {
    Receive(Slu(50));
    EXPECT_EQ(RefusedDelegation(Id(1)), "");
    EXPECT_EQ(RefusedDelegation(Id(9)),
              Id(9).Hex() + " is no active staker: the id is not registered, and stake sent to it would earn nothing");
    const std::pair<StakerStatus, std::string> statuses[] = {
        {StakerStatus::kExiting, "exiting"}, {StakerStatus::kRetired, "retired"}, {StakerStatus::kSlashed, "slashed"}};
    for (const auto& [status, name] : statuses) {
        auto staker = chain.Staker(Id(2));
        staker.status = status;
        chain.state.Put(Id(2), staker);
        EXPECT_EQ(RefusedDelegation(Id(2)),
                  Id(2).Hex() + " is no active staker: it is " + name + ", and stake sent to it would earn nothing");
        // A payment to a stake address of it, an anchor and a redelegation as well.
        EXPECT_FALSE(wallet->BuildPayment({{{StakeScript(ct::OutputKey(9), Id(2)), Slu(1)}}}).has_value());
        EXPECT_FALSE(wallet->BuildUndelegation({.to = Id(2)}).has_value());
    }
}

TEST_F(WalletStake, PaymentsNeverSpendStakeOrBonds) {
    Receive(Slu(2'000));
    Delegate(Id(1), Slu(500));
    Register(5);
    const Amount spendable = wallet->GetBalances().spendable;
    const auto most = wallet->BuildPayment({{{ct::KeyScript(9), spendable}}, true});
    ASSERT_TRUE(most.has_value());
    for (const TxInput& input : most->tx->inputs())
        for (const CoinView& view : wallet->Coins())
            if (view.outpoint == input.prevout) {
                EXPECT_EQ(view.coin.kind, consensus::CoinKind::kPlain);
                EXPECT_EQ(ParseOutputScript(view.coin.output.script)->kind, OutputKind::kTaproot);
            }
    wallet->Abandon(*most);
    const auto more = wallet->BuildPayment({{{ct::KeyScript(9), Amount(spendable.drops + 1)}}, true});
    EXPECT_EQ(more.error().kind, ErrorKind::kFunds);
}

TEST_F(WalletStake, WhatWasEarnedSinceIsClaimedByTheTransactionThatTakesItsPlace) {
    DelegateAndEarn();
    const Amount before = wallet->GetBalances().total;
    const auto built = wallet->BuildUndelegation({});
    ASSERT_TRUE(built.has_value());
    ASSERT_TRUE(wallet->Commit(*built).has_value());
    MineAt(Slot(99));  // an epoch has ended without it
    const auto late = chain.Try(chain.Know(built->tx));
    ASSERT_TRUE(late.has_value());
    ASSERT_GT(late->fee, built->fee);
    const auto again = wallet->BuildReclaim(built->tx->txid());
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(again->fee, built->fee);
    EXPECT_EQ(again->accrued, late->accrued);
    EXPECT_EQ(again->tx->outputs()[0].script, built->tx->outputs()[0].script);
    CommitAndMine(*again, before);
    EXPECT_TRUE(wallet->UnconfirmedTransactions().empty());
    EXPECT_FALSE(wallet->BuildReclaim(again->tx->txid()).has_value());  // it is mined
}

TEST_F(WalletStake, AReorganisationToABranchThatEarnedLessLeavesTheStakeAsItWas) {
    DelegateAndEarn();
    const Amount accrued = wallet->GetBalances().accrued;
    const auto built = wallet->BuildUndelegation({});
    CommitAndMine(*built);
    Unmine();
    Unmine();  // the block of slot 79: what it earned is gone
    EXPECT_EQ(chain.Code(chain.Know(built->tx)), "bad-txns-in-belowout");
    ASSERT_TRUE(wallet->RemoveUnconfirmed(built->tx->txid()).has_value());
    MineAt(Slot(80));
    EXPECT_EQ(wallet->GetBalances().staked, Slu(1'000));
    EXPECT_LT(wallet->GetBalances().accrued, accrued);
    const auto less = wallet->BuildUndelegation({});
    ASSERT_TRUE(less.has_value());
    CommitAndMine(*less);
}

TEST_F(WalletStake, AFeeBumpOfAnUndelegationKeepsWhatWasClaimed) {
    DelegateAndEarn();
    const Amount before = wallet->GetBalances().total;
    const auto built = wallet->BuildUndelegation({});
    ASSERT_TRUE(wallet->Commit(*built).has_value());
    const auto bumped = wallet->BuildFeeBump(built->tx->txid(), 10'000);
    ASSERT_TRUE(bumped.has_value()) << bumped.error().message;
    EXPECT_EQ(bumped->accrued, built->accrued);
    EXPECT_GT(bumped->fee, built->fee);
    CommitAndMine(*bumped, before);
}

TEST_F(WalletStake, AStakedAnchorEarnsAndBringsThatWhenItsClaimIsRetiredAndNoUndelegationTakesIt) {
    Receive(Slu(5'000));
    PublishRequest request;
    request.record = ct::ExamplePublish();
    request.deposit = Slu(1'000);
    request.stake_with = Id(1);
    const auto published = wallet->BuildPublish(request);
    ASSERT_TRUE(published.has_value()) << published.error().message;
    CommitAndMine(published->built);
    for (const uint64_t slot : {20, 40, 60, 79}) MineAt(Slot(slot));
    const Amount accrued = wallet->GetBalances().accrued;
    EXPECT_GT(accrued, Amount(0));
    EXPECT_EQ(wallet->GetBalances().staked, Amount(0));  // it is in a claim
    ASSERT_EQ(wallet->Stakes().size(), 1u);
    EXPECT_EQ(wallet->Stakes()[0].claim, published->claim);
    EXPECT_EQ(wallet->BuildUndelegation({}).error().kind, ErrorKind::kNotFound);
    const auto retired = wallet->BuildRetire(published->claim);
    ASSERT_TRUE(retired.has_value()) << retired.error().message;
    EXPECT_EQ(retired->accrued, accrued);
    CommitAndMine(*retired);
}

TEST_F(WalletStake, MoreCoinsThanOneTransactionTakesAreTakenBackInTurns) {
    const Script script = *wallet->NewReceiveScript();
    const Script stake = StakeScript(ParseOutputScript(script)->key, Id(1));
    for (int part = 0; part < 2; ++part)
        Mine({chain.Sign(chain.Build({chain.Fund(Slu(1'000))}, std::vector<TxOutput>(201, {Slu(2), stake})))});
    ASSERT_EQ(wallet->Stakes().size(), 402u);
    const auto too_much = wallet->BuildUndelegation({.amount = Amount(Slu(800).drops + 1)});
    ASSERT_FALSE(too_much.has_value());
    EXPECT_NE(too_much.error().message.find("take less at once"), std::string::npos);
    const auto most = wallet->BuildUndelegation({});
    ASSERT_TRUE(most.has_value()) << most.error().message;
    EXPECT_EQ(most->tx->inputs().size(), kMaxUndelegatedCoins);
    EXPECT_LE(most->tx->weight(), kMaxStandardWeight);
    CommitAndMine(*most);
    EXPECT_EQ(wallet->GetBalances().staked, Slu(4));
}

TEST_F(WalletStake, StakeThatIsNotWorthItsFeeStays) {
    Receive(Slu(10));
    Delegate(Id(1), Amount(1'000));
    const auto built = wallet->BuildUndelegation({.feerate_per_kvb = 10'000});
    ASSERT_FALSE(built.has_value());
    EXPECT_EQ(built.error().kind, ErrorKind::kFunds);
    EXPECT_TRUE(wallet->BuildUndelegation({}).has_value());
}

TEST_F(WalletStake, ARegistrationBondsTheLeastAndItsIdIsKnownAtOnce) {
    Receive(Slu(999));
    EXPECT_EQ(wallet->BuildRegister({Keys(5), {}}).error().kind, ErrorKind::kFunds);
    Receive(Slu(2'000));
    const Amount least = chain.params.bond;
    EXPECT_NE(wallet->BuildRegister({Keys(5), Amount(least.drops - 1)}).error().message.find("must be at least"),
              std::string::npos);
    const auto built = wallet->BuildRegister({Keys(5), {}});
    ASSERT_TRUE(built.has_value()) << built.error().message;
    EXPECT_EQ(built->built.tx->outputs()[1].value, least);
    CommitAndMine(built->built);
    const auto state = chain.Staker(built->staker);
    EXPECT_EQ(state.status, StakerStatus::kActive);
    EXPECT_EQ(state.bond, built->bond);
    EXPECT_TRUE(wallet->IsMine(state.payout_script));
    EXPECT_EQ(wallet->GetBalances().bonds, least);
    ASSERT_EQ(wallet->Bonds().size(), 1u);
    EXPECT_EQ(wallet->Bonds()[0].staker, built->staker);
    EXPECT_EQ(wallet->Bonds()[0].status, BondStatus::kBonded);
}

TEST_F(WalletStake, BadRegistrationsAreRefusedWithOneReasonEach) {
    Receive(Slu(2'000));
    const auto error = [&](const std::function<void(RegisterRecord&)>& change) {
        RegisterRecord record = Keys(5);
        change(record);
        const auto built = wallet->BuildRegister({record, {}});
        return built ? "" : built.error().message;
    };
    EXPECT_NE(error([](auto& record) { record.vrf_key = {}; }).find("vrf_key"), std::string::npos);
    EXPECT_NE(error([](auto& record) { record.signing_key = ct::OffCurveKey(); }).find("signing_key"),
              std::string::npos);
    EXPECT_NE(error([](auto& record) { record.commission_permille = 101; }).find("101 permille"), std::string::npos);
    EXPECT_NE(error([](auto& record) { record.payout_script = Bytes(100); }).find("payout_script"), std::string::npos);
    EXPECT_EQ(error([](auto& record) { record.commission_permille = 100; }), "");
}

TEST_F(WalletStake, ABondMovesWithAnUpdateAndAnExitAndComesBackWhenItsLockIsOver) {
    Receive(Slu(3'000));
    const StakerId id = Register(5);
    RegisterRecord rotated = ct::Registration(6, 40);
    rotated.updates = id;
    const auto update = wallet->BuildUpdate(rotated);
    ASSERT_TRUE(update.has_value()) << update.error().message;
    EXPECT_EQ(wallet->BuildExit(id).error().kind, ErrorKind::kUnavailable);  // its bond is being moved
    CommitAndMine(*update);
    EXPECT_EQ(chain.Staker(id).commission_permille, 40);
    EXPECT_NE(wallet->BuildReleaseBond(id).error().message.find("retire it first"), std::string::npos);

    const auto exit = wallet->BuildExit(id);
    ASSERT_TRUE(exit.has_value()) << exit.error().message;
    CommitAndMine(*exit);
    EXPECT_EQ(chain.Staker(id).status, StakerStatus::kExiting);
    EXPECT_EQ(wallet->GetBalances().bonds, chain.params.bond);
    const Slot free_at = chain.slot + chain.params.unbonding_slots;
    EXPECT_EQ(wallet->Bonds()[0].free_at, free_at);
    EXPECT_FALSE(wallet->BuildExit(id).has_value());
    EXPECT_FALSE(wallet->BuildUpdate(rotated).has_value());

    MineAt(Slot(free_at.value - 2));
    EXPECT_EQ(wallet->BuildReleaseBond(id).error().kind, ErrorKind::kUnavailable);
    EXPECT_EQ(wallet->Bonds()[0].status, BondStatus::kExiting);
    MineAt(Slot(free_at.value - 1));
    EXPECT_EQ(wallet->Bonds()[0].status, BondStatus::kFree);
    const auto release = wallet->BuildReleaseBond(id);
    ASSERT_TRUE(release.has_value()) << release.error().message;
    CommitAndMine(*release);
    EXPECT_EQ(wallet->GetBalances().bonds, Amount(0));
    EXPECT_EQ(wallet->Bonds()[0].status, BondStatus::kReleased);
    EXPECT_EQ(wallet->BuildReleaseBond(id).error().kind, ErrorKind::kNotFound);
}

TEST_F(WalletStake, ABondThatEvidenceBurnedIsGoneAndTheTransactionIsNotOurs) {
    Receive(Slu(3'000));
    const StakerId id = Register(5);
    const auto evidence = chain.Evidence(chain.Equivocation(id, Slot(1), ct::SigningKey(5)));
    const Amount before = wallet->GetBalances().total;
    Mine({evidence});
    EXPECT_EQ(wallet->GetBalances().bonds, Amount(0));
    EXPECT_EQ(wallet->GetBalances().total.drops, before.drops - chain.params.bond.drops);
    ASSERT_EQ(wallet->Bonds().size(), 1u);
    EXPECT_EQ(wallet->Bonds()[0].status, BondStatus::kSlashed);
    EXPECT_FALSE(wallet->Made(evidence->txid()));
    EXPECT_NE(RefusedDelegation(id).find("it is slashed"), std::string::npos);
    Unmine();
    EXPECT_EQ(wallet->UnconfirmedTransactions().size(), 1u);
    ASSERT_TRUE(wallet->RemoveUnconfirmed(evidence->txid()).has_value());
    EXPECT_EQ(wallet->Bonds()[0].status, BondStatus::kBonded);
}

TEST_F(WalletStake, ThePhraseAndTheChainBringStakeBondsAndRewardsBack) {
    DelegateAndEarn();
    const StakerId id = Register(5);
    const auto exit = wallet->BuildExit(id);
    CommitAndMine(*exit);
    const StakerId other = Register(6);
    std::unique_ptr<storage::KeyValueStore> kept;
    const auto restored = Open(kept);
    const Balances was = wallet->GetBalances(), is = restored->GetBalances();
    EXPECT_GT(is.accrued, Amount(0));
    EXPECT_EQ(is.accrued, was.accrued);
    EXPECT_EQ(is.staked, was.staked);
    EXPECT_EQ(is.bonds, was.bonds);
    EXPECT_EQ(is.spendable, was.spendable);
    EXPECT_EQ(is.total, was.total);
    const auto bonds = restored->Bonds();
    ASSERT_EQ(bonds.size(), 2u);
    for (const BondView& bond : bonds)
        EXPECT_EQ(bond.status, bond.staker == id ? BondStatus::kExiting : BondStatus::kBonded);
    const auto undelegation = restored->BuildUndelegation({});
    ASSERT_TRUE(undelegation.has_value());
    ExpectValid(*undelegation);
    const auto update = restored->BuildExit(other);
    ASSERT_TRUE(update.has_value()) << update.error().message;
    ExpectValid(*update);
}

}  // namespace
}  // namespace sluice::wallet::testing
