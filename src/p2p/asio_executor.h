#pragma once

#include <memory>
#include <string>

#include "util/executor.h"

namespace boost::asio {
class io_context;
}

namespace sluice::p2p {

// A strand of an io_context that the caller owns and runs on as many threads as it likes; it always has something to
// wait for. Post and PostAfter are thread-safe. Destroy it before the io_context, after the threads have stopped.
class AsioStrandExecutor final : public Executor {
  public:
    explicit AsioStrandExecutor(boost::asio::io_context& io);
    ~AsioStrandExecutor() override;
    void Post(std::function<void()> task) override;
    void PostAfter(milliseconds delay, std::function<void()> task) override;

    struct Impl;
    Impl& impl() { return *m_impl; }  // for AsioNetwork

  private:
    std::shared_ptr<Impl> m_impl;
};

// Runs what is posted to `io` and waits for it, until it is stopped, and calls `when_idle` each time there is nothing
// to do. After a wait that was short (with the task that ended it) it looks for more for kLook before it sleeps again,
// and others have the core while it finds nothing. For the thread of the bulk lanes. Rationale: beside a download it
// waits for a few microseconds thousands of times a second, and to be woken costs more than that, the sender most of
// all; besides, Linux wakes a reader on the writer's core, where the two then wait for each other.
void RunBusily(boost::asio::io_context& io, const std::function<void()>& when_idle);
inline constexpr microseconds kLook{50};
inline constexpr microseconds kShortWait{300};

// Bulk threads give way to all others: a block, a request of the operator or a read from a socket does not wait for
// chunks to be hashed.
enum class ThreadPriority { kNormal, kBulk };
// Names the calling thread and has the system treat it so.
void PrepareThread(const std::string& name, ThreadPriority priority);

// Lets whoever waits for this core have it, if the calling thread has used it for 0.15 ms since it was last asked. For
// busy threads, between two pieces of work. Rationale: the kernel ends a turn at a tick of its clock, up to 4 ms away,
// and that long a block on its way through another thread would wait.
void OfferCore();

// Threads that run posted tasks, several at once, oldest first. Stop (or the destructor) finishes the tasks that run,
// drops the rest and joins. Thread-safe.
class ThreadPool final : public Executor {
  public:
    // `threads` ≥ 1. With one thread it is a strand.
    ThreadPool(size_t threads, const std::string& name, ThreadPriority priority = ThreadPriority::kNormal);
    ~ThreadPool() override;
    void Post(std::function<void()> task) override;
    void PostAfter(milliseconds delay, std::function<void()> task) override;
    void Stop();

  private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace sluice::p2p
