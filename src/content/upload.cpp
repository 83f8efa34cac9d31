#include <algorithm>

#include "content/settlement.h"
#include "content/swarm_state.h"

// The serving side: what we have, what peers ask of it, and whether they have paid.

namespace sluice::content {
namespace {

constexpr size_t kMaxHashReads = 64;     // of one peer, of any kind
constexpr size_t kMaxLeafHashReads = 4;  // of one peer: each hashes a whole chunk

size_t HashReadsOf(const std::map<uint64_t, PendingRead>& reads, PeerId peer) {
    return static_cast<size_t>(std::count_if(reads.begin(), reads.end(), [&](const auto& entry) {
        return entry.second.peer == peer && !entry.second.own && entry.second.kind != PendingRead::Kind::kChunk;
    }));
}

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
    if (!served.contains(get.content) || HashReadsOf(reads, peer) >= kMaxHashReads) return;
    PendingRead read;
    read.peer = peer;
    read.content = get.content;
    read.span = get.span;
    read.kind = PendingRead::Kind::kHashes;
    const uint64_t request = next_request++;
    reads.emplace(request, read);
    actions.push_back(ReadHashes{request, get.content, get.span});
}

void Swarm::Impl::OnGetLeafHashes(PeerId peer, const GetLeafHashes& get) {
    const auto content = served.find(get.content);
    if (content == served.end() || !content->second.have.Has(get.chunk) ||
        HashReadsOf(reads, peer) >= kMaxLeafHashReads)
        return Send(peer, Refuse{get.content, get.chunk, RefuseReason::kNotHere});
    PendingRead read;
    read.peer = peer;
    read.content = get.content;
    read.wanted.chunk = get.chunk;
    read.kind = PendingRead::Kind::kLeafHashes;
    const uint64_t request = next_request++;
    reads.emplace(request, read);
    actions.push_back(ReadLeafHashes{request, get.content, get.chunk});
}

void Swarm::Impl::OnRequestChunks(PeerId peer, const RequestChunks& request, Instant now) {
    PeerState& state = peers.at(peer);
    const auto content = served.find(request.content);
    const auto normal = [&] {  // where the urgent ones end
        return std::find_if(state.uploads.begin(), state.uploads.end(),
                            [](const Upload& upload) { return !upload.urgent; });
    };
    if (request.order == RequestOrder::kHurry) {
        for (const LeafRequest& wanted : request.chunks) {
            const auto first = normal();
            const auto waiting = std::find_if(first, state.uploads.end(), [&](const Upload& upload) {
                return upload.content == request.content && upload.wanted.chunk == wanted.chunk;
            });
            if (waiting == state.uploads.end()) continue;
            waiting->urgent = true;
            std::rotate(first, waiting, waiting + 1);
        }
        return PumpUploads(now);
    }
    // Who pays us needs no slot, nor does what has a price.
    if (content != served.end() && PriceFor(state, request.content).drops == 0 &&
        PayeeLinkOf(peer, state.pays_us) == nullptr && !choker.OnRequest(peer, now)) {
        ChokePeer(peer, state);
        for (const LeafRequest& wanted : request.chunks)
            Send(peer, Refuse{request.content, wanted.chunk, RefuseReason::kTakenBack});
        return;
    }
    const bool urgent = request.order == RequestOrder::kUrgent;
    for (const LeafRequest& wanted : request.chunks) {
        if (content == served.end() || !content->second.have.Has(wanted.chunk)) {
            Send(peer, Refuse{request.content, wanted.chunk, RefuseReason::kNotHere});
        } else if (state.uploads.size() >= kMaxQueuedRequests) {
            Send(peer, Refuse{request.content, wanted.chunk, RefuseReason::kBusy});
        } else if (BytesOf(request.content, wanted) > 0) {
            state.uploads.insert(urgent ? normal() : state.uploads.end(),
                                 {request.content, wanted, PriceFor(state, request.content), state.pays_us, urgent});
        }
    }
    PumpUploads(now);
}

void Swarm::Impl::OnCancelChunks(PeerId peer, const CancelChunks& cancel) {
    const std::set<ChunkIndex> chunks(cancel.chunks.begin(), cancel.chunks.end());
    TakeBack(peer, peers.at(peer), [&](const Upload& upload) {
        return upload.content == cancel.content && chunks.contains(upload.wanted.chunk);
    });
    for (auto& [request, read] : reads) {
        if (read.peer == peer && !read.own && read.kind == PendingRead::Kind::kChunk &&
            read.content == cancel.content && chunks.contains(read.wanted.chunk))
            read.cancelled = true;
    }
}

void Swarm::Impl::TakeBack(PeerId id, PeerState& peer, const std::function<bool(const Upload&)>& which) {
    std::erase_if(peer.uploads, [&](const Upload& upload) {
        if (!which(upload)) return false;
        Send(id, Refuse{upload.content, upload.wanted.chunk, RefuseReason::kTakenBack});
        return true;
    });
}

// What waits for a slot is taken back; what is being read or sent goes out.
void Swarm::Impl::ChokePeer(PeerId id, PeerState& peer) {
    peer.choked = true;
    Send(id, Choke{});
    TakeBack(id, peer, [](const Upload& upload) { return upload.ask.drops == 0; });
}

void Swarm::Impl::TickChoker(Instant now) {
    for (const Choker::Change& change : choker.Tick(now)) {
        PeerState* peer = Find(change.peer);
        if (peer == nullptr) continue;
        if (change.choked) {
            if (PayeeLinkOf(change.peer, peer->pays_us) == nullptr) ChokePeer(change.peer, *peer);
        } else if (std::exchange(peer->choked, false)) {
            Send(change.peer, Unchoke{});
        }
    }
}

uint64_t Swarm::Impl::QueueLimit(const PeerState& peer) const {
    const double ahead = peer.drain_bytes_per_s * std::chrono::duration<double>(kQueueTime).count();
    const uint64_t least = std::min(config.max_queued_bytes, kMinQueuedBytes);
    if (peer.drain_bytes_per_s == 0) return std::min<uint64_t>(config.max_queued_bytes, 2 * kMinQueuedBytes);
    return std::clamp(static_cast<uint64_t>(ahead), least, config.max_queued_bytes);
}

void Swarm::Impl::NoteDrained(PeerState& peer, uint64_t queued_bytes, Instant now) {
    queued_bytes = std::min(queued_bytes, peer.queued_bytes);  // only we put bytes there
    const uint64_t drained = peer.queued_bytes - queued_bytes;
    uploading_bytes -= drained;
    peer.queued_bytes = queued_bytes;
    peer.drained_bytes += drained;
    const double passed = std::chrono::duration<double>(now - peer.drain_since).count();
    if (passed < 0.01) return;
    if (peer.drained_bytes > 0) {
        const double rate = static_cast<double>(peer.drained_bytes) / passed;
        // Time in which nothing was there to drain says nothing of the peer: it is not counted for more than a tenth.
        if (passed < 0.1 || peer.drain_bytes_per_s == 0 || rate > peer.drain_bytes_per_s)
            peer.drain_bytes_per_s = peer.drain_bytes_per_s == 0 ? rate : 0.7 * peer.drain_bytes_per_s + 0.3 * rate;
    }
    peer.drained_bytes = 0;
    peer.drain_since = now;
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
    const uint64_t waiting = peer.queued_bytes + peer.reading_bytes;
    if (waiting >= QueueLimit(peer) || chunk_reads >= kMaxReads ||
        (waiting > 0 && uploading_bytes >= kMaxQueuedBytesInAll))
        return false;
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
                if (!peer.waits_since) peer.waits_since = now;
                return false;
            case Charge::kRefuse:
                return refuse(reason);
        }
    }
    peer.uploads.pop_front();
    peer.waits_since.reset();
    peer.reading_bytes += read.bytes;
    uploading_bytes += read.bytes;
    ++chunk_reads;
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

void Swarm::Impl::SendChunk(const PendingRead& read, const std::shared_ptr<const Bytes>& chunk, Instant now) {
    PeerState& peer = peers.at(read.peer);
    if (peer.queued_bytes == 0) peer.drain_since = now;
    for (uint32_t leaf = 0; leaf < LeavesOfChunk(read.content.size_bytes, read.wanted.chunk); ++leaf) {
        if ((read.wanted.leaves >> leaf & 1) == 0) continue;
        const size_t at = size_t{leaf} * kLeafBytes;
        const size_t size = LeafBytes(read.content.size_bytes, read.wanted.chunk, leaf);
        Bytes head = EncodeLeafHead(read.content, read.wanted.chunk, static_cast<uint8_t>(leaf));
        peer.queued_bytes += head.size() + size;
        uploading_bytes += head.size() + size;
        actions.push_back(SendLeaf{read.peer, std::move(head), chunk, at, size});
    }
    choker.OnTook(read.peer, read.bytes);
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

void Swarm::OnChunkRead(uint64_t request, Result<std::shared_ptr<const Bytes>> chunk, Instant now) {
    const auto found = m_impl->reads.find(request);
    if (found == m_impl->reads.end() || found->second.kind != PendingRead::Kind::kChunk) return;
    const PendingRead read = std::move(found->second);
    m_impl->reads.erase(found);
    --m_impl->chunk_reads;
    m_impl->uploading_bytes -= read.bytes;
    PeerState* peer = m_impl->Find(read.peer);
    if (peer != nullptr) peer->reading_bytes -= std::min(peer->reading_bytes, read.bytes);
    const bool whole = chunk && (*chunk)->size() == ChunkBytes(read.content.size_bytes, read.wanted.chunk);
    if (peer == nullptr || read.cancelled || !whole) {
        m_impl->UndoRead(read);
        const RefuseReason why = read.cancelled ? RefuseReason::kTakenBack : RefuseReason::kNotHere;
        if (peer != nullptr) m_impl->Send(read.peer, Refuse{read.content, read.wanted.chunk, why});
    } else {
        m_impl->SendChunk(read, *chunk, now);
    }
    m_impl->PumpUploads(now);
}

void Swarm::OnHashesRead(uint64_t request, std::optional<HashProof> proof, Instant now) {
    const auto found = m_impl->reads.find(request);
    if (found == m_impl->reads.end() || found->second.kind != PendingRead::Kind::kHashes) return;
    const PendingRead read = std::move(found->second);
    m_impl->reads.erase(found);
    if (read.own) return m_impl->OnOwnHashesRead(read, proof, now);
    if (proof && m_impl->Find(read.peer) != nullptr)
        m_impl->Send(read.peer, Hashes{read.content, read.span, std::move(*proof)});
}

void Swarm::OnLeafHashesRead(uint64_t request, Result<std::vector<Hash256>> hashes, Instant) {
    const auto found = m_impl->reads.find(request);
    if (found == m_impl->reads.end() || found->second.kind != PendingRead::Kind::kLeafHashes) return;
    const PendingRead read = std::move(found->second);
    m_impl->reads.erase(found);
    if (m_impl->Find(read.peer) == nullptr) return;
    const ChunkIndex chunk = read.wanted.chunk;
    if (hashes && hashes->size() == LeavesOfChunk(read.content.size_bytes, chunk))
        return m_impl->Send(read.peer, ChunkLeafHashes{read.content, chunk, std::move(*hashes)});
    m_impl->Send(read.peer, Refuse{read.content, chunk, RefuseReason::kNotHere});
}

void Swarm::OnPeerDrained(PeerId peer, uint64_t queued_bytes, Instant now) {
    PeerState* state = m_impl->Find(peer);
    if (state == nullptr) return;
    m_impl->NoteDrained(*state, queued_bytes, now);
    if (!state->uploads.empty()) m_impl->PumpUploads(now);
}

}  // namespace sluice::content
