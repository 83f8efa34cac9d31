#include "apps/sluiced/discovery_links.h"

#include "util/log.h"

namespace sluice::apps {
namespace {

// The addresses of -bind without their ports; none: all.
std::vector<std::string> BoundIps(const node::NodeConfig& config) {
    if (config.bind.empty() && config.ListensOnLoopback()) return {"127.0.0.1"};
    std::vector<std::string> ips;
    for (const std::string& text : config.bind) {
        const auto endpoint = p2p::ParseEndpoint(text, 0);
        if (endpoint && !endpoint->IsUnspecified()) ips.push_back(endpoint->Ip());
    }
    return ips;
}

Result<std::unique_ptr<p2p::AsioLanSocket>> OpenLan(const node::NodeConfig& config, p2p::AsioStrandExecutor& strand) {
    p2p::LanOptions options;
    for (const std::string& ip : BoundIps(config))
        if (options.interface_ip.empty() && ip.find(':') == std::string::npos) options.interface_ip = ip;
    options.port = config.lan_port.value_or(options.port);
    return p2p::AsioLanSocket::Open(strand, options);
}

Result<std::unique_ptr<dht::MainlineDht>> OpenDht(const node::NodeConfig& config, p2p::AsioStrandExecutor& strand,
                                                  storage::FileSystem& files) {
    dht::MainlineOptions options;
    options.bind = BoundIps(config);
    options.port = config.dht_port;
    options.join = config.UsesDht();
    options.map_ports = config.UsesUpnp();
    options.bootstrap = config.dht_bootstrap;
    if (options.join && options.bootstrap.empty() && !config.ListensOnLoopback())
        options.bootstrap = dht::MainlineDht::PublicBootstrap();
    const std::string saved = config.ChainDir() + "/dht.dat";
    if (options.join && files.Exists(saved)) {
        auto state = storage::ReadWholeFile(files, saved, p2p::DhtNode::kMaxStateBytes);
        if (state) options.state = std::move(*state);
    }
    return dht::MainlineDht::Start(strand, options);
}

}  // namespace

Result<DiscoveryLinks> OpenDiscoveryLinks(const node::NodeConfig& config, p2p::AsioStrandExecutor& network_strand,
                                          storage::FileSystem& files) {
    DiscoveryLinks links;
    if (config.UsesLan()) {
        auto lan = OpenLan(config, network_strand);
        if (!lan && config.lan) return Fail(lan.error());
        if (!lan) LogWarning("net", "{}", lan.error().message);
        if (lan) links.lan = std::move(*lan);
    }
    if (config.UsesDht() || config.UsesUpnp()) {
        auto dht = OpenDht(config, network_strand, files);
        if (!dht && (config.dht || config.upnp)) return Fail(dht.error());
        if (!dht) LogWarning("net", "{}", dht.error().message);
        if (dht) links.dht = std::move(*dht);
    }
    return links;
}

}  // namespace sluice::apps
