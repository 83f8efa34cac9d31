#include "content/fraud_proof.h"

#include "consensus/interpreter.h"
#include "consensus/templates.h"
#include "content/bundle.h"
#include "content/sealing.h"
#include "primitives/script.h"

namespace sluice::content {
namespace {

constexpr std::string_view kMagic = "sluice fraud proof 1\n";
constexpr size_t kMaxSpent = kMaxGrantedPurchases + 64;

template <class T>
std::optional<T> RecordAt(const Transaction& tx, uint32_t output) {
    if (output >= tx.outputs().size()) return std::nullopt;
    const auto script = ParseOutputScript(tx.outputs()[output].script);
    if (!script || script->kind != OutputKind::kRecord) return std::nullopt;
    auto record = DecodeRecord(script->record);
    if (!record || !std::holds_alternative<T>(*record)) return std::nullopt;
    return std::get<T>(std::move(*record));
}

Result<TransactionRef> ReadTransaction(Reader& reader, std::string_view what) {
    const ByteSpan bytes = reader.VarSpan(kMaxTransactionBytes);
    if (!reader.Ok()) return Fail("the " + std::string(what) + " transaction is cut short");
    auto tx = MutableTransaction::FromBytes(bytes);
    if (!tx) return Fail("the " + std::string(what) + " transaction does not decode");
    return MakeTransaction(std::move(*tx));
}

// What tier is sold for which key at which price.
struct Offer {
    PubKey key;
    Amount price;
};

Result<Offer> OfferOf(const PublishRecord& record, uint16_t tier) {
    if (tier == 0) return Offer{record.title_key, record.price};
    if (tier > record.segments.size()) return Fail("the record has no segment of tier " + std::to_string(tier));
    return Offer{record.segments[tier - 1u].key, record.segments[tier - 1u].price};
}

Status CheckSale(const FraudProof& proof, const PublishRecord& record, const Offer& offer) {
    const FraudProof::Sale& sale = *proof.sale;
    const OutPoint publish = proof.publish->Output(proof.record_output + 1);
    std::optional<PurchaseRecord> purchase;
    uint32_t at = 0;
    for (; at + 1 < sale.purchase->outputs().size() && !purchase; ++at)
        purchase = RecordAt<PurchaseRecord>(*sale.purchase, at);
    if (!purchase) return Fail("the purchase transaction has no purchase record");
    if (purchase->publish != publish) return Fail("the purchase is not of this publish");
    if (purchase->tier != proof.tier) return Fail("the purchase is of another tier");
    const OutPoint lock = sale.purchase->Output(at);
    const auto lock_template =
        consensus::MakeLockTemplate(purchase->buyer_key, record.seller_key, purchase->refund_height);
    if (!lock_template || sale.purchase->outputs()[at].script != lock_template->output_script)
        return Fail("the purchase does not lock its price for this seller");
    if (sale.spent.size() != sale.grant->inputs().size())
        return Fail("the grant spends another number of outputs than the proof names");
    size_t input = 0;
    while (input < sale.grant->inputs().size() && sale.grant->inputs()[input].prevout != lock) ++input;
    if (input == sale.grant->inputs().size()) return Fail("the grant does not spend the purchase");
    if (sale.spent[input] != sale.purchase->outputs()[at])
        return Fail("the proof says of the purchase's output what it is not");
    if (input >= sale.grant->outputs().size() ||
        sale.grant->outputs()[input] != TxOutput{offer.price, record.payout_script})
        return Fail("the grant does not pay the seller his price");
    const WitnessStack& witness = sale.grant->inputs()[input].witness;
    if (witness.size() != 4 || witness[2] != lock_template->pay_leaf)
        return Fail("the purchase was refunded, not granted");
    // Signed by S over everything that the grant spends: nobody else made it.
    const consensus::SpendingTransaction spending(sale.grant->tx(), sale.spent);
    if (const auto verified = consensus::VerifyInput(spending, input); !verified)
        return Fail("the grant is not signed by buyer and seller: " + verified.error());
    return {};
}

}  // namespace

Bytes FraudProof::ToBytes() const {
    Writer writer;
    writer.Raw(AsBytes(kMagic));
    writer.VarBytes(publish->tx().ToBytes(), kMaxTransactionBytes);
    writer(record_output, sale.has_value());
    if (sale) {
        writer.VarBytes(sale->purchase->tx().ToBytes(), kMaxTransactionBytes);
        writer.VarBytes(sale->grant->tx().ToBytes(), kMaxTransactionBytes);
        writer.Vector(sale->spent, kMaxSpent);
    }
    writer(tier, secret, chunk);
    writer.VarBytes(chunk_bytes, kChunkBytes);
    writer(proof);
    return writer.Take();
}

Result<FraudProof> FraudProof::FromBytes(ByteSpan bytes) {
    if (bytes.size() < kMagic.size() || !std::equal(kMagic.begin(), kMagic.end(), bytes.begin()))
        return Fail("this is no fraud proof: 'getfraudproof' makes one");
    Reader reader(bytes.subspan(kMagic.size()));
    FraudProof proof;
    ASSIGN_OR_RETURN(proof.publish, ReadTransaction(reader, "publish"));
    bool sold = false;
    reader(proof.record_output, sold);
    if (sold) {
        Sale sale;
        ASSIGN_OR_RETURN(sale.purchase, ReadTransaction(reader, "purchase"));
        ASSIGN_OR_RETURN(sale.grant, ReadTransaction(reader, "grant"));
        reader.Vector(sale.spent, kMaxSpent, 9);
        proof.sale = std::move(sale);
    }
    reader(proof.tier, proof.secret, proof.chunk);
    reader.VarBytes(proof.chunk_bytes, kChunkBytes);
    reader(proof.proof);
    if (!reader.Ok()) return Fail("the fraud proof does not decode: " + reader.error());
    if (reader.Left() != 0) return Fail("the fraud proof is longer than what it says");
    return proof;
}

Result<FraudFinding> VerifyFraudProof(const FraudProof& proof) {
    auto record = RecordAt<PublishRecord>(*proof.publish, proof.record_output);
    if (!record) return Fail("the publish transaction has no publish record there");
    ASSIGN_OR_RETURN(const Offer offer, OfferOf(*record, proof.tier));
    auto secret = crypto::SecretKey::FromBytes(proof.secret.bytes);
    if (!secret || secret->Public() != offer.key) return Fail("the key is not the one that the record promises");
    if (proof.sale) {
        RETURN_IF_ERROR(CheckSale(proof, *record, offer));
    } else if (!record->free_key) {
        return Fail("the content is not free, and the proof shows no sale of its key");
    }
    const uint64_t size = record->content.size_bytes;
    RETURN_IF_ERROR(CheckContentSize(size));
    if (proof.chunk.value >= ChunkCount(size)) return Fail("the content has no such chunk");
    const HashSpan span{proof.chunk, 1};
    if (!VerifyHashProof(record->content, span, proof.proof) || proof.proof.hashes.size() != 1 ||
        !CheckChunk(size, proof.chunk, proof.chunk_bytes, proof.proof.hashes[0]))
        return Fail("the chunk is not of the content that the record names");
    ASSIGN_OR_RETURN(const SealedLayout layout, SealedLayout::FromRecord(*record));
    ContentKeys keys = proof.tier == 0 ? ContentKeys::FromTitleKey(std::move(*secret))
                                       : ContentKeys::FromSegmentKey(proof.tier - 1u, std::move(*secret));
    ChunkCipher cipher(std::move(keys), record->sealing_salt, layout);
    if (!cipher.HasKeyOf(proof.chunk)) return Fail("the key is not for this chunk");
    if (proof.tier != 0 && layout.IsManifest(proof.chunk) && proof.chunk.value > 0)
        return Fail("a segment's key opens this chunk only with the first one, which is not here");
    Bytes plain(kChunkBytes);
    const auto opened = cipher.Open(proof.chunk, proof.chunk_bytes, plain);
    FraudFinding finding;
    const std::string whose = "'" + record->title + "'";
    if (!opened) {
        finding.what = "the key that was sold for " + whose + " does not open chunk " +
                       std::to_string(proof.chunk.value) + " of its content";
        finding.record = std::move(*record);
        return finding;
    }
    if (!record->bundle.empty() && proof.chunk.value == 0) {
        const auto keys_inside = OpenBundle(record->bundle, ByteSpan(plain).first(*opened));
        for (const BundledKey& inside : keys_inside) {
            if (inside.key) continue;
            finding.kind = FraudFinding::Kind::kFalseBundle;
            finding.what = "the bundle " + whose + " does not hold the key of claim " + inside.title.claim.Hex() +
                           " that its record promises";
            finding.record = std::move(*record);
            return finding;
        }
    }
    return Fail("the key opens the chunk: nothing is proven against the seller");
}

}  // namespace sluice::content
