#include <fmt/format.h>

#include <filesystem>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"

namespace sluice::apps {

using rpc::Json;

// Buys and shows; with `wait` also waits for the key.
CliResult<Json> Buy(Session& session, const std::string& claim, uint64_t tier, const std::string& max_price, bool wait,
                    const std::string& recipient) {
    Json params{{"claim", claim}};
    if (tier > 0) params["tier"] = tier;
    SetUnlessEmpty(params, "for", recipient);
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

namespace {

Run DeclareBuy(CLI::App& app) {
    struct Options {
        std::string claim, max_price, recipient;
        uint64_t tier{0};
        bool wait{false};
    };
    auto options = std::make_shared<Options>();
    AddClaim(app, options->claim);
    app.add_option("--tier", options->tier, "Which of the claim's offers: 0 the whole (default), N the segment N")
        ->type_name("N");
    AddMoney(app, "--max-price", options->max_price, "Do not buy if it costs more");
    app.add_option("--for", options->recipient, "A gift: the gift address of who gets the key ('getgiftaddress')")
        ->type_name("ADDRESS");
    app.add_flag("--wait", options->wait, "Wait until the key is here");
    return [options](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json bought, Buy(session, options->claim, options->tier, options->max_price,
                                                options->wait, options->recipient));
        const std::string purchase = TextMember(bought, {"purchase"});
        session.Show(bought, options->wait ? fmt::format("The key is here (purchase {})\n", purchase)
                                           : fmt::format("Bought: purchase {}; the key comes with the seller's grant\n",
                                                         purchase));
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

Run DeclareTip(CLI::App& app) {
    struct Options {
        std::string to, amount;
    };
    auto options = std::make_shared<Options>();
    app.add_option("TO", options->to, "A claim, whose seller gets it, or an address")->required();
    app.add_option("AMOUNT", options->amount, "How much")->type_name("SLU")->required();
    return [options](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json paid, session.Call("tip", Json{{"to", options->to}, {"amount", options->amount}}));
        session.Show(paid, fmt::format("Tipped {} SLU to {} in {}\n", TextMember(paid, {"amount"}),
                                       TextMember(paid, {"address"}), TextMember(paid, {"txid"})));
        return {};
    };
}

Run DeclareGifts(CLI::App& app) {
    (void)app;
    return [](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json gifts, session.Call("listgifts"));
        std::vector<std::vector<std::string>> rows{{"", "STATE", "CLAIM", "TITLE", "PURCHASE"}};
        for (const char* side : {"received", "given"})
            for (const Json& gift : Member(gifts, {side}))
                rows.push_back({side, TextMember(gift, {"state"}), ShortId(TextMember(gift, {"claim"})),
                                TextMember(gift, {"title"}), TextMember(gift, {"purchase"})});
        session.Show(gifts, rows.size() == 1 ? "No gifts. Others give you keys at your gift address: 'getgiftaddress'\n"
                                             : FormatTable(rows));
        return {};
    };
}

Run DeclarePublishBundle(CLI::App& app) {
    struct Options {
        std::string title, price, description;
        std::vector<std::string> claims;
    };
    auto options = std::make_shared<Options>();
    app.add_option("CLAIM", options->claims, "Own claims whose keys the bundle gives")->required()->expected(1, 48);
    app.add_option("--title", options->title, "Title")->type_name("TEXT")->required();
    AddMoney(app, "--price", options->price, "Price of the bundle", true);
    app.add_option("--description", options->description, "What it is")->type_name("TEXT");
    return [options](Session& session) -> CliResult<void> {
        Json params{{"title", options->title}, {"price", options->price}, {"claims", options->claims}};
        SetUnlessEmpty(params, "description", options->description);
        ASSIGN_OR_RETURN(const Json published, session.Call("publishbundle", params));
        RETURN_IF_ERROR(session.WaitForConfirmations(Json::array({Member(published, {"txid"})})));
        session.Show(published, fmt::format("Published as claim {}\n", TextMember(published, {"claim"})));
        return {};
    };
}

Run DeclareSeller(CLI::App& app) {
    struct Options {
        std::string claim, file;
    };
    auto options = std::make_shared<Options>();
    Subcommands subcommands(app);
    const auto absolute = [options] { return std::filesystem::absolute(options->file).lexically_normal().string(); };
    CLI::App* exported = subcommands.Add(
        "export", "Write the hot keys of a title, or of all, to a file for a selling node.",
        [options, absolute](Session& session) -> CliResult<void> {
            ASSIGN_OR_RETURN(const Json done,
                             session.Call("exportsellerkeys", Json::array({options->claim, absolute()})));
            session.Show(done, fmt::format("Keys of {} titles are in {}: who has it can sell them and give them away\n",
                                           TextMember(done, {"titles"}), TextMember(done, {"file"})));
            return {};
        });
    exported->add_option("CLAIM", options->claim, "A claim, or all")->required();
    exported->add_option("FILE", options->file, "The file to write")->required();
    CLI::App* imported = subcommands.Add(
        "import", "Take the keys of such a file: this node sells the titles.",
        [absolute](Session& session) -> CliResult<void> {
            ASSIGN_OR_RETURN(const Json done, session.Call("importsellerkeys", Json::array({absolute()})));
            session.Show(done, fmt::format("{} titles are new; this node sells {} titles\n",
                                           TextMember(done, {"changed"}), TextMember(done, {"titles"})));
            return {};
        });
    imported->add_option("FILE", options->file, "The file to read")->required();
    subcommands.Add("list", "The titles that this node can sell.", [](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json keys, session.Call("listsellerkeys"));
        std::vector<std::vector<std::string>> rows{{"CLAIM", "TITLE"}};
        for (const Json& key : keys) rows.push_back({ShortId(TextMember(key, {"claim"})), TextMember(key, {"title"})});
        session.Show(keys, rows.size() == 1 ? "No title.\n" : FormatTable(rows));
        return {};
    });
    subcommands.Add("status", "What waits to be granted.", [](Session& session) -> CliResult<void> {
        ASSIGN_OR_RETURN(const Json info, session.Call("getsalesinfo"));
        session.Show(info,
                     FormatObject(info, {"selling", "titles", "waiting", "granting", "granted", "market_feerate"}));
        return {};
    });
    return subcommands.Chosen();
}

}  // namespace

std::vector<PersonCommand> SaleCommands() {
    return {
        {"buy", "Buy the key of a claim.", DeclareBuy},
        {"refund", "Take the money of an unanswered purchase back.", DeclareRefund},
        {"gifts", "Keys that were given to you, and that you gave.", DeclareGifts},
        {"bundle", "Sell the keys of several of your claims as one.", DeclarePublishBundle},
        {"tip", "Pay whoever sells a claim, or an address.", DeclareTip},
        {"seller", "Sell on another node, without the phrase: export and import hot keys.", DeclareSeller},
    };
}

}  // namespace sluice::apps
