#include "apps/sluice_cli/command_line.h"

#include <fmt/format.h>

#include <charconv>

#include "consensus/genesis.h"
#include "node/conf_file.h"
#include "node/genesis_choice.h"
#include "rpc/cookie.h"

namespace sluice::apps {

using rpc::Json;

namespace {

constexpr size_t kMaxEndpointsBytes = 4096;
constexpr int kMaxNesting = 64;

CliResult<uint64_t> ParseNumber(std::string_view name, const std::string& text, uint64_t most) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || number > most)
        return CliFail(fmt::format("-{}={}: give a whole number from 0 to {}", name, text.substr(0, 40), most));
    return number;
}

CliResult<bool> ReadFlag(CliOptions& options, std::string_view name, const std::optional<std::string>& value) {
    bool* flag = name == "named"     ? &options.named
                 : name == "rpcwait" ? &options.wait
                 : name == "json"    ? &options.json
                 : name == "help"    ? &options.help
                 : name == "version" ? &options.version
                                     : nullptr;
    if (!flag && name != "regtest") return false;
    const bool off = value == "0" || value == "false";
    if (value && !off && *value != "1" && *value != "true")
        return CliFail(fmt::format("-{}={}: give 1 or 0", name, value->substr(0, 40)));
    if (flag)
        *flag = !off;
    else if (!off)
        options.chain = "regtest";
    return true;
}

CliResult<void> ReadValue(CliOptions& options, std::string_view name, const std::string& value) {
    if (name == "datadir") {
        options.data_dir = value;
    } else if (name == "conf") {
        options.conf = value;
    } else if (name == "chain") {
        options.chain = value;
    } else if (name == "genesis") {
        options.genesis = value;
    } else if (name == "rpcconnect") {
        options.host = value;
    } else if (name == "rpcport") {
        ASSIGN_OR_RETURN(const uint64_t port, ParseNumber(name, value, 65535));
        if (port > 0) options.port = static_cast<uint16_t>(port);
    } else {
        ASSIGN_OR_RETURN(const uint64_t timeout, ParseNumber(name, value, 1'000'000));
        options.timeout = seconds(static_cast<int64_t>(timeout));
    }
    return {};
}

bool TakesValue(std::string_view name) {
    for (const std::string_view known :
         {"datadir", "conf", "chain", "genesis", "rpcconnect", "rpcport", "rpcclienttimeout"})
        if (name == known) return true;
    return false;
}

// The JSON of `text`, unless it is none or too deep.
std::optional<Json> ParseJson(const std::string& text) {
    bool too_deep = false;
    const auto watch_depth = [&](int depth, Json::parse_event_t, Json&) {
        too_deep = too_deep || depth > kMaxNesting;
        return !too_deep;
    };
    Json json = Json::parse(text, watch_depth, false);
    return json.is_discarded() || too_deep ? std::nullopt : std::optional(std::move(json));
}

CliResult<Json> ConvertOne(const std::string& name, const std::string& type, const std::string& text) {
    if (type == "string" || type == "hex string" || type == "amount") return Json(text);
    auto json = ParseJson(text);
    if (json) return std::move(*json);
    if (type == "any") return Json(text);
    return CliFail(fmt::format("{} must be of type {}, not '{}'", name, type, text.substr(0, 80)));
}

std::string TypeOf(const Json& args, const std::string& name) {
    for (const Json& arg : args)
        if (arg.value("name", "") == name) return arg.value("type", "any");
    return "any";
}

bool IsBuiltIn(std::string_view chain) {
    const auto& names = consensus::kBuiltInNetworks;
    return std::find(names.begin(), names.end(), chain) != names.end();
}

CliResult<std::optional<uint16_t>> PortOfRunningNode(storage::FileSystem& files, const std::string& path) {
    const auto bytes = storage::ReadWholeFile(files, path, kMaxEndpointsBytes);
    if (!bytes) return std::nullopt;
    const Json json = Json::parse(ToString(*bytes), nullptr, false);
    if (!json.is_object() || !json.contains("rpc") || !json["rpc"].is_number_unsigned() || json["rpc"] > 65535 ||
        json["rpc"] == 0)
        return CliFail(path + " is damaged: restart sluiced, or give -rpcport");
    return json["rpc"].get<uint16_t>();
}

}  // namespace

CliResult<CliOptions> ParseCliOptions(std::span<const std::string> args) {
    CliOptions options;
    for (size_t i = 0; i < args.size(); ++i) {
        const std::string& arg = args[i];
        if (arg.size() < 2 || arg.front() != '-') {
            options.method = arg;
            options.args.assign(args.begin() + static_cast<ptrdiff_t>(i) + 1, args.end());
            return options;
        }
        std::string_view text = arg;
        text.remove_prefix(text.starts_with("--") ? 2 : 1);
        const size_t equals = text.find('=');
        std::string_view name = text.substr(0, equals);
        if (name == "h" || name == "?") name = "help";
        std::optional<std::string> value =
            equals == std::string_view::npos ? std::nullopt : std::optional(std::string(text.substr(equals + 1)));
        ASSIGN_OR_RETURN(const bool is_flag, ReadFlag(options, name, value));
        if (is_flag) continue;
        if (!TakesValue(name))
            return CliFail(fmt::format("there is no option '{}': see sluice-cli --help", arg.substr(0, 80)));
        if (!value && i + 1 < args.size()) value = args[++i];
        if (!value || value->empty()) return CliFail(fmt::format("-{} needs a value: write -{}=VALUE", name, name));
        RETURN_IF_ERROR(ReadValue(options, name, *value));
    }
    return options;
}

CliResult<RpcTarget> FindNode(const CliOptions& options, storage::FileSystem& files) {
    const auto fail = [](const Error& error) { return CliFail(error.message); };
    const std::string data_dir = options.data_dir.empty() ? node::DefaultDataDir() : options.data_dir;
    const auto conf =
        node::LoadConfFile(files, options.conf.value_or(data_dir + "/sluice.conf"), options.conf.has_value());
    if (!conf) return fail(conf.error());
    const std::string asked = options.chain ? *options.chain : conf->Value("chain", "").value_or("regtest");
    const auto choice = node::ChooseGenesis(files, asked, options.genesis, *conf);
    if (!choice) return fail(choice.error());
    const std::string& chain = choice->chain;

    RpcTarget target{options.host, options.port.value_or(0), {}, options.timeout, "sluiced"};
    if (!options.data_dir.empty()) target.start_command += " -datadir=" + data_dir;
    if (options.chain)
        target.start_command +=
            " -chain=" + (IsBuiltIn(chain) ? chain : "custom -genesis=" + options.genesis.value_or("FILE"));
    if (target.port == 0) {
        if (const auto line = conf->Value("rpcport", chain)) {
            ASSIGN_OR_RETURN(const uint64_t port, ParseNumber("rpcport", *line, 65535));
            target.port = static_cast<uint16_t>(port);
        }
    }
    const std::string chain_dir = data_dir + "/" + chain;
    if (target.port == 0) {
        ASSIGN_OR_RETURN(const auto running, PortOfRunningNode(files, chain_dir + "/endpoints.json"));
        target.port = running.value_or(0);
    }
    if (target.port == 0) {
        // A custom network that is not running here: what to start is told below.
        if (choice->genesis) {
            target.port = choice->genesis->params.rpc_port;
        } else if (IsBuiltIn(chain)) {
            const auto genesis = consensus::BuiltInGenesis(chain);
            if (!genesis) return CliFail(genesis.error().message);
            target.port = genesis->params.rpc_port;
        }
    }
    auto credentials = rpc::ReadCookie(files, chain_dir + "/.cookie");
    if (!credentials && credentials.error().kind == ErrorKind::kNotFound && target.port == 0)
        return CliFail(fmt::format("no sluiced of the network '{}' runs in {}: start it with: {}", chain, data_dir,
                                   target.start_command));
    if (!credentials && credentials.error().kind == ErrorKind::kNotFound)
        return CliFail(
            fmt::format("cannot reach sluiced at {}:{}: there is no cookie in {}: is it running? start it with: {}",
                        target.host, target.port, chain_dir, target.start_command));
    if (!credentials) return fail(credentials.error());
    target.credentials = std::move(*credentials);
    return target;
}

CliResult<Json> ConvertArguments(const Json& methods, const std::string& method, std::span<const std::string> args,
                                 bool named) {
    const auto found = methods.find(method);
    const Json declared = found != methods.end() && found->contains("args") ? (*found)["args"] : Json::array();
    Json params = named ? Json::object() : Json::array();
    for (size_t i = 0; i < args.size(); ++i) {
        if (!named) {
            const bool known = i < declared.size();
            const std::string name = known ? declared[i].value("name", "") : fmt::format("argument {}", i + 1);
            ASSIGN_OR_RETURN(Json value, ConvertOne(name, known ? declared[i].value("type", "any") : "any", args[i]));
            params.push_back(std::move(value));
            continue;
        }
        const size_t equals = args[i].find('=');
        if (equals == std::string::npos || equals == 0)
            return CliFail(fmt::format("'{}' is not name=value, which -named asks for", args[i].substr(0, 80)));
        const std::string name = args[i].substr(0, equals);
        if (params.contains(name)) return CliFail(fmt::format("{} is given twice", name));
        ASSIGN_OR_RETURN(params[name], ConvertOne(name, TypeOf(declared, name), args[i].substr(equals + 1)));
    }
    return params;
}

}  // namespace sluice::apps
