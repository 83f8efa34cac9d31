#include "rpc/convert.h"

#include <fmt/format.h>

#include <cstdlib>

#include "primitives/address.h"
#include "primitives/script.h"

namespace sluice::rpc {

namespace {

// The decimal text of a JSON number. Rationale: up to the supply cap, different amounts are different doubles, so the
// eight places that read back as the same double are the ones that were written; anything else is left for ParseSlu to
// refuse.
std::string DecimalText(const Json& number) {
    if (!number.is_number_float()) return number.dump();
    const double value = number.get<double>();
    const std::string eight_places = fmt::format("{:.8f}", value);
    return value >= 0 && value <= 21e6 && std::strtod(eight_places.c_str(), nullptr) == value
               ? eight_places
               : fmt::format("{}", value);
}

}  // namespace

RpcResult<Amount> AmountArg(const Call& call, const std::string& name) {
    const Json& value = call.Get(name);
    const auto amount = ParseSlu(value.is_string() ? value.get<std::string>() : DecimalText(value), name);
    if (!amount) return RpcFail(RpcCode::kInvalidParameter, amount.error().message);
    return *amount;
}

RpcResult<OutPoint> OutPointArg(const Call& call, const std::string& name) {
    const auto outpoint = OutPoint::FromString(call.String(name));
    if (!outpoint)
        return RpcFail(RpcCode::kInvalidParameter,
                       name + " must be TXID:INDEX, not '" + call.String(name).substr(0, 80) + "'");
    return *outpoint;
}

RpcResult<TransactionRef> TransactionArg(const Call& call, const std::string& name) {
    const std::string hex = call.String(name);
    const auto bytes = HexDecode(hex);
    if (!bytes) return RpcFail(RpcCode::kInvalidParameter, name + " is not hexadecimal");
    auto tx = MutableTransaction::FromBytes(*bytes);
    if (!tx) return RpcFail(RpcCode::kInvalidParameter, name + " is not a transaction: " + tx.error().message);
    return MakeTransaction(std::move(*tx));
}

Json ScriptJson(const Script& script, const std::string& hrp) {
    Json json{{"hex", HexEncode(script)}};
    const auto parsed = ParseOutputScript(script);
    if (!parsed) {
        json["type"] = "nonstandard";
        return json;
    }
    switch (parsed->kind) {
        case OutputKind::kTaproot:
            json["type"] = "witness_v1_taproot";
            break;
        case OutputKind::kStake:
            json["type"] = "stake";
            json["staker"] = parsed->staker.Hex();
            break;
        case OutputKind::kRecord: {
            json["type"] = "record";
            const auto record = DecodeRecord(parsed->record);
            if (record) json["record"] = RecordJson(*record, hrp);
            return json;
        }
    }
    json["address"] = EncodeAddress(script, hrp);
    return json;
}

namespace {

Json ContentJson(const ContentId& content) { return {{"root", content.root.Hex()}, {"size", content.size_bytes}}; }

Json FieldsOf(const PublishRecord& r, const std::string& hrp) {
    Json json{{"content", ContentJson(r.content)},
              {"title_key", r.title_key.Hex()},
              {"price", AmountJson(r.price)},
              {"sealing_salt", r.sealing_salt.Hex()},
              {"title_salt", r.title_salt.Hex()},
              {"manifest_chunks", r.manifest_chunks},
              {"seller_key", r.seller_key.Hex()},
              {"unseal_key", r.unseal_key.Hex()},
              {"payout", EncodeAddress(r.payout_script, hrp)},
              {"seed_price_per_mib", AmountJson(r.seed_price_per_mib)},
              {"title", r.title},
              {"description", r.description},
              {"mime", r.mime},
              {"file_name", r.file_name},
              {"tags", r.tags},
              {"language", r.language},
              {"endpoints", r.endpoints}};
    if (r.updates) json["updates"] = r.updates->Hex();
    if (r.free_key) json["free_key"] = r.free_key->Hex();
    Json segments = Json::array();
    for (const Segment& s : r.segments)
        segments.push_back({{"first_chunk", s.first_chunk}, {"key", s.key.Hex()}, {"price", AmountJson(s.price)}});
    json["segments"] = segments;
    if (r.preview) json["preview"] = ContentJson(*r.preview);
    if (r.thumbnail) json["thumbnail"] = ContentJson(*r.thumbnail);
    if (r.profile) json["profile"] = r.profile->Hex();
    if (r.previous) json["previous"] = r.previous->ToString();
    for (const BundledTitle& title : r.bundle)
        json["bundle"].push_back({{"claim", title.claim.Hex()}, {"key", title.key.Hex()}});
    return json;
}
Json FieldsOf(const PurchaseRecord& r, const std::string&) {
    return {{"publish", r.publish.ToString()},
            {"tier", r.tier},
            {"buyer_key", r.buyer_key.Hex()},
            {"refund_height", r.refund_height.value}};
}
Json FieldsOf(const GrantRecord& r, const std::string&) {
    Json purchases = Json::array();
    for (const OutPoint& p : r.purchases) purchases.push_back(p.ToString());
    return {{"purchases", purchases}};
}
Json FieldsOf(const ChannelRecord& r, const std::string&) {
    return {
        {"payer_key", r.payer_key.Hex()}, {"payee_key", r.payee_key.Hex()}, {"expiry_height", r.expiry_height.value}};
}
Json FieldsOf(const SettleRecord& r, const std::string&) {
    return {{"served_bytes", r.served_bytes}};  // of the channels that the first inputs spend
}
Json FieldsOf(const RegisterRecord& r, const std::string& hrp) {
    Json json{{"vrf_key", r.vrf_key.Hex()},
              {"signing_key", r.signing_key.Hex()},
              {"commission_permille", r.commission_permille},
              {"payout", EncodeAddress(r.payout_script, hrp)}};
    if (r.updates) json["updates"] = r.updates->Hex();
    return json;
}
Json FieldsOf(const ExitRecord& r, const std::string&) { return {{"staker", r.staker.Hex()}}; }
Json FieldsOf(const EvidenceRecord& r, const std::string&) {
    return {{"first", HeaderJson(r.first, r.first.Hash())}, {"second", HeaderJson(r.second, r.second.Hash())}};
}
Json FieldsOf(const GiftRecord& r, const std::string&) {
    return {{"purchase", r.purchase.ToString()}, {"sealed", r.sealed.Hex()}};
}

}  // namespace

Json RecordJson(const Record& record, const std::string& hrp) {
    Json json = std::visit([&](const auto& typed) { return FieldsOf(typed, hrp); }, record);
    json["type"] = RecordTypeName(record);
    return json;
}

Json TransactionJson(const Transaction& tx, const std::string& hrp) {
    Json inputs = Json::array();
    for (const TxInput& input : tx.inputs()) {
        Json one{{"sequence", input.sequence}};
        if (input.prevout.IsNull()) {
            one["coinbase"] = HexEncode(input.script_sig);
        } else {
            one["txid"] = input.prevout.txid.Hex();
            one["vout"] = input.prevout.index;
            Json witness = Json::array();
            for (const Bytes& item : input.witness) witness.push_back(HexEncode(item));
            one["txinwitness"] = witness;
        }
        inputs.push_back(one);
    }
    Json outputs = Json::array();
    for (size_t i = 0; i < tx.outputs().size(); ++i)
        outputs.push_back({{"value", AmountJson(tx.outputs()[i].value)},
                           {"n", i},
                           {"scriptPubKey", ScriptJson(tx.outputs()[i].script, hrp)}});
    return {{"txid", tx.txid().Hex()},
            {"hash", tx.wtxid().Hex()},
            {"version", tx.tx().version},
            {"size", tx.total_bytes()},
            {"vsize", tx.vsize()},
            {"weight", tx.weight()},
            {"locktime", tx.tx().lock_time},
            {"vin", inputs},
            {"vout", outputs}};
}

Json HeaderJson(const BlockHeader& header, const BlockHash& hash) {
    return {{"hash", hash.Hex()},
            {"version", header.version},
            {"previousblockhash", header.prev.Hex()},
            {"merkleroot", header.tx_root.Hex()},
            {"witnessroot", header.witness_root.Hex()},
            {"slot", header.slot.value},
            {"height", header.height.value},
            {"staker", header.staker.Hex()},
            {"vrf_proof", header.vrf_proof.Hex()},
            {"commitment", header.commitment.Hex()},
            {"signature", header.signature.Hex()}};
}

}  // namespace sluice::rpc
