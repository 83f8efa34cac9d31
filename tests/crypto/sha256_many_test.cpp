#include "crypto/sha256_many.h"

#include <gtest/gtest.h>

#include "util/random.h"

namespace sluice::crypto {
namespace {

class Sha256ManyTest : public testing::TestWithParam<Sha256Way> {
  protected:
    void SetUp() override {
        if (!HasSha256Way(GetParam())) GTEST_SKIP() << "this CPU has no such instructions";
    }
    // Checks the hashes of messages of these lengths, at addresses of every alignment, against libcrypto's.
    void Check(const std::vector<size_t>& lengths) {
        std::vector<Bytes> storage;
        std::vector<ByteSpan> messages;
        for (size_t i = 0; i < lengths.size(); ++i) {
            Bytes bytes(lengths[i] + i % 16);
            m_random.Fill(bytes);
            storage.push_back(std::move(bytes));
            messages.push_back(ByteSpan(storage.back()).subspan(i % 16));
        }
        std::vector<Hash256> hashes(messages.size());
        Sha256Many(GetParam(), messages, hashes);
        for (size_t i = 0; i < messages.size(); ++i)
            ASSERT_EQ(hashes[i].Hex(), Sha256Of(messages[i]).Hex()) << "message " << i << " of " << lengths[i];
    }
    SeededRandom m_random{7};
};

TEST_P(Sha256ManyTest, EveryLengthAroundBlockBoundariesHashesLikeLibcrypto) {
    for (size_t length = 0; length <= 3 * 64 + 2; ++length) Check(std::vector<size_t>(33, length));
    for (const size_t length : {1023, 1024, 1025, 4096, 16383, 16384, 16385}) {
        Check(std::vector<size_t>(17, length));
        Check(std::vector<size_t>(15, length));
    }
}

TEST_P(Sha256ManyTest, EveryCountOfEqualMessagesHashesLikeLibcrypto) {
    for (size_t count = 0; count <= 50; ++count) Check(std::vector<size_t>(count, 200));
}

TEST_P(Sha256ManyTest, MixedLengthsHashLikeLibcrypto) {
    for (int i = 0; i < 200; ++i) {
        std::vector<size_t> lengths;
        while (lengths.size() < 40) {
            const size_t length = m_random.Uint64() % 300;
            lengths.insert(lengths.end(), 1 + m_random.Uint64() % 20, length);
        }
        Check(lengths);
    }
}

TEST_P(Sha256ManyTest, OneChangedBitChangesThatHashAlone) {
    std::vector<Bytes> storage(16, Bytes(16384, 1));
    std::vector<ByteSpan> messages(storage.begin(), storage.end());
    std::vector<Hash256> before(16), after(16);
    Sha256Many(GetParam(), messages, before);
    for (size_t changed = 0; changed < 16; ++changed) {
        storage[changed][16383] ^= 0x80;
        Sha256Many(GetParam(), messages, after);
        for (size_t i = 0; i < 16; ++i) EXPECT_EQ(before[i] == after[i], i != changed);
        storage[changed][16383] ^= 0x80;
    }
}

INSTANTIATE_TEST_SUITE_P(AllWays, Sha256ManyTest,
                         testing::Values(Sha256Way::kOneByOne, Sha256Way::kShaPairs, Sha256Way::kAvx512));

TEST(Sha256Many, TheChosenWayHashesTheStandardsVector) {
    const std::vector<ByteSpan> messages(16, AsBytes("abc"));
    std::vector<Hash256> hashes(16);
    Sha256Many(messages, hashes);
    for (const Hash256& hash : hashes)
        EXPECT_EQ(hash.Hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace sluice::crypto
