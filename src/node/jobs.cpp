#include "node/jobs.h"

#include "util/log.h"

namespace sluice::node {

Result<JobId> JobTable::Start(std::string kind, std::string subject) {
    const std::lock_guard lock(m_mutex);
    if (m_jobs.size() - m_ended.size() >= kMaxRunning)
        return sluice::Fail(ErrorKind::kUnavailable,
                            "there are " + std::to_string(kMaxRunning) + " jobs already: wait until one has ended");
    JobInfo job;
    job.id = ++m_last;
    job.kind = std::move(kind);
    job.subject = std::move(subject);
    m_jobs.emplace(job.id, job);
    return job.id;
}

void JobTable::Change(JobId id, const std::string& detail, const std::function<void(JobInfo&)>& change) {
    {
        const std::lock_guard lock(m_mutex);
        const auto found = m_jobs.find(id);
        if (found == m_jobs.end() || found->second.state != JobState::kRunning) return;
        change(found->second);
        ++found->second.version;
        if (found->second.state != JobState::kRunning) m_ended.push_back(id);
        if (m_ended.size() > kKept) {
            m_jobs.erase(m_ended.front());
            m_ended.pop_front();
        }
    }
    m_events.Publish("job", std::to_string(id), detail);
}

void JobTable::SetProgress(JobId id, const JobProgress& progress) {
    Change(id, progress.phase, [&](JobInfo& job) { job.progress = progress; });
}

void JobTable::Finish(JobId id, std::map<std::string, std::string> result) {
    Change(id, "done", [&](JobInfo& job) {
        job.state = JobState::kDone;
        job.result = std::move(result);
    });
}

void JobTable::Fail(JobId id, Error error) {
    LogWarning("jobs", "job {} failed: {}", id, error.message);
    Change(id, "failed", [&](JobInfo& job) {
        job.state = JobState::kFailed;
        job.error = std::move(error);
    });
}

std::optional<JobInfo> JobTable::Find(JobId id) const {
    const std::lock_guard lock(m_mutex);
    const auto found = m_jobs.find(id);
    if (found == m_jobs.end()) return std::nullopt;
    return found->second;
}

std::vector<JobInfo> JobTable::List(size_t count) const {
    const std::lock_guard lock(m_mutex);
    std::vector<JobInfo> result;
    for (auto job = m_jobs.rbegin(); job != m_jobs.rend() && result.size() < count; ++job)
        result.push_back(job->second);
    return result;
}

}  // namespace sluice::node
