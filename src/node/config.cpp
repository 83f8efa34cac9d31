#include "node/config.h"

#include <algorithm>

#include "p2p/dial_budget.h"

namespace sluice::node {
namespace {

template <class Test>
bool AllBound(const NodeConfig& config, const Test& test) {
    if (config.bind.empty()) return config.chain == "regtest";
    return std::all_of(config.bind.begin(), config.bind.end(), [&](const std::string& text) {
        const auto endpoint = p2p::ParseEndpoint(text, 0);
        return endpoint && test(*endpoint);
    });
}

}  // namespace

bool NodeConfig::ListensLocally() const { return chain != "main" && chain != "test" && AllBound(*this, p2p::IsLocal); }

bool NodeConfig::ListensOnLoopback() const {
    return AllBound(*this, [](const p2p::Endpoint& endpoint) { return endpoint.IsLoopback(); });
}

bool NodeConfig::Discovers() const { return chain != "regtest" && connect.empty() && !ListensOnLoopback(); }

}  // namespace sluice::node
