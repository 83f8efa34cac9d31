#include "chain_test_util.h"

namespace sluice::chain {
namespace {

// A chain of which all but the last k (10) blocks and a few are buried.
class BuriedHeaders : public ::testing::Test {
  protected:
    void SetUp() override {
        blocks = node.MineMany(60);
        node.Open();
        // Headers go when something comes.
        ASSERT_TRUE(node.chain().ProcessHeaders({blocks.back()->header}, node.now));
        ASSERT_LE(node.chain().headers().open_count(), 10u + 2u);
    }
    BlockHash HashAt(uint32_t height) const { return blocks[height - 1]->header.Hash(); }

    TestNode node;
    std::vector<BlockRef> blocks;  // from height 1
};

TEST_F(BuriedHeaders, AreFoundByHashAndHeight) {
    ChainManager& chain = node.chain();
    for (uint32_t height = 1; height <= 60; ++height) {
        const HeaderNode* found = chain.FindHeader(HashAt(height));
        ASSERT_NE(found, nullptr);
        EXPECT_EQ(found->height(), Height(height));
        EXPECT_EQ(chain.At(Height(height)), found);
        EXPECT_TRUE(chain.IsActive(found));
        EXPECT_TRUE(found->has_body);
        EXPECT_EQ(*chain.headers().ReadHeader(found->hash()), blocks[height - 1]->header);
        const auto connected = chain.GetConnected(found);
        ASSERT_TRUE(connected);
        EXPECT_EQ(connected->block->header.Hash(), HashAt(height));
        const auto known = chain.ProcessHeaders({blocks[height - 1]->header}, node.now);
        ASSERT_TRUE(known);
        EXPECT_EQ(known->accepted, 1u);
        EXPECT_EQ(node.Give(blocks[height - 1])->what, BlockResult::What::kKnown);
    }
    EXPECT_EQ(chain.At(Height(0)), chain.headers().genesis());
    EXPECT_EQ(chain.At(Height(61)), nullptr);
    EXPECT_TRUE(chain.GetConnected(chain.At(Height(0))));
}

TEST_F(BuriedHeaders, AreServedToWhoeverIsBehind) {
    for (const uint32_t height : {0u, 1u, 30u, 48u, 49u, 50u, 51u, 59u, 60u}) {
        TestNode behind(2);
        behind.GiveAll({blocks.begin(), blocks.begin() + height});
        const auto headers = node.chain().HeadersAfter(behind.chain().Locator(), {});
        ASSERT_TRUE(headers);
        ASSERT_EQ(headers->size(), 60u - height) << height;
        for (size_t i = 0; i < headers->size(); ++i) EXPECT_EQ((*headers)[i], blocks[height + i]->header);
        const auto some = node.chain().HeadersAfter(behind.chain().Locator(), HashAt(55));
        ASSERT_TRUE(some);
        EXPECT_EQ(some->size(), height < 55 ? 55 - height : 60 - height);
    }
    const auto locator = node.chain().Locator();
    EXPECT_EQ(locator.front(), HashAt(60));
    EXPECT_EQ(locator.back(), node.chain().genesis_hash());
}

TEST_F(BuriedHeaders, ComeBackWhenTheOperatorRefusesOneOfThem) {
    ASSERT_TRUE(node.chain().InvalidateBlock(HashAt(5), node.now));
    EXPECT_EQ(node.chain().tip()->hash(), HashAt(4));
    EXPECT_FALSE(node.chain().IsActive(node.chain().FindHeader(HashAt(5))));
    node.ExpectRecountEquals();
    node.Close();
    node.Open();
    EXPECT_EQ(node.chain().tip()->hash(), HashAt(4));
    ASSERT_TRUE(node.chain().ReconsiderBlock(HashAt(5), node.now));
    EXPECT_EQ(node.chain().tip()->hash(), HashAt(60));
    node.ExpectRecountEquals();
    node.Mine();
    node.Mine();
    EXPECT_LE(node.chain().headers().open_count(), 10u + 3u);
    EXPECT_NE(node.chain().FindHeader(HashAt(5)), nullptr);
}

TEST_F(BuriedHeaders, SnapshotsAreRewoundThroughThem) {
    TestNode then(3);
    then.GiveAll({blocks.begin(), blocks.begin() + 20});
    const consensus::HeaderState& state = then.chain().tip()->state;
    const consensus::EpochBoundary boundary{state.hash, state.epoch};
    const auto expected = then.chain().SnapshotOf(boundary);
    const auto rewound = node.chain().SnapshotOf(boundary);
    ASSERT_TRUE(expected && *expected && rewound && *rewound);
    EXPECT_EQ((*rewound)->hash, (*expected)->hash);
}

TEST_F(BuriedHeaders, AStaleBlockIsForgottenWithItsBodyOnceItCannotComeBack) {
    TestNode other(4);
    other.GiveAll({blocks.begin(), blocks.begin() + 58});
    const BlockRef stale = other.Mine(30);
    ASSERT_TRUE(node.Give(stale));
    ASSERT_NE(node.chain().FindHeader(stale->header.Hash()), nullptr);
    node.MineMany(8);
    ASSERT_NE(node.chain().FindHeader(stale->header.Hash()), nullptr);
    node.MineMany(6);
    EXPECT_EQ(node.chain().FindHeader(stale->header.Hash()), nullptr);
    EXPECT_EQ(*node.chain().GetBlock(stale->header.Hash()), nullptr);
    node.Open();
    EXPECT_EQ(node.chain().FindHeader(stale->header.Hash()), nullptr);
    node.ExpectRecountEquals();
}

TEST_F(BuriedHeaders, ASyncingNodeGoesOverToABranchFromFarBelow) {
    TestNode other(5);
    other.GiveAll({blocks.begin(), blocks.begin() + 10});
    // From a syncing node's view the first branch misses every other slot that was won.
    TestNode sparse(6);
    sparse.GiveAll({blocks.begin(), blocks.begin() + 10});
    const auto left = sparse.MineMany(40, 3);
    const auto dense = other.MineMany(100);
    const UnixMillis late = node.params().SlotTime(other.chain().tip()->state.slot + 10'000);
    TestNode syncing(7);
    syncing.now = late;
    syncing.GiveAll({blocks.begin(), blocks.begin() + 10});
    syncing.GiveAll(left);
    ASSERT_EQ(syncing.chain().tip()->height(), Height(50));
    for (const BlockRef& block : dense) ASSERT_TRUE(syncing.Give(block));
    EXPECT_EQ(syncing.chain().tip()->hash(), dense.back()->header.Hash());
    syncing.ExpectRecountEquals();
    ASSERT_TRUE(syncing.chain().ProcessHeaders({dense.back()->header}, syncing.now));
    EXPECT_EQ(syncing.chain().FindHeader(left.back()->header.Hash()), nullptr);
    EXPECT_LE(syncing.chain().headers().open_count(), 10u + 3u);
    EXPECT_EQ(syncing.TakeDump(), other.TakeDump());
}

TEST_F(BuriedHeaders, OneThatCannotBeReadIsNotTakenToBeUnknown) {
    BlockHeader child = blocks[20]->header;
    child.signature.bytes[0] ^= 1;
    node.disk().Crash();  // everything that is open becomes useless
    const auto headers = node.chain().ProcessHeaders({child}, node.now);
    ASSERT_FALSE(headers);
    EXPECT_EQ(headers.error().kind, ErrorKind::kEnvironment);
    const auto block = node.chain().GetBlockAt(Height(20));
    ASSERT_FALSE(block);
    EXPECT_EQ(block.error().kind, ErrorKind::kEnvironment);
    node.Open();
    EXPECT_EQ(node.chain().tip()->hash(), HashAt(60));
    EXPECT_EQ((*node.chain().GetBlockAt(Height(20)))->header, blocks[19]->header);
}

// [a staker with slots in a row makes many headers for the first, each with a child: all of them "better"]
TEST(HeaderFlood, ManyHeadersForOneSlotEachWithAChildAreLimitedAndTheHonestBranchIsFollowed) {
    TestNode node, other(2);
    const BlockRef first = other.Mine();
    const auto sign = [&](BlockHeader header) {
        header.signature = node.keys().signing.Sign(header.SigningHash(node.chain().genesis_hash()));
        return header;
    };
    size_t most = 0;
    Slot last = first->header.slot;
    for (uint8_t n = 1; n <= 40; ++n) {
        BlockHeader variant = first->header;
        variant.tx_root.bytes[0] ^= n;
        variant = sign(variant);
        // Two children in each slot that the staker wins later are not too many for that slot.
        if (n % 2 == 1) last = **other.chain().NextWonSlot(other.keys(), last + 1, 1000);
        BlockHeader child = (*other.chain().ProduceBlock(other.keys(), last))->header;
        child.prev = variant.Hash();
        child = sign(child);
        node.now = node.params().SlotTime(last);
        ASSERT_TRUE(node.chain().ProcessHeaders({variant, child}, node.now));
        most = std::max(most, node.chain().headers().CountOf(first->header.staker, first->header.slot));
    }
    EXPECT_EQ(most, kMaxBranchesPerSlot);
    EXPECT_LE(node.chain().headers().open_count(), 1 + 2 * kMaxBranchesPerSlot);
    // The others build on the header that they saw, last in a slot of which we know nothing: their branch is longer.
    std::vector<BlockRef> honest{first, other.Mine()};
    honest.push_back(other.Mine(last.value - honest.back()->header.slot.value));
    const auto taken = node.chain().ProcessHeaders({honest[0]->header, honest[1]->header, honest[2]->header},
                                                   std::max(node.now, other.now));
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->accepted, 3u);
    node.GiveAll(honest);
    EXPECT_EQ(node.chain().tip()->hash(), honest.back()->header.Hash());
    EXPECT_EQ(node.chain().headers().CountOf(first->header.staker, first->header.slot), kMaxBranchesPerSlot);
}

}  // namespace
}  // namespace sluice::chain
