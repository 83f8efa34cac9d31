#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "apps/sluiced/child_process.h"
#include "apps/sluiced/discovery_links.h"
#include "apps/sluiced/options.h"
#include "node/node.h"
#include "node/parallel_headers.h"
#include "node/parallel_spends.h"
#include "p2p/asio_network.h"
#include "rpc/content_gateway.h"
#include "rpc/cookie.h"
#include "rpc/http_server.h"
#include "rpc/methods.h"

// sluiced: gives the node real sockets, threads, files and clocks, and ends it in order.

namespace sluice::apps {
namespace {

constexpr int kExitFailure = 1;

content::FileModes PosixModes() {
    content::FileModes modes;
    modes.is_executable = [](const std::string& path) {
        struct stat info {};
        return stat(path.c_str(), &info) == 0 && (info.st_mode & S_IXUSR) != 0;
    };
    modes.make_executable = [](const std::string& path) -> Status {
        if (chmod(path.c_str(), 0755) != 0) return Fail(ErrorKind::kEnvironment, path + " cannot be made executable");
        return {};
    };
    return modes;
}

// The threads and executors of the process. Blocks are verified by threads of their own, so that none waits behind
// chunks. Members are destroyed last to first: executors end before what they run on.
struct Threads {
    explicit Threads(size_t workers_wanted)
        : worker_count(workers_wanted ? workers_wanted : std::max<size_t>(1, std::thread::hardware_concurrency())),
          network_strand(io),
          chain(1, "chain"),
          verifiers(worker_count, "verifier"),
          workers(worker_count, "worker", p2p::ThreadPriority::kBulk),
          long_tasks(2, "content", p2p::ThreadPriority::kBulk),
          disk(1, "disk") {}
    ~Threads() { Stop(); }

    void Start() {
        network_thread = std::thread([this] {
            p2p::PrepareThread("network", p2p::ThreadPriority::kNormal);
            io.run();
        });
    }
    // Runs the task on the network strand and returns when it is done; right here if the strand's thread never started.
    void RunOnNetwork(const std::function<void()>& task) {
        if (!network_thread.joinable()) return task();
        std::promise<void> done;
        network_strand.Post([&] {
            task();
            done.set_value();
        });
        done.get_future().wait();
    }
    // Ends every task that runs and drops the rest.
    void Stop() {
        long_tasks.Stop();
        workers.Stop();
        verifiers.Stop();
        chain.Stop();
        io.stop();
        if (network_thread.joinable()) network_thread.join();
        disk.Stop();
    }

    const size_t worker_count;
    boost::asio::io_context io{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{io.get_executor()};
    p2p::AsioStrandExecutor network_strand;
    std::thread network_thread;
    p2p::ThreadPool chain, verifiers, workers, long_tasks, disk;
};

Status WriteEndpoints(storage::FileSystem& files, const std::string& path, uint16_t rpc_port, uint16_t p2p_port,
                      uint16_t gateway_port) {
    const std::string text =
        nlohmann::json{{"rpc", rpc_port}, {"p2p", p2p_port}, {"gateway", gateway_port}}.dump() + "\n";
    return storage::WriteFileAtomically(files, path, AsBytes(text));
}

Result<std::unique_ptr<rpc::HttpServer>> StartRpc(const node::NodeConfig& config, const consensus::Params& params,
                                                  const rpc::MethodTable& table, const rpc::Cookie& cookie) {
    rpc::HttpServerOptions options;
    options.port = config.rpc_port.value_or(params.rpc_port);
    options.credentials = cookie.credentials();
    options.threads = config.rpc_threads;
    return rpc::HttpServer::Start(
        options,
        [&table](const rpc::HttpRequest& request) {
            auto answer = table.Handle(request.body);
            return rpc::HttpAnswer{answer.status, std::move(answer.body)};
        },
        [&table](const rpc::HttpRequest& request) { return table.Waits(request.body); });
}

// Null if the operator wants none.
Result<std::unique_ptr<rpc::ContentGateway>> StartGateway(const node::NodeConfig& config, node::Node& node,
                                                          const rpc::Cookie& cookie, RandomSource& random) {
    if (!config.gateway) return std::unique_ptr<rpc::ContentGateway>();
    rpc::GatewayOptions options;
    options.port = config.gateway_port;
    options.credentials = cookie.credentials();
    options.read_timeout = config.gateway_timeout;
    return rpc::ContentGateway::Start(options, node.streams(), node.content_tokens(), random);
}

// Runs the node until it is asked to stop, or has to.
Status RunDaemon(const node::NodeConfig& config) {
    const auto files = storage::MakePosixFileSystem();
    const std::string folder = config.ChainDir();
    RETURN_IF_ERROR(files->CreateDirectories(folder));
    auto lock = storage::FileLock::Acquire(folder + "/.lock");
    if (!lock && lock.error().kind == ErrorKind::kUnavailable)
        return Fail(ErrorKind::kUnavailable,
                    "the data directory " + folder +
                        " is in use by another sluiced: stop that one, or choose another with -datadir");
    if (!lock) return Fail(lock.error());
    std::optional<storage::FileLock> keys_lock;
    if (!config.staker_keys.empty()) {
        auto held = storage::FileLock::Acquire(config.staker_keys + ".lock");
        if (!held && held.error().kind == ErrorKind::kUnavailable)
            return Fail(ErrorKind::kUnavailable,
                        "the keys in " + config.staker_keys +
                            " are in use by another sluiced: two nodes with the same keys lose the "
                            "bond; stop that one first");
        if (!held) return Fail(held.error());
        keys_lock.emplace(std::move(*held));
    }
    RETURN_IF_ERROR(StartLog(folder + "/debug.log", config.log_level, config.print_to_console));
    LogInfo("node", "Sluice {} starts on {} in {}", node::Node::kVersion, config.chain, folder);

    const SystemClock system_clock;
    node::AdjustableClock clock(system_clock);
    SystemRandom random;
    Threads threads(config.worker_threads);
    p2p::AsioNetwork network(threads.network_strand);
    node::Environment environment{clock,
                                  random,
                                  *files,
                                  network,
                                  threads.network_strand,
                                  threads.chain,
                                  threads.workers,
                                  threads.long_tasks,
                                  threads.disk};
    environment.spend_runner = node::MakeParallelSpendRunner(threads.verifiers, threads.worker_count);
    environment.header_runner = node::MakeParallelHeaderRunner(threads.verifiers, threads.worker_count);
    environment.file_modes = PosixModes();
    environment.run_program = RunProgram;
    environment.is_private_file = node::PosixFileIsPrivate;

    ASSIGN_OR_RETURN(DiscoveryLinks links, OpenDiscoveryLinks(config, threads.network_strand, *files));
    environment.lan = links.lan.get();
    environment.dht = links.dht.get();

    std::promise<std::optional<Error>> stop;
    std::unique_ptr<node::Node> node;
    Status outcome = [&]() -> Status {
        ASSIGN_OR_RETURN(node, node::Node::Open(environment, clock, config));
        node->OnStop([&stop](std::optional<Error> why) { stop.set_value(std::move(why)); });
        boost::asio::signal_set signals(threads.io, SIGINT, SIGTERM);
        signals.async_wait([&](const boost::system::error_code& error, int) {
            if (!error) node->RequestStop();
        });
        threads.Start();
        RETURN_IF_ERROR(node->Start());
        rpc::MethodTable table;
        rpc::AddAllMethods(table, *node);
        ASSIGN_OR_RETURN(const rpc::Cookie cookie, rpc::Cookie::Write(*files, random, folder + "/.cookie"));
        ASSIGN_OR_RETURN(const auto server, StartRpc(config, node->params(), table, cookie));
        ASSIGN_OR_RETURN(const auto gateway, StartGateway(config, *node, cookie, random));
        RETURN_IF_ERROR(WriteEndpoints(*files, folder + "/endpoints.json", server->port(), node->listening_port(),
                                       gateway ? gateway->port() : 0));
        const std::string p2p = config.listen ? "127.0.0.1:" + std::to_string(node->listening_port()) : "off";
        std::printf("Sluice is ready: chain %s, rpc 127.0.0.1:%u, p2p %s\n", config.chain.c_str(), server->port(),
                    p2p.c_str());
        std::fflush(stdout);
        const std::optional<Error> why = stop.get_future().get();
        LogInfo("node", "stopping");
        if (gateway) gateway->Stop();
        server->Stop();
        node->Shutdown();
        if (why) return Fail(*why);
        return {};
    }();
    if (node) node->Shutdown();
    threads.RunOnNetwork([&] {
        network.Stop();
        if (links.lan) links.lan->Stop();
    });
    threads.Stop();
    node.reset();
    LogInfo("node", "stopped");
    FlushLog();
    return outcome;
}

// Buffers of a chunk (256 KiB) go back to the system when they are let go (content::ChunkBuffers keeps some): among
// small blocks of a heap each of them holds pages that nobody uses, twice their own by the end of a download.
void GiveChunkMemoryBack() {
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, 192 << 10);
#endif
}

int Main(int argc, char** argv) {
    GiveChunkMemoryBack();
    umask(077);  // what the node writes is its operator's alone
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    const auto files = storage::MakePosixFileSystem();
    const std::vector<std::string> args(argv + 1, argv + argc);
    const auto options = ParseDaemonOptions(args, *files);
    if (!options) {
        std::fprintf(stderr, "sluiced: %s\n", options.error().message.c_str());
        return kExitFailure;
    }
    if (options->show_help) return std::fputs(HelpText().c_str(), stdout), 0;
    if (options->show_version) return std::fputs(VersionText("sluiced").c_str(), stdout), 0;
    const Status ran = RunDaemon(options->config);
    if (ran) return 0;
    std::fprintf(stderr, "sluiced: %s\n", ran.error().message.c_str());
    return kExitFailure;
}

}  // namespace
}  // namespace sluice::apps

int main(int argc, char** argv) { return sluice::apps::Main(argc, argv); }
