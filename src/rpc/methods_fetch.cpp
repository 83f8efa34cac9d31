#include <fmt/format.h>

#include "rpc/content_arguments.h"
#include "rpc/content_url.h"

namespace sluice::rpc {

using node::Node;

namespace {

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

RpcResult<Json> FindJob(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const int64_t id, call.Integer("job", 0, 0, INT64_MAX));
    const auto job = node.jobs().Find(static_cast<uint64_t>(id));
    if (!job)
        return RpcFail(RpcCode::kNotFound,
                       fmt::format("there is no job {}: it was forgotten, or another node started it", id));
    return JobJson(*job);
}

void AddContentUrl(MethodTable& table, Node& node, const ArgSpec& max_price, const ArgSpec& max_cost) {
    table.Add({"getcontenturl",
               "content",
               "Makes a URL of the content gateway that plays a claim while it is fetched and paid: in a browser, mpv, "
               "VLC. Whoever has the URL may read the claim, until it expires or the node stops.",
               {kClaimArg,
                {"path", ArgType::kString, false, "of a file in a folder (default: the single file, or the listing)"},
                {"ttl", ArgType::kNumber, false, "seconds that the URL is good for, 1 to 604800 (default 86400)"},
                max_price,
                max_cost},
               "{url, expires_in}",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       const uint16_t port = node.content_tokens().port();
                       if (port == 0)
                           return RpcFail(RpcCode::kUnavailable,
                                          "the content gateway is off: start sluiced without -nogateway");
                       ASSIGN_OR_RETURN(const ClaimId id, ClaimArg(node, call));
                       ASSIGN_OR_RETURN(const node::FetchLimits limits, LimitsArg(call));
                       ASSIGN_OR_RETURN(const int64_t ttl, call.Integer("ttl", 86'400, 1, 604'800));
                       const auto openable = node.claims().FindOpenable(id);
                       if (!openable) return RpcFail(openable.error());
                       ContentTarget target;
                       target.claim = id.Hex();
                       target.path = call.String("path");
                       const auto checked = ParseContentTarget(FormatContentTarget(target));
                       if (!checked || checked->path != target.path)
                           return RpcFail(RpcCode::kInvalidParameter,
                                          "path is not of a file in a folder: relative, without empty parts or '..'");
                       target.token = node.content_tokens().Issue(id, limits, seconds(ttl));
                       return Json{{"url", fmt::format("http://127.0.0.1:{}{}", port, FormatContentTarget(target))},
                                   {"expires_in", ttl}};
                   });
               }});
}

}  // namespace

void AddFetchMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
    const ArgSpec max_price{"max_price_per_mib", ArgType::kAmount, false,
                            "pay seeders no more for each MiB (default -maxpricepermib)"};
    const ArgSpec max_cost{"max_cost", ArgType::kAmount, false, "lock and pay no more in all"};
    const ArgSpec job{"job", ArgType::kNumber, true, "number of a job"};
    table.Add({"getcontent",
               category,
               "Fetches a claim's content, paying seeders, and opens it with the key that this wallet has.",
               {kClaimArg,
                {"path", ArgType::kString, true, "absolute path that does not exist yet"},
                max_price,
                max_cost,
                {"file", ArgType::kString, false, "of a folder only this file (default: everything)"}},
               "{job}; its result has the path and what was paid",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       ASSIGN_OR_RETURN(const ClaimId id, ClaimArg(node, call));
                       ASSIGN_OR_RETURN(const node::FetchLimits limits, LimitsArg(call));
                       return Started(node.fetch_jobs().StartGet(id, call.String("path"), limits, call.String("file")));
                   });
               }});
    table.Add({"seedcontent",
               category,
               "Fetches a claim's sealed content and serves it to others for pay.",
               {kClaimArg,
                {"price_per_mib", ArgType::kAmount, false, "what to ask (default: the publisher's advice)"},
                max_price,
                max_cost,
                {"min_price_per_mib", ArgType::kAmount, false,
                 "what haggling brings it down to at most (default -minpricepermib)"}},
               "{job}",
               [&node](const Call& call) {
                   return OnChain(node, [&]() -> RpcResult<Json> {
                       ASSIGN_OR_RETURN(const ClaimId id, ClaimArg(node, call));
                       ASSIGN_OR_RETURN(const node::FetchLimits limits, LimitsArg(call));
                       std::optional<Amount> price, min_price;
                       if (call.Has("min_price_per_mib")) {
                           ASSIGN_OR_RETURN(min_price, AmountArg(call, "min_price_per_mib"));
                       }
                       if (call.Has("price_per_mib")) {
                           ASSIGN_OR_RETURN(price, AmountArg(call, "price_per_mib"));
                       }
                       return Started(node.fetch_jobs().StartSeed(id, price, limits, min_price));
                   });
               }});
    AddContentUrl(table, node, max_price, max_cost);
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
                       if (node.content_jobs().Stop(static_cast<node::JobId>(id))) return Json();
                       const Status stopped = node.fetch_jobs().StopJob(static_cast<node::JobId>(id));
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
}

}  // namespace sluice::rpc
