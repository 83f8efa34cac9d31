#include "node/evidence_agent.h"

#include "consensus/staker_rules.h"
#include "primitives/script.h"
#include "util/log.h"

namespace sluice::node {

void EvidenceAgent::Tick() {
    for (EvidenceRecord& evidence : m_chain.chain().TakeEvidence()) {
        const StakerId staker = evidence.first.staker;
        if (m_staking.keys().staker() == staker)
            m_staking.Halt("two headers of slot " + ToString(evidence.first.slot) +
                           " are signed with this node's keys");
        if (m_reported.contains(staker) || m_reported.size() >= kMaxReported) continue;
        LogWarning("staking", "staker {} signed two headers for slot {}: {} and {}", staker.Hex(),
                   evidence.first.slot.value, evidence.first.Hash().Hex(), evidence.second.Hash().Hex());
        m_reported.emplace(staker, std::move(evidence));
        m_look = true;
    }
    if (m_chain.Syncing() || !std::exchange(m_look, false)) return;
    std::erase_if(m_reported, [&](const auto& reported) { return TooOld(reported.second); });
    for (const auto& [staker, evidence] : m_reported) Send(evidence);
}

void EvidenceAgent::OnTransactionAccepted(const TransactionRef& tx) {
    if (!m_staking.keys().staker() || tx->outputs().size() != 1) return;
    const auto output = ParseOutputScript(tx->outputs()[0].script);
    if (!output || output->kind != OutputKind::kRecord) return;
    const auto record = DecodeRecord(output->record);
    const auto* evidence = record ? std::get_if<EvidenceRecord>(&*record) : nullptr;
    if (evidence && evidence->first.staker == *m_staking.keys().staker())
        m_staking.Halt("two headers of slot " + ToString(evidence->first.slot) + " are signed with this node's keys");
}

bool EvidenceAgent::TooOld(const EvidenceRecord& evidence) const {
    const auto now = m_chain.params().SlotAt(m_clock.Now());
    return now && *now - evidence.first.slot >= static_cast<int64_t>(m_chain.params().unbonding_slots);
}

void EvidenceAgent::Send(const EvidenceRecord& evidence) {
    const auto staker = m_chain.chain().state().Get<consensus::StakerState>(evidence.first.staker);
    if (m_chain.chain().TakeReadFailure() || !staker) return;
    if (!m_chain.chain().state().Get<consensus::BondState>(staker->bond)) return;  // slashed or released
    const TransactionRef tx = MakeTransaction(consensus::MakeEvidenceTransaction(evidence, staker->bond));
    if (m_chain.chain().mempool().Find(tx->txid())) return;
    const auto sent = m_chain.Submit(tx);
    if (sent) {
        LogInfo("staking", "evidence against staker {} is out: {}", evidence.first.staker.Hex(), tx->txid().Hex());
    } else {
        LogDebug("staking", "evidence against staker {}: {}", evidence.first.staker.Hex(), sent.error().ToString());
    }
}

}  // namespace sluice::node
