#include "consensus/sighash.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "consensus/interpreter.h"
#include "primitives/script.h"

namespace sluice::consensus {
namespace {

using Json = nlohmann::json;

Json Vectors() {
    std::ifstream file(std::string(SLUICE_TEST_VECTORS) + "/bip341_sighash.json");
    return Json::parse(file);
}
Bytes Hex(const Json& value) { return HexDecode(value.get<std::string>()).value(); }

class Bip341Vectors : public ::testing::Test {
  protected:
    void SetUp() override {
        for (const Json& output : vectors["transaction"]["spent"])
            spent.push_back({Amount(output["amount"].get<uint64_t>()), Hex(output["script"])});
        tx = MutableTransaction::FromBytes(Hex(vectors["transaction"]["unsigned"])).value();
    }

    Json vectors = Vectors();
    MutableTransaction tx;
    std::vector<TxOutput> spent;
};

TEST_F(Bip341Vectors, SignatureHashesAreThoseOfTheStandard) {
    const SpendingTransaction spending(tx, spent);
    ASSERT_EQ(vectors["signatures"].size(), 7u);
    for (const Json& signature : vectors["signatures"]) {
        const auto hash = spending.SignatureHash(signature["input"], signature["hash_type"]);
        ASSERT_TRUE(hash);
        EXPECT_EQ(hash->Hex(), signature["hash"]);
        EXPECT_EQ(hash->Hex(), crypto::TaggedHash("TapSighash", Hex(signature["message"])).Hex());
    }
}

TEST_F(Bip341Vectors, TweakedSecretsSignAsTheStandardDoes) {
    const SpendingTransaction spending(tx, spent);
    for (const Json& signature : vectors["signatures"]) {
        std::optional<Hash256> root;
        if (!signature["merkle_root"].is_null()) root = Hash256::FromBytes(Hex(signature["merkle_root"]));
        const auto key = crypto::SecretKey::FromBytes(Hex(signature["secret"]))->TapTweak(root);
        Bytes made = ToBytes(key->Sign(*spending.SignatureHash(signature["input"], signature["hash_type"])).bytes);
        if (signature["hash_type"] != 0) made.push_back(signature["hash_type"]);
        EXPECT_EQ(HexEncode(made), signature["signature"]);
    }
}

TEST_F(Bip341Vectors, SignedTransactionVerifiesAtEveryTaprootInput) {
    const auto signed_tx = MutableTransaction::FromBytes(Hex(vectors["transaction"]["signed"])).value();
    const SpendingTransaction spending(signed_tx, spent);
    for (const Json& signature : vectors["signatures"]) {
        const auto facts = VerifyInput(spending, signature["input"]);
        ASSERT_TRUE(facts) << facts.error();
        EXPECT_FALSE(facts->script_path);
        EXPECT_EQ(facts->hash_types, std::vector<uint8_t>{signature["hash_type"].get<uint8_t>()});
    }
}

TEST_F(Bip341Vectors, SignedTransactionFailsWithAnotherAmountOrSpentScriptOrSequence) {
    const auto signed_tx = MutableTransaction::FromBytes(Hex(vectors["transaction"]["signed"])).value();
    // Input 3 signs ALL: it covers the amounts, scripts and sequences of the other inputs too.
    auto other_spent = spent;
    other_spent[0].value.drops += 1;
    EXPECT_FALSE(VerifyInput(SpendingTransaction(signed_tx, other_spent), 3));
    other_spent = spent;
    other_spent[0].script[5] ^= 1;
    EXPECT_FALSE(VerifyInput(SpendingTransaction(signed_tx, other_spent), 3));
    auto other_tx = signed_tx;
    other_tx.inputs[0].sequence ^= 1;
    EXPECT_FALSE(VerifyInput(SpendingTransaction(other_tx, spent), 3));
    EXPECT_TRUE(VerifyInput(SpendingTransaction(signed_tx, spent), 3));
}

void CollectLeaves(const Json& tree, std::vector<Json>& leaves) {
    if (tree.is_object()) return leaves.push_back(tree);
    for (const Json& branch : tree) CollectLeaves(branch, leaves);
}

Hash256 TreeRoot(const Json& tree) {
    if (tree.is_object()) return TapLeafHash(Hex(tree["script"]), tree["version"]);
    return TapBranchHash(TreeRoot(tree[0]), TreeRoot(tree[1]));
}

TEST_F(Bip341Vectors, TreesHaveTheLeafHashesRootsAndOutputsOfTheStandard) {
    for (const Json& vector : vectors["trees"]) {
        const auto internal = XOnlyPubKey::FromBytes(Hex(vector["internal"])).value();
        std::optional<Hash256> root;
        if (vector.contains("tree")) {
            root = TreeRoot(vector["tree"]);
            EXPECT_EQ(root->Hex(), vector["root"]);
            std::vector<Json> leaves;
            CollectLeaves(vector["tree"], leaves);
            for (const Json& leaf : leaves)
                EXPECT_EQ(TapLeafHash(Hex(leaf["script"]), leaf["version"]).Hex(),
                          vector["leaf_hashes"][leaf["id"].get<size_t>()]);
        }
        EXPECT_EQ(HexEncode(TaprootScript(crypto::TapTweak(internal, root)->key)), vector["script"]);
    }
}

TEST_F(Bip341Vectors, ControlBlocksOpenTheOutputsForTheirOwnLeavesOnly) {
    size_t opened = 0;
    for (const Json& vector : vectors["trees"]) {
        if (!vector.contains("tree")) continue;
        std::vector<Json> leaves;
        CollectLeaves(vector["tree"], leaves);
        for (const Json& leaf : leaves) {
            for (size_t other = 0; other < leaves.size(); ++other) {
                MutableTransaction spend;
                spend.inputs.resize(1);
                spend.inputs[0].witness = {Hex(leaf["script"]), Hex(vector["control_blocks"][other])};
                const auto result = VerifyInput(SpendingTransaction(spend, {{Amount(1), Hex(vector["script"])}}), 0);
                const std::string reason = result ? "" : result.error();
                const bool own = other == leaf["id"].get<size_t>();
                EXPECT_EQ(reason != "the output does not commit to the script", own) << reason;
                opened += own;
            }
        }
    }
    EXPECT_EQ(opened, 12u);
}

class SighashRules : public ::testing::Test {
  protected:
    SighashRules() {
        tx.inputs.resize(2);
        tx.inputs[1].prevout.index = 1;
        tx.outputs = {{Amount(1), {0x51}}};
    }
    std::optional<Hash256> Of(size_t index, uint8_t hash_type) const {
        return SpendingTransaction(tx, {{Amount(5), {0x51}}, {Amount(6), {0x52}}}).SignatureHash(index, hash_type);
    }
    MutableTransaction tx;
};

TEST_F(SighashRules, ExactlySevenHashTypesAreDefined) {
    for (int type = 0; type < 256; ++type) {
        const bool defined = type <= 3 || (type >= 0x81 && type <= 0x83);
        EXPECT_EQ(Of(0, static_cast<uint8_t>(type)).has_value(), defined) << type;
    }
}

TEST_F(SighashRules, SingleWithoutAnOutputOfTheSameIndexHasNoHash) {
    for (const uint8_t type : {uint8_t{0x03}, uint8_t{0x83}}) {
        EXPECT_TRUE(Of(0, type));
        EXPECT_FALSE(Of(1, type));
    }
}

TEST_F(SighashRules, EachTypeCoversExactlyItsPartOfTheTransaction) {
    struct Case {
        uint8_t type;
        bool other_input, own_sequence, other_sequence, own_output, other_output;
    };
    tx.outputs.push_back({Amount(2), {0x52}});
    for (const Case& c : {Case{0x00, true, true, true, true, true}, Case{0x01, true, true, true, true, true},
                          Case{0x02, true, true, true, false, false}, Case{0x03, true, true, true, true, false},
                          Case{0x81, false, true, false, true, true}, Case{0x82, false, true, false, false, false},
                          Case{0x83, false, true, false, true, false}}) {
        const auto original = tx;
        const auto before = Of(0, c.type);
        const auto changed = [&](auto change) {
            change();
            const bool differs = Of(0, c.type) != before;
            tx = original;
            return differs;
        };
        EXPECT_EQ(changed([&] { tx.inputs[1].prevout.index = 9; }), c.other_input) << int(c.type);
        EXPECT_EQ(changed([&] { tx.inputs[0].sequence = 9; }), c.own_sequence) << int(c.type);
        EXPECT_EQ(changed([&] { tx.inputs[1].sequence = 9; }), c.other_sequence) << int(c.type);
        EXPECT_EQ(changed([&] { tx.outputs[0].value.drops = 9; }), c.own_output) << int(c.type);
        EXPECT_EQ(changed([&] { tx.outputs[1].value.drops = 9; }), c.other_output) << int(c.type);
        EXPECT_TRUE(changed([&] { tx.lock_time = 9; }));
        EXPECT_TRUE(changed([&] { tx.version = 9; }));
        EXPECT_FALSE(changed([&] { tx.inputs[0].witness = {{1}}; }));
    }
}

TEST_F(SighashRules, AnnexLeafAndCodeSeparatorPositionAreCovered) {
    const SpendingTransaction spending(tx, {{Amount(5), {0x51}}, {Amount(6), {0x52}}});
    const ScriptPathData leaf{TapLeafHash({0x51})};
    std::vector<Hash256> hashes{*spending.SignatureHash(0, 0),
                                *spending.SignatureHash(0, 0, {}, Bytes{0x50}),
                                *spending.SignatureHash(0, 0, {}, Bytes{0x50, 0}),
                                *spending.SignatureHash(0, 0, leaf),
                                *spending.SignatureHash(0, 0, ScriptPathData{TapLeafHash({0x52})}),
                                *spending.SignatureHash(0, 0, ScriptPathData{leaf.leaf_hash, 0}),
                                *spending.SignatureHash(0, 0, leaf, Bytes{0x50})};
    std::sort(hashes.begin(), hashes.end());
    EXPECT_EQ(std::adjacent_find(hashes.begin(), hashes.end()), hashes.end());
    EXPECT_EQ(spending.SignatureHash(0, 0, leaf, Bytes{0x50, 7}),
              spending.SignatureHashWithAnnexHash(0, 0, leaf, AnnexHash(Bytes{0x50, 7})));
}

TEST(TapTree, BranchesDoNotDependOnTheOrderOfTheirChildren) {
    const Hash256 a = TapLeafHash({0x51});
    const Hash256 b = TapLeafHash({0x52});
    EXPECT_EQ(TapBranchHash(a, b), TapBranchHash(b, a));
    EXPECT_NE(TapBranchHash(a, b), TapBranchHash(a, a));
    EXPECT_NE(TapLeafHash({0x51}, 0xc0), TapLeafHash({0x51}, 0xc2));
}

}  // namespace
}  // namespace sluice::consensus
