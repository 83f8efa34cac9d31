#pragma once

#include <map>
#include <optional>
#include <string>

#include "node/chain_service.h"

namespace sluice::node {

struct StakingInfo {
    bool enabled{false};
    StakerId staker;
    uint64_t blocks_produced{0};
    std::optional<Slot> last_signed_slot;
    std::string last_error;  // why the last won slot gave no block
};

// Makes a block in each slot that the operator's keys win. Belongs to the chain strand.
//
// The slot of a header is on disk (in `slot_file`) before the header is signed, so that no crash leads to two headers
// of ours for one slot.
class Staking {
  public:
    // Without keys it does nothing. `slot_file` is read and written with `environment.files`.
    static Result<std::unique_ptr<Staking>> Open(const Environment& environment, ChainService& chain,
                                                 std::optional<consensus::OperatorKeys> keys, std::string slot_file);

    // Starts to follow the slots of the clock; ends when `*alive` is false.
    void Start(Alive alive);
    // A block in `slot` if the keys lead it and no header was signed for it before: its hash.
    Result<std::optional<BlockHash>> TryProduce(Slot slot);
    // regtest: the first won slot from `from` on; kUnavailable if there is none within kMaxSearchSlots.
    Result<Slot> NextWonSlot(Slot from) const;
    static constexpr uint64_t kMaxSearchSlots = 10'000;

    StakingInfo Info() const;

  private:
    Staking(const Environment& environment, ChainService& chain, std::optional<consensus::OperatorKeys> keys,
            std::string slot_file)
        : m_environment(environment), m_chain(chain), m_keys(std::move(keys)), m_slot_file(std::move(slot_file)) {}
    void OnSlot(Alive alive);

    const Environment& m_environment;
    ChainService& m_chain;
    std::optional<consensus::OperatorKeys> m_keys;
    std::string m_slot_file;
    std::optional<Slot> m_last_signed;
    std::optional<Slot> m_last_tried;
    uint64_t m_blocks{0};
    std::string m_last_error;
};

}  // namespace sluice::node
