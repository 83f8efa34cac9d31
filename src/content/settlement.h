#pragma once

#include "consensus/block_rules.h"
#include "content/channel.h"

// Settlement: the highest vouchers of many channels in one transaction.
//
//   inputs   channel 0 .. n-1 through leaf 1       [extra inputs]
//   outputs  X_0 .. X_{n-1} to the payers' scripts | the take, to us | the settle record
//
// nVersion 3, nLockTime 0, sequence 0xfffffffd; the fee and what the record burns come out of the take.

namespace sluice::content {

inline constexpr size_t kMaxSettledAtOnce = kMaxSettledChannels;

// The weight that one more channel adds to a settlement, and what it costs at a fee rate: input, witness, output,
// record bytes, burn.
Amount MarginalSettleCost(const consensus::Params& params, Amount fee_per_kvb);
// What the terms ask of the first voucher: twice that.
Amount FirstVoucher(const consensus::Params& params, Amount fee_per_kvb);
// True if settling this channel brings more than it costs.
bool WorthSettling(const consensus::Params& params, const PayeeChannel& channel, Amount fee_per_kvb);

struct Settlement {
    MutableTransaction tx;
    std::vector<TxOutput> spent;  // of the inputs, in order
    std::vector<OutPoint> channels;
    Amount take;  // of our output
    Amount fee;
    Amount burned;
    Amount returned;  // sum of X
};

// Of those that are worth it, at most kMaxSettledAtOnce, the most valuable first. kFunds if nothing is worth it. Every
// input is verified before it returns.
Result<Settlement> BuildSettlement(const consensus::Params& params, const BlockHash& genesis,
                                   const std::vector<PayeeChannel>& channels, const SecretBytes<32>& payee_seed,
                                   const Script& take_script, Amount fee_per_kvb);

// The payer's way out once the height is reached: spends the refund leaf to `to_script`, minus the fee.
Result<MutableTransaction> BuildChannelRefund(const ChannelLock& lock, const crypto::SecretKey& payer_key,
                                              const Script& to_script, Amount fee_per_kvb);

}  // namespace sluice::content
