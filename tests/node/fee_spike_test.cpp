#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "content/settlement.h"
#include "node/payee_seeds.h"
#include "node/virtual_world.h"

// What is sent and then kept out of blocks by dearer payments, between whole nodes: grants, settlements and refunds are
// replaced by ones that pay more, within the bounds of their rules, and no drop is lost on the way.
//
// What it takes to keep a transaction out: the spike begins after it was sent, since each of them pays what gets into
// the next block when it is made; it lasts for as many blocks as are waited for, and it fills them to the last hundred
// weight units, of which a settlement needs a thousand.

namespace sluice::node::testing {
namespace {

using content::PayeeChannel;

constexpr size_t kBank = 0, kEarner = 1, kPayer = 2;

Amount Slu(uint64_t n) { return Amount(n * kDropsPerSlu); }

uint64_t RateOf(const chain::MempoolEntry& entry) {
    return (entry.fee.drops * 1'000 + entry.vsize() - 1) / entry.vsize();
}

// Payments of node 0 to itself that fill blocks.
class Crowd {
  public:
    static constexpr size_t kBlocksAhead = 3;

    explicit Crowd(VirtualWorld& world) : m_world(world) {}
    // Coins for it; they have to be confirmed before it begins.
    void Prepare() {
        m_script = m_world[kBank].NewScript();
        wallet::PaymentRequest coins;
        for (size_t i = 0; i < 2 * kBlocksAhead * kPaymentsPerBlock; ++i) coins.payments.push_back({m_script, Slu(1)});
        m_world[kBank].Broadcast(m_world[kBank].wallet().BuildPayment(coins).value());
    }
    // From now on, while time passes in RunUntil, the next blocks are full of what pays `fee_per_kvb` or up to 1,000
    // more.
    void Begin(Amount fee_per_kvb) {
        m_rate = fee_per_kvb;
        Refill();
    }
    void End() { m_rate.reset(); }
    bool RunUntil(const std::function<bool()>& done, milliseconds limit = seconds(100)) {
        return m_world.RunUntil(
            [&] {
                Refill();
                return done();
            },
            limit);
    }

  private:
    static constexpr size_t kPaymentsPerBlock = 4;
    static constexpr size_t kMostOutputs = 579;
    static constexpr size_t kReserved = 1'000 + kBlockHeaderBytes * kWitnessScaleFactor;  // by a template
    static constexpr size_t WeightOf(size_t outputs) { return 280 + 172 * outputs; }

    void Refill() {
        if (!m_rate) return;
        // Of the last one of a block, beside those of kMostOutputs.
        constexpr size_t kLastOutputs =
            (kMaxBlockWeight - kReserved - (kPaymentsPerBlock - 1) * WeightOf(kMostOutputs) - WeightOf(0)) / 172;
        std::erase_if(m_waiting, [&](const Txid& txid) { return !m_world[kBank].chain().mempool().Find(txid); });
        while (m_waiting.size() < kBlocksAhead * kPaymentsPerBlock) {
            for (size_t i = 1; i < kPaymentsPerBlock; ++i) Pay(kMostOutputs, m_rate->drops + 1'000);
            Pay(kLastOutputs, m_rate->drops);
        }
    }
    void Pay(size_t outputs, uint64_t fee_per_kvb) {
        wallet::PaymentRequest request;
        request.feerate_per_kvb = fee_per_kvb;
        for (size_t i = 0; i + 1 < outputs; ++i) request.payments.push_back({m_script, wallet::kDust});
        const auto built = m_world[kBank].wallet().BuildPayment(request);
        ASSERT_TRUE(built) << built.error().message;
        ASSERT_EQ(built->tx->weight(), WeightOf(outputs)) << "one coin, and change";
        m_waiting.push_back(m_world[kBank].Broadcast(*built));
    }

    VirtualWorld& m_world;
    Script m_script;
    std::optional<Amount> m_rate;
    std::vector<Txid> m_waiting;
};

// Node 0 makes the blocks, node 1 earns (payee, seller), node 2 pays.
class FeeSpike : public ::testing::Test {
  protected:
    void SetUp() override {
        sim::LinkOptions links;
        links.least = links.most = microseconds(2'000);
        links.bytes_per_second = 64 << 20;
        world.SetLinks(links);
        world.Add({.staker = 0, .phrase = std::string(consensus::kRegtestPhrase)});
        world.Add({.add_nodes = {kBank}}, [](NodeConfig& config) { config.settle_idle = seconds(0); });
        world.Add({.add_nodes = {kBank, kEarner}});
        world[kEarner].MakeWallet();
        world[kPayer].MakeWallet();
        ASSERT_TRUE(world.RunUntil([&] { return Tip(kBank) > Height(2); }));
        wallet::PaymentRequest request;
        for (int i = 0; i < 3; ++i) request.payments.push_back({world[kEarner].NewScript(), Slu(100)});
        for (int i = 0; i < 3; ++i) request.payments.push_back({world[kPayer].NewScript(), Slu(100)});
        world[kBank].Broadcast(world[kBank].wallet().BuildPayment(request).value());
        crowd.Prepare();
        Settle();
    }

    // --- time ---
    Height Tip(size_t node) { return world[node].tip().height(); }
    void Settle() {
        ASSERT_TRUE(world.RunUntil([&] { return world.AllSettled(); }));
    }
    // Right after a block: the next one is most of a second away.
    void RunToNewTip() {
        const Height before = Tip(kBank);
        ASSERT_TRUE(world.RunUntil([&] { return Tip(kBank) > before && world.AllAgree(); }));
    }
    // One block of the spike.
    void NextBlock() {
        const Height next = Tip(kBank) + 1;
        ASSERT_TRUE(crowd.RunUntil([&] { return Tip(kBank) == next && world.AllAgree(); }));
        world.RunFor(milliseconds(100));
    }
    // One that has room for nothing else.
    void FullBlock() {
        NextBlock();
        EXPECT_GT(world[kBank].chain().GetBlockAt(Tip(kBank)).value()->weight(), kMaxBlockWeight - 1'500);
    }

    // --- what is waited for ---
    const chain::MempoolEntry* Spender(size_t node, const OutPoint& lock) {
        const auto txid = world[node].chain().mempool().SpenderOf(lock);
        return txid ? world[node].chain().mempool().Find(*txid) : nullptr;
    }
    // What spends the lock, which was just sent by `node`: seen by the bank before the spike begins, in the same slot.
    chain::MempoolEntry SentBeforeTheSpike(size_t node, const OutPoint& lock, Amount spike) {
        const Height tip = Tip(kBank);
        world.RunFor(milliseconds(100));
        EXPECT_NE(Spender(node, lock), nullptr) << "it was not sent";
        EXPECT_NE(Spender(kBank, lock), nullptr) << "whoever makes the blocks has not heard of it";
        crowd.Begin(spike);
        EXPECT_EQ(Tip(kBank), tip);
        return Spender(node, lock) ? *Spender(node, lock) : chain::MempoolEntry{};
    }
    void ExpectStillThere(size_t node, const OutPoint& lock, const chain::MempoolEntry& entry) {
        const chain::MempoolEntry* now = Spender(node, lock);
        ASSERT_NE(now, nullptr);
        EXPECT_EQ(now->tx->txid(), entry.tx->txid()) << "replaced at " << Tip(node).value;
    }
    // Replaced by what pays more than relay asks for; the bank has the new one too.
    chain::MempoolEntry Replacement(size_t node, const OutPoint& lock, const chain::MempoolEntry& entry) {
        const chain::MempoolEntry *now = Spender(node, lock), *of_bank = Spender(kBank, lock);
        if (now == nullptr || of_bank == nullptr) {
            ADD_FAILURE() << "nothing spends it any more";
            return entry;
        }
        EXPECT_NE(now->tx->txid(), entry.tx->txid()) << "not replaced at " << Tip(node).value;
        EXPECT_EQ(of_bank->tx->txid(), now->tx->txid());
        EXPECT_GE(now->fee.drops, entry.fee.drops + now->vsize());
        return *now;
    }
    // The lock is spent in the block of that height, by this transaction.
    void ExpectSpentAt(const OutPoint& lock, const chain::MempoolEntry& entry, Height height) {
        const auto spender = world[kBank].chain().indexes().SpenderOf(lock).value();
        ASSERT_TRUE(spender) << "it is in no block";
        EXPECT_EQ(spender->txid, entry.tx->txid());
        EXPECT_EQ(spender->height, height);
    }
    // After the spike: nothing waits, and all wallets together own all that the chain says there is.
    void EndSpike() {
        crowd.End();
        Settle();
        world.ExpectWalletsOwnEverything();
    }
    uint64_t Total(size_t node) { return world[node].wallet().GetBalances().total.drops; }

    // --- channels ---
    uint64_t Cost() { return content::MarginalSettleCost(world.params(), Amount(wallet::kDefaultFeePerKvb)).drops; }
    // From node 2 to node 1, confirmed, with a voucher for `paid`, which node 1 does not have yet.
    PayeeChannel Open(Amount capacity, Amount paid) {
        PayeeChannel channel;
        channel.payer_node.bytes[0] = 7;
        channel.salt.bytes[0] = 1;
        const BlockHash genesis = world[kEarner].chain().genesis_hash();
        const auto key = content::DerivePayeeKey(WalletPayeeSeed(world[kEarner].wallet(), genesis), genesis,
                                                 channel.payer_node, channel.salt);
        wallet::ChannelRequest request;
        request.payees.push_back({key.XOnly(), capacity});
        const auto built = world[kPayer].wallet().BuildChannels(request);
        CHECK(built.has_value());
        world[kPayer].Broadcast(built->built);
        const auto& opened = built->channels[0];
        channel.lock = {opened.lock,          opened.payer_key.XOnly(), opened.payee_key,
                        built->expiry_height, opened.output.value,      built->return_script};
        channel.returned = Amount(capacity.drops - paid.drops);
        if (paid > Amount(0))
            channel.signature = content::SignVoucher(channel.lock, opened.payer_key, channel.returned)->signature;
        channel.served_bytes = 1'000;
        Settle();
        return channel;
    }
    void ExpectSettles(const chain::MempoolEntry& entry, const PayeeChannel& channel) {
        ASSERT_EQ(entry.tx->outputs().size(), 3u);
        EXPECT_EQ(entry.tx->outputs()[0], (TxOutput{channel.returned, channel.lock.return_script}));
        EXPECT_TRUE(world[kEarner].wallet().IsMine(entry.tx->outputs()[1].script));
        EXPECT_EQ(entry.tx->outputs()[1].value.drops + entry.fee.drops + entry.burned.drops, channel.Paid().drops)
            << "the fee comes out of the take, to the drop";
    }

    // --- sales ---
    struct Bought {
        OutPoint lock;
        uint64_t allowance;
        Height refund_height;
    };
    Bought Buy(Amount price, std::optional<Amount> allowance, uint32_t blocks_more = 100) {
        CHECK(storage::WriteFileAtomically(world[kEarner].disk().files(), "/film.bin", Bytes(1'000, 7)).has_value());
        PublishOptions options;
        options.price = price;
        const auto job = world[kEarner]->publish_jobs().StartPublish(
            world[kEarner]->publish_jobs().Inspect("/film.bin").value(), options);
        CHECK(job.has_value());
        EXPECT_TRUE(world.RunUntil([&] { return world[kEarner].Job(*job).state == JobState::kDone; }));
        claim = *ClaimId::FromHex(world[kEarner].Job(*job).result.at("claim"));
        Settle();
        earner_before = Total(kEarner);
        RunToNewTip();
        wallet::PurchaseRequest request;
        request.publish = Info().anchor;
        request.grant_allowance = allowance;
        request.refund_height = world[kPayer].wallet().DefaultRefundHeight() + blocks_more;
        const auto built = world[kPayer].wallet().BuildPurchase(request);
        CHECK(built.has_value());
        world[kPayer].Broadcast(built->built);
        payer_before = Total(kPayer);
        EXPECT_TRUE(
            world.RunUntil([&] { return world[kBank].chain().state().Get<consensus::Coin>(built->lock).has_value(); }));
        const uint64_t locked = built->built.tx->outputs()[built->lock.index].value.drops;
        return {built->lock, locked - price.drops, *request.refund_height};
    }
    ClaimInfo Info() { return world[kPayer]->claims().Find(claim).value(); }
    void ExpectGrants(const chain::MempoolEntry& entry, Amount price) {
        EXPECT_EQ(entry.tx->outputs()[0], (TxOutput{price, Info().record.payout_script}));
    }
    // The buyer has the key, and what it paid is the seller's, less what the grant cost.
    void ExpectSold(const Bought& bought, const chain::MempoolEntry& grant, Amount price) {
        EXPECT_EQ(world[kPayer].wallet().Purchases().at(bought.lock).status, wallet::PurchaseStatus::kGranted);
        EXPECT_TRUE(world[kPayer].wallet().BoughtKey(bought.lock));
        EXPECT_EQ(payer_before - Total(kPayer), price.drops + bought.allowance);
        EXPECT_EQ(Total(kEarner) + grant.fee.drops + grant.burned.drops,
                  earner_before + price.drops + bought.allowance);
    }

    VirtualWorld world{31};
    Crowd crowd{world};
    ClaimId claim;
    uint64_t earner_before{0}, payer_before{0};
};

// --- settlements ---

TEST_F(FeeSpike, ASettlementThatTwoFullBlocksLeftOutIsReplacedAndInTheThird) {
    const auto channel = Open(Amount(10'000'000), Amount(200 * Cost()));
    const OutPoint lock = channel.lock.outpoint;
    const uint64_t earner = Total(kEarner), payer = Total(kPayer);
    RunToNewTip();
    const Height sent = Tip(kEarner);
    world[kEarner]->payments().Restore({channel}, {});
    const auto first = SentBeforeTheSpike(kEarner, lock, Amount(10'000));
    ExpectSettles(first, channel);
    FullBlock();
    ExpectStillThere(kEarner, lock, first);
    FullBlock();
    const auto second = Replacement(kEarner, lock, first);
    ExpectSettles(second, channel);
    EXPECT_EQ(second.tx->outputs()[1].script, first.tx->outputs()[1].script) << "no address is used up";
    EXPECT_GE(RateOf(second), 2 * RateOf(first));
    EXPECT_GT(RateOf(second), 11'000u) << "more than what fills the next block";
    EXPECT_LE(RateOf(second), 13'000u);
    EXPECT_LE(second.fee.drops + second.burned.drops, channel.Paid().drops / content::kPatientPart);
    NextBlock();
    ExpectSpentAt(lock, second, sent + 3);
    EndSpike();
    EXPECT_EQ(Total(kEarner) - earner, second.tx->outputs()[1].value.drops);
    EXPECT_EQ(payer - Total(kPayer), channel.Paid().drops);
}

TEST_F(FeeSpike, ASettlementIsNotRaisedOverATenthOfWhatItBringsAndWaitsUntilTheSpikeIsOver) {
    const auto channel = Open(Amount(10'000'000), Amount(200 * Cost()));
    const OutPoint lock = channel.lock.outpoint;
    const uint64_t earner = Total(kEarner), payer = Total(kPayer);
    RunToNewTip();
    world[kEarner]->payments().Restore({channel}, {});
    const auto first = SentBeforeTheSpike(kEarner, lock, Amount(100'000));
    FullBlock();
    FullBlock();
    const auto second = Replacement(kEarner, lock, first);
    ExpectSettles(second, channel);
    const uint64_t bound = content::PatientSettleRate(world.params(), {channel}).drops;
    EXPECT_EQ(second.fee.drops, (second.vsize() * bound + 999) / 1'000);
    EXPECT_LE(second.fee.drops + second.burned.drops, channel.Paid().drops / content::kPatientPart);
    EXPECT_GE(second.fee.drops + second.burned.drops, channel.Paid().drops / content::kPatientPart * 95 / 100);
    for (int block = 0; block < 3; ++block) {
        FullBlock();
        ExpectStillThere(kEarner, lock, second);
    }
    EndSpike();
    EXPECT_EQ(world[kBank].chain().indexes().SpenderOf(lock).value().value().txid, second.tx->txid());
    EXPECT_EQ(Total(kEarner) - earner, second.tx->outputs()[1].value.drops);
    EXPECT_EQ(payer - Total(kPayer), channel.Paid().drops);
}

TEST_F(FeeSpike, FromTheMarginBeforeTheExpiryOnASettlementPaysWhatTheSpikeAsks) {
    const auto channel = Open(Amount(10'000'000), Amount(200 * Cost()));
    const OutPoint lock = channel.lock.outpoint;
    const uint64_t earner = Total(kEarner), payer = Total(kPayer);
    // Debt is taken before this height, and everything settled from it on.
    const Height margin = channel.lock.expiry - content::SettleMarginBlocks(world.params());
    ASSERT_TRUE(world.RunUntil([&] { return Tip(kBank) + 8 >= margin; }, seconds(3'000)));
    RunToNewTip();
    world[kEarner]->payments().Restore({channel}, {});
    const auto first = SentBeforeTheSpike(kEarner, lock, Amount(100'000));
    FullBlock();
    FullBlock();
    const auto second = Replacement(kEarner, lock, first);
    ASSERT_LT(Tip(kEarner) + 2, margin);
    while (Tip(kEarner) + 1 < margin) {
        FullBlock();
        ExpectStillThere(kEarner, lock, second);
    }
    FullBlock();
    ASSERT_EQ(Tip(kEarner), margin);
    const auto third = Replacement(kEarner, lock, second);
    ExpectSettles(third, channel);
    EXPECT_GT(RateOf(third), 101'000u);
    EXPECT_LE(RateOf(third), 103'000u);
    EXPECT_GT(third.fee.drops, channel.Paid().drops / content::kPatientPart);
    NextBlock();
    ExpectSpentAt(lock, third, margin + 1);
    EndSpike();
    EXPECT_EQ(Total(kEarner) - earner, third.tx->outputs()[1].value.drops);
    EXPECT_EQ(payer - Total(kPayer), channel.Paid().drops);
}

// --- grants ---

TEST_F(FeeSpike, AGrantThatThreeFullBlocksLeftOutIsReplacedOutOfItsAllowance) {
    const Amount price = Slu(5);
    const auto bought = Buy(price, Amount(100'000));
    const Height sent = Tip(kBank);
    const auto first = SentBeforeTheSpike(kEarner, bought.lock, Amount(20'000));
    ExpectGrants(first, price);
    for (uint32_t block = 1; block < content::kGrantPatienceBlocks; ++block) {
        FullBlock();
        ExpectStillThere(kEarner, bought.lock, first);
    }
    FullBlock();
    const auto second = Replacement(kEarner, bought.lock, first);
    ExpectGrants(second, price);
    EXPECT_EQ(second.tx->inputs().size(), 1u) << "no coin of the seller's";
    EXPECT_GT(RateOf(second), 21'000u);
    EXPECT_LE(second.fee.drops + second.burned.drops, bought.allowance);
    EXPECT_EQ(world[kEarner]->sales().PendingGrants(), std::vector{second.tx->txid()});
    NextBlock();
    ExpectSpentAt(bought.lock, second, sent + 4);
    EndSpike();
    ExpectSold(bought, second, price);
}

TEST_F(FeeSpike, WhatTheAllowanceOfAGrantDoesNotPayForItsReplacementTheSellersCoinsDo) {
    const Amount price = Slu(5);
    const auto bought = Buy(price, std::nullopt);
    const auto first = SentBeforeTheSpike(kEarner, bought.lock, Amount(100'000));
    ExpectGrants(first, price);
    EXPECT_EQ(first.tx->inputs().size(), 1u);
    for (uint32_t block = 0; block < content::kGrantPatienceBlocks; ++block) FullBlock();
    const auto second = Replacement(kEarner, bought.lock, first);
    ExpectGrants(second, price);
    EXPECT_EQ(second.tx->inputs().size(), 2u);
    EXPECT_GT(second.fee.drops, bought.allowance);
    EXPECT_GT(RateOf(second), 101'000u);
    NextBlock();
    ExpectSpentAt(bought.lock, second, Tip(kBank));
    EndSpike();
    ExpectSold(bought, second, price);
}

TEST_F(FeeSpike, AGrantIsRaisedAsFarAsThePolicyLetsItAndWaitsThereUntilTheSpikeIsOver) {
    const Amount price(5'000);
    const auto bought = Buy(price, std::nullopt);
    const auto first = SentBeforeTheSpike(kEarner, bought.lock, Amount(100'000));
    for (uint32_t block = 0; block < content::kGrantPatienceBlocks; ++block) FullBlock();
    const auto second = Replacement(kEarner, bought.lock, first);
    ExpectGrants(second, price);
    EXPECT_LT(RateOf(second), 100'000u);
    const uint64_t most = bought.allowance + price.drops;  // the policy's default: all of the price
    EXPECT_LE(second.fee.drops + second.burned.drops, most);
    EXPECT_GT(second.fee.drops + second.burned.drops, most - 100);
    for (uint32_t block = 0; block <= content::kGrantPatienceBlocks; ++block) {
        FullBlock();
        ExpectStillThere(kEarner, bought.lock, second);
    }
    EndSpike();
    ExpectSold(bought, second, price);
}

// --- refunds ---

TEST_F(FeeSpike, ARefundThatTwoFullBlocksLeftOutIsReplacedAndInTheThird) {
    const auto channel = Open(Amount(10'000'000), Amount(0));
    const OutPoint lock = channel.lock.outpoint;
    const uint64_t payer = Total(kPayer);
    const Height sent = channel.lock.expiry;
    ASSERT_TRUE(world.RunUntil([&] { return Tip(kPayer) == sent; }, seconds(3'000)));
    const auto first = SentBeforeTheSpike(kPayer, lock, Amount(10'000));
    FullBlock();
    ExpectStillThere(kPayer, lock, first);
    FullBlock();
    const auto second = Replacement(kPayer, lock, first);
    EXPECT_GE(RateOf(second), 2 * RateOf(first));
    EXPECT_GT(RateOf(second), 11'000u);
    EXPECT_LE(RateOf(second), 13'000u);
    NextBlock();
    ExpectSpentAt(lock, second, sent + 3);
    EndSpike();
    EXPECT_EQ(payer - Total(kPayer), second.fee.drops);
}

TEST_F(FeeSpike, ARefundIsNotRaisedOverATenthOfItsLockAndWaitsUntilTheSpikeIsOver) {
    const Amount capacity(5'000);
    const auto channel = Open(capacity, Amount(0));
    const OutPoint lock = channel.lock.outpoint;
    const uint64_t payer = Total(kPayer);
    ASSERT_TRUE(world.RunUntil([&] { return Tip(kPayer) == channel.lock.expiry; }, seconds(3'000)));
    const auto first = SentBeforeTheSpike(kPayer, lock, Amount(10'000));
    FullBlock();
    FullBlock();
    const auto second = Replacement(kPayer, lock, first);
    EXPECT_LE(second.fee.drops, capacity.drops / content::kPatientPart);
    EXPECT_EQ(second.fee.drops,
              (second.vsize() * content::PatientRefundRate(capacity, second.vsize()).drops + 999) / 1'000);
    for (int block = 0; block < 3; ++block) {
        FullBlock();
        ExpectStillThere(kPayer, lock, second);
    }
    EndSpike();
    EXPECT_EQ(payer - Total(kPayer), second.fee.drops);
}

TEST_F(FeeSpike, ARefundThatIsSentInASpikePaysWhatTheNextBlockAsksUpToATenthOfItsLock) {
    const Amount small(5'000);
    const auto first = Open(Amount(10'000'000), Amount(0));
    const auto second = Open(small, Amount(0));
    const uint64_t payer = Total(kPayer);
    ASSERT_TRUE(world.RunUntil([&] { return Tip(kPayer) + 1 == first.lock.expiry; }, seconds(3'000)));
    crowd.Begin(Amount(10'000));
    FullBlock();
    ASSERT_NE(Spender(kBank, first.lock.outpoint), nullptr);
    const chain::MempoolEntry refund = *Spender(kBank, first.lock.outpoint);
    EXPECT_GT(RateOf(refund), 11'000u);
    EXPECT_LE(RateOf(refund), 13'000u);
    NextBlock();
    ExpectSpentAt(first.lock.outpoint, refund, first.lock.expiry + 1);
    ASSERT_TRUE(crowd.RunUntil([&] { return Tip(kPayer) >= second.lock.expiry; }));
    world.RunFor(milliseconds(100));
    ASSERT_NE(Spender(kBank, second.lock.outpoint), nullptr);
    const chain::MempoolEntry bounded = *Spender(kBank, second.lock.outpoint);
    EXPECT_GT(RateOf(bounded), wallet::kDefaultFeePerKvb);
    EXPECT_LE(bounded.fee.drops, small.drops / content::kPatientPart);
    for (int block = 0; block < 3; ++block) {
        FullBlock();
        ExpectStillThere(kPayer, second.lock.outpoint, bounded);
    }
    EndSpike();
    EXPECT_EQ(payer - Total(kPayer), refund.fee.drops + bounded.fee.drops);
}

TEST_F(FeeSpike, TheRefundOfAPurchaseIsReplacedTooAndByTheNodeThatWasRestarted) {
    world[kEarner].config().sells = false;
    world[kEarner].Crash();
    ASSERT_TRUE(world[kEarner].Open());
    ASSERT_TRUE(world.RunUntil([&] { return world.AllAgree(); }));
    const Amount price = Slu(5);
    const auto bought = Buy(price, std::nullopt, 0);
    ASSERT_TRUE(world.RunUntil([&] { return Tip(kPayer) == bought.refund_height; }, seconds(3'000)));
    const auto first = SentBeforeTheSpike(kPayer, bought.lock, Amount(10'000));
    world[kPayer].Crash();
    ASSERT_TRUE(world[kPayer].Open());
    // It counts from the first block that it sees the refund wait.
    const auto replaced = [&] {
        const chain::MempoolEntry* entry = Spender(kPayer, bought.lock);
        return entry && entry->tx->txid() != first.tx->txid();
    };
    ASSERT_TRUE(crowd.RunUntil(replaced));
    world.RunFor(milliseconds(100));
    const auto second = Replacement(kPayer, bought.lock, first);
    EXPECT_LE(second.fee.drops, (price.drops + bought.allowance) / content::kPatientPart);
    ASSERT_TRUE(crowd.RunUntil([&] { return !world[kBank].chain().state().Get<consensus::Coin>(bought.lock); }));
    EndSpike();
    EXPECT_EQ(world[kPayer].wallet().Purchases().at(bought.lock).status, wallet::PurchaseStatus::kRefunded);
    const uint64_t fee = payer_before - Total(kPayer);
    EXPECT_GE(fee, second.fee.drops);
    EXPECT_LE(fee, (price.drops + bought.allowance) / content::kPatientPart);
    EXPECT_EQ(Total(kEarner), earner_before);
}

// What its owner pays with it would be lost with it.
TEST_F(FeeSpike, ARefundThatAPaymentIsBuiltOnIsNotReplaced) {
    const auto channel = Open(Amount(10'000'000), Amount(0));
    const OutPoint lock = channel.lock.outpoint;
    const uint64_t payer = Total(kPayer);
    ASSERT_TRUE(world.RunUntil([&] { return Tip(kPayer) == channel.lock.expiry; }, seconds(3'000)));
    const auto refund = SentBeforeTheSpike(kPayer, lock, Amount(10'000));
    wallet::PaymentRequest request;
    const Amount paid(world[kPayer].wallet().GetBalances().spendable.drops + 5'000'000);
    request.payments.push_back({world[kEarner].NewScript(), paid});
    const auto child = world[kPayer].wallet().BuildPayment(request);
    ASSERT_TRUE(child) << child.error().message;
    world[kPayer].Broadcast(*child);
    for (int block = 0; block < 3; ++block) {
        FullBlock();
        ExpectStillThere(kPayer, lock, refund);
    }
    EXPECT_NE(world[kPayer].chain().mempool().Find(child->tx->txid()), nullptr);
    EndSpike();
    EXPECT_EQ(payer - Total(kPayer), paid.drops + refund.fee.drops + child->fee.drops);
}

}  // namespace
}  // namespace sluice::node::testing
