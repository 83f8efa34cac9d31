#pragma once

#include "apps/sluice_cli/rpc_client.h"

namespace sluice::apps {

// The commands made for people: each has its own options and --help, and prints text; with -json it prints the result
// alone, as JSON.

bool IsPersonCommand(const std::string& name);
// "  publish   Seal a file …" lines.
std::string ListPersonCommands();
// The command's --help.
std::string HelpOfPersonCommand(const std::string& name);

// Where a command finds its node; asked for only once the arguments are good.
using Connect = std::function<CliResult<RpcClient>()>;
// Precondition: IsPersonCommand(options.method). Prints the results; the status is the process's.
CliResult<int> RunPersonCommand(const CliOptions& options, const Connect& connect);

}  // namespace sluice::apps
