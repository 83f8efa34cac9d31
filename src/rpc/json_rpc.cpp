#include "rpc/json_rpc.h"

#include <fmt/format.h>

#include <algorithm>

#include "util/check.h"
#include "util/log.h"

namespace sluice::rpc {
namespace {

const char* TypeName(ArgType type) {
    switch (type) {
        case ArgType::kString:
            return "string";
        case ArgType::kNumber:
            return "number";
        case ArgType::kBool:
            return "boolean";
        case ArgType::kAmount:
            return "amount";
        case ArgType::kHash:
            return "hex string";
        case ArgType::kObject:
            return "object";
        case ArgType::kArray:
            return "array";
        case ArgType::kAny:
            return "any";
    }
    return "any";
}

bool HasType(const Json& value, ArgType type) {
    switch (type) {
        case ArgType::kString:
        case ArgType::kHash:
            return value.is_string();
        case ArgType::kNumber:
            return value.is_number_integer();
        case ArgType::kBool:
            return value.is_boolean();
        case ArgType::kAmount:
            return value.is_string() || value.is_number();
        case ArgType::kObject:
            return value.is_object();
        case ArgType::kArray:
            return value.is_array();
        case ArgType::kAny:
            return true;
    }
    return false;
}

std::string Usage(const Method& method) {
    std::string usage = method.name;
    for (const ArgSpec& arg : method.args) usage += arg.required ? " " + arg.name : " ( " + arg.name + " )";
    return usage;
}

// The JSON of `body`; discarded if it is none, or nested deeper than kMaxNesting. Rationale: values are copied and
// written by recursion.
Json ParseBounded(const std::string& body) {
    bool in_string = false;
    size_t depth = 0;
    for (size_t i = 0; i < body.size(); ++i) {
        const char c = body[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > MethodTable::kMaxNesting) return Json(Json::value_t::discarded);
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return Json::parse(body, nullptr, false);
}

Json ErrorJson(const RpcError& error) { return {{"code", static_cast<int>(error.code)}, {"message", error.message}}; }

int HttpStatus(RpcCode code) {
    if (code == RpcCode::kInvalidRequest) return 400;
    if (code == RpcCode::kMethodNotFound) return 404;
    return 500;
}

}  // namespace

tl::unexpected<RpcError> RpcFail(const Error& error) {
    switch (error.kind) {
        case ErrorKind::kInvalid:
            return RpcFail(RpcCode::kInvalidParameter, error.message);
        case ErrorKind::kNotFound:
            return RpcFail(RpcCode::kNotFound, error.message);
        case ErrorKind::kFunds:
            return RpcFail(RpcCode::kInsufficientFunds, error.message);
        case ErrorKind::kNoKey:
        case ErrorKind::kUnavailable:
        case ErrorKind::kTimeout:
            return RpcFail(RpcCode::kUnavailable, error.message);
        case ErrorKind::kEnvironment:
            return RpcFail(RpcCode::kEnvironment, error.message);
    }
    return RpcFail(RpcCode::kMisc, error.message);
}

std::string Call::String(const std::string& name, std::string otherwise) const {
    return Has(name) ? Get(name).get<std::string>() : std::move(otherwise);
}

bool Call::Bool(const std::string& name, bool otherwise) const { return Has(name) ? Get(name).get<bool>() : otherwise; }

RpcResult<int64_t> Call::Integer(const std::string& name, int64_t otherwise, int64_t least, int64_t most) const {
    if (!Has(name)) return otherwise;
    const Json& value = Get(name);
    const bool too_large = value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
    if (too_large || value.get<int64_t>() < least || value.get<int64_t>() > most)
        return RpcFail(RpcCode::kInvalidParameter,
                       fmt::format("{} is {}: give a number from {} to {}", name, value.dump(), least, most));
    return value.get<int64_t>();
}

MethodTable::MethodTable() {
    Add({"help",
         "control",
         "Lists all methods, or explains one.",
         {{"method", ArgType::kString, false, "the method to explain; without it all are listed"}},
         "text",
         [this](const Call& call) -> RpcResult<Json> {
             if (!call.Has("method")) return Json(Help());
             ASSIGN_OR_RETURN(std::string text, Help(call.String("method")));
             return Json(std::move(text));
         }});
    Add({"getmethods",
         "control",
         "Describes every method that help lists and its arguments, for clients.",
         {},
         "object by method name",
         [this](const Call&) -> RpcResult<Json> {
             Json result = Json::object();
             for (const auto& [name, method] : m_methods) {
                 if (method.hidden) continue;
                 Json args = Json::array();
                 for (const ArgSpec& arg : method.args)
                     args.push_back({{"name", arg.name},
                                     {"type", TypeName(arg.type)},
                                     {"required", arg.required},
                                     {"description", arg.description}});
                 result[name] = {{"category", method.category},
                                 {"summary", method.summary},
                                 {"args", args},
                                 {"result", method.result}};
             }
             return result;
         }});
}

void MethodTable::Add(Method method) {
    std::string name = method.name;
    const bool added = m_methods.emplace(std::move(name), std::move(method)).second;
    CHECK(added);
}

const Method* MethodTable::Find(const std::string& name) const {
    const auto found = m_methods.find(name);
    return found == m_methods.end() ? nullptr : &found->second;
}

RpcResult<Json> MethodTable::BindArguments(const Method& method, const Json& params) const {
    Json bound = Json::object();
    if (params.is_array()) {
        if (params.size() > method.args.size())
            return RpcFail(RpcCode::kInvalidParams, fmt::format("{} takes at most {} arguments: {}", method.name,
                                                                method.args.size(), Usage(method)));
        for (size_t i = 0; i < params.size(); ++i)
            if (!params[i].is_null()) bound[method.args[i].name] = params[i];
    } else if (params.is_object()) {
        for (const auto& [name, value] : params.items()) {
            const bool known = std::any_of(method.args.begin(), method.args.end(),
                                           [&](const ArgSpec& arg) { return arg.name == name; });
            if (!known)
                return RpcFail(RpcCode::kInvalidParams, fmt::format("{} has no argument '{}': {}", method.name,
                                                                    name.substr(0, 64), Usage(method)));
            if (!value.is_null()) bound[name] = value;
        }
    } else if (!params.is_null()) {
        return RpcFail(RpcCode::kInvalidRequest, "params must be an array or an object");
    }
    for (const ArgSpec& arg : method.args) {
        if (!bound.contains(arg.name)) {
            if (arg.required)
                return RpcFail(RpcCode::kInvalidParams,
                               fmt::format("{} is missing ({}): {}", arg.name, arg.description, Usage(method)));
            continue;
        }
        if (arg.type == ArgType::kNumber && bound[arg.name].is_number_float())
            return RpcFail(RpcCode::kInvalidParameter,
                           fmt::format("{} must be of type number ({}), a whole one, not {}", arg.name, arg.description,
                                       bound[arg.name].dump()));
        if (!HasType(bound[arg.name], arg.type))
            return RpcFail(RpcCode::kInvalidParameter,
                           fmt::format("{} must be of type {} ({}), not {}", arg.name, TypeName(arg.type),
                                       arg.description, bound[arg.name].type_name()));
    }
    return bound;
}

RpcResult<Json> MethodTable::Execute(const std::string& name, const Json& params) const {
    const Method* method = Find(name);
    if (!method)
        return RpcFail(RpcCode::kMethodNotFound,
                       fmt::format("the method '{}' does not exist: see help", name.substr(0, 64)));
    ASSIGN_OR_RETURN(Json bound, BindArguments(*method, params));
    return method->handler(Call(name, std::move(bound)));
}

Json MethodTable::HandleOne(const Json& request, bool& answered, int& status) const {
    const bool version2 = request.is_object() && request.contains("jsonrpc") && request["jsonrpc"] == "2.0";
    const Json id = request.is_object() && request.contains("id") ? request["id"] : Json();
    answered = !version2 || (request.is_object() && request.contains("id"));
    RpcResult<Json> result = [&]() -> RpcResult<Json> {
        if (!request.is_object()) return RpcFail(RpcCode::kInvalidRequest, "a request must be an object");
        if (!id.is_null() && !id.is_string() && !id.is_number())
            return RpcFail(RpcCode::kInvalidRequest, "id must be a string, a number or null");
        if (!request.contains("method") || !request["method"].is_string())
            return RpcFail(RpcCode::kInvalidRequest, "method must be a string");
        try {
            return Execute(request["method"].get<std::string>(),
                           request.contains("params") ? request["params"] : Json());
        } catch (const std::exception& error) {
            LogError("rpc", "{}: {}", request["method"].get<std::string>(), error.what());
            return RpcFail(RpcCode::kMisc, std::string("internal error: ") + error.what());
        }
    }();
    if (!result && !request.is_object()) answered = true;
    status = result || version2 ? 200 : HttpStatus(result.error().code);
    Json answer;
    if (version2) answer["jsonrpc"] = "2.0";
    if (result) {
        answer["result"] = std::move(*result);
        if (!version2) answer["error"] = nullptr;
    } else {
        if (!version2) answer["result"] = nullptr;
        answer["error"] = ErrorJson(result.error());
    }
    answer["id"] = id.is_structured() || id.is_boolean() ? Json() : id;
    return answer;
}

MethodTable::Answer MethodTable::Handle(const std::string& body) const {
    const Json request = ParseBounded(body);
    const auto fail = [](RpcCode code, const std::string& message) {
        return Answer{Json{{"jsonrpc", "2.0"}, {"error", ErrorJson({code, message})}, {"id", nullptr}}.dump() + "\n",
                      500};
    };
    if (request.is_discarded())
        return fail(RpcCode::kParseError,
                    fmt::format("the request is not valid JSON, or nested deeper than {}", kMaxNesting));
    const auto text = [](const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; };
    if (!request.is_array()) {
        bool answered = true;
        Answer answer;
        const Json result = HandleOne(request, answered, answer.status);
        if (answered)
            answer.body = text(result);
        else
            answer.status = 204;
        return answer;
    }
    if (request.empty() || request.size() > kMaxBatch)
        return fail(RpcCode::kInvalidRequest, fmt::format("a batch has 1 to {} requests", kMaxBatch));
    Json results = Json::array();
    for (const Json& one : request) {
        bool answered = true;
        int status = 200;
        Json result = HandleOne(one, answered, status);
        if (answered) results.push_back(std::move(result));
    }
    return results.empty() ? Answer{"", 204} : Answer{text(results), 200};
}

bool MethodTable::Waits(const std::string& body) const {
    const Json request = ParseBounded(body);
    const auto waits = [&](const Json& one) {
        if (!one.is_object() || !one.contains("method") || !one["method"].is_string()) return false;
        const Method* method = Find(one["method"].get<std::string>());
        return method && method->waits;
    };
    return request.is_array() ? std::any_of(request.begin(), request.end(), waits) : waits(request);
}

std::string MethodTable::ListMethods(bool hidden) const {
    std::map<std::string, std::vector<const Method*>> categories;
    for (const auto& [name, method] : m_methods)
        if (method.hidden == hidden) categories[method.category].push_back(&method);
    std::string text;
    for (const auto& [category, methods] : categories) {
        text += (text.empty() ? "== " : "\n== ") + category + " ==\n";
        for (const Method* method : methods) text += fmt::format("{:<52} {}\n", Usage(*method), method->summary);
    }
    return text;
}

RpcResult<std::string> MethodTable::Help(const std::string& name) const {
    if (name == "hidden") return ListMethods(true);
    const Method* method = Find(name);
    if (!method)
        return RpcFail(RpcCode::kMethodNotFound,
                       fmt::format("the method '{}' does not exist: see help", name.substr(0, 64)));
    std::string text = Usage(*method) + "\n\n" + method->summary + "\n";
    if (!method->args.empty()) text += "\nArguments:\n";
    for (size_t i = 0; i < method->args.size(); ++i) {
        const ArgSpec& arg = method->args[i];
        text += fmt::format("{}. {} ({}, {}) {}\n", i + 1, arg.name, TypeName(arg.type),
                            arg.required ? "required" : "optional", arg.description);
    }
    return text + "\nResult:\n" + method->result + "\n";
}

}  // namespace sluice::rpc
