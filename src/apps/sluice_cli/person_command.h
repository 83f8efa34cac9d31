#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "apps/sluice_cli/session.h"

namespace sluice::apps {

// What a command does once its options are parsed.
using Run = std::function<CliResult<void>(Session&)>;

struct PersonCommand {
    std::string name;
    std::string summary;
    // Declares the command's options on `app` and gives what runs once they are parsed.
    std::function<Run(CLI::App& app)> declare;
};

// Adds an option that is an amount of SLU; the text is passed on exactly as it was given.
void AddMoney(CLI::App& app, const std::string& name, std::string& value, const std::string& help,
              bool required = false);
CLI::Option* AddClaim(CLI::App& app, std::string& claim);
// Enough of an id to name it again.
std::string ShortId(const std::string& id);
void SetUnlessEmpty(rpc::Json& object, const std::string& name, const std::string& value);

// Buys a key and shows it; with `wait` also waits for the key.
CliResult<rpc::Json> Buy(Session& session, const std::string& claim, uint64_t tier, const std::string& max_price,
                         bool wait);

// For creators, buyers, viewers and seeders.
std::vector<PersonCommand> PublishCommands();
std::vector<PersonCommand> SaleCommands();
std::vector<PersonCommand> FetchCommands();
std::vector<PersonCommand> PaymentCommands();
// For operators: `staker keys|register|rotate|retire|release|status|slots|resume`.
Run DeclareStaker(CLI::App& app);
// For holders: `stake delegate|undelegate|redelegate|status`.
Run DeclareStake(CLI::App& app);

}  // namespace sluice::apps
