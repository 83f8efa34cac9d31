#include <algorithm>

#include "content/settlement.h"
#include "content/swarm_state.h"

// The earning side of channels: which are taken, what is charged to them, and what stays credit.

namespace sluice::content {
namespace {

constexpr seconds kEarningsDelay{5};  // accounts are handed out this late at most

}  // namespace

PayeeLink* Swarm::Impl::PayeeLinkOf(PeerId id, const std::optional<OutPoint>& channel) {
    if (!channel) return nullptr;
    const auto link = payee_links.find(*channel);
    if (link == payee_links.end() || link->second.peer != id) return nullptr;
    const ChannelPhase phase = link->second.channel.phase;
    return phase == ChannelPhase::kKnown || phase == ChannelPhase::kFinal ? &link->second : nullptr;
}

Swarm::Impl::Charge Swarm::Impl::ChargeRead(PeerId id, PeerState& peer, const Upload& upload, PendingRead& read,
                                            RefuseReason& reason, Instant now) {
    const auto refuse = [&](RefuseReason why) {
        reason = why;
        return Charge::kRefuse;
    };
    PayeeLink* link = PayeeLinkOf(id, upload.channel);
    if (link == nullptr) return refuse(RefuseReason::kNeedsChannel);
    PayeeChannel& channel = link->channel;
    const Amount owed = channel.meter.OwedAfter(read.bytes, read.ask);
    if (owed.drops + kMinReturned.drops > channel.lock.capacity.drops || !TakesDebt(config.params, channel.lock, tip))
        return refuse(RefuseReason::kChannelFull);
    const bool is_final = channel.phase == ChannelPhase::kFinal;
    if (!is_final || owed > link->persisted_paid) {
        switch (credit.MayDeliver(peer.node, peer.group, read.bytes)) {
            case CreditBook::Answer::kYes:
                break;
            case CreditBook::Answer::kBudgetUsedUp:
                // Who pays waits for what it, or others of its network, are about to pay; who never did comes back
                // later.
                if (is_final && credit.HasPaid(peer.node)) return Charge::kLater;
                return refuse(RefuseReason::kNoCredit);
            case CreditBook::Answer::kWaitForPayment:
                if (!is_final) return refuse(RefuseReason::kNeedsFinality);
                return Charge::kLater;
        }
    }
    channel.meter.Add(read.bytes, read.ask);
    channel.served_bytes += read.bytes;
    credit.OnDelivered(peer.node, peer.group, read.bytes);
    link->unpaid.push_back({read.bytes, channel.meter.Owed(), read.content, read.ask});
    link->last_used = now;
    read.channel = channel.lock.outpoint;
    CoverDeliveries(*link);
    return Charge::kYes;
}

void Swarm::Impl::OnTermsRequest(PeerId peer, const TermsRequest& request) {
    PeerState& state = peers.at(peer);
    const Amount price = PriceFor(state, request.content);
    if (price.drops == 0) return AnswerHave(peer, request.content);
    ChannelTerms terms;
    terms.content = request.content;
    random.Fill(terms.salt.bytes);
    terms.payee_key = seeds.NewKey(config.genesis, state.node, terms.salt).XOnly();
    terms.ask_per_mib = price;
    terms.first_voucher = FirstVoucher(config.params, fee_per_kvb);
    terms.min_window_blocks = config.params.channel_window_blocks;
    if (state.promised.size() >= 2 * kMaxChannelsOfPeer) state.promised.erase(state.promised.begin());
    state.promised.emplace(terms.salt, terms.first_voucher);
    Send(peer, terms);
}

void Swarm::Impl::OnChannelOpen(PeerId peer, const ChannelOpen& open) {
    PeerState& state = peers.at(peer);
    const auto known = payee_links.find(open.outpoint);
    if (known != payee_links.end()) {
        PayeeLink& link = known->second;
        if (link.channel.payer_node != state.node)
            return Send(peer, ChannelReject{open.outpoint, ChannelRejectReason::kTerms});
        if (link.channel.phase == ChannelPhase::kSettling || link.channel.phase == ChannelPhase::kClosed)
            return Send(peer, ChannelClosed{open.outpoint});
        link.peer = peer;
        link.left_at.reset();
        if (!state.pays_us || state.asked_use == open.outpoint) state.pays_us = open.outpoint;
        return Accept(link);
    }
    // Who says it again waits for the answer: each look-up takes memory for as long as the opening is not there.
    if (state.offers.contains(open.outpoint)) return;
    const auto channels = std::count_if(payee_links.begin(), payee_links.end(), [&](const auto& entry) {
        return entry.second.channel.payer_node == state.node && entry.second.channel.phase != ChannelPhase::kClosed;
    });
    if (static_cast<size_t>(channels) + state.offers.size() >= kMaxChannelsOfPeer)
        return Send(peer, ChannelReject{open.outpoint, ChannelRejectReason::kTooMany});
    const auto our_key = seeds.Find(config.genesis, state.node, open.salt, open.payee_key);
    if (!our_key ||
        !CheckChannelOpen(config.params, config.genesis, tip, open, state.node, config.node_id, our_key->XOnly())) {
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
    // Terms given before a restart are not known any more: what they asked for at the least holds then.
    const auto promised = state->promised.find(open.salt);
    link.channel.first_voucher = promised != state->promised.end()
                                     ? promised->second
                                     : FirstVoucher(m_impl->config.params, m_impl->config.fee_per_kvb);
    link.peer = peer;
    link.depth = facts->depth;
    link.last_used = now;
    if (m_impl->PayeeLinkOf(peer, state->pays_us) == nullptr || state->asked_use == outpoint) state->pays_us = outpoint;
    PayeeLink& stored = m_impl->payee_links.insert_or_assign(outpoint, std::move(link)).first->second;
    m_impl->BecomeFinalIfDeep(stored);
    m_impl->Persist(stored);
    m_impl->Accept(stored);
    m_impl->PumpUploads(now);
}

void Swarm::Impl::OnUseChannel(PeerId peer, const UseChannel& use, Instant now) {
    PeerState& state = peers.at(peer);
    state.asked_use = use.outpoint;
    if (PayeeLinkOf(peer, use.outpoint) == nullptr) return;  // another node's, closed, or still being looked up
    state.pays_us = use.outpoint;
    PumpUploads(now);
}

void Swarm::Impl::Accept(PayeeLink& link, bool waits) {
    if (!link.peer) return;
    const PayeeChannel& channel = link.channel;
    Send(*link.peer, ChannelAccept{channel.lock.outpoint, channel.phase == ChannelPhase::kFinal, waits,
                                   channel.returned, channel.signature, channel.meter.low, channel.meter.high});
}

// A payer that lost what it was given owes less by its count than by ours, and would wait for us as we for it.
void Swarm::Impl::RemindOfDebts(Instant now) {
    for (auto& [id, peer] : peers) {
        if (peer.uploads.empty()) peer.waits_since.reset();
        if (!peer.waits_since || now - *peer.waits_since < kRemindAfter) continue;
        if (peer.queued_bytes > 0 || peer.reading_bytes > 0) continue;
        PayeeLink* link = PayeeLinkOf(id, peer.uploads.front().channel);
        if (link == nullptr) continue;
        if (link->channel.Paid() > link->persisted_paid) Persist(*link);  // the disk failed before
        peer.waits_since = now;
        Accept(*link, true);
    }
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
        const Delivery& paid = link.unpaid.front();
        credit.OnPaid(link.channel.payer_node, paid.bytes);
        if (paid.ask.drops > 0) {
            EarnedShare& share = earned[{paid.content, link.channel.payer_node}];
            share.bytes += paid.bytes;
            share.value.Add(paid.bytes, paid.ask);
            if (!earned_since) earned_since = last_now;
        }
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
    const auto& lock_template = link.lock_template.Of(link.channel.lock);
    if (!lock_template) return Send(peer, ChannelReject{voucher.outpoint, ChannelRejectReason::kTerms});
    const Status accepted = AcceptVoucher(link.channel, *lock_template, voucher, link.channel.first_voucher);
    if (!accepted) {
        Send(peer, ChannelReject{voucher.outpoint, ChannelRejectReason::kVoucher});
        return Fault(peer, accepted.error().message, now);
    }
    link.last_used = now;
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
    const auto known = m_impl->payee_links.find(channel.lock.outpoint);
    if (known != m_impl->payee_links.end()) {  // of a backup: the better voucher counts
        if (channel.signature && channel.returned < known->second.channel.returned) {
            known->second.channel.returned = channel.returned;
            known->second.channel.signature = channel.signature;
            m_impl->Persist(known->second);
        }
        return;
    }
    PayeeLink link;
    link.persisted_paid = channel.Paid();
    link.channel = std::move(channel);
    link.last_used = m_impl->last_now;
    // What was delivered and not vouched for before the restart is credit still.
    const Amount owed = link.channel.meter.Owed();
    if (owed > link.persisted_paid && link.channel.phase != ChannelPhase::kClosed) {
        const uint64_t unpaid = std::min<uint64_t>(link.channel.served_bytes, uint64_t{kMaxCreditChunks} * kChunkBytes);
        const uint64_t share = static_cast<uint64_t>(static_cast<unsigned __int128>(link.channel.served_bytes) *
                                                     (owed.drops - link.persisted_paid.drops) / owed.drops);
        link.unpaid.push_back({std::min(unpaid, share), owed, {}, {}});
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

// What was never paid stays with the payer's name.
void Swarm::ForgetChannel(const OutPoint& channel) {
    const auto payee = m_impl->payee_links.find(channel);
    if (payee != m_impl->payee_links.end() && payee->second.channel.phase == ChannelPhase::kClosed)
        m_impl->payee_links.erase(payee);
    const auto payer = m_impl->payer_links.find(channel);
    if (payer != m_impl->payer_links.end() && payer->second.channel.closed) m_impl->payer_links.erase(payer);
}

std::vector<PayeeChannel> Swarm::PayeeChannels() const {
    std::vector<PayeeChannel> channels;
    for (const auto& [outpoint, link] : m_impl->payee_links) channels.push_back(link.channel);
    return channels;
}

std::vector<Swarm::PayeeView> Swarm::PayeeViews() const {
    std::vector<PayeeView> views;
    for (const auto& [outpoint, link] : m_impl->payee_links)
        views.push_back({link.channel, link.depth, link.peer.has_value(), link.last_used});
    return views;
}

void Swarm::AddSeed(SecretBytes<32> seed, bool newest) {
    if (newest)
        m_impl->seeds.Add(std::move(seed));
    else
        m_impl->seeds.AddOlder(std::move(seed));
}

void Swarm::SetFeeRate(Amount fee_per_kvb) { m_impl->fee_per_kvb = std::max(fee_per_kvb, m_impl->config.fee_per_kvb); }

void Swarm::RestorePayerHistory(const std::vector<PayerHistory>& history) {
    for (const PayerHistory& payer : history) m_impl->credit.Restore(payer);
}

// ---- both

void Swarm::OnChannelConfirmed(const OutPoint& channel, uint32_t depth, Instant now) {
    const auto payee = m_impl->payee_links.find(channel);
    if (payee == m_impl->payee_links.end()) return;
    payee->second.depth = depth;
    ChannelPhase& phase = payee->second.channel.phase;
    const ChannelPhase before = phase;
    if (before == ChannelPhase::kClosed)
        phase = ChannelPhase::kSettling;  // what spent it left the chain: it can be settled again
    // A reorganisation: what it will be mined in again may not last either.
    if (before == ChannelPhase::kFinal &&
        depth < consensus::ConfirmationsFor(m_impl->config.params, payee->second.channel.lock.capacity))
        phase = ChannelPhase::kKnown;
    m_impl->BecomeFinalIfDeep(payee->second);
    if (phase == before) return;
    m_impl->Persist(payee->second);
    if (phase != ChannelPhase::kSettling) m_impl->Accept(payee->second);
    m_impl->PumpUploads(now);
}

void Swarm::OnChannelSpent(const OutPoint& channel, Instant now) {
    const auto payer = m_impl->payer_links.find(channel);
    if (payer != m_impl->payer_links.end() && !payer->second.channel.closed) {
        PayerLink& link = payer->second;
        link.channel.closed = link.useless = true;
        // What it returned can be locked again.
        const auto download = m_impl->downloads.find(link.opened_for);
        if (download != m_impl->downloads.end()) {
            const Amount back = Subtract(link.locking, link.channel.Paid()).value_or(Amount(0));
            download->second.locked = Subtract(download->second.locked, back).value_or(Amount(0));
        }
        m_impl->actions.push_back(SavePayerChannel{link.channel});
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

void Swarm::Impl::TickPayee(Instant now) {
    for (auto& [outpoint, link] : payee_links) {
        if (!link.left_at || now - *link.left_at < kDebtPatience) continue;
        link.left_at.reset();
        if (!link.unpaid.empty()) credit.OnDefault(link.channel.payer_node);
    }
    RemindOfDebts(now);
    credit.Tick(now);
    if (earned_since && now - *earned_since >= kEarningsDelay) {
        RecordEarnings record;
        for (auto& [key, share] : earned) {
            share.content = key.first;
            share.payer = key.second;
            record.shares.push_back(share);
        }
        earned.clear();
        earned_since.reset();
        actions.push_back(std::move(record));
    }
    if (auto changed = credit.TakeChanged(now); !changed.empty())
        actions.push_back(SavePayerHistory{std::move(changed)});
}

void Swarm::Impl::TickChannels(Instant now) {
    TickPayer(now);
    TickPayee(now);
}

}  // namespace sluice::content
