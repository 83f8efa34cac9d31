#include <csignal>
#include <cstdio>
#include <exception>

#include "apps/sluice_util/commands.h"

// sluice-util: the offline tool. Verifies, inspects and builds what needs no node.

namespace sluice::apps {

void OnCommand(CLI::App& command, int& exit_status, std::function<CommandResult()> run) {
    command.callback([&exit_status, run = std::move(run)] {
        const CommandResult result = run();
        if (!result) std::fprintf(stderr, "sluice-util: %s\n", result.error().message.c_str());
        exit_status = result ? *result : 1;
    });
}

namespace {

int Main(int argc, char** argv) {
    CLI::App app{"Offline tool of Sluice: verifies and builds what needs no node.", "sluice-util"};
    app.require_subcommand(1);
    app.failure_message([](const CLI::App*, const CLI::Error& error) {
        return std::string("sluice-util: ") + error.what() + " (see sluice-util --help)\n";
    });
    int exit_status = 0;
    AddVerifyCommands(app, exit_status);
    AddContentCommands(app, exit_status);
    AddFraudCommands(app, exit_status);
    AddGenesisCommands(app, exit_status);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        std::fprintf(stderr, "sluice-util: the output cannot be written: check the disk or the pipe it goes to\n");
        return 1;
    }
    return exit_status;
}

}  // namespace
}  // namespace sluice::apps

int main(int argc, char** argv) {
    std::signal(SIGXFSZ, SIG_IGN);  // a write over a size limit fails, as on a full disk
    try {
        return sluice::apps::Main(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "sluice-util: %s\n", error.what());
        return 1;
    }
}
