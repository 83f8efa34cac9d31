#include <gtest/gtest.h>

#include "../consensus/ledger_fixture.h"
#include "content/sale.h"

namespace sluice::content {
namespace {

using namespace consensus::testing;

struct Sale {
    Sale() {
        publish = ledger.Published(ExamplePublish());
        ledger.params.refund_window_blocks = 30;
    }
    GrantItem Buy(Amount allowance) {
        const Lock lock = ledger.Purchased(publish, Amount(Slu(5).drops + allowance.drops));
        const LockedPurchase purchase{lock.outpoint, lock.output,
                                      *ledger.state.Get<consensus::PurchaseState>(lock.outpoint)};
        return {purchase, *MakePreSignature(TestKey(kBuyerKey), purchase), TestKey(kTitleKey), TestKey(kSellerKey)};
    }
    Ledger ledger;
    OutPoint publish;
};

TEST(GrantFee, AGrantIsMeasuredAsItIsBuilt) {
    for (const size_t count : {1, 2, 5}) {
        for (const uint64_t rate : {1'000, 7'777}) {
            Sale sale;
            std::vector<GrantItem> items;
            std::vector<const LockedPurchase*> purchases;
            for (size_t i = 0; i < count; ++i) items.push_back(sale.Buy(Amount(50'000)));
            for (const GrantItem& item : items) purchases.push_back(&item.purchase);
            const auto measure = MeasureGrant(sale.ledger.params, purchases, 0, KeyScript(7));
            const auto grant = BuildGrant(sale.ledger.params, sale.ledger.height, items, KeyScript(7), Amount(rate));
            ASSERT_TRUE(grant) << grant.error().message;
            EXPECT_EQ(measure.CostAt(Amount(rate)).drops, grant->fee.drops + grant->burned.drops);
            EXPECT_EQ(measure.allowance.drops, 50'000 * count);
            EXPECT_LE(MakeTransaction(grant->tx)->vsize(), measure.vsize);
            EXPECT_GE(MakeTransaction(grant->tx)->vsize() + 2, measure.vsize);
        }
    }
}

TEST(GrantFee, TheHighestRateIsPaidByTheAllowanceAndOneMoreIsNot) {
    Sale sale;
    const GrantItem item = sale.Buy(Amount(12'345));
    const LockedPurchase* purchase = &item.purchase;
    const auto measure = MeasureGrant(sale.ledger.params, std::span(&purchase, 1));
    const Amount highest = measure.HighestRate();
    EXPECT_EQ(measure.LackAt(highest), Amount(0));
    EXPECT_GT(measure.LackAt(Amount(highest.drops + 5)), Amount(0));
    EXPECT_EQ(measure.HighestRate(Amount(1'000)),
              Amount((12'345 + 1'000 - measure.burned.drops) * 1'000 / measure.vsize));
    const GrantItem stingy = sale.Buy(Amount(0));
    purchase = &stingy.purchase;
    EXPECT_EQ(MeasureGrant(sale.ledger.params, std::span(&purchase, 1)).HighestRate(), Amount(0));
}

TEST(GrantFee, AStuckGrantIsReplacedAfterThreeBlocksAndNearTheMarginAfterOneForTwice) {
    const auto next = [](uint64_t paid, uint64_t market, uint32_t waited, int64_t left) {
        return NextGrantRate({Amount(paid), Amount(market), waited, left});
    };
    constexpr int64_t kFar = 1'000, kNear = kGrantHurryBlocks - 1;
    EXPECT_FALSE(next(1'000, 1'000, 0, kFar));
    EXPECT_FALSE(next(1'000, 90'000, kGrantPatienceBlocks - 1, kFar));
    EXPECT_EQ(next(1'000, 1'000, kGrantPatienceBlocks, kFar), Amount(2'125));  // relay asks for 1,000 more
    EXPECT_EQ(next(100'000, 1'000, kGrantPatienceBlocks, kFar), Amount(125'000));
    EXPECT_EQ(next(1'000, 90'000, kGrantPatienceBlocks, kFar), Amount(90'000));
    EXPECT_FALSE(next(100'000, 1'000, 1, kGrantHurryBlocks));
    EXPECT_FALSE(next(100'000, 1'000, 0, kNear));
    EXPECT_EQ(next(100'000, 1'000, 1, kNear), Amount(200'000));
    EXPECT_EQ(next(100'000, 1'000, 1, -5), Amount(200'000));  // beyond: the key is out, only the fee can save the price
}

TEST(GrantFee, WhatWasRevealedIsGrantedAgainInsideTheMarginUpToTheRefundHeight) {
    Sale sale;
    std::vector<GrantItem> items;
    items.push_back(sale.Buy(Amount(10'000)));
    const Height refund = items[0].purchase.terms.refund_height;
    const auto built = [&](Height tip) {
        return BuildGrant(sale.ledger.params, tip, items, {}, Amount(1'000)).has_value();
    };
    EXPECT_FALSE(built(refund - 1));
    items[0].revealed = true;
    EXPECT_TRUE(built(refund - 1));
    EXPECT_FALSE(built(refund));
}

}  // namespace
}  // namespace sluice::content
