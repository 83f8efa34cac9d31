#include "rpc/convert.h"
#include "rpc/methods.h"

namespace sluice::rpc {

using node::Node;

namespace {

// Why we are connected, in a few words.
std::string WhyOf(const Node& node, const node::Discovery& discovery, const p2p::PeerInfo& peer) {
    switch (peer.direction) {
        case p2p::Direction::kInbound:
            return "it connected to us";
        case p2p::Direction::kManual:
            return "the operator asked for it";
        case p2p::Direction::kSeed:
            return "a seed node, asked for addresses";
        case p2p::Direction::kOutbound:
            return "chosen from the known addresses of " + node.params().network;
        case p2p::Direction::kProvider:
            break;
    }
    const auto purposes = discovery.PurposesOf(peer.id);
    if (purposes.empty()) return "a provider that is not needed now";
    std::string why = "may serve";
    for (size_t i = 0; i < std::min<size_t>(purposes.size(), 3); ++i)
        why += (i == 0 ? " " : ", ") + purposes[i].root.Hex().substr(0, 12);
    return why + (purposes.size() > 3 ? " and more" : "");
}

Json PeerJson(const p2p::PeerInfo& peer, const std::string& why, Instant now) {
    Json json{{"id", peer.id.value},
              {"addr", peer.endpoint.ToString()},
              {"nodeid", peer.node_id.Hex()},
              {"inbound", peer.Inbound()},
              {"connection_type", p2p::NameOf(peer.direction)},
              {"why", why},
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

Json LanJson(const node::Discovery& discovery) {
    if (!discovery.HasLan()) return {{"enabled", false}};
    return {{"enabled", true}, {"nodes", discovery.lan_nodes()}};
}

Json DhtJson(const node::Discovery& discovery) {
    const auto state = discovery.DhtState();
    if (!state || !state->enabled) return {{"enabled", false}};
    return {
        {"enabled", true}, {"port", state->port}, {"nodes", state->nodes}, {"announced", discovery.dht_announced()}};
}

Json UpnpJson(const node::Discovery& discovery) {
    const auto state = discovery.DhtState();
    Json json{{"state", state ? state->port_map : "off"}};
    if (state && state->mapped_port != 0) json["port"] = state->mapped_port;
    return json;
}

// The content that a claim's newest terms are about, or one with this root that is fetched or seeded.
RpcResult<ContentId> ContentOf(Node& node, const std::string& text) {
    auto found = node.CallChain([&]() -> Result<ContentId> {
        ASSIGN_OR_RETURN(const ClaimId claim, node.claims().Resolve(text));
        ASSIGN_OR_RETURN(const node::ClaimInfo info, node.claims().Find(claim));
        return info.record.content;
    });
    if (found) return *found;
    const auto root = ContentRoot::FromHex(text);
    if (!root) return RpcFail(found.error());
    auto known = node.CallNetwork([&]() -> Result<ContentId> {
        if (const auto content = node.discovery().FindByRoot(*root)) return *content;
        return Fail(ErrorKind::kNotFound,
                    "no claim is called " + text + ", and no content with this root is fetched or seeded here");
    });
    if (!known) return RpcFail(known.error());
    return *known;
}

RpcResult<Json> GetProviders(Node& node, const Call& call) {
    const auto content = ContentOf(node, call.String("content"));
    if (!content) return tl::unexpected(content.error());
    return OnNetwork(node, [&]() -> RpcResult<Json> {
        Json providers = Json::array();
        for (const node::ProviderView& view : node.discovery().ProvidersOf(*content)) {
            Json json{{"address", view.endpoint.port == 0 ? "" : view.endpoint.ToString()},
                      {"source", node::NameOf(view.source)},
                      {"state", view.state},
                      {"serves", view.serves},
                      {"delivered", view.delivered_bytes},
                      {"bytes_per_s", view.bytes_per_s},
                      {"failures", view.failures}};
            if (view.node) json["nodeid"] = view.node->Hex();
            if (view.peer) json["peer"] = view.peer->value;
            providers.push_back(std::move(json));
        }
        return Json{{"root", content->root.Hex()},
                    {"size", content->size_bytes},
                    {"fetching", node.discovery().IsFetching(*content)},
                    {"seeding", node.discovery().IsSeeding(*content)},
                    {"providers", std::move(providers)}};
    });
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
                    {"port", node.listening_port()},
                    {"connections_providers", peers.ProviderConnections()},
                    {"findproviders", node.discovery().finds_providers()},
                    {"seeding", node.discovery().seeding()},
                    {"lan", LanJson(node.discovery())},
                    {"dht", DhtJson(node.discovery())},
                    {"upnp", UpnpJson(node.discovery())}};
    });
    add("getpeerinfo", "The connected peers.", {}, "array of objects", [&node](const Call&) -> RpcResult<Json> {
        Json result = Json::array();
        for (const p2p::PeerInfo& peer : node.network().peers().Peers())
            result.push_back(PeerJson(peer, WhyOf(node, node.discovery(), peer), node.clock().Monotonic()));
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
            for (const p2p::KnownAddress& known : node.network().peers().KnownAddresses())
                result.push_back({{"address", known.entry.endpoint.ToString()},
                                  {"services", known.entry.services},
                                  {"time", known.entry.last_seen_s},
                                  {"source", p2p::NameOf(known.source)},
                                  {"tried", known.tried},
                                  {"failures", known.failures}});
            return result;
        });
    table.Add(
        {"getproviders",
         category,
         "Nodes that serve a content, or may: who told of them, and what they delivered to us.",
         {{"content", ArgType::kString, true, "the claim, or a prefix of at least 6 digits, or the content's root"}},
         "object",
         [&node](const Call& call) { return GetProviders(node, call); }});
    add("addnode", "Keeps a connection to a node, forgets it, or tries once.",
        {{"node", ArgType::kString, true, "IP:PORT"}, {"command", ArgType::kString, true, "add, remove or onetry"}},
        "null", [&node](const Call& call) { return AddNode(node, call); });
    add("disconnectnode", "Ends a connection.", {{"address", ArgType::kString, true, "IP:PORT or the id of a peer"}},
        "null", [&node](const Call& call) { return DisconnectNode(node, call); });
}

}  // namespace sluice::rpc
