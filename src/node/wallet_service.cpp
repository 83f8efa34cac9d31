#include "node/wallet_service.h"

#include <algorithm>
#include <set>

#include "consensus/rewards.h"
#include "primitives/record.h"
#include "util/log.h"

namespace sluice::node {

using wallet::PurchaseStatus;
using wallet::Wallet;

namespace {
constexpr size_t kWalletCacheBytes = 8 << 20;
constexpr size_t kFeedPage = 500;
}  // namespace

std::string_view PurchaseStatusName(PurchaseStatus status) {
    switch (status) {
        case PurchaseStatus::kUnconfirmed:
            return "unconfirmed";
        case PurchaseStatus::kPending:
            return "pending";
        case PurchaseStatus::kGranted:
            return "granted";
        case PurchaseStatus::kRefunded:
            return "refunded";
        case PurchaseStatus::kFailed:
            return "failed";
    }
    return "unknown";
}

Result<std::unique_ptr<WalletService>> WalletService::Open(const Environment& environment, ChainService& chain,
                                                           EventHub& events, const std::string& folder) {
    std::unique_ptr<WalletService> service(new WalletService(environment, chain, events));
    RETURN_IF_ERROR(environment.files.CreateDirectories(folder));
    ASSIGN_OR_RETURN(service->m_store, environment.files.OpenKeyValue(folder + "/store", kWalletCacheBytes));
    ASSIGN_OR_RETURN(const bool exists, Wallet::Exists(*service->m_store));
    if (exists) {
        ASSIGN_OR_RETURN(service->m_wallet,
                         Wallet::Load(*service->m_store, wallet::WalletNetwork::For(chain.chain().genesis()),
                                      service->Lookups(), environment.random));
        RETURN_IF_ERROR(service->CatchUp());
        service->Resubmit();
    }
    return service;
}

wallet::WalletLookups WalletService::Lookups() const {
    wallet::WalletLookups lookups;
    lookups.publish = [this](const OutPoint& anchor) { return FindPublish(anchor); };
    lookups.staker = [this](const StakerId& staker) {
        return m_chain.chain().state().Get<consensus::StakerState>(staker);
    };
    lookups.next_slot = [this] { return m_chain.chain().mempool().NextContext().slot; };
    lookups.accrued = [this](const consensus::Coin& coin, Epoch epoch) {
        return consensus::AccruedReward(m_chain.params(), m_chain.chain().state(), coin, epoch);
    };
    lookups.title_key_owner = [this](const PubKey& key) -> std::optional<ClaimId> {
        std::optional<chain::ChainPlace> before;
        for (;;) {
            const auto page = m_chain.chain().indexes().Feed(before, kFeedPage);
            if (!page || page->empty()) return std::nullopt;
            for (const chain::PublishEntry& entry : *page) {
                const auto claim = m_chain.chain().state().Get<consensus::ClaimState>(entry.claim);
                if (!claim || claim->anchor != entry.anchor) continue;
                const auto publish = m_chain.chain().state().Get<consensus::PublishState>(entry.anchor);
                if (publish && publish->Decoded().title_key == key) return entry.claim;
            }
            before = page->back().place;
        }
    };
    return lookups;
}

std::optional<wallet::WalletLookups::Publish> WalletService::FindPublish(const OutPoint& anchor) const {
    const chain::ChainManager& chain = m_chain.chain();
    if (const auto state = chain.state().Get<consensus::PublishState>(anchor))
        return wallet::WalletLookups::Publish{state->claim, state->Decoded()};
    const auto entry = chain.indexes().FindPublish(anchor);
    if (!entry || !*entry || anchor.index == 0) return std::nullopt;
    const auto block = chain.GetBlockAt((*entry)->place.height);
    if (!block || !*block || (*entry)->place.tx_position >= (*block)->transactions.size()) return std::nullopt;
    const Transaction& tx = *(*block)->transactions[(*entry)->place.tx_position];
    if (anchor.index > tx.outputs().size()) return std::nullopt;
    const auto output = ParseOutputScript(tx.outputs()[anchor.index - 1].script);
    if (!output || output->kind != OutputKind::kRecord) return std::nullopt;
    const auto record = DecodeRecord(output->record);
    if (!record || !std::holds_alternative<PublishRecord>(*record)) return std::nullopt;
    return wallet::WalletLookups::Publish{(*entry)->claim, std::get<PublishRecord>(*record)};
}

Result<std::string> WalletService::Create() {
    if (m_wallet) return Fail("this node has a wallet already: its phrase was shown when it was made");
    const chain::HeaderNode* tip = m_chain.chain().tip();
    ASSIGN_OR_RETURN(Wallet::Created created,
                     Wallet::Create(*m_store, wallet::WalletNetwork::For(m_chain.chain().genesis()), Lookups(),
                                    m_environment.random, 24, wallet::ScanCursor{tip->hash(), tip->height()}));
    m_wallet = std::move(created.wallet);
    m_events.Publish("wallet", "", "created");
    return created.phrase.text();
}

Status WalletService::Restore(std::string_view phrase) {
    if (m_wallet) return Fail("this node has a wallet already: restore into a new data directory");
    ASSIGN_OR_RETURN(m_wallet, Wallet::Restore(*m_store, wallet::WalletNetwork::For(m_chain.chain().genesis()),
                                               Lookups(), m_environment.random, phrase));
    RETURN_IF_ERROR(CatchUp());
    Resubmit();
    m_events.Publish("wallet", "", "restored");
    return {};
}

Result<Wallet*> WalletService::Get() const {
    if (!m_wallet)
        return Fail(
            ErrorKind::kNotFound,
            "this node has no wallet yet: make one with 'createwallet', or bring one back with 'restorewallet'");
    return m_wallet.get();
}

Result<Txid> WalletService::Broadcast(const wallet::BuiltTransaction& built) {
    ASSIGN_OR_RETURN(Wallet * wallet, Get());
    // What a replacement takes the place of; the wallet forgets it on Commit.
    std::vector<TransactionRef> waiting;
    for (const TransactionRef& tx : wallet->UnconfirmedTransactions())
        if (m_chain.chain().mempool().Find(tx->txid())) waiting.push_back(tx);
    if (const Status committed = wallet->Commit(built); !committed) {
        // Rationale: it was not sent, so it must not be sent after a restart either: its sender may have tried again.
        Log(wallet->RemoveUnconfirmed(built.tx->txid()));
        Log(committed);
        return Fail(committed.error());
    }
    const auto accepted = m_chain.Submit(built.tx);
    if (!accepted) {
        Log(wallet->RemoveUnconfirmed(built.tx->txid()));
        for (const TransactionRef& tx : waiting) Log(wallet->AddUnconfirmed(tx));
        return Fail("the transaction was refused by this node: " + accepted.error().ToString());
    }
    return built.tx->txid();
}

void WalletService::Resubmit() {
    using What = consensus::Invalid::What;
    std::set<Txid> waiting;  // valid, but not taken now: full mempool, lock time
    for (const TransactionRef& tx : m_wallet->UnconfirmedTransactions()) {
        if (m_chain.chain().mempool().Find(tx->txid())) continue;
        const auto accepted = m_chain.Submit(tx);
        if (accepted) continue;
        if (accepted.error().code == "accrued-as-fee") {
            Reclaim(tx->txid());
            continue;
        }
        const What what = accepted.error().what;
        const bool parent_waits = std::any_of(tx->inputs().begin(), tx->inputs().end(), [&](const TxInput& input) {
            return waiting.contains(input.prevout.txid);
        });
        if (what == What::kPolicy || what == What::kPremature || (what == What::kMissingInputs && parent_waits)) {
            waiting.insert(tx->txid());
            continue;
        }
        LogInfo("wallet", "transaction {} is not valid any more: {}", tx->txid().Hex(), accepted.error().ToString());
        Log(m_wallet->RemoveUnconfirmed(tx->txid()));
    }
}

void WalletService::Reclaim(const Txid& txid) {
    const auto sent = [&]() -> Result<Txid> {
        ASSIGN_OR_RETURN(const wallet::BuiltTransaction built, m_wallet->BuildReclaim(txid));
        return Broadcast(built);
    }();
    if (sent)
        LogInfo("wallet", "{} takes the place of {}, to claim what stake has earned since", sent->Hex(), txid.Hex());
    else
        LogWarning("wallet", "transaction {} waits, as it would give away what its stake has earned: {}", txid.Hex(),
                   sent.error().message);
}

Status WalletService::CatchUp() {
    chain::ChainManager& chain = m_chain.chain();
    while (m_wallet->cursor()) {
        const chain::HeaderNode* seen = chain.FindHeader(m_wallet->cursor()->hash);
        if (!seen) {
            LogWarning("wallet", "the newest block that the wallet has seen is not known: scanning again");
            RETURN_IF_ERROR(m_wallet->RestartScan());
            break;
        }
        if (chain.IsActive(seen)) break;
        ASSIGN_OR_RETURN(const BlockRef block, chain.GetBlock(seen->hash()));
        if (!block) {
            RETURN_IF_ERROR(m_wallet->RestartScan());
            break;
        }
        RETURN_IF_ERROR(m_wallet->DisconnectBlock(*block));
    }
    Height next = m_wallet->cursor() ? m_wallet->cursor()->height + 1 : Height(0);
    for (; next <= chain.tip()->height(); ++next) {
        Block genesis;
        BlockRef block;
        if (next == Height(0)) {
            genesis = chain.genesis().MakeBlock();
            RETURN_IF_ERROR(m_wallet->ConnectBlock(genesis));
            continue;
        }
        ASSIGN_OR_RETURN(block, chain.GetBlockAt(next));
        if (!block)
            return Fail(ErrorKind::kEnvironment,
                        "block " + ToString(next) + " cannot be read: the wallet cannot be scanned");
        RETURN_IF_ERROR(m_wallet->ConnectBlock(*block));
        if (next.value % 10'000 == 0)
            LogInfo("wallet", "scanned up to height {} of {}", next.value, chain.tip()->height().value);
    }
    PublishPurchases();
    return {};
}

void WalletService::OnTipChanged(const chain::TipChange& change) {
    if (!m_wallet) return;
    const Status done = [&]() -> Status {
        for (const chain::ConnectedBlock& block : change.disconnected)
            RETURN_IF_ERROR(m_wallet->DisconnectBlock(*block.block));
        for (const chain::ConnectedBlock& block : change.connected)
            RETURN_IF_ERROR(m_wallet->ConnectBlock(*block.block));
        return {};
    }();
    if (!done) {
        LogWarning("wallet", "{}: catching up", done.error().message);
        Log(CatchUp());
    }
    if (!m_chain.Syncing()) Resubmit();
    PublishPurchases();
}

void WalletService::OnTransactionAccepted(const TransactionRef& tx) {
    if (!m_wallet) return;
    Log(m_wallet->AddUnconfirmed(tx));
    PublishPurchases();
}

void WalletService::OnTransactionRemoved(const chain::RemovedTransaction& removed) {
    using Why = chain::RemovedTransaction::Why;
    // What the mempool only had no room for is still valid, and others may have it: forgotten, its coins would be spent
    // once more. It is sent again with the next block.
    // What would give away its stake's rewards is built again then.
    if (!m_wallet || removed.why == Why::kMined || removed.why == Why::kEvicted || removed.why == Why::kExpired ||
        removed.why == Why::kAccrued)
        return;
    Log(m_wallet->RemoveUnconfirmed(removed.tx->txid()));
}

void WalletService::PublishPurchases() {
    for (const auto& [lock, purchase] : m_wallet->Purchases()) {
        const auto [seen, added] = m_seen_purchases.emplace(lock, purchase.status);
        if (!added && seen->second == purchase.status) continue;
        seen->second = purchase.status;
        m_events.Publish("purchase", lock.ToString(), std::string(PurchaseStatusName(purchase.status)));
        LogInfo("sale", "our purchase {} is {}", lock.ToString(), PurchaseStatusName(purchase.status));
    }
}

void WalletService::Log(const Status& status) const {
    if (status) return;
    LogError("wallet", "{}", status.error().message);
    if (status.error().kind == ErrorKind::kEnvironment && m_on_fatal) m_on_fatal(status.error());
}

}  // namespace sluice::node
