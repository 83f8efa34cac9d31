#include "p2p/frame.h"
#include "p2p/sync_fixture.h"

// Blocks that travel with their headers, and what a hostile peer may try with them.

namespace sluice::p2p {
namespace {

class FreshBlockTest : public SyncTest {
  protected:
    void SetUp() override {
        view.headers = Chain(3);
        view.bodies = view.headers.size();
        view.slot_now = view.headers.back().slot + 1;
        for (const uint64_t peer : {1, 2}) {
            Ready(peer, view.headers.back().height.value);
            ReceiveHeaders(peer, {});
        }
        Take<SendAction>();
    }
    // On our tip, for the present slot.
    Block Next(const std::vector<TransactionRef>& transactions = {Tx(1)}) const {
        Block block{Child(view.headers.back()), transactions};
        block.header.slot = view.slot_now;
        block.header.tx_root = TxMerkleRoot(block.transactions);
        block.header.witness_root = WitnessMerkleRoot(block.transactions);
        return block;
    }
    // A block of exactly `bytes`.
    Block NextOf(size_t bytes) const {
        MutableTransaction tx = Tx(1)->tx();
        tx.inputs[0].witness = {Bytes(bytes - Next().ToBytes().size())};
        Block block = Next({MakeTransaction(tx)});
        while (block.ToBytes().size() != bytes) {
            Bytes& padding = tx.inputs[0].witness[0];
            padding.resize(padding.size() + bytes - block.ToBytes().size());
            block = Next({MakeTransaction(tx)});
        }
        return block;
    }
    void ReceiveFresh(uint64_t peer, ByteSpan block) {
        EXPECT_TRUE(sync.OnMessage(P(peer), MessageType::kFreshBlock, block, now));
    }
    void AcceptHeader(uint64_t peer) {
        const auto actions = Take<ProcessHeadersAction>();
        ASSERT_EQ(actions.size(), 1u);
        Accept(actions[0].headers);
        sync.OnHeadersResult(P(peer), {HeadersOutcome::kAccepted, 1, "", 1, 1}, now);
    }
    bool NobodyBlamed() { return Take<MisbehavingAction>().empty() && Take<DisconnectAction>().empty(); }
    // What was sent since the last call.
    std::multimap<uint64_t, MessageType> AllSent() {
        std::multimap<uint64_t, MessageType> sent;
        for (const SendAction& send : Take<SendAction>()) sent.emplace(send.peer.value, send.type);
        return sent;
    }
    // Both peers know that we have the tip, and we that they do.
    void LearnTip() {
        for (const uint64_t peer : {1, 2}) {
            Receive(peer, MessageType::kGetHeaders, GetHeaders{{view.headers.front().Hash()}, {}});
            ReceiveHeaders(peer, {view.headers.back()});
        }
        Take<SendAction>();
    }
    using SentTo = std::multimap<uint64_t, MessageType>;
};

TEST_F(FreshBlockTest, ABlockOfOursGoesWithItsHeaderToThoseWhoHaveItsParent) {
    const Block block = Next();
    Receive(1, MessageType::kGetHeaders, GetHeaders{{view.headers.front().Hash()}, {}});
    Take<SendAction>();
    sync.OnTipChanged({block.header}, now, &block);
    std::vector<SendAction> sent = Take<SendAction>();
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[0].type, MessageType::kFreshBlock);
    EXPECT_EQ(sent[0].payload, block.ToBytes());
    EXPECT_EQ(sent[1].type, MessageType::kHeaders) << "whether the second peer has the parent is not known";
    sync.OnTipChanged({block.header}, now, &block);
    EXPECT_TRUE(AllSent().empty()) << "told once";
}

TEST_F(FreshBlockTest, ABlockOfSixteenKibibytesGoesWithItsHeaderAndOneByteMoreDoesNot) {
    LearnTip();
    const Block largest = NextOf(kMaxFreshBlockBytes);
    sync.OnTipChanged({largest.header}, now, &largest);
    EXPECT_EQ(AllSent(), (SentTo{{1, MessageType::kFreshBlock}, {2, MessageType::kFreshBlock}}));
    const Block too_large = NextOf(kMaxFreshBlockBytes + 1);
    sync.OnTipChanged({too_large.header}, now, &too_large);
    EXPECT_EQ(AllSent(), (SentTo{{1, MessageType::kHeaders}, {2, MessageType::kHeaders}}));
}

TEST_F(FreshBlockTest, SeveralHeadersGoWithoutABody) {
    LearnTip();
    const Block block = Next();
    const Block child{Child(block.header), {}};
    sync.OnTipChanged({block.header, child.header}, now, &child);
    EXPECT_EQ(AllSent(), (SentTo{{1, MessageType::kHeaders}, {2, MessageType::kHeaders}}));
}

TEST_F(FreshBlockTest, WhoTookAllThatWeGiveIsToldTheHeaderAlone) {
    LearnTip();
    const BlockHash known = view.headers[1].Hash();
    Receive(1, MessageType::kGetBlocks, BlockHashes{{known}});
    ASSERT_EQ(Take<ServeBlockAction>().size(), 1u);
    sync.OnBlockServed(P(1), Sync::kServeBytesBurst + 1, now);
    const Block block = Next();
    sync.OnTipChanged({block.header}, now, &block);
    EXPECT_EQ(AllSent(), (SentTo{{1, MessageType::kHeaders}, {2, MessageType::kFreshBlock}}));
}

TEST_F(FreshBlockTest, TheHeaderIsCheckedFirstAndThenTheBodyIsTakenWithoutBeingAskedFor) {
    const Block block = Next();
    ReceiveFresh(1, block.ToBytes());
    EXPECT_TRUE(Take<ProcessBlockAction>().empty()) << "nothing is done with the body before its header is good";
    AcceptHeader(1);
    const auto taken = Take<ProcessBlockAction>();
    ASSERT_EQ(taken.size(), 1u);
    EXPECT_EQ(taken[0].hash, block.header.Hash());
    EXPECT_TRUE(AskedBlocks().empty());
    view.bodies = view.headers.size();
    sync.OnBlockResult(P(1), block.header.Hash(), BlockOutcome::kAccepted, "", now);
    EXPECT_EQ(sync.BlocksInFlight(), 0u);
    EXPECT_FALSE(sync.Busy());
    EXPECT_TRUE(NobodyBlamed());
}

TEST_F(FreshBlockTest, ItIsToldOnWithItsBodyBeforeItIsValidated) {
    LearnTip();
    const Block block = Next();
    ReceiveFresh(1, block.ToBytes());
    AcceptHeader(1);
    EXPECT_EQ(AllSent(), (SentTo{{2, MessageType::kFreshBlock}}));
    view.bodies = view.headers.size();
    sync.OnBlockResult(P(1), block.header.Hash(), BlockOutcome::kAccepted, "", now);
    sync.OnTipChanged({block.header}, now, &block);
    EXPECT_TRUE(AllSent().empty());
}

TEST_F(FreshBlockTest, ABodyThatIsNotItsHeadersIsNotToldOnAndItsSenderIsBlamed) {
    LearnTip();
    Block block = Next();
    block.transactions = {Tx(2)};
    ReceiveFresh(1, block.ToBytes());
    AcceptHeader(1);
    EXPECT_EQ(AllSent(), (SentTo{{2, MessageType::kHeaders}}));
    ASSERT_EQ(Take<ProcessBlockAction>().size(), 1u);
    sync.OnBlockResult(P(1), block.header.Hash(), BlockOutcome::kMutatedBody, "roots", now);
    EXPECT_EQ(Take<MisbehavingAction>().at(0).peer, P(1));
    // The header is good: whoever else announces it is asked.
    sync.OnPeerGone(P(1), now);
    ReceiveHeaders(2, {block.header});
    EXPECT_EQ(AskedBlocks(), (std::multimap<uint64_t, BlockHash>{{2, block.header.Hash()}}));
}

TEST_F(FreshBlockTest, ABodyThatIsNoBlockIsMisbehaviourAndTheTrueOneIsAskedOfAnother) {
    const Block block = Next();
    Bytes bytes = block.ToBytes();
    bytes.resize(bytes.size() - 1);
    ReceiveFresh(1, bytes);
    AcceptHeader(1);
    EXPECT_TRUE(Take<ProcessBlockAction>().empty());
    EXPECT_EQ(Take<MisbehavingAction>().at(0).peer, P(1));
    sync.OnPeerGone(P(1), now);
    ReceiveHeaders(2, {block.header});
    EXPECT_EQ(AskedBlocks(), (std::multimap<uint64_t, BlockHash>{{2, block.header.Hash()}}));
}

TEST_F(FreshBlockTest, LessThanAHeaderIsMisbehaviour) {
    Bytes bytes = Next().ToBytes();
    bytes.resize(kBlockHeaderBytes - 1);
    ReceiveFresh(1, bytes);
    EXPECT_EQ(Take<MisbehavingAction>().size(), 1u);
}

TEST_F(FreshBlockTest, TheBodyOfAnInvalidHeaderIsNotLookedAt) {
    ReceiveFresh(1, Next().ToBytes());
    ASSERT_EQ(Take<ProcessHeadersAction>().size(), 1u);
    sync.OnHeadersResult(P(1), {HeadersOutcome::kInvalid, 0, "bad signature", 1, 0}, now);
    EXPECT_TRUE(Take<ProcessBlockAction>().empty());
    EXPECT_EQ(Take<MisbehavingAction>().size(), 1u);
    EXPECT_TRUE(AllSent().empty());
}

TEST_F(FreshBlockTest, TheBodyOfAHeaderThatDoesNotConnectIsDroppedAndItsParentsAreAskedFor) {
    Block block = Next();
    block.header.prev = BlockHash(std::array<uint8_t, 32>{9});
    ReceiveFresh(1, block.ToBytes());
    EXPECT_TRUE(Take<ProcessHeadersAction>().empty());
    EXPECT_TRUE(Take<ProcessBlockAction>().empty());
    EXPECT_EQ(AllSent(), (SentTo{{1, MessageType::kGetHeaders}}));
    EXPECT_EQ(sync.HeadersHeld(), 0u);
    EXPECT_TRUE(NobodyBlamed());
}

TEST_F(FreshBlockTest, ABodyThatNobodyWantsIsDropped) {
    // Of a header that is ours and whose body is here.
    ReceiveFresh(1, Block{view.headers.back(), {}}.ToBytes());
    EXPECT_TRUE(Take<ProcessBlockAction>().empty());
    // Of one beside our best branch, whose body is not wanted.
    Block beside = Next();
    beside.header.prev = view.headers[2].Hash();
    ReceiveFresh(1, beside.ToBytes());
    ASSERT_EQ(Take<ProcessHeadersAction>().size(), 1u);
    sync.OnHeadersResult(P(1), {HeadersOutcome::kAccepted, 1, "", 1, 1}, now);
    EXPECT_TRUE(Take<ProcessBlockAction>().empty());
    // Of a block that the node is at work on.
    const Block block = Next();
    ReceiveFresh(1, block.ToBytes());
    AcceptHeader(1);
    EXPECT_EQ(Take<ProcessBlockAction>().size(), 1u);
    ReceiveFresh(2, block.ToBytes());
    EXPECT_TRUE(Take<ProcessBlockAction>().empty());
    EXPECT_TRUE(NobodyBlamed());
}

TEST_F(FreshBlockTest, ABodyThatWasAskedOfAnotherPeerIsTaken) {
    const Block block = Next();
    ReceiveHeaders(1, {block.header});
    AcceptHeader(1);
    EXPECT_EQ(AskedBlocks().count(1), 1u);
    ReceiveFresh(2, block.ToBytes());
    EXPECT_EQ(Take<ProcessBlockAction>().size(), 1u);
    EXPECT_EQ(sync.BlocksInFlight(), 0u);
    EXPECT_TRUE(NobodyBlamed());
}

TEST_F(FreshBlockTest, TheBodyOfAnEarlyHeaderIsNotTakenBeforeItsSlot) {
    Block block = Next();
    block.header.slot = view.slot_now + 1;
    ReceiveFresh(1, block.ToBytes());
    AcceptHeader(1);
    EXPECT_TRUE(Take<ProcessBlockAction>().empty());
    EXPECT_TRUE(AllSent().empty());
    now += seconds(1);
    view.into_slot += seconds(1);
    sync.Tick(now);
    EXPECT_EQ(AskedBlocks().count(1), 1u);
}

TEST_F(FreshBlockTest, HeadersWithBodiesCostTheSameTokensAndAPeerWithoutTokensIsNotHeard) {
    // Headers beside our best branch, which do not pay for themselves.
    uint32_t salt = 0;
    const auto beside = [&] {
        Block block = Next();
        block.header.prev = view.headers[2].Hash();
        block.header.version = static_cast<int32_t>(++salt);
        return block.ToBytes();
    };
    ReceiveFresh(1, beside());
    ASSERT_EQ(Take<ProcessHeadersAction>().size(), 1u);
    HeadersResult result{HeadersOutcome::kAccepted, 1, ""};
    result.signature_checks = Sync::kHeaderWorkBurst + 1;
    sync.OnHeadersResult(P(1), result, now);
    ReceiveFresh(1, beside());
    EXPECT_TRUE(Take<ProcessHeadersAction>().empty());
    ReceiveFresh(2, beside());
    EXPECT_EQ(Take<ProcessHeadersAction>().size(), 1u);
}

TEST_F(FreshBlockTest, AnOversizedOneIsRefusedBeforeItIsPutTogether) {
    Assembler assembler;
    const Bytes most(kMaxFreshBlockBytes), more(kMaxFreshBlockBytes + 1);
    EXPECT_TRUE(assembler.Add({MessageType::kFreshBlock, false, most}));
    const auto refused = assembler.Add({MessageType::kFreshBlock, false, more});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "a freshblock message is over its limit of 16384 bytes");
}

}  // namespace
}  // namespace sluice::p2p
