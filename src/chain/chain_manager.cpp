#include "chain/chain_manager.h"

#include <algorithm>

#include "chain/store_keys.h"
#include "util/log.h"

namespace sluice::chain {
namespace {

Bytes GenesisKey() { return TableKey(kMetaTable, AsBytes("genesis")); }

}  // namespace

ChainManager::ChainManager(consensus::Genesis genesis)
    : m_genesis(std::move(genesis)), m_genesis_hash(m_genesis.Hash()) {}

ChainManager::~ChainManager() {
    if (!m_store || !m_blocks) return;
    if (const Status flushed = Flush(); !flushed)
        LogError("chain", "what came last could not be saved and will be fetched again: {}", flushed.error().message);
}

Result<std::unique_ptr<ChainManager>> ChainManager::Open(storage::FileSystem& files, const std::string& folder,
                                                         consensus::Genesis genesis, ChainOptions options) {
    RETURN_IF_ERROR(consensus::CheckGenesis(genesis));
    std::unique_ptr<ChainManager> manager(new ChainManager(std::move(genesis)));
    RETURN_IF_ERROR(manager->OpenParts(files, folder, std::move(options)));
    return manager;
}

Status ChainManager::OpenParts(storage::FileSystem& files, const std::string& folder, ChainOptions options) {
    RETURN_IF_ERROR(files.CreateDirectories(folder));
    ASSIGN_OR_RETURN(auto store, files.OpenKeyValue(folder + "/chainstate", options.cache_bytes / 2));
    m_store = std::make_unique<WriteBuffer>(std::move(store), options.write_buffer_bytes);
    RETURN_IF_ERROR(CheckNetwork(folder));
    ASSIGN_OR_RETURN(m_tree,
                     HeaderTree::Open(params(), m_genesis.MakeBlock().header, m_genesis.MakeHeaderState(), *m_store));
    ASSIGN_OR_RETURN(m_blocks, BlockStore::Open(files, folder + "/blocks", *m_store));
    m_store->SetBeforeFlush([this] { return m_blocks->Sync(); });
    m_indexes = std::make_unique<Indexes>(*m_store);
    ASSIGN_OR_RETURN(m_state, ChainState::Open(m_genesis, *m_store, *m_tree, *m_blocks, *m_indexes, options.runner,
                                               options.cache_bytes / 2));
    RETURN_IF_ERROR(CheckStoredBodies());
    m_pipeline = std::make_unique<HeaderPipeline>(
        params(), m_genesis_hash,
        [this](const consensus::EpochBoundary& boundary) { return m_state->SnapshotOf(boundary); },
        std::move(options.header_runner));
    if (options.assume_valid) m_state->AssumeValid(*options.assume_valid);
    m_checkpoints = std::move(options.checkpoints);
    for (const Checkpoint& checkpoint : m_checkpoints) RETURN_IF_ERROR(EnforceCheckpoint(checkpoint));
    RETURN_IF_ERROR(m_state->LeaveInvalid(Limits(true), true));
    m_mempool = std::make_unique<Mempool>(params(), *m_state, tip()->state, options.runner, options.mempool);
    std::vector<const HeaderNode*> open;
    m_tree->ForEach([&](const HeaderNode& node) { open.push_back(&node); });
    for (const HeaderNode* node : open) RETURN_IF_ERROR(NoteEquivocation(node));
    return {};
}

Status ChainManager::CheckNetwork(const std::string& folder) {
    ASSIGN_OR_RETURN(const auto stored, m_store->Get(GenesisKey()));
    if (!stored) {
        storage::WriteBatch batch;
        batch.Put(GenesisKey(), ToBytes(m_genesis_hash.bytes));
        return m_store->Write(batch, true);
    }
    if (*stored != ToBytes(m_genesis_hash.bytes))
        return Fail("the folder " + folder + " holds the chain of another network: choose another data folder for '" +
                    params().network + "'");
    return {};
}

Status ChainManager::CheckStoredBodies() {
    std::vector<const HeaderNode*> open;
    m_tree->ForEach([&](const HeaderNode& node) { open.push_back(&node); });
    for (const HeaderNode* node : open) {
        const BlockHash& hash = node->hash();
        ASSIGN_OR_RETURN(const bool stored, m_blocks->HasBlock(hash));
        if (!stored) continue;
        // Active blocks were synced before they became active; others may have been lost or cut short with the power.
        if (!m_state->IsActive(node)) {
            ASSIGN_OR_RETURN(const BlockRef block, m_blocks->ReadBlock(hash));
            if (block == nullptr) continue;
        }
        m_tree->SetBody(hash);
    }
    return {};
}

Result<BlockResult> ChainManager::ProcessBlock(const BlockRef& block, UnixMillis now) {
    using What = BlockResult::What;
    RETURN_IF_ERROR(m_state->PruneHeaders());
    ASSIGN_OR_RETURN(HeadersResult taken, TakeHeaders({&block->header, 1}, now));
    if (taken.stopped) {
        BlockResult result{.what = What::kNotTaken, .header = std::move(taken.stopped)};
        result.invalid = m_state->WhyInvalid(block->header.Hash());
        return result;
    }
    const HeaderNode* node = taken.last;
    if (node->has_body) return BlockResult{.what = What::kKnown};
    // Checks the merkle roots first: a body that does not belong to the header says nothing about the header.
    if (const auto form = consensus::CheckBlock(params(), *block); !form) {
        if (form.error().what != consensus::Invalid::What::kMutatedBody)
            RETURN_IF_ERROR(m_tree->MarkInvalid(node->hash()));
        return BlockResult{.what = What::kNotTaken, .invalid = form.error()};
    }
    RETURN_IF_ERROR(m_blocks->WriteBlock(*block));
    m_state->AddCandidates(m_tree->SetBody(node->hash()));
    ASSIGN_OR_RETURN(BlockResult result, Activate(now));
    if (node->failed) {
        result.what = What::kNotTaken;
        result.invalid = m_state->WhyInvalid(node->hash());
    } else {
        result.what = IsActive(node) ? What::kConnected : What::kStored;
    }
    return result;
}

Result<BlockResult> ChainManager::Activate(UnixMillis now) {
    const bool caught_up = IsCaughtUp(now);
    // A checkpoint may have condemned the branch of the tip.
    ASSIGN_OR_RETURN(TipChange change, tip()->failed ? m_state->LeaveInvalid(Limits(caught_up), caught_up)
                                                     : m_state->ActivateBest(Limits(caught_up), caught_up));
    return Finish(std::move(change));
}

Result<BlockResult> ChainManager::Finish(TipChange change) {
    BlockResult result;
    if (!change.Empty()) result.removed = m_mempool->BlocksChanged(change, tip()->state);
    if (const auto failure = m_state->TakeReadFailure()) return Fail(*failure);
    result.change = std::move(change);
    return result;
}

std::vector<const HeaderNode*> ChainManager::BlocksWanted(size_t max, uint32_t window) const {
    std::vector<const HeaderNode*> wanted;
    const auto add_branch = [&](const HeaderNode* end) {
        const Height fork = ForkPoint(end, tip())->height();
        const Height last = std::min(end->height(), fork + window);
        for (Height height = fork + 1; height <= last && wanted.size() < max; ++height) {
            const HeaderNode* node = AncestorAt(end, height);
            if (!node->has_body && std::find(wanted.begin(), wanted.end(), node) == wanted.end())
                wanted.push_back(node);
        }
    };
    add_branch(best_header());
    for (const HeaderNode* leaf : m_tree->LeavesBetterThan(tip())) {
        if (wanted.size() >= max) break;
        if (leaf != best_header()) add_branch(leaf);
    }
    return wanted;
}

Result<BlockRef> ChainManager::GetBlockAt(Height height) const {
    const HeaderNode* node = At(height);
    if (const auto failure = m_state->TakeReadFailure()) return Fail(*failure);
    if (node == nullptr)
        return Fail(ErrorKind::kNotFound,
                    "height " + ToString(height) + " is above the tip at " + ToString(tip()->height()));
    return GetBlock(node->hash());
}

Result<ConnectedBlock> ChainManager::GetConnected(const HeaderNode* node) const {
    CHECK(IsActive(node));
    ASSIGN_OR_RETURN(const BlockRef block, GetBlock(node->hash()));
    if (block == nullptr) return Fail(Corrupt("the active block " + node->hash().Hex() + " does not read back"));
    if (node == m_tree->genesis())
        return ConnectedBlock{block, node->state, std::make_shared<const consensus::StateDelta>(m_genesis.MakeState())};
    ASSIGN_OR_RETURN(consensus::StateDelta delta, m_blocks->ReadUndo(node->hash()));
    return ConnectedBlock{block, node->state, std::make_shared<const consensus::StateDelta>(std::move(delta))};
}

Result<std::vector<BlockHeader>> ChainManager::HeadersAfter(const std::vector<BlockHash>& locator,
                                                            const BlockHash& stop) const {
    return m_tree->HeadersAfter(tip(), locator, stop);
}

bool ChainManager::IsCaughtUp(UnixMillis now) const {
    const auto slot = params().SlotAt(now);
    if (!slot) return true;
    const uint64_t expected_slots =
        uint64_t{params().k} * params().active_slots_denominator / params().active_slots_numerator;
    return tip()->state.slot + expected_slots >= *slot;
}

Result<consensus::Verdict<AcceptResult>> ChainManager::AcceptTransaction(const TransactionRef& tx, UnixMillis now,
                                                                         bool test_only) {
    auto verdict = test_only ? m_mempool->Test(tx, now) : m_mempool->Accept(tx, now);
    if (const auto failure = m_state->TakeReadFailure()) return Fail(*failure);
    return verdict;
}

Result<BlockRef> ChainManager::ProduceBlock(const consensus::OperatorKeys& keys, Slot slot) const {
    const consensus::HeaderState& parent = tip()->state;
    if (slot <= parent.slot)
        return Fail("slot " + ToString(slot) + " is not after the tip's slot " + ToString(parent.slot));
    const consensus::EpochContext context = consensus::NextContext(params(), parent, slot);
    ASSIGN_OR_RETURN(const SnapshotRef elects, SnapshotOf(context.elects));
    ASSIGN_OR_RETURN(const SnapshotRef previous, SnapshotOf(context.previous));
    if (elects == nullptr || previous == nullptr)
        return Fail(Corrupt("a stake snapshot of the active chain is missing"));
    const auto proof =
        consensus::ProveLeadership(params(), parent, slot, m_pipeline->electorates().Of(elects, context.epoch), keys);
    if (!proof) return BlockRef();
    const consensus::SnapshotEntry* producer = elects->stake.Find(keys.staker);
    CHECK(producer != nullptr);  // it leads

    BlockTemplate block_template = BuildTemplate(params(), *m_state, *m_mempool, parent, slot, *producer);
    const auto sign = [&](std::vector<TransactionRef> transactions) {
        return std::make_shared<const Block>(
            MakeSignedBlock(m_genesis_hash, parent, slot, *proof, keys, previous->hash, std::move(transactions)));
    };
    BlockRef block = sign(std::move(block_template.transactions));
    const auto verdict = CheckProduced(*block, elects, previous->hash);
    if (const auto failure = m_state->TakeReadFailure()) return Fail(*failure);
    if (verdict) return block;
    // A bug of ours must not cost the slot: an empty block is valid whatever the mempool holds.
    LogError("chain", "the template for slot {} is invalid ({}): an empty block is made instead", slot.value,
             verdict.error().ToString());
    const Mempool empty(params(), *m_state, parent, consensus::RunSpendsInOrder);
    block = sign(BuildTemplate(params(), *m_state, empty, parent, slot, *producer).transactions);
    if (const auto failure = m_state->TakeReadFailure()) return Fail(*failure);
    return block;
}

consensus::Verdict<void> ChainManager::CheckProduced(const Block& block, const SnapshotRef& elects,
                                                     const Hash256& previous) const {
    const consensus::HeaderState& parent = tip()->state;
    ASSIGN_OR_RETURN(const consensus::HeaderState self,
                     consensus::CheckHeader(params(), m_genesis_hash, parent, block.header,
                                            m_pipeline->electorates().Of(elects, params().EpochOf(block.header.slot))));
    const consensus::SpendRunner checked_by_mempool = [](std::span<const consensus::SpendCheck>) {
        return consensus::Verdict<void>();
    };
    RETURN_IF_ERROR(consensus::ConnectBlock(params(), {parent, self, elects->stake, previous}, *m_state, block,
                                            checked_by_mempool));
    return {};
}

Result<std::optional<Slot>> ChainManager::NextWonSlot(const consensus::OperatorKeys& keys, Slot from,
                                                      uint64_t max_slots) const {
    const consensus::HeaderState& parent = tip()->state;
    const Slot first = std::max(from, parent.slot + 1);
    for (Slot slot = first; slot < first + max_slots; ++slot) {
        ASSIGN_OR_RETURN(const SnapshotRef elects, SnapshotOf(consensus::ElectingBoundary(params(), parent, slot)));
        if (elects == nullptr) return Fail(Corrupt("a stake snapshot of the active chain is missing"));
        consensus::Electorate& electorate = m_pipeline->electorates().Of(elects, params().EpochOf(slot));
        if (consensus::ProveLeadership(params(), parent, slot, electorate, keys)) return std::optional<Slot>(slot);
    }
    return std::optional<Slot>();
}

Result<bool> ChainManager::Led(const consensus::OperatorKeys& keys, Slot slot) const {
    if (slot.value == 0) return false;
    const HeaderNode* before = ActiveBefore(slot);
    if (before == nullptr) return Fail(m_state->TakeReadFailure().value_or(Corrupt("an active header is gone")));
    const consensus::HeaderState parent = before->state;
    ASSIGN_OR_RETURN(const SnapshotRef elects, SnapshotOf(consensus::ElectingBoundary(params(), parent, slot)));
    if (elects == nullptr) return false;
    consensus::Electorate& electorate = m_pipeline->electorates().Of(elects, params().EpochOf(slot));
    return consensus::ProveLeadership(params(), parent, slot, electorate, keys).has_value();
}

Result<BlockResult> ChainManager::InvalidateBlock(const BlockHash& hash, UnixMillis now) {
    const HeaderNode* node = m_tree->Find(hash);
    if (node == nullptr) return Fail(ErrorKind::kNotFound, "no block " + hash.Hex() + " is known");
    if (node == m_tree->genesis()) return Fail("the genesis block cannot be refused");
    RETURN_IF_ERROR(m_tree->MarkInvalid(hash));
    ASSIGN_OR_RETURN(TipChange change, m_state->LeaveInvalid(Limits(false), IsCaughtUp(now)));
    return Finish(std::move(change));
}

Result<BlockResult> ChainManager::ReconsiderBlock(const BlockHash& hash, UnixMillis now) {
    if (m_tree->Find(hash) == nullptr) return Fail(ErrorKind::kNotFound, "no block " + hash.Hex() + " is known");
    RETURN_IF_ERROR(m_tree->ClearInvalid(hash));
    m_state->FindCandidates();
    return Activate(now);
}

}  // namespace sluice::chain
