#include "node/event_hub.h"

namespace sluice::node {

void EventHub::Publish(std::string topic, std::string subject, std::string detail) {
    {
        const std::lock_guard lock(m_mutex);
        m_events.push_back({++m_last, std::move(topic), std::move(subject), std::move(detail)});
        if (m_events.size() > kKept) m_events.pop_front();
    }
    m_changed.notify_all();
}

uint64_t EventHub::last_sequence() const {
    const std::lock_guard lock(m_mutex);
    return m_last;
}

std::vector<NodeEvent> EventHub::Wait(uint64_t after, milliseconds timeout) const {
    std::unique_lock lock(m_mutex);
    m_changed.wait_for(lock, timeout, [&] { return m_closed || m_last > after; });
    std::vector<NodeEvent> result;
    if (m_events.empty()) return result;
    const uint64_t first = m_events.front().sequence;
    for (size_t i = after < first ? 0 : static_cast<size_t>(after - first + 1); i < m_events.size(); ++i)
        result.push_back(m_events[i]);
    return result;
}

void EventHub::Close() {
    {
        const std::lock_guard lock(m_mutex);
        m_closed = true;
    }
    m_changed.notify_all();
}

}  // namespace sluice::node
