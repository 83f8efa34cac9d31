#pragma once

#include "primitives/block.h"
#include "primitives/record.h"
#include "rpc/json_rpc.h"

// Values of the chain as JSON and back. Amounts are strings of SLU ("1.25"): exact in every client.

namespace sluice::rpc {

inline Json AmountJson(Amount amount) { return FormatSlu(amount); }
// From a string, or a JSON number of SLU, read exactly. The error names the argument.
RpcResult<Amount> AmountArg(const Call& call, const std::string& name);
RpcResult<OutPoint> OutPointArg(const Call& call, const std::string& name);

template <class HashType>
RpcResult<HashType> HashArg(const Call& call, const std::string& name) {
    const auto hash = HashType::FromHex(call.String(name));
    if (!hash)
        return RpcFail(RpcCode::kInvalidParameter, name + " must be " + std::to_string(2 * HashType::kSize) +
                                                       " hexadecimal digits, not '" + call.String(name).substr(0, 80) +
                                                       "'");
    return *hash;
}
RpcResult<TransactionRef> TransactionArg(const Call& call, const std::string& name);

Json ScriptJson(const Script& script, const std::string& hrp);
Json RecordJson(const Record& record, const std::string& hrp);
Json TransactionJson(const Transaction& tx, const std::string& hrp);
Json HeaderJson(const BlockHeader& header, const BlockHash& hash);

}  // namespace sluice::rpc
