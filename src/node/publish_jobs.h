#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "content/manifest.h"
#include "node/job_tasks.h"
#include "node/swarm_service.h"
#include "node/wallet_service.h"

namespace sluice::node {

// What is to be published, looked at once.
struct PublishSource {
    std::string path;
    bool folder{false};
    content::Manifest manifest;  // of a folder
};

struct PublishOptions {
    Amount price;       // of the key; 0 only if free
    bool free{false};   // the key is published with the record
    std::string title;  // empty: the file's name
    std::string description;
    std::string mime;
    std::string language;
    std::vector<std::string> tags;
    std::vector<std::string> endpoints;
    Amount seed_price_per_mib;        // hint for seeders
    Amount ask_per_mib;               // what this node asks itself
    std::optional<Hash256> seal_key;  // regtest only: sealed with this instead of the title key, to test cheating
};

// Publishing as jobs: each goes from executor to executor, forward only, and is saved by what it leaves (content in the
// store, a transaction in the wallet). Belongs to the chain strand.
class PublishJobs final : public ChainListener {
  public:
    PublishJobs(const JobTasks& tasks, ChainService& chain, WalletService& wallet, SwarmService& swarm,
                content::ChunkStore& chunks, EventHub& events)
        : m_tasks(tasks), m_chain(chain), m_wallet(wallet), m_swarm(swarm), m_chunks(chunks), m_events(events) {}

    // Looks at a file or folder (absolute path). From any thread: a large folder takes a while.
    Result<PublishSource> Inspect(const std::string& path) const;
    Result<JobId> StartPublish(PublishSource source, PublishOptions options);

    void OnTipChanged(const chain::TipChange& change) override;
    void OnTransactionAccepted(const TransactionRef&) override {}
    void OnTransactionRemoved(const chain::RemovedTransaction& removed) override;

  private:
    struct PublishPlan;
    struct Confirming {
        JobId job{0};
        std::map<std::string, std::string> result;
    };
    Result<Script> PayoutScript(wallet::Wallet& wallet, const std::string& title) const;
    void SealThenPublish(std::shared_ptr<PublishPlan> plan);
    Status PublishSealed(const std::shared_ptr<PublishPlan>& plan, const content::Sealed& sealed);

    const JobTasks& m_tasks;
    ChainService& m_chain;
    WalletService& m_wallet;
    SwarmService& m_swarm;
    content::ChunkStore& m_chunks;
    EventHub& m_events;
    std::map<Txid, Confirming> m_confirming;
};

}  // namespace sluice::node
