#include <gtest/gtest.h>

#include <stdexcept>

#include "node/call.h"

namespace sluice::node {
namespace {

struct InPlace final : Executor {
    void Post(std::function<void()> task) override { task(); }
    void PostAfter(milliseconds, std::function<void()> task) override { task(); }
};
struct Stopped final : Executor {
    void Post(std::function<void()>) override {}
    void PostAfter(milliseconds, std::function<void()>) override {}
};

TEST(CallOn, GivesTheTasksResult) {
    InPlace executor;
    EXPECT_EQ(CallOn(executor, []() -> Result<int> { return 7; }).value(), 7);
}

TEST(CallOn, AStoppedExecutorIsUnavailable) {
    Stopped executor;
    const auto result = CallOn(executor, []() -> Result<int> { return 7; });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::kUnavailable);
}

TEST(CallOn, WhatATaskThrowsReachesTheCallerAndNotTheExecutor) {
    InPlace executor;
    EXPECT_THROW((void)CallOn(executor, []() -> Result<int> { throw std::runtime_error("no"); }).has_value(),
                 std::runtime_error);
}

}  // namespace
}  // namespace sluice::node
