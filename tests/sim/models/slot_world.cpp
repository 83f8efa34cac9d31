#include "sim/models/slot_world.h"

#include <algorithm>

namespace sluice::sim::models {
namespace {

constexpr uint64_t kStakeUnits = 1'000;  // a permille of the stake, times the number of nodes, is whole

void Load(consensus::HeaderState& state, const ModelBlock& block) {
    state.height = Height(block.height);
    state.slot = Slot(block.slot);
    for (size_t i = 0; i < 8; ++i) state.tie_break.bytes[i] = static_cast<uint8_t>(block.tie_break >> (56 - 8 * i));
}

}  // namespace

SlotWorld::SlotWorld(const WorldOptions& options)
    : m_options(options),
      m_random(options.seed),
      m_honest_limit(
          LeadLimit(options.params, kStakeUnits - options.adversary_permille, kStakeUnits * options.honest_nodes)),
      m_adversary_limit(LeadLimit(options.params, options.adversary_permille, kStakeUnits)),
      m_blocks{{0, 0, 0, false, 0}},
      m_tips(options.honest_nodes + 1, 0) {
    CHECK(options.max_delay_ms > 0 && options.max_delay_ms < kMaxDelaySlots * 1000);
}

void SlotWorld::Run(uint64_t slots, Strategy& strategy) {
    for (uint64_t i = 0; i < slots; ++i) {
        ++m_slot;
        Deliver();
        for (uint32_t node = 0; node < m_options.honest_nodes; ++node) {
            if (m_random.Next() >= m_honest_limit) continue;
            const BlockIndex made = Append(m_tips[node], false);
            Receive(node, made);
            SendAsUsual(made);
        }
        strategy.OnSlot(*this, m_random.Next() < m_adversary_limit);
    }
}

BlockIndex SlotWorld::Append(BlockIndex parent, bool adversarial) {
    CHECK(m_blocks[parent].slot < m_slot);
    const auto index = static_cast<BlockIndex>(m_blocks.size());
    m_blocks.push_back({parent, m_blocks[parent].height + 1, m_slot, adversarial, m_random.Next()});
    return index;
}

uint32_t SlotWorld::UsualDelay() {
    return m_options.delay == DelayKind::kWorst ? m_options.max_delay_ms : 1 + m_random.Below(m_options.max_delay_ms);
}

void SlotWorld::Send(BlockIndex block, uint32_t node, uint32_t delay_ms) {
    const uint64_t time_ms = uint64_t{m_slot} * 1000 + delay_ms;
    const uint64_t due_slot = std::max<uint64_t>((time_ms + 999) / 1000, m_slot + 1);
    CHECK(due_slot - m_slot <= kMaxDelaySlots);
    m_ring[due_slot % m_ring.size()].push_back({time_ms, m_order++, node, block});
    if (node < m_options.honest_nodes && Better(block, m_public_best)) m_public_best = block;
}

void SlotWorld::SendToAll(BlockIndex block, uint32_t delay_ms) {
    for (uint32_t node = 0; node <= m_options.honest_nodes; ++node) Send(block, node, delay_ms);
}

void SlotWorld::SendAsUsual(BlockIndex block) {
    for (uint32_t node = 0; node <= m_options.honest_nodes; ++node) Send(block, node, UsualDelay());
}

void SlotWorld::Deliver() {
    auto& due = m_ring[m_slot % m_ring.size()];
    std::sort(due.begin(), due.end(), [](const Delivery& a, const Delivery& b) {
        return std::pair(a.time_ms, a.order) < std::pair(b.time_ms, b.order);
    });
    for (const Delivery& delivery : due) Receive(delivery.node, delivery.block);
    due.clear();
}

void SlotWorld::Receive(uint32_t node, BlockIndex block) {
    BlockIndex& tip = m_tips[node];
    if (!Better(block, tip)) return;
    if (node < m_options.honest_nodes && m_blocks[block].parent != tip) {
        const uint32_t depth = m_blocks[tip].height - m_blocks[ForkPoint(block, tip)].height;
        if (depth > 0) ++m_reorgs[depth];
    }
    tip = block;
}

bool SlotWorld::Better(BlockIndex candidate, BlockIndex current) {
    Load(m_candidate, m_blocks[candidate]);
    Load(m_current, m_blocks[current]);
    return consensus::BetterTip(m_candidate, m_current);
}

BlockIndex SlotWorld::ForkPoint(BlockIndex a, BlockIndex b) const {
    while (a != b) {
        if (m_blocks[a].height > m_blocks[b].height)
            a = m_blocks[a].parent;
        else if (m_blocks[b].height > m_blocks[a].height)
            b = m_blocks[b].parent;
        else
            a = m_blocks[a].parent, b = m_blocks[b].parent;
    }
    return a;
}

std::vector<SlotWorld::Batch> SlotWorld::Batches(size_t count) const {
    std::vector<Batch> batches(count);
    const auto batch_of = [&](uint32_t slot) -> Batch& {
        return batches[std::min<uint64_t>(count - 1, uint64_t{slot} * count / (uint64_t{m_slot} + 1))];
    };
    for (uint32_t slot = 1; slot <= m_slot; ++slot) batch_of(slot).slots += 1;
    for (size_t i = 1; i < m_blocks.size(); ++i) {
        Batch& batch = batch_of(m_blocks[i].slot);
        (m_blocks[i].adversarial ? batch.adversarial_made : batch.honest_made) += 1;
    }
    for (BlockIndex i = m_public_best; i != 0; i = m_blocks[i].parent) {
        Batch& batch = batch_of(m_blocks[i].slot);
        (m_blocks[i].adversarial ? batch.adversarial_kept : batch.honest_kept) += 1;
        batch.height += 1;
    }
    return batches;
}

void SlotWorld::AddTo(Trace& trace) {
    trace.Add(m_slot);
    for (const Batch& batch : Batches(kBatches))
        for (const double number : {batch.slots, batch.honest_made, batch.adversarial_made, batch.honest_kept,
                                    batch.adversarial_kept, batch.height})
            trace.Add(static_cast<uint64_t>(number));
    for (const auto& [depth, times] : m_reorgs) trace.Add(depth), trace.Add(times);
    trace.Add(m_random.Next());
}

}  // namespace sluice::sim::models
