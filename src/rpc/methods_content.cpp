#include <fmt/format.h>

#include "rpc/content_arguments.h"

namespace sluice::rpc {

using node::ClaimInfo;
using node::Node;

namespace {

RpcResult<Json> Publish(Node& node, const Call& call) {
    node::PublishOptions options;
    ASSIGN_OR_RETURN(options.price, AmountArg(call, "price"));
    options.free = call.Bool("free", options.price == Amount(0) && call.Has("free"));
    options.title = call.String("title");
    options.description = call.String("description");
    options.mime = call.String("mime");
    options.language = call.String("language");
    ASSIGN_OR_RETURN(options.tags, TextsArg(call, "tags"));
    ASSIGN_OR_RETURN(options.endpoints, TextsArg(call, "endpoints"));
    if (call.Has("seed_price")) {
        ASSIGN_OR_RETURN(options.seed_price_per_mib, AmountArg(call, "seed_price"));
    }
    if (call.Has("ask")) {
        ASSIGN_OR_RETURN(options.ask_per_mib, AmountArg(call, "ask"));
    }
    if (call.Has("seal_key")) {
        if (node.params().network != "regtest")
            return RpcFail(RpcCode::kInvalidParameter, "seal_key works on regtest only");
        ASSIGN_OR_RETURN(options.seal_key, HashArg<Hash256>(call, "seal_key"));
    }
    auto source = node.publish_jobs().Inspect(call.String("path"));
    if (!source) return RpcFail(source.error());
    return OnChain(node,
                   [&] { return Started(node.publish_jobs().StartPublish(std::move(*source), std::move(options))); });
}

RpcResult<Json> ListContent(Node& node) {
    Json result = Json::array();
    for (const ContentId& id : node.chunks().List()) {
        const auto stored = node.chunks().Find(id);
        if (!stored) continue;
        const content::ChunkSet have = stored->Have();
        result.push_back({{"root", id.root.Hex()},
                          {"size", id.size_bytes},
                          {"chunks", have.size()},
                          {"have", have.count()},
                          {"synced", stored->SyncedCount()},
                          {"complete", stored->IsComplete()}});
    }
    return result;
}

}  // namespace

void AddContentMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
    table.Add({"publishcontent",
               category,
               "Seals a file or folder, publishes its record and serves it.",
               {{"path", ArgType::kString, true, "absolute path on the node's machine"},
                {"price", ArgType::kAmount, true, "of the key; 0 with free"},
                {"title", ArgType::kString, false, "default: the file's name"},
                {"description", ArgType::kString, false, "what it is"},
                {"mime", ArgType::kString, false, "media type"},
                {"language", ArgType::kString, false, "language tag"},
                {"tags", ArgType::kArray, false, "words"},
                {"seed_price", ArgType::kAmount, false, "what seeders are advised to ask for each MiB (default 0)"},
                {"ask", ArgType::kAmount, false, "what this node asks for each MiB itself (default 0)"},
                {"free", ArgType::kBool, false, "publish the key too"},
                {"endpoints", ArgType::kArray, false, "IP:PORT of nodes that serve it"},
                {"seal_key", ArgType::kString, false, "regtest tests: seal with another key"}},
               "{job}; its result has the claim once the record is in a block",
               [&node](const Call& call) { return Publish(node, call); }});
    table.Add({"listclaims",
               category,
               "What was published, newest first.",
               {{"count", ArgType::kNumber, false, "how many (default 20)"},
                {"skip", ArgType::kNumber, false, "leave out this many first (default 0)"}},
               "array of objects",
               [&node](const Call& call) -> RpcResult<Json> {
                   ASSIGN_OR_RETURN(const int64_t count, call.Integer("count", 20, 1, 1000));
                   ASSIGN_OR_RETURN(const int64_t skip, call.Integer("skip", 0, 0, INT32_MAX));
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       const auto claims = node.claims().List(static_cast<size_t>(count), static_cast<size_t>(skip));
                       if (!claims) return RpcFail(claims.error());
                       Json result = Json::array();
                       for (const ClaimInfo& info : *claims) result.push_back(ClaimJson(node, info));
                       return result;
                   });
               }});
    table.Add(
        {"getclaim", category, "One claim with its newest terms.", {kClaimArg}, "object", [&node](const Call& call) {
             return OnChain(node, [&]() -> RpcResult<Json> {
                 ASSIGN_OR_RETURN(const ClaimId id, ClaimArg(node, call));
                 const auto info = node.claims().Find(id);
                 if (!info) return RpcFail(info.error());
                 return ClaimJson(node, *info);
             });
         }});
    table.Add({"listcontent",
               category,
               "The sealed content in this node's store.",
               {},
               "array of {root, size, chunks, have, complete}",
               [&node](const Call&) { return ListContent(node); }});
}

}  // namespace sluice::rpc
