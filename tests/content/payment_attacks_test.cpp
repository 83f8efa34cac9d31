#include "swarm_net.h"

// What a hostile peer can make of the messages about money: each attack with its bound in drops.

namespace sluice::content::testing {
namespace {

constexpr Amount kAsk{4'000};  // a chunk costs 1,000 drops
constexpr uint64_t kChunkPrice = 1'000;
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
bool Never() { return false; }

struct Pair {
    explicit Pair(const TestContent& content, Amount budget = kBudget, Amount ask = kAsk)
        : seeder(net.Add()), fetcher(net.Add()) {
        net.Seed(seeder, content, ask);
        net.Connect(seeder, fetcher);
        net.Fetch(fetcher, content, ask, budget);
        net.Run(seconds(2), Never);
        net.Confirm(6);
    }
    PeerId AsSeeder() const { return PeerId(seeder.index + 1); }
    PeerId AsFetcher() const { return PeerId(fetcher.index + 1); }
    template <class T>
    std::vector<T> Actions(NetNode& node) {
        std::vector<T> found;
        for (SwarmAction& action : node.swarm->TakeActions())
            if (auto* one = std::get_if<T>(&action)) found.push_back(std::move(*one));
        return found;
    }
    Net net;
    NetNode& seeder;
    NetNode& fetcher;
};

// [A payee counts more than it served]: whatever it says and however often, it gets a sixteenth of what came and a
// chunk beside it, and never what the download's budget does not hold.
TEST(LyingPayee, WhoseCountIsTooHighGetsASixteenthAndAChunkAtMost) {
    const TestContent content(64 * kChunkBytes);
    for (const bool tight : {false, true}) {
        const uint64_t value = 64 * kChunkPrice;
        const uint64_t opening = OpeningCost(NetParams(), 1, Amount(1'000)).drops;
        const Amount budget = tight ? Amount(value + opening) : kBudget;
        Pair pair(content, budget);
        ASSERT_TRUE(pair.net.Run(seconds(60), [&] { return pair.fetcher.stored.at(content.id).count() >= 32; }));
        for (int lie = 0; lie < 200; ++lie) {
            const PayerChannel mine = pair.fetcher.swarm->PayerChannels().at(0);
            Meter more = mine.meter;
            more.Add(kChunkBytes / 4, kAsk);
            ChannelAccept accept{mine.lock.outpoint, true, true, mine.lock.capacity, {}, more.low, more.high};
            pair.fetcher.swarm->OnMessage(pair.AsSeeder(), EncodeContentMessage(accept), pair.net.now);
            pair.net.Run(milliseconds(20), Never);
        }
        pair.net.Run(seconds(60), [&] { return pair.fetcher.finished || pair.fetcher.failed; });
        pair.net.Run(seconds(1), Never);
        const uint64_t got = pair.fetcher.stored.at(content.id).count() * kChunkPrice;
        EXPECT_LE(PaidBy(pair.fetcher), got + got / kPaidChunksPerCreditChunk + kChunkPrice) << tight;
        EXPECT_LE(PaidBy(pair.fetcher) + OpeningsOf(pair.fetcher), budget.drops) << tight;
    }
}

// [A payee breaks the connection over and over, and counts what it never sent]: three sixteenths of what came and nine
// chunks at most, which is what honest breaks may cost.
TEST(LyingPayee, WhoBreaksConnectionsGetsABoundedPartForWhatNeverCame) {
    const TestContent content(64 * kChunkBytes);
    Pair pair(content);
    for (int cut = 0; cut < 100; ++cut) {
        pair.net.Run(milliseconds(40), Never);
        pair.net.Part(pair.seeder, pair.fetcher);
        pair.net.Connect(pair.seeder, pair.fetcher);
        const PayerChannel mine = pair.fetcher.swarm->PayerChannels().at(0);
        Meter more = mine.meter;
        more.Add(kChunkBytes, kAsk);
        ChannelAccept accept{mine.lock.outpoint, true, true, mine.lock.capacity, {}, more.low, more.high};
        pair.fetcher.swarm->OnMessage(pair.AsSeeder(), EncodeContentMessage(accept), pair.net.now);
    }
    pair.net.Run(seconds(30), [&] { return pair.fetcher.finished.has_value(); });
    pair.net.Run(seconds(1), Never);
    const uint64_t got = pair.fetcher.stored.at(content.id).count() * kChunkPrice;
    EXPECT_LE(PaidBy(pair.fetcher), got + got * 3 / 16 + (1 + 8) * kChunkPrice);
    EXPECT_GT(PaidBy(pair.fetcher), got) << "or nothing was tested";
}

// Connections that break lose what was on its way, which the payee counts: the budget holds all the same.
TEST(Budget, HoldsToTheDropThoughConnectionsBreak) {
    SeededRandom random(5);
    size_t finished = 0;
    for (int run = 0; run < 30; ++run) {
        const TestContent content((10 + random.Below(40)) * uint64_t{kChunkBytes} + 1'000, static_cast<uint64_t>(run));
        const uint64_t value = Meter{}.OwedAfter(content.bytes.size(), kAsk).drops;
        const uint64_t opening = OpeningCost(NetParams(), 1, Amount(1'000)).drops;
        const Amount budget(value + opening + random.Below(16'000));
        Pair pair(content, budget);
        for (int cut = 0; cut < 8 && !pair.fetcher.finished && !pair.fetcher.failed; ++cut) {
            pair.net.Run(milliseconds(30 + random.Below(200)), Never);
            pair.net.Part(pair.seeder, pair.fetcher);
            pair.net.Run(milliseconds(random.Below(100)), Never);
            pair.net.Connect(pair.seeder, pair.fetcher);
        }
        for (int i = 0; i < 12 && !pair.fetcher.finished && !pair.fetcher.failed; ++i) {
            pair.net.Run(seconds(10), [&] { return pair.fetcher.finished || pair.fetcher.failed; });
            pair.net.Confirm(6);
        }
        EXPECT_TRUE(pair.fetcher.finished || pair.fetcher.failed)
            << run << " stands still, waiting for " << pair.fetcher.waits_for;
        finished += pair.fetcher.finished.has_value();
        EXPECT_LE(PaidBy(pair.fetcher) + OpeningsOf(pair.fetcher), budget.drops) << run;
    }
    EXPECT_GE(finished, 5u);
}

// [A payee asks a fortune for its first chunk]: ten times what settling is worth at the payer's own fees, and not a
// drop more.
TEST(LyingPayee, AFirstVoucherOverTenTimesItsWorthIsNotSigned) {
    const TestContent content(8 * kChunkBytes);
    const uint64_t most = 10 * FirstVoucher(NetParams(), Amount(1'000)).drops;
    for (const uint64_t first : {most, most + 1}) {
        Net net;
        NetNode& seeder = net.Add();
        NetNode& fetcher = net.Add();
        net.Know(content);
        fetcher.stored.try_emplace(content.id, content.None());
        fetcher.data[content.id].resize(content.bytes.size());
        net.Connect(seeder, fetcher);
        net.Fetch(fetcher, content, kAsk, kBudget);
        const PeerId as(seeder.index + 1);
        Have have;
        have.content = content.id;
        have.ask_per_mib = kAsk;
        have.all = true;
        fetcher.swarm->OnMessage(as, EncodeContentMessage(have), net.now);
        bool opened = false;
        for (int i = 0; i < 100 && !opened; ++i) {
            net.now += milliseconds(50);
            fetcher.swarm->Tick(net.now);
            for (SwarmAction& action : fetcher.swarm->TakeActions()) {
                opened = opened || std::holds_alternative<WantChannels>(action);
                const auto* sent = std::get_if<SendControl>(&action);
                if (sent == nullptr) continue;
                const auto message = DecodeContentMessage(sent->payload);
                if (!message || !std::holds_alternative<TermsRequest>(*message)) continue;
                ChannelTerms terms;
                terms.content = content.id;
                terms.payee_key = TestKey(5).XOnly();
                terms.ask_per_mib = kAsk;
                terms.first_voucher = Amount(first);
                terms.min_window_blocks = NetParams().channel_window_blocks;
                fetcher.swarm->OnMessage(as, EncodeContentMessage(terms), net.now);
            }
        }
        EXPECT_EQ(opened, first == most);
    }
}

// [A payer offers a channel that does not exist, over and over]: it is looked up once at a time.
TEST(LyingPayer, AnOfferThatIsBeingLookedUpIsNotLookedUpAgain) {
    const TestContent content(4 * kChunkBytes);
    Pair pair(content);
    const PayerChannel real = pair.fetcher.swarm->PayerChannels().at(0);
    // Terms of our own, so that the seeder knows the key.
    pair.seeder.swarm->OnMessage(pair.AsFetcher(), EncodeContentMessage(TermsRequest{content.id}), pair.net.now);
    std::optional<ChannelTerms> terms;
    for (const SendControl& sent : pair.Actions<SendControl>(pair.seeder)) {
        const auto message = DecodeContentMessage(sent.payload);
        if (message && std::holds_alternative<ChannelTerms>(*message)) terms = std::get<ChannelTerms>(*message);
    }
    ASSERT_TRUE(terms);
    ChannelLock lock = real.lock;
    lock.outpoint.index = 77;
    lock.payee_key = terms->payee_key;
    const Hash256 hash = ChannelOpenHash(BlockHash{{7}}, lock, terms->salt, pair.fetcher.id, pair.seeder.id);
    const auto key = pair.fetcher.payer_keys.at(real.lock.outpoint);
    const ChannelOpen open{lock.outpoint, lock.payer_key, lock.payee_key,     terms->salt,
                           lock.expiry,   lock.capacity,  lock.return_script, TestKey(key).Sign(hash)};
    size_t looked_up = 0;
    for (int i = 0; i < 1'000; ++i) {
        pair.seeder.swarm->OnMessage(pair.AsFetcher(), EncodeContentMessage(open), pair.net.now);
        looked_up += pair.Actions<CheckChannel>(pair.seeder).size();
    }
    EXPECT_EQ(looked_up, 1u);
    // Not found: it may be offered again.
    pair.seeder.swarm->OnChannelKnown(pair.AsFetcher(), lock.outpoint, std::nullopt, pair.net.now);
    pair.seeder.swarm->TakeActions();
    pair.seeder.swarm->OnMessage(pair.AsFetcher(), EncodeContentMessage(open), pair.net.now);
    EXPECT_EQ(pair.Actions<CheckChannel>(pair.seeder).size(), 1u);
}

// [Reorganisation of the opening, which is mined again]: it is not final before it is as deep as at first.
TEST(Reorganisation, AnOpeningThatIsLessDeepThanItMustBeIsCreditAgain) {
    const TestContent content(60 * kChunkBytes);
    constexpr Amount kDear{10 * kDropsPerSlu};  // so that one block is not enough
    constexpr uint64_t kDearChunk = kDear.drops / 4;
    Pair pair(content, Amount(1'000 * kDropsPerSlu), kDear);
    ASSERT_TRUE(pair.net.Run(seconds(60), [&] { return pair.fetcher.stored.at(content.id).count() >= 20; }));
    const uint32_t needed =
        consensus::ConfirmationsFor(NetParams(), pair.fetcher.swarm->PayerChannels().at(0).lock.capacity);
    ASSERT_GT(needed, 1u) << "the channel is too small for this test";
    pair.net.Confirm(needed);
    EXPECT_EQ(pair.seeder.swarm->PayeeChannels().at(0).phase, ChannelPhase::kFinal);
    pair.net.Confirm(needed - 1);
    EXPECT_EQ(pair.seeder.swarm->PayeeChannels().at(0).phase, ChannelPhase::kKnown);
    const uint64_t before = pair.seeder.swarm->PayeeChannels().at(0).meter.Owed().drops;
    pair.net.Run(seconds(20), Never);
    const uint64_t window = std::max<uint64_t>(1, before / kDearChunk / kPaidChunksPerCreditChunk);
    EXPECT_LE(pair.seeder.swarm->PayeeChannels().at(0).meter.Owed().drops - before, (window + 1) * kDearChunk);
    pair.net.Confirm(needed);
    EXPECT_TRUE(pair.net.Run(seconds(60), [&] { return pair.fetcher.finished.has_value(); }));
    pair.net.Run(seconds(1), Never);
    EXPECT_EQ(PaidBy(pair.fetcher), 60 * kDearChunk);
}

// A disk that is full for a moment: the voucher is saved later, and the stream goes on.
TEST(Vouchers, ThatCouldNotBeSavedAreSavedLater) {
    const TestContent content(20 * kChunkBytes);
    Pair pair(content);
    pair.seeder.vouchers_fail = 3;
    EXPECT_TRUE(pair.net.Run(seconds(60), [&] { return pair.fetcher.finished.has_value(); }));
    pair.net.Run(seconds(2), Never);
    EXPECT_EQ(pair.seeder.vouchers_fail, 0u);
    const auto& saved = pair.seeder.vouchers.begin()->second;
    EXPECT_EQ(saved.Paid(), Amount(20 * kChunkPrice));
}

}  // namespace
}  // namespace sluice::content::testing
