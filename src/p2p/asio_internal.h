#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/strand.hpp>

#include "p2p/asio_executor.h"

// Asio's part of AsioStrandExecutor, for the files of this folder that use Asio.

namespace sluice::p2p {

using AsioStrand = boost::asio::strand<boost::asio::io_context::executor_type>;

// Tasks from other threads go through a list and an eventfd. Rationale: Asio's own post wakes the thread with its lock
// held. The thread that is woken then takes the core of the one that woke it, cannot go on without the lock, and waits
// until a thread that gives way to everybody has a core again.
struct AsioStrandExecutor::Impl : std::enable_shared_from_this<Impl> {
    explicit Impl(boost::asio::io_context& io);
    void Post(std::function<void()> task);
    void Wait();
    void RunPosted();

    AsioStrand strand;
    boost::asio::posix::basic_stream_descriptor<AsioStrand> wakeup;
    std::mutex mutex;  // of these two
    std::vector<std::function<void()>> posted;
    bool woken{false};                         // since the list was last taken
    std::vector<std::function<void()>> taken;  // on the strand: those that run
};

}  // namespace sluice::p2p
