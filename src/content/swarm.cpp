#include "content/swarm.h"

#include <algorithm>

#include "content/swarm_state.h"

namespace sluice::content {

Swarm::Swarm(SwarmConfig config, RandomSource& random) : m_impl(std::make_unique<Impl>(std::move(config), random)) {}
Swarm::~Swarm() = default;

std::vector<SwarmAction> Swarm::TakeActions() {
    m_impl->EndFailed();
    return std::exchange(m_impl->actions, {});
}

void Swarm::Impl::EndFailed() {
    std::vector<std::pair<ContentId, Error>> failed;
    for (const auto& [content, download] : downloads) {
        if (download.failure) failed.emplace_back(content, *download.failure);
    }
    for (auto& [content, error] : failed) FailDownload(content, std::move(error));
}

PeerState* Swarm::Impl::Find(PeerId peer) {
    const auto found = peers.find(peer);
    return found == peers.end() || found->second.faulty ? nullptr : &found->second;
}

PeerState* Swarm::Impl::FindNode(const NodeId& node, PeerId* id) {
    for (auto& [peer, state] : peers) {
        if (state.node != node || state.faulty) continue;
        *id = peer;
        return &state;
    }
    return nullptr;
}

void Swarm::Impl::Fault(PeerId peer, std::string reason, Instant now) {
    PeerState* state = Find(peer);
    if (state == nullptr) return;
    Disconnect(peer, now);
    state->faulty = true;
    actions.push_back(PeerFault{peer, std::move(reason)});
}

void Swarm::Impl::Connect(PeerId id, const NodeId& node, AddressGroup group, Instant now) {
    PeerState& peer = peers[id];
    peer.node = node;
    peer.group = group;
    peer.drain_since = now;
    peer.rate_limit.Set(peer_rate_limit);
    for (const auto& [content, download] : downloads) Send(id, HaveQuery{content});
    for (auto& [outpoint, link] : payer_links) {
        if (link.channel.payee_node != node || link.useless || link.channel.closed) continue;
        link.tries = 0;
        Offer(link, id, now);
    }
}

// Forgets what only the connection held; the peer's entry stays for the caller.
void Swarm::Impl::Disconnect(PeerId id, Instant now) {
    const auto found = peers.find(id);
    if (found == peers.end()) return;
    PeerState& peer = found->second;
    ForgiveBreak(id);
    for (auto& [content, download] : downloads) ForgetProvider(download, id);
    peer.uploads.clear();
    uploading_bytes -= std::exchange(peer.queued_bytes, 0);
    choker.OnGone(id);
    peer.offers.clear();
    peer.quotes.clear();
    peer.promised.clear();
    peer.interested.clear();
    peer.pays_us.reset();
    peer.paid_by_us.reset();
    for (auto& [outpoint, link] : payer_links) {
        if (link.peer != id) continue;
        link.peer.reset();
        link.accepted = false;
        link.retry_at.reset();
        link.pay_at.reset();
    }
    for (auto& [outpoint, link] : payee_links) {
        if (link.peer != id) continue;
        link.peer.reset();
        link.left_at = now;
    }
}

void Swarm::Impl::Dispatch(PeerId peer, const ContentMessage& message, Instant now) {
    struct Visitor {
        Impl& impl;
        PeerId peer;
        Instant now;
        void operator()(const HaveQuery& m) { impl.OnHaveQuery(peer, m); }
        void operator()(const Have& m) { impl.OnHave(peer, m, now); }
        void operator()(const HaveUpdate& m) { impl.OnHaveUpdate(peer, m, now); }
        void operator()(const GetHashes& m) { impl.OnGetHashes(peer, m); }
        void operator()(const Hashes& m) { impl.OnHashes(peer, m, now); }
        void operator()(const RequestChunks& m) { impl.OnRequestChunks(peer, m, now); }
        void operator()(const ChunkLeafHashes& m) { impl.OnChunkLeafHashes(peer, m, now); }
        void operator()(const Leaf& m) { impl.OnLeaf(peer, m, now); }
        void operator()(const CancelChunks& m) { impl.OnCancelChunks(peer, m); }
        void operator()(const Refuse& m) { impl.OnRefuse(peer, m, now); }
        void operator()(const TermsRequest& m) { impl.OnTermsRequest(peer, m); }
        void operator()(const ChannelTerms& m) { impl.OnChannelTerms(peer, m, now); }
        void operator()(const ChannelOpen& m) { impl.OnChannelOpen(peer, m); }
        void operator()(const ChannelAccept& m) { impl.OnChannelAccept(peer, m, now); }
        void operator()(const ChannelReject& m) { impl.OnChannelReject(peer, m, now); }
        void operator()(const Voucher& m) { impl.OnVoucher(peer, m, now); }
        void operator()(const ChannelClosed& m) { impl.OnChannelClosed(peer, m, now); }
        void operator()(const Bid& m) { impl.OnBid(peer, m, now); }
        void operator()(const Counter& m) { impl.OnCounter(peer, m, now); }
        void operator()(const UseChannel& m) { impl.OnUseChannel(peer, m, now); }
        void operator()(const GetLeafHashes& m) { impl.OnGetLeafHashes(peer, m); }
        void operator()(const Choke&) { impl.OnChoke(peer, now); }
        void operator()(const Unchoke&) { impl.OnUnchoke(peer, now); }
    };
    std::visit(Visitor{*this, peer, now}, message);
}

void Swarm::OnPeerConnected(PeerId peer, const NodeId& node, AddressGroup group, Instant now) {
    m_impl->last_now = now;
    m_impl->Connect(peer, node, group, now);
}

void Swarm::OnPeerGone(PeerId peer, Instant now) {
    m_impl->last_now = now;
    m_impl->Disconnect(peer, now);
    m_impl->peers.erase(peer);
    m_impl->ScheduleAll(now);
}

void Swarm::OnMessage(PeerId peer, ByteSpan payload, Instant now) {
    m_impl->last_now = now;
    if (m_impl->Find(peer) == nullptr) return;
    const auto message = DecodeContentMessage(payload);
    if (!message) return m_impl->Fault(peer, "content message: " + message.error().message, now);
    m_impl->Dispatch(peer, *message, now);
}

void Swarm::OnTip(Height height) { m_impl->tip = height; }

void Swarm::Tick(Instant now) {
    m_impl->last_now = now;
    m_impl->TickChannels(now);
    for (auto& [content, download] : m_impl->downloads) {
        m_impl->TickDownload(download, now);
        if (now - download.last_stored < kProviderPatience || download.failure) continue;
        download.failure = m_impl->TooExpensive(download);
    }
    m_impl->TickChoker(now);
    m_impl->PumpUploads(now);
}

void Swarm::SetDownloadRate(uint64_t bytes_per_s, uint64_t bytes_per_s_of_peer) {
    m_impl->rate_limit.Set(bytes_per_s);
    m_impl->peer_rate_limit = bytes_per_s_of_peer;
    for (auto& [id, peer] : m_impl->peers) peer.rate_limit.Set(bytes_per_s_of_peer);
}

const ChunkBuffers& Swarm::buffers() const { return m_impl->buffers; }

size_t Swarm::BuffersWanted() const {
    const ChunkBuffers& buffers = m_impl->buffers;
    const size_t used = buffers.made() - std::min(buffers.made(), buffers.spare());
    uint64_t left = 0;
    for (const auto& [content, download] : m_impl->downloads) left += download.LeftBytes() / kChunkBytes;
    return static_cast<size_t>(std::min<uint64_t>({used + kBuffersAhead, left, kMaxInFlightChunks}));
}

std::optional<Instant> Swarm::NextWakeup() const {
    bool soon = false;
    for (const auto& [outpoint, link] : m_impl->payer_links) soon = soon || link.pay_at || link.retry_at;
    if (soon) return m_impl->last_now + kPayDelay;
    if (!m_impl->downloads.empty()) return m_impl->last_now + milliseconds(250);
    if (m_impl->earned_since) return m_impl->last_now + seconds(5);
    const bool serves = std::any_of(m_impl->peers.begin(), m_impl->peers.end(), [](const auto& entry) {
        return entry.second.choked || !entry.second.uploads.empty();
    });
    if (serves) return m_impl->last_now + seconds(1);
    if (!m_impl->payee_links.empty()) return m_impl->last_now + seconds(60);
    return std::nullopt;
}

}  // namespace sluice::content
