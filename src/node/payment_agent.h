#pragma once

#include <map>
#include <memory>
#include <set>

#include "node/swarm_service.h"
#include "node/wallet_service.h"

namespace sluice::node {

// What a round of settling did, in one transaction or several.
struct SettleOutcome {
    std::vector<Txid> txids;
    size_t channels{0};
    Amount take;
    Amount fee;
    Amount burned;
    Amount returned;
};

// Channels on the chain: opens those that downloads want, looks up those that payers show, watches all of them, settles
// what was earned and takes back what expired. Belongs to the chain strand; its ChannelOutlet calls come from the
// network strand.
//
// With every block, and when a payer's refund shows up, it settles what content/settlement.h calls due, as that says:
// a settlement that waits too long is replaced by one that pays more, and one that lost an input is built again
// without it. A refund that waits is replaced too; one that lost its place to a settlement or a grant is over. Nothing
// of it is in memory alone: after a restart it finds in the mempool and the chain what is on its way.
class PaymentAgent final : public ChannelOutlet, public ChainListener {
  public:
    // An opening that a payer shows may be on its way to us: it is waited for this long.
    static constexpr seconds kOpeningPatience{30};

    // `settle_idle`: a channel that brings enough is settled once it was not used for so long.
    PaymentAgent(const Environment& environment, ChainService& chain, WalletService& wallet, SwarmService& swarm,
                 content::PayeeSeeds seeds, seconds settle_idle, Alive alive)
        : m_environment(environment),
          m_chain(chain),
          m_wallet(wallet),
          m_swarm(swarm),
          m_seeds(std::move(seeds)),
          m_settle_idle(settle_idle),
          m_alive(std::move(alive)) {}

    // Takes up channels from before the restart. `payer` ones need the wallet's keys.
    void Resume(const std::vector<content::PayerChannel>& payer, const std::vector<content::PayeeChannel>& payee);
    // Settles these channels (the swarm's, after CloseForSettling), up to 500 in a transaction. kFunds if none is worth
    // it.
    Result<SettleOutcome> Settle(const std::vector<content::PayeeChannel>& channels);
    // Channels of a backup, and the seeds of their keys.
    void Restore(const std::vector<content::PayeeChannel>& channels, std::vector<SecretBytes<32>> seeds);
    // New channels' keys come from this seed: the wallet's, as soon as there is one.
    void SetSeed(SecretBytes<32> seed) { m_seeds.Add(std::move(seed)); }
    // What settling and opening pay now.
    Amount FeePerKvb() const;
    // How deep a channel's opening is; nullopt: neither in a block nor in the mempool, or spent.
    std::optional<uint32_t> DepthOf(const OutPoint& channel) const;

    void OpenChannels(const content::WantChannels& wanted) override;
    void CheckChannel(const content::CheckChannel& check) override;

    void OnTipChanged(const chain::TipChange& change) override;
    void OnTransactionAccepted(const TransactionRef& tx) override;
    void OnTransactionRemoved(const chain::RemovedTransaction& removed) override;

  private:
    struct Check {
        PeerId peer;
        content::ChannelLock lock;
    };
    Status Open(const content::WantChannels& wanted);
    std::optional<content::ChannelFacts> FactsOf(const OutPoint& outpoint) const;
    void Answer(const Check& check, const std::optional<content::ChannelFacts>& facts);
    void Watch(const OutPoint& outpoint);
    struct Watched {
        std::optional<uint32_t> depth;       // that the swarm was told
        std::optional<Height> spent_height;  // it was told that the channel is spent
    };
    void Look(const OutPoint& outpoint, Watched& watched);
    // Sends refunds whose height has come, and raises those that wait (content::NextRefundRate).
    void TakeRefunds();
    Result<wallet::BuiltTransaction> BuildRefund(wallet::Wallet& wallet, const OutPoint& lock) const;
    void RaiseRefund(wallet::Wallet& wallet, const OutPoint& lock, const chain::MempoolEntry& entry);
    // Settles what is due without being asked.
    void SettleDue();
    // `channels`: all that earn; `due` of them are to be settled.
    void SettleRound(const std::vector<content::PayeeChannel>& channels, const std::set<OutPoint>& due);
    // One transaction, at this rate. `replaced`: ours, which it replaces, paying to the same script.
    Result<SettleOutcome> SendSettlement(const std::vector<content::PayeeChannel>& channels, Amount fee_per_kvb,
                                         const TransactionRef& replaced = nullptr);
    // Runs `task` on the network strand unless the node is gone by then.
    void PostToSwarm(std::function<void(SwarmService&)> task);

    const Environment& m_environment;
    ChainService& m_chain;
    WalletService& m_wallet;
    SwarmService& m_swarm;
    content::PayeeSeeds m_seeds;
    const seconds m_settle_idle;
    Alive m_alive;
    Script m_take_script;                            // where the next settlement pays; empty: not chosen
    std::map<OutPoint, Watched> m_watched;           // until they are spent k blocks deep
    std::multimap<Txid, Check> m_waiting;            // openings that were shown and are not here yet
    std::map<Txid, std::vector<OutPoint>> m_opened;  // channels that we pay, by their opening
    std::map<Txid, Height> m_settling;               // settlements in the mempool, since when
    std::map<Txid, Height> m_refunding;              // refunds of ours in the mempool, since when
};

}  // namespace sluice::node
