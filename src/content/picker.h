#pragma once

#include <map>
#include <set>

#include "content/chunk_store.h"
#include "primitives/ids.h"

// Which chunk to ask of whom: urgent ones (streaming deadlines) in their order, then the rarest first.
//
//   missing --Pick--> requested (by one peer; by up to kMaxRequesters if it is hurried) --OnStored--> stored
//      ^------------------ OnReleased (refused, timed out, peer gone, forged) -------'
//
// Endgame: once everything wanted is requested and at most 1 % (at least one) of all chunks are left, requested chunks
// are given to a second peer. Duplicates that Pick makes are at most 1 % of all chunks, so none in content of less than
// 100. PickSecond adds at most 1 % (at least one) for urgent chunks that a slow peer was asked for.
//
// Memory: 10 bytes and 4 bits a chunk, 1 bit more for each peer that has a part: 44 MiB for 1 TiB.

namespace sluice::content {

class ChunkPicker {
  public:
    static constexpr size_t kMaxRequesters = 2;
    static constexpr size_t kMaxUrgent = 1'024;

    // Everything is missing but what `have` has; all of that is wanted if `wants_all`, else what Want and SetUrgent
    // name. Chunks of equal rarity are taken span by span (of 256, whose hashes come together), in an order of spans
    // that `tie_salt` gives; 0 is chunk order.
    ChunkPicker(const ChunkSet& have, uint64_t tie_salt, bool wants_all = true);

    void AddPeer(PeerId peer, const ChunkSet& has);
    void AddSeed(PeerId peer);     // has everything; costs nothing
    void RemovePeer(PeerId peer);  // its requests are released
    void OnPeerHas(PeerId peer, ChunkIndex chunk);

    // These come before all others, soonest first; replaces those of before. kMaxUrgent of them count.
    void SetUrgent(const std::vector<ChunkIndex>& soonest_first);
    const std::vector<ChunkIndex>& urgent() const { return m_urgent; }
    bool IsUrgent(ChunkIndex chunk) const { return m_is_urgent.contains(chunk); }
    // Wants the chunks from `first` to `last`, both included, as well.
    void Want(ChunkIndex first, ChunkIndex last);
    void SetWantsAll(bool wants_all);
    bool IsWanted(ChunkIndex chunk) const { return m_wants_all || m_wanted.Has(chunk) || IsUrgent(chunk); }

    // Up to `count` chunks for `peer`, marked as requested by it. The first ones are urgent ones.
    std::vector<ChunkIndex> Pick(PeerId peer, size_t count);
    // Marks this one as requested by `peer`; false if it is stored, requested or not at the peer.
    bool Take(PeerId peer, ChunkIndex chunk);
    // Marks the chunk as requested by `peer` in addition to the one that was asked; false if it may not be.
    bool PickSecond(PeerId peer, ChunkIndex chunk);
    // True if the peer has a chunk that is wanted and not stored.
    bool IsUseful(PeerId peer) const;
    void OnReleased(ChunkIndex chunk, PeerId peer);
    // The peers, other than `from`, that it is still asked of: to be cancelled.
    std::vector<PeerId> OnStored(ChunkIndex chunk, PeerId from);

    bool PeerHas(PeerId peer, ChunkIndex chunk) const;
    // Who it is asked of; empty if nobody.
    const std::vector<PeerId>& RequestersOf(ChunkIndex chunk) const;
    bool IsStored(ChunkIndex chunk) const { return m_have.Has(chunk); }
    const ChunkSet& have() const { return m_have; }
    bool IsDone() const { return m_have.IsFull(); }
    // Everything wanted is stored.
    bool IsIdle() const;
    bool wants_all() const { return m_wants_all; }
    // Chunks that are wanted, and those of them that are stored.
    uint32_t WantedCount() const;
    uint32_t WantedStored() const;
    uint32_t chunks() const { return m_have.size(); }
    uint32_t duplicates() const { return m_duplicates + m_urgent_duplicates; }
    uint32_t Availability(ChunkIndex chunk) const {
        return m_availability[chunk.value] + static_cast<uint32_t>(m_seeds.size());
    }
    // True if some chunk that is wanted, missing and not requested is at none of `peers`.
    bool LacksAnywhere(const std::vector<PeerId>& peers) const;

    // The invariants of the order; for tests and fuzzing.
    void SanityCheck() const;

  private:
    // m_order holds every chunk once, in levels: 0 are those that are not to be picked (stored, requested or not
    // wanted), level 1 + a those that a peers have which are no seeds, the last one those that more have.
    static constexpr uint32_t kLevels = 64;

    uint32_t LevelOf(ChunkIndex chunk) const {
        return std::min<uint32_t>(m_availability[chunk.value], kLevels - 2) + 1;
    }
    bool Waits(ChunkIndex chunk) const { return m_position[chunk.value] >= m_start[1]; }
    void Move(uint32_t from, uint32_t to);
    void Up(ChunkIndex chunk, uint32_t level);    // from `level` to the one above
    void Down(ChunkIndex chunk, uint32_t level);  // from `level` to the one below
    void Enter(ChunkIndex chunk);
    void Leave(ChunkIndex chunk);
    void ChangeAvailability(ChunkIndex chunk, int by);
    void ForgetPartial(PeerId peer);
    bool InEndgame() const;
    uint32_t Waiting() const { return static_cast<uint32_t>(m_order.size()) - m_start[1]; }

    ChunkSet m_have;
    ChunkSet m_wanted;  // by Want
    bool m_wants_all;
    uint32_t m_wanted_stored{0};           // of m_wanted
    std::vector<uint16_t> m_availability;  // at peers that are no seeds
    std::vector<uint32_t> m_order;
    std::vector<uint32_t> m_position;             // in m_order
    std::array<uint32_t, kLevels + 1> m_start{};  // of each level; the end
    std::vector<ChunkIndex> m_urgent;
    std::set<ChunkIndex> m_is_urgent;
    std::map<PeerId, ChunkSet> m_partial;
    std::set<PeerId> m_seeds;
    std::map<ChunkIndex, std::vector<PeerId>> m_requested;
    uint32_t m_duplicates{0};
    uint32_t m_urgent_duplicates{0};
};

}  // namespace sluice::content
