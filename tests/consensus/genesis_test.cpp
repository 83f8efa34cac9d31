#include "consensus/genesis.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace sluice::consensus {
namespace {

Genesis Regtest() { return BuiltInGenesis("regtest").value(); }

class EmptyState final : public StateReader {
  public:
    std::optional<Bytes> Read(ByteSpan) const override { return std::nullopt; }
};

struct GenesisState {
    explicit GenesisState(const Genesis& genesis) { cache.ApplyDelta(genesis.MakeState()); }
    EmptyState empty;
    StateCache cache{empty};
};

// BIP32 private derivation with BIP39 and BIP86 on top, written out for this test.
struct ExtendedKey {
    crypto::SecretKey key;
    Bytes chain_code;

    static ExtendedKey Split(const crypto::Sha512Hash& hash, const crypto::SecretKey* parent) {
        const ByteSpan bytes = hash.bytes;
        auto key = parent ? parent->TweakAdd(*Hash256::FromBytes(bytes.first(32)))
                          : crypto::SecretKey::FromBytes(bytes.first(32));
        return {std::move(key.value()), ToBytes(bytes.last(32))};
    }
    static ExtendedKey FromPhrase(std::string_view phrase) {
        std::array<uint8_t, 64> seed;
        crypto::Pbkdf2HmacSha512(AsBytes(phrase), AsBytes("mnemonic"), 2048, seed);
        return Split(crypto::HmacSha512(AsBytes("Bitcoin seed"), seed), nullptr);
    }
    ExtendedKey Child(uint32_t index) const {
        Bytes data;
        if (index & 0x80000000) {
            data.push_back(0);
            data.insert(data.end(), key.bytes().begin(), key.bytes().end());
        } else {
            const PubKey point = key.Public();
            data.assign(point.begin(), point.end());
        }
        for (int shift = 24; shift >= 0; shift -= 8) data.push_back(static_cast<uint8_t>(index >> shift));
        return Split(crypto::HmacSha512(chain_code, data), &key);
    }
};

XOnlyPubKey Bip86Key(uint32_t coin_type, uint32_t index) {
    constexpr uint32_t kHard = 0x80000000;
    const ExtendedKey key = ExtendedKey::FromPhrase(kRegtestPhrase)
                                .Child(kHard + 86)
                                .Child(kHard + coin_type)
                                .Child(kHard)
                                .Child(0)
                                .Child(index);
    return crypto::TapTweak(key.key.XOnly(), std::nullopt)->key;
}

TEST(RegtestGenesis, HashIsFrozen) {
    EXPECT_EQ(Regtest().Hash().Hex(), "6da768fcfe27684fff504827d48cef80b10e67f3290be2565ce5132a8a1513d2");
}

TEST(RegtestGenesis, PassesItsOwnCheck) {
    const Status status = CheckGenesis(Regtest());
    EXPECT_TRUE(status.has_value()) << status.error().message;
}

TEST(RegtestGenesis, CoinsBelongToTheFirstTwoBip86KeysOfThePublicPhrase) {
    // BIP86's own vector for this phrase shows that the derivation here is right.
    EXPECT_EQ(Bip86Key(0, 0).Hex(), "a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c");
    EXPECT_EQ(Bip86Key(0, 1).Hex(), "a82f29944d65b86ae6b5e5cc75e294ead6c59391a1edc5e016e3498c67fc7bbb");
    const Genesis genesis = Regtest();
    const Script plain = TaprootScript(Bip86Key(1, 0));
    EXPECT_EQ(genesis.allocations[0].script, StakeScript(Bip86Key(1, 1), RegtestOperator(0).staker));
    EXPECT_EQ(genesis.allocations[0].amount, Amount(5'000'000 * kDropsPerSlu));
    ASSERT_EQ(genesis.allocations.size(), 11u);
    for (size_t i = 1; i < 11; ++i) {
        EXPECT_EQ(genesis.allocations[i].script, plain);
        EXPECT_EQ(genesis.allocations[i].amount, Amount(499'700 * kDropsPerSlu));
    }
    for (const GenesisStaker& staker : genesis.stakers) {
        EXPECT_EQ(staker.bond_script, plain);
        EXPECT_EQ(staker.keys.payout_script, plain);
    }
}

TEST(RegtestGenesis, StakersHaveThePublicOperatorKeys) {
    const Genesis genesis = Regtest();
    ASSERT_EQ(genesis.stakers.size(), 3u);
    for (uint32_t i = 0; i < 3; ++i) {
        const OperatorKeys keys = RegtestOperator(i);
        EXPECT_EQ(genesis.stakers[i].id, keys.staker);
        EXPECT_EQ(genesis.stakers[i].keys.vrf_key, crypto::VrfPublic(keys.vrf));
        EXPECT_EQ(genesis.stakers[i].keys.signing_key, keys.signing.XOnly());
    }
}

TEST(RegtestGenesis, ParametersAreThoseOfTheProtocol) {
    const Params params = Regtest().params;
    EXPECT_EQ(params.hrp, "rslu");
    EXPECT_EQ(params.p2p_port, 19444);
    EXPECT_EQ(params.rpc_port, 19443);
    EXPECT_EQ(params.epoch_slots, 200u);
    EXPECT_EQ(params.nonce_cutoff_slots, 80u);
    EXPECT_EQ(params.k, 50u);
    EXPECT_EQ(params.ExpectedEpochBlocks(), 100u);
    EXPECT_EQ(params.refund_window_blocks, 120u);
    EXPECT_EQ(params.SlotSeconds(Slot(0)), 1'767'225'600u);
}

TEST(Networks, ThatHaveNotStartedOrDoNotExistSaySo) {
    for (const char* name : {"main", "test"}) {
        const auto genesis = BuiltInGenesis(name);
        ASSERT_FALSE(genesis.has_value());
        EXPECT_EQ(genesis.error().kind, ErrorKind::kUnavailable);
        EXPECT_NE(genesis.error().message.find("has not started"), std::string::npos);
    }
    const auto unknown = BuiltInGenesis("mian");
    ASSERT_FALSE(unknown.has_value());
    EXPECT_EQ(unknown.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(unknown.error().message.find("'mian'"), std::string::npos);
}

TEST(GenesisBlock, HasOneCoinbaseThatCommitsToEverything) {
    const Genesis genesis = Regtest();
    const Block block = genesis.MakeBlock();
    ASSERT_EQ(block.transactions.size(), 1u);
    const Transaction& coinbase = *block.transactions[0];
    EXPECT_TRUE(coinbase.IsCoinbase());
    EXPECT_EQ(coinbase.inputs()[0].script_sig.size(), 33u);
    EXPECT_EQ(coinbase.inputs()[0].script_sig[0], 32);
    EXPECT_EQ(coinbase.outputs().size(), 14u);
    EXPECT_EQ(block.header.tx_root, TxMerkleRoot(block.transactions));
    EXPECT_EQ(block.header.witness_root, WitnessMerkleRoot(block.transactions));
    EXPECT_EQ(block.header.slot, Slot(0));
    EXPECT_EQ(block.header.height, Height(0));
    EXPECT_TRUE(block.header.prev.IsZero());
    const auto decoded = Block::FromBytes(block.ToBytes());
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->header.Hash(), genesis.Hash());
}

using Change = std::function<void(Genesis&)>;

TEST(GenesisBlock, HashDependsOnEveryParameterAndEveryFieldOfGenesis) {
    const std::vector<Change> changes = {
        [](Genesis& g) { g.params.network = "other"; },
        [](Genesis& g) { g.params.hrp = "other"; },
        [](Genesis& g) { g.params.magic[3] ^= 1; },
        [](Genesis& g) { ++g.params.p2p_port; },
        [](Genesis& g) { ++g.params.rpc_port; },
        [](Genesis& g) { g.params.genesis_time += milliseconds(1); },
        [](Genesis& g) { g.params.slot_duration += milliseconds(1); },
        [](Genesis& g) { ++g.params.active_slots_numerator; },
        [](Genesis& g) { ++g.params.active_slots_denominator; },
        [](Genesis& g) { ++g.params.epoch_slots; },
        [](Genesis& g) { ++g.params.nonce_cutoff_slots; },
        [](Genesis& g) { ++g.params.k; },
        [](Genesis& g) { ++g.params.subsidy_numerator; },
        [](Genesis& g) { ++g.params.subsidy_denominator; },
        [](Genesis& g) { ++g.params.record_fee_per_byte.drops; },
        [](Genesis& g) { ++g.params.anchor_per_byte.drops; },
        [](Genesis& g) { ++g.params.bond.drops; },
        [](Genesis& g) { ++g.params.unbonding_slots; },
        [](Genesis& g) { ++g.params.refund_window_blocks; },
        [](Genesis& g) { ++g.params.superseded_grace_blocks; },
        [](Genesis& g) { ++g.params.channel_window_blocks; },
        [](Genesis& g) { g.first_nonce.bytes[0] ^= 1; },
        [](Genesis& g) { --g.allocations[3].amount.drops; },
        [](Genesis& g) { g.allocations[3].script.back() ^= 1; },
        [](Genesis& g) { g.allocations.pop_back(); },
        [](Genesis& g) { g.stakers[0].id.bytes[0] ^= 1; },
        [](Genesis& g) { g.stakers[0].keys.vrf_key.bytes[0] ^= 1; },
        [](Genesis& g) { g.stakers[0].keys.signing_key.bytes[0] ^= 1; },
        [](Genesis& g) { ++g.stakers[0].keys.commission_permille; },
        [](Genesis& g) { g.stakers[0].keys.payout_script.back() ^= 1; },
        [](Genesis& g) { g.stakers[0].bond_script.back() ^= 1; },
        [](Genesis& g) { g.stakers.pop_back(); },
    };
    std::vector<BlockHash> hashes = {Regtest().Hash()};
    for (const Change& change : changes) {
        Genesis genesis = Regtest();
        change(genesis);
        hashes.push_back(genesis.Hash());
    }
    std::sort(hashes.begin(), hashes.end());
    EXPECT_EQ(std::adjacent_find(hashes.begin(), hashes.end()), hashes.end());
}

TEST(GenesisHeaderState, StartsTheFirstEpochAndElectsItself) {
    const Genesis genesis = Regtest();
    const HeaderState state = genesis.MakeHeaderState();
    EXPECT_EQ(state.hash, genesis.Hash());
    EXPECT_EQ(state.height, Height(0));
    EXPECT_EQ(state.epoch, Epoch(0));
    EXPECT_EQ(state.nonce, genesis.first_nonce);
    EXPECT_TRUE(state.nonce_accumulator.IsZero());
    EXPECT_EQ(state.elects, (EpochBoundary{genesis.Hash(), Epoch(0)}));
    EXPECT_EQ(state.previous, state.elects);
}

TEST(GenesisState, IsTheWholeSupplyToTheDrop) {
    const GenesisState state(Regtest());
    const auto totals = state.cache.Get<LedgerTotals>({});
    ASSERT_TRUE(totals.has_value());
    EXPECT_EQ(totals->genesis, kGenesisSupply);
    EXPECT_EQ(totals->unspent, kGenesisSupply);
    EXPECT_EQ(totals->minted, Amount(0));
    EXPECT_EQ(totals->coins, 14u);
    EXPECT_EQ(totals->reserve_at_epoch_start, Amount(11'000'000 * kDropsPerSlu));
    EXPECT_TRUE(totals->Conserved());
}

TEST(GenesisState, HoldsSpendableCoinsAndBonds) {
    const Genesis genesis = Regtest();
    const GenesisState state(genesis);
    const Block block = genesis.MakeBlock();
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 14; ++i) {
        const auto coin = state.cache.Get<Coin>(block.transactions[0]->Output(i));
        ASSERT_TRUE(coin.has_value());
        EXPECT_EQ(coin->output, block.transactions[0]->outputs()[i]);
        EXPECT_FALSE(coin->coinbase);
        EXPECT_EQ(coin->height, Height(0));
        EXPECT_EQ(coin->kind, i < 11 ? CoinKind::kPlain : CoinKind::kBond);
        sum += coin->output.value.drops;
    }
    EXPECT_EQ(sum, kGenesisSupply.drops);
    EXPECT_FALSE(state.cache.Get<Coin>(block.transactions[0]->Output(14)));
}

TEST(GenesisState, RegistersStakersWhoseStakeCountsAtOnce) {
    const Genesis genesis = Regtest();
    const GenesisState state(genesis);
    const Txid coinbase = genesis.MakeBlock().transactions[0]->txid();
    for (uint32_t i = 0; i < 3; ++i) {
        const StakerId id = genesis.stakers[i].id;
        const auto staker = state.cache.Get<StakerState>(id);
        ASSERT_TRUE(staker.has_value());
        EXPECT_EQ(staker->status, StakerStatus::kActive);
        EXPECT_EQ(staker->bond, (OutPoint{coinbase, 11 + i}));
        EXPECT_EQ(staker->stake.total, Amount(i == 0 ? 5'000'000 * kDropsPerSlu : 0));
        EXPECT_EQ(staker->stake.MadeBefore(Epoch(0)), staker->stake.total);
        EXPECT_EQ(state.cache.Get<BondState>(staker->bond)->staker, id);
        EXPECT_EQ(state.cache.Get<VrfKeyOwner>(genesis.stakers[i].keys.vrf_key)->staker, id);
    }
    const StakeSnapshot snapshot = TakeSnapshot(state.cache, genesis.Hash(), Epoch(0));
    ASSERT_EQ(snapshot.entries.size(), 3u);
    EXPECT_TRUE(std::is_sorted(snapshot.entries.begin(), snapshot.entries.end(),
                               [](const SnapshotEntry& a, const SnapshotEntry& b) { return a.staker < b.staker; }));
    for (const uint64_t epoch : {0, 1, 2})
        EXPECT_EQ(snapshot.TotalWeight(Epoch(epoch)), Amount(5'000'000 * kDropsPerSlu));
}

TEST(GenesisState, AndKeysLetTheFirstStakerMakeTheFirstBlockAtAnyTime) {
    const Genesis genesis = Regtest();
    const GenesisState state(genesis);
    const HeaderState root = genesis.MakeHeaderState();
    const StakeSnapshot snapshot = TakeSnapshot(state.cache, genesis.Hash(), Epoch(0));
    const OperatorKeys keys = RegtestOperator(0);
    for (const uint64_t from : {1, 30'000'000}) {
        size_t led = 0;
        Electorate electorate(genesis.params, snapshot, genesis.params.EpochOf(Slot(from)));
        for (uint64_t i = 0; i < 64; ++i)
            led += ProveLeadership(genesis.params, root, Slot(from + i), electorate, keys).has_value();
        EXPECT_GT(led, 12u);
        EXPECT_LT(led, 52u);
    }
}

struct BadGenesis {
    const char* reason;
    Change change;
};

std::vector<BadGenesis> BadGeneses() {
    const auto off_curve = [](Script& script) { std::fill(script.begin() + 2, script.begin() + 34, 0xff); };
    return {
        {"two stakers have the id", [](Genesis& g) { g.stakers[1].id = g.stakers[0].id; }},
        {"is another staker's too", [](Genesis& g) { g.stakers[1].keys.vrf_key = g.stakers[0].keys.vrf_key; }},
        {"over the genesis supply", [](Genesis& g) { ++g.allocations[5].amount.drops; }},
        {"over the genesis supply", [](Genesis& g) { g.allocations[5].amount = Amount(UINT64_MAX); }},
        {"over the genesis supply", [](Genesis& g) { ++g.params.bond.drops; }},
        {"the amount of allocation 5 is 0", [](Genesis& g) { g.allocations[5].amount = Amount(); }},
        {"allocation 5 must be a taproot or stake output",
         [](Genesis& g) { g.allocations[5].script = RecordScript(Bytes(9)); }},
        {"allocation 5 must be a taproot or stake output", [](Genesis& g) { g.allocations[5].script.clear(); }},
        {"the key of allocation 5 is not a point", [=](Genesis& g) { off_curve(g.allocations[5].script); }},
        {"which is none of the stakers", [](Genesis& g) { g.allocations[0].script.back() ^= 1; }},
        {"there is no staker", [](Genesis& g) { g.stakers.clear(); }},
        {"updates a registration", [](Genesis& g) { g.stakers[0].keys.updates = g.stakers[1].id; }},
        {"the VRF key of staker", [](Genesis& g) { g.stakers[0].keys.vrf_key.bytes.fill(0); }},
        {"the signing key of staker", [](Genesis& g) { g.stakers[0].keys.signing_key.bytes.fill(0xff); }},
        {"is 101 permille, the limit is 100", [](Genesis& g) { g.stakers[0].keys.commission_permille = 101; }},
        {"the payout of staker", [](Genesis& g) { g.stakers[0].keys.payout_script.pop_back(); }},
        {"the key of the payout of staker", [=](Genesis& g) { off_curve(g.stakers[0].keys.payout_script); }},
        {"the key of the bond of staker", [=](Genesis& g) { off_curve(g.stakers[0].bond_script); }},
        {"a bond is not stake", [](Genesis& g) { g.stakers[0].bond_script = g.allocations[0].script; }},
        {"allocations and stakers are 2001 together",
         [](Genesis& g) { g.allocations.resize(1'998, g.allocations[5]); }},
        {"network must be", [](Genesis& g) { g.params.network.clear(); }},
        {"network must be", [](Genesis& g) { g.params.network = std::string(33, 'a'); }},
        {"hrp must be", [](Genesis& g) { g.params.hrp = "R"; }},
        {"genesis_time (ms) is -1", [](Genesis& g) { g.params.genesis_time = UnixMillis(milliseconds(-1)); }},
        {"slot_duration (ms) is 0", [](Genesis& g) { g.params.slot_duration = milliseconds(0); }},
        {"active_slots_denominator is 0", [](Genesis& g) { g.params.active_slots_denominator = 0; }},
        {"active_slots_denominator is 1001", [](Genesis& g) { g.params.active_slots_denominator = 1001; }},
        {"active_slots 0/2", [](Genesis& g) { g.params.active_slots_numerator = 0; }},
        {"active_slots 3/2", [](Genesis& g) { g.params.active_slots_numerator = 3; }},
        {"active_slots 91/100",
         [](Genesis& g) { g.params.active_slots_numerator = 91, g.params.active_slots_denominator = 100; }},
        {"epoch_slots is 0", [](Genesis& g) { g.params.epoch_slots = 0; }},
        {"nonce_cutoff_slots is 200", [](Genesis& g) { g.params.nonce_cutoff_slots = 200; }},
        {"at least one block", [](Genesis& g) { g.params.epoch_slots = 1, g.params.nonce_cutoff_slots = 0; }},
        {"k is 0", [](Genesis& g) { g.params.k = 0; }},
        {"subsidy_denominator is 0", [](Genesis& g) { g.params.subsidy_denominator = 0; }},
        {"subsidy_numerator is 10000001", [](Genesis& g) { g.params.subsidy_numerator = 10'000'001; }},
        {"record_fee_per_byte", [](Genesis& g) { g.params.record_fee_per_byte = Amount(kDropsPerSlu + 1); }},
        {"bond is 0", [](Genesis& g) { g.params.bond = Amount(); }},
        {"unbonding_slots is 18446744073709551615", [](Genesis& g) { g.params.unbonding_slots = UINT64_MAX; }},
        {"refund_window_blocks is 0", [](Genesis& g) { g.params.refund_window_blocks = 0; }},
        {"channel_window_blocks is 4294967295", [](Genesis& g) { g.params.channel_window_blocks = UINT32_MAX; }},
    };
}

TEST(CheckGenesis, NamesWhatIsWrong) {
    for (const BadGenesis& bad : BadGeneses()) {
        Genesis genesis = Regtest();
        bad.change(genesis);
        const Status status = CheckGenesis(genesis);
        ASSERT_FALSE(status.has_value()) << bad.reason;
        EXPECT_NE(status.error().message.find(bad.reason), std::string::npos)
            << bad.reason << " / " << status.error().message;
    }
}

TEST(CheckGenesis, AcceptsEveryLimitItself) {
    const std::vector<Change> changes = {
        [](Genesis& g) { g.stakers[0].keys.commission_permille = 100; },
        [](Genesis& g) { --g.allocations[5].amount.drops; },
        [](Genesis& g) { g.allocations.resize(1); },
        [](Genesis& g) {
            g.allocations[5].amount = Amount(1);
            g.allocations.resize(1'997, g.allocations[5]);
        },
        [](Genesis& g) { g.params.active_slots_numerator = 2; },
        [](Genesis& g) { g.params.active_slots_numerator = 9, g.params.active_slots_denominator = 10; },
        [](Genesis& g) { g.params.nonce_cutoff_slots = 199; },
        [](Genesis& g) { g.params.network = std::string(32, 'a'); },
        [](Genesis& g) { g.stakers[0].keys.payout_script = g.allocations[0].script; },
    };
    for (const Change& change : changes) {
        Genesis genesis = Regtest();
        change(genesis);
        const Status status = CheckGenesis(genesis);
        EXPECT_TRUE(status.has_value()) << status.error().message;
        const auto totals = GenesisState(genesis).cache.Get<LedgerTotals>({});
        EXPECT_TRUE(totals->Conserved());
        EXPECT_LE(genesis.MakeBlock().weight(), kMaxBlockWeight);
    }
}

}  // namespace
}  // namespace sluice::consensus
