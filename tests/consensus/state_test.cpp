#include "consensus/state.h"

#include "consensus/snapshot.h"

#include "ledger_fixture.h"

namespace sluice::consensus {
namespace {

using testing::MapState;

OutPoint Out(uint8_t n) { return {Txid{{n}}, n}; }
ClaimState Claim(uint32_t version) { return {Out(1), Height(7), version}; }
const ClaimId kClaimA{{1}}, kClaimB{{2}}, kClaimC{{3}};

MapState TwoClaims() {
    MapState state;
    state.Put(kClaimA, Claim(1));
    state.Put(kClaimB, Claim(2));
    return state;
}

TEST(StateCache, ReadsThroughToTheBaseUntilChanged) {
    const MapState base = TwoClaims();
    StateCache cache(base);
    EXPECT_EQ(cache.Get<ClaimState>(kClaimA), Claim(1));
    EXPECT_EQ(cache.Get<ClaimState>(kClaimC), std::nullopt);
    cache.Put(kClaimC, Claim(3));
    cache.Erase<ClaimState>(kClaimA);
    EXPECT_EQ(cache.Get<ClaimState>(kClaimA), std::nullopt);
    EXPECT_EQ(cache.Get<ClaimState>(kClaimB), Claim(2));
    EXPECT_EQ(cache.Get<ClaimState>(kClaimC), Claim(3));
    EXPECT_EQ(base.Get<ClaimState>(kClaimA), Claim(1));
}

TEST(StateCache, DeltaHoldsEachChangeOnceInKeyOrderWithoutCancelledOnes) {
    const MapState base = TwoClaims();
    StateCache cache(base);
    cache.Put(kClaimC, Claim(3));
    cache.Put(kClaimC, Claim(4));
    cache.Put(kClaimA, Claim(9));
    cache.Erase<ClaimState>(kClaimB);
    cache.Put(kClaimB, Claim(2));  // as it was
    cache.Put(ClaimId{{8}}, Claim(1));
    cache.Erase<ClaimState>(ClaimId{{8}});  // never was
    const StateDelta delta = cache.Delta();
    ASSERT_EQ(delta.changes.size(), 2u);
    EXPECT_EQ(delta.changes[0], (StateChange{StateKey<ClaimState>(kClaimA), Encode(Claim(1)), Encode(Claim(9))}));
    EXPECT_EQ(delta.changes[1], (StateChange{StateKey<ClaimState>(kClaimC), std::nullopt, Encode(Claim(4))}));
}

TEST(StateCache, AbsorbedLayerReplacesWhatItChangedAndNothingElse) {
    const MapState base = TwoClaims();
    StateCache lower(base);
    lower.Put(kClaimA, Claim(5));
    lower.Put(kClaimC, Claim(6));
    StateCache upper(static_cast<const StateReader&>(lower));
    upper.Erase<ClaimState>(kClaimA);
    EXPECT_EQ(lower.Get<ClaimState>(kClaimA), Claim(5));
    lower.Absorb(upper);
    EXPECT_EQ(lower.Get<ClaimState>(kClaimA), std::nullopt);
    EXPECT_EQ(lower.Get<ClaimState>(kClaimC), Claim(6));
}

TEST(StateCache, UndoneDeltasLeadBackToTheBaseInReverseOrder) {
    const MapState base = TwoClaims();
    StateCache first(base);
    first.Put(kClaimA, Claim(5));
    first.Erase<ClaimState>(kClaimB);
    const StateDelta one = first.Delta();
    StateCache second(static_cast<const StateReader&>(first));
    second.Put(kClaimB, Claim(8));
    second.Erase<ClaimState>(kClaimA);
    const StateDelta two = second.Delta();

    StateCache replay(base);
    replay.ApplyDelta(one);
    replay.ApplyDelta(two);
    EXPECT_EQ(replay.Get<ClaimState>(kClaimA), std::nullopt);
    EXPECT_EQ(replay.Get<ClaimState>(kClaimB), Claim(8));
    replay.UndoDelta(two);
    replay.UndoDelta(one);
    EXPECT_TRUE(replay.Delta().changes.empty());
    replay.Clear();
    EXPECT_TRUE(replay.Empty());
}

TEST(StateDelta, EncodingRoundTripsAndRefusesHostileCounts) {
    const StateDelta delta{{{{'c', 1}, std::nullopt, Bytes{1, 2}}, {{'c', 2}, Bytes{}, std::nullopt}}};
    const Bytes bytes = Encode(delta);
    EXPECT_EQ(HexEncode(bytes),
              "02"
              "026301"
              "00"
              "01020102"
              "026302"
              "0100"
              "00");
    EXPECT_EQ(*Decode<StateDelta>(bytes), delta);
    EXPECT_FALSE(Decode<StateDelta>(*HexDecode("fe80969800")));  // ten million changes in no bytes
}

TEST(State, TablesDoNotShareKeys) {
    const OutPoint key = Out(1);
    EXPECT_NE(StateKey<Coin>(key), StateKey<PublishState>(key));
    EXPECT_NE(StateKey<PublishState>(key), StateKey<PurchaseState>(key));
    EXPECT_NE(StateKey<PurchaseState>(key), StateKey<ChannelState>(key));
    EXPECT_NE(StateKey<StakerList>({}), StateKey<LedgerTotals>({}));
    EXPECT_EQ(HexEncode(StateKey<PublishExpiry>(Height(0x01020304))), "7804030201");
}

TEST(State, EntriesDecodeToWhatWasEncoded) {
    const Coin coin{{Amount(5), testing::KeyScript(3)}, Height(4), Slot(9), true, CoinKind::kChannel};
    EXPECT_EQ(*Decode<Coin>(Encode(coin)), coin);
    PublishState publish{ClaimId{{4}}, Height(3), Height(9), EncodeRecord(testing::ExamplePublish())};
    EXPECT_EQ(*Decode<PublishState>(Encode(publish)), publish);
    EXPECT_EQ(publish.Decoded(), testing::ExamplePublish());
    publish.superseded.reset();
    EXPECT_EQ(*Decode<PublishState>(Encode(publish)), publish);
    const PurchaseState purchase{Out(1),           ClaimId{{2}},          3,
                                 XOnlyPubKey{{4}}, XOnlyPubKey{{5}},      PubKey{{6}},
                                 Amount(7),        testing::KeyScript(8), Height(9)};
    EXPECT_EQ(*Decode<PurchaseState>(Encode(purchase)), purchase);
    const ChannelState channel{XOnlyPubKey{{4}}, XOnlyPubKey{{5}}, Height(9)};
    EXPECT_EQ(*Decode<ChannelState>(Encode(channel)), channel);
    EXPECT_EQ(Decode<PublishExpiry>(Encode(PublishExpiry{{Out(1), Out(2)}}))->publishes,
              (std::vector<OutPoint>{Out(1), Out(2)}));
}

// The examples of doc/protocol.md, section 7.
TEST(State, StakerEntriesHaveGoldenBytes) {
    const auto filled = [](auto value, uint8_t byte) {
        value.bytes.fill(byte);
        return value;
    };
    const auto repeated = [](const char* byte, size_t n) {
        std::string text;
        for (size_t i = 0; i < n; ++i) text += byte;
        return text;
    };
    const StakerId id = filled(StakerId(), 0x34);
    const OutPoint bond{filled(Txid(), 0x21), 7};
    const std::string bond_hex = repeated("21", 32) + "07000000";
    StakerState staker;
    staker.status = StakerStatus::kExiting;
    staker.bond = bond;
    staker.vrf_key = filled(crypto::VrfPublicKey(), 0x31);
    staker.signing_key = filled(XOnlyPubKey(), 0x32);
    staker.commission_permille = 37;
    staker.payout_script = TaprootScript(filled(XOnlyPubKey(), 0x33));
    staker.registered = Epoch(2);
    staker.exit_slot = Slot(0x0a0b0c);
    staker.replaced_keys = {{filled(XOnlyPubKey(), 0x35), Epoch(4)}};
    staker.stake.Add(Amount(1'000), kGenesisStakeEpoch);
    staker.stake.Add(Amount(200), Epoch(8));
    staker.stake.Add(Amount(30), Epoch(9));
    staker.reward_per_drop = {0xea, 0x19, 0xf2, 0x18, 0xa8, 0x05};
    staker.reward_epoch = Epoch(9);
    staker.reward_entries = 3;
    staker.pot = Amount(20'229'688);
    EXPECT_EQ(HexEncode(StateKey<StakerState>(id)), "73" + repeated("34", 8));
    EXPECT_EQ(HexEncode(Encode(staker)), "01" + bond_hex + repeated("31", 32) + repeated("32", 32) +
                                             "2500"
                                             "225120" +
                                             repeated("33", 32) +
                                             "0200000000000000"
                                             "0c0b0a0000000000"
                                             "01" +
                                             repeated("35", 32) +
                                             "0400000000000000"
                                             "ce04000000000000"
                                             "09000000000000001e00000000000000"
                                             "0800000000000000c800000000000000"
                                             "00000000000000000000000000000000"
                                             "ea19f218a805" +
                                             repeated("00", 26) +
                                             "0900000000000000"
                                             "03000000"
                                             "38ae340100000000");
    EXPECT_EQ(*Decode<StakerState>(Encode(staker)), staker);

    EXPECT_EQ(HexEncode(StateKey<BondState>(bond)), "62" + bond_hex);
    EXPECT_EQ(HexEncode(Encode(BondState{id})), repeated("34", 8));
    EXPECT_EQ(HexEncode(StateKey<VrfKeyOwner>(staker.vrf_key)), "76" + repeated("31", 32));
    EXPECT_EQ(HexEncode(Encode(VrfKeyOwner{id})), repeated("34", 8));
    EXPECT_EQ(HexEncode(StateKey<StakerList>({})), "53");
    EXPECT_EQ(HexEncode(Encode(StakerList{{id}})), "01" + repeated("34", 8));
    EXPECT_EQ(HexEncode(StateKey<RewardHistory>({id, 2})), "72" + repeated("34", 8) + "02000000");
    EXPECT_EQ(HexEncode(Encode(RewardHistory{Epoch(8), staker.reward_per_drop})),
              "0800000000000000ea19f218a805" + repeated("00", 26));
    EXPECT_EQ(HexEncode(StateKey<ChainIdentity>({})), "67");
    EXPECT_EQ(HexEncode(Encode(ChainIdentity{filled(BlockHash(), 0x36)})), repeated("36", 32));
    EXPECT_EQ(HexEncode(StateKey<WaitingStake>(id)), "77" + repeated("34", 8));
    EXPECT_EQ(HexEncode(Encode(WaitingStake{staker.stake})),
              "ce04000000000000"
              "09000000000000001e00000000000000"
              "0800000000000000c800000000000000"
              "00000000000000000000000000000000");
}

TEST(LedgerTotals, AreConservedToTheDrop) {
    LedgerTotals totals;
    totals.genesis = Amount(100);
    totals.minted = Amount(20);
    totals.unspent = Amount(110);
    totals.pots = Amount(3);
    totals.burned = Amount(7);
    EXPECT_TRUE(totals.Conserved());
    totals.unspent = Amount(111);
    EXPECT_FALSE(totals.Conserved());
    totals.unspent = Amount(109);
    EXPECT_FALSE(totals.Conserved());
}

}  // namespace
}  // namespace sluice::consensus
