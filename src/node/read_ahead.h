#pragma once

#include <functional>
#include <vector>

#include "content/merkle.h"

namespace sluice::node {

// Which chunks one reader needs next: pure.
//
//   the chunk that is read now, then once the end of what is being played from its start (an mp4 may keep its index
//   there), then what follows: a window that begins small, so that the target of a seek does not wait behind it, and
//   grows with every chunk that is consumed in order.
//
// A reader that stops reading stops the window: nothing beyond it is asked for.
class ReadAhead {
  public:
    static constexpr uint32_t kMinChunks = 4;
    static constexpr uint32_t kMaxChunks = 32;
    static constexpr uint32_t kTailChunks = 2;

    // Of a file in the chunks `first` to `last`.
    ReadAhead(content::ChunkIndex first, content::ChunkIndex last, bool reads_tail)
        : m_first(first), m_last(last), m_at(first), m_until(first), m_reads_tail(reads_tail) {}

    // The reader wants `at` now, and goes on at most to `until`. Precondition: both are of the file.
    void OnRead(content::ChunkIndex at, content::ChunkIndex until);
    // What of it is missing, soonest first.
    std::vector<content::ChunkIndex> Plan(const std::function<bool(content::ChunkIndex)>& has) const;
    uint32_t window() const { return m_window; }
    content::ChunkIndex first() const { return m_first; }
    content::ChunkIndex last() const { return m_last; }

  private:
    content::ChunkIndex m_first, m_last;
    content::ChunkIndex m_at, m_until;
    bool m_reads_tail;
    bool m_started{false};
    uint32_t m_window{kMinChunks};
};

}  // namespace sluice::node
