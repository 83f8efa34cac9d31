#pragma once

#include <gtest/gtest.h>

#include <queue>

#include "content/settlement.h"
#include "content/swarm.h"
#include "primitives/script.h"

// Swarms joined by pipes in memory, on a virtual clock: latency, an upload rate for each node, workers that answer at
// once, a wallet that opens channels, and a chain that says how deep they are.

namespace sluice::content::testing {

inline crypto::SecretKey TestKey(uint32_t n) {
    std::array<uint8_t, 32> bytes{};
    for (size_t i = 0; i < 4; ++i) bytes[31 - i] = static_cast<uint8_t>((n + 1) >> (8 * i));
    return *crypto::SecretKey::FromBytes(bytes);
}
inline Script KeyScript(uint32_t n) { return TaprootScript(TestKey(n).XOnly()); }

// A content with its whole tree.
struct TestContent {
    explicit TestContent(uint64_t size_bytes, uint64_t seed = 1) {
        bytes.resize(size_bytes);
        SeededRandom(seed).Fill(bytes);
        ContentHasher hasher([&](ChunkIndex, const Hash256& hash) { levels.resize(1), levels[0].push_back(hash); });
        hasher.Write(bytes);
        id = *hasher.Finish();
        for (uint32_t level = 0; level < TreeDepth(size_bytes); ++level) {
            levels.emplace_back();
            for (size_t i = 0; i < levels[level].size(); i += 2) {
                const Hash256& right = i + 1 < levels[level].size() ? levels[level][i + 1] : PaddingHash(level);
                levels[level + 1].push_back(crypto::Sha256Pair(levels[level][i], right));
            }
        }
    }
    ByteSpan Chunk(ChunkIndex chunk) const {
        return ByteSpan(bytes).subspan(ChunkOffset(chunk), ChunkBytes(id.size_bytes, chunk));
    }
    std::optional<HashProof> Proof(const HashSpan& span) const {
        return MakeHashProof(id.size_bytes, span, [&](const TreeNode& node) -> std::optional<Hash256> {
            if (node.level >= levels.size() || node.index >= levels[node.level].size()) return std::nullopt;
            return levels[node.level][node.index];
        });
    }
    ChunkSet None() const { return ChunkSet(ChunkCount(id.size_bytes)); }
    ChunkSet All() const {
        ChunkSet all = None();
        for (ChunkIndex chunk; chunk.value < all.size(); ++chunk) all.Insert(chunk);
        return all;
    }

    Bytes bytes;
    ContentId id;
    std::vector<std::vector<Hash256>> levels;
};

inline consensus::Params NetParams() {
    consensus::Params params;
    params.network = "regtest";
    params.k = 50;
    params.channel_window_blocks = 200;
    return params;
}

struct NetNode {
    NetNode(uint32_t number, uint64_t rate) : index(number), group(number), bytes_per_s(rate), random(number + 100) {
        Restart();
    }

    void Restart() {
        SwarmConfig config;
        config.params = NetParams();
        config.genesis.bytes[0] = 7;
        id.bytes[0] = static_cast<uint8_t>(index + 1);
        config.node_id = id;
        config.payee_seed.data()[0] = static_cast<uint8_t>(index + 1);
        config.fee_per_kvb = Amount(1'000);
        config.credit = credit;
        swarm = std::make_unique<Swarm>(std::move(config), random);
        swarm->OnTip(Height(100));
    }

    uint32_t index;
    AddressGroup group;
    CreditLimits credit;  // from the next Restart on
    uint64_t bytes_per_s;
    SeededRandom random;
    NodeId id;
    std::unique_ptr<Swarm> swarm;
    Instant busy_until{};
    bool forges{false};          // one byte of every chunk it gives
    uint32_t forged_leaf{0};     // in this leaf
    uint64_t gives{UINT64_MAX};  // leaves, and then no more
    bool never_pays{false};
    bool mute{false};    // answers no opening
    bool silent{false};  // takes requests and vouchers, gives no leaves
    bool lies_about_leaves{false};
    bool knows_no_leaves{false};
    size_t leaf_hash_reads{0};
    std::set<std::pair<ContentId, ChunkIndex>> known_spans;
    std::map<std::pair<ContentId, ChunkIndex>, Instant> stored_at;
    uint64_t sent_leaf_bytes{0}, received_leaf_bytes{0};
    std::map<ContentId, ChunkSet> stored;
    std::map<ContentId, Bytes> data;
    std::map<OutPoint, PayeeChannel> vouchers;  // on its disk
    std::map<OutPoint, PayerChannel> payer_channels;
    std::map<OutPoint, uint32_t> payer_keys;
    std::vector<std::string> faults;
    std::vector<uint32_t> fault_peers;
    std::optional<Amount> finished;
    std::string waits_for;  // as its last progress says
    bool disk_full{false};  // nothing that was verified can be stored
    bool workers_stand_still{false};
    std::vector<VerifyAndStore> to_verify;  // meanwhile
    bool hashes_stand_still{false};         // those that are read for the node itself or for others
    std::vector<ReadHashes> hashes_to_read;
    uint64_t vouchers_fail{0};  // that are not saved from now on
    std::optional<Error> failed;
    ContentId failed_content;
    size_t opened{0};
    std::map<ContentId, uint64_t> earned_bytes;
    std::vector<EarnedShare> earned_value;
    std::map<PayerId, PayerHistory> history;
};

class Net {
  public:
    NetNode& Add(uint64_t bytes_per_s = 20 << 20) {
        m_nodes.push_back(std::make_unique<NetNode>(static_cast<uint32_t>(m_nodes.size()), bytes_per_s));
        return *m_nodes.back();
    }
    void Know(const TestContent& content) { m_contents.emplace(content.id, &content); }
    void Seed(NetNode& node, const TestContent& content, Amount ask = Amount(0), std::optional<Amount> floor = {}) {
        Know(content);
        node.stored.insert_or_assign(content.id, content.All());
        node.swarm->AddContent(content.id, content.All(), ask, floor);
        Pump(node);
    }
    void Fetch(NetNode& node, const TestContent& content, Amount max_price = Amount(0), Amount budget = Amount(0),
               DownloadMode mode = DownloadMode::kWhole) {
        Know(content);
        node.stored.try_emplace(content.id, content.None());
        node.data[content.id].resize(content.bytes.size());
        const Status status = node.swarm->StartDownload(content.id, node.stored.at(content.id), {max_price, budget},
                                                        Amount(0), now, mode);
        ASSERT_TRUE(status) << status.error().message;
        Pump(node);
    }
    // Peer ids are the other's index plus one.
    void Connect(NetNode& a, NetNode& b) {
        m_joined.insert({a.index, b.index});
        m_joined.insert({b.index, a.index});
        a.swarm->OnPeerConnected(PeerId(b.index + 1), b.id, b.group, now);
        b.swarm->OnPeerConnected(PeerId(a.index + 1), a.id, a.group, now);
        Pump(a);
        Pump(b);
    }
    void Part(NetNode& a, NetNode& b) {
        m_joined.erase({a.index, b.index});
        m_joined.erase({b.index, a.index});
        a.swarm->OnPeerGone(PeerId(b.index + 1), now);
        b.swarm->OnPeerGone(PeerId(a.index + 1), now);
        Pump(a);
        Pump(b);
    }
    // A node stops and starts again with what it keeps on disk.
    void Restart(NetNode& node) {
        const auto joined = m_joined;
        for (const auto& [from, to] : joined) {
            if (from == node.index) Part(node, *m_nodes[to]);
        }
        ++m_epoch;
        node.Restart();
        for (const auto& [outpoint, channel] : node.vouchers) node.swarm->AddPayeeChannel(channel);
        for (const auto& [outpoint, channel] : node.payer_channels)
            node.swarm->OnChannelReady(channel, TestKey(node.payer_keys.at(outpoint)), now);
        Pump(node);
        for (const auto& [from, to] : joined) {
            if (from == node.index) Connect(node, *m_nodes[to]);
        }
    }
    void SetDeadlines(NetNode& node, const TestContent& content, const std::vector<ChunkIndex>& chunks) {
        node.swarm->SetDeadlines(content.id, chunks, now);
        Pump(node);
    }
    void Want(NetNode& node, const TestContent& content, uint32_t first, uint32_t last) {
        node.swarm->Want(content.id, ChunkIndex(first), ChunkIndex(last), now);
        Pump(node);
    }
    void LetWorkersRun(NetNode& node) {
        node.workers_stand_still = false;
        for (VerifyAndStore& waiting : std::exchange(node.to_verify, {})) Do(node, waiting);
        Pump(node);
    }
    void LetHashesBeRead(NetNode& node) {
        node.hashes_stand_still = false;
        for (ReadHashes& waiting : std::exchange(node.hashes_to_read, {})) Do(node, waiting);
        Pump(node);
    }
    // Every opening is this deep.
    void Confirm(uint32_t depth) {
        for (auto& [outpoint, facts] : m_chain) {
            facts.depth = depth;
            for (const auto& node : m_nodes) {
                node->swarm->OnChannelConfirmed(outpoint, depth, now);
                Pump(*node);
            }
        }
    }
    // Runs until `done` or until the time is over; true if done.
    bool Run(milliseconds limit, const std::function<bool()>& done) {
        const Instant end = now + limit;
        while (now < end && !done()) {
            const Instant tick = m_last_tick + milliseconds(50);
            if (!m_events.empty() && m_events.top().at <= tick) {
                const Event event = m_events.top();
                m_events.pop();
                now = std::max(now, event.at);
                event.run();
            } else {
                now = m_last_tick = tick;
                for (const auto& node : m_nodes) {
                    node->swarm->Tick(now);
                    Pump(*node);
                }
            }
        }
        return done();
    }

    Instant now{};
    milliseconds latency{5};  // one way

  private:
    struct Event {
        Instant at;
        uint64_t order;
        std::function<void()> run;
        bool operator<(const Event& other) const { return std::pair(at, order) > std::pair(other.at, other.order); }
    };
    void Post(Instant at, std::function<void()> run) { m_events.push({at, m_order++, std::move(run)}); }
    void Deliver(NetNode& from, PeerId to, Bytes payload, bool leaf) {
        if (!m_joined.contains({from.index, static_cast<uint32_t>(to.value - 1)})) return;
        if (leaf && from.silent) return;
        if (!leaf && from.mute && payload[0] == static_cast<uint8_t>(ContentMessageType::kChannelAccept)) return;
        if (leaf && from.gives-- == 0) {
            from.gives = 0;
            return;
        }
        if (!leaf && from.never_pays && payload[0] == static_cast<uint8_t>(ContentMessageType::kVoucher)) return;
        Instant sent = now;
        if (leaf) {
            from.busy_until =
                std::max(from.busy_until, now) + microseconds(payload.size() * 1'000'000 / from.bytes_per_s);
            sent = from.busy_until;
            from.sent_leaf_bytes += payload.size();
            const auto link = std::pair(from.index, to);
            m_queued[link] += payload.size();
            Post(sent, [this, &from, to, link, bytes = payload.size(), epoch = m_epoch] {
                m_queued[link] -= bytes;
                if (epoch != m_epoch || !m_joined.contains({from.index, static_cast<uint32_t>(to.value - 1)})) return;
                from.swarm->OnPeerDrained(to, m_queued[link], now);
                Pump(from);
            });
        }
        NetNode* target = m_nodes[to.value - 1].get();
        Post(sent + latency, [this, &from, target, to, payload = std::move(payload), leaf, epoch = m_epoch] {
            if (epoch != m_epoch || !m_joined.contains({from.index, target->index})) return;
            if (leaf) target->received_leaf_bytes += payload.size();
            target->swarm->OnMessage(PeerId(from.index + 1), payload, now);
            Pump(*target);
        });
    }
    void Pump(NetNode& node) {
        for (auto actions = node.swarm->TakeActions(); !actions.empty(); actions = node.swarm->TakeActions()) {
            for (SwarmAction& action : actions) std::visit([&](auto& a) { Do(node, a); }, action);
        }
    }
    void Do(NetNode& node, SendControl& a) { Deliver(node, a.peer, std::move(a.payload), false); }
    void Do(NetNode& node, SendLeaf& a) {
        Bytes payload = std::move(a.head);
        const ByteSpan leaf = ByteSpan(*a.chunk).subspan(a.offset, a.bytes);
        payload.insert(payload.end(), leaf.begin(), leaf.end());
        Deliver(node, a.peer, std::move(payload), true);
    }
    void Do(NetNode& node, ReadChunk& a) {
        const TestContent& content = *m_contents.at(a.content);
        EXPECT_TRUE(node.stored.at(a.content).Has(a.chunk));
        auto bytes = std::make_shared<Bytes>(ToBytes(content.Chunk(a.chunk)));
        if (node.forges) (*bytes)[size_t{node.forged_leaf} * kLeafBytes] ^= 1;
        node.swarm->OnChunkRead(a.request, std::shared_ptr<const Bytes>(std::move(bytes)), now);
    }
    void Do(NetNode& node, ReadHashes& a) {
        if (node.hashes_stand_still) return node.hashes_to_read.push_back(a);
        // Of a proof that was fetched, the node knows just that span.
        const bool knows = node.stored.at(a.content).IsFull() || node.known_spans.contains({a.content, a.span.first});
        node.swarm->OnHashesRead(a.request, knows ? m_contents.at(a.content)->Proof(a.span) : std::nullopt, now);
    }
    void Do(NetNode& node, ReadLeafHashes& a) {
        auto hashes = LeafHashes(m_contents.at(a.content)->Chunk(a.chunk));
        if (node.lies_about_leaves) hashes[1].bytes[0] ^= 1;
        ++node.leaf_hash_reads;
        if (node.knows_no_leaves)
            return node.swarm->OnLeafHashesRead(a.request, Fail(ErrorKind::kUnavailable, "damaged"), now);
        node.swarm->OnLeafHashesRead(a.request, std::move(hashes), now);
    }
    void Do(NetNode& node, VerifyAndStore& a) {
        if (node.workers_stand_still) return node.to_verify.push_back(std::move(a));
        const ContentId content = a.proven.content();
        const ChunkIndex chunk = a.proven.chunk();
        if (node.disk_full)
            return node.swarm->OnChunkVerified(content, chunk, Fail(ErrorKind::kEnvironment, "the disk is full"), now);
        ChunkVerdict verdict = VerifyChunk(a.proven, a.bytes);
        if (verdict.chunk) {
            EXPECT_TRUE(node.stored.at(content).Insert(chunk)) << "stored twice";
            std::copy(a.bytes->begin(), a.bytes->end(),
                      node.data.at(content).begin() + static_cast<ptrdiff_t>(ChunkOffset(chunk)));
            node.stored_at[{content, chunk}] = now;
        }
        node.swarm->OnChunkVerified(content, chunk, ChunkOutcome{verdict.chunk.has_value(), verdict.leaf_hashes}, now);
    }
    void Do(NetNode& node, StoreHashes& a) {
        EXPECT_TRUE(VerifyHashProof(a.content, a.span, a.proof));
        node.known_spans.insert({a.content, a.span.first});
        node.swarm->OnHashesStored(a.content, a.span, {}, now);
    }
    void Do(NetNode& node, WantChannels& a) {
        for (const ChannelWanted& wanted : a.channels) {
            PayerChannel channel;
            const uint32_t key = 1'000 + m_channels;
            channel.lock.outpoint.txid.bytes[0] = static_cast<uint8_t>(m_channels + 1);
            channel.lock.outpoint.index = m_channels++;
            channel.lock.payer_key = TestKey(key).XOnly();
            channel.lock.payee_key = wanted.payee_key;
            channel.lock.expiry = Height(100 + wanted.min_window_blocks);
            channel.lock.capacity = channel.returned = wanted.capacity;
            channel.lock.return_script = KeyScript(900 + node.index);
            channel.payee_node = wanted.payee_node;
            channel.salt = wanted.salt;
            channel.first_voucher = wanted.first_voucher;
            channel.opening_cost = Amount(a.max_fees.drops / a.channels.size());  // the dearest that is allowed
            const auto& lock = channel.lock;
            m_chain[lock.outpoint] = {
                {lock.capacity, lock.Template()->output_script}, {lock.payer_key, lock.payee_key, lock.expiry}, 0};
            node.payer_keys[lock.outpoint] = key;
            ++node.opened;
            node.swarm->OnChannelReady(channel, TestKey(key), now);
        }
    }
    void Do(NetNode& node, CheckChannel& a) {
        const auto facts = m_chain.find(a.lock.outpoint);
        node.swarm->OnChannelKnown(a.peer, a.lock.outpoint,
                                   facts == m_chain.end() ? std::nullopt : std::optional(facts->second), now);
    }
    void Do(NetNode& node, PersistVoucher& a) {
        if (node.vouchers_fail > 0) {
            --node.vouchers_fail;
            const Status full = Fail(ErrorKind::kEnvironment, "the disk is full");
            return node.swarm->OnVoucherPersisted(a.channel.lock.outpoint, a.channel.returned, full, now);
        }
        node.vouchers[a.channel.lock.outpoint] = a.channel;
        node.swarm->OnVoucherPersisted(a.channel.lock.outpoint, a.channel.returned, {}, now);
    }
    void Do(NetNode& node, SavePayerChannel& a) { node.payer_channels[a.channel.lock.outpoint] = a.channel; }
    void Do(NetNode& node, RecordEarnings& a) {
        for (const EarnedShare& share : a.shares) {
            node.earned_bytes[share.content] += share.bytes;
            node.earned_value.push_back(share);
        }
    }
    void Do(NetNode& node, SavePayerHistory& a) {
        for (const PayerHistory& payer : a.changed) node.history[payer.payer] = payer;
    }
    void Do(NetNode& node, PeerFault& a) {
        node.faults.push_back(a.reason);
        node.fault_peers.push_back(static_cast<uint32_t>(a.peer.value - 1));
        Part(node, *m_nodes[a.peer.value - 1]);
    }
    void Do(NetNode& node, DownloadFinished& a) { node.finished = a.paid; }
    void Do(NetNode& node, DownloadFailed& a) {
        node.failed = a.error;
        node.failed_content = a.content;
    }
    void Do(NetNode& node, DownloadProgress& a) {
        EXPECT_LE(a.stored_bytes, a.total_bytes);
        node.waits_for = a.waiting_for;
    }

    std::vector<std::unique_ptr<NetNode>> m_nodes;
    std::map<ContentId, const TestContent*> m_contents;
    std::set<std::pair<uint32_t, uint32_t>> m_joined;
    std::map<OutPoint, ChannelFacts> m_chain;
    std::map<std::pair<uint32_t, PeerId>, uint64_t> m_queued;  // leaf bytes that have not left, from whom to whom
    std::priority_queue<Event> m_events;
    Instant m_last_tick{};
    uint64_t m_order{0};
    uint64_t m_epoch{0};
    uint32_t m_channels{0};
};

}  // namespace sluice::content::testing
