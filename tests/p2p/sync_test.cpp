#include "p2p/sync_fixture.h"

namespace sluice::p2p {
namespace {

TEST_F(SyncTest, OneLeaderGivesHeadersThenAllPeersAreAsked) {
    Ready(1, 10);
    Ready(2, 30);
    Ready(3, 20);
    EXPECT_EQ(Sent(MessageType::kGetHeaders).count(1), 1u);
    const auto chain = Chain(30);
    ReceiveHeaders(1, Slice(chain, 1, 11));
    ASSERT_EQ(Take<ProcessHeadersAction>().size(), 1u);
    Accept(Slice(chain, 1, 11));
    sync.OnHeadersResult(P(1), {}, now);
    const auto asked = Sent(MessageType::kGetHeaders);
    EXPECT_EQ(asked.size(), 2u);
    EXPECT_EQ(asked.count(1), 0u);
    EXPECT_EQ(Decode<GetHeaders>(asked.begin()->second)->locator.front(), chain[10].Hash());
}

TEST_F(SyncTest, AFullBatchIsFollowedByTheNextOne) {
    Ready(1, 1500);
    Take<SendAction>();
    const auto chain = Chain(1500);
    ReceiveHeaders(1, Slice(chain, 1, 1001));
    Accept(Slice(chain, 1, 1001));
    sync.OnHeadersResult(P(1), {}, now);
    const auto asked = Sent(MessageType::kGetHeaders);
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(Decode<GetHeaders>(asked.begin()->second)->locator.front(), chain[1000].Hash());
    EXPECT_TRUE(sync.Busy());
}

TEST_F(SyncTest, TheNextPeerLeadsWhenTheLeaderIsSilentOrGone) {
    Ready(1, 10);
    Ready(2, 10);
    Take<SendAction>();
    EXPECT_EQ(sync.NextWakeup(), now + Sync::kHeadersTimeout);
    now += Sync::kHeadersTimeout;
    sync.Tick(now);
    const auto dropped = Take<DisconnectAction>();
    ASSERT_EQ(dropped.size(), 1u);
    EXPECT_EQ(dropped[0].peer, P(1));
    sync.OnPeerGone(P(1), now);
    EXPECT_EQ(Sent(MessageType::kGetHeaders).count(2), 1u);
}

TEST_F(SyncTest, ALeaderThatGivesNothingNewDoesNotKeepUsFromTheOthers) {
    for (const HeadersOutcome outcome : {HeadersOutcome::kPremature, HeadersOutcome::kBeyondHorizon}) {
        sync.~Sync();
        new (&sync) Sync(view);
        Ready(1, 1'000'000);
        Ready(2, 10);
        EXPECT_EQ(Sent(MessageType::kGetHeaders).count(2), 0u);
        const Instant start = now;
        while (now < start + Sync::kLeaderPatience) {
            ReceiveHeaders(1, Slice(Chain(2), 1, 3));
            if (!Take<ProcessHeadersAction>().empty()) sync.OnHeadersResult(P(1), {outcome, 0, ""}, now);
            now += seconds(2);
            sync.Tick(now);
        }
        EXPECT_GE(Sent(MessageType::kGetHeaders).count(2), 1u);
    }
}

TEST_F(SyncTest, ALeaderThatRepeatsWhatWeHaveDoesNotKeepUsFromTheOthers) {
    const auto chain = Chain(1000);
    Accept(Slice(chain, 1, 1001));
    view.bodies = view.headers.size();
    Ready(1, 1'000'000);
    Ready(2, 2000);
    Take<SendAction>();
    for (const Instant end = now + Sync::kLeaderPatience; now < end; now += seconds(15)) {
        ReceiveHeaders(1, Slice(chain, 1, 1001));
        sync.Tick(now);
    }
    sync.Tick(now);
    EXPECT_EQ(Sent(MessageType::kGetHeaders).count(2), 1u);
}

TEST_F(SyncTest, HeadersThatAreNotFollowedLeaveTheirSenderSynced) {
    Ready(1, 20);
    ReceiveHeaders(1, Slice(Chain(2), 1, 3));
    sync.OnHeadersResult(P(1), {HeadersOutcome::kNotWanted, 0, ""}, now);
    EXPECT_FALSE(sync.Busy());
    EXPECT_TRUE(Take<MisbehavingAction>().empty());
}

TEST_F(SyncTest, BeyondTheHorizonHeadersWaitForTheirBodies) {
    Ready(1, 20);
    Take<SendAction>();
    const auto chain = Chain(20);
    ReceiveHeaders(1, Slice(chain, 1, 21));
    Accept(Slice(chain, 1, 6));
    sync.OnHeadersResult(P(1), {HeadersOutcome::kBeyondHorizon, 5, ""}, now);
    EXPECT_EQ(AskedBlocks().size(), 5u);
    for (size_t i = 1; i <= 5; ++i) {
        ReceiveBlock(1, chain[i]);
        view.bodies = i + 1;
        sync.OnBlockResult(P(1), chain[i].Hash(), BlockOutcome::kAccepted, "", now);
        sync.OnTipChanged({}, now);
        EXPECT_EQ(Sent(MessageType::kGetHeaders).size(), i == 5 ? 1u : 0u);
    }
}

TEST_F(SyncTest, InvalidHeadersAreMisbehaviour) {
    Ready(1, 20);
    const auto chain = Chain(20);
    ReceiveHeaders(1, Slice(chain, 1, 21));
    sync.OnHeadersResult(P(1), {HeadersOutcome::kInvalid, 3, "bad-vrf"}, now);
    const auto blamed = Take<MisbehavingAction>();
    ASSERT_EQ(blamed.size(), 1u);
    EXPECT_EQ(blamed[0].reason, "invalid header: bad-vrf");
}

TEST_F(SyncTest, HeadersThatDoNotFollowEachOtherAreMisbehaviour) {
    Ready(1, 20);
    const auto chain = Chain(5);
    ReceiveHeaders(1, {chain[1], chain[3]});
    EXPECT_EQ(Take<MisbehavingAction>().size(), 1u);
    EXPECT_TRUE(Take<ProcessHeadersAction>().empty());
}

TEST_F(SyncTest, PrematureHeadersAreAskedForAgainWithoutBlame) {
    Ready(1, 2);
    Take<SendAction>();
    ReceiveHeaders(1, Slice(Chain(2), 1, 3));
    sync.OnHeadersResult(P(1), {HeadersOutcome::kPremature, 0, ""}, now);
    EXPECT_TRUE(Take<SendAction>().empty());
    ASSERT_TRUE(sync.NextWakeup());
    now = *sync.NextWakeup();
    sync.Tick(now);
    EXPECT_EQ(Sent(MessageType::kGetHeaders).size(), 1u);
    EXPECT_TRUE(Take<MisbehavingAction>().empty());
}

TEST_F(SyncTest, AnAnswerThatComesDuringABatchIsNotTakenForSilence) {
    Ready(1, 5);
    const auto chain = Chain(5);
    ReceiveHeaders(1, {chain[1]});
    sync.OnTipChanged({}, now);
    ReceiveHeaders(1, Slice(chain, 1, 6));
    sync.OnHeadersResult(P(1), {HeadersOutcome::kPremature, 0, ""}, now);
    Take<SendAction>();
    now += Sync::kHeadersTimeout - microseconds(1);
    sync.Tick(now);
    EXPECT_TRUE(Take<DisconnectAction>().empty());
    EXPECT_EQ(Sent(MessageType::kGetHeaders).size(), 1u);
}

TEST_F(SyncTest, AnAnnouncementWithoutAParentAsksForWhatLiesBetween) {
    Ready(1, 0);
    ReceiveHeaders(1, {});
    Take<SendAction>();
    const auto chain = Chain(40);
    ReceiveHeaders(1, {chain[40]});
    EXPECT_EQ(Sent(MessageType::kGetHeaders).size(), 1u);
    // Too many to be an announcement: an answer to something else.
    ReceiveHeaders(1, Slice(chain, 20, 40));
    EXPECT_TRUE(Take<MisbehavingAction>().empty());
    EXPECT_TRUE(Take<ProcessHeadersAction>().empty());
    ReceiveHeaders(1, Slice(chain, 20, 40));
    EXPECT_EQ(Take<MisbehavingAction>().size(), 1u);
}

TEST_F(SyncTest, BlocksAreSpreadOverPeersSixteenEach) {
    for (const uint64_t peer : {1, 2, 3}) Ready(peer, 100);
    SyncHeaders(1, Chain(100));
    const auto asked = AskedBlocks();
    EXPECT_EQ(asked.size(), 48u);
    for (const uint64_t peer : {1, 2, 3}) EXPECT_EQ(asked.count(peer), Sync::kMaxBlocksInFlightPerPeer);
    for (size_t i = 1; i <= 48; ++i) {
        EXPECT_TRUE(
            std::any_of(asked.begin(), asked.end(), [&](const auto& a) { return a.second == view.headers[i].Hash(); }));
    }
    EXPECT_EQ(sync.BlocksInFlight(), 48u);
}

TEST_F(SyncTest, APeerIsNotAskedForBlocksAboveItsHeight) {
    Ready(1, 10);
    Ready(2, 4);
    SyncHeaders(1, Chain(10));
    const auto asked = AskedBlocks();
    EXPECT_EQ(asked.size(), 10u);
    EXPECT_GT(asked.count(2), 0u);
    for (const auto& [peer, hash] : asked) {
        const auto low = std::find_if(view.headers.begin(), view.headers.begin() + 5,
                                      [h = hash](const auto& header) { return header.Hash() == h; });
        EXPECT_TRUE(peer == 1 || low != view.headers.begin() + 5);
    }
}

TEST_F(SyncTest, ALateBlockIsAskedOfAnotherPeer) {
    Ready(1, 1);
    SyncHeaders(1, Chain(1));
    EXPECT_EQ(AskedBlocks().count(1), 1u);
    Ready(2, 1);
    Take<SendAction>();
    now += Sync::kBlockTimeout - microseconds(1);
    sync.Tick(now);
    EXPECT_TRUE(AskedBlocks().empty());
    now += microseconds(1);
    sync.Tick(now);
    EXPECT_EQ(AskedBlocks().count(2), 1u);
    // The first one delivers after all: taken, and only once.
    ReceiveBlock(1, view.headers[1]);
    ReceiveBlock(2, view.headers[1]);
    EXPECT_EQ(Take<ProcessBlockAction>().size(), 1u);
}

TEST_F(SyncTest, APeerThatDeliversNothingIsDropped) {
    Ready(1, 1);
    SyncHeaders(1, Chain(1));
    size_t dropped = 0;
    for (int i = 0; i < 10 && dropped == 0; ++i) {
        ASSERT_TRUE(sync.NextWakeup());
        now = *sync.NextWakeup();
        sync.Tick(now);
        dropped = Take<DisconnectAction>().size();
    }
    EXPECT_EQ(dropped, 1u);
}

TEST_F(SyncTest, BlocksThatWereNotAskedForAreIgnored) {
    Ready(1, 5);
    ReceiveBlock(1, Chain(1)[1]);
    EXPECT_TRUE(Take<ProcessBlockAction>().empty());
    EXPECT_TRUE(Take<MisbehavingAction>().empty());
}

TEST_F(SyncTest, AMutatedBodyIsFetchedFromAnotherPeerAndBlamedOnTheFirst) {
    Ready(1, 1);
    SyncHeaders(1, Chain(1));
    Ready(2, 1);
    Take<SendAction>();
    ReceiveBlock(1, view.headers[1]);
    sync.OnBlockResult(P(1), view.headers[1].Hash(), BlockOutcome::kMutatedBody, "roots", now);
    EXPECT_EQ(Take<MisbehavingAction>().at(0).peer, P(1));
    EXPECT_EQ(AskedBlocks().count(2), 1u);
}

TEST_F(SyncTest, NotFoundAndGoneGoToTheNextPeer) {
    Ready(1, 2);
    SyncHeaders(1, Chain(2));
    Ready(2, 2);
    Take<SendAction>();
    Receive(1, MessageType::kBlockNotFound, BlockHashes{{view.headers[1].Hash()}});
    EXPECT_EQ(AskedBlocks(), (std::multimap<uint64_t, BlockHash>{{2, view.headers[1].Hash()}}));
    sync.OnPeerGone(P(1), now);
    EXPECT_EQ(AskedBlocks(), (std::multimap<uint64_t, BlockHash>{{2, view.headers[2].Hash()}}));
}

TEST_F(SyncTest, NewTipsAreToldToThoseWhoDoNotKnowThem) {
    const auto chain = Chain(3);
    view.headers = chain;
    view.bodies = 3;
    Ready(1, 3);
    Ready(2, 3);
    ReceiveHeaders(1, {chain[3]});
    view.bodies = 4;
    Take<SendAction>();
    sync.OnTipChanged({chain[3]}, now);
    const auto told = Sent(MessageType::kHeaders);
    EXPECT_EQ(told.size(), 1u);
    EXPECT_EQ(told.count(2), 1u);
    sync.OnTipChanged({chain[3]}, now);
    EXPECT_TRUE(Sent(MessageType::kHeaders).empty());
}

TEST_F(SyncTest, HeadersAndBlocksAreServed) {
    view.headers = Chain(5);
    view.bodies = 6;
    Ready(1, 0);
    Take<SendAction>();
    Receive(1, MessageType::kGetHeaders, GetHeaders{{view.headers[2].Hash(), view.headers[0].Hash()}, {}});
    const auto sent = Sent(MessageType::kHeaders);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(Decode<Headers>(sent.begin()->second)->headers, Slice(view.headers, 3, 6));
    Receive(1, MessageType::kGetBlocks, BlockHashes{{view.headers[4].Hash()}});
    EXPECT_EQ(Take<ServeBlockAction>().at(0).hash, view.headers[4].Hash());
}

TEST_F(SyncTest, MalformedMessagesAreMisbehaviour) {
    Ready(1, 0);
    using enum MessageType;
    const std::vector<MessageType> types{kGetHeaders,  kHeaders,         kGetBlocks,  kBlock,       kBlockNotFound,
                                         kTxInventory, kGetTransactions, kGetParents, kTransaction, kTxNotFound};
    for (const MessageType type : types) EXPECT_TRUE(sync.OnMessage(P(1), type, Bytes{0xff, 0xff}, now));
    EXPECT_EQ(Take<MisbehavingAction>().size(), types.size());
    EXPECT_FALSE(sync.OnMessage(P(1), kContentChunk, {}, now));
}

TEST_F(SyncTest, AnAnnouncedTransactionIsAskedForOnce) {
    for (const uint64_t peer : {1, 2, 3}) Ready(peer, 0);
    Take<SendAction>();
    const TransactionRef tx = Tx(1);
    for (const uint64_t peer : {1, 2, 3}) Receive(peer, MessageType::kTxInventory, Wtxids{{tx->wtxid(), tx->wtxid()}});
    EXPECT_EQ(AskedTransactions(), (std::multimap<uint64_t, Wtxid>{{1, tx->wtxid()}}));
    now += Sync::kTransactionTimeout - microseconds(1);
    sync.Tick(now);
    EXPECT_TRUE(AskedTransactions().empty());
    now += microseconds(1);
    sync.Tick(now);
    EXPECT_EQ(AskedTransactions(), (std::multimap<uint64_t, Wtxid>{{2, tx->wtxid()}}));
    Receive(2, MessageType::kTxNotFound, Wtxids{{tx->wtxid()}});
    EXPECT_EQ(AskedTransactions(), (std::multimap<uint64_t, Wtxid>{{3, tx->wtxid()}}));
    ReceiveTx(3, tx);
    ReceiveTx(3, tx);
    EXPECT_EQ(Take<ProcessTransactionAction>().size(), 1u);
}

TEST_F(SyncTest, WhenTheAskedPeerGoesTheNextIsAskedAtOnce) {
    for (const uint64_t peer : {1, 2}) Ready(peer, 0);
    const TransactionRef tx = Tx(1);
    for (const uint64_t peer : {1, 2}) Receive(peer, MessageType::kTxInventory, Wtxids{{tx->wtxid()}});
    Take<SendAction>();
    sync.OnPeerGone(P(1), now);
    EXPECT_EQ(AskedTransactions(), (std::multimap<uint64_t, Wtxid>{{2, tx->wtxid()}}));
    sync.OnPeerGone(P(2), now);
    EXPECT_TRUE(AskedTransactions().empty());
}

TEST_F(SyncTest, ATransactionIsToldToOthersAtOnceAndThoseThatFollowInOneBatch) {
    for (const uint64_t peer : {1, 2}) Ready(peer, 0);
    const auto accept = [&](uint32_t i) {
        Receive(1, MessageType::kTxInventory, Wtxids{{Tx(i)->wtxid()}});
        ReceiveTx(1, Tx(i));
        sync.OnTransactionResult(P(1), Tx(i), {}, now);
        Take<SendAction>();
    };
    accept(0);
    EXPECT_EQ(sync.NextWakeup(), now);
    sync.Tick(now);
    EXPECT_EQ(AskedTransactions(MessageType::kTxInventory), (std::multimap<uint64_t, Wtxid>{{2, Tx(0)->wtxid()}}));
    for (uint32_t i = 1; i < 4; ++i) accept(i);
    now += Sync::kAnnounceInterval - microseconds(1);
    sync.Tick(now);
    EXPECT_TRUE(AskedTransactions(MessageType::kTxInventory).empty());
    now += microseconds(1);
    sync.Tick(now);
    const auto told = AskedTransactions(MessageType::kTxInventory);
    EXPECT_EQ(told.count(2), 3u);
    EXPECT_EQ(told.count(1), 0u);
}

TEST_F(SyncTest, TransactionsThatWereNotAskedForAreIgnored) {
    Ready(1, 0);
    ReceiveTx(1, Tx(1));
    EXPECT_TRUE(Take<ProcessTransactionAction>().empty());
}

TEST_F(SyncTest, RejectedTransactionsAreNotAskedForAgainUntilTheTipMoves) {
    Ready(1, 0);
    Ready(2, 0);
    const TransactionRef tx = Tx(1);
    Receive(1, MessageType::kTxInventory, Wtxids{{tx->wtxid()}});
    ReceiveTx(1, tx);
    sync.OnTransactionResult(P(1), tx, {TransactionOutcome::kRejected, {}, "fee"}, now);
    EXPECT_TRUE(Take<MisbehavingAction>().empty());
    Take<SendAction>();
    Receive(2, MessageType::kTxInventory, Wtxids{{tx->wtxid()}});
    EXPECT_TRUE(AskedTransactions().empty());
    sync.OnTipChanged({}, now);
    Receive(2, MessageType::kTxInventory, Wtxids{{tx->wtxid()}});
    EXPECT_EQ(AskedTransactions().size(), 1u);
}

TEST_F(SyncTest, ACorruptedCopyDoesNotCensorTheRealOne) {
    Ready(1, 0);
    Ready(2, 0);
    MutableTransaction corrupted = Tx(1)->tx();
    corrupted.inputs[0].witness = {{9}};
    const TransactionRef copy = MakeTransaction(corrupted);
    ASSERT_EQ(copy->txid(), Tx(1)->txid());
    Receive(1, MessageType::kTxInventory, Wtxids{{copy->wtxid()}});
    ReceiveTx(1, copy);
    sync.OnTransactionResult(P(1), copy, {TransactionOutcome::kInvalid, {}, "sig"}, now);
    EXPECT_EQ(Take<MisbehavingAction>().size(), 1u);
    Take<SendAction>();
    Receive(2, MessageType::kTxInventory, Wtxids{{Tx(1)->wtxid()}});
    EXPECT_EQ(AskedTransactions().size(), 1u);
}

TEST_F(SyncTest, AnOrphanWaitsForItsParentWhichIsAskedForByTxid) {
    Ready(1, 0);
    const TransactionRef parent = Tx(1);
    const TransactionRef child = Tx(2, {parent->txid()});
    Receive(1, MessageType::kTxInventory, Wtxids{{child->wtxid()}});
    ReceiveTx(1, child);
    sync.OnTransactionResult(P(1), child, {TransactionOutcome::kMissingParents, {parent->txid()}, ""}, now);
    EXPECT_EQ(sync.OrphanCount(), 1u);
    const auto asked = Sent(MessageType::kGetParents);
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(Decode<Txids>(asked.begin()->second)->hashes, std::vector<Txid>{parent->txid()});
    Take<ProcessTransactionAction>();
    ReceiveTx(1, parent);
    EXPECT_EQ(Take<ProcessTransactionAction>().at(0).transaction->txid(), parent->txid());
    view.pool.emplace(parent->wtxid(), parent);
    sync.OnTransactionResult(P(1), parent, {}, now);
    EXPECT_EQ(Take<ProcessTransactionAction>().at(0).transaction->txid(), child->txid());
    sync.OnTransactionResult(P(1), child, {}, now);
    EXPECT_EQ(sync.OrphanCount(), 0u);
}

TEST_F(SyncTest, OrphansAreBoundedAndExpire) {
    Ready(1, 0);
    Ready(2, 0);
    const auto send_orphan = [&](uint64_t peer, uint32_t n) {
        const TransactionRef orphan = Tx(n, {Tx(1'000'000 + n)->txid()});
        Receive(peer, MessageType::kTxInventory, Wtxids{{orphan->wtxid()}});
        ReceiveTx(peer, orphan);
        sync.OnTransactionResult(P(peer), orphan,
                                 {TransactionOutcome::kMissingParents, {Tx(1'000'000 + n)->txid()}, ""}, now);
        return orphan;
    };
    const TransactionRef honest = send_orphan(2, 0);
    for (uint32_t i = 1; i <= 150; ++i) send_orphan(1, i);
    EXPECT_EQ(sync.OrphanCount(), Sync::kMaxOrphans);
    // The flood pushed out its own, not the other peer's.
    Take<SendAction>();
    Receive(1, MessageType::kTxInventory, Wtxids{{honest->wtxid()}});
    EXPECT_TRUE(AskedTransactions().empty());
    now += Sync::kOrphanLifetime;
    sync.Tick(now);
    EXPECT_EQ(sync.OrphanCount(), 0u);
}

TEST_F(SyncTest, WhatAPeerMayAnnounceIsBounded) {
    Ready(1, 0);
    for (uint8_t batch = 0; batch < 5; ++batch) {
        Wtxids inventory;
        for (size_t i = 0; i < kMaxTransactionsPerMessage; ++i) {
            inventory.hashes.emplace_back();
            inventory.hashes.back().bytes = {batch, static_cast<uint8_t>(i), static_cast<uint8_t>(i >> 8), 1};
        }
        Receive(1, MessageType::kTxInventory, inventory);
    }
    EXPECT_EQ(AskedTransactions().size(), 200u);
    size_t asked = 0;
    for (int i = 0; i < 100 && sync.NextWakeup(); ++i) {
        now = *sync.NextWakeup();
        sync.Tick(now);
        asked += AskedTransactions().size();
    }
    EXPECT_EQ(asked + 200, Sync::kMaxRequestsPerPeer);
}

TEST_F(SyncTest, TransactionsAreServedFromThePoolUpToALimit) {
    Ready(1, 0);
    view.pool.emplace(Tx(1)->wtxid(), Tx(1));
    Take<SendAction>();
    Receive(1, MessageType::kGetTransactions, Wtxids{{Tx(1)->wtxid(), Tx(2)->wtxid()}});
    size_t served = 0;
    size_t missing = 0;
    for (const SendAction& send : Take<SendAction>()) {
        served += send.type == MessageType::kTransaction ? 1 : 0;
        if (send.type == MessageType::kTxNotFound) missing += Decode<Wtxids>(send.payload)->hashes.size();
    }
    EXPECT_EQ(served, 1u);
    EXPECT_EQ(missing, 1u);
}

// Two machines against each other: one has a chain, the other ends with the same.
TEST_F(SyncTest, AFreshNodeGetsTheWholeChainFromAnother) {
    FakeView server_view;
    server_view.headers = Chain(2500);
    server_view.bodies = server_view.headers.size();
    Sync server(server_view);
    server.OnPeerReady(P(9), Height(0), now);
    server.TakeActions();
    Ready(1, 2500);
    std::map<BlockHash, BlockHeader> by_hash;
    for (const BlockHeader& header : server_view.headers) by_hash.emplace(header.Hash(), header);
    for (int round = 0; round < 5000 && view.bodies < 2501; ++round) {
        for (SyncAction& action : sync.TakeActions()) {
            if (const auto* send = std::get_if<SendAction>(&action)) {
                ASSERT_TRUE(server.OnMessage(P(9), send->type, send->payload, now));
            } else if (auto* headers = std::get_if<ProcessHeadersAction>(&action)) {
                ASSERT_EQ(headers->headers.front().prev, view.headers.back().Hash());
                Accept(headers->headers);
                sync.OnHeadersResult(P(1), {}, now);
            } else if (auto* block = std::get_if<ProcessBlockAction>(&action)) {
                view.stored.insert(block->hash);
                while (view.bodies < view.headers.size() && view.stored.contains(view.headers[view.bodies].Hash()))
                    ++view.bodies;
                sync.OnBlockResult(P(1), block->hash, BlockOutcome::kAccepted, "", now);
            } else {
                FAIL() << "nobody is to blame";
            }
        }
        for (SyncAction& action : server.TakeActions()) {
            if (const auto* send = std::get_if<SendAction>(&action)) {
                ASSERT_TRUE(sync.OnMessage(P(1), send->type, send->payload, now));
            } else if (const auto* serve = std::get_if<ServeBlockAction>(&action)) {
                ReceiveBlock(1, by_hash.at(serve->hash));
                server.OnBlockServed(P(9), 500, now);
            }
        }
    }
    EXPECT_EQ(view.bodies, 2501u);
    EXPECT_FALSE(sync.Busy());
}

}  // namespace
}  // namespace sluice::p2p
