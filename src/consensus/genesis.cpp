#include "consensus/genesis.h"

#include <algorithm>

#include "consensus/genesis_file.h"

namespace sluice::consensus {
namespace {

Hash256 GenesisHash(const Genesis& genesis) {
    return crypto::TaggedHash("Sluice/genesis", EncodeGenesisFields(genesis));
}

MutableTransaction MakeGenesisCoinbase(const Genesis& genesis) {
    MutableTransaction tx;
    tx.inputs.push_back({kNullOutPoint, ScriptBuilder().Push(GenesisHash(genesis).bytes).Take(), 0xffffffff, {}});
    for (const GenesisAllocation& allocation : genesis.allocations)
        tx.outputs.push_back({allocation.amount, allocation.script});
    for (const GenesisStaker& staker : genesis.stakers) tx.outputs.push_back({genesis.params.bond, staker.bond_script});
    return tx;
}

// What an empty chain holds.
class EmptyState final : public StateReader {
  public:
    std::optional<Bytes> Read(ByteSpan) const override { return std::nullopt; }
};

StakerState MakeStaker(const GenesisStaker& staker, const OutPoint& bond) {
    StakerState state;
    state.bond = bond;
    state.vrf_key = staker.keys.vrf_key;
    state.signing_key = staker.keys.signing_key;
    state.commission_permille = staker.keys.commission_permille;
    state.payout_script = staker.keys.payout_script;
    return state;
}

}  // namespace

Block Genesis::MakeBlock() const {
    Block block;
    block.transactions.push_back(MakeTransaction(MakeGenesisCoinbase(*this)));
    block.header.tx_root = TxMerkleRoot(block.transactions);
    block.header.witness_root = WitnessMerkleRoot(block.transactions);
    return block;
}

HeaderState Genesis::MakeHeaderState() const {
    const BlockHash hash = Hash();
    HeaderState state{};
    state.hash = hash;
    state.nonce = first_nonce;
    state.previous = state.elects = EpochBoundary{hash, Epoch(0)};
    return state;
}

StateDelta Genesis::MakeState() const {
    const EmptyState empty;
    StateCache state(empty);
    const Block block = MakeBlock();
    state.Put({}, ChainIdentity{block.header.Hash()});
    const Transaction& coinbase = *block.transactions[0];
    LedgerTotals totals;
    for (uint32_t i = 0; i < coinbase.outputs().size(); ++i) {
        const TxOutput& output = coinbase.outputs()[i];
        const CoinKind kind = i < allocations.size() ? CoinKind::kPlain : CoinKind::kBond;
        state.Put(coinbase.Output(i), Coin{output, Height(0), Slot(0), false, kind});
        totals.genesis.drops += output.value.drops;
        ++totals.coins;
    }
    totals.unspent = totals.genesis;
    totals.reserve_at_epoch_start = Amount(kMaxSupply.drops - totals.genesis.drops);
    state.Put({}, totals);

    StakerList list;
    for (size_t i = 0; i < stakers.size(); ++i) {
        const StakerId& id = stakers[i].id;
        const OutPoint bond = coinbase.Output(static_cast<uint32_t>(allocations.size() + i));
        list.ids.push_back(id);
        state.Put(id, MakeStaker(stakers[i], bond));
        state.Put(bond, BondState{id});
        state.Put(stakers[i].keys.vrf_key, VrfKeyOwner{id});
    }
    std::sort(list.ids.begin(), list.ids.end());
    state.Put({}, list);
    for (const GenesisAllocation& allocation : allocations) {
        const auto output = ParseOutputScript(allocation.script);
        if (output && output->kind == OutputKind::kStake)
            AddStake(state, output->staker, allocation.amount, kGenesisStakeEpoch);
    }
    return state.Delta();
}

}  // namespace sluice::consensus
