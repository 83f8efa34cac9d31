#include "p2p/sync.h"

#include "p2p/block_relay.h"
#include "p2p/transaction_relay.h"

namespace sluice::p2p {

struct Sync::Impl {
    explicit Impl(const SyncView& view) : blocks(view, actions), transactions(view, actions) {}
    std::vector<SyncAction> actions;
    BlockRelay blocks;
    TransactionRelay transactions;
};

Sync::Sync(const SyncView& view) : m_impl(std::make_unique<Impl>(view)) {}
Sync::~Sync() = default;

void Sync::OnPeerReady(PeerId peer, Height best_height, Instant now) {
    m_impl->transactions.OnPeerReady(peer, now);
    m_impl->blocks.OnPeerReady(peer, best_height, now);
}

void Sync::OnPeerGone(PeerId peer, Instant now) {
    m_impl->transactions.OnPeerGone(peer, now);
    m_impl->blocks.OnPeerGone(peer, now);
}

bool Sync::OnMessage(PeerId peer, MessageType type, ByteSpan payload, Instant now) {
    switch (type) {
        case MessageType::kGetHeaders:
            m_impl->blocks.OnGetHeaders(peer, payload, now);
            return true;
        case MessageType::kHeaders:
            m_impl->blocks.OnHeaders(peer, payload, now);
            return true;
        case MessageType::kGetBlocks:
            m_impl->blocks.OnGetBlocks(peer, payload, now);
            return true;
        case MessageType::kBlock:
            m_impl->blocks.OnBlock(peer, payload, now);
            return true;
        case MessageType::kFreshBlock:
            m_impl->blocks.OnFreshBlock(peer, payload, now);
            return true;
        case MessageType::kBlockNotFound:
            m_impl->blocks.OnBlockNotFound(peer, payload, now);
            return true;
        case MessageType::kTxInventory:
            m_impl->transactions.OnInventory(peer, payload, now);
            return true;
        case MessageType::kGetTransactions:
            m_impl->transactions.OnGetTransactions(peer, payload);
            return true;
        case MessageType::kGetParents:
            m_impl->transactions.OnGetParents(peer, payload);
            return true;
        case MessageType::kTransaction:
            m_impl->transactions.OnTransaction(peer, payload, now);
            return true;
        case MessageType::kTxNotFound:
            m_impl->transactions.OnNotFound(peer, payload, now);
            return true;
        default:
            return false;
    }
}

void Sync::OnHeadersResult(PeerId peer, const HeadersResult& result, Instant now) {
    m_impl->blocks.OnHeadersResult(peer, result, now);
}

void Sync::OnBlockResult(PeerId peer, const BlockHash& hash, BlockOutcome outcome, const std::string& reason,
                         Instant now) {
    m_impl->blocks.OnBlockResult(peer, hash, outcome, reason, now);
}

void Sync::OnTransactionResult(PeerId peer, const TransactionRef& transaction, const TransactionResult& result,
                               Instant now) {
    m_impl->transactions.OnResult(peer, transaction, result, now);
}

void Sync::OnBlockServed(PeerId peer, size_t bytes, Instant now) { m_impl->blocks.OnBlockServed(peer, bytes, now); }

void Sync::OnTipChanged(const std::vector<BlockHeader>& announce, Instant now, const Block* newest) {
    m_impl->blocks.OnTipChanged(announce, newest, now);
    m_impl->transactions.OnTipChanged(now);
}

void Sync::AnnounceTransaction(const TransactionRef& transaction, Instant now) {
    m_impl->transactions.Announce(transaction->wtxid(), now);
}

void Sync::AnnounceTo(PeerId peer, const TransactionRef& transaction, Instant now) {
    m_impl->transactions.AnnounceTo(peer, transaction->wtxid(), now);
}

void Sync::Tick(Instant now) {
    m_impl->blocks.Tick(now);
    m_impl->transactions.Tick(now);
}

std::optional<Instant> Sync::NextWakeup() const {
    const Instant next = std::min(m_impl->blocks.NextWakeup(), m_impl->transactions.NextWakeup());
    return next == Instant::max() ? std::nullopt : std::optional(next);
}

std::vector<SyncAction> Sync::TakeActions() { return std::exchange(m_impl->actions, {}); }

bool Sync::Busy() const { return m_impl->blocks.Busy(); }
size_t Sync::BlocksInFlight() const { return m_impl->blocks.InFlight(); }
size_t Sync::HeadersHeld() const { return m_impl->blocks.HeadersHeld(); }
size_t Sync::OrphanCount() const { return m_impl->transactions.OrphanCount(); }

}  // namespace sluice::p2p
