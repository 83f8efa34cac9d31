#pragma once

#include <list>

#include "chain/header_tree.h"

namespace sluice::chain {

// The electorates used lately, so that weights are added up and thresholds computed once for each (snapshot, epoch,
// staker). Chain worker.
class Electorates {
  public:
    explicit Electorates(const consensus::Params& params) : m_params(params) {}

    // Stays valid until kMax - 1 others were asked for. Precondition: `snapshot` elects `epoch`.
    consensus::Electorate& Of(const SnapshotRef& snapshot, Epoch epoch) {
        for (auto it = m_used.begin(); it != m_used.end(); ++it) {
            if (it->electorate.epoch() != epoch || it->snapshot->stake.block != snapshot->stake.block) continue;
            m_used.splice(m_used.begin(), m_used, it);
            return m_used.front().electorate;
        }
        if (m_used.size() >= kMax) m_used.pop_back();
        m_used.emplace_front(m_params, snapshot, epoch);
        return m_used.front().electorate;
    }
    static constexpr size_t kMax = 8;

  private:
    struct Entry {
        Entry(const consensus::Params& params, SnapshotRef of, Epoch epoch)
            : snapshot(std::move(of)), electorate(params, snapshot->stake, epoch) {}
        SnapshotRef snapshot;
        consensus::Electorate electorate;
    };
    const consensus::Params& m_params;
    std::list<Entry> m_used;
};

}  // namespace sluice::chain
