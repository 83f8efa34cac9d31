#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "node/virtual_world.h"

// Buyers and publishers who try to get a seller's key for nothing, or to keep it from selling.

namespace sluice::node::testing {
namespace {

constexpr size_t kBank = 0, kSeller = 1, kBuyer = 2;

Amount Slu(uint64_t n) { return Amount(n * kDropsPerSlu); }

class HostileSale : public ::testing::Test {
  protected:
    void SetUp() override {
        world.Add({.staker = 0, .phrase = std::string(consensus::kRegtestPhrase)});
        // The seller adds no coins to what buyers allow for the grant.
        world.Add({.add_nodes = {0}}, [](NodeConfig& config) { config.grant_max_fee_percent = 0; });
        world.Add({.add_nodes = {0, 1}});
        wallet::PaymentRequest request;
        buyer_phrase = world[kBuyer].MakeWallet();
        world[kSeller].MakeWallet();
        request.payments.push_back({world[kSeller].NewScript(), Slu(500)});
        for (int i = 0; i < 4; ++i) request.payments.push_back({world[kBuyer].NewScript(), Slu(500)});
        ASSERT_TRUE(world.RunUntil([&] { return world[0].tip().height() > Height(2); }));
        const auto paid = world[kBank].wallet().BuildPayment(request);
        ASSERT_TRUE(paid) << paid.error().message;
        world[kBank].Broadcast(*paid);
        ASSERT_TRUE(world.RunUntil([&] { return world[kBuyer].wallet().GetBalances().spendable == Slu(2'000); }));
        Publish();
    }

    void Publish() {
        ASSERT_TRUE(storage::WriteFileAtomically(world[kSeller].disk().files(), "/film.bin", Bytes(300'000, 7)));
        PublishOptions options;
        options.price = Slu(5);
        const auto source = world[kSeller]->publish_jobs().Inspect("/film.bin");
        ASSERT_TRUE(source) << source.error().message;
        const auto job = world[kSeller]->publish_jobs().StartPublish(*source, options);
        ASSERT_TRUE(job) << job.error().message;
        ASSERT_TRUE(world.RunUntil([&] { return world[kSeller].Job(*job).state == JobState::kDone; }));
        claim = *ClaimId::FromHex(world[kSeller].Job(*job).result.at("claim"));
        ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    }
    ClaimInfo Info() { return world[kBuyer]->claims().Find(claim).value(); }
    OutPoint Buy(const OutPoint& publish, std::optional<Amount> allowance = {}) {
        wallet::PurchaseRequest request;
        request.publish = publish;
        request.grant_allowance = allowance;
        const auto built = world[kBuyer].wallet().BuildPurchase(request);
        EXPECT_TRUE(built) << built.error().message;
        world[kBuyer].Broadcast(built->built);
        return built->lock;
    }
    wallet::PurchaseStatus StatusOf(const OutPoint& purchase) {
        return world[kBuyer].wallet().Purchases().at(purchase).status;
    }
    bool BecomesGranted(const OutPoint& purchase) {
        return world.RunUntil([&] { return StatusOf(purchase) == wallet::PurchaseStatus::kGranted; }, seconds(120));
    }

    VirtualWorld world{12};
    ClaimId claim;
    std::string buyer_phrase;
};

TEST_F(HostileSale, ACopyOfARecordWithAnotherPriceAndPayoutGetsNoGrant) {
    // The buyer's coins in a wallet that does not refuse the title key of another claim.
    const chain::ChainManager& chain = world[kBuyer]->chain().chain();
    storage::MemoryDisk disk(5);
    const auto store = disk.files().OpenKeyValue("/wallet", 1 << 20).value();
    const auto forger =
        wallet::Wallet::Restore(*store, wallet::WalletNetwork::For(chain.genesis()), {}, world.random(), buyer_phrase)
            .value();
    ASSERT_TRUE(forger->ConnectBlock(chain.genesis().MakeBlock()));
    for (Height height(1); height <= chain.tip()->height(); ++height)
        ASSERT_TRUE(forger->ConnectBlock(*chain.GetBlockAt(height).value()));
    wallet::PublishRequest copy;
    copy.record = Info().record;
    copy.record.price = Amount(1'000);
    copy.record.payout_script = world[kBuyer].NewScript();
    const auto built = forger->BuildPublish(copy);
    ASSERT_TRUE(built) << built.error().message;
    const auto accepted = world[kBuyer]->chain().Submit(built->built.tx);
    ASSERT_TRUE(accepted) << accepted.error().ToString();
    ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));

    const OutPoint cheap = Buy(built->anchor);
    const OutPoint honest = Buy(Info().anchor);
    ASSERT_TRUE(BecomesGranted(honest));
    world.RunFor(seconds(60));
    EXPECT_EQ(StatusOf(cheap), wallet::PurchaseStatus::kPending);
    EXPECT_EQ(world[kSeller]->sales().Waiting(), 0u);
}

TEST_F(HostileSale, PurchasesThatDoNotPayForTheirGrantHoldUpNoOther) {
    std::vector<OutPoint> stingy;
    for (int i = 0; i < 3; ++i) stingy.push_back(Buy(Info().anchor, Amount(0)));
    const OutPoint honest = Buy(Info().anchor);
    ASSERT_TRUE(BecomesGranted(honest));
    for (const OutPoint& purchase : stingy) EXPECT_EQ(StatusOf(purchase), wallet::PurchaseStatus::kPending);
    EXPECT_TRUE(world.RunUntil([&] { return world[kSeller]->sales().Waiting() == stingy.size(); }));
}

}  // namespace
}  // namespace sluice::node::testing
