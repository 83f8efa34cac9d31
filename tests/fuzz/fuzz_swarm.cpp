#include <set>

#include "consensus/ledger_fixture.h"
#include "content/swarm.h"
#include "fuzz.h"

namespace sluice::fuzz {
namespace {

using namespace content;

constexpr uint64_t kContentBytes = uint64_t{3} * kChunkBytes + 500;

ContentId Content(uint8_t n) { return {ContentRoot(std::array<uint8_t, 32>{n}), kContentBytes}; }

// A swarm that serves two contents (one free, one with a price) and fetches a third; three peers that say anything;
// workers that answer anything; time.
class SwarmScene {
  public:
    explicit SwarmScene(ByteSpan bytes) : m_input(bytes), m_random(1), m_swarm(Config(), m_random) {
        ChunkSet all(ChunkCount(kContentBytes));
        for (uint32_t c = 0; c < all.size(); ++c) all.Insert(ChunkIndex(c));
        m_swarm.OnTip(Height(1000));
        m_swarm.AddContent(Content(1), all, Amount());
        m_swarm.AddContent(Content(2), all, Amount(1000));
        DownloadLimits limits;
        limits.max_price_per_mib = Amount(2000);
        limits.budget = consensus::testing::Slu(1);
        CHECK(m_swarm.StartDownload(Content(3), ChunkSet(ChunkCount(kContentBytes)), limits, Amount(), m_now)
                  .has_value());
    }

    void Run() {
        for (int steps = 0; steps < 300 && !m_input.Empty(); ++steps) {
            Step();
            // A worker's answer may ask for more work; what is left waits for the next step.
            for (SwarmAction& action : m_swarm.TakeActions()) Do(action);
            if (const auto wakeup = m_swarm.NextWakeup()) CHECK(*wakeup != Instant::max());
        }
    }

  private:
    static SwarmConfig Config() {
        SwarmConfig config;
        config.params = consensus::testing::TestParams();
        std::fill(config.payee_seed.span().begin(), config.payee_seed.span().end(), uint8_t{7});
        return config;
    }
    PeerId AnyPeer() { return PeerId(1 + m_input.Below(3)); }

    void Step() {
        switch (m_input.Below(9)) {
            case 0: {
                const PeerId peer = AnyPeer();
                NodeId node;
                node.bytes.fill(static_cast<uint8_t>(peer.value));
                if (m_ready.insert(peer.value).second) m_swarm.OnPeerConnected(peer, node, peer.value, m_now);
                break;
            }
            case 1: {
                const PeerId peer = AnyPeer();
                if (m_ready.erase(peer.value) != 0) m_swarm.OnPeerGone(peer, m_now);
                break;
            }
            case 2:
                m_now += milliseconds(m_input.Integer<uint16_t>());
                m_swarm.Tick(m_now);
                break;
            case 3:
                Receive(m_input.Blob());
                break;
            case 4:
                Receive(EncodeContentMessage(
                    Have{Content(1 + m_input.Below(3)), Amount(m_input.Integer<uint16_t>()), true, {}, {}}));
                break;
            case 5:
                Receive(EncodeContentMessage(
                    RequestChunks{Content(1 + m_input.Below(3)),
                                                           static_cast<RequestOrder>(m_input.Below(3)),
                                                           {{ChunkIndex(m_input.Below(4)), kAllLeaves}}}));
                break;
            case 6:
                Receive(EncodeLeaf(Content(3), ChunkIndex(0), static_cast<uint8_t>(m_input.Below(16)),
                                   Bytes(kLeafBytes, 1)));
                break;
            case 7:
                m_swarm.OnPeerDrained(AnyPeer(), m_input.Integer<uint16_t>(), m_now);
                break;
            default:
                m_swarm.OnTip(Height(1000 + m_input.Integer<uint32_t>() % 100'000));
                break;
        }
    }
    void Receive(ByteSpan payload) {
        const PeerId peer = AnyPeer();
        if (payload.size() <= kMaxLeafPayloadBytes && m_ready.contains(peer.value))
            m_swarm.OnMessage(peer, payload, m_now);
    }

    void Do(SwarmAction& action) {
        if (const auto* control = std::get_if<SendControl>(&action)) {
            CHECK(control->payload.size() <= kMaxControlPayloadBytes);
            CHECK(DecodeContentMessage(control->payload).has_value());
            NoteAccepted();
        } else if (const auto* leaf = std::get_if<SendLeaf>(&action)) {
            CHECK(leaf->head.size() + leaf->bytes <= kMaxLeafPayloadBytes);
            CHECK(leaf->offset + leaf->bytes <= leaf->chunk->size());
        } else if (const auto* read = std::get_if<ReadChunk>(&action)) {
            if (m_input.Integer() == 1) {
                m_swarm.OnChunkRead(read->request, Fail(ErrorKind::kUnavailable, "gone"), m_now);
                return;
            }
            m_swarm.OnChunkRead(read->request, std::make_shared<const Bytes>(ChunkBytes(kContentBytes, read->chunk), 1),
                                m_now);
        } else if (const auto* hashes = std::get_if<ReadHashes>(&action)) {
            m_swarm.OnHashesRead(hashes->request, std::nullopt, m_now);
        } else if (const auto* leaves = std::get_if<ReadLeafHashes>(&action)) {
            m_swarm.OnLeafHashesRead(leaves->request, std::vector<Hash256>(m_input.Below(17)), m_now);
        } else if (const auto* store = std::get_if<VerifyAndStore>(&action)) {
            const ContentId content = store->proven.content();
            CHECK(store->bytes->size() == ChunkBytes(kContentBytes, store->proven.chunk()));
            const std::vector<Hash256> hashes(LeavesOfChunk(kContentBytes, store->proven.chunk()));
            m_swarm.OnChunkVerified(content, store->proven.chunk(), ChunkOutcome{m_input.Flag(), hashes}, m_now);
        } else if (const auto* proof = std::get_if<StoreHashes>(&action)) {
            m_swarm.OnHashesStored(proof->content, proof->span, {}, m_now);
        } else if (const auto* check = std::get_if<CheckChannel>(&action)) {
            m_swarm.OnChannelKnown(check->peer, check->lock.outpoint, std::nullopt, m_now);
        } else if (const auto* want = std::get_if<WantChannels>(&action)) {
            m_swarm.OnChannelsFailed(want->content, {ErrorKind::kFunds, "no coins"}, m_now);
        } else if (const auto* fault = std::get_if<PeerFault>(&action)) {
            CHECK(!fault->reason.empty());
        }
    }

    Input m_input;
    SeededRandom m_random;
    Swarm m_swarm;
    Instant m_now{};
    std::set<uint64_t> m_ready;
};

void RunSwarm(ByteSpan bytes) { SwarmScene(bytes).Run(); }

std::vector<Seed> SwarmSeeds() {
    const auto connect = [](Output& output) {
        for (uint16_t peer = 0; peer < 3; ++peer) output.Integer(uint16_t{0}).Integer(peer);
    };
    Output serve, fetch, pay;
    connect(serve);
    serve.Integer(uint16_t{3}).Blob(EncodeContentMessage(HaveQuery{Content(1)})).Integer(uint16_t{0});
    serve.Integer(uint16_t{5}).Integer(uint16_t{0}).Integer(uint16_t{1}).Integer(uint16_t{0});
    serve.Integer(uint16_t{7}).Integer(uint16_t{0}).Integer(uint16_t{0}).Integer(uint16_t{1}).Integer(uint16_t{1});
    connect(fetch);
    fetch.Integer(uint16_t{4}).Integer(uint16_t{2}).Integer(uint16_t{0}).Integer(uint16_t{1});
    fetch.Integer(uint16_t{2}).Integer(uint16_t{2000});
    for (uint16_t leaf = 0; leaf < 16; ++leaf) fetch.Integer(uint16_t{6}).Integer(leaf).Integer(uint16_t{1});
    connect(pay);
    pay.Integer(uint16_t{3}).Blob(EncodeContentMessage(TermsRequest{Content(2)})).Integer(uint16_t{0});
    pay.Integer(uint16_t{5}).Integer(uint16_t{1}).Integer(uint16_t{1}).Integer(uint16_t{0});
    pay.Integer(uint16_t{4})
        .Integer(uint16_t{2})
        .Integer(uint16_t{500})
        .Integer(uint16_t{2})
        .Integer(uint16_t{2})
        .Integer(uint16_t{3000});
    return {{"serve", serve.Take()}, {"fetch", fetch.Take()}, {"pay", pay.Take()}};
}
const Register kSwarm{{"swarm", RunSwarm, SwarmSeeds, 2048, 64 << 20}};

}  // namespace
}  // namespace sluice::fuzz
