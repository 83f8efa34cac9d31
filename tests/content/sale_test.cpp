#include "content/sale.h"

#include <gtest/gtest.h>

#include "../consensus/ledger_fixture.h"

namespace sluice::content {
namespace {

using namespace consensus::testing;

constexpr Amount kFeeRate{1'000};

struct Sale {
    Sale() {
        publish = ledger.Published(ExamplePublish());
        ledger.params.refund_window_blocks = 30;
    }
    LockedPurchase Buy(Amount allowance) {
        const Lock lock = ledger.Purchased(publish, Amount(Slu(5).drops + allowance.drops));
        return {lock.outpoint, lock.output, *ledger.state.Get<consensus::PurchaseState>(lock.outpoint)};
    }
    std::vector<GrantItem> Items(const std::vector<LockedPurchase>& purchases) {
        std::vector<GrantItem> items;
        for (const LockedPurchase& purchase : purchases)
            items.push_back(
                {purchase, *MakePreSignature(TestKey(kBuyerKey), purchase), TestKey(kTitleKey), TestKey(kSellerKey)});
        return items;
    }
    Result<Grant> Build(const std::vector<LockedPurchase>& purchases, const Script& change = {}) {
        return BuildGrant(ledger.params, ledger.height, Items(purchases), change, kFeeRate);
    }

    Ledger ledger;
    OutPoint publish;
};

TEST(Sale, TheGrantIsValidOnTheLedgerAndGivesTheBuyerTheKey) {
    Sale sale;
    const LockedPurchase purchase = sale.Buy(Amount(10'000));
    const auto pre_signature = MakePreSignature(TestKey(kBuyerKey), purchase);
    ASSERT_TRUE(pre_signature) << pre_signature.error().message;
    EXPECT_TRUE(VerifyPreSignature(purchase, *pre_signature));
    const auto grant = sale.Build({purchase}, KeyScript(7));
    ASSERT_TRUE(grant) << grant.error().message;
    EXPECT_EQ(grant->tx.outputs[0], (TxOutput{Slu(5), KeyScript(kPayoutKey)}));
    const auto effect = sale.ledger.Try(MakeTransaction(grant->tx));
    ASSERT_TRUE(effect) << effect.error().ToString();
    EXPECT_EQ(effect->fee, grant->fee);
    EXPECT_EQ(effect->burned, grant->burned);
    EXPECT_EQ(grant->tx.outputs.back().value.drops + grant->fee.drops + grant->burned.drops, 10'000u);
    const auto key = ExtractKey(purchase, *pre_signature, grant->tx.inputs[0].witness);
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(key->Public(), TestKey(kTitleKey).Public());
}

TEST(Sale, ManyPurchasesAreGrantedInOneTransaction) {
    Sale sale;
    std::vector<LockedPurchase> purchases;
    for (int i = 0; i < 3; ++i) purchases.push_back(sale.Buy(Amount(5'000)));
    const auto grant = sale.Build(purchases);
    ASSERT_TRUE(grant) << grant.error().message;
    EXPECT_EQ(sale.ledger.Code(MakeTransaction(grant->tx)), "");
    for (size_t i = 0; i < purchases.size(); ++i)
        EXPECT_TRUE(
            ExtractKey(purchases[i], *MakePreSignature(TestKey(kBuyerKey), purchases[i]), grant->tx.inputs[i].witness));
}

TEST(Sale, AWalletCoinPaysTheFeeThatTheAllowanceDoesNot) {
    Sale sale;
    const LockedPurchase purchase = sale.Buy(Amount(0));
    const auto poor = sale.Build({purchase});
    ASSERT_FALSE(poor);
    EXPECT_EQ(poor.error().kind, ErrorKind::kFunds);
    const OutPoint coin = sale.ledger.Fund(Slu(1));
    const auto grant = BuildGrant(sale.ledger.params, sale.ledger.height, sale.Items({purchase}), KeyScript(7),
                                  kFeeRate, {{{coin, sale.ledger.known.at(coin)}}, {}});
    ASSERT_TRUE(grant) << grant.error().message;
    EXPECT_EQ(sale.ledger.Code(sale.ledger.Sign(grant->tx)), "");
}

TEST(Sale, ThePreSignatureTravelsSealedInTheAnnexToTheUnsealKeyAlone) {
    Sale sale;
    const LockedPurchase purchase = sale.Buy(Amount(10'000));
    const auto pre_signature = *MakePreSignature(TestKey(kBuyerKey), purchase);
    crypto::X25519SecretKey unseal, other, ephemeral;
    unseal.data()[1] = 1, other.data()[1] = 2, ephemeral.data()[1] = 3;
    const Bytes annex = SealPreSignature(pre_signature, crypto::X25519Public(unseal), ephemeral);
    EXPECT_EQ(annex.size(), consensus::kPurchaseAnnexBytes);
    EXPECT_EQ(*OpenPreSignature(annex, unseal), pre_signature);
    EXPECT_FALSE(OpenPreSignature(annex, other));
    Bytes changed = annex;
    changed.back() ^= 1;
    EXPECT_FALSE(OpenPreSignature(changed, unseal));
    EXPECT_FALSE(OpenPreSignature(ByteSpan(annex).first(annex.size() - 1), unseal));
}

TEST(Sale, APreSignatureForOtherTermsDoesNotVerify) {
    Sale sale;
    const LockedPurchase purchase = sale.Buy(Amount(10'000));
    const auto pre_signature = *MakePreSignature(TestKey(kBuyerKey), purchase);
    const auto differs = [&](auto change) {
        LockedPurchase other = purchase;
        change(other);
        return !VerifyPreSignature(other, pre_signature);
    };
    EXPECT_TRUE(differs([](auto& p) { p.terms.price.drops -= 1; }));
    EXPECT_TRUE(differs([](auto& p) { p.terms.payout_script = KeyScript(8); }));
    EXPECT_TRUE(differs([](auto& p) { p.terms.key = TestKey(8).Public(); }));
    EXPECT_TRUE(differs([](auto& p) { p.lock.index ^= 1; }));
    EXPECT_TRUE(differs([](auto& p) { p.output.value.drops += 1; }));
    EXPECT_TRUE(differs([](auto& p) { p.terms.refund_height = p.terms.refund_height + 1; }));
    EXPECT_FALSE(MakePreSignature(TestKey(8), purchase));
}

TEST(Sale, NoGrantWithinTwoKOfTheRefundHeight) {
    Sale sale;
    const LockedPurchase purchase = sale.Buy(Amount(10'000));
    const Height last = purchase.terms.refund_height - GrantMarginBlocks(sale.ledger.params) - 1;
    EXPECT_TRUE(BuildGrant(sale.ledger.params, last, sale.Items({purchase}), {}, kFeeRate));
    const auto late = BuildGrant(sale.ledger.params, last + 1, sale.Items({purchase}), {}, kFeeRate);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().kind, ErrorKind::kUnavailable);
}

TEST(Sale, AGrantWithTheWrongSecretOrSellerKeyIsNotBuilt) {
    Sale sale;
    const LockedPurchase purchase = sale.Buy(Amount(10'000));
    auto items = sale.Items({purchase});
    items[0].secret = TestKey(9);
    EXPECT_FALSE(BuildGrant(sale.ledger.params, sale.ledger.height, items, {}, kFeeRate));
    items = sale.Items({purchase});
    items[0].seller_key = TestKey(9);
    EXPECT_FALSE(BuildGrant(sale.ledger.params, sale.ledger.height, items, {}, kFeeRate));
}

TEST(Sale, ARefundRevealsNoKey) {
    Sale sale;
    const LockedPurchase purchase = sale.Buy(Amount(10'000));
    const auto pre_signature = *MakePreSignature(TestKey(kBuyerKey), purchase);
    const auto lock =
        consensus::MakeLockTemplate(purchase.terms.buyer_key, purchase.terms.seller_key, purchase.terms.refund_height);
    EXPECT_FALSE(ExtractKey(purchase, pre_signature, consensus::RefundWitness(*lock, {})));
    EXPECT_FALSE(ExtractKey(purchase, pre_signature, consensus::PayWitness(*lock, {}, {})));
    EXPECT_FALSE(ExtractKey(purchase, pre_signature, {}));
}

}  // namespace
}  // namespace sluice::content
