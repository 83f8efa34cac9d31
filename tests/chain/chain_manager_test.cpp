#include "chain/chain_manager.h"

#include <filesystem>

#include "chain_test_util.h"

namespace sluice::chain {
namespace {

using What = BlockResult::What;

TEST(ChainManager, AFreshFolderHoldsGenesis) {
    TestNode node;
    EXPECT_EQ(node.chain().tip()->height(), Height(0));
    EXPECT_EQ(node.chain().tip()->hash(), TestGenesis().Hash());
    EXPECT_EQ(node.chain().best_header(), node.chain().tip());
    node.ExpectRecountEquals();
    const auto genesis = node.chain().GetConnected(node.chain().tip());
    ASSERT_TRUE(genesis);
    EXPECT_EQ(genesis->block->header.Hash(), TestGenesis().Hash());
}

TEST(ChainManager, TotalsAndStakeEqualARecountAtEachBlockThroughFourEpochs) {
    TestNode node;
    OutPoint from = node.GenesisCoin(0);
    TxOutput spent = node.GenesisOutput(0);
    for (int i = 0; node.chain().tip()->state.epoch < Epoch(4); ++i) {
        // Now and then money moves into and out of stake.
        MutableTransaction tx;
        tx.inputs.push_back({from, {}, 0xfffffffd, {}});
        const Script script = i % 3 == 0
                                  ? StakeScript(OwnerOutputKey().XOnly(), consensus::RegtestOperator(i % 2).staker)
                                  : OwnerScript();
        tx.outputs.push_back({Amount(spent.value.drops - 1000), script});
        const auto signed_tx = SignAll(tx, {spent});
        ASSERT_EQ(node.Code(signed_tx), "");
        from = signed_tx->Output(0);
        spent = signed_tx->outputs()[0];
        const BlockRef block = node.Mine();
        ASSERT_EQ(block->transactions.size(), 2u);
        node.ExpectRecountEquals();
    }
}

TEST(ChainManager, ALongerForkWinsAndEqualsANodeThatSawOnlyIt) {
    TestNode first, second(2), straight(3);
    const auto shared = first.MineMany(5);
    second.GiveAll(shared);
    ASSERT_EQ(first.Code(first.PayGenesisCoin(1)), "");
    const auto ours = first.MineMany(3, 2);
    ASSERT_EQ(second.Code(second.PayGenesisCoin(2)), "");
    const auto theirs = second.MineMany(5);

    TipChange change;
    for (const BlockRef& block : theirs) {
        const auto result = first.Give(block);
        ASSERT_TRUE(result);
        if (!result->change.disconnected.empty()) change = result->change;
    }
    ASSERT_EQ(change.disconnected.size(), 3u);
    EXPECT_EQ(change.disconnected[0].block->header, ours[2]->header);
    EXPECT_GE(change.connected.size(), 3u);
    EXPECT_EQ(change.connected[0].block->header, theirs[0]->header);
    EXPECT_EQ(first.chain().tip()->hash(), theirs.back()->header.Hash());
    EXPECT_TRUE(first.chain().mempool().Find(first.PayGenesisCoin(1)->txid()))
        << "what was disconnected is in the pool again";
    first.ExpectRecountEquals();

    straight.GiveAll(shared);
    straight.GiveAll(theirs);
    EXPECT_EQ(first.TakeDump(), straight.TakeDump());
}

TEST(ChainManager, AForkAcrossAnEpochBoundaryReorganises) {
    TestNode first, second(2), straight(3);
    std::vector<BlockRef> shared;
    // To the last slots of epoch 1.
    while (first.chain().tip()->state.slot.value % 40 < 30 || first.chain().tip()->state.epoch < Epoch(1))
        shared.push_back(first.Mine());
    second.GiveAll(shared);
    straight.GiveAll(shared);
    const Epoch before = first.chain().tip()->state.epoch;
    const auto ours = first.MineMany(3, 9);  // leaves the epoch at once
    EXPECT_GT(first.chain().tip()->state.epoch, before);
    const auto theirs = second.MineMany(9);  // fills it first
    EXPECT_GT(second.chain().tip()->state.epoch, before);
    EXPECT_NE(second.chain().tip()->state.previous, first.chain().tip()->state.previous);

    first.GiveAll(theirs);
    EXPECT_EQ(first.chain().tip()->hash(), second.chain().tip()->hash());
    straight.GiveAll(theirs);
    EXPECT_EQ(first.TakeDump(), straight.TakeDump());
    // And the chain goes on through elections that depend on the new branch.
    while (first.chain().tip()->state.epoch < before + 4) {
        const BlockRef block = first.Mine();
        straight.GiveAll({block});
    }
    EXPECT_EQ(first.chain().tip()->hash(), straight.chain().tip()->hash());
    first.ExpectRecountEquals();
}

TEST(ChainManager, WorksOnARealDisk) {
    const auto files = storage::MakePosixFileSystem();
    const std::string folder = ::testing::TempDir() + "sluice-chain-" +
                               std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
    TestNode source;
    const auto blocks = source.MineMany(6);
    for (size_t part = 0; part < 2; ++part) {
        auto chain = ChainManager::Open(*files, folder, TestGenesis());
        ASSERT_TRUE(chain) << chain.error().message;
        EXPECT_EQ((*chain)->tip()->height(), Height(static_cast<uint32_t>(3 * part)));
        for (size_t i = 3 * part; i < 3 * part + 3; ++i)
            ASSERT_EQ((*chain)->ProcessBlock(blocks[i], source.now)->what, What::kConnected);
    }
    std::filesystem::remove_all(folder);
}

TEST(ChainManager, BlocksOutOfOrderAreWantedAndConnectedOnceTheGapIsFilled) {
    TestNode first, second(2);
    const auto blocks = first.MineMany(6);
    std::vector<BlockHeader> headers;
    for (const auto& block : blocks) headers.push_back(block->header);
    second.now = first.now;
    const auto result = second.chain().ProcessHeaders(headers, second.now);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->accepted, 6u);
    EXPECT_EQ(second.chain().best_header()->height(), Height(6));
    ASSERT_EQ(second.chain().BlocksWanted(100).size(), 6u);
    EXPECT_EQ(second.chain().BlocksWanted(2).size(), 2u);
    EXPECT_EQ(second.chain().BlocksWanted(100, 3).size(), 3u);
    for (const size_t i : {5u, 3u, 1u, 2u, 4u}) EXPECT_EQ(second.Give(blocks[i])->what, What::kStored);
    ASSERT_EQ(second.chain().BlocksWanted(100).size(), 1u);
    EXPECT_EQ(second.chain().BlocksWanted(100)[0]->hash(), blocks[0]->header.Hash());
    const auto last = second.Give(blocks[0]);
    EXPECT_EQ(last->what, What::kConnected);
    EXPECT_EQ(last->change.connected.size(), 6u);
    EXPECT_EQ(second.Give(blocks[0])->what, What::kKnown);
}

TEST(ChainManager, AHeaderWhoseBodyNobodyGivesAwayDoesNotHideAnotherBranch) {
    TestNode node, withholder, honest;
    const BlockRef withheld = withholder.Mine();
    const BlockRef given =
        honest.Mine(20);  // slots too far apart for the tie to be broken: the first seen header stays the best
    node.now = std::max(withholder.now, honest.now);
    ASSERT_EQ(node.chain().ProcessHeaders({withheld->header}, node.now)->accepted, 1u);
    ASSERT_EQ(node.chain().ProcessHeaders({given->header}, node.now)->accepted, 1u);
    ASSERT_EQ(node.chain().best_header()->hash(), withheld->header.Hash());
    const auto wanted = node.chain().BlocksWanted(10);
    ASSERT_EQ(wanted.size(), 2u);
    EXPECT_EQ(wanted[0]->hash(), withheld->header.Hash());
    EXPECT_EQ(wanted[1]->hash(), given->header.Hash());
    EXPECT_EQ(node.chain().BlocksWanted(1).size(), 1u);
}

TEST(ChainManager, HeadersStopAtTheHorizonUntilTheirSnapshotIsConnected) {
    TestNode first, second(2);
    std::vector<BlockRef> blocks;
    while (first.chain().tip()->state.epoch < Epoch(3)) blocks.push_back(first.Mine());
    std::vector<BlockHeader> headers;
    for (const auto& block : blocks) headers.push_back(block->header);
    second.now = first.now;
    auto result = second.chain().ProcessHeaders(headers, second.now);
    ASSERT_TRUE(result && result->stopped);
    EXPECT_EQ(result->stopped->what, HeaderOutcome::What::kBeyondHorizon);
    EXPECT_EQ(second.chain().best_header()->state.epoch, Epoch(1));
    for (const auto& block : blocks)
        if (second.params().EpochOf(block->header.slot) <= Epoch(1)) second.GiveAll({block});
    result = second.chain().ProcessHeaders(headers, second.now);
    ASSERT_TRUE(result);
    EXPECT_FALSE(result->stopped);
    EXPECT_EQ(result->accepted, headers.size());
}

TEST(ChainManager, HeadersFromTheFutureAreTakenUpToTwoSecondsEarly) {
    TestNode node;
    const BlockRef block = node.Produce();
    const UnixMillis at = node.params().SlotTime(block->header.slot);
    auto early = node.chain().ProcessHeaders({block->header}, at - milliseconds(2001));
    ASSERT_TRUE(early && early->stopped);
    EXPECT_EQ(early->stopped->what, HeaderOutcome::What::kPremature);
    const auto in_time = node.chain().ProcessHeaders({block->header}, at - milliseconds(2000));
    ASSERT_TRUE(in_time);
    EXPECT_EQ(in_time->accepted, 1u);
}

TEST(ChainManager, UnknownParentsAndForgedHeadersAreToldApart) {
    TestNode first, second(2);
    const auto blocks = first.MineMany(2);
    second.now = first.now;
    auto orphan = second.chain().ProcessHeaders({blocks[1]->header}, second.now);
    EXPECT_EQ(orphan->stopped->what, HeaderOutcome::What::kUnknownParent);
    BlockHeader forged = blocks[0]->header;
    forged.tx_root.bytes[0] ^= 1;
    auto invalid = second.chain().ProcessHeaders({forged}, second.now);
    EXPECT_EQ(invalid->stopped->what, HeaderOutcome::What::kInvalid);
    EXPECT_EQ(invalid->stopped->reason.code, "bad-header-signature");
}

TEST(ChainManager, AStakersThirdHeaderForASlotIsKeptOnlyIfABetterBranchNeedsIt) {
    TestNode node;
    TestNode other;
    const BlockRef first = node.Produce();
    const auto variant = [&](uint8_t n) {
        BlockHeader header = first->header;
        header.tx_root.bytes[0] ^= n;
        header.signature = node.keys().signing.Sign(header.SigningHash(node.chain().genesis_hash()));
        return header;
    };
    for (const uint8_t n : {1, 2}) ASSERT_EQ(node.chain().ProcessHeaders({variant(n)}, node.now)->accepted, 1u);
    for (uint8_t n = 3; n < 10; ++n) {
        const auto result = node.chain().ProcessHeaders({variant(n)}, node.now);
        ASSERT_TRUE(result);
        EXPECT_EQ(result->accepted, 0u);
        EXPECT_EQ(result->stopped->what, HeaderOutcome::What::kEquivocation);
        EXPECT_EQ(node.chain().FindHeader(variant(n).Hash()), nullptr);
    }
    node.Close();
    node.Open();  // it is counted again
    EXPECT_EQ(node.chain().ProcessHeaders({variant(3)}, node.now)->accepted, 0u);
    // The others follow another header of that slot: their longer branch is taken.
    other.GiveAll({first});
    const BlockRef child = other.Mine();
    node.now = std::max(node.now, other.now);
    EXPECT_EQ(node.chain().ProcessHeaders({first->header, child->header}, node.now)->accepted, 2u);
    node.GiveAll({first, child});
    EXPECT_EQ(node.chain().tip()->hash(), child->header.Hash());
}

TEST(ChainManager, AMutatedBodyDoesNotCondemnItsHeader) {
    TestNode first, second(2);
    ASSERT_EQ(first.Code(first.PayGenesisCoin(0)), "");
    const BlockRef block = first.Mine();
    ASSERT_EQ(block->transactions.size(), 2u);
    Block mutated = *block;
    mutated.transactions.pop_back();
    const auto refused = second.Give(std::make_shared<const Block>(mutated));
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->what, What::kNotTaken);
    EXPECT_EQ(refused->invalid->what, consensus::Invalid::What::kMutatedBody);
    EXPECT_EQ(second.Give(block)->what, What::kConnected);
}

// A block of our own whose coinbase takes one drop too much.
BlockRef GreedyBlock(TestNode& node) {
    const BlockRef honest = node.Produce();
    MutableTransaction coinbase = honest->transactions[0]->tx();
    coinbase.outputs[0].value.drops += 1;
    auto transactions = honest->transactions;
    transactions[0] = MakeTransaction(coinbase);
    const auto& parent = node.chain().tip()->state;
    const auto previous =
        node.chain().SnapshotOf(consensus::NextContext(node.params(), parent, honest->header.slot).previous);
    return std::make_shared<const Block>(MakeSignedBlock(node.chain().genesis_hash(), parent, honest->header.slot,
                                                         honest->header.vrf_proof, node.keys(), (*previous)->hash,
                                                         transactions));
}

TEST(ChainManager, AnInvalidBodyIsMarkedForEverAndTheOldBranchStays) {
    TestNode first, second(2);
    first.GiveAll(second.MineMany(2));
    const auto ours = first.MineMany(1, 3);
    const auto valid = second.Mine();
    const BlockRef greedy = GreedyBlock(second);
    first.GiveAll({valid});
    const auto result = first.Give(greedy);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->what, What::kNotTaken);
    ASSERT_TRUE(result->invalid);
    EXPECT_EQ(result->invalid->code, "bad-cb-amount");
    EXPECT_EQ(first.chain().tip()->height(), Height(3));
    EXPECT_EQ(first.chain().best_header()->height(), Height(3));
    first.Open();
    EXPECT_EQ(first.chain().tip()->height(), Height(3));
    const auto again = first.Give(greedy);
    EXPECT_EQ(again->what, What::kNotTaken);
    EXPECT_EQ(again->header->what, HeaderOutcome::What::kInvalid);
    first.ExpectRecountEquals();
}

TEST(ChainManager, AnInvalidatedBlockLeavesAndComesBackWhenReconsidered) {
    TestNode node;
    const auto blocks = node.MineMany(4);
    const auto tip = node.chain().tip()->hash();
    const auto left = node.chain().InvalidateBlock(blocks[1]->header.Hash(), node.now);
    ASSERT_TRUE(left);
    EXPECT_EQ(left->change.disconnected.size(), 3u);
    EXPECT_EQ(node.chain().tip()->height(), Height(1));
    node.Open();
    EXPECT_EQ(node.chain().tip()->height(), Height(1));
    node.ExpectRecountEquals();
    const auto back = node.chain().ReconsiderBlock(blocks[1]->header.Hash(), node.now);
    ASSERT_TRUE(back);
    EXPECT_EQ(node.chain().tip()->hash(), tip);
    EXPECT_EQ(back->change.connected.size(), 3u);
    EXPECT_FALSE(node.chain().InvalidateBlock(TestGenesis().Hash(), node.now));
    EXPECT_FALSE(node.chain().InvalidateBlock(BlockHash(), node.now));
}

TEST(ChainManager, ARestartFindsTheSameChain) {
    TestNode node;
    ASSERT_EQ(node.Code(node.PayGenesisCoin(0)), "");
    node.MineMany(30);
    const HeaderNode tip = *node.chain().tip();
    const auto locator = node.chain().Locator();
    node.Open();
    EXPECT_EQ(node.chain().tip()->state, tip.state);
    EXPECT_EQ(node.chain().Locator(), locator);
    node.ExpectRecountEquals();
    node.MineMany(3);
}

TEST(ChainManager, AFolderOfAnotherNetworkIsRefused) {
    TestNode node;
    node.Close();
    consensus::Genesis other = TestGenesis();
    other.params.k = 11;
    const auto opened = ChainManager::Open(node.disk().files(), "/node", other);
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message.find("another network"), std::string::npos);
    node.Open();
}

TEST(ChainManager, HeadersAfterALocatorContinueTheSharedBranch) {
    TestNode first, second(2);
    const auto shared = first.MineMany(4);
    second.GiveAll(shared);
    first.MineMany(3);
    second.MineMany(1, 5);
    const auto headers = first.chain().HeadersAfter(second.chain().Locator(), {});
    ASSERT_TRUE(headers);
    ASSERT_EQ(headers->size(), 3u);
    EXPECT_EQ((*headers)[0].prev, shared.back()->header.Hash());
    const auto until = first.chain().HeadersAfter({}, shared[1]->header.Hash());
    EXPECT_EQ(until->size(), 2u);
}

TEST(ChainManager, AncestorsAndForkPointsEqualAWalkByParents) {
    TestNode node;
    node.MineMany(70);
    const HeaderNode* tip = node.chain().tip();
    for (const HeaderNode* from = tip; from != nullptr; from = from->parent) {
        for (const HeaderNode* walk = from; walk != nullptr; walk = walk->parent) {
            ASSERT_EQ(AncestorAt(from, walk->height()), walk);
            ASSERT_EQ(ForkPoint(from, walk), walk);
        }
    }
    EXPECT_EQ(AncestorAt(tip, Height(71)), nullptr);
}

}  // namespace
}  // namespace sluice::chain
