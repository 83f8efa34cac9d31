#include "p2p/address_book.h"

#include <algorithm>

namespace sluice::p2p {
namespace {

constexpr seconds kRetryDelay{60};

}  // namespace

uint32_t AddressBook::GroupOf(const Endpoint& endpoint) {
    const uint8_t* ip = endpoint.ip.data();
    if (endpoint.IsIpv4()) return static_cast<uint32_t>(ip[12]) << 8 | ip[13];
    return static_cast<uint32_t>(ip[0]) << 24 | static_cast<uint32_t>(ip[1]) << 16 | static_cast<uint32_t>(ip[2]) << 8 |
           ip[3];
}

bool AddressBook::Worse(const Known& a, const Known& b) {
    if (a.failures != b.failures) return a.failures > b.failures;
    return a.entry.last_seen_s < b.entry.last_seen_s;
}

void AddressBook::Evict(std::optional<uint32_t> group) {
    auto worst = m_entries.end();
    for (auto it = m_entries.begin(); it != m_entries.end(); ++it) {
        if (group && GroupOf(it->first) != *group) continue;
        if (worst == m_entries.end() || Worse(it->second, worst->second)) worst = it;
    }
    if (worst != m_entries.end()) m_entries.erase(worst);
}

void AddressBook::Add(const AddressEntry& entry) {
    if (entry.endpoint.port == 0 || entry.endpoint.IsUnspecified()) return;
    if (const auto found = m_entries.find(entry.endpoint); found != m_entries.end()) {
        AddressEntry& known = found->second.entry;
        known.last_seen_s = std::max(known.last_seen_s, entry.last_seen_s);
        known.services |= entry.services;
        return;
    }
    const uint32_t group = GroupOf(entry.endpoint);
    const auto in_group = std::count_if(m_entries.begin(), m_entries.end(),
                                        [&](const auto& known) { return GroupOf(known.first) == group; });
    if (static_cast<size_t>(in_group) >= kMaxPerGroup) {
        Evict(group);
    } else if (m_entries.size() >= kMaxEntries) {
        Evict(std::nullopt);
    }
    m_entries.emplace(entry.endpoint, Known{entry, 0, {}});
}

void AddressBook::Tried(const Endpoint& endpoint, Instant now) {
    const auto found = m_entries.find(endpoint);
    if (found != m_entries.end()) found->second.next_try = now + kRetryDelay * (int64_t{1} << found->second.failures);
}

void AddressBook::Succeeded(const Endpoint& endpoint, uint64_t services, uint64_t unix_s, Instant now) {
    const auto found = m_entries.find(endpoint);
    if (found == m_entries.end()) return;
    found->second.entry.services = services;
    found->second.entry.last_seen_s = unix_s;
    found->second.failures = 0;
    found->second.next_try = now + kRetryDelay;
}

void AddressBook::Failed(const Endpoint& endpoint) {
    const auto found = m_entries.find(endpoint);
    if (found == m_entries.end()) return;
    if (++found->second.failures >= kMaxFailures) m_entries.erase(found);
}

std::vector<AddressEntry> AddressBook::Entries() const {
    std::vector<AddressEntry> entries;
    entries.reserve(m_entries.size());
    for (const auto& known : m_entries) entries.push_back(known.second.entry);
    return entries;
}

std::vector<AddressEntry> AddressBook::Sample(RandomSource& random, size_t limit) const {
    std::vector<AddressEntry> entries;
    for (const auto& [endpoint, known] : m_entries) {
        if (known.failures == 0 && endpoint.IsRoutable()) entries.push_back(known.entry);
    }
    for (size_t i = 0; i < std::min(limit, entries.size()); ++i) {
        std::swap(entries[i], entries[i + random.Below(entries.size() - i)]);
    }
    entries.resize(std::min(limit, entries.size()));
    return entries;
}

}  // namespace sluice::p2p
