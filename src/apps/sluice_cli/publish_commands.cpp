#include <fmt/format.h>

#include <filesystem>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"

namespace sluice::apps {

using rpc::Json;

namespace {

std::string Absolute(const std::string& path) { return std::filesystem::absolute(path).lexically_normal().string(); }

struct PublishOptions {
    std::string path, price, title, description, mime, language, seed_price, ask, preview, thumbnail, segments,
        segment_price;
    std::vector<std::string> tags, endpoints, segment;
    uint32_t preview_seconds{0};
    bool free{false}, no_preview{false}, new_edition{false};
};
using PublishOptionsRef = std::shared_ptr<PublishOptions>;

void AddTexts(CLI::App& app, std::vector<std::string>& texts, const std::string& name, const std::string& type,
              const std::string& help) {
    app.add_option(name, texts, help)
        ->type_name(type)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

// What publish and update share.
void AddRecordOptions(CLI::App& app, PublishOptions& options) {
    AddMoney(app, "--price", options.price, "Price of the key");
    app.add_flag("--free", options.free, "Sell the key for nothing: it is published");
    app.add_option("--title", options.title, "Title (new claim: default the file's name)")->type_name("TEXT");
    app.add_option("--description", options.description, "What it is")->type_name("TEXT");
    AddTexts(app, options.tags, "--tag", "TEXT", "Tag; may be repeated");
    app.add_option("--mime", options.mime, "Media type")->type_name("TYPE");
    app.add_option("--language", options.language, "Language tag, such as en or pt-BR")->type_name("TAG");
    AddTexts(app, options.endpoints, "--endpoint", "IP:PORT", "A node that serves it; may be repeated");
    AddMoney(app, "--seed-price", options.seed_price, "What seeders are advised to ask for each MiB");
    AddMoney(app, "--ask", options.ask, "What this node itself asks for each MiB (default: 0)");
    AddTexts(app, options.segment, "--segment", "PATH=SLU",
             "Of a folder: sell a file, folder or glob (* ? **) on its own, too; may be repeated");
    app.add_option("--segments", options.segments, "Of a folder: 'per-file' sells each file on its own, too")
        ->check(CLI::IsMember({"per-file"}));
    AddMoney(app, "--segment-price", options.segment_price, "With --segments per-file: price of each");
    app.add_option("--preview", options.preview,
                   "File that everybody sees, at most 64 MiB (default: a clip, made with ffmpeg)")
        ->type_name("FILE");
    app.add_option("--thumbnail", options.thumbnail, "Picture that everybody sees (default: made with ffmpeg)")
        ->type_name("FILE");
    app.add_option("--preview-seconds", options.preview_seconds, "Length of the clip (default: 15)")
        ->type_name("N")
        ->check(CLI::Range(1, 600));
    app.add_flag("--no-preview", options.no_preview, "Make no preview and no thumbnail");
}

CliResult<void> SetSegments(const std::string& command, const PublishOptions& options, Json& params) {
    if (options.segments.empty() != options.segment_price.empty())
        return CliFail(command + ": --segments per-file and --segment-price SLU go together");
    SetUnlessEmpty(params, "segments_per_file", options.segment_price);
    Json segments = Json::array();
    for (const std::string& text : options.segment) {
        const size_t equals = text.rfind('=');
        if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
            return CliFail(fmt::format("{}: --segment is PATH=SLU, not '{}'", command, text));
        segments.push_back({{"path", text.substr(0, equals)}, {"price", text.substr(equals + 1)}});
    }
    if (!segments.empty()) params["segments"] = segments;
    return {};
}

CliResult<Json> ParamsOf(const std::string& command, const PublishOptions& options) {
    Json params = Json::object();
    if (!options.path.empty()) params["path"] = Absolute(options.path);
    SetUnlessEmpty(params, "price", options.price);
    SetUnlessEmpty(params, "title", options.title);
    SetUnlessEmpty(params, "description", options.description);
    SetUnlessEmpty(params, "mime", options.mime);
    SetUnlessEmpty(params, "language", options.language);
    SetUnlessEmpty(params, "seed_price", options.seed_price);
    SetUnlessEmpty(params, "ask", options.ask);
    if (options.free) params["free"] = true;
    if (!options.tags.empty()) params["tags"] = options.tags;
    if (!options.endpoints.empty()) params["endpoints"] = options.endpoints;
    if (!options.preview.empty()) params["preview"] = Absolute(options.preview);
    if (!options.thumbnail.empty()) params["thumbnail"] = Absolute(options.thumbnail);
    if (options.no_preview) params["make_previews"] = false;
    if (options.preview_seconds > 0) params["preview_seconds"] = options.preview_seconds;
    RETURN_IF_ERROR(SetSegments(command, options, params));
    return params;
}

CliResult<void> RunJob(Session& session, const std::string& method, const Json& params,
                       const std::function<std::string(const Json& result)>& text) {
    ASSIGN_OR_RETURN(const Json started, session.Call(method, params));
    ASSIGN_OR_RETURN(const Json job, session.WaitForJob(started));
    const Json result = Member(job, {"result"});
    const std::string notes = TextMember(result, {"notes"});
    if (!notes.empty()) session.Hint("No preview: " + notes);
    session.Show(result, text(result));
    return {};
}

Run DeclarePublish(CLI::App& app) {
    auto options = std::make_shared<PublishOptions>();
    app.add_option("PATH", options->path, "File or folder to publish")->required();
    AddRecordOptions(app, *options);
    return [options](Session& session) -> CliResult<void> {
        if (options->price.empty() == !options->free) return CliFail("publish: give either --price SLU or --free");
        ASSIGN_OR_RETURN(const Json params, ParamsOf("publish", *options));
        return RunJob(session, "publishcontent", params, [](const Json& result) {
            return fmt::format("Published as claim {}\n", TextMember(result, {"claim"}));
        });
    };
}

Run DeclareUpdate(CLI::App& app) {
    auto options = std::make_shared<PublishOptions>();
    auto claim = std::make_shared<std::string>();
    AddClaim(app, *claim);
    app.add_option("PATH", options->path, "New content (default: only what the options say changes)");
    AddRecordOptions(app, *options);
    app.add_flag("--new-edition", options->new_edition,
                 "With PATH: under a new key, to be bought anew (default: earlier buyers open it, too)");
    return [options, claim](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(Json params, ParamsOf("update", *options));
        params["claim"] = *claim;
        if (options->new_edition) params["new_edition"] = true;
        return RunJob(session, "updatecontent", params, [](const Json& result) {
            return fmt::format("Updated claim {}\n", TextMember(result, {"claim"}));
        });
    };
}

Run DeclareRetire(CLI::App& app) {
    auto claim = std::make_shared<std::string>();
    AddClaim(app, *claim);
    return [claim](Session& session) -> CliResult<void> {
        return RunJob(session, "retireclaim", Json::array({*claim}), [](const Json& result) {
            return fmt::format("Retired; {} SLU came back\n", TextMember(result, {"returned"}));
        });
    };
}

Run DeclareTransfer(CLI::App& app) {
    auto claim = std::make_shared<std::string>();
    auto address = std::make_shared<std::string>();
    AddClaim(app, *claim);
    app.add_option("ADDRESS", *address, "Address of the new owner's wallet")->required();
    return [claim, address](Session& session) -> CliResult<void> {
        return RunJob(session, "transferclaim", Json::array({*claim, *address}), [](const Json& result) {
            return fmt::format("Transferred in {}\n", TextMember(result, {"txid"}));
        });
    };
}

// preview and thumbnail.
Run DeclareShowPart(CLI::App& app, const std::string& method) {
    auto claim = std::make_shared<std::string>();
    auto path = std::make_shared<std::string>();
    AddClaim(app, *claim);
    app.add_option("-o,--output", *path, "Where to put it")->type_name("PATH")->required();
    return [claim, path, method](Session& session) -> CliResult<void> {
        return RunJob(session, method, Json::array({*claim, Absolute(*path)}),
                      [](const Json& result) { return fmt::format("Written to {}\n", TextMember(result, {"path"})); });
    };
}

Run DeclareExportTorrent(CLI::App& app) {
    auto claim = std::make_shared<std::string>();
    auto path = std::make_shared<std::string>();
    AddClaim(app, *claim);
    app.add_option("PATH", *path, "The .torrent file to make")->required();
    return [claim, path](Session& session) -> CliResult<void> {
        return RunJob(session, "exporttorrent", Json::array({*claim, Absolute(*path)}),
                      [](const Json& result) { return TextMember(result, {"magnet"}) + "\n"; });
    };
}

Run DeclareImportChunks(CLI::App& app) {
    auto claim = std::make_shared<std::string>();
    auto path = std::make_shared<std::string>();
    AddClaim(app, *claim);
    app.add_option("SEALEDFILE", *path, "The claim's sealed file, whole or in part")->required();
    return [claim, path](Session& session) -> CliResult<void> {
        return RunJob(session, "importchunks", Json::array({*claim, Absolute(*path)}), [](const Json& result) {
            return fmt::format("{} chunks taken; {} of {} are here\n", TextMember(result, {"added"}),
                               TextMember(result, {"have"}), TextMember(result, {"chunks"}));
        });
    };
}

Run DeclareFeed(CLI::App& app) {
    struct Options {
        uint64_t count{20}, skip{0};
        bool own{false};
    };
    auto options = std::make_shared<Options>();
    app.add_option("-n,--count", options->count, "How many, newest first")
        ->type_name("N")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_option("--skip", options->skip, "Leave out this many first")->type_name("N");
    app.add_flag("--own", options->own, "All claims of this wallet, and no others");
    return [options](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json claims,
                         session.Call("listclaims", Json::array({options->count, options->skip, options->own})));
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
        Json shown = result;
        std::vector<std::vector<std::string>> rows{{"TIER", "PRICE SLU", "SIZE"}};
        for (const Json& segment : Member(result, {"segments"}))
            rows.push_back({TextMember(segment, {"tier"}), TextMember(segment, {"price"}),
                            FormatSize(NumberMember(segment, {"chunks"}) * (256 << 10))});
        shown.erase("segments");
        std::string text = FormatObject(
            shown, {"title", "claim", "price", "size", "size_bytes", "mime", "description", "tags", "seed_price"});
        if (rows.size() > 1) text += "\nSegments, each with a key of its own (buy --tier N):\n" + FormatTable(rows);
        session.Show(result, text);
        return {};
    };
}

}  // namespace

std::vector<PersonCommand> PublishCommands() {
    return {
        {"publish", "Seal a file or folder and offer its key for sale.", DeclarePublish},
        {"update", "Change a claim's terms, or publish a new version or edition.", DeclareUpdate},
        {"retire", "End a claim; its deposit comes back.", DeclareRetire},
        {"transfer", "Give a claim to another wallet.", DeclareTransfer},
        {"feed", "List what was published, newest first.", DeclareFeed},
        {"show", "Show one claim.", DeclareShow},
        {"preview", "Fetch a claim's preview, which costs nothing.",
         [](CLI::App& app) { return DeclareShowPart(app, "getpreview"); }},
        {"thumbnail", "Fetch a claim's thumbnail, which costs nothing.",
         [](CLI::App& app) { return DeclareShowPart(app, "getthumbnail"); }},
        {"exporttorrent", "Write a BitTorrent v2 torrent of a claim's sealed content.", DeclareExportTorrent},
        {"importchunks", "Take a claim's sealed content from a file.", DeclareImportChunks},
        {"content", "The store of sealed content: list, verify, pin, unpin, remove, quota.", DeclareContent},
    };
}

}  // namespace sluice::apps
