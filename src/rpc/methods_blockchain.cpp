#include <fmt/format.h>

#include "rpc/convert.h"
#include "rpc/methods.h"

namespace sluice::rpc {

using chain::HeaderNode;
using node::Node;

namespace {

RpcResult<const HeaderNode*> NodeArg(const Node& node, const Call& call, const std::string& name) {
    ASSIGN_OR_RETURN(const BlockHash hash, HashArg<BlockHash>(call, name));
    const HeaderNode* found = node.chain().chain().FindHeader(hash);
    if (!found) return RpcFail(RpcCode::kNotFound, "the block " + hash.Hex() + " is not known");
    return found;
}

Json NodeHeaderJson(const Node& node, const HeaderNode* header_node, const BlockHeader& header) {
    const chain::ChainManager& chain = node.chain().chain();
    Json json = HeaderJson(header, header_node->hash());
    const bool active = chain.IsActive(header_node);
    json["confirmations"] = active ? chain.tip()->height() - header_node->height() + 1 : -1;
    json["time"] = chain.params().SlotSeconds(header_node->state.slot);
    json["epoch"] = header_node->state.epoch.value;
    json["epoch_nonce"] = header_node->state.nonce.Hex();
    if (active)
        if (const HeaderNode* next = chain.At(header_node->height() + 1)) json["nextblockhash"] = next->hash().Hex();
    return json;
}

RpcResult<Json> BlockchainInfo(Node& node) {
    const chain::ChainManager& chain = node.chain().chain();
    const HeaderNode* tip = chain.tip();
    const auto totals = chain.state().Get<consensus::LedgerTotals>({});
    return Json{{"chain", chain.params().network},
                {"blocks", tip->height().value},
                {"headers", chain.best_header()->height().value},
                {"bestblockhash", tip->hash().Hex()},
                {"genesis", chain.genesis_hash().Hex()},
                {"slot", tip->state.slot.value},
                {"epoch", tip->state.epoch.value},
                {"time", chain.params().SlotSeconds(tip->state.slot)},
                {"initialblockdownload", !chain.IsCaughtUp(node.clock().Now())},
                {"syncing", node.chain().Syncing()},
                {"minted", AmountJson(totals->minted)},
                {"burned", AmountJson(totals->burned)}};
}

RpcResult<Json> GetBlock(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const int64_t verbosity, call.Integer("verbosity", 1, 0, 2));
    ASSIGN_OR_RETURN(const HeaderNode* found, NodeArg(node, call, "blockhash"));
    const auto block = node.chain().chain().GetBlock(found->hash());
    if (!block) return RpcFail(block.error());
    if (!*block) return RpcFail(RpcCode::kNotFound, "the body of this block is not here (yet)");
    if (verbosity == 0) return Json(HexEncode((*block)->ToBytes()));
    Json json = NodeHeaderJson(node, found, (*block)->header);
    json["weight"] = (*block)->weight();
    json["nTx"] = (*block)->transactions.size();
    Json txs = Json::array();
    for (const TransactionRef& tx : (*block)->transactions)
        txs.push_back(verbosity == 1 ? Json(tx->txid().Hex()) : TransactionJson(*tx, node.chain().params().hrp));
    json["tx"] = txs;
    return json;
}

RpcResult<Json> TxOutSetInfo(Node& node) {
    const chain::ChainManager& chain = node.chain().chain();
    const auto totals = chain.state().Get<consensus::LedgerTotals>({});
    return Json{{"height", chain.tip()->height().value},
                {"bestblock", chain.tip()->hash().Hex()},
                {"txouts", totals->coins},
                {"total_amount", AmountJson(totals->unspent)},
                {"genesis", AmountJson(totals->genesis)},
                {"minted", AmountJson(totals->minted)},
                {"burned", AmountJson(totals->burned)},
                {"pots", AmountJson(totals->pots)},
                {"conserved", totals->Conserved()}};
}

RpcResult<Json> GetTxOut(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const Txid txid, HashArg<Txid>(call, "txid"));
    ASSIGN_OR_RETURN(const int64_t index, call.Integer("n", 0, 0, 0xffffffff));
    chain::ChainManager& chain = node.chain().chain();
    const bool mempool = call.Bool("include_mempool", true);
    const OutPoint outpoint{txid, static_cast<uint32_t>(index)};
    const auto coin =
        mempool ? chain.mempool().view().Get<consensus::Coin>(outpoint) : chain.state().Get<consensus::Coin>(outpoint);
    if (!coin) return Json();
    return Json{{"bestblock", chain.tip()->hash().Hex()},
                {"confirmations", std::max<int64_t>(0, chain.tip()->height() - coin->height + 1)},
                {"value", AmountJson(coin->output.value)},
                {"scriptPubKey", ScriptJson(coin->output.script, chain.params().hrp)},
                {"coinbase", coin->coinbase},
                {"height", coin->height.value}};
}

RpcResult<Json> ChainTips(Node& node) {
    const chain::ChainManager& chain = node.chain().chain();
    Json tips = Json::array();
    chain.headers().ForEach([&](const HeaderNode& header) {
        if (!header.children.empty()) return;
        const bool active = &header == chain.tip();
        const HeaderNode* fork = chain::ForkPoint(&header, chain.tip());
        tips.push_back({{"height", header.height().value},
                        {"hash", header.hash().Hex()},
                        {"branchlen", header.height() - fork->height()},
                        {"status", active                  ? "active"
                                   : header.failed         ? "invalid"
                                   : header.has_all_bodies ? "valid-fork"
                                                           : "headers-only"}});
    });
    return tips;
}

RpcResult<Json> WaitForHeight(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const int64_t height, call.Integer("height", 0, 0, INT32_MAX));
    ASSIGN_OR_RETURN(const int64_t timeout_ms, call.Integer("timeout", 60'000, 1, 600'000));
    const Instant deadline = node.clock().Monotonic() + milliseconds(timeout_ms);
    for (uint64_t seen = node.events().last_sequence();;) {
        ASSIGN_OR_RETURN(Json tip, OnChain(node, [&]() -> RpcResult<Json> {
                             const HeaderNode* tip_node = node.chain().chain().tip();
                             return Json{{"hash", tip_node->hash().Hex()}, {"height", tip_node->height().value}};
                         }));
        const Instant now = node.clock().Monotonic();
        if (tip["height"].get<int64_t>() >= height || now >= deadline || node.IsStopping()) return tip;
        const auto events =
            node.events().Wait(seen, std::chrono::duration_cast<milliseconds>(deadline - now) + milliseconds(1));
        if (!events.empty()) seen = events.back().sequence;
    }
}

// The block's result as the interface says it.
RpcResult<Json> BlockOutcome(const Result<chain::BlockResult>& result) {
    if (!result) return RpcFail(result.error());
    if (result->what != chain::BlockResult::What::kNotTaken) return Json();
    return RpcFail(RpcCode::kVerifyRejected, result->invalid  ? result->invalid->ToString()
                                             : result->header ? result->header->reason.ToString()
                                                              : "not taken");
}

RpcResult<Json> Generate(Node& node, int64_t count) {
    if (node.chain().params().network != "regtest")
        return RpcFail(RpcCode::kMisc, "generateblocks works on regtest only");
    Json blocks = Json::array();
    for (int64_t i = 0; i < count; ++i) {
        const consensus::Params& params = node.chain().params();
        const auto now_slot = params.SlotAt(node.clock().Now());
        const Slot from = std::max(node.chain().chain().tip()->state.slot + 1, now_slot.value_or(Slot(0)));
        const auto slot = node.staking().NextWonSlot(from);
        if (!slot) return RpcFail(slot.error());
        node.clock().SetMock(params.SlotTime(*slot));
        const auto produced = node.staking().TryProduce(*slot);
        if (!produced) return RpcFail(produced.error());
        if (!*produced) return RpcFail(RpcCode::kMisc, "the slot was not won after all");
        blocks.push_back({{"hash", (*produced)->Hex()},
                          {"slot", slot->value},
                          {"time", params.SlotSeconds(*slot)},
                          {"height", node.chain().chain().tip()->height().value}});
    }
    return blocks;
}

}  // namespace

void AddBlockchainMethods(MethodTable& table, Node& node) {
    const std::string category = "blockchain";
    const ArgSpec hash{"blockhash", ArgType::kHash, true, "hash of a block"};
    const auto add = [&](std::string name, std::string summary, std::vector<ArgSpec> args, std::string result,
                         std::function<RpcResult<Json>(const Call&)> handler) {
        table.Add({std::move(name), category, std::move(summary), std::move(args), std::move(result),
                   [&node, handler = std::move(handler)](const Call& call) {
                       return OnChain(node, [&] { return handler(call); });
                   }});
    };
    add("getblockchaininfo", "What chain this is and how far it is.", {}, "object",
        [&node](const Call&) { return BlockchainInfo(node); });
    add("getblockcount", "The height of the tip.", {}, "number",
        [&node](const Call&) -> RpcResult<Json> { return Json(node.chain().chain().tip()->height().value); });
    add("getbestblockhash", "The hash of the tip.", {}, "hex string",
        [&node](const Call&) -> RpcResult<Json> { return Json(node.chain().chain().tip()->hash().Hex()); });
    add("getblockhash", "The hash of the active chain's block at a height.",
        {{"height", ArgType::kNumber, true, "0 to the tip's"}}, "hex string",
        [&node](const Call& call) -> RpcResult<Json> {
            ASSIGN_OR_RETURN(const int64_t height,
                             call.Integer("height", 0, 0, node.chain().chain().tip()->height().value));
            const HeaderNode* found = node.chain().chain().At(Height(static_cast<uint32_t>(height)));
            if (!found) return RpcFail(RpcCode::kNotFound, "the block of this height could not be read");
            return Json(found->hash().Hex());
        });
    add("getblock", "A block.",
        {hash, {"verbosity", ArgType::kNumber, false, "0: hex, 1: with txids (default), 2: with transactions"}},
        "hex string or object", [&node](const Call& call) { return GetBlock(node, call); });
    add("getblockheader", "A header.", {hash, {"verbose", ArgType::kBool, false, "false: hex (default true)"}},
        "hex string or object", [&node](const Call& call) -> RpcResult<Json> {
            ASSIGN_OR_RETURN(const HeaderNode* found, NodeArg(node, call, "blockhash"));
            const auto header = node.chain().chain().headers().ReadHeader(found->hash());
            if (!header) return RpcFail(header.error());
            return call.Bool("verbose", true) ? NodeHeaderJson(node, found, *header) : Json(HexEncode(Encode(*header)));
        });
    add("getchaintips", "All known branches.", {}, "array of {height, hash, branchlen, status}",
        [&node](const Call&) { return ChainTips(node); });
    add("gettxout", "An unspent output; null if there is none.",
        {{"txid", ArgType::kHash, true, "transaction"},
         {"n", ArgType::kNumber, true, "output index"},
         {"include_mempool", ArgType::kBool, false, "also unconfirmed ones (default true)"}},
        "object or null", [&node](const Call& call) { return GetTxOut(node, call); });
    add("gettxoutsetinfo", "The supply, to the drop: genesis + minted = total_amount + pots + burned.", {}, "object",
        [&node](const Call&) { return TxOutSetInfo(node); });
    add("submitblock", "Takes a block.", {{"hexdata", ArgType::kString, true, "the block, hex"}},
        "null, or an error that says why not", [&node](const Call& call) -> RpcResult<Json> {
            const auto bytes = HexDecode(call.String("hexdata"));
            if (!bytes) return RpcFail(RpcCode::kInvalidParameter, "hexdata is not hexadecimal");
            auto block = Block::FromBytes(*bytes);
            if (!block) return RpcFail(block.error());
            return BlockOutcome(node.chain().SubmitBlock(std::make_shared<const Block>(std::move(*block))));
        });
    add("invalidateblock", "Refuses a block and everything after it.", {hash}, "null",
        [&node](const Call& call) -> RpcResult<Json> {
            ASSIGN_OR_RETURN(const BlockHash target, HashArg<BlockHash>(call, "blockhash"));
            return BlockOutcome(node.chain().Invalidate(target));
        });
    add("reconsiderblock", "Takes back invalidateblock.", {hash}, "null", [&node](const Call& call) -> RpcResult<Json> {
        ASSIGN_OR_RETURN(const BlockHash target, HashArg<BlockHash>(call, "blockhash"));
        return BlockOutcome(node.chain().Reconsider(target));
    });
    add("generateblocks",
        "regtest: moves the node's clock to the next slots that its keys win and makes a block in each.",
        {{"count", ArgType::kNumber, true, "1 to 10000"}}, "array of {hash, slot, time, height}",
        [&node](const Call& call) -> RpcResult<Json> {
            ASSIGN_OR_RETURN(const int64_t count, call.Integer("count", 1, 1, 10'000));
            return Generate(node, count);
        });
    table.Add({"waitforblockheight",
               category,
               "Waits until the tip is at least at a height.",
               {{"height", ArgType::kNumber, true, "least height"},
                {"timeout", ArgType::kNumber, false, "milliseconds (default 60000)"}},
               "{hash, height} of the tip",
               [&node](const Call& call) { return WaitForHeight(node, call); },
               true});
}

}  // namespace sluice::rpc
