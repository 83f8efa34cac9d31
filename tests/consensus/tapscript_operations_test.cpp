#include <gtest/gtest.h>

#include "consensus/script_machine.h"
#include "consensus/script_number.h"
#include "tapscript.h"

// The operations of tapscript as tables: a script that must succeed, or one that must fail for a reason.

namespace sluice::consensus {
namespace {

using namespace testing;

constexpr const char* kFew = "an operation has too few items on the stack";
constexpr const char* kLong = "a number has more than 4 bytes";
constexpr const char* kUnknown = "an opcode is unknown";

struct Case {
    std::string script;
    std::string reason;  // empty: succeeds
};

void Check(const std::vector<Case>& cases) {
    for (const Case& c : cases) EXPECT_EQ(RunAsm(c.script), c.reason) << c.script;
}

// Succeeds if `items` on the stack become exactly `expected`.
std::string Becomes(const std::string& items, const std::string& operation, const std::string& expected) {
    std::vector<std::string> words;
    std::istringstream stream(expected);
    for (std::string word; stream >> word;) words.push_back(word);
    std::string script = items + " " + operation + " DEPTH " + std::to_string(words.size()) + " EQUALVERIFY";
    for (auto word = words.rbegin(); word != words.rend(); ++word) script += " " + *word + " EQUALVERIFY";
    return script + " 1";
}

TEST(Operations, MoveItemsAsTheirNamesSay) {
    struct Move {
        std::string before, operation, after;
    };
    for (const Move& m : {Move{"1 2", "DROP", "1"},
                          Move{"1 2 3", "2DROP", "1"},
                          Move{"1", "DUP", "1 1"},
                          Move{"1 2", "2DUP", "1 2 1 2"},
                          Move{"1 2 3", "3DUP", "1 2 3 1 2 3"},
                          Move{"1 2 3 4", "2OVER", "1 2 3 4 1 2"},
                          Move{"1 2 3 4 5 6", "2ROT", "3 4 5 6 1 2"},
                          Move{"7 1 2 3 4 5 6", "2ROT", "7 3 4 5 6 1 2"},
                          Move{"1 2 3 4", "2SWAP", "3 4 1 2"},
                          Move{"0", "IFDUP", "0"},
                          Move{"5", "IFDUP", "5 5"},
                          Move{"0x0180", "IFDUP", "0x0180"},
                          Move{"", "DEPTH", "0"},
                          Move{"7 7", "DEPTH", "7 7 2"},
                          Move{"1 2", "NIP", "2"},
                          Move{"1 2", "OVER", "1 2 1"},
                          Move{"1 2 3", "ROT", "2 3 1"},
                          Move{"1 2", "SWAP", "2 1"},
                          Move{"1 2", "TUCK", "2 1 2"},
                          Move{"9 1 2", "TUCK", "9 2 1 2"},
                          Move{"1 2 3", "0 PICK", "1 2 3 3"},
                          Move{"1 2 3", "2 PICK", "1 2 3 1"},
                          Move{"1 2 3", "0 ROLL", "1 2 3"},
                          Move{"1 2 3", "1 ROLL", "1 3 2"},
                          Move{"1 2 3", "2 ROLL", "2 3 1"},
                          Move{"1 2", "TOALTSTACK TOALTSTACK FROMALTSTACK FROMALTSTACK", "1 2"},
                          Move{"1", "TOALTSTACK", ""},
                          Move{"<aabb>", "SIZE", "<aabb> 2"},
                          Move{"0", "SIZE", "0 0"},
                          Move{Zeros(520), "SIZE NIP", "520"}})
        EXPECT_EQ(RunAsm(Becomes(m.before, m.operation, m.after)), "") << m.before << " " << m.operation;
}

TEST(Operations, NeedTheirItems) {
    for (const auto& [operation, needed] : std::vector<std::pair<std::string, size_t>>{{"DROP", 1},
                                                                                       {"2DROP", 2},
                                                                                       {"DUP", 1},
                                                                                       {"2DUP", 2},
                                                                                       {"3DUP", 3},
                                                                                       {"2OVER", 4},
                                                                                       {"2ROT", 6},
                                                                                       {"2SWAP", 4},
                                                                                       {"IFDUP", 1},
                                                                                       {"NIP", 2},
                                                                                       {"OVER", 2},
                                                                                       {"PICK", 2},
                                                                                       {"ROLL", 2},
                                                                                       {"ROT", 3},
                                                                                       {"SWAP", 2},
                                                                                       {"TUCK", 2},
                                                                                       {"TOALTSTACK", 1},
                                                                                       {"SIZE", 1},
                                                                                       {"EQUAL", 2},
                                                                                       {"1ADD", 1},
                                                                                       {"1SUB", 1},
                                                                                       {"NEGATE", 1},
                                                                                       {"ABS", 1},
                                                                                       {"NOT", 1},
                                                                                       {"0NOTEQUAL", 1},
                                                                                       {"ADD", 2},
                                                                                       {"SUB", 2},
                                                                                       {"BOOLAND", 2},
                                                                                       {"BOOLOR", 2},
                                                                                       {"NUMEQUAL", 2},
                                                                                       {"NUMNOTEQUAL", 2},
                                                                                       {"LESSTHAN", 2},
                                                                                       {"GREATERTHAN", 2},
                                                                                       {"LESSTHANOREQUAL", 2},
                                                                                       {"GREATERTHANOREQUAL", 2},
                                                                                       {"MIN", 2},
                                                                                       {"MAX", 2},
                                                                                       {"WITHIN", 3},
                                                                                       {"RIPEMD160", 1},
                                                                                       {"SHA1", 1},
                                                                                       {"SHA256", 1},
                                                                                       {"HASH160", 1},
                                                                                       {"HASH256", 1},
                                                                                       {"EQUALVERIFY", 2},
                                                                                       {"NUMEQUALVERIFY", 2},
                                                                                       {"VERIFY", 1}}) {
        // The values are all 1, so every operation accepts them (PICK and ROLL need the item one below).
        const bool reaches_deeper = operation == "PICK" || operation == "ROLL";
        const size_t enough = reaches_deeper ? 3 : needed;
        EXPECT_EQ(RunAsm(std::to_string(needed - 1) + "*1 " + operation), kFew) << operation;
        EXPECT_NE(RunAsm(std::to_string(enough) + "*1 " + operation), kFew) << operation;
    }
    Check({{"FROMALTSTACK 1", "the alt stack is empty"}});
}

TEST(Operations, PickAndRollStayInsideTheStack) {
    Check({{"1 1 PICK", kFew},
           {"1 0 PICK DROP", ""},
           {"1 -1 PICK", kFew},
           {"1 -1 ROLL", kFew},
           {"1 1 ROLL", kFew},
           {"1 0 ROLL", ""},
           {"5 6 2 PICK", kFew},
           {"1 6 1 PICK NIP NIP", ""},
           {"1 0x050000000000 PICK", kLong},
           {"1 0x04ffffff7f ROLL", kFew},
           {"1 0x04ffffffff PICK", kFew},
           {"1 0x0180 PICK DROP", ""}});
}

TEST(Operations, ConditionalsChooseTheirBranch) {
    const std::string open = "a conditional has no end";
    Check({{"1 IF 1 ELSE 0 ENDIF", ""},
           {"0 IF 0 ELSE 1 ENDIF", ""},
           {"0 NOTIF 1 ELSE 0 ENDIF", ""},
           {"1 NOTIF 0 ELSE 1 ENDIF", ""},
           {"1 IF 1 ELSE 0 ELSE NOP ENDIF", ""},
           {"0 IF 0 ELSE 1 ELSE 0 ENDIF", ""},
           {"1 1 IF ELSE ELSE ENDIF", ""},
           {"1 IF 0 IF 0 ELSE 1 ENDIF ENDIF", ""},
           {"1 0 IF 1 IF RETURN ELSE RETURN ENDIF ELSE ENDIF", ""},
           {"0 IF RETURN ENDIF 1", ""},
           {"1 0 IF NOTIF ELSE ENDIF ELSE ENDIF", ""},
           {"1 IF 1", open},
           {"1 1 IF ELSE", open},
           {"IF 1 ENDIF", "a conditional has nothing to judge"},
           {"NOTIF 1 ENDIF", "a conditional has nothing to judge"},
           {"1 ELSE", "an else has no conditional"},
           {"1 ENDIF", "an end-if has no conditional"},
           {"1 1 IF ENDIF ENDIF", "an end-if has no conditional"},
           {"1 1 IF ENDIF ELSE", "an else has no conditional"},
           {"0 IF 0x50 ENDIF 1", ""}});
}

TEST(Operations, ConditionalArgumentsAreEmptyOr1) {
    const std::string reason = "a conditional's argument is neither empty nor 1";
    for (const std::string op : {"IF", "NOTIF"})
        for (const std::string argument : {"2", "-1", "0x0100", "0x0180", "0x020100", "0x020000", "16"})
            EXPECT_EQ(RunAsm(argument + " " + op + " ENDIF 1"), reason) << argument << op;
    Check({{"0 IF 2 IF ENDIF ENDIF 1", ""}, {"0x0101 IF 1 ENDIF", ""}});
}

TEST(Operations, VerIfFailsEverywhereAndUnknownOpcodesWhereTheyRun) {
    Check({{"1 VERIF", kUnknown},
           {"0 IF VERIF ENDIF 1", kUnknown},
           {"0 IF VERNOTIF ENDIF 1", kUnknown},
           {"1 0xff", kUnknown},
           {"0 IF 0xff ENDIF 1", ""},
           {"0 IF RETURN ENDIF 1", ""},
           {"1 RETURN", "the script ran a return"}});
}

TEST(Operations, NoOperationsDoNothingButAreNotRelayed) {
    Check({{"1 NOP", ""}, {"1 NOP1 NOP4 0xb4b5b6b7b8 NOP10", ""}});
    ScriptFlags relay;
    relay.discourage_upgradable = true;
    EXPECT_EQ(RunLeaf(Asm("1 NOP"), {}, relay), "");
    EXPECT_EQ(RunLeaf(Asm("1 NOP1"), {}, relay), "an upgradable no-operation is not relayed");
    EXPECT_EQ(RunLeaf(Asm("1 NOP10"), {}, relay), "an upgradable no-operation is not relayed");
}

TEST(Operations, VerifyNeedsATrueItem) {
    const std::string reason = "a condition that must be true is false";
    Check({{"1 1 VERIFY", ""},
           {"1 0 VERIFY", reason},
           {"1 0x0180 VERIFY", reason},
           {"1 0x028000 VERIFY", ""},
           {"1 0x020080 VERIFY", reason}});
}

TEST(Operations, EqualityIsOfBytesNotOfNumbers) {
    const std::string reason = "two items that must be equal differ";
    Check({{"5 5 EQUAL", ""},
           {"0 0x0100 EQUAL NOT", ""},
           {"0 0x0100 NUMEQUAL", ""},
           {"1 5 5 EQUALVERIFY", ""},
           {"1 5 6 EQUALVERIFY", reason},
           {"1 0 0x0180 EQUALVERIFY", reason},
           {"1 0 0x0180 NUMEQUALVERIFY", ""},
           {"1 1 2 NUMEQUALVERIFY", "a condition that must be true is false"}});
}

TEST(Operations, ArithmeticGivesTheseResults) {
    struct Sum {
        std::string operands, operation, result;
    };
    for (const Sum& s : {Sum{"5", "1ADD", "6"},
                         Sum{"-1", "1ADD", "0"},
                         Sum{"2147483647", "1ADD", "2147483648"},
                         Sum{"0", "1SUB", "-1"},
                         Sum{"-2147483647", "1SUB", "-2147483648"},
                         Sum{"5", "NEGATE", "-5"},
                         Sum{"0", "NEGATE", "0"},
                         Sum{"0x0180", "NEGATE", "0"},
                         Sum{"-7", "ABS", "7"},
                         Sum{"7", "ABS", "7"},
                         Sum{"0", "NOT", "1"},
                         Sum{"0x0180", "NOT", "1"},
                         Sum{"1", "NOT", "0"},
                         Sum{"2", "NOT", "0"},
                         Sum{"0", "0NOTEQUAL", "0"},
                         Sum{"-3", "0NOTEQUAL", "1"},
                         Sum{"2 3", "ADD", "5"},
                         Sum{"2147483647 2147483647", "ADD", "4294967294"},
                         Sum{"-2147483647 -2147483647", "ADD", "-4294967294"},
                         Sum{"2 3", "SUB", "-1"},
                         Sum{"-2147483647 2147483647", "SUB", "-4294967294"},
                         Sum{"2 3", "BOOLAND", "1"},
                         Sum{"0 3", "BOOLAND", "0"},
                         Sum{"3 0x0180", "BOOLAND", "0"},
                         Sum{"0 0", "BOOLOR", "0"},
                         Sum{"0 -1", "BOOLOR", "1"},
                         Sum{"3 3", "NUMEQUAL", "1"},
                         Sum{"3 4", "NUMEQUAL", "0"},
                         Sum{"3 4", "NUMNOTEQUAL", "1"},
                         Sum{"3 3", "NUMNOTEQUAL", "0"},
                         Sum{"2 3", "LESSTHAN", "1"},
                         Sum{"3 3", "LESSTHAN", "0"},
                         Sum{"-1 0", "LESSTHAN", "1"},
                         Sum{"3 2", "GREATERTHAN", "1"},
                         Sum{"3 3", "GREATERTHAN", "0"},
                         Sum{"3 3", "LESSTHANOREQUAL", "1"},
                         Sum{"4 3", "LESSTHANOREQUAL", "0"},
                         Sum{"3 3", "GREATERTHANOREQUAL", "1"},
                         Sum{"3 4", "GREATERTHANOREQUAL", "0"},
                         Sum{"2 3", "MIN", "2"},
                         Sum{"-2 3", "MIN", "-2"},
                         Sum{"2 3", "MAX", "3"},
                         Sum{"-2 -3", "MAX", "-2"},
                         Sum{"0x020500 5", "MIN", "5"},
                         Sum{"5 0 10", "WITHIN", "1"},
                         Sum{"0 0 10", "WITHIN", "1"},
                         Sum{"10 0 10", "WITHIN", "0"},
                         Sum{"-1 0 10", "WITHIN", "0"}})
        EXPECT_EQ(RunAsm(Becomes(s.operands, s.operation, s.result)), "") << s.operands << " " << s.operation;
}

TEST(Operations, ArithmeticTakes4BytesAndNotMore) {
    for (const std::string op : {"1ADD", "1SUB", "NEGATE", "ABS", "NOT", "0NOTEQUAL"}) {
        EXPECT_EQ(RunAsm("0x04ffffff7f " + op + " DROP 1"), "") << op;
        EXPECT_EQ(RunAsm("0x050000000000 " + op + " DROP 1"), kLong) << op;
    }
    for (const std::string op : {"ADD", "SUB", "BOOLAND", "BOOLOR", "NUMEQUAL", "NUMNOTEQUAL", "LESSTHAN",
                                 "GREATERTHAN", "LESSTHANOREQUAL", "GREATERTHANOREQUAL", "MIN", "MAX"}) {
        EXPECT_EQ(RunAsm("1 0x04ffffffff " + op + " DROP 1"), "") << op;
        EXPECT_EQ(RunAsm("1 0x050000000000 " + op + " DROP 1"), kLong) << op;
        EXPECT_EQ(RunAsm("0x050000000000 1 " + op + " DROP 1"), kLong) << op;
    }
    Check({{"0x050000000000 1 1 WITHIN DROP 1", kLong},
           {"1 0x050000000000 1 WITHIN DROP 1", kLong},
           {"1 1 0x050000000000 WITHIN DROP 1", kLong},
           {"2147483647 1ADD 1SUB DROP 1", kLong},
           {"1 0x0400000000 ADD", ""}});
}

TEST(Operations, HashesAreThoseOfTheStandards) {
    struct Digest {
        std::string operation, of_empty;
    };
    for (const Digest& d : {Digest{"RIPEMD160", "9c1185a5c5e9fc54612808977ee8f548b2258d31"},
                            Digest{"SHA1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
                            Digest{"SHA256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                            Digest{"HASH160", "b472a266d0bd89c13706a4132ccfb16f7c3b9fcb"},
                            Digest{"HASH256", "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456"}})
        EXPECT_EQ(RunAsm("0 " + d.operation + " <" + d.of_empty + "> EQUAL"), "") << d.operation;
}

TEST(ScriptNumber, RoundTripsMinimallyAndReadsLongForms) {
    for (const int64_t n :
         {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{127}, int64_t{128}, int64_t{-128}, int64_t{255}, int64_t{256},
          int64_t{0x7fffffff}, int64_t{-0x7fffffff}, int64_t{0x7fffffffff}, int64_t{-0x7fffffffff}})
        EXPECT_EQ(DecodeScriptNumber(EncodeScriptNumber(n), kLockNumberBytes), n);
    EXPECT_EQ(EncodeScriptNumber(128), (Bytes{0x80, 0x00}));
    EXPECT_EQ(EncodeScriptNumber(-128), (Bytes{0x80, 0x80}));
    EXPECT_EQ(EncodeScriptNumber(-127), Bytes{0xff});
    EXPECT_EQ(DecodeScriptNumber(Bytes{0x01, 0x00, 0x00, 0x80}), -1);
    EXPECT_EQ(DecodeScriptNumber(Bytes{0x00, 0x80}), 0);
    EXPECT_EQ(DecodeScriptNumber(Bytes{0xff, 0xff, 0xff, 0xff}), -0x7fffffff);
    EXPECT_FALSE(DecodeScriptNumber(Bytes(5, 0)));
    EXPECT_FALSE(DecodeScriptNumber(Bytes(6, 0), kLockNumberBytes));
}

// The condition stack against the plain list of booleans that it stands for.
TEST(ConditionStack, AgreesWithAListOfBooleans) {
    uint64_t seed = 1;
    for (int round = 0; round < 200; ++round) {
        ConditionStack conditions;
        std::vector<bool> model;
        for (int step = 0; step < 100; ++step) {
            seed = seed * 6364136223846793005 + 1442695040888963407;
            const auto choice = seed >> 61;
            if (choice < 4) {
                conditions.Push(choice != 0);
                model.push_back(choice != 0);
            } else if (!model.empty() && choice < 6) {
                conditions.Toggle();
                model.back() = !model.back();
            } else if (!model.empty()) {
                conditions.Pop();
                model.pop_back();
            }
            ASSERT_EQ(conditions.Empty(), model.empty());
            ASSERT_EQ(conditions.AllTrue(), std::find(model.begin(), model.end(), false) == model.end());
        }
    }
}

}  // namespace
}  // namespace sluice::consensus
