#include "sim/adversaries/evil_peer.h"

#include <algorithm>

#include "util/serialize.h"

namespace sluice::sim {

using p2p::MessageType;

EvilPeer::EvilPeer(p2p::Network& network, const Clock& clock, RandomSource& random, Executor& executor,
                   const p2p::NetworkId& chain)
    : m_clock(clock), m_executor(executor) {
    p2p::PeerManagerConfig config;
    config.network = chain;
    config.node_key = crypto::X25519SecretKey(random.Array<32>());
    config.user_agent = "/Sluice:0.1.0/";
    p2p::PeerEvents& events = *this;
    m_manager = std::make_unique<p2p::PeerManager>(network, clock, random, std::move(config), events);
    m_manager->SetAutomaticOutbound(false);
    Wake();
}

EvilPeer::~EvilPeer() { *m_alive = false; }

void EvilPeer::Wake() {
    m_manager->Tick();
    const auto wait = std::chrono::ceil<milliseconds>(m_manager->NextWakeup() - m_clock.Monotonic());
    const milliseconds delay = std::clamp(wait, milliseconds(1), milliseconds(1'000));
    m_executor.PostAfter(delay, [this, alive = m_alive] {
        if (*alive) Wake();
    });
}

void EvilPeer::Attack(const p2p::Endpoint& victim) {
    m_manager->AddNode(victim);
    m_manager->Tick();
}

void EvilPeer::ConnectOnce(const p2p::Endpoint& victim) {
    [[maybe_unused]] const Status dialled = m_manager->ConnectOnce(victim);  // there may be no room
}

void EvilPeer::LeaveAll() {
    for (const PeerId peer : Victims()) m_manager->Disconnect(peer, "enough");
}

std::vector<PeerId> EvilPeer::Victims() const {
    std::vector<PeerId> victims;
    for (const p2p::PeerInfo& info : m_manager->Peers()) victims.push_back(info.id);
    return victims;
}

std::optional<PeerId> EvilPeer::VictimAt(const p2p::Endpoint& endpoint) const {
    for (const p2p::PeerInfo& info : m_manager->Peers())
        if (info.endpoint == endpoint) return info.id;
    return std::nullopt;
}

bool EvilPeer::Send(PeerId victim, MessageType type, Bytes payload) {
    return m_manager->Send(victim, type, std::move(payload));
}

bool EvilPeer::SendHeaders(PeerId victim, const std::vector<BlockHeader>& headers) {
    if (!Send(victim, MessageType::kHeaders, Encode(p2p::Headers{headers}))) return false;
    m_headers_sent += headers.size();
    return true;
}

void EvilPeer::SendHeadersToAll(const std::vector<BlockHeader>& headers) {
    for (const PeerId victim : Victims()) SendHeaders(victim, headers);
}

bool EvilPeer::SendBlock(PeerId victim, const BlockRef& block) {
    return Send(victim, MessageType::kBlock, block->ToBytes());
}

void EvilPeer::OnPeerReady(PeerId peer, const p2p::PeerInfo&) {
    if (on_ready) on_ready(peer);
}

void EvilPeer::OnPeerGone(PeerId, const std::string&) { ++m_left; }

void EvilPeer::OnMessage(PeerId peer, MessageType type, ByteSpan payload) {
    if (type == MessageType::kGetHeaders) {
        const auto asked = Decode<p2p::GetHeaders>(payload);
        if (!asked) return;
        SendHeaders(peer, answer ? answer(peer, *asked) : std::vector<BlockHeader>{});
    } else if (type == MessageType::kGetBlocks) {
        const auto asked = Decode<p2p::BlockHashes>(payload);
        if (!asked) return;
        for (const BlockHash& hash : asked->hashes) {
            const auto found = m_blocks.find(hash);
            if (found != m_blocks.end() && SendBlock(peer, found->second)) {
                ++m_blocks_given;
                continue;
            }
            ++m_blocks_refused;
            Send(peer, MessageType::kBlockNotFound, Encode(p2p::BlockHashes{{hash}}));
        }
    }
}

}  // namespace sluice::sim
