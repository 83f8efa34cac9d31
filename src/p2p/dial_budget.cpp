#include "p2p/dial_budget.h"

namespace sluice::p2p {
namespace {

// Private, shared and link-local ranges: of IPv4 10/8, 172.16/12, 192.168/16, 100.64/10 and 169.254/16, of IPv6
// fc00::/7 and fe80::/10.
bool IsPrivate(const Endpoint& endpoint) {
    const uint8_t* ip = endpoint.ip.data();
    if (!endpoint.IsIpv4()) return (ip[0] & 0xfe) == 0xfc || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80);
    ip += 12;
    return ip[0] == 10 || (ip[0] == 172 && ip[1] >= 16 && ip[1] < 32) || (ip[0] == 192 && ip[1] == 168) ||
           (ip[0] == 100 && ip[1] >= 64 && ip[1] < 128) || (ip[0] == 169 && ip[1] == 254);
}

}  // namespace

bool IsDialable(const Endpoint& endpoint, bool allow_local) {
    if (endpoint.port < kFirstUnprivilegedPort) return false;
    return endpoint.IsRoutable() || (allow_local && IsLocal(endpoint));
}

bool IsLocal(const Endpoint& endpoint) { return endpoint.IsLoopback() || IsPrivate(endpoint); }

DialBudget::Key DialBudget::KeyOf(const Endpoint& endpoint, uint8_t bytes) {
    Key key{};
    std::copy(endpoint.ip.begin(), endpoint.ip.begin() + bytes, key.begin());
    key[16] = bytes;
    return key;
}

uint32_t DialBudget::DialsOf(const Key& key, Instant now) const {
    const auto found = m_counts.find(key);
    return found == m_counts.end() || now >= found->second.since + kWindow ? 0 : found->second.dials;
}

bool DialBudget::Allows(const Endpoint& endpoint, Instant now) {
    if (endpoint.IsLoopback()) return true;
    if (m_counts.size() + 2 > kMaxTracked) Forget(now);
    if (m_counts.size() + 2 > kMaxTracked) return false;
    return DialsOf(IpOf(endpoint), now) < kPerIp && DialsOf(GroupOf(endpoint), now) < kPerGroup;
}

void DialBudget::Spend(const Endpoint& endpoint, Instant now) {
    if (endpoint.IsLoopback()) return;
    for (const Key& key : {IpOf(endpoint), GroupOf(endpoint)}) {
        Count& count = m_counts.try_emplace(key, Count{now, 0}).first->second;
        if (now >= count.since + kWindow) count = {now, 0};
        ++count.dials;
    }
}

void DialBudget::Forget(Instant now) {
    std::erase_if(m_counts, [&](const auto& entry) { return now >= entry.second.since + kWindow; });
}

}  // namespace sluice::p2p
