#include <fmt/format.h>

#include "primitives/script.h"
#include "wallet/transaction_builder.h"

// Keys that are bought for somebody else, both ends.

namespace sluice::wallet {
namespace {

std::optional<GiftRecord> GiftIn(const TxOutput& output) {
    const auto script = ParseOutputScript(output.script);
    if (!script || script->kind != OutputKind::kRecord) return std::nullopt;
    const auto record = DecodeRecord(script->record);
    if (!record || !std::holds_alternative<GiftRecord>(*record)) return std::nullopt;
    return std::get<GiftRecord>(*record);
}

}  // namespace

void Wallet::AddGifts(const Transaction& tx, const ScanCursor& block) {
    for (uint32_t i = 0; i < tx.outputs().size(); ++i) {
        const auto gift = GiftIn(tx.outputs()[i]);
        if (!gift) continue;
        auto opened = crypto::OpenBox(m_keychain.GiftKey(), gift->sealed.bytes);
        if (!opened) continue;
        // Our scalar is no one's secret from us; what is no scalar opens nothing and is not kept.
        const auto key = crypto::SecretKey::FromBytes(*opened);
        WipeMemory(opened->data(), opened->size());
        if (!key) continue;
        m_store.PutGift(tx.Output(i),
                        {gift->purchase, Hash256::FromSpan(key->bytes().first<32>()), key->Public(), tx.txid(), block});
    }
}

Status Wallet::IntendGift(const OutPoint& first_input, const crypto::X25519PublicKey& recipient) {
    m_store.PutGiftIntent(first_input, {recipient, std::nullopt});
    return m_store.Flush(true);
}

Status Wallet::ForgetGiftIntent(const OutPoint& first_input) {
    if (!m_store.gift_intents().contains(first_input)) return {};
    m_store.EraseGiftIntent(first_input);
    return m_store.Flush(true);
}

Status Wallet::NoteGiftSent(const OutPoint& first_input, const Txid& txid) {
    const auto intent = m_store.gift_intents().find(first_input);
    if (intent == m_store.gift_intents().end()) return {};
    m_store.PutGiftIntent(first_input, {intent->second.recipient, txid});
    return m_store.Flush(true);
}

Result<BuiltTransaction> Wallet::BuildGift(const OutPoint& lock, const crypto::X25519PublicKey& recipient,
                                           uint64_t feerate_per_kvb) {
    ASSIGN_OR_RETURN(const crypto::SecretKey key, BoughtKey(lock));
    crypto::X25519SecretKey ephemeral;
    m_random.Fill(ephemeral.span());
    const auto sealed = SealedGift::FromBytes(crypto::SealBox(recipient, key.bytes(), ephemeral));
    CHECK(sealed.has_value());  // 32 bytes and a box
    TransactionBuilder::Draft draft;
    draft.outputs = {RecordOutput(GiftRecord{lock, *sealed})};
    return TransactionBuilder(*this, feerate_per_kvb).Build(draft);
}

std::vector<std::pair<OutPoint, Txid>> Wallet::GiftsGiven() const {
    std::vector<std::pair<OutPoint, Txid>> given;
    for (const auto& [txid, stored] : m_store.transactions()) {
        const auto tx = MutableTransaction::FromBytes(stored.raw);
        if (!tx) continue;
        for (const TxOutput& output : tx->outputs) {
            const auto gift = GiftIn(output);
            if (gift && m_store.purchases().contains(gift->purchase) && Made(txid))
                given.emplace_back(gift->purchase, txid);
        }
    }
    return given;
}

}  // namespace sluice::wallet
