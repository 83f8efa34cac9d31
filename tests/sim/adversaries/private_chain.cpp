#include "sim/adversaries/private_chain.h"

namespace sluice::sim {

PrivateChain::PrivateChain(const consensus::Genesis& genesis, uint64_t seed) : m_disk(seed) {
    auto opened = chain::ChainManager::Open(m_disk.files(), "/private", genesis);
    CHECK(opened.has_value());
    m_chain = std::move(*opened);
}

void PrivateChain::Follow(const chain::ChainManager& from, Height to) {
    for (Height height = tip()->height() + 1; height <= to; ++height) {
        const auto block = from.GetBlockAt(height);
        if (!block || !*block || (*block)->header.prev != tip()->hash()) return;
        const auto result = m_chain->ProcessBlock(*block, TimeOf((*block)->header.slot));
        CHECK(result.has_value());
        if (tip()->hash() != (*block)->header.Hash()) return;
    }
}

BlockRef PrivateChain::Extend(const std::vector<consensus::OperatorKeys>& keys, Slot slot) {
    if (slot <= tip()->state.slot) return nullptr;
    for (const consensus::OperatorKeys& each : keys) {
        const auto block = m_chain->ProduceBlock(each, slot);
        if (!block || !*block) continue;
        const auto result = m_chain->ProcessBlock(*block, TimeOf(slot));
        CHECK(result.has_value() && result->what == chain::BlockResult::What::kConnected);
        return *block;
    }
    return nullptr;
}

std::vector<BlockRef> PrivateChain::ExtendTo(const std::vector<consensus::OperatorKeys>& keys, Slot until,
                                             size_t most) {
    std::vector<BlockRef> made;
    for (Slot slot = tip()->state.slot + 1; slot <= until && made.size() < most; ++slot)
        if (BlockRef block = Extend(keys, slot)) made.push_back(std::move(block));
    return made;
}

bool PrivateChain::Accept(const TransactionRef& tx) {
    const auto accepted = m_chain->AcceptTransaction(tx, TimeOf(tip()->state.slot));
    return accepted.has_value() && accepted->has_value();
}

std::vector<BlockRef> PrivateChain::BlocksAfter(Height height) const {
    std::vector<BlockRef> blocks;
    for (Height h = height + 1; h <= tip()->height(); ++h) {
        auto block = m_chain->GetBlockAt(h);
        CHECK(block.has_value() && *block != nullptr);
        blocks.push_back(std::move(*block));
    }
    return blocks;
}

std::vector<BlockHeader> HeadersOf(const std::vector<BlockRef>& blocks) {
    std::vector<BlockHeader> headers;
    for (const BlockRef& block : blocks) headers.push_back(block->header);
    return headers;
}

BlockHeader Equivocate(const BlockHash& genesis, const BlockHeader& header, const consensus::OperatorKeys& keys,
                       RandomSource& random) {
    BlockHeader other = header;
    random.Fill(other.tx_root.bytes);
    random.Fill(other.witness_root.bytes);
    other.signature = keys.signing.Sign(other.SigningHash(genesis));
    return other;
}

consensus::OperatorKeys CopyOf(const consensus::OperatorKeys& keys) {
    return {keys.staker, keys.vrf.Clone(), keys.signing.Clone()};
}

}  // namespace sluice::sim
