#include <fmt/format.h>

#include "consensus/staker_rules.h"
#include "rpc/convert.h"
#include "rpc/methods.h"

// What a holder does with stake. Running a staker is methods_staking.cpp's matter.

namespace sluice::rpc {

using node::Node;
using wallet::BondStatus;
using wallet::Wallet;

namespace {

std::string_view BondStatusName(BondStatus status) {
    switch (status) {
        case BondStatus::kUnconfirmed:
            return "unconfirmed";
        case BondStatus::kBonded:
            return "bonded";
        case BondStatus::kExiting:
            return "exiting";
        case BondStatus::kFree:
            return "free";
        case BondStatus::kReleased:
            return "released";
        case BondStatus::kSlashed:
            return "slashed";
    }
    return "unknown";
}

RpcResult<uint64_t> FeerateArg(const Call& call) {
    ASSIGN_OR_RETURN(const int64_t feerate,
                     call.Integer("feerate", wallet::kDefaultFeePerKvb, wallet::kMinFeePerKvb, wallet::kMaxFeePerKvb));
    return static_cast<uint64_t>(feerate);
}

RpcResult<std::optional<StakerId>> StakerArg(const Call& call, const std::string& name) {
    if (!call.Has(name)) return std::optional<StakerId>();
    ASSIGN_OR_RETURN(const StakerId staker, HashArg<StakerId>(call, name));
    return std::optional<StakerId>(staker);
}

// Absent or "all": all of it.
RpcResult<std::optional<Amount>> PartArg(const Call& call) {
    if (!call.Has("amount") || call.Get("amount") == "all") return std::optional<Amount>();
    ASSIGN_OR_RETURN(const Amount amount, AmountArg(call, "amount"));
    return std::optional<Amount>(amount);
}

Epoch NextEpoch(const Node& node) { return node.params().EpochOf(node.chain().chain().mempool().NextContext().slot); }

RpcResult<Json> Delegate(Node& node, Wallet& wallet, const Call& call) {
    ASSIGN_OR_RETURN(const StakerId staker, HashArg<StakerId>(call, "staker"));
    ASSIGN_OR_RETURN(const Amount amount, AmountArg(call, "amount"));
    ASSIGN_OR_RETURN(const uint64_t feerate, FeerateArg(call));
    const auto built = wallet.BuildDelegation(staker, amount, feerate);
    if (!built) return RpcFail(built.error());
    const auto txid = node.wallet().Broadcast(*built);
    if (!txid) return RpcFail(txid.error());
    return Json{{"txid", txid->Hex()},
                {"staker", staker.Hex()},
                {"amount", AmountJson(amount)},
                {"fee", AmountJson(built->fee)},
                {"earns_from_epoch", (NextEpoch(node) + 3).value}};
}

RpcResult<Json> Undelegate(Node& node, Wallet& wallet, const wallet::UndelegationRequest& request) {
    const auto built = wallet.BuildUndelegation(request);
    if (!built) return RpcFail(built.error());
    Amount spent, restaked, received;
    for (const TxInput& input : built->tx->inputs()) spent.drops += wallet.OwnOutput(input.prevout)->value.drops;
    const auto& outputs = built->tx->outputs();
    for (size_t i = 0; i + 1 < outputs.size(); ++i) restaked.drops += outputs[i].value.drops;
    received = outputs.back().value;
    const auto txid = node.wallet().Broadcast(*built);
    if (!txid) return RpcFail(txid.error());
    return Json{{"txid", txid->Hex()},
                {"stake", AmountJson(Amount(spent.drops - restaked.drops))},
                {"accrued", AmountJson(built->accrued)},
                {"fee", AmountJson(built->fee)},
                {"received", AmountJson(received)}};
}

Json StakeJson(const Node& node, const wallet::StakeView& view) {
    const auto state = node.chain().chain().state().Get<consensus::StakerState>(view.staker);
    const bool genesis = view.created == consensus::kGenesisStakeEpoch;
    Json json{{"txid", view.outpoint.txid.Hex()},
              {"vout", view.outpoint.index},
              {"amount", AmountJson(view.amount)},
              {"staker", view.staker.Hex()},
              {"since_epoch", nullptr},
              {"earns_from_epoch", view.earns_from.value},
              {"earns", view.created && NextEpoch(node) >= view.earns_from},
              {"accrued", AmountJson(view.accrued)},
              {"spendable", view.spendable},
              {"staker_status", state ? consensus::StakerStatusName(state->status) : "unknown"}};
    if (view.created) json["since_epoch"] = genesis ? 0 : view.created->value;
    if (state)
        json["commission"] = fmt::format("{}.{}", state->commission_permille / 10, state->commission_permille % 10);
    if (view.claim) json["claim"] = view.claim->Hex();
    return json;
}

RpcResult<Json> StakeStatus(const Node& node, const Wallet& wallet) {
    Amount staked, accrued;
    Json delegations = Json::array(), bonds = Json::array();
    for (const wallet::StakeView& view : wallet.Stakes()) {
        staked.drops += view.amount.drops;
        accrued.drops += view.accrued.drops;
        delegations.push_back(StakeJson(node, view));
    }
    for (const wallet::BondView& view : wallet.Bonds()) {
        Json bond{{"staker", view.staker.Hex()},
                  {"amount", AmountJson(view.amount)},
                  {"status", BondStatusName(view.status)},
                  {"txid", view.outpoint.txid.Hex()},
                  {"vout", view.outpoint.index}};
        if (view.free_at) bond["free_at_slot"] = view.free_at->value;
        bonds.push_back(std::move(bond));
    }
    return Json{{"epoch", NextEpoch(node).value},
                {"staked", AmountJson(staked)},
                {"accrued", AmountJson(accrued)},
                {"delegations", std::move(delegations)},
                {"bonds", std::move(bonds)}};
}

}  // namespace

void AddStakeMethods(MethodTable& table, Node& node) {
    const ArgSpec feerate{"feerate", ArgType::kNumber, false, "drops per 1000 vB (default 2000)"};
    using Handler = std::function<RpcResult<Json>(Wallet&, const Call&)>;
    const auto add = [&](std::string name, std::string summary, std::vector<ArgSpec> args, std::string result,
                         Handler handler) {
        table.Add({std::move(name), "wallet", std::move(summary), std::move(args), std::move(result),
                   [&node, handler = std::move(handler)](const Call& call) {
                       return OnChain(node, [&]() -> RpcResult<Json> {
                           const auto wallet = node.wallet().Get();
                           if (!wallet) return RpcFail(RpcCode::kWalletMissing, wallet.error().message);
                           return handler(**wallet, call);
                       });
                   }});
    };
    add("delegate", "Stakes money with a staker. It stays this wallet's and can be taken back at any time.",
        {{"staker", ArgType::kHash, true, "id of the staker"}, {"amount", ArgType::kAmount, true, "SLU"}, feerate},
        "{txid, staker, amount, fee, earns_from_epoch}",
        [&node](Wallet& wallet, const Call& call) { return Delegate(node, wallet, call); });
    add("undelegate", "Takes stake back, with all that it has earned. The newest goes first.",
        {{"amount", ArgType::kAny, false, "SLU of stake, or \"all\" (default); what a coin holds more stays staked"},
         {"staker", ArgType::kHash, false, "take it from this staker (default: from all)"},
         feerate},
        "{txid, stake, accrued, fee, received}: received = stake + accrued - fee",
        [&node](Wallet& wallet, const Call& call) -> RpcResult<Json> {
            wallet::UndelegationRequest request;
            ASSIGN_OR_RETURN(request.from, StakerArg(call, "staker"));
            ASSIGN_OR_RETURN(request.amount, PartArg(call));
            ASSIGN_OR_RETURN(request.feerate_per_kvb, FeerateArg(call));
            return Undelegate(node, wallet, request);
        });
    add("redelegate", "Moves stake to another staker, with all that it has earned.",
        {{"to", ArgType::kHash, true, "id of the staker that gets it"},
         {"amount", ArgType::kAny, false, "SLU of stake, or \"all\" (default)"},
         {"staker", ArgType::kHash, false, "take it from this staker (default: from all others)"},
         feerate},
        "{txid, stake, accrued, fee, received}: received is the new stake",
        [&node](Wallet& wallet, const Call& call) -> RpcResult<Json> {
            wallet::UndelegationRequest request;
            ASSIGN_OR_RETURN(request.to, StakerArg(call, "to"));
            ASSIGN_OR_RETURN(request.from, StakerArg(call, "staker"));
            ASSIGN_OR_RETURN(request.amount, PartArg(call));
            ASSIGN_OR_RETURN(request.feerate_per_kvb, FeerateArg(call));
            return Undelegate(node, wallet, request);
        });
    add("getstakestatus", "This wallet's delegations and bonds.", {},
        "{epoch, staked, accrued, delegations: [{txid, vout, amount, staker, since_epoch, earns_from_epoch, earns, "
        "accrued, spendable, staker_status, commission (percent)}], bonds: [{staker, amount, status, free_at_slot}]}",
        [&node](Wallet& wallet, const Call&) { return StakeStatus(node, wallet); });
}

}  // namespace sluice::rpc
