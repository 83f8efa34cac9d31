#include "node/sale_agent.h"

#include "util/log.h"

namespace sluice::node {

using consensus::PurchaseState;

namespace {
constexpr size_t kPurchasePage = 1000;
}

void SaleAgent::Rescan() {
    m_waiting.clear();
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
                if (block && *block && entry.place.tx_position < (*block)->transactions.size()) AddFrom(*(*block)->transactions[entry.place.tx_position]);
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
    std::erase_if(m_waiting, [&](const auto& entry) { return !m_chain.chain().state().Get<PurchaseState>(entry.first); });
    if (!m_chain.Syncing()) GrantReady();
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

std::optional<SaleAgent::Sale> SaleAgent::MakeSale(const Transaction& tx, uint32_t record_output, const PurchaseRecord& record) const {
    const OutPoint lock = tx.Output(record_output + 1);
    const auto terms = m_chain.chain().state().Get<PurchaseState>(lock);
    const auto publish = m_wallet.FindPublish(record.publish);
    const auto wallet = m_wallet.Get();
    if (!terms || !publish || !wallet) return std::nullopt;
    const BlockHash& genesis = m_chain.chain().genesis_hash();
    const Salt& salt = publish->record.title_salt;
    const content::MasterKey master = (*wallet)->ContentMasterKey();
    if (content::DeriveSellerKey(master, genesis, salt).XOnly() != terms->seller_key) return std::nullopt;
    Sale sale{{lock, tx.outputs()[record_output + 1], *terms}, {}, salt};
    const auto annex = consensus::FindAnnex(tx.inputs()[0].witness);
    if (!annex) return std::nullopt;
    const auto pre_signature = content::OpenPreSignature(*annex, content::DeriveUnsealKey(master, genesis, salt));
    Status usable = pre_signature ? content::VerifyPreSignature(sale.purchase, *pre_signature) : Status(Fail(pre_signature.error()));
    if (!usable) {
        LogWarning("sale", "the purchase {} cannot be granted (its buyer gets the money back): {}", lock.ToString(), usable.error().message);
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
    return content::GrantItem{sale.purchase, sale.pre_signature, std::move(secret), content::DeriveSellerKey(master, genesis, sale.title_salt)};
}

void SaleAgent::GrantReady() {
    const chain::ChainManager& chain = m_chain.chain();
    const Height tip = chain.tip()->height();
    std::vector<content::GrantItem> items;
    for (const auto& [lock, sale] : m_waiting) {
        if (items.size() == kMaxGrantedPurchases) break;
        const auto coin = chain.state().Get<consensus::Coin>(lock);
        if (!coin || chain.mempool().SpenderOf(lock) || !content::MayGrant(m_chain.params(), sale.purchase, tip)) continue;
        const int64_t depth = tip - coin->height + 1;
        if (depth < consensus::ConfirmationsFor(m_chain.params(), sale.purchase.terms.price)) continue;
        auto item = ItemOf(sale);
        if (item && item->secret.Public() == sale.purchase.terms.key) items.push_back(std::move(*item));
        else LogWarning("sale", "the key of purchase {} is not what the record promises", lock.ToString());
    }
    if (items.empty()) return;
    // What is left of the allowances goes where the price goes: no address is used up for an output that is mostly not made.
    const Script change = items[0].purchase.terms.payout_script;
    const auto grant = content::BuildGrant(m_chain.params(), tip, items, change, Amount(wallet::kMinFeePerKvb));
    if (!grant) return LogWarning("sale", "the grant of {} purchases waits: {}", items.size(), grant.error().message);
    const TransactionRef tx = MakeTransaction(grant->tx);
    const auto accepted = m_chain.Submit(tx);
    if (!accepted) return LogWarning("sale", "the grant was refused by this node: {}", accepted.error().ToString());
    LogInfo("sale", "granted {} purchases in {}", items.size(), tx->txid().Hex());
    for (const content::GrantItem& item : items) m_events.Publish("grant", item.purchase.lock.ToString(), tx->txid().Hex());
}

}  // namespace sluice::node
