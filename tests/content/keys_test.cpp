#include "content/keys.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::content {
namespace {

MasterKey Master(uint8_t fill) {
    std::array<uint8_t, 32> bytes;
    bytes.fill(fill);
    return MasterKey(bytes);
}
const BlockHash kGenesis(std::array<uint8_t, 32>{1});
const Salt kSalt(std::array<uint8_t, 32>{2});

TEST(Keys, EveryKeyOfOneTitleDiffers) {
    const auto title = DeriveTitleKey(Master(7), kGenesis, kSalt);
    const auto segment = DeriveSegmentKey(title, 0);
    std::set<std::string> keys;
    keys.insert(HexEncode(title.bytes()));
    keys.insert(HexEncode(DeriveSellerKey(Master(7), kGenesis, kSalt).bytes()));
    keys.insert(HexEncode(DeriveUnsealKey(Master(7), kGenesis, kSalt).span()));
    keys.insert(HexEncode(segment.bytes()));
    keys.insert(HexEncode(DeriveSegmentKey(title, 1).bytes()));
    keys.insert(HexEncode(DeriveChunkKey(segment, kSalt).span()));
    keys.insert(HexEncode(DeriveChunkKey(title, kSalt).span()));
    keys.insert(HexEncode(DeriveManifestKey(title, kSalt).span()));
    keys.insert(HexEncode(DeriveManifestSlotKey(segment, kSalt).span()));
    EXPECT_EQ(keys.size(), 9u);
}

TEST(Keys, TitleKeyDependsOnMasterNetworkAndSalt) {
    const auto title = HexEncode(DeriveTitleKey(Master(7), kGenesis, kSalt).bytes());
    EXPECT_EQ(title, HexEncode(DeriveTitleKey(Master(7), kGenesis, kSalt).bytes()));
    EXPECT_NE(title, HexEncode(DeriveTitleKey(Master(8), kGenesis, kSalt).bytes()));
    EXPECT_NE(title, HexEncode(DeriveTitleKey(Master(7), BlockHash(), kSalt).bytes()));
    EXPECT_NE(title, HexEncode(DeriveTitleKey(Master(7), kGenesis, Salt()).bytes()));
}

TEST(Keys, ChunkKeyDependsOnTheSealingSalt) {
    const auto title = DeriveTitleKey(Master(7), kGenesis, kSalt);
    EXPECT_NE(HexEncode(DeriveChunkKey(title, kSalt).span()), HexEncode(DeriveChunkKey(title, Salt()).span()));
    EXPECT_NE(HexEncode(DeriveManifestKey(title, kSalt).span()), HexEncode(DeriveManifestKey(title, Salt()).span()));
}

TEST(Keys, TitleKeyGivesEverySegmentAndASegmentKeyOnlyItself) {
    const auto title = DeriveTitleKey(Master(7), kGenesis, kSalt);
    const auto all = ContentKeys::FromTitleKey(title.Clone());
    const auto one = ContentKeys::FromSegmentKey(3, DeriveSegmentKey(title, 3));
    EXPECT_EQ(HexEncode(all.SegmentKey(3)->bytes()), HexEncode(one.SegmentKey(3)->bytes()));
    EXPECT_TRUE(all.SegmentKey(2));
    EXPECT_FALSE(one.SegmentKey(2));
    EXPECT_FALSE(one.title_key());
    EXPECT_TRUE(one.Clone().SegmentKey(3));
}

}  // namespace
}  // namespace sluice::content
