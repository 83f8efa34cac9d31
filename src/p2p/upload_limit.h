#pragma once

#include <map>
#include <optional>
#include <set>

#include "p2p/identity.h"
#include "p2p/token_bucket.h"
#include "util/bandwidth.h"

namespace sluice::p2p {

// The operator's limits on bulk data to peers, and the peers that wait for their turn under them. Peers take turns, a
// share each, so that one with a long queue does not keep the others waiting. Bytes are those of frames on the wire.
//
// What was sent is charged afterwards, so a limit below a frame a second holds on average too.
class UploadLimit {
  public:
    // A peer sends at most this at once before the next one's turn.
    static constexpr int64_t kMaxShareBytes = 64 << 10;

    // From the next Update on.
    void Set(BandwidthSchedule all, BandwidthSchedule per_peer);
    const BandwidthSchedule& all() const { return m_all_schedule; }
    const BandwidthSchedule& per_peer() const { return m_per_peer_schedule; }
    // Puts the rates of this minute in force.
    void Update(MinuteOfDay minute, Instant now);
    // Whether any limit is in force; otherwise nobody has to wait.
    bool IsLimiting() const { return m_all || m_per_peer_rate; }

    // A peer has bulk data that it could send now.
    void Wait(PeerId peer) { m_waiting.insert(peer); }
    // It has not, or is gone for good with `forget`.
    void Leave(PeerId peer, bool forget = false);
    // Who is next to send, and how many bytes (a frame that begins within them may end after them); none before
    // NextAt().
    struct Turn {
        PeerId peer;
        size_t bytes{0};
    };
    std::optional<Turn> Next(Instant now);
    void Sent(PeerId peer, size_t bytes, Instant now);
    // Everybody who waits, and nobody does any more: the limits are gone.
    std::set<PeerId> TakeWaiting() { return std::exchange(m_waiting, {}); }
    // When Next will have somebody; nullopt if nobody waits.
    std::optional<Instant> NextAt(Instant now) const;

  private:
    TokenBucket* BucketOf(PeerId peer, Instant now);

    BandwidthSchedule m_all_schedule;
    BandwidthSchedule m_per_peer_schedule;
    std::optional<TokenBucket> m_all;
    std::optional<int64_t> m_per_peer_rate;
    std::map<PeerId, TokenBucket> m_peers;  // those that sent lately under a limit of their own
    std::set<PeerId> m_waiting;
    PeerId m_last;  // who sent last
};

}  // namespace sluice::p2p
