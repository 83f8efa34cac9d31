#include "node/chain_service.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "util/log.h"

namespace sluice::node {

using consensus::Invalid;

namespace {

// Reasons of invalid headers that say nothing of the header itself.
constexpr const char* kNotThePeersFault[] = {"bad-prevblk", "duplicate-invalid", "bad-fork-checkpoint"};

constexpr milliseconds kWakeAhead{1000};
constexpr milliseconds kLeastWake{5};

}  // namespace

p2p::HeadersResult PeerVerdict(const chain::HeadersResult& result, size_t signature_checks, size_t vrf_checks) {
    using What = chain::HeaderOutcome::What;
    using p2p::HeadersOutcome;
    p2p::HeadersResult verdict{HeadersOutcome::kAccepted, result.accepted, {}, signature_checks, vrf_checks};
    if (!result.stopped) return verdict;
    const Invalid& reason = result.stopped->reason;
    const auto is_ours = [&](const char* code) { return reason.code == code; };
    switch (result.stopped->what) {
        case What::kInvalid:
            if (std::any_of(std::begin(kNotThePeersFault), std::end(kNotThePeersFault), is_ours)) {
                verdict.outcome = HeadersOutcome::kNotWanted;
            } else {
                verdict.outcome = HeadersOutcome::kInvalid;
                verdict.reason = reason.ToString();
            }
            break;
        case What::kPremature:
            verdict.outcome = HeadersOutcome::kPremature;
            break;
        case What::kBeyondHorizon:
            verdict.outcome = HeadersOutcome::kBeyondHorizon;
            break;
        default:
            verdict.outcome = HeadersOutcome::kNotWanted;
            break;
    }
    return verdict;
}

ChainService::ChainService(const Environment& environment, std::unique_ptr<chain::ChainManager> chain,
                           PeerOutlet& peers, EventHub& events, OnFatal on_fatal)
    : m_environment(environment),
      m_chain(std::move(chain)),
      m_peers(peers),
      m_events(events),
      m_on_fatal(std::move(on_fatal)),
      m_sync(*this),
      m_moved_at(environment.clock.Monotonic()) {}

ChainService::~ChainService() { *m_alive = false; }

void ChainService::OnPeerReady(PeerId peer, Height best_height) {
    const Instant now = m_environment.clock.Monotonic();
    m_sync.OnPeerReady(peer, best_height, now);
    // Whoever was away, or lost its mempool, hears of what waits.
    for (const chain::MempoolEntry* entry : m_chain->mempool().All()) m_sync.AnnounceTo(peer, entry->tx, now);
    RunActions();
}

void ChainService::OnPeerGone(PeerId peer) {
    m_sync.OnPeerGone(peer, m_environment.clock.Monotonic());
    RunActions();
}

void ChainService::OnMessage(PeerId peer, p2p::MessageType type, ByteSpan payload) {
    m_sync.OnMessage(peer, type, payload, m_environment.clock.Monotonic());
    RunActions();
}

void ChainService::Tick() {
    const Instant now = m_environment.clock.Monotonic();
    if (m_wakes_at && now >= *m_wakes_at) m_wakes_at.reset();
    m_sync.Tick(now);
    RunActions();
}

void ChainService::WakeInTime() {
    const auto next = m_sync.NextWakeup();
    const Instant now = m_environment.clock.Monotonic();
    if (!next || *next - now > kWakeAhead || (m_wakes_at && *m_wakes_at <= *next)) return;
    const milliseconds delay = std::max(kLeastWake, std::chrono::ceil<milliseconds>(*next - now));
    m_wakes_at = now + delay;
    m_environment.chain_strand.PostAfter(delay, [this, alive = m_alive] {
        if (*alive) Tick();
    });
}

consensus::Verdict<chain::AcceptResult> ChainService::Submit(const TransactionRef& tx) {
    auto result = Accept(tx);
    if (!result) return result;
    m_sync.AnnounceTransaction(tx, m_environment.clock.Monotonic());
    for (const chain::RemovedTransaction& removed : result->removed)
        for (ChainListener* listener : m_listeners) listener->OnTransactionRemoved(removed);
    for (ChainListener* listener : m_listeners) listener->OnTransactionAccepted(tx);
    m_events.Publish("transaction", tx->txid().Hex(), "accepted");
    RunActions();
    return result;
}

consensus::Verdict<chain::AcceptResult> ChainService::Accept(const TransactionRef& tx, bool test_only) {
    auto accepted = m_chain->AcceptTransaction(tx, m_environment.clock.Now(), test_only);
    if (accepted) return std::move(*accepted);
    Fatal(accepted.error());
    return consensus::Reject(Invalid::What::kPolicy, "state-unreadable", accepted.error().message);
}

Result<chain::BlockResult> ChainService::SubmitBlock(const BlockRef& block) {
    auto result = m_chain->ProcessBlock(block, m_environment.clock.Now());
    if (!result) {
        Fatal(result.error());
        return result;
    }
    Publish(*result);
    RunActions();
    return result;
}

Result<chain::BlockResult> ChainService::Invalidate(const BlockHash& hash) {
    auto result = m_chain->InvalidateBlock(hash, m_environment.clock.Now());
    if (result) Publish(*result);
    RunActions();
    return result;
}

Result<chain::BlockResult> ChainService::Reconsider(const BlockHash& hash) {
    auto result = m_chain->ReconsiderBlock(hash, m_environment.clock.Now());
    if (result) Publish(*result);
    RunActions();
    return result;
}

bool ChainService::Syncing() const {
    if (!m_sync.Busy() || m_environment.clock.Monotonic() - m_moved_at > kSyncPatience) return false;
    const auto slot = params().SlotAt(m_environment.clock.Now());
    const uint64_t recent = kRecentBlocks * params().active_slots_denominator / params().active_slots_numerator;
    return slot && m_chain->tip()->state.slot + recent < *slot;
}

std::vector<p2p::SyncAction> ChainService::TakeActions() {
    std::vector<p2p::SyncAction> actions = std::exchange(m_not_sends, {});
    std::ranges::move(m_sync.TakeActions(), std::back_inserter(actions));
    return actions;
}

void ChainService::RunActions() {
    if (m_running_actions) return;  // a listener submitted something: the outer loop goes on
    m_running_actions = true;
    for (auto actions = TakeActions(); !actions.empty(); actions = TakeActions()) {
        // What could not be read counts as absent: nobody is judged by that.
        if (const auto failure = m_chain->TakeReadFailure()) {
            Fatal(*failure);
            break;
        }
        for (const p2p::SyncAction& action : actions) std::visit([&](const auto& typed) { Do(typed); }, action);
    }
    m_running_actions = false;
    WakeInTime();
}

void ChainService::Do(const p2p::SendAction& action) { m_peers.Send(action.peer, action.type, action.payload); }
void ChainService::Do(const p2p::MisbehavingAction& action) { m_peers.Misbehaving(action.peer, action.reason); }
void ChainService::Do(const p2p::DisconnectAction& action) { m_peers.Disconnect(action.peer, action.reason); }

void ChainService::Do(const p2p::ProcessHeadersAction& action) {
    const chain::HeaderWork& work = m_chain->header_work();
    const uint64_t signatures = work.signatures;
    const uint64_t vrf_proofs = work.vrf_proofs;
    const auto result = m_chain->ProcessHeaders(action.headers, m_environment.clock.Now());
    if (!result) return Fatal(result.error());
    m_sync.OnHeadersResult(action.peer,
                           PeerVerdict(*result, work.signatures - signatures, work.vrf_proofs - vrf_proofs),
                           m_environment.clock.Monotonic());
}

p2p::BlockOutcome ChainService::OutcomeOf(const Result<chain::BlockResult>& result, std::string& reason) {
    if (!result) return p2p::BlockOutcome::kFailed;
    if (result->what != chain::BlockResult::What::kNotTaken) return p2p::BlockOutcome::kAccepted;
    if (result->invalid) {
        reason = result->invalid->ToString();
        return result->invalid->what == Invalid::What::kMutatedBody ? p2p::BlockOutcome::kMutatedBody
                                                                    : p2p::BlockOutcome::kInvalid;
    }
    if (result->header && result->header->what == chain::HeaderOutcome::What::kInvalid) {
        reason = result->header->reason.ToString();
        return p2p::BlockOutcome::kInvalid;
    }
    return p2p::BlockOutcome::kFailed;
}

void ChainService::Do(const p2p::ProcessBlockAction& action) {
    const auto result = m_chain->ProcessBlock(action.block, m_environment.clock.Now());
    if (!result) Fatal(result.error());
    std::string reason;
    const p2p::BlockOutcome outcome = OutcomeOf(result, reason);
    m_sync.OnBlockResult(action.peer, action.hash, outcome, reason, m_environment.clock.Monotonic());
    if (result) Publish(*result);
}

void ChainService::Do(const p2p::ProcessTransactionAction& action) {
    const auto accepted = Accept(action.transaction);
    p2p::TransactionResult outcome;
    if (!accepted) {
        outcome.reason = accepted.error().ToString();
        switch (accepted.error().what) {
            case Invalid::What::kMissingInputs:
                outcome.outcome = p2p::TransactionOutcome::kMissingParents;
                for (const TxInput& input : action.transaction->inputs())
                    if (!m_chain->mempool().view().Get<consensus::Coin>(input.prevout))
                        outcome.missing_parents.push_back(input.prevout.txid);
                break;
            case Invalid::What::kConsensus:
                outcome.outcome = p2p::TransactionOutcome::kInvalid;
                break;
            default:
                outcome.outcome = p2p::TransactionOutcome::kRejected;
                break;
        }
    } else {
        for (const chain::RemovedTransaction& removed : accepted->removed)
            for (ChainListener* listener : m_listeners) listener->OnTransactionRemoved(removed);
        for (ChainListener* listener : m_listeners) listener->OnTransactionAccepted(action.transaction);
        m_events.Publish("transaction", action.transaction->txid().Hex(), "accepted");
    }
    m_sync.OnTransactionResult(action.peer, action.transaction, outcome, m_environment.clock.Monotonic());
}

void ChainService::Do(const p2p::ServeBlockAction& action) {
    const auto block = m_chain->GetBlock(action.hash);
    size_t bytes = 0;
    if (block && *block) {
        Bytes payload = (*block)->ToBytes();
        bytes = payload.size();
        m_peers.Send(action.peer, p2p::MessageType::kBlock, std::move(payload));
    } else {
        m_peers.Send(action.peer, p2p::MessageType::kBlockNotFound, Encode(p2p::BlockHashes{{action.hash}}));
    }
    m_sync.OnBlockServed(action.peer, bytes, m_environment.clock.Monotonic());
}

void ChainService::Publish(const chain::BlockResult& result) {
    if (result.change.Empty()) return;
    const chain::HeaderNode* tip = m_chain->tip();
    m_moved_at = m_environment.clock.Monotonic();
    if (!result.change.disconnected.empty())
        LogInfo("chain", "reorganisation: {} blocks left, {} joined", result.change.disconnected.size(),
                result.change.connected.size());
    LogInfo("chain", "tip {} height {} slot {} txs {}", tip->hash().Hex(), tip->height().value, tip->state.slot.value,
            result.change.connected.empty() ? 0 : result.change.connected.back().block->transactions.size());
    Announce(result.change);
    m_peers.SetBestHeight(tip->height());
    for (ChainListener* listener : m_listeners) listener->OnTipChanged(result.change);
    for (const chain::RemovedTransaction& removed : result.removed) {
        if (m_chain->mempool().Find(removed.tx->txid())) continue;  // a listener sent it again
        for (ChainListener* listener : m_listeners) listener->OnTransactionRemoved(removed);
    }
    m_events.Publish("tip", tip->hash().Hex(), std::to_string(tip->height().value));
    AnnounceReturned(result.change);
}

void ChainService::Announce(const chain::TipChange& change) {
    std::vector<BlockHeader> announce;
    if (m_chain->IsCaughtUp(m_environment.clock.Now()) || !Syncing()) {
        const size_t count = std::min(change.connected.size(), p2p::Sync::kMaxAnnouncedHeaders);
        for (size_t i = change.connected.size() - count; i < change.connected.size(); ++i)
            announce.push_back(change.connected[i].block->header);
    }
    const Block* const newest = announce.empty() ? nullptr : change.connected.back().block.get();
    m_sync.OnTipChanged(announce, m_environment.clock.Monotonic(), newest);
    // Peers do not wait for wallets, nor for whom they wake. All else does: they hear of this tip before the next one.
    for (p2p::SyncAction& action : TakeActions()) {
        if (const auto* send = std::get_if<p2p::SendAction>(&action)) {
            Do(*send);
        } else {
            m_not_sends.push_back(std::move(action));
        }
    }
}

// What a reorganisation gave back: peers that were on the new branch all the time never heard of it.
void ChainService::AnnounceReturned(const chain::TipChange& change) {
    for (const chain::ConnectedBlock& block : change.disconnected)
        for (const TransactionRef& tx : block.block->transactions)
            if (HaveTransaction(tx->wtxid())) m_sync.AnnounceTransaction(tx, m_environment.clock.Monotonic());
}

void ChainService::Fatal(const Error& error) {
    LogError("chain", "stopping: {}", error.message);
    m_on_fatal(error);
}

Height ChainService::BestHeaderHeight() const { return m_chain->best_header()->height(); }

milliseconds ChainService::UntilSlot(Slot slot) const {
    const UnixMillis now = m_environment.clock.Now();
    const consensus::Params& rules = params();
    constexpr milliseconds kFar = std::chrono::hours(1);
    // Far slots would overflow.
    const auto latest = rules.SlotAt(now + kFar);
    if (!latest || slot > *latest) return kFar;
    return std::chrono::duration_cast<milliseconds>(rules.SlotTime(slot) - now);
}

bool ChainService::HaveBlock(const BlockHash& hash) const {
    const chain::HeaderNode* node = m_chain->FindHeader(hash);
    return node && (node->has_body || node->failed);
}

std::vector<p2p::WantedBlock> ChainService::BlocksWanted(size_t limit) const {
    std::vector<p2p::WantedBlock> result;
    for (const chain::HeaderNode* node : m_chain->BlocksWanted(limit))
        result.push_back({node->hash(), node->height(), node->state.slot});
    return result;
}

std::vector<BlockHeader> ChainService::HeadersAfter(const std::vector<BlockHash>& locator, const BlockHash& stop,
                                                    size_t limit) const {
    auto headers = m_chain->headers().HeadersAfter(m_chain->tip(), locator, stop, limit);
    return headers ? std::move(*headers) : std::vector<BlockHeader>();
}

bool ChainService::HaveTransaction(const Wtxid& wtxid) const {
    return m_chain->mempool().FindByWtxid(wtxid) != nullptr;
}
TransactionRef ChainService::FindTransaction(const Wtxid& wtxid) const { return m_chain->mempool().GetForRelay(wtxid); }
TransactionRef ChainService::FindTransaction(const Txid& txid) const {
    const chain::MempoolEntry* entry = m_chain->mempool().Find(txid);
    return entry ? entry->tx : nullptr;
}

size_t ChainService::ReplayedBy(const Transaction& transaction) const {
    const chain::Mempool& pool = m_chain->mempool();
    const auto conflicts = [&](const TxInput& input) { return pool.SpenderOf(input.prevout).has_value(); };
    return std::any_of(transaction.inputs().begin(), transaction.inputs().end(), conflicts) ? pool.size() : 0;
}

}  // namespace sluice::node
