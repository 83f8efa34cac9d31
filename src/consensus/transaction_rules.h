#pragma once

#include "consensus/record_rules.h"

// The two halves of ApplyTransaction, for block_rules.cpp, which has to see the form of all before the effect of any.

namespace sluice::consensus {

struct TxForm {
    std::vector<PlacedRecord> records;
    size_t record_bytes{0};
};

// CheckTransaction, keeping what it decoded.
Verdict<TxForm> CheckTransactionForm(const Params& params, const Transaction& tx);
// ApplyTransaction for a transaction whose form is known. `state` is untouched if it is invalid.
Verdict<TxEffect> ApplyFormed(const Params& params, const TxContext& context, StateCache& state,
                              const TransactionRef& tx, const TxForm& form);

// Adds a coin for each output that is not a record; stake outputs count for their stakers.
void AddCoins(const Params& params, Height height, Slot slot, StateCache& state, const Transaction& tx,
              const std::vector<CoinKind>& kinds);

}  // namespace sluice::consensus
