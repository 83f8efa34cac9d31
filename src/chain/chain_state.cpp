#include "chain/chain_state.h"

#include <algorithm>

#include "chain/fork_choice.h"
#include "chain/store_keys.h"
#include "util/log.h"

namespace sluice::chain {
namespace {

using consensus::HeaderState;
using consensus::StateCache;
using consensus::StateDelta;

const consensus::SpendRunner kTakeAsValid = [](std::span<const consensus::SpendCheck>) {
    return consensus::Verdict<void>();
};

Bytes TipKey() { return TableKey(kMetaTable, AsBytes("tip")); }

// Removes the pair of a block that left and came back (or came and left), so that a change stays net.
void NoteConnected(TipChange& change, ConnectedBlock block) {
    if (change.connected.empty() && !change.disconnected.empty() &&
        change.disconnected.back().state.hash == block.state.hash) {
        change.disconnected.pop_back();
        return;
    }
    change.connected.push_back(std::move(block));
}
void NoteDisconnected(TipChange& change, ConnectedBlock block) {
    if (!change.connected.empty()) {
        CHECK(change.connected.back().state.hash == block.state.hash);
        change.connected.pop_back();
        return;
    }
    change.disconnected.push_back(std::move(block));
}

}  // namespace

// Entries read or written lately, in two generations of at most half the limit each, and the snapshots used lately.
struct ChainState::ReadPath {
    using Entries = std::unordered_map<std::string, std::optional<Bytes>>;
    static constexpr size_t kEntryOverheadBytes = 150;
    static constexpr size_t kMaxSnapshots = 8;

    explicit ReadPath(size_t limit) : half_bytes(limit / 2) {}

    const std::optional<Bytes>* Find(ByteSpan key) {
        const std::string text = ToString(key);
        if (const auto found = young.find(text); found != young.end()) return &found->second;
        const auto found = old.find(text);
        if (found == old.end()) return nullptr;
        std::optional<Bytes> value = std::move(found->second);
        old.erase(found);
        return Put(text, std::move(value));
    }
    const std::optional<Bytes>* Put(const std::string& key, std::optional<Bytes> value) {
        const size_t cost = key.size() + (value ? value->size() : 0) + kEntryOverheadBytes;
        if (young_bytes + cost > half_bytes) {
            old = std::move(young);
            young.clear();
            young_bytes = 0;
        }
        old.erase(key);
        young_bytes += cost;
        return &(young[key] = std::move(value));
    }
    void Remember(const BlockHash& block, const SnapshotRef& snapshot) {
        if (snapshots.size() >= kMaxSnapshots) snapshots.pop_back();
        snapshots.emplace_front(block, snapshot);
    }

    size_t half_bytes;
    size_t young_bytes{0};
    Entries young;
    Entries old;
    std::list<std::pair<BlockHash, SnapshotRef>> snapshots;
    std::optional<Error> failure;
};

ChainState::ChainState(const consensus::Genesis& genesis, storage::KeyValueStore& store, HeaderTree& tree,
                       BlockStore& blocks, Indexes& indexes, consensus::SpendRunner runner, size_t cache_bytes)
    : m_genesis(genesis),
      m_params(genesis.params),
      m_genesis_hash(tree.genesis()->hash()),
      m_store(store),
      m_tree(tree),
      m_blocks(blocks),
      m_indexes(indexes),
      m_runner(std::move(runner)),
      m_reads(std::make_unique<ReadPath>(cache_bytes)) {}

ChainState::~ChainState() = default;

Result<std::unique_ptr<ChainState>> ChainState::Open(const consensus::Genesis& genesis, storage::KeyValueStore& store,
                                                     HeaderTree& tree, BlockStore& blocks, Indexes& indexes,
                                                     consensus::SpendRunner runner, size_t cache_bytes) {
    std::unique_ptr<ChainState> state(
        new ChainState(genesis, store, tree, blocks, indexes, std::move(runner), cache_bytes));
    ASSIGN_OR_RETURN(const auto tip, store.Get(TipKey()));
    if (!tip) RETURN_IF_ERROR(state->WriteGenesis());
    RETURN_IF_ERROR(state->LoadTip());
    return state;
}

Status ChainState::WriteGenesis() {
    const HeaderNode* node = m_tree.genesis();
    ConnectedBlock genesis{std::make_shared<const Block>(m_genesis.MakeBlock()), node->state,
                           std::make_shared<const StateDelta>(m_genesis.MakeState())};
    RETURN_IF_ERROR(m_blocks.WriteBlock(*genesis.block));
    StateCache state(*this);
    state.ApplyDelta(*genesis.delta);
    storage::WriteBatch batch;
    batch.Put(TableKey(kSnapshotTable, node->hash().bytes),
              Encode(consensus::TakeSnapshot(state, node->hash(), node->state.epoch)));
    RETURN_IF_ERROR(m_indexes.PutBlock(batch, genesis));
    return Commit(std::move(batch), node, *genesis.delta, true, true);
}

Status ChainState::LoadTip() {
    ASSIGN_OR_RETURN(const auto bytes, m_store.Get(TipKey()));
    if (!bytes) return Fail(Corrupt("the tip is missing"));
    const auto hash = BlockHash::FromBytes(*bytes);
    if (!hash) return Fail(Corrupt("the tip does not decode"));
    m_tip = m_tree.Find(*hash);
    if (m_tip == nullptr) return Fail(Corrupt("the header of the tip is missing"));
    return {};
}

std::optional<Bytes> ChainState::Read(ByteSpan key) const {
    if (const auto* cached = m_reads->Find(key)) return *cached;
    auto value = m_store.Get(TableKey(kStateTable, key));
    if (!value) {
        if (!m_reads->failure) m_reads->failure = value.error();
        return std::nullopt;
    }
    return *m_reads->Put(ToString(key), std::move(*value));
}

std::optional<Error> ChainState::TakeReadFailure() const {
    if (auto failure = m_tree.TakeReadFailure()) return failure;
    return std::exchange(m_reads->failure, std::nullopt);
}
std::optional<Error> ChainState::ReadFailure() const { return m_reads->failure; }

Status ChainState::Commit(storage::WriteBatch batch, const HeaderNode* tip, const StateDelta& delta, bool forward,
                          bool sync) {
    for (const auto& change : delta.changes) {
        const auto& value = forward ? change.after : change.before;
        Bytes key = TableKey(kStateTable, change.key);
        if (value) {
            batch.Put(std::move(key), *value);
        } else {
            batch.Delete(std::move(key));
        }
    }
    batch.Put(TipKey(), ToBytes(tip->hash().bytes));
    RETURN_IF_ERROR(m_store.Write(batch, sync));
    for (const auto& change : delta.changes) m_reads->Put(ToString(change.key), forward ? change.after : change.before);
    m_tip = tip;
    return {};
}

Result<SnapshotRef> ChainState::SnapshotOf(const consensus::EpochBoundary& boundary) const {
    for (const auto& [block, snapshot] : m_reads->snapshots)
        if (block == boundary.block) return snapshot;
    ASSIGN_OR_RETURN(const auto bytes, m_store.Get(TableKey(kSnapshotTable, boundary.block.bytes)));
    SnapshotRef snapshot;
    if (bytes) {
        auto decoded = Decode<consensus::StakeSnapshot>(*bytes);
        if (!decoded) return Fail(Corrupt("the stake snapshot of block " + boundary.block.Hex() + " does not decode"));
        const Hash256 hash = decoded->Hash();
        snapshot = std::make_shared<const Snapshot>(Snapshot{std::move(*decoded), hash});
    } else {
        const HeaderNode* node = m_tree.Find(boundary.block);
        if (node == nullptr || !IsActive(node) || m_tip->height() - node->height() > kMaxRewind) return SnapshotRef();
        ASSIGN_OR_RETURN(snapshot, TakeSnapshotAt(node));
    }
    m_reads->Remember(boundary.block, snapshot);
    return snapshot;
}

Result<SnapshotRef> ChainState::TakeSnapshotAt(const HeaderNode* node) const {
    StateCache state(*this);
    const HeaderState block = node->state;
    for (Height height = m_tip->height(); height > block.height; height = Height(height.value - 1)) {
        const HeaderNode* at = At(height);
        if (at == nullptr) return Fail(TakeReadFailure().value_or(Corrupt("an active header is gone")));
        ASSIGN_OR_RETURN(const StateDelta delta, m_blocks.ReadUndo(at->hash()));
        state.UndoDelta(delta);
    }
    consensus::StakeSnapshot stake = consensus::TakeSnapshot(state, block.hash, block.epoch);
    if (const auto failure = ReadFailure()) return Fail(*failure);
    const Hash256 hash = stake.Hash();
    return SnapshotRef(std::make_shared<const Snapshot>(Snapshot{std::move(stake), hash}));
}

Result<bool> ChainState::ConnectTip(const HeaderNode* node, bool sync, TipChange& change) {
    CHECK(node->parent == m_tip);
    ASSIGN_OR_RETURN(const BlockRef block, m_blocks.ReadBlock(node->hash()));
    if (block == nullptr) {
        LogWarning("chain", "the stored body of block {} does not read back and will be fetched again",
                   node->hash().Hex());
        m_tree.ClearBody(node->hash());
        return false;
    }
    ASSIGN_OR_RETURN(const SnapshotRef elects, SnapshotOf(node->state.elects));
    ASSIGN_OR_RETURN(const SnapshotRef previous, SnapshotOf(node->state.previous));
    if (elects == nullptr || previous == nullptr)
        return Fail(Corrupt("a stake snapshot before block " + node->hash().Hex() + " is missing"));

    const consensus::BlockContext context{m_tip->state, node->state, elects->stake, previous->hash};
    const bool assumed = SignaturesAreAssumed(node);
    if (const auto failure = TakeReadFailure()) return Fail(*failure);
    auto connected = consensus::ConnectBlock(m_params, context, *this, *block, assumed ? kTakeAsValid : m_runner);
    if (const auto failure = TakeReadFailure()) return Fail(*failure);
    if (!connected) {
        LogWarning("chain", "block {} at height {} is invalid: {}", node->hash().Hex(), node->height().value,
                   connected.error().ToString());
        m_reasons.emplace(node->hash(), connected.error());
        if (connected.error().what == consensus::Invalid::What::kMutatedBody) {
            m_tree.ClearBody(node->hash());
        } else {
            RETURN_IF_ERROR(m_tree.MarkInvalid(node->hash()));
        }
        return false;
    }

    ConnectedBlock done{block, node->state, std::make_shared<const StateDelta>(std::move(*connected))};
    storage::WriteBatch batch;
    ASSIGN_OR_RETURN(const FilePosition undo, m_blocks.WriteUndo(node->hash(), *done.delta));
    m_blocks.PutUndoPosition(batch, node->hash(), undo);
    if (node->state.epoch != m_tip->state.epoch)
        batch.Put(TableKey(kSnapshotTable, m_tip->hash().bytes), Encode(previous->stake));
    RETURN_IF_ERROR(m_indexes.PutBlock(batch, done));
    RETURN_IF_ERROR(Commit(std::move(batch), node, *done.delta, true, sync));
    NoteConnected(change, std::move(done));
    return true;
}

Status ChainState::DisconnectTip(bool sync, TipChange& change) {
    const HeaderNode* node = m_tip;
    CHECK(node != m_tree.genesis());
    RETURN_IF_ERROR(m_tree.LowerRootTo(Height(node->height().value - 1)));
    ASSIGN_OR_RETURN(const BlockRef block, m_blocks.ReadBlock(node->hash()));
    if (block == nullptr) return Fail(Corrupt("the active block " + node->hash().Hex() + " does not read back"));
    ASSIGN_OR_RETURN(StateDelta delta, m_blocks.ReadUndo(node->hash()));
    ConnectedBlock undone{block, node->state, std::make_shared<const StateDelta>(std::move(delta))};
    storage::WriteBatch batch;
    RETURN_IF_ERROR(m_indexes.EraseBlock(batch, undone));
    RETURN_IF_ERROR(Commit(std::move(batch), node->parent, *undone.delta, false, sync));
    NoteDisconnected(change, std::move(undone));
    return {};
}

void ChainState::AddCandidates(const std::vector<const HeaderNode*>& nodes) {
    m_candidates.insert(m_candidates.end(), nodes.begin(), nodes.end());
}

void ChainState::FindCandidates() {
    m_candidates.clear();
    m_tree.ForEach([&](const HeaderNode& node) {
        if (node.has_all_bodies && !node.failed) m_candidates.push_back(&node);
    });
    SiftCandidates();
}

std::vector<const HeaderNode*> ChainState::NodesInUse() const {
    std::vector<const HeaderNode*> nodes = m_candidates;
    nodes.push_back(m_tip);
    return nodes;
}

void ChainState::SiftCandidates() {
    const auto is_complete = [](const HeaderNode* node) { return node->has_all_bodies && !node->failed; };
    std::erase_if(m_candidates, [&](const HeaderNode* node) {
        if (!is_complete(node) || IsActive(node)) return true;
        if (std::any_of(node->children.begin(), node->children.end(), is_complete)) return true;
        // Beyond k its count of blocks in the window is what it is, and that of the tip can only grow.
        const HeaderNode* fork = ForkPoint(node, m_tip);
        return consensus::DensityDecides(m_params, fork->height(), m_tip->height()) &&
               !BetterEnd(m_params, node, m_tip);
    });
    // In order of arrival: the first seen of equals wins.
    std::sort(m_candidates.begin(), m_candidates.end(),
              [](const HeaderNode* a, const HeaderNode* b) { return a->sequence < b->sequence; });
    m_candidates.erase(std::unique(m_candidates.begin(), m_candidates.end()), m_candidates.end());
}

const HeaderNode* ChainState::BestCandidate(const ForkLimits& limits) const {
    std::vector<const HeaderNode*> ends;
    for (const HeaderNode* node : m_candidates) {
        const HeaderNode* fork = ForkPoint(node, m_tip);
        if (fork == m_tip || (fork->state.slot >= limits.oldest && fork->height() >= limits.lowest))
            ends.push_back(node);
    }
    return BestEnd(m_params, m_tip, ends);
}

Status ChainState::MoveTo(const HeaderNode* target, bool sync, TipChange& change) {
    const HeaderNode* fork = ForkPoint(target, m_tip);
    if (m_tip != fork) m_candidates.push_back(m_tip);  // its branch may become the best again
    while (m_tip != fork) RETURN_IF_ERROR(DisconnectTip(sync, change));
    while (m_tip != target) {
        ASSIGN_OR_RETURN(const bool connected, ConnectTip(AncestorAt(target, m_tip->height() + 1), sync, change));
        if (!connected) break;
    }
    return {};
}

Result<TipChange> ChainState::ActivateBest(const ForkLimits& limits, bool sync) {
    TipChange change;
    for (;;) {
        SiftCandidates();
        const HeaderNode* target = BestCandidate(limits);
        if (const auto failure = TakeReadFailure()) return Fail(*failure);
        if (target == m_tip) break;
        RETURN_IF_ERROR(MoveTo(target, sync, change));
        if (m_tip == target) break;
        // A branch that failed half way may have left us on a worse chain: the next round goes back or to a better one.
        FindCandidates();
    }
    return change;
}

Result<TipChange> ChainState::LeaveInvalid(const ForkLimits& limits, bool sync) {
    TipChange change;
    while (m_tip->failed) RETURN_IF_ERROR(DisconnectTip(sync, change));
    FindCandidates();
    ASSIGN_OR_RETURN(TipChange more, ActivateBest(limits, sync));
    for (auto& block : more.disconnected) NoteDisconnected(change, std::move(block));
    for (auto& block : more.connected) NoteConnected(change, std::move(block));
    return change;
}

bool ChainState::SignaturesAreAssumed(const HeaderNode* node) const {
    if (!m_assume_valid) return false;
    const HeaderNode* last = m_tree.Find(*m_assume_valid);
    return last != nullptr && node->height() <= last->height() && IsAncestor(last, m_tree.best()) &&
           IsAncestor(node, last);
}

std::optional<consensus::Invalid> ChainState::WhyInvalid(const BlockHash& hash) const {
    const auto found = m_reasons.find(hash);
    if (found == m_reasons.end()) return std::nullopt;
    return found->second;
}

}  // namespace sluice::chain
