#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "node/virtual_world.h"

// Publishing, seeding, buying, granting, fetching and settling between whole nodes on virtual time.

namespace sluice::node::testing {
namespace {

constexpr uint64_t kFileBytes = 5 << 20;
const std::string kInput = "/film.bin";
const std::string kOutput = "/bought.bin";

Amount Slu(uint64_t n) { return Amount(n * kDropsPerSlu); }
Amount Drops(uint64_t n) { return Amount(n); }

// A staker that holds all the money at first, a seller, a buyer and a seeder, who each have some of it once SetUp is
// done.
class Sale : public ::testing::Test {
  protected:
    explicit Sale(uint64_t seed = 11) : world(seed) {}
    static constexpr size_t kBank = 0, kSeller = 1, kBuyer = 2, kSeeder = 3;

    void SetUp() override {
        world.Add({.staker = 0, .phrase = std::string(consensus::kRegtestPhrase)});
        world.Add({.add_nodes = {0}});
        world.Add({.add_nodes = {0, 1}});
        world.Add({.add_nodes = {0, 1, 2}});
        wallet::PaymentRequest request;
        for (const size_t number : {kSeller, kBuyer, kSeeder}) {
            const std::string phrase = world[number].MakeWallet();
            if (number == kBuyer) buyer_phrase = phrase;
            request.payments.push_back({world[number].NewScript(), Slu(number == kBuyer ? 5'000 : 500)});
        }
        ASSERT_TRUE(world.RunUntil([&] { return world[0].tip().height() > Height(2); }));
        const auto paid = world[kBank].wallet().BuildPayment(request);
        ASSERT_TRUE(paid) << paid.error().message;
        world[kBank].Broadcast(*paid);
        ASSERT_TRUE(world.RunUntil([&] { return world[kSeeder].wallet().GetBalances().spendable == Slu(500); }));
        world.ExpectWalletsOwnEverything();
    }

    // The seller publishes a file; its claim.
    void Publish(Amount price, Amount ask_per_mib) {
        Bytes film(kFileBytes);
        SeededRandom(99).Fill(film);
        ASSERT_TRUE(storage::WriteFileAtomically(world[kSeller].disk().files(), kInput, film));
        PublishOptions options;
        options.price = price;
        options.seed_price_per_mib = ask_per_mib;
        options.ask_per_mib = ask_per_mib;
        const auto source = world[kSeller]->publish_jobs().Inspect(kInput);
        ASSERT_TRUE(source) << source.error().message;
        const auto job = world[kSeller]->publish_jobs().StartPublish(*source, options);
        ASSERT_TRUE(job) << job.error().message;
        ASSERT_TRUE(Finishes(kSeller, *job));
        claim = *ClaimId::FromHex(world[kSeller].Job(*job).result.at("claim"));
        ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    }

    // The buyer pays for the key.
    void Buy() {
        const auto info = world[kBuyer]->claims().Find(claim);
        ASSERT_TRUE(info) << info.error().message;
        wallet::PurchaseRequest request;
        request.publish = info->anchor;
        auto built = world[kBuyer].wallet().BuildPurchase(request);
        ASSERT_TRUE(built) << built.error().message;
        purchase = built->lock;
        refund_height = built->refund_height;
        world[kBuyer].Broadcast(built->built);
    }
    wallet::PurchaseStatus PurchaseStatus() { return world[kBuyer].wallet().Purchases().at(purchase).status; }
    bool BecomesGranted() {
        return world.RunUntil([&] { return PurchaseStatus() == wallet::PurchaseStatus::kGranted; }, seconds(120));
    }

    ::testing::AssertionResult Finishes(size_t number, JobId job, milliseconds limit = seconds(300)) {
        world.RunUntil([&] { return world[number].Job(job).state != JobState::kRunning; }, limit);
        const JobInfo info = world[number].Job(job);
        if (info.state == JobState::kDone) return ::testing::AssertionSuccess();
        return ::testing::AssertionFailure()
               << "job " << job << " (" << info.kind << ", " << info.progress.phase << ", waits for '"
               << info.progress.waiting_for << "', " << info.progress.done_bytes
               << " bytes): " << (info.error ? info.error->message : "still runs");
    }
    JobId StartGet() {
        const auto job = world[kBuyer]->fetch_jobs().StartGet(claim, kOutput, {});
        EXPECT_TRUE(job) << job.error().message;
        return job.value_or(0);
    }
    void ExpectSameFile() {
        const auto bought = storage::ReadWholeFile(world[kBuyer].disk().files(), kOutput, kFileBytes + 1);
        ASSERT_TRUE(bought) << bought.error().message;
        EXPECT_EQ(*bought, storage::ReadWholeFile(world[kSeller].disk().files(), kInput, kFileBytes).value());
    }
    // What Node::SettleAll does, without waiting for strands.
    SettleOutcome Settle(size_t number) {
        SwarmService& swarm = world[number]->swarm();
        for (const content::PayeeChannel& channel : swarm.PayeeChannels())
            if (channel.phase != content::ChannelPhase::kClosed && channel.Paid() > Amount(0))
                swarm.CloseForSettling(channel.lock.outpoint);
        const auto settled = world[number]->payments().Settle(swarm.PayeeChannels());
        EXPECT_TRUE(settled) << settled.error().message;
        return settled.value_or(SettleOutcome{});
    }
    Amount Earned(size_t number) {
        Amount sum;
        for (const content::PayeeChannel& channel : world[number]->swarm().PayeeChannels())
            sum.drops += channel.Paid().drops;
        return sum;
    }
    bool HasEvent(size_t number, const std::string& topic, const std::string& subject) {
        for (const NodeEvent& event : world[number].Events())
            if (event.topic == topic && event.subject == subject) return true;
        return false;
    }
    ContentId Content() { return world[kBuyer]->claims().Find(claim).value().record.content; }

    VirtualWorld world;
    ClaimId claim;
    OutPoint purchase;
    Height refund_height;
    std::string buyer_phrase;
};

// With several seeds: what was on its way or unsaved when the power went differs.
class CrashedSale : public Sale, public ::testing::WithParamInterface<uint64_t> {
  protected:
    CrashedSale() : Sale(GetParam()) {}
};
INSTANTIATE_TEST_SUITE_P(Seeds, CrashedSale, ::testing::Values(1, 10, 22, 34, 38));

// [key and nonce met by two plaintexts]: a new version under the same title key is sealed under another salt, and so is
// what is sealed again.
TEST_F(Sale, EachSealingUnderATitleKeyHasASaltOfItsOwn) {
    ASSERT_NO_FATAL_FAILURE(Publish(Slu(1), Drops(0)));
    std::set<Salt> salts{world[kSeller]->claims().Find(claim)->record.sealing_salt};
    const PubKey title_key = world[kSeller]->claims().Find(claim)->record.title_key;
    for (const uint64_t version : {1, 1, 2}) {  // the same bytes again, then others
        Bytes film(kFileBytes);
        SeededRandom(99 + version).Fill(film);
        ASSERT_TRUE(storage::WriteFileAtomically(world[kSeller].disk().files(), kInput, film));
        const auto source = world[kSeller]->publish_jobs().Inspect(kInput);
        ASSERT_TRUE(source) << source.error().message;
        PublishOptions options;
        options.price = Slu(1);
        const auto job = world[kSeller]->publish_jobs().StartUpdate(claim, *source, options);
        ASSERT_TRUE(job) << job.error().message;
        ASSERT_TRUE(Finishes(kSeller, *job));
        const size_t known = salts.size();
        ASSERT_TRUE(world.RunUntil([&] {
            salts.insert(world[kSeller]->claims().Find(claim)->record.sealing_salt);
            return salts.size() > known;
        }));
        EXPECT_EQ(world[kSeller]->claims().Find(claim)->record.title_key, title_key);
    }
    EXPECT_EQ(salts.size(), 4u);
}

TEST_F(Sale, EveryDropOfAWholeSaleIsAccountedFor) {
    const Amount ask = Drops(2'000'000);
    Publish(Slu(150), ask);
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    world.ExpectWalletsOwnEverything();
    EXPECT_GT(world[kSeller].wallet().GetBalances().in_claims, Amount(0));

    FetchLimits limits;
    limits.max_price_per_mib = Slu(1);
    const auto seed = world[kSeeder]->fetch_jobs().StartSeed(claim, ask, limits);
    ASSERT_TRUE(seed) << seed.error().message;
    ASSERT_TRUE(Finishes(kSeeder, *seed));
    const Amount paid = ParseSlu(world[kSeeder].Job(*seed).result.at("paid"), "paid").value();
    EXPECT_GT(paid, Amount(0));
    EXPECT_TRUE(
        world.RunUntil([&] { return Earned(kSeller) == paid; }, seconds(10)));  // the last voucher is on its way

    Buy();
    EXPECT_EQ(PurchaseStatus(), wallet::PurchaseStatus::kUnconfirmed);
    ASSERT_TRUE(BecomesGranted());
    EXPECT_TRUE(HasEvent(kSeller, "grant", purchase.ToString()));

    const auto get = world[kBuyer]->fetch_jobs().StartGet(claim, kOutput, limits);
    ASSERT_TRUE(get) << get.error().message;
    ASSERT_TRUE(Finishes(kBuyer, *get));
    ExpectSameFile();
    EXPECT_GT(Earned(kSeeder), Amount(0));

    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    world.ExpectWalletsOwnEverything();
    const Amount earned = Earned(kSeller);
    const SettleOutcome settled = Settle(kSeller);
    EXPECT_GE(settled.channels, 2u);  // the seeder's and the buyer's
    EXPECT_EQ(settled.take.drops + settled.fee.drops + settled.burned.drops, earned.drops);
    EXPECT_GE(Settle(kSeeder).channels, 1u);
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    world.ExpectWalletsOwnEverything();
    // What is still in channels was opened for more and never used: it serves the next download, or comes back.
    for (size_t number = 0; number < world.size(); ++number) {
        Amount unused;
        for (const content::PayerChannel& channel : world[number]->swarm().PayerChannels())
            if (!channel.closed && channel.Paid() == Amount(0)) unused.drops += channel.lock.capacity.drops;
        EXPECT_EQ(world[number].wallet().GetBalances().in_channels, unused) << number;
    }
    EXPECT_EQ(world[kSeller].wallet().GetBalances().in_purchases, Amount(0));
    // The price less what the grant cost, and the earnings, are the seller's.
    EXPECT_GT(world[kSeller].wallet().GetBalances().total, Slu(500 + 149));
}

TEST_F(Sale, AnUnconfirmedPaymentIsForgottenWhenItConflictsButNotWhenTheMempoolHadNoRoomForIt) {
    wallet::PaymentRequest request;
    request.payments.push_back({world[kSeller].NewScript(), Slu(7)});
    const auto built = world[kBuyer].wallet().BuildPayment(request);
    ASSERT_TRUE(built) << built.error().message;
    world[kBuyer].Broadcast(*built);
    WalletService& service = world[kBuyer]->wallet();
    const auto is_known = [&] { return world[kBuyer].wallet().FindTransaction(built->tx->txid()).has_value(); };
    ASSERT_TRUE(is_known());
    using Why = chain::RemovedTransaction::Why;
    for (const Why why : {Why::kMined, Why::kEvicted, Why::kExpired}) {
        service.OnTransactionRemoved({built->tx, why});
        EXPECT_TRUE(is_known());
    }
    service.OnTransactionRemoved({built->tx, Why::kConflict});
    EXPECT_FALSE(is_known());
}

TEST_F(Sale, ASellerThatRestartsBetweenPurchaseAndGrantStillGrants) {
    Publish(Slu(2'000), Amount(0));  // granted six blocks deep
    Buy();
    ASSERT_TRUE(world.RunUntil([&] { return PurchaseStatus() == wallet::PurchaseStatus::kPending; }));
    ASSERT_EQ(world[kSeller]->sales().Waiting(), 1u);
    world[kSeller].Crash();
    world.RunFor(seconds(60));
    EXPECT_EQ(PurchaseStatus(), wallet::PurchaseStatus::kPending);
    const Status opened = world[kSeller].Open();
    ASSERT_TRUE(opened) << opened.error().message;
    ASSERT_TRUE(BecomesGranted());
    ASSERT_TRUE(Finishes(kBuyer, StartGet()));
    ExpectSameFile();
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    world.ExpectWalletsOwnEverything();
}

TEST_P(CrashedSale, ABuyerThatLosesPowerMidDownloadGoesOnWhereItWas) {
    const Amount ask = Drops(100'000);
    Publish(Slu(10), ask);
    Buy();
    ASSERT_TRUE(BecomesGranted());
    StartGet();
    const auto chunks_here = [&] {
        const auto stored = world[kBuyer]->chunks().Find(Content());
        return stored ? stored->SyncedCount() : 0;
    };
    ASSERT_TRUE(world.RunUntil([&] { return chunks_here() >= 4; }, seconds(120)));
    const uint32_t synced = chunks_here();
    ASSERT_FALSE(world[kBuyer]->chunks().Find(Content())->IsComplete());
    world[kBuyer].Crash();
    world.RunFor(seconds(20));
    const Status opened = world[kBuyer].Open();
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_GE(chunks_here(), synced);
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    ASSERT_TRUE(Finishes(kBuyer, StartGet()));
    ExpectSameFile();
    // A chunk or so may have been paid for and lost with the power.
    const uint64_t whole = ask.drops * Content().size_bytes / (1 << 20);
    EXPECT_GE(Earned(kSeller).drops, whole * 9 / 10);
    EXPECT_LE(Earned(kSeller).drops, whole + 2 * ask.drops);
}

TEST_F(Sale, APurchaseIsRefundedByItselfWhenTheSellerIsGone) {
    Publish(Slu(20), Amount(0));
    const Amount before = world[kBuyer].wallet().GetBalances().total;
    world[kSeller].Crash();
    Buy();
    ASSERT_TRUE(world.RunUntil([&] { return PurchaseStatus() == wallet::PurchaseStatus::kPending; }));
    ASSERT_TRUE(world.RunUntil([&] { return world[kBuyer].tip().height() + 1 >= refund_height; }, seconds(1'200)));
    EXPECT_EQ(PurchaseStatus(), wallet::PurchaseStatus::kPending);
    ASSERT_TRUE(world.RunUntil([&] { return PurchaseStatus() == wallet::PurchaseStatus::kRefunded; }, seconds(60)));
    ASSERT_TRUE(world.RunUntil([&] { return world[kBuyer].wallet().GetBalances().pending_trusted == Amount(0); }));
    EXPECT_GT(world[kBuyer].wallet().GetBalances().total.drops, before.drops - kDropsPerSlu / 100);  // all but fees
    EXPECT_EQ(world[kBuyer].wallet().GetBalances().in_purchases, Amount(0));

    const auto opened = world[kSeller].Open();
    ASSERT_TRUE(opened) << opened.error().message;
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    EXPECT_EQ(world[kSeller]->sales().Waiting(), 0u);
    world.ExpectWalletsOwnEverything();
}

TEST_F(Sale, EverythingThatABuyerOwnsComesBackFromThePhrase) {
    Publish(Slu(10), Amount(0));
    Buy();
    ASSERT_TRUE(BecomesGranted());
    VirtualNode& restored = world.Add({.add_nodes = {0}, .phrase = buyer_phrase});
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    EXPECT_EQ(restored.wallet().GetBalances().total, world[kBuyer].wallet().GetBalances().total);
    ASSERT_EQ(restored.wallet().Purchases().count(purchase), 1u);
    const auto key = restored.wallet().BoughtKey(purchase);
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(key->Public(), restored->claims().Find(claim).value().record.title_key);
}

// One node after the other loses power at some write, or the internet falls apart for a while, from the purchase to the
// opened file.
TEST_P(CrashedSale, NoPowerLossOrPartitionOnTheWayLosesMoneyOrTheFile) {
    const Amount ask = Drops(100'000);
    Publish(Slu(2'000), ask);
    SeededRandom& random = world.random();
    std::optional<JobId> job;
    const auto drive_buyer = [&] {
        VirtualNode& buyer = world[kBuyer];
        if (!buyer.IsUp() || buyer.stopped()) return;
        bool granted = false, bought = false;
        for (const auto& [lock, own] : buyer.wallet().Purchases()) {
            granted = granted || own.status == wallet::PurchaseStatus::kGranted;
            bought = bought || own.status != wallet::PurchaseStatus::kRefunded;
        }
        if (!bought) {
            const auto info = buyer->claims().Find(claim);
            wallet::PurchaseRequest request;
            if (info) request.publish = info->anchor;
            const auto built = buyer.wallet().BuildPurchase(request);
            if (built) (void)buyer->wallet().Broadcast(built->built);
        } else if (granted && (!job || buyer.Job(*job).state != JobState::kRunning) &&
                   !buyer.disk().files().Exists(kOutput)) {
            const auto started = buyer->fetch_jobs().StartGet(claim, kOutput, {});
            if (started) job = *started;
        }
    };
    size_t crashes = 0;
    const auto done = [&] { return world[kBuyer].IsUp() && world[kBuyer].disk().files().Exists(kOutput); };
    for (int round = 0; round < 60 && !done(); ++round) {
        const size_t victim = random.Below(4);
        if (random.Below(4) == 0)
            world.Partition({victim});
        else
            world[victim].disk().FailAfterWrites(random.Below(80));
        world.RunUntil([&] { return drive_buyer(), world[victim].stopped().has_value() || done(); },
                       milliseconds(500 + random.Below(8'000)));
        world.Heal();
        world[victim].Crash();
        if (victim == kBuyer) job.reset();
        ++crashes;
        world.RunFor(milliseconds(random.Below(3'000)));
        const Status opened = world[victim].Open();
        ASSERT_TRUE(opened) << opened.error().message;
    }
    EXPECT_GT(crashes, 2u);
    ASSERT_TRUE(world.RunUntil([&] { return drive_buyer(), done(); }, seconds(600)));
    world.RunFor(seconds(5));
    ExpectSameFile();
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }, seconds(200)));
    world.ExpectWalletsOwnEverything();
    world.ExpectOneHeaderForEachSlot();
    size_t granted = 0;
    for (const auto& [lock, own] : world[kBuyer].wallet().Purchases())
        granted += own.status == wallet::PurchaseStatus::kGranted ? 1 : 0;
    EXPECT_EQ(granted, 1u);
    EXPECT_EQ(world[kBuyer].wallet().Purchases().size(), 1u);
}

}  // namespace
}  // namespace sluice::node::testing
