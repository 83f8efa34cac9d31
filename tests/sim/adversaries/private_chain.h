#pragma once

#include <memory>

#include "chain/chain_manager.h"
#include "storage/memory_disk.h"
#include "util/random.h"

namespace sluice::sim {

// A real chain on a disk of its own, which its holder shows to nobody: what an attack is built on.
class PrivateChain {
  public:
    explicit PrivateChain(const consensus::Genesis& genesis, uint64_t seed = 1);

    // Takes over the active blocks of `from` up to `to`, if they build on ours; stops at the first that does not.
    void Follow(const chain::ChainManager& from, Height to);
    // A block of ours in `slot`, connected; null if none of `keys` leads it.
    BlockRef Extend(const std::vector<consensus::OperatorKeys>& keys, Slot slot);
    // Extends as long as slots last, at most to `until` and to `most` blocks; those made.
    std::vector<BlockRef> ExtendTo(const std::vector<consensus::OperatorKeys>& keys, Slot until,
                                   size_t most = SIZE_MAX);
    bool Accept(const TransactionRef& tx);

    chain::ChainManager& chain() { return *m_chain; }
    const chain::HeaderNode* tip() const { return m_chain->tip(); }
    std::vector<BlockRef> BlocksAfter(Height height) const;

  private:
    UnixMillis TimeOf(Slot slot) const { return m_chain->params().SlotTime(slot); }

    storage::MemoryDisk m_disk;
    std::unique_ptr<chain::ChainManager> m_chain;
};

std::vector<BlockHeader> HeadersOf(const std::vector<BlockRef>& blocks);

// Another header for the same slot by the same staker: its roots are of no block. Signed, so that it counts.
BlockHeader Equivocate(const BlockHash& genesis, const BlockHeader& header, const consensus::OperatorKeys& keys,
                       RandomSource& random);

consensus::OperatorKeys CopyOf(const consensus::OperatorKeys& keys);

}  // namespace sluice::sim
