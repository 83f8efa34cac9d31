#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "content/keys.h"
#include "content/manifest.h"
#include "node/jobs.h"
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

// A claim as people see it.
struct ClaimInfo {
    ClaimId id;
    OutPoint anchor;  // of the publish whose terms these are
    Height height;    // of that publish
    bool live{true};  // false: retired
    PublishRecord record;
};

// Publishing, fetching and seeding as jobs: each goes from executor to executor, forward only, and is saved by what it
// leaves (content in the store, transactions in the wallet), so that the same call after a restart goes on where it
// was. Start… and the queries belong to the chain strand.
class ContentJobs final : public ChainListener, public DownloadObserver {
  public:
    ContentJobs(const Environment& environment, ChainService& chain, WalletService& wallet, SwarmService& swarm,
                content::ChunkStore& chunks, JobTable& jobs, EventHub& events, DefaultPrices prices, Alive alive);

    // Looks at a file or folder (absolute path). From any thread: a large folder takes a while.
    Result<PublishSource> Inspect(const std::string& path) const;
    Result<JobId> StartPublish(PublishSource source, PublishOptions options);
    // Fetches what is missing, opens it with the key that this wallet has, to `path` (which must not exist). The job
    // that does so already, if there is one; refused if a job writes something else there.
    Result<JobId> StartGet(const ClaimId& claim, const std::string& path, const FetchLimits& limits);
    // Fetches what is missing and serves it from then on, at `price_per_mib` (none: the record's hint).
    Result<JobId> StartSeed(const ClaimId& claim, std::optional<Amount> price_per_mib, const FetchLimits& limits);

    // Ends a get or seed that still fetches: what is here stays, and the same call goes on with it. One that is past
    // fetching ends by itself. kNotFound or kInvalid if there is no such job that runs.
    Status StopJob(JobId id);

    // By whole id or by a prefix of at least 6 digits; the error says if it is unknown or not unique.
    Result<ClaimId> ResolveClaim(const std::string& text) const;
    Result<ClaimInfo> FindClaim(const ClaimId& claim) const;
    // Newest first, each claim once with its newest terms.
    Result<std::vector<ClaimInfo>> ListClaims(size_t count, size_t skip) const;
    // The newest publish of the claim that this wallet can open, with its keys. The error says what to do.
    struct Openable {
        ClaimInfo info;
        content::ContentKeys keys;
    };
    Result<Openable> FindOpenable(const ClaimId& claim) const;

    void OnTipChanged(const chain::TipChange& change) override;
    void OnTransactionAccepted(const TransactionRef&) override {}
    void OnTransactionRemoved(const chain::RemovedTransaction& removed) override;
    // On the network strand.
    void OnDownloadProgress(const content::DownloadProgress& progress) override;
    void OnDownloadFinished(const content::DownloadFinished& finished) override;
    void OnDownloadFailed(const content::DownloadFailed& failed) override;

  private:
    struct PublishPlan;
    struct Confirming {
        JobId job{0};
        std::map<std::string, std::string> result;
    };
    // What happens once content is here: called on the network strand with what was paid, or with why it is not.
    using WhenFetched = std::function<void(Result<Amount>)>;
    struct Fetch {
        JobId job{0};
        WhenFetched then;
    };

    std::optional<ClaimInfo> InfoOf(const OutPoint& anchor) const;
    Result<Script> PayoutScript(wallet::Wallet& wallet, const std::string& title) const;
    void SealThenPublish(std::shared_ptr<PublishPlan> plan);
    Status PublishSealed(const std::shared_ptr<PublishPlan>& plan, const content::Sealed& sealed);
    void FetchThen(JobId job, const ContentId& content, const content::DownloadLimits& limits, Amount ask_per_mib,
                   WhenFetched then);
    void OpenThen(JobId job, std::shared_ptr<Openable> openable, const std::string& path, Amount paid);
    content::DownloadLimits LimitsFor(const ContentId& content, const FetchLimits& limits) const;
    content::Progress TellProgress(JobId job, JobProgress progress) const;
    void PostToChain(std::function<void()> task) const;
    void PostToNetwork(std::function<void()> task) const;

    const Environment& m_environment;
    ChainService& m_chain;
    WalletService& m_wallet;
    SwarmService& m_swarm;
    content::ChunkStore& m_chunks;
    JobTable& m_jobs;
    EventHub& m_events;
    DefaultPrices m_prices;
    Alive m_alive;
    std::map<Txid, Confirming> m_confirming;  // chain strand
    struct Opening {
        ClaimId claim;
        JobId job{0};
    };
    std::map<std::string, Opening> m_openings;          // by path, of gets; chain strand
    std::map<ContentId, std::vector<Fetch>> m_fetches;  // network strand
};

}  // namespace sluice::node
