#include "rpc/convert.h"
#include "rpc/methods.h"

namespace sluice::rpc {

using node::Node;

namespace {

Json PeerJson(const p2p::PeerInfo& peer, Instant now) {
    Json json{{"id", peer.id.value},
              {"addr", peer.endpoint.ToString()},
              {"nodeid", peer.node_id.Hex()},
              {"inbound", peer.Inbound()},
              {"connection_type", peer.direction == p2p::Direction::kManual ? "manual"
                                  : peer.Inbound()                          ? "inbound"
                                                                            : "outbound"},
              {"version", peer.hello.version},
              {"subver", peer.hello.user_agent},
              {"services", peer.hello.services},
              {"startingheight", peer.hello.best_height.value},
              {"bytessent", peer.bytes_sent},
              {"bytesrecv", peer.bytes_received},
              {"conntime", std::chrono::duration_cast<seconds>(peer.connected_at.time_since_epoch()).count()},
              {"lastrecv_s", std::chrono::duration_cast<seconds>(now - peer.last_received).count()}};
    if (const auto listening = peer.Listening()) json["listening"] = listening->ToString();
    if (peer.ping) json["pingtime"] = std::chrono::duration<double>(*peer.ping).count();
    if (peer.min_ping) json["minping"] = std::chrono::duration<double>(*peer.min_ping).count();
    return json;
}

RpcResult<Json> AddNode(Node& node, const Call& call) {
    const std::string command = call.String("command");
    const auto endpoint = p2p::ParseEndpoint(call.String("node"), node.params().p2p_port, "node");
    if (!endpoint) return RpcFail(RpcCode::kInvalidParameter, endpoint.error().message);
    p2p::PeerManager& peers = node.network().peers();
    if (command == "add") {
        peers.AddNode(*endpoint);
        peers.Tick();
    } else if (command == "remove") {
        if (!peers.RemoveNode(*endpoint))
            return RpcFail(RpcCode::kNotFound, "the node " + endpoint->ToString() + " was not added");
    } else if (command == "onetry") {
        const Status tried = peers.ConnectOnce(*endpoint);
        if (!tried) return RpcFail(tried.error());
    } else {
        return RpcFail(RpcCode::kInvalidParameter,
                       "command must be add, remove or onetry, not '" + command.substr(0, 32) + "'");
    }
    return Json();
}

RpcResult<Json> DisconnectNode(Node& node, const Call& call) {
    p2p::PeerManager& peers = node.network().peers();
    const std::string address = call.String("address");
    for (const p2p::PeerInfo& peer : peers.Peers()) {
        const auto listening = peer.Listening();
        if (peer.endpoint.ToString() == address || (listening && listening->ToString() == address) ||
            std::to_string(peer.id.value) == address) {
            peers.Disconnect(peer.id, "disconnected by the operator");
            return Json();
        }
    }
    return RpcFail(RpcCode::kNotFound,
                   "there is no peer '" + address.substr(0, 64) + "': see getpeerinfo for addresses and ids");
}

}  // namespace

void AddNetworkMethods(MethodTable& table, Node& node) {
    const std::string category = "network";
    const auto add = [&](std::string name, std::string summary, std::vector<ArgSpec> args, std::string result,
                         std::function<RpcResult<Json>(const Call&)> handler) {
        table.Add({std::move(name), category, std::move(summary), std::move(args), std::move(result),
                   [&node, handler = std::move(handler)](const Call& call) {
                       return OnNetwork(node, [&] { return handler(call); });
                   }});
    };
    add("getnetworkinfo", "How this node is on the network.", {}, "object", [&node](const Call&) -> RpcResult<Json> {
        p2p::PeerManager& peers = node.network().peers();
        size_t inbound = 0;
        const auto all = peers.Peers();
        for (const p2p::PeerInfo& peer : all) inbound += peer.Inbound();
        return Json{{"version", Node::kVersion},
                    {"subversion", Node::UserAgent()},
                    {"protocolversion", p2p::kProtocolVersion},
                    {"nodeid", peers.node_id().Hex()},
                    {"connections", all.size()},
                    {"connections_in", inbound},
                    {"connections_out", all.size() - inbound},
                    {"port", node.listening_port()}};
    });
    add("getpeerinfo", "The connected peers.", {}, "array of objects", [&node](const Call&) -> RpcResult<Json> {
        Json result = Json::array();
        for (const p2p::PeerInfo& peer : node.network().peers().Peers())
            result.push_back(PeerJson(peer, node.clock().Monotonic()));
        return result;
    });
    add("getconnectioncount", "How many peers are connected.", {}, "number",
        [&node](const Call&) -> RpcResult<Json> { return Json(node.network().peers().Peers().size()); });
    add("getaddednodeinfo", "The nodes that were added, and why one is not connected.", {}, "array of objects",
        [&node](const Call&) -> RpcResult<Json> {
            Json result = Json::array();
            for (const p2p::ManualNodeInfo& added : node.network().peers().ManualNodes())
                result.push_back({{"addednode", added.endpoint.ToString()},
                                  {"connected", added.connected.has_value()},
                                  {"last_failure", added.last_failure}});
            return result;
        });
    add("getnodeaddresses", "Addresses of other nodes that this node knows.", {}, "array of objects",
        [&node](const Call&) -> RpcResult<Json> {
            Json result = Json::array();
            for (const p2p::AddressEntry& entry : node.network().peers().KnownAddresses())
                result.push_back({{"address", entry.endpoint.ToString()},
                                  {"services", entry.services},
                                  {"time", entry.last_seen_s}});
            return result;
        });
    add("addnode", "Keeps a connection to a node, forgets it, or tries once.",
        {{"node", ArgType::kString, true, "IP:PORT"}, {"command", ArgType::kString, true, "add, remove or onetry"}},
        "null", [&node](const Call& call) { return AddNode(node, call); });
    add("disconnectnode", "Ends a connection.", {{"address", ArgType::kString, true, "IP:PORT or the id of a peer"}},
        "null", [&node](const Call& call) { return DisconnectNode(node, call); });
}

}  // namespace sluice::rpc
