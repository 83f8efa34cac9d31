#include "content/settlement.h"

#include <gtest/gtest.h>

#include "chain/mempool.h"
#include "content/settlement_ledger.h"

// Settlements as a mempool sees them: their size, what replaces them, what may be built on them.

namespace sluice::content {
namespace {

using consensus::testing::KeyScript;
using consensus::testing::Ledger;
using consensus::testing::Slu;
using testing::kLedgerGenesis;
using testing::LedgerSeed;
using testing::VouchedChannels;

constexpr Amount kRate{1'000};

struct Pool {
    Pool() {
        tip.height = ledger.height;
        tip.slot = ledger.slot;
        tip.epoch = ledger.params.EpochOf(ledger.slot);
    }
    chain::Mempool Make() { return chain::Mempool(ledger.params, ledger.state, tip, consensus::RunSpendsInOrder); }
    Settlement Settle(const std::vector<PayeeChannel>& channels, Amount rate = kRate) {
        auto built = BuildSettlement(ledger.params, kLedgerGenesis, channels, LedgerSeed(), KeyScript(7), rate);
        EXPECT_TRUE(built) << built.error().message;
        return std::move(*built);
    }

    Ledger ledger;
    consensus::HeaderState tip;
};
const UnixMillis kNow{};

std::string CodeOf(const consensus::Verdict<chain::AcceptResult>& result) { return result ? "" : result.error().code; }

TEST(SettlementPool, FiveHundredChannelsAreSettledInOneRelayedTransactionAndABlockTakesIt) {
    Pool pool;
    const auto channels = VouchedChannels(pool.ledger, kMaxSettledAtOnce + 1, Amount(1'000'000), Amount(400'000));
    ASSERT_EQ(kMaxSettledAtOnce, 500u);
    const Settlement settlement = pool.Settle(channels);
    EXPECT_EQ(settlement.channels.size(), 500u);
    EXPECT_EQ(settlement.take.drops + settlement.fee.drops + settlement.burned.drops, 500u * 400'000);
    EXPECT_EQ(settlement.returned.drops, 500u * 600'000);
    const auto tx = MakeTransaction(settlement.tx);
    EXPECT_LE(tx->weight(), chain::MempoolPolicy{}.max_settlement_weight);
    auto mempool = pool.Make();
    EXPECT_EQ(CodeOf(mempool.Accept(tx, kNow)), "");
    pool.ledger.Know(tx);
    pool.ledger.Connect({tx});  // conserves every drop
}

TEST(SettlementPool, TheWeightOfASettlementIsLimitedOneUnitAboveAndAt) {
    Pool pool;
    const Settlement settlement = pool.Settle(VouchedChannels(pool.ledger, 200, Amount(1'000'000), Amount(400'000)));
    const auto tx = MakeTransaction(settlement.tx);
    ASSERT_GT(tx->weight(), chain::MempoolPolicy{}.max_weight);
    chain::MempoolPolicy policy;
    policy.max_settlement_weight = tx->weight() - 1;
    chain::Mempool tight(pool.ledger.params, pool.ledger.state, pool.tip, consensus::RunSpendsInOrder, policy);
    EXPECT_EQ(CodeOf(tight.Accept(tx, kNow)), "tx-size");
    policy.max_settlement_weight = tx->weight();
    chain::Mempool fits(pool.ledger.params, pool.ledger.state, pool.tip, consensus::RunSpendsInOrder, policy);
    EXPECT_EQ(CodeOf(fits.Accept(tx, kNow)), "");
}

// [A payer hangs children on his output of a settlement, so that replacing it is too dear for the payee.]
TEST(SettlementPool, APayerCannotPinASettlementByBuildingOnItsOutput) {
    Pool pool;
    const auto channels = VouchedChannels(pool.ledger, 3, Slu(1), Amount(400'000));
    const Settlement settlement = pool.Settle(channels);
    const auto tx = pool.ledger.Know(MakeTransaction(settlement.tx));
    auto mempool = pool.Make();
    ASSERT_EQ(CodeOf(mempool.Accept(tx, kNow)), "");
    const auto child =
        pool.ledger.Sign(pool.ledger.Build({tx->Output(0)}, {{Amount(1'000), KeyScript(3)}}, Amount(10'000'000)));
    EXPECT_EQ(CodeOf(mempool.Accept(child, kNow)), "child-of-settlement");
    // The settlement is replaced for no more than its own fee and relay.
    const auto better = MakeTransaction(pool.Settle(channels, Amount(2'100)).tx);
    EXPECT_EQ(CodeOf(mempool.Accept(better, kNow)), "");
    EXPECT_EQ(mempool.size(), 1u);
    EXPECT_TRUE(mempool.SanityCheck());
    // Once it is in a block its outputs are like any others.
    pool.ledger.Connect({tx});
    Pool later;
    later.ledger.state = pool.ledger.state;
    later.ledger.height = pool.ledger.height;
    later.ledger.slot = pool.ledger.slot;
    chain::Mempool after(
        pool.ledger.params, pool.ledger.state,
        [&] {
            auto tip = pool.tip;
            tip.height = pool.ledger.height;
            tip.slot = pool.ledger.slot;
            return tip;
        }(),
        consensus::RunSpendsInOrder);
    EXPECT_EQ(CodeOf(after.Accept(child, kNow)), "");
}

TEST(SettlementPool, AFeeSpikeIsMetByReplacementsThatTheTakePaysDropForDrop) {
    Pool pool;
    const auto channels = VouchedChannels(pool.ledger, 4, Amount(1'000'000), Amount(300'000));
    auto mempool = pool.Make();
    Amount rate = kRate;
    Settlement last = pool.Settle(channels, rate);
    ASSERT_EQ(CodeOf(mempool.Accept(MakeTransaction(last.tx), kNow)), "");
    for (int round = 0; round < 6; ++round) {
        rate = RaisedSettleRate(rate, Amount(0));
        const Settlement next = pool.Settle(channels, rate);
        ASSERT_EQ(CodeOf(mempool.Accept(MakeTransaction(next.tx), kNow)), "") << round;
        EXPECT_EQ(next.take.drops + next.fee.drops, last.take.drops + last.fee.drops) << "only our take pays";
        EXPECT_EQ(next.returned, last.returned);
        last = next;
    }
    EXPECT_EQ(rate, Amount(64'000));
    EXPECT_EQ(mempool.size(), 1u);
    // At a rate that no take is worth nothing is signed.
    EXPECT_FALSE(
        BuildSettlement(pool.ledger.params, kLedgerGenesis, channels, LedgerSeed(), KeyScript(7), Amount(2'000'000)));
}

// [A payee settles an old voucher]: on the chain the payer gets back to the drop what the newest one would have paid
// beside it, and the newest one cannot be settled any more.
TEST(SettlementPool, AnOldVoucherCostsThePayeeExactlyWhatItLeavesOut) {
    Pool pool;
    auto channels = VouchedChannels(pool.ledger, 1, Amount(1'000'000), Amount(400'000));
    const Settlement newest = pool.Settle(channels);
    channels[0].returned = Amount(900'000);
    channels[0].signature =
        SignVoucher(channels[0].lock, consensus::testing::TestKey(1), channels[0].returned)->signature;
    const Settlement old = pool.Settle(channels);
    EXPECT_EQ(newest.take.drops - old.take.drops, 300'000u);
    EXPECT_EQ(old.tx.outputs[0], (TxOutput{Amount(900'000), KeyScript(3)}));
    EXPECT_EQ(newest.tx.outputs[0], (TxOutput{Amount(600'000), KeyScript(3)}));
    pool.ledger.Connect({pool.ledger.Know(MakeTransaction(old.tx))});  // conserves every drop
    EXPECT_EQ(pool.ledger.Code(MakeTransaction(newest.tx)), "bad-txns-inputs-missingorspent");
}

TEST(SettlementPool, ARefundThatConfirmedDropsItsInputAndTheRestIsSettledAnew) {
    Pool pool;
    auto channels = VouchedChannels(pool.ledger, 3, Amount(1'000'000), Amount(300'000));
    while (pool.ledger.next_height() <= channels[0].lock.expiry) pool.ledger.Connect();
    pool.tip.height = pool.ledger.height;
    pool.tip.slot = pool.ledger.slot;
    pool.tip.epoch = pool.ledger.params.EpochOf(pool.ledger.slot);
    auto mempool = pool.Make();
    const auto all = MakeTransaction(pool.Settle(channels).tx);
    ASSERT_EQ(CodeOf(mempool.Accept(all, kNow)), "");
    const auto refund = BuildChannelRefund(channels[1].lock, consensus::testing::TestKey(1), KeyScript(3), kRate);
    ASSERT_TRUE(refund);
    pool.ledger.Connect({pool.ledger.Know(MakeTransaction(*refund))});
    EXPECT_EQ(pool.ledger.Code(all), "bad-txns-inputs-missingorspent");
    channels.erase(channels.begin() + 1);
    const Settlement rest = pool.Settle(channels);
    EXPECT_EQ(pool.ledger.Code(MakeTransaction(rest.tx)), "");
    EXPECT_EQ(rest.take.drops + rest.fee.drops + rest.burned.drops, 600'000u);
}

// The payer's way out is valid from expiry + 1 on. A settlement with a higher rate takes its place in the pool even
// then; before, it has no rival at all.
TEST(SettlementPool, ASettlementConfirmsBeforeTheRefundIsValidAndOutbidsItFromThenOn) {
    Pool pool;
    const auto channels = VouchedChannels(pool.ledger, 1, Amount(1'000'000), Amount(300'000));
    const auto refund = MakeTransaction(
        *BuildChannelRefund(channels[0].lock, consensus::testing::TestKey(1), KeyScript(3), Amount(3'000)));
    const auto at_height = [&](Height next) {
        while (pool.ledger.next_height() < next) pool.ledger.Connect();
        pool.tip.height = pool.ledger.height;
        pool.tip.slot = pool.ledger.slot;
        pool.tip.epoch = pool.ledger.params.EpochOf(pool.ledger.slot);
        return pool.Make();
    };
    {
        auto mempool = at_height(channels[0].lock.expiry);
        EXPECT_EQ(CodeOf(mempool.Accept(refund, kNow)), "non-final");
        EXPECT_EQ(CodeOf(mempool.Accept(MakeTransaction(pool.Settle(channels).tx), kNow)), "");
    }
    auto mempool = at_height(channels[0].lock.expiry + 1);
    ASSERT_EQ(CodeOf(mempool.Accept(refund, kNow)), "");
    EXPECT_EQ(CodeOf(mempool.Accept(MakeTransaction(pool.Settle(channels, Amount(3'000)).tx), kNow)),
              "insufficient fee");
    EXPECT_EQ(CodeOf(mempool.Accept(MakeTransaction(pool.Settle(channels, Amount(6'000)).tx), kNow)), "");
    EXPECT_EQ(mempool.Find(refund->txid()), nullptr);
}

}  // namespace
}  // namespace sluice::content
