#include "p2p/connection.h"

#include <algorithm>
#include <utility>

namespace sluice::p2p {
namespace {

constexpr size_t kGenesisPrefixBytes = 8;
constexpr size_t kGreetingBytes = 4 + kGenesisPrefixBytes;

constexpr std::array<size_t, kMessageClasses> kQueueLimits{
    256 << 10,  // votes
    2 << 20,    // headers
    8 << 20,    // blocks: as many as one peer may ask for at once
    2 << 20,    // transactions
    1 << 20,    // control
    1 << 20,    // chunks
};
constexpr size_t kChunkQueue = static_cast<size_t>(MessageClass::kChunks);
static_assert(kChunkQueue == kMessageClasses - 1);
static_assert(kQueueLimits[2] > kMaxBlocksPerRequest * (kBlockHeaderBytes + kMaxBlockBytes));

Bytes Greeting(const NetworkId& network) {
    Bytes greeting(network.magic.begin(), network.magic.end());
    greeting.insert(greeting.end(), network.genesis.begin(), network.genesis.begin() + kGenesisPrefixBytes);
    return greeting;
}

Bytes Prologue(const NetworkId& network) {
    Bytes prologue = ToBytes(AsBytes("sluice"));
    prologue.insert(prologue.end(), network.magic.begin(), network.magic.end());
    prologue.insert(prologue.end(), network.genesis.begin(), network.genesis.end());
    return prologue;
}

}  // namespace

Connection::Connection(bool initiator, const NetworkId& network, const crypto::X25519SecretKey& static_key,
                       const crypto::X25519SecretKey& ephemeral, Instant now)
    : m_network(network),
      m_handshake(initiator, Prologue(network), static_key, ephemeral),
      m_handshake_out(Greeting(network)),
      m_started(now),
      m_last_received(now),
      m_next_ping(now) {
    if (!initiator) return;
    const Bytes first = m_handshake.Write({});
    m_handshake_out.insert(m_handshake_out.end(), first.begin(), first.end());
}

Status Connection::OnBytes(ByteSpan bytes, Instant now, ConnectionEvents& events) {
    m_last_received = now;
    while (!bytes.empty() && !m_stopped) {
        if (!m_reader) {
            RETURN_IF_ERROR(ReadHandshake(bytes, events));
            continue;
        }
        auto frame = m_reader->Next(bytes);
        if (!frame) return Fail(std::move(frame).error());
        if (!*frame) break;
        auto message = m_assembler.Add(**frame);
        if (!message) return Fail(std::move(message).error());
        if (*message) RETURN_IF_ERROR(OnMessage(**message, now, events));
    }
    return {};
}

Status Connection::ReadHandshake(ByteSpan& input, ConnectionEvents& events) {
    const size_t needed = m_greeted ? m_handshake.NextReadBytes(0) : kGreetingBytes;
    const size_t taken = std::min(needed - m_handshake_in.size(), input.size());
    m_handshake_in.insert(m_handshake_in.end(), input.begin(), input.begin() + static_cast<ptrdiff_t>(taken));
    input = input.subspan(taken);
    // A wrong magic is plain after four bytes; whoever speaks another protocol may never send twelve.
    if (!m_greeted && m_handshake_in.size() >= 4) RETURN_IF_ERROR(CheckGreeting());
    if (m_handshake_in.size() < needed) return {};
    const Bytes message = std::exchange(m_handshake_in, {});
    if (!m_greeted) {
        m_greeted = true;
        return {};
    }
    if (!m_handshake.Read(message))
        return Fail("the handshake failed: the peer does not hold the key it shows, or another network's genesis");
    if (m_handshake.OurTurn()) {
        const Bytes answer = m_handshake.Write({});
        m_handshake_out.insert(m_handshake_out.end(), answer.begin(), answer.end());
    }
    if (m_handshake.Done()) Secure(events);
    return {};
}

Status Connection::CheckGreeting() {
    const ByteSpan greeting = m_handshake_in;
    if (!std::equal(m_network.magic.begin(), m_network.magic.end(), greeting.begin())) {
        return Fail("the peer is on another network: its magic is " + HexEncode(greeting.first(4)) + ", ours is " +
                    HexEncode(m_network.magic));
    }
    if (greeting.size() < kGreetingBytes) return {};
    if (!std::equal(greeting.begin() + 4, greeting.end(), m_network.genesis.begin())) {
        return Fail("the peer has another genesis block: its hash starts with " + HexEncode(greeting.subspan(4)) +
                    ", ours is " + m_network.genesis.Hex());
    }
    return {};
}

void Connection::Secure(ConnectionEvents& events) {
    auto ciphers = m_handshake.Split();
    m_send_cipher.emplace(std::move(ciphers.send));
    m_reader.emplace(std::move(ciphers.receive));
    m_secure = true;
    events.OnSecured(m_handshake.remote_static());
}

Status Connection::OnMessage(const Message& message, Instant now, ConnectionEvents& events) {
    if (message.type == MessageType::kPing || message.type == MessageType::kPong) {
        auto ping = Decode<PingMessage>(message.payload);
        if (!ping) return Fail(std::string(NameOf(message.type)) + ": " + ping.error().message);
        if (message.type == MessageType::kPing) {
            // A full queue means that the peer does not read: it gets no answer.
            if (!Send(MessageType::kPong, Encode(*ping)))
                return Fail("the peer sends pings and does not read the answers");
        } else if (m_ping_sent && ping->nonce == m_ping_nonce) {
            m_ping = now - *m_ping_sent;
            m_min_ping = m_min_ping ? std::min(*m_min_ping, *m_ping) : *m_ping;
            m_ping_sent.reset();
        }
    }
    events.OnReceived(message.type, message.payload);
    return {};
}

bool Connection::Send(MessageType type, Payload payload) {
    CHECK(payload.size() <= MaxPayloadBytes(type));
    Queue& queue = m_queues[static_cast<size_t>(ClassOf(type))];
    const size_t bytes = payload.size() + kMessageOverheadBytes;
    if (!secure() || queue.bytes + bytes > QueueLimitBytes(ClassOf(type))) return false;
    queue.bytes += bytes;
    queue.messages.push_back({type, std::move(payload)});
    return true;
}

size_t Connection::QueueLimitBytes(MessageClass message_class) {
    return kQueueLimits[static_cast<size_t>(message_class)];
}

size_t Connection::QueuedBytes() const {
    size_t total = 0;
    for (const Queue& queue : m_queues) total += queue.bytes;
    return total;
}

bool Connection::HasWritable() const { return !m_queues[kChunkQueue].messages.empty() || HasWritableBesidesChunks(); }

bool Connection::HasWritableBesidesChunks() const {
    return !m_handshake_out.empty() || std::any_of(m_queues.begin(), m_queues.begin() + kChunkQueue,
                                                   [](const Queue& queue) { return !queue.messages.empty(); });
}

Bytes Connection::TakeWritable(size_t max_bytes, Bytes buffer, size_t max_chunk_bytes) {
    size_t used = 0;
    if (!m_handshake_out.empty()) {
        buffer = std::exchange(m_handshake_out, {});
        used = buffer.size();
    }
    // Each message is counted with more than one frame's overhead; further fragments add less than a part in 512.
    const size_t chunks_waiting = m_queues[kChunkQueue].bytes;
    const size_t waiting = QueuedBytes() - chunks_waiting + std::min(chunks_waiting, max_chunk_bytes);
    const uint64_t chunk_bytes_before = m_chunk_bytes_taken;
    const size_t room = std::min(used + waiting + waiting / 512, max_bytes);
    if (buffer.size() < room) buffer.resize(room);
    for (size_t i = 0; i < kMessageClasses; ++i) {
        Queue& queue = m_queues[i];
        while (!queue.messages.empty()) {
            if (i == kChunkQueue && m_chunk_bytes_taken - chunk_bytes_before >= max_chunk_bytes) break;
            const size_t left = queue.messages.front().payload.size() - queue.sent_of_first;
            const size_t frame_bytes = std::min(left, kMaxFramePayload) + kFrameOverheadBytes;
            if (used > 0 && used + frame_bytes > max_bytes) {
                buffer.resize(used);
                return buffer;
            }
            WriteNextFrame(queue, frame_bytes, buffer, used);
            if (i == kChunkQueue) CountChunkFrame(frame_bytes);
        }
    }
    buffer.resize(used);
    return buffer;
}

void Connection::WriteNextFrame(Queue& queue, size_t frame_bytes, Bytes& out, size_t& used) {
    if (out.size() < used + frame_bytes) out.resize(used + frame_bytes);
    const OutgoingMessage& message = queue.messages.front();
    const size_t payload_bytes = frame_bytes - kFrameOverheadBytes;
    const bool more = queue.sent_of_first + payload_bytes < message.payload.size();
    const auto [own, shared] = message.payload.Parts(queue.sent_of_first, payload_bytes);
    WriteFrame(*m_send_cipher, message.type, more, own, shared, MutableByteSpan(out).subspan(used, frame_bytes));
    used += frame_bytes;
    if (more) {
        queue.sent_of_first += payload_bytes;
        return;
    }
    (void)PopFirst(queue);
}

OutgoingMessage Connection::PopFirst(Queue& queue) {
    OutgoingMessage message = std::move(queue.messages.front());
    queue.bytes -= message.payload.size() + kMessageOverheadBytes;
    queue.sent_of_first = 0;
    queue.messages.pop_front();
    return message;
}

void Connection::CountChunkFrame(size_t frame_bytes) {
    m_chunk_bytes_taken += frame_bytes;
    m_chunks_drained = m_chunks_drained || m_queues[kChunkQueue].bytes <= kFewChunkBytes;
}

bool Connection::MayRelease() const {
    return m_send_cipher && m_reader && m_handshake_out.empty() &&
           std::all_of(m_queues.begin(), m_queues.end(), [](const Queue& queue) { return queue.sent_of_first == 0; });
}

LaneCodec Connection::ReleaseCodec() {
    CHECK(MayRelease());
    auto [receive, partial] = std::move(*m_reader).Release();
    LaneCodec codec(std::move(*m_send_cipher), std::move(receive), std::move(partial));
    m_reader.reset();
    m_send_cipher.reset();
    return codec;
}

std::vector<OutgoingMessage> Connection::TakeMessages(size_t max_bytes, size_t max_chunk_bytes) {
    std::vector<OutgoingMessage> taken;
    size_t used = 0;
    const uint64_t chunk_bytes_before = m_chunk_bytes_taken;
    for (size_t i = 0; i < kMessageClasses; ++i) {
        Queue& queue = m_queues[i];
        while (!queue.messages.empty()) {
            if (i == kChunkQueue && m_chunk_bytes_taken - chunk_bytes_before >= max_chunk_bytes) break;
            const size_t frame_bytes = LaneCodec::WireBytes(queue.messages.front());
            if (used > 0 && used + frame_bytes > max_bytes) return taken;
            used += frame_bytes;
            taken.push_back(PopFirst(queue));
            if (i == kChunkQueue) CountChunkFrame(frame_bytes);
        }
    }
    return taken;
}

Status Connection::OnMessages(std::span<const Message> messages, Instant now, ConnectionEvents& events) {
    m_last_received = now;
    for (const Message& message : messages) {
        if (m_stopped) break;
        RETURN_IF_ERROR(OnMessage(message, now, events));
    }
    return {};
}

Status Connection::Tick(Instant now) {
    if (!secure()) {
        if (now < m_started + kHandshakeTimeout) return {};
        return Fail("no handshake within " + std::to_string(kHandshakeTimeout.count()) + " s");
    }
    if (m_ping_sent) {
        if (now < std::max(*m_ping_sent, m_last_received) + kPingTimeout) return {};
        return Fail("nothing heard for " + std::to_string(kPingTimeout.count()) + " s after a ping");
    }
    if (now < m_next_ping) return {};
    m_next_ping = now + kPingInterval;
    m_ping_sent = now;
    // Without room for it the peer does not read, and the time runs all the same.
    (void)Send(MessageType::kPing, Encode(PingMessage{++m_ping_nonce}));
    return {};
}

Instant Connection::NextWakeup() const {
    if (!secure()) return m_started + kHandshakeTimeout;
    if (m_ping_sent) return std::max(*m_ping_sent, m_last_received) + kPingTimeout;
    return m_next_ping;
}

}  // namespace sluice::p2p
