#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "util/result.h"

namespace sluice::rpc {

using Json = nlohmann::json;

// Error codes of JSON-RPC 2.0 and of Bitcoin Core's RPC.
enum class RpcCode : int {
    kParseError = -32700,
    kInvalidRequest = -32600,
    kMethodNotFound = -32601,
    kInvalidParams = -32602,
    kMisc = -1,
    kWallet = -4,
    kNotFound = -5,
    kInsufficientFunds = -6,
    kInvalidParameter = -8,
    kWalletMissing = -18,
    kVerifyRejected = -26,
    kWarmingUp = -28,
    kUnavailable = -10,
    kEnvironment = -7,
};

struct RpcError {
    RpcCode code{RpcCode::kMisc};
    std::string message;
};

template <class T>
using RpcResult = Result<T, RpcError>;

inline tl::unexpected<RpcError> RpcFail(RpcCode code, std::string message) {
    return tl::unexpected<RpcError>(RpcError{code, std::move(message)});
}
// The error of the node as an error of the interface, its code by its kind.
tl::unexpected<RpcError> RpcFail(const Error& error);

// One argument of a method.
enum class ArgType { kString, kNumber, kBool, kAmount, kHash, kObject, kArray, kAny };
struct ArgSpec {
    std::string name;
    ArgType type{ArgType::kString};
    bool required{true};
    std::string description;  // for an optional one, also what its default is
};

// The checked arguments of a call, by name. Getters' preconditions: the argument has that type (it was checked against
// the method's spec); Has tells whether an optional one was given.
class Call {
  public:
    Call(std::string method, Json arguments) : m_method(std::move(method)), m_arguments(std::move(arguments)) {}
    const std::string& method() const { return m_method; }
    bool Has(const std::string& name) const { return m_arguments.contains(name); }
    const Json& Get(const std::string& name) const { return m_arguments.at(name); }
    std::string String(const std::string& name, std::string otherwise = {}) const;
    bool Bool(const std::string& name, bool otherwise) const;
    // A whole number in [least, most].
    RpcResult<int64_t> Integer(const std::string& name, int64_t otherwise, int64_t least, int64_t most) const;

  private:
    std::string m_method;
    Json m_arguments;  // object
};

struct Method {
    std::string name;
    std::string category;  // "blockchain", "mempool", "network", "wallet", "content", "staking", "control"
    std::string summary;   // one line
    std::vector<ArgSpec> args;
    std::string result;  // what it returns, for people
    std::function<RpcResult<Json>(const Call&)> handler;
    bool waits{false};   // may block for long: runs beside the ordinary RPC threads
    bool hidden{false};  // for tests: works, and is listed only by `help hidden`
};

// The methods of the node and how requests become calls: JSON-RPC 2.0 and the 1.0 style of Bitcoin Core, single or
// batch, arguments by position or by name. Filled before the server starts, then only read. Thread-safe as the handlers
// are.
class MethodTable {
  public:
    static constexpr size_t kMaxBatch = 100;
    static constexpr size_t kMaxNesting = 64;

    MethodTable();  // has `help` and `getmethods`
    MethodTable(const MethodTable&) = delete;
    void Add(Method method);
    const Method* Find(const std::string& name) const;

    // The answer to one HTTP body; empty for notifications alone. `status` is the HTTP status that Bitcoin Core would
    // give.
    struct Answer {
        std::string body;
        int status{200};
    };
    Answer Handle(const std::string& body) const;
    // Calls a method with `params`: an array, an object, or null.
    RpcResult<Json> Execute(const std::string& name, const Json& params) const;
    // True if the body asks for a method that may wait.
    bool Waits(const std::string& body) const;

    std::string Help() const { return ListMethods(false); }
    RpcResult<std::string> Help(const std::string& name) const;

  private:
    std::string ListMethods(bool hidden) const;
    Json HandleOne(const Json& request, bool& answered, int& status) const;
    RpcResult<Json> BindArguments(const Method& method, const Json& params) const;

    std::map<std::string, Method> m_methods;
};

}  // namespace sluice::rpc
