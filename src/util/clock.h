#pragma once

#include <chrono>
#include <cstdint>

namespace sluice {

// Milliseconds since the Unix epoch, UTC. What slots are counted from.
using UnixMillis = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;
// A monotonic instant. What timeouts and rates are counted from.
using Instant = std::chrono::time_point<std::chrono::steady_clock, std::chrono::microseconds>;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// The only way the node reads time; swapped for a virtual one in simulation and tests.
class Clock {
  public:
    virtual ~Clock() = default;
    virtual UnixMillis Now() const = 0;
    virtual Instant Monotonic() const = 0;
};

// The machine's clocks. Thread-safe.
class SystemClock final : public Clock {
  public:
    UnixMillis Now() const override {
        return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
    }
    Instant Monotonic() const override {
        return std::chrono::time_point_cast<microseconds>(std::chrono::steady_clock::now());
    }
};

// A clock that stands still until it is told to move. Not thread-safe.
class ManualClock final : public Clock {
  public:
    UnixMillis Now() const override { return m_now; }
    Instant Monotonic() const override { return m_monotonic; }
    void Advance(microseconds by) {
        m_monotonic += by;
        m_rest += by;
        m_now += std::chrono::duration_cast<milliseconds>(m_rest);
        m_rest %= milliseconds(1);
    }
    void SetNow(UnixMillis now) { m_now = now; }

  private:
    UnixMillis m_now{};
    Instant m_monotonic{};
    microseconds m_rest{0};
};

}  // namespace sluice
