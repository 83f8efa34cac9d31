#pragma once

#include <map>
#include <memory>
#include <set>

#include "node/swarm_service.h"
#include "node/wallet_service.h"

namespace sluice::node {

struct SettleOutcome {
    Txid txid;
    size_t channels{0};
    Amount take;
    Amount fee;
    Amount burned;
    Amount returned;
};

// Channels on the chain: opens those that downloads want, looks up those that payers show, watches all of them, settles
// what was earned and takes back what expired. Belongs to the chain strand; its ChannelOutlet calls come from the
// network strand.
class PaymentAgent final : public ChannelOutlet, public ChainListener {
  public:
    // An opening that a payer shows may be on its way to us: it is waited for this long.
    static constexpr seconds kOpeningPatience{30};

    PaymentAgent(const Environment& environment, ChainService& chain, WalletService& wallet, SwarmService& swarm,
                 content::PayeeSeeds seeds, Alive alive)
        : m_environment(environment),
          m_chain(chain),
          m_wallet(wallet),
          m_swarm(swarm),
          m_seeds(std::move(seeds)),
          m_alive(std::move(alive)) {}

    // Takes up channels from before the restart. `payer` ones need the wallet's keys.
    void Resume(const std::vector<content::PayerChannel>& payer, const std::vector<content::PayeeChannel>& payee);
    // Settles these channels (the swarm's, after CloseForSettling) in one transaction. kFunds if none is worth it.
    Result<SettleOutcome> Settle(const std::vector<content::PayeeChannel>& channels);

    void OpenChannels(const content::WantChannels& wanted) override;
    void CheckChannel(const content::CheckChannel& check) override;

    void OnTipChanged(const chain::TipChange& change) override;
    void OnTransactionAccepted(const TransactionRef& tx) override;
    void OnTransactionRemoved(const chain::RemovedTransaction&) override {}

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
    void TakeRefunds();
    // Settles what comes close to its expiry without being asked.
    void SettleDue(Height height);
    // Runs `task` on the network strand unless the node is gone by then.
    void PostToSwarm(std::function<void(SwarmService&)> task);

    const Environment& m_environment;
    ChainService& m_chain;
    WalletService& m_wallet;
    SwarmService& m_swarm;
    content::PayeeSeeds m_seeds;
    Alive m_alive;
    Script m_take_script;                   // where the next settlement pays; empty: not chosen
    std::map<OutPoint, Watched> m_watched;  // until they are spent k blocks deep
    std::multimap<Txid, Check> m_waiting;   // openings that were shown and are not here yet
};

}  // namespace sluice::node
