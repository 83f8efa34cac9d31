#pragma once

#include <map>
#include <set>

#include "content/chunk_store.h"
#include "primitives/ids.h"

// Which chunk to ask of whom: by priority (streaming deadlines), then rarest first, then a tie-break.
//
//   missing --Pick--> requested (by one peer; by up to kMaxRequesters in the endgame) --OnStored--> stored
//      ^------------------ OnReleased (refused, timed out, peer gone, forged) -------'
//
// Endgame: once every missing chunk is requested and at most 1 % (at least one) of all chunks are left, requested
// chunks are given to a second peer. Duplicates that Pick makes are at most 1 % of all chunks, so none in content of
// less than 100.

namespace sluice::content {

class ChunkPicker {
  public:
    static constexpr size_t kMaxRequesters = 2;
    static constexpr uint32_t kNormalPriority = 1'000;

    // Everything is wanted but what `have` has. `tie_salt` 0 breaks ties in chunk order.
    ChunkPicker(const ChunkSet& have, uint64_t tie_salt);

    void AddPeer(PeerId peer, const ChunkSet& has);
    void AddSeed(PeerId peer);     // has everything; costs nothing
    void RemovePeer(PeerId peer);  // its requests are released
    void OnPeerHas(PeerId peer, ChunkIndex chunk);
    // Smaller is sooner. The streaming seam: deadlines in any unit below kNormalPriority.
    void SetPriority(ChunkIndex chunk, uint32_t priority);

    // Up to `count` chunks for `peer`, marked as requested by it.
    std::vector<ChunkIndex> Pick(PeerId peer, size_t count);
    // True if the peer has a chunk that is not stored.
    bool IsUseful(PeerId peer) const;
    void OnReleased(ChunkIndex chunk, PeerId peer);
    // The peers, other than `from`, that it is still asked of: to be cancelled.
    std::vector<PeerId> OnStored(ChunkIndex chunk, PeerId from);

    bool IsStored(ChunkIndex chunk) const { return m_have.Has(chunk); }
    const ChunkSet& have() const { return m_have; }
    bool IsDone() const { return m_have.IsFull(); }
    uint32_t chunks() const { return m_have.size(); }
    uint32_t duplicates() const { return m_duplicates; }
    uint32_t Availability(ChunkIndex chunk) const {
        return m_availability[chunk.value] + static_cast<uint32_t>(m_seeds.size());
    }
    // True if some chunk that is missing is at none of `peers`.
    bool LacksAnywhere(const std::vector<PeerId>& peers) const;

  private:
    struct Place {
        uint32_t priority;
        uint32_t availability;
        uint64_t tie;
        ChunkIndex chunk;
        friend auto operator<=>(const Place&, const Place&) = default;
    };
    Place PlaceOf(ChunkIndex chunk) const;
    bool PeerHas(PeerId peer, ChunkIndex chunk) const;
    bool InEndgame() const;
    void ChangeAvailability(ChunkIndex chunk, int by);

    ChunkSet m_have;
    uint64_t m_tie_salt;
    std::vector<uint32_t> m_availability;         // at peers that are no seeds
    std::map<ChunkIndex, uint32_t> m_priorities;  // other than normal
    std::map<PeerId, ChunkSet> m_partial;
    std::set<PeerId> m_seeds;
    std::set<Place> m_missing;  // not requested
    std::map<ChunkIndex, std::vector<PeerId>> m_requested;
    uint32_t m_duplicates{0};
};

}  // namespace sluice::content
