#pragma once

#include <functional>
#include <vector>

#include "util/clock.h"
#include "util/executor.h"

// Virtual time: one queue of events under every executor of every simulated node.

namespace sluice::sim {

// What is going to happen, by time and then in the order it was posted.
class EventQueue {
  public:
    using Owner = uint64_t;  // whose events these are: one life of a node

    explicit EventQueue(UnixMillis start);
    const Clock& clock() const { return m_clock; }
    Instant now() const { return m_clock.Monotonic(); }
    void Post(Owner owner, microseconds delay, std::function<void()> task);
    // The same for a timer, which may come late or early by half a grain: timers of all nodes then fall on the same few
    // instants, and idle ones cost less. Never at this very instant.
    void PostTimer(Owner owner, milliseconds delay, std::function<void()> task);
    // Zero (at the start): timers are exact.
    void SetTimerGrain(microseconds grain) { m_grain = grain; }
    // Forgets the owner's events, as the end of a process does.
    void Drop(Owner owner);
    // Runs everything that is due up to `end` and leaves the clock there.
    void RunTo(Instant end);
    uint64_t events_run() const { return m_run; }

  private:
    struct Event {
        Instant at;
        uint64_t order{0};
        Owner owner{0};
        std::function<void()> task;
        // For a heap with the first event on top.
        friend bool operator<(const Event& a, const Event& b) { return a.at != b.at ? a.at > b.at : a.order > b.order; }
    };
    void Add(Event event);

    ManualClock m_clock;
    microseconds m_grain{0};
    std::vector<Event> m_events;  // a heap
    uint64_t m_last{0};
    uint64_t m_run{0};
};

class VirtualExecutor final : public Executor {
  public:
    VirtualExecutor(EventQueue& queue, EventQueue::Owner owner) : m_queue(queue), m_owner(owner) {}
    void Post(std::function<void()> task) override { m_queue.Post(m_owner, microseconds(0), std::move(task)); }
    void PostAfter(milliseconds delay, std::function<void()> task) override {
        m_queue.PostTimer(m_owner, delay, std::move(task));
    }

  private:
    EventQueue& m_queue;
    EventQueue::Owner m_owner;
};

// Workers and long tasks. A long task waits for the parts that it hands to the workers: in one thread they have to run
// inside that.
class VirtualWorkers final : public Executor {
  public:
    VirtualWorkers(EventQueue& queue, EventQueue::Owner owner) : m_queue(queue, owner) {}
    void Post(std::function<void()> task) override {
        if (m_inside_long_task)
            task();
        else
            m_queue.Post(std::move(task));
    }
    void PostAfter(milliseconds delay, std::function<void()> task) override {
        m_queue.PostAfter(delay, std::move(task));
    }

    class LongTasks final : public Executor {
      public:
        explicit LongTasks(VirtualWorkers& workers) : m_workers(workers) {}
        void Post(std::function<void()> task) override {
            m_workers.m_queue.Post([this, task = std::move(task)] { Run(task); });
        }
        void PostAfter(milliseconds delay, std::function<void()> task) override {
            m_workers.PostAfter(delay, [this, task = std::move(task)] { Run(task); });
        }

      private:
        void Run(const std::function<void()>& task) {
            m_workers.m_inside_long_task = true;
            task();
            m_workers.m_inside_long_task = false;
        }
        VirtualWorkers& m_workers;
    };

  private:
    VirtualExecutor m_queue;
    bool m_inside_long_task{false};
};

// A machine's clock that is off: by an offset, and by more with each second. Only the time of day is; intervals are
// right.
class SkewedClock final : public Clock {
  public:
    explicit SkewedClock(const Clock& right) : m_right(right), m_since(right.Monotonic()) {}
    void Set(milliseconds offset, double drift_ppm) {
        m_offset = offset;
        m_drift_ppm = drift_ppm;
        m_since = m_right.Monotonic();
    }
    UnixMillis Now() const override {
        const auto drift_us = static_cast<double>((m_right.Monotonic() - m_since).count()) * m_drift_ppm * 1e-6;
        return m_right.Now() + m_offset + milliseconds(static_cast<int64_t>(drift_us / 1000));
    }
    Instant Monotonic() const override { return m_right.Monotonic(); }

  private:
    const Clock& m_right;
    milliseconds m_offset{0};
    double m_drift_ppm{0};
    Instant m_since;
};

}  // namespace sluice::sim
