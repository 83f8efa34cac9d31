#pragma once

#include <algorithm>
#include <cstdint>

#include "util/clock.h"

namespace sluice::p2p {

// Allows `rate_per_s` units a second on average and `burst` at once. What was done is charged afterwards, so the level
// may fall below zero; the debtor then waits until it is back at zero.
class TokenBucket {
  public:
    TokenBucket(int64_t rate_per_s, int64_t burst, Instant now)
        : m_rate_per_s(rate_per_s), m_burst(burst), m_level(burst), m_updated(now) {}

    void Charge(int64_t units, Instant now) {
        Refill(now);
        m_level -= units;
    }
    bool InDebt() const { return m_level < 0; }
    // What may be done at once; negative in debt.
    int64_t Level(Instant now) {
        Refill(now);
        return m_level;
    }
    int64_t rate_per_s() const { return m_rate_per_s; }
    // The same after what was gained until `now`.
    bool InDebt(Instant now) const { return FreeAt(now) > now; }
    // When the debt is paid; `now` if there is none.
    Instant FreeAt(Instant now) const {
        if (m_level >= 0) return now;
        return m_updated + microseconds((-m_level * 1'000'000 + m_rate_per_s - 1) / m_rate_per_s);
    }

  private:
    void Refill(Instant now) {
        if (now <= m_updated) return;
        const int64_t elapsed_us = std::min<int64_t>((now - m_updated).count(), 3'600'000'000);
        // A rate of at most 2^31 units a second keeps this within 64 bits; the rest of a unit is kept in m_rest.
        const int64_t gained = elapsed_us * m_rate_per_s + m_rest;
        m_level = std::min(m_burst, m_level + gained / 1'000'000);
        m_rest = gained % 1'000'000;
        m_updated = now;
    }

    int64_t m_rate_per_s;
    int64_t m_burst;
    int64_t m_level;
    int64_t m_rest{0};
    Instant m_updated;
};

}  // namespace sluice::p2p
