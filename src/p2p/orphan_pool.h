#pragma once

#include <algorithm>
#include <map>
#include <set>

#include "primitives/transaction.h"
#include "util/clock.h"

namespace sluice::p2p {

// Transactions whose parents are missing, bounded in number, size and time. When full, the oldest one of the peer that
// sent most makes room.
class OrphanPool {
  public:
    struct Orphan {
        TransactionRef transaction;
        PeerId peer;
        std::set<Txid> missing;
        Instant expires;
        uint64_t order;
    };

    explicit OrphanPool(size_t limit) : m_limit(limit) {}

    bool Has(const Wtxid& wtxid) const { return m_orphans.contains(wtxid); }
    // Adds it, or says anew what it misses.
    void Put(const TransactionRef& transaction, PeerId peer, const std::vector<Txid>& missing, Instant expires) {
        std::set<Txid> parents(missing.begin(), missing.end());
        if (const auto found = m_orphans.find(transaction->wtxid()); found != m_orphans.end()) {
            found->second.missing = std::move(parents);
            return;
        }
        m_orphans.emplace(transaction->wtxid(), Orphan{transaction, peer, std::move(parents), expires, ++m_order});
        if (m_orphans.size() > m_limit) Evict();
    }
    void Remove(const Wtxid& wtxid) { m_orphans.erase(wtxid); }
    void RemovePeer(PeerId peer) {
        std::erase_if(m_orphans, [&](const auto& entry) { return entry.second.peer == peer; });
    }
    void Expire(Instant now) {
        std::erase_if(m_orphans, [&](const auto& entry) { return now >= entry.second.expires; });
    }
    // Those that miss `parent`, by the order they came.
    std::vector<const Orphan*> ChildrenOf(const Txid& parent) const {
        return InOrder([&](const Orphan& orphan) { return orphan.missing.contains(parent); });
    }
    std::vector<const Orphan*> All() const {
        return InOrder([](const Orphan&) { return true; });
    }
    Instant NextExpiry() const {
        Instant next = Instant::max();
        for (const auto& [wtxid, orphan] : m_orphans) next = std::min(next, orphan.expires);
        return next;
    }
    size_t size() const { return m_orphans.size(); }

  private:
    template <class Wanted>
    std::vector<const Orphan*> InOrder(const Wanted& wanted) const {
        std::vector<const Orphan*> result;
        for (const auto& [wtxid, orphan] : m_orphans) {
            if (wanted(orphan)) result.push_back(&orphan);
        }
        std::sort(result.begin(), result.end(), [](const Orphan* a, const Orphan* b) { return a->order < b->order; });
        return result;
    }
    void Evict() {
        std::map<PeerId, size_t> counts;
        for (const auto& [wtxid, orphan] : m_orphans) ++counts[orphan.peer];
        const PeerId most = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
                                return a.second < b.second;
                            })->first;
        const std::vector<const Orphan*> theirs = InOrder([&](const Orphan& orphan) { return orphan.peer == most; });
        const Wtxid oldest = theirs.front()->transaction->wtxid();
        m_orphans.erase(oldest);
    }

    size_t m_limit;
    uint64_t m_order{0};
    std::map<Wtxid, Orphan> m_orphans;
};

}  // namespace sluice::p2p
