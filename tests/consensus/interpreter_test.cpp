#include "consensus/interpreter.h"

#include <gtest/gtest.h>

#include "tapscript.h"

// The taproot rules around a script: witness shapes, control blocks, signatures, locks and limits. The operations of
// the language are in tapscript_operations_test.cpp.

namespace sluice::consensus {
namespace {

using namespace testing;

const Bytes kTrue{1};

std::string Reason(const Result<SpendFacts, std::string>& result) { return result ? "" : result.error(); }

// Key path.

TEST(KeyPath, EveryDefinedHashTypeVerifiesAndIsReported) {
    for (const uint8_t type : {0x00, 0x01, 0x02, 0x03, 0x81, 0x82, 0x83}) {
        LeafSpend spend(Asm("1"));
        const auto facts = spend.Verify({spend.SignKeyPath(type)});
        ASSERT_TRUE(facts) << facts.error();
        EXPECT_FALSE(facts->script_path);
        EXPECT_TRUE(facts->leaf_script.empty());
        EXPECT_EQ(facts->hash_types, std::vector<uint8_t>{type});
    }
}

TEST(KeyPath, SignaturesOfAnyOtherLengthAreInvalid) {
    LeafSpend spend(Asm("1"));
    for (const size_t size : {0, 1, 63, 66, 128}) {
        Bytes signature = spend.SignKeyPath();
        signature.resize(size, 1);
        EXPECT_EQ(Reason(spend.Verify({signature})), "a signature is neither 64 nor 65 bytes long") << size;
    }
}

TEST(KeyPath, DefaultTypeMustNotBeWrittenOut) {
    LeafSpend spend(Asm("1"));
    Bytes signature = spend.SignKeyPath();
    EXPECT_EQ(Reason(spend.Verify({signature})), "");
    signature.push_back(kSighashDefault);
    EXPECT_EQ(Reason(spend.Verify({signature})), "a 65-byte signature has the default hash type");
}

TEST(KeyPath, UndefinedHashTypesAreInvalid) {
    LeafSpend spend(Asm("1"));
    for (const uint8_t type : {0x04, 0x80, 0x84, 0x41, 0xff}) {
        Bytes signature = spend.SignKeyPath(kSighashAll);
        signature[64] = type;
        EXPECT_EQ(Reason(spend.Verify({signature})), "a signature's hash type is undefined or has no output to sign");
    }
}

TEST(KeyPath, SignatureForAnotherTypeOrKeyOrTransactionIsInvalid) {
    const std::string reason = "the signature of the key path is invalid";
    LeafSpend spend(Asm("1"));
    Bytes signature = spend.SignKeyPath(kSighashAll);
    signature[64] = kSighashNone;
    EXPECT_EQ(Reason(spend.Verify({signature})), reason);
    signature = spend.SignKeyPath();
    signature[10] ^= 1;
    EXPECT_EQ(Reason(spend.Verify({signature})), reason);
    signature = spend.SignKeyPath();
    spend.tx.lock_time = 1;
    EXPECT_EQ(Reason(spend.Verify({signature})), reason);
}

TEST(KeyPath, SingleNeedsAnOutputOfItsIndex) {
    LeafSpend spend(Asm("1"));
    const Bytes signature = spend.SignKeyPath(kSighashSingle);
    EXPECT_EQ(Reason(spend.Verify({signature})), "");
    spend.tx.outputs.clear();
    EXPECT_EQ(Reason(spend.Verify({signature})), "a signature's hash type is undefined or has no output to sign");
}

TEST(KeyPath, AnnexIsCommittedTo) {
    LeafSpend spend(Asm("1"));
    spend.annex = Bytes{0x50, 1, 2};
    const Bytes signature = spend.SignKeyPath();
    EXPECT_EQ(Reason(spend.Verify({signature})), "");
    spend.annex->back() ^= 1;
    EXPECT_EQ(Reason(spend.Verify({signature})), "the signature of the key path is invalid");
    spend.annex.reset();
    EXPECT_EQ(Reason(spend.Verify({signature})), "the signature of the key path is invalid");
}

TEST(Annex, IsTheLastOfTwoOrMoreItemsThatStartsWith0x50) {
    EXPECT_EQ(FindAnnex({{1}, {0x50, 7}}), (Bytes{0x50, 7}));
    EXPECT_EQ(FindAnnex({{1}, {2}, {0x50}}), Bytes{0x50});
    EXPECT_FALSE(FindAnnex({{0x50, 7}}));
    EXPECT_FALSE(FindAnnex({{0x50}, {0x51}}));
    EXPECT_FALSE(FindAnnex({{1}, {}}));
    EXPECT_FALSE(FindAnnex({}));
}

TEST(Annex, LoneItemThatStartsWith0x50IsASignature) {
    LeafSpend spend(Asm("1"));
    Bytes item(64, 0x50);
    EXPECT_EQ(Reason(spend.Verify({item})), "the signature of the key path is invalid");
}

TEST(Spend, WitnessIsNeededAndAScriptOutsideItRefused) {
    LeafSpend spend(Asm("1"));
    EXPECT_EQ(Reason(spend.Verify({})), "the input has no witness");
    const Bytes signature = spend.SignKeyPath();
    spend.tx.inputs[0].script_sig = {0x51};
    EXPECT_EQ(Reason(spend.Verify({signature})), "the input has a script outside its witness");
}

TEST(Spend, OutputsOfOtherKindsCannotBeSpent) {
    LeafSpend spend(Asm("1"));
    const Bytes signature = spend.SignKeyPath();
    const Script taproot = spend.spent[0].script;
    Script shorter(taproot.begin(), taproot.end() - 1);
    shorter[1] = 31;
    Script version_two = taproot;
    version_two[0] = 0x52;
    Script stake_without_id = taproot;
    stake_without_id[0] = kOp14;
    for (const Script& script :
         {shorter, version_two, stake_without_id, Script{0x51}, Script{}, Script{kOpReturn, 2, 1, 1}}) {
        spend.spent[0].script = script;
        EXPECT_EQ(Reason(spend.Verify({signature})), "the output spent is neither a taproot nor a stake output");
    }
}

TEST(Spend, IndexOutsideTheTransactionIsAnError) {
    LeafSpend spend(Asm("1"));
    EXPECT_FALSE(VerifyInput(SpendingTransaction(spend.tx, spend.spent), 2));
}

TEST(StakeOutput, IsSpentAsTaprootUnderItsFirst32Bytes) {
    LeafSpend spend(Asm("1"));
    const auto key = ParseOutputScript(spend.spent[0].script)->key;
    const auto staker = *StakerId::FromHex("0102030405060708");
    spend.spent[0].script = StakeScript(key, staker);
    const Bytes signature = spend.SignKeyPath();
    EXPECT_EQ(Reason(spend.Verify({signature})), "");
    EXPECT_EQ(Reason(spend.VerifyScriptPath({})), "");
    // The signature commits to the staker through the spent script.
    spend.spent[0].script = StakeScript(key, *StakerId::FromHex("0102030405060709"));
    EXPECT_EQ(Reason(spend.Verify({signature})), "the signature of the key path is invalid");
    spend.spent[0].script = TaprootScript(key);
    EXPECT_EQ(Reason(spend.Verify({signature})), "the signature of the key path is invalid");
}

// Script path.

TEST(ScriptPath, ReportsTheScriptThatRan) {
    LeafSpend spend(Asm("1"));
    const auto facts = spend.VerifyScriptPath({});
    ASSERT_TRUE(facts) << facts.error();
    EXPECT_TRUE(facts->script_path);
    EXPECT_EQ(facts->leaf_script, Asm("1"));
    EXPECT_TRUE(facts->hash_types.empty());
}

TEST(ScriptPath, ControlBlockIs33BytesAndWholeNodes) {
    const std::string size_reason = "the control block is not 33 bytes and up to 128 nodes of 32 bytes";
    const std::string commitment_reason = "the output does not commit to the script";
    for (const auto& [size, reason] : std::vector<std::pair<size_t, std::string>>{{0, size_reason},
                                                                                  {1, size_reason},
                                                                                  {32, size_reason},
                                                                                  {33, ""},
                                                                                  {34, size_reason},
                                                                                  {64, size_reason},
                                                                                  {65, commitment_reason},
                                                                                  {33 + 32 * 128, commitment_reason},
                                                                                  {33 + 32 * 128 + 1, size_reason},
                                                                                  {33 + 32 * 129, size_reason}}) {
        LeafSpend spend(Asm("1"));
        spend.control.resize(size);
        EXPECT_EQ(Reason(spend.VerifyScriptPath({})), reason) << size;
    }
}

// A leaf under `depth` nodes.
TEST(ScriptPath, PathsOf128NodesOpenAndOf129DoNot) {
    for (const size_t depth : {1, 2, 127, 128, 129}) {
        LeafSpend spend(Asm("1"));
        Hash256 node = spend.LeafHash();
        for (size_t i = 0; i < depth; ++i) {
            const Hash256 sibling = crypto::Sha256Of(Bytes{static_cast<uint8_t>(i)});
            spend.control.insert(spend.control.end(), sibling.begin(), sibling.end());
            node = TapBranchHash(node, sibling);
        }
        const auto output = *crypto::TapTweak(TestKey(1).XOnly(), node);
        spend.control[0] = static_cast<uint8_t>(0xc0 | (output.odd_y ? 1 : 0));
        spend.spent[0].script = TaprootScript(output.key);
        EXPECT_EQ(Reason(spend.VerifyScriptPath({})).empty(), depth <= 128) << depth;
    }
}

TEST(ScriptPath, ParityInternalKeyAndScriptAreCommittedTo) {
    const std::string reason = "the output does not commit to the script";
    LeafSpend parity(Asm("1"));
    parity.control[0] ^= 1;
    EXPECT_EQ(Reason(parity.VerifyScriptPath({})), reason);
    LeafSpend version(Asm("1"));
    version.control[0] ^= 2;
    EXPECT_EQ(Reason(version.VerifyScriptPath({})), reason);
    LeafSpend internal(Asm("1"));
    internal.control[32] ^= 1;
    EXPECT_EQ(Reason(internal.VerifyScriptPath({})), reason);
    LeafSpend off_curve(Asm("1"));
    std::fill(off_curve.control.begin() + 1, off_curve.control.end(), 0xff);
    EXPECT_EQ(Reason(off_curve.VerifyScriptPath({})), reason);
    LeafSpend script(Asm("1"));
    EXPECT_EQ(Reason(script.Verify({Asm("2"), script.control})), reason);
}

TEST(ScriptPath, UnknownLeafVersionsSucceedButAreNotRelayed) {
    ScriptFlags relay;
    relay.discourage_upgradable = true;
    for (const uint8_t version : {0x00, 0x50, 0x66, 0xbe, 0xc2, 0xfe}) {
        LeafSpend spend(Asm("RETURN"), version);
        const auto facts = spend.VerifyScriptPath({});
        ASSERT_TRUE(facts) << facts.error();
        EXPECT_TRUE(facts->script_path);
        EXPECT_TRUE(facts->leaf_script.empty());
        EXPECT_EQ(Reason(spend.VerifyScriptPath({}, relay)), "an unknown leaf version is not relayed");
    }
    EXPECT_EQ(Reason(LeafSpend(Asm("RETURN")).VerifyScriptPath({})), "the script ran a return");
}

TEST(ScriptPath, ControlBlockThatStartsWith0x50IsNoAnnexIfAnAnnexFollows) {
    LeafSpend spend(Asm("RETURN"), 0x50);
    spend.annex = Bytes{0x50};
    EXPECT_EQ(Reason(spend.VerifyScriptPath({})), "");
}

TEST(ScriptPath, ExactlyOneTrueItemMustBeLeft) {
    EXPECT_EQ(RunAsm("1"), "");
    EXPECT_EQ(RunAsm("0x0180 DROP 1"), "");
    for (const std::string text : {"", "1 1", "1 DROP"})
        EXPECT_EQ(RunAsm(text), "the script does not end with exactly one item on the stack") << text;
    for (const std::string text : {"0", "0x0100", "0x0180", "0x020080", "0x03000000"})
        EXPECT_EQ(RunAsm(text), "the script ends with false") << text;
    for (const std::string text : {"-1", "0x028000", "0x020081", "0x0101"}) EXPECT_EQ(RunAsm(text), "") << text;
}

TEST(ScriptPath, AltStackNeedNotBeEmptyAtTheEnd) { EXPECT_EQ(RunAsm("1 0 TOALTSTACK"), ""); }

TEST(ScriptPath, EmptyScriptPassesItsOneArgumentThrough) {
    EXPECT_EQ(RunLeaf({}, {kTrue}), "");
    EXPECT_EQ(RunLeaf({}, {Bytes{}}), "the script ends with false");
}

// OP_SUCCESS.

const std::vector<int>& SuccessOpcodes() {
    static const std::vector<int> opcodes = [] {
        std::vector<int> list{80, 98};
        for (const auto& [first, last] :
             std::vector<std::pair<int, int>>{{126, 129}, {131, 134}, {137, 138}, {141, 142}, {149, 153}, {187, 254}})
            for (int opcode = first; opcode <= last; ++opcode) list.push_back(opcode);
        return list;
    }();
    return opcodes;
}

TEST(OpSuccess, EachReservedOpcodeMakesAFailingScriptSucceedAndNoOtherDoes) {
    for (int opcode = OP_1NEGATE; opcode < 256; ++opcode) {
        const bool reserved = std::count(SuccessOpcodes().begin(), SuccessOpcodes().end(), opcode) == 1;
        const Script script{OP_RETURN, static_cast<uint8_t>(opcode)};
        EXPECT_EQ(RunLeaf(script).empty(), reserved) << opcode;
        ScriptFlags relay;
        relay.discourage_upgradable = true;
        if (reserved) {
            EXPECT_EQ(RunLeaf(script, {}, relay), "an opcode reserved for upgrades is not relayed");
        }
    }
}

TEST(OpSuccess, WinsOverEverythingThatFollowsIt) {
    EXPECT_EQ(RunAsm("RESERVED 0x4c"), "");
    EXPECT_EQ(RunAsm("RESERVED 0x05aa"), "");
    EXPECT_EQ(RunAsm("VERIF RESERVED"), "");
    EXPECT_EQ(RunAsm("IF RESERVED"), "");
    EXPECT_EQ(RunAsm(Zeros(521) + " RESERVED"), "");
    EXPECT_EQ(RunAsm("0 CHECKMULTISIG CAT"), "");
}

TEST(OpSuccess, LosesToAnUndecodablePushBeforeItAndIsNothingInsideAPush) {
    const std::string reason = "a push runs past the end of the script";
    EXPECT_EQ(RunAsm("0x0250"), reason);
    EXPECT_EQ(RunAsm("0x4d50"), reason);
    EXPECT_EQ(RunAsm("0x4c0250"), reason);
    EXPECT_EQ(RunAsm("0 <50> DROP"), "the script ends with false");
}

TEST(OpSuccess, WinsOverTheLimitsOfTheInitialStack) {
    EXPECT_EQ(RunAsm("CAT", {Bytes(521, 0)}), "");
    EXPECT_EQ(RunAsm("CAT", WitnessStack(1001, Bytes{})), "");
    EXPECT_EQ(RunAsm("DROP 1", {Bytes(521, 0)}), "an item of the stack is longer than 520 bytes");
    EXPECT_EQ(RunAsm("DROP 1", {Bytes(520, 0)}), "");
}

// Limits.

TEST(Limits, StackAndAltStackTogetherHold1000Items) {
    const std::string reason = "the stack has more than 1000 items";
    EXPECT_EQ(RunAsm("500*2DROP 1", WitnessStack(1000, Bytes{})), "");
    EXPECT_EQ(RunAsm("500*2DROP", WitnessStack(1001, kTrue)), reason);
    EXPECT_EQ(RunAsm("1000*1 499*2DROP DROP"), "");
    EXPECT_EQ(RunAsm("1001*1 500*2DROP"), reason);
    EXPECT_EQ(RunAsm("500*1 500*TOALTSTACK 500*1 249*2DROP DROP"), "");
    EXPECT_EQ(RunAsm("500*1 500*TOALTSTACK 501*1 250*2DROP"), reason);
    EXPECT_EQ(RunAsm("998*1 2DUP 499*2DROP DROP"), "");
    EXPECT_EQ(RunAsm("998*1 3DUP 500*2DROP"), reason);
}

TEST(Limits, PushesHold520BytesAlsoWhereTheyAreNotExecuted) {
    EXPECT_EQ(RunAsm(Zeros(520) + " DROP 1"), "");
    EXPECT_EQ(RunAsm(Zeros(521) + " DROP 1"), "a push is longer than 520 bytes");
    EXPECT_EQ(RunAsm("0 IF " + Zeros(520) + " ENDIF 1"), "");
    EXPECT_EQ(RunAsm("0 IF " + Zeros(521) + " ENDIF 1"), "a push is longer than 520 bytes");
}

TEST(Limits, ScriptsMayBeLongerThan10000BytesAndRunMoreThan201Operations) {
    EXPECT_EQ(RunAsm("20000*NOP 1"), "");
    EXPECT_EQ(RunAsm("1 300*DUP 300*DROP"), "");
}

TEST(Limits, NestingIsBoundedByTheScriptAlone) {
    EXPECT_EQ(RunAsm("0 IF 20000*IF 20000*ENDIF ENDIF 1"), "");
    EXPECT_EQ(RunAsm("900*1 900*IF 900*ENDIF 1"), "");
}

TEST(Pushes, EveryFormPushesAndNeedNotBeMinimal) {
    EXPECT_EQ(RunAsm("0x4c0107 7 EQUAL"), "");
    EXPECT_EQ(RunAsm("0x4d010007 7 EQUAL"), "");
    EXPECT_EQ(RunAsm("0x4e0100000007 7 EQUAL"), "");
    EXPECT_EQ(RunAsm("0x0107 7 EQUAL"), "");
    EXPECT_EQ(RunAsm("0x4c00 0 EQUAL"), "");
    EXPECT_EQ(RunAsm("0x4f -1 EQUAL 0x60 16 EQUAL BOOLAND"), "");
    for (const std::string cut :
         {"0x01", "0x4c", "0x4c01", "0x4d", "0x4d01", "0x4d0100", "0x4e010000", "0x4e01000000", "0x4effffffff00"})
        EXPECT_EQ(RunAsm("1 " + cut), "a push runs past the end of the script") << cut;
}

// Signatures.

class Signatures : public ::testing::Test {
  protected:
    const crypto::SecretKey key = TestKey(5);
    const std::string word = KeyWord(key);
};

TEST_F(Signatures, CheckSigTakesEveryDefinedHashTypeAndReportsIt) {
    for (const uint8_t type : {0x00, 0x01, 0x02, 0x03, 0x81, 0x82, 0x83}) {
        LeafSpend spend(Asm(word + " CHECKSIG"));
        const auto facts = spend.VerifyScriptPath({spend.Sign(key, type)});
        ASSERT_TRUE(facts) << facts.error();
        EXPECT_EQ(facts->hash_types, std::vector<uint8_t>{type});
    }
}

TEST_F(Signatures, EmptyIsFalseAndAnythingElseInvalidFailsTheScript) {
    LeafSpend spend(Asm(word + " CHECKSIG NOT"));
    const auto empty = spend.VerifyScriptPath({Bytes{}});
    ASSERT_TRUE(empty) << empty.error();
    EXPECT_TRUE(empty->hash_types.empty());
    Bytes wrong = spend.Sign(key);
    wrong[0] ^= 1;
    EXPECT_EQ(Reason(spend.VerifyScriptPath({wrong})), "a signature in the script is invalid");
    for (const size_t size : {1, 63, 66})
        EXPECT_EQ(Reason(spend.VerifyScriptPath({Bytes(size, 1)})), "a signature is neither 64 nor 65 bytes long");
    Bytes explicit_default = spend.Sign(key);
    explicit_default.push_back(0);
    EXPECT_EQ(Reason(spend.VerifyScriptPath({explicit_default})), "a 65-byte signature has the default hash type");
}

TEST_F(Signatures, SignatureForTheKeyPathOrAnotherLeafIsInvalid) {
    LeafSpend spend(Asm(word + " CHECKSIG"));
    const auto hash = SpendingTransaction(spend.tx, spend.spent).SignatureHash(0, 0);
    EXPECT_FALSE(spend.VerifyScriptPath({ToBytes(key.Sign(*hash).bytes)}));
    LeafSpend other(Asm(word + " CHECKSIG NOP"));
    other.spent = spend.spent;
    EXPECT_FALSE(spend.VerifyScriptPath({other.Sign(key)}));
    EXPECT_TRUE(spend.VerifyScriptPath({spend.Sign(key)}));
}

TEST_F(Signatures, CheckSigVerifyLeavesNothingAndFailsOnEmpty) {
    LeafSpend spend(Asm(word + " CHECKSIGVERIFY 1"));
    EXPECT_EQ(Reason(spend.VerifyScriptPath({spend.Sign(key)})), "");
    EXPECT_EQ(Reason(spend.VerifyScriptPath({Bytes{}})), "a signature that must be there is empty");
}

TEST_F(Signatures, CheckSigAddCountsTheValidOnes) {
    const auto other = TestKey(6);
    LeafSpend spend(Asm(word + " CHECKSIG " + KeyWord(other) + " CHECKSIGADD 2 NUMEQUAL"));
    const auto both = spend.VerifyScriptPath({spend.Sign(other, kSighashAll), spend.Sign(key)});
    ASSERT_TRUE(both) << both.error();
    EXPECT_EQ(both->hash_types, (std::vector<uint8_t>{kSighashDefault, kSighashAll}));
    EXPECT_EQ(Reason(spend.VerifyScriptPath({Bytes{}, spend.Sign(key)})), "the script ends with false");
    EXPECT_EQ(Reason(spend.VerifyScriptPath({spend.Sign(key), spend.Sign(other)})),
              "a signature in the script is invalid");
}

TEST_F(Signatures, CheckSigAddTakesNumbersOf4BytesAndMayMake5) {
    LeafSpend four(Asm("0x04ffffff7f " + word + " CHECKSIGADD 0x050000008000 EQUAL"));
    EXPECT_EQ(Reason(four.VerifyScriptPath({four.Sign(key)})), "");
    LeafSpend five(Asm("0x050000008000 " + word + " CHECKSIGADD DROP 1"));
    EXPECT_EQ(Reason(five.VerifyScriptPath({five.Sign(key)})), "a number has more than 4 bytes");
    LeafSpend negative(Asm("-1 " + word + " CHECKSIGADD 0 EQUAL"));
    EXPECT_EQ(Reason(negative.VerifyScriptPath({negative.Sign(key)})), "");
    LeafSpend not_minimal(Asm("0x020000 " + word + " CHECKSIGADD 0 EQUAL"));
    EXPECT_EQ(Reason(not_minimal.VerifyScriptPath({Bytes{}})), "");
}

TEST_F(Signatures, OperationsNeedTheirItems) {
    const std::string reason = "an operation has too few items on the stack";
    for (const std::string text :
         {"CHECKSIG", "1 CHECKSIG", "CHECKSIGVERIFY", "1 CHECKSIGVERIFY", "CHECKSIGADD", "0 0 CHECKSIGADD"})
        EXPECT_EQ(RunAsm(text), reason) << text;
}

TEST_F(Signatures, EmptyPublicKeyFailsEvenWithAnEmptySignature) {
    EXPECT_EQ(RunAsm("0 0 CHECKSIG NOT"), "a public key is empty");
    EXPECT_EQ(RunAsm("1 0 CHECKSIG"), "a public key is empty");
    EXPECT_EQ(RunAsm("0 0 0 CHECKSIGADD"), "a public key is empty");
}

TEST_F(Signatures, PublicKeysOfUnknownKindAcceptAnySignatureButAreNotRelayed) {
    ScriptFlags relay;
    relay.discourage_upgradable = true;
    for (const size_t size : {1, 31, 33, 65, 520}) {
        const Script script = Asm(Zeros(size) + " CHECKSIG");
        EXPECT_EQ(RunLeaf(script, {Bytes(3, 7)}), "") << size;
        EXPECT_EQ(RunLeaf(script, {Bytes{}}), "the script ends with false") << size;
        EXPECT_EQ(RunLeaf(script, {Bytes(3, 7)}, relay), "an unknown kind of public key is not relayed");
    }
    EXPECT_TRUE(LeafSpend(Asm(Zeros(33) + " CHECKSIG")).VerifyScriptPath({kTrue})->hash_types.empty());
}

TEST_F(Signatures, KeyOffTheCurveIsInvalidOnceItIsUsed) {
    const std::string off_curve = "<" + std::string(64, 'f') + ">";
    EXPECT_EQ(RunAsm(off_curve + " CHECKSIG NOT", {Bytes{}}), "");
    EXPECT_EQ(RunAsm(off_curve + " CHECKSIG", {Bytes(64, 1)}), "a signature in the script is invalid");
}

TEST_F(Signatures, MultisigIsDisabledOnlyWhereItRuns) {
    EXPECT_EQ(RunAsm("0 0 0 CHECKMULTISIG"), "check-multisig is disabled in tapscript");
    EXPECT_EQ(RunAsm("0 0 0 CHECKMULTISIGVERIFY 1"), "check-multisig is disabled in tapscript");
    EXPECT_EQ(RunAsm("0 IF CHECKMULTISIG CHECKMULTISIGVERIFY ENDIF 1"), "");
}

// The budget is 50 + the witness's serialized size; a witness of these shapes is the stack + script + control block.
TEST_F(Signatures, BudgetPaysForEachSignatureThatIsNotEmpty) {
    const std::string reason = "the signatures cost more than the witness's size allows";
    // Each DUP'd check costs 50 of the budget and 3 bytes of script (a one-byte key of unknown kind).
    const auto run = [](size_t checks, size_t filler) {
        return RunAsm(std::to_string(filler) + "*NOP " + std::to_string(checks) + "*0x760111ac69 DROP 1", {kTrue});
    };
    // Size: 1 count + 2 item + (1 + 5 * checks + filler + 2) script + 34 control; 0x760111ac69 has 5 bytes.
    const auto budget = [](size_t checks, size_t filler) { return 50 + 1 + 2 + (1 + 5 * checks + filler + 2) + 34; };
    ASSERT_EQ(budget(2, 0), 100u);
    EXPECT_EQ(run(2, 0), "");
    ASSERT_EQ(budget(3, 44), 149u);
    EXPECT_EQ(run(3, 44), reason);
    ASSERT_EQ(budget(3, 45), 150u);
    EXPECT_EQ(run(3, 45), "");
}

TEST_F(Signatures, EmptySignaturesAreFreeOfBudget) {
    EXPECT_EQ(RunAsm("2DUP 40*0x6eac9169 2DROP 2DROP 1", {Bytes{}, Bytes{7}}), "");
    EXPECT_EQ(RunAsm("2DUP 40*0x6eac69 2DROP 2DROP 1", {kTrue, Bytes{7}}),
              "the signatures cost more than the witness's size allows");
}

TEST_F(Signatures, AnnexAddsToTheBudget) {
    const Script script = Asm("3*0x760111ac69 DROP 1");
    LeafSpend spend(script);
    EXPECT_FALSE(spend.VerifyScriptPath({kTrue}));  // 105 of 150
    spend.annex = Bytes(43, 0x50);                  // 44 more
    EXPECT_FALSE(spend.VerifyScriptPath({kTrue}));
    spend.annex = Bytes(44, 0x50);
    EXPECT_TRUE(spend.VerifyScriptPath({kTrue}));
}

TEST_F(Signatures, CoverTheAnnex) {
    LeafSpend spend(Asm(word + " CHECKSIG"));
    spend.annex = Bytes{0x50, 9};
    const Bytes signature = spend.Sign(key);
    EXPECT_TRUE(spend.VerifyScriptPath({signature}));
    spend.annex = Bytes{0x50, 8};
    EXPECT_FALSE(spend.VerifyScriptPath({signature}));
}

TEST_F(Signatures, CoverThePositionOfTheLastCodeSeparatorExecuted) {
    struct Case {
        std::string before;
        uint32_t position;
    };
    for (const Case& c :
         {Case{"", 0xffffffff}, Case{"CODESEPARATOR", 0}, Case{"NOP CODESEPARATOR", 1},
          Case{"<aabbcc> DROP CODESEPARATOR", 2}, Case{"CODESEPARATOR NOP CODESEPARATOR", 2},
          Case{"0 IF CODESEPARATOR ENDIF", 0xffffffff}, Case{"CODESEPARATOR 0 IF CODESEPARATOR ENDIF", 0},
          Case{"0 IF NOP NOP ELSE CODESEPARATOR ENDIF", 5}}) {
        LeafSpend spend(Asm(c.before + " " + word + " CHECKSIG"));
        EXPECT_EQ(Reason(spend.VerifyScriptPath({spend.Sign(key, kSighashDefault, c.position)})), "") << c.before;
        EXPECT_FALSE(spend.VerifyScriptPath({spend.Sign(key, kSighashDefault, c.position + 1)})) << c.before;
    }
}

TEST_F(Signatures, CodeSeparatorAfterTheCheckDoesNotCount) {
    LeafSpend spend(Asm(word + " CHECKSIG CODESEPARATOR"));
    EXPECT_TRUE(spend.VerifyScriptPath({spend.Sign(key)}));
}

// Locks.

struct LockCase {
    std::string number;
    uint32_t lock_time;
    uint32_t sequence;
    std::string reason;
};

TEST(LockTime, ComparesNumbersOfOneKindAndNeedsAnInputThatIsNotFinal) {
    const std::string unmet = "the lock time is not reached";
    for (const LockCase& c :
         {LockCase{"100", 100, 0, ""}, LockCase{"100", 99, 0, unmet}, LockCase{"100", 101, 0, ""},
          LockCase{"0", 0, 0, ""}, LockCase{"100", 100, 0xffffffff, unmet}, LockCase{"100", 100, 0xfffffffe, ""},
          LockCase{"499999999", 499999999, 0, ""}, LockCase{"499999999", 500000000, 0, unmet},
          LockCase{"500000000", 499999999, 0, unmet}, LockCase{"500000000", 500000000, 0, ""},
          LockCase{"4294967295", 4294967295, 0, ""}, LockCase{"4294967296", 4294967295, 0, unmet},
          LockCase{"0x05ffffffff7f", 4294967295, 0, unmet}, LockCase{"-1", 100, 0, "a lock is negative"},
          LockCase{"0x06000000000000", 100, 0, "a lock is a number of more than 5 bytes"},
          LockCase{"0x050000000000", 0, 0, ""}}) {
        LeafSpend spend(Asm(c.number + " CLTV DROP 1"));
        spend.tx.lock_time = c.lock_time;
        spend.tx.inputs[0].sequence = c.sequence;
        EXPECT_EQ(Reason(spend.VerifyScriptPath({})), c.reason) << c.number << " " << c.lock_time << " " << c.sequence;
    }
    EXPECT_EQ(RunAsm("CLTV 1"), "an operation has too few items on the stack");
}

TEST(Sequence, ComparesNumbersOfOneKindAndNeedsVersion2) {
    const std::string unmet = "the relative lock is not reached";
    for (const LockCase& c :
         {LockCase{"10", 0, 10, ""}, LockCase{"10", 0, 9, unmet}, LockCase{"10", 0, 11, ""}, LockCase{"0", 0, 0, ""},
          LockCase{"65535", 0, 65535, ""}, LockCase{"10", 0, 0x80000000 | 10, unmet},
          LockCase{"4194314", 0, 4194314, ""}, LockCase{"4194314", 0, 4194313, unmet},
          LockCase{"4194314", 0, 65535, unmet}, LockCase{"10", 0, 4194314, unmet},
          LockCase{"65546", 0, 10, ""},               // bits outside the mask do not count
          LockCase{"2147483648", 0, 0xffffffff, ""},  // the disable bit turns the check off
          LockCase{"6442450944", 0, 0xffffffff, ""}, LockCase{"4294967296", 0, 0, ""},
          LockCase{"-1", 0, 10, "a lock is negative"},
          LockCase{"0x06000000000000", 0, 10, "a lock is a number of more than 5 bytes"}}) {
        LeafSpend spend(Asm(c.number + " CSV DROP 1"));
        spend.tx.inputs[0].sequence = c.sequence;
        EXPECT_EQ(Reason(spend.VerifyScriptPath({})), c.reason) << c.number << " " << c.sequence;
    }
    for (const auto& [version, valid] :
         std::vector<std::pair<int32_t, bool>>{{0, false}, {1, false}, {2, true}, {3, true}, {-1, true}}) {
        LeafSpend spend(Asm("10 CSV DROP 1"));
        spend.tx.inputs[0].sequence = 10;
        spend.tx.version = version;
        EXPECT_EQ(spend.VerifyScriptPath({}).has_value(), valid) << version;
    }
    EXPECT_EQ(RunAsm("CSV 1"), "an operation has too few items on the stack");
}

TEST(Locks, AreNoOperationsWhenSwitchedOff) {
    ScriptFlags off;
    off.check_lock_time_verify = false;
    EXPECT_EQ(RunLeaf(Asm("CLTV 1"), {}, off), "");
    EXPECT_NE(RunLeaf(Asm("CSV 1"), {}, off), "");
    off = {};
    off.check_sequence_verify = false;
    EXPECT_EQ(RunLeaf(Asm("CSV 1"), {}, off), "");
    EXPECT_NE(RunLeaf(Asm("CLTV 1"), {}, off), "");
}

}  // namespace
}  // namespace sluice::consensus
