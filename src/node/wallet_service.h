#pragma once

#include <memory>
#include <optional>
#include <string>

#include "node/chain_service.h"
#include "wallet/wallet.h"

namespace sluice::node {

// The node's wallet: keeps it level with the chain and sends what it builds. Belongs to the chain strand.
class WalletService final : public ChainListener {
  public:
    // Opens the store in `folder` and the wallet in it, if there is one, and scans the blocks that it has not seen.
    static Result<std::unique_ptr<WalletService>> Open(const Environment& environment, ChainService& chain,
                                                       EventHub& events, const std::string& folder);
    // Called when the wallet's store cannot be written: what it holds in memory is not on disk, so the node has to end.
    void SetOnFatal(std::function<void(const Error&)> on_fatal) { m_on_fatal = std::move(on_fatal); }

    // Makes a wallet; its phrase is returned this once. kInvalid if there is one.
    Result<std::string> Create();
    // From a phrase; scans the chain from genesis. kInvalid if there is one, or for a phrase that is none.
    Status Restore(std::string_view phrase);
    bool Exists() const { return m_wallet != nullptr; }
    // kNotFound says how to make one.
    Result<wallet::Wallet*> Get() const;
    // Commits, submits to the mempool and relays. If the mempool refuses it the coins are as they were before.
    Result<Txid> Broadcast(const wallet::BuiltTransaction& built);
    // Submits transactions of the wallet that are neither in a block nor in the mempool again: after a restart, and
    // with each block. Those that can never be valid any more are forgotten. Those that would give away what their
    // stake has earned since an epoch ended are built again, to claim it.
    void Resubmit();

    // The terms made by a publish, also of one that was replaced long ago.
    std::optional<wallet::WalletLookups::Publish> FindPublish(const OutPoint& anchor) const;

    void OnTipChanged(const chain::TipChange& change) override;
    void OnTransactionAccepted(const TransactionRef& tx) override;
    void OnTransactionRemoved(const chain::RemovedTransaction& removed) override;

  private:
    WalletService(const Environment& environment, ChainService& chain, EventHub& events)
        : m_environment(environment), m_chain(chain), m_events(events) {}
    wallet::WalletLookups Lookups() const;
    // Moves the wallet's cursor to the tip, whatever lies between.
    Status CatchUp();
    void Reclaim(const Txid& txid);
    void PublishPurchases();
    void Log(const Status& status) const;

    const Environment& m_environment;
    ChainService& m_chain;
    EventHub& m_events;
    std::function<void(const Error&)> m_on_fatal;
    std::unique_ptr<storage::KeyValueStore> m_store;
    std::unique_ptr<wallet::Wallet> m_wallet;
    std::map<OutPoint, wallet::PurchaseStatus> m_seen_purchases;  // what was published as an event
};

std::string_view PurchaseStatusName(wallet::PurchaseStatus status);

}  // namespace sluice::node
