#include "node/discovery.h"

#include <algorithm>

#include "node/provider_messages.h"
#include "storage/file_system.h"
#include "util/log.h"

namespace sluice::node {

using content::ContentMessageType;
using p2p::DhtKey;
using p2p::Endpoint;

namespace {

constexpr seconds kWatchInterval{5};
constexpr uint64_t kUploadBytes = 64 << 10;  // in kWatchInterval: more than what a chain's peer is sent
constexpr size_t kMaxLanNodes = 256;
constexpr uint8_t kSeedingVersion = 1;

struct SavedSeeding {
    uint8_t version{kSeedingVersion};
    std::vector<ContentId> contents;

    static void Serialize(auto& self, auto& archive) {
        archive(self.version);
        archive.Vector(self.contents, Discovery::kMaxSeeding, 40);
    }
};

}  // namespace

Discovery::Discovery(const Environment& environment, NetworkService& network, const Claims& claims,
                     content::ChunkStore& chunks, DiscoveryConfig config)
    : m_environment(environment),
      m_network(network),
      m_claims(claims),
      m_chunks(chunks),
      m_config(std::move(config)),
      m_book(environment.random, m_config.max_providers, m_config.allow_local,
             [this](const Endpoint& endpoint) { return m_network.peers().IsVerified(endpoint); }),
      m_exchange(m_book, m_config.allow_local, environment.clock.Monotonic()) {}

Status Discovery::Load() {
    const auto read = [&](const std::string& name, size_t limit) -> Bytes {
        const std::string path = m_config.folder + "/" + name;
        if (!m_environment.files.Exists(path)) return {};
        auto bytes = storage::ReadWholeFile(m_environment.files, path, limit);
        if (bytes) return std::move(*bytes);
        LogWarning("net", "{} cannot be read ({}): it is made anew", path, bytes.error().message);
        return {};
    };
    if (const Bytes saved = read("peers.dat", p2p::AddressBook::kMaxSavedBytes); !saved.empty()) {
        const Status loaded = m_network.peers().LoadAddresses(saved);
        if (!loaded) LogWarning("net", "peers.dat: {}: addresses are collected anew", loaded.error().message);
    }
    if (const Bytes saved = read("seeding.dat", kMaxSeeding * 40 + 64); !saved.empty()) {
        const auto seeding = Decode<SavedSeeding>(saved);
        if (seeding && seeding->version == kSeedingVersion) {
            for (const ContentId& content : seeding->contents) m_seeding.insert(content);
        } else {
            LogWarning("net", "seeding.dat is damaged: seed what is to be announced once more");
        }
    }
    m_saved_changes = m_network.peers().AddressChanges();
    return {};
}

void Discovery::Start(Alive alive, uint16_t port) {
    m_alive = std::move(alive);
    m_port = port;
    m_started = true;
    const Instant now = Now();
    if (m_environment.lan != nullptr) {
        m_lan.emplace(
            m_config.network, m_network.peers().node_id(),
            [this](const DhtKey& key) { return m_served_keys.contains(key); }, now);
        m_lan->SetPort(port);
        m_environment.lan->SetEvents(*this);
    }
    if (m_environment.dht != nullptr) {
        m_environment.dht->SetEvents(*this);
        if (port != 0) m_environment.dht->MapPort(port);
        if (port != 0 && m_config.find_nodes) m_dht.Announce(NodesKey(m_config.network), now);
    }
    for (const ContentId& content : m_seeding) {
        const auto stored = m_chunks.Find(content);
        if (stored && stored->IsComplete()) Announce(content);
    }
    m_next_save = now + kSaveInterval;
    m_next_dht_save = now + kSaveInterval * 6;
    Run();
}

std::optional<p2p::DhtState> Discovery::DhtState() const {
    if (m_environment.dht == nullptr) return std::nullopt;
    return m_environment.dht->State();
}

std::optional<ContentId> Discovery::FindByRoot(const ContentRoot& root) const {
    const DhtKey key = ContentKey(m_config.network, root);
    for (const auto* keys : {&m_wanted_keys, &m_served_keys})
        if (const auto found = keys->find(key); found != keys->end()) return found->second;
    return std::nullopt;
}

uint64_t Discovery::UnixSeconds() const {
    const auto now = m_environment.clock.Now().time_since_epoch();
    return static_cast<uint64_t>(std::chrono::duration_cast<seconds>(now).count());
}

// ---- what is fetched and seeded

void Discovery::OnFetching(const ContentId& content) {
    if (!m_config.find_providers || m_book.IsWanted(content)) return;
    m_book.Want(content, Now());
    if (!m_book.IsWanted(content)) return;
    m_wanted_keys[ContentKey(m_config.network, content.root)] = content;
    AskClaims(content);
    Run();
}

// Whoever published it may have said where it is served. Anybody may publish anything, so first come the oldest.
void Discovery::AskClaims(const ContentId& content) {
    m_environment.chain_strand.Post([this, alive = m_alive, content] {
        if (!*alive) return;
        const auto uses = m_claims.UsesOf(content);
        if (!uses) return;
        std::vector<Endpoint> endpoints;
        for (const ClaimUse& use : *uses) {
            for (const std::string& text : use.claim.record.endpoints) {
                const auto endpoint = p2p::ParseEndpoint(text, 0);
                if (endpoint && endpoints.size() < kEndpointsOfClaims) endpoints.push_back(*endpoint);
            }
        }
        if (endpoints.empty()) return;
        m_environment.network_strand.Post([this, alive, content, endpoints = std::move(endpoints)] {
            if (!*alive) return;
            m_book.OnHeard(content, ProviderSource::kClaim, endpoints, Now());
            Run();
        });
    });
}

void Discovery::OnFetchEnded(const ContentId& content) {
    m_wanted_keys.erase(ContentKey(m_config.network, content.root));
    m_book.Unwant(content, Now());
    Run();
}

void Discovery::OnSeeding(const ContentId& content) {
    if (m_seeding.size() < kMaxSeeding && m_seeding.insert(content).second) m_seeding_changed = true;
    if (m_started) Announce(content);
}

void Discovery::OnSeedingEnded(const ContentId& content) {
    m_seeding_changed |= m_seeding.erase(content) != 0;
    const DhtKey key = ContentKey(m_config.network, content.root);
    m_served_keys.erase(key);
    m_dht.Withdraw(key);
}

void Discovery::Announce(const ContentId& content) {
    const DhtKey key = ContentKey(m_config.network, content.root);
    m_served_keys[key] = content;
    if (m_environment.dht != nullptr && m_port != 0) m_dht.Announce(key, Now());
}

// ---- peers

void Discovery::OnPeerReady(PeerId peer, const p2p::PeerInfo& info) {
    m_book.OnPeerReady(peer, info, Now());
    if (info.direction == p2p::Direction::kProvider) m_sent_bytes[peer] = 0;
    Run();
}

void Discovery::OnPeerGone(PeerId peer, bool at_fault) {
    m_book.OnPeerGone(peer, at_fault, Now());
    m_exchange.OnPeerGone(peer);
    m_sent_bytes.erase(peer);
    Run();
}

void Discovery::OnProviderDialEnded(const Endpoint& endpoint, const std::optional<p2p::NodeId>& node) {
    m_book.OnDialEnded(endpoint, node, Now());
    Run();
}

void Discovery::OnExchangeMessage(PeerId peer, ByteSpan payload) {
    if (static_cast<ContentMessageType>(payload[0]) == ContentMessageType::kGetProviders) {
        const auto asked = DecodeProviderMessage<GetProviders>(payload);
        if (!asked) return m_network.peers().Misbehaving(peer, "getproviders: " + asked.error().message);
        m_exchange.OnGetProviders(peer, asked->content, Now());
    } else {
        const auto told = DecodeProviderMessage<Providers>(payload);
        if (!told) return m_network.peers().Misbehaving(peer, "providers: " + told.error().message);
        m_book.OnTold(peer, told->content, told->endpoints, Now());
    }
    Run();
}

void Discovery::OnContentSeen(PeerId peer, ByteSpan payload) {
    const auto type = static_cast<ContentMessageType>(payload[0]);
    Reader reader(payload.subspan(1));
    ContentId content;
    reader(content);
    if (!reader.Ok()) return;
    if (type == ContentMessageType::kLeaf) {
        m_book.OnDelivered(peer, content, payload.size(), Now());
        return;
    }
    const auto have = Decode<content::Have>(payload.subspan(1));
    if (!have) return;  // the swarm's to blame
    const bool serves =
        have->all || std::any_of(have->bits.begin(), have->bits.end(), [](uint8_t b) { return b != 0; });
    if (!serves && have->first.value != 0) return;  // an empty stretch of what it has in part
    m_book.OnHave(peer, content, serves, Now());
    m_exchange.OnHave(peer, content, serves, Now());
    Run();
}

// ---- from outside

void Discovery::OnFound(const DhtKey& key, const std::vector<Endpoint>& endpoints) {
    m_dht.OnFound(key);
    if (key == NodesKey(m_config.network)) {
        for (const Endpoint& endpoint : endpoints)
            m_network.peers().AddAddress({endpoint, 0, UnixSeconds()}, p2p::AddressSource::kDht);
        return;
    }
    const auto wanted = m_wanted_keys.find(key);
    if (wanted == m_wanted_keys.end()) return;
    m_book.OnHeard(wanted->second, ProviderSource::kDht, endpoints, Now());
    Run();
}

void Discovery::OnDatagram(const Endpoint& from, ByteSpan bytes) {
    m_lan->OnDatagram(from, bytes, Now());
    Run();
}

// ---- time

void Discovery::Tick() {
    if (!m_started) return;
    const Instant now = Now();
    m_book.Tick(now);
    if (m_lan) m_lan->Tick(now);
    FindNodes();
    WatchUploads();
    Run();
    if (m_environment.dht != nullptr) {
        if (const auto due = m_dht.Next(now)) std::visit([&](const auto& action) { Do(action); }, *due);
    }
    if (now >= m_next_save) Save();
}

void Discovery::FindNodes() {
    if (m_environment.dht == nullptr || !m_config.find_nodes || Now() < m_next_find) return;
    m_next_find = Now() + kNodesInterval;
    const auto peers = m_network.peers().Peers();
    const auto outbound = std::count_if(peers.begin(), peers.end(), [](const p2p::PeerInfo& peer) {
        return peer.direction == p2p::Direction::kOutbound;
    });
    if (static_cast<size_t>(outbound) < kEnoughOutbound) m_dht.Find(NodesKey(m_config.network), Now());
}

// A provider that fetches from us is not dropped.
void Discovery::WatchUploads() {
    if (m_sent_bytes.empty() || Now() < m_next_watch) return;
    m_next_watch = Now() + kWatchInterval;
    for (auto& [id, sent_bytes] : m_sent_bytes) {
        const auto peer = m_network.peers().Peer(id);
        if (!peer) continue;
        if (peer->bytes_sent > sent_bytes + kUploadBytes) m_book.OnTook(id, Now());
        sent_bytes = peer->bytes_sent;
    }
}

void Discovery::Save() {
    m_next_save = Now() + kSaveInterval;
    const uint64_t changes = m_network.peers().AddressChanges();
    if (changes != m_saved_changes) {
        m_saved_changes = changes;
        WriteSoon("peers.dat", m_network.peers().SaveAddresses());
    }
    if (std::exchange(m_seeding_changed, false))
        WriteSoon("seeding.dat", Encode(SavedSeeding{kSeedingVersion, {m_seeding.begin(), m_seeding.end()}}));
    if (m_environment.dht != nullptr && Now() >= m_next_dht_save) {
        m_next_dht_save = Now() + kDhtSaveInterval;
        if (Bytes state = m_environment.dht->SaveState(); !state.empty()) WriteSoon("dht.dat", std::move(state));
    }
}

void Discovery::WriteSoon(const std::string& name, Bytes bytes) {
    m_environment.disk_strand.Post(
        [this, alive = m_alive, path = m_config.folder + "/" + name, bytes = std::move(bytes)] {
            if (!*alive) return;
            const Status written = storage::WriteFileAtomically(m_environment.files, path, bytes);
            if (!written) LogError("net", "{} could not be saved: {}", path, written.error().message);
        });
}

// ---- actions

void Discovery::Run() {
    if (m_running) return;  // called from inside an action (a peer that was disconnected): the outer loop goes on
    m_running = true;
    const auto do_all = [&](const auto& actions) {
        for (const auto& action : actions) std::visit([&](const auto& typed) { Do(typed); }, action);
        return !actions.empty();
    };
    while (do_all(m_book.TakeActions()) || do_all(m_exchange.TakeActions()) ||
           (m_lan && do_all(m_lan->TakeActions()))) {
    }
    m_running = false;
}

template <class Message>
void Discovery::SendTo(PeerId peer, const Message& message) {
    // A full queue: the question is asked again later, the answer is not owed.
    (void)m_network.peers().Send(peer, p2p::MessageType::kContentControl, content::EncodeContentMessage(message));
}

void Discovery::Do(const DialProvider& action) {
    const Status dialled = m_network.peers().DialProvider(action.endpoint, action.on_lan);
    if (dialled) return;
    LogDebug("net", "provider {}", dialled.error().message);
    m_book.OnDialRefused(action.endpoint, Now());
}
void Discovery::Do(const AskPeer& action) { SendTo(action.peer, GetProviders{action.content}); }
void Discovery::Do(const SearchLan& action) {
    if (m_lan) m_lan->Ask(ContentKey(m_config.network, action.content.root), Now());
}
void Discovery::Do(const SearchDht& action) {
    if (m_environment.dht != nullptr) m_dht.Find(ContentKey(m_config.network, action.content.root), Now());
}
void Discovery::Do(const DropProvider& action) { m_network.peers().Disconnect(action.peer, action.reason); }
void Discovery::Do(const TellPeer& action) { SendTo(action.peer, Providers{action.content, action.endpoints}); }
void Discovery::Do(const QueryPeer& action) { SendTo(action.peer, content::HaveQuery{action.content}); }
void Discovery::Do(const p2p::LanSendToGroup& action) { m_environment.lan->SendToGroup(action.bytes); }
void Discovery::Do(const p2p::LanSend& action) { m_environment.lan->Send(action.to, action.bytes); }

void Discovery::Do(const p2p::LanFoundNode& action) {
    if (m_lan_nodes.size() < kMaxLanNodes || m_lan_nodes.contains(action.endpoint))
        m_lan_nodes[action.endpoint] = Now();
    if (m_config.find_nodes)
        m_network.peers().AddAddress({action.endpoint, 0, UnixSeconds()}, p2p::AddressSource::kLan);
}

void Discovery::Do(const p2p::LanFoundProvider& action) {
    const auto wanted = m_wanted_keys.find(action.key);
    if (wanted != m_wanted_keys.end()) m_book.OnHeard(wanted->second, ProviderSource::kLan, {action.endpoint}, Now());
}

void Discovery::Do(const DhtAnnounce& action) {
    const uint16_t mapped = m_environment.dht->mapped_port();
    m_environment.dht->Announce(action.key, mapped != 0 ? mapped : m_port);
}
void Discovery::Do(const DhtFind& action) { m_environment.dht->Find(action.key); }

}  // namespace sluice::node
