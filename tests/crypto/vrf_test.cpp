#include "crypto/vrf.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include "crypto/vectors.h"

namespace sluice::crypto {
namespace {

// The eight encodings of points of small order, two of them with a second, non-canonical form.
const std::string kSmallOrder[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};
const std::string kOrder4 = kSmallOrder[4];
const std::string kOrder8 = kSmallOrder[6];
const std::string kGroupOrder = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

VrfSecretKey Seed(uint8_t number) { return VrfSecretKey(std::span<const uint8_t, 32>(Sha256Of({&number, 1}).bytes)); }

// `point` with a point of small order added: on the curve, but outside the subgroup of prime order.
std::array<uint8_t, 32> Mixed(ByteSpan point, const std::string& small_order) {
    std::array<uint8_t, 32> result;
    EXPECT_EQ(crypto_core_ed25519_add(result.data(), point.data(), Hex(small_order).data()), 0);
    return result;
}

VrfProof WithGamma(VrfProof proof, ByteSpan gamma) {
    std::copy(gamma.begin(), gamma.end(), proof.begin());
    return proof;
}

VrfProof WithS(VrfProof proof, ByteSpan s) {
    std::copy(s.begin(), s.end(), proof.begin() + 48);
    return proof;
}

TEST(Vrf, MatchesRfc9381) {
    const auto vectors = LoadVectors("rfc9381_tai.json");
    ASSERT_EQ(vectors.size(), 3u);
    for (const auto& row : vectors) {
        const auto secret = SecretFromHex(row["secret"]);
        const auto key = FromHex<VrfPublicKey>(row["public"]);
        const Bytes alpha = Hex(row["alpha"]);
        const auto proof = FromHex<VrfProof>(row["proof"]);
        const auto output = FromHex<VrfOutput>(row["output"]);
        EXPECT_EQ(VrfPublic(secret), key);
        EXPECT_EQ(HexEncode(VrfEncodeToCurve(key, alpha).value()), row["h"]);
        EXPECT_EQ(VrfProve(secret, alpha), proof);
        EXPECT_EQ(VrfVerify(key, alpha, proof), output);
        EXPECT_EQ(VrfProofToHash(proof), output);
        EXPECT_TRUE(VrfKeyIsValid(key));
    }
}

TEST(Vrf, ProofsVerifyForManyKeysAndMessages) {
    for (uint8_t number = 0; number < 24; ++number) {
        const auto secret = Seed(number);
        const Bytes alpha(number * 5, number);
        const VrfProof proof = VrfProve(secret, alpha);
        const auto output = VrfVerify(VrfPublic(secret), alpha, proof);
        ASSERT_TRUE(output) << int{number};
        EXPECT_EQ(output, VrfProofToHash(proof));
        EXPECT_EQ(proof, VrfProve(secret, alpha));
    }
}

TEST(Vrf, AProofFitsOnlyItsKeyAndItsMessage) {
    const auto secret = Seed(1);
    const VrfProof proof = VrfProve(secret, AsBytes("slot 1"));
    EXPECT_TRUE(VrfVerify(VrfPublic(secret), AsBytes("slot 1"), proof));
    EXPECT_FALSE(VrfVerify(VrfPublic(secret), AsBytes("slot 2"), proof));
    EXPECT_FALSE(VrfVerify(VrfPublic(secret), {}, proof));
    EXPECT_FALSE(VrfVerify(VrfPublic(Seed(2)), AsBytes("slot 1"), proof));
}

TEST(Vrf, EveryChangedByteOfAProofIsRefused) {
    const auto secret = Seed(3);
    const VrfProof proof = VrfProve(secret, AsBytes("alpha"));
    for (size_t i = 0; i < VrfProof::kSize; ++i) {
        for (const uint8_t flip : {0x01, 0x80}) {
            VrfProof changed = proof;
            changed.bytes[i] ^= flip;
            EXPECT_FALSE(VrfVerify(VrfPublic(secret), AsBytes("alpha"), changed)) << i;
        }
    }
}

TEST(Vrf, KeysOfSmallOrderMixedOrderOrNonCanonicalAreInvalid) {
    const VrfPublicKey key = VrfPublic(Seed(4));
    const VrfProof proof = VrfProve(Seed(4), AsBytes("alpha"));
    EXPECT_TRUE(VrfKeyIsValid(key));
    for (const std::string& point : kSmallOrder) {
        EXPECT_FALSE(VrfKeyIsValid(FromHex<VrfPublicKey>(point))) << point;
        EXPECT_FALSE(VrfVerify(FromHex<VrfPublicKey>(point), AsBytes("alpha"), proof)) << point;
    }
    for (const std::string& point : {kOrder4, kOrder8, kSmallOrder[2]}) {
        const VrfPublicKey mixed(Mixed(key.bytes, point));
        EXPECT_FALSE(VrfKeyIsValid(mixed)) << point;
        EXPECT_FALSE(VrfVerify(mixed, AsBytes("alpha"), proof)) << point;
    }
    // y = 2 is on no point of the curve.
    VrfPublicKey off_curve;
    off_curve.bytes[0] = 2;
    EXPECT_FALSE(VrfKeyIsValid(off_curve));
    EXPECT_FALSE(VrfVerify(off_curve, AsBytes("alpha"), proof));
    EXPECT_FALSE(VrfKeyIsValid(FromHex<VrfPublicKey>(std::string(64, 'f'))));
}

// A proof for a Gamma of our choice that satisfies both equations as far as a point of small order T allows it:
// Gamma = xH + T. It is what a staker would send who wants several outputs to choose from.
VrfProof GrindGamma(const VrfSecretKey& seed, ByteSpan alpha, const std::string& small_order) {
    std::array<uint8_t, 64> expanded;
    crypto_hash_sha512(expanded.data(), seed.data(), 32);
    expanded[0] &= 0xf8;
    expanded[31] = (expanded[31] & 0x7f) | 0x40;
    const VrfPublicKey y = VrfPublic(seed);
    const auto h = VrfEncodeToCurve(y, alpha).value();
    std::array<uint8_t, 32> gamma, k{}, u, v, c{}, s;
    EXPECT_EQ(crypto_scalarmult_ed25519_noclamp(gamma.data(), expanded.data(), h.data()), 0);
    gamma = Mixed(gamma, small_order);
    for (k[0] = 1;; ++k[0]) {
        EXPECT_EQ(crypto_scalarmult_ed25519_base_noclamp(u.data(), k.data()), 0);
        EXPECT_EQ(crypto_scalarmult_ed25519_noclamp(v.data(), k.data(), h.data()), 0);
        Bytes input{0x03, 0x02};
        for (const ByteSpan part : {ByteSpan(y), ByteSpan(h), ByteSpan(gamma), ByteSpan(u), ByteSpan(v)}) {
            input.insert(input.end(), part.begin(), part.end());
        }
        input.push_back(0);
        const Sha512Hash hash = Sha512Of(input);
        std::copy_n(hash.begin(), 16, c.begin());
        if (c[0] % 8 == 0) break;  // cT vanishes, so only the check of Gamma itself is left
    }
    crypto_core_ed25519_scalar_mul(s.data(), c.data(), expanded.data());
    crypto_core_ed25519_scalar_add(s.data(), s.data(), k.data());
    VrfProof proof = WithS(WithGamma({}, gamma), s);
    std::copy_n(c.begin(), 16, proof.begin() + 32);
    return proof;
}

TEST(Vrf, AGammaOfMixedOrderIsRefusedEvenIfTheEquationsHold) {
    for (const std::string& point : {kOrder4, kOrder8, kSmallOrder[2]}) {
        const VrfProof proof = GrindGamma(Seed(5), AsBytes("alpha"), point);
        EXPECT_FALSE(VrfVerify(VrfPublic(Seed(5)), AsBytes("alpha"), proof)) << point;
    }
    // The same construction with the identity is an honest proof: the refusal above is Gamma's alone.
    const VrfProof honest = GrindGamma(Seed(5), AsBytes("alpha"), kSmallOrder[0]);
    EXPECT_TRUE(VrfVerify(VrfPublic(Seed(5)), AsBytes("alpha"), honest));
}

TEST(Vrf, AGammaOfSmallOrderOrOffTheCurveIsRefused) {
    const VrfPublicKey key = VrfPublic(Seed(6));
    const VrfProof proof = VrfProve(Seed(6), AsBytes("alpha"));
    for (const std::string& point : kSmallOrder) {
        EXPECT_FALSE(VrfVerify(key, AsBytes("alpha"), WithGamma(proof, Hex(point)))) << point;
    }
    Bytes off_curve(32);
    off_curve[0] = 2;
    EXPECT_FALSE(VrfVerify(key, AsBytes("alpha"), WithGamma(proof, off_curve)));
    EXPECT_FALSE(VrfProofToHash(WithGamma(proof, off_curve)));
    EXPECT_FALSE(VrfProofToHash(WithGamma(proof, Bytes(32, 0xff))));
    EXPECT_FALSE(VrfProofToHash(WithGamma(proof, Hex(kSmallOrder[11]))));
}

TEST(Vrf, SMustBeBelowTheGroupOrder) {
    const VrfPublicKey key = VrfPublic(Seed(7));
    const VrfProof proof = VrfProve(Seed(7), AsBytes("alpha"));
    // s + q is the same scalar in a second encoding.
    Bytes s(proof.begin() + 48, proof.end());
    const Bytes order = Hex(kGroupOrder);
    int carry = 0;
    for (size_t i = 0; i < 32; ++i) {
        carry += s[i] + order[i];
        s[i] = static_cast<uint8_t>(carry);
        carry >>= 8;
    }
    EXPECT_FALSE(VrfVerify(key, AsBytes("alpha"), WithS(proof, s)));
    EXPECT_FALSE(VrfProofToHash(WithS(proof, s)));
    EXPECT_FALSE(VrfProofToHash(WithS(proof, order)));
    Bytes below = order;
    below[0] -= 1;
    EXPECT_TRUE(VrfProofToHash(WithS(proof, below)));
    EXPECT_FALSE(VrfVerify(key, AsBytes("alpha"), WithS(proof, below)));
}

TEST(Vrf, ZeroScalarsAreRefusedWithoutFailing) {
    const VrfPublicKey key = VrfPublic(Seed(8));
    const VrfProof proof = VrfProve(Seed(8), AsBytes("alpha"));
    VrfProof zero_c = proof;
    std::fill_n(zero_c.begin() + 32, 16, 0);
    EXPECT_FALSE(VrfVerify(key, AsBytes("alpha"), zero_c));
    EXPECT_FALSE(VrfVerify(key, AsBytes("alpha"), WithS(proof, Bytes(32, 0))));
    EXPECT_FALSE(VrfVerify(key, AsBytes("alpha"), WithS(zero_c, Bytes(32, 0))));
    EXPECT_FALSE(VrfVerify(key, AsBytes("alpha"), VrfProof()));
}

}  // namespace
}  // namespace sluice::crypto
