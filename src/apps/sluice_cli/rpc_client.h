#pragma once

#include "apps/sluice_cli/command_line.h"

namespace sluice::apps {

// Calls methods of one node; each call has its own connection.
class RpcClient {
  public:
    explicit RpcClient(RpcTarget target) : m_target(std::move(target)) {}

    // The method's result. An error that the node answered with has the status of bitcoin-cli: the code's absolute
    // value, cut to a byte.
    CliResult<rpc::Json> Call(const std::string& method, const rpc::Json& params) const;

  private:
    CliResult<std::string> Post(const std::string& body) const;

    RpcTarget m_target;
};

// The result in a JSON-RPC answer, or its error.
CliResult<rpc::Json> ReadAnswer(const std::string& body);

}  // namespace sluice::apps
