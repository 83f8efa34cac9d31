#pragma once

#include <variant>
#include <vector>

#include "content/merkle.h"
#include "crypto/aead.h"
#include "primitives/transaction.h"

// What peers say to each other about content. The first byte of a payload is its ContentMessageType; p2p carries
// payloads as opaque bytes in two message types: leaves in the chunk class, everything else in the control class, which
// overtakes it.
//
//   downloader                         seeder
//   HaveQuery          ------------->          which chunks, at what price
//                      <-------------  Have (HaveUpdate for each chunk that comes later)
//   GetHashes          ------------->
//                      <-------------  Hashes
//   RequestChunks      ------------->          CancelChunks takes it back
//                      <-------------  its leaves; or Refuse
//   GetLeafHashes      ------------->          of a chunk whose leaves do not give its hash: which of them are bad?
//                      <-------------  ChunkLeafHashes; or Refuse
//                      <-------------  Choke: what was asked for free and has not left is forgotten; Unchoke: ask again
//   payer                              payee
//   TermsRequest       ------------->
//                      <-------------  ChannelTerms
//   ChannelOpen        ------------->          once the opening is on the network
//                      <-------------  ChannelAccept (again when it is final) or ChannelReject
//   Voucher            ------------->
//                      <-------------  ChannelClosed: it is being settled
//   Bid                ------------->
//                      <-------------  Counter
//   UseChannel         ------------->          of several channels, the one that pays from here on
//
// Equal messages have equal bytes; every count is bounded by a limit here and by the bytes that are left.

namespace sluice::content {

inline constexpr size_t kMaxControlPayloadBytes = 16 << 10;
inline constexpr size_t kMaxLeafPayloadBytes = kLeafBytes + 64;
inline constexpr size_t kMaxHaveBitmapBytes = 8 << 10;  // 65,536 chunks, 16 GiB, a message
inline constexpr size_t kMaxRequestedChunks = 256;      // in a message
inline constexpr uint32_t kMaxRequestedHashSpan = 256;  // a proof of it fits in a control payload
inline constexpr uint16_t kAllLeaves = 0xffff;

using ChannelSalt = FixedBytes<16, struct ChannelSaltTag>;

enum class ContentMessageType : uint8_t {
    kHaveQuery = 1,
    kHave = 2,
    kHaveUpdate = 3,
    kGetHashes = 4,
    kHashes = 5,
    kRequestChunks = 6,
    kChunkLeafHashes = 7,
    kLeaf = 8,
    kCancelChunks = 9,
    kRefuse = 10,
    kTermsRequest = 11,
    kChannelTerms = 12,
    kChannelOpen = 13,
    kChannelAccept = 14,
    kChannelReject = 15,
    kVoucher = 16,
    kChannelClosed = 17,
    kGetLeafHashes = 18,
    kChoke = 19,
    kUnchoke = 20,
    kBid = 23,
    kCounter = 24,
    kUseChannel = 25,
    kGetProviders = 27,  // node/provider_messages.h: these two never reach the swarm
    kProviders = 28,
};

struct HaveQuery {
    static constexpr ContentMessageType kType = ContentMessageType::kHaveQuery;
    ContentId content;

    friend bool operator==(const HaveQuery&, const HaveQuery&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.content); }
};

// What the sender serves of a content: everything, or the chunks whose bits are set (least significant first) from
// `first` on. Several of them describe large content; an empty bitmap at chunk 0 means nothing at all.
struct Have {
    static constexpr ContentMessageType kType = ContentMessageType::kHave;
    ContentId content;
    Amount ask_per_mib;  // 0: free, needs no channel
    bool all{false};
    ChunkIndex first;
    Bytes bits;  // empty if `all`

    friend bool operator==(const Have&, const Have&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.content, self.ask_per_mib, self.all, self.first);
        archive.VarBytes(self.bits, kMaxHaveBitmapBytes);
    }
};

struct HaveUpdate {
    static constexpr ContentMessageType kType = ContentMessageType::kHaveUpdate;
    ContentId content;
    ChunkIndex chunk;

    friend bool operator==(const HaveUpdate&, const HaveUpdate&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.content, self.chunk); }
};

struct GetHashes {
    static constexpr ContentMessageType kType = ContentMessageType::kGetHashes;
    ContentId content;
    HashSpan span;  // at most kMaxRequestedHashSpan

    friend bool operator==(const GetHashes&, const GetHashes&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.content, self.span); }
};

struct Hashes {
    static constexpr ContentMessageType kType = ContentMessageType::kHashes;
    ContentId content;
    HashSpan span;
    HashProof proof;

    friend bool operator==(const Hashes&, const Hashes&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.content, self.span, self.proof); }
};

// Leaves of a chunk: bit i is leaf i. Never 0; bits past the chunk's end mean nothing.
struct LeafRequest {
    ChunkIndex chunk;
    uint16_t leaves{kAllLeaves};

    friend bool operator==(const LeafRequest&, const LeafRequest&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.chunk, self.leaves); }
};

enum class RequestOrder : uint8_t {
    kQueue = 0,
    kUrgent = 1,  // somebody waits for them: before everything that the sender asked for and that is not urgent
    kHurry = 2,   // those of them that were asked for and wait still become urgent; nothing is sent twice
};

struct RequestChunks {
    static constexpr ContentMessageType kType = ContentMessageType::kRequestChunks;
    ContentId content;
    RequestOrder order{RequestOrder::kQueue};
    std::vector<LeafRequest> chunks;

    friend bool operator==(const RequestChunks&, const RequestChunks&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.content, self.order);
        archive.Vector(self.chunks, kMaxRequestedChunks, 6);
    }
};

struct GetLeafHashes {
    static constexpr ContentMessageType kType = ContentMessageType::kGetLeafHashes;
    ContentId content;
    ChunkIndex chunk;

    friend bool operator==(const GetLeafHashes&, const GetLeafHashes&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.content, self.chunk); }
};

// Proven by the chunk's hash.
struct ChunkLeafHashes {
    static constexpr ContentMessageType kType = ContentMessageType::kChunkLeafHashes;
    ContentId content;
    ChunkIndex chunk;
    std::vector<Hash256> hashes;

    friend bool operator==(const ChunkLeafHashes&, const ChunkLeafHashes&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.content, self.chunk);
        archive.Vector(self.hashes, kLeavesPerChunk, 32);
    }
};

// One leaf. `bytes` looks into the payload that it was decoded from.
struct Leaf {
    static constexpr ContentMessageType kType = ContentMessageType::kLeaf;
    ContentId content;
    ChunkIndex chunk;
    uint8_t leaf{0};
    ByteSpan bytes;  // the rest of the payload
};

// Each request is answered once, whether it is taken back or not: with its leaves, or with Refuse. So both sides know
// what was delivered, and what is asked again is not sent twice.
struct CancelChunks {
    static constexpr ContentMessageType kType = ContentMessageType::kCancelChunks;
    ContentId content;
    std::vector<ChunkIndex> chunks;

    friend bool operator==(const CancelChunks&, const CancelChunks&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.content);
        archive.Vector(self.chunks, kMaxRequestedChunks, 4);
    }
};

enum class RefuseReason : uint8_t {
    kNotHere = 1,        // the chunk is not served (any more)
    kBusy = 2,           // too many requests are waiting
    kNeedsChannel = 3,   // content with a price, and no accepted channel
    kNeedsFinality = 4,  // the credit is used up until the channel is final; ChannelAccept follows then
    kChannelFull = 5,    // the channel holds no more
    kNoCredit = 6,       // the budget for unpaid bytes is used up: try later
    kTakenBack = 7,      // by CancelChunks or a choke, before it was read
};

struct Refuse {
    static constexpr ContentMessageType kType = ContentMessageType::kRefuse;
    ContentId content;
    ChunkIndex chunk;
    RefuseReason reason{RefuseReason::kNotHere};

    friend bool operator==(const Refuse&, const Refuse&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.content, self.chunk, self.reason); }
};

struct TermsRequest {
    static constexpr ContentMessageType kType = ContentMessageType::kTermsRequest;
    ContentId content;

    friend bool operator==(const TermsRequest&, const TermsRequest&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.content); }
};

struct ChannelTerms {
    static constexpr ContentMessageType kType = ContentMessageType::kChannelTerms;
    ContentId content;
    XOnlyPubKey payee_key;
    ChannelSalt salt;  // the payee derives the key's secret from it again
    Amount ask_per_mib;
    Amount first_voucher;           // the least that the first voucher pays: twice the marginal cost of settling
    uint32_t min_window_blocks{0};  // the least from now to the expiry

    friend bool operator==(const ChannelTerms&, const ChannelTerms&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.content, self.payee_key, self.salt, self.ask_per_mib, self.first_voucher, self.min_window_blocks);
    }
};

struct ChannelOpen {
    static constexpr ContentMessageType kType = ContentMessageType::kChannelOpen;
    OutPoint outpoint;
    XOnlyPubKey payer_key;
    XOnlyPubKey payee_key;
    ChannelSalt salt;
    Height expiry;
    Amount capacity;
    Script return_script;
    SchnorrSignature signature;  // by the payer key, over ChannelOpenHash (channel.h): binds it to both node ids

    friend bool operator==(const ChannelOpen&, const ChannelOpen&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.outpoint, self.payer_key, self.payee_key, self.salt, self.expiry, self.capacity);
        archive.VarBytes(self.return_script, 42);
        archive(self.signature);
    }
};

// The payee knows the opening. Shows the highest voucher that it holds, so that a payer that lost it goes on from
// there. Sent again while the payee waits for a voucher and has nothing left to send: what the payer lost by then
// never comes.
struct ChannelAccept {
    static constexpr ContentMessageType kType = ContentMessageType::kChannelAccept;
    OutPoint outpoint;
    bool final{false};                          // deep enough: only vouchers are awaited from here on
    bool waits{false};                          // all that was delivered is before this message
    Amount returned;                            // X of the highest voucher, or the capacity
    std::optional<SchnorrSignature> signature;  // of that voucher
    uint64_t owed_low{0}, owed_high{0};         // the payee's meter

    friend bool operator==(const ChannelAccept&, const ChannelAccept&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.outpoint, self.final, self.waits, self.returned);
        archive.Optional(self.signature);
        archive(self.owed_low, self.owed_high);
    }
};

enum class ChannelRejectReason : uint8_t {
    kUnknown = 1,  // no such output on the chain or waiting to be
    kTerms = 2,    // keys, expiry, capacity or script are not as agreed
    kSignature = 3,
    kVoucher = 4,  // a voucher that does not verify, pays less, or less than is owed
    kNearExpiry = 5,
    kTooMany = 6,
};

struct ChannelReject {
    static constexpr ContentMessageType kType = ContentMessageType::kChannelReject;
    OutPoint outpoint;
    ChannelRejectReason reason{ChannelRejectReason::kUnknown};

    friend bool operator==(const ChannelReject&, const ChannelReject&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.outpoint, self.reason); }
};

struct Voucher {
    static constexpr ContentMessageType kType = ContentMessageType::kVoucher;
    OutPoint outpoint;
    Amount returned;             // X: what goes back to the payer
    SchnorrSignature signature;  // SINGLE|ANYONECANPAY

    friend bool operator==(const Voucher&, const Voucher&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.outpoint, self.returned, self.signature); }
};

struct ChannelClosed {
    static constexpr ContentMessageType kType = ContentMessageType::kChannelClosed;
    OutPoint outpoint;

    friend bool operator==(const ChannelClosed&, const ChannelClosed&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.outpoint); }
};

// A downloader's offer for a content with a price, and what the seeder says to it (haggle.h).
struct Bid {
    static constexpr ContentMessageType kType = ContentMessageType::kBid;
    ContentId content;
    uint8_t round{1};  // 1 to kMaxBids
    Amount price_per_mib;

    friend bool operator==(const Bid&, const Bid&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.content, self.round, self.price_per_mib); }
};
struct Counter {
    static constexpr ContentMessageType kType = ContentMessageType::kCounter;
    ContentId content;
    uint8_t round{1};      // of the bid that it answers
    Amount price_per_mib;  // what the peer pays from now on; never over what it was before
    bool firm{false};      // no further bid changes it

    friend bool operator==(const Counter&, const Counter&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.content, self.round, self.price_per_mib, self.firm);
    }
};

// Chunks that the payer requests from here on are charged to this channel. Rationale: with two channels between two
// nodes (the second is opened before the first is empty) both have to know which one pays a chunk.
struct UseChannel {
    static constexpr ContentMessageType kType = ContentMessageType::kUseChannel;
    OutPoint outpoint;

    friend bool operator==(const UseChannel&, const UseChannel&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.outpoint); }
};

// Of everything that the sender serves for free. What has a price is never choked: it waits for money alone.
struct Choke {
    static constexpr ContentMessageType kType = ContentMessageType::kChoke;

    friend bool operator==(const Choke&, const Choke&) = default;
    static void Serialize(auto&, auto&) {}
};
struct Unchoke {
    static constexpr ContentMessageType kType = ContentMessageType::kUnchoke;

    friend bool operator==(const Unchoke&, const Unchoke&) = default;
    static void Serialize(auto&, auto&) {}
};

using ContentMessage =
    std::variant<HaveQuery, Have, HaveUpdate, GetHashes, Hashes, RequestChunks, ChunkLeafHashes, Leaf, CancelChunks,
                 Refuse, TermsRequest, ChannelTerms, ChannelOpen, ChannelAccept, ChannelReject, Voucher, ChannelClosed,
                 GetLeafHashes, Choke, Unchoke, Bid, Counter, UseChannel>;

// The payload of any message but a leaf.
template <class T>
Bytes EncodeContentMessage(const T& message) {
    static_assert(T::kType != ContentMessageType::kLeaf);
    Writer writer;
    writer(T::kType);
    writer(message);
    return writer.Take();
}
// What comes before the bytes of a leaf.
Bytes EncodeLeafHead(const ContentId& content, ChunkIndex chunk, uint8_t leaf);
Bytes EncodeLeaf(const ContentId& content, ChunkIndex chunk, uint8_t leaf, ByteSpan bytes);

// Canonical payloads of known types only; the error names what is wrong. Checks form and limits: content sizes, indices
// within them, masks and reasons; not whether anybody asked. A Leaf refers to `payload`.
Result<ContentMessage> DecodeContentMessage(ByteSpan payload);

}  // namespace sluice::content
