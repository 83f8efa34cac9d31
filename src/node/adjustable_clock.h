#pragma once

#include <atomic>
#include <optional>

#include "util/clock.h"

namespace sluice::node {

// The node's clock: another clock, or, while one is set, a mock time that stands still (regtest's setmocktime and
// generateblocks). The monotonic clock always runs. Thread-safe.
class AdjustableClock final : public Clock {
  public:
    explicit AdjustableClock(const Clock& real) : m_real(real) {}

    UnixMillis Now() const override {
        const int64_t mock = m_mock_ms.load();
        return mock == 0 ? m_real.Now() : UnixMillis(milliseconds(mock));
    }
    Instant Monotonic() const override { return m_real.Monotonic(); }
    // nullopt: back to the real time.
    void SetMock(std::optional<UnixMillis> time) { m_mock_ms = time ? time->time_since_epoch().count() : 0; }
    bool IsMocked() const { return m_mock_ms.load() != 0; }

  private:
    const Clock& m_real;
    std::atomic<int64_t> m_mock_ms{0};
};

}  // namespace sluice::node
