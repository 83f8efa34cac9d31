#include "node/parallel_spends.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace sluice::node {
namespace {

constexpr size_t kWorthSharing = 4;

// One run over a span of checks. Threads take the next check until none is left.
struct Run {
    explicit Run(std::span<const consensus::SpendCheck> all) : checks(all) {}

    void Work() {
        for (;;) {
            const size_t index = next.fetch_add(1);
            if (index >= checks.size()) return;
            // What comes after a known failure cannot change the verdict.
            if (index < first_failed.load()) {
                if (!checks[index].Run()) {
                    const std::lock_guard lock(mutex);
                    if (index < first_failed.load()) first_failed = index;
                }
            }
            if (done.fetch_add(1) + 1 == checks.size()) {
                const std::lock_guard lock(mutex);
                all_done.notify_all();
            }
        }
    }

    std::span<const consensus::SpendCheck> checks;  // touched only while checks are left, so while the caller waits
    std::atomic<size_t> next{0};
    std::atomic<size_t> done{0};
    std::atomic<size_t> first_failed{SIZE_MAX};
    std::mutex mutex;
    std::condition_variable all_done;
};

}  // namespace

consensus::SpendRunner MakeParallelSpendRunner(Executor& pool, size_t threads) {
    return [&pool, threads](std::span<const consensus::SpendCheck> checks) -> consensus::Verdict<void> {
        if (checks.size() < kWorthSharing || threads < 2) return consensus::RunSpendsInOrder(checks);
        auto run = std::make_shared<Run>(checks);
        const size_t total = checks.size();
        for (size_t i = 1; i < threads; ++i) pool.Post([run] { run->Work(); });
        run->Work();
        std::unique_lock lock(run->mutex);
        run->all_done.wait(lock, [&] { return run->done.load() == total; });
        // Said once more alone, so that the words are those of the runner in order.
        if (const size_t failed = run->first_failed.load(); failed != SIZE_MAX)
            return consensus::RunSpendsInOrder(checks.subspan(failed, 1));
        return {};
    };
}

}  // namespace sluice::node
