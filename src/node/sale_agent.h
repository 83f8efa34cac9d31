#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>

#include "content/keys.h"
#include "content/sale.h"
#include "node/seller_keys.h"
#include "node/wallet_service.h"

namespace sluice::node {

// What the operator allows a seller's agent.
struct SalePolicy {
    bool sells{true};                                 // -seller
    uint64_t max_fee_percent_of_price{100};           // -grantmaxfee: of the price, beside the buyer's allowance
    Amount least_fee_per_kvb{wallet::kMinFeePerKvb};  // -grantfee: a grant pays this even if less would do
};

// The seller: finds purchases of our titles on the chain and grants them once they are deep enough.
//
//   purchase:  waits for depth ─> ready ─> granted in a transaction that waits ─> ended (k blocks: it may come back)
//
// It needs hot keys of titles alone (SellerStore), and pays only the cold payout scripts that came with them. A grant
// is on disk before it is sent; after a restart the same transaction is sent again. What waits is found again from the
// chain. A grant that no block takes is replaced by one that pays more: first from the buyers' allowances, then, if the
// node has a wallet, from its coins, never more than the policy's part of the price.
//
// Rationale for the float being the node's wallet: it finds its coins again, reserves them and follows
// reorganisations already. On a node that sells with imported keys it is a wallet of its own, with a phrase of its own
// and a few coins, from which no title key comes.
//
// Costs: a block costs what it changes, not what waits. At most one transaction of kMaxGrantedPurchases is made in one
// turn of the strand. Belongs to the chain strand.
class SaleAgent final : public ChainListener {
  public:
    SaleAgent(const Environment& environment, ChainService& chain, WalletService& wallet, SellerStore store,
              SalePolicy policy, EventHub& events)
        : m_environment(environment),
          m_chain(chain),
          m_wallet(wallet),
          m_store(std::move(store)),
          m_policy(policy),
          m_events(events) {}
    ~SaleAgent() override { *m_alive = false; }

    // Takes the keys of the wallet's claims, and finds the purchases of our titles that wait, from the chain: at start,
    // and when a wallet was restored or keys were imported.
    void Rescan();

    struct Status {
        size_t titles{0};
        size_t waiting{0};    // for depth, for lower fees, or for coins
        size_t granting{0};   // in grants that no block has yet
        size_t grants{0};     // such transactions
        uint64_t granted{0};  // purchases, since the start
        Amount market_per_kvb;
        bool sells{true};
    };
    Status GetStatus() const;
    // Purchases that are neither granted in a block nor refunded.
    size_t Waiting() const { return m_waiting.size(); }
    // Grants on their way: the transactions that no block has yet.
    std::vector<Txid> PendingGrants() const;

    const SellerStore& store() const { return m_store; }
    // Adds a file of keys and looks for their purchases. The titles added or changed.
    Result<size_t> ImportKeys(const std::string& path);

    void OnTipChanged(const chain::TipChange& change) override;
    void OnTransactionAccepted(const TransactionRef& tx) override { Learn(*tx); }
    void OnTransactionRemoved(const chain::RemovedTransaction&) override {}

  private:
    // A purchase that is ours to grant.
    struct Sale {
        content::LockedPurchase purchase;
        crypto::AdaptorSignature pre_signature;
        Height deep_at;                  // the tip from which it is deep enough
        std::optional<Txid> grant;       // that waits for a block
        bool revealed{false};            // a grant of it was sent once
        bool hopeless{false};            // cannot be granted, whatever happens
        bool told{false};                // that it waits for money
        Amount pays_alone;               // up to this rate its allowance pays for its grant
        Amount pays_with_coins;          // up to this rate the policy lets coins be added
        std::optional<Height> tried_at;  // the tip at which it could not be granted
    };
    struct Ended {
        Sale sale;
        Height height;
    };
    struct PendingGrant {
        TransactionRef tx;
        std::vector<OutPoint> locks;
        Amount paid_per_kvb;
        Height since;
        std::vector<OutPoint> coins;  // of the wallet
        bool failed{false};           // no longer possible: to be made anew
    };
    // kLater: the next block may change it. kNever: nothing will.
    enum class Outcome { kDone, kLater, kNever };

    void Learn(const Transaction& tx);
    void LearnFromWallet();
    void FindPurchasesOf(const ClaimId& claim);
    void AddFrom(const Transaction& tx);
    std::optional<Sale> MakeSale(const Transaction& tx, uint32_t record_output, const PurchaseRecord& record) const;
    // Gives a sale its place by where its lock stands on the chain now.
    void Place(const OutPoint& lock, Sale sale);
    // Moves what a block spent out of m_waiting, and back what a reorganisation made wait again.
    void FollowLock(const OutPoint& lock);
    void ForgetEnded();
    void LoadGrants();
    void FollowGrants();
    void FollowGrant(PendingGrant& grant);
    bool WasMined(const PendingGrant& grant) const;
    void Release(const Txid& txid, PendingGrant& grant);

    // One transaction, then the strand is given back for others.
    void GrantSome();
    void GrantOnceSynced();
    std::vector<OutPoint> TakeReady();
    // Grants all of them in one transaction; if it cannot be, its halves.
    void GrantOrSplit(std::span<const OutPoint> locks);
    Outcome Grant(std::span<const OutPoint> locks, Amount fee_per_kvb, const PendingGrant* replaced);
    Result<content::Grant> Build(const std::vector<content::GrantItem>& items, Amount fee_per_kvb,
                                 const PendingGrant* replaced, std::vector<OutPoint>& coins);
    sluice::Status Send(const content::Grant& grant, const std::vector<OutPoint>& coins);
    Result<content::GrantItem> ItemOf(const Sale& sale) const;
    void SetRates(Sale& sale) const;
    // Whether the purchase pays for its grant at the market's rate, with what the policy lets us add.
    bool PaysItsWay(const Sale& sale) const;
    Amount MayAdd(std::span<const OutPoint> locks) const;
    // What gets into one of the next blocks.
    Amount MarketRate() const;

    const Environment& m_environment;
    ChainService& m_chain;
    WalletService& m_wallet;
    SellerStore m_store;
    const SalePolicy m_policy;
    EventHub& m_events;
    std::map<OutPoint, Sale> m_waiting;
    std::set<std::pair<Height, OutPoint>> m_by_depth;  // by deep_at: not deep enough yet
    std::set<std::pair<Height, OutPoint>> m_ready;     // by refund height: the most urgent first
    std::map<Txid, PendingGrant> m_grants;
    std::map<OutPoint, Ended> m_ended;  // in the newest k blocks
    std::deque<std::pair<Height, OutPoint>> m_ended_order;
    uint64_t m_granted{0};
    Amount m_market{};  // when the turn began
    bool m_has_coins{false};
    bool m_granting{false};  // a turn is posted
    bool m_waits_for_sync{false};
    std::shared_ptr<std::atomic<bool>> m_alive = std::make_shared<std::atomic<bool>>(true);
};

}  // namespace sluice::node
