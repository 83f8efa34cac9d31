#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "content/bundle.h"
#include "content/chunk_store.h"
#include "node/wallet_service.h"

namespace sluice::node {

// A bundle that this wallet bought or was given.
struct BundleView {
    ClaimId claim;
    std::string title;
    ContentId content;
    PubKey key;
    bool here{false};                  // its content is in the store; else it is being fetched
    std::vector<BundledTitle> titles;  // promised
    std::vector<bool> good;            // once it is here: whether the key is the promised one
};

// Every key of content that this wallet has, by its point: bought, given, or inside a bundle. Holds nothing that
// phrase, chain and the bundles' content do not give again. Belongs to the chain strand.
class KeyRing final : public ChainListener {
  public:
    // Has a small content fetched, unless that is under way or was tried just now.
    using Fetch = std::function<void(const PublishRecord&)>;
    // A bundle that does not hold what its record promises, with the key that opened it.
    using OnFalseBundle = std::function<void(const OutPoint& anchor, const crypto::SecretKey& key)>;

    KeyRing(ChainService& chain, WalletService& wallet, content::ChunkStore& chunks)
        : m_chain(chain), m_wallet(wallet), m_chunks(chunks) {}
    void SetHooks(Fetch fetch, OnFalseBundle on_false) {
        m_fetch = std::move(fetch);
        m_on_false = std::move(on_false);
    }

    std::optional<crypto::SecretKey> Find(const PubKey& point);
    // Bundles that this wallet has the key of. Looks whether their content has come.
    std::vector<BundleView> Bundles();
    // The bundle of this wallet that is to give a key and whose content is not here yet, if there is one.
    std::optional<ClaimId> WaitsForBundle(const PubKey& point);

    // Finds new bundles, and has their content fetched.
    void Refresh();
    void OnTipChanged(const chain::TipChange&) override { Refresh(); }
    void OnTransactionAccepted(const TransactionRef&) override {}
    void OnTransactionRemoved(const chain::RemovedTransaction&) override {}

  private:
    struct Bundle {
        OutPoint anchor;
        BundleView view;
        PublishRecord record;
    };
    std::optional<crypto::SecretKey> FindBought(const PubKey& point) const;
    void Look(const OutPoint& publish, const PubKey& point);
    void Open(Bundle& bundle);

    ChainService& m_chain;
    WalletService& m_wallet;
    content::ChunkStore& m_chunks;
    Fetch m_fetch;
    OnFalseBundle m_on_false;
    std::set<std::pair<OutPoint, PubKey>> m_looked;
    std::map<OutPoint, Bundle> m_bundles;           // by anchor
    std::map<PubKey, crypto::SecretKey> m_bundled;  // keys inside bundles
};

}  // namespace sluice::node
