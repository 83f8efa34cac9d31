#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace sluice::rpc {

// Threads that run tasks in order of arrival; each is started when a task finds none free. Thread-safe, except Stop.
class WorkPool {
  public:
    // `queue_depth`: tasks that may wait while all `max_threads` are busy.
    WorkPool(size_t max_threads, size_t queue_depth) : m_max_threads(max_threads), m_queue_depth(queue_depth) {}
    ~WorkPool() { Stop(); }
    WorkPool(const WorkPool&) = delete;

    // False if all threads are busy and the queue is full, or after Stop.
    [[nodiscard]] bool Post(std::function<void()> task);
    // Returns once every task that was taken has run. Not from a task.
    void Stop();

  private:
    void Run();

    const size_t m_max_threads;
    const size_t m_queue_depth;
    std::mutex m_mutex;
    std::condition_variable m_wake;
    std::deque<std::function<void()>> m_queue;
    std::vector<std::thread> m_threads;
    size_t m_idle{0};
    bool m_stopping{false};
};

}  // namespace sluice::rpc
