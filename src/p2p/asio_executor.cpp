#include <utility>

#include "p2p/asio_internal.h"

#include <sched.h>

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

void RunNetwork(boost::asio::io_context& io) {
    bool waits_are_short = false;
    while (!io.stopped()) {
        if (io.poll() > 0) continue;
        const auto idle_since = SteadyClock::now();
        if (waits_are_short && !LooksInVain(io, idle_since + kLook)) continue;
        waits_are_short = io.run_one() > 0 && SteadyClock::now() - idle_since < kShortWait;
    }
}

AsioStrandExecutor::AsioStrandExecutor(boost::asio::io_context& io) : m_impl(std::make_unique<Impl>(io)) {}
AsioStrandExecutor::~AsioStrandExecutor() = default;

void AsioStrandExecutor::Post(std::function<void()> task) { boost::asio::post(m_impl->strand, std::move(task)); }

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
