#include "rpc/work_pool.h"

namespace sluice::rpc {

bool WorkPool::Post(std::function<void()> task) {
    const std::lock_guard lock(m_mutex);
    if (m_stopping) return false;
    const bool free_thread = m_queue.size() < m_idle;
    if (!free_thread && m_threads.size() < m_max_threads) {
        m_threads.emplace_back([this] { Run(); });
    } else if (!free_thread && m_queue.size() >= m_idle + m_queue_depth) {
        return false;
    }
    m_queue.push_back(std::move(task));
    m_wake.notify_one();
    return true;
}

void WorkPool::Stop() {
    {
        const std::lock_guard lock(m_mutex);
        m_stopping = true;
    }
    m_wake.notify_all();
    for (std::thread& thread : m_threads) thread.join();
    m_threads.clear();
}

void WorkPool::Run() {
    std::unique_lock lock(m_mutex);
    for (;;) {
        ++m_idle;
        m_wake.wait(lock, [this] { return m_stopping || !m_queue.empty(); });
        --m_idle;
        if (m_queue.empty()) return;
        std::function<void()> task = std::move(m_queue.front());
        m_queue.pop_front();
        lock.unlock();
        task();
        task = nullptr;
        lock.lock();
    }
}

}  // namespace sluice::rpc
