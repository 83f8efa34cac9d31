#include "apps/sluice_util/genesis_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "consensus/genesis_file.h"
#include "primitives/address.h"

// What network makers write, turned into a genesis file: each mistake has one reason that names its field.

namespace sluice::apps {
namespace {

using testing::HasSubstr;

const StakerId kStaker0 = consensus::RegtestOperator(0).staker;

consensus::Genesis CustomGenesis() {
    consensus::Genesis genesis = consensus::BuiltInGenesis("regtest").value();
    genesis.params.network = "mynet";
    genesis.params.hrp = "my";
    genesis.params.magic = {1, 2, 3, 4};
    return genesis;
}

OrderedJson Good() { return GenesisToJson(CustomGenesis()); }

Result<consensus::Genesis> Load(const OrderedJson& json) {
    ASSIGN_OR_RETURN(const OrderedJson parsed, ParseStrictJson(json.dump()));
    ASSIGN_OR_RETURN(consensus::Genesis genesis, GenesisFromJson(parsed));
    RETURN_IF_ERROR(consensus::CheckCustomGenesis(genesis));
    return genesis;
}

std::string ErrorOf(const OrderedJson& json) {
    const auto genesis = Load(json);
    return genesis ? "" : genesis.error().message;
}

TEST(GenesisJson, MakesTheSameNetworkAgain) {
    consensus::Genesis genesis = CustomGenesis();
    genesis.params.slot_duration = milliseconds(150);
    genesis.params.record_fee_per_byte = Amount(11);
    genesis.stakers[2].keys.commission_permille = 100;
    const auto again = Load(GenesisToJson(genesis));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(consensus::EncodeGenesisFile(*again), consensus::EncodeGenesisFile(genesis));
}

TEST(GenesisJson, AcceptsScriptsPositionsDerivedIdsAndANonceFromAText) {
    OrderedJson json = Good();
    const auto plain = DecodeAddress(json["allocations"][1]["to"].get<std::string>(), "my").value();
    json["allocations"][1]["to"] = HexEncode(plain);
    json["allocations"][2]["staker"] = 1;
    json["allocations"][3]["staker"] = kStaker0.Hex();
    json["stakers"][2].erase("id");
    json.erase("first_nonce");
    json["nonce_text"] = "a headline";
    const auto genesis = Load(json);
    ASSERT_TRUE(genesis) << genesis.error().message;
    const auto key = ParseOutputScript(plain)->key;
    EXPECT_EQ(genesis->allocations[1].script, plain);
    EXPECT_EQ(genesis->allocations[2].script, StakeScript(key, genesis->stakers[1].id));
    EXPECT_EQ(genesis->allocations[3].script, StakeScript(key, kStaker0));
    EXPECT_EQ(genesis->stakers[2].id, GenesisStakerId(genesis->stakers[2].keys.vrf_key));
    EXPECT_EQ(genesis->first_nonce, crypto::TaggedHash("Sluice/genesis nonce", AsBytes("a headline")));
    json["nonce_text"] = "another headline";
    EXPECT_NE(Load(json)->first_nonce, genesis->first_nonce);
}

struct Mistake {
    const char* reason;
    std::function<void(OrderedJson&)> make;
};

TEST(GenesisJson, EachMistakeHasOneReasonThatNamesItsField) {
    const std::vector<Mistake> mistakes{
        {"parameters is missing", [](auto& j) { j.erase("parameters"); }},
        {"stakers is missing", [](auto& j) { j.erase("stakers"); }},
        {"allocations must be a list", [](auto& j) { j["allocations"] = 5; }},
        {"allocations are 2001, the limit is 2000",
         [](auto& j) { j["allocations"] = OrderedJson::array_t(2'001, j["allocations"][1]); }},
        {"allocation is no field that is known", [](auto& j) { j["allocation"] = 5; }},
        {"either first_nonce or nonce_text", [](auto& j) { j["nonce_text"] = "x"; }},
        {"either first_nonce or nonce_text", [](auto& j) { j.erase("first_nonce"); }},
        {"first_nonce must be 64 hexadecimal digits", [](auto& j) { j["first_nonce"] = std::string(63, '1'); }},
        {"nonce_text must be 1 to 1000 bytes", [](auto& j) { j.erase("first_nonce"), j["nonce_text"] = ""; }},
        {"nonce_text must be 1 to 1000 bytes",
         [](auto& j) { j.erase("first_nonce"), j["nonce_text"] = std::string(1'001, 'x'); }},
        {"parameters must be an object", [](auto& j) { j["parameters"] = OrderedJson::array(); }},
        {"parameters.k is missing", [](auto& j) { j["parameters"].erase("k"); }},
        {"parameters.kk is no field that is known", [](auto& j) { j["parameters"]["kk"] = 1; }},
        {"parameters.k must be a whole number from 0 to 4294967295",
         [](auto& j) { j["parameters"]["k"] = uint64_t{1} << 32; }},
        {"parameters.k must be a whole number", [](auto& j) { j["parameters"]["k"] = -1; }},
        {"parameters.k must be a whole number", [](auto& j) { j["parameters"]["k"] = 1.5; }},
        {"parameters.k must be a whole number", [](auto& j) { j["parameters"]["k"] = "50"; }},
        {"parameters.p2p_port must be a whole number from 0 to 65535",
         [](auto& j) { j["parameters"]["p2p_port"] = 65'536; }},
        {"p2p_port is 0", [](auto& j) { j["parameters"]["p2p_port"] = 0; }},
        {"rpc_port is 0", [](auto& j) { j["parameters"]["rpc_port"] = 0; }},
        {"parameters.magic must be 8 hexadecimal digits", [](auto& j) { j["parameters"]["magic"] = "0102"; }},
        {"magic f3511ce9 is that of 'regtest'", [](auto& j) { j["parameters"]["magic"] = "f3511ce9"; }},
        {"network 'main' is built in", [](auto& j) { j["parameters"]["network"] = "main"; }},
        {"network must be 1 to 32", [](auto& j) { j["parameters"]["network"] = "../x"; }},
        {"parameters.bond must be a string", [](auto& j) { j["parameters"]["bond"] = 1'000; }},
        {"parameters.bond", [](auto& j) { j["parameters"]["bond"] = "0.000000001"; }},
        {"bond is 0", [](auto& j) { j["parameters"]["bond"] = "0"; }},
        {"genesis_time_ms must be a whole number", [](auto& j) { j["parameters"]["genesis_time_ms"] = UINT64_MAX; }},
        {"slot_duration (ms) is 0", [](auto& j) { j["parameters"]["slot_duration_ms"] = 0; }},
        {"allocations[1] must be an object", [](auto& j) { j["allocations"][1] = "x"; }},
        {"allocations[1].amount is missing", [](auto& j) { j["allocations"][1].erase("amount"); }},
        {"allocations[1].amount", [](auto& j) { j["allocations"][1]["amount"] = "21000001"; }},
        {"allocations[1].amount", [](auto& j) { j["allocations"][1]["amount"] = "-1"; }},
        {"the amount of allocation 1 is 0", [](auto& j) { j["allocations"][1]["amount"] = "0"; }},
        {"over the genesis supply", [](auto& j) { j["allocations"][1]["amount"] = "499700.00000001"; }},
        {"over the genesis supply", [](auto& j) { j["allocations"][1]["amount"] = "21000000"; }},
        {"allocations[1].to: ", [](auto& j) { j["allocations"][1]["to"] = "nonsense"; }},
        {"allocations[1].to: ",
         [](auto& j) {
             const auto script = DecodeAddress(j["allocations"][1]["to"].template get<std::string>(), "my").value();
             j["allocations"][1]["to"] = EncodeAddress(script, "rslu");
         }},
        {"allocations[1].to is not a taproot or stake output", [](auto& j) { j["allocations"][1]["to"] = "6a0100"; }},
        {"the key of allocation 1 is not a point",
         [](auto& j) { j["allocations"][1]["to"] = "5120" + std::string(64, 'f'); }},
        {"allocations[1].staker is 3, but there are 3 stakers", [](auto& j) { j["allocations"][1]["staker"] = 3; }},
        {"allocations[1].staker must be 16 hexadecimal digits",
         [](auto& j) { j["allocations"][1]["staker"] = std::string(14, '0'); }},
        {"which is none of the stakers", [](auto& j) { j["allocations"][1]["staker"] = std::string(16, '0'); }},
        {"allocations[0].to is staked already", [](auto& j) { j["allocations"][0]["staker"] = 0; }},
        {"there is no staker", [](auto& j) { j["stakers"].clear(), j["allocations"].erase(0); }},
        {"two stakers have the id", [](auto& j) { j["stakers"][1]["id"] = j["stakers"][0]["id"]; }},
        {"is another staker's too", [](auto& j) { j["stakers"][1]["vrf_key"] = j["stakers"][0]["vrf_key"]; }},
        {"stakers[0].vrf_key must be 64", [](auto& j) { j["stakers"][0]["vrf_key"] = "zz"; }},
        {"the VRF key of staker", [](auto& j) { j["stakers"][0]["vrf_key"] = std::string(64, '0'); }},
        {"the signing key of staker", [](auto& j) { j["stakers"][0]["signing_key"] = std::string(64, 'f'); }},
        {"is 101 permille, the limit is 100", [](auto& j) { j["stakers"][0]["commission_permille"] = 101; }},
        {"stakers[0].commission_permille must be a whole number from 0 to 65535",
         [](auto& j) { j["stakers"][0]["commission_permille"] = 65'536; }},
        {"stakers[0].payout is missing", [](auto& j) { j["stakers"][0].erase("payout"); }},
        {"a bond is not stake", [](auto& j) { j["stakers"][0]["bond"] = j["allocations"][0]["to"]; }},
        {"stakers[0].name is no field that is known", [](auto& j) { j["stakers"][0]["name"] = "x"; }},
        {"stakers[0].a\\nb is no field that is known", [](auto& j) { j["stakers"][0]["a\nb"] = "x"; }},
    };
    ASSERT_EQ(ErrorOf(Good()), "");
    for (const Mistake& mistake : mistakes) {
        OrderedJson json = Good();
        mistake.make(json);
        const std::string error = ErrorOf(json);
        EXPECT_THAT(error, HasSubstr(mistake.reason));
        EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    }
}

TEST(StrictJson, RefusesRepeatedFieldsAtEveryDepthAndWhatIsNoJson) {
    const auto error_of = [](std::string_view text) {
        const auto json = ParseStrictJson(text);
        return json ? "" : json.error().message;
    };
    EXPECT_EQ(error_of(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})"), "");
    EXPECT_THAT(error_of(R"({"a":1,"b":2,"a":1})"), HasSubstr("has the field \"a\" twice"));
    EXPECT_THAT(error_of(R"({"b":[{"a":1},{"c":1,"c":2}]})"), HasSubstr("has the field \"c\" twice"));
    EXPECT_THAT(error_of("{"), HasSubstr("not JSON"));
    EXPECT_THAT(error_of("{} {}"), HasSubstr("not JSON"));
    EXPECT_EQ(error_of(std::string(16, '[') + std::string(16, ']')), "");
    EXPECT_THAT(error_of(std::string(100'000, '[')), HasSubstr("levels deep"));
    EXPECT_THAT(error_of(std::string(kMaxGenesisJsonBytes + 1, ' ')), HasSubstr("the limit is 4194304"));
}

TEST(GenesisSummaryTest, AddsUpToTheDrop) {
    const OrderedJson summary = GenesisSummary(CustomGenesis());
    EXPECT_EQ(summary["genesis_hash"], CustomGenesis().Hash().Hex());
    EXPECT_EQ(summary["network"], "mynet");
    EXPECT_EQ(summary["allocated"], "9997000");
    EXPECT_EQ(summary["staked"], "5000000");
    EXPECT_EQ(summary["bonds"], "3000");
    EXPECT_EQ(summary["total"], "10000000");
    EXPECT_EQ(summary["reserve"], "11000000");
}

StakerPublicKeys KeysOf(uint32_t index) {
    const consensus::OperatorKeys keys = consensus::RegtestOperator(index);
    return {std::nullopt, crypto::VrfPublic(keys.vrf), keys.signing.XOnly()};
}

TEST(GenesisTemplateTest, WithStakersAndAnOwnerIsANetworkThatTakesTheParametersOfMainTestOrRegtest) {
    const std::string owner = EncodeAddress(CustomGenesis().stakers[0].bond_script, "mynet");
    for (const std::string_view like : consensus::kBuiltInNetworks) {
        const auto json = GenesisTemplate(
            {std::string(like), "mynet", "", {KeysOf(0), KeysOf(1), KeysOf(2)}, owner, 1'767'225'600'000});
        ASSERT_TRUE(json) << json.error().message;
        const auto genesis = Load(*json);
        ASSERT_TRUE(genesis) << genesis.error().message;
        const consensus::Params like_params = consensus::BuiltInParams(like);
        EXPECT_EQ(genesis->params.network, "mynet");
        EXPECT_EQ(genesis->params.k, like_params.k);
        EXPECT_EQ(genesis->params.epoch_slots, like_params.epoch_slots);
        EXPECT_EQ(genesis->params.unbonding_slots, like_params.unbonding_slots);
        EXPECT_EQ(genesis->stakers[1].id, GenesisStakerId(KeysOf(1).vrf_key));
        const OrderedJson summary = GenesisSummary(*genesis);
        EXPECT_EQ(summary["total"], "10000000");
        EXPECT_EQ(summary["staked"], "4999998");  // thirds of half, in whole coins
    }
}

TEST(GenesisTemplateTest, WithoutStakersItIsForFillingInAndSaysSo) {
    const auto json = GenesisTemplate({"test", "mynet", "my", {}, "", 1});
    ASSERT_TRUE(json);
    EXPECT_EQ((*json)["parameters"]["hrp"], "my");
    EXPECT_THAT(ErrorOf(*json), HasSubstr("there is no staker"));
    EXPECT_THAT(GenesisTemplate({"tset", "mynet", "", {}, "", 1}).error().message, HasSubstr("'tset'"));
    EXPECT_THAT(GenesisTemplate({"test", "mynet", "", {KeysOf(0)}, "", 1}).error().message, HasSubstr("--owner"));
    EXPECT_THAT(GenesisTemplate({"test", "mynet", "", {KeysOf(0)}, "rslu1x", 1}).error().message,
                HasSubstr("the owner"));
}

TEST(GenesisTemplateTest, NetworksOfOtherNamesHaveOtherMagics) {
    const auto magic = [](const std::string& name) {
        return GenesisTemplate({"test", name, "", {}, "", 1}).value()["parameters"]["magic"].get<std::string>();
    };
    EXPECT_NE(magic("a"), magic("b"));
    EXPECT_EQ(magic("a"), magic("a"));
}

TEST(StakerKeysJson, GivesBackWhatItPrintsAndRefusesTheRest) {
    StakerPublicKeys keys = KeysOf(0);
    for (const bool with_id : {false, true}) {
        if (with_id) keys.id = kStaker0;
        const auto read = StakerKeysFromJson(StakerKeysToJson(keys), "f");
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(read->id, keys.id);
        EXPECT_EQ(read->vrf_key, keys.vrf_key);
        EXPECT_EQ(read->signing_key, keys.signing_key);
    }
    OrderedJson json = StakerKeysToJson(keys);
    json["vrf_secret"] = "00";
    EXPECT_THAT(StakerKeysFromJson(json, "f").error().message, HasSubstr("f.vrf_secret is no field that is known"));
    json = StakerKeysToJson(keys);
    json.erase("signing_key");
    EXPECT_THAT(StakerKeysFromJson(json, "f").error().message, HasSubstr("f.signing_key is missing"));
}

}  // namespace
}  // namespace sluice::apps
