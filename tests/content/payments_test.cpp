#include <fmt/format.h>

#include "consensus/genesis.h"
#include "content/haggle.h"
#include "swarm_net.h"

// Money between swarms: what a download costs at most, what each side can lose to the other, in drops.

namespace sluice::content::testing {
namespace {

constexpr Amount kAsk{4'000};  // a chunk costs 1,000 drops
constexpr Amount kChunkPrice{1'000};
constexpr Amount kBudget{10'000'000};

uint64_t PaidBy(const NetNode& node) {
    uint64_t paid = 0;
    for (const PayerChannel& channel : node.swarm->PayerChannels()) paid += channel.Paid().drops;
    return paid;
}
uint64_t OpeningsOf(const NetNode& node) {
    uint64_t cost = 0;
    for (const PayerChannel& channel : node.swarm->PayerChannels()) cost += channel.opening_cost.drops;
    return cost;
}
uint64_t EarnedBy(const NetNode& node) {
    uint64_t paid = 0;
    for (const PayeeChannel& channel : node.swarm->PayeeChannels()) paid += channel.Paid().drops;
    return paid;
}
uint64_t ServedFor(const NetNode& node) {
    uint64_t owed = 0;
    for (const PayeeChannel& channel : node.swarm->PayeeChannels()) owed += channel.meter.Owed().drops;
    return owed;
}
bool Never() { return false; }

// A fetcher whose channel to a seeder is open and final.
struct Pair {
    explicit Pair(const TestContent& content, Amount ask = kAsk, Amount cap = kAsk, Amount budget = kBudget,
                  std::optional<Amount> floor = {})
        : seeder(net.Add()), fetcher(net.Add()) {
        net.Seed(seeder, content, ask, floor);
        net.Connect(seeder, fetcher);
        net.Fetch(fetcher, content, cap, budget);
        net.Run(seconds(2), Never);
        net.Confirm(6);
    }
    Net net;
    NetNode& seeder;
    NetNode& fetcher;
};

TEST(Price, IsHaggledBetweenAskAndFloorAndBothSidesCountTheSameDrops) {
    const TestContent content(60 * kChunkBytes);
    // Half way twice and the third bid, as HaggledPrice says: 4,000 asked, down to 1,000 at most.
    const Amount agreed = *HaggledPrice(kAsk, Amount(1'000), kAsk);
    EXPECT_LT(agreed, kAsk);
    Pair pair(content, kAsk, kAsk, kBudget, Amount(1'000));
    EXPECT_TRUE(pair.net.Run(seconds(60), [&] { return pair.fetcher.finished.has_value(); }));
    pair.net.Run(seconds(1), Never);
    Meter value;
    value.Add(content.bytes.size(), agreed);
    EXPECT_EQ(pair.fetcher.finished, value.Owed());
    EXPECT_EQ(PaidBy(pair.fetcher), value.Owed().drops);
    EXPECT_EQ(EarnedBy(pair.seeder), value.Owed().drops);
    EXPECT_EQ(ServedFor(pair.seeder), value.Owed().drops);
}

TEST(Price, AnAskOverTheCapIsBroughtDownToItIfTheFloorAllows) {
    const TestContent content(20 * kChunkBytes);
    for (const auto& [floor, price] :
         {std::pair{Amount(1'500), std::optional<Amount>(1'500)}, std::pair{Amount(1'501), std::optional<Amount>()}}) {
        Net net;
        NetNode& seeder = net.Add();
        NetNode& fetcher = net.Add();
        net.Seed(seeder, content, kAsk, floor);
        net.Connect(seeder, fetcher);
        net.Fetch(fetcher, content, Amount(1'500), kBudget);
        net.Run(seconds(2), Never);
        net.Confirm(6);
        net.Run(seconds(60), [&] { return fetcher.finished || fetcher.failed; });
        EXPECT_EQ(fetcher.finished.has_value(), price.has_value());
        if (price) EXPECT_EQ(fetcher.finished, Amount(20 * price->drops / 4));
        if (!price) EXPECT_EQ(fetcher.failed->kind, ErrorKind::kFunds);
        if (!price) EXPECT_EQ(fetcher.opened, 0u);
    }
}

// [A downloader bids without end.] Each bid has one answer, and the price stays.
TEST(Price, BidsOutOfTurnAndWithoutEndMoveNothing) {
    const TestContent content(4 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add();
    NetNode& bidder = net.Add();
    net.Seed(seeder, content, kAsk, Amount(100));
    net.Connect(seeder, bidder);
    std::optional<Amount> last;
    for (int i = 0; i < 50; ++i) {
        const auto round = static_cast<uint8_t>(i % kMaxBids + 1);
        seeder.swarm->OnMessage(PeerId(bidder.index + 1), EncodeContentMessage(Bid{content.id, round, Amount(1)}),
                                net.now);
        for (SwarmAction& action : seeder.swarm->TakeActions()) {
            const auto* sent = std::get_if<SendControl>(&action);
            if (sent == nullptr) continue;
            const auto decoded = DecodeContentMessage(sent->payload);
            ASSERT_TRUE(decoded);
            if (const auto* counter = std::get_if<Counter>(&*decoded)) last = counter->price_per_mib;
        }
    }
    SellerQuote quote{kAsk, 0, {}};
    BidAnswer answer{};
    for (uint8_t round = 1; round <= kMaxBids; ++round) answer = AnswerBid(quote, Amount(100), round, Amount(1));
    EXPECT_EQ(last, answer.price);
}

TEST(Channels, AreReusedForAnotherTitleAndFollowedByASecondOneBeforeTheyAreEmpty) {
    const TestContent first(16 * kChunkBytes, 1), second(60 * kChunkBytes, 2);
    Pair pair(first);
    ASSERT_TRUE(pair.net.Run(seconds(60), [&] { return pair.fetcher.finished.has_value(); }));
    EXPECT_EQ(pair.fetcher.opened, 1u);
    pair.fetcher.finished.reset();
    pair.net.Seed(pair.seeder, second, kAsk);
    pair.net.Fetch(pair.fetcher, second, kAsk, kBudget);
    // The old channel pays at once; the next one is opened while it still does.
    ASSERT_TRUE(pair.net.Run(seconds(5), [&] { return pair.fetcher.opened == 2; }));
    const auto left = [&] {
        uint64_t drops = 0;
        for (const PayerChannel& channel : pair.fetcher.swarm->PayerChannels())
            if (channel.meter.Owed().drops > 0) drops += channel.Spendable().drops - channel.meter.Owed().drops;
        return drops;
    };
    EXPECT_GE(left(), kChunkPrice.drops) << "opened too late";
    pair.net.Confirm(6);
    EXPECT_TRUE(pair.net.Run(seconds(30), [&] { return pair.fetcher.finished.has_value(); }));
    pair.net.Run(seconds(1), Never);
    EXPECT_EQ(pair.fetcher.opened, 2u);
    EXPECT_EQ(PaidBy(pair.fetcher), 76u * 1'000);
    EXPECT_EQ(EarnedBy(pair.seeder), 76u * 1'000);
    EXPECT_EQ(ServedFor(pair.seeder), 76u * 1'000);
    EXPECT_TRUE(pair.fetcher.faults.empty() && pair.seeder.faults.empty());
}

// A download never costs more than its budget: chunks, first vouchers, openings and every rounding with it. What is
// paid and what is earned are the same drops.
TEST(Budget, HoldsToTheDropForAnyPriceSizeAndNumberOfSeeders) {
    SeededRandom random(11);
    size_t finished = 0, failed = 0;
    for (int run = 0; run < 25; ++run) {
        const TestContent content((3 + random.Below(30)) * uint64_t{kChunkBytes} + 16 + random.Below(kChunkBytes - 16),
                                  static_cast<uint64_t>(run));
        const Amount ask(1 + random.Below(9'000));
        const uint64_t value = Meter{}.OwedAfter(content.bytes.size(), ask).drops;
        const size_t seeders = 1 + random.Below(3);
        const Amount budget(value / 2 + random.Below(2 * value + 12'000));
        Net net;
        NetNode& fetcher = net.Add();
        std::vector<NetNode*> all;
        for (size_t i = 0; i < seeders; ++i) {
            all.push_back(&net.Add());
            net.Seed(*all.back(), content, ask);
            net.Connect(*all.back(), fetcher);
        }
        net.Fetch(fetcher, content, ask, budget);
        for (int minute = 0; minute < 8 && !fetcher.finished && !fetcher.failed; ++minute) {
            net.Run(seconds(10), [&] { return fetcher.finished || fetcher.failed; });
            net.Confirm(6);
        }
        net.Run(seconds(1), Never);
        uint64_t earned = 0;
        for (const NetNode* seeder : all) earned += EarnedBy(*seeder);
        EXPECT_EQ(PaidBy(fetcher), earned) << run;
        EXPECT_LE(PaidBy(fetcher) + OpeningsOf(fetcher), budget.drops) << run << " with " << seeders << " seeders";
        finished += fetcher.finished.has_value();
        failed += fetcher.failed.has_value();
    }
    EXPECT_GE(finished, 5u);
    EXPECT_GE(failed, 2u);
}

// [A payer that stops]: the seeder loses no more than the window that was earned with paid chunks.
TEST(Loss, APayerThatStopsCostsTheSeederItsWindowAtMost) {
    const TestContent content(100 * kChunkBytes);
    Pair pair(content);
    ASSERT_TRUE(pair.net.Run(seconds(60), [&] { return pair.fetcher.stored.at(content.id).count() >= 40; }));
    pair.fetcher.never_pays = true;
    pair.net.Run(seconds(30), Never);
    ASSERT_LT(pair.fetcher.stored.at(content.id).count(), 100u);
    const auto channels = pair.seeder.swarm->PayeeChannels();
    ASSERT_EQ(channels.size(), 1u);
    const uint64_t window_chunks = std::max<uint64_t>(1, channels[0].Paid().drops / 1'000 / kPaidChunksPerCreditChunk);
    EXPECT_GT(channels[0].meter.Owed(), channels[0].Paid());
    EXPECT_LE(channels[0].meter.Owed().drops - channels[0].Paid().drops, window_chunks * 1'000);
}

// [A payee that takes money and stops serving]: the payer has paid for what it has, and with the first voucher for what
// settling costs.
TEST(Loss, APayeeThatStopsServingCostsThePayerTheFirstVoucherAtMost) {
    const TestContent content(60 * kChunkBytes);
    for (const uint32_t after : {0u, 1u, 20u}) {
        Net net;
        NetNode& seeder = net.Add();
        NetNode& fetcher = net.Add();
        seeder.silent = after == 0;
        net.Seed(seeder, content, kAsk);
        net.Connect(seeder, fetcher);
        net.Fetch(fetcher, content, kAsk, kBudget);
        net.Run(seconds(2), Never);
        net.Confirm(6);
        net.Run(seconds(60), [&] { return fetcher.stored.at(content.id).count() >= after; });
        seeder.silent = true;
        net.Run(seconds(30), Never);
        const uint64_t got = fetcher.stored.at(content.id).count() * kChunkPrice.drops;
        EXPECT_LE(PaidBy(fetcher), after == 0 ? 0 : std::max(got, FirstVoucher(NetParams(), Amount(1'000)).drops));
        EXPECT_LE(PaidBy(fetcher), got) << "a chunk is worth more than the first voucher here";
    }
}

// [A payee settles an old voucher]: it can only take less than it was given.
TEST(Loss, AnOldVoucherBringsThePayeeLessAndThePayerMore) {
    PayeeChannel channel;
    channel.lock.outpoint.index = 1;
    channel.lock.payer_key = TestKey(1).XOnly();
    channel.lock.payee_key = TestKey(2).XOnly();
    channel.lock.expiry = Height(500);
    channel.lock.capacity = Amount(100'000);
    channel.lock.return_script = KeyScript(3);
    channel.returned = channel.lock.capacity;
    Amount last = channel.returned;
    for (const uint64_t returned : {90'000, 60'000, 10'000}) {
        const auto voucher = SignVoucher(channel.lock, TestKey(1), Amount(returned));
        ASSERT_TRUE(AcceptVoucher(channel, *channel.lock.Template(), *voucher, Amount(1)));
        EXPECT_LT(voucher->returned, last);
        EXPECT_TRUE(VerifyVoucher(channel.lock, *voucher));  // each of them settles: X is what the payer gets then
        last = voucher->returned;
    }
    // A payer that is shown an old one pays from its own newest state.
    PayerChannel payer;
    payer.lock = channel.lock;
    payer.returned = Amount(10'000);
    payer.Restore(Amount(60'000), SignVoucher(channel.lock, TestKey(1), Amount(60'000))->signature);
    EXPECT_EQ(payer.returned, Amount(10'000));
}

// [Reorganisation of the opening]: what was paid on it is credit again, and nothing more is served on it than that.
TEST(Loss, AReorganisedOpeningIsCreditAgainUntilItIsDeep) {
    const TestContent content(60 * kChunkBytes);
    Pair pair(content);
    ASSERT_TRUE(pair.net.Run(seconds(60), [&] { return pair.fetcher.stored.at(content.id).count() >= 20; }));
    pair.net.Confirm(0);
    const uint64_t before = ServedFor(pair.seeder);
    pair.net.Run(seconds(20), Never);
    const uint64_t window = std::max<uint64_t>(1, before / 1'000 / kPaidChunksPerCreditChunk);
    EXPECT_LE(ServedFor(pair.seeder) - before, (window + 1) * kChunkPrice.drops);
    pair.net.Confirm(6);
    EXPECT_TRUE(pair.net.Run(seconds(60), [&] { return pair.fetcher.finished.has_value(); }));
    pair.net.Run(seconds(1), Never);
    EXPECT_EQ(PaidBy(pair.fetcher), 60'000u);
    EXPECT_EQ(EarnedBy(pair.seeder), 60'000u);
}

// Either side loses power at any moment: nothing is paid twice, and each loses at most what was on its way.
TEST(Loss, ACrashOfEitherSideAtAnyStepCostsAtMostAWindow) {
    const TestContent content(30 * kChunkBytes);
    for (const bool seeder_crashes : {false, true}) {
        for (int step = 0; step < 12; ++step) {
            Net net;
            NetNode& seeder = net.Add();
            NetNode& fetcher = net.Add();
            net.Seed(seeder, content, kAsk);
            net.Connect(seeder, fetcher);
            net.Fetch(fetcher, content, kAsk, kBudget);
            const Instant crash = net.now + milliseconds(step < 6 ? 20 * step : 2'000 + 60 * step);
            net.Run(seconds(3), [&] { return net.now >= crash; });
            if (step >= 6) net.Confirm(6);
            net.Run(seconds(1), [&, end = net.now + milliseconds(120)] { return net.now >= end; });
            NetNode& crashed = seeder_crashes ? seeder : fetcher;
            net.Restart(crashed);
            if (seeder_crashes)
                net.Seed(seeder, content, kAsk);
            else if (!fetcher.finished)
                net.Fetch(fetcher, content, kAsk, kBudget);
            for (int i = 0; i < 6 && !fetcher.finished; ++i) {
                net.Run(seconds(10), [&] { return fetcher.finished.has_value(); });
                net.Confirm(6);
            }
            EXPECT_TRUE(fetcher.finished) << seeder_crashes << " " << step;
            net.Run(seconds(2), Never);
            EXPECT_EQ(fetcher.data.at(content.id), content.bytes);
            EXPECT_EQ(PaidBy(fetcher), EarnedBy(seeder)) << seeder_crashes << " " << step;
            EXPECT_LE(PaidBy(fetcher), 33'000u) << seeder_crashes << " " << step;
            EXPECT_GE(EarnedBy(seeder), 27'000u) << seeder_crashes << " " << step;
            EXPECT_TRUE(fetcher.faults.empty() && seeder.faults.empty());
        }
    }
}

// [A thief names another node's channel as the one that pays.]
TEST(Attack, AnotherNodesChannelPaysNothingForAThief) {
    const TestContent content(40 * kChunkBytes);
    Pair pair(content);
    NetNode& thief = pair.net.Add();
    pair.net.Connect(pair.seeder, thief);
    ASSERT_TRUE(pair.net.Run(seconds(60), [&] { return pair.fetcher.finished.has_value(); }));
    pair.net.Run(seconds(1), Never);
    const uint64_t served = ServedFor(pair.seeder), given = pair.seeder.sent_leaf_bytes;
    const OutPoint theirs = pair.seeder.swarm->PayeeChannels().at(0).lock.outpoint;
    const PeerId as(thief.index + 1);
    pair.seeder.swarm->OnMessage(as, EncodeContentMessage(UseChannel{theirs}), pair.net.now);
    pair.seeder.swarm->OnMessage(as, EncodeContentMessage(RequestChunks{content.id, {}, {{ChunkIndex(0), kAllLeaves}}}),
                                 pair.net.now);
    pair.net.Run(seconds(2), Never);
    EXPECT_EQ(ServedFor(pair.seeder), served);
    EXPECT_EQ(pair.seeder.sent_leaf_bytes, given);
}

// [Free identities]: many payers from one network together get the bucket of that network, probes with it.
TEST(Attack, ManyIdentitiesOfOneNetworkShareOneBucketProbesIncluded) {
    CreditLimits limits;
    limits.floor_bytes = 8 * uint64_t{kChunkBytes};
    limits.group_bytes = 3 * uint64_t{kChunkBytes};
    CreditBook book(limits);
    uint64_t stolen = 0;
    for (uint8_t identity = 1; identity <= 100; ++identity) {
        PayerId payer;
        payer.bytes[0] = identity;
        const AddressGroup group = identity % 2;
        if (book.MayDeliver(payer, group, kChunkBytes) != CreditBook::Answer::kYes) continue;
        book.OnDelivered(payer, group, kChunkBytes);
        book.OnDefault(payer);
        stolen += kChunkBytes;
    }
    EXPECT_EQ(stolen, 6 * uint64_t{kChunkBytes});  // two networks
}

// Payers behind one address use up its bucket together, and each goes on as soon as any of them has paid.
TEST(Credit, PayersOfOneNetworkShareItsBucketWithoutPauses) {
    const TestContent content(60 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add(200 << 20);
    seeder.credit.group_bytes = 2 * uint64_t{kChunkBytes};
    seeder.Restart();
    net.Seed(seeder, content, kAsk);
    std::vector<NetNode*> payers;
    for (int i = 0; i < 4; ++i) {
        payers.push_back(&net.Add(200 << 20));
        payers.back()->group = 77;
        net.Connect(seeder, *payers.back());
        net.Fetch(*payers.back(), content, kAsk, kBudget);
    }
    const auto all = [&](auto has) { return std::all_of(payers.begin(), payers.end(), has); };
    ASSERT_TRUE(net.Run(seconds(10), [&] { return all([](NetNode* one) { return one->opened == 1; }); }));
    net.Run(seconds(3), Never);  // those that came too late for the bucket were told to come back later
    net.Confirm(6);
    const Instant begun = net.now;
    ASSERT_TRUE(net.Run(seconds(60), [&] { return all([](NetNode* one) { return one->finished.has_value(); }); }));
    EXPECT_LT(net.now - begun, seconds(8));
    for (const NetNode* one : payers) EXPECT_EQ(one->finished, Amount(60'000));
}

// [Debts not worth redeeming]: nothing is settled that costs more than it brings, and the first voucher is worth twice
// its cost.
TEST(Redeem, OnlyWhatIsWorthItAndOnlyWhenItIsDue) {
    const consensus::Params params = NetParams();
    const Amount rate(2'000), cost = MarginalSettleCost(params, rate);
    EXPECT_EQ(FirstVoucher(params, rate), Amount(2 * cost.drops));
    PayeeChannel channel;
    channel.lock.capacity = Amount(100'000'000);
    channel.lock.expiry = Height(1'000);
    channel.signature = SchnorrSignature{};
    channel.phase = ChannelPhase::kFinal;
    const auto with = [&](uint64_t paid) {
        channel.returned = Amount(channel.lock.capacity.drops - paid);
        return channel;
    };
    const Height early(500), margin(1'000 - SettleMarginBlocks(params));
    // A hundred times the cost, and one drop less; in use, or not.
    EXPECT_FALSE(DueForSettling(params, with(100 * cost.drops - 1), early, false, rate));
    EXPECT_TRUE(DueForSettling(params, with(100 * cost.drops), early, false, rate));
    EXPECT_FALSE(DueForSettling(params, with(100 * cost.drops), early, true, rate));
    // From the margin on, whatever brings a drop; in use or not.
    EXPECT_FALSE(DueForSettling(params, with(cost.drops + 1), margin - 1, false, rate));
    EXPECT_TRUE(DueForSettling(params, with(cost.drops + 1), margin, true, rate));
    EXPECT_FALSE(DueForSettling(params, with(cost.drops), margin, true, rate));
    // What is being settled goes on being so, unless it is closed or was never vouched for.
    channel.phase = ChannelPhase::kSettling;
    EXPECT_TRUE(DueForSettling(params, with(cost.drops + 1), early, true, rate));
    channel.phase = ChannelPhase::kClosed;
    EXPECT_FALSE(DueForSettling(params, with(100 * cost.drops), margin, false, rate));
    channel.phase = ChannelPhase::kFinal;
    channel.signature.reset();
    EXPECT_FALSE(DueForSettling(params, with(100 * cost.drops), margin, false, rate));
}

// The example of doc/protocol.md, section 10.
TEST(Settlement, HasGoldenBytes) {
    const std::string golden =
        "0300000000010107000000000000000000000000000000000000000000000000000000000000000300000000fdffffff"
        "03409c0000000000002251209317856ed22b3699e792f38ad803f9f3fafabf70a2c8983af715592242c29ca8b4250000"
        "00000000225120ee713c671c569fbb39901ea3f75195854ba615099ab33a6aecaa5ed539522f9300000000000000000e"
        "6a0c0501090100000400000000000440bc0c8f9e4c98569d4730c442ac9e02dafd85c6f68d3e235cacb969c7a1b5eda9"
        "f179619fdd14cb5dbfcb949bd002f76972b803a79020aa34853464ee78a191e241c9847cbef25c10e2d75591d7985b1e"
        "1609286e1ec3691dad98467ad2fa834cb9f42646d7de8b7ec83009ea911d7a8d0b1ba1298a9f4807e8434dba0cfcbbe0"
        "4a834420c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5ad20186a538903967b54eeeb"
        "64a117ed053b6b1b9d1b3c1f4352f17f37f3e64fe02eac41c150929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96"
        "d547bfee9ace803ac030cc164db428158081bede43ff23121bebd3f9aff41542ba94772f7b9471b31500000000";
    const auto filled = []<class T>(T bytes, uint8_t with) {
        std::fill(bytes.bytes.begin(), bytes.bytes.end(), with);
        return bytes;
    };
    const consensus::Genesis regtest = consensus::BuiltInGenesis("regtest").value();
    SecretBytes<32> seed;
    std::fill(seed.span().begin(), seed.span().end(), uint8_t{9});
    PayeeChannel channel;
    channel.payer_node = filled(crypto::X25519PublicKey(), 0x51);
    channel.salt = filled(ChannelSalt(), 0x53);
    channel.lock.outpoint.txid.bytes[0] = 7;
    channel.lock.outpoint.index = 3;
    channel.lock.payer_key = TestKey(1).XOnly();
    channel.lock.payee_key = DerivePayeeKey(seed, regtest.Hash(), channel.payer_node, channel.salt).XOnly();
    channel.lock.expiry = Height(1'000);
    channel.lock.capacity = Amount(50'000);
    const auto script = [](const char* key) { return TaprootScript(*XOnlyPubKey::FromHex(key)); };
    channel.lock.return_script = script("9317856ed22b3699e792f38ad803f9f3fafabf70a2c8983af715592242c29ca8");
    channel.returned = Amount(40'000);
    channel.served_bytes = 262'144;
    channel.signature = SignVoucher(channel.lock, TestKey(1), channel.returned)->signature;
    const auto settlement =
        BuildSettlement(regtest.params, regtest.Hash(), {channel}, seed.Clone(),
                        script("ee713c671c569fbb39901ea3f75195854ba615099ab33a6aecaa5ed539522f93"), Amount(1'000));
    ASSERT_TRUE(settlement) << settlement.error().message;
    std::string hex;
    for (const uint8_t byte : settlement->tx.ToBytes(true)) hex += fmt::format("{:02x}", byte);
    EXPECT_EQ(hex, golden);
    EXPECT_EQ(settlement->take, Amount(9'652));
    EXPECT_EQ(settlement->fee, Amount(228));
    EXPECT_EQ(settlement->burned, Amount(120));
}

TEST(Redeem, TheRateOfAStuckSettlementDoublesOrMeetsWhatOthersPay) {
    EXPECT_EQ(RaisedSettleRate(Amount(2'000), Amount(1'000)), Amount(4'000));
    EXPECT_EQ(RaisedSettleRate(Amount(2'000), Amount(9'000)), Amount(9'000));
    EXPECT_EQ(RaisedSettleRate(kMaxSettleFeePerKvb, kMaxSettleFeePerKvb), kMaxSettleFeePerKvb);
}

TEST(Opening, OneThatTheMempoolDroppedGivesItsMoneyBackToTheBudget) {
    const TestContent content(40 * kChunkBytes);
    const uint64_t opening = OpeningCost(NetParams(), 1, Amount(1'000)).drops;
    Net net;
    NetNode& seeder = net.Add();
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content, kAsk);
    net.Connect(seeder, fetcher);
    // Enough for one opening and all chunks, and a little more than the chunk that came on credit.
    net.Fetch(fetcher, content, kAsk, Amount(42'000 + opening));
    ASSERT_TRUE(net.Run(seconds(10), [&] { return fetcher.opened == 1; }));
    net.Run(seconds(1), Never);
    fetcher.swarm->OnOpeningLost(fetcher.swarm->PayerChannels().at(0).lock.outpoint, net.now);
    EXPECT_TRUE(net.Run(seconds(20), [&] { return fetcher.opened == 2; }));
    net.Run(seconds(2), Never);
    net.Confirm(6);
    EXPECT_TRUE(net.Run(seconds(60), [&] { return fetcher.finished.has_value(); }));
}

TEST(Opening, ASeederThatAnswersNoOfferIsGivenUpAndAskedAgainLater) {
    const TestContent content(10 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add();
    NetNode& fetcher = net.Add();
    seeder.mute = true;
    net.Seed(seeder, content, kAsk);
    net.Connect(seeder, fetcher);
    net.Fetch(fetcher, content, kAsk, kBudget);
    net.Run(seconds(400), Never);
    EXPECT_EQ(fetcher.opened, 1u);
    seeder.mute = false;
    EXPECT_TRUE(net.Run(seconds(400), [&] {
        net.Confirm(6);
        return fetcher.finished.has_value();
    }));
    net.Run(seconds(1), Never);
    EXPECT_EQ(PaidBy(fetcher), EarnedBy(seeder));
}

TEST(Accounts, SayWhatEachPayerPaidForEachContent) {
    const TestContent first(16 * kChunkBytes, 1), second(8 * kChunkBytes, 2);
    Pair pair(first);
    ASSERT_TRUE(pair.net.Run(seconds(60), [&] { return pair.fetcher.finished.has_value(); }));
    pair.fetcher.finished.reset();
    pair.net.Seed(pair.seeder, second, kAsk);
    pair.net.Fetch(pair.fetcher, second, kAsk, kBudget);
    ASSERT_TRUE(pair.net.Run(seconds(60), [&] {
        pair.net.Confirm(6);
        return pair.fetcher.finished.has_value();
    }));
    pair.net.Run(seconds(10), Never);
    EXPECT_EQ(pair.seeder.earned_bytes[first.id], first.bytes.size());
    EXPECT_EQ(pair.seeder.earned_bytes[second.id], second.bytes.size());
    uint64_t value = 0;
    for (const EarnedShare& share : pair.seeder.earned_value) {
        EXPECT_EQ(share.payer, pair.fetcher.id);
        value += share.value.Owed().drops;
    }
    EXPECT_EQ(value, 24'000u);
    EXPECT_EQ(EarnedBy(pair.seeder), 24'000u);
}

TEST(History, OfAPayerOutlivesARestartAndADefaultToo) {
    CreditBook book;
    PayerId payer;
    payer.bytes[0] = 1;
    for (int i = 0; i < 64; ++i) {
        book.OnDelivered(payer, 1, kChunkBytes);
        book.OnPaid(payer, kChunkBytes);
    }
    EXPECT_TRUE(book.TakeChanged(Instant(seconds(1))).empty()) << "once a minute is enough";
    const auto changed = book.TakeChanged(Instant(seconds(62)));
    ASSERT_EQ(changed.size(), 1u);
    CreditBook later;
    later.Restore(changed[0]);
    EXPECT_EQ(later.WindowBytes(payer), book.WindowBytes(payer));
    EXPECT_EQ(later.WindowBytes(payer), 4 * uint64_t{kChunkBytes});
    later.OnDelivered(payer, 1, kChunkBytes);
    later.OnDefault(payer);
    const auto defaulted = later.TakeChanged(Instant());
    ASSERT_EQ(defaulted.size(), 1u) << "at once";
    EXPECT_TRUE(defaulted[0].defaulted);
    EXPECT_EQ(defaulted[0].paid_bytes, 0u);
}

TEST(History, IsBoundedAndThoseThatWereLongestAwayAreForgotten) {
    CreditBook book;
    const auto payer = [](size_t n) {
        PayerId id;
        for (size_t i = 0; i < 4; ++i) id.bytes[i] = static_cast<uint8_t>(n >> (8 * i));
        return id;
    };
    for (size_t n = 1; n <= kMaxRememberedPayers + 10; ++n) book.Restore({payer(n), 32 * uint64_t{kChunkBytes}, false});
    EXPECT_EQ(book.remembered(), kMaxRememberedPayers);
    EXPECT_EQ(book.WindowBytes(payer(10)), kChunkBytes);
    EXPECT_EQ(book.WindowBytes(payer(11)), 2 * uint64_t{kChunkBytes});
}

}  // namespace
}  // namespace sluice::content::testing
