#include "apps/sluice_cli/person_commands.h"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"
#include "primitives/amount.h"
#include "util/check.h"
#include "util/wipe.h"

namespace sluice::apps {

using rpc::Json;

void AddMoney(CLI::App& app, const std::string& name, std::string& value, const std::string& help, bool required) {
    CLI::Option* option = app.add_option(name, value, help)->type_name("SLU")->check([](const std::string& text) {
        const auto amount = ParseSlu(text, "the amount");
        return amount ? std::string() : amount.error().message;
    });
    if (required) option->required();
}

void SetUnlessEmpty(Json& object, const std::string& name, const std::string& value) {
    if (!value.empty()) object[name] = value;
}

CLI::Option* AddClaim(CLI::App& app, std::string& claim) {
    return app.add_option("CLAIM", claim, "Id of the claim, or its first digits (6 or more)")->required();
}

std::string ShortId(const std::string& id) { return id.substr(0, 16); }

namespace {

Run DeclareBalance(CLI::App&) {
    return [](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json balances, session.Call("getbalances"));
        std::vector<std::pair<std::string, std::string>> lines;
        const auto add = [&](const Json& object, const char* name, const std::string& label) {
            if (const std::string amount = TextMember(object, {name}); !amount.empty())
                lines.emplace_back(label, amount);
        };
        for (const char* name : {"spendable", "pending", "immature", "staked", "bonds"}) add(balances, name, name);
        add(balances, "accrued", "accrued by stake");
        const Json locked = Member(balances, {"locked"});
        for (const char* name : {"claims", "purchases", "channels"})
            add(locked, name, std::string("locked in ") + name);
        add(balances, "total", "total");
        // Aligned at the point.
        const auto whole = [](const std::string& amount) { return amount.substr(0, amount.find('.')).size(); };
        size_t width = 0;
        for (const auto& [label, amount] : lines) width = std::max(width, whole(amount));
        std::string text;
        for (const auto& [label, amount] : lines)
            text += fmt::format("{:<20}{}{} SLU\n", label, std::string(width - whole(amount), ' '), amount);
        session.Show(balances, text);
        return {};
    };
}

Run DeclareSend(CLI::App& app) {
    struct Options {
        std::string address, amount;
        bool wait{false};
    };
    auto options = std::make_shared<Options>();
    app.add_option("ADDRESS", options->address, "Who gets it")->required();
    AddMoney(app, "AMOUNT", options->amount, "How much", true);
    app.add_flag("--wait", options->wait, "Wait until it is in a block");
    return [options](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json sent,
                         session.Call("sendtoaddress", Json::array({options->address, options->amount})));
        const Json txid = sent.is_string() ? sent : Member(sent, {"txid"});
        if (options->wait) RETURN_IF_ERROR(session.WaitForConfirmations(Json::array({txid})));
        session.Show(sent, FormatResult(txid));
        return {};
    };
}

Run DeclarePeers(CLI::App&) {
    return [](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json peers, session.Call("getpeerinfo"));
        std::vector<std::vector<std::string>> rows{{"ID", "ADDRESS", "DIRECTION", "SENT", "RECEIVED", "PROGRAM"}};
        for (const Json& peer : peers)
            rows.push_back({TextMember(peer, {"id"}), TextMember(peer, {"addr"}), TextMember(peer, {"connection_type"}),
                            FormatSize(NumberMember(peer, {"bytessent"})),
                            FormatSize(NumberMember(peer, {"bytesrecv"})), TextMember(peer, {"subver"})});
        session.Show(peers, rows.size() == 1 ? "No peers are connected.\n" : FormatTable(rows));
        return {};
    };
}

Run DeclareCreateWallet(CLI::App&) {
    return [](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json created, session.Call("createwallet"));
        session.Hint("Write these words down and keep them secret: they are the only way to restore this wallet.");
        session.Show(created, TextMember(created, {"phrase"}) + "\n");
        return {};
    };
}

// One line of stdin; on a terminal with a prompt and without showing what is typed.
std::string ReadSecretLine(const char* prompt) {
    const bool terminal = isatty(STDIN_FILENO);
    termios before{};
    if (terminal && tcgetattr(STDIN_FILENO, &before) == 0) {
        termios silent = before;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
        std::fputs(prompt, stderr);
    }
    std::string line;
    std::getline(std::cin, line);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        std::fputs("\n", stderr);
    }
    return line;
}

Run DeclareRestoreWallet(CLI::App& app) {
    auto words = std::make_shared<std::vector<std::string>>();
    app.add_option("PHRASE", *words,
                   "The words; better left out, since others may see a command line: then they are read from stdin");
    return [words](Session& session) -> CliResult<void> {
        std::string text = words->empty() ? ReadSecretLine("Phrase: ") : fmt::format("{}", fmt::join(*words, " "));
        std::istringstream split(text);
        std::string phrase, word;
        while (split >> word) phrase += (phrase.empty() ? "" : " ") + word;
        WipeMemory(text.data(), text.size());
        if (phrase.empty()) return CliFail("restorewallet: no phrase was given: type it when asked, or pipe it in");
        auto restored = session.Call("restorewallet", Json::array({phrase}));
        WipeMemory(phrase.data(), phrase.size());
        if (!restored) return tl::unexpected(restored.error());
        session.Show(*restored, "The wallet is restored.\n");
        return {};
    };
}

const std::vector<PersonCommand>& Commands() {
    static const std::vector<PersonCommand> commands = [] {
        std::vector<PersonCommand> all{
            {"createwallet", "Make a wallet and show its phrase.", DeclareCreateWallet},
            {"restorewallet", "Restore a wallet from its phrase, read from stdin.", DeclareRestoreWallet},
            {"balance", "Show what the wallet has.", DeclareBalance},
            {"send", "Send money to an address.", DeclareSend},
            {"staker", "Run a staker: keys, register, rotate, retire, release, status, slots, resume.", DeclareStaker},
            {"stake", "Stake money with a staker: delegate, undelegate, redelegate, status.", DeclareStake},
            {"peers", "List the connected peers.", DeclarePeers},
        };
        for (const auto& more : {PublishCommands(), SaleCommands(), FetchCommands(), PaymentCommands(), ProviderCommands()})
            all.insert(all.end(), more.begin(), more.end());
        return all;
    }();
    return commands;
}

const PersonCommand* FindCommand(const std::string& name) {
    for (const PersonCommand& command : Commands())
        if (command.name == name) return &command;
    return nullptr;
}

// The parser of one command. One dash before a long name is as good as two: -wait, -max-price=5.
struct Parser {
    CLI::App app;
    bool json{false};
    Run run;

    explicit Parser(const PersonCommand& command) : app(command.summary, "sluice-cli " + command.name) {
        run = command.declare(app);
        app.add_flag("--json", json, "Print the result alone, as JSON");
    }
    // Throws CLI::ParseError.
    void Parse(const std::vector<std::string>& args) {
        std::vector<std::string> reversed;
        for (auto arg = args.rbegin(); arg != args.rend(); ++arg) {
            const std::string name = arg->substr(0, arg->find('='));
            const bool long_name =
                name.size() > 2 && name[0] == '-' && name[1] != '-' && app.get_option_no_throw("-" + name);
            reversed.push_back(long_name ? "-" + *arg : *arg);
        }
        app.parse(reversed);
    }
};

}  // namespace

bool IsPersonCommand(const std::string& name) { return FindCommand(name) != nullptr; }

std::string ListPersonCommands() {
    std::string text;
    for (const PersonCommand& command : Commands()) text += fmt::format("  {:<15} {}\n", command.name, command.summary);
    return text;
}

std::string HelpOfPersonCommand(const std::string& name) {
    const PersonCommand* command = FindCommand(name);
    CHECK(command != nullptr);
    return Parser(*command).app.help();
}

CliResult<int> RunPersonCommand(const CliOptions& options, const Connect& connect) {
    const PersonCommand* command = FindCommand(options.method);
    CHECK(command != nullptr);
    Parser parser(*command);
    try {
        parser.Parse(options.args);
    } catch (const CLI::CallForHelp&) {
        std::fputs(parser.app.help().c_str(), stdout);
        return 0;
    } catch (const CLI::ParseError& error) {
        return CliFail(fmt::format("{}: {} (see sluice-cli {} --help)", command->name, error.what(), command->name));
    }
    ASSIGN_OR_RETURN(RpcClient client, connect());
    Session session(std::move(client), options.json || parser.json);
    RETURN_IF_ERROR(parser.run(session));
    return 0;
}

}  // namespace sluice::apps
