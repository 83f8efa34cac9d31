#include "crypto/aead.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include "crypto/hash.h"
#include "crypto/vectors.h"
#include "util/random.h"

namespace sluice::crypto {
namespace {

const std::string kRfcKey = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f";
const std::string kRfcText =
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    "sunscreen would be it.";
const std::string kRfcSealed =
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b29"
    "05d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b"
    "61161ae10b594f09e26a7e902ecbd0600691";
constexpr AeadNonce kRfcNonce{7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47};

Bytes RfcAdditional() { return Hex("50515253c0c1c2c3c4c5c6c7"); }

Bytes Seal(Aead& aead, uint64_t counter, ByteSpan additional, ByteSpan plaintext) {
    Bytes sealed(plaintext.size() + kAeadTagBytes);
    aead.Seal(CounterNonce(counter), additional, plaintext, sealed);
    return sealed;
}

TEST(Aead, SealsAndOpensTheExampleOfRfc8439) {
    Aead aead(SecretFromHex(kRfcKey));
    Bytes sealed(kRfcText.size() + kAeadTagBytes);
    aead.Seal(kRfcNonce, RfcAdditional(), AsBytes(kRfcText), sealed);
    EXPECT_EQ(HexEncode(sealed), kRfcSealed);
    Bytes opened(kRfcText.size());
    ASSERT_TRUE(aead.Open(kRfcNonce, RfcAdditional(), sealed, opened));
    EXPECT_EQ(ToString(opened), kRfcText);
}

TEST(Aead, WorksInPlace) {
    Aead aead(SecretFromHex(kRfcKey));
    Bytes buffer = ToBytes(AsBytes(kRfcText));
    buffer.resize(kRfcText.size() + kAeadTagBytes);
    aead.Seal(kRfcNonce, RfcAdditional(), ByteSpan(buffer).first(kRfcText.size()), buffer);
    EXPECT_EQ(HexEncode(buffer), kRfcSealed);
    ASSERT_TRUE(aead.Open(kRfcNonce, RfcAdditional(), buffer, MutableByteSpan(buffer).first(kRfcText.size())));
    EXPECT_EQ(ToString(ByteSpan(buffer).first(kRfcText.size())), kRfcText);
}

TEST(Aead, OneContextServesManyMessagesInBothDirections) {
    Aead reused(SecretFromHex(kRfcKey));
    for (uint64_t i = 0; i < 70; ++i) {
        const Bytes plaintext(i, static_cast<uint8_t>(i)), additional(i % 20, 9);
        Aead fresh(SecretFromHex(kRfcKey));
        const Bytes sealed = Seal(reused, i, additional, plaintext);
        EXPECT_EQ(sealed, Seal(fresh, i, additional, plaintext));
        Bytes opened(i), refused(i);
        EXPECT_FALSE(reused.Open(CounterNonce(i + 1), additional, sealed, refused));
        ASSERT_TRUE(reused.Open(CounterNonce(i), additional, sealed, opened));
        EXPECT_EQ(opened, plaintext);
    }
}

TEST(Aead, AnyChangeIsRefusedAndNothingIsGivenOut) {
    Aead aead(SecretFromHex(kRfcKey));
    const Bytes sealed = Hex(kRfcSealed);
    const Bytes zeros(kRfcText.size());
    for (size_t i = 0; i < sealed.size(); ++i) {
        Bytes changed = sealed, out(kRfcText.size(), 0xee);
        changed[i] ^= 0x80;
        EXPECT_FALSE(aead.Open(kRfcNonce, RfcAdditional(), changed, out)) << i;
        EXPECT_EQ(out, zeros);
    }
    Bytes out(kRfcText.size(), 0xee), additional = RfcAdditional();
    additional[0] ^= 1;
    EXPECT_FALSE(aead.Open(kRfcNonce, additional, sealed, out));
    EXPECT_FALSE(aead.Open(kRfcNonce, {}, sealed, out));
    Aead other(SecretFromHex(kRfcKey.substr(2) + "00"));
    EXPECT_FALSE(other.Open(kRfcNonce, RfcAdditional(), sealed, out));
    EXPECT_EQ(out, zeros);
}

TEST(Aead, TruncatedMessagesAreRefused) {
    Aead aead(SecretFromHex(kRfcKey));
    const Bytes sealed = Seal(aead, 0, {}, {});
    ASSERT_EQ(sealed.size(), kAeadTagBytes);
    EXPECT_TRUE(aead.Open(CounterNonce(0), {}, sealed, {}));
    for (size_t size = 0; size < kAeadTagBytes; ++size) {
        EXPECT_FALSE(aead.Open(CounterNonce(0), {}, ByteSpan(sealed).first(size), {})) << size;
    }
}

TEST(Aead, AMovedContextKeepsItsKey) {
    Aead first(SecretFromHex(kRfcKey));
    Aead second(std::move(first));
    Aead third(SecretFromHex(kRfcKey.substr(2) + "00"));
    third = std::move(second);
    Bytes out(kRfcText.size());
    EXPECT_TRUE(third.Open(kRfcNonce, RfcAdditional(), Hex(kRfcSealed), out));
}

TEST(Aead, CounterNoncesAreLittleEndianAfterFourZeros) {
    EXPECT_EQ(HexEncode(CounterNonce(0)), "000000000000000000000000");
    EXPECT_EQ(HexEncode(CounterNonce(0x0102030405060708)), "000000000807060504030201");
    EXPECT_EQ(HexEncode(CounterNonce(UINT64_MAX)), "00000000ffffffffffffffff");
}

TEST(X25519, MatchesTheExamplesOfRfc7748) {
    const std::array<std::string, 3> cases[] = {
        {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
         "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
         "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
        {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
         "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
         "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
    };
    for (const auto& [scalar, point, expected] : cases) {
        const auto shared = X25519(SecretFromHex(scalar), FromHex<X25519PublicKey>(point));
        ASSERT_TRUE(shared);
        EXPECT_EQ(HexEncode(shared->span()), expected);
    }
}

TEST(X25519, MatchesTheIterationOfRfc7748) {
    Bytes k(32), u(32);
    k[0] = u[0] = 9;
    for (int i = 1; i <= 1000; ++i) {
        const auto shared = X25519(SecretFromHex(HexEncode(k)), *X25519PublicKey::FromBytes(u));
        ASSERT_TRUE(shared);
        u = std::exchange(k, ToBytes(shared->span()));
        if (i == 1) {
            EXPECT_EQ(HexEncode(k), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
        }
    }
    EXPECT_EQ(HexEncode(k), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST(X25519, BothSidesShareOneSecret) {
    const auto a = SecretFromHex(kRfcKey), b = SecretFromHex(kRfcKey.substr(2) + "01");
    EXPECT_EQ(HexEncode(X25519(a, X25519Public(b))->span()), HexEncode(X25519(b, X25519Public(a))->span()));
}

// All points of order 1, 2, 4 and 8 on the curve and its twist, also in their non-canonical encodings.
const std::string kSmallOrder[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

TEST(X25519, KeysOfSmallOrderAreRefused) {
    for (const std::string& key : kSmallOrder) {
        EXPECT_FALSE(X25519(SecretFromHex(kRfcKey), FromHex<X25519PublicKey>(key))) << key;
    }
}

class SealedBox : public testing::Test {
  protected:
    const X25519SecretKey m_secret = SecretFromHex(kRfcKey);
    const X25519SecretKey m_ephemeral = SecretFromHex(kRfcKey.substr(2) + "aa");
    const Bytes m_plaintext = ToBytes(AsBytes("the key of a title"));
    const Bytes m_box = SealBox(X25519Public(m_secret), m_plaintext, m_ephemeral);
};

TEST_F(SealedBox, OpensForItsHolder) {
    EXPECT_EQ(m_box.size(), m_plaintext.size() + kSealedBoxOverheadBytes);
    EXPECT_EQ(OpenBox(m_secret, m_box), m_plaintext);
    const Bytes empty = SealBox(X25519Public(m_secret), {}, m_ephemeral);
    EXPECT_EQ(empty.size(), kSealedBoxOverheadBytes);
    EXPECT_EQ(OpenBox(m_secret, empty), Bytes());
}

TEST_F(SealedBox, OpensForNobodyElse) {
    EXPECT_FALSE(OpenBox(SecretFromHex(kRfcKey.substr(2) + "bb"), m_box));
    EXPECT_FALSE(OpenBox(m_ephemeral, m_box));
}

TEST_F(SealedBox, AnyChangeOrCutIsRefused) {
    for (size_t i = 0; i < m_box.size(); ++i) {
        Bytes changed = m_box;
        changed[i] ^= 0x80;  // also the bit of the ephemeral key that X25519 itself ignores
        EXPECT_FALSE(OpenBox(m_secret, changed)) << i;
        EXPECT_FALSE(OpenBox(m_secret, ByteSpan(m_box).first(i))) << i;
    }
}

TEST_F(SealedBox, AnEphemeralKeyOfSmallOrderIsRefused) {
    for (const std::string& key : kSmallOrder) {
        Bytes box = m_box;
        const Bytes bytes = Hex(key);
        std::copy(bytes.begin(), bytes.end(), box.begin());
        EXPECT_FALSE(OpenBox(m_secret, box)) << key;
    }
}

TEST_F(SealedBox, ABoxToAKeyOfSmallOrderDoesNotUseTheSharedSecretThatEverybodyKnows) {
    for (const std::string& key : kSmallOrder) {
        const auto to = FromHex<X25519PublicKey>(key);
        const Bytes box = SealBox(to, m_plaintext, m_ephemeral);
        Bytes salt = ToBytes(ByteSpan(box).first(32));
        salt.insert(salt.end(), to.begin(), to.end());
        AeadKey guessed;
        HkdfSha256(Bytes(32, 0), salt, AsBytes("Sluice/sealed-box"), guessed.span());
        Bytes out(m_plaintext.size());
        EXPECT_FALSE(Aead(guessed).Open(CounterNonce(0), {}, ByteSpan(box).subspan(32), out));
    }
}

TEST_F(SealedBox, ItsEncodingIsFrozen) {
    EXPECT_EQ(HexEncode(m_box),
              "412d7f0f52ffccb02eb136aead4ad4f219839c926924da0caa40fe5d3e071978"
              "6e8c9d7cefc038971418b994391a059d17b90c7be9cc62bf847bb2cffc11e4188ee6");
}

// Lengths around the pieces that a message is worked on in.
std::vector<size_t> LengthsAroundPieces() {
    std::vector<size_t> lengths;
    for (size_t length = 0; length <= 700; ++length) lengths.push_back(length);
    for (const size_t middle : {8192, 16'384, 16'448, 32'768, 50'000}) {
        for (size_t length = middle - 130; length <= middle + 130; length += 13) lengths.push_back(length);
        lengths.insert(lengths.end(), {middle - 1, middle, middle + 1});
    }
    return lengths;
}

TEST(Aead, EveryLengthSealsLikeLibsodiumAndOpensInPlace) {
    Aead aead(SecretFromHex(kRfcKey));
    const Bytes additional = RfcAdditional();
    uint64_t counter = 0;
    for (const size_t length : LengthsAroundPieces()) {
        Bytes plain(length), expected(length + kAeadTagBytes);
        SeededRandom(length).Fill(plain);
        const AeadNonce nonce = CounterNonce(++counter);
        unsigned long long written = 0;
        crypto_aead_chacha20poly1305_ietf_encrypt(expected.data(), &written, plain.data(), plain.size(),
                                                  additional.data(), additional.size(), nullptr, nonce.data(),
                                                  SecretFromHex(kRfcKey).data());
        Bytes buffer = plain;
        buffer.resize(length + kAeadTagBytes);
        aead.Seal(nonce, additional, ByteSpan(buffer).first(length), buffer);
        ASSERT_EQ(buffer, expected) << length;
        ASSERT_TRUE(aead.Open(nonce, additional, buffer, MutableByteSpan(buffer).first(length))) << length;
        buffer.resize(length);
        ASSERT_EQ(buffer, plain) << length;
    }
}

TEST(Aead, PartsSealLikeTheWhole) {
    Aead aead(SecretFromHex(kRfcKey));
    SeededRandom random(5);
    for (const size_t length : LengthsAroundPieces()) {
        Bytes plain(length), parted(length + kAeadTagBytes);
        random.Fill(plain);
        std::vector<ByteSpan> parts;
        for (ByteSpan left = plain; !left.empty();) {
            const size_t size =
                std::min<size_t>(left.size(), random.Uint64() % (random.Uint64() % 2 == 0 ? 90 : 20'000));
            parts.push_back(left.first(size));
            left = left.subspan(size);
        }
        aead.SealParts(CounterNonce(length), {}, parts, parted);
        ASSERT_EQ(parted, Seal(aead, length, {}, plain)) << length;
    }
}

TEST(Aead, AChangedByteAnywhereDoesNotOpen) {
    Aead aead(SecretFromHex(kRfcKey));
    const Bytes sealed = Seal(aead, 1, {}, Bytes(16'500, 3));
    Bytes out(16'500);
    for (size_t at = 0; at < sealed.size(); at += at < 300 || at > 16'200 ? 1 : 61) {
        Bytes changed = sealed;
        changed[at] ^= 4;
        ASSERT_FALSE(aead.Open(CounterNonce(1), {}, changed, out)) << at;
    }
}

}  // namespace
}  // namespace sluice::crypto
