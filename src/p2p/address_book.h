#pragma once

#include <map>
#include <optional>
#include <vector>

#include "p2p/message.h"
#include "util/clock.h"
#include "util/random.h"

namespace sluice::p2p {

// Who told us of an address.
enum class AddressSource : uint8_t {
    kOperator = 1,  // -seednode
    kGossip = 2,    // a peer that we dialled
    kInbound = 3,   // the node itself, which dialled us
    kDht = 4,
    kLan = 5,
};
const char* NameOf(AddressSource source);

struct KnownAddress {
    AddressEntry entry;
    AddressSource source{AddressSource::kGossip};
    bool tried{false};
    uint32_t failures{0};  // in a row
};

// Addresses that can be dialled, to choose outbound connections from, in two tables: `tried` are those where we met a
// node, `new` is hearsay. A choice is from each table alike, so that hearsay in any amount is half of the choices at
// most.
//
// Bounded: each table as a whole, for each network group, `new` also for each ip and for each group of tellers. A full
// place takes a new entry only instead of its worst; an entry of `tried` that works gives way to nobody [one range, one
// teller, or many addresses of one machine that fill the book].
//
// Anchors are the outbound peers of the last run: they are dialled first, so that a restart is no chance to be
// surrounded.
class AddressBook {
  public:
    static constexpr size_t kMaxNew = 4096;
    static constexpr size_t kMaxTried = 1024;
    static constexpr size_t kMaxNewPerGroup = 64;
    static constexpr size_t kMaxTriedPerGroup = 16;
    static constexpr size_t kMaxNewPerIp = 4;  // but for loopback
    static constexpr size_t kMaxNewPerTeller = 512;
    static constexpr uint32_t kMaxNewFailures = 3;    // in a row, then it is forgotten
    static constexpr uint32_t kMaxTriedFailures = 8;  // then it is hearsay again
    static constexpr size_t kMaxAnchors = 4;
    static constexpr size_t kMaxSavedBytes = (kMaxNew + kMaxTried + kMaxAnchors) * 64 + 64;

    // Of an IPv4 address the /16, of an IPv6 address the /32.
    static uint32_t GroupOf(const Endpoint& endpoint);

    // `teller`: the group of who told it; 0: nobody's.
    void Add(const AddressEntry& entry, AddressSource source, uint32_t teller = 0);
    // An entry that `usable` accepts and that was not tried within its delay (1 min, doubled for each failure); nullopt
    // if none.
    template <class Usable>
    std::optional<Endpoint> Select(RandomSource& random, Instant now, const Usable& usable) const {
        std::vector<Endpoint> fit[2];
        for (const auto& [endpoint, known] : m_entries) {
            if (now >= known.next_try && usable(endpoint)) fit[known.tried].push_back(endpoint);
        }
        if (fit[0].empty() && fit[1].empty()) return std::nullopt;
        const bool tried = fit[0].empty() || (!fit[1].empty() && random.Below(2) == 1);
        return fit[tried][random.Below(fit[tried].size())];
    }
    bool IsTried(const Endpoint& endpoint) const;
    void Tried(const Endpoint& endpoint, Instant now);
    // We met a node there. An address that is not in the book stays out of it.
    void Succeeded(const Endpoint& endpoint, uint64_t services, uint64_t unix_s, Instant now);
    void Failed(const Endpoint& endpoint);

    std::vector<KnownAddress> Entries() const;
    // At most `limit` random entries that were reached by us or lately by others: what peers are told.
    std::vector<AddressEntry> Sample(RandomSource& random, size_t limit) const;
    size_t size() const { return m_entries.size(); }
    // Grows with each change that is worth saving.
    uint64_t changes() const { return m_changes; }

    // The book and `anchors` (the first kMaxAnchors of them) as bytes that Load reads.
    Bytes Save(const std::vector<Endpoint>& anchors) const;
    // Adds what was saved, within all bounds, and gives the anchors. Damaged bytes are an error, and change nothing.
    Result<std::vector<Endpoint>> Load(ByteSpan saved);

  private:
    struct Known {
        AddressEntry entry;
        AddressSource source{AddressSource::kGossip};
        uint32_t teller{0};
        bool tried{false};
        uint32_t failures{0};
        Instant next_try{};
    };
    using Entry = std::map<Endpoint, Known>::iterator;
    // Whether `a` is worth less than `b`.
    static bool Worse(const Known& a, const Known& b);
    // Makes room in `new` for an entry among those that `same` accepts, if they are `limit` or more.
    template <class Same>
    void MakeRoom(size_t limit, const Same& same);
    bool HasRoomInTried(const Endpoint& endpoint);

    std::map<Endpoint, Known> m_entries;
    uint64_t m_changes{0};
};

}  // namespace sluice::p2p
