#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "content/settlement.h"
#include "node/payee_seeds.h"
#include "node/virtual_world.h"

// What a node earned comes to its wallet by itself, through the whole node and a chain: with each block it looks at
// what is due. Money is counted in drops over all wallets.

namespace sluice::node::testing {
namespace {

using content::PayeeChannel;

constexpr Amount kCapacity{10'000'000};

// Node 0 makes blocks and pays, node 1 earns. `paid`: of the voucher that node 1 has.
struct Earner {
    explicit Earner(uint64_t seed) : world(seed) {
        world.Add({.staker = 0, .phrase = std::string(consensus::kRegtestPhrase)});
        world.Add({.add_nodes = {0}});
        world[1].MakeWallet();
        world.RunFor(seconds(5));
    }
    BlockHash genesis() { return world[1].chain().genesis_hash(); }

    // Opens channels that node 1 can settle, confirms them, and signs a voucher on each.
    std::vector<PayeeChannel> Open(const std::vector<Amount>& paid) {
        wallet::ChannelRequest request;
        std::vector<PayeeChannel> channels(paid.size());
        const SecretBytes<32> seed = WalletPayeeSeed(world[1].wallet(), genesis());
        for (size_t i = 0; i < paid.size(); ++i) {
            channels[i].payer_node.bytes[0] = 7;
            channels[i].salt.bytes[0] = static_cast<uint8_t>(++salts);
            const auto key = content::DerivePayeeKey(seed, genesis(), channels[i].payer_node, channels[i].salt);
            request.payees.push_back({key.XOnly(), kCapacity});
        }
        const auto built = world[0].wallet().BuildChannels(request);
        EXPECT_TRUE(built) << built.error().message;
        world[0].Broadcast(built->built);
        for (size_t i = 0; i < paid.size(); ++i) {
            const auto& opened = built->channels[i];
            channels[i].lock = {opened.lock,          opened.payer_key.XOnly(), opened.payee_key,
                                built->expiry_height, opened.output.value,      built->return_script};
            channels[i].returned = Amount(kCapacity.drops - paid[i].drops);
            channels[i].signature =
                content::SignVoucher(channels[i].lock, opened.payer_key, channels[i].returned)->signature;
            channels[i].served_bytes = 1'000;
            payer_keys.push_back(opened.payer_key.Clone());
        }
        expiry = built->expiry_height;
        EXPECT_TRUE(world.RunUntil(
            [&] { return world[1].chain().state().Get<consensus::Coin>(channels.back().lock.outpoint).has_value(); }));
        return channels;
    }
    uint64_t Earned() { return world[1].wallet().GetBalances().total.drops; }
    Height Tip() { return world[1].tip().height(); }
    uint64_t Cost(uint64_t channels) {
        return channels * content::MarginalSettleCost(world[1]->params(), Amount(wallet::kDefaultFeePerKvb)).drops;
    }

    VirtualWorld world;
    // What node 1's mempool spends the channel with, and its rate.
    const chain::MempoolEntry* Spender(const PayeeChannel& channel) {
        const auto txid = world[1].chain().mempool().SpenderOf(channel.lock.outpoint);
        return txid ? world[1].chain().mempool().Find(*txid) : nullptr;
    }

    Height expiry;
    uint32_t salts{0};
    std::vector<crypto::SecretKey> payer_keys;
};

TEST(Earning, WhatIsWorthAHundredTimesItsFeeIsSettledOnceNobodyUsesItAndTheRestIsNot) {
    Earner earner(21);
    earner.world[1].config().settle_idle = seconds(60);
    earner.world[1].Crash();
    ASSERT_TRUE(earner.world[1].Open());
    const uint64_t ripe = 100 * earner.Cost(1);
    const auto channels = earner.Open({Amount(ripe), Amount(ripe - 1)});
    earner.world[1]->payments().Restore(channels, {});
    earner.world.RunFor(seconds(55));
    EXPECT_EQ(earner.Earned(), 0u) << "within a minute it may be used again";
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.Earned() > 0; }, seconds(60)));
    EXPECT_LT(earner.Earned(), ripe);
    EXPECT_GT(earner.Earned(), ripe - 3 * earner.Cost(1));
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.world.AllSettled(); }));
    earner.world.ExpectWalletsOwnEverything();
}

TEST(Earning, ADebtThatIsNotRipeIsSettledFromTheMarginOnAndNotABlockBefore) {
    Earner earner(22);
    const auto channels = earner.Open({Amount(20'000)});
    earner.world[1]->payments().Restore(channels, {});
    const uint32_t margin = content::SettleMarginBlocks(earner.world[1]->params());
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.Tip() + (margin + 1) >= earner.expiry; }, seconds(3'000)));
    if (earner.Tip() + (margin + 1) == earner.expiry) EXPECT_EQ(earner.Earned(), 0u);
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.Earned() > 0; }, seconds(300)));
    EXPECT_LT(earner.Tip(), earner.expiry) << "long before the payer can take it back";
    EXPECT_GT(earner.Earned(), 20'000 - 3 * earner.Cost(1));
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.world.AllSettled(); }));
    earner.world.ExpectWalletsOwnEverything();
}

// [Debts not worth redeeming] stay: the payer's refund takes them, and no fee was wasted.
TEST(Earning, ADebtUnderItsCostIsNeverSettledAndGoesBackToThePayer) {
    Earner earner(23);
    const auto channels = earner.Open({Amount(earner.Cost(1))});
    earner.world[1]->payments().Restore(channels, {});
    ASSERT_TRUE(earner.world.RunUntil(
        [&] { return !earner.world[0].chain().state().Get<consensus::Coin>(channels[0].lock.outpoint); },
        seconds(3'000)));
    EXPECT_GT(earner.world[0].tip().height(), earner.expiry);
    EXPECT_EQ(earner.Earned(), 0u);
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.world.AllSettled(); }));
    earner.world.ExpectWalletsOwnEverything();
}

// Power fails at every write while vouchers are taken up and settled: what was saved is settled in the end, once.
TEST(Earning, ACrashAtAnyWriteWhileSettlingLosesAndDoublesNothing) {
    Earner earner(24);
    earner.world[1].config().settle_idle = seconds(0);
    const uint64_t paid = 200 * earner.Cost(1);
    const auto channels = earner.Open({Amount(paid), Amount(paid), Amount(paid)});
    earner.world[1].Crash();
    ASSERT_TRUE(earner.world[1].Open());
    earner.world.RunFor(seconds(5));
    for (size_t round = 0; round < 10; ++round) {
        earner.world[1]->payments().Restore(channels, {});
        earner.world[1].disk().FailAfterWrites(3 + 7 * round);
        earner.world.RunUntil([&] { return earner.world[1].stopped().has_value(); }, seconds(10));
        earner.world[1].Crash();
        earner.world.RunFor(seconds(2));
        const Status opened = earner.world[1].Open();
        ASSERT_TRUE(opened) << opened.error().message;
        earner.world.RunFor(seconds(2));
    }
    earner.world[1]->payments().Restore(channels, {});
    const uint64_t most = 3 * paid, least = 3 * paid - 9 * earner.Cost(1);
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.Earned() >= least; }, seconds(600)));
    earner.world.RunFor(seconds(60));
    EXPECT_LE(earner.Earned(), most);
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.world.AllSettled(); }));
    earner.world.ExpectWalletsOwnEverything();
}

// [A payer that takes back what it has paid]: node 1 was away until after the expiry. Its settlement outbids the refund
// that is in the pool, whoever was first.
TEST(Earning, ARefundThatShowsUpIsOutbidWhileItIsNotInABlock) {
    Earner earner(25);
    const auto channels = earner.Open({Amount(5'000'000)});
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.Tip() + 2 >= earner.expiry; }, seconds(3'000)));
    earner.world[1]->payments().Restore(channels, {});
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.Earned() > 0; }, seconds(300)));
    EXPECT_GT(earner.Earned(), 5'000'000 - 20 * earner.Cost(1));
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.world.AllSettled(); }));
    earner.world.ExpectWalletsOwnEverything();
}

// [Both close at once]: the refund is in the pool already. The payee's settlement takes its place at twice its rate,
// and the payer has what the voucher returns to it, to the drop.
TEST(Earning, ARefundThatWasFirstInThePoolIsReplacedByTheSettlement) {
    Earner earner(27);
    const uint64_t paid = 5'000'000;
    const auto channels = earner.Open({Amount(paid), Amount(paid)});
    // The payer's own node would mine its refund at once: it ends one block before.
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.Tip() >= earner.expiry; }, seconds(3'000)));
    earner.world[0].Crash();
    constexpr Amount kRefundRate{10'000};
    std::vector<uint64_t> rates;
    for (size_t i = 0; i < 2; ++i) {
        ASSERT_TRUE(earner.world[1].chain().state().Get<consensus::Coin>(channels[i].lock.outpoint))
            << "the payer was faster";
        const Amount rate(kRefundRate.drops * (i + 1));
        const auto refund =
            content::BuildChannelRefund(channels[i].lock, earner.payer_keys[i], channels[i].lock.return_script, rate);
        ASSERT_TRUE(refund) << refund.error().message;
        (void)earner.world[1]->chain().Submit(MakeTransaction(*refund));  // or its twin from the payer's node is there
        const chain::MempoolEntry* entry = earner.Spender(channels[i]);
        ASSERT_NE(entry, nullptr);
        rates.push_back((entry->fee.drops * 1'000 + entry->vsize() - 1) / entry->vsize());
    }
    earner.world[1]->payments().Restore(channels, {});
    earner.world.RunFor(seconds(2));
    for (size_t i = 0; i < 2; ++i) {
        const chain::MempoolEntry* settlement = earner.Spender(channels[i]);
        ASSERT_NE(settlement, nullptr);
        ASSERT_EQ(settlement->tx->outputs().size(), 3u) << "a settlement of its own for each refund";
        EXPECT_EQ(settlement->tx->outputs()[0],
                  (TxOutput{Amount(kCapacity.drops - paid), channels[i].lock.return_script}));
        EXPECT_TRUE(earner.world[1].wallet().IsMine(settlement->tx->outputs()[1].script));
        EXPECT_GE(settlement->tx->outputs()[1].value.drops,
                  paid - (2 * rates[i] * settlement->vsize() / 1'000 + 1'000));
    }
}

// [A backup whose vouchers nobody signed]: nothing of it is believed, and what is true in it is settled.
TEST(Earning, AForgedVoucherOfABackupIsNotTakenAndHoldsUpNoOther) {
    Earner earner(29);
    earner.world[1].config().settle_idle = seconds(0);
    earner.world[1].Crash();
    ASSERT_TRUE(earner.world[1].Open());
    earner.world.RunFor(seconds(5));
    const uint64_t paid = 200 * earner.Cost(1);
    auto channels = earner.Open({Amount(paid), Amount(paid)});
    PayeeChannel forged = channels[0];
    forged.returned = Amount(400);  // of a better one, for more
    earner.world[1]->payments().Restore({channels[0], channels[1]}, {});
    earner.world[1]->payments().Restore({forged}, {});
    ASSERT_TRUE(earner.world.RunUntil([&] { return earner.Earned() >= 2 * paid - 6 * earner.Cost(1); }, seconds(300)));
    EXPECT_LE(earner.Earned(), 2 * paid);
}

// The coins of two openings that are under way at once are different ones: reserved before any voucher can exist.
TEST(Earning, OpeningsReserveTheirCoinsAndEachPayeeHasItsOwnOutput) {
    Earner earner(26);
    const auto first = earner.Open({Amount(10'000), Amount(20'000)});
    const auto second = earner.Open({Amount(30'000)});
    std::set<OutPoint> locks;
    for (const auto& channel : first) locks.insert(channel.lock.outpoint);
    for (const auto& channel : second) locks.insert(channel.lock.outpoint);
    EXPECT_EQ(locks.size(), 3u);
    wallet::ChannelRequest request;
    request.payees.push_back({first[0].lock.payee_key, kCapacity});
    const auto one = earner.world[0].wallet().BuildChannels(request);
    const auto two = earner.world[0].wallet().BuildChannels(request);
    ASSERT_TRUE(one && two);
    for (const TxInput& a : one->built.tx->inputs())
        for (const TxInput& b : two->built.tx->inputs()) EXPECT_NE(a.prevout, b.prevout);
    earner.world[0].wallet().Abandon(one->built);
    earner.world[0].wallet().Abandon(two->built);
}

}  // namespace
}  // namespace sluice::node::testing
