#include <algorithm>

#include "p2p/peer_manager_impl.h"

// Chunks have a connection of their own between two nodes, the bulk lane. Rationale: what the kernels and the line hold
// of a connection is overtaken by nothing, and beside a download that is up to a megabyte; on a connection without
// chunks a block finds it empty.
//
// Who dialled the peer dials its lane, at the same endpoint, with the same handshake, and says bulklane where hello
// would be; the other side says it too. A lane takes no place of a peer, a peer has at most one, and where it cannot be
// had chunks travel as everything else does.

namespace sluice::p2p {

void PeerManager::Impl::DialLane(Peer& peer) {
    if (peer.info.Inbound() || peer.closed || std::exchange(peer.lane_tried, true)) return;
    Peer& lane = AddPeer(network.Connect(peer.info.endpoint), peer.info.endpoint, peer.info.direction);
    lane.lane_of = peer.info.id;
    peer.lane = lane.info.id;
}

void PeerManager::Impl::GreetLane(Peer& lane) {
    const Peer* const peer = Find(*lane.lane_of);
    if (peer == nullptr || peer->info.node_id != lane.info.node_id) {
        Close(lane, "another node answers where a bulk lane was dialled");
        return;
    }
    if (!Send(lane, MessageType::kBulkLane, {})) Close(lane, "all send queues are full");
}

void PeerManager::Impl::BecomeLane(Peer& newcomer) {
    Peer* const peer = FindReady(newcomer.info.node_id, &newcomer);
    if (!newcomer.info.Inbound()) {
        Punish(newcomer, "bulklane on a connection that we dialled");
        return;
    }
    if (peer == nullptr || !peer->info.Inbound() || peer->lane) {
        Close(newcomer, "there is no connection that wants this bulk lane");
        return;
    }
    newcomer.lane_of = peer->info.id;
    peer->lane = newcomer.info.id;
    newcomer.lane_open = true;
    if (!Send(newcomer, MessageType::kBulkLane, {})) Close(newcomer, "all send queues are full");
}

void PeerManager::Impl::HandOver(Peer& lane) {
    if (lane.lane_taken || !network.HasLanes() || !lane.connection->MayRelease()) return;
    lane.lane_taken = true;
    network.TakeLane(lane.connection_id, lane.connection->ReleaseCodec());
}

void PeerManager::Impl::OnLaneMessage(Peer& lane, MessageType type, ByteSpan payload) {
    if (type == MessageType::kPing || type == MessageType::kPong) return;
    if (!lane.lane_open) {
        // Hello comes from whoever accepts a connection, before it hears what this one is.
        if (type == MessageType::kBulkLane) {
            lane.lane_open = true;
        } else if (type != MessageType::kHello) {
            Punish(lane, std::string("a bulk lane is answered with ") + NameOf(type));
        }
        return;
    }
    if (type != MessageType::kContentChunk) {
        Punish(lane, std::string(NameOf(type)) + " on a bulk lane");
        return;
    }
    const Peer* const owner = OwnerOf(lane);
    if (owner != nullptr && owner->ready) events.OnMessage(owner->info.id, type, payload);
}

void PeerManager::Impl::CloseOtherHalf(Peer& peer, const std::string& reason) {
    if (peer.lane) {
        if (Peer* const lane = Find(*peer.lane)) Close(*lane, reason);
    }
    Peer* const owner = peer.lane_of ? Find(*peer.lane_of) : nullptr;
    if (owner == nullptr) return;
    owner->lane.reset();
    if (peer.lane_open) Close(*owner, reason);
}

PeerManager::Impl::Peer* PeerManager::Impl::LaneOf(const Peer& peer) const {
    Peer* const lane = peer.lane ? Find(*peer.lane) : nullptr;
    return lane != nullptr && lane->lane_open ? lane : nullptr;
}

PeerManager::Impl::Peer* PeerManager::Impl::OwnerOf(Peer& peer) const {
    return peer.lane_of ? Find(*peer.lane_of) : &peer;
}

size_t PeerManager::Impl::Lanes() const {
    return static_cast<size_t>(std::count_if(
        peers.begin(), peers.end(), [](const auto& entry) { return entry.second->lane_of && !entry.second->closed; }));
}

PeerInfo PeerManager::Impl::InfoOf(const Peer& peer) const {
    PeerInfo result = peer.info;
    result.ping = peer.connection->ping();
    result.min_ping = peer.connection->min_ping();
    result.last_received = peer.connection->last_received();
    if (const Peer* const lane = LaneOf(peer)) {
        result.bytes_received += lane->info.bytes_received;
        result.bytes_sent += lane->info.bytes_sent;
        result.last_received = std::max(result.last_received, lane->connection->last_received());
        result.last_sent = std::max(result.last_sent, lane->info.last_sent);
    }
    return result;
}

}  // namespace sluice::p2p
