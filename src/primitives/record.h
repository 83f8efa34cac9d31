#pragma once

#include <string>
#include <variant>
#include <vector>

#include "crypto/aead.h"
#include "crypto/vrf.h"
#include "primitives/block.h"
#include "primitives/script.h"

// Records: what transactions say in their OP_RETURN outputs, as canonical type-length-value bytes.
//
//   record = type (1 byte) || field*      field = tag (1 byte) || length (CompactSize) || value
//
// Tags strictly increase, every known tag's value has one encoding, an empty optional field is left out, unknown types
// and tags are invalid. So equal records have equal bytes, and decode(encode(r)) == r.

namespace sluice {

inline constexpr size_t kMaxRecordsPerTransaction = 16;
inline constexpr size_t kMaxTitleBytes = 256;
inline constexpr size_t kMaxDescriptionBytes = 2048;
inline constexpr size_t kMaxShortTextBytes = 255;
inline constexpr size_t kMaxTags = 16;
inline constexpr size_t kMaxTagBytes = 32;
inline constexpr size_t kMaxSegments = 64;
inline constexpr size_t kMaxEndpoints = 8;
inline constexpr size_t kMaxEndpointBytes = 64;
inline constexpr size_t kMaxGrantedPurchases = 64;
inline constexpr size_t kMaxSettledChannels = 500;
inline constexpr size_t kMaxPayoutScriptBytes = 42;
inline constexpr size_t kMaxBundledTitles = 48;
inline constexpr size_t kSealedGiftBytes = 32 + crypto::kSealedBoxOverheadBytes;

enum class RecordType : uint8_t {
    kPublish = 1,
    kPurchase = 2,
    kGrant = 3,
    kChannel = 4,
    kSettle = 5,
    kRegister = 6,
    kExit = 7,
    kEvidence = 8,
    kGift = 9,
};

using Salt = FixedBytes<32, struct SaltTag>;

// A run of chunks with a key and a price of its own.
struct Segment {
    uint32_t first_chunk{0};
    PubKey key;    // K_i
    Amount price;  // 0: not sold on its own

    friend bool operator==(const Segment&, const Segment&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.first_chunk, self.key, self.price); }
};

// A title whose key a bundle gives.
struct BundledTitle {
    ClaimId claim;
    PubKey key;  // K of the title key that the buyer of the bundle gets

    friend bool operator==(const BundledTitle&, const BundledTitle&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.claim, self.key); }
};

// What a creator publishes about a sealed file or folder. Binds to the next output of its transaction, the anchor: a
// spendable taproot or stake output. Without `updates` it makes a new claim; with it, it spends that claim's anchor.
struct PublishRecord {
    std::optional<ClaimId> updates;
    ContentId content;                // of the sealed file
    PubKey title_key;                 // K = kG
    std::optional<Hash256> free_key;  // k itself: free content (price 0)
    Amount price;                     // of the title key; 0 only with free_key
    Salt sealing_salt;
    Salt title_salt;
    std::vector<Segment> segments;       // none: one segment, not sold on its own
    uint32_t manifest_chunks{0};         // chunks of the folder's manifest at the start; 0: a single file
    XOnlyPubKey seller_key;              // S: signs grants
    crypto::X25519PublicKey unseal_key;  // opens pre-signatures
    Script payout_script;                // where grants pay: taproot or stake
    Amount seed_price_per_mib;           // a hint
    std::string title;                   // 1 to kMaxTitleBytes, UTF-8
    std::string description;
    std::string mime;
    std::string file_name;
    std::vector<std::string> tags;
    std::string language;
    std::optional<ContentId> preview;
    std::optional<ContentId> thumbnail;
    std::optional<Hash256> profile;      // creator profile
    std::optional<OutPoint> previous;    // the publish outpoint of the previous version
    std::vector<std::string> endpoints;  // host:port of nodes that serve it
    std::vector<BundledTitle> bundle;    // the content is the secret keys of these titles (content/bundle.h)

    friend bool operator==(const PublishRecord&, const PublishRecord&) = default;
    static constexpr RecordType kType = RecordType::kPublish;
    static void Fields(auto& self, auto& fields) {
        fields.Optional(1, self.updates);
        fields.Required(2, self.content);
        fields.Required(3, self.title_key);
        fields.Optional(4, self.free_key);
        fields.NonZero(5, self.price);
        fields.Required(6, self.sealing_salt);
        fields.Required(7, self.title_salt);
        fields.List(8, self.segments, kMaxSegments);
        fields.NonZero(9, self.manifest_chunks);
        fields.Required(10, self.seller_key);
        fields.Required(11, self.unseal_key);
        fields.RequiredBlob(12, self.payout_script, kMaxPayoutScriptBytes);
        fields.NonZero(13, self.seed_price_per_mib);
        fields.RequiredBlob(14, self.title, kMaxTitleBytes);
        fields.Blob(15, self.description, kMaxDescriptionBytes);
        fields.Blob(16, self.mime, kMaxShortTextBytes);
        fields.Blob(17, self.file_name, kMaxShortTextBytes);
        fields.Texts(18, self.tags, kMaxTags, kMaxTagBytes);
        fields.Blob(19, self.language, kMaxTagBytes);
        fields.Optional(20, self.preview);
        fields.Optional(21, self.thumbnail);
        fields.Optional(22, self.profile);
        fields.Optional(23, self.previous);
        fields.Texts(24, self.endpoints, kMaxEndpoints, kMaxEndpointBytes);
        fields.List(25, self.bundle, kMaxBundledTitles);
    }
};

// A buyer locks the price in the next output of the transaction (consensus/templates.h). Tier 0 is the title key,
// tier i the key of segment i - 1.
struct PurchaseRecord {
    OutPoint publish;  // the anchor output made by the publish that all terms are taken from
    uint16_t tier{0};
    XOnlyPubKey buyer_key;  // B
    Height refund_height;

    friend bool operator==(const PurchaseRecord&, const PurchaseRecord&) = default;
    static constexpr RecordType kType = RecordType::kPurchase;
    static void Fields(auto& self, auto& fields) {
        fields.Required(1, self.publish);
        fields.NonZero(2, self.tier);
        fields.Required(3, self.buyer_key);
        fields.Required(4, self.refund_height);
    }
};

// Names the purchases that this transaction grants: exactly its inputs that spend a purchase lock through leaf 1, in
// order.
struct GrantRecord {
    std::vector<OutPoint> purchases;

    friend bool operator==(const GrantRecord&, const GrantRecord&) = default;
    static constexpr RecordType kType = RecordType::kGrant;
    static void Fields(auto& self, auto& fields) { fields.RequiredList(1, self.purchases, kMaxGrantedPurchases); }
};

// A payer locks money for a seeder in the next output of the transaction (consensus/templates.h).
struct ChannelRecord {
    XOnlyPubKey payer_key;
    XOnlyPubKey payee_key;
    Height expiry_height;  // from here on the payer can take the money back

    friend bool operator==(const ChannelRecord&, const ChannelRecord&) = default;
    static constexpr RecordType kType = RecordType::kChannel;
    static void Fields(auto& self, auto& fields) {
        fields.Required(1, self.payer_key);
        fields.Required(2, self.payee_key);
        fields.Required(3, self.expiry_height);
    }
};

// Settles the channels that the transaction's first inputs spend through leaf 1: element i says how many bytes were
// served on the channel of input i. No other input spends a channel through leaf 1. Rationale: the inputs name the
// channels already, and eight bytes each let 500 of them share one record.
struct SettleRecord {
    std::vector<uint64_t> served_bytes;

    friend bool operator==(const SettleRecord&, const SettleRecord&) = default;
    static constexpr RecordType kType = RecordType::kSettle;
    static void Fields(auto& self, auto& fields) { fields.RequiredList(1, self.served_bytes, kMaxSettledChannels); }
};

// Registers a staker, or with `updates` changes its keys; the next output is the bond.
struct RegisterRecord {
    std::optional<StakerId> updates;
    crypto::VrfPublicKey vrf_key;
    XOnlyPubKey signing_key;
    uint16_t commission_permille{0};  // at most 100
    Script payout_script;

    friend bool operator==(const RegisterRecord&, const RegisterRecord&) = default;
    static constexpr RecordType kType = RecordType::kRegister;
    static void Fields(auto& self, auto& fields) {
        fields.Optional(1, self.updates);
        fields.Required(2, self.vrf_key);
        fields.Required(3, self.signing_key);
        fields.NonZero(4, self.commission_permille);
        fields.RequiredBlob(5, self.payout_script, kMaxPayoutScriptBytes);
    }
};

// Retires a staker; spends its bond.
struct ExitRecord {
    StakerId staker;

    friend bool operator==(const ExitRecord&, const ExitRecord&) = default;
    static constexpr RecordType kType = RecordType::kExit;
    static void Fields(auto& self, auto& fields) { fields.Required(1, self.staker); }
};

// Two valid header signatures of one staker for one slot.
struct EvidenceRecord {
    BlockHeader first;  // the one with the lower hash
    BlockHeader second;

    friend bool operator==(const EvidenceRecord&, const EvidenceRecord&) = default;
    static constexpr RecordType kType = RecordType::kEvidence;
    static void Fields(auto& self, auto& fields) {
        fields.Required(1, self.first);
        fields.Required(2, self.second);
    }
};

using SealedGift = FixedBytes<kSealedGiftBytes, struct SealedGiftTag>;

// A key that was bought for somebody else, passed on: only the recipient opens it, and anyone else sees no more than
// that the purchase was given to someone. Found by phrase and chain alone. Whether the key is the one that the purchase
// was for, the recipient checks against the purchase's K; consensus cannot.
struct GiftRecord {
    OutPoint purchase;
    SealedGift sealed;  // SealBox of the 32-byte scalar to the recipient's key

    friend bool operator==(const GiftRecord&, const GiftRecord&) = default;
    static constexpr RecordType kType = RecordType::kGift;
    static void Fields(auto& self, auto& fields) {
        fields.Required(1, self.purchase);
        fields.Required(2, self.sealed);
    }
};

using Record = std::variant<PublishRecord, PurchaseRecord, GrantRecord, ChannelRecord, SettleRecord, RegisterRecord,
                            ExitRecord, EvidenceRecord, GiftRecord>;

Bytes EncodeRecord(const Record& record);
// Only canonical encodings of known types; the error names the field. Checks form, not meaning.
Result<Record> DecodeRecord(ByteSpan bytes);
// "publish", "purchase", ...
std::string_view RecordTypeName(const Record& record);

}  // namespace sluice
