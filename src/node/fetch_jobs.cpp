#include "node/fetch_jobs.h"

#include <fmt/format.h>

#include <algorithm>

#include "content/manifest.h"
#include "content/voucher.h"

namespace sluice::node {

using namespace content;

namespace {

// Channels lock more than is paid in the end: what is left over comes back when they are settled.
constexpr uint64_t kBudgetFactor = 4;
constexpr Amount kBudgetFloor{kDropsPerSlu / 100};

}  // namespace

DownloadLimits FetchJobs::LimitsFor(const ContentId& content, const FetchLimits& limits) const {
    DownloadLimits result;
    result.max_price_per_mib = limits.max_price_per_mib.value_or(m_prices.max_per_mib);
    Meter meter;
    meter.Add(content.size_bytes, result.max_price_per_mib);
    const uint64_t full = std::min(meter.Owed().drops, kMaxSupply.drops / kBudgetFactor);
    result.budget =
        limits.max_cost.value_or(Amount(std::min(full * kBudgetFactor + kBudgetFloor.drops, kMaxSupply.drops)));
    return result;
}

void FetchJobs::FetchThen(JobId job, const ContentId& content, const DownloadLimits& limits, Amount ask_per_mib,
                          WhenFetched then) {
    m_tasks.PostToNetwork([this, job, content, limits, ask_per_mib, then = std::move(then)] {
        const auto stored = m_chunks.Find(content);
        if (stored && stored->IsComplete()) return then(Amount(0));
        auto& fetches = m_fetches[content];
        fetches.push_back({job, then});
        m_tasks.jobs().SetProgress(job, JobTasks::Phase("downloading"));
        if (fetches.size() > 1) return;
        const Status started = m_swarm.StartDownload(content, limits, ask_per_mib);
        if (started) return;
        m_fetches.erase(content);
        then(Fail(started.error()));
    });
}

void FetchJobs::OnDownloadProgress(const DownloadProgress& progress) {
    const auto found = m_fetches.find(progress.content);
    if (found == m_fetches.end()) return;
    JobProgress shown;
    shown.phase = "downloading";
    shown.done_bytes = progress.stored_bytes;
    shown.total_bytes = progress.total_bytes;
    shown.bytes_per_s = progress.bytes_per_s;
    shown.peers = progress.peers;
    shown.paid = progress.paid;
    if (progress.stored_bytes < progress.total_bytes) shown.waiting_for = progress.waiting_for;
    for (const Fetch& fetch : found->second) m_tasks.jobs().SetProgress(fetch.job, shown);
}

void FetchJobs::OnDownloadFinished(const DownloadFinished& finished) {
    const auto found = m_fetches.extract(finished.content);
    m_events.Publish("download", finished.content.root.Hex(), "finished");
    if (found.empty()) return;
    for (const Fetch& fetch : found.mapped()) fetch.then(finished.paid);
}

void FetchJobs::OnDownloadFailed(const DownloadFailed& failed) {
    const auto found = m_fetches.extract(failed.content);
    m_events.Publish("download", failed.content.root.Hex(), "failed");
    if (found.empty()) return;
    for (const Fetch& fetch : found.mapped()) fetch.then(Fail(failed.error));
}

Status FetchJobs::StopJob(JobId id) {
    const auto job = m_tasks.jobs().Find(id);
    if (!job) return Fail(ErrorKind::kNotFound, fmt::format("there is no job {}: see 'listjobs'", id));
    if (job->state != JobState::kRunning) return Fail(fmt::format("job {} has ended already", id));
    if (job->kind == "publish")
        return Fail(fmt::format("job {} publishes, and cannot be stopped: it ends by itself", id));
    m_tasks.PostToNetwork([this, id] {
        for (auto& [content, fetches] : m_fetches) {
            const auto fetch =
                std::find_if(fetches.begin(), fetches.end(), [&](const Fetch& one) { return one.job == id; });
            if (fetch == fetches.end()) continue;
            const WhenFetched then = std::move(fetch->then);
            fetches.erase(fetch);
            if (fetches.empty()) {
                const ContentId unwanted = content;
                m_fetches.erase(unwanted);
                m_swarm.StopDownload(unwanted);
            }
            return then(Fail(ErrorKind::kUnavailable,
                             "stopped by 'stopjob': what was fetched stays, and the same command goes on with it"));
        }
    });
    return {};
}

Result<JobId> FetchJobs::StartGet(const ClaimId& claim, const std::string& path, const FetchLimits& limits) {
    if (path.empty() || path[0] != '/') return Fail("path must be absolute, not '" + path.substr(0, 200) + "'");
    if (m_tasks.environment().files.Exists(path))
        return Fail(path + " exists already: choose another path, or move it away");
    const size_t slash = path.find_last_of('/');
    const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
    const auto parent_entry = m_tasks.environment().files.Stat(parent);
    if (!parent_entry || parent_entry->kind != storage::DirectoryEntry::Kind::kDirectory)
        return Fail("the folder " + parent + " does not exist: make it first, or choose another path");
    std::erase_if(m_openings, [this](const auto& entry) {
        const auto job = m_tasks.jobs().Find(entry.second.job);
        return !job || job->state != JobState::kRunning;
    });
    if (const auto running = m_openings.find(path); running != m_openings.end()) {
        // Rationale: two that write to one path would give it its name before it is whole.
        if (running->second.claim == claim) return running->second.job;
        return Fail(ErrorKind::kUnavailable,
                    fmt::format("job {} already writes to {}: choose another path", running->second.job, path));
    }
    ASSIGN_OR_RETURN(Claims::Openable found, m_claims.FindOpenable(claim));
    auto openable = std::make_shared<Claims::Openable>(std::move(found));
    const ContentId content = openable->info.record.content;
    ASSIGN_OR_RETURN(const JobId job, m_tasks.jobs().Start("get", path));
    m_openings[path] = {claim, job};
    FetchThen(job, content, LimitsFor(content, limits), openable->info.record.seed_price_per_mib,
              [this, job, openable, path](Result<Amount> paid) {
                  if (!paid) return m_tasks.jobs().Fail(job, paid.error());
                  OpenThen(job, openable, path, *paid);
              });
    return job;
}

void FetchJobs::OpenThen(JobId job, std::shared_ptr<Claims::Openable> openable, const std::string& path, Amount paid) {
    m_tasks.PostLong([this, job, openable, path, paid] {
        const PublishRecord& record = openable->info.record;
        JobProgress progress = JobTasks::Phase("opening");
        progress.paid = paid;
        const auto tell = m_tasks.Tell(job, progress);
        const Status opened = [&]() -> Status {
            ASSIGN_OR_RETURN(const SealedLayout layout, SealedLayout::FromRecord(record));
            const auto stored = m_chunks.Find(record.content);
            if (!stored)
                return Fail(ErrorKind::kUnavailable, "the content was removed from the store meanwhile: get it again");
            ChunkCipher cipher(openable->keys.Clone(), record.sealing_salt, layout);
            if (record.manifest_chunks == 0)
                return OpenToFile(*stored, std::move(cipher), m_tasks.environment().files, path, tell);
            ASSIGN_OR_RETURN(const size_t files, OpenToFolder(*stored, std::move(cipher), m_tasks.environment().files,
                                                              path, m_tasks.environment().file_modes, tell));
            (void)files;
            return {};
        }();
        if (!opened) {
            Error error = opened.error();
            if (error.kind == ErrorKind::kInvalid)
                error.message = "the key that was bought matches the record, but does not open the content (" +
                                error.message +
                                "): the seller published something else under it. The sealed content is kept as proof";
            return m_tasks.jobs().Fail(job, std::move(error));
        }
        m_tasks.jobs().Finish(job, {{"path", path},
                                    {"claim", openable->info.id.Hex()},
                                    {"title", record.title},
                                    {"size", std::to_string(record.content.size_bytes)},
                                    {"paid", FormatSlu(paid)}});
    });
}

Result<JobId> FetchJobs::StartSeed(const ClaimId& claim, std::optional<Amount> price_per_mib,
                                   const FetchLimits& limits) {
    ASSIGN_OR_RETURN(const ClaimInfo info, m_claims.Find(claim));
    const ContentId content = info.record.content;
    const Amount hint = info.record.seed_price_per_mib;
    const Amount ask = price_per_mib.value_or(hint > Amount(0) ? hint : m_prices.seed_per_mib);
    ASSIGN_OR_RETURN(const JobId job, m_tasks.jobs().Start("seed", info.record.title));
    FetchThen(job, content, LimitsFor(content, limits), ask,
              [this, job, content, ask, claim, title = info.record.title](Result<Amount> paid) {
                  if (!paid) return m_tasks.jobs().Fail(job, paid.error());
                  const Status served = m_swarm.Serve(content, ask);
                  if (!served) return m_tasks.jobs().Fail(job, served.error());
                  m_tasks.jobs().Finish(job, {{"claim", claim.Hex()},
                                              {"title", title},
                                              {"size", std::to_string(content.size_bytes)},
                                              {"price_per_mib", FormatSlu(ask)},
                                              {"paid", FormatSlu(*paid)}});
              });
    return job;
}

}  // namespace sluice::node
