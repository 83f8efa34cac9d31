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

namespace {

CLI::Option* AddClaim(CLI::App& app, std::string& claim) {
    return app.add_option("CLAIM", claim, "Id of the claim, or its first digits (6 or more)")->required();
}

std::string ShortId(const std::string& id) { return id.substr(0, 16); }

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

// Buys and shows; with `wait` also waits for the key.
CliResult<Json> Buy(Session& session, const std::string& claim, uint64_t tier, const std::string& max_price,
                    bool wait) {
    Json params{{"claim", claim}};
    if (tier > 0) params["tier"] = tier;
    SetUnlessEmpty(params, "max_price", max_price);
    ASSIGN_OR_RETURN(Json bought, session.Call("buykey", params));
    if (Member(bought, {"already_bought"}) == true)
        session.Hint("This key was bought before; it is not paid again");
    else
        session.Hint(fmt::format("Paid {} SLU in {}; refundable from height {} if the seller does not answer",
                                 TextMember(bought, {"price"}), TextMember(bought, {"txid"}),
                                 TextMember(bought, {"refund_height"})));
    if (wait) {
        ASSIGN_OR_RETURN(const Json grant, session.WaitForGrant(Member(bought, {"purchase"})));
        if (grant.is_object()) bought.update(grant);
    }
    return bought;
}

Run DeclareBuy(CLI::App& app) {
    struct Options {
        std::string claim, max_price;
        uint64_t tier{0};
        bool wait{false};
    };
    auto options = std::make_shared<Options>();
    AddClaim(app, options->claim);
    app.add_option("--tier", options->tier, "Which of the claim's offers (default: 0, the whole)")->type_name("N");
    AddMoney(app, "--max-price", options->max_price, "Do not buy if it costs more");
    app.add_flag("--wait", options->wait, "Wait until the key is here");
    return [options](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json bought,
                         Buy(session, options->claim, options->tier, options->max_price, options->wait));
        const std::string purchase = TextMember(bought, {"purchase"});
        session.Show(bought, options->wait ? fmt::format("The key is here (purchase {})\n", purchase)
                                           : fmt::format("Bought: purchase {}; the key comes with the seller's grant\n",
                                                         purchase));
        return {};
    };
}

// A name in this folder that a publisher's title may not steer elsewhere.
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

Run DeclareRefund(CLI::App& app) {
    auto purchase = std::make_shared<std::string>();
    app.add_option("PURCHASE", *purchase, "The purchase, as buy showed it")->required();
    return [purchase](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json refunded, session.Call("refundpurchase", Json::array({*purchase})));
        const std::string txid = refunded.is_string() ? FormatValue(refunded) : TextMember(refunded, {"txid"});
        session.Show(refunded, txid.empty() ? "Refunded.\n" : fmt::format("Refunded in {}\n", txid));
        return {};
    };
}

const std::vector<PersonCommand>& Commands() {
    static const std::vector<PersonCommand> commands{
        {"createwallet", "Make a wallet and show its phrase.", DeclareCreateWallet},
        {"restorewallet", "Restore a wallet from its phrase, read from stdin.", DeclareRestoreWallet},
        {"balance", "Show what the wallet has.", DeclareBalance},
        {"send", "Send money to an address.", DeclareSend},
        {"publish", "Seal a file or folder and offer its key for sale.", DeclarePublish},
        {"feed", "List what was published, newest first.", DeclareFeed},
        {"show", "Show one claim.", DeclareShow},
        {"buy", "Buy the key of a claim.", DeclareBuy},
        {"get", "Download a bought claim, paying seeders, and open it.", DeclareGet},
        {"seed", "Download a claim sealed and serve it to others for pay.", DeclareSeed},
        {"settle", "Collect on chain what downloaders paid.", DeclareSettle},
        {"refund", "Take the money of an unanswered purchase back.", DeclareRefund},
        {"staker", "Run a staker: keys, register, rotate, retire, release, status, slots, resume.", DeclareStaker},
        {"stake", "Stake money with a staker: delegate, undelegate, redelegate, status.", DeclareStake},
        {"peers", "List the connected peers.", DeclarePeers},
    };
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
