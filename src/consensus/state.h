#pragma once

#include <array>
#include <map>
#include <optional>
#include <vector>

#include "consensus/params.h"
#include "primitives/record.h"

// The state of the chain: a map of entries, each with a table letter, a key and a value, all canonically encoded. A
// block's effect is a StateDelta; its `before` values are the undo data. Everything that a rule reads is in here.

namespace sluice::consensus {

enum class CoinKind : uint8_t { kPlain = 0, kAnchor = 1, kPurchase = 2, kChannel = 3, kBond = 4 };

// An unspent output.
struct Coin {
    using Key = OutPoint;
    static constexpr char kTable = 'c';

    TxOutput output;
    Height height;  // of the block that made it
    Slot slot;      // of that block; its epoch is the creation epoch, its time what CSV counts from
    bool coinbase{false};
    CoinKind kind{CoinKind::kPlain};

    friend bool operator==(const Coin&, const Coin&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.output, self.height, self.slot, self.coinbase, self.kind);
    }
};

// A live claim. Erased when its anchor is spent without an update.
struct ClaimState {
    using Key = ClaimId;
    static constexpr char kTable = 'l';

    OutPoint anchor;  // of the newest publish: the publish outpoint
    Height first_height;
    uint32_t version{1};  // publishes so far

    friend bool operator==(const ClaimState&, const ClaimState&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.anchor, self.first_height, self.version); }
};

// The terms of one publish, by the anchor that it made. Erased superseded_grace_blocks after it was replaced or
// retired.
struct PublishState {
    using Key = OutPoint;
    static constexpr char kTable = 'p';

    ClaimId claim;
    Height height;
    std::optional<Height> superseded;
    Bytes record;  // the encoded PublishRecord

    friend bool operator==(const PublishState&, const PublishState&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.claim, self.height);
        archive.Optional(self.superseded);
        archive.VarBytes(self.record, kMaxRecordBytes);
    }
    // Precondition: the state came from the chain, so the record decodes.
    PublishRecord Decoded() const;
};

// Publishes to erase when the block of this height connects.
struct PublishExpiry {
    using Key = Height;
    static constexpr char kTable = 'x';

    std::vector<OutPoint> publishes;
    static void Serialize(auto& self, auto& archive) {
        archive.Vector(self.publishes, kMaxBlockTransactions * kMaxRecordsPerTransaction, 36);
    }
};

// A purchase that is neither granted nor refunded, by its lock output. Holds its terms, so it outlives the publish.
struct PurchaseState {
    using Key = OutPoint;
    static constexpr char kTable = 'u';

    OutPoint publish;
    ClaimId claim;
    uint16_t tier{0};
    XOnlyPubKey buyer_key;
    XOnlyPubKey seller_key;
    PubKey key;  // K or K_i: the point whose secret is sold
    Amount price;
    Script payout_script;
    Height refund_height;

    friend bool operator==(const PurchaseState&, const PurchaseState&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.publish, self.claim, self.tier, self.buyer_key, self.seller_key, self.key, self.price);
        archive.VarBytes(self.payout_script, kMaxPayoutScriptBytes);
        archive(self.refund_height);
    }
};

// An open channel, by its lock output.
struct ChannelState {
    using Key = OutPoint;
    static constexpr char kTable = 'h';

    XOnlyPubKey payer_key;
    XOnlyPubKey payee_key;
    Height expiry_height;

    friend bool operator==(const ChannelState&, const ChannelState&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.payer_key, self.payee_key, self.expiry_height); }
};

enum class StakerStatus : uint8_t { kActive = 0, kExiting = 1, kRetired = 2, kSlashed = 3 };

// The unspent value sent to a staker id, and how much of it is so new that it does not count yet. Genesis outputs are
// in the total alone: they count from the start.
struct StakeCount {
    struct Recent {
        Epoch epoch;
        Amount amount;
        friend bool operator==(const Recent&, const Recent&) = default;
        static void Serialize(auto& self, auto& archive) { archive(self.epoch, self.amount); }
    };
    // Elections and rewards look back two epochs from the current one, so three epochs are told apart.
    static constexpr size_t kRecentEpochs = 3;

    Amount total;
    std::array<Recent, kRecentEpochs> recent{};  // the newest epochs in which any was made, newest first; then zeros

    // What of the total was made in an epoch before `epoch`. Exact if `epoch` is not before the newest epoch - 2.
    Amount MadeBefore(Epoch epoch) const;
    Amount MadeIn(Epoch epoch) const;
    // `epoch`: of creation, kGenesisStakeEpoch for genesis. Precondition of Add: not before the newest one.
    void Add(Amount amount, Epoch epoch);
    void Remove(Amount amount, Epoch epoch);
    // Adds another count of the same id.
    void Merge(const StakeCount& other);

    friend bool operator==(const StakeCount&, const StakeCount&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.total);
        for (auto& each : self.recent) archive(each);
    }

  private:
    void AddRecent(Recent added);
};
// The epoch of creation that stake of the genesis block is given: it counts from the start.
inline constexpr Epoch kGenesisStakeEpoch{UINT64_MAX};

// A signing key that was replaced: evidence may still be under it.
struct ReplacedKey {
    XOnlyPubKey key;
    Epoch replaced;  // the epoch at whose start this was the key and at whose end it was not

    friend bool operator==(const ReplacedKey&, const ReplacedKey&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.key, self.replaced); }
};
inline constexpr size_t kMaxReplacedKeys = 64;

// A staker, for ever: an id that was used is never free again.
struct StakerState {
    using Key = StakerId;
    static constexpr char kTable = 's';

    StakerStatus status{StakerStatus::kActive};
    OutPoint bond;  // unspent while active or exiting; the last one otherwise
    crypto::VrfPublicKey vrf_key;
    XOnlyPubKey signing_key;
    uint16_t commission_permille{0};
    Script payout_script;
    Epoch registered;
    Slot exit_slot;                          // of the block with the exit record, from kExiting on
    std::vector<ReplacedKey> replaced_keys;  // oldest first; forgotten when evidence under them is too old
    StakeCount stake;
    std::array<uint8_t, 32> reward_per_drop{};  // accumulator, 2^-64 drops per drop, 256-bit little-endian
    Epoch reward_epoch;                         // in which the accumulator changed last
    uint32_t reward_entries{0};                 // RewardHistory entries: 0 to reward_entries - 1
    Amount pot;                                 // minted for delegators and not yet spent

    friend bool operator==(const StakerState&, const StakerState&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.status, self.bond, self.vrf_key, self.signing_key, self.commission_permille);
        archive.VarBytes(self.payout_script, kMaxPayoutScriptBytes);
        archive(self.registered, self.exit_slot);
        archive.Vector(self.replaced_keys, kMaxReplacedKeys, 40);
        archive(self.stake);
        archive.Raw(self.reward_per_drop);
        archive(self.reward_epoch, self.reward_entries, self.pot);
    }
};

// Whose bond an unspent output of CoinKind::kBond is.
struct BondState {
    using Key = OutPoint;
    static constexpr char kTable = 'b';

    StakerId staker;
    friend bool operator==(const BondState&, const BondState&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.staker); }
};

// The ids whose bond is unspent, active and exiting, sorted: at most the supply over the bond. One entry, with an empty
// key.
struct StakerList {
    struct Key {
        static void Serialize(auto&, auto&) {}
    };
    static constexpr char kTable = 'S';
    static constexpr size_t kMaxStakers = 1'000'000;

    std::vector<StakerId> ids;
    static void Serialize(auto& self, auto& archive) { archive.Vector(self.ids, kMaxStakers, 8); }
};

// Which staker uses a VRF key: unique among ids.
struct VrfKeyOwner {
    using Key = crypto::VrfPublicKey;
    static constexpr char kTable = 'v';

    StakerId staker;
    static void Serialize(auto& self, auto& archive) { archive(self.staker); }
};

// The accumulator of a staker at the end of the epochs in which it changed, but for the newest one (StakerState has
// it). Numbered from 0 in the order of time, so that the value at the end of any epoch is found in logarithmic time.
struct RewardHistoryKey {
    StakerId staker;
    uint32_t number{0};
    static void Serialize(auto& self, auto& archive) { archive(self.staker, self.number); }
};
struct RewardHistory {
    using Key = RewardHistoryKey;
    static constexpr char kTable = 'r';

    Epoch epoch;
    std::array<uint8_t, 32> reward_per_drop{};
    static void Serialize(auto& self, auto& archive) {
        archive(self.epoch);
        archive.Raw(self.reward_per_drop);
    }
};

// Which chain this is: what the signatures in evidence are bound to. One entry, with an empty key.
struct ChainIdentity {
    using Key = StakerList::Key;
    static constexpr char kTable = 'g';

    BlockHash genesis;
    static void Serialize(auto& self, auto& archive) { archive(self.genesis); }
};

// Money as a whole. Invariant at every block: genesis + minted = unspent + pots + burned. One entry, with an empty key.
struct LedgerTotals {
    using Key = StakerList::Key;
    static constexpr char kTable = 't';

    Amount genesis;
    Amount minted;
    Amount burned;
    Amount unspent;  // value of all coins
    Amount pots;
    uint64_t coins{0};
    Epoch epoch;                    // of the newest block
    Amount reserve_at_epoch_start;  // what that epoch's subsidy is a share of

    friend bool operator==(const LedgerTotals&, const LedgerTotals&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.genesis, self.minted, self.burned, self.unspent, self.pots, self.coins, self.epoch,
                self.reserve_at_epoch_start);
    }
    bool Conserved() const { return genesis.drops + minted.drops == unspent.drops + pots.drops + burned.drops; }
};

// Reads raw entries. An implementation that fails to read remembers it and says "absent"; its owner asks it before
// trusting a verdict that was reached through it.
class StateReader {
  public:
    virtual ~StateReader() = default;
    virtual std::optional<Bytes> Read(ByteSpan key) const = 0;

    template <class T>
    std::optional<T> Get(const typename T::Key& key) const;
};

// table letter || encoded key
template <class T>
Bytes StateKey(const typename T::Key& key) {
    Writer writer;
    writer(static_cast<uint8_t>(T::kTable));
    writer(key);
    return writer.Take();
}

struct StateChange {
    Bytes key;
    std::optional<Bytes> before;
    std::optional<Bytes> after;

    friend bool operator==(const StateChange&, const StateChange&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive.VarBytes(self.key, 128);
        SerializeValue(self.before, archive);
        SerializeValue(self.after, archive);
    }

  private:
    static void SerializeValue(auto& value, auto& archive) {
        bool present = value.has_value();
        archive(present);
        if constexpr (std::remove_reference_t<decltype(archive)>::kReading) {
            if (present) archive.VarBytes(value.emplace(), 64 << 20);
        } else {
            if (present) archive.VarBytes(*value, 64 << 20);
        }
    }
};

// Changes in key order, each key once. Applying sets `after`, undoing sets `before`.
struct StateDelta {
    std::vector<StateChange> changes;

    friend bool operator==(const StateDelta&, const StateDelta&) = default;
    static void Serialize(auto& self, auto& archive) { archive.Vector(self.changes, 10'000'000, 3); }
};

// A layer of changes over another reader, which must outlive it.
class StateCache final : public StateReader {
  public:
    explicit StateCache(const StateReader& base) : m_base(base) {}
    // A copy of a layer is not a layer over it: for that, name the lower one as the StateReader that it is.
    StateCache(const StateCache&) = delete;

    std::optional<Bytes> Read(ByteSpan key) const override;
    template <class T>
    void Put(const typename T::Key& key, const T& value) {
        m_changes[StateKey<T>(key)] = Encode(value);
    }
    template <class T>
    void Erase(const typename T::Key& key) {
        m_changes[StateKey<T>(key)] = std::nullopt;
    }
    // What changed against the base, without changes that cancelled out.
    StateDelta Delta() const;
    // Puts another layer's changes (made over this one) into this one.
    void Absorb(const StateCache& layer);
    void ApplyDelta(const StateDelta& delta);
    void UndoDelta(const StateDelta& delta);
    bool Empty() const { return m_changes.empty(); }
    void Clear() { m_changes.clear(); }

  private:
    const StateReader& m_base;
    std::map<Bytes, std::optional<Bytes>> m_changes;
};

template <class T>
std::optional<T> StateReader::Get(const typename T::Key& key) const {
    const auto bytes = Read(StateKey<T>(key));
    if (!bytes) return std::nullopt;
    auto value = Decode<T>(*bytes);
    CHECK(value.has_value());  // we wrote it
    return std::move(*value);
}

}  // namespace sluice::consensus
