#pragma once

#include "chain_test_util.h"

// Networks on which tests choose in which slots blocks lie: every staker with stake leads every slot.

namespace sluice::chain {

inline constexpr uint32_t kForkK = 4;
inline constexpr uint64_t kForkWindow = 12;  // 3k/f
inline constexpr uint64_t kForkBondSlots = 60;

// k = 4, f = 1; the stakers 0 and 1 have half of the stake each.
inline consensus::Genesis ForkGenesis() {
    consensus::Genesis genesis = TestGenesis();
    consensus::Params& params = genesis.params;
    params.active_slots_numerator = params.active_slots_denominator = 1;
    params.k = kForkK;
    params.epoch_slots = 100;
    params.nonce_cutoff_slots = 40;
    params.unbonding_slots = kForkBondSlots;
    for (auto& allocation : genesis.allocations) {
        if (ParseOutputScript(allocation.script)->kind != OutputKind::kStake) continue;
        allocation.amount.drops /= 2;
        auto other = allocation;
        other.script = StakeScript(OwnerOutputKey().XOnly(), genesis.stakers[1].id);
        genesis.allocations.push_back(other);
        break;
    }
    return genesis;
}

using Blocks = std::vector<BlockRef>;

inline std::vector<BlockHeader> HeadersOf(const Blocks& blocks) {
    std::vector<BlockHeader> headers;
    for (const BlockRef& block : blocks) headers.push_back(block->header);
    return headers;
}

// A node of the network above, which makes blocks with the keys of `staker`.
class ForkNode : public TestNode {
  public:
    explicit ForkNode(uint32_t staker = 0, ChainOptions options = {})
        : TestNode(staker + 1, std::move(options), ForkGenesis(), staker) {}

    BlockRef MakeAt(uint64_t slot) {
        const BlockRef block = ProduceAt(Slot(slot));
        GiveAll({block});
        return block;
    }
    Blocks MakeAtEach(const std::vector<uint64_t>& slots) {
        Blocks blocks;
        for (const uint64_t slot : slots) blocks.push_back(MakeAt(slot));
        return blocks;
    }
    // As sync does: headers, then the bodies that are wanted until there are none. True if all headers were taken.
    bool Sync(const Blocks& blocks) {
        for (const BlockRef& block : blocks) now = std::max(now, params().SlotTime(block->header.slot));
        const auto headers = chain().ProcessHeaders(HeadersOf(blocks), now);
        EXPECT_TRUE(headers);
        for (;;) {
            const auto wanted = chain().BlocksWanted(1000);
            size_t given = 0;
            std::vector<BlockHash> hashes;
            for (const HeaderNode* node : wanted) hashes.push_back(node->hash());
            for (const BlockRef& block : blocks) {
                if (std::find(hashes.begin(), hashes.end(), block->header.Hash()) == hashes.end()) continue;
                GiveAll({block});
                ++given;
            }
            if (given == 0) break;
        }
        return !headers->stopped;
    }
    BlockHash TipHash() { return chain().tip()->hash(); }
    // Tells the outcome of headers alone: "" if all were taken, else the code.
    std::string Refusal(const Blocks& blocks) {
        for (const BlockRef& block : blocks) now = std::max(now, params().SlotTime(block->header.slot));
        const auto headers = chain().ProcessHeaders(HeadersOf(blocks), now);
        EXPECT_TRUE(headers);
        return headers->stopped ? headers->stopped->reason.code : "";
    }
};

inline BlockHash HashOf(const BlockRef& block) { return block->header.Hash(); }

}  // namespace sluice::chain
