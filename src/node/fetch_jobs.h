#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/claims.h"
#include "node/fetch_limits.h"
#include "node/fetcher.h"
#include "node/job_tasks.h"
#include "node/streams.h"

namespace sluice::node {

// Fetching and seeding as jobs: each goes from executor to executor, forward only, and is saved by what it leaves in
// the store, so that the same call after a restart goes on where it was. Start... belong to the chain strand,
// observers' calls to the network strand.
class FetchJobs final {
  public:
    FetchJobs(const JobTasks& tasks, const Claims& claims, SwarmService& swarm, Fetcher& fetcher, Streams& streams,
              content::ChunkStore& chunks, DefaultPrices prices)
        : m_tasks(tasks),
          m_claims(claims),
          m_swarm(swarm),
          m_fetcher(fetcher),
          m_streams(streams),
          m_chunks(chunks),
          m_prices(prices) {}

    // Fetches what is missing, opens it with the key that this wallet has, to `path` (which must not exist). The job
    // that does so already, if there is one; refused if a job writes something else there. With `file`: of a folder
    // that file alone. What this wallet has no key of is not fetched.
    Result<JobId> StartGet(const ClaimId& claim, const std::string& path, const FetchLimits& limits,
                           const std::string& file = {});
    // Fetches what is missing and serves it from then on, at `price_per_mib` (none: the record's hint);
    // haggling brings that down to `min_price_per_mib` at most (none: -minpricepermib, or not at all).
    Result<JobId> StartSeed(const ClaimId& claim, std::optional<Amount> price_per_mib, const FetchLimits& limits,
                            std::optional<Amount> min_price_per_mib = {});
    // Fetches what the wallet itself needs, a bundle: not announced as seeded, which would tell everybody what was
    // bought. Again kRetry later if it failed; nothing if it is under way.
    static constexpr seconds kRetry{60};
    void FetchForWallet(const PublishRecord& record);
    // Asked, from a long task, for a proof when a key that was sold does not open the content; calls back with the
    // proof's file, empty if there is none.
    using OnFraud =
        std::function<void(std::shared_ptr<Claims::Openable>, std::function<void(const std::string& file)>)>;
    void SetOnFraud(OnFraud on_fraud) { m_on_fraud = std::move(on_fraud); }
    // Ends a get or seed that still fetches: what is here stays, and the same call goes on with it. One that is past
    // fetching ends by itself. kNotFound or kInvalid if there is no such job that runs.
    Status StopJob(JobId id);

  private:
    struct Opening {
        ClaimId claim;
        std::string file;
        JobId job{0};
    };
    struct OwnFetch {
        JobId job{0};
        Instant next_try{};
    };
    // One file of a folder on its way to the disk.
    struct FileGet {
        JobId job{0};
        StreamInfo info;
        std::string path;
        std::optional<content::PartFile> part;
        uint64_t done_bytes{0};
    };
    Result<JobId> FindOpening(const std::string& path, const ClaimId& claim, const std::string& file);
    void OpenThen(JobId job, std::shared_ptr<Claims::Openable> openable, const std::string& path, Amount paid);
    void GetFile(JobId job, const ClaimId& claim, const std::string& path, const FetchLimits& limits,
                 const std::string& file);
    void ReadOn(std::shared_ptr<FileGet> get);
    void EndFile(const std::shared_ptr<FileGet>& get, const Status& status);

    const JobTasks& m_tasks;
    const Claims& m_claims;
    SwarmService& m_swarm;
    Fetcher& m_fetcher;
    Streams& m_streams;
    content::ChunkStore& m_chunks;
    DefaultPrices m_prices;
    OnFraud m_on_fraud;
    std::map<std::string, Opening> m_openings;  // by path, of gets; chain strand
    std::map<ContentId, OwnFetch> m_own;        // for the wallet; chain strand
    std::map<JobId, StreamId> m_files;          // of jobs that get a file; network strand
};

}  // namespace sluice::node
