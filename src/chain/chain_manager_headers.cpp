#include "chain/chain_manager.h"
#include "chain/fork_choice.h"
#include "chain/store_keys.h"
#include "util/log.h"

// What ChainManager does with headers: policy around HeaderPipeline and HeaderTree.

namespace sluice::chain {
namespace {

using consensus::HeaderState;
using consensus::Invalid;
using What = HeaderOutcome::What;

constexpr seconds kEarlyTolerance{2};

HeaderOutcome Refuse(What what, Invalid::What kind, std::string code, std::string detail) {
    return {what, nullptr, {kind, std::move(code), std::move(detail)}};
}

}  // namespace

Result<HeadersResult> ChainManager::ProcessHeaders(const std::vector<BlockHeader>& headers, UnixMillis now) {
    RETURN_IF_ERROR(m_state->PruneHeaders());
    return TakeHeaders(headers, now);
}

Result<HeadersResult> ChainManager::TakeHeaders(std::span<const BlockHeader> headers, UnixMillis now) {
    HeadersResult result;
    std::vector<BlockHash> hashes;
    for (const BlockHeader& header : headers) hashes.push_back(header.Hash());
    for (size_t begin = 0; begin < headers.size() && !result.stopped;) {
        const HeaderNode* known = m_tree->Find(hashes[begin]);
        if (const auto failure = m_state->TakeReadFailure()) return Fail(*failure);
        if (known != nullptr && known->failed) {
            result.stopped = Refuse(What::kInvalid, Invalid::What::kConsensus, "duplicate-invalid",
                                    "the block or one before it is known to be invalid");
            break;
        }
        if (known != nullptr) {
            ++result.accepted;
            result.last = known;
            ++begin;
            continue;
        }
        // What builds on an unknown header is unknown.
        size_t end = begin + 1;
        while (end < headers.size() && headers[end].prev == hashes[end - 1]) ++end;
        RETURN_IF_ERROR(
            TakeRun(headers.subspan(begin, end - begin), std::span(hashes).subspan(begin, end - begin), now, result));
        begin = end;
    }
    return result;
}

std::optional<HeaderOutcome> ChainManager::RefuseFork(const HeaderNode* parent, UnixMillis now) const {
    const ForkLimits limits = Limits(IsCaughtUp(now));
    const HeaderNode* fork = ForkPoint(parent, tip());
    if (fork->state.slot < limits.oldest)
        return Refuse(What::kTooDeep, Invalid::What::kPolicy, "fork-too-deep",
                      "it forks off at slot " + ToString(fork->state.slot) + ", over " +
                          std::to_string(params().unbonding_slots) + " slots before the tip");
    if (fork->height() < limits.lowest)
        return Refuse(What::kTooDeep, Invalid::What::kPolicy, "fork-below-checkpoint",
                      "it forks off at height " + ToString(fork->height()) + ", below the checkpoint at " +
                          ToString(limits.lowest));
    return std::nullopt;
}

std::optional<HeaderOutcome> ChainManager::RefuseHeader(const BlockHeader& header, const BlockHash& hash,
                                                        UnixMillis now) const {
    const auto latest = params().SlotAt(now + kEarlyTolerance);
    if (!latest || header.slot > *latest)
        return Refuse(What::kPremature, Invalid::What::kPremature, "time-too-new",
                      "slot " + ToString(header.slot) + " lies in the future");
    for (const Checkpoint& checkpoint : m_checkpoints)
        if (header.height == checkpoint.height && hash != checkpoint.hash)
            return Refuse(What::kInvalid, Invalid::What::kConsensus, "bad-fork-checkpoint",
                          "the block at height " + ToString(checkpoint.height) + " has to be " + checkpoint.hash.Hex());
    return std::nullopt;
}

Status ChainManager::TakeRun(std::span<const BlockHeader> headers, std::span<const BlockHash> hashes, UnixMillis now,
                             HeadersResult& result) {
    const HeaderNode* parent = m_tree->Find(headers[0].prev);
    if (const auto failure = m_state->TakeReadFailure()) return Fail(*failure);
    if (parent == nullptr) {
        result.stopped = Refuse(What::kUnknownParent, Invalid::What::kMissingInputs, "prev-blk-not-found",
                                "the header before this one is not known");
        return {};
    }
    if (parent->failed) {
        result.stopped =
            Refuse(What::kInvalid, Invalid::What::kConsensus, "bad-prevblk", "a block before this one is invalid");
        return {};
    }
    if ((result.stopped = RefuseFork(parent, now))) return {};
    std::optional<HeaderOutcome> refused;
    size_t count = 0;
    while (count < headers.size() && !(refused = RefuseHeader(headers[count], hashes[count], now))) ++count;

    const HeaderState before = parent->state;  // lookups may end the life of the node
    ASSIGN_OR_RETURN(HeaderPipeline::Checked checked,
                     m_pipeline->Check(before, headers.subspan(0, count), hashes.subspan(0, count)));
    if (const auto failure = m_state->TakeReadFailure()) return Fail(*failure);
    result.stopped = checked.stopped ? std::move(checked.stopped) : std::move(refused);

    parent = m_tree->Find(before.hash);
    CHECK(parent != nullptr);
    const size_t within = CountWithinLimit(parent, headers, checked.states);
    if (within < checked.states.size()) {
        const BlockHeader& header = headers[within];
        result.stopped = Refuse(What::kEquivocation, Invalid::What::kPolicy, "equivocation",
                                "its staker made " + std::to_string(kMaxHeadersPerSlot) + " other headers for slot " +
                                    ToString(header.slot));
        checked.states.resize(within);
    }
    return StoreRun(headers, checked.states, result);
}

// An equivocator makes as many headers as it likes for a slot that it won: only those are kept that a branch better
// than the tip needs, by what was checked of it. The last of a branch is needed by nothing, unless it makes the branch
// the best that is known.
size_t ChainManager::CountWithinLimit(const HeaderNode* parent, std::span<const BlockHeader> headers,
                                      std::span<const HeaderState> states) const {
    const auto is_over = [&](size_t i) {
        return m_tree->CountOf(headers[i].staker, headers[i].slot) >= kMaxHeadersPerSlot;
    };
    size_t count = states.size();
    while (count > 0) {
        if (is_over(count - 1) && !WouldBeat(best_header(), parent, states.subspan(0, count))) {
            --count;
            continue;
        }
        size_t first_over = 0;
        while (first_over < count && !is_over(first_over)) ++first_over;
        if (first_over == count || WouldBeat(tip(), parent, states.subspan(0, count))) break;
        count = first_over;
    }
    return count;
}

bool ChainManager::WouldBeat(const HeaderNode* end, const HeaderNode* parent,
                             std::span<const HeaderState> states) const {
    const HeaderNode* fork = ForkPoint(parent, end);
    if (fork == end) return true;
    const Slot last = consensus::DensityWindowEnd(params(), fork->state.slot);
    uint32_t in_window = BlocksUpTo(parent, fork, last);
    for (const HeaderState& state : states) in_window += state.slot <= last ? 1 : 0;
    const consensus::Branch branches[] = {{end->state, BlocksUpTo(end, fork, last)}, {states.back(), in_window}};
    return consensus::BestBranch(params(), fork->state, branches) == 1;
}

Status ChainManager::StoreRun(std::span<const BlockHeader> headers, const std::vector<HeaderState>& states,
                              HeadersResult& result) {
    std::vector<const HeaderNode*> stored;
    for (size_t i = 0; i < states.size(); ++i) {
        ASSIGN_OR_RETURN(const HeaderNode* node, m_tree->AddChecked(headers[i], states[i]));
        stored.push_back(node);
        RETURN_IF_ERROR(NoteEquivocation(node));
    }
    size_t kept = 0;
    while (kept < stored.size()) {
        const HeaderNode* node = stored[kept];
        if (m_tree->CountOf(node->staker, node->state.slot) > kMaxBranchesPerSlot) {
            ASSIGN_OR_RETURN(const bool stays, m_tree->LimitSlot(node, m_state->NodesInUse()));
            if (!stays) {
                result.stopped = Refuse(
                    What::kEquivocation, Invalid::What::kPolicy, "equivocation",
                    "its staker made " + std::to_string(kMaxBranchesPerSlot) + " better branches in the same slot");
                break;
            }
        }
        ++kept;
    }
    result.accepted += kept;
    if (kept > 0) result.last = stored[kept - 1];
    for (size_t i = 0; i < kept; ++i)
        for (const Checkpoint& checkpoint : m_checkpoints)
            if (states[i].hash == checkpoint.hash) RETURN_IF_ERROR(EnforceCheckpoint(checkpoint));
    return {};
}

ForkLimits ChainManager::Limits(bool caught_up) const {
    ForkLimits limits;
    const Slot slot = tip()->state.slot;
    if (caught_up && slot.value > params().unbonding_slots) limits.oldest = Slot(slot.value - params().unbonding_slots);
    for (const Checkpoint& checkpoint : m_checkpoints) {
        if (checkpoint.height <= limits.lowest) continue;
        const HeaderNode* active = At(checkpoint.height);
        if (active != nullptr && active->hash() == checkpoint.hash) limits.lowest = checkpoint.height;
    }
    return limits;
}

Status ChainManager::EnforceCheckpoint(const Checkpoint& checkpoint) {
    if (checkpoint.height == Height(0)) {
        if (checkpoint.hash == m_genesis_hash) return {};
        return Fail("the checkpoint at height 0 is not this network's genesis block " + m_genesis_hash.Hex() +
                    ": choose the checkpoint of this network");
    }
    const auto condemn = [&](const HeaderNode* node) -> Status {
        LogWarning("chain", "block {} at height {} is refused: it does not lead through the checkpoint {} at height {}",
                   node->hash().Hex(), node->height().value, checkpoint.hash.Hex(), checkpoint.height.value);
        return m_tree->MarkInvalid(node->hash());
    };
    const HeaderNode* active = At(checkpoint.height);
    if (active != nullptr && active->hash() != checkpoint.hash && !active->failed) RETURN_IF_ERROR(condemn(active));
    const HeaderNode* known = m_tree->Find(checkpoint.hash);
    if (const auto failure = m_state->TakeReadFailure()) return Fail(*failure);
    if (known != nullptr && known->height() != checkpoint.height)
        return Fail("the checkpoint " + checkpoint.hash.Hex() + " has height " + ToString(known->height()) + ", not " +
                    ToString(checkpoint.height));
    std::vector<const HeaderNode*> ends;
    m_tree->ForEach([&](const HeaderNode& node) {
        if (node.children.empty() && !node.failed) ends.push_back(&node);
    });
    for (const HeaderNode* end : ends) {
        if (end->failed) continue;  // by now
        if (known == nullptr) {
            const HeaderNode* at = AncestorAt(end, checkpoint.height);
            if (at != nullptr && at != m_tree->root() && !at->buried) RETURN_IF_ERROR(condemn(at));
            continue;
        }
        const Height fork = ForkPoint(end, known)->height();
        if (fork < checkpoint.height && fork < end->height()) RETURN_IF_ERROR(condemn(AncestorAt(end, fork + 1)));
    }
    return {};
}

const HeaderNode* ChainManager::ActiveBefore(Slot slot) const {
    CHECK(slot > Slot(0));
    uint32_t low = 0;
    uint32_t high = tip()->height().value;
    while (low < high) {
        const uint32_t middle = low + (high - low + 1) / 2;
        const HeaderNode* node = At(Height(middle));
        if (node == nullptr) return nullptr;
        if (node->state.slot < slot) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return At(Height(low));
}

Status ChainManager::NoteEquivocation(const HeaderNode* node) {
    const Slot slot = node->state.slot;
    const StakerId staker = node->staker;
    const BlockHash hash = node->hash();
    // What the next block can still include (staker_rules.h).
    const Slot next = tip()->state.slot + 1;
    if (slot == Slot(0) || slot + params().unbonding_slots <= next || m_convicted.contains({slot, staker})) return {};
    std::vector<BlockHash> others;
    for (const HeaderNode* each : m_tree->HeadersOf(staker, slot))
        if (each->hash() != hash) others.push_back(each->hash());
    if (slot < m_tree->root()->state.slot) {
        const HeaderNode* before = ActiveBefore(slot);
        const HeaderNode* active = before != nullptr ? At(before->height() + 1) : nullptr;
        if (const auto failure = m_state->TakeReadFailure()) return Fail(*failure);
        if (active != nullptr && active->state.slot == slot && active->staker == staker && active->hash() != hash)
            others.push_back(active->hash());
    }
    if (others.empty()) return {};
    ASSIGN_OR_RETURN(BlockHeader header, m_tree->ReadHeader(hash));
    const Hash256 content = header.SigningHash(m_genesis_hash);
    for (const BlockHash& each : others) {
        ASSIGN_OR_RETURN(BlockHeader other, m_tree->ReadHeader(each));
        // One content signed twice is no fault.
        if (other.SigningHash(m_genesis_hash) == content) continue;
        Convict(std::move(header), std::move(other));
        break;
    }
    return {};
}

void ChainManager::Convict(BlockHeader first, BlockHeader second) {
    if (second.Hash() < first.Hash()) std::swap(first, second);
    while (!m_convicted.empty() && m_convicted.begin()->first + params().unbonding_slots <= tip()->state.slot)
        m_convicted.erase(m_convicted.begin());
    m_convicted.insert({first.slot, first.staker});
    LogWarning("chain", "staker {} made two headers for slot {}", first.staker.Hex(), first.slot.value);
    m_evidence.push_back({std::move(first), std::move(second)});
}

}  // namespace sluice::chain
