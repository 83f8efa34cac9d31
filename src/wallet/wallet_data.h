#pragma once

#include "consensus/state.h"
#include "primitives/block.h"
#include "wallet/keychain.h"

// What a wallet remembers, as it is stored.

namespace sluice::wallet {

// The newest block that the wallet has seen.
struct ScanCursor {
    BlockHash hash;
    Height height;

    friend bool operator==(const ScanCursor&, const ScanCursor&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.hash, self.height); }
};

// An output of ours, spent ones too (a reorganisation brings them back).
struct OwnedCoin {
    TxOutput output;
    consensus::CoinKind kind{consensus::CoinKind::kPlain};
    std::optional<KeyPath> key;    // none for purchase and channel locks, whose key hangs on `first_input`
    OutPoint first_input;          // of the transaction that made it
    std::optional<Height> height;  // of its block; none: unconfirmed
    bool coinbase{false};
    bool trusted{false};             // made by a transaction of ours alone: can be spent unconfirmed
    std::optional<ClaimId> claim;    // anchors
    std::optional<StakerId> staker;  // bonds: whose
    std::optional<Txid> spent_by;

    friend bool operator==(const OwnedCoin&, const OwnedCoin&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.output, self.kind);
        archive.Optional(self.key);
        archive(self.first_input);
        archive.Optional(self.height);
        archive(self.coinbase, self.trusted);
        archive.Optional(self.claim);
        archive.Optional(self.staker);
        archive.Optional(self.spent_by);
    }
};

// A transaction that makes or spends an output of ours.
struct OwnedTransaction {
    Bytes raw;                        // with witnesses
    std::optional<ScanCursor> block;  // none: unconfirmed
    uint32_t position{0};             // in its block; unconfirmed: the order in which they came
    Slot slot;                        // of its block

    static void Serialize(auto& self, auto& archive) {
        archive.VarBytes(self.raw, kMaxTransactionBytes);
        archive.Optional(self.block);
        archive(self.position, self.slot);
    }
};

// What a purchase pays for, from its publish record.
struct PurchaseTerms {
    ClaimId claim;  // zero if the publish lookup did not say
    XOnlyPubKey seller_key;
    PubKey key;  // K or K_i
    Amount price;
    Script payout_script;

    friend bool operator==(const PurchaseTerms&, const PurchaseTerms&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.claim, self.seller_key, self.key, self.price);
        archive.VarBytes(self.payout_script, kMaxPayoutScriptBytes);
    }
};

enum class PurchaseStatus : uint8_t {
    kUnconfirmed = 0,  // the purchase itself is not in a block
    kPending = 1,      // waits for the seller
    kGranted = 2,      // paid, and `key` holds what was bought
    kRefunded = 3,
    kFailed = 4,  // paid, and the key could not be extracted: `problem` says why
};

// A purchase of ours, by its lock output.
struct OwnPurchase {
    OutPoint publish;
    uint16_t tier{0};
    OutPoint first_input;  // B hangs on it
    XOnlyPubKey buyer_key;
    Height refund_height;
    std::optional<PurchaseTerms> terms;  // none: the publish was not found (yet)
    PurchaseStatus status{PurchaseStatus::kUnconfirmed};
    std::optional<Hash256> key;       // the secret scalar k (or k_i), kept for ever once extracted
    std::optional<Txid> resolved_by;  // grant or refund
    std::string problem;              // kFailed

    static void Serialize(auto& self, auto& archive) {
        archive(self.publish, self.tier, self.first_input, self.buyer_key, self.refund_height);
        archive.Optional(self.terms);
        archive(self.status);
        archive.Optional(self.key);
        archive.Optional(self.resolved_by);
        archive.VarBytes(self.problem, 256);
    }
};

// A key that somebody bought for us and passed on, by the output of its record. Whether it is the key that the purchase
// was for, and so of any use, its point says.
struct OwnGift {
    OutPoint purchase;
    Hash256 key;   // the secret scalar
    PubKey point;  // key * G
    Txid txid;
    ScanCursor block;

    static void Serialize(auto& self, auto& archive) {
        archive(self.purchase, self.key, self.point, self.txid, self.block);
    }
};

// For whom a purchase of ours was made, by the first input of its transaction, which a higher fee does not change.
struct GiftIntent {
    crypto::X25519PublicKey recipient;
    std::optional<Txid> sent;  // the transaction that passes the key on

    static void Serialize(auto& self, auto& archive) {
        archive(self.recipient);
        archive.Optional(self.sent);
    }
};

enum class ChannelStatus : uint8_t { kUnconfirmed = 0, kOpen = 1, kSettled = 2, kRefunded = 3 };

// A channel that we pay, by its lock output.
struct OwnChannel {
    OutPoint first_input;  // the payer key hangs on it and on the lock's index
    XOnlyPubKey payer_key;
    XOnlyPubKey payee_key;
    Height expiry_height;
    ChannelStatus status{ChannelStatus::kUnconfirmed};
    std::optional<Txid> resolved_by;

    static void Serialize(auto& self, auto& archive) {
        archive(self.first_input, self.payer_key, self.payee_key, self.expiry_height, self.status);
        archive.Optional(self.resolved_by);
    }
};

}  // namespace sluice::wallet
