#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "p2p/dht_node.h"
#include "p2p/identity.h"
#include "util/clock.h"

namespace sluice::node {

// Keys of the public table: the first 20 bytes of SHA-256(tag || magic || ...). They name contents of one network only,
// and say nothing to who does not have the chain.
p2p::DhtKey ContentKey(const p2p::NetworkId& network, const ContentRoot& root);
// Where nodes of the network announce themselves.
p2p::DhtKey NodesKey(const p2p::NetworkId& network);

struct DhtAnnounce {
    p2p::DhtKey key;
};
struct DhtFind {
    p2p::DhtKey key;
};
using DhtAction = std::variant<DhtAnnounce, DhtFind>;

// What is announced and looked for in the table, and when: each key again after its interval, all in turn at a rate. A
// pure state machine on the network strand.
class DhtSchedule {
  public:
    static constexpr seconds kAnnounceInterval{900};  // the table forgets after 30 minutes
    static constexpr seconds kFirstInterval{10};  // before a key is announced again: the table may not be joined yet
    static constexpr seconds kFindInterval{120};  // at least, between look-ups of a key that found something
    static constexpr seconds kFirstRetry{5};      // of a look-up that found nothing; doubled each time
    static constexpr uint32_t kMaxRetries = 5;
    static constexpr milliseconds kPause{500};     // between two requests
    static constexpr size_t kMaxAnnounced = 1700;  // what kPause lets through in kAnnounceInterval
    static constexpr size_t kMaxFinds = 64;        // that wait or were made lately
    static_assert(kMaxAnnounced * kPause < kAnnounceInterval);

    // True if there was room (or it is announced already).
    bool Announce(const p2p::DhtKey& key, Instant now);
    void Withdraw(const p2p::DhtKey& key) { m_announced.erase(key); }
    bool IsAnnounced(const p2p::DhtKey& key) const { return m_announced.contains(key); }
    size_t announced() const { return m_announced.size(); }
    // Looks for `key`, a few times if nothing is found; nothing if that is under way or was done lately.
    void Find(const p2p::DhtKey& key, Instant now);
    void OnFound(const p2p::DhtKey& key);

    // What is due now: at most one request for each kPause.
    std::optional<DhtAction> Next(Instant now);

  private:
    struct Announced {
        Instant due;
        seconds interval = kFirstInterval;
    };
    struct Search {
        Instant due;  // once found: until when it is not made again
        uint32_t tries{0};
        bool found{false};
    };
    std::map<p2p::DhtKey, Announced> m_announced;
    std::map<p2p::DhtKey, Search> m_finds;
    Instant m_free_at{};
};

}  // namespace sluice::node
