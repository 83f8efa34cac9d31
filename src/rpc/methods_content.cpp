#include <fmt/format.h>

#include "primitives/address.h"
#include "rpc/content_arguments.h"

namespace sluice::rpc {

using node::ClaimInfo;
using node::Node;

namespace {

const std::vector<ArgSpec> kRecordArgs{
    {"title", ArgType::kString, false, "what the feed shows (new claim: default the file's name)"},
    {"description", ArgType::kString, false, "what it is"},
    {"mime", ArgType::kString, false, "media type"},
    {"language", ArgType::kString, false, "language tag"},
    {"tags", ArgType::kArray, false, "words"},
    {"seed_price", ArgType::kAmount, false, "what seeders are advised to ask for each MiB (default 0)"},
    {"ask", ArgType::kAmount, false, "what this node asks for each MiB itself (default 0)"},
    {"free", ArgType::kBool, false, "publish the key too"},
    {"endpoints", ArgType::kArray, false, "IP:PORT of nodes that serve it"},
    {"segments", ArgType::kArray, false,
     "of a folder: objects {path, price}; path is a file, a folder or a glob (* ? **). What none names is not sold "
     "alone"},
    {"segments_per_file", ArgType::kAmount, false, "of a folder: each file is a segment, at this price"},
    {"preview", ArgType::kString, false, "file that everybody sees, at most 64 MiB (default: made with ffmpeg)"},
    {"thumbnail", ArgType::kString, false, "picture that everybody sees (default: made with ffmpeg)"},
    {"make_previews", ArgType::kBool, false, "make what is not given, where ffmpeg is installed (default true)"},
    {"preview_seconds", ArgType::kNumber, false, "length of a preview that is made (default 15)"},
    {"seal_key", ArgType::kString, false, "regtest tests: seal with another key"}};

std::vector<ArgSpec> With(std::vector<ArgSpec> first, const std::vector<ArgSpec>& more) {
    first.insert(first.end(), more.begin(), more.end());
    return first;
}

void TakeText(const Call& call, const std::string& name, std::optional<std::string>& text) {
    if (call.Has(name)) text = call.String(name);
}

RpcResult<node::PublishOptions> OptionsArg(const Node& node, const Call& call) {
    node::PublishOptions options;
    if (call.Has("price")) {
        ASSIGN_OR_RETURN(options.price, AmountArg(call, "price"));
    }
    options.free = call.Bool("free", false);
    TakeText(call, "title", options.texts.title);
    TakeText(call, "description", options.texts.description);
    TakeText(call, "mime", options.texts.mime);
    TakeText(call, "language", options.texts.language);
    if (call.Has("tags")) {
        ASSIGN_OR_RETURN(options.texts.tags, TextsArg(call, "tags"));
    }
    if (call.Has("endpoints")) {
        ASSIGN_OR_RETURN(options.texts.endpoints, TextsArg(call, "endpoints"));
    }
    if (call.Has("seed_price")) {
        ASSIGN_OR_RETURN(options.seed_price_per_mib, AmountArg(call, "seed_price"));
    }
    if (call.Has("ask")) {
        ASSIGN_OR_RETURN(options.ask_per_mib, AmountArg(call, "ask"));
    }
    options.preview_path = call.String("preview");
    options.thumbnail_path = call.String("thumbnail");
    options.make_previews = call.Bool("make_previews", true);
    ASSIGN_OR_RETURN(const int64_t preview_seconds,
                     call.Integer("preview_seconds", node::kDefaultPreviewSeconds, 1, node::kMaxPreviewSeconds));
    options.preview_seconds = static_cast<uint32_t>(preview_seconds);
    if (call.Has("seal_key")) {
        if (node.params().network != "regtest")
            return RpcFail(RpcCode::kInvalidParameter, "seal_key works on regtest only");
        ASSIGN_OR_RETURN(options.seal_key, HashArg<Hash256>(call, "seal_key"));
    }
    return options;
}

RpcResult<node::SegmentWish> SegmentsArg(const Call& call) {
    node::SegmentWish wish;
    if (call.Has("segments_per_file")) {
        ASSIGN_OR_RETURN(wish.per_file, AmountArg(call, "segments_per_file"));
    }
    if (!call.Has("segments")) return wish;
    for (const Json& one : call.Get("segments")) {
        const bool whole = one.is_object() && one.contains("path") && one["path"].is_string() && one.contains("price");
        if (!whole) return RpcFail(RpcCode::kInvalidParameter, "segments must be an array of objects {path, price}");
        const Call fields("segments", one);
        ASSIGN_OR_RETURN(const Amount price, AmountArg(fields, "price"));
        wish.rules.push_back({one["path"].get<std::string>(), price});
    }
    return wish;
}

RpcResult<Json> Publish(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(auto options, OptionsArg(node, call));
    ASSIGN_OR_RETURN(const node::SegmentWish segments, SegmentsArg(call));
    auto source = node.publish_jobs().Inspect(call.String("path"), segments);
    if (!source) return RpcFail(source.error());
    return OnChain(node,
                   [&] { return Started(node.publish_jobs().StartPublish(std::move(*source), std::move(options))); });
}

RpcResult<Json> Update(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(auto options, OptionsArg(node, call));
    ASSIGN_OR_RETURN(const node::SegmentWish segments, SegmentsArg(call));
    options.new_edition = call.Bool("new_edition", false);
    std::optional<node::PublishSource> source;
    if (call.Has("path")) {
        auto inspected = node.publish_jobs().Inspect(call.String("path"), segments);
        if (!inspected) return RpcFail(inspected.error());
        source = std::move(*inspected);
    } else if (!segments.IsEmpty()) {
        return RpcFail(RpcCode::kInvalidParameter, "segments are made when the folder is sealed: give its path too");
    }
    return OnChain(node, [&]() -> RpcResult<Json> {
        ASSIGN_OR_RETURN(const ClaimId claim, ClaimArg(node, call));
        return Started(node.publish_jobs().StartUpdate(claim, std::move(source), std::move(options)));
    });
}

RpcResult<Json> ListClaims(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const int64_t count, call.Integer("count", 20, 1, 1000));
    ASSIGN_OR_RETURN(const int64_t skip, call.Integer("skip", 0, 0, INT32_MAX));
    return OnChain(node, [&]() -> RpcResult<Json> {
        Json result = Json::array();
        if (!call.Bool("own", false)) {
            const auto claims = node.claims().List(static_cast<size_t>(count), static_cast<size_t>(skip));
            if (!claims) return RpcFail(claims.error());
            for (const ClaimInfo& info : *claims) result.push_back(ClaimJson(node, info));
            return result;
        }
        const auto wallet = node.wallet().Get();
        if (!wallet) return RpcFail(RpcCode::kWalletMissing, wallet.error().message);
        for (const auto& view : (*wallet)->OwnClaims()) {
            const auto info = node.claims().Find(view.claim);
            if (!info || info->anchor != view.anchor) continue;  // not in a block yet
            Json one = ClaimJson(node, *info);
            one["deposit"] = AmountJson(view.output.value);
            result.push_back(std::move(one));
        }
        return result;
    });
}

}  // namespace

void AddContentMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
    table.Add({"publishcontent", category, "Seals a file or folder, publishes its record and serves it.",
               With({{"path", ArgType::kString, true, "absolute path on the node's machine"},
                     {"price", ArgType::kAmount, false, "of the key; not with free"}},
                    kRecordArgs),
               "{job}; its result has the claim once the record is in a block",
               [&node](const Call& call) { return Publish(node, call); }});
    table.Add({"updatecontent", category,
               "Changes a claim's terms or, with a path, its content. What is not given stays as it is.",
               With({kClaimArg,
                     {"path", ArgType::kString, false, "absolute path of new content; none: other terms alone"},
                     {"price", ArgType::kAmount, false, "of the key"},
                     {"new_edition", ArgType::kBool, false,
                      "new content under a new key, which earlier buyers do not have (default: they open it too)"}},
                    kRecordArgs),
               "{job}; ends when the update is in a block", [&node](const Call& call) { return Update(node, call); }});
    table.Add({"retireclaim",
               category,
               "Ends a claim of this wallet; its deposit comes back. Buyers keep their keys.",
               {kClaimArg},
               "{job}; its result has what was returned",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       ASSIGN_OR_RETURN(const ClaimId claim, ClaimArg(node, call));
                       return Started(node.publish_jobs().StartRetire(claim));
                   });
               }});
    table.Add({"transferclaim",
               category,
               "Gives a claim of this wallet, with its deposit and later sales, to another wallet's address.",
               {kClaimArg, {"address", ArgType::kString, true, "of the new owner"}},
               "{job}; ends when the transfer is in a block",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       ASSIGN_OR_RETURN(const ClaimId claim, ClaimArg(node, call));
                       const auto script = DecodeAddress(call.String("address"), node.params().hrp);
                       if (!script) return RpcFail(script.error());
                       return Started(node.publish_jobs().StartTransfer(claim, *script));
                   });
               }});
    table.Add({"listclaims",
               category,
               "What was published, newest first.",
               {{"count", ArgType::kNumber, false, "how many (default 20)"},
                {"skip", ArgType::kNumber, false, "leave out this many first (default 0)"},
                {"own", ArgType::kBool, false, "those of this wallet alone, all of them (default false)"}},
               "array of objects",
               [&node](const Call& call) { return ListClaims(node, call); }});
    table.Add(
        {"getclaim", category, "One claim with its newest terms.", {kClaimArg}, "object", [&node](const Call& call) {
             return OnChain(node, [&]() -> RpcResult<Json> {
                 ASSIGN_OR_RETURN(const ClaimId id, ClaimArg(node, call));
                 const auto info = node.claims().Find(id);
                 if (!info) return RpcFail(info.error());
                 return ClaimJson(node, *info);
             });
         }});
}

}  // namespace sluice::rpc
