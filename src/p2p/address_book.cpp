#include "p2p/address_book.h"

#include <algorithm>

#include "crypto/hash.h"

namespace sluice::p2p {
namespace {

constexpr seconds kRetryDelay{60};
constexpr uint8_t kSavedVersion = 1;

struct SavedAddress {
    AddressEntry entry;
    AddressSource source{AddressSource::kGossip};
    bool tried{false};

    static void Serialize(auto& self, auto& archive) { archive(self.entry, self.source, self.tried); }
};

// Followed by its SHA-256.
struct SavedBook {
    uint8_t version{kSavedVersion};
    std::vector<SavedAddress> entries;
    std::vector<Endpoint> anchors;

    static void Serialize(auto& self, auto& archive) {
        archive(self.version);
        archive.Vector(self.entries, AddressBook::kMaxNew + AddressBook::kMaxTried, kAddressEntryBytes + 2);
        archive.Vector(self.anchors, AddressBook::kMaxAnchors, 18);
    }
};
static_assert((AddressBook::kMaxNew + AddressBook::kMaxTried) * (kAddressEntryBytes + 2) +
                  AddressBook::kMaxAnchors * 18 + 64 <=
              AddressBook::kMaxSavedBytes);

}  // namespace

const char* NameOf(AddressSource source) {
    switch (source) {
        case AddressSource::kOperator:
            return "operator";
        case AddressSource::kGossip:
            return "gossip";
        case AddressSource::kInbound:
            return "inbound";
        case AddressSource::kDht:
            return "dht";
        case AddressSource::kLan:
            return "lan";
    }
    return "unknown";
}

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

template <class Same>
void AddressBook::MakeRoom(size_t limit, const Same& same) {
    size_t count = 0;
    Entry worst = m_entries.end();
    for (Entry it = m_entries.begin(); it != m_entries.end(); ++it) {
        if (it->second.tried || !same(*it)) continue;
        ++count;
        if (worst == m_entries.end() || Worse(it->second, worst->second)) worst = it;
    }
    if (count >= limit) m_entries.erase(worst);
}

void AddressBook::Add(const AddressEntry& entry, AddressSource source, uint32_t teller) {
    if (entry.endpoint.port == 0 || entry.endpoint.IsUnspecified()) return;
    if (const auto found = m_entries.find(entry.endpoint); found != m_entries.end()) {
        AddressEntry& known = found->second.entry;
        known.last_seen_s = std::max(known.last_seen_s, entry.last_seen_s);
        known.services |= entry.services;
        return;
    }
    const uint32_t group = GroupOf(entry.endpoint);
    if (!entry.endpoint.IsLoopback())
        MakeRoom(kMaxNewPerIp, [&](const auto& known) { return known.first.ip == entry.endpoint.ip; });
    MakeRoom(kMaxNewPerGroup, [&](const auto& known) { return GroupOf(known.first) == group; });
    if (teller != 0) MakeRoom(kMaxNewPerTeller, [&](const auto& known) { return known.second.teller == teller; });
    MakeRoom(kMaxNew, [](const auto&) { return true; });
    m_entries.emplace(entry.endpoint, Known{entry, source, teller});
    ++m_changes;
}

bool AddressBook::IsTried(const Endpoint& endpoint) const {
    const auto found = m_entries.find(endpoint);
    return found != m_entries.end() && found->second.tried;
}

void AddressBook::Tried(const Endpoint& endpoint, Instant now) {
    const auto found = m_entries.find(endpoint);
    if (found != m_entries.end()) found->second.next_try = now + kRetryDelay * (int64_t{1} << found->second.failures);
}

// Room for one more; a full group or table gives up its worst if that failed lately.
bool AddressBook::HasRoomInTried(const Endpoint& endpoint) {
    const uint32_t group = GroupOf(endpoint);
    size_t all = 0;
    size_t in_group = 0;
    Entry worst = m_entries.end();
    Entry worst_in_group = m_entries.end();
    for (Entry it = m_entries.begin(); it != m_entries.end(); ++it) {
        if (!it->second.tried) continue;
        ++all;
        if (worst == m_entries.end() || Worse(it->second, worst->second)) worst = it;
        if (GroupOf(it->first) != group) continue;
        ++in_group;
        if (worst_in_group == m_entries.end() || Worse(it->second, worst_in_group->second)) worst_in_group = it;
    }
    const Entry full = in_group >= kMaxTriedPerGroup ? worst_in_group : all >= kMaxTried ? worst : m_entries.end();
    if (full == m_entries.end()) return true;
    if (full->second.failures == 0) return false;
    m_entries.erase(full);
    return true;
}

void AddressBook::Succeeded(const Endpoint& endpoint, uint64_t services, uint64_t unix_s, Instant now) {
    const auto found = m_entries.find(endpoint);
    if (found == m_entries.end()) return;
    Known& known = found->second;
    known.entry.services = services;
    known.entry.last_seen_s = unix_s;
    known.failures = 0;
    known.next_try = now + kRetryDelay;
    if (!known.tried) known.tried = HasRoomInTried(endpoint);
    ++m_changes;
}

void AddressBook::Failed(const Endpoint& endpoint) {
    const auto found = m_entries.find(endpoint);
    if (found == m_entries.end()) return;
    Known& known = found->second;
    ++known.failures;
    if (!known.tried && known.failures >= kMaxNewFailures) {
        m_entries.erase(found);
        ++m_changes;
    } else if (known.tried && known.failures >= kMaxTriedFailures) {
        // Through Add, for the bounds of hearsay.
        const Known old = known;
        m_entries.erase(found);
        Add(old.entry, old.source, old.teller);
    }
}

std::vector<KnownAddress> AddressBook::Entries() const {
    std::vector<KnownAddress> entries;
    entries.reserve(m_entries.size());
    for (const auto& [endpoint, known] : m_entries)
        entries.push_back({known.entry, known.source, known.tried, known.failures});
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

Bytes AddressBook::Save(const std::vector<Endpoint>& anchors) const {
    SavedBook book;
    for (const auto& [endpoint, known] : m_entries) book.entries.push_back({known.entry, known.source, known.tried});
    book.anchors.assign(anchors.begin(), anchors.begin() + std::min(anchors.size(), kMaxAnchors));
    Bytes bytes = Encode(book);
    const crypto::Hash256 sum = crypto::Sha256Of(bytes);
    bytes.insert(bytes.end(), sum.begin(), sum.end());
    return bytes;
}

Result<std::vector<Endpoint>> AddressBook::Load(ByteSpan saved) {
    constexpr size_t kSumBytes = crypto::Hash256::kSize;
    if (saved.size() < kSumBytes) return Fail("the saved addresses are cut off");
    const ByteSpan body = saved.first(saved.size() - kSumBytes);
    if (crypto::Sha256Of(body) != crypto::Hash256::FromBytes(saved.last(kSumBytes)))
        return Fail("the saved addresses are damaged");
    ASSIGN_OR_RETURN(const SavedBook book, Decode<SavedBook>(body));
    if (book.version != kSavedVersion) return Fail("the saved addresses are of another version");
    for (const SavedAddress& address : book.entries) {
        if (address.source < AddressSource::kOperator || address.source > AddressSource::kLan) continue;
        Add(address.entry, address.source);
        const auto found = m_entries.find(address.entry.endpoint);
        if (found != m_entries.end() && address.tried && !found->second.tried)
            found->second.tried = HasRoomInTried(address.entry.endpoint);
    }
    return book.anchors;
}

}  // namespace sluice::p2p
