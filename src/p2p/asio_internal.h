#pragma once

#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include "p2p/asio_executor.h"

// Asio's part of AsioStrandExecutor, for the files of this folder that use Asio.

namespace sluice::p2p {

using AsioStrand = boost::asio::strand<boost::asio::io_context::executor_type>;

struct AsioStrandExecutor::Impl {
    explicit Impl(boost::asio::io_context& io) : strand(boost::asio::make_strand(io)) {}
    AsioStrand strand;
};

}  // namespace sluice::p2p
