#include "consensus/transaction_rules.h"

#include <set>

#include "consensus/rewards.h"
#include "consensus/staker_rules.h"
#include "consensus/templates.h"
#include "primitives/script.h"

namespace sluice::consensus {
namespace {

constexpr int32_t kMaxTransactionVersion = 3;
constexpr size_t kForbiddenStrippedBytes = 64;  // could pass for two hashes of a Merkle tree
constexpr uint32_t kLockTimeThreshold = 500'000'000;
constexpr uint32_t kSequenceFinal = 0xffffffff;
constexpr uint32_t kSequenceDisable = uint32_t{1} << 31;
constexpr uint32_t kSequenceTypeTime = uint32_t{1} << 22;
constexpr uint32_t kSequenceMask = 0xffff;
constexpr int kSequenceGranularity = 9;  // 512 seconds

std::string InputName(size_t index) { return "input " + std::to_string(index); }

Verdict<void> CheckInputs(const Transaction& tx) {
    std::set<OutPoint> seen;
    for (size_t i = 0; i < tx.inputs().size(); ++i) {
        const TxInput& input = tx.inputs()[i];
        if (input.prevout.IsNull()) return Reject("bad-txns-prevout-null", InputName(i) + " spends nothing");
        if (!seen.insert(input.prevout).second)
            return Reject("bad-txns-inputs-duplicate", InputName(i) + " spends " + input.prevout.ToString() + " again");
        if (!input.script_sig.empty())
            return Reject("bad-txns-scriptsig", InputName(i) + " has a script outside its witness");
    }
    return {};
}

Verdict<void> CheckOutputs(const Transaction& tx) {
    Amount total;
    for (size_t i = 0; i < tx.outputs().size(); ++i) {
        const TxOutput& output = tx.outputs()[i];
        const std::string name = "output " + std::to_string(i);
        if (!InMoneyRange(output.value)) return Reject("bad-txns-vout-toolarge", name + " is over the supply");
        const auto sum = Add(total, output.value);
        if (!sum) return Reject("bad-txns-txouttotal-toolarge", "the outputs sum to more than the supply");
        total = *sum;
        if (!ParseOutputScript(output.script))
            return Reject("bad-txns-output-script", name + " is neither a taproot, nor a stake, nor a record output");
    }
    return {};
}

// The one annex of our chain carries the pre-signature of a purchase.
Verdict<void> CheckAnnexes(const Transaction& tx, const std::vector<PlacedRecord>& records) {
    const bool purchase = std::any_of(records.begin(), records.end(), [](const PlacedRecord& placed) {
        return std::holds_alternative<PurchaseRecord>(placed.record);
    });
    for (size_t i = 0; i < tx.inputs().size(); ++i) {
        const auto annex = FindAnnex(tx.inputs()[i].witness);
        if (purchase && i == 0) {
            if (!annex || annex->size() != kPurchaseAnnexBytes)
                return Reject("bad-purchase-annex", "the first input of a purchase has no annex of exactly " +
                                                        std::to_string(kPurchaseAnnexBytes) + " bytes");
        } else if (annex) {
            return Reject("bad-annex", InputName(i) + " has an annex: only the first input of a purchase has one");
        }
    }
    return {};
}

Verdict<std::vector<Coin>> FindCoins(const Params& params, const TxContext& context, const StateCache& state,
                                     const Transaction& tx) {
    std::vector<Coin> coins;
    coins.reserve(tx.inputs().size());
    for (size_t i = 0; i < tx.inputs().size(); ++i) {
        const OutPoint& prevout = tx.inputs()[i].prevout;
        auto coin = state.Get<Coin>(prevout);
        if (!coin)
            return Reject(Invalid::What::kMissingInputs, "bad-txns-inputs-missingorspent",
                          InputName(i) + " spends " + prevout.ToString() + ", which does not exist or is spent");
        if (coin->coinbase && context.height - coin->height < int64_t{params.k})
            return Reject(Invalid::What::kPremature, "bad-txns-premature-spend-of-coinbase",
                          InputName(i) + " spends a coinbase less than " + std::to_string(params.k) + " blocks deep");
        coins.push_back(std::move(*coin));
    }
    return coins;
}

// nLockTime: the first block that may hold the transaction is higher, or has a parent later, than it says.
Verdict<void> CheckAbsoluteLock(const Params& params, const TxContext& context, const MutableTransaction& tx) {
    if (tx.lock_time == 0) return {};
    const uint64_t now =
        tx.lock_time < kLockTimeThreshold ? context.height.value : params.SlotSeconds(context.parent_slot);
    if (tx.lock_time < now) return {};
    const bool final = std::all_of(tx.inputs.begin(), tx.inputs.end(),
                                   [](const TxInput& input) { return input.sequence == kSequenceFinal; });
    if (final) return {};
    return Reject(Invalid::What::kPremature, "non-final",
                  "the lock time " + std::to_string(tx.lock_time) + " is not over yet");
}

// BIP68, where the time of a coin is that of its block and the time now that of the parent.
Verdict<void> CheckRelativeLocks(const Params& params, const TxContext& context, const MutableTransaction& tx,
                                 const std::vector<Coin>& spent) {
    if (tx.version < 2) return {};
    const uint64_t now = params.SlotSeconds(context.parent_slot);
    for (size_t i = 0; i < tx.inputs.size(); ++i) {
        const uint32_t sequence = tx.inputs[i].sequence;
        if (sequence & kSequenceDisable) continue;
        const uint64_t lock = sequence & kSequenceMask;
        bool over = false;
        if (sequence & kSequenceTypeTime) {
            over = lock == 0 || params.SlotSeconds(spent[i].slot) + (lock << kSequenceGranularity) <= now;
        } else {
            over = spent[i].height.value + lock <= context.height.value;
        }
        if (!over)
            return Reject(Invalid::What::kPremature, "non-BIP68-final",
                          InputName(i) + " is under a relative lock that is not over yet");
    }
    return {};
}

struct Money {
    Amount fee;
    Amount burned;
};

const EvidenceRecord* EvidenceOf(const TxForm& form) {
    return form.records.empty() ? nullptr : std::get_if<EvidenceRecord>(&form.records[0].record);
}

// `accrued`: what the spent stake coins take out of their stakers' pots.
Verdict<Money> CheckMoney(const Params& params, const Transaction& tx, const TxForm& form,
                          const std::vector<Coin>& spent, Amount accrued) {
    Amount in = accrued, out, burned;
    for (const Coin& coin : spent) {
        const auto sum = Add(in, coin.output.value);
        if (!sum) return Reject("bad-txns-inputvalues-outofrange", "the inputs sum to more than the supply");
        in = *sum;
    }
    for (const TxOutput& output : tx.outputs()) out.drops += output.value.drops;  // in range: CheckOutputs
    if (in < out)
        return Reject("bad-txns-in-belowout", "the inputs hold " + FormatSlu(in) + ", the outputs " + FormatSlu(out));
    if (EvidenceOf(form)) {
        const Amount fee(in.drops * kEvidenceFeePercent / 100);
        return Money{fee, Amount(in.drops - fee.drops)};
    }
    for (const PlacedRecord& placed : form.records) {
        const auto sum = Add(burned, RecordFee(params, placed.bytes.size()));
        if (!sum) return Reject("bad-record-fee", "the record fees are over the supply");
        burned = *sum;
    }
    const auto fee = Subtract(Amount(in.drops - out.drops), burned);
    if (!fee)
        return Reject("bad-record-fee", "the records burn " + FormatSlu(burned) + ", the inputs leave " +
                                            FormatSlu(Amount(in.drops - out.drops)));
    return Money{*fee, burned};
}

// Takes what the spent stake coins have earned out of their stakers' pots, and the coins out of the stake.
Verdict<Amount> SpendStake(const Params& params, const TxContext& context, StateCache& state,
                           const std::vector<Coin>& spent) {
    Amount accrued;
    for (const Coin& coin : spent) {
        const auto parsed = ParseOutputScript(coin.output.script);
        if (!parsed || parsed->kind != OutputKind::kStake) continue;
        const Amount reward = AccruedReward(params, state, coin, params.EpochOf(context.slot));
        if (reward.drops != 0) {
            auto staker = state.Get<StakerState>(parsed->staker);
            if (!staker || staker->pot < reward)
                return Reject(Invalid::What::kMissingInputs, "bad-stake-reward",
                              "the rewards of staker " + parsed->staker.Hex() + " could not be read");
            staker->pot.drops -= reward.drops;
            state.Put(parsed->staker, *staker);
            accrued.drops += reward.drops;
        }
        RemoveStake(state, parsed->staker, coin.output.value, StakeEpoch(params, coin));
    }
    return accrued;
}

bool SignsAll(uint8_t hash_type) { return hash_type == kSighashDefault || hash_type == kSighashAll; }

// The owner of a lock may have signed its one output only, before the transaction was known; the payee signs all.
bool HashTypesFit(const std::vector<uint8_t>& hash_types, bool pay_leaf) {
    if (!pay_leaf) return std::all_of(hash_types.begin(), hash_types.end(), SignsAll);
    return hash_types.size() == 2 &&
           (SignsAll(hash_types[0]) || hash_types[0] == (kSighashSingle | kSighashAnyoneCanPay)) &&
           hash_types[1] == kSighashDefault;
}

bool Contains(const std::vector<uint32_t>& indexes, size_t index) {
    return std::find(indexes.begin(), indexes.end(), index) != indexes.end();
}

// The two signatures that convict. Not bound to a chain that could not be read: its owner throws the verdict away.
std::vector<SignatureCheck> MakeEvidenceCheck(const StateReader& state, const EvidenceRecord& record,
                                              const XOnlyPubKey& key) {
    const auto chain = state.Get<ChainIdentity>({});
    const BlockHash genesis = chain ? chain->genesis : BlockHash();
    return {{key, record.first.SigningHash(genesis), record.first.signature},
            {key, record.second.SigningHash(genesis), record.second.signature}};
}

}  // namespace

Verdict<TxForm> CheckTransactionForm(const Params& params, const Transaction& tx) {
    if (tx.inputs().empty()) return Reject("bad-txns-vin-empty", "the transaction has no input");
    if (tx.outputs().empty()) return Reject("bad-txns-vout-empty", "the transaction has no output");
    if (tx.tx().version < 1 || tx.tx().version > kMaxTransactionVersion)
        return Reject("bad-txns-version", "the version " + std::to_string(tx.tx().version) + " is not 1 to 3");
    if (tx.stripped_bytes() == kForbiddenStrippedBytes)
        return Reject("bad-txns-stripped-64", "the transaction has exactly 64 bytes without its witnesses");
    if (tx.weight() > kMaxBlockWeight)
        return Reject("bad-txns-oversize",
                      "the weight " + std::to_string(tx.weight()) + " is over " + std::to_string(kMaxBlockWeight));
    RETURN_IF_ERROR(CheckInputs(tx));
    RETURN_IF_ERROR(CheckOutputs(tx));
    TxForm form;
    ASSIGN_OR_RETURN(form.records, ParseRecords(params, tx));
    RETURN_IF_ERROR(CheckAnnexes(tx, form.records));
    for (const PlacedRecord& placed : form.records) form.record_bytes += placed.bytes.size();
    return form;
}

Verdict<void> CheckTransaction(const Params& params, const Transaction& tx) {
    RETURN_IF_ERROR(CheckTransactionForm(params, tx));
    return {};
}

void AddCoins(const Params& params, Height height, Slot slot, StateCache& state, const Transaction& tx,
              const std::vector<CoinKind>& kinds) {
    for (uint32_t i = 0; i < tx.outputs().size(); ++i) {
        const TxOutput& output = tx.outputs()[i];
        const auto parsed = ParseOutputScript(output.script);
        CHECK(parsed.has_value());
        if (parsed->kind == OutputKind::kRecord) continue;
        const Coin coin{output, height, slot, tx.IsCoinbase(), kinds[i]};
        state.Put(tx.Output(i), coin);
        if (parsed->kind == OutputKind::kStake) AddStake(state, parsed->staker, output.value, StakeEpoch(params, coin));
    }
}

Verdict<TxEffect> ApplyFormed(const Params& params, const TxContext& context, StateCache& state,
                              const TransactionRef& tx, const TxForm& form) {
    StateCache layer(static_cast<const StateReader&>(state));
    ASSIGN_OR_RETURN(std::vector<Coin> spent, FindCoins(params, context, layer, *tx));
    RETURN_IF_ERROR(CheckAbsoluteLock(params, context, tx->tx()));
    RETURN_IF_ERROR(CheckRelativeLocks(params, context, tx->tx(), spent));
    for (const TxInput& input : tx->inputs()) layer.Erase<Coin>(input.prevout);
    ASSIGN_OR_RETURN(const Amount accrued, SpendStake(params, context, layer, spent));
    ASSIGN_OR_RETURN(const Money money, CheckMoney(params, *tx, form, spent, accrued));
    AddCoins(params, context.height, context.slot, layer, *tx, OutputKinds(*tx, form.records));
    ASSIGN_OR_RETURN(RecordEffect records, ApplyRecords(params, context, layer, *tx, form.records, spent));
    state.Absorb(layer);

    TxEffect effect;
    effect.fee = money.fee;
    effect.burned = money.burned;
    effect.accrued = accrued;
    effect.record_count = form.records.size();
    effect.record_bytes = form.record_bytes;
    effect.superseded = std::move(records.superseded);
    effect.spends = {tx,
                     std::move(spent),
                     !form.records.empty(),
                     std::move(records.pay_leaf_inputs),
                     std::move(records.updated_inputs),
                     {}};
    if (records.convicted) effect.spends.evidence = MakeEvidenceCheck(state, *EvidenceOf(form), *records.convicted);
    return effect;
}

Verdict<TxEffect> ApplyTransaction(const Params& params, const TxContext& context, StateCache& state,
                                   const TransactionRef& tx) {
    ASSIGN_OR_RETURN(const TxForm form, CheckTransactionForm(params, *tx));
    return ApplyFormed(params, context, state, tx, form);
}

Verdict<void> SpendCheck::RunEvidence() const {
    for (const SignatureCheck& check : evidence) {
        if (!crypto::VerifySchnorr(check.key, check.message, check.signature))
            return Reject("bad-evidence-signature",
                          "a header of the evidence is not signed with the key that the staker had for its slot");
    }
    if (evidence[0].message == evidence[1].message)
        return Reject("bad-evidence-same", "the two headers say the same: signing it twice is no fault");
    return {};
}

Verdict<void> SpendCheck::Run() const {
    if (!evidence.empty()) return RunEvidence();
    std::vector<TxOutput> outputs;
    outputs.reserve(spent.size());
    for (const Coin& coin : spent) outputs.push_back(coin.output);
    const SpendingTransaction spending(tx->tx(), std::move(outputs));
    bool signed_all = false;
    for (size_t i = 0; i < spent.size(); ++i) {
        const auto facts = VerifyInput(spending, i);
        if (!facts) return Reject("mandatory-script-verify-flag-failed", InputName(i) + ": " + facts.error());
        if (!bears_record) continue;
        if (!HashTypesFit(facts->hash_types, Contains(pay_leaf_inputs, i)))
            return Reject("bad-record-sighash",
                          InputName(i) + " is signed for a part of a transaction that bears a record");
        const bool signs_all = std::any_of(facts->hash_types.begin(), facts->hash_types.end(), SignsAll);
        if (Contains(updated_inputs, i) && !signs_all)
            return Reject("bad-update-unsigned",
                          InputName(i) + " spends the anchor or bond that a record updates without a signature");
        signed_all = signed_all || signs_all;
    }
    if (bears_record && !signed_all)
        return Reject("bad-record-unsigned", "no signature covers a transaction that bears a record");
    return {};
}

}  // namespace sluice::consensus
