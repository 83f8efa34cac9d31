#include <fmt/format.h>

#include <filesystem>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"

namespace sluice::apps {

using rpc::Json;

namespace {

std::string FileNameFor(const Json& claim, const std::string& otherwise) {
    std::string name = Printable(TextMember(claim, {"title"}));
    for (char& c : name)
        if (c == '/' || c == '\\') c = '_';
    while (!name.empty() && name.front() == '.') name.erase(name.begin());
    return name.empty() || name.size() > 200 ? otherwise : name;
}

Run DeclareGet(CLI::App& app) {
    struct Options {
        std::string claim, path, max_price_per_mib, max_cost, max_price;
        bool buy{false};
    };
    auto options = std::make_shared<Options>();
    AddClaim(app, options->claim);
    app.add_option("-o,--output", options->path, "Where to put it (default: its title, in this folder)")
        ->type_name("PATH");
    AddMoney(app, "--max-price-per-mib", options->max_price_per_mib, "Pay seeders no more for each MiB");
    AddMoney(app, "--max-cost", options->max_cost, "Pay seeders no more in total");
    app.add_flag("--buy", options->buy, "Buy the key first");
    AddMoney(app, "--max-price", options->max_price, "With --buy: do not buy if the key costs more");
    return [options](Session& session) -> CliResult<void> {
        if (options->path.empty()) {
            ASSIGN_OR_RETURN(const Json claim, session.Call("getclaim", Json::array({options->claim})));
            options->path = FileNameFor(claim, ShortId(options->claim));
        }
        if (options->buy) RETURN_IF_ERROR(Buy(session, options->claim, 0, options->max_price, true));
        Json params{{"claim", options->claim},
                    {"path", std::filesystem::absolute(options->path).lexically_normal().string()}};
        SetUnlessEmpty(params, "max_price_per_mib", options->max_price_per_mib);
        SetUnlessEmpty(params, "max_cost", options->max_cost);
        ASSIGN_OR_RETURN(const Json started, session.Call("getcontent", params));
        ASSIGN_OR_RETURN(const Json job, session.WaitForJob(started));
        const Json result = Member(job, {"result"});
        const std::string paid = TextMember(result, {"paid"});
        session.Show(result, fmt::format("Opened to {}{}\n", TextMember(params, {"path"}),
                                         paid.empty() ? "" : fmt::format(", {} SLU paid to seeders", paid)));
        return {};
    };
}

Run DeclareSeed(CLI::App& app) {
    struct Options {
        std::string claim, price;
    };
    auto options = std::make_shared<Options>();
    AddClaim(app, options->claim);
    AddMoney(app, "--price", options->price, "What to ask for each MiB (default: the publisher's advice)");
    return [options](Session& session) -> CliResult<void> {
        Json params = Json::array({options->claim});
        if (!options->price.empty()) params.push_back(options->price);
        ASSIGN_OR_RETURN(const Json started, session.Call("seedcontent", params));
        ASSIGN_OR_RETURN(const Json job, session.WaitForJob(started));
        session.Show(Member(job, {"result"}), fmt::format("Seeding {}\n", options->claim));
        return {};
    };
}

}  // namespace

std::vector<PersonCommand> FetchCommands() {
    return {
        {"get", "Download a bought claim, paying seeders, and open it.", DeclareGet},
        {"seed", "Download a claim sealed and serve it to others for pay.", DeclareSeed},
    };
}

}  // namespace sluice::apps
