#include "sim/internet.h"

#include "crypto/hash.h"

namespace sluice::sim {

using p2p::ConnectionId;
using p2p::Endpoint;

microseconds VirtualInternet::DrawLatency() {
    const microseconds range = std::max(m_options.most - m_options.least, microseconds(0));
    return m_options.least + microseconds(m_random.Below(static_cast<uint64_t>(range.count()) + 1));
}

microseconds VirtualInternet::CommonLatency() const {
    const auto window = static_cast<uint64_t>(m_queue.now().time_since_epoch() / m_options.common_for);
    SeededRandom random(m_common_seed + window * 0x9e37'79b9'7f4a'7c15);
    const microseconds range = std::max(m_options.most - m_options.least, microseconds(0));
    return m_options.least + microseconds(random.Below(static_cast<uint64_t>(range.count()) + 1));
}

microseconds VirtualInternet::LossDelay() {
    microseconds delay{0};
    if (m_options.loss <= 0) return delay;
    const auto limit = static_cast<uint64_t>(m_options.loss * 1e9);
    for (microseconds timeout = milliseconds(200); m_random.Below(1'000'000'000) < limit;
         timeout = std::min<microseconds>(timeout * 2, seconds(60)))
        delay += timeout;
    return delay;
}

void VirtualInternet::NoteArrived(const Bytes& bytes) {
    m_bytes_arrived += bytes.size();
    crypto::Sha256 hasher;
    hasher.Write(m_digest.bytes);
    hasher.Write(bytes);
    m_digest = hasher.Finish();
}

void VirtualInternet::Partition(std::set<Endpoint> inside) {
    m_inside = std::move(inside);
    for (const auto& [a, network] : m_networks)
        for (const auto& [b, other] : m_networks)
            if (!Reachable(a, b)) network->Cut(b);
}

VirtualNetwork::VirtualNetwork(VirtualInternet& internet, Endpoint address, EventQueue::Owner owner)
    : m_internet(internet), m_address(address), m_owner(owner) {
    CHECK(m_internet.m_networks.emplace(address, this).second);
}

VirtualNetwork::~VirtualNetwork() {
    for (const auto& [id, link] : m_links) Hang(link);
    m_internet.m_networks.erase(m_address);
}

ConnectionId VirtualNetwork::Connect(const Endpoint& endpoint) {
    const ConnectionId id(++m_last_id);
    m_links[id] = {};
    m_internet.m_queue.Post(m_owner, m_internet.DrawLatency(), [this, id, endpoint] { Dial(id, endpoint); });
    return id;
}

void VirtualNetwork::Dial(ConnectionId id, const Endpoint& endpoint) {
    if (!m_links.contains(id)) return;
    EventQueue& queue = m_internet.m_queue;
    const auto found = m_internet.m_networks.find(endpoint);
    if (found == m_internet.m_networks.end() || !found->second->m_listening ||
        !m_internet.Reachable(m_address, endpoint)) {
        queue.Post(m_owner, m_internet.DrawLatency(), [this, id] { FailDial(id); });
        return;
    }
    VirtualNetwork& to = *found->second;
    const ConnectionId to_id(++to.m_last_id);
    const auto wire = std::make_shared<Wire>();
    wire->latency = m_internet.DrawLatency();
    wire->ends[0].network = this;
    wire->ends[0].id = id;
    wire->ends[1].network = &to;
    wire->ends[1].id = to_id;
    m_links[id] = {wire, 0};
    to.m_links[to_id] = {wire, 1};
    Endpoint remote = m_address;
    remote.port = static_cast<uint16_t>(40'000 + id.value % 20'000);
    queue.Post(to.m_owner, microseconds(0), [&to, to_id, remote] {
        if (to.m_links.contains(to_id)) to.m_events->OnAccepted(to_id, remote);
    });
    queue.Post(m_owner, LatencyOf(*wire), [this, id] {
        if (m_links.contains(id)) m_events->OnConnected(id);
    });
}

microseconds VirtualNetwork::LatencyOf(const Wire& wire) const {
    return m_internet.m_options.kind == LinkOptions::Kind::kCommon ? m_internet.CommonLatency() : wire.latency;
}

void VirtualNetwork::FailDial(ConnectionId id) {
    if (m_links.erase(id) != 0) m_events->OnConnectFailed(id, "nobody answers");
}

Result<Endpoint> VirtualNetwork::Listen(const Endpoint& endpoint) {
    if (endpoint != m_address || m_listening)
        return Fail(ErrorKind::kEnvironment, endpoint.ToString() + " cannot be listened on");
    m_listening = true;
    return endpoint;
}

void VirtualNetwork::Write(ConnectionId id, Bytes bytes) {
    const auto found = m_links.find(id);
    if (found == m_links.end() || !found->second.wire || bytes.empty()) return;
    const auto& wire = found->second.wire;
    const size_t to_side = 1 - found->second.side;
    Wire::End& from = wire->ends[found->second.side];
    const Wire::End& to = wire->ends[to_side];
    if (!to.network) return;
    const Instant now = m_internet.m_queue.now();
    from.pending += bytes.size();
    from.free_at = std::max(from.free_at, now) +
                   microseconds(bytes.size() * 1'000'000 / m_internet.m_options.bytes_per_second + 1);
    from.arrived_at = std::max(from.arrived_at, from.free_at + LatencyOf(*wire) + m_internet.LossDelay());
    m_internet.m_queue.Post(to.network->m_owner, from.arrived_at - now, [wire, to_side, bytes = std::move(bytes)] {
        Wire::End& end = wire->ends[to_side];
        if (!end.network) return;
        end.network->m_internet.NoteArrived(bytes);
        end.unread.insert(end.unread.end(), bytes.begin(), bytes.end());
        Read(wire, to_side);
    });
}

void VirtualNetwork::Read(const std::shared_ptr<Wire>& wire, size_t side) {
    Wire::End& end = wire->ends[side];
    if (!end.network || !end.reading || end.unread.empty()) return;
    const Bytes bytes = std::exchange(end.unread, {});
    Wire::End& from = wire->ends[1 - side];
    from.pending -= bytes.size();
    if (from.network && from.pending <= kLowWaterBytes) {
        from.network->m_internet.m_queue.Post(from.network->m_owner, microseconds(0), [wire, from_side = 1 - side] {
            const Wire::End& writer = wire->ends[from_side];
            if (writer.network && writer.pending <= kLowWaterBytes) writer.network->m_events->OnWritable(writer.id);
        });
    }
    end.network->m_events->OnBytes(end.id, bytes);
}

size_t VirtualNetwork::PendingBytes(ConnectionId id) const {
    const auto found = m_links.find(id);
    return found == m_links.end() || !found->second.wire ? 0 : found->second.wire->ends[found->second.side].pending;
}

void VirtualNetwork::SetReading(ConnectionId id, bool reading) {
    const auto found = m_links.find(id);
    if (found == m_links.end() || !found->second.wire) return;
    const Link link = found->second;
    link.wire->ends[link.side].reading = reading;
    m_internet.m_queue.Post(m_owner, microseconds(0), [link] { Read(link.wire, link.side); });
}

void VirtualNetwork::Close(ConnectionId id) {
    const auto found = m_links.extract(id);
    if (!found.empty()) Hang(found.mapped());
}

void VirtualNetwork::Hang(const Link& link) {
    if (!link.wire) return;
    link.wire->ends[link.side].network = nullptr;
    TellClosed(link.wire, 1 - link.side, "closed by the peer");
}

void VirtualNetwork::TellClosed(const std::shared_ptr<Wire>& wire, size_t side, const std::string& reason) {
    VirtualNetwork* const network = wire->ends[side].network;
    if (!network) return;
    network->m_internet.m_queue.Post(network->m_owner, network->LatencyOf(*wire), [wire, side, network, reason] {
        Wire::End& end = wire->ends[side];
        if (!end.network) return;
        end.network = nullptr;
        network->m_links.erase(end.id);
        network->m_events->OnClosed(end.id, reason);
    });
}

void VirtualNetwork::Cut(const Endpoint& other) {
    for (const auto& [id, link] : m_links) {
        if (!link.wire) continue;
        const Wire::End& end = link.wire->ends[1 - link.side];
        if (end.network && end.network->m_address == other) TellClosed(link.wire, link.side, "the line is dead");
    }
}

}  // namespace sluice::sim
