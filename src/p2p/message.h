#pragma once

#include <string>
#include <vector>

#include "p2p/endpoint.h"
#include "primitives/block.h"

// What peers say to each other. Payloads are encoded with util/serialize.h; the limits below are checked before
// anything is allocated. The two content messages and the vote are opaque here.

namespace sluice::p2p {

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr size_t kMaxHeadersPerMessage = 1000;
inline constexpr size_t kMaxLocatorHashes = 64;
inline constexpr size_t kMaxBlocksPerRequest = 16;
inline constexpr size_t kMaxTransactionsPerMessage = 1000;  // hashes in an inventory or request
inline constexpr size_t kMaxAddressesPerMessage = 256;
inline constexpr size_t kMaxUserAgentBytes = 128;
inline constexpr size_t kMaxVoteBytes = 1024;
inline constexpr size_t kMaxContentControlBytes = 64 << 10;
inline constexpr size_t kMaxFreshBlockBytes = 16 << 10;           // one frame
inline constexpr size_t kMaxContentChunkBytes = (16 << 10) + 64;  // one leaf with its header: one frame

enum class MessageType : uint8_t {
    kHello = 1,             // Hello, the first message of both sides
    kPing = 2,              // PingMessage
    kPong = 3,              // PingMessage, the same nonce
    kGetHeaders = 4,        // GetHeaders
    kHeaders = 5,           // Headers: the answer, or up to 8 that announce a new tip
    kGetBlocks = 6,         // BlockHashes
    kBlock = 7,             // a block
    kBlockNotFound = 8,     // BlockHashes
    kTxInventory = 9,       // Wtxids: what the sender can give
    kGetTransactions = 10,  // Wtxids
    kGetParents = 11,       // Txids: unconfirmed parents that a child names by txid
    kTransaction = 12,      // a transaction
    kTxNotFound = 13,       // Wtxids
    kGetAddresses = 14,     // empty
    kAddresses = 15,        // Addresses
    kVote = 16,             // opaque
    kContentControl = 17,   // opaque
    kContentChunk = 18,     // opaque
    kBulkLane = 19,         // empty: this connection is the bulk lane of another one between the same nodes
    kFreshBlock = 20,       // a block of at most kMaxFreshBlockBytes: its header is announced, and this is its body
};

// Strict priority, highest first: a frame of a class leaves only when no higher class has any.
enum class MessageClass : uint8_t { kVotes, kHeaders, kBlocks, kTransactions, kControl, kChunks };
inline constexpr size_t kMessageClasses = 6;

bool IsKnownMessageType(uint8_t type);
// Preconditions of these three: a known type.
MessageClass ClassOf(MessageType type);
size_t MaxPayloadBytes(MessageType type);
const char* NameOf(MessageType type);

namespace services {
inline constexpr uint64_t kFullBlocks = 1;  // serves all blocks and headers
inline constexpr uint64_t kContent = 2;     // speaks the content protocol
}  // namespace services

// A connection to oneself shows by the node id, so the greeting needs no nonce.
struct Hello {
    uint32_t version{kProtocolVersion};
    uint64_t services{0};
    std::string user_agent;
    Height best_height;
    uint16_t listen_port{0};  // 0: does not accept connections

    friend bool operator==(const Hello&, const Hello&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.version, self.services);
        archive.VarBytes(self.user_agent, kMaxUserAgentBytes);
        archive(self.best_height, self.listen_port);
    }
};

struct PingMessage {
    uint64_t nonce{0};
    static void Serialize(auto& self, auto& archive) { archive(self.nonce); }
};

// Asks for the headers after the first locator hash that is on the receiver's best chain (genesis if none is), up to
// and with `stop` (zero: as many as fit).
struct GetHeaders {
    std::vector<BlockHash> locator;  // newest first, at exponentially growing distances
    BlockHash stop;

    static void Serialize(auto& self, auto& archive) {
        archive.Vector(self.locator, kMaxLocatorHashes, BlockHash::kSize);
        archive(self.stop);
    }
};

// Consecutive headers, each the parent of the next. Fewer than kMaxHeadersPerMessage: the sender has no more.
struct Headers {
    std::vector<BlockHeader> headers;
    static void Serialize(auto& self, auto& archive) {
        archive.Vector(self.headers, kMaxHeadersPerMessage, kBlockHeaderBytes);
    }
};

template <class Hash, size_t kLimit>
struct HashList {
    std::vector<Hash> hashes;
    static void Serialize(auto& self, auto& archive) { archive.Vector(self.hashes, kLimit, Hash::kSize); }
};
using BlockHashes = HashList<BlockHash, kMaxBlocksPerRequest>;
using Wtxids = HashList<Wtxid, kMaxTransactionsPerMessage>;
using Txids = HashList<Txid, kMaxTransactionsPerMessage>;

struct AddressEntry {
    Endpoint endpoint;
    uint64_t services{0};
    uint64_t last_seen_s{0};  // Unix time

    friend bool operator==(const AddressEntry&, const AddressEntry&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.endpoint, self.services, self.last_seen_s); }
};
inline constexpr size_t kAddressEntryBytes = 18 + 8 + 8;

struct Addresses {
    std::vector<AddressEntry> entries;
    static void Serialize(auto& self, auto& archive) {
        archive.Vector(self.entries, kMaxAddressesPerMessage, kAddressEntryBytes);
    }
};

}  // namespace sluice::p2p
