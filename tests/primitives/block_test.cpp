#include "primitives/block.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TransactionRef SampleTransaction(uint32_t n, bool with_witness = false) {
    MutableTransaction tx;
    tx.inputs.resize(1);
    tx.inputs[0].prevout.index = n;
    if (with_witness) tx.inputs[0].witness = {{1}};
    tx.outputs = {{Amount(n), {0x51}}};
    return MakeTransaction(tx);
}

Hash256 Leaf(uint8_t n) { return crypto::Sha256Of(Bytes{n}); }

TEST(BlockHeader, Is296BytesInTheOrderOfItsFields) {
    BlockHeader header;
    header.slot = Slot(0x0102030405060708);
    header.height = Height(0x11121314);
    const Bytes bytes = Encode(header);
    ASSERT_EQ(bytes.size(), 296u);
    ASSERT_EQ(kBlockHeaderBytes, 296u);
    EXPECT_EQ(HexEncode(ByteSpan(bytes).subspan(100, 12)), "080706050403020114131211");
    EXPECT_EQ(Decode<BlockHeader>(bytes).value(), header);
}

TEST(BlockHeader, SigningHashCoversTheNetworkAndEverythingButTheSignature) {
    BlockHeader header;
    const BlockHash genesis, other_genesis = *BlockHash::FromHex(std::string(64, '1'));
    BlockHeader other_signature = header;
    other_signature.signature.bytes[0] = 1;
    EXPECT_EQ(other_signature.SigningHash(genesis), header.SigningHash(genesis));
    EXPECT_NE(other_signature.Hash(), header.Hash());
    EXPECT_NE(header.SigningHash(genesis), header.SigningHash(other_genesis));
    const size_t unsigned_bytes = kBlockHeaderBytes - SchnorrSignature::kSize;
    for (size_t i = 0; i < unsigned_bytes; ++i) {
        Bytes bytes = Encode(header);
        bytes[i] ^= 1;
        const auto changed = Decode<BlockHeader>(bytes).value();
        EXPECT_NE(changed.SigningHash(genesis), header.SigningHash(genesis)) << i;
        EXPECT_NE(changed.Hash(), header.Hash()) << i;
    }
}

TEST(Block, RoundTripsAndWeighsItsHeaderFourfold) {
    Block block;
    block.transactions = {SampleTransaction(1), SampleTransaction(2, true)};
    const Bytes bytes = block.ToBytes();
    const auto decoded = Block::FromBytes(bytes);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->header, block.header);
    ASSERT_EQ(decoded->transactions.size(), 2u);
    EXPECT_EQ(decoded->transactions[1]->wtxid(), block.transactions[1]->wtxid());
    EXPECT_EQ(decoded->ToBytes(), bytes);
    Block without_witness = block;
    without_witness.transactions[1] = SampleTransaction(2);
    EXPECT_EQ(without_witness.weight() % 4, 0u);
    EXPECT_EQ(block.weight() - without_witness.weight(), 2u + 1 + 2);  // marker and flag, count, one item of one byte
}

TEST(Block, CutOrLongerIsRefused) {
    Block block;
    block.transactions = {SampleTransaction(1)};
    const Bytes bytes = block.ToBytes();
    EXPECT_TRUE(Block::FromBytes(bytes));
    EXPECT_FALSE(Block::FromBytes(ByteSpan(bytes).first(bytes.size() - 1)));
    Bytes longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(Block::FromBytes(longer));
}

TEST(MerkleRoot, OfNoneIsZeroAndOfOneIsItself) {
    EXPECT_TRUE(MerkleRoot({}).IsZero());
    EXPECT_EQ(MerkleRoot({Leaf(1)}), Leaf(1));
}

TEST(MerkleRoot, CarriesAnOddNodeUpUnpaired) {
    const auto node = [](const Hash256& left, const Hash256& right) {
        Bytes both(left.begin(), left.end());
        both.insert(both.end(), right.begin(), right.end());
        return crypto::TaggedHash("Sluice/merkle", both);
    };
    EXPECT_EQ(MerkleRoot({Leaf(1), Leaf(2)}), node(Leaf(1), Leaf(2)));
    EXPECT_EQ(MerkleRoot({Leaf(1), Leaf(2), Leaf(3)}), node(node(Leaf(1), Leaf(2)), Leaf(3)));
    EXPECT_EQ(MerkleRoot({Leaf(1), Leaf(2), Leaf(3), Leaf(4), Leaf(5)}),
              node(node(node(Leaf(1), Leaf(2)), node(Leaf(3), Leaf(4))), Leaf(5)));
}

TEST(MerkleRoot, NoListSharesItsRootWithOneThatRepeatsItsEnd) {
    EXPECT_NE(MerkleRoot({Leaf(1), Leaf(2), Leaf(3)}), MerkleRoot({Leaf(1), Leaf(2), Leaf(3), Leaf(3)}));
    EXPECT_NE(MerkleRoot({Leaf(1)}), MerkleRoot({Leaf(1), Leaf(1)}));
}

TEST(MerkleRoot, OfTransactionsIsOverTxidsAndOfWitnessesOverWtxids) {
    const std::vector<TransactionRef> transactions{SampleTransaction(1), SampleTransaction(2, true)};
    EXPECT_EQ(TxMerkleRoot(transactions),
              MerkleRoot({CastHash<Hash256>(transactions[0]->txid()), CastHash<Hash256>(transactions[1]->txid())}));
    EXPECT_EQ(WitnessMerkleRoot(transactions),
              MerkleRoot({CastHash<Hash256>(transactions[0]->wtxid()), CastHash<Hash256>(transactions[1]->wtxid())}));
    EXPECT_NE(TxMerkleRoot(transactions), WitnessMerkleRoot(transactions));
}

}  // namespace
}  // namespace sluice
