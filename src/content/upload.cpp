#include <algorithm>

#include "content/settlement.h"
#include "content/swarm_state.h"

// The serving side: what we have, what peers ask of it, and whether they have paid.

namespace sluice::content {
namespace {

uint64_t BytesOf(const ContentId& content, const LeafRequest& wanted) {
    uint64_t bytes = 0;
    for (uint32_t leaf = 0; leaf < LeavesOfChunk(content.size_bytes, wanted.chunk); ++leaf) {
        if ((wanted.leaves >> leaf & 1) != 0) bytes += LeafBytes(content.size_bytes, wanted.chunk, leaf);
    }
    return bytes;
}

}  // namespace

void Swarm::Impl::AnswerHave(PeerId peer, const ContentId& content) {
    Have have;
    have.content = content;
    const auto found = served.find(content);
    if (found == served.end()) return Send(peer, have);
    have.ask_per_mib = PriceToTell(peers.at(peer), content);
    have.all = found->second.have.IsFull();
    if (have.all || found->second.have.count() == 0) return Send(peer, have);
    const Bytes bits = found->second.have.ToBytes();
    for (size_t at = 0; at < bits.size(); at += kMaxHaveBitmapBytes) {
        have.first = ChunkIndex(static_cast<uint32_t>(at * 8));
        have.bits.assign(bits.begin() + static_cast<ptrdiff_t>(at),
                         bits.begin() + static_cast<ptrdiff_t>(std::min(bits.size(), at + kMaxHaveBitmapBytes)));
        Send(peer, have);
    }
}

void Swarm::Impl::OnHaveQuery(PeerId peer, const HaveQuery& query) {
    PeerState& state = peers.at(peer);
    if (state.interested.size() < kMaxContentsOfPeer) state.interested.insert(query.content);
    AnswerHave(peer, query.content);
}

void Swarm::Impl::OnGetHashes(PeerId peer, const GetHashes& get) {
    size_t waiting = 0;
    for (const auto& [request, read] : reads) waiting += read.peer == peer && read.is_hashes;
    if (!served.contains(get.content) || waiting >= 64) return;
    PendingRead read;
    read.peer = peer;
    read.content = get.content;
    read.span = get.span;
    read.is_hashes = true;
    const uint64_t request = next_request++;
    reads.emplace(request, read);
    actions.push_back(ReadHashes{request, get.content, get.span});
}

void Swarm::Impl::OnRequestChunks(PeerId peer, const RequestChunks& request, Instant now) {
    PeerState& state = peers.at(peer);
    const auto content = served.find(request.content);
    for (const LeafRequest& wanted : request.chunks) {
        if (content == served.end() || !content->second.have.Has(wanted.chunk)) {
            Send(peer, Refuse{request.content, wanted.chunk, RefuseReason::kNotHere});
        } else if (state.uploads.size() >= kMaxQueuedRequests) {
            Send(peer, Refuse{request.content, wanted.chunk, RefuseReason::kBusy});
        } else if (BytesOf(request.content, wanted) > 0) {
            state.uploads.push_back({request.content, wanted, PriceFor(state, request.content), state.pays_us});
        }
    }
    PumpUploads(now);
}

void Swarm::Impl::OnCancelChunks(PeerId peer, const CancelChunks& cancel) {
    const std::set<ChunkIndex> chunks(cancel.chunks.begin(), cancel.chunks.end());
    std::erase_if(peers.at(peer).uploads, [&](const Upload& upload) {
        return upload.content == cancel.content && chunks.contains(upload.wanted.chunk);
    });
    for (auto& [request, read] : reads) {
        if (read.peer == peer && !read.is_hashes && read.content == cancel.content &&
            chunks.contains(read.wanted.chunk))
            read.cancelled = true;
    }
}

void Swarm::Impl::PumpUploads(Instant now) {
    // One chunk of each peer in turn, beginning after the one that was served last; payers before the others.
    for (bool any = true; any;) {
        any = false;
        for (const bool payers : {true, false}) {
            std::vector<PeerId> order;
            for (const auto& [id, peer] : peers) {
                if (!peer.uploads.empty() && peer.pays_us.has_value() == payers) order.push_back(id);
            }
            const auto next = last_served ? std::upper_bound(order.begin(), order.end(), *last_served) : order.begin();
            std::rotate(order.begin(), next, order.end());
            for (const PeerId id : order) {
                if (!PumpOne(id, peers.at(id), now)) continue;
                last_served = id;
                any = true;
            }
        }
    }
}

// True if the first upload of the peer left its queue.
bool Swarm::Impl::PumpOne(PeerId id, PeerState& peer, Instant now) {
    if (peer.queued_bytes + peer.reading_bytes >= config.max_queued_bytes || reads.size() >= kMaxReads) return false;
    const Upload upload = peer.uploads.front();
    const auto refuse = [&](RefuseReason reason) {
        Send(id, Refuse{upload.content, upload.wanted.chunk, reason});
        peer.uploads.pop_front();
        return true;
    };
    const auto content = served.find(upload.content);
    if (content == served.end() || !content->second.have.Has(upload.wanted.chunk))
        return refuse(RefuseReason::kNotHere);

    PendingRead read;
    read.peer = id;
    read.content = upload.content;
    read.wanted = upload.wanted;
    read.bytes = BytesOf(upload.content, upload.wanted);
    read.ask = upload.ask;
    read.payer = peer.node;
    if (read.ask.drops == 0) {
        credit.OnFreeUpload(read.bytes);
    } else {
        RefuseReason reason{};
        switch (ChargeRead(id, peer, upload, read, reason, now)) {
            case Charge::kYes:
                break;
            case Charge::kLater:
                return false;
            case Charge::kRefuse:
                return refuse(reason);
        }
    }
    peer.uploads.pop_front();
    peer.reading_bytes += read.bytes;
    const uint64_t request = next_request++;
    reads.emplace(request, read);
    actions.push_back(ReadChunk{request, read.content, read.wanted.chunk});
    return true;
}

// Nothing left: what was counted when the read began is taken back.
void Swarm::Impl::UndoRead(const PendingRead& read) {
    if (!read.channel) return;
    const auto link = payee_links.find(*read.channel);
    if (link == payee_links.end()) return;
    link->second.channel.meter.Subtract(read.bytes, read.ask);
    link->second.channel.served_bytes -= std::min(link->second.channel.served_bytes, read.bytes);
    // Deliveries are in order of what they owe; the newest of this size stands for it.
    auto& unpaid = link->second.unpaid;
    const auto delivery =
        std::find_if(unpaid.rbegin(), unpaid.rend(), [&](const Delivery& d) { return d.bytes == read.bytes; });
    if (delivery == unpaid.rend()) return;
    Meter one;
    one.Add(read.bytes, read.ask);
    const auto at = std::next(delivery).base();
    for (auto later = at; later != unpaid.end(); ++later)
        later->owed_after = Subtract(later->owed_after, one.Owed()).value_or(Amount(0));
    unpaid.erase(at);
    credit.OnReturned(read.payer, read.bytes);
}

void Swarm::Impl::SendChunk(const PendingRead& read, const ChunkData& data) {
    PeerState& peer = peers.at(read.peer);
    Send(read.peer, ChunkLeafHashes{read.content, read.wanted.chunk, data.leaf_hashes});
    for (uint32_t leaf = 0; leaf < data.leaf_hashes.size(); ++leaf) {
        if ((read.wanted.leaves >> leaf & 1) == 0) continue;
        const size_t at = size_t{leaf} * kLeafBytes;
        const size_t size = LeafBytes(read.content.size_bytes, read.wanted.chunk, leaf);
        Bytes payload = EncodeLeaf(read.content, read.wanted.chunk, static_cast<uint8_t>(leaf),
                                   ByteSpan(data.bytes).subspan(at, size));
        peer.queued_bytes += payload.size();
        actions.push_back(SendLeaf{read.peer, std::move(payload)});
    }
}

void Swarm::Impl::Announce(const ContentId& content, ChunkIndex chunk) {
    for (const auto& [id, peer] : peers) {
        if (!peer.faulty && peer.interested.contains(content)) Send(id, HaveUpdate{content, chunk});
    }
}

void Swarm::RemoveContent(const ContentId& content) {
    m_impl->served.erase(content);
    for (auto& [id, peer] : m_impl->peers) {
        for (const Upload& upload : peer.uploads) {
            if (upload.content == content)
                m_impl->Send(id, Refuse{content, upload.wanted.chunk, RefuseReason::kNotHere});
        }
        std::erase_if(peer.uploads, [&](const Upload& upload) { return upload.content == content; });
    }
}

void Swarm::OnChunkRead(uint64_t request, Result<ChunkData> data, Instant now) {
    const auto found = m_impl->reads.find(request);
    if (found == m_impl->reads.end() || found->second.is_hashes) return;
    const PendingRead read = std::move(found->second);
    m_impl->reads.erase(found);
    PeerState* peer = m_impl->Find(read.peer);
    if (peer != nullptr) peer->reading_bytes -= std::min(peer->reading_bytes, read.bytes);
    const bool whole = data && data->bytes.size() == ChunkBytes(read.content.size_bytes, read.wanted.chunk) &&
                       data->leaf_hashes.size() == LeavesOfChunk(read.content.size_bytes, read.wanted.chunk);
    if (peer == nullptr || read.cancelled || !whole) {
        m_impl->UndoRead(read);
        if (peer != nullptr && !read.cancelled)
            m_impl->Send(read.peer, Refuse{read.content, read.wanted.chunk, RefuseReason::kNotHere});
    } else {
        m_impl->SendChunk(read, *data);
    }
    m_impl->PumpUploads(now);
}

void Swarm::OnHashesRead(uint64_t request, std::optional<HashProof> proof, Instant) {
    const auto found = m_impl->reads.find(request);
    if (found == m_impl->reads.end() || !found->second.is_hashes) return;
    const PendingRead read = std::move(found->second);
    m_impl->reads.erase(found);
    if (proof && m_impl->Find(read.peer) != nullptr)
        m_impl->Send(read.peer, Hashes{read.content, read.span, std::move(*proof)});
}

void Swarm::OnPeerDrained(PeerId peer, uint64_t queued_bytes, Instant now) {
    PeerState* state = m_impl->Find(peer);
    if (state == nullptr) return;
    state->queued_bytes = queued_bytes;
    m_impl->PumpUploads(now);
}

}  // namespace sluice::content
