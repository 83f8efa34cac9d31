#include <algorithm>

#include "content/settlement.h"
#include "content/swarm_state.h"

// The paying side of channels: which are opened, which pays what, and that a download stays within its budget.

namespace sluice::content {
namespace {

// A channel for content that is read on demand holds this much of it, if the budget allows.
constexpr uint64_t kOnDemandBytes = uint64_t{256} << 20;

// A channel is to be followed by another one once it holds less than this part of its capacity, or less than what this
// time takes at the present rate.
constexpr uint64_t kTopUpShare = 4;
constexpr double kTopUpSeconds = 60;

// The first voucher may be this many times what settling is worth at our own fees: the payee's may be ahead of ours.
constexpr uint64_t kMaxFirstVoucherFactor = 10;

Amount Less(Amount a, Amount b) { return Subtract(a, b).value_or(Amount(0)); }

Amount ValueOf(uint64_t bytes, Amount ask) { return Meter{}.OwedAfter(bytes, ask); }

uint64_t BytesOfLeaves(const ContentId& content, ChunkIndex chunk, uint16_t leaves) {
    uint64_t bytes = 0;
    for (uint32_t leaf = 0; leaf < LeavesOfChunk(content.size_bytes, chunk); ++leaf) {
        if ((leaves >> leaf & 1) != 0) bytes += LeafBytes(content.size_bytes, chunk, leaf);
    }
    return bytes;
}

// Whole chunks that an amount pays at a price.
uint64_t ChunksFor(Amount amount, Amount ask) {
    const auto units = static_cast<unsigned __int128>(amount.drops) << 20;
    const auto chunks = units / (static_cast<unsigned __int128>(ask.drops) * kChunkBytes);
    return static_cast<uint64_t>(std::min<unsigned __int128>(chunks, kMaxInFlightAtPeer));
}

// Of what came, without what was taken on the payee's word.
uint64_t TrueValue(const PayerLink& link) { return Less(link.channel.meter.Owed(), link.adopted).drops; }

// What was paid on a channel, or has to be with its first voucher, and is not used up by chunks.
Amount Prepaid(const PayerChannel& channel, uint64_t in_flight_bytes, Amount ask) {
    const Amount least = channel.Paid().drops == 0 ? channel.first_voucher : channel.Paid();
    return Less(std::min(least, channel.Spendable()), channel.meter.OwedAfter(in_flight_bytes, ask));
}

}  // namespace

PayerLink* Swarm::Impl::PayerLinkOf(PeerId peer) {
    const PeerState* state = Find(peer);
    if (state == nullptr || !state->paid_by_us) return nullptr;
    const auto link = payer_links.find(*state->paid_by_us);
    return link == payer_links.end() || link->second.channel.closed ? nullptr : &link->second;
}

uint64_t Swarm::Impl::InFlightBytes(PeerId peer, const OutPoint& link) const {
    uint64_t chunks = 0, leaf_bytes = 0;
    for (const auto& [content, download] : downloads) {
        const auto provider = download.providers.find(peer);
        if (provider == download.providers.end()) continue;
        const auto& requests = provider->second.requests;
        if (provider->second.active > 0) {
            for (const auto& [chunk, request] : requests) chunks += !request.late && request.link == link;
        }
        // What came and is not verified yet is on no meter.
        for (const auto& [chunk, partial] : download.partials) {
            const auto paid_by = partial.links.find(peer);
            if (paid_by == partial.links.end() || paid_by->second != link) continue;
            const auto request = requests.find(chunk);
            if (request != requests.end() && !request->second.late) continue;
            for (uint32_t leaf = 0; leaf < kLeavesPerChunk; ++leaf) {
                if ((partial.received >> leaf & 1) != 0 && partial.from[leaf] == peer)
                    leaf_bytes += LeafBytes(content.size_bytes, chunk, leaf);
            }
        }
    }
    return chunks * kChunkBytes + leaf_bytes;
}

// What came and is not stored yet.
uint64_t Swarm::Impl::PartialBytes(const Download& download) {
    uint64_t bytes = 0;
    for (const auto& [chunk, partial] : download.partials)
        bytes += BytesOfLeaves(download.content, chunk, partial.received);
    return bytes;
}

bool Swarm::Impl::HasUnverified(PeerId peer, const OutPoint& link) const {
    return std::any_of(downloads.begin(), downloads.end(), [&](const auto& download) {
        return std::any_of(download.second.partials.begin(), download.second.partials.end(), [&](const auto& partial) {
            const auto paid_by = partial.second.links.find(peer);
            return paid_by != partial.second.links.end() && paid_by->second == link;
        });
    });
}

// The connection broke: the same is true, within a window, and not time and again.
void Swarm::Impl::ForgiveBreak(PeerId peer) {
    for (auto& [outpoint, link] : payer_links) {
        if (link.peer != peer || link.breaks == kMaxForgivenBreaks) continue;
        const uint64_t bytes = InFlightBytes(peer, outpoint);
        if (bytes == 0) continue;
        ++link.breaks;
        Amount ask;
        for (const auto& [content, download] : downloads) {
            const auto provider = download.providers.find(peer);
            if (provider != download.providers.end()) ask = std::max(ask, provider->second.ask);
        }
        const uint64_t known = TrueValue(link);
        const uint64_t window = std::max(ValueOf(kChunkBytes, ask).drops, known / kPaidChunksPerCreditChunk);
        link.broken.drops += std::min(ValueOf(bytes, ask).drops, window);
    }
}

// What the payee may count more than we do: see OnChannelAccept.
uint64_t Swarm::Impl::Tolerated(const PayerLink& link) const {
    const uint64_t known = TrueValue(link);
    const uint64_t chunks = link.channel.received_bytes / kChunkBytes;
    const uint64_t chunk_price = chunks == 0 ? link.channel.first_voucher.drops : known / chunks;
    return known / kPaidChunksPerCreditChunk + chunk_price + link.abandoned.drops +
           std::min(link.broken.drops, known / 8 + kMaxForgivenBreaks * chunk_price);
}

// Of what the payee says to have delivered over what came: all of it or nothing. What is taken is a part of the
// download that uses the channel, and of its budget.
bool Swarm::Impl::Adopt(PayerLink& link, const Meter& theirs) {
    const OutPoint& outpoint = link.channel.lock.outpoint;
    const Amount known = std::max(link.channel.meter.Owed(), link.channel.Paid());
    const uint64_t more = Less(theirs.Owed(), known).drops;
    if (link.adopted.drops + more > Tolerated(link)) return false;
    const auto user = std::find_if(downloads.begin(), downloads.end(), [&](const auto& download) {
        return download.second.used.contains(outpoint) || (link.peer && download.second.providers.contains(*link.peer));
    });
    if (user != downloads.end() && more > 0) {
        Download& download = user->second;
        const Cost cost = CostSoFar(download, outpoint);
        if (cost.elsewhere + cost.here.Owed().drops + more > download.limits.budget.drops) {
            download.over_budget = true;
            return false;
        }
        constexpr uint64_t kMiB = 1 << 20;
        download.meter.Add(kMiB, Amount(more));
        download.used[outpoint].Add(kMiB, Amount(more));
    }
    link.adopted.drops += more;
    link.channel.meter = theirs;
    return true;
}

// The user stops a download: what was asked for and did not come, or is not verified, may have been delivered.
void Swarm::Impl::AbandonUnderWay(const Download& download) {
    const auto abandon = [&](const OutPoint& outpoint, uint64_t bytes, Amount ask) {
        const auto link = payer_links.find(outpoint);
        if (link != payer_links.end()) link->second.abandoned.drops += ValueOf(bytes, ask).drops;
    };
    for (const auto& [id, provider] : download.providers) {
        for (const auto& [chunk, request] : provider.requests)
            abandon(request.link, BytesOfLeaves(download.content, chunk, request.wanted), request.ask);
        for (const auto& [chunk, partial] : download.partials) {
            const auto ask = partial.asks.find(id);
            if (ask == partial.asks.end() || provider.requests.contains(chunk)) continue;
            abandon(partial.links.at(id), ChunkBytes(download.content.size_bytes, chunk), ask->second);
        }
    }
}

PayerLink* Swarm::Impl::UsableLink(PeerId peer, uint64_t bytes, Amount ask) {
    PeerState* state = Find(peer);
    if (state == nullptr) return nullptr;
    const auto fits = [&](const PayerLink& link, uint64_t in_flight) {
        return link.peer == peer && link.accepted && !link.useless && !link.channel.closed &&
               TakesDebt(config.params, link.channel.lock, tip) && link.channel.CanPay(in_flight + bytes, ask);
    };
    PayerLink* current = PayerLinkOf(peer);
    if (current != nullptr && fits(*current, InFlightBytes(peer, current->channel.lock.outpoint))) return current;
    PayerLink* best = nullptr;
    for (auto& [outpoint, link] : payer_links) {
        if (&link == current || !fits(link, InFlightBytes(peer, outpoint))) continue;
        if (best == nullptr || (link.final && !best->final)) best = &link;
    }
    if (best == nullptr) return nullptr;
    state->paid_by_us = best->channel.lock.outpoint;
    Send(peer, UseChannel{best->channel.lock.outpoint});
    return best;
}

Swarm::Impl::Cost Swarm::Impl::CostSoFar(const Download& download, const OutPoint& here) const {
    std::map<OutPoint, Meter> meters = download.used;
    for (const auto& [id, provider] : download.providers) {  // what was asked for and has not come
        if (provider.active == 0) continue;
        for (const auto& [chunk, request] : provider.requests) {
            if (request.late || request.ask.drops == 0) continue;
            const auto missing = static_cast<uint16_t>(request.wanted & ~request.received);
            meters[request.link].Add(BytesOfLeaves(download.content, chunk, missing), request.ask);
        }
    }
    for (const auto& [chunk, partial] : download.partials) {  // what came and is not verified
        for (uint32_t leaf = 0; leaf < kLeavesPerChunk; ++leaf) {
            if ((partial.received >> leaf & 1) == 0) continue;
            const auto ask = partial.asks.find(partial.from[leaf]);
            if (ask != partial.asks.end() && ask->second.drops > 0)
                meters[partial.links.at(partial.from[leaf])].Add(LeafBytes(download.content.size_bytes, chunk, leaf),
                                                                 ask->second);
        }
    }
    Cost cost{download.fees.drops, {}};
    for (const auto& [outpoint, meter] : meters) {
        if (outpoint == here) {
            cost.here = meter;
            continue;
        }
        const auto link = payer_links.find(outpoint);
        cost.elsewhere += meter.Owed().drops;  // each voucher is rounded up by itself
        if (link != payer_links.end()) cost.elsewhere += Prepaid(link->second.channel, 0, Amount(0)).drops;
    }
    return cost;
}

size_t Swarm::Impl::PaidRoom(Download& download, PeerId peer, const Provider& provider, size_t limit) {
    if (provider.ask > download.limits.max_price_per_mib || provider.needs_finality) return 0;
    uint64_t least = std::min<uint64_t>(kChunkBytes, download.LeftBytes());
    if (download.LeftBytes() < 2 * uint64_t{kChunkBytes}) {  // the rest of the last one may be little
        const uint64_t left = download.LeftBytes() - std::min(download.LeftBytes(), PartialBytes(download));
        least = std::min(least, std::max<uint64_t>(left, 1));
    }
    PayerLink* link = UsableLink(peer, least, provider.ask);
    if (link == nullptr) {
        // Full, and nothing of it is under way (what came in part goes on only with another request): another one is
        // wanted.
        link = PayerLinkOf(peer);
        const auto verifies = [&](const auto& entry) {
            const auto paid_by = entry.second.links.find(peer);
            return entry.second.phase != PartialChunk::Phase::kCollecting && paid_by != entry.second.links.end() &&
                   paid_by->second == link->channel.lock.outpoint;
        };
        if (link == nullptr || !link->accepted) return 0;
        const bool waits = std::any_of(downloads.begin(), downloads.end(), [&](const auto& entry) {
            const Download& other = entry.second;
            const auto there = other.providers.find(peer);
            return (there != other.providers.end() && there->second.active > 0) ||
                   std::any_of(other.partials.begin(), other.partials.end(), verifies);
        });
        if (!waits) link->useless = true;
        return 0;
    }
    if (!link->final) limit = 1;
    if (limit <= provider.active) return 0;
    const OutPoint& outpoint = link->channel.lock.outpoint;
    const uint64_t in_flight = InFlightBytes(peer, outpoint);
    // What its channel holds.
    const Amount left = Less(link->channel.Spendable(), link->channel.meter.OwedAfter(in_flight, provider.ask));
    uint64_t more = std::max<uint64_t>(ChunksFor(left, provider.ask), 1);  // `least` fits
    // What the budget holds. Everything that is left, at the highest price and with a first voucher for each channel,
    // is the quick answer.
    const Meter all = [&] {
        Meter meter = download.meter;
        meter.Add(download.LeftBytes() + 2 * kMaxPaidPeers * uint64_t{kChunkBytes}, download.limits.max_price_per_mib);
        return meter;
    }();
    const uint64_t vouchers = (download.used.size() + 1) * (link->channel.first_voucher.drops + 2);
    if (all.Owed().drops + download.fees.drops + vouchers > download.limits.budget.drops) {
        const Cost cost = CostSoFar(download, outpoint);
        const Amount room = Less(download.limits.budget, Amount(cost.elsewhere));
        const uint64_t prepaid = Prepaid(link->channel, in_flight, provider.ask).drops;
        const auto fits = [&](uint64_t bytes) {
            const Amount value = cost.here.OwedAfter(bytes, provider.ask);
            return value <= room && cost.here.Owed().drops + prepaid <= room.drops;
        };
        uint64_t affordable = ChunksFor(Less(room, cost.here.Owed()), provider.ask);
        if (fits((affordable + 1) * kChunkBytes)) ++affordable;  // two fractions may make one drop
        if (!fits(affordable * kChunkBytes)) affordable = 0;
        if (affordable == 0 && fits(least)) affordable = 1;
        if (affordable == 0) download.over_budget = true;
        more = std::min(more, affordable);
    }
    return std::min<uint64_t>(limit, provider.active + more);
}

Amount Swarm::Impl::CostAtMost(const Download& download) const {
    std::optional<Amount> dearest;
    for (const auto& [id, provider] : download.providers) {
        if (!download.picker.IsUseful(id) || provider.ask > download.limits.max_price_per_mib) continue;
        dearest = std::max(dearest.value_or(Amount(0)), provider.ask);
    }
    if (!dearest) return Amount(0);
    const uint64_t rest = download.meter.OwedAfter(download.WantedLeftBytes(), *dearest).drops + download.fees.drops;
    return std::min(Amount(rest), download.limits.budget);
}

void Swarm::Impl::PayLeaves(Download& download, PeerId peer, uint64_t bytes, Amount agreed, const OutPoint& outpoint,
                            bool surplus, Instant now) {
    if (agreed.drops == 0) return;
    const auto provider = download.providers.find(peer);
    const auto found = payer_links.find(outpoint);
    if (provider == download.providers.end() || found == payer_links.end() || found->second.peer != peer) return;
    PayerLink& link = found->second;
    if (link.channel.meter.OwedAfter(bytes, agreed) > link.channel.Spendable()) return;  // it cannot be paid
    // What nobody needs is not paid with what the rest of the content needs.
    if (surplus) {
        const Cost cost = CostSoFar(download, outpoint);
        if (cost.elsewhere + cost.here.OwedAfter(bytes, agreed).drops > download.limits.budget.drops) return;
    }
    download.meter.Add(bytes, agreed);
    download.used[outpoint].Add(bytes, agreed);
    link.channel.meter.Add(bytes, agreed);
    link.channel.received_bytes += bytes;
    link.unpaid_bytes += bytes;
    // The payee's window is a sixteenth of what was paid; a quarter of that keeps it open.
    const uint64_t batch_chunks = std::clamp<uint64_t>(link.channel.received_bytes / kChunkBytes / 64, 1, 16);
    if (link.unpaid_bytes >= batch_chunks * kChunkBytes || provider->second.active == 0) {
        Pay(link);
    } else if (!link.pay_at) {
        link.pay_at = now + kPayDelay;
    }
}

void Swarm::Impl::PayAll(PeerId peer) {
    for (auto& [outpoint, link] : payer_links) {
        if (link.peer == peer) Pay(link);
    }
}

// A second channel to a peer is opened while the first still pays: a channel becomes final only some blocks after its
// opening. Rationale: the alternative, a voucher that rolls the rest into a new channel, needs an output of the channel
// to be promised before it is known, and a settlement in the middle of a stream.
bool Swarm::Impl::WantsTopUp(const Download& download, PeerId peer, const Provider& provider) const {
    const double rate_bytes = provider.bytes_per_s * kTopUpSeconds;
    uint64_t left = 0, capacity = 0;
    for (const auto& [outpoint, link] : payer_links) {
        if (link.peer != peer || link.useless || link.channel.closed) continue;
        if (!link.accepted || !link.final) return false;  // one is on its way
        left += Less(link.channel.Spendable(), link.channel.meter.Owed()).drops;
        capacity = std::max(capacity, link.channel.lock.capacity.drops);
    }
    if (left >= ValueOf(download.WantedLeftBytes(), provider.ask).drops) return false;
    return left < capacity / kTopUpShare ||
           static_cast<double>(left) < rate_bytes / (1 << 20) * static_cast<double>(provider.ask.drops);
}

void Swarm::Impl::WantChannelsFor(Download& download, Instant now) {
    if (download.channels_paused_until && now < *download.channels_paused_until) return;
    std::vector<std::pair<Amount, PeerId>> wanted, top_ups;
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
        const bool pauses = provider.paused_until && now < *provider.paused_until;
        const bool has_link = std::any_of(payer_links.begin(), payer_links.end(), [&, peer = id](const auto& entry) {
            return entry.second.peer == peer && !entry.second.useless && !entry.second.channel.closed;
        });
        if (provider.opening) {
            ++linked;
        } else if (has_link) {
            ++linked;
            if (!pauses && WantsTopUp(download, id, provider)) top_ups.emplace_back(provider.ask, id);
        } else if (!pauses) {
            wanted.emplace_back(provider.ask, id);
        }
    }
    std::sort(wanted.begin(), wanted.end());
    // Dear peers are left alone while cheap ones have everything and are fast enough.
    const bool slow =
        now - download.started >= kProviderPatience && download.bytes_per_s < download.limits.target_bytes_per_s;
    if (!slow && !download.picker.LacksAnywhere(cheap))
        std::erase_if(wanted, [&](const auto& entry) { return entry.first.drops > most; });
    wanted.resize(std::min(wanted.size(), kMaxPaidPeers - std::min(linked, kMaxPaidPeers)));
    wanted.insert(wanted.end(), top_ups.begin(), top_ups.end());
    std::vector<PeerId> ready;
    bool waits = false;
    for (const auto& [ask, id] : wanted) {
        Provider& provider = download.providers.at(id);
        if (provider.bids.waits_since && now - *provider.bids.waits_since < kTermsPatience) {
            waits = true;  // the price is being agreed on
        } else if (provider.terms) {
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
    (void)now;
    const uint64_t left_bytes = download.WantedLeftBytes();
    const Amount opening = OpeningCost(config.params, ready.size(), fee_per_kvb);
    Meter all = download.meter;
    Amount dearest;
    for (const PeerId id : ready) dearest = std::max(dearest, download.providers.at(id).ask);
    all.Add(left_bytes, dearest);
    const uint64_t cost = all.Owed().drops + download.fees.drops + opening.drops;
    if (cost > download.limits.budget.drops && download.used.empty()) {
        download.failure = Error{ErrorKind::kFunds, "the download costs about " + FormatSlu(Amount(cost)) +
                                                        ", more than its budget of " +
                                                        FormatSlu(download.limits.budget) + ": raise the budget"};
        return;
    }
    const uint64_t taken = download.locked.drops + download.fees.drops + opening.drops;
    const uint64_t share = Less(download.limits.budget, Amount(taken)).drops / ready.size();
    WantChannels want{download.content, opening, {}};
    for (const PeerId id : ready) {
        Provider& provider = download.providers.at(id);
        const ChannelTerms& terms = *provider.terms;
        Meter part;
        // Who reads on demand reads on: what a channel holds too much comes back, and opening one after the other
        // costs.
        const uint64_t ahead_bytes = std::max(left_bytes, std::min(download.LeftBytes(), kOnDemandBytes));
        part.Add(ahead_bytes / ready.size() + kChunkBytes, provider.ask);
        const uint64_t useful = part.Owed().drops + part.Owed().drops / 4 + terms.first_voucher.drops;
        const uint64_t spendable = std::min(useful, share);
        Meter least;
        least.Add(std::min<uint64_t>(kChunkBytes, left_bytes), provider.ask);
        if (spendable < least.Owed().drops || spendable < terms.first_voucher.drops / 2) continue;
        const Amount capacity(spendable + kMinReturned.drops);
        want.channels.push_back({id, Find(id)->node, terms.payee_key, terms.salt, provider.ask, terms.first_voucher,
                                 capacity, terms.min_window_blocks});
        provider.opening = true;
        provider.locking = Amount(spendable);
        provider.fee_reserve = Amount(opening.drops / ready.size());
        provider.terms.reset();
        provider.terms_asked.reset();
        download.locked.drops += spendable;
        download.fees.drops += provider.fee_reserve.drops;
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
    const auto& lock_template = link.lock_template.Of(link.channel.lock);
    const auto voucher = lock_template ? link.channel.Pay(*lock_template, link.key) : std::nullopt;
    link.unpaid_bytes = 0;
    if (!voucher) return;
    Send(*link.peer, *voucher);
    actions.push_back(SavePayerChannel{link.channel});
}

void Swarm::Impl::Drop(PayerLink& link, seconds pause, Instant now) {
    link.useless = true;
    link.accepted = false;
    link.retry_at.reset();
    if (!link.peer) return;
    for (auto& [content, download] : downloads) {
        const auto provider = download.providers.find(*link.peer);
        if (provider == download.providers.end()) continue;
        provider->second.opening = false;
        provider->second.paused_until = now + pause;
        download.waiting_for = "another seeder: one refused the payment channel";
    }
}

void Swarm::Impl::OnChannelTerms(PeerId peer, const ChannelTerms& terms, Instant now) {
    const auto found = downloads.find(terms.content);
    if (found == downloads.end()) return;
    const auto provider = found->second.providers.find(peer);
    if (provider == found->second.providers.end() || !provider->second.terms_asked || provider->second.opening) return;
    const Amount worth = FirstVoucher(config.params, fee_per_kvb);
    if (terms.first_voucher.drops > kMaxFirstVoucherFactor * worth.drops ||
        terms.min_window_blocks > 2 * config.params.channel_window_blocks) {
        provider->second.paused_until = now + seconds(600);  // terms nobody should take
        return;
    }
    provider->second.ask = std::min(provider->second.ask, terms.ask_per_mib);
    provider->second.terms = terms;
    Schedule(found->second, now);
}

void Swarm::Impl::OnChannelAccept(PeerId peer, const ChannelAccept& accept, Instant now) {
    const auto found = payer_links.find(accept.outpoint);
    if (found == payer_links.end() || found->second.peer != peer) return;
    PayerLink& link = found->second;
    link.channel.Restore(accept.returned, accept.signature);
    // What was on its way when a connection broke or a download was stopped is lost to us and counted by the payee. It
    // is taken as it says: up to a sixteenth of what came, a chunk, what we stopped, and what broke (an eighth at
    // most).
    const Meter theirs{accept.owed_low, accept.owed_high};
    const bool nothing_comes = !link.accepted || (accept.waits && !HasUnverified(peer, accept.outpoint));
    const bool disagrees = nothing_comes && theirs.Owed() > link.channel.meter.Owed() && !Adopt(link, theirs);
    link.accepted = true;
    link.final = link.final || accept.final;
    link.retry_at.reset();
    PeerState* state = Find(peer);
    const PayerLink* current = PayerLinkOf(peer);
    if (current == nullptr || current->useless || !current->accepted) {
        state->paid_by_us = accept.outpoint;
        Send(peer, UseChannel{accept.outpoint});
    } else if (current == &link) {
        Send(peer, UseChannel{accept.outpoint});  // it may have been restarted
    }
    for (auto& [content, download] : downloads) {
        const auto provider = download.providers.find(peer);
        if (provider == download.providers.end()) continue;
        provider->second.opening = false;
        if (link.final) provider->second.needs_finality = false;
        if (disagrees) download.waiting_for = "another seeder: one counts more than it sent";
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
    Drop(link, seconds(60), now);
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
    PayerLink fresh{.channel = std::move(channel), .key = std::move(payer_key)};
    PayerLink& link = m_impl->payer_links.emplace(outpoint, std::move(fresh)).first->second;
    m_impl->actions.push_back(SavePayerChannel{link.channel});
    PeerId id;
    if (m_impl->FindNode(node, &id) == nullptr) return;
    for (auto& [content, download] : m_impl->downloads) {
        const auto provider = download.providers.find(id);
        if (provider == download.providers.end() || provider->second.locking.drops == 0) continue;
        link.opened_for = content;
        link.locking = std::exchange(provider->second.locking, Amount(0));
        download.fees = Less(download.fees, std::exchange(provider->second.fee_reserve, Amount(0)));
        download.fees.drops += link.channel.opening_cost.drops;
        break;
    }
    m_impl->Offer(link, id, now);
}

void Swarm::OnChannelsFailed(const ContentId& content, const Error& error, Instant now) {
    const auto found = m_impl->downloads.find(content);
    if (found == m_impl->downloads.end()) return;
    Download& download = found->second;
    for (auto& [id, provider] : download.providers) {
        if (provider.locking.drops == 0) continue;
        provider.opening = false;
        // Only what was asked for and did not come about: other channels keep their money.
        download.locked = Less(download.locked, std::exchange(provider.locking, Amount(0)));
        download.fees = Less(download.fees, std::exchange(provider.fee_reserve, Amount(0)));
    }
    download.channels_paused_until = now + seconds(10);
    download.waiting_for = error.message;
    if (error.kind == ErrorKind::kFunds) download.failure = error;
}

void Swarm::OnOpeningLost(const OutPoint& channel, Instant now) {
    const auto found = m_impl->payer_links.find(channel);
    if (found == m_impl->payer_links.end() || found->second.useless) return;
    PayerLink& link = found->second;
    const auto download = m_impl->downloads.find(link.opened_for);
    if (download != m_impl->downloads.end()) {
        // Nothing was locked and no fee paid; what is used of it was credit, and stays counted.
        download->second.locked = Less(download->second.locked, std::exchange(link.locking, Amount(0)));
        download->second.fees = Less(download->second.fees, std::exchange(link.channel.opening_cost, Amount(0)));
    }
    m_impl->Drop(link, kRefusedPause, now);
    m_impl->ScheduleAll(now);
}

std::vector<PayerChannel> Swarm::PayerChannels() const {
    std::vector<PayerChannel> channels;
    for (const auto& [outpoint, link] : m_impl->payer_links) channels.push_back(link.channel);
    return channels;
}

void Swarm::Impl::TickPayer(Instant now) {
    for (auto& [outpoint, link] : payer_links) {
        if (link.pay_at && now >= *link.pay_at) Pay(link);
        if (!link.retry_at || now < *link.retry_at || link.useless || !link.peer) continue;
        if (link.tries >= kMaxOpenTries) {
            Drop(link, seconds(60), now);  // it never answered
        } else {
            Offer(link, *link.peer, now);
        }
    }
}

}  // namespace sluice::content
