#include "consensus/genesis_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace sluice::consensus {
namespace {

using testing::HasSubstr;

// regtest's money and stakers as a network of its own.
Genesis CustomGenesis() {
    Genesis genesis = BuiltInGenesis("regtest").value();
    genesis.params.network = "my-net2";
    genesis.params.hrp = "mynet";
    genesis.params.magic = {1, 2, 3, 4};
    genesis.stakers[1].keys.commission_permille = 30;
    return genesis;
}

std::string ErrorOf(ByteSpan file) {
    const auto genesis = DecodeGenesisFile(file);
    return genesis ? "" : genesis.error().message;
}

TEST(GenesisFile, GivesBackEveryField) {
    const Genesis genesis = CustomGenesis();
    const Bytes file = EncodeGenesisFile(genesis);
    const auto read = DecodeGenesisFile(file);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->allocations, genesis.allocations);
    EXPECT_EQ(read->stakers, genesis.stakers);
    EXPECT_EQ(read->first_nonce, genesis.first_nonce);
    EXPECT_EQ(read->params.network, "my-net2");
    EXPECT_EQ(read->params.genesis_time, genesis.params.genesis_time);
    EXPECT_EQ(read->params.slot_duration, genesis.params.slot_duration);
    EXPECT_EQ(read->params.channel_window_blocks, genesis.params.channel_window_blocks);
    EXPECT_EQ(read->Hash(), genesis.Hash());
    EXPECT_EQ(EncodeGenesisFile(*read), file);
}

TEST(GenesisFile, EncodingIsFrozen) {
    const Bytes file = EncodeGenesisFile(CustomGenesis());
    EXPECT_EQ(crypto::TaggedHash("Sluice/test", file).Hex(),
              "bfa77a1350f004e79d494771ca5f434960f23a90f91d8e15f19d87ce1a9d2fc8");
    EXPECT_EQ(ToString(ByteSpan(file).first(17)), "Sluice genesis 1\n");
    EXPECT_EQ(HexEncode(ByteSpan(file).last(32)), CustomGenesis().Hash().Hex());
}

TEST(GenesisFile, CutShortAnywhereItIsRefused) {
    const Bytes file = EncodeGenesisFile(CustomGenesis());
    for (size_t size = 0; size < file.size(); ++size) EXPECT_NE(ErrorOf(ByteSpan(file).first(size)), "") << size;
}

TEST(GenesisFile, WithAnyByteChangedItIsRefused) {
    Bytes file = EncodeGenesisFile(CustomGenesis());
    for (size_t i = 0; i < file.size(); ++i) {
        file[i] ^= 1;
        EXPECT_NE(ErrorOf(file), "") << i;
        file[i] ^= 1;
    }
    EXPECT_EQ(ErrorOf(file), "");
}

TEST(GenesisFile, AChangeThatIsAPossibleNetworkIsToldByTheHashAtItsEnd) {
    Genesis other = CustomGenesis();
    --other.allocations[3].amount.drops;
    Bytes file = EncodeGenesisFile(other);
    const BlockHash hash = CustomGenesis().Hash();
    std::copy(hash.begin(), hash.end(), file.end() - 32);
    EXPECT_THAT(ErrorOf(file), HasSubstr("do not have the hash at its end"));
}

TEST(GenesisFile, NothingMayFollowIt) {
    Bytes file = EncodeGenesisFile(CustomGenesis());
    file.push_back(0);
    EXPECT_THAT(ErrorOf(file), HasSubstr("1 bytes follow its end"));
}

TEST(GenesisFile, TheSizeIsBounded) {
    EXPECT_THAT(ErrorOf(Bytes(kMaxGenesisFileBytes + 1)), HasSubstr("over the limit of 1048576"));
    EXPECT_THAT(ErrorOf(Bytes(kMaxGenesisFileBytes)), HasSubstr("not a genesis file"));
    // The largest network fits.
    Genesis largest = CustomGenesis();
    largest.allocations[5].amount = Amount(1);
    largest.allocations.resize(kMaxGenesisOutputs - largest.stakers.size(), largest.allocations[5]);
    const Bytes file = EncodeGenesisFile(largest);
    EXPECT_LE(file.size(), kMaxGenesisFileBytes);
    EXPECT_EQ(ErrorOf(file), "");
}

TEST(GenesisFile, CountsAreBoundedBeforeAnythingIsAllocated) {
    Genesis genesis = CustomGenesis();
    genesis.allocations.clear();
    const Bytes fields = EncodeGenesisFields(genesis);
    // The count of allocations stands before that of the stakers, and is one byte here.
    genesis.stakers.clear();
    const size_t at = kGenesisFileHeader.size() + EncodeGenesisFields(genesis).size() - 2;
    const auto with_count = [&](Bytes count) {
        Bytes file = ToBytes(AsBytes(kGenesisFileHeader));
        file.insert(file.end(), fields.begin(), fields.end());
        file.erase(file.begin() + static_cast<ptrdiff_t>(at));
        file.insert(file.begin() + static_cast<ptrdiff_t>(at), count.begin(), count.end());
        return ErrorOf(file);
    };
    EXPECT_THAT(with_count({0xfd, 0xd1, 0x07}), HasSubstr("a count of 2001 is over the limit of 2000"));
    EXPECT_THAT(with_count({0xfd, 0xd0, 0x07}), HasSubstr("a count of 2000 does not fit"));
    EXPECT_THAT(with_count({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), HasSubstr("over the limit"));
    EXPECT_THAT(with_count({0xfd, 0x00, 0x00}), HasSubstr("not in its shortest form"));
}

TEST(GenesisFile, AStakersKeysMustBeARegisterRecord) {
    const Genesis genesis = CustomGenesis();
    Bytes file = EncodeGenesisFile(genesis);
    const Bytes record = EncodeRecord(genesis.stakers[0].keys);
    const Bytes exit = EncodeRecord(ExitRecord{genesis.stakers[0].id});
    const auto at = std::search(file.begin(), file.end(), record.begin(), record.end());
    ASSERT_NE(at, file.end());
    ASSERT_LT(record.size(), 253u);
    *(at - 1) = static_cast<uint8_t>(exit.size());
    const auto after = file.erase(at, at + static_cast<ptrdiff_t>(record.size()));
    file.insert(after, exit.begin(), exit.end());
    EXPECT_THAT(ErrorOf(file), HasSubstr("are not a register record"));
}

struct Refused {
    const char* reason;
    std::function<void(Genesis&)> change;
};

// What CheckGenesis allows a built-in network, but a file may not have.
const std::vector<Refused>& NotCustom() {
    static const std::vector<Refused> table{
        {"network 'main' is built in", [](Genesis& g) { g.params.network = "main"; }},
        {"network 'test' is built in", [](Genesis& g) { g.params.network = "test"; }},
        {"network 'regtest' is built in", [](Genesis& g) { g.params.network = "regtest"; }},
        {"network must not be 'custom'", [](Genesis& g) { g.params.network = "custom"; }},
        {"must begin with a letter", [](Genesis& g) { g.params.network = "2net"; }},
        {"must begin with a letter", [](Genesis& g) { g.params.network = "-net"; }},
        {"hrp 'slu' is that of 'main'", [](Genesis& g) { g.params.hrp = "slu"; }},
        {"hrp 'tslu' is that of 'test'", [](Genesis& g) { g.params.hrp = "tslu"; }},
        {"hrp 'rslu' is that of 'regtest'", [](Genesis& g) { g.params.hrp = "rslu"; }},
        {"magic d9511ce5 is that of 'main'",
         [](Genesis& g) {
             g.params.magic = {0xd9, 0x51, 0x1c, 0xe5};
         }},
        {"magic b7511ce7 is that of 'test'",
         [](Genesis& g) {
             g.params.magic = {0xb7, 0x51, 0x1c, 0xe7};
         }},
        {"magic f3511ce9 is that of 'regtest'",
         [](Genesis& g) {
             g.params.magic = {0xf3, 0x51, 0x1c, 0xe9};
         }},
        {"p2p_port is 0", [](Genesis& g) { g.params.p2p_port = 0; }},
        {"rpc_port is 0", [](Genesis& g) { g.params.rpc_port = 0; }},
        {"p2p_port and rpc_port are both 19443", [](Genesis& g) { g.params.p2p_port = g.params.rpc_port; }},
        {"is 101 permille, the limit is 100", [](Genesis& g) { g.stakers[0].keys.commission_permille = 101; }},
        {"over the genesis supply", [](Genesis& g) { ++g.allocations[5].amount.drops; }},
    };
    return table;
}

TEST(CheckCustomGenesis, TheBondAnswersForAllThatAStakerSignsAfterItsExit) {
    Genesis genesis = CustomGenesis();
    genesis.params.unbonding_slots = 3 * genesis.params.epoch_slots;
    EXPECT_TRUE(CheckCustomGenesis(genesis));
    --genesis.params.unbonding_slots;
    const Status status = CheckCustomGenesis(genesis);
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().message.find("unbonding_slots"), std::string::npos);
}

TEST(CheckCustomGenesis, KeepsAFileApartFromEveryOtherNetworkWithOneReasonEach) {
    ASSERT_TRUE(CheckCustomGenesis(CustomGenesis()));
    for (const Refused& refused : NotCustom()) {
        Genesis genesis = CustomGenesis();
        refused.change(genesis);
        const Status status = CheckCustomGenesis(genesis);
        ASSERT_FALSE(status) << refused.reason;
        EXPECT_THAT(status.error().message, HasSubstr(refused.reason));
        EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
    }
}

TEST(GenesisFile, AFileOfANetworkThatIsRefusedIsRefusedWithThatReason) {
    for (const Refused& refused : NotCustom()) {
        Genesis genesis = CustomGenesis();
        refused.change(genesis);
        EXPECT_THAT(ErrorOf(EncodeGenesisFile(genesis)), HasSubstr(refused.reason));
    }
}

TEST(BuiltInNetworks, DifferInNamePrefixMagicAndPortsAndMainAndTestHaveTheProtocolsParameters) {
    for (const std::string_view a : kBuiltInNetworks) {
        const Params one = BuiltInParams(a);
        EXPECT_EQ(one.network, a);
        for (const std::string_view b : kBuiltInNetworks) {
            if (a == b) continue;
            const Params other = BuiltInParams(b);
            EXPECT_NE(one.hrp, other.hrp);
            EXPECT_NE(one.magic, other.magic);
            EXPECT_NE(one.p2p_port, other.p2p_port);
            EXPECT_NE(one.rpc_port, other.rpc_port);
        }
        if (a == "regtest") continue;
        EXPECT_EQ(one.k, 432u);
        EXPECT_EQ(one.epoch_slots, 43'200u);
        EXPECT_EQ(one.nonce_cutoff_slots, 17'280u);
        EXPECT_EQ(one.active_slots_numerator, 1u);
        EXPECT_EQ(one.active_slots_denominator, 10u);
        EXPECT_EQ(one.slot_duration, milliseconds(1000));
        EXPECT_EQ(one.unbonding_slots, 14u * 86'400u);
        EXPECT_EQ(one.ExpectedEpochBlocks(), 4'320u);
        EXPECT_EQ(one.bond, Amount(1'000 * kDropsPerSlu));
    }
}

}  // namespace
}  // namespace sluice::consensus
