#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "p2p/peer_manager.h"
#include "primitives/ids.h"

namespace sluice::node {

// Who told us that a node serves a content.
enum class ProviderSource : uint8_t { kPeer, kLan, kClaim, kExchange, kDht };
const char* NameOf(ProviderSource source);

// ---- actions
struct DialProvider {
    p2p::Endpoint endpoint;
    bool on_lan{false};
};
struct AskPeer {  // GetProviders
    PeerId peer;
    ContentId content;
};
struct SearchLan {
    ContentId content;
};
struct SearchDht {
    ContentId content;
};
struct DropProvider {
    PeerId peer;
    std::string reason;
};
using ProviderAction = std::variant<DialProvider, AskPeer, SearchLan, SearchDht, DropProvider>;

// A node that serves, or may serve, a content: what RPC shows.
struct ProviderView {
    p2p::Endpoint endpoint;
    ProviderSource source{ProviderSource::kPeer};
    std::optional<p2p::NodeId> node;
    std::optional<PeerId> peer;  // connected
    bool serves{false};          // it said so
    uint64_t delivered_bytes{0};
    uint64_t bytes_per_s{0};  // smoothed, while we fetch from it
    uint32_t failures{0};     // dials in a row, or times that it gave nothing
    std::string state;        // "connected", "dialling", "waiting", "failed"
};

// Who serves what we fetch: hears of nodes, says whom to dial, judges them by what they deliver over time, and drops
// the worst. A pure state machine on the network strand.
//
// Invariants: 1. everything is bounded by the limits below; 2. a want makes at most kDialsPerWant dials in an hour to
// nodes that never delivered, whoever names how many (the dials to each ip and range are bounded by p2p::DialBudget
// besides) [reflection]; 3. only connections that were made for providing are ever dropped.
class ProviderBook {
  public:
    static constexpr size_t kMaxWants = 256;
    static constexpr size_t kMaxCandidates = 64;          // of a want
    static constexpr size_t kMaxCandidatesPerIp = 3;      // of a want; but for loopback
    static constexpr size_t kMaxCandidatesOfTeller = 16;  // of a want: what one peer told
    static constexpr size_t kMaxContentsOfPeer = 256;
    static constexpr size_t kMaxRecords = 1024;  // judgements of nodes that are not connected any more
    static constexpr uint32_t kDialsPerWant = 32;
    static constexpr seconds kDialWindow{3600};
    static constexpr size_t kDialsAtOnce = 4;
    static constexpr size_t kEnoughProviders = 8;  // that deliver: no more are looked for
    static constexpr size_t kAskedPeers = 16;      // in one round of questions
    static constexpr seconds kSearchInterval{60};
    static constexpr seconds kAnswerTime{30};  // an answer to a question is taken for so long
    static constexpr seconds kRetryDelay{60};  // doubled for each failure
    static constexpr uint32_t kMaxFailures = 3;
    static constexpr seconds kRest{1800};    // between tries after so many
    static constexpr seconds kPatience{45};  // for a provider to say that it has what we want
    static constexpr seconds kTrial{60};     // before a provider is judged by its rate
    static constexpr seconds kLinger{60};    // a provider that is not needed stays for so long
    static constexpr seconds kRateInterval{5};
    static constexpr seconds kRemembered{3600};  // who delivered is told to others for so long

    // `max_connections`: of those made for providing. `is_verified`: whether a node was ever met at an endpoint.
    ProviderBook(RandomSource& random, size_t max_connections, bool allow_local,
                 std::function<bool(const p2p::Endpoint&)> is_verified)
        : m_random(random),
          m_max_connections(max_connections),
          m_allow_local(allow_local),
          m_is_verified(std::move(is_verified)) {}

    std::vector<ProviderAction> TakeActions() { return std::exchange(m_actions, {}); }

    // ---- what we fetch
    // Looks for providers from now on; no more than kMaxWants at once (the rest is fetched from who is connected).
    void Want(const ContentId& content, Instant now);
    void Unwant(const ContentId& content, Instant now);
    bool IsWanted(const ContentId& content) const { return m_wants.contains(content); }
    // Endpoints that somebody named: kept for contents that are wanted, if they are p2p::IsDialable (with local ones if
    // `allow_local` or the LAN told them).
    void OnHeard(const ContentId& content, ProviderSource source, const std::vector<p2p::Endpoint>& endpoints,
                 Instant now);
    // The answer of a peer: taken only if it was asked lately.
    void OnTold(PeerId peer, const ContentId& content, const std::vector<p2p::Endpoint>& endpoints, Instant now);

    // ---- connections
    void OnPeerReady(PeerId peer, const p2p::PeerInfo& info, Instant now);
    // `at_fault`: it broke the rules.
    void OnPeerGone(PeerId peer, bool at_fault, Instant now);
    void OnDialEnded(const p2p::Endpoint& endpoint, const std::optional<p2p::NodeId>& node, Instant now);
    void OnDialRefused(const p2p::Endpoint& endpoint, Instant now);  // by us: a limit

    // ---- what peers do
    void OnHave(PeerId peer, const ContentId& content, bool serves, Instant now);
    void OnDelivered(PeerId peer, const ContentId& content, uint64_t bytes, Instant now);
    // It fetches from us: no reason to drop it.
    void OnTook(PeerId peer, Instant now);

    // Where others find the content: connected nodes that serve it and accept connections, and those that delivered it
    // lately. Best first, at most `limit`.
    std::vector<p2p::Endpoint> Serving(const ContentId& content, size_t limit, Instant now) const;
    std::vector<ProviderView> Views(const ContentId& content) const;
    // For what a connection is kept, if it was made for providing.
    std::vector<ContentId> Purposes(PeerId peer) const;
    std::optional<p2p::Endpoint> ListeningOf(PeerId peer) const;
    // At most `limit` connected peers that speak of content, in random order.
    std::vector<PeerId> SomePeers(size_t limit) const;

    void Tick(Instant now);
    std::optional<Instant> NextWakeup() const { return m_next_tick; }

  private:
    struct Candidate {
        ProviderSource source{ProviderSource::kClaim};
        std::optional<PeerId> teller;
        std::optional<p2p::NodeId> node;  // who answered there
        uint32_t failures{0};
        Instant next_dial{};
    };
    struct Wanted {
        std::map<p2p::Endpoint, Candidate> candidates;
        Instant next_search;
        Instant dial_window;
        uint32_t dials{0};
    };
    struct Peer {
        p2p::NodeId node;
        p2p::Endpoint endpoint;  // where we dialled it, or where it says that it listens
        bool listens{false};
        bool is_provider{false};
        ProviderSource source{ProviderSource::kPeer};  // who named it when it connected
        bool speaks_content{false};
        Instant since;
        Instant last_needed;
        std::set<ContentId> serves;
        std::map<ContentId, Instant> asked;
        uint64_t interval_bytes{0};
        Instant interval_start;
    };
    // What we know of a node's deliveries.
    struct Record {
        uint64_t delivered_bytes{0};
        double bytes_per_s{0};
        uint32_t failures{0};
        Instant last_delivery;
        p2p::Endpoint endpoint;  // where others reach it; port 0: nowhere
        std::set<ContentId> delivered;
    };

    Record& RecordOf(const p2p::NodeId& node);
    const Record* FindRecord(const p2p::NodeId& node) const;
    const Peer* FindPeer(const p2p::Endpoint& endpoint) const;
    bool MakeRoomFor(Wanted& want, const p2p::Endpoint& endpoint, ProviderSource source,
                     const std::optional<PeerId>& teller);
    void AddCandidates(const ContentId& content, ProviderSource source, std::optional<PeerId> teller,
                       const std::vector<p2p::Endpoint>& endpoints, Instant now);
    bool NeedsMore(const ContentId& content, Instant now) const;
    void Search(const ContentId& content, Wanted& want, Instant now);
    void Ask(PeerId id, Peer& peer, const ContentId& content, Instant now);
    void DialFor(const ContentId& content, Wanted& want, Instant now);
    std::vector<p2p::Endpoint> BestFirst(const Wanted& want, Instant now) const;
    void Judge(Instant now);
    void DropUseless(Instant now);
    bool DropWorst(Instant now);
    size_t ProviderConnections() const;

    RandomSource& m_random;
    const size_t m_max_connections;
    const bool m_allow_local;
    std::function<bool(const p2p::Endpoint&)> m_is_verified;
    std::map<ContentId, Wanted> m_wants;
    std::map<PeerId, Peer> m_peers;
    std::map<p2p::NodeId, Record> m_records;
    std::set<p2p::Endpoint> m_dialling;
    std::set<PeerId> m_dropping;
    std::optional<Instant> m_next_tick;
    std::vector<ProviderAction> m_actions;
};

}  // namespace sluice::node
