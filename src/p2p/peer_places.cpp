#include <algorithm>

#include "crypto/hash.h"
#include "p2p/peer_manager_impl.h"

// Who has the places for inbound connections. When they are all taken, a new connection gets that of another one, so
// that nobody keeps everybody else out by being first; some keep theirs by what an attacker cannot have much of:
// addresses in groups that he cannot foresee, short round trips, time.

namespace sluice::p2p {
namespace {

constexpr size_t kKeptByGroup = 4;
constexpr size_t kKeptByPing = 8;
// Of the rest the half that is here for the longest.

}  // namespace

bool PeerManager::Impl::HasPlaceForInbound() const {
    const auto inbound = std::count_if(peers.begin(), peers.end(), [](const auto& entry) {
        return entry.second->info.Inbound() && !entry.second->closed && !entry.second->lane_of;
    });
    const size_t reserved = std::min(config.max_outbound, config.max_peers / 2);
    return static_cast<size_t>(inbound) < config.max_peers - reserved && ChainConnections() < config.max_peers;
}

bool PeerManager::Impl::MakePlaceForInbound(const Endpoint& remote) {
    const auto same_ip = std::count_if(peers.begin(), peers.end(), [&](const auto& entry) {
        return entry.second->info.Inbound() && !entry.second->closed && !entry.second->lane_of &&
               entry.second->info.endpoint.ip == remote.ip;
    });
    if (!remote.IsLoopback() && static_cast<size_t>(same_ip) >= config.max_inbound_per_ip) return false;
    if (HasPlaceForInbound()) return true;
    Peer* const least = LeastOfInbound();
    if (least == nullptr) return false;
    Close(*least, "its place is another one's: all are taken");
    return HasPlaceForInbound();
}

// The newest of the group that has the most of those who may go; nullptr if all keep their places.
PeerManager::Impl::Peer* PeerManager::Impl::LeastOfInbound() {
    if (!place_secret) place_secret = random.Array<32>();
    struct Candidate {
        Peer* peer;
        uint32_t group;
        crypto::Hash256 rank;
    };
    std::vector<Candidate> candidates;  // the oldest first
    for (const auto& [id, peer] : peers) {
        if (!peer->info.Inbound() || peer->closed || peer->lane_of) continue;
        const uint32_t group = AddressBook::GroupOf(peer->info.endpoint);
        const std::array<uint8_t, 4> bytes{static_cast<uint8_t>(group), static_cast<uint8_t>(group >> 8),
                                           static_cast<uint8_t>(group >> 16), static_cast<uint8_t>(group >> 24)};
        candidates.push_back({peer.get(), group, crypto::Sha256().Write(*place_secret).Write(bytes).Finish()});
    }
    const auto keep = [&](size_t count) {
        candidates.erase(candidates.begin(),
                         candidates.begin() + static_cast<ptrdiff_t>(std::min(count, candidates.size())));
    };
    const auto by_age = [](const Candidate& a, const Candidate& b) { return a.peer->info.id < b.peer->info.id; };
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.rank < b.rank; });
    keep(kKeptByGroup);
    std::sort(candidates.begin(), candidates.end(), by_age);
    const auto ping_of = [](const Candidate& candidate) -> microseconds {
        const auto& connection = candidate.peer->connection;
        const auto ping = connection ? connection->min_ping() : std::nullopt;
        return ping.value_or(microseconds::max());
    };
    std::stable_sort(candidates.begin(), candidates.end(),
                     [&](const Candidate& a, const Candidate& b) { return ping_of(a) < ping_of(b); });
    keep(std::min<size_t>(
        kKeptByPing, static_cast<size_t>(std::count_if(candidates.begin(), candidates.end(), [&](const Candidate& one) {
            return ping_of(one) != microseconds::max();
        }))));
    std::sort(candidates.begin(), candidates.end(), by_age);
    keep((candidates.size() + 1) / 2);
    std::map<uint32_t, size_t> sizes;
    for (const Candidate& one : candidates) ++sizes[one.group];
    Peer* least = nullptr;
    size_t most = 0;
    for (const Candidate& one : candidates) {
        if (sizes.at(one.group) < most) continue;
        most = sizes.at(one.group);
        least = one.peer;
    }
    return least;
}

}  // namespace sluice::p2p
