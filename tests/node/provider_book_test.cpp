#include "node/provider_book.h"

#include <gtest/gtest.h>

#include "node/provider_exchange.h"
#include "node/provider_messages.h"
#include "p2p/dial_budget.h"

namespace sluice::node {
namespace {

using p2p::Direction;
using p2p::Endpoint;

ContentId Content(uint8_t first) {
    ContentId content;
    content.root.bytes.fill(first);
    content.size_bytes = 1 << 20;
    return content;
}
p2p::NodeId Node(uint8_t first) {
    p2p::NodeId node;
    node.bytes.fill(first);
    return node;
}
Endpoint At(uint8_t group, uint16_t port = 9000) { return Endpoint::Ipv4(8, group, 8, 1, port); }

template <class T, class Actions>
std::vector<T> Of(const Actions& actions) {
    std::vector<T> result;
    for (const auto& action : actions)
        if (const auto* found = std::get_if<T>(&action)) result.push_back(*found);
    return result;
}

class ProviderBookTest : public testing::Test {
  protected:
    // The peer `id` has node Node(id) at At(id).
    void Connect(uint8_t id, Direction direction = Direction::kProvider, bool listens = true) {
        p2p::PeerInfo info;
        info.id = PeerId(id);
        info.node_id = Node(id);
        info.endpoint = direction == Direction::kInbound ? At(id, 55'555) : At(id);
        info.direction = direction;
        info.hello.services = p2p::services::kContent;
        info.hello.listen_port = listens ? 9000 : 0;
        book.OnPeerReady(PeerId(id), info, now);
    }
    std::vector<ProviderAction> Tick(seconds by = seconds(1)) {
        now += by;
        book.Tick(now);
        return book.TakeActions();
    }
    // Ticks second by second; the endpoints that were dialled. Each dial fails at once.
    std::vector<Endpoint> DialsWithin(seconds time) {
        std::vector<Endpoint> dialled;
        for (seconds passed{0}; passed < time; passed += seconds(1)) {
            for (const DialProvider& dial : Of<DialProvider>(Tick())) {
                dialled.push_back(dial.endpoint);
                book.OnDialEnded(dial.endpoint, std::nullopt, now);
            }
        }
        return dialled;
    }

    SeededRandom random{1};
    std::set<Endpoint> verified;
    ProviderBook book{random, 4, false, [this](const Endpoint& endpoint) { return verified.contains(endpoint); }};
    Instant now{seconds(1000)};
    const ContentId content = Content(1);
};

TEST_F(ProviderBookTest, AWantIsSearchedForEverywhereAtOnceAndAgainAfterAMinute) {
    Connect(1, Direction::kOutbound);
    book.Want(content, now);
    auto actions = Tick();
    EXPECT_EQ(Of<SearchLan>(actions).size(), 1u);
    EXPECT_EQ(Of<SearchDht>(actions).size(), 1u);
    ASSERT_EQ(Of<AskPeer>(actions).size(), 1u);
    EXPECT_EQ(Of<AskPeer>(actions)[0].peer, PeerId(1));
    for (int i = 0; i < 58; ++i) EXPECT_TRUE(Tick().empty());
    actions = Tick(seconds(2));
    EXPECT_EQ(Of<SearchDht>(actions).size(), 1u);
    EXPECT_EQ(Of<AskPeer>(actions).size(), 1u);
}

TEST_F(ProviderBookTest, NothingIsLookedForOnceItIsNotWantedAnyMore) {
    book.Want(content, now);
    book.Unwant(content, now);
    book.OnHeard(content, ProviderSource::kDht, {At(9)}, now);
    EXPECT_TRUE(Tick().empty());
    EXPECT_FALSE(book.NextWakeup());
}

TEST_F(ProviderBookTest, AClaimsEndpointIsDialledAtOnce) {
    book.Want(content, now);
    book.OnHeard(content, ProviderSource::kClaim, {At(9)}, now);
    const auto dials = Of<DialProvider>(Tick());
    ASSERT_EQ(dials.size(), 1u);
    EXPECT_EQ(dials[0].endpoint, At(9));
    EXPECT_FALSE(dials[0].on_lan);
    EXPECT_EQ(book.Views(content).at(0).state, "dialling");
}

// A thousand contents of which each has claims, answers of a peer and entries of the DHT that name one machine with
// many ports. What PeerManager does with each dial is done by the DialBudget here.
TEST_F(ProviderBookTest, AThousandClaimsThatNameOneVictimMakeFewDialsToIt) {
    p2p::DialBudget budget;
    Connect(1, Direction::kOutbound);
    std::vector<Endpoint> rumours;
    for (uint16_t port = 2000; port < 2100; ++port) rumours.push_back(At(9, port));
    size_t wanted = 0;
    size_t dials = 0;
    const auto dial_all = [&](const std::vector<ProviderAction>& actions) {
        for (const DialProvider& dial : Of<DialProvider>(actions)) {
            ASSERT_EQ(dial.endpoint.ip, At(9).ip);
            ++wanted;
            if (budget.Allows(dial.endpoint, now)) {
                budget.Spend(dial.endpoint, now);
                ++dials;
                book.OnDialEnded(dial.endpoint, std::nullopt, now);
            } else {
                book.OnDialRefused(dial.endpoint, now);
            }
        }
    };
    for (size_t i = 0; i < 1000; ++i) {
        ContentId other = Content(2);
        other.size_bytes = i + 1;
        book.Want(other, now);
        dial_all(Tick());
        for (const auto source : {ProviderSource::kClaim, ProviderSource::kDht})
            book.OnHeard(other, source, rumours, now);
        book.OnTold(PeerId(1), other, rumours, now);
        if (i % 100 == 0) book.Unwant(other, now);
    }
    for (int i = 0; i < 600; ++i) dial_all(Tick());
    EXPECT_GT(wanted, 100u);
    EXPECT_EQ(dials, p2p::DialBudget::kPerIp);
}

TEST_F(ProviderBookTest, AWantMakesALimitedNumberOfDialsToStrangersInAnHour) {
    book.Want(content, now);
    std::vector<Endpoint> many;
    size_t dials = 0;
    for (int round = 0; round < 20; ++round) {
        many.clear();
        for (uint8_t i = 0; i < 60; ++i) many.push_back(Endpoint::Ipv4(20, static_cast<uint8_t>(round), i, 1, 9000));
        book.OnHeard(content, ProviderSource::kDht, many, now);
        dials += DialsWithin(seconds(60)).size();
    }
    EXPECT_EQ(dials, ProviderBook::kDialsPerWant);
    // Where a node was met before is not a stranger's.
    verified.insert(At(9));
    book.OnHeard(content, ProviderSource::kClaim, {At(9)}, now);
    EXPECT_EQ(DialsWithin(seconds(5)), std::vector<Endpoint>{At(9)});
    EXPECT_FALSE(DialsWithin(ProviderBook::kDialWindow).empty());
}

TEST_F(ProviderBookTest, OneTellerAndOneMachineTakeLittleRoom) {
    Connect(1, Direction::kOutbound);
    book.Want(content, now);
    (void)Tick();
    std::vector<Endpoint> many;
    for (uint8_t i = 0; i < 32; ++i) many.push_back(Endpoint::Ipv4(20, i, 1, 1, 9000));
    book.OnTold(PeerId(1), content, many, now);
    EXPECT_EQ(book.Views(content).size(), ProviderBook::kMaxCandidatesOfTeller);
    many.clear();
    for (uint16_t port = 3000; port < 3032; ++port) many.push_back(Endpoint::Ipv4(30, 1, 1, 1, port));
    book.OnHeard(content, ProviderSource::kDht, many, now);
    EXPECT_EQ(book.Views(content).size(), ProviderBook::kMaxCandidatesOfTeller + ProviderBook::kMaxCandidatesPerIp);
    for (int i = 0; i < 200; ++i)
        book.OnHeard(content, ProviderSource::kDht, {Endpoint::Ipv4(40, static_cast<uint8_t>(i), 1, 1, 9000)}, now);
    EXPECT_EQ(book.Views(content).size(), ProviderBook::kMaxCandidates);
}

TEST_F(ProviderBookTest, AnAnswerThatNobodyAskedForIsIgnored) {
    Connect(1, Direction::kOutbound);
    book.OnTold(PeerId(1), content, {At(9)}, now);
    book.Want(content, now);
    book.OnTold(PeerId(1), content, {At(9)}, now);
    EXPECT_TRUE(book.Views(content).empty());
    (void)Tick();  // asks
    now += ProviderBook::kAnswerTime - seconds(1);
    book.OnTold(PeerId(1), content, {At(9)}, now);
    EXPECT_EQ(book.Views(content).size(), 1u);
    now += seconds(1);
    book.OnTold(PeerId(1), content, {At(10)}, now);
    EXPECT_EQ(book.Views(content).size(), 1u);
}

TEST_F(ProviderBookTest, HearsayOfLocalAddressesAndPrivilegedPortsIsNoCandidate) {
    book.Want(content, now);
    const std::vector<Endpoint> unfit{Endpoint::Ipv4(127, 0, 0, 1, 9000), Endpoint::Ipv4(10, 0, 0, 1, 9000), At(9, 80)};
    for (const auto source : {ProviderSource::kClaim, ProviderSource::kDht}) book.OnHeard(content, source, unfit, now);
    EXPECT_TRUE(book.Views(content).empty());
    book.OnHeard(content, ProviderSource::kLan, unfit, now);
    EXPECT_EQ(book.Views(content).size(), 2u);
}

TEST_F(ProviderBookTest, AProviderThatHasNothingIsDroppedAndNotDialledSoon) {
    book.Want(content, now);
    book.OnHeard(content, ProviderSource::kClaim, {At(9)}, now);
    (void)Tick();
    Connect(9);
    EXPECT_TRUE(Of<DropProvider>(Tick(ProviderBook::kPatience - seconds(1))).empty());
    const auto drops = Of<DropProvider>(Tick());
    ASSERT_EQ(drops.size(), 1u);
    EXPECT_EQ(drops[0].peer, PeerId(9));
    EXPECT_TRUE(Of<DropProvider>(Tick()).empty()) << "once is enough";
    book.OnPeerGone(PeerId(9), false, now);
    EXPECT_TRUE(DialsWithin(seconds(119)).empty());
    EXPECT_EQ(DialsWithin(seconds(3)).size(), 1u);
}

TEST_F(ProviderBookTest, AProviderThatIsNotNeededAnyMoreIsDroppedUnlessItFetchesFromUs) {
    book.Want(content, now);
    Connect(1);
    Connect(2);
    Connect(3, Direction::kOutbound);
    for (const uint8_t id : {1, 2, 3}) {
        book.OnHave(PeerId(id), content, true, now);
        book.OnDelivered(PeerId(id), content, 1000, now);
    }
    EXPECT_TRUE(Of<DropProvider>(Tick(seconds(300))).empty());
    book.Unwant(content, now);
    for (int i = 0; i < 50; ++i) {
        book.OnTook(PeerId(2), now);
        EXPECT_TRUE(Of<DropProvider>(Tick()).empty()) << i;
    }
    std::vector<DropProvider> drops;
    for (int i = 0; i < 30; ++i) {
        book.OnTook(PeerId(2), now);
        for (const DropProvider& drop : Of<DropProvider>(Tick())) drops.push_back(drop);
    }
    ASSERT_EQ(drops.size(), 1u);
    EXPECT_EQ(drops[0].peer, PeerId(1));
}

TEST_F(ProviderBookTest, TheSlowestProviderIsDroppedFirstWhenOthersWait) {
    book.Want(content, now);
    for (uint8_t id = 1; id <= 4; ++id) {
        Connect(id);
        book.OnHave(PeerId(id), content, true, now);
    }
    for (int i = 0; i < 70; ++i) {
        for (uint8_t id = 1; id <= 4; ++id) book.OnDelivered(PeerId(id), content, id == 3 ? 1'000 : 1'000'000, now);
        EXPECT_TRUE(Of<DropProvider>(Tick()).empty());
    }
    book.OnHeard(content, ProviderSource::kDht, {At(20)}, now);
    const auto actions = Tick();
    ASSERT_EQ(Of<DropProvider>(actions).size(), 1u);
    EXPECT_EQ(Of<DropProvider>(actions)[0].peer, PeerId(3));
    EXPECT_EQ(Of<DialProvider>(actions).size(), 1u);
}

TEST_F(ProviderBookTest, ProvidersThatAllGiveTheirShareKeepTheirPlaces) {
    book.Want(content, now);
    for (uint8_t id = 1; id <= 4; ++id) {
        Connect(id);
        book.OnHave(PeerId(id), content, true, now);
    }
    for (int i = 0; i < 70; ++i) {
        for (uint8_t id = 1; id <= 4; ++id) book.OnDelivered(PeerId(id), content, id == 3 ? 300'000 : 1'000'000, now);
        (void)Tick();
    }
    book.OnHeard(content, ProviderSource::kDht, {At(20)}, now);
    EXPECT_TRUE(Tick().empty());
}

TEST_F(ProviderBookTest, ANewProviderHasItsTrialBeforeItIsJudged) {
    book.Want(content, now);
    for (uint8_t id = 1; id <= 4; ++id) {
        Connect(id);
        book.OnHave(PeerId(id), content, true, now);
    }
    book.OnHeard(content, ProviderSource::kDht, {At(20)}, now);
    for (int i = 0; i < 59; ++i) EXPECT_TRUE(Of<DropProvider>(Tick()).empty()) << i;
    EXPECT_EQ(Of<DropProvider>(Tick()).size(), 1u);
}

TEST_F(ProviderBookTest, WhoDeliveredWellBeforeIsDialledFirst) {
    book.Want(content, now);
    std::vector<Endpoint> endpoints;
    for (uint8_t id = 1; id <= 40; ++id) endpoints.push_back(At(id));
    Connect(33);
    book.OnHave(PeerId(33), content, true, now);
    for (int i = 0; i < 10; ++i) {
        book.OnDelivered(PeerId(33), content, 1'000'000, now);
        (void)Tick();
    }
    book.OnPeerGone(PeerId(33), false, now);
    book.OnHeard(content, ProviderSource::kDht, {At(33)}, now);
    book.OnDialEnded(At(33), Node(33), now);  // known to be that node
    now += seconds(120);
    book.OnHeard(content, ProviderSource::kClaim, endpoints, now);
    const auto dials = Of<DialProvider>(Tick());
    ASSERT_EQ(dials.size(), ProviderBook::kDialsAtOnce);
    EXPECT_EQ(dials[0].endpoint, At(33));
}

TEST_F(ProviderBookTest, ARateFallsWhenAProviderStopsGiving) {
    book.Want(content, now);
    Connect(1);
    book.OnHave(PeerId(1), content, true, now);
    for (int i = 0; i < 30; ++i) {
        book.OnDelivered(PeerId(1), content, 1'000'000, now);
        (void)Tick();
    }
    const uint64_t before = book.Views(content).at(0).bytes_per_s;
    EXPECT_NEAR(static_cast<double>(before), 1e6, 2e5);
    for (int i = 0; i < 60; ++i) (void)Tick();
    EXPECT_LT(book.Views(content).at(0).bytes_per_s, before / 10);
    EXPECT_EQ(book.Views(content).at(0).delivered_bytes, 30'000'000u);
}

TEST_F(ProviderBookTest, WithEnoughThatDeliverNoMoreAreLookedFor) {
    book.Want(content, now);
    for (uint8_t id = 1; id <= ProviderBook::kEnoughProviders; ++id) {
        Connect(id, Direction::kOutbound);
        book.OnHave(PeerId(id), content, true, now);
        book.OnDelivered(PeerId(id), content, 1000, now);
    }
    book.OnHeard(content, ProviderSource::kClaim, {At(99)}, now);
    (void)book.TakeActions();
    EXPECT_TRUE(Tick().empty());
    EXPECT_EQ(Of<DialProvider>(Tick(seconds(31))).size(), 1u) << "they stopped";
}

TEST_F(ProviderBookTest, WhoBreaksTheRulesIsToldToNobody) {
    Connect(1);
    book.OnHave(PeerId(1), content, true, now);
    book.OnDelivered(PeerId(1), content, 1000, now);
    EXPECT_EQ(book.Serving(content, 10, now), std::vector<Endpoint>{At(1)});
    book.OnPeerGone(PeerId(1), true, now);
    EXPECT_TRUE(book.Serving(content, 10, now).empty());
}

TEST_F(ProviderBookTest, WhoDeliveredIsRememberedForAnHour) {
    Connect(1);
    book.OnHave(PeerId(1), content, true, now);
    book.OnDelivered(PeerId(1), content, 1000, now);
    book.OnPeerGone(PeerId(1), false, now);
    EXPECT_EQ(book.Serving(content, 10, now + ProviderBook::kRemembered - seconds(1)).size(), 1u);
    EXPECT_TRUE(book.Serving(content, 10, now + ProviderBook::kRemembered).empty());
    EXPECT_TRUE(book.Serving(Content(2), 10, now).empty());
}

TEST(ProviderMessages, HaveTheirBytes) {
    ContentId content;
    content.root.bytes.fill(0x41);
    content.size_bytes = 600'000;
    const std::string c =
        std::string("4141414141414141414141414141414141414141414141414141414141414141") + "c027090000000000";
    EXPECT_EQ(HexEncode(content::EncodeContentMessage(GetProviders{content})), "1b" + c);
    const Providers providers{content, {Endpoint::Ipv4(203, 0, 113, 5, 19'444)}};
    const Bytes encoded = content::EncodeContentMessage(providers);
    EXPECT_EQ(HexEncode(encoded), "1c" + c + "01" + "00000000000000000000ffffcb007105" + "f44b");
    EXPECT_EQ(*DecodeProviderMessage<Providers>(encoded), providers);
}

TEST(ProviderMessages, MoreEndpointsThanTheLimitAreRefused) {
    Providers providers{{}, std::vector<Endpoint>(Providers::kMaxEndpoints, Endpoint::Ipv4(8, 8, 8, 8, 9000))};
    Bytes encoded = content::EncodeContentMessage(providers);
    EXPECT_TRUE(DecodeProviderMessage<Providers>(encoded));
    encoded[41] = Providers::kMaxEndpoints + 1;
    encoded.resize(encoded.size() + 18);
    EXPECT_FALSE(DecodeProviderMessage<Providers>(encoded));
    encoded.resize(41);
    EXPECT_FALSE(DecodeProviderMessage<Providers>(encoded));
    EXPECT_FALSE(DecodeProviderMessage<GetProviders>(Bytes{27}));
}

class ProviderExchangeTest : public ProviderBookTest {
  protected:
    ProviderExchange exchange{book, false, now};
};

TEST_F(ProviderExchangeTest, AnAskerHearsOfThoseThatServeAndAcceptConnections) {
    Connect(1, Direction::kInbound);
    Connect(2, Direction::kInbound);
    Connect(3, Direction::kInbound, false);  // accepts none
    Connect(4, Direction::kInbound);         // serves something else
    for (const uint8_t id : {1, 2, 3}) book.OnHave(PeerId(id), content, true, now);
    book.OnHave(PeerId(4), Content(2), true, now);
    exchange.OnGetProviders(PeerId(2), content, now);
    const auto told = Of<TellPeer>(exchange.TakeActions());
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].peer, PeerId(2));
    EXPECT_EQ(told[0].endpoints, std::vector<Endpoint>{At(1)}) << "not the asker itself";
}

TEST_F(ProviderExchangeTest, PeersAreAskedOnAnothersBehalfAndTheirAnswersPassedOn) {
    for (uint8_t id = 1; id <= 3; ++id) Connect(id, Direction::kInbound);
    exchange.OnGetProviders(PeerId(1), content, now);
    auto actions = exchange.TakeActions();
    EXPECT_TRUE(Of<TellPeer>(actions).empty());
    ASSERT_EQ(Of<QueryPeer>(actions).size(), 2u);
    exchange.OnHave(PeerId(3), content, true, now);
    auto told = Of<TellPeer>(exchange.TakeActions());
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].endpoints, std::vector<Endpoint>{At(3)});
    exchange.OnHave(PeerId(2), content, false, now);
    EXPECT_TRUE(exchange.TakeActions().empty());
    exchange.OnHave(PeerId(2), content, true, now + ProviderExchange::kWait);
    EXPECT_TRUE(exchange.TakeActions().empty()) << "too late";
}

TEST_F(ProviderExchangeTest, QuestionsAreLimitedForEachPeer) {
    Connect(1, Direction::kInbound);
    Connect(2, Direction::kInbound);
    size_t told = 0;
    for (int i = 0; i < 1000; ++i) {
        ContentId other = content;
        other.size_bytes = static_cast<uint64_t>(i + 1);
        book.OnHave(PeerId(2), other, true, now);
        exchange.OnGetProviders(PeerId(1), other, now);
        told += Of<TellPeer>(exchange.TakeActions()).size();
    }
    EXPECT_EQ(told, static_cast<size_t>(ProviderExchange::kQuestionBurst) + 1);
    // The same question again is answered after a while only.
    now += seconds(100);
    ContentId first = content;
    first.size_bytes = 1;
    exchange.OnGetProviders(PeerId(1), first, now);
    exchange.OnGetProviders(PeerId(1), first, now + ProviderExchange::kRepeat - seconds(1));
    EXPECT_EQ(Of<TellPeer>(exchange.TakeActions()).size(), 1u);
    exchange.OnGetProviders(PeerId(1), first, now + ProviderExchange::kRepeat);
    EXPECT_EQ(Of<TellPeer>(exchange.TakeActions()).size(), 1u);
}

TEST_F(ProviderExchangeTest, QuestionsAreNoLeverOnOurOtherPeers) {
    for (uint8_t id = 1; id <= 100; ++id) Connect(id, Direction::kInbound);
    size_t queries = 0;
    for (int i = 0; i < 1000; ++i) {
        ContentId other = content;
        other.size_bytes = static_cast<uint64_t>(i + 1);
        exchange.OnGetProviders(PeerId(static_cast<uint64_t>(i % 100 + 1)), other, now);
        queries += Of<QueryPeer>(exchange.TakeActions()).size();
    }
    EXPECT_LE(queries, static_cast<size_t>(ProviderExchange::kQueryBurst) + ProviderExchange::kQueriedPeers);
    EXPECT_GT(queries, 0u);
}

TEST_F(ProviderExchangeTest, LocalAddressesAreToldOnALocalNetworkOnly) {
    p2p::PeerInfo info;
    info.id = PeerId(7);
    info.endpoint = Endpoint::Ipv4(127, 0, 0, 1, 55'555);
    info.hello.listen_port = 9000;
    info.hello.services = p2p::services::kContent;
    book.OnPeerReady(PeerId(7), info, now);
    book.OnHave(PeerId(7), content, true, now);
    Connect(1, Direction::kInbound);
    exchange.OnGetProviders(PeerId(1), content, now);
    EXPECT_TRUE(Of<TellPeer>(exchange.TakeActions()).empty());
    ProviderExchange local(book, true, now);
    local.OnGetProviders(PeerId(1), content, now);
    EXPECT_EQ(Of<TellPeer>(local.TakeActions()).size(), 1u);
}

}  // namespace
}  // namespace sluice::node
