#pragma once

#include <map>
#include <optional>
#include <string>

#include "node/adjustable_clock.h"
#include "node/chain_service.h"
#include "node/slot_log.h"
#include "node/staker_keys.h"

namespace sluice::node {

struct StakingInfo {
    bool enabled{false};  // there are keys, and they belong to a staker
    std::optional<StakerId> staker;
    uint64_t blocks_produced{0};  // since the start
    std::optional<Slot> last_signed_slot;
    std::string last_error;             // why the last won slot gave no block
    std::string halted;                 // why nothing is signed until an operator says so; empty: it is
    std::optional<Slot> waiting_until;  // nothing is signed before this slot: the keys may be in use elsewhere
};

// Makes a block in each slot that the operator's keys win, and accounts for every slot won. Belongs to the chain
// strand.
//
// The slot of a header is on disk (in "staker_slot") before the header is signed, so that no crash leads to two headers
// of ours for one slot. A block is in the slot log before it leaves the node, so that a block of ours that is not in
// there was made elsewhere, with the same keys: then staking halts until the operator resumes it, as two nodes with the
// same keys lose the bond. Keys whose staker made blocks lately that are not in the log (a new machine, or a second
// one) wait for kGraceBlocks expected blocks before they sign. A node whose chain is that old when it starts knows
// nothing of such blocks: it signs once its chain has caught up, or after the same wait. Not so with regtest's public
// keys, which anyone may use.
class Staking final : public ChainListener {
  public:
    // `folder` keeps "staker_slot" and "slot_log". `clock` is the environment's: while it is mocked nothing is made by
    // itself, only when TryProduce is called.
    static Result<std::unique_ptr<Staking>> Open(const Environment& environment, const AdjustableClock& clock,
                                                 ChainService& chain, StakerKeys keys, const std::string& folder);

    // Starts to follow the slots of the clock; ends when `*alive` is false.
    void Start(Alive alive);
    // A block in `slot` if the keys lead it and no header was signed for it before: its hash.
    Result<std::optional<BlockHash>> TryProduce(Slot slot);
    // regtest: the first won slot from `from` on; kUnavailable if there is none within kMaxSearchSlots.
    Result<Slot> NextWonSlot(Slot from) const;
    static constexpr uint64_t kMaxSearchSlots = 10'000;

    StakingInfo Info() const;
    StakerKeys& keys() { return m_keys; }
    const SlotLog& log() const { return *m_log; }
    // Something signed with our keys that we did not sign: signs nothing any more.
    void Halt(const std::string& why);
    // The operator says that no other node has the keys.
    Status Resume();
    static constexpr uint64_t kGraceBlocks = 100;
    // How many slots that were passed over are looked at in one go: each costs a VRF proof.
    static constexpr uint64_t kMaxAccountedAtOnce = 20;

    void OnTipChanged(const chain::TipChange& change) override;
    void OnTransactionAccepted(const TransactionRef&) override {}
    void OnTransactionRemoved(const chain::RemovedTransaction&) override {}

  private:
    Staking(const Environment& environment, const AdjustableClock& clock, ChainService& chain, StakerKeys keys,
            std::string folder)
        : m_environment(environment),
          m_clock(clock),
          m_chain(chain),
          m_keys(std::move(keys)),
          m_folder(std::move(folder)) {}
    std::string SlotFile() const { return m_folder + "/staker_slot"; }
    bool Enabled() const { return !m_keys.Producing().empty(); }
    void Follow(Alive alive);
    void OnSlot(Slot slot, UnixMillis now);
    void TrySlot(Slot slot);
    // Why slots were passed over.
    void NoteClock(Slot slot, UnixMillis now);
    void Excuse(Slot first, Slot last, SlotOutcome outcome, std::string detail);
    // Accounts for slots that are over and were not tried.
    void Account(Slot before);
    void Record(Slot slot, SlotOutcome outcome, std::optional<BlockHash> block, std::string detail);
    uint64_t GraceSlots() const;
    // At the start: by what the chain holds already. What sync brings later is looked at in OnTipChanged.
    void LookForOthers();
    void WaitForOthers(Slot slot, const BlockHash& block);
    bool IsForeign(Slot slot, const BlockHash& hash) const;
    void PromoteKeys();
    // Finds out whose the keys are, once the chain knows: they may have been registered from another machine.
    void AdoptStaker();

    const Environment& m_environment;
    const AdjustableClock& m_clock;
    ChainService& m_chain;
    StakerKeys m_keys;
    std::string m_folder;
    std::unique_ptr<SlotLog> m_log;
    std::optional<Slot> m_last_signed;
    std::optional<Slot> m_last_tried;
    std::optional<Slot> m_started;  // the slot in which this run began
    std::optional<Slot> m_waiting_until;
    std::optional<Slot> m_blind_until;  // unless the chain catches up before
    UnixMillis m_last_now{};
    Instant m_last_instant{};
    struct Reason {
        Slot last;
        SlotOutcome outcome;
        std::string detail;
    };
    std::map<Slot, Reason> m_excuses;  // by the first slot
    static constexpr size_t kMaxExcuses = 1'000;
    uint64_t m_blocks{0};
    std::string m_last_error;
};

}  // namespace sluice::node
