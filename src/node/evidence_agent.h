#pragma once

#include <map>

#include "node/chain_service.h"
#include "node/staking.h"

namespace sluice::node {

// Reports stakers that signed two headers for one slot: makes the evidence transaction, which needs no coins, and sends
// it until it is on the chain, again after a reorganisation. While the chain is behind, whether evidence is young
// enough for the others is not known: it waits. Belongs to the chain strand.
class EvidenceAgent final : public ChainListener {
  public:
    // Stakers that are reported at a time. Each has lost its bond, so they are few; those over the limit wait for a
    // restart.
    static constexpr size_t kMaxReported = 10'000;

    EvidenceAgent(const Clock& clock, ChainService& chain, Staking& staking)
        : m_clock(clock), m_chain(chain), m_staking(staking) {}

    // Takes what the chain found. Called after messages of peers were handled, now and then.
    void Tick();
    size_t reported() const { return m_reported.size(); }

    void OnTipChanged(const chain::TipChange&) override { m_look = true; }
    // Evidence against our own staker halts staking: somebody has its keys.
    void OnTransactionAccepted(const TransactionRef& tx) override;
    void OnTransactionRemoved(const chain::RemovedTransaction&) override { m_look = true; }

  private:
    void Send(const EvidenceRecord& evidence);
    bool TooOld(const EvidenceRecord& evidence) const;

    const Clock& m_clock;
    ChainService& m_chain;
    Staking& m_staking;
    std::map<StakerId, EvidenceRecord> m_reported;  // one is enough for each
    bool m_look{false};
};

}  // namespace sluice::node
