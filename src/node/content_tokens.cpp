#include "node/content_tokens.h"

#include "crypto/hash.h"

namespace sluice::node {

std::string ContentTokens::Issue(const ClaimId& claim, const FetchLimits& limits, seconds good_for) {
    const std::lock_guard lock(m_mutex);
    const Instant now = m_clock.Monotonic();
    std::erase_if(m_tokens, [&](const Token& token) { return token.expires <= now; });
    if (m_tokens.size() >= kMaxTokens) m_tokens.pop_front();
    m_tokens.push_back({m_random.Array<32>(), claim, limits, now + good_for});
    return HexEncode(m_tokens.back().bytes);
}

std::optional<FetchLimits> ContentTokens::Find(const std::string& token, const ClaimId& claim) {
    const auto bytes = HexDecode(token);
    if (!bytes || bytes->size() != 32) return std::nullopt;
    const std::lock_guard lock(m_mutex);
    const Instant now = m_clock.Monotonic();
    std::optional<FetchLimits> found;
    for (const Token& one : m_tokens)
        if (crypto::ConstantTimeEqual(one.bytes, *bytes) && one.claim == claim && one.expires > now) found = one.limits;
    return found;
}

void ContentTokens::SetPort(uint16_t port) {
    const std::lock_guard lock(m_mutex);
    m_port = port;
}

uint16_t ContentTokens::port() const {
    const std::lock_guard lock(m_mutex);
    return m_port;
}

}  // namespace sluice::node
