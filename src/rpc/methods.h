#pragma once

#include "node/node.h"
#include "rpc/json_rpc.h"

namespace sluice::rpc {

// Each adds one category's methods; `node` outlives the table.
void AddBlockchainMethods(MethodTable& table, node::Node& node);
void AddMempoolMethods(MethodTable& table, node::Node& node);
void AddNetworkMethods(MethodTable& table, node::Node& node);
void AddBandwidthMethods(MethodTable& table, node::Node& node);
void AddControlMethods(MethodTable& table, node::Node& node);
void AddWalletMethods(MethodTable& table, node::Node& node);
void AddStakeMethods(MethodTable& table, node::Node& node);
void AddContentMethods(MethodTable& table, node::Node& node);
void AddLibraryMethods(MethodTable& table, node::Node& node);
void AddFetchMethods(MethodTable& table, node::Node& node);
void AddSaleMethods(MethodTable& table, node::Node& node);
// Gifts, bundles, tips and fraud proofs; called by AddSaleMethods.
void AddGiftMethods(MethodTable& table, node::Node& node);
void AddPaymentMethods(MethodTable& table, node::Node& node);
void AddStakingMethods(MethodTable& table, node::Node& node);
void AddAllMethods(MethodTable& table, node::Node& node);

// Runs `task` (returning RpcResult<Json>) on the chain strand and waits.
template <class Task>
RpcResult<Json> OnChain(node::Node& node, Task task) {
    auto answer = node.CallChain([&]() -> Result<RpcResult<Json>> { return task(); });
    if (!answer) return RpcFail(answer.error());
    return std::move(*answer);
}
// The same on the network strand.
template <class Task>
RpcResult<Json> OnNetwork(node::Node& node, Task task) {
    auto answer = node.CallNetwork([&]() -> Result<RpcResult<Json>> { return task(); });
    if (!answer) return RpcFail(answer.error());
    return std::move(*answer);
}

}  // namespace sluice::rpc
