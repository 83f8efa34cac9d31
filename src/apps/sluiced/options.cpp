#include "apps/sluiced/options.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <functional>
#include <map>

#include "consensus/genesis_file.h"
#include "node/conf_file.h"
#include "node/genesis_choice.h"

namespace sluice::apps {
namespace {

using node::NodeConfig;

// Where an option may be given, and what of it.
enum class Kind { kFlag, kValue, kList, kCommandLineOnly };

struct Option {
    std::string_view category;
    std::string_view name;
    std::string_view value;  // what stands after '=' in the help; empty for a flag
    Kind kind;
    std::string_view help;
    std::function<Status(NodeConfig&, const std::string&)> apply;  // none: handled before the rest
};

Result<uint64_t> ParseNumber(std::string_view name, const std::string& text, uint64_t least, uint64_t most) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || number < least || number > most)
        return Fail(fmt::format("-{}={}: give a whole number from {} to {}", name, text.substr(0, 40), least, most));
    return number;
}

Result<bool> ParseFlag(std::string_view name, const std::string& text) {
    if (text.empty() || text == "1" || text == "true") return true;
    if (text == "0" || text == "false") return false;
    return Fail(fmt::format("-{}={}: give 1 or 0", name, text.substr(0, 40)));
}

// A whole number in [least, most], times `unit`, stored by `store`.
template <class Store>
auto Number(std::string_view name, uint64_t least, uint64_t most, Store store) {
    return [=](NodeConfig& config, const std::string& text) -> Status {
        ASSIGN_OR_RETURN(const uint64_t number, ParseNumber(name, text, least, most));
        store(config, number);
        return {};
    };
}

auto Flag(std::string_view name, bool NodeConfig::*member) {
    return [=](NodeConfig& config, const std::string& text) -> Status {
        ASSIGN_OR_RETURN(config.*member, ParseFlag(name, text));
        return {};
    };
}

// On, off, or not said.
auto Choice(std::string_view name, std::optional<bool> NodeConfig::*member) {
    return [=](NodeConfig& config, const std::string& text) -> Status {
        ASSIGN_OR_RETURN(config.*member, ParseFlag(name, text));
        return {};
    };
}

auto Money(std::string_view name, Amount NodeConfig::*member) {
    return [=](NodeConfig& config, const std::string& text) -> Status {
        ASSIGN_OR_RETURN(config.*member, ParseSlu(text, fmt::format("-{}", name)));
        return {};
    };
}

auto List(std::string_view name, std::vector<std::string> NodeConfig::*member) {
    return [=](NodeConfig& config, const std::string& text) -> Status {
        if (text.empty()) return Fail(fmt::format("-{} is empty: give an address", name));
        (config.*member).push_back(text);
        return {};
    };
}

// Each use of the option adds to the schedule.
auto Rate(std::string_view name, BandwidthSchedule BandwidthLimits::*member) {
    return [=](NodeConfig& config, const std::string& text) -> Status {
        std::vector<std::string> rates = (config.bandwidth.*member).ToStrings();
        rates.push_back(text);
        auto parsed = BandwidthSchedule::Parse(rates);
        if (!parsed) return Fail(fmt::format("-{}: {}", name, parsed.error().message));
        config.bandwidth.*member = std::move(*parsed);
        return {};
    };
}

Status ApplyDebug(NodeConfig& config, const std::string& text) {
    ASSIGN_OR_RETURN(const bool on, ParseFlag("debug", text));
    config.log_level = on ? LogLevel::kDebug : LogLevel::kInfo;
    return {};
}

Status ApplyLogLevel(NodeConfig& config, const std::string& text) {
    static const std::map<std::string, LogLevel> kLevels{{"debug", LogLevel::kDebug},
                                                         {"info", LogLevel::kInfo},
                                                         {"warning", LogLevel::kWarning},
                                                         {"error", LogLevel::kError}};
    const auto level = kLevels.find(text);
    if (level == kLevels.end())
        return Fail(fmt::format("-loglevel={}: give debug, info, warning or error", text.substr(0, 40)));
    config.log_level = level->second;
    return {};
}

Status ApplyCheckpoint(NodeConfig& config, const std::string& text) {
    const size_t colon = text.find(':');
    const auto hash = BlockHash::FromHex(text.substr(0, colon));
    if (!hash || colon == std::string::npos)
        return Fail(fmt::format("-checkpoint={}: give a block's hash of 64 hexadecimal digits, a colon and its height",
                                text.substr(0, 80)));
    ASSIGN_OR_RETURN(const uint64_t height, ParseNumber("checkpoint", text.substr(colon + 1), 1, UINT32_MAX));
    const chain::Checkpoint checkpoint{*hash, Height(static_cast<uint32_t>(height))};
    for (const chain::Checkpoint& other : config.checkpoints)
        if (other.height == checkpoint.height && other.hash != checkpoint.hash)
            return Fail(fmt::format("-checkpoint={}: another checkpoint has this height: only one can be right", text));
    config.checkpoints.push_back(checkpoint);
    return {};
}

Status ApplyAssumeValid(NodeConfig& config, const std::string& text) {
    config.assume_valid = BlockHash::FromHex(text);
    if (!config.assume_valid && text != "0")
        return Fail(fmt::format("-assumevalid={}: give a block's hash of 64 hexadecimal digits, or 0 for none",
                                text.substr(0, 80)));
    return {};
}

// Options of this category are for tests and stay out of the help.
constexpr std::string_view kHidden = "Hidden";

const std::vector<Option>& Options() {
    static const std::vector<Option> options{
        {"General", "help", "", Kind::kCommandLineOnly, "Print this and exit.", {}},
        {"General", "version", "", Kind::kCommandLineOnly, "Print the version and exit.", {}},
        {"General", "datadir", "DIR", Kind::kCommandLineOnly, "Folder of all data (default: ~/.sluice).", {}},
        {"General",
         "conf",
         "FILE",
         Kind::kCommandLineOnly,
         "Configuration file (default: sluice.conf in the data folder).",
         {}},
        {"General", "chain", "NAME", Kind::kValue, "Chain to follow: regtest, or custom (default: regtest).", {}},
        {"General", "regtest", "", Kind::kFlag, "The same as -chain=regtest.", {}},
        {"General",
         "genesis",
         "FILE",
         Kind::kValue,
         "Genesis file of -chain=custom, as sluice-util genesis makes it; the data goes to the folder of its name.",
         {}},
        {"General", "checkpoint", "HASH:HEIGHT", Kind::kList,
         "Follow only chains that have this block at this height, as somebody you trust told you.", ApplyCheckpoint},
        {"General", "assumevalid", "HASH", Kind::kValue,
         "Take the signatures of this block and those before it as verified; 0: of none (default: 0).",
         ApplyAssumeValid},
        {"General", "dbcache", "MIB", Kind::kValue, "Memory for the databases' cache, 4 to 16384 MiB (default: 64).",
         Number("dbcache", 4, 16384, [](NodeConfig& c, uint64_t n) { c.db_cache_bytes = n << 20; })},
        {"General", "par", "N", Kind::kValue, "Threads that verify, 0 to 64; 0: one for each core (default: 0).",
         Number("par", 0, 64, [](NodeConfig& c, uint64_t n) { c.worker_threads = n; })},
        {"General", "debug", "", Kind::kFlag, "Log what helps to find faults; the same as -loglevel=debug.",
         ApplyDebug},
        {"General", "loglevel", "LEVEL", Kind::kValue,
         "Least level of the log: debug, info, warning or error (default: info).", ApplyLogLevel},
        {"General", "printtoconsole", "", Kind::kFlag, "Also log to stderr.",
         Flag("printtoconsole", &NodeConfig::print_to_console)},
        {"General", "mocktime", "SECONDS", Kind::kValue,
         "Clock that stands at this Unix time until setmocktime moves it; regtest only.",
         Number("mocktime", 1, uint64_t{1} << 40,
                [](NodeConfig& c, uint64_t n) { c.mock_time_s = static_cast<int64_t>(n); })},

        {"Connections", "port", "PORT", Kind::kValue,
         "Port that peers connect to; 0: any free one (default: the chain's).",
         Number("port", 0, 65535, [](NodeConfig& c, uint64_t n) { c.port = static_cast<uint16_t>(n); })},
        {"Connections", "listen", "", Kind::kFlag, "Accept connections of peers (default: 1).",
         Flag("listen", &NodeConfig::listen)},
        {"Connections", "bind", "ADDRESS", Kind::kList,
         "Address to listen on (default: 127.0.0.1 on regtest, else all).", List("bind", &NodeConfig::bind)},
        {"Connections", "addnode", "HOST:PORT", Kind::kList, "Keep a connection to this peer.",
         List("addnode", &NodeConfig::add_nodes)},
        {"Connections", "connect", "HOST:PORT", Kind::kList, "Connect to these peers alone.",
         List("connect", &NodeConfig::connect)},
        {"Connections", "maxconnections", "N", Kind::kValue, "Most connections to peers, 0 to 10000 (default: 125).",
         Number("maxconnections", 0, 10000, [](NodeConfig& c, uint64_t n) { c.max_peers = n; })},

        {"Connections", "seednode", "IP:PORT", Kind::kList,
         "Ask this node for addresses of others when none is left to connect to.",
         List("seednode", &NodeConfig::seed_nodes)},
        {"Connections", "findproviders", "", Kind::kFlag,
         "Connect to other nodes that may serve what is downloaded (default: 1; with -connect: 0).",
         Flag("findproviders", &NodeConfig::find_providers)},
        {"Connections", "maxproviders", "N", Kind::kValue,
         "Most connections to such nodes, on top of -maxconnections, 0 to 1000 (default: 16).",
         Number("maxproviders", 0, 1000, [](NodeConfig& c, uint64_t n) { c.max_providers = n; })},
        {"Connections", "lan", "", Kind::kFlag,
         "Find nodes and content on the local network by multicast (default: 1; 0 on regtest, with -connect, or with "
         "-bind to loopback alone).",
         Choice("lan", &NodeConfig::lan)},
        {"Connections", "dht", "", Kind::kFlag,
         "Find nodes and content by BitTorrent's public DHT, and announce there what is seeded (default: as -lan).",
         Choice("dht", &NodeConfig::dht)},
        {"Connections", "dhtbootstrap", "HOST:PORT", Kind::kList,
         "Join the DHT through this node of it (default: public ones).",
         List("dhtbootstrap", &NodeConfig::dht_bootstrap)},
        {"Connections", "dhtport", "PORT", Kind::kValue, "UDP port of the DHT; 0: any free one (default: 0).",
         Number("dhtport", 0, 65535, [](NodeConfig& c, uint64_t n) { c.dht_port = static_cast<uint16_t>(n); })},
        {"Connections", "upnp", "", Kind::kFlag,
         "Ask the router by UPnP and NAT-PMP to let peers in (default: as -lan, if the node listens).",
         Choice("upnp", &NodeConfig::upnp)},
        {kHidden, "lanport", "PORT", Kind::kValue, "UDP port of the local network's group.",
         Number("lanport", 1, 65535, [](NodeConfig& c, uint64_t n) { c.lan_port = static_cast<uint16_t>(n); })},

        {"RPC", "rpcport", "PORT", Kind::kValue,
         "Port of JSON-RPC on 127.0.0.1; 0: any free one (default: the chain's).",
         Number("rpcport", 0, 65535, [](NodeConfig& c, uint64_t n) { c.rpc_port = static_cast<uint16_t>(n); })},
        {"RPC", "rpcthreads", "N", Kind::kValue, "Threads that answer ordinary requests, 1 to 64 (default: 4).",
         Number("rpcthreads", 1, 64, [](NodeConfig& c, uint64_t n) { c.rpc_threads = n; })},
        {"RPC", "gateway", "", Kind::kFlag,
         "Serve content to browsers and players of this machine over HTTP (default: 1).",
         Flag("gateway", &NodeConfig::gateway)},
        {"RPC", "gatewayport", "PORT", Kind::kValue,
         "Port of the content gateway on 127.0.0.1; 0: any free one (default: 0).",
         Number("gatewayport", 0, 65535, [](NodeConfig& c, uint64_t n) { c.gateway_port = static_cast<uint16_t>(n); })},
        {"RPC", "gatewaytimeout", "SECONDS", Kind::kValue,
         "How long the content gateway waits for a part from the network, 1 to 3600 (default: 60).",
         Number("gatewaytimeout", 1, 3600, [](NodeConfig& c, uint64_t n) { c.gateway_timeout = seconds(n); })},

        {"Content", "contentquota", "GIB", Kind::kValue,
         "Most disk space for content, 1 to 1048576 GiB (default: 1024).",
         Number("contentquota", 1, 1 << 20, [](NodeConfig& c, uint64_t n) { c.content_quota_bytes = n << 30; })},
        {"Content", "maxupload", "KIB_S[@HH:MM-HH:MM]", Kind::kList,
         "Most content sent to all peers in a second, also by hours of local time; 0: no limit (default: 0).",
         Rate("maxupload", &BandwidthLimits::upload)},
        {"Content", "maxuploadperpeer", "KIB_S[@HH:MM-HH:MM]", Kind::kList,
         "Most content sent to each peer in a second (default: 0).",
         Rate("maxuploadperpeer", &BandwidthLimits::upload_per_peer)},
        {"Content", "maxdownload", "KIB_S[@HH:MM-HH:MM]", Kind::kList,
         "Most content asked of all peers in a second (default: 0).", Rate("maxdownload", &BandwidthLimits::download)},
        {"Content", "seedprice", "SLU", Kind::kValue,
         "Price for each MiB served where the publisher gave no hint (default: 0).",
         Money("seedprice", &NodeConfig::seed_price_per_mib)},
        {"Content", "maxpricepermib", "SLU", Kind::kValue,
         "Most that a download pays for each MiB unless told (default: 0.01).",
         Money("maxpricepermib", &NodeConfig::max_price_per_mib)},
        {"Content", "minpricepermib", "SLU", Kind::kValue,
         "Least that haggling brings the price of a MiB served down to (default: the price that is asked).",
         [](NodeConfig& c, const std::string& text) -> Status {
             ASSIGN_OR_RETURN(c.min_price_per_mib, ParseSlu(text, "-minpricepermib"));
             return {};
         }},
        {"Content", "settleafter", "SECONDS", Kind::kValue,
         "Settle a payment channel that is worth it once it was not used for so long, 0 to 31536000 (default: 600).",
         Number("settleafter", 0, 31'536'000, [](NodeConfig& c, uint64_t n) { c.settle_idle = seconds(n); })},
        {"Content", "voucherbackup", "FILE", Kind::kValue,
         "Keep a copy of unsettled earnings here, best on another disk, and take over what it holds.",
         [](NodeConfig& c, const std::string& text) -> Status {
             if (text.empty()) return Fail("-voucherbackup is empty: give a file");
             c.voucher_backup = std::filesystem::absolute(text).lexically_normal().string();
             return {};
         }},

        {"Selling", "seller", "", Kind::kFlag,
         "Grant what is bought of the titles whose seller keys are here (default: 1).", Flag("seller", &NodeConfig::sells)},
        {"Selling", "grantfee", "DROPS", Kind::kValue,
         "Least fee of a grant for each 1,000 vB, 1000 to 100000000 (default: 1000); more if blocks are full.",
         Number("grantfee", 1'000, 100'000'000, [](NodeConfig& c, uint64_t n) { c.grant_fee_per_kvb = n; })},
        {"Selling", "grantmaxfee", "PERCENT", Kind::kValue,
         "Most of a price that a grant's fee may cost beside the buyer's allowance, 0 to 1000 (default: 100).",
         Number("grantmaxfee", 0, 1000,
                [](NodeConfig& c, uint64_t n) { c.grant_max_fee_percent = static_cast<uint32_t>(n); })},

        {"Staking", "staker", "INDEX", Kind::kValue,
         "Stake with regtest's public operator keys of this index (0 has the stake); regtest only.",
         Number("staker", 0, UINT32_MAX,
                [](NodeConfig& c, uint64_t n) { c.regtest_staker = static_cast<uint32_t>(n); })},
        {"Staking", "stakerkeys", "FILE", Kind::kValue,
         "Stake with the hot operator keys in this file (default: staker_keys.json in the chain's folder, if it is "
         "there).",
         [](NodeConfig& c, const std::string& text) -> Status {
             if (text.empty()) return Fail("-stakerkeys is empty: give a file");
             c.staker_keys = std::filesystem::absolute(text).lexically_normal().string();
             return {};
         }},
        {kHidden, "testnovouchers", "", Kind::kFlag, "Download without ever paying, to test seeders; regtest only.",
         Flag("testnovouchers", &NodeConfig::test_no_vouchers)},
    };
    return options;
}

const Option* FindOption(std::string_view name) {
    for (const Option& option : Options())
        if (option.name == name) return &option;
    return nullptr;
}

struct Given {
    const Option* option;
    std::string value;
};

// The option that `text` ("datadir=x", "nolisten") gives; `where` starts the error.
Result<Given> ReadOption(std::string_view name, std::optional<std::string> value, const std::string& where) {
    if (const Option* option = FindOption(name)) {
        if (!value && option->kind != Kind::kFlag && !option->value.empty())
            return Fail(fmt::format("{}-{} needs a value: write -{}={}", where, name, name, option->value));
        return Given{option, value.value_or("")};
    }
    if (name.starts_with("no")) {
        const Option* option = FindOption(name.substr(2));
        if (option && option->kind == Kind::kFlag) {
            ASSIGN_OR_RETURN(const bool off, ParseFlag(name, value.value_or("")));
            return Given{option, off ? "0" : "1"};
        }
    }
    return Fail(fmt::format("{}there is no option -{}: see sluiced --help", where, name.substr(0, 64)));
}

Result<std::vector<Given>> ReadArguments(std::span<const std::string> args) {
    std::vector<Given> given;
    for (const std::string& arg : args) {
        std::string_view text = arg;
        if (text == "-h" || text == "-?") text = "-help";
        if (text.size() < 2 || text.front() != '-')
            return Fail(fmt::format("'{}' is not an option: see sluiced --help, and sluice-cli for commands",
                                    arg.substr(0, 80)));
        text.remove_prefix(text.starts_with("--") ? 2 : 1);
        const size_t equals = text.find('=');
        const std::optional<std::string> value =
            equals == std::string_view::npos ? std::nullopt : std::optional(std::string(text.substr(equals + 1)));
        ASSIGN_OR_RETURN(Given one, ReadOption(text.substr(0, equals), value, ""));
        given.push_back(std::move(one));
    }
    return given;
}

// Every line of the file is checked, also those of other chains' sections.
Status CheckConf(const node::ConfFile& conf, const std::string& path) {
    for (const node::ConfFile::Entry& entry : conf.entries()) {
        const std::string where = fmt::format("{}:{}: ", path, entry.line);
        ASSIGN_OR_RETURN(const Given given, ReadOption(entry.key, entry.value, where));
        if (given.option->kind == Kind::kCommandLineOnly)
            return Fail(fmt::format("{}{} belongs on the command line", where, entry.key));
        if (!given.option->apply && !entry.section.empty())
            return Fail(fmt::format("{}{} belongs before the first section", where, entry.key));
        if (!given.option->apply) continue;
        NodeConfig scratch;
        const Status applied = given.option->apply(scratch, given.value);
        if (!applied) return Fail(where + applied.error().message);
    }
    return {};
}

std::optional<std::string> LastOf(const std::vector<Given>& given, std::string_view name) {
    std::optional<std::string> value;
    for (const Given& one : given)
        if (one.option->name == name) value = one.value;
    return value;
}

// What -chain, -regtest and -genesis say, the command line before the file.
Result<node::GenesisChoice> ReadChain(const std::vector<Given>& given, const node::ConfFile& conf,
                                      storage::FileSystem& files) {
    std::string chain = NodeConfig().chain;
    if (const auto value = LastOf(given, "chain"))
        chain = *value;
    else if (LastOf(given, "regtest"))
        chain = "regtest";
    else if (const auto line = conf.Value("chain", ""))
        chain = *line;
    return node::ChooseGenesis(files, chain, LastOf(given, "genesis"), conf);
}

// The values of one option in force: of the command line, the chain's section and the common lines, the first that has
// any; of a list, all.
std::vector<std::string> ValuesInForce(const Option& option, const std::vector<Given>& given,
                                       const node::ConfFile& conf, const std::string& chain) {
    std::vector<std::string> values;
    for (const Given& one : given)
        if (one.option == &option) values.push_back(one.value);
    const bool list = option.kind == Kind::kList;
    if (!list && !values.empty()) return {values.back()};
    for (const bool common : {false, true}) {
        for (const node::ConfFile::Entry& entry : conf.entries()) {
            if (entry.section != (common ? "" : chain)) continue;
            const auto read = ReadOption(entry.key, entry.value, "");
            if (read && read->option == &option) values.push_back(read->value);
        }
        if (!list && !values.empty()) return {values.front()};
    }
    return values;
}

}  // namespace

Result<DaemonOptions> ParseDaemonOptions(std::span<const std::string> args, storage::FileSystem& files) {
    ASSIGN_OR_RETURN(const std::vector<Given> given, ReadArguments(args));
    DaemonOptions result;
    result.show_help = LastOf(given, "help").has_value();
    result.show_version = LastOf(given, "version").has_value();
    if (result.show_help || result.show_version) return result;

    NodeConfig& config = result.config;
    config.data_dir = LastOf(given, "datadir").value_or(node::DefaultDataDir());
    if (config.data_dir.empty()) return Fail("-datadir is empty: give a folder");
    std::error_code ignored;
    const auto absolute = std::filesystem::absolute(config.data_dir, ignored);
    if (!ignored) config.data_dir = absolute.lexically_normal().string();
    while (config.data_dir.size() > 1 && config.data_dir.back() == '/') config.data_dir.pop_back();

    const auto conf_option = LastOf(given, "conf");
    const std::string conf_path = conf_option.value_or(config.data_dir + "/sluice.conf");
    ASSIGN_OR_RETURN(const node::ConfFile conf, node::LoadConfFile(files, conf_path, conf_option.has_value()));
    RETURN_IF_ERROR(CheckConf(conf, conf_path));
    ASSIGN_OR_RETURN(node::GenesisChoice choice, ReadChain(given, conf, files));
    config.chain = std::move(choice.chain);
    config.genesis = std::move(choice.genesis);
    for (const Option& option : Options()) {
        if (!option.apply) continue;
        for (const std::string& value : ValuesInForce(option, given, conf, config.chain))
            RETURN_IF_ERROR(option.apply(config, value));
    }
    if (config.chain != "regtest" && config.mock_time_s)
        return Fail("-mocktime is for tests: it works with -chain=regtest alone");
    if (config.chain != "regtest" && config.test_no_vouchers)
        return Fail("-testnovouchers is for tests: it works with -chain=regtest alone");
    if (config.chain != "regtest" && config.regtest_staker)
        return Fail("-staker uses public keys: it works with -chain=regtest alone");
    return result;
}

std::string HelpText() {
    std::string text =
        "Usage: sluiced [OPTIONS]\n\n"
        "The node of Sluice: follows the chain, serves peers and content, and answers sluice-cli.\n"
        "Options have one dash or two; sluice.conf takes the same names without a dash, one key=value a line.\n";
    std::string_view category;
    for (const Option& option : Options()) {
        if (option.category == kHidden) continue;
        if (option.category != category) text += fmt::format("\n{}:\n", category = option.category);
        const std::string left = fmt::format("  -{}{}{}", option.name, option.value.empty() ? "" : "=", option.value);
        text += fmt::format("{:<26} {}{}\n", left, option.help, option.kind == Kind::kList ? " May be repeated." : "");
    }
    return text;
}

std::string VersionText(std::string_view program) { return fmt::format("{} of Sluice 0.1.0\n", program); }

}  // namespace sluice::apps
