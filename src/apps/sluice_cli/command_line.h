#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rpc/json_rpc.h"
#include "storage/file_system.h"
#include "util/clock.h"

namespace sluice::apps {

// What sluice-cli ends with: one line for people, and the process's status.
struct CliError {
    std::string message;
    int exit_status{1};
};
template <class T>
using CliResult = Result<T, CliError>;
inline tl::unexpected<CliError> CliFail(std::string message, int exit_status = 1) {
    return tl::unexpected<CliError>(CliError{std::move(message), exit_status});
}

struct CliOptions {
    std::string data_dir;  // empty: the default
    std::optional<std::string> conf;
    std::optional<std::string> chain;
    std::optional<std::string> genesis;  // the file of -chain=custom
    std::string host{"127.0.0.1"};
    std::optional<uint16_t> port;  // 0 counts as not given
    seconds timeout{900};          // of one answer; 0: none
    bool named{false};
    bool wait{false};  // until the node answers
    bool json{false};
    bool help{false};
    bool version{false};
    std::string method;             // empty: none was given
    std::vector<std::string> args;  // everything after it
};

// Parses the arguments without the program's name: options with one dash or two up to the first word, which is the
// method.
CliResult<CliOptions> ParseCliOptions(std::span<const std::string> args);

// Where sluiced is and how it knows us.
struct RpcTarget {
    std::string host;
    uint16_t port{0};
    std::string credentials;
    seconds timeout{0};
    std::string start_command;  // what would start that node
};

// Reads sluice.conf, the running node's endpoints.json and its cookie. The port is that of the command line, else of
// sluice.conf, else of endpoints.json, else the chain's own. A custom network that runs here is known by its name
// alone.
CliResult<RpcTarget> FindNode(const CliOptions& options, storage::FileSystem& files);

// The arguments of an RPC call, in the types that `methods` (the result of getmethods) declares: strings, hashes and
// amounts as they are, the rest read as JSON. `named`: each is name=value, and the result is an object. An unknown
// method's arguments are JSON where they parse.
CliResult<rpc::Json> ConvertArguments(const rpc::Json& methods, const std::string& method,
                                      std::span<const std::string> args, bool named);

}  // namespace sluice::apps
