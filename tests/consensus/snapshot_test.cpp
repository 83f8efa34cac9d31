#include "consensus/snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::consensus {
namespace {

class NoState final : public StateReader {
  public:
    std::optional<Bytes> Read(ByteSpan) const override { return std::nullopt; }
};

StakerId Id(uint8_t n) {
    StakerId id;
    id.bytes[0] = n;
    return id;
}

BlockHash SomeBlock() {
    BlockHash hash;
    hash.bytes[31] = 7;
    return hash;
}

class SnapshotTest : public testing::Test {
  protected:
    void Register(const StakerId& id, StakerStatus status = StakerStatus::kActive) {
        auto list = state.Get<StakerList>({}).value_or(StakerList{});
        list.ids.insert(std::lower_bound(list.ids.begin(), list.ids.end(), id), id);
        state.Put({}, list);
        StakerState staker;
        staker.status = status;
        staker.commission_permille = id.bytes[0];
        staker.payout_script = TaprootScript(XOnlyPubKey());
        state.Put(id, staker);
    }
    StakeSnapshot Take(uint64_t epoch) { return TakeSnapshot(state, SomeBlock(), Epoch(epoch)); }
    uint64_t Weight(uint64_t epoch, uint64_t for_epoch, const StakerId& id = Id(1)) {
        const StakeSnapshot snapshot = Take(epoch);
        return snapshot.Weight(*snapshot.Find(id), Epoch(for_epoch)).drops;
    }

    NoState none;
    StateCache state{none};
};

TEST_F(SnapshotTest, HoldsActiveStakersById) {
    Register(Id(3));
    Register(Id(1));
    Register(Id(2), StakerStatus::kExiting);
    Register(Id(4), StakerStatus::kRetired);
    Register(Id(5), StakerStatus::kSlashed);
    const StakeSnapshot snapshot = Take(6);
    ASSERT_EQ(snapshot.entries.size(), 2u);
    EXPECT_EQ(snapshot.block, SomeBlock());
    EXPECT_EQ(snapshot.epoch, Epoch(6));
    EXPECT_EQ(snapshot.entries[0].staker, Id(1));
    EXPECT_EQ(snapshot.entries[1].commission_permille, 3);
    EXPECT_EQ(snapshot.Find(Id(3)), &snapshot.entries[1]);
    EXPECT_EQ(snapshot.Find(Id(2)), nullptr);
    EXPECT_EQ(snapshot.Find(Id(9)), nullptr);
}

TEST_F(SnapshotTest, AnEmptyStateGivesAnEmptySnapshotOfWeightZero) {
    EXPECT_TRUE(Take(0).entries.empty());
    EXPECT_EQ(Take(0).TotalWeight(Epoch(0)), Amount(0));
    EXPECT_EQ(Take(0).Find(Id(1)), nullptr);
}

TEST_F(SnapshotTest, StakeMadeTwoEpochsBeforeDoesNotCountButThreeEpochsBeforeDoes) {
    Register(Id(1));
    AddStake(state, Id(1), Amount(1'000), Epoch(4));
    AddStake(state, Id(1), Amount(50), Epoch(5));
    EXPECT_EQ(Weight(5, 7), 1'000u);  // the snapshot's own epoch is 7 - 2
    EXPECT_EQ(Weight(5, 8), 1'050u);  // epoch 6 was empty: all of it is older than 8 - 2
    EXPECT_EQ(Weight(6, 8), 1'050u);  // the last block of epoch 6 changed nothing
    EXPECT_EQ(Take(5).TotalWeight(Epoch(7)), Amount(1'000));
    EXPECT_EQ(Take(5).TotalWeight(Epoch(8)), Amount(1'050));
}

TEST_F(SnapshotTest, StakeSpentInTheEpochItWasMadeInLeavesNoTrace) {
    Register(Id(1));
    AddStake(state, Id(1), Amount(1'000), Epoch(4));
    AddStake(state, Id(1), Amount(50), Epoch(5));
    RemoveStake(state, Id(1), Amount(50), Epoch(5));
    EXPECT_EQ(Weight(5, 7), 1'000u);
    EXPECT_EQ(Weight(6, 8), 1'000u);
}

TEST_F(SnapshotTest, SpendingOldStakeLeavesTheRecentRecent) {
    Register(Id(1));
    AddStake(state, Id(1), Amount(1'000), Epoch(4));
    AddStake(state, Id(1), Amount(50), Epoch(5));
    RemoveStake(state, Id(1), Amount(400), Epoch(4));
    EXPECT_EQ(Weight(5, 7), 600u);
    EXPECT_EQ(Weight(6, 8), 650u);
}

TEST_F(SnapshotTest, GenesisStakeCountsFromTheStartAndOtherStakeOfEpochZeroDoesNot) {
    Register(Id(1));
    AddStake(state, Id(1), Amount(1'000), kGenesisStakeEpoch);
    EXPECT_EQ(Weight(0, 0), 1'000u);
    EXPECT_EQ(Weight(0, 1), 1'000u);
    EXPECT_EQ(Weight(0, 2), 1'000u);
    AddStake(state, Id(1), Amount(50), Epoch(0));
    EXPECT_EQ(Weight(0, 2), 1'000u);
    EXPECT_EQ(Weight(0, 3), 1'050u);
    RemoveStake(state, Id(1), Amount(1'000), kGenesisStakeEpoch);
    AddStake(state, Id(1), Amount(1'000), Epoch(0));  // genesis stake that moved counts like any other
    AddStake(state, Id(1), Amount(1), kGenesisStakeEpoch);
    EXPECT_EQ(Weight(0, 2), 1u);
    EXPECT_EQ(Weight(0, 3), 1'051u);
}

TEST_F(SnapshotTest, TheStakeEpochOfACoinIsItsSlotsButForGenesis) {
    const Params params;
    Coin coin;
    EXPECT_EQ(StakeEpoch(params, coin), kGenesisStakeEpoch);
    coin.height = Height(1);
    coin.slot = Slot(1);
    EXPECT_EQ(StakeEpoch(params, coin), Epoch(0));
    coin.slot = Slot(43'200);
    EXPECT_EQ(StakeEpoch(params, coin), Epoch(1));
}

TEST_F(SnapshotTest, StakeToAnUnknownIdIsInertUntilTheIdRegisters) {
    AddStake(state, Id(1), Amount(70), Epoch(2));
    EXPECT_TRUE(Take(2).entries.empty());
    Register(Id(1));
    EXPECT_EQ(Take(2).entries[0].stake, Amount(70));
    EXPECT_EQ(Take(2).entries[0].recent_stake, Amount(70));
    AdoptWaitingStake(state, Id(1));
    EXPECT_FALSE(state.Get<WaitingStake>(Id(1)));
    EXPECT_EQ(state.Get<StakerState>(Id(1))->stake.total, Amount(70));
    EXPECT_EQ(Take(2).entries[0].recent_stake, Amount(70));
    EXPECT_EQ(Take(3).entries[0].recent_stake, Amount(0));
}

// Else whoever staked to an id before it registered could spend that output later to take away the weight of others.
TEST_F(SnapshotTest, StakeMadeBeforeTheRegistrationIsTakenAwayOnce) {
    AddStake(state, Id(1), Amount(70), Epoch(2));
    Register(Id(1));
    AddStake(state, Id(1), Amount(100), Epoch(2));
    EXPECT_EQ(Take(2).entries[0].stake, Amount(170));
    RemoveStake(state, Id(1), Amount(70), Epoch(2));
    EXPECT_EQ(Take(2).entries[0].stake, Amount(100));
    EXPECT_EQ(Take(2).entries[0].recent_stake, Amount(100));
}

TEST_F(SnapshotTest, StakeToAnUnknownIdThatIsSpentLeavesNoEntry) {
    AddStake(state, Id(1), Amount(70), Epoch(2));
    AddStake(state, Id(1), Amount(5), Epoch(3));
    RemoveStake(state, Id(1), Amount(70), Epoch(2));
    EXPECT_EQ(state.Get<WaitingStake>(Id(1))->stake.total, Amount(5));
    RemoveStake(state, Id(1), Amount(5), Epoch(3));
    EXPECT_TRUE(state.Delta().changes.empty());
}

TEST_F(SnapshotTest, RemovingFromEntriesThatCouldNotBeReadStopsAtZero) {
    RemoveStake(state, Id(1), Amount(70), Epoch(2));
    EXPECT_TRUE(state.Delta().changes.empty());
    Register(Id(1));
    RemoveStake(state, Id(1), Amount(70), Epoch(2));
    EXPECT_EQ(Take(2).entries[0].stake, Amount(0));
}

TEST_F(SnapshotTest, WaitingStakeOfAnotherEpochMergesToTheLaterOne) {
    AddStake(state, Id(1), Amount(70), Epoch(2));
    Register(Id(1));
    AddStake(state, Id(1), Amount(9), Epoch(3));
    EXPECT_EQ(Take(3).entries[0].stake, Amount(79));
    EXPECT_EQ(Take(3).entries[0].recent_stake, Amount(9));
}

TEST_F(SnapshotTest, WithoutAnyStakeTheBondsElect) {
    Register(Id(1));
    Register(Id(2));
    EXPECT_EQ(Weight(5, 7), 1u);
    EXPECT_EQ(Take(5).TotalWeight(Epoch(7)), Amount(2));
    AddStake(state, Id(2), Amount(50), Epoch(5));  // too young to count
    EXPECT_EQ(Weight(5, 7, Id(2)), 1u);
    EXPECT_EQ(Weight(5, 8, Id(2)), 50u);
    EXPECT_EQ(Weight(5, 8), 0u);
    EXPECT_EQ(Take(5).TotalWeight(Epoch(8)), Amount(50));
}

TEST_F(SnapshotTest, TheHashCommitsToEveryField) {
    Register(Id(1));
    AddStake(state, Id(1), Amount(50), Epoch(5));
    const StakeSnapshot snapshot = Take(5);
    const auto differs = [&](auto change) {
        StakeSnapshot other = snapshot;
        change(other);
        return other.Hash() != snapshot.Hash();
    };
    EXPECT_EQ(Take(5).Hash(), snapshot.Hash());
    EXPECT_TRUE(differs([](auto& s) { s.block.bytes[0] ^= 1; }));
    EXPECT_TRUE(differs([](auto& s) { ++s.epoch; }));
    EXPECT_TRUE(differs([](auto& s) { s.entries.clear(); }));
    EXPECT_TRUE(differs([](auto& s) { s.entries[0].staker.bytes[7] ^= 1; }));
    EXPECT_TRUE(differs([](auto& s) { ++s.entries[0].stake.drops; }));
    EXPECT_TRUE(differs([](auto& s) { ++s.entries[0].recent_stake.drops; }));
    EXPECT_TRUE(differs([](auto& s) { s.entries[0].vrf_key.bytes[0] ^= 1; }));
    EXPECT_TRUE(differs([](auto& s) { s.entries[0].signing_key.bytes[0] ^= 1; }));
    EXPECT_TRUE(differs([](auto& s) { ++s.entries[0].commission_permille; }));
    EXPECT_TRUE(differs([](auto& s) { s.entries[0].payout_script.back() ^= 1; }));
    const auto decoded = Decode<StakeSnapshot>(Encode(snapshot));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(*decoded, snapshot);
}

}  // namespace
}  // namespace sluice::consensus
