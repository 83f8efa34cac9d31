#include "consensus/staker_rules.h"

#include "consensus/genesis.h"
#include "staker_fixture.h"

// Registration, change of keys, exit and release of a bond.

namespace sluice::consensus {
namespace {

using testing::BondKey;
using testing::Id;
using testing::KeyScript;
using testing::Registration;
using testing::Slu;
using testing::StakerChain;
using testing::TestKey;
using testing::VrfKey;

class StakerRules : public ::testing::Test {
  protected:
    StakerRules() {
        chain.AddStaker(1, 50);
        chain.AddStake(Id(1), Slu(1'000'000));
        chain.Start();
        chain.ConnectIn(0);
    }
    // The state of a newly registered staker n.
    StakerId Registered(uint8_t n) {
        const auto tx = chain.Register(n);
        chain.ConnectIn(Now().value, {tx});
        return StakerChain::IdOf(tx);
    }
    Epoch Now() const { return chain.params.EpochOf(chain.slot); }

    StakerChain chain;
};

// ---- registration

TEST_F(StakerRules, ARegisteredStakerIsActiveAndInTheSnapshotOfTheSameBlock) {
    const auto tx = chain.Register(2, Registration(2, 37));
    const StakerId id = StakerChain::IdOf(tx);
    EXPECT_FALSE(chain.state.Get<StakerState>(id));
    chain.ConnectIn(0, {tx});
    const StakerState staker = chain.Staker(id);
    EXPECT_EQ(staker.status, StakerStatus::kActive);
    EXPECT_EQ(staker.bond, tx->Output(1));
    EXPECT_EQ(staker.commission_permille, 37);
    EXPECT_EQ(staker.registered, Epoch(0));
    EXPECT_EQ(chain.state.Get<BondState>(tx->Output(1))->staker, id);
    EXPECT_EQ(chain.state.Get<Coin>(tx->Output(1))->kind, CoinKind::kBond);
    EXPECT_TRUE(chain.newest_snapshot().Find(id));
    EXPECT_FALSE(chain.Elects(Epoch(1)).Find(id));  // grinding keys for a known nonce: not before two epochs later
    chain.ConnectIn(1);
    EXPECT_FALSE(chain.Elects(Epoch(1)).Find(id));
    EXPECT_TRUE(chain.Elects(Epoch(2)).Find(id));
}

TEST_F(StakerRules, GrindingKeysForAKnownNonceActsTwoEpochsLater) {
    const StakerId id = Registered(2);
    auto record = Registration(2);
    record.vrf_key = VrfKey(77);
    chain.ConnectIn(1, {chain.Update(id, 2, record)});
    chain.ConnectIn(2);
    EXPECT_EQ(chain.Elects(Epoch(2)).Find(id)->vrf_key, VrfKey(2));
    EXPECT_EQ(chain.Elects(Epoch(3)).Find(id)->vrf_key, VrfKey(77));
}

TEST_F(StakerRules, TheBondIsExactlyTheParametersOrMore) {
    const Amount bond = chain.params.bond;
    EXPECT_EQ(chain.Code(chain.Register(2, Registration(2), Amount(bond.drops - 1))), "bad-bond-value");
    EXPECT_EQ(chain.Code(chain.Register(2, Registration(2), bond)), "");
    EXPECT_EQ(chain.Code(chain.Register(2, Registration(2), Amount(bond.drops + 1))), "");
}

TEST_F(StakerRules, RegistrationWithoutABondIsRefused) {
    const TxOutput record = StakerChain::RecordOutput(Registration(2));
    const auto change_only = chain.Build({chain.Fund(Slu(2'000))}, {{Slu(1'500), KeyScript(1)}, record});
    EXPECT_EQ(chain.Code(chain.Sign(change_only)), "bad-bond-value");
}

TEST_F(StakerRules, ARegisterRecordThatIsTheLastOutputIsRefused) {
    MutableTransaction tx;
    tx.inputs.push_back({chain.Fund(Slu(2'000)), {}, 0xffffffff, {}});
    tx.outputs = {{chain.params.bond, KeyScript(1)}, StakerChain::RecordOutput(Registration(2))};
    EXPECT_EQ(chain.Code(chain.Sign(tx)), "bad-record-binding");
    std::swap(tx.outputs[0], tx.outputs[1]);
    EXPECT_EQ(chain.Code(chain.Sign(tx)), "");
}

TEST_F(StakerRules, AStakeOutputIsNoBond) {
    const auto tx = chain.Build({chain.Fund(Slu(2'000))}, {StakerChain::RecordOutput(Registration(2)),
                                                           {chain.params.bond, testing::KeyStakeScript(1)}});
    EXPECT_EQ(chain.Code(chain.Sign(tx)), "bad-bond-script");
}

TEST_F(StakerRules, ARecordAfterARegisterRecordIsNoBond) {
    const auto record = StakerChain::RecordOutput(Registration(2));
    const auto tx = chain.Build({chain.Fund(Slu(4'000))}, {record, record, {chain.params.bond, KeyScript(1)}});
    EXPECT_EQ(chain.Code(chain.Sign(tx)), "bad-record-binding");
}

TEST_F(StakerRules, CommissionIsAtMostTenPerCent) {
    EXPECT_EQ(chain.Code(chain.Register(2, Registration(2, 0))), "");
    EXPECT_EQ(chain.Code(chain.Register(2, Registration(2, 100))), "");
    EXPECT_EQ(chain.Code(chain.Register(2, Registration(2, 101))), "bad-register-commission");
    EXPECT_EQ(chain.Code(chain.Register(2, Registration(2, 65'535))), "bad-register-commission");
}

TEST_F(StakerRules, KeysAndPayoutAreValid) {
    const auto code = [&](auto change) {
        RegisterRecord record = Registration(2);
        change(record);
        return chain.Code(chain.Register(2, record));
    };
    EXPECT_EQ(code([](auto&) {}), "");
    EXPECT_EQ(code([](auto& r) { r.vrf_key = {}; }), "bad-register-vrf-key");              // of order 4
    EXPECT_EQ(code([](auto& r) { r.vrf_key.bytes.fill(0xff); }), "bad-register-vrf-key");  // not canonical
    EXPECT_EQ(code([](auto& r) {
                  r.vrf_key = {};
                  r.vrf_key.bytes[0] = 1;
              }),
              "bad-register-vrf-key");  // the identity
    EXPECT_EQ(code([](auto& r) { r.signing_key = testing::OffCurveKey(); }), "bad-register-signing-key");
    EXPECT_EQ(code([](auto& r) { r.payout_script = {kOp0}; }), "bad-register-payout");
    EXPECT_EQ(code([](auto& r) { r.payout_script = RecordScript(Bytes{7}); }), "bad-register-payout");
    EXPECT_EQ(code([](auto& r) { r.payout_script = testing::KeyStakeScript(1); }), "");
}

TEST_F(StakerRules, VrfKeysAreUniqueAmongIdsAlsoOnesOnceUsed) {
    EXPECT_EQ(chain.Code(chain.Register(2, Registration(1))), "bad-register-vrf-key");
    chain.ConnectIn(0, {chain.Update(Id(1), 1, Registration(9))});  // staker 1 leaves its key for another
    EXPECT_EQ(chain.Code(chain.Register(2, Registration(9))), "bad-register-vrf-key");
    EXPECT_EQ(chain.Code(chain.Register(2, Registration(1))), "bad-register-vrf-key");
    EXPECT_EQ(chain.Code(chain.Update(Id(1), 1, Registration(1))), "");  // its owner may come back to it
    const StakerId second = Registered(2);
    EXPECT_EQ(chain.Code(chain.Update(second, 2, Registration(9))), "bad-register-vrf-key");
}

TEST_F(StakerRules, TwoRegistrationsOfOneVrfKeyInOneTransactionAreRefused) {
    const auto one = StakerChain::RecordOutput(Registration(2)), two = StakerChain::RecordOutput(Registration(3));
    const TxOutput bond{chain.params.bond, KeyScript(1)};
    EXPECT_EQ(chain.Code(chain.Sign(chain.Build({chain.Fund(Slu(3'000))}, {one, bond, one, bond}))),
              "bad-register-vrf-key");
    EXPECT_EQ(chain.Code(chain.Sign(chain.Build({chain.Fund(Slu(3'000))}, {one, bond, two, bond}))), "");
}

TEST_F(StakerRules, TheIdComesFromTheFirstInputAndTheRecordsPlace) {
    const auto tx = chain.Register(2);
    EXPECT_NE(StakerChain::IdOf(tx, 0), StakerChain::IdOf(tx, 1));
    const auto other = chain.Register(2);
    EXPECT_NE(StakerChain::IdOf(tx), StakerChain::IdOf(other));
    OutPoint outpoint;
    outpoint.txid.bytes[0] = 7;
    outpoint.index = 3;
    EXPECT_EQ(MakeStakerId(outpoint, 1).Hex(), "a5fea35a9ae8980b");  // taggedhash("Sluice/staker", 0700...00:3 || 1)
}

TEST_F(StakerRules, AnIdOnceUsedIsRefusedForEver) {
    // The same first outpoint cannot be spent again, so only a state that has the id already shows the rule.
    const auto tx = chain.Register(2);
    for (const StakerStatus status : {StakerStatus::kActive, StakerStatus::kRetired, StakerStatus::kSlashed}) {
        StakerState used;
        used.status = status;
        chain.state.Put(StakerChain::IdOf(tx), used);
        EXPECT_EQ(chain.Code(tx), "bad-register-id");
    }
}

// A delegator who pays to an id before it confirms cannot have its coins captured by whoever registers first
// afterwards.
TEST_F(StakerRules, DelegationsAreNotCapturedByAReorgedRegistration) {
    const auto registration = chain.Register(2);
    const StakerId id = StakerChain::IdOf(registration);
    const auto delegation = chain.Delegate(id, Slu(500));
    chain.ConnectIn(0, {registration});
    chain.ConnectIn(0, {delegation});
    EXPECT_EQ(chain.Staker(id).stake.total, Slu(500));
    const auto before = chain.state.entries;
    chain.Disconnect();
    chain.Disconnect();
    EXPECT_FALSE(chain.state.Get<StakerState>(id));
    // In the other branch another registration comes first, at the same place in the chain.
    const auto thief = chain.Register(3);
    chain.ConnectIn(0, {thief, delegation});
    EXPECT_NE(StakerChain::IdOf(thief), id);
    EXPECT_EQ(chain.Staker(StakerChain::IdOf(thief)).stake.total, Amount(0));
    EXPECT_EQ(chain.state.Get<WaitingStake>(id)->stake.total, Slu(500));
    chain.ConnectIn(0, {registration});
    EXPECT_EQ(chain.Staker(id).stake.total, Slu(500));  // the same id as before
    EXPECT_FALSE(chain.state.Get<WaitingStake>(id));
}

TEST_F(StakerRules, ARegistrationThatIsDisconnectedLeavesNoTrace) {
    const auto before = chain.state.entries;
    const auto tx = chain.Register(2);
    const auto funded = chain.state.entries;
    chain.ConnectIn(0, {tx});
    chain.Disconnect();
    EXPECT_EQ(chain.state.entries, funded);
    EXPECT_NE(funded, before);
}

// ---- update

TEST_F(StakerRules, AnUpdateMovesTheBondAndChangesWhatItSays) {
    const OutPoint old = chain.Staker(Id(1)).bond;
    auto record = Registration(9, 100);
    const auto tx = chain.Update(Id(1), 1, record);
    chain.ConnectIn(0, {tx});
    const StakerState staker = chain.Staker(Id(1));
    EXPECT_EQ(staker.bond, tx->Output(1));
    EXPECT_EQ(staker.vrf_key, VrfKey(9));
    EXPECT_EQ(staker.signing_key, record.signing_key);
    EXPECT_EQ(staker.commission_permille, 100);
    EXPECT_EQ(staker.payout_script, record.payout_script);
    EXPECT_EQ(staker.stake.total, Slu(1'000'000));
    EXPECT_FALSE(chain.state.Get<BondState>(old));
    EXPECT_EQ(chain.state.Get<BondState>(tx->Output(1))->staker, Id(1));
}

TEST_F(StakerRules, AnUpdateSpendsTheBondOfThatStaker) {
    RegisterRecord record = Registration(9);
    record.updates = Id(1);
    const auto without =
        chain.Build({chain.Fund(Slu(2'000))}, {StakerChain::RecordOutput(record), {chain.params.bond, KeyScript(1)}});
    EXPECT_EQ(chain.Code(chain.Sign(without)), "bad-register-bond");
    const StakerId second = Registered(2);
    const auto with_anothers = chain.Build({chain.Staker(second).bond, chain.Fund(Slu(1))},
                                           {StakerChain::RecordOutput(record), {chain.params.bond, KeyScript(1)}});
    EXPECT_EQ(chain.Code(chain.Sign(with_anothers)), "bad-register-bond");
    record.updates = Id(200);
    const auto unknown = chain.Build({chain.Staker(second).bond, chain.Fund(Slu(1))},
                                     {StakerChain::RecordOutput(record), {chain.params.bond, KeyScript(1)}});
    EXPECT_EQ(chain.Code(chain.Sign(unknown)), "bad-register-bond");
}

TEST_F(StakerRules, TwoRecordsForOneBondAreRefused) {
    RegisterRecord update = Registration(9);
    update.updates = Id(1);
    const TxOutput one = StakerChain::RecordOutput(update), exit = StakerChain::RecordOutput(ExitRecord{Id(1)});
    const TxOutput bond{chain.params.bond, KeyScript(1)};
    const auto code = [&](const std::vector<TxOutput>& outputs) {
        return chain.Code(chain.Sign(chain.Build({chain.Staker(Id(1)).bond, chain.Fund(Slu(2'000))}, outputs)));
    };
    EXPECT_EQ(code({one, bond}), "");
    EXPECT_EQ(code({one, bond, one, bond}), "bad-register-bond");
    EXPECT_EQ(code({exit, bond, exit, bond}), "bad-exit-bond");
    EXPECT_EQ(code({one, bond, exit, bond}), "bad-exit-bond");
    EXPECT_EQ(code({exit, bond, one, bond}), "bad-register-bond");
}

TEST_F(StakerRules, TheNewBondIsNoSmallerThanTheParameters) {
    EXPECT_EQ(chain.Code(chain.Update(Id(1), 1, Registration(1), Amount(chain.params.bond.drops - 1))),
              "bad-bond-value");
    EXPECT_EQ(chain.Code(chain.Update(Id(1), 1, Registration(1), chain.params.bond)), "");
}

TEST_F(StakerRules, ABondIsNotSpentWithoutARecord) {
    EXPECT_EQ(chain.Code(chain.Release(Id(1))), "bad-bond-spend");
    // Not beside a record of another staker either.
    const StakerId second = Registered(2);
    const auto tx = chain.Build({chain.Staker(Id(1)).bond, chain.Staker(second).bond},
                                {StakerChain::RecordOutput(ExitRecord{second}), {chain.params.bond, KeyScript(1)}});
    EXPECT_EQ(chain.Code(chain.Sign(tx)), "bad-bond-spend");
}

// A bond behind a script that wants no signature would let whoever sees the spend make it his own update.
TEST_F(StakerRules, ASignatureFreeBondIsNotUpdatedByWhoeverSeesItsScript) {
    const Script leaf{0x51};  // OP_1
    const auto leaf_hash = TapLeafHash(leaf);
    const XOnlyPubKey internal = TestKey(1).XOnly();
    const auto tweaked = crypto::TapTweak(internal, leaf_hash);
    Bytes control{static_cast<uint8_t>(0xc0 | (tweaked->odd_y ? 1 : 0))};
    control.insert(control.end(), internal.bytes.begin(), internal.bytes.end());
    const auto registration =
        chain.Sign(chain.Build({chain.Fund(Slu(2'000))}, {StakerChain::RecordOutput(Registration(2)),
                                                          {chain.params.bond, TaprootScript(tweaked->key)}}));
    chain.ConnectIn(0, {registration});
    const StakerId id = StakerChain::IdOf(registration);
    for (const bool exit : {false, true}) {
        RegisterRecord record = Registration(3);  // the thief's keys and payout
        record.updates = id;
        auto tx = chain.Build({registration->Output(1), chain.Fund(Slu(1))},
                              {exit ? StakerChain::RecordOutput(ExitRecord{id}) : StakerChain::RecordOutput(record),
                               {chain.params.bond, KeyScript(3)}});
        tx.inputs[0].witness = {leaf, control};
        EXPECT_EQ(chain.Code(chain.Sign(tx)), "bad-update-unsigned");
    }
}

TEST_F(StakerRules, RecordsAreNotSwappedInFlight) {
    auto tx = chain.Build({chain.Fund(Slu(2'000))},
                          {StakerChain::RecordOutput(Registration(2)), {chain.params.bond, KeyScript(1)}});
    for (const uint8_t type : {kSighashNone, kSighashSingle, static_cast<uint8_t>(kSighashAll | kSighashAnyoneCanPay)})
        EXPECT_EQ(chain.Code(chain.Sign(tx, type)), "bad-record-sighash") << int{type};
    const auto good = chain.Sign(tx);
    EXPECT_EQ(chain.Code(good), "");
    MutableTransaction swapped = good->tx();
    swapped.outputs[0] = StakerChain::RecordOutput(Registration(3));
    EXPECT_EQ(chain.Code(chain.Know(MakeTransaction(swapped))), "mandatory-script-verify-flag-failed");
}

TEST_F(StakerRules, AStakerThatIsExitingOrGoneIsNotUpdated) {
    chain.ConnectIn(0, {chain.Exit(Id(1), 1)});
    EXPECT_EQ(chain.Code(chain.Update(Id(1), 1, Registration(9))), "bad-register-status");
}

// ---- rotation

TEST_F(StakerRules, OneEpochsRotationsKeepTheKeyOfItsStart) {
    const XOnlyPubKey first = chain.Staker(Id(1)).signing_key;
    chain.ConnectIn(1, {chain.Update(Id(1), 1, Registration(8))});
    chain.ConnectIn(1, {chain.Update(Id(1), 1, Registration(9))});
    EXPECT_EQ(chain.Staker(Id(1)).replaced_keys, (std::vector<ReplacedKey>{{first, Epoch(1)}}));
    chain.ConnectIn(2, {chain.Update(Id(1), 1, Registration(9))});  // the same key: no rotation
    EXPECT_EQ(chain.Staker(Id(1)).replaced_keys.size(), 1u);
}

TEST_F(StakerRules, ReplacedKeysAreAtMost64WithinTheTimeOfEvidence) {
    static_assert(kMaxReplacedKeys == 64);
    chain.params.unbonding_slots = 70 * chain.params.epoch_slots;
    for (uint64_t epoch = 1; epoch <= kMaxReplacedKeys; ++epoch)
        chain.ConnectIn(epoch, {chain.Update(Id(1), 1, Registration(static_cast<uint8_t>(8 + epoch % 2)))});
    ASSERT_EQ(chain.Staker(Id(1)).replaced_keys.size(), kMaxReplacedKeys);
    // Once more in the same epoch is no new entry; in the next one it is.
    EXPECT_EQ(chain.Code(chain.Update(Id(1), 1, Registration(7))), "");
    chain.ConnectIn(65);
    EXPECT_EQ(chain.Code(chain.Update(Id(1), 1, Registration(7))), "bad-register-rotation");
    auto same_signing_key = Registration(7);
    same_signing_key.signing_key = chain.Staker(Id(1)).signing_key;
    EXPECT_EQ(chain.Code(chain.Update(Id(1), 1, same_signing_key)), "");  // the VRF key may change
    // The oldest, replaced in epoch 1, signs headers up to epoch 2; 70 epochs after that evidence is too old.
    chain.ConnectIn(72);
    chain.slot = Slot(73 * 20 - 2);
    EXPECT_EQ(chain.Code(chain.Update(Id(1), 1, Registration(7))), "bad-register-rotation");
    chain.slot = Slot(73 * 20 - 1);
    EXPECT_EQ(chain.Code(chain.Update(Id(1), 1, Registration(7))), "");
}

// ---- exit and release

TEST_F(StakerRules, AnExitKeepsTheBondForTheWholeUnbondingTime) {
    const auto exit = chain.Exit(Id(1), 1);
    chain.ConnectAt(Slot(7), Id(1), {exit});
    const StakerState staker = chain.Staker(Id(1));
    EXPECT_EQ(staker.status, StakerStatus::kExiting);
    EXPECT_EQ(staker.exit_slot, Slot(7));
    EXPECT_EQ(staker.bond, exit->Output(1));
    EXPECT_FALSE(chain.newest_snapshot().Find(Id(1)));

    const auto release = chain.Release(Id(1));
    chain.slot = Slot(7 + 100 - 2);  // the block's slot is one later
    EXPECT_EQ(chain.Code(release), "bad-bond-locked");
    EXPECT_EQ(chain.Try(release).error().what, Invalid::What::kPremature);
    chain.slot = Slot(7 + 100 - 1);
    EXPECT_EQ(chain.Code(release), "");
}

TEST_F(StakerRules, AReleasedStakerIsRetiredAndItsCoinIsPlain) {
    const StakerId second = Registered(2);
    chain.ConnectIn(0, {chain.Exit(second, 2)});
    const auto release = chain.Release(second);
    const OutPoint bond = chain.Staker(second).bond;
    chain.ConnectIn(7, {release});
    EXPECT_EQ(chain.Staker(second).status, StakerStatus::kRetired);
    EXPECT_FALSE(chain.state.Get<BondState>(bond));
    EXPECT_EQ(chain.state.Get<Coin>(release->Output(0))->kind, CoinKind::kPlain);
    EXPECT_EQ(chain.state.Get<StakerList>({})->ids, (std::vector<StakerId>{Id(1)}));
}

TEST_F(StakerRules, AnExitTwiceIsRefused) {
    chain.ConnectIn(0, {chain.Exit(Id(1), 1)});
    EXPECT_EQ(chain.Code(chain.Exit(Id(1), 1)), "bad-exit-status");
    // Not even when the lock is over: that would begin it anew.
    chain.slot = Slot(400);
    EXPECT_EQ(chain.Code(chain.Exit(Id(1), 1)), "bad-exit-status");
}

TEST_F(StakerRules, AnExitSpendsTheBond) {
    const auto tx = chain.Build({chain.Fund(Slu(2'000))},
                                {StakerChain::RecordOutput(ExitRecord{Id(1)}), {chain.params.bond, KeyScript(1)}});
    EXPECT_EQ(chain.Code(chain.Sign(tx)), "bad-exit-bond");
}

TEST_F(StakerRules, AnExitIntoASmallerBondIsRefused) {
    const auto tx = chain.Build({chain.Staker(Id(1)).bond},
                                {StakerChain::RecordOutput(ExitRecord{Id(1)}), {Slu(999), KeyScript(1)}});
    EXPECT_EQ(chain.Code(chain.Sign(tx)), "bad-bond-value");
}

TEST_F(StakerRules, ExitActsThroughTheNextSnapshot) {
    const StakerId second = Registered(2);
    chain.ConnectIn(2, {chain.Exit(second, 2)});
    chain.ConnectIn(3);
    EXPECT_TRUE(chain.Elects(Epoch(3)).Find(second));  // elected as before for two epochs
    EXPECT_FALSE(chain.Elects(Epoch(4)).Find(second));
}

// The lock outlives every epoch that the leaving staker can still be elected in, so what it signs there can be
// punished.
TEST_F(StakerRules, AnEpochElectedBeforeTheExitEndsBeforeTheLockOnEveryBuiltInNetwork) {
    for (const char* network : {"main", "test", "regtest"}) {
        const Params params = BuiltInParams(network);
        EXPECT_GE(params.unbonding_slots, 2 * params.epoch_slots) << network;
    }
}

// ---- delegation

TEST_F(StakerRules, DelegationToAnUnknownIdIsInertAndSpendable) {
    const auto tx = chain.Delegate(Id(99), Slu(5'000));
    chain.ConnectIn(0, {tx});
    EXPECT_EQ(chain.state.Get<WaitingStake>(Id(99))->stake.total, Slu(5'000));
    EXPECT_FALSE(chain.newest_snapshot().Find(Id(99)));
    for (uint64_t epoch = 1; epoch < 6; ++epoch) chain.ConnectIn(epoch);
    EXPECT_EQ(chain.Accrued(tx->Output(0), Epoch(6)), Amount(0));
    EXPECT_EQ(chain.Elects(Epoch(6)).TotalWeight(Epoch(6)), Slu(1'000'000));
    const auto spend = chain.Sign(chain.Build({tx->Output(0)}, {}));
    chain.ConnectIn(6, {spend});
    EXPECT_FALSE(chain.state.Get<WaitingStake>(Id(99)));
}

TEST_F(StakerRules, DelegationToARetiredIdIsInertAndSpendable) {
    const StakerId second = Registered(2);
    chain.ConnectIn(0, {chain.Exit(second, 2)});
    chain.ConnectIn(7, {chain.Release(second)});
    const auto tx = chain.Delegate(second, Slu(5'000));
    chain.ConnectIn(7, {tx});
    for (uint64_t epoch = 8; epoch < 13; ++epoch) chain.ConnectIn(epoch);
    EXPECT_EQ(chain.Elects(Epoch(13)).Find(second), nullptr);
    EXPECT_EQ(chain.Accrued(tx->Output(0), Epoch(13)), Amount(0));
    EXPECT_EQ(chain.Code(chain.Sign(chain.Build({tx->Output(0)}, {}))), "");
}

TEST_F(StakerRules, AZeroValueStakeOutputChangesNothing) {
    const auto tx = chain.Delegate(Id(99), Amount(0));
    chain.ConnectIn(0, {tx});
    EXPECT_FALSE(chain.state.Get<WaitingStake>(Id(99)));
    chain.ConnectIn(0, {chain.Sign(chain.Build({tx->Output(0), chain.Fund(Slu(1))}, {}))});
    EXPECT_FALSE(chain.state.Get<WaitingStake>(Id(99)));
}

// [a list that no node can read again, on a network with a bond of next to nothing]
TEST_F(StakerRules, NoMoreStakersRegisterThanTheListCanHold) {
    StateCache state(static_cast<const StateReader&>(chain.state));
    StakerList list;
    for (uint64_t i = 0; i + 1 < StakerList::kMaxStakers; ++i) {
        std::array<uint8_t, 8> id{};
        for (size_t byte = 0; byte < 8; ++byte) id[byte] = static_cast<uint8_t>(i >> (56 - 8 * byte));
        list.ids.push_back(StakerId::FromSpan(id));
    }
    state.Put({}, list);
    const StakerContext context{chain.params, chain.slot};
    ASSERT_TRUE(RegisterStaker(context, state, Registration(2), Id(2), {Txid(), 0}));
    const auto refused = RegisterStaker(context, state, Registration(3), Id(3), {Txid(), 1});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "bad-register-full");
    EXPECT_EQ(state.Get<StakerList>({})->ids.size(), StakerList::kMaxStakers);
}

}  // namespace
}  // namespace sluice::consensus
