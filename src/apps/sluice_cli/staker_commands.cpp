#include <fmt/format.h>

#include <memory>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"

namespace sluice::apps {

using rpc::Json;

namespace {

struct Options {
    std::string staker, commission, payout, bond, vrf_key, signing_key;
    uint64_t count{20};
    bool wait{false};
    bool next{false};
};
using OptionsRef = std::shared_ptr<Options>;

void AddKeys(CLI::App& app, Options& options) {
    app.add_option("--commission", options.commission, "Your share of the subsidy in percent, 0 to 10 (default: 5)")
        ->type_name("PERCENT");
    app.add_option("--payout", options.payout,
                   "Address that commission and fees go to (default: a new one of this wallet)")
        ->type_name("ADDRESS");
    app.add_option("--vrf-key", options.vrf_key, "Public VRF key of a node elsewhere (default: this node's)")
        ->type_name("HEX");
    app.add_option("--signing-key", options.signing_key,
                   "Public signing key of a node elsewhere (default: this node's)")
        ->type_name("HEX");
}
void AddStaker(CLI::App& app, Options& options) {
    app.add_option("--staker", options.staker, "Id of the staker (default: this node's own)")->type_name("ID");
}
void AddWait(CLI::App& app, Options& options) { app.add_flag("--wait", options.wait, "Wait until it is in a block"); }

Json Params(const Options& options) {
    Json params = Json::object();
    SetUnlessEmpty(params, "staker", options.staker);
    SetUnlessEmpty(params, "commission", options.commission);
    SetUnlessEmpty(params, "payout", options.payout);
    SetUnlessEmpty(params, "bond", options.bond);
    SetUnlessEmpty(params, "vrf_key", options.vrf_key);
    SetUnlessEmpty(params, "signing_key", options.signing_key);
    return params;
}

// Calls a method that sends a transaction and says what came of it.
CliResult<void> Send(Session& session, const Options& options, const std::string& method, const std::string& done) {
    ASSIGN_OR_RETURN(const Json result, session.Call(method, Params(options)));
    if (options.wait) RETURN_IF_ERROR(session.WaitForConfirmations(Json::array({Member(result, {"txid"})})));
    session.Show(result,
                 done + FormatObject(result, {"staker", "txid", "bond", "bond_free_at_slot", "elects_from_epoch"}));
    return {};
}

CliResult<void> ShowStatus(Session& session, const Options& options) {
    if (!options.staker.empty()) {
        ASSIGN_OR_RETURN(const Json staker, session.Call("getstaker", Params(options)));
        session.Show(staker, FormatResult(staker));
        return {};
    }
    ASSIGN_OR_RETURN(const Json info, session.Call("getstakinginfo"));
    if (const std::string halted = TextMember(info, {"halted"}); !halted.empty())
        session.Hint("HALTED: " + halted + "; once no other node has these keys: sluice-cli staker resume");
    session.Show(info, FormatResult(info));
    return {};
}

CliResult<void> ShowSlots(Session& session, const Options& options) {
    ASSIGN_OR_RETURN(const Json info, session.Call("getslotinfo", Json{{"count", options.count}}));
    std::vector<std::vector<std::string>> rows{{"SLOT", "OUTCOME", "BLOCK", "DETAIL"}};
    for (const Json& slot : Member(info, {"slots"}))
        rows.push_back({TextMember(slot, {"slot"}), TextMember(slot, {"outcome"}),
                        TextMember(slot, {"block"}).substr(0, 16), TextMember(slot, {"detail"})});
    session.Show(info, rows.size() == 1 ? "No slot was won yet.\n" : FormatTable(rows));
    return {};
}

}  // namespace

Run DeclareStaker(CLI::App& app) {
    auto options = std::make_shared<Options>();
    Subcommands subcommands(app);
    CLI::App* keys = subcommands.Add(
        "keys", "Show this node's public operator keys; makes them the first time",
        [options](Session& session) -> CliResult<void> {
            ASSIGN_OR_RETURN(const Json shown, session.Call("makestakerkeys", Json{{"next", options->next}}));
            session.Show(shown, FormatResult(shown));
            return {};
        });
    keys->add_flag("--next", options->next, "Make the keys that are to take their place: 'rotate' publishes them");
    CLI::App* enlist =
        subcommands.Add("register", "Register a staker: this wallet pays the bond", [options](Session& session) {
            return Send(session, *options, "registerstaker", "Registered; it elects two epochs later.\n");
        });
    AddKeys(*enlist, *options);
    AddMoney(*enlist, "--bond", options->bond, "The bond (default: the least)");
    AddWait(*enlist, *options);
    CLI::App* rotate = subcommands.Add(
        "rotate", "Change keys, commission or payout; the node switches by itself", [options](Session& session) {
            return Send(session, *options, "rotatestaker", "Changed; it acts two epochs later.\n");
        });
    AddKeys(*rotate, *options);
    AddStaker(*rotate, *options);
    AddWait(*rotate, *options);
    CLI::App* retire = subcommands.Add("retire", "Stop electing two epochs later; the bond stays locked for a while",
                                       [options](Session& session) {
                                           return Send(session, *options, "retirestaker",
                                                       "Retired. Keep the node running until it "
                                                       "elects no more.\n");
                                       });
    AddStaker(*retire, *options);
    AddWait(*retire, *options);
    CLI::App* release = subcommands.Add(
        "release", "Take the bond back once its lock is over",
        [options](Session& session) { return Send(session, *options, "releasebond", "The bond is free.\n"); });
    AddStaker(*release, *options);
    AddWait(*release, *options);
    CLI::App* status = subcommands.Add("status", "Show keys, registration, weight and what came of won slots",
                                       [options](Session& session) { return ShowStatus(session, *options); });
    AddStaker(*status, *options);
    CLI::App* slots = subcommands.Add("slots", "Show what came of the newest won slots",
                                      [options](Session& session) { return ShowSlots(session, *options); });
    slots->add_option("-n,--count", options->count, "How many")->type_name("N")->check(CLI::Range(1, 1000));
    subcommands.Add("resume", "Go on staking: no other node has these keys", [](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json done, session.Call("resumestaking"));
        session.Show(done, "Staking goes on.\n");
        return {};
    });
    return subcommands.Chosen();
}

}  // namespace sluice::apps
