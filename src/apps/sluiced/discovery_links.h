#pragma once

#include <memory>

#include "dht/mainline_dht.h"
#include "node/config.h"
#include "p2p/lan_socket.h"
#include "storage/file_system.h"

namespace sluice::apps {

// What finds other nodes beyond the connections: either may be null. Declared before the node, so that it ends after
// it.
struct DiscoveryLinks {
    std::unique_ptr<p2p::AsioLanSocket> lan;
    std::unique_ptr<dht::MainlineDht> dht;
};

// As the operator chose. What is on by default and fails is left out with a warning; what was asked for is an error.
Result<DiscoveryLinks> OpenDiscoveryLinks(const node::NodeConfig& config, p2p::AsioStrandExecutor& network_strand,
                                          storage::FileSystem& files);

}  // namespace sluice::apps
