#pragma once

#include <map>
#include <string>
#include <vector>

#include "content/torrent.h"
#include "node/claims.h"
#include "node/download_desk.h"
#include "node/fetch_limits.h"
#include "node/job_tasks.h"
#include "node/media.h"

namespace sluice::node {

// What a claim shows to everybody, without a key.
enum class ClearPart { kPreview, kThumbnail };

// The store's upkeep as jobs: verifying and repairing, previews and thumbnails from the swarm, exchange with BitTorrent
// clients, removal, and what follows an eviction. Start... belong to the chain strand, DownloadClient's calls to the
// network strand.
class ContentJobs final : public DownloadClient {
  public:
    // What was used is noted on disk this often.
    static constexpr milliseconds kSaveUsesEvery = std::chrono::hours(1);

    ContentJobs(const JobTasks& tasks, const Claims& claims, SwarmService& swarm, DownloadDesk& desk,
                content::ChunkStore& chunks, DefaultPrices prices);
    // Once, when the executors run.
    void Start();

    // Writes the preview or thumbnail of the claim's newest terms to `path`, which must not exist; what is not here is
    // fetched from who serves it for nothing. kNotFound if the claim has none.
    Result<JobId> StartShow(const ClaimId& claim, ClearPart part, const std::string& path);
    // Hashes what is here of these contents again; damaged chunks are dropped and fetched anew, at the highest price
    // that the operator allows.
    Result<JobId> StartVerify(std::vector<ContentId> contents);
    // Writes the BitTorrent v2 torrent of the claim's sealed content to `path`, which must not exist.
    Result<JobId> StartExport(const ClaimId& claim, const std::string& path);
    // Takes the chunks of the claim's sealed content from a file, and serves what is here then.
    Result<JobId> StartImport(const ClaimId& claim, const std::string& path);
    // Ends a job of ours that fetches. False if it is not one.
    bool Stop(JobId id);

    // The content that `text` names: the root (or at least 6 of its first digits) of what is in the store, or a claim.
    Result<ContentId> Resolve(const std::string& text) const;
    // Stops serving it, then removes it. From any thread; `done` is called on a long task.
    void Remove(const ContentId& content, std::function<void(Status)> done);

    void OnProgress(const content::DownloadProgress& progress) override;
    void OnEnded(const ContentId& content, const Result<Amount>& paid) override;

  private:
    using WhenFetched = std::function<void(Result<Amount>)>;
    struct Fetch {
        JobId job{0};
        DownloadDesk::WishId wish{0};
        WhenFetched then;
    };
    // Like a job that ends with what `work` returns, or fails. On a long task.
    void Run(JobId job, std::function<Result<std::map<std::string, std::string>>()> work);
    void FetchThen(JobId job, const ContentId& content, const content::DownloadLimits& limits, Amount ask,
                   WhenFetched then);
    void Repair(JobId job, std::vector<ContentId> damaged, std::map<std::string, std::string> result, Amount paid);
    Status WriteOut(const ContentId& content, const std::string& path) const;
    Status CheckTarget(const std::string& path) const;
    void SaveUses();

    const JobTasks& m_tasks;
    const Claims& m_claims;
    SwarmService& m_swarm;
    DownloadDesk& m_desk;
    content::ChunkStore& m_chunks;
    DefaultPrices m_prices;
    std::map<ContentId, std::vector<Fetch>> m_fetches;  // network strand
};

}  // namespace sluice::node
