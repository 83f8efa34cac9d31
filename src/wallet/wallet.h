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

// The wallet's network. `bonds` are outputs of genesis that look like payments and are not, with whose they are.
struct WalletNetwork {
    consensus::Params params;
    BlockHash genesis;
    std::map<OutPoint, StakerId> bonds;

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
    // A staker as the newest block left it; nullopt: the id was never registered.
    std::function<std::optional<consensus::StakerState>(const StakerId&)> staker;
    // The earliest slot that the next block can have: it decides what a transaction claims and whether a bond is free.
    std::function<Slot()> next_slot;
    // What a stake coin takes out of its staker's pot if a block of that epoch spends it (consensus::AccruedReward).
    std::function<Amount(const consensus::Coin&, Epoch)> accrued;
    // The live claim that uses K as its title key, if any: publishing a K of another claim is refused.
    std::function<std::optional<ClaimId>(const PubKey&)> title_key_owner;
};

struct Balances {
    Amount spendable;        // confirmed, mature, plain (those locked by the user or reserved too)
    Amount immature;         // coinbases
    Amount pending_trusted;  // unconfirmed change of our own
    Amount pending;          // other unconfirmed plain outputs, and unconfirmed stake of others
    Amount staked;           // v14 outputs (confirmed, or made by ourselves), without what they have earned
    Amount accrued;          // what all stake coins, anchors too, bring beside their amounts in the next block
    Amount bonds;            // stakers' bonds
    Amount in_claims;        // anchors
    Amount in_purchases;     // locks that are neither granted nor refunded
    Amount in_channels;      // locks that are neither settled nor refunded, at their full value
    Amount total;            // the sum of the above but for `accrued`: all outputs that are ours now
};

struct HistoryEntry {
    Txid txid;
    TransactionRef tx;
    std::optional<ScanCursor> block;  // none: unconfirmed
    Slot slot;                        // of the block
    Amount received;                  // our outputs
    Amount spent;                     // our inputs
    Amount accrued;                   // what our inputs brought beside it, as stake (unconfirmed: in the next block)
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

// A stake output of ours.
struct StakeView {
    OutPoint outpoint;
    Amount amount;  // without `accrued`
    StakerId staker;
    std::optional<Epoch> created;  // none: unconfirmed; kGenesisStakeEpoch: it counts from the start
    Epoch earns_from;              // created + 3, the first epoch that it helps to elect; 0 for genesis
    Amount accrued;                // what spending it in the next block claims
    std::optional<ClaimId> claim;  // it is the anchor of this claim
    bool spendable{false};         // mature, not locked, not an anchor
};

enum class BondStatus : uint8_t {
    kUnconfirmed = 0,
    kBonded = 1,
    kExiting = 2,   // locked until `free_at`
    kFree = 3,      // BuildReleaseBond takes it
    kReleased = 4,  // came back
    kSlashed = 5,   // burned: evidence was given
};
// The newest bond of a staker whose bond is, or was, an output of ours.
struct BondView {
    StakerId staker;
    OutPoint outpoint;
    Amount amount;
    BondStatus status{BondStatus::kUnconfirmed};
    std::optional<Slot> free_at;  // from kExiting on
};

// A signed transaction that is not committed yet. Its inputs are reserved until Commit or Abandon.
struct BuiltTransaction {
    TransactionRef tx;
    Amount fee;      // to the producer
    Amount burned;   // record fees
    Amount accrued;  // claimed: inputs + accrued = outputs + fee + burned in the next block's epoch
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
// Takes stake back, or moves it to another staker, together with all that the spent coins have earned.
struct UndelegationRequest {
    std::optional<StakerId> from;  // none: every staker
    // Of the stake, without what it has earned; none: all, or as much as one transaction takes (kMaxUndelegatedCoins).
    // The coins made last go first; what they hold more stays staked in a new coin, which starts to earn anew.
    std::optional<Amount> amount;
    std::optional<StakerId> to;  // it stays stake, of this staker; none: it becomes plain
    uint64_t feerate_per_kvb{kDefaultFeePerKvb};
};
inline constexpr size_t kMaxUndelegatedCoins = 400;

struct RegistrationRequest {
    RegisterRecord record;       // without `updates`; an empty payout script: an address of ours
    std::optional<Amount> bond;  // at least params.bond, which is meant by none
    uint64_t feerate_per_kvb{kDefaultFeePerKvb};
};
struct BuiltRegistration {
    BuiltTransaction built;
    StakerId staker;
    OutPoint bond;
};

struct PublishRequest {
    PublishRecord record;                // `updates` set: spends that claim's anchor
    Amount deposit;                      // in the anchor; raised to the network's minimum
    std::optional<Script> anchor_to;     // someone else's output: the claim is theirs from then on
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
// Every transaction that is returned pays its way to the drop: inputs + accrued = outputs + fee + burned, and each of
// its inputs verifies.
//
// What stake has earned grows when an epoch ends. A transaction that spends stake claims what it is worth in the epoch
// of the earliest next block. If a block of a later epoch takes it, what was earned in between goes to its fee, once;
// relay and honest producers leave such a transaction out instead when that is much
// (MempoolPolicy::accrued_fee_factor), and the node then sends what BuildReclaim makes of it. After a reorganisation to
// a branch where the stake earned less it is not valid any more, and its coins are free again.
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
    // Unspent stake outputs, in order of their outpoints.
    std::vector<StakeView> Stakes() const;
    // One for each staker, by id.
    std::vector<BondView> Bonds() const;
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

    // --- gifts (wallet_gift.cpp) ---
    // Where keys are sent that others buy for us.
    crypto::X25519PublicKey GiftKey() const { return crypto::X25519Public(m_keychain.GiftKey()); }
    // Keys that were passed on to us, by the output of their record; in blocks alone. Whether one is what its purchase
    // was for, only its point says: a forged one opens nothing.
    const std::map<OutPoint, OwnGift>& Gifts() const { return m_store.gifts(); }
    // For whom purchases of ours are, by their first inputs. On disk when this returns: before the purchase is sent.
    Status IntendGift(const OutPoint& first_input, const crypto::X25519PublicKey& recipient);
    const std::map<OutPoint, GiftIntent>& GiftIntents() const { return m_store.gift_intents(); }
    // A purchase with this first input is for ourselves. Rationale: one that was meant as a gift and never sent, or
    // dropped, frees its coin for the next one.
    Status ForgetGiftIntent(const OutPoint& first_input);
    Status NoteGiftSent(const OutPoint& first_input, const Txid& txid);
    // The transaction that passes the key of a granted purchase of ours on.
    Result<BuiltTransaction> BuildGift(const OutPoint& lock, const crypto::X25519PublicKey& recipient,
                                       uint64_t feerate_per_kvb = kDefaultFeePerKvb);
    // Purchases whose keys transactions of ours passed on, with those transactions: also after a restore.
    std::vector<std::pair<OutPoint, Txid>> GiftsGiven() const;

    // --- for a seller (wallet_grant.cpp) ---
    // Coins that pay what the allowances of a grant's purchases do not.
    struct GrantFunds {
        std::vector<std::pair<OutPoint, TxOutput>> coins;
        Script change_script;  // of ours
    };
    // Plain confirmed coins worth `least` and `each` for each of them, those in `again` (of the grant that is replaced)
    // first. Reserved until a Commit that spends them, or Release. kFunds says what is missing.
    Result<GrantFunds> ReserveForGrant(Amount least, Amount each, const std::vector<OutPoint>& again = {});
    void Release(const GrantFunds& funds);
    // Signs those inputs that are coins of ours and have no witness yet. `spent` has one output for each input.
    Status SignGrant(MutableTransaction& tx, const std::vector<TxOutput>& spent);
    // Every publish that this wallet made, retired and superseded ones too, with its anchor.
    std::vector<std::pair<OutPoint, PublishRecord>> MadePublishes() const;

    // --- stake and stakers (wallet_stake.cpp) ---
    // Pays `amount` of plain coins to a stake output of our own. kInvalid, saying which, for a staker that is unknown,
    // exiting, retired or slashed: stake sent there would earn nothing.
    Result<BuiltTransaction> BuildDelegation(const StakerId& staker, Amount amount,
                                             uint64_t feerate_per_kvb = kDefaultFeePerKvb);
    // The fee comes out of what is taken back. kFunds if there is less stake than `amount`.
    Result<BuiltTransaction> BuildUndelegation(const UndelegationRequest& request);
    // The same as an unconfirmed transaction of ours that spends stake, with what that has earned since added to the
    // last of our outputs, at kDefaultFeePerKvb.
    Result<BuiltTransaction> BuildReclaim(const Txid& txid);
    // Registers a staker with a bond at an address of ours.
    Result<BuiltRegistration> BuildRegister(const RegistrationRequest& request);
    // Changes keys, commission and payout of `record.updates`: its bond moves to a new address of ours.
    Result<BuiltTransaction> BuildUpdate(RegisterRecord record, uint64_t feerate_per_kvb = kDefaultFeePerKvb);
    // Retires a staker: its bond moves into a new one, which is locked for unbonding_slots.
    Result<BuiltTransaction> BuildExit(const StakerId& staker, uint64_t feerate_per_kvb = kDefaultFeePerKvb);
    // Takes the bond of a retired staker back; kUnavailable, naming the slot, while it is locked.
    Result<BuiltTransaction> BuildReleaseBond(const StakerId& staker, uint64_t feerate_per_kvb = kDefaultFeePerKvb);

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
    // Keys in the gift records of a block's transaction that are sealed to us.
    void AddGifts(const Transaction& tx, const ScanCursor& block);
    void RemoveTransaction(const Txid& txid);
    void RemoveConflicts(const Transaction& tx);
    void RefreshLock(const OutPoint& lock);
    void RefreshPurchase(const OutPoint& lock, const OwnedCoin& coin, OwnPurchase purchase);
    void RefreshChannel(const OutPoint& lock, const OwnedCoin& coin, OwnChannel channel);
    void ExtractKey(const OutPoint& lock, const OwnedCoin& coin, const Transaction& grant, OwnPurchase& purchase) const;
    std::optional<PurchaseTerms> LookUpTerms(const OutPoint& publish, uint16_t tier) const;
    // Of a coin of ours in a block of `epoch`; none: of the next block. 0 for what is no confirmed stake.
    Amount AccruedOf(const OutPoint& outpoint, const OwnedCoin& coin, std::optional<Epoch> epoch = {}) const;
    Slot NextSlot() const;
    Status CheckDelegate(const StakerId& staker) const;
    // The confirmed bond of a staker that no built transaction spends, with what its state says.
    struct FoundBond {
        OutPoint outpoint;
        OwnedCoin coin;
        consensus::StakerState state;
    };
    Result<FoundBond> FindBond(const StakerId& staker) const;
    std::vector<StakeView> ChooseStake(const UndelegationRequest& request) const;
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
