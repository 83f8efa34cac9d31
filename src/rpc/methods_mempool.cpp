#include "rpc/convert.h"
#include "rpc/methods.h"

namespace sluice::rpc {

using node::Node;

namespace {

Json EntryJson(const chain::Mempool& mempool, const chain::MempoolEntry& entry) {
    const auto ancestors = mempool.Totals(mempool.Ancestors(entry.tx->txid()));
    const auto descendants = mempool.Totals(mempool.Descendants(entry.tx->txid()));
    Json depends = Json::array();
    for (const Txid& parent : entry.parents) depends.push_back(parent.Hex());
    Json spent_by = Json::array();
    for (const Txid& child : entry.children) spent_by.push_back(child.Hex());
    return {{"vsize", entry.vsize()},
            {"weight", entry.tx->weight()},
            {"fee", AmountJson(entry.fee)},
            {"burned", AmountJson(entry.burned)},
            {"time", std::chrono::duration_cast<seconds>(entry.time.time_since_epoch()).count()},
            {"wtxid", entry.tx->wtxid().Hex()},
            {"ancestorcount", ancestors.count},
            {"ancestorsize", ancestors.vsize},
            {"ancestorfees", AmountJson(ancestors.fee)},
            {"descendantcount", descendants.count},
            {"descendantsize", descendants.vsize},
            {"descendantfees", AmountJson(descendants.fee)},
            {"depends", depends},
            {"spentby", spent_by}};
}

RpcResult<Json> RawTransaction(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const Txid txid, HashArg<Txid>(call, "txid"));
    const bool verbose = call.Bool("verbose", false);
    chain::ChainManager& chain = node.chain().chain();
    TransactionRef tx;
    Json json;
    if (const chain::MempoolEntry* entry = chain.mempool().Find(txid)) {
        tx = entry->tx;
    } else {
        const auto location = chain.indexes().FindTx(txid);
        if (!location) return RpcFail(location.error());
        if (!*location)
            return RpcFail(RpcCode::kNotFound,
                           "the transaction " + txid.Hex() + " is neither in the mempool nor in a block");
        const auto block = chain.GetBlock((*location)->block);
        if (!block) return RpcFail(block.error());
        if (!*block) return RpcFail(RpcCode::kNotFound, "the block of this transaction is not here");
        tx = (*block)->transactions[(*location)->position];
        json = {{"blockhash", (*location)->block.Hex()},
                {"height", (*location)->height.value},
                {"confirmations", chain.tip()->height() - (*location)->height + 1}};
    }
    if (!verbose) return Json(HexEncode(tx->tx().ToBytes()));
    Json result = TransactionJson(*tx, chain.params().hrp);
    if (json.is_object()) result.update(json);
    result["hex"] = HexEncode(tx->tx().ToBytes());
    return result;
}

}  // namespace

void AddMempoolMethods(MethodTable& table, Node& node) {
    const std::string category = "mempool";
    const auto add = [&](std::string name, std::string summary, std::vector<ArgSpec> args, std::string result,
                         std::function<RpcResult<Json>(const Call&)> handler) {
        table.Add({std::move(name), category, std::move(summary), std::move(args), std::move(result),
                   [&node, handler = std::move(handler)](const Call& call) {
                       return OnChain(node, [&] { return handler(call); });
                   }});
    };
    const ArgSpec txid{"txid", ArgType::kHash, true, "transaction"};
    add("getmempoolinfo", "How full the mempool is.", {}, "object", [&node](const Call&) -> RpcResult<Json> {
        const chain::Mempool& mempool = node.chain().chain().mempool();
        return Json{{"loaded", true},
                    {"size", mempool.size()},
                    {"bytes", mempool.total_vsize()},
                    {"usage", mempool.usage_bytes()},
                    {"maxmempool", mempool.policy().max_bytes},
                    {"mempoolminfee", AmountJson(Amount(mempool.min_fee_per_kvb()))},
                    {"minrelaytxfee", AmountJson(Amount(mempool.policy().min_fee_per_kvb))}};
    });
    add("getrawmempool", "The transactions in the mempool.",
        {{"verbose", ArgType::kBool, false, "with details (default false)"}}, "array of txids, or object by txid",
        [&node](const Call& call) -> RpcResult<Json> {
            const chain::Mempool& mempool = node.chain().chain().mempool();
            const bool verbose = call.Bool("verbose", false);
            Json result = verbose ? Json::object() : Json::array();
            for (const chain::MempoolEntry* entry : mempool.All()) {
                if (verbose)
                    result[entry->tx->txid().Hex()] = EntryJson(mempool, *entry);
                else
                    result.push_back(entry->tx->txid().Hex());
            }
            return result;
        });
    add("getmempoolentry", "One transaction of the mempool.", {txid}, "object",
        [&node](const Call& call) -> RpcResult<Json> {
            ASSIGN_OR_RETURN(const Txid wanted, HashArg<Txid>(call, "txid"));
            const chain::Mempool& mempool = node.chain().chain().mempool();
            const chain::MempoolEntry* entry = mempool.Find(wanted);
            if (!entry)
                return RpcFail(RpcCode::kNotFound, "the transaction " + wanted.Hex() + " is not in the mempool");
            return EntryJson(mempool, *entry);
        });
    add("getrawtransaction", "A transaction of the mempool or of a block.",
        {txid, {"verbose", ArgType::kBool, false, "as an object (default false: hex)"}}, "hex string or object",
        [&node](const Call& call) { return RawTransaction(node, call); });
    add("decoderawtransaction", "What a transaction says.",
        {{"hexstring", ArgType::kString, true, "the transaction, hex"}}, "object",
        [&node](const Call& call) -> RpcResult<Json> {
            ASSIGN_OR_RETURN(const TransactionRef tx, TransactionArg(call, "hexstring"));
            return TransactionJson(*tx, node.chain().params().hrp);
        });
    add("sendrawtransaction", "Takes a transaction into the mempool and relays it.",
        {{"hexstring", ArgType::kString, true, "the signed transaction, hex"}}, "its txid",
        [&node](const Call& call) -> RpcResult<Json> {
            ASSIGN_OR_RETURN(const TransactionRef tx, TransactionArg(call, "hexstring"));
            const auto accepted = node.chain().Submit(tx);
            if (!accepted) return RpcFail(RpcCode::kVerifyRejected, accepted.error().ToString());
            return Json(tx->txid().Hex());
        });
    add("testmempoolaccept", "Whether the mempool would take a transaction.",
        {{"hexstring", ArgType::kString, true, "the signed transaction, hex"}},
        "{txid, allowed, reject-reason or fee and vsize}", [&node](const Call& call) -> RpcResult<Json> {
            ASSIGN_OR_RETURN(const TransactionRef tx, TransactionArg(call, "hexstring"));
            const auto accepted = node.chain().Accept(tx, true);
            Json json{{"txid", tx->txid().Hex()}, {"wtxid", tx->wtxid().Hex()}, {"allowed", accepted.has_value()}};
            if (accepted) {
                json["fee"] = AmountJson(accepted->fee);
                json["vsize"] = accepted->vsize;
            } else {
                json["reject-reason"] = accepted.error().ToString();
            }
            return json;
        });
}

}  // namespace sluice::rpc
