#include "node/parallel_headers.h"

#include <gtest/gtest.h>

#include "p2p/asio_executor.h"

namespace sluice::node {
namespace {

// An executor whose threads are all busy with other things.
class StuckExecutor final : public Executor {
  public:
    void Post(std::function<void()> task) override { late.push_back(std::move(task)); }
    void PostAfter(milliseconds, std::function<void()> task) override { Post(std::move(task)); }
    std::vector<std::function<void()>> late;
};

TEST(ParallelHeaders, EveryTaskRunsOnceBeforeTheRunnerReturns) {
    p2p::ThreadPool pool(3, "headers");
    for (const size_t threads : {1u, 2u, 4u}) {
        const chain::HeaderRunner run = MakeParallelHeaderRunner(pool, threads);
        for (const size_t count : {0u, 1u, 3u, 4u, 5u, 2'000u}) {
            std::vector<std::atomic<int>> ran(count);
            run(count, [&](size_t i) { ++ran[i]; });
            for (const auto& times : ran) ASSERT_EQ(times.load(), 1);
        }
    }
}

TEST(ParallelHeaders, ABusyPoolHoldsNothingUpAndComesTooLateForNothing) {
    StuckExecutor pool;
    size_t ran = 0;
    {
        const std::function<void(size_t)> task = [&](size_t) { ++ran; };
        MakeParallelHeaderRunner(pool, 3)(100, task);
    }
    EXPECT_EQ(ran, 100u);
    EXPECT_EQ(pool.late.size(), 2u);
    for (const auto& task : pool.late) task();  // the tasks are gone by now
    EXPECT_EQ(ran, 100u);
}

}  // namespace
}  // namespace sluice::node
