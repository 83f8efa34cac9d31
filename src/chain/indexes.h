#pragma once

#include <functional>

#include "chain/tip_change.h"
#include "storage/key_value.h"

namespace sluice::chain {

struct TxLocation {
    BlockHash block;
    Height height;
    uint32_t position{0};  // in the block

    friend bool operator==(const TxLocation&, const TxLocation&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.block, self.height, self.position); }
};

// Where on the active chain: orders entries of lists. Also the cursor of a page.
struct ChainPlace {
    Height height;
    uint32_t tx_position{0};
    uint32_t output{0};

    friend auto operator<=>(const ChainPlace&, const ChainPlace&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.height, self.tx_position, self.output); }
};

struct PublishEntry {
    ChainPlace place;
    ClaimId claim;
    OutPoint anchor;  // the publish outpoint
    bool update{false};

    friend bool operator==(const PublishEntry&, const PublishEntry&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.place, self.claim, self.anchor, self.update); }
};

struct PurchaseEntry {
    ChainPlace place;
    OutPoint lock;  // the purchase outpoint
    OutPoint publish;
    ClaimId claim;
    uint16_t tier{0};
    XOnlyPubKey buyer_key;

    friend bool operator==(const PurchaseEntry&, const PurchaseEntry&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.place, self.lock, self.publish, self.claim, self.tier, self.buyer_key);
    }
};

// A granted purchase. The completed signature is in the witness of input `input` of `txid`.
struct GrantEntry {
    ChainPlace place;
    OutPoint lock;
    ClaimId claim;
    uint16_t tier{0};
    XOnlyPubKey buyer_key;
    Txid txid;
    uint32_t input{0};

    friend bool operator==(const GrantEntry&, const GrantEntry&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.place, self.lock, self.claim, self.tier, self.buyer_key, self.txid, self.input);
    }
};

struct SettledChannel {
    OutPoint channel;
    uint64_t served_bytes{0};

    friend bool operator==(const SettledChannel&, const SettledChannel&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.channel, self.served_bytes); }
};

struct SettleEntry {
    ChainPlace place;
    Txid txid;
    std::vector<SettledChannel> channels;

    friend bool operator==(const SettleEntry&, const SettleEntry&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.place, self.txid);
        archive.Vector(self.channels, kMaxSettledChannels, 44);
    }
};

// Who spent a purchase, channel, anchor or bond output.
struct SpenderEntry {
    Txid txid;
    uint32_t input{0};
    Height height;

    friend bool operator==(const SpenderEntry&, const SpenderEntry&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.txid, self.input, self.height); }
};

// What can be found by name on the active chain, from blocks alone (table 'i'). Changes in the same batch as the state,
// and is taken back exactly when a block is disconnected. Chain worker; errors are kEnvironment.
class Indexes {
  public:
    // `store` must outlive it.
    explicit Indexes(storage::KeyValueStore& store) : m_store(store) {}

    Status PutBlock(storage::WriteBatch& batch, const ConnectedBlock& block) const;
    Status EraseBlock(storage::WriteBatch& batch, const ConnectedBlock& block) const;

    Result<std::optional<TxLocation>> FindTx(const Txid& txid) const;
    // Publishes, newest first, that come after `before` in this order (from the newest if empty).
    Result<std::vector<PublishEntry>> Feed(std::optional<ChainPlace> before, size_t limit) const;
    Result<std::optional<PublishEntry>> FindPublish(const OutPoint& anchor) const;
    // Oldest first.
    Result<std::vector<PublishEntry>> PublishesOf(const ClaimId& claim, size_t limit = 1000) const;
    // The publishes that name this content, as what they sell or as preview or thumbnail. Oldest first.
    Result<std::vector<PublishEntry>> PublishesWith(const ContentId& content, size_t limit = 1000) const;
    // The claims whose ids begin with these digits (lower case, at most 64), in order of their ids.
    Result<std::vector<ClaimId>> ClaimsByPrefix(const std::string& hex, size_t limit) const;
    Result<std::optional<PurchaseEntry>> FindPurchase(const OutPoint& lock) const;
    // Oldest first, those after `after`.
    Result<std::vector<PurchaseEntry>> PurchasesOf(const ClaimId& claim, std::optional<ChainPlace> after,
                                                   size_t limit) const;
    // Grants of a claim, also of one tier, also of one buyer.
    Result<std::vector<GrantEntry>> GrantsOf(const ClaimId& claim, std::optional<uint16_t> tier = {},
                                             const std::optional<XOnlyPubKey>& buyer = {}, size_t limit = 1000) const;
    Result<std::optional<GrantEntry>> FindGrant(const OutPoint& lock) const;
    Result<std::optional<SpenderEntry>> SpenderOf(const OutPoint& outpoint) const;
    // Newest first.
    Result<std::vector<SettleEntry>> Settles(std::optional<ChainPlace> before, size_t limit) const;

  private:
    using Entries = std::vector<std::pair<Bytes, Bytes>>;
    Result<Entries> EntriesOf(const ConnectedBlock& block) const;

    storage::KeyValueStore& m_store;
};

}  // namespace sluice::chain
