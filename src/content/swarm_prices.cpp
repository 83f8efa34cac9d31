#include <algorithm>

#include "content/swarm_state.h"

// What peers ask and bid (haggle.h), on both sides.

namespace sluice::content {
namespace {

constexpr seconds kQuoteLife{60};  // of a price told before the ask was raised
constexpr size_t kMaxProbes = 16;

}  // namespace

// ---- seeder

Amount Swarm::Impl::PriceFor(PeerState& peer, const ContentId& content) {
    const auto found = served.find(content);
    if (found == served.end()) return Amount(0);
    const Amount ask = found->second.ask;
    const auto quote = peer.quotes.find(content);
    if (quote == peer.quotes.end()) return ask;
    if (quote->second.ends && last_now >= *quote->second.ends) {
        peer.quotes.erase(quote);
        return ask;
    }
    quote->second.price = std::min(quote->second.price, ask);  // the ask was lowered meanwhile
    return quote->second.price;
}

Amount Swarm::Impl::PriceToTell(PeerState& peer, const ContentId& content) {
    const Amount price = PriceFor(peer, content);
    const auto found = served.find(content);
    if (found == served.end()) return price;
    const auto quote = peer.quotes.find(content);
    if (quote == peer.quotes.end()) {
        if (peer.quotes.size() < kMaxContentsOfPeer) peer.quotes.emplace(content, SellerQuote{price, 0, {}});
        return price;
    }
    if (found->second.raised_since_quotes) {
        if (!quote->second.ends) quote->second.ends = last_now + kQuoteLife;
        return found->second.ask;
    }
    return price;
}

void Swarm::Impl::OnBid(PeerId peer, const Bid& bid, Instant) {
    PeerState& state = peers.at(peer);
    const auto content = served.find(bid.content);
    if (content == served.end()) return AnswerHave(peer, bid.content);
    const Amount price = PriceToTell(state, bid.content);
    const auto quote = state.quotes.find(bid.content);
    if (price.drops == 0 || quote == state.quotes.end() || quote->second.ends)
        return Send(peer, Counter{bid.content, bid.round, price, true});
    const BidAnswer answer =
        AnswerBid(quote->second, std::min(content->second.floor, price), bid.round, bid.price_per_mib);
    Send(peer, Counter{bid.content, bid.round, answer.price, answer.firm});
}

void Swarm::AddContent(const ContentId& content, const ChunkSet& have, Amount ask_per_mib,
                       std::optional<Amount> floor_per_mib) {
    if (have.size() != ChunkCount(content.size_bytes)) return;
    const Amount floor =
        std::min(ask_per_mib, floor_per_mib.value_or(m_impl->config.min_price_per_mib.value_or(ask_per_mib)));
    const auto before = m_impl->served.find(content);
    const bool raised = before != m_impl->served.end() && before->second.ask < ask_per_mib;
    m_impl->served.insert_or_assign(content, Served{have, ask_per_mib, floor, raised});
    for (const auto& [id, peer] : m_impl->peers) {
        if (!peer.faulty && peer.interested.contains(content)) m_impl->AnswerHave(id, content);
    }
    m_impl->served.at(content).raised_since_quotes = false;
}

std::optional<Amount> Swarm::PriceOf(const ContentId& content) const {
    const auto found = m_impl->served.find(content);
    return found == m_impl->served.end() ? std::nullopt : std::optional(found->second.ask);
}

// ---- downloader

void Swarm::Impl::TakeAsk(Download& download, PeerId peer, Provider& provider, Amount ask, Instant now) {
    if (provider.bids.round > 0 && (ask == provider.told || ask <= provider.ask)) {
        provider.ask = std::min(provider.ask, ask);
        return;
    }
    provider.told = provider.ask = ask;
    provider.bids = {};
    BidOn(download, peer, provider, false, now);
}

void Swarm::Impl::BidOn(Download& download, PeerId peer, Provider& provider, bool firm, Instant now) {
    const auto bid = NextBid(provider.bids, download.limits.max_price_per_mib, provider.ask, firm);
    if (!bid) return;
    provider.bids.waits_since = now;
    Send(peer, Bid{download.content, provider.bids.round, *bid});
}

void Swarm::Impl::OnCounter(PeerId peer, const Counter& counter, Instant now) {
    const auto found = downloads.find(counter.content);
    if (found == downloads.end()) return;
    const auto entry = found->second.providers.find(peer);
    if (entry == found->second.providers.end()) return;
    Provider& provider = entry->second;
    if (!provider.bids.waits_since || counter.round != provider.bids.round) return;
    provider.ask = std::min(provider.ask, counter.price_per_mib);  // what stands never rises
    BidOn(found->second, peer, provider, counter.firm, now);
    Schedule(found->second, now);
}

// ---- what is asked, before anything is fetched

void Swarm::Impl::NoteOffer(PeerId peer, const Have& have) {
    const auto probe = probes.find(have.content);
    if (probe == probes.end()) return;
    if (have.all || !have.bits.empty()) probe->second.insert_or_assign(peer, have.ask_per_mib);
}

void Swarm::Probe(const ContentId& content) {
    if (!m_impl->probes.contains(content)) {
        m_impl->probe_order.push_back(content);
        if (m_impl->probe_order.size() > kMaxProbes) {
            m_impl->probes.erase(m_impl->probe_order.front());
            m_impl->probe_order.pop_front();
        }
    }
    m_impl->probes[content].clear();
    for (const auto& [id, peer] : m_impl->peers) {
        if (!peer.faulty) m_impl->Send(id, HaveQuery{content});
    }
}

std::vector<Swarm::PeerOffer> Swarm::OffersOf(const ContentId& content) const {
    std::map<PeerId, Amount> asks;
    if (const auto probe = m_impl->probes.find(content); probe != m_impl->probes.end()) asks = probe->second;
    if (const auto download = m_impl->downloads.find(content); download != m_impl->downloads.end()) {
        for (const auto& [id, provider] : download->second.providers) {
            if (download->second.picker.IsUseful(id)) asks.insert_or_assign(id, provider.ask);
        }
    }
    std::vector<PeerOffer> offers;
    for (const auto& [id, ask] : asks) {
        const PeerState* peer = m_impl->Find(id);
        if (peer == nullptr) continue;
        const PayerLink* link = m_impl->PayerLinkOf(id);
        offers.push_back(
            {id, peer->node, ask, link != nullptr && !link->useless && link->channel.CanPay(kChunkBytes, ask)});
    }
    return offers;
}

}  // namespace sluice::content
