#include "sim/adversaries/coins.h"

#include "consensus/sighash.h"

namespace sluice::sim {
namespace {

crypto::SecretKey OutputSecret(uint64_t number) {
    const auto key = crypto::SecretKey::FromBytes(crypto::TaggedHash("Sluice/sim-purse", Encode(number)).bytes);
    CHECK(key.has_value());
    auto tweaked = key->TapTweak(std::nullopt);
    CHECK(tweaked.has_value());
    return std::move(*tweaked);
}

}  // namespace

Purse::Purse(uint64_t number) : m_secret(OutputSecret(number)), m_output_key(m_secret.XOnly()) {}

TransactionRef Purse::Spend(const std::vector<OwnCoin>& coins, std::vector<TxOutput> outputs) const {
    MutableTransaction tx;
    std::vector<TxOutput> spent;
    for (const OwnCoin& coin : coins) {
        tx.inputs.push_back({coin.outpoint, {}, 0xfffffffd, {}});
        spent.push_back(coin.output);
    }
    tx.outputs = std::move(outputs);
    std::vector<Bytes> signatures;
    const consensus::SpendingTransaction spending(tx, spent);
    for (size_t i = 0; i < coins.size(); ++i)
        signatures.push_back(ToBytes(m_secret.Sign(*spending.SignatureHash(i, consensus::kSighashDefault)).bytes));
    for (size_t i = 0; i < coins.size(); ++i) tx.inputs[i].witness = {signatures[i]};
    return MakeTransaction(std::move(tx));
}

TransactionRef Purse::Move(const OwnCoin& coin, Script to, Amount fee) const {
    CHECK(coin.output.value > fee);
    return Spend({coin}, {{Amount(coin.output.value.drops - fee.drops), std::move(to)}});
}

OwnCoin CoinOf(const Transaction& tx, uint32_t index) { return {tx.Output(index), tx.outputs()[index]}; }

}  // namespace sluice::sim
