#include "wallet/wallet_store.h"

#include <fmt/format.h>

namespace sluice::wallet {
namespace {

constexpr size_t kMaxLabelBytes = 256;
constexpr uint8_t kSeedPlain = 1;  // version of the seed's entry: 1 is 64 bytes as they are

const Bytes kMetaKey{'m'};
const Bytes kSeedKey{'s'};

template <class Key>
Bytes TableKey(char table, const Key& key) {
    Writer writer;
    writer(static_cast<uint8_t>(table), key);
    return writer.Take();
}
Bytes LabelKey(const Script& script) {
    Bytes key{'l'};
    key.insert(key.end(), script.begin(), script.end());
    return key;
}

tl::unexpected<Error> Damaged(std::string_view what) {
    return Fail(
        ErrorKind::kEnvironment,
        fmt::format("the wallet's data is damaged ({}): restore the wallet from its phrase in a new folder", what));
}

// Reads all of a table into `map`.
template <class Key, class Value>
Status LoadTable(const storage::KeyValueStore& store, char table, std::map<Key, Value>& map) {
    map.clear();
    bool damaged = false;
    const Bytes prefix{static_cast<uint8_t>(table)};
    RETURN_IF_ERROR(store.Scan(prefix, {}, [&](ByteSpan key, ByteSpan value) {
        auto decoded_key = Decode<Key>(key.subspan(1));
        auto decoded = Decode<Value>(value);
        damaged = !decoded_key || !decoded;
        if (!damaged) map.emplace(*decoded_key, std::move(*decoded));
        return !damaged;
    }));
    if (damaged) return Damaged(fmt::format("table '{}'", table));
    return {};
}

}  // namespace

Result<bool> WalletStore::HasSeed() const {
    ASSIGN_OR_RETURN(const auto seed, m_store.Get(kSeedKey));
    return seed.has_value();
}

Status WalletStore::WriteSeed(const Seed& seed, const Meta& meta) {
    Bytes entry{kSeedPlain};
    entry.reserve(1 + Seed::kSize);
    entry.insert(entry.end(), seed.span().begin(), seed.span().end());
    m_batch.Put(kSeedKey, entry);
    WipeMemory(entry.data(), entry.size());
    SetMeta(meta);
    return Flush(true);
}

Result<Seed> WalletStore::ReadSeed() const {
    ASSIGN_OR_RETURN(auto entry, m_store.Get(kSeedKey));
    if (!entry) return Fail(ErrorKind::kNotFound, "there is no wallet yet: make one, or restore one from its phrase");
    if (entry->empty()) return Damaged("seed");
    if ((*entry)[0] != kSeedPlain)
        return Fail(ErrorKind::kUnavailable,
                    fmt::format("the wallet's seed is in format {}, which this version does not read", (*entry)[0]));
    if (entry->size() != 1 + Seed::kSize) return Damaged("seed");
    Seed seed(std::span<const uint8_t, Seed::kSize>(entry->data() + 1, Seed::kSize));
    WipeMemory(entry->data(), entry->size());
    return seed;
}

Status WalletStore::Load() {
    ASSIGN_OR_RETURN(const auto meta, m_store.Get(kMetaKey));
    if (!meta) return Damaged("no cursor");
    auto decoded = Decode<Meta>(*meta);
    if (!decoded) return Damaged("cursor");
    m_meta = std::move(*decoded);
    RETURN_IF_ERROR(LoadTable(m_store, 'c', m_coins));
    RETURN_IF_ERROR(LoadTable(m_store, 't', m_transactions));
    RETURN_IF_ERROR(LoadTable(m_store, 'p', m_purchases));
    RETURN_IF_ERROR(LoadTable(m_store, 'h', m_channels));
    RETURN_IF_ERROR(LoadTable(m_store, 'g', m_gifts));
    RETURN_IF_ERROR(LoadTable(m_store, 'i', m_gift_intents));
    m_labels.clear();
    const Bytes labels{'l'}, locks{'x'};
    RETURN_IF_ERROR(m_store.Scan(labels, {}, [&](ByteSpan key, ByteSpan value) {
        m_labels[ToBytes(key.subspan(1))] = ToString(value);
        return true;
    }));
    m_locked.clear();
    return m_store.Scan(locks, {}, [&](ByteSpan key, ByteSpan) {
        if (const auto outpoint = Decode<OutPoint>(key.subspan(1))) m_locked.insert(*outpoint);
        return true;
    });
}

void WalletStore::SetMeta(Meta meta) {
    m_meta = std::move(meta);
    m_batch.Put(kMetaKey, Encode(m_meta));
}

void WalletStore::PutCoin(const OutPoint& outpoint, OwnedCoin coin) {
    m_batch.Put(TableKey('c', outpoint), Encode(coin));
    m_coins.insert_or_assign(outpoint, std::move(coin));
}
void WalletStore::EraseCoin(const OutPoint& outpoint) {
    m_batch.Delete(TableKey('c', outpoint));
    m_coins.erase(outpoint);
}
void WalletStore::PutTransaction(const Txid& txid, OwnedTransaction transaction) {
    m_batch.Put(TableKey('t', txid), Encode(transaction));
    m_transactions.insert_or_assign(txid, std::move(transaction));
}
void WalletStore::EraseTransaction(const Txid& txid) {
    m_batch.Delete(TableKey('t', txid));
    m_transactions.erase(txid);
}
void WalletStore::PutPurchase(const OutPoint& lock, OwnPurchase purchase) {
    m_batch.Put(TableKey('p', lock), Encode(purchase));
    m_purchases.insert_or_assign(lock, std::move(purchase));
}
void WalletStore::ErasePurchase(const OutPoint& lock) {
    m_batch.Delete(TableKey('p', lock));
    m_purchases.erase(lock);
}
void WalletStore::PutChannel(const OutPoint& lock, OwnChannel channel) {
    m_batch.Put(TableKey('h', lock), Encode(channel));
    m_channels.insert_or_assign(lock, std::move(channel));
}
void WalletStore::EraseChannel(const OutPoint& lock) {
    m_batch.Delete(TableKey('h', lock));
    m_channels.erase(lock);
}

void WalletStore::PutGift(const OutPoint& output, OwnGift gift) {
    m_batch.Put(TableKey('g', output), Encode(gift));
    m_gifts.insert_or_assign(output, std::move(gift));
}
void WalletStore::EraseGift(const OutPoint& output) {
    m_batch.Delete(TableKey('g', output));
    m_gifts.erase(output);
}
void WalletStore::PutGiftIntent(const OutPoint& first_input, GiftIntent intent) {
    m_batch.Put(TableKey('i', first_input), Encode(intent));
    m_gift_intents.insert_or_assign(first_input, std::move(intent));
}

void WalletStore::EraseGiftIntent(const OutPoint& first_input) {
    m_batch.Delete(TableKey('i', first_input));
    m_gift_intents.erase(first_input);
}

void WalletStore::SetLabel(const Script& script, const std::string& label) {
    if (label.empty()) {
        m_batch.Delete(LabelKey(script));
        m_labels.erase(script);
        return;
    }
    const std::string kept = label.substr(0, kMaxLabelBytes);
    m_batch.Put(LabelKey(script), ToBytes(AsBytes(kept)));
    m_labels[script] = kept;
}

void WalletStore::SetLocked(const OutPoint& outpoint, bool locked) {
    if (locked) {
        m_batch.Put(TableKey('x', outpoint), {});
        m_locked.insert(outpoint);
    } else {
        m_batch.Delete(TableKey('x', outpoint));
        m_locked.erase(outpoint);
    }
}

void WalletStore::ForgetChain() {
    while (!m_coins.empty()) EraseCoin(OutPoint(m_coins.begin()->first));
    while (!m_transactions.empty()) EraseTransaction(Txid(m_transactions.begin()->first));
    while (!m_purchases.empty()) ErasePurchase(OutPoint(m_purchases.begin()->first));
    while (!m_channels.empty()) EraseChannel(OutPoint(m_channels.begin()->first));
    while (!m_gifts.empty()) EraseGift(OutPoint(m_gifts.begin()->first));
    Meta meta = m_meta;
    meta.cursor.reset();
    SetMeta(std::move(meta));
}

Status WalletStore::Flush(bool sync) {
    if (m_batch.empty()) return {};
    const storage::WriteBatch batch = std::exchange(m_batch, {});
    return m_store.Write(batch, sync);
}

}  // namespace sluice::wallet
