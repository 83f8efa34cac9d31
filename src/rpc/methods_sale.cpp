#include <fmt/format.h>

#include "rpc/content_arguments.h"

namespace sluice::rpc {

using node::Node;

namespace {

RpcResult<Json> Buy(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const ClaimId claim, ClaimArg(node, call));
    const auto wallet = node.wallet().Get();
    if (!wallet) return RpcFail(RpcCode::kWalletMissing, wallet.error().message);
    const auto info = node.claims().Find(claim);
    if (!info) return RpcFail(info.error());
    ASSIGN_OR_RETURN(const int64_t tier, call.Integer("tier", 0, 0, kMaxSegments));
    if (const auto lock = node.claims().FindPurchase(*info, static_cast<uint16_t>(tier))) {
        const wallet::OwnPurchase& purchase = (*wallet)->Purchases().at(*lock);
        return Json{{"purchase", lock->ToString()},
                    {"txid", lock->txid.Hex()},
                    {"claim", claim.Hex()},
                    {"price", AmountJson(purchase.terms ? purchase.terms->price : Amount(0))},
                    {"refund_height", purchase.refund_height.value},
                    {"already_bought", true}};
    }
    wallet::PurchaseRequest request;
    request.publish = info->anchor;
    request.tier = static_cast<uint16_t>(tier);
    if (call.Has("max_price")) {
        ASSIGN_OR_RETURN(request.max_price, AmountArg(call, "max_price"));
    }
    const auto built = (*wallet)->BuildPurchase(request);
    if (!built) return RpcFail(built.error());
    const auto txid = node.wallet().Broadcast(built->built);
    if (!txid) return RpcFail(txid.error());
    return Json{{"purchase", built->lock.ToString()},
                {"txid", txid->Hex()},
                {"claim", claim.Hex()},
                {"price", AmountJson(built->terms.price)},
                {"fee", AmountJson(built->built.fee)},
                {"burned", AmountJson(built->built.burned)},
                {"refund_height", built->refund_height.value},
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

}  // namespace

void AddSaleMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
    const ArgSpec purchase{"purchase", ArgType::kString, true, "the purchase's lock output, TXID:INDEX"};
    table.Add({"buykey",
               category,
               "Pays for the key of a claim; the seller's node answers with the key on the chain.",
               {kClaimArg,
                {"tier", ArgType::kNumber, false, "0: the whole (default); i: segment i"},
                {"max_price", ArgType::kAmount, false, "do not buy if it costs more"}},
               "{txid, purchase, claim, price, refund_height}",
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
}

}  // namespace sluice::rpc
