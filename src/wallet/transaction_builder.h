#pragma once

#include "wallet/wallet.h"

// How every transaction of a wallet is made: fund, fill in, sign, verify. Not for other folders.

namespace sluice::wallet {

class TransactionBuilder {
  public:
    // What a transaction is to do. Sizes are fixed from the start: `fill` changes contents only.
    struct Draft {
        std::vector<TxOutput> outputs;       // without change
        std::vector<OutPoint> fixed_inputs;  // spent first, in this order
        uint32_t lock_time{0};
        bool select_coins{true};                  // add coins of ours as needed
        std::optional<Script> change_script;      // of ours, instead of a fresh one
        bool change_needed{false};                // what is left may not all go to the fee
        std::optional<size_t> subtract_fee_from;  // an output
        Amount replaced_fee;                      // of a transaction that this one replaces
        std::optional<Txid> replaced;
        size_t annex_bytes{0};  // of the first input
        // Once the inputs are chosen: what hangs on the first of them.
        std::function<void(MutableTransaction& tx)> fill;
        // Once all but the witnesses is there.
        std::function<Result<Bytes>(const MutableTransaction& tx)> annex;
    };

    TransactionBuilder(Wallet& wallet, uint64_t feerate_per_kvb)
        : m_wallet(wallet), m_feerate(feerate_per_kvb), m_next_change(wallet.m_store.meta().next[1]) {}

    // The inputs are reserved when it succeeds.
    Result<BuiltTransaction> Build(const Draft& draft);
    // Scripts of ours that no transaction has used, each call another.
    XOnlyPubKey TakeChangeKey();

  private:
    struct Money {
        uint64_t in{0};  // with what was accrued
        uint64_t out{0};
        uint64_t burned{0};
        uint64_t accrued{0};
    };

    Status CheckFeerate() const;
    Result<MutableTransaction> Fund(const Draft& draft);
    Result<MutableTransaction> FundSubtracting(const Draft& draft);
    Result<std::vector<OutPoint>> Select(const Draft& draft, Amount target, uint64_t feerate);
    std::vector<Candidate> Candidates(const Draft& draft, bool unconfirmed) const;
    MutableTransaction Skeleton(const Draft& draft, const std::vector<OutPoint>& selected) const;
    Money MoneyOf(const MutableTransaction& tx) const;
    // With witnesses of the right sizes.
    size_t WeightOf(const MutableTransaction& tx, size_t annex_bytes) const;
    uint64_t RequiredFee(const Draft& draft, size_t weight) const;
    const OwnedCoin& CoinAt(const OutPoint& outpoint) const;
    std::optional<consensus::LockTemplate> LockOf(const OutPoint& outpoint) const;
    crypto::SecretKey LockSecret(const OutPoint& lock) const;
    Status Sign(MutableTransaction& tx, const std::optional<Bytes>& annex);
    Status Verify(const MutableTransaction& tx) const;

    Wallet& m_wallet;
    const uint64_t m_feerate;
    uint32_t m_next_change;
};

// An output that carries a record.
TxOutput RecordOutput(const Record& record);

}  // namespace sluice::wallet
