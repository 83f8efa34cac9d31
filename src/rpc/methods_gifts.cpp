#include "content/fraud_proof.h"
#include "primitives/address.h"
#include "rpc/content_arguments.h"

// Gifts, bundles, tips, and proofs of what a seller did not deliver.

namespace sluice::rpc {

using node::Node;

namespace {

RpcResult<wallet::Wallet*> WalletOf(Node& node) {
    const auto wallet = node.wallet().Get();
    if (!wallet) return RpcFail(RpcCode::kWalletMissing, wallet.error().message);
    return *wallet;
}

RpcResult<Json> GiftAddress(Node& node) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, WalletOf(node));
    return Json{{"address", EncodeGiftAddress(wallet->GiftKey(), node.params().hrp)}};
}

RpcResult<Json> SendGift(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const OutPoint lock, OutPointArg(call, "purchase"));
    const auto recipient = DecodeGiftAddress(call.String("address"), node.params().hrp);
    if (!recipient) return RpcFail(RpcCode::kInvalidParameter, recipient.error().message);
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, WalletOf(node));
    (void)wallet;
    const auto sent = node.gifts().Send(lock, *recipient);
    if (!sent) return RpcFail(sent.error());
    return Json{{"txid", sent->Hex()}, {"purchase", lock.ToString()}};
}

RpcResult<Json> ListGifts(Node& node) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, WalletOf(node));
    Json received = Json::array(), given = Json::array();
    for (const auto& gift : node.gifts().ListReceived()) {
        Json one{{"purchase", gift.purchase.ToString()},
                 {"txid", gift.txid.Hex()},
                 {"tier", gift.tier},
                 {"state", gift.good ? "good" : "false"}};
        if (gift.claim) one["claim"] = gift.claim->Hex();
        if (!gift.title.empty()) one["title"] = gift.title;
        if (!gift.good) one["message"] = "it is not the key that the purchase was for: it opens nothing";
        received.push_back(one);
    }
    const auto sent = wallet->GiftsGiven();
    for (const auto& [purchase, txid] : sent)
        given.push_back({{"purchase", purchase.ToString()}, {"txid", txid.Hex()}, {"state", "sent"}});
    for (const auto& [lock, purchase] : wallet->Purchases()) {
        const auto intent = wallet->GiftIntents().find(purchase.first_input);
        if (intent == wallet->GiftIntents().end() || intent->second.sent) continue;
        given.push_back({{"purchase", lock.ToString()},
                         {"for", EncodeGiftAddress(intent->second.recipient, node.params().hrp)},
                         {"state", purchase.status == wallet::PurchaseStatus::kRefunded ? "refunded" : "waiting"}});
    }
    return Json{{"received", received}, {"given", given}};
}

RpcResult<Json> PublishBundle(Node& node, const Call& call) {
    node::BundleOptions options;
    options.title = call.String("title");
    options.description = call.String("description");
    ASSIGN_OR_RETURN(options.price, AmountArg(call, "price"));
    ASSIGN_OR_RETURN(const auto claims, TextsArg(call, "claims"));
    for (const std::string& text : claims) {
        const auto claim = node.claims().Resolve(text);
        if (!claim) return RpcFail(claim.error());
        options.claims.push_back(*claim);
    }
    if (call.Has("false_key")) {
        if (node.params().network != "regtest")
            return RpcFail(RpcCode::kInvalidParameter, "false_key works on regtest only");
        ASSIGN_OR_RETURN(const Hash256 scalar, HashArg<Hash256>(call, "false_key"));
        auto key = crypto::SecretKey::FromBytes(scalar.bytes);
        if (!key) return RpcFail(RpcCode::kInvalidParameter, "false_key is not a valid key");
        node.bundles().CheatWith(std::move(*key));
    }
    const auto published = node.bundles().Publish(options);
    if (!published) return RpcFail(published.error());
    return Json{{"claim", published->claim.Hex()},        {"txid", published->txid.Hex()},
                {"anchor", published->anchor.ToString()}, {"titles", options.claims.size()},
                {"fee", AmountJson(published->fee)},      {"burned", AmountJson(published->burned)}};
}

RpcResult<Json> ListBundles(Node& node) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, WalletOf(node));
    (void)wallet;
    Json result = Json::array();
    for (const node::BundleView& bundle : node.keys().Bundles()) {
        Json titles = Json::array();
        for (size_t i = 0; i < bundle.titles.size(); ++i) {
            Json one{{"claim", bundle.titles[i].claim.Hex()}};
            one["state"] = !bundle.here ? "fetching" : bundle.good[i] ? "good" : "false";
            if (const auto info = node.claims().Find(bundle.titles[i].claim)) one["title"] = info->record.title;
            titles.push_back(one);
        }
        Json one{{"claim", bundle.claim.Hex()}, {"title", bundle.title}, {"here", bundle.here}, {"titles", titles}};
        if (const auto proof = node.frauds().FileOf(bundle.claim)) one["fraud_proof"] = *proof;
        result.push_back(one);
    }
    return result;
}

RpcResult<Json> Tip(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, WalletOf(node));
    ASSIGN_OR_RETURN(const Amount amount, AmountArg(call, "amount"));
    const std::string to = call.String("to");
    Json result;
    Script script;
    if (const auto claim = node.claims().Resolve(to)) {
        const auto info = node.claims().Find(*claim);
        if (!info) return RpcFail(info.error());
        script = info->record.payout_script;
        result["claim"] = claim->Hex();
        result["title"] = info->record.title;
    } else {
        const auto decoded = DecodeAddress(to, node.params().hrp);
        if (!decoded)
            return RpcFail(RpcCode::kInvalidParameter, "'" + to.substr(0, 80) + "' is neither a claim (" +
                                                           claim.error().message + ") nor an address (" +
                                                           decoded.error().message + ")");
        script = *decoded;
    }
    wallet::PaymentRequest request;
    request.payments.push_back({script, amount});
    const auto built = wallet->BuildPayment(request);
    if (!built) return RpcFail(built.error());
    const auto txid = node.wallet().Broadcast(*built);
    if (!txid) return RpcFail(txid.error());
    result["txid"] = txid->Hex();
    result["amount"] = AmountJson(amount);
    result["address"] = EncodeAddress(script, node.params().hrp);
    result["fee"] = AmountJson(built->fee);
    return result;
}

RpcResult<Json> GetFraudProof(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const ClaimId claim, ClaimArg(node, call));
    const auto file = node.frauds().FileOf(claim);
    if (!file) return RpcFail(file.error());
    const auto proof = node.frauds().Load(claim);
    if (!proof) return RpcFail(proof.error());
    const auto finding = content::VerifyFraudProof(*proof);
    if (!finding) return RpcFail(finding.error());
    Json json{{"claim", claim.Hex()},  {"file", *file},
              {"what", finding->what}, {"publish", proof->publish->txid().Hex()},
              {"tier", proof->tier},   {"chunk", proof->chunk.value}};
    if (proof->sale) {
        json["purchase"] = proof->sale->purchase->txid().Hex();
        json["grant"] = proof->sale->grant->txid().Hex();
    }
    return json;
}

}  // namespace

void AddGiftMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
    table.Add({"getgiftaddress",
               category,
               "Where others send keys that they buy for you. One for each wallet; it never shows on the chain.",
               {},
               "{address}",
               [&node](const Call&) { return OnChain(node, [&] { return GiftAddress(node); }); }});
    table.Add({"sendgift",
               category,
               "Passes the key of a granted purchase on; what 'buykey' with 'for' does by itself.",
               {{"purchase", ArgType::kString, true, "the purchase's lock output, TXID:INDEX"},
                {"address", ArgType::kString, true, "the recipient's gift address"}},
               "{txid, purchase}",
               [&node](const Call& call) { return OnChain(node, [&] { return SendGift(node, call); }); }});
    table.Add({"listgifts",
               category,
               "Keys that were given to this wallet and that it gave.",
               {},
               "{received: array of {claim, title, tier, state: good or false, ...}, given: array}",
               [&node](const Call&) { return OnChain(node, [&] { return ListGifts(node); }); }});
    table.Add({"publishbundle",
               category,
               "Sells the keys of several own claims as one claim.",
               {{"title", ArgType::kString, true, "what the feed shows"},
                {"price", ArgType::kAmount, true, "of the bundle"},
                {"claims", ArgType::kArray, true, "own claims, 1 to 48"},
                {"description", ArgType::kString, false, "what it is"},
                {"false_key", ArgType::kString, false, "regtest tests: the first title gets this key"}},
               "{claim, txid, anchor, titles, fee, burned}",
               [&node](const Call& call) { return OnChain(node, [&] { return PublishBundle(node, call); }); }});
    table.Add({"listbundles",
               category,
               "Bundles that this wallet bought or was given, with the keys inside.",
               {},
               "array of {claim, title, here, titles: array of {claim, state: fetching, good or false}}",
               [&node](const Call&) { return OnChain(node, [&] { return ListBundles(node); }); }});
    table.Add({"tip",
               category,
               "Pays the payout script of a claim, or an address.",
               {{"to", ArgType::kString, true, "claim or address"}, {"amount", ArgType::kAmount, true, "SLU"}},
               "{txid, amount, address, fee, claim, title}",
               [&node](const Call& call) { return OnChain(node, [&] { return Tip(node, call); }); }});
    table.Add({"getfraudproof",
               category,
               "The proof that a key which was sold does not open what its record promises.",
               {kClaimArg},
               "{claim, file, what, publish, purchase, grant, tier, chunk}",
               [&node](const Call& call) { return OnChain(node, [&] { return GetFraudProof(node, call); }); }});
}

}  // namespace sluice::rpc
