#pragma once

#include <set>

#include "storage/key_value.h"
#include "wallet/wallet_data.h"

namespace sluice::wallet {

// The wallet's data in memory and on disk. Changes gather in a batch; Flush writes it whole or not at all. After a
// failed write every later one fails (KeyValueStore), and the wallet has to be loaded anew.
//
// Keys: 'm' cursor and counters, 's' seed, 'c' outpoint: coin, 't' txid: transaction, 'p' lock: purchase, 'h' lock:
// channel, 'l' script: label, 'x' outpoint: locked by the user, 'g' outpoint: gift received,
// 'i' first input: for whom a purchase is.
class WalletStore {
  public:
    // Of a wallet as a whole.
    struct Meta {
        BlockHash genesis;  // the network that it belongs to
        std::optional<ScanCursor> cursor;
        std::array<uint32_t, 2> next{};  // first key of each chain that was neither handed out nor used
        std::array<uint32_t, 2> used{};  // first key of each chain after the last that the chain has used
        uint32_t sequence{0};            // of unconfirmed transactions

        static void Serialize(auto& self, auto& archive) {
            archive(self.genesis);
            archive.Optional(self.cursor);
            archive(self.next[0], self.next[1], self.used[0], self.used[1], self.sequence);
        }
    };

    explicit WalletStore(storage::KeyValueStore& store) : m_store(store) {}

    // True if the store holds a wallet.
    Result<bool> HasSeed() const;
    // Makes the wallet: on disk when it returns.
    Status WriteSeed(const Seed& seed, const Meta& meta);
    Result<Seed> ReadSeed() const;
    // Reads everything but the seed.
    Status Load();

    const Meta& meta() const { return m_meta; }
    const std::map<OutPoint, OwnedCoin>& coins() const { return m_coins; }
    const std::map<Txid, OwnedTransaction>& transactions() const { return m_transactions; }
    const std::map<OutPoint, OwnPurchase>& purchases() const { return m_purchases; }
    const std::map<OutPoint, OwnChannel>& channels() const { return m_channels; }
    const std::map<OutPoint, OwnGift>& gifts() const { return m_gifts; }
    const std::map<OutPoint, GiftIntent>& gift_intents() const { return m_gift_intents; }
    const std::map<Script, std::string>& labels() const { return m_labels; }
    const std::set<OutPoint>& locked() const { return m_locked; }

    void SetMeta(Meta meta);
    void PutCoin(const OutPoint& outpoint, OwnedCoin coin);
    void EraseCoin(const OutPoint& outpoint);
    void PutTransaction(const Txid& txid, OwnedTransaction transaction);
    void EraseTransaction(const Txid& txid);
    void PutPurchase(const OutPoint& lock, OwnPurchase purchase);
    void ErasePurchase(const OutPoint& lock);
    void PutChannel(const OutPoint& lock, OwnChannel channel);
    void EraseChannel(const OutPoint& lock);
    void PutGift(const OutPoint& output, OwnGift gift);
    void EraseGift(const OutPoint& output);
    void PutGiftIntent(const OutPoint& first_input, GiftIntent intent);
    void EraseGiftIntent(const OutPoint& first_input);
    void SetLabel(const Script& script, const std::string& label);  // empty: none
    void SetLocked(const OutPoint& outpoint, bool locked);

    // Forgets coins, transactions, purchases, channels, gifts and the cursor; keeps seed, counters, labels, locks, and
    // for whom purchases are.
    void ForgetChain();

    bool HasChanges() const { return !m_batch.empty(); }
    // Writes what has changed since the last Flush.
    Status Flush(bool sync);

  private:
    storage::KeyValueStore& m_store;
    storage::WriteBatch m_batch;
    Meta m_meta;
    std::map<OutPoint, OwnedCoin> m_coins;
    std::map<Txid, OwnedTransaction> m_transactions;
    std::map<OutPoint, OwnPurchase> m_purchases;
    std::map<OutPoint, OwnChannel> m_channels;
    std::map<OutPoint, OwnGift> m_gifts;
    std::map<OutPoint, GiftIntent> m_gift_intents;
    std::map<Script, std::string> m_labels;
    std::set<OutPoint> m_locked;
};

}  // namespace sluice::wallet
