#include "primitives/block.h"

namespace sluice {
namespace {

crypto::Sha256 Tagged(const crypto::Sha256& prefix, ByteSpan a, ByteSpan b) {
    crypto::Sha256 hasher = prefix;
    hasher.Write(a).Write(b);
    return hasher;
}

}  // namespace

BlockHash BlockHeader::Hash() const {
    static const crypto::Sha256 kTag = crypto::TaggedHasher("Sluice/block");
    return CastHash<BlockHash>(Tagged(kTag, Encode(*this), {}).Finish());
}

Hash256 BlockHeader::SigningHash(const BlockHash& genesis) const {
    static const crypto::Sha256 kTag = crypto::TaggedHasher("Sluice/header");
    Writer writer;
    SerializeUnsigned(*this, writer);
    return Tagged(kTag, genesis.bytes, writer.bytes()).Finish();
}

Bytes Block::ToBytes() const {
    Writer writer;
    writer(header);
    writer.CompactSize(transactions.size());
    for (const TransactionRef& tx : transactions) writer(tx->tx());
    return writer.Take();
}

Result<Block> Block::FromBytes(ByteSpan bytes) {
    if (bytes.size() > kBlockHeaderBytes + kMaxBlockBytes)
        return Fail("the block has " + std::to_string(bytes.size()) + " bytes, the limit is " +
                    std::to_string(kBlockHeaderBytes + kMaxBlockBytes));
    Reader reader(bytes);
    Block block;
    reader(block.header);
    const uint64_t count = reader.CompactSize();
    if (count > kMaxBlockTransactions)
        return Fail("the block has " + std::to_string(count) + " transactions, the limit is " +
                    std::to_string(kMaxBlockTransactions));
    for (uint64_t i = 0; i < count && reader.Ok(); ++i) {
        MutableTransaction tx;
        reader(tx);
        if (reader.Ok()) block.transactions.push_back(MakeTransaction(std::move(tx)));
    }
    if (!reader.Ok()) return Fail("the block does not decode: " + reader.error());
    if (reader.Left() != 0) return Fail("bytes follow the end of the block");
    return block;
}

size_t Block::weight() const {
    size_t total = kBlockHeaderBytes * kWitnessScaleFactor;
    for (const TransactionRef& tx : transactions) total += tx->weight();
    return total;
}

Hash256 MerkleRoot(std::vector<Hash256> leaves) {
    static const crypto::Sha256 kTag = crypto::TaggedHasher("Sluice/merkle");
    if (leaves.empty()) return {};
    while (leaves.size() > 1) {
        size_t out = 0;
        for (size_t i = 0; i < leaves.size(); i += 2, ++out)
            leaves[out] =
                i + 1 < leaves.size() ? Tagged(kTag, leaves[i].bytes, leaves[i + 1].bytes).Finish() : leaves[i];
        leaves.resize(out);
    }
    return leaves[0];
}

Hash256 TxMerkleRoot(const std::vector<TransactionRef>& transactions) {
    std::vector<Hash256> leaves;
    for (const TransactionRef& tx : transactions) leaves.push_back(CastHash<Hash256>(tx->txid()));
    return MerkleRoot(std::move(leaves));
}

Hash256 WitnessMerkleRoot(const std::vector<TransactionRef>& transactions) {
    std::vector<Hash256> leaves;
    for (const TransactionRef& tx : transactions) leaves.push_back(CastHash<Hash256>(tx->wtxid()));
    return MerkleRoot(std::move(leaves));
}

}  // namespace sluice
