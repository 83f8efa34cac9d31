#include <fmt/format.h>

#include <filesystem>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"

namespace sluice::apps {

using rpc::Json;

namespace {

Run DeclareSettle(CLI::App& app) {
    auto wait = std::make_shared<bool>(false);
    app.add_flag("--wait", *wait, "Wait until it is in a block");
    return [wait](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json settled, session.Call("settlechannels"));
        const Json txids = Member(settled, {"txids"});
        if (*wait) RETURN_IF_ERROR(session.WaitForConfirmations(txids));
        std::string text = "Nothing to settle.\n";
        if (!txids.empty())
            text = fmt::format("Settled {} SLU in {}\n", TextMember(settled, {"amount"}), FormatValue(txids));
        session.Show(settled, text);
        return {};
    };
}

// "0.01" or "0.01 to 0.02".
std::string RangeText(const Json& range) {
    const std::string low = TextMember(range, {"low"}), high = TextMember(range, {"high"});
    return low == high ? low : low + " to " + high;
}

std::string CostText(const Json& estimate) {
    const Json cost = Member(estimate, {"cost"});
    if (!cost.is_object())
        return fmt::format("No seeder that is connected has it for {} SLU per MiB or less",
                           TextMember(estimate, {"max_price_per_mib"}));
    return fmt::format("Getting the {} that are missing costs {} SLU from {} seeders, {} of it for opening channels",
                       FormatSize(Member(estimate, {"missing_bytes"}).get<uint64_t>()), RangeText(cost),
                       Member(estimate, {"seeders"}).get<uint64_t>(),
                       TextMember(estimate, {"channel_fees"}).empty() ? "0" : TextMember(estimate, {"channel_fees"}));
}

Run DeclareCost(CLI::App& app) {
    struct Options {
        std::string claim, max_price_per_mib;
    };
    auto options = std::make_shared<Options>();
    AddClaim(app, options->claim);
    AddMoney(app, "--max-price-per-mib", options->max_price_per_mib, "Leave dearer seeders out");
    return [options](Session& session) -> CliResult<void> {
        Json params{{"claim", options->claim}};
        SetUnlessEmpty(params, "max_price_per_mib", options->max_price_per_mib);
        ASSIGN_OR_RETURN(const Json estimate, session.Call("estimatedownloadcost", params));
        session.Show(estimate, CostText(estimate) + "\n");
        return {};
    };
}

std::string ChannelsText(const Json& channels) {
    std::string text;
    for (const Json& c : Member(channels, {"earning"})) {
        const std::string phase = TextMember(c, {"phase"});
        text += fmt::format("earning {}  {} of {} SLU, {}{}", ShortId(TextMember(c, {"channel"})),
                            TextMember(c, {"earned"}), TextMember(c, {"capacity"}), phase,
                            Member(c, {"connected"}) == true ? ", connected" : "");
        if (phase != "closed" && phase != "settling") {
            text += ", settle by block " + Member(c, {"settle_by_height"}).dump();
            if (Member(c, {"worth_settling"}) != true) text += " (not worth its fee yet)";
        }
        text += '\n';
    }
    for (const Json& c : Member(channels, {"paying"})) {
        text += fmt::format("paying  {}  {} of {} SLU, {}, expires at block {}\n", ShortId(TextMember(c, {"channel"})),
                            TextMember(c, {"paid"}), TextMember(c, {"capacity"}), TextMember(c, {"state"}),
                            Member(c, {"expiry_height"}).dump());
    }
    return text.empty() ? "No channels.\n" : text;
}

Run DeclareChannels(CLI::App&) {
    return [](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json channels, session.Call("listchannels"));
        session.Show(channels, ChannelsText(channels));
        return {};
    };
}

Run DeclareEarnings(CLI::App& app) {
    struct Options {
        std::string by{"title"};
        uint64_t days{0};
    };
    auto options = std::make_shared<Options>();
    app.add_option("--by", options->by, "One line for each title, peer or day")
        ->check(CLI::IsMember({"title", "peer", "day", "all"}))
        ->capture_default_str();
    app.add_option("--days", options->days, "Only so many days back (default: all)")->check(CLI::Range(1, 36'500));
    return [options](Session& session) -> CliResult<void> {
        Json params{{"by", options->by}};
        if (options->days > 0) params["days"] = options->days;
        ASSIGN_OR_RETURN(const Json earnings, session.Call("getearnings", params));
        std::string text;
        for (const Json& row : Member(earnings, {"rows"})) {
            std::string name = Printable(TextMember(row, {"title"}));
            if (name.empty()) name = ShortId(TextMember(row, {"content"}));
            const std::string peer = ShortId(TextMember(row, {"node"})), day = TextMember(row, {"day"});
            if (options->by == "peer") name = peer;
            if (options->by == "day") name = day;
            if (options->by == "all") name = day + "  " + peer + "  " + name;
            text += fmt::format("{:>14} SLU  {:>10}  {}\n", TextMember(row, {"earned"}),
                                FormatSize(Member(row, {"served_bytes"}).get<uint64_t>()), name);
        }
        text += fmt::format("{:>14} SLU  {:>10}  in all; {} SLU are not settled\n", TextMember(earnings, {"earned"}),
                            FormatSize(Member(earnings, {"served_bytes"}).get<uint64_t>()),
                            TextMember(earnings, {"unsettled"}));
        session.Show(earnings, text);
        return {};
    };
}

Run DeclareVouchers(CLI::App& app) {
    Subcommands commands(app);
    auto path = std::make_shared<std::string>();
    const auto run = [path](const std::string& method, const std::string& done) {
        return [path, method, done](Session& session) -> CliResult<void> {
            const std::string absolute = std::filesystem::absolute(*path).lexically_normal().string();
            ASSIGN_OR_RETURN(const Json answer, session.Call(method, Json::array({absolute})));
            session.Show(answer, fmt::format("{} {} channels\n", done, Member(answer, {"channels"}).dump()));
            return {};
        };
    };
    commands
        .Add("backup", "Write what it takes, beside the wallet's phrase, to settle elsewhere.",
             run("backupvouchers", "Wrote"))
        ->add_option("PATH", *path, "The file; one that is there is replaced")
        ->required();
    commands.Add("restore", "Take over the channels of a backup, and settle them.", run("restorevouchers", "Restored"))
        ->add_option("PATH", *path, "The file")
        ->required();
    return commands.Chosen();
}

}  // namespace

std::string CostOf(Session& session, const std::string& claim, const std::string& max_price_per_mib) {
    Json params{{"claim", claim}};
    SetUnlessEmpty(params, "max_price_per_mib", max_price_per_mib);
    const auto estimate = session.Call("estimatedownloadcost", params);
    return estimate && Member(*estimate, {"missing_bytes"}) != 0 ? CostText(*estimate) : std::string();
}

std::vector<PersonCommand> PaymentCommands() {
    return {
        {"cost", "Say what getting a claim would cost, beside its key.", DeclareCost},
        {"channels", "List payment channels.", DeclareChannels},
        {"earnings", "Show what seeding has earned.", DeclareEarnings},
        {"settle", "Collect on chain what downloaders paid.", DeclareSettle},
        {"vouchers", "Back up unsettled earnings, or restore them.", DeclareVouchers},
    };
}

}  // namespace sluice::apps
