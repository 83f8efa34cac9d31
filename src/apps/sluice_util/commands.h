#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "util/result.h"

// How the commands of sluice-util are registered: one file for each group of commands, one Add…Commands function for
// each file, called by main. No command needs a node, a network or a data directory.

namespace sluice::apps {

// What a command did: the program's exit status, or an error that is shown as one line on stderr (exit status 1).
using CommandResult = Result<int>;

// Runs `run` when `command` is chosen on the command line. `exit_status` must outlive the parsing.
void OnCommand(CLI::App& command, int& exit_status, std::function<CommandResult()> run);

// vrf-verify, schnorr-verify, verify-input.
void AddVerifyCommands(CLI::App& app, int& exit_status);
// content-root, seal, open.
void AddContentCommands(CLI::App& app, int& exit_status);
// verify-fraud.
void AddFraudCommands(CLI::App& app, int& exit_status);
// genesis, genesis-show, genesis-template, staker-keys, staker-keys-show, new-phrase.
void AddGenesisCommands(CLI::App& app, int& exit_status);

}  // namespace sluice::apps
