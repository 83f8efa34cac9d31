#pragma once

#include "consensus/genesis.h"

namespace sluice::sim {

// A coin whose key we have.
struct OwnCoin {
    OutPoint outpoint;
    TxOutput output;
};

// The key of the n-th purse of a scenario, and the scripts that it owns: plain, and staked with somebody.
class Purse {
  public:
    explicit Purse(uint64_t number);
    const XOnlyPubKey& key() const { return m_output_key; }
    Script PlainScript() const { return TaprootScript(m_output_key); }
    Script StakedScript(const StakerId& staker) const { return StakeScript(m_output_key, staker); }

    // Spends `coins` of this purse into `outputs`, signed by the key path.
    TransactionRef Spend(const std::vector<OwnCoin>& coins, std::vector<TxOutput> outputs) const;
    // All of one coin to one script, less the fee.
    TransactionRef Move(const OwnCoin& coin, Script to, Amount fee = Amount(10'000)) const;

  private:
    crypto::SecretKey m_secret;
    XOnlyPubKey m_output_key;
};

// Output `index` of a transaction.
OwnCoin CoinOf(const Transaction& tx, uint32_t index);

}  // namespace sluice::sim
