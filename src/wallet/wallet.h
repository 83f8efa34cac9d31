#pragma once

#include <functional>
#include <memory>

#include "consensus/genesis.h"
#include "consensus/templates.h"
#include "crypto/adaptor.h"
#include "wallet/coin_selection.h"
#include "wallet/wallet_store.h"

namespace sluice::wallet {

inline constexpr uint64_t kDefaultFeePerKvb = 2'000;
inline constexpr uint64_t kMinFeePerKvb = 1'000;          // relay's least
inline constexpr uint64_t kMaxFeePerKvb = 100'000'000;    // more is a typing mistake
inline constexpr uint64_t kReplacementFeePerKvb = 1'000;  // what a replacement pays more, at least

// The wallet's network. `bonds` are outputs of genesis that look like payments and are not.
struct WalletNetwork {
    consensus::Params params;
    BlockHash genesis;
    std::set<OutPoint> bonds;

    static WalletNetwork For(const consensus::Genesis& genesis);
};

// What the wallet asks of the chain, on its own executor.
struct WalletLookups {
    struct Publish {
        ClaimId claim;
        PublishRecord record;
    };
    // The publish whose anchor was made at this outpoint, superseded ones too. Also called from inside ConnectBlock.
    std::function<std::optional<Publish>(const OutPoint&)> publish;
    // False refuses a delegation: the staker is not registered or retired.
    std::function<bool(const StakerId&)> staker_active;
    // The live claim that uses K as its title key, if any: publishing a K of another claim is refused.
    std::function<std::optional<ClaimId>(const PubKey&)> title_key_owner;
};

struct Balances {
    Amount spendable;        // confirmed, mature, plain (those locked by the user or reserved too)
    Amount immature;         // coinbases
    Amount pending_trusted;  // unconfirmed change of our own
    Amount pending;          // other unconfirmed plain outputs, and unconfirmed stake of others
    Amount staked;           // v14 outputs (confirmed, or made by ourselves)
    Amount bonds;            // stakers' bonds
    Amount in_claims;        // anchors
    Amount in_purchases;     // locks that are neither granted nor refunded
    Amount in_channels;      // locks that are neither settled nor refunded, at their full value
    Amount total;            // the sum of the above: everything that is ours now
};

struct HistoryEntry {
    Txid txid;
    TransactionRef tx;
    std::optional<ScanCursor> block;  // none: unconfirmed
    Slot slot;                        // of the block
    Amount received;                  // our outputs
    Amount spent;                     // our inputs
    std::optional<Amount> fee;        // with what was burned; none unless all inputs are ours
    bool coinbase{false};
};

struct CoinView {
    OutPoint outpoint;
    OwnedCoin coin;
    uint32_t confirmations{0};
    bool mature{true};
    bool locked{false};  // by the user, or reserved by a transaction in the making
};

struct ClaimView {
    ClaimId claim;
    OutPoint anchor;
    TxOutput output;
    bool confirmed{false};
};

// A signed transaction that is not committed yet. Its inputs are reserved until Commit or Abandon.
struct BuiltTransaction {
    TransactionRef tx;
    Amount fee;     // to the producer
    Amount burned;  // record fees
    size_t input_count() const { return tx->inputs().size(); }
};

struct Payment {
    Script script;
    Amount amount;
};
struct PaymentRequest {
    std::vector<Payment> payments;
    bool subtract_fee{false};  // from the first payment
    uint64_t feerate_per_kvb{kDefaultFeePerKvb};
};
struct PublishRequest {
    PublishRecord record;                // `updates` set: spends that claim's anchor
    Amount deposit;                      // in the anchor; raised to the network's minimum
    std::optional<StakerId> stake_with;  // the anchor earns as a stake output
    uint64_t feerate_per_kvb{kDefaultFeePerKvb};
};
struct BuiltPublish {
    BuiltTransaction built;
    ClaimId claim;
    OutPoint anchor;
};
struct PurchaseRequest {
    OutPoint publish;
    uint16_t tier{0};
    std::optional<Amount> max_price;      // refused if the price is over it
    std::optional<Height> refund_height;  // none: DefaultRefundHeight()
    std::optional<Amount>
        grant_allowance;  // over the price, for the grant's fees; none: DefaultGrantAllowance(feerate)
    uint64_t feerate_per_kvb{kDefaultFeePerKvb};
};
struct BuiltPurchase {
    BuiltTransaction built;
    OutPoint lock;
    PurchaseTerms terms;
    Height refund_height;
    crypto::AdaptorSignature pre_signature;
};
struct ChannelRequest {
    struct Payee {
        XOnlyPubKey key;
        Amount capacity;
    };
    std::vector<Payee> payees;            // 1 to kMaxChannelsPerOpening
    std::optional<Height> expiry_height;  // none: DefaultChannelExpiry()
    uint64_t feerate_per_kvb{kDefaultFeePerKvb};
};
inline constexpr size_t kMaxChannelsPerOpening = kMaxRecordsPerTransaction;
struct BuiltChannels {
    struct Channel {
        OutPoint lock;
        TxOutput output;
        crypto::SecretKey payer_key;
        XOnlyPubKey payee_key;
    };
    BuiltTransaction built;
    std::vector<Channel> channels;  // as asked for
    Height expiry_height;
    Script return_script;  // ours: where vouchers return what is left
};

// A wallet: keys from one phrase, the coins and purchases found on the chain with them, and transactions made from
// them. It does not touch the network or the mempool: the node tells it about blocks and unconfirmed transactions, and
// broadcasts what it builds. Belongs to the chain strand.
//
// A transaction goes Build… -> Commit (on disk, then it may be broadcast) -> AddUnconfirmed / ConnectBlock; or Abandon.
// If the mempool refuses a committed one: RemoveUnconfirmed.
//
// Invariants: 1. Whatever is ours can be found again with the phrase and the chain, bought keys too. 2. Anchors, locks,
// stake and bonds are never spent by a payment. 3. What the disk holds is the state after some prefix of the calls. 4.
// Every transaction that is returned pays its way to the drop: inputs = outputs + fee + burned, and each of its inputs
// verifies.
//
// Errors: kFunds (cannot pay), kInvalid (the request is wrong), kUnavailable (later), kNotFound, kEnvironment (disk:
// load it anew).
class Wallet {
  public:
    struct Created;
    // Makes a new wallet of 12 or 24 words in an empty store. The phrase is given out once and not stored. `tip`: where
    // scanning starts, as nothing can have been paid to it before; none: from genesis.
    static Result<Created> Create(storage::KeyValueStore& store, WalletNetwork network, WalletLookups lookups,
                                  RandomSource& random, size_t words = 24, std::optional<ScanCursor> tip = {},
                                  uint32_t gap_limit = kDefaultGapLimit);
    // From a phrase, in an empty store; scans from genesis.
    static Result<std::unique_ptr<Wallet>> Restore(storage::KeyValueStore& store, WalletNetwork network,
                                                   WalletLookups lookups, RandomSource& random, std::string_view phrase,
                                                   std::string_view passphrase = {},
                                                   uint32_t gap_limit = kDefaultGapLimit);
    // kNotFound if the store holds no wallet; an error if it belongs to another network.
    static Result<std::unique_ptr<Wallet>> Load(storage::KeyValueStore& store, WalletNetwork network,
                                                WalletLookups lookups, RandomSource& random,
                                                uint32_t gap_limit = kDefaultGapLimit);
    static Result<bool> Exists(const storage::KeyValueStore& store);

    // --- the chain (wallet_scan.cpp) ---
    // The newest block seen; none: give it genesis next.
    const std::optional<ScanCursor>& cursor() const { return m_store.meta().cursor; }
    // The block after the cursor. kInvalid, and nothing done, if it does not follow it.
    Status ConnectBlock(const Block& block);
    // The block at the cursor. Its transactions become unconfirmed, its coinbase is forgotten.
    Status DisconnectBlock(const Block& block);
    // A transaction entered the mempool. Those of ours that it conflicts with are removed. Ignored if it is not ours,
    // or known.
    Status AddUnconfirmed(const TransactionRef& tx);
    // It left the mempool other than in a block: forgotten, with what was built on it. Ignored if it is confirmed or
    // unknown.
    Status RemoveUnconfirmed(const Txid& txid);
    // In the order they came: to be submitted again after a restart or a reorganisation.
    std::vector<TransactionRef> UnconfirmedTransactions() const;
    // Forgets what was found on the chain; scanning starts at genesis.
    Status RestartScan();
    // Looks up the publishes of purchases whose terms are not known yet, and extracts keys that this makes possible.
    Status RetryPurchases();

    // --- what there is (wallet_view.cpp) ---
    Balances GetBalances() const;
    // Newest first; unconfirmed before all.
    std::vector<HistoryEntry> History(size_t count, size_t skip = 0) const;
    std::optional<HistoryEntry> FindTransaction(const Txid& txid) const;
    // Unspent outputs, in order of their outpoints.
    std::vector<CoinView> Coins() const;
    std::vector<ClaimView> OwnClaims() const;
    const std::map<OutPoint, OwnPurchase>& Purchases() const { return m_store.purchases(); }
    const std::map<OutPoint, OwnChannel>& Channels() const { return m_store.channels(); }
    // The secret that a granted purchase bought; kUnavailable or kNotFound otherwise.
    Result<crypto::SecretKey> BoughtKey(const OutPoint& lock) const;
    bool IsMine(const Script& script) const;
    // Whether this wallet made the transaction: it spends a coin of a key of ours, and only this wallet signs for
    // those, for all outputs. A lock of ours is no proof: its payee spends it in a transaction of its own choice.
    bool Made(const Txid& txid) const;
    // The value of a lock output of ours, and its output.
    std::optional<TxOutput> OwnOutput(const OutPoint& outpoint) const;

    // --- keys and settings (wallet.cpp) ---
    // A receiving script never given out before. kUnavailable once `gap_limit` of them wait for a payment.
    Result<Script> NewReceiveScript(const std::string& label = {});
    SecretBytes<32> ContentMasterKey() const { return m_keychain.ContentMasterKey(); }
    crypto::SecretKey BuyerKey(const OwnPurchase& purchase) const { return m_keychain.BuyerKey(purchase.first_input); }
    // kNotFound unless the channel is ours.
    Result<crypto::SecretKey> ChannelPayerKey(const OutPoint& lock) const;
    crypto::SecretKey ChannelPayeeKey(const std::array<uint8_t, 32>& label) const {
        return m_keychain.ChannelPayeeKey(label);
    }
    Status SetLabel(const Script& script, const std::string& label);
    std::string LabelOf(const Script& script) const;
    // Kept from being spent until unlocked; on disk.
    Status LockCoin(const OutPoint& outpoint, bool locked);
    const WalletNetwork& network() const { return m_network; }
    ExtendedPublicKey AccountPublicKey() const { return m_keychain.AccountPublicKey(); }

    // --- transactions (wallet_build.cpp, wallet_sale.cpp, wallet_refund.cpp) ---
    Result<BuiltTransaction> BuildPayment(const PaymentRequest& request);
    // Pays `amount` to a stake output of our own.
    Result<BuiltTransaction> BuildDelegation(const StakerId& staker, Amount amount,
                                             uint64_t feerate_per_kvb = kDefaultFeePerKvb);
    // Spends all stake outputs to `staker` (every staker's if none) into a plain one of our own.
    Result<BuiltTransaction> BuildUndelegation(std::optional<StakerId> staker,
                                               uint64_t feerate_per_kvb = kDefaultFeePerKvb);
    Result<BuiltPublish> BuildPublish(const PublishRequest& request);
    // Spends the anchor: the deposit comes back, the claim ends.
    Result<BuiltTransaction> BuildRetire(const ClaimId& claim, uint64_t feerate_per_kvb = kDefaultFeePerKvb);
    Result<BuiltPurchase> BuildPurchase(const PurchaseRequest& request);
    Result<BuiltChannels> BuildChannels(const ChannelRequest& request);
    // The way back of a purchase or channel lock once its height has come (kUnavailable before).
    Result<BuiltTransaction> BuildRefund(const OutPoint& lock, uint64_t feerate_per_kvb = kDefaultFeePerKvb);
    // Locks that BuildRefund would take now.
    std::vector<OutPoint> RefundableLocks() const;
    // Replaces an unconfirmed transaction of ours by one that pays `feerate_per_kvb`, from its change or further coins.
    // A purchase or channel keeps its keys but gets another lock outpoint (and pre-signature). Refused once something
    // is built on it.
    Result<BuiltTransaction> BuildFeeBump(const Txid& txid, uint64_t feerate_per_kvb);

    // Makes a built transaction part of the wallet: on disk when this returns, to be broadcast after.
    Status Commit(const BuiltTransaction& built);
    // Gives the coins of a built transaction back.
    void Abandon(const BuiltTransaction& built);

    Height DefaultRefundHeight() const;
    Height DefaultChannelExpiry() const;
    Amount DefaultGrantAllowance(uint64_t feerate_per_kvb) const;

  private:
    friend class TransactionBuilder;

    Wallet(storage::KeyValueStore& store, WalletNetwork network, WalletLookups lookups, RandomSource& random,
           Keychain keychain, uint32_t gap_limit);
    static Result<std::unique_ptr<Wallet>> MakeFromSeed(storage::KeyValueStore& store, WalletNetwork network,
                                                        WalletLookups lookups, RandomSource& random, const Seed& seed,
                                                        std::optional<ScanCursor> tip, uint32_t gap_limit);
    void WatchAhead();
    void MarkUsed(KeyPath path);

    // Scanning.
    struct Placement {
        std::optional<ScanCursor> block;
        Slot slot;
        uint32_t position{0};
    };
    // False if the transaction is not ours.
    bool AddTransaction(const TransactionRef& tx, const Placement& placement);
    void SpendInputs(const Transaction& tx);
    std::map<uint32_t, OwnedCoin> FindOwnOutputs(const Transaction& tx, const Placement& placement);
    void AddLocks(const Transaction& tx, std::map<uint32_t, OwnedCoin>& own);
    void RemoveTransaction(const Txid& txid);
    void RemoveConflicts(const Transaction& tx);
    void RefreshLock(const OutPoint& lock);
    void RefreshPurchase(const OutPoint& lock, const OwnedCoin& coin, OwnPurchase purchase);
    void RefreshChannel(const OutPoint& lock, const OwnedCoin& coin, OwnChannel channel);
    void ExtractKey(const OutPoint& lock, const OwnedCoin& coin, const Transaction& grant, OwnPurchase& purchase) const;
    std::optional<PurchaseTerms> LookUpTerms(const OutPoint& publish, uint16_t tier) const;
    // Whether a coin can be spent by a transaction in the next block.
    bool IsMature(const OwnedCoin& coin) const;
    Height NextHeight() const;

    WalletNetwork m_network;
    WalletLookups m_lookups;
    RandomSource& m_random;
    Keychain m_keychain;
    WalletStore m_store;
    uint32_t m_gap_limit;
    std::set<OutPoint> m_reserved;  // inputs of built transactions
};

struct Wallet::Created {
    std::unique_ptr<Wallet> wallet;
    SecretText phrase;
};

}  // namespace sluice::wallet
