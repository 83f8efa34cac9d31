#include <fmt/format.h>

#include "primitives/script.h"
#include "wallet/transaction_builder.h"

// Transactions with records: publishes, purchases, channels; and replacements, which have to make them again.

namespace sluice::wallet {
namespace {

using consensus::CoinKind;
using Draft = TransactionBuilder::Draft;

constexpr size_t kGrantWeight =
    300 * kWitnessScaleFactor;           // of a grant of one purchase, with room for a coin of the seller's
constexpr uint64_t kGrantFeeMargin = 2;  // the feerate may double until the seller grants
constexpr uint8_t kAnnexPrefix = 0x50;

// What encoding relies on; consensus judges the rest.
Status CheckPublishForm(const PublishRecord& record) {
    const auto over = [](std::string_view field, size_t size, size_t limit) {
        return Fail(fmt::format("{} has {}, the limit is {}", field, size, limit));
    };
    if (record.title.empty()) return Fail("title is empty: give the content one");
    if (record.title.size() > kMaxTitleBytes) return over("title", record.title.size(), kMaxTitleBytes);
    if (record.description.size() > kMaxDescriptionBytes)
        return over("description", record.description.size(), kMaxDescriptionBytes);
    if (record.mime.size() > kMaxShortTextBytes) return over("mime", record.mime.size(), kMaxShortTextBytes);
    if (record.file_name.size() > kMaxShortTextBytes)
        return over("file_name", record.file_name.size(), kMaxShortTextBytes);
    if (record.language.size() > kMaxTagBytes) return over("language", record.language.size(), kMaxTagBytes);
    if (record.tags.size() > kMaxTags) return over("tags", record.tags.size(), kMaxTags);
    for (const std::string& tag : record.tags) {
        if (tag.empty()) return Fail("a tag is empty");
        if (tag.size() > kMaxTagBytes) return over("a tag", tag.size(), kMaxTagBytes);
    }
    if (record.segments.size() > kMaxSegments) return over("segments", record.segments.size(), kMaxSegments);
    if (record.endpoints.size() > kMaxEndpoints) return over("endpoints", record.endpoints.size(), kMaxEndpoints);
    for (const std::string& endpoint : record.endpoints) {
        if (endpoint.empty()) return Fail("an endpoint is empty");
        if (endpoint.size() > kMaxEndpointBytes) return over("an endpoint", endpoint.size(), kMaxEndpointBytes);
    }
    if (record.payout_script.empty() || record.payout_script.size() > kMaxPayoutScriptBytes)
        return Fail("payout_script is neither a taproot nor a stake output");
    return {};
}

crypto::AdaptorSignature MakePreSignature(const crypto::SecretKey& buyer, const OutPoint& lock, const TxOutput& locked,
                                          const PurchaseTerms& terms, Height refund_height) {
    const auto lock_template = consensus::MakeLockTemplate(buyer.XOnly(), terms.seller_key, refund_height);
    CHECK(lock_template.has_value());  // the lock was made from it
    const Hash256 sighash =
        consensus::SingleOutputSighash(lock, locked, *lock_template, {terms.price, terms.payout_script});
    const auto pre_signature = crypto::AdaptorSign(buyer, sighash, terms.key);
    CHECK(pre_signature.has_value());  // consensus lets no other point into a publish
    return *pre_signature;
}

Bytes SealPreSignature(const crypto::AdaptorSignature& pre_signature, const crypto::X25519PublicKey& to,
                       RandomSource& random) {
    crypto::X25519SecretKey ephemeral;
    random.Fill(ephemeral.span());
    Bytes annex{kAnnexPrefix};
    const Bytes box = crypto::SealBox(to, Encode(pre_signature), ephemeral);
    annex.insert(annex.end(), box.begin(), box.end());
    return annex;
}

}  // namespace

Result<BuiltPublish> Wallet::BuildPublish(const PublishRequest& request) {
    const PublishRecord& record = request.record;
    RETURN_IF_ERROR(CheckPublishForm(record));
    if (m_lookups.title_key_owner) {
        const auto owner = m_lookups.title_key_owner(record.title_key);
        if (owner && record.updates != *owner)
            return Fail("the title key belongs to claim " + owner->Hex() + " already: take a fresh title salt");
    }
    TransactionBuilder builder(*this, request.feerate_per_kvb);
    Draft draft;
    if (record.updates) {
        const auto claims = OwnClaims();
        const auto claim = std::find_if(claims.begin(), claims.end(),
                                        [&](const ClaimView& view) { return view.claim == *record.updates; });
        if (claim == claims.end())
            return Fail(ErrorKind::kNotFound, "the wallet has no live claim " + record.updates->Hex());
        if (m_reserved.contains(claim->anchor))
            return Fail(ErrorKind::kUnavailable, "the claim is being changed by another transaction");
        draft.fixed_inputs.push_back(claim->anchor);
    }
    const Bytes encoded = EncodeRecord(record);
    if (encoded.size() > kMaxRecordBytes)
        return Fail(fmt::format("the publish record has {} bytes, the limit is {}: shorten the description",
                                encoded.size(), kMaxRecordBytes));
    const Amount deposit = std::max({request.deposit, consensus::MinAnchor(m_network.params, encoded.size()), kDust});
    if (!InMoneyRange(deposit)) return Fail("deposit is over the supply");
    const XOnlyPubKey key = builder.TakeChangeKey();
    if (request.stake_with) RETURN_IF_ERROR(CheckDelegate(*request.stake_with));
    draft.outputs = {{Amount(0), RecordScript(encoded)},
                     {deposit, request.anchor_to    ? *request.anchor_to
                               : request.stake_with ? StakeScript(key, *request.stake_with) : TaprootScript(key)}};
    ASSIGN_OR_RETURN(BuiltTransaction built, builder.Build(draft));
    const OutPoint anchor = built.tx->Output(1);
    return BuiltPublish{std::move(built), record.updates ? *record.updates : consensus::MakeClaimId(anchor), anchor};
}

Result<BuiltTransaction> Wallet::BuildRetire(const ClaimId& claim, uint64_t feerate_per_kvb) {
    for (const ClaimView& view : OwnClaims()) {
        if (view.claim != claim) continue;
        if (m_reserved.contains(view.anchor))
            return Fail(ErrorKind::kUnavailable, "the claim is being changed by another transaction");
        Draft draft;
        draft.fixed_inputs.push_back(view.anchor);
        return TransactionBuilder(*this, feerate_per_kvb).Build(draft);
    }
    return Fail(ErrorKind::kNotFound, "the wallet has no live claim " + claim.Hex());
}

Amount Wallet::DefaultGrantAllowance(uint64_t feerate_per_kvb) const {
    const size_t record_bytes = EncodeRecord(GrantRecord{{OutPoint{}}}).size();
    const uint64_t rate = std::clamp(feerate_per_kvb, kMinFeePerKvb, kMaxFeePerKvb);
    return Amount(FeeFor(kGrantWeight, rate * kGrantFeeMargin).drops +
                  consensus::RecordFee(m_network.params, record_bytes).drops);
}

Result<BuiltPurchase> Wallet::BuildPurchase(const PurchaseRequest& request) {
    const auto publish = m_lookups.publish ? m_lookups.publish(request.publish) : std::nullopt;
    if (!publish) return Fail(ErrorKind::kNotFound, "no publish is at " + request.publish.ToString());
    if (publish->record.free_key) return Fail("the content is free: get it without buying");
    const auto terms = LookUpTerms(request.publish, request.tier);
    if (!terms)
        return Fail(fmt::format("tier {} is over the {} segments of the publish", request.tier,
                                publish->record.segments.size()));
    if (terms->price == Amount(0)) return Fail(fmt::format("tier {} is not sold on its own", request.tier));
    if (request.max_price && terms->price > *request.max_price)
        return Fail(fmt::format("the price of {} SLU is over your limit of {} SLU", FormatSlu(terms->price),
                                FormatSlu(*request.max_price)));
    const Height refund_height = request.refund_height.value_or(DefaultRefundHeight());
    const Amount allowance = request.grant_allowance.value_or(DefaultGrantAllowance(request.feerate_per_kvb));
    const auto value = Add(terms->price, allowance);
    if (!value) return Fail("price and fee allowance are over the supply");
    if (*value < kDust)
        return Fail(
            fmt::format("the lock would hold {} drops: less than {} is not relayed", value->drops, kDust.drops));
    if (uint64_t{refund_height.value} < uint64_t{NextHeight().value} + m_network.params.refund_window_blocks)
        return Fail(fmt::format("refund_height {} is less than {} blocks after the next block", ToString(refund_height),
                                m_network.params.refund_window_blocks));
    if (refund_height.value > consensus::kMaxLockHeight)
        return Fail("refund_height is over the largest height of a lock");
    if (!crypto::IsOnCurve(terms->seller_key)) return Fail("the publish has a seller key that is not on the curve");

    PurchaseRecord record{request.publish, request.tier, {}, refund_height};
    std::optional<crypto::SecretKey> buyer;
    crypto::AdaptorSignature pre_signature;
    Draft draft;
    draft.outputs = {RecordOutput(record), {*value, TaprootScript(XOnlyPubKey{})}};
    draft.annex_bytes = consensus::kPurchaseAnnexBytes;
    draft.fill = [&](MutableTransaction& tx) {
        buyer = m_keychain.BuyerKey(tx.inputs[0].prevout);
        record.buyer_key = buyer->XOnly();
        tx.outputs[0] = RecordOutput(record);
        const auto lock = consensus::MakeLockTemplate(record.buyer_key, terms->seller_key, refund_height);
        CHECK(lock.has_value());  // checked above
        tx.outputs[1].script = lock->output_script;
    };
    draft.annex = [&](const MutableTransaction& tx) -> Result<Bytes> {
        pre_signature = MakePreSignature(*buyer, {tx.ComputeTxid(), 1}, tx.outputs[1], *terms, refund_height);
        return SealPreSignature(pre_signature, publish->record.unseal_key, m_random);
    };
    ASSIGN_OR_RETURN(BuiltTransaction built, TransactionBuilder(*this, request.feerate_per_kvb).Build(draft));
    const OutPoint lock = built.tx->Output(1);
    return BuiltPurchase{std::move(built), lock, *terms, refund_height, pre_signature};
}

Result<BuiltChannels> Wallet::BuildChannels(const ChannelRequest& request) {
    const size_t count = request.payees.size();
    if (count == 0 || count > kMaxChannelsPerOpening)
        return Fail(
            fmt::format("{} channels are to be opened: a transaction opens 1 to {}", count, kMaxChannelsPerOpening));
    const Height expiry = request.expiry_height.value_or(DefaultChannelExpiry());
    if (uint64_t{expiry.value} < uint64_t{NextHeight().value} + m_network.params.channel_window_blocks)
        return Fail(fmt::format("expiry_height {} is less than {} blocks after the next block", ToString(expiry),
                                m_network.params.channel_window_blocks));
    if (expiry.value > consensus::kMaxLockHeight) return Fail("expiry_height is over the largest height of a lock");
    TransactionBuilder builder(*this, request.feerate_per_kvb);
    const Script return_script = TaprootScript(builder.TakeChangeKey());
    Draft draft;
    Amount total;
    for (const ChannelRequest::Payee& payee : request.payees) {
        if (!crypto::IsOnCurve(payee.key)) return Fail("a payee's key is not on the curve");
        if (payee.capacity < kDust)
            return Fail(fmt::format("a channel holds {} drops: less than {} is not relayed", payee.capacity.drops,
                                    kDust.drops));
        const auto sum = Add(total, payee.capacity);
        if (!sum) return Fail("the channels hold more than the supply");
        total = *sum;
        draft.outputs.push_back(RecordOutput(ChannelRecord{{}, payee.key, expiry}));
        draft.outputs.push_back({payee.capacity, TaprootScript(XOnlyPubKey{})});
    }
    std::vector<crypto::SecretKey> payers;
    draft.fill = [&](MutableTransaction& tx) {
        for (uint32_t i = 0; i < count; ++i) {
            payers.push_back(m_keychain.ChannelPayerKey(tx.inputs[0].prevout, 2 * i + 1));
            const XOnlyPubKey payer = payers.back().XOnly();
            tx.outputs[2 * i] = RecordOutput(ChannelRecord{payer, request.payees[i].key, expiry});
            const auto lock = consensus::MakeLockTemplate(payer, request.payees[i].key, expiry);
            CHECK(lock.has_value());  // checked above
            tx.outputs[2 * i + 1].script = lock->output_script;
        }
    };
    ASSIGN_OR_RETURN(BuiltTransaction built, builder.Build(draft));
    BuiltChannels result{std::move(built), {}, expiry, return_script};
    for (uint32_t i = 0; i < count; ++i)
        result.channels.push_back({result.built.tx->Output(2 * i + 1), result.built.tx->outputs()[2 * i + 1],
                                   std::move(payers[i]), request.payees[i].key});
    return result;
}

Result<BuiltTransaction> Wallet::BuildFeeBump(const Txid& txid, uint64_t feerate_per_kvb) {
    const auto entry = FindTransaction(txid);
    if (!entry) return Fail(ErrorKind::kNotFound, "the wallet has no transaction " + txid.Hex());
    if (entry->block) return Fail("the transaction is in a block already");
    const bool ours = std::all_of(entry->tx->inputs().begin(), entry->tx->inputs().end(), [&](const TxInput& input) {
        const auto coin = m_store.coins().find(input.prevout);
        return coin != m_store.coins().end() && coin->second.spent_by == txid;
    });
    if (!ours || !entry->fee) return Fail("the transaction is not one that this wallet made alone");
    Draft draft;
    draft.outputs = entry->tx->outputs();
    draft.lock_time = entry->tx->tx().lock_time;
    draft.replaced = txid;
    for (const TxInput& input : entry->tx->inputs()) draft.fixed_inputs.push_back(input.prevout);
    std::optional<OwnPurchase> purchase;
    uint32_t lock_index = 0;
    uint64_t burned = 0;
    for (uint32_t i = 0; i < entry->tx->outputs().size(); ++i) {
        const auto script = ParseOutputScript(entry->tx->outputs()[i].script);
        if (script && script->kind == OutputKind::kRecord)
            burned += consensus::RecordFee(m_network.params, script->record.size()).drops;
        const auto coin = m_store.coins().find(entry->tx->Output(i));
        if (coin == m_store.coins().end()) continue;
        if (coin->second.spent_by)
            return Fail(ErrorKind::kUnavailable, "another transaction is built on this one: raise that one's fee");
        const auto found = m_store.purchases().find(entry->tx->Output(i));
        if (found == m_store.purchases().end()) continue;
        purchase = found->second;
        lock_index = i;
    }
    draft.replaced_fee = Amount(entry->fee->drops - burned);
    if (FeeFor(entry->tx->weight(), feerate_per_kvb) <= draft.replaced_fee)
        return Fail(fmt::format("the transaction pays {} SLU already, {} drops per 1,000 vB is not more",
                                FormatSlu(draft.replaced_fee), feerate_per_kvb));
    // Our change, always the last, is made anew.
    const auto last = m_store.coins().find(entry->tx->Output(static_cast<uint32_t>(entry->tx->outputs().size() - 1)));
    if (last != m_store.coins().end() && last->second.kind == CoinKind::kPlain && last->second.key &&
        last->second.key->chain == KeyChain::kChange &&
        ParseOutputScript(last->second.output.script)->kind == OutputKind::kTaproot)
        draft.outputs.pop_back();
    if (purchase) {
        const auto publish = m_lookups.publish ? m_lookups.publish(purchase->publish) : std::nullopt;
        if (!publish || !purchase->terms)
            return Fail(ErrorKind::kUnavailable, "the publish that is bought is not known to this node");
        draft.annex_bytes = consensus::kPurchaseAnnexBytes;
        draft.annex = [this, purchase, publish, lock_index](const MutableTransaction& tx) -> Result<Bytes> {
            const auto pre_signature =
                MakePreSignature(m_keychain.BuyerKey(purchase->first_input), {tx.ComputeTxid(), lock_index},
                                 tx.outputs[lock_index], *purchase->terms, purchase->refund_height);
            return SealPreSignature(pre_signature, publish->record.unseal_key, m_random);
        };
    }
    return TransactionBuilder(*this, feerate_per_kvb).Build(draft);
}

}  // namespace sluice::wallet
