#include <algorithm>

#include "content/settlement.h"
#include "content/swarm_state.h"

// Channels between peers: terms, opening, vouchers, credit.

namespace sluice::content {

PayerLink* Swarm::Impl::PayerLinkOf(PeerId peer) {
    const PeerState* state = Find(peer);
    if (state == nullptr || !state->paid_by_us) return nullptr;
    const auto link = payer_links.find(*state->paid_by_us);
    return link == payer_links.end() || link->second.channel.closed ? nullptr : &link->second;
}

PayeeLink* Swarm::Impl::PayeeLinkOf(const PeerState& peer) {
    if (!peer.pays_us) return nullptr;
    const auto link = payee_links.find(*peer.pays_us);
    if (link == payee_links.end()) return nullptr;
    const ChannelPhase phase = link->second.channel.phase;
    return phase == ChannelPhase::kKnown || phase == ChannelPhase::kFinal ? &link->second : nullptr;
}

// ---- payer
// ---------------------------------------------------------------------------------------------------------------------------

void Swarm::Impl::WantChannelsFor(Download& download, Instant now) {
    if (download.channels_paused_until && now < *download.channels_paused_until) return;
    std::vector<std::pair<Amount, PeerId>> wanted;
    size_t linked = 0;
    Amount cheapest = kMaxSupply;
    for (const auto& [id, provider] : download.providers) {
        if (provider.ask.drops > 0 && download.picker.IsUseful(id)) cheapest = std::min(cheapest, provider.ask);
    }
    const uint64_t most = cheapest.drops + cheapest.drops / 4;
    std::vector<PeerId> cheap;
    for (const auto& [id, provider] : download.providers) {
        if (provider.ask.drops == 0 || provider.ask > download.limits.max_price_per_mib ||
            !download.picker.IsUseful(id))
            continue;
        if (provider.ask.drops <= most) cheap.push_back(id);
        const PayerLink* link = PayerLinkOf(id);
        if ((link != nullptr && !link->useless) || provider.opening) {
            ++linked;
        } else if (!provider.paused_until || now >= *provider.paused_until) {
            wanted.emplace_back(provider.ask, id);
        }
    }
    std::sort(wanted.begin(), wanted.end());
    if (linked >= kMaxPaidPeers || wanted.empty()) return;
    // Dear peers are left alone while cheap ones have everything and are fast enough.
    const bool slow =
        now - download.started >= kProviderPatience && download.bytes_per_s < download.limits.target_bytes_per_s;
    if (!slow && !download.picker.LacksAnywhere(cheap)) {
        std::erase_if(wanted, [&](const auto& entry) { return entry.first.drops > most; });
        if (wanted.empty()) return;
    }
    if (wanted.size() > kMaxPaidPeers - linked) wanted.resize(kMaxPaidPeers - linked);
    std::vector<PeerId> ready;
    bool waits = false;
    for (const auto& [ask, id] : wanted) {
        Provider& provider = download.providers.at(id);
        if (provider.terms) {
            ready.push_back(id);
        } else if (!provider.terms_asked) {
            provider.terms_asked = now;
            Send(id, TermsRequest{download.content});
            waits = true;
        } else if (now - *provider.terms_asked < kTermsPatience) {
            waits = true;
        } else if (now - *provider.terms_asked > kRequestTimeout) {
            provider.terms_asked.reset();
            provider.paused_until = now + kRefusedPause;
        }
    }
    if (!ready.empty() && !waits) OpenChannels(download, ready, now);
}

void Swarm::Impl::OpenChannels(Download& download, const std::vector<PeerId>& ready, Instant now) {
    Meter all = download.meter;
    Amount dearest;
    for (const PeerId id : ready) dearest = std::max(dearest, download.providers.at(id).ask);
    all.Add(download.LeftBytes(), dearest);
    if (all.Owed() > download.limits.budget) {
        download.failure = Error{ErrorKind::kFunds, "the download costs about " + FormatSlu(all.Owed()) +
                                                        ", more than its budget of " +
                                                        FormatSlu(download.limits.budget) + ": raise the budget"};
        return;
    }
    const uint64_t share = Subtract(download.limits.budget, download.locked).value_or(Amount(0)).drops / ready.size();
    WantChannels want{download.content, {}};
    for (const PeerId id : ready) {
        Provider& provider = download.providers.at(id);
        const ChannelTerms& terms = *provider.terms;
        Meter part;
        part.Add(download.LeftBytes() / ready.size() + kChunkBytes, provider.ask);
        const uint64_t useful = part.Owed().drops + part.Owed().drops / 4 + terms.first_voucher.drops;
        const uint64_t spendable = std::min(useful, share);
        Meter least;
        least.Add(std::min<uint64_t>(kChunkBytes, download.LeftBytes()), provider.ask);
        if (spendable < least.Owed().drops || spendable < terms.first_voucher.drops / 2) continue;
        const Amount capacity(spendable + kMinReturned.drops);
        want.channels.push_back({id, Find(id)->node, terms.payee_key, terms.salt, provider.ask, terms.first_voucher,
                                 capacity, terms.min_window_blocks});
        provider.opening = true;
        provider.locking = Amount(spendable);
        provider.terms.reset();
        provider.terms_asked.reset();
        download.locked.drops += spendable;
    }
    if (want.channels.empty()) {
        if (std::any_of(download.providers.begin(), download.providers.end(),
                        [](const auto& entry) { return entry.second.active > 0 || entry.second.opening; }))
            return;
        download.failure =
            Error{ErrorKind::kFunds, "the budget of " + FormatSlu(download.limits.budget) +
                                         " is locked in channels: raise it, or wait until they are settled"};
        return;
    }
    download.waiting_for = "payment channels to be opened";
    (void)now;
    actions.push_back(std::move(want));
}

void Swarm::Impl::Offer(PayerLink& link, PeerId peer, Instant now) {
    const ChannelLock& lock = link.channel.lock;
    const Hash256 hash =
        ChannelOpenHash(config.genesis, lock, link.channel.salt, config.node_id, link.channel.payee_node);
    Send(peer, ChannelOpen{lock.outpoint, lock.payer_key, lock.payee_key, link.channel.salt, lock.expiry, lock.capacity,
                           lock.return_script, link.key.Sign(hash)});
    link.peer = peer;
    ++link.tries;
    link.retry_at = now + 4 * kRetryOpen;  // in case it is not answered
}

void Swarm::Impl::Pay(PayerLink& link) {
    link.pay_at.reset();
    if (!link.accepted || !link.peer || !config.sends_vouchers) return;
    const auto voucher = link.channel.Pay(link.key);
    link.unpaid_bytes = 0;
    if (!voucher) return;
    Send(*link.peer, *voucher);
    actions.push_back(SavePayerChannel{link.channel});
}

void Swarm::Impl::OnChannelTerms(PeerId peer, const ChannelTerms& terms, Instant now) {
    const auto found = downloads.find(terms.content);
    if (found == downloads.end()) return;
    const auto provider = found->second.providers.find(peer);
    if (provider == found->second.providers.end() || !provider->second.terms_asked || provider->second.opening) return;
    if (terms.first_voucher > Amount(kDropsPerSlu / 100) ||
        terms.min_window_blocks > 2 * config.params.channel_window_blocks) {
        provider->second.paused_until = now + seconds(600);  // terms nobody should take
        return;
    }
    provider->second.ask = terms.ask_per_mib;
    provider->second.terms = terms;
    Schedule(found->second, now);
}

void Swarm::Impl::OnChannelAccept(PeerId peer, const ChannelAccept& accept, Instant now) {
    const auto found = payer_links.find(accept.outpoint);
    if (found == payer_links.end() || found->second.peer != peer) return;
    PayerLink& link = found->second;
    link.channel.Restore(accept.returned, accept.signature);
    // What was on its way when a connection broke is lost to us and counted by the payee: up to a sixteenth of what
    // came, and a chunk, is taken as it says.
    const Meter theirs{accept.owed_low, accept.owed_high};
    if (!link.accepted && theirs.Owed() > link.channel.meter.Owed()) {
        const Amount known = std::max(link.channel.meter.Owed(), link.channel.Paid());
        const uint64_t more = Subtract(theirs.Owed(), known).value_or(Amount(0)).drops;
        const uint64_t chunks = link.channel.received_bytes / kChunkBytes;
        const uint64_t chunk_price =
            chunks == 0 ? link.channel.first_voucher.drops : link.channel.meter.Owed().drops / chunks;
        if (link.adopted.drops + more <= known.drops / kPaidChunksPerCreditChunk + chunk_price) {
            link.adopted.drops += more;
            link.channel.meter = theirs;
        }
    }
    link.accepted = true;
    link.final = link.final || accept.final;
    link.retry_at.reset();
    if (Find(peer)->paid_by_us != accept.outpoint) Find(peer)->paid_by_us = accept.outpoint;
    for (auto& [content, download] : downloads) {
        const auto provider = download.providers.find(peer);
        if (provider == download.providers.end()) continue;
        provider->second.opening = false;
        if (link.final) provider->second.needs_finality = false;
    }
    if (accept.returned > link.channel.returned) {  // the last voucher was lost on its way
        if (const auto voucher = SignVoucher(link.channel.lock, link.key, link.channel.returned)) Send(peer, *voucher);
    }
    Pay(link);
    ScheduleAll(now);
}

void Swarm::Impl::OnChannelReject(PeerId peer, const ChannelReject& reject, Instant now) {
    const auto found = payer_links.find(reject.outpoint);
    if (found == payer_links.end() || found->second.peer != peer) return;
    PayerLink& link = found->second;
    if (reject.reason == ChannelRejectReason::kUnknown && link.tries < kMaxOpenTries) {
        link.retry_at = now + kRetryOpen;  // the opening has not reached it yet
        return;
    }
    link.useless = true;
    link.accepted = false;
    link.retry_at.reset();
    for (auto& [content, download] : downloads) {
        const auto provider = download.providers.find(peer);
        if (provider == download.providers.end()) continue;
        provider->second.opening = false;
        provider->second.paused_until = now + seconds(60);
        download.waiting_for = "another seeder: one refused the payment channel";
    }
}

void Swarm::Impl::OnChannelClosed(PeerId peer, const ChannelClosed& closed, Instant now) {
    const auto found = payer_links.find(closed.outpoint);
    if (found == payer_links.end() || found->second.peer != peer) return;
    found->second.useless = true;
    ScheduleAll(now);
}

void Swarm::OnChannelReady(PayerChannel channel, crypto::SecretKey payer_key, Instant now) {
    const OutPoint outpoint = channel.lock.outpoint;
    const NodeId node = channel.payee_node;
    if (channel.closed || channel.lock.capacity <= kMinReturned || m_impl->payer_links.contains(outpoint)) return;
    PayerLink& link =
        m_impl->payer_links
            .emplace(outpoint,
                     PayerLink{std::move(channel), std::move(payer_key), {}, false, false, false, {}, 0, 0, {}, {}})
            .first->second;
    m_impl->actions.push_back(SavePayerChannel{link.channel});
    PeerId id;
    PeerState* peer = m_impl->FindNode(node, &id);
    if (peer == nullptr) return;
    for (auto& [content, download] : m_impl->downloads) {
        const auto provider = download.providers.find(id);
        if (provider != download.providers.end()) provider->second.locking = Amount(0);
    }
    peer->paid_by_us = outpoint;
    m_impl->Offer(link, id, now);
}

void Swarm::OnChannelsFailed(const ContentId& content, const Error& error, Instant now) {
    const auto found = m_impl->downloads.find(content);
    if (found == m_impl->downloads.end()) return;
    Download& download = found->second;
    for (auto& [id, provider] : download.providers) {
        provider.opening = false;
        // Only what was asked for and did not come about: other channels keep their money.
        download.locked = Subtract(download.locked, std::exchange(provider.locking, Amount(0))).value_or(Amount(0));
    }
    download.channels_paused_until = now + seconds(10);
    download.waiting_for = error.message;
    if (error.kind == ErrorKind::kFunds) download.failure = error;
}

// ---- payee
// ---------------------------------------------------------------------------------------------------------------------------

void Swarm::Impl::OnTermsRequest(PeerId peer, const TermsRequest& request) {
    const auto content = served.find(request.content);
    if (content == served.end() || content->second.ask.drops == 0) return AnswerHave(peer, request.content);
    ChannelTerms terms;
    terms.content = request.content;
    random.Fill(terms.salt.bytes);
    terms.payee_key = DerivePayeeKey(config.payee_seed, config.genesis, peers.at(peer).node, terms.salt).XOnly();
    terms.ask_per_mib = content->second.ask;
    terms.first_voucher = FirstVoucher(config.params, config.fee_per_kvb);
    terms.min_window_blocks = config.params.channel_window_blocks;
    Send(peer, terms);
}

void Swarm::Impl::OnChannelOpen(PeerId peer, const ChannelOpen& open) {
    PeerState& state = peers.at(peer);
    const auto known = payee_links.find(open.outpoint);
    const XOnlyPubKey our_key = DerivePayeeKey(config.payee_seed, config.genesis, state.node, open.salt).XOnly();
    if (known != payee_links.end()) {
        PayeeLink& link = known->second;
        if (link.channel.payer_node != state.node)
            return Send(peer, ChannelReject{open.outpoint, ChannelRejectReason::kTerms});
        if (link.channel.phase == ChannelPhase::kSettling || link.channel.phase == ChannelPhase::kClosed)
            return Send(peer, ChannelClosed{open.outpoint});
        link.peer = peer;
        link.left_at.reset();
        state.pays_us = open.outpoint;
        return Accept(link);
    }
    const auto channels = std::count_if(payee_links.begin(), payee_links.end(), [&](const auto& entry) {
        return entry.second.channel.payer_node == state.node && entry.second.channel.phase != ChannelPhase::kClosed;
    });
    if (static_cast<size_t>(channels) + state.offers.size() >= kMaxChannelsOfPeer)
        return Send(peer, ChannelReject{open.outpoint, ChannelRejectReason::kTooMany});
    if (!CheckChannelOpen(config.params, config.genesis, tip, open, state.node, config.node_id, our_key)) {
        const bool near = !TakesDebt(
            config.params, {open.outpoint, open.payer_key, open.payee_key, open.expiry, open.capacity, {}}, tip);
        return Send(
            peer, ChannelReject{open.outpoint, near ? ChannelRejectReason::kNearExpiry : ChannelRejectReason::kTerms});
    }
    state.offers.insert_or_assign(open.outpoint, open);
    actions.push_back(CheckChannel{
        peer, {open.outpoint, open.payer_key, open.payee_key, open.expiry, open.capacity, open.return_script}});
}

void Swarm::OnChannelKnown(PeerId peer, const OutPoint& outpoint, const std::optional<ChannelFacts>& facts,
                           Instant now) {
    PeerState* state = m_impl->Find(peer);
    if (state == nullptr) return;
    const auto offer = state->offers.find(outpoint);
    if (offer == state->offers.end()) return;
    const ChannelOpen open = offer->second;
    state->offers.erase(offer);
    if (!facts) return m_impl->Send(peer, ChannelReject{outpoint, ChannelRejectReason::kUnknown});
    PayeeLink link;
    link.channel.lock = {open.outpoint, open.payer_key, open.payee_key, open.expiry, open.capacity, open.return_script};
    if (!CheckChannelFacts(link.channel.lock, *facts))
        return m_impl->Send(peer, ChannelReject{outpoint, ChannelRejectReason::kTerms});
    link.channel.payer_node = state->node;
    link.channel.salt = open.salt;
    link.channel.returned = open.capacity;
    link.peer = peer;
    link.depth = facts->depth;
    state->pays_us = outpoint;
    PayeeLink& stored = m_impl->payee_links.insert_or_assign(outpoint, std::move(link)).first->second;
    m_impl->BecomeFinalIfDeep(stored);
    m_impl->Persist(stored);
    m_impl->Accept(stored);
    m_impl->PumpUploads(now);
}

void Swarm::Impl::Accept(PayeeLink& link) {
    if (!link.peer) return;
    const PayeeChannel& channel = link.channel;
    Send(*link.peer, ChannelAccept{channel.lock.outpoint, channel.phase == ChannelPhase::kFinal, channel.returned,
                                   channel.signature, channel.meter.low, channel.meter.high});
}

void Swarm::Impl::Persist(PayeeLink& link) {
    if (link.persisting) return;
    link.persisting = true;
    actions.push_back(PersistVoucher{link.channel});
}

// Vouchers on disk of a final channel turn credit into money.
void Swarm::Impl::CoverDeliveries(PayeeLink& link) {
    if (link.channel.phase != ChannelPhase::kFinal && link.channel.phase != ChannelPhase::kSettling) return;
    while (!link.unpaid.empty() && link.unpaid.front().owed_after <= link.persisted_paid) {
        credit.OnPaid(link.channel.payer_node, link.unpaid.front().bytes);
        link.unpaid.pop_front();
    }
}

void Swarm::Impl::BecomeFinalIfDeep(PayeeLink& link) {
    if (link.channel.phase != ChannelPhase::kKnown ||
        link.depth < consensus::ConfirmationsFor(config.params, link.channel.lock.capacity))
        return;
    link.channel.phase = ChannelPhase::kFinal;
    CoverDeliveries(link);
}

void Swarm::Impl::OnVoucher(PeerId peer, const Voucher& voucher, Instant now) {
    const auto found = payee_links.find(voucher.outpoint);
    if (found == payee_links.end() || found->second.peer != peer ||
        found->second.channel.phase == ChannelPhase::kClosed)
        return Send(peer, ChannelReject{voucher.outpoint, ChannelRejectReason::kUnknown});
    PayeeLink& link = found->second;
    if (link.channel.signature && voucher.returned == link.channel.returned) return;  // sent again, in case it was lost
    if (const Status accepted = AcceptVoucher(link.channel, voucher, FirstVoucher(config.params, config.fee_per_kvb));
        !accepted) {
        Send(peer, ChannelReject{voucher.outpoint, ChannelRejectReason::kVoucher});
        return Fault(peer, accepted.error().message, now);
    }
    Persist(link);
}

void Swarm::OnVoucherPersisted(const OutPoint& channel, Amount returned, const Status& status, Instant now) {
    const auto found = m_impl->payee_links.find(channel);
    if (found == m_impl->payee_links.end()) return;
    PayeeLink& link = found->second;
    link.persisting = false;
    if (!status) return;  // nothing is served against what is not on disk
    link.persisted_paid =
        std::max(link.persisted_paid, Subtract(link.channel.lock.capacity, returned).value_or(Amount(0)));
    m_impl->CoverDeliveries(link);
    if (link.channel.returned < returned) m_impl->Persist(link);
    m_impl->PumpUploads(now);
}

void Swarm::AddPayeeChannel(PayeeChannel channel) {
    PayeeLink link;
    link.persisted_paid = channel.Paid();
    link.channel = std::move(channel);
    // What was delivered and not vouched for before the restart is credit still.
    const Amount owed = link.channel.meter.Owed();
    if (owed > link.persisted_paid && link.channel.phase != ChannelPhase::kClosed) {
        const uint64_t unpaid = std::min<uint64_t>(link.channel.served_bytes, uint64_t{kMaxCreditChunks} * kChunkBytes);
        const uint64_t share = static_cast<uint64_t>(static_cast<unsigned __int128>(link.channel.served_bytes) *
                                                     (owed.drops - link.persisted_paid.drops) / owed.drops);
        link.unpaid.push_back({std::min(unpaid, share), owed});
        m_impl->credit.OnDelivered(link.channel.payer_node, 0, link.unpaid.back().bytes);
    }
    m_impl->payee_links.insert_or_assign(link.channel.lock.outpoint, std::move(link));
}

void Swarm::CloseForSettling(const OutPoint& channel, Instant) {
    const auto found = m_impl->payee_links.find(channel);
    if (found == m_impl->payee_links.end() || found->second.channel.phase == ChannelPhase::kClosed) return;
    found->second.channel.phase = ChannelPhase::kSettling;
    m_impl->Persist(found->second);
    if (found->second.peer) m_impl->Send(*found->second.peer, ChannelClosed{channel});
}

// ---- both
// ----------------------------------------------------------------------------------------------------------------------------

void Swarm::OnChannelConfirmed(const OutPoint& channel, uint32_t depth, Instant now) {
    const auto payee = m_impl->payee_links.find(channel);
    if (payee == m_impl->payee_links.end()) return;
    payee->second.depth = depth;
    ChannelPhase& phase = payee->second.channel.phase;
    const ChannelPhase before = phase;
    if (before == ChannelPhase::kClosed)
        phase = ChannelPhase::kSettling;  // what spent it left the chain: it can be settled again
    if (before == ChannelPhase::kFinal && depth == 0) phase = ChannelPhase::kKnown;
    m_impl->BecomeFinalIfDeep(payee->second);
    if (phase == before) return;
    m_impl->Persist(payee->second);
    if (phase != ChannelPhase::kSettling) m_impl->Accept(payee->second);
    m_impl->PumpUploads(now);
}

void Swarm::OnChannelSpent(const OutPoint& channel, Instant now) {
    const auto payer = m_impl->payer_links.find(channel);
    if (payer != m_impl->payer_links.end()) {
        payer->second.channel.closed = payer->second.useless = true;
        m_impl->actions.push_back(SavePayerChannel{payer->second.channel});
    }
    const auto payee = m_impl->payee_links.find(channel);
    if (payee != m_impl->payee_links.end() && payee->second.channel.phase != ChannelPhase::kClosed) {
        payee->second.channel.phase = ChannelPhase::kClosed;
        if (!payee->second.unpaid.empty()) m_impl->credit.OnDefault(payee->second.channel.payer_node);
        m_impl->Persist(payee->second);
        if (payee->second.peer) m_impl->Send(*payee->second.peer, ChannelClosed{channel});
    }
    m_impl->ScheduleAll(now);
}

std::vector<PayeeChannel> Swarm::PayeeChannels() const {
    std::vector<PayeeChannel> channels;
    for (const auto& [outpoint, link] : m_impl->payee_links) channels.push_back(link.channel);
    return channels;
}

std::vector<PayerChannel> Swarm::PayerChannels() const {
    std::vector<PayerChannel> channels;
    for (const auto& [outpoint, link] : m_impl->payer_links) channels.push_back(link.channel);
    return channels;
}

void Swarm::Impl::TickChannels(Instant now) {
    for (auto& [outpoint, link] : payer_links) {
        if (link.pay_at && now >= *link.pay_at) Pay(link);
        if (!link.retry_at || now < *link.retry_at || link.useless || !link.peer) continue;
        if (link.tries >= kMaxOpenTries) {
            link.retry_at.reset();
        } else {
            Offer(link, *link.peer, now);
        }
    }
    for (auto& [outpoint, link] : payee_links) {
        if (!link.left_at || now - *link.left_at < kDebtPatience) continue;
        link.left_at.reset();
        if (!link.unpaid.empty()) credit.OnDefault(link.channel.payer_node);
    }
    credit.Tick(now);
}

}  // namespace sluice::content
