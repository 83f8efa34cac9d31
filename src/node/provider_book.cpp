#include "node/provider_book.h"

#include <algorithm>

#include "p2p/dial_budget.h"

namespace sluice::node {

using p2p::Endpoint;
using p2p::NodeId;

namespace {

constexpr seconds kTick{1};
constexpr double kSmoothing = 0.3;  // of a new interval in a rate
constexpr seconds kDeliversLately{30};

seconds DelayAfter(uint32_t failures) {
    if (failures >= ProviderBook::kMaxFailures) return ProviderBook::kRest;
    return ProviderBook::kRetryDelay * (int64_t{1} << failures);
}

}  // namespace

const char* NameOf(ProviderSource source) {
    switch (source) {
        case ProviderSource::kPeer:
            return "peer";
        case ProviderSource::kLan:
            return "lan";
        case ProviderSource::kClaim:
            return "claim";
        case ProviderSource::kExchange:
            return "exchange";
        case ProviderSource::kDht:
            return "dht";
    }
    return "unknown";
}

ProviderBook::Record& ProviderBook::RecordOf(const NodeId& node) {
    if (!m_records.contains(node) && m_records.size() >= kMaxRecords) {
        const auto oldest = std::min_element(m_records.begin(), m_records.end(), [](const auto& a, const auto& b) {
            return a.second.last_delivery < b.second.last_delivery;
        });
        m_records.erase(oldest);
    }
    return m_records[node];
}

const ProviderBook::Record* ProviderBook::FindRecord(const NodeId& node) const {
    const auto found = m_records.find(node);
    return found == m_records.end() ? nullptr : &found->second;
}

const ProviderBook::Peer* ProviderBook::FindPeer(const Endpoint& endpoint) const {
    for (const auto& [id, peer] : m_peers)
        if (peer.endpoint == endpoint) return &peer;
    return nullptr;
}

void ProviderBook::Want(const ContentId& content, Instant now) {
    if (m_wants.contains(content) || m_wants.size() >= kMaxWants) return;
    Wanted& want = m_wants[content];
    want.dial_window = now;
    want.next_search = now;
    m_next_tick = now;
}

void ProviderBook::Unwant(const ContentId& content, Instant now) {
    if (m_wants.erase(content) != 0) m_next_tick = now;
}

void ProviderBook::OnHeard(const ContentId& content, ProviderSource source, const std::vector<Endpoint>& endpoints,
                           Instant now) {
    AddCandidates(content, source, {}, endpoints, now);
}

void ProviderBook::OnTold(PeerId id, const ContentId& content, const std::vector<Endpoint>& endpoints, Instant now) {
    const auto peer = m_peers.find(id);
    if (peer == m_peers.end()) return;
    const auto asked = peer->second.asked.find(content);
    if (asked == peer->second.asked.end() || now >= asked->second + kAnswerTime) return;
    AddCandidates(content, ProviderSource::kExchange, id, endpoints, now);
}

// A place that is full takes nothing new from the same ip or teller; as a whole it gives up who failed most, or else
// one of a lesser source.
bool ProviderBook::MakeRoomFor(Wanted& want, const Endpoint& endpoint, ProviderSource source,
                               const std::optional<PeerId>& teller) {
    size_t same_ip = 0;
    size_t same_teller = 0;
    auto worst = want.candidates.end();
    for (auto it = want.candidates.begin(); it != want.candidates.end(); ++it) {
        const Candidate& candidate = it->second;
        same_ip += it->first.ip == endpoint.ip;
        same_teller += teller && candidate.teller == teller;
        if (worst == want.candidates.end() ||
            std::pair(candidate.failures, candidate.source) > std::pair(worst->second.failures, worst->second.source))
            worst = it;
    }
    if (same_teller >= kMaxCandidatesOfTeller) return false;
    if (same_ip >= kMaxCandidatesPerIp && !endpoint.IsLoopback()) return false;
    if (want.candidates.size() < kMaxCandidates) return true;
    if (worst->second.failures == 0 && worst->second.source <= source) return false;
    want.candidates.erase(worst);
    return true;
}

void ProviderBook::AddCandidates(const ContentId& content, ProviderSource source, std::optional<PeerId> teller,
                                 const std::vector<Endpoint>& endpoints, Instant now) {
    const auto want = m_wants.find(content);
    if (want == m_wants.end()) return;
    for (const Endpoint& endpoint : endpoints) {
        if (!p2p::IsDialable(endpoint, m_allow_local || source == ProviderSource::kLan)) continue;
        if (want->second.candidates.contains(endpoint) || !MakeRoomFor(want->second, endpoint, source, teller))
            continue;
        want->second.candidates[endpoint] = {source, teller, {}, 0, now};
        m_next_tick = now;
    }
}

void ProviderBook::OnPeerReady(PeerId id, const p2p::PeerInfo& info, Instant now) {
    Peer& peer = m_peers[id];
    peer.node = info.node_id;
    const auto listening = info.Listening();
    peer.listens = listening.has_value();
    peer.endpoint = info.Inbound() ? listening.value_or(Endpoint{}) : info.endpoint;
    peer.is_provider = info.direction == p2p::Direction::kProvider;
    peer.speaks_content = (info.hello.services & p2p::services::kContent) != 0;
    peer.since = peer.last_needed = peer.interval_start = now;
    m_dialling.erase(info.endpoint);
    for (auto& [content, want] : m_wants) {
        const auto candidate = want.candidates.find(peer.endpoint);
        if (candidate != want.candidates.end()) {
            candidate->second.failures = 0;
            candidate->second.node = peer.node;
            peer.source = candidate->second.source;
        }
        if (NeedsMore(content, now)) Ask(id, peer, content, now);
    }
    m_next_tick = now;
}

void ProviderBook::OnPeerGone(PeerId id, bool at_fault, Instant now) {
    const auto found = m_peers.find(id);
    if (found == m_peers.end()) return;
    const Peer& peer = found->second;
    if (at_fault) ++RecordOf(peer.node).failures;
    for (auto& [content, want] : m_wants) {
        const auto candidate = want.candidates.find(peer.endpoint);
        if (candidate == want.candidates.end()) continue;
        // A connection that served ends for its own reasons; one that did not is no better the next time.
        const bool failed = at_fault || !peer.serves.contains(content);
        if (failed) candidate->second.failures = at_fault ? kMaxFailures : candidate->second.failures + 1;
        candidate->second.next_dial = now + DelayAfter(candidate->second.failures);
    }
    m_peers.erase(found);
    m_dropping.erase(id);
    if (!m_wants.empty()) m_next_tick = now;
}

void ProviderBook::OnDialEnded(const Endpoint& endpoint, const std::optional<NodeId>& node, Instant now) {
    m_dialling.erase(endpoint);
    for (auto& [content, want] : m_wants) {
        const auto found = want.candidates.find(endpoint);
        if (found == want.candidates.end()) continue;
        Candidate& candidate = found->second;
        candidate.node = node;  // somebody: connected to us in another way
        candidate.failures = node ? 0 : candidate.failures + 1;
        candidate.next_dial = now + DelayAfter(candidate.failures);
    }
    if (!m_wants.empty()) m_next_tick = now;
}

void ProviderBook::OnDialRefused(const Endpoint& endpoint, Instant now) {
    m_dialling.erase(endpoint);
    for (auto& [content, want] : m_wants) {
        const auto found = want.candidates.find(endpoint);
        if (found != want.candidates.end()) found->second.next_dial = now + kRetryDelay;
    }
}

void ProviderBook::OnHave(PeerId id, const ContentId& content, bool serves, Instant now) {
    const auto found = m_peers.find(id);
    if (found == m_peers.end()) return;
    Peer& peer = found->second;
    if (!serves) {
        peer.serves.erase(content);
    } else if (peer.serves.size() < kMaxContentsOfPeer) {
        peer.serves.insert(content);
        if (IsWanted(content)) peer.last_needed = now;
    }
}

void ProviderBook::OnDelivered(PeerId id, const ContentId& content, uint64_t bytes, Instant now) {
    const auto found = m_peers.find(id);
    if (found == m_peers.end()) return;
    Peer& peer = found->second;
    peer.interval_bytes += bytes;
    peer.last_needed = now;
    Record& record = RecordOf(peer.node);
    record.delivered_bytes += bytes;
    record.last_delivery = now;
    record.endpoint = peer.listens ? peer.endpoint : Endpoint{};
    if (record.delivered.size() < kMaxContentsOfPeer) record.delivered.insert(content);
}

void ProviderBook::OnTook(PeerId id, Instant now) {
    const auto found = m_peers.find(id);
    if (found != m_peers.end()) found->second.last_needed = now;
}

std::vector<Endpoint> ProviderBook::Serving(const ContentId& content, size_t limit, Instant now) const {
    std::vector<std::pair<double, Endpoint>> serving;
    std::set<NodeId> connected;
    for (const auto& [id, peer] : m_peers) {
        connected.insert(peer.node);
        if (!peer.listens || !peer.serves.contains(content)) continue;
        const Record* const record = FindRecord(peer.node);
        serving.emplace_back(record == nullptr ? 0 : record->bytes_per_s, peer.endpoint);
    }
    for (const auto& [node, record] : m_records) {
        if (connected.contains(node) || record.endpoint.port == 0 || record.failures > 0) continue;
        if (now < record.last_delivery + kRemembered && record.delivered.contains(content))
            serving.emplace_back(record.bytes_per_s, record.endpoint);
    }
    std::stable_sort(serving.begin(), serving.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<Endpoint> result;
    for (size_t i = 0; i < std::min(limit, serving.size()); ++i) result.push_back(serving[i].second);
    return result;
}

std::vector<ProviderView> ProviderBook::Views(const ContentId& content) const {
    std::vector<ProviderView> views;
    std::set<Endpoint> shown;
    const auto judge = [&](ProviderView& view) {
        const Record* const record = view.node ? FindRecord(*view.node) : nullptr;
        if (record == nullptr) return;
        view.delivered_bytes = record->delivered_bytes;
        view.bytes_per_s = static_cast<uint64_t>(record->bytes_per_s);
        view.failures += record->failures;
    };
    const auto want = m_wants.find(content);
    for (const auto& [id, peer] : m_peers) {
        const bool named = want != m_wants.end() && want->second.candidates.contains(peer.endpoint);
        if (!named && !peer.serves.contains(content)) continue;
        ProviderView view;
        view.endpoint = peer.endpoint;
        view.source = named ? want->second.candidates.at(peer.endpoint).source : peer.source;
        view.node = peer.node;
        view.peer = id;
        view.serves = peer.serves.contains(content);
        view.state = "connected";
        judge(view);
        views.push_back(view);
        shown.insert(peer.endpoint);
    }
    if (want == m_wants.end()) return views;
    for (const auto& [endpoint, candidate] : want->second.candidates) {
        if (shown.contains(endpoint)) continue;
        ProviderView view;
        view.endpoint = endpoint;
        view.source = candidate.source;
        view.node = candidate.node;
        view.failures = candidate.failures;
        view.state = m_dialling.contains(endpoint)        ? "dialling"
                     : candidate.failures >= kMaxFailures ? "failed"
                                                          : "waiting";
        judge(view);
        views.push_back(view);
    }
    return views;
}

std::vector<ContentId> ProviderBook::Purposes(PeerId id) const {
    std::vector<ContentId> purposes;
    const auto found = m_peers.find(id);
    if (found == m_peers.end()) return purposes;
    for (const auto& [content, want] : m_wants)
        if (found->second.serves.contains(content) || want.candidates.contains(found->second.endpoint))
            purposes.push_back(content);
    return purposes;
}

std::optional<Endpoint> ProviderBook::ListeningOf(PeerId id) const {
    const auto found = m_peers.find(id);
    if (found == m_peers.end() || !found->second.listens) return std::nullopt;
    return found->second.endpoint;
}

std::vector<PeerId> ProviderBook::SomePeers(size_t limit) const {
    std::vector<PeerId> peers;
    for (const auto& [id, peer] : m_peers)
        if (peer.speaks_content) peers.push_back(id);
    for (size_t i = 0; i < std::min(limit, peers.size()); ++i)
        std::swap(peers[i], peers[i + m_random.Below(peers.size() - i)]);
    peers.resize(std::min(limit, peers.size()));
    return peers;
}

bool ProviderBook::NeedsMore(const ContentId& content, Instant now) const {
    size_t deliver = 0;
    for (const auto& [id, peer] : m_peers) {
        if (!peer.serves.contains(content)) continue;
        const Record* const record = FindRecord(peer.node);
        deliver += record != nullptr && now < record->last_delivery + kDeliversLately;
    }
    return deliver < kEnoughProviders;
}

void ProviderBook::Ask(PeerId id, Peer& peer, const ContentId& content, Instant now) {
    if (!peer.speaks_content) return;
    const auto asked = peer.asked.find(content);
    if (asked != peer.asked.end() && now < asked->second + kSearchInterval) return;
    std::erase_if(peer.asked, [&](const auto& entry) { return now >= entry.second + kSearchInterval; });
    if (peer.asked.size() >= kMaxContentsOfPeer) return;
    peer.asked[content] = now;
    m_actions.push_back(AskPeer{id, content});
}

void ProviderBook::Search(const ContentId& content, Wanted& want, Instant now) {
    want.next_search = now + kSearchInterval;
    m_actions.push_back(SearchLan{content});
    m_actions.push_back(SearchDht{content});
    for (const PeerId id : SomePeers(kAskedPeers)) Ask(id, m_peers.at(id), content, now);
}

// Those that delivered before by their rate, then by who told of them (the LAN, the publisher, peers, the DHT), each in
// random order.
std::vector<Endpoint> ProviderBook::BestFirst(const Wanted& want, Instant now) const {
    struct Ranked {
        double rate;
        ProviderSource source;
        uint64_t random;
        Endpoint endpoint;
    };
    std::vector<Ranked> ranked;
    for (const auto& [endpoint, candidate] : want.candidates) {
        if (now < candidate.next_dial) continue;
        if (m_dialling.contains(endpoint) || FindPeer(endpoint) != nullptr) continue;
        const Record* const record = candidate.node ? FindRecord(*candidate.node) : nullptr;
        if (record != nullptr && record->failures >= kMaxFailures) continue;
        ranked.push_back({record ? record->bytes_per_s : 0, candidate.source, m_random.Uint64(), endpoint});
    }
    std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
        return std::tuple(-a.rate, a.source, a.random) < std::tuple(-b.rate, b.source, b.random);
    });
    std::vector<Endpoint> result;
    for (const Ranked& one : ranked) result.push_back(one.endpoint);
    return result;
}

void ProviderBook::DialFor(const ContentId& content, Wanted& want, Instant now) {
    if (now >= want.dial_window + kDialWindow) {
        want.dial_window = now;
        want.dials = 0;
    }
    for (const Endpoint& endpoint : BestFirst(want, now)) {
        if (m_dialling.size() >= kDialsAtOnce || !NeedsMore(content, now)) return;
        if (ProviderConnections() + m_dialling.size() >= m_max_connections && !DropWorst(now)) return;
        if (!m_is_verified(endpoint)) {
            if (want.dials >= kDialsPerWant) continue;
            ++want.dials;
        }
        m_dialling.insert(endpoint);
        m_actions.push_back(DialProvider{endpoint, want.candidates.at(endpoint).source == ProviderSource::kLan});
    }
}

size_t ProviderBook::ProviderConnections() const {
    return static_cast<size_t>(std::count_if(m_peers.begin(), m_peers.end(), [&](const auto& entry) {
        return entry.second.is_provider && !m_dropping.contains(entry.first);
    }));
}

void ProviderBook::Judge(Instant now) {
    for (auto& [id, peer] : m_peers) {
        const auto elapsed = now - peer.interval_start;
        if (elapsed < kRateInterval) continue;
        const bool needed = std::any_of(peer.serves.begin(), peer.serves.end(),
                                        [&](const ContentId& content) { return IsWanted(content); });
        if (needed || peer.interval_bytes > 0) {
            Record& record = RecordOf(peer.node);
            const double rate = static_cast<double>(peer.interval_bytes) * 1e6 / static_cast<double>(elapsed.count());
            record.bytes_per_s += (rate - record.bytes_per_s) * (record.bytes_per_s == 0 ? 1 : kSmoothing);
        }
        peer.interval_bytes = 0;
        peer.interval_start = now;
    }
}

void ProviderBook::DropUseless(Instant now) {
    for (auto& [id, peer] : m_peers) {
        if (!peer.is_provider || m_dropping.contains(id)) continue;
        const bool serves_wanted = std::any_of(peer.serves.begin(), peer.serves.end(),
                                               [&](const ContentId& content) { return IsWanted(content); });
        if (serves_wanted) peer.last_needed = std::max(peer.last_needed, now - kRateInterval);
        std::string reason;
        if (!Purposes(id).empty() && !serves_wanted && now >= peer.since + kPatience &&
            now >= peer.last_needed + kPatience) {
            reason = "has nothing of what we fetch";
        } else if (!serves_wanted && now >= peer.last_needed + kLinger) {
            reason = "is not needed as a provider any more";
        }
        if (reason.empty()) continue;
        m_dropping.insert(id);
        m_actions.push_back(DropProvider{id, reason});
    }
}

// The slowest of those that had their trial, if it gives less than a quarter of the average.
bool ProviderBook::DropWorst(Instant now) {
    std::optional<PeerId> worst;
    double worst_rate = 0;
    double sum = 0;
    size_t count = 0;
    for (const auto& [id, peer] : m_peers) {
        if (!peer.is_provider || m_dropping.contains(id) || now < peer.since + kTrial) continue;
        const Record* const record = FindRecord(peer.node);
        const double rate = record == nullptr ? 0 : record->bytes_per_s;
        sum += rate;
        ++count;
        if (!worst || rate < worst_rate) {
            worst = id;
            worst_rate = rate;
        }
    }
    if (!worst || (worst_rate > 0 && worst_rate * 4 * static_cast<double>(count) >= sum)) return false;
    m_dropping.insert(*worst);
    m_actions.push_back(DropProvider{*worst, "is the slowest provider, and others wait for its place"});
    return true;
}

void ProviderBook::Tick(Instant now) {
    if (!m_next_tick || now < *m_next_tick) return;
    Judge(now);
    DropUseless(now);
    for (auto& [content, want] : m_wants) {
        if (!NeedsMore(content, now)) continue;
        if (now >= want.next_search) Search(content, want, now);
        DialFor(content, want, now);
    }
    const bool providers =
        std::any_of(m_peers.begin(), m_peers.end(), [](const auto& entry) { return entry.second.is_provider; });
    m_next_tick = m_wants.empty() && !providers ? std::nullopt : std::optional(now + kTick);
}

}  // namespace sluice::node
