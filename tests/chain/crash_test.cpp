#include <algorithm>

#include "chain_test_util.h"
#include "util/random.h"

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
    const auto add = [&](const std::vector<BlockRef>& blocks) {
        story.blocks.insert(story.blocks.end(), blocks.begin(), blocks.end());
    };
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

TEST(Crash, AtEachWriteWhileCatchingUpLeavesAConsistentTipFromWhichTheNodeGoesOn) {
    const Story story = TellStory();
    ChainOptions options;
    options.write_buffer_bytes = 12'000;  // a few blocks
    uint64_t last_tip_lost = 0;
    for (uint64_t writes = 0;; ++writes) {
        TestNode node(100 + writes, options);
        const auto be_late = [&] { node.now = node.params().SlotTime(Slot(10'000)); };
        be_late();
        ASSERT_FALSE(node.chain().IsCaughtUp(node.now));
        node.disk().FailAfterWrites(writes);
        const bool finished = Live(node, story);
        const Height reached = node.chain().tip()->height();
        node.Close();
        node.disk().Crash();
        node.Open();
        ASSERT_FALSE(::testing::Test::HasFatalFailure()) << "after " << writes << " writes";
        last_tip_lost += node.chain().tip()->height() < reached;
        node.ExpectRecountEquals();
        be_late();
        ASSERT_TRUE(Live(node, story)) << "after " << writes << " writes";
        ASSERT_TRUE(node.chain().Flush());
        ASSERT_EQ(node.TakeDump(), story.dump) << "after " << writes << " writes";
        if (finished) break;
    }
    EXPECT_GT(last_tip_lost, 0u) << "nothing was ever held back";
}

TEST(Crash, AReadThatFailsIsNotTakenForAnInvalidTransaction) {
    TestNode node;
    node.MineMany(2);
    node.Open();
    const auto tx = node.PayGenesisCoin(0);
    node.disk().Crash();  // everything that is open becomes useless
    const auto verdict = node.chain().AcceptTransaction(tx, node.now);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().kind, ErrorKind::kEnvironment);
    node.Open();
    EXPECT_EQ(node.Code(tx), "");
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

TEST(WriteBuffer, LooksLikeAStoreWithEverythingWritten) {
    storage::MemoryDisk disk(1);
    ASSERT_TRUE(disk.files().CreateDirectories("/kv"));
    auto base = disk.files().OpenKeyValue("/kv/a", 1 << 20);
    ASSERT_TRUE(base);
    WriteBuffer buffer(std::move(*base), 600);
    std::map<Bytes, Bytes> model;
    SeededRandom random(7);
    for (int round = 0; round < 2'000; ++round) {
        storage::WriteBatch batch;
        for (uint64_t i = random.Below(3); i > 0; --i) {
            const Bytes key{static_cast<uint8_t>(random.Below(3)), static_cast<uint8_t>(random.Below(12))};
            if (random.Below(3) == 0) {
                batch.Delete(key);
                model.erase(key);
            } else {
                const Bytes value{static_cast<uint8_t>(round), static_cast<uint8_t>(round >> 8)};
                batch.Put(key, value);
                model[key] = value;
            }
        }
        ASSERT_TRUE(buffer.Write(batch, random.Below(20) == 0));
        const Bytes prefix{static_cast<uint8_t>(random.Below(3))};
        const Bytes from{prefix[0], static_cast<uint8_t>(random.Below(12))};
        std::vector<std::pair<Bytes, Bytes>> expected, all, found, backwards;
        for (const auto& pair : model) {
            if (pair.first[0] != prefix[0]) continue;
            all.push_back(pair);
            if (pair.first >= from) expected.push_back(pair);
        }
        ASSERT_TRUE(buffer.Scan(prefix, from, [&](ByteSpan key, ByteSpan value) {
            found.emplace_back(ToBytes(key), ToBytes(value));
            return found.size() < 4;
        }));
        if (expected.size() > 4) expected.resize(4);
        ASSERT_EQ(found, expected);
        ASSERT_TRUE(buffer.ScanBackwards(prefix, [&](ByteSpan key, ByteSpan value) {
            backwards.emplace_back(ToBytes(key), ToBytes(value));
            return true;
        }));
        std::reverse(all.begin(), all.end());
        ASSERT_EQ(backwards, all);
        const auto value = buffer.Get(from);
        ASSERT_TRUE(value);
        const auto known = model.find(from);
        ASSERT_EQ(value->has_value(), known != model.end());
        if (*value) {
            ASSERT_EQ(**value, known->second);
        }
    }
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
