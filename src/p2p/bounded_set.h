#pragma once

#include <cstddef>
#include <deque>
#include <set>

namespace sluice::p2p {

// The last `limit` distinct hashes that were added; the oldest one makes room.
template <class Hash>
class BoundedSet {
  public:
    explicit BoundedSet(size_t limit) : m_limit(limit) {}

    // False if it is in already.
    bool Add(const Hash& hash) {
        if (!m_set.insert(hash).second) return false;
        m_order.push_back(hash);
        if (m_order.size() > m_limit) {
            m_set.erase(m_order.front());
            m_order.pop_front();
        }
        return true;
    }
    bool Has(const Hash& hash) const { return m_set.contains(hash); }
    void Clear() {
        m_set.clear();
        m_order.clear();
    }
    size_t size() const { return m_set.size(); }

  private:
    size_t m_limit;
    std::set<Hash> m_set;  // ordered: peers choose the bytes, and would choose them to collide
    std::deque<Hash> m_order;
};

}  // namespace sluice::p2p
