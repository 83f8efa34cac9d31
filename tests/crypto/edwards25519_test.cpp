#include "crypto/edwards25519.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include "crypto/vectors.h"
#include "util/random.h"

namespace sluice::crypto {
namespace {

using Encoding = EdwardsPoint::Encoding;
using Scalar = EdwardsPoint::Scalar;

const std::string kBase = "5866666666666666666666666666666666666666666666666666666666666666";
const std::string kOrderMinusOne = "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
// Points of order 1, 2, 4, 4, 8, 8.
const std::string kSmallOrder[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
};

Encoding Bytes32(const std::string& hex) { return FromHex<FixedBytes<32, void>>(hex).bytes; }

EdwardsPoint Point(const Encoding& encoding) { return EdwardsPoint::Decode(encoding).value(); }

Scalar RandomScalar(SeededRandom& random) {
    const auto wide = random.Array<64>();
    Scalar scalar;
    crypto_core_ed25519_scalar_reduce(scalar.data(), wide.data());
    return scalar;
}

Encoding SodiumMultiply(const Scalar& scalar, const Encoding& point) {
    if (scalar == Scalar{}) return Bytes32(kSmallOrder[0]);
    Encoding result;
    EXPECT_EQ(crypto_scalarmult_ed25519_noclamp(result.data(), scalar.data(), point.data()), 0);
    return result;
}

Encoding SodiumSubtract(const Encoding& a, const Encoding& b) {
    Encoding result;
    EXPECT_EQ(crypto_core_ed25519_sub(result.data(), a.data(), b.data()), 0);
    return result;
}

// Random points of prime order.
Encoding RandomPoint(SeededRandom& random) {
    Encoding result;
    EXPECT_EQ(crypto_core_ed25519_from_uniform(result.data(), random.Array<32>().data()), 0);
    return result;
}

// Scalars that reach every edge of the digit code, then random ones.
std::vector<Scalar> Scalars(SeededRandom& random, size_t random_ones) {
    std::vector<Scalar> scalars{
        Scalar{}, Scalar{1}, Scalar{2}, Scalar{15}, Scalar{16}, Scalar{31}, Bytes32(kOrderMinusOne)};
    for (const int byte : {15, 16, 30}) {  // around the halves of the base tables and near the top
        Scalar scalar{};
        scalar[byte] = 0x80;
        scalars.push_back(scalar);
        scalar[byte] = 0xff;
        scalars.push_back(scalar);
        std::fill_n(scalar.begin(), byte, 0xff);
        scalars.push_back(scalar);
    }
    for (size_t i = 0; i < random_ones; ++i) scalars.push_back(RandomScalar(random));
    return scalars;
}

TEST(Edwards25519, DecodingAndEncodingAgreeWithLibsodiumOnRandomBytes) {
    SeededRandom random(1);
    int decoded = 0;
    for (int i = 0; i < 400; ++i) {
        const auto encoding = random.Array<32>();
        const auto point = EdwardsPoint::Decode(encoding);
        // Adding the identity decodes, and fails exactly for what is off the curve.
        Encoding sum;
        const bool on_curve = crypto_core_ed25519_add(sum.data(), encoding.data(), Bytes32(kSmallOrder[0]).data()) == 0;
        EXPECT_EQ(point.has_value(), on_curve);
        if (!point) continue;
        ++decoded;
        EXPECT_EQ(point->Encode(), encoding);
        EXPECT_EQ(point->HasPrimeOrder(), crypto_core_ed25519_is_valid_point(encoding.data()) == 1);
    }
    EXPECT_GT(decoded, 150);
}

TEST(Edwards25519, OnlyCanonicalEncodingsAreDecoded) {
    // y from p to 2^255 - 1 has a second encoding as y - p; each is refused with either sign.
    for (int low = 0xed; low <= 0xff; ++low) {
        for (const uint8_t high : {0x7f, 0xff}) {
            Encoding encoding;
            encoding.fill(0xff);
            encoding[0] = static_cast<uint8_t>(low);
            encoding[31] = high;
            EXPECT_FALSE(EdwardsPoint::Decode(encoding)) << low;
        }
    }
    // x = 0 has no negative.
    Encoding one = Bytes32(kSmallOrder[0]), minus_one = Bytes32(kSmallOrder[1]);
    EXPECT_TRUE(EdwardsPoint::Decode(one));
    EXPECT_TRUE(EdwardsPoint::Decode(minus_one));
    one[31] |= 0x80;
    minus_one[31] |= 0x80;
    EXPECT_FALSE(EdwardsPoint::Decode(one));
    EXPECT_FALSE(EdwardsPoint::Decode(minus_one));
}

TEST(Edwards25519, OnlyPointsOfThePrimeOrderSubgroupHavePrimeOrder) {
    SeededRandom random(2);
    EXPECT_TRUE(Point(Bytes32(kBase)).HasPrimeOrder());
    for (const std::string& small : kSmallOrder) {
        const EdwardsPoint point = Point(Bytes32(small));
        EXPECT_EQ(HexEncode(point.Encode()), small);
        EXPECT_FALSE(point.HasPrimeOrder()) << small;
        EXPECT_TRUE(point.MultiplyByCofactor().IsIdentity()) << small;
        EXPECT_EQ(point.IsIdentity(), small == kSmallOrder[0]);
        const Encoding prime = RandomPoint(random);
        Encoding sum;
        ASSERT_EQ(crypto_core_ed25519_add(sum.data(), prime.data(), Bytes32(small).data()), 0);
        EXPECT_EQ(Point(sum).HasPrimeOrder(), small == kSmallOrder[0]) << small;
        EXPECT_EQ(Point(sum).MultiplyByCofactor().Encode(), Point(prime).MultiplyByCofactor().Encode());
    }
}

TEST(Edwards25519, EightTimesAPointIsThreeDoublings) {
    SeededRandom random(3);
    for (int i = 0; i < 20; ++i) {
        Encoding expected = RandomPoint(random);
        const EdwardsPoint point = Point(expected);
        for (int j = 0; j < 3; ++j) {
            const Encoding term = expected;
            ASSERT_EQ(crypto_core_ed25519_add(expected.data(), term.data(), term.data()), 0);
        }
        EXPECT_EQ(point.MultiplyByCofactor().Encode(), expected);
    }
}

TEST(Edwards25519, ProductsAgreeWithLibsodium) {
    SeededRandom random(4);
    const auto scalars = Scalars(random, 40);
    for (size_t i = 0; i < scalars.size(); ++i) {
        const Scalar &a = scalars[i], &b = scalars[(i * 7 + 3) % scalars.size()];
        const Encoding p = RandomPoint(random), q = RandomPoint(random);
        const Encoding bq = SodiumMultiply(b, q);
        EXPECT_EQ(EdwardsPoint::MultiplySubtract(a, Point(p), b, Point(q)).Encode(),
                  SodiumSubtract(SodiumMultiply(a, p), bq))
            << HexEncode(a) << " " << HexEncode(b);
        EXPECT_EQ(EdwardsPoint::MultiplyBaseSubtract(a, b, Point(q)).Encode(),
                  SodiumSubtract(SodiumMultiply(a, Bytes32(kBase)), bq))
            << HexEncode(a) << " " << HexEncode(b);
    }
}

TEST(Edwards25519, EqualTermsCancelToTheIdentity) {
    SeededRandom random(5);
    for (const Scalar& a : Scalars(random, 5)) {
        const EdwardsPoint p = Point(RandomPoint(random)), base = Point(Bytes32(kBase));
        EXPECT_TRUE(EdwardsPoint::MultiplySubtract(a, p, a, p).IsIdentity()) << HexEncode(a);
        EXPECT_TRUE(EdwardsPoint::MultiplyBaseSubtract(a, a, base).IsIdentity()) << HexEncode(a);
    }
}

TEST(Edwards25519, EncodingTogetherIsEncodingApart) {
    SeededRandom random(6);
    std::array<EdwardsPoint, 4> points;
    for (EdwardsPoint& point : points) point = Point(RandomPoint(random)).MultiplyByCofactor();
    const auto together = EdwardsPoint::EncodeAll(points);
    for (size_t i = 0; i < points.size(); ++i) EXPECT_EQ(together[i], points[i].Encode());
}

}  // namespace
}  // namespace sluice::crypto
