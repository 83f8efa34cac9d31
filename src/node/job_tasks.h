#pragma once

#include <algorithm>
#include <functional>
#include <utility>

#include "content/sealing.h"
#include "node/environment.h"
#include "node/jobs.h"

namespace sluice::node {

// What jobs go from executor to executor with. A task of a node that has ended is dropped.
class JobTasks {
  public:
    JobTasks(const Environment& environment, JobTable& jobs, Alive alive)
        : m_environment(environment), m_jobs(jobs), m_alive(std::move(alive)) {}

    const Environment& environment() const { return m_environment; }
    JobTable& jobs() const { return m_jobs; }
    const Alive& alive() const { return m_alive; }

    template <class Task>
    void PostToChain(Task task) const {
        Post(m_environment.chain_strand, std::move(task));
    }
    template <class Task>
    void PostToNetwork(Task task) const {
        Post(m_environment.network_strand, std::move(task));
    }
    template <class Task>
    void PostLong(Task task) const {
        Post(m_environment.long_tasks, std::move(task));
    }

    static JobProgress Phase(std::string phase) {
        JobProgress progress;
        progress.phase = std::move(phase);
        return progress;
    }
    // Tells the job every percent; stops the work when the node ends.
    content::Progress Tell(JobId job, JobProgress progress) const {
        return [this, job, progress = std::move(progress), last_percent = -1](uint64_t done, uint64_t total) mutable {
            const int percent = static_cast<int>(done * 100 / std::max<uint64_t>(total, 1));
            if (percent != std::exchange(last_percent, percent)) {
                progress.done_bytes = done;
                progress.total_bytes = total;
                m_jobs.SetProgress(job, progress);
            }
            return m_alive->load();
        };
    }

  private:
    template <class Task>
    void Post(Executor& executor, Task task) const {
        executor.Post([alive = m_alive, task = std::move(task)]() mutable {
            if (*alive) task();
        });
    }

    const Environment& m_environment;
    JobTable& m_jobs;
    Alive m_alive;
};

}  // namespace sluice::node
