#include "p2p/sync_fixture.h"

// Header and block relay against peers that lie, stall and flood.

namespace sluice::p2p {
namespace {

class HeaderRelayTest : public SyncTest {
  protected:
    static constexpr HeadersResult kAllAccepted{};
    // Our chain, all of it connected; peers that are ready have told us that they have no more.
    void HaveChain(size_t length) {
        view.headers = Chain(length);
        view.bodies = view.headers.size();
        view.slot_now = view.headers.back().slot + 1;
    }
    void ReadyAndSynced(uint64_t peer) {
        Ready(peer, view.headers.back().height.value);
        ReceiveHeaders(peer, {});
        Take<SendAction>();
    }
    // A header on ours for a slot `ahead` seconds from the present one.
    BlockHeader Next(int64_t ahead = 0, uint64_t salt = 0) const { return On(view.headers.back(), ahead, salt); }
    BlockHeader On(const BlockHeader& parent, int64_t ahead, uint64_t salt = 0) const {
        BlockHeader header = Child(parent);
        header.slot = Slot(static_cast<uint64_t>(static_cast<int64_t>(view.slot_now.value) + ahead));
        header.version = static_cast<int32_t>(1 + salt);
        return header;
    }
    std::vector<BlockHeader> NextChain(size_t count) const {
        std::vector<BlockHeader> chain;
        for (size_t i = 0; i < count; ++i) chain.push_back(Child(chain.empty() ? view.headers.back() : chain.back()));
        return chain;
    }
    // What the node does with the batches that wait: all are good and become our best branch.
    size_t AcceptAll() {
        size_t accepted = 0;
        for (const ProcessHeadersAction& action : Take<ProcessHeadersAction>()) {
            accepted += action.headers.size();
            Accept(action.headers);
            sync.OnHeadersResult(action.peer, {HeadersOutcome::kAccepted, action.headers.size(), "", 1, 1}, now);
        }
        return accepted;
    }
    // Moves both clocks and lets what is due happen.
    void Advance(milliseconds by) {
        now += by;
        view.into_slot += by;
        sync.Tick(now);
    }
    bool NobodyBlamed() { return Take<MisbehavingAction>().empty() && Take<DisconnectAction>().empty(); }
    std::vector<BlockHash> Told(uint64_t peer) {
        std::vector<BlockHash> told;
        const auto sent = Sent(MessageType::kHeaders);
        for (auto [it, end] = sent.equal_range(peer); it != end; ++it) {
            const auto message = Decode<Headers>(it->second);
            for (const BlockHeader& header : message->headers) told.push_back(header.Hash());
        }
        return told;
    }
};

// ---- early headers

TEST_F(HeaderRelayTest, AHeaderTwoSecondsEarlyIsVerifiedAndHeldUntilItsSlotBegins) {
    HaveChain(3);
    ReadyAndSynced(1);
    ReadyAndSynced(2);
    const BlockHeader early = Next(2);
    ReceiveHeaders(1, {early});
    EXPECT_EQ(AcceptAll(), 1u);
    EXPECT_EQ(sync.HeadersHeld(), 1u);
    EXPECT_TRUE(Take<SendAction>().empty());
    Advance(milliseconds(1999));
    EXPECT_TRUE(Take<SendAction>().empty());
    ASSERT_TRUE(sync.NextWakeup());
    EXPECT_EQ(*sync.NextWakeup(), now + milliseconds(1));
    Advance(milliseconds(1));
    std::multimap<uint64_t, MessageType> sent;
    for (const SendAction& send : Take<SendAction>()) sent.emplace(send.peer.value, send.type);
    EXPECT_EQ(sent, (std::multimap<uint64_t, MessageType>{{1, MessageType::kGetBlocks}, {2, MessageType::kHeaders}}));
    EXPECT_EQ(sync.HeadersHeld(), 0u);
    EXPECT_TRUE(NobodyBlamed());
}

TEST_F(HeaderRelayTest, AHeaderOneSlotMoreThanTwoSecondsEarlyIsDroppedWithoutWorkAndWithoutBlame) {
    HaveChain(3);
    ReadyAndSynced(1);
    ReceiveHeaders(1, {Next(3)});
    EXPECT_TRUE(Take<ProcessHeadersAction>().empty());
    EXPECT_EQ(sync.HeadersHeld(), 0u);
    EXPECT_TRUE(NobodyBlamed());
    // One millisecond over the tolerance is over.
    ReceiveHeaders(1, {Next(2)});
    EXPECT_EQ(Take<ProcessHeadersAction>().size(), 1u);
    view.into_slot = milliseconds(-1);
    ReadyAndSynced(2);
    ReceiveHeaders(2, {Next(2, 1)});
    EXPECT_TRUE(Take<ProcessHeadersAction>().empty());
}

TEST_F(HeaderRelayTest, EightEarlyHeadersOfAPeerAreHeldAndTheNinthIsDroppedWithoutBlame) {
    HaveChain(3);
    ReadyAndSynced(1);
    ReadyAndSynced(2);
    for (uint64_t i = 0; i < 9; ++i) {
        ReceiveHeaders(1, {Next(2, i)});
        const auto batches = Take<ProcessHeadersAction>();
        EXPECT_EQ(batches.size(), i < 8 ? 1u : 0u) << i;
        if (!batches.empty()) sync.OnHeadersResult(P(1), {HeadersOutcome::kNotWanted, 0, ""}, now);
    }
    EXPECT_EQ(sync.HeadersHeld(), Sync::kMaxEarlyPerPeer);
    EXPECT_TRUE(NobodyBlamed());
    // Another peer has its own places, and they are free again when the slot has begun.
    ReceiveHeaders(2, {Next(2, 8)});
    EXPECT_EQ(Take<ProcessHeadersAction>().size(), 1u);
    Advance(seconds(2));
    ReceiveHeaders(1, {Next(4, 9)});
    EXPECT_EQ(Take<ProcessHeadersAction>().size(), 1u);
}

TEST_F(HeaderRelayTest, AFloodOfFutureSlotsCostsNeitherChecksNorMemory) {
    HaveChain(3);
    ReadyAndSynced(1);
    for (uint64_t i = 0; i < 10'000; ++i) ReceiveHeaders(1, {Next(static_cast<int64_t>(3 + i * i), i)});
    EXPECT_TRUE(Take<ProcessHeadersAction>().empty());
    EXPECT_EQ(sync.HeadersHeld(), 0u);
    EXPECT_TRUE(Take<SendAction>().empty());
    EXPECT_TRUE(NobodyBlamed());
}

TEST_F(HeaderRelayTest, WhatComesBeforeAPrematureHeaderIsTaken) {
    HaveChain(3);
    ReadyAndSynced(1);
    const BlockHeader good = Next(0);
    ReceiveHeaders(1, {good, On(good, 30)});
    const auto batches = Take<ProcessHeadersAction>();
    ASSERT_EQ(batches.size(), 1u);
    EXPECT_EQ(batches[0].headers, std::vector<BlockHeader>{good});
}

// Five nodes whose clocks differ pass one chain on, each making blocks in turn by its own clock.
TEST_F(HeaderRelayTest, NoHonestPeerIsBlamedForAClockThatIsWrongByUpToThirtySeconds) {
    struct Node {
        explicit Node(int64_t the_skew_s) : skew_s(the_skew_s), sync(view) {}
        int64_t skew_s;
        FakeView view;
        Sync sync;
    };
    for (const int64_t skew : {1, 2, 5, 30}) {
        std::vector<std::unique_ptr<Node>> nodes;
        for (const int64_t skew_s : {int64_t{0}, skew, -skew, int64_t{0}, skew})
            nodes.push_back(std::make_unique<Node>(skew_s));
        std::map<BlockHash, BlockHeader> all;
        Instant time{};
        const auto run = [&](size_t n, auto&& self) -> void {
            Node& node = *nodes[n];
            for (SyncAction& action : node.sync.TakeActions()) {
                if (const auto* send = std::get_if<SendAction>(&action)) {
                    const size_t to = send->peer.value;
                    ASSERT_TRUE(nodes[to]->sync.OnMessage(P(n), send->type, send->payload, time));
                    self(to, self);
                } else if (const auto* headers = std::get_if<ProcessHeadersAction>(&action)) {
                    HeadersResult result;
                    if (headers->headers.front().prev == node.view.headers.back().Hash()) {
                        node.view.headers.insert(node.view.headers.end(), headers->headers.begin(),
                                                 headers->headers.end());
                        result.accepted = headers->headers.size();
                    } else {
                        result.outcome = HeadersOutcome::kNotWanted;
                    }
                    node.sync.OnHeadersResult(headers->peer, result, time);
                } else if (const auto* block = std::get_if<ProcessBlockAction>(&action)) {
                    node.view.stored.insert(block->hash);
                    while (node.view.bodies < node.view.headers.size() &&
                           node.view.stored.contains(node.view.headers[node.view.bodies].Hash()))
                        ++node.view.bodies;
                    node.sync.OnBlockResult(block->peer, block->hash, BlockOutcome::kAccepted, "", time);
                    node.sync.OnTipChanged({block->block->header}, time);
                } else if (const auto* serve = std::get_if<ServeBlockAction>(&action)) {
                    const Bytes bytes = Block{all.at(serve->hash), {}}.ToBytes();
                    node.sync.OnBlockServed(serve->peer, bytes.size(), time);
                    ASSERT_TRUE(nodes[serve->peer.value]->sync.OnMessage(P(n), MessageType::kBlock, bytes, time));
                    self(serve->peer.value, self);
                } else {
                    FAIL() << "an honest peer is blamed with a skew of " << skew << " s";
                }
            }
            if (auto more = node.sync.HeadersHeld(); more > 5 * Sync::kMaxEarlyPerPeer) FAIL();
        };
        const auto run_all = [&] {
            for (int round = 0; round < 20; ++round)
                for (size_t n = 0; n < nodes.size(); ++n) run(n, run);
        };
        for (size_t n = 0; n < nodes.size(); ++n)
            for (size_t other = 0; other < nodes.size(); ++other)
                if (n != other) nodes[n]->sync.OnPeerReady(P(other), Height(0), time);
        run_all();
        const int64_t start = 1000;
        const auto set_clocks = [&](int64_t second) {
            time = Instant{} + seconds(second);
            for (const auto& node : nodes)
                node->view.slot_now = Slot(static_cast<uint64_t>(start + second + node->skew_s));
            for (const auto& node : nodes) node->sync.Tick(time);
            run_all();
        };
        for (int64_t second = 1; second <= 800; ++second) {
            set_clocks(second);
            if (second % 80 != 0) continue;
            Node& maker = *nodes[static_cast<size_t>(second / 80) % nodes.size()];
            if (maker.view.slot_now <= maker.view.headers.back().slot) continue;
            BlockHeader header = Child(maker.view.headers.back());
            header.slot = maker.view.slot_now;
            all.emplace(header.Hash(), header);
            maker.view.headers.push_back(header);
            maker.view.bodies = maker.view.headers.size();
            maker.sync.OnTipChanged({header}, time);
            run_all();
        }
        // Nothing new for two minutes: everyone has the same chain, whatever was too early at first.
        for (int64_t second = 801; second <= 930; ++second) set_clocks(second);
        for (const auto& node : nodes) {
            EXPECT_EQ(node->view.headers.back().Hash(), nodes[0]->view.headers.back().Hash()) << skew;
            EXPECT_EQ(node->view.bodies, nodes[0]->view.bodies);
        }
        EXPECT_GE(nodes[0]->view.headers.size(), 4u);
    }
}

// ---- blame

TEST_F(HeaderRelayTest, OnlyAnInvalidHeaderIsBlamed) {
    using enum HeadersOutcome;
    for (const HeadersOutcome outcome : {kAccepted, kBeyondHorizon, kPremature, kNotWanted, kInvalid}) {
        HaveChain(3);
        sync.~Sync();
        new (&sync) Sync(view);
        ReadyAndSynced(1);
        ReceiveHeaders(1, {Next()});
        ASSERT_EQ(Take<ProcessHeadersAction>().size(), 1u);
        sync.OnHeadersResult(P(1), {outcome, 0, "why", 1, 1}, now);
        EXPECT_EQ(Take<MisbehavingAction>().size(), outcome == kInvalid ? 1u : 0u);
        EXPECT_TRUE(Take<DisconnectAction>().empty());
    }
}

TEST_F(HeaderRelayTest, APeerIsNotBlamedForABlockThatProvesInvalidSinceItMayNotHaveValidatedIt) {
    HaveChain(3);
    ReadyAndSynced(1);
    const BlockHeader next = Next();
    ReceiveHeaders(1, {next});
    AcceptAll();
    ReceiveBlock(1, next);
    sync.OnBlockResult(P(1), next.Hash(), BlockOutcome::kInvalid, "bad", now);
    EXPECT_TRUE(NobodyBlamed());
}

// ---- floods

TEST_F(HeaderRelayTest, AMillionHeadersOfOnePeerHoldNoMoreMemoryThanOneMessage) {
    HaveChain(1);
    ReadyAndSynced(1);
    view.slot_now = Slot(100'000'000);
    const auto flood = NextChain(kMaxHeadersPerMessage);
    const Bytes message = Encode(Headers{flood});
    size_t processed = 0;
    for (size_t i = 0; i < 1000; ++i) {
        ASSERT_TRUE(sync.OnMessage(P(1), MessageType::kHeaders, message, now));
        for (const ProcessHeadersAction& action : Take<ProcessHeadersAction>()) processed += action.headers.size();
        ASSERT_LE(sync.HeadersHeld(), kMaxHeadersPerMessage + Sync::kMaxEarlyPerPeer);
        // The node is slow: it answers each hundredth message. Good signatures, useless branch.
        if (i % 100 == 99) sync.OnHeadersResult(P(1), {HeadersOutcome::kNotWanted, 0, "", 1000, 1000}, now);
    }
    // The burst allows four full messages of work; one more brings the bucket below zero.
    EXPECT_EQ(processed, 5000u);
    EXPECT_TRUE(NobodyBlamed());
}

TEST_F(HeaderRelayTest, APeerWhoseBucketIsExactlyEmptyIsHeardAndOneUnitBelowItWaitsForTheRefill) {
    HaveChain(1);
    ReadyAndSynced(1);
    const auto cost = [&](size_t signatures) {
        ReceiveHeaders(1, {Next(0, signatures)});
        EXPECT_EQ(Take<ProcessHeadersAction>().size(), 1u);
        sync.OnHeadersResult(P(1), {HeadersOutcome::kNotWanted, 0, "", signatures, 0}, now);
    };
    cost(static_cast<size_t>(Sync::kHeaderWorkBurst));
    cost(1);
    ReceiveHeaders(1, {Next(0, 7)});
    EXPECT_TRUE(Take<ProcessHeadersAction>().empty());
    EXPECT_TRUE(NobodyBlamed());
    // Asked again, not forgotten, as soon as the debt of one unit is paid.
    Take<SendAction>();
    const Instant paid = now + microseconds(1'000'000 / Sync::kHeaderWorkPerSecond);
    EXPECT_EQ(sync.NextWakeup(), paid);
    now = paid - microseconds(1);
    sync.Tick(now);
    ReceiveHeaders(1, {Next(0, 7)});
    EXPECT_TRUE(Take<ProcessHeadersAction>().empty());
    now = paid;
    sync.Tick(now);
    EXPECT_EQ(Sent(MessageType::kGetHeaders).count(1), 1u);
    ReceiveHeaders(1, {Next(0, 7)});
    EXPECT_EQ(Take<ProcessHeadersAction>().size(), 1u);
}

TEST_F(HeaderRelayTest, HeadersThatLengthenOurBestBranchPayForThemselves) {
    Ready(1, 100'000);
    std::vector<BlockHeader> chain = Chain(20 * kMaxHeadersPerMessage);
    for (size_t batch = 0; batch < 20; ++batch) {
        const auto part = Slice(chain, 1 + batch * 1000, 1 + (batch + 1) * 1000);
        ReceiveHeaders(1, part);
        ASSERT_EQ(Take<ProcessHeadersAction>().size(), 1u) << batch;
        view.headers = Slice(chain, 0, 1 + (batch + 1) * 1000);
        sync.OnHeadersResult(P(1), {HeadersOutcome::kAccepted, 1000, "", 1000, 1000}, now);
    }
}

TEST_F(HeaderRelayTest, HeadersThatWeHaveCostNoChecks) {
    HaveChain(20);
    ReadyAndSynced(1);
    ReceiveHeaders(1, Slice(view.headers, 1, 21));
    EXPECT_TRUE(Take<ProcessHeadersAction>().empty());
    auto with_news = Slice(view.headers, 10, 21);
    with_news.push_back(Next());
    ReceiveHeaders(1, with_news);
    const auto batches = Take<ProcessHeadersAction>();
    ASSERT_EQ(batches.size(), 1u);
    EXPECT_EQ(batches[0].headers.size(), 1u);
}

TEST_F(HeaderRelayTest, AMessageOfOneHeaderTooManyIsRefusedBeforeAnythingIsDone) {
    HaveChain(1);
    ReadyAndSynced(1);
    Writer writer;
    writer(uint8_t{0xfd}, static_cast<uint16_t>(kMaxHeadersPerMessage + 1));
    const Bytes head = writer.Take();
    EXPECT_TRUE(sync.OnMessage(P(1), MessageType::kHeaders, head, now));
    const auto blamed = Take<MisbehavingAction>();
    ASSERT_EQ(blamed.size(), 1u);
    EXPECT_EQ(MaxPayloadBytes(MessageType::kHeaders), 3 + kMaxHeadersPerMessage * kBlockHeaderBytes);
}

// ---- loops

TEST_F(HeaderRelayTest, AnUnknownParentIsAskedForOnceAndThenLessAndLessOften) {
    HaveChain(3);
    ReadyAndSynced(1);
    size_t asked = 0;
    for (int i = 0; i < 600; ++i) {  // for a minute, ten announcements a second that never connect
        BlockHeader orphan = Next(0, static_cast<uint64_t>(i));
        orphan.prev = BlockHash(std::array<uint8_t, 32>{static_cast<uint8_t>(i), static_cast<uint8_t>(i >> 8), 9});
        ReceiveHeaders(1, {orphan});
        const size_t now_asked = Sent(MessageType::kGetHeaders).size();
        EXPECT_LE(now_asked, 1u);
        asked += now_asked;
        ReceiveHeaders(1, {});
        asked += Sent(MessageType::kGetHeaders).size();
        Advance(milliseconds(100));
        asked += Sent(MessageType::kGetHeaders).size();
    }
    EXPECT_GE(asked, 3u);
    EXPECT_LE(asked, 10u);
    EXPECT_TRUE(NobodyBlamed());
}

TEST_F(HeaderRelayTest, APeerThatSendsTheSameFullMessageForEverIsLeftAlone) {
    HaveChain(kMaxHeadersPerMessage);
    Ready(1, 1'000'000);
    const auto same = Slice(view.headers, 1, kMaxHeadersPerMessage + 1);
    size_t asked = 0;
    for (size_t i = 0; i < 100; ++i) {
        const size_t questions = Sent(MessageType::kGetHeaders).size();
        asked += questions;
        if (questions == 0) break;
        ReceiveHeaders(1, same);
    }
    EXPECT_LT(asked, 20u);
    EXPECT_FALSE(sync.Busy());
    EXPECT_TRUE(Take<ProcessHeadersAction>().empty());
}

TEST_F(HeaderRelayTest, ATipThatIsAnnouncedAndNeverGivenIsForgottenAndDoesNotKeepUsBusy) {
    HaveChain(3);
    ReadyAndSynced(1);
    const BlockHeader parent = Next();
    ReceiveHeaders(1, {On(parent, 0)});
    size_t asked = 0;
    for (int second = 0; second < 300; ++second) {
        for (const auto& question : Sent(MessageType::kGetHeaders)) {
            EXPECT_EQ(question.first, 1u);
            ++asked;
            ReceiveHeaders(1, {});
        }
        EXPECT_FALSE(sync.Busy());
        Advance(seconds(1));
    }
    EXPECT_GE(asked, 2u);
    EXPECT_LE(asked, 8u);
    EXPECT_EQ(sync.NextWakeup(), std::nullopt);
    EXPECT_TRUE(NobodyBlamed());
}

// ---- which branch

TEST_F(HeaderRelayTest, APeerIsAskedEvenIfItsHeightIsBelowOurs) {
    HaveChain(500);
    Ready(1, 500);
    ReceiveHeaders(1, {});
    Take<SendAction>();
    Ready(2, 100);  // shorter, and denser after the fork for all we know
    EXPECT_EQ(Sent(MessageType::kGetHeaders).count(2), 1u);
}

TEST_F(HeaderRelayTest, AShorterBranchOfSeveralMessagesIsFetchedToItsEnd) {
    HaveChain(5000);
    Ready(1, 2500);
    const auto asked = Sent(MessageType::kGetHeaders);
    ASSERT_EQ(asked.size(), 1u);
    std::vector<BlockHeader> fork{Child(view.headers[0], 5)};
    while (fork.size() < 2500) fork.push_back(Child(fork.back()));
    // The chain keeps the fork beside our own headers, which stay the best.
    std::set<BlockHash> kept;
    struct TwoBranches : FakeView {
        std::set<BlockHash>* kept{nullptr};
        bool HaveHeader(const BlockHash& hash) const override {
            return kept->contains(hash) || FakeView::HaveHeader(hash);
        }
    } branches;
    branches.headers = view.headers;
    branches.bodies = view.bodies;
    branches.kept = &kept;
    Sync node(branches);
    node.OnPeerReady(P(1), Height(2500), now);
    BlockHash expected_first = view.headers.back().Hash();
    for (size_t from = 0; from < fork.size(); from += 1000) {
        const auto actions = node.TakeActions();
        ASSERT_EQ(actions.size(), 1u);
        const auto& question = std::get<SendAction>(actions[0]);
        EXPECT_EQ(Decode<GetHeaders>(question.payload)->locator.front(), expected_first);
        const auto part = Slice(fork, from, std::min(from + 1000, fork.size()));
        ASSERT_TRUE(node.OnMessage(P(1), MessageType::kHeaders, Encode(Headers{part}), now));
        ASSERT_EQ(node.TakeActions().size(), 1u);
        for (const BlockHeader& header : part) kept.insert(header.Hash());
        expected_first = part.back().Hash();
        node.OnHeadersResult(P(1), {HeadersOutcome::kAccepted, part.size(), "", part.size(), part.size()}, now);
    }
    EXPECT_TRUE(node.TakeActions().empty());
    EXPECT_FALSE(node.Busy());
}

TEST_F(HeaderRelayTest, ABranchThatWasDroppedMeanwhileIsAskedForAnewWithoutBlame) {
    HaveChain(20);
    ReadyAndSynced(1);
    std::vector<BlockHeader> fork{Child(view.headers[0], 5)};
    while (fork.size() < 30) fork.push_back(Child(fork.back()));
    ReceiveHeaders(1, {On(fork[10], 0)});
    EXPECT_EQ(Sent(MessageType::kGetHeaders).size(), 1u);
    ReceiveHeaders(1, Slice(fork, 11, 30));  // after a header that we had when we asked
    EXPECT_TRUE(NobodyBlamed());
    Advance(seconds(1));
    EXPECT_EQ(Sent(MessageType::kGetHeaders).size(), 1u);
}

// Peer 1 leads with a long bad branch that goes on for ever; peer 2 has the good one.
TEST_F(HeaderRelayTest, ALongBadBranchThatIsFedFirstDoesNotKeepTheOthersBranchesAway) {
    Ready(1, 10'000'000);
    Ready(2, 100);
    EXPECT_EQ(Sent(MessageType::kGetHeaders).count(1), 1u);
    std::vector<BlockHeader> bad;
    const Instant start = now;
    size_t asked_second = 0;
    while (now < start + Sync::kLeaderTurn) {
        bad.clear();
        for (size_t i = 0; i < kMaxHeadersPerMessage; ++i)
            bad.push_back(Child(bad.empty() ? view.headers.back() : bad.back()));
        ReceiveHeaders(1, bad);
        Take<ProcessHeadersAction>();
        view.headers = {view.headers.back()};  // only the end matters here
        Accept(bad);
        view.bodies = view.headers.size();
        sync.OnHeadersResult(P(1), {HeadersOutcome::kAccepted, bad.size(), "", bad.size(), bad.size()}, now);
        asked_second += Sent(MessageType::kGetHeaders).count(2);
        now += seconds(10);
        sync.Tick(now);
    }
    EXPECT_EQ(asked_second + Sent(MessageType::kGetHeaders).count(2), 1u);
    EXPECT_TRUE(NobodyBlamed());
}

TEST_F(HeaderRelayTest, BeyondTheHorizonOnlyTheTipOfAPeerIsRemembered) {
    Ready(1, 5000);
    Take<SendAction>();
    const auto chain = Chain(1000);
    ReceiveHeaders(1, Slice(chain, 1, 1001));
    EXPECT_EQ(sync.HeadersHeld(), 1000u);
    Accept(Slice(chain, 1, 11));
    sync.OnHeadersResult(P(1), {HeadersOutcome::kBeyondHorizon, 10, "", 10, 10}, now);
    EXPECT_EQ(sync.HeadersHeld(), 0u);
    EXPECT_EQ(AskedBlocks().size(), 10u);
}

TEST_F(HeaderRelayTest, HeadersGoOnWhenTheirOwnBodiesAreInThoughOthersAreWithheld) {
    Ready(1, 5000);
    const auto chain = Chain(1000);
    ReceiveHeaders(1, Slice(chain, 1, 1001));
    Accept(Slice(chain, 1, 11));
    sync.OnHeadersResult(P(1), {HeadersOutcome::kBeyondHorizon, 10, "", 10, 10}, now);
    AskedBlocks();
    // Header 11 came from another peer, which keeps its body for itself.
    Accept({chain[11]});
    for (size_t i = 1; i <= 10; ++i) view.stored.insert(chain[i].Hash());
    view.bodies = 11;
    sync.OnTipChanged({}, now);
    const auto asked = Sent(MessageType::kGetHeaders);
    ASSERT_EQ(asked.count(1), 1u);
    EXPECT_EQ(Decode<GetHeaders>(asked.find(1)->second)->locator[0], chain[10].Hash());
}

// ---- fast relay

TEST_F(HeaderRelayTest, AFreshHeaderIsToldBeforeItsBodyIsHere) {
    HaveChain(3);
    for (const uint64_t peer : {1, 2, 3}) ReadyAndSynced(peer);
    const BlockHeader next = Next();
    ReceiveHeaders(1, {next});
    AcceptAll();
    std::multimap<uint64_t, MessageType> sent;
    for (const SendAction& send : Take<SendAction>()) sent.emplace(send.peer.value, send.type);
    EXPECT_EQ(sent, (std::multimap<uint64_t, MessageType>{
                        {1, MessageType::kGetBlocks}, {2, MessageType::kHeaders}, {3, MessageType::kHeaders}}));
    // And not a second time when the block is connected.
    view.bodies = view.headers.size();
    sync.OnTipChanged({next}, now);
    EXPECT_TRUE(Sent(MessageType::kHeaders).empty());
}

TEST_F(HeaderRelayTest, AnOldHeaderOrOneThatIsNotOurBestIsNotToldBeforeItIsConnected) {
    HaveChain(3);
    for (const uint64_t peer : {1, 2}) ReadyAndSynced(peer);
    BlockHeader old = Next();
    view.slot_now = old.slot + static_cast<uint64_t>(Sync::kFreshFor.count());
    ReceiveHeaders(1, {old});
    Take<ProcessHeadersAction>();
    Accept({old});
    sync.OnHeadersResult(P(1), {HeadersOutcome::kAccepted, 1, "", 1, 1}, now);
    EXPECT_TRUE(Sent(MessageType::kHeaders).empty());
    // A fresh one beside our best.
    ReceiveHeaders(1, {On(view.headers[2], 0)});
    EXPECT_EQ(Take<ProcessHeadersAction>().size(), 1u);
    sync.OnHeadersResult(P(1), {HeadersOutcome::kAccepted, 1, "", 1, 1}, now);
    EXPECT_TRUE(Sent(MessageType::kHeaders).empty());
    // One second less, and the first would have been told.
    view.slot_now = view.slot_now + 1;
    const BlockHeader next = Next(1 - Sync::kFreshFor.count());
    ReceiveHeaders(1, {next});
    AcceptAll();
    EXPECT_EQ(Told(2), std::vector<BlockHash>{next.Hash()});
}

TEST_F(HeaderRelayTest, AnEquivocatorsThirdHeaderIsNotToldButABetterBranchThroughItIs) {
    HaveChain(3);
    for (const uint64_t peer : {1, 2}) ReadyAndSynced(peer);
    const BlockHeader third = Next(0, 3);
    ReceiveHeaders(1, {third});
    ASSERT_EQ(Take<ProcessHeadersAction>().size(), 1u);
    sync.OnHeadersResult(P(1), {HeadersOutcome::kNotWanted, 0, ""}, now);
    EXPECT_TRUE(Told(2).empty());
    EXPECT_TRUE(NobodyBlamed());
    view.slot_now = view.slot_now + 1;
    const BlockHeader child = On(third, 0);
    ReceiveHeaders(1, {third, child});
    EXPECT_EQ(AcceptAll(), 2u);
    EXPECT_EQ(Told(2), (std::vector<BlockHash>{third.Hash(), child.Hash()}));
}

TEST_F(HeaderRelayTest, AFreshBodyIsAskedOfTheFirstAnnouncerAndThenOfAnother) {
    HaveChain(3);
    for (const uint64_t peer : {1, 2, 3}) ReadyAndSynced(peer);
    const BlockHeader next = Next();
    ReceiveHeaders(2, {next});
    AcceptAll();
    EXPECT_EQ(AskedBlocks(), (std::multimap<uint64_t, BlockHash>{{2, next.Hash()}}));
    ReceiveHeaders(3, {next});
    EXPECT_TRUE(AskedBlocks().empty());
    Advance(Sync::kFreshBlockTimeout - milliseconds(1));
    EXPECT_TRUE(AskedBlocks().empty());
    Advance(milliseconds(1));
    EXPECT_EQ(AskedBlocks(), (std::multimap<uint64_t, BlockHash>{{3, next.Hash()}}));
    // The first one was only slow: its body is as good.
    ReceiveBlock(2, next);
    EXPECT_EQ(Take<ProcessBlockAction>().size(), 1u);
    EXPECT_TRUE(NobodyBlamed());
}

TEST_F(HeaderRelayTest, AFreshBodyThatOnlyOnePeerAnnouncedHasTheWholeTime) {
    HaveChain(3);
    for (const uint64_t peer : {1, 2}) ReadyAndSynced(peer);
    const BlockHeader next = Next();
    ReceiveHeaders(1, {next});
    AcceptAll();
    Take<SendAction>();
    Advance(Sync::kBlockTimeout - milliseconds(1));
    EXPECT_EQ(sync.BlocksInFlight(), 1u);
    EXPECT_TRUE(AskedBlocks().empty());
    Advance(milliseconds(1));
    EXPECT_EQ(sync.BlocksInFlight(), 0u);
    // Even then, if nobody else gave it.
    ReceiveBlock(1, next);
    EXPECT_EQ(Take<ProcessBlockAction>().size(), 1u);
}

TEST_F(HeaderRelayTest, APeerThatAnnouncesFirstAndWithholdsEachBodyCostsTwoSecondsAFewTimesAndIsLeft) {
    HaveChain(3);
    for (const uint64_t peer : {1, 2}) ReadyAndSynced(peer);
    size_t left = 0;
    for (size_t i = 0; i < Sync::kMaxLateFresh; ++i) {
        EXPECT_EQ(left, 0u) << i;
        view.slot_now = view.slot_now + 20;
        const BlockHeader next = Next();
        ReceiveHeaders(1, {next});
        AcceptAll();
        ReceiveHeaders(2, {next});
        EXPECT_EQ(AskedBlocks().count(1), 1u);
        Advance(Sync::kFreshBlockTimeout);
        EXPECT_EQ(AskedBlocks().count(2), 1u);
        ReceiveBlock(2, next);
        view.bodies = view.headers.size();
        sync.OnBlockResult(P(2), next.Hash(), BlockOutcome::kAccepted, "", now);
        left += Take<DisconnectAction>().size();
    }
    EXPECT_EQ(left, 1u);
    EXPECT_TRUE(Take<MisbehavingAction>().empty());
}

TEST_F(HeaderRelayTest, WhoAsksForABodyThatIsOnItsWayGetsItBeforeItIsValidated) {
    HaveChain(3);
    for (const uint64_t peer : {1, 2}) ReadyAndSynced(peer);
    Block block{Next(), {Tx(1)}};
    block.header.tx_root = TxMerkleRoot(block.transactions);
    block.header.witness_root = WitnessMerkleRoot(block.transactions);
    ReceiveHeaders(1, {block.header});
    AcceptAll();
    Take<SendAction>();
    Receive(2, MessageType::kGetBlocks, BlockHashes{{block.header.Hash()}});
    EXPECT_TRUE(Take<ServeBlockAction>().empty());
    ASSERT_TRUE(sync.OnMessage(P(1), MessageType::kBlock, block.ToBytes(), now));
    const auto given = Sent(MessageType::kBlock);
    ASSERT_EQ(given.count(2), 1u);
    EXPECT_EQ(given.begin()->second, block.ToBytes());
    EXPECT_EQ(Take<ProcessBlockAction>().size(), 1u);
}

TEST_F(HeaderRelayTest, AMutatedBodyIsNotHandedOn) {
    HaveChain(3);
    for (const uint64_t peer : {1, 2}) ReadyAndSynced(peer);
    Block block{Next(), {Tx(1)}};
    block.header.tx_root = TxMerkleRoot(block.transactions);
    ReceiveHeaders(1, {block.header});  // the witness root is not that of the body
    AcceptAll();
    Receive(2, MessageType::kGetBlocks, BlockHashes{{block.header.Hash()}});
    Take<SendAction>();
    ASSERT_TRUE(sync.OnMessage(P(1), MessageType::kBlock, block.ToBytes(), now));
    EXPECT_TRUE(Sent(MessageType::kBlock).empty());
    Take<ProcessBlockAction>();
    sync.OnBlockResult(P(1), block.header.Hash(), BlockOutcome::kMutatedBody, "roots", now);
    EXPECT_EQ(Take<MisbehavingAction>().at(0).peer, P(1));
    // It does not come: the one who waits is told.
    Advance(Sync::kAwaitedFor);
    size_t told = Sent(MessageType::kBlockNotFound).count(2);
    told += Take<ServeBlockAction>().size();
    EXPECT_EQ(told, 1u);
}

// ---- serving

TEST_F(HeaderRelayTest, ARequestThatNamesOneBlockManyTimesIsServedOnce) {
    HaveChain(3);
    ReadyAndSynced(1);
    BlockHashes many;
    many.hashes.assign(kMaxBlocksPerRequest, view.headers[2].Hash());
    Receive(1, MessageType::kGetBlocks, many);
    Receive(1, MessageType::kGetBlocks, many);
    size_t served = 0;
    for (auto actions = Take<ServeBlockAction>(); !actions.empty(); actions = Take<ServeBlockAction>()) {
        served += actions.size();
        sync.OnBlockServed(P(1), 1000, now);
    }
    EXPECT_LE(served, 2u);  // the first left the queue before the second named it
}

TEST_F(HeaderRelayTest, BlocksAreChargedByTheirBytesAndThoseOverTheBudgetWait) {
    HaveChain(60);
    ReadyAndSynced(1);
    const auto ask = [&](size_t from) {
        BlockHashes request;
        for (size_t i = from; i < from + kMaxBlocksPerRequest; ++i) request.hashes.push_back(view.headers[i].Hash());
        Receive(1, MessageType::kGetBlocks, request);
    };
    const auto serve = [&](size_t bytes) {
        size_t served = 0;
        for (auto actions = Take<ServeBlockAction>(); !actions.empty(); actions = Take<ServeBlockAction>()) {
            served += actions.size();
            sync.OnBlockServed(P(1), bytes, now);
        }
        return served;
    };
    // Two blocks bring the bucket to exactly zero, and a third below it.
    ask(1);
    EXPECT_EQ(serve(static_cast<size_t>(Sync::kServeBytesBurst / 2 - Sync::kLookupBytes)), 3u);
    const Instant paid = now + seconds(1) * (Sync::kServeBytesBurst / 2) / Sync::kServeBytesPerSecond;
    EXPECT_EQ(sync.NextWakeup(), paid);
    // What waits is bounded: 13 do, 16 more do, and of 16 more 3.
    ask(17);
    EXPECT_TRUE(Sent(MessageType::kBlockNotFound).empty());
    ask(33);
    const auto refused = Sent(MessageType::kBlockNotFound);
    ASSERT_EQ(refused.size(), 1u);
    EXPECT_EQ(Decode<BlockHashes>(refused.begin()->second)->hashes.size(), 45 - Sync::kMaxBlocksToServe);
    now = paid - microseconds(1);
    sync.Tick(now);
    EXPECT_EQ(serve(0), 0u);
    now = paid;
    sync.Tick(now);
    EXPECT_GE(serve(0), 1u);
}

TEST_F(HeaderRelayTest, AnswersToGetHeadersAreChargedByTheirBytesAndOnlyTheNewestQuestionWaits) {
    HaveChain(kMaxHeadersPerMessage);
    ReadyAndSynced(1);
    const GetHeaders all{{view.headers[0].Hash()}, {}};
    size_t answered = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < 200; ++i) {
        Receive(1, MessageType::kGetHeaders, all);
        for (const auto& [peer, payload] : Sent(MessageType::kHeaders)) {
            ++answered;
            bytes += payload.size();
        }
    }
    EXPECT_LT(bytes, static_cast<size_t>(Sync::kServeBytesBurst) + MaxPayloadBytes(MessageType::kHeaders));
    EXPECT_GT(answered, 20u);
    Receive(1, MessageType::kGetHeaders, GetHeaders{{view.headers[990].Hash()}, {}});
    EXPECT_TRUE(Sent(MessageType::kHeaders).empty());
    ASSERT_TRUE(sync.NextWakeup());
    now = *sync.NextWakeup();
    sync.Tick(now);
    const auto sent = Sent(MessageType::kHeaders);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(Decode<Headers>(sent.begin()->second)->headers.size(), 10u);
    EXPECT_EQ(sync.NextWakeup(), std::nullopt);
    EXPECT_TRUE(NobodyBlamed());
}

// ---- replacements

TEST_F(HeaderRelayTest, ReplacementsAreChargedByThePoolThatTheyReplayAndNotBlamed) {
    Ready(1, 0);
    Ready(2, 0);
    view.pool_to_replay = static_cast<size_t>(Sync::kReplayBurst);
    const auto send = [&](uint64_t peer, uint32_t n) {
        Receive(peer, MessageType::kTxInventory, Wtxids{{Tx(n)->wtxid()}});
        ReceiveTx(peer, Tx(n));
        return Take<ProcessTransactionAction>().size();
    };
    EXPECT_EQ(send(1, 1), 1u);  // exactly empty
    EXPECT_EQ(send(1, 3), 1u);
    EXPECT_EQ(send(1, 5), 0u);
    EXPECT_EQ(send(1, 4), 1u);  // not a replacement
    EXPECT_EQ(send(2, 5), 1u);  // another peer's budget
    EXPECT_TRUE(NobodyBlamed());
    now += seconds(Sync::kReplayBurst / Sync::kReplayPerSecond);
    EXPECT_EQ(send(1, 7), 1u);
}

TEST_F(HeaderRelayTest, ManyPeersTogetherCannotReplayThePoolWithoutEnd) {
    view.pool_to_replay = static_cast<size_t>(Sync::kReplayBurst);
    size_t processed = 0;
    for (uint32_t peer = 1; peer <= 100; ++peer) {
        Ready(peer, 0);
        const TransactionRef tx = Tx(2 * peer + 1);
        Receive(peer, MessageType::kTxInventory, Wtxids{{tx->wtxid()}});
        ReceiveTx(peer, tx);
        processed += Take<ProcessTransactionAction>().size();
    }
    EXPECT_EQ(processed, static_cast<size_t>(Sync::kReplayBurstOfAll / Sync::kReplayBurst + 1));
}

}  // namespace
}  // namespace sluice::p2p
