#pragma once

#include <map>
#include <optional>
#include <vector>

#include "primitives/ids.h"
#include "util/clock.h"

// Which of the peers that pay nothing may take chunks: a bounded number of upload slots, so that those who have one get
// chunks at a useful rate. Payers need none.
//
//   - Who asks while a slot is free has it at once.
//   - Each round, all slots but one go to those that gave us most lately, and among equals to those that take fastest.
//   - The optimistic slot goes round among the others, the one that waits longest first, for kOptimisticTurn each: so
//     somebody who has nothing to give yet, or a faster peer, is found.
//   - Who has not asked for kIdle gives the slot back.
//
// Pure; the caller sends the changes.

namespace sluice::content {

class Choker {
  public:
    static constexpr seconds kRound{10};
    static constexpr seconds kOptimisticTurn{30};
    static constexpr seconds kIdle{30};
    static constexpr size_t kMinSlots = 2;

    explicit Choker(size_t slots) : m_slots(slots < kMinSlots ? kMinSlots : slots) {}

    // The peer asks for something free. True if it has a slot (now).
    bool OnRequest(PeerId peer, Instant now);
    // Chunk bytes that it gave us, and took from us.
    void OnGave(PeerId peer, uint64_t bytes) { m_peers[peer].gave += bytes; }
    void OnTook(PeerId peer, uint64_t bytes);
    void OnGone(PeerId peer);

    struct Change {
        PeerId peer;
        bool choked{false};
    };
    // Those that gain or lose a slot now. Losing it by kIdle is no change: the peer does not notice.
    std::vector<Change> Tick(Instant now);

    bool HasSlot(PeerId peer) const;
    std::optional<PeerId> optimistic() const { return m_optimistic; }
    size_t slots() const { return m_slots; }

  private:
    struct Peer {
        uint64_t gave{0};  // halved each round
        uint64_t took{0};  // likewise
        bool has_slot{false};
        bool waits{false};  // asked, and was told to wait
        Instant asked{};
        Instant waits_since{};
    };
    size_t SlotsTaken() const;

    size_t m_slots;
    std::map<PeerId, Peer> m_peers;
    std::optional<PeerId> m_optimistic;
    Instant m_optimistic_since{};
    std::optional<Instant> m_last_round;
};

}  // namespace sluice::content
