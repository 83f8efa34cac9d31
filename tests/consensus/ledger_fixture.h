#pragma once

#include <gtest/gtest.h>

#include <map>

#include "consensus/block_rules.h"
#include "consensus/rewards.h"
#include "consensus/templates.h"
#include "primitives/script.h"

// A ledger in memory for tests: a state on a map, keys that fund and sign, transactions of every kind, blocks.

namespace sluice::consensus::testing {

inline constexpr uint8_t kSingleAnyoneCanPay = kSighashSingle | kSighashAnyoneCanPay;
inline const StakerId kTestStaker{{1, 2, 3, 4, 5, 6, 7, 8}};

class MapState final : public StateReader {
  public:
    std::optional<Bytes> Read(ByteSpan key) const override {
        const auto found = entries.find(ToBytes(key));
        if (found == entries.end()) return std::nullopt;
        return found->second;
    }
    template <class T>
    void Put(const typename T::Key& key, const T& value) {
        entries[StateKey<T>(key)] = Encode(value);
    }
    void Apply(const StateDelta& delta) {
        for (const StateChange& change : delta.changes) Set(change.key, change.before, change.after);
    }
    void Undo(const StateDelta& delta) {
        for (const StateChange& change : delta.changes) Set(change.key, change.after, change.before);
    }
    // Counted coin by coin.
    LedgerTotals CountCoins() const {
        LedgerTotals counted;
        for (const auto& [key, value] : entries) {
            if (key[0] != Coin::kTable) continue;
            ++counted.coins;
            counted.unspent.drops += Decode<Coin>(value)->output.value.drops;
        }
        return counted;
    }

    std::map<Bytes, Bytes> entries;

  private:
    void Set(const Bytes& key, const std::optional<Bytes>& expected, const std::optional<Bytes>& value) {
        EXPECT_EQ(Read(key), expected);
        if (value) {
            entries[key] = *value;
        } else {
            entries.erase(key);
        }
    }
};

// The key whose secret is n + 1.
inline crypto::SecretKey TestKey(uint32_t n) {
    std::array<uint8_t, 32> bytes{};
    for (size_t i = 0; i < 4; ++i) bytes[31 - i] = static_cast<uint8_t>((n + 1) >> (8 * i));
    return *crypto::SecretKey::FromBytes(bytes);
}
inline XOnlyPubKey OutputKey(uint32_t key) { return crypto::TapTweak(TestKey(key).XOnly(), std::nullopt)->key; }
inline Script KeyScript(uint32_t key) { return TaprootScript(OutputKey(key)); }
inline Script KeyStakeScript(uint32_t key) { return StakeScript(OutputKey(key), kTestStaker); }
inline XOnlyPubKey OffCurveKey() {
    XOnlyPubKey key;
    do ++key.bytes[31];
    while (crypto::IsOnCurve(key));
    return key;
}
inline Amount Slu(uint64_t n) { return Amount(n * kDropsPerSlu); }

inline Params TestParams() {
    Params params;
    params.network = "ledger-test";
    params.hrp = "tslu";
    params.genesis_time = UnixMillis(milliseconds(1'700'000'000'000));
    params.active_slots_numerator = 1;
    params.active_slots_denominator = 2;
    params.epoch_slots = 200;
    params.nonce_cutoff_slots = 80;
    params.k = 5;
    params.refund_window_blocks = 10;
    params.superseded_grace_blocks = 3;
    params.channel_window_blocks = 20;
    return params;
}

// Keys of the roles in the examples below.
inline constexpr uint32_t kTitleKey = 50, kSellerKey = 51, kPayoutKey = 52, kSegmentKey = 53, kBuyerKey = 54,
                          kPayerKey = 55, kPayeeKey = 56, kChangeKey = 57, kProducerKey = 58;

inline PublishRecord ExamplePublish() {
    PublishRecord record;
    record.content = {ContentRoot{}, 1'000'000};
    record.title_key = TestKey(kTitleKey).Public();
    record.price = Slu(5);
    record.seller_key = TestKey(kSellerKey).XOnly();
    record.payout_script = KeyScript(kPayoutKey);
    record.title = "A film";
    return record;
}

struct Lock {
    OutPoint outpoint;
    TxOutput output;
    LockTemplate lock;
    uint32_t owner{0};
    uint32_t payee{0};
    Height height;
};

class Ledger {
  public:
    Ledger() {
        LedgerTotals totals;
        totals.reserve_at_epoch_start = Amount(kMaxSupply.drops / 2);
        state.Put<LedgerTotals>({}, totals);
        StakerState staker;
        staker.payout_script = KeyScript(kProducerKey);
        state.Put(kTestStaker, staker);
        SnapshotEntry entry;
        entry.staker = kTestStaker;
        entry.payout_script = staker.payout_script;
        snapshot.entries.push_back(entry);
    }

    LedgerTotals Totals() const { return *state.Get<LedgerTotals>({}); }
    TxContext Next() const { return {height + 1, slot + step, slot}; }
    Height next_height() const { return height + 1; }

    // A new coin of key 0, out of the genesis supply.
    OutPoint Fund(Amount value) { return Fund({value, KeyScript(0)}, {}); }
    OutPoint Fund(const TxOutput& output, Coin coin) {
        OutPoint outpoint;
        const auto hash = crypto::Sha256Of(Encode(m_funded++));
        outpoint.txid = CastHash<Txid>(hash);
        coin.output = output;
        state.Put(outpoint, coin);
        LedgerTotals totals = Totals();
        totals.genesis.drops += output.value.drops;
        totals.unspent.drops += output.value.drops;
        ++totals.coins;
        state.Put<LedgerTotals>({}, totals);
        known[outpoint] = output;
        return outpoint;
    }

    // Unsigned; the rest over `fee` and what the records burn goes to a change output at the end.
    MutableTransaction Build(const std::vector<OutPoint>& inputs, std::vector<TxOutput> outputs,
                             Amount fee = Amount(1'000)) const {
        MutableTransaction tx;
        uint64_t in = 0, out = fee.drops;
        for (const OutPoint& prevout : inputs) {
            tx.inputs.push_back({prevout, {}, 0xffffffff, {}});
            in += known.at(prevout).value.drops;
        }
        for (const TxOutput& output : outputs) {
            out += output.value.drops;
            const auto parsed = ParseOutputScript(output.script);
            if (parsed && parsed->kind == OutputKind::kRecord) out += RecordFee(params, parsed->record.size()).drops;
        }
        tx.outputs = std::move(outputs);
        CHECK(in >= out);
        if (in > out) tx.outputs.push_back({Amount(in - out), KeyScript(kChangeKey)});
        return tx;
    }

    std::vector<TxOutput> Spent(const MutableTransaction& tx) const {
        std::vector<TxOutput> spent;
        for (const TxInput& input : tx.inputs) {
            const auto found = known.find(input.prevout);
            spent.push_back(found != known.end() ? found->second : TxOutput{});
        }
        return spent;
    }

    // Signs, by key path, every input that has no witness yet and whose key is known. `annex` goes to the first input.
    TransactionRef Sign(MutableTransaction tx, uint8_t hash_type = kSighashDefault,
                        std::optional<Bytes> annex = std::nullopt) {
        const SpendingTransaction spending(tx, Spent(tx));
        std::vector<WitnessStack> witnesses;
        for (size_t i = 0; i < tx.inputs.size(); ++i) {
            WitnessStack witness = tx.inputs[i].witness;
            const auto key = KeyOf(spending.spent()[i].script);
            if (witness.empty() && key) {
                const auto its_annex = i == 0 ? annex : std::nullopt;
                const auto hash = spending.SignatureHash(i, hash_type, {}, its_annex);
                CHECK(hash.has_value());
                Bytes signature = ToBytes(TestKey(*key).TapTweak(std::nullopt)->Sign(*hash).bytes);
                if (hash_type != kSighashDefault) signature.push_back(hash_type);
                witness.push_back(std::move(signature));
                if (its_annex) witness.push_back(*its_annex);
            }
            witnesses.push_back(std::move(witness));
        }
        for (size_t i = 0; i < tx.inputs.size(); ++i) tx.inputs[i].witness = std::move(witnesses[i]);
        return Know(MakeTransaction(std::move(tx)));
    }
    TransactionRef Know(TransactionRef tx) {
        for (uint32_t i = 0; i < tx->outputs().size(); ++i) known[tx->Output(i)] = tx->outputs()[i];
        return tx;
    }

    static Bytes PurchaseAnnex() {
        Bytes annex(kPurchaseAnnexBytes, 7);
        annex[0] = 0x50;
        return annex;
    }

    // record, anchor, change
    TransactionRef Publish(const PublishRecord& record, const OutPoint& input, Amount anchor = Slu(1)) {
        return Sign(Build({input}, {RecordOutput(record), {anchor, KeyScript(1)}}));
    }
    TransactionRef Update(PublishRecord record, const ClaimId& claim, const OutPoint& anchor, const OutPoint& input) {
        record.updates = claim;
        return Sign(Build({input, anchor}, {RecordOutput(record), {Slu(1), KeyScript(1)}}));
    }
    // record, lock, change
    TransactionRef Purchase(const PurchaseRecord& record, Amount value, const OutPoint& input,
                            uint32_t seller = kSellerKey) {
        const auto lock = MakeLockTemplate(record.buyer_key, TestKey(seller).XOnly(), record.refund_height);
        CHECK(lock.has_value());
        return Sign(Build({input}, {RecordOutput(record), {value, lock->output_script}}), kSighashDefault,
                    PurchaseAnnex());
    }
    PurchaseRecord ExamplePurchase(const OutPoint& publish) const {
        return {publish, 0, TestKey(kBuyerKey).XOnly(), next_height() + params.refund_window_blocks};
    }
    TransactionRef OpenChannel(Height expiry, Amount value, const OutPoint& input) {
        const auto lock = MakeLockTemplate(TestKey(kPayerKey).XOnly(), TestKey(kPayeeKey).XOnly(), expiry);
        CHECK(lock.has_value());
        const ChannelRecord record{TestKey(kPayerKey).XOnly(), TestKey(kPayeeKey).XOnly(), expiry};
        return Sign(Build({input}, {RecordOutput(record), {value, lock->output_script}}));
    }
    // The lock at output 1 of a purchase or an opening.
    static Lock LockOf(const TransactionRef& tx, uint32_t owner, uint32_t payee, Height lock_height) {
        return {tx->Output(1),
                tx->outputs()[1],
                *MakeLockTemplate(TestKey(owner).XOnly(), TestKey(payee).XOnly(), lock_height),
                owner,
                payee,
                lock_height};
    }
    static Lock LockOf(const TransactionRef& purchase, const PurchaseRecord& record) {
        return LockOf(purchase, kBuyerKey, kSellerKey, record.refund_height);
    }
    // Signs input `index` through leaf 1; outputs and inputs are as they will stay.
    void SignPay(MutableTransaction& tx, size_t index, const Lock& lock, uint8_t owner_type = kSingleAnyoneCanPay,
                 uint8_t payee_type = kSighashDefault) const {
        const SpendingTransaction spending(tx, Spent(tx));
        const auto sign = [&](uint32_t key, uint8_t type) {
            Bytes signature = ToBytes(
                TestKey(key).Sign(*spending.SignatureHash(index, type, ScriptPathData{lock.lock.pay_leaf_hash})).bytes);
            if (type != kSighashDefault) signature.push_back(type);
            return signature;
        };
        tx.inputs[index].witness = {sign(lock.payee, payee_type), sign(lock.owner, owner_type), lock.lock.pay_leaf,
                                    lock.lock.pay_control};
    }
    void SignRefund(MutableTransaction& tx, size_t index, const Lock& lock) const {
        const SpendingTransaction spending(tx, Spent(tx));
        tx.inputs[index].witness = RefundWitness(
            lock.lock,
            TestKey(lock.owner)
                .Sign(*spending.SignatureHash(index, kSighashDefault, ScriptPathData{lock.lock.refund_leaf_hash})));
    }
    // lock -> price to the payout, record; the second input adds the fees.
    MutableTransaction BuildGrant(const Lock& lock, Amount price, const OutPoint& input) const {
        MutableTransaction tx =
            Build({lock.outpoint, input}, {{price, KeyScript(kPayoutKey)}, RecordOutput(GrantRecord{{lock.outpoint}})});
        tx.inputs[0].sequence = kLockSpendSequence;
        return tx;
    }
    TransactionRef Grant(const Lock& lock, Amount price, const OutPoint& input) {
        MutableTransaction tx = BuildGrant(lock, price, input);
        SignPay(tx, 0, lock);
        return Sign(std::move(tx));
    }
    MutableTransaction BuildSettle(const Lock& lock, Amount returned, const OutPoint& input) const {
        MutableTransaction tx = Build({lock.outpoint, input},
                                      {{returned, KeyScript(2)}, RecordOutput(SettleRecord{{77}})});
        tx.inputs[0].sequence = kLockSpendSequence;
        return tx;
    }
    TransactionRef Settle(const Lock& lock, Amount returned, const OutPoint& input) {
        MutableTransaction tx = BuildSettle(lock, returned, input);
        SignPay(tx, 0, lock);
        return Sign(std::move(tx));
    }
    TransactionRef Refund(const Lock& lock) {
        MutableTransaction tx = Build({lock.outpoint}, {{Amount(lock.output.value.drops - 1'000), KeyScript(2)}});
        tx.lock_time = lock.height.value;
        tx.inputs[0].sequence = kLockSpendSequence;
        SignRefund(tx, 0, lock);
        return Sign(std::move(tx));
    }

    static TxOutput RecordOutput(const Record& record) { return {Amount(0), RecordScript(EncodeRecord(record))}; }

    // Applies to a copy of the state and verifies; asserts that an invalid transaction leaves no trace and a valid one
    // keeps money.
    Verdict<TxEffect> Try(const TransactionRef& tx) const {
        StateCache cache(state);
        auto effect = ApplyTransaction(params, Next(), cache, tx);
        if (!effect) {
            EXPECT_TRUE(cache.Empty());
            return effect;
        }
        uint64_t before = 0, after = 0;
        for (const StateChange& change : cache.Delta().changes) {
            if (change.key[0] != Coin::kTable) continue;
            if (change.before) before += Decode<Coin>(*change.before)->output.value.drops;
            if (change.after) after += Decode<Coin>(*change.after)->output.value.drops;
        }
        EXPECT_EQ(before + effect->accrued.drops, after + effect->fee.drops + effect->burned.drops);
        if (const auto run = effect->spends.Run(); !run) return tl::unexpected(run.error());
        return effect;
    }
    // The code of its rejection; empty if it is valid.
    std::string Code(const TransactionRef& tx) const {
        const auto effect = Try(tx);
        return effect ? "" : effect.error().code;
    }

    Amount FeesOf(const std::vector<TransactionRef>& txs) const {
        StateCache cache(state);
        Amount fees;
        for (const TransactionRef& tx : txs) {
            const auto effect = ApplyTransaction(params, Next(), cache, tx);
            if (effect) fees.drops += effect->fee.drops;
        }
        return fees;
    }
    Amount Subsidy() const { return BlockSubsidy(params, Totals(), params.EpochOf(Next().slot)); }

    // The next block, with commitments that fit. Change it, then Reseal.
    Block MakeBlock(const std::vector<TransactionRef>& txs) const {
        Block block;
        block.header.slot = Next().slot;
        block.header.height = next_height();
        block.header.staker = producer;
        block.header.commitment = HeaderCommitment({}, previous_snapshot_hash);
        const SnapshotEntry& entry = *snapshot.Find(producer);
        const Amount reward = CoinbaseValue(Subsidy(), entry, FeesOf(txs));
        block.transactions.push_back(MakeTransaction(MakeCoinbase(next_height(), reward, entry.payout_script)));
        block.transactions.insert(block.transactions.end(), txs.begin(), txs.end());
        Reseal(block);
        return block;
    }
    static void Reseal(Block& block) {
        block.header.tx_root = TxMerkleRoot(block.transactions);
        block.header.witness_root = WitnessMerkleRoot(block.transactions);
    }
    Verdict<StateDelta> Try(const Block& block, const SpendRunner& run = RunSpendsInOrder) const {
        HeaderState parent;
        parent.height = height;
        parent.slot = slot;
        parent.epoch = params.EpochOf(slot);
        HeaderState self;
        self.height = block.header.height;
        self.slot = block.header.slot;
        self.epoch = params.EpochOf(block.header.slot);
        return ConnectBlock(params, {parent, self, snapshot, previous_snapshot_hash}, state, block, run);
    }
    std::string Code(const Block& block) const {
        const auto delta = Try(block);
        return delta ? "" : delta.error().code;
    }
    // Connects the next block of `txs`, which must be valid, and recounts the money.
    StateDelta Connect(const std::vector<TransactionRef>& txs = {}, const SpendRunner& run = RunSpendsInOrder) {
        const auto delta = Try(MakeBlock(txs), run);
        if (!delta) {
            ADD_FAILURE() << delta.error().ToString();
            return {};
        }
        state.Apply(*delta);
        height = height + 1;
        slot = slot + step;
        ExpectConserved();
        return *delta;
    }
    void ConnectEmpty(uint32_t blocks) {
        for (uint32_t i = 0; i < blocks; ++i) Connect();
    }
    void ExpectConserved() const {
        const LedgerTotals totals = Totals(), counted = state.CountCoins();
        EXPECT_TRUE(totals.Conserved());
        EXPECT_EQ(totals.unspent, counted.unspent);
        EXPECT_EQ(totals.coins, counted.coins);
    }

    // A confirmed publish of `record`: its anchor, its claim.
    OutPoint Published(const PublishRecord& record) {
        const auto tx = Publish(record, Fund(Slu(10)));
        Connect({tx});
        return tx->Output(1);
    }
    Lock Purchased(const OutPoint& publish, Amount value) {
        const PurchaseRecord record = ExamplePurchase(publish);
        const auto tx = Purchase(record, value, Fund(Slu(100)));
        Connect({tx});
        return LockOf(tx, record);
    }
    Lock Opened(Amount value) {
        const Height expiry = next_height() + params.channel_window_blocks;
        const auto tx = OpenChannel(expiry, value, Fund(Slu(100)));
        Connect({tx});
        return LockOf(tx, kPayerKey, kPayeeKey, expiry);
    }

    Params params = TestParams();
    MapState state;
    Height height{100};  // of the newest block
    Slot slot{300};
    uint64_t step{2};  // slots from the newest block to the next
    StakeSnapshot snapshot;
    StakerId producer = kTestStaker;  // of the next block; in `snapshot`
    Hash256 previous_snapshot_hash{{9, 9, 9}};
    std::map<OutPoint, TxOutput> known;  // every output made so far, confirmed or not

  private:
    static std::optional<uint32_t> KeyOf(const Script& script) {
        static const auto* kKeys = [] {
            auto* keys = new std::map<Bytes, uint32_t>;
            for (uint32_t i = 0; i < 60; ++i) keys->emplace(ToBytes(OutputKey(i).bytes), i);
            return keys;
        }();
        const auto parsed = ParseOutputScript(script);
        if (!parsed || parsed->kind == OutputKind::kRecord) return std::nullopt;
        const auto found = kKeys->find(ToBytes(parsed->key.bytes));
        if (found == kKeys->end()) return std::nullopt;
        return found->second;
    }

    uint64_t m_funded{0};
};

}  // namespace sluice::consensus::testing
