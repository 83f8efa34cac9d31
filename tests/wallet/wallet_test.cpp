#include "wallet/wallet_fixture.h"

namespace sluice::wallet::testing {
namespace {

const Script kStranger = ct::KeyScript(9);

TEST_F(WalletTest, PaymentsToOurAddressesAreFoundAndSpent) {
    Receive(Slu(10));
    EXPECT_EQ(wallet->GetBalances().spendable, Slu(10));
    const auto built = wallet->BuildPayment({{{kStranger, Slu(3)}}});
    ASSERT_TRUE(built.has_value()) << built.error().message;
    CommitAndMine(*built, Slu(3));
    EXPECT_EQ(wallet->GetBalances().spendable, Slu(7) - built->fee);
    const auto history = wallet->History(10);
    ASSERT_EQ(history.size(), 2u);
    EXPECT_EQ(history[0].txid, built->tx->txid());
    EXPECT_EQ(history[0].fee, built->fee);
    EXPECT_EQ(history[1].received, Slu(10));
}

TEST_F(WalletTest, AFeeIsExactlyTheFeerateTimesTheSize) {
    Receive(Slu(10));
    for (const uint64_t rate : {1'000, 2'000, 12'345}) {
        const auto built = wallet->BuildPayment({{{kStranger, Slu(1)}}, false, rate});
        ASSERT_TRUE(built.has_value());
        EXPECT_EQ(built->fee, Amount((built->tx->vsize() * rate + 999) / 1000));
        wallet->Abandon(*built);
    }
}

TEST_F(WalletTest, EverythingCanBeSentByTakingTheFeeFromTheAmount) {
    Receive(Slu(2));
    Receive(Slu(3));
    EXPECT_FALSE(wallet->BuildPayment({{{kStranger, Slu(5)}}}).has_value());
    const auto built = wallet->BuildPayment({{{kStranger, Slu(5)}}, true});
    ASSERT_TRUE(built.has_value()) << built.error().message;
    CommitAndMine(*built, Slu(5) - built->fee);
    EXPECT_EQ(wallet->GetBalances().total, Amount(0));
}

TEST_F(WalletTest, ImpossibleAmountsAreNamed) {
    Receive(Slu(1));
    const auto error = [&](Amount amount) { return wallet->BuildPayment({{{kStranger, amount}}}).error(); };
    EXPECT_NE(error(Amount(0)).message.find("is 0"), std::string::npos);
    EXPECT_NE(error(Amount(329)).message.find("less than 330"), std::string::npos);
    EXPECT_NE(error(Amount(kMaxSupply.drops + 1)).message.find("over the supply"), std::string::npos);
    EXPECT_EQ(error(Slu(2)).kind, ErrorKind::kFunds);
    EXPECT_TRUE(wallet->BuildPayment({{{kStranger, Amount(330)}}}).has_value());
    EXPECT_FALSE(wallet->BuildPayment({{{kStranger, Amount(330)}}, false, 999}).has_value());
}

TEST_F(WalletTest, ABuiltTransactionReservesItsCoinsUntilAbandoned) {
    Receive(Slu(1));
    const auto first = wallet->BuildPayment({{{kStranger, Amount(1'000)}}});
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(wallet->BuildPayment({{{kStranger, Amount(1'000)}}}).error().kind, ErrorKind::kFunds);
    wallet->Abandon(*first);
    EXPECT_TRUE(wallet->BuildPayment({{{kStranger, Amount(1'000)}}}).has_value());
}

TEST_F(WalletTest, OwnChangeIsSpentUnconfirmedAndForeignMoneyIsNot) {
    Receive(Slu(1));
    const auto foreign = world.Pay(*wallet->NewReceiveScript(), Slu(50));
    ASSERT_TRUE(wallet->AddUnconfirmed(foreign).has_value());
    EXPECT_EQ(wallet->GetBalances().pending, Slu(50));
    const auto first = wallet->BuildPayment({{{kStranger, Amount(1'000)}}});
    ASSERT_TRUE(wallet->Commit(*first).has_value());
    EXPECT_EQ(wallet->GetBalances().spendable, Amount(0));
    const auto second = wallet->BuildPayment({{{kStranger, Amount(2'000)}}});
    ASSERT_TRUE(second.has_value());
    EXPECT_EQ(second->tx->inputs()[0].prevout.txid, first->tx->txid());
    EXPECT_FALSE(wallet->BuildPayment({{{kStranger, Slu(20)}}}).has_value());
    ASSERT_TRUE(wallet->Commit(*second).has_value());
    ASSERT_TRUE(wallet->RemoveUnconfirmed(first->tx->txid()).has_value());
    EXPECT_EQ(wallet->GetBalances().spendable, Slu(1));
    EXPECT_EQ(wallet->UnconfirmedTransactions().size(), 1u);
}

TEST_F(WalletTest, AReorganisationTakesBackWhatItBrought) {
    Receive(Slu(10));
    const auto before = wallet->GetBalances().total;
    const auto built = wallet->BuildPayment({{{kStranger, Slu(4)}}});
    CommitAndMine(*built, Slu(4));
    Unmine();
    EXPECT_EQ(wallet->GetBalances().spendable, Amount(0));
    EXPECT_EQ(wallet->GetBalances().pending_trusted, Slu(6) - built->fee);
    ASSERT_EQ(wallet->UnconfirmedTransactions().size(), 1u);
    ASSERT_TRUE(wallet->RemoveUnconfirmed(built->tx->txid()).has_value());
    EXPECT_EQ(wallet->GetBalances().spendable, before);
    Unmine();
    EXPECT_EQ(wallet->GetBalances().pending, Slu(10));
    EXPECT_FALSE(wallet->DisconnectBlock(world.genesis).has_value());
}

TEST_F(WalletTest, ABlockThatDoesNotFollowChangesNothing) {
    Receive(Slu(1));
    const Block last = world.blocks.back();
    EXPECT_FALSE(wallet->ConnectBlock(last).has_value());
    EXPECT_FALSE(wallet->ConnectBlock(world.genesis).has_value());
    EXPECT_EQ(wallet->GetBalances().total, Slu(1));
}

TEST_F(WalletTest, AConfirmedDoubleSpendRemovesOurs) {
    Receive(Slu(5));
    const auto first = wallet->BuildPayment({{{kStranger, Slu(1)}}});
    wallet->Abandon(*first);
    const auto second = wallet->BuildPayment({{{kStranger, Slu(2)}}});
    ASSERT_TRUE(wallet->Commit(*second).has_value());
    Mine({first->tx});
    EXPECT_EQ(wallet->Commit(*second).error().kind, ErrorKind::kUnavailable);
    EXPECT_TRUE(wallet->UnconfirmedTransactions().empty());
    EXPECT_EQ(wallet->GetBalances().total, Slu(4) - first->fee);
}

TEST_F(WalletTest, CoinbasesMatureAfterKBlocks) {
    world.ledger.snapshot.entries[0].payout_script = *wallet->NewReceiveScript();
    Block block = world.ledger.MakeBlock({});
    block.transactions[0] = MakeTransaction(consensus::MakeCoinbase(
        world.ledger.next_height(), block.transactions[0]->outputs()[0].value, *wallet->NewReceiveScript()));
    const Amount reward = block.transactions[0]->outputs()[0].value;
    block.header.prev = world.blocks.back().header.Hash();
    ct::Ledger::Reseal(block);
    ASSERT_TRUE(wallet->ConnectBlock(block).has_value());
    BlockHash tip = block.header.Hash();
    for (uint32_t depth = 1; depth < world.ledger.params.k; ++depth) {
        EXPECT_EQ(wallet->GetBalances().immature, reward) << depth;
        Block next;
        next.header.prev = tip;
        next.header.height = block.header.height + depth;
        tip = next.header.Hash();
        ASSERT_TRUE(wallet->ConnectBlock(next).has_value());
    }
    EXPECT_EQ(wallet->GetBalances().spendable, reward);
}

TEST_F(WalletTest, StakeIsSpentByUndelegationAlone) {
    Receive(Slu(100));
    const auto unknown = wallet->BuildDelegation(StakerId{{9}}, Slu(60));
    ASSERT_FALSE(unknown.has_value());
    EXPECT_NE(unknown.error().message.find("no active staker"), std::string::npos);
    const auto delegated = wallet->BuildDelegation(ct::kTestStaker, Slu(60));
    CommitAndMine(*delegated, Amount(0));
    EXPECT_EQ(wallet->GetBalances().staked, Slu(60));
    EXPECT_EQ(wallet->BuildPayment({{{kStranger, Slu(50)}}}).error().kind, ErrorKind::kFunds);
    const auto back = wallet->BuildUndelegation({.from = ct::kTestStaker});
    ASSERT_TRUE(back.has_value()) << back.error().message;
    CommitAndMine(*back, Amount(0));
    EXPECT_EQ(wallet->GetBalances().staked, Amount(0));
    EXPECT_EQ(wallet->BuildUndelegation({}).error().kind, ErrorKind::kNotFound);
}

TEST_F(WalletTest, AddressesStopAtTheGapLimit) {
    for (uint32_t i = 0; i < kMinGapLimit; ++i) ASSERT_TRUE(wallet->NewReceiveScript().has_value()) << i;
    EXPECT_EQ(wallet->NewReceiveScript().error().kind, ErrorKind::kUnavailable);
}

TEST_F(WalletTest, AFeeBumpReplacesTheTransaction) {
    Receive(Slu(10));
    const auto first = wallet->BuildPayment({{{kStranger, Slu(3)}}});
    ASSERT_TRUE(wallet->Commit(*first).has_value());
    EXPECT_FALSE(wallet->BuildFeeBump(first->tx->txid(), kDefaultFeePerKvb).has_value());
    const auto bumped = wallet->BuildFeeBump(first->tx->txid(), 10'000);
    ASSERT_TRUE(bumped.has_value()) << bumped.error().message;
    EXPECT_EQ(bumped->tx->outputs()[0], first->tx->outputs()[0]);
    EXPECT_GE(bumped->fee.drops, first->fee.drops + bumped->tx->vsize());
    world.ExpectValid(*bumped);
    ASSERT_TRUE(wallet->Commit(*bumped).has_value());
    ASSERT_EQ(wallet->UnconfirmedTransactions().size(), 1u);
    EXPECT_EQ(wallet->GetBalances().total, Slu(7) - bumped->fee);
    Mine({bumped->tx});
    EXPECT_FALSE(wallet->BuildFeeBump(bumped->tx->txid(), 20'000).has_value());
}

TEST_F(WalletTest, ACreatedWalletIsLoadedAgainAndBelongsToItsNetwork) {
    auto fresh = *disk.files().OpenKeyValue("/fresh", 1 << 20);
    EXPECT_EQ(Wallet::Load(*fresh, world.Network(), {}, random).error().kind, ErrorKind::kNotFound);
    const auto created = Wallet::Create(*fresh, world.Network(), {}, random, 12);
    ASSERT_TRUE(created.has_value());
    EXPECT_FALSE(Wallet::Create(*fresh, world.Network(), {}, random).has_value());
    const Script script = *created->wallet->NewReceiveScript("rent");
    const auto loaded = Wallet::Load(*fresh, world.Network(), {}, random);
    ASSERT_TRUE(loaded.has_value());
    EXPECT_TRUE((*loaded)->IsMine(script));
    EXPECT_EQ((*loaded)->LabelOf(script), "rent");
    EXPECT_NE(*(*loaded)->NewReceiveScript(), script);
    WalletNetwork other = world.Network();
    other.genesis.bytes[0] ^= 1;
    EXPECT_FALSE(Wallet::Load(*fresh, other, {}, random).has_value());
}

// Power is lost at every write in turn; the wallet, loaded again and given the rest of the chain, always ends the same.
TEST_F(WalletTest, ACrashAtAnyWriteLosesNothing) {
    Receive(Slu(10));
    const auto spend = wallet->BuildPayment({{{kStranger, Slu(4)}}});
    CommitAndMine(*spend, Slu(4));
    Receive(Slu(2));
    const Amount expected = wallet->GetBalances().total;
    bool finished = false;
    for (uint64_t writes = 0; !finished; ++writes) {
        storage::MemoryDisk crashing(writes + 1);
        auto kept = *crashing.files().OpenKeyValue("/wallet", 1 << 20);
        crashing.FailAfterWrites(writes);
        const auto run = [&](Wallet& running) {
            size_t next = 0;
            while (running.cursor() && next < world.blocks.size() &&
                   world.blocks[next].header.Hash() != running.cursor()->hash)
                ++next;
            if (running.cursor()) ++next;
            for (; next < world.blocks.size(); ++next)
                if (!running.ConnectBlock(world.blocks[next])) return false;
            return true;
        };
        auto first = Wallet::Restore(*kept, world.Network(), world.Lookups(), random, kPhrase, {}, kMinGapLimit);
        finished = first && run(**first);
        first = Fail("closed");
        kept.reset();
        crashing.Crash();
        kept = *crashing.files().OpenKeyValue("/wallet", 1 << 20);
        auto again = *Wallet::Exists(*kept)
                         ? Wallet::Load(*kept, world.Network(), world.Lookups(), random, kMinGapLimit)
                         : Wallet::Restore(*kept, world.Network(), world.Lookups(), random, kPhrase, {}, kMinGapLimit);
        ASSERT_TRUE(again.has_value()) << again.error().message;
        ASSERT_TRUE(run(**again));
        EXPECT_EQ((*again)->GetBalances().total, expected) << "power lost at write " << writes;
    }
}

}  // namespace
}  // namespace sluice::wallet::testing
