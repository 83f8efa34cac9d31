#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "chain/header_pipeline.h"
#include "consensus/block_rules.h"
#include "content/manifest.h"
#include "p2p/dht_node.h"
#include "p2p/lan_socket.h"
#include "p2p/network.h"
#include "storage/file_system.h"
#include "util/clock.h"
#include "util/executor.h"
#include "util/random.h"

namespace sluice::node {

// False once the node ends: a task that was posted by an object of the node asks it before it touches the object.
using Alive = std::shared_ptr<const std::atomic<bool>>;

// A program of the operating system, run to its end: ffmpeg for previews.
struct ProgramRun {
    std::vector<std::string> arguments;  // the first is its name, to be found in the system's folders; no shell
    milliseconds timeout{60'000};
    size_t max_output_bytes{1 << 20};
    std::function<bool()> keep_on;  // asked now and then; false ends it. May be empty
};
// What it wrote to its standard output. It has no input, may write no file and leaves nothing running. kNotFound if it
// is not installed; kInvalid if it failed, took too long or wrote too much; kUnavailable if it was ended. Blocks.
using ProgramRunner = std::function<Result<Bytes>(const ProgramRun&)>;

// Everything that the node's logic takes from the outside world. The daemon gives it sockets, threads, files and
// clocks; a simulation gives it virtual ones. All of it outlives the node.
struct Environment {
    const Clock& clock;
    RandomSource& random;
    storage::FileSystem& files;
    p2p::Network& network;     // belongs to the network strand
    Executor& network_strand;  // peers, swarm
    Executor& chain_strand;    // chain, mempool, wallet, sale and payment agents
    Executor& workers;         // hashes, encryption, content files: several tasks at once
    Executor& long_tasks;      // sealing and opening whole files, which may take minutes, hands parts to the workers; buffers
    Executor& disk_strand;     // small durable writes that have to stay in order: vouchers, what is seeded
    consensus::SpendRunner spend_runner = consensus::RunSpendsInOrder;  // called on the chain strand
    chain::HeaderRunner header_runner = chain::RunTasksInOrder;         // likewise
    // Whether no other user of the machine reads or writes a file with secrets. Empty: files are nobody else's.
    std::function<Result<bool>(const std::string& path)> is_private_file;
    ProgramRunner run_program;      // empty: there are no programs
    p2p::LanSocket* lan{nullptr};  // of the network strand; null: the local network is not asked
    p2p::DhtNode* dht{nullptr};    // likewise
    content::FileModes file_modes;  // executable bits of published and opened files; may be empty
};

}  // namespace sluice::node
