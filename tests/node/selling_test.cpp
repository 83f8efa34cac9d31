#include <gtest/gtest.h>

#include <chrono>

#include "consensus/genesis.h"
#include "consensus/ledger_fixture.h"
#include "node/virtual_world.h"

// The seller's agent between whole nodes: hot keys alone, margins, fees that rose, many purchases at once.

namespace sluice::node::testing {
namespace {

namespace ct = consensus::testing;

constexpr size_t kBank = 0, kSeller = 1, kBuyer = 2;

Amount Slu(uint64_t n) { return Amount(n * kDropsPerSlu); }

class Selling : public ::testing::Test {
  protected:
    void SetUp() override {
        world.Add({.staker = 0, .phrase = std::string(consensus::kRegtestPhrase)});
        world.Add({.add_nodes = {0}});
        world.Add({.add_nodes = {0, 1}});
        wallet::PaymentRequest request;
        world[kSeller].MakeWallet();
        world[kBuyer].MakeWallet();
        for (int i = 0; i < 3; ++i) request.payments.push_back({world[kSeller].NewScript(), Slu(100)});
        for (int i = 0; i < 6; ++i) request.payments.push_back({world[kBuyer].NewScript(), Slu(3'000)});
        ASSERT_TRUE(world.RunUntil([&] { return world[0].tip().height() > Height(2); }));
        const auto paid = world[kBank].wallet().BuildPayment(request);
        ASSERT_TRUE(paid) << paid.error().message;
        world[kBank].Broadcast(*paid);
        ASSERT_TRUE(world.RunUntil([&] { return world[kBuyer].wallet().GetBalances().spendable == Slu(18'000); }));
    }
    void Publish(Amount price) {
        ASSERT_TRUE(storage::WriteFileAtomically(world[kSeller].disk().files(), "/film.bin", Bytes(300'000, 7)));
        PublishOptions options;
        options.price = price;
        const auto source = world[kSeller]->publish_jobs().Inspect("/film.bin");
        ASSERT_TRUE(source) << source.error().message;
        const auto job = world[kSeller]->publish_jobs().StartPublish(*source, options);
        ASSERT_TRUE(job) << job.error().message;
        ASSERT_TRUE(world.RunUntil([&] { return world[kSeller].Job(*job).state == JobState::kDone; }));
        claim = *ClaimId::FromHex(world[kSeller].Job(*job).result.at("claim"));
        ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    }
    ClaimInfo Info() { return world[kBuyer]->claims().Find(claim).value(); }
    wallet::BuiltPurchase Buy(std::optional<Amount> allowance = {}) {
        wallet::PurchaseRequest request;
        request.publish = Info().anchor;
        request.grant_allowance = allowance;
        auto built = world[kBuyer].wallet().BuildPurchase(request);
        CHECK(built.has_value());
        world[kBuyer].Broadcast(built->built);
        return std::move(*built);
    }
    wallet::PurchaseStatus StatusOf(const OutPoint& purchase) {
        return world[kBuyer].wallet().Purchases().at(purchase).status;
    }
    bool Becomes(const OutPoint& purchase, wallet::PurchaseStatus status, milliseconds limit = seconds(200)) {
        return world.RunUntil([&] { return StatusOf(purchase) == status; }, limit);
    }
    // Gives `node` the seller's hot keys, as a file that is carried over.
    void CarryKeys(size_t node) {
        ASSERT_TRUE(world[kSeller]->sales().store().Export({}, "/keys"));
        const auto keys = storage::ReadWholeFile(world[kSeller].disk().files(), "/keys", 1 << 20);
        ASSERT_TRUE(keys);
        ASSERT_TRUE(storage::WriteFileAtomically(world[node].disk().files(), "/keys", *keys));
        const auto imported = world[node]->sales().ImportKeys("/keys");
        ASSERT_TRUE(imported) << imported.error().message;
    }
    void Reopen(size_t node) {
        world[node].Crash();
        const Status opened = world[node].Open();
        ASSERT_TRUE(opened) << opened.error().message;
    }
    // The seller's purchases are confirmed and it is alone when it grants: nobody hears of the grant.
    void GrantAlone(size_t grants) {
        world.Partition({kSeller});
        world[kSeller].config().sells = true;
        Reopen(kSeller);
        ASSERT_TRUE(
            world.RunUntil([&] { return world[kSeller]->sales().PendingGrants().size() == grants; }, seconds(200)));
    }

    VirtualWorld world{13};
    ClaimId claim;
};

class GrantMargin : public Selling, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(BothSides, GrantMargin, ::testing::Bool());

TEST_P(GrantMargin, TwoKBeforeTheRefundHeightNoGrantIsMadeAndOneBlockEarlierItIs) {
    const bool too_late = GetParam();
    Publish(Slu(5));
    world[kSeller].Crash();
    const auto bought = Buy();
    // The newest block from which a grant is made: 2k and one more before the refund height.
    const Height last = bought.refund_height - content::GrantMarginBlocks(world.params()) - 1;
    const Height stop = too_late ? last + 1 : last;
    ASSERT_TRUE(world.RunUntil([&] { return world[kBuyer].tip().height() >= stop; }, seconds(2'000)));
    ASSERT_EQ(world[kBuyer].tip().height(), stop);
    world[kBank].Crash();  // no more blocks
    ASSERT_EQ(world[kBuyer].tip().height(), stop);
    const Status opened = world[kSeller].Open();
    ASSERT_TRUE(opened) << opened.error().message;
    ASSERT_TRUE(world.RunUntil([&] { return world[kSeller].tip().height() == stop; }, seconds(60)));
    world.RunFor(seconds(120));
    EXPECT_EQ(world[kSeller]->sales().Waiting(), 1u);
    EXPECT_EQ(world[kSeller]->sales().PendingGrants().size(), too_late ? 0u : 1u);
    EXPECT_EQ(world[kBuyer].wallet().Purchases().at(bought.lock).key.has_value(), !too_late);
}

TEST_F(Selling, ANodeWithoutAWalletSellsWithHotKeysAndPaysTheColdScript) {
    Publish(Slu(5));
    const Script cold = Info().record.payout_script;
    world.Add({.add_nodes = {0, 2}});  // no wallet
    constexpr size_t kShop = 3;
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    CarryKeys(kShop);
    EXPECT_FALSE(world[kShop]->wallet().Exists());
    world[kSeller].Crash();
    const auto bought = Buy();
    ASSERT_TRUE(Becomes(bought.lock, wallet::PurchaseStatus::kGranted));
    const auto grant =
        world[kBuyer].wallet().FindTransaction(*world[kBuyer].wallet().Purchases().at(bought.lock).resolved_by);
    ASSERT_TRUE(grant);
    EXPECT_EQ(grant->tx->outputs()[0], (TxOutput{Slu(5), cold}));
    const Status opened = world[kSeller].Open();
    ASSERT_TRUE(opened) << opened.error().message;
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    world.ExpectWalletsOwnEverything();
}

// [a new owner of a claim names the old owner's keys and his own payout]
TEST_F(Selling, AnUpdateWithAPayoutScriptThatDidNotComeWithTheKeysIsNotSold) {
    Publish(Slu(5));
    world.Add({.add_nodes = {0, 2}});
    constexpr size_t kShop = 3;
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    CarryKeys(kShop);
    wallet::PublishRequest update;
    update.record = Info().record;
    update.record.updates = claim;
    update.record.price = Amount(1'000);
    update.record.payout_script = world[kBuyer].NewScript();
    const auto built = world[kSeller].wallet().BuildPublish(update);
    ASSERT_TRUE(built) << built.error().message;
    world[kSeller].config().sells = false;
    world[kSeller].Broadcast(built->built);
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    Reopen(kSeller);
    const auto cheap = Buy();
    ASSERT_EQ(cheap.terms.price, Amount(1'000));
    world.RunFor(seconds(60));
    EXPECT_EQ(StatusOf(cheap.lock), wallet::PurchaseStatus::kPending);
    EXPECT_EQ(world[kShop]->sales().Waiting(), 0u);
}

TEST_F(Selling, WhenFeesHaveRisenTheSellersCoinsPayWhatTheAllowanceDoesNot) {
    world[kSeller].config().grant_fee_per_kvb = 50'000;
    Reopen(kSeller);
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    Publish(Slu(5));
    const auto bought = Buy();
    ASSERT_TRUE(Becomes(bought.lock, wallet::PurchaseStatus::kGranted));
    const auto grant =
        world[kSeller].wallet().FindTransaction(*world[kBuyer].wallet().Purchases().at(bought.lock).resolved_by);
    ASSERT_TRUE(grant);
    EXPECT_EQ(grant->tx->inputs().size(), 2u);
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    world.ExpectWalletsOwnEverything();
    EXPECT_GT(world[kSeller].wallet().GetBalances().total.drops,
              Slu(304).drops);  // the price came, the fee did not eat it
}

TEST_F(Selling, AGrantNeverCostsMoreThanThePolicysPartOfThePrice) {
    world[kSeller].config().grant_fee_per_kvb = 50'000;
    world[kSeller].config().grant_max_fee_percent = 100;
    Reopen(kSeller);
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    Publish(Amount(5'000));  // a grant costs about 20,000 at this rate
    const auto bought = Buy();
    world.RunFor(seconds(60));
    EXPECT_EQ(StatusOf(bought.lock), wallet::PurchaseStatus::kPending);
    EXPECT_EQ(world[kSeller]->sales().Waiting(), 1u);
    // Told to, it pays more than the price.
    world[kSeller].config().grant_max_fee_percent = 1'000;
    Reopen(kSeller);
    ASSERT_TRUE(Becomes(bought.lock, wallet::PurchaseStatus::kGranted));
}

TEST_F(Selling, AGrantIsOnDiskBeforeItIsSentAndTheSameAfterARestart) {
    world[kSeller].config().sells = false;
    Reopen(kSeller);
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    Publish(Slu(5));
    const auto bought = Buy();
    ASSERT_TRUE(Becomes(bought.lock, wallet::PurchaseStatus::kPending));
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    GrantAlone(1);
    const Txid first = world[kSeller]->sales().PendingGrants()[0];
    Reopen(kSeller);
    EXPECT_EQ(world[kSeller]->sales().PendingGrants(), std::vector{first});
    EXPECT_NE(world[kSeller].chain().mempool().Find(first), nullptr);
    world.Heal();
    ASSERT_TRUE(Becomes(bought.lock, wallet::PurchaseStatus::kGranted));
}

TEST_F(Selling, ABatchOneOfWhosePurchasesIsSpentElsewhereGoesOnWithoutIt) {
    world[kSeller].config().sells = false;
    Reopen(kSeller);
    world.Add({.add_nodes = {0, 2}});
    constexpr size_t kShop = 3;
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    Publish(Slu(5));
    const auto paying = Buy();
    const auto stingy = Buy(Amount(0));  // only who has coins grants it
    ASSERT_TRUE(Becomes(paying.lock, wallet::PurchaseStatus::kPending));
    ASSERT_TRUE(Becomes(stingy.lock, wallet::PurchaseStatus::kPending));
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    GrantAlone(1);
    const Txid batch = world[kSeller]->sales().PendingGrants()[0];
    EXPECT_EQ(world[kSeller].chain().mempool().Find(batch)->tx->inputs().size(), 2u);
    CarryKeys(kShop);
    ASSERT_TRUE(Becomes(paying.lock, wallet::PurchaseStatus::kGranted));
    EXPECT_EQ(StatusOf(stingy.lock), wallet::PurchaseStatus::kPending);
    EXPECT_TRUE(world.RunUntil([&] { return world[kShop]->sales().Waiting() == 1; }));
    world.Heal();
    ASSERT_TRUE(Becomes(stingy.lock, wallet::PurchaseStatus::kGranted));
    EXPECT_NE(*world[kBuyer].wallet().Purchases().at(stingy.lock).resolved_by, batch);
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    world.ExpectWalletsOwnEverything();
}

TEST_F(Selling, APurchaseOfARetiredClaimIsFoundAndGrantedAfterARestart) {
    world[kSeller].config().sells = false;
    Reopen(kSeller);
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    Publish(Slu(5));
    const auto bought = Buy();
    ASSERT_TRUE(Becomes(bought.lock, wallet::PurchaseStatus::kPending));
    const auto retired = world[kSeller].wallet().BuildRetire(claim);
    ASSERT_TRUE(retired) << retired.error().message;
    world[kSeller].Broadcast(*retired);
    ASSERT_TRUE(world.RunUntil([&] { return !Info().live; }));
    world[kSeller].config().sells = true;
    Reopen(kSeller);
    ASSERT_TRUE(Becomes(bought.lock, wallet::PurchaseStatus::kGranted));
}

// One node that is bank, staker and seller, and purchases that are made without a wallet. A thousand in the default
// run; 5,000 take about 17 s: 1 s to be found again, 9 s to be granted in 10 blocks.
class SellingAtScale : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(AThousand, SellingAtScale, ::testing::Values(size_t{1'000}));
INSTANTIATE_TEST_SUITE_P(DISABLED_FiveThousand, SellingAtScale, ::testing::Values(size_t{5'000}));

TEST_P(SellingAtScale, PurchasesThatWaitAreGrantedInBatchesInTimeThatGrowsWithTheirNumberAlone) {
    const size_t kPurchases = GetParam();
    constexpr size_t kPerPayment = 500;
    constexpr uint32_t kCoinKey = 90;
    VirtualWorld world(14);
    world.Add({.staker = 0, .phrase = std::string(consensus::kRegtestPhrase)},
              [](NodeConfig& config) { config.sells = false; });
    ASSERT_TRUE(world.RunUntil([&] { return world[0].tip().height() > Height(2); }));
    ASSERT_TRUE(storage::WriteFileAtomically(world[0].disk().files(), "/film.bin", Bytes(1'000, 7)));
    PublishOptions options;
    options.price = Slu(1);
    const auto job = world[0]->publish_jobs().StartPublish(*world[0]->publish_jobs().Inspect("/film.bin"), options);
    ASSERT_TRUE(job) << job.error().message;
    ASSERT_TRUE(world.RunUntil([&] { return world[0].Job(*job).state == JobState::kDone; }));
    const ClaimId claim = *ClaimId::FromHex(world[0].Job(*job).result.at("claim"));
    const ClaimInfo info = world[0]->claims().Find(claim).value();

    // A coin for each.
    const Amount allowance(3'000), coin = Amount(Slu(1).drops + allowance.drops + 2'000);
    std::vector<OutPoint> coins;
    for (size_t first = 0; first < kPurchases; first += kPerPayment) {
        wallet::PaymentRequest request;
        for (size_t i = 0; i < kPerPayment; ++i) request.payments.push_back({ct::KeyScript(kCoinKey), coin});
        const auto paid = world[0].wallet().BuildPayment(request);
        ASSERT_TRUE(paid) << paid.error().message;
        world[0].Broadcast(*paid);
        for (uint32_t i = 0; i < paid->tx->outputs().size(); ++i)
            if (paid->tx->outputs()[i].script == ct::KeyScript(kCoinKey)) coins.push_back(paid->tx->Output(i));
        ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    }
    ASSERT_EQ(coins.size(), kPurchases);

    const Height refund = world[0].tip().height() + world.params().refund_window_blocks + 400;
    const crypto::SecretKey coin_key = *ct::TestKey(kCoinKey).TapTweak(std::nullopt);
    const TxOutput spent{coin, ct::KeyScript(kCoinKey)};
    for (size_t i = 0; i < kPurchases; ++i) {
        const crypto::SecretKey buyer = ct::TestKey(static_cast<uint32_t>(1'000 + i));
        const auto lock = consensus::MakeLockTemplate(buyer.XOnly(), info.record.seller_key, refund);
        MutableTransaction tx;
        tx.inputs.push_back({coins[i], {}, 0xfffffffd, {}});
        tx.outputs = {{Amount(0), RecordScript(EncodeRecord(PurchaseRecord{info.anchor, 0, buyer.XOnly(), refund}))},
                      {Amount(Slu(1).drops + allowance.drops), lock->output_script}};
        const consensus::PurchaseState terms{info.anchor,
                                             claim,
                                             0,
                                             buyer.XOnly(),
                                             info.record.seller_key,
                                             info.record.title_key,
                                             Slu(1),
                                             info.record.payout_script,
                                             refund};
        const auto promise = content::MakePreSignature(buyer, {{tx.ComputeTxid(), 1}, tx.outputs[1], terms});
        ASSERT_TRUE(promise) << promise.error().message;
        crypto::X25519SecretKey ephemeral;
        world.random().Fill(ephemeral.span());
        const Bytes annex = content::SealPreSignature(*promise, info.record.unseal_key, ephemeral);
        const consensus::SpendingTransaction spending(tx, {spent});
        const auto hash = spending.SignatureHash(0, consensus::kSighashDefault, {}, annex);
        ASSERT_TRUE(hash);
        tx.inputs[0].witness = {ToBytes(coin_key.Sign(*hash).bytes), annex};
        const auto accepted = world[0]->chain().Submit(MakeTransaction(std::move(tx)));
        ASSERT_TRUE(accepted) << accepted.error().ToString();
    }
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }, seconds(1'200)));

    // They wait; the node starts to sell.
    using Seconds = std::chrono::duration<double>;
    const auto since = [](auto start) { return Seconds(std::chrono::steady_clock::now() - start).count(); };
    world[0].config().sells = true;
    world[0].Crash();
    ASSERT_TRUE(world[0].Open());
    ASSERT_EQ(world[0]->sales().Waiting(), kPurchases);
    const auto scan_start = std::chrono::steady_clock::now();
    world[0]->sales().Rescan();
    const double scan_s = since(scan_start);
    EXPECT_EQ(world[0]->sales().Waiting(), kPurchases);
    const auto grant_start = std::chrono::steady_clock::now();
    const Height before = world[0].tip().height();
    ASSERT_TRUE(world.RunUntil([&] { return world[0]->sales().Waiting() == 0; }, seconds(1'200)));
    const double grant_s = since(grant_start);
    const int64_t blocks = world[0].tip().height() - before;
    size_t grants = 0;
    for (Height height = before + 1; height <= world[0].tip().height(); ++height) {
        const BlockRef block = world[0].chain().GetBlockAt(height).value();
        for (const TransactionRef& tx : block->transactions)
            grants += tx->tx().version == consensus::kLockSpendVersion ? 1 : 0;
    }
    const size_t least = (kPurchases + kMaxGrantedPurchases - 1) / kMaxGrantedPurchases;
    EXPECT_GE(grants, least);
    EXPECT_LE(grants, least + least / 4) << "batches are split without need";
    RecordProperty("rescan_ms", static_cast<int>(scan_s * 1'000));
    RecordProperty("grant_ms", static_cast<int>(grant_s * 1'000));
    std::printf("%zu pending: found again in %.2f s, granted in %zu transactions and %lld blocks in %.2f s\n",
                kPurchases, scan_s, grants, static_cast<long long>(blocks), grant_s);
    // A quadratic agent takes minutes.
    EXPECT_LT(scan_s, 30);
    EXPECT_LT(grant_s, 120);
    world.ExpectWalletsOwnEverything();
}

}  // namespace
}  // namespace sluice::node::testing
