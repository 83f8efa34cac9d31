#pragma once

#include <functional>

#include "rpc/convert.h"
#include "rpc/methods.h"

// What the methods about content, sales and payments share.

namespace sluice::rpc {

inline const ArgSpec kClaimArg{"claim", ArgType::kString, true, "id of a claim, or at least its first 6 digits"};

// By id or prefix. On the chain strand.
RpcResult<ClaimId> ClaimArg(node::Node& node, const Call& call);
RpcResult<std::vector<std::string>> TextsArg(const Call& call, const std::string& name);
Json ClaimJson(const node::Node& node, const node::ClaimInfo& info);
Json JobJson(const node::JobInfo& job);
// {job}
RpcResult<Json> Started(const Result<node::JobId>& job);
// Calls `look` now and after every event until its answer satisfies `enough`, or the time is over: then the last
// answer.
RpcResult<Json> WaitFor(node::Node& node, int64_t timeout_ms, const std::function<RpcResult<Json>()>& look,
                        const std::function<bool(const Json&)>& enough);

}  // namespace sluice::rpc
