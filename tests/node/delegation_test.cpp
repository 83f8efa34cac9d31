#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "consensus/rewards.h"
#include "node/virtual_world.h"

// Delegations in a whole node: wallet, mempool, block production and rewards together, to the drop.

namespace sluice::node::testing {
namespace {

const std::string kPhrase(consensus::kRegtestPhrase);
constexpr uint64_t kRegtestEpochSlots = 200;
Amount Slu(uint64_t n) { return Amount(n * kDropsPerSlu); }

// A staker with all of regtest's money that makes blocks when it is told to.
class Delegation : public ::testing::Test {
  protected:
    void SetUp() override { world.Add({.staker = 0, .start = false, .phrase = kPhrase}); }
    VirtualNode& node() { return world[0]; }
    wallet::Wallet& wallet() { return node().wallet(); }
    const chain::Mempool& mempool() { return node()->chain().chain().mempool(); }
    consensus::LedgerTotals Totals() { return *node()->chain().chain().state().Get<consensus::LedgerTotals>({}); }
    Epoch NextEpoch() { return node()->params().EpochOf(mempool().NextContext().slot); }
    StakerId Self() const { return consensus::RegtestOperator(0).staker; }

    // The block of the next slot that it leads from `from` on. Money is conserved, and all that is unspent is the
    // wallet's.
    void Produce(Slot from = Slot(0)) {
        const Slot next = std::max(from, node().tip().state.slot + 1);
        const Slot slot = node()->staking().NextWonSlot(next).value();
        node()->clock().SetMock(node()->params().SlotTime(slot));
        const auto hash = node()->staking().TryProduce(slot);
        ASSERT_TRUE(hash && *hash) << (hash ? "not a leader" : hash.error().message);
        ASSERT_EQ(node().tip().hash(), **hash);
        const auto totals = Totals();
        ASSERT_TRUE(totals.Conserved());
        if (mempool().size() == 0) {
            ASSERT_EQ(wallet().GetBalances().total, totals.unspent);
        }
    }
    // Blocks until the next one can be of `epoch`, not many of them.
    void ProduceInto(uint64_t epoch) {
        while (NextEpoch() < Epoch(epoch)) ASSERT_NO_FATAL_FAILURE(Produce(node().tip().state.slot + 10));
    }
    std::vector<wallet::StakeView> OwnDelegations() {
        auto stakes = wallet().Stakes();
        std::erase_if(stakes, [](const auto& view) { return view.created == consensus::kGenesisStakeEpoch; });
        return stakes;
    }
    wallet::StakeView TheDelegation() {
        const auto stakes = OwnDelegations();
        EXPECT_EQ(stakes.size(), 1u);
        return stakes.empty() ? wallet::StakeView{} : stakes[0];
    }
    // Delegates in epoch 0 and goes on to where epoch 3 has earned something.
    void DelegateAndEarn() {
        const auto built = wallet().BuildDelegation(Self(), Slu(10'000));
        ASSERT_TRUE(built) << built.error().message;
        node().Broadcast(*built);
        ASSERT_NO_FATAL_FAILURE(Produce());
        ASSERT_NO_FATAL_FAILURE(ProduceInto(4));
        ASSERT_GT(TheDelegation().accrued, Amount(0));
    }
    // The genesis stake earns, too: it stays where it is.
    Result<wallet::BuiltTransaction> TakeBack(Amount amount) { return wallet().BuildUndelegation({.amount = amount}); }

    VirtualWorld world{31};
};

TEST_F(Delegation, WhatIsShownIsWhatComesBackToTheDropAndNothingIsMadeOrLost) {
    const auto built = wallet().BuildDelegation(Self(), Slu(10'000));
    ASSERT_TRUE(built) << built.error().message;
    node().Broadcast(*built);
    Produce();
    EXPECT_EQ(TheDelegation().earns_from, Epoch(3));
    ProduceInto(3);
    EXPECT_EQ(TheDelegation().accrued, Amount(0));
    ProduceInto(4);
    const Amount first = TheDelegation().accrued;
    EXPECT_GT(first, Amount(0));
    Produce();
    EXPECT_EQ(TheDelegation().accrued, first);
    ProduceInto(6);
    const Amount accrued = TheDelegation().accrued;
    EXPECT_GT(accrued, first);

    const auto before = Totals();
    const auto back = TakeBack(Slu(10'000));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->accrued, accrued);
    node().Broadcast(*back);
    Produce();
    ASSERT_EQ(mempool().size(), 0u);
    EXPECT_TRUE(OwnDelegations().empty());
    EXPECT_EQ(back->tx->outputs().back().value.drops, Slu(10'000).drops + accrued.drops - back->fee.drops);
    EXPECT_EQ(wallet().FindTransaction(back->tx->txid())->fee, back->fee);
    const auto after = Totals();
    const uint64_t minted = after.minted.drops - before.minted.drops;
    // What left the pots is in coins; what the block minted is in the pots.
    EXPECT_EQ(after.pots.drops, before.pots.drops + minted - accrued.drops);
}

// [rewards lost to the producer when a transaction waits over the end of an epoch]
TEST_F(Delegation, AnUndelegationThatIsNotMinedInItsEpochClaimsWhatTheEpochBrought) {
    DelegateAndEarn();
    Produce();  // epoch 4 brings something
    const auto built = TakeBack(Slu(10'000));
    ASSERT_TRUE(built) << built.error().message;
    const Txid first = node().Broadcast(*built);
    Produce(Slot(5 * kRegtestEpochSlots));
    EXPECT_EQ(mempool().Find(first), nullptr);
    EXPECT_FALSE(wallet().FindTransaction(first));
    ASSERT_EQ(mempool().size(), 1u);
    const chain::MempoolEntry& again = *mempool().All()[0];
    EXPECT_GT(again.accrued, built->accrued);
    EXPECT_EQ(again.fee, built->fee);
    const Txid second = again.tx->txid();
    const Amount accrued = again.accrued;
    Produce();
    EXPECT_EQ(mempool().size(), 0u);
    EXPECT_EQ(wallet().FindTransaction(second)->accrued, accrued);
    EXPECT_EQ(wallet().FindTransaction(second)->fee, built->fee);
    EXPECT_TRUE(OwnDelegations().empty());
}

TEST_F(Delegation, AReorganisationThatTakesTheRewardsBackLeavesTheStakeToItsOwner) {
    DelegateAndEarn();
    const Amount accrued = TheDelegation().accrued;
    const auto built = TakeBack(Slu(10'000));
    ASSERT_TRUE(built) << built.error().message;
    node().Broadcast(*built);
    Produce();
    // Back to the first block of epoch 3: nothing of it counts until it is over.
    const chain::HeaderNode* first = &node().tip();
    while (first->parent->state.epoch >= Epoch(3)) first = first->parent;
    ASSERT_TRUE(node()->chain().Invalidate(first->hash()));
    EXPECT_EQ(mempool().size(), 0u);
    EXPECT_EQ(TheDelegation().accrued, Amount(0));
    EXPECT_EQ(TheDelegation().amount, Slu(10'000));
    EXPECT_TRUE(wallet().UnconfirmedTransactions().empty());
    EXPECT_EQ(wallet().GetBalances().total, Totals().unspent);
    // And forward again, on the first branch.
    ASSERT_TRUE(node()->chain().Reconsider(first->hash()));
    EXPECT_TRUE(OwnDelegations().empty());
    EXPECT_EQ(wallet().FindTransaction(built->tx->txid())->accrued, accrued);
    EXPECT_EQ(wallet().GetBalances().total, Totals().unspent);
}

TEST_F(Delegation, RedelegationAndAPartOfItKeepEveryDrop) {
    DelegateAndEarn();
    const StakerId other = consensus::RegtestOperator(1).staker;
    const auto moved = wallet().BuildUndelegation({.from = Self(), .amount = Slu(4'000), .to = other});
    ASSERT_TRUE(moved) << moved.error().message;
    node().Broadcast(*moved);
    Produce();
    const auto stakes = OwnDelegations();
    ASSERT_EQ(stakes.size(), 2u);
    uint64_t sum = 0;
    for (const auto& view : stakes) sum += view.amount.drops;
    EXPECT_EQ(sum, Slu(10'000).drops + moved->accrued.drops - moved->fee.drops);
    // Staker 1 makes no blocks: what it was given never earns.
    ProduceInto(9);
    for (const auto& view : OwnDelegations()) EXPECT_EQ(view.accrued == Amount(0), view.staker == other);
}

TEST_F(Delegation, ARestoredWalletHasTheSameStakeAndRewards) {
    DelegateAndEarn();
    const auto balances = wallet().GetBalances();
    node().Crash();
    ASSERT_TRUE(node().Open());
    EXPECT_EQ(wallet().GetBalances().accrued, balances.accrued);
    EXPECT_EQ(wallet().GetBalances().staked, balances.staked);
    EXPECT_EQ(wallet().GetBalances().total, balances.total);
    const auto back = TakeBack(Slu(10'000));
    ASSERT_TRUE(back) << back.error().message;
    node().Broadcast(*back);
    Produce();
    EXPECT_TRUE(OwnDelegations().empty());
}

}  // namespace
}  // namespace sluice::node::testing
