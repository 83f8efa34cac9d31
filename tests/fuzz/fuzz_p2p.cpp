#include <algorithm>
#include <map>
#include <set>

#include "fuzz_ledger.h"
#include "p2p/address_book.h"
#include "p2p/connection.h"
#include "p2p/sync.h"

namespace sluice::fuzz {
namespace {

using namespace p2p;

NetworkId TestNetwork() {
    NetworkId id;
    id.magic.fill(1);
    id.genesis.bytes.fill(2);
    return id;
}

crypto::X25519SecretKey Secret(uint8_t fill) {
    crypto::X25519SecretKey key;
    std::fill(key.span().begin(), key.span().end(), fill);
    return key;
}

crypto::AeadKey CipherKey() {
    crypto::AeadKey key;
    std::fill(key.span().begin(), key.span().end(), uint8_t{3});
    return key;
}

// ---- payloads of every message type

template <class Message>
Bytes Payload(uint8_t type, const Message& message) {
    return Output().Integer(type).Raw(Encode(message)).Take();
}

void RunMessage(ByteSpan bytes) {
    Input input(bytes);
    const uint8_t type = input.Integer();
    if (!IsKnownMessageType(type)) return;
    const auto known = static_cast<MessageType>(type);
    CHECK(static_cast<size_t>(ClassOf(known)) < kMessageClasses && NameOf(known) != nullptr);
    const ByteSpan payload = input.Rest();
    if (payload.size() > MaxPayloadBytes(known)) return;
    switch (known) {
        case MessageType::kHello:
            CheckCanonical<Hello>(payload);
            break;
        case MessageType::kPing:
        case MessageType::kPong:
            CheckCanonical<PingMessage>(payload);
            break;
        case MessageType::kGetHeaders:
            CheckCanonical<GetHeaders>(payload);
            break;
        case MessageType::kHeaders:
            CheckCanonical<Headers>(payload);
            break;
        case MessageType::kGetBlocks:
        case MessageType::kBlockNotFound:
            CheckCanonical<BlockHashes>(payload);
            break;
        case MessageType::kTxInventory:
        case MessageType::kGetTransactions:
        case MessageType::kTxNotFound:
            CheckCanonical<Wtxids>(payload);
            break;
        case MessageType::kGetParents:
            CheckCanonical<Txids>(payload);
            break;
        case MessageType::kAddresses:
            CheckCanonical<Addresses>(payload);
            break;
        default:
            break;  // blocks and transactions have targets of their own; the rest is opaque or empty
    }
}

std::vector<Seed> MessageSeeds() {
    Hello hello;
    hello.user_agent = "/Sluice:0.1.0/";
    hello.listen_port = 9333;
    return {{"hello", Payload(1, hello)},
            {"ping", Payload(2, PingMessage{7})},
            {"get-headers", Payload(4, GetHeaders{{BlockHash(), BlockHash()}, {}})},
            {"headers", Payload(5, Headers{{BlockHeader(), BlockHeader()}})},
            {"get-blocks", Payload(6, BlockHashes{{BlockHash()}})},
            {"inventory", Payload(9, Wtxids{{Wtxid(), Wtxid()}})},
            {"get-parents", Payload(11, Txids{{Txid()}})},
            {"addresses", Payload(15, Addresses{{{Endpoint::Ipv4(203, 0, 113, 5, 9333), 1, 1'700'000'000}}})}};
}
const Register kMessage{{"p2p_message", RunMessage, MessageSeeds}};

// ---- frames: any sequence of frames, properly sealed, and a tail of raw bytes; cut anywhere

void RunFrames(ByteSpan bytes) {
    Input input(bytes);
    crypto::NoiseCipher sender(CipherKey());
    Bytes wire;
    for (size_t count = input.Below(40); count > 0 && !input.Empty(); --count) {
        const uint8_t type = input.Integer() & static_cast<uint8_t>(~kMoreFragments);
        const uint8_t shape = input.Integer();
        const Bytes payload = (shape & 2) != 0 ? Bytes(kMaxFramePayload - (shape >> 2) % 2, 1) : ToBytes(input.Blob());
        if (payload.size() > kMaxFramePayload) continue;
        AppendFrame(sender, static_cast<MessageType>(type), (shape & 1) != 0, payload, wire);
    }
    const size_t step = 1 + input.Integer<uint16_t>();
    const ByteSpan tail = input.Rest();
    wire.insert(wire.end(), tail.begin(), tail.end());

    FrameReader reader{crypto::NoiseCipher(CipherKey())};
    Assembler assembler;
    size_t most = 0;
    for (size_t c = 0; c < kMessageClasses; ++c) {
        size_t largest = 0;
        for (uint8_t type = 1; IsKnownMessageType(type); ++type) {
            if (static_cast<size_t>(ClassOf(static_cast<MessageType>(type))) == c)
                largest = std::max(largest, MaxPayloadBytes(static_cast<MessageType>(type)));
        }
        most += largest;
    }
    for (ByteSpan left = wire; !left.empty();) {
        ByteSpan piece = left.first(std::min(step, left.size()));
        left = left.subspan(piece.size());
        while (true) {
            const auto frame = reader.Next(piece);
            if (!frame) return;
            if (!*frame) break;
            CHECK((*frame)->payload.size() <= kMaxFramePayload);
            const auto message = assembler.Add(**frame);
            if (!message) return;
            CHECK(assembler.buffered_bytes() <= 4 * most);  // vectors grow by doubling
            if (!*message) continue;
            CHECK((*message)->payload.size() <= MaxPayloadBytes((*message)->type));
            NoteAccepted();
        }
        CHECK(piece.empty());
    }
}

std::vector<Seed> FrameSeeds() {
    Output small, large, mixed;
    small.Integer(uint16_t{2})
        .Integer(uint8_t{2})
        .Integer(uint8_t{0})
        .Blob(Bytes(8, 1))
        .Integer(uint8_t{3})
        .Integer(uint8_t{0})
        .Blob(Bytes(8, 2))
        .Integer(uint16_t{100});
    large.Integer(uint16_t{3});
    for (const uint8_t shape : {3, 3}) large.Integer(uint8_t{7}).Integer(shape);
    large.Integer(uint8_t{7}).Integer(uint8_t{0}).Blob(Bytes(5, 1)).Integer(uint16_t{1000});
    mixed.Integer(uint16_t{4})
        .Integer(uint8_t{7})
        .Integer(uint8_t{3})
        .Integer(uint8_t{5})
        .Integer(uint8_t{0})
        .Blob(Bytes(3, 1));
    mixed.Integer(uint8_t{7})
        .Integer(uint8_t{0})
        .Blob(Bytes(5, 1))
        .Integer(uint8_t{17})
        .Integer(uint8_t{0})
        .Blob(Bytes(9, 1))
        .Integer(uint16_t{65535});
    return {{"small", small.Take()}, {"large", large.Take()}, {"mixed", mixed.Take()}};
}
const Register kFrames{{"p2p_frames", RunFrames, FrameSeeds}};

// ---- connection: hostile bytes instead of the greeting, the handshake, or after it

struct Silent : ConnectionEvents {
    void OnSecured(const NodeId&) override { secured = true; }
    void OnReceived(MessageType type, ByteSpan payload) override {
        CHECK(payload.size() <= MaxPayloadBytes(type));
        CHECK(secured);
        ++received;
    }
    bool secured{false};
    size_t received{0};
};

// Up to `limit` bytes of one side reach the other; what follows is replaced by the input.
void RunConnection(ByteSpan bytes) {
    Input input(bytes);
    const bool initiator = input.Flag();
    size_t honest_bytes = input.Integer<uint16_t>();
    Instant now{};
    Connection victim(initiator, TestNetwork(), Secret(1), Secret(2), now);
    Connection peer(!initiator, TestNetwork(), Secret(3), Secret(4), now);
    Silent victim_events, peer_events;
    for (int round = 0; round < 6 && honest_bytes > 0; ++round) {
        const Bytes to_peer = victim.TakeWritable(1 << 20);
        if (!peer.OnBytes(to_peer, now, peer_events)) return;
        const Bytes to_victim = peer.TakeWritable(1 << 20);
        const size_t size = std::min(honest_bytes, to_victim.size());
        if (!victim.OnBytes(ByteSpan(to_victim).first(size), now, victim_events)) return;
        honest_bytes -= size;
        if (size < to_victim.size()) break;
        if (to_peer.empty() && to_victim.empty()) break;
    }
    if (victim.secure()) {
        NoteAccepted();
        // Messages that the peer may send, with any payload.
        for (size_t count = input.Below(8); count > 0 && !input.Empty() && peer.secure(); --count) {
            const auto type = static_cast<MessageType>(1 + input.Below(18));
            Bytes payload = ToBytes(input.Blob());
            if (payload.size() > MaxPayloadBytes(type)) continue;
            (void)peer.Send(type, std::move(payload));
        }
        if (!victim.OnBytes(peer.TakeWritable(1 << 20), now, victim_events)) return;
    }
    const size_t step = 1 + input.Integer();
    for (ByteSpan rest = input.Rest(); !rest.empty();) {
        const ByteSpan piece = rest.first(std::min(step, rest.size()));
        rest = rest.subspan(piece.size());
        now += seconds(piece[0] % 8);
        if (!victim.OnBytes(piece, now, victim_events) || !victim.Tick(now)) return;
        (void)victim.NextWakeup();
    }
    for (size_t c = 0; c < kMessageClasses; ++c)
        CHECK(victim.QueuedBytes(static_cast<MessageClass>(c)) <=
              Connection::QueueLimitBytes(static_cast<MessageClass>(c)));
}

std::vector<Seed> ConnectionSeeds() {
    std::vector<Seed> seeds;
    for (const uint8_t initiator : {0, 1}) {
        Output secure;
        secure.Integer(initiator).Integer(uint16_t{60000}).Integer(uint16_t{3});
        secure.Integer(uint16_t{1})
            .Blob(Encode(PingMessage{5}))
            .Integer(uint16_t{0})
            .Blob(Encode(Hello{}))
            .Integer(uint16_t{8})
            .Blob(Encode(Wtxids{}));
        secure.Integer(uint8_t{50}).Raw(Bytes(100, 9));
        seeds.push_back({initiator != 0 ? "initiator" : "responder", secure.Take()});
        const Bytes greeting = Connection(initiator == 0, TestNetwork(), Secret(3), Secret(4), {}).TakeWritable(1000);
        seeds.push_back({initiator != 0 ? "greeting-initiator" : "greeting-responder",
                         Output().Integer(initiator).Integer(uint16_t{0}).Integer(uint8_t{20}).Raw(greeting).Take()});
    }
    return seeds;
}
const Register kConnection{{"p2p_connection", RunConnection, ConnectionSeeds}};

// ---- sync: three peers that say anything in any order, a node that answers anything, and time

BlockHeader Child(const BlockHeader& parent) {
    BlockHeader header;
    header.prev = parent.Hash();
    header.height = parent.height + 1;
    header.slot = Slot(header.height.value * 10);
    return header;
}

TransactionRef NthTransaction(uint32_t n) {
    MutableTransaction tx;
    tx.lock_time = n;
    tx.inputs.push_back({{Txid(std::array<uint8_t, 32>{1, 2, 3}), n}, {}, 0, {{1}}});
    if (n % 3 == 1) tx.inputs[0].prevout = NthTransaction(n - 1)->Output(0);
    tx.outputs.push_back({Amount(1), Script(34, 0x51)});
    return MakeTransaction(std::move(tx));
}

// Forty headers, of which the first ten have bodies; six transactions.
struct FixedView final : SyncView {
    FixedView() {
        headers.resize(1);
        while (headers.size() < 40) headers.push_back(Child(headers.back()));
        for (const BlockHeader& header : headers) hashes.push_back(header.Hash());
        for (uint32_t n = 0; n < 6; ++n) transactions.push_back(NthTransaction(n));
    }
    Height BestHeaderHeight() const override { return Height(known - 1); }
    BlockHash BestHeader() const override { return hashes[known - 1]; }
    milliseconds UntilSlot(Slot slot) const override {
        return seconds(static_cast<int64_t>(std::min<uint64_t>(slot.value, 1'000'000)) - 300);
    }
    size_t ReplayedBy(const Transaction& transaction) const override { return transaction.tx().lock_time; }
    std::vector<BlockHash> Locator() const override { return {hashes[known - 1], hashes[0]}; }
    bool HaveHeader(const BlockHash& hash) const override {
        return std::find(hashes.begin(), hashes.begin() + known, hash) != hashes.begin() + known;
    }
    bool HaveBlock(const BlockHash& hash) const override { return bodies.contains(hash); }
    std::vector<WantedBlock> BlocksWanted(size_t limit) const override {
        std::vector<WantedBlock> wanted;
        for (uint32_t i = 0; i < known && wanted.size() < limit; ++i) {
            if (i >= 10 && !bodies.contains(hashes[i])) wanted.push_back({hashes[i], Height(i), headers[i].slot});
        }
        return wanted;
    }
    std::vector<BlockHeader> HeadersAfter(const std::vector<BlockHash>& locator, const BlockHash&,
                                          size_t limit) const override {
        CHECK(locator.size() <= kMaxLocatorHashes);
        return {headers.begin() + 1, headers.begin() + 1 + static_cast<ptrdiff_t>(std::min<size_t>(limit, 9))};
    }
    bool HaveTransaction(const Wtxid& wtxid) const override { return FindTransaction(wtxid) != nullptr; }
    TransactionRef FindTransaction(const Wtxid& wtxid) const override {
        return transactions[0]->wtxid() == wtxid ? transactions[0] : nullptr;
    }
    TransactionRef FindTransaction(const Txid& txid) const override {
        return transactions[0]->txid() == txid ? transactions[0] : nullptr;
    }

    std::vector<BlockHeader> headers;
    std::vector<BlockHash> hashes;
    std::vector<TransactionRef> transactions;
    uint32_t known{20};
    std::set<BlockHash> bodies;
};

class SyncScene {
  public:
    explicit SyncScene(ByteSpan bytes) : m_input(bytes), m_sync(m_view) {}

    void Run() {
        for (int steps = 0; steps < 400 && !m_input.Empty(); ++steps) {
            Step();
            DoAll();
            CHECK(m_sync.BlocksInFlight() <= Sync::kMaxBlocksInFlight);
            CHECK(m_sync.OrphanCount() <= Sync::kMaxOrphans);
            (void)m_sync.Busy();
            if (const auto wakeup = m_sync.NextWakeup()) CHECK(*wakeup != Instant::max());
        }
        for (const uint64_t peer : std::set<uint64_t>(m_ready)) m_sync.OnPeerGone(PeerId(peer), m_now);
        (void)m_sync.TakeActions();
        CHECK(m_sync.BlocksInFlight() <= m_blocks.size());  // only what the node holds stays
    }

  private:
    uint64_t AnyPeer() { return 1 + m_input.Below(3); }
    BlockHash AnyHash() {
        const size_t n = m_input.Below(m_view.hashes.size() + 1);
        return n < m_view.hashes.size() ? m_view.hashes[n] : BlockHash(m_input.Array<32>());
    }
    Wtxid AnyWtxid() { return m_view.transactions[m_input.Below(m_view.transactions.size())]->wtxid(); }

    void Step() {
        switch (m_input.Below(12)) {
            case 0: {
                const uint64_t peer = AnyPeer();
                if (m_ready.insert(peer).second)
                    m_sync.OnPeerReady(PeerId(peer), Height(m_input.Integer<uint32_t>()), m_now);
                break;
            }
            case 1: {
                const uint64_t peer = AnyPeer();
                if (m_ready.erase(peer) != 0) m_sync.OnPeerGone(PeerId(peer), m_now);
                break;
            }
            case 2:
                m_now += milliseconds(m_input.Integer<uint16_t>());
                m_sync.Tick(m_now);
                break;
            case 3:
                Receive(static_cast<MessageType>(1 + m_input.Below(18)), ToBytes(m_input.Blob()));
                break;
            case 4: {  // a piece of the chain, as it is or not
                const size_t from = m_input.Below(m_view.headers.size()), count = m_input.Below(12);
                Headers headers;
                for (size_t i = from; i < std::min(from + count, m_view.headers.size()); ++i)
                    headers.headers.push_back(m_view.headers[i]);
                if (m_input.Integer() == 1 && !headers.headers.empty()) headers.headers.back().prev = BlockHash();
                Receive(MessageType::kHeaders, Encode(headers));
                break;
            }
            case 5: {
                Block block;
                block.header = m_view.headers[m_input.Below(m_view.headers.size())];
                Receive(MessageType::kBlock, block.ToBytes());
                break;
            }
            case 6:
                Receive(m_input.Flag() ? MessageType::kGetBlocks : MessageType::kBlockNotFound,
                        Encode(BlockHashes{{AnyHash(), AnyHash()}}));
                break;
            case 7: {
                const MessageType types[] = {MessageType::kTxInventory, MessageType::kGetTransactions,
                                             MessageType::kTxNotFound};
                Receive(types[m_input.Below(3)], Encode(Wtxids{{AnyWtxid(), AnyWtxid()}}));
                break;
            }
            case 8:
                Receive(MessageType::kTransaction,
                        m_view.transactions[m_input.Below(m_view.transactions.size())]->tx().ToBytes());
                break;
            case 9:
                AnswerBlock();
                break;
            case 10:
                AnswerTransaction();
                break;
            default:
                m_view.known = std::min<uint32_t>(m_view.known + 1, static_cast<uint32_t>(m_view.headers.size()));
                m_sync.OnTipChanged({m_view.headers[m_view.known - 1]}, m_now);
                if (m_input.Flag()) m_sync.AnnounceTransaction(m_view.transactions[0], m_now);
                break;
        }
    }

    void Receive(MessageType type, const Bytes& payload) {
        if (payload.size() > MaxPayloadBytes(type)) return;
        const uint64_t peer = AnyPeer();
        if (m_ready.contains(peer)) (void)m_sync.OnMessage(PeerId(peer), type, payload, m_now);
    }
    void AnswerBlock() {
        if (m_blocks.empty()) return;
        const auto [peer, hash] = m_blocks.back();
        m_blocks.pop_back();
        const auto outcome = static_cast<BlockOutcome>(m_input.Below(4));
        if (outcome == BlockOutcome::kAccepted) m_view.bodies.insert(hash);
        m_sync.OnBlockResult(peer, hash, outcome, "reason", m_now);
    }
    void AnswerTransaction() {
        if (m_transactions.empty()) return;
        const auto [peer, transaction] = m_transactions.back();
        m_transactions.pop_back();
        TransactionResult result;
        result.outcome = static_cast<TransactionOutcome>(m_input.Below(4));
        if (result.outcome == TransactionOutcome::kMissingParents)
            result.missing_parents.push_back(transaction->inputs()[0].prevout.txid);
        m_sync.OnTransactionResult(peer, transaction, result, m_now);
    }
    void Do(SyncAction& action) {
        if (const auto* send = std::get_if<SendAction>(&action)) {
            CHECK(send->payload.size() <= MaxPayloadBytes(send->type));
            CHECK(m_ready.contains(send->peer.value));
        } else if (const auto* headers = std::get_if<ProcessHeadersAction>(&action)) {
            CHECK(!headers->headers.empty() && headers->headers.size() <= kMaxHeadersPerMessage);
            for (size_t i = 1; i < headers->headers.size(); ++i)
                CHECK(headers->headers[i].prev == headers->headers[i - 1].Hash());
            HeadersResult result;
            result.outcome = static_cast<HeadersOutcome>(m_input.Below(5));
            result.signature_checks = result.vrf_checks = m_input.Integer<uint16_t>();
            result.accepted = result.outcome == HeadersOutcome::kAccepted ? headers->headers.size()
                                                                          : m_input.Below(headers->headers.size());
            m_pending_headers.emplace_back(headers->peer, result);
        } else if (auto* block = std::get_if<ProcessBlockAction>(&action)) {
            CHECK(block->block->header.Hash() == block->hash);
            m_blocks.emplace_back(block->peer, block->hash);
            NoteAccepted();
        } else if (auto* transaction = std::get_if<ProcessTransactionAction>(&action)) {
            m_transactions.emplace_back(transaction->peer, transaction->transaction);
        } else if (const auto* served = std::get_if<ServeBlockAction>(&action)) {
            m_served.push_back(served->peer);
        } else if (const auto* fault = std::get_if<MisbehavingAction>(&action)) {
            CHECK(!fault->reason.empty());
        }
    }
    // Every call is followed by its actions, those of the answers too.
    void DoAll() {
        for (SyncAction& action : m_sync.TakeActions()) Do(action);
        for (const PeerId peer : std::exchange(m_served, {})) {
            m_sync.OnBlockServed(peer, 1 << 20, m_now);
            for (SyncAction& action : m_sync.TakeActions()) Do(action);
        }
        CHECK(m_sync.HeadersHeld() <= 3 * (kMaxHeadersPerMessage + Sync::kMaxEarlyPerPeer));
        for (const auto& [peer, result] : std::exchange(m_pending_headers, {})) {
            m_sync.OnHeadersResult(peer, result, m_now);
            for (SyncAction& action : m_sync.TakeActions()) Do(action);
        }
    }

    Input m_input;
    FixedView m_view;
    Sync m_sync;
    Instant m_now{};
    std::set<uint64_t> m_ready;
    std::vector<std::pair<PeerId, BlockHash>> m_blocks;
    std::vector<std::pair<PeerId, TransactionRef>> m_transactions;
    std::vector<std::pair<PeerId, HeadersResult>> m_pending_headers;
    std::vector<PeerId> m_served;
};

void RunSync(ByteSpan bytes) { SyncScene(bytes).Run(); }

std::vector<Seed> SyncSeeds() {
    const auto step = [](Output& output, uint16_t n) -> Output& { return output.Integer(n); };
    Output blocks, transactions;
    for (uint16_t peer = 0; peer < 3; ++peer) {
        step(blocks, 0).Integer(peer).Integer(uint32_t{30});
        step(transactions, 0).Integer(peer).Integer(uint32_t{5});
    }
    step(blocks, 4)
        .Integer(uint16_t{1})
        .Integer(uint16_t{11})
        .Integer(uint8_t{0})
        .Integer(uint16_t{0})
        .Integer(uint16_t{0});
    step(blocks, 2).Integer(uint16_t{50});
    for (uint16_t height = 10; height < 16; ++height) {
        for (uint16_t peer = 0; peer < 3; ++peer) step(blocks, 5).Integer(height).Integer(peer);
        step(blocks, 9).Integer(uint16_t{0});
    }
    step(blocks, 11).Integer(uint8_t{1});
    step(blocks, 2).Integer(uint16_t{10'500});
    step(blocks, 1).Integer(uint16_t{1});
    for (uint16_t n = 1; n < 5; ++n) {
        step(transactions, 7).Integer(uint16_t{0}).Integer(n).Integer(n).Integer(static_cast<uint16_t>(n % 3));
        step(transactions, 8).Integer(n).Integer(static_cast<uint16_t>(n % 3));
        step(transactions, 10).Integer(static_cast<uint16_t>(n % 4));
    }
    step(transactions, 2).Integer(uint16_t{3000});
    return {{"blocks", blocks.Take()}, {"transactions", transactions.Take()}};
}
const Register kSync{{"p2p_sync", RunSync, SyncSeeds}};

// ---- endpoints and the address book: never over its limits, whatever is gossiped

void RunAddressBook(ByteSpan bytes) {
    const std::string text = ToString(bytes);
    if (const auto endpoint = ParseEndpoint(text, 9333)) {
        CHECK(ParseEndpoint(endpoint->ToString(), 1) == *endpoint);
        NoteAccepted();
    }
    Input input(bytes);
    AddressBook book;
    SeededRandom random(1);
    Instant now{};
    while (!input.Empty()) {
        AddressEntry entry;
        entry.endpoint.ip = input.Array<16>();
        entry.endpoint.port = input.Integer<uint16_t>();
        entry.last_seen_s = input.Integer<uint64_t>();
        switch (input.Integer() % 5) {
            case 0:
                book.Tried(entry.endpoint, now);
                break;
            case 1:
                book.Succeeded(entry.endpoint, 1, entry.last_seen_s, now);
                break;
            case 2:
                book.Failed(entry.endpoint);
                break;
            default:
                book.Add(entry, static_cast<AddressSource>(1 + input.Integer() % 5), input.Integer<uint32_t>());
                break;
        }
        now += seconds(input.Integer());
        CHECK(book.size() <= AddressBook::kMaxNew + AddressBook::kMaxTried);
    }
    CHECK(book.Entries().size() == book.size());
    CHECK(book.Sample(random, kMaxAddressesPerMessage).size() <= kMaxAddressesPerMessage);
    (void)book.Select(random, now, [](const Endpoint&) { return true; });
}
std::vector<Seed> AddressBookSeeds() {
    return {{"ipv4", ToBytes(AsBytes("203.0.113.5:9333"))},
            {"ipv6", ToBytes(AsBytes("[2001:db8::1]:9333"))},
            {"bare", ToBytes(AsBytes("2001:db8::1"))}};
}
const Register kAddressBook{{"address_book", RunAddressBook, AddressBookSeeds, 1024}};

}  // namespace
}  // namespace sluice::fuzz
