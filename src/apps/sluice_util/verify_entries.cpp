#include "apps/sluice_util/verify_entries.h"

#include <nlohmann/json.hpp>

#include "consensus/interpreter.h"
#include "crypto/secp256k1.h"
#include "crypto/vrf.h"
#include "primitives/script.h"

namespace sluice::apps {
namespace {

using Json = nlohmann::ordered_json;

Result<Json> Parse(const JsonEntry& entry) {
    if (!entry.error.empty()) return Fail(entry.error);
    Json json = Json::parse(entry.text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return Fail("the line is not valid JSON");
    return json;
}

Result<Bytes> HexValue(const Json& value, const std::string& name) {
    if (!value.is_string()) return Fail(name + " is not a string of hexadecimal digits");
    auto bytes = HexDecode(value.get_ref<const std::string&>());
    if (!bytes) return Fail(name + " is not an even number of hexadecimal digits");
    return std::move(*bytes);
}

Result<Bytes> HexField(const Json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end()) return Fail(std::string(name) + " is missing");
    return HexValue(*found, name);
}

std::string Invalid(const Error& error) { return Json{{"valid", false}, {"error", error.message}}.dump(); }
std::string Validity(bool valid) { return Json{{"valid", valid}}.dump(); }

struct VrfQuestion {
    Bytes public_key, alpha, pi;
};

Result<VrfQuestion> ParseVrf(const JsonEntry& entry) {
    VrfQuestion question;
    ASSIGN_OR_RETURN(const Json json, Parse(entry));
    ASSIGN_OR_RETURN(question.public_key, HexField(json, "public_key"));
    ASSIGN_OR_RETURN(question.alpha, HexField(json, "alpha"));
    ASSIGN_OR_RETURN(question.pi, HexField(json, "pi"));
    return question;
}

struct SchnorrQuestion {
    Bytes public_key, message, signature;
};

Result<SchnorrQuestion> ParseSchnorr(const JsonEntry& entry) {
    SchnorrQuestion question;
    ASSIGN_OR_RETURN(const Json json, Parse(entry));
    ASSIGN_OR_RETURN(question.public_key, HexField(json, "public_key"));
    ASSIGN_OR_RETURN(question.message, HexField(json, "message"));
    ASSIGN_OR_RETURN(question.signature, HexField(json, "signature"));
    return question;
}

// One way to satisfy the input, and whether it does.
struct Spend {
    Script script_sig;
    WitnessStack witness;
};

Result<std::optional<Spend>> ParseSpend(const Json& json, const char* name) {
    const auto found = json.find(name);
    if (found == json.end() || found->is_null()) return std::optional<Spend>();
    if (!found->is_object()) return Fail(std::string(name) + " is not an object");
    Spend spend;
    ASSIGN_OR_RETURN(spend.script_sig, HexField(*found, "scriptSig"));
    const auto witness = found->find("witness");
    if (witness == found->end() || !witness->is_array()) return Fail(std::string(name) + ".witness is not an array");
    for (const Json& item : *witness) {
        ASSIGN_OR_RETURN(Bytes bytes, HexValue(item, std::string(name) + ".witness"));
        spend.witness.push_back(std::move(bytes));
    }
    return std::optional(std::move(spend));
}

struct InputQuestion {
    MutableTransaction tx;
    std::vector<TxOutput> spent;
    size_t index{0};
    consensus::ScriptFlags flags;
    std::optional<Spend> success, failure;
};

bool HasFlag(std::string_view flags, std::string_view flag) {
    while (!flags.empty()) {
        const size_t comma = std::min(flags.find(','), flags.size());
        if (flags.substr(0, comma) == flag) return true;
        flags.remove_prefix(std::min(comma + 1, flags.size()));
    }
    return false;
}

bool IsTaproot(const Script& script) {
    const auto output = ParseOutputScript(script);
    return output && output->kind == OutputKind::kTaproot;
}

Result<std::vector<TxOutput>> ParsePrevouts(const Json& json) {
    const auto prevouts = json.find("prevouts");
    if (prevouts == json.end() || !prevouts->is_array()) return Fail("prevouts is not an array");
    std::vector<TxOutput> spent;
    for (const Json& prevout : *prevouts) {
        ASSIGN_OR_RETURN(const Bytes bytes, HexValue(prevout, "prevouts"));
        auto output = Decode<TxOutput>(bytes);
        if (!output) return Fail("prevouts has an output that cannot be decoded: " + output.error().message);
        spent.push_back(std::move(*output));
    }
    return spent;
}

// nullopt if the entry is not about taproot.
Result<std::optional<InputQuestion>> ParseInput(const JsonEntry& entry) {
    ASSIGN_OR_RETURN(const Json json, Parse(entry));
    const auto flags = json.find("flags");
    if (flags == json.end() || !flags->is_string()) return Fail("flags is not a string");
    const std::string& flag_names = flags->get_ref<const std::string&>();
    if (!HasFlag(flag_names, "TAPROOT")) return std::optional<InputQuestion>();

    InputQuestion question;
    question.flags.check_lock_time_verify = HasFlag(flag_names, "CHECKLOCKTIMEVERIFY");
    question.flags.check_sequence_verify = HasFlag(flag_names, "CHECKSEQUENCEVERIFY");
    ASSIGN_OR_RETURN(question.spent, ParsePrevouts(json));
    const auto index = json.find("index");
    if (index == json.end() || !index->is_number_unsigned()) return Fail("index is not a number from 0");
    if (index->get<uint64_t>() >= question.spent.size()) return Fail("index is not that of an output in prevouts");
    question.index = index->get<size_t>();
    if (!IsTaproot(question.spent[question.index].script)) return std::optional<InputQuestion>();

    ASSIGN_OR_RETURN(const Bytes tx_bytes, HexField(json, "tx"));
    auto tx = MutableTransaction::FromBytes(tx_bytes);
    if (!tx) return Fail("tx cannot be decoded: " + tx.error().message);
    question.tx = std::move(*tx);
    if (question.tx.inputs.size() != question.spent.size())
        return Fail("prevouts has not one output for each input of tx");
    ASSIGN_OR_RETURN(question.success, ParseSpend(json, "success"));
    ASSIGN_OR_RETURN(question.failure, ParseSpend(json, "failure"));
    if (!question.success && !question.failure) return Fail("success and failure are both missing");
    return std::optional(std::move(question));
}

// Whether `spend` satisfies the input; null without one.
Json Verify(std::optional<Spend>& spend, MutableTransaction& tx, const consensus::SpendingTransaction& spending,
            const InputQuestion& question) {
    if (!spend) return nullptr;
    tx.inputs[question.index].script_sig = std::move(spend->script_sig);
    tx.inputs[question.index].witness = std::move(spend->witness);
    return consensus::VerifyInput(spending, question.index, question.flags).has_value();
}

InputAnswer Answer(uint64_t line, const char* verdict, const Json& success, const Json& failure,
                   const std::string& error = {}) {
    Json json{{"line", line}, {"verdict", verdict}, {"success_valid", success}, {"failure_valid", failure}};
    if (!error.empty()) json["error"] = error;
    return {json.dump(), std::string_view(verdict) == "mismatch"};
}

}  // namespace

std::string AnswerVrf(const JsonEntry& entry) {
    const auto question = ParseVrf(entry);
    if (!question) return Invalid(question.error());
    const auto key = crypto::VrfPublicKey::FromBytes(question->public_key);
    const auto proof = crypto::VrfProof::FromBytes(question->pi);
    if (!key) return Invalid(Error{ErrorKind::kInvalid, "public_key is not 32 bytes"});
    if (!proof) return Invalid(Error{ErrorKind::kInvalid, "pi is not 80 bytes"});
    const auto beta = crypto::VrfVerify(*key, question->alpha, *proof);
    return beta ? Json{{"valid", true}, {"beta", beta->Hex()}}.dump() : Validity(false);
}

std::string AnswerSchnorr(const JsonEntry& entry) {
    const auto question = ParseSchnorr(entry);
    if (!question) return Invalid(question.error());
    const auto key = XOnlyPubKey::FromBytes(question->public_key);
    const auto signature = SchnorrSignature::FromBytes(question->signature);
    if (!key) return Invalid(Error{ErrorKind::kInvalid, "public_key is not 32 bytes"});
    if (!signature) return Invalid(Error{ErrorKind::kInvalid, "signature is not 64 bytes"});
    return Validity(crypto::VerifySchnorrMessage(*key, question->message, *signature));
}

InputAnswer AnswerInput(const JsonEntry& entry) {
    auto parsed = ParseInput(entry);
    if (!parsed) return Answer(entry.line, "mismatch", nullptr, nullptr, parsed.error().message);
    if (!*parsed) return Answer(entry.line, "skipped", nullptr, nullptr);
    InputQuestion& question = **parsed;
    // The hashes that the inputs share do not cover what the spends change.
    const consensus::SpendingTransaction spending(question.tx, question.spent);
    const Json success = Verify(question.success, question.tx, spending, question);
    const Json failure = Verify(question.failure, question.tx, spending, question);
    const bool ok = success != Json(false) && failure != Json(true);
    return Answer(entry.line, ok ? "ok" : "mismatch", success, failure);
}

}  // namespace sluice::apps
