#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "p2p/asio_executor.h"
#include "util/check.h"

namespace sluice::p2p {

struct ThreadPool::Impl {
    using Time = std::chrono::steady_clock::time_point;

    // Moves what is due to the queue; the time of the next delayed task, if any. Needs the lock.
    std::optional<Time> MoveDue() {
        const Time now = std::chrono::steady_clock::now();
        while (!delayed.empty() && delayed.begin()->first <= now) {
            ready.push_back(std::move(delayed.begin()->second));
            delayed.erase(delayed.begin());
        }
        return delayed.empty() ? std::nullopt : std::optional(delayed.begin()->first);
    }

    void Run() {
        std::unique_lock lock(mutex);
        while (!stopped) {
            const auto next = MoveDue();
            if (ready.empty()) {
                if (next) {
                    changed.wait_until(lock, *next);
                } else {
                    changed.wait(lock);
                }
                continue;
            }
            std::function<void()> task = std::move(ready.front());
            ready.pop_front();
            const bool are_more = !ready.empty();
            lock.unlock();
            if (are_more) changed.notify_one();  // not with the lock held, which who is woken needs
            task();
            task = nullptr;
            if (gives_way) OfferCore();
            lock.lock();
        }
    }

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> ready;
    std::multimap<Time, std::function<void()>> delayed;
    bool stopped{false};
    bool gives_way{false};  // between two tasks
    std::vector<std::thread> threads;
};

namespace {

constexpr int kBulkNiceness = 19;
constexpr uint64_t kShortSliceNs = 100'000;
constexpr int64_t kTurnNs = 150'000;  // of OfferCore

int64_t ReadClock(clockid_t clock) {
    timespec time{};
    (void)clock_gettime(clock, &time);
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// What the system refuses stays as it is.
void GiveWay() {
    const sched_param none{};
    (void)sched_setscheduler(0, SCHED_BATCH, &none);
    (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kBulkNiceness);
}

// What wakes up here runs at once, before threads with longer slices are done with theirs (Linux 6.12 and later).
void WantShortSlices() {
    struct {  // sched_attr of sched_setattr(2), which has no function in the C library
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime_ns, deadline_ns, period_ns;
    } attributes{};
    attributes.size = sizeof(attributes);
    attributes.nice = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
    attributes.runtime_ns = kShortSliceNs;
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

void PrepareThread(const std::string& name, ThreadPriority priority) {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    if (priority == ThreadPriority::kBulk) {
        GiveWay();
    } else {
        WantShortSlices();
    }
}

void OfferCore() {
    thread_local int64_t used_before = 0, not_before = 0;
    // The thread's own clock is a system call, this one is not, and no thread uses more of a core than time passes.
    const int64_t now_ns = ReadClock(CLOCK_MONOTONIC);
    if (now_ns < not_before) return;
    const int64_t used_ns = ReadClock(CLOCK_THREAD_CPUTIME_ID);
    const int64_t left_ns = kTurnNs - (used_ns - used_before);
    not_before = now_ns + (left_ns > 0 ? left_ns : kTurnNs);
    if (left_ns > 0) return;
    used_before = used_ns;
    sched_yield();
}

ThreadPool::ThreadPool(size_t threads, const std::string& name, ThreadPriority priority)
    : m_impl(std::make_unique<Impl>()) {
    CHECK(threads >= 1);
    m_impl->gives_way = priority == ThreadPriority::kBulk;
    for (size_t i = 0; i < threads; ++i) {
        m_impl->threads.emplace_back([impl = m_impl.get(), name, priority] {
            PrepareThread(name, priority);
            impl->Run();
        });
    }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Post(std::function<void()> task) {
    {
        const std::lock_guard lock(m_impl->mutex);
        if (m_impl->stopped) return;
        m_impl->ready.push_back(std::move(task));
    }
    m_impl->changed.notify_one();
}

void ThreadPool::PostAfter(milliseconds delay, std::function<void()> task) {
    {
        const std::lock_guard lock(m_impl->mutex);
        if (m_impl->stopped) return;
        m_impl->delayed.emplace(std::chrono::steady_clock::now() + delay, std::move(task));
    }
    m_impl->changed.notify_one();
}

void ThreadPool::Stop() {
    {
        const std::lock_guard lock(m_impl->mutex);
        m_impl->stopped = true;
    }
    m_impl->changed.notify_all();
    for (std::thread& thread : m_impl->threads) {
        if (thread.joinable()) thread.join();
    }
    const std::lock_guard lock(m_impl->mutex);
    m_impl->ready.clear();
    m_impl->delayed.clear();
}

}  // namespace sluice::p2p
