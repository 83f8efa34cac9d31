#include "swarm_net.h"

namespace sluice::content::testing {
namespace {

constexpr Amount kAsk{4'000};  // a chunk costs 1,000 drops
constexpr Amount kBudget{10'000'000};

TEST(Swarm, FetchesFreeContentWithoutAChannel) {
    const TestContent content(40 * kChunkBytes + 12'345);
    Net net;
    NetNode& seeder = net.Add();
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content);
    net.Connect(seeder, fetcher);
    net.Fetch(fetcher, content);
    EXPECT_TRUE(net.Run(seconds(60), [&] { return fetcher.finished.has_value(); }));
    EXPECT_EQ(fetcher.data.at(content.id), content.bytes);
    EXPECT_EQ(fetcher.finished, Amount(0));
    EXPECT_EQ(fetcher.opened, 0u);
    EXPECT_TRUE(fetcher.faults.empty() && seeder.faults.empty());
}

TEST(Swarm, FetchesContentOfOneLeafAndOfOneChunk) {
    for (const uint64_t size : {uint64_t{17}, uint64_t{kLeafBytes}, uint64_t{kLeafBytes + 1}, uint64_t{kChunkBytes},
                                uint64_t{kChunkBytes + 17}}) {
        const TestContent content(size);
        Net net;
        NetNode& seeder = net.Add();
        NetNode& fetcher = net.Add();
        net.Seed(seeder, content);
        net.Fetch(fetcher, content);
        net.Connect(seeder, fetcher);
        EXPECT_TRUE(net.Run(seconds(20), [&] { return fetcher.finished.has_value(); })) << size;
        EXPECT_EQ(fetcher.data.at(content.id), content.bytes) << size;
    }
}

TEST(Swarm, PaidContentIsPaidToTheDropAndSettles) {
    const TestContent content(60 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add();
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content, kAsk);
    net.Connect(seeder, fetcher);
    net.Fetch(fetcher, content, kAsk, kBudget);
    EXPECT_TRUE(net.Run(seconds(10), [&] { return fetcher.opened == 1; }));
    net.Run(seconds(2), [] { return false; });
    net.Confirm(6);
    EXPECT_TRUE(net.Run(seconds(60), [&] { return fetcher.finished.has_value(); }));
    EXPECT_EQ(fetcher.data.at(content.id), content.bytes);
    EXPECT_EQ(fetcher.finished, Amount(60'000));
    net.Run(seconds(1), [] { return false; });

    const auto payee = seeder.swarm->PayeeChannels();
    const auto payer = fetcher.swarm->PayerChannels();
    ASSERT_EQ(payee.size(), 1u);
    ASSERT_EQ(payer.size(), 1u);
    EXPECT_EQ(payee[0].Paid(), Amount(60'000));
    EXPECT_EQ(payer[0].Paid(), Amount(60'000));
    EXPECT_EQ(payee[0].served_bytes, content.bytes.size());
    EXPECT_EQ(seeder.vouchers.begin()->second.returned, payee[0].returned);

    SecretBytes<32> seed;
    seed.data()[0] = static_cast<uint8_t>(seeder.index + 1);
    BlockHash genesis;
    genesis.bytes[0] = 7;
    const auto settlement = BuildSettlement(NetParams(), genesis, {seeder.vouchers.begin()->second}, std::move(seed),
                                            KeyScript(1), Amount(1'000));
    ASSERT_TRUE(settlement) << settlement.error().message;
    EXPECT_EQ(settlement->take.drops + settlement->fee.drops + settlement->burned.drops + settlement->returned.drops,
              payee[0].lock.capacity.drops);
    EXPECT_TRUE(fetcher.faults.empty() && seeder.faults.empty());
}

TEST(Swarm, SeveralSeedersShareTheLoad) {
    const TestContent content(120 * kChunkBytes);
    for (const Amount ask : {Amount(0), kAsk}) {
        Net net;
        NetNode& fetcher = net.Add();
        std::vector<NetNode*> seeders;
        for (int i = 0; i < 3; ++i) {
            seeders.push_back(&net.Add(4 << 20));
            net.Seed(*seeders.back(), content, ask);
            net.Connect(*seeders.back(), fetcher);
        }
        net.Fetch(fetcher, content, kAsk, kBudget);
        net.Run(seconds(3), [] { return false; });
        net.Confirm(6);
        EXPECT_TRUE(net.Run(seconds(120), [&] { return fetcher.finished.has_value(); }));
        EXPECT_EQ(fetcher.data.at(content.id), content.bytes);
        uint64_t sent = 0;
        for (const NetNode* seeder : seeders) {
            EXPECT_GE(seeder->sent_leaf_bytes, content.bytes.size() / 5);
            sent += seeder->sent_leaf_bytes;
        }
        EXPECT_LT(sent, content.bytes.size() + content.bytes.size() / 50) << "duplicates of 2 % or more";
        EXPECT_GE(fetcher.finished->drops, ask == kAsk ? 120'000u : 0u);
    }
}

TEST(Swarm, CheapPeersArePreferred) {
    const TestContent content(30 * kChunkBytes);
    Net net;
    NetNode& cheap = net.Add();
    NetNode& dear = net.Add();
    NetNode& fetcher = net.Add();
    net.Seed(cheap, content, kAsk);
    net.Seed(dear, content, Amount(2 * kAsk.drops));
    net.Connect(cheap, fetcher);
    net.Connect(dear, fetcher);
    net.Fetch(fetcher, content, Amount(3 * kAsk.drops), kBudget);
    net.Run(seconds(2), [] { return false; });
    net.Confirm(6);
    EXPECT_TRUE(net.Run(seconds(60), [&] { return fetcher.finished.has_value(); }));
    EXPECT_GT(cheap.sent_leaf_bytes, 3 * dear.sent_leaf_bytes);
}

TEST(Swarm, AForgedLeafNamesItsPeerAndCostsThatLeafOnly) {
    const TestContent content(20 * kChunkBytes);
    Net net;
    NetNode& forger = net.Add();
    NetNode& honest = net.Add();
    NetNode& fetcher = net.Add();
    forger.forges = true;
    net.Seed(forger, content);
    net.Seed(honest, content);
    net.Connect(forger, fetcher);
    net.Fetch(fetcher, content);
    net.Run(seconds(5), [&] { return !fetcher.faults.empty(); });
    ASSERT_EQ(fetcher.fault_peers, std::vector<uint32_t>{forger.index});
    EXPECT_NE(fetcher.faults[0].find("forged leaf"), std::string::npos);
    net.Connect(honest, fetcher);
    EXPECT_TRUE(net.Run(seconds(60), [&] { return fetcher.finished.has_value(); }));
    EXPECT_EQ(fetcher.data.at(content.id), content.bytes);
    EXPECT_EQ(fetcher.faults.size(), 1u);
    // The honest peer did not have to send what the forger gave truly.
    EXPECT_LT(honest.sent_leaf_bytes, content.bytes.size());
}

TEST(Swarm, AThiefGetsOneChunkWhetherItsChannelIsFinalOrNot) {
    const TestContent content(40 * kChunkBytes);
    for (const bool is_final : {false, true}) {
        Net net;
        NetNode& seeder = net.Add();
        NetNode& thief = net.Add();
        thief.never_pays = true;
        net.Seed(seeder, content, kAsk);
        net.Connect(seeder, thief);
        net.Fetch(thief, content, kAsk, kBudget);
        net.Run(seconds(2), [] { return false; });
        if (is_final) net.Confirm(6);
        for (int i = 0; i < 5; ++i) {
            net.Run(seconds(10), [] { return false; });
            net.Part(seeder, thief);
            net.Connect(seeder, thief);  // a new connection is no new credit
        }
        EXPECT_EQ(thief.stored.at(content.id).count(), 1u);
        const auto channels = seeder.swarm->PayeeChannels();
        ASSERT_EQ(channels.size(), 1u);
        EXPECT_EQ(channels[0].meter.Owed(), Amount(1'000));
        EXPECT_EQ(channels[0].Paid(), Amount(0));
        EXPECT_EQ(channels[0].served_bytes, kChunkBytes);
    }
}

TEST(Swarm, UntilTheChannelIsFinalVouchersBuyNoMoreThanTheCredit) {
    const TestContent content(40 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add();
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content, kAsk);
    net.Connect(seeder, fetcher);
    net.Fetch(fetcher, content, kAsk, kBudget);
    net.Run(seconds(30), [] { return false; });
    EXPECT_EQ(fetcher.stored.at(content.id).count(), 1u);  // and that one came without waiting for a block
    EXPECT_EQ(fetcher.swarm->ProgressOf(content.id)->waiting_for, "a payment channel to be final");
}

TEST(Swarm, APriceRaisedAfterTheRequestIsNotPaid) {
    const TestContent content(40 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add();
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content, kAsk);
    net.Connect(seeder, fetcher);
    net.Fetch(fetcher, content, kAsk, kBudget);
    net.Run(seconds(2), [] { return false; });
    net.Confirm(6);
    ASSERT_TRUE(net.Run(seconds(10), [&] { return fetcher.stored.at(content.id).count() >= 8; }));
    Have dear;
    dear.content = content.id;
    dear.ask_per_mib = kMaxSupply;
    dear.all = true;
    const uint64_t had = fetcher.received_leaf_bytes;
    fetcher.swarm->OnMessage(PeerId(seeder.index + 1), EncodeContentMessage(dear), net.now);
    net.Run(seconds(2), [] { return false; });
    EXPECT_GT(fetcher.received_leaf_bytes, had);  // what had been asked for came
    const auto channels = fetcher.swarm->PayerChannels();
    ASSERT_EQ(channels.size(), 1u);
    Meter agreed;
    agreed.Add(channels[0].received_bytes, kAsk);
    EXPECT_EQ(channels[0].meter.Owed(), agreed.Owed());
    EXPECT_EQ(channels[0].Paid(), agreed.Owed());
}

TEST(Swarm, ADownloadEndsWithTheErrorOfTheDisk) {
    const TestContent content(4 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add();
    NetNode& fetcher = net.Add();
    fetcher.disk_full = true;
    net.Seed(seeder, content);
    net.Connect(seeder, fetcher);
    net.Fetch(fetcher, content);
    ASSERT_TRUE(net.Run(seconds(10), [&] { return fetcher.failed.has_value(); }));
    EXPECT_EQ(fetcher.failed_content, content.id);
    EXPECT_EQ(fetcher.failed->kind, ErrorKind::kEnvironment);
    EXPECT_FALSE(fetcher.swarm->ProgressOf(content.id));
}

TEST(Swarm, AReorganisationMakesAChannelOpenToSettlingAgainButNotToDebt) {
    const TestContent content(20 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add();
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content, kAsk);
    net.Connect(seeder, fetcher);
    net.Fetch(fetcher, content, kAsk, kBudget);
    net.Run(seconds(2), [] { return false; });
    const auto channel = [&] { return seeder.swarm->PayeeChannels().at(0); };
    const OutPoint outpoint = channel().lock.outpoint;
    net.Confirm(6);
    EXPECT_EQ(channel().phase, ChannelPhase::kFinal);
    seeder.swarm->OnChannelConfirmed(outpoint, 0, net.now);  // the opening is in no block any more
    EXPECT_EQ(channel().phase, ChannelPhase::kKnown);
    net.Confirm(6);
    EXPECT_TRUE(net.Run(seconds(60), [&] { return fetcher.finished.has_value(); }));

    seeder.swarm->OnChannelSpent(outpoint, net.now);
    EXPECT_EQ(channel().phase, ChannelPhase::kClosed);
    seeder.swarm->OnChannelConfirmed(outpoint, 7, net.now);  // the settlement is in no block any more
    EXPECT_EQ(channel().phase, ChannelPhase::kSettling);
    EXPECT_TRUE(WorthSettling(NetParams(), channel(), Amount(1'000)));
    seeder.swarm->OnChannelConfirmed(outpoint, 8, net.now);
    EXPECT_EQ(channel().phase, ChannelPhase::kSettling);
}

TEST(Swarm, ASeederThatTakesMoneyAndStopsIsReplaced) {
    const TestContent content(40 * kChunkBytes);
    Net net;
    NetNode& cheat = net.Add();
    NetNode& honest = net.Add();
    NetNode& fetcher = net.Add();
    net.Seed(cheat, content, Amount(kAsk.drops / 2));
    net.Connect(cheat, fetcher);
    net.Fetch(fetcher, content, kAsk, kBudget);
    net.Run(seconds(2), [] { return false; });
    net.Confirm(6);
    net.Run(seconds(10), [&] { return fetcher.stored.at(content.id).count() >= 8; });
    cheat.silent = true;
    const uint64_t had = fetcher.received_leaf_bytes;
    net.Run(seconds(10), [] { return false; });
    net.Seed(honest, content, kAsk);
    net.Connect(honest, fetcher);
    net.Run(seconds(20), [&] { return fetcher.opened > 1; });
    net.Confirm(6);
    EXPECT_TRUE(net.Run(seconds(300), [&] { return fetcher.finished.has_value(); }));
    EXPECT_EQ(fetcher.data.at(content.id), content.bytes);
    // What the cheat was paid is what it gave: nothing is paid ahead.
    for (const PayerChannel& channel : fetcher.swarm->PayerChannels()) {
        EXPECT_LE(channel.received_bytes, channel.payee_node == cheat.id ? had + kChunkBytes : content.bytes.size());
        EXPECT_LE(channel.Paid(), std::max(channel.meter.Owed(), channel.first_voucher));
    }
}

TEST(Swarm, BothSidesGoOnAfterARestartInTheMiddle) {
    const TestContent content(50 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add(2 << 20);
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content, kAsk);
    net.Connect(seeder, fetcher);
    net.Fetch(fetcher, content, kAsk, kBudget);
    net.Run(seconds(2), [] { return false; });
    net.Confirm(6);
    net.Run(seconds(30), [&] { return fetcher.stored.at(content.id).count() >= 10; });
    net.Restart(fetcher);
    net.Fetch(fetcher, content, kAsk, kBudget);
    EXPECT_TRUE(net.Run(seconds(30), [&] { return fetcher.stored.at(content.id).count() >= 25; }));
    net.Restart(seeder);
    net.Seed(seeder, content, kAsk);
    EXPECT_TRUE(net.Run(seconds(120), [&] { return fetcher.finished.has_value(); }));
    EXPECT_EQ(fetcher.data.at(content.id), content.bytes);
    EXPECT_EQ(fetcher.opened, 1u);
    net.Run(seconds(1), [] { return false; });
    const auto payee = seeder.swarm->PayeeChannels();
    ASSERT_EQ(payee.size(), 1u);
    EXPECT_EQ(payee[0].Paid(), fetcher.swarm->PayerChannels()[0].Paid());
    EXPECT_GE(payee[0].Paid().drops, 48'000u);  // all but a window lost at each restart
    EXPECT_LE(payee[0].Paid().drops, 53'000u);
    EXPECT_TRUE(fetcher.faults.empty() && seeder.faults.empty());
}

TEST(Swarm, APriceOverTheCapOrTheBudgetIsAClearFailure) {
    const TestContent content(40 * kChunkBytes);
    for (const auto& [cap, budget, word] :
         {std::tuple{Amount(kAsk.drops - 1), kBudget, "max_price_per_mib"},
          std::tuple{kAsk, Amount(39'999 + OpeningCost(NetParams(), 1, Amount(1'000)).drops), "budget"}}) {
        Net net;
        NetNode& seeder = net.Add();
        NetNode& fetcher = net.Add();
        net.Seed(seeder, content, kAsk);
        net.Connect(seeder, fetcher);
        net.Fetch(fetcher, content, cap, budget);
        EXPECT_TRUE(net.Run(seconds(20), [&] { return fetcher.failed.has_value(); }));
        ASSERT_TRUE(fetcher.failed);
        EXPECT_EQ(fetcher.failed->kind, ErrorKind::kFunds);
        EXPECT_NE(fetcher.failed->message.find(word), std::string::npos) << fetcher.failed->message;
        EXPECT_EQ(fetcher.opened, 0u);
    }
}

TEST(Swarm, ABudgetOfExactlyThePriceAndTheOpeningIsEnough) {
    const TestContent content(40 * kChunkBytes);
    const Amount opening = OpeningCost(NetParams(), 1, Amount(1'000));
    Net net;
    NetNode& seeder = net.Add();
    NetNode& fetcher = net.Add();
    net.Seed(seeder, content, kAsk);
    net.Connect(seeder, fetcher);
    net.Fetch(fetcher, content, kAsk, Amount(40'000 + opening.drops));
    net.Run(seconds(3), [] { return false; });
    net.Confirm(6);
    EXPECT_TRUE(net.Run(seconds(60), [&] { return fetcher.finished.has_value(); }));
    EXPECT_EQ(fetcher.finished, Amount(40'000));
}

TEST(Swarm, FetchersServeEachOtherWhatTheyHave) {
    const TestContent content(40 * kChunkBytes);
    Net net;
    NetNode& seeder = net.Add(2 << 20);
    NetNode& a = net.Add();
    NetNode& b = net.Add();
    net.Seed(seeder, content);
    net.Connect(seeder, a);
    net.Connect(seeder, b);
    net.Connect(a, b);
    net.Fetch(a, content);
    net.Fetch(b, content);
    EXPECT_TRUE(net.Run(seconds(120), [&] { return a.finished && b.finished; }));
    EXPECT_GT(a.sent_leaf_bytes + b.sent_leaf_bytes, content.bytes.size() / 5);
}

TEST(Swarm, GarbageIsAFaultAndNothingIsSaidAfterwards) {
    Net net;
    NetNode& node = net.Add();
    node.swarm->OnPeerConnected(PeerId(9), NodeId{}, 0, net.now);
    node.swarm->OnMessage(PeerId(9), Bytes{0xff, 1, 2}, net.now);
    auto actions = node.swarm->TakeActions();
    ASSERT_EQ(actions.size(), 1u);
    EXPECT_TRUE(std::holds_alternative<PeerFault>(actions[0]));
    node.swarm->OnMessage(PeerId(9), EncodeContentMessage(HaveQuery{{{}, 5}}), net.now);
    EXPECT_TRUE(node.swarm->TakeActions().empty());
}

}  // namespace
}  // namespace sluice::content::testing
