#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
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

// The subcommands of a command, of which one has to be given.
class Subcommands {
  public:
    explicit Subcommands(CLI::App& app) : m_app(app) {
        m_app.require_subcommand(1);
        m_app.fallthrough();
    }
    // `run` is what it does; its options are added to what this returns.
    CLI::App* Add(const std::string& name, const std::string& help, Run run) {
        CLI::App* sub = m_app.add_subcommand(name, help);
        sub->callback([chosen = m_chosen, run = std::move(run)] { *chosen = run; });
        return sub;
    }
    // Runs the one that was given.
    Run Chosen() const {
        return [chosen = m_chosen](Session& session) { return (*chosen)(session); };
    }

  private:
    CLI::App& m_app;
    std::shared_ptr<Run> m_chosen = std::make_shared<Run>();
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
                         bool wait, const std::string& recipient = {});

// What a download that starts now would cost, for people; empty if nothing is missing or nothing is known.
std::string CostOf(Session& session, const std::string& claim, const std::string& max_price_per_mib);

// For creators, buyers, viewers and seeders.
std::vector<PersonCommand> PublishCommands();
std::vector<PersonCommand> SaleCommands();
std::vector<PersonCommand> FetchCommands();
std::vector<PersonCommand> PaymentCommands();
std::vector<PersonCommand> ProviderCommands();
// `content list|verify|pin|unpin|remove|quota`.
Run DeclareContent(CLI::App& app);
// For operators: `staker keys|register|rotate|retire|release|status|slots|resume`.
Run DeclareStaker(CLI::App& app);
// For holders: `stake delegate|undelegate|redelegate|status`.
Run DeclareStake(CLI::App& app);

}  // namespace sluice::apps
