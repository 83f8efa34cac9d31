#include <fmt/format.h>

#include "consensus/staker_rules.h"
#include "primitives/address.h"
#include "rpc/convert.h"
#include "rpc/methods.h"

namespace sluice::rpc {
namespace {

using consensus::StakerState;
using consensus::StakerStatus;
using node::Node;

constexpr int64_t kMaxListed = 1'000;

std::string Percent(Amount part, Amount whole) {
    return whole.drops == 0
               ? "0"
               : fmt::format("{:.4f}", 100.0 * static_cast<double>(part.drops) / static_cast<double>(whole.drops));
}

// The stake that elects the slot after the tip, or the slot of the clock if that is later.
struct Election {
    Slot slot;
    Epoch epoch;
    chain::SnapshotRef snapshot;  // null: not known before more blocks are connected
    Amount total;
};

RpcResult<Election> CurrentElection(const Node& node) {
    const chain::ChainManager& chain = node.chain().chain();
    const consensus::HeaderState& tip = chain.tip()->state;
    const Slot slot = std::max(tip.slot + 1, chain.params().SlotAt(node.clock().Now()).value_or(Slot(0)));
    const auto snapshot = chain.SnapshotOf(consensus::ElectingBoundary(chain.params(), tip, slot));
    if (!snapshot) return RpcFail(snapshot.error());
    Election election{slot, chain.params().EpochOf(slot), *snapshot, {}};
    if (election.snapshot) election.total = election.snapshot->stake.TotalWeight(election.epoch);
    return election;
}

RpcResult<StakerState> FindStaker(const Node& node, const StakerId& id) {
    const auto staker = node.chain().chain().state().Get<StakerState>(id);
    if (const auto failure = node.chain().chain().TakeReadFailure()) return RpcFail(*failure);
    if (!staker)
        return RpcFail(RpcCode::kNotFound, "no staker has the id " + id.Hex() +
                                               " (yet): see 'sluice-cli liststakers', or wait for a block");
    return *staker;
}

Json StakerJson(const Node& node, const StakerId& id, const StakerState& staker, const Election& election) {
    const consensus::Params& params = node.params();
    Json json{
        {"staker", id.Hex()},
        {"status", consensus::StakerStatusName(staker.status)},
        {"stake", AmountJson(staker.stake.total)},
        {"commission_percent", fmt::format("{}.{}", staker.commission_permille / 10, staker.commission_permille % 10)},
        {"payout_address", EncodeAddress(staker.payout_script, params.hrp)},
        {"rewards_unspent", AmountJson(staker.pot)},
        {"registered_epoch", staker.registered.value},
        {"vrf_key", staker.vrf_key.Hex()},
        {"signing_key", staker.signing_key.Hex()}};
    if (const auto bond = node.chain().chain().state().Get<consensus::Coin>(staker.bond))
        json["bond"] = AmountJson(bond->output.value);
    if (staker.status == StakerStatus::kExiting) {
        json["exit_slot"] = staker.exit_slot.value;
        json["bond_free_at_slot"] = staker.exit_slot.value + params.unbonding_slots;
    }
    const consensus::SnapshotEntry* entry = election.snapshot ? election.snapshot->stake.Find(id) : nullptr;
    const Amount weight = entry ? election.snapshot->stake.Weight(*entry, election.epoch) : Amount();
    json["elects"] = entry != nullptr;
    json["weight"] = AmountJson(weight);
    json["share_percent"] = Percent(weight, election.total);
    return json;
}

Json SlotJson(const Node& node, const node::WonSlot& won) {
    Json json{{"slot", won.slot.value},
              {"time", node.params().SlotSeconds(won.slot)},
              {"outcome", std::string(node::SlotOutcomeName(won.outcome))}};
    if (won.block) json["block"] = won.block->Hex();
    if (!won.detail.empty()) json["detail"] = won.detail;
    return json;
}

Json KeysJson(const std::optional<node::StakerKeys::Public>& keys) {
    if (!keys) return nullptr;
    return Json{{"vrf_key", keys->vrf_key.Hex()}, {"signing_key", keys->signing_key.Hex()}};
}

RpcResult<Json> StakingInfoJson(Node& node) {
    const node::Staking& staking = node.staking();
    const node::StakingInfo info = staking.Info();
    Json json{{"enabled", info.enabled},
              {"blocks_produced", info.blocks_produced},
              {"last_error", info.last_error},
              {"keys", KeysJson(node.staking().keys().Current())},
              {"next_keys", KeysJson(node.staking().keys().Next())}};
    if (node.staking().keys().InFile()) json["key_file"] = node.staking().keys().path();
    if (!info.halted.empty()) json["halted"] = info.halted;
    if (info.waiting_until) json["waiting_until_slot"] = info.waiting_until->value;
    if (info.last_signed_slot) json["last_signed_slot"] = info.last_signed_slot->value;
    if (!info.staker) return json;
    json["staker"] = info.staker->Hex();
    ASSIGN_OR_RETURN(const Election election, CurrentElection(node));
    const auto staker = node.chain().chain().state().Get<StakerState>(*info.staker);
    if (!staker) {
        json["status"] = "not registered yet";
    } else {
        json["registration"] = StakerJson(node, *info.staker, *staker, election);
        json["status"] = consensus::StakerStatusName(staker->status);
    }
    std::map<std::string, int> counts;
    for (const node::WonSlot& won : staking.log().Newest(100)) ++counts[std::string(SlotOutcomeName(won.outcome))];
    json["last_100_won_slots"] = counts;
    return json;
}

RpcResult<Json> SlotInfo(Node& node, const Call& call) {
    const node::SlotLog& log = node.staking().log();
    if (!call.Has("slot")) {
        ASSIGN_OR_RETURN(const int64_t count, call.Integer("count", 20, 1, kMaxListed));
        Json slots = Json::array();
        for (const node::WonSlot& won : log.Newest(static_cast<size_t>(count))) slots.push_back(SlotJson(node, won));
        Json json{{"slots", slots}};
        if (log.accounted()) json["accounted_to_slot"] = log.accounted()->value;
        if (log.first()) json["accounted_from_slot"] = log.first()->value + 1;
        return json;
    }
    ASSIGN_OR_RETURN(const int64_t number, call.Integer("slot", 0, 0, int64_t{1} << 40));
    const Slot slot(static_cast<uint64_t>(number));
    if (const node::WonSlot* won = log.Find(slot)) {
        Json json = SlotJson(node, *won);
        json["won"] = true;
        return json;
    }
    if (!log.first() || slot <= *log.first())
        return RpcFail(RpcCode::kNotFound, "slot " + ToString(slot) + " is before this node first staked");
    if (!log.accounted() || slot > *log.accounted())
        return RpcFail(RpcCode::kUnavailable, "slot " + ToString(slot) + " is not accounted for yet: ask again later");
    return Json{{"slot", slot.value}, {"won", false}};
}

RpcResult<Json> ListStakers(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(const int64_t count, call.Integer("count", 100, 1, kMaxListed));
    ASSIGN_OR_RETURN(const int64_t skip, call.Integer("skip", 0, 0, INT32_MAX));
    ASSIGN_OR_RETURN(const Election election, CurrentElection(node));
    const auto list = node.chain().chain().state().Get<consensus::StakerList>({});
    if (const auto failure = node.chain().chain().TakeReadFailure()) return RpcFail(*failure);
    const std::vector<StakerId> ids = list ? list->ids : std::vector<StakerId>();
    Json stakers = Json::array();
    for (size_t i = static_cast<size_t>(skip); i < ids.size() && stakers.size() < static_cast<size_t>(count); ++i) {
        ASSIGN_OR_RETURN(const StakerState staker, FindStaker(node, ids[i]));
        stakers.push_back(StakerJson(node, ids[i], staker, election));
    }
    return Json{{"total", ids.size()}, {"stakers", stakers}};
}

RpcResult<Json> EpochInfo(Node& node) {
    const chain::ChainManager& chain = node.chain().chain();
    const consensus::Params& params = chain.params();
    ASSIGN_OR_RETURN(const Election election, CurrentElection(node));
    const consensus::HeaderState& tip = chain.tip()->state;
    const consensus::EpochContext context = consensus::NextContext(params, tip, election.slot);
    const Slot first = params.FirstSlot(election.epoch);
    // Blocks of this epoch so far: from the tip down to the epoch before.
    const chain::HeaderNode* before = chain.FindHeader(context.previous.block);
    Json json{{"epoch", election.epoch.value},
              {"slot", election.slot.value},
              {"first_slot", first.value},
              {"last_slot", first.value + params.epoch_slots - 1},
              {"nonce", context.nonce.Hex()},
              {"elected_by_block", context.elects.block.Hex()},
              {"elected_by_epoch", context.elects.epoch.value},
              {"expected_blocks", params.ExpectedEpochBlocks()},
              {"total_weight", AmountJson(election.total)}};
    if (before) json["blocks"] = tip.height.value - std::min(tip.height, before->height()).value;
    if (election.snapshot) {
        json["snapshot_hash"] = election.snapshot->hash.Hex();
        json["stakers"] = election.snapshot->stake.entries.size();
    }
    const auto totals = chain.state().Get<consensus::LedgerTotals>({});
    if (totals) json["subsidy_per_block"] = AmountJson(consensus::BlockSubsidy(params, *totals, election.epoch));
    return json;
}

RpcResult<Json> StakerStatusOf(Node& node, const Call& call) {
    StakerId id;
    if (call.Has("staker")) {
        ASSIGN_OR_RETURN(id, HashArg<StakerId>(call, "staker"));
    } else if (node.staking().keys().staker()) {
        id = *node.staking().keys().staker();
    } else {
        return RpcFail(RpcCode::kInvalidParameter, "this node has no registered keys: name a staker");
    }
    ASSIGN_OR_RETURN(const Election election, CurrentElection(node));
    ASSIGN_OR_RETURN(const StakerState staker, FindStaker(node, id));
    return StakerJson(node, id, staker, election);
}

// "2.5" -> 25 permille.
RpcResult<uint16_t> CommissionArg(const Call& call, uint16_t otherwise) {
    if (!call.Has("commission")) return otherwise;
    const Json& given = call.Get("commission");
    const std::string text = given.is_string() ? given.get<std::string>() : given.dump();
    const auto percent = ParseSlu(text, "commission");
    constexpr uint64_t kPermille = kDropsPerSlu / 10;
    if (!percent || percent->drops % kPermille != 0 || percent->drops / kPermille > consensus::kMaxCommissionPermille)
        return RpcFail(RpcCode::kInvalidParameter,
                       fmt::format("commission is '{}', it must be a percentage from 0 to {} in steps of 0.1",
                                   text.substr(0, 40), consensus::kMaxCommissionPermille / 10));
    return static_cast<uint16_t>(percent->drops / kPermille);
}

RpcResult<Script> PayoutArg(const Call& call, const Node& node, Script otherwise) {
    if (!call.Has("payout")) return otherwise;
    const auto script = DecodeAddress(call.String("payout"), node.params().hrp);
    if (!script) return RpcFail(RpcCode::kInvalidParameter, "payout: " + script.error().message);
    return *script;
}

// Both given, or neither: then nullopt.
RpcResult<std::optional<node::StakerKeys::Public>> KeysArg(const Call& call) {
    if (call.Has("vrf_key") != call.Has("signing_key"))
        return RpcFail(RpcCode::kInvalidParameter, "give vrf_key and signing_key, or neither");
    if (!call.Has("vrf_key")) return std::optional<node::StakerKeys::Public>();
    ASSIGN_OR_RETURN(const auto vrf_key, HashArg<crypto::VrfPublicKey>(call, "vrf_key"));
    ASSIGN_OR_RETURN(const auto signing_key, HashArg<XOnlyPubKey>(call, "signing_key"));
    return std::optional(node::StakerKeys::Public{vrf_key, signing_key});
}

RpcResult<StakerId> StakerArg(const Call& call, Node& node) {
    if (call.Has("staker")) return HashArg<StakerId>(call, "staker");
    if (node.staking().keys().staker()) return *node.staking().keys().staker();
    return RpcFail(RpcCode::kInvalidParameter, "this node has no registered keys: name the staker");
}

RpcResult<wallet::Wallet*> WalletOf(Node& node) {
    const auto wallet = node.wallet().Get();
    if (!wallet) return RpcFail(RpcCode::kWalletMissing, wallet.error().message);
    return *wallet;
}

// Sends what a wallet built; `more` is what else the answer says.
RpcResult<Json> SendBuilt(Node& node, const Result<wallet::BuiltTransaction>& built, Json more) {
    if (!built) return RpcFail(built.error());
    const auto txid = node.wallet().Broadcast(*built);
    if (!txid) return RpcFail(txid.error());
    more["txid"] = txid->Hex();
    return more;
}

RpcResult<Json> RegisterStaker(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(wallet::Wallet* const wallet, WalletOf(node));
    ASSIGN_OR_RETURN(const auto given, KeysArg(call));
    node::StakerKeys& keys = node.staking().keys();
    if (!given && keys.staker())
        return RpcFail(RpcCode::kMisc, "this node's keys are registered as staker " + keys.staker()->Hex() +
                                           " already: change them with 'sluice-cli staker rotate'");
    if (!given && !keys.HaveKeys()) {
        const Status made = keys.Make(node.random());
        if (!made) return RpcFail(made.error());
    }
    const node::StakerKeys::Public used = given ? *given : *keys.Current();
    wallet::RegistrationRequest request;
    request.record.vrf_key = used.vrf_key;
    request.record.signing_key = used.signing_key;
    ASSIGN_OR_RETURN(request.record.commission_permille, CommissionArg(call, 50));
    ASSIGN_OR_RETURN(request.record.payout_script, PayoutArg(call, node, {}));
    if (call.Has("bond")) {
        ASSIGN_OR_RETURN(request.bond, AmountArg(call, "bond"));
    }
    const auto built = wallet->BuildRegister(request);
    if (!built) return RpcFail(built.error());
    const StakerId id = built->staker;
    ASSIGN_OR_RETURN(Json sent, SendBuilt(node, built->built, {{"staker", id.Hex()}}));
    // The keys of this node know whose they are only once the registration is out: it could have been refused.
    if (keys.Current() == used) {
        const Status noted = keys.SetStaker(id);
        if (!noted) return RpcFail(noted.error());
    }
    ASSIGN_OR_RETURN(const Election election, CurrentElection(node));
    sent["elects_from_epoch"] = election.epoch.value + 2;
    return sent;
}

RpcResult<Json> RotateStaker(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(wallet::Wallet* const wallet, WalletOf(node));
    ASSIGN_OR_RETURN(const StakerId id, StakerArg(call, node));
    ASSIGN_OR_RETURN(const StakerState staker, FindStaker(node, id));
    ASSIGN_OR_RETURN(const auto given, KeysArg(call));
    node::StakerKeys& keys = node.staking().keys();
    node::StakerKeys::Public used{staker.vrf_key, staker.signing_key};
    if (given) {
        used = *given;
    } else if (keys.staker() == id && keys.InFile() && !call.Has("commission") && !call.Has("payout")) {
        const Status made = keys.MakeNext(node.random());
        if (!made) return RpcFail(made.error());
        used = *keys.Next();
    } else if (!call.Has("commission") && !call.Has("payout")) {
        return RpcFail(RpcCode::kInvalidParameter,
                       "the keys of staker " + id.Hex() +
                           " are not on this node: give vrf_key and signing_key, as 'staker keys' shows them there");
    }
    RegisterRecord record;
    record.updates = id;
    record.vrf_key = used.vrf_key;
    record.signing_key = used.signing_key;
    ASSIGN_OR_RETURN(record.commission_permille, CommissionArg(call, staker.commission_permille));
    ASSIGN_OR_RETURN(record.payout_script, PayoutArg(call, node, staker.payout_script));
    ASSIGN_OR_RETURN(const Election election, CurrentElection(node));
    return SendBuilt(node, wallet->BuildUpdate(record),
                     {{"staker", id.Hex()}, {"elects_from_epoch", election.epoch.value + 2}});
}

RpcResult<Json> RetireStaker(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(wallet::Wallet* const wallet, WalletOf(node));
    ASSIGN_OR_RETURN(const StakerId id, StakerArg(call, node));
    const uint64_t next_slot = node.chain().chain().tip()->state.slot.value + 1;
    return SendBuilt(node, wallet->BuildExit(id),
                     {{"staker", id.Hex()}, {"bond_free_at_slot", next_slot + node.params().unbonding_slots}});
}

RpcResult<Json> ReleaseBond(Node& node, const Call& call) {
    ASSIGN_OR_RETURN(wallet::Wallet* const wallet, WalletOf(node));
    ASSIGN_OR_RETURN(const StakerId id, StakerArg(call, node));
    return SendBuilt(node, wallet->BuildReleaseBond(id), {{"staker", id.Hex()}});
}

}  // namespace

void AddStakingMethods(MethodTable& table, Node& node) {
    using Handler = std::function<RpcResult<Json>(const Call&)>;
    const auto add = [&](std::string name, std::string summary, std::vector<ArgSpec> args, std::string result,
                         Handler handler) {
        table.Add({std::move(name), "staking", std::move(summary), std::move(args), std::move(result),
                   [&node, handler = std::move(handler)](const Call& call) {
                       return OnChain(node, [&] { return handler(call); });
                   }});
    };
    const ArgSpec commission{"commission", ArgType::kAny, false,
                             "the operator's share of the subsidy in percent, 0 to 10"};
    const ArgSpec payout{"payout", ArgType::kString, false, "address that commission and fees go to"};
    const ArgSpec vrf_key{"vrf_key", ArgType::kString, false,
                          "public VRF key of a node elsewhere (default: this node's)"};
    const ArgSpec signing_key{"signing_key", ArgType::kString, false, "its public signing key"};
    const ArgSpec staker{"staker", ArgType::kString, false, "id, 16 hexadecimal digits (default: this node's own)"};
    add("getstakinginfo", "Whether this node stakes, with which keys, and what it made.", {}, "object",
        [&node](const Call&) { return StakingInfoJson(node); });
    add("getslotinfo", "What came of the slots that this node's keys won: one cause for each.",
        {{"slot", ArgType::kNumber, false, "this slot alone"},
         {"count", ArgType::kNumber, false, "the newest so many (default 20)"}},
        "{slots: [{slot, time, outcome, block, detail}], accounted_to_slot}; outcome: produced, late, clock, lost "
        "battle, "
        "disk, not connected, down, halted",
        [&node](const Call& call) { return SlotInfo(node, call); });
    add("liststakers", "The stakers with a bond, by id.",
        {{"count", ArgType::kNumber, false, "how many at most (default 100)"},
         {"skip", ArgType::kNumber, false, "leave out so many first (default 0)"}},
        "{total, stakers: [...]}", [&node](const Call& call) { return ListStakers(node, call); });
    add("getstaker", "A staker: status, stake, commission, bond, weight.", {staker}, "object",
        [&node](const Call& call) { return StakerStatusOf(node, call); });
    add("getepochinfo", "The current epoch: its slots, nonce, electing stake and blocks.", {}, "object",
        [&node](const Call&) { return EpochInfo(node); });
    add("makestakerkeys", "Makes hot operator keys for this node, if it has none; shows the public ones.",
        {{"next", ArgType::kBool, false, "make those that are to take their place, too (default false)"}},
        "{vrf_key, signing_key, next, staker, key_file}", [&node](const Call& call) -> RpcResult<Json> {
            node::StakerKeys& keys = node.staking().keys();
            if (!keys.HaveKeys()) {
                const Status made = keys.Make(node.random());
                if (!made) return RpcFail(made.error());
            }
            if (call.Bool("next", false)) {
                const Status made = keys.MakeNext(node.random());
                if (!made) return RpcFail(made.error());
            }
            Json json = KeysJson(keys.Current());
            json["next"] = KeysJson(keys.Next());
            json["staker"] = keys.staker() ? Json(keys.staker()->Hex()) : Json();
            if (keys.InFile()) json["key_file"] = keys.path();
            return json;
        });
    add("registerstaker", "Registers a staker: the wallet pays the bond. Its id is known before it confirms.",
        {commission, payout, {"bond", ArgType::kAmount, false, "default: the least"}, vrf_key, signing_key},
        "{staker, txid, elects_from_epoch}", [&node](const Call& call) { return RegisterStaker(node, call); });
    add("rotatestaker",
        "Changes a staker. Without arguments this node makes new keys, and switches when the stake of two epochs later "
        "elects "
        "them; with commission or payout alone the keys stay.",
        {staker, commission, payout, vrf_key, signing_key}, "{staker, txid, elects_from_epoch}",
        [&node](const Call& call) { return RotateStaker(node, call); });
    add("retirestaker",
        "Retires a staker: it elects no more from two epochs later on; its bond stays locked for a while.", {staker},
        "{staker, txid, bond_free_at_slot}", [&node](const Call& call) { return RetireStaker(node, call); });
    add("releasebond", "Takes the bond of a retired staker back once its lock is over.", {staker}, "{staker, txid}",
        [&node](const Call& call) { return ReleaseBond(node, call); });
    add("resumestaking", "Says that no other node has this node's keys: staking goes on after it was halted.", {},
        "null", [&node](const Call&) -> RpcResult<Json> {
            const Status resumed = node.staking().Resume();
            if (!resumed) return RpcFail(resumed.error());
            return Json();
        });
}

}  // namespace sluice::rpc
