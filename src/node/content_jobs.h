#pragma once

#include <map>
#include <string>
#include <vector>

#include "content/torrent.h"
#include "node/claims.h"
#include "node/fetch_limits.h"
#include "node/fetcher.h"
#include "node/job_tasks.h"
#include "node/media.h"

namespace sluice::node {

// What a claim shows to everybody, without a key.
enum class ClearPart { kPreview, kThumbnail };

// The store's upkeep as jobs: verifying and repairing, previews and thumbnails from the swarm, exchange with BitTorrent
// clients, removal, and what follows an eviction. Start... belong to the chain strand, DownloadClient's calls to the
// network strand.
class ContentJobs final {
  public:
    // What was used is noted on disk this often.
    static constexpr milliseconds kSaveUsesEvery = std::chrono::hours(1);

    ContentJobs(const JobTasks& tasks, const Claims& claims, SwarmService& swarm, Fetcher& fetcher,
                content::ChunkStore& chunks, DefaultPrices prices);
    // Once, when the executors run.
    void Start();

    // Writes the preview or thumbnail of the claim's newest terms to `path`, which must not exist; what is not here is
    // fetched from who serves it for nothing. kNotFound if the claim has none.
    Result<JobId> StartShow(const ClaimId& claim, ClearPart part, const std::string& path);
    // Hashes what is here of these contents again; damaged chunks are dropped, and they alone are fetched anew: those
    // of sealed content at the highest price that the operator allows, those of previews for nothing.
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

  private:
    using Results = std::map<std::string, std::string>;
    struct Damage {
        ContentId content;
        std::vector<content::ChunkIndex> chunks;
    };
    // Like a job that ends with what `work` returns, or fails. On a long task.
    void Run(JobId job, std::function<Result<Results>()> work);
    FetchWish WishFor(Damage damage) const;  // chain strand
    void Repair(JobId job, std::vector<FetchWish> wishes, Results result, Amount paid);
    Status WriteOut(const ContentId& content, const std::string& path) const;
    Status CheckTarget(const std::string& path) const;
    void SaveUses();

    const JobTasks& m_tasks;
    const Claims& m_claims;
    SwarmService& m_swarm;
    Fetcher& m_fetcher;
    content::ChunkStore& m_chunks;
    DefaultPrices m_prices;
};

}  // namespace sluice::node
