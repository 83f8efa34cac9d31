#include "crypto/secp256k1.h"

#include <gtest/gtest.h>

#include "crypto/vectors.h"

namespace sluice::crypto {
namespace {

const std::string kOrder = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
const std::string kOrderMinusOne = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140";
const std::string kOne = "0000000000000000000000000000000000000000000000000000000000000001";
const std::string kGenerator = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

SecretKey Key(const std::string& hex) { return FromHex<SecretKey>(hex); }

std::optional<Hash256> OptionalHash(const nlohmann::json& value) {
    if (value.is_null()) return std::nullopt;
    return FromHex<Hash256>(value);
}

TEST(Secp256k1, VerifiesEveryRowOfBip340) {
    const auto vectors = LoadVectors("bip340.json");
    ASSERT_EQ(vectors.size(), 19u);
    for (const auto& row : vectors) {
        const auto key = FromHex<XOnlyPubKey>(row["public"]);
        const Bytes message = Hex(row["message"]);
        const auto signature = FromHex<SchnorrSignature>(row["signature"]);
        EXPECT_EQ(VerifySchnorrMessage(key, message, signature), row["valid"].get<bool>()) << row["row"];
        if (message.size() == 32) {
            EXPECT_EQ(VerifySchnorr(key, *Hash256::FromBytes(message), signature), row["valid"].get<bool>());
        }
    }
}

TEST(Secp256k1, SignsEveryRowOfBip340ThatHasASecretKey) {
    size_t signatures = 0;
    for (const auto& row : LoadVectors("bip340.json")) {
        if (!row.contains("secret")) continue;
        const SecretKey key = Key(row["secret"]);
        const Bytes message = Hex(row["message"]), aux_bytes = Hex(row["aux"]);
        std::array<uint8_t, 32> aux;
        std::copy_n(aux_bytes.begin(), 32, aux.begin());
        EXPECT_EQ(key.XOnly().Hex(), row["public"]);
        EXPECT_EQ(key.SignMessage(message, aux).Hex(), row["signature"]) << row["row"];
        if (message.size() == 32) {
            EXPECT_EQ(key.Sign(*Hash256::FromBytes(message), aux).Hex(), row["signature"]);
        }
        ++signatures;
    }
    EXPECT_EQ(signatures, 8u);
}

TEST(Secp256k1, ASignatureFitsOnlyItsMessageItsKeyAndItself) {
    const SecretKey key = Key(kOne), other = Key(kOrderMinusOne.substr(0, 62) + "07");
    const Hash256 message = Sha256Of(AsBytes("message"));
    const SchnorrSignature signature = key.Sign(message);
    EXPECT_TRUE(VerifySchnorr(key.XOnly(), message, signature));
    EXPECT_FALSE(VerifySchnorr(other.XOnly(), message, signature));
    EXPECT_FALSE(VerifySchnorr(key.XOnly(), Sha256Of(message), signature));
    EXPECT_FALSE(VerifySchnorrMessage(key.XOnly(), ByteSpan(message.bytes).first(31), signature));
    for (size_t bit = 0; bit < 512; bit += 37) {
        SchnorrSignature changed = signature;
        changed.bytes[bit / 8] ^= 1 << (bit % 8);
        EXPECT_FALSE(VerifySchnorr(key.XOnly(), message, changed)) << bit;
    }
}

TEST(Secp256k1, SecretKeysAreScalarsFromOneToTheOrderMinusOne) {
    EXPECT_FALSE(SecretKey::FromBytes(Bytes(32, 0)));
    EXPECT_TRUE(SecretKey::FromBytes(Hex(kOne)));
    EXPECT_TRUE(SecretKey::FromBytes(Hex(kOrderMinusOne)));
    EXPECT_FALSE(SecretKey::FromBytes(Hex(kOrder)));
    EXPECT_FALSE(SecretKey::FromBytes(Bytes(32, 0xff)));
    EXPECT_FALSE(SecretKey::FromBytes(Bytes(31, 1)));
    EXPECT_FALSE(SecretKey::FromBytes(Bytes(33, 1)));
    EXPECT_FALSE(SecretKey::FromBytes({}));
}

TEST(Secp256k1, PublicKeysOfOneAndMinusOneAreTheGeneratorAndItsNegation) {
    EXPECT_EQ(Key(kOne).Public().Hex(), "02" + kGenerator);
    EXPECT_EQ(Key(kOrderMinusOne).Public().Hex(), "03" + kGenerator);
    EXPECT_EQ(Key(kOrderMinusOne).XOnly().Hex(), kGenerator);
    EXPECT_EQ(Key(kOne).Clone().Public(), Key(kOne).Public());
    EXPECT_EQ(ToXOnly(Key(kOrderMinusOne).Public()), Key(kOne).XOnly());
}

TEST(Secp256k1, TweakAddStopsAtZeroAndAtTheOrder) {
    const SecretKey last = Key(kOrderMinusOne);
    EXPECT_FALSE(last.TweakAdd(FromHex<Hash256>(kOne)));
    EXPECT_FALSE(last.TweakAdd(FromHex<Hash256>(kOrder)));
    EXPECT_FALSE(TweakAdd(last.Public(), FromHex<Hash256>(kOne)));
    EXPECT_FALSE(TweakAdd(last.Public(), FromHex<Hash256>(kOrder)));
    const auto unchanged = last.TweakAdd(Hash256());
    ASSERT_TRUE(unchanged);
    EXPECT_EQ(unchanged->Public(), last.Public());
    EXPECT_EQ(TweakAdd(last.Public(), Hash256()), last.Public());
    const auto before = last.TweakAdd(FromHex<Hash256>(kOrderMinusOne));
    ASSERT_TRUE(before);
    EXPECT_EQ(HexEncode(before->bytes()), kOrderMinusOne.substr(0, 62) + "3f");
}

TEST(Secp256k1, SecretAndPublicTweaksAgree) {
    for (uint8_t i = 1; i <= 8; ++i) {
        const auto key = SecretKey::FromBytes(Sha256Of({&i, 1}));
        const Hash256 tweak = Sha256d({&i, 1});
        ASSERT_TRUE(key);
        EXPECT_EQ(TweakAdd(key->Public(), tweak), key->TweakAdd(tweak)->Public());
    }
}

TEST(Secp256k1, PublicKeysOffTheCurveOrMalformedAreRefused) {
    const std::string off_curve = "eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34";
    const std::string field_size = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";
    EXPECT_TRUE(IsOnCurve(FromHex<XOnlyPubKey>(kGenerator)));
    EXPECT_FALSE(IsOnCurve(FromHex<XOnlyPubKey>(off_curve)));
    EXPECT_FALSE(IsOnCurve(FromHex<XOnlyPubKey>(field_size)));
    EXPECT_FALSE(IsOnCurve(XOnlyPubKey()));
    EXPECT_TRUE(IsValidPubKey(FromHex<PubKey>("02" + kGenerator)));
    EXPECT_TRUE(IsValidPubKey(FromHex<PubKey>("03" + kGenerator)));
    for (const std::string prefix : {"00", "01", "04", "06", "07"}) {
        EXPECT_FALSE(IsValidPubKey(FromHex<PubKey>(prefix + kGenerator))) << prefix;
    }
    EXPECT_FALSE(IsValidPubKey(FromHex<PubKey>("02" + off_curve)));
    EXPECT_FALSE(TweakAdd(FromHex<PubKey>("02" + off_curve), Hash256()));
    EXPECT_FALSE(TapTweak(FromHex<XOnlyPubKey>(off_curve), std::nullopt));
    EXPECT_FALSE(CheckTapTweak(XOnlyPubKey(), false, FromHex<XOnlyPubKey>(off_curve), Hash256()));
}

TEST(Secp256k1, TaprootOutputsMatchBip341) {
    const auto vectors = LoadVectors("bip341_wallet.json")["outputs"];
    ASSERT_EQ(vectors.size(), 7u);
    for (const auto& row : vectors) {
        const auto internal = FromHex<XOnlyPubKey>(row["internal"]);
        const auto root = OptionalHash(row["merkle_root"]);
        const auto output = TapTweak(internal, root);
        ASSERT_TRUE(output);
        EXPECT_EQ(output->key.Hex(), row["output"]);
        // The published tweak gives the same point.
        const auto lifted = FromHex<PubKey>("02" + internal.Hex());
        EXPECT_EQ(ToXOnly(*TweakAdd(lifted, FromHex<Hash256>(row["tweak"]))), output->key);
        if (!root) continue;
        EXPECT_EQ(output->odd_y, row["odd_y"].get<bool>());
        EXPECT_TRUE(CheckTapTweak(output->key, output->odd_y, internal, *root));
        EXPECT_FALSE(CheckTapTweak(output->key, !output->odd_y, internal, *root));
        EXPECT_FALSE(CheckTapTweak(internal, output->odd_y, internal, *root));
        EXPECT_FALSE(CheckTapTweak(output->key, output->odd_y, internal, Sha256Of(*root)));
    }
}

TEST(Secp256k1, TaprootKeySpendsMatchBip341) {
    const auto vectors = LoadVectors("bip341_wallet.json")["key_spends"];
    ASSERT_EQ(vectors.size(), 7u);
    for (const auto& row : vectors) {
        const SecretKey key = Key(row["secret"]);
        const auto root = OptionalHash(row["merkle_root"]);
        EXPECT_EQ(key.XOnly().Hex(), row["internal"]);
        const auto output = key.TapTweak(root);
        ASSERT_TRUE(output);
        EXPECT_EQ(HexEncode(output->bytes()), row["output_secret"]);
        EXPECT_EQ(output->XOnly(), TapTweak(key.XOnly(), root)->key);
        EXPECT_EQ(output->Sign(FromHex<Hash256>(row["sighash"])).Hex(), row["signature"]);
    }
}

TEST(Secp256k1, TheNumsKeyIsTheHashOfTheGeneratorAndOnTheCurve) {
    // BIP341: the x coordinate is the SHA-256 of the uncompressed generator.
    const Bytes generator = Hex("04" + kGenerator + "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8");
    EXPECT_EQ(kNumsKey.Hex(), Sha256Of(generator).Hex());
    EXPECT_TRUE(IsOnCurve(kNumsKey));
}

}  // namespace
}  // namespace sluice::crypto
