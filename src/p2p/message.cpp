#include "p2p/message.h"

namespace sluice::p2p {
namespace {

constexpr size_t kCountBytes = 3;  // a CompactSize of every count here

struct TypeRule {
    MessageType type;
    MessageClass message_class;
    size_t max_payload_bytes;
    const char* name;
};

using enum MessageType;

// Greetings and pings are few and tiny; in the highest class they measure the line and not our queues.
constexpr TypeRule kRules[] = {
    {kHello, MessageClass::kVotes, 4 + 8 + kCountBytes + kMaxUserAgentBytes + 4 + 2, "hello"},
    {kPing, MessageClass::kVotes, 8, "ping"},
    {kPong, MessageClass::kVotes, 8, "pong"},
    {kGetHeaders, MessageClass::kHeaders, kCountBytes + kMaxLocatorHashes * 32 + 32, "getheaders"},
    {kHeaders, MessageClass::kHeaders, kCountBytes + kMaxHeadersPerMessage* kBlockHeaderBytes, "headers"},
    {kGetBlocks, MessageClass::kHeaders, kCountBytes + kMaxBlocksPerRequest * 32, "getblocks"},
    {kBlock, MessageClass::kBlocks, kBlockHeaderBytes + 5 + kMaxBlockBytes, "block"},
    {kBlockNotFound, MessageClass::kBlocks, kCountBytes + kMaxBlocksPerRequest * 32, "blocknotfound"},
    {kTxInventory, MessageClass::kTransactions, kCountBytes + kMaxTransactionsPerMessage * 32, "txinv"},
    {kGetTransactions, MessageClass::kTransactions, kCountBytes + kMaxTransactionsPerMessage * 32, "gettxs"},
    {kGetParents, MessageClass::kTransactions, kCountBytes + kMaxTransactionsPerMessage * 32, "getparents"},
    {kTransaction, MessageClass::kTransactions, kMaxTransactionBytes, "tx"},
    {kTxNotFound, MessageClass::kTransactions, kCountBytes + kMaxTransactionsPerMessage * 32, "txnotfound"},
    {kGetAddresses, MessageClass::kControl, 0, "getaddr"},
    {kAddresses, MessageClass::kControl, kCountBytes + kMaxAddressesPerMessage* kAddressEntryBytes, "addr"},
    {kVote, MessageClass::kVotes, kMaxVoteBytes, "vote"},
    {kContentControl, MessageClass::kControl, kMaxContentControlBytes, "contentcontrol"},
    {kContentChunk, MessageClass::kChunks, kMaxContentChunkBytes, "contentchunk"},
    {kBulkLane, MessageClass::kVotes, 0, "bulklane"},
    {kFreshBlock, MessageClass::kHeaders, kMaxFreshBlockBytes, "freshblock"},
};

constexpr bool RulesAreInOrder() {
    for (size_t i = 0; i < std::size(kRules); ++i) {
        if (static_cast<size_t>(kRules[i].type) != i + 1) return false;
    }
    return true;
}
static_assert(RulesAreInOrder());

const TypeRule& RuleOf(MessageType type) {
    CHECK(IsKnownMessageType(static_cast<uint8_t>(type)));
    return kRules[static_cast<size_t>(type) - 1];
}

}  // namespace

bool IsKnownMessageType(uint8_t type) { return type >= 1 && type <= std::size(kRules); }
MessageClass ClassOf(MessageType type) { return RuleOf(type).message_class; }
size_t MaxPayloadBytes(MessageType type) { return RuleOf(type).max_payload_bytes; }
const char* NameOf(MessageType type) { return RuleOf(type).name; }

}  // namespace sluice::p2p
