#pragma once

#include <map>
#include <optional>
#include <vector>

#include "p2p/message.h"
#include "util/clock.h"
#include "util/random.h"

namespace sluice::p2p {

// Addresses that can be dialled, to choose outbound connections from. Bounded as a whole and for each network group, so
// that one range of addresses cannot fill it: a full group takes a new entry only in place of its worst.
class AddressBook {
  public:
    static constexpr size_t kMaxEntries = 4096;
    static constexpr size_t kMaxPerGroup = 64;
    static constexpr uint32_t kMaxFailures = 8;  // in a row, then it is forgotten

    // Of an IPv4 address the /16, of an IPv6 address the /32.
    static uint32_t GroupOf(const Endpoint& endpoint);

    void Add(const AddressEntry& entry);
    // An entry that `usable` accepts and that was not tried within its delay (1 min, doubled for each failure); nullopt
    // if none.
    template <class Usable>
    std::optional<Endpoint> Select(RandomSource& random, Instant now, const Usable& usable) const {
        std::vector<Endpoint> fit;
        for (const auto& [endpoint, known] : m_entries) {
            if (now >= known.next_try && usable(endpoint)) fit.push_back(endpoint);
        }
        if (fit.empty()) return std::nullopt;
        return fit[random.Below(fit.size())];
    }
    void Tried(const Endpoint& endpoint, Instant now);
    void Succeeded(const Endpoint& endpoint, uint64_t services, uint64_t unix_s, Instant now);
    void Failed(const Endpoint& endpoint);

    std::vector<AddressEntry> Entries() const;
    // At most `limit` random entries that were reached by us or lately by others: what peers are told.
    std::vector<AddressEntry> Sample(RandomSource& random, size_t limit) const;
    size_t size() const { return m_entries.size(); }

  private:
    struct Known {
        AddressEntry entry;
        uint32_t failures{0};
        Instant next_try{};
    };
    // Whether `a` is worth less than `b`.
    static bool Worse(const Known& a, const Known& b);
    void Evict(std::optional<uint32_t> group);

    std::map<Endpoint, Known> m_entries;
};

}  // namespace sluice::p2p
