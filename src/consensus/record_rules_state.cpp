#include "consensus/record_rules.h"
#include "consensus/staker_rules.h"
#include "consensus/templates.h"

namespace sluice::consensus {
namespace {

enum class LockLeaf { kPay, kRefund, kNeither };

// Which leaf of a lock an input's witness shows: its script, the last item but one before any annex.
LockLeaf ShownLeaf(const WitnessStack& witness, const Script& pay_leaf, const Script& refund_leaf) {
    const size_t items = witness.size() - (FindAnnex(witness) ? 1 : 0);
    if (items < 2) return LockLeaf::kNeither;
    const Bytes& script = witness[items - 2];
    return script == pay_leaf ? LockLeaf::kPay : script == refund_leaf ? LockLeaf::kRefund : LockLeaf::kNeither;
}

// An entry that a coin's kind promises is there unless the state could not be read, which its owner finds out.
tl::unexpected<Invalid> Unreadable(const OutPoint& outpoint) {
    return Reject(Invalid::What::kMissingInputs, "bad-txns-inputs-missingorspent",
                  "the state of " + outpoint.ToString() + " could not be read");
}

class Applier {
  public:
    Applier(const Params& params, const TxContext& context, StateCache& state, const Transaction& tx,
            const std::vector<PlacedRecord>& records, const std::vector<Coin>& spent)
        : m_params(params),
          m_height(context.height),
          m_staking{params, context.slot},
          m_state(state),
          m_tx(tx),
          m_records(records),
          m_spent(spent) {}

    Verdict<RecordEffect> Run() {
        RETURN_IF_ERROR(SpendInputs());
        RETURN_IF_ERROR(CheckNamed());
        for (const PlacedRecord& placed : m_records) {
            RETURN_IF_ERROR(std::visit([&](const auto& record) { return Apply(placed, record); }, placed.record));
        }
        RETURN_IF_ERROR(RetireClaims());
        for (const auto& [staker, input] : m_bonds) RETURN_IF_ERROR(ReleaseBond(m_staking, m_state, staker));
        return std::move(m_effect);
    }

  private:
    Verdict<void> SpendInputs() {
        for (uint32_t i = 0; i < m_spent.size(); ++i) {
            switch (m_spent[i].kind) {
                case CoinKind::kPurchase:
                    RETURN_IF_ERROR(SpendPurchase(i));
                    break;
                case CoinKind::kChannel:
                    RETURN_IF_ERROR(SpendChannel(i));
                    break;
                case CoinKind::kAnchor:
                    m_anchors.emplace(m_tx.inputs()[i].prevout, i);
                    break;
                case CoinKind::kBond:
                    RETURN_IF_ERROR(SpendBond(i));
                    break;
                case CoinKind::kPlain:
                    break;
            }
        }
        return {};
    }

    Verdict<void> SpendPurchase(uint32_t input) {
        const OutPoint& lock = m_tx.inputs()[input].prevout;
        const auto purchase = m_state.Get<PurchaseState>(lock);
        if (!purchase) return Unreadable(lock);
        const LockLeaf leaf =
            ShownLeaf(m_tx.inputs()[input].witness, MakePayLeaf(purchase->buyer_key, purchase->seller_key),
                      MakeRefundLeaf(purchase->buyer_key, purchase->refund_height));
        const std::string name = "input " + std::to_string(input);
        if (leaf == LockLeaf::kNeither)
            return Reject("bad-purchase-spend", name + " shows neither leaf of its purchase");
        if (leaf == LockLeaf::kPay) {
            if (input >= m_tx.outputs().size() ||
                m_tx.outputs()[input] != TxOutput{purchase->price, purchase->payout_script})
                return Reject("bad-grant-payout", "the output of index " + std::to_string(input) +
                                                      " does not pay the price to the payout script of the purchase");
            m_granted.push_back(lock);
            m_effect.pay_leaf_inputs.push_back(input);
        }
        m_state.Erase<PurchaseState>(lock);
        return {};
    }

    Verdict<void> SpendChannel(uint32_t input) {
        const OutPoint& lock = m_tx.inputs()[input].prevout;
        const auto channel = m_state.Get<ChannelState>(lock);
        if (!channel) return Unreadable(lock);
        const LockLeaf leaf =
            ShownLeaf(m_tx.inputs()[input].witness, MakePayLeaf(channel->payer_key, channel->payee_key),
                      MakeRefundLeaf(channel->payer_key, channel->expiry_height));
        if (leaf == LockLeaf::kNeither)
            return Reject("bad-channel-spend", "input " + std::to_string(input) + " shows neither leaf of its channel");
        if (leaf == LockLeaf::kPay) {
            m_settled.push_back(input);
            m_effect.pay_leaf_inputs.push_back(input);
        }
        m_state.Erase<ChannelState>(lock);
        return {};
    }

    Verdict<void> SpendBond(uint32_t input) {
        const OutPoint& bond = m_tx.inputs()[input].prevout;
        const auto owner = m_state.Get<BondState>(bond);
        if (!owner) return Unreadable(bond);
        m_bonds.emplace(owner->staker, input);
        return {};
    }

    // A record that names a staker spends its bond, once. The bond's own input has to sign. Rationale: the script of a
    // bond that wants no signature is known to whoever sees it spent, who could put his own record in its place.
    Verdict<void> UseBond(const char* code, const StakerId& staker) {
        const auto bond = m_bonds.find(staker);
        if (bond == m_bonds.end())
            return Reject(code, "the transaction does not spend the bond of staker " + staker.Hex() + ", once");
        m_effect.updated_inputs.push_back(bond->second);
        m_bonds.erase(bond);
        return {};
    }

    // The grant record names exactly the purchases that are spent through leaf 1, in order; the settle record is of
    // the first inputs, which are exactly the channels that are.
    Verdict<void> CheckNamed() const {
        std::vector<OutPoint> granted;
        std::vector<uint32_t> settled;
        for (const PlacedRecord& placed : m_records) {
            if (const auto* grant = std::get_if<GrantRecord>(&placed.record)) granted = grant->purchases;
            if (const auto* settle = std::get_if<SettleRecord>(&placed.record)) {
                for (uint32_t i = 0; i < settle->served_bytes.size(); ++i) settled.push_back(i);
            }
        }
        if (granted != m_granted)
            return Reject("bad-grant",
                          "the grant record does not name exactly the purchases spent through leaf 1, in order");
        if (settled != m_settled)
            return Reject("bad-settle",
                          "the settle record is not of exactly the first inputs, which alone spend channels through "
                          "leaf 1");
        return {};
    }

    Verdict<void> Apply(const PlacedRecord& placed, const PublishRecord& record) {
        const OutPoint anchor = m_tx.Output(placed.output + 1);
        ClaimId id = MakeClaimId(anchor);
        ClaimState claim{anchor, m_height, 1};
        if (record.updates) {
            id = *record.updates;
            const auto current = m_state.Get<ClaimState>(id);
            if (!current) return Reject("bad-update-unknown-claim", "no live claim has the id " + id.Hex());
            const auto spent = m_anchors.find(current->anchor);
            if (spent == m_anchors.end())
                return Reject("bad-update-anchor",
                              "the transaction does not spend the anchor of the claim that it updates, once");
            RETURN_IF_ERROR(Supersede(current->anchor));
            m_effect.updated_inputs.push_back(spent->second);
            m_anchors.erase(spent);
            claim.first_height = current->first_height;
            claim.version = current->version + 1;
        }
        m_state.Put(id, claim);
        m_state.Put(anchor, PublishState{id, m_height, std::nullopt, placed.bytes});
        return {};
    }

    Verdict<void> Apply(const PlacedRecord& placed, const PurchaseRecord& record) {
        const auto publish = m_state.Get<PublishState>(record.publish);
        if (!publish)
            return Reject(Invalid::What::kMissingInputs, "bad-purchase-publish",
                          "no publish is at " + record.publish.ToString());
        if (publish->superseded && m_height > *publish->superseded + m_params.superseded_grace_blocks)
            return Reject(Invalid::What::kMissingInputs, "bad-purchase-publish",
                          "the publish was replaced more than " + std::to_string(m_params.superseded_grace_blocks) +
                              " blocks ago");
        const PublishRecord terms = publish->Decoded();
        if (terms.free_key) return Reject("bad-purchase-free", "the content is free: its key is published");
        if (record.tier > terms.segments.size())
            return Reject("bad-purchase-tier", "tier " + std::to_string(record.tier) + " is over the " +
                                                   std::to_string(terms.segments.size()) + " segments");
        const PubKey& key = record.tier == 0 ? terms.title_key : terms.segments[record.tier - 1u].key;
        const Amount price = record.tier == 0 ? terms.price : terms.segments[record.tier - 1u].price;
        if (price == Amount(0)) return Reject("bad-purchase-tier", "the segment is not sold on its own");
        RETURN_IF_ERROR(
            CheckWindow("bad-purchase-window", "refund_height", record.refund_height, m_params.refund_window_blocks));
        const TxOutput& locked = m_tx.outputs()[placed.output + 1];
        RETURN_IF_ERROR(
            CheckLock("bad-purchase-lock", locked, record.buyer_key, terms.seller_key, record.refund_height));
        if (locked.value < price)
            return Reject("bad-purchase-value",
                          "the lock holds " + FormatSlu(locked.value) + ", the price is " + FormatSlu(price));
        m_state.Put(m_tx.Output(placed.output + 1),
                    PurchaseState{record.publish, publish->claim, record.tier, record.buyer_key, terms.seller_key, key,
                                  price, terms.payout_script, record.refund_height});
        return {};
    }

    Verdict<void> Apply(const PlacedRecord& placed, const ChannelRecord& record) {
        RETURN_IF_ERROR(
            CheckWindow("bad-channel-window", "expiry_height", record.expiry_height, m_params.channel_window_blocks));
        RETURN_IF_ERROR(CheckLock("bad-channel-lock", m_tx.outputs()[placed.output + 1], record.payer_key,
                                  record.payee_key, record.expiry_height));
        m_state.Put(m_tx.Output(placed.output + 1),
                    ChannelState{record.payer_key, record.payee_key, record.expiry_height});
        return {};
    }

    Verdict<void> Apply(const PlacedRecord&, const GrantRecord&) { return {}; }  // CheckNamed
    Verdict<void> Apply(const PlacedRecord&, const SettleRecord&) { return {}; }
    Verdict<void> Apply(const PlacedRecord&, const GiftRecord&) { return {}; }
    Verdict<void> Apply(const PlacedRecord& placed, const RegisterRecord& record) {
        const OutPoint bond = m_tx.Output(placed.output + 1);
        if (!record.updates)
            return RegisterStaker(m_staking, m_state, record, MakeStakerId(m_tx.inputs()[0].prevout, placed.output),
                                  bond);
        RETURN_IF_ERROR(UseBond("bad-register-bond", *record.updates));
        return UpdateStaker(m_staking, m_state, record, bond);
    }

    Verdict<void> Apply(const PlacedRecord& placed, const ExitRecord& record) {
        RETURN_IF_ERROR(UseBond("bad-exit-bond", record.staker));
        return ExitStaker(m_staking, m_state, record.staker, m_tx.Output(placed.output + 1));
    }

    Verdict<void> Apply(const PlacedRecord&, const EvidenceRecord& record) {
        RETURN_IF_ERROR(UseBond("bad-evidence-bond", record.first.staker));
        ASSIGN_OR_RETURN(m_effect.convicted, Slash(m_staking, m_state, record));
        return {};
    }

    // Too late a height is a rule of the record's form; too early a one may have been in time when it was made.
    Verdict<void> CheckWindow(const char* code, const char* field, Height lock_height, uint32_t window) const {
        if (uint64_t{lock_height.value} >= uint64_t{m_height.value} + window) return {};
        return Reject(Invalid::What::kPremature, code,
                      std::string(field) + " " + ToString(lock_height) + " is less than " + std::to_string(window) +
                          " blocks after the block's height " + ToString(m_height));
    }

    static Verdict<void> CheckLock(const char* code, const TxOutput& locked, const XOnlyPubKey& owner,
                                   const XOnlyPubKey& payee, Height height) {
        const auto lock = MakeLockTemplate(owner, payee, height);
        if (!lock || locked.script != lock->output_script)
            return Reject(code, "the output after the record is not the lock that the record stands for");
        return {};
    }

    Verdict<void> Supersede(const OutPoint& anchor) {
        auto publish = m_state.Get<PublishState>(anchor);
        if (!publish) return Unreadable(anchor);
        publish->superseded = m_height;
        m_state.Put(anchor, *publish);
        m_effect.superseded.push_back(anchor);
        return {};
    }

    // Anchors spent without an update.
    Verdict<void> RetireClaims() {
        for (const auto& [anchor, input] : m_anchors) {
            RETURN_IF_ERROR(Supersede(anchor));
            m_state.Erase<ClaimState>(m_state.Get<PublishState>(anchor)->claim);
        }
        return {};
    }

    const Params& m_params;
    const Height m_height;
    const StakerContext m_staking;
    StateCache& m_state;
    const Transaction& m_tx;
    const std::vector<PlacedRecord>& m_records;
    const std::vector<Coin>& m_spent;

    std::map<OutPoint, uint32_t> m_anchors;  // spent and not (yet) updated, with their inputs
    std::map<StakerId, uint32_t> m_bonds;    // spent and not (yet) used by a record, with their inputs
    std::vector<OutPoint> m_granted;
    std::vector<uint32_t> m_settled;  // inputs
    RecordEffect m_effect;
};

}  // namespace

Verdict<RecordEffect> ApplyRecords(const Params& params, const TxContext& context, StateCache& state,
                                   const Transaction& tx, const std::vector<PlacedRecord>& records,
                                   const std::vector<Coin>& spent) {
    return Applier(params, context, state, tx, records, spent).Run();
}

}  // namespace sluice::consensus
