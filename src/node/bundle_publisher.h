#pragma once

#include "node/claims.h"
#include "node/job_tasks.h"
#include "node/swarm_service.h"

namespace sluice::node {

struct BundleOptions {
    std::string title;
    std::string description;
    Amount price;
    std::vector<ClaimId> claims;  // of this wallet, 1 to kMaxBundledTitles
};
struct PublishedBundle {
    ClaimId claim;
    Txid txid;
    OutPoint anchor;
    Amount fee;
    Amount burned;
};

// Publishes bundles (content/bundle.h): seals the keys of own claims, promises them in the record, and serves the few
// bytes. The content is at hand in memory and small, so that it needs no job and no file with keys in it. Belongs to
// the chain strand.
class BundlePublisher {
  public:
    BundlePublisher(const JobTasks& tasks, ChainService& chain, WalletService& wallet, const Claims& claims,
                    SwarmService& swarm, content::ChunkStore& chunks)
        : m_tasks(tasks), m_chain(chain), m_wallet(wallet), m_claims(claims), m_swarm(swarm), m_chunks(chunks) {}

    Result<PublishedBundle> Publish(const BundleOptions& options);
    // regtest tests: the bundle holds this key in the place of its first title's.
    void CheatWith(crypto::SecretKey key) { m_false_key = std::move(key); }

  private:
    Result<ContentId> SealKeys(const std::vector<crypto::SecretKey>& keys, crypto::SecretKey title_key,
                               const Salt& salt);

    const JobTasks& m_tasks;
    ChainService& m_chain;
    WalletService& m_wallet;
    const Claims& m_claims;
    SwarmService& m_swarm;
    content::ChunkStore& m_chunks;
    std::optional<crypto::SecretKey> m_false_key;
};

}  // namespace sluice::node
