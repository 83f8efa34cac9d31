#include <fmt/format.h>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"

namespace sluice::apps {

using rpc::Json;

namespace {

struct Options {
    std::string content;
    uint64_t quota_bytes{0};
    bool pinned_too{false};
};
using OptionsRef = std::shared_ptr<Options>;

CLI::Option* AddContent(CLI::App& app, Options& options, const std::string& help) {
    return app.add_option("CONTENT", options.content, help)->type_name("CLAIM|ROOT");
}

CliResult<void> List(Session& session) {
    ASSIGN_OR_RETURN(const Json contents, session.Call("listcontent"));
    std::vector<std::vector<std::string>> rows{{"ROOT", "HERE", "OF", "PINNED", "CLAIM", "WHAT"}};
    for (const Json& one : contents) {
        const uint64_t chunks = std::max<uint64_t>(NumberMember(one, {"chunks"}), 1);
        rows.push_back({ShortId(TextMember(one, {"root"})),
                        fmt::format("{} %", NumberMember(one, {"have"}) * 100 / chunks),
                        FormatSize(NumberMember(one, {"size"})), Member(one, {"pinned"}) == true ? "yes" : "no",
                        Member(one, {"orphan"}) == true ? "(orphan)" : ShortId(TextMember(one, {"claim"})),
                        fmt::format("{} {}", TextMember(one, {"as"}), Printable(TextMember(one, {"title"})))});
    }
    session.Show(contents, rows.size() == 1 ? "The store is empty.\n" : FormatTable(rows));
    return {};
}

CliResult<void> Verify(Session& session, const Options& options) {
    Json params = Json::object();
    SetUnlessEmpty(params, "content", options.content);
    ASSIGN_OR_RETURN(const Json started, session.Call("verifycontent", params));
    ASSIGN_OR_RETURN(const Json job, session.WaitForJob(started));
    const Json result = Member(job, {"result"});
    const std::string damaged = TextMember(result, {"damaged"});
    session.Show(result,
                 fmt::format("{} chunks are as they should be{}\n", TextMember(result, {"checked"}),
                             damaged == "0" ? "" : fmt::format("; {} were damaged, and fetched again", damaged)));
    return {};
}

CliResult<void> Pin(Session& session, const Options& options, bool pinned) {
    ASSIGN_OR_RETURN(const Json result,
                     session.Call(pinned ? "pincontent" : "unpincontent", Json::array({options.content})));
    session.Show(result, fmt::format("{} {}\n", ShortId(TextMember(result, {"root"})),
                                     pinned ? "stays when the store needs room" : "may go when the store needs room"));
    return {};
}

CliResult<void> Remove(Session& session, const Options& options) {
    ASSIGN_OR_RETURN(const Json result,
                     session.Call("removecontent", Json::array({options.content, options.pinned_too})));
    session.Show(result,
                 fmt::format("Removed; {} are free again\n", FormatSize(NumberMember(result, {"freed_bytes"}))));
    return {};
}

CliResult<void> Quota(Session& session, const Options& options) {
    ASSIGN_OR_RETURN(const Json result, options.quota_bytes == 0
                                            ? session.Call("getcontentquota")
                                            : session.Call("setcontentquota", Json::array({options.quota_bytes})));
    session.Show(result, fmt::format("Quota {}, used {} (pinned {}), free {}\n",
                                     FormatSize(NumberMember(result, {"quota_bytes"})),
                                     FormatSize(NumberMember(result, {"used_bytes"})),
                                     FormatSize(NumberMember(result, {"pinned_bytes"})),
                                     FormatSize(NumberMember(result, {"free_bytes"}))));
    return {};
}

}  // namespace

Run DeclareContent(CLI::App& app) {
    auto options = std::make_shared<Options>();
    Subcommands subcommands(app);
    const std::string which = "A claim, or the root of what is in the store (or its first 6 digits)";
    subcommands.Add("list", "List what is in the store", List);
    AddContent(*subcommands.Add("verify", "Hash it again; drop what is damaged and fetch that from peers",
                                [options](Session& session) { return Verify(session, *options); }),
               *options, which + " (default: everything)");
    AddContent(*subcommands.Add("pin", "Keep it when the store needs room",
                                [options](Session& session) { return Pin(session, *options, true); }),
               *options, which)
        ->required();
    AddContent(*subcommands.Add("unpin", "Let it go when the store needs room",
                                [options](Session& session) { return Pin(session, *options, false); }),
               *options, which)
        ->required();
    CLI::App* remove = subcommands.Add("remove", "Remove it from the store and from what is served",
                                       [options](Session& session) { return Remove(session, *options); });
    AddContent(*remove, *options, which)->required();
    remove->add_flag("--pinned-too", options->pinned_too, "Also if it is pinned");
    subcommands
        .Add("quota", "Show what the store may take, or change it until the node stops",
             [options](Session& session) { return Quota(session, *options); })
        ->add_option("SIZE", options->quota_bytes, "Such as 500GB (default: show it)")
        ->type_name("SIZE")
        ->transform(CLI::AsSizeValue(false));
    return subcommands.Chosen();
}

}  // namespace sluice::apps
