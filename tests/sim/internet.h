#pragma once

#include <map>
#include <memory>
#include <set>

#include "p2p/network.h"
#include "primitives/ids.h"
#include "sim/event_queue.h"
#include "util/random.h"

// Virtual wires between simulated nodes.

namespace sluice::sim {

class VirtualNetwork;

// How long bytes take from one end of a connection to the other.
struct LinkOptions {
    enum class Kind {
        kEach,    // each connection draws its own latency once, evenly in the range
        kCommon,  // one latency for all connections, drawn anew every `common_for`: nothing is faster by a detour, so
                  // what is relayed in three trips takes up to three times `most`
    } kind{Kind::kEach};
    microseconds least{5'000};
    microseconds most{60'000};
    seconds common_for{10};
    uint64_t bytes_per_second{4 << 20};  // of each connection and direction
    // Chance that a write is lost on its way; it is sent again after a timeout (200 ms, doubling) as TCP does, and what
    // was written later waits for it. 0 to under 1.
    double loss{0};
};

// Links between VirtualNetworks: bytes leave at a rate and arrive a latency later, in order.
class VirtualInternet {
  public:
    VirtualInternet(EventQueue& queue, uint64_t seed) : m_queue(queue), m_random(seed), m_common_seed(seed) {}
    // For what is sent and dialled from now on.
    void SetLinks(const LinkOptions& options) { m_options = options; }
    const LinkOptions& links() const { return m_options; }
    // Those inside reach each other, those outside reach each other, and nothing crosses: what crosses now is lost.
    void Partition(std::set<p2p::Endpoint> inside);
    void Heal() { m_inside.clear(); }
    // Of every byte that arrived, in order.
    const Hash256& digest() const { return m_digest; }
    uint64_t bytes_arrived() const { return m_bytes_arrived; }

  private:
    friend class VirtualNetwork;
    microseconds DrawLatency();
    microseconds CommonLatency() const;
    microseconds LossDelay();
    void NoteArrived(const Bytes& bytes);
    bool Reachable(const p2p::Endpoint& a, const p2p::Endpoint& b) const {
        return m_inside.contains(a) == m_inside.contains(b);
    }

    EventQueue& m_queue;
    LinkOptions m_options;
    SeededRandom m_random;
    uint64_t m_common_seed;
    Hash256 m_digest;
    uint64_t m_bytes_arrived{0};
    std::map<p2p::Endpoint, VirtualNetwork*> m_networks;  // by address; those that are not in it are down
    std::set<p2p::Endpoint> m_inside;
};

// One life of a node on the internet, at one address.
class VirtualNetwork final : public p2p::Network {
  public:
    VirtualNetwork(VirtualInternet& internet, p2p::Endpoint address, EventQueue::Owner owner);
    ~VirtualNetwork() override;  // the other sides see their connections end

    void SetEvents(p2p::NetworkEvents& events) override { m_events = &events; }
    p2p::ConnectionId Connect(const p2p::Endpoint& endpoint) override;
    Result<p2p::Endpoint> Listen(const p2p::Endpoint& endpoint) override;
    void Write(p2p::ConnectionId connection, Bytes bytes) override;
    size_t PendingBytes(p2p::ConnectionId connection) const override;
    void SetReading(p2p::ConnectionId connection, bool reading) override;
    void Close(p2p::ConnectionId connection) override;
    const p2p::Endpoint& address() const { return m_address; }

  private:
    friend class VirtualInternet;
    // Both ends of a connection; an end without a network is gone.
    struct Wire {
        struct End {
            VirtualNetwork* network{nullptr};
            p2p::ConnectionId id;
            bool reading{true};
            Bytes unread;
            size_t pending{0};     // written here and not read at the other end
            Instant free_at{};     // when what was written has left
            Instant arrived_at{};  // when the last of it arrives
        };
        End ends[2];
        microseconds latency{0};  // its own, if not the common one is taken
    };
    struct Link {
        std::shared_ptr<Wire> wire;  // null while dialling
        size_t side{0};
    };
    void Dial(p2p::ConnectionId id, const p2p::Endpoint& endpoint);
    void FailDial(p2p::ConnectionId id);
    microseconds LatencyOf(const Wire& wire) const;
    static void Read(const std::shared_ptr<Wire>& wire, size_t side);
    // Ends this side; the other one hears of it.
    void Hang(const Link& link);
    // Both sides hear of it.
    void Cut(const p2p::Endpoint& other);
    static void TellClosed(const std::shared_ptr<Wire>& wire, size_t side, const std::string& reason);

    VirtualInternet& m_internet;
    const p2p::Endpoint m_address;
    const EventQueue::Owner m_owner;
    p2p::NetworkEvents* m_events{nullptr};
    bool m_listening{false};
    std::map<p2p::ConnectionId, Link> m_links;
    uint64_t m_last_id{0};
};

}  // namespace sluice::sim
