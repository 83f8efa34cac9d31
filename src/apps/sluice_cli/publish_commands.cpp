#include <fmt/format.h>

#include <filesystem>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"

namespace sluice::apps {

using rpc::Json;

namespace {

Run DeclarePublish(CLI::App& app) {
    struct Options {
        std::string path, price, title, description, mime, seed_price, ask;
        std::vector<std::string> tags;
        bool free{false};
    };
    auto options = std::make_shared<Options>();
    app.add_option("PATH", options->path, "File or folder to publish")->required();
    AddMoney(app, "--price", options->price, "Price of the key");
    app.add_flag("--free", options->free, "Sell the key for nothing");
    app.add_option("--title", options->title, "Title (default: the file's name)")->type_name("TEXT");
    app.add_option("--description", options->description, "What it is")->type_name("TEXT");
    app.add_option("--tag", options->tags, "Tag; may be repeated")
        ->type_name("TEXT")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.add_option("--mime", options->mime, "Media type (default: by the file's name)")->type_name("TYPE");
    AddMoney(app, "--seed-price", options->seed_price, "What seeders are advised to ask for each MiB");
    AddMoney(app, "--ask", options->ask, "What this node itself asks for each MiB (default: 0)");
    return [options](Session& session) -> CliResult<void> {
        if (options->price.empty() == !options->free) return CliFail("publish: give either --price SLU or --free");
        Json params{{"path", std::filesystem::absolute(options->path).lexically_normal().string()},
                    {"price", options->free ? "0" : options->price}};
        SetUnlessEmpty(params, "title", options->title);
        SetUnlessEmpty(params, "description", options->description);
        SetUnlessEmpty(params, "mime", options->mime);
        SetUnlessEmpty(params, "seed_price", options->seed_price);
        SetUnlessEmpty(params, "ask", options->ask);
        if (options->free) params["free"] = true;
        if (!options->tags.empty()) params["tags"] = options->tags;
        ASSIGN_OR_RETURN(const Json started, session.Call("publishcontent", params));
        ASSIGN_OR_RETURN(const Json job, session.WaitForJob(started));
        const Json result = Member(job, {"result"});
        session.Show(result, fmt::format("Published as claim {}\n", TextMember(result, {"claim"})));
        return {};
    };
}

Run DeclareFeed(CLI::App& app) {
    struct Options {
        uint64_t count{20}, skip{0};
    };
    auto options = std::make_shared<Options>();
    app.add_option("-n,--count", options->count, "How many, newest first")
        ->type_name("N")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_option("--skip", options->skip, "Leave out this many first")->type_name("N");
    return [options](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json claims, session.Call("listclaims", Json::array({options->count, options->skip})));
        std::vector<std::vector<std::string>> rows{{"CLAIM", "PRICE SLU", "SIZE", "TITLE"}};
        for (const Json& claim : claims.is_array() ? claims : Member(claims, {"claims"}))
            rows.push_back({ShortId(TextMember(claim, {"claim", "id"})), TextMember(claim, {"price"}),
                            FormatSize(NumberMember(claim, {"size", "size_bytes"})), TextMember(claim, {"title"})});
        session.Show(claims, rows.size() == 1 ? "Nothing is published.\n" : FormatTable(rows));
        return {};
    };
}

Run DeclareShow(CLI::App& app) {
    auto claim = std::make_shared<std::string>();
    AddClaim(app, *claim);
    return [claim](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json result, session.Call("getclaim", Json::array({*claim})));
        session.Show(result, FormatObject(result, {"title", "claim", "price", "size", "size_bytes", "mime",
                                                   "description", "tags", "seed_price"}));
        return {};
    };
}

}  // namespace

std::vector<PersonCommand> PublishCommands() {
    return {
        {"publish", "Seal a file or folder and offer its key for sale.", DeclarePublish},
        {"feed", "List what was published, newest first.", DeclareFeed},
        {"show", "Show one claim.", DeclareShow},
    };
}

}  // namespace sluice::apps
