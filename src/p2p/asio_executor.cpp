#include <utility>

#include "p2p/asio_internal.h"

#include <sched.h>
#include <sys/eventfd.h>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace sluice::p2p {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Runs the first that comes in this time; true if nothing did.
bool LooksInVain(boost::asio::io_context& io, SteadyClock::time_point until) {
    while (SteadyClock::now() < until) {
        if (io.poll() > 0) return false;
        sched_yield();
    }
    return true;
}

}  // namespace

void RunBusily(boost::asio::io_context& io, const std::function<void()>& when_idle) {
    bool waits_are_short = false;
    while (!io.stopped()) {
        if (io.poll() > 0) continue;
        when_idle();
        const auto idle_since = SteadyClock::now();
        if (waits_are_short && !LooksInVain(io, idle_since + kLook)) continue;
        waits_are_short = io.run_one() > 0 && SteadyClock::now() - idle_since < kShortWait;
    }
}

AsioStrandExecutor::Impl::Impl(boost::asio::io_context& io)
    : strand(boost::asio::make_strand(io)), wakeup(strand, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void AsioStrandExecutor::Impl::Post(std::function<void()> task) {
    // Here it is only put behind what else the strand has to do, with no lock of other threads.
    if (strand.running_in_this_thread()) return boost::asio::post(strand, std::move(task));
    {
        const std::lock_guard lock(mutex);
        posted.push_back(std::move(task));
        if (std::exchange(woken, true)) return;
    }
    (void)eventfd_write(wakeup.native_handle(), 1);
}

void AsioStrandExecutor::Impl::Wait() {
    wakeup.async_wait(boost::asio::posix::descriptor_base::wait_read,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                          if (!error) self->RunPosted();
                      });
}

void AsioStrandExecutor::Impl::RunPosted() {
    eventfd_t count = 0;
    (void)eventfd_read(wakeup.native_handle(), &count);
    {
        const std::lock_guard lock(mutex);
        taken.swap(posted);
        woken = false;
    }
    for (std::function<void()>& task : taken) std::exchange(task, nullptr)();
    taken.clear();
    Wait();
}

AsioStrandExecutor::AsioStrandExecutor(boost::asio::io_context& io) : m_impl(std::make_shared<Impl>(io)) {
    m_impl->Wait();
}

AsioStrandExecutor::~AsioStrandExecutor() {
    boost::system::error_code ignored;
    m_impl->wakeup.close(ignored);
}

void AsioStrandExecutor::Post(std::function<void()> task) { m_impl->Post(std::move(task)); }

void AsioStrandExecutor::PostAfter(milliseconds delay, std::function<void()> task) {
    using Timer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                    boost::asio::wait_traits<std::chrono::steady_clock>, AsioStrand>;
    auto timer = std::make_shared<Timer>(m_impl->strand, delay);
    Timer& waiting = *timer;
    waiting.async_wait([timer = std::move(timer), task = std::move(task)](const boost::system::error_code& error) {
        if (!error) task();
    });
}

}  // namespace sluice::p2p
