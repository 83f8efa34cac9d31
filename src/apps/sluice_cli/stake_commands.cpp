#include <fmt/format.h>

#include <memory>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"
#include "primitives/amount.h"

namespace sluice::apps {

using rpc::Json;

namespace {

struct Options {
    std::string amount{"all"}, staker, to;
    bool wait{false};
};
using OptionsRef = std::shared_ptr<Options>;

void AddPart(CLI::App& app, Options& options) {
    app.add_option("AMOUNT", options.amount, "How much of the stake, or 'all' (default)")
        ->type_name("SLU")
        ->check([](const std::string& text) {
            if (text == "all") return std::string();
            const auto amount = ParseSlu(text, "the amount");
            return amount ? std::string() : amount.error().message;
        });
}
void AddStaker(CLI::App& app, Options& options, const std::string& help, bool required = false) {
    CLI::Option* option = app.add_option("STAKER", options.staker, help)->type_name("ID");
    if (required) option->required();
}
void AddWait(CLI::App& app, Options& options) { app.add_flag("--wait", options.wait, "Wait until it is in a block"); }

CliResult<void> Send(Session& session, const Options& options, const std::string& method, const Json& params) {
    ASSIGN_OR_RETURN(const Json result, session.Call(method, params));
    if (options.wait) RETURN_IF_ERROR(session.WaitForConfirmations(Json::array({Member(result, {"txid"})})));
    session.Show(result, FormatObject(result, {"txid", "staker", "amount", "stake", "accrued", "fee", "received",
                                               "earns_from_epoch"}));
    return {};
}

CliResult<void> ShowStatus(Session& session) {
    ASSIGN_OR_RETURN(const Json status, session.Call("getstakestatus"));
    std::vector<std::vector<std::string>> rows{
        {"STAKER", "STAKE SLU", "ACCRUED SLU", "SINCE EPOCH", "EARNS FROM", "STATUS", "COMMISSION %"}};
    for (const Json& each : Member(status, {"delegations"}))
        rows.push_back({TextMember(each, {"staker"}), TextMember(each, {"amount"}), TextMember(each, {"accrued"}),
                        FormatValue(Member(each, {"since_epoch"})), FormatValue(Member(each, {"earns_from_epoch"})),
                        TextMember(each, {"staker_status"}), TextMember(each, {"commission"})});
    std::string text = rows.size() == 1 ? std::string("No money is staked.\n") : FormatTable(rows);
    std::vector<std::vector<std::string>> bonds{{"BOND OF", "SLU", "STATUS", "FREE AT SLOT"}};
    for (const Json& each : Member(status, {"bonds"}))
        bonds.push_back({TextMember(each, {"staker"}), TextMember(each, {"amount"}), TextMember(each, {"status"}),
                         FormatValue(Member(each, {"free_at_slot"}))});
    if (bonds.size() > 1) text += "\n" + FormatTable(bonds);
    text += fmt::format("\nEpoch {}; staked {} SLU, accrued {} SLU\n", FormatValue(Member(status, {"epoch"})),
                        TextMember(status, {"staked"}), TextMember(status, {"accrued"}));
    session.Show(status, text);
    return {};
}

}  // namespace

Run DeclareStake(CLI::App& app) {
    auto options = std::make_shared<Options>();
    Subcommands subcommands(app);
    CLI::App* delegate = subcommands.Add(
        "delegate", "Stake money with a staker; it can be taken back at any time", [options](Session& session) {
            return Send(session, *options, "delegate", Json{{"staker", options->staker}, {"amount", options->amount}});
        });
    AddMoney(*delegate, "AMOUNT", options->amount, "How much", true);
    AddStaker(*delegate, *options, "Id of the staker (sluice-cli liststakers)", true);
    AddWait(*delegate, *options);
    CLI::App* undelegate = subcommands.Add(
        "undelegate", "Take stake back with all that it has earned, the newest first", [options](Session& session) {
            Json params{{"amount", options->amount}};
            SetUnlessEmpty(params, "staker", options->staker);
            return Send(session, *options, "undelegate", params);
        });
    AddPart(*undelegate, *options);
    AddStaker(*undelegate, *options, "Take it from this staker (default: from all)");
    AddWait(*undelegate, *options);
    CLI::App* redelegate = subcommands.Add("redelegate", "Move stake, with all that it has earned, to another staker",
                                           [options](Session& session) {
                                               Json params{{"to", options->to}, {"amount", options->amount}};
                                               SetUnlessEmpty(params, "staker", options->staker);
                                               return Send(session, *options, "redelegate", params);
                                           });
    redelegate->add_option("TO", options->to, "Id of the staker that gets it")->type_name("ID")->required();
    AddPart(*redelegate, *options);
    AddStaker(*redelegate, *options, "Take it from this staker (default: from all others)");
    AddWait(*redelegate, *options);
    subcommands.Add("status", "Show this wallet's delegations and bonds", ShowStatus);
    return subcommands.Chosen();
}

}  // namespace sluice::apps
