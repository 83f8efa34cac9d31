#include "node/parallel_headers.h"

#include <condition_variable>
#include <mutex>

namespace sluice::node {
namespace {

constexpr size_t kWorthSharing = 4;

// One run. Threads take the next task until none is left.
struct Run {
    Run(size_t count_in, const std::function<void(size_t)>& task_in) : count(count_in), task(task_in) {}

    void Work() {
        for (size_t index = next++; index < count; index = next++) {
            task(index);
            if (++done < count) continue;
            const std::lock_guard lock(mutex);
            all_done.notify_all();
        }
    }

    size_t count;
    const std::function<void(size_t)>& task;  // touched only while tasks are left, so while the caller waits
    std::atomic<size_t> next{0};
    std::atomic<size_t> done{0};
    std::mutex mutex;
    std::condition_variable all_done;
};

}  // namespace

chain::HeaderRunner MakeParallelHeaderRunner(Executor& pool, size_t threads) {
    return [&pool, threads](size_t count, const std::function<void(size_t)>& task) {
        if (count < kWorthSharing || threads < 2) return chain::RunTasksInOrder(count, task);
        const auto run = std::make_shared<Run>(count, task);
        for (size_t i = 1; i < threads; ++i) pool.Post([run] { run->Work(); });
        run->Work();
        std::unique_lock lock(run->mutex);
        run->all_done.wait(lock, [&] { return run->done.load() == count; });
    };
}

}  // namespace sluice::node
