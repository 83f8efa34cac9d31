#include "consensus/record_rules.h"

#include "consensus/staker_rules.h"
#include "consensus/templates.h"
#include "primitives/script.h"

namespace sluice::consensus {
namespace {

constexpr uint64_t kChunkBytes = 262'144;
constexpr uint64_t kMinLastChunkBytes = crypto::kAeadTagBytes + 1;
constexpr uint64_t kMaxSealedBytes = uint64_t{1} << 50;

// The length of the UTF-8 sequence at the start of `text` and its code point; length 0 if it is malformed.
struct Utf8Char {
    size_t bytes{0};
    uint32_t code_point{0};
};

Utf8Char FirstChar(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t lead = byte(0);
    if (lead < 0x80) return {1, lead};
    const size_t bytes = (lead & 0xe0) == 0xc0 ? 2 : (lead & 0xf0) == 0xe0 ? 3 : (lead & 0xf8) == 0xf0 ? 4 : 0;
    if (bytes == 0 || text.size() < bytes) return {};
    uint32_t code_point = lead & (0xffu >> (bytes + 1));
    for (size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        code_point = code_point << 6 | (byte(i) & 0x3f);
    }
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code_point < kLeast[bytes] || code_point > 0x10ffff) return {};
    if (code_point >= 0xd800 && code_point <= 0xdfff) return {};
    return {bytes, code_point};
}

Verdict<void> CheckText(std::string_view text, std::string_view field, bool lines = false) {
    if (IsCleanText(text, lines)) return {};
    return Reject("bad-publish-text", std::string(field) + " is not UTF-8 without control characters");
}

Verdict<void> CheckTexts(const PublishRecord& record) {
    RETURN_IF_ERROR(CheckText(record.title, "title"));
    RETURN_IF_ERROR(CheckText(record.description, "description", true));
    RETURN_IF_ERROR(CheckText(record.mime, "mime"));
    RETURN_IF_ERROR(CheckText(record.file_name, "file_name"));
    RETURN_IF_ERROR(CheckText(record.language, "language"));
    for (const std::string& tag : record.tags) RETURN_IF_ERROR(CheckText(tag, "a tag"));
    for (const std::string& endpoint : record.endpoints) RETURN_IF_ERROR(CheckText(endpoint, "an endpoint"));
    return {};
}

// Every chunk after the manifest lies in a segment.
Verdict<void> CheckSegments(const PublishRecord& record) {
    const uint64_t chunks = ChunkCount(record.content.size_bytes);
    if (record.manifest_chunks > chunks)
        return Reject("bad-publish-manifest",
                      "manifest_chunks is over the " + std::to_string(chunks) + " chunks of the content");
    for (size_t i = 0; i < record.segments.size(); ++i) {
        const Segment& segment = record.segments[i];
        const std::string name = "segment " + std::to_string(i);
        if (i == 0 && segment.first_chunk > record.manifest_chunks)
            return Reject("bad-publish-segments", "the first segment starts after the end of the manifest");
        if (i > 0 && segment.first_chunk <= record.segments[i - 1].first_chunk)
            return Reject("bad-publish-segments", name + " does not start after the one before it");
        if (segment.first_chunk >= chunks) return Reject("bad-publish-segments", name + " starts after the last chunk");
        if (!crypto::IsValidPubKey(segment.key)) return Reject("bad-publish-key", name + " has a key that is no point");
        if (!InMoneyRange(segment.price)) return Reject("bad-publish-price", name + " has a price over the supply");
    }
    return {};
}

Verdict<void> CheckPrices(const PublishRecord& record) {
    if (!InMoneyRange(record.price) || !InMoneyRange(record.seed_price_per_mib))
        return Reject("bad-publish-price", "a price is over the supply");
    if (!record.free_key) {
        if (record.price == Amount(0)) return Reject("bad-publish-price", "price is 0: free content publishes its key");
        return {};
    }
    if (record.price != Amount(0)) return Reject("bad-publish-price", "content with a published key has a price");
    for (const Segment& segment : record.segments) {
        if (segment.price != Amount(0))
            return Reject("bad-publish-price", "content with a published key has a segment with a price");
    }
    const auto secret = crypto::SecretKey::FromBytes(record.free_key->bytes);
    if (!secret || secret->Public() != record.title_key)
        return Reject("bad-publish-free-key", "free_key is not the secret of title_key");
    return {};
}

Verdict<void> CheckBundle(const PublishRecord& record) {
    for (size_t i = 0; i < record.bundle.size(); ++i)
        if (!crypto::IsValidPubKey(record.bundle[i].key))
            return Reject("bad-publish-key", "title " + std::to_string(i) + " of the bundle has a key that is no point");
    return {};
}

bool IsPayable(const Script& script) {
    const auto parsed = ParseOutputScript(script);
    return parsed && parsed->kind != OutputKind::kRecord;
}

Verdict<void> CheckForm(const PublishRecord& record) {
    RETURN_IF_ERROR(CheckTexts(record));
    if (!IsSealedSize(record.content.size_bytes))
        return Reject("bad-publish-size", "no sealed file has " + std::to_string(record.content.size_bytes) + " bytes");
    if (!crypto::IsValidPubKey(record.title_key)) return Reject("bad-publish-key", "title_key is no point");
    if (!crypto::IsOnCurve(record.seller_key)) return Reject("bad-publish-key", "seller_key is not on the curve");
    if (!IsPayable(record.payout_script))
        return Reject("bad-publish-payout", "payout_script is neither a taproot nor a stake output");
    RETURN_IF_ERROR(CheckSegments(record));
    RETURN_IF_ERROR(CheckBundle(record));
    return CheckPrices(record);
}

Verdict<void> CheckForm(const PurchaseRecord& record) {
    if (!crypto::IsOnCurve(record.buyer_key)) return Reject("bad-purchase-key", "buyer_key is not on the curve");
    if (record.refund_height.value == 0 || record.refund_height.value > kMaxLockHeight)
        return Reject("bad-purchase-window", "refund_height is not 1 to " + std::to_string(kMaxLockHeight));
    return {};
}

Verdict<void> CheckForm(const ChannelRecord& record) {
    if (!crypto::IsOnCurve(record.payer_key)) return Reject("bad-channel-key", "payer_key is not on the curve");
    if (!crypto::IsOnCurve(record.payee_key)) return Reject("bad-channel-key", "payee_key is not on the curve");
    if (record.expiry_height.value == 0 || record.expiry_height.value > kMaxLockHeight)
        return Reject("bad-channel-window", "expiry_height is not 1 to " + std::to_string(kMaxLockHeight));
    return {};
}

// What they name is compared with the inputs (record_rules_state.cpp).
Verdict<void> CheckForm(const GrantRecord&) { return {}; }
Verdict<void> CheckForm(const SettleRecord&) { return {}; }
// What is sealed is for its recipient to judge.
Verdict<void> CheckForm(const GiftRecord&) { return {}; }

Verdict<void> CheckForm(const RegisterRecord& record) { return CheckRegister(record); }
Verdict<void> CheckForm(const ExitRecord&) { return {}; }
Verdict<void> CheckForm(const EvidenceRecord& record) { return CheckEvidence(record); }

bool BindsToBond(const Record& record) {
    return std::holds_alternative<RegisterRecord>(record) || std::holds_alternative<ExitRecord>(record);
}

bool BindsToNextOutput(const Record& record) {
    return std::holds_alternative<PublishRecord>(record) || std::holds_alternative<PurchaseRecord>(record) ||
           std::holds_alternative<ChannelRecord>(record) || BindsToBond(record);
}

Verdict<void> CheckBinding(const Params& params, const Transaction& tx, const PlacedRecord& placed) {
    if (!BindsToNextOutput(placed.record)) return {};
    const std::string name(RecordTypeName(placed.record));
    const size_t next = placed.output + size_t{1};
    if (next >= tx.outputs().size()) return Reject("bad-record-binding", "no output follows the " + name + " record");
    const TxOutput& bound = tx.outputs()[next];
    if (!IsPayable(bound.script))
        return Reject("bad-record-binding", "the output after the " + name + " record is a record");
    if (BindsToBond(placed.record)) return CheckBond(params, bound, name);
    const Amount least = MinAnchor(params, placed.bytes.size());
    if (std::holds_alternative<PublishRecord>(placed.record) && bound.value < least)
        return Reject("bad-anchor-value", "the anchor holds " + FormatSlu(bound.value) + ", a record of " +
                                              std::to_string(placed.bytes.size()) + " bytes needs " + FormatSlu(least));
    return {};
}

template <class T>
Verdict<void> CheckAtMostOne(const std::vector<PlacedRecord>& records, const char* name) {
    const auto count = std::count_if(records.begin(), records.end(), [](const PlacedRecord& placed) {
        return std::holds_alternative<T>(placed.record);
    });
    if (count > 1)
        return Reject("bad-record-repeated", std::string("a transaction has more than one ") + name + " record");
    return {};
}

}  // namespace

bool IsCleanText(std::string_view text, bool lines) {
    while (!text.empty()) {
        const auto [bytes, code_point] = FirstChar(text);
        if (bytes == 0) return false;
        const bool control = code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f);
        if (control && !(lines && code_point == '\n')) return false;
        text.remove_prefix(bytes);
    }
    return true;
}

uint64_t ChunkCount(uint64_t size_bytes) { return size_bytes / kChunkBytes + (size_bytes % kChunkBytes != 0 ? 1 : 0); }

bool IsSealedSize(uint64_t size_bytes) {
    if (size_bytes < kMinLastChunkBytes || size_bytes > kMaxSealedBytes) return false;
    const uint64_t last = size_bytes % kChunkBytes;
    return last == 0 || last >= kMinLastChunkBytes;
}

Verdict<std::vector<PlacedRecord>> ParseRecords(const Params& params, const Transaction& tx) {
    std::vector<PlacedRecord> records;
    for (uint32_t i = 0; i < tx.outputs().size(); ++i) {
        auto parsed = ParseOutputScript(tx.outputs()[i].script);
        if (!parsed || parsed->kind != OutputKind::kRecord) continue;
        const std::string name = "output " + std::to_string(i);
        if (tx.outputs()[i].value != Amount(0))
            return Reject("bad-record-value", name + " is a record and has a value");
        if (records.size() == kMaxRecordsPerTransaction)
            return Reject("bad-txns-too-many-records",
                          "a transaction has more than " + std::to_string(kMaxRecordsPerTransaction) + " records");
        auto record = DecodeRecord(parsed->record);
        if (!record) return Reject("bad-record-encoding", name + ": " + record.error().message);
        records.push_back({i, std::move(parsed->record), std::move(*record)});
    }
    RETURN_IF_ERROR(CheckAtMostOne<PurchaseRecord>(records, "purchase"));
    RETURN_IF_ERROR(CheckAtMostOne<GrantRecord>(records, "grant"));
    RETURN_IF_ERROR(CheckAtMostOne<SettleRecord>(records, "settle"));
    for (const PlacedRecord& placed : records) {
        RETURN_IF_ERROR(std::visit([](const auto& record) { return CheckForm(record); }, placed.record));
        RETURN_IF_ERROR(CheckBinding(params, tx, placed));
        if (std::holds_alternative<EvidenceRecord>(placed.record)) RETURN_IF_ERROR(CheckEvidenceTransaction(tx));
    }
    return records;
}

std::vector<CoinKind> OutputKinds(const Transaction& tx, const std::vector<PlacedRecord>& records) {
    std::vector<CoinKind> kinds(tx.outputs().size(), CoinKind::kPlain);
    for (const PlacedRecord& placed : records) {
        if (!BindsToNextOutput(placed.record)) continue;
        kinds[placed.output + size_t{1}] = BindsToBond(placed.record)                              ? CoinKind::kBond
                                           : std::holds_alternative<PublishRecord>(placed.record)  ? CoinKind::kAnchor
                                           : std::holds_alternative<PurchaseRecord>(placed.record) ? CoinKind::kPurchase
                                                                                                   : CoinKind::kChannel;
    }
    return kinds;
}

}  // namespace sluice::consensus
