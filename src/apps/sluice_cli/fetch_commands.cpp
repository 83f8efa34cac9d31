#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/gateway_client.h"
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

struct GetOptions {
    std::string claim, path, file, range, max_price_per_mib, max_cost, max_price;
    std::optional<uint64_t> seek;
    bool buy{false};
    bool stream{false};
};

// Where a stream is written: a file, or stdout.
class StreamTarget {
  public:
    static CliResult<StreamTarget> Open(const std::string& path) {
        if (path.empty() || path == "-") return StreamTarget(nullptr);
        if (std::filesystem::exists(path))
            return CliFail(path + " exists already: choose another path, or move it away");
        std::FILE* file = std::fopen(path.c_str(), "wbx");
        if (!file) return CliFail(fmt::format("cannot write to {}: {}", path, std::strerror(errno)));
        return StreamTarget(file);
    }
    bool is_stdout() const { return m_file == nullptr; }
    bool Write(std::string_view bytes) {
        std::FILE* file = m_file ? m_file.get() : stdout;
        return std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() &&
               (m_file != nullptr || std::fflush(file) == 0);
    }
    bool Close() { return !m_file || std::fclose(m_file.release()) == 0; }

  private:
    struct CloseFile {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    explicit StreamTarget(std::FILE* file) : m_file(file) {}
    std::unique_ptr<std::FILE, CloseFile> m_file;
};

void SetLimits(Json& params, const GetOptions& options) {
    SetUnlessEmpty(params, "max_price_per_mib", options.max_price_per_mib);
    SetUnlessEmpty(params, "max_cost", options.max_cost);
}

// Writes the plaintext in its order while it comes.
CliResult<void> GetAsStream(Session& session, const GetOptions& options) {
    std::optional<std::string> range;
    if (!options.range.empty()) range = "bytes=" + options.range;
    if (options.seek) range = fmt::format("bytes={}-", *options.seek);
    Json params{{"claim", options.claim}};
    SetUnlessEmpty(params, "path", options.file);
    SetLimits(params, options);
    ASSIGN_OR_RETURN(const Json url, session.Call("getcontenturl", params));
    ASSIGN_OR_RETURN(StreamTarget target, StreamTarget::Open(options.path));
    bool written = true;
    const auto read = ReadFromGateway(
        TextMember(url, {"url"}), range,
        [&](const GatewayAnswer& answer) {
            session.Hint(
                fmt::format("Streaming {} of {}", FormatSize(answer.length_bytes), FormatSize(answer.size_bytes)));
        },
        [&](std::string_view bytes) { return written = target.Write(bytes); });
    if (!read) return tl::unexpected(read.error());
    // A player that was closed has what it wanted.
    if (!written && target.is_stdout()) return {};
    if (!written || !target.Close())
        return CliFail(fmt::format("{} could not be written whole: is the disk full?", options.path));
    if (!target.is_stdout())
        session.Show(Json{{"path", options.path}, {"bytes", read->length_bytes}, {"first", read->first_byte}},
                     fmt::format("Wrote {} to {}\n", FormatSize(read->length_bytes), options.path));
    return {};
}

CliResult<void> GetToDisk(Session& session, const GetOptions& options) {
    Json params{{"claim", options.claim},
                {"path", std::filesystem::absolute(options.path).lexically_normal().string()}};
    SetUnlessEmpty(params, "file", options.file);
    SetLimits(params, options);
    // Of one file of a folder only its part is fetched: there is no estimate of that.
    const std::string cost =
        options.file.empty() ? CostOf(session, options.claim, options.max_price_per_mib) : std::string();
    ASSIGN_OR_RETURN(const Json started, session.Call("getcontent", params));
    if (!cost.empty()) session.Hint(cost);
    ASSIGN_OR_RETURN(const Json job, session.WaitForJob(started));
    const Json result = Member(job, {"result"});
    const std::string paid = TextMember(result, {"paid"});
    session.Show(result, fmt::format("Opened to {}{}\n", TextMember(params, {"path"}),
                                     paid.empty() ? "" : fmt::format(", {} SLU paid to seeders", paid)));
    return {};
}

Run DeclareGet(CLI::App& app) {
    auto options = std::make_shared<GetOptions>();
    AddClaim(app, options->claim);
    app.add_option("-o,--output", options->path,
                   "Where to put it (default: its title, in this folder; with --stream: stdout, as '-' says too)")
        ->type_name("PATH");
    app.add_option("--file", options->file, "Of a folder this file alone")->type_name("PATH");
    CLI::Option* stream =
        app.add_flag("--stream", options->stream, "Write it in its order while it comes, for players");
    CLI::Option* range =
        app.add_option("--range", options->range, "With --stream: these bytes: FIRST-LAST, FIRST- or -COUNT")
            ->type_name("RANGE")
            ->needs(stream);
    app.add_option("--seek", options->seek, "With --stream: from this byte on")
        ->type_name("BYTE")
        ->needs(stream)
        ->excludes(range);
    AddMoney(app, "--max-price-per-mib", options->max_price_per_mib, "Pay seeders no more for each MiB");
    AddMoney(app, "--max-cost", options->max_cost, "Pay seeders no more in total");
    app.add_flag("--buy", options->buy, "Buy the key first");
    AddMoney(app, "--max-price", options->max_price, "With --buy: do not buy if the key costs more");
    return [options](Session& session) -> CliResult<void> {
        if (options->path.empty() && !options->stream) {
            ASSIGN_OR_RETURN(const Json claim, session.Call("getclaim", Json::array({options->claim})));
            options->path = FileNameFor(claim, ShortId(options->claim));
            if (!options->file.empty()) options->path = std::filesystem::path(options->file).filename().string();
        }
        if (options->buy) RETURN_IF_ERROR(Buy(session, options->claim, 0, options->max_price, true));
        return options->stream ? GetAsStream(session, *options) : GetToDisk(session, *options);
    };
}

Run DeclareUrl(CLI::App& app) {
    struct Options {
        std::string claim, path, max_price_per_mib, max_cost;
        std::optional<uint64_t> ttl;
    };
    auto options = std::make_shared<Options>();
    AddClaim(app, options->claim);
    app.add_option("PATH", options->path, "A file in a folder (default: the single file, or the folder's listing)");
    app.add_option("--ttl", options->ttl, "Seconds that it is good for (default: 86400)")->type_name("SECONDS");
    AddMoney(app, "--max-price-per-mib", options->max_price_per_mib, "Pay seeders no more for each MiB");
    AddMoney(app, "--max-cost", options->max_cost, "Pay seeders no more in total");
    return [options](Session& session) -> CliResult<void> {
        Json params{{"claim", options->claim}};
        SetUnlessEmpty(params, "path", options->path);
        if (options->ttl) params["ttl"] = *options->ttl;
        SetUnlessEmpty(params, "max_price_per_mib", options->max_price_per_mib);
        SetUnlessEmpty(params, "max_cost", options->max_cost);
        ASSIGN_OR_RETURN(const Json made, session.Call("getcontenturl", params));
        session.Show(made, TextMember(made, {"url"}) + "\n");
        return {};
    };
}

Run DeclareSeed(CLI::App& app) {
    struct Options {
        std::string claim, price, min_price, max_price_per_mib, max_cost;
    };
    auto options = std::make_shared<Options>();
    AddClaim(app, options->claim);
    AddMoney(app, "--price", options->price, "What to ask for each MiB (default: the publisher's advice)");
    AddMoney(app, "--min-price", options->min_price,
             "What haggling brings it down to at most (default: the node's -minpricepermib)");
    AddMoney(app, "--max-price-per-mib", options->max_price_per_mib, "Pay seeders no more for each MiB");
    AddMoney(app, "--max-cost", options->max_cost, "Pay seeders no more in total");
    return [options](Session& session) -> CliResult<void> {
        Json params{{"claim", options->claim}};
        SetUnlessEmpty(params, "price_per_mib", options->price);
        SetUnlessEmpty(params, "min_price_per_mib", options->min_price);
        SetUnlessEmpty(params, "max_price_per_mib", options->max_price_per_mib);
        SetUnlessEmpty(params, "max_cost", options->max_cost);
        const std::string cost = CostOf(session, options->claim, options->max_price_per_mib);
        ASSIGN_OR_RETURN(const Json started, session.Call("seedcontent", params));
        if (!cost.empty()) session.Hint(cost);
        ASSIGN_OR_RETURN(const Json job, session.WaitForJob(started));
        session.Show(Member(job, {"result"}), fmt::format("Seeding {}\n", options->claim));
        return {};
    };
}

}  // namespace

std::vector<PersonCommand> FetchCommands() {
    return {
        {"get", "Download a bought claim, paying seeders, and open it; or stream it.", DeclareGet},
        {"url", "Show a URL that plays a bought claim in a browser, mpv or VLC.", DeclareUrl},
        {"seed", "Download a claim sealed and serve it to others for pay.", DeclareSeed},
    };
}

}  // namespace sluice::apps
