#include <fmt/format.h>

#include <thread>

#include "content/settlement.h"
#include "rpc/content_arguments.h"

namespace sluice::rpc {

using node::Node;

namespace {

constexpr milliseconds kProbeStep{20};

RpcResult<Json> Settle(Node& node) {
    const auto settled = node.SettleAll();
    if (!settled) return RpcFail(settled.error());
    Json txids = Json::array();
    for (const Txid& txid : settled->txids) txids.push_back(txid.Hex());
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

Json PayingJson(Node& node, const content::PayerChannel& c) {
    const auto depth = node.payments().DepthOf(c.lock.outpoint);
    const bool expired = node.chain().chain().tip()->height() >= c.lock.expiry;
    return {{"channel", c.lock.outpoint.ToString()},
            {"node", c.payee_node.Hex()},
            {"state", c.closed      ? "closed"
                      : !depth      ? "spent"
                      : expired     ? "refundable"
                      : *depth == 0 ? "opening"
                                    : "open"},
            {"depth", depth.value_or(0)},
            {"capacity", AmountJson(c.lock.capacity)},
            {"paid", AmountJson(c.Paid())},
            {"owed", AmountJson(c.meter.Owed())},
            {"opening_cost", AmountJson(c.opening_cost)},
            {"expiry_height", c.lock.expiry.value},
            {"received_bytes", c.received_bytes},
            {"closed", c.closed}};
}

Json EarningJson(Node& node, const content::Swarm::PayeeView& view, Instant now) {
    const content::PayeeChannel& c = view.channel;
    const Amount rate = node.payments().FeePerKvb();
    const Amount owed = c.meter.Owed();
    return {{"channel", c.lock.outpoint.ToString()},
            {"node", c.payer_node.Hex()},
            {"phase", PhaseName(c.phase)},
            {"depth", node.payments().DepthOf(c.lock.outpoint).value_or(0)},
            {"confirmations_needed", consensus::ConfirmationsFor(node.params(), c.lock.capacity)},
            {"connected", view.connected},
            {"idle_s", std::chrono::duration_cast<seconds>(now - view.last_used).count()},
            {"capacity", AmountJson(c.lock.capacity)},
            {"earned", AmountJson(c.Paid())},
            {"unpaid", AmountJson(Subtract(owed, c.Paid()).value_or(Amount(0)))},
            {"settle_cost", AmountJson(content::MarginalSettleCost(node.params(), rate))},
            {"worth_settling", content::WorthSettling(node.params(), c, rate)},
            {"ripe", content::IsRipe(node.params(), c, rate)},
            {"expiry_height", c.lock.expiry.value},
            {"settle_by_height", c.lock.expiry.value - content::SettleMarginBlocks(node.params())},
            {"served_bytes", c.served_bytes}};
}

RpcResult<Json> ListChannels(Node& node) {
    struct Views {
        std::vector<content::PayerChannel> paying;
        std::vector<content::Swarm::PayeeView> earning;
    };
    const auto views = node.CallNetwork([&]() -> Result<Views> {
        return Views{node.swarm().PayerChannels(), node.swarm().swarm().PayeeViews()};
    });
    if (!views) return RpcFail(views.error());
    return OnChain(node, [&]() -> RpcResult<Json> {
        Json paying = Json::array(), earning = Json::array();
        for (const auto& channel : views->paying) paying.push_back(PayingJson(node, channel));
        const Instant now = node.clock().Monotonic();
        for (const auto& view : views->earning) earning.push_back(EarningJson(node, view, now));
        return Json{{"paying", paying}, {"earning", earning}};
    });
}

std::string DayText(uint32_t day) {
    if (day == 0) return "earlier";
    const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
    return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                       static_cast<unsigned>(date.day()));
}

// What a content is called: its newest claim's title, with the claim's id.
RpcResult<Json> Titles(Node& node, const std::set<ContentId>& contents) {
    return OnChain(node, [&]() -> RpcResult<Json> {
        Json titles = Json::object();
        for (const ContentId& content : contents) {
            const auto uses = node.claims().UsesOf(content);
            if (uses && !uses->empty())
                titles[content.root.Hex()] = {{"title", uses->back().claim.record.title},
                                              {"claim", uses->back().claim.id.Hex()}};
        }
        return titles;
    });
}

RpcResult<Json> GetEarnings(Node& node, const Call& call) {
    const std::string by = call.Has("by") ? call.String("by") : "title";
    if (by != "title" && by != "peer" && by != "day" && by != "all")
        return RpcFail(RpcCode::kInvalidParameter, "by must be title, peer, day or all");
    ASSIGN_OR_RETURN(const int64_t days, call.Integer("days", 36'500, 1, 36'500));
    const int64_t today = node.clock().Now().time_since_epoch() / seconds(86'400);
    std::map<std::string, std::pair<Json, std::pair<uint64_t, content::Meter>>> groups;
    std::set<ContentId> contents;
    uint64_t bytes = 0;
    content::Meter total;
    const auto add = [](content::Meter& sum, const content::Meter& more) {
        const uint64_t low = sum.low + more.low;
        sum.high += more.high + (low < sum.low ? 1 : 0);
        sum.low = low;
    };
    for (const node::EarningRow& row : node.Earnings()) {
        if (row.day + days <= today) continue;
        const std::string root = row.content.root.Hex(), peer = row.payer.Hex(), day = DayText(row.day);
        Json key = Json::object();
        if (by == "title" || by == "all") key["content"] = root;
        if (by == "peer" || by == "all") key["node"] = peer;
        if (by == "day" || by == "all") key["day"] = day;
        contents.insert(row.content);
        auto& group = groups.try_emplace(key.dump(), key, std::pair<uint64_t, content::Meter>{}).first->second.second;
        group.first += row.bytes;
        add(group.second, row.value);
        bytes += row.bytes;
        add(total, row.value);
    }
    ASSIGN_OR_RETURN(const Json titles, Titles(node, contents));
    Json rows = Json::array();
    for (auto& [name, group] : groups) {
        Json row = std::move(group.first);
        if (row.contains("content") && titles.contains(row["content"].get<std::string>()))
            row.update(titles[row["content"].get<std::string>()]);
        row["served_bytes"] = group.second.first;
        row["earned"] = AmountJson(group.second.second.Owed());
        rows.push_back(std::move(row));
    }
    Amount unsettled;
    const auto channels =
        node.CallNetwork([&]() -> Result<std::vector<content::PayeeChannel>> { return node.swarm().PayeeChannels(); });
    if (!channels) return RpcFail(channels.error());
    for (const content::PayeeChannel& channel : *channels)
        if (channel.phase != content::ChannelPhase::kClosed) unsettled.drops += channel.Paid().drops;
    return Json{{"rows", rows},
                {"served_bytes", bytes},
                {"earned", AmountJson(total.Owed())},
                {"unsettled", AmountJson(unsettled)}};
}

uint64_t MissingBytes(Node& node, const ContentId& content) {
    const auto stored = node.chunks().Find(content);
    if (!stored) return content.size_bytes;
    uint64_t missing = content.size_bytes;
    const auto have = stored->Have();
    for (content::ChunkIndex chunk; chunk.value < have.size(); ++chunk)
        if (have.Has(chunk)) missing -= content::ChunkBytes(content.size_bytes, chunk);
    return missing;
}

// Asks every peer, and waits until all have answered or the time is over.
RpcResult<std::vector<content::Swarm::PeerOffer>> AskPeers(Node& node, const ContentId& content, milliseconds wait) {
    const auto probed = node.CallNetwork([&]() -> Result<bool> {
        node.swarm().Probe(content);
        return true;
    });
    if (!probed) return RpcFail(probed.error());
    const Instant deadline = node.clock().Monotonic() + wait;
    for (;;) {
        const auto offers = node.CallNetwork(
            [&]() -> Result<std::vector<content::Swarm::PeerOffer>> { return node.swarm().swarm().OffersOf(content); });
        if (!offers) return RpcFail(offers.error());
        if (node.clock().Monotonic() >= deadline || node.IsStopping()) return *offers;
        std::this_thread::sleep_for(kProbeStep);
    }
}

// One bound of the cost: everything at this price, over so many channels that have to be opened.
Amount CostAt(const consensus::Params& params, uint64_t missing, Amount ask, size_t new_channels, Amount rate) {
    if (missing == 0 || ask.drops == 0) return Amount(0);
    const Amount value = content::Meter{}.OwedAfter(missing, ask);
    if (new_channels == 0) return value;
    return Amount(std::max(value.drops, new_channels * content::FirstVoucher(params, rate).drops) +
                  content::OpeningCost(params, new_channels, Amount(rate.drops / 2)).drops);
}

RpcResult<Json> EstimateCost(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const int64_t wait_ms, call.Integer("wait", 1'000, 0, 60'000));
    Amount cap = node.config().max_price_per_mib;
    if (call.Has("max_price_per_mib")) {
        ASSIGN_OR_RETURN(cap, AmountArg(call, "max_price_per_mib"));
    }
    ContentId content;
    Amount rate;
    ASSIGN_OR_RETURN(Json answer, OnChain(node, [&]() -> RpcResult<Json> {
                         ASSIGN_OR_RETURN(const ClaimId id, ClaimArg(node, call));
                         const auto info = node.claims().Find(id);
                         if (!info) return RpcFail(info.error());
                         content = info->record.content;
                         rate = node.payments().FeePerKvb();
                         return Json{{"claim", id.Hex()}, {"title", info->record.title}};
                     }));
    const uint64_t missing = MissingBytes(node, content);
    std::vector<content::Swarm::PeerOffer> offers;
    if (missing > 0) {
        ASSIGN_OR_RETURN(offers, AskPeers(node, content, milliseconds(wait_ms)));
    }
    std::optional<Amount> lowest, highest;
    size_t paid = 0, with_channel = 0, too_dear = 0;
    for (const auto& offer : offers) {
        if (offer.ask_per_mib > cap) {
            ++too_dear;
            continue;
        }
        lowest = std::min(lowest.value_or(offer.ask_per_mib), offer.ask_per_mib);
        highest = std::max(highest.value_or(offer.ask_per_mib), offer.ask_per_mib);
        paid += offer.ask_per_mib.drops > 0;
        with_channel += offer.ask_per_mib.drops > 0 && offer.has_channel;
    }
    const size_t most_channels = std::min<size_t>(paid - with_channel, 8);
    answer["missing_bytes"] = missing;
    answer["seeders"] = offers.size();
    answer["too_dear"] = too_dear;
    answer["max_price_per_mib"] = AmountJson(cap);
    if (missing > 0 && !lowest) {
        answer["cost"] = nullptr;  // nobody to ask
        return answer;
    }
    const Amount low = lowest.value_or(Amount(0)), high = highest.value_or(Amount(0));
    answer["ask_per_mib"] = {{"low", AmountJson(low)}, {"high", AmountJson(high)}};
    answer["channel_fees"] =
        AmountJson(most_channels == 0 || high.drops == 0
                       ? Amount(0)
                       : content::OpeningCost(node.params(), most_channels, Amount(rate.drops / 2)));
    answer["cost"] = {{"low", AmountJson(CostAt(node.params(), missing, low, with_channel > 0 ? 0 : 1, rate))},
                      {"high", AmountJson(CostAt(node.params(), missing, high, most_channels, rate))}};
    return answer;
}

RpcResult<Json> Counted(const Result<size_t>& channels, const std::string& path) {
    if (!channels) return RpcFail(channels.error());
    return Json{{"path", path}, {"channels", *channels}};
}

}  // namespace

void AddPaymentMethods(MethodTable& table, Node& node) {
    const std::string category = "content";
    table.Add({"settlechannels",
               category,
               "Collects on chain what downloaders paid, now; by itself that happens once it is worth it.",
               {},
               "{txids, channels, amount, fee, burned, returned}",
               [&node](const Call&) { return Settle(node); }});
    table.Add({"listchannels",
               category,
               "Payment channels: those we pay and those we earn from, with what settling them costs and brings.",
               {},
               "{paying: [{channel, node, state, depth, capacity, paid, owed, opening_cost, expiry_height, "
               "received_bytes, closed}], earning: [{channel, node, phase, depth, confirmations_needed, connected, "
               "idle_s, capacity, earned, unpaid, settle_cost, worth_settling, ripe, expiry_height, settle_by_height, "
               "served_bytes}]}",
               [&node](const Call&) { return ListChannels(node); }});
    table.Add({"getearnings",
               category,
               "What downloaders paid for what this node served, from its accounts. Days are UTC; fees of settling are "
               "not taken off.",
               {{"by", ArgType::kString, false, "title, peer, day, or all three (default title)"},
                {"days", ArgType::kNumber, false, "only so many days back, today with them (default: all)"}},
               "{rows, served_bytes, earned, unsettled}",
               [&node](const Call& call) { return GetEarnings(node, call); }});
    table.Add({"estimatedownloadcost",
               category,
               "What getting a claim would cost beside its key: asks the peers that are connected, and opens nothing.",
               {kClaimArg,
                {"max_price_per_mib", ArgType::kAmount, false, "leave dearer seeders out (default -maxpricepermib)"},
                {"wait", ArgType::kNumber, false, "milliseconds to wait for answers (default 1000)"}},
               "{claim, title, missing_bytes, seeders, too_dear, max_price_per_mib, ask_per_mib: {low, high}, "
               "channel_fees, cost: {low, high} or null if nobody has it at that price}",
               [&node](const Call& call) { return EstimateCost(node, call); },
               true});
    const ArgSpec path{"path", ArgType::kString, true, "absolute path of the backup"};
    table.Add(
        {"backupvouchers",
         category,
         "Writes what is needed, beside the wallet's phrase, to settle what was earned on another machine.",
         {path},
         "{path, channels}",
         [&node](const Call& call) { return Counted(node.BackUpVouchers(call.String("path")), call.String("path")); }});
    table.Add({"restorevouchers",
               category,
               "Takes over the channels of such a backup, made by a node with the same phrase, and settles them.",
               {path},
               "{path, channels}",
               [&node](const Call& call) {
                   return Counted(node.RestoreVouchers(call.String("path")), call.String("path"));
               }});
}

}  // namespace sluice::rpc
