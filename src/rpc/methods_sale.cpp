#include <fmt/format.h>

#include "primitives/address.h"
#include "rpc/content_arguments.h"

namespace sluice::rpc {

using node::Node;

namespace {

Json BoughtJson(const OutPoint& lock, const ClaimId& claim, const wallet::OwnPurchase& purchase) {
    return {{"purchase", lock.ToString()},
            {"txid", lock.txid.Hex()},
            {"claim", claim.Hex()},
            {"tier", purchase.tier},
            {"price", AmountJson(purchase.terms ? purchase.terms->price : Amount(0))},
            {"refund_height", purchase.refund_height.value},
            {"already_bought", true}};
}

// What makes buying this tier a waste of money; empty: nothing.
std::string OwnedAlready(Node& node, const node::ClaimInfo& info, uint16_t tier) {
    if (tier > info.record.segments.size()) return {};
    const std::string get = "open it with 'get " + info.id.Hex().substr(0, 12) + "'";
    if (node.keys().Find(info.record.title_key))
        return tier == 0 ? "this wallet has the key already, as a gift or in a bundle: " + get
                         : "this wallet has the key of the whole title, which opens every segment: " + get;
    if (tier > 0 && node.keys().Find(info.record.segments[tier - 1u].key))
        return "this wallet has the key of this segment already: " + get;
    return {};
}

RpcResult<Json> Buy(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const ClaimId claim, ClaimArg(node, call));
    const auto wallet = node.wallet().Get();
    if (!wallet) return RpcFail(RpcCode::kWalletMissing, wallet.error().message);
    const auto info = node.claims().Find(claim);
    if (!info) return RpcFail(info.error());
    ASSIGN_OR_RETURN(const int64_t tier_arg, call.Integer("tier", 0, 0, kMaxSegments));
    const auto tier = static_cast<uint16_t>(tier_arg);
    std::optional<crypto::X25519PublicKey> recipient;
    if (call.Has("for")) {
        const auto decoded = DecodeGiftAddress(call.String("for"), node.params().hrp);
        if (!decoded) return RpcFail(RpcCode::kInvalidParameter, decoded.error().message);
        recipient = *decoded;
    } else {
        // Also under older terms: an update keeps the key that earlier buyers have.
        if (const auto lock = node.claims().FindPurchase(*info, tier))
            return BoughtJson(*lock, claim, (*wallet)->Purchases().at(*lock));
        if (const std::string owned = OwnedAlready(node, *info, tier); !owned.empty())
            return RpcFail(RpcCode::kInvalidParameter, owned);
    }
    wallet::PurchaseRequest request;
    request.publish = info->anchor;
    request.tier = tier;
    if (call.Has("max_price")) {
        ASSIGN_OR_RETURN(request.max_price, AmountArg(call, "max_price"));
    }
    ASSIGN_OR_RETURN(const int64_t feerate,
                     call.Integer("feerate", wallet::kDefaultFeePerKvb, wallet::kMinFeePerKvb, wallet::kMaxFeePerKvb));
    request.feerate_per_kvb = static_cast<uint64_t>(feerate);
    const auto built = (*wallet)->BuildPurchase(request);
    if (!built) return RpcFail(built.error());
    // On disk before the money leaves: for whom it is.
    const OutPoint first_input = built->built.tx->inputs()[0].prevout;
    const Status intended =
        recipient ? (*wallet)->IntendGift(first_input, *recipient) : (*wallet)->ForgetGiftIntent(first_input);
    if (!intended) return RpcFail(intended.error());
    const auto txid = node.wallet().Broadcast(built->built);
    if (!txid) {
        (void)(*wallet)->ForgetGiftIntent(first_input);
        return RpcFail(txid.error());
    }
    return Json{{"purchase", built->lock.ToString()},
                {"txid", txid->Hex()},
                {"claim", claim.Hex()},
                {"tier", tier},
                {"price", AmountJson(built->terms.price)},
                {"fee", AmountJson(built->built.fee)},
                {"burned", AmountJson(built->built.burned)},
                {"refund_height", built->refund_height.value},
                {"gift", recipient.has_value()},
                {"already_bought", false}};
}

Json PurchaseJson(const OutPoint& lock, const wallet::OwnPurchase& purchase) {
    Json json{{"purchase", lock.ToString()},
              {"publish", purchase.publish.ToString()},
              {"tier", purchase.tier},
              {"refund_height", purchase.refund_height.value},
              {"state", node::PurchaseStatusName(purchase.status)}};
    if (purchase.terms) {
        json["claim"] = purchase.terms->claim.Hex();
        json["price"] = AmountJson(purchase.terms->price);
    }
    json["own_key"] = purchase.key.has_value();
    if (purchase.resolved_by) json["resolved_by"] = purchase.resolved_by->Hex();
    if (!purchase.problem.empty()) json["message"] = purchase.problem;
    return json;
}

RpcResult<Json> FindPurchase(Node& node, const OutPoint& lock) {
    const auto wallet = node.wallet().Get();
    if (!wallet) return RpcFail(RpcCode::kWalletMissing, wallet.error().message);
    const auto found = (*wallet)->Purchases().find(lock);
    if (found == (*wallet)->Purchases().end())
        return RpcFail(RpcCode::kNotFound, "the purchase " + lock.ToString() + " is not of this wallet");
    return PurchaseJson(lock, found->second);
}

RpcResult<Json> Refund(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const OutPoint lock, OutPointArg(call, "purchase"));
    const auto wallet = node.wallet().Get();
    if (!wallet) return RpcFail(RpcCode::kWalletMissing, wallet.error().message);
    const auto built = (*wallet)->BuildRefund(lock);
    if (!built) return RpcFail(built.error());
    const auto txid = node.wallet().Broadcast(*built);
    if (!txid) return RpcFail(txid.error());
    return Json{{"txid", txid->Hex()}, {"fee", AmountJson(built->fee)}};
}

// "all", or a claim.
RpcResult<Json> ExportKeys(Node& node, const Call& call) {
    std::optional<ClaimId> claim;
    if (call.String("claim") != "all") {
        ASSIGN_OR_RETURN(claim, ClaimArg(node, call));
    }
    const auto written = node.sales().store().Export(claim, call.String("file"));
    if (!written) return RpcFail(written.error());
    return Json{{"titles", *written}, {"file", call.String("file")}};
}

RpcResult<Json> ImportKeys(Node& node, const Call& call) {
    const auto changed = node.sales().ImportKeys(call.String("file"));
    if (!changed) return RpcFail(changed.error());
    return Json{{"changed", *changed}, {"titles", node.sales().store().All().size()}};
}

RpcResult<Json> ListKeys(Node& node) {
    Json result = Json::array();
    for (const node::SellerKey* key : node.sales().store().All()) {
        Json one{{"claim", key->claim.Hex()}, {"payouts", Json::array()}};
        for (const Script& script : key->payouts) one["payouts"].push_back(EncodeAddress(script, node.params().hrp));
        if (const auto info = node.claims().Find(key->claim)) one["title"] = info->record.title;
        result.push_back(one);
    }
    return result;
}

RpcResult<Json> SalesInfo(Node& node) {
    const node::SaleAgent::Status status = node.sales().GetStatus();
    Json grants = Json::array();
    for (const Txid& txid : node.sales().PendingGrants()) grants.push_back(txid.Hex());
    return Json{{"selling", status.sells},
                {"titles", status.titles},
                {"waiting", status.waiting},
                {"granting", status.granting},
                {"grants", grants},
                {"granted", status.granted},
                {"market_feerate", status.market_per_kvb.drops}};
}

}  // namespace

void AddSaleMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
    const ArgSpec purchase{"purchase", ArgType::kString, true, "the purchase's lock output, TXID:INDEX"};
    table.Add({"buykey",
               category,
               "Pays for the key of a claim; the seller's node answers with the key on the chain.",
               {kClaimArg,
                {"tier", ArgType::kNumber, false, "0: the whole (default); i: segment i, counted from 1"},
                {"max_price", ArgType::kAmount, false, "do not buy if it costs more"},
                {"for", ArgType::kString, false, "a gift: the recipient's gift address (getgiftaddress)"},
                {"feerate", ArgType::kNumber, false, "drops per 1000 vB (default 2000)"}},
               "{txid, purchase, claim, tier, price, refund_height, gift, already_bought}",
               [&node](const Call& call) { return OnChain(node, [&] { return Buy(node, call); }); }});
    table.Add({"getpurchase",
               category,
               "A purchase of this wallet.",
               {purchase},
               "object",
               [&node](const Call& call) -> RpcResult<Json> {
                   ASSIGN_OR_RETURN(const OutPoint lock, OutPointArg(call, "purchase"));
                   return OnChain(node, [&] { return FindPurchase(node, lock); });
               }});
    table.Add({"waitpurchase",
               category,
               "Waits until a purchase is granted, refunded or failed.",
               {purchase, {"timeout", ArgType::kNumber, false, "milliseconds (default 60000)"}},
               "object with state",
               [&node](const Call& call) -> RpcResult<Json> {
                   ASSIGN_OR_RETURN(const OutPoint lock, OutPointArg(call, "purchase"));
                   ASSIGN_OR_RETURN(const int64_t timeout_ms, call.Integer("timeout", 60'000, 0, 600'000));
                   return WaitFor(
                       node, timeout_ms, [&] { return OnChain(node, [&] { return FindPurchase(node, lock); }); },
                       [](const Json& json) { return json["state"] != "pending" && json["state"] != "unconfirmed"; });
               },
               true});
    table.Add(
        {"listpurchases", category, "The purchases of this wallet.", {}, "array of objects", [&node](const Call&) {
             return OnChain(node, [&]() -> RpcResult<Json> {
                 const auto wallet = node.wallet().Get();
                 if (!wallet) return RpcFail(RpcCode::kWalletMissing, wallet.error().message);
                 Json result = Json::array();
                 for (const auto& [lock, own] : (*wallet)->Purchases()) result.push_back(PurchaseJson(lock, own));
                 return result;
             });
         }});
    table.Add({"refundpurchase",
               category,
               "Takes the money of an unanswered purchase back (the node does it by itself too).",
               {purchase},
               "{txid, fee}",
               [&node](const Call& call) { return OnChain(node, [&] { return Refund(node, call); }); }});
    const ArgSpec key_file{"file", ArgType::kString, true, "absolute path on the node's machine"};
    table.Add({"exportsellerkeys",
               category,
               "Writes the hot keys that selling takes, for a node that sells without the phrase. Whoever has the file "
               "can sell, and give away, the titles in it; their money goes to the payout script all the same.",
               {{"claim", ArgType::kString, true, "a claim, or all"}, key_file},
               "{titles, file}",
               [&node](const Call& call) { return OnChain(node, [&] { return ExportKeys(node, call); }); }});
    table.Add({"importsellerkeys",
               category,
               "Takes what exportsellerkeys wrote: this node sells these titles from now on.",
               {key_file},
               "{changed, titles}",
               [&node](const Call& call) { return OnChain(node, [&] { return ImportKeys(node, call); }); }});
    table.Add({"listsellerkeys",
               category,
               "The titles whose seller keys this node has.",
               {},
               "array of {claim, title, payouts}",
               [&node](const Call&) { return OnChain(node, [&] { return ListKeys(node); }); }});
    table.Add({"getsalesinfo",
               category,
               "What the seller's agent does: purchases that wait, and grants that no block has yet.",
               {},
               "{selling, titles, waiting, granting, grants, granted, market_feerate}",
               [&node](const Call&) { return OnChain(node, [&] { return SalesInfo(node); }); }});
    AddGiftMethods(table, node);
}

}  // namespace sluice::rpc
