#include "rpc/convert.h"
#include "rpc/methods.h"

namespace sluice::rpc {

using node::Node;

void AddControlMethods(MethodTable& table, Node& node) {
    const std::string category = "control";
    table.Add({"stop", category, "Stops the node.", {}, "text", [&node](const Call&) -> RpcResult<Json> {
                   node.RequestStop();
                   return Json("Sluice is stopping");
               }});
    table.Add(
        {"uptime", category, "Seconds since the node started.", {}, "number", [&node](const Call&) -> RpcResult<Json> {
             return Json(std::chrono::duration_cast<seconds>(node.clock().Monotonic() - node.started()).count());
         }});
    table.Add({"waitevents",
               category,
               "The node's events after a number; waits for the first.",
               {{"after", ArgType::kNumber, true, "the last sequence number that was seen, 0 for none"},
                {"timeout", ArgType::kNumber, false, "milliseconds (default 60000)"}},
               "{last, events: [{sequence, topic, subject, detail}]}",
               [&node](const Call& call) -> RpcResult<Json> {
                   ASSIGN_OR_RETURN(const int64_t after, call.Integer("after", 0, 0, INT64_MAX));
                   ASSIGN_OR_RETURN(const int64_t timeout_ms, call.Integer("timeout", 60'000, 0, 600'000));
                   Json events = Json::array();
                   for (const node::NodeEvent& event :
                        node.events().Wait(static_cast<uint64_t>(after), milliseconds(timeout_ms)))
                       events.push_back({{"sequence", event.sequence},
                                         {"topic", event.topic},
                                         {"subject", event.subject},
                                         {"detail", event.detail}});
                   const Json last = events.empty() ? Json(node.events().last_sequence()) : events.back()["sequence"];
                   return Json{{"last", last}, {"events", events}};
               },
               true});
    table.Add({"setmocktime",
               category,
               "regtest: lets the node's clock stand still at a time; 0 lets it run again.",
               {{"timestamp", ArgType::kNumber, true, "Unix seconds, or 0"}},
               "null",
               [&node](const Call& call) -> RpcResult<Json> {
                   if (node.params().network != "regtest")
                       return RpcFail(RpcCode::kMisc, "setmocktime works on regtest only");
                   ASSIGN_OR_RETURN(const int64_t time, call.Integer("timestamp", 0, 0, 253402300799));
                   node.clock().SetMock(time == 0 ? std::nullopt : std::optional(UnixMillis(seconds(time))));
                   return Json();
               },
               false,
               true});
}

void AddAllMethods(MethodTable& table, Node& node) {
    AddBlockchainMethods(table, node);
    AddMempoolMethods(table, node);
    AddNetworkMethods(table, node);
    AddBandwidthMethods(table, node);
    AddControlMethods(table, node);
    AddWalletMethods(table, node);
    AddContentMethods(table, node);
    AddLibraryMethods(table, node);
    AddFetchMethods(table, node);
    AddSaleMethods(table, node);
    AddPaymentMethods(table, node);
    AddStakingMethods(table, node);
}

}  // namespace sluice::rpc
