#include "storage/crc32c.h"

#include <gtest/gtest.h>

#include "util/random.h"

namespace sluice::storage {
namespace {

TEST(Crc32c, MatchesThePublishedExamples) {
    // RFC 3720 appendix B.4 and the check value of the CRC catalogue.
    Bytes ascending(32), descending(32);
    for (uint8_t i = 0; i < 32; ++i) {
        ascending[i] = i;
        descending[i] = static_cast<uint8_t>(31 - i);
    }
    const struct {
        Bytes input;
        uint32_t crc;
    } kExamples[] = {
        {Bytes(32, 0x00), 0x8a9136aa},
        {Bytes(32, 0xff), 0x62a8ab43},
        {ascending, 0x46dd794e},
        {descending, 0x113fdb5c},
        {ToBytes(AsBytes("123456789")), 0xe3069283},
        {{}, 0},
    };
    for (const auto& example : kExamples) {
        EXPECT_EQ(Crc32c(example.input), example.crc);
        EXPECT_EQ(Crc32cPortable(example.input), example.crc);
    }
}

TEST(Crc32c, InstructionAndTablesAgreeOnEveryLengthAndAlignment) {
    SeededRandom random(1);
    Bytes bytes(80);
    random.Fill(bytes);
    for (size_t start = 0; start < 8; ++start) {
        for (size_t size = 0; size + start <= bytes.size(); ++size) {
            const ByteSpan part = ByteSpan(bytes).subspan(start, size);
            ASSERT_EQ(Crc32c(part), Crc32cPortable(part)) << start << " " << size;
        }
    }
}

TEST(Crc32c, GoesOnFromWhatCameBefore) {
    const Bytes bytes = ToBytes(AsBytes("one part and another"));
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
        const ByteSpan all(bytes);
        EXPECT_EQ(Crc32c(all.subspan(cut), Crc32c(all.first(cut))), Crc32c(all));
        EXPECT_EQ(Crc32cPortable(all.subspan(cut), Crc32cPortable(all.first(cut))), Crc32c(all));
    }
}

TEST(Crc32c, SeesEveryFlippedBit) {
    Bytes bytes(16, 0x5a);
    const uint32_t crc = Crc32c(bytes);
    for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
        bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
        EXPECT_NE(Crc32c(bytes), crc);
        bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    }
}

}  // namespace
}  // namespace sluice::storage
