#include <algorithm>

#include "primitives/script.h"
#include "wallet/transaction_builder.h"

// What a wallet does for the seller's agent: coins that pay what the allowances of purchases do not.

namespace sluice::wallet {

using consensus::CoinKind;

Result<Wallet::GrantFunds> Wallet::ReserveForGrant(Amount least, Amount each, const std::vector<OutPoint>& again) {
    GrantFunds funds;
    uint64_t sum = 0;
    const auto take = [&](const OutPoint& outpoint, const OwnedCoin& coin) {
        funds.coins.emplace_back(outpoint, coin.output);
        sum += coin.output.value.drops;
    };
    for (const OutPoint& outpoint : again) {
        const auto coin = m_store.coins().find(outpoint);
        if (coin == m_store.coins().end() || !coin->second.key)
            return Fail(ErrorKind::kNotFound, "the coin " + outpoint.ToString() + " is not of this wallet any more");
        take(outpoint, coin->second);
    }
    std::vector<std::pair<uint64_t, OutPoint>> free;
    for (const auto& [outpoint, coin] : m_store.coins()) {
        const bool plain = coin.kind == CoinKind::kPlain && coin.key && !coin.spent_by && coin.height;
        if (!plain || !IsMature(coin) || m_reserved.contains(outpoint) || m_store.locked().contains(outpoint)) continue;
        const auto script = ParseOutputScript(coin.output.script);
        if (script && script->kind == OutputKind::kTaproot) free.emplace_back(coin.output.value.drops, outpoint);
    }
    std::sort(free.rbegin(), free.rend());
    const auto needed = [&] { return least.drops + funds.coins.size() * each.drops; };
    for (const auto& [value, outpoint] : free) {
        if (sum >= needed() || value <= each.drops) break;
        take(outpoint, m_store.coins().at(outpoint));
    }
    if (sum < needed())
        return Fail(ErrorKind::kFunds, "the node's wallet lacks " + FormatSlu(Amount(needed() - sum)) +
                                           " SLU for the fees of a grant: pay it something");
    for (const auto& [outpoint, output] : funds.coins) m_reserved.insert(outpoint);
    funds.change_script = TaprootScript(TransactionBuilder(*this, kMinFeePerKvb).TakeChangeKey());
    return funds;
}

void Wallet::Release(const GrantFunds& funds) {
    for (const auto& [outpoint, output] : funds.coins) m_reserved.erase(outpoint);
}

Status Wallet::SignGrant(MutableTransaction& tx, const std::vector<TxOutput>& spent) {
    const consensus::SpendingTransaction spending(tx, spent);
    std::vector<std::pair<size_t, WitnessStack>> witnesses;
    for (size_t i = 0; i < tx.inputs.size(); ++i) {
        const auto coin = m_store.coins().find(tx.inputs[i].prevout);
        if (coin == m_store.coins().end() || !coin->second.key || !tx.inputs[i].witness.empty()) continue;
        const auto hash = spending.SignatureHash(i, consensus::kSighashDefault, {});
        if (!hash) return Fail("an input of the grant cannot be signed");
        witnesses.emplace_back(
            i,
            WitnessStack{ToBytes(m_keychain.OutputSecret(*coin->second.key).Sign(*hash, m_random.Array<32>()).bytes)});
    }
    for (auto& [i, witness] : witnesses) tx.inputs[i].witness = std::move(witness);
    return {};
}

std::vector<std::pair<OutPoint, PublishRecord>> Wallet::MadePublishes() const {
    std::vector<std::pair<OutPoint, PublishRecord>> made;
    for (const auto& [txid, stored] : m_store.transactions()) {
        auto tx = MutableTransaction::FromBytes(stored.raw);
        if (!tx || !Made(txid)) continue;
        for (uint32_t i = 0; i < tx->outputs.size(); ++i) {
            const auto script = ParseOutputScript(tx->outputs[i].script);
            if (!script || script->kind != OutputKind::kRecord) continue;
            auto record = DecodeRecord(script->record);
            if (record && std::holds_alternative<PublishRecord>(*record))
                made.emplace_back(OutPoint{txid, i + 1}, std::get<PublishRecord>(std::move(*record)));
        }
    }
    return made;
}

}  // namespace sluice::wallet
