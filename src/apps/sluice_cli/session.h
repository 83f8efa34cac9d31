#pragma once

#include "apps/sluice_cli/rpc_client.h"

namespace sluice::apps {

// What a running command works with: its node and where it prints. Results go to stdout, progress and hints to stderr.
class Session {
  public:
    Session(RpcClient client, bool json) : m_client(std::move(client)), m_json(json) {}

    bool json() const { return m_json; }
    CliResult<rpc::Json> Call(const std::string& method, const rpc::Json& params = rpc::Json::array()) const {
        return m_client.Call(method, params);
    }

    // Prints `result` as JSON if -json was given, else `text`.
    void Show(const rpc::Json& result, const std::string& text) const;
    // A line on stderr, unless -json was given.
    void Hint(const std::string& line) const;

    // Watches a job until it ends, showing its progress: one line that is redrawn on a terminal, else a line for every
    // tenth part. The ended job; a failed one is an error with its reason.
    CliResult<rpc::Json> WaitForJob(const rpc::Json& started) const;
    // Waits until every one of `txids` (an array of strings) is in a block.
    CliResult<void> WaitForConfirmations(const rpc::Json& txids) const;
    // Waits until a purchase is granted; the last answer of waitpurchase. Refunded or failed: an error.
    CliResult<rpc::Json> WaitForGrant(const rpc::Json& purchase) const;

  private:
    // Calls a method that waits; if the node has too many calls that wait, `otherwise` instead, which does not, after a
    // pause.
    CliResult<rpc::Json> CallWaiting(const std::string& method, const rpc::Json& params, const std::string& otherwise,
                                     const rpc::Json& its_params) const;

    RpcClient m_client;
    bool m_json;
};

}  // namespace sluice::apps
