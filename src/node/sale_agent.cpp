#include "node/sale_agent.h"

#include "util/log.h"

namespace sluice::node {

using consensus::PurchaseState;

namespace {
constexpr size_t kPurchasePage = 1000;
constexpr milliseconds kSyncPause{500};
}  // namespace

void SaleAgent::Rescan() {
    m_waiting.clear();
    m_ended.clear();
    const auto wallet = m_wallet.Get();
    if (!wallet) return;
    const chain::ChainManager& chain = m_chain.chain();
    for (const wallet::ClaimView& claim : (*wallet)->OwnClaims()) {
        std::optional<chain::ChainPlace> after;
        for (;;) {
            const auto page = chain.indexes().PurchasesOf(claim.claim, after, kPurchasePage);
            if (!page || page->empty()) break;
            for (const chain::PurchaseEntry& entry : *page) {
                if (!chain.state().Get<PurchaseState>(entry.lock)) continue;
                const auto block = chain.GetBlockAt(entry.place.height);
                if (block && *block && entry.place.tx_position < (*block)->transactions.size())
                    AddFrom(*(*block)->transactions[entry.place.tx_position]);
            }
            after = page->back().place;
        }
    }
    GrantReady();
}

void SaleAgent::OnTipChanged(const chain::TipChange& change) {
    if (!m_wallet.Exists()) return;
    for (const chain::ConnectedBlock& block : change.connected)
        for (const TransactionRef& tx : block.block->transactions) AddFrom(*tx);
    FollowLocks();
    GrantOnceSynced();
}

void SaleAgent::GrantOnceSynced() {
    if (!m_chain.Syncing()) return GrantReady();
    if (m_waiting.empty() || std::exchange(m_waits_for_sync, true)) return;
    m_environment.chain_strand.PostAfter(kSyncPause, [this, alive = m_alive] {
        if (!*alive) return;
        m_waits_for_sync = false;
        GrantOnceSynced();
    });
}

void SaleAgent::FollowLocks() {
    const chain::ChainManager& chain = m_chain.chain();
    const Height tip = chain.tip()->height();
    const auto waits = [&](const OutPoint& lock) { return chain.state().Get<PurchaseState>(lock).has_value(); };
    for (auto it = m_ended.begin(); it != m_ended.end();) {
        const bool back = waits(it->first);
        if (back) m_waiting.insert_or_assign(it->first, std::move(it->second.sale));
        it = back || tip - it->second.height > int64_t{m_chain.params().k} ? m_ended.erase(it) : std::next(it);
    }
    for (auto it = m_waiting.begin(); it != m_waiting.end();) {
        if (waits(it->first)) {
            ++it;
            continue;
        }
        m_ended.insert_or_assign(it->first, Ended{std::move(it->second), tip});
        it = m_waiting.erase(it);
    }
}

void SaleAgent::AddFrom(const Transaction& tx) {
    for (uint32_t i = 0; i < tx.outputs().size(); ++i) {
        const auto output = ParseOutputScript(tx.outputs()[i].script);
        if (!output || output->kind != OutputKind::kRecord) continue;
        const auto record = DecodeRecord(output->record);
        if (!record || !std::holds_alternative<PurchaseRecord>(*record)) continue;
        if (auto sale = MakeSale(tx, i, std::get<PurchaseRecord>(*record))) {
            const OutPoint lock = sale->purchase.lock;
            m_events.Publish("sale", lock.ToString(), "waiting");
            m_waiting.insert_or_assign(lock, std::move(*sale));
        }
    }
}

std::optional<SaleAgent::Sale> SaleAgent::MakeSale(const Transaction& tx, uint32_t record_output,
                                                   const PurchaseRecord& record) const {
    const OutPoint lock = tx.Output(record_output + 1);
    const auto terms = m_chain.chain().state().Get<PurchaseState>(lock);
    const auto publish = m_wallet.FindPublish(record.publish);
    const auto wallet = m_wallet.Get();
    // Anyone can publish a copy of our record with another price or payout: the terms are ours only if the transaction
    // that set them is.
    if (!terms || !publish || !wallet || !(*wallet)->Made(record.publish.txid)) return std::nullopt;
    const BlockHash& genesis = m_chain.chain().genesis_hash();
    const Salt& salt = publish->record.title_salt;
    const content::MasterKey master = (*wallet)->ContentMasterKey();
    if (content::DeriveSellerKey(master, genesis, salt).XOnly() != terms->seller_key) return std::nullopt;
    Sale sale{{lock, tx.outputs()[record_output + 1], *terms}, {}, salt};
    const auto annex = consensus::FindAnnex(tx.inputs()[0].witness);
    if (!annex) return std::nullopt;
    const auto pre_signature = content::OpenPreSignature(*annex, content::DeriveUnsealKey(master, genesis, salt));
    Status usable = pre_signature ? content::VerifyPreSignature(sale.purchase, *pre_signature)
                                  : Status(Fail(pre_signature.error()));
    if (!usable) {
        LogWarning("sale", "the purchase {} cannot be granted (its buyer gets the money back): {}", lock.ToString(),
                   usable.error().message);
        return std::nullopt;
    }
    sale.pre_signature = *pre_signature;
    return sale;
}

Result<content::GrantItem> SaleAgent::ItemOf(const Sale& sale) const {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    const BlockHash& genesis = m_chain.chain().genesis_hash();
    const content::MasterKey master = wallet->ContentMasterKey();
    crypto::SecretKey secret = content::DeriveTitleKey(master, genesis, sale.title_salt);
    if (const uint16_t tier = sale.purchase.terms.tier; tier > 0) secret = content::DeriveSegmentKey(secret, tier - 1u);
    return content::GrantItem{sale.purchase, sale.pre_signature, std::move(secret),
                              content::DeriveSellerKey(master, genesis, sale.title_salt)};
}

void SaleAgent::GrantReady() {
    const chain::ChainManager& chain = m_chain.chain();
    const Height tip = chain.tip()->height();
    std::vector<OutPoint> ready;
    for (const auto& [lock, sale] : m_waiting) {
        const auto coin = chain.state().Get<consensus::Coin>(lock);
        if (sale.hopeless || !coin || chain.mempool().SpenderOf(lock) ||
            !content::MayGrant(m_chain.params(), sale.purchase, tip))
            continue;
        const int64_t depth = tip - coin->height + 1;
        if (depth >= consensus::ConfirmationsFor(m_chain.params(), sale.purchase.terms.price)) ready.push_back(lock);
    }
    for (size_t first = 0; first < ready.size(); first += kMaxGrantedPurchases) {
        const auto batch =
            std::span<const OutPoint>(ready).subspan(first, std::min(kMaxGrantedPurchases, ready.size() - first));
        if (batch.size() > 1 && Grant(batch)) continue;
        // One purchase that cannot be granted holds up no other.
        for (const OutPoint& lock : batch) {
            const Status granted = Grant(std::span(&lock, 1));
            if (granted) continue;
            m_waiting.at(lock).hopeless =
                granted.error().kind == ErrorKind::kFunds || granted.error().kind == ErrorKind::kInvalid;
            LogWarning("sale", "the grant of {} waits: {}", lock.ToString(), granted.error().message);
        }
    }
}

Status SaleAgent::Grant(std::span<const OutPoint> locks) {
    std::vector<content::GrantItem> items;
    for (const OutPoint& lock : locks) {
        ASSIGN_OR_RETURN(content::GrantItem item, ItemOf(m_waiting.at(lock)));
        items.push_back(std::move(item));
    }
    // What is left of the allowances goes where the price goes: no address is used up for an output that is mostly not
    // made.
    const Script change = items[0].purchase.terms.payout_script;
    ASSIGN_OR_RETURN(const content::Grant grant, content::BuildGrant(m_chain.params(), m_chain.chain().tip()->height(),
                                                                     items, change, Amount(wallet::kMinFeePerKvb)));
    const TransactionRef tx = MakeTransaction(grant.tx);
    const auto accepted = m_chain.Submit(tx);
    if (!accepted) return Fail(ErrorKind::kUnavailable, "it was refused by this node: " + accepted.error().ToString());
    LogInfo("sale", "granted {} purchases in {}", items.size(), tx->txid().Hex());
    for (const OutPoint& lock : locks) m_events.Publish("grant", lock.ToString(), tx->txid().Hex());
    return {};
}

}  // namespace sluice::node
