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

void EvilPeer::ConnectOnce(const p2p::Endpoint& victim) {
    [[maybe_unused]] const Status dialled = m_manager->ConnectOnce(victim);  // there may be no room
}

std::vector<PeerId> EvilPeer::Victims() const {
    std::vector<PeerId> victims;
    for (const p2p::PeerInfo& info : m_manager->Peers()) victims.push_back(info.id);
    return victims;
}

bool EvilPeer::SendHeaders(PeerId victim, const std::vector<BlockHeader>& headers) {
    return m_manager->Send(victim, MessageType::kHeaders, Encode(p2p::Headers{headers}));
}

void EvilPeer::OnMessage(PeerId peer, MessageType type, ByteSpan payload) {
    if (type == MessageType::kGetHeaders) {
        SendHeaders(peer, {});
    } else if (type == MessageType::kGetBlocks) {
        if (const auto asked = Decode<p2p::BlockHashes>(payload))
            (void)m_manager->Send(peer, MessageType::kBlockNotFound, Encode(*asked));
    }
}

}  // namespace sluice::sim
