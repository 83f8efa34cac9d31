#include <fmt/format.h>

#include "rpc/convert.h"
#include "rpc/methods.h"

namespace sluice::rpc {

using node::ClaimInfo;
using node::Node;

namespace {

Json ClaimJson(const Node& node, const ClaimInfo& info) {
    Json json = RecordJson(info.record, node.params().hrp);
    json.erase("type");
    json["claim"] = info.id.Hex();
    json["anchor"] = info.anchor.ToString();
    json["height"] = info.height.value;
    json["live"] = info.live;
    json["free"] = info.record.free_key.has_value();
    json["folder"] = info.record.manifest_chunks > 0;
    json["size"] = info.record.content.size_bytes;
    return json;
}

Json JobJson(const node::JobInfo& job) {
    static constexpr const char* kStates[] = {"running", "done", "failed"};
    Json json{{"job", job.id},
              {"kind", job.kind},
              {"subject", job.subject},
              {"state", kStates[static_cast<int>(job.state)]},
              {"version", job.version},
              {"progress",
               {{"phase", job.progress.phase},
                {"done", job.progress.done_bytes},
                {"total", job.progress.total_bytes},
                {"rate_bytes_per_s", job.progress.bytes_per_s},
                {"peers", job.progress.peers},
                {"paid", AmountJson(job.progress.paid)},
                {"waiting_for", job.progress.waiting_for}}}};
    if (job.error) json["message"] = job.error->message;
    if (job.state == node::JobState::kDone) json["result"] = job.result;
    return json;
}

RpcResult<std::vector<std::string>> TextsArg(const Call& call, const std::string& name) {
    std::vector<std::string> texts;
    if (!call.Has(name)) return texts;
    for (const Json& text : call.Get(name)) {
        if (!text.is_string()) return RpcFail(RpcCode::kInvalidParameter, name + " must be an array of strings");
        texts.push_back(text.get<std::string>());
    }
    return texts;
}

RpcResult<Json> Started(const Result<node::JobId>& job) {
    if (!job) return RpcFail(job.error());
    return Json{{"job", *job}};
}

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
    auto source = node.content().Inspect(call.String("path"));
    if (!source) return RpcFail(source.error());
    return OnChain(node, [&] { return Started(node.content().StartPublish(std::move(*source), std::move(options))); });
}

RpcResult<node::FetchLimits> LimitsArg(const Call& call) {
    node::FetchLimits limits;
    if (call.Has("max_price_per_mib")) {
        ASSIGN_OR_RETURN(limits.max_price_per_mib, AmountArg(call, "max_price_per_mib"));
    }
    if (call.Has("max_cost")) {
        ASSIGN_OR_RETURN(limits.max_cost, AmountArg(call, "max_cost"));
    }
    return limits;
}

RpcResult<ClaimId> ClaimArg(Node& node, const Call& call) {
    const auto claim = node.content().ResolveClaim(call.String("claim"));
    if (!claim) return RpcFail(claim.error());
    return *claim;
}

RpcResult<Json> Buy(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const ClaimId claim, ClaimArg(node, call));
    const auto wallet = node.wallet().Get();
    if (!wallet) return RpcFail(RpcCode::kWalletMissing, wallet.error().message);
    const auto info = node.content().FindClaim(claim);
    if (!info) return RpcFail(info.error());
    ASSIGN_OR_RETURN(const int64_t tier, call.Integer("tier", 0, 0, kMaxSegments));
    for (const auto& [lock, purchase] : (*wallet)->Purchases()) {
        const bool same = purchase.publish == info->anchor && purchase.tier == tier;
        if (!same || purchase.status == wallet::PurchaseStatus::kRefunded ||
            purchase.status == wallet::PurchaseStatus::kFailed)
            continue;
        return Json{{"purchase", lock.ToString()},
                    {"txid", lock.txid.Hex()},
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

// Calls `look` now and after every event until its answer satisfies `enough`, or the time is over: then the last
// answer.
RpcResult<Json> WaitFor(Node& node, int64_t timeout_ms, const std::function<RpcResult<Json>()>& look,
                        const std::function<bool(const Json&)>& enough) {
    const Instant deadline = node.clock().Monotonic() + milliseconds(timeout_ms);
    for (uint64_t seen = node.events().last_sequence();;) {
        ASSIGN_OR_RETURN(Json answer, look());
        const Instant now = node.clock().Monotonic();
        if (enough(answer) || now >= deadline || node.IsStopping()) return answer;
        const auto events = node.events().Wait(seen, std::chrono::ceil<milliseconds>(deadline - now));
        if (!events.empty()) seen = events.back().sequence;
    }
}

RpcResult<Json> FindJob(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const int64_t id, call.Integer("job", 0, 0, INT64_MAX));
    const auto job = node.jobs().Find(static_cast<uint64_t>(id));
    if (!job)
        return RpcFail(RpcCode::kNotFound,
                       fmt::format("there is no job {}: it was forgotten, or another node started it", id));
    return JobJson(*job);
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

RpcResult<Json> Settle(Node& node) {
    const auto settled = node.SettleAll();
    if (!settled) return RpcFail(settled.error());
    Json txids = Json::array();
    if (settled->channels > 0) txids.push_back(settled->txid.Hex());
    return Json{{"txids", txids},
                {"channels", settled->channels},
                {"amount", AmountJson(settled->take)},
                {"fee", AmountJson(settled->fee)},
                {"burned", AmountJson(settled->burned)},
                {"returned", AmountJson(settled->returned)}};
}

const char* PhaseName(content::ChannelPhase phase) {
    switch (phase) {
        case content::ChannelPhase::kKnown:
            return "known";
        case content::ChannelPhase::kFinal:
            return "final";
        case content::ChannelPhase::kSettling:
            return "settling";
        case content::ChannelPhase::kClosed:
            return "closed";
    }
    return "unknown";
}

RpcResult<Json> ListChannels(Node& node) {
    Json paying = Json::array();
    for (const content::PayerChannel& c : node.swarm().PayerChannels())
        paying.push_back({{"channel", c.lock.outpoint.ToString()},
                          {"node", c.payee_node.Hex()},
                          {"capacity", AmountJson(c.lock.capacity)},
                          {"paid", AmountJson(c.Paid())},
                          {"expiry_height", c.lock.expiry.value},
                          {"received_bytes", c.received_bytes},
                          {"closed", c.closed}});
    Json earning = Json::array();
    for (const content::PayeeChannel& c : node.swarm().PayeeChannels())
        earning.push_back({{"channel", c.lock.outpoint.ToString()},
                           {"node", c.payer_node.Hex()},
                           {"capacity", AmountJson(c.lock.capacity)},
                           {"earned", AmountJson(c.Paid())},
                           {"expiry_height", c.lock.expiry.value},
                           {"served_bytes", c.served_bytes},
                           {"phase", PhaseName(c.phase)}});
    return Json{{"paying", paying}, {"earning", earning}};
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

void AddSaleMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
    const ArgSpec claim{"claim", ArgType::kString, true, "id of a claim, or at least its first 6 digits"};
    const ArgSpec purchase{"purchase", ArgType::kString, true, "the purchase's lock output, TXID:INDEX"};
    table.Add({"buykey",
               category,
               "Pays for the key of a claim; the seller's node answers with the key on the chain.",
               {claim,
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
    table.Add({"settlechannels",
               category,
               "Collects on chain what downloaders paid.",
               {},
               "{txids, channels, amount, fee, burned, returned}",
               [&node](const Call&) { return Settle(node); }});
    table.Add({"listchannels",
               category,
               "Open channels: those we pay and those we earn from.",
               {},
               "{paying, earning}",
               [&node](const Call&) { return OnNetwork(node, [&] { return ListChannels(node); }); }});
}

}  // namespace

void AddContentMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
    const ArgSpec claim{"claim", ArgType::kString, true, "id of a claim, or at least its first 6 digits"};
    const ArgSpec max_price{"max_price_per_mib", ArgType::kAmount, false,
                            "pay seeders no more for each MiB (default -maxpricepermib)"};
    const ArgSpec max_cost{"max_cost", ArgType::kAmount, false, "lock and pay no more in all"};
    const ArgSpec job{"job", ArgType::kNumber, true, "number of a job"};
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
                       const auto claims =
                           node.content().ListClaims(static_cast<size_t>(count), static_cast<size_t>(skip));
                       if (!claims) return RpcFail(claims.error());
                       Json result = Json::array();
                       for (const ClaimInfo& info : *claims) result.push_back(ClaimJson(node, info));
                       return result;
                   });
               }});
    table.Add({"getclaim", category, "One claim with its newest terms.", {claim}, "object", [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       ASSIGN_OR_RETURN(const ClaimId id, ClaimArg(node, call));
                       const auto info = node.content().FindClaim(id);
                       if (!info) return RpcFail(info.error());
                       return ClaimJson(node, *info);
                   });
               }});
    table.Add({"getcontent",
               category,
               "Fetches a claim's content, paying seeders, and opens it with the key that this wallet has.",
               {claim, {"path", ArgType::kString, true, "absolute path that does not exist yet"}, max_price, max_cost},
               "{job}; its result has the path and what was paid",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       ASSIGN_OR_RETURN(const ClaimId id, ClaimArg(node, call));
                       ASSIGN_OR_RETURN(const node::FetchLimits limits, LimitsArg(call));
                       return Started(node.content().StartGet(id, call.String("path"), limits));
                   });
               }});
    table.Add({"seedcontent",
               category,
               "Fetches a claim's sealed content and serves it to others for pay.",
               {claim,
                {"price_per_mib", ArgType::kAmount, false, "what to ask (default: the publisher's advice)"},
                max_price,
                max_cost},
               "{job}",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       ASSIGN_OR_RETURN(const ClaimId id, ClaimArg(node, call));
                       ASSIGN_OR_RETURN(const node::FetchLimits limits, LimitsArg(call));
                       std::optional<Amount> price;
                       if (call.Has("price_per_mib")) {
                           ASSIGN_OR_RETURN(price, AmountArg(call, "price_per_mib"));
                       }
                       return Started(node.content().StartSeed(id, price, limits));
                   });
               }});
    table.Add({"listcontent",
               category,
               "The sealed content in this node's store.",
               {},
               "array of {root, size, chunks, have, complete}",
               [&node](const Call&) { return ListContent(node); }});
    table.Add({"getjob", category, "How far a job is.", {job}, "object", [&node](const Call& call) {
                   return FindJob(node, call);
               }});
    table.Add({"listjobs",
               category,
               "What this node publishes, fetches and seeds since it started, newest first; a job goes on when "
               "sluice-cli is interrupted.",
               {{"count", ArgType::kNumber, false, "how many (default 20)"}},
               "array of jobs, as getjob shows them",
               [&node](const Call& call) -> RpcResult<Json> {
                   ASSIGN_OR_RETURN(const int64_t count, call.Integer("count", 20, 1, 1'100));
                   Json result = Json::array();
                   for (const node::JobInfo& one : node.jobs().List(static_cast<size_t>(count)))
                       result.push_back(JobJson(one));
                   return result;
               }});
    table.Add({"stopjob",
               category,
               "Ends a get or seed that still fetches; what is here stays, and the same command goes on with it.",
               {job},
               "null",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       ASSIGN_OR_RETURN(const int64_t id, call.Integer("job", 0, 0, INT64_MAX));
                       const Status stopped = node.content().StopJob(static_cast<node::JobId>(id));
                       if (!stopped) return RpcFail(stopped.error());
                       return Json();
                   });
               }});
    table.Add(
        {"waitjob",
         category,
         "Waits until a job has changed or ended.",
         {job,
          {"timeout", ArgType::kNumber, false, "milliseconds (default 60000)"},
          {"seen", ArgType::kNumber, false, "the version that was seen last (default 0)"}},
         "object",
         [&node](const Call& call) -> RpcResult<Json> {
             ASSIGN_OR_RETURN(const int64_t timeout_ms, call.Integer("timeout", 60'000, 0, 600'000));
             ASSIGN_OR_RETURN(const int64_t seen, call.Integer("seen", 0, 0, INT64_MAX));
             return WaitFor(
                 node, timeout_ms, [&] { return FindJob(node, call); },
                 [&](const Json& json) { return json["state"] != "running" || json["version"].get<int64_t>() > seen; });
         },
         true});
    AddSaleMethods(table, node);
}

}  // namespace sluice::rpc
