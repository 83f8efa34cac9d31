#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "node/fetch_limits.h"
#include "util/clock.h"
#include "util/random.h"

namespace sluice::node {

// Capabilities to read one claim through the content gateway, for programs that cannot send credentials (a <video>
// element, a player): 32 random bytes as hexadecimal, good for one claim until a time, in memory alone. The oldest
// give way to new ones. Thread-safe.
class ContentTokens {
  public:
    static constexpr size_t kMaxTokens = 1'024;

    ContentTokens(const Clock& clock, RandomSource& random) : m_clock(clock), m_random(random) {}

    // What is spent through it keeps to `limits`.
    std::string Issue(const ClaimId& claim, const FetchLimits& limits, seconds good_for);
    // The limits, if `token` opens `claim` now. Takes as long whatever a token that does not open has in common with
    // one that does.
    std::optional<FetchLimits> Find(const std::string& token, const ClaimId& claim);

    // Where the gateway listens, for who makes URLs; 0: it does not.
    void SetPort(uint16_t port);
    uint16_t port() const;

  private:
    struct Token {
        std::array<uint8_t, 32> bytes;
        ClaimId claim;
        FetchLimits limits;
        Instant expires;
    };
    const Clock& m_clock;
    RandomSource& m_random;
    mutable std::mutex m_mutex;
    std::deque<Token> m_tokens;  // oldest first
    uint16_t m_port{0};
};

}  // namespace sluice::node
