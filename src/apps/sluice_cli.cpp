#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <thread>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_commands.h"
#include "apps/sluice_cli/session.h"

// sluice-cli: talks to a running sluiced, as people or as scripts do.

namespace sluice::apps {
namespace {

using rpc::Json;

constexpr seconds kLongestRpcWait{60};
constexpr milliseconds kRpcWaitStep{100};

constexpr const char* kUsage =
    "Usage: sluice-cli [OPTIONS] COMMAND [ARGUMENTS]\n"
    "\n"
    "Options, with one dash or two:\n"
    "  -datadir=DIR             Folder of the node's data (default: ~/.sluice)\n"
    "  -conf=FILE               Configuration file (default: sluice.conf in that folder)\n"
    "  -chain=NAME, -regtest    The node's chain (default: that of sluice.conf, else regtest)\n"
    "  -genesis=FILE            Genesis file of -chain=custom; a custom network's own name works as NAME too\n"
    "  -rpcconnect=HOST         Where the node is (default: 127.0.0.1)\n"
    "  -rpcport=PORT            Its RPC port (default: that of the running node)\n"
    "  -rpcclienttimeout=S      Longest wait for an answer, in seconds; 0: no limit (default: 900)\n"
    "  -rpcwait                 Wait until the node answers, up to a minute\n"
    "  -named                   Arguments of a method are name=value\n"
    "  -json                    Commands for people print their result alone, as JSON\n"
    "  -version, -help\n"
    "\n"
    "Commands for people (sluice-cli COMMAND --help explains one):\n";
constexpr const char* kUsageEnd =
    "\n"
    "publish, get and seed go on in the node when the command is interrupted: sluice-cli listjobs shows them, stopjob "
    "ends one.\n"
    "Every RPC method of the node is a command too: sluice-cli help lists them, sluice-cli help METHOD explains one.\n";

std::string Usage() { return kUsage + ListPersonCommands() + kUsageEnd; }

CliResult<int> RunHelp(const CliOptions& options, const Connect& connect) {
    if (!options.args.empty() && IsPersonCommand(options.args.front())) {
        std::fputs(HelpOfPersonCommand(options.args.front()).c_str(), stdout);
        return 0;
    }
    const auto client = connect();
    const auto text = client ? client->Call("help", options.args) : CliResult<Json>(tl::unexpected(client.error()));
    if (!text && !options.args.empty()) return tl::unexpected(text.error());
    if (options.args.empty()) std::fputs((Usage() + "\n").c_str(), stdout);
    if (text)
        std::fputs(FormatResult(*text).c_str(), stdout);
    else
        std::fprintf(stderr, "The methods are not listed: %s\n", Printable(text.error().message).c_str());
    return 0;
}

CliResult<int> RunMethod(const CliOptions& options, const Connect& connect) {
    ASSIGN_OR_RETURN(const RpcClient client, connect());
    Json params = options.named ? Json::object() : Json::array();
    if (!options.args.empty()) {
        ASSIGN_OR_RETURN(const Json methods, client.Call("getmethods", Json::array()));
        ASSIGN_OR_RETURN(params, ConvertArguments(methods, options.method, options.args, options.named));
    }
    ASSIGN_OR_RETURN(const Json result, client.Call(options.method, params));
    const std::string text = FormatResult(result);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return 0;
}

CliResult<RpcClient> ConnectOnce(const CliOptions& options) {
    const auto files = storage::MakePosixFileSystem();
    ASSIGN_OR_RETURN(RpcTarget target, FindNode(options, *files));
    return RpcClient(std::move(target));
}

// Tries until the node answers; its last error after kLongestRpcWait.
CliResult<RpcClient> ConnectWaiting(const CliOptions& options) {
    const auto deadline = std::chrono::steady_clock::now() + kLongestRpcWait;
    for (;;) {
        auto client = ConnectOnce(options);
        const auto answer =
            client ? client->Call("uptime", Json::array()) : CliResult<Json>(tl::unexpected(client.error()));
        if (answer) return client;
        if (std::chrono::steady_clock::now() >= deadline) return tl::unexpected(answer.error());
        std::this_thread::sleep_for(kRpcWaitStep);
    }
}

CliResult<int> Run(std::span<const std::string> args) {
    ASSIGN_OR_RETURN(const CliOptions options, ParseCliOptions(args));
    if (options.version) {
        std::fputs("sluice-cli of Sluice 0.1.0\n", stdout);
        return 0;
    }
    if (options.help) {
        std::fputs(Usage().c_str(), stdout);
        return 0;
    }
    if (options.method.empty()) return CliFail("no command was given: see sluice-cli --help");
    const Connect connect = [&] { return options.wait ? ConnectWaiting(options) : ConnectOnce(options); };
    if (options.method == "help") return RunHelp(options, connect);
    if (IsPersonCommand(options.method)) return RunPersonCommand(options, connect);
    return RunMethod(options, connect);
}

int Main(int argc, char** argv) {
    const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
    const CliResult<int> status = Run(args);
    if (!status) {
        std::fprintf(stderr, "error: %s\n", Printable(status.error().message, true).c_str());
        return status.error().exit_status;
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        std::fprintf(stderr, "error: the output cannot be written: check the disk or the pipe it goes to\n");
        return 1;
    }
    return *status;
}

}  // namespace
}  // namespace sluice::apps

int main(int argc, char** argv) {
    try {
        return sluice::apps::Main(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
}
