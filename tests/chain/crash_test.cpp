#include "chain_test_util.h"

namespace sluice::chain {
namespace {

// What a node goes through: a branch, then a longer one from below its tip, over the end of an epoch.
struct Story {
    std::vector<BlockRef> blocks;
    BlockHash end;
    Dump dump;
};

Story TellStory() {
    TestNode first, second(2);
    Story story;
    const auto add = [&](const std::vector<BlockRef>& blocks) { story.blocks.insert(story.blocks.end(), blocks.begin(), blocks.end()); };
    add(first.MineMany(2, 12));
    second.GiveAll(story.blocks);
    EXPECT_EQ(first.Code(first.PayGenesisCoin(1)), "");
    add(first.MineMany(2, 3));
    EXPECT_EQ(second.Code(second.PayGenesisCoin(2, Amount(2000), 5)), "");
    add(second.MineMany(4, 5));
    story.end = second.chain().tip()->hash();
    EXPECT_GE(second.chain().tip()->state.epoch, Epoch(1));
    story.dump = second.TakeDump();
    return story;
}

// Gives the story to the node until something fails; true if nothing did.
bool Live(TestNode& node, const Story& story) {
    for (const BlockRef& block : story.blocks) {
        const auto result = node.Give(block);
        if (!result) {
            EXPECT_EQ(result.error().kind, ErrorKind::kEnvironment);
            return false;
        }
        EXPECT_NE(result->what, BlockResult::What::kNotTaken);
    }
    return true;
}

TEST(Crash, AtEachWriteLeavesAConsistentTipFromWhichTheNodeGoesOn) {
    const Story story = TellStory();
    uint64_t crashes = 0;
    for (uint64_t writes = 0;; ++writes) {
        TestNode node(100 + writes);
        node.disk().FailAfterWrites(writes);
        const bool finished = Live(node, story);
        node.Close();
        node.disk().Crash();
        node.Open();
        ASSERT_FALSE(::testing::Test::HasFatalFailure()) << "after " << writes << " writes";
        node.ExpectRecountEquals();
        ASSERT_TRUE(Live(node, story)) << "after " << writes << " writes";
        ASSERT_EQ(node.chain().tip()->hash(), story.end) << "after " << writes << " writes";
        ASSERT_EQ(node.TakeDump(), story.dump) << "after " << writes << " writes";
        if (finished) break;
        ++crashes;
    }
    EXPECT_GT(crashes, 40u);
}

TEST(Crash, AtEachWriteOfTheFirstStartLeavesAFolderThatOpens) {
    for (uint64_t writes = 0;; ++writes) {
        storage::MemoryDisk disk(writes);
        disk.FailAfterWrites(writes);
        const bool opened = ChainManager::Open(disk.files(), "/node", TestGenesis()).has_value();
        disk.Crash();
        const auto again = ChainManager::Open(disk.files(), "/node", TestGenesis());
        ASSERT_TRUE(again) << again.error().message;
        EXPECT_EQ((*again)->tip()->height(), Height(0));
        if (opened) {
            EXPECT_GT(writes, 5u);
            break;
        }
    }
}

TEST(Crash, ADiskThatIsFullStopsTheNodeAndLosesNothing) {
    TestNode node;
    node.MineMany(3);
    const auto tip = node.chain().tip()->hash();
    const BlockRef next = node.Produce();
    node.disk().SetCapacity(0);
    const auto result = node.Give(next);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::kEnvironment);
    node.Close();
    node.disk().Crash();
    node.disk().SetCapacity(1ull << 40);
    node.Open();
    EXPECT_EQ(node.chain().tip()->hash(), tip);
    node.GiveAll({next});
    EXPECT_EQ(node.chain().tip()->hash(), next->header.Hash());
    node.ExpectRecountEquals();
}

TEST(BlockStore, ADamagedBodyCountsAsMissing) {
    TestNode first, node(2);
    const auto blocks = first.MineMany(2);
    node.GiveAll({blocks[0]});
    // The second body is stored beside the active chain, and then one of its bytes changes.
    ASSERT_TRUE(node.chain().InvalidateBlock(blocks[0]->header.Hash(), node.now));
    node.Close();
    auto file = node.disk().files().Open("/node/blocks/blk00000.dat", storage::OpenMode::kReadWrite);
    ASSERT_TRUE(file);
    const uint64_t size = *(*file)->Size();
    Bytes last(1);
    ASSERT_TRUE((*file)->ReadAt(size - 1, last));
    last[0] ^= 1;
    ASSERT_TRUE((*file)->WriteAt(size - 1, last));
    file->reset();
    node.Open();
    ASSERT_TRUE(node.chain().ReconsiderBlock(blocks[0]->header.Hash(), node.now));
    EXPECT_EQ(node.chain().tip()->height(), Height(0));
    ASSERT_EQ(node.chain().BlocksWanted(10).size(), 1u);
    node.GiveAll(blocks);
    EXPECT_EQ(node.chain().tip()->hash(), blocks[1]->header.Hash());
}

}  // namespace
}  // namespace sluice::chain
