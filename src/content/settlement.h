#pragma once

#include "consensus/block_rules.h"
#include "content/channel.h"

// Settlement: the highest vouchers of many channels in one transaction.
//
//   inputs   channel 0 .. n-1 through leaf 1       [extra inputs]
//   outputs  X_0 .. X_{n-1} to the payers' scripts | the take, to us | the settle record
//
// nVersion 3, nLockTime 0, sequence 0xfffffffd; the fee and what the record burns come out of the take.
//
// When a payee settles, and at what fee:
//   - a channel is ripe once its take is kRedeemFactor times what it adds to a settlement's cost;
//   - ripe channels are settled when nobody uses them any more: settling ends a channel, and one that is in use goes on
//     earning without a transaction;
//   - from SettleMarginBlocks before the expiry on, every channel that brings more than it costs is settled;
//   - a settlement that is not in a block after kSettlePatience blocks is replaced by one at twice the rate: up to
//     PatientSettleRate, and from the margin on for as long as the takes pay for it. What costs more than it brings is
//     left out;
//   - a refund that waits is replaced by the same rule (NextRefundRate).

namespace sluice::content {

inline constexpr size_t kMaxSettledAtOnce = kMaxSettledChannels;

// The weight that one more channel adds to a settlement, and what it costs at a fee rate: input, witness, output,
// record bytes, burn.
Amount MarginalSettleCost(const consensus::Params& params, Amount fee_per_kvb);
// What the terms ask of the first voucher: twice that.
Amount FirstVoucher(const consensus::Params& params, Amount fee_per_kvb);
// What opening so many channels may cost their payer at most, fee and burn: a wallet that cannot do it for that does
// not. `fee_per_kvb` is the expected rate; twice that is allowed, and kOpeningFeePerKvb at the least.
inline constexpr Amount kOpeningFeePerKvb{2'000};
Amount OpeningCost(const consensus::Params& params, size_t channels, Amount fee_per_kvb);

inline constexpr uint64_t kRedeemFactor = 100;
inline constexpr uint32_t kSettlePatience = 2;  // blocks
// True if the fee of settling this channel would be a hundredth of it at most.
bool IsRipe(const consensus::Params& params, const PayeeChannel& channel, Amount fee_per_kvb);
// True if the channel is to be settled by itself at this height. `in_use`: the payer uses it.
bool DueForSettling(const consensus::Params& params, const PayeeChannel& channel, Height tip, bool in_use,
                    Amount fee_per_kvb);
// The rate after `fee_per_kvb` did not get a settlement into a block while `estimate` is what others pay; at most
// kMaxSettleFeePerKvb.
inline constexpr Amount kMaxSettleFeePerKvb{100'000'000};
Amount RaisedSettleRate(Amount fee_per_kvb, Amount estimate);
// The rate at which settling these channels costs a kPatientPart of what it brings: while no expiry is near, a spike of
// fees is not worth more than that, as it passes.
inline constexpr uint64_t kPatientPart = 10;
// What relay asks of a replacement beside a higher rate: this much more per 1,000 vB.
inline constexpr Amount kReplacementStep{1'000};
Amount PatientSettleRate(const consensus::Params& params, const std::vector<PayeeChannel>& channels);
// The way back of a purchase's or channel's lock, as it waits in the mempool.
struct WaitingRefund {
    Amount refunded;  // the lock's value
    size_t vsize{0};
    Amount paid_per_kvb;
    uint32_t waited_blocks{0};  // since it was sent, or replaced last
};
// The rate at which a refund costs a kPatientPart of the lock: no height makes it urgent, so it never pays more.
Amount PatientRefundRate(Amount refunded, size_t vsize);
// The rate that a replacement should pay: twice as much after kSettlePatience blocks, or `estimate`, up to
// PatientRefundRate; nullopt: wait on.
std::optional<Amount> NextRefundRate(const WaitingRefund& refund, Amount estimate);
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

// Of those that are worth it (`all`: that have a voucher) and whose key is of one of the seeds, at most
// kMaxSettledAtOnce, the most valuable first. One that does not verify is left out: it holds up no other. kFunds if
// nothing is worth it. Every input is verified before it returns.
Result<Settlement> BuildSettlement(const consensus::Params& params, const BlockHash& genesis,
                                   const std::vector<PayeeChannel>& channels, const PayeeSeeds& seeds,
                                   const Script& take_script, Amount fee_per_kvb, bool all = false);

// The payer's way out once the height is reached: spends the refund leaf to `to_script`, minus the fee.
Result<MutableTransaction> BuildChannelRefund(const ChannelLock& lock, const crypto::SecretKey& payer_key,
                                              const Script& to_script, Amount fee_per_kvb);

}  // namespace sluice::content
