#include "node/read_ahead.h"

#include <algorithm>

namespace sluice::node {

using content::ChunkIndex;

void ReadAhead::OnRead(ChunkIndex at, ChunkIndex until) {
    const bool goes_on = m_started && (at == m_at || at == m_at + 1u);
    if (!goes_on)
        m_window = kMinChunks;
    else if (at != m_at)
        m_window = std::min(m_window + 1, kMaxChunks);
    // Only who plays from the start to the end looks for an index there.
    m_reads_tail = m_reads_tail && (goes_on || (!m_started && at == m_first && until == m_last));
    m_started = true;
    m_at = at;
    m_until = until;
}

std::vector<ChunkIndex> ReadAhead::Plan(const std::function<bool(ChunkIndex)>& has) const {
    std::vector<ChunkIndex> plan;
    if (!m_started) return plan;
    const auto want = [&](ChunkIndex chunk) {
        if (!has(chunk) && std::find(plan.begin(), plan.end(), chunk) == plan.end()) plan.push_back(chunk);
    };
    want(m_at);
    if (m_reads_tail) {
        const uint32_t tail = std::min<uint32_t>(kTailChunks, m_last.value - m_first.value + 1);
        for (uint32_t i = 0; i < tail; ++i) want(m_last - (tail - 1 - i));
    }
    for (ChunkIndex chunk = m_at; chunk <= m_until && chunk - m_at <= int64_t{m_window}; ++chunk) want(chunk);
    return plan;
}

}  // namespace sluice::node
