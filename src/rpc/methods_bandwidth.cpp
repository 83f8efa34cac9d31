#include "rpc/convert.h"
#include "rpc/methods.h"

namespace sluice::rpc {

using node::Node;

namespace {

Json ScheduleJson(const BandwidthSchedule& schedule, MinuteOfDay minute) {
    Json json{{"schedule", schedule.ToStrings()}, {"now_kib_s", nullptr}};
    if (const auto rate = schedule.RateAt(minute)) json["now_kib_s"] = *rate >> 10;
    return json;
}

Json BandwidthJson(Node& node) {
    const MinuteOfDay minute = LocalMinuteOfDay(node.clock().Now());
    const p2p::PeerManager& peers = node.network().peers();
    return {{"upload", ScheduleJson(peers.max_upload(), minute)},
            {"upload_per_peer", ScheduleJson(peers.max_upload_per_peer(), minute)},
            {"download", ScheduleJson(node.swarm().download_schedule(), minute)}};
}

RpcResult<Json> SetBandwidth(Node& node, const Call& call) {
    p2p::PeerManager& peers = node.network().peers();
    BandwidthSchedule upload = peers.max_upload(), per_peer = peers.max_upload_per_peer();
    BandwidthSchedule download = node.swarm().download_schedule();
    for (const auto& [name, schedule] : {std::pair("upload", &upload), std::pair("upload_per_peer", &per_peer),
                                         std::pair("download", &download)}) {
        if (!call.Has(name)) continue;
        auto parsed = BandwidthSchedule::Parse({call.String(name)});
        if (!parsed) return RpcFail(RpcCode::kInvalidParameter, std::string(name) + ": " + parsed.error().message);
        *schedule = std::move(*parsed);
    }
    peers.SetUploadLimits(std::move(upload), std::move(per_peer));
    node.swarm().SetDownloadSchedule(std::move(download));
    return BandwidthJson(node);
}

}  // namespace

void AddBandwidthMethods(MethodTable& table, Node& node) {
    const std::string schedule =
        "KiB/s, with hours of local time after @, several with commas: 500,2000@22:00-06:00; "
        "0: no limit (default: as it is)";
    table.Add(
        {"getbandwidth",
         "network",
         "The limits on content, and what they are at this time of day.",
         {},
         "object",
         [&node](const Call&) { return OnNetwork(node, [&]() -> RpcResult<Json> { return BandwidthJson(node); }); }});
    table.Add({"setbandwidth",
               "network",
               "Limits what content is sent and asked for, until the node restarts; nothing else is slowed down.",
               {{"upload", ArgType::kString, false, "to all peers: " + schedule},
                {"upload_per_peer", ArgType::kString, false, "to each peer: likewise"},
                {"download", ArgType::kString, false, "from all peers: likewise"}},
               "object",
               [&node](const Call& call) { return OnNetwork(node, [&] { return SetBandwidth(node, call); }); }});
}

}  // namespace sluice::rpc
