#include "node/provider_exchange.h"

#include "node/provider_messages.h"
#include "p2p/dial_budget.h"

namespace sluice::node {

using p2p::Endpoint;

std::vector<Endpoint> ProviderExchange::Known(PeerId asker, const ContentId& content, Instant now) const {
    const auto own = m_book.ListeningOf(asker);
    std::vector<Endpoint> known;
    for (const Endpoint& endpoint : m_book.Serving(content, Providers::kMaxEndpoints + 1, now)) {
        if (endpoint == own || !p2p::IsDialable(endpoint, m_allow_local)) continue;
        if (known.size() < Providers::kMaxEndpoints) known.push_back(endpoint);
    }
    return known;
}

void ProviderExchange::OnGetProviders(PeerId id, const ContentId& content, Instant now) {
    Asker& asker = m_askers.try_emplace(id, now).first->second;
    if (asker.questions.InDebt(now)) return;
    asker.questions.Charge(1, now);
    std::erase_if(asker.answered, [&](const auto& entry) { return now >= entry.second + kRepeat; });
    if (asker.answered.size() >= kMaxContentsOfPeer || !asker.answered.try_emplace(content, now).second) return;
    std::vector<Endpoint> known = Known(id, content, now);
    const size_t told = known.size();
    if (!known.empty()) m_actions.push_back(TellPeer{id, content, std::move(known)});
    if (told < kEnoughToTell) Query(id, content, told, now);
}

void ProviderExchange::Query(PeerId asker, const ContentId& content, size_t told, Instant now) {
    std::erase_if(m_waiting, [&](const auto& entry) { return now >= entry.second.queried + kQueryInterval; });
    const auto found = m_waiting.find(content);
    if (found != m_waiting.end()) {
        auto& peers = found->second.told;
        if (now < found->second.queried + kWait && peers.size() < kMaxWaitingPeers) peers.emplace(asker, told);
        return;
    }
    if (m_waiting.size() >= kMaxWaitingContents || m_queries.InDebt(now)) return;
    Waiting& waiting = m_waiting[content];
    waiting.queried = now;
    waiting.told.emplace(asker, told);
    for (const PeerId peer : m_book.SomePeers(kQueriedPeers)) {
        if (peer == asker || !m_book.ListeningOf(peer)) continue;
        m_queries.Charge(1, now);
        m_actions.push_back(QueryPeer{peer, content});
    }
}

void ProviderExchange::OnHave(PeerId id, const ContentId& content, bool serves, Instant now) {
    const auto found = m_waiting.find(content);
    if (!serves || found == m_waiting.end() || now >= found->second.queried + kWait) return;
    const auto endpoint = m_book.ListeningOf(id);
    if (!endpoint || !p2p::IsDialable(*endpoint, m_allow_local)) return;
    for (auto& [asker, told] : found->second.told) {
        if (asker == id || told >= Providers::kMaxEndpoints) continue;
        ++told;
        m_actions.push_back(TellPeer{asker, content, {*endpoint}});
    }
}

void ProviderExchange::OnPeerGone(PeerId peer) {
    m_askers.erase(peer);
    for (auto& [content, waiting] : m_waiting) waiting.told.erase(peer);
}

}  // namespace sluice::node
