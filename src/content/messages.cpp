#include "content/messages.h"

#include "content/haggle.h"

namespace sluice::content {
namespace {

Status CheckChunkOf(const ContentId& content, ChunkIndex chunk) {
    if (chunk.value < ChunkCount(content.size_bytes)) return {};
    return Fail("chunk " + ToString(chunk) + " is after the end of the content of " +
                std::to_string(content.size_bytes) + " bytes");
}

Status CheckSpanOf(const ContentId& content, const HashSpan& span) {
    if (span.count > kMaxRequestedHashSpan)
        return Fail("a span of " + std::to_string(span.count) + " hashes is over the limit of " +
                    std::to_string(kMaxRequestedHashSpan));
    return CheckHashSpan(content.size_bytes, span);
}

Status CheckMoney(const char* field, Amount amount) {
    if (InMoneyRange(amount)) return {};
    return Fail(std::string(field) + " is over the supply");
}

// What the encodings alone do not say.
Status Check(const HaveQuery&) { return {}; }
Status Check(const Have& have) {
    RETURN_IF_ERROR(CheckMoney("ask_per_mib", have.ask_per_mib));
    if (have.all) {
        if (have.first.value == 0 && have.bits.empty()) return {};
        return Fail("a Have of everything has a bitmap");
    }
    RETURN_IF_ERROR(CheckChunkOf(have.content, have.first));
    const uint64_t left = ChunkCount(have.content.size_bytes) - have.first.value;
    if (have.bits.size() > (left + 7) / 8) return Fail("a bitmap reaches beyond the end of the content");
    if (have.bits.size() == (left + 7) / 8 && left % 8 != 0 && have.bits.back() >> (left % 8) != 0)
        return Fail("a bitmap has bits after the end of the content");
    return {};
}
Status Check(const HaveUpdate& update) { return CheckChunkOf(update.content, update.chunk); }
Status Check(const GetHashes& get) { return CheckSpanOf(get.content, get.span); }
Status Check(const Hashes& hashes) {
    RETURN_IF_ERROR(CheckSpanOf(hashes.content, hashes.span));
    if (hashes.proof.hashes.size() == ProofHashes(hashes.content.size_bytes, hashes.span) &&
        hashes.proof.uncles.size() == ProofUncles(hashes.content.size_bytes, hashes.span))
        return {};
    return Fail("a proof of hashes has not the lengths that the size of the content gives");
}
Status Check(const RequestChunks& request) {
    if (request.order > RequestOrder::kHurry) return Fail("a request has an unknown order");
    for (const LeafRequest& wanted : request.chunks) {
        RETURN_IF_ERROR(CheckChunkOf(request.content, wanted.chunk));
        if (wanted.leaves == 0) return Fail("a request for no leaf of chunk " + ToString(wanted.chunk));
    }
    return {};
}
Status Check(const ChunkLeafHashes& hashes) {
    RETURN_IF_ERROR(CheckChunkOf(hashes.content, hashes.chunk));
    if (hashes.hashes.size() == LeavesOfChunk(hashes.content.size_bytes, hashes.chunk)) return {};
    return Fail("chunk " + ToString(hashes.chunk) + " has not " + std::to_string(hashes.hashes.size()) + " leaves");
}
Status Check(const GetLeafHashes& get) { return CheckChunkOf(get.content, get.chunk); }
Status Check(const Choke&) { return {}; }
Status Check(const Unchoke&) { return {}; }
Status Check(const Leaf& leaf) {
    RETURN_IF_ERROR(CheckChunkOf(leaf.content, leaf.chunk));
    const uint32_t expected = LeafBytes(leaf.content.size_bytes, leaf.chunk, leaf.leaf);
    if (expected != 0 && leaf.bytes.size() == expected) return {};
    return Fail("leaf " + std::to_string(leaf.leaf) + " of chunk " + ToString(leaf.chunk) + " has " +
                std::to_string(leaf.bytes.size()) + " bytes, not " + std::to_string(expected));
}
Status Check(const CancelChunks& cancel) {
    for (const ChunkIndex chunk : cancel.chunks) RETURN_IF_ERROR(CheckChunkOf(cancel.content, chunk));
    return {};
}
Status Check(const Refuse& refuse) {
    RETURN_IF_ERROR(CheckChunkOf(refuse.content, refuse.chunk));
    if (refuse.reason >= RefuseReason::kNotHere && refuse.reason <= RefuseReason::kTakenBack) return {};
    return Fail("a refusal has an unknown reason");
}
Status Check(const TermsRequest&) { return {}; }
Status Check(const ChannelTerms& terms) {
    RETURN_IF_ERROR(CheckMoney("ask_per_mib", terms.ask_per_mib));
    return CheckMoney("first_voucher", terms.first_voucher);
}
Status Check(const ChannelOpen& open) { return CheckMoney("capacity", open.capacity); }
Status Check(const ChannelAccept& accept) { return CheckMoney("returned", accept.returned); }
Status Check(const ChannelReject& reject) {
    if (reject.reason >= ChannelRejectReason::kUnknown && reject.reason <= ChannelRejectReason::kTooMany) return {};
    return Fail("a rejection has an unknown reason");
}
Status Check(const Voucher& voucher) { return CheckMoney("returned", voucher.returned); }
Status Check(const ChannelClosed&) { return {}; }
Status Check(const Bid& bid) {
    if (bid.round == 0 || bid.round > kMaxBids) return Fail("a bid's round is not 1 to " + std::to_string(kMaxBids));
    return CheckMoney("price_per_mib", bid.price_per_mib);
}
Status Check(const Counter& counter) {
    if (counter.round == 0 || counter.round > kMaxBids)
        return Fail("a counter's round is not 1 to " + std::to_string(kMaxBids));
    return CheckMoney("price_per_mib", counter.price_per_mib);
}
Status Check(const UseChannel&) { return {}; }

template <class T>
Status CheckContentOf(const T& message) {
    if constexpr (requires { message.content; }) return CheckContentSize(message.content.size_bytes);
    return {};
}

template <class T>
Result<ContentMessage> DecodeAs(Reader& reader) {
    T message;
    if constexpr (std::is_same_v<T, Leaf>) {
        reader(message.content, message.chunk, message.leaf);
        message.bytes = reader.Take(reader.Left());
    } else {
        reader(message);
    }
    if (!reader.Ok()) return Fail(reader.error());
    if (reader.Left() != 0) return Fail(std::to_string(reader.Left()) + " bytes follow the end of the message");
    RETURN_IF_ERROR(CheckContentOf(message));
    RETURN_IF_ERROR(Check(message));
    return ContentMessage(std::move(message));
}

// The alternative of ContentMessage whose kType is `type`.
template <size_t kIndex = 0>
Result<ContentMessage> DecodeType(ContentMessageType type, Reader& reader) {
    if constexpr (kIndex == std::variant_size_v<ContentMessage>) {
        return Fail("an unknown content message of type " + std::to_string(static_cast<int>(type)));
    } else {
        using T = std::variant_alternative_t<kIndex, ContentMessage>;
        if (T::kType == type) return DecodeAs<T>(reader);
        return DecodeType<kIndex + 1>(type, reader);
    }
}

}  // namespace

Bytes EncodeLeafHead(const ContentId& content, ChunkIndex chunk, uint8_t leaf) {
    Writer writer;
    writer.Reserve(64);
    writer(ContentMessageType::kLeaf, content, chunk, leaf);
    return writer.Take();
}

Bytes EncodeLeaf(const ContentId& content, ChunkIndex chunk, uint8_t leaf, ByteSpan bytes) {
    CHECK(bytes.size() <= kLeafBytes);
    Bytes payload = EncodeLeafHead(content, chunk, leaf);
    payload.insert(payload.end(), bytes.begin(), bytes.end());
    return payload;
}

Result<ContentMessage> DecodeContentMessage(ByteSpan payload) {
    if (payload.empty()) return Fail("an empty content message");
    Reader reader(payload);
    ContentMessageType type{};
    reader(type);
    const size_t limit = type == ContentMessageType::kLeaf ? kMaxLeafPayloadBytes : kMaxControlPayloadBytes;
    if (payload.size() > limit)
        return Fail("a content message of " + std::to_string(payload.size()) + " bytes is over the limit of " +
                    std::to_string(limit));
    return DecodeType(type, reader);
}

}  // namespace sluice::content
