#include "apps/sluice_util/genesis_json.h"

#include <fmt/format.h>

#include <set>

#include "primitives/address.h"

namespace sluice::apps {
namespace {

using consensus::Genesis;
using consensus::GenesisAllocation;
using consensus::GenesisStaker;
using consensus::Params;

constexpr int kMaxDepth = 16;
constexpr size_t kMaxNonceTextBytes = 1'000;
constexpr uint16_t kTemplateCommissionPermille = 50;
constexpr size_t kTemplateHrpBytes = 8;
constexpr uint16_t kFirstTemplatePort = 20'000;
constexpr uint16_t kTemplatePortPairs = 10'000;

// A name that somebody chose, short and without control characters, for an error's one line.
std::string Shown(const std::string& name) {
    const OrderedJson text = name.substr(0, 40);
    const std::string quoted = text.dump(-1, ' ', true, OrderedJson::error_handler_t::replace);
    return quoted.substr(1, quoted.size() - 2);
}

// One JSON object whose fields are taken by name; `where` names it in errors ("stakers[0]").
class ObjectReader {
  public:
    static Result<ObjectReader> Open(const OrderedJson& json, std::string where) {
        if (!json.is_object()) return Fail(fmt::format("genesis: {} must be an object", where));
        return ObjectReader(json, std::move(where));
    }

    bool Has(const std::string& name) const { return m_json->contains(name); }
    Result<const OrderedJson*> Take(const std::string& name) {
        const auto found = m_json->find(name);
        if (found == m_json->end()) return Fail(fmt::format("genesis: {} is missing", Path(name)));
        m_taken.insert(name);
        return &*found;
    }
    Result<std::string> Text(const std::string& name) {
        ASSIGN_OR_RETURN(const OrderedJson* value, Take(name));
        if (!value->is_string()) return Fail(fmt::format("genesis: {} must be a string", Path(name)));
        return value->get<std::string>();
    }
    template <class T>
    Status Number(const std::string& name, T& into) {
        ASSIGN_OR_RETURN(const OrderedJson* value, Take(name));
        constexpr uint64_t kMost = static_cast<uint64_t>(std::numeric_limits<T>::max());
        if (!value->is_number_unsigned() || value->get<uint64_t>() > kMost)
            return Fail(fmt::format("genesis: {} must be a whole number from 0 to {}", Path(name), kMost));
        into = static_cast<T>(value->get<uint64_t>());
        return {};
    }
    template <class T>
    Status Hex(const std::string& name, T& into) {
        ASSIGN_OR_RETURN(const std::string text, Text(name));
        const auto bytes = HexDecode(text);
        if (!bytes || bytes->size() != into.size())
            return Fail(fmt::format("genesis: {} must be {} hexadecimal digits", Path(name), 2 * into.size()));
        std::copy(bytes->begin(), bytes->end(), into.begin());
        return {};
    }
    Status Money(const std::string& name, Amount& into) {
        ASSIGN_OR_RETURN(const std::string text, Text(name));
        ASSIGN_OR_RETURN(into, ParseSlu(text, "genesis: " + Path(name)));
        return {};
    }
    // Call after the last Take.
    Status Finish() const {
        for (const auto& [name, value] : m_json->items())
            if (!m_taken.contains(name))
                return Fail(fmt::format("genesis: {} is no field that is known", Path(Shown(name))));
        return {};
    }
    std::string Path(const std::string& name) const { return m_where.empty() ? name : m_where + "." + name; }

  private:
    ObjectReader(const OrderedJson& json, std::string where) : m_json(&json), m_where(std::move(where)) {}
    const OrderedJson* m_json;
    std::string m_where;
    std::set<std::string> m_taken;
};

// An address of the network, or a script in hex.
Result<Script> ReadScript(const std::string& text, const std::string& field, std::string_view hrp) {
    if (const auto bytes = HexDecode(text); bytes && !bytes->empty()) {
        const Script script(bytes->begin(), bytes->end());
        if (ParseOutputScript(script)) return script;
        return Fail(fmt::format("genesis: {} is not a taproot or stake output script", field));
    }
    auto script = DecodeAddress(text, hrp);
    if (!script) return Fail(fmt::format("genesis: {}: {}", field, script.error().message));
    return script;
}

Result<Script> TakeScript(ObjectReader& reader, const std::string& name, std::string_view hrp) {
    ASSIGN_OR_RETURN(const std::string text, reader.Text(name));
    return ReadScript(text, reader.Path(name), hrp);
}

Result<Params> ReadParams(const OrderedJson& json) {
    ASSIGN_OR_RETURN(ObjectReader reader, ObjectReader::Open(json, "parameters"));
    Params params;
    ASSIGN_OR_RETURN(params.network, reader.Text("network"));
    ASSIGN_OR_RETURN(params.hrp, reader.Text("hrp"));
    RETURN_IF_ERROR(reader.Hex("magic", params.magic));
    RETURN_IF_ERROR(reader.Number("p2p_port", params.p2p_port));
    RETURN_IF_ERROR(reader.Number("rpc_port", params.rpc_port));
    int64_t genesis_time_ms = 0, slot_duration_ms = 0;
    RETURN_IF_ERROR(reader.Number("genesis_time_ms", genesis_time_ms));
    RETURN_IF_ERROR(reader.Number("slot_duration_ms", slot_duration_ms));
    params.genesis_time = UnixMillis(milliseconds(genesis_time_ms));
    params.slot_duration = milliseconds(slot_duration_ms);
    RETURN_IF_ERROR(reader.Number("active_slots_numerator", params.active_slots_numerator));
    RETURN_IF_ERROR(reader.Number("active_slots_denominator", params.active_slots_denominator));
    RETURN_IF_ERROR(reader.Number("epoch_slots", params.epoch_slots));
    RETURN_IF_ERROR(reader.Number("nonce_cutoff_slots", params.nonce_cutoff_slots));
    RETURN_IF_ERROR(reader.Number("k", params.k));
    RETURN_IF_ERROR(reader.Number("subsidy_numerator", params.subsidy_numerator));
    RETURN_IF_ERROR(reader.Number("subsidy_denominator", params.subsidy_denominator));
    RETURN_IF_ERROR(reader.Money("record_fee_per_byte", params.record_fee_per_byte));
    RETURN_IF_ERROR(reader.Money("anchor_per_byte", params.anchor_per_byte));
    RETURN_IF_ERROR(reader.Money("bond", params.bond));
    RETURN_IF_ERROR(reader.Number("unbonding_slots", params.unbonding_slots));
    RETURN_IF_ERROR(reader.Number("refund_window_blocks", params.refund_window_blocks));
    RETURN_IF_ERROR(reader.Number("superseded_grace_blocks", params.superseded_grace_blocks));
    RETURN_IF_ERROR(reader.Number("channel_window_blocks", params.channel_window_blocks));
    RETURN_IF_ERROR(reader.Finish());
    return params;
}

OrderedJson ParamsToJson(const Params& params) {
    return {{"network", params.network},
            {"hrp", params.hrp},
            {"magic", HexEncode(params.magic)},
            {"p2p_port", params.p2p_port},
            {"rpc_port", params.rpc_port},
            {"genesis_time_ms", static_cast<uint64_t>(params.genesis_time.time_since_epoch().count())},
            {"slot_duration_ms", static_cast<uint64_t>(params.slot_duration.count())},
            {"active_slots_numerator", params.active_slots_numerator},
            {"active_slots_denominator", params.active_slots_denominator},
            {"epoch_slots", params.epoch_slots},
            {"nonce_cutoff_slots", params.nonce_cutoff_slots},
            {"k", params.k},
            {"subsidy_numerator", params.subsidy_numerator},
            {"subsidy_denominator", params.subsidy_denominator},
            {"record_fee_per_byte", FormatSlu(params.record_fee_per_byte)},
            {"anchor_per_byte", FormatSlu(params.anchor_per_byte)},
            {"bond", FormatSlu(params.bond)},
            {"unbonding_slots", params.unbonding_slots},
            {"refund_window_blocks", params.refund_window_blocks},
            {"superseded_grace_blocks", params.superseded_grace_blocks},
            {"channel_window_blocks", params.channel_window_blocks}};
}

Hash256 NonceOfText(std::string_view text) { return crypto::TaggedHash("Sluice/genesis nonce", AsBytes(text)); }

Result<Hash256> ReadNonce(ObjectReader& reader) {
    if (reader.Has("first_nonce") == reader.Has("nonce_text"))
        return Fail("genesis: give either first_nonce or nonce_text");
    Hash256 nonce;
    if (reader.Has("first_nonce")) {
        RETURN_IF_ERROR(reader.Hex("first_nonce", nonce));
        return nonce;
    }
    ASSIGN_OR_RETURN(const std::string text, reader.Text("nonce_text"));
    if (text.empty() || text.size() > kMaxNonceTextBytes)
        return Fail(fmt::format("genesis: nonce_text must be 1 to {} bytes", kMaxNonceTextBytes));
    return NonceOfText(text);
}

Result<GenesisStaker> ReadStaker(const OrderedJson& json, const std::string& where, std::string_view hrp) {
    ASSIGN_OR_RETURN(ObjectReader reader, ObjectReader::Open(json, where));
    GenesisStaker staker;
    RETURN_IF_ERROR(reader.Hex("vrf_key", staker.keys.vrf_key));
    RETURN_IF_ERROR(reader.Hex("signing_key", staker.keys.signing_key));
    RETURN_IF_ERROR(reader.Number("commission_permille", staker.keys.commission_permille));
    ASSIGN_OR_RETURN(staker.keys.payout_script, TakeScript(reader, "payout", hrp));
    ASSIGN_OR_RETURN(staker.bond_script, TakeScript(reader, "bond", hrp));
    staker.id = GenesisStakerId(staker.keys.vrf_key);
    if (reader.Has("id")) RETURN_IF_ERROR(reader.Hex("id", staker.id));
    RETURN_IF_ERROR(reader.Finish());
    return staker;
}

// The id that an allocation is staked with: given, or that of the staker at a position of the list.
Result<StakerId> ReadStakerOf(ObjectReader& reader, const std::vector<GenesisStaker>& stakers) {
    ASSIGN_OR_RETURN(const OrderedJson* value, reader.Take("staker"));
    if (value->is_number_unsigned()) {
        const auto position = value->get<uint64_t>();
        if (position < stakers.size()) return stakers[position].id;
        return Fail(fmt::format("genesis: {} is {}, but there are {} stakers, counted from 0", reader.Path("staker"),
                                position, stakers.size()));
    }
    StakerId id;
    RETURN_IF_ERROR(reader.Hex("staker", id));
    return id;
}

Result<GenesisAllocation> ReadAllocation(const OrderedJson& json, const std::string& where, const Genesis& genesis) {
    ASSIGN_OR_RETURN(ObjectReader reader, ObjectReader::Open(json, where));
    GenesisAllocation allocation;
    ASSIGN_OR_RETURN(allocation.script, TakeScript(reader, "to", genesis.params.hrp));
    RETURN_IF_ERROR(reader.Money("amount", allocation.amount));
    if (reader.Has("staker")) {
        ASSIGN_OR_RETURN(const StakerId staker, ReadStakerOf(reader, genesis.stakers));
        const auto output = ParseOutputScript(allocation.script);
        if (!output || output->kind != OutputKind::kTaproot)
            return Fail(fmt::format("genesis: {} is staked already: leave out \"staker\"", reader.Path("to")));
        allocation.script = StakeScript(output->key, staker);
    }
    RETURN_IF_ERROR(reader.Finish());
    return allocation;
}

Result<const OrderedJson*> TakeList(ObjectReader& reader, const std::string& name) {
    ASSIGN_OR_RETURN(const OrderedJson* list, reader.Take(name));
    if (!list->is_array()) return Fail(fmt::format("genesis: {} must be a list", name));
    if (list->size() > consensus::kMaxGenesisOutputs)
        return Fail(
            fmt::format("genesis: {} are {}, the limit is {}", name, list->size(), consensus::kMaxGenesisOutputs));
    return list;
}

OrderedJson StakerToJson(const GenesisStaker& staker, std::string_view hrp) {
    return {{"id", staker.id.Hex()},
            {"vrf_key", staker.keys.vrf_key.Hex()},
            {"signing_key", staker.keys.signing_key.Hex()},
            {"commission_permille", staker.keys.commission_permille},
            {"payout", EncodeAddress(staker.keys.payout_script, hrp)},
            {"bond", EncodeAddress(staker.bond_script, hrp)}};
}

}  // namespace

Result<OrderedJson> ParseStrictJson(std::string_view text) {
    if (text.size() > kMaxGenesisJsonBytes)
        return Fail(fmt::format("the JSON has {} bytes, the limit is {}", text.size(), kMaxGenesisJsonBytes));
    std::string problem;
    std::vector<std::set<std::string>> open;  // the names seen in each object that is open
    const auto watch = [&](int depth, OrderedJson::parse_event_t event, OrderedJson& value) {
        using Event = OrderedJson::parse_event_t;
        if (depth > kMaxDepth && problem.empty()) problem = fmt::format("is over {} levels deep", kMaxDepth);
        if (event == Event::object_start) open.emplace_back();
        if (event == Event::object_end) open.pop_back();
        if (event == Event::key && !open.back().insert(value.get<std::string>()).second && problem.empty())
            problem = fmt::format("has the field \"{}\" twice", Shown(value.get<std::string>()));
        return depth <= kMaxDepth;
    };
    OrderedJson json = OrderedJson::parse(text, watch, false);
    if (!problem.empty()) return Fail("the JSON " + problem);
    if (json.is_discarded()) return Fail("this is not JSON: check quotes, commas and brackets");
    return json;
}

Result<Genesis> GenesisFromJson(const OrderedJson& json) {
    ASSIGN_OR_RETURN(ObjectReader reader, ObjectReader::Open(json, "the JSON"));
    Genesis genesis;
    ASSIGN_OR_RETURN(const OrderedJson* params, reader.Take("parameters"));
    ASSIGN_OR_RETURN(genesis.params, ReadParams(*params));
    ASSIGN_OR_RETURN(genesis.first_nonce, ReadNonce(reader));
    ASSIGN_OR_RETURN(const OrderedJson* stakers, TakeList(reader, "stakers"));
    for (size_t i = 0; i < stakers->size(); ++i) {
        ASSIGN_OR_RETURN(GenesisStaker staker,
                         ReadStaker((*stakers)[i], fmt::format("stakers[{}]", i), genesis.params.hrp));
        genesis.stakers.push_back(std::move(staker));
    }
    ASSIGN_OR_RETURN(const OrderedJson* allocations, TakeList(reader, "allocations"));
    for (size_t i = 0; i < allocations->size(); ++i) {
        ASSIGN_OR_RETURN(GenesisAllocation allocation,
                         ReadAllocation((*allocations)[i], fmt::format("allocations[{}]", i), genesis));
        genesis.allocations.push_back(std::move(allocation));
    }
    RETURN_IF_ERROR(reader.Finish());
    return genesis;
}

OrderedJson GenesisToJson(const Genesis& genesis) {
    OrderedJson json{{"parameters", ParamsToJson(genesis.params)},
                     {"first_nonce", genesis.first_nonce.Hex()},
                     {"allocations", OrderedJson::array()},
                     {"stakers", OrderedJson::array()}};
    for (const GenesisAllocation& allocation : genesis.allocations)
        json["allocations"].push_back(
            {{"to", EncodeAddress(allocation.script, genesis.params.hrp)}, {"amount", FormatSlu(allocation.amount)}});
    for (const GenesisStaker& staker : genesis.stakers)
        json["stakers"].push_back(StakerToJson(staker, genesis.params.hrp));
    return json;
}

OrderedJson GenesisSummary(const Genesis& genesis) {
    Amount allocated, staked;
    for (const GenesisAllocation& allocation : genesis.allocations) {
        allocated.drops += allocation.amount.drops;
        const auto output = ParseOutputScript(allocation.script);
        if (output && output->kind == OutputKind::kStake) staked.drops += allocation.amount.drops;
    }
    const Amount bonds(genesis.stakers.size() * genesis.params.bond.drops);
    const Amount total(allocated.drops + bonds.drops);
    return {{"network", genesis.params.network},
            {"genesis_hash", genesis.Hash().Hex()},
            {"hrp", genesis.params.hrp},
            {"magic", HexEncode(genesis.params.magic)},
            {"p2p_port", genesis.params.p2p_port},
            {"rpc_port", genesis.params.rpc_port},
            {"genesis_time_ms", static_cast<uint64_t>(genesis.params.genesis_time.time_since_epoch().count())},
            {"allocations", genesis.allocations.size()},
            {"stakers", genesis.stakers.size()},
            {"allocated", FormatSlu(allocated)},
            {"staked", FormatSlu(staked)},
            {"bonds", FormatSlu(bonds)},
            {"total", FormatSlu(total)},
            {"reserve", FormatSlu(Amount(kMaxSupply.drops - total.drops))}};
}

StakerId GenesisStakerId(const crypto::VrfPublicKey& vrf_key) {
    const Hash256 hash = crypto::TaggedHash("Sluice/genesis staker", vrf_key.bytes);
    return StakerId::FromSpan(std::span(hash.bytes).first<StakerId::kSize>());
}

OrderedJson StakerKeysToJson(const StakerPublicKeys& keys) {
    return {{"id", keys.id ? OrderedJson(keys.id->Hex()) : OrderedJson(nullptr)},
            {"vrf_key", keys.vrf_key.Hex()},
            {"signing_key", keys.signing_key.Hex()}};
}

Result<StakerPublicKeys> StakerKeysFromJson(const OrderedJson& json, const std::string& where) {
    ASSIGN_OR_RETURN(ObjectReader reader, ObjectReader::Open(json, where));
    StakerPublicKeys keys;
    ASSIGN_OR_RETURN(const OrderedJson* id, reader.Take("id"));
    if (!id->is_null()) RETURN_IF_ERROR(reader.Hex("id", keys.id.emplace()));
    RETURN_IF_ERROR(reader.Hex("vrf_key", keys.vrf_key));
    RETURN_IF_ERROR(reader.Hex("signing_key", keys.signing_key));
    RETURN_IF_ERROR(reader.Finish());
    return keys;
}

Result<OrderedJson> GenesisTemplate(const TemplateOptions& options) {
    const auto& names = consensus::kBuiltInNetworks;
    if (std::find(names.begin(), names.end(), options.like) == names.end())
        return Fail(fmt::format("there is no network '{}' to start from: give main, test or regtest",
                                options.like.substr(0, 40)));
    if (!options.stakers.empty() && options.owner.empty())
        return Fail("the stakers' coins need an owner: give --owner=ADDRESS");
    Genesis genesis;
    Params& params = genesis.params = consensus::BuiltInParams(options.like);
    const Hash256 seed = crypto::TaggedHash("Sluice/network", AsBytes(options.name));
    params.network = options.name;
    params.hrp = options.hrp.empty() ? options.name.substr(0, kTemplateHrpBytes) : options.hrp;
    std::copy_n(seed.begin(), params.magic.size(), params.magic.begin());
    const int pair = (seed[4] << 8 | seed[5]) % kTemplatePortPairs;
    params.p2p_port = static_cast<uint16_t>(kFirstTemplatePort + 2 * pair);
    params.rpc_port = static_cast<uint16_t>(params.p2p_port + 1);
    params.genesis_time = UnixMillis(milliseconds(options.genesis_time_ms));

    OrderedJson json{{"parameters", ParamsToJson(params)},
                     {"nonce_text", "a text that nobody knew before the stakers' keys were fixed"},
                     {"allocations", OrderedJson::array()},
                     {"stakers", OrderedJson::array()}};
    if (options.stakers.empty()) return json;
    ASSIGN_OR_RETURN(const Script owner, ReadScript(options.owner, "the owner", params.hrp));
    const std::string address = EncodeAddress(owner, params.hrp);
    const uint64_t each = kGenesisSupply.drops / kDropsPerSlu / 2 / options.stakers.size() * kDropsPerSlu;
    uint64_t rest = kGenesisSupply.drops;
    for (const StakerPublicKeys& keys : options.stakers) {
        GenesisStaker staker{keys.id.value_or(GenesisStakerId(keys.vrf_key)), {}, owner};
        staker.keys.vrf_key = keys.vrf_key;
        staker.keys.signing_key = keys.signing_key;
        staker.keys.commission_permille = kTemplateCommissionPermille;
        staker.keys.payout_script = owner;
        json["stakers"].push_back(StakerToJson(staker, params.hrp));
        json["allocations"].push_back(
            {{"to", address}, {"amount", FormatSlu(Amount(each))}, {"staker", staker.id.Hex()}});
        rest -= each;
        rest -= std::min(rest, params.bond.drops);
    }
    json["allocations"].push_back({{"to", address}, {"amount", FormatSlu(Amount(rest))}});
    return json;
}

}  // namespace sluice::apps
