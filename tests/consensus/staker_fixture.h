#pragma once

#include "consensus/staker_rules.h"
#include "ledger_fixture.h"

// A ledger from genesis on with stakers, each block elected by the snapshot that the rules name.

namespace sluice::consensus::testing {

inline crypto::VrfPublicKey VrfKey(uint8_t n) {
    std::array<uint8_t, 32> seed{};
    seed[0] = n;
    return crypto::VrfPublic(crypto::VrfSecretKey(seed));
}
inline StakerId Id(uint8_t n) { return StakerId{{n, n}}; }
// Keys of staker n: of its bond, for signing headers, of its payout script.
inline uint32_t BondKey(uint8_t n) { return 20u + n; }
inline uint32_t SigningKey(uint8_t n) { return 30u + n; }
inline uint32_t PayoutKey(uint8_t n) { return 40u + n; }

inline RegisterRecord Registration(uint8_t n, uint16_t commission_permille = 0) {
    RegisterRecord record;
    record.vrf_key = VrfKey(n);
    record.signing_key = TestKey(SigningKey(n)).XOnly();
    record.commission_permille = commission_permille;
    record.payout_script = KeyScript(PayoutKey(n));
    return record;
}

class StakerChain : public Ledger {
  public:
    // Epochs of 20 slots, evidence for 100.
    StakerChain() {
        state.entries.clear();
        snapshot = {};
        height = Height(0);
        slot = Slot(0);
        params.epoch_slots = 20;
        params.nonce_cutoff_slots = 8;
        params.unbonding_slots = 100;
        state.Put({}, LedgerTotals{});
        state.Put({}, ChainIdentity{genesis_hash});
    }

    // Of genesis, before Start.
    void AddStaker(uint8_t n, uint16_t commission_permille = 0) {
        const OutPoint bond = Fund({params.bond, KeyScript(BondKey(n))}, Coin{.kind = CoinKind::kBond});
        StakerState staker;
        staker.bond = bond;
        staker.vrf_key = VrfKey(n);
        staker.signing_key = TestKey(SigningKey(n)).XOnly();
        staker.commission_permille = commission_permille;
        staker.payout_script = KeyScript(PayoutKey(n));
        state.Put(Id(n), staker);
        state.Put(bond, BondState{Id(n)});
        state.Put(staker.vrf_key, VrfKeyOwner{Id(n)});
        StakerList list = state.Get<StakerList>({}).value_or(StakerList{});
        list.ids.push_back(Id(n));
        state.Put({}, list);
    }
    OutPoint AddStake(const StakerId& id, Amount amount, uint32_t key = 0) {
        const OutPoint coin = Fund({amount, StakeScript(OutputKey(key), id)}, {});
        StateCache cache(state);
        consensus::AddStake(cache, id, amount, kGenesisStakeEpoch);
        state.Apply(cache.Delta());
        return coin;
    }
    void Start() {
        LedgerTotals totals = Totals();
        totals.reserve_at_epoch_start = Amount(kMaxSupply.drops - totals.genesis.drops);
        state.Put({}, totals);
        m_genesis = TakeSnapshot(state, genesis_hash, Epoch(0));
    }

    const StakeSnapshot& Elects(Epoch epoch) const {
        for (auto it = m_blocks.rbegin(); it != m_blocks.rend(); ++it)
            if (it->after.epoch + 2 <= epoch) return it->after;
        return m_genesis;
    }
    // The next block will be of this slot and producer.
    void Prepare(Slot at, const StakerId& by) {
        step = static_cast<uint64_t>(at - slot);
        producer = by;
        snapshot = Elects(params.EpochOf(at));
    }
    void ConnectAt(Slot at, const StakerId& by, const std::vector<TransactionRef>& txs = {}) {
        Prepare(at, by);
        const auto before = std::pair(height, slot);
        StateDelta delta = Connect(txs, run);
        m_blocks.push_back(
            {std::move(delta), TakeSnapshot(state, BlockHash(), params.EpochOf(slot)), before.first, before.second});
        step = 1;
    }
    // In the first free slot of an epoch.
    void ConnectIn(uint64_t epoch, const std::vector<TransactionRef>& txs = {}, const StakerId& by = Id(1)) {
        ConnectAt(std::max(slot + 1, params.FirstSlot(Epoch(epoch))), by, txs);
    }
    void Disconnect() {
        state.Undo(m_blocks.back().delta);
        height = m_blocks.back().parent_height;
        slot = m_blocks.back().parent_slot;
        m_blocks.pop_back();
    }
    size_t blocks() const { return m_blocks.size(); }
    const StakeSnapshot& newest_snapshot() const { return m_blocks.empty() ? m_genesis : m_blocks.back().after; }

    StakerState Staker(const StakerId& id) const { return *state.Get<StakerState>(id); }
    Amount Accrued(const OutPoint& coin, Epoch epoch) const {
        return AccruedReward(params, state, *state.Get<Coin>(coin), epoch);
    }
    // A(now) in drops per drop, times 2^64, as far as 128 bits hold it.
    unsigned __int128 Accumulator(const StakerId& id) const {
        unsigned __int128 value = 0;
        const auto bytes = Staker(id).reward_per_drop;
        for (size_t i = 16; i-- > 0;) value = value << 8 | bytes[i];
        return value;
    }

    // Delegates `amount` of a new coin: output 0.
    TransactionRef Delegate(const StakerId& id, Amount amount, uint32_t key = 0) {
        return Sign(Build({Fund(Amount(amount.drops + Slu(1).drops))}, {{amount, StakeScript(OutputKey(key), id)}}));
    }
    // record, bond, change
    TransactionRef Register(uint8_t n, const RegisterRecord& record, std::optional<Amount> bond = std::nullopt) {
        return Sign(
            Build({Fund(Slu(2'000))}, {RecordOutput(record), {bond.value_or(params.bond), KeyScript(BondKey(n))}}));
    }
    TransactionRef Register(uint8_t n) { return Register(n, Registration(n)); }
    static StakerId IdOf(const TransactionRef& registration, uint32_t record_output = 0) {
        return MakeStakerId(registration->inputs()[0].prevout, record_output);
    }
    // Spends the newest bond of `id` and a new coin.
    TransactionRef Update(const StakerId& id, uint8_t n, RegisterRecord record,
                          std::optional<Amount> bond = std::nullopt) {
        record.updates = id;
        return Sign(Build({Staker(id).bond, Fund(Slu(1))},
                          {RecordOutput(record), {bond.value_or(params.bond), KeyScript(BondKey(n))}}));
    }
    TransactionRef Exit(const StakerId& id, uint8_t n) {
        return Sign(Build({Staker(id).bond, Fund(Slu(1))},
                          {RecordOutput(ExitRecord{id}), {params.bond, KeyScript(BondKey(n))}}));
    }
    TransactionRef Release(const StakerId& id) { return Sign(Build({Staker(id).bond}, {})); }

    // A header of `id` in `at` with the n-th content, signed with a key of TestKey.
    BlockHeader SignedHeader(const StakerId& id, Slot at, uint8_t content, uint32_t key) const {
        BlockHeader header;
        header.slot = at;
        header.staker = id;
        header.tx_root.bytes[0] = content;
        header.signature = TestKey(key).Sign(header.SigningHash(genesis_hash));
        return header;
    }
    static EvidenceRecord Ordered(const BlockHeader& a, const BlockHeader& b) {
        return a.Hash() < b.Hash() ? EvidenceRecord{a, b} : EvidenceRecord{b, a};
    }
    EvidenceRecord Equivocation(const StakerId& id, Slot at, uint32_t key) const {
        return Ordered(SignedHeader(id, at, 1, key), SignedHeader(id, at, 2, key));
    }
    TransactionRef Evidence(const EvidenceRecord& record) {
        return Know(MakeTransaction(MakeEvidenceTransaction(record, Staker(record.first.staker).bond)));
    }

    BlockHash genesis_hash{{7, 7}};
    SpendRunner run = RunSpendsInOrder;

  private:
    struct Connected {
        StateDelta delta;
        StakeSnapshot after;
        Height parent_height;
        Slot parent_slot;
    };
    StakeSnapshot m_genesis;
    std::vector<Connected> m_blocks;
};

}  // namespace sluice::consensus::testing
