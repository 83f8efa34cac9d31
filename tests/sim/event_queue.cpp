#include "sim/event_queue.h"

#include <algorithm>

namespace sluice::sim {

EventQueue::EventQueue(UnixMillis start) {
    m_clock.Advance(seconds(1'000));  // no instant of a run is the clock's zero
    m_clock.SetNow(start);
}

void EventQueue::Add(Event event) {
    event.order = ++m_last;
    m_events.push_back(std::move(event));
    std::push_heap(m_events.begin(), m_events.end());
}

void EventQueue::Post(Owner owner, microseconds delay, std::function<void()> task) {
    Add({now() + std::max(delay, microseconds(0)), 0, owner, std::move(task)});
}

void EventQueue::PostTimer(Owner owner, milliseconds delay, std::function<void()> task) {
    Instant at = now() + std::max(delay, milliseconds(0));
    if (m_grain.count() != 0) {
        const microseconds::rep grain = m_grain.count();
        at = Instant(microseconds((at.time_since_epoch().count() + grain / 2) / grain * grain));
        if (at <= now()) at += m_grain;
    }
    Add({at, 0, owner, std::move(task)});
}

void EventQueue::Drop(Owner owner) {
    std::erase_if(m_events, [&](const Event& event) { return event.owner == owner; });
    std::make_heap(m_events.begin(), m_events.end());
}

void EventQueue::RunTo(Instant end) {
    while (!m_events.empty() && m_events.front().at <= end) {
        std::pop_heap(m_events.begin(), m_events.end());
        const Event event = std::move(m_events.back());
        m_events.pop_back();
        m_clock.Advance(event.at - now());
        ++m_run;
        event.task();
    }
    m_clock.Advance(end - now());
}

}  // namespace sluice::sim
