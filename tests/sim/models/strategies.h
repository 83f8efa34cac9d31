#pragma once

#include <deque>
#include <optional>

#include "sim/models/slot_world.h"

namespace sluice::sim::models {

// Follows the rules, as one more node.
class HonestStrategy final : public Strategy {
  public:
    void OnSlot(SlotWorld& world, bool leads) override;
};

// Makes nothing.
class SilentStrategy final : public Strategy {
  public:
    void OnSlot(SlotWorld&, bool) override {}
};

// Selfish production (Eyal and Sirer 2014), with the network on its side: keeps its branch to itself while it is ahead,
// and shows it so that every node hears it before the honest block that caught up. One honest block behind a lead of
// two shows all of it; a tie is a race that the fork choice decides.
class SelfishStrategy final : public Strategy {
  public:
    void OnSlot(SlotWorld& world, bool leads) override;

  private:
    void React(SlotWorld& world);

    std::optional<BlockIndex> m_private;
    bool m_racing{false};  // the private branch was shown and is as long as the public one
    uint32_t m_public_height{0};
};

// Builds like an honest node, but shows each block only `delay_slots` later; to `early_percent` of the nodes at once.
class LateStrategy final : public Strategy {
  public:
    LateStrategy(uint32_t delay_slots, uint32_t early_percent)
        : m_delay_slots(delay_slots), m_early_percent(early_percent) {}
    void OnSlot(SlotWorld& world, bool leads) override;

  private:
    uint32_t m_delay_slots;
    uint32_t m_early_percent;
};

}  // namespace sluice::sim::models
