#include "dht/mainline_dht.h"

#include <algorithm>
#include <charconv>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/session_params.hpp>

#include "util/log.h"

namespace sluice::dht {

namespace lt = libtorrent;

namespace {

constexpr int kAlertQueue = 1000;
constexpr size_t kBootstrapOfState = 32;

lt::sha1_hash HashOf(const p2p::DhtKey& key) { return lt::sha1_hash(reinterpret_cast<const char*>(key.data())); }

p2p::Endpoint EndpointOf(const lt::tcp::endpoint& from) {
    p2p::Endpoint endpoint;
    endpoint.port = from.port();
    const auto address = from.address();
    if (address.is_v4()) {
        const auto ip = address.to_v4().to_bytes();
        return p2p::Endpoint::Ipv4(ip[0], ip[1], ip[2], ip[3], from.port());
    }
    const auto ip = address.to_v6().to_bytes();
    std::copy(ip.begin(), ip.end(), endpoint.ip.begin());
    return endpoint;
}

Status CheckHostAndPort(const std::string& text) {
    const size_t colon = text.rfind(':');
    uint16_t port = 0;
    if (colon != std::string::npos && colon > 0) {
        const char* const end = text.data() + text.size();
        const auto [at, error] = std::from_chars(text.data() + colon + 1, end, port);
        if (error == std::errc() && at == end && port != 0 && text.find_first_of(" ,\t\r\n") == std::string::npos)
            return {};
    }
    return Fail("-dhtbootstrap=" + text.substr(0, 80) + ": give HOST:PORT, like router.bittorrent.com:6881");
}

bool IsLoopbackOnly(const std::vector<std::string>& bind) {
    return !bind.empty() && std::all_of(bind.begin(), bind.end(), [](const std::string& ip) {
        const auto endpoint = p2p::ParseEndpoint(ip, 0);
        return endpoint && endpoint->IsLoopback();
    });
}

// "127.0.0.1:0,[::1]:0": the interfaces as the library writes them.
std::string ListenInterfaces(const MainlineOptions& options) {
    std::vector<std::string> bind = options.bind;
    if (bind.empty()) bind = {"0.0.0.0", "::"};
    std::string text;
    for (const std::string& ip : bind) {
        const bool v6 = ip.find(':') != std::string::npos;
        text += (text.empty() ? "" : ",") + (v6 ? "[" + ip + "]" : ip) + ":" + std::to_string(options.port);
    }
    return text;
}

std::string TextOf(const lt::udp::endpoint& node) {
    const std::string ip = node.address().to_string();
    return (node.address().is_v6() ? "[" + ip + "]" : ip) + ":" + std::to_string(node.port());
}

// The node ids and nodes of an earlier run; nothing if `state` is empty or damaged.
lt::session_params ReadState(const Bytes& state) {
    if (state.empty() || state.size() > p2p::DhtNode::kMaxStateBytes) return {};
    lt::error_code damaged;
    const lt::span<const char> text(reinterpret_cast<const char*>(state.data()),
                                    static_cast<std::ptrdiff_t>(state.size()));
    const lt::bdecode_node decoded = lt::bdecode(text, damaged);
    if (damaged) return {};
    return lt::read_session_params(decoded, lt::session_handle::save_dht_state);
}

// Where to join the table: the nodes of an earlier run first, of which most are gone.
std::string BootstrapNodes(const MainlineOptions& options, const lt::session_params& earlier) {
    std::vector<std::string> nodes;
    for (const auto* known : {&earlier.dht_state.nodes, &earlier.dht_state.nodes6})
        for (size_t i = 0; i < std::min(known->size(), kBootstrapOfState); ++i) nodes.push_back(TextOf((*known)[i]));
    nodes.insert(nodes.end(), options.bootstrap.begin(), options.bootstrap.end());
    std::string text;
    for (const std::string& node : nodes) text += (text.empty() ? "" : ",") + node;
    return text;
}

lt::settings_pack SettingsOf(const MainlineOptions& options) {
    using pack = lt::settings_pack;
    pack settings;
    settings.set_int(pack::alert_mask, lt::alert_category::dht_operation | lt::alert_category::port_mapping |
                                           lt::alert_category::status | lt::alert_category::error);
    settings.set_int(pack::alert_queue_size, kAlertQueue);
    settings.set_str(pack::listen_interfaces, ListenInterfaces(options));
    settings.set_str(pack::user_agent, "");
    settings.set_str(pack::handshake_client_version, "");
    settings.set_bool(pack::enable_dht, options.join);
    settings.set_bool(pack::enable_upnp, options.map_ports);
    settings.set_bool(pack::enable_natpmp, options.map_ports);
    // Nothing of BitTorrent but the table: no peers, no local discovery, no trackers.
    settings.set_bool(pack::enable_lsd, false);
    settings.set_bool(pack::enable_incoming_tcp, false);
    settings.set_bool(pack::enable_outgoing_tcp, false);
    settings.set_bool(pack::enable_incoming_utp, false);
    settings.set_bool(pack::enable_outgoing_utp, false);
    settings.set_int(pack::connections_limit, 2);
    settings.set_int(pack::aio_threads, 1);
    settings.set_int(pack::hashing_threads, 1);
    if (IsLoopbackOnly(options.bind)) {
        settings.set_bool(pack::dht_restrict_routing_ips, false);
        settings.set_bool(pack::dht_restrict_search_ips, false);
        settings.set_bool(pack::dht_prefer_verified_node_ids, false);
        settings.set_bool(pack::dht_ignore_dark_internet, false);
        settings.set_int(pack::dht_block_ratelimit, 1000);
    }
    return settings;
}

}  // namespace

struct MainlineDht::Impl : std::enable_shared_from_this<MainlineDht::Impl> {
    Impl(Executor& s, lt::session_params params, const MainlineOptions& o)
        : strand(s), options(o), session(std::make_unique<lt::session>(std::move(params))) {
        state.enabled = options.join;
        state.port_map = options.map_ports ? "waiting" : "off";
    }

    // On one of the library's threads.
    void OnAlert() {
        strand.Post([weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->TakeAlerts();
        });
    }

    void TakeAlerts() {
        if (!session) return;
        std::vector<lt::alert*> alerts;
        session->pop_alerts(&alerts);
        for (const lt::alert* alert : alerts) {
            if (const auto* found = lt::alert_cast<lt::dht_get_peers_reply_alert>(alert)) OnReply(*found);
            if (const auto* mapped = lt::alert_cast<lt::portmap_alert>(alert)) OnMapped(*mapped);
            if (const auto* failed = lt::alert_cast<lt::portmap_error_alert>(alert)) OnMapFailed(*failed);
            if (const auto* bound = lt::alert_cast<lt::listen_succeeded_alert>(alert)) {
                if (bound->socket_type == lt::socket_type_t::utp) state.port = static_cast<uint16_t>(bound->port);
            }
            if (const auto* failed = lt::alert_cast<lt::listen_failed_alert>(alert))
                LogWarning("dht", "{}", failed->message());
        }
    }

    void OnReply(const lt::dht_get_peers_reply_alert& reply) {
        const auto key = p2p::DhtKey::FromBytes(AsBytes({reply.info_hash.data(), lt::sha1_hash::size()}));
        std::vector<p2p::Endpoint> endpoints;
        for (const lt::tcp::endpoint& peer : reply.peers()) {
            if (endpoints.size() == kMaxFound) break;
            endpoints.push_back(EndpointOf(peer));
        }
        if (events != nullptr && key && !endpoints.empty()) events->OnFound(*key, endpoints);
    }

    bool IsOurMapping(lt::port_mapping_t mapping) const {
        return std::find(mappings.begin(), mappings.end(), mapping) != mappings.end();
    }
    void OnMapped(const lt::portmap_alert& alert) {
        if (!IsOurMapping(alert.mapping)) return;
        state.mapped_port = static_cast<uint16_t>(alert.external_port);
        state.port_map = "mapped";
        LogInfo("dht", "the router passes port {} on to us", state.mapped_port);
    }
    void OnMapFailed(const lt::portmap_error_alert& alert) {
        if (state.mapped_port == 0 && IsOurMapping(alert.mapping)) state.port_map = alert.error.message();
    }

    Executor& strand;
    const MainlineOptions options;
    std::unique_ptr<lt::session> session;
    p2p::DhtEvents* events{nullptr};
    std::vector<lt::port_mapping_t> mappings;
    p2p::DhtState state;
};

std::vector<std::string> MainlineDht::PublicBootstrap() {
    return {"router.bittorrent.com:6881", "router.utorrent.com:6881", "dht.transmissionbt.com:6881",
            "dht.libtorrent.org:25401"};
}

Result<std::unique_ptr<MainlineDht>> MainlineDht::Start(Executor& strand, const MainlineOptions& options) {
    for (const std::string& node : options.bootstrap) RETURN_IF_ERROR(CheckHostAndPort(node));
    try {
        lt::session_params params = ReadState(options.state);
        params.settings = SettingsOf(options);
        params.settings.set_str(lt::settings_pack::dht_bootstrap_nodes, BootstrapNodes(options, params));
        auto impl = std::make_shared<Impl>(strand, std::move(params), options);
        impl->session->set_alert_notify([weak = std::weak_ptr<Impl>(impl)] {
            if (const auto self = weak.lock()) self->OnAlert();
        });
        impl->OnAlert();  // what came before the notification was set
        return std::unique_ptr<MainlineDht>(new MainlineDht(std::move(impl)));
    } catch (const std::exception& error) {
        return Fail(ErrorKind::kEnvironment, std::string("the DHT cannot start: ") + error.what());
    }
}

MainlineDht::~MainlineDht() {
    // No notification holds the session any more when it ends.
    m_impl->session->set_alert_notify({});
    m_impl->session.reset();
}

void MainlineDht::SetEvents(p2p::DhtEvents& events) { m_impl->events = &events; }

void MainlineDht::Announce(const p2p::DhtKey& key, uint16_t port) {
    if (m_impl->options.join) m_impl->session->dht_announce(HashOf(key), port);
}

void MainlineDht::Find(const p2p::DhtKey& key) {
    if (m_impl->options.join) m_impl->session->dht_get_peers(HashOf(key));
}

void MainlineDht::MapPort(uint16_t port) {
    if (!m_impl->options.map_ports || !m_impl->mappings.empty()) return;
    m_impl->mappings = m_impl->session->add_port_mapping(lt::session::tcp, port, port);
}

p2p::DhtState MainlineDht::State() const {
    p2p::DhtState state = m_impl->state;
    // Asks the library's thread and waits for it: for RPC and tests, not for every message.
    const lt::session_params params = m_impl->session->session_state(lt::session_handle::save_dht_state);
    state.nodes = params.dht_state.nodes.size() + params.dht_state.nodes6.size();
    if (state.port == 0) state.port = m_impl->session->listen_port();
    return state;
}

uint16_t MainlineDht::mapped_port() const { return m_impl->state.mapped_port; }

Bytes MainlineDht::SaveState() const {
    const auto params = m_impl->session->session_state(lt::session_handle::save_dht_state);
    const auto text = lt::write_session_params_buf(params, lt::session_handle::save_dht_state);
    if (text.size() > kMaxStateBytes) return {};
    return Bytes(text.begin(), text.end());
}

}  // namespace sluice::dht
