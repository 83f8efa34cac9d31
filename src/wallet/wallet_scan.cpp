#include <fmt/format.h>

#include "consensus/staker_rules.h"
#include "primitives/script.h"
#include "wallet/wallet.h"

// What the chain and the mempool tell a wallet.

namespace sluice::wallet {
namespace {

using consensus::CoinKind;

TransactionRef DecodeStored(const OwnedTransaction& stored) {
    auto tx = MutableTransaction::FromBytes(stored.raw);
    CHECK(tx.has_value());  // we wrote it
    return MakeTransaction(std::move(*tx));
}

std::optional<Record> RecordAt(const Transaction& tx, uint32_t index) {
    const auto script = ParseOutputScript(tx.outputs()[index].script);
    if (!script || script->kind != OutputKind::kRecord) return std::nullopt;
    auto record = DecodeRecord(script->record);
    if (!record) return std::nullopt;
    return std::move(*record);
}

// The witness with which `tx` spends `outpoint`, without its annex.
WitnessStack WitnessOf(const Transaction& tx, const OutPoint& outpoint) {
    for (const TxInput& input : tx.inputs()) {
        if (input.prevout != outpoint) continue;
        WitnessStack witness = input.witness;
        if (consensus::FindAnnex(witness)) witness.pop_back();
        return witness;
    }
    return {};
}

}  // namespace

Status Wallet::ConnectBlock(const Block& block) {
    const BlockHash hash = block.header.Hash();
    if (cursor() ? block.header.prev != cursor()->hash : hash != m_network.genesis)
        return Fail(fmt::format("block {} of height {} does not follow the wallet's newest block {}", hash.Hex(),
                                ToString(block.header.height), cursor() ? cursor()->hash.Hex() : "(none)"));
    Placement placement{ScanCursor{hash, block.header.height}, block.header.slot, 0};
    bool ours = false;
    for (const TransactionRef& tx : block.transactions) {
        ours |= AddTransaction(tx, placement);
        AddGifts(*tx, *placement.block);
        ++placement.position;
    }
    WalletStore::Meta meta = m_store.meta();
    meta.cursor = placement.block;
    m_store.SetMeta(std::move(meta));
    // A block without anything of ours may be scanned again; so are gifts.
    return m_store.Flush(ours);
}

Status Wallet::DisconnectBlock(const Block& block) {
    const BlockHash hash = block.header.Hash();
    if (!cursor() || hash != cursor()->hash || block.header.height == Height(0))
        return Fail("block " + hash.Hex() + " is not the wallet's newest block");
    for (auto tx = block.transactions.rbegin(); tx != block.transactions.rend(); ++tx) {
        const Txid& txid = (*tx)->txid();
        for (uint32_t i = 0; i < (*tx)->outputs().size(); ++i)
            if (m_store.gifts().contains((*tx)->Output(i))) m_store.EraseGift((*tx)->Output(i));
        const auto found = m_store.transactions().find(txid);
        if (found == m_store.transactions().end()) continue;
        if ((*tx)->IsCoinbase()) {
            RemoveTransaction(txid);
            continue;
        }
        AddTransaction(*tx, {});
    }
    WalletStore::Meta meta = m_store.meta();
    meta.cursor = ScanCursor{block.header.prev, block.header.height - 1};
    m_store.SetMeta(std::move(meta));
    return m_store.Flush(true);
}

Status Wallet::AddUnconfirmed(const TransactionRef& tx) {
    if (m_store.transactions().contains(tx->txid())) return {};
    for (const TxInput& input : tx->inputs()) {
        const auto coin = m_store.coins().find(input.prevout);
        if (coin == m_store.coins().end() || !coin->second.spent_by) continue;
        if (m_store.transactions().at(*coin->second.spent_by).block)
            return {};  // spent in a block: it can never be mined
    }
    AddTransaction(tx, {});
    return m_store.Flush(true);
}

Status Wallet::RemoveUnconfirmed(const Txid& txid) {
    const auto found = m_store.transactions().find(txid);
    if (found == m_store.transactions().end() || found->second.block) return {};
    RemoveTransaction(txid);
    return m_store.Flush(true);
}

std::vector<TransactionRef> Wallet::UnconfirmedTransactions() const {
    std::vector<std::pair<uint32_t, TransactionRef>> found;
    for (const auto& [txid, stored] : m_store.transactions())
        if (!stored.block) found.emplace_back(stored.position, DecodeStored(stored));
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    // A reorganisation gives the numbers from the newest down: parents go before their children.
    std::vector<TransactionRef> ordered;
    std::set<Txid> waiting, placed;
    for (const auto& [position, tx] : found) waiting.insert(tx->txid());
    for (bool progress = true; progress;) {
        progress = false;
        for (const auto& [position, tx] : found) {
            if (placed.contains(tx->txid())) continue;
            const bool ready = std::none_of(tx->inputs().begin(), tx->inputs().end(), [&](const TxInput& input) {
                return waiting.contains(input.prevout.txid) && !placed.contains(input.prevout.txid);
            });
            if (!ready) continue;
            ordered.push_back(tx);
            placed.insert(tx->txid());
            progress = true;
        }
    }
    return ordered;
}

Status Wallet::RestartScan() {
    m_store.ForgetChain();
    m_reserved.clear();
    return m_store.Flush(true);
}

Status Wallet::RetryPurchases() {
    std::vector<OutPoint> retry;
    for (const auto& [lock, purchase] : m_store.purchases())
        if (!purchase.terms || purchase.status == PurchaseStatus::kFailed) retry.push_back(lock);
    for (const OutPoint& lock : retry) RefreshLock(lock);
    return m_store.Flush(true);
}

bool Wallet::AddTransaction(const TransactionRef& tx, const Placement& placement) {
    const auto own = FindOwnOutputs(*tx, placement);
    const bool spends = std::any_of(tx->inputs().begin(), tx->inputs().end(),
                                    [&](const TxInput& input) { return m_store.coins().contains(input.prevout); });
    if (own.empty() && !spends) return false;
    RemoveConflicts(*tx);
    for (const auto& [index, coin] : own) {
        m_store.PutCoin(tx->Output(index), coin);
        if (coin.key) MarkUsed(*coin.key);
    }
    OwnedTransaction stored{tx->tx().ToBytes(), placement.block, placement.position, placement.slot};
    if (!placement.block) {
        WalletStore::Meta meta = m_store.meta();
        stored.position = meta.sequence++;
        m_store.SetMeta(std::move(meta));
    }
    m_store.PutTransaction(tx->txid(), std::move(stored));
    SpendInputs(*tx);
    for (const auto& [index, coin] : own) RefreshLock(tx->Output(index));
    return true;
}

void Wallet::SpendInputs(const Transaction& tx) {
    for (const TxInput& input : tx.inputs()) {
        const auto found = m_store.coins().find(input.prevout);
        if (found == m_store.coins().end()) continue;
        OwnedCoin coin = found->second;
        coin.spent_by = tx.txid();
        m_store.PutCoin(input.prevout, std::move(coin));
        m_reserved.erase(input.prevout);
        if (m_store.locked().contains(input.prevout)) m_store.SetLocked(input.prevout, false);
        RefreshLock(input.prevout);
    }
}

std::map<uint32_t, OwnedCoin> Wallet::FindOwnOutputs(const Transaction& tx, const Placement& placement) {
    std::map<uint32_t, OwnedCoin> own;
    OwnedCoin base;
    base.first_input = tx.inputs()[0].prevout;
    if (placement.block) base.height = placement.block->height;
    base.coinbase =
        tx.IsCoinbase() && placement.block && placement.block->height != Height(0);  // genesis coins are mature
    // A settlement of a channel of ours is its payee's: he may replace it, and nothing may be built on it before it is
    // in a block.
    base.trusted = !tx.IsCoinbase() && std::all_of(tx.inputs().begin(), tx.inputs().end(), [&](const TxInput& input) {
        constexpr size_t kPayWitnessItems = 4;
        const auto coin = m_store.coins().find(input.prevout);
        return coin != m_store.coins().end() &&
               (coin->second.kind != CoinKind::kChannel || input.witness.size() != kPayWitnessItems);
    });
    for (uint32_t i = 0; i < tx.outputs().size(); ++i) {
        const auto script = ParseOutputScript(tx.outputs()[i].script);
        if (!script || script->kind == OutputKind::kRecord) continue;
        const auto key = m_keychain.Find(script->key);
        if (!key) continue;
        OwnedCoin coin = base;
        coin.output = tx.outputs()[i];
        coin.key = key;
        if (const auto bond = m_network.bonds.find(tx.Output(i)); bond != m_network.bonds.end()) {
            coin.kind = CoinKind::kBond;
            coin.staker = bond->second;
        }
        own.emplace(i, std::move(coin));
    }
    AddLocks(tx, own);
    for (auto& [index, coin] : own) {
        if (!coin.key) {
            const auto lock = tx.outputs()[index];
            const auto kind = coin.kind;
            const auto claim = coin.claim;
            coin = base;
            coin.output = lock;
            coin.kind = kind;
            coin.claim = claim;
        }
        const auto known = m_store.coins().find(tx.Output(index));
        if (known != m_store.coins().end()) coin.spent_by = known->second.spent_by;
    }
    return own;
}

void Wallet::AddLocks(const Transaction& tx, std::map<uint32_t, OwnedCoin>& own) {
    const OutPoint& first_input = tx.inputs()[0].prevout;
    for (uint32_t i = 0; i + 1 < tx.outputs().size(); ++i) {
        const auto record = RecordAt(tx, i);
        if (!record) continue;
        const OutPoint bound = tx.Output(i + 1);
        const auto mark_bond = [&](const StakerId& staker) {
            const auto bond = own.find(i + 1);
            if (bond == own.end()) return;
            bond->second.kind = CoinKind::kBond;
            bond->second.staker = staker;
        };
        if (const auto* publish = std::get_if<PublishRecord>(&*record)) {
            const auto anchor = own.find(i + 1);
            if (anchor == own.end()) continue;
            anchor->second.kind = CoinKind::kAnchor;
            anchor->second.claim = publish->updates ? *publish->updates : consensus::MakeClaimId(bound);
        } else if (const auto* registration = std::get_if<RegisterRecord>(&*record)) {
            mark_bond(registration->updates ? *registration->updates : consensus::MakeStakerId(first_input, i));
        } else if (const auto* exit = std::get_if<ExitRecord>(&*record)) {
            mark_bond(exit->staker);
        } else if (const auto* purchase = std::get_if<PurchaseRecord>(&*record)) {
            if (m_keychain.BuyerKey(first_input).XOnly() != purchase->buyer_key) continue;
            own[i + 1].kind = CoinKind::kPurchase;
            if (m_store.purchases().contains(bound)) continue;
            OwnPurchase entry;
            entry.publish = purchase->publish;
            entry.tier = purchase->tier;
            entry.first_input = first_input;
            entry.buyer_key = purchase->buyer_key;
            entry.refund_height = purchase->refund_height;
            m_store.PutPurchase(bound, std::move(entry));
        } else if (const auto* channel = std::get_if<ChannelRecord>(&*record)) {
            if (m_keychain.ChannelPayerKey(first_input, i + 1).XOnly() != channel->payer_key) continue;
            own[i + 1].kind = CoinKind::kChannel;
            if (m_store.channels().contains(bound)) continue;
            m_store.PutChannel(bound, {first_input,
                                       channel->payer_key,
                                       channel->payee_key,
                                       channel->expiry_height,
                                       ChannelStatus::kUnconfirmed,
                                       {}});
        }
    }
}

void Wallet::RemoveConflicts(const Transaction& tx) {
    for (const TxInput& input : tx.inputs()) {
        const auto coin = m_store.coins().find(input.prevout);
        if (coin == m_store.coins().end() || !coin->second.spent_by || *coin->second.spent_by == tx.txid()) continue;
        RemoveTransaction(Txid(*coin->second.spent_by));
    }
}

void Wallet::RemoveTransaction(const Txid& removed) {
    const Txid txid = removed;
    const auto found = m_store.transactions().find(txid);
    if (found == m_store.transactions().end()) return;
    const TransactionRef tx = DecodeStored(found->second);
    for (uint32_t i = 0; i < tx->outputs().size(); ++i) {
        const OutPoint outpoint = tx->Output(i);
        const auto coin = m_store.coins().find(outpoint);
        if (coin == m_store.coins().end()) continue;
        if (coin->second.spent_by) RemoveTransaction(Txid(*coin->second.spent_by));
        m_store.EraseCoin(outpoint);
        if (m_store.purchases().contains(outpoint)) m_store.ErasePurchase(outpoint);
        if (m_store.channels().contains(outpoint)) m_store.EraseChannel(outpoint);
    }
    m_store.EraseTransaction(txid);
    for (const TxInput& input : tx->inputs()) {
        const auto coin = m_store.coins().find(input.prevout);
        if (coin == m_store.coins().end() || coin->second.spent_by != txid) continue;
        OwnedCoin freed = coin->second;
        freed.spent_by.reset();
        m_store.PutCoin(input.prevout, std::move(freed));
        RefreshLock(input.prevout);
    }
}

void Wallet::RefreshLock(const OutPoint& lock) {
    const auto coin = m_store.coins().find(lock);
    if (coin == m_store.coins().end()) return;
    const auto purchase = m_store.purchases().find(lock);
    if (purchase != m_store.purchases().end()) RefreshPurchase(lock, coin->second, purchase->second);
    const auto channel = m_store.channels().find(lock);
    if (channel != m_store.channels().end()) RefreshChannel(lock, coin->second, channel->second);
}

void Wallet::RefreshPurchase(const OutPoint& lock, const OwnedCoin& coin, OwnPurchase purchase) {
    if (!purchase.terms) purchase.terms = LookUpTerms(purchase.publish, purchase.tier);
    purchase.resolved_by = coin.spent_by;
    purchase.problem.clear();
    if (!coin.spent_by) {
        purchase.status = coin.height ? PurchaseStatus::kPending : PurchaseStatus::kUnconfirmed;
    } else {
        const TransactionRef spender = DecodeStored(m_store.transactions().at(*coin.spent_by));
        const WitnessStack witness = WitnessOf(*spender, lock);
        const Script refund_leaf = consensus::MakeRefundLeaf(purchase.buyer_key, purchase.refund_height);
        if (witness.size() >= 2 && witness[witness.size() - 2] == refund_leaf) {
            purchase.status = PurchaseStatus::kRefunded;
        } else {
            ExtractKey(lock, coin, *spender, purchase);
        }
    }
    m_store.PutPurchase(lock, std::move(purchase));
}

// The pre-signature is made again from the seed and the chain: nothing but these is needed to read the key.
void Wallet::ExtractKey(const OutPoint& lock, const OwnedCoin& coin, const Transaction& grant,
                        OwnPurchase& purchase) const {
    constexpr size_t kPayWitnessItems = 4;
    constexpr size_t kOwnerSignature = 1;
    purchase.status = PurchaseStatus::kFailed;
    if (!purchase.terms) {
        purchase.problem = "the publish that was bought is not known to this node: sync it, then try again";
        return;
    }
    const PurchaseTerms& terms = *purchase.terms;
    const auto lock_template =
        consensus::MakeLockTemplate(purchase.buyer_key, terms.seller_key, purchase.refund_height);
    const WitnessStack witness = WitnessOf(grant, lock);
    if (!lock_template || witness.size() != kPayWitnessItems || witness[2] != lock_template->pay_leaf ||
        witness[kOwnerSignature].size() < SchnorrSignature::kSize) {
        purchase.problem = "the purchase was spent in a way that is no grant";
        return;
    }
    const Hash256 sighash =
        consensus::SingleOutputSighash(lock, coin.output, *lock_template, {terms.price, terms.payout_script});
    const auto pre_signature = crypto::AdaptorSign(m_keychain.BuyerKey(purchase.first_input), sighash, terms.key);
    const auto signature =
        SchnorrSignature::FromSpan(ByteSpan(witness[kOwnerSignature]).first<SchnorrSignature::kSize>());
    const auto key = pre_signature ? crypto::AdaptorExtract(*pre_signature, signature, terms.key) : std::nullopt;
    if (!key) {
        purchase.problem = "the grant's signature does not reveal the key that was bought";
        return;
    }
    purchase.status = PurchaseStatus::kGranted;
    purchase.key = Hash256::FromSpan(key->bytes().first<32>());
}

void Wallet::RefreshChannel(const OutPoint& lock, const OwnedCoin& coin, OwnChannel channel) {
    channel.resolved_by = coin.spent_by;
    if (!coin.spent_by) {
        channel.status = coin.height ? ChannelStatus::kOpen : ChannelStatus::kUnconfirmed;
    } else {
        const WitnessStack witness = WitnessOf(*DecodeStored(m_store.transactions().at(*coin.spent_by)), lock);
        const Script refund_leaf = consensus::MakeRefundLeaf(channel.payer_key, channel.expiry_height);
        const bool refunded = witness.size() >= 2 && witness[witness.size() - 2] == refund_leaf;
        channel.status = refunded ? ChannelStatus::kRefunded : ChannelStatus::kSettled;
    }
    m_store.PutChannel(lock, std::move(channel));
}

std::optional<PurchaseTerms> Wallet::LookUpTerms(const OutPoint& outpoint, uint16_t tier) const {
    if (!m_lookups.publish) return std::nullopt;
    const auto publish = m_lookups.publish(outpoint);
    if (!publish || tier > publish->record.segments.size()) return std::nullopt;
    const PublishRecord& record = publish->record;
    PurchaseTerms terms{publish->claim, record.seller_key, record.title_key, record.price, record.payout_script};
    if (tier > 0) {
        terms.key = record.segments[tier - 1u].key;
        terms.price = record.segments[tier - 1u].price;
    }
    return terms;
}

}  // namespace sluice::wallet
