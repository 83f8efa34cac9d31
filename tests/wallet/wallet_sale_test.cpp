#include "wallet/wallet_fixture.h"

namespace sluice::wallet::testing {
namespace {

const Script kStranger = ct::KeyScript(9);

class SaleTest : public WalletTest {
  protected:
    BuiltPurchase Buy(PurchaseRequest request) {
        auto bought = wallet->BuildPurchase(request);
        CHECK(bought.has_value());
        CommitAndMine(bought->built, Amount(0));
        return std::move(*bought);
    }
    const OwnPurchase& At(const BuiltPurchase& bought) { return wallet->Purchases().at(bought.lock); }
};

TEST_F(SaleTest, AGrantRevealsTheKeyAndTheBalanceGivesThePrice) {
    const OutPoint film = world.PublishFilm();
    wallet = Open(store);
    Receive(Slu(20));
    const BuiltPurchase bought = Buy({film});
    EXPECT_EQ(At(bought).status, PurchaseStatus::kPending);
    EXPECT_EQ(wallet->GetBalances().in_purchases, bought.built.tx->outputs()[1].value);
    EXPECT_EQ(wallet->BoughtKey(bought.lock).error().kind, ErrorKind::kUnavailable);
    Mine({world.Grant(bought, wallet->BuyerKey(At(bought)))});
    EXPECT_EQ(At(bought).status, PurchaseStatus::kGranted);
    EXPECT_EQ(wallet->BoughtKey(bought.lock)->Public(), ct::TestKey(ct::kTitleKey).Public());
    EXPECT_EQ(wallet->GetBalances().in_purchases, Amount(0));

    Unmine();
    EXPECT_EQ(At(bought).status, PurchaseStatus::kGranted);  // still seen, unconfirmed
    ASSERT_TRUE(wallet->RemoveUnconfirmed(*At(bought).resolved_by).has_value());
    EXPECT_EQ(At(bought).status, PurchaseStatus::kPending);
    EXPECT_TRUE(wallet->BoughtKey(bought.lock).has_value());  // what was learnt stays
}

TEST_F(SaleTest, OnlyATransactionThatSpendsAKeyOfOursIsMadeByUs) {
    const OutPoint film = world.PublishFilm();
    wallet = Open(store);
    const auto received = world.Pay(*wallet->NewReceiveScript(), Slu(50));
    Mine({received});
    EXPECT_FALSE(wallet->Made(received->txid()));
    PublishRecord own = world.Film();
    own.title_key = ct::TestKey(40).Public();
    const auto published = wallet->BuildPublish({own, Slu(1)});
    ASSERT_TRUE(published.has_value()) << published.error().message;
    EXPECT_FALSE(wallet->Made(published->built.tx->txid()));
    CommitAndMine(published->built, Amount(0));
    EXPECT_TRUE(wallet->Made(published->built.tx->txid()));
    // The grant spends our lock, and the seller chose everything else in it.
    const BuiltPurchase bought = Buy({film});
    EXPECT_TRUE(wallet->Made(bought.built.tx->txid()));
    const auto grant = world.Grant(bought, wallet->BuyerKey(At(bought)));
    Mine({grant});
    EXPECT_EQ(At(bought).resolved_by, grant->txid());
    EXPECT_FALSE(wallet->Made(grant->txid()));
}

TEST_F(SaleTest, ThePhraseAndTheChainGiveBackCoinsClaimsAndBoughtKeys) {
    const OutPoint film = world.PublishFilm();
    wallet = Open(store);
    Receive(Slu(50));
    const BuiltPurchase bought = Buy({film});
    Mine({world.Grant(bought, wallet->BuyerKey(At(bought)))});
    PublishRecord own = world.Film();
    own.title_key = ct::TestKey(40).Public();
    const auto published = wallet->BuildPublish({own, Slu(1)});
    ASSERT_TRUE(published.has_value()) << published.error().message;
    CommitAndMine(published->built, Amount(0));
    ChannelRequest channels;
    channels.payees = {{ct::TestKey(ct::kPayeeKey).XOnly(), Slu(2)}, {ct::TestKey(3).XOnly(), Slu(1)}};
    const auto opened = wallet->BuildChannels(channels);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    CommitAndMine(opened->built, Amount(0));

    std::unique_ptr<storage::KeyValueStore> other_store;
    const auto restored = Open(other_store);
    EXPECT_EQ(restored->GetBalances().total, wallet->GetBalances().total);
    EXPECT_EQ(restored->GetBalances().in_channels, Slu(3));
    EXPECT_EQ(restored->GetBalances().in_claims, Slu(1));
    EXPECT_EQ(restored->BoughtKey(bought.lock)->Public(), ct::TestKey(ct::kTitleKey).Public());
    ASSERT_EQ(restored->OwnClaims().size(), 1u);
    EXPECT_EQ(restored->OwnClaims()[0].claim, published->claim);
    for (const auto& channel : opened->channels)
        EXPECT_EQ(restored->ChannelPayerKey(channel.lock)->XOnly(), channel.payer_key.XOnly());
    EXPECT_TRUE(restored->IsMine(opened->return_script));

    const auto loaded = *Wallet::Load(*other_store, world.Network(), world.Lookups(), random, kMinGapLimit);
    EXPECT_EQ(loaded->GetBalances().total, wallet->GetBalances().total);
    EXPECT_EQ(loaded->BoughtKey(bought.lock)->Public(), ct::TestKey(ct::kTitleKey).Public());
    ASSERT_TRUE(loaded->RestartScan().has_value());
    EXPECT_EQ(loaded->GetBalances().total, Amount(0));
    for (const Block& block : world.blocks) ASSERT_TRUE(loaded->ConnectBlock(block).has_value());
    EXPECT_EQ(loaded->GetBalances().total, wallet->GetBalances().total);
}

TEST_F(SaleTest, AGrantSignedWithoutTheKeyIsReportedAsFailed) {
    const OutPoint film = world.PublishFilm();
    wallet = Open(store);
    Receive(Slu(20));
    const BuiltPurchase bought = Buy({film});
    const auto buyer = wallet->BuyerKey(At(bought));
    const auto lock = *consensus::MakeLockTemplate(buyer.XOnly(), bought.terms.seller_key, bought.refund_height);
    const auto sighash = consensus::SingleOutputSighash(bought.lock, bought.built.tx->outputs()[1], lock,
                                                        {bought.terms.price, bought.terms.payout_script});
    Mine({world.GrantWith(bought, lock, buyer.Sign(sighash))});
    EXPECT_EQ(At(bought).status, PurchaseStatus::kFailed);
    EXPECT_FALSE(At(bought).problem.empty());
    EXPECT_FALSE(wallet->BoughtKey(bought.lock).has_value());
}

TEST_F(SaleTest, AKeyIsExtractedOnceThePublishIsFound) {
    const OutPoint film = world.PublishFilm();
    wallet = Open(store);
    Receive(Slu(20));
    const BuiltPurchase bought = Buy({film});
    Mine({world.Grant(bought, wallet->BuyerKey(At(bought)))});
    bool known = false;
    WalletLookups lookups = world.Lookups();
    lookups.publish = [&, publish = lookups.publish](const OutPoint& outpoint) {
        return known ? publish(outpoint) : std::nullopt;
    };
    auto kept = *disk.files().OpenKeyValue("/late", 1 << 20);
    const auto late = *Wallet::Restore(*kept, world.Network(), lookups, random, kPhrase);
    for (const Block& block : world.blocks) ASSERT_TRUE(late->ConnectBlock(block).has_value());
    EXPECT_EQ(late->Purchases().at(bought.lock).status, PurchaseStatus::kFailed);
    known = true;
    ASSERT_TRUE(late->RetryPurchases().has_value());
    EXPECT_EQ(late->BoughtKey(bought.lock)->Public(), ct::TestKey(ct::kTitleKey).Public());
}

TEST_F(SaleTest, ARefundIsOpenFromTheBlockAfterItsHeight) {
    const OutPoint film = world.PublishFilm();
    wallet = Open(store);
    Receive(Slu(20));
    const BuiltPurchase bought = Buy({film});
    MineTo(bought.refund_height);
    EXPECT_EQ(wallet->BuildRefund(bought.lock).error().kind, ErrorKind::kUnavailable);
    EXPECT_TRUE(wallet->RefundableLocks().empty());
    Mine();
    EXPECT_EQ(wallet->RefundableLocks(), std::vector{bought.lock});
    const auto refund = wallet->BuildRefund(bought.lock);
    ASSERT_TRUE(refund.has_value()) << refund.error().message;
    CommitAndMine(*refund, Amount(0));
    EXPECT_EQ(At(bought).status, PurchaseStatus::kRefunded);
    EXPECT_EQ(wallet->GetBalances().in_purchases, Amount(0));
    EXPECT_FALSE(wallet->BuildRefund(bought.lock).has_value());
}

TEST_F(SaleTest, ABumpedPurchaseKeepsItsBuyerKeyAndCanBeGranted) {
    const OutPoint film = world.PublishFilm();
    wallet = Open(store);
    Receive(Slu(20));
    auto bought = *wallet->BuildPurchase({film});
    ASSERT_TRUE(wallet->Commit(bought.built).has_value());
    const XOnlyPubKey buyer = At(bought).buyer_key;
    auto bumped = wallet->BuildFeeBump(bought.built.tx->txid(), 20'000);
    ASSERT_TRUE(bumped.has_value()) << bumped.error().message;
    world.ExpectValid(*bumped);
    ASSERT_TRUE(wallet->Commit(*bumped).has_value());
    EXPECT_EQ(wallet->GetBalances().total, Slu(20) - bumped->fee - bumped->burned);
    Mine({bumped->tx});
    ASSERT_EQ(wallet->Purchases().size(), 1u);
    const auto& [lock, purchase] = *wallet->Purchases().begin();
    EXPECT_EQ(purchase.buyer_key, buyer);
    EXPECT_EQ(lock, bumped->tx->Output(1));
    const Bytes annex = *consensus::FindAnnex(bumped->tx->inputs()[0].witness);
    bought.pre_signature =
        *Decode<crypto::AdaptorSignature>(*crypto::OpenBox(world.unseal, ByteSpan(annex).subspan(1)));
    bought.built = std::move(*bumped);
    bought.lock = lock;
    Mine({world.Grant(bought, wallet->BuyerKey(purchase))});
    EXPECT_EQ(wallet->BoughtKey(bought.lock)->Public(), ct::TestKey(ct::kTitleKey).Public());
}

TEST_F(SaleTest, PurchasesThatCannotBeAreRefusedWithTheReason) {
    const OutPoint film = world.PublishFilm();
    wallet = Open(store);
    Receive(Slu(20));
    EXPECT_EQ(wallet->BuildPurchase({OutPoint{}}).error().kind, ErrorKind::kNotFound);
    EXPECT_NE(wallet->BuildPurchase({film, 1}).error().message.find("tier 1"), std::string::npos);
    EXPECT_NE(wallet->BuildPurchase({film, 0, Slu(4)}).error().message.find("over your limit"), std::string::npos);
    const Height least = world.ledger.next_height() + world.ledger.params.refund_window_blocks;
    EXPECT_FALSE(wallet->BuildPurchase({film, 0, {}, least - 1}).has_value());
    EXPECT_TRUE(wallet->BuildPurchase({film, 0, {}, least}).has_value());
}

TEST_F(SaleTest, AClaimIsPublishedUpdatedAndRetired) {
    Receive(Slu(20));
    PublishRecord record = world.Film();
    const auto first = wallet->BuildPublish({record, Slu(2)});
    ASSERT_TRUE(first.has_value()) << first.error().message;
    CommitAndMine(first->built, Amount(0));
    EXPECT_EQ(wallet->GetBalances().in_claims, Slu(2));
    world.key_owners[record.title_key] = first->claim;
    EXPECT_FALSE(wallet->BuildPublish({record, Slu(2)}).has_value());

    record.updates = first->claim;
    record.title = "A film, restored";
    const auto second = wallet->BuildPublish({record, Slu(1)});
    ASSERT_TRUE(second.has_value()) << second.error().message;
    EXPECT_EQ(second->claim, first->claim);
    CommitAndMine(second->built, Amount(0));
    ASSERT_EQ(wallet->OwnClaims().size(), 1u);
    EXPECT_EQ(wallet->OwnClaims()[0].anchor, second->anchor);

    const Amount spendable = wallet->GetBalances().spendable;
    EXPECT_EQ(wallet->BuildPayment({{{kStranger, spendable + Amount(1)}}, true}).error().kind, ErrorKind::kFunds);
    const auto everything = wallet->BuildPayment({{{kStranger, spendable}}, true});
    ASSERT_TRUE(everything.has_value());
    wallet->Abandon(*everything);
    const auto retired = wallet->BuildRetire(first->claim);
    ASSERT_TRUE(retired.has_value()) << retired.error().message;
    CommitAndMine(*retired, Amount(0));
    EXPECT_TRUE(wallet->OwnClaims().empty());
    EXPECT_EQ(wallet->BuildRetire(first->claim).error().kind, ErrorKind::kNotFound);
}

TEST_F(SaleTest, PublishFormIsCheckedBeforeItIsEncoded) {
    Receive(Slu(20));
    PublishRecord record = world.Film();
    record.title = std::string(kMaxTitleBytes + 1, 'a');
    EXPECT_NE(wallet->BuildPublish({record}).error().message.find("title"), std::string::npos);
    record.title = std::string(kMaxTitleBytes, 'a');
    EXPECT_TRUE(wallet->BuildPublish({record}).has_value());
    record.description = std::string(kMaxDescriptionBytes + 1, 'a');
    EXPECT_FALSE(wallet->BuildPublish({record}).has_value());
}

TEST_F(SaleTest, ChannelsAreOpenedTogetherAndRefundedAfterExpiry) {
    Receive(Slu(20));
    ChannelRequest request;
    for (uint32_t i = 0; i < kMaxChannelsPerOpening; ++i) request.payees.push_back({ct::TestKey(i).XOnly(), Slu(1)});
    const auto opened = wallet->BuildChannels(request);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    CommitAndMine(opened->built, Amount(0));
    ASSERT_EQ(wallet->Channels().size(), kMaxChannelsPerOpening);
    EXPECT_EQ(wallet->GetBalances().in_channels, Slu(16));
    EXPECT_EQ(wallet->Channels().at(opened->channels[5].lock).status, ChannelStatus::kOpen);
    request.payees.push_back({ct::TestKey(20).XOnly(), Slu(1)});
    EXPECT_FALSE(wallet->BuildChannels(request).has_value());

    MineTo(opened->expiry_height + 1);
    EXPECT_EQ(wallet->RefundableLocks().size(), kMaxChannelsPerOpening);
    const auto refund = wallet->BuildRefund(opened->channels[5].lock);
    ASSERT_TRUE(refund.has_value()) << refund.error().message;
    CommitAndMine(*refund, Amount(0));
    EXPECT_EQ(wallet->Channels().at(opened->channels[5].lock).status, ChannelStatus::kRefunded);
    EXPECT_EQ(wallet->GetBalances().in_channels, Slu(15));
}

TEST_F(SaleTest, ASettledChannelReturnsTheRest) {
    Receive(Slu(20));
    const auto opened = wallet->BuildChannels({{{ct::TestKey(ct::kPayeeKey).XOnly(), Slu(5)}}, {}, kDefaultFeePerKvb});
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    CommitAndMine(opened->built, Amount(0));
    const auto& channel = opened->channels[0];
    const auto lock = *consensus::MakeLockTemplate(channel.payer_key.XOnly(), channel.payee_key, opened->expiry_height);
    const TxOutput returned{Slu(4), opened->return_script};
    const auto voucher =
        channel.payer_key.Sign(consensus::SingleOutputSighash(channel.lock, channel.output, lock, returned));
    MutableTransaction tx =
        world.ledger.Build({channel.lock}, {returned, ct::Ledger::RecordOutput(SettleRecord{{77}})});
    tx.inputs[0].sequence = consensus::kLockSpendSequence;
    const consensus::SpendingTransaction spending(tx, world.ledger.Spent(tx));
    const auto payee = ct::TestKey(ct::kPayeeKey)
                           .Sign(*spending.SignatureHash(0, consensus::kSighashDefault,
                                                         consensus::ScriptPathData{lock.pay_leaf_hash}));
    tx.inputs[0].witness = consensus::PayWitness(lock, voucher, payee);
    const Amount before = wallet->GetBalances().total;
    const auto settlement = MakeTransaction(std::move(tx));
    // Until it is in a block its payee may replace it: nothing is built on it.
    ASSERT_TRUE(wallet->AddUnconfirmed(settlement).has_value());
    EXPECT_EQ(wallet->GetBalances().pending, Slu(4));
    Mine({settlement});
    EXPECT_EQ(wallet->Channels().at(channel.lock).status, ChannelStatus::kSettled);
    EXPECT_EQ(wallet->GetBalances().total, before - Slu(1));
}

}  // namespace
}  // namespace sluice::wallet::testing
