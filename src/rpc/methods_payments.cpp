#include <fmt/format.h>

#include "rpc/content_arguments.h"

namespace sluice::rpc {

using node::Node;

namespace {

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

}  // namespace

void AddPaymentMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
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

}  // namespace sluice::rpc
