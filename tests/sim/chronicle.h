#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "node/node.h"

// What happened in a simulated world, told by every honest node as it happens, and whether the invariants held.

namespace sluice::sim {

// What is checked, at each block that an honest node connects or disconnects:
//  1. blocks leave and join at the end of the node's chain only, each naming the one before;
//  2. money is conserved to the drop, and the coins' values sum up to what the totals say;
//  3. no honest staker has two headers for one slot.
class Chronicle {
  public:
    struct BlockNote {
        BlockHash prev;
        Height height;
        Slot slot;
        StakerId staker;
        Instant first_seen{};  // connected by any honest node
        size_t seen_by{0};     // how often a node connected it
    };

    // A node begins a life, with the chain that its disk holds.
    void OnLife(size_t node, const chain::ChainManager& chain);
    void OnTipChanged(size_t node, const chain::TipChange& change, const chain::ChainManager& chain, Instant now,
                      UnixMillis right_time);
    // Headers of these may be two for a slot.
    void AddAdversary(const StakerId& staker) { m_adversaries.insert(staker); }
    bool IsAdversary(const StakerId& staker) const { return m_adversaries.contains(staker); }

    void Fail(std::string what);
    uint64_t failures() const { return m_failures; }
    const std::vector<std::string>& failure_texts() const { return m_failure_texts; }  // the first ones

    const std::map<BlockHash, BlockNote>& blocks() const { return m_blocks; }  // that any honest node ever connected
    const std::vector<BlockHash>& chain_of(size_t node) const { return m_lives.at(node).active; }  // from genesis
    uint64_t max_reorg_depth() const { return m_max_reorg_depth; }
    // How often a node left its branch, by the blocks that it gave up.
    const std::map<uint64_t, uint64_t>& reorgs() const { return m_reorgs; }
    // Of blocks that came from another node, when they came: time and slot starts since the start of their slot.
    struct Propagation {
        uint64_t arrivals{0};
        double seconds_sum{0};
        double unseen_slots_sum{0};
    };
    const Propagation& propagation() const { return m_propagation; }
    // Every tip of every node, in order.
    const Hash256& trace() const { return m_trace; }

  private:
    struct Life {
        std::vector<BlockHash> active;
        consensus::LedgerTotals totals;
        uint64_t coins_drops{0};  // by the blocks' undo data
    };
    void Connect(size_t node, Life& life, const chain::ConnectedBlock& block, const consensus::Params& params,
                 Instant now, UnixMillis right_time);
    void CheckMoney(size_t node, Life& life, const consensus::StateDelta& delta, bool forward);

    std::map<size_t, Life> m_lives;
    std::map<BlockHash, BlockNote> m_blocks;
    std::map<std::pair<StakerId, Slot>, BlockHash> m_headers;
    std::set<StakerId> m_adversaries;
    std::map<uint64_t, uint64_t> m_reorgs;
    uint64_t m_max_reorg_depth{0};
    Propagation m_propagation;
    uint64_t m_failures{0};
    std::vector<std::string> m_failure_texts;
    Hash256 m_trace;
};

// What the blocks of a node's chain leave, from their transactions alone. Reads every block.
struct Recount {
    uint64_t drops{0};                    // of all coins
    std::map<StakerId, uint64_t> staked;  // drops of the coins staked with each id
};
Result<Recount> RecountCoins(const chain::ChainManager& chain);

}  // namespace sluice::sim
