#pragma once

#include <array>
#include <map>
#include <vector>

#include "consensus/header_rules.h"
#include "sim/models/fast_random.h"
#include "sim/models/statistics.h"

namespace sluice::sim::models {

using BlockIndex = uint32_t;  // in SlotWorld's blocks; 0 is genesis

struct ModelBlock {
    BlockIndex parent;
    uint32_t height;
    uint32_t slot;
    bool adversarial;
    uint64_t tie_break;  // upper 64 bits of H("T" || β)
};

enum class DelayKind {
    kUniform,  // of each block to each node: even in (0, max]
    kWorst,    // always the maximum
};

struct WorldOptions {
    consensus::Params params;
    uint32_t adversary_permille{0};  // of the stake, in one hand (its chance is that of the sum, however it is split)
    uint32_t honest_nodes{20};       // that share the rest evenly
    uint32_t max_delay_ms{2000};
    DelayKind delay{DelayKind::kUniform};
    uint64_t seed{1};
};

class SlotWorld;

// What the holder of the adversarial stake does in each slot. It sees every honest block of the slot at once.
class Strategy {
  public:
    virtual ~Strategy() = default;
    virtual void OnSlot(SlotWorld& world, bool leads) = 0;
};

// Honest nodes that build on the best tip they know, on slots of virtual time, with a delay for each block and node.
// Node `honest_nodes` is the adversary's own, which hears like the others.
class SlotWorld {
  public:
    explicit SlotWorld(const WorldOptions& options);
    void Run(uint64_t slots, Strategy& strategy);

    // For strategies:
    uint32_t slot() const { return m_slot; }
    const ModelBlock& block(BlockIndex index) const { return m_blocks[index]; }
    BlockIndex public_best() const { return m_public_best; }     // that any honest node knows
    BlockIndex adversary_view() const { return m_tips.back(); }  // what its own node would build on
    uint32_t nodes() const { return m_options.honest_nodes; }
    FastRandom& random() { return m_random; }
    // The block that an adversary's win of this slot gives on `parent`, told to nobody. Precondition: an older slot.
    BlockIndex Make(BlockIndex parent) { return Append(parent, true); }
    // To one node after `delay_ms`; 0 comes before all that is underway. At most kMaxDelaySlots.
    void Send(BlockIndex block, uint32_t node, uint32_t delay_ms);
    void SendToAll(BlockIndex block, uint32_t delay_ms);
    void SendAsUsual(BlockIndex block);  // with the network's delays

    // Whether nodes with tip `current` would move to `candidate`: consensus::BetterTip.
    bool Better(BlockIndex candidate, BlockIndex current);
    BlockIndex ForkPoint(BlockIndex a, BlockIndex b) const;

    // Afterwards:
    struct Batch {
        double slots{0};
        double honest_made{0}, adversarial_made{0};
        double honest_kept{0}, adversarial_kept{0};  // in the best chain at the end
        double height{0};
    };
    std::vector<Batch> Batches(size_t count) const;
    // How often a node left its branch, by the blocks that it gave up.
    const std::map<uint32_t, uint64_t>& reorgs() const { return m_reorgs; }
    uint64_t blocks_made() const { return m_blocks.size() - 1; }
    void AddTo(Trace& trace);

    static constexpr uint32_t kMaxDelaySlots = 255;

  private:
    struct Delivery {
        uint64_t time_ms;
        uint64_t order;
        uint32_t node;
        BlockIndex block;
    };
    BlockIndex Append(BlockIndex parent, bool adversarial);
    void Deliver();
    void Receive(uint32_t node, BlockIndex block);
    uint32_t UsualDelay();

    WorldOptions m_options;
    FastRandom m_random;
    uint64_t m_honest_limit;
    uint64_t m_adversary_limit;
    uint32_t m_slot{0};
    std::vector<ModelBlock> m_blocks;
    std::vector<BlockIndex> m_tips;
    BlockIndex m_public_best{0};
    std::array<std::vector<Delivery>, kMaxDelaySlots + 1> m_ring;
    uint64_t m_order{0};
    std::map<uint32_t, uint64_t> m_reorgs;
    consensus::HeaderState m_candidate, m_current;  // scratch of Better
};

}  // namespace sluice::sim::models
