#include "node/staking.h"

#include <fmt/format.h>

#include "util/log.h"

namespace sluice::node {

Result<std::unique_ptr<Staking>> Staking::Open(const Environment& environment, const AdjustableClock& clock,
                                               ChainService& chain, StakerKeys keys, const std::string& folder) {
    std::unique_ptr<Staking> staking(new Staking(environment, clock, chain, std::move(keys), folder));
    if (environment.files.Exists(staking->SlotFile())) {
        ASSIGN_OR_RETURN(const Bytes bytes, storage::ReadWholeFile(environment.files, staking->SlotFile(), 8));
        ASSIGN_OR_RETURN(staking->m_last_signed, Decode<Slot>(bytes));
    }
    ASSIGN_OR_RETURN(staking->m_log, SlotLog::Open(environment.files, folder + "/slot_log"));
    return staking;
}

void Staking::Start(Alive alive) {
    m_last_now = m_environment.clock.Now();
    m_last_instant = m_environment.clock.Monotonic();
    m_started = m_chain.params().SlotAt(m_last_now).value_or(Slot(0));
    AdoptStaker();
    LookForOthers();
    if (!m_log->halted().empty())
        LogError("staking", "halted: {}. Make sure that no other node has these keys, then 'sluice-cli staker resume'",
                 m_log->halted());
    Follow(std::move(alive));
}

void Staking::Follow(Alive alive) {
    if (!*alive) return;
    const consensus::Params& params = m_chain.params();
    const UnixMillis now = m_environment.clock.Now();
    const auto slot = params.SlotAt(now);
    if (slot && Enabled()) {
        if (!m_log->accounted()) {
            const Status first = m_log->SetAccounted(slot->value == 0 ? *slot : *slot - 1);
            if (!first) m_last_error = first.error().message;
        }
        if (!m_clock.IsMocked()) OnSlot(*slot, now);
    }
    m_last_now = now;
    m_last_instant = m_environment.clock.Monotonic();
    const UnixMillis next = slot ? params.SlotTime(*slot + 1) : params.genesis_time;
    const milliseconds wait = std::clamp<milliseconds>(next - now, milliseconds(1), params.slot_duration);
    m_environment.chain_strand.PostAfter(wait,
                                         [this, alive = std::move(alive)]() mutable { Follow(std::move(alive)); });
}

void Staking::OnSlot(Slot slot, UnixMillis now) {
    if (slot != m_last_tried) {
        NoteClock(slot, now);
        TrySlot(slot);
        m_last_tried = slot;
    }
    if (!m_chain.Syncing()) Account(slot);
}

void Staking::TrySlot(Slot slot) {
    if (!m_log->halted().empty()) return Excuse(slot, slot, SlotOutcome::kHalted, m_log->halted());
    if (m_waiting_until && slot < *m_waiting_until)
        return Excuse(slot, slot, SlotOutcome::kHalted, "waiting, as the keys were in use elsewhere lately");
    m_waiting_until.reset();
    if (m_blind_until && slot < *m_blind_until)
        return Excuse(slot, slot, SlotOutcome::kNotConnected, "the chain was too old to tell who else has the keys");
    m_blind_until.reset();
    if (m_chain.Syncing()) return Excuse(slot, slot, SlotOutcome::kNotConnected, "the chain was behind");
    if (slot <= m_chain.chain().tip()->state.slot)
        return Excuse(slot, slot, SlotOutcome::kLostBattle, "a block of that slot or a later one was the tip already");
    if (m_last_signed && slot <= *m_last_signed)
        return Excuse(slot, slot, SlotOutcome::kClock,
                      "slot " + ToString(*m_last_signed) + " was signed already: the clock was ahead then");
    const auto produced = TryProduce(slot);
    if (!produced) LogWarning("staking", "slot {}: {}", slot.value, produced.error().message);
}

void Staking::NoteClock(Slot slot, UnixMillis now) {
    if (!m_last_tried || slot <= *m_last_tried + 1) return;
    const auto wall = now - m_last_now;
    const auto passed = std::chrono::duration_cast<milliseconds>(m_environment.clock.Monotonic() - m_last_instant);
    if (wall > passed + m_chain.params().slot_duration) {
        Excuse(*m_last_tried + 1, slot - 1, SlotOutcome::kClock,
               fmt::format("the clock jumped forward by {} ms", (wall - passed).count()));
    } else {
        Excuse(*m_last_tried + 1, slot - 1, SlotOutcome::kLate,
               fmt::format("the node was busy or stopped for {} ms", passed.count()));
    }
}

void Staking::Excuse(Slot first, Slot last, SlotOutcome outcome, std::string detail) {
    if (!m_excuses.empty()) {
        auto& [begin, reason] = *m_excuses.rbegin();
        if (reason.outcome == outcome && reason.detail == detail && reason.last + 1 == first) {
            reason.last = last;
            return;
        }
    }
    if (m_excuses.size() >= kMaxExcuses) m_excuses.erase(m_excuses.begin());
    m_excuses.insert_or_assign(first, Reason{last, outcome, std::move(detail)});
}

void Staking::Account(Slot before) {
    const auto accounted = m_log->accounted();
    if (!accounted) return;
    Slot slot = *accounted + 1;
    // After a long time without this node only the last epoch is looked at.
    if (before - slot > static_cast<int64_t>(m_chain.params().epoch_slots))
        slot = before - m_chain.params().epoch_slots;
    for (uint64_t n = 0; slot < before && n < kMaxAccountedAtOnce; ++slot, ++n) {
        if (m_log->Find(slot)) continue;
        bool won = false;
        for (const consensus::OperatorKeys& keys : m_keys.Producing()) {
            const auto led = m_chain.chain().Led(keys, slot);
            if (!led) return;  // the disk failed, and the chain stops the node
            won = won || *led;
        }
        if (!won) continue;
        auto reason = m_excuses.upper_bound(slot);
        if (reason != m_excuses.begin() && std::prev(reason)->second.last >= slot) {
            --reason;
            Record(slot, reason->second.outcome, std::nullopt, reason->second.detail);
        } else if (m_started && slot < *m_started) {
            Record(slot, SlotOutcome::kDown, std::nullopt, "the node was not running");
        } else {
            Record(slot, SlotOutcome::kLate, std::nullopt, "the slot was passed over");
        }
    }
    if (slot.value == 0) return;
    if (const Status saved = m_log->SetAccounted(slot - 1); !saved) m_last_error = saved.error().message;
    while (!m_excuses.empty() && m_excuses.begin()->second.last < slot) m_excuses.erase(m_excuses.begin());
}

void Staking::Record(Slot slot, SlotOutcome outcome, std::optional<BlockHash> block, std::string detail) {
    if (outcome != SlotOutcome::kProduced) {
        m_last_error = fmt::format("slot {}: {}: {}", slot.value, SlotOutcomeName(outcome), detail);
        LogWarning("staking", "won slot {} gave no block: {}: {}", slot.value, SlotOutcomeName(outcome), detail);
    }
    if (const Status put = m_log->Put({slot, outcome, block, std::move(detail)}); !put)
        LogError("staking", "the slot log: {}", put.error().message);
}

Result<std::optional<BlockHash>> Staking::TryProduce(Slot slot) {
    if (!Enabled()) return Fail("this node does not stake: start it with -staker or with registered -stakerkeys");
    if (!m_log->halted().empty())
        return Fail("staking is halted: " + m_log->halted() + ": 'sluice-cli staker resume' ends that");
    if (m_last_signed && slot <= *m_last_signed)
        return Fail("slot " + ToString(slot) + " is not after slot " + ToString(*m_last_signed) +
                    ", for which a header was signed already");
    for (const consensus::OperatorKeys& keys : m_keys.Producing()) {
        // Leading is known before the slot is spent; signing happens in the same call, so the slot is written down
        // first.
        ASSIGN_OR_RETURN(const auto won, m_chain.chain().NextWonSlot(keys, slot, 1));
        if (!won) continue;
        const auto disk = [&](const Error& error) {
            Record(slot, SlotOutcome::kDisk, std::nullopt, error.message);
            return Fail(error);
        };
        if (const Status noted = storage::WriteFileAtomically(m_environment.files, SlotFile(), Encode(slot)); !noted)
            return disk(noted.error());
        m_last_signed = slot;
        auto block = m_chain.chain().ProduceBlock(keys, slot);
        if (!block) return disk(block.error());
        CHECK(*block != nullptr);
        const BlockHash hash = (*block)->header.Hash();
        // A block of ours leaves the node only once it is in the log.
        if (const Status logged = m_log->Put({slot, SlotOutcome::kProduced, hash, {}}); !logged)
            return disk(logged.error());
        ASSIGN_OR_RETURN(const chain::BlockResult result, m_chain.SubmitBlock(*block));
        if (result.what == chain::BlockResult::What::kNotTaken) {
            const std::string why = result.invalid  ? result.invalid->ToString()
                                    : result.header ? result.header->reason.ToString()
                                                    : "not taken";
            Record(slot, SlotOutcome::kLostBattle, hash, "our own block was refused: " + why);
            return Fail("our own block was refused: " + why);
        }
        if (result.what != chain::BlockResult::What::kConnected)
            Record(slot, SlotOutcome::kLostBattle, hash, "another block was better");
        ++m_blocks;
        return std::optional(hash);
    }
    return std::optional<BlockHash>{};
}

Result<Slot> Staking::NextWonSlot(Slot from) const {
    if (!Enabled()) return Fail("this node does not stake: start it with -staker or with registered -stakerkeys");
    const Slot first = m_last_signed ? std::max(from, *m_last_signed + 1) : from;
    std::optional<Slot> best;
    for (const consensus::OperatorKeys& keys : m_keys.Producing()) {
        ASSIGN_OR_RETURN(const auto won,
                         m_chain.chain().NextWonSlot(keys, first, best ? best->value - first.value : kMaxSearchSlots));
        if (won) best = won;
    }
    if (!best)
        return Fail(ErrorKind::kUnavailable, "these keys lead none of the next " + std::to_string(kMaxSearchSlots) +
                                                 " slots: they have no stake");
    return *best;
}

bool Staking::IsForeign(Slot slot, const BlockHash& hash) const {
    // What is older than the log is nothing that it could know.
    if (!m_log->first() || slot <= *m_log->first()) return false;
    const auto kept = m_log->Newest(SlotLog::kMaxSlots);
    if (kept.size() == SlotLog::kMaxSlots && slot < kept.front().slot) return false;
    const WonSlot* won = m_log->Find(slot);
    return !won || won->block != hash;
}

uint64_t Staking::GraceSlots() const {
    const consensus::Params& params = m_chain.params();
    return kGraceBlocks * params.active_slots_denominator / std::max<uint32_t>(params.active_slots_numerator, 1);
}

void Staking::LookForOthers() {
    if (!m_keys.InFile() || !m_keys.staker()) return;
    const chain::HeaderNode* tip = m_chain.chain().tip();
    if (tip->state.slot + GraceSlots() < *m_started) {
        m_blind_until = *m_started + GraceSlots();
        LogInfo(
            "staking",
            "the chain is old: whether staker {} made blocks elsewhere lately is not known. Nothing is signed before "
            "it has caught up, or slot {}",
            m_keys.staker()->Hex(), m_blind_until->value);
    }
    for (uint64_t n = 0; n < kGraceBlocks && tip->height().value > n; ++n) {
        const chain::HeaderNode* node = m_chain.chain().At(tip->height() - static_cast<uint32_t>(n));
        if (node == nullptr || node->state.slot + GraceSlots() < *m_started) break;
        const auto header = m_chain.chain().headers().ReadHeader(node->hash());
        if (!header || header->staker != *m_keys.staker()) continue;
        const WonSlot* won = m_log->Find(header->slot);
        if (won && won->block == node->hash()) continue;
        return WaitForOthers(header->slot, node->hash());
    }
}

void Staking::WaitForOthers(Slot slot, const BlockHash& block) {
    if (!m_started || slot + GraceSlots() < *m_started) return;
    const Slot until = std::max(slot, *m_started) + GraceSlots();
    if (m_waiting_until && *m_waiting_until >= until) return;
    m_waiting_until = until;
    LogWarning(
        "staking",
        "staker {} made block {} in slot {}, which is not in this node's log: if another node runs with the same "
        "keys, stop one of them NOW, or the bond is lost. Nothing is signed before slot {}",
        m_keys.staker()->Hex(), block.Hex(), slot.value, until.value);
}

void Staking::OnTipChanged(const chain::TipChange& change) {
    AdoptStaker();
    PromoteKeys();
    if (!m_keys.staker()) return;
    for (const chain::ConnectedBlock& left : change.disconnected) {
        const WonSlot* won = m_log->Find(left.state.slot);
        if (won && won->block == left.state.hash)
            Record(left.state.slot, SlotOutcome::kLostBattle, left.state.hash, "another branch won");
    }
    for (const chain::ConnectedBlock& joined : change.connected) {
        if (joined.block->header.staker != *m_keys.staker()) continue;
        const WonSlot* won = m_log->Find(joined.state.slot);
        if (won && won->block == joined.state.hash) {
            if (won->outcome != SlotOutcome::kProduced)
                Record(joined.state.slot, SlotOutcome::kProduced, joined.state.hash, {});
        } else if (!m_keys.InFile()) {
            continue;
        } else if (IsForeign(joined.state.slot, joined.state.hash)) {
            Halt(fmt::format("block {} of slot {} is signed with this node's keys, and this node did not make it",
                             joined.state.hash.Hex(), joined.state.slot.value));
        } else {
            // A new folder learns while it syncs what was made elsewhere before it started.
            WaitForOthers(joined.state.slot, joined.state.hash);
        }
    }
    const Slot tip = m_chain.chain().tip()->state.slot;
    const auto now = m_chain.params().SlotAt(m_environment.clock.Now());
    if (m_blind_until && now && tip + GraceSlots() / 10 >= *now) m_blind_until.reset();
}

void Staking::Halt(const std::string& why) {
    if (!m_keys.InFile() || !m_log->halted().empty()) return;
    LogError(
        "staking",
        "STOPPED: {}. Another node runs with the same keys: stop it, as two headers for one slot cost the bond; then "
        "'sluice-cli staker resume'",
        why);
    if (const Status halted = m_log->SetHalted(why); !halted) LogError("staking", "{}", halted.error().message);
}

Status Staking::Resume() {
    m_waiting_until.reset();
    m_blind_until.reset();
    if (m_log->halted().empty()) return {};
    return m_log->SetHalted({});
}

void Staking::AdoptStaker() {
    const auto current = m_keys.Current();
    if (!current || m_keys.staker()) return;
    const auto owner = m_chain.chain().state().Get<consensus::VrfKeyOwner>(current->vrf_key);
    if (m_chain.chain().TakeReadFailure() || !owner) return;
    const auto staker = m_chain.chain().state().Get<consensus::StakerState>(owner->staker);
    if (m_chain.chain().TakeReadFailure() || !staker || staker->signing_key != current->signing_key) return;
    if (const Status noted = m_keys.SetStaker(owner->staker); !noted) {
        LogError("staking", "the keys are registered as staker {}, but: {}", owner->staker.Hex(),
                 noted.error().message);
    } else {
        LogInfo("staking", "the keys are registered as staker {}", owner->staker.Hex());
    }
}

void Staking::PromoteKeys() {
    const auto next = m_keys.Next();
    if (!next || !m_keys.staker()) return;
    const chain::ChainManager& chain = m_chain.chain();
    const consensus::HeaderState& tip = chain.tip()->state;
    const auto snapshot = chain.SnapshotOf(consensus::ElectingBoundary(chain.params(), tip, tip.slot + 1));
    if (!snapshot || !*snapshot) return;
    const consensus::SnapshotEntry* entry = (*snapshot)->stake.Find(*m_keys.staker());
    if (!entry || StakerKeys::Public{entry->vrf_key, entry->signing_key} != *next) return;
    if (const Status promoted = m_keys.Promote(); !promoted) {
        LogError("staking", "the new keys could not take the place of the old ones: {}", promoted.error().message);
    } else {
        LogInfo("staking", "the new keys elect now; the old ones are gone");
    }
}

StakingInfo Staking::Info() const {
    StakingInfo info;
    info.enabled = Enabled();
    info.staker = m_keys.staker();
    info.blocks_produced = m_blocks;
    info.last_signed_slot = m_last_signed;
    info.last_error = m_last_error;
    info.halted = m_log->halted();
    info.waiting_until = std::max(m_waiting_until, m_blind_until);
    return info;
}

}  // namespace sluice::node
