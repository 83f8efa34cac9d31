#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "content/segments.h"
#include "node/job_tasks.h"
#include "node/media.h"
#include "node/publish_record.h"
#include "node/swarm_service.h"
#include "node/wallet_service.h"

namespace sluice::node {

// How a folder is to be sold in segments: by rules, or file by file at one price.
struct SegmentWish {
    std::vector<content::SegmentRule> rules;
    std::optional<Amount> per_file;

    bool IsEmpty() const { return rules.empty() && !per_file; }
};

// What is to be published, looked at once.
struct PublishSource {
    std::string path;
    bool folder{false};
    content::Manifest manifest;          // of a folder
    std::vector<Amount> segment_prices;  // of its segments, if it is divided
    std::vector<uint64_t> first_slices;  // where each begins, after the manifest
    std::string media_path;              // the file that a preview and thumbnail can be made from; may be empty
};

// Publishing, updating, retiring and transferring claims as jobs: each goes from executor to executor, forward only,
// and is saved by what it leaves (content in the store, a transaction in the wallet). What is published is pinned in
// the store and served. Belongs to the chain strand.
class PublishJobs final : public ChainListener {
  public:
    PublishJobs(const JobTasks& tasks, ChainService& chain, WalletService& wallet, const Claims& claims,
                SwarmService& swarm, content::ChunkStore& chunks, EventHub& events)
        : m_tasks(tasks),
          m_chain(chain),
          m_wallet(wallet),
          m_claims(claims),
          m_swarm(swarm),
          m_chunks(chunks),
          m_events(events) {}

    // Looks at a file or folder (absolute path). From any thread: a large folder takes a while.
    Result<PublishSource> Inspect(const std::string& path, const SegmentWish& segments = {}) const;
    Result<JobId> StartPublish(PublishSource source, PublishOptions options);
    // A new version of a claim of this wallet, or without a source only other terms of it.
    Result<JobId> StartUpdate(const ClaimId& claim, std::optional<PublishSource> source, PublishOptions options);
    // Ends a claim: its deposit comes back. Sealed content stays in the store, unpinned.
    Result<JobId> StartRetire(const ClaimId& claim);
    // Moves a claim, with its deposit, to somebody else's output, which later sales are paid to as well.
    Result<JobId> StartTransfer(const ClaimId& claim, const Script& to);

    void OnTipChanged(const chain::TipChange& change) override;
    void OnTransactionAccepted(const TransactionRef&) override {}
    void OnTransactionRemoved(const chain::RemovedTransaction& removed) override;

  private:
    struct PublishPlan;
    struct Confirming {
        JobId job{0};
        std::map<std::string, std::string> result;
        std::optional<ContentId> unpins;  // once it is in a block: content that is sold no more
    };
    Result<Script> PayoutScript(wallet::Wallet& wallet, const std::string& title) const;
    // The newest terms of a claim whose anchor this wallet can spend.
    Result<ClaimInfo> FindOwn(const ClaimId& claim) const;
    Result<JobId> Start(std::shared_ptr<PublishPlan> plan, const char* kind);
    void SealThenPublish(std::shared_ptr<PublishPlan> plan);
    Status SealAll(PublishPlan& plan) const;
    Status SealContent(PublishPlan& plan) const;
    Status MakeClearParts(PublishPlan& plan) const;
    Result<ContentId> StoreClear(PublishPlan& plan, content::PlainSource& source) const;
    void DropSealed(const PublishPlan& plan) const;
    Status PublishSealed(const std::shared_ptr<PublishPlan>& plan);
    void Confirm(const Txid& txid, JobId job, std::map<std::string, std::string> result,
                 std::optional<ContentId> unpins);

    const JobTasks& m_tasks;
    ChainService& m_chain;
    WalletService& m_wallet;
    const Claims& m_claims;
    SwarmService& m_swarm;
    content::ChunkStore& m_chunks;
    EventHub& m_events;
    std::map<Txid, Confirming> m_confirming;
};

}  // namespace sluice::node
