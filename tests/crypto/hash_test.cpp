#include "crypto/hash.h"

#include <gtest/gtest.h>

#include <numeric>

#include "crypto/vectors.h"

namespace sluice::crypto {
namespace {

Bytes Counting(uint8_t first, size_t size) {
    Bytes bytes(size);
    std::iota(bytes.begin(), bytes.end(), first);
    return bytes;
}

TEST(Hash, DigestsOfAbcAreThoseOfTheStandards) {
    EXPECT_EQ(Sha256Of(AsBytes("abc")).Hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(Sha256Of({}).Hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(Sha512Of(AsBytes("abc")).Hex(),
              "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
              "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    EXPECT_EQ(Sha1(AsBytes("abc")).Hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(Ripemd160(AsBytes("abc")).Hex(), "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc");
    EXPECT_EQ(Ripemd160({}).Hex(), "9c1185a5c5e9fc54612808977ee8f548b2258d31");
}

TEST(Hash, DoubleSha256IsTheHashOfTheHash) {
    EXPECT_EQ(Sha256d(AsBytes("abc")), Sha256Of(Sha256Of(AsBytes("abc"))));
    EXPECT_EQ(Sha256d(AsBytes("hello")).Hex(), "9595c9df90075148eb06860365df33584b75bff782a510c6cd4883a419833d50");
}

TEST(Hash, StreamingInAnyPartsGivesTheSameHash) {
    const Bytes bytes = Counting(0, 200);
    const Hash256 whole = Sha256Of(bytes);
    const Sha512Hash whole512 = Sha512Of(bytes);
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
        const ByteSpan head = ByteSpan(bytes).first(cut), tail = ByteSpan(bytes).subspan(cut);
        EXPECT_EQ(Sha256().Write(head).Write(tail).Finish(), whole) << cut;
        EXPECT_EQ(Sha512Of(head, tail), whole512) << cut;
        EXPECT_EQ(Sha512Of({}, head, tail), whole512) << cut;
    }
}

TEST(Hash, ACopiedHasherContinuesOnItsOwn) {
    Sha256 prefix;
    prefix.Write(AsBytes("common "));
    Sha256 one = prefix, two = prefix;
    EXPECT_EQ(one.Write(AsBytes("one")).Finish(), Sha256Of(AsBytes("common one")));
    EXPECT_EQ(two.Write(AsBytes("two")).Finish(), Sha256Of(AsBytes("common two")));
    EXPECT_EQ(prefix.Finish(), Sha256Of(AsBytes("common ")));
}

TEST(Hash, APairIsTheHashOfBothInOrder) {
    const Hash256 left = Sha256Of(AsBytes("left")), right = Sha256Of(AsBytes("right"));
    Bytes both = ToBytes(left);
    both.insert(both.end(), right.begin(), right.end());
    EXPECT_EQ(Sha256Pair(left, right), Sha256Of(both));
    EXPECT_NE(Sha256Pair(left, right), Sha256Pair(right, left));
}

TEST(Hash, ATaggedHashStartsWithTheTagHashTwice) {
    const Hash256 tag = Sha256Of(AsBytes("TapTweak"));
    const Hash256 expected = Sha256().Write(tag).Write(tag).Write(AsBytes("x")).Finish();
    EXPECT_EQ(TaggedHash("TapTweak", AsBytes("x")), expected);
    EXPECT_EQ(TaggedHasher("TapTweak").Write(AsBytes("x")).Finish(), expected);
    EXPECT_NE(TaggedHash("TapLeaf", AsBytes("x")), expected);
}

struct HmacCase {
    Bytes key;
    std::string message, sha256, sha512;
};

TEST(Hash, HmacMatchesRfc4231) {
    const HmacCase cases[] = {
        {Bytes(20, 0x0b), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
         "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
         "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
        {ToBytes(AsBytes("Jefe")), "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
         "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
         "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
        {Bytes(131, 0xaa), "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
         "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
         "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
    };
    for (const HmacCase& test : cases) {
        EXPECT_EQ(HmacSha256(test.key, AsBytes(test.message)).Hex(), test.sha256) << test.message;
        EXPECT_EQ(HmacSha512(test.key, AsBytes(test.message)).Hex(), test.sha512) << test.message;
    }
}

TEST(Hash, HmacHashesOnlyKeysLongerThanABlock) {
    const Bytes message{1, 2, 3};
    for (const size_t block : {64, 65, 128, 129}) {
        const Bytes key(block, 0x5a);
        EXPECT_EQ(HmacSha256(key, message) == HmacSha256(Sha256Of(key), message), block > 64) << block;
        EXPECT_EQ(HmacSha512(key, message) == HmacSha512(Sha512Of(key), message), block > 128) << block;
    }
}

TEST(Hash, Pbkdf2MatchesKnownValues) {
    const std::pair<uint32_t, std::string> cases[] = {
        {1,
         "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252"
         "c02d470a285a0501bad999bfe943c08f050235d7d68b1da55e63f73b60a57fce"},
        {2,
         "e1d9c16aa681708a45f5c7c4e215ceb66e011a2e9f0040713f18aefdb866d53c"
         "f76cab2868a39b9f7840edce4fef5a82be67335c77a6068e04112754f27ccf4e"},
        {2048,
         "91be23564f09fc855c82ce84a223ebe7d63d8b49d69372593a0d9ed39e143c83"
         "e1ab2f722a5ddb969feefc88403f7e2afe1afb8b2f0e6b20add0fb7b28368807"},
    };
    for (const auto& [iterations, expected] : cases) {
        std::array<uint8_t, 64> out;
        Pbkdf2HmacSha512(AsBytes("password"), AsBytes("salt"), iterations, out);
        EXPECT_EQ(HexEncode(out), expected) << iterations;
    }
}

TEST(Hash, HkdfMatchesRfc5869) {
    struct Case {
        Bytes key, salt, info;
        std::string expected;
    };
    const Case cases[] = {
        {Bytes(22, 0x0b), Counting(0x00, 13), Counting(0xf0, 10),
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {Counting(0x00, 80), Counting(0x60, 80), Counting(0xb0, 80),
         "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
         "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
        {Bytes(22, 0x0b),
         {},
         {},
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    };
    for (const Case& test : cases) {
        Bytes out(test.expected.size() / 2);
        HkdfSha256(test.key, test.salt, test.info, out);
        EXPECT_EQ(HexEncode(out), test.expected);
    }
}

TEST(Hash, HkdfFillsUpToItsLimitAndAShorterOutputIsAPrefix) {
    Bytes longest(255 * 32), shorter(255 * 32 - 1);
    HkdfSha256(AsBytes("key"), AsBytes("salt"), AsBytes("info"), longest);
    HkdfSha256(AsBytes("key"), AsBytes("salt"), AsBytes("info"), shorter);
    EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), longest.begin()));
    Bytes too_long(255 * 32 + 1);
    EXPECT_DEATH(HkdfSha256(AsBytes("key"), AsBytes("salt"), AsBytes("info"), too_long), "out.size");
}

TEST(Hash, SipHash24MatchesThePublishedVectors) {
    const auto vectors = LoadVectors("siphash24.json");
    ASSERT_GT(vectors.size(), 100u);
    for (const auto& row : vectors) {
        const uint64_t k0 = std::stoull(row[0].get<std::string>(), nullptr, 16);
        const uint64_t k1 = std::stoull(row[1].get<std::string>(), nullptr, 16);
        EXPECT_EQ(SipHash24(k0, k1, Hex(row[2])), std::stoull(row[3].get<std::string>(), nullptr, 16)) << row;
    }
}

TEST(Hash, ConstantTimeEqualComparesSizeAndContent) {
    const Bytes bytes{1, 2, 3};
    EXPECT_TRUE(ConstantTimeEqual(bytes, Bytes{1, 2, 3}));
    EXPECT_TRUE(ConstantTimeEqual({}, {}));
    EXPECT_FALSE(ConstantTimeEqual(bytes, Bytes{1, 2, 4}));
    EXPECT_FALSE(ConstantTimeEqual(bytes, Bytes{0, 2, 3}));
    EXPECT_FALSE(ConstantTimeEqual(bytes, Bytes{1, 2}));
}

}  // namespace
}  // namespace sluice::crypto
