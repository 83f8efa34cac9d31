#include "primitives/script.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

std::string NumberScript(int64_t n) { return HexEncode(ScriptBuilder().Number(n).Take()); }

TEST(ScriptBuilder, NumbersArePushedMinimally) {
    EXPECT_EQ(NumberScript(0), "00");
    EXPECT_EQ(NumberScript(1), "51");
    EXPECT_EQ(NumberScript(16), "60");
    EXPECT_EQ(NumberScript(17), "0111");
    EXPECT_EQ(NumberScript(-1), "4f");
    EXPECT_EQ(NumberScript(-2), "0182");
    EXPECT_EQ(NumberScript(127), "017f");
    EXPECT_EQ(NumberScript(128), "028000");
    EXPECT_EQ(NumberScript(-128), "028080");
    EXPECT_EQ(NumberScript(500'000'000), "040065cd1d");
    EXPECT_EQ(NumberScript(0xffffffff), "05ffffffff00");
}

TEST(ScriptBuilder, PushesUseTheShortestForm) {
    const auto head = [](size_t size, size_t bytes) {
        return HexEncode(ByteSpan(ScriptBuilder().Push(Bytes(size, 0x42)).Take()).first(bytes));
    };
    EXPECT_EQ(head(0, 1), "00");
    EXPECT_EQ(head(1, 2), "0142");
    EXPECT_EQ(head(75, 2), "4b42");
    EXPECT_EQ(head(76, 3), "4c4c42");
    EXPECT_EQ(head(255, 3), "4cff42");
    EXPECT_EQ(head(256, 4), "4d000142");
    EXPECT_EQ(head(65535, 4), "4dffff42");
    EXPECT_EQ(HexEncode(ScriptBuilder().Push(Bytes{0}).Take()), "0100");
    EXPECT_EQ(HexEncode(ScriptBuilder().Push(Bytes{16}).Take()), "60");
    EXPECT_EQ(HexEncode(ScriptBuilder().Push(Bytes{17}).Take()), "0111");
    EXPECT_EQ(HexEncode(ScriptBuilder().Push(Bytes{0x81}).Take()), "4f");
}

TEST(WitnessProgram, IsAVersionAndOnePushOf2To40Bytes) {
    const auto program = [](uint8_t version, size_t size) {
        Script script{version, static_cast<uint8_t>(size)};
        script.resize(2 + size, 7);
        return ParseWitnessProgram(script);
    };
    for (const size_t size : {2, 32, 40}) {
        EXPECT_EQ(program(kOp0, size)->version, 0);
        EXPECT_EQ(program(kOp1, size)->version, 1);
        EXPECT_EQ(program(kOp14, size)->version, 14);
        EXPECT_EQ(program(kOp16, size)->version, 16);
        EXPECT_EQ(program(kOp16, size)->program.size(), size);
    }
    EXPECT_FALSE(program(kOp1, 1));
    EXPECT_FALSE(program(kOp1, 41));
    EXPECT_FALSE(program(0x4f, 32));
    EXPECT_FALSE(program(0x61, 32));
    EXPECT_FALSE(ParseWitnessProgram({}));
    EXPECT_FALSE(ParseWitnessProgram({kOp1, 2, 7, 7, 7}));
    EXPECT_FALSE(ParseWitnessProgram({kOp1, 3, 7, 7}));
}

TEST(OutputScript, TaprootAndStakeOutputsGiveTheirKeyAndStaker) {
    const auto key = *XOnlyPubKey::FromHex(std::string(64, 'a'));
    const auto staker = *StakerId::FromHex("0102030405060708");
    const auto taproot = ParseOutputScript(TaprootScript(key));
    ASSERT_TRUE(taproot);
    EXPECT_EQ(taproot->kind, OutputKind::kTaproot);
    EXPECT_EQ(taproot->key, key);
    const auto stake = ParseOutputScript(StakeScript(key, staker));
    ASSERT_TRUE(stake);
    EXPECT_EQ(stake->kind, OutputKind::kStake);
    EXPECT_EQ(stake->key, key);
    EXPECT_EQ(stake->staker, staker);
}

TEST(OutputScript, RecordsAreOneCanonicalPushOf2To4096Bytes) {
    for (const size_t size : {2, 75, 76, 255, 256, 4096}) {
        const Bytes record(size, 0x20);
        const auto output = ParseOutputScript(RecordScript(record));
        ASSERT_TRUE(output) << size;
        EXPECT_EQ(output->kind, OutputKind::kRecord);
        EXPECT_EQ(output->record, record);
    }
    for (const size_t size : {0, 1, 4097}) EXPECT_FALSE(ParseOutputScript(RecordScript(Bytes(size, 0x20)))) << size;
    Script not_shortest{kOpReturn, kOpPushData1, 2, 7, 7};
    EXPECT_FALSE(ParseOutputScript(not_shortest));
    Script not_shortest_either{kOpReturn, kOpPushData2, 76, 0};
    not_shortest_either.resize(4 + 76, 7);
    EXPECT_FALSE(ParseOutputScript(not_shortest_either));
    Script trailing = RecordScript(Bytes(10, 7));
    trailing.push_back(0);
    EXPECT_FALSE(ParseOutputScript(trailing));
    Script cut = RecordScript(Bytes(10, 7));
    cut.pop_back();
    EXPECT_FALSE(ParseOutputScript(cut));
    for (const Script& script :
         {Script{kOpReturn}, Script{kOpReturn, kOpPushData1}, Script{kOpReturn, kOpPushData2, 0}})
        EXPECT_FALSE(ParseOutputScript(script));
}

TEST(OutputScript, EveryOtherScriptIsNoOutputOfOurChain) {
    Script v0(22, 7), v1_short(33, 7), v14_short(34, 7), v2(34, 7);
    v0[0] = kOp0, v0[1] = 20;
    v1_short[0] = kOp1, v1_short[1] = 31;
    v14_short[0] = kOp14, v14_short[1] = 32;
    v2[0] = 0x52, v2[1] = 32;
    for (const Script& script : {v0, v1_short, v14_short, v2, Script{}, Script{kOp1}})
        EXPECT_FALSE(ParseOutputScript(script));
}

}  // namespace
}  // namespace sluice
