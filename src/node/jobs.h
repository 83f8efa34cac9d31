#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "node/event_hub.h"
#include "primitives/amount.h"
#include "util/result.h"

namespace sluice::node {

using JobId = uint64_t;

enum class JobState { kRunning, kDone, kFailed };

struct JobProgress {
    std::string phase;  // "sealing", "confirming", "downloading", "opening", ...
    uint64_t done_bytes{0};
    uint64_t total_bytes{0};
    uint64_t bytes_per_s{0};
    uint32_t peers{0};
    Amount paid;
    Amount fees;            // of opening channels
    Amount estimated_cost;  // of all of it, fees too, from the peers that are asked; 0: not known yet
    std::string waiting_for;  // what holds it up, for people; empty: nothing
};

struct JobInfo {
    JobId id{0};
    std::string kind;     // "publish", "get", "seed"
    std::string subject;  // what it is about, for people: a path or a title
    JobState state{JobState::kRunning};
    JobProgress progress;
    std::optional<Error> error;                 // kFailed
    std::map<std::string, std::string> result;  // kDone: by name ("claim", "txid", "path", ...)
    uint64_t version{0};                        // rises with every change
};

// Long work for users: started by one call, watched by others. Forgets the oldest ended jobs. Thread-safe.
class JobTable {
  public:
    static constexpr size_t kKept = 1'000;
    static constexpr size_t kMaxRunning = 100;

    explicit JobTable(EventHub& events) : m_events(events) {}

    // kUnavailable if too many run already.
    Result<JobId> Start(std::string kind, std::string subject = {});
    void SetProgress(JobId id, const JobProgress& progress);
    void Finish(JobId id, std::map<std::string, std::string> result);
    void Fail(JobId id, Error error);
    std::optional<JobInfo> Find(JobId id) const;
    // Newest first.
    std::vector<JobInfo> List(size_t count) const;

  private:
    // Changes a running job and publishes `detail`.
    void Change(JobId id, const std::string& detail, const std::function<void(JobInfo&)>& change);

    EventHub& m_events;
    mutable std::mutex m_mutex;
    std::map<JobId, JobInfo> m_jobs;
    std::deque<JobId> m_ended;
    JobId m_last{0};
};

}  // namespace sluice::node
