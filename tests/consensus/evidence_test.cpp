#include "staker_fixture.h"

// Evidence: what convicts a staker, what does not, and where its bond goes.

namespace sluice::consensus {
namespace {

using testing::Id;
using testing::KeyScript;
using testing::Registration;
using testing::SigningKey;
using testing::Slu;
using testing::StakerChain;
using testing::TestKey;

class Evidence : public ::testing::Test {
  protected:
    Evidence() {
        chain.AddStaker(1, 50);
        chain.AddStaker(2);
        stake = chain.AddStake(Id(1), Slu(1'000'000));
        delegated = chain.AddStake(Id(2), Slu(1'000'000));
        chain.Start();
        chain.ConnectAt(Slot(1), Id(1));
    }
    std::string Code(const EvidenceRecord& record) { return chain.Code(chain.Evidence(record)); }
    EvidenceRecord Guilt(uint64_t slot = 1) { return chain.Equivocation(Id(2), Slot(slot), SigningKey(2)); }

    StakerChain chain;
    OutPoint stake, delegated;
};

TEST_F(Evidence, TwoHeadersOfOneSlotConvict) {
    const auto tx = chain.Evidence(Guilt());
    EXPECT_EQ(chain.Code(tx), "");
    const OutPoint bond = chain.Staker(Id(2)).bond;
    chain.ConnectAt(Slot(2), Id(1), {tx});
    EXPECT_EQ(chain.Staker(Id(2)).status, StakerStatus::kSlashed);
    EXPECT_FALSE(chain.state.Get<Coin>(bond));
    EXPECT_FALSE(chain.state.Get<BondState>(bond));
    EXPECT_EQ(chain.state.Get<StakerList>({})->ids, (std::vector<StakerId>{Id(1)}));
    EXPECT_FALSE(chain.newest_snapshot().Find(Id(2)));
}

TEST_F(Evidence, FivePerCentGoToTheFeesRoundedDownAndTheRestIsBurned) {
    for (const uint64_t extra : {0, 1, 19, 20, 39}) {
        StakerChain odd;
        odd.AddStaker(1);
        odd.AddStaker(2);
        odd.AddStake(Id(1), Slu(1));
        odd.Start();
        const uint64_t bond = odd.params.bond.drops + extra;
        odd.ConnectAt(Slot(1), Id(1), {odd.Update(Id(2), 2, Registration(2), Amount(bond))});
        const auto tx = odd.Evidence(odd.Equivocation(Id(2), Slot(1), SigningKey(2)));
        const auto effect = odd.Try(tx);
        ASSERT_TRUE(effect.has_value());
        EXPECT_EQ(effect->fee.drops, bond / 20);
        EXPECT_EQ(effect->burned.drops, bond - bond / 20);
        const Amount burned = odd.Totals().burned;
        odd.ConnectAt(Slot(2), Id(1), {tx});
        EXPECT_EQ(odd.Totals().burned.drops, burned.drops + bond - bond / 20);
    }
}

TEST_F(Evidence, IsYoungerThanTheUnbondingTime) {
    const auto tx = chain.Evidence(Guilt(5));
    chain.slot = Slot(5 + 99 - 1);  // the block's slot is one later: 99 slots old
    EXPECT_EQ(chain.Code(tx), "");
    chain.slot = Slot(5 + 100 - 1);
    EXPECT_EQ(chain.Code(tx), "bad-evidence-age");
}

TEST_F(Evidence, IsNotOfAFutureSlot) {
    chain.slot = Slot(10);
    EXPECT_EQ(Code(Guilt(11)), "");
    EXPECT_EQ(Code(Guilt(12)), "bad-evidence-slot");
    EXPECT_EQ(chain.Try(chain.Evidence(Guilt(12))).error().what, Invalid::What::kPremature);
}

TEST_F(Evidence, TheSameHeaderTwiceProvesNothing) {
    const BlockHeader header = chain.SignedHeader(Id(2), Slot(1), 1, SigningKey(2));
    EXPECT_EQ(Code({header, header}), "bad-evidence-order");
}

TEST_F(Evidence, TheSameContentSignedTwiceProvesNothing) {
    const BlockHeader header = chain.SignedHeader(Id(2), Slot(1), 1, SigningKey(2));
    BlockHeader again = header;
    // BIP340 signing takes fresh randomness: another valid signature of the same key and message.
    for (uint8_t n = 1; again.signature == header.signature; ++n) {
        std::array<uint8_t, 32> aux{};
        aux[0] = n;
        again.signature = TestKey(SigningKey(2)).Sign(header.SigningHash(chain.genesis_hash), aux);
    }
    ASSERT_NE(again.Hash(), header.Hash());
    EXPECT_EQ(Code(StakerChain::Ordered(header, again)), "bad-evidence-same");
}

TEST_F(Evidence, TheHeadersStandInOneOrder) {
    EvidenceRecord record = Guilt();
    std::swap(record.first, record.second);
    EXPECT_EQ(Code(record), "bad-evidence-order");
}

TEST_F(Evidence, DifferentSlotsProveNothing) {
    EXPECT_EQ(Code(StakerChain::Ordered(chain.SignedHeader(Id(2), Slot(1), 1, SigningKey(2)),
                                        chain.SignedHeader(Id(2), Slot(2), 1, SigningKey(2)))),
              "bad-evidence-slot");
}

TEST_F(Evidence, DifferentStakersProveNothing) {
    EXPECT_EQ(Code(StakerChain::Ordered(chain.SignedHeader(Id(1), Slot(1), 1, SigningKey(1)),
                                        chain.SignedHeader(Id(2), Slot(1), 1, SigningKey(2)))),
              "bad-evidence-staker");
}

TEST_F(Evidence, SignaturesOfAnotherKeyProveNothing) {
    EXPECT_EQ(Code(chain.Equivocation(Id(2), Slot(1), SigningKey(1))), "bad-evidence-signature");
    // One honest header and one that somebody made up.
    EXPECT_EQ(Code(StakerChain::Ordered(chain.SignedHeader(Id(2), Slot(1), 1, SigningKey(2)),
                                        chain.SignedHeader(Id(2), Slot(1), 2, SigningKey(1)))),
              "bad-evidence-signature");
}

TEST_F(Evidence, SignaturesOfAnotherNetworkProveNothing) {
    BlockHash other = chain.genesis_hash;
    other.bytes[31] ^= 1;
    EvidenceRecord record = Guilt();
    for (BlockHeader* header : {&record.first, &record.second})
        header->signature = TestKey(SigningKey(2)).Sign(header->SigningHash(other));
    EXPECT_EQ(Code(StakerChain::Ordered(record.first, record.second)), "bad-evidence-signature");
}

TEST_F(Evidence, ConvictsOncePerId) {
    const auto first = chain.Evidence(Guilt(1));
    const auto second = chain.Evidence(chain.Ordered(chain.SignedHeader(Id(2), Slot(1), 3, SigningKey(2)),
                                                     chain.SignedHeader(Id(2), Slot(1), 4, SigningKey(2))));
    EXPECT_NE(first->txid(), second->txid());
    EXPECT_EQ(chain.Code(chain.MakeBlock({first})), "");
    EXPECT_EQ(chain.Code([&] {
        Block block = chain.MakeBlock({first});
        block.transactions.push_back(second);
        StakerChain::Reseal(block);
        return block;
    }()),
              "bad-txns-inputs-missingorspent");
    chain.ConnectAt(Slot(2), Id(1), {first});
    EXPECT_EQ(chain.Code(first), "bad-txns-inputs-missingorspent");
    EXPECT_EQ(chain.Code(second), "bad-txns-inputs-missingorspent");
}

TEST_F(Evidence, NamesTheStakerWhoseBondItSpends) {
    const EvidenceRecord record = Guilt();
    MutableTransaction tx = MakeEvidenceTransaction(record, chain.Staker(Id(1)).bond);  // an innocent one's bond
    EXPECT_EQ(chain.Code(chain.Know(MakeTransaction(tx))), "bad-evidence-bond");
    tx = MakeEvidenceTransaction(record, chain.Fund(Slu(1'000)));
    EXPECT_EQ(chain.Code(chain.Know(MakeTransaction(tx))), "bad-evidence-bond");
    tx = MakeEvidenceTransaction(chain.Equivocation(Id(99), Slot(1), SigningKey(2)), chain.Staker(Id(2)).bond);
    EXPECT_EQ(chain.Code(chain.Know(MakeTransaction(tx))), "bad-evidence-bond");
}

// Whoever reports, the transaction is the same to the byte and pays nobody but the block's producer: there is nothing
// to report oneself for, and nothing to run in front of.
TEST_F(Evidence, SelfReportingAndFrontRunningGainNothing) {
    const MutableTransaction good = chain.Evidence(Guilt())->tx();
    EXPECT_EQ(MakeEvidenceTransaction(Guilt(), chain.Staker(Id(2)).bond), good);
    const auto code = [&](auto change) {
        MutableTransaction tx = good;
        change(tx);
        return chain.Code(chain.Know(MakeTransaction(tx)));
    };
    EXPECT_EQ(code([](auto&) {}), "");
    const OutPoint coin = chain.Fund(Slu(1));
    EXPECT_EQ(code([](auto& tx) { tx.inputs[0].witness = {Bytes(64, 1)}; }), "bad-evidence-form");
    EXPECT_EQ(code([&](auto& tx) { tx.inputs.push_back({coin, {}, 0xffffffff, {}}); }), "bad-evidence-form");
    EXPECT_EQ(code([](auto& tx) { tx.outputs.push_back({Slu(49), KeyScript(3)}); }), "bad-evidence-form");
    EXPECT_EQ(code([](auto& tx) {
                  tx.outputs.insert(tx.outputs.begin(), {Amount(0), KeyScript(3)});
              }),
              "bad-evidence-form");
    EXPECT_EQ(code([](auto& tx) { tx.outputs[0].value = Amount(1); }), "bad-record-value");
    EXPECT_EQ(code([](auto& tx) { tx.inputs[0].sequence = 0xfffffffe; }), "bad-evidence-form");
    EXPECT_EQ(code([](auto& tx) { tx.lock_time = 1; }), "bad-evidence-form");
    EXPECT_EQ(code([](auto& tx) { tx.version = 2; }), "bad-evidence-form");
    EXPECT_EQ(code([](auto& tx) { tx.outputs.push_back(tx.outputs[0]); }), "bad-evidence-form");
}

TEST(EvidenceTransaction, HasGoldenBytes) {
    BlockHeader first, second;
    first.slot = second.slot = Slot(0x102);
    first.staker = second.staker = StakerId{{0x34, 0x34, 0x34, 0x34, 0x34, 0x34, 0x34, 0x34}};
    second.height = Height(1);
    OutPoint bond;
    bond.txid.bytes.fill(0x21);
    bond.index = 7;
    const EvidenceRecord record = StakerChain::Ordered(first, second);
    const TransactionRef tx = MakeTransaction(MakeEvidenceTransaction(record, bond));
    std::string outpoint;
    for (int i = 0; i < 32; ++i) outpoint += "21";
    // version; one input: outpoint, no script, sequence; one output: value 0, OP_RETURN OP_PUSHDATA2 601 bytes.
    EXPECT_EQ(HexEncode(tx->tx().ToBytes()),
              "03000000"
              "01" +
                  outpoint +
                  "07000000"
                  "00"
                  "ffffffff"
                  "01"
                  "0000000000000000"
                  "fd5d02"
                  "6a4d5902"
                  "0801fd2801" +
                  HexEncode(Encode(record.first)) + "02fd2801" + HexEncode(Encode(record.second)) + "00000000");
    EXPECT_EQ(tx->txid().Hex(), "238ea04fbe9645d86ed962dabe1e982d39c4bc6d5a6debfb45adb8c179fc6564");
    EXPECT_EQ(tx->wtxid().Hex(), "238ea04fbe9645d86ed962dabe1e982d39c4bc6d5a6debfb45adb8c179fc6564");
}

// ---- keys

// A key replaced in epoch r signs headers up to epoch r + 1, by the snapshot two epochs back; the new one from r + 2
// on.
TEST_F(Evidence, IsUnderTheKeyThatElectedItsSlot) {
    chain.params.unbonding_slots = 1'000;
    constexpr uint8_t kNew = 5;
    auto record = Registration(kNew);
    chain.ConnectIn(3, {chain.Update(Id(2), 2, record)});
    chain.ConnectIn(9);
    for (uint64_t epoch = 0; epoch <= 8; ++epoch) {
        const Slot slot = chain.params.FirstSlot(Epoch(epoch)) + 7;
        const bool old_key = epoch <= 4;
        EXPECT_EQ(Code(chain.Equivocation(Id(2), slot, SigningKey(2))), old_key ? "" : "bad-evidence-signature")
            << epoch;
        EXPECT_EQ(Code(chain.Equivocation(Id(2), slot, SigningKey(kNew))), old_key ? "bad-evidence-signature" : "")
            << epoch;
    }
}

TEST_F(Evidence, TheKeyIsThatOfTheSnapshotAfterManyRotations) {
    chain.params.unbonding_slots = 10'000;
    // The key of each epoch's election, as the snapshots say it.
    std::map<uint64_t, XOnlyPubKey> elected;
    const std::vector<uint64_t> rotations{2, 3, 3, 5, 9, 10, 12};
    uint8_t n = 3;
    for (uint64_t epoch = 1; epoch < 18; ++epoch) {
        if (epoch == 7 || epoch == 13 || epoch == 14) continue;  // empty
        for (const uint64_t rotation : rotations)
            if (rotation == epoch) chain.ConnectIn(epoch, {chain.Update(Id(2), 2, Registration(n++))});
        chain.ConnectIn(epoch);
        elected[epoch] = chain.Elects(Epoch(epoch)).Find(Id(2))->signing_key;
    }
    const StakerState staker = chain.Staker(Id(2));
    for (const auto& [epoch, key] : elected) EXPECT_EQ(SigningKeyOf(staker, Epoch(epoch)), key) << epoch;
    EXPECT_EQ(staker.replaced_keys.size(), 6u);
}

TEST_F(Evidence, ForgottenKeysAreOnesWhoseEvidenceIsTooOld) {
    chain.ConnectIn(1, {chain.Update(Id(2), 2, Registration(5))});
    const uint64_t last_slot = 3 * 20 - 1;  // epoch 2 is the last one that the old key signs
    // The next rotation forgets the old key when no evidence of that slot is valid any more, and not before.
    for (const uint64_t age : {99, 100, 101}) {
        const StakerContext context{chain.params, Slot(last_slot + age)};
        StateCache cache(chain.state);
        RegisterRecord record = Registration(6);
        record.updates = Id(2);
        ASSERT_TRUE(UpdateStaker(context, cache, record, OutPoint{{}, 1}));
        const size_t keys = cache.Get<StakerState>(Id(2))->replaced_keys.size();
        EXPECT_EQ(keys, age <= 100 ? 2u : 1u) << age;
    }
}

// ---- what a slashed staker leaves

TEST_F(Evidence, ConvictsAnExitingStaker) {
    const auto exit = chain.Exit(Id(2), 2);
    chain.ConnectAt(Slot(2), Id(1), {exit});
    const auto release = chain.Release(Id(2));
    const auto tx = chain.Evidence(Guilt(1));
    EXPECT_EQ(tx->inputs()[0].prevout, exit->Output(1));
    chain.ConnectAt(Slot(3), Id(1), {tx});
    EXPECT_EQ(chain.Staker(Id(2)).status, StakerStatus::kSlashed);
    chain.slot = Slot(500);
    EXPECT_EQ(chain.Code(release), "bad-txns-inputs-missingorspent");
}

TEST_F(Evidence, IsNotDodgedByMovingTheBond) {
    const EvidenceRecord record = Guilt(1);
    const auto stale = chain.Evidence(record);
    chain.ConnectAt(Slot(2), Id(1), {chain.Update(Id(2), 2, Registration(2))});
    EXPECT_EQ(chain.Code(stale), "bad-txns-inputs-missingorspent");
    EXPECT_EQ(Code(record), "");  // anybody makes it again on the new bond
    chain.ConnectAt(Slot(3), Id(1), {chain.Exit(Id(2), 2)});
    EXPECT_EQ(Code(record), "");
}

TEST_F(Evidence, ComesTooLateForAReleasedBond) {
    chain.ConnectAt(Slot(2), Id(1), {chain.Exit(Id(2), 2)});
    const OutPoint bond = chain.Staker(Id(2)).bond;
    chain.ConnectAt(Slot(102), Id(1), {chain.Release(Id(2))});
    EXPECT_EQ(Code(chain.Equivocation(Id(2), Slot(20), SigningKey(2))), "bad-txns-inputs-missingorspent");
    EXPECT_EQ(chain.Staker(Id(2)).bond, bond);
}

TEST_F(Evidence, ASlashedIdIsGoneForEver) {
    chain.ConnectAt(Slot(2), Id(1), {chain.Evidence(Guilt())});
    EXPECT_EQ(chain.Code(chain.Register(3, Registration(2))), "bad-register-vrf-key");
    RegisterRecord record = Registration(2);
    record.updates = Id(2);
    const auto tx =
        chain.Build({chain.Fund(Slu(2'000))}, {StakerChain::RecordOutput(record), {chain.params.bond, KeyScript(1)}});
    EXPECT_EQ(chain.Code(chain.Sign(tx)), "bad-register-bond");
}

TEST_F(Evidence, DelegatorsOfASlashedStakerKeepStakeAndRewards) {
    chain.ConnectIn(1, {}, Id(2));
    chain.ConnectIn(2, {chain.Evidence(Guilt(chain.slot.value))});
    const Amount accrued = chain.Accrued(delegated, Epoch(3));
    EXPECT_GT(accrued, Amount(0));
    chain.ConnectIn(3, {}, Id(2));  // elected before it was convicted
    chain.ConnectIn(4);
    EXPECT_FALSE(chain.Elects(Epoch(4)).Find(Id(2)));
    EXPECT_GT(chain.Accrued(delegated, Epoch(5)), accrued);
    chain.ConnectIn(5);
    const auto spend = chain.Sign(chain.Build({delegated}, {{Slu(1'000'000), KeyScript(1)}}, Amount(0)));
    const auto effect = chain.Try(spend);
    ASSERT_TRUE(effect.has_value());
    EXPECT_EQ(effect->fee, chain.Accrued(delegated, Epoch(5)));
    chain.ConnectIn(5, {spend});
}

TEST_F(Evidence, ADisconnectedConvictionLeavesNoTrace) {
    const auto before = chain.state.entries;
    chain.ConnectAt(Slot(2), Id(1), {chain.Evidence(Guilt())});
    chain.Disconnect();
    EXPECT_EQ(chain.state.entries, before);
}

}  // namespace
}  // namespace sluice::consensus
