#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "node/claims.h"
#include "node/job_tasks.h"
#include "node/swarm_service.h"

namespace sluice::node {

struct FetchLimits {
    std::optional<Amount> max_price_per_mib;  // none: the configuration's
    std::optional<Amount>
        max_cost;  // in all; none: what the whole content costs at the highest price, with room for channels
};

// What the operator's configuration says where a call does not.
struct DefaultPrices {
    Amount max_per_mib;   // a download pays no more
    Amount seed_per_mib;  // seeding asks this where the publish record gives no hint
};

// Fetching and seeding as jobs: each goes from executor to executor, forward only, and is saved by what it leaves in
// the store, so that the same call after a restart goes on where it was. Start... belong to the chain strand,
// observers' calls to the network strand.
class FetchJobs final : public DownloadObserver {
  public:
    FetchJobs(const JobTasks& tasks, const Claims& claims, SwarmService& swarm, content::ChunkStore& chunks,
              EventHub& events, DefaultPrices prices)
        : m_tasks(tasks), m_claims(claims), m_swarm(swarm), m_chunks(chunks), m_events(events), m_prices(prices) {}

    // Fetches what is missing, opens it with the key that this wallet has, to `path` (which must not exist). The job
    // that does so already, if there is one; refused if a job writes something else there.
    Result<JobId> StartGet(const ClaimId& claim, const std::string& path, const FetchLimits& limits);
    // Fetches what is missing and serves it from then on, at `price_per_mib` (none: the record's hint).
    Result<JobId> StartSeed(const ClaimId& claim, std::optional<Amount> price_per_mib, const FetchLimits& limits);
    // Ends a get or seed that still fetches: what is here stays, and the same call goes on with it. One that is past
    // fetching ends by itself. kNotFound or kInvalid if there is no such job that runs.
    Status StopJob(JobId id);

    void OnDownloadProgress(const content::DownloadProgress& progress) override;
    void OnDownloadFinished(const content::DownloadFinished& finished) override;
    void OnDownloadFailed(const content::DownloadFailed& failed) override;

  private:
    // What happens once content is here: called on the network strand with what was paid, or with why it is not.
    using WhenFetched = std::function<void(Result<Amount>)>;
    struct Fetch {
        JobId job{0};
        WhenFetched then;
    };
    struct Opening {
        ClaimId claim;
        JobId job{0};
    };
    void FetchThen(JobId job, const ContentId& content, const content::DownloadLimits& limits, Amount ask_per_mib,
                   WhenFetched then);
    void OpenThen(JobId job, std::shared_ptr<Claims::Openable> openable, const std::string& path, Amount paid);
    content::DownloadLimits LimitsFor(const ContentId& content, const FetchLimits& limits) const;

    const JobTasks& m_tasks;
    const Claims& m_claims;
    SwarmService& m_swarm;
    content::ChunkStore& m_chunks;
    EventHub& m_events;
    DefaultPrices m_prices;
    std::map<std::string, Opening> m_openings;          // by path, of gets; chain strand
    std::map<ContentId, std::vector<Fetch>> m_fetches;  // network strand
};

}  // namespace sluice::node
