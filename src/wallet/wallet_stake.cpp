#include <fmt/format.h>

#include <algorithm>

#include "consensus/snapshot.h"
#include "consensus/staker_rules.h"
#include "primitives/script.h"
#include "wallet/transaction_builder.h"

// Delegations, and the bonds of stakers.

namespace sluice::wallet {
namespace {

using consensus::CoinKind;
using consensus::StakerStatus;
using Draft = TransactionBuilder::Draft;

constexpr uint64_t kEpochsUntilStakeEarns = 3;

std::optional<StakerId> StakerOf(const TxOutput& output) {
    const auto script = ParseOutputScript(output.script);
    if (!script || script->kind != OutputKind::kStake) return std::nullopt;
    return script->staker;
}

bool BearsEvidence(const Transaction& tx) {
    for (const TxOutput& output : tx.outputs()) {
        const auto script = ParseOutputScript(output.script);
        if (!script || script->kind != OutputKind::kRecord) continue;
        const auto record = DecodeRecord(script->record);
        if (record && std::holds_alternative<EvidenceRecord>(*record)) return true;
    }
    return false;
}

Status CheckMoney(Amount amount, std::string_view field) {
    if (!InMoneyRange(amount))
        return Fail(fmt::format("{} is over the supply of {} SLU", field, FormatSlu(kMaxSupply)));
    if (amount < kDust)
        return Fail(fmt::format("{} is {} drops: less than {} is not relayed", field, amount.drops, kDust.drops));
    return {};
}

}  // namespace

Slot Wallet::NextSlot() const { return m_lookups.next_slot ? m_lookups.next_slot() : Slot(0); }

Amount Wallet::AccruedOf(const OutPoint& outpoint, const OwnedCoin& coin, std::optional<Epoch> epoch) const {
    if (!coin.height || !m_lookups.accrued || !StakerOf(coin.output)) return {};
    const auto made_by = m_store.transactions().find(outpoint.txid);
    if (made_by == m_store.transactions().end()) return {};
    const consensus::Coin as_coin{coin.output, *coin.height, made_by->second.slot, coin.coinbase, coin.kind};
    return m_lookups.accrued(as_coin, epoch ? *epoch : m_network.params.EpochOf(NextSlot()));
}

Status Wallet::CheckDelegate(const StakerId& staker) const {
    const auto state = m_lookups.staker ? m_lookups.staker(staker) : std::nullopt;
    if (state && state->status == StakerStatus::kActive) return {};
    if (!state)
        return Fail(
            fmt::format("{} is no active staker: the id is not registered, and stake sent to it would earn "
                        "nothing",
                        staker.Hex()));
    return Fail(fmt::format("{} is no active staker: it is {}, and stake sent to it would earn nothing", staker.Hex(),
                            consensus::StakerStatusName(state->status)));
}

std::vector<StakeView> Wallet::Stakes() const {
    std::vector<StakeView> views;
    for (const auto& [outpoint, coin] : m_store.coins()) {
        const auto staker = StakerOf(coin.output);
        if (coin.spent_by || !coin.key || !staker) continue;
        StakeView view{outpoint, coin.output.value, *staker, {}, {}, AccruedOf(outpoint, coin), coin.claim, false};
        if (!coin.height) {
            view.earns_from = m_network.params.EpochOf(NextSlot()) + kEpochsUntilStakeEarns;
        } else if (*coin.height == Height(0)) {
            view.created = consensus::kGenesisStakeEpoch;
        } else {
            view.created = m_network.params.EpochOf(m_store.transactions().at(outpoint.txid).slot);
            view.earns_from = *view.created + kEpochsUntilStakeEarns;
        }
        view.spendable = coin.kind == CoinKind::kPlain && IsMature(coin) && (coin.height || coin.trusted) &&
                         !m_store.locked().contains(outpoint) && !m_reserved.contains(outpoint);
        views.push_back(std::move(view));
    }
    return views;
}

Result<BuiltTransaction> Wallet::BuildDelegation(const StakerId& staker, Amount amount, uint64_t feerate_per_kvb) {
    RETURN_IF_ERROR(CheckMoney(amount, "amount"));
    RETURN_IF_ERROR(CheckDelegate(staker));
    TransactionBuilder builder(*this, feerate_per_kvb);
    Draft draft;
    draft.outputs.push_back({amount, StakeScript(builder.TakeChangeKey(), staker)});
    return builder.Build(draft);
}

// Newest first: they have earned the least, and perhaps do not earn yet.
std::vector<StakeView> Wallet::ChooseStake(const UndelegationRequest& request) const {
    std::vector<StakeView> stakes = Stakes();
    std::erase_if(stakes, [&](const StakeView& view) {
        return !view.spendable || (request.from && view.staker != *request.from);
    });
    const auto age = [](const StakeView& view) {
        // Genesis is the oldest, what is unconfirmed the newest.
        return !view.created                                    ? UINT64_MAX
               : *view.created == consensus::kGenesisStakeEpoch ? 0
                                                                : view.created->value + 1;
    };
    std::stable_sort(stakes.begin(), stakes.end(),
                     [&](const StakeView& a, const StakeView& b) { return age(a) > age(b); });
    return stakes;
}

Result<BuiltTransaction> Wallet::BuildUndelegation(const UndelegationRequest& request) {
    if (request.amount) RETURN_IF_ERROR(CheckMoney(*request.amount, "amount"));
    if (request.to) RETURN_IF_ERROR(CheckDelegate(*request.to));
    std::vector<StakeView> stakes = ChooseStake(request);
    if (request.to) std::erase_if(stakes, [&](const StakeView& view) { return view.staker == *request.to; });
    if (stakes.empty())
        return Fail(ErrorKind::kNotFound, request.from ? "the wallet has no stake with " + request.from->Hex()
                                                       : std::string("the wallet has no stake"));
    TransactionBuilder builder(*this, request.feerate_per_kvb);
    Draft draft;
    draft.select_coins = false;
    draft.change_needed = true;
    uint64_t taken = 0;
    for (const StakeView& view : stakes) {
        if (request.amount && taken >= request.amount->drops) break;
        if (draft.fixed_inputs.size() == kMaxUndelegatedCoins) break;
        draft.fixed_inputs.push_back(view.outpoint);
        taken += view.amount.drops;
        if (request.amount && view.staker != stakes[0].staker)
            return Fail("the stake is with several stakers: name the one that the amount is taken from");
    }
    if (request.amount && taken < request.amount->drops) {
        if (draft.fixed_inputs.size() == kMaxUndelegatedCoins)
            return Fail(fmt::format("{} SLU of stake are in more than {} coins: take less at once",
                                    FormatSlu(*request.amount), kMaxUndelegatedCoins));
        return Fail(ErrorKind::kFunds, fmt::format("{} SLU are to be taken back, the stake that can be spent is {} SLU",
                                                   FormatSlu(*request.amount), FormatSlu(Amount(taken))));
    }
    const uint64_t rest = request.amount ? taken - request.amount->drops : 0;
    if (rest >= kDust.drops)
        draft.outputs.push_back({Amount(rest), StakeScript(builder.TakeChangeKey(), stakes[0].staker)});
    if (request.to) draft.change_script = StakeScript(builder.TakeChangeKey(), *request.to);
    return builder.Build(draft);
}

Result<BuiltTransaction> Wallet::BuildReclaim(const Txid& txid) {
    const auto entry = FindTransaction(txid);
    if (!entry) return Fail(ErrorKind::kNotFound, "the wallet has no transaction " + txid.Hex());
    if (entry->block) return Fail("the transaction is in a block already");
    Draft draft;
    draft.select_coins = false;
    draft.change_needed = true;
    draft.lock_time = entry->tx->tx().lock_time;
    draft.outputs = entry->tx->outputs();
    draft.replaced = txid;
    for (const TxInput& input : entry->tx->inputs()) {
        const auto coin = m_store.coins().find(input.prevout);
        if (coin == m_store.coins().end() || !coin->second.key || coin->second.spent_by != txid ||
            consensus::FindAnnex(input.witness))
            return Fail("the transaction is not one of stake that this wallet made alone");
        draft.fixed_inputs.push_back(input.prevout);
    }
    // The last output that is ours and no anchor or bond takes what is more.
    for (size_t i = draft.outputs.size(); i-- > 0;) {
        const auto coin = m_store.coins().find(entry->tx->Output(static_cast<uint32_t>(i)));
        if (coin == m_store.coins().end() || coin->second.kind != CoinKind::kPlain) continue;
        if (coin->second.spent_by) return Fail(ErrorKind::kUnavailable, "another transaction is built on this one");
        if (i + 1 == draft.outputs.size()) {
            draft.change_script = draft.outputs[i].script;
            draft.outputs.pop_back();
        }
        break;
    }
    return TransactionBuilder(*this, kDefaultFeePerKvb).Build(draft);
}

std::vector<BondView> Wallet::Bonds() const {
    std::map<StakerId, BondView> newest;
    for (const auto& [outpoint, coin] : m_store.coins()) {
        if (coin.kind != CoinKind::kBond || !coin.staker) continue;
        BondView view{*coin.staker, outpoint, coin.output.value, BondStatus::kUnconfirmed, {}};
        if (coin.spent_by) {
            const auto spender = FindTransaction(*coin.spent_by);
            CHECK(spender.has_value());  // it is kept as long as the coin
            bool moved = false;
            for (uint32_t i = 0; i < spender->tx->outputs().size(); ++i) {
                const auto next = m_store.coins().find(spender->tx->Output(i));
                moved |= next != m_store.coins().end() && next->second.staker == coin.staker;
            }
            if (moved) continue;
            view.status = BearsEvidence(*spender->tx) ? BondStatus::kSlashed : BondStatus::kReleased;
        } else if (coin.height) {
            view.status = BondStatus::kBonded;
            const auto state = m_lookups.staker ? m_lookups.staker(*coin.staker) : std::nullopt;
            if (state && state->status == StakerStatus::kExiting) {
                view.free_at = state->exit_slot + m_network.params.unbonding_slots;
                view.status = NextSlot() >= *view.free_at ? BondStatus::kFree : BondStatus::kExiting;
            }
        }
        newest.insert_or_assign(*coin.staker, view);
    }
    std::vector<BondView> views;
    for (auto& [staker, view] : newest) views.push_back(std::move(view));
    return views;
}

Result<Wallet::FoundBond> Wallet::FindBond(const StakerId& staker) const {
    for (const auto& [outpoint, coin] : m_store.coins()) {
        if (coin.kind != CoinKind::kBond || coin.staker != staker || coin.spent_by) continue;
        if (m_reserved.contains(outpoint))
            return Fail(ErrorKind::kUnavailable,
                        "the bond of " + staker.Hex() + " is being spent by another transaction");
        const auto state = m_lookups.staker ? m_lookups.staker(staker) : std::nullopt;
        if (!coin.height || !state || state->bond != outpoint)
            return Fail(ErrorKind::kUnavailable,
                        "the bond of " + staker.Hex() + " is not in a block yet: try again once it is");
        return FoundBond{outpoint, coin, *state};
    }
    return Fail(ErrorKind::kNotFound, "this wallet holds no bond of staker " + staker.Hex());
}

Result<BuiltRegistration> Wallet::BuildRegister(const RegistrationRequest& request) {
    RegisterRecord record = request.record;
    if (record.updates) return Fail("updates is set: a registration makes a new staker");
    TransactionBuilder builder(*this, request.feerate_per_kvb);
    if (record.payout_script.empty()) record.payout_script = TaprootScript(builder.TakeChangeKey());
    if (const auto verdict = consensus::CheckRegister(record); !verdict) return Fail(verdict.error().ToString());
    const Amount bond = request.bond.value_or(m_network.params.bond);
    if (!InMoneyRange(bond)) return Fail("bond is over the supply");
    if (bond < m_network.params.bond)
        return Fail(
            fmt::format("bond is {} SLU, it must be at least {}", FormatSlu(bond), FormatSlu(m_network.params.bond)));
    Draft draft;
    draft.outputs = {RecordOutput(record), {bond, TaprootScript(builder.TakeChangeKey())}};
    ASSIGN_OR_RETURN(BuiltTransaction built, builder.Build(draft));
    const StakerId id = consensus::MakeStakerId(built.tx->inputs()[0].prevout, 0);
    const OutPoint at = built.tx->Output(1);
    return BuiltRegistration{std::move(built), id, at};
}

Result<BuiltTransaction> Wallet::BuildUpdate(RegisterRecord record, uint64_t feerate_per_kvb) {
    if (!record.updates) return Fail("updates is missing: name the staker that changes");
    if (const auto verdict = consensus::CheckRegister(record); !verdict) return Fail(verdict.error().ToString());
    ASSIGN_OR_RETURN(const FoundBond bond, FindBond(*record.updates));
    if (bond.state.status != StakerStatus::kActive)
        return Fail(fmt::format("staker {} is {} and cannot be changed", record.updates->Hex(),
                                consensus::StakerStatusName(bond.state.status)));
    TransactionBuilder builder(*this, feerate_per_kvb);
    Draft draft;
    draft.fixed_inputs = {bond.outpoint};
    draft.outputs = {RecordOutput(record), {bond.coin.output.value, TaprootScript(builder.TakeChangeKey())}};
    return builder.Build(draft);
}

Result<BuiltTransaction> Wallet::BuildExit(const StakerId& staker, uint64_t feerate_per_kvb) {
    ASSIGN_OR_RETURN(const FoundBond bond, FindBond(staker));
    if (bond.state.status != StakerStatus::kActive)
        return Fail(
            fmt::format("staker {} is {} already", staker.Hex(), consensus::StakerStatusName(bond.state.status)));
    TransactionBuilder builder(*this, feerate_per_kvb);
    Draft draft;
    draft.fixed_inputs = {bond.outpoint};
    draft.outputs = {RecordOutput(ExitRecord{staker}),
                     {bond.coin.output.value, TaprootScript(builder.TakeChangeKey())}};
    return builder.Build(draft);
}

Result<BuiltTransaction> Wallet::BuildReleaseBond(const StakerId& staker, uint64_t feerate_per_kvb) {
    ASSIGN_OR_RETURN(const FoundBond bond, FindBond(staker));
    if (bond.state.status != StakerStatus::kExiting)
        return Fail(fmt::format("staker {} is {}: retire it first, its bond is free {} slots after that", staker.Hex(),
                                consensus::StakerStatusName(bond.state.status), m_network.params.unbonding_slots));
    const Slot free_at = bond.state.exit_slot + m_network.params.unbonding_slots;
    if (NextSlot() < free_at)
        return Fail(ErrorKind::kUnavailable,
                    fmt::format("the bond of staker {} is locked until slot {}, the next block can be of slot {}",
                                staker.Hex(), ToString(free_at), ToString(NextSlot())));
    Draft draft;
    draft.select_coins = false;
    draft.fixed_inputs = {bond.outpoint};
    return TransactionBuilder(*this, feerate_per_kvb).Build(draft);
}

}  // namespace sluice::wallet
