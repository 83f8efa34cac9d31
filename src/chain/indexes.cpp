#include "chain/indexes.h"

#include <map>
#include <set>

#include "chain/store_keys.h"
#include "consensus/templates.h"
#include "util/check.h"

namespace sluice::chain {
namespace {

enum Table : char {
    kTx = 't',              // txid -> TxLocation
    kFeed = 'f',            // place, newest first -> PublishEntry
    kPublish = 'a',         // anchor -> PublishEntry
    kClaimPublishes = 'c',  // claim, place -> PublishEntry
    kPurchase = 'q',        // lock -> PurchaseEntry
    kClaimPurchases = 'p',  // claim, place -> PurchaseEntry
    kGrant = 'g',           // claim, tier, buyer, lock -> GrantEntry
    kGrantOf = 'k',         // lock -> GrantEntry
    kSpender = 'o',         // outpoint -> SpenderEntry
    kContent = 'n',         // root, size, place -> PublishEntry
    kSettle = 'z',          // place, newest first -> SettleEntry
};

class Key {
  public:
    explicit Key(Table table) : m_bytes{static_cast<uint8_t>(kIndexTable), static_cast<uint8_t>(table)} {}
    Key& Add(ByteSpan bytes) {
        m_bytes.insert(m_bytes.end(), bytes.begin(), bytes.end());
        return *this;
    }
    Key& Add(const OutPoint& outpoint) { return Add(ByteSpan(outpoint.txid.bytes)).Number(outpoint.index); }
    Key& Add(const ContentId& content) { return Add(ByteSpan(content.root.bytes)).Number(content.size_bytes); }
    Key& Add(const ChainPlace& place) {
        return Number(place.height.value).Number(place.tx_position).Number(place.output);
    }
    Key& AddNewestFirst(const ChainPlace& place) {
        return Number(~place.height.value).Number(~place.tx_position).Number(~place.output);
    }
    Key& Number(std::unsigned_integral auto value) {
        AppendBigEndian(m_bytes, value);
        return *this;
    }
    Bytes Take() { return std::move(m_bytes); }

  private:
    Bytes m_bytes;
};

// The key right after `key` in the order of keys.
Bytes Next(Bytes key) {
    key.push_back(0);
    return key;
}

template <class T>
Result<std::optional<T>> Lookup(const storage::KeyValueStore& store, const Bytes& key) {
    ASSIGN_OR_RETURN(const auto bytes, store.Get(key));
    if (!bytes) return std::optional<T>();
    auto value = Decode<T>(*bytes);
    if (!value) return Fail(Corrupt("an index entry does not decode"));
    return std::optional<T>(std::move(*value));
}

template <class T>
Result<std::vector<T>> List(const storage::KeyValueStore& store, const Bytes& prefix, const Bytes& from, size_t limit) {
    std::vector<T> list;
    bool damaged = false;
    RETURN_IF_ERROR(store.Scan(prefix, from, [&](ByteSpan, ByteSpan value) {
        if (list.size() >= limit) return false;
        auto decoded = Decode<T>(value);
        damaged = !decoded;
        if (decoded) list.push_back(std::move(*decoded));
        return !damaged;
    }));
    if (damaged) return Fail(Corrupt("an index entry does not decode"));
    return list;
}

// Makes the entries of one block. Looks into the store only for what earlier blocks put there.
class EntryMaker {
  public:
    EntryMaker(const storage::KeyValueStore& store, const ConnectedBlock& block) : m_store(store), m_block(block) {}

    Result<std::vector<std::pair<Bytes, Bytes>>> Run() {
        for (uint32_t position = 0; position < m_block.block->transactions.size(); ++position) {
            const Transaction& tx = *m_block.block->transactions[position];
            Put(Key(kTx).Add(ByteSpan(tx.txid().bytes)),
                TxLocation{m_block.state.hash, m_block.state.height, position});
            if (!tx.IsCoinbase()) Spends(tx);
            for (uint32_t output = 0; output < tx.outputs().size(); ++output) {
                const auto script = ParseOutputScript(tx.outputs()[output].script);
                if (!script || script->kind != OutputKind::kRecord) continue;
                const auto record = DecodeRecord(script->record);
                if (record) RETURN_IF_ERROR(Record(*record, tx, {m_block.state.height, position, output}));
            }
        }
        return std::move(m_entries);
    }

  private:
    template <class T>
    void Put(Key key, const T& value) {
        m_entries.emplace_back(key.Take(), Encode(value));
    }

    void Spends(const Transaction& tx) {
        for (uint32_t input = 0; input < tx.inputs().size(); ++input) {
            const OutPoint& spent = tx.inputs()[input].prevout;
            const auto coin = m_block.SpentCoin(spent);
            const bool special = coin ? coin->kind != consensus::CoinKind::kPlain : m_bound.contains(spent);
            if (special) Put(Key(kSpender).Add(spent), SpenderEntry{tx.txid(), input, m_block.state.height});
        }
    }

    Status Record(const sluice::Record& record, const Transaction& tx, const ChainPlace& place) {
        const OutPoint bound = tx.Output(place.output + 1);
        if (const auto* publish = std::get_if<PublishRecord>(&record)) {
            const PublishEntry entry{place, publish->updates.value_or(consensus::MakeClaimId(bound)), bound,
                                     publish->updates.has_value()};
            m_bound.insert(bound);
            m_publishes[bound] = entry;
            Put(Key(kFeed).AddNewestFirst(place), entry);
            Put(Key(kPublish).Add(bound), entry);
            Put(Key(kClaimPublishes).Add(ByteSpan(entry.claim.bytes)).Add(place), entry);
            Put(Key(kContent).Add(publish->content).Add(place), entry);
            for (const auto& clear : {publish->preview, publish->thumbnail})
                if (clear) Put(Key(kContent).Add(*clear).Add(place), entry);
        } else if (const auto* purchase = std::get_if<PurchaseRecord>(&record)) {
            std::optional<PublishEntry> publish_entry;
            if (const auto found = m_publishes.find(purchase->publish); found != m_publishes.end()) {
                publish_entry = found->second;
            } else {
                ASSIGN_OR_RETURN(publish_entry,
                                 Lookup<PublishEntry>(m_store, Key(kPublish).Add(purchase->publish).Take()));
            }
            if (!publish_entry) return Fail(Corrupt("the publish of a purchase is not indexed"));
            const PurchaseEntry entry{
                place, bound, purchase->publish, publish_entry->claim, purchase->tier, purchase->buyer_key};
            m_bound.insert(bound);
            m_purchases[bound] = entry;
            Put(Key(kPurchase).Add(bound), entry);
            Put(Key(kClaimPurchases).Add(ByteSpan(entry.claim.bytes)).Add(place), entry);
        } else if (const auto* grant = std::get_if<GrantRecord>(&record)) {
            for (const OutPoint& lock : grant->purchases) RETURN_IF_ERROR(Grant(lock, tx, place));
        } else if (const auto* settle = std::get_if<SettleRecord>(&record)) {
            SettleEntry entry{place, tx.txid(), {}};
            for (size_t i = 0; i < settle->served_bytes.size(); ++i)
                entry.channels.push_back({tx.inputs()[i].prevout, settle->served_bytes[i]});
            Put(Key(kSettle).AddNewestFirst(place), entry);
        } else if (std::holds_alternative<ChannelRecord>(record) || std::holds_alternative<RegisterRecord>(record)) {
            m_bound.insert(bound);
        }
        return {};
    }

    Status Grant(const OutPoint& lock, const Transaction& tx, const ChainPlace& place) {
        std::optional<PurchaseEntry> purchase;
        if (const auto found = m_purchases.find(lock); found != m_purchases.end()) {
            purchase = found->second;
        } else {
            ASSIGN_OR_RETURN(purchase, Lookup<PurchaseEntry>(m_store, Key(kPurchase).Add(lock).Take()));
        }
        if (!purchase) return Fail(Corrupt("the purchase of a grant is not indexed"));
        uint32_t input = 0;
        while (input < tx.inputs().size() && tx.inputs()[input].prevout != lock) ++input;
        const GrantEntry entry{place, lock, purchase->claim, purchase->tier, purchase->buyer_key, tx.txid(), input};
        Put(Key(kGrant)
                .Add(ByteSpan(entry.claim.bytes))
                .Number(entry.tier)
                .Add(ByteSpan(entry.buyer_key.bytes))
                .Add(lock),
            entry);
        Put(Key(kGrantOf).Add(lock), entry);
        return {};
    }

    const storage::KeyValueStore& m_store;
    const ConnectedBlock& m_block;
    std::vector<std::pair<Bytes, Bytes>> m_entries;
    std::set<OutPoint> m_bound;                    // outputs of this block that a record made special
    std::map<OutPoint, PublishEntry> m_publishes;  // of this block
    std::map<OutPoint, PurchaseEntry> m_purchases;
};

}  // namespace

Result<Indexes::Entries> Indexes::EntriesOf(const ConnectedBlock& block) const {
    return EntryMaker(m_store, block).Run();
}

Status Indexes::PutBlock(storage::WriteBatch& batch, const ConnectedBlock& block) const {
    ASSIGN_OR_RETURN(Entries entries, EntriesOf(block));
    for (auto& [key, value] : entries) batch.Put(std::move(key), std::move(value));
    return {};
}

Status Indexes::EraseBlock(storage::WriteBatch& batch, const ConnectedBlock& block) const {
    ASSIGN_OR_RETURN(Entries entries, EntriesOf(block));
    for (auto& [key, value] : entries) batch.Delete(std::move(key));
    return {};
}

Result<std::optional<TxLocation>> Indexes::FindTx(const Txid& txid) const {
    return Lookup<TxLocation>(m_store, Key(kTx).Add(ByteSpan(txid.bytes)).Take());
}

Result<std::vector<PublishEntry>> Indexes::Feed(std::optional<ChainPlace> before, size_t limit) const {
    return List<PublishEntry>(m_store, Key(kFeed).Take(),
                              before ? Next(Key(kFeed).AddNewestFirst(*before).Take()) : Bytes(), limit);
}

Result<std::optional<PublishEntry>> Indexes::FindPublish(const OutPoint& anchor) const {
    return Lookup<PublishEntry>(m_store, Key(kPublish).Add(anchor).Take());
}

Result<std::vector<PublishEntry>> Indexes::PublishesOf(const ClaimId& claim, size_t limit) const {
    return List<PublishEntry>(m_store, Key(kClaimPublishes).Add(ByteSpan(claim.bytes)).Take(), {}, limit);
}

Result<std::vector<PublishEntry>> Indexes::PublishesWith(const ContentId& content, size_t limit) const {
    return List<PublishEntry>(m_store, Key(kContent).Add(content).Take(), {}, limit);
}

Result<std::vector<ClaimId>> Indexes::ClaimsByPrefix(const std::string& hex, size_t limit) const {
    // The first id that the digits can begin, and the digits that make whole bytes of a key.
    const auto least = ClaimId::FromHex(hex + std::string(2 * ClaimId::kSize - hex.size(), '0'));
    CHECK(least.has_value());
    const Bytes prefix = Key(kClaimPublishes).Add(ByteSpan(least->bytes).first(hex.size() / 2)).Take();
    Bytes from = Key(kClaimPublishes).Add(ByteSpan(least->bytes)).Take();
    std::vector<ClaimId> claims;
    while (claims.size() < limit) {
        ASSIGN_OR_RETURN(const auto next, List<PublishEntry>(m_store, prefix, from, 1));
        if (next.empty() || !next[0].claim.Hex().starts_with(hex)) break;
        claims.push_back(next[0].claim);
        from = Key(kClaimPublishes).Add(ByteSpan(next[0].claim.bytes)).Add(Bytes(13, 0xff)).Take();
    }
    return claims;
}

Result<std::optional<PurchaseEntry>> Indexes::FindPurchase(const OutPoint& lock) const {
    return Lookup<PurchaseEntry>(m_store, Key(kPurchase).Add(lock).Take());
}

Result<std::vector<PurchaseEntry>> Indexes::PurchasesOf(const ClaimId& claim, std::optional<ChainPlace> after,
                                                        size_t limit) const {
    const Key prefix = Key(kClaimPurchases).Add(ByteSpan(claim.bytes));
    return List<PurchaseEntry>(m_store, Key(prefix).Take(), after ? Next(Key(prefix).Add(*after).Take()) : Bytes(),
                               limit);
}

Result<std::vector<GrantEntry>> Indexes::GrantsOf(const ClaimId& claim, std::optional<uint16_t> tier,
                                                  const std::optional<XOnlyPubKey>& buyer, size_t limit) const {
    CHECK(tier.has_value() || !buyer.has_value());
    Key prefix = Key(kGrant).Add(ByteSpan(claim.bytes));
    if (tier) prefix.Number(*tier);
    if (buyer) prefix.Add(ByteSpan(buyer->bytes));
    return List<GrantEntry>(m_store, prefix.Take(), {}, limit);
}

Result<std::optional<GrantEntry>> Indexes::FindGrant(const OutPoint& lock) const {
    return Lookup<GrantEntry>(m_store, Key(kGrantOf).Add(lock).Take());
}

Result<std::optional<SpenderEntry>> Indexes::SpenderOf(const OutPoint& outpoint) const {
    return Lookup<SpenderEntry>(m_store, Key(kSpender).Add(outpoint).Take());
}

Result<std::vector<SettleEntry>> Indexes::Settles(std::optional<ChainPlace> before, size_t limit) const {
    return List<SettleEntry>(m_store, Key(kSettle).Take(),
                             before ? Next(Key(kSettle).AddNewestFirst(*before).Take()) : Bytes(), limit);
}

}  // namespace sluice::chain
