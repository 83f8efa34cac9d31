#pragma once

#include <future>
#include <memory>
#include <type_traits>

#include "util/executor.h"
#include "util/result.h"

namespace sluice::node {

// Runs `task` on `executor` and waits for its Result; for threads of front ends only, never on a strand. If the
// executor stops first, the answer is kUnavailable. What the task throws is thrown here.
template <class Task>
std::invoke_result_t<Task> CallOn(Executor& executor, Task task) {
    using Answer = std::invoke_result_t<Task>;
    auto promise = std::make_shared<std::promise<Answer>>();
    auto future = promise->get_future();
    executor.Post([promise, task = std::make_shared<Task>(std::move(task))]() mutable {
        try {
            promise->set_value((*task)());
        } catch (...) {
            promise->set_exception(std::current_exception());  // the front end's to answer for, not the strand's
        }
        promise.reset();
    });
    promise.reset();
    try {
        return future.get();
    } catch (const std::future_error&) {
        return Fail(ErrorKind::kUnavailable, "the node is stopping");
    }
}

}  // namespace sluice::node
