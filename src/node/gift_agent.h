#pragma once

#include "node/wallet_service.h"

namespace sluice::node {

// Passes keys on that were bought for somebody else: once a purchase that was meant as a gift is granted, one
// transaction carries the sealed key. On the chain, so that the recipient finds it with the phrase alone and nobody has
// to be online. For whom a purchase is, is on disk before the purchase is sent; it is not on the chain, so that a payer
// who lost the disk names the recipient again (sendgift). Belongs to the chain strand.
class GiftAgent final : public ChainListener {
  public:
    GiftAgent(ChainService& chain, WalletService& wallet, EventHub& events)
        : m_chain(chain), m_wallet(wallet), m_events(events) {}

    // Passes on what waits. At start, and with each block.
    void Run();
    // Now, whatever was meant: kUnavailable until the purchase is granted.
    Result<Txid> Send(const OutPoint& lock, const crypto::X25519PublicKey& recipient);

    struct Received {
        OutPoint purchase;
        Txid txid;
        std::optional<ClaimId> claim;  // none: the purchase is unknown
        std::string title;
        uint16_t tier{0};
        bool good{false};  // false: it is not the key that the purchase was for, and opens nothing
    };
    std::vector<Received> ListReceived() const;

    void OnTipChanged(const chain::TipChange&) override { Run(); }
    void OnTransactionAccepted(const TransactionRef&) override {}
    void OnTransactionRemoved(const chain::RemovedTransaction&) override {}

  private:
    ChainService& m_chain;
    WalletService& m_wallet;
    EventHub& m_events;
};

}  // namespace sluice::node
