#include "node/fraud_reports.h"

#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "node/virtual_world.h"

// Proofs against sellers whose key opens something else, between whole nodes: found out while the grant waits for a
// block, and made once it is in one.

namespace sluice::node::testing {
namespace {

constexpr size_t kBank = 0, kSeller = 1, kBuyer = 2;

const Hash256 kOtherKey = *Hash256::FromHex(std::string(64, '1'));

Amount Slu(uint64_t n) { return Amount(n * kDropsPerSlu); }

// The parameter: whether the buyer's node is restarted in between.
class FraudReportsTest : public ::testing::TestWithParam<bool> {
  protected:
    void SetUp() override {
        world.Add({.staker = 0, .phrase = std::string(consensus::kRegtestPhrase)});
        world.Add({.add_nodes = {0}}, [](NodeConfig& config) { config.sells = false; });
        world.Add({.add_nodes = {0, 1}});
        wallet::PaymentRequest request;
        for (const size_t number : {kSeller, kBuyer}) {
            world[number].MakeWallet();
            for (int i = 0; i < 3; ++i) request.payments.push_back({world[number].NewScript(), Slu(100)});
        }
        ASSERT_TRUE(world.RunUntil([&] { return world[0].tip().height() > Height(2); }));
        const auto paid = world[kBank].wallet().BuildPayment(request);
        ASSERT_TRUE(paid) << paid.error().message;
        world[kBank].Broadcast(*paid);
        ASSERT_TRUE(world.RunUntil([&] { return world[kBuyer].wallet().GetBalances().spendable == Slu(300); }));
    }
    ClaimId Publish(std::optional<Hash256> seal_key) {
        EXPECT_TRUE(storage::WriteFileAtomically(world[kSeller].disk().files(), "/film.bin", Bytes(300'000, 7)));
        PublishOptions options;
        options.price = Slu(5);
        options.seal_key = seal_key;
        const auto source = world[kSeller]->publish_jobs().Inspect("/film.bin");
        EXPECT_TRUE(source) << source.error().message;
        const auto job = world[kSeller]->publish_jobs().StartPublish(*source, options);
        EXPECT_TRUE(job) << job.error().message;
        EXPECT_TRUE(world.RunUntil([&] { return world[kSeller].Job(*job).state == JobState::kDone; }));
        const ClaimId claim = *ClaimId::FromHex(world[kSeller].Job(*job).result.at("claim"));
        EXPECT_TRUE(world.RunUntil([&] { return world[kBuyer]->claims().Find(claim).has_value(); }));
        return claim;
    }
    void Reopen(size_t node) {
        if (world[node].IsUp()) world[node].Crash();
        const Status opened = world[node].Open();
        ASSERT_TRUE(opened) << opened.error().message;
    }
    // The buyer has the key from a grant that no block has.
    void BuyAndSeeAnUnconfirmedGrant(const ClaimId& claim) {
        wallet::PurchaseRequest request;
        request.publish = world[kBuyer]->claims().Find(claim)->anchor;
        const auto built = world[kBuyer].wallet().BuildPurchase(request);
        ASSERT_TRUE(built) << built.error().message;
        world[kBuyer].Broadcast(built->built);
        const auto purchase = [&] { return world[kBuyer].wallet().Purchases().at(built->lock); };
        ASSERT_TRUE(world.RunUntil([&] {
            const auto found = world[kBuyer]->chain().chain().indexes().FindPurchase(built->lock);
            return found && *found && world[kBuyer].tip().height() > (*found)->place.height + 20;
        }));
        world[kBank].Crash();  // no more blocks
        world[kSeller].config().sells = true;
        Reopen(kSeller);
        ASSERT_TRUE(world.RunUntil([&] { return purchase().key.has_value(); }, seconds(120)));
        const auto grant = world[kBuyer]->chain().chain().indexes().FindGrant(built->lock);
        ASSERT_TRUE(grant && !grant->has_value());
    }
    bool HasProof(const ClaimId& claim) { return world[kBuyer]->frauds().FileOf(claim).has_value(); }
    void ExpectAProofOnceTheGrantIsInABlock(const ClaimId& claim) {
        const auto waits = world[kBuyer]->frauds().FileOf(claim);
        ASSERT_FALSE(waits);
        EXPECT_EQ(waits.error().kind, ErrorKind::kUnavailable) << waits.error().message;
        if (GetParam()) {
            Reopen(kBuyer);
            world.RunFor(seconds(5));
            const auto still = world[kBuyer]->frauds().FileOf(claim);
            ASSERT_FALSE(still);
            EXPECT_EQ(still.error().kind, ErrorKind::kUnavailable) << still.error().message;
        }
        Reopen(kBank);
        ASSERT_TRUE(world.RunUntil([&] { return HasProof(claim); }, seconds(300)));
        const auto proof = world[kBuyer]->frauds().Load(claim);
        ASSERT_TRUE(proof) << proof.error().message;
        EXPECT_TRUE(content::VerifyFraudProof(*proof));
        // Nothing waits any more.
        const auto files = world[kBuyer].disk().files().List(world[kBuyer].config().ChainDir() + "/fraud");
        ASSERT_TRUE(files);
        EXPECT_EQ(files->size(), 1u);
        Reopen(kBuyer);
        EXPECT_TRUE(HasProof(claim));
    }

    VirtualWorld world{31};
};
INSTANTIATE_TEST_SUITE_P(RestartedAndNot, FraudReportsTest, ::testing::Bool());

TEST_P(FraudReportsTest, AFalseBundleWhoseGrantWaitsForABlockIsProvenOnceItIsInOne) {
    const ClaimId single = Publish({});
    BundleOptions options{"a false bundle", "", Slu(1), {single}};
    world[kSeller]->bundles().CheatWith(*crypto::SecretKey::FromBytes(Bytes(32, 0x22)));
    const auto published = world[kSeller]->bundles().Publish(options);
    ASSERT_TRUE(published) << published.error().message;
    ASSERT_TRUE(world.RunUntil([&] { return world[kBuyer]->claims().Find(published->claim).has_value(); }));
    BuyAndSeeAnUnconfirmedGrant(published->claim);
    ASSERT_TRUE(world.RunUntil([&] {
        const auto bundles = world[kBuyer]->keys().Bundles();
        return bundles.size() == 1 && bundles[0].here;
    }));
    EXPECT_EQ(world[kBuyer]->keys().Bundles()[0].good, std::vector{false});
    ExpectAProofOnceTheGrantIsInABlock(published->claim);
}

TEST_P(FraudReportsTest, AFileThatDoesNotOpenWhileItsGrantWaitsForABlockIsProvenOnceItIsInOne) {
    const ClaimId claim = Publish(kOtherKey);
    BuyAndSeeAnUnconfirmedGrant(claim);
    const auto job = world[kBuyer]->fetch_jobs().StartGet(claim, "/opened", {});
    ASSERT_TRUE(job) << job.error().message;
    ASSERT_TRUE(world.RunUntil([&] { return world[kBuyer].Job(*job).state == JobState::kFailed; }));
    ExpectAProofOnceTheGrantIsInABlock(claim);
}

TEST_P(FraudReportsTest, AKeyThatThisWalletDidNotBuyLeavesNothingThatWaits) {
    const ClaimId claim = Publish(kOtherKey);
    // The creator's own node opens it with its own key.
    const auto job = world[kSeller]->fetch_jobs().StartGet(claim, "/opened", {});
    ASSERT_TRUE(job) << job.error().message;
    ASSERT_TRUE(world.RunUntil([&] { return world[kSeller].Job(*job).state == JobState::kFailed; }));
    const auto none = world[kSeller]->frauds().FileOf(claim);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace sluice::node::testing
