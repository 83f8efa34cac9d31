#include <fmt/format.h>

#include <future>

#include "rpc/content_arguments.h"

// The store of sealed content, what claims show, and the exchange with BitTorrent clients.

namespace sluice::rpc {

using node::ClaimUse;
using node::Node;

namespace {

const ArgSpec kContentArg{"content", ArgType::kString, true,
                          "root of content in the store, or at least its first 6 digits; or a claim"};

const char* NameOf(ClaimUse::As as) {
    switch (as) {
        case ClaimUse::As::kSealed:
            return "sealed";
        case ClaimUse::As::kPreview:
            return "preview";
        case ClaimUse::As::kThumbnail:
            return "thumbnail";
    }
    return "";
}

// On the chain strand.
RpcResult<Json> StoredJson(Node& node, const content::StoredContent& stored) {
    const content::ChunkSet have = stored.Have();
    Json json{{"root", stored.id().root.Hex()},
              {"size", stored.id().size_bytes},
              {"chunks", have.size()},
              {"have", have.count()},
              {"synced", stored.SyncedCount()},
              {"complete", have.IsFull()},
              {"pinned", stored.IsPinned()},
              {"used_bytes", stored.FootprintBytes()},
              {"last_used", stored.last_used().time_since_epoch().count() / 1000}};
    const auto uses = node.claims().UsesOf(stored.id());
    if (!uses) return RpcFail(uses.error());
    json["orphan"] = uses->empty();
    if (!uses->empty()) {
        const ClaimUse& newest = uses->back();
        json["claim"] = newest.claim.id.Hex();
        json["title"] = newest.claim.record.title;
        json["as"] = NameOf(newest.as);
        json["live"] = newest.claim.live;
    }
    return json;
}

RpcResult<Json> ListContent(Node& node) {
    return OnChain(node, [&]() -> RpcResult<Json> {
        Json result = Json::array();
        for (const ContentId& id : node.chunks().List()) {
            const auto stored = node.chunks().Find(id);
            if (!stored) continue;
            ASSIGN_OR_RETURN(Json one, StoredJson(node, *stored));
            result.push_back(std::move(one));
        }
        return result;
    });
}

RpcResult<ContentId> ContentArg(Node& node, const Call& call) {
    auto found = node.CallChain([&] { return node.content_jobs().Resolve(call.String("content")); });
    if (!found) return RpcFail(found.error());
    return *found;
}

RpcResult<Json> Verify(Node& node, const Call& call) {
    std::vector<ContentId> contents;
    if (call.Has("content")) {
        ASSIGN_OR_RETURN(const ContentId one, ContentArg(node, call));
        contents.push_back(one);
    } else {
        contents = node.chunks().List();
    }
    return OnChain(node, [&] { return Started(node.content_jobs().StartVerify(std::move(contents))); });
}

RpcResult<Json> Pin(Node& node, const Call& call, bool pinned) {
    ASSIGN_OR_RETURN(const ContentId content, ContentArg(node, call));
    const Status status = node.chunks().Pin(content, pinned);
    if (!status) return RpcFail(status.error());
    return Json{{"root", content.root.Hex()}, {"pinned", pinned}};
}

RpcResult<Json> Remove(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const ContentId content, ContentArg(node, call));
    const auto stored = node.chunks().Find(content);
    const uint64_t freed = stored ? stored->FootprintBytes() : 0;
    if (stored && stored->IsPinned() && !call.Bool("pinned_too", false))
        return RpcFail(RpcCode::kInvalidParameter,
                       "the content is pinned: you may be the only one who has it; unpin it first, or give pinned_too");
    auto done = std::make_shared<std::promise<Status>>();
    auto answer = done->get_future();
    node.content_jobs().Remove(content, [done](Status status) { done->set_value(std::move(status)); });
    while (answer.wait_for(milliseconds(100)) != std::future_status::ready)
        if (node.IsStopping()) return RpcFail(RpcCode::kUnavailable, "the node stops");
    if (const Status removed = answer.get(); !removed) return RpcFail(removed.error());
    return Json{{"root", content.root.Hex()}, {"freed_bytes", freed}};
}

Json QuotaJson(Node& node) {
    content::ChunkStore& chunks = node.chunks();
    const uint64_t quota = chunks.quota_bytes(), used = chunks.used_bytes();
    return {{"quota_bytes", quota},
            {"used_bytes", used},
            {"pinned_bytes", chunks.PinnedBytes()},
            {"free_bytes", quota > used ? quota - used : 0}};
}

void AddStoreMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
    table.Add({"listcontent",
               category,
               "The content in this node's store. An orphan is named by no publish that this chain knows.",
               {},
               "array of {root, size, chunks, have, complete, pinned, used_bytes, last_used, orphan, claim, title, as}",
               [&node](const Call&) { return ListContent(node); }});
    ArgSpec optional_content = kContentArg;
    optional_content.required = false;
    optional_content.description += " (default: everything)";
    table.Add({"verifycontent",
               category,
               "Hashes stored content again; damaged chunks are dropped and fetched from peers.",
               {optional_content},
               "{job}; its result has checked and damaged",
               [&node](const Call& call) { return Verify(node, call); }});
    table.Add({"pincontent",
               category,
               "Keeps content when the store needs room.",
               {kContentArg},
               "{root, pinned}",
               [&node](const Call& call) { return Pin(node, call, true); }});
    table.Add({"unpincontent",
               category,
               "Lets content go when the store needs room.",
               {kContentArg},
               "{root, pinned}",
               [&node](const Call& call) { return Pin(node, call, false); }});
    table.Add({"removecontent",
               category,
               "Removes content from the store, and from what is served.",
               {kContentArg, {"pinned_too", ArgType::kBool, false, "also if it is pinned (default false)"}},
               "{root, freed_bytes}",
               [&node](const Call& call) { return Remove(node, call); }});
    table.Add({"getcontentquota",
               category,
               "What the content store may take, and takes.",
               {},
               "{quota_bytes, used_bytes, pinned_bytes, free_bytes}",
               [&node](const Call&) -> RpcResult<Json> { return QuotaJson(node); }});
    table.Add({"setcontentquota",
               category,
               "Changes what the content store may take until the node stops (for good: -contentquota). A smaller one "
               "evicts what is neither pinned nor in use.",
               {{"quota_bytes", ArgType::kNumber, true, "bytes"}},
               "as getcontentquota",
               [&node](const Call& call) -> RpcResult<Json> {
                   ASSIGN_OR_RETURN(const int64_t quota, call.Integer("quota_bytes", 0, 0, INT64_MAX));
                   node.chunks().SetQuota(static_cast<uint64_t>(quota));
                   return QuotaJson(node);
               }});
}

void AddShowMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
    const ArgSpec target{"path", ArgType::kString, true, "absolute path that does not exist yet"};
    for (const auto part : {node::ClearPart::kPreview, node::ClearPart::kThumbnail}) {
        const std::string name = part == node::ClearPart::kPreview ? "preview" : "thumbnail";
        table.Add({"get" + name,
                   category,
                   "Fetches a claim's " + name + ", which needs no key and costs nothing.",
                   {kClaimArg, target},
                   "{job}",
                   [&node, part](const Call& call) {
                       return OnChain(node, [&]() -> RpcResult<Json> {
                           ASSIGN_OR_RETURN(const ClaimId claim, ClaimArg(node, call));
                           return Started(node.content_jobs().StartShow(claim, part, call.String("path")));
                       });
                   }});
    }
    table.Add({"exporttorrent",
               category,
               "Writes a BitTorrent v2 torrent of a claim's sealed content.",
               {kClaimArg, target},
               "{job}; its result has infohash and magnet",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       ASSIGN_OR_RETURN(const ClaimId claim, ClaimArg(node, call));
                       return Started(node.content_jobs().StartExport(claim, call.String("path")));
                   });
               }});
    table.Add({"importchunks",
               category,
               "Takes chunks of a claim's sealed content from a file, whole or partial, each proven; then serves them.",
               {kClaimArg, {"path", ArgType::kString, true, "absolute path of the sealed file"}},
               "{job}; its result has added, already_here, refused, unproven",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       ASSIGN_OR_RETURN(const ClaimId claim, ClaimArg(node, call));
                       return Started(node.content_jobs().StartImport(claim, call.String("path")));
                   });
               }});
}

}  // namespace

void AddLibraryMethods(MethodTable& table, Node& node) {
    AddStoreMethods(table, node);
    AddShowMethods(table, node);
}

}  // namespace sluice::rpc
