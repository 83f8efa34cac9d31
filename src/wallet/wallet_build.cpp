#include <fmt/format.h>

#include "primitives/script.h"
#include "wallet/transaction_builder.h"

// Payments, refunds, replacements; and what becomes of built transactions.

namespace sluice::wallet {
namespace {

using consensus::CoinKind;
using Draft = TransactionBuilder::Draft;

Status CheckAmount(Amount amount, std::string_view field) {
    if (amount == Amount(0)) return Fail(fmt::format("{} is 0", field));
    if (!InMoneyRange(amount))
        return Fail(fmt::format("{} is over the supply of {} SLU", field, FormatSlu(kMaxSupply)));
    if (amount < kDust)
        return Fail(fmt::format("{} is {} drops: less than {} is not relayed", field, amount.drops, kDust.drops));
    return {};
}

}  // namespace

Result<BuiltTransaction> Wallet::BuildPayment(const PaymentRequest& request) {
    if (request.payments.empty()) return Fail("payments is empty: name an address and an amount");
    Draft draft;
    Amount total;
    for (size_t i = 0; i < request.payments.size(); ++i) {
        const Payment& payment = request.payments[i];
        RETURN_IF_ERROR(CheckAmount(payment.amount, fmt::format("amount {}", i + 1)));
        const auto script = ParseOutputScript(payment.script);
        if (!script || script->kind == OutputKind::kRecord)
            return Fail(fmt::format("address {} is neither taproot nor stake", i + 1));
        if (script->kind == OutputKind::kStake) RETURN_IF_ERROR(CheckDelegate(script->staker));
        const auto sum = Add(total, payment.amount);
        if (!sum) return Fail("the amounts sum to more than the supply");
        total = *sum;
        draft.outputs.push_back({payment.amount, payment.script});
    }
    if (request.subtract_fee) draft.subtract_fee_from = 0;
    return TransactionBuilder(*this, request.feerate_per_kvb).Build(draft);
}

std::vector<OutPoint> Wallet::RefundableLocks() const {
    std::vector<OutPoint> locks;
    const auto add = [&](const OutPoint& lock, Height height) {
        const auto coin = m_store.coins().find(lock);
        if (coin == m_store.coins().end() || coin->second.spent_by || !coin->second.height) return;
        if (NextHeight() > height) locks.push_back(lock);
    };
    for (const auto& [lock, purchase] : m_store.purchases()) add(lock, purchase.refund_height);
    for (const auto& [lock, channel] : m_store.channels()) add(lock, channel.expiry_height);
    return locks;
}

Result<BuiltTransaction> Wallet::BuildRefund(const OutPoint& lock, uint64_t feerate_per_kvb) {
    const auto coin = m_store.coins().find(lock);
    const auto purchase = m_store.purchases().find(lock);
    const auto channel = m_store.channels().find(lock);
    const bool is_purchase = purchase != m_store.purchases().end();
    if (coin == m_store.coins().end() || (!is_purchase && channel == m_store.channels().end()))
        return Fail(ErrorKind::kNotFound, "no purchase or channel of this wallet is at " + lock.ToString());
    if (coin->second.spent_by)
        return Fail("the lock at " + lock.ToString() + " is spent: it was granted, settled or refunded");
    const Height height = is_purchase ? purchase->second.refund_height : channel->second.expiry_height;
    if (NextHeight() <= height)
        return Fail(ErrorKind::kUnavailable,
                    fmt::format("the refund opens in the block after height {}, the next block is {}", ToString(height),
                                ToString(NextHeight())));
    if (is_purchase && !purchase->second.terms)
        return Fail(ErrorKind::kUnavailable,
                    "the publish that was bought is not known to this node: sync it, then try again");
    Draft draft;
    draft.select_coins = false;
    draft.fixed_inputs.push_back(lock);
    draft.lock_time = height.value;
    return TransactionBuilder(*this, feerate_per_kvb).Build(draft);
}

Status Wallet::Commit(const BuiltTransaction& built) {
    for (const TxInput& input : built.tx->inputs()) m_reserved.erase(input.prevout);
    RETURN_IF_ERROR(AddUnconfirmed(built.tx));
    if (m_store.transactions().contains(built.tx->txid())) return {};
    return Fail(ErrorKind::kUnavailable, "a block has spent a coin of the transaction meanwhile: build it again");
}

void Wallet::Abandon(const BuiltTransaction& built) {
    for (const TxInput& input : built.tx->inputs()) m_reserved.erase(input.prevout);
}

}  // namespace sluice::wallet
