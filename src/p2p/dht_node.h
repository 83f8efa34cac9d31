#pragma once

#include <string>
#include <vector>

#include "p2p/endpoint.h"
#include "util/bytes.h"

// The seam to a distributed hash table that tells who announced a key, and to the router that lets others in. The
// daemon gives the node BitTorrent's mainline table, tests a virtual one. All calls and all events happen on the
// network strand.

namespace sluice::p2p {

using DhtKey = FixedBytes<20, struct DhtKeyTag>;

class DhtEvents {
  public:
    virtual ~DhtEvents() = default;
    // Addresses that announced `key`, as strangers say: hearsay. Any number of times for each Find and Announce.
    virtual void OnFound(const DhtKey& key, const std::vector<Endpoint>& endpoints) = 0;
};

struct DhtState {
    bool enabled{false};
    uint16_t port{0};         // UDP, ours; 0: not bound yet
    size_t nodes{0};          // of the table that we know
    std::string port_map;     // "off", "waiting", "mapped", or why there is none
    uint16_t mapped_port{0};  // at the router; 0: none
};

class DhtNode {
  public:
    // Found endpoints beyond this many of one answer are dropped.
    static constexpr size_t kMaxFound = 100;

    virtual ~DhtNode() = default;
    // Where events go, from now on. Set once; `events` outlives the use. Never called from inside a call.
    virtual void SetEvents(DhtEvents& events) = 0;
    // Tells the table that we serve `key` at TCP `port` of the address that the table sees; it forgets that within half
    // an hour. Finds others on the way.
    virtual void Announce(const DhtKey& key, uint16_t port) = 0;
    virtual void Find(const DhtKey& key) = 0;
    // Asks the router to let connections to TCP `port` in, if that is enabled.
    virtual void MapPort(uint16_t port) = 0;
    // May wait for the library: for front ends.
    virtual DhtState State() const = 0;
    virtual uint16_t mapped_port() const = 0;  // as State's
    // What lets the next start join the table at once: opaque, at most kMaxStateBytes.
    static constexpr size_t kMaxStateBytes = 256 << 10;
    virtual Bytes SaveState() const = 0;
};

}  // namespace sluice::p2p
