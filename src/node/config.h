#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "chain/chain_manager.h"
#include "primitives/amount.h"
#include "util/bandwidth.h"
#include "util/log.h"

namespace sluice::node {

// What the operator chose. Command line and sluice.conf are parsed into it by the daemon; nothing here is checked
// against the disk yet.
struct NodeConfig {
    std::string data_dir;                        // -datadir; the chain's files are in its folder <chain>
    std::string chain{"regtest"};                // -chain; of -chain=custom the network's own name
    std::optional<consensus::Genesis> genesis;   // what -genesis=FILE holds; none: the built-in network's
    std::vector<chain::Checkpoint> checkpoints;  // -checkpoint=HASH:HEIGHT: blocks that the chain has to go through
    std::optional<BlockHash> assume_valid;       // -assumevalid: signatures up to this block are not verified again
    std::optional<uint16_t> port;                // -port; 0: any free one; none: the chain's own
    std::optional<uint16_t> rpc_port;            // -rpcport; likewise
    std::vector<std::string> bind;           // -bind: addresses to listen on (127.0.0.1 on regtest if empty, else all)
    bool listen{true};                       // -listen
    std::vector<std::string> connect;        // -connect: only these peers
    std::vector<std::string> add_nodes;      // -addnode: these peers too
    size_t max_peers{125};                   // -maxconnections
    std::vector<std::string> seed_nodes;     // -seednode: whom to ask for addresses when none is left
    bool find_providers{true};               // -findproviders
    size_t max_providers{16};                // -maxproviders
    std::optional<bool> lan;                 // -lan; none: Discovers()
    std::optional<uint16_t> lan_port;        // -lanport; tests
    std::optional<bool> dht;                 // -dht; none: Discovers()
    uint16_t dht_port{0};                    // -dhtport; 0: any free one
    std::vector<std::string> dht_bootstrap;  // -dhtbootstrap; none: the public ones
    std::optional<bool> upnp;                // -upnp; none: Discovers(), if it listens
    LogLevel log_level{LogLevel::kInfo};     // -debug
    bool print_to_console{false};            // -printtoconsole
    size_t db_cache_bytes{64 << 20};         // -dbcache, MiB
    std::optional<uint32_t> regtest_staker;  // -staker=INDEX: regtest's public operator keys
    std::string staker_keys;                 // -stakerkeys: file of hot operator keys; empty: the chain folder's own
    uint64_t content_quota_bytes{uint64_t{1} << 40};  // -contentquota, GiB
    BandwidthLimits bandwidth;                        // -maxupload, -maxuploadperpeer, -maxdownload
    Amount seed_price_per_mib{0};                  // -seedprice: what seeding asks if the publish record gives no hint
    Amount max_price_per_mib{kDropsPerSlu / 100};  // -maxpricepermib: default cap of a download
    std::optional<Amount> min_price_per_mib;       // -minpricepermib: haggling goes no lower; none: not below the ask
    seconds settle_idle{600};                      // -settleafter: unused channels that are worth it are settled
    std::string voucher_backup;                    // -voucherbackup: a copy of the vouchers is kept there
    bool sells{true};                              // -seller: grants what is bought of the titles whose keys are here
    uint64_t grant_fee_per_kvb{1'000};             // -grantfee: drops; the market may ask for more
    uint32_t grant_max_fee_percent{100};           // -grantmaxfee: of the price, beside the buyer's allowance
    std::optional<int64_t> mock_time_s;            // -mocktime: Unix seconds; regtest only
    bool test_no_vouchers{false};                  // -testnovouchers: downloads never pay; regtest only
    size_t worker_threads{0};                      // -par; 0: one for each core
    bool gateway{true};                            // -gateway: serves content to browsers and players on loopback
    uint16_t gateway_port{0};                      // -gatewayport; 0: any free one
    seconds gateway_timeout{60};                   // -gatewaytimeout: that a read waits for the network
    size_t rpc_threads{4};                         // -rpcthreads

    // Whether every address to listen on is a loopback or private one.
    bool ListensLocally() const;
    bool ListensOnLoopback() const;
    // Whether the LAN and the DHT are asked unless the operator says otherwise: not on regtest, with -connect, or with
    // loopback addresses alone.
    bool Discovers() const;
    bool UsesLan() const { return lan.value_or(Discovers()); }
    bool UsesDht() const { return dht.value_or(Discovers()); }
    bool UsesUpnp() const { return upnp.value_or(Discovers() && listen); }
    std::string ChainDir() const { return data_dir + "/" + chain; }
};

}  // namespace sluice::node
