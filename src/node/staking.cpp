#include "node/staking.h"

#include "util/log.h"

namespace sluice::node {

Result<std::unique_ptr<Staking>> Staking::Open(const Environment& environment, ChainService& chain,
                                               std::optional<consensus::OperatorKeys> keys, std::string slot_file) {
    std::unique_ptr<Staking> staking(new Staking(environment, chain, std::move(keys), std::move(slot_file)));
    if (staking->m_keys && environment.files.Exists(staking->m_slot_file)) {
        ASSIGN_OR_RETURN(const Bytes bytes, storage::ReadWholeFile(environment.files, staking->m_slot_file, 8));
        ASSIGN_OR_RETURN(staking->m_last_signed, Decode<Slot>(bytes));
    }
    return staking;
}

void Staking::Start(Alive alive) {
    if (m_keys) OnSlot(std::move(alive));
}

void Staking::OnSlot(Alive alive) {
    if (!*alive) return;
    const consensus::Params& params = m_chain.params();
    const UnixMillis now = m_environment.clock.Now();
    const auto slot = params.SlotAt(now);
    if (slot && slot != m_last_tried && !m_chain.Syncing()) {
        m_last_tried = slot;
        if (*slot > m_chain.chain().tip()->state.slot) {
            const auto produced = TryProduce(*slot);
            if (!produced) LogWarning("staking", "slot {}: {}", slot->value, produced.error().message);
        }
    }
    const UnixMillis next = slot ? params.SlotTime(*slot + 1) : params.genesis_time;
    const milliseconds wait = std::clamp<milliseconds>(next - now, milliseconds(1), params.slot_duration);
    m_environment.chain_strand.PostAfter(wait,
                                         [this, alive = std::move(alive)]() mutable { OnSlot(std::move(alive)); });
}

Result<std::optional<BlockHash>> Staking::TryProduce(Slot slot) {
    if (!m_keys) return Fail("this node does not stake: start it with -staker");
    if (m_last_signed && slot <= *m_last_signed)
        return Fail("slot " + ToString(slot) + " is not after slot " + ToString(*m_last_signed) +
                    ", for which a header was signed already");
    // Leading is known before the slot is spent; signing happens in the same call, so the slot is written down first.
    ASSIGN_OR_RETURN(const auto won, m_chain.chain().NextWonSlot(*m_keys, slot, 1));
    if (!won) return std::optional<BlockHash>{};
    RETURN_IF_ERROR(storage::WriteFileAtomically(m_environment.files, m_slot_file, Encode(slot)));
    m_last_signed = slot;
    ASSIGN_OR_RETURN(const BlockRef block, m_chain.chain().ProduceBlock(*m_keys, slot));
    CHECK(block != nullptr);
    ASSIGN_OR_RETURN(const chain::BlockResult result, m_chain.SubmitBlock(block));
    if (result.what == chain::BlockResult::What::kNotTaken) {
        m_last_error = result.invalid  ? result.invalid->ToString()
                       : result.header ? result.header->reason.ToString()
                                       : "not taken";
        return Fail("our own block was refused: " + m_last_error);
    }
    ++m_blocks;
    return std::optional(block->header.Hash());
}

Result<Slot> Staking::NextWonSlot(Slot from) const {
    if (!m_keys) return Fail("this node does not stake: start it with -staker");
    const Slot first = m_last_signed ? std::max(from, *m_last_signed + 1) : from;
    ASSIGN_OR_RETURN(const auto won, m_chain.chain().NextWonSlot(*m_keys, first, kMaxSearchSlots));
    if (!won)
        return Fail(ErrorKind::kUnavailable, "these keys lead none of the next " + std::to_string(kMaxSearchSlots) +
                                                 " slots: they have no stake");
    return *won;
}

StakingInfo Staking::Info() const {
    StakingInfo info;
    info.enabled = m_keys.has_value();
    if (m_keys) info.staker = m_keys->staker;
    info.blocks_produced = m_blocks;
    info.last_signed_slot = m_last_signed;
    info.last_error = m_last_error;
    return info;
}

}  // namespace sluice::node
