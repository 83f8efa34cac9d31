#include "content/channel.h"

#include <gtest/gtest.h>

#include "../consensus/ledger_fixture.h"
#include "content/settlement.h"
#include "storage/memory_disk.h"

namespace sluice::content {
namespace {

using consensus::testing::KeyScript;
using consensus::testing::Ledger;
using consensus::testing::Slu;
using consensus::testing::TestKey;

constexpr Amount kFeeRate{1'000};

SecretBytes<32> Seed() {
    SecretBytes<32> seed;
    seed.data()[5] = 9;
    return seed;
}
const BlockHash kGenesis{{4, 4}};
const crypto::X25519PublicKey kPayerNode{{1}}, kPayeeNode{{2}};

ChannelLock ExampleLock(Amount capacity = Amount(1'000'000)) {
    ChannelLock lock;
    lock.outpoint.index = 3;
    lock.payer_key = TestKey(1).XOnly();
    lock.payee_key = TestKey(2).XOnly();
    lock.expiry = Height(500);
    lock.capacity = capacity;
    lock.return_script = KeyScript(3);
    return lock;
}
PayeeChannel ExamplePayee() {
    PayeeChannel channel;
    channel.lock = ExampleLock();
    channel.returned = channel.lock.capacity;
    return channel;
}

TEST(Meter, RoundsUpOnceAndNotForEachPart) {
    Meter meter;
    for (int i = 0; i < 64; ++i) meter.Add(kLeafBytes, Amount(1));
    EXPECT_EQ(meter.Owed(), Amount(1));
    meter.Add(1, Amount(1));
    EXPECT_EQ(meter.Owed(), Amount(2));
    meter.Subtract(1, Amount(1));
    EXPECT_EQ(meter.Owed(), Amount(1));
    meter.Subtract(uint64_t{1} << 40, Amount(1));
    EXPECT_EQ(meter, Meter{});
    meter.Add(~uint64_t{0}, kMaxSupply);
    EXPECT_EQ(meter.Owed(), kMaxSupply);
}

TEST(Voucher, VerifiesOnlyForItsChannelAmountAndScript) {
    const ChannelLock lock = ExampleLock();
    const auto voucher = SignVoucher(lock, TestKey(1), Amount(900'000));
    ASSERT_TRUE(voucher);
    EXPECT_TRUE(VerifyVoucher(lock, *voucher));
    Voucher other = *voucher;
    other.returned = Amount(899'999);
    EXPECT_FALSE(VerifyVoucher(lock, other));
    ChannelLock elsewhere = lock;
    elsewhere.return_script = KeyScript(4);
    EXPECT_FALSE(VerifyVoucher(elsewhere, *voucher));
    elsewhere = lock;
    elsewhere.capacity.drops += 1;
    EXPECT_FALSE(VerifyVoucher(elsewhere, *voucher));
    elsewhere = lock;
    elsewhere.outpoint.index = 4;
    EXPECT_FALSE(VerifyVoucher(elsewhere, *voucher));
    EXPECT_FALSE(VerifyVoucher(lock, *SignVoucher(lock, TestKey(2), Amount(900'000)))) << "another key";
}

TEST(Voucher, ReturnsAtLeastDustAndAtMostTheCapacity) {
    const ChannelLock lock = ExampleLock();
    EXPECT_FALSE(SignVoucher(lock, TestKey(1), Amount(329)));
    EXPECT_TRUE(VerifyVoucher(lock, *SignVoucher(lock, TestKey(1), Amount(330))));
    EXPECT_TRUE(VerifyVoucher(lock, *SignVoucher(lock, TestKey(1), lock.capacity)));
    EXPECT_FALSE(SignVoucher(lock, TestKey(1), Amount(lock.capacity.drops + 1)));
}

TEST(Voucher, WhatIsReturnedNeverRisesAndTheFirstIsWorthSettling) {
    PayeeChannel channel = ExamplePayee();
    const auto at = [&](uint64_t returned) { return *SignVoucher(channel.lock, TestKey(1), Amount(returned)); };
    EXPECT_FALSE(AcceptVoucher(channel, *channel.lock.Template(), at(999'001), Amount(1'000)));
    EXPECT_TRUE(AcceptVoucher(channel, *channel.lock.Template(), at(999'000), Amount(1'000)));
    EXPECT_FALSE(AcceptVoucher(channel, *channel.lock.Template(), at(999'000), Amount(1'000)));
    EXPECT_FALSE(AcceptVoucher(channel, *channel.lock.Template(), at(999'001), Amount(1'000)));
    EXPECT_TRUE(AcceptVoucher(channel, *channel.lock.Template(), at(998'999), Amount(1'000)));
    EXPECT_EQ(channel.Paid(), Amount(1'001));
}

TEST(PayerChannel, PaysWhatIsOwedTheFirstTimeAtLeastTheTermsAndNeverBelowDust) {
    PayerChannel channel;
    channel.lock = ExampleLock(Amount(3'330));
    channel.returned = channel.lock.capacity;
    channel.first_voucher = Amount(1'000);
    EXPECT_FALSE(channel.Pay(*channel.lock.Template(), TestKey(1)));
    channel.meter.Add(1 << 20, Amount(10));
    EXPECT_EQ(channel.Pay(*channel.lock.Template(), TestKey(1))->returned, Amount(2'330));
    EXPECT_FALSE(channel.Pay(*channel.lock.Template(), TestKey(1))) << "paid ahead";
    channel.meter.Add(1 << 20, Amount(1'490));
    EXPECT_EQ(channel.Pay(*channel.lock.Template(), TestKey(1))->returned, Amount(1'830));
    EXPECT_TRUE(channel.CanPay(1 << 20, Amount(1'500)));
    EXPECT_FALSE(channel.CanPay(1 << 20, Amount(1'501)));
    channel.meter.Add(1 << 20, Amount(9'000));
    EXPECT_EQ(channel.Pay(*channel.lock.Template(), TestKey(1))->returned, kMinReturned);
    EXPECT_FALSE(channel.Pay(*channel.lock.Template(), TestKey(1)));
}

TEST(PayerChannel, TakesBackAVoucherThatItForgotButNoForgery) {
    PayerChannel channel;
    channel.lock = ExampleLock();
    channel.returned = channel.lock.capacity;
    const auto voucher = SignVoucher(channel.lock, TestKey(1), Amount(700'000));
    channel.Restore(Amount(600'000), voucher->signature);
    EXPECT_EQ(channel.returned, channel.lock.capacity);
    channel.Restore(Amount(700'000), voucher->signature);
    EXPECT_EQ(channel.returned, Amount(700'000));
    EXPECT_EQ(*Decode<PayerChannel>(Encode(channel)), channel);
}

TEST(Channel, OpeningIsBoundToBothNodesAndKeptAwayFromItsExpiry) {
    consensus::Params params;
    params.channel_window_blocks = 200;
    const ChannelLock lock = ExampleLock();
    ChannelOpen open{lock.outpoint, lock.payer_key, lock.payee_key,     {},
                     lock.expiry,   lock.capacity,  lock.return_script, {}};
    open.signature = TestKey(1).Sign(ChannelOpenHash(kGenesis, lock, {}, kPayerNode, kPayeeNode));
    EXPECT_TRUE(CheckChannelOpen(params, kGenesis, Height(479), open, kPayerNode, kPayeeNode, lock.payee_key));
    EXPECT_FALSE(CheckChannelOpen(params, kGenesis, Height(480), open, kPayerNode, kPayeeNode, lock.payee_key))
        << "inside the margin of 20";
    EXPECT_FALSE(CheckChannelOpen(params, kGenesis, Height(1), open, kPayeeNode, kPayeeNode, lock.payee_key));
    EXPECT_FALSE(CheckChannelOpen(params, kGenesis, Height(1), open, kPayerNode, kPayerNode, lock.payee_key));
    EXPECT_FALSE(CheckChannelOpen(params, {}, Height(1), open, kPayerNode, kPayeeNode, lock.payee_key));
    EXPECT_FALSE(CheckChannelOpen(params, kGenesis, Height(1), open, kPayerNode, kPayeeNode, lock.payer_key));
    consensus::Params main;
    EXPECT_GE(SettleMarginBlocks(main), 20'000u);
}

TEST(VoucherLog, KeepsTheHighestVoucherThroughPowerLossAndCompacts) {
    storage::MemoryDisk disk(3);
    ASSERT_TRUE(disk.files().CreateDirectories("/d"));
    PayeeChannel channel = ExamplePayee();
    {
        auto log = VoucherLog::Open(disk.files(), "/d/vouchers");
        ASSERT_TRUE(log);
        for (int i = 1; i <= 2'000; ++i) {
            channel.returned.drops -= 10;
            ASSERT_TRUE((*log)->Save(channel));
        }
        EXPECT_LT((*log)->size_bytes(), 100'000u);
        PayeeChannel worse = channel;
        worse.returned.drops += 1;
        EXPECT_FALSE((*log)->Save(worse));
        PayeeChannel second = channel;
        second.lock.outpoint.index = 8;
        ASSERT_TRUE((*log)->Save(second));
        ASSERT_TRUE((*log)->Forget(second.lock.outpoint));
    }
    disk.Crash();
    auto log = VoucherLog::Open(disk.files(), "/d/vouchers");
    ASSERT_TRUE(log) << log.error().message;
    ASSERT_EQ((*log)->channels().size(), 1u);
    EXPECT_EQ((*log)->channels().begin()->second, channel);
}

// Channels really opened on a ledger, with the payee's keys derived as the swarm does.
std::vector<PayeeChannel> OpenOnLedger(Ledger& ledger, size_t count, Amount capacity) {
    std::vector<PayeeChannel> channels;
    for (size_t i = 0; i < count; ++i) {
        PayeeChannel channel;
        channel.payer_node = kPayerNode;
        channel.salt.bytes[0] = static_cast<uint8_t>(i);
        channel.lock = ExampleLock(capacity);
        channel.lock.payee_key = DerivePayeeKey(Seed(), kGenesis, kPayerNode, channel.salt).XOnly();
        channel.lock.expiry = ledger.next_height() + ledger.params.channel_window_blocks;
        const ChannelRecord record{channel.lock.payer_key, channel.lock.payee_key, channel.lock.expiry};
        const auto tx =
            ledger.Sign(ledger.Build({ledger.Fund(Slu(10))}, {Ledger::RecordOutput(record),
                                                              {capacity, channel.lock.Template()->output_script}}));
        ledger.Connect({tx});
        channel.lock.outpoint = tx->Output(1);
        channel.returned = capacity;
        channel.served_bytes = 1'000 * (i + 1);
        channels.push_back(channel);
    }
    return channels;
}

TEST(Settlement, OfManyChannelsIsValidOnTheLedgerAndConservesEveryDrop) {
    Ledger ledger;
    auto channels = OpenOnLedger(ledger, 5, Amount(1'000'000));
    uint64_t owed = 0;
    for (size_t i = 0; i < channels.size(); ++i) {
        const Amount paid(100'000 * (i + 1));
        owed += paid.drops;
        ASSERT_TRUE(AcceptVoucher(channels[i], *channels[i].lock.Template(),
                                  *SignVoucher(channels[i].lock, TestKey(1), Amount(1'000'000 - paid.drops)),
                                  Amount(1)));
    }
    const auto settlement = BuildSettlement(ledger.params, kGenesis, channels, Seed(), KeyScript(7), kFeeRate);
    ASSERT_TRUE(settlement) << settlement.error().message;
    EXPECT_EQ(settlement->take.drops + settlement->fee.drops + settlement->burned.drops, owed);
    EXPECT_EQ(settlement->channels[0], channels[4].lock.outpoint) << "the most valuable first";
    const auto tx = MakeTransaction(settlement->tx);
    const auto effect = ledger.Try(tx);
    ASSERT_TRUE(effect) << effect.error().ToString();
    EXPECT_EQ(effect->fee, settlement->fee);
    EXPECT_EQ(effect->burned, settlement->burned);
    EXPECT_GE(effect->fee.drops, tx->vsize() * kFeeRate.drops / 1'000);
    EXPECT_LE(effect->fee.drops, tx->vsize() * kFeeRate.drops / 1'000 + 10);
}

TEST(Settlement, TakesFiveHundredChannelsAtMostAndLeavesDebtsThatCostMoreThanTheyBring) {
    Ledger ledger;
    auto channels = OpenOnLedger(ledger, 3, Amount(1'000'000));
    const Amount cost = MarginalSettleCost(ledger.params, kFeeRate);
    EXPECT_EQ(FirstVoucher(ledger.params, kFeeRate), Amount(2 * cost.drops));
    EXPECT_FALSE(BuildSettlement(ledger.params, kGenesis, channels, Seed(), KeyScript(7), kFeeRate)) << "no vouchers";
    const uint64_t paid[]{cost.drops, cost.drops + 1, 100 * cost.drops};
    for (size_t i = 0; i < 3; ++i)
        ASSERT_TRUE(AcceptVoucher(channels[i], *channels[i].lock.Template(),
                                  *SignVoucher(channels[i].lock, TestKey(1), Amount(1'000'000 - paid[i])), Amount(1)));
    const auto settlement = BuildSettlement(ledger.params, kGenesis, channels, Seed(), KeyScript(7), kFeeRate);
    ASSERT_TRUE(settlement) << settlement.error().message;
    EXPECT_EQ(settlement->channels, (std::vector{channels[2].lock.outpoint, channels[1].lock.outpoint}));

    std::vector<PayeeChannel> many;
    for (size_t i = 0; i < kMaxSettledAtOnce + 1; ++i) {
        PayeeChannel channel = channels[2];
        channel.lock.outpoint.index = static_cast<uint32_t>(i);
        channel.returned = channel.lock.capacity;
        channel.signature.reset();
        ASSERT_TRUE(AcceptVoucher(channel, *channel.lock.Template(),
                                  *SignVoucher(channel.lock, TestKey(1), Amount(500'000)), Amount(1)));
        many.push_back(channel);
    }
    const auto full = BuildSettlement(ledger.params, kGenesis, many, Seed(), KeyScript(7), kFeeRate);
    ASSERT_TRUE(full) << full.error().message;
    EXPECT_EQ(full->channels.size(), kMaxSettledAtOnce);
}

TEST(Settlement, AVoucherThatCannotBeIsLeftOutAndHoldsUpNoOther) {
    Ledger ledger;
    auto channels = OpenOnLedger(ledger, 4, Amount(1'000'000));
    for (PayeeChannel& channel : channels) {
        channel.returned = Amount(500'000);
        channel.signature = SignVoucher(channel.lock, TestKey(1), channel.returned)->signature;
    }
    channels[0].signature = SignVoucher(channels[0].lock, TestKey(9), Amount(500'000))->signature;
    channels[1].returned = Amount(2'000'000);  // over the capacity
    channels[3].lock.payer_key = XOnlyPubKey{};
    const auto settlement = BuildSettlement(ledger.params, kGenesis, channels, Seed(), KeyScript(7), kFeeRate);
    ASSERT_TRUE(settlement) << settlement.error().message;
    EXPECT_EQ(settlement->channels, std::vector{channels[2].lock.outpoint});
    EXPECT_EQ(settlement->take.drops + settlement->fee.drops + settlement->burned.drops, 500'000u);
    ledger.Connect({ledger.Know(MakeTransaction(settlement->tx))});
    channels.resize(2);
    EXPECT_FALSE(BuildSettlement(ledger.params, kGenesis, channels, Seed(), KeyScript(7), kFeeRate));
}

TEST(Settlement, ThePatientRateTakesATenthOfWhatItBrings) {
    Ledger ledger;
    auto channels = OpenOnLedger(ledger, 3, Amount(1'000'000));
    for (PayeeChannel& channel : channels) {
        channel.returned = Amount(600'000);
        channel.signature = SignVoucher(channel.lock, TestKey(1), channel.returned)->signature;
    }
    const auto settlement = BuildSettlement(ledger.params, kGenesis, channels, Seed(), KeyScript(7),
                                            PatientSettleRate(ledger.params, channels));
    ASSERT_TRUE(settlement) << settlement.error().message;
    const uint64_t cost = settlement->fee.drops + settlement->burned.drops;
    EXPECT_LE(cost, 3 * 400'000u / kPatientPart);
    EXPECT_GE(cost, 3 * 400'000u / kPatientPart * 95 / 100);
    for (PayeeChannel& channel : channels) channel.returned = Amount(1'000'000 - 100);
    EXPECT_EQ(PatientSettleRate(ledger.params, channels), Amount(0));
}

TEST(Refund, IsReplacedAfterTwoBlocksForTwiceOrWhatOthersPayAndNeverForMoreThanATenthOfTheLock) {
    constexpr size_t kVsize = 140;
    const auto next = [](uint64_t refunded, uint64_t paid, uint64_t estimate, uint32_t waited) {
        return NextRefundRate({Amount(refunded), kVsize, Amount(paid), waited}, Amount(estimate));
    };
    EXPECT_FALSE(next(1'000'000, 2'000, 90'000, kSettlePatience - 1));
    EXPECT_EQ(next(1'000'000, 2'000, 2'000, kSettlePatience), Amount(4'000));
    EXPECT_EQ(next(1'000'000, 2'000, 4'001, kSettlePatience), Amount(4'001));
    EXPECT_EQ(next(1'000'000, 2'000, 90'000, kSettlePatience), Amount(90'000));
    // A tenth of 10,000 drops is 1,000: 7,142 per 1,000 vB.
    EXPECT_EQ(PatientRefundRate(Amount(10'000), kVsize), Amount(7'142));
    EXPECT_LE((kVsize * 7'142 + 999) / 1'000, 1'000u);
    EXPECT_GT((kVsize * 7'150 + 999) / 1'000, 1'000u);
    EXPECT_EQ(next(10'000, 2'000, 7'142, 9), Amount(7'142));
    EXPECT_EQ(next(10'000, 2'000, 7'143, 9), Amount(7'142));
    EXPECT_EQ(next(10'000, 3'571, 2'000, 9), Amount(7'142));
    // The bound leaves less room than relay asks of a replacement, and just more.
    EXPECT_FALSE(next(10'000, 6'142, 90'000, 9));
    EXPECT_EQ(next(10'000, 6'141, 90'000, 9), Amount(7'142));
    EXPECT_FALSE(next(10'000, 7'142, 90'000, 9));
    EXPECT_FALSE(next(10'000, 20'000, 90'000, 9)) << "its owner paid more than this rule would";
    EXPECT_FALSE(next(kMinReturned.drops, 2'000, 90'000, 9));
    EXPECT_FALSE(next(0, 2'000, 90'000, 9));
    // Whatever a lock holds, the rate is one that may be paid at all.
    EXPECT_EQ(next(kMaxSupply.drops, 60'000'000, 2'000, 9), kMaxSettleFeePerKvb);
    EXPECT_FALSE(next(kMaxSupply.drops, kMaxSettleFeePerKvb.drops, 2'000, 9));
}

TEST(Settlement, TheRefundIsValidFromTheExpiryOn) {
    Ledger ledger;
    const auto channels = OpenOnLedger(ledger, 1, Amount(1'000'000));
    const auto refund = BuildChannelRefund(channels[0].lock, TestKey(1), KeyScript(3), kFeeRate);
    ASSERT_TRUE(refund) << refund.error().message;
    const auto tx = MakeTransaction(*refund);
    while (ledger.next_height() < channels[0].lock.expiry) ledger.Connect();
    EXPECT_NE(ledger.Code(tx), "");
    ledger.Connect();
    EXPECT_EQ(ledger.Code(tx), "");
}

}  // namespace
}  // namespace sluice::content
