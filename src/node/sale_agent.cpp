#include "node/sale_agent.h"

#include <algorithm>

#include "primitives/script.h"
#include "util/log.h"

namespace sluice::node {

using consensus::Coin;
using consensus::PurchaseState;

namespace {

constexpr size_t kPurchasePage = 1000;
constexpr milliseconds kSyncPause{500};

std::optional<Record> RecordOf(const TxOutput& output) {
    const auto script = ParseOutputScript(output.script);
    if (!script || script->kind != OutputKind::kRecord) return std::nullopt;
    auto record = DecodeRecord(script->record);
    if (!record) return std::nullopt;
    return std::move(*record);
}

}  // namespace

// --- what there is to sell ---

void SaleAgent::Learn(const Transaction& tx) {
    if (!m_wallet.Exists()) return;
    const auto wallet = m_wallet.Get();
    for (uint32_t i = 0; i < tx.outputs().size(); ++i) {
        const auto record = RecordOf(tx.outputs()[i]);
        const auto* publish = record ? std::get_if<PublishRecord>(&*record) : nullptr;
        if (!publish || publish->free_key || !(*wallet)->Made(tx.txid())) continue;
        const ClaimId claim = publish->updates.value_or(consensus::MakeClaimId(tx.Output(i + 1)));
        SellerKey key =
            DeriveSellerKeys((*wallet)->ContentMasterKey(), m_chain.chain().genesis_hash(), claim, *publish);
        if (key.seller_key.XOnly() != publish->seller_key) continue;
        const auto added = m_store.Add(std::move(key));
        if (!added) LogError("sale", "{}", added.error().message);
    }
}

void SaleAgent::LearnFromWallet() {
    if (!m_wallet.Exists()) return;
    const auto wallet = m_wallet.Get();
    for (const auto& [anchor, record] : (*wallet)->MadePublishes()) {
        if (record.free_key) continue;
        const ClaimId claim = record.updates.value_or(consensus::MakeClaimId(anchor));
        SellerKey key = DeriveSellerKeys((*wallet)->ContentMasterKey(), m_chain.chain().genesis_hash(), claim, record);
        if (key.seller_key.XOnly() != record.seller_key) continue;
        const auto added = m_store.Add(std::move(key));
        if (!added) LogError("sale", "{}", added.error().message);
    }
}

Result<size_t> SaleAgent::ImportKeys(const std::string& path) {
    if (m_environment.is_private_file) {
        ASSIGN_OR_RETURN(const bool is_private, m_environment.is_private_file(path));
        if (!is_private)
            return Fail(path + " holds keys and other users can read it: 'chmod 600 " + path +
                        "', then import it again");
    }
    ASSIGN_OR_RETURN(const size_t changed, m_store.Import(path));
    Rescan();
    return changed;
}

// --- what waits ---

void SaleAgent::Rescan() {
    m_waiting.clear();
    m_by_depth.clear();
    m_ready.clear();
    m_ended.clear();
    m_ended_order.clear();
    m_grants.clear();
    LearnFromWallet();
    if (!m_policy.sells) return;
    for (const ClaimId& claim : m_store.Claims()) FindPurchasesOf(claim);
    LoadGrants();
    FollowGrants();
    GrantOnceSynced();
}

// Retired and superseded claims too: what was bought within their grace may be granted for as long as it is not
// refunded.
void SaleAgent::FindPurchasesOf(const ClaimId& claim) {
    const chain::ChainManager& chain = m_chain.chain();
    std::optional<chain::ChainPlace> after;
    BlockRef block;
    Height block_height;
    for (;;) {
        const auto page = chain.indexes().PurchasesOf(claim, after, kPurchasePage);
        if (!page || page->empty()) return;
        for (const chain::PurchaseEntry& entry : *page) {
            if (!chain.state().Get<PurchaseState>(entry.lock)) continue;
            if (!block || block_height != entry.place.height) {
                const auto read = chain.GetBlockAt(entry.place.height);
                block = read ? *read : nullptr;
                block_height = entry.place.height;
            }
            if (block && entry.place.tx_position < block->transactions.size())
                AddFrom(*block->transactions[entry.place.tx_position]);
        }
        after = page->back().place;
    }
}

void SaleAgent::OnTipChanged(const chain::TipChange& change) {
    for (const chain::ConnectedBlock& block : change.connected)
        for (const TransactionRef& tx : block.block->transactions) Learn(*tx);
    if (!m_policy.sells || m_store.empty()) return;
    std::set<OutPoint> touched;
    for (const auto* blocks : {&change.disconnected, &change.connected}) {
        for (const chain::ConnectedBlock& block : *blocks) {
            for (const TransactionRef& tx : block.block->transactions) {
                for (const TxInput& input : tx->inputs())
                    if (m_waiting.contains(input.prevout) || m_ended.contains(input.prevout))
                        touched.insert(input.prevout);
                if (blocks == &change.connected) continue;
                for (uint32_t i = 0; i < tx->outputs().size(); ++i)
                    if (m_waiting.contains(tx->Output(i))) touched.insert(tx->Output(i));
            }
        }
    }
    for (const chain::ConnectedBlock& block : change.connected)
        for (const TransactionRef& tx : block.block->transactions) AddFrom(*tx);
    for (const OutPoint& lock : touched) FollowLock(lock);
    if (!change.disconnected.empty()) LoadGrants();
    ForgetEnded();
    FollowGrants();
    GrantOnceSynced();
}

void SaleAgent::AddFrom(const Transaction& tx) {
    for (uint32_t i = 0; i + 1 < tx.outputs().size(); ++i) {
        const auto record = RecordOf(tx.outputs()[i]);
        const auto* purchase = record ? std::get_if<PurchaseRecord>(&*record) : nullptr;
        if (!purchase) continue;
        const OutPoint lock = tx.Output(i + 1);
        if (m_waiting.contains(lock)) {
            FollowLock(lock);
        } else if (auto sale = MakeSale(tx, i, *purchase)) {
            m_events.Publish("sale", lock.ToString(), "waiting");
            Place(lock, std::move(*sale));
        }
    }
}

std::optional<SaleAgent::Sale> SaleAgent::MakeSale(const Transaction& tx, uint32_t record_output,
                                                   const PurchaseRecord&) const {
    const OutPoint lock = tx.Output(record_output + 1);
    const auto terms = m_chain.chain().state().Get<PurchaseState>(lock);
    if (!terms) return std::nullopt;
    // Anyone can publish a copy of our record with another price or payout: that is another claim. A claim that was
    // given away has a new owner, who may name our keys and a payout script of his own: that is not one of ours.
    const SellerKey* keys = m_store.Find(terms->claim, terms->seller_key);
    if (!keys) return std::nullopt;
    Sale sale{{lock, tx.outputs()[record_output + 1], *terms}, {}, {}, {}};
    const auto usable = [&]() -> sluice::Status {
        if (!keys->Pays(terms->payout_script)) return Fail("it pays a script that did not come with the seller keys");
        if (keys->SecretOf(terms->tier).Public() != terms->key) return Fail("it is for a key that is not ours");
        const auto annex = consensus::FindAnnex(tx.inputs()[0].witness);
        if (!annex) return Fail("it has no annex");
        ASSIGN_OR_RETURN(sale.pre_signature, content::OpenPreSignature(*annex, keys->unseal_key));
        return content::VerifyPreSignature(sale.purchase, sale.pre_signature);
    }();
    if (usable) {
        SetRates(sale);
        return sale;
    }
    LogWarning("sale", "the purchase {} cannot be granted (its buyer gets the money back): {}", lock.ToString(),
               usable.error().message);
    return std::nullopt;
}

void SaleAgent::Place(const OutPoint& lock, Sale sale) {
    const auto coin = m_chain.chain().state().Get<Coin>(lock);
    if (!coin) return;
    const Height tip = m_chain.chain().tip()->height();
    sale.deep_at = coin->height + consensus::ConfirmationsFor(m_chain.params(), sale.purchase.terms.price) - 1;
    const Height refund = sale.purchase.terms.refund_height;
    m_by_depth.erase({m_waiting.contains(lock) ? m_waiting.at(lock).deep_at : sale.deep_at, lock});
    m_ready.erase({refund, lock});
    if (!sale.hopeless && !sale.grant) {
        if (sale.deep_at > tip)
            m_by_depth.emplace(sale.deep_at, lock);
        else
            m_ready.emplace(refund, lock);
    }
    m_waiting.insert_or_assign(lock, std::move(sale));
}

void SaleAgent::FollowLock(const OutPoint& touched) {
    const OutPoint lock = touched;
    const bool exists = m_chain.chain().state().Get<PurchaseState>(lock).has_value();
    const auto waiting = m_waiting.find(lock);
    const auto ended = m_ended.find(lock);
    if (exists && ended != m_ended.end()) {
        Sale sale = std::move(ended->second.sale);
        m_ended.erase(ended);
        sale.grant.reset();
        for (const auto& [txid, grant] : m_grants)
            if (std::find(grant.locks.begin(), grant.locks.end(), lock) != grant.locks.end()) sale.grant = txid;
        Place(lock, std::move(sale));
    } else if (exists && waiting != m_waiting.end()) {
        Place(lock, Sale(waiting->second));
    } else if (!exists && waiting != m_waiting.end()) {
        const Height tip = m_chain.chain().tip()->height();
        m_by_depth.erase({waiting->second.deep_at, lock});
        m_ready.erase({waiting->second.purchase.terms.refund_height, lock});
        m_ended.insert_or_assign(lock, Ended{std::move(waiting->second), tip});
        m_ended_order.emplace_back(tip, lock);
        m_waiting.erase(waiting);
    }
}

void SaleAgent::ForgetEnded() {
    const Height tip = m_chain.chain().tip()->height();
    while (!m_ended_order.empty() && tip - m_ended_order.front().first > int64_t{m_chain.params().k}) {
        const auto& [height, lock] = m_ended_order.front();
        const auto ended = m_ended.find(lock);
        if (ended != m_ended.end() && ended->second.height == height) m_ended.erase(ended);
        m_ended_order.pop_front();
    }
    const auto& index = m_chain.chain().indexes();
    for (auto it = m_store.grants().begin(); it != m_store.grants().end();) {
        const auto [txid, tx] = *it++;
        if (m_grants.contains(txid)) continue;
        const auto place = index.FindTx(txid);
        if (!place || (*place && tip - (*place)->height <= int64_t{m_chain.params().k})) continue;
        (void)m_store.EraseGrant(txid);
    }
}

// --- grants on their way ---

// What was sent before a restart. Each is sent again; if it is not possible any more, its purchases are granted anew.
void SaleAgent::LoadGrants() {
    const Height tip = m_chain.chain().tip()->height();
    for (const auto& [txid, tx] : m_store.grants()) {
        if (m_grants.contains(txid)) continue;
        PendingGrant grant{tx, {}, {}, tip, {}, false};
        uint64_t in = 0, out = 0;
        for (const TxInput& input : tx->inputs()) {
            const auto coin = m_chain.chain().state().Get<Coin>(input.prevout);
            if (coin) in += coin->output.value.drops;
            if (const auto sale = m_waiting.find(input.prevout); sale != m_waiting.end() && !sale->second.grant)
                grant.locks.push_back(input.prevout);
            else if (coin && coin->kind == consensus::CoinKind::kPlain)
                grant.coins.push_back(input.prevout);
        }
        if (grant.locks.empty()) continue;
        for (const TxOutput& output : tx->outputs()) {
            out += output.value.drops;
            if (const auto script = ParseOutputScript(output.script); script && script->kind == OutputKind::kRecord)
                out += consensus::RecordFee(m_chain.params(), script->record.size()).drops;
        }
        grant.paid_per_kvb = Amount(in > out ? (in - out) * 1'000 / tx->vsize() : 0);
        for (const OutPoint& lock : grant.locks) {
            Sale sale = m_waiting.at(lock);
            sale.grant = txid;
            sale.revealed = true;
            Place(lock, std::move(sale));
        }
        m_grants.emplace(txid, std::move(grant));
    }
}

bool SaleAgent::WasMined(const PendingGrant& grant) const {
    const auto place = m_chain.chain().indexes().FindTx(grant.tx->txid());
    return place && *place;
}

void SaleAgent::FollowGrants() {
    std::vector<Txid> over;
    std::vector<Txid> known;
    for (const auto& [txid, grant] : m_grants) known.push_back(txid);
    for (const Txid& txid : known) {
        const auto found = m_grants.find(txid);
        if (found == m_grants.end()) continue;  // replaced by one that was followed before it
        if (WasMined(found->second)) {
            m_granted += found->second.locks.size();
            m_grants.erase(found);
            continue;
        }
        FollowGrant(found->second);
        const auto after = m_grants.find(txid);
        if (after != m_grants.end() && after->second.failed) over.push_back(txid);
    }
    for (const Txid& txid : over) {
        const auto found = m_grants.find(txid);
        if (found != m_grants.end()) Release(txid, found->second);
    }
}

// Its purchases are granted anew, those that still can be.
void SaleAgent::Release(const Txid& released, PendingGrant& grant) {
    const Txid txid = released;
    for (const OutPoint& lock : grant.locks) {
        const auto waiting = m_waiting.find(lock);
        if (waiting == m_waiting.end() || waiting->second.grant != txid) continue;
        Sale sale = waiting->second;
        sale.grant.reset();
        Place(lock, std::move(sale));
    }
    m_grants.erase(txid);
    const sluice::Status erased = m_store.EraseGrant(txid);
    if (!erased) LogError("sale", "{}", erased.error().message);
}

void SaleAgent::FollowGrant(PendingGrant& grant) {
    const chain::Mempool& mempool = m_chain.chain().mempool();
    const Height tip = m_chain.chain().tip()->height();
    // One of its purchases was refunded, or granted by another node with the same keys: the others go on without it.
    const bool whole = std::all_of(grant.locks.begin(), grant.locks.end(),
                                   [&](const OutPoint& lock) { return m_waiting.contains(lock); });
    if (!whole) {
        grant.failed = true;
        return;
    }
    if (!mempool.Find(grant.tx->txid())) {
        const auto accepted = m_chain.Submit(grant.tx);
        using What = consensus::Invalid::What;
        if (!accepted && accepted.error().what != What::kPolicy && accepted.error().what != What::kPremature) {
            LogInfo("sale", "the grant {} is not possible any more: {}", grant.tx->txid().Hex(),
                    accepted.error().ToString());
            grant.failed = true;
            return;
        }
    }
    int64_t to_margin = INT64_MAX;
    for (const OutPoint& lock : grant.locks)
        to_margin = std::min(to_margin, m_waiting.at(lock).purchase.terms.refund_height - tip -
                                            int64_t{content::GrantMarginBlocks(m_chain.params())});
    const auto rate = content::NextGrantRate(
        {grant.paid_per_kvb, MarketRate(), static_cast<uint32_t>(std::max<int64_t>(tip - grant.since, 0)), to_margin});
    if (!rate) return;
    const PendingGrant replaced = grant;
    const std::vector<OutPoint> locks = grant.locks;
    if (Grant(locks, *rate, &replaced) == Outcome::kDone) return;
    // The most that the allowances and the policy pay, if that is more at all.
    const auto again = m_grants.find(replaced.tx->txid());
    if (again != m_grants.end()) again->second.since = tip;
}

// --- granting ---

void SaleAgent::GrantOnceSynced() {
    if (m_waiting.empty()) return;
    if (!m_chain.Syncing()) return GrantSome();
    if (std::exchange(m_waits_for_sync, true)) return;
    m_environment.chain_strand.PostAfter(kSyncPause, [this, alive = m_alive] {
        if (!*alive) return;
        m_waits_for_sync = false;
        GrantOnceSynced();
    });
}

void SaleAgent::GrantSome() {
    const Height tip = m_chain.chain().tip()->height();
    m_market = MarketRate();
    m_has_coins = m_wallet.Exists() && (*m_wallet.Get())->GetBalances().spendable > Amount(0);
    while (!m_by_depth.empty() && m_by_depth.begin()->first <= tip) {
        const OutPoint lock = m_by_depth.begin()->second;
        m_by_depth.erase(m_by_depth.begin());
        m_ready.emplace(m_waiting.at(lock).purchase.terms.refund_height, lock);
    }
    const std::vector<OutPoint> batch = TakeReady();
    if (batch.empty()) return;
    GrantOrSplit(batch);
    if (batch.size() < kMaxGrantedPurchases || std::exchange(m_granting, true)) return;
    m_environment.chain_strand.Post([this, alive = m_alive] {
        if (!*alive) return;
        m_granting = false;
        GrantSome();
    });
}

// The most urgent ones that pay their way now. What does not stays in m_ready for a later block.
std::vector<OutPoint> SaleAgent::TakeReady() {
    const chain::ChainManager& chain = m_chain.chain();
    const Height tip = chain.tip()->height();
    std::vector<OutPoint> batch, gone;
    for (const auto& [refund, lock] : m_ready) {
        if (batch.size() == kMaxGrantedPurchases) break;
        Sale& sale = m_waiting.at(lock);
        if (sale.tried_at == tip || chain.mempool().SpenderOf(lock)) continue;
        if (!sale.revealed && !content::MayGrant(chain.params(), sale.purchase, tip)) {
            LogWarning("sale", "the purchase {} is too near its refund height {} to be granted", lock.ToString(),
                       refund.value);
            sale.hopeless = true;
            gone.push_back(lock);
            continue;
        }
        if (!PaysItsWay(sale)) {
            if (!std::exchange(sale.told, true))
                LogWarning("sale", "the grant of {} waits: at {} drops per 1,000 vB its allowance does not pay for it",
                           lock.ToString(), m_market.drops);
            continue;
        }
        batch.push_back(lock);
    }
    for (const OutPoint& lock : gone) m_ready.erase({m_waiting.at(lock).purchase.terms.refund_height, lock});
    return batch;
}

void SaleAgent::SetRates(Sale& sale) const {
    const content::LockedPurchase* purchase = &sale.purchase;
    const std::span<const content::LockedPurchase* const> one(&purchase, 1);
    sale.pays_alone = content::MeasureGrant(m_chain.params(), one).HighestRate();
    // One more input and an output of change have to be paid too.
    const Amount limit(sale.purchase.terms.price.drops / 100 * m_policy.max_fee_percent_of_price);
    sale.pays_with_coins =
        content::MeasureGrant(m_chain.params(), one, 1, sale.purchase.terms.payout_script).HighestRate(limit);
}

bool SaleAgent::PaysItsWay(const Sale& sale) const {
    return m_market <= sale.pays_alone || (m_has_coins && m_market <= sale.pays_with_coins);
}

Amount SaleAgent::MayAdd(std::span<const OutPoint> locks) const {
    uint64_t prices = 0;
    for (const OutPoint& lock : locks) prices += m_waiting.at(lock).purchase.terms.price.drops;
    return Amount(prices / 100 * m_policy.max_fee_percent_of_price);
}

void SaleAgent::GrantOrSplit(std::span<const OutPoint> locks) {
    const Outcome outcome = Grant(locks, m_market, nullptr);
    if (outcome == Outcome::kDone) return;
    if (locks.size() == 1) {
        Sale& sale = m_waiting.at(locks[0]);
        sale.tried_at = m_chain.chain().tip()->height();
        if (outcome == Outcome::kLater) return;
        sale.hopeless = true;
        m_ready.erase({sale.purchase.terms.refund_height, locks[0]});
        return;
    }
    // One purchase that cannot be granted holds up no other.
    const size_t half = locks.size() / 2;
    GrantOrSplit(locks.first(half));
    GrantOrSplit(locks.subspan(half));
}

SaleAgent::Outcome SaleAgent::Grant(std::span<const OutPoint> locks, Amount fee_per_kvb, const PendingGrant* replaced) {
    std::vector<content::GrantItem> items;
    for (const OutPoint& lock : locks) {
        auto item = ItemOf(m_waiting.at(lock));
        if (!item) return Outcome::kLater;
        items.push_back(std::move(*item));
    }
    std::vector<OutPoint> coins;
    const auto grant = Build(items, fee_per_kvb, replaced, coins);
    if (!grant) {
        LogWarning("sale", "a grant of {} purchases waits: {}", items.size(), grant.error().message);
        const bool later = grant.error().kind == ErrorKind::kFunds || grant.error().kind == ErrorKind::kUnavailable;
        return later ? Outcome::kLater : Outcome::kNever;
    }
    const Txid txid = grant->tx.ComputeTxid();
    if (const sluice::Status sent = Send(*grant, coins); !sent) {
        LogWarning("sale", "a grant of {} purchases was not sent: {}", items.size(), sent.error().message);
        return Outcome::kLater;
    }
    if (replaced) {
        LogInfo("sale", "{} takes the place of the grant {}, for {} drops per 1,000 vB", txid.Hex(),
                replaced->tx->txid().Hex(), fee_per_kvb.drops);
        const Txid old = replaced->tx->txid();
        m_grants.erase(old);
        (void)m_store.EraseGrant(old);
    } else {
        LogInfo("sale", "granted {} purchases in {}", items.size(), txid.Hex());
    }
    const TransactionRef tx = MakeTransaction(grant->tx);
    PendingGrant pending{tx,
                         {locks.begin(), locks.end()},
                         Amount(grant->fee.drops * 1'000 / tx->vsize()),
                         m_chain.chain().tip()->height(),
                         std::move(coins),
                         false};
    for (const OutPoint& lock : locks) {
        Sale sale = m_waiting.at(lock);
        sale.grant = txid;
        sale.revealed = true;
        Place(lock, std::move(sale));
        m_events.Publish("grant", lock.ToString(), txid.Hex());
    }
    m_grants.insert_or_assign(txid, std::move(pending));
    return Outcome::kDone;
}

Result<content::Grant> SaleAgent::Build(const std::vector<content::GrantItem>& items, Amount fee_per_kvb,
                                        const PendingGrant* replaced, std::vector<OutPoint>& coins) {
    const consensus::Params& params = m_chain.params();
    const Height tip = m_chain.chain().tip()->height();
    std::vector<const content::LockedPurchase*> purchases;
    std::vector<OutPoint> locks;
    for (const content::GrantItem& item : items) {
        purchases.push_back(&item.purchase);
        locks.push_back(item.purchase.lock);
    }
    const bool funded_before = replaced && !replaced->coins.empty();
    const auto alone = content::MeasureGrant(params, purchases);
    // What is left of the allowances goes where the price goes: no address is used up for an output that is mostly not
    // made.
    const Script& payout = items[0].purchase.terms.payout_script;
    if (!funded_before && alone.LackAt(fee_per_kvb) == Amount(0))
        return content::BuildGrant(params, tip, items, payout, fee_per_kvb);
    const Amount limit = MayAdd(locks);
    // The most that the allowances pay, if relay takes it for a replacement.
    const Amount highest = alone.HighestRate();
    const Amount least_raise(replaced ? replaced->paid_per_kvb.drops + 1'000 + 125 : 0);
    const bool raises_alone = replaced && !funded_before && highest >= least_raise;
    if (m_wallet.Exists()) {
        ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
        const auto one = content::MeasureGrant(params, purchases, 1, payout);
        const auto two = content::MeasureGrant(params, purchases, 2, payout);
        const uint64_t each = (two.vsize - one.vsize) * fee_per_kvb.drops / 1'000 + 1;
        // Without the coins themselves, with room for the change.
        const uint64_t least = one.LackAt(fee_per_kvb).drops - std::min(one.LackAt(fee_per_kvb).drops, each) + 400;
        auto funds =
            wallet->ReserveForGrant(Amount(least), Amount(each), replaced ? replaced->coins : std::vector<OutPoint>{});
        if (funds) {
            const auto measure = content::MeasureGrant(params, purchases, funds->coins.size(), funds->change_script);
            // A grant that waits is raised as far as the policy lets it.
            const Amount most = replaced ? measure.HighestRate(limit) : fee_per_kvb;
            const Amount rate = std::min(fee_per_kvb, most);
            const bool allowed = measure.LackAt(rate) <= limit && (rate == fee_per_kvb || rate >= least_raise);
            if (allowed && (funded_before || rate > highest)) {
                auto grant = content::BuildGrant(params, tip, items, funds->change_script, rate, {funds->coins, {}});
                const sluice::Status is_signed =
                    grant ? wallet->SignGrant(grant->tx, grant->spent) : sluice::Status(Fail(grant.error()));
                if (!is_signed) {
                    wallet->Release(*funds);
                    return Fail(is_signed.error());
                }
                for (const auto& [outpoint, output] : funds->coins) coins.push_back(outpoint);
                return grant;
            }
            wallet->Release(*funds);
            if (!raises_alone)
                return Fail(ErrorKind::kFunds, "it would cost more than the policy's part of the price (-grantmaxfee)");
        } else if (!replaced) {
            return Fail(funds.error());
        }
    }
    if (raises_alone) return content::BuildGrant(params, tip, items, {}, highest);
    return Fail(ErrorKind::kFunds, "the allowances lack " + std::to_string(alone.LackAt(fee_per_kvb).drops) +
                                       " drops at " + std::to_string(fee_per_kvb.drops) +
                                       " per 1,000 vB, and this node has no coins to add");
}

// On disk first: after a crash the same transaction is sent again.
sluice::Status SaleAgent::Send(const content::Grant& grant, const std::vector<OutPoint>& coins) {
    const TransactionRef tx = MakeTransaction(grant.tx);
    RETURN_IF_ERROR(m_store.PutGrant(tx));
    sluice::Status sent;
    if (!coins.empty()) {
        const auto broadcast = m_wallet.Broadcast({tx, grant.fee, grant.burned, Amount(0)});
        if (!broadcast) sent = Fail(broadcast.error());
    } else if (const auto accepted = m_chain.Submit(tx); !accepted) {
        sent = Fail("it was refused by this node: " + accepted.error().ToString());
    }
    if (!sent) (void)m_store.EraseGrant(tx->txid());
    return sent;
}

Result<content::GrantItem> SaleAgent::ItemOf(const Sale& sale) const {
    const SellerKey* keys = m_store.Find(sale.purchase.terms.claim, sale.purchase.terms.seller_key);
    if (!keys) return Fail(ErrorKind::kNotFound, "the seller keys of the purchase are not here any more");
    return content::GrantItem{sale.purchase, sale.pre_signature, keys->SecretOf(sale.purchase.terms.tier),
                              keys->seller_key.Clone(), sale.revealed};
}

Amount SaleAgent::MarketRate() const {
    constexpr uint64_t kRoomOfBlock = 90'000;  // vB, of 100,000
    const chain::Mempool& mempool = m_chain.chain().mempool();
    uint64_t rate = std::max(m_policy.least_fee_per_kvb.drops, mempool.min_fee_per_kvb());
    if (mempool.total_vsize() <= kRoomOfBlock) return Amount(rate);
    std::vector<std::pair<uint64_t, size_t>> entries;
    for (const chain::MempoolEntry* entry : mempool.All()) {
        // Our own are no competition for us.
        if (!m_grants.contains(entry->tx->txid()))
            entries.emplace_back(entry->fee.drops * 1'000 / entry->vsize(), entry->vsize());
    }
    std::sort(entries.rbegin(), entries.rend());
    uint64_t filled = 0;
    for (const auto& [its_rate, vsize] : entries) {
        filled += vsize;
        if (filled <= kRoomOfBlock) continue;
        rate = std::max(rate, its_rate + its_rate / 10 + 1);
        break;
    }
    return Amount(rate);
}

SaleAgent::Status SaleAgent::GetStatus() const {
    Status status;
    status.titles = m_store.All().size();
    for (const auto& [txid, grant] : m_grants) status.granting += grant.locks.size();
    status.waiting = m_waiting.size() - std::min(m_waiting.size(), status.granting);
    status.grants = m_grants.size();
    status.granted = m_granted;
    status.market_per_kvb = MarketRate();
    status.sells = m_policy.sells;
    return status;
}

std::vector<Txid> SaleAgent::PendingGrants() const {
    std::vector<Txid> pending;
    for (const auto& [txid, grant] : m_grants) pending.push_back(txid);
    return pending;
}

}  // namespace sluice::node
