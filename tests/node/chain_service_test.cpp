#include "node/chain_service.h"

#include <gtest/gtest.h>

#include <deque>

#include "consensus/genesis.h"
#include "storage/memory_disk.h"

// ChainService against other ones: what it blames, and which of two forks a fresh node ends on.

namespace sluice::node {
namespace {

// ---- blame

TEST(PeerVerdict, BlamesForBrokenRulesAlone) {
    using What = chain::HeaderOutcome::What;
    using consensus::Invalid;
    using p2p::HeadersOutcome;
    const struct {
        What what;
        const char* code;
        HeadersOutcome outcome;
    } rows[] = {
        {What::kInvalid, "bad-vrf", HeadersOutcome::kInvalid},
        {What::kInvalid, "bad-prevblk", HeadersOutcome::kNotWanted},
        {What::kInvalid, "duplicate-invalid", HeadersOutcome::kNotWanted},
        {What::kInvalid, "bad-fork-checkpoint", HeadersOutcome::kNotWanted},
        {What::kPremature, "time-too-new", HeadersOutcome::kPremature},
        {What::kBeyondHorizon, "beyond-horizon", HeadersOutcome::kBeyondHorizon},
        {What::kTooDeep, "fork-too-deep", HeadersOutcome::kNotWanted},
        {What::kEquivocation, "equivocation", HeadersOutcome::kNotWanted},
        {What::kUnknownParent, "prev-blk-not-found", HeadersOutcome::kNotWanted},
    };
    for (const auto& row : rows) {
        chain::HeadersResult result;
        result.accepted = 3;
        result.stopped = chain::HeaderOutcome{row.what, nullptr, {Invalid::What::kConsensus, row.code, "why"}};
        const p2p::HeadersResult verdict = PeerVerdict(result, 7, 5);
        EXPECT_EQ(verdict.outcome, row.outcome) << row.code;
        EXPECT_EQ(verdict.accepted, 3u);
        EXPECT_EQ(verdict.signature_checks, 7u);
        EXPECT_EQ(verdict.vrf_checks, 5u);
        EXPECT_EQ(verdict.reason, row.outcome == HeadersOutcome::kInvalid ? std::string(row.code) + ": why" : "");
    }
    EXPECT_EQ(PeerVerdict({}, 0, 0).outcome, HeadersOutcome::kAccepted);
}

// ---- a few services that talk

struct NoNetwork final : p2p::Network {
    void SetEvents(p2p::NetworkEvents&) override {}
    p2p::ConnectionId Connect(const p2p::Endpoint&) override { return p2p::ConnectionId(1); }
    Result<p2p::Endpoint> Listen(const p2p::Endpoint& endpoint) override { return endpoint; }
    void Write(p2p::ConnectionId, Bytes) override {}
    size_t PendingBytes(p2p::ConnectionId) const override { return 0; }
    void SetReading(p2p::ConnectionId, bool) override {}
    void Close(p2p::ConnectionId) override {}
};
struct NoExecutor final : Executor {
    void Post(std::function<void()>) override {}
    void PostAfter(milliseconds, std::function<void()>) override {}
};

// Services by number; a peer's id is its number. Messages arrive in the order they were sent.
class ChainServiceTest : public ::testing::Test {
  protected:
    using What = chain::BlockResult::What;
    // What is lost on its way from a node.
    using Loses = std::function<bool(p2p::MessageType)>;

    struct Service final : PeerOutlet {
        Service(ChainServiceTest& the_test, uint64_t the_number)
            : test(the_test),
              number(the_number),
              random(the_number),
              disk(the_number),
              environment{test.clock, random, disk.files(), network, executor, executor, executor, executor, executor} {
            auto opened = chain::ChainManager::Open(disk.files(), "/chain", test.genesis);
            CHECK(opened.has_value());
            chain.emplace(environment, std::move(*opened), *this, events,
                          [](const Error& error) { FAIL() << error.message; });
        }
        void Send(PeerId peer, p2p::MessageType type, Bytes payload) override {
            if (loses && loses(type)) return;
            if (test.Linked(number, peer.value)) test.m_mail.push_back({number, peer.value, type, std::move(payload)});
        }
        void Misbehaving(PeerId peer, const std::string& reason) override {
            test.blamed.push_back({peer.value, reason});
            test.Unlink(number, peer.value);
        }
        void Disconnect(PeerId peer, const std::string&) override { test.Unlink(number, peer.value); }
        void SetBestHeight(Height) override {}
        const chain::HeaderNode* tip() const { return chain->chain().tip(); }

        ChainServiceTest& test;
        uint64_t number;
        SeededRandom random;
        storage::MemoryDisk disk;
        NoNetwork network;
        NoExecutor executor;
        Environment environment;
        EventHub events;
        Loses loses;
        std::optional<ChainService> chain;
    };

    Service& Add() {
        m_services.push_back(std::make_unique<Service>(*this, m_services.size()));
        return *m_services.back();
    }
    Service& operator[](size_t number) { return *m_services[number]; }
    // `claims`: the height that `to` tells, if not its own.
    void Link(uint64_t from, uint64_t to, std::optional<Height> claims = std::nullopt) {
        m_links.insert({std::min(from, to), std::max(from, to)});
        m_services[to]->chain->OnPeerReady(PeerId(from), m_services[from]->tip()->height());
        m_services[from]->chain->OnPeerReady(PeerId(to), claims.value_or(m_services[to]->tip()->height()));
    }
    bool Linked(uint64_t a, uint64_t b) const { return m_links.contains({std::min(a, b), std::max(a, b)}); }
    void Unlink(uint64_t a, uint64_t b) {
        if (m_links.erase({std::min(a, b), std::max(a, b)}) != 0) m_gone.push_back({a, b});
    }
    // Delivers and lets time pass until `done`; false if it is not within `limit`.
    bool RunUntil(const std::function<bool()>& done, milliseconds limit = seconds(300)) {
        for (const Instant end = clock.Monotonic() + limit; clock.Monotonic() < end;) {
            Deliver();
            if (done()) return true;
            clock.Advance(milliseconds(500));
            for (const auto& service : m_services) service->chain->Tick();
        }
        return false;
    }
    // Blocks of the regtest staker on the node's tip, in each `every`th slot that it wins up to `last`.
    void Mine(Service& service, uint64_t every, Slot last) {
        const auto keys = consensus::RegtestOperator(0);
        chain::ChainManager& chain = service.chain->chain();
        uint64_t won = 0;
        for (Slot slot = chain.tip()->state.slot + 1; slot <= last; slot = slot + 1) {
            const auto next = chain.NextWonSlot(keys, slot, 100);
            ASSERT_TRUE(next && *next);
            slot = **next;
            if (slot > last) return;
            if (won++ % every != 0) continue;
            const auto block = chain.ProduceBlock(keys, slot);
            ASSERT_TRUE(block && *block);
            const auto result = service.chain->SubmitBlock(*block);
            ASSERT_TRUE(result);
            ASSERT_EQ(result->what, What::kConnected);
        }
    }
    void SetSlot(Slot slot) { clock.SetNow(genesis.params.SlotTime(slot)); }
    bool AtTipOf(size_t number, size_t of) {
        return m_services[number]->tip()->hash() == m_services[of]->tip()->hash();
    }

    consensus::Genesis genesis = consensus::BuiltInGenesis("regtest").value();
    ManualClock clock;
    std::vector<std::pair<uint64_t, std::string>> blamed;

  private:
    struct Letter {
        uint64_t from;
        uint64_t to;
        p2p::MessageType type;
        Bytes payload;
    };
    void Deliver() {
        while (!m_mail.empty() || !m_gone.empty()) {
            for (const auto& [a, b] : std::exchange(m_gone, {})) {
                m_services[a]->chain->OnPeerGone(PeerId(b));
                m_services[b]->chain->OnPeerGone(PeerId(a));
            }
            if (m_mail.empty()) continue;
            const Letter letter = std::move(m_mail.front());
            m_mail.pop_front();
            if (Linked(letter.from, letter.to))
                m_services[letter.to]->chain->OnMessage(PeerId(letter.from), letter.type, letter.payload);
        }
    }

    std::vector<std::unique_ptr<Service>> m_services;
    std::set<std::pair<uint64_t, uint64_t>> m_links;
    std::deque<Letter> m_mail;
    std::vector<std::pair<uint64_t, uint64_t>> m_gone;
};

// Node 0 has every block of its slots; node 1 a chain of half as many a slot, which is longer since it goes on for
// longer, over several epochs and so beyond a fresh node's horizon. Node 2 is fresh.
class TwoForks : public ChainServiceTest {
  protected:
    static constexpr size_t kGood = 0, kBad = 1, kFresh = 2;
    void SetUp() override {
        for (int i = 0; i < 3; ++i) Add();
        SetSlot(Slot(1'000));
        Mine((*this)[kGood], 1, Slot(310));
        Mine((*this)[kBad], 2, Slot(990));
        ASSERT_GT((*this)[kGood].tip()->height(), Height(genesis.params.k));
        ASSERT_GT((*this)[kBad].tip()->height(), (*this)[kGood].tip()->height() + genesis.params.k);
    }
    bool FreshIsOnTheGoodOne() { return AtTipOf(kFresh, kGood); }
};

TEST_F(TwoForks, AFreshNodeWithPeersOnBothEndsOnTheDenserOneThoughItIsShorter) {
    Link(kFresh, kBad);
    Link(kFresh, kGood);
    EXPECT_TRUE(RunUntil([&] { return FreshIsOnTheGoodOne(); }));
    EXPECT_NE((*this)[kFresh].chain->chain().FindHeader((*this)[kBad].tip()->hash()), nullptr)
        << "it has to have had the headers of both";
    EXPECT_TRUE(blamed.empty());
}

TEST_F(TwoForks, TheBadOneThatWasFedFirstIsLeft) {
    Link(kFresh, kBad);
    ASSERT_TRUE(RunUntil([&] { return AtTipOf(kFresh, kBad); }));
    Link(kFresh, kGood);
    EXPECT_TRUE(RunUntil([&] { return FreshIsOnTheGoodOne(); }));
    EXPECT_TRUE(blamed.empty());
}

TEST_F(TwoForks, APeerThatClaimsMostAndGivesNoHeadersDoesNotStopIt) {
    (*this)[kBad].loses = [](p2p::MessageType type) { return type == p2p::MessageType::kHeaders; };
    Link(kFresh, kBad, Height(10'000'000));
    Link(kFresh, kGood);
    EXPECT_TRUE(RunUntil([&] { return FreshIsOnTheGoodOne(); }));
    EXPECT_FALSE(Linked(kFresh, kBad));
    EXPECT_TRUE(blamed.empty());
}

TEST_F(TwoForks, APeerThatGivesHeadersAndWithholdsBodiesDoesNotStopIt) {
    (*this)[kBad].loses = [](p2p::MessageType type) { return type == p2p::MessageType::kBlock; };
    Link(kFresh, kBad, Height(10'000'000));
    Link(kFresh, kGood);
    EXPECT_TRUE(RunUntil([&] { return FreshIsOnTheGoodOne(); }));
    EXPECT_TRUE(blamed.empty());
}

TEST_F(TwoForks, ThePeersOnTheWrongOneFollowToo) {
    Link(kFresh, kBad);
    Link(kFresh, kGood);
    EXPECT_TRUE(RunUntil([&] { return AtTipOf(kBad, kGood); }));
    EXPECT_TRUE(blamed.empty());
}

TEST_F(ChainServiceTest, AFreshNodeFollowsAChainOfManyEpochsThroughItsHorizons) {
    Add();
    Add();
    SetSlot(Slot(1'500));
    Mine((*this)[0], 1, Slot(1'450));
    Link(1, 0);
    EXPECT_TRUE(RunUntil([&] { return AtTipOf(1, 0); }, seconds(60)));
    EXPECT_TRUE(blamed.empty());
}

TEST_F(ChainServiceTest, ABlockReachesTheThirdNodeThroughTheSecondAndIsAskedForOnce) {
    for (int i = 0; i < 3; ++i) Add();
    SetSlot(Slot(20));
    Link(1, 0);
    Link(2, 1);
    ASSERT_TRUE(RunUntil([] { return true; }));
    Mine((*this)[0], 1, Slot(20));
    EXPECT_TRUE(RunUntil([&] { return AtTipOf(2, 0); }, seconds(5)));
    EXPECT_GT((*this)[2].tip()->height(), Height(0));
}

TEST_F(ChainServiceTest, PeersAreSentABlockBeforeListenersHearOfIt) {
    struct Listener final : ChainListener {
        void OnTipChanged(const chain::TipChange&) override { sent_before.push_back(sent); }
        void OnTransactionAccepted(const TransactionRef&) override {}
        void OnTransactionRemoved(const chain::RemovedTransaction&) override {}
        size_t sent{0};
        std::vector<size_t> sent_before;
    } listener;
    for (int i = 0; i < 2; ++i) Add();
    SetSlot(Slot(20));
    Link(1, 0);
    ASSERT_TRUE(RunUntil([] { return true; }));
    (*this)[0].chain->AddListener(listener);
    (*this)[0].loses = [&](p2p::MessageType) {
        ++listener.sent;
        return false;
    };
    Mine((*this)[0], 1, Slot(20));
    ASSERT_GE(listener.sent_before.size(), 1u);
    EXPECT_EQ(listener.sent_before.front(), 1u);
    EXPECT_TRUE(RunUntil([&] { return AtTipOf(1, 0); }, seconds(5)));
}

// A block that proves invalid has been passed on with its header by peers that had not validated it.
TEST_F(ChainServiceTest, NobodyIsBlamedForHeadersOnABlockThatTheOperatorRefuses) {
    Add();
    Add();
    SetSlot(Slot(100));
    Mine((*this)[0], 1, Slot(50));
    Link(1, 0);
    ASSERT_TRUE(RunUntil([&] { return AtTipOf(1, 0); }));
    const BlockHash refused = (*this)[1].tip()->hash();
    ASSERT_TRUE((*this)[1].chain->Invalidate(refused));
    Mine((*this)[0], 1, Slot(90));
    RunUntil([] { return false; }, seconds(60));
    EXPECT_TRUE(blamed.empty());
    EXPECT_TRUE(Linked(0, 1));
    EXPECT_FALSE(AtTipOf(1, 0));
}

TEST_F(ChainServiceTest, ABlockOfASlotToComeIsNotConnectedBeforeItsSlotBegins) {
    Add();
    Add();
    SetSlot(Slot(50));
    Link(1, 0);
    ASSERT_TRUE(RunUntil([] { return true; }));
    // Node 0 believes that it is later.
    const auto keys = consensus::RegtestOperator(0);
    const auto slot = (*this)[0].chain->chain().NextWonSlot(keys, Slot(50), 100);
    ASSERT_TRUE(slot && *slot);
    SetSlot(**slot);
    const auto block = (*this)[0].chain->chain().ProduceBlock(keys, **slot);
    ASSERT_TRUE(block && *block);
    ASSERT_TRUE((*this)[0].chain->SubmitBlock(*block));
    clock.SetNow(genesis.params.SlotTime(**slot) - seconds(2));
    EXPECT_FALSE(RunUntil([&] { return AtTipOf(1, 0); }, milliseconds(1'500)));
    EXPECT_NE((*this)[1].chain->chain().FindHeader((*block)->header.Hash()), nullptr);  // verified and held
    EXPECT_TRUE(RunUntil([&] { return AtTipOf(1, 0); }, seconds(2)));
    EXPECT_TRUE(blamed.empty());
}

}  // namespace
}  // namespace sluice::node
