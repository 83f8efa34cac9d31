#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <span>

#include "content/keys.h"
#include "content/sale.h"
#include "node/wallet_service.h"

namespace sluice::node {

// The seller: finds purchases of our titles on the chain and grants them once they are deep enough. Everything that it
// needs comes from the wallet's phrase and the chain, so a restart loses nothing. Belongs to the chain strand.
class SaleAgent final : public ChainListener {
  public:
    SaleAgent(const Environment& environment, ChainService& chain, WalletService& wallet, EventHub& events)
        : m_environment(environment), m_chain(chain), m_wallet(wallet), m_events(events) {}
    ~SaleAgent() override { *m_alive = false; }

    // Finds the purchases of our claims that wait, from the chain: at start and when a wallet was restored.
    void Rescan();
    // Purchases that wait for their grant.
    size_t Waiting() const { return m_waiting.size(); }

    void OnTipChanged(const chain::TipChange& change) override;
    void OnTransactionAccepted(const TransactionRef&) override {}
    void OnTransactionRemoved(const chain::RemovedTransaction&) override {}

  private:
    struct Sale {
        content::LockedPurchase purchase;
        crypto::AdaptorSignature pre_signature;
        Salt title_salt;
        bool hopeless{false};  // its grant cannot be built, whatever happens: its allowance does not pay for it
    };
    struct Ended {
        Sale sale;
        Height height;
    };
    void AddFrom(const Transaction& tx);
    std::optional<Sale> MakeSale(const Transaction& tx, uint32_t record_output, const PurchaseRecord& record) const;
    // Moves what was granted or refunded out of m_waiting, and back what a reorganisation made wait again.
    void FollowLocks();
    void GrantReady();
    // Now, or as soon as the chain is not being synced any more: the next block may be long in coming.
    void GrantOnceSynced();
    // All of them in one transaction.
    Status Grant(std::span<const OutPoint> locks);
    Result<content::GrantItem> ItemOf(const Sale& sale) const;

    const Environment& m_environment;
    ChainService& m_chain;
    WalletService& m_wallet;
    EventHub& m_events;
    std::map<OutPoint, Sale> m_waiting;
    std::map<OutPoint, Ended> m_ended;  // in the newest k blocks
    bool m_waits_for_sync{false};
    std::shared_ptr<std::atomic<bool>> m_alive = std::make_shared<std::atomic<bool>>(true);
};

}  // namespace sluice::node
