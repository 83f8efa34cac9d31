#include "primitives/script.h"
#include "wallet/wallet.h"

// What a wallet has.

namespace sluice::wallet {
namespace {

using consensus::CoinKind;

bool IsStake(const OwnedCoin& coin) {
    const auto script = ParseOutputScript(coin.output.script);
    return script && script->kind == OutputKind::kStake;
}

}  // namespace

Balances Wallet::GetBalances() const {
    Balances balances;
    for (const auto& [outpoint, coin] : m_store.coins()) {
        if (coin.spent_by) continue;
        Amount* sum = nullptr;
        switch (coin.kind) {
            case CoinKind::kAnchor:
                sum = &balances.in_claims;
                break;
            case CoinKind::kPurchase:
                sum = &balances.in_purchases;
                break;
            case CoinKind::kChannel:
                sum = &balances.in_channels;
                break;
            case CoinKind::kBond:
                sum = &balances.bonds;
                break;
            case CoinKind::kPlain:
                if (!IsMature(coin)) {
                    sum = &balances.immature;
                } else if (!coin.height && !coin.trusted) {
                    sum = &balances.pending;
                } else if (IsStake(coin)) {
                    sum = &balances.staked;
                } else {
                    sum = coin.height ? &balances.spendable : &balances.pending_trusted;
                }
        }
        sum->drops += coin.output.value.drops;
        balances.accrued.drops += AccruedOf(outpoint, coin).drops;
        balances.total.drops += coin.output.value.drops;
    }
    return balances;
}

std::optional<HistoryEntry> Wallet::FindTransaction(const Txid& txid) const {
    const auto found = m_store.transactions().find(txid);
    if (found == m_store.transactions().end()) return std::nullopt;
    auto decoded = MutableTransaction::FromBytes(found->second.raw);
    CHECK(decoded.has_value());  // we wrote it
    HistoryEntry entry;
    entry.txid = txid;
    entry.tx = MakeTransaction(std::move(*decoded));
    entry.block = found->second.block;
    entry.slot = found->second.slot;
    entry.coinbase = entry.tx->IsCoinbase();
    uint64_t out = 0;
    for (uint32_t i = 0; i < entry.tx->outputs().size(); ++i) {
        out += entry.tx->outputs()[i].value.drops;
        const auto coin = m_store.coins().find(entry.tx->Output(i));
        if (coin != m_store.coins().end()) entry.received.drops += coin->second.output.value.drops;
    }
    bool all_ours = true;
    std::optional<Epoch> spent_in;
    if (entry.block) spent_in = m_network.params.EpochOf(entry.slot);
    for (const TxInput& input : entry.tx->inputs()) {
        const auto coin = m_store.coins().find(input.prevout);
        if (coin != m_store.coins().end()) {
            entry.spent.drops += coin->second.output.value.drops;
            entry.accrued.drops += AccruedOf(input.prevout, coin->second, spent_in).drops;
        } else {
            all_ours = false;
        }
    }
    const uint64_t brought = entry.spent.drops + entry.accrued.drops;
    if (all_ours && brought >= out) entry.fee = Amount(brought - out);
    return entry;
}

std::vector<HistoryEntry> Wallet::History(size_t count, size_t skip) const {
    struct Place {
        bool unconfirmed;
        uint32_t height;
        uint32_t position;
        Txid txid;
        auto operator<=>(const Place&) const = default;
    };
    std::vector<Place> places;
    for (const auto& [txid, stored] : m_store.transactions())
        places.push_back({!stored.block, stored.block ? stored.block->height.value : 0, stored.position, txid});
    std::sort(places.begin(), places.end(), std::greater<>());
    std::vector<HistoryEntry> history;
    for (size_t i = skip; i < places.size() && history.size() < count; ++i)
        history.push_back(*FindTransaction(places[i].txid));
    return history;
}

std::vector<CoinView> Wallet::Coins() const {
    std::vector<CoinView> views;
    for (const auto& [outpoint, coin] : m_store.coins()) {
        if (coin.spent_by) continue;
        const auto confirmations = coin.height ? static_cast<uint32_t>(NextHeight() - *coin.height) : 0;
        const bool locked = m_store.locked().contains(outpoint) || m_reserved.contains(outpoint);
        views.push_back({outpoint, coin, confirmations, IsMature(coin), locked});
    }
    return views;
}

std::vector<ClaimView> Wallet::OwnClaims() const {
    std::vector<ClaimView> claims;
    for (const auto& [outpoint, coin] : m_store.coins())
        if (coin.claim && !coin.spent_by)
            claims.push_back({*coin.claim, outpoint, coin.output, coin.height.has_value()});
    return claims;
}

Result<crypto::SecretKey> Wallet::BoughtKey(const OutPoint& lock) const {
    const auto purchase = m_store.purchases().find(lock);
    if (purchase == m_store.purchases().end())
        return Fail(ErrorKind::kNotFound, "no purchase of this wallet is at " + lock.ToString());
    if (!purchase->second.key) {
        const std::string& problem = purchase->second.problem;
        return Fail(ErrorKind::kUnavailable, problem.empty() ? "the seller has not granted the purchase" : problem);
    }
    auto key = crypto::SecretKey::FromBytes(purchase->second.key->bytes);
    CHECK(key.has_value());  // it was extracted as one
    return std::move(*key);
}

bool Wallet::IsMine(const Script& script) const {
    const auto parsed = ParseOutputScript(script);
    return parsed && parsed->kind != OutputKind::kRecord && m_keychain.Find(parsed->key);
}

bool Wallet::Made(const Txid& txid) const {
    const auto found = m_store.transactions().find(txid);
    if (found == m_store.transactions().end()) return false;
    const auto tx = Decode<MutableTransaction>(found->second.raw);
    if (!tx) return false;
    return std::any_of(tx->inputs.begin(), tx->inputs.end(), [&](const TxInput& input) {
        const auto coin = m_store.coins().find(input.prevout);
        // Evidence spends a bond without its owner.
        return coin != m_store.coins().end() && coin->second.key && coin->second.spent_by == txid &&
               !input.witness.empty();
    });
}

std::optional<TxOutput> Wallet::OwnOutput(const OutPoint& outpoint) const {
    const auto coin = m_store.coins().find(outpoint);
    if (coin == m_store.coins().end()) return std::nullopt;
    return coin->second.output;
}

}  // namespace sluice::wallet
