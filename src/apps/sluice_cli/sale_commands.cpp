#include <fmt/format.h>

#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/person_command.h"

namespace sluice::apps {

using rpc::Json;

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

namespace {

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

}  // namespace

std::vector<PersonCommand> SaleCommands() {
    return {
        {"buy", "Buy the key of a claim.", DeclareBuy},
        {"refund", "Take the money of an unanswered purchase back.", DeclareRefund},
    };
}

}  // namespace sluice::apps
