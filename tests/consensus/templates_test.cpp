#include "consensus/templates.h"

#include "ledger_fixture.h"

namespace sluice::consensus {
namespace {

using testing::KeyScript;
using testing::kSingleAnyoneCanPay;
using testing::OffCurveKey;
using testing::TestKey;

constexpr Height kRefund{1'000};
const OutPoint kLock{Txid{{7}}, 3};
const Amount kLocked{50'000};

LockTemplate Template(Height height = kRefund) {
    return *MakeLockTemplate(TestKey(1).XOnly(), TestKey(2).XOnly(), height);
}

// A transaction with the lock as input `index` and an output of the same index, amid others.
MutableTransaction SpendAt(size_t index, const TxOutput& output) {
    MutableTransaction tx;
    tx.version = kLockSpendVersion;
    for (size_t i = 0; i <= index + 1; ++i) {
        const auto n = static_cast<uint8_t>(100 + i);
        tx.inputs.push_back({i == index ? kLock : OutPoint{Txid{{n}}, n}, {}, i == index ? kLockSpendSequence : n, {}});
        tx.outputs.push_back(i == index ? output : TxOutput{Amount(n), KeyScript(n)});
    }
    return tx;
}

std::vector<TxOutput> SpentAt(size_t index, const MutableTransaction& tx, const LockTemplate& lock) {
    std::vector<TxOutput> spent(tx.inputs.size(), TxOutput{Amount(9), KeyScript(9)});
    spent[index] = {kLocked, lock.output_script};
    return spent;
}

TEST(LockTemplate, IsTheTreeOfTwoLeavesUnderTheNumsKey) {
    const LockTemplate lock = Template();
    EXPECT_EQ(HexEncode(lock.pay_leaf), "20" + TestKey(1).XOnly().Hex() + "ad20" + TestKey(2).XOnly().Hex() + "ac");
    EXPECT_EQ(HexEncode(lock.refund_leaf), "02e803b17520" + TestKey(1).XOnly().Hex() + "ac");
    EXPECT_EQ(lock.pay_leaf_hash, TapLeafHash(lock.pay_leaf));
    EXPECT_EQ(lock.refund_leaf_hash, TapLeafHash(lock.refund_leaf));
    const auto output = crypto::TapTweak(crypto::kNumsKey, TapBranchHash(lock.pay_leaf_hash, lock.refund_leaf_hash));
    EXPECT_EQ(lock.output_script, TaprootScript(output->key));
    EXPECT_EQ(lock.pay_control.size(), 65u);
    EXPECT_EQ(lock.refund_control.size(), 65u);
}

// Computed by an independent implementation of BIP341.
TEST(LockTemplate, HasGoldenBytes) {
    const LockTemplate lock = Template();
    EXPECT_EQ(HexEncode(lock.output_script), "5120fe1d1a3a8ce71a4fa1a7fb743caeff0eeabf1caa9a9f7bc4483451786cbdfa22");
    EXPECT_EQ(HexEncode(lock.pay_control),
              "c150929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0"
              "30cc164db428158081bede43ff23121bebd3f9aff41542ba94772f7b9471b315");
    EXPECT_EQ(SingleOutputSighash(kLock, {kLocked, lock.output_script}, lock, {Amount(40'000), KeyScript(3)}).Hex(),
              "e26a6a2b517eccda8ef2828cdc2092147db5d79c9afa55d0bd2d67fe848c6403");
    EXPECT_EQ(MakeClaimId(kLock).Hex(), "3e9268a9f9f6e5c7ec5d3a738ceba09a994256b39fe385a8b49636ab5af3b1e8");
}

TEST(LockTemplate, ExistsForHeightsFromOneToTheLastThatIsNoTime) {
    const XOnlyPubKey a = TestKey(1).XOnly(), b = TestKey(2).XOnly();
    EXPECT_FALSE(MakeLockTemplate(a, b, Height(0)));
    EXPECT_TRUE(MakeLockTemplate(a, b, Height(1)));
    EXPECT_TRUE(MakeLockTemplate(a, b, Height(499'999'999)));
    EXPECT_FALSE(MakeLockTemplate(a, b, Height(500'000'000)));
}

TEST(LockTemplate, NeedsBothKeysOnTheCurve) {
    const XOnlyPubKey good = TestKey(1).XOnly();
    EXPECT_FALSE(MakeLockTemplate(OffCurveKey(), good, kRefund));
    EXPECT_FALSE(MakeLockTemplate(good, OffCurveKey(), kRefund));
}

TEST(LockTemplate, DependsOnEachKeyTheirOrderAndTheHeight) {
    const Script script = Template().output_script;
    EXPECT_NE(script, MakeLockTemplate(TestKey(2).XOnly(), TestKey(1).XOnly(), kRefund)->output_script);
    EXPECT_NE(script, MakeLockTemplate(TestKey(1).XOnly(), TestKey(3).XOnly(), kRefund)->output_script);
    EXPECT_NE(script, Template(kRefund + 1).output_script);
}

TEST(LockTemplate, SpendsThroughLeafOneWithBothSignaturesAtEveryIndexAndParity) {
    size_t odd = 0;
    for (uint32_t height = 1; height <= 8; ++height) {
        const LockTemplate lock = Template(Height(height));
        odd += lock.pay_control[0] & 1;
        const TxOutput output{Amount(40'000), KeyScript(3)};
        const size_t index = height % 3;
        MutableTransaction tx = SpendAt(index, output);
        const SpendingTransaction unsigned_tx(tx, SpentAt(index, tx, lock));
        const auto owner = TestKey(1).Sign(SingleOutputSighash(kLock, {kLocked, lock.output_script}, lock, output));
        const auto payee =
            TestKey(2).Sign(*unsigned_tx.SignatureHash(index, kSighashDefault, ScriptPathData{lock.pay_leaf_hash}));
        tx.inputs[index].witness = PayWitness(lock, owner, payee);
        const SpendingTransaction spending(tx, SpentAt(index, tx, lock));
        const auto facts = VerifyInput(spending, index);
        ASSERT_TRUE(facts.has_value()) << facts.error();
        EXPECT_EQ(facts->leaf_script, lock.pay_leaf);
        EXPECT_EQ(facts->hash_types, (std::vector<uint8_t>{kSingleAnyoneCanPay, kSighashDefault}));

        std::swap(tx.inputs[index].witness[0], tx.inputs[index].witness[1]);
        EXPECT_FALSE(VerifyInput(SpendingTransaction(tx, SpentAt(index, tx, lock)), index));
    }
    EXPECT_GT(odd, 0u);
    EXPECT_LT(odd, 8u);
}

TEST(SingleOutputSighash, EqualsTheInterpretersAtAnyIndexOfAnyTransaction) {
    const LockTemplate lock = Template();
    const TxOutput output{Amount(40'000), KeyScript(3)};
    const Hash256 hash = SingleOutputSighash(kLock, {kLocked, lock.output_script}, lock, output);
    for (size_t index : {0, 1, 5}) {
        const MutableTransaction tx = SpendAt(index, output);
        const SpendingTransaction spending(tx, SpentAt(index, tx, lock));
        EXPECT_EQ(spending.SignatureHash(index, kSingleAnyoneCanPay, ScriptPathData{lock.pay_leaf_hash}), hash);
    }
}

TEST(SingleOutputSighash, CommitsToLockValueOutputAndLeaf) {
    const LockTemplate lock = Template();
    const TxOutput locked{kLocked, lock.output_script}, output{Amount(40'000), KeyScript(3)};
    const Hash256 hash = SingleOutputSighash(kLock, locked, lock, output);
    EXPECT_NE(hash, SingleOutputSighash({kLock.txid, 4}, locked, lock, output));
    EXPECT_NE(hash, SingleOutputSighash(kLock, {Amount(50'001), lock.output_script}, lock, output));
    EXPECT_NE(hash, SingleOutputSighash(kLock, locked, lock, {Amount(40'001), output.script}));
    EXPECT_NE(hash, SingleOutputSighash(kLock, locked, lock, {output.value, KeyScript(4)}));
    const LockTemplate other = *MakeLockTemplate(TestKey(1).XOnly(), TestKey(4).XOnly(), kRefund);
    EXPECT_NE(hash, SingleOutputSighash(kLock, locked, other, output));
}

TEST(LockTemplate, RefundsByTheOwnerFromItsLockTimeOn) {
    const LockTemplate lock = Template();
    for (const uint32_t lock_time : {kRefund.value - 1, kRefund.value}) {
        MutableTransaction tx = SpendAt(0, {Amount(1), KeyScript(3)});
        tx.lock_time = lock_time;
        const SpendingTransaction unsigned_tx(tx, SpentAt(0, tx, lock));
        const auto hash = *unsigned_tx.SignatureHash(0, kSighashDefault, ScriptPathData{lock.refund_leaf_hash});
        tx.inputs[0].witness = RefundWitness(lock, TestKey(1).Sign(hash));
        const SpendingTransaction spending(tx, SpentAt(0, tx, lock));
        EXPECT_EQ(VerifyInput(spending, 0).has_value(), lock_time == kRefund.value) << lock_time;
        tx.inputs[0].witness = RefundWitness(lock, TestKey(2).Sign(hash));
        EXPECT_FALSE(VerifyInput(SpendingTransaction(tx, SpentAt(0, tx, lock)), 0));
    }
}

TEST(ClaimId, IsTheTaggedHashOfTheFirstPublishOutpoint) {
    Bytes bytes(36, 0);
    bytes[0] = 7;
    bytes[32] = 3;
    EXPECT_EQ(MakeClaimId(kLock).Hex(), crypto::TaggedHash("Sluice/claim", bytes).Hex());
    EXPECT_NE(MakeClaimId(kLock), MakeClaimId({kLock.txid, 4}));
}

TEST(PurchaseAnnex, HoldsASealedPreSignature) { EXPECT_EQ(kPurchaseAnnexBytes, 113u); }

}  // namespace
}  // namespace sluice::consensus
