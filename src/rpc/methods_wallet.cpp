#include "primitives/address.h"
#include "rpc/convert.h"
#include "rpc/methods.h"

namespace sluice::rpc {

using node::Node;
using wallet::Wallet;

namespace {

Json HistoryJson(const Node& node, const wallet::HistoryEntry& entry) {
    const chain::ChainManager& chain = node.chain().chain();
    Json json{{"txid", entry.txid.Hex()},
              {"received", AmountJson(entry.received)},
              {"spent", AmountJson(entry.spent)},
              {"coinbase", entry.coinbase},
              {"confirmations", entry.block ? chain.tip()->height() - entry.block->height + 1 : 0}};
    const bool gain = entry.received >= entry.spent;
    json["amount"] = (gain ? "" : "-") + FormatSlu(gain ? Amount(entry.received.drops - entry.spent.drops)
                                                        : Amount(entry.spent.drops - entry.received.drops));
    if (entry.fee) json["fee"] = AmountJson(*entry.fee);
    if (entry.accrued != Amount(0)) json["accrued"] = AmountJson(entry.accrued);
    if (entry.block) {
        json["blockhash"] = entry.block->hash.Hex();
        json["blockheight"] = entry.block->height.value;
        json["time"] = chain.params().SlotSeconds(entry.slot);
    }
    Json records = Json::array();
    for (const TxOutput& output : entry.tx->outputs()) {
        const auto parsed = ParseOutputScript(output.script);
        if (!parsed || parsed->kind != OutputKind::kRecord) continue;
        if (const auto record = DecodeRecord(parsed->record)) records.push_back(RecordTypeName(*record));
    }
    if (!records.empty()) json["records"] = records;
    return json;
}

Json BalancesJson(const wallet::Balances& b) {
    return {{"spendable", AmountJson(b.spendable)},
            {"immature", AmountJson(b.immature)},
            {"pending", AmountJson(Amount(b.pending.drops + b.pending_trusted.drops))},
            {"pending_trusted", AmountJson(b.pending_trusted)},
            {"staked", AmountJson(b.staked)},
            {"accrued", AmountJson(b.accrued)},
            {"bonds", AmountJson(b.bonds)},
            {"locked",
             {{"claims", AmountJson(b.in_claims)},
              {"purchases", AmountJson(b.in_purchases)},
              {"channels", AmountJson(b.in_channels)}}},
            {"total", AmountJson(b.total)}};
}

RpcResult<Json> Send(Node& node, Wallet& wallet, const Call& call) {
    const auto script = DecodeAddress(call.String("address"), node.params().hrp);
    if (!script) return RpcFail(RpcCode::kInvalidParameter, script.error().message);
    ASSIGN_OR_RETURN(const Amount amount, AmountArg(call, "amount"));
    ASSIGN_OR_RETURN(const int64_t feerate,
                     call.Integer("feerate", wallet::kDefaultFeePerKvb, wallet::kMinFeePerKvb, wallet::kMaxFeePerKvb));
    wallet::PaymentRequest request;
    request.payments.push_back({*script, amount});
    request.subtract_fee = call.Bool("subtractfee", false);
    request.feerate_per_kvb = static_cast<uint64_t>(feerate);
    const auto built = wallet.BuildPayment(request);
    if (!built) return RpcFail(built.error());
    const auto txid = node.wallet().Broadcast(*built);
    if (!txid) return RpcFail(txid.error());
    return Json(txid->Hex());
}

RpcResult<Json> ListUnspent(Node& node, Wallet& wallet) {
    Json result = Json::array();
    std::map<OutPoint, wallet::StakeView> stakes;
    for (wallet::StakeView& view : wallet.Stakes()) stakes.emplace(view.outpoint, std::move(view));
    for (const wallet::CoinView& view : wallet.Coins()) {
        if (view.coin.kind != consensus::CoinKind::kPlain) continue;
        const auto stake = stakes.find(view.outpoint);
        const bool staked = stake != stakes.end();
        Json coin{{"txid", view.outpoint.txid.Hex()},
                  {"vout", view.outpoint.index},
                  {"address", EncodeAddress(view.coin.output.script, node.params().hrp)},
                  {"amount", AmountJson(view.coin.output.value)},
                  {"confirmations", view.confirmations},
                  {"spendable", view.mature && !view.locked && !staked},
                  {"locked", view.locked}};
        if (staked) {
            coin["staker"] = stake->second.staker.Hex();
            coin["accrued"] = AmountJson(stake->second.accrued);
        }
        result.push_back(std::move(coin));
    }
    return result;
}

}  // namespace

void AddWalletMethods(MethodTable& table, Node& node) {
    AddStakeMethods(table, node);
    const std::string category = "wallet";
    using Handler = std::function<RpcResult<Json>(Wallet&, const Call&)>;
    const auto add = [&](std::string name, std::string summary, std::vector<ArgSpec> args, std::string result,
                         Handler handler) {
        table.Add({std::move(name), category, std::move(summary), std::move(args), std::move(result),
                   [&node, handler = std::move(handler)](const Call& call) {
                       return OnChain(node, [&]() -> RpcResult<Json> {
                           const auto wallet = node.wallet().Get();
                           if (!wallet) return RpcFail(RpcCode::kWalletMissing, wallet.error().message);
                           return handler(**wallet, call);
                       });
                   }});
    };
    table.Add({"createwallet",
               category,
               "Makes this node's wallet and shows its phrase, this once.",
               {},
               "{phrase}: 24 words, the only backup that is needed",
               [&node](const Call&) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       auto phrase = node.wallet().Create();
                       if (!phrase) return RpcFail(RpcCode::kWallet, phrase.error().message);
                       node.OnWalletReady();
                       return Json{{"phrase", std::move(*phrase)}};
                   });
               }});
    table.Add({"restorewallet",
               category,
               "Brings a wallet back from its phrase: coins, claims and bought keys are found on the chain.",
               {{"phrase", ArgType::kString, true, "the 12 or 24 words"}},
               "{restored}",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       const Status restored = node.wallet().Restore(call.String("phrase"));
                       if (!restored) return RpcFail(RpcCode::kWallet, restored.error().message);
                       node.OnWalletReady();
                       return Json{{"restored", true}};
                   });
               }});
    add("getwalletinfo", "What this wallet is.", {}, "object", [](Wallet& wallet, const Call&) -> RpcResult<Json> {
        Json json{{"purchases", wallet.Purchases().size()},
                  {"claims", wallet.OwnClaims().size()},
                  {"channels", wallet.Channels().size()},
                  {"balance", AmountJson(wallet.GetBalances().spendable)}};
        if (wallet.cursor()) {
            json["scanned_height"] = wallet.cursor()->height.value;
            json["scanned_block"] = wallet.cursor()->hash.Hex();
        }
        return json;
    });
    add("getnewaddress", "A new address to be paid at.", {{"label", ArgType::kString, false, "a note for yourself"}},
        "address", [&node](Wallet& wallet, const Call& call) -> RpcResult<Json> {
            const auto script = wallet.NewReceiveScript(call.String("label"));
            if (!script) return RpcFail(script.error());
            return Json(EncodeAddress(*script, node.params().hrp));
        });
    add("getbalance", "What can be spent now.", {}, "amount",
        [](Wallet& wallet, const Call&) -> RpcResult<Json> { return AmountJson(wallet.GetBalances().spendable); });
    add("getbalances", "Everything that is owned, by what it is.", {},
        "{spendable, immature, pending, staked, bonds, locked: {claims, purchases, channels}, total, accrued}: total "
        "is "
        "the sum of all but accrued, which stake brings beside its amount when it is spent",
        [](Wallet& wallet, const Call&) -> RpcResult<Json> { return BalancesJson(wallet.GetBalances()); });
    add("listunspent", "Outputs that payments can spend, and stake (which undelegate spends) with what it has earned.",
        {}, "array of objects", [&node](Wallet& wallet, const Call&) { return ListUnspent(node, wallet); });
    add("listtransactions", "The newest transactions.",
        {{"count", ArgType::kNumber, false, "how many (default 10)"},
         {"skip", ArgType::kNumber, false, "leave out this many first (default 0)"}},
        "array of objects", [&node](Wallet& wallet, const Call& call) -> RpcResult<Json> {
            ASSIGN_OR_RETURN(const int64_t count, call.Integer("count", 10, 1, 10'000));
            ASSIGN_OR_RETURN(const int64_t skip, call.Integer("skip", 0, 0, INT32_MAX));
            Json result = Json::array();
            for (const wallet::HistoryEntry& entry :
                 wallet.History(static_cast<size_t>(count), static_cast<size_t>(skip)))
                result.push_back(HistoryJson(node, entry));
            return result;
        });
    add("gettransaction", "A transaction of this wallet.", {{"txid", ArgType::kHash, true, "transaction"}}, "object",
        [&node](Wallet& wallet, const Call& call) -> RpcResult<Json> {
            ASSIGN_OR_RETURN(const Txid txid, HashArg<Txid>(call, "txid"));
            const auto entry = wallet.FindTransaction(txid);
            if (!entry) return RpcFail(RpcCode::kNotFound, "the transaction " + txid.Hex() + " is not of this wallet");
            Json json = HistoryJson(node, *entry);
            json["hex"] = HexEncode(entry->tx->tx().ToBytes());
            json["decoded"] = TransactionJson(*entry->tx, node.params().hrp);
            return json;
        });
    add("sendtoaddress", "Pays an address.",
        {{"address", ArgType::kString, true, "who gets it"},
         {"amount", ArgType::kAmount, true, "SLU"},
         {"subtractfee", ArgType::kBool, false, "the receiver pays the fee (default false)"},
         {"feerate", ArgType::kNumber, false, "drops per 1000 vB (default 2000)"}},
        "txid", [&node](Wallet& wallet, const Call& call) { return Send(node, wallet, call); });
    add("bumpfee", "Replaces an unconfirmed transaction of this wallet by one that pays more.",
        {{"txid", ArgType::kHash, true, "transaction"}, {"feerate", ArgType::kNumber, true, "drops per 1000 vB"}},
        "{txid, fee}", [&node](Wallet& wallet, const Call& call) -> RpcResult<Json> {
            ASSIGN_OR_RETURN(const Txid txid, HashArg<Txid>(call, "txid"));
            ASSIGN_OR_RETURN(const int64_t feerate,
                             call.Integer("feerate", 0, wallet::kMinFeePerKvb, wallet::kMaxFeePerKvb));
            const auto built = wallet.BuildFeeBump(txid, static_cast<uint64_t>(feerate));
            if (!built) return RpcFail(built.error());
            const auto sent = node.wallet().Broadcast(*built);
            if (!sent) return RpcFail(sent.error());
            return Json{{"txid", sent->Hex()}, {"fee", AmountJson(built->fee)}};
        });
    table.Add({"validateaddress",
               category,
               "Whether an address is of this network, and what it is.",
               {{"address", ArgType::kString, true, "address"}},
               "{isvalid, address, scriptPubKey, ismine or error}",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       const auto script = DecodeAddress(call.String("address"), node.params().hrp);
                       if (!script) return Json{{"isvalid", false}, {"error", script.error().message}};
                       const auto wallet = node.wallet().Get();
                       return Json{{"isvalid", true},
                                   {"address", EncodeAddress(*script, node.params().hrp)},
                                   {"scriptPubKey", HexEncode(*script)},
                                   {"ismine", wallet && (*wallet)->IsMine(*script)}};
                   });
               }});
}

}  // namespace sluice::rpc
