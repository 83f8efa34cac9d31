#include "sim/byzantine.h"

#include "sim/world.h"

namespace sluice::sim {

// ---- PrivateChain

PrivateChain::PrivateChain(World& world, uint64_t seed) : m_world(world), m_disk(seed) {
    chain::ChainOptions options;
    options.cache_bytes = 8 << 20;
    auto opened = chain::ChainManager::Open(m_disk.files(), "/private", world.network().genesis, options);
    CHECK(opened.has_value());
    m_chain = std::move(*opened);
}

Status PrivateChain::Follow(const chain::ChainManager& other, std::optional<Height> last) {
    const Height end = std::min(last.value_or(other.tip()->height()), other.tip()->height());
    Height known = end;
    while (known > Height(0) && !m_chain->FindHeader(other.At(known)->hash())) known = known - 1;
    for (Height height = known + 1; height <= end; ++height) {
        ASSIGN_OR_RETURN(const BlockRef block, other.GetBlockAt(height));
        if (!block) return Fail(ErrorKind::kNotFound, "block " + ToString(height) + " is not stored");
        ASSIGN_OR_RETURN(const auto result, m_chain->ProcessBlock(block, m_world.queue().clock().Now()));
        if (result.what == chain::BlockResult::What::kNotTaken)
            return Fail("the private chain refuses block " + ToString(height));
    }
    return {};
}

Result<BlockRef> PrivateChain::Produce(const consensus::OperatorKeys& keys, Slot slot) {
    if (slot <= m_chain->tip()->state.slot) return BlockRef();
    ASSIGN_OR_RETURN(const BlockRef block, m_chain->ProduceBlock(keys, slot));
    if (!block) return BlockRef();
    const UnixMillis now = std::max(m_world.queue().clock().Now(), m_world.params().SlotTime(slot));
    ASSIGN_OR_RETURN(const auto result, m_chain->ProcessBlock(block, now));
    if (result.what == chain::BlockResult::What::kNotTaken) return Fail("the private chain refuses its own block");
    return block;
}

Result<std::vector<BlockRef>> PrivateChain::BlocksAfter(Height height) const {
    std::vector<BlockRef> blocks;
    for (Height at = height + 1; at <= m_chain->tip()->height(); ++at) {
        ASSIGN_OR_RETURN(const BlockRef block, m_chain->GetBlockAt(at));
        if (!block) return Fail(ErrorKind::kNotFound, "block " + ToString(at) + " is not stored");
        blocks.push_back(block);
    }
    return blocks;
}

// ---- Byzantine

Byzantine::Byzantine(World& world, VirtualNode& view, p2p::Endpoint voice_address, uint64_t seed,
                     ByzantineOptions options, std::unique_ptr<Strategy> strategy)
    : m_world(world),
      m_view(view),
      m_random(seed),
      m_owner(m_random.Uint64()),
      m_strategy(std::move(strategy)),
      m_network(world.internet(), voice_address, m_owner) {
    for (const uint32_t staker : options.stakers) {
        m_keys.push_back(world.network().keys(staker));
        world.chronicle().AddAdversary(m_keys.back().staker);
    }
    p2p::PeerManagerConfig config;
    config.network = {world.params().magic, world.network().genesis.Hash()};
    m_random.Fill(config.node_key.span());
    config.user_agent = node::Node::UserAgent();
    m_voice.reset(new p2p::PeerManager(m_network, world.queue().clock(), m_random, std::move(config), *this));
    m_voice->SetAutomaticOutbound(false);
    for (const size_t node : options.voice_peers) m_voice->AddNode(world.AddressOf(node));
    m_view->chain().AddListener(*this);
    After(milliseconds(0), [this] {
        m_strategy->OnStart(*this);
        TickVoice();
        TickSlot();
    });
}

Byzantine::~Byzantine() { m_world.queue().Drop(m_owner); }

void Byzantine::TickVoice() {
    m_voice->Tick();
    m_world.queue().PostTimer(m_owner, milliseconds(100), [this] { TickVoice(); });
}

void Byzantine::TickSlot() {
    const UnixMillis now = m_world.queue().clock().Now();
    const auto slot = m_world.params().SlotAt(now);
    if (slot && m_world.params().SlotTime(*slot) == now) m_strategy->OnSlot(*this, *slot);
    const UnixMillis next = slot ? m_world.params().SlotTime(*slot + 1) : m_world.params().genesis_time;
    After(next - now, [this] { TickSlot(); });
}

void Byzantine::After(milliseconds delay, std::function<void()> task) {
    m_world.queue().Post(m_owner, delay, std::move(task));
}

bool Byzantine::Publish(const std::vector<BlockRef>& blocks) {
    for (const BlockRef& block : blocks) {
        const auto result = m_view->chain().SubmitBlock(block);
        if (!result || result->what == chain::BlockResult::What::kNotTaken) return false;
    }
    return true;
}

std::vector<PeerId> Byzantine::VoicePeers() const {
    std::vector<PeerId> peers;
    for (const p2p::PeerInfo& peer : m_voice->Peers()) peers.push_back(peer.id);
    return peers;
}

std::optional<PeerId> Byzantine::VoiceTo(size_t node) const {
    const p2p::Endpoint address = m_world.AddressOf(node);
    for (const p2p::PeerInfo& peer : m_voice->Peers())
        if (peer.endpoint == address) return peer.id;
    return std::nullopt;
}

bool Byzantine::SendHeaders(PeerId peer, std::vector<BlockHeader> headers) {
    return Send(peer, p2p::MessageType::kHeaders, Encode(p2p::Headers{std::move(headers)}));
}

void Byzantine::OnMessage(PeerId peer, p2p::MessageType type, ByteSpan payload) {
    if (!m_strategy->OnMessage(*this, peer, type, payload)) Serve(peer, type, payload);
}

void Byzantine::Serve(PeerId peer, p2p::MessageType type, ByteSpan payload) {
    if (type == p2p::MessageType::kGetHeaders) {
        SendHeaders(peer, {});
    } else if (type == p2p::MessageType::kGetBlocks) {
        const auto wanted = Decode<p2p::BlockHashes>(payload);
        if (!wanted) return;
        for (const BlockHash& hash : wanted->hashes) {
            if (const auto found = m_offered.find(hash); found != m_offered.end())
                SendBlock(peer, *found->second);
            else
                Send(peer, p2p::MessageType::kBlockNotFound, Encode(p2p::BlockHashes{{hash}}));
        }
    }
}

// ---- LatePublisher

void LatePublisher::OnStart(Byzantine& byzantine) { m_chain = byzantine.MakePrivateChain(); }

void LatePublisher::OnSlot(Byzantine& byzantine, Slot slot) {
    if (!m_chain->Follow(byzantine.view().chain())) return;
    for (const consensus::OperatorKeys& keys : byzantine.keys()) {
        const auto block = m_chain->Produce(keys, slot);
        if (!block || !*block) continue;
        ++m_made;
        byzantine.After(m_delay, [this, &byzantine, made = *block] { m_taken += byzantine.Publish({made}) ? 1 : 0; });
    }
}

}  // namespace sluice::sim
