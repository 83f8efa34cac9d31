#pragma once

#include <memory>
#include <string>
#include <vector>

#include "p2p/dht_node.h"
#include "util/executor.h"
#include "util/result.h"

namespace sluice::dht {

struct MainlineOptions {
    // IP addresses to bind; empty: all. With loopback addresses alone the rules that keep private addresses out of the
    // table are off: tables for tests.
    std::vector<std::string> bind;
    uint16_t port{0};                    // UDP; 0: any free one
    std::vector<std::string> bootstrap;  // HOST:PORT; empty: none but those in `state`
    bool join{true};                     // false: only map ports
    bool map_ports{false};               // by UPnP and NAT-PMP
    Bytes state;                         // of SaveState, of an earlier run; may be empty or damaged
};

// BitTorrent's mainline DHT (BEP 5) and port mapping by libtorrent-rasterbar. No torrents: the session has none,
// listens to no peers, and only its DHT speaks. The library has threads of its own; what they find is posted to
// `strand`.
//
// Destroying it waits until the library's threads have ended. Calls belong to `strand`.
class MainlineDht final : public p2p::DhtNode {
  public:
    // HOST:PORT of the nodes through which a first start joins the public table.
    static std::vector<std::string> PublicBootstrap();

    // An error if an option is not a host and a port.
    static Result<std::unique_ptr<MainlineDht>> Start(Executor& strand, const MainlineOptions& options);
    ~MainlineDht() override;
    void SetEvents(p2p::DhtEvents& events) override;
    void Announce(const p2p::DhtKey& key, uint16_t port) override;
    void Find(const p2p::DhtKey& key) override;
    void MapPort(uint16_t port) override;
    p2p::DhtState State() const override;
    uint16_t mapped_port() const override;
    Bytes SaveState() const override;

  private:
    struct Impl;
    explicit MainlineDht(std::shared_ptr<Impl> impl) : m_impl(std::move(impl)) {}
    std::shared_ptr<Impl> m_impl;
};

}  // namespace sluice::dht
