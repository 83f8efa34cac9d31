#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "util/clock.h"

namespace sluice::node {

// Something that happened in the node, for those who wait for it: front ends, ZMQ, tests.
struct NodeEvent {
    uint64_t sequence{0};  // rises by one
    std::string topic;     // "tip", "transaction", "peer", "purchase", "grant", "channel", "settlement", "download",
                           // "job", "claim"
    std::string subject;   // what it is about: a hash, an outpoint, a peer or job number
    std::string detail;    // one word or a short text: "connected", "granted", ...
};

// The newest events, and a way to wait for more. Thread-safe; Wait blocks and so is only for threads of front ends.
class EventHub {
  public:
    static constexpr size_t kKept = 10'000;

    void Publish(std::string topic, std::string subject, std::string detail);
    uint64_t last_sequence() const;
    // Events after `after`, oldest first; waits up to `timeout` for the first. Events that fell out are skipped.
    std::vector<NodeEvent> Wait(uint64_t after, milliseconds timeout) const;
    // Wakes everyone who waits, now and from now on.
    void Close();

  private:
    mutable std::mutex m_mutex;
    mutable std::condition_variable m_changed;
    std::deque<NodeEvent> m_events;
    uint64_t m_last{0};
    bool m_closed{false};
};

}  // namespace sluice::node
