#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "apps/sluice_util/commands.h"
#include "apps/sluice_util/genesis_json.h"
#include "consensus/genesis_file.h"
#include "node/genesis_choice.h"
#include "node/operator_keys.h"
#include "primitives/address.h"
#include "util/clock.h"
#include "wallet/keychain.h"

// genesis, genesis-show, genesis-template, staker-keys, staker-keys-show, new-phrase: what makes a network.

namespace sluice::apps {
namespace {

constexpr uint32_t kShownAddresses = 5;
constexpr size_t kMaxHrpBytes = 32;

void Print(const OrderedJson& json) { std::printf("%s\n", json.dump(2).c_str()); }

Result<OrderedJson> ReadJsonFile(storage::FileSystem& files, const std::string& path) {
    ASSIGN_OR_RETURN(const Bytes bytes, storage::ReadWholeFile(files, path, kMaxGenesisJsonBytes));
    auto json = ParseStrictJson(ToString(bytes));
    if (!json) return Fail(path + ": " + json.error().message);
    return json;
}

CommandResult MakeGenesis(const std::string& input, const std::string& output) {
    const auto files = storage::MakePosixFileSystem();
    ASSIGN_OR_RETURN(const OrderedJson json, ReadJsonFile(*files, input));
    ASSIGN_OR_RETURN(const consensus::Genesis genesis, GenesisFromJson(json));
    RETURN_IF_ERROR(consensus::CheckCustomGenesis(genesis));
    RETURN_IF_ERROR(storage::WriteFileAtomically(*files, output, consensus::EncodeGenesisFile(genesis)));
    Print(GenesisSummary(genesis));
    return 0;
}

CommandResult ShowGenesis(const std::string& path, bool as_json) {
    const auto files = storage::MakePosixFileSystem();
    ASSIGN_OR_RETURN(const consensus::Genesis genesis, node::ReadGenesisFile(*files, path));
    Print(as_json ? GenesisToJson(genesis) : GenesisSummary(genesis));
    return 0;
}

CommandResult PrintTemplate(TemplateOptions options, const std::vector<std::string>& staker_files) {
    const auto files = storage::MakePosixFileSystem();
    for (const std::string& path : staker_files) {
        ASSIGN_OR_RETURN(const OrderedJson json, ReadJsonFile(*files, path));
        ASSIGN_OR_RETURN(StakerPublicKeys keys, StakerKeysFromJson(json, path));
        options.stakers.push_back(keys);
    }
    if (options.genesis_time_ms == 0) options.genesis_time_ms = SystemClock().Now().time_since_epoch().count();
    ASSIGN_OR_RETURN(const OrderedJson json, GenesisTemplate(options));
    Print(json);
    return 0;
}

StakerPublicKeys PublicKeysOf(const node::OperatorKeyFile& keys) {
    return {keys.staker, keys.VrfPublic(), keys.SigningPublic()};
}

CommandResult MakeStakerKeys(const std::string& output, bool for_genesis) {
    const auto files = storage::MakePosixFileSystem();
    SystemRandom random;
    node::OperatorKeyFile keys = node::MakeOperatorKeys(random);
    if (for_genesis) keys.staker = GenesisStakerId(keys.VrfPublic());
    RETURN_IF_ERROR(node::WriteOperatorKeys(*files, output, keys));
    Print(StakerKeysToJson(PublicKeysOf(keys)));
    return 0;
}

CommandResult ShowStakerKeys(const std::string& path) {
    const auto files = storage::MakePosixFileSystem();
    ASSIGN_OR_RETURN(const node::OperatorKeyFile keys, node::ReadOperatorKeys(*files, path));
    Print(StakerKeysToJson(PublicKeysOf(keys)));
    return 0;
}

CommandResult MakePhrase(const std::string& output, const std::string& hrp) {
    const auto files = storage::MakePosixFileSystem();
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    if (hrp.empty() || hrp.size() > kMaxHrpBytes || !std::all_of(hrp.begin(), hrp.end(), fits))
        return Fail("--hrp must be 1 to 32 of a-z, 0-9 and -");
    if (files->Exists(output))
        return Fail(ErrorKind::kEnvironment, output + " exists: a phrase is never overwritten, so choose another name");
    SystemRandom random;
    ASSIGN_OR_RETURN(const wallet::SecretText phrase, wallet::GenerateMnemonic(random, 12));
    ASSIGN_OR_RETURN(const wallet::Seed seed, wallet::MnemonicToSeed(phrase.text()));
    ASSIGN_OR_RETURN(const wallet::Keychain keychain, wallet::Keychain::FromSeed(seed, wallet::kTestCoinType));
    OrderedJson addresses = OrderedJson::array();
    for (uint32_t i = 0; i < kShownAddresses; ++i)
        addresses.push_back(EncodeAddress(TaprootScript(keychain.OutputKey({wallet::KeyChain::kReceive, i})), hrp));
    RETURN_IF_ERROR(storage::WriteFileAtomically(*files, output, AsBytes(phrase.text())));
    Print({{"addresses", addresses}});
    return 0;
}

void AddGenesisFileCommands(CLI::App& app, int& exit_status) {
    CLI::App* make = app.add_subcommand("genesis", "Make the genesis file of a network of your own from a JSON.");
    auto input = std::make_shared<std::string>();
    auto output = std::make_shared<std::string>();
    make->add_option("--json", *input, "Parameters, allocations and stakers (see genesis-template)")->required();
    make->add_option("--out", *output, "The genesis file to make")->required();
    OnCommand(*make, exit_status, [input, output] { return MakeGenesis(*input, *output); });

    CLI::App* show = app.add_subcommand("genesis-show", "Print the hash and the totals of a genesis file.");
    auto path = std::make_shared<std::string>();
    auto json = std::make_shared<bool>(false);
    show->add_option("FILE", *path, "The genesis file")->required();
    show->add_flag("--json", *json, "Print all of it, as a JSON that makes the same file again");
    OnCommand(*show, exit_status, [path, json] { return ShowGenesis(*path, *json); });

    CLI::App* start = app.add_subcommand("genesis-template", "Print a JSON to start a network from.");
    auto options = std::make_shared<TemplateOptions>();
    auto stakers = std::make_shared<std::vector<std::string>>();
    auto time_s = std::make_shared<int64_t>(0);
    options->like = "test";
    start->add_option("--network", options->like, "Network whose parameters to take: main, test or regtest (test)");
    start->add_option("--name", options->name, "Name of the new network: a-z, 0-9 and -")->required();
    start->add_option("--hrp", options->hrp, "How its addresses begin (default: the name's first 8 letters)");
    start->add_option("--staker", *stakers, "File with a staker's public keys, as staker-keys prints them; repeatable");
    start->add_option("--owner", options->owner, "Address that gets all coins, half of them staked with the stakers");
    start->add_option("--genesis-time", *time_s, "Unix seconds at which slot 0 starts (default: now)")
        ->check(CLI::Range(int64_t{1}, int64_t{4'102'444'800}));
    OnCommand(*start, exit_status, [options, stakers, time_s] {
        options->genesis_time_ms = *time_s * 1000;
        return PrintTemplate(*options, *stakers);
    });
}

}  // namespace

void AddGenesisCommands(CLI::App& app, int& exit_status) {
    AddGenesisFileCommands(app, exit_status);

    CLI::App* keys = app.add_subcommand("staker-keys", "Make a staker's operator keys; prints the public ones.");
    auto output = std::make_shared<std::string>();
    auto for_genesis = std::make_shared<bool>(false);
    keys->add_option("--out", *output, "The file to make, for sluiced -stakerkeys (0600; never overwritten)")
        ->required();
    keys->add_flag("--for-genesis", *for_genesis, "The keys belong to a staker that a genesis file registers");
    OnCommand(*keys, exit_status, [output, for_genesis] { return MakeStakerKeys(*output, *for_genesis); });

    CLI::App* show = app.add_subcommand("staker-keys-show", "Print the public keys of a file of operator keys.");
    auto path = std::make_shared<std::string>();
    show->add_option("FILE", *path, "The file")->required();
    OnCommand(*show, exit_status, [path] { return ShowStakerKeys(*path); });

    CLI::App* phrase =
        app.add_subcommand("new-phrase", "Make a wallet's phrase offline; prints its first addresses on a network.");
    auto file = std::make_shared<std::string>();
    auto hrp = std::make_shared<std::string>();
    phrase->add_option("--out", *file, "The file that gets the phrase (0600; never overwritten)")->required();
    phrase->add_option("--hrp", *hrp, "How the network's addresses begin (any but main's)")->required();
    OnCommand(*phrase, exit_status, [file, hrp] { return MakePhrase(*file, *hrp); });
}

}  // namespace sluice::apps
