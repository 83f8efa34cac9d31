#include "crypto/adaptor.h"

#include <gtest/gtest.h>

#include <set>

#include "crypto/vectors.h"

namespace sluice::crypto {
namespace {

const std::string kOrder = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

AdaptorSignature PreSignature(const nlohmann::json& row) {
    return {FromHex<Hash256>(row["nonce_x"]).bytes, FromHex<Hash256>(row["s"]).bytes};
}

// One sale: signer d, message, adaptor secret k and everything made from them.
struct Sale {
    explicit Sale(uint8_t number)
        : signer(*SecretKey::FromBytes(Sha256Of({&number, 1}))),
          secret(*SecretKey::FromBytes(Sha256d({&number, 1}))),
          message(Sha256Of(secret.bytes())),
          point(secret.Public()),
          pre_signature(*AdaptorSign(signer, message, point)) {}

    SecretKey signer, secret;
    Hash256 message;
    PubKey point;
    AdaptorSignature pre_signature;
};

TEST(Adaptor, FrozenVectorsCoverEveryParityOfSignerPointAndNonce) {
    const auto vectors = LoadVectors("bip340_adaptor.json");
    std::set<std::array<bool, 3>> parities;
    for (const auto& row : vectors) {
        const auto signer = FromHex<SecretKey>(row["secret"]), secret = FromHex<SecretKey>(row["adaptor_secret"]);
        const auto message = FromHex<Hash256>(row["message"]);
        const auto point = FromHex<PubKey>(row["point"]);
        EXPECT_EQ(secret.Public(), point);
        EXPECT_EQ(signer.Public()[0] == 3, row["odd_signer"].get<bool>());
        EXPECT_EQ(point[0] == 3, row["odd_point"].get<bool>());
        const auto pre_signature = AdaptorSign(signer, message, point);
        ASSERT_TRUE(pre_signature);
        EXPECT_EQ(*pre_signature, PreSignature(row)) << row;
        EXPECT_TRUE(AdaptorVerify(signer.XOnly(), message, point, *pre_signature));
        EXPECT_EQ(AdaptorComplete(*pre_signature, secret)->Hex(), row["signature"]);
        parities.insert({row["odd_signer"].get<bool>(), row["odd_point"].get<bool>(), row["odd_nonce"].get<bool>()});
    }
    EXPECT_EQ(parities.size(), 8u);
}

TEST(Adaptor, ACompletedSignatureVerifiesAndRevealsTheSecret) {
    for (uint8_t number = 0; number < 32; ++number) {
        const Sale sale(number);
        ASSERT_TRUE(AdaptorVerify(sale.signer.XOnly(), sale.message, sale.point, sale.pre_signature));
        const auto signature = AdaptorComplete(sale.pre_signature, sale.secret);
        ASSERT_TRUE(signature);
        EXPECT_TRUE(VerifySchnorr(sale.signer.XOnly(), sale.message, *signature));
        const auto extracted = AdaptorExtract(sale.pre_signature, *signature, sale.point);
        ASSERT_TRUE(extracted);
        EXPECT_EQ(HexEncode(extracted->bytes()), HexEncode(sale.secret.bytes()));
    }
}

TEST(Adaptor, ThePreSignatureItselfIsNoSignature) {
    const Sale sale(1);
    SchnorrSignature incomplete;
    std::copy(sale.pre_signature.nonce_x.begin(), sale.pre_signature.nonce_x.end(), incomplete.begin());
    std::copy(sale.pre_signature.s.begin(), sale.pre_signature.s.end(), incomplete.begin() + 32);
    EXPECT_FALSE(VerifySchnorr(sale.signer.XOnly(), sale.message, incomplete));
}

TEST(Adaptor, VerificationRefusesAnotherSignerMessageOrPoint) {
    const Sale sale(2), other(3);
    EXPECT_FALSE(AdaptorVerify(other.signer.XOnly(), sale.message, sale.point, sale.pre_signature));
    EXPECT_FALSE(AdaptorVerify(sale.signer.XOnly(), other.message, sale.point, sale.pre_signature));
    EXPECT_FALSE(AdaptorVerify(sale.signer.XOnly(), sale.message, other.point, sale.pre_signature));
    PubKey negated = sale.point;
    negated.bytes[0] ^= 1;
    EXPECT_FALSE(AdaptorVerify(sale.signer.XOnly(), sale.message, negated, sale.pre_signature));
}

TEST(Adaptor, VerificationRefusesEveryChangedByte) {
    const Sale sale(4);
    for (size_t i = 0; i < 32; ++i) {
        AdaptorSignature changed = sale.pre_signature;
        changed.nonce_x[i] ^= 1;
        EXPECT_FALSE(AdaptorVerify(sale.signer.XOnly(), sale.message, sale.point, changed)) << i;
        changed = sale.pre_signature;
        changed.s[i] ^= 1;
        EXPECT_FALSE(AdaptorVerify(sale.signer.XOnly(), sale.message, sale.point, changed)) << i;
    }
}

TEST(Adaptor, AnSOfTheGroupOrderOrMoreIsRefusedEverywhere) {
    const Sale sale(5);
    const SchnorrSignature signature = *AdaptorComplete(sale.pre_signature, sale.secret);
    for (const Bytes& s : {Hex(kOrder), Bytes(32, 0xff)}) {
        AdaptorSignature malformed = sale.pre_signature;
        std::copy(s.begin(), s.end(), malformed.s.begin());
        EXPECT_FALSE(AdaptorVerify(sale.signer.XOnly(), sale.message, sale.point, malformed));
        EXPECT_FALSE(AdaptorComplete(malformed, sale.secret));
        EXPECT_FALSE(AdaptorExtract(malformed, signature, sale.point));
        SchnorrSignature malformed_signature = signature;
        std::copy(s.begin(), s.end(), malformed_signature.begin() + 32);
        EXPECT_FALSE(AdaptorExtract(sale.pre_signature, malformed_signature, sale.point));
    }
}

TEST(Adaptor, PointsAndSignersOffTheCurveAreRefused) {
    const Sale sale(6);
    const std::string off_curve = "eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34";
    EXPECT_FALSE(AdaptorSign(sale.signer, sale.message, FromHex<PubKey>("02" + off_curve)));
    EXPECT_FALSE(AdaptorSign(sale.signer, sale.message, PubKey()));
    EXPECT_FALSE(
        AdaptorVerify(sale.signer.XOnly(), sale.message, FromHex<PubKey>("02" + off_curve), sale.pre_signature));
    EXPECT_FALSE(AdaptorVerify(FromHex<XOnlyPubKey>(off_curve), sale.message, sale.point, sale.pre_signature));
}

TEST(Adaptor, ExtractionNeedsTheRightPointSignatureAndPreSignature) {
    const Sale sale(7), other(8);
    const SchnorrSignature signature = *AdaptorComplete(sale.pre_signature, sale.secret);
    EXPECT_FALSE(AdaptorExtract(sale.pre_signature, signature, other.point));
    PubKey negated = sale.point;
    negated.bytes[0] ^= 1;
    EXPECT_FALSE(AdaptorExtract(sale.pre_signature, signature, negated));
    EXPECT_FALSE(AdaptorExtract(other.pre_signature, signature, sale.point));
    EXPECT_FALSE(AdaptorExtract(sale.pre_signature, sale.signer.Sign(sale.message), sale.point));
    EXPECT_FALSE(AdaptorExtract(sale.pre_signature, *AdaptorComplete(sale.pre_signature, other.secret), sale.point));
}

TEST(Adaptor, TheWrongSecretCompletesToAnInvalidSignature) {
    const Sale sale(9), other(10);
    const auto signature = AdaptorComplete(sale.pre_signature, other.secret);
    ASSERT_TRUE(signature);
    EXPECT_FALSE(VerifySchnorr(sale.signer.XOnly(), sale.message, *signature));
}

TEST(Adaptor, CompletingToZeroIsRefused) {
    const Sale sale(11);
    AdaptorSignature opposite{.nonce_x = sale.pre_signature.nonce_x};
    // s' = n - k, so s' + k = 0.
    const Bytes order = Hex(kOrder);
    int borrow = 0;
    for (size_t i = 32; i-- > 0;) {
        const int difference = order[i] - sale.secret.bytes()[i] - borrow;
        borrow = difference < 0;
        opposite.s[i] = static_cast<uint8_t>(difference + 256 * borrow);
    }
    EXPECT_FALSE(AdaptorComplete(opposite, sale.secret));
}

}  // namespace
}  // namespace sluice::crypto
