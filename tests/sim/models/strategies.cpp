#include "sim/models/strategies.h"

namespace sluice::sim::models {
namespace {

// The tip, or its last ancestor of an earlier slot: what can be built on in this slot.
BlockIndex Base(const SlotWorld& world, BlockIndex tip) {
    while (world.block(tip).slot >= world.slot()) tip = world.block(tip).parent;
    return tip;
}

}  // namespace

void HonestStrategy::OnSlot(SlotWorld& world, bool leads) {
    if (leads) world.SendAsUsual(world.Make(Base(world, world.adversary_view())));
}

void SelfishStrategy::OnSlot(SlotWorld& world, bool leads) {
    if (leads) {
        const BlockIndex base = Base(world, world.public_best());
        const bool own = m_private && world.block(*m_private).height >= world.block(base).height;
        m_private = world.Make(own ? *m_private : base);
        if (own && m_racing) world.SendToAll(*m_private, 0);  // wins the race
        m_racing = false;
    }
    React(world);
    m_public_height = world.block(world.public_best()).height;
}

void SelfishStrategy::React(SlotWorld& world) {
    if (!m_private) return;
    const uint32_t mine = world.block(*m_private).height;
    const uint32_t theirs = world.block(world.public_best()).height;
    if (mine < theirs) {
        m_private.reset();
        m_racing = false;
        return;
    }
    if (theirs == m_public_height || world.public_best() == *m_private) return;
    if (mine <= theirs + 1) {
        m_racing = mine == theirs;
        world.SendToAll(*m_private, 0);
    }
}

void LateStrategy::OnSlot(SlotWorld& world, bool leads) {
    if (!leads) return;
    const BlockIndex made = world.Make(Base(world, world.adversary_view()));
    const uint32_t early = (world.nodes() * m_early_percent + 50) / 100;
    for (uint32_t node = 0; node <= world.nodes(); ++node)
        world.Send(made, node, node < early || node == world.nodes() ? 1 : m_delay_slots * 1000);
}

}  // namespace sluice::sim::models
