#pragma once

#include <array>
#include <map>

#include "p2p/endpoint.h"
#include "util/clock.h"

namespace sluice::p2p {

// Ports below this belong to services of the system: nobody's node, and a good target for connections of many.
inline constexpr uint16_t kFirstUnprivilegedPort = 1024;

// Whether an address that somebody told us may be dialled: a public one with an unprivileged port; with `allow_local`
// (networks on one machine) also a loopback or private one. What the operator says is no hearsay.
bool IsDialable(const Endpoint& endpoint, bool allow_local);
// A loopback, private, shared or link-local address: of this machine or the local network.
bool IsLocal(const Endpoint& endpoint);

// Connections to addresses that nobody of this program was ever met at, counted over a window: whoever names a victim,
// in however many messages and records, gets at most kPerIp dials of each node to it, and kPerGroup to its range.
// Loopback addresses are not counted: they are nobody else's.
class DialBudget {
  public:
    static constexpr uint32_t kPerIp = 3;      // of IPv6 a /64
    static constexpr uint32_t kPerGroup = 12;  // of IPv4 a /24, of IPv6 a /48
    static constexpr seconds kWindow{3600};
    static constexpr size_t kMaxTracked = 16'384;  // addresses; when so many are counted, no other is dialled

    bool Allows(const Endpoint& endpoint, Instant now);
    void Spend(const Endpoint& endpoint, Instant now);

  private:
    using Key = std::array<uint8_t, 17>;
    struct Count {
        Instant since;
        uint32_t dials{0};
    };
    // The first `bytes` of the address, marked with their number.
    static Key KeyOf(const Endpoint& endpoint, uint8_t bytes);
    static Key IpOf(const Endpoint& endpoint) { return KeyOf(endpoint, endpoint.IsIpv4() ? 16 : 8); }
    static Key GroupOf(const Endpoint& endpoint) { return KeyOf(endpoint, endpoint.IsIpv4() ? 15 : 6); }
    uint32_t DialsOf(const Key& key, Instant now) const;
    void Forget(Instant now);

    std::map<Key, Count> m_counts;
};

}  // namespace sluice::p2p
