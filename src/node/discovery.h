#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "content/chunk_store.h"
#include "node/claims.h"
#include "node/content_watcher.h"
#include "node/dht_schedule.h"
#include "node/environment.h"
#include "node/network_service.h"
#include "node/provider_book.h"
#include "node/provider_exchange.h"
#include "p2p/lan_discovery.h"

namespace sluice::node {

struct DiscoveryConfig {
    p2p::NetworkId network;
    std::string folder;         // peers.dat, seeding.dat and dht.dat are there
    size_t max_providers{16};   // connections, as PeerManagerConfig's
    bool find_providers{true};  // dial nodes that may serve what is fetched
    bool find_nodes{true};      // ask the LAN and the DHT for nodes of the network too
    bool allow_local{false};    // as PeerManagerConfig's
};

// How this node finds others and is found: runs the provider book, peer exchange, LAN discovery and the DHT's schedule,
// tells p2p whom to dial, and keeps the address book on disk. Belongs to the network strand.
//
// peers.dat (the address book, with anchors), seeding.dat (what is announced) and dht.dat (the table's nodes) are
// written at most every kSaveInterval, if they changed; damaged ones are new starts.
class Discovery final : public ContentWatcher,
                        public DiscoveryEndpoint,
                        private p2p::DhtEvents,
                        private p2p::DatagramEvents {
  public:
    static constexpr seconds kSaveInterval{5};
    static constexpr seconds kDhtSaveInterval{600};
    static constexpr seconds kNodesInterval{30};   // between looks at whether nodes have to be found
    static constexpr size_t kEnoughOutbound = 4;   // with so many, none are looked for in the DHT
    static constexpr size_t kMaxSeeding = 65'536;  // that are remembered
    static constexpr size_t kEndpointsOfClaims = 64;

    Discovery(const Environment& environment, NetworkService& network, const Claims& claims,
              content::ChunkStore& chunks, DiscoveryConfig config);

    // Reads what was saved. Before the executors run.
    Status Load();
    // `port`: where peers connect to, 0 for nowhere. Ends when `*alive` is false.
    void Start(Alive alive, uint16_t port);

    void OnFetching(const ContentId& content) override;
    void OnFetchEnded(const ContentId& content) override;
    void OnSeeding(const ContentId& content) override;
    void OnSeedingEnded(const ContentId& content) override;

    // For front ends.
    std::vector<ProviderView> ProvidersOf(const ContentId& content) const { return m_book.Views(content); }
    std::vector<ContentId> PurposesOf(PeerId peer) const { return m_book.Purposes(peer); }
    std::optional<p2p::DhtState> DhtState() const;
    // A content of this root that is fetched or seeded.
    std::optional<ContentId> FindByRoot(const ContentRoot& root) const;
    bool IsFetching(const ContentId& content) const { return m_book.IsWanted(content); }
    bool IsSeeding(const ContentId& content) const { return m_seeding.contains(content); }
    size_t dht_announced() const { return m_dht.announced(); }
    bool HasLan() const { return m_lan.has_value(); }
    size_t lan_nodes() const { return m_lan_nodes.size(); }
    size_t seeding() const { return m_seeding.size(); }
    bool finds_providers() const { return m_config.find_providers; }

  private:
    void OnPeerReady(PeerId peer, const p2p::PeerInfo& info) override;
    void OnPeerGone(PeerId peer, bool at_fault) override;
    void OnProviderDialEnded(const p2p::Endpoint& endpoint, const std::optional<p2p::NodeId>& node) override;
    void OnExchangeMessage(PeerId peer, ByteSpan payload) override;
    void OnContentSeen(PeerId peer, ByteSpan payload) override;
    void Tick() override;
    void OnFound(const p2p::DhtKey& key, const std::vector<p2p::Endpoint>& endpoints) override;
    void OnDatagram(const p2p::Endpoint& from, ByteSpan bytes) override;

    void Run();
    void Do(const DialProvider& action);
    void Do(const AskPeer& action);
    void Do(const SearchLan& action);
    void Do(const SearchDht& action);
    void Do(const DropProvider& action);
    void Do(const TellPeer& action);
    void Do(const QueryPeer& action);
    void Do(const p2p::LanSendToGroup& action);
    void Do(const p2p::LanSend& action);
    void Do(const p2p::LanFoundNode& action);
    void Do(const p2p::LanFoundProvider& action);
    void Do(const DhtAnnounce& action);
    void Do(const DhtFind& action);
    template <class Message>
    void SendTo(PeerId peer, const Message& message);
    void AskClaims(const ContentId& content);
    void Announce(const ContentId& content);
    void FindNodes();
    void WatchUploads();
    void Save();
    void WriteSoon(const std::string& name, Bytes bytes);
    Instant Now() const { return m_environment.clock.Monotonic(); }
    uint64_t UnixSeconds() const;

    const Environment& m_environment;
    NetworkService& m_network;
    const Claims& m_claims;
    content::ChunkStore& m_chunks;
    const DiscoveryConfig m_config;
    ProviderBook m_book;
    ProviderExchange m_exchange;
    DhtSchedule m_dht;
    std::optional<p2p::LanDiscovery> m_lan;
    Alive m_alive;
    uint16_t m_port{0};
    bool m_started{false};
    bool m_running{false};
    std::set<ContentId> m_seeding;
    std::map<p2p::DhtKey, ContentId> m_served_keys;
    std::map<p2p::DhtKey, ContentId> m_wanted_keys;
    std::map<p2p::Endpoint, Instant> m_lan_nodes;
    std::map<PeerId, uint64_t> m_sent_bytes;  // to providers, when it was last looked at
    uint64_t m_saved_changes{0};
    bool m_seeding_changed{false};
    Instant m_next_save{};
    Instant m_next_dht_save{};
    Instant m_next_find{};
    Instant m_next_watch{};
};

}  // namespace sluice::node
